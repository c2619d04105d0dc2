//! The `[speedup]` table: how fast jobs run on GPUs other than their own.

use super::Notes;
use crate::diagnostic::nearest;
use crate::scenario::catalogue;
use crate::scenario::file::{GpuTable, MemoryNeed, Named, SpeedupMix, SpeedupTable};
use crate::scenario::{BoardFigures, ClassSpeedup, SpeedupSpec};

/// The settings, and the figures of every board that could matter.
pub(super) fn resolve(
    notes: &mut Notes<'_>,
    table: Option<&mut SpeedupTable>,
    gpus: &Named<GpuTable>,
) -> SpeedupSpec {
    let mut spec = SpeedupSpec { boards: boards(notes, gpus), ..SpeedupSpec::default() };
    let Some(table) = table else { return spec };
    let all = &mut table.all;
    spec.translate = notes.or_convention(&mut all.translate, true, true, &["speedup", "translate"]);
    let memory =
        notes.or_convention(&mut all.memory, MemoryNeed::Declared, "declared", &["speedup", "memory"]);
    spec.memory_from_peak = memory == MemoryNeed::RecordedPeak;
    let mix = notes.or_convention(&mut all.mix, SpeedupMix::Mixed, "mixed", &["speedup", "mix"]);
    spec.level = all.level;
    spec.all = ClassSpeedup { mix: Some(mix), speed: speeds(notes, gpus, &all.speed, &["speedup", "speed"]) };
    spec.reference = all.reference.clone();
    if let Some(name) = &all.reference {
        check_gpu(notes, gpus, name, &["speedup", "reference"]);
    }
    for (name, class) in &table.class {
        let speed = speeds(notes, gpus, &class.speed, &["speedup", name, "speed"]);
        if class.mix.is_none() && class.speed.is_empty() {
            let message = format!("the table of the class `{name}` says nothing");
            notes.error_help("W0217", &["speedup", name], message, "write `mix` or `speed`");
        }
        spec.classes.insert(name.clone(), ClassSpeedup { mix: class.mix, speed });
    }
    spec
}

/// Figures of the boards of the scenario; those of the catalogue are looked up where they are needed.
fn boards(notes: &mut Notes<'_>, gpus: &Named<GpuTable>) -> Named<BoardFigures> {
    let mut boards = Named::new();
    for (name, table) in gpus {
        let row = catalogue::gpu(name);
        let mut positive = |value: Option<f64>, setting: &'static str| {
            let wrong = value.is_some_and(|value| value <= 0.0);
            if wrong {
                let message = format!("`gpu.{name}.{setting}` must be above 0");
                notes.error("W0209", &["gpu", name, setting], message);
            }
            value.filter(|_| !wrong)
        };
        let tflops = positive(table.fp16_tflops, "fp16-tflops").or(row.map(|row| row.fp16_bf16_dense_tflops));
        let bandwidth = positive(table.mem_bw_tb_s, "mem-bw-tb-s").or(row.map(|row| row.mem_bw_tb_s));
        if let (Some(tflops), Some(bandwidth_tb_s)) = (tflops, bandwidth) {
            boards.insert(name.clone(), BoardFigures { tflops, bandwidth_tb_s });
        }
    }
    boards
}

fn speeds(notes: &mut Notes<'_>, gpus: &Named<GpuTable>, given: &Named<f64>, path: &[&str]) -> Named<f64> {
    for (gpu, speed) in given {
        let at: Vec<&str> = path.iter().copied().chain([gpu.as_str()]).collect();
        check_gpu(notes, gpus, gpu, &at);
        if !(*speed >= 0.001 && *speed <= 1000.0) {
            notes.error("W0209", &at, format!("a speed must be from 0.001 to 1000, found {speed}"));
        }
    }
    given.clone()
}

fn check_gpu(notes: &mut Notes<'_>, gpus: &Named<GpuTable>, name: &str, path: &[&str]) {
    if catalogue::gpu(name).is_some() || gpus.contains_key(name) {
        return;
    }
    let known = gpus.keys().map(String::as_str).chain(catalogue::gpus().iter().map(|row| row.gpu.as_str()));
    let known: Vec<&str> = known.collect();
    let help = match nearest(name, known.iter().copied()) {
        Some(meant) => format!("did you mean \"{meant}\"?"),
        None => format!("define it as [gpu.{name}], or use one of: {}", known.join(", ")),
    };
    notes.error_help("W0214", path, format!("there is no GPU `{name}`"), help);
}

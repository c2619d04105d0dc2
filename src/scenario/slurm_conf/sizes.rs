//! `DefMemPer*`, `MaxMemPer*`, `DefCpuPerGPU` and `JobDefaults`, of the cluster and of partitions.

use super::lines::Pair;
use super::values;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::scheduler::slurm::config::{MemPer, Sizes};

const KEYS: [&str; 7] = [
    "defmempernode",
    "defmempercpu",
    "defmempergpu",
    "defcpupergpu",
    "maxmempernode",
    "maxmempercpu",
    "jobdefaults",
];

/// Whether an option (in lower case) is one of them.
pub(super) fn is_one(key: &str) -> bool {
    KEYS.contains(&key)
}

/// Sets one of them. Of two that exclude each other the later counts; UNLIMITED and 0 say that there is none.
pub(super) fn set(key: &str, pair: &Pair, sizes: &mut Sizes, diagnostics: &mut Diagnostics) {
    if key == "jobdefaults" {
        for part in pair.value.split(',') {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let one = Pair { value: value.trim().to_owned(), ..pair.clone() };
            match name.trim().to_ascii_lowercase().as_str() {
                name @ ("defcpupergpu" | "defmempergpu") => set(name, &one, sizes, diagnostics),
                _ => bad(pair, &format!("`{part}` is no default of jobs"), diagnostics),
            }
        }
        return;
    }
    let Some(number) = values::number(&pair.value) else {
        return bad(pair, &format!("`{}` is no whole number", pair.value), diagnostics);
    };
    let number = Some(number).filter(|number| (1..u32::MAX).contains(number));
    let mem_mb = number.map(u64::from);
    match key {
        "defmempernode" => sizes.def_mem = mem_mb.map(MemPer::Node),
        "defmempercpu" => sizes.def_mem = mem_mb.map(MemPer::Cpu),
        "defmempergpu" => sizes.def_mem_per_gpu = mem_mb,
        "defcpupergpu" => sizes.def_cpu_per_gpu = number,
        "maxmempernode" => sizes.max_mem = mem_mb.map(MemPer::Node),
        "maxmempercpu" => sizes.max_mem = mem_mb.map(MemPer::Cpu),
        _ => {}
    }
}

fn bad(pair: &Pair, message: &str, diagnostics: &mut Diagnostics) {
    let told = Diagnostic::error("W0507", message).at(pair.place());
    diagnostics.push(
        told.help("write megabytes, CPUs, or DefCpuPerGPU=4,DefMemPerGPU=16000; 0 says that there is none"),
    );
}

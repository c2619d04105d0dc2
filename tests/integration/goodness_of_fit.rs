//! The presets of the research generator against the clusters that they are named after. The tables in
//! `traces/README.md` are these; `WINDTUNNEL_UPDATE=1 cargo test` rewrites them.

use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;

use windtunnel::workload::generate::{Model, Preset, ResearchParams, generate, goodness_of_fit};

use super::shared;

const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];
const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/traces/README.md");

#[test]
fn presets_meet_their_targets_and_the_table_is_true() {
    let mut table = String::from(
        "| preset | metric | target | generated (5 seeds: mean, least to most) | difference | held to | source |\n\
         |---|---|---:|---:|---:|---:|---|\n",
    );
    let mut missed = Vec::new();
    for (preset, name) in Preset::ALL {
        for row in goodness_of_fit(preset, &SEEDS) {
            let target = &row.target;
            let difference = row.relative_difference();
            if target.tolerance.is_some_and(|t| difference.abs() > t) {
                missed.push(format!("{name} {}: {} against {}", target.metric, row.mean, target.value));
            }
            let held = target.tolerance.map_or("not held".to_owned(), |t| format!("{:.0} %", 100.0 * t));
            writeln!(
                table,
                "| {name} | `{}` | {} | {} ({} to {}) | {:+.1} % | {held} | {} |",
                target.metric,
                target.value,
                figure(row.mean),
                figure(row.low),
                figure(row.high),
                100.0 * difference,
                target.source,
            )
            .unwrap();
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
    hold_in_readme("fit", &table);
}

#[test]
fn run_times_are_distributed_as_in_the_real_traces() {
    let Some(gpu) = shared::folder("traces/gpu") else { return };
    let philly: Vec<(u32, f64)> = rows(&gpu.join("philly/philly.csv.gz"), |row| {
        Some((row("num_gpus").parse().unwrap(), row("duration").parse().unwrap()))
    });
    let openb: Vec<(u32, f64)> = rows(&gpu.join("alibaba-gpu-v2023/openb_pod_list_default.csv.gz"), |row| {
        let begin = if row("scheduled_time").is_empty() { "creation_time" } else { "scheduled_time" };
        let run = row("deletion_time").parse::<f64>().unwrap() - row(begin).parse::<f64>().unwrap();
        (row("pod_phase") != "Pending").then(|| (row("num_gpu").parse().unwrap(), run))
    });
    let helios: Vec<(u32, f64)> = rows(&gpu.join("helios/helios_venus_2vc_sept.csv"), |row| {
        Some((row("num_chips").parse().unwrap(), row("duration_s").parse().unwrap()))
    });
    let kalos: Vec<(u32, f64)> = rows(&gpu.join("acme/converted_kalos_trace.csv"), |row| {
        let gpus = row("gpu_workers").parse::<f64>().unwrap() * row("gpu_per_worker").parse::<f64>().unwrap();
        Some((gpus as u32, row("num_iteration").parse::<f64>().unwrap() * 0.5))
    });
    let (any, one, eight) = (|g: u32| g > 0, |g: u32| g == 1, |g: u32| g == 8);
    let comparisons: [Comparison; 7] = [
        (Preset::PhillyLike, "philly.csv", "all GPU jobs", &philly, any, Some(0.06)),
        (Preset::PhillyLike, "philly.csv", "1 GPU", &philly, one, Some(0.06)),
        (Preset::PhillyLike, "philly.csv", "8 GPUs", &philly, eight, Some(0.1)),
        (Preset::AlibabaLike, "openb_pod_list_default", "GPU pods that ran", &openb, any, Some(0.08)),
        (
            Preset::HeliosLike,
            "helios_venus_2vc_sept (two virtual clusters, one month)",
            "8 GPUs",
            &helios,
            eight,
            None,
        ),
        (
            Preset::AcmeLike,
            "converted_kalos_trace (319 completed jobs)",
            "8 GPUs and more",
            &kalos,
            |g| g >= 8,
            None,
        ),
        (Preset::AcmeLike, "converted_kalos_trace (319 completed jobs)", "1 GPU", &kalos, one, None),
    ];
    let mut table = String::from(
        "| preset | real trace | jobs compared | real jobs | generated jobs | KS distance | held to |\n\
         |---|---|---|---:|---:|---:|---:|\n",
    );
    let mut missed = Vec::new();
    for (preset, trace, what, real, which, bound) in comparisons {
        let name = Preset::ALL.iter().find(|(p, _)| *p == preset).unwrap().1;
        let real: Vec<f64> = real.iter().filter(|(g, _)| which(*g)).map(|(_, run)| *run).collect();
        let made = generated(preset, which);
        let distance = ks_distance(real.clone(), made.clone());
        if bound.is_some_and(|b| distance > b) {
            missed.push(format!("{name} {what}: {distance}"));
        }
        let held = bound.map_or("not held".to_owned(), |b| b.to_string());
        writeln!(
            table,
            "| {name} | {trace} | {what} | {} | {} | {distance:.3} | {held} |",
            real.len(),
            made.len()
        )
        .unwrap();
    }
    assert!(missed.is_empty(), "{missed:#?}");
    hold_in_readme("ks", &table);
}

type Comparison<'a> = (Preset, &'a str, &'a str, &'a [(u32, f64)], fn(u32) -> bool, Option<f64>);

/// Run times of generated jobs with such numbers of GPUs, all seeds together.
fn generated(preset: Preset, which: fn(u32) -> bool) -> Vec<f64> {
    let model = Model::Research(ResearchParams { preset: Some(preset), ..ResearchParams::default() });
    let mut runs = Vec::new();
    for seed in SEEDS {
        let w = generate(&model, seed).unwrap();
        let fitting = w.jobs.iter().filter(|j| which(w.requests.get(j.request).gpus.unwrap_or(0)));
        runs.extend(fitting.map(|j| j.run.as_s()));
    }
    runs
}

/// Largest distance between the two empirical distribution functions (Kolmogorov and Smirnov).
pub fn ks_distance(mut a: Vec<f64>, mut b: Vec<f64>) -> f64 {
    a.sort_unstable_by(f64::total_cmp);
    b.sort_unstable_by(f64::total_cmp);
    let (mut i, mut j, mut largest) = (0, 0, 0.0_f64);
    while i < a.len() && j < b.len() {
        let x = a[i].min(b[j]);
        i += a[i..].partition_point(|v| *v <= x);
        j += b[j..].partition_point(|v| *v <= x);
        largest = largest.max((i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs());
    }
    largest
}

#[test]
fn the_distance_of_distributions_is_what_it_says() {
    assert_eq!(ks_distance(vec![1.0, 2.0, 3.0], vec![1.0, 2.0, 3.0]), 0.0);
    assert_eq!(ks_distance(vec![1.0, 2.0], vec![5.0, 6.0]), 1.0);
    assert_eq!(ks_distance(vec![1.0, 2.0, 3.0, 4.0], vec![3.0, 4.0]), 0.5);
}

/// Rows of a CSV file (gzip by suffix, `#` lines passed over), by column name.
fn rows<T>(path: &Path, each: impl Fn(&dyn Fn(&str) -> String) -> Option<T>) -> Vec<T> {
    let file = std::fs::File::open(path).unwrap();
    let gzip = path.extension().is_some_and(|e| e == "gz");
    let input: Box<dyn Read> =
        if gzip { Box::new(flate2::read::GzDecoder::new(file)) } else { Box::new(file) };
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(input);
    let header = reader.headers().unwrap().clone();
    let at = |name: &str| header.iter().position(|h| h == name).unwrap();
    reader.records().map(Result::unwrap).filter_map(|row| each(&|name| row[at(name)].to_owned())).collect()
}

/// Checks (or writes, with `WINDTUNNEL_UPDATE`) the table between two marks of `traces/README.md`.
fn hold_in_readme(mark: &str, table: &str) {
    // Two tests write the one file.
    static WRITING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _guard = WRITING.lock().unwrap();
    let text = std::fs::read_to_string(README).unwrap();
    let (open, close) = (format!("<!-- {mark} -->\n"), format!("<!-- /{mark} -->"));
    let from = text.find(&open).unwrap() + open.len();
    let to = text.find(&close).unwrap();
    if std::env::var_os("WINDTUNNEL_UPDATE").is_some() {
        std::fs::write(README, format!("{}{table}{}", &text[..from], &text[to..])).unwrap();
    } else {
        assert_eq!(&text[from..to], table, "traces/README.md is out of date: run with WINDTUNNEL_UPDATE=1");
    }
}

/// Four significant digits or so.
fn figure(value: f64) -> String {
    match value {
        v if v >= 1000.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.4}"),
    }
}

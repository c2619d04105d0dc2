//! A whole comparison: three designs, twenty replicas, 10,000 jobs, EASY, noisy hosts, with page and files.
//!
//! The process as a user starts it, wall time on two threads (aim 8 s), with and without an objective (its outlook
//! simulates other loads, speeds and classes). Memory: what 20 more replicas add to the peak, for each of their jobs
//! and runs (aim 200 bytes), and what all runs add to that of a comparison without replicas.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

const JOBS: u32 = 10_000;
const DESIGNS: u32 = 3;
const MOST_S: f64 = 8.0;
const MOST_BYTES: f64 = 200.0;

const OBJECTIVE: &str =
    "[objective]\nrequire = [\"wait_s.p95 <= 86_400\"]\nminimize = \"cost.per_useful_gpu_hour\"\n";

fn scenario() -> String {
    let mut text = format!(
        "[workload.generate.research]\njobs = {JOBS}\nload = 0.8\ngpus = 64\n[policy.easy]\nplacement = \"best-fit\"\n"
    );
    let noise = "contention = \"typical\"\nnoise = ";
    let designs = [
        ("metal", "bare-metal]\n".to_owned()),
        ("vm", format!("vm]\n{noise}{{ cv = 0.03, dwell-s = 3600 }}\n")),
        ("loud", format!("vm]\n{noise}{{ cv = 0.1, dwell-s = 3600 }}\n")),
    ];
    for (name, tenancy) in designs {
        write!(
            text,
            "[design.{name}.pool.main]\nnode = \"dgx-h100\"\ncount = 8\n\
             [design.{name}.pool.main.cost.owned]\n[design.{name}.pool.main.tenancy.{tenancy}"
        )
        .expect("texts take writes");
    }
    text
}

/// Wall time in s and peak memory in bytes.
fn compare(dir: &Path, replicas: u32, extra: &str) -> (f64, f64) {
    let scenario = format!("{}{extra}[compare]\nreplicas = {replicas}\n", scenario());
    std::fs::write(dir.join("s.toml"), scenario).expect("the directory can be written");
    let output = Command::new(env!("CARGO_BIN_EXE_windtunnel"))
        .args(["compare", "s.toml", "--out", "out", "--json", "--quiet", "--threads", "2"])
        .current_dir(dir)
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).expect("an object");
    let engine = |key: &str| object["engine"][key].as_f64().expect("a number");
    (engine("wall_s"), engine("peak_rss_mib") * 1024.0 * 1024.0)
}

fn verdict(value: f64, at_most: f64) -> &'static str {
    if value <= at_most { "met" } else { "MISSED" }
}

fn main() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let shortest = |replicas: u32, extra: &str| {
        let runs = (0..3).map(|_| compare(dir.path(), replicas, extra));
        runs.fold((f64::MAX, f64::MAX), |best, run| (best.0.min(run.0), best.1.min(run.1)))
    };
    let (alone_s, alone) = shortest(1, "");
    let (plain_s, twenty) = shortest(20, "");
    let (_, forty) = shortest(40, "");
    let (judged_s, _) = shortest(20, OBJECTIVE);
    let per_run = |bytes: f64, replicas: u32| bytes / f64::from(replicas * DESIGNS * JOBS);
    println!("1 run a design                  {alone_s:>6.2} s  {:>6.1} MiB", alone / 1048576.0);
    println!(
        "20 replicas                     {plain_s:>6.2} s  {:>6.1} MiB  {}",
        twenty / 1048576.0,
        verdict(plain_s, MOST_S)
    );
    println!("20 replicas and an objective    {judged_s:>6.2} s              {}", verdict(judged_s, MOST_S));
    let more = per_run(forty - twenty, 20);
    let all = per_run(twenty - alone, 20);
    println!("bytes a job and run, 20 to 40 replicas {more:>6.1}  {}", verdict(more, MOST_BYTES));
    println!("bytes a job and run, 1 to 20 replicas  {all:>6.1}  {}", verdict(all, MOST_BYTES));
}

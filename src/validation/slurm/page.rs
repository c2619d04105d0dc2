//! The experiments as a part of VALIDATION.md: real runs, their noise, ours, and the error.

use std::fmt::Write as _;

use super::figures::{Figures, mean, sd};
use super::report::{ExperimentReport, SlurmValidation};

/// The part, with headline.
#[must_use]
pub fn markdown(found: &SlurmValidation) -> String {
    let seeds = found.experiments.first().map_or(0, |e| e.seeds);
    let mut page = format!(
        "\n## slurm\n\n**Recordings of real Slurm.** Each experiment ran under the version that its row names, ours by the rules of the same. Each was run on real `slurmctld` with 16 nodes once \
         or several times (real runs: mean wait of first attempts in seconds; noise: their standard deviation). Ours: \
         mean and standard deviation over {seeds} seeds of what a real controller leaves to chance. Error: our mean \
         against theirs. p95, makespan: error; GPUs, backfill: difference in points of GPU utilization and of the \
         share of starts by the backfill thread; start, nodes: share of jobs whose median start lies within 2 s of the \
         nearest real run, and on the same nodes (meaningful for static queues; loaded runs of real Slurm differ \
         among each other as much). Tolerances: the text of `windtunnel validate slurm --check` names what fails.\n\n\
         | experiment | version | real runs | noise | ours | error | p95 | makespan | GPUs | backfill | start | nodes | outside |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|\n"
    );
    found.experiments.iter().for_each(|e| row(&mut page, e));
    for skipped in &found.skipped {
        let _ = writeln!(page, "\n{}: {}.", skipped.name, skipped.reason);
    }
    let checks = || found.experiments.iter().flat_map(|e| &e.checks);
    let passed = checks().filter(|c| c.passed).count();
    let _ = writeln!(page, "\n{passed} of {} checks within tolerance.", checks().count());
    page
}

fn row(page: &mut String, e: &ExperimentReport) {
    let real = Figures::fold(&e.real, &mean);
    let waits: Vec<f64> = e.real.iter().map(|f| f.wait_s.mean).collect();
    let noise = if waits.len() > 1 { format!("{:.1}", sd(&waits)) } else { "-".to_owned() };
    let waits: Vec<String> = waits.iter().map(|wait| format!("{wait:.1}")).collect();
    let error = |ours: f64, real: f64| format!("{:+.1} %", 100.0 * (ours - real) / real);
    let points = |ours: f64, real: f64| format!("{:+.1}", 100.0 * (ours - real));
    let outside: Vec<&str> = e.checks.iter().filter(|c| !c.passed).map(|c| c.what.as_str()).collect();
    let outside = if outside.is_empty() { "none".to_owned() } else { outside.join(", ") };
    let _ = writeln!(
        page,
        "| {} | {} | {} | {noise} | {:.1} ± {:.1} | {} | {} | {} | {} | {} | {:.0} % | {:.0} % | {outside} |",
        e.name,
        e.version,
        waits.join(", "),
        e.ours.wait_s.mean,
        e.ours_sd.wait_s.mean,
        error(e.ours.wait_s.mean, real.wait_s.mean),
        error(e.ours.wait_s.p95, real.wait_s.p95),
        error(e.ours.makespan_s, real.makespan_s),
        points(e.ours.gpu_utilization, real.gpu_utilization),
        points(e.ours.backfill_share, real.backfill_share),
        100.0 * e.same_start,
        100.0 * e.same_nodes,
    );
}

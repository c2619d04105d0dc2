//! The tolerances.
//!
//! Static queues compare job by job; loaded ones as distributions. With sd over the seeds and n recorded
//! runs: |mean(ours) - mean(real)| <= max(floor, 2.5 sd sqrt(1/n + 1/seeds)); each recorded run within
//! mean(ours) +- 3 sd; sd at most twice the pooled sd of the recorded runs (pooled: the root mean square
//! of the relative sds of all loaded experiments with more than one run, times this one's mean).

use serde::Serialize;

use super::figures::{Figures, mean, sd};
use super::report::ExperimentReport;

/// One comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// What is compared.
    pub what: String,
    /// Ours.
    pub ours: f64,
    /// Recorded.
    pub real: f64,
    /// Largest difference (or smallest value) that passes.
    pub limit: f64,
    /// Whether it passes.
    pub passed: bool,
}

fn within(what: &str, ours: f64, real: f64, limit: f64) -> Check {
    Check { what: what.to_owned(), ours, real, limit, passed: (ours - real).abs() <= limit }
}

fn at_least(what: &str, ours: f64, limit: f64) -> Check {
    Check { what: what.to_owned(), ours, real: 1.0, limit, passed: ours >= limit }
}

/// Root mean square of the relative sds of the mean wait over the recorded runs of loaded experiments.
#[must_use]
pub fn pooled_relative_sd(reports: &[ExperimentReport]) -> Option<f64> {
    let relative: Vec<f64> = reports
        .iter()
        .filter(|r| r.real.len() > 1 && kind_of(&r.name) == Kind::Loaded)
        .map(|r| {
            let waits: Vec<f64> = r.real.iter().map(|f| f.wait_s.mean).collect();
            let relative = sd(&waits) / mean(&waits);
            relative * relative
        })
        .collect();
    (!relative.is_empty()).then(|| mean(&relative).sqrt())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    StaticBuiltin,
    Static,
    Loaded,
}

fn kind_of(name: &str) -> Kind {
    if name.starts_with("S_static") {
        Kind::StaticBuiltin
    } else if name.starts_with("R_static") {
        Kind::Static
    } else {
        Kind::Loaded
    }
}

/// All checks of one experiment.
pub(super) fn checks_of(report: &ExperimentReport, pooled: Option<f64>) -> Vec<Check> {
    let real_wait = mean(&report.real.iter().map(|f| f.wait_s.mean).collect::<Vec<_>>());
    match kind_of(&report.name) {
        Kind::StaticBuiltin => {
            vec![
                at_least("same_start", report.same_start, 1.0),
                at_least("same_nodes", report.same_nodes, 1.0),
            ]
        }
        Kind::Static => vec![
            within("wait_s.mean", report.ours.wait_s.mean, real_wait, 0.02 * real_wait),
            at_least("same_start", report.same_start, 0.85),
        ],
        Kind::Loaded => loaded(report, pooled),
    }
}

fn loaded(report: &ExperimentReport, pooled: Option<f64>) -> Vec<Check> {
    let spread = (1.0 / report.real.len().max(1) as f64 + 1.0 / report.seeds.max(1) as f64).sqrt();
    let mut checks = Vec::new();
    let mut distribution = |what: &str, floor: f64, get: &dyn Fn(&Figures) -> f64| {
        let real: Vec<f64> = report.real.iter().map(get).collect();
        let (ours, ours_sd) = (get(&report.ours), get(&report.ours_sd));
        let limit = (floor * mean(&real)).max(2.5 * ours_sd * spread);
        checks.push(within(what, ours, mean(&real), limit));
        real
    };
    let waits = distribution("wait_s.mean", 0.05, &|f| f.wait_s.mean);
    distribution("wait_s.p95", 0.12, &|f| f.wait_s.p95);
    distribution("makespan_s", 0.05, &|f| f.makespan_s);
    let (ours, ours_sd) = (report.ours.wait_s.mean, report.ours_sd.wait_s.mean);
    for (at, real) in waits.iter().enumerate() {
        checks.push(within(&format!("run {} in mean +- 3 sd", at + 1), ours, *real, 3.0 * ours_sd));
    }
    if let Some(pooled) = pooled {
        let real_sd = pooled * mean(&waits);
        checks.push(Check {
            what: "sd of wait_s.mean".to_owned(),
            ours: ours_sd,
            real: real_sd,
            limit: 2.0 * real_sd,
            passed: ours_sd <= 2.0 * real_sd,
        });
    }
    let average = |get: &dyn Fn(&Figures) -> f64| mean(&report.real.iter().map(get).collect::<Vec<_>>());
    let real = average(&|f| f.gpu_utilization);
    checks.push(within("gpu_utilization", report.ours.gpu_utilization, real, 0.03));
    let real = average(&|f| f.backfill_share);
    checks.push(within("backfill_share", report.ours.backfill_share, real, 0.06));
    checks
}

//! What a validation found: figures, agreement job by job, checks; as JSON and as a table.

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::check::{Check, checks_of, pooled_relative_sd};
use super::experiment::Experiment;
use super::figures::{Figures, mean, median, sd};
use super::observed::Observed;
use crate::simulation::slurm::SlurmOutcome;

/// All experiments.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SlurmValidation {
    /// In the order given.
    pub experiments: Vec<ExperimentReport>,
    /// Experiments that were not run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skipped>,
}

/// An experiment that was not run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Skipped {
    /// Folder name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// One experiment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExperimentReport {
    /// Folder name.
    pub name: String,
    /// The version of Slurm that was recorded, whose rules ours follows.
    pub version: String,
    /// Means over the seeds.
    pub ours: Figures,
    /// Standard deviations over the seeds.
    pub ours_sd: Figures,
    /// Recorded runs.
    pub real: Vec<Figures>,
    /// Share of attempts whose median start over the seeds is within 2 s of the nearest recorded run.
    pub same_start: f64,
    /// Share of attempts on the same nodes as that run, in the seed nearest to it.
    pub same_nodes: f64,
    /// Number of seeds.
    #[serde(skip)]
    pub seeds: u64,
    /// Checks against the tolerances.
    #[serde(skip)]
    pub checks: Vec<Check>,
}

/// A job's attempt: position, task, attempt.
type Key = (usize, Option<u32>, u32);

impl SlurmValidation {
    pub(super) fn new(mut experiments: Vec<ExperimentReport>, skipped: Vec<Skipped>) -> Self {
        let pooled = pooled_relative_sd(&experiments);
        for report in &mut experiments {
            report.checks = checks_of(report, pooled);
        }
        Self { experiments, skipped }
    }

    /// Whether anything was run and every check passes.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.experiments.is_empty() && self.experiments.iter().all(|e| e.checks.iter().all(|c| c.passed))
    }

    /// The contract's JSON, one object.
    ///
    /// # Errors
    /// If a figure cannot be written (none can fail).
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    /// A table for the terminal: figures, then the checks that fail.
    #[must_use]
    pub fn to_text(&self) -> String {
        use std::fmt::Write as _;
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{:<24} {:>8} {:>16} {:>24} {:>15} {:>15} {:>13} {:>6} {:>6}",
            "experiment",
            "version",
            "mean wait (sd)",
            "real",
            "p95 / real",
            "makespan/real",
            "gpu/real",
            "bf/real",
            "start nodes"
        );
        for e in &self.experiments {
            let real = Figures::fold(&e.real, &mean);
            let waits: Vec<String> = e.real.iter().map(|f| format!("{:.1}", f.wait_s.mean)).collect();
            let _ = writeln!(
                out,
                "{:<24} {:>8} {:>8.2} ({:>5.2}) {:>24} {:>7.1}/{:>7.1} {:>7.1}/{:>7.1} {:>5.1}%/{:>5.1}% {:>3.0}/{:>3.0} {:>4.0}% {:>4.0}%",
                e.name,
                e.version,
                e.ours.wait_s.mean,
                e.ours_sd.wait_s.mean,
                waits.join(" "),
                e.ours.wait_s.p95,
                real.wait_s.p95,
                e.ours.makespan_s,
                real.makespan_s,
                100.0 * e.ours.gpu_utilization,
                100.0 * real.gpu_utilization,
                100.0 * e.ours.backfill_share,
                100.0 * real.backfill_share,
                100.0 * e.same_start,
                100.0 * e.same_nodes
            );
            for c in e.checks.iter().filter(|c| !c.passed) {
                let _ = writeln!(
                    out,
                    "    FAILS {}: ours {:.4}, real {:.4}, limit {:.4}",
                    c.what, c.ours, c.real, c.limit
                );
            }
        }
        for skipped in &self.skipped {
            let _ = writeln!(out, "{:<24} skipped: {}", skipped.name, skipped.reason);
        }
        out
    }
}

impl ExperimentReport {
    pub(super) fn new(experiment: &Experiment, runs: &[SlurmOutcome]) -> Self {
        let figures: Vec<Figures> = runs.iter().map(|r| Figures::of_outcome(r, experiment)).collect();
        let (same_start, same_nodes) = agreement(experiment, runs);
        Self {
            name: experiment.name.clone(),
            version: experiment.config.version.to_string(),
            ours: Figures::fold(&figures, &mean),
            ours_sd: Figures::fold(&figures, &sd),
            real: experiment.observed.iter().map(|o| Figures::of_observed(o, experiment)).collect(),
            same_start,
            same_nodes,
            seeds: runs.len() as u64,
            checks: Vec::new(),
        }
    }
}

/// Starts and nodes of a recorded run.
fn recorded(run: &Observed, experiment: &Experiment) -> Vec<(Key, f64, Vec<usize>)> {
    let row = |r: &super::observed::ObservedRow| {
        let at = experiment.position(&r.job_id)?;
        Some(((at, r.task, r.attempt), r.start_s?, r.nodes.clone()))
    };
    run.rows.iter().filter_map(row).collect()
}

/// Mean absolute difference of the starts that both have.
fn distance(recorded: &[(Key, f64, Vec<usize>)], starts: &FxHashMap<Key, f64>) -> f64 {
    let differences: Vec<f64> =
        recorded.iter().filter_map(|(key, start, _)| Some((starts.get(key)? - start).abs())).collect();
    if differences.is_empty() { f64::INFINITY } else { mean(&differences) }
}

/// `same_start` and `same_nodes` against the recorded run that is nearest to our median schedule.
fn agreement(experiment: &Experiment, runs: &[SlurmOutcome]) -> (f64, f64) {
    let mut by_key: FxHashMap<Key, Vec<f64>> = FxHashMap::default();
    let per_run: Vec<FxHashMap<Key, f64>> = runs
        .iter()
        .map(|r| r.attempts.iter().map(|a| ((a.spec, a.task, a.number), a.start.as_s())).collect())
        .collect();
    for (key, start) in per_run.iter().flatten() {
        by_key.entry(*key).or_default().push(*start);
    }
    let medians: FxHashMap<Key, f64> = by_key
        .into_iter()
        .map(|(key, mut starts)| {
            starts.sort_by(f64::total_cmp);
            (key, median(&starts))
        })
        .collect();
    let recorded_runs: Vec<_> = experiment.observed.iter().map(|o| recorded(o, experiment)).collect();
    let near = |a: &&Vec<(Key, f64, Vec<usize>)>, b: &&Vec<(Key, f64, Vec<usize>)>| {
        distance(a, &medians).total_cmp(&distance(b, &medians))
    };
    let Some(nearest) = recorded_runs.iter().min_by(near).filter(|r| !r.is_empty()) else {
        return (0.0, 0.0);
    };
    let count = nearest.len() as f64;
    let same = |(key, start, _): &&(Key, f64, Vec<usize>)| {
        medians.get(key).is_some_and(|m| (m - start).abs() <= 2.0)
    };
    let same_start = nearest.iter().filter(same).count() as f64 / count;
    let seed = (0..runs.len())
        .min_by(|a, b| distance(nearest, &per_run[*a]).total_cmp(&distance(nearest, &per_run[*b])));
    let Some(seed) = seed else { return (same_start, 0.0) };
    let nodes: FxHashMap<Key, Vec<usize>> =
        runs[seed].attempts.iter().map(|a| ((a.spec, a.task, a.number), a.grants.nodes())).collect();
    let alike = nearest.iter().filter(|(key, _, on)| nodes.get(key).is_some_and(|n| n == on)).count();
    (same_start, alike as f64 / count)
}

//! The figures of a run, as `analyze.py` beside the recordings defines them.

use serde::Serialize;

use super::experiment::Experiment;
use super::observed::Observed;
use crate::simulation::slurm::SlurmOutcome;
use crate::time::SimTime;

/// Waits of first attempts, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Waits {
    /// Mean.
    pub mean: f64,
    /// Median (mean of the two middle ones).
    pub p50: f64,
    /// 95th percentile: sorted[min(n - 1, floor(0.95 n))].
    pub p95: f64,
}

/// The figures of one run (or their means, or standard deviations).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Waits.
    pub wait_s: Waits,
    /// Whole GPUs in use from 60 s to the last submission (static queues: to 60 % of the run), 0 to 1.
    pub gpu_utilization: f64,
    /// Last end.
    pub makespan_s: f64,
    /// Share of starts by the backfill thread, 0 to 1.
    pub backfill_share: f64,
}

/// What the figures need of one attempt.
struct Row {
    first: bool,
    submit_s: f64,
    start_s: Option<f64>,
    end_s: Option<f64>,
    gpus: f64,
    by_backfill: bool,
}

impl Figures {
    /// Of a recorded run.
    #[must_use]
    pub fn of_observed(run: &Observed, experiment: &Experiment) -> Self {
        let rows: Vec<Row> = run
            .rows
            .iter()
            .map(|r| Row {
                first: r.attempt == 1,
                submit_s: r.submit_s,
                start_s: r.start_s,
                end_s: r.end_s,
                gpus: experiment
                    .position(&r.job_id)
                    .map_or(0.0, |at| if experiment.whole_gpus[at] > 0 { f64::from(r.gpus) } else { 0.0 }),
                by_backfill: r.by_backfill,
            })
            .collect();
        Self::of(&rows, experiment.gpu_capacity)
    }

    /// Of a simulated run.
    #[must_use]
    pub fn of_outcome(run: &SlurmOutcome, experiment: &Experiment) -> Self {
        let mut rows: Vec<Row> = run
            .attempts
            .iter()
            .map(|a| Row {
                first: a.number == 1,
                submit_s: a.submit.as_s(),
                start_s: Some(a.start.as_s()),
                end_s: (a.end != SimTime::NEVER).then(|| a.end.as_s()),
                gpus: f64::from(experiment.whole_gpus[a.spec]),
                by_backfill: a.started_by == crate::scheduler::slurm::job::StartedBy::Backfill,
            })
            .collect();
        let waiting = run.pending.iter().map(|(spec, _, _)| *spec).chain(run.withdrawn.iter().copied());
        rows.extend(waiting.map(|spec| Row {
            first: true,
            submit_s: experiment.jobs[spec].submit.as_s(),
            start_s: None,
            end_s: None,
            gpus: 0.0,
            by_backfill: false,
        }));
        Self::of(&rows, experiment.gpu_capacity)
    }

    fn of(rows: &[Row], gpu_capacity: u64) -> Self {
        let ran: Vec<(&Row, f64, f64)> =
            rows.iter().filter_map(|r| Some((r, r.start_s?, r.end_s?))).collect();
        let mut waits: Vec<f64> =
            ran.iter().filter(|(r, _, _)| r.first).map(|(r, s, _)| s - r.submit_s).collect();
        waits.sort_by(f64::total_cmp);
        let makespan_s = ran.iter().map(|(_, _, e)| *e).fold(0.0, f64::max);
        let last_submit = rows.iter().filter(|r| r.first).map(|r| r.submit_s).fold(0.0, f64::max);
        let until = if last_submit < 120.0 { 0.6 * makespan_s } else { last_submit };
        let used: f64 = ran.iter().map(|(r, s, e)| r.gpus * (e.min(until) - s.max(60.0)).max(0.0)).sum();
        let backfilled = ran.iter().filter(|(r, _, _)| r.by_backfill).count();
        Self {
            wait_s: Waits {
                mean: mean(&waits),
                p50: median(&waits),
                p95: waits
                    .get((waits.len() * 95 / 100).min(waits.len().saturating_sub(1)))
                    .copied()
                    .unwrap_or(0.0),
            },
            gpu_utilization: if gpu_capacity == 0 {
                0.0
            } else {
                used / (gpu_capacity as f64 * (until - 60.0))
            },
            makespan_s,
            backfill_share: backfilled as f64 / ran.len().max(1) as f64,
        }
    }

    /// Each figure of every run through `fold` (mean, standard deviation).
    #[must_use]
    pub fn fold(runs: &[Self], fold: &dyn Fn(&[f64]) -> f64) -> Self {
        let of = |get: &dyn Fn(&Self) -> f64| fold(&runs.iter().map(get).collect::<Vec<_>>());
        Self {
            wait_s: Waits {
                mean: of(&|f| f.wait_s.mean),
                p50: of(&|f| f.wait_s.p50),
                p95: of(&|f| f.wait_s.p95),
            },
            gpu_utilization: of(&|f| f.gpu_utilization),
            makespan_s: of(&|f| f.makespan_s),
            backfill_share: of(&|f| f.backfill_share),
        }
    }
}

/// Arithmetic mean; 0 of nothing.
#[must_use]
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// Standard deviation of a sample (n - 1); 0 of fewer than two.
#[must_use]
pub fn sd(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let m = mean(values);
    let squares: f64 = values.iter().map(|v| (v - m) * (v - m)).sum();
    (squares / (values.len() - 1) as f64).sqrt()
}

/// Median of sorted values; 0 of nothing.
#[must_use]
pub fn median(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

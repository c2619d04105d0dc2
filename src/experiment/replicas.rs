//! Replicas: the same designs over other histories of the same kind, and what can be told from them.
//!
//! A generated workload is generated again with the next seeds. Of a trace there is one history only: others
//! are made from blocks of it (days or weeks) drawn with replacement, so their variation is that between the
//! blocks of this trace and nothing else. Every replica meets all designs (common random numbers): a
//! difference is taken within a replica, and its interval is over the replicas.
//!
//! Means have Student's intervals; quantiles and maxima intervals by order statistics, which hold for every
//! distribution. Around the figures of a trace stand intervals from the bootstrap's standard error. A design
//! is compared with the baseline at a level that is divided by the number of comparisons (Bonferroni).

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::Serialize;

use super::statistics::{Interval, bootstrap_interval, mean, mean_interval, median, median_interval};
use super::{DesignResult, ExperimentError, LoadedWorkload, load_workload, run_designs};
use crate::cost::CostFigures;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::metrics::Summary;
use crate::random::Stream;
use crate::scenario::{Scenario, WorkloadSource, WorkloadSpec};
use crate::simulation::RunOptions;
use crate::time::{MICROS_PER_S, SimDuration};
use crate::workload::Workload;

/// Fewest blocks that a bootstrap is made of.
const LEAST_BLOCKS: u64 = 5;

/// Whole weeks are blocks where the trace has so many of them, else days.
const WEEKS: u64 = 8;

/// What the replicas tell of one design.
#[derive(Clone, Debug, Serialize)]
pub struct Uncertainty {
    /// Replicas beside the run itself (bootstrap), or in all (seeds).
    pub replicas: u32,
    /// What differs between them.
    pub variation: Variation,
    /// Confidence of every interval, before the division among comparisons.
    pub confidence: f64,
    /// The design's own figures by their dotted keys.
    pub figures: BTreeMap<String, Estimate>,
    /// Difference to the baseline; `None` for the baseline.
    pub against_baseline: Option<BTreeMap<String, Difference>>,
    /// The figure that the scenario's objective minimizes, by replica.
    #[serde(skip)]
    pub decisive: Vec<Option<f64>>,
}

/// What differs between replicas.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Variation {
    /// Generated with other seeds.
    Seeds,
    /// Put together from blocks of the trace.
    Blocks {
        /// Length of a block in days.
        days: f64,
        /// Blocks in the trace.
        blocks: u64,
    },
}

/// A figure with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// Mean over the replicas, or median for quantiles and maxima; of a trace the figure itself.
    pub value: f64,
    /// Lower bound; `None` where the replicas are too few.
    pub low: Option<f64>,
    /// Upper bound.
    pub high: Option<f64>,
}

/// A difference to the baseline with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The difference and its bounds.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// Of a trace, where both figures are above zero in every replica: the ratio to the baseline. The verdict
    /// is then on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<Estimate>,
    /// What follows.
    pub verdict: Verdict,
    /// Whether it is smaller than the error of the attached backtest: then it is no finding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub below_backtest_error: Option<bool>,
}

/// What an interval of a difference says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Larger than the baseline's.
    Higher,
    /// Smaller than the baseline's.
    Lower,
    /// Equal in every replica.
    Same,
    /// The interval holds zero, or there is none.
    NotDistinguishable,
}

/// Why there are no replicas.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// The workload cannot be varied, or not generated again.
    #[error("the replicas cannot be made")]
    Input(Diagnostics),
    /// A run failed.
    #[error(transparent)]
    Run(#[from] ExperimentError),
}

/// Runs the replicas that the scenario asks for and adds to each design what they tell.
///
/// # Errors
/// A trace too short for its blocks, settings of a generator that do not work with another seed, a failed run.
pub fn add_replicas(
    scenario: &Scenario,
    loaded: &LoadedWorkload,
    results: &mut [DesignResult],
    done: &(dyn Fn() + Sync),
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<(), ReplicaError> {
    let replicas = scenario.compare.replicas;
    if replicas < 2 {
        return Ok(());
    }
    let source = Source::new(scenario, loaded)?;
    let first = match source {
        Source::Seeds(_) => 0,
        Source::Blocks { .. } => 1,
    };
    let seed = scenario.workload.seed;
    let runs: Vec<Result<Vec<Figures>, ReplicaError>> = (first..first + u64::from(replicas))
        .into_par_iter()
        .map(|replica| {
            let workload = source.workload(seed, replica)?;
            let options = || RunOptions { seed: seed + replica, ..RunOptions::default() };
            let (designs, policy) = (&scenario.designs, &scenario.policy);
            let results = run_designs(&workload, designs, policy, &options, interrupted)?;
            done();
            Ok(results.iter().map(|result| figures(&result.summary, result.cost.as_ref())).collect())
        })
        .collect();
    let runs = runs.into_iter().collect::<Result<Vec<_>, _>>()?;
    judge(scenario, loaded, results, &runs, source.variation());
    Ok(())
}

/// Figures by their dotted keys, as in the JSON object.
pub(super) type Figures = BTreeMap<String, f64>;

/// All figures that are numbers.
pub(super) fn figures(summary: &Summary, cost: Option<&CostFigures>) -> Figures {
    let mut found = Figures::new();
    let object = serde_json::to_value(summary).expect("a summary is JSON");
    flatten("", &object, &mut found);
    if let Some(cost) = cost {
        found.insert("cost.total".to_owned(), cost.total.as_units());
        let rest = [
            ("cost.per_month", cost.per_month),
            ("cost.waiting", cost.waiting),
            ("cost.per_allocated_gpu_hour", cost.per_allocated_gpu_hour),
            ("cost.per_gpu_hour", cost.per_gpu_hour),
            ("cost.per_useful_gpu_hour", cost.per_useful_gpu_hour),
            ("cost.per_job", cost.per_job),
        ];
        found.extend(rest.into_iter().filter_map(|(key, money)| Some((key.to_owned(), money?.as_units()))));
    }
    found
}

fn flatten(above: &str, value: &serde_json::Value, found: &mut Figures) {
    match value {
        serde_json::Value::Object(inner) => {
            for (key, value) in inner {
                let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
                flatten(&path, value, found);
            }
        }
        other => {
            if let Some(number) = other.as_f64() {
                found.insert(above.to_owned(), number);
            }
        }
    }
}

/// Where other histories come from.
enum Source<'a> {
    Seeds(&'a WorkloadSpec),
    Blocks { jobs: &'a Workload, length: SimDuration, days: f64 },
}

impl<'a> Source<'a> {
    fn new(scenario: &'a Scenario, loaded: &'a LoadedWorkload) -> Result<Self, ReplicaError> {
        let spec = &scenario.workload;
        if matches!(spec.source, WorkloadSource::Generate { .. }) {
            return Ok(Self::Seeds(spec));
        }
        // A day of the trace is shorter where arrivals are denser.
        let [arrivals, ..] = spec.scale.factors();
        let length = |days: f64| {
            SimDuration::from_micros((days * 86_400.0 * MICROS_PER_S as f64 / arrivals).round() as i64)
        };
        let jobs = &loaded.workload;
        let weeks = jobs.blocks(length(7.0));
        let days = scenario.compare.block_days.unwrap_or(if weeks >= WEEKS { 7.0 } else { 1.0 });
        let blocks = jobs.blocks(length(days));
        if blocks < LEAST_BLOCKS {
            let message = format!("the trace has {blocks} blocks of {days} days: too few to vary it");
            let mut problems = Diagnostics::default();
            problems.push(Diagnostic::error("W0227", message).help(format!(
                "set compare.block-days so that there are at least {LEAST_BLOCKS}, or compare.replicas = 1"
            )));
            return Err(ReplicaError::Input(problems));
        }
        Ok(Self::Blocks { jobs, length: length(days), days })
    }

    fn variation(&self) -> Variation {
        match self {
            Self::Seeds(_) => Variation::Seeds,
            Self::Blocks { jobs, length, days } => {
                Variation::Blocks { days: *days, blocks: jobs.blocks(*length) }
            }
        }
    }

    fn workload(&self, seed: u64, replica: u64) -> Result<Workload, ReplicaError> {
        match self {
            Self::Seeds(spec) => {
                let spec = WorkloadSpec { seed: seed + replica, ..(*spec).clone() };
                Ok(load_workload(&spec, false).map_err(ReplicaError::Input)?.workload)
            }
            Self::Blocks { jobs, length, .. } => {
                let blocks = jobs.blocks(*length);
                let mut draws = Stream::new(seed, "bootstrap", replica, 0);
                let drawn: Vec<u64> = (0..blocks).map(|_| draws.below(blocks)).collect();
                Ok(jobs.resample(*length, &drawn))
            }
        }
    }
}

/// Turns the replicas' figures into intervals.
fn judge(
    scenario: &Scenario,
    loaded: &LoadedWorkload,
    results: &mut [DesignResult],
    runs: &[Vec<Figures>],
    variation: Variation,
) {
    let own: Vec<Figures> = results.iter().map(|r| figures(&r.summary, r.cost.as_ref())).collect();
    let base = results.iter().position(|r| r.design.name == scenario.compare.baseline).unwrap_or(0);
    let confidence = scenario.compare.confidence;
    let minimized = scenario.objective.as_ref().map_or("", |objective| objective.minimize.as_str());
    let comparisons = results.len().saturating_sub(1).max(1);
    let shared = 1.0 - (1.0 - confidence) / comparisons as f64;
    let error_pct = loaded.trust.as_ref().and_then(|trust| trust.mean_error_pct).map(f64::abs);
    for (at, result) in results.iter_mut().enumerate() {
        let values =
            |key: &str| -> Vec<f64> { runs.iter().filter_map(|run| run[at].get(key).copied()).collect() };
        let estimates = own[at]
            .iter()
            .filter_map(|(key, value)| {
                Some((key.clone(), estimate(key, *value, &values(key), variation, confidence)?))
            })
            .collect();
        let difference = |key: &String| -> Option<(String, Difference)> {
            let observed = own[at].get(key)? - own[base].get(key)?;
            let pairs: Vec<f64> =
                runs.iter().filter_map(|run| Some(run[at].get(key)? - run[base].get(key)?)).collect();
            let found = estimate(key, observed, &pairs, variation, shared)?;
            let below = error_pct.filter(|_| is_wait(key)).map(|pct| {
                let reference = own[base][key].abs();
                found.value.abs() < reference * pct / 100.0
            });
            let ratio = ratio(at, base, key, &own, runs, variation, shared);
            let same = observed == 0.0 && pairs.iter().all(|difference| *difference == 0.0);
            let verdict = match &ratio {
                _ if same => Verdict::Same,
                Some(ratio) => verdict(ratio, 1.0),
                None => verdict(&found, 0.0),
            };
            Some((key.clone(), Difference { estimate: found, ratio, verdict, below_backtest_error: below }))
        };
        result.uncertainty = Some(Uncertainty {
            replicas: runs.len() as u32,
            variation,
            confidence,
            figures: estimates,
            decisive: runs.iter().map(|run| run[at].get(minimized).copied()).collect(),
            against_baseline: (at != base).then(|| own[at].keys().filter_map(difference).collect()),
        });
    }
}

/// Figures that a backtest judges.
fn is_wait(key: &str) -> bool {
    ["wait_s.", "turnaround_s.", "bounded_slowdown."].iter().any(|name| key.starts_with(name))
}

/// Whether the figure is a quantile or a maximum.
fn is_quantile(key: &str) -> bool {
    let last = key.rsplit('.').next().unwrap_or(key);
    last == "max" || last.strip_prefix('p').is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
}

pub(super) fn estimate(
    key: &str,
    observed: f64,
    values: &[f64],
    variation: Variation,
    confidence: f64,
) -> Option<Estimate> {
    let (value, interval) = match variation {
        Variation::Blocks { blocks, .. } => {
            (observed, bootstrap_interval(observed, values, blocks, confidence))
        }
        Variation::Seeds if is_quantile(key) => (median(values)?, median_interval(values, confidence)),
        Variation::Seeds => (mean(values)?, mean_interval(values, confidence)),
    };
    let bound = |of: fn(&Interval) -> f64| interval.as_ref().map(of);
    Some(Estimate { value, low: bound(|i| i.low), high: bound(|i| i.high) })
}

/// The ratio of a figure to the baseline's over rearranged traces.
fn ratio(
    at: usize,
    base: usize,
    key: &str,
    own: &[Figures],
    runs: &[Vec<Figures>],
    variation: Variation,
    confidence: f64,
) -> Option<Estimate> {
    let Variation::Blocks { .. } = variation else { return None };
    let of = |figures: &[Figures]| {
        let (ours, theirs) = (*figures[at].get(key)?, *figures[base].get(key)?);
        (ours > 0.0 && theirs > 0.0).then(|| ours / theirs)
    };
    let copies: Vec<f64> = runs.iter().map(|run| of(run)).collect::<Option<_>>()?;
    estimate(key, of(own)?, &copies, variation, confidence)
}

/// On which side of `nothing` the interval lies.
pub(super) fn verdict(found: &Estimate, nothing: f64) -> Verdict {
    match (found.low, found.high) {
        (Some(low), _) if low > nothing => Verdict::Higher,
        (_, Some(high)) if high < nothing => Verdict::Lower,
        _ => Verdict::NotDistinguishable,
    }
}

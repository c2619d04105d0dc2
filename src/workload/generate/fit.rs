//! How well a preset reproduces the cluster that it is named after.
//!
//! The targets are data (`targets.csv`): preset, metric, value, source. [`goodness_of_fit`] makes a
//! workload with the preset's own settings and puts its figures beside them. `traces/README.md` shows the
//! table; where the model does not fit, it says so there.

use super::{Model, Preset, ResearchParams, generate};
use crate::workload::stats::{Quantiles, TraceStats, stats};

/// A published or measured figure of a real cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The preset that aims at it.
    pub preset: Preset,
    /// Name of the metric: `gpu_run_s.p50`, `jobs_share.8` (share of GPU jobs with 8 GPUs), ...
    pub metric: String,
    /// The value there.
    pub value: f64,
    /// Largest |generated / target - 1| that a test lets pass; `None`: shown, known not to fit.
    pub tolerance: Option<f64>,
    /// Where it comes from.
    pub source: String,
}

/// A target beside what the generator made.
#[derive(Clone, Debug, PartialEq)]
pub struct FitRow {
    /// The target.
    pub target: Target,
    /// Mean of the generated values over the seeds.
    pub mean: f64,
    /// Smallest of them.
    pub low: f64,
    /// Largest of them.
    pub high: f64,
}

impl FitRow {
    /// mean / target - 1.
    #[must_use]
    pub fn relative_difference(&self) -> f64 {
        self.mean / self.target.value - 1.0
    }
}

/// All targets, in the order of the file.
#[must_use]
pub fn targets() -> Vec<Target> {
    let mut reader = csv::Reader::from_reader(include_str!("targets.csv").as_bytes());
    reader
        .records()
        .map(|row| {
            let row = row.expect("targets.csv is read by a test");
            let preset = Preset::ALL.iter().find(|(_, name)| *name == &row[0]).expect("a preset's name");
            Target {
                preset: preset.0,
                metric: row[1].to_owned(),
                value: row[2].parse().expect("a number"),
                tolerance: row[3].parse().ok(),
                source: row[4].to_owned(),
            }
        })
        .collect()
}

/// The targets of `preset` beside workloads made with its own settings and each of `seeds`: heavy tails
/// make one seed's mean a matter of luck. Presets without targets give no rows.
///
/// # Panics
/// If there are no seeds.
#[must_use]
pub fn goodness_of_fit(preset: Preset, seeds: &[u64]) -> Vec<FitRow> {
    assert!(!seeds.is_empty(), "a fit needs a seed");
    let model = Model::Research(ResearchParams { preset: Some(preset), ..ResearchParams::default() });
    let made: Vec<TraceStats> = seeds
        .iter()
        .map(|seed| stats(&generate(&model, *seed).expect("the presets are sound, a test says"), None))
        .collect();
    targets()
        .into_iter()
        .filter(|t| t.preset == preset)
        .map(|target| {
            // A size that was never drawn has the share 0.
            let values: Vec<f64> = made.iter().map(|s| figure(&target.metric, s).unwrap_or(0.0)).collect();
            FitRow {
                target,
                mean: values.iter().sum::<f64>() / values.len() as f64,
                low: values.iter().copied().fold(f64::INFINITY, f64::min),
                high: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            }
        })
        .collect()
}

/// The figure that a metric names.
fn figure(metric: &str, stats: &TraceStats) -> Option<f64> {
    let (name, part) = metric.split_once('.').unwrap_or((metric, ""));
    match name {
        "gpu_run_s" => quantile(stats.gpu_run_s?, part),
        "gpus_per_job" => quantile(stats.gpus_per_job?, part),
        "jobs_share" | "gpu_hours_share" => {
            let gpus: u64 = part.parse().ok()?;
            let size = stats.sizes.iter().find(|s| s.gpus == gpus)?;
            Some(if name == "jobs_share" { size.jobs_share } else { size.gpu_hours_share })
        }
        "class_jobs_share" => Some(stats.classes.get(part)?.jobs as f64 / stats.gpu_jobs as f64),
        "class_gpu_hours_share" => Some(stats.classes.get(part)?.gpu_hours_share),
        "cpu_jobs_share" => Some(1.0 - stats.gpu_jobs as f64 / stats.jobs as f64),
        "gpu_s_per_job" => Some(stats.gpu_hours * 3600.0 / stats.gpu_jobs as f64),
        "gpus_in_use" => Some(stats.gpu_hours * 3600.0 / stats.span_s),
        "submits_per_hour" => stats.arrivals.per_hour,
        "dispersion_per_hour" => stats.arrivals.dispersion_per_hour,
        "interarrival_cv2" => stats.arrivals.interarrival_cv2,
        _ => None,
    }
}

fn quantile(of: Quantiles, name: &str) -> Option<f64> {
    match name {
        "mean" => Some(of.mean),
        "p10" => Some(of.p10),
        "p50" => Some(of.p50),
        "p90" => Some(of.p90),
        "p99" => Some(of.p99),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_known() {
        for (preset, name) in Preset::ALL {
            let model = Model::Research(ResearchParams { preset: Some(preset), ..ResearchParams::default() });
            let figures = stats(&generate(&model, 3).unwrap(), None);
            for target in targets().iter().filter(|t| t.preset == preset) {
                assert!(figure(&target.metric, &figures).is_some(), "{name}: {}", target.metric);
                assert!(target.value > 0.0 && !target.source.is_empty());
            }
        }
    }
}

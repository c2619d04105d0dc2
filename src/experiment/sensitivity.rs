//! Does the verdict hold if jobs gain less, or more, from another GPU than the catalogue's typical value?
//!
//! Where the scenario gives no speeds and no level, a comparison is computed again at low and at high. A
//! verdict is the sign of a design's difference from the baseline in one figure; it flips if it is not the
//! same at low, typical and high.

use serde::Serialize;

use super::{DesignResult, ExperimentError, run_designs};
use crate::scenario::{Design, PolicyChoice, SpeedupLevel};
use crate::simulation::RunOptions;
use crate::workload::Workload;

/// The comparison at the other levels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sensitivity {
    /// Figure by figure, for every design but the baseline.
    pub verdicts: Vec<SpeedVerdict>,
}

/// One figure of a design against the baseline's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SpeedVerdict {
    /// The design.
    pub design: String,
    /// The figure.
    pub figure: &'static str,
    /// Its value and the baseline's, at low.
    pub low: Option<[f64; 2]>,
    /// At typical.
    pub typical: Option<[f64; 2]>,
    /// At high.
    pub high: Option<[f64; 2]>,
    /// Whether the sign of the difference is not the same at all three.
    pub flips: bool,
}

impl Sensitivity {
    /// The verdicts that do not hold.
    pub fn flips(&self) -> impl Iterator<Item = &SpeedVerdict> {
        self.verdicts.iter().filter(|verdict| verdict.flips)
    }
}

/// A figure of a design, if it is defined.
pub(super) type FigureOf = fn(&DesignResult) -> Option<f64>;

/// The figures that make a verdict.
pub(super) const FIGURES: [(&str, FigureOf); 5] = [
    ("mean wait (s)", |result| result.summary.wait_s.mean),
    ("p95 wait (s)", |result| result.summary.wait_s.p95),
    ("mean turnaround (s)", |result| result.summary.turnaround_s.mean),
    ("delivered GPU-hours per hour", |result| result.summary.throughput.delivered_gpu_hours_per_hour),
    ("cost per useful GPU-hour", |result| result.cost.as_ref()?.per_useful_gpu_hour.map(|m| m.as_units())),
];

/// Runs the comparison at low and high, where `results` (at typical) leave the level open; `None` where they
/// do not, or where there is nothing to compare.
///
/// # Errors
/// As [`run_designs`].
pub fn sensitivity(
    workload: &Workload,
    policy: &PolicyChoice,
    results: &[DesignResult],
    baseline: &str,
    options: &(dyn Fn() -> RunOptions<'static> + Sync),
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Sensitivity>, ExperimentError> {
    if results.len() < 2 || !results.iter().any(|result| result.translation.level_is_open) {
        return Ok(None);
    }
    let at = |level: SpeedupLevel| {
        let designs: Vec<Design> = results
            .iter()
            .map(|result| {
                let mut design = result.design.clone();
                design.speedup.level = Some(level);
                design
            })
            .collect();
        let options = || RunOptions { keep_allocations: false, ..options() };
        run_designs(workload, &designs, policy, &options, interrupted)
    };
    let (low, high) = (at(SpeedupLevel::Low)?, at(SpeedupLevel::High)?);
    let base = results.iter().position(|result| result.design.name == baseline).unwrap_or(0);
    let mut verdicts = Vec::new();
    for design in (0..results.len()).filter(|design| *design != base) {
        for (name, value) in FIGURES {
            let pair = |level: &[DesignResult]| Some([value(&level[design])?, value(&level[base])?]);
            let values = [pair(&low), pair(results), pair(&high)];
            if values.iter().all(Option::is_none) {
                continue;
            }
            let [low, typical, high] = values;
            verdicts.push(SpeedVerdict {
                design: results[design].design.name.clone(),
                figure: name,
                low,
                typical,
                high,
                flips: flips(values),
            });
        }
    }
    Ok(Some(Sensitivity { verdicts }))
}

/// Whether the differences do not all have the same sign; a value that is missing at one level only is a flip.
pub(super) fn flips(values: [Option<[f64; 2]>; 3]) -> bool {
    let signs = values.map(|pair| pair.map(|[ours, base]| ours.partial_cmp(&base)));
    signs.windows(2).any(|pair| pair[0] != pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_flips_when_its_sign_does() {
        assert!(!flips([Some([1.0, 2.0]), Some([1.5, 2.0]), Some([1.9, 2.0])]));
        assert!(flips([Some([1.0, 2.0]), Some([1.5, 2.0]), Some([2.1, 2.0])]));
        assert!(flips([Some([2.0, 2.0]), Some([1.5, 2.0]), Some([1.1, 2.0])]));
        assert!(flips([None, Some([1.5, 2.0]), Some([1.1, 2.0])]));
    }
}

//! Does a verdict depend on what is not known of a version of Slurm?
//!
//! Between two recorded versions the rows of the table of rules are all that is known. A comparison under such a version is
//! computed again under the recorded versions on either side; a verdict that is not the same under all three is told.

use serde::Serialize;

use super::sensitivity::{FIGURES, flips};
use super::{DesignResult, ExperimentError, run_designs};
use crate::scenario::{Design, PolicyChoice};
use crate::scheduler::slurm::config::Version;
use crate::simulation::RunOptions;
use crate::workload::Workload;

/// The comparison under the recorded versions beside the one that is simulated.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VersionCheck {
    /// What is simulated.
    pub version: String,
    /// The recorded version before it.
    pub below: String,
    /// The one after it.
    pub above: String,
    /// Figure by figure, for every design but the baseline.
    pub verdicts: Vec<VersionVerdict>,
}

/// One figure of a design against the baseline's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VersionVerdict {
    /// The design.
    pub design: String,
    /// The figure.
    pub figure: &'static str,
    /// Its value and the baseline's, under the version below.
    pub below: Option<[f64; 2]>,
    /// As simulated.
    pub here: Option<[f64; 2]>,
    /// Under the version above.
    pub above: Option<[f64; 2]>,
    /// Whether the sign of the difference is not the same under all three.
    pub flips: bool,
}

impl VersionCheck {
    /// The verdicts that do not hold.
    pub fn flips(&self) -> impl Iterator<Item = &VersionVerdict> {
        self.verdicts.iter().filter(|verdict| verdict.flips)
    }
}

/// Runs the comparison under the neighbours of the baseline's version; `None` where that is recorded itself, lies beyond
/// all recorded ones, or where there is nothing to compare.
///
/// # Errors
/// As [`run_designs`].
pub fn version_check(
    workload: &Workload,
    policy: &PolicyChoice,
    results: &[DesignResult],
    baseline: &str,
    options: &(dyn Fn() -> RunOptions<'static> + Sync),
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Option<VersionCheck>, ExperimentError> {
    let base = results.iter().position(|result| result.design.name == baseline).unwrap_or(0);
    let version = |result: &DesignResult| result.design.slurm.as_ref().map(|site| site.version);
    let Some(version_here) = results.get(base).and_then(version).filter(|_| results.len() > 1) else {
        return Ok(None);
    };
    let Some([below, above]) = version_here.recorded_beside() else { return Ok(None) };
    let under = |other: Version| {
        let changed = |result: &DesignResult| {
            let mut design = result.design.clone();
            if let Some(site) = design.slurm.as_mut().filter(|site| site.version.recorded_beside().is_some())
            {
                site.version = other;
            }
            design
        };
        let designs: Vec<Design> = results.iter().map(changed).collect();
        let options = || RunOptions { keep_allocations: false, ..options() };
        run_designs(workload, &designs, policy, &options, interrupted)
    };
    let (low, high) = (under(below)?, under(above)?);
    let mut verdicts = Vec::new();
    for design in (0..results.len()).filter(|design| *design != base) {
        for (figure, value) in FIGURES {
            let pair = |of: &[DesignResult]| Some([value(&of[design])?, value(&of[base])?]);
            let values = [pair(&low), pair(results), pair(&high)];
            if values.iter().all(Option::is_none) {
                continue;
            }
            let ([below, here, above], name) = (values, results[design].design.name.clone());
            verdicts.push(VersionVerdict { design: name, figure, below, here, above, flips: flips(values) });
        }
    }
    let [version, below, above] = [version_here, below, above].map(|version| version.to_string());
    Ok(Some(VersionCheck { version, below, above, verdicts }))
}

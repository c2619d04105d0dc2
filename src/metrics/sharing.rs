//! Figures of runs on shared GPUs.
//!
//! Definitions. Allocation ratio: held / installed GPU time, where an instance counts as its share of the compute
//! slices. Fragmentation (FGD): free GPU that the usual requests cannot use, the usual requests being the most
//! frequent ones that make 95 % of the jobs; the ratio is its share of the free GPU, both over time. External
//! fragmentation: compute slices of GPUs in use that no instance can be made of (or is, where layouts are
//! fixed). Internal slack: held GPU beyond what the job asked for, as a share of what is held.

use serde::Serialize;

use super::share;
use crate::simulation::Outcome;

/// Where GPUs are shared.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SharingFigures {
    /// Held / installed GPU time.
    pub allocation_ratio: Option<f64>,
    /// GPU time at work / installed GPU time until the design's own last instant, not that of the comparison.
    pub at_work_to_own_end: Option<f64>,
    /// Unusable / free GPU time.
    pub fragmentation_ratio: Option<f64>,
    /// GPUs that the usual requests cannot use, mean over time.
    pub fragmentation_gpus: Option<f64>,
    /// Compute slices stranded, mean over time.
    pub stranded_slices: Option<f64>,
    /// Stranded / installed GPU time.
    pub stranded_share: Option<f64>,
    /// Held beyond what was asked for / held GPU time.
    pub internal_slack: Option<f64>,
    /// Lost to jobs on the same GPU / held GPU time.
    pub neighbours_share: Option<f64>,
    /// Changes of a GPU's layout.
    pub repartitions: u64,
    /// Instances created.
    pub instances_made: u64,
    /// Instances destroyed.
    pub instances_destroyed: u64,
    /// GPU time under change / installed GPU time.
    pub startup_share: Option<f64>,
}

/// The figures; `None` where GPUs were given whole.
pub(super) fn figures(outcome: &Outcome) -> Option<SharingFigures> {
    let facts = outcome.shared.as_deref()?;
    let gpu = outcome.hours.total().gpu;
    let over_span = |amount: f64| (facts.span_us > 0).then(|| amount / facts.span_us as f64);
    let free = facts.free_milli_us as f64;
    Some(SharingFigures {
        allocation_ratio: share(gpu.allocated(), gpu.installed),
        at_work_to_own_end: share(gpu.productive, facts.installed_units),
        fragmentation_ratio: (free > 0.0).then(|| facts.fragmented_milli_us / free),
        fragmentation_gpus: over_span(facts.fragmented_milli_us / 1000.0),
        stranded_slices: over_span(facts.stranded_slices_us as f64),
        stranded_share: share(gpu.stranded, gpu.installed),
        internal_slack: share(gpu.slack, gpu.allocated()),
        neighbours_share: share(gpu.neighbours, gpu.allocated()),
        repartitions: facts.repartitions,
        instances_made: facts.instances_made,
        instances_destroyed: facts.instances_destroyed,
        startup_share: share(gpu.startup + gpu.restart, gpu.installed),
    })
}

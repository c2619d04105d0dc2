//! A run on GPUs that may be shared: shares, MIG instances, layouts that change, speeds that change.
//!
//! The job state machine is that of [`simulate`](super::simulate); what differs:
//!
//! ```text
//!   waiting ─> placed ─┬─> running ──────────────────────────> ended      speed constant between events
//!                      └─> its instance is being made ─> running          (GPU hours: startup)
//! ```
//!
//! - `model`: the kernel's model
//! - `work`: work left and speed of each running job; only events on its GPUs change its speed
//! - `layouts`: instances made for the queue, kept for a while, and made ready
//! - `meter`: the hours, exact in integers
//!
//! Work is counted in microseconds x 10^-9 and speed in parts per 10^9, so settling is exact and does not
//! depend on how often it happens; an end is the ceiling of work left / speed. A job's reference is what it asks
//! for, or a whole GPU ([`MeasuredOn`](crate::scheduler::shared::MeasuredOn)).

mod hosts;
mod layouts;
mod meter;
mod model;
mod work;

use crate::cluster::cards::CardAllocation;
use crate::cluster::{Amounts, ClusterSpec};
use crate::ids::{IdVec, JobId};
use crate::kernel::{self, Calendar, RunEnd};
use crate::scheduler::shared::demand::CardShapes;
use crate::scheduler::shared::floor::CardFloor;
use crate::scheduler::shared::{SharedScheduler, SharedSetup, Speeds, typical_mix};
use crate::scheduler::{BackfillSpec, Ordering, PlacementSpec};
use crate::simulation::{Outcome, RunError, RunOptions};
use crate::time::SimTime;
use crate::workload::Workload;

/// A policy for shared GPUs.
pub struct SharedPolicy {
    /// Queue order.
    pub ordering: Box<dyn Ordering>,
    /// Node and card choice.
    pub placement: PlacementSpec,
    /// What may pass a blocked head; not conservative.
    pub backfill: BackfillSpec,
}

/// A holding as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardHolding {
    /// Who.
    pub job: JobId,
    /// Taken at (an instance may be made from then on).
    pub from: SimTime,
    /// Given back at, or [`SimTime::NEVER`].
    pub until: SimTime,
    /// What.
    pub allocation: CardAllocation,
}

/// What only runs on shared GPUs tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SharedFacts {
    /// Every holding in order of its beginning, if allocations were kept.
    pub holdings: Vec<CardHolding>,
    /// Changes of a GPU's layout.
    pub repartitions: u64,
    /// Instances created.
    pub instances_made: u64,
    /// Instances destroyed.
    pub instances_destroyed: u64,
    /// Asked for by each request on the first pool that can hold it; GPUs are devices.
    pub asked: Vec<Amounts>,
    /// Hours units of GPUs that each job held; 0 if it never started.
    pub units: IdVec<JobId, u32>,
    /// Reference GPU time of each request's job: thousandths of a GPU for each microsecond of its run time.
    pub reference_milli: Vec<u64>,
    /// Free GPU that the usual requests cannot use (FGD's measure), thousandths x microseconds, over time.
    pub fragmented_milli_us: f64,
    /// Free GPU, thousandths x microseconds.
    pub free_milli_us: i128,
    /// Compute slices of GPUs in use that no instance can be made of, x microseconds.
    pub stranded_slices_us: i128,
    /// Time of all this.
    pub span_us: i128,
    /// GPUs x that time, in units of the hours.
    pub installed_units: i128,
}

/// Runs `workload` on `cluster`, whose GPUs are given out as `setup` says.
///
/// # Errors
/// [`RunError`]: a defect of the policy, a stall, a budget, an interruption, or what cannot be run so.
pub fn simulate_shared(
    workload: &Workload,
    cluster: &ClusterSpec,
    setup: &SharedSetup,
    policy: SharedPolicy,
    options: &RunOptions<'_>,
) -> Result<Outcome, RunError> {
    if !options.outages.is_empty() {
        return Err(RunError::Unsupported("nodes down and reservations on pools that share GPUs"));
    }
    if options.tenancy.is_some_and(|spec| spec.pools.iter().any(|pool| !pool.is_simple())) {
        return Err(RunError::Unsupported(
            "elastic pools, maintenance, failures and snapshots for jobs that ask for parts of GPUs",
        ));
    }
    let floor = CardFloor::of_cards(cluster, &setup.cards, true);
    let shapes = CardShapes::of_cards(workload, cluster, &setup.cards);
    let slowest = options.speeds.map(|speeds| {
        speeds
            .slowest_of(workload, |request| shapes.get(shapes.of(request)).pools.iter().map(|pool| pool.pool))
    });
    let recorded = workload;
    let workload = slowest.as_ref().unwrap_or(recorded);
    let mix = typical_mix(workload, &shapes, &floor);
    let speeds = Speeds::new(setup.speeds.clone(), workload);
    let rules = (policy.ordering, policy.placement, policy.backfill);
    let scheduler = SharedScheduler::of_cards(workload, shapes, speeds, &floor, &mix, rules);
    let mut model = model::SharedBatch::new(workload, recorded, floor, scheduler, mix, setup, options);
    let mut calendar = Calendar::new();
    let report = kernel::run(&mut model, &mut calendar, options.budget, options.interrupted);
    match report.end {
        RunEnd::Drained => model.stall_if_waiting(report.now)?,
        RunEnd::Horizon => {}
        RunEnd::EventBudget => return Err(RunError::EventBudget(report.events)),
        RunEnd::Interrupted => return Err(RunError::Interrupted),
        RunEnd::Stalled(at) => return Err(model.stalled(at)),
        RunEnd::Broken => return Err(model.broken_by(report.now)),
    }
    Ok(model.finish(&report))
}

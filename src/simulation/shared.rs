//! Runs on GPUs that may be given out in parts: shares, MIG instances, layouts that change.
//!
//! The life of jobs is that of every run (`simulation::run`); what belongs to parts of GPUs only is in
//! `run::cards` and `run::layouts`. Work is counted in microseconds x 10^-9 and speed in parts per 10^9. A job's
//! reference is what it asks for, or a whole GPU ([`MeasuredOn`](crate::scheduler::shared::MeasuredOn)).

use super::guests::Guests;
use super::preemptive::decider::Preempting;
use super::run::cards::CardSide;
use super::run::{Parts, Run};
use super::run_to_its_end;
use crate::cluster::cards::CardAllocation;
use crate::cluster::{Amounts, CardMode, ClusterSpec};
use crate::ids::{IdVec, JobId};
use crate::scheduler::shared::demand::CardShapes;
use crate::scheduler::shared::floor::CardFloor;
use crate::scheduler::shared::{SharedScheduler, SharedSetup, Speeds, typical_mix};
use crate::scheduler::{BackfillSpec, Ordering, PlacementSpec, PreemptiveSpec};
use crate::simulation::{Outcome, RunError, RunOptions};
use crate::tenancy::RunTenancy;
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
    run_on_cards(workload, cluster, setup, policy, None, options)
}

/// A classic policy on parts of GPUs, or a preemptive one over its placement.
pub(super) fn run_on_cards(
    workload: &Workload,
    cluster: &ClusterSpec,
    setup: &SharedSetup,
    policy: SharedPolicy,
    preemptive: Option<&PreemptiveSpec>,
    options: &RunOptions<'_>,
) -> Result<Outcome, RunError> {
    let floor = CardFloor::of_cards(cluster, &setup.cards, true);
    let shapes = CardShapes::of_cards(workload, cluster, &setup.cards);
    let slowest = options.speeds.map(|speeds| {
        speeds
            .slowest_of(workload, |request| shapes.get(shapes.of(request)).pools.iter().map(|pool| pool.pool))
    });
    let recorded = workload;
    let workload = slowest.as_ref().unwrap_or(recorded);
    // Parts of GPUs have a speed of their own, so their jobs are followed as those in VMs are.
    let has_parts = setup.cards.iter().any(|pool| pool.mode != CardMode::Whole) || shapes.ask_for_parts();
    let follows = preemptive.is_some() || has_parts;
    let mix = typical_mix(workload, &shapes, &floor);
    let speeds = Speeds::new(setup.speeds.clone(), workload);
    let rules = (policy.ordering, policy.placement, policy.backfill);
    let decider = SharedScheduler::of_cards(workload, shapes, speeds, &floor, &mix, rules);
    let side =
        CardSide::new(&floor, setup, decider.shapes(), mix, (workload.jobs.len(), options.keep_allocations));
    let bare_metal = RunTenancy::bare_metal(cluster.pools.len(), workload.jobs.len());
    let tenancy = options.tenancy.or(follows.then_some(&bare_metal));
    let guests = tenancy.map(|spec| {
        let laws = Speeds::new(setup.speeds.clone(), workload);
        Guests::new(spec, cluster, options.seed, recorded.first_submit()).with_laws(laws)
    });
    let ground = floor;
    match preemptive {
        None => {
            let parts = Parts { workload, recorded, cluster, ground, decider, side, guests };
            run_to_its_end(Run::new(parts, options), options)
        }
        Some(spec) => {
            let decider = Preempting::new(decider, workload, spec, options);
            let parts = Parts { workload, recorded, cluster, ground, decider, side, guests };
            run_to_its_end(Run::new(parts, options), options)
        }
    }
}

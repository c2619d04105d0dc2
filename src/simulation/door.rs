//! The one door: a workload, the hardware, who decides, and what to keep.
//!
//! Which kind of floor is built follows from the hardware, which decider from the policy; every caller comes through
//! [`simulate`]. A new policy of the classic family is a [`Policy`]; one that stops jobs goes over its placement.

use super::guests::Guests;
use super::preemptive::at_every_event;
use super::preemptive::decider::{Placer, Preempting};
use super::run::cards::CardSide;
use super::run::ground::{Decider, NoSide};
use super::run::{Parts, Run};
use super::slurm::{Command, simulate_slurm};
use super::{Outcome, RunError, RunOptions};
use crate::cluster::{CardMode, ClusterSpec};
use crate::kernel::{self, Calendar, RunEnd};
use crate::scheduler::ordering::BySubmit;
use crate::scheduler::placement::placement;
use crate::scheduler::preemptive::OverheadRule;
use crate::scheduler::shared::demand::CardShapes;
use crate::scheduler::shared::floor::CardFloor;
use crate::scheduler::shared::{SharedScheduler, SharedSetup, Speeds, typical_mix};
use crate::scheduler::slurm::config::SlurmConfig;
use crate::scheduler::{
    BackfillSpec, Classic, Floor, Ordering, Placement, PlacementSpec, PreemptiveSpec, Shapes,
};
use crate::tenancy::RunTenancy;
use crate::time::SimTime;
use crate::workload::Workload;

/// What a workload runs on. A [`ClusterSpec`] alone is whole GPUs.
#[derive(Clone, Copy, Debug)]
pub struct Hardware<'a> {
    /// The nodes.
    pub cluster: &'a ClusterSpec,
    /// How GPUs are given out in parts; `None` = every GPU whole, to one job.
    pub sharing: Option<&'a SharedSetup>,
}

impl<'a> From<&'a ClusterSpec> for Hardware<'a> {
    fn from(cluster: &'a ClusterSpec) -> Self {
        Self { cluster, sharing: None }
    }
}

/// Node choice.
pub enum NodeChoice {
    /// A built-in rule.
    Named(PlacementSpec),
    /// A rule of one's own, for whole GPUs.
    Own(Box<dyn Placement>),
}

impl From<PlacementSpec> for NodeChoice {
    fn from(spec: PlacementSpec) -> Self {
        Self::Named(spec)
    }
}

/// A policy made of the public traits.
pub struct Policy {
    /// Queue order.
    pub ordering: Box<dyn Ordering>,
    /// Node choice.
    pub placement: NodeChoice,
    /// What may pass a blocked head.
    pub backfill: BackfillSpec,
}

/// Who decides.
pub enum DecidedBy<'a> {
    /// A classic policy: queue order, node choice, backfill.
    Classic(Policy),
    /// A policy that stops jobs to let others run.
    Preemptive(&'a PreemptiveSpec),
    /// The controller of a Slurm site, with an administrator's commands in order of time. The site's nodes are
    /// those of the cluster, in the same order.
    Slurm(&'a SlurmConfig, &'a [(SimTime, Command)]),
}

impl From<Policy> for DecidedBy<'_> {
    fn from(policy: Policy) -> Self {
        Self::Classic(policy)
    }
}

/// Runs `workload` on `hardware`; `policy` decides.
///
/// # Errors
/// [`RunError`]: a defect of the policy, a stall, a budget, an interruption, or a placement of one's own on parts of
/// GPUs.
///
/// # Panics
/// Where a preemptive policy charges overhead at every event: if the nodes do not have equal numbers of GPUs; a
/// scenario is refused before.
pub fn simulate<'a>(
    workload: &Workload,
    hardware: impl Into<Hardware<'a>>,
    policy: impl Into<DecidedBy<'a>>,
    options: &RunOptions<'_>,
) -> Result<Outcome, RunError> {
    let Hardware { cluster, sharing } = hardware.into();
    match (policy.into(), sharing) {
        (DecidedBy::Classic(policy), None) => on_nodes(workload, cluster, policy, None, options),
        (DecidedBy::Classic(policy), Some(setup)) => {
            on_cards(workload, (cluster, setup), policy, None, options)
        }
        (DecidedBy::Preemptive(spec), _) if spec.rule == OverheadRule::EveryEvent => {
            at_every_event(workload, cluster, spec, options)
        }
        (DecidedBy::Preemptive(spec), None) => on_nodes(workload, cluster, one_by_one(), Some(spec), options),
        (DecidedBy::Preemptive(spec), Some(setup)) => {
            on_cards(workload, (cluster, setup), one_by_one(), Some(spec), options)
        }
        (DecidedBy::Slurm(site, commands), sharing) => {
            simulate_slurm(workload, cluster, (site, sharing), commands, options)
        }
    }
}

/// What a preemptive policy stands on: the order is its own, jobs are placed one after the other.
fn one_by_one() -> Policy {
    Policy {
        ordering: Box::new(BySubmit),
        placement: NodeChoice::Named(PlacementSpec::FirstFit),
        backfill: BackfillSpec::Greedy,
    }
}

/// On whole GPUs.
fn on_nodes(
    workload: &Workload,
    cluster: &ClusterSpec,
    policy: Policy,
    preemptive: Option<&PreemptiveSpec>,
    options: &RunOptions<'_>,
) -> Result<Outcome, RunError> {
    let floor = Floor::new(cluster);
    let shapes = Shapes::new(workload, cluster);
    let slowest = options.speeds.map(|speeds| speeds.slowest(workload, &shapes));
    let recorded = workload;
    let workload = slowest.as_ref().unwrap_or(recorded);
    let choice = match policy.placement {
        NodeChoice::Named(spec) => placement(spec, options.leaves),
        NodeChoice::Own(own) => own,
    };
    let decider = Classic::new(workload, shapes, &floor, policy.ordering, choice, policy.backfill);
    // Where jobs are stopped and go on, their work is followed as that of guests.
    let bare_metal = RunTenancy::bare_metal(cluster.pools.len(), workload.jobs.len());
    let tenancy = options.tenancy.or(preemptive.map(|_| &bare_metal));
    let from = recorded.first_submit();
    let guests = tenancy.map(|spec| Guests::new(spec, cluster, options.seed, from));
    let parts = Parts { workload, recorded, cluster, ground: floor, decider, side: NoSide, guests };
    run(parts, preemptive, options)
}

/// On parts of GPUs.
fn on_cards(
    workload: &Workload,
    (cluster, setup): (&ClusterSpec, &SharedSetup),
    policy: Policy,
    preemptive: Option<&PreemptiveSpec>,
    options: &RunOptions<'_>,
) -> Result<Outcome, RunError> {
    let NodeChoice::Named(placement) = policy.placement else { return Err(RunError::OwnPlacementOnParts) };
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
    let laws = || Speeds::new(setup.speeds.clone(), workload);
    let rules = (policy.ordering, placement, policy.backfill);
    let mut decider = SharedScheduler::of_cards(workload, shapes, laws(), &floor, &mix, rules);
    decider.on_leaves(options.leaves.filter(|_| placement == PlacementSpec::Topology));
    let side =
        CardSide::new(&floor, setup, decider.shapes(), mix, (workload.jobs.len(), options.keep_allocations));
    let bare_metal = RunTenancy::bare_metal(cluster.pools.len(), workload.jobs.len());
    let tenancy = options.tenancy.or(follows.then_some(&bare_metal));
    let from = recorded.first_submit();
    let guests = tenancy.map(|spec| Guests::new(spec, cluster, options.seed, from).with_laws(laws()));
    let parts = Parts { workload, recorded, cluster, ground: floor, decider, side, guests };
    run(parts, preemptive, options)
}

/// Runs a classic policy, or a preemptive one over its placement.
fn run<D: Placer>(
    parts: Parts<'_, D>,
    preemptive: Option<&PreemptiveSpec>,
    options: &RunOptions<'_>,
) -> Result<Outcome, RunError> {
    let Some(spec) = preemptive else { return to_its_end(Run::new(parts, options), options) };
    let Parts { workload, recorded, cluster, ground, decider, side, guests } = parts;
    let decider = Preempting::new(decider, workload, spec, options);
    let parts = Parts { workload, recorded, cluster, ground, decider, side, guests };
    to_its_end(Run::new(parts, options), options)
}

/// Runs the events of a core to their end.
fn to_its_end<D: Decider>(mut core: Run<'_, D>, options: &RunOptions<'_>) -> Result<Outcome, RunError> {
    let mut calendar = Calendar::new();
    core.prepare(&mut calendar);
    let report = kernel::run(&mut core, &mut calendar, options.budget, options.interrupted);
    match report.end {
        RunEnd::Drained => core.stall_if_waiting(report.now)?,
        RunEnd::Horizon => {}
        RunEnd::EventBudget => return Err(RunError::EventBudget(report.events)),
        RunEnd::Interrupted => return Err(RunError::Interrupted),
        RunEnd::Stalled(at) => return Err(core.stalled(at)),
        RunEnd::Broken => return Err(core.broken_by(report.now)),
    }
    Ok(core.finish(&report))
}

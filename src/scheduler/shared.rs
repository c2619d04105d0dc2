//! The policies where GPUs are shared: order x placement x backfill over parts of GPUs.
//!
//! ```text
//!   requests --demand--> parts: whole GPUs | shares | MIG instances, with CPUs and memory
//!                          |
//!   queue (as for whole GPUs) --pass--> nodes by score --fit--> cards, starts of instances, layouts to change
//! ```
//!
//! - [`demand`]: what a request means on a pool; what no node can ever hold
//! - [`fit`]: which cards and instances of a node a part gets, and what must be cut anew for it
//! - [`floor`]: the floor with its nodes in thousandths
//! - [`judge`]: how well a part sits on a node, and what it gets there
//! - [`kind`]: what the rules of [`backfill`](super::backfill) ask of parts of GPUs
//! - [`plans`]: everybody's devices in order of time, for conservative plans
//! - [`planner`]: the layouts that serve the queue best
//! - [`speed`]: how fast a job runs on what it has
//!
//! The rules are those of [`backfill`](super::backfill), which knows no difference. EASY's shadow time is the first instant at which the head
//! can be placed after the expected releases, layouts changed where that is allowed; its parts of GPUs are
//! reserved. A candidate ends by then or leaves them alone. Estimated ends are start + limit / speed alone, the
//! speed relative to what the run time was measured on. On whole GPUs the starts equal those of whole GPUs (tested).
//!
//! Ties: jobs by submit order; nodes by lowest id; cards and starts as [`fit::CardRule`] says, then lowest.

pub mod demand;
pub mod fit;
pub mod floor;
pub mod judge;
pub mod kind;
pub mod planner;
pub mod plans;
pub mod speed;

use self::demand::CardShapes;
use self::fit::Chosen;
use self::floor::CardFloor;
use self::judge::Judge;
use super::backfill::{Backfill, Start};
use super::ordering::Ordering;
use super::policy::{BackfillSpec, PlacementSpec};
use super::sharing::TypicalMix;
use crate::cluster::Cards;
use crate::cluster::cards::CardPool;
use crate::time::SimDuration;
use crate::workload::Workload;

pub use speed::{ClassLaw, CoLocation, MeasuredOn, PairTable, SPEED_ONE, SpeedRules, Speeds};

/// How long it takes to change the layout of a GPU of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayoutTimes {
    /// Destroying or creating one instance; one after the other on a GPU.
    pub per_instance: SimDuration,
    /// Switching MIG on or off on a GPU.
    pub mode: SimDuration,
    /// Everything on an empty node, where the node must be empty.
    pub node: SimDuration,
    /// How long an instance that was in use stays before it may be destroyed; with a planner, the time between
    /// two plans.
    pub keep: SimDuration,
}

/// What a design and its scenario say about shared GPUs.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedSetup {
    /// How the GPUs of each pool are given out.
    pub cards: Vec<CardPool>,
    /// How long changes of layouts take, by pool.
    pub times: Vec<LayoutTimes>,
    /// How fast jobs run.
    pub speeds: SpeedRules,
}

/// A started job.
pub type CardStart = Start<Cards>;

/// A policy over one workload and cluster.
pub type SharedScheduler<'w> = Backfill<'w, Cards>;

impl<'w> SharedScheduler<'w> {
    /// A policy over `workload` on `floor`.
    #[must_use]
    pub fn of_cards(
        workload: &'w Workload,
        shapes: CardShapes,
        speeds: Speeds,
        floor: &CardFloor,
        mix: &TypicalMix,
        (ordering, placement, backfill): (Box<dyn Ordering>, PlacementSpec, BackfillSpec),
    ) -> Self {
        let judge = Judge::new(placement, floor.ledger(), &shapes.parts, mix);
        Self::of(workload, shapes, speeds, floor, (ordering, judge, backfill))
    }

    /// Jobs on several nodes get few of these leaves, by node.
    pub fn on_leaves(&mut self, leaves: Option<&[u32]>) {
        self.judge_mut().leaves = leaves.map(Into::into);
    }
}

/// The mix of requests of a workload in thousandths, for FGD and for the fragmentation figure: the most
/// frequent ones that make 95 % of the jobs (as FGD's authors take it).
#[must_use]
pub fn typical_mix(workload: &Workload, shapes: &CardShapes, floor: &CardFloor) -> TypicalMix {
    let mut demands = Vec::with_capacity(workload.jobs.len());
    for job in workload.jobs.iter() {
        let shape = shapes.get(shapes.of(job.request));
        if let Some((part, _)) = shape.pools.first().and_then(|pool| pool.groups.first()) {
            let part = shapes.parts.get(*part);
            let spec = floor.ledger().spec(part.pool);
            demands.push((judge::shared_demand(part, spec), 0));
        }
    }
    TypicalMix::most_frequent(&demands, 95)
}

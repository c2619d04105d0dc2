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
//! - [`floor`]: the ledger of cards with expected releases
//! - `rooms`: where each part has room, with scores that follow the ledger
//! - `pass`: head starts, then what the backfill rule lets pass, as in [`classic`](super::classic)
//! - [`planner`]: the layouts that serve the queue best
//! - [`speed`]: how fast a job runs on what it has
//!
//! Definitions are those of the classic policies. EASY's shadow time is the first instant at which the head
//! can be placed after the expected releases, layouts changed where that is allowed; its parts of GPUs are
//! reserved. A candidate ends by then or leaves them alone. Estimated ends are start + limit / speed alone, the
//! speed relative to what the run time was measured on. On whole GPUs the starts equal those of `classic` (tested).
//!
//! Ties: jobs by submit order; nodes by lowest id; cards and starts as [`fit::CardRule`] says, then lowest.

pub mod demand;
pub mod fit;
pub mod floor;
mod pass;
pub mod planner;
mod reserve;
mod rooms;
pub mod speed;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use self::demand::CardShapes;
use self::floor::{CardFloor, NodeReshape};
use self::rooms::{Judge, Rooms};
use super::classic::Pending;
use super::ordering::{JobView, Ordering};
use super::policy::{BackfillSpec, PlacementSpec};
use super::queue::{Position, Queue};
use super::sharing::TypicalMix;
use crate::cluster::cards::{CardAllocation, CardNode, CardPool};
use crate::cluster::{Amounts, Total};
use crate::ids::{JobId, NodeId, PoolId, RequestId, ShapeId, TenantId};
use crate::time::{SimDuration, SimTime};
use crate::workload::{Job, Workload};

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
#[derive(Clone, Debug)]
pub struct CardStart {
    /// The job.
    pub job: JobId,
    /// What it holds.
    pub allocation: CardAllocation,
    /// What was cut anew for it.
    pub reshapes: Vec<NodeReshape>,
    /// Slot that it holds on the floor.
    pub slot: u32,
    /// When it is expected to end.
    pub expected: SimTime,
}

/// What is kept for the head of the queue.
#[derive(Clone, Debug)]
pub(super) struct CardReservation {
    pub(super) job: JobId,
    pub(super) shadow: SimTime,
    /// Whose it is, where the reserved hosts are dedicated: others keep off them beyond the shadow time.
    pub(super) tenant: Option<TenantId>,
    /// Reserved nodes as they will be at the shadow time with the head on them.
    pub(super) nodes: SmallVec<[(NodeId, CardNode); 2]>,
}

/// Queue, caches and rules of a policy over one workload and cluster.
pub struct SharedScheduler<'w> {
    workload: &'w Workload,
    shapes: CardShapes,
    speeds: Speeds,
    rooms: Rooms,
    judge: Judge,
    queue: Queue,
    fresh: Vec<JobId>,
    ordering: Box<dyn Ordering>,
    backfill: BackfillSpec,
    rekeyed_at: Option<SimTime>,
    reservation: Option<CardReservation>,
    /// The blocked head, and the ledger's version under which nobody could pass it.
    settled: Option<(Position, usize)>,
    free_slots: Vec<u32>,
    slots: u32,
    /// Jobs that stand for another request than they came with.
    rerouted: FxHashMap<JobId, RequestId>,
}

impl<'w> SharedScheduler<'w> {
    /// A policy over `workload` on `floor`.
    #[must_use]
    pub fn new(
        workload: &'w Workload,
        shapes: CardShapes,
        speeds: Speeds,
        floor: &CardFloor,
        mix: &TypicalMix,
        (ordering, placement, backfill): (Box<dyn Ordering>, PlacementSpec, BackfillSpec),
    ) -> Self {
        let rooms = Rooms::new(&shapes.parts, floor);
        let judge = Judge::new(placement, floor, mix);
        let queue = Queue::new((0..shapes.len()).map(|_| Amounts::ZERO));
        Self {
            workload,
            shapes,
            speeds,
            rooms,
            judge,
            queue,
            fresh: Vec::new(),
            ordering,
            backfill,
            rekeyed_at: None,
            reservation: None,
            settled: None,
            free_slots: Vec::new(),
            slots: 0,
            rerouted: FxHashMap::default(),
        }
    }

    /// What requests mean on this cluster.
    #[must_use]
    pub fn shapes(&self) -> &CardShapes {
        &self.shapes
    }

    /// How fast jobs run.
    #[must_use]
    pub fn speeds(&self) -> &Speeds {
        &self.speeds
    }

    /// A job as the scheduler sees it.
    #[must_use]
    pub fn job(&self, job: JobId) -> &Job {
        &self.workload.jobs[job]
    }

    /// Thousandths of its GPUs that a job used where it was recorded.
    #[must_use]
    pub fn util_milli(&self, job: JobId) -> Option<u16> {
        self.workload.recorded.gpu_util_milli(job)
    }

    /// What a job asks for on this cluster.
    #[must_use]
    pub fn shape_of(&self, job: JobId) -> ShapeId {
        let own = self.workload.jobs[job].request;
        self.shapes.of(self.rerouted.get(&job).copied().unwrap_or(own))
    }

    /// From now on `job`, which is not queued, stands for `request`.
    pub fn reroute(&mut self, job: JobId, request: RequestId) {
        self.rerouted.insert(job, request);
    }

    /// Whether it does.
    #[must_use]
    pub fn is_rerouted(&self, job: JobId, request: RequestId) -> bool {
        self.rerouted.get(&job) == Some(&request)
    }

    /// The waiting jobs.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// When the head of the queue is expected to start, where the policy reserves for it.
    #[must_use]
    pub fn shadow(&self) -> Option<(JobId, SimTime)> {
        self.reservation.as_ref().map(|reservation| (reservation.job, reservation.shadow))
    }

    /// Jobs that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.len() + self.fresh.len()
    }

    /// Takes a job in; it enters the queue with the next pass.
    pub fn enqueue(&mut self, job: JobId) {
        self.fresh.push(job);
    }

    /// Takes a waiting job out of the queue; tells whether it was waiting.
    pub fn withdraw(&mut self, job: JobId, now: SimTime) -> bool {
        if let Some(at) = self.fresh.iter().position(|fresh| *fresh == job) {
            self.fresh.remove(at);
            return true;
        }
        let position = self.position(job, self.rekeyed_at.unwrap_or(now));
        self.queue.remove(&position)
    }

    /// A slot number given back by a job that ended.
    pub fn free_slot(&mut self, slot: u32) {
        self.free_slots.push(slot);
    }

    /// Why the first waiting job waits.
    #[must_use]
    pub fn head_reason(&self, floor: &CardFloor) -> Option<(JobId, Pending)> {
        let (position, shape) = self.queue.head()?;
        let ledger = floor.ledger();
        let enough =
            self.shapes.get(shape).pools.iter().any(|pool| ledger.pool_free(pool.pool).holds(&pool.least));
        Some((position.job(), if enough { Pending::Fragmentation } else { Pending::Resources }))
    }

    fn position(&self, job: JobId, now: SimTime) -> Position {
        let row = &self.workload.jobs[job];
        let shape = self.shapes.get(self.shape_of(job));
        let (asked, nodes) = shape.pools.first().map_or((Amounts::ZERO, 0), |p| (p.asked, p.nodes));
        let view =
            JobView { id: job, job: row, cpus: asked.cpus, gpus: asked.gpus, nodes, workload: self.workload };
        Position::new(self.ordering.key(&view, now), job)
    }

    /// How long a job is expected to hold `allocation` in `pool`: its limit, stretched by how much slower it
    /// runs there alone than on what it was measured on.
    fn estimate(
        &self,
        job: JobId,
        shape: ShapeId,
        pool: PoolId,
        allocation: &CardAllocation,
        floor: &CardFloor,
    ) -> SimDuration {
        let row = &self.workload.jobs[job];
        let spec = floor.ledger().spec(pool);
        let pools = &self.shapes.get(shape).pools;
        let fit = pools.iter().find(|p| p.pool == pool).expect("the pool holds the shape");
        let reference = self.speeds.reference(row, fit.reference);
        let on =
            |grant: &crate::cluster::CardGrant| self.speeds.alone(row, &grant.gpus, pool.0 as usize, spec);
        let alone = allocation.iter().map(on).min().unwrap_or(SPEED_ONE);
        if alone == reference {
            return row.limit;
        }
        let us = i128::from(row.limit.micros()) * i128::from(reference);
        let stretched = (us + i128::from(alone) - 1) / i128::from(alone);
        SimDuration::from_micros(i64::try_from(stretched).unwrap_or(i64::MAX).min(SimDuration::MAX.micros()))
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
            demands.push((rooms::shared_demand(part, spec), 0));
        }
    }
    TypicalMix::most_frequent(&demands, 95)
}

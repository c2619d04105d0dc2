//! The policies by rule: one pass is head starts, then what the backfill rule lets pass.
//!
//! Every policy has the same skeleton: start jobs in queue order until one does not fit (the head),
//! then let others pass it by rule: nobody (`fcfs`, `sjf`, `ljf`, `priority`), whoever fits (`greedy`),
//! whoever does not delay the head (`easy`), whoever does not delay anybody ahead (`conservative`).
//!
//! Definitions (DESIGN.md 4). EASY: the shadow time is the first instant at which the head can be
//! placed after the expected releases (an overdue one counts as due now); the nodes that the policy's
//! own placement picks then are reserved for it; a candidate must end by the shadow time or leave the
//! reserved part alone. On a reserved node the part that comes free latest is reserved first, so what
//! may be used beyond the shadow time is min(free now, free then minus reserved).
//!
//! The rules are the same for whole GPUs and for parts of GPUs ([`Kind`]). A job that gets a part of a GPU may hold
//! it for longer than its limit: expected ends and shadow times are by the stretched limit then.

mod conservative;
mod easy;
mod one;
mod room;

pub(super) use self::conservative::{INSTANT, OVERDUE};

use std::cmp::Reverse;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use self::room::Fit;
use super::fits::Fits;
use super::floor::Floor;
use super::kind::Kind;
use super::ordering::{JobView, Ordering};
use super::placement::Placement;
use super::policy::BackfillSpec;
use super::queue::{Position, Queue};
use super::shapes::Shapes;
use crate::cluster::{Allocation, Amounts, Conflict, Total, Whole};
use crate::ids::{JobId, NodeId, PoolId, RequestId, ShapeId, TenantId};
use crate::time::{SimDuration, SimTime};
use crate::workload::Workload;

/// Why the first waiting job does not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pending {
    /// Less is free in all than it needs.
    Resources,
    /// Enough is free in all, but not on the nodes as it needs it.
    Fragmentation,
    /// It waits its turn: others are ahead (Slurm's reason `Priority`).
    Priority,
    /// What it needs is promised to a job ahead.
    Reservation,
    /// Its dependencies are not met.
    Dependency,
    /// Its begin time has not come.
    BeginTime,
    /// Its array runs as many tasks as it may.
    ArrayLimit,
}

impl Pending {
    /// The name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Resources => "Resources",
            Self::Fragmentation => "Fragmentation",
            Self::Priority => "Priority",
            Self::Reservation => "Reservation",
            Self::Dependency => "Dependency",
            Self::BeginTime => "BeginTime",
            Self::ArrayLimit => "JobArrayTaskLimit",
        }
    }
}

/// What is kept for the head of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation<D: Kind = Whole> {
    /// Whose it is.
    pub job: JobId,
    /// When it is expected to start.
    pub shadow: SimTime,
    /// Whose it is, where the reserved hosts are dedicated: others keep off them beyond the shadow time.
    pub tenant: Option<TenantId>,
    /// Reserved nodes and what others may use there beyond the shadow time.
    pub spare: SmallVec<[(NodeId, D::Then); 2]>,
}

/// A started job.
#[derive(Clone, Debug)]
pub struct Start<D: Kind = Whole> {
    /// The job.
    pub job: JobId,
    /// What it holds.
    pub allocation: Allocation<D>,
    /// What was cut anew for it.
    pub cuts: D::Cuts,
    /// Slot that it holds on the floor.
    pub slot: u32,
    /// Until when it is expected to.
    pub expected_end: SimTime,
    /// Time that it pays before its work goes on, where the policy has stopped or moved it.
    pub lead: SimDuration,
}

/// Queue, caches and rules of a policy over one workload and cluster.
pub struct Backfill<'w, D: Kind = Whole> {
    workload: &'w Workload,
    shapes: Shapes<D>,
    speeds: D::Speeds,
    fits: Fits<D>,
    queue: Queue<D::Total>,
    /// Came since the last pass, not yet in the queue.
    fresh: Vec<JobId>,
    ordering: Box<dyn Ordering>,
    judge: D::Judge,
    backfill: BackfillSpec,
    rekeyed_at: Option<SimTime>,
    reservation: Option<Reservation<D>>,
    /// The blocked head, and the ledger's version under which nobody could pass it.
    settled: Option<(Position, usize)>,
    free_slots: Vec<u32>,
    slots: u32,
    candidates: Vec<Candidate>,
    plan: conservative::Plan<D>,
    /// Jobs that stand for another request than they came with.
    rerouted: FxHashMap<JobId, RequestId>,
}

/// The policies where GPUs are given out whole.
pub type Classic<'w> = Backfill<'w, Whole>;

/// A job that may pass the head.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    position: Position,
    shape: ShapeId,
    fit: Fit,
}

impl<'w> Backfill<'w, Whole> {
    /// A policy over `workload` on `floor`.
    #[must_use]
    pub fn new(
        workload: &'w Workload,
        shapes: Shapes,
        floor: &Floor,
        ordering: Box<dyn Ordering>,
        placement: Box<dyn Placement>,
        backfill: BackfillSpec,
    ) -> Self {
        Self::of(workload, shapes, (), floor, (ordering, placement, backfill))
    }
}

impl<'w, D: Kind> Backfill<'w, D> {
    /// A policy over `workload` on `floor`.
    #[must_use]
    pub fn of(
        workload: &'w Workload,
        shapes: Shapes<D>,
        speeds: D::Speeds,
        floor: &Floor<D>,
        (ordering, judge, backfill): (Box<dyn Ordering>, D::Judge, BackfillSpec),
    ) -> Self {
        let fits = Fits::new(&shapes.parts, floor.ledger());
        let queue = Queue::new(shapes.least());
        Self {
            workload,
            shapes,
            speeds,
            fits,
            queue,
            fresh: Vec::new(),
            ordering,
            judge,
            backfill,
            rekeyed_at: None,
            reservation: None,
            settled: None,
            free_slots: Vec::new(),
            slots: 0,
            candidates: Vec::new(),
            plan: conservative::Plan::default(),
            rerouted: FxHashMap::default(),
        }
    }

    /// What requests mean on this cluster.
    #[must_use]
    pub fn shapes(&self) -> &Shapes<D> {
        &self.shapes
    }

    /// How fast jobs run on parts of GPUs.
    #[must_use]
    pub fn speeds(&self) -> &D::Speeds {
        &self.speeds
    }

    /// Scores nodes and picks devices, as the placement says.
    #[must_use]
    pub fn judge(&self) -> &D::Judge {
        &self.judge
    }

    /// The same, to change it before the run.
    pub(super) fn judge_mut(&mut self) -> &mut D::Judge {
        &mut self.judge
    }

    /// What a job asks for on this cluster.
    #[inline]
    #[must_use]
    pub fn shape_of(&self, job: JobId) -> ShapeId {
        let own = self.workload.jobs[job].request;
        if self.rerouted.is_empty() {
            return self.shapes.of(own);
        }
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
    pub fn queue(&self) -> &Queue<D::Total> {
        &self.queue
    }

    /// The head's reservation after the last pass (EASY only).
    #[must_use]
    pub fn reservation(&self) -> Option<&Reservation<D>> {
        self.reservation.as_ref()
    }

    /// Whose reservation that is, and when the job is expected to start.
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

    fn push(&mut self, position: Position) {
        let row = &self.workload.jobs[position.job()];
        self.queue.push(position, self.shape_of(position.job()), row.limit);
    }

    /// A slot number given back by a job that ended.
    pub fn free_slot(&mut self, slot: u32) {
        self.free_slots.push(slot);
    }

    /// Starts whatever the policy starts now; the floor is changed, `starts` tells what.
    ///
    /// # Errors
    /// The ledger's conflict, which is a defect of the policy.
    pub fn pass(
        &mut self,
        now: SimTime,
        floor: &mut Floor<D>,
        starts: &mut Vec<Start<D>>,
    ) -> Result<(), Conflict> {
        if self.start_only_job(now, floor, starts)? {
            return Ok(());
        }
        let fresh = self.fresh_positions(now);
        if self.only_fresh_may_start(&fresh, now, floor) {
            return self.let_fresh_pass(&fresh, now, floor, starts);
        }
        self.take_in(&fresh, now);
        self.settled = None;
        self.reservation = None;
        if let BackfillSpec::Conservative { depth } = self.backfill {
            return self.conservative_pass(now, depth, floor, starts);
        }
        while let Some((position, shape)) = self.queue.head() {
            let Some(pool) = self.room(shape, floor) else {
                self.settled = Some((position, floor.ledger().version()));
                break;
            };
            self.queue.remove(&position);
            self.start_in(pool, position.job(), shape, now, floor, starts)?;
        }
        match self.backfill {
            BackfillSpec::None | BackfillSpec::Conservative { .. } => Ok(()),
            BackfillSpec::Greedy => self.greedy_pass(now, floor, starts),
            BackfillSpec::Easy => self.easy_pass(now, floor, starts),
        }
    }

    /// Why the first waiting job waits.
    #[must_use]
    pub fn head_reason(&self, floor: &Floor<D>) -> Option<(JobId, Pending)> {
        let (position, shape) = self.queue.head()?;
        let free = floor.ledger();
        let enough =
            self.shapes.get(shape).pools.iter().any(|pool| free.pool_free(pool.pool).holds(&pool.total));
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

    /// The usual case on a machine that is not full: one job comes, nobody waits, it fits. Every policy
    /// starts it then, and the queue need not see it.
    fn start_only_job(
        &mut self,
        now: SimTime,
        floor: &mut Floor<D>,
        starts: &mut Vec<Start<D>>,
    ) -> Result<bool, Conflict> {
        if !self.queue.is_empty() {
            return Ok(false);
        }
        // Whoever it was made for has been withdrawn.
        self.reservation = None;
        let [job] = self.fresh[..] else { return Ok(self.fresh.is_empty()) };
        let shape = self.shape_of(job);
        let Some(pool) = self.room(shape, floor) else { return Ok(false) };
        self.fresh.clear();
        self.start_in(pool, job, shape, now, floor, starts)?;
        Ok(true)
    }

    /// The places of the jobs that came since the last pass, in queue order.
    fn fresh_positions(&mut self, now: SimTime) -> SmallVec<[Position; 4]> {
        let mut fresh: SmallVec<[Position; 4]> =
            self.fresh.iter().map(|job| self.position(*job, now)).collect();
        self.fresh.clear();
        if fresh.len() > 1 {
            fresh.sort_unstable();
        }
        fresh
    }

    /// Whether nothing changed since a pass in which nobody could pass the head: same head, same floor,
    /// same reservation, less time until the shadow. Whoever could not start then cannot start now.
    fn only_fresh_may_start(&self, fresh: &[Position], now: SimTime, floor: &Floor<D>) -> bool {
        let head = self.queue.head().map(|(position, _)| (position, floor.ledger().version()));
        self.settled.is_some_and(|settled| fresh.first().is_none_or(|first| *first > settled.0))
            && self.settled == head
            && !self.ordering.changes_with_time()
            && self.reservation.as_ref().is_none_or(|r| r.shadow > now)
    }

    /// Starts those of the jobs that came since the last pass that may pass the head; the others queue.
    fn let_fresh_pass(
        &mut self,
        fresh: &[Position],
        now: SimTime,
        floor: &mut Floor<D>,
        starts: &mut Vec<Start<D>>,
    ) -> Result<(), Conflict> {
        let mut reservation = self.reservation.take();
        for position in fresh {
            let limit = self.workload.jobs[position.job()].limit;
            let shape = self.shape_of(position.job());
            let fit = match self.backfill {
                BackfillSpec::None => Fit::default(),
                _ => self.fit(shape, reservation.as_ref(), floor),
            };
            let candidate = Candidate { position: *position, shape, fit };
            if !self.start_behind(candidate, now, reservation.as_mut(), floor, starts)? {
                self.queue.push(*position, shape, limit);
            }
        }
        self.reservation = reservation;
        // On one node the head's reservation stays as it is: what was started gives back by the shadow time
        // or was free beside it. On more nodes the placement may now prefer others.
        if D::COUNTS && floor.ledger().nodes().len() == 1 {
            self.settled = self.settled.map(|(head, _)| (head, floor.ledger().version()));
        }
        Ok(())
    }

    /// Gives every job its place; orders that change with time are made anew.
    fn take_in(&mut self, fresh: &[Position], now: SimTime) {
        if self.ordering.changes_with_time() {
            self.rekeyed_at = Some(now);
            for job in self.queue.drain() {
                self.push(self.position(job, now));
            }
        }
        for position in fresh {
            self.push(*position);
        }
    }

    /// Takes what was chosen from the floor for a job that is no longer queued.
    fn commit(
        &mut self,
        job: JobId,
        (allocation, cuts): (Allocation<D>, D::Cuts),
        expected_end: SimTime,
        floor: &mut Floor<D>,
        starts: &mut Vec<Start<D>>,
    ) -> Result<(), Conflict> {
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.slots += 1;
            self.slots - 1
        });
        floor.cut(&cuts)?;
        if floor.ledger().is_dedicated() {
            floor.start_for(self.tenant_of(job), slot, &allocation, expected_end)?;
        } else {
            floor.start(slot, &allocation, expected_end)?;
        }
        starts.push(Start { job, allocation, cuts, slot, expected_end, lead: SimDuration::ZERO });
        Ok(())
    }

    fn greedy_pass(
        &mut self,
        now: SimTime,
        floor: &mut Floor<D>,
        starts: &mut Vec<Start<D>>,
    ) -> Result<(), Conflict> {
        let Some((head, _)) = self.queue.head() else { return Ok(()) };
        self.let_pass(head, now, None, floor, starts)
    }

    /// Starts, in queue order behind `head`, every job that has room (and respects `reservation`).
    ///
    /// Capacity only shrinks during a pass, so a shape without room has none for the rest of it, and a
    /// shape that has room only until the shadow time can only keep or lose that.
    fn let_pass(
        &mut self,
        head: Position,
        now: SimTime,
        mut reservation: Option<&mut Reservation<D>>,
        floor: &mut Floor<D>,
        starts: &mut Vec<Start<D>>,
    ) -> Result<(), Conflict> {
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear();
        let from = head.next();
        for at in 0..self.queue.occupied().len() {
            let lane = self.queue.occupied()[at];
            if floor.ledger().free().holds(&lane.least) {
                candidates.extend(self.candidate(lane.shape, &from, now, reservation.as_deref(), floor));
            }
        }
        // Kept in falling order, so that the last is the first in queue order.
        candidates.sort_unstable_by_key(|candidate| Reverse(candidate.position));
        let mut shrunk = false;
        while let Some(mut found) = candidates.pop() {
            if shrunk {
                // There is less room than when the candidate was found: look again from its position.
                match self.candidate(found.shape, &found.position, now, reservation.as_deref(), floor) {
                    Some(again) if again.position == found.position => found = again,
                    again => {
                        again.into_iter().for_each(|next| insert_sorted(&mut candidates, next));
                        continue;
                    }
                }
            }
            if self.start_behind(found, now, reservation.as_deref_mut(), floor, starts)? {
                self.queue.remove(&found.position);
                shrunk = true;
            }
            let from = found.position.next();
            let next = self.candidate(found.shape, &from, now, reservation.as_deref(), floor);
            next.into_iter().for_each(|next| insert_sorted(&mut candidates, next));
        }
        self.candidates = candidates;
        Ok(())
    }

    /// Starts a job behind the head where it does not delay it: it is done by the shadow time of the reservation,
    /// or keeps off the reserved part. Whether it was started; it is queued still if it was before.
    fn start_behind(
        &mut self,
        found: Candidate,
        now: SimTime,
        reservation: Option<&mut Reservation<D>>,
        floor: &mut Floor<D>,
        starts: &mut Vec<Start<D>>,
    ) -> Result<bool, Conflict> {
        let (job, shape) = (found.position.job(), found.shape);
        let Some(pool) = found.fit.now else { return Ok(false) };
        let Some(reservation) = reservation else {
            self.start_in(pool, job, shape, now, floor, starts)?;
            return Ok(true);
        };
        // Where a job may hold its nodes for another time than its limit, that is known once they are chosen.
        if D::STRETCHES || now + self.workload.jobs[job].limit <= reservation.shadow {
            let (chosen, estimate) = self.choose(job, shape, pool, None, floor);
            if now + estimate <= reservation.shadow {
                self.commit(job, chosen, now + estimate, floor, starts)?;
                return Ok(true);
            }
        }
        let Some(pool) = found.fit.beside else { return Ok(false) };
        let (chosen, estimate) = self.choose(job, shape, pool, Some(reservation), floor);
        self.commit(job, chosen, now + estimate, floor, starts)?;
        if let Some(start) = starts.last() {
            reservation.use_spare(&start.allocation, floor);
        }
        Ok(true)
    }

    /// Starts a job that is not queued (any more) in a pool that has room for it.
    fn start_in(
        &mut self,
        pool: PoolId,
        job: JobId,
        shape: ShapeId,
        now: SimTime,
        floor: &mut Floor<D>,
        starts: &mut Vec<Start<D>>,
    ) -> Result<(), Conflict> {
        let (chosen, estimate) = self.choose(job, shape, pool, None, floor);
        self.commit(job, chosen, now + estimate, floor, starts)
    }

    /// The first job of a lane at or behind `from` that may start now.
    fn candidate(
        &mut self,
        shape: ShapeId,
        from: &Position,
        now: SimTime,
        reservation: Option<&Reservation<D>>,
        floor: &Floor<D>,
    ) -> Option<Candidate> {
        let fit = self.fit(shape, reservation, floor);
        fit.now?;
        let window = match reservation {
            // On more than it was measured on a job may be done before its limit.
            Some(_) if D::may_be_faster(self.shapes.get(shape)) => SimDuration::MAX,
            Some(reservation) if fit.beside.is_none() => reservation.shadow.saturating_since(now),
            _ => SimDuration::MAX,
        };
        let position = self.queue.first_from(shape, from, window)?;
        Some(Candidate { position, shape, fit })
    }
}

impl<D: Kind> Reservation<D> {
    /// A job that runs beyond the shadow time has taken this.
    fn use_spare(&mut self, allocation: &Allocation<D>, floor: &Floor<D>) {
        for grant in allocation {
            if let Some((_, spare)) = self.spare.iter_mut().find(|(node, _)| *node == grant.node) {
                D::use_spare(spare, grant, floor.ledger().spec_of(grant.node));
            }
        }
    }
}

/// Keeps the candidates in falling order of position.
fn insert_sorted(heap: &mut Vec<Candidate>, candidate: Candidate) {
    let at = heap.partition_point(|other| other.position > candidate.position);
    heap.insert(at, candidate);
}

//! A pass: head starts, then what the backfill rule lets pass.

use std::cmp::Reverse;

use smallvec::SmallVec;

use super::fit::Chosen;
use super::floor::{CardFloor, NodeReshape};
use super::{CardReservation, CardStart, SharedScheduler};
use crate::cluster::cards::{CardAllocation, CardGrant};
use crate::cluster::{Conflict, Total};
use crate::ids::{JobId, NodeId, PartId, PoolId, ShapeId, TenantId};
use crate::scheduler::policy::BackfillSpec;
use crate::scheduler::queue::Position;
use crate::time::{SimDuration, SimTime};

/// Where a shape fits now.
#[derive(Clone, Copy, Debug, Default)]
struct Fit {
    /// The first pool with room, be it on what is reserved (then until the shadow time).
    now: Option<PoolId>,
    /// The first pool with room beside what is reserved.
    beside: Option<PoolId>,
}

/// Parts of nodes chosen for a job.
type Picked = SmallVec<[(NodeId, PartId, Chosen); 1]>;

impl SharedScheduler<'_> {
    /// Starts whatever the policy starts now; the floor is changed, `starts` tells what.
    ///
    /// # Errors
    /// The ledger's conflict, which is a defect of the policy.
    pub fn pass(
        &mut self,
        now: SimTime,
        floor: &mut CardFloor,
        starts: &mut Vec<CardStart>,
    ) -> Result<(), Conflict> {
        if self.queue.is_empty() {
            // Whoever it was made for has been withdrawn.
            self.reservation = None;
        }
        let fresh = self.fresh_positions(now);
        if self.only_fresh_may_start(&fresh, now, floor) {
            return self.let_fresh_pass(&fresh, now, floor, starts);
        }
        self.take_in(&fresh, now);
        self.settled = None;
        self.reservation = None;
        while let Some((position, shape)) = self.queue.head() {
            let Some(pool) = self.fit(shape, None, floor).now else {
                self.settled = Some((position, floor.ledger().version()));
                break;
            };
            self.queue.remove(&position);
            self.start_in(pool, position.job(), shape, now, floor, starts)?;
        }
        let Some((head, shape)) = self.queue.head() else { return Ok(()) };
        match self.backfill {
            BackfillSpec::None | BackfillSpec::Conservative { .. } => Ok(()),
            BackfillSpec::Greedy => self.let_pass(head, now, None, floor, starts),
            BackfillSpec::Easy => {
                let mut reservation = self.reserve(head.job(), shape, now, floor);
                if self.queue.len() > 1 {
                    self.let_pass(head, now, Some(&mut reservation), floor, starts)?;
                }
                self.reservation = Some(reservation);
                Ok(())
            }
        }
    }

    /// Starts a job that is not queued, if there is room for it now; expected to end as if it had started at `since`.
    ///
    /// # Errors
    /// The ledger's conflict, which is a defect of the policy.
    pub fn start_one(
        &mut self,
        job: JobId,
        since: SimTime,
        floor: &mut CardFloor,
    ) -> Result<Option<CardStart>, Conflict> {
        let shape = self.shape_of(job);
        let Some(pool) = self.fit(shape, None, floor).now else { return Ok(None) };
        let mut starts = Vec::new();
        self.start_in(pool, job, shape, since, floor, &mut starts)?;
        Ok(starts.pop())
    }

    /// Whose job it is, where hosts are dedicated.
    #[must_use]
    pub fn tenant_of(&self, job: JobId) -> TenantId {
        TenantId::named(self.workload.requests.get(self.workload.jobs[job].request).tenant)
    }

    /// The places of the jobs that came since the last pass, in queue order.
    fn fresh_positions(&mut self, now: SimTime) -> SmallVec<[Position; 4]> {
        let mut fresh: SmallVec<[Position; 4]> =
            self.fresh.iter().map(|job| self.position(*job, now)).collect();
        self.fresh.clear();
        fresh.sort_unstable();
        fresh
    }

    /// Whether nothing changed since a pass in which nobody could pass the head.
    fn only_fresh_may_start(&self, fresh: &[Position], now: SimTime, floor: &CardFloor) -> bool {
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
        floor: &mut CardFloor,
        starts: &mut Vec<CardStart>,
    ) -> Result<(), Conflict> {
        let mut reservation = self.reservation.take();
        for position in fresh {
            let row = &self.workload.jobs[position.job()];
            let (shape, limit) = (self.shape_of(position.job()), row.limit);
            let fit = match self.backfill {
                BackfillSpec::None => Fit::default(),
                _ => self.fit(shape, reservation.as_ref(), floor),
            };
            let started = fit.now.is_some()
                && self.start_behind(*position, shape, fit, now, reservation.as_mut(), floor, starts)?;
            if !started {
                self.queue.push(*position, shape, limit);
            }
        }
        self.reservation = reservation;
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

    fn push(&mut self, position: Position) {
        let row = &self.workload.jobs[position.job()];
        self.queue.push(position, self.shape_of(position.job()), row.limit);
    }

    /// Starts, in queue order behind `head`, every job that has room (and respects `reservation`). There is only
    /// less room during a pass, so a shape without room has none for the rest of it.
    fn let_pass(
        &mut self,
        head: Position,
        now: SimTime,
        mut reservation: Option<&mut CardReservation>,
        floor: &mut CardFloor,
        starts: &mut Vec<CardStart>,
    ) -> Result<(), Conflict> {
        let mut candidates: Vec<(Position, ShapeId)> = Vec::new();
        let lanes: Vec<ShapeId> = self.queue.occupied().iter().map(|lane| lane.shape).collect();
        let from = head.next();
        for shape in lanes {
            let found = self.candidate(shape, &from, now, reservation.as_deref(), floor);
            candidates.extend(found.map(|position| (position, shape)));
        }
        // Kept in falling order, so that the last is the first in queue order.
        candidates.sort_unstable_by_key(|(position, _)| Reverse(*position));
        while let Some((position, shape)) = candidates.pop() {
            let fit = self.fit(shape, reservation.as_deref(), floor);
            if fit.now.is_none() {
                continue;
            }
            if self.start_behind(position, shape, fit, now, reservation.as_deref_mut(), floor, starts)? {
                self.queue.remove(&position);
            }
            let next = self.candidate(shape, &position.next(), now, reservation.as_deref(), floor);
            if let Some(next) = next {
                let at = candidates.partition_point(|(other, _)| *other > next);
                candidates.insert(at, (next, shape));
            }
        }
        Ok(())
    }

    /// The first job of a lane at or behind `from` that may start now, as far as its limit tells.
    fn candidate(
        &mut self,
        shape: ShapeId,
        from: &Position,
        now: SimTime,
        reservation: Option<&CardReservation>,
        floor: &CardFloor,
    ) -> Option<Position> {
        let fit = self.fit(shape, reservation, floor);
        fit.now?;
        let window = match reservation {
            // On a larger part than it was measured on a job may be done before its limit.
            Some(_) if self.may_be_faster(shape) => SimDuration::MAX,
            Some(reservation) if fit.beside.is_none() => reservation.shadow.saturating_since(now),
            _ => SimDuration::MAX,
        };
        self.queue.first_from(shape, from, window)
    }

    fn may_be_faster(&self, shape: ShapeId) -> bool {
        let pools = &self.shapes.get(shape).pools;
        pools.iter().any(|pool| pool.reference != super::demand::Reference::Whole)
    }

    /// Starts a job behind the head where it does not delay it; whether it did.
    #[expect(clippy::too_many_arguments, reason = "who, where, beside what, when, and what it changes")]
    fn start_behind(
        &mut self,
        position: Position,
        shape: ShapeId,
        fit: Fit,
        now: SimTime,
        reservation: Option<&mut CardReservation>,
        floor: &mut CardFloor,
        starts: &mut Vec<CardStart>,
    ) -> Result<bool, Conflict> {
        let Some(reservation) = reservation else {
            let Some(pool) = fit.now else { return Ok(false) };
            self.start_in(pool, position.job(), shape, now, floor, starts)?;
            return Ok(true);
        };
        if let Some(pool) = fit.now {
            let picked = self.pick(shape, pool, None, floor).expect("the pool has room");
            let allocation = self.allocation(&picked);
            let end = now + self.estimate(position.job(), shape, pool, &allocation, floor);
            if end <= reservation.shadow {
                self.commit(position.job(), allocation, reshapes_of(&picked), end, floor, starts)?;
                return Ok(true);
            }
        }
        let Some(pool) = fit.beside else { return Ok(false) };
        let picked = self.pick(shape, pool, Some(reservation), floor).expect("the pool has room beside");
        let allocation = self.allocation(&picked);
        let end = now + self.estimate(position.job(), shape, pool, &allocation, floor);
        for (node, part, chosen) in &picked {
            if let Some((_, then)) = reservation.nodes.iter_mut().find(|(reserved, _)| reserved == node) {
                let spec = floor.ledger().spec_of(*node);
                super::floor::with_taken(then, self.rooms.part(*part), &chosen.devices, spec);
            }
        }
        self.commit(position.job(), allocation, reshapes_of(&picked), end, floor, starts)?;
        Ok(true)
    }

    /// Starts a job for which `pool` has room.
    fn start_in(
        &mut self,
        pool: PoolId,
        job: JobId,
        shape: ShapeId,
        now: SimTime,
        floor: &mut CardFloor,
        starts: &mut Vec<CardStart>,
    ) -> Result<(), Conflict> {
        let picked = self.pick(shape, pool, None, floor).expect("the pool has room");
        let allocation = self.allocation(&picked);
        let end = now + self.estimate(job, shape, pool, &allocation, floor);
        self.commit(job, allocation, reshapes_of(&picked), end, floor, starts)
    }

    fn allocation(&self, picked: &Picked) -> CardAllocation {
        let grant = |(node, part, chosen): &(NodeId, PartId, Chosen)| {
            let part = self.rooms.part(*part);
            CardGrant { node: *node, cpus: part.cpus, mem_mb: part.mem_mb, gpus: chosen.devices.clone() }
        };
        picked.iter().map(grant).collect()
    }

    /// Takes the parts from the floor for a job that is no longer queued.
    fn commit(
        &mut self,
        job: JobId,
        allocation: CardAllocation,
        reshapes: Vec<NodeReshape>,
        end: SimTime,
        floor: &mut CardFloor,
        starts: &mut Vec<CardStart>,
    ) -> Result<(), Conflict> {
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.slots += 1;
            self.slots - 1
        });
        if floor.ledger().dedication().is_some() {
            floor.start_for(self.tenant_of(job), slot, &allocation, &reshapes, end)?;
        } else {
            floor.start(slot, &allocation, &reshapes, end)?;
        }
        starts.push(CardStart { job, allocation, reshapes, slot, expected: end });
        Ok(())
    }

    /// Where `shape` fits now, with and beside `reservation`.
    fn fit(&mut self, shape: ShapeId, reservation: Option<&CardReservation>, floor: &CardFloor) -> Fit {
        let mut fit = Fit::default();
        for at in 0..self.shapes.get(shape).pools.len() {
            let pool = &self.shapes.get(shape).pools[at];
            let (id, least) = (pool.pool, pool.least);
            let free = floor.ledger().pool_free(id);
            if !free.holds(&least) {
                continue;
            }
            if !self.has_nodes(shape, at, None, floor) {
                continue;
            }
            fit.now = fit.now.or(Some(id));
            if reservation.is_none() || self.has_nodes(shape, at, reservation, floor) {
                fit.beside = Some(id);
                break;
            }
        }
        fit
    }

    /// Whether every group finds its nodes. Parts fall in size, so nodes that hold one hold the next.
    fn has_nodes(
        &mut self,
        shape: ShapeId,
        pool: usize,
        avoid: Option<&CardReservation>,
        floor: &CardFloor,
    ) -> bool {
        let Self { shapes, rooms, judge, .. } = self;
        let mut needed = 0;
        shapes.get(shape).pools[pool].groups.iter().all(|(part, count)| {
            needed += count;
            let mut feasible = rooms.count(*part, judge, floor);
            if feasible < needed {
                return false;
            }
            if let Some(reservation) = avoid {
                if let Some(tenant) = rooms.part(*part).tenant {
                    let range = floor.ledger().pool_range(rooms.part(*part).pool);
                    let free = range.map(NodeId).filter(|node| {
                        let then = reservation.nodes.iter().find(|(id, _)| id == node);
                        rooms.has_room(*part, *node)
                            && !is_meant_for_another(*node, tenant, reservation, floor)
                            && then
                                .is_none_or(|(_, then)| fits_beside(rooms, judge, *part, *node, then, floor))
                    });
                    return free.count() as u32 >= needed;
                }
                let blocked = reservation.nodes.iter().filter(|(node, then)| {
                    rooms.has_room(*part, *node) && !fits_beside(rooms, judge, *part, *node, then, floor)
                });
                feasible -= blocked.count() as u32;
            }
            feasible >= needed
        })
    }

    /// The policy's own nodes and parts of GPUs for a shape that has room in `pool`.
    fn pick(
        &mut self,
        shape: ShapeId,
        pool: PoolId,
        avoid: Option<&CardReservation>,
        floor: &CardFloor,
    ) -> Option<Picked> {
        let Self { shapes, rooms, judge, .. } = self;
        let pools = &shapes.get(shape).pools;
        let pool = pools.iter().find(|p| p.pool == pool).expect("the pool holds the shape");
        let reserved = |node: NodeId| {
            let nodes = avoid.map(|reservation| &reservation.nodes);
            nodes.and_then(|nodes| nodes.iter().find(|(id, _)| *id == node)).map(|(_, then)| then)
        };
        let mut picked = Picked::new();
        for (part, count) in &pool.groups {
            let usable: SmallVec<[NodeId; 4]> = avoid
                .iter()
                .flat_map(|reservation| &reservation.nodes)
                .filter(|(node, then)| fits_beside(rooms, judge, *part, *node, then, floor))
                .map(|(node, _)| *node)
                .collect();
            let tenant = rooms.part(*part).tenant;
            let free = |node: NodeId| {
                let is_barred = avoid.zip(tenant).is_some_and(|(reservation, tenant)| {
                    is_meant_for_another(node, tenant, reservation, floor)
                });
                !is_barred
                    && !picked.iter().any(|(taken, ..)| *taken == node)
                    && (reserved(node).is_none() || usable.contains(&node))
            };
            let nodes = rooms.best(*part, *count as usize, judge, floor, free)?;
            for node in nodes {
                let spec = floor.ledger().spec_of(node);
                let state = floor.ledger().node(node);
                let row = rooms.part(*part);
                let chosen = match reserved(node) {
                    Some(then) => judge.choose(&state.beside(then, spec), None, row, spec)?,
                    None => judge.choose(state, floor.view(node), row, spec)?,
                };
                picked.push((node, *part, chosen));
            }
        }
        Some(picked)
    }
}

/// Whether the host of `node` is reserved for another tenant.
fn is_meant_for_another(
    node: NodeId,
    tenant: TenantId,
    reservation: &CardReservation,
    floor: &CardFloor,
) -> bool {
    let Some(dedication) = floor.ledger().dedication() else { return false };
    let host = dedication.host(node).filter(|_| reservation.tenant.is_some_and(|other| other != tenant));
    host.is_some() && reservation.nodes.iter().any(|(reserved, _)| dedication.host(*reserved) == host)
}

/// Whether a part fits on a reserved node beside what is reserved there.
fn fits_beside(
    rooms: &super::rooms::Rooms,
    judge: &mut super::rooms::Judge,
    part: PartId,
    node: NodeId,
    then: &crate::cluster::cards::CardNode,
    floor: &CardFloor,
) -> bool {
    let part = rooms.part(part);
    let state = floor.ledger().node(node);
    if state.pool != part.pool {
        return false;
    }
    let spec = floor.ledger().spec_of(node);
    judge.choose(&state.beside(then, spec), None, part, spec).is_some()
}

fn reshapes_of(picked: &Picked) -> Vec<NodeReshape> {
    picked.iter().flat_map(|(node, _, chosen)| chosen.reshapes.iter().map(|r| (*node, r.clone()))).collect()
}

//! Where a shape fits now, and which nodes it gets there.

use smallvec::SmallVec;

use super::{Backfill, Reservation};
use crate::cluster::{Allocation, Ledger, Total};
use crate::ids::{JobId, NodeId, PartId, PoolId, ShapeId};
use crate::scheduler::fits::Fits;
use crate::scheduler::floor::Floor;
use crate::scheduler::kind::{Kind, Piece};
use crate::scheduler::shapes::{PoolShape, Shapes};
use crate::time::SimDuration;

/// Where a shape fits now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fit {
    /// The first pool with room, be it on what is reserved (then until the shadow time).
    pub now: Option<PoolId>,
    /// The first pool with room beside what is reserved.
    pub beside: Option<PoolId>,
}

/// Nodes chosen for a job, with the part that each gives.
pub(super) type Chosen = SmallVec<[(NodeId, PartId); 2]>;

impl<D: Kind> Backfill<'_, D> {
    /// The first pool with room for `shape` now.
    pub(super) fn room(&mut self, shape: ShapeId, floor: &Floor<D>) -> Option<PoolId> {
        self.fit(shape, None, floor).now
    }

    /// Where `shape` fits now, with and beside `reservation`.
    pub(super) fn fit(
        &mut self,
        shape: ShapeId,
        reservation: Option<&Reservation<D>>,
        floor: &Floor<D>,
    ) -> Fit {
        let Self { shapes, judge, .. } = self;
        // One pool of one node, a plain machine of processors: asked for several times a job.
        if let [pool] = shapes.get(shape).pools.as_slice()
            && let Some(node) = floor.ledger().only_node(pool.pool)
        {
            if !floor.ledger().pool_free(pool.pool).holds(&pool.total) {
                return Fit::default();
            }
            let part = shapes.parts.get(pool.groups[0].0);
            let reserved = reservation.is_some_and(|r| r.reserves(node, part, judge, floor));
            return Fit { now: Some(pool.pool), beside: (!reserved).then_some(pool.pool) };
        }
        self.fit_on_nodes(shape, reservation, floor)
    }

    #[inline(never)]
    fn fit_on_nodes(
        &mut self,
        shape: ShapeId,
        reservation: Option<&Reservation<D>>,
        floor: &Floor<D>,
    ) -> Fit {
        let Self { shapes, fits, judge, .. } = self;
        let mut fit = Fit::default();
        for pool in &shapes.get(shape).pools {
            if !floor.ledger().pool_free(pool.pool).holds(&pool.total) {
                continue;
            }
            let beside = match floor.ledger().only_node(pool.pool) {
                Some(node) => {
                    let part = shapes.parts.get(pool.groups[0].0);
                    !reservation.is_some_and(|r| r.reserves(node, part, judge, floor))
                }
                None if !has_nodes(fits, judge, shapes, pool, None, floor) => continue,
                None => reservation.is_none() || has_nodes(fits, judge, shapes, pool, reservation, floor),
            };
            fit.now = fit.now.or(Some(pool.pool));
            if beside {
                fit.beside = Some(pool.pool);
                break;
            }
        }
        fit
    }

    /// The policy's own choice for a shape that has room in `pool`, and for how long the job is expected to hold
    /// it.
    pub(super) fn choose(
        &mut self,
        job: JobId,
        shape: ShapeId,
        pool: PoolId,
        avoid: Option<&Reservation<D>>,
        floor: &Floor<D>,
    ) -> ((Allocation<D>, D::Cuts), SimDuration) {
        let chosen = match floor.ledger().only_node(pool) {
            Some(node) => self.all_on(node, shape, pool, floor),
            None => {
                let nodes = self.choose_nodes(shape, pool, avoid, floor);
                self.devices(&nodes, avoid, floor)
            }
        };
        let chosen = chosen.expect("the nodes have room");
        let estimate = self.estimate(job, shape, pool, &chosen.0, floor);
        (chosen, estimate)
    }

    /// What a shape gets in a pool of just one node: nothing to choose, and amounts tell all, so that what is reserved
    /// there does not matter for the devices.
    fn all_on(
        &mut self,
        node: NodeId,
        shape: ShapeId,
        pool: PoolId,
        floor: &Floor<D>,
    ) -> Option<(Allocation<D>, D::Cuts)> {
        let Self { shapes, judge, .. } = self;
        let pool = shapes.get(shape).pools.iter().find(|p| p.pool == pool)?;
        let mut cuts = D::Cuts::default();
        let part = shapes.parts.get(pool.groups[0].0);
        let grant = D::grant(judge, floor, (node, None), part, &mut cuts)?;
        Some((Allocation::from_buf([grant]), cuts))
    }

    /// How long a job is expected to hold `allocation` in `pool`.
    pub(super) fn estimate(
        &self,
        job: JobId,
        shape: ShapeId,
        pool: PoolId,
        allocation: &Allocation<D>,
        floor: &Floor<D>,
    ) -> SimDuration {
        let row = &self.workload.jobs[job];
        if !D::STRETCHES {
            return row.limit;
        }
        let pools = &self.shapes.get(shape).pools;
        let pool = pools.iter().find(|p| p.pool == pool).expect("the pool holds the shape");
        D::estimate(&self.speeds, row, pool, allocation, floor.ledger())
    }

    /// The policy's own nodes for a shape that has room in `pool`.
    fn choose_nodes(
        &mut self,
        shape: ShapeId,
        pool: PoolId,
        avoid: Option<&Reservation<D>>,
        floor: &Floor<D>,
    ) -> Chosen {
        let Self { shapes, fits, judge, .. } = self;
        let pool = shapes.get(shape).pools.iter().find(|p| p.pool == pool).expect("the pool holds the shape");
        let mut chosen = Chosen::new();
        for (id, count) in &pool.groups {
            let part = shapes.parts.get(*id);
            let blocked: SmallVec<[NodeId; 4]> =
                avoid.map_or_else(SmallVec::new, |r| r.reserved(part, judge, floor).collect());
            let usable = |node| {
                !blocked.contains(&node)
                    && !avoid.is_some_and(|r| r.is_meant_for_another(node, part, floor.ledger()))
                    && !chosen.iter().any(|(taken, _)| *taken == node)
            };
            let nodes = fits.choose(*id, *count as usize, judge, floor, usable);
            let nodes = nodes.expect("has_room counted enough nodes");
            chosen.extend(nodes.into_iter().map(|node| (node, *id)));
        }
        chosen
    }

    /// What a job gets on its nodes, and what must be cut anew for it.
    pub(super) fn devices(
        &mut self,
        nodes: &Chosen,
        avoid: Option<&Reservation<D>>,
        floor: &Floor<D>,
    ) -> Option<(Allocation<D>, D::Cuts)> {
        let Self { shapes, judge, .. } = self;
        let mut cuts = D::Cuts::default();
        if let ([(node, part)], None) = (nodes.as_slice(), avoid) {
            let grant = D::grant(judge, floor, (*node, None), shapes.parts.get(*part), &mut cuts)?;
            return Some((Allocation::from_buf([grant]), cuts));
        }
        let grants = nodes.iter().map(|(node, part)| {
            let then = avoid.and_then(|r| r.spare.iter().find(|(reserved, _)| reserved == node));
            D::grant(judge, floor, (*node, then.map(|(_, then)| then)), shapes.parts.get(*part), &mut cuts)
        });
        let allocation: Option<Allocation<D>> = grants.collect();
        Some((allocation?, cuts))
    }
}

impl<D: Kind> Reservation<D> {
    /// The reserved nodes that have no room for a part beside what is reserved there.
    fn reserved<'a>(
        &'a self,
        part: &'a D::Part,
        judge: &'a D::Judge,
        floor: &'a Floor<D>,
    ) -> impl Iterator<Item = NodeId> + 'a {
        let range = floor.ledger().pool_range(part.pool());
        self.spare
            .iter()
            .filter(move |(node, then)| {
                range.contains(&node.0) && !D::is_beside(judge, floor, (*node, then), part)
            })
            .map(|(node, _)| *node)
    }

    /// Whether a part on `node` would use what is reserved there.
    fn reserves(&self, node: NodeId, part: &D::Part, judge: &D::Judge, floor: &Floor<D>) -> bool {
        for (reserved, then) in &self.spare {
            if *reserved == node && !D::is_beside(judge, floor, (node, then), part) {
                return true;
            }
        }
        false
    }

    /// Whether the host of `node` is reserved for another tenant.
    fn is_meant_for_another(&self, node: NodeId, part: &D::Part, ledger: &Ledger<D>) -> bool {
        if self.tenant.is_none() || part.tenant() == self.tenant {
            return false;
        }
        let Some(host) = ledger.host_of(node) else { return false };
        self.spare.iter().any(|(reserved, _)| ledger.host_of(*reserved) == Some(host))
    }
}

/// Whether every group finds its nodes. Parts fall in size, so nodes that hold one hold the next, and
/// it is enough to compare counts.
fn has_nodes<D: Kind>(
    fits: &mut Fits<D>,
    judge: &mut D::Judge,
    shapes: &Shapes<D>,
    pool: &PoolShape<D>,
    avoid: Option<&Reservation<D>>,
    floor: &Floor<D>,
) -> bool {
    let mut needed = 0;
    pool.groups.iter().all(|(id, count): &(PartId, u32)| {
        needed += count;
        let mut feasible = fits.count(*id, judge, floor.ledger());
        if feasible < needed {
            return false;
        }
        if let Some(reservation) = avoid {
            let part = shapes.parts.get(*id);
            if part.tenant().is_some() {
                let blocked = |node: &NodeId| {
                    reservation.is_meant_for_another(*node, part, floor.ledger())
                        || reservation.reserves(*node, part, judge, floor)
                };
                return feasible - fits.feasible(*id).filter(blocked).count() as u32 >= needed;
            }
            let blocked = reservation.spare.iter().filter(|(node, then)| {
                fits.has(*id, *node) && !D::is_beside(judge, floor, (*node, then), part)
            });
            feasible -= blocked.count() as u32;
        }
        feasible >= needed
    })
}

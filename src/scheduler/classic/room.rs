//! Where a shape fits now, and which nodes it gets there.

use smallvec::SmallVec;

use super::{Classic, Reservation};
use crate::cluster::{Allocation, Amounts, Grant, Ledger};
use crate::ids::{NodeId, PartId, PoolId, ShapeId};
use crate::scheduler::fits::Fits;
use crate::scheduler::floor::Floor;
use crate::scheduler::shapes::{Part, PoolShape, Shapes};

/// Where a shape fits now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fit {
    /// The first pool with room, be it on what is reserved (then until the shadow time).
    pub now: Option<PoolId>,
    /// The first pool with room beside what is reserved.
    pub beside: Option<PoolId>,
}

/// Nodes chosen for a job, with the part that each gives.
pub(super) type Chosen = SmallVec<[(NodeId, Amounts); 2]>;

impl Classic<'_> {
    /// The first pool with room for `shape` now.
    pub(super) fn room(&mut self, shape: ShapeId, floor: &Floor) -> Option<PoolId> {
        self.fit(shape, None, floor).now
    }

    /// Where `shape` fits now, with and beside `reservation`.
    pub(super) fn fit(&mut self, shape: ShapeId, reservation: Option<&Reservation>, floor: &Floor) -> Fit {
        let Self { shapes, fits, .. } = self;
        let mut fit = Fit::default();
        for pool in &shapes.get(shape).pools {
            if !floor.ledger().pool_free(pool.pool).holds(&pool.total) {
                continue;
            }
            let beside = match floor.ledger().only_node(pool.pool) {
                Some(node) => !is_reserved(node, &pool.total, reservation),
                None if !has_nodes(fits, shapes, pool, None, floor) => continue,
                None => reservation.is_none() || has_nodes(fits, shapes, pool, reservation, floor),
            };
            fit.now = fit.now.or(Some(pool.pool));
            if beside {
                fit.beside = Some(pool.pool);
                break;
            }
        }
        fit
    }

    /// The policy's own nodes for a shape that has room in `pool`: (node, part).
    pub(super) fn choose(
        &mut self,
        shape: ShapeId,
        pool: PoolId,
        avoid: Option<&Reservation>,
        floor: &Floor,
    ) -> Chosen {
        let Self { shapes, fits, placement, .. } = self;
        let pool = shapes.get(shape).pools.iter().find(|p| p.pool == pool).expect("the pool holds the shape");
        if let Some(node) = floor.ledger().only_node(pool.pool) {
            return Chosen::from_elem((node, pool.total), 1);
        }
        let mut chosen = Chosen::new();
        for (part, count) in &pool.groups {
            let row = shapes.parts.get(*part);
            let ask = row.amounts;
            let usable = |node| {
                !is_blocked(node, row, avoid, floor.ledger())
                    && !chosen.iter().any(|(taken, _)| *taken == node)
            };
            let nodes = fits.choose(*part, *count as usize, placement.as_ref(), floor.ledger(), usable);
            let nodes = nodes.expect("has_room counted enough nodes");
            chosen.extend(nodes.into_iter().map(|node| (node, ask)));
        }
        chosen
    }
}

/// Whether `part` on `node` would use what is reserved there, or keep its tenant from a dedicated host.
#[inline]
fn is_blocked(node: NodeId, part: &Part, avoid: Option<&Reservation>, ledger: &Ledger) -> bool {
    avoid.is_some_and(|r| {
        is_reserved(node, &part.amounts, avoid)
            || (r.tenant.is_some() && is_meant_for_another(node, part, r, ledger))
    })
}

/// Whether the host of `node` is reserved for another tenant.
fn is_meant_for_another(node: NodeId, part: &Part, reservation: &Reservation, ledger: &Ledger) -> bool {
    let Some(host) = ledger.host_of(node).filter(|_| part.tenant != reservation.tenant) else { return false };
    reservation.spare.iter().any(|(reserved, _)| ledger.host_of(*reserved) == Some(host))
}

/// Whether `part` on `node` would use what is reserved there.
#[inline]
fn is_reserved(node: NodeId, part: &Amounts, avoid: Option<&Reservation>) -> bool {
    avoid.is_some_and(|r| r.spare.iter().any(|(reserved, spare)| *reserved == node && !spare.holds(part)))
}

/// Whether every group finds its nodes. Parts fall in size, so nodes that hold one hold the next, and
/// it is enough to compare counts.
fn has_nodes(
    fits: &mut Fits,
    shapes: &Shapes,
    pool: &PoolShape,
    avoid: Option<&Reservation>,
    floor: &Floor,
) -> bool {
    let mut needed = 0;
    pool.groups.iter().all(|(part, count): &(PartId, u32)| {
        needed += count;
        let mut feasible = fits.count(*part, floor.ledger());
        if feasible < needed {
            return false;
        }
        if let Some(reservation) = avoid {
            let id = *part;
            let part = shapes.parts.get(id);
            if part.tenant.is_some() {
                let blocked = |node: &NodeId| is_blocked(*node, part, avoid, floor.ledger());
                return feasible - fits.feasible(id).filter(blocked).count() as u32 >= needed;
            }
            let range = floor.ledger().pool_range(part.pool);
            let blocked = reservation.spare.iter().filter(|(node, spare)| {
                range.contains(&node.0)
                    && !spare.holds(&part.amounts)
                    && floor.ledger().node(*node).free.holds(&part.amounts)
            });
            feasible -= blocked.count() as u32;
        }
        feasible >= needed
    })
}

/// Turns chosen nodes into grants: GPUs by lowest free index.
pub(super) fn grants(nodes: &Chosen, floor: &Floor) -> Allocation {
    nodes
        .iter()
        .map(|(node, part)| Grant {
            node: *node,
            cpus: part.cpus,
            mem_mb: part.mem_mb,
            gpus: floor.ledger().node(*node).pick_gpus(part.gpus, 0).expect("the node has the GPUs free"),
        })
        .collect()
}

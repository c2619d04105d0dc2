//! EASY: the head's shadow time and reservation.

use super::room::Chosen;
use super::{Classic, Reservation, Start};
use crate::cluster::Conflict;
use crate::ids::{JobId, NodeId, ShapeId};
use crate::scheduler::fits::Fits;
use crate::scheduler::floor::Floor;
use crate::scheduler::placement::{NodeView, best_of};
use crate::scheduler::shapes::PoolShape;
use crate::time::SimTime;

impl Classic<'_> {
    pub(super) fn easy_pass(
        &mut self,
        now: SimTime,
        floor: &mut Floor,
        starts: &mut Vec<Start>,
    ) -> Result<(), Conflict> {
        let Some((head, shape)) = self.queue.head() else { return Ok(()) };
        let mut reservation = self.reserve(head.job(), shape, now, floor);
        if self.queue.len() > 1 {
            self.let_pass(head, now, Some(&mut reservation), floor, starts)?;
        }
        self.reservation = Some(reservation);
        Ok(())
    }

    /// The earliest pool and instant for the head (declared order on ties), and its nodes there.
    fn reserve(&mut self, job: JobId, shape: ShapeId, now: SimTime, floor: &Floor) -> Reservation {
        let Self { shapes, fits, placement, .. } = self;
        let (shadow, pool) = shapes
            .get(shape)
            .pools
            .iter()
            .map(|pool| (shadow_time(fits, pool, floor).max(now), pool))
            .min_by_key(|(at, _)| *at)
            .expect("jobs that no pool holds are refused at submission");
        let mut spare = Chosen::new();
        if let Some(node) = floor.ledger().only_node(pool.pool) {
            spare.push((node, floor.expected_free(node, shadow).minus(&pool.total)));
            return Reservation { job, shadow, tenant: None, spare };
        }
        let mut tenant = None;
        for (part, count) in &pool.groups {
            let ask = shapes.parts.get(*part).amounts;
            tenant = shapes.parts.get(*part).tenant;
            let (first, ready) = fits.ready(*part, floor);
            let nodes = ready
                .iter()
                .enumerate()
                .filter(|(_, at)| **at <= shadow)
                .map(|(at, _)| NodeId(first.0 + at as u32))
                .filter(|node| !spare.iter().any(|(taken, _)| taken == node))
                .map(|id| NodeView {
                    id,
                    capacity: floor.ledger().node(id).capacity,
                    free: floor.expected_free(id, shadow),
                });
            let is_own = tenant.map(|_| |node| floor.ledger().tenant_on(node) == tenant);
            let chosen = best_of(placement.as_ref(), &ask, nodes, *count as usize, is_own);
            let chosen = chosen.expect("the shadow time is when enough nodes are ready");
            spare.extend(chosen.iter().map(|node| (node.id, node.free.minus(&ask))));
        }
        Reservation { job, shadow, tenant, spare }
    }
}

/// The first expected instant at which every group of `pool` finds its nodes.
fn shadow_time(fits: &mut Fits, pool: &PoolShape, floor: &Floor) -> SimTime {
    if let Some(node) = floor.ledger().only_node(pool.pool) {
        return floor.ready_at(node, &pool.total);
    }
    let mut needed = 0;
    let mut shadow = SimTime::from_micros(i64::MIN);
    for (part, count) in &pool.groups {
        needed += *count as usize;
        let (_, ready) = fits.ready(*part, floor);
        let at = match needed {
            1 => ready.iter().copied().min(),
            n if n > ready.len() => None,
            n => {
                let mut times = ready.to_vec();
                Some(*times.select_nth_unstable(n - 1).1)
            }
        };
        shadow = shadow.max(at.unwrap_or(SimTime::NEVER));
    }
    shadow
}

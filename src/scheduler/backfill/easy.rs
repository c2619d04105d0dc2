//! EASY: the head's shadow time and reservation.

use smallvec::SmallVec;

use super::{Backfill, Reservation, Start};
use crate::cluster::Conflict;
use crate::ids::{JobId, NodeId, ShapeId};
use crate::scheduler::fits::Fits;
use crate::scheduler::floor::Floor;
use crate::scheduler::kind::{Kind, Piece};
use crate::scheduler::placement::best_of;
use crate::scheduler::shapes::PoolShape;
use crate::time::SimTime;

impl<D: Kind> Backfill<'_, D> {
    pub(super) fn easy_pass(
        &mut self,
        now: SimTime,
        floor: &mut Floor<D>,
        starts: &mut Vec<Start<D>>,
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
    fn reserve(&mut self, job: JobId, shape: ShapeId, now: SimTime, floor: &Floor<D>) -> Reservation<D> {
        let Self { shapes, fits, judge, .. } = self;
        let (shadow, pool) = shapes
            .get(shape)
            .pools
            .iter()
            .map(|pool| (shadow_time(fits, judge, pool, floor).max(now), pool))
            .min_by_key(|(at, _)| *at)
            .expect("jobs that no pool holds are refused at submission");
        let mut reserved = Reservation { job, shadow, tenant: None, spare: SmallVec::new() };
        let ledger = floor.ledger();
        if let Some(node) = ledger.only_node(pool.pool) {
            let part = shapes.parts.get(pool.groups[0].0);
            let then = floor.expected(node, shadow);
            reserved.spare.push((node, D::promise(judge, floor, (node, then), part)));
            return reserved;
        }
        if shadow == SimTime::NEVER {
            return reserved;
        }
        for (id, count) in &pool.groups {
            let part = shapes.parts.get(*id);
            reserved.tenant = part.tenant();
            let (first, ready) = fits.ready(*id, judge, floor);
            let nodes = ready
                .iter()
                .enumerate()
                .filter(|(_, at)| **at <= shadow)
                .map(|(at, _)| NodeId(first.0 + at as u32))
                .filter(|node| !reserved.spare.iter().any(|(taken, _)| taken == node))
                .map(|node| (node, floor.expected(node, shadow)));
            let is_own = reserved.tenant.map(|tenant| move |node| ledger.tenant_on(node) == Some(tenant));
            let lowest = D::lowest_id_wins(judge);
            let leaves = D::leaf_numbers(judge);
            let score = |node, then: &D::Later| D::score_later(judge, floor, (node, then), part);
            let chosen = best_of(nodes, *count as usize, lowest, score, is_own, leaves.as_deref());
            let chosen = chosen.expect("the shadow time is when enough nodes are ready");
            for (node, then) in chosen {
                reserved.spare.push((node, D::promise(judge, floor, (node, then), part)));
            }
        }
        reserved
    }
}

/// The first expected instant at which every group of `pool` finds its nodes.
fn shadow_time<D: Kind>(
    fits: &mut Fits<D>,
    judge: &mut D::Judge,
    pool: &PoolShape<D>,
    floor: &Floor<D>,
) -> SimTime {
    let mut needed = 0;
    let mut shadow = SimTime::from_micros(i64::MIN);
    for (part, count) in &pool.groups {
        needed += *count as usize;
        let (_, ready) = fits.ready(*part, judge, floor);
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

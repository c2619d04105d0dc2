//! EASY: the head's shadow time, and the parts of GPUs that are kept for it.

use smallvec::SmallVec;

use super::fit::{Look, choose};
use super::floor::{CardFloor, with_taken};
use super::rooms::{Judge, NO_ROOM, Rooms, is_own};
use super::{CardReservation, SharedScheduler};
use crate::ids::{JobId, NodeId, ShapeId};
use crate::scheduler::shared::demand::CardPoolShape;
use crate::time::SimTime;

impl SharedScheduler<'_> {
    /// The earliest pool and instant for the head (declared order on ties), and its parts there.
    pub(super) fn reserve(
        &mut self,
        job: JobId,
        shape: ShapeId,
        now: SimTime,
        floor: &CardFloor,
    ) -> CardReservation {
        let Self { shapes, rooms, judge, .. } = self;
        let (shadow, pool) = shapes
            .get(shape)
            .pools
            .iter()
            .map(|pool| (shadow_time(rooms, judge, pool, floor).max(now), pool))
            .min_by_key(|(at, _)| *at)
            .expect("jobs that no pool holds are refused at submission");
        let mut reserved = CardReservation { job, shadow, tenant: None, nodes: SmallVec::new() };
        if shadow == SimTime::NEVER {
            return reserved;
        }
        let spec = floor.ledger().spec(pool.pool);
        for (part_id, count) in &pool.groups {
            let part = rooms.part(*part_id).clone();
            reserved.tenant = part.tenant;
            let (first, ready) = rooms.ready(*part_id, judge, floor);
            let ready: SmallVec<[NodeId; 8]> = ready
                .iter()
                .enumerate()
                .filter(|(_, at)| **at <= shadow)
                .map(|(at, _)| NodeId(first.0 + at as u32))
                .filter(|node| !reserved.nodes.iter().any(|(taken, _)| taken == node))
                .collect();
            let mut scored: Vec<_> = ready
                .into_iter()
                .map(|id| {
                    let (node, view) = floor.expected(id, shadow);
                    (judge.score_later(&node, view.as_ref(), &part, spec), id, node)
                })
                .filter(|(score, ..)| *score < NO_ROOM)
                .collect();
            scored.sort_by_key(|(score, id, _)| {
                (part.tenant.is_some() && !is_own(*id, &part, floor), *score, *id)
            });
            for (_, id, mut then) in scored.into_iter().take(*count as usize) {
                let now = floor.ledger().node(id);
                let look = Look { is_later: true, first_not_free: Some(now), ..judge.look(pool.pool, spec) };
                let chosen = choose(&then, &part, look).expect("it has room there by then");
                with_taken(&mut then, &part, &chosen.devices, spec);
                reserved.nodes.push((id, then));
            }
        }
        reserved
    }
}

/// The first expected instant at which every group of `pool` finds its nodes.
fn shadow_time(rooms: &mut Rooms, judge: &Judge, pool: &CardPoolShape, floor: &CardFloor) -> SimTime {
    let mut needed = 0;
    let mut shadow = SimTime::from_micros(i64::MIN);
    for (part, count) in &pool.groups {
        needed += *count as usize;
        let (_, ready) = rooms.ready(*part, judge, floor);
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

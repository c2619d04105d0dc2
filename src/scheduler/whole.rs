//! Whole GPUs, as a scheduler sees them: amounts tell all.

use std::sync::Arc;

use super::floor::{Floor, Release};
use super::kind::{Booking, Kind, Piece};
use super::placement::{NodeView, Placement, Score};
use super::shapes::{Part, PoolShape, Shape};
use crate::cluster::{Amounts, Conflict, Grant, Ledger, Whole};
use crate::ids::{NodeId, PartId, PoolId, TenantId};
use crate::time::{SimDuration, SimTime};
use crate::workload::{Interner, Job};

impl Piece for Part {
    #[inline]
    fn pool(&self) -> PoolId {
        self.pool
    }
    #[inline]
    fn tenant(&self) -> Option<TenantId> {
        self.tenant
    }
}

fn score(judge: &dyn Placement, ledger: &Ledger, (id, free): (NodeId, Amounts), part: &Part) -> Score {
    let view = NodeView { id, capacity: ledger.node(id).capacity, free };
    judge.score(&part.amounts, &view)
}

impl Kind for Whole {
    type Part = Part;
    type More = ();
    type Back = Amounts;
    type Later = Amounts;
    type Then = Amounts;
    type Views = ();
    type Judge = Box<dyn Placement>;
    type Speeds = ();
    type Cuts = ();
    type Plans = ();
    const STRETCHES: bool = false;

    #[inline]
    fn least(part: &Part, (): &()) -> Amounts {
        part.amounts
    }
    #[inline]
    fn back(grant: &Grant, _: &Ledger) -> Amounts {
        grant.amounts()
    }
    #[inline]
    fn note_taken((): &mut (), _: &Grant, _: &Ledger) {}
    #[inline]
    fn note_returned((): &mut (), _: &Grant, _: &Ledger) {}

    #[inline]
    fn has_room(_: &mut Self::Judge, ledger: &Ledger, node: NodeId, (_, part): (PartId, &Part)) -> bool {
        ledger.node(node).free.holds(&part.amounts)
    }
    #[inline]
    fn score(judge: &mut Self::Judge, floor: &Floor, node: NodeId, (_, part): (PartId, &Part)) -> Score {
        let ledger = floor.ledger();
        score(judge.as_ref(), ledger, (node, ledger.node(node).free), part)
    }
    #[inline]
    fn lowest_id_wins(judge: &Self::Judge) -> bool {
        judge.lowest_id_wins()
    }
    #[inline]
    fn leaf_numbers(judge: &Self::Judge) -> Option<Arc<[u32]>> {
        judge.leaves()
    }
    #[inline]
    fn ready_at(_: &mut Self::Judge, floor: &Floor, node: NodeId, (_, part): (PartId, &Part)) -> SimTime {
        floor.ready_at(node, &part.amounts)
    }
    #[inline]
    fn free_now(ledger: &Ledger, node: NodeId) -> Amounts {
        ledger.node(node).free
    }

    #[inline]
    fn later(floor: &Floor, node: NodeId) -> Amounts {
        floor.ledger().node(node).free
    }
    #[inline]
    fn free(later: &Amounts) -> Amounts {
        *later
    }
    #[inline]
    fn leaves(later: &mut Amounts, back: &Amounts, (): &()) {
        *later = later.plus(back);
    }
    #[inline]
    fn all_leave(later: &mut Amounts, sum: &Amounts, _: &[(Release, Amounts)], (): &()) {
        *later = later.plus(sum);
    }
    #[inline]
    fn score_later(
        judge: &mut Self::Judge,
        floor: &Floor,
        (node, later): (NodeId, &Amounts),
        part: &Part,
    ) -> Score {
        score(judge.as_ref(), floor.ledger(), (node, *later), part)
    }

    #[inline]
    fn promise(_: &Self::Judge, _: &Floor, (_, later): (NodeId, Amounts), part: &Part) -> Amounts {
        later.minus(&part.amounts)
    }
    #[inline]
    fn is_beside(_: &Self::Judge, _: &Floor, (_, spare): (NodeId, &Amounts), part: &Part) -> bool {
        spare.holds(&part.amounts)
    }
    #[inline]
    fn use_spare(spare: &mut Amounts, grant: &Grant, (): &()) {
        *spare = spare.minus(&grant.amounts());
    }
    /// GPUs by lowest free index.
    #[inline]
    fn grant(
        _: &mut Self::Judge,
        floor: &Floor,
        (node, _): (NodeId, Option<&Amounts>),
        part: &Part,
        (): &mut (),
    ) -> Option<Grant> {
        let Amounts { cpus, gpus, mem_mb } = part.amounts;
        let gpus = floor.ledger().node(node).pick_gpus(gpus, 0)?;
        Some(Grant { node, cpus, mem_mb, gpus })
    }
    #[inline]
    fn cut(_: &mut Ledger, (): &()) -> Result<(), Conflict> {
        Ok(())
    }

    #[inline]
    fn estimate((): &(), job: &Job, _: &PoolShape, _: &[Grant], _: &Ledger) -> SimDuration {
        job.limit
    }
    #[inline]
    fn longest((): &(), job: &Job, _: &PoolShape, _: &Interner<PartId, Part>, _: &Ledger) -> SimDuration {
        job.limit
    }
    #[inline]
    fn may_be_faster(_: &Shape) -> bool {
        false
    }

    #[inline]
    fn counts(_: &Self::Judge, (): &()) -> bool {
        true
    }
    #[inline]
    fn settles((): &()) -> bool {
        false
    }
    #[inline]
    fn clear((): &mut (), _: usize) {}
    #[inline]
    fn has_room_during((): &mut (), _: &mut Self::Judge, _: &Floor, _: &Booking<'_, Self>) -> bool {
        true
    }
    #[inline]
    fn book((): &mut (), _: &mut Self::Judge, _: &Floor, _: &Booking<'_, Self>) {}
    #[inline]
    fn score_during(
        (): &mut (),
        judge: &mut Self::Judge,
        floor: &Floor,
        free: &Amounts,
        booking: &Booking<'_, Self>,
    ) -> Score {
        score(judge.as_ref(), floor.ledger(), (booking.node, *free), booking.part.1)
    }
}

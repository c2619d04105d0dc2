//! Parts of GPUs, as a scheduler sees them.

use std::sync::Arc;

use smallvec::SmallVec;

use super::demand::{CardMore, CardPoolShape, Reference, least_units};
use super::fit::{CardPart, DeviceAsk, Look, choose, occupy};
use super::floor::{CardFloor, NodeReshape, Views, give_back_on_view, take_on_view};
use super::judge::Judge;
use super::plans::CardPlans;
use super::speed::{SPEED_ONE, Speeds};
use crate::cluster::cards::{
    CARD_MILLI, CardGrant, CardMode, CardNode, CardPool, Cards, Device, InstanceState, Units,
};
use crate::cluster::mig::Placement;
use crate::cluster::{CardLedger, Conflict, Devices, Total};
use crate::ids::{Id, NodeId, PartId, PoolId, TenantId};
use crate::scheduler::floor::Release;
use crate::scheduler::kind::{Back, Booking, Kind, Piece};
use crate::scheduler::placement::Score;
use crate::scheduler::shapes::Shape;
use crate::scheduler::sharing::SharedNode;
use crate::time::{SimDuration, SimTime};
use crate::workload::{Interner, Job};

impl Piece for CardPart {
    fn pool(&self) -> PoolId {
        self.pool
    }
    fn tenant(&self) -> Option<TenantId> {
        self.tenant
    }
}

/// A grant that will come back.
#[derive(Clone, Debug)]
pub struct CardBack {
    total: Units,
    pub(super) grant: CardGrant,
}

impl Back for CardBack {
    type Total = Units;
    #[inline]
    fn total(&self) -> Units {
        self.total
    }
}

/// A node as it is expected to be at another instant.
#[derive(Clone, Debug)]
pub struct CardLater {
    pub(super) node: CardNode,
    /// The same in thousandths, where the placement looks at those.
    pub(super) view: Option<SharedNode>,
    pub(super) free: Units,
}

impl CardLater {
    pub(super) fn give_back(&mut self, grant: &CardGrant, spec: &CardPool) {
        self.node.give_back(grant, spec).expect("what is held was taken");
        if let Some(view) = &mut self.view {
            give_back_on_view(view, grant, spec);
        }
        self.free = self.free.plus(&Cards::total(grant, spec));
    }

    /// Takes a grant, whatever must be cut for it.
    pub(super) fn take(&mut self, grant: &CardGrant, spec: &CardPool) {
        take_anyhow(&mut self.node, grant, spec);
        if let Some(view) = &mut self.view {
            take_on_view(view, grant, spec);
        }
        self.free = self.free.minus(&Cards::total(grant, spec));
    }
}

/// Takes a grant from a node in any state, whatever must be cut for it.
fn take_anyhow(node: &mut CardNode, grant: &CardGrant, spec: &CardPool) {
    node.cpus = node.cpus.saturating_sub(grant.cpus);
    node.mem_mb = node.mem_mb.saturating_sub(grant.mem_mb);
    node.allocations += 1;
    occupy(node, &grant.gpus, spec);
}

/// A time of a job, by how much slower it runs alone on what it has than on what it was measured on.
fn stretched(time: SimDuration, alone: u64, reference: u64) -> SimDuration {
    if alone == reference {
        return time;
    }
    let us = i128::from(time.micros()) * i128::from(reference);
    let stretched = (us + i128::from(alone) - 1) / i128::from(alone);
    SimDuration::from_micros(i64::try_from(stretched).unwrap_or(i64::MAX).min(SimDuration::MAX.micros()))
}

/// The limit of a job on the slowest devices that it may get of a pool, alone there.
#[must_use]
pub fn longest(
    speeds: &Speeds,
    job: &Job,
    shape: &CardPoolShape,
    parts: &Interner<PartId, CardPart>,
    spec: &CardPool,
) -> SimDuration {
    let devices = |(part, _): &(PartId, u32)| -> SmallVec<[Device; 4]> {
        match &parts.get(*part).ask {
            DeviceAsk::None => SmallVec::new(),
            DeviceAsk::Whole(_) => SmallVec::from_slice(&[Device::Whole { card: 0 }]),
            DeviceAsk::Share { milli, mib, .. } => {
                SmallVec::from_slice(&[Device::Share { card: 0, milli: *milli, mib: *mib }])
            }
            DeviceAsk::Slice { profiles, .. } => {
                let placement = |profile: &_| Placement { start: 0, profile: *profile };
                profiles.iter().map(|p| Device::Instance { card: 0, placement: placement(p) }).collect()
            }
        }
    };
    let on = |group| speeds.alone(job, &devices(group), shape.pool.index(), spec);
    let alone = shape.groups.iter().map(on).min().unwrap_or(SPEED_ONE);
    stretched(job.limit, alone, speeds.reference(job, shape.more.reference))
}

/// Whether a part has room where less of the two states is free, card by card; `None` where that needs a look at
/// instances.
fn is_in_both(now: &CardNode, then: &CardNode, part: &CardPart, spec: &CardPool) -> Option<bool> {
    if now.cpus.min(then.cpus) < part.cpus || now.mem_mb.min(then.mem_mb) < part.mem_mb {
        return Some(false);
    }
    if matches!(spec.mode, CardMode::Mig(_)) && part.ask != DeviceAsk::None {
        return None;
    }
    let (count, milli, mib) = match part.ask {
        DeviceAsk::None => return Some(true),
        DeviceAsk::Whole(count) => (count, CARD_MILLI, 0),
        DeviceAsk::Share { cards, milli, mib } => (cards, milli, mib),
        DeviceAsk::Slice { .. } => return Some(false),
    };
    let has_room = |card: &crate::cluster::cards::Card| card.free_milli >= milli && card.free_mib >= mib;
    let both = now.cards.iter().zip(&then.cards).filter(|(now, then)| has_room(now) && has_room(then));
    Some(both.count() >= count as usize)
}

impl Kind for Cards {
    type Part = CardPart;
    type More = CardMore;
    type Back = CardBack;
    type Later = CardLater;
    /// The node as it will be with the head on it.
    type Then = CardNode;
    type Views = Views;
    type Judge = Judge;
    type Speeds = Speeds;
    type Cuts = Vec<NodeReshape>;
    type Plans = CardPlans;
    const STRETCHES: bool = true;

    fn least(part: &CardPart, spec: &CardPool) -> Units {
        let gpus = least_units(&part.ask, spec);
        Units { cpus: u64::from(part.cpus), mem_mb: part.mem_mb, gpus }
    }
    fn back(grant: &CardGrant, ledger: &CardLedger) -> CardBack {
        CardBack { total: Self::total(grant, ledger.spec_of(grant.node)), grant: grant.clone() }
    }
    fn note_taken(views: &mut Views, grant: &CardGrant, ledger: &CardLedger) {
        if !views.nodes.is_empty() {
            take_on_view(&mut views.nodes[grant.node], grant, ledger.spec_of(grant.node));
        }
    }
    fn note_returned(views: &mut Views, grant: &CardGrant, ledger: &CardLedger) {
        if !views.nodes.is_empty() {
            give_back_on_view(&mut views.nodes[grant.node], grant, ledger.spec_of(grant.node));
        }
    }

    #[inline]
    fn has_room(judge: &mut Judge, ledger: &CardLedger, node: NodeId, part: (PartId, &CardPart)) -> bool {
        judge.has_room(ledger, node, part)
    }
    fn score(judge: &mut Judge, floor: &CardFloor, node: NodeId, part: (PartId, &CardPart)) -> Score {
        judge.score_now(floor, node, part)
    }
    fn lowest_id_wins(judge: &Judge) -> bool {
        judge.lowest_id_wins()
    }

    fn leaf_numbers(judge: &Judge) -> Option<Arc<[u32]>> {
        judge.leaves.clone()
    }
    fn ready_at(judge: &mut Judge, floor: &CardFloor, id: NodeId, part: (PartId, &CardPart)) -> SimTime {
        let ledger = floor.ledger();
        if judge.has_room(ledger, id, part) {
            return SimTime::from_micros(i64::MIN);
        }
        let (now, part) = (ledger.node(id), part.1);
        let spec = ledger.spec(now.pool);
        let look = Look { is_later: true, ..judge.look(part.pool, spec) };
        let later = now.later();
        if matches!(spec.mode, CardMode::Mig(_)) && choose(&later, part, look).is_some() {
            // Only something under way keeps it from starting now: as good as now.
            return SimTime::from_micros(i64::MIN + 1);
        }
        let least = Self::least(part, spec);
        let later = CardLater { free: later.free_units(spec), node: later, view: None };
        floor.first_ready(id, later, &least, |later| choose(&later.node, part, look).is_some())
    }
    fn free_now(ledger: &CardLedger, node: NodeId) -> Units {
        ledger.node(node).free_units(ledger.spec_of(node))
    }

    fn later(floor: &CardFloor, node: NodeId) -> CardLater {
        let later = floor.ledger().node(node).later();
        let free = later.free_units(floor.ledger().spec(later.pool));
        CardLater { node: later, view: floor.view(node).cloned(), free }
    }
    fn free(later: &CardLater) -> Units {
        later.free
    }
    fn leaves(later: &mut CardLater, back: &CardBack, spec: &CardPool) {
        later.give_back(&back.grant, spec);
    }
    fn all_leave(later: &mut CardLater, _: &Units, rows: &[(Release, CardBack)], spec: &CardPool) {
        rows.iter().for_each(|(_, back)| later.give_back(&back.grant, spec));
    }
    fn score_later(
        judge: &mut Judge,
        floor: &CardFloor,
        (_, later): (NodeId, &CardLater),
        part: &CardPart,
    ) -> Score {
        judge.score_later(&later.node, later.view.as_ref(), part, floor.ledger().spec(part.pool))
    }

    /// Of whole GPUs those that are in use now are promised first: what is free now may be used beside them.
    fn promise(
        judge: &Judge,
        floor: &CardFloor,
        (id, later): (NodeId, CardLater),
        part: &CardPart,
    ) -> CardNode {
        let ledger = floor.ledger();
        let spec = ledger.spec(part.pool);
        let now = Some(ledger.node(id));
        let look = Look { is_later: true, first_not_free: now, ..judge.look(part.pool, spec) };
        let mut then = later.node;
        let gpus = choose(&then, part, look).expect("it has room there by then").devices;
        let grant = CardGrant { node: id, cpus: part.cpus, mem_mb: part.mem_mb, gpus };
        take_anyhow(&mut then, &grant, spec);
        then
    }
    fn is_beside(judge: &Judge, floor: &CardFloor, (id, then): (NodeId, &CardNode), part: &CardPart) -> bool {
        let ledger = floor.ledger();
        let now = ledger.node(id);
        if now.pool != part.pool {
            return false;
        }
        let spec = ledger.spec(now.pool);
        let look = judge.look(part.pool, spec);
        is_in_both(now, then, part, spec)
            .unwrap_or_else(|| choose(&now.beside(then, spec), part, look).is_some())
    }
    fn use_spare(then: &mut CardNode, grant: &CardGrant, spec: &CardPool) {
        take_anyhow(then, grant, spec);
    }
    fn grant(
        judge: &mut Judge,
        floor: &CardFloor,
        (id, then): (NodeId, Option<&CardNode>),
        part: &CardPart,
        cuts: &mut Vec<NodeReshape>,
    ) -> Option<CardGrant> {
        let now = floor.ledger().node(id);
        let spec = (floor.ledger().spec(part.pool), false);
        let chosen = match then {
            Some(then) => judge.choose(&now.beside(then, spec.0), None, part, spec)?,
            None => judge.choose(now, floor.view(id), part, spec)?,
        };
        cuts.extend(chosen.reshapes.into_iter().map(|change| (id, change)));
        Some(CardGrant { node: id, cpus: part.cpus, mem_mb: part.mem_mb, gpus: chosen.devices })
    }
    fn cut(ledger: &mut CardLedger, cuts: &Vec<NodeReshape>) -> Result<(), Conflict> {
        cuts.iter().try_for_each(|(node, change)| ledger.reshape(*node, change, InstanceState::Idle))
    }

    /// The limit, stretched by how much slower the job runs there alone than on what it was measured on.
    fn estimate(
        speeds: &Speeds,
        job: &Job,
        shape: &CardPoolShape,
        allocation: &[CardGrant],
        ledger: &CardLedger,
    ) -> SimDuration {
        let spec = ledger.spec(shape.pool);
        let on = |grant: &CardGrant| speeds.alone(job, &grant.gpus, shape.pool.index(), spec);
        let alone = allocation.iter().map(on).min().unwrap_or(SPEED_ONE);
        stretched(job.limit, alone, speeds.reference(job, shape.more.reference))
    }
    fn longest(
        speeds: &Speeds,
        job: &Job,
        shape: &CardPoolShape,
        parts: &Interner<PartId, CardPart>,
        ledger: &CardLedger,
    ) -> SimDuration {
        longest(speeds, job, shape, parts, ledger.spec(shape.pool))
    }
    fn may_be_faster(shape: &Shape<Self>) -> bool {
        shape.pools.iter().any(|pool| pool.more.reference != Reference::Whole)
    }

    fn counts(judge: &Judge, spec: &CardPool) -> bool {
        spec.mode == CardMode::Whole && judge.looks_at_sums()
    }
    fn settles(spec: &CardPool) -> bool {
        matches!(spec.mode, CardMode::Mig(_))
    }
    fn clear(plans: &mut CardPlans, nodes: usize) {
        plans.clear(nodes);
    }
    fn has_room_during(
        plans: &mut CardPlans,
        judge: &mut Judge,
        floor: &CardFloor,
        booking: &Booking<'_, Self>,
    ) -> bool {
        plans.has_room(judge, floor, booking)
    }
    fn book(plans: &mut CardPlans, judge: &mut Judge, floor: &CardFloor, booking: &Booking<'_, Self>) {
        plans.book(judge, floor, booking);
    }
    fn score_during(
        plans: &mut CardPlans,
        judge: &mut Judge,
        floor: &CardFloor,
        free: &Units,
        booking: &Booking<'_, Self>,
    ) -> Score {
        let (part, spec) = (booking.part.1, floor.ledger().spec(booking.part.1.pool));
        if judge.looks_at_sums() {
            return judge.score_sums(free, part, spec);
        }
        let then = plans.state(judge, floor, booking);
        judge.score_later(&then.node, then.view.as_ref(), part, spec)
    }
}

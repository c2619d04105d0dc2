//! Layouts that change: for a job that is placed, for the queue as a planner says, and not too often.

use smallvec::SmallVec;

use super::Timer;
use super::ground::Decider;
use crate::cluster::cards::{
    CARD_MILLI, Card, CardAllocation, Device, InstanceState, LayoutChange, MigPool, Reshape,
};
use crate::cluster::mig::{Layout, Placement};
use crate::cluster::{CardLedger, Conflict, cards::slice_units};
use crate::ids::{Id, IdVec, NodeId, PoolId, ShapeId};
use crate::kernel::{Calendar, Phase};
use crate::scheduler::shared::demand::{CardPoolShape, CardShapes};
use crate::scheduler::shared::fit::{CardRule, DeviceAsk, Look, choose};
use crate::scheduler::shared::floor::{CardFloor, NodeReshape};
use crate::scheduler::shared::planner::{CardPlan, Counts, Planner};
use crate::scheduler::shared::{LayoutTimes, SharedSetup};
use crate::simulation::SharedFacts;
use crate::simulation::meter::Meter;
use crate::time::{SimDuration, SimTime};

/// How many waiting jobs a planner looks at.
const PLAN_DEPTH: usize = 64;

/// Instances that are being made for nobody in particular.
#[derive(Debug)]
struct Making {
    pool: PoolId,
    node: NodeId,
    card: u8,
    placements: SmallVec<[Placement; 7]>,
    units: i64,
}

/// Changes of layouts under way, and when the next may come.
#[derive(Debug)]
pub(in crate::simulation) struct Layouts {
    times: Vec<LayoutTimes>,
    planners: IdVec<PoolId, Option<Planner>>,
    next_plan: IdVec<PoolId, SimTime>,
    making: Vec<Option<Making>>,
    /// Changes that have just begun, each with when it will be done.
    pub(super) begun: Vec<(SimTime, NodeReshape)>,
}

impl Layouts {
    pub(in crate::simulation) fn new(ledger: &CardLedger, setup: &SharedSetup) -> Self {
        let pools = ledger.pools();
        let planner = |pool| {
            let mig = ledger.spec(pool).mig().filter(|mig| mig.change == LayoutChange::Planned);
            mig.map(|mig| Planner::new(mig.model))
        };
        Self {
            times: setup.times.clone(),
            planners: (0..pools).map(PoolId::new).map(planner).collect(),
            next_plan: IdVec::filled(pools, SimTime::from_micros(i64::MIN)),
            making: Vec::new(),
            begun: Vec::new(),
        }
    }

    /// How long a job waits for what is cut for it: one GPU after the other on a node, nodes side by side.
    pub(in crate::simulation) fn for_job(
        &self,
        reshapes: &[NodeReshape],
        pool: PoolId,
        facts: &mut SharedFacts,
    ) -> SimDuration {
        let times = &self.times[pool.index()];
        let mut longest = SimDuration::ZERO;
        for (node, _) in reshapes {
            let of_node = reshapes.iter().filter(|(other, _)| other == node);
            let sum = of_node.fold(SimDuration::ZERO, |sum, (_, change)| sum + duration(change, times));
            longest = longest.max(sum);
        }
        reshapes.iter().for_each(|(_, change)| count(change, facts));
        longest
    }

    /// Keeps the instances that a job has given back for a while.
    pub(super) fn keep(
        &self,
        allocation: &CardAllocation,
        now: SimTime,
        floor: &mut CardFloor,
        calendar: &mut Calendar<Timer>,
    ) -> Result<(), Conflict> {
        for grant in allocation {
            let pool = floor.ledger().node(grant.node).pool;
            let keep = self.times[pool.index()].keep;
            let on_demand =
                floor.ledger().spec(pool).mig().is_some_and(|mig| mig.change == LayoutChange::OnDemand);
            if !on_demand || keep.micros() == 0 {
                continue;
            }
            for device in &grant.gpus {
                if let Device::Instance { card, placement } = *device {
                    floor.ledger_mut().mark(grant.node, card, placement, InstanceState::Kept)?;
                    let timer = Timer::Unkeep(grant.node, card, placement.start);
                    calendar.set(timer, now + keep, Phase::Release);
                }
            }
        }
        Ok(())
    }
}

/// How long one change takes.
pub(in crate::simulation) fn duration(change: &Reshape, times: &LayoutTimes) -> SimDuration {
    let instances = change.destroy.len() + change.create.len();
    let mut sum = SimDuration::from_micros(times.per_instance.micros() * instances as i64);
    if change.is_cut != change.was_cut {
        sum += times.mode;
    }
    sum
}

/// Counts one change.
pub(in crate::simulation) fn count(change: &Reshape, facts: &mut SharedFacts) {
    facts.repartitions += 1;
    facts.instances_made += change.create.len() as u64;
    facts.instances_destroyed += change.destroy.len() as u64;
}

impl Layouts {
    /// A change of layouts is done: its instances are there.
    pub(super) fn made(
        &mut self,
        number: u32,
        floor: &mut CardFloor,
        meter: &mut Meter,
    ) -> Result<(), Conflict> {
        let row = self.making[number as usize].take().expect("it was under way");
        meter.make(row.pool, -row.units);
        let mut placements = row.placements.into_iter();
        placements.try_for_each(|p| floor.ledger_mut().mark(row.node, row.card, p, InstanceState::Idle))
    }

    /// An instance need not be kept any longer; tells whether it was kept.
    pub(super) fn unkeep(floor: &mut CardFloor, node: NodeId, card: u8, start: u8) -> Result<bool, Conflict> {
        let instances = &floor.ledger().node(node).cards[usize::from(card)].instances;
        let kept = instances.iter().find(|i| i.placement.start == start && i.state == InstanceState::Kept);
        let Some(placement) = kept.map(|i| i.placement) else { return Ok(false) };
        floor.ledger_mut().mark(node, card, placement, InstanceState::Idle)?;
        Ok(true)
    }

    /// Where a planner cuts the GPUs: new layouts for the queue, if it is time.
    pub(super) fn plan<D: Decider<Ground = CardFloor>>(
        &mut self,
        now: SimTime,
        (floor, decider): (&mut CardFloor, &D),
        nobody_runs: bool,
        (meter, facts): (&mut Meter, &mut SharedFacts),
        calendar: &mut Calendar<Timer>,
    ) -> Result<(), Conflict> {
        if decider.waiting() == 0 || self.planners.iter().all(Option::is_none) {
            return Ok(());
        }
        for pool in (0..floor.ledger().pools()).map(PoolId::new) {
            if self.planners[pool].is_none() {
                continue;
            }
            if now < self.next_plan[pool] {
                calendar.set(Timer::Replan(pool.0), self.next_plan[pool], Phase::Release);
                continue;
            }
            let shapes = decider.card_shapes().expect("only floors of cards have layouts");
            let queue = Wanting::new(shapes, decider.queued().map(|job| decider.card_shape_of(job)));
            let changes = self.planned(pool, (floor.ledger(), &|_| true), &queue, nobody_runs);
            if changes.is_empty() {
                continue;
            }
            self.next_plan[pool] = now + self.times[pool.index()].keep;
            self.make(pool, changes, now, (floor, meter, facts), calendar)?;
        }
        Ok(())
    }

    /// New layouts for the first waiting jobs in a pool that a planner cuts, where it sees better ones: on nodes that
    /// `is_in_order`, so that no job waits for what is cut elsewhere.
    pub(in crate::simulation) fn planned(
        &mut self,
        pool: PoolId,
        (ledger, is_in_order): (&CardLedger, &dyn Fn(NodeId) -> bool),
        queue: &Wanting<'_>,
        nobody_runs: bool,
    ) -> Vec<NodeReshape> {
        let Some(wanted) = self.wanted(pool, queue) else { return Vec::new() };
        let mig = ledger.spec(pool).mig().expect("a planner is for MIG");
        let planner = self.planners[pool].as_mut().expect("only such pools want something");
        let mut places = Vec::new();
        for node in ledger.pool_range(pool).map(NodeId).filter(|node| is_in_order(*node)) {
            let state = ledger.node(node);
            if mig.whole_node && state.allocations > 0 {
                continue;
            }
            let cards = (0u8..).zip(&state.cards).filter(|(_, card)| may_change(card, mig));
            places.extend(cards.map(|(at, card)| (node, at, card)));
        }
        let cards = places
            .iter()
            .map(|(_, _, card)| CardPlan { fixed: card.fixed(mig.model), now: whole_layout(card, mig) });
        let plan = planner.plan(&wanted, cards);
        let mut changes = Vec::new();
        for ((node, at, card), target) in places.iter().zip(plan) {
            let Some(target) = target else { continue };
            changes.push((*node, between(*at, &whole_layout(card, mig), &target, card.is_cut)));
        }
        if changes.is_empty() && nobody_runs && self.making.iter().all(Option::is_none) {
            changes = for_head(pool, (ledger, is_in_order), queue);
        }
        changes
    }

    /// Whether some pool is cut by a planner.
    pub(in crate::simulation) fn has_planner(&self) -> bool {
        self.planners.iter().any(Option::is_some)
    }

    /// Whether a planner cuts this pool.
    pub(in crate::simulation) fn plans(&self, pool: PoolId) -> bool {
        self.planners[pool].is_some()
    }

    /// How long changes take in a pool, and stay.
    pub(in crate::simulation) fn times(&self, pool: PoolId) -> &LayoutTimes {
        &self.times[pool.index()]
    }

    /// Instances that the first waiting jobs want in a pool; `None` if they want none.
    fn wanted(&self, pool: PoolId, queue: &Wanting<'_>) -> Option<Counts> {
        let mut wanted = self.planners[pool].as_ref()?.none();
        for fit in queue.fits(pool) {
            for (part, nodes) in &fit.groups {
                if let DeviceAsk::Slice { profiles, count } = &queue.shapes.parts.get(*part).ask {
                    // Where layouts change, a request has one profile: the smallest.
                    wanted[usize::from(profiles[0].0)] += count * nodes;
                }
            }
        }
        wanted.iter().any(|count| *count > 0).then_some(wanted)
    }

    /// Begins changes of layouts.
    fn make(
        &mut self,
        pool: PoolId,
        changes: Vec<NodeReshape>,
        now: SimTime,
        (floor, meter, facts): (&mut CardFloor, &mut Meter, &mut SharedFacts),
        calendar: &mut Calendar<Timer>,
    ) -> Result<(), Conflict> {
        let times = self.times[pool.index()];
        let (model, whole_node) = {
            let mig = floor.ledger().spec(pool).mig().expect("a planner is for MIG");
            (mig.model, mig.whole_node)
        };
        for (node, change) in changes {
            let span = if whole_node { times.node } else { duration(&change, &times) };
            floor.ledger_mut().reshape(node, &change, InstanceState::Making)?;
            count(&change, facts);
            let slices = change.create.iter().map(|p| model.profile(p.profile).compute_slices).sum();
            let units = i64::from(slice_units(model, slices));
            meter.make(pool, units);
            let number = self.making.len() as u32;
            self.begun.push((now + span, (node, change.clone())));
            let placements = change.create;
            self.making.push(Some(Making { pool, node, card: change.card, placements, units }));
            calendar.set(Timer::Made(number), now + span, Phase::Release);
        }
        Ok(())
    }
}

/// The requests of the first waiting jobs, in order.
pub(in crate::simulation) struct Wanting<'a> {
    shapes: &'a CardShapes,
    queue: Vec<ShapeId>,
}

impl<'a> Wanting<'a> {
    /// As many of `queue` as a planner looks at.
    pub(in crate::simulation) fn new(shapes: &'a CardShapes, queue: impl Iterator<Item = ShapeId>) -> Self {
        Self { shapes, queue: queue.take(PLAN_DEPTH).collect() }
    }

    /// Those that a pool can hold.
    fn fits(&self, pool: PoolId) -> impl Iterator<Item = &CardPoolShape> {
        let all = self.queue.iter();
        all.filter_map(move |shape| self.shapes.get(*shape).pools.iter().find(|fit| fit.pool == pool))
    }
}

/// What must be cut for the first waiting job where nothing else is going on.
fn for_head(
    pool: PoolId,
    (ledger, is_in_order): (&CardLedger, &dyn Fn(NodeId) -> bool),
    queue: &Wanting<'_>,
) -> Vec<NodeReshape> {
    let shapes = queue.shapes;
    let head = queue.queue.first().and_then(|shape| shapes.get(*shape).pools.iter().find(|p| p.pool == pool));
    let Some(fit) = head else { return Vec::new() };
    let look = Look {
        spec: ledger.spec(pool),
        stranding: None,
        rule: CardRule::LowestId,
        is_later: true,
        first_not_free: None,
    };
    let mut changes = Vec::new();
    let mut nodes = ledger.pool_range(pool).map(NodeId).filter(|node| is_in_order(*node));
    for (part, count) in &fit.groups {
        // Where nobody runs, only nodes that are out of order have no room.
        let chosen = |node| Some((node, choose(ledger.node(node), shapes.parts.get(*part), look)?));
        for (node, chosen) in nodes.by_ref().filter_map(chosen).take(*count as usize) {
            changes.extend(chosen.reshapes.into_iter().map(|change| (node, change)));
        }
    }
    changes.retain(|(_, change)| !change.create.is_empty());
    changes
}

/// Whether a card has slices that nobody uses.
fn may_change(card: &Card, mig: &MigPool) -> bool {
    let fixed = card.instances.iter().filter(|i| i.state != InstanceState::Idle);
    let fixed: u8 = fixed.map(|i| mig.model.profile(i.placement.profile).compute_slices).sum();
    card.free_milli == CARD_MILLI && fixed < mig.model.compute_slices
}

/// All instances of a card as a layout.
fn whole_layout(card: &Card, mig: &MigPool) -> Layout {
    let mut layout = Layout::default();
    for instance in &card.instances {
        layout.place(mig.model, instance.placement).expect("the instances of a card are a legal layout");
    }
    layout
}

fn between(card: u8, from: &Layout, to: &Layout, was_cut: bool) -> Reshape {
    let gone = from.placements().iter().filter(|p| !to.placements().contains(p)).copied();
    let new = to.placements().iter().filter(|p| !from.placements().contains(p)).copied();
    Reshape { card, destroy: gone.collect(), create: new.collect(), is_cut: true, was_cut }
}

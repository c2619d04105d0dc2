//! What the core needs of a floor, of a decider and of what belongs to one kind of devices only.
//!
//! The core is written once over these: [`Ground`] is a floor whose GPUs are whole or given out in parts, [`Decider`] says
//! who starts, where, and who must go. [`Side`] is what only one kind of devices has: layouts that change.

use super::Timer;
use crate::cluster::cards::CARD_UNITS;
use crate::cluster::{Allocation, Amounts, Conflict, Grant, Ledger, Node, Whole};
use crate::ids::{JobId, NodeId, PoolId, RequestId, ShapeId};
use crate::kernel::Calendar;
use crate::scheduler::backfill::Backfill;
use crate::scheduler::kind::Kind;
use crate::scheduler::shapes::{PoolShape, Shapes};
use crate::scheduler::shared::demand::CardShapes;
use crate::scheduler::{Floor, Pending, Start};
use crate::simulation::guests::{OnCards, OnNode, OnNodes};
use crate::simulation::meter::{Gauge, Held, Load, Meter, UNITS_PER_DEVICE};
use crate::simulation::{Outcome, SharedFacts};
use crate::time::{SimDuration, SimTime};

/// A floor.
pub(in crate::simulation) trait Ground: Sized {
    /// How its GPUs are given out.
    type Kind: Kind;
    type Gauge: Gauge;
    type Side: Side<Self>;
    /// Whether GPUs are given out in parts.
    const COUNTS_PARTS: bool;

    fn gauge(&self) -> &Self::Gauge;
    fn nodes(&self) -> usize;
    fn pool_of(&self, node: NodeId) -> PoolId;
    fn version(&self) -> usize;
    fn changed_since(&self, version: usize) -> Option<&[NodeId]>;
    /// Holders on a node.
    fn holders(&self, node: NodeId) -> u32;
    /// All that is free on a node; `None` if nothing is.
    fn rest(&self, node: NodeId) -> Option<Grants<Self>>;
    fn take(&mut self, slot: u32, grants: &Grants<Self>, expected: SimTime) -> Result<(), Conflict>;
    fn give_back(&mut self, slot: u32, grants: &Grants<Self>, expected: SimTime) -> Result<(), Conflict>;
    /// How much that is, as the gauge counts.
    fn load(&self, grants: &Grants<Self>) -> Load;
    /// The nodes with what is held on each.
    fn on_nodes(&self, grants: &Grants<Self>) -> OnNodes;
    /// The first node.
    fn first(grants: &Grants<Self>) -> NodeId;
    /// The same with GPUs as bits, for files.
    fn plain(grants: &Grants<Self>) -> Allocation;
}

/// What a job holds: a grant per node.
pub(in crate::simulation) type Grants<G> = Allocation<<G as Ground>::Kind>;
/// What is cut anew for a job that starts.
pub(in crate::simulation) type Cuts<G> = <<G as Ground>::Kind as Kind>::Cuts;
/// A job that starts; the floor has it already.
pub(in crate::simulation) type Begin<G> = Start<<G as Ground>::Kind>;

/// What a decider does in a pass; who leaves goes first.
pub(in crate::simulation) struct Acts<G: Ground> {
    /// Slots of jobs that were taken off the floor; they keep their work and wait again.
    pub(in crate::simulation) stops: Vec<u32>,
    /// Jobs that were put on the floor, in order.
    pub(in crate::simulation) starts: Vec<Begin<G>>,
}

/// A request on one pool.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulation) struct Fit {
    pub(in crate::simulation) pool: PoolId,
    /// Asked for in all.
    pub(in crate::simulation) asked: Load,
    /// Taken in all, at least.
    pub(in crate::simulation) total: Load,
    pub(in crate::simulation) mem_mb: u64,
    pub(in crate::simulation) nodes: u32,
    /// GPUs, or parts of them, asked for.
    pub(in crate::simulation) gpus: u32,
}

/// How fast a job is on the devices that it was given.
pub(in crate::simulation) struct OnDevices {
    /// Alone there, in parts of 10^9 of the speed on whole GPUs.
    pub(in crate::simulation) speed: u64,
    /// On what its run time was measured on.
    pub(in crate::simulation) measured: u64,
    /// What it has of GPUs that others may be on.
    pub(in crate::simulation) cards: Option<Box<OnCards>>,
}

impl OnDevices {
    /// On whole GPUs.
    pub(in crate::simulation) const WHOLE: Self =
        Self { speed: 1_000_000_000, measured: 1_000_000_000, cards: None };
}

/// Who decides: who starts, where, and who must go. It sees limits, never true run times.
pub(in crate::simulation) trait Decider {
    type Ground: Ground;
    /// Takes a job in.
    fn enqueue(&mut self, job: JobId);
    /// Takes a waiting job out; tells whether it was there.
    fn withdraw(&mut self, job: JobId, now: SimTime) -> bool;
    /// A job has left its slot; the floor has its devices back.
    fn free_slot(&mut self, slot: u32, now: SimTime);
    /// Decides, and changes the floor accordingly.
    fn pass(
        &mut self,
        now: SimTime,
        ground: &mut Self::Ground,
        acts: &mut Acts<Self::Ground>,
    ) -> Result<(), Conflict>;
    /// When it wants to decide again, whatever happens.
    fn wakes_at(&self) -> Option<SimTime> {
        None
    }
    fn waiting(&self) -> usize;
    /// The first waiting job, and why it waits.
    fn head_reason(&self, ground: &Self::Ground) -> Option<(JobId, Pending)>;
    /// The jobs that wait, in order.
    fn queued(&self) -> impl Iterator<Item = JobId> + '_;
    /// When the first is expected to start, where the policy reserves for it.
    fn shadow(&self) -> Option<SimTime>;
    /// Why no pool can ever hold a request.
    fn refusal(&self, request: RequestId) -> Option<&str>;
    /// What a job means on each pool that can hold it, in declared order.
    fn fits(&self, job: JobId) -> impl Iterator<Item = Fit> + '_;
    /// Whether some job holds more than it asks for.
    fn have_slack(&self) -> bool;
    /// What a job on one pool holds beyond what it asked for.
    fn slack(&self, job: JobId, pool: PoolId, held: &Load) -> Load;
    /// What of each GPU that it holds a job on one pool asked for, in units of the hours; the rest is slack.
    fn units_of_each(&self, job: JobId, pool: PoolId) -> u32;
    /// How fast a job is on what it was given.
    fn on_devices(&self, job: JobId, grants: &Grants<Self::Ground>, ground: &Self::Ground) -> OnDevices;
    /// From now on `job`, which is not queued, stands for `request`.
    fn reroute(&mut self, job: JobId, request: RequestId);
    fn is_rerouted(&self, job: JobId, request: RequestId) -> bool;
    /// What requests mean where GPUs are given out in parts.
    fn card_shapes(&self) -> Option<&CardShapes> {
        None
    }
    /// What a job asks for there.
    fn card_shape_of(&self, job: JobId) -> ShapeId;
    /// Adds what only it can tell of the run.
    fn tell(&mut self, _: &mut Outcome) {}
}

/// What belongs to one kind of devices only; does nothing where GPUs are whole.
pub(in crate::simulation) trait Side<G: Ground> {
    /// How long a job that starts now waits for what is cut for it.
    fn cut(&mut self, start: (JobId, SimTime), cuts: &Cuts<G>, pool: PoolId) -> SimDuration;
    /// A job has started with so many units of GPUs.
    fn started(&mut self, job: JobId, load: &Load);
    /// A job has given this back.
    fn returned(
        &mut self,
        grants: &Grants<G>,
        now: SimTime,
        ground: &mut G,
        calendar: &mut Calendar<Timer>,
    ) -> Result<(), Conflict>;
    /// One of its timers has come due; tells whether a pass is worth while.
    fn fire(&mut self, timer: Timer, ground: &mut G, meter: &mut Meter) -> Result<bool, Conflict>;
    /// After the pass of an instant.
    fn settle<D: Decider<Ground = G>>(
        &mut self,
        now: SimTime,
        with: (&mut G, &D),
        nobody_runs: bool,
        meter: &mut Meter,
        calendar: &mut Calendar<Timer>,
    ) -> Result<(), Conflict>;
    /// `span_us` pass under what holds now.
    fn advance(&mut self, span_us: i128);
    /// A holding, if allocations are kept.
    fn note(&mut self, held: (JobId, SimTime, SimTime), grants: Grants<G>);
    /// What it tells at the end.
    fn finish(self, outcome: &mut Outcome, meter_span_us: i128) -> Option<Box<SharedFacts>>;
}

/// Nothing beside the floor.
#[derive(Debug, Default)]
pub(in crate::simulation) struct NoSide;

impl Side<Floor> for NoSide {
    fn cut(&mut self, _: (JobId, SimTime), (): &(), _: PoolId) -> SimDuration {
        SimDuration::ZERO
    }
    fn started(&mut self, _: JobId, _: &Load) {}
    fn returned(
        &mut self,
        _: &Allocation,
        _: SimTime,
        _: &mut Floor,
        _: &mut Calendar<Timer>,
    ) -> Result<(), Conflict> {
        Ok(())
    }
    fn fire(&mut self, _: Timer, _: &mut Floor, _: &mut Meter) -> Result<bool, Conflict> {
        Ok(false)
    }
    fn settle<D: Decider<Ground = Floor>>(
        &mut self,
        _: SimTime,
        _: (&mut Floor, &D),
        _: bool,
        _: &mut Meter,
        _: &mut Calendar<Timer>,
    ) -> Result<(), Conflict> {
        Ok(())
    }
    fn advance(&mut self, _: i128) {}
    fn note(&mut self, _: (JobId, SimTime, SimTime), _: Allocation) {}
    fn finish(self, _: &mut Outcome, _: i128) -> Option<Box<SharedFacts>> {
        None
    }
}

/// What the core asks of a kind of devices beside what its scheduler asks.
pub(in crate::simulation) trait Parts: Kind {
    type Side: Side<Floor<Self>>;
    /// Hours units of one GPU as the sums count it.
    const GPU_UNITS: i128;

    /// As the meter counts.
    fn load(total: &Self::Total) -> Load;
    /// Memory in MiB.
    fn mem_mb(total: &Self::Total) -> u64;
    /// Holders on a node.
    fn holders(node: &Self::Node) -> u32;
    /// All that is free on a node; `None` if nothing is.
    fn rest(ledger: &Ledger<Self>, node: NodeId) -> Option<Grant<Self>>;
    /// The same with GPUs as bits, for files.
    fn plain(grant: &Grant<Self>) -> Grant;
    /// What a job holds beyond what it asked for; parts of whole GPUs aside.
    fn slack(fit: &PoolShape<Self>, held: &Load) -> Load;
    /// GPUs asked for, as the meter counts.
    fn asked_gpus(fit: &PoolShape<Self>) -> u64;
    /// What of each GPU that it holds a job asked for, in units of the hours.
    fn units_of_each(fit: &PoolShape<Self>) -> u32;
    /// How fast a job is on what it was given.
    fn on_devices(
        decider: &Backfill<'_, Self>,
        job: JobId,
        grants: &Allocation<Self>,
        ledger: &Ledger<Self>,
    ) -> OnDevices;
    /// What requests mean where GPUs are given out in parts.
    fn card_shapes(shapes: &Shapes<Self>) -> Option<&CardShapes>;
    /// Whether a start can cut GPUs anew, which leaves traces when it is taken back.
    fn cuts(ledger: &Ledger<Self>) -> bool;
}

impl Parts for Whole {
    type Side = NoSide;
    const GPU_UNITS: i128 = UNITS_PER_DEVICE;

    #[inline]
    fn load(total: &Amounts) -> Load {
        Load::from(total)
    }

    fn mem_mb(total: &Amounts) -> u64 {
        total.mem_mb
    }

    fn holders(node: &Node) -> u32 {
        node.allocations
    }

    fn rest(ledger: &Ledger, node: NodeId) -> Option<Grant> {
        let row = ledger.node(node);
        let grant = Grant { node, cpus: row.free.cpus, mem_mb: row.free.mem_mb, gpus: row.free_gpus };
        (row.free != Amounts::ZERO).then_some(grant)
    }

    fn plain(grant: &Grant) -> Grant {
        *grant
    }

    #[inline]
    fn slack(fit: &PoolShape, _: &Load) -> Load {
        Load::from(&fit.total).saturating_minus(&Load::from(&fit.asked))
    }

    fn asked_gpus(fit: &PoolShape) -> u64 {
        u64::from(fit.asked.gpus)
    }

    fn units_of_each(fit: &PoolShape) -> u32 {
        fit.units_of_each()
    }

    fn on_devices(_: &Backfill<'_, Self>, _: JobId, _: &Allocation, _: &Ledger) -> OnDevices {
        OnDevices::WHOLE
    }

    fn card_shapes(_: &Shapes) -> Option<&CardShapes> {
        None
    }

    fn cuts(_: &Ledger) -> bool {
        false
    }
}

impl<D: Parts> Gauge for Ledger<D> {
    const GPU_UNITS: i128 = D::GPU_UNITS;

    fn pools(&self) -> usize {
        Self::pools(self)
    }

    #[inline]
    fn has(&self, pool: PoolId) -> Load {
        D::load(&self.pool_capacity(pool))
    }

    #[inline]
    fn free(&self, pool: PoolId) -> Load {
        D::load(&self.pool_free(pool))
    }
}

impl<D: Parts> Ground for Floor<D> {
    type Kind = D;
    type Gauge = Ledger<D>;
    type Side = D::Side;
    const COUNTS_PARTS: bool = D::GPU_UNITS == 1;

    #[inline]
    fn gauge(&self) -> &Ledger<D> {
        self.ledger()
    }

    fn nodes(&self) -> usize {
        self.ledger().nodes().len()
    }

    #[inline]
    fn pool_of(&self, node: NodeId) -> PoolId {
        D::pool_of(self.ledger().node(node))
    }

    fn version(&self) -> usize {
        self.ledger().version()
    }

    fn changed_since(&self, version: usize) -> Option<&[NodeId]> {
        self.ledger().changed_since(version)
    }

    fn holders(&self, node: NodeId) -> u32 {
        D::holders(self.ledger().node(node))
    }

    fn rest(&self, node: NodeId) -> Option<Allocation<D>> {
        D::rest(self.ledger(), node).map(|grant| std::iter::once(grant).collect())
    }

    fn take(&mut self, slot: u32, grants: &Allocation<D>, expected: SimTime) -> Result<(), Conflict> {
        self.start(slot, grants, expected)
    }

    #[inline]
    fn give_back(&mut self, slot: u32, grants: &Allocation<D>, expected: SimTime) -> Result<(), Conflict> {
        self.end(slot, grants, expected)
    }

    #[inline]
    fn load(&self, grants: &Allocation<D>) -> Load {
        let of = |grant: &Grant<D>| D::load(&D::total(grant, self.ledger().spec_of(grant.node)));
        grants.iter().fold(Load::ZERO, |sum, grant| sum.plus(&of(grant)))
    }

    fn on_nodes(&self, grants: &Allocation<D>) -> OnNodes {
        let row = |grant: &Grant<D>| {
            let load = D::load(&D::total(grant, self.ledger().spec_of(grant.node)));
            let held = Held { gpu_units: load.gpus * D::GPU_UNITS as u64, cpus: grant.cpus };
            OnNode { node: grant.node, held }
        };
        grants.iter().map(row).collect()
    }

    #[inline]
    fn first(grants: &Allocation<D>) -> NodeId {
        grants[0].node
    }

    fn plain(grants: &Allocation<D>) -> Allocation {
        grants.iter().map(D::plain).collect()
    }
}

impl<D: Parts> Decider for Backfill<'_, D> {
    type Ground = Floor<D>;

    fn enqueue(&mut self, job: JobId) {
        Backfill::enqueue(self, job);
    }

    fn withdraw(&mut self, job: JobId, now: SimTime) -> bool {
        Backfill::withdraw(self, job, now)
    }

    fn free_slot(&mut self, slot: u32, _: SimTime) {
        Backfill::free_slot(self, slot);
    }

    fn pass(
        &mut self,
        now: SimTime,
        ground: &mut Floor<D>,
        acts: &mut Acts<Floor<D>>,
    ) -> Result<(), Conflict> {
        Backfill::pass(self, now, ground, &mut acts.starts)
    }

    fn waiting(&self) -> usize {
        Backfill::waiting(self)
    }

    fn head_reason(&self, ground: &Floor<D>) -> Option<(JobId, Pending)> {
        Backfill::head_reason(self, ground)
    }

    fn queued(&self) -> impl Iterator<Item = JobId> + '_ {
        self.queue().iter().map(|(position, _)| position.job())
    }

    fn shadow(&self) -> Option<SimTime> {
        Backfill::shadow(self).map(|(_, at)| at)
    }

    fn refusal(&self, request: RequestId) -> Option<&str> {
        self.shapes().refusal(request)
    }

    fn fits(&self, job: JobId) -> impl Iterator<Item = Fit> + '_ {
        let shape = self.shapes().get(self.shape_of(job));
        shape.pools.iter().map(fit_of)
    }

    fn have_slack(&self) -> bool {
        self.shapes().have_slack()
    }

    fn slack(&self, job: JobId, pool: PoolId, held: &Load) -> Load {
        if !self.shapes().have_slack() {
            return Load::ZERO;
        }
        D::slack(fit_in(self, job, pool), held)
    }

    fn units_of_each(&self, job: JobId, pool: PoolId) -> u32 {
        if self.shapes().have_slack() { D::units_of_each(fit_in(self, job, pool)) } else { CARD_UNITS }
    }

    fn on_devices(&self, job: JobId, grants: &Allocation<D>, ground: &Floor<D>) -> OnDevices {
        D::on_devices(self, job, grants, ground.ledger())
    }

    fn reroute(&mut self, job: JobId, request: RequestId) {
        Backfill::reroute(self, job, request);
    }

    fn is_rerouted(&self, job: JobId, request: RequestId) -> bool {
        Backfill::is_rerouted(self, job, request)
    }

    fn card_shapes(&self) -> Option<&CardShapes> {
        D::card_shapes(self.shapes())
    }

    fn card_shape_of(&self, job: JobId) -> ShapeId {
        self.shape_of(job)
    }
}

/// What a request on a pool comes to.
pub(in crate::simulation) fn fit_of<D: Parts>(fit: &PoolShape<D>) -> Fit {
    Fit {
        pool: fit.pool,
        asked: Load { gpus: D::asked_gpus(fit), cpus: u64::from(fit.asked.cpus) },
        total: D::load(&fit.total),
        mem_mb: D::mem_mb(&fit.total),
        nodes: fit.nodes,
        gpus: fit.asked.gpus,
    }
}

/// What a job means on a pool that it was placed in.
pub(super) fn fit_in<'a, D: Parts>(
    decider: &'a Backfill<'_, D>,
    job: JobId,
    pool: PoolId,
) -> &'a PoolShape<D> {
    let shape = decider.shapes().get(decider.shape_of(job));
    shape.pools.iter().find(|fit| fit.pool == pool).expect("it was placed there")
}

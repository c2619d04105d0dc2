//! Floors whose GPUs are given out in parts: shares, MIG instances, layouts that change.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::Timer;
use super::gauge::CardGauge;
use super::ground::{Act, Begin, Decider, Fit, Ground, OnDevices, Side};
use super::layouts::Layouts;
use crate::cluster::cards::{CARD_UNITS, CardAllocation, CardPool, Device, InstanceState};
use crate::cluster::{Allocation, CardGrant, CardLedger, Conflict, Grant};
use crate::ids::{Id, IdVec, JobId, NodeId, PoolId, RequestId, ShapeId};
use crate::kernel::Calendar;
use crate::scheduler::Pending;
use crate::scheduler::shared::demand::{CardShapes, Reference};
use crate::scheduler::shared::floor::{CardFloor, NodeReshape};
use crate::scheduler::shared::speed::Resident;
use crate::scheduler::shared::{CardStart, SharedScheduler, SharedSetup, Speeds};
use crate::scheduler::sharing::TypicalMix;
use crate::simulation::guests::{Gpu, OnCards, OnNode, OnNodes};
use crate::simulation::meter::{Held, Load, Meter};
use crate::simulation::shared::CardHolding;
use crate::simulation::{Outcome, SharedFacts};
use crate::time::{SimDuration, SimTime};
use crate::workload::Job;

/// Hours units of the devices of a grant.
fn units(grant: &CardGrant, spec: &CardPool) -> u64 {
    grant.gpus.iter().map(|device| u64::from(spec.units(device))).sum()
}

impl Ground for CardFloor {
    type Grants = CardAllocation;
    type Cuts = Vec<NodeReshape>;
    type Gauge = CardLedger;
    type Side = CardSide;

    fn gauge(&self) -> &CardLedger {
        self.ledger()
    }

    fn nodes(&self) -> usize {
        self.ledger().nodes().len()
    }

    fn pool_of(&self, node: NodeId) -> PoolId {
        self.ledger().node(node).pool
    }

    fn version(&self) -> usize {
        self.ledger().version()
    }

    fn changed_since(&self, version: usize) -> Option<&[NodeId]> {
        self.ledger().changed_since(version)
    }

    fn holders(&self, node: NodeId) -> u32 {
        self.ledger().node(node).allocations
    }

    /// CPUs, memory, whole GPUs, what is left of shared ones, and the instances that nobody uses. Slices that are not
    /// cut stay: nothing can be placed on a node without CPUs.
    fn rest(&self, node: NodeId) -> Option<CardAllocation> {
        let row = self.ledger().node(node);
        let mut devices: SmallVec<[Device; 1]> = SmallVec::new();
        for (card, state) in (0u8..).zip(&row.cards) {
            let idle = state
                .instances
                .iter()
                .filter(|i| i.state == InstanceState::Idle || i.state == InstanceState::Kept);
            if state.is_cut {
                devices.extend(idle.map(|i| Device::Instance { card, placement: i.placement }));
            } else if let Some(device) = row.rest_of(card, self.ledger().spec_of(node)) {
                devices.push(device);
            }
        }
        if row.cpus == 0 && row.mem_mb == 0 && devices.is_empty() {
            return None;
        }
        let grant = CardGrant { node, cpus: row.cpus, mem_mb: row.mem_mb, gpus: devices };
        Some(std::iter::once(grant).collect())
    }

    fn take(&mut self, slot: u32, grants: &CardAllocation, expected: SimTime) -> Result<(), Conflict> {
        self.start(slot, grants, &[], expected)
    }

    fn give_back(&mut self, slot: u32, grants: &CardAllocation, expected: SimTime) -> Result<(), Conflict> {
        self.end(slot, grants, expected)
    }

    fn load(&self, grants: &CardAllocation) -> Load {
        grants.iter().fold(Load::ZERO, |sum, grant| {
            let gpus = units(grant, self.ledger().spec_of(grant.node));
            sum.plus(&Load { gpus, cpus: u64::from(grant.cpus) })
        })
    }

    fn on_nodes(&self, grants: &CardAllocation) -> OnNodes {
        let row = |grant: &CardGrant| {
            let gpu_units = units(grant, self.ledger().spec_of(grant.node));
            OnNode { node: grant.node, held: Held { gpu_units, cpus: grant.cpus } }
        };
        grants.iter().map(row).collect()
    }

    fn first(grants: &CardAllocation) -> NodeId {
        grants[0].node
    }

    fn plain(grants: &CardAllocation) -> Allocation {
        let grant = |grant: &CardGrant| Grant {
            node: grant.node,
            cpus: grant.cpus,
            mem_mb: grant.mem_mb,
            gpus: grant.gpus.iter().fold(0, |bits, device| bits | 1 << device.card()),
        };
        grants.iter().map(grant).collect()
    }
}

impl Decider for SharedScheduler<'_> {
    type Ground = CardFloor;

    fn enqueue(&mut self, job: JobId) {
        SharedScheduler::enqueue(self, job);
    }

    fn withdraw(&mut self, job: JobId, now: SimTime) -> bool {
        SharedScheduler::withdraw(self, job, now)
    }

    fn free_slot(&mut self, slot: u32, _: SimTime) {
        SharedScheduler::free_slot(self, slot);
    }

    fn pass(
        &mut self,
        now: SimTime,
        ground: &mut CardFloor,
        acts: &mut Vec<Act<CardFloor>>,
    ) -> Result<(), Conflict> {
        let mut starts = Vec::new();
        SharedScheduler::pass(self, now, ground, &mut starts)?;
        acts.extend(starts.into_iter().map(|start| {
            let CardStart { job, allocation, reshapes, slot, expected } = start;
            let lead = SimDuration::ZERO;
            Act::Start(Begin { job, slot, grants: allocation, cuts: reshapes, expected, lead })
        }));
        Ok(())
    }

    fn waiting(&self) -> usize {
        SharedScheduler::waiting(self)
    }

    fn head_reason(&self, ground: &CardFloor) -> Option<(JobId, Pending)> {
        SharedScheduler::head_reason(self, ground)
    }

    fn queued(&self) -> impl Iterator<Item = JobId> + '_ {
        self.queue().iter().map(|(position, _)| position.job())
    }

    fn shadow(&self) -> Option<SimTime> {
        SharedScheduler::shadow(self).map(|(_, at)| at)
    }

    fn refusal(&self, request: RequestId) -> Option<&str> {
        self.shapes().refusal(request)
    }

    fn fits(&self, job: JobId) -> impl Iterator<Item = Fit> + '_ {
        let shape = self.shapes().get(self.shape_of(job));
        shape.pools.iter().map(|fit| {
            let crate::cluster::cards::Units { cpus, mem_mb, gpus } = fit.least;
            let asked = fit.asked_units.unwrap_or(gpus);
            Fit {
                pool: fit.pool,
                asked: Load { gpus: asked, cpus: u64::from(fit.asked.cpus) },
                total: Load { gpus, cpus },
                mem_mb,
                nodes: fit.nodes,
                gpus: fit.asked.gpus,
            }
        })
    }

    fn slack(&self, job: JobId, pool: PoolId, held: &Load) -> Load {
        let shape = self.shapes().get(self.shape_of(job));
        let fit = shape.pools.iter().find(|fit| fit.pool == pool).expect("it was placed there");
        Load {
            gpus: fit.asked_units.map_or(0, |asked| held.gpus.saturating_sub(asked)),
            cpus: held.cpus.saturating_sub(u64::from(fit.asked.cpus)),
        }
    }

    fn units_of_each(&self, _: JobId, _: PoolId) -> u32 {
        CARD_UNITS
    }

    fn on_devices(&self, job: JobId, grants: &CardAllocation, ground: &CardFloor) -> OnDevices {
        let pool = ground.ledger().node(grants[0].node).pool;
        let shape = self.shapes().get(self.shape_of(job));
        let fit = shape.pools.iter().find(|fit| fit.pool == pool).expect("it was placed there");
        on_devices(
            (self.job(job), self.util_milli(job)),
            fit.reference,
            grants,
            ground.ledger(),
            self.speeds(),
        )
    }

    fn reroute(&mut self, job: JobId, request: RequestId) {
        SharedScheduler::reroute(self, job, request);
    }

    fn is_rerouted(&self, job: JobId, request: RequestId) -> bool {
        SharedScheduler::is_rerouted(self, job, request)
    }

    fn card_shapes(&self) -> Option<&CardShapes> {
        Some(self.shapes())
    }

    fn card_shape_of(&self, job: JobId) -> ShapeId {
        self.shape_of(job)
    }
}

/// How fast a job is on `grants`, all in one pool; with the thousandths of its GPUs that it used where it was measured.
pub(in crate::simulation) fn on_devices(
    (row, util_milli): (&Job, Option<u16>),
    reference: Reference,
    grants: &[CardGrant],
    ledger: &CardLedger,
    speeds: &Speeds,
) -> OnDevices {
    let pool = ledger.node(grants[0].node).pool;
    let spec = ledger.spec(pool);
    let on = |grant: &CardGrant| speeds.alone(row, &grant.gpus, pool.index(), spec);
    let speed = grants.iter().map(on).min().unwrap_or(OnDevices::WHOLE.speed);
    let has_gpus = grants.iter().any(|grant| !grant.gpus.is_empty());
    let feels_others = has_gpus && speeds.neighbours_matter(pool.index(), spec);
    let is_shared = feels_others || spec.mode == crate::cluster::CardMode::Shares;
    let cards = (has_gpus && is_shared).then(|| {
        let first = ledger.pool_range(pool).start;
        let law = speeds.law(row);
        let util = util_milli.map(|milli| f64::from(milli) / 1000.0);
        let resident = Resident { law, use_alone: util.unwrap_or(law.use_alone()) };
        let held = grants.iter().flat_map(|grant| grant.gpus.iter().map(|device| (grant.node, device)));
        let devices = held.map(|(node, device)| (gpu_of(node, first, device, spec), milli(device)));
        Box::new(OnCards { pool, devices: devices.collect(), resident, feels_others })
    });
    OnDevices { speed, measured: speeds.reference(row, reference), cards }
}

/// The GPU that a device is on: host (by its first node) and index there.
fn gpu_of(node: NodeId, first: u32, device: &Device, spec: &CardPool) -> Gpu {
    match spec.vgpus {
        None => (node.0, device.card()),
        Some(vgpus) => {
            let (host, gpu) = vgpus.gpu_of(node.0 - first, device.card());
            (first + host * vgpus.vms, gpu)
        }
    }
}

fn milli(device: &Device) -> u16 {
    if let Device::Share { milli, .. } = device { *milli } else { 1000 }
}

/// What only floors with parts of GPUs have.
pub(in crate::simulation) struct CardSide {
    pub(super) layouts: Layouts,
    pub(super) gauge: CardGauge,
    pub(super) facts: SharedFacts,
    /// Takings of kept instances by timer.
    keep: bool,
    /// What each job held last, in hours units.
    units: IdVec<JobId, u32>,
    held: BTreeMap<(SimTime, JobId), Vec<CardHolding>>,
}

impl CardSide {
    pub(in crate::simulation) fn new(
        floor: &CardFloor,
        setup: &SharedSetup,
        shapes: &CardShapes,
        mix: TypicalMix,
        (jobs, keep): (usize, bool),
    ) -> Self {
        let facts = SharedFacts {
            asked: shapes.asked().collect(),
            reference_milli: reference_milli(shapes),
            ..SharedFacts::default()
        };
        Self {
            layouts: Layouts::new(floor.ledger(), setup),
            gauge: CardGauge::new(floor, mix),
            facts,
            keep,
            units: IdVec::filled(jobs, 0),
            held: BTreeMap::new(),
        }
    }
}

/// Thousandths of GPUs that each request's run time was measured on.
fn reference_milli(shapes: &CardShapes) -> Vec<u64> {
    let of = |at: usize| {
        let shape = shapes.get(ShapeId::new(at));
        shape.pools.first().map_or(0, |pool| {
            let each = match pool.reference {
                Reference::Whole => 1000,
                Reference::Milli(milli) => u64::from(milli),
                Reference::Instance(share) => (share.sm * 1000.0) as u64,
            };
            u64::from(pool.asked.gpus) * each
        })
    };
    (0..shapes.len()).map(of).collect()
}

impl CardSide {
    /// Looks at the nodes that changed.
    pub(in crate::simulation) fn look(&mut self, floor: &CardFloor, meter: &mut Meter) {
        self.gauge.follow(floor, meter);
    }

    /// The layouts were changed so often by somebody else.
    pub(in crate::simulation) fn count_as(&mut self, facts: &SharedFacts) {
        self.facts.repartitions = facts.repartitions;
        self.facts.instances_made = facts.instances_made;
        self.facts.instances_destroyed = facts.instances_destroyed;
    }
}

impl Side<CardFloor> for CardSide {
    fn cut(&mut self, cuts: &Vec<NodeReshape>, pool: PoolId) -> SimDuration {
        self.layouts.for_job(cuts, pool, &mut self.facts)
    }

    fn started(&mut self, job: JobId, load: &Load) {
        self.units[job] = u32::try_from(load.gpus).unwrap_or(u32::MAX);
    }

    fn returned(
        &mut self,
        grants: &CardAllocation,
        now: SimTime,
        ground: &mut CardFloor,
        calendar: &mut Calendar<Timer>,
    ) -> Result<(), Conflict> {
        self.layouts.keep(grants, now, ground, calendar)
    }

    fn fire(&mut self, timer: Timer, ground: &mut CardFloor, meter: &mut Meter) -> Result<bool, Conflict> {
        match timer {
            Timer::Made(number) => self.layouts.made(number, ground, meter).map(|()| true),
            Timer::Unkeep(node, card, start) => Layouts::unkeep(ground, node, card, start),
            _ => Ok(false),
        }
    }

    fn settle<D: Decider<Ground = CardFloor>>(
        &mut self,
        now: SimTime,
        (ground, decider): (&mut CardFloor, &D),
        nobody_runs: bool,
        meter: &mut Meter,
        calendar: &mut Calendar<Timer>,
    ) -> Result<(), Conflict> {
        let facts = &mut self.facts;
        self.layouts.plan(now, (ground, decider), nobody_runs, (meter, facts), calendar)?;
        self.gauge.follow(ground, meter);
        Ok(())
    }

    fn advance(&mut self, span_us: i128) {
        self.gauge.advance(span_us);
    }

    fn note(&mut self, (job, from, until): (JobId, SimTime, SimTime), allocation: CardAllocation) {
        if self.keep {
            let row = CardHolding { job, from, until, allocation };
            self.held.entry((from, job)).or_default().push(row);
        }
    }

    fn finish(mut self, outcome: &mut Outcome, meter_span_us: i128) -> Option<Box<SharedFacts>> {
        let gauge = self.gauge;
        self.facts.fragmented_milli_us = gauge.fragmented_us as f64 / gauge.mix_weight() as f64;
        self.facts.free_milli_us = gauge.free_milli_us;
        self.facts.stranded_slices_us = gauge.stranded_slices_us;
        self.facts.span_us = meter_span_us;
        self.facts.units = self.units;
        self.facts.holdings = self.held.into_values().flatten().collect();
        self.facts.installed_units = outcome.hours.total().gpu.installed;
        Some(Box::new(self.facts))
    }
}

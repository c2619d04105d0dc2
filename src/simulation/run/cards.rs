//! Floors whose GPUs are given out in parts: shares, MIG instances, layouts that change.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::Timer;
use super::gauge::CardGauge;
use super::ground::{Decider, OnDevices, Parts, Side, fit_in};
use super::layouts::Layouts;
use crate::cluster::cards::{
    CARD_UNITS, CardAllocation, CardNode, CardPool, Cards, Device, InstanceState, LayoutChange, Units,
};
use crate::cluster::{CardGrant, CardLedger, CardMode, Conflict, Grant};
use crate::ids::{Id, IdVec, JobId, NodeId, PoolId};
use crate::kernel::Calendar;
use crate::scheduler::shared::demand::{CardPoolShape, CardShapes, Reference};
use crate::scheduler::shared::floor::{CardFloor, NodeReshape};
use crate::scheduler::shared::speed::Resident;
use crate::scheduler::shared::{SharedScheduler, SharedSetup, Speeds};
use crate::scheduler::sharing::TypicalMix;
use crate::simulation::guests::{Gpu, OnCards};
use crate::simulation::meter::{Load, Meter};
use crate::simulation::shared::CardHolding;
use crate::simulation::{LayoutRow, Outcome, SharedFacts};
use crate::time::{SimDuration, SimTime};
use crate::workload::Job;

impl Parts for Cards {
    type Side = CardSide;
    const GPU_UNITS: i128 = 1;

    #[inline]
    fn load(total: &Units) -> Load {
        Load { gpus: total.gpus, cpus: total.cpus }
    }

    fn mem_mb(total: &Units) -> u64 {
        total.mem_mb
    }

    fn holders(node: &CardNode) -> u32 {
        node.allocations
    }

    /// CPUs, memory, whole GPUs, what is left of shared ones, and the instances that nobody uses. Slices that are not
    /// cut stay: nothing can be placed on a node without CPUs.
    fn rest(ledger: &CardLedger, node: NodeId) -> Option<CardGrant> {
        let row = ledger.node(node);
        let mut gpus: SmallVec<[Device; 1]> = SmallVec::new();
        for (card, state) in (0u8..).zip(&row.cards) {
            let idle = state
                .instances
                .iter()
                .filter(|i| i.state == InstanceState::Idle || i.state == InstanceState::Kept);
            if state.is_cut {
                gpus.extend(idle.map(|i| Device::Instance { card, placement: i.placement }));
            } else if let Some(device) = row.rest_of(card, ledger.spec_of(node)) {
                gpus.push(device);
            }
        }
        let grant = CardGrant { node, cpus: row.cpus, mem_mb: row.mem_mb, gpus };
        (row.cpus > 0 || row.mem_mb > 0 || !grant.gpus.is_empty()).then_some(grant)
    }

    fn plain(grant: &CardGrant) -> Grant {
        let gpus = grant.gpus.iter().fold(0, |bits, device| bits | 1 << device.card());
        Grant { node: grant.node, cpus: grant.cpus, mem_mb: grant.mem_mb, gpus }
    }

    fn slack(fit: &CardPoolShape, held: &Load) -> Load {
        Load {
            gpus: fit.asked_units.map_or(0, |asked| held.gpus.saturating_sub(asked)),
            cpus: held.cpus.saturating_sub(u64::from(fit.asked.cpus)),
        }
    }

    fn asked_gpus(fit: &CardPoolShape) -> u64 {
        fit.asked_units.unwrap_or(fit.total.gpus)
    }

    fn units_of_each(_: &CardPoolShape) -> u32 {
        // What a job did not ask for is slack already: these sums count parts.
        CARD_UNITS
    }

    fn on_devices(
        decider: &SharedScheduler<'_>,
        job: JobId,
        grants: &CardAllocation,
        ledger: &CardLedger,
    ) -> OnDevices {
        let reference = fit_in(decider, job, ledger.node(grants[0].node).pool).more.reference;
        on_devices((decider.job(job), decider.util_milli(job)), reference, grants, ledger, decider.speeds())
    }

    fn card_shapes(shapes: &CardShapes) -> Option<&CardShapes> {
        Some(shapes)
    }

    fn cuts(ledger: &CardLedger) -> bool {
        // Planned layouts too: who gets a whole GPU has its idle instances taken apart.
        let mut pools = (0..ledger.pools()).map(PoolId::new);
        pools.any(|pool| ledger.spec(pool).mig().is_some_and(|mig| mig.change != LayoutChange::Never))
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
    let is_shared = feels_others || spec.mode == CardMode::Shares;
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
    let of = |pool: &CardPoolShape| u64::from(pool.asked.gpus) * pool.more.reference.milli();
    shapes.by_request().map(|shape| shape.pools.first().map_or(0, of)).collect()
}

impl CardSide {
    /// Looks at the nodes that changed.
    pub(in crate::simulation) fn look(&mut self, floor: &CardFloor, meter: &mut Meter) {
        self.gauge.follow(floor, meter);
    }

    /// Keeps a change of layouts for reports.
    fn note_cut(&mut self, job: Option<JobId>, (from, until): (SimTime, SimTime), cuts: &[NodeReshape]) {
        if self.keep {
            let row = |(node, change): &NodeReshape| LayoutRow {
                from,
                until,
                job,
                node: *node,
                change: change.clone(),
            };
            self.facts.changes.extend(cuts.iter().map(row));
        }
    }

    /// The layouts were changed so often by somebody else.
    pub(in crate::simulation) fn count_as(&mut self, facts: &SharedFacts) {
        self.facts.repartitions = facts.repartitions;
        self.facts.instances_made = facts.instances_made;
        self.facts.instances_destroyed = facts.instances_destroyed;
        if self.keep {
            self.facts.changes.clone_from(&facts.changes);
        }
    }
}

impl Side<CardFloor> for CardSide {
    fn cut(&mut self, (job, now): (JobId, SimTime), cuts: &Vec<NodeReshape>, pool: PoolId) -> SimDuration {
        let span = self.layouts.for_job(cuts, pool, &mut self.facts);
        self.note_cut(Some(job), (now, now + span), cuts);
        span
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
        let begun = std::mem::take(&mut self.layouts.begun);
        for (until, change) in begun {
            self.note_cut(None, (now, until), std::slice::from_ref(&change));
        }
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

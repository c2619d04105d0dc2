//! Parts of GPUs under Slurm's policy: what a job holds of them in units of the hours, how fast it is there, and the
//! tool of the site that changes the layouts of idle GPUs between jobs.
//!
//! A layout is cut for a job in its prolog (`mig = "dynamic"`), or by a tool that looks at the queue
//! (`mig = "planned"`); either takes the times of the pool, and the controller sees the new GRES.

use smallvec::SmallVec;

use super::threads::Timer;
use crate::cluster::cards::{CardAllocation, Device, InstanceState, LayoutChange};
use crate::cluster::mig::Placement;
use crate::cluster::{Allocation, CardGrant, CardLedger, Grant, cards::slice_units};
use crate::ids::{Id, JobId, NodeId, PoolId, RequestId};
use crate::kernel::{Calendar, Phase};
use crate::scheduler::shared::demand::{CardPoolShape, CardShapes};
use crate::scheduler::shared::floor::NodeReshape;
use crate::scheduler::shared::kind::longest;
use crate::scheduler::shared::{SharedSetup, Speeds};
use crate::scheduler::slurm::Controller;
use crate::scheduler::slurm::devices::{Held as HeldCards, card_grant};
use crate::scheduler::slurm::job::Ask;
use crate::simulation::meter::{Held, UNITS_PER_DEVICE};
use crate::simulation::run::cards::on_devices;
use crate::simulation::run::ground::OnDevices;
use crate::simulation::run::layouts::{Layouts, Wanting, count, duration};
use crate::simulation::{LayoutRow, SharedFacts, Spills};
use crate::time::{SimDuration, SimTime};
use crate::workload::Workload;

/// How the GPUs of a site are given out, and what its jobs ask of them.
#[derive(Debug)]
pub(super) struct CardSite<'a> {
    pub(super) setup: &'a SharedSetup,
    pub(super) shapes: &'a CardShapes,
    /// The jobs as they ask for parts.
    pub(super) workload: &'a Workload,
    pub(super) spills: Option<&'a Spills>,
    pub(super) speeds: &'a Speeds,
}

impl CardSite<'_> {
    fn request(&self, job: JobId, is_wider: bool) -> RequestId {
        let spill = self.spills.and_then(|spills| spills.jobs.get(&job)).filter(|_| is_wider);
        spill.map_or(self.workload.jobs[job].request, |spill| spill.request)
    }

    /// What a job asks for in a pool where it runs.
    pub(super) fn fit(&self, job: JobId, is_wider: bool, pool: PoolId) -> Option<&CardPoolShape> {
        let shape = self.shapes.get(self.shapes.of(self.request(job, is_wider)));
        shape.pools.iter().find(|fit| fit.pool == pool)
    }

    /// How fast a job is on what it was given; of several pools the slowest counts.
    pub(super) fn on_devices(
        &self,
        (job, is_wider): (JobId, bool),
        grants: &CardAllocation,
        ledger: &CardLedger,
    ) -> OnDevices {
        let row = (&self.workload.jobs[job], self.workload.recorded.gpu_util_milli(job));
        let mut all: Option<OnDevices> = None;
        for grants in grants.chunk_by(|a, b| ledger.node(a.node).pool == ledger.node(b.node).pool) {
            let Some(fit) = self.fit(job, is_wider, ledger.node(grants[0].node).pool) else { continue };
            let here = on_devices(row, fit.more.reference, grants, ledger, self.speeds);
            all = Some(match all {
                Some(other) if other.speed <= here.speed => other,
                _ => here,
            });
        }
        all.unwrap_or(OnDevices::WHOLE)
    }
}

/// The jobs with limits as on the slowest devices that each may get: whoever asks for time knows that slices are slower,
/// not which one it will be. `None` where nobody's limit changes.
pub(super) fn limits_on_devices(
    workload: &Workload,
    shapes: &CardShapes,
    (setup, speeds): (&SharedSetup, &Speeds),
) -> Option<Workload> {
    let mut changed: Option<Workload> = None;
    for (id, job) in workload.jobs.iter_ids() {
        let pools = &shapes.get(shapes.of(job.request)).pools;
        let on =
            |fit: &CardPoolShape| longest(speeds, job, fit, &shapes.parts, &setup.cards[fit.pool.index()]);
        // Pools of whole GPUs are in the speeds of the design already.
        let limit = pools.iter().map(on).max().unwrap_or(job.limit);
        if limit > job.limit {
            changed.get_or_insert_with(|| workload.clone()).jobs[id].limit = limit;
        }
    }
    changed
}

/// What a job holds of a node, and how much of it beyond what it asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnNode {
    pub(super) node: NodeId,
    pub(super) pool: PoolId,
    pub(super) held: Held,
    pub(super) slack: Held,
    /// GPUs, or parts of them, that it asked for.
    pub(super) gpus: u32,
}

impl OnNode {
    /// What is at work for it.
    pub(super) fn asked(&self) -> Held {
        Held { gpu_units: self.held.gpu_units - self.slack.gpu_units, cpus: self.held.cpus - self.slack.cpus }
    }
}

/// What a job holds, node by node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holding<'a> {
    pub(super) job: JobId,
    pub(super) is_wider: bool,
    pub(super) ask: &'a Ask,
    pub(super) grants: &'a Allocation,
    pub(super) cards: &'a HeldCards,
}

impl Holding<'_> {
    /// Node by node; `pools` = the pool of each node.
    pub(super) fn rows(&self, pools: &[PoolId], site: Option<&CardSite<'_>>) -> SmallVec<[OnNode; 1]> {
        let nodes = self.grants.len();
        let row = |(at, grant): (usize, &Grant)| {
            let pool = pools[grant.node.index()];
            let whole = Held::from(&grant.amounts());
            let slack = Held::from(&super::hosted::slack(self.ask, nodes, grant));
            let Some(site) = site else {
                let gpus = grant.amounts().gpus - (slack.gpu_units / UNITS_PER_DEVICE as u64) as u32;
                return OnNode { node: grant.node, pool, held: whole, slack, gpus };
            };
            let spec = &site.setup.cards[pool.index()];
            let devices = &self.cards[at];
            let gpu_units = devices.iter().map(|device| u64::from(spec.units(device))).sum();
            let gpus = self.ask.gres.iter().map(|gres| gres.count).sum();
            let asked = self.asked_units(site, pool, u64::from(gpus)).unwrap_or(gpu_units);
            let slack = Held { gpu_units: gpu_units.saturating_sub(asked), ..slack };
            OnNode { node: grant.node, pool, held: Held { gpu_units, ..whole }, slack, gpus }
        };
        self.grants.iter().enumerate().map(row).collect()
    }

    /// Hours units that the job asked for of a node; `None` where what it is given is what it asked for.
    fn asked_units(&self, site: &CardSite<'_>, pool: PoolId, gpus: u64) -> Option<u64> {
        let fit = site.fit(self.job, self.is_wider, pool)?;
        let all = u64::from(fit.asked.gpus.max(1));
        match fit.asked_units {
            Some(units) => Some(units / all * gpus),
            None => self.ask.exclusive.then(|| {
                let natural =
                    if gpus == 0 { 0 } else { fit.total.gpus.min(UNITS_PER_DEVICE as u64 * all) / all };
                natural * gpus
            }),
        }
    }
}

/// An allocation with what it holds of cards.
pub(super) fn card_grants(grants: &Allocation, held: &HeldCards) -> CardAllocation {
    grants.iter().zip(held).map(|(grant, held)| -> CardGrant { card_grant(grant, held) }).collect()
}

/// A change of layouts by the tool of the site, for the hours.
#[derive(Clone, Debug)]
pub(super) enum LayoutTurn {
    Begins { pool: PoolId, change: NodeReshape, units: i64 },
    IsDone { pool: PoolId, node: NodeId, card: u8, made: SmallVec<[Placement; 7]>, units: i64 },
}

/// Instances that are being made.
#[derive(Debug)]
struct Making {
    pool: PoolId,
    node: NodeId,
    card: u8,
    made: SmallVec<[Placement; 7]>,
    units: i64,
}

/// The tool of the site that changes layouts.
pub(super) struct LayoutTool<'a> {
    site: &'a CardSite<'a>,
    layouts: Layouts,
    next_plan: Vec<SimTime>,
    making: Vec<Option<Making>>,
    pub(super) turns: Vec<(SimTime, LayoutTurn)>,
    pub(super) facts: SharedFacts,
}

impl<'a> LayoutTool<'a> {
    pub(super) fn new(site: &'a CardSite<'a>, ledger: &CardLedger) -> Self {
        Self {
            site,
            layouts: Layouts::new(ledger, site.setup),
            next_plan: vec![SimTime::from_micros(i64::MIN); ledger.pools()],
            making: Vec::new(),
            turns: Vec::new(),
            facts: SharedFacts::default(),
        }
    }

    /// Whether it is at work, or will look at the queue again.
    pub(super) fn is_awaited(&self, now: SimTime) -> bool {
        self.making.iter().any(Option::is_some) || self.next_plan.iter().any(|at| *at > now)
    }

    /// How long a job waits for what was cut for it.
    pub(super) fn cut(
        &mut self,
        (job, now): (JobId, SimTime),
        reshapes: &[NodeReshape],
        pool: PoolId,
    ) -> SimDuration {
        let span = self.layouts.for_job(reshapes, pool, &mut self.facts);
        let row = |(node, change): &NodeReshape| LayoutRow {
            from: now,
            until: now + span,
            job: Some(job),
            node: *node,
            change: change.clone(),
        };
        self.facts.changes.extend(reshapes.iter().map(row));
        span
    }

    /// Keeps the instances that a job has given back for a while.
    pub(super) fn keep(
        &self,
        (grants, held): (&Allocation, &HeldCards),
        now: SimTime,
        controller: &mut Controller<'_>,
        calendar: &mut Calendar<Timer>,
    ) {
        for (grant, devices) in grants.iter().zip(held) {
            let Some(ledger) = controller.cards() else { return };
            let pool = ledger.node(grant.node).pool;
            let keep = self.layouts.times(pool).keep;
            let on_demand = ledger.spec(pool).mig().is_some_and(|mig| mig.change == LayoutChange::OnDemand);
            if !on_demand || keep.micros() == 0 {
                continue;
            }
            for device in devices {
                if let Device::Instance { card, placement } = *device {
                    controller.mark_instance(grant.node, card, placement, InstanceState::Kept);
                    let timer = Timer::Unkeep(grant.node.0, card, placement.start);
                    calendar.set(timer, now + keep, Phase::Release);
                }
            }
        }
    }

    /// An instance need not be kept any longer; tells whether it was.
    pub(super) fn unkeep(controller: &mut Controller<'_>, node: u32, card: u8, start: u8) -> bool {
        let node = NodeId(node);
        let Some(ledger) = controller.cards() else { return false };
        let instances = &ledger.node(node).cards[usize::from(card)].instances;
        let kept = instances.iter().find(|i| i.placement.start == start && i.state == InstanceState::Kept);
        let Some(placement) = kept.map(|i| i.placement) else { return false };
        controller.mark_instance(node, card, placement, InstanceState::Idle);
        true
    }

    /// Instances are there; tells so to the controller.
    pub(super) fn made(&mut self, number: u32, now: SimTime, controller: &mut Controller<'_>) {
        let Making { pool, node, card, made, units } =
            self.making[number as usize].take().expect("it was under way");
        for placement in &made {
            controller.mark_instance(node, card, *placement, InstanceState::Idle);
        }
        self.turns.push((now, LayoutTurn::IsDone { pool, node, card, made, units }));
    }

    /// Where a planner cuts the GPUs: new layouts for the queue, if it is time.
    pub(super) fn plan(
        &mut self,
        now: SimTime,
        controller: &mut Controller<'_>,
        calendar: &mut Calendar<Timer>,
    ) {
        if !self.layouts.has_planner() || controller.pending().is_empty() {
            return;
        }
        let site = self.site;
        for pool in (0..self.next_plan.len())
            .map(PoolId::new)
            .filter(|pool| self.layouts.plans(*pool))
            .collect::<Vec<_>>()
        {
            if now < self.next_plan[pool.index()] {
                calendar.set(Timer::Replan(pool.0), self.next_plan[pool.index()], Phase::Release);
                continue;
            }
            let ledger = controller.cards().expect("only floors of cards have planners");
            let shape = |job: &crate::scheduler::slurm::job::JobIx| {
                let record = controller.job(*job);
                site.shapes.of(site.request(JobId::new(record.spec), record.is_wider))
            };
            let queue = controller.eligible_in_order(now.micros().div_euclid(1_000_000));
            let wanting = Wanting::new(site.shapes, queue.iter().map(shape));
            let nobody_runs = controller.running().is_empty() && self.making.iter().all(Option::is_none);
            // The tool reaches no node that is out of order.
            let is_in_order = |node: NodeId| controller.is_usable(node.index());
            let mut changes = self.layouts.planned(pool, (ledger, &is_in_order), &wanting, nobody_runs);
            changes.retain(|(node, _)| controller.is_usable(node.index()));
            if changes.is_empty() {
                continue;
            }
            self.next_plan[pool.index()] = now + self.layouts.times(pool).keep;
            self.make(pool, changes, now, controller, calendar);
        }
    }

    fn make(
        &mut self,
        pool: PoolId,
        changes: Vec<NodeReshape>,
        now: SimTime,
        controller: &mut Controller<'_>,
        calendar: &mut Calendar<Timer>,
    ) {
        let times = *self.layouts.times(pool);
        let ledger = controller.cards().expect("only floors of cards have planners");
        let mig = ledger.spec(pool).mig().expect("a planner is for MIG");
        let (model, whole_node) = (mig.model, mig.whole_node);
        for (node, change) in changes {
            let span = if whole_node { times.node } else { duration(&change, &times) };
            count(&change, &mut self.facts);
            let slices = change.create.iter().map(|p| model.profile(p.profile).compute_slices).sum();
            let units = i64::from(slice_units(model, slices));
            let (card, made) = (change.card, change.create.clone());
            controller.recut(node, &change);
            let row = LayoutRow { from: now, until: now + span, job: None, node, change: change.clone() };
            self.facts.changes.push(row);
            self.turns.push((now, LayoutTurn::Begins { pool, change: (node, change), units }));
            let number = u32::try_from(self.making.len()).expect("fewer than 2^32 changes");
            self.making.push(Some(Making { pool, node, card, made, units }));
            calendar.set(Timer::Made(number), now + span, Phase::Release);
        }
    }
}

impl std::fmt::Debug for LayoutTool<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("LayoutTool").finish_non_exhaustive()
    }
}

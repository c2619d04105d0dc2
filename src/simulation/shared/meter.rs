//! The hours of shared GPUs: levels in integer units, multiplied by time.

use crate::cluster::CardLedger;
use crate::cluster::cards::CARD_UNITS;
use crate::ids::{Id, IdVec, NodeId, PoolId};
use crate::scheduler::Pending;
use crate::scheduler::shared::SharedScheduler;
use crate::scheduler::shared::floor::CardFloor;
use crate::scheduler::sharing::TypicalMix;
use crate::simulation::meter::{Hours, IdleCause, PoolHours, UNITS_PER_DEVICE};
use crate::time::SimTime;

/// What a job's devices do now, in units of 1/21,000 GPU; the sum is what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct JobLevels {
    pub(super) productive: i128,
    pub(super) virtualization: i128,
    pub(super) neighbours: i128,
    pub(super) slack: i128,
    pub(super) held_idle: i128,
    pub(super) startup: i128,
    /// CPUs held and used as asked.
    pub(super) cpus: i128,
    /// CPUs held beyond.
    pub(super) cpu_slack: i128,
}

impl JobLevels {
    fn add(&mut self, other: &Self, sign: i128) {
        self.productive += sign * other.productive;
        self.virtualization += sign * other.virtualization;
        self.neighbours += sign * other.neighbours;
        self.slack += sign * other.slack;
        self.held_idle += sign * other.held_idle;
        self.startup += sign * other.startup;
        self.cpus += sign * other.cpus;
        self.cpu_slack += sign * other.cpu_slack;
    }

    fn gpus(&self) -> i128 {
        self.productive + self.virtualization + self.neighbours + self.slack + self.held_idle + self.startup
    }
}

#[derive(Clone, Debug, Default)]
struct Level {
    gpus: i128,
    cpus: i128,
    jobs: JobLevels,
    stranded: i128,
}

/// What a node adds to figures that are not of a job.
#[derive(Clone, Copy, Debug, Default)]
struct NodeLevel {
    stranded: i128,
    stranded_slices: i128,
    /// Weighted by the mix.
    fragmented: i64,
    free_milli: i64,
}

/// Multiplies levels by time.
#[derive(Debug)]
pub(super) struct SharedMeter {
    hours: Hours,
    since: Option<SimTime>,
    span: i128,
    levels: IdVec<PoolId, Level>,
    nodes: IdVec<NodeId, NodeLevel>,
    mix: TypicalMix,
    seen: Option<usize>,
    fragmented: i128,
    free_milli: i128,
    stranded_slices: i128,
    pub(super) fragmented_us: i128,
    pub(super) free_milli_us: i128,
    pub(super) stranded_slices_us: i128,
}

impl SharedMeter {
    /// Nothing measured yet; the nodes of `ledger` are all free.
    pub(super) fn new(ledger: &CardLedger, mix: TypicalMix) -> Self {
        let pools = ledger.pools();
        let level = |pool: PoolId| {
            let free = ledger.pool_free(pool);
            Level {
                gpus: i128::from(free.gpus),
                cpus: i128::from(free.cpus) * UNITS_PER_DEVICE,
                ..Level::default()
            }
        };
        Self {
            hours: Hours { pools: IdVec::filled(pools, PoolHours::default()), ..Hours::default() },
            since: None,
            span: 0,
            levels: (0..pools).map(PoolId::new).map(level).collect(),
            nodes: IdVec::filled(ledger.nodes().len(), NodeLevel::default()),
            mix,
            seen: None,
            fragmented: 0,
            free_milli: 0,
            stranded_slices: 0,
            fragmented_us: 0,
            free_milli_us: 0,
            stranded_slices_us: 0,
        }
    }

    /// A job's levels changed.
    pub(super) fn change(&mut self, pool: PoolId, before: &JobLevels, after: &JobLevels) {
        let level = &mut self.levels[pool].jobs;
        level.add(before, -1);
        level.add(after, 1);
    }

    /// Slices are being cut anew (or no longer are), apart from those of a job.
    pub(super) fn making(&mut self, pool: PoolId, units: i128) {
        self.levels[pool].jobs.startup += units;
    }

    pub(super) fn span(&self) -> i128 {
        self.span
    }

    /// Weight of the mix: what fragmentations are multiples of.
    pub(super) fn mix_weight(&self) -> i64 {
        self.mix.weight().max(1)
    }

    /// Looks anew at the nodes that changed.
    pub(super) fn follow(&mut self, floor: &CardFloor, scheduler: &SharedScheduler<'_>) {
        let ledger = floor.ledger();
        let changed = self.seen.and_then(|seen| ledger.changed_since(seen));
        let nodes: Vec<NodeId> = match changed {
            Some(changed) if changed.len() < self.nodes.len() => changed.to_vec(),
            _ => (0..self.nodes.len()).map(NodeId::new).collect(),
        };
        self.seen = Some(ledger.version());
        for id in nodes {
            let now = self.node_level(id, floor, scheduler);
            let before = std::mem::replace(&mut self.nodes[id], now);
            self.levels[ledger.node(id).pool].stranded += now.stranded - before.stranded;
            self.fragmented += i128::from(now.fragmented - before.fragmented);
            self.free_milli += i128::from(now.free_milli - before.free_milli);
            self.stranded_slices += now.stranded_slices - before.stranded_slices;
        }
    }

    fn node_level(&mut self, id: NodeId, floor: &CardFloor, scheduler: &SharedScheduler<'_>) -> NodeLevel {
        let mut level = NodeLevel::default();
        if let Some(view) = floor.view(id) {
            level.fragmented = self.mix.fragmentation(view);
            level.free_milli = i64::from(view.free_milli());
        }
        let slices = stranded_slices(floor.ledger(), id, scheduler);
        if let Some(mig) = floor.ledger().spec_of(id).mig() {
            level.stranded_slices = i128::from(slices);
            level.stranded =
                i128::from(slices) * i128::from(CARD_UNITS) / i128::from(mig.model.compute_slices);
        }
        level
    }

    /// Books the time since the last call under the levels that held during it.
    pub(super) fn advance(&mut self, now: SimTime, waiting: usize, cause: IdleCause) {
        let Some(since) = self.since.replace(now) else { return };
        let span = i128::from(now.since(since).micros());
        if span == 0 {
            return;
        }
        self.span += span;
        self.fragmented_us += span * self.fragmented;
        self.free_milli_us += span * self.free_milli;
        self.stranded_slices_us += span * self.stranded_slices;
        if waiting > 0 {
            self.hours.waiting_job_us += span * waiting as i128;
            self.hours.waiting_us += span;
        }
        for (row, level) in self.hours.pools.as_mut_slice().iter_mut().zip(self.levels.iter()) {
            let jobs = &level.jobs;
            row.gpu.installed += span * level.gpus;
            row.gpu.productive += span * jobs.productive;
            row.gpu.virtualization += span * jobs.virtualization;
            row.gpu.neighbours += span * jobs.neighbours;
            row.gpu.slack += span * jobs.slack;
            row.gpu.stranded += span * level.stranded;
            row.gpu.held_idle += span * jobs.held_idle;
            row.gpu.startup += span * jobs.startup;
            row.cpu.installed += span * level.cpus;
            row.cpu.productive += span * jobs.cpus;
            row.cpu.slack += span * jobs.cpu_slack;
            let free_gpus = level.gpus - jobs.gpus() - level.stranded;
            let free_cpus = level.cpus - jobs.cpus - jobs.cpu_slack;
            for (device, free) in [(&mut row.gpu, free_gpus), (&mut row.cpu, free_cpus)] {
                let waiting = &mut device.idle_waiting;
                let idle = match cause {
                    IdleCause::NoDemand => &mut device.idle,
                    IdleCause::Waiting(Pending::Fragmentation) => &mut waiting.fragmentation,
                    IdleCause::Waiting(Pending::Dependency | Pending::BeginTime | Pending::ArrayLimit) => {
                        &mut waiting.held
                    }
                    IdleCause::Waiting(_) => &mut waiting.resources,
                    IdleCause::Limit => &mut waiting.limit,
                    IdleCause::Policy => &mut waiting.policy,
                };
                *idle += span * free;
            }
        }
    }

    /// Notes how many jobs wait after a pass.
    pub(super) fn note_waiting(&mut self, waiting: usize) {
        self.hours.waiting_max = self.hours.waiting_max.max(waiting);
    }

    pub(super) fn finish(self) -> Hours {
        self.hours
    }
}

/// Compute slices of the node's GPUs in use that no instance can be made of (or has, where layouts are fixed)
/// and that are not being cut.
fn stranded_slices(ledger: &CardLedger, id: NodeId, scheduler: &SharedScheduler<'_>) -> u32 {
    use crate::cluster::cards::{InstanceState, LayoutChange};
    let node = ledger.node(id);
    let Some(mig) = ledger.spec(node.pool).mig() else { return 0 };
    let Some(table) = scheduler.stranding(node.pool) else { return 0 };
    if ledger.spec(node.pool).vgpus.is_some() {
        // What of a GPU no VM has is no part of a node.
        return 0;
    }
    let compute =
        |placement: crate::cluster::mig::Placement| mig.model.profile(placement.profile).compute_slices;
    node.cards
        .iter()
        .filter(|card| card.instances.iter().any(|i| i.state == InstanceState::Busy))
        .map(|card| {
            let making = card.instances.iter().filter(|i| i.state == InstanceState::Making);
            let making: u8 = making.map(|i| compute(i.placement)).sum();
            let stranded = if mig.change == LayoutChange::Never {
                mig.model.compute_slices - card.instances.iter().map(|i| compute(i.placement)).sum::<u8>()
            } else {
                let busy = card.instances.iter().filter(|i| i.state == InstanceState::Busy);
                let known = table.key(busy.map(|i| i.placement)).and_then(|key| table.left_of(key));
                known.unwrap_or_else(|| table.left(&card.busy(mig.model))).stranded.compute
            };
            let left = mig.model.compute_slices - card.busy_slices(mig.model) - making;
            u32::from(stranded.min(left))
        })
        .sum()
}

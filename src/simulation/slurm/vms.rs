//! Elastic pools under Slurm's engine: cloud nodes that the site's tool orders and gives back.
//!
//! The controller sees a VM that is not there as a node that is DOWN, and one that has booted as IDLE, as with Slurm's
//! power saving once `ResumeTimeout` is over; when which VM is ordered is as under every other policy, after a pass of one
//! of its two schedulers. What Slurm's power saving does otherwise: it gives a job nodes that are still to be resumed.

use super::cards::CardSite;
use super::hosted::Hosted;
use super::threads::Timer;
use crate::cluster::{CardLedger, ClusterSpec, Conflict};
use crate::ids::{Id, IdVec, JobId, NodeId, PoolId, RequestId};
use crate::kernel::Calendar;
use crate::scheduler::Shapes;
use crate::scheduler::slurm::job::{JobIx, Reason};
use crate::scheduler::slurm::{Controller, NodeChange};
use crate::simulation::Spills;
use crate::simulation::elastic::{ElasticPools, Queue, VmTimer, Yard};
use crate::simulation::guests::TenancyFacts;
use crate::simulation::meter::{Gauge, Load};
use crate::simulation::run::ground::{Fit, fit_of};
use crate::time::SimTime;
use crate::workload::Workload;

/// What becomes of VMs, for the hours.
#[derive(Clone, Debug)]
pub(super) enum VmTurn {
    /// The VM of this node is not there.
    Closes(NodeId),
    /// It is.
    Opens(NodeId),
    /// So much of a pool is off, and so much boots.
    Levels { pool: PoolId, off: Load, booting: Load },
}

impl VmTimer for Timer {
    fn vm(node: NodeId) -> Self {
        Self::Vm(node.0)
    }

    fn order(pool: PoolId) -> Self {
        Self::Order(pool.0)
    }
}

/// What requests mean on the pools, by how GPUs are given out.
enum Asked<'a> {
    Whole(Box<Shapes>, &'a Workload, Option<&'a Spills>),
    Parts(&'a CardSite<'a>),
}

impl Asked<'_> {
    fn on(&self, job: JobId, is_wider: bool, pool: PoolId) -> Option<Fit> {
        match self {
            Self::Whole(shapes, workload, spills) => {
                let spill = spills.and_then(|spills| spills.jobs.get(&job)).filter(|_| is_wider);
                let request: RequestId = spill.map_or(workload.jobs[job].request, |spill| spill.request);
                let pools = &shapes.get(shapes.of(request)).pools;
                pools.iter().find(|fit| fit.pool == pool).map(fit_of)
            }
            Self::Parts(site) => site.fit(job, is_wider, pool).map(fit_of),
        }
    }
}

/// The VMs of a site.
pub(super) struct CloudNodes<'a> {
    pools: ElasticPools<()>,
    asked: Asked<'a>,
    recorded: &'a Workload,
    has: IdVec<PoolId, Load>,
    /// First node and number of nodes of each pool.
    nodes: IdVec<PoolId, (u32, u32)>,
    pub(super) turns: Vec<(SimTime, VmTurn)>,
}

impl<'a> CloudNodes<'a> {
    /// `None` where no pool is elastic.
    pub(super) fn new(run: &Hosted<'a>, ledger: Option<&CardLedger>) -> Option<Self> {
        let pools = ElasticPools::new(run.tenancy, run.cluster, run.seed)?;
        let asked = match run.cards {
            Some(site) => Asked::Parts(site),
            None => Asked::Whole(Box::new(Shapes::new(run.recorded, run.cluster)), run.recorded, run.spills),
        };
        let has = (0..run.cluster.pools.len()).map(|at| has(run.cluster, ledger, PoolId::new(at))).collect();
        let mut first = 0;
        let nodes = run.cluster.pools.iter().map(|pool| {
            first += pool.count;
            (first - pool.count, pool.count)
        });
        Some(Self { pools, asked, recorded: run.recorded, has, nodes: nodes.collect(), turns: Vec::new() })
    }

    /// Switches off what is not of the minimum, before the run.
    pub(super) fn prepare(
        &mut self,
        from: SimTime,
        controller: &mut Controller<'_>,
        facts: &mut TenancyFacts,
    ) {
        let (pools, mut yard) = self.yard(from, controller);
        pools.prepare(from, &mut yard, facts).expect("a controller refuses no change of a node");
    }

    /// The timer of a VM has come due; tells whether it has come up.
    pub(super) fn fire(
        &mut self,
        node: u32,
        now: SimTime,
        (controller, facts): (&mut Controller<'_>, &mut TenancyFacts),
        calendar: &mut Calendar<Timer>,
    ) -> bool {
        let is_wanted = !controller.pending().is_empty();
        let (pools, mut yard) = self.yard(now, controller);
        let came_up = pools.fire(NodeId(node), now, is_wanted, (&mut yard, facts), calendar);
        came_up.expect("a controller refuses no change of a node")
    }

    /// The host of these nodes has failed, or is repaired; tells how many VMs are lost.
    pub(super) fn host_turns(
        &mut self,
        (nodes, fails): (std::ops::Range<u32>, bool),
        now: SimTime,
        (controller, facts): (&mut Controller<'_>, &mut TenancyFacts),
        calendar: &mut Calendar<Timer>,
    ) -> u64 {
        let (pools, mut yard) = self.yard(now, controller);
        let lost = if fails {
            pools.lose(nodes, now, (&mut yard, facts), calendar)
        } else {
            pools.restore(nodes, now, (&mut yard, facts), calendar).map(|()| 0)
        };
        lost.expect("a controller refuses no change of a node")
    }

    /// A scheduler has passed: orders VMs for the jobs that it left waiting.
    pub(super) fn decide(
        &mut self,
        now: SimTime,
        (controller, facts): (&mut Controller<'_>, &mut TenancyFacts),
        calendar: &mut Calendar<Timer>,
    ) {
        let waiting = self.waiting(now, controller);
        let (pools, mut yard) = self.yard(now, controller);
        let decided = pools.decide(now, &waiting, (&mut yard, facts), calendar);
        decided.expect("a controller refuses no change of a node");
    }

    /// Whether jobs may get a VM without anything else happening.
    pub(super) fn is_awaited(&self, now: SimTime) -> bool {
        self.pools.is_awaited(now)
    }

    pub(super) fn close(&self, last: SimTime, facts: &mut TenancyFacts) {
        self.pools.close(last, facts);
    }

    fn yard<'y, 'c>(
        &'y mut self,
        now: SimTime,
        controller: &'y mut Controller<'c>,
    ) -> (&'y mut ElasticPools<()>, Site<'y, 'c>) {
        (&mut self.pools, Site { controller, now, has: &self.has, turns: &mut self.turns })
    }

    /// What nothing but nodes keeps waiting, and a scheduler has looked at.
    fn waiting(&self, now: SimTime, controller: &Controller<'_>) -> Waiting {
        let now_s = now.micros().div_euclid(1_000_000);
        let for_nodes = |job: &JobIx| {
            let reason = &controller.job(*job).reason;
            matches!(reason, Reason::Resources | Reason::Priority | Reason::ReqNodeNotAvail)
        };
        let jobs: Vec<JobIx> = controller.eligible_in_order(now_s).into_iter().filter(for_nodes).collect();
        let id = |job: &JobIx| JobId::new(controller.job(*job).spec);
        let first_submit = jobs.first().map(|job| self.recorded.jobs[id(job)].submit);
        let mut fits = IdVec::filled(self.nodes.len(), Vec::new());
        for (pool, (first, count)) in self.nodes.iter_ids() {
            let own = *first as usize..(*first + *count) as usize;
            for job in &jobs {
                let record = controller.job(*job);
                let partition = controller.nodes_of_partition(record.partition);
                if own.clone().any(|node| partition.contains(node)) {
                    fits[pool].extend(self.asked.on(id(job), record.is_wider, pool));
                }
            }
        }
        Waiting { first_submit, fits }
    }
}

impl std::fmt::Debug for CloudNodes<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("CloudNodes").field("pools", &self.pools).finish_non_exhaustive()
    }
}

/// What a pool has, as its hours are counted.
fn has(cluster: &ClusterSpec, ledger: Option<&CardLedger>, pool: PoolId) -> Load {
    match ledger {
        Some(ledger) => Gauge::has(ledger, pool),
        None => {
            let spec = &cluster.pools[pool.index()];
            Load::from(&spec.node.capacity.times(spec.count))
        }
    }
}

/// Nodes as the controller sees them.
struct Site<'y, 'c> {
    controller: &'y mut Controller<'c>,
    now: SimTime,
    has: &'y IdVec<PoolId, Load>,
    turns: &'y mut Vec<(SimTime, VmTurn)>,
}

impl Site<'_, '_> {
    fn turn(&mut self, node: NodeId, change: NodeChange) {
        let nodes = self.controller.one_node(node.index());
        self.controller.change_nodes(&nodes, change, self.now.micros().div_euclid(1_000_000));
        let turn = if change == NodeChange::Idle { VmTurn::Opens(node) } else { VmTurn::Closes(node) };
        self.turns.push((self.now, turn));
    }
}

impl Yard for Site<'_, '_> {
    type Hold = ();

    fn has(&self, pool: PoolId) -> Load {
        self.has[pool]
    }

    fn changed(&self, _: &mut usize) -> Vec<NodeId> {
        (0..self.controller.nodes_in_all()).map(NodeId::new).collect()
    }

    fn holders(&self, node: NodeId) -> u32 {
        u32::from(!self.controller.is_idle(node.index()))
    }

    fn close(&mut self, node: NodeId, _: u32, _: SimTime) -> Result<Option<()>, Conflict> {
        self.turn(node, NodeChange::Down);
        Ok(Some(()))
    }

    fn open(&mut self, node: NodeId, _: u32, (): ()) -> Result<(), Conflict> {
        self.turn(node, NodeChange::Idle);
        Ok(())
    }

    fn note(&mut self, pool: PoolId, (off, booting): (Load, Load), _: &[Option<()>]) {
        self.turns.push((self.now, VmTurn::Levels { pool, off, booting }));
    }

    // The controller does not know when a node that is DOWN will be back.
    fn expect(&mut self, _: NodeId, _: u32, (): (), _: SimTime) -> Result<Option<()>, Conflict> {
        Ok(Some(()))
    }
}

/// Jobs that wait for nodes, by pool.
struct Waiting {
    first_submit: Option<SimTime>,
    fits: IdVec<PoolId, Vec<Fit>>,
}

impl Queue for Waiting {
    fn first_submit(&self) -> Option<SimTime> {
        self.first_submit
    }

    fn fits(&self, pool: PoolId) -> impl Iterator<Item = Fit> + '_ {
        self.fits[pool].iter().copied()
    }
}

//! The controller's state.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::NodeSet;
use super::alternatives::Alternatives;
use super::config::{AssocId, BackfillRule, Limits, SlurmConfig};
use super::devices::{Cards, Stock};
use super::fair_share::FairShare;
use super::fits::Fits;
use super::job::{Ask, Job, JobIx, JobSpec, Reason, StartedBy, State};
use super::licences::LicenceUse;
use super::limits::Usage;
use super::outlook::Outlook;
use super::placement::{Free, Hardware, Placement};
use super::queue::Queue;
use super::quiet::QuietCycle;
use super::reservation::Reservation;
use super::time_map::TimeMap;
use crate::cluster::cards::CardPool;
use crate::cluster::{Amounts, ClusterSpec};
use crate::time::SimDuration;

/// What the controller decided; the simulation carries it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The job has been given its nodes.
    Started(JobIx),
    /// The job was killed in this state; its nodes are being cleaned up, and it is pending again or not.
    Killed(JobIx, State),
    /// A pending job was withdrawn by the controller (a dependency that can never be met).
    Withdrawn(JobIx),
}

/// Why a submission is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such partition, and no default.
    #[error("invalid partition name specified")]
    Partition,
    /// The partition's `State` is DRAIN or INACTIVE.
    #[error("required partition not available (inactive or drain)")]
    PartitionNotAvail,
    /// The account and user have no association.
    #[error("invalid account or account/partition combination specified")]
    Association,
    /// No such QOS, or not allowed.
    #[error("invalid qos specification")]
    Qos,
    /// The partition is for groups that do not have the user.
    #[error("user's group not permitted to use this partition")]
    Group,
    /// No node, even empty, can satisfy it.
    #[error("requested node configuration is not available")]
    NodeConfiguration,
    /// No such reservation.
    #[error("requested reservation is invalid")]
    Reservation,
    /// The reservation is for others.
    #[error("access denied to requested reservation")]
    ReservationAccess,
    /// More memory of a node than its partition lets it have.
    #[error("memory specification can not be satisfied")]
    Memory,
    /// The site does not have its licences, or not so many.
    #[error("invalid license specification")]
    Licences,
    /// A submit limit or a `DenyOnLimit` limit.
    #[error("job violates accounting/QOS policy ({0})")]
    Limit(&'static str),
}

/// Tasks of an array together.
#[derive(Clone, Copy, Debug)]
pub(super) struct ArrayState {
    /// `%k`.
    pub limit: Option<u32>,
    /// Tasks running.
    pub running: u32,
}

/// Whether a node can be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    /// It can.
    #[default]
    Up,
    /// DOWN.
    Down,
    /// DRAIN.
    Drained,
    /// FAIL.
    Failed,
    /// Resumed, and not registered again yet.
    Registering,
}

/// One node beside what is free on it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NodeState {
    /// Whether anything may start there.
    pub standing: Standing,
    /// Jobs being cleaned up on it.
    pub completing: u32,
}

/// `slurmctld`: everything it knows, and what it decides.
#[derive(Clone, Debug)]
pub struct Controller<'c> {
    pub(super) config: &'c SlurmConfig,
    pub(super) specs: &'c [JobSpec],
    pub(super) hardware: &'c [Hardware],
    pub(super) ledger: Stock,
    pub(super) free: Vec<Free>,
    pub(super) nodes: Vec<NodeState>,
    /// Nodes that are neither down, drained nor failed.
    pub(super) usable: NodeSet,
    /// Nodes on which a job is being cleaned up.
    pub(super) completing: NodeSet,
    pub(super) jobs: Vec<Job>,
    pub(super) arrays: Vec<ArrayState>,
    /// Arrays whose tasks are submissions of their own, by their number.
    pub(super) array_numbers: FxHashMap<u32, usize>,
    /// Pending records in no particular order.
    pub(super) pending: Vec<JobIx>,
    /// Running records in no particular order.
    pub(super) running: Vec<JobIx>,
    /// All records of a submission.
    pub(super) records: Vec<Vec<JobIx>>,
    pub(super) users: FxHashMap<String, u32>,
    pub(super) user_assocs: FxHashMap<(u32, Option<Arc<str>>), AssocId>,
    pub(super) reservations: Vec<Reservation>,
    pub(super) usage: Usage,
    pub(super) licences: LicenceUse,
    pub(super) alternatives: Alternatives,
    pub(super) fair_share: FairShare,
    pub(super) lowest_priority: u32,
    pub(super) next_job_id: u32,
    pub(super) next_list_order: u64,
    pub(super) largest_qos_priority: u32,
    pub(super) largest_partition_factor: u32,
    pub(super) largest_assoc_priority: u32,
    /// CPUs of all nodes, for the size factor.
    pub(super) all_cpus: u64,
    pub(super) decisions: Vec<Decision>,
    /// Last second in which job or node information changed.
    pub(super) last_update_s: i64,
    pub(super) cycles: Cycles,
    /// Second of the Unix epoch at time zero: Slurm rounds times of the epoch.
    pub(super) epoch_s: i64,
    /// Grows with everything that a pass of the main scheduler depends on, except time.
    pub(super) version: u64,
    /// The last main pass, if it would do nothing but the same again: see [`QuietPass`].
    pub(super) quiet_pass: Option<QuietPass>,
    /// The last backfill cycle, if it started nothing and time alone would not change it soon.
    pub(super) quiet_cycle: Option<QuietCycle>,
    /// Requests that fit on the empty nodes of a partition, or do not.
    pub(super) possible: FxHashMap<(Ask, usize), bool>,
    /// CPUs free on all nodes together.
    pub(super) free_cpus: u64,
    /// Feasible nodes by request.
    pub(super) fits: Fits,
    /// The first job of the queue that the last pass or cycle left waiting.
    pub(super) first_waiting: Option<JobIx>,
    /// Pending jobs in the order of the queue.
    pub(super) queue: Queue,
    /// Running jobs by planned end, and what becomes free with them.
    pub(super) outlook: Outlook,
    /// The placement rule may be asked about runs of nodes.
    pub(super) plain: bool,
    /// A partition has `ExclusiveUser=YES`.
    pub(super) exclusive_users: bool,
    /// What backfill cycles need again and again.
    pub(super) map: TimeMap,
    /// The version at which a limit on amounts kept a job out last.
    pub(super) limit_met_at: Option<u64>,
    /// No limit of an association or a QOS can stop a job.
    unlimited: bool,
    /// Nodes of different switches do not belong together: enough of them is not enough.
    islands: bool,
    /// Jobs wait for few leaves (`--switches`): what they may take depends on time.
    waits_for_leaves: bool,
    /// Backfill cycles go on until every job has its planned start, though no other can start now.
    plans_all: bool,
    /// How long a backfill cycle takes over each job of its queue.
    backfill_pace: SimDuration,
    /// Decide without any cache.
    pub(crate) uncached: bool,
}

/// A main pass that started nothing and met neither begin times nor reservations: as long as the version
/// stays, another pass over the same part of the queue ends alike.
#[derive(Clone, Copy, Debug)]
pub(super) struct QuietPass {
    pub version: u64,
    pub full_queue: bool,
    pub noted_change: bool,
}

/// How often each scheduler ran, for comparison with `sdiag`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cycles {
    /// Passes of the main scheduler.
    pub main: u64,
    /// Cycles of the backfill thread.
    pub backfill: u64,
    /// Jobs in the queues of its cycles, at most `bf_max_job_test` of each.
    pub backfill_depth: u64,
}

impl<'c> Controller<'c> {
    /// A controller that has just started, at second `now_s`, with nothing submitted. `hardware` is
    /// [`hardware_of`] the same configuration.
    #[must_use]
    pub fn new(config: &'c SlurmConfig, hardware: &'c [Hardware], specs: &'c [JobSpec], now_s: i64) -> Self {
        let mut usable = config.no_nodes();
        for (n, node) in config.nodes.iter().enumerate() {
            usable.set(n, !node.unusable);
        }
        let nodes = config
            .nodes
            .iter()
            .map(|n| NodeState {
                standing: if n.unusable { Standing::Down } else { Standing::Up },
                completing: 0,
            })
            .collect();
        Self {
            config,
            specs,
            hardware,
            ledger: Stock::new(&node_names(config), hardware),
            free: hardware.iter().map(|h| h.empty.clone()).collect(),
            nodes,
            usable,
            completing: config.no_nodes(),
            jobs: Vec::with_capacity(specs.len()),
            arrays: Vec::new(),
            array_numbers: FxHashMap::default(),
            pending: Vec::new(),
            running: Vec::new(),
            records: vec![Vec::new(); specs.len()],
            users: FxHashMap::default(),
            user_assocs: FxHashMap::default(),
            reservations: Vec::new(),
            usage: Usage::new(&config.accounting),
            licences: LicenceUse::new(config),
            alternatives: Alternatives::default(),
            fair_share: FairShare::new(config, now_s),
            lowest_priority: FIRST_BASIC_PRIORITY + 1,
            next_job_id: 1,
            next_list_order: 0,
            largest_qos_priority: config.accounting.qos.iter().map(|q| q.priority).max().unwrap_or(0),
            largest_partition_factor: config
                .partitions
                .iter()
                .map(|p| p.priority_job_factor)
                .max()
                .unwrap_or(0),
            largest_assoc_priority: config.accounting.assocs.iter().map(|a| a.priority).max().unwrap_or(0),
            all_cpus: config.total_cpus(),
            decisions: Vec::new(),
            last_update_s: now_s,
            cycles: Cycles::default(),
            epoch_s: 0,
            version: 0,
            quiet_pass: None,
            quiet_cycle: None,
            possible: FxHashMap::default(),
            free_cpus: config.total_cpus(),
            fits: Fits::new(specs, &config.no_nodes()),
            first_waiting: None,
            queue: Queue::default(),
            outlook: Outlook::default(),
            plain: Placement::new(config, hardware).is_plain(),
            exclusive_users: config.partitions.iter().any(|p| p.exclusive_user),
            map: TimeMap::default(),
            limit_met_at: None,
            unlimited: is_unlimited(config),
            islands: config.topology.as_ref().is_some_and(|tree| !tree.spans(config.nodes.len())),
            waits_for_leaves: config.topology.is_some()
                && specs.iter().any(|spec| spec.ask.switches.is_some()),
            plans_all: true,
            backfill_pace: SimDuration::ZERO,
            uncached: false,
        }
    }

    /// Says which second of the Unix epoch time zero is (0 where times are epoch seconds already).
    #[must_use]
    pub fn with_epoch(mut self, epoch_s: i64) -> Self {
        self.epoch_s = epoch_s;
        self
    }

    /// Says how long a backfill cycle takes over each job of its queue (0: no time), for `bf_max_time`.
    #[must_use]
    pub fn with_backfill_pace(mut self, pace: SimDuration) -> Self {
        self.backfill_pace = pace;
        self
    }

    /// How many jobs of its queue a cycle gets to within `bf_max_time`.
    pub(super) fn most_in_cycle(&self) -> u64 {
        let rules = &self.config.backfill;
        let most_us = rules.max_time_s.unwrap_or(rules.interval_s).saturating_mul(1_000_000);
        let jobs = most_us.checked_div(self.backfill_pace.micros()).unwrap_or(i64::MAX);
        u64::try_from(jobs).unwrap_or(0).max(1)
    }

    /// How many jobs a cycle over a queue of this length counts for in the length of the cycle.
    pub(super) fn depth_of_cycle(&self, queue: usize) -> u64 {
        (queue as u64).min(u64::from(self.config.backfill.max_job_test)).min(self.most_in_cycle())
    }

    /// Rounds a second down to a multiple of `step_s` of the epoch.
    pub(super) fn floor_to(&self, second: i64, step_s: i64) -> i64 {
        second - (second + self.epoch_s).rem_euclid(step_s)
    }

    /// Takes what was decided since the last call, in order.
    pub fn take_decisions(&mut self, into: &mut Vec<Decision>) {
        into.append(&mut self.decisions);
    }

    /// One record.
    #[must_use]
    pub fn job(&self, job: JobIx) -> &Job {
        &self.jobs[job.at()]
    }

    /// All records in order of creation.
    #[must_use]
    pub fn jobs(&self) -> &[Job] {
        &self.jobs
    }

    /// Number of pending records.
    #[must_use]
    pub fn pending(&self) -> &[JobIx] {
        &self.pending
    }

    /// Running records.
    #[must_use]
    pub fn running(&self) -> &[JobIx] {
        &self.running
    }

    /// The first job in queue order that the last pass or cycle left waiting, those stopped by a limit
    /// after all others; it may have started or gone since.
    #[must_use]
    pub fn first_waiting(&self) -> Option<JobIx> {
        self.first_waiting
    }

    /// Notes what a pass left of `job`, if no job ahead of it waits already.
    pub(super) fn note_waiting(&mut self, job: JobIx) {
        let limited = |at: JobIx| matches!(self.jobs[at.at()].reason, Reason::Limit(_));
        let waits = self.jobs[job.at()].state == State::Pending;
        if waits && self.first_waiting.is_none_or(|first| limited(first) && !limited(job)) {
            self.first_waiting = Some(job);
        }
    }

    /// What is free on all nodes together.
    #[must_use]
    pub fn free(&self) -> Amounts {
        self.ledger.free()
    }

    /// What a record asks for.
    #[must_use]
    pub fn asked(&self, job: JobIx) -> &'c Ask {
        self.ask(job)
    }

    /// Nodes of a partition.
    #[must_use]
    pub fn nodes_of_partition(&self, partition: usize) -> &NodeSet {
        &self.config.partitions[partition].nodes
    }

    /// Whether two jobs have an association in common below the root, so that its group limits count both.
    #[must_use]
    pub fn share_an_account(&self, a: &Job, b: &Job) -> bool {
        let accounting = &self.config.accounting;
        let chain = |job: &Job| {
            let own = job.assoc.into_iter().flat_map(|assoc| accounting.chain(assoc));
            own.filter(|assoc| accounting.assoc(*assoc).parent.is_some())
        };
        chain(a).any(|mine| chain(b).any(|theirs| theirs == mine))
    }

    /// The records of a submission.
    #[must_use]
    pub fn records_of(&self, spec: usize) -> &[JobIx] {
        &self.records[spec]
    }

    /// Backfill cycles end where nothing more can start: the same decisions, without planned starts for all jobs.
    pub fn plan_only_what_decides(&mut self) {
        self.plans_all = false;
    }

    /// Whether a cycle may end early: what it would still do must be reservations of its own and nothing else.
    pub(super) fn may_end_cycles_early(&self) -> bool {
        let rules = &self.config.backfill;
        !self.plans_all
            && !self.preemption_enabled()
            && !rules.one_resv_per_job
            && rules.rule != BackfillRule::Easy
            && self.unlimited
            && !self.waits_for_leaves
    }

    /// Whether what jobs may take depends on how long they have waited.
    pub(super) fn waits_for_leaves(&self) -> bool {
        self.waits_for_leaves
    }

    /// Whether a job starts wherever enough nodes are free below no particular switch.
    pub(super) fn takes_any_leaves(&self, job: JobIx) -> bool {
        !self.islands && self.jobs[job.at()].most_leaves.is_none()
    }

    /// A scheduler tests a job: from the first time on its wait for `--switches` counts.
    pub fn note_tested(&mut self, job: JobIx, now_s: i64) {
        let Some(switches) = self.ask(job).switches.filter(|_| self.waits_for_leaves) else { return };
        let most_s = self.config.main.max_switch_wait_s;
        let record = &mut self.jobs[job.at()];
        let waited_s = now_s - *record.switches_from_s.get_or_insert(now_s);
        let waits = waited_s < switches.wait_s.unwrap_or(most_s).min(most_s);
        record.most_leaves = waits.then_some(switches.leaves);
    }

    /// How often each scheduler ran.
    #[must_use]
    pub fn cycles(&self) -> Cycles {
        self.cycles
    }

    /// Whether anything changed in the second `since_s` or later, as the backfill thread asks.
    #[must_use]
    pub fn changed_since(&self, since_s: i64) -> bool {
        self.last_update_s >= since_s
    }

    pub(super) fn note_change(&mut self, now_s: i64) {
        self.last_update_s = self.last_update_s.max(now_s);
    }

    /// Which nodes fit, whatever the order of choice.
    pub(super) fn placement(&self) -> Placement<'c> {
        Placement::new(self.config, self.hardware)
    }

    /// The rule of choice for a job: `CR_LLN`, or `LLN=YES` of its partition, spread it.
    pub(super) fn placement_of(&self, job: JobIx) -> Placement<'c> {
        let record = &self.jobs[job.at()];
        let mut rule = self.placement_in(record.partition);
        if let Some(leaves) = &mut rule.leaves {
            leaves.most = record.most_leaves;
        }
        rule
    }

    pub(super) fn placement_in(&self, partition: usize) -> Placement<'c> {
        let mut rule = self.placement();
        rule.least_loaded |= self.config.partitions[partition].least_loaded;
        rule
    }

    /// Whether a job's nodes may be chosen by runs.
    pub(super) fn is_plain(&self, job: JobIx) -> bool {
        self.plain && !self.config.partitions[self.jobs[job.at()].partition].least_loaded
    }

    /// Nodes that `ExclusiveUser` keeps from a job: those of other users' jobs, if its own partition says
    /// it; else those of other users' jobs in partitions that do.
    pub(super) fn nodes_of_others(&self, job: JobIx) -> Option<NodeSet> {
        if !self.exclusive_users {
            return None;
        }
        let me = &self.jobs[job.at()];
        let exclusive = |job: &Job| self.config.partitions[job.partition].exclusive_user;
        let mut nodes = self.config.no_nodes();
        for other in self.running.iter().map(|other| &self.jobs[other.at()]) {
            if other.user != me.user && (exclusive(me) || exclusive(other)) {
                nodes.union_with(&other.nodes);
            }
        }
        Some(nodes)
    }

    pub(super) fn spec(&self, job: JobIx) -> &'c JobSpec {
        &self.specs[self.jobs[job.at()].spec]
    }

    pub(super) fn ask(&self, job: JobIx) -> &'c Ask {
        let (spec, record) = (self.spec(job), &self.jobs[job.at()]);
        spec.wider.as_ref().filter(|_| record.is_wider).unwrap_or(&spec.ask)
    }

    /// Interns a user.
    pub(super) fn user(&mut self, name: &str) -> u32 {
        if let Some(id) = self.users.get(name) {
            return *id;
        }
        let id = u32::try_from(self.users.len()).expect("fewer than 2^32 users");
        self.users.insert(name.to_owned(), id);
        id
    }

    pub(super) fn next_list_order(&mut self) -> u64 {
        self.next_list_order += 1;
        self.next_list_order
    }

    /// Who started a record last.
    #[must_use]
    pub fn started_by(&self, job: JobIx) -> StartedBy {
        self.jobs[job.at()].started_by
    }
}

/// `priority/basic` gives the first job this priority (recorded: 4294901759), each later one less.
pub(super) const FIRST_BASIC_PRIORITY: u32 = 4_294_901_759;

/// What the placement rule needs to know of the nodes.
#[must_use]
pub fn hardware_of(config: &SlurmConfig) -> Vec<Hardware> {
    config.nodes.iter().map(Hardware::of).collect()
}

/// The same on the pools of `cluster`, whose nodes come in its order: with their dedicated hosts, and with their GPUs
/// card by card where `cards` says how they are given out.
#[must_use]
pub fn hardware_on(config: &SlurmConfig, cluster: &ClusterSpec, cards: Option<&[CardPool]>) -> Vec<Hardware> {
    let specs: Vec<Arc<CardPool>> = cards.into_iter().flatten().map(|spec| Arc::new(spec.clone())).collect();
    let mut nodes = config.nodes.iter().map(Hardware::of);
    let mut all = Vec::with_capacity(config.nodes.len());
    for (pool, spec) in cluster.pools.iter().enumerate() {
        for mut node in nodes.by_ref().take(spec.count as usize) {
            node.pool = Some((pool, spec.dedicated));
            all.push(match specs.get(pool) {
                Some(cards) => {
                    node.with_cards(Cards { pool, spec: Arc::clone(cards) }, spec.node.capacity.gpus)
                }
                None => node,
            });
        }
    }
    all
}

fn node_names(config: &SlurmConfig) -> Vec<String> {
    config.nodes.iter().map(|node| node.name.clone()).collect()
}

fn is_unlimited(config: &SlurmConfig) -> bool {
    let accounting = &config.accounting;
    let mut limits =
        accounting.assocs.iter().map(|a| &a.limits).chain(accounting.qos.iter().map(|q| &q.limits));
    !accounting.enforce.limits || limits.all(|limits| *limits == Limits::default())
}

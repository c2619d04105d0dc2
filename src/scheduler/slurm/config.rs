//! What `slurm.conf`, `gres.conf` and the accounting database say, typed, with the defaults of a version.
//!
//! Every default carries its source: "man" is the slurm.conf(5) page of 22.05, "recorded" is observed
//! on a running 22.05.8. Where versions differ, in defaults or in rules, `version` has the one table of it.
//! Instants are whole seconds, because Slurm decides on `time()`; limits are whole minutes.

mod accounting;
mod hardware;
mod parameters;
mod topology;
mod version;

pub use accounting::{
    Accounting, Assoc, AssocId, Enforce, Limits, Qos, QosFlags, QosId, Shares, Tres, TresTable,
};
pub use hardware::{
    DeviceTypeId, GresCount, Licence, MemPer, NodeConf, PartitionConf, PartitionState, Sizes,
};
pub use parameters::{
    BackfillParameters, BackfillRule, MainParameters, PreemptMode, PreemptParameters, PreemptType,
    PriorityParameters, PriorityWeights, SchedulerKind, SelectParameters,
};
pub use topology::{Switch, Tree};
pub use version::{RULES, Rule, RuleRow, RuleSource, UnknownVersion, Version};

use super::NodeSet;

/// All that the engine needs to know of a site.
#[derive(Clone, Debug, PartialEq)]
pub struct SlurmConfig {
    /// Whose rules and defaults hold.
    pub version: Version,
    /// `ClusterName`.
    pub cluster_name: String,
    /// Nodes in the order of their `NodeName` lines: the index order of all node choices.
    pub nodes: Vec<NodeConf>,
    /// Device types of `gres/gpu`, in order of first appearance.
    pub device_types: Vec<String>,
    /// Partitions in the order of their `PartitionName` lines.
    pub partitions: Vec<PartitionConf>,
    /// `SchedulerType`.
    pub scheduler: SchedulerKind,
    /// The event-driven and periodic main scheduler.
    pub main: MainParameters,
    /// The backfill thread.
    pub backfill: BackfillParameters,
    /// `PriorityType` and its factors.
    pub priority: PriorityParameters,
    /// `PreemptType`, `PreemptMode` and their parameters.
    pub preempt: PreemptParameters,
    /// `SelectTypeParameters`.
    pub select: SelectParameters,
    /// Accounts, users, QOS and their limits.
    pub accounting: Accounting,
    /// Times and flags that belong to no plugin.
    pub controller: ControllerParameters,
    /// `DefMemPer*`, `MaxMemPer*`, `DefCpuPerGPU` of the cluster.
    pub sizes: Sizes,
    /// `Licenses`.
    pub licences: Vec<Licence>,
    /// The switches of `topology/tree`.
    pub topology: Option<Tree>,
}

/// Settings of `slurmctld` itself.
#[derive(Clone, Debug, PartialEq)]
pub struct ControllerParameters {
    /// `KillWait` in seconds (man: 30).
    pub kill_wait_s: i64,
    /// `OverTimeLimit` in minutes (man: 0); `None` = UNLIMITED.
    pub over_time_limit_min: Option<u32>,
    /// `ResvOverRun` in minutes (man: 0); `None` = UNLIMITED.
    pub resv_over_run_min: Option<u32>,
    /// `CompleteWait` in seconds (man: 0).
    pub complete_wait_s: i64,
    /// `AuthInfo=cred_expire` in seconds (man: 120). A requeued job becomes eligible one second later
    /// than that (recorded).
    pub cred_expire_s: i64,
    /// `DependencyParameters=kill_invalid_depend` (man: off).
    pub kill_invalid_depend: bool,
    /// `JobRequeue` (man: 1).
    pub job_requeue: bool,
    /// The timer that enforces limits and reservation ends, in seconds (recorded: 30, not settable).
    pub time_limit_timer_s: i64,
}

impl Default for ControllerParameters {
    fn default() -> Self {
        Self {
            kill_wait_s: 30,
            over_time_limit_min: Some(0),
            resv_over_run_min: Some(0),
            complete_wait_s: 0,
            cred_expire_s: 120,
            kill_invalid_depend: false,
            job_requeue: true,
            time_limit_timer_s: 30,
        }
    }
}

impl SlurmConfig {
    /// A site with nothing but the defaults of the version that holds where none is named.
    #[must_use]
    pub fn empty() -> Self {
        Self::of(Version::DEFAULT)
    }

    /// A site with nothing but the defaults of a version.
    #[must_use]
    pub fn of(version: Version) -> Self {
        let mut site = Self {
            version,
            cluster_name: String::new(),
            nodes: Vec::new(),
            device_types: Vec::new(),
            partitions: Vec::new(),
            scheduler: SchedulerKind::Backfill,
            main: MainParameters::default(),
            backfill: BackfillParameters::default(),
            priority: PriorityParameters::default(),
            preempt: PreemptParameters::default(),
            select: SelectParameters::default(),
            accounting: Accounting::default(),
            controller: ControllerParameters::default(),
            sizes: Sizes::default(),
            licences: Vec::new(),
            topology: None,
        };
        site.priority.multifactor = version.has(Rule::MultifactorByDefault);
        site.select.whole_nodes = !version.has(Rule::ConsTresByDefault);
        site.backfill.max_job_test = if version.has(Rule::FiveHundredTests) { 500 } else { 100 };
        site
    }

    /// Whether a rule of newer versions holds. What is about the backfill thread does not hold under a named rule,
    /// which stands in its place.
    #[must_use]
    pub fn has(&self, rule: Rule) -> bool {
        let of_thread = matches!(
            rule,
            Rule::LeastSlot
                | Rule::StartInInterval
                | Rule::PlansRoundUp
                | Rule::EndsAtStart
                | Rule::RelevantEnd
        );
        self.version.has(rule) && !(of_thread && self.backfill.rule.is_ideal())
    }

    /// Index of a partition by name.
    #[must_use]
    pub fn partition(&self, name: &str) -> Option<usize> {
        self.partitions.iter().position(|p| p.name == name)
    }

    /// The partition marked `Default=YES`, if any.
    #[must_use]
    pub fn default_partition(&self) -> Option<usize> {
        self.partitions.iter().position(|p| p.default)
    }

    /// The id of a device type by name, which is added if it is new.
    pub fn device_type(&mut self, name: &str) -> DeviceTypeId {
        let at = self.device_types.iter().position(|t| t == name).unwrap_or_else(|| {
            self.device_types.push(name.to_owned());
            self.device_types.len() - 1
        });
        DeviceTypeId(u16::try_from(at).expect("fewer than 65,536 device types"))
    }

    /// The id of a device type by name.
    #[must_use]
    pub fn find_device_type(&self, name: &str) -> Option<DeviceTypeId> {
        self.device_types
            .iter()
            .position(|t| t == name)
            .and_then(|at| u16::try_from(at).ok())
            .map(DeviceTypeId)
    }

    /// What its partition makes of a request: `OverSubscribe=EXCLUSIVE` gives whole nodes, and so does `select/linear`.
    pub fn adapt(&self, ask: &mut super::job::Ask, partition: Option<&str>) {
        let is_exclusive = |at: usize| self.partitions[at].exclusive;
        let exclusive = match partition {
            None => self.default_partition().is_some_and(is_exclusive),
            Some(names) => names.split(',').filter_map(|name| self.partition(name)).any(is_exclusive),
        };
        ask.exclusive |= self.select.whole_nodes || exclusive;
    }

    /// What a partition (the default one, the first of several) gives jobs that do not say, and lets them have.
    #[must_use]
    pub fn sizes_in(&self, partition: Option<&str>) -> Sizes {
        let first = |names: &str| self.partition(names.split(',').next().unwrap_or(names));
        let at = partition.map_or_else(|| self.default_partition(), first);
        at.map_or(self.sizes, |at| self.partitions[at].sizes.or(self.sizes))
    }

    /// CPUs of all nodes together.
    #[must_use]
    pub fn total_cpus(&self) -> u64 {
        self.nodes.iter().map(|n| u64::from(n.cpus)).sum()
    }

    /// A set with room for every node, empty.
    #[must_use]
    pub fn no_nodes(&self) -> NodeSet {
        NodeSet::with_capacity(self.nodes.len())
    }
}

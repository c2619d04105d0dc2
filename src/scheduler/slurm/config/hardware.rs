//! Nodes and partitions.

use super::super::NodeSet;
use super::{PreemptMode, QosId};

/// A type of `gres/gpu` device, an index into [`super::SlurmConfig::device_types`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceTypeId(pub u16);

/// So many devices of one type on a node, or asked of a node (`None` = any type).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GresCount {
    /// Type; on a node always named (an untyped `Gres=gpu:4` has the type "").
    pub device_type: Option<DeviceTypeId>,
    /// Number of devices.
    pub count: u32,
}

/// One node.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeConf {
    /// `NodeName`.
    pub name: String,
    /// `CPUs`, else sockets x cores x threads, else 1 (man).
    pub cpus: u32,
    /// `RealMemory` in MiB (man: 1).
    pub mem_mb: u64,
    /// `Gres=gpu:...`, in the order of the line: devices are numbered through it.
    pub gres: Vec<GresCount>,
    /// `Weight`: lighter nodes are used first (man: 1).
    pub weight: u32,
    /// `Features`.
    pub features: Vec<String>,
    /// `State=DOWN|DRAIN|FAIL`: not usable from the start.
    pub unusable: bool,
}

/// `State` of a partition: whether jobs may be submitted, and whether they may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionState {
    /// Submission is allowed (UP, DOWN).
    pub submit: bool,
    /// Jobs are scheduled (UP, DRAIN).
    pub schedule: bool,
}

/// One partition.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionConf {
    /// `PartitionName`.
    pub name: String,
    /// `Nodes`.
    pub nodes: NodeSet,
    /// `Default=YES`.
    pub default: bool,
    /// `MaxTime` in minutes; `None` = UNLIMITED (man).
    pub max_time_min: Option<u32>,
    /// `DefaultTime` in minutes; `None` = `MaxTime` (man).
    pub default_time_min: Option<u32>,
    /// `MinNodes` (man: 0).
    pub min_nodes: u32,
    /// `MaxNodes`; `None` = UNLIMITED (man).
    pub max_nodes: Option<u32>,
    /// `PriorityTier` (man: 1).
    pub priority_tier: u16,
    /// `PriorityJobFactor` (man: 1).
    pub priority_job_factor: u32,
    /// `AllowAccounts`; `None` = ALL.
    pub allow_accounts: Option<Vec<String>>,
    /// `DenyAccounts`.
    pub deny_accounts: Vec<String>,
    /// `AllowQos`; `None` = ALL.
    pub allow_qos: Option<Vec<String>>,
    /// `DenyQos`.
    pub deny_qos: Vec<String>,
    /// `OverTimeLimit` of the partition in minutes.
    pub over_time_limit_min: Option<u32>,
    /// `PreemptMode` of the partition under `preempt/partition_prio`; `None` = the cluster's.
    pub preempt_mode: Option<PreemptMode>,
    /// `GraceTime` in seconds under `preempt/partition_prio` (man: 0).
    pub grace_s: i64,
    /// `QOS`: its limits count before those of the job's own QOS.
    pub qos: Option<QosId>,
    /// `OverSubscribe=EXCLUSIVE`: every job gets whole nodes.
    pub exclusive: bool,
    /// `ExclusiveUser=YES`: the jobs on a node are of one user.
    pub exclusive_user: bool,
    /// `LLN=YES`: least loaded nodes first.
    pub least_loaded: bool,
    /// `AllowGroups`; `None` = ALL.
    pub allow_groups: Option<Vec<String>>,
    /// `TRESBillingWeights`; empty = one unit per CPU (man).
    pub billing: Vec<(usize, f64)>,
    /// `State`.
    pub state: PartitionState,
    /// `DefMemPer*`, `MaxMemPer*`, `DefCpuPerGPU`; what is not set here is the cluster's.
    pub sizes: Sizes,
}

impl PartitionConf {
    /// A partition with every setting at its default.
    #[must_use]
    pub fn new(name: &str, nodes: NodeSet) -> Self {
        Self {
            name: name.to_owned(),
            nodes,
            default: false,
            max_time_min: None,
            default_time_min: None,
            min_nodes: 0,
            max_nodes: None,
            priority_tier: 1,
            priority_job_factor: 1,
            allow_accounts: None,
            deny_accounts: Vec::new(),
            allow_qos: None,
            deny_qos: Vec::new(),
            over_time_limit_min: None,
            preempt_mode: None,
            grace_s: 0,
            qos: None,
            exclusive: false,
            exclusive_user: false,
            least_loaded: false,
            allow_groups: None,
            billing: Vec::new(),
            state: PartitionState { submit: true, schedule: true },
            sizes: Sizes::default(),
        }
    }
}

/// A licence of `Licenses`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Licence {
    /// Name.
    pub name: String,
    /// How many there are.
    pub count: u32,
}

/// An amount of memory in MiB, of each node or of each CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemPer {
    /// `*MemPerNode`.
    Node(u64),
    /// `*MemPerCPU`.
    Cpu(u64),
}

/// What jobs get of memory and CPUs where they do not say, and what they may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Sizes {
    /// `DefMemPerNode` or `DefMemPerCPU` (man: all memory of a node; here none where it is not set).
    pub def_mem: Option<MemPer>,
    /// `DefMemPerGPU` in MiB.
    pub def_mem_per_gpu: Option<u64>,
    /// `DefCpuPerGPU`.
    pub def_cpu_per_gpu: Option<u32>,
    /// `MaxMemPerNode` or `MaxMemPerCPU` (man: no limit).
    pub max_mem: Option<MemPer>,
}

impl Sizes {
    /// These, and those of the cluster where they are silent.
    #[must_use]
    pub fn or(self, cluster: Self) -> Self {
        Self {
            def_mem: self.def_mem.or(cluster.def_mem),
            def_mem_per_gpu: self.def_mem_per_gpu.or(cluster.def_mem_per_gpu),
            def_cpu_per_gpu: self.def_cpu_per_gpu.or(cluster.def_cpu_per_gpu),
            max_mem: self.max_mem.or(cluster.max_mem),
        }
    }

    /// The memory of each node of a job that names none, which has so many CPUs and GPUs there.
    #[must_use]
    pub fn usual_mem_mb(&self, cpus: u32, gpus: u32) -> u64 {
        if let Some(each) = self.def_mem_per_gpu.filter(|_| gpus > 0) {
            return each.saturating_mul(u64::from(gpus));
        }
        match self.def_mem {
            Some(MemPer::Node(mem_mb)) => mem_mb,
            Some(MemPer::Cpu(each)) => each.saturating_mul(u64::from(cpus)),
            None => 0,
        }
    }

    /// The CPUs of a node that go with so much memory there: under `MaxMemPerCPU` more than were asked for.
    #[must_use]
    pub fn cpus_for(&self, mem_mb: u64) -> u32 {
        match self.max_mem {
            Some(MemPer::Cpu(most)) if most > 0 => u32::try_from(mem_mb.div_ceil(most)).unwrap_or(u32::MAX),
            _ => 0,
        }
    }

    /// Whether a job may have so much memory of a node.
    #[must_use]
    pub fn allow_mem(&self, mem_mb: u64) -> bool {
        !matches!(self.max_mem, Some(MemPer::Node(most)) if mem_mb > most)
    }
}

//! What is submitted, and what becomes of it.

use std::collections::VecDeque;
use std::sync::Arc;

use smallvec::SmallVec;

use super::LicenceAsk;
use super::NodeSet;
use super::config::{AssocId, GresCount, QosId, Tres};
use super::devices::{Held, Parts};
use crate::cluster::Allocation;
use crate::ids::TenantId;
use crate::scheduler::shared::floor::NodeReshape;
use crate::time::SimTime;
use crate::workload::Common;

/// What a job asks of every node, and of all together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Ask {
    /// `--nodes` minimum.
    pub min_nodes: u32,
    /// `--nodes` maximum; `None` = as many as the CPUs need.
    pub max_nodes: Option<u32>,
    /// CPUs in all.
    pub cpus: u32,
    /// CPUs that each node must have free.
    pub cpus_per_node: u32,
    /// `--mem` in MiB, of each node.
    pub mem_mb_per_node: u64,
    /// `--gres`, of each node.
    pub gres: SmallVec<[GresCount; 1]>,
    /// `--ntasks-per-node` was given: each node gives `cpus_per_node` and no more.
    pub fixed_per_node: bool,
    /// `--exclusive`.
    pub exclusive: bool,
    /// `--constraint`: every feature is needed.
    pub features: SmallVec<[Box<str>; 1]>,
    /// What of the GPUs of a node it asks for, by pool, where they are given out card by card; `gres` then only counts.
    pub parts: Option<Parts>,
    /// Whose jobs may be on its hosts, where hosts are dedicated.
    pub tenant: Option<TenantId>,
    /// `--switches`.
    pub switches: Option<Switches>,
}

/// `--switches=K@T`: leaves at most, and how long the job waits for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Switches {
    /// Leaf switches at most.
    pub leaves: u32,
    /// Seconds; `None` = as long as `max_switch_wait` lets it.
    pub wait_s: Option<i64>,
}

/// The types of `--dependency`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DependencyKind {
    /// The other job has started or was cancelled.
    After,
    /// The other job has ended.
    AfterAny,
    /// The other job has completed with exit code 0.
    AfterOk,
    /// The other job has failed.
    AfterNotOk,
    /// The same task of the other array has completed with exit code 0.
    AfterCorr,
    /// No job of this name and user is running or was submitted before.
    Singleton,
}

/// One condition of `--dependency`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Which end of the other jobs is waited for.
    pub kind: DependencyKind,
    /// The other submissions, by index.
    pub on: Vec<usize>,
}

/// `--array`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArraySpec {
    /// Task indices, ascending.
    pub tasks: Vec<u32>,
    /// `%k`: at most so many run at once.
    pub limit: Option<u32>,
}

/// A task of an array that is a submission of its own, as traces hold them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskOf {
    /// Number of the array: the same for all its tasks.
    pub array: u32,
    /// `%k`: at most so many of them run at once.
    pub limit: Option<u32>,
}

/// One submission as the scheduler sees it; how long it runs is not known here.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSpec {
    /// `--job-name`, which `singleton` compares.
    pub job_name: Arc<str>,
    /// Submitting user.
    pub user: Arc<str>,
    /// `--account`; `None` = the user's default.
    pub account: Option<Arc<str>>,
    /// `--partition`; `None` = the default partition.
    pub partition: Option<Arc<str>>,
    /// `--qos`; `None` = the association's default, else `normal`.
    pub qos: Option<Arc<str>>,
    /// Resources; jobs that ask for the same share it.
    pub ask: Common<Ask>,
    /// `--time` in minutes; `None` = the partition's default.
    pub limit_min: Option<u32>,
    /// `--nice`.
    pub nice: i64,
    /// `--dependency`; all must be met.
    pub after: Vec<Dependency>,
    /// `--array`.
    pub array: Option<ArraySpec>,
    /// The array that it is a task of, where tasks are submissions of their own.
    pub task_of: Option<TaskOf>,
    /// `--reservation`.
    pub reservation: Option<Arc<str>>,
    /// `--licenses`.
    pub licences: Option<Box<LicenceAsk>>,
    /// `--requeue` or `--no-requeue`; `None` = `JobRequeue`.
    pub requeue: Option<bool>,
    /// `--begin`, whole seconds.
    pub begin_s: Option<i64>,
    /// `--hold`.
    pub hold: bool,
    /// What it asks for instead once it has waited too long: other nodes will do.
    pub wider: Option<Common<Ask>>,
}

/// Slurm's job states, as far as they are modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Waiting.
    Pending,
    /// Running.
    Running,
    /// Ended with exit code 0.
    Completed,
    /// Ended with another exit code.
    Failed,
    /// Ended by its limit or its reservation's end.
    Timeout,
    /// Ended because a node went down.
    NodeFail,
    /// Ended by preemption.
    Preempted,
    /// Withdrawn.
    Cancelled,
}

impl State {
    /// Slurm's word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Timeout => "TIMEOUT",
            Self::NodeFail => "NODE_FAIL",
            Self::Preempted => "PREEMPTED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// Why a job is pending; names as `squeue` prints them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Reason {
    /// Not yet looked at.
    #[default]
    None,
    /// A job of higher priority waits in its partition.
    Priority,
    /// It is next, and what it asks for is busy.
    Resources,
    /// A dependency is not met yet.
    Dependency,
    /// A dependency can never be met.
    DependencyNeverSatisfied,
    /// Its begin time lies ahead.
    BeginTime,
    /// `%k` tasks of its array run.
    JobArrayTaskLimit,
    /// Its reservation has not begun.
    Reservation,
    /// Its reservation was deleted or has ended.
    ReservationDeleted,
    /// Its licences are in use.
    Licenses,
    /// Nodes that it needs are down, drained or reserved.
    ReqNodeNotAvail,
    /// Its limit exceeds the partition's.
    PartitionTimeLimit,
    /// It asks for more (or fewer) nodes than the partition gives.
    PartitionNodeLimit,
    /// The partition does not allow its account.
    AccountNotAllowed,
    /// The partition does not allow its QOS.
    QosNotAllowed,
    /// The partition is not up.
    PartitionDown,
    /// Held by its user.
    JobHeldUser,
    /// Held.
    JobHeldAdmin,
    /// Nothing can satisfy it.
    BadConstraints,
    /// A previous attempt is still being cleaned up.
    Cleaning,
    /// A limit of an association or QOS, by Slurm's name of the reason.
    Limit(&'static str),
}

impl Reason {
    /// Slurm's word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Priority => "Priority",
            Self::Resources => "Resources",
            Self::Dependency => "Dependency",
            Self::DependencyNeverSatisfied => "DependencyNeverSatisfied",
            Self::BeginTime => "BeginTime",
            Self::JobArrayTaskLimit => "JobArrayTaskLimit",
            Self::Reservation => "Reservation",
            Self::ReservationDeleted => "ReservationDeleted",
            Self::Licenses => "Licenses",
            Self::ReqNodeNotAvail => "ReqNodeNotAvail",
            Self::PartitionTimeLimit => "PartitionTimeLimit",
            Self::PartitionNodeLimit => "PartitionNodeLimit",
            Self::AccountNotAllowed => "AccountNotAllowed",
            Self::QosNotAllowed => "QOSNotAllowed",
            Self::PartitionDown => "PartitionDown",
            Self::JobHeldUser => "JobHeldUser",
            Self::JobHeldAdmin => "JobHeldAdmin",
            Self::BadConstraints => "BadConstraints",
            Self::Cleaning => "Cleaning",
            Self::Limit(name) => name,
        }
    }
}

/// Which scheduler made a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartedBy {
    /// The main scheduler.
    Main,
    /// The backfill thread.
    Backfill,
}

/// A job record, by position in the controller's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobIx(pub u32);

impl JobIx {
    /// Position in the table.
    #[inline]
    #[must_use]
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

/// One record of the controller: a job, an array with its pending tasks, or a task that left it.
#[derive(Clone, Debug)]
pub struct Job {
    /// The submission.
    pub spec: usize,
    /// Job id: rises with submission; tasks keep their array's.
    pub id: u32,
    /// Task index, once it has left the array's record.
    pub task: Option<u32>,
    /// Array that it belongs to, an index into the controller's arrays.
    pub array: Option<usize>,
    /// Pending tasks (only the array's own record).
    pub pending_tasks: VecDeque<u32>,
    /// Position in Slurm's job list, which breaks ties.
    pub list_order: u64,
    /// State.
    pub state: State,
    /// Why it is pending.
    pub reason: Reason,
    /// Priority; 0 = held.
    pub priority: u32,
    /// Submitting user, interned by the controller.
    pub user: u32,
    /// Association.
    pub assoc: Option<AssocId>,
    /// QOS.
    pub qos: QosId,
    /// Partition, an index into the configuration.
    pub partition: usize,
    /// Reservation asked for, by index; meaningful while `reservation_gone` is false.
    pub reservation: Option<usize>,
    /// Limit in minutes.
    pub limit_min: u32,
    /// Submission (of this attempt), whole seconds.
    pub submit_s: i64,
    /// When it became eligible, or its begin time ahead; `None` = not eligible yet.
    pub begin_s: Option<i64>,
    /// When age began to count.
    pub accrue_s: Option<i64>,
    /// The decision to start, exact.
    pub start: SimTime,
    /// The decision to start, whole seconds; while pending, the backfill thread's estimate (0 = none).
    pub start_s: i64,
    /// Start + limit, whole seconds.
    pub end_planned_s: i64,
    /// It asks for what [`JobSpec::wider`] says.
    pub is_wider: bool,
    /// When it was tested first, from where on its wait for `--switches` counts.
    pub switches_from_s: Option<i64>,
    /// The most leaves that it takes at present.
    pub most_leaves: Option<u32>,
    /// 1, 2, ... counting requeues.
    pub attempt: u32,
    /// Dependencies that are not met yet, by position in the submission's list.
    pub waiting_for: Vec<Dependency>,
    /// What it holds.
    pub grants: Allocation,
    /// What it holds of cards, by node, where GPUs are given out so.
    pub held: Held,
    /// What was cut anew for its start.
    pub reshapes: Vec<NodeReshape>,
    /// Nodes that it holds.
    pub nodes: NodeSet,
    /// Amounts that it holds, for limits and usage.
    pub tres: Tres,
    /// Billing units that it holds.
    pub billing: f64,
    /// Usage accounted up to this second.
    pub usage_to_s: i64,
    /// Its nodes are being cleaned up.
    pub completing: bool,
    /// Last time that it preempted others, whole seconds.
    pub preempt_start_s: i64,
    /// When it was chosen to go for a job of higher rank (its grace, if it has any, counts from there).
    pub preempted_s: Option<i64>,
    /// Preempting within this pass.
    pub preempt_in_progress: bool,
    /// Who started it.
    pub started_by: StartedBy,
}

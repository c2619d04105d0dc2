//! The work: jobs in submit order, and where they come from.
//!
//! A [`Workload`] is read once (native CSV, SWF, or a generator), shared by all runs of a comparison
//! or sweep, and never changed afterwards. Jobs are small records; what repeats (requests, labels,
//! texts) is interned, what is rare (dependencies, begin times) lies in a side table.
//!
//! This room knows nothing of clusters: a [`Request`] says what the trace asks for; what that means on
//! the nodes of a pool is decided in `scheduler::shapes`.
//!
//! Invariants: jobs are sorted by submit time, equal submits keep file order; every row that was
//! refused or changed is in the [`RepairLedger`]; times and amounts are integers.

pub mod anonymize;
pub mod checkpoint;
pub mod classify;
mod copy_on_write;
pub mod generate;
pub mod intern;
pub mod memory;
pub mod read;
pub mod recorded;
pub mod repair;
pub mod resample;
pub mod scale;
pub mod select;
pub mod stats;
mod tenants;
pub mod wishes;
pub mod write;
pub mod write_swf;

use smallvec::SmallVec;

use crate::diagnostic::Diagnostics;
use crate::ids::{IdVec, JobId, LabelId, RequestId, TextId};
use crate::time::{SimDuration, SimTime};

pub use copy_on_write::Common;
pub use intern::{Interner, Texts};
pub use read::{ReadError, ReadOptions, read_trace};
pub use recorded::{Recorded, RecordedColumns};
pub use repair::{RepairExample, RepairKind, RepairLedger};

/// One job, as small as the hot loops need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Submission.
    pub submit: SimTime,
    /// Work: run time on the hardware that it ran on.
    pub run: SimDuration,
    /// Requested time limit; the run time where the trace has none (see [`JobFlags::LIMIT_UNKNOWN`]).
    pub limit: SimDuration,
    /// Static priority, higher first.
    pub priority: i64,
    /// The trace's own id.
    pub name: JobName,
    /// What it asks for.
    pub request: RequestId,
    /// Who and what it is.
    pub labels: LabelId,
    /// Yes-or-no properties.
    pub flags: JobFlags,
}

/// A job id as the trace wrote it: numbers stay numbers, other texts are interned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobName {
    /// A plain decimal number without leading zero.
    Number(u32),
    /// Anything else.
    Text(TextId),
}

/// Yes-or-no properties of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct JobFlags(u8);

impl JobFlags {
    /// The trace names no limit; `limit` holds the run time.
    pub const LIMIT_UNKNOWN: Self = Self(1);
    /// Work of kind `session`: wall time whatever the hardware.
    pub const SESSION: Self = Self(2);
    /// The class is a default, no rule and no column named it.
    pub const CLASS_DEFAULTED: Self = Self(4);
    /// There is a row for it in [`Workload::extras`].
    pub const HAS_EXTRAS: Self = Self(8);
    /// It is not queued again when its node fails.
    pub const NO_REQUEUE: Self = Self(16);

    /// Whether all flags of `other` are set.
    #[must_use]
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Sets or clears the flags of `other`.
    pub fn set(&mut self, other: Self, on: bool) {
        if on {
            self.0 |= other.0;
        } else {
            self.0 &= !other.0;
        }
    }
}

/// What a job asks for, in the trace's terms; `None` = not said.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Request {
    /// Nodes.
    pub nodes: Option<u32>,
    /// Tasks in all.
    pub tasks: Option<u32>,
    /// Tasks on each node.
    pub tasks_per_node: Option<u32>,
    /// CPUs in all.
    pub cpus: Option<u32>,
    /// CPUs of each task.
    pub cpus_per_task: Option<u32>,
    /// Memory of each node.
    pub mem_mb_per_node: Option<u64>,
    /// GPUs in all.
    pub gpus: Option<u32>,
    /// GPUs of each node.
    pub gpus_per_node: Option<u32>,
    /// GPUs of each task.
    pub gpus_per_task: Option<u32>,
    /// Allowed GPU types (empty = any), alternatives separated by `|` in the trace.
    pub gpu_types: SmallVec<[TextId; 1]>,
    /// Share of one GPU, in thousandths; 1000 = whole GPUs.
    pub gpu_milli: Option<u32>,
    /// Memory needed on each GPU.
    pub gpu_mem_mib: Option<u64>,
    /// A MIG profile by name.
    pub mig_profile: Option<TextId>,
    /// Features that every node must have (all of them).
    pub features: SmallVec<[TextId; 1]>,
    /// Whole nodes, nobody else on them.
    pub exclusive: bool,
    /// Whose jobs it may share a dedicated host with; not read from traces, set where a design has such hosts.
    pub tenant: Option<TextId>,
}

impl Request {
    /// Whether it asks for less than whole GPUs: a MIG profile, or thousandths of a GPU.
    #[must_use]
    pub fn asks_for_part(&self) -> bool {
        self.mig_profile.is_some() || self.gpu_milli.is_some_and(|milli| milli > 0 && milli < 1000)
    }

    /// CPUs in all, as far as the request itself says: `cpus`, else tasks x CPUs per task, else one per
    /// task; tasks are as asked, else tasks per node x nodes, else one.
    #[must_use]
    pub fn total_cpus(&self) -> u64 {
        self.cpus.map_or_else(|| self.total_tasks() * count(self.cpus_per_task), u64::from)
    }

    /// Whole or shared GPUs in all, as far as the request itself says.
    #[must_use]
    pub fn total_gpus(&self) -> u64 {
        match (self.gpus, self.gpus_per_node, self.gpus_per_task) {
            (Some(gpus), _, _) => u64::from(gpus),
            (None, Some(each), _) => u64::from(each) * count(self.nodes),
            (None, None, Some(each)) => u64::from(each) * self.total_tasks(),
            (None, None, None) => u64::from(self.gpu_milli.is_some() || self.mig_profile.is_some()),
        }
    }

    /// GPU amount in thousandths of a GPU; a MIG instance counts as the whole GPU here, because its
    /// size is not known in this room.
    #[must_use]
    pub fn total_gpu_milli(&self) -> u64 {
        self.total_gpus() * u64::from(self.gpu_milli.unwrap_or(1000))
    }

    fn total_tasks(&self) -> u64 {
        self.tasks.map_or_else(|| count(self.tasks_per_node) * count(self.nodes), u64::from)
    }
}

/// A count that is one where nothing is said.
fn count(asked: Option<u32>) -> u64 {
    u64::from(asked.unwrap_or(1))
}

/// Who and what a job is; every combination is stored once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Labels {
    /// Submitting user.
    pub user: Option<TextId>,
    /// Account or group that is charged.
    pub account: Option<TextId>,
    /// Partition or queue.
    pub partition: Option<TextId>,
    /// Quality of service.
    pub qos: Option<TextId>,
    /// Job name (only where the trace has the column).
    pub name: Option<TextId>,
    /// Job class, from the column, a rule, or the default.
    pub class: Option<TextId>,
    /// Tenant, for pools that keep tenants apart.
    pub tenant: Option<TextId>,
}

/// What only some jobs have.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Extras {
    /// Dependencies, all of which must be met.
    pub after: Vec<Dependency>,
    /// Array that the job is a task of: the array's own id, the task's index.
    pub array: Option<(TextId, u32)>,
    /// At most so many tasks of the array run at once.
    pub array_limit: Option<u32>,
    /// Not to start before.
    pub begin: Option<SimTime>,
    /// Withdrawn by the user at this instant if it has not ended before.
    pub cancel: Option<SimTime>,
    /// `nice` value, taken from the priority.
    pub nice: i64,
    /// Columns that are kept for a policy or model that uses them: (column, value).
    pub other: Vec<(TextId, TextId)>,
}

/// One condition of `--dependency`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Which end of the other jobs is waited for.
    pub kind: DependencyKind,
    /// The jobs waited for.
    pub jobs: Vec<JobId>,
}

/// Slurm's dependency types (sbatch manual, `--dependency`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DependencyKind {
    /// They have started.
    After,
    /// They have ended, however.
    AfterAny,
    /// They have completed without failure.
    AfterOk,
    /// They have failed.
    AfterNotOk,
    /// The task of the same index in another array has completed without failure; the jobs named are
    /// those tasks.
    AfterCorr,
    /// No earlier job of the same name and user is pending or running; names no jobs.
    Singleton,
}

impl DependencyKind {
    /// The word of `--dependency`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::After => "after",
            Self::AfterAny => "afterany",
            Self::AfterOk => "afterok",
            Self::AfterNotOk => "afternotok",
            Self::AfterCorr => "aftercorr",
            Self::Singleton => "singleton",
        }
    }
}

/// All jobs of a trace, with what they refer to. A copy has job rows of its own and shares the rest until it changes it.
#[derive(Clone, Debug, Default)]
pub struct Workload {
    /// Jobs in submit order.
    pub jobs: IdVec<JobId, Job>,
    /// Requests by id.
    pub requests: Common<Interner<RequestId, Request>>,
    /// Label combinations by id.
    pub labels: Common<Interner<LabelId, Labels>>,
    /// Texts by id.
    pub texts: Common<Texts>,
    /// Rare properties, sorted by job.
    pub extras: Common<Vec<(JobId, Extras)>>,
    /// Recorded history, column by column, only the columns that the trace fills.
    pub recorded: Common<RecordedColumns>,
    /// What was refused or changed while reading.
    pub repairs: RepairLedger,
    /// What to tell the user about those repairs: the first of each kind whole, the rest counted.
    pub warnings: Diagnostics,
    /// Columns that hold values which have no effect in this version, for the report.
    pub unused_columns: Vec<String>,
    /// Facts of the file's own header (SWF), for the report: key, value.
    pub header: Vec<(String, String)>,
}

impl Workload {
    /// The job's id as the trace wrote it.
    #[must_use]
    pub fn job_name(&self, job: JobId) -> String {
        match self.jobs[job].name {
            JobName::Number(n) => n.to_string(),
            JobName::Text(id) => self.texts.get(id).to_owned(),
        }
    }

    /// Rare properties of a job, if it has any.
    #[must_use]
    pub fn extras_of(&self, job: JobId) -> Option<&Extras> {
        if !self.jobs[job].flags.has(JobFlags::HAS_EXTRAS) {
            return None;
        }
        let at = self.extras.binary_search_by_key(&job, |(id, _)| *id).ok()?;
        Some(&self.extras[at].1)
    }

    /// Recorded history of a job; all unknown where the trace has none.
    #[must_use]
    pub fn recorded(&self, job: JobId) -> Recorded {
        self.recorded.get(job)
    }

    /// First submission; zero for an empty workload.
    #[must_use]
    pub fn first_submit(&self) -> SimTime {
        self.jobs.iter().next().map_or(SimTime::ZERO, |job| job.submit)
    }
}

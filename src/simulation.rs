//! A run: one workload on one cluster under one policy.
//!
//! Wires the kernel's instants to the job state machine:
//!
//! ```text
//!   submitted ─┬─> refused (no pool can ever hold it)
//!              └─> held (dependency, begin time, array limit) ─> waiting ─> running ─> completed
//!                        └──────────── cancelled ──────────────────┴──────────┘        (or failed)
//! ```
//!
//! Releases come first, then arrivals, then one scheduling pass; a pass happens only when something
//! changed. What comes out is an [`Outcome`]: a record per job and the exact hours of the meter; all
//! statistics are made from it elsewhere.
//!
//! Invariants: every job ends in exactly one state; hours of each pool sum to its installed hours;
//! the same inputs give the same bytes.

mod attempts;
mod door;
mod elastic;
mod failure;
mod fleet;
mod guests;
mod holds;
pub mod meter;
mod outage;
pub mod preemptive;
mod run;
pub mod shared;
pub mod slurm;
mod standing;
mod translation;
mod upkeep;
mod withheld;

use crate::cluster::{Allocation, Conflict};
use crate::ids::{IdVec, JobId};
use crate::kernel::Budget;
use crate::scheduler::Pending;
use crate::tenancy::RunTenancy;
use crate::time::SimTime;

pub use attempts::{Ending, Stretch};
pub use door::{DecidedBy, Hardware, NodeChoice, Policy, simulate};
pub use guests::{ByLevel, ElasticFacts, TenancyFacts, VmUsage, Written};
pub use meter::{Hours, IdleWaiting, PoolHours};
pub use outage::{NodeReservation, Outage, OutageKind, StartUsage, UsageRow};
pub use preemptive::PreemptiveFacts;
pub use run::{Spill, Spills};
pub use shared::{LayoutRow, SharedFacts};
pub use standing::{NodeSpell, Standing};
pub use translation::{Speed, Speeds};

/// Where a job stands at the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobState {
    /// Not submitted before the run ended.
    Future,
    /// Submitted, not started.
    Pending,
    /// Started, not ended.
    Running,
    /// Ended by itself.
    Completed,
    /// Ended by itself, as in the recorded history: without success.
    Failed,
    /// Withdrawn, or its dependency can never be met.
    Cancelled,
    /// No pool of the design can ever hold it.
    Refused,
    /// Killed at its limit.
    Timeout,
    /// Killed for a job of higher rank, and not requeued.
    Preempted,
    /// Killed because a node failed, and not requeued.
    NodeFail,
}

impl JobState {
    /// Number of states.
    pub const COUNT: usize = 11;

    /// Whether the job ran until it ended by itself or its time was up.
    #[must_use]
    pub fn ran_to_an_end(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Timeout)
    }

    /// Whether the job is over, however it ended. Closed: a new state does not compile before it is put here.
    #[must_use]
    pub fn is_over(self) -> bool {
        match self {
            Self::Future | Self::Pending | Self::Running => false,
            Self::Completed
            | Self::Failed
            | Self::Cancelled
            | Self::Refused
            | Self::Timeout
            | Self::Preempted
            | Self::NodeFail => true,
        }
    }

    /// Whether somebody else ended it.
    #[must_use]
    pub fn is_cut_short(self) -> bool {
        matches!(self, Self::Cancelled | Self::Preempted | Self::NodeFail)
    }

    /// Slurm's word for it (`REFUSED` is ours: Slurm refuses at submission without a record).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Future => "FUTURE",
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
            Self::Refused => "REFUSED",
            Self::Timeout => "TIMEOUT",
            Self::Preempted => "PREEMPTED",
            Self::NodeFail => "NODE_FAIL",
        }
    }
}

/// What happened to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobRecord {
    /// Start, or [`SimTime::NEVER`].
    pub start: SimTime,
    /// End, or [`SimTime::NEVER`].
    pub end: SimTime,
    /// State at the end of the run.
    pub state: JobState,
}

/// What to keep of a run, and how far it may go.
pub struct RunOptions<'a> {
    /// Keep every allocation (node lists of `jobs.csv`, referee).
    pub keep_allocations: bool,
    /// Write down why this job waits, whenever that changes.
    pub watch: Option<JobId>,
    /// Nodes that jobs cannot use for a while.
    pub outages: &'a [Outage],
    /// Nodes that Slurm keeps for some users.
    pub reservations: &'a [NodeReservation],
    /// Fair-share usage from which Slurm's priorities go on.
    pub usage: Option<&'a StartUsage>,
    /// How fast jobs run on this cluster, where some were recorded on other hardware.
    pub speeds: Option<&'a Speeds>,
    /// What allocations deliver, where not all is bare metal without neighbours.
    pub tenancy: Option<&'a RunTenancy>,
    /// Whether run times are those of this very design, all that made jobs slower and their start-up included: a job
    /// holds its devices for so long, whatever they are.
    pub as_recorded: bool,
    /// Jobs that may go to other pools if their wait is long.
    pub spills: Option<&'a Spills>,
    /// The leaf of each node, where nodes lie on networks.
    pub leaves: Option<&'a [u32]>,
    /// Limits.
    pub budget: Budget,
    /// Seed of what the run itself leaves to chance.
    pub seed: u64,
    /// Asked now and then whether to stop.
    pub interrupted: &'a (dyn Fn() -> bool + Sync),
}

impl Default for RunOptions<'_> {
    fn default() -> Self {
        Self {
            keep_allocations: false,
            watch: None,
            outages: &[],
            reservations: &[],
            usage: None,
            speeds: None,
            tenancy: None,
            as_recorded: false,
            spills: None,
            leaves: None,
            budget: Budget::default(),
            seed: 1,
            interrupted: &|| false,
        }
    }
}

/// One change of a watched job's situation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchRow {
    /// When.
    pub at: SimTime,
    /// Why it does not start; `None` = it starts.
    pub reason: Option<Pending>,
    /// The job at the head of the queue.
    pub head: Option<JobId>,
    /// Jobs ahead of it.
    pub ahead: usize,
    /// Expected start of the head, where the policy reserves for it.
    pub shadow: Option<SimTime>,
}

/// All that a run produced.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// A record per job.
    pub records: IdVec<JobId, JobRecord>,
    /// Allocations in order of start, if kept.
    pub allocations: Vec<(JobId, Allocation)>,
    /// GPU- and CPU-hours.
    pub hours: Hours,
    /// Refused jobs with the reason, in submit order.
    pub refused: Vec<(JobId, String)>,
    /// Jobs that were held after their submission: when they became eligible, sorted by job.
    pub held_until: Vec<(JobId, SimTime)>,
    /// Jobs whose last attempt was at work later than its start (a boot, a restore, a layout came first), sorted by job;
    /// [`SimTime::NEVER`] if it never was.
    pub at_work: Vec<(JobId, SimTime)>,
    /// Nodes that were out of order or reserved, in order of time, if allocations were kept.
    pub spells: Vec<NodeSpell>,
    /// Story of the watched job.
    pub watched: Vec<WatchRow>,
    /// First submission to last end (or where the run was cut).
    pub first_submit: SimTime,
    /// Last instant that was handled.
    pub last_instant: SimTime,
    /// Kernel events.
    pub events: u64,
    /// Scheduling passes.
    pub passes: u64,
    /// What only Slurm's engine knows.
    pub slurm: Option<Box<SlurmFacts>>,
    /// What only a preemptive policy tells.
    pub preemptive: Option<Box<PreemptiveFacts>>,
    /// What only runs on shared GPUs tell.
    pub shared: Option<Box<SharedFacts>>,
    /// What only runs with tenancies other than bare metal tell.
    pub tenancy: Option<Box<TenancyFacts>>,
}

impl Outcome {
    /// Why a job was still pending at the end, by Slurm's name, where the policy is Slurm's.
    #[must_use]
    pub fn pending_reason(&self, job: JobId) -> Option<&'static str> {
        let facts = self.slurm.as_deref()?;
        let at = facts.pending.binary_search_by_key(&job, |(id, _)| *id).ok()?;
        Some(facts.pending[at].1)
    }
}

/// What Slurm's engine tells beside records and hours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlurmFacts {
    /// Jobs that started more than once, with all their attempts, sorted by job.
    pub requeued: Vec<(JobId, Vec<Stretch>)>,
    /// Jobs still pending at the end with Slurm's reason, sorted by job.
    pub pending: Vec<(JobId, &'static str)>,
    /// Starts by the backfill thread.
    pub backfilled: u64,
    /// Starts in all.
    pub starts: u64,
    /// Passes of the main scheduler.
    pub main_passes: u64,
    /// Cycles of the backfill thread.
    pub backfill_cycles: u64,
    /// What of the trace could not be carried over, with the number of jobs.
    pub not_carried_over: Vec<(String, u64)>,
    /// Story of the watched job.
    pub watched: Vec<SlurmWait>,
}

/// A stretch of a watched job's time, from `at` to the next row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlurmWait {
    /// From when.
    pub at: SimTime,
    /// Slurm's reason; `None` = it does not wait (it runs, or is gone).
    pub reason: Option<&'static str>,
    /// Who is in the way: at its beginning the first few, where the reason is that others come first, all
    /// that were first in the queue, one after the other.
    pub blockers: Vec<JobId>,
    /// How many more.
    pub more_blockers: usize,
    /// Pending jobs of its partition that come before it, at its beginning.
    pub ahead: usize,
    /// The same at its end.
    pub ahead_last: usize,
    /// Whether the reason is a limit of an association or QOS.
    pub is_limit: bool,
    /// When its begin time comes.
    pub until: Option<SimTime>,
    /// The first start that the backfill thread planned for it then.
    pub planned_first: Option<SimTime>,
    /// The last one.
    pub planned_last: Option<SimTime>,
}

impl SlurmWait {
    /// A row without anybody in the way.
    #[must_use]
    pub fn at(at: SimTime, reason: Option<&'static str>) -> Self {
        Self { at, reason, ..Self::default() }
    }
}

/// Why a run has no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The ledger refused what the policy granted.
    #[error("the policy granted what is not free at {at} s: {conflict}")]
    Policy {
        /// When.
        at: SimTime,
        /// The ledger's words.
        conflict: Conflict,
    },
    /// Jobs wait, nothing is left that could start them.
    #[error("stalled at {at} s with {waiting} jobs that can never start, first: {}", names.join(", "))]
    Stalled {
        /// When.
        at: SimTime,
        /// How many.
        waiting: usize,
        /// The first of them, each with its reason.
        names: Vec<String>,
    },
    /// A placement of one's own sees amounts, which do not tell what is free on GPUs that are given out in parts.
    #[error(
        "a placement of your own works on whole GPUs only: name one of the built-in placements, or set no sharing"
    )]
    OwnPlacementOnParts,
    /// More than the budget of events.
    #[error("stopped after {0} events (the event budget)")]
    EventBudget(u64),
    /// Stopped by the user.
    #[error("interrupted")]
    Interrupted,
}

//! A run of [`crate::scheduler::slurm`]: when `slurmctld`'s threads wake, and how long jobs take.
//!
//! ```text
//!   submission ─> queue flag ─┐                       ┌─> main pass (default_queue_depth)
//!   end reported by the agent ┴─> 1-second loop ──────┤     at least batch_sched_delay apart
//!   sched_interval ───────────────────┘               └─> main pass (whole queue)
//!   end reported by its own message ─────────────────────> main pass at once
//!   backfill thread: sleeps bf_interval, runs if something changed, else looks again after 1 s
//!   30-second timer: limits, reservations          PriorityCalcPeriod: usage, ranks, priorities
//! ```
//!
//! What a real controller leaves to chance is in [`Chance`]: phases of the threads, their drift, and the
//! milliseconds that launch and clean-up take. Every draw is keyed by the seed and what it is for.
//!
//! Invariants: a job's attempts do not overlap; the ledger refuses what is not free; the same inputs and
//! seed give the same records.

mod booking;
mod cards;
mod causes;
mod chance;
#[cfg(test)]
mod equivalence;
mod granted;
mod hosted;
mod intake;
mod life;
mod named;
mod observed;
mod outcome;
mod site_state;
mod threads;
mod vms;
mod watch;

use crate::ids::{Id, PoolId};
use crate::kernel::{self, Budget, RunEnd};
use crate::scheduler::shared::floor::NodeReshape;
use crate::scheduler::slurm::config::{AssocId, SlurmConfig};
use crate::scheduler::slurm::devices::Held;
use crate::scheduler::slurm::job::{JobIx, JobSpec, StartedBy, State};
use crate::scheduler::slurm::placement::Hardware;
use crate::scheduler::slurm::{Cycles, NodeChange, NodeSet, Refusal, ReservationRequest};
use crate::simulation::Speeds;
use crate::time::{SimDuration, SimTime};
use crate::workload::Workload;

pub use chance::{Chance, Phases};
pub use granted::Granted;
pub use intake::{Intake, Pools};
pub use observed::{Observer, run_slurm_observed};
pub(super) use outcome::simulate_slurm;

/// One submission with what only the simulation knows.
#[derive(Clone, Debug, PartialEq)]
pub struct SlurmJob {
    /// When `sbatch` is called.
    pub submit: SimTime,
    /// How long its script runs.
    pub run: SimDuration,
    /// Whether its script ends with exit code 0.
    pub exit_ok: bool,
    /// Withdrawn by its user then, if it has not ended.
    pub cancel: Option<SimTime>,
    /// After so long a wait other nodes will do.
    pub spill_after: Option<SimDuration>,
}

/// A command of an administrator.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// `scontrol create reservation`.
    CreateReservation(ReservationRequest),
    /// `scontrol update ReservationName= EndTime=`, seconds.
    SetReservationEnd(String, i64),
    /// `scontrol delete ReservationName=`.
    DeleteReservation(String),
    /// `scontrol update NodeName= State=`.
    ChangeNodes(NodeSet, NodeChange),
    /// No command: from here on, usage is what the site's `sshare` told.
    SetUsage(Vec<(AssocId, f64)>),
    /// Read-only commands change nothing.
    Nothing,
}

/// Everything that a run needs.
#[derive(Clone, Copy, Debug)]
pub struct SlurmRun<'a> {
    /// The site.
    pub config: &'a SlurmConfig,
    /// What [`crate::scheduler::slurm::hardware_of`] makes of it.
    pub hardware: &'a [Hardware],
    /// Submissions in order of submission.
    pub specs: &'a [JobSpec],
    /// The same submissions, what only the simulation knows.
    pub jobs: &'a [SlurmJob],
    /// Commands in order of time.
    pub commands: &'a [(SimTime, Command)],
    /// What is left to chance.
    pub chance: Chance,
    /// How fast jobs of a trace run on which nodes, where some were recorded on other hardware; without, each
    /// runs as long as [`SlurmJob::run`] says.
    pub translated: Option<Translated<'a>>,
}

/// Jobs recorded on other hardware.
#[derive(Clone, Copy, Debug)]
pub struct Translated<'a> {
    /// The jobs with their recorded run times; submissions have the same order.
    pub recorded: &'a Workload,
    /// Their speeds.
    pub speeds: &'a Speeds,
    /// The pool of each node.
    pub pools: &'a [PoolId],
}

/// One attempt of a job, as `sacct` would show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Submission, by index.
    pub spec: usize,
    /// Task of an array.
    pub task: Option<u32>,
    /// 1, 2, ... counting requeues.
    pub number: u32,
    /// Submission of this attempt (first: exact; later: the second of the requeue).
    pub submit: SimTime,
    /// Eligible since, whole seconds.
    pub eligible_s: i64,
    /// Decision to start.
    pub start: SimTime,
    /// End as the controller knows it.
    pub end: SimTime,
    /// How it ended.
    pub state: State,
    /// What it held of its nodes.
    pub grants: Granted,
    /// What it held of cards, by node, where GPUs are given out so.
    pub cards: Held,
    /// What was cut anew for it.
    pub reshapes: Vec<NodeReshape>,
    /// Whether other nodes would do for it by then.
    pub is_wider: bool,
    /// When it was at work: booted, with its instances there.
    pub works: SimTime,
    /// Who started it.
    pub started_by: StartedBy,
    /// Priority at the start.
    pub priority: u32,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct SlurmOutcome {
    /// Attempts in order of their starts.
    pub attempts: Vec<Attempt>,
    /// Submissions refused, with the reason.
    pub refused: Vec<(usize, Refusal)>,
    /// Submissions (and array tasks left) still pending at the end: (submission, pending tasks, reason).
    pub pending: Vec<(usize, usize, &'static str)>,
    /// Submissions withdrawn by the controller or their user before they started.
    pub withdrawn: Vec<usize>,
    /// When, in the same order.
    pub withdrawn_at: Vec<SimTime>,
    /// Submissions that other nodes would do for after a while.
    pub spilled: u64,
    /// Answers to refused commands: (position, answer).
    pub refused_commands: Vec<(usize, &'static str)>,
    /// How often each scheduler ran.
    pub cycles: Cycles,
    /// What attempts lost on hosts that are not bare metal, alone.
    losses: Option<Box<hosted::Losses>>,
    /// Events handled.
    pub events: u64,
    /// Why the run ended.
    pub end: RunEnd,
}

/// Runs until nothing more can happen.
#[must_use]
pub fn run_slurm(run: SlurmRun<'_>, interrupted: &dyn Fn() -> bool) -> SlurmOutcome {
    let mut calendar = threads::calendar();
    let mut daemon = threads::Daemon::new(run, &mut calendar);
    daemon.plan_only_what_decides();
    let report = kernel::run(&mut daemon, &mut calendar, Budget::default(), interrupted);
    daemon.into_outcome(report)
}

/// The same decisions without any of the engine's caches, many times slower: what [`run_slurm`] is tested and timed
/// against.
#[must_use]
pub fn run_slurm_uncached(run: SlurmRun<'_>, interrupted: &dyn Fn() -> bool) -> SlurmOutcome {
    let mut calendar = threads::calendar();
    let mut daemon = threads::Daemon::new(run, &mut calendar);
    daemon.decide_uncached();
    let report = kernel::run(&mut daemon, &mut calendar, Budget::default(), interrupted);
    daemon.into_outcome(report)
}

/// A record of the controller names a timer by its position.
fn timer_of(job: JobIx) -> u32 {
    crate::ids::JobId::new(job.at()).0
}

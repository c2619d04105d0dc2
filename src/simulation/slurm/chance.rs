//! What a real controller leaves to chance, drawn from keyed streams.
//!
//! Ranges are those measured on the recorded clusters (../shared/slurm-reference): README "Time"
//! (launch and clean-up 20-150 ms, median about 60 ms: drawn log-uniformly, whose median is 55 ms),
//! "Main scheduler" (5-100 ms until the clean-up of an ended job is reported). The backfill thread sleeps
//! from the end of a cycle on, so that its grid drifts by as much as its cycles take: `sdiag`'s mean cycle / mean
//! depth is 0.21 to 0.57 ms a tested job over 18 runs without preemption (1.0 and 1.5 ms in the two with it), and the
//! recorded grids drift by 1 to 2 ms more than the mean cycle (a sleep that is too long). The period of the 1-second loop (1.2-3.1 ms too long), its start (0.70-0.95 s
//! after the controller's) and that of the backfill thread (0.5-0.7 s) from the grids of the recorded starts
//! (medians over 31 runs); the phase
//! of the recalculation (0.93-1.03 s after) from the ages in the `sprio` snapshots of all nine runs; the
//! share of normal ends reported by a message of their own from `sdiag` (485 messages for 10,348 ended
//! jobs, 83 of them killed, over all recorded runs: 3.9 %).

use crate::random::Stream;
use crate::time::{SimDuration, SimTime};

/// When the controller started: all its timers count from there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Phases {
    /// Earliest start of `slurmctld`.
    pub started_from: SimTime,
    /// Latest start of `slurmctld`.
    pub started_to: SimTime,
}

/// The draws of one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chance {
    /// Seed.
    pub seed: u64,
    /// When the controller started.
    pub phases: Phases,
}

impl Chance {
    fn stream(&self, purpose: &str, a: u64, b: u64) -> Stream {
        Stream::new(self.seed, purpose, a, b)
    }

    /// Second of the epoch at time zero, as far as rounding to steps of up to an hour can tell.
    pub(super) fn epoch_s(&self) -> i64 {
        i64::try_from(self.stream("slurm-epoch", 0, 0).below(3_600)).expect("below an hour")
    }

    /// Start of `slurmctld`.
    pub(super) fn started(&self) -> SimTime {
        let (from, to) = (self.phases.started_from.micros(), self.phases.started_to.micros());
        let span = u64::try_from(to - from).expect("the range is in order") + 1;
        let offset = self.stream("slurm-started", 0, 0).below(span);
        SimTime::from_micros(from + i64::try_from(offset).expect("within the range"))
    }

    /// Start of the 1-second loop after the controller's.
    pub(super) fn loop_offset(&self) -> SimDuration {
        uniform(&mut self.stream("slurm-loop-offset", 0, 0), 700_000, 950_000)
    }

    /// Start of the backfill thread after the controller's.
    pub(super) fn backfill_offset(&self) -> SimDuration {
        uniform(&mut self.stream("slurm-backfill-offset", 0, 0), 500_000, 700_000)
    }

    /// First recalculation of priorities, beyond a period after the controller's start.
    pub(super) fn priorities_offset(&self) -> SimDuration {
        uniform(&mut self.stream("slurm-priorities-offset", 0, 0), 930_000, 1_030_000)
    }

    /// How much longer than a second each turn of the loop takes in this run.
    pub(super) fn loop_drift(&self) -> SimDuration {
        uniform(&mut self.stream("slurm-loop-drift", 0, 0), 1_200, 3_100)
    }

    /// How much longer than asked a sleep of the backfill thread is in this run.
    pub(super) fn backfill_oversleep(&self) -> SimDuration {
        uniform(&mut self.stream("slurm-backfill-oversleep", 0, 0), 1_000, 2_000)
    }

    /// How long the backfill thread takes over a job in this run: a property of the host.
    pub(super) fn backfill_test(&self, preempts: bool) -> SimDuration {
        let (from, to) = if preempts { (1_000.0, 1_500.0) } else { (210.0, 570.0) };
        log_uniform(&mut self.stream("slurm-backfill-test", 0, 0), from, to)
    }

    /// Launch and clean-up of an attempt.
    pub(super) fn overhead(&self, job: u64, attempt: u32) -> SimDuration {
        log_uniform(&mut self.stream("slurm-overhead", job, u64::from(attempt)), 20_000.0, 150_000.0)
    }

    /// From the end of an attempt to the report of all its nodes.
    pub(super) fn clean_up(&self, job: u64, attempt: u32) -> SimDuration {
        log_uniform(&mut self.stream("slurm-clean-up", job, u64::from(attempt)), 5_000.0, 100_000.0)
    }

    /// From the kill of an attempt to the report of all its nodes.
    pub(super) fn kill(&self, job: u64, attempt: u32) -> SimDuration {
        log_uniform(&mut self.stream("slurm-kill", job, u64::from(attempt)), 20_000.0, 150_000.0)
    }

    /// From the question of a node's registration to its answer: an exchange of messages, as long as that about
    /// an ended job.
    pub(super) fn registration(&self, command: u32) -> SimDuration {
        let mut stream = self.stream("slurm-registration", u64::from(command), 0);
        log_uniform(&mut stream, 5_000.0, 100_000.0)
    }

    /// Whether the end of an attempt is reported by a message of its own, which starts a pass at once.
    pub(super) fn own_message(&self, job: u64, attempt: u32) -> bool {
        self.stream("slurm-own-message", job, u64::from(attempt)).uniform() < 0.04
    }
}

fn uniform(stream: &mut Stream, from: i64, to: i64) -> SimDuration {
    let span = u64::try_from(to - from).expect("the range is in order");
    SimDuration::from_micros(from + i64::try_from(stream.below(span + 1)).expect("within the range"))
}

fn log_uniform(stream: &mut Stream, from: f64, to: f64) -> SimDuration {
    let drawn = from * libm::pow(to / from, stream.uniform());
    SimDuration::from_micros(drawn as i64)
}

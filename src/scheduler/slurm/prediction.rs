//! When and where could a job start, if the running jobs ended at their limits?
//!
//! The job is tried on what is free now; then with every job gone that it may preempt; then running jobs
//! are removed in order of their planned ends, in batches, with a test after each batch. The first
//! window begins at the first end rounded up to a multiple of 30 s of the epoch and reaches 30 s further, the next 60 s,
//! then 120 s, and so on. In 20.02 each window began at the first end of its batch. The predicted start is the planned end of the job removed last; since 25.05.1 of the last one on
//! the chosen nodes.
//!
//! Since 24.11 a start is asked for within an interval of the map: what ends before the tried start is gone before the first
//! test, and what ends after the interval is not waited for ([`Tried`]).

use super::NodeSet;
use super::config::{Rule, SlurmConfig};
use super::controller::Controller;
use super::job::{Job, JobIx};
use super::placement::Placement;

/// Jobs removed at most before the search for a window's end is cut (recorded source: 200).
pub(super) const BATCH: u32 = 200;
/// Length of the first window.
const FIRST_WINDOW_S: i64 = 30;

/// A predicted start.
pub(super) struct Prediction {
    pub start_s: i64,
    pub nodes: Vec<usize>,
}

/// The start that the backfill thread tries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tried {
    pub now_s: i64,
    /// Where the tried interval of the map begins.
    pub start_s: i64,
    /// The next instant worth a try.
    pub later_s: Option<i64>,
    /// Nothing later than now is asked for.
    pub now_only: bool,
}

impl Controller<'_> {
    /// The first ends that are past at a tried start, and those that are waited for at most.
    pub(super) fn ends_around(&self, tried: &Tried) -> (usize, usize) {
        let rows = &self.outlook.rows;
        if !self.config.has(Rule::StartInInterval) {
            return (0, rows.len());
        }
        let gone = if self.config.has(Rule::EndsAtStart) {
            rows.partition_point(|(end, _, _)| *end <= tried.start_s)
        } else {
            rows.partition_point(|(end, _, _)| *end < tried.start_s)
        };
        let most =
            tried.later_s.map_or(rows.len(), |later| rows.partition_point(|(end, _, _)| *end <= later));
        (gone, most.max(gone))
    }

    /// Where the job can start, on nodes of `allowed`, and when.
    pub(super) fn will_run(&self, job: JobIx, allowed: &NodeSet, tried: &Tried) -> Option<Prediction> {
        let ask = self.ask(job);
        let Tried { now_s, now_only, .. } = *tried;
        let (gone, most) = self.ends_around(tried);
        let in_interval = self.config.has(Rule::StartInInterval);
        if !(in_interval && tried.start_s > now_s)
            && self.free_cpus >= u64::from(ask.cpus)
            && let Some(nodes) = self.choose_fitting(job, allowed, self.fitting(job), &self.free, false)
        {
            return Some(Prediction { start_s: now_s, nodes });
        }
        let candidates = self.preemption_candidates(job, now_s);
        if candidates.is_empty() && now_only {
            return None;
        }
        let touches = |job: JobIx| !self.jobs[job.at()].nodes.is_disjoint(allowed);
        let mut free = self.free.clone();
        let past = self.outlook.rows[..gone].iter().map(|(_, _, job)| *job).filter(|job| touches(*job));
        let past: Vec<JobIx> = past.filter(|job| !candidates.contains(job)).collect();
        for removed in candidates.iter().chain(&past) {
            self.remove_from(&mut free, *removed);
        }
        if !candidates.is_empty() || in_interval {
            let then = Placement { is_later: tried.start_s > now_s, ..self.placement_of(job) };
            if let Some(nodes) = then.choose(ask, allowed, &free) {
                return Some(Prediction { start_s: now_s, nodes });
            }
            if now_only {
                return None;
            }
        }
        let ends = self.outlook.rows[gone..most].iter().map(|(end, _, job)| (*end, *job));
        let ending: Vec<(i64, JobIx)> = ends.filter(|(_, job)| !candidates.contains(job)).collect();
        let rule = self.placement().later();
        let mut fitting = self.fitting(job).clone();
        for removed in candidates.iter().chain(&past) {
            for grant in &self.jobs[removed.at()].grants {
                let n = grant.node.0 as usize;
                fitting.set(n, rule.fits(ask, n, &free[n]));
            }
        }
        free.iter_mut().filter(|node| node.cards.is_some()).for_each(|node| *node = node.later());
        let mut windows = Windows::new(self.config, self.epoch_s);
        let mut at = 0;
        while let Some(batch) = windows.batch(&ending, at, &touches) {
            for (_, gone) in ending[at..batch.next].iter().filter(|(_, job)| touches(*job)) {
                self.remove_from(&mut free, *gone);
                for grant in &self.jobs[gone.at()].grants {
                    let n = grant.node.0 as usize;
                    fitting.set(n, rule.fits(ask, n, &free[n]));
                }
            }
            at = batch.next;
            if batch.tested
                && let Some(nodes) = self.choose_fitting(job, allowed, &fitting, &free, true)
            {
                let mut last = batch.last;
                if self.config.has(Rule::RelevantEnd) {
                    let on = |job: JobIx| nodes.iter().any(|n| self.jobs[job.at()].nodes.contains(*n));
                    let relevant = ending[..at].iter().rfind(|(_, job)| on(*job));
                    last = relevant.map_or(last, |(_, job)| *job);
                }
                return Some(Prediction { start_s: self.expected_end(&self.jobs[last.at()], now_s), nodes });
            }
        }
        None
    }

    /// Position of the job removed last in the batch that holds position `at`, in a version whose batches have windows
    /// of their own: job by job, as each depends on the one before.
    pub(super) fn own_batch_with(
        &self,
        at: usize,
        mut windows: Windows,
        listed: std::ops::Range<usize>,
        allowed: &NodeSet,
    ) -> Option<usize> {
        let rows = &self.outlook.rows;
        let touches = |job: JobIx| !self.jobs[job.at()].nodes.is_disjoint(allowed);
        let ending: Vec<(i64, JobIx)> = rows[..listed.end].iter().map(|(end, _, job)| (*end, *job)).collect();
        let mut from = listed.start;
        while let Some(batch) = windows.batch(&ending, from, &touches) {
            if batch.next > at {
                return Some(self.outlook.position[batch.last.at()] as usize);
            }
            from = batch.next;
        }
        None
    }

    /// The planned end, or a guess where it has passed.
    pub(super) fn expected_end(&self, job: &Job, now_s: i64) -> i64 {
        if job.end_planned_s > now_s {
            return job.end_planned_s;
        }
        let partition = self.config.partitions[job.partition].over_time_limit_min;
        let kill_wait = self.config.controller.kill_wait_s;
        let end = match partition.or(self.config.controller.over_time_limit_min) {
            None => now_s + i64::from(job.limit_min) * 60,
            Some(over_min) => job.end_planned_s + kill_wait + i64::from(over_min) * 60,
        };
        if end <= now_s { now_s + 1 } else { end }
    }
}

/// Jobs removed together.
pub(super) struct Batch {
    /// Where the next batch begins.
    pub(super) next: usize,
    /// The job removed last.
    pub(super) last: JobIx,
    /// A test follows.
    pub(super) tested: bool,
}

/// The growing windows of one prediction.
pub(super) struct Windows {
    /// Every end has a window of its own.
    exact: bool,
    /// They go on from the first one; else each begins at the first end of its batch ([`Rule::AlignedWindows`]).
    pub(super) aligned: bool,
    anchor_s: Option<i64>,
    epoch_s: i64,
    length_s: i64,
    linear_s: i64,
}

impl Windows {
    pub(super) fn new(config: &SlurmConfig, epoch_s: i64) -> Self {
        let (exact, linear_s) = (config.backfill.rule.is_ideal(), config.backfill.window_linear_s);
        let aligned = config.has(Rule::AlignedWindows) || exact;
        Self { exact, aligned, anchor_s: None, epoch_s, length_s: FIRST_WINDOW_S, linear_s }
    }

    /// The first end fixes where the windows begin.
    pub(super) fn anchor(&mut self, first_end_s: i64) {
        if self.exact {
            (self.anchor_s, self.length_s) = (Some(first_end_s), 0);
            return;
        }
        if !self.aligned {
            self.anchor_s.get_or_insert(first_end_s);
            return;
        }
        let past = (first_end_s + self.epoch_s).rem_euclid(FIRST_WINDOW_S);
        self.anchor_s.get_or_insert(first_end_s + FIRST_WINDOW_S - past);
    }

    /// The end of the current window; none before [`Windows::anchor`].
    pub(super) fn end_s(&self) -> i64 {
        self.anchor_s.map_or(i64::MAX, |anchor| anchor + self.length_s)
    }

    /// The batch that begins at `from`: running jobs that touch the nodes in question, until the next
    /// job of the whole list ends beyond the window. Jobs elsewhere are passed over without that look,
    /// so a batch can reach far beyond its window (recorded: it decides who is backfilled).
    pub(super) fn batch(
        &mut self,
        ending: &[(i64, JobIx)],
        from: usize,
        touches: &dyn Fn(JobIx) -> bool,
    ) -> Option<Batch> {
        let mut removed = 0;
        let mut last = None;
        if !self.aligned {
            self.anchor_s = None;
        }
        for (at, (end, job)) in ending.iter().enumerate().skip(from) {
            if !touches(*job) {
                continue;
            }
            self.anchor(*end);
            last = Some(*job);
            let next = at + 1;
            if !self.aligned && removed > BATCH {
                self.grow(i64::MIN);
                return Some(Batch { next, last: *job, tested: true });
            }
            let follows = |(_, job): &&(i64, JobIx)| !self.exact || touches(*job);
            let Some((next_end, _)) = ending[next..].iter().find(follows) else {
                return Some(Batch { next, last: *job, tested: true });
            };
            if *next_end > self.end_s() {
                self.grow(*next_end);
                return Some(Batch { next, last: *job, tested: true });
            }
            if removed > BATCH && !self.exact {
                return Some(Batch { next, last: *job, tested: false });
            }
            removed += 1;
        }
        let next = ending.len();
        last.map(|last| Batch { next, last, tested: true })
    }

    /// Lets the window grow until it holds `next`; once where each batch has a window of its own.
    pub(super) fn grow(&mut self, next: i64) {
        if self.exact {
            return;
        }
        loop {
            self.length_s = if self.linear_s > 0 { self.length_s + self.linear_s } else { self.length_s * 2 };
            if !self.aligned || next <= self.end_s() {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::slurm::config::{BackfillRule, Version};

    #[test]
    fn windows_double_from_the_first_end_rounded_up() {
        let ends: Vec<(i64, JobIx)> =
            [100, 130, 150, 151, 180, 181, 240, 1_000].iter().zip(0..).map(|(e, n)| (*e, JobIx(n))).collect();
        let mut windows = Windows::new(&SlurmConfig::of(Version::DEFAULT), 0);
        // 100 rounds up to 120: the first batch holds ends up to 150, the next up to 180, then 240, ...
        let mut at = 0;
        for want in [3, 5, 7, 8] {
            let batch = windows.batch(&ends, at, &|_| true).unwrap();
            assert_eq!((batch.next, batch.tested), (want, true));
            at = batch.next;
        }
        assert!(windows.batch(&ends, at, &|_| true).is_none());
    }

    #[test]
    fn in_20_02_each_window_begins_at_its_first_end() {
        let ends: Vec<(i64, JobIx)> =
            [100, 130, 131, 191, 192, 311, 312].iter().zip(0..).map(|(e, n)| (*e, JobIx(n))).collect();
        let mut windows = Windows::new(&SlurmConfig::of(Version::SERIES[0]), 0);
        // 100 to 130, then 60 s from 131 on, then 120 s from 192 on
        let mut at = 0;
        for want in [2, 4, 7] {
            let batch = windows.batch(&ends, at, &|_| true).unwrap();
            assert_eq!((batch.next, batch.tested), (want, true));
            at = batch.next;
        }
        assert!(windows.batch(&ends, at, &|_| true).is_none());
    }

    #[test]
    fn ideal_windows_hold_one_end() {
        let ends: Vec<(i64, JobIx)> =
            [100, 100, 130, 150].iter().zip(0..).map(|(e, n)| (*e, JobIx(n))).collect();
        let mut config = SlurmConfig::of(Version::DEFAULT);
        config.backfill.be_ideal(BackfillRule::Conservative);
        let mut windows = Windows::new(&config, 0);
        let mut at = 0;
        for want in [2, 3, 4] {
            at = windows.batch(&ends, at, &|_| true).unwrap().next;
            assert_eq!(at, want);
        }
    }

    #[test]
    fn a_batch_reaches_beyond_its_window_over_jobs_elsewhere() {
        let ends: Vec<(i64, JobIx)> =
            [217, 217, 241, 261, 381, 392].iter().zip(0..).map(|(e, n)| (*e, JobIx(n))).collect();
        let here = |job: JobIx| [0, 1, 4, 5].contains(&job.0);
        let batch = Windows::new(&SlurmConfig::of(Version::DEFAULT), 7).batch(&ends, 0, &here).unwrap();
        assert_eq!((batch.next, batch.last), (5, JobIx(4)));
    }
}

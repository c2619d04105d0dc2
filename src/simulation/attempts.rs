//! Attempts of jobs: each stretch of holding devices, when it was at work, and why it was over.
//!
//! Most jobs have one attempt, which is their record; only jobs with several have rows of their own. What reports say
//! of attempts comes from here, whichever policy made them.

use super::{JobState, Outcome};
use crate::cluster::Allocation;
use crate::ids::JobId;
use crate::time::SimTime;
use crate::workload::Workload;

/// Why an attempt is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// With the job, whose state says how; or it still runs.
    #[default]
    WithTheJob,
    /// Its host failed, or its node went down.
    NodeLost,
    /// The policy gave its devices to others.
    Preempted,
    /// It goes on elsewhere at the same instant.
    Moved,
}

impl Ending {
    /// In words; empty where the state of the job says it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::WithTheJob => "",
            Self::NodeLost => "lost with its node",
            Self::Preempted => "preempted",
            Self::Moved => "moved",
        }
    }
}

/// One attempt of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Start: its devices are taken.
    pub start: SimTime,
    /// When it is at work; beyond its end, or [`SimTime::NEVER`], if it never was.
    pub works: SimTime,
    /// End, or [`SimTime::NEVER`].
    pub end: SimTime,
    /// Why it is over.
    pub ending: Ending,
    /// What it held; empty unless allocations were kept.
    pub allocation: Allocation,
}

impl Outcome {
    /// Attempts of a job that has several; empty for all others.
    #[must_use]
    pub fn several(&self, job: JobId) -> &[Stretch] {
        let rows = match (&self.slurm, &self.preemptive) {
            (Some(facts), _) => &facts.requeued,
            (None, Some(facts)) => &facts.resumed,
            (None, None) => match &self.tenancy {
                Some(facts) => &facts.restarted,
                None => return &[],
            },
        };
        let at = rows.binary_search_by_key(&job, |(id, _)| *id);
        at.map_or(&[], |at| &rows[at].1)
    }

    /// All attempts of a job in order; none if it never started. What an only one held is not among it.
    #[must_use]
    pub fn attempts(&self, job: JobId) -> Vec<Stretch> {
        let several = self.several(job);
        let record = &self.records[job];
        if !several.is_empty() || record.start == SimTime::NEVER {
            return several.to_vec();
        }
        vec![Stretch {
            start: record.start,
            works: self.work_start(job),
            end: record.end,
            ending: if record.state == JobState::NodeFail { Ending::NodeLost } else { Ending::WithTheJob },
            allocation: Allocation::new(),
        }]
    }

    /// All attempts of a job in order, one for each place where it moved, with what was held if allocations were kept.
    #[must_use]
    pub fn places(&self, job: JobId) -> Vec<Stretch> {
        let held = self.preemptive.iter().flat_map(|facts| &facts.held);
        let mut rows: Vec<Stretch> = held.filter(|(id, _)| *id == job).map(|(_, row)| row.clone()).collect();
        if rows.is_empty() {
            rows = self.attempts(job);
        }
        if let [only] = rows.as_mut_slice() {
            let held = self.allocations.iter().find(|(id, _)| *id == job);
            only.allocation = held.map(|(_, held)| held.clone()).unwrap_or_default();
        }
        rows
    }

    /// When the last attempt of a job was at work: its start where nothing came first, [`SimTime::NEVER`] if it never
    /// was.
    #[must_use]
    pub fn work_start(&self, job: JobId) -> SimTime {
        let at = self.at_work.binary_search_by_key(&job, |(id, _)| *id);
        let works = at.map_or_else(|_| self.last_start(job), |at| self.at_work[at].1);
        // Killed or lost while it was still starting.
        if works > self.records[job].end { SimTime::NEVER } else { works }
    }

    /// Whether jobs can have run more than once.
    #[must_use]
    pub fn has_attempts(&self) -> bool {
        let restarted = self.tenancy.as_ref().is_some_and(|facts| !facts.restarted.is_empty());
        self.slurm.is_some() || self.preemptive.is_some() || restarted
    }

    /// Microseconds of running that count as a job's run: its last attempt, or all of them where none repeats
    /// the work of another.
    #[must_use]
    pub fn effective_run_us(&self, job: JobId) -> i64 {
        if self.preemptive.is_some() {
            return self.run_us(job);
        }
        self.records[job].end.since(self.last_start(job)).micros()
    }

    /// How often a job started.
    #[must_use]
    pub fn starts(&self, job: JobId) -> usize {
        self.several(job).len().max(usize::from(self.records[job].start != SimTime::NEVER))
    }

    /// Start of the last attempt; [`SimTime::NEVER`] if there was none.
    #[must_use]
    pub fn last_start(&self, job: JobId) -> SimTime {
        self.several(job).last().map_or(self.records[job].start, |last| last.start)
    }

    /// From when to when a job ran, attempt by attempt; a job that still ran, to the last instant.
    pub fn stretches(&self, job: JobId) -> impl Iterator<Item = (SimTime, SimTime)> + '_ {
        let several = self.several(job);
        let record = &self.records[job];
        let only = several.is_empty() && record.start != SimTime::NEVER;
        let only = only.then_some((record.start, record.end));
        let rows = several.iter().map(|row| (row.start, row.end)).chain(only);
        rows.map(|(from, to)| (from, self.seen_until(to)))
    }

    /// The end of something, or the last instant where it went on.
    #[must_use]
    pub fn seen_until(&self, end: SimTime) -> SimTime {
        if end == SimTime::NEVER { self.last_instant } else { end }
    }

    /// Microseconds that a job ran, in all its attempts.
    #[must_use]
    pub fn run_us(&self, job: JobId) -> i64 {
        self.stretches(job).map(|(from, to)| to.since(from).micros()).sum()
    }

    /// Every allocation with its time, if allocations were kept.
    pub fn holdings(&self) -> impl Iterator<Item = (JobId, SimTime, SimTime, &Allocation)> {
        let once = self.allocations.iter().filter(|_| self.preemptive.is_none());
        let once = once.filter(|(job, _)| self.several(*job).is_empty());
        let once = once.map(move |(job, allocation)| {
            let record = &self.records[*job];
            (*job, record.start, self.seen_until(record.end), allocation)
        });
        let restarted = self.tenancy.iter().flat_map(|facts| &facts.restarted);
        let several = self.slurm.iter().flat_map(|facts| &facts.requeued).chain(restarted);
        let again = several.flat_map(move |(job, rows)| rows.iter().map(move |row| (*job, row)));
        let held = self.preemptive.iter().flat_map(|facts| &facts.held).map(|(job, row)| (*job, row));
        let rows = again.chain(held);
        let rows = rows.map(move |(job, row)| (job, row.start, self.seen_until(row.end), &row.allocation));
        once.chain(rows)
    }

    /// When a job became eligible: its submission, unless a dependency, begin time or array limit held it;
    /// [`SimTime::NEVER`] if it was held to the end.
    #[must_use]
    pub fn eligible(&self, workload: &Workload, job: JobId) -> SimTime {
        let at = self.held_until.binary_search_by_key(&job, |(id, _)| *id);
        at.map_or(workload.jobs[job].submit, |at| self.held_until[at].1)
    }
}

/// Jobs whose last attempt was at work later than its start, from all attempts in order of time.
pub(super) fn late_at_work<'s>(
    known: Vec<(JobId, SimTime)>,
    last: impl Iterator<Item = (JobId, &'s Stretch)>,
) -> Vec<(JobId, SimTime)> {
    let mut late: std::collections::BTreeMap<JobId, SimTime> = known.into_iter().collect();
    for (job, row) in last {
        if row.works > row.start {
            late.insert(job, row.works);
        } else {
            late.remove(&job);
        }
    }
    late.into_iter().collect()
}

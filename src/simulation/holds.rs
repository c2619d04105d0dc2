//! Jobs that may not start yet: dependencies, begin times, array limits.
//!
//! Only jobs with [`Extras`](crate::workload::Extras) come here; all others go straight to the queue
//! (and are looked at by [`singletons`] where a trace has such dependencies).

mod singletons;

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use self::singletons::Singletons;
use super::{JobRecord, JobState};
use crate::ids::{IdVec, JobId, TextId};
use crate::scheduler::Pending;
use crate::time::SimTime;
use crate::workload::{DependencyKind, Extras, Workload};

/// What became of a dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Met {
    Yes,
    NotYet,
    Never,
}

/// What a held job's change means for the simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Released {
    /// It may be queued.
    Eligible(JobId),
    /// Its dependency can never be met.
    Hopeless(JobId),
}

#[derive(Debug, Default)]
struct Array {
    active: u32,
    limit: u32,
    waiting: VecDeque<JobId>,
}

/// All held jobs.
#[derive(Debug)]
pub(super) struct Holds {
    singletons: Singletons,
    unmet: FxHashMap<JobId, u32>,
    waiters: FxHashMap<JobId, Vec<(JobId, DependencyKind)>>,
    begin: FxHashMap<JobId, SimTime>,
    arrays: FxHashMap<TextId, Array>,
    /// Tasks that wait in `arrays`.
    tasks: usize,
}

impl Holds {
    pub(super) fn new(workload: &Workload) -> Self {
        Self {
            singletons: Singletons::new(workload),
            unmet: FxHashMap::default(),
            waiters: FxHashMap::default(),
            begin: FxHashMap::default(),
            arrays: FxHashMap::default(),
            tasks: 0,
        }
    }

    /// A job was submitted; told of every job, before anything else is asked about it.
    pub(super) fn submitted(&mut self, job: JobId) {
        self.singletons.submitted(job);
    }

    /// Jobs that are held now, for whatever reason.
    pub(super) fn len(&self) -> usize {
        self.unmet.len() + self.begin.len() + self.tasks
    }

    /// Why a job is held, if it is.
    pub(super) fn reason(&self, job: JobId) -> Option<Pending> {
        if self.unmet.contains_key(&job) {
            return Some(Pending::Dependency);
        }
        if self.begin.contains_key(&job) {
            return Some(Pending::BeginTime);
        }
        self.arrays.values().any(|a| a.waiting.contains(&job)).then_some(Pending::ArrayLimit)
    }

    /// Looks at a job's dependencies when it is submitted: `Ok(true)` = met, `Err` = never.
    pub(super) fn depend(
        &mut self,
        job: JobId,
        extras: &Extras,
        records: &IdVec<JobId, JobRecord>,
    ) -> Result<bool, ()> {
        let mut unmet = 0;
        for dependency in &extras.after {
            for on in &dependency.jobs {
                match is_met(dependency.kind, &records[*on]) {
                    Met::Yes => {}
                    Met::Never => return Err(()),
                    Met::NotYet => {
                        unmet += 1;
                        self.waiters.entry(*on).or_default().push((job, dependency.kind));
                    }
                }
            }
        }
        let is_singleton = extras.after.iter().any(|after| after.kind == DependencyKind::Singleton);
        if is_singleton && self.singletons.must_wait(job) {
            unmet += 1;
        }
        if unmet > 0 {
            self.unmet.insert(job, unmet);
        }
        Ok(unmet == 0)
    }

    /// A job has started or ended: what does that release?
    pub(super) fn changed(&mut self, job: JobId, record: &JobRecord, out: &mut VecDeque<Released>) {
        if let Some(next) = self.singletons.changed(job, record) {
            self.one_met(next, out);
        }
        let Some(waiters) = self.waiters.get_mut(&job) else { return };
        let mut still = Vec::new();
        for (waiter, kind) in std::mem::take(waiters) {
            match is_met(kind, record) {
                Met::NotYet => still.push((waiter, kind)),
                Met::Never => {
                    if self.unmet.remove(&waiter).is_some() {
                        out.push_back(Released::Hopeless(waiter));
                    }
                }
                Met::Yes => self.one_met(waiter, out),
            }
        }
        if still.is_empty() {
            self.waiters.remove(&job);
        } else {
            self.waiters.insert(job, still);
        }
    }

    /// One of a job's conditions is met; the last one releases it.
    fn one_met(&mut self, waiter: JobId, out: &mut VecDeque<Released>) {
        if let Some(left) = self.unmet.get_mut(&waiter) {
            *left -= 1;
            if *left == 0 {
                self.unmet.remove(&waiter);
                out.push_back(Released::Eligible(waiter));
            }
        }
    }

    /// Holds a job until its begin time.
    pub(super) fn hold_until(&mut self, job: JobId, begin: SimTime) {
        self.begin.insert(job, begin);
    }

    /// Its begin time has come.
    pub(super) fn begun(&mut self, job: JobId) -> bool {
        self.begin.remove(&job).is_some()
    }

    /// Whether a task of a limited array may enter the queue; if not it is held.
    pub(super) fn admit(&mut self, job: JobId, extras: &Extras) -> bool {
        let (Some((array, _)), Some(limit)) = (extras.array, extras.array_limit) else { return true };
        let row = self.arrays.entry(array).or_default();
        row.limit = limit;
        if row.active < limit {
            row.active += 1;
            return true;
        }
        row.waiting.push_back(job);
        self.tasks += 1;
        false
    }

    /// A task of a limited array has ended or was withdrawn from the queue: the next may enter.
    pub(super) fn leave(&mut self, extras: &Extras) -> Option<JobId> {
        let (Some((array, _)), Some(_)) = (extras.array, extras.array_limit) else { return None };
        let row = self.arrays.get_mut(&array)?;
        let next = row.waiting.pop_front();
        if next.is_some() {
            self.tasks -= 1;
        } else {
            row.active -= 1;
        }
        next
    }

    /// Forgets a held job that was withdrawn; tells whether it was held.
    pub(super) fn forget(&mut self, job: JobId) -> bool {
        let mut held = self.unmet.remove(&job).is_some() | self.begin.remove(&job).is_some();
        for array in self.arrays.values_mut() {
            let before = array.waiting.len();
            array.waiting.retain(|other| *other != job);
            self.tasks -= before - array.waiting.len();
            held |= array.waiting.len() != before;
        }
        held
    }
}

/// Slurm's rules (sbatch manual, `--dependency`), on what is known of the other job now.
fn is_met(kind: DependencyKind, on: &JobRecord) -> Met {
    let started = on.start != SimTime::NEVER;
    let ended = on.state.is_over();
    let succeeded = on.state == JobState::Completed;
    let if_ended = |good: bool| match (ended, good) {
        (false, _) => Met::NotYet,
        (true, true) => Met::Yes,
        (true, false) => Met::Never,
    };
    match kind {
        DependencyKind::After if started => Met::Yes,
        DependencyKind::After | DependencyKind::AfterAny => if_ended(true),
        // The reader names the tasks of the same index.
        DependencyKind::AfterOk | DependencyKind::AfterCorr => if_ended(succeeded),
        DependencyKind::AfterNotOk => if_ended(!succeeded),
        DependencyKind::Singleton => unreachable!("a singleton names no jobs"),
    }
}

#[cfg(test)]
mod tests;

//! What a run tells of itself on the way: why a job waits, why nothing goes on.

use super::Run;
use super::ground::Decider;
use crate::scheduler::Pending;
use crate::simulation::{JobState, RunError, WatchRow};
use crate::time::SimTime;

impl<D: Decider> Run<'_, D> {
    /// Writes down why the watched job waits, if that changed.
    pub(super) fn watch(&mut self, now: SimTime) {
        let Some(job) = self.watch else { return };
        let state = self.records[job].state;
        if state == JobState::Future
            || (state != JobState::Pending && self.watched.last().is_some_and(|w| w.reason.is_none()))
        {
            return;
        }
        let head = self.decider.head_reason(&self.ground);
        let ahead = self.decider.queued().take_while(|other| *other != job).count();
        let reason = (state == JobState::Pending).then(|| match (self.holds.reason(job), head) {
            (Some(held), _) => held,
            (None, Some((first, why))) if first == job => why,
            _ => Pending::Priority,
        });
        let row = WatchRow {
            at: now,
            reason,
            head: head.map(|(first, _)| first).filter(|first| *first != job),
            ahead: if reason.is_some() { ahead } else { 0 },
            shadow: self.decider.shadow(),
        };
        let same =
            |a: &WatchRow, b: &WatchRow| a.reason == b.reason && a.head == b.head && a.shadow == b.shadow;
        if self.watched.last().is_none_or(|last| !same(last, &row)) {
            self.watched.push(row);
        }
    }

    /// An error if jobs wait although nothing is left to happen.
    pub(in crate::simulation) fn stall_if_waiting(&self, now: SimTime) -> Result<(), RunError> {
        if self.waiting() > 0 { Err(self.stalled(now)) } else { Ok(()) }
    }

    /// The stall, with the first waiting jobs and why they wait.
    pub(in crate::simulation) fn stalled(&self, at: SimTime) -> RunError {
        const NAMED: usize = 5;
        let pending = self.records.iter_ids().filter(|(_, r)| r.state == JobState::Pending);
        let names = pending
            .take(NAMED)
            .map(|(job, _)| {
                let head = self.decider.head_reason(&self.ground).filter(|(first, _)| *first == job);
                let reason = self.holds.reason(job).or(head.map(|(_, why)| why)).unwrap_or(Pending::Priority);
                format!("{} ({})", self.workload.job_name(job), reason.name())
            })
            .collect();
        RunError::Stalled { at, waiting: self.waiting(), names }
    }

    /// The conflict that broke the run.
    pub(in crate::simulation) fn broken_by(&mut self, at: SimTime) -> RunError {
        let conflict = self.conflict.take().expect("only a conflict breaks a run");
        RunError::Policy { at, conflict }
    }
}

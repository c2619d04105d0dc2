//! What a test of the backfill thread is told about a job's start, and for how long that stands.

use crate::scheduler::slurm::NodeSet;
use crate::scheduler::slurm::config::Rule;
use crate::scheduler::slurm::controller::Controller;
use crate::scheduler::slurm::job::JobIx;
use crate::scheduler::slurm::outlook::Foreseen;
use crate::scheduler::slurm::prediction::Tried;

/// Where a job would start.
pub(super) enum Found {
    Foreseen(Foreseen),
    /// Chosen already, and the running job (by its position in the outlook) with whose end it starts.
    With(usize, Vec<usize>),
    Nodes(Vec<usize>),
}

impl Controller<'_> {
    /// Before this second the outlook holds no start of the job; no statement where it is not used.
    pub(super) fn earliest_foreseen(&mut self, job: JobIx) -> i64 {
        if !self.uses_outlook(job) {
            return i64::MIN;
        }
        self.refresh_outlook(job);
        self.earliest_end(job)
    }

    fn uses_outlook(&self, job: JobIx) -> bool {
        !self.preemption_enabled() && self.takes_any_leaves(job) && Self::is_foreseeable(self.ask(job))
    }

    /// When and where the job could start on the nodes left to it; a start later than the next instant worth a try need
    /// not be told.
    pub(super) fn predict(&mut self, job: JobIx, free: &NodeSet, tried: &Tried) -> Option<(i64, Found)> {
        if !self.uses_outlook(job) {
            self.refresh_fits(job);
            let found = self.will_run(job, free, tried)?;
            return Some((found.start_s, Found::Nodes(found.nodes)));
        }
        self.refresh_outlook(job);
        let when = self.foresee(job, free, tried)?;
        let Foreseen::After(mut last) = when else { return Some((tried.now_s, Found::Foreseen(when))) };
        if tried.now_only {
            return None;
        }
        let mut found = Found::Foreseen(when);
        if self.config.has(Rule::RelevantEnd) {
            let nodes = self.choose_foreseen(job, free, when).expect("what is foreseen can be chosen");
            let (gone, _) = self.ends_around(tried);
            last = self.last_on(&nodes, gone..last + 1).unwrap_or(last);
            found = Found::With(last, nodes);
        }
        Some((self.expected_end(&self.jobs[self.outlook.rows[last].2.at()], tried.now_s), found))
    }

    /// Until when the same ends are past at a start that is tried now.
    pub(super) fn past_until(&self, job: JobIx, tried: &Tried, found: Option<&(i64, Found)>) -> i64 {
        let starts = matches!(found, Some((_, Found::Foreseen(Foreseen::Now))));
        if starts || !self.config.has(Rule::StartInInterval) || tried.start_s > tried.now_s {
            return i64::MAX;
        }
        if !self.uses_outlook(job) {
            return tried.now_s;
        }
        let (gone, _) = self.ends_around(tried);
        let next_s = self.outlook.rows.get(gone).map_or(i64::MAX, |(end, _, _)| *end);
        if self.config.has(Rule::EndsAtStart) { next_s - 1 } else { next_s }
    }

    /// Until when a prediction stays as it is: an end that has passed is guessed anew every time.
    pub(super) fn foreseen_until(&self, found: &Found, now_s: i64) -> i64 {
        match found {
            Found::Foreseen(Foreseen::Now | Foreseen::AtStart(_)) => i64::MAX,
            Found::Foreseen(Foreseen::After(last)) | Found::With(last, _) => {
                (self.outlook.rows[*last].0 - 1).max(now_s)
            }
            Found::Nodes(_) => now_s,
        }
    }
}

//! Part of a workload: some of its jobs, in their order, with all that refers to them.

use super::{Extras, Job, RepairKind, Workload};
use crate::ids::{Id, JobId};

impl Workload {
    /// Keeps the jobs for which `wanted` says so; the others are counted as left out.
    #[must_use]
    pub fn select(mut self, wanted: impl Fn(&Job) -> bool) -> Self {
        let from: Vec<u32> =
            self.jobs.iter_ids().filter(|(_, job)| wanted(job)).map(|(id, _)| id.0).collect();
        for _ in from.len()..self.jobs.len() {
            self.repairs.add(RepairKind::LeftOut, "outside the window asked for", 0, String::new);
        }
        self.keep(&from);
        self
    }

    /// Keeps the jobs at these positions, in this order; tells each old job's new id. Conditions on jobs
    /// that are gone are gone too.
    pub fn keep(&mut self, from: &[u32]) -> Vec<Option<JobId>> {
        let mut new_id: Vec<Option<JobId>> = vec![None; self.jobs.len()];
        for (to, at) in from.iter().enumerate() {
            new_id[*at as usize] = Some(JobId::new(to));
        }
        let renamed = |id: JobId| new_id[id.index()];
        self.jobs = from.iter().map(|at| self.jobs[JobId(*at)].clone()).collect();
        self.recorded.reorder(from);
        let mut extras: Vec<(JobId, Extras)> = std::mem::take(&mut self.extras)
            .into_inner()
            .into_iter()
            .filter_map(|(id, extras)| Some((renamed(id)?, extras)))
            .collect();
        extras.sort_by_key(|(id, _)| *id);
        for condition in extras.iter_mut().flat_map(|(_, extras)| &mut extras.after) {
            condition.jobs = condition.jobs.iter().filter_map(|job| renamed(*job)).collect();
        }
        self.extras = extras.into();
        new_id
    }
}

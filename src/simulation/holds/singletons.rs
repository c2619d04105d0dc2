//! `--dependency=singleton`: one job of a user and name at a time.
//!
//! A singleton waits until every job of the same user and name that was submitted before it has ended,
//! and none submitted later runs. Missing names are equal to each other: a trace without the column says
//! nothing that could tell jobs apart.

use std::collections::BTreeSet;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::ids::{Id, JobId, LabelId, TextId};
use crate::simulation::{JobRecord, JobState};
use crate::workload::{DependencyKind, Labels, Workload};

/// Who runs what, as far as singletons care.
type Owner = (Option<TextId>, Option<TextId>);

fn owner(labels: &Labels) -> Owner {
    (labels.user, labels.name)
}

/// Jobs of one user and name.
#[derive(Debug, Default)]
struct Line {
    /// Submitted, not ended.
    active: BTreeSet<JobId>,
    /// Singletons that wait for others.
    waiting: FxHashSet<JobId>,
    /// A set and no count: a job that is lost and starts again is still one job.
    running: FxHashSet<JobId>,
}

/// The lines of all owners that have a singleton; empty for traces without.
#[derive(Debug, Default)]
pub(super) struct Singletons {
    line_of_label: FxHashMap<LabelId, usize>,
    label_of_job: Vec<LabelId>,
    lines: Vec<Line>,
}

impl Singletons {
    pub(super) fn new(workload: &Workload) -> Self {
        let mut line_of_owner: FxHashMap<Owner, usize> = FxHashMap::default();
        for (job, extras) in &workload.extras {
            if extras.after.iter().any(|after| after.kind == DependencyKind::Singleton) {
                let next = line_of_owner.len();
                let labels = workload.labels.get(workload.jobs[*job].labels);
                line_of_owner.entry(owner(labels)).or_insert(next);
            }
        }
        if line_of_owner.is_empty() {
            return Self::default();
        }
        let lines = line_of_owner.iter().map(|_| Line::default()).collect();
        let line = |(id, labels)| Some((id, *line_of_owner.get(&owner(labels))?));
        let line_of_label = workload.labels.iter().filter_map(line).collect();
        let label_of_job = workload.jobs.iter().map(|job| job.labels).collect();
        Self { line_of_label, label_of_job, lines }
    }

    fn line(&mut self, job: JobId) -> Option<&mut Line> {
        let label = self.label_of_job.get(job.index())?;
        self.line_of_label.get(label).map(|at| &mut self.lines[*at])
    }

    /// A job was submitted.
    pub(super) fn submitted(&mut self, job: JobId) {
        if let Some(line) = self.line(job) {
            line.active.insert(job);
        }
    }

    /// Whether a singleton that was just submitted has to wait; if so it is remembered.
    pub(super) fn must_wait(&mut self, job: JobId) -> bool {
        let line = self.line(job).expect("singletons have a line");
        let waits = line.active.first() != Some(&job);
        if waits {
            line.waiting.insert(job);
        }
        waits
    }

    /// A job has started, was lost and is queued again, or has ended: the singleton that may go on now, if any.
    pub(super) fn changed(&mut self, job: JobId, record: &JobRecord) -> Option<JobId> {
        let line = self.line(job)?;
        if record.state == JobState::Running {
            line.running.insert(job);
            return None;
        }
        line.running.remove(&job);
        if record.state.is_over() {
            line.active.remove(&job);
            line.waiting.remove(&job);
        }
        let first = *line.active.first()?;
        (line.running.is_empty() && line.waiting.remove(&first)).then_some(first)
    }
}

//! Jobs that name several partitions (`--partition a,b`).
//!
//! Both schedulers meet such a job once for each of its partitions, with that partition's tier and priority; where
//! it starts first, it runs, and the others are forgotten. Here each further partition has a stand-in: a record that waits
//! like the job and never runs. A start of a stand-in is a start of the job in that partition.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::config::Rule;
use super::controller::Controller;
use super::job::{Job, JobIx, State};

/// Stand-ins of jobs, and the jobs of stand-ins.
#[derive(Clone, Debug, Default)]
pub(super) struct Alternatives {
    of_job: FxHashMap<JobIx, Group>,
    heads: FxHashMap<JobIx, JobIx>,
}

#[derive(Clone, Debug)]
struct Group {
    /// The partition of the job's own record while it waits.
    first: usize,
    limit_min: u32,
    stand_ins: SmallVec<[(JobIx, usize); 2]>,
}

impl Controller<'_> {
    /// The job that a record stands for: itself, or that of a stand-in.
    pub(super) fn job_of(&self, record: JobIx) -> JobIx {
        self.alternatives.heads.get(&record).copied().unwrap_or(record)
    }

    /// Whether a record only stands for a job in a further partition.
    #[must_use]
    pub fn is_stand_in(&self, record: JobIx) -> bool {
        self.alternatives.heads.contains_key(&record)
    }

    /// Gives a new job a stand-in for each further partition.
    pub(super) fn add_alternatives(&mut self, job: JobIx, further: &[usize], now_s: i64) {
        let mut stand_ins = SmallVec::new();
        let mut known = vec![self.jobs[job.at()].partition];
        for partition in further {
            if known.contains(partition) {
                continue;
            }
            known.push(*partition);
            let at = JobIx(u32::try_from(self.jobs.len()).expect("fewer than 2^32 records"));
            let list_order = self.next_list_order();
            let own_limit = self.spec(job).limit_min;
            let limit_min = own_limit.unwrap_or_else(|| self.usual_limit_min(*partition));
            let record = Job { partition: *partition, list_order, limit_min, ..self.jobs[job.at()].clone() };
            self.jobs.push(record);
            self.alternatives.heads.insert(at, job);
            stand_ins.push((at, *partition));
            self.put_in_queue(at);
            self.settle_independence(at, now_s);
            if self.config.priority.multifactor {
                self.jobs[at.at()].priority = self.first_priority(at, now_s);
            }
            self.note_submission(at);
        }
        let Job { partition: first, limit_min, .. } = self.jobs[job.at()];
        if !stand_ins.is_empty() {
            self.alternatives.of_job.insert(job, Group { first, limit_min, stand_ins });
        }
    }

    /// The stand-ins of a job.
    pub(super) fn stand_ins(&self, job: JobIx) -> SmallVec<[JobIx; 2]> {
        let group = self.alternatives.of_job.get(&job);
        group.into_iter().flat_map(|group| group.stand_ins.iter().map(|(at, _)| *at)).collect()
    }

    /// A job waits no more: neither do its stand-ins.
    pub(super) fn retire_stand_ins(&mut self, job: JobIx) {
        for at in self.stand_ins(job) {
            if self.jobs[at.at()].state == State::Pending {
                self.take_out_of_queue(at);
                self.jobs[at.at()].state = State::Cancelled;
            }
        }
    }

    /// A job waits again, for all of its partitions.
    pub(super) fn revive_stand_ins(&mut self, job: JobIx, now_s: i64) {
        let Some(group) = self.alternatives.of_job.get(&job).cloned() else { return };
        for (at, partition) in group.stand_ins {
            let Job { list_order, limit_min, priority, .. } = self.jobs[at.at()];
            self.jobs[at.at()] = Job { partition, list_order, limit_min, ..self.jobs[job.at()].clone() };
            if self.config.priority.multifactor && self.jobs[at.at()].priority != 0 {
                let is_fresh = self.config.has(Rule::FreshPriorityOfRequeue);
                self.jobs[at.at()].priority =
                    if is_fresh { self.first_priority(at, now_s) } else { priority };
            }
            self.put_in_queue(at);
        }
    }

    /// Of a job that was requeued, the record's partition is its first one again.
    pub(super) fn restore_partition(&mut self, job: JobIx) {
        if let Some(group) = self.alternatives.of_job.get(&job) {
            let record = &mut self.jobs[job.at()];
            (record.partition, record.limit_min) = (group.first, group.limit_min);
        }
    }

    /// A start of a record: the job that it stands for takes its partition.
    pub(super) fn take_partition_of(&mut self, record: JobIx) -> JobIx {
        let job = self.job_of(record);
        if job != record {
            let chosen = &self.jobs[record.at()];
            let (partition, priority, limit_min) = (chosen.partition, chosen.priority, chosen.limit_min);
            self.count_submitted(job, -1);
            self.leave_pending(job);
            self.put_in_queue(job);
            let head = &mut self.jobs[job.at()];
            (head.partition, head.priority, head.limit_min) = (partition, priority, limit_min);
            self.count_submitted(job, 1);
        }
        job
    }

    /// Whether the last cycle planned a start of the job in any of its partitions.
    pub(super) fn has_planned_start(&self, record: JobIx) -> bool {
        let job = self.job_of(record);
        let planned = |at: &JobIx| self.jobs[at.at()].start_s > 0;
        planned(&job) || self.stand_ins(job).iter().any(planned)
    }
}

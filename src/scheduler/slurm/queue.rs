//! Who is eligible, and in which order.
//!
//! Order: jobs that may preempt the other one first; then jobs with a reservation; then the partition's
//! `PriorityTier`; then priority, descending; then submission and job id, ascending.

use std::cmp::{Ordering, Reverse};

use super::controller::{Controller, Decision};
use super::job::{Dependency, DependencyKind, JobIx, Reason, State};

/// How a dependency stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Met,
    Waiting,
    Never,
}

impl Controller<'_> {
    /// The eligible jobs, sorted; withdraws jobs whose dependency can never be met, if so configured.
    pub(super) fn build_queue(&mut self, now_s: i64, clear_estimates: bool) -> Vec<JobIx> {
        let mut queue = Vec::with_capacity(self.pending.len());
        let mut at = 0;
        while at < self.pending.len() {
            let job = self.pending[at];
            let record = &mut self.jobs[job.at()];
            record.preempt_in_progress = false;
            if clear_estimates {
                record.start_s = 0;
            }
            if record.state != State::Pending || record.completing {
                at += 1;
                continue;
            }
            let eligible = self.settle_independence(job, now_s);
            if self.pending.get(at) != Some(&job) {
                continue; // withdrawn: another record stands here now
            }
            at += 1;
            if eligible && self.partition_lets(job) {
                queue.push(job);
            }
        }
        self.sort_queue(&mut queue);
        queue
    }

    /// The partition's own limits; sets the reason.
    fn partition_lets(&mut self, job: JobIx) -> bool {
        let ask = self.ask(job);
        let record = &mut self.jobs[job.at()];
        let partition = &self.config.partitions[record.partition];
        let overrides = self.config.accounting.qos(record.qos).flags.override_partition;
        let accounting = &self.config.accounting;
        let account = record.assoc.map(|a| accounting.assoc(a).account.as_str());
        let qos = accounting.qos(record.qos).name.as_str();
        let reason = if !partition.state.schedule {
            Some(Reason::PartitionDown)
        } else if account
            .is_some_and(|name| !allowed(name, partition.allow_accounts.as_deref(), &partition.deny_accounts))
        {
            Some(Reason::AccountNotAllowed)
        } else if !allowed(qos, partition.allow_qos.as_deref(), &partition.deny_qos) {
            Some(Reason::QosNotAllowed)
        } else if !overrides && partition.max_time_min.is_some_and(|most| record.limit_min > most) {
            Some(Reason::PartitionTimeLimit)
        } else if !overrides
            && (partition.max_nodes.is_some_and(|most| ask.min_nodes > most)
                || ask.max_nodes.is_some_and(|most| most < partition.min_nodes))
        {
            Some(Reason::PartitionNodeLimit)
        } else {
            None
        };
        if let Some(reason) = reason {
            record.reason = reason;
        }
        reason.is_none()
    }

    /// Whether nothing but resources keeps the job; sets its reason and when it became eligible.
    pub(super) fn settle_independence(&mut self, job: JobIx, now_s: i64) -> bool {
        let record = &self.jobs[job.at()];
        let stuck = matches!(
            record.reason,
            Reason::JobHeldUser
                | Reason::JobHeldAdmin
                | Reason::ReservationDeleted
                | Reason::DependencyNeverSatisfied
                | Reason::BadConstraints
        );
        if stuck || !self.dependencies_met(job, now_s) || !self.array_lets(job, now_s) {
            return false;
        }
        let reservation = self.jobs[job.at()].reservation.map(|at| &self.reservations[at]);
        let early = reservation.is_some_and(|r| now_s < r.start_s);
        let over = reservation.is_some_and(|r| r.gone || now_s > r.end_s);
        let record = &mut self.jobs[job.at()];
        if record.begin_s.is_some_and(|begin| begin > now_s) {
            record.reason = Reason::BeginTime;
            return false;
        }
        if early || over {
            record.reason = Reason::Reservation;
            if record.begin_s.is_some_and(|begin| begin <= now_s) && early {
                record.begin_s = None;
            }
            return false;
        }
        if record.begin_s.is_none() {
            record.begin_s = Some(now_s);
            self.note_change(now_s);
        }
        let record = &mut self.jobs[job.at()];
        record.accrue_s.get_or_insert(record.begin_s.unwrap_or(now_s).max(record.submit_s));
        if matches!(record.reason, Reason::BeginTime | Reason::Reservation) {
            record.reason = Reason::None;
        }
        true
    }

    /// `%k` of the job's array.
    pub(super) fn array_lets(&mut self, job: JobIx, now_s: i64) -> bool {
        let record = &mut self.jobs[job.at()];
        let Some(array) = record.array.map(|at| self.arrays[at]) else { return true };
        if array.limit.is_none_or(|limit| array.running < limit) {
            if record.reason == Reason::JobArrayTaskLimit {
                record.reason = Reason::None;
            }
            return true;
        }
        if record.begin_s.is_some_and(|begin| begin <= now_s) {
            record.begin_s = None;
        }
        record.reason = Reason::JobArrayTaskLimit;
        false
    }

    fn dependencies_met(&mut self, job: JobIx, now_s: i64) -> bool {
        if self.jobs[job.at()].waiting_for.is_empty() {
            return true;
        }
        let waiting = std::mem::take(&mut self.jobs[job.at()].waiting_for);
        let mut never = false;
        let mut left = Vec::new();
        for dependency in waiting {
            match self.standing(job, &dependency) {
                Standing::Met => {}
                Standing::Waiting => left.push(dependency),
                Standing::Never => {
                    never = true;
                    left.push(dependency);
                }
            }
        }
        let met = left.is_empty();
        self.jobs[job.at()].waiting_for = left;
        if never {
            self.settle_impossible(job, now_s);
        } else {
            let record = &mut self.jobs[job.at()];
            if met {
                record.reason = Reason::None;
            } else {
                if record.begin_s.is_some_and(|begin| begin < now_s) {
                    record.begin_s = None;
                }
                record.reason = Reason::Dependency;
            }
        }
        met
    }

    fn settle_impossible(&mut self, job: JobIx, now_s: i64) {
        if self.config.controller.kill_invalid_depend {
            self.withdraw(job, now_s);
            self.decisions.push(Decision::Withdrawn(job));
        } else {
            self.jobs[job.at()].reason = Reason::DependencyNeverSatisfied;
        }
    }

    fn standing(&self, job: JobIx, dependency: &Dependency) -> Standing {
        if dependency.kind == DependencyKind::Singleton {
            return self.singleton_standing(job);
        }
        let mut worst = Standing::Met;
        for other in &dependency.on {
            match self.standing_on(job, dependency.kind, *other) {
                Standing::Never => return Standing::Never,
                Standing::Waiting => worst = Standing::Waiting,
                Standing::Met => {}
            }
        }
        worst
    }

    fn singleton_standing(&self, job: JobIx) -> Standing {
        let me = &self.jobs[job.at()];
        let name = &self.specs[me.spec].job_name;
        let earlier = self.pending.iter().chain(&self.running).any(|other| {
            let other_record = &self.jobs[other.at()];
            *other != job
                && other_record.user == me.user
                && self.specs[other_record.spec].job_name == *name
                && (other_record.id < me.id || other_record.state == State::Running)
        });
        if earlier { Standing::Waiting } else { Standing::Met }
    }

    /// How one other submission stands; an array counts as a whole, and ends with its last task.
    fn standing_on(&self, job: JobIx, kind: DependencyKind, other: usize) -> Standing {
        let task = self.jobs[job.at()].task;
        let records: Vec<&super::job::Job> = self.records[other]
            .iter()
            .map(|r| &self.jobs[r.at()])
            .filter(|r| kind != DependencyKind::AfterCorr || r.task.is_none() || r.task == task)
            .collect();
        if records.is_empty() {
            // refused at submission, or unknown: Slurm takes an unknown job as ended, and its success as unmet
            return if matches!(kind, DependencyKind::AfterOk | DependencyKind::AfterCorr) {
                Standing::Never
            } else {
                Standing::Met
            };
        }
        let pending = records.iter().any(|r| r.state == State::Pending);
        let running = records.iter().any(|r| r.state == State::Running || r.completing);
        let good = records.iter().all(|r| r.state == State::Completed);
        match kind {
            DependencyKind::After if pending => Standing::Waiting,
            DependencyKind::After => Standing::Met,
            _ if pending || running => Standing::Waiting,
            DependencyKind::AfterAny | DependencyKind::Singleton => Standing::Met,
            DependencyKind::AfterOk | DependencyKind::AfterCorr => {
                if good {
                    Standing::Met
                } else {
                    Standing::Never
                }
            }
            DependencyKind::AfterNotOk => {
                if good {
                    Standing::Never
                } else {
                    Standing::Met
                }
            }
        }
    }

    /// Sorts as Slurm does. Where jobs can preempt, the order need not be transitive: a stable merge of
    /// the same comparison is used, since the standard sort may refuse such an order.
    pub(super) fn sort_queue(&self, queue: &mut Vec<JobIx>) {
        if self.preemption_enabled() {
            queue.sort_by_key(|job| self.jobs[job.at()].list_order);
            merge_sort(queue, &|a, b| self.queue_order(a, b));
        } else {
            queue.sort_by_cached_key(|job| self.static_key(*job));
        }
    }

    fn static_key(&self, job: JobIx) -> impl Ord + use<> {
        let record = &self.jobs[job.at()];
        let tier = self.config.partitions[record.partition].priority_tier;
        (
            record.reservation.is_none(),
            Reverse(tier),
            Reverse(record.priority),
            record.submit_s,
            record.id,
            record.task,
        )
    }

    fn queue_order(&self, a: JobIx, b: JobIx) -> Ordering {
        if self.may_preempt(a, b) {
            return Ordering::Less;
        }
        if self.may_preempt(b, a) {
            return Ordering::Greater;
        }
        self.static_key(a).cmp(&self.static_key(b))
    }
}

/// `Allow*` where it is given, else `Deny*` (slurm.conf(5)).
fn allowed(name: &str, allow: Option<&[String]>, deny: &[String]) -> bool {
    allow.map_or_else(|| !deny.iter().any(|d| d == name), |list| list.iter().any(|a| a == name))
}

/// A top-down stable merge sort that asks nothing of the order.
fn merge_sort(rows: &mut Vec<JobIx>, order: &dyn Fn(JobIx, JobIx) -> Ordering) {
    if rows.len() < 2 {
        return;
    }
    let mut right = rows.split_off(rows.len() / 2);
    merge_sort(rows, order);
    merge_sort(&mut right, order);
    let left = std::mem::take(rows);
    let (mut l, mut r) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(a), Some(b)) = (l.peek(), r.peek()) {
        let next = if order(*a, *b) == Ordering::Greater { r.next() } else { l.next() };
        rows.extend(next);
    }
    rows.extend(l);
    rows.extend(r);
}

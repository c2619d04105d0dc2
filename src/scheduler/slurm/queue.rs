//! Who is eligible, and in which order.
//!
//! Order: jobs that may preempt the other one first; then jobs with a reservation; then the partition's
//! `PriorityTier`; then priority, descending; then submission and job id, ascending.

use std::cmp::{Ordering, Reverse};

use super::controller::{Controller, Decision};
use super::job::{Dependency, DependencyKind, Job, JobIx, Reason, State};

/// How a dependency stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Met,
    Waiting,
    Never,
}

/// Where a job stands in the queue, the first first: jobs with a reservation, the partition's tier, priority,
/// submission, job id, task.
type Key = (bool, Reverse<u16>, Reverse<u32>, i64, u32, Option<u32>);

/// The pending jobs, so kept that a pass need not look at all of them.
///
/// A job is `ready` when nothing but resources can keep it any more: it is eligible, its partition lets
/// it, and it has neither a reservation nor an array with a `%k`. Such a job stays so until it starts or
/// is withdrawn. The others are looked at in every pass, in the order of submission.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    ready: Vec<(Key, JobIx)>,
    unsettled: Vec<JobIx>,
    /// Jobs to which the last backfill cycle gave an estimate.
    pub(super) estimated: Vec<JobIx>,
    /// Room for a pass's own copy.
    room: Vec<JobIx>,
}

impl Controller<'_> {
    /// The eligible jobs, sorted; withdraws jobs whose dependency can never be met, if so configured.
    /// Give the list back with [`Controller::return_queue`].
    pub(super) fn build_queue(&mut self, now_s: i64, clear_estimates: bool) -> Vec<JobIx> {
        if clear_estimates {
            for at in 0..self.queue.estimated.len() {
                let record = &mut self.jobs[self.queue.estimated[at].at()];
                if record.state == State::Pending {
                    record.start_s = 0;
                }
            }
            self.queue.estimated.clear();
        }
        if self.preemption_enabled() {
            self.pending.iter().for_each(|job| self.jobs[job.at()].preempt_in_progress = false);
        }
        let eligible = self.settle_unsettled(now_s);
        let mut queue = std::mem::take(&mut self.queue.room);
        queue.clear();
        if self.preemption_enabled() {
            queue.extend(self.queue.ready.iter().map(|(_, job)| *job));
            queue.extend(eligible.into_iter().map(|(_, job)| job));
            self.sort_queue(&mut queue);
            return queue;
        }
        let mut extra = eligible.into_iter().peekable();
        for (key, job) in &self.queue.ready {
            while let Some((_, first)) = extra.next_if(|(k, _)| k < key) {
                queue.push(first);
            }
            queue.push(*job);
        }
        queue.extend(extra.map(|(_, job)| job));
        queue
    }

    /// Takes back what [`Controller::build_queue`] gave.
    pub(super) fn return_queue(&mut self, queue: Vec<JobIx>) {
        self.queue.room = queue;
    }

    /// Looks at the jobs that are not ready; those that are from now on are moved, the other eligible ones
    /// returned, sorted.
    fn settle_unsettled(&mut self, now_s: i64) -> Vec<(Key, JobIx)> {
        let mut eligible = Vec::new();
        let mut at = 0;
        while let Some(job) = self.queue.unsettled.get(at).copied() {
            if self.jobs[job.at()].completing {
                at += 1;
                continue;
            }
            let settled = self.settle_independence(job, now_s);
            if self.queue.unsettled.get(at) != Some(&job) {
                continue; // withdrawn: another record stands here now
            }
            if !settled || !self.partition_lets(job) {
                at += 1;
                continue;
            }
            let record = &self.jobs[job.at()];
            let limited = record.array.is_some_and(|a| self.arrays[a].limit.is_some());
            if limited || record.reservation.is_some() {
                eligible.push((self.static_key(job), job));
                at += 1;
            } else {
                self.queue.unsettled.remove(at);
                self.make_ready(job);
            }
        }
        eligible.sort_unstable();
        eligible
    }

    fn make_ready(&mut self, job: JobIx) {
        let row = (self.static_key(job), job);
        let at = self.queue.ready.partition_point(|other| *other < row);
        self.queue.ready.insert(at, row);
    }

    /// Enters a record that is pending now.
    pub(super) fn put_in_queue(&mut self, job: JobIx) {
        self.pending.push(job);
        self.queue.unsettled.push(job);
    }

    /// Takes a job out that is pending no more; its place in the queue must not have changed before.
    pub(super) fn leave_pending(&mut self, job: JobIx) {
        self.take_out_of_queue(job);
        self.retire_stand_ins(job);
    }

    /// Takes out one record alone.
    pub(super) fn take_out_of_queue(&mut self, job: JobIx) {
        let at = self.pending.iter().position(|p| *p == job).expect("a pending record is listed");
        self.pending.remove(at);
        let row = (self.static_key(job), job);
        if let Ok(at) = self.queue.ready.binary_search(&row) {
            self.queue.ready.remove(at);
        } else {
            self.queue.unsettled.retain(|p| *p != job);
            debug_assert!(self.queue.ready.iter().all(|(_, other)| *other != job), "a key changed unseen");
        }
    }

    /// Sorts the ready jobs again after their priorities have changed; tells whether the queue is as it was.
    pub(super) fn resort_queue(&mut self) -> bool {
        let mut ready = std::mem::take(&mut self.queue.ready);
        for row in &mut ready {
            row.0 = self.static_key(row.1);
        }
        let sorted = ready.is_sorted();
        if !sorted {
            ready.sort_unstable();
        }
        self.queue.ready = ready;
        sorted && self.queue.unsettled.is_empty()
    }

    /// Whether every job that waits is ready.
    pub(super) fn all_are_ready(&self) -> bool {
        self.queue.unsettled.is_empty()
    }

    /// Jobs that are ready.
    pub(super) fn ready_count(&self) -> usize {
        self.queue.ready.len()
    }

    /// Whether `a` comes before `b`.
    pub(super) fn is_before(&self, a: JobIx, b: JobIx) -> bool {
        self.static_key(a) < self.static_key(b)
    }

    /// Whether a begin time of a pending job lies ahead.
    pub(super) fn waits_for_begin(&self, now_s: i64) -> bool {
        self.queue.unsettled.iter().any(|job| self.jobs[job.at()].begin_s.is_some_and(|begin| begin > now_s))
    }

    /// Whether a begin time has come that no pass has seen yet.
    #[must_use]
    pub fn has_begun(&self, now_s: i64) -> bool {
        let waits = |job: &Job| job.reason == Reason::BeginTime && job.begin_s.is_some_and(|b| b <= now_s);
        self.pending.iter().any(|job| waits(&self.jobs[job.at()]))
    }

    /// The partition's own limits; sets the reason.
    pub(super) fn partition_lets(&mut self, job: JobIx) -> bool {
        let ask = self.ask(job);
        let record = &mut self.jobs[job.at()];
        let partition = &self.config.partitions[record.partition];
        let flags = self.config.accounting.qos(record.qos).flags;
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
        } else if !flags.partition_time_limit
            && partition.max_time_min.is_some_and(|most| record.limit_min > most)
        {
            Some(Reason::PartitionTimeLimit)
        } else if (!flags.partition_max_nodes && partition.max_nodes.is_some_and(|most| ask.min_nodes > most))
            || (!flags.partition_min_nodes && ask.max_nodes.is_some_and(|most| most < partition.min_nodes))
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
            let job = self.job_of(job);
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
            self.job_of(*other) != self.job_of(job)
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

    fn static_key(&self, job: JobIx) -> Key {
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
        if self.outranks(a, b) {
            return Ordering::Less;
        }
        if self.outranks(b, a) {
            return Ordering::Greater;
        }
        self.static_key(a).cmp(&self.static_key(b))
    }
}

/// `Allow*` where it is given, else `Deny*` (slurm.conf(5)); slurmctld keeps these names in small letters.
fn allowed(name: &str, allow: Option<&[String]>, deny: &[String]) -> bool {
    let is_it = |known: &String| known.eq_ignore_ascii_case(name);
    allow.map_or_else(|| !deny.iter().any(is_it), |list| list.iter().any(is_it))
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

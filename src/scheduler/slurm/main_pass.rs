//! The main scheduler: in queue order, until something does not fit.
//!
//! The first job that does not fit closes its whole partition and hides all its nodes for the rest of
//! the pass, from other partitions as well. Jobs stopped by a limit, licences, a dependency or a begin time are
//! skipped and close nothing. A job with a reservation that does not fit closes only its reservation.

use super::NodeSet;
use super::controller::Controller;
use super::job::{JobIx, Reason, StartedBy, State};
use super::reservation::Reserved;
use crate::time::SimTime;

/// What became of one job in a pass, or of one start of the backfill thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// Started: the record that runs.
    Started(JobIx),
    /// Resources are busy (or victims are going).
    Busy,
    /// Nodes that it needs are down or drained: nobody else need wait.
    NotAvailable,
    /// Reservations keep it out.
    Reserved,
    /// A limit keeps it out.
    Limit,
}

/// What a pass has closed so far.
struct Pass {
    /// Nodes not hidden yet.
    open: NodeSet,
    closed_partitions: Vec<bool>,
    closed_reservations: Vec<usize>,
    tested: u32,
    tested_in_partition: Vec<u32>,
    started: u32,
    full_queue: bool,
}

/// Whether the pass goes on after a job.
enum Next {
    Job,
    Task,
    Stop,
}

impl Controller<'_> {
    /// One pass at `now`; the whole queue if `full_queue`, else `default_queue_depth` jobs.
    pub fn main_pass(&mut self, now: SimTime, full_queue: bool) {
        let now_s = now.micros().div_euclid(1_000_000);
        if self.uncached {
            return self.uncached_main_pass(now, full_queue);
        }
        self.cycles.main += 1;
        if self.config.controller.complete_wait_s > 0 && !self.completing.is_clear() {
            return;
        }
        if self.repeats_quiet_pass(now_s, full_queue) {
            return;
        }
        let (version, update_s) = (self.version, self.last_update_s);
        self.last_update_s = i64::MIN;
        let queue = self.build_queue(now_s, false);
        self.walk_queue(&queue, now, full_queue);
        self.return_queue(queue);
        let noted_change = self.last_update_s > i64::MIN;
        self.last_update_s = self.last_update_s.max(update_s);
        let waits_for_time = self.has_reservations()
            || self.waits_for_begin(now_s)
            || self.preemption_enabled()
            || self.waits_for_leaves()
            || self.config.backfill.min_age_reserve_s > 0;
        let quiet = version == self.version && !waits_for_time;
        self.quiet_pass = quiet.then_some(super::controller::QuietPass { version, full_queue, noted_change });
    }

    /// Whether the last pass would only be repeated; then all that is left of it is the noted change.
    fn repeats_quiet_pass(&mut self, now_s: i64, full_queue: bool) -> bool {
        let same = self.quiet_pass.filter(|quiet| quiet.version == self.version && !self.reasons_move());
        let Some(quiet) = same else { return false };
        if full_queue && !quiet.full_queue {
            return false;
        }
        if quiet.noted_change {
            self.note_change(now_s);
        }
        true
    }

    pub(super) fn walk_queue(&mut self, queue: &[JobIx], now: SimTime, full_queue: bool) {
        self.first_waiting = None;
        let mut pass = Pass {
            open: self.usable.clone(),
            closed_partitions: vec![false; self.config.partitions.len()],
            closed_reservations: Vec::new(),
            tested: 0,
            tested_in_partition: vec![0; self.config.partitions.len()],
            started: 0,
            full_queue,
        };
        for job in queue {
            if self.jobs[job.at()].state != State::Pending {
                continue; // started in another partition
            }
            loop {
                match self.test_in_pass(*job, &mut pass, now) {
                    Next::Job => break,
                    Next::Task => {}
                    Next::Stop => return self.note_waiting(*job),
                }
            }
            self.note_waiting(*job);
        }
    }

    fn test_in_pass(&mut self, job: JobIx, pass: &mut Pass, now: SimTime) -> Next {
        let now_s = now.micros().div_euclid(1_000_000);
        let main = &self.config.main;
        if main.sched_max_job_start > 0 && pass.started >= main.sched_max_job_start {
            return Next::Stop;
        }
        if self.jobs[job.at()].preempt_in_progress || !self.array_lets(job, now_s) {
            return Next::Job;
        }
        let partition = self.jobs[job.at()].partition;
        if main.partition_job_depth > 0 {
            pass.tested_in_partition[partition] += 1;
            if pass.tested_in_partition[partition] > main.partition_job_depth {
                return Next::Job;
            }
        }
        if !pass.full_queue {
            if pass.tested > main.default_queue_depth {
                return Next::Stop;
            }
            pass.tested += 1;
        }
        if self.is_closed(job, pass, now_s) || !self.counts_let(job) {
            return Next::Job;
        }
        let open = self.config.partitions[partition].nodes.intersection_count(&pass.open);
        if (self.ask(job).min_nodes as usize) > open {
            self.jobs[job.at()].reason = Reason::Resources;
            self.close_partition(partition, pass);
            return Next::Job;
        }
        if !self.licences_let(job, now_s) {
            return Next::Job;
        }
        let open = pass.open.clone();
        let attempt = self.try_start(job, &open, now, StartedBy::Main);
        self.after_attempt(job, &attempt, pass, now_s)
    }

    fn is_closed(&mut self, job: JobIx, pass: &Pass, now_s: i64) -> bool {
        let record = &mut self.jobs[job.at()];
        let closed = match record.reservation {
            Some(own) => pass.closed_reservations.contains(&own),
            None => pass.closed_partitions[record.partition],
        };
        if closed {
            if matches!(record.reason, Reason::None | Reason::Resources) || record.reservation.is_some() {
                record.reason = Reason::Priority;
            }
            self.note_change(now_s);
        }
        closed
    }

    fn after_attempt(&mut self, job: JobIx, attempt: &Attempt, pass: &mut Pass, now_s: i64) -> Next {
        let record = &self.jobs[job.at()];
        let (partition, reservation) = (record.partition, record.reservation);
        let mut close = false;
        match attempt {
            Attempt::Started(runs) => {
                pass.started += 1;
                return if *runs == self.job_of(job) { Next::Job } else { Next::Task };
            }
            Attempt::Busy => close = true,
            Attempt::Limit => close = self.config.main.assoc_limit_stop,
            Attempt::Reserved => {
                if let Some(own) = reservation {
                    pass.open.difference_with(&self.reservations[own].nodes);
                }
            }
            Attempt::NotAvailable => {}
        }
        if close && let Some(own) = reservation {
            pass.closed_reservations.push(own);
        } else if close && self.may_reserve(job, now_s) {
            self.close_partition(partition, pass);
        }
        Next::Job
    }

    /// `bf_min_prio_reserve` and `bf_min_age_reserve` let jobs below them block nobody.
    fn may_reserve(&self, job: JobIx, now_s: i64) -> bool {
        let (record, rules) = (&self.jobs[job.at()], &self.config.backfill);
        let old = record.begin_s.is_some_and(|begin| now_s - begin >= rules.min_age_reserve_s);
        record.priority >= rules.min_prio_reserve && (old || rules.min_age_reserve_s == 0)
    }

    fn close_partition(&self, partition: usize, pass: &mut Pass) {
        pass.closed_partitions[partition] = true;
        pass.open.difference_with(&self.config.partitions[partition].nodes);
    }

    /// Starts `job` on nodes of `open` now if it fits there, preempting if it may.
    pub(super) fn try_start(&mut self, job: JobIx, open: &NodeSet, now: SimTime, by: StartedBy) -> Attempt {
        let now_s = now.micros().div_euclid(1_000_000);
        if !self.counts_let(job) {
            return Attempt::Limit;
        }
        self.note_tested(job, now_s);
        let mut when_s = now_s;
        let unreserved = match self.unreserved(job, &mut when_s, now_s, false) {
            Reserved::Nodes(nodes, _) => nodes,
            Reserved::Maintenance => {
                self.jobs[job.at()].reason = Reason::ReqNodeNotAvail;
                return Attempt::Reserved;
            }
            Reserved::NotNow => return Attempt::Reserved,
        };
        let ask = self.ask(job);
        let partition = &self.config.partitions[self.jobs[job.at()].partition];
        let mut base = partition.nodes.clone();
        base.intersect_with(open);
        base.intersect_with(&unreserved);
        let mut allowed = base.clone();
        allowed.difference_with(&self.completing);
        if let Some(others) = self.nodes_of_others(job) {
            allowed.difference_with(&others);
        }
        let candidates = self.preemption_candidates(job, now_s);
        if !candidates.is_empty() {
            for victim in &candidates {
                let mut back = self.jobs[victim.at()].nodes.clone();
                back.intersect_with(&base);
                allowed.union_with(&back);
            }
        }
        let mut victims = Vec::new();
        let enough = self.free_cpus >= u64::from(ask.cpus);
        self.refresh_fits(job);
        let mut nodes = if enough { self.choose_now(job, &allowed) } else { None };
        if nodes.is_none()
            && !candidates.is_empty()
            && let Some(plan) = self.preemption_plan(job, &allowed, &candidates)
        {
            nodes = Some(plan.0);
            victims = plan.1;
        }
        let tres = match &nodes {
            Some(nodes) => self.tres_on(job, nodes, u64::from(ask.cpus)),
            None => self.tres_of(job, ask.min_nodes, u64::from(ask.cpus)),
        };
        if !self.amounts_let(job, &tres) {
            return Attempt::Limit;
        }
        match nodes {
            Some(nodes) if victims.is_empty() => Attempt::Started(self.start(job, &nodes, now, by)),
            Some(_) => {
                self.carry_out_preemption(job, &victims, now_s);
                self.jobs[job.at()].reason = Reason::Resources;
                Attempt::Busy
            }
            None => self.why_not(job, &base),
        }
    }

    /// Busy if the job would fit on the empty nodes that it may use; else it waits for nodes, and nobody
    /// waits for it.
    fn why_not(&mut self, job: JobIx, base: &NodeSet) -> Attempt {
        let ask = self.ask(job);
        let completing_there = !base.is_disjoint(&self.completing);
        let partition = &self.config.partitions[self.jobs[job.at()].partition];
        // on all of the partition it fits: that was asked at submission
        let whole = base.count_ones(..) == partition.nodes.count_ones(..);
        let fits_empty = completing_there || whole || {
            let empty: Vec<_> = self.hardware.iter().map(|h| h.empty.clone()).collect();
            // few leaves are a wish that ends, so they do not count here
            let partition = self.jobs[job.at()].partition;
            self.placement_in(partition).later().choose(ask, base, &empty).is_some()
        };
        let record = &mut self.jobs[job.at()];
        if fits_empty {
            record.reason = Reason::Resources;
            Attempt::Busy
        } else {
            record.reason = Reason::ReqNodeNotAvail;
            Attempt::NotAvailable
        }
    }
}

//! From start to end: what is taken and given back, requeue, time limits, nodes that go and come.
//!
//! An ending job gives its resources back at once; its nodes stay "completing" until their clean-up is
//! reported, and the main scheduler avoids them that long. A requeued job keeps its id, before 24.05.5 its priority
//! too, and becomes eligible `cred_expire` + 1 s later.

use super::NodeSet;
use super::config::Rule;
use super::controller::{Controller, Decision, Standing};
use super::devices::{Held, cards_of};
use super::job::{Job, JobIx, Reason, StartedBy, State};
use crate::cluster::cards::{InstanceState, Reshape};
use crate::cluster::mig::Placement;
use crate::cluster::{Allocation, CardLedger, Grant};
use crate::ids::NodeId;
use crate::scheduler::shared::floor::NodeReshape;
use crate::time::SimTime;

/// What `scontrol update NodeName=... State=` can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeChange {
    /// DOWN: jobs there end.
    Down,
    /// DRAIN: jobs there finish, nothing new starts.
    Drain,
    /// FAIL: likewise.
    Fail,
    /// RESUME, UNDRAIN: a node that was down or drained can be used when it has registered again (source: 22.05
    /// marks it as not responding and asks it in the next turn of the 1-second loop).
    Resume,
    /// IDLE: can be used at once.
    Idle,
}

/// What [`Controller::widen`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Widened {
    /// Some record asks for more nodes now.
    pub any: bool,
    /// Some has not waited so long: look again so many seconds later.
    pub again_after_s: Option<i64>,
}

/// What a job takes when it starts.
#[derive(Debug, Default)]
struct Taken {
    grants: Allocation,
    held: Held,
    /// What is cut anew for it.
    reshapes: Vec<NodeReshape>,
}

impl Controller<'_> {
    /// Gives `nodes` to a pending job; an array's record gives its next task away. Tells which record runs.
    pub(super) fn start(&mut self, job: JobIx, nodes: &[usize], now: SimTime, by: StartedBy) -> JobIx {
        let job = self.take_partition_of(job);
        let Taken { grants, held, reshapes } = self.grants_of(job, nodes);
        self.ledger.reshape(&reshapes, InstanceState::Idle).expect("only idle slices are cut anew");
        self.ledger.take(&grants, &held).expect("the placement rule chooses free resources");
        if let Some(tenant) = self.ask(job).tenant {
            self.ledger.claim(&grants, &held, tenant).expect("the placement rule chooses open hosts");
        }
        self.sync_all(&grants);
        let runs = self.split_task(job);
        let now_s = now.micros().div_euclid(1_000_000);
        let cpus = grants.iter().map(|g| u64::from(g.cpus)).sum();
        let tres = self.tres_on(runs, nodes, cpus);
        let billing = self.billing_of(runs, &tres);
        let mut set = self.config.no_nodes();
        nodes.iter().for_each(|n| set.insert(*n));
        let record = &mut self.jobs[runs.at()];
        record.state = State::Running;
        record.reason = Reason::None;
        record.start = now;
        record.start_s = now_s;
        record.end_planned_s = now_s + i64::from(record.limit_min) * 60;
        record.usage_to_s = now_s;
        record.grants = grants;
        record.held = held;
        record.reshapes = reshapes;
        record.nodes = set;
        record.tres = tres;
        record.billing = billing;
        record.started_by = by;
        if let Some(array) = record.array {
            self.arrays[array].running += 1;
        }
        self.running.push(runs);
        self.note_running(runs);
        self.count_started(runs);
        self.take_licences(runs, now_s);
        self.note_change(now_s);
        self.decisions.push(Decision::Started(runs));
        runs
    }

    /// Takes the next task out of an array's record; its last task is the record itself.
    fn split_task(&mut self, job: JobIx) -> JobIx {
        let Some(task) = self.jobs[job.at()].pending_tasks.pop_front() else {
            self.leave_pending(job);
            return job;
        };
        if self.jobs[job.at()].pending_tasks.is_empty() {
            self.leave_pending(job);
            self.jobs[job.at()].task = Some(task);
            return job;
        }
        let order = self.next_list_order();
        let head = &mut self.jobs[job.at()];
        let split = Job {
            task: Some(task),
            pending_tasks: std::collections::VecDeque::new(),
            waiting_for: Vec::new(),
            ..head.clone()
        };
        head.list_order = order;
        head.start_s = 0;
        let at = JobIx(u32::try_from(self.jobs.len()).expect("fewer than 2^32 records"));
        self.records[split.spec].push(at);
        self.jobs.push(split);
        at
    }

    fn grants_of(&self, job: JobIx, nodes: &[usize]) -> Taken {
        let ask = self.ask(job);
        let mut left = ask.cpus;
        let mut after = u32::try_from(nodes.len()).expect("few nodes");
        let mut taken = Taken::default();
        for n in nodes {
            let (hardware, free) = (&self.hardware[*n], &self.free[*n]);
            after -= 1;
            let cpus = if ask.exclusive {
                hardware.empty.cpus
            } else if ask.fixed_per_node {
                ask.cpus_per_node
            } else {
                let spare = left.saturating_sub(after * ask.cpus_per_node);
                spare.max(ask.cpus_per_node).min(free.cpus)
            };
            left = left.saturating_sub(cpus);
            let node = NodeId(u32::try_from(*n).expect("few nodes"));
            let gpus = if let (Some(cards), Some(state)) = (&hardware.cards, &free.cards) {
                let chosen = cards.choose_for(ask.parts.as_ref(), ask.exclusive, state);
                let chosen = chosen.expect("the node is feasible");
                taken.reshapes.extend(chosen.reshapes.into_iter().map(|change| (node, change)));
                let bits = cards_of(&chosen.devices);
                taken.held.push(chosen.devices);
                bits
            } else if ask.exclusive {
                hardware.empty.gpus
            } else {
                hardware.pick_devices(ask, free).expect("the node is feasible")
            };
            let mem_mb = if self.config.select.memory { ask.mem_mb_per_node } else { 0 };
            taken.grants.push(Grant { node, cpus, mem_mb, gpus });
        }
        taken
    }

    /// The cards, where GPUs are given out card by card.
    #[must_use]
    pub fn cards(&self) -> Option<&CardLedger> {
        self.ledger.cards()
    }

    /// The tool of the site begins to cut a card anew: what it makes is not there yet.
    ///
    /// # Panics
    /// If the hardware does not allow it.
    pub fn recut(&mut self, node: NodeId, change: &Reshape) {
        let change = (node, change.clone());
        self.ledger.reshape(std::slice::from_ref(&change), InstanceState::Making).expect("it is idle");
        self.sync_free(node.0 as usize);
    }

    /// An instance that nobody uses is kept, or is there from now on.
    ///
    /// # Panics
    /// If there is none.
    pub fn mark_instance(&mut self, node: NodeId, card: u8, placement: Placement, state: InstanceState) {
        self.ledger.mark(node, card, placement, state).expect("nobody uses it");
        self.sync_free(node.0 as usize);
    }

    /// Something of the nodes has changed, as the backfill thread asks.
    pub fn note_nodes_changed(&mut self, now_s: i64) {
        self.note_change(now_s);
    }

    /// Pending jobs that nothing but room keeps waiting, in the order of the queue as far as it is known.
    #[must_use]
    pub fn eligible_in_order(&self, now_s: i64) -> Vec<JobIx> {
        let is_eligible = |job: &JobIx| {
            let record = &self.jobs[job.at()];
            record.state == State::Pending
                && record.begin_s.is_some_and(|begin| begin <= now_s)
                && !record.completing
                && !self.is_stand_in(*job)
        };
        let mut jobs: Vec<JobIx> = self.pending.iter().copied().filter(is_eligible).collect();
        jobs.sort_by_key(|job| {
            let record = &self.jobs[job.at()];
            (std::cmp::Reverse(record.priority), record.id, record.list_order)
        });
        jobs
    }

    /// The nodes of a job have changed, and those beside them on dedicated hosts.
    fn sync_all(&mut self, grants: &Allocation) {
        for grant in grants {
            let beside = self.ledger.dedication().and_then(|dedication| dedication.beside(grant.node));
            match beside {
                None => self.sync_free(grant.node.0 as usize),
                Some(nodes) => nodes.for_each(|node| self.sync_free(node as usize)),
            }
        }
    }

    fn sync_free(&mut self, node: usize) {
        let now = self.ledger.free_on(node);
        let before = u64::from(self.free[node].cpus);
        self.free_cpus = self.free_cpus + u64::from(now.cpus) - before;
        self.free[node] = now;
        self.version += 1;
    }

    /// The job's script has ended. Its nodes are being cleaned up until [`Controller::cleaned`].
    pub fn complete(&mut self, job: JobIx, exit_ok: bool, now_s: i64) -> State {
        // an end in the last second of the limit is in time, while the timer kills from that second on
        let late = self.overdue(&self.jobs[job.at()], now_s - 1);
        let state = match (late, exit_ok) {
            (true, _) => State::Timeout,
            (false, true) => State::Completed,
            (false, false) => State::Failed,
        };
        self.release(job, now_s);
        self.jobs[job.at()].state = state;
        state
    }

    /// Whether a running job's limit (with `OverTimeLimit`) has passed.
    fn overdue(&self, record: &Job, now_s: i64) -> bool {
        let partition = self.config.partitions[record.partition].over_time_limit_min;
        match partition.or(self.config.controller.over_time_limit_min) {
            Some(over_min) => record.end_planned_s + i64::from(over_min) * 60 <= now_s,
            None => false,
        }
    }

    fn release(&mut self, job: JobIx, now_s: i64) {
        self.account_usage(job, now_s);
        self.count_ended(job);
        self.give_licences_back(job);
        self.count_submitted(job, -1);
        let record = &mut self.jobs[job.at()];
        let grants = std::mem::take(&mut record.grants);
        let held = std::mem::take(&mut record.held);
        record.completing = true;
        if let Some(array) = record.array {
            self.arrays[array].running -= 1;
        }
        self.ledger.give_back(&grants, &held).expect("a job gives back what it took");
        if self.ask(job).tenant.is_some() {
            self.ledger.disclaim(&grants, &held);
        }
        self.sync_all(&grants);
        for grant in &grants {
            let node = grant.node.0 as usize;
            self.nodes[node].completing += 1;
            self.completing.insert(node);
        }
        let at = self.running.iter().position(|r| *r == job).expect("a running job is listed");
        self.running.swap_remove(at);
        self.note_ended(job, &grants);
        self.note_change(now_s);
    }

    /// The clean-up of an ended job is reported by all its nodes.
    pub fn cleaned(&mut self, job: JobIx, now_s: i64) {
        let nodes = std::mem::take(&mut self.jobs[job.at()].nodes);
        self.jobs[job.at()].completing = false;
        self.version += 1;
        for node in nodes.ones() {
            let state = &mut self.nodes[node];
            state.completing -= 1;
            if state.completing == 0 {
                self.completing.set(node, false);
            }
        }
        self.note_change(now_s);
    }

    /// Ends a running job; requeues it if `requeue`.
    pub(super) fn kill(&mut self, job: JobIx, state: State, requeue: bool, now_s: i64) {
        self.release(job, now_s);
        self.jobs[job.at()].state = state;
        self.decisions.push(Decision::Killed(job, state));
        if !requeue {
            return;
        }
        self.restore_partition(job);
        let record = &mut self.jobs[job.at()];
        record.state = State::Pending;
        record.reason = Reason::BeginTime;
        record.attempt += 1;
        record.submit_s = now_s;
        record.begin_s = Some(now_s + self.config.controller.cred_expire_s + 1);
        record.accrue_s = None;
        record.start_s = 0;
        record.preempt_start_s = i64::MIN;
        record.preempted_s = None;
        if self.config.has(Rule::FreshPriorityOfRequeue) && self.jobs[job.at()].priority != 0 {
            self.jobs[job.at()].priority = self.first_priority(job, now_s);
        }
        self.put_in_queue(job);
        self.revive_stand_ins(job, now_s);
        self.count_submitted(job, 1);
    }

    /// Whether `--requeue`, `--no-requeue` or `JobRequeue` lets a job be requeued.
    pub(super) fn may_requeue(&self, job: JobIx) -> bool {
        self.spec(job).requeue.unwrap_or(self.config.controller.job_requeue)
    }

    /// Withdraws a pending record with all its pending tasks.
    pub fn withdraw(&mut self, job: JobIx, now_s: i64) {
        self.count_submitted(job, -1);
        let record = &mut self.jobs[job.at()];
        record.state = State::Cancelled;
        self.version += 1;
        self.leave_pending(job);
        self.note_change(now_s);
    }

    /// `scontrol update JobId=`: a submission that has waited since `since_s` or longer asks for what
    /// [`JobSpec::wider`](super::job::JobSpec::wider) says. Tells when to look again, where it has not waited so long.
    pub fn widen(&mut self, spec: usize, since_s: i64, now_s: i64) -> Widened {
        let mut widened = Widened::default();
        for at in 0..self.records[spec].len() {
            let job = self.records[spec][at];
            let record = &mut self.jobs[job.at()];
            if record.state != State::Pending || record.is_wider {
                continue;
            }
            let eligible_s = record.begin_s.unwrap_or(now_s);
            if eligible_s > since_s {
                widened.again_after_s = Some(eligible_s - since_s);
                continue;
            }
            record.is_wider = true;
            for stand_in in self.stand_ins(job) {
                self.jobs[stand_in.at()].is_wider = true;
            }
            widened.any = true;
            self.version += 1;
        }
        if widened.any {
            self.note_change(now_s);
        }
        widened
    }

    /// `scancel` of a whole submission; tells whether anything of it was still pending.
    pub fn cancel(&mut self, spec: usize, now_s: i64) -> bool {
        let mut was_pending = false;
        for at in 0..self.records[spec].len() {
            let job = self.records[spec][at];
            match self.jobs[job.at()].state {
                State::Pending => {
                    self.withdraw(job, now_s);
                    was_pending = true;
                }
                State::Running => self.kill(job, State::Cancelled, false, now_s),
                _ => {}
            }
        }
        was_pending
    }

    /// The 30-second timer: limits, reservations that have ended, reservations to forget.
    pub fn enforce_limits(&mut self, now_s: i64) {
        if !self.uncached && self.limits_matter_from_s().is_none_or(|from_s| from_s > now_s) {
            return;
        }
        let mut due: Vec<JobIx> = self.running.clone();
        due.sort_by_key(|job| self.jobs[job.at()].list_order);
        for job in due {
            let record = &self.jobs[job.at()];
            if record.preempted_s.is_some() {
                self.preempt(job, now_s);
                continue;
            }
            let reservation_over = record.reservation.is_some_and(|at| {
                self.config
                    .controller
                    .resv_over_run_min
                    .is_some_and(|over_min| self.reservations[at].end_s + i64::from(over_min) * 60 < now_s)
            });
            if self.overdue(record, now_s) || reservation_over || self.minutes_are_used_up(job) {
                self.kill(job, State::Timeout, false, now_s);
            }
        }
        self.forget_reservations(now_s);
    }

    /// Before this second [`Controller::enforce_limits`] does nothing, if nothing happens; `None` = it never does.
    #[must_use]
    pub fn limits_matter_from_s(&self) -> Option<i64> {
        if self.preemption_enabled() || !self.reservations.is_empty() || self.usage.minutes.limits_usage {
            return Some(i64::MIN);
        }
        let partitions = self.config.partitions.iter().filter_map(|p| p.over_time_limit_min);
        let over_min = partitions.chain(self.config.controller.over_time_limit_min).min()?;
        Some(self.earliest_planned_end_s()? + i64::from(over_min) * 60)
    }

    fn forget_reservations(&mut self, now_s: i64) {
        for at in 0..self.reservations.len() {
            let ended = !self.reservations[at].gone && self.reservations[at].end_s <= now_s;
            if !ended || self.running.iter().any(|job| self.jobs[job.at()].reservation == Some(at)) {
                continue;
            }
            self.reservations[at].gone = true;
            for job in &self.pending {
                let record = &mut self.jobs[job.at()];
                if record.reservation == Some(at) {
                    record.reason = Reason::ReservationDeleted;
                    record.priority = 0;
                }
            }
            self.note_change(now_s);
        }
    }

    /// Starts a job as a record says; `None` if that is not possible in this state.
    pub fn start_as_recorded(
        &mut self,
        job: JobIx,
        nodes: &[usize],
        now: SimTime,
        by: StartedBy,
    ) -> Option<JobIx> {
        let ask = self.ask(job);
        let rule = self.placement();
        let possible = self.jobs[job.at()].state == State::Pending
            && self.pending.contains(&job)
            && nodes.iter().all(|n| rule.fits(ask, *n, &self.free[*n]));
        possible.then(|| self.start(job, nodes, now, by))
    }

    /// Ends a job as a record says; requeues what was preempted or lost its node.
    pub fn end_as_recorded(&mut self, job: JobIx, state: State, now_s: i64) {
        if matches!(state, State::Preempted | State::NodeFail) {
            let requeue = self.may_requeue(job);
            self.kill(job, state, requeue, now_s);
        } else {
            self.release(job, now_s);
            self.jobs[job.at()].state = state;
        }
    }

    /// The nodes' states alone: jobs there are not touched.
    /// Tells whether any of them has to register now.
    pub fn set_node_states(&mut self, nodes: &NodeSet, change: NodeChange) -> bool {
        self.version += 1;
        let mut registers = false;
        for node in nodes.ones() {
            let state = &mut self.nodes[node];
            let was = std::mem::take(&mut state.standing);
            state.standing = match change {
                NodeChange::Down => Standing::Down,
                NodeChange::Drain => Standing::Drained,
                NodeChange::Fail => Standing::Failed,
                NodeChange::Resume if was != Standing::Up && was != Standing::Failed => Standing::Registering,
                NodeChange::Resume | NodeChange::Idle => Standing::Up,
            };
            registers |= state.standing == Standing::Registering;
            self.usable.set(node, state.standing == Standing::Up);
        }
        registers
    }

    /// Whether jobs may start on a node: it is up, not drained, not failed.
    #[must_use]
    pub fn is_usable(&self, node: usize) -> bool {
        self.usable.contains(node)
    }

    /// Whether no job holds anything of a node, nor is cleaned up there.
    #[must_use]
    pub fn is_idle(&self, node: usize) -> bool {
        self.free[node].cpus == self.hardware[node].empty.cpus && self.nodes[node].completing == 0
    }

    /// How many nodes there are.
    #[must_use]
    pub fn nodes_in_all(&self) -> usize {
        self.nodes.len()
    }

    /// One node as a set.
    #[must_use]
    pub fn one_node(&self, node: usize) -> NodeSet {
        let mut set = self.config.no_nodes();
        set.insert(node);
        set
    }

    /// Resumed nodes have registered; tells whether any of them can be used from now on.
    pub fn register_nodes(&mut self, nodes: &NodeSet, now_s: i64) -> bool {
        let mut newly_up = false;
        for node in
            nodes.ones().filter(|n| self.nodes[*n].standing == Standing::Registering).collect::<Vec<_>>()
        {
            self.nodes[node].standing = Standing::Up;
            self.usable.insert(node);
            newly_up = true;
        }
        if newly_up {
            self.version += 1;
            self.note_change(now_s);
        }
        newly_up
    }

    /// `scontrol update NodeName=... State=...`; tells whether any of the nodes has to register now.
    pub fn change_nodes(&mut self, nodes: &NodeSet, change: NodeChange, now_s: i64) -> bool {
        let registers = self.set_node_states(nodes, change);
        if change == NodeChange::Down {
            let mut hit: Vec<JobIx> = self
                .running
                .iter()
                .copied()
                .filter(|j| !self.jobs[j.at()].nodes.is_disjoint(nodes))
                .collect();
            hit.sort_by_key(|job| self.jobs[job.at()].list_order);
            for job in hit {
                let requeue = self.may_requeue(job);
                self.kill(job, State::NodeFail, requeue, now_s);
            }
        }
        self.note_change(now_s);
        registers
    }
}

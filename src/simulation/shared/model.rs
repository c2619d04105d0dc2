//! The kernel's model of a cluster whose GPUs may be shared.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;

use super::hosts::Hosts;
use super::layouts::Layouts;
use super::meter::SharedMeter;
use super::work::{Ask, Site, Work};
use super::{CardHolding, SharedFacts};
use crate::cluster::cards::CardAllocation;
use crate::cluster::{Allocation, Amounts, Conflict, Grant};
use crate::ids::{Id, IdVec, JobId, NodeId, PoolId};
use crate::kernel::{Calendar, Model, Phase, RunReport};
use crate::random::Stream;
use crate::scheduler::Pending;
use crate::scheduler::shared::demand::Reference;
use crate::scheduler::shared::floor::CardFloor;
use crate::scheduler::shared::{CardStart, LayoutTimes, SPEED_ONE, SharedScheduler, SharedSetup};
use crate::scheduler::sharing::TypicalMix;
use crate::simulation::TenancyFacts;
use crate::simulation::holds::{Holds, Released};
use crate::simulation::meter::IdleCause;
use crate::simulation::model::recorded_end;
use crate::simulation::{JobRecord, JobState, Outcome, RunError, RunOptions, WatchRow};
use crate::tenancy::{RunTenancy, Start};
use crate::time::{SimDuration, SimTime};
use crate::workload::{JobFlags, Workload};

/// Keys of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Timer {
    /// The job in this slot ends.
    End(u32),
    /// The instances of the job in this slot are there.
    Ready(u32),
    /// The job's begin time comes.
    Begin(JobId),
    /// The user withdraws the job.
    Cancel(JobId),
    /// The change of layouts of this number is done.
    Made(u32),
    /// The instance at this start of a card need not be kept any longer.
    Unkeep(u32, u8, u8),
    /// The layouts of this pool may be planned again.
    Replan(u32),
    /// The noise of this node, of this pool, changes.
    Epoch(u32, u32),
}

pub(super) struct SharedBatch<'w> {
    pub(super) workload: &'w Workload,
    /// The same jobs with the run times of the hardware that they ran on, and their speeds on this cluster.
    translated: Option<(&'w Workload, &'w crate::simulation::Speeds)>,
    pub(super) floor: CardFloor,
    pub(super) scheduler: SharedScheduler<'w>,
    setup: &'w SharedSetup,
    records: IdVec<JobId, JobRecord>,
    work: Work,
    pub(super) layouts: Layouts,
    pub(super) running: usize,
    next: usize,
    holds: Holds,
    pub(super) meter: SharedMeter,
    cause: IdleCause,
    pub(super) dirty: bool,
    released: VecDeque<Released>,
    refused: Vec<(JobId, String)>,
    held_until: BTreeMap<JobId, SimTime>,
    keep: bool,
    pub(super) facts: SharedFacts,
    allocations: Vec<(JobId, Allocation)>,
    watch: Option<JobId>,
    watched: Vec<WatchRow>,
    passes: u64,
    pub(super) conflict: Option<Conflict>,
    last: SimTime,
    tenancy: Option<&'w RunTenancy>,
    seed: u64,
}

impl<'w> SharedBatch<'w> {
    pub(super) fn new(
        workload: &'w Workload,
        recorded: &'w Workload,
        floor: CardFloor,
        scheduler: SharedScheduler<'w>,
        mix: TypicalMix,
        setup: &'w SharedSetup,
        options: &RunOptions<'w>,
    ) -> Self {
        let blank = JobRecord { start: SimTime::NEVER, end: SimTime::NEVER, state: JobState::Future };
        let spec = floor.ledger();
        let pools = spec.nodes().iter().map(|node| node.pool);
        let hosts = Hosts::new(options.tenancy, pools, options.seed, workload.first_submit());
        let mut meter = SharedMeter::new(spec, mix);
        meter.follow(&floor, &scheduler);
        let facts = SharedFacts {
            asked: scheduler.shapes().asked().collect(),
            reference_milli: reference_milli(&scheduler),
            units: IdVec::filled(workload.jobs.len(), 0),
            ..SharedFacts::default()
        };
        Self {
            workload,
            translated: options.speeds.map(|speeds| (recorded, speeds)),
            layouts: Layouts::new(&floor, setup),
            floor,
            scheduler,
            setup,
            records: IdVec::filled(workload.jobs.len(), blank),
            work: Work::new(options.tenancy, hosts),
            running: 0,
            next: 0,
            holds: Holds::new(workload),
            meter,
            cause: IdleCause::NoDemand,
            dirty: false,
            released: VecDeque::new(),
            refused: Vec::new(),
            held_until: BTreeMap::new(),
            keep: options.keep_allocations,
            facts,
            allocations: Vec::new(),
            watch: options.watch,
            watched: Vec::new(),
            passes: 0,
            conflict: None,
            last: workload.first_submit(),
            tenancy: options.tenancy,
            seed: options.seed,
        }
    }

    /// Jobs that wait or are held.
    pub(super) fn waiting(&self) -> usize {
        self.scheduler.waiting() + self.holds.len()
    }

    /// Books the time until `now`; the first thing at every instant.
    fn advance(&mut self, now: SimTime) {
        self.last = now;
        self.meter.advance(now, self.waiting(), self.cause);
    }

    fn submit(&mut self, job: JobId, now: SimTime, calendar: &mut Calendar<Timer>) {
        self.records[job].state = JobState::Pending;
        self.holds.submitted(job);
        let row = &self.workload.jobs[job];
        if let Some(reason) = self.scheduler.shapes().refusal(row.request) {
            self.refused.push((job, reason.to_owned()));
            self.finish_unstarted(job, JobState::Refused, now);
            return;
        }
        let Some(extras) = self.workload.extras_of(job) else {
            self.scheduler.enqueue(job);
            self.dirty = true;
            return;
        };
        if let Some(cancel) = extras.cancel {
            calendar.set(Timer::Cancel(job), cancel.max(now), Phase::Release);
        }
        self.held_until.insert(job, SimTime::NEVER);
        match self.holds.depend(job, extras, &self.records) {
            Err(()) => {
                calendar.cancel(Timer::Cancel(job));
                self.finish_unstarted(job, JobState::Cancelled, now);
            }
            Ok(true) => self.when_begun(job, now, calendar),
            Ok(false) => {}
        }
    }

    /// Dependencies are met: wait for the begin time, if one lies ahead.
    fn when_begun(&mut self, job: JobId, now: SimTime, calendar: &mut Calendar<Timer>) {
        let begin = self.workload.extras_of(job).and_then(|extras| extras.begin);
        match begin.filter(|begin| *begin > now) {
            Some(begin) => {
                self.holds.hold_until(job, begin);
                calendar.set(Timer::Begin(job), begin, Phase::Arrival);
            }
            None => self.when_admitted(job, now),
        }
    }

    /// Begin time and dependencies are met: the array's limit is the last hold.
    fn when_admitted(&mut self, job: JobId, now: SimTime) {
        let extras = self.workload.extras_of(job).expect("held jobs have extras");
        if self.holds.admit(job, extras) {
            self.become_eligible(job, now);
        }
    }

    fn become_eligible(&mut self, job: JobId, now: SimTime) {
        if self.workload.jobs[job].submit == now {
            self.held_until.remove(&job);
        } else {
            self.held_until.insert(job, now);
        }
        self.scheduler.enqueue(job);
        self.dirty = true;
    }

    /// A job leaves without having run.
    fn finish_unstarted(&mut self, job: JobId, state: JobState, now: SimTime) {
        let record = &mut self.records[job];
        record.state = state;
        record.end = now;
        let record = *record;
        self.holds.changed(job, &record, &mut self.released);
    }

    /// Lets released jobs go on, and whoever depends on those that never can.
    fn flush_released(&mut self, now: SimTime, calendar: &mut Calendar<Timer>) {
        while let Some(row) = self.released.pop_front() {
            match row {
                Released::Eligible(waiter) => self.when_begun(waiter, now, calendar),
                Released::Hopeless(waiter) => {
                    calendar.cancel(Timer::Cancel(waiter));
                    self.finish_unstarted(waiter, JobState::Cancelled, now);
                }
            }
        }
    }

    /// The next task of a limited array.
    fn after_leaving(&mut self, job: JobId, now: SimTime) {
        let Some(extras) = self.workload.extras_of(job) else { return };
        if let Some(next) = self.holds.leave(extras) {
            self.become_eligible(next, now);
        }
    }

    /// Takes note of a placed job; it runs at once, or when its instances are there.
    fn place(&mut self, start: CardStart, now: SimTime, calendar: &mut Calendar<Timer>) {
        let CardStart { job, allocation, reshapes, slot } = start;
        let row = &self.workload.jobs[job];
        let pool = self.floor.ledger().node(allocation[0].node).pool;
        let shape = self.scheduler.shapes().get(self.scheduler.shapes().of(row.request));
        let fit = shape.pools.iter().find(|p| p.pool == pool).expect("it was placed there");
        let cpus: u32 = allocation.iter().map(|grant| grant.cpus).sum();
        let kills = self.tenancy.is_some_and(|tenancy| tenancy.pools[pool].kills_at_limit);
        let ask = Ask {
            gpu_units: fit.asked_units,
            cpu_slack: cpus.saturating_sub(fit.asked.cpus),
            cpus,
            run: match self.translated {
                None => row.run,
                Some((recorded, speeds)) => speeds.on(job, pool).time_of(recorded.jobs[job].run),
            },
            reference: self.scheduler.speeds().reference(row, fit.reference),
            delivered: self.delivered(job, pool, &fit.asked, allocation.len() as u32),
            limit: kills.then(|| self.floor.expected_end(slot).saturating_since(now)),
            host_share: self.host_share(job, &fit.asked, allocation.len() as u32),
            util_milli: self.workload.recorded.get(job).gpu_util_milli,
        };
        let spec = self.floor.ledger().spec(pool);
        let with = (self.workload, spec, &self.scheduler);
        let uses = self.tenancy.map_or_else(Default::default, |tenancy| tenancy.profile(job).uses);
        let site = self.site(pool, allocation[0].node);
        self.work.place(slot, job, pool, &allocation, (ask, uses), now, with, &site, &mut self.meter);
        let placed = self.work.slots[slot as usize].as_ref().expect("it was placed just now");
        self.facts.units[job] = placed.units;
        self.running += 1;
        let delay = self.layouts.for_job(&reshapes, pool, &mut self.facts) + self.boot(job, pool);
        if delay.micros() > 0 {
            calendar.set(Timer::Ready(slot), now + delay, Phase::Release);
        } else {
            self.run(slot, now, calendar);
        }
    }

    /// The hosts of a pool: those of its VMs, else its nodes.
    fn site(&self, pool: PoolId, node: NodeId) -> Site {
        let has = self.floor.ledger().node(node).capacity;
        let packing = self.tenancy.and_then(|tenancy| tenancy.pools[pool].packing);
        let (cpus, gpus) = packing.map_or((has.cpus, has.gpus), |packing| (packing.cpus, packing.gpus));
        Site { cpus, gpus, first: self.floor.ledger().pool_range(pool).start }
    }

    /// Share of a job's time on the CPUs of its host, as where GPUs are whole.
    fn host_share(&self, job: JobId, asked: &Amounts, nodes: u32) -> f64 {
        self.tenancy.map_or(0.0, |tenancy| tenancy.profile(job).shares.at(asked.gpus, nodes)[2])
    }

    /// What a job waits for on its nodes before it runs.
    fn boot(&self, job: JobId, pool: PoolId) -> SimDuration {
        match self.tenancy.map(|tenancy| tenancy.pools[pool].start) {
            Some(Start::PerJob(law)) => law.draw(&mut Stream::new(self.seed, "boot", u64::from(job.0), 0)),
            Some(Start::Standing) | None => SimDuration::ZERO,
        }
    }

    /// Speed under the access method of a pool, in parts of 10^9.
    fn delivered(&self, job: JobId, pool: PoolId, asked: &Amounts, nodes: u32) -> u64 {
        let is_session = self.workload.jobs[job].flags.has(JobFlags::SESSION);
        match self.tenancy {
            Some(tenancy) if !is_session => tenancy.delivered(job, pool, (asked.gpus, nodes), self.seed),
            _ => SPEED_ONE,
        }
    }

    /// A placed job begins to run.
    fn run(&mut self, slot: u32, now: SimTime, calendar: &mut Calendar<Timer>) {
        let row = self.work.slots[slot as usize].as_ref().expect("a placed job has a slot");
        let (job, pool) = (row.job, row.pool);
        let with = (self.floor.ledger().spec(pool), &self.scheduler);
        self.work.run(slot, now, self.workload, with, &mut self.meter, calendar);
        let record = &mut self.records[job];
        record.start = now;
        record.state = JobState::Running;
        self.after_change(job, now, calendar);
    }

    /// A placed job ends or is withdrawn.
    fn end(&mut self, slot: u32, state: JobState, now: SimTime, calendar: &mut Calendar<Timer>) {
        let row = self.work.leave(slot, now, self.workload, &self.scheduler, &mut self.meter, calendar);
        let job = row.job;
        match self.floor.end(slot) {
            Ok(allocation) => {
                if let Err(conflict) = self.layouts.keep(&allocation, now, &mut self.floor, calendar) {
                    self.conflict = Some(conflict);
                }
                self.note_holding(job, row.placed, now, allocation);
            }
            Err(conflict) => self.conflict = Some(conflict),
        }
        self.scheduler.free_slot(slot);
        self.running -= 1;
        self.dirty = true;
        self.records[job].end = now;
        let is_killed = row.is_unfinished && state.ran_to_an_end();
        self.records[job].state = if is_killed { JobState::Timeout } else { state };
        if self.workload.jobs[job].flags.has(JobFlags::HAS_EXTRAS) {
            calendar.cancel(Timer::Cancel(job));
        }
        self.after_change(job, now, calendar);
        self.after_leaving(job, now);
    }

    fn note_holding(&mut self, job: JobId, from: SimTime, until: SimTime, allocation: CardAllocation) {
        if !self.keep {
            return;
        }
        if self.records[job].start != SimTime::NEVER {
            let grant = |grant: &crate::cluster::CardGrant| Grant {
                node: grant.node,
                cpus: grant.cpus,
                mem_mb: grant.mem_mb,
                gpus: grant.gpus.iter().fold(0, |bits, device| bits | 1 << device.card()),
            };
            self.allocations.push((job, allocation.iter().map(grant).collect()));
        }
        self.facts.holdings.push(CardHolding { job, from, until, allocation });
    }

    /// Dependents of a job that started or ended.
    fn after_change(&mut self, job: JobId, now: SimTime, calendar: &mut Calendar<Timer>) {
        if !self.workload.extras.is_empty() {
            let record = self.records[job];
            self.holds.changed(job, &record, &mut self.released);
            self.flush_released(now, calendar);
        }
    }

    fn cancel(&mut self, job: JobId, now: SimTime, calendar: &mut Calendar<Timer>) {
        let held = self.work.slots.iter().position(|s| s.as_ref().is_some_and(|s| s.job == job));
        if let Some(slot) = held {
            calendar.cancel(Timer::End(slot as u32));
            calendar.cancel(Timer::Ready(slot as u32));
            self.end(slot as u32, JobState::Cancelled, now, calendar);
        } else if self.records[job].state == JobState::Pending {
            let queued = !self.holds.forget(job) && self.scheduler.withdraw(job, now);
            calendar.cancel(Timer::Begin(job));
            self.finish_unstarted(job, JobState::Cancelled, now);
            if queued {
                self.after_leaving(job, now);
            }
            self.flush_released(now, calendar);
            self.dirty = true;
        }
    }

    /// Why free capacity will lie idle until the next event.
    fn idle_cause(&self) -> IdleCause {
        match self.scheduler.head_reason(&self.floor) {
            Some((_, reason)) => IdleCause::Waiting(reason),
            None if self.holds.len() > 0 => IdleCause::Waiting(Pending::Dependency),
            None => IdleCause::NoDemand,
        }
    }

    fn watch(&mut self, now: SimTime) {
        let Some(job) = self.watch else { return };
        let state = self.records[job].state;
        if state == JobState::Future
            || (state != JobState::Pending && self.watched.last().is_some_and(|w| w.reason.is_none()))
        {
            return;
        }
        let head = self.scheduler.head_reason(&self.floor);
        let ahead = self.scheduler.queue().iter().take_while(|(position, _)| position.job() != job).count();
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
            shadow: self.scheduler.shadow().map(|(_, at)| at),
        };
        let same =
            |a: &WatchRow, b: &WatchRow| a.reason == b.reason && a.head == b.head && a.shadow == b.shadow;
        if self.watched.last().is_none_or(|last| !same(last, &row)) {
            self.watched.push(row);
        }
    }

    /// An error if jobs wait although nothing is left to happen.
    pub(super) fn stall_if_waiting(&self, now: SimTime) -> Result<(), RunError> {
        if self.waiting() > 0 { Err(self.stalled(now)) } else { Ok(()) }
    }

    /// The stall, with the first waiting jobs and why they wait.
    pub(super) fn stalled(&self, at: SimTime) -> RunError {
        const NAMED: usize = 5;
        let pending = self.records.iter_ids().filter(|(_, r)| r.state == JobState::Pending);
        let names = pending
            .take(NAMED)
            .map(|(job, _)| {
                let head = self.scheduler.head_reason(&self.floor).filter(|(first, _)| *first == job);
                let reason = self.holds.reason(job).or(head.map(|(_, why)| why)).unwrap_or(Pending::Priority);
                format!("{} ({})", self.workload.job_name(job), reason.name())
            })
            .collect();
        RunError::Stalled { at, waiting: self.waiting(), names }
    }

    /// The conflict that broke the run.
    pub(super) fn broken_by(&mut self, at: SimTime) -> RunError {
        let conflict = self.conflict.take().expect("only a conflict breaks a run");
        RunError::Policy { at, conflict }
    }

    pub(super) fn finish(mut self, report: &RunReport) -> Outcome {
        if self.keep {
            for slot in 0..self.work.slots.len() {
                if let Some(row) = &self.work.slots[slot] {
                    let (job, placed) = (row.job, row.placed);
                    let allocation = self.floor.allocation(slot as u32).clone();
                    self.note_holding(job, placed, SimTime::NEVER, allocation);
                }
            }
            let records = &self.records;
            self.allocations.sort_by_key(|(job, _)| (records[*job].start, *job));
            self.facts.holdings.sort_by_key(|held| (held.from, held.job));
        }
        let first_submit = self.workload.first_submit();
        self.facts.fragmented_milli_us = self.meter.fragmented_us as f64 / self.meter.mix_weight() as f64;
        self.facts.free_milli_us = self.meter.free_milli_us;
        self.facts.stranded_slices_us = self.meter.stranded_slices_us;
        self.facts.span_us = self.meter.span();
        let hours = self.meter.finish();
        self.facts.installed_units = hours.total().gpu.installed;
        Outcome {
            records: self.records,
            allocations: self.allocations,
            hours,
            refused: self.refused,
            held_until: self.held_until.into_iter().collect(),
            watched: self.watched,
            first_submit,
            last_instant: self.last.max(first_submit),
            events: report.events,
            passes: self.passes,
            slurm: None,
            preemptive: None,
            shared: Some(Box::new(self.facts)),
            tenancy: self.tenancy.map(|_| {
                let met = self.work.met.iter().map(|((pool, company), us)| {
                    let slices = self.work.slices[pool.index()].expect("only such pools have companies");
                    (slices, *company, *us)
                });
                let (companies, epochs) = (met.collect(), self.work.hosts.epochs);
                Box::new(TenancyFacts { companies, epochs, ..TenancyFacts::default() })
            }),
        }
    }

    /// Whether nothing but the end of a keeping time is left to happen: no reason to count time.
    fn is_over(&self) -> bool {
        self.running == 0 && self.waiting() == 0 && self.next >= self.workload.jobs.len()
    }
}

/// Thousandths of GPUs that each request's run time was measured on.
fn reference_milli(scheduler: &SharedScheduler<'_>) -> Vec<u64> {
    let shapes = scheduler.shapes();
    let of = |at: usize| {
        let shape = shapes.get(crate::ids::ShapeId::new(at));
        shape.pools.first().map_or(0, |pool| {
            let each = match pool.reference {
                Reference::Whole => 1000,
                Reference::Milli(milli) => u64::from(milli),
                Reference::Instance(share) => (share.sm * 1000.0) as u64,
            };
            u64::from(pool.asked.gpus) * each
        })
    };
    (0..shapes.len()).map(of).collect()
}

impl Model for SharedBatch<'_> {
    type Timer = Timer;

    fn next_arrival(&self) -> Option<SimTime> {
        self.workload.jobs.as_slice().get(self.next).map(|job| job.submit)
    }

    fn arrive(&mut self, now: SimTime, calendar: &mut Calendar<Timer>) {
        self.advance(now);
        while self.next_arrival() == Some(now) {
            let job = JobId::new(self.next);
            self.next += 1;
            self.submit(job, now, calendar);
        }
        self.flush_released(now, calendar);
    }

    fn fire(&mut self, now: SimTime, timer: Timer, calendar: &mut Calendar<Timer>) {
        if self.is_over() && matches!(timer, Timer::Unkeep(..) | Timer::Replan(_)) {
            return;
        }
        self.advance(now);
        match timer {
            Timer::End(slot) => {
                let job = self.work.slots[slot as usize].as_ref().expect("a timer of a running job").job;
                self.end(slot, recorded_end(self.workload, job), now, calendar);
            }
            Timer::Ready(slot) => self.run(slot, now, calendar),
            Timer::Begin(job) => {
                if self.holds.begun(job) {
                    self.when_admitted(job, now);
                }
            }
            Timer::Cancel(job) => self.cancel(job, now, calendar),
            Timer::Made(number) => self.made(number),
            Timer::Unkeep(node, card, start) => self.unkeep(node, card, start),
            Timer::Replan(_) => {}
            Timer::Epoch(node, pool) => {
                let with = (self.workload, &self.scheduler, &mut self.meter);
                self.work.epoch(node, PoolId(pool), now, with.0, with.1, with.2, calendar);
            }
        }
    }

    fn settle(&mut self, now: SimTime, calendar: &mut Calendar<Timer>) -> ControlFlow<()> {
        if self.conflict.is_some() {
            return ControlFlow::Break(());
        }
        while self.dirty {
            self.dirty = false;
            self.passes += 1;
            let mut starts = Vec::new();
            if let Err(conflict) = self.scheduler.pass(now, &mut self.floor, &mut starts) {
                self.conflict = Some(conflict);
                return ControlFlow::Break(());
            }
            for start in starts {
                self.place(start, now, calendar);
            }
        }
        if let Err(conflict) = self.plan_layouts(now, calendar) {
            self.conflict = Some(conflict);
            return ControlFlow::Break(());
        }
        self.meter.follow(&self.floor, &self.scheduler);
        self.meter.note_waiting(self.waiting());
        self.cause = self.idle_cause();
        self.watch(now);
        ControlFlow::Continue(())
    }
}

impl SharedBatch<'_> {
    /// How long changes of layouts take in a pool.
    pub(super) fn times(&self, pool: PoolId) -> LayoutTimes {
        self.setup.times[pool.index()]
    }
}

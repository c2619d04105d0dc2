//! The kernel's model of a batch cluster.

mod spill;
mod story;
mod tenants;
mod timer;

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;

use self::spill::SpillWatch;
pub use self::spill::{Spill, Spills};
pub(super) use self::timer::Timer;
use super::elastic::ElasticPools;
use super::failure::HostFailures;
use super::guests::{Departure, Guests, TenancyFacts};
use super::holds::{Holds, Released};
use super::meter::{IdleCause, Meter};
use super::outage::Outages;
use super::upkeep::Upkeep;
use super::{JobRecord, JobState, Outcome, RunOptions, Speeds, Stretch, WatchRow};
use crate::cluster::{Allocation, Amounts, ClusterSpec, Conflict};
use crate::ids::{Id, IdVec, JobId, PoolId};
use crate::kernel::{Calendar, Model, Phase, RunReport};
use crate::scheduler::{Classic, Floor, Pending, Start};
use crate::time::{SimDuration, SimTime};
use crate::workload::{JobFlags, Workload};

/// A running job.
#[derive(Debug)]
struct Slot {
    job: JobId,
    allocation: Allocation,
    start: SimTime,
}

pub(super) struct Batch<'w> {
    /// The jobs as the scheduler sees them.
    workload: &'w Workload,
    /// The same jobs with the run times of the hardware that they ran on, and their speeds on this cluster.
    translated: Option<(&'w Workload, &'w Speeds)>,
    floor: Floor,
    scheduler: Classic<'w>,
    records: IdVec<JobId, JobRecord>,
    slots: Vec<Option<Slot>>,
    running: usize,
    next: usize,
    holds: Holds,
    meter: Meter,
    cause: IdleCause,
    dirty: bool,
    starts: Vec<Start>,
    released: VecDeque<Released>,
    refused: Vec<(JobId, String)>,
    held_until: BTreeMap<JobId, SimTime>,
    keep: bool,
    allocations: Vec<(JobId, Allocation)>,
    watch: Option<JobId>,
    watched: Vec<WatchRow>,
    passes: u64,
    conflict: Option<Conflict>,
    outages: Outages,
    /// Jobs on hosts that are not bare metal, alone.
    guests: Option<Box<Guests<'w>>>,
    /// Pools that grow and shrink.
    elastic: Option<Box<ElasticPools>>,
    /// Planned maintenance.
    upkeep: Option<Box<Upkeep>>,
    /// Hosts that fail.
    failures: Option<Box<HostFailures>>,
    /// Attempts of jobs that were lost with a host, and what is left of them where a snapshot was kept.
    restarted: BTreeMap<JobId, Restarted>,
    /// Jobs that may go elsewhere if their wait is long.
    spill: Option<Box<SpillWatch<'w>>>,
}

/// A job that was lost with a host.
#[derive(Debug, Default)]
struct Restarted {
    attempts: Vec<Stretch>,
    /// Work left at its last snapshot.
    left: Option<i128>,
}

impl<'w> Batch<'w> {
    pub(super) fn new(
        workload: &'w Workload,
        recorded: &'w Workload,
        cluster: &ClusterSpec,
        floor: Floor,
        scheduler: Classic<'w>,
        options: &RunOptions<'w>,
    ) -> Self {
        let blank = JobRecord { start: SimTime::NEVER, end: SimTime::NEVER, state: JobState::Future };
        let meter = Meter::new(floor.ledger().pools());
        let from = workload.first_submit();
        let guests = options.tenancy.map(|spec| Box::new(Guests::new(spec, cluster, options.seed, from)));
        let elastic = options.tenancy.and_then(|spec| ElasticPools::new(spec, cluster, options.seed));
        let upkeep = guests.as_deref().and_then(|guests| Upkeep::new(guests, from));
        let failures = guests.as_deref().and_then(|guests| HostFailures::new(guests, options.seed));
        Self {
            failures: failures.map(Box::new),
            restarted: BTreeMap::new(),
            elastic: elastic.map(Box::new),
            upkeep: upkeep.map(Box::new),
            spill: options.spills.map(|spills| Box::new(SpillWatch::new(spills, &floor))),
            guests,
            workload,
            translated: options.speeds.map(|speeds| (recorded, speeds)),
            floor,
            scheduler,
            records: IdVec::filled(workload.jobs.len(), blank),
            slots: Vec::new(),
            running: 0,
            next: 0,
            holds: Holds::new(workload),
            meter,
            cause: IdleCause::NoDemand,
            dirty: false,
            starts: Vec::new(),
            released: VecDeque::new(),
            refused: Vec::new(),
            held_until: BTreeMap::new(),
            keep: options.keep_allocations,
            allocations: Vec::new(),
            watch: options.watch,
            watched: Vec::new(),
            passes: 0,
            conflict: None,
            outages: Outages::new(options.outages),
        }
    }

    /// Sets what is known before the run.
    pub(super) fn prepare(&mut self, calendar: &mut Calendar<Timer>) {
        if let (Some(elastic), Some(guests)) = (&mut self.elastic, &mut self.guests) {
            let from = self.workload.first_submit();
            let off = elastic.prepare(from, &mut self.floor, &mut self.meter, &mut guests.facts);
            self.conflict = off.err();
        }
        if let Some(upkeep) = &self.upkeep {
            upkeep.prepare(calendar);
        }
        if let Some(failures) = &self.failures {
            failures.prepare(self.workload.first_submit(), calendar);
        }
        for (at, outage) in self.outages.rows().iter().enumerate() {
            calendar.set(Timer::OutageBegins(at as u32), outage.from, Phase::Release);
            calendar.set(Timer::OutageEnds(at as u32), outage.until, Phase::Release);
        }
    }

    /// Jobs that wait or are held.
    fn waiting(&self) -> usize {
        self.scheduler.waiting() + self.holds.len()
    }

    /// Books the time until `now`; the first thing at every instant.
    fn advance(&mut self, now: SimTime) {
        let waiting = self.waiting();
        self.meter.advance(now, self.floor.ledger(), waiting, self.cause);
    }

    fn submit(&mut self, job: JobId, now: SimTime, calendar: &mut Calendar<Timer>) {
        self.records[job].state = JobState::Pending;
        self.holds.submitted(job);
        let row = &self.workload.jobs[job];
        if let Some(reason) = self.refusal(job, row.request) {
            self.refused.push((job, reason.to_owned()));
            self.finish_unstarted(job, JobState::Refused, now);
            return;
        }
        if !row.flags.has(JobFlags::HAS_EXTRAS) {
            self.enqueue(job, now);
            return;
        }
        self.submit_with_extras(job, now, calendar);
    }

    fn submit_with_extras(&mut self, job: JobId, now: SimTime, calendar: &mut Calendar<Timer>) {
        let extras = self.workload.extras_of(job).expect("the flag says so");
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

    /// A job with extras enters the queue.
    fn become_eligible(&mut self, job: JobId, now: SimTime) {
        if self.workload.jobs[job].submit == now {
            self.held_until.remove(&job);
        } else {
            self.held_until.insert(job, now);
        }
        self.enqueue(job, now);
    }

    /// A job enters the queue.
    fn enqueue(&mut self, job: JobId, now: SimTime) {
        if let Some(spill) = &mut self.spill {
            spill.enter(job, now, self.workload, &mut self.scheduler, &self.floor);
        }
        self.scheduler.enqueue(job);
        self.dirty = true;
    }

    fn end(&mut self, slot: u32, state: JobState, now: SimTime, calendar: &mut Calendar<Timer>) {
        let (held, departure) = self.vacate(slot, false, now, calendar);
        let is_killed = departure.is_some_and(|left| left.is_unfinished) && state.ran_to_an_end();
        self.leave_for_good(held, if is_killed { JobState::Timeout } else { state }, now, calendar);
    }

    /// Takes a running job off its nodes and books what it did there.
    fn vacate(
        &mut self,
        slot: u32,
        fails: bool,
        now: SimTime,
        calendar: &mut Calendar<Timer>,
    ) -> (Slot, Option<Departure>) {
        let held = self.slots[slot as usize].take().expect("a timer of a running job");
        let job = held.job;
        let expected_end = held.start + self.workload.jobs[job].limit;
        if let Err(conflict) = self.floor.end(slot, &held.allocation, expected_end) {
            self.conflict = Some(conflict);
        }
        self.scheduler.free_slot(slot);
        if let Some(spill) = &mut self.spill {
            spill.end(&held.allocation, expected_end, &self.floor);
        }
        self.running -= 1;
        self.dirty = true;
        if let Some((pool, slack)) = self.slack_of(job, &held.allocation) {
            self.meter.drop_slack(pool, &slack);
        }
        let Some(guests) = &mut self.guests else {
            self.book_held_idle(&held, now);
            return (held, None);
        };
        let meter = &mut self.meter;
        let departure = if fails {
            guests.fail(slot, now, meter, calendar)
        } else {
            guests.end(slot, now, meter, calendar)
        };
        (held, Some(departure))
    }

    /// A job that ran has ended.
    fn leave_for_good(&mut self, held: Slot, state: JobState, now: SimTime, calendar: &mut Calendar<Timer>) {
        let job = held.job;
        self.records[job].end = now;
        self.records[job].state = state;
        self.note_allocation(held, now);
        let has_extras = self.workload.jobs[job].flags.has(JobFlags::HAS_EXTRAS);
        if has_extras {
            calendar.cancel(Timer::Cancel(job));
        }
        self.after_change(job, now, calendar);
        if has_extras {
            self.after_leaving(job, now);
        }
    }

    /// Books what a job that ran until `now` did not use of its GPUs, where the trace recorded its use.
    fn book_held_idle(&mut self, slot: &Slot, now: SimTime) {
        let Some(util_milli) = self.workload.recorded.gpu_util_milli(slot.job) else { return };
        let slack = self.slack_of(slot.job, &slot.allocation).map_or(0, |(_, slack)| slack.gpus);
        let held: u32 = slot.allocation.iter().map(|grant| grant.gpus.count_ones()).sum();
        let pool = self.floor.ledger().node(slot.allocation[0].node).pool;
        self.meter.hold_idle(pool, held - slack, now.since(slot.start), util_milli);
    }

    /// A job leaves without having run.
    fn finish_unstarted(&mut self, job: JobId, state: JobState, now: SimTime) {
        let record = &mut self.records[job];
        record.state = state;
        record.end = now;
        let record = *record;
        self.holds.changed(job, &record, &mut self.released);
    }

    /// Dependents of a job that started or ended.
    fn after_change(&mut self, job: JobId, now: SimTime, calendar: &mut Calendar<Timer>) {
        if !self.workload.extras.is_empty() {
            let record = self.records[job];
            self.holds.changed(job, &record, &mut self.released);
            self.flush_released(now, calendar);
        }
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

    fn cancel(&mut self, job: JobId, now: SimTime, calendar: &mut Calendar<Timer>) {
        match self.records[job].state {
            JobState::Running => {
                let slot = self.slots.iter().position(|s| s.as_ref().is_some_and(|s| s.job == job));
                let slot = slot.expect("a running job holds a slot");
                calendar.cancel(Timer::End(slot as u32));
                self.end(slot as u32, JobState::Cancelled, now, calendar);
            }
            JobState::Pending => {
                let queued = !self.holds.forget(job) && self.scheduler.withdraw(job, now);
                calendar.cancel(Timer::Begin(job));
                self.finish_unstarted(job, JobState::Cancelled, now);
                if queued {
                    self.leave_queue(job, calendar);
                    self.after_leaving(job, now);
                }
                self.flush_released(now, calendar);
                self.dirty = true;
            }
            _ => {}
        }
    }

    /// What an allocation holds beyond what its job asked for, and in which pool.
    fn slack_of(&self, job: JobId, allocation: &Allocation) -> Option<(PoolId, Amounts)> {
        if !self.scheduler.shapes().have_slack() {
            return None;
        }
        let pool = self.floor.ledger().node(allocation[0].node).pool;
        let shape = self.scheduler.shape_of(job);
        let shape = self.scheduler.shapes().get(shape);
        let fit = shape.pools.iter().find(|p| p.pool == pool).expect("it was placed there");
        Some((pool, fit.total.saturating_minus(&fit.asked)))
    }

    fn begin_running(&mut self, start: Start, now: SimTime, calendar: &mut Calendar<Timer>) {
        if let Some((pool, slack)) = self.slack_of(start.job, &start.allocation) {
            self.meter.add_slack(pool, &slack);
        }
        if let Some(spill) = &mut self.spill {
            spill.start(&start.allocation, now + self.workload.jobs[start.job].limit, &self.floor);
            self.leave_queue(start.job, calendar);
        }
        let record = &mut self.records[start.job];
        // Waits end with the first start.
        record.start = record.start.min(now);
        record.state = JobState::Running;
        match self.arrival(start.job, &start.allocation) {
            None => {
                let run = self.run_on(start.job, &start.allocation);
                calendar.set(Timer::End(start.slot), now + run, Phase::Release);
            }
            Some(arrival) => {
                let guests = self.guests.as_mut().expect("only guests arrive");
                guests.begin(start.slot, &arrival, &start.allocation, now, calendar);
            }
        }
        let slot = start.slot as usize;
        if slot >= self.slots.len() {
            self.slots.resize_with(slot + 1, || None);
        }
        self.slots[slot] = Some(Slot { job: start.job, allocation: start.allocation, start: now });
        self.running += 1;
        self.after_change(start.job, now, calendar);
    }

    /// How long a job runs on what it was given.
    fn run_on(&self, job: JobId, allocation: &Allocation) -> SimDuration {
        let Some((recorded, speeds)) = self.translated else { return self.workload.jobs[job].run };
        let pool = self.floor.ledger().node(allocation[0].node).pool;
        speeds.on(job, pool).time_of(recorded.jobs[job].run)
    }

    /// Why free capacity will lie idle until the next event.
    fn idle_cause(&self) -> IdleCause {
        match self.scheduler.head_reason(&self.floor) {
            Some((_, reason)) => IdleCause::Waiting(reason),
            None if self.holds.len() > 0 => IdleCause::Waiting(Pending::Dependency),
            None => IdleCause::NoDemand,
        }
    }

    pub(super) fn finish(mut self, report: &RunReport) -> Outcome {
        if let Some(until) = self.meter.booked_until() {
            self.close(until);
        }
        let running: Vec<Slot> = self.slots.drain(..).flatten().collect();
        for slot in running {
            self.note_allocation(slot, SimTime::NEVER);
        }
        if self.keep {
            let records = &self.records;
            self.allocations.sort_by_key(|(job, _)| (records[*job].start, *job));
        }
        let first_submit = self.workload.first_submit();
        let last_instant = report.now.max(first_submit);
        let elastic = self.elastic.take();
        let (guests, spill) = (self.guests.take(), self.spill.take());
        let tenancy = (guests.is_some() || spill.is_some()).then(|| {
            let mut facts = guests.map_or_else(TenancyFacts::default, |guests| guests.facts);
            let restarted = std::mem::take(&mut self.restarted).into_iter();
            facts.restarted = restarted.map(|(job, row)| (job, row.attempts)).collect();
            facts.spilled = spill.map_or(0, |spill| spill.spilled);
            if let Some(elastic) = elastic {
                elastic.close(last_instant, &mut facts);
            }
            Box::new(facts)
        });
        Outcome {
            records: self.records,
            allocations: self.allocations,
            hours: self.meter.finish(self.floor.ledger()),
            refused: self.refused,
            held_until: self.held_until.into_iter().collect(),
            watched: self.watched,
            first_submit,
            last_instant,
            events: report.events,
            passes: self.passes,
            slurm: None,
            preemptive: None,
            shared: None,
            tenancy,
        }
    }
}

impl Model for Batch<'_> {
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
        if !self.released.is_empty() {
            self.flush_released(now, calendar);
        }
    }

    fn fire(&mut self, now: SimTime, timer: Timer, calendar: &mut Calendar<Timer>) {
        self.advance(now);
        match timer {
            Timer::End(slot) => {
                let job = self.slots[slot as usize].as_ref().expect("a timer of a running job").job;
                self.end(slot, recorded_end(self.workload, job), now, calendar);
            }
            Timer::Begin(job) => {
                if self.holds.begun(job) {
                    self.when_admitted(job, now);
                }
            }
            Timer::Cancel(job) => self.cancel(job, now, calendar),
            Timer::Look(slot) => {
                self.guests.as_mut().expect("only guests look ahead").look_on(slot, calendar);
            }
            Timer::Vm(node) => self.fire_vm(node, now, calendar),
            // The next settling decides.
            Timer::Order(_) => {}
            Timer::Upkeep(at) => self.fire_upkeep(at, now, calendar),
            Timer::Spill(job) => self.fire_spill(job, now),
            Timer::Host(at) => self.fire_host(at, now, calendar),
            Timer::OutageBegins(at) => {
                self.outages.begin(at);
                self.strike(at, now, calendar);
                self.dirty = true;
            }
            Timer::OutageEnds(at) => {
                let ended = self.outages.end(at, &mut self.floor, &mut self.meter);
                self.conflict = ended.err().or(self.conflict.take());
                self.dirty = true;
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
            if let Err(conflict) = self.outages.absorb(&mut self.floor, &mut self.meter) {
                self.conflict = Some(conflict);
                return ControlFlow::Break(());
            }
            self.stop_outages(calendar);
            self.absorb_upkeep(now, calendar);
            let mut starts = std::mem::take(&mut self.starts);
            if let Err(conflict) = self.scheduler.pass(now, &mut self.floor, &mut starts) {
                self.conflict = Some(conflict);
                return ControlFlow::Break(());
            }
            for start in starts.drain(..) {
                self.begin_running(start, now, calendar);
            }
            self.starts = starts;
        }
        self.watch_spills(calendar);
        if self.elastic.is_some() {
            self.decide_elastic(now, calendar);
        }
        self.meter.note_waiting(self.waiting());
        self.cause = self.idle_cause();
        self.watch(now);
        ControlFlow::Continue(())
    }
}

/// How a job ends that runs to its end: as recorded, completed where nothing is.
pub(super) fn recorded_end(workload: &Workload, job: JobId) -> JobState {
    match workload.recorded.state(job) {
        Some(state) if is_failure(workload.texts.get(state)) => JobState::Failed,
        _ => JobState::Completed,
    }
}

/// Slurm's words for an end without success (sacct manual, job state codes), upper case; `CANCELLED by
/// 1000` is one of them. A job that was withdrawn while it ran did not succeed either.
fn is_failure(state: &str) -> bool {
    const FAILURES: [&str; 9] = [
        "BOOT_FAIL",
        "CANCELLED",
        "DEADLINE",
        "FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "REVOKED",
        "TIMEOUT",
    ];
    let word = state.split_ascii_whitespace().next().unwrap_or("").trim_end_matches('+');
    FAILURES.iter().any(|failure| failure.eq_ignore_ascii_case(word))
}

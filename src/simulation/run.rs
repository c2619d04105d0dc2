//! The life of jobs on a floor, once for every policy and every kind of devices.
//!
//! ```text
//!   decider     who starts, where, who must go                (classic passes over whole GPUs or parts, preemptive)
//!   ───────────────────────────────────────────────────────────────────────────────────────────────────────────────
//!   core        one state machine of jobs · holds · attempts · spill-over · nodes that go and come · one meter
//!               progress over places (guests): hosts, GPUs, noise, snapshots, boots
//!   ───────────────────────────────────────────────────────────────────────────────────────────────────────────────
//!   ground      what is free: whole GPUs as bits, or cards with shares and instances
//! ```
//!
//! - [`ground`]: what the core needs of a floor and of a decider, and how whole GPUs answer it
//! - [`cards`]: the same for parts of GPUs; [`layouts`] change there
//! - [`life`]: submission, holds, start, end, loss, cancellation
//! - [`nodes`]: failures, maintenance, outages, elastic pools
//! - [`spill`], [`story`]: other pools after a long wait; why a job waits
//!
//! A job's start is the instant at which its devices are taken; when it is at work is kept beside it. What passes in
//! between (instances are cut, a VM boots, a snapshot is restored) is start-up.
//!
//! Invariants: every job ends in exactly one state; only the decider that started a job stops it; what is not bare
//! metal alone has guests, and all else pays one test per start and end. Given up for that: a decider cannot see speeds,
//! so expected ends are limits, whatever the neighbours do.

pub(super) mod cards;
pub(super) mod gauge;
pub(super) mod ground;
pub(super) mod layouts;
pub(super) mod life;
mod nodes;
mod spill;
mod story;
mod timer;
mod vms;

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;

use self::ground::{Acts, Decider, Grants, Ground, Side};
use self::spill::SpillWatch;
pub use self::spill::{Spill, Spills};
pub(super) use self::timer::Timer;
use super::elastic::ElasticPools;
use super::failure::HostFailures;
use super::guests::{Guests, TenancyFacts};
use super::holds::{Holds, Released};
use super::meter::{IdleCause, Meter};
use super::outage::Outages;
use super::standing::Diary;
use super::upkeep::Upkeep;
use super::{Ending, JobRecord, JobState, Outcome, RunOptions, Speeds, Stretch, WatchRow};
use crate::cluster::{Allocation, ClusterSpec, Conflict};
use crate::ids::{Id, IdVec, JobId};
use crate::kernel::{Calendar, Model, Phase, RunReport};
use crate::scheduler::Pending;
use crate::time::SimTime;
use crate::workload::Workload;

/// A running job.
#[derive(Debug)]
struct Slot<G: Ground> {
    job: JobId,
    grants: Grants<G>,
    start: SimTime,
    /// When the floor expects it to end.
    expected: SimTime,
}

/// A run under a decider.
pub(super) struct Run<'w, D: Decider> {
    /// The jobs as the scheduler sees them.
    workload: &'w Workload,
    /// The same jobs with the run times of the hardware that they ran on, and their speeds on this cluster.
    translated: Option<(&'w Workload, &'w Speeds)>,
    ground: D::Ground,
    decider: D,
    side: <D::Ground as Ground>::Side,
    records: IdVec<JobId, JobRecord>,
    slots: Vec<Option<Slot<D::Ground>>>,
    running: usize,
    next: usize,
    holds: Holds,
    meter: Meter,
    cause: IdleCause,
    dirty: bool,
    acts: Acts<D::Ground>,
    released: VecDeque<Released>,
    refused: Vec<(JobId, String)>,
    held_until: BTreeMap<JobId, SimTime>,
    keep: bool,
    allocations: Vec<(JobId, Allocation)>,
    watch: Option<JobId>,
    watched: Vec<WatchRow>,
    passes: u64,
    conflict: Option<Conflict>,
    outages: Outages<D::Ground>,
    /// Jobs on what is not bare metal, alone.
    guests: Option<Box<Guests<'w>>>,
    /// Whether that is more than a matter of devices: what the report calls tenancy.
    tells_tenancy: bool,
    /// Pools that grow and shrink.
    elastic: Option<Box<ElasticPools<vms::Hold<D::Ground>>>>,
    /// Planned maintenance.
    upkeep: Option<Box<Upkeep<D::Ground>>>,
    /// Hosts that fail.
    failures: Option<Box<HostFailures<D::Ground>>>,
    /// Attempts of jobs that were lost with a host or stopped, and what is left of them.
    restarted: BTreeMap<JobId, Restarted>,
    /// When the last attempt of a job was at work, where that is later than its start.
    at_work: BTreeMap<JobId, SimTime>,
    /// When which hosts failed or were worked on.
    diary: Diary,
    /// Jobs that may go elsewhere if their wait is long.
    spill: Option<Box<SpillWatch<'w>>>,
    /// Whether run times are those of this very design, with all that made jobs slower.
    as_recorded: bool,
    /// Whether jobs get just what they ask for, on whole GPUs of bare metal, alone: nothing else need be counted when
    /// they start and end.
    is_plain: bool,
    last: SimTime,
}

/// A job that was lost with a host, or stopped.
#[derive(Debug, Default)]
struct Restarted {
    attempts: Vec<Stretch>,
    /// How many of them were lost since it last got on.
    lost: usize,
    /// Work left at its last snapshot, or when it was stopped.
    left: Option<i128>,
}

/// What a run begins with.
pub(super) struct Parts<'w, D: Decider> {
    /// The jobs as the scheduler sees them, and as they were recorded.
    pub(super) workload: &'w Workload,
    pub(super) recorded: &'w Workload,
    pub(super) cluster: &'w ClusterSpec,
    pub(super) ground: D::Ground,
    pub(super) decider: D,
    pub(super) side: <D::Ground as Ground>::Side,
    /// Where jobs run that are not on bare metal, alone.
    pub(super) guests: Option<Guests<'w>>,
}

impl<'w, D: Decider> Run<'w, D> {
    pub(super) fn new(parts: Parts<'w, D>, options: &RunOptions<'w>) -> Self {
        let Parts { workload, recorded, cluster, ground, decider, side, guests } = parts;
        let blank = JobRecord { start: SimTime::NEVER, end: SimTime::NEVER, state: JobState::Future };
        let from = workload.first_submit();
        let elastic = options.tenancy.and_then(|spec| ElasticPools::new(spec, cluster, options.seed));
        let upkeep = guests.as_ref().and_then(|guests| Upkeep::new(guests, from));
        let failures = guests.as_ref().and_then(|guests| HostFailures::new(guests, options.seed, from));
        let is_plain = !<D::Ground as Ground>::COUNTS_PARTS
            && guests.is_none()
            && options.spills.is_none()
            && !decider.have_slack();
        Self {
            is_plain,
            failures: failures.map(Box::new),
            restarted: BTreeMap::new(),
            at_work: BTreeMap::new(),
            diary: Diary::default(),
            elastic: elastic.map(Box::new),
            upkeep: upkeep.map(Box::new),
            spill: options.spills.map(|spills| Box::new(SpillWatch::new(spills, ground.gauge()))),
            guests: guests.map(Box::new),
            tells_tenancy: options.tenancy.is_some(),
            workload,
            translated: options.speeds.map(|speeds| (recorded, speeds)),
            meter: Meter::new(cluster.pools.len()),
            ground,
            decider,
            side,
            records: IdVec::filled(workload.jobs.len(), blank),
            slots: Vec::new(),
            running: 0,
            next: 0,
            holds: Holds::new(workload),
            cause: IdleCause::NoDemand,
            dirty: false,
            acts: Acts { stops: Vec::new(), starts: Vec::new() },
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
            as_recorded: options.as_recorded,
            last: from,
        }
    }

    /// Sets what is known before the run.
    pub(super) fn prepare(&mut self, calendar: &mut Calendar<Timer>) {
        self.prepare_nodes(calendar);
        let (ground, decider) = (&mut self.ground, &self.decider);
        // Nobody waits yet: only what lies idle from the first instant on is looked at.
        let looked = self.side.settle(self.last, (ground, decider), true, &mut self.meter, calendar);
        self.conflict = looked.err().or(self.conflict.take());
    }

    /// Jobs that wait or are held.
    fn waiting(&self) -> usize {
        self.decider.waiting() + self.holds.len()
    }

    /// Books the time until `now`; the first thing at every instant.
    fn advance(&mut self, now: SimTime) {
        let waiting = self.waiting();
        let before = self.meter.span_us();
        self.last = now;
        self.meter.advance(now, self.ground.gauge(), waiting, self.cause);
        self.side.advance(self.meter.span_us() - before);
    }

    /// Whether nothing but what keeps an idle floor busy is left to happen: no reason to count time.
    fn is_over(&self) -> bool {
        self.running == 0 && self.waiting() == 0 && self.next >= self.workload.jobs.len()
    }

    /// Why free capacity will lie idle until the next event.
    fn idle_cause(&self) -> IdleCause {
        match self.decider.head_reason(&self.ground) {
            Some((_, reason)) => IdleCause::Waiting(reason),
            None if self.holds.len() > 0 => IdleCause::Waiting(Pending::Dependency),
            None => IdleCause::NoDemand,
        }
    }

    /// Passes until nothing changes any more.
    fn pass_until_quiet(&mut self, now: SimTime, calendar: &mut Calendar<Timer>) -> Result<(), Conflict> {
        while self.dirty {
            self.dirty = false;
            self.passes += 1;
            self.absorb_nodes(now, calendar)?;
            self.decider.pass(now, &mut self.ground, &mut self.acts)?;
            self.carry_out(now, calendar);
        }
        if let Some(at) = self.decider.wakes_at() {
            calendar.set(Timer::Wake, at.max(now), Phase::Pass);
        }
        Ok(())
    }

    /// Does what the decider decided.
    fn carry_out(&mut self, now: SimTime, calendar: &mut Calendar<Timer>) {
        for slot in std::mem::take(&mut self.acts.stops) {
            self.stop(slot, now, calendar);
        }
        if self.acts.starts.is_empty() {
            return;
        }
        // The list goes back for its memory.
        let mut starts = std::mem::take(&mut self.acts.starts);
        for start in starts.drain(..) {
            self.begin_running(start, now, calendar);
        }
        self.acts.starts = starts;
    }

    pub(super) fn finish(mut self, report: &RunReport) -> Outcome {
        if let Some(until) = self.meter.booked_until() {
            self.close(until);
        }
        let running: Vec<Slot<D::Ground>> = self.slots.drain(..).flatten().collect();
        for slot in running {
            self.note_allocation(slot, SimTime::NEVER, Ending::WithTheJob);
        }
        if self.keep {
            let records = &self.records;
            self.allocations.sort_by_key(|(job, _)| (records[*job].start, *job));
        }
        let last_instant = self.last.max(self.workload.first_submit());
        let tenancy = self.tenancy_facts(last_instant);
        let span_us = self.meter.span_us();
        let spells =
            if self.keep { self.diary.finish(self.outages.rows(), &[], last_instant) } else { Vec::new() };
        let mut outcome = Outcome {
            records: self.records,
            allocations: self.allocations,
            hours: self.meter.finish(self.ground.gauge()),
            refused: self.refused,
            held_until: self.held_until.into_iter().collect(),
            at_work: self.at_work.into_iter().collect(),
            spells,
            watched: self.watched,
            first_submit: self.workload.first_submit(),
            last_instant,
            events: report.events,
            passes: self.passes,
            slurm: None,
            preemptive: None,
            shared: None,
            tenancy,
        };
        outcome.shared = self.side.finish(&mut outcome, span_us);
        let mut decider = self.decider;
        decider.tell(&mut outcome);
        outcome
    }

    fn tenancy_facts(&mut self, last_instant: SimTime) -> Option<Box<TenancyFacts>> {
        let (guests, spill, elastic) = (self.guests.take(), self.spill.take(), self.elastic.take());
        let restarted = std::mem::take(&mut self.restarted);
        if !self.tells_tenancy && spill.is_none() && restarted.is_empty() {
            return None;
        }
        let companies = guests.as_ref().map_or_else(Vec::new, |guests| guests.companies());
        let written = guests.as_ref().map_or_else(Vec::new, |guests| guests.written());
        let mut facts = guests.map_or_else(TenancyFacts::default, |guests| guests.facts);
        facts.companies = companies;
        facts.written = written;
        facts.restarted = restarted.into_iter().map(|(job, row)| (job, row.attempts)).collect();
        facts.spilled = spill.map_or(0, |spill| spill.spilled);
        if let Some(elastic) = elastic {
            elastic.close(last_instant, &mut facts);
        }
        Some(Box::new(facts))
    }
}

impl<D: Decider> Model for Run<'_, D> {
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
        if matches!(
            timer,
            Timer::Unkeep(..) | Timer::Replan(_) | Timer::Wake | Timer::Store(_) | Timer::Link(_)
        ) && self.is_over()
        {
            return;
        }
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
                self.guests.as_mut().expect("only guests look ahead").look_on(slot, now, calendar);
            }
            Timer::Store(number) => {
                self.guests.as_mut().expect("only guests write").fire_store(number, now, calendar);
            }
            Timer::Link(number) => self.guests.as_mut().expect("only guests are on links").fire_link(number),
            Timer::Spill(job) => self.fire_spill(job, now),
            Timer::Wake => self.dirty = true,
            Timer::Made(_) | Timer::Unkeep(..) | Timer::Replan(_) => {
                match self.side.fire(timer, &mut self.ground, &mut self.meter) {
                    Ok(changed) => self.dirty |= changed,
                    Err(conflict) => self.conflict = Some(conflict),
                }
            }
            Timer::Vm(_)
            | Timer::Order(_)
            | Timer::Upkeep(_)
            | Timer::Host(_)
            | Timer::OutageBegins(_)
            | Timer::OutageEnds(_) => self.fire_nodes(timer, now, calendar),
        }
    }

    fn settle(&mut self, now: SimTime, calendar: &mut Calendar<Timer>) -> ControlFlow<()> {
        if self.conflict.is_some() {
            return ControlFlow::Break(());
        }
        if let Err(conflict) = self.pass_until_quiet(now, calendar) {
            self.conflict = Some(conflict);
            return ControlFlow::Break(());
        }
        if let Some(guests) = &mut self.guests {
            guests.settle_links(now, calendar);
        }
        self.watch_spills(calendar);
        if self.elastic.is_some() {
            self.decide_elastic(now, calendar);
        }
        let nobody_runs = self.running == 0;
        let (ground, decider) = (&mut self.ground, &self.decider);
        if let Err(conflict) =
            self.side.settle(now, (ground, decider), nobody_runs, &mut self.meter, calendar)
        {
            self.conflict = Some(conflict);
            return ControlFlow::Break(());
        }
        self.meter.note_waiting(self.waiting());
        self.cause = self.idle_cause();
        self.watch(now);
        self.rest_nodes(calendar);
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

//! The state machine of a job: submitted, held, waiting, running, ended; and lost or stopped, to wait again.

use super::ground::{Begin, Cuts, Decider, Grants, Ground, OnDevices, Side};
use super::{Run, Slot, Timer};
use crate::cluster::Allocation;
use crate::cluster::cards::CARD_UNITS;
use crate::ids::{JobId, PoolId};
use crate::kernel::{Calendar, Phase};
use crate::scheduler::Start;
use crate::simulation::guests::{Arrival, ByPool, Departure};
use crate::simulation::holds::Released;
use crate::simulation::meter::{Gauge, Held, Load, UNITS_PER_DEVICE};
use crate::simulation::translation::Speed;
use crate::simulation::{Ending, JobState, Stretch};
use crate::time::{SimDuration, SimTime};
use crate::workload::JobFlags;

/// A job that was lost so often without a new snapshot is given up: it is longer than its hosts last, and would be queued
/// for ever.
pub(in crate::simulation) const MOST_IN_VAIN: usize = 1_000;
/// A job that was lost so often in all is given up too, so that nothing goes on for ever a snapshot at a time.
pub(in crate::simulation) const MOST_ATTEMPTS: usize = 100_000;

/// Why a running job leaves its nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaves {
    /// It ended, or was killed or withdrawn.
    AtItsEnd,
    /// Its host failed.
    Lost,
    /// The decider took it off the floor; it keeps its work.
    Stopped,
}

/// Thousandths of what a job holds that it uses, where it used `util_milli` of so many whole GPUs.
pub(in crate::simulation) fn used_of_held(util_milli: u16, gpus: u32, held: &Held, speed: u64) -> u16 {
    let whole = u128::from(gpus) * UNITS_PER_DEVICE as u128;
    let used = u128::from(util_milli) * whole * u128::from(speed) / 1_000_000_000;
    used.checked_div(u128::from(held.gpu_units)).unwrap_or(1000).min(1000) as u16
}

impl<D: Decider> Run<'_, D> {
    pub(super) fn submit(&mut self, job: JobId, now: SimTime, calendar: &mut Calendar<Timer>) {
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
    pub(super) fn when_admitted(&mut self, job: JobId, now: SimTime) {
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
    pub(super) fn enqueue(&mut self, job: JobId, now: SimTime) {
        if let Some(spill) = &mut self.spill {
            spill.enter(job, now, self.workload, &mut self.decider, self.ground.gauge());
        }
        self.decider.enqueue(job);
        self.dirty = true;
    }

    pub(super) fn begin_running(
        &mut self,
        begin: Begin<D::Ground>,
        now: SimTime,
        calendar: &mut Calendar<Timer>,
    ) {
        let Start { job, slot, allocation: grants, cuts, expected_end: expected, lead } = begin;
        let pool = self.ground.pool_of(D::Ground::first(&grants));
        let record = &mut self.records[job];
        // Waits end with the first start.
        record.start = record.start.min(now);
        record.state = JobState::Running;
        if self.is_plain {
            calendar.set(Timer::End(slot), now + self.run_on(job, pool), Phase::Release);
        } else {
            self.begin_counted((job, slot, pool), (&grants, &cuts), (now, expected, lead), calendar);
        }
        let at = slot as usize;
        if at >= self.slots.len() {
            self.slots.resize_with(at + 1, || None);
        }
        self.slots[at] = Some(Slot { job, grants, start: now, expected });
        self.running += 1;
        self.after_change(job, now, calendar);
    }

    /// What a start changes where jobs may hold more than they ask for, or run on more than bare metal alone.
    fn begin_counted(
        &mut self,
        (job, slot, pool): (JobId, u32, PoolId),
        (grants, cuts): (&Grants<D::Ground>, &Cuts<D::Ground>),
        (now, expected, lead): (SimTime, SimTime, SimDuration),
        calendar: &mut Calendar<Timer>,
    ) {
        let held = self.ground.load(grants);
        let slack = self.decider.slack(job, pool, &held);
        if slack != Load::ZERO {
            self.meter.add_slack(pool, &slack);
        }
        let asked = held.minus(&slack);
        let beyond = self.units_beyond(job, pool, &asked);
        if beyond > 0 {
            self.meter.add_part_slack(pool, beyond);
        }
        self.side.started(job, &held);
        if let Some(spill) = &mut self.spill {
            spill.start(pool, &held, expected, self.ground.gauge());
            self.leave_queue(job, calendar);
        }
        let cut = self.side.cut((job, now), cuts, pool);
        let lead = if self.as_recorded { lead } else { lead + cut };
        match self.arrival(job, pool, grants, &asked, (now, expected, lead)) {
            None => {
                let run = self.run_on(job, pool);
                calendar.set(Timer::End(slot), now + run, Phase::Release);
            }
            Some(arrival) => {
                let nodes = self.ground.on_nodes(grants);
                let guests = self.guests.as_mut().expect("only guests arrive");
                let works_from = guests.begin(slot, &arrival, &nodes, now, calendar);
                if works_from > now {
                    self.at_work.insert(job, works_from);
                } else if !self.restarted.is_empty() {
                    self.at_work.remove(&job);
                }
            }
        }
    }

    /// Units of whole GPUs that a job holds and did not ask for: it asked for parts of them.
    fn units_beyond(&self, job: JobId, pool: PoolId, asked: &Load) -> u64 {
        let each = self.decider.units_of_each(job, pool);
        u64::from(CARD_UNITS - each) * asked.gpus
    }

    /// How long a job runs on whole GPUs of a pool, alone on bare metal.
    fn run_on(&self, job: JobId, pool: PoolId) -> SimDuration {
        let Some((recorded, speeds)) = self.translated else { return self.workload.jobs[job].run };
        speeds.on(job, pool).time_of(recorded.jobs[job].run)
    }

    /// What the guests should know of a job that starts; `None` where all is bare metal, alone.
    fn arrival(
        &self,
        job: JobId,
        pool: PoolId,
        grants: &Grants<D::Ground>,
        asked: &Load,
        (now, expected, lead): (SimTime, SimTime, SimDuration),
    ) -> Option<Arrival> {
        let guests = self.guests.as_ref()?;
        let (run, bare) = match self.translated {
            Some((recorded, speeds)) => (recorded.jobs[job].run, speeds.on(job, pool)),
            None => (self.workload.jobs[job].run, Speed::ONE),
        };
        let is_session = self.workload.jobs[job].flags.has(JobFlags::SESSION);
        let on = if is_session || self.as_recorded {
            OnDevices::WHOLE
        } else {
            self.decider.on_devices(job, grants, &self.ground)
        };
        let gpu_units = i128::from(asked.gpus) * <D::Ground as Ground>::Gauge::GPU_UNITS;
        let gpu_units = gpu_units as u64 - self.units_beyond(job, pool, asked);
        let held = Held { gpu_units, cpus: asked.cpus as u32 };
        let fit = self.decider.fits(job).find(|fit| fit.pool == pool);
        let gpus = fit.map_or(0, |fit| fit.gpus);
        let by_pool: ByPool = std::iter::once((pool, held)).collect();
        Some(Arrival {
            job,
            run,
            bare,
            on_devices: on.speed,
            measured: on.measured,
            cards: on.cards,
            gpus,
            is_session,
            asked: by_pool,
            lead,
            util_milli: self.used_of_held(job, gpus, &held, on.speed),
            launch: SimDuration::ZERO,
            limit: guests.kills_at_limit(pool).then(|| expected.saturating_since(now)),
            resumes: self.restarted.get(&job).and_then(|row| row.left),
        })
    }

    /// Thousandths of what it holds that a job uses, where the use of its GPUs was recorded: on a part of a GPU the same
    /// work uses more of it.
    fn used_of_held(&self, job: JobId, gpus: u32, held: &Held, speed: u64) -> Option<u16> {
        let util_milli = self.workload.recorded.gpu_util_milli(job)?;
        Some(used_of_held(util_milli, gpus, held, speed))
    }

    pub(super) fn end(&mut self, slot: u32, state: JobState, now: SimTime, calendar: &mut Calendar<Timer>) {
        let (held, departure) = self.vacate(slot, Leaves::AtItsEnd, now, calendar);
        let is_killed = departure.is_some_and(|left| left.is_unfinished) && state.ran_to_an_end();
        self.leave_for_good(held, if is_killed { JobState::Timeout } else { state }, now, calendar);
    }

    /// Takes a running job off its nodes and books what it did there.
    pub(super) fn vacate(
        &mut self,
        slot: u32,
        why: Leaves,
        now: SimTime,
        calendar: &mut Calendar<Timer>,
    ) -> (Slot<D::Ground>, Option<Departure>) {
        let held = self.slots[slot as usize].take().expect("a timer of a running job");
        if why != Leaves::Stopped {
            if let Err(conflict) = self.ground.give_back(slot, &held.grants, held.expected) {
                self.conflict = Some(conflict);
            }
            self.decider.free_slot(slot, now);
        }
        self.running -= 1;
        self.dirty = true;
        if !self.is_plain {
            self.uncount(&held, why, now, calendar);
        }
        let Some(guests) = &mut self.guests else {
            self.book_held_idle(&held, now);
            return (held, None);
        };
        let meter = &mut self.meter;
        let departure = match why {
            Leaves::AtItsEnd => guests.end(slot, now, meter, calendar),
            Leaves::Lost => guests.fail(slot, now, meter, calendar),
            Leaves::Stopped => guests.stop(slot, now, meter, calendar),
        };
        (held, Some(departure))
    }

    /// What leaves with a job that held more than it asked for, or parts of GPUs.
    fn uncount(&mut self, held: &Slot<D::Ground>, why: Leaves, now: SimTime, calendar: &mut Calendar<Timer>) {
        let job = held.job;
        // Who is stopped keeps no instances: the decider has given them to others.
        if why != Leaves::Stopped
            && let Err(conflict) = self.side.returned(&held.grants, now, &mut self.ground, calendar)
        {
            self.conflict = Some(conflict);
        }
        let pool = self.ground.pool_of(D::Ground::first(&held.grants));
        let load = self.ground.load(&held.grants);
        if let Some(spill) = &mut self.spill {
            spill.end(pool, &load, held.expected, self.ground.gauge());
        }
        let slack = self.decider.slack(job, pool, &load);
        if slack != Load::ZERO {
            self.meter.drop_slack(pool, &slack);
        }
        let beyond = self.units_beyond(job, pool, &load.minus(&slack));
        if beyond > 0 {
            self.meter.drop_part_slack(pool, beyond);
        }
    }

    /// A job that ran has ended.
    fn leave_for_good(
        &mut self,
        held: Slot<D::Ground>,
        state: JobState,
        now: SimTime,
        calendar: &mut Calendar<Timer>,
    ) {
        let job = held.job;
        self.records[job].end = now;
        self.records[job].state = state;
        let ending = if state == JobState::NodeFail { Ending::NodeLost } else { Ending::WithTheJob };
        self.note_allocation(held, now, ending);
        let has_extras = self.workload.jobs[job].flags.has(JobFlags::HAS_EXTRAS);
        if has_extras {
            calendar.cancel(Timer::Cancel(job));
        }
        self.after_change(job, now, calendar);
        if has_extras {
            self.after_leaving(job, now);
        }
    }

    /// A running job is lost with its host.
    pub(super) fn lose_attempt(
        &mut self,
        slot: u32,
        requeue: bool,
        now: SimTime,
        calendar: &mut Calendar<Timer>,
    ) {
        calendar.cancel(Timer::End(slot));
        let (held, departure) = self.vacate(slot, Leaves::Lost, now, calendar);
        let job = held.job;
        let gets_on = departure.is_some_and(|departure| departure.gets_on);
        let before = self.restarted.get(&job);
        let lost = 1 + before.map_or(0, |row| if gets_on { 0 } else { row.lost });
        let is_endless =
            lost >= MOST_IN_VAIN || before.is_some_and(|row| row.attempts.len() >= MOST_ATTEMPTS);
        let may = requeue && !self.workload.jobs[job].flags.has(JobFlags::NO_REQUEUE);
        if !may || is_endless {
            if let Some(guests) = self.guests.as_mut().filter(|_| may) {
                guests.facts.given_up += 1;
            }
            self.leave_for_good(held, JobState::NodeFail, now, calendar);
            return;
        }
        let row = self.restarted.entry(job).or_default();
        row.lost = lost;
        // Without snapshots it goes on from where it was last stopped, if it ever was.
        row.left = departure.and_then(|departure| departure.kept).or(row.left);
        self.wait_again(held, now, calendar);
    }

    /// The decider has taken a running job off the floor: it keeps its work and waits again.
    pub(super) fn stop(&mut self, slot: u32, now: SimTime, calendar: &mut Calendar<Timer>) {
        calendar.cancel(Timer::End(slot));
        let (held, departure) = self.vacate(slot, Leaves::Stopped, now, calendar);
        let row = self.restarted.entry(held.job).or_default();
        row.left = departure.and_then(|departure| departure.kept);
        let job = held.job;
        self.records[job].state = JobState::Pending;
        self.note_allocation(held, now, Ending::Preempted);
        self.after_change(job, now, calendar);
    }

    fn wait_again(&mut self, held: Slot<D::Ground>, now: SimTime, calendar: &mut Calendar<Timer>) {
        let job = held.job;
        self.records[job].state = JobState::Pending;
        self.note_allocation(held, now, Ending::NodeLost);
        self.after_change(job, now, calendar);
        self.enqueue(job, now);
    }

    /// Books what a job that ran until `now` did not use of its GPUs, where the trace recorded its use.
    fn book_held_idle(&mut self, slot: &Slot<D::Ground>, now: SimTime) {
        let Some(util_milli) = self.workload.recorded.gpu_util_milli(slot.job) else { return };
        let pool = self.ground.pool_of(D::Ground::first(&slot.grants));
        let held = self.ground.load(&slot.grants);
        let asked = held.minus(&self.decider.slack(slot.job, pool, &held));
        let span = now.since(slot.start);
        match self.decider.units_of_each(slot.job, pool) {
            CARD_UNITS => self.meter.hold_idle(pool, asked.gpus, span, util_milli),
            each => self.meter.hold_part_idle(pool, (asked.gpus as u32, each), span, util_milli),
        }
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
    pub(super) fn flush_released(&mut self, now: SimTime, calendar: &mut Calendar<Timer>) {
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

    pub(super) fn cancel(&mut self, job: JobId, now: SimTime, calendar: &mut Calendar<Timer>) {
        match self.records[job].state {
            JobState::Running => {
                let slot = self.slots.iter().position(|s| s.as_ref().is_some_and(|s| s.job == job));
                let slot = slot.expect("a running job holds a slot");
                calendar.cancel(Timer::End(slot as u32));
                self.end(slot as u32, JobState::Cancelled, now, calendar);
            }
            JobState::Pending => {
                let queued = !self.holds.forget(job) && self.decider.withdraw(job, now);
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

    /// Books what jobs that still run did until `until`.
    pub(super) fn close(&mut self, until: SimTime) {
        let slots = std::mem::take(&mut self.slots);
        for (at, slot) in slots.iter().enumerate() {
            let Some(slot) = slot else { continue };
            match &mut self.guests {
                None => self.book_held_idle(slot, until),
                Some(guests) => guests.close(at as u32, until, &mut self.meter),
            }
        }
        self.slots = slots;
    }

    /// Keeps what a job held until `end`, if allocations are kept: the last one of each job, and those of all
    /// attempts where it has several.
    pub(super) fn note_allocation(&mut self, held: Slot<D::Ground>, end: SimTime, ending: Ending) {
        let restarted = self.restarted.get_mut(&held.job);
        if restarted.is_none() && !self.keep {
            return;
        }
        let allocation = if self.keep { D::Ground::plain(&held.grants) } else { Allocation::new() };
        if let Some(row) = restarted {
            let works = self.at_work.get(&held.job).map_or(held.start, |works| held.start.max(*works));
            let (start, allocation) = (held.start, allocation.clone());
            row.attempts.push(Stretch { start, works, end, ending, allocation });
        }
        if self.keep {
            if self.records[held.job].state != JobState::Pending {
                self.allocations.push((held.job, allocation));
            }
            self.side.note((held.job, held.start, end), held.grants);
        }
    }
}

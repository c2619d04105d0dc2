//! When the 1-second loop turns and the backfill thread wakes.
//!
//! Both look each second whether there is something to do, and mostly there is not. Such turns are not events: the loop
//! sleeps until the first turn that could do something, or until something happens, and the thread until something has
//! changed. Their clocks then stand as if they had turned all along (without caches they do).

use super::{Daemon, SECOND, Timer, whole_s};
use crate::kernel::{Calendar, Phase};
use crate::time::{SimDuration, SimTime};

/// The loop's lane of the calendar.
pub(super) const LOOP: usize = 0;
/// The backfill thread's.
pub(super) const BACKFILL: usize = 1;

/// The calendar of a controller.
pub(in crate::simulation::slurm) fn calendar() -> Calendar<Timer> {
    Calendar::with_lanes(&[Timer::Loop, Timer::Backfill])
}

/// When the loop turns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rhythm {
    turn: SimDuration,
    /// The loop sleeps until a whole second, and wakes so much later; `None` = it sleeps a second from its last turn.
    wakes_late: Option<SimDuration>,
}

impl Rhythm {
    pub(super) fn new(drift: SimDuration, whole_seconds: bool) -> Self {
        // what a turn was too long in the drifting loop is how late a sleep ends
        Self { turn: SECOND + drift, wakes_late: whole_seconds.then_some(drift) }
    }

    /// The turn after `last`.
    pub(super) fn after(&self, last: SimTime) -> SimTime {
        match self.wakes_late {
            Some(late) => SimTime::from_s(whole_s(last) + 1) + late,
            None => last + self.turn,
        }
    }

    /// The first turn after `last` that is not before `from`.
    fn first_from(&self, last: SimTime, from: SimTime) -> SimTime {
        if from <= last {
            return self.after(last);
        }
        match self.wakes_late {
            Some(late) => {
                let second = ceil_div((from - late).micros(), SECOND.micros());
                SimTime::from_s(second.max(whole_s(last) + 1)) + late
            }
            None => grid(last, self.turn, from),
        }
    }
}

/// Division that rounds up.
fn ceil_div(a: i64, b: i64) -> i64 {
    -(-a).div_euclid(b)
}

/// The first instant one step or more after `last` that is not before `from`.
fn grid(last: SimTime, step: SimDuration, from: SimTime) -> SimTime {
    let steps = ceil_div(from.micros() - last.micros(), step.micros()).max(1);
    SimTime::from_micros(last.micros() + steps * step.micros())
}

/// A sleep of the loop that is longer than a turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doze {
    /// Its last turn.
    last: SimTime,
    /// Nothing is pending: its passes are left out as well.
    without_passes: bool,
}

impl Daemon<'_> {
    /// One turn of the 1-second loop.
    pub(super) fn turn(&mut self, now: SimTime, calendar: &mut Calendar<Timer>) {
        if self.doze.is_some() && yields(now, calendar) {
            return calendar.set_lane(LOOP, now, Phase::Pass);
        }
        self.catch_up(now);
        let now_s = whole_s(now);
        self.ping(now, calendar);
        if now_s - self.last_limits_s >= self.run.config.controller.time_limit_timer_s {
            self.last_limits_s = now_s;
            self.controller.enforce_limits(now_s);
            self.carry_out(now, calendar);
        }
        let main = &self.run.config.main;
        let full = main.sched_interval_s.is_some_and(|every| now_s - self.last_full_pass_s >= every);
        let wanted = self.pass_wanted && now_s - self.last_pass_s >= main.batch_sched_delay_s;
        if full {
            self.last_full_pass_s = now_s;
        }
        if self.is_ideal() {
            if self.controller.has_begun(now_s) || self.controller.has_reservations() {
                calendar.set(Timer::Pass, now, Phase::Pass);
            }
            self.last_pass_s = now_s;
        } else if full || wanted {
            self.pass_wanted = false;
            self.last_pass_s = now_s;
            self.controller.main_pass(now, full);
            self.has_passed = true;
            self.carry_out(now, calendar);
        }
        self.finished = self.nothing_left(now);
        if !self.finished && !self.park(now, calendar) {
            self.sleep_on(now, calendar);
        }
    }

    /// Asks resumed nodes to register; they can be used when they have.
    fn ping(&mut self, now: SimTime, calendar: &mut Calendar<Timer>) {
        for at in std::mem::take(&mut self.to_ping) {
            calendar.set(Timer::Registered(at), now + self.run.chance.registration(at), Phase::Release);
        }
    }

    /// Sets the next turn that could do something.
    fn sleep_on(&mut self, now: SimTime, calendar: &mut Calendar<Timer>) {
        let next = self.rhythm.after(now);
        let from = self.next_use_s(now).map_or(SimTime::NEVER, SimTime::from_s);
        if from <= next {
            return calendar.set_lane(LOOP, next, Phase::Pass);
        }
        self.doze = Some(Doze { last: now, without_passes: false });
        if from < SimTime::NEVER {
            calendar.set_lane(LOOP, self.rhythm.first_from(now, from), Phase::Pass);
        }
    }

    /// The first second in which a turn could do something, if nothing happens before; `None` = never.
    fn next_use_s(&self, now: SimTime) -> Option<i64> {
        let comes_to_an_end =
            self.next_job >= self.run.jobs.len() && self.commands_left == 0 && self.open.is_empty();
        if self.controller.uncached || self.is_ideal() || !self.to_ping.is_empty() || comes_to_an_end {
            return Some(whole_s(now));
        }
        let main = &self.run.config.main;
        let limits_s = self.controller.limits_matter_from_s();
        let limits_s =
            limits_s.map(|s| s.max(self.last_limits_s + self.run.config.controller.time_limit_timer_s));
        let full_s = main.sched_interval_s.map(|every| self.last_full_pass_s + every);
        let wanted_s = self.pass_wanted.then(|| self.last_pass_s + main.batch_sched_delay_s);
        [limits_s, full_s, wanted_s].into_iter().flatten().min()
    }

    /// Lets the loop rest while its turns could do nothing: nothing pending, no pass wanted, no limit
    /// reached before the earliest planned end.
    fn park(&mut self, now: SimTime, calendar: &mut Calendar<Timer>) -> bool {
        let asleep = self.controller.pending().is_empty() && !self.controller.has_reservations();
        if self.pass_wanted || !asleep || self.open.is_empty() || !self.to_ping.is_empty() {
            return false;
        }
        let first = self.controller.earliest_planned_end_s();
        let Some(first) = first.filter(|end| *end > whole_s(now) + 1) else { return false };
        calendar.set(Timer::Overdue, SimTime::from_s(first), Phase::Epoch);
        self.doze = Some(Doze { last: now, without_passes: true });
        true
    }

    /// Something happens: the loop goes on in its old rhythm.
    pub(super) fn wake_loop(&mut self, now: SimTime, calendar: &mut Calendar<Timer>) {
        let Some(doze) = self.doze else { return };
        if doze.without_passes {
            calendar.cancel(Timer::Overdue);
        }
        self.catch_up(now);
        calendar.set_lane(LOOP, self.rhythm.first_from(doze.last, now), Phase::Pass);
    }

    /// Ends a doze: the clocks stand as if the loop had turned all along until before `now`.
    fn catch_up(&mut self, now: SimTime) {
        let Some(doze) = self.doze.take() else { return };
        let turns = |mut last_s: i64, every_s: i64| {
            let mut last = doze.last;
            loop {
                let at = self.rhythm.first_from(last, SimTime::from_s(last_s + every_s));
                if at >= now {
                    return last_s;
                }
                (last, last_s) = (at, whole_s(at));
            }
        };
        let limits_s = turns(self.last_limits_s, self.run.config.controller.time_limit_timer_s);
        let passes_s = self.run.config.main.sched_interval_s.filter(|_| doze.without_passes);
        let passes_s = passes_s.map(|every| turns(self.last_full_pass_s, every));
        self.last_limits_s = limits_s;
        if let Some(full_s) = passes_s.filter(|s| *s > self.last_full_pass_s) {
            self.last_full_pass_s = full_s;
            self.last_pass_s = full_s;
        }
    }

    /// The backfill thread wakes.
    pub(super) fn wake_backfill(&mut self, now: SimTime, calendar: &mut Calendar<Timer>) {
        if self.finished {
            return;
        }
        let now_s = whole_s(now);
        let interval_s = self.run.config.backfill.interval_s;
        let due = now_s - self.last_backfill_s >= interval_s;
        let changed = self.controller.changed_since(self.last_backfill_s);
        if due && !changed && !self.controller.uncached {
            self.resting = Some(now);
            return;
        }
        let nap = if due && changed {
            let before = self.controller.cycles().backfill_depth;
            self.controller.backfill_cycle(now);
            self.has_passed = true;
            if self.carry_out(now, calendar) {
                self.wake_loop(now, calendar);
            }
            self.last_backfill_s = now_s;
            let depth = i64::try_from(self.controller.cycles().backfill_depth - before).expect("a queue");
            let took = SimDuration::from_micros(self.backfill_test.micros().saturating_mul(depth));
            SimDuration::from_s(interval_s) + took
        } else {
            SECOND
        };
        calendar.set_lane(BACKFILL, now + nap + self.oversleep, Phase::Pass);
    }

    /// The backfill thread will see a change at the end of its first nap that ends at `from` or later.
    pub(super) fn rouse_backfill(&mut self, from: SimTime, calendar: &mut Calendar<Timer>) {
        let Some(last) = self.resting.filter(|_| self.controller.changed_since(self.last_backfill_s)) else {
            return;
        };
        self.resting = None;
        calendar.set_lane(BACKFILL, grid(last, SECOND + self.oversleep, from), Phase::Pass);
    }
}

/// Whether another timer of this instant comes before a turn of the loop that was set long before it: as if the turn
/// before had set it.
fn yields(now: SimTime, calendar: &Calendar<Timer>) -> bool {
    calendar.lane_due(BACKFILL) == Some(now) || calendar.due(&Timer::Priorities) == Some(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Jumps land where single turns would.
    #[test]
    fn a_jump_is_many_turns() {
        let drift = SimDuration::from_micros(1_234);
        for whole_seconds in [false, true] {
            let rhythm = Rhythm::new(drift, whole_seconds);
            for start_us in [-5_400_300, 0, 77, 999_999, 1_001_234] {
                let last = SimTime::from_micros(start_us);
                for ahead_us in [-3, 0, 1, 998_766, 1_000_000, 1_001_233, 1_001_234, 1_001_235, 64_500_000] {
                    let from = SimTime::from_micros(start_us + ahead_us);
                    let mut turn = rhythm.after(last);
                    while turn < from {
                        turn = rhythm.after(turn);
                    }
                    assert_eq!(rhythm.first_from(last, from), turn, "{whole_seconds} {start_us} {ahead_us}");
                }
            }
        }
    }
}

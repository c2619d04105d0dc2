//! Calendar and loop: what happens when, and in which order at one instant.
//!
//! ```text
//!   sorted arrivals ──┐
//!                     ├─> next instant ─> events of the instant by phase ─> settle ─┐
//!   keyed timers ─────┘        ^                                                    │
//!                              └──────── again while something is due now ──────────┘
//! ```
//!
//! The kernel knows nothing of jobs, clusters or policies: a [`Model`] handles events and, when all
//! events of an instant are handled, decides ([`Model::settle`]). Arrivals come from a sorted lane and
//! never enter the heap; timers are keyed, one live timer a key, so moving an event is a reschedule.
//!
//! Invariants: time never goes back; at one instant events come by [`Phase`], then by the order in
//! which they were set; the same calls give the same order on every machine. A model that keeps
//! setting timers for the present instant is stopped after [`Budget::rounds`] rounds: a stall.

pub mod calendar;

use std::ops::ControlFlow;

use crate::time::SimTime;

pub use calendar::{Calendar, Phase};

/// What the kernel runs.
pub trait Model {
    /// The key of a timer: one entity and one purpose.
    type Timer: Copy + Eq + std::hash::Hash;

    /// When the next arrival is due; arrivals are sorted.
    fn next_arrival(&self) -> Option<SimTime>;

    /// Takes in every arrival due at `now`.
    fn arrive(&mut self, now: SimTime, calendar: &mut Calendar<Self::Timer>);

    /// A timer has come due.
    fn fire(&mut self, now: SimTime, timer: Self::Timer, calendar: &mut Calendar<Self::Timer>);

    /// All that was due at `now` has happened: decide. Timers set for `now` lead to another round;
    /// breaking ends the run ([`RunEnd::Broken`]).
    fn settle(&mut self, now: SimTime, calendar: &mut Calendar<Self::Timer>) -> ControlFlow<()>;
}

/// How much a run may do.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Events (arrival batches and timers).
    pub events: u64,
    /// Last instant that is handled.
    pub until: SimTime,
    /// Rounds at one instant.
    pub rounds: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { events: u64::MAX, until: SimTime::NEVER, rounds: 1_000 }
    }
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// Nothing is left to happen.
    Drained,
    /// The next event lies after the horizon.
    Horizon,
    /// The event budget is used up.
    EventBudget,
    /// The model went on setting timers for this instant.
    Stalled(SimTime),
    /// The caller asked to stop.
    Interrupted,
    /// The model broke off; it knows why.
    Broken,
}

/// What a run did.
#[derive(Clone, Copy, Debug)]
pub struct RunReport {
    /// Why it ended.
    pub end: RunEnd,
    /// Last instant that was handled.
    pub now: SimTime,
    /// Timers fired and arrival batches.
    pub events: u64,
}

/// Runs `model` until nothing is left, the budget is used up, or `interrupted` says so (asked every
/// few dozen instants, so that long passes can be stopped too).
pub fn run<M: Model>(
    model: &mut M,
    calendar: &mut Calendar<M::Timer>,
    budget: Budget,
    interrupted: &dyn Fn() -> bool,
) -> RunReport {
    const INSTANTS_BETWEEN_CHECKS: u32 = 64;
    let mut report = RunReport { end: RunEnd::Drained, now: SimTime::from_micros(i64::MIN), events: 0 };
    let mut until_check = INSTANTS_BETWEEN_CHECKS;
    let mut next = next_instant(model, calendar);
    while let Some(now) = next {
        assert!(now >= report.now, "time goes back from {} to {now}", report.now);
        report.end = if now > budget.until {
            RunEnd::Horizon
        } else if report.events >= budget.events {
            RunEnd::EventBudget
        } else {
            RunEnd::Drained
        };
        if report.end != RunEnd::Drained {
            return report;
        }
        until_check -= 1;
        if until_check == 0 {
            until_check = INSTANTS_BETWEEN_CHECKS;
            if interrupted() {
                report.end = RunEnd::Interrupted;
                return report;
            }
        }
        report.now = now;
        let mut rounds = 0;
        while next == Some(now) {
            rounds += 1;
            if rounds > budget.rounds {
                report.end = RunEnd::Stalled(now);
                return report;
            }
            let (events, flow) = one_round(model, calendar, now);
            report.events += events;
            if flow.is_break() {
                report.end = RunEnd::Broken;
                return report;
            }
            next = next_instant(model, calendar);
        }
    }
    report
}

fn next_instant<M: Model>(model: &M, calendar: &Calendar<M::Timer>) -> Option<SimTime> {
    match (calendar.next_at(), model.next_arrival()) {
        (Some(timer), Some(arrival)) => Some(timer.min(arrival)),
        (timer, arrival) => timer.or(arrival),
    }
}

/// Fires what is due before arrivals, lets arrivals in, fires the rest, then settles.
fn one_round<M: Model>(
    model: &mut M,
    calendar: &mut Calendar<M::Timer>,
    now: SimTime,
) -> (u64, ControlFlow<()>) {
    let mut events = 0;
    while let Some(timer) = calendar.pop_due(now, Phase::NodeUp) {
        model.fire(now, timer, calendar);
        events += 1;
    }
    if model.next_arrival() == Some(now) {
        model.arrive(now, calendar);
        events += 1;
    }
    while let Some(timer) = calendar.pop_due(now, Phase::Pass) {
        model.fire(now, timer, calendar);
        events += 1;
    }
    (events, model.settle(now, calendar))
}

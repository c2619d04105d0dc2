//! One large job with warm standbys, a working pool and spares: AIReSim's rules, in a small model of their own.
//!
//! This is not the simulation core, which has spares of its own (`simulation::fleet`) but other rules: there hosts fail whether
//! a job runs on them or not, standbys too, also while a job recovers; a job goes on from a snapshot, and a lent host
//! goes back when it is no longer needed. At the rates of these cases a job recovers for half of the time, so that
//! decides the figures. They judge this model's rules, not the core's (LIMITATIONS.md says so).
//!
//! The job is stopped by each failure for `recovery`, and loses no work. Then a standby takes over; where none is left, a
//! new selection takes `size + standby` nodes at random from the working pool, after fetching spares (`preempt`
//! each, and they stay) until the pool holds `size`. Bad nodes fail `mult` times as often in addition; a repair that
//! fixes makes them good. Only nodes at work fail, and only while the job runs; what is being repaired is so all the
//! time. Up-times are exponential, so whose turn it is next is one draw for all.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rayon::prelude::*;
use serde::Deserialize;
use serde_json::json;

use super::super::{Row, Tolerance};
use super::{Case, Judged, Z99, half_width, in_range, spread};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::random::Stream;

/// Runs of a case.
const RUNS: u64 = 200;
/// Runs behind what is expected: its own interval counts too.
const REFERENCE_RUNS: f64 = 24.0;
/// More failures than this in a run would take minutes.
const MOST_FAILURES: f64 = 1e7;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    size: usize,
    standby: usize,
    pool: usize,
    spare: usize,
    length: f64,
    rate: f64,
    mult: f64,
    bad: f64,
    recovery: f64,
    select: f64,
    preempt: f64,
    auto: f64,
    manual: f64,
    esc: f64,
    af: f64,
    mf: f64,
}

#[derive(Default, Deserialize)]
struct Expected {
    hours: Option<f64>,
    hours_sd: Option<f64>,
    failures: Option<f64>,
    failures_sd: Option<f64>,
}

#[derive(Deserialize)]
pub(super) struct PoolCase {
    name: String,
    parameters: Parameters,
    #[serde(default)]
    expected: Expected,
}

impl Case for PoolCase {
    fn name(&self) -> &str {
        &self.name
    }
}

pub(super) fn judge(case: &PoolCase) -> Result<Judged, Diagnostics> {
    check(case)?;
    let runs: Vec<Run> =
        (1..=RUNS).into_par_iter().map(|seed| Model::new(&case.parameters, seed).run()).collect();
    let of = |figure: fn(&Run) -> f64| -> Vec<f64> { runs.iter().map(figure).collect() };
    let (hours, failures) = (of(|run| run.hours), of(|run| run.failures as f64));
    let mean = |figure: fn(&Run) -> f64| spread(&of(figure)).0;
    let values = json!({
        "name": case.name,
        "hours": spread(&hours).0,
        "hours_sd": spread(&hours).1,
        "failures": spread(&failures).0,
        "failures_sd": spread(&failures).1,
        "systematic": mean(|run| run.systematic as f64),
        "selections": mean(|run| run.selections as f64),
        "from_spare_pool": mean(|run| run.fetched as f64),
        "runs": RUNS,
    });
    let row = |what: &str, published: Option<f64>, sd: Option<f64>, ours: &[f64], most_pct: f64| {
        let published = published?;
        let reference = Z99 * sd.unwrap_or(0.0) / libm::sqrt(REFERENCE_RUNS);
        let interval = 100.0 * (reference + half_width(ours)) / published;
        Some(Row {
            what: format!("{}: {what}", case.name),
            published,
            ours: spread(ours).0,
            // To a hundredth of a per cent, as it is printed.
            tolerance: Tolerance::Relative(libm::round(100.0 * (most_pct + interval)) / 100.0),
            decimals: 1,
        })
    };
    let expected = &case.expected;
    let rows = [
        row("hours", expected.hours, expected.hours_sd, &hours, 0.5),
        row("failures", expected.failures, expected.failures_sd, &failures, 1.0),
    ];
    let rows = rows.into_iter().flatten().collect();
    Ok(Judged { values, rows, notes: Vec::new(), told: Diagnostics::default() })
}

fn check(case: &PoolCase) -> Result<(), Diagnostics> {
    let p = &case.parameters;
    let shares =
        [("bad", p.bad), ("esc", p.esc), ("af", p.af), ("mf", p.mf)].map(|(name, at)| (name, at, 0.0, 1.0));
    in_range(&case.name, &shares)?;
    let counts =
        [("size", p.size, 1.0), ("standby", p.standby, 0.0), ("pool", p.pool, 0.0), ("spare", p.spare, 0.0)];
    in_range(&case.name, &counts.map(|(name, at, least)| (name, at as f64, least, 1e7)))?;
    let spans = [
        ("recovery", p.recovery),
        ("select", p.select),
        ("preempt", p.preempt),
        ("auto", p.auto),
        ("manual", p.manual),
    ];
    in_range(&case.name, &spans.map(|(name, at)| (name, at, 0.0, 1e6)))?;
    in_range(
        &case.name,
        &[("length", p.length, 1e-6, 1e9), ("rate", p.rate, 0.0, 1e6), ("mult", p.mult, 0.0, 1e6)],
    )?;
    let refuse = |message: String, help: &str| {
        Err(super::one(Diagnostic::error("W0433", message).help(help.to_owned())))
    };
    if p.size > p.pool + p.spare {
        let message = format!(
            "the job of `{}` has {} nodes, and pool and spares only {}",
            case.name,
            p.size,
            p.pool + p.spare
        );
        return refuse(message, "raise `pool` or `spare`, or lower `size`");
    }
    let failures = p.size as f64 * p.length * p.rate * (1.0 + p.mult * p.bad);
    if failures > MOST_FAILURES {
        return refuse(
            format!("about {failures:.0} failures in a run of `{}`", case.name),
            "lower `rate` or `length`",
        );
    }
    Ok(())
}

/// What a run tells.
struct Run {
    hours: f64,
    failures: u64,
    systematic: u64,
    selections: u64,
    fetched: u64,
}

/// A point in time that sorts.
#[derive(Clone, Copy, PartialEq)]
struct Hour(f64);

impl Eq for Hour {}

impl PartialOrd for Hour {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Hour {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

struct Model<'p> {
    p: &'p Parameters,
    stream: Stream,
    is_bad: Vec<bool>,
    active: Vec<usize>,
    bad_active: usize,
    standbys: Vec<usize>,
    /// Of the working pool, neither at work nor standing by.
    idle: Vec<usize>,
    spares: Vec<usize>,
    /// When which node is back, and whether it is fixed.
    repairs: BinaryHeap<Reverse<(Hour, usize, bool)>>,
    now: f64,
    told: Run,
}

impl<'p> Model<'p> {
    fn new(p: &'p Parameters, seed: u64) -> Self {
        let mut stream = Stream::new(seed, "spare-pool", 0, 0);
        let is_bad: Vec<bool> = (0..p.pool + p.spare).map(|_| stream.uniform() < p.bad).collect();
        Self {
            p,
            stream,
            is_bad,
            active: Vec::new(),
            bad_active: 0,
            standbys: Vec::new(),
            idle: (0..p.pool).collect(),
            spares: (p.pool..p.pool + p.spare).collect(),
            repairs: BinaryHeap::new(),
            now: 0.0,
            told: Run { hours: 0.0, failures: 0, systematic: 0, selections: 0, fetched: 0 },
        }
    }

    fn run(mut self) -> Run {
        self.select();
        let mut left = self.p.length;
        loop {
            let random = self.p.rate * self.active.len() as f64;
            let systematic = self.p.rate * self.p.mult * self.bad_active as f64;
            let rate = random + systematic;
            let up = if rate > 0.0 { self.stream.exponential(1.0 / rate) } else { f64::INFINITY };
            if up >= left {
                self.told.hours = self.now + left;
                return self.told;
            }
            left -= up;
            self.pass(up);
            let is_systematic = self.stream.uniform() * rate < systematic;
            self.fail(is_systematic);
        }
    }

    /// Lets time pass; nodes whose repair is over come back.
    fn pass(&mut self, hours: f64) {
        self.now += hours;
        while let Some(Reverse((at, node, fixed))) =
            self.repairs.peek().copied().filter(|row| row.0.0.0 <= self.now)
        {
            debug_assert!(at.0 <= self.now);
            self.repairs.pop();
            self.is_bad[node] &= !fixed;
            let waits = self.standbys.len() < self.p.standby;
            if waits { self.standbys.push(node) } else { self.idle.push(node) }
        }
    }

    fn fail(&mut self, is_systematic: bool) {
        self.told.failures += 1;
        self.told.systematic += u64::from(is_systematic);
        let at = if is_systematic {
            let number = self.stream.below(self.bad_active as u64) as usize;
            let bad = self.active.iter().enumerate().filter(|(_, node)| self.is_bad[**node]);
            bad.map(|(at, _)| at).nth(number).expect("so many of those at work are bad")
        } else {
            self.stream.below(self.active.len() as u64) as usize
        };
        let node = self.active.swap_remove(at);
        self.bad_active -= usize::from(self.is_bad[node]);
        let escalates = self.stream.uniform() < self.p.esc;
        let mut repair = self.stream.exponential(self.p.auto);
        if escalates {
            repair += self.stream.exponential(self.p.manual);
        }
        let fails = self.stream.uniform() < if escalates { self.p.mf } else { self.p.af };
        self.repairs.push(Reverse((Hour(self.now + repair), node, !fails)));
        self.pass(self.p.recovery);
        match self.standbys.pop() {
            Some(node) => self.activate(node),
            None => self.select(),
        }
    }

    fn activate(&mut self, node: usize) {
        self.bad_active += usize::from(self.is_bad[node]);
        self.active.push(node);
    }

    /// Takes nodes for the job and its standbys, at random; all that it had go back first.
    fn select(&mut self) {
        self.told.selections += 1;
        self.idle.append(&mut self.active);
        self.idle.append(&mut self.standbys);
        self.bad_active = 0;
        while self.idle.len() < self.p.size {
            if let Some(node) = self.spares.pop() {
                self.told.fetched += 1;
                self.idle.push(node);
                self.pass(self.p.preempt);
            } else {
                // All spares are in the pool already: the next one to be repaired is waited for.
                let back = self.repairs.peek().map_or(self.now, |Reverse((at, _, _))| at.0);
                self.pass((back - self.now).max(0.0) + f64::EPSILON * self.now);
            }
            // Those that came back stood by for nobody.
            self.idle.append(&mut self.standbys);
        }
        self.pass(self.p.select);
        self.idle.append(&mut self.standbys);
        for wanted in 0..self.p.size + self.p.standby {
            if self.idle.is_empty() {
                break;
            }
            let at = self.stream.below(self.idle.len() as u64) as usize;
            let node = self.idle.swap_remove(at);
            if wanted < self.p.size { self.activate(node) } else { self.standbys.push(node) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet() -> Parameters {
        Parameters {
            size: 10,
            standby: 2,
            pool: 16,
            spare: 4,
            length: 100.0,
            rate: 0.0,
            mult: 0.0,
            bad: 0.0,
            recovery: 1.0,
            select: 0.5,
            preempt: 2.0,
            auto: 1.0,
            manual: 10.0,
            esc: 0.0,
            af: 0.0,
            mf: 0.0,
        }
    }

    #[test]
    fn without_failures_only_the_selection_and_what_is_fetched_for_it_cost_time() {
        assert_eq!(Model::new(&quiet(), 1).run().hours, 100.5);
        let small = Parameters { pool: 7, ..quiet() };
        let run = Model::new(&small, 1).run();
        assert_eq!((run.hours, run.fetched), (100.5 + 3.0 * 2.0, 3));
    }

    #[test]
    fn hours_are_those_of_what_happened_and_failures_those_of_the_rates() {
        let p =
            Parameters { rate: 0.01, mult: 4.0, bad: 0.3, esc: 0.5, af: 1.0, mf: 1.0, standby: 5, ..quiet() };
        let (mut failures, mut systematic, runs) = (0, 0, 400);
        for seed in 0..runs {
            let run = Model::new(&p, seed).run();
            let known = 100.0 + run.failures as f64 + 0.5 * run.selections as f64 + 2.0 * run.fetched as f64;
            assert!(run.hours >= known - 1e-9, "it waits for repairs beside");
            (failures, systematic) = (failures + run.failures, systematic + run.systematic);
        }
        // Nothing is ever fixed, so of those at work as many are bad as of all, but for those in repair.
        let random = (failures - systematic) as f64 / runs as f64;
        assert!((random / (10.0 * 100.0 * 0.01) - 1.0).abs() < 0.05, "{random}");
        let share = systematic as f64 / failures as f64;
        assert!((0.40..0.55).contains(&share), "{share} of 0.545 at most");
    }

    #[test]
    fn what_is_fixed_stays_good() {
        let p =
            Parameters { rate: 0.05, mult: 20.0, bad: 1.0, length: 10_000.0, pool: 12, spare: 0, ..quiet() };
        let run = Model::new(&p, 3).run();
        assert!(run.systematic <= 12, "each of the twelve is bad until its first repair: {}", run.systematic);
    }
}

//! Series over time: running and waiting jobs, allocated devices; peaks survive the down-sampling.

use serde::Serialize;

use crate::cluster::{Amounts, ClusterSpec};
use crate::ids::Id;
use crate::scheduler::Shapes;
use crate::simulation::Outcome;
use crate::time::{MICROS_PER_S, SimTime};
use crate::workload::Workload;

/// One interval: time-weighted means and peaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct TimelineRow {
    /// Start of the interval, seconds of the trace.
    pub from_s: f64,
    /// Waiting jobs, mean.
    pub waiting_mean: f64,
    /// Waiting jobs, most.
    pub waiting_max: u64,
    /// Running jobs, mean.
    pub running_mean: f64,
    /// Allocated CPUs, mean.
    pub cpus_mean: f64,
    /// Allocated CPUs, most.
    pub cpus_max: u64,
    /// Allocated GPUs, mean.
    pub gpus_mean: f64,
    /// Allocated GPUs, most.
    pub gpus_max: u64,
}

/// Equal intervals over the horizon.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// Length of an interval in seconds.
    pub step_s: f64,
    /// The intervals.
    pub rows: Vec<TimelineRow>,
}

/// A GPU, in the units in which parts of GPUs are counted.
const GPU: i64 = crate::simulation::meter::UNITS_PER_DEVICE as i64;

#[derive(Clone, Copy, Default)]
struct Levels {
    waiting: i64,
    running: i64,
    cpus: i64,
    gpus: i64,
}

/// The series of a run in at most `intervals` intervals of whole seconds.
#[must_use]
pub fn timeline(workload: &Workload, cluster: &ClusterSpec, outcome: &Outcome, intervals: usize) -> Timeline {
    let changes = changes(workload, cluster, outcome);
    let from = outcome.first_submit.micros();
    let span = outcome.last_instant.micros() - from;
    let step = (span / intervals.max(1) as i64 / MICROS_PER_S + 1) * MICROS_PER_S;
    let mut rows = Vec::new();
    let mut levels = Levels::default();
    let mut at = 0;
    let mut start = from;
    while start < from + span.max(1) {
        let end = (start + step).min(from + span);
        rows.push(interval(start, end, &changes, &mut at, &mut levels));
        start += step;
    }
    Timeline { step_s: step as f64 / MICROS_PER_S as f64, rows }
}

/// What changes when: (instant, change), in order.
fn changes(workload: &Workload, cluster: &ClusterSpec, outcome: &Outcome) -> Vec<(i64, Levels)> {
    let shapes = Shapes::new(workload, cluster);
    let mut changes = Vec::with_capacity(outcome.records.len() * 3);
    for (job, record) in outcome.records.iter_ids() {
        let row = &workload.jobs[job];
        if record.state == crate::simulation::JobState::Future {
            continue;
        }
        let waits = |from: SimTime, to: SimTime, changes: &mut Vec<(i64, Levels)>| {
            changes.push((from.micros(), Levels { waiting: 1, ..Levels::default() }));
            if to != SimTime::NEVER {
                changes.push((to.micros(), Levels { waiting: -1, ..Levels::default() }));
            }
        };
        let mut since = row.submit;
        for (start, end) in outcome.stretches(job) {
            waits(since, start, &mut changes);
            let shape = shapes.get(shapes.of(row.request));
            let held = shape.pools.first().map_or(Amounts::ZERO, |pool| pool.total);
            let (cpus, gpus) = match outcome.shared.as_deref() {
                Some(facts) => {
                    let asked = facts.asked[row.request.index()].cpus;
                    (i64::from(held.cpus.max(asked)), i64::from(facts.units[job]))
                }
                None => {
                    let cpus = if outcome.preemptive.as_ref().is_none_or(|facts| facts.takes_cpus) {
                        i64::from(held.cpus)
                    } else {
                        0
                    };
                    (cpus, i64::from(held.gpus) * GPU)
                }
            };
            changes.push((start.micros(), Levels { waiting: 0, running: 1, cpus, gpus }));
            changes.push((end.micros(), Levels { waiting: 0, running: -1, cpus: -cpus, gpus: -gpus }));
            since = end;
        }
        let again = record.state != crate::simulation::JobState::Running && record.end != since;
        if record.start == SimTime::NEVER || again {
            waits(since, record.end, &mut changes);
        }
    }
    changes.sort_by_key(|(at, _)| *at);
    changes
}

fn interval(
    start: i64,
    end: i64,
    changes: &[(i64, Levels)],
    at: &mut usize,
    levels: &mut Levels,
) -> TimelineRow {
    let mut sums = [0i128; 4];
    let mut peaks = [0; 3];
    let mut since = start;
    loop {
        let until = changes.get(*at).map_or(end, |(when, _)| (*when).min(end)).max(since);
        let us = i128::from(until - since);
        for (sum, level) in sums.iter_mut().zip([levels.waiting, levels.running, levels.cpus, levels.gpus]) {
            *sum += us * i128::from(level);
        }
        if us > 0 {
            for (peak, level) in peaks.iter_mut().zip([levels.waiting, levels.cpus, levels.gpus]) {
                *peak = (*peak).max(level);
            }
        }
        since = until;
        match changes.get(*at) {
            Some((when, change)) if *when < end || (*when == end && start == end) => {
                levels.waiting += change.waiting;
                levels.running += change.running;
                levels.cpus += change.cpus;
                levels.gpus += change.gpus;
                *at += 1;
            }
            _ => break,
        }
    }
    let span = (end - start).max(1) as f64;
    let mean = |sum: i128| sum as f64 / span;
    let peak = |level: i64| u64::try_from(level).unwrap_or(0);
    TimelineRow {
        from_s: start as f64 / MICROS_PER_S as f64,
        waiting_mean: mean(sums[0]),
        waiting_max: peak(peaks[0]),
        running_mean: mean(sums[1]),
        cpus_mean: mean(sums[2]),
        cpus_max: peak(peaks[1]),
        gpus_mean: mean(sums[3]) / GPU as f64,
        gpus_max: peak(peaks[2]).div_ceil(GPU as u64),
    }
}

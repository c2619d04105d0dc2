//! Waits and utilization over time, both sides.

use serde::Serialize;

use super::Case;
use crate::cluster::Amounts;
use crate::ids::JobId;
use crate::metrics::groups::asked_by_request;
use crate::time::{MICROS_PER_S, SimDuration, SimTime};

const DAY: i64 = 86_400 * MICROS_PER_S;
/// Two weeks, moved by a day.
const WINDOW: i64 = 14 * DAY;
const STEP: i64 = DAY;
/// Points of a utilization curve.
const POINTS: i64 = 300;

/// Mean wait of the jobs submitted in the window before an instant.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MovingPoint {
    /// The instant, seconds of the trace.
    pub at_s: f64,
    /// Jobs in the window.
    pub jobs: u64,
    /// Recorded mean wait.
    pub recorded_s: f64,
    /// Simulated mean wait.
    pub simulated_s: f64,
}

/// The moving mean of the wait and its error.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MovingMean {
    /// Length of the window: two weeks, or a quarter of a shorter case.
    pub window_s: f64,
    /// Distance of the instants: a day, or a fourteenth of a shorter window.
    pub step_s: f64,
    /// Mean over the instants of |simulated - recorded| / recorded, in per cent.
    pub mean_absolute_error_pct: Option<f64>,
    /// Mean over the instants of |simulated - recorded|.
    pub mean_absolute_error_s: Option<f64>,
    /// Instants without job, or with a recorded mean of zero: not in the percentage.
    pub left_out: u64,
    /// The curve.
    pub curve: Vec<MovingPoint>,
}

/// The moving mean of jobs given as (submit, recorded wait, simulated wait) in microseconds.
pub(super) fn moving_mean(jobs: &[(SimTime, i64, i64)], (from, to): (SimTime, SimTime)) -> MovingMean {
    let span = to.saturating_since(from).micros();
    let window = if span >= WINDOW { WINDOW } else { (span / 4).max(1) };
    let step = if window == WINDOW { STEP } else { (window / 14).max(1) };
    let mut sorted = jobs.to_vec();
    sorted.sort_by_key(|(submit, _, _)| *submit);
    let mut found = MovingMean {
        window_s: SimDuration::from_micros(window).as_s(),
        step_s: SimDuration::from_micros(step).as_s(),
        ..MovingMean::default()
    };
    let (mut first, mut next, mut real, mut ours) = (0, 0, 0i128, 0i128);
    let (mut relative, mut absolute, mut positions) = (0.0, 0.0, 0u64);
    let mut at = from.micros().saturating_add(window);
    while at <= to.micros() {
        while next < sorted.len() && sorted[next].0.micros() < at {
            real += i128::from(sorted[next].1);
            ours += i128::from(sorted[next].2);
            next += 1;
        }
        while first < next && sorted[first].0.micros() < at - window {
            real -= i128::from(sorted[first].1);
            ours -= i128::from(sorted[first].2);
            first += 1;
        }
        let count = (next - first) as u64;
        if count > 0 {
            let mean = |sum: i128| sum as f64 / count as f64 / MICROS_PER_S as f64;
            let point = MovingPoint {
                at_s: SimTime::from_micros(at).as_s(),
                jobs: count,
                recorded_s: mean(real),
                simulated_s: mean(ours),
            };
            absolute += (point.simulated_s - point.recorded_s).abs();
            if real > 0 {
                relative += (ours - real).unsigned_abs() as f64 / real as f64;
                positions += 1;
            }
            found.curve.push(point);
        }
        found.left_out += u64::from(count == 0 || real == 0);
        at += step;
    }
    found.mean_absolute_error_pct = (positions > 0).then(|| relative / positions as f64 * 100.0);
    let points = found.curve.len();
    found.mean_absolute_error_s = (points > 0).then(|| absolute / points as f64);
    found
}

/// Utilization in one step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct UtilizationPoint {
    /// Begin of the step, seconds of the trace.
    pub at_s: f64,
    /// Recorded share of the CPUs.
    pub recorded_cpu: Option<f64>,
    /// Simulated share of the CPUs.
    pub simulated_cpu: Option<f64>,
    /// Recorded share of the GPUs.
    pub recorded_gpu: Option<f64>,
    /// Simulated share of the GPUs.
    pub simulated_gpu: Option<f64>,
}

/// Utilization of both sides over the window.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct UtilizationCurve {
    /// Length of a step.
    pub step_s: f64,
    /// Mean over the window.
    pub recorded_cpu: Option<f64>,
    /// Mean over the window.
    pub simulated_cpu: Option<f64>,
    /// Mean over the window; none where the machine has no GPU.
    pub recorded_gpu: Option<f64>,
    /// Mean over the window; none where the machine has no GPU.
    pub simulated_gpu: Option<f64>,
    /// Mean distance of both sides over the steps: GPUs where there are any, else CPUs.
    pub mean_absolute_difference: Option<f64>,
    /// The curve.
    pub curve: Vec<UtilizationPoint>,
}

/// Device-microseconds by step.
struct Area {
    from: i64,
    to: i64,
    step: i64,
    cpu: Vec<i128>,
    gpu: Vec<i128>,
}

impl Area {
    /// Adds a job that held `asked` from `start` to `end`.
    fn add(&mut self, asked: &Amounts, start: SimTime, end: SimTime) {
        let (start, end) = (start.micros().max(self.from), end.micros().min(self.to));
        if start >= end {
            return;
        }
        let first = (start - self.from) / self.step;
        let last = (end - 1 - self.from) / self.step;
        for at in first..=last {
            let begin = self.from + at * self.step;
            let inside = i128::from(end.min(begin + self.step) - start.max(begin));
            self.cpu[at as usize] += inside * i128::from(asked.cpus);
            self.gpu[at as usize] += inside * i128::from(asked.gpus);
        }
    }
}

/// Allocated shares of both sides; only jobs with a recorded start that ran in the simulation too.
pub(super) fn utilization(case: &Case<'_>) -> UtilizationCurve {
    let (from, to) = (case.window.0.micros(), case.window.1.micros());
    let span = to - from;
    if span <= 0 {
        return UtilizationCurve::default();
    }
    let step = (span / POINTS).max(MICROS_PER_S);
    let steps = span.div_euclid(step) + i64::from(span % step > 0);
    let area = || Area { from, to, step, cpu: vec![0; steps as usize], gpu: vec![0; steps as usize] };
    let (mut real, mut ours) = (area(), area());
    let asked = asked_by_request(case.workload, case.cluster, None);
    for (id, job) in case.workload.jobs.iter_ids() {
        let id: JobId = id;
        let (past, record) = (case.workload.recorded(id), &case.records[id]);
        let Some(start) = past.start.filter(|_| record.start != SimTime::NEVER) else { continue };
        let asked = &asked[job.request.0 as usize];
        real.add(asked, start, past.end.unwrap_or(start + job.run));
        ours.add(asked, record.start, if record.end == SimTime::NEVER { case.window.1 } else { record.end });
    }
    let has = case.cluster.capacity();
    let share = |busy: i128, of: u32, span: i64| {
        (of > 0).then(|| busy as f64 / (i128::from(of) * i128::from(span)) as f64)
    };
    let total = |steps: &[i128], of: u32| share(steps.iter().sum(), of, span);
    let curve: Vec<UtilizationPoint> = (0..steps)
        .map(|at| {
            let begin = from + at * step;
            let length = step.min(to - begin);
            let at = at as usize;
            UtilizationPoint {
                at_s: SimTime::from_micros(begin).as_s(),
                recorded_cpu: share(real.cpu[at], has.cpus, length),
                simulated_cpu: share(ours.cpu[at], has.cpus, length),
                recorded_gpu: share(real.gpu[at], has.gpus, length),
                simulated_gpu: share(ours.gpu[at], has.gpus, length),
            }
        })
        .collect();
    let apart = |point: &UtilizationPoint| match (point.recorded_gpu, point.simulated_gpu) {
        (Some(real), Some(ours)) => (ours - real).abs(),
        _ => (point.simulated_cpu.unwrap_or(0.0) - point.recorded_cpu.unwrap_or(0.0)).abs(),
    };
    UtilizationCurve {
        step_s: SimDuration::from_micros(step).as_s(),
        recorded_cpu: total(&real.cpu, has.cpus),
        simulated_cpu: total(&ours.cpu, has.cpus),
        recorded_gpu: total(&real.gpu, has.gpus),
        simulated_gpu: total(&ours.gpu, has.gpus),
        mean_absolute_difference: Some(curve.iter().map(apart).sum::<f64>() / curve.len() as f64),
        curve,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: i64) -> SimTime {
        SimTime::from_s(seconds)
    }

    #[test]
    fn a_moving_mean_by_hand() {
        // 28 days; a job in the first week waits 10 s (simulated 20), one in the third 30 s (simulated 15).
        let day = 86_400;
        let wait = |seconds: i64| seconds * MICROS_PER_S;
        let jobs = [(s(3 * day), wait(10), wait(20)), (s(20 * day), wait(30), wait(15))];
        let found = moving_mean(&jobs, (s(0), s(28 * day)));
        // Instants are days 14 to 28. Day 14 to 17: only the first job (error 100 %). Day 18 to 20: none (the
        // first left with day 18: its window begins at day 4). Day 21 to 28: only the second (error 50 %).
        assert_eq!(found.curve.len(), 4 + 8);
        assert_eq!(found.left_out, 3);
        let expected = (4.0 * 100.0 + 8.0 * 50.0) / 12.0;
        assert!((found.mean_absolute_error_pct.unwrap_or(0.0) - expected).abs() < 1e-9);
        let expected = (4.0 * 10.0 + 8.0 * 15.0) / 12.0;
        assert!((found.mean_absolute_error_s.unwrap_or(0.0) - expected).abs() < 1e-9);
        assert_eq!((found.window_s, found.step_s), (14.0 * 86_400.0, 86_400.0));
    }

    #[test]
    fn a_short_case_has_a_short_window() {
        let found = moving_mean(&[(s(10), 0, 5)], (s(0), s(56_000)));
        assert_eq!((found.window_s, found.step_s), (14_000.0, 1000.0));
        assert_eq!(found.mean_absolute_error_pct, None, "nobody really waited");
    }

    #[test]
    fn areas_by_hand() {
        let mut area = Area { from: 0, to: 100, step: 10, cpu: vec![0; 10], gpu: vec![0; 10] };
        let asked = Amounts { cpus: 3, gpus: 1, mem_mb: 0 };
        area.add(&asked, SimTime::from_micros(-5), SimTime::from_micros(15));
        area.add(&asked, SimTime::from_micros(95), SimTime::from_micros(200));
        assert_eq!((area.cpu[0], area.cpu[1], area.cpu[2], area.cpu[9]), (30, 15, 0, 15));
        assert_eq!(area.gpu[1], 5);
    }
}

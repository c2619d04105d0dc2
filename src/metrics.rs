//! What a run amounts to: counts, waits and their tails, utilization, hours, groups, series.
//!
//! A [`Summary`] is made from an [`Outcome`] and its workload alone, after the run; nothing here can
//! change a schedule. Its serialized form is the contract of DESIGN.md 5.4: seconds unless named,
//! undefined figures are `null`.
//!
//! Definitions. Wait: first start - submit, over jobs that started. Turnaround: end - submit, and
//! bounded slowdown: max(1, (wait + run) / max(run, 10 s)), over jobs that ran to an end. Quantile q of
//! n values: the sorted value at min(n - 1, floor(q n)). Makespan: last end - first submit.

pub mod backtest;
pub mod groups;
pub mod quantiles;
pub mod sharing;
pub mod shifts;
mod tenancy;
pub mod timeline;

use serde::Serialize;

use crate::cluster::ClusterSpec;
use crate::ids::{Id, JobId};
use crate::scheduler::Shapes;
use crate::simulation::meter::{DeviceHours, UNITS_PER_DEVICE};
use crate::simulation::{JobRecord, JobState, Outcome};
use crate::time::{MICROS_PER_S, SimDuration};
use crate::workload::{Job, RepairKind, Workload};

pub use groups::{Group, Groups};
pub use quantiles::Spread;
pub use sharing::SharingFigures;
pub use tenancy::TenancyFigures;
pub use timeline::{Timeline, TimelineRow};

/// How many jobs ended how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct JobCounts {
    /// Rows of the trace.
    pub read: u64,
    /// Values that the reader changed.
    pub repaired: u64,
    /// Rows that the reader refused, and jobs that the design can never hold.
    pub refused: u64,
    /// Ended by themselves.
    pub completed: u64,
    /// Ended without success.
    pub failed: u64,
    /// Withdrawn.
    pub cancelled: u64,
    /// Waiting or running when the run was cut.
    pub unfinished: u64,
    /// Asked for parts of GPUs that are given whole, started, and held whole ones; what they did not ask for is slack.
    pub rounded_up: u64,
}

/// Work done per hour of makespan.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Throughput {
    /// Completed jobs.
    pub jobs_per_hour: Option<f64>,
    /// Reference GPU-hours of completed jobs.
    pub delivered_gpu_hours_per_hour: Option<f64>,
}

/// Shares of installed capacity over the horizon.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Utilization {
    /// Allocated CPUs.
    pub cpu: Option<f64>,
    /// Allocated GPUs.
    pub gpu_allocated: Option<f64>,
    /// GPUs doing work (the ledger's `productive`).
    pub gpu_productive: Option<f64>,
}

/// Loss of capacity to fragmentation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Fragmentation {
    /// Share of the installed GPU time (CPU time where there is no GPU) that lay idle because the first
    /// waiting job, for which enough was free in all, found no fitting nodes.
    pub mean: Option<f64>,
}

/// The ledger in device-hours; all but `installed` sum to it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct HoursFigures {
    /// Capacity x horizon.
    pub installed: f64,
    /// Allocated and at work.
    pub productive: f64,
    /// Lost to virtualization.
    pub virtualization: f64,
    /// Lost to neighbours.
    pub neighbours: f64,
    /// Lost to communication.
    pub communication: f64,
    /// Allocated beyond what was asked for, and slices that no instance can be made of.
    pub slack: f64,
    /// Lost to storage and checkpoints.
    pub storage: f64,
    /// Lost and repeated work.
    pub lost: f64,
    /// Allocated but not used, by the use that the trace recorded.
    pub held_idle: f64,
    /// Boot, re-image, repartition, restart after a preemption.
    pub startup: f64,
    /// Free while jobs waited.
    pub idle_waiting: f64,
    /// Free without demand.
    pub idle: f64,
    /// Out of order.
    pub down: f64,
}

/// All figures of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Jobs by end.
    pub jobs: JobCounts,
    /// Last end - first submit.
    pub makespan_s: Option<f64>,
    /// Work per hour.
    pub throughput: Throughput,
    /// Waits.
    pub wait_s: Spread,
    /// Turnaround times.
    pub turnaround_s: Spread,
    /// Bounded slowdowns.
    pub bounded_slowdown: Spread,
    /// Shares of capacity.
    pub utilization: Utilization,
    /// Loss to fragmentation.
    pub fragmentation: Fragmentation,
    /// The GPU ledger; `None` without GPUs.
    pub gpu_hours: Option<HoursFigures>,
    /// The CPU ledger.
    pub cpu_hours: HoursFigures,
    /// Reference GPU time of completed jobs, exact, in GPU-microseconds.
    #[serde(skip)]
    pub delivered_gpu_us: i128,
    /// Reference GPU-hours of completed jobs.
    pub delivered_gpu_hours: f64,
    /// Reference CPU-hours of completed jobs.
    pub delivered_cpu_hours: f64,
    /// Waiting jobs over time.
    pub queue: QueueFigures,
    /// Where GPUs are shared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sharing: Option<SharingFigures>,
    /// Where not all is bare metal, alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenancy: Option<TenancyFigures>,
}

/// Waiting jobs over the horizon.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct QueueFigures {
    /// Time-weighted mean.
    pub mean: Option<f64>,
    /// Most at once.
    pub max: u64,
    /// Share of the horizon with somebody waiting.
    pub waiting_share: Option<f64>,
}

/// Sums up a run; see the room's definitions.
#[must_use]
pub fn summarize(workload: &Workload, cluster: &ClusterSpec, outcome: &Outcome) -> Summary {
    summarize_after(workload, cluster, outcome, SimDuration::from_s(0))
}

/// As [`summarize`], without the waits, turnaround times and slowdowns of jobs submitted in the first `warm_up` of
/// the horizon.
#[must_use]
pub fn summarize_after(
    workload: &Workload,
    cluster: &ClusterSpec,
    outcome: &Outcome,
    warm_up: SimDuration,
) -> Summary {
    let counts = count_jobs(workload, cluster, outcome);
    let [wait_s, turnaround_s, bounded_slowdown] = spreads(workload, outcome, warm_up);
    let makespan = makespan(outcome);
    let (gpu_us, cpu_us) = delivered(workload, cluster, outcome);
    let delivered_gpu_hours = device_hours(gpu_us * UNITS_PER_DEVICE);
    let hours = outcome.hours.total();
    let has_gpus = hours.gpu.installed > 0;
    let horizon_us = horizon_us(outcome);
    let per_hour = |amount: f64| makespan.filter(|m| m.micros() > 0).map(|m| amount / (m.as_s() / 3600.0));
    Summary {
        jobs: counts,
        makespan_s: makespan.map(SimDuration::as_s),
        throughput: Throughput {
            jobs_per_hour: per_hour(counts.completed as f64),
            delivered_gpu_hours_per_hour: if has_gpus { per_hour(delivered_gpu_hours) } else { None },
        },
        wait_s,
        turnaround_s,
        bounded_slowdown,
        utilization: Utilization {
            cpu: share(allocated(&hours.cpu), hours.cpu.installed),
            gpu_allocated: share(allocated(&hours.gpu), hours.gpu.installed),
            gpu_productive: share(hours.gpu.productive, hours.gpu.installed),
        },
        fragmentation: Fragmentation {
            mean: if has_gpus {
                share(hours.gpu.idle_waiting.fragmentation, hours.gpu.installed)
            } else {
                share(hours.cpu.idle_waiting.fragmentation, hours.cpu.installed)
            },
        },
        gpu_hours: has_gpus.then(|| figures(&hours.gpu)),
        cpu_hours: figures(&hours.cpu),
        delivered_gpu_us: gpu_us,
        delivered_gpu_hours,
        delivered_cpu_hours: device_hours(cpu_us * UNITS_PER_DEVICE),
        queue: QueueFigures {
            mean: share(outcome.hours.waiting_job_us, horizon_us),
            max: outcome.hours.waiting_max as u64,
            waiting_share: share(outcome.hours.waiting_us, horizon_us),
        },
        sharing: sharing::figures(outcome),
        tenancy: tenancy::figures(outcome),
    }
}

fn allocated(hours: &DeviceHours) -> i128 {
    hours.allocated()
}

/// Span from the first submission to the last instant of the run.
fn horizon_us(outcome: &Outcome) -> i128 {
    i128::from(outcome.last_instant.saturating_since(outcome.first_submit).micros())
}

fn share(part: i128, whole: i128) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Device-hours of ledger units.
fn device_hours(units: i128) -> f64 {
    units as f64 / (UNITS_PER_DEVICE * i128::from(MICROS_PER_S) * 3600) as f64
}

fn figures(hours: &DeviceHours) -> HoursFigures {
    let waiting = hours.idle_waiting;
    HoursFigures {
        installed: device_hours(hours.installed),
        productive: device_hours(hours.productive),
        virtualization: device_hours(hours.virtualization),
        neighbours: device_hours(hours.neighbours),
        communication: device_hours(hours.communication),
        slack: device_hours(hours.slack + hours.stranded),
        storage: device_hours(hours.storage),
        lost: device_hours(hours.lost),
        held_idle: device_hours(hours.held_idle),
        startup: device_hours(hours.startup + hours.restart),
        idle_waiting: device_hours(waiting.sum()),
        idle: device_hours(hours.idle),
        down: device_hours(hours.down),
    }
}

fn count_jobs(workload: &Workload, cluster: &ClusterSpec, outcome: &Outcome) -> JobCounts {
    let mut by_state = [0u64; JobState::COUNT];
    for record in outcome.records.iter() {
        by_state[record.state as usize] += 1;
    }
    let of = |state: JobState| by_state[state as usize];
    let refused_rows = workload.repairs.rows(RepairKind::Refused);
    JobCounts {
        read: workload.repairs.rows_read.max(workload.jobs.len() as u64),
        repaired: workload.repairs.rows(RepairKind::Changed),
        refused: refused_rows + of(JobState::Refused),
        completed: of(JobState::Completed),
        failed: of(JobState::Failed)
            + of(JobState::Timeout)
            + of(JobState::Preempted)
            + of(JobState::NodeFail),
        cancelled: of(JobState::Cancelled),
        unfinished: of(JobState::Pending) + of(JobState::Running) + of(JobState::Future),
        rounded_up: rounded_up(workload, cluster, outcome),
    }
}

/// Jobs that started on whole GPUs and asked for parts of them, where GPUs are given whole.
fn rounded_up(workload: &Workload, cluster: &ClusterSpec, outcome: &Outcome) -> u64 {
    if outcome.shared.is_some() || !workload.requests.iter().any(|(_, request)| request.asks_for_part()) {
        return 0;
    }
    let shapes = Shapes::new(workload, cluster);
    let is_rounded = |job: &Job| {
        shapes.get(shapes.of(job.request)).pools.first().is_some_and(|fit| fit.asked_units.is_some())
    };
    let rows = workload.jobs.iter().zip(outcome.records.iter());
    rows.filter(|(job, record)| wait_of(job, record).is_some() && is_rounded(job)).count() as u64
}

fn makespan(outcome: &Outcome) -> Option<SimDuration> {
    let ran = |state: JobState| state.ran_to_an_end() || state.is_cut_short();
    let started = |r: &&crate::simulation::JobRecord| r.start != crate::time::SimTime::NEVER;
    let last = outcome.records.iter().filter(started).filter(|r| ran(r.state)).map(|r| r.end).max()?;
    Some(last.saturating_since(outcome.first_submit))
}

/// Reference GPU and CPU time of completed jobs in device-microseconds.
fn delivered(workload: &Workload, cluster: &ClusterSpec, outcome: &Outcome) -> (i128, i128) {
    let asked = groups::asked_by_request(workload, cluster, outcome.shared.as_deref());
    let rounded = outcome.shared.is_none().then(|| groups::reference_milli(workload, cluster)).flatten();
    let milli =
        outcome.shared.as_deref().map(|facts| facts.reference_milli.as_slice()).or(rounded.as_deref());
    let (mut gpu_milli_us, mut cpu_us) = (0i128, 0i128);
    for (row, record) in workload.jobs.iter().zip(outcome.records.iter()) {
        if record.state == JobState::Completed {
            let at = row.request.index();
            let of_gpus = milli.map_or(1000 * u64::from(asked[at].gpus), |milli| milli[at]);
            gpu_milli_us += i128::from(row.run.micros()) * i128::from(of_gpus);
            cpu_us += i128::from(row.run.micros()) * i128::from(asked[at].cpus);
        }
    }
    (gpu_milli_us / 1000, cpu_us)
}

/// Waits, turnaround times and bounded slowdowns, through one buffer after the other.
fn spreads(workload: &Workload, outcome: &Outcome, warm_up: SimDuration) -> [Spread; 3] {
    let from = outcome.first_submit + warm_up;
    let counts = move |job: &Job| warm_up.micros() == 0 || job.submit >= from;
    let rows = || outcome.records.iter_ids().zip(workload.jobs.iter()).filter(move |(_, job)| counts(job));
    // Turnaround, and the part of it that was run (the last start to the end).
    let ended = || {
        let ended = rows().filter(|((_, record), _)| record.state.ran_to_an_end());
        ended.map(|((id, record), job)| (record.end.since(job.submit).micros(), outcome.effective_run_us(id)))
    };
    let mut micros: Vec<i64> = Vec::with_capacity(outcome.records.len());
    micros.extend(rows().filter_map(|((_, record), job)| wait_of(job, record)));
    let waits = Spread::of_micros(&mut micros);
    micros.clear();
    micros.extend(ended().map(|(turnaround, _)| turnaround));
    let turnarounds = Spread::of_micros(&mut micros);
    drop(micros);
    let mut slowdowns: Vec<f64> = Vec::with_capacity(outcome.records.len());
    slowdowns.extend(ended().map(|(turnaround, run)| bounded_slowdown(turnaround - run, run)));
    [waits, turnarounds, Spread::of(&mut slowdowns)]
}

/// Time that jobs waited, in GPU-microseconds (by the GPUs that they asked for) and in microseconds: of jobs that
/// started, to their first start; of those that did not, to their end or that of the run. Refused jobs do not wait.
#[must_use]
pub fn waited(workload: &Workload, cluster: &ClusterSpec, outcome: &Outcome) -> (i128, i128) {
    let asked = groups::asked_by_request(workload, cluster, outcome.shared.as_deref());
    let (mut gpu_us, mut us) = (0i128, 0i128);
    for (job, record) in workload.jobs.iter().zip(outcome.records.iter()) {
        if record.state == JobState::Refused {
            continue;
        }
        let until = record.start.min(record.end).min(outcome.last_instant);
        let wait = i128::from(until.saturating_since(job.submit).micros());
        us += wait;
        gpu_us += wait * i128::from(asked[job.request.index()].gpus);
    }
    (gpu_us, us)
}

/// First start - submit in microseconds, of a job that started.
#[must_use]
pub fn wait_us(workload: &Workload, outcome: &Outcome, job: JobId) -> Option<i64> {
    wait_of(&workload.jobs[job], &outcome.records[job])
}

/// The same of a job and its record.
fn wait_of(job: &Job, record: &JobRecord) -> Option<i64> {
    let started = record.start != crate::time::SimTime::NEVER;
    started.then(|| record.start.since(job.submit).micros())
}

/// max(1, (wait + run) / max(run, 10 s)), both in microseconds.
fn bounded_slowdown(wait: i64, run: i64) -> f64 {
    const BOUND: i64 = 10 * MICROS_PER_S;
    ((wait + run) as f64 / run.max(BOUND) as f64).max(1.0)
}

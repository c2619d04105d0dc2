//! What a trace looks like before any cluster is simulated: `trace stats`.
//!
//! Sizes, run times, limits, and above all what decides between designs: how much of the time somebody
//! wants a GPU at all, how far the peak lies above the mean, whether next week will look like this one,
//! how much of the work needs several GPUs or nodes, and how much of it is people holding a GPU.
//!
//! Demand is what would run if every job started when it was submitted: an unlimited cluster. Amounts are
//! summed as integers (milli-GPUs or CPUs x microseconds) and become floats only here, in the report.
//! A figure that is undefined for a trace (no GPUs, less than two weeks) is `None`, null in JSON.

mod demand;
mod people;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Job, JobFlags, Request, Workload};
use demand::Demand;

pub use people::{ClassStats, UserShares};

/// The cluster that loads and node counts refer to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// GPUs, if it has any.
    pub gpus: Option<u64>,
    /// CPUs (processors).
    pub cpus: Option<u64>,
    /// GPUs of one node: tells multi-node jobs where the trace gives no node count.
    pub gpus_per_node: Option<u32>,
}

/// Figures of a trace.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TraceStats {
    /// Jobs.
    pub jobs: u64,
    /// Jobs that ask for a GPU or a part of one.
    pub gpu_jobs: u64,
    /// First submit, in seconds on the trace's own axis.
    pub first_submit_s: f64,
    /// Seconds from the first submit to the last.
    pub span_s: f64,
    /// GPU-hours asked for: sum of run x GPUs (parts of GPUs as parts).
    pub gpu_hours: f64,
    /// CPU-hours asked for: sum of run x CPUs; where the trace gives no CPUs, one for each task.
    pub cpu_hours: f64,
    /// GPU-hours / (GPUs of the cluster x span).
    pub offered_load_gpu: Option<f64>,
    /// CPU-hours / (CPUs of the cluster x span).
    pub offered_load_cpu: Option<f64>,
    /// Run time of all jobs, in seconds.
    pub run_s: Option<Quantiles>,
    /// Run time of GPU jobs, in seconds.
    pub gpu_run_s: Option<Quantiles>,
    /// GPUs of each GPU job.
    pub gpus_per_job: Option<Quantiles>,
    /// CPUs of each job.
    pub cpus_per_job: Option<Quantiles>,
    /// GPU jobs by number of GPUs (parts of a GPU count as 1).
    pub sizes: Vec<SizeShare>,
    /// How well limits tell run times.
    pub limits: Limits,
    /// Demand for GPUs on an unlimited cluster.
    pub gpu_demand: Option<DemandStats>,
    /// Demand for CPUs on an unlimited cluster.
    pub cpu_demand: Option<DemandStats>,
    /// How bursty submissions are.
    pub arrivals: Arrivals,
    /// Share of GPU-hours in jobs with more than one GPU.
    pub multi_gpu_share: Option<f64>,
    /// Share of GPU-hours in jobs on more than one node: by the trace's node count, else by
    /// GPUs above the nodes' [`Capacity::gpus_per_node`]; `None` where neither is known.
    pub multi_node_share: Option<f64>,
    /// Share of GPU-hours in sessions (people holding a GPU).
    pub session_share: Option<f64>,
    /// Share of GPU-hours in jobs whose class is a default, named by no column and no rule.
    pub class_defaulted_share: Option<f64>,
    /// Concentration on users.
    pub users: UserShares,
    /// Job classes by name; jobs without one under `(none)`.
    pub classes: BTreeMap<String, ClassStats>,
}

/// Mean and quantiles; quantile q = sorted[min(n - 1, floor(q n))].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Quantiles {
    /// Arithmetic mean.
    pub mean: f64,
    /// 10th percentile.
    pub p10: f64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Largest.
    pub max: f64,
}

impl Quantiles {
    /// Of `values` in any order; `None` if there are none.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        let n = values.len();
        values.sort_unstable_by(f64::total_cmp);
        let at = |q: f64| values[((q * n as f64) as usize).min(n - 1)];
        (n > 0).then(|| Self {
            mean: values.iter().sum::<f64>() / n as f64,
            p10: at(0.1),
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            max: values[n - 1],
        })
    }
}

/// GPU jobs with one number of GPUs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct SizeShare {
    /// GPUs.
    pub gpus: u64,
    /// Share of GPU jobs.
    pub jobs_share: f64,
    /// Share of GPU-hours.
    pub gpu_hours_share: f64,
}

/// How well limits tell run times.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Limits {
    /// Share of jobs whose trace names a limit.
    pub known_share: f64,
    /// run / limit over jobs with a known limit.
    pub accuracy: Option<Quantiles>,
    /// Share of jobs with a known limit that ran into it (run >= limit): their true run time is unknown.
    pub censored_share: Option<f64>,
}

/// Demand for one resource on an unlimited cluster, from the first submit to the last; jobs that still
/// run then are cut there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct DemandStats {
    /// Share of time in which at least one job would run.
    pub duty_cycle: f64,
    /// Time-weighted mean, in GPUs or CPUs.
    pub mean: f64,
    /// Largest demand at any instant.
    pub peak: f64,
    /// mean / peak: how much of a cluster bought for the peak would be used.
    pub mean_over_peak: f64,
    /// Largest hourly mean / mean over all hours.
    pub hourly_peak_to_mean: f64,
    /// Coefficient of variation (standard deviation / mean) of the whole weeks' demand, counted from the
    /// first submit; `None` below two whole weeks.
    pub weekly_variation: Option<f64>,
}

/// How bursty submissions are.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Arrivals {
    /// Mean submits in an hour.
    pub per_hour: Option<f64>,
    /// Index of dispersion: variance / mean of the submits in whole hours. 1 for a Poisson process.
    pub dispersion_per_hour: Option<f64>,
    /// Variance / mean squared of the time between submits. 1 for a Poisson process.
    pub interarrival_cv2: Option<f64>,
    /// Submits in each hour of the day relative to the mean hour, on the trace's own axis (its zero is
    /// taken for midnight).
    pub by_hour: Vec<f64>,
    /// Submits on each day of a week relative to the mean day; day 0 is the one of the trace's zero.
    pub by_weekday: Vec<f64>,
}

/// Milli-GPUs of a request: GPUs in all, or by nodes or tasks, times the part of a GPU; a MIG profile or a
/// part without count is one device.
pub(super) fn milli_gpus(request: &Request) -> u64 {
    let nodes = u64::from(request.nodes.unwrap_or(1));
    let by_node = request.gpus_per_node.map(|g| u64::from(g) * nodes);
    let by_task = request.gpus_per_task.map(|g| u64::from(g) * tasks(request));
    let part = request.gpu_milli.is_some() || request.mig_profile.is_some();
    let devices = request.gpus.map(u64::from).or(by_node).or(by_task).unwrap_or(u64::from(part));
    devices * u64::from(request.gpu_milli.unwrap_or(1000))
}

/// CPUs of a request: in all, or by tasks; one for each task where nothing is said.
pub(super) fn cpus(request: &Request) -> u64 {
    let by_task = u64::from(request.cpus_per_task.unwrap_or(1)) * tasks(request);
    request.cpus.map_or(by_task, u64::from)
}

fn tasks(request: &Request) -> u64 {
    let nodes = u64::from(request.nodes.unwrap_or(1));
    let by_node = request.tasks_per_node.map(|t| u64::from(t) * nodes);
    request.tasks.map(u64::from).or(by_node).unwrap_or(nodes)
}

/// Microseconds x thousandths in an hour of a whole GPU.
const MILLI_GPU_HOUR: f64 = 3.6e9 * 1000.0;
const CPU_HOUR: f64 = 3.6e9;

/// One job with its amounts worked out.
struct Row<'a> {
    job: &'a Job,
    milli_gpus: u64,
    cpus: u64,
    nodes: Option<u32>,
}

impl Row<'_> {
    fn gpu_work(&self) -> u128 {
        u128::from(self.milli_gpus) * self.job.run.micros() as u128
    }

    fn cpu_work(&self) -> u128 {
        u128::from(self.cpus) * self.job.run.micros() as u128
    }
}

/// The figures of `workload`; loads only where `capacity` is given.
#[must_use]
pub fn stats(workload: &Workload, capacity: Option<Capacity>) -> TraceStats {
    let capacity = capacity.unwrap_or_default();
    // Requests are shared by many jobs, so amounts are worked out once for each.
    let amounts: Vec<(u64, u64, Option<u32>)> =
        workload.requests.iter().map(|(_, r)| (milli_gpus(r), cpus(r), nodes(r, capacity))).collect();
    let rows: Vec<Row<'_>> = workload
        .jobs
        .iter()
        .map(|job| {
            let (milli_gpus, cpus, nodes) = amounts[job.request.0 as usize];
            Row { job, milli_gpus, cpus, nodes }
        })
        .collect();
    let gpu_rows: Vec<&Row<'_>> = rows.iter().filter(|r| r.milli_gpus > 0).collect();
    let first = rows.first().map_or(0.0, |r| r.job.submit.as_s());
    let span_s = rows.last().map_or(0.0, |r| r.job.submit.as_s()) - first;
    let gpu_work: u128 = gpu_rows.iter().map(|r| r.gpu_work()).sum();
    let cpu_work: u128 = rows.iter().map(Row::cpu_work).sum();
    let share = |of: &dyn Fn(&Row<'_>) -> bool| {
        let part: u128 = gpu_rows.iter().filter(|r| of(r)).map(|r| r.gpu_work()).sum();
        (gpu_work > 0).then(|| part as f64 / gpu_work as f64)
    };
    let load = |hours: f64, units: Option<u64>| {
        units.filter(|u| *u > 0 && span_s > 0.0).map(|u| hours * 3600.0 / (u as f64 * span_s))
    };
    let gpu_hours = gpu_work as f64 / MILLI_GPU_HOUR;
    let cpu_hours = cpu_work as f64 / CPU_HOUR;
    let nodes_known = gpu_rows.iter().all(|r| r.nodes.is_some());
    TraceStats {
        jobs: rows.len() as u64,
        gpu_jobs: gpu_rows.len() as u64,
        first_submit_s: first,
        span_s,
        gpu_hours,
        cpu_hours,
        offered_load_gpu: load(gpu_hours, capacity.gpus),
        offered_load_cpu: load(cpu_hours, capacity.cpus),
        run_s: Quantiles::of(rows.iter().map(|r| r.job.run.as_s()).collect()),
        gpu_run_s: Quantiles::of(gpu_rows.iter().map(|r| r.job.run.as_s()).collect()),
        gpus_per_job: Quantiles::of(gpu_rows.iter().map(|r| r.milli_gpus as f64 / 1000.0).collect()),
        cpus_per_job: Quantiles::of(rows.iter().map(|r| r.cpus as f64).collect()),
        sizes: sizes(&gpu_rows, gpu_work),
        limits: limits(&rows),
        gpu_demand: Demand::of(&rows, |r| r.milli_gpus).and_then(|d| d.stats(1000.0)),
        cpu_demand: Demand::of(&rows, |r| r.cpus).and_then(|d| d.stats(1.0)),
        arrivals: arrivals(&rows),
        multi_gpu_share: share(&|r| r.milli_gpus > 1000),
        multi_node_share: share(&|r| r.nodes.is_some_and(|n| n > 1)).filter(|_| nodes_known),
        session_share: share(&|r| r.job.flags.has(JobFlags::SESSION)),
        class_defaulted_share: share(&|r| r.job.flags.has(JobFlags::CLASS_DEFAULTED)),
        users: people::users(workload, &rows),
        classes: people::classes(workload, &rows),
    }
}

/// Nodes of a request, if it says or the nodes' size tells.
fn nodes(request: &Request, capacity: Capacity) -> Option<u32> {
    let by_size =
        |per_node: u32| u32::try_from(milli_gpus(request).div_ceil(u64::from(per_node.max(1)) * 1000)).ok();
    let one_gpu = (milli_gpus(request) <= 1000).then_some(1);
    request.nodes.or(one_gpu).or_else(|| capacity.gpus_per_node.and_then(by_size))
}

fn sizes(gpu_rows: &[&Row<'_>], gpu_work: u128) -> Vec<SizeShare> {
    let mut by_size: BTreeMap<u64, (u64, u128)> = BTreeMap::new();
    for row in gpu_rows {
        let entry = by_size.entry(row.milli_gpus.div_ceil(1000)).or_default();
        entry.0 += 1;
        entry.1 += row.gpu_work();
    }
    by_size
        .into_iter()
        .map(|(gpus, (jobs, work))| SizeShare {
            gpus,
            jobs_share: jobs as f64 / gpu_rows.len() as f64,
            gpu_hours_share: if gpu_work == 0 { 0.0 } else { work as f64 / gpu_work as f64 },
        })
        .collect()
}

fn limits(rows: &[Row<'_>]) -> Limits {
    let known: Vec<&Job> =
        rows.iter().map(|r| r.job).filter(|j| !j.flags.has(JobFlags::LIMIT_UNKNOWN)).collect();
    let censored = known.iter().filter(|j| j.run >= j.limit).count();
    let ratios =
        known.iter().filter(|j| j.limit.micros() > 0).map(|j| j.run.as_s() / j.limit.as_s()).collect();
    Limits {
        known_share: if rows.is_empty() { 0.0 } else { known.len() as f64 / rows.len() as f64 },
        accuracy: Quantiles::of(ratios),
        censored_share: (!known.is_empty()).then(|| censored as f64 / known.len() as f64),
    }
}

fn arrivals(rows: &[Row<'_>]) -> Arrivals {
    const HOUR: i64 = 3_600_000_000;
    let mut by_hour = vec![0.0; 24];
    let mut by_weekday = vec![0.0; 7];
    for row in rows {
        let hour = row.job.submit.micros().div_euclid(HOUR);
        by_hour[hour.rem_euclid(24) as usize] += 24.0 / rows.len() as f64;
        by_weekday[hour.div_euclid(24).rem_euclid(7) as usize] += 7.0 / rows.len() as f64;
    }
    let submits: Vec<i64> = rows.iter().map(|r| r.job.submit.micros()).collect();
    let span = submits.last().unwrap_or(&0) - submits.first().unwrap_or(&0);
    let hours = (span / HOUR) as usize;
    let mut counts = vec![0_f64; hours];
    for submit in &submits {
        if let Some(count) = counts.get_mut(((submit - submits[0]) / HOUR) as usize) {
            *count += 1.0;
        }
    }
    let gaps: Vec<f64> = submits.windows(2).map(|w| (w[1] - w[0]) as f64).collect();
    let counted = moments(&counts);
    let gap = moments(&gaps);
    Arrivals {
        per_hour: counted.map(|(mean, _)| mean),
        dispersion_per_hour: counted.filter(|(mean, _)| *mean > 0.0).map(|(mean, variance)| variance / mean),
        interarrival_cv2: gap
            .filter(|(mean, _)| *mean > 0.0)
            .map(|(mean, variance)| variance / (mean * mean)),
        by_hour,
        by_weekday,
    }
}

/// Mean and (population) variance; `None` below two values.
fn moments(values: &[f64]) -> Option<(f64, f64)> {
    if values.len() < 2 {
        return None;
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    Some((mean, values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n))
}

#[cfg(test)]
mod tests;

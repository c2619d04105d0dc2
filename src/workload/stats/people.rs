//! Who and what uses the GPUs: users and job classes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{MILLI_GPU_HOUR, Row};
use crate::workload::{JobFlags, Workload};

/// Concentration on users. Shares are of GPU-hours, or of CPU-hours where the trace has no GPUs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct UserShares {
    /// Users named in the trace.
    pub users: u64,
    /// Share of the largest user.
    pub top_1_share: Option<f64>,
    /// Share of the five largest users.
    pub top_5_share: Option<f64>,
    /// Share of the largest twentieth of the users (rounded up).
    pub top_5_percent_share: Option<f64>,
}

/// One job class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct ClassStats {
    /// Jobs.
    pub jobs: u64,
    /// Jobs of kind session.
    pub sessions: u64,
    /// GPU-hours.
    pub gpu_hours: f64,
    /// Share of all GPU-hours (0 where there are none).
    pub gpu_hours_share: f64,
    /// Mean run time in seconds.
    pub run_mean_s: f64,
}

pub(super) fn users(workload: &Workload, rows: &[Row<'_>]) -> UserShares {
    let any_gpu = rows.iter().any(|r| r.milli_gpus > 0);
    let mut by_user: BTreeMap<u32, u128> = BTreeMap::new();
    let mut total = 0;
    for row in rows {
        let work = if any_gpu { row.gpu_work() } else { row.cpu_work() };
        total += work;
        if let Some(user) = workload.labels.get(row.job.labels).user {
            *by_user.entry(user.0).or_default() += work;
        }
    }
    let mut works: Vec<u128> = by_user.into_values().collect();
    works.sort_unstable_by(|a, b| b.cmp(a));
    let top = |n: usize| {
        let sum: u128 = works.iter().take(n).sum();
        (!works.is_empty() && total > 0).then(|| sum as f64 / total as f64)
    };
    UserShares {
        users: works.len() as u64,
        top_1_share: top(1),
        top_5_share: top(5),
        top_5_percent_share: top(works.len().div_ceil(20)),
    }
}

pub(super) fn classes(workload: &Workload, rows: &[Row<'_>]) -> BTreeMap<String, ClassStats> {
    let mut by_label: BTreeMap<u32, (u64, u64, u128, i128)> = BTreeMap::new();
    for row in rows {
        let entry = by_label.entry(row.job.labels.0).or_default();
        entry.0 += 1;
        entry.1 += u64::from(row.job.flags.has(JobFlags::SESSION));
        entry.2 += row.gpu_work();
        entry.3 += i128::from(row.job.run.micros());
    }
    let total: u128 = by_label.values().map(|e| e.2).sum();
    let mut classes: BTreeMap<String, ClassStats> = BTreeMap::new();
    for (id, labels) in workload.labels.iter() {
        let Some((jobs, sessions, work, run)) = by_label.get(&id.0) else { continue };
        let name = labels.class.map_or("(none)", |c| workload.texts.get(c));
        let class = classes.entry(name.to_owned()).or_default();
        class.jobs += jobs;
        class.sessions += sessions;
        class.gpu_hours += *work as f64 / MILLI_GPU_HOUR;
        // The sum for now; divided below.
        class.run_mean_s += *run as f64 / 1e6;
    }
    for class in classes.values_mut() {
        class.run_mean_s /= class.jobs as f64;
        class.gpu_hours_share =
            if total == 0 { 0.0 } else { class.gpu_hours * MILLI_GPU_HOUR / total as f64 };
    }
    classes
}

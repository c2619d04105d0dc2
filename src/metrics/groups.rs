//! The same figures for parts of the workload: by user, account, partition, class and size.

use std::collections::BTreeMap;

use serde::Serialize;

use super::quantiles::Spread;
use super::{bounded_slowdown, device_hours, wait_us};
use crate::cluster::{Amounts, ClusterSpec};
use crate::ids::{JobId, TextId};
use crate::scheduler::Shapes;
use crate::simulation::meter::UNITS_PER_DEVICE;
use crate::simulation::{JobState, Outcome};
use crate::workload::{Labels, Workload};

/// Figures of one group.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Group {
    /// Jobs submitted.
    pub jobs: u64,
    /// Jobs that started.
    pub started: u64,
    /// GPU-hours run.
    pub gpu_hours: f64,
    /// CPU-hours run.
    pub cpu_hours: f64,
    /// Waits.
    pub wait_s: Spread,
    /// Mean bounded slowdown.
    pub bounded_slowdown_mean: Option<f64>,
}

/// Groups by name, for every way of dividing that the trace allows.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Groups {
    /// By user.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub user: BTreeMap<String, Group>,
    /// By account.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub account: BTreeMap<String, Group>,
    /// By partition.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub partition: BTreeMap<String, Group>,
    /// By job class.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub class: BTreeMap<String, Group>,
    /// By size: GPUs of the job (CPUs where it has none), in powers of two.
    pub size: BTreeMap<String, Group>,
}

#[derive(Default)]
struct Collected {
    jobs: u64,
    gpu_us: i128,
    cpu_us: i128,
    slowdown_sum: f64,
    ended: u64,
    wait_us: Vec<i64>,
}

impl Collected {
    fn finish(mut self) -> Group {
        Group {
            jobs: self.jobs,
            started: self.wait_us.len() as u64,
            gpu_hours: device_hours(self.gpu_us * UNITS_PER_DEVICE),
            cpu_hours: device_hours(self.cpu_us * UNITS_PER_DEVICE),
            bounded_slowdown_mean: (self.ended > 0).then(|| self.slowdown_sum / self.ended as f64),
            wait_s: Spread::of_micros(&mut self.wait_us),
        }
    }
}

/// All groups of a run.
#[must_use]
pub fn groups(workload: &Workload, cluster: &ClusterSpec, outcome: &Outcome) -> Groups {
    let shapes = Shapes::new(workload, cluster);
    let asked = |job: JobId| {
        let shape = shapes.get(shapes.of(workload.jobs[job].request));
        shape.pools.first().map_or(Amounts::ZERO, |pool| pool.asked)
    };
    let by_text = |pick: fn(&Labels) -> Option<TextId>| {
        let of_label: Vec<Option<TextId>> = workload.labels.iter().map(|(_, labels)| pick(labels)).collect();
        let key = |job: JobId| of_label[workload.jobs[job].labels.0 as usize].map(|t| t.0 as usize);
        let rows = collect(workload, outcome, &asked, key, workload.texts.len());
        named(rows, |at| workload.texts.get(TextId(at as u32)).to_owned())
    };
    Groups {
        user: by_text(|labels| labels.user),
        account: by_text(|labels| labels.account),
        partition: by_text(|labels| labels.partition),
        class: by_text(|labels| labels.class),
        size: named(
            collect(workload, outcome, &asked, |job| Some(size_class(&asked(job))), 2 * SIZE_CLASSES),
            size_name,
        ),
    }
}

const SIZE_CLASSES: usize = 33;

/// 0.. = GPUs 1, 2, 3-4, 5-8 ...; from `SIZE_CLASSES` on the same for CPUs of jobs without GPUs.
fn size_class(asked: &Amounts) -> usize {
    let class = |n: u32| (u32::BITS - n.saturating_sub(1).leading_zeros()) as usize;
    if asked.gpus > 0 { class(asked.gpus) } else { SIZE_CLASSES + class(asked.cpus) }
}

/// `gpus 0005-0008`: zero-padded so that names sort as numbers.
fn size_name(class: usize) -> String {
    let (device, class) = if class < SIZE_CLASSES { ("gpus", class) } else { ("cpus", class - SIZE_CLASSES) };
    let last = 1u64 << class;
    let first = if class == 0 { 1 } else { (1u64 << (class - 1)) + 1 };
    if first == last { format!("{device} {last:06}") } else { format!("{device} {first:06}-{last:06}") }
}

fn collect(
    workload: &Workload,
    outcome: &Outcome,
    asked: &dyn Fn(JobId) -> Amounts,
    key: impl Fn(JobId) -> Option<usize>,
    keys: usize,
) -> Vec<Collected> {
    let mut rows: Vec<Collected> = Vec::new();
    rows.resize_with(keys, Collected::default);
    for (job, record) in outcome.records.iter_ids() {
        let Some(at) = key(job) else { continue };
        let row = &mut rows[at];
        row.jobs += 1;
        let Some(wait) = wait_us(workload, outcome, job) else { continue };
        row.wait_us.push(wait);
        if matches!(record.state, JobState::Completed | JobState::Failed | JobState::Cancelled) {
            let run = record.end.since(record.start).micros();
            let asked = asked(job);
            row.gpu_us += i128::from(run) * i128::from(asked.gpus);
            row.cpu_us += i128::from(run) * i128::from(asked.cpus);
            if record.state != JobState::Cancelled {
                row.ended += 1;
                row.slowdown_sum += bounded_slowdown(wait, run);
            }
        }
    }
    rows
}

fn named(rows: Vec<Collected>, name: impl Fn(usize) -> String) -> BTreeMap<String, Group> {
    let used = rows.into_iter().enumerate().filter(|(_, row)| row.jobs > 0);
    used.map(|(at, row)| (name(at), row.finish())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_two() {
        let name = |gpus, cpus| size_name(size_class(&Amounts { cpus, gpus, mem_mb: 0 }));
        assert_eq!(name(1, 8), "gpus 000001");
        assert_eq!(name(2, 8), "gpus 000002");
        assert_eq!(name(5, 8), "gpus 000005-000008");
        assert_eq!(name(0, 64), "cpus 000033-000064");
    }
}

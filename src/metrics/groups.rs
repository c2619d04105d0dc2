//! The same figures for parts of the workload: by user, account, partition, class and size.

use std::collections::BTreeMap;

use serde::Serialize;

use super::quantiles::Spread;
use super::{bounded_slowdown, device_hours, wait_us};
use crate::cluster::{Amounts, ClusterSpec};
use crate::ids::{Id, JobId, TextId};
use crate::scheduler::Shapes;
use crate::simulation::meter::UNITS_PER_DEVICE;
use crate::simulation::{JobRecord, JobState, Outcome};
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

/// What a job adds to its groups, gathered once.
struct Sample {
    label: u32,
    size: u32,
    asked: Amounts,
    wait_us: Option<i64>,
    /// Run time and whether it ended by itself.
    ran: Option<(i64, bool)>,
}

/// All groups of a run.
#[must_use]
pub fn groups(workload: &Workload, cluster: &ClusterSpec, outcome: &Outcome) -> Groups {
    let samples = samples(workload, cluster, outcome);
    let by_text = |pick: fn(&Labels) -> Option<TextId>| {
        let (mut keys, mut names) = (Vec::new(), BTreeMap::new());
        for (_, labels) in workload.labels.iter() {
            let next = names.len();
            keys.push(pick(labels).map(|text| *names.entry(text).or_insert(next)));
        }
        let rows = collect(&samples, names.len(), |sample| keys[sample.label as usize]);
        let used =
            names.into_iter().map(|(text, at)| (workload.texts.get(text).to_owned(), rows[at].clone()));
        used.filter(|(_, group)| group.jobs > 0).collect()
    };
    let by_size = collect(&samples, 2 * SIZE_CLASSES, |sample| Some(sample.size as usize));
    let used = by_size.into_iter().enumerate().filter(|(_, group)| group.jobs > 0);
    Groups {
        user: by_text(|labels| labels.user),
        account: by_text(|labels| labels.account),
        partition: by_text(|labels| labels.partition),
        class: by_text(|labels| labels.class),
        size: used.map(|(at, group)| (size_name(at), group)).collect(),
    }
}

fn samples(workload: &Workload, cluster: &ClusterSpec, outcome: &Outcome) -> Vec<Sample> {
    let shapes = Shapes::new(workload, cluster);
    let asked_by_request: Vec<Amounts> = workload
        .requests
        .iter()
        .map(|(id, _)| shapes.get(shapes.of(id)).pools.first().map_or(Amounts::ZERO, |pool| pool.asked))
        .collect();
    let sample = |(job, record): (JobId, &JobRecord)| {
        let row = &workload.jobs[job];
        let asked = asked_by_request[row.request.index()];
        let ended_itself = matches!(record.state, JobState::Completed | JobState::Failed);
        let wait_us = wait_us(workload, outcome, job);
        let ran = (ended_itself || (record.state == JobState::Cancelled && wait_us.is_some()))
            .then(|| (record.end.since(record.start).micros(), ended_itself));
        Sample { label: row.labels.0, size: size_class(&asked) as u32, asked, wait_us, ran }
    };
    outcome.records.iter_ids().map(sample).collect()
}

/// Figures per key: a counting sort lays the waits of a group side by side in one buffer.
fn collect(samples: &[Sample], keys: usize, key: impl Fn(&Sample) -> Option<usize>) -> Vec<Group> {
    let mut totals = vec![Totals::default(); keys];
    for sample in samples {
        if let Some(at) = key(sample) {
            totals[at].add(sample);
        }
    }
    let mut from = 0;
    for row in &mut totals {
        row.first = from;
        row.next = from;
        from += row.started;
    }
    let mut waits = vec![0i64; from];
    for sample in samples {
        if let (Some(at), Some(wait)) = (key(sample), sample.wait_us) {
            waits[totals[at].next] = wait;
            totals[at].next += 1;
        }
    }
    totals.iter().map(|row| row.finish(&mut waits[row.first..row.next])).collect()
}

#[derive(Clone, Default)]
struct Totals {
    jobs: u64,
    started: usize,
    gpu_us: i128,
    cpu_us: i128,
    slowdown_sum: f64,
    ended: u64,
    first: usize,
    next: usize,
}

impl Totals {
    fn add(&mut self, sample: &Sample) {
        self.jobs += 1;
        self.started += usize::from(sample.wait_us.is_some());
        let Some((run, ended_itself)) = sample.ran else { return };
        self.gpu_us += i128::from(run) * i128::from(sample.asked.gpus);
        self.cpu_us += i128::from(run) * i128::from(sample.asked.cpus);
        if let (true, Some(wait)) = (ended_itself, sample.wait_us) {
            self.ended += 1;
            self.slowdown_sum += bounded_slowdown(wait, run);
        }
    }

    fn finish(&self, waits: &mut [i64]) -> Group {
        Group {
            jobs: self.jobs,
            started: self.started as u64,
            gpu_hours: device_hours(self.gpu_us * UNITS_PER_DEVICE),
            cpu_hours: device_hours(self.cpu_us * UNITS_PER_DEVICE),
            bounded_slowdown_mean: (self.ended > 0).then(|| self.slowdown_sum / self.ended as f64),
            wait_s: Spread::of_micros(waits),
        }
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

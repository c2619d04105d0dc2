//! The same figures for parts of the workload: by user, account, partition, class and size.

use std::collections::BTreeMap;

use serde::Serialize;

use super::quantiles::Spread;
use super::{bounded_slowdown, device_hours, wait_of};
use crate::cluster::{Amounts, ClusterSpec};
use crate::ids::{Id, JobId, RequestId, TextId};
use crate::scheduler::Shapes;
use crate::scheduler::shapes::BoardPart;
use crate::simulation::meter::UNITS_PER_DEVICE;
use crate::simulation::{JobRecord, Outcome, SharedFacts};
use crate::workload::{Job, Labels, Request, Workload};

/// Figures of one group.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Group {
    /// Jobs submitted.
    pub jobs: u64,
    /// Jobs that started.
    pub started: u64,
    /// GPU-hours run; an instance or a share counts as its part of the board.
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

/// All groups of a run.
///
/// Jobs are gathered once by label combination and once by size; a group of users (or accounts ...) is
/// a union of label combinations, so it need not look at jobs again.
#[must_use]
pub fn groups(workload: &Workload, cluster: &ClusterSpec, outcome: &Outcome) -> Groups {
    let asked = asked_by_request(workload, cluster, outcome.shared.as_deref());
    let size: Vec<usize> = asked.iter().map(size_class).collect();
    let mut by_label = gather(workload, outcome, &asked, workload.labels.len(), |job| job.labels.index());
    let mut by_size = gather(workload, outcome, &asked, 2 * SIZE_CLASSES, |job| size[job.request.index()]);
    let mut by_text = |pick: fn(&Labels) -> Option<TextId>| -> BTreeMap<String, Group> {
        let mut members: BTreeMap<TextId, Vec<usize>> = BTreeMap::new();
        for (at, (_, labels)) in workload.labels.iter().enumerate() {
            if let Some(text) = pick(labels).filter(|_| by_label.totals[at].jobs > 0) {
                members.entry(text).or_default().push(at);
            }
        }
        let group =
            |(text, keys): (TextId, Vec<usize>)| (workload.texts.get(text).to_owned(), by_label.union(&keys));
        members.into_iter().map(group).collect()
    };
    let sizes: Vec<usize> = (0..2 * SIZE_CLASSES).filter(|at| by_size.totals[*at].jobs > 0).collect();
    Groups {
        user: by_text(|labels| labels.user),
        account: by_text(|labels| labels.account),
        partition: by_text(|labels| labels.partition),
        class: by_text(|labels| labels.class),
        size: sizes.into_iter().map(|at| (size_name(at), by_size.union(&[at]))).collect(),
    }
}

/// What each request asks for in all, on the first pool that can hold it.
pub(super) fn asked_by_request(
    workload: &Workload,
    cluster: &ClusterSpec,
    shared: Option<&SharedFacts>,
) -> Vec<Amounts> {
    if let Some(facts) = shared {
        return facts.asked.clone();
    }
    let shapes = Shapes::new(workload, cluster);
    let asked = |id| shapes.get(shapes.of(id)).pools.first().map_or(Amounts::ZERO, |pool| pool.asked);
    workload.requests.iter().map(|(id, _)| asked(id)).collect()
}

/// Thousandths of GPUs that each request's run time was measured on, where some asks for parts of GPUs that are given
/// whole.
pub(super) fn reference_milli(workload: &Workload, cluster: &ClusterSpec) -> Option<Vec<u64>> {
    let requests = || workload.requests.iter().map(|(_, request)| request);
    if !requests().any(Request::asks_for_part) {
        return None;
    }
    let shapes = Shapes::new(workload, cluster);
    let of = |(id, request): (RequestId, &Request)| {
        let Some(fit) = shapes.get(shapes.of(id)).pools.first() else { return 0 };
        let node = &cluster.pools[fit.pool.index()].node;
        let part = BoardPart::of(request, workload, node).ok().flatten();
        u64::from(fit.asked.gpus) * part.map_or(1000, |part| part.reference.milli())
    };
    Some(workload.requests.iter().map(of).collect())
}

/// Sums and waits by key; the waits of a key lie side by side.
struct Gathered {
    totals: Vec<Totals>,
    waits: Vec<i64>,
}

#[derive(Clone, Default)]
struct Totals {
    jobs: u64,
    gpu_units_us: i128,
    cpu_us: i128,
    slowdown_sum: f64,
    ended: u64,
    started: usize,
    /// Where its waits begin.
    first: usize,
}

fn gather(
    workload: &Workload,
    outcome: &Outcome,
    asked: &[Amounts],
    keys: usize,
    key: impl Fn(&Job) -> usize,
) -> Gathered {
    let mut totals = vec![Totals::default(); keys];
    let rows = || workload.jobs.iter().zip(outcome.records.iter());
    for ((id, record), job) in outcome.records.iter_ids().zip(workload.jobs.iter()) {
        let row = &mut totals[key(job)];
        row.jobs += 1;
        if let Some(wait) = wait_of(job, record) {
            row.started += 1;
            row.add_run(outcome, id, record, &asked[job.request.index()], wait);
        }
    }
    let mut first = 0;
    for row in &mut totals {
        row.first = first;
        first += row.started;
    }
    let mut next: Vec<usize> = totals.iter().map(|row| row.first).collect();
    let mut waits = vec![0; first];
    for (job, record) in rows() {
        if let Some(wait) = wait_of(job, record) {
            let slot = &mut next[key(job)];
            waits[*slot] = wait;
            *slot += 1;
        }
    }
    Gathered { totals, waits }
}

impl Totals {
    fn add_run(&mut self, outcome: &Outcome, job: JobId, record: &JobRecord, asked: &Amounts, wait: i64) {
        let ended_itself = record.state.ran_to_an_end();
        if !ended_itself && !record.state.is_cut_short() {
            return;
        }
        let all = record.end.since(record.start).micros();
        let requeues = outcome.has_attempts();
        let run = if requeues { outcome.run_us(job) } else { all };
        let units = match outcome.shared.as_deref() {
            Some(facts) => i128::from(facts.units[job]),
            None => i128::from(asked.gpus) * UNITS_PER_DEVICE,
        };
        self.gpu_units_us += i128::from(run) * units;
        self.cpu_us += i128::from(run) * i128::from(asked.cpus);
        if ended_itself {
            self.ended += 1;
            let last = if requeues { outcome.effective_run_us(job) } else { all };
            self.slowdown_sum += bounded_slowdown(wait + all - last, last);
        }
    }
}

impl Gathered {
    /// Figures of several keys together. The waits of a key may change their order.
    fn union(&mut self, keys: &[usize]) -> Group {
        let mut sum = Totals::default();
        for row in keys.iter().map(|at| &self.totals[*at]) {
            sum.jobs += row.jobs;
            sum.gpu_units_us += row.gpu_units_us;
            sum.cpu_us += row.cpu_us;
            sum.slowdown_sum += row.slowdown_sum;
            sum.ended += row.ended;
            sum.started += row.started;
        }
        let waits_of = |at: &usize| self.totals[*at].first..self.totals[*at].first + self.totals[*at].started;
        let wait_s = if let [key] = keys {
            Spread::of_micros(&mut self.waits[waits_of(key)])
        } else {
            let mut waits: Vec<i64> = Vec::with_capacity(sum.started);
            keys.iter().for_each(|at| waits.extend_from_slice(&self.waits[waits_of(at)]));
            Spread::of_micros(&mut waits)
        };
        Group {
            jobs: sum.jobs,
            started: sum.started as u64,
            gpu_hours: device_hours(sum.gpu_units_us),
            cpu_hours: device_hours(sum.cpu_us * UNITS_PER_DEVICE),
            bounded_slowdown_mean: (sum.ended > 0).then(|| sum.slowdown_sum / sum.ended as f64),
            wait_s,
        }
    }
}

/// Size class of every job of `workload` on `cluster`, in job order; [`size_name`] names it.
#[must_use]
pub fn size_classes(workload: &Workload, cluster: &ClusterSpec) -> Vec<usize> {
    let shapes = Shapes::new(workload, cluster);
    let asked = |request| shapes.get(shapes.of(request)).pools.first().map_or(Amounts::ZERO, |p| p.asked);
    workload.jobs.iter().map(|job| size_class(&asked(job.request))).collect()
}

const SIZE_CLASSES: usize = 33;

/// 0.. = GPUs 1, 2, 3-4, 5-8 ...; from `SIZE_CLASSES` on the same for CPUs of jobs without GPUs.
fn size_class(asked: &Amounts) -> usize {
    let class = |n: u32| (u32::BITS - n.saturating_sub(1).leading_zeros()) as usize;
    if asked.gpus > 0 { class(asked.gpus) } else { SIZE_CLASSES + class(asked.cpus) }
}

/// `gpus 0005-0008`: zero-padded so that names sort as numbers.
#[must_use]
pub fn size_name(class: usize) -> String {
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

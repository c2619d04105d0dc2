//! A run as a trace for ui.perfetto.dev, in the JSON of Chrome's trace events.
//!
//! Every node is a process, every GPU of it a thread whose slices are jobs, attempt by attempt; what passes until an
//! attempt is at work is a slice before it. Where GPUs are cut, an instance has a thread for each place on its GPU, and
//! changes of the layout one beside them; shares of a GPU, and jobs without GPUs, take the lowest free slot. A node
//! that failed, drained, was reserved or booted has a thread that says so. Each design has counters of running and
//! waiting jobs. Times are those of the trace, in microseconds.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::io::{self, Write};

use serde_json::{Value, json};

use super::Context;
use super::jobs::{hosts, said};
use super::places::change_words;
use crate::cluster::Device;
use crate::experiment::DesignResult;
use crate::ids::{Id, JobId, NodeId, TextId};
use crate::metrics::timeline;
use crate::simulation::{Ending, Standing, Stretch};
use crate::time::SimTime;
use crate::workload::Workload;

/// Points of a counter.
const INTERVALS: usize = 1000;

/// What stands on one line below a node, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Track {
    /// How the node stands.
    Node,
    /// A whole GPU.
    Gpu(u8),
    /// Changes of a GPU's layout.
    Layout(u8),
    /// MIG instances that begin at this memory unit of a GPU.
    Instance(u8, u8),
    /// Shares of a GPU.
    Share(u8),
    /// Jobs that hold no GPU of the node.
    Slot,
}

impl Track {
    fn name(self, lane: usize) -> String {
        match self {
            Self::Node => "node".to_owned(),
            Self::Gpu(card) => format!("GPU {card}"),
            Self::Layout(card) => format!("GPU {card}, layout"),
            Self::Instance(card, start) => format!("GPU {card}, MIG at {start}"),
            Self::Share(card) => format!("GPU {card}, share {lane}"),
            Self::Slot => format!("slot {lane}"),
        }
    }
}

/// What a slice shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shown {
    /// An attempt that is not at work yet.
    StartUp(JobId, usize),
    /// An attempt at work.
    Work(JobId, usize),
    /// A change of layouts, by its row.
    Layout(usize),
    /// A node that is not simply there.
    Node(Standing),
}

/// Something on one track.
#[derive(Clone, Copy, Debug)]
struct Slice {
    from: SimTime,
    until: SimTime,
    shown: Shown,
}

/// What was on the tracks of a node.
type NodeTracks = BTreeMap<Track, Vec<Slice>>;

/// Writes all designs as one trace.
///
/// # Errors
/// What `out` reports.
pub fn perfetto_json(context: &Context<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut events = Events { out, process: 0, is_first: true };
    write!(events.out, "{{\"displayTimeUnit\":\"ms\",\"traceEvents\":[")?;
    for result in context.results {
        counters(&mut events, context, result)?;
        let nodes = tracks(result);
        for (host, tracks) in hosts(&result.design).iter().zip(nodes) {
            node(&mut events, context, result, host, tracks)?;
        }
    }
    writeln!(events.out, "\n]}}")
}

struct Events<'o> {
    out: &'o mut dyn Write,
    process: u64,
    is_first: bool,
}

impl Events<'_> {
    fn put(&mut self, event: &Value) -> io::Result<()> {
        let comma = if std::mem::take(&mut self.is_first) { "\n" } else { ",\n" };
        self.out.write_all(comma.as_bytes())?;
        Ok(serde_json::to_writer(&mut *self.out, event)?)
    }

    /// The next process; its events come until the one after it.
    fn process(&mut self, name: &str) -> io::Result<()> {
        self.process += 1;
        let pid = self.process;
        self.put(&json!({ "ph": "M", "pid": pid, "name": "process_name", "args": { "name": name } }))?;
        self.put(
            &json!({ "ph": "M", "pid": pid, "name": "process_sort_index", "args": { "sort_index": pid } }),
        )
    }

    fn thread(&mut self, tid: usize, name: &str) -> io::Result<()> {
        let pid = self.process;
        self.put(
            &json!({ "ph": "M", "pid": pid, "tid": tid, "name": "thread_name", "args": { "name": name } }),
        )?;
        self.put(&json!({ "ph": "M", "pid": pid, "tid": tid, "name": "thread_sort_index", "args": { "sort_index": tid } }))
    }
}

/// Running and waiting jobs of a design: means over equal intervals.
fn counters(events: &mut Events<'_>, context: &Context<'_>, result: &DesignResult) -> io::Result<()> {
    events.process(&result.design.label)?;
    let (workload, cluster) = (&context.loaded.workload, &result.design.cluster);
    let series = timeline::timeline(workload, cluster, &result.outcome, INTERVALS);
    for row in &series.rows {
        let ts = row.from_s * 1e6;
        for (name, value) in [("jobs waiting", row.waiting_mean), ("jobs running", row.running_mean)] {
            let args = json!({ "jobs": value });
            events.put(
                &json!({ "ph": "C", "pid": events.process, "name": name, "ts": ts as i64, "args": args }),
            )?;
        }
    }
    Ok(())
}

/// Who held what, and what became of the node, node by node.
fn tracks(result: &DesignResult) -> Vec<NodeTracks> {
    let outcome = &result.outcome;
    let mut nodes = vec![NodeTracks::new(); result.design.cluster.nodes() as usize];
    let mut add = |node: NodeId, track: Track, slice: Slice| {
        nodes[node.index()].entry(track).or_default().push(slice);
    };
    for row in outcome.standings() {
        let shown = Shown::Node(row.standing);
        add(row.node, Track::Node, Slice { from: row.from, until: row.until, shown });
    }
    let times = Attempts::of(result);
    if let Some(facts) = outcome.shared.as_deref() {
        for (at, row) in facts.changes.iter().enumerate() {
            let slice = Slice { from: row.from, until: row.until, shown: Shown::Layout(at) };
            add(row.node, Track::Layout(row.change.card), slice);
        }
        for held in &facts.holdings {
            let slices = times.slices(held.job, held.from, outcome.seen_until(held.until));
            for (grant, slice) in
                held.allocation.iter().flat_map(|grant| slices.iter().map(move |s| (grant, s)))
            {
                let devices = grant.gpus.iter().map(|device| match device {
                    Device::Whole { card } => Track::Gpu(*card),
                    Device::Share { card, .. } => Track::Share(*card),
                    Device::Instance { card, placement } => Track::Instance(*card, placement.start),
                });
                devices.for_each(|track| add(grant.node, track, *slice));
                if grant.gpus.is_empty() {
                    add(grant.node, Track::Slot, *slice);
                }
            }
        }
        return nodes;
    }
    for (job, from, until, allocation) in outcome.holdings() {
        let slices = times.slices(job, from, until);
        for (grant, slice) in allocation.iter().flat_map(|grant| slices.iter().map(move |s| (grant, s))) {
            let gpus = (0..64u8).filter(|gpu| grant.gpus >> gpu & 1 == 1);
            gpus.for_each(|gpu| add(grant.node, Track::Gpu(gpu), *slice));
            if grant.gpus == 0 {
                add(grant.node, Track::Slot, *slice);
            }
        }
    }
    nodes
}

/// When the attempts of all jobs were at work; those that moved, place by place.
struct Attempts(BTreeMap<JobId, Vec<Stretch>>);

impl Attempts {
    fn of(result: &DesignResult) -> Self {
        let outcome = &result.outcome;
        let mut rows: BTreeMap<JobId, Vec<Stretch>> = BTreeMap::new();
        for (job, row) in outcome.preemptive.iter().flat_map(|facts| &facts.held) {
            rows.entry(*job).or_default().push(row.clone());
        }
        if outcome.preemptive.is_none() {
            rows.extend(outcome.records.ids().map(|job| (job, outcome.attempts(job))));
        }
        Self(rows)
    }

    /// What a job held from `from` to `until`, as one slice, or two where it was not at work at once.
    fn slices(&self, job: JobId, from: SimTime, until: SimTime) -> Vec<Slice> {
        let rows = self.0.get(&job).map_or(&[][..], Vec::as_slice);
        let at = rows.iter().rposition(|row| row.start <= from).unwrap_or(0);
        let works = rows.get(at).map_or(from, |row| row.works).clamp(from, until);
        // A job that moves holds its devices anew, and is still in the same attempt.
        let number = 1 + rows.iter().take(at).filter(|row| row.ending != Ending::Moved).count();
        let parts = [(from, works, Shown::StartUp(job, number)), (works, until, Shown::Work(job, number))];
        // A start-up that took no time is none; one that was cut short is all there was.
        let is_there = |(begin, end, shown): &(SimTime, SimTime, Shown)| {
            begin < end || (from == until && matches!(shown, Shown::Work(..)))
        };
        parts.into_iter().filter(is_there).map(|(from, until, shown)| Slice { from, until, shown }).collect()
    }
}

fn node(
    events: &mut Events<'_>,
    context: &Context<'_>,
    result: &DesignResult,
    host: &str,
    tracks: NodeTracks,
) -> io::Result<()> {
    events.process(&format!("{}: {host}", result.design.label))?;
    let mut tid = 0;
    for (track, mut slices) in tracks {
        slices.sort_by_key(|slice| (slice.from, slice.until, slice.shown));
        let lanes = lanes(&slices);
        let count = lanes.iter().max().map_or(0, |most| most + 1);
        for lane in 0..count {
            events.thread(tid + lane + 1, &track.name(lane))?;
        }
        for (slice, lane) in slices.iter().zip(lanes) {
            let (name, kind, args) = words(&context.loaded.workload, result, slice.shown);
            events.put(&json!({
                "ph": "X",
                "pid": events.process,
                "tid": tid + lane + 1,
                "ts": slice.from.micros(),
                "dur": slice.until.since(slice.from).micros(),
                "name": name,
                "cat": kind,
                "args": args,
            }))?;
        }
        tid += count;
    }
    Ok(())
}

/// Name, kind and arguments of a slice.
fn words(workload: &Workload, result: &DesignResult, shown: Shown) -> (String, &'static str, Value) {
    match shown {
        Shown::StartUp(job, attempt) => {
            let name = format!("start-up of job {}", workload.job_name(job));
            (name, "START-UP", told(workload, result, job, attempt))
        }
        Shown::Work(job, attempt) => {
            let state = result.outcome.records[job].state.name();
            (format!("job {}", workload.job_name(job)), state, told(workload, result, job, attempt))
        }
        Shown::Layout(at) => {
            let facts = result.outcome.shared.as_deref().expect("layouts are of shared GPUs");
            let row = &facts.changes[at];
            let job = row.job.map(|job| workload.job_name(job));
            (change_words(&result.design, row), "LAYOUT", json!({ "for_job": job }))
        }
        Shown::Node(standing) => (standing.word().to_owned(), "NODE", json!({})),
    }
}

/// What is shown of a job.
fn told(workload: &Workload, result: &DesignResult, job: JobId, attempt: usize) -> Value {
    let record = result.outcome.records[job];
    let labels = workload.labels.get(workload.jobs[job].labels);
    let submit = workload.jobs[job].submit;
    let text = |id: Option<TextId>| id.and_then(|id| said(workload.texts.get(id)));
    let gpus = workload.requests.get(workload.jobs[job].request).total_gpus();
    json!({
        "user": text(labels.user),
        "account": text(labels.account),
        "partition": text(labels.partition),
        "class": text(labels.class),
        "gpus_asked": gpus,
        "submit_s": submit.as_s(),
        "wait_s": record.start.since(submit).as_s(),
        "state": record.state.name(),
        "starts": result.outcome.starts(job),
        "attempt": attempt,
    })
}

/// For each slice, in order of their beginning, the lowest lane that is free then.
fn lanes(slices: &[Slice]) -> Vec<usize> {
    let mut free: BTreeSet<usize> = BTreeSet::new();
    let mut taken: BinaryHeap<Reverse<(SimTime, usize)>> = BinaryHeap::new();
    let mut found = Vec::with_capacity(slices.len());
    for slice in slices {
        while taken.peek().is_some_and(|Reverse((until, _))| *until <= slice.from) {
            free.extend(taken.pop().map(|Reverse((_, lane))| lane));
        }
        let lane = free.pop_first().unwrap_or(taken.len());
        taken.push(Reverse((slice.until, lane)));
        found.push(lane);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_holds_one_job_at_a_time_and_the_lowest_free_one_is_taken() {
        let slice = |from, until| Slice {
            from: SimTime::from_s(from),
            until: SimTime::from_s(until),
            shown: Shown::Work(JobId::new(0), 1),
        };
        let slices = [slice(0, 10), slice(0, 4), slice(3, 20), slice(4, 6), slice(10, 12)];
        assert_eq!(lanes(&slices), [0, 1, 2, 1, 0]);
    }
}

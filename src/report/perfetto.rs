//! A run as a trace for ui.perfetto.dev, in the JSON of Chrome's trace events.
//!
//! Every node is a process, every GPU of it a thread whose slices are jobs. Where GPUs are cut, an instance has a
//! thread for each place on its GPU; shares of a GPU, and jobs without GPUs, take the lowest free slot. Each design
//! has counters of running and waiting jobs. Times are those of the trace, in microseconds.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::io::{self, Write};

use serde_json::{Value, json};

use super::Context;
use super::jobs::{hosts, said};
use crate::cluster::Device;
use crate::experiment::DesignResult;
use crate::ids::{Id, JobId, TextId};
use crate::metrics::timeline;
use crate::time::SimTime;
use crate::workload::Workload;

/// Points of a counter.
const INTERVALS: usize = 1000;

/// What stands on one line below a node, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Track {
    /// A whole GPU.
    Gpu(u8),
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
            Self::Gpu(card) => format!("GPU {card}"),
            Self::Instance(card, start) => format!("GPU {card}, MIG at {start}"),
            Self::Share(card) => format!("GPU {card}, share {lane}"),
            Self::Slot => format!("slot {lane}"),
        }
    }
}

/// A job on one track.
#[derive(Clone, Copy, Debug)]
struct Slice {
    from: SimTime,
    until: SimTime,
    job: JobId,
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
        for (host, tracks) in hosts(result).iter().zip(nodes) {
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

/// Who held what, node by node.
fn tracks(result: &DesignResult) -> Vec<NodeTracks> {
    let outcome = &result.outcome;
    let mut nodes = vec![NodeTracks::new(); result.design.cluster.nodes() as usize];
    let mut add = |node: usize, track: Track, slice: Slice| nodes[node].entry(track).or_default().push(slice);
    if let Some(facts) = outcome.shared.as_deref() {
        for held in &facts.holdings {
            let until = if held.until == SimTime::NEVER { outcome.last_instant } else { held.until };
            let slice = Slice { from: held.from, until, job: held.job };
            for grant in &held.allocation {
                let devices = grant.gpus.iter().map(|device| match device {
                    Device::Whole { card } => Track::Gpu(*card),
                    Device::Share { card, .. } => Track::Share(*card),
                    Device::Instance { card, placement } => Track::Instance(*card, placement.start),
                });
                devices.for_each(|track| add(grant.node.index(), track, slice));
                if grant.gpus.is_empty() {
                    add(grant.node.index(), Track::Slot, slice);
                }
            }
        }
        return nodes;
    }
    for (job, from, until, allocation) in outcome.holdings() {
        let slice = Slice { from, until, job };
        for grant in allocation {
            let gpus = (0..64u8).filter(|gpu| grant.gpus >> gpu & 1 == 1);
            gpus.for_each(|gpu| add(grant.node.index(), Track::Gpu(gpu), slice));
            if grant.gpus == 0 {
                add(grant.node.index(), Track::Slot, slice);
            }
        }
    }
    nodes
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
        slices.sort_by_key(|slice| (slice.from, slice.until, slice.job));
        let lanes = lanes(&slices);
        let count = lanes.iter().max().map_or(0, |most| most + 1);
        for lane in 0..count {
            events.thread(tid + lane + 1, &track.name(lane))?;
        }
        for (slice, lane) in slices.iter().zip(lanes) {
            events.put(&json!({
                "ph": "X",
                "pid": events.process,
                "tid": tid + lane + 1,
                "ts": slice.from.micros(),
                "dur": slice.until.since(slice.from).micros(),
                "name": format!("job {}", context.loaded.workload.job_name(slice.job)),
                "cat": result.outcome.records[slice.job].state.name(),
                "args": told(&context.loaded.workload, result, slice.job),
            }))?;
        }
        tid += count;
    }
    Ok(())
}

/// What is shown of a job.
fn told(workload: &Workload, result: &DesignResult, job: JobId) -> Value {
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
            job: JobId::new(0),
        };
        let slices = [slice(0, 10), slice(0, 4), slice(3, 20), slice(4, 6), slice(10, 12)];
        assert_eq!(lanes(&slices), [0, 1, 2, 1, 0]);
    }
}

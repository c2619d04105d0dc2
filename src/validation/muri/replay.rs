//! A Muri trace through the events of `simulation::preemptive`, with the overhead rule of Muri's simulator: it
//! is charged to every running job at every event. A completion is predicted without it.

use super::trace::{MuriJob, TraceInput};
use crate::ids::Id;
use crate::scheduler::preemptive::{GpuCluster, PreemptivePolicy};
use crate::simulation::preemptive::machine::Machine;
use crate::time::{SimDuration, SimTime};

/// What a replay tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Mean of end - submit, in s.
    pub jct_mean_s: f64,
    /// Last end, in s since the trace's zero.
    pub makespan_s: f64,
    /// The value at position floor(0.99 n) of the sorted (end - submit), in s.
    pub jct_p99_s: f64,
}

/// Replays the jobs under a policy.
#[must_use]
pub fn replay(input: &TraceInput, policy: PreemptivePolicy) -> Figures {
    let cluster = GpuCluster { nodes: input.cluster.nodes, gpus_per_node: input.cluster.gpus_per_node };
    let mut machine = Machine::new(&input.jobs, cluster, policy);
    let mut ends = vec![None; input.jobs.len()];
    while let Some(now) = machine.next_event() {
        for advance in machine.step(now).iter().filter(|advance| advance.done) {
            ends[advance.job.index()] = Some(now);
        }
    }
    figures(&input.jobs, &ends)
}

fn figures(jobs: &[MuriJob], ends: &[Option<SimTime>]) -> Figures {
    let ended = jobs.iter().zip(ends).map(|(job, end)| {
        let end = end.expect("every job that fits on the empty cluster ends");
        (end.since(job.submit).micros(), end)
    });
    let (mut times, ends): (Vec<i64>, Vec<SimTime>) = ended.unzip();
    times.sort_unstable();
    let sum: i128 = times.iter().map(|time| i128::from(*time)).sum();
    let p99 = times[times.len() * 99 / 100];
    Figures {
        jct_mean_s: sum as f64 / times.len() as f64 / 1e6,
        makespan_s: ends.iter().max().map_or(0.0, |end| end.as_s()),
        jct_p99_s: SimDuration::from_micros(p99).as_s(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::trace::MuriCluster;
    use super::*;
    use crate::diagnostic::Diagnostics;

    fn job(submit_s: i64, gpus: u32, work_s: i64, overhead_s: i64) -> MuriJob {
        MuriJob {
            submit: SimTime::from_s(submit_s),
            gpus,
            work: SimDuration::from_s(work_s),
            overhead: SimDuration::from_s(overhead_s),
        }
    }

    fn run(jobs: &[MuriJob], policy: PreemptivePolicy) -> Figures {
        let cluster = MuriCluster { nodes: 1, gpus_per_node: 8 };
        replay(&TraceInput { jobs: jobs.to_vec(), cluster, told: Diagnostics::default() }, policy)
    }

    #[test]
    fn overhead_is_charged_at_every_event_of_others() {
        // The first runs alone from 0; the arrival at 100 is an event that costs it 10 s: 1000 - 90 are
        // left, so it ends at 1010. The second fits beside it and ends at 150, which costs 10 s again.
        let figures = run(&[job(0, 4, 1000, 10), job(100, 4, 50, 10)], PreemptivePolicy::Srtf);
        assert!((figures.makespan_s - 1020.0).abs() < 1e-9);
        assert!((figures.jct_mean_s - (1020.0 + 50.0) / 2.0).abs() < 1e-9);
    }

    #[test]
    fn the_shorter_preempts_the_longer() {
        let figures = run(&[job(0, 8, 1000, 0), job(100, 8, 50, 0)], PreemptivePolicy::Srtf);
        assert!((figures.makespan_s - 1050.0).abs() < 1e-9);
        // By service: 8 x 900 s left against 1 x 1000 s. The second runs 100 to 1100, the first ends at 2000.
        let figures = run(&[job(0, 8, 1000, 0), job(100, 1, 1000, 0)], PreemptivePolicy::Srsf);
        assert!((figures.makespan_s - 2000.0).abs() < 1e-9);
        assert!((figures.jct_p99_s - 2000.0).abs() < 1e-9);
    }

    #[test]
    fn tiresias_demotes_by_attained_service() {
        // 3250 GPU s on 8 GPUs are reached within 407 s: then the new job, still in the first queue, runs.
        let figures = run(&[job(0, 8, 1000, 0), job(10, 8, 100, 0)], PreemptivePolicy::Tiresias);
        assert!((figures.makespan_s - 1100.0).abs() < 1e-9);
        assert!((figures.jct_mean_s - (1100.0 + 497.0) / 2.0).abs() < 1e-9);
    }
}

//! A policy of your own: an order and a placement, run over a trace.
//!
//!     cargo run --release --example my_policy
//!
//! The order: most waited for its requested time first, and interactive sessions before all others.
//! The placement: nodes that keep an even number of GPUs free, for jobs that come in pairs.

use windtunnel::cluster::{Amounts, ClusterSpec, NodeSpec, PoolSpec};
use windtunnel::metrics::summarize;
use windtunnel::scheduler::{BackfillSpec, JobView, NodeView, OrderKey, Ordering, Placement, Score};
use windtunnel::simulation::{NodeChoice, Policy, RunOptions, simulate};
use windtunnel::time::SimTime;
use windtunnel::workload::{JobFlags, ReadOptions, read_trace};

struct Impatience;

impl Ordering for Impatience {
    fn key(&self, job: &JobView<'_>, now: SimTime) -> OrderKey {
        let session = if job.job.flags.has(JobFlags::SESSION) { 1e6 } else { 0.0 };
        let waited = job.age(now).as_s() / job.job.limit.as_s();
        OrderKey::from_f64(-(session + waited)) // the smallest key is first
    }

    fn changes_with_time(&self) -> bool {
        true
    }
}

struct KeepPairs;

impl Placement for KeepPairs {
    fn score(&self, ask: &Amounts, node: &NodeView) -> Score {
        let left = node.free.minus(ask);
        Score::from(left.gpus % 2) * 1000 + Score::from(left.gpus) // the lowest score wins
    }
}

/// Runs it on a shipped trace.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let workload = read_trace("traces/research-team.csv".as_ref(), &ReadOptions::default())?;
    let node = NodeSpec {
        name: "8 GPUs".to_owned(),
        capacity: Amounts { cpus: 112, gpus: 8, mem_mb: 2_000_000 },
        gpu_type: None,
        gpu_mem_mib: None,
        features: Vec::new(),
    };
    let cluster =
        ClusterSpec { pools: vec![PoolSpec { name: "main".to_owned(), node, count: 2, dedicated: None }] };
    let policy = Policy {
        ordering: Box::new(Impatience),
        placement: NodeChoice::Own(Box::new(KeepPairs)),
        backfill: BackfillSpec::Easy,
    };
    let outcome = simulate(&workload, &cluster, policy, &RunOptions::default())?;
    let figures = summarize(&workload, &cluster, &outcome);
    println!("{} jobs completed, mean wait {:?} s", figures.jobs.completed, figures.wait_s.mean);
    Ok(())
}

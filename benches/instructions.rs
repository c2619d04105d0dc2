//! Instructions on the hot paths, counted by Valgrind: they do not depend on how busy the machine is.
//!
//! Each count has a limit of its own, a tenth above what was measured when it was set; a change that
//! goes beyond is a regression and fails the run. A change that makes a path cheaper lowers its limit.
//! Needs `valgrind` and `cargo install gungraun-runner` of the version in Cargo.lock.

#![allow(missing_docs, reason = "the macros of the harness make items without words")]

use std::hint::black_box;

use gungraun::prelude::*;
use gungraun::{Callgrind, EventKind};
use windtunnel::cluster::{Amounts, ClusterSpec, NodeSpec, PoolSpec};
use windtunnel::kernel::{Calendar, Phase};
use windtunnel::scheduler::{PlacementSpec, PolicySpec, ordering};
use windtunnel::simulation::{Outcome, Policy, RunOptions, simulate};
use windtunnel::time::{SimDuration, SimTime};
use windtunnel::workload::Workload;
use windtunnel::workload::generate::{LublinParams, Model, Preset, ResearchParams, generate};

/// A trace, a cluster and a policy.
type Setting = (Workload, ClusterSpec, PolicySpec);

fn processors(policy: &str, jobs: u64) -> Setting {
    let params =
        LublinParams { jobs: Some(jobs), processors: Some(256), load: Some(1.0), ..LublinParams::default() };
    let workload = generate(&Model::Lublin(params), 1).expect("good settings");
    (workload, ClusterSpec::processors(256), PolicySpec::classic(policy).expect("a classic policy"))
}

fn gpus(policy: &str, jobs: u64) -> Setting {
    const NODES: u32 = 64;
    let params = ResearchParams {
        preset: Some(Preset::HeliosLike),
        jobs: Some(jobs),
        load: Some(1.0),
        gpus: Some(NODES * 8),
        gpus_per_node: Some(8),
        ..ResearchParams::default()
    };
    let workload = generate(&Model::Research(params), 1).expect("good settings");
    let capacity = Amounts { cpus: 128, gpus: 8, mem_mb: 1 << 20 };
    let node = NodeSpec {
        name: "gpu-8".to_owned(),
        capacity,
        gpu_type: None,
        gpu_mem_mib: None,
        features: Vec::new(),
    };
    let cluster = ClusterSpec {
        pools: vec![PoolSpec { name: "main".to_owned(), node, count: NODES, dedicated: None }],
    };
    let policy = PolicySpec::classic(policy).expect("a classic policy");
    (workload, cluster, PolicySpec { placement: PlacementSpec::BestFit, ..policy })
}

/// At most so many instructions.
fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let mut config = LibraryBenchmarkConfig::default();
    let mut callgrind = Callgrind::default();
    callgrind.hard_limits([(EventKind::Ir, instructions)]);
    config.tool(callgrind);
    config
}

#[library_benchmark]
#[bench::fcfs(args = (processors("fcfs", 5_000)), config = at_most(21_400_000))]
#[bench::greedy(args = (processors("greedy", 5_000)), config = at_most(22_900_000))]
#[bench::easy(args = (processors("easy", 5_000)), config = at_most(27_300_000))]
#[bench::conservative(args = (processors("conservative", 500)), config = at_most(57_500_000))]
#[bench::easy_best_fit_on_gpus(args = (gpus("easy", 5_000)), config = at_most(30_100_000))]
#[bench::greedy_best_fit_on_gpus(args = (gpus("greedy", 5_000)), config = at_most(25_600_000))]
fn run((workload, cluster, spec): Setting) -> Outcome {
    let policy = Policy {
        ordering: ordering::ordering(&spec.order).expect("no expression"),
        placement: spec.placement.into(),
        backfill: spec.backfill,
    };
    simulate(black_box(&workload), &cluster, policy, &RunOptions::default()).expect("it runs")
}

#[library_benchmark]
#[bench::bare(args = (0), config = at_most(9_800_000))]
#[bench::four_others_move(args = (4), config = at_most(19_000_000))]
fn hold(moves: u32) -> SimTime {
    const PENDING: u32 = 1_000;
    const EVENTS: u32 = 10_000;
    // Spans without a pattern that the heap could profit from.
    let span = |n: u32| SimDuration::from_micros(i64::from(n.wrapping_mul(2_654_435_769) >> 12));
    let mut calendar = Calendar::new();
    for key in 0..PENDING {
        calendar.set(key, SimTime::ZERO + span(key), Phase::Release);
    }
    let mut now = SimTime::ZERO;
    for n in 0..EVENTS {
        now = calendar.next_at().expect("events are pending");
        let key = calendar.pop_due(now, Phase::Pass).expect("one is due");
        calendar.set(key, now + span(n), Phase::Release);
        for other in 0..moves {
            let victim = (n * 7 + other * 331) % PENDING;
            calendar.set(victim, now + span(n ^ (other << 20)), Phase::Release);
        }
    }
    now
}

library_benchmark_group!(name = policies, benchmarks = run);
library_benchmark_group!(name = kernel, benchmarks = hold);
main!(library_benchmark_groups = [policies, kernel]);

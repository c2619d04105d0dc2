//! A million GPU jobs on 1,250 nodes of 8 GPUs under EASY with best fit, on one core.
//!
//! Generated research-cluster jobs, below, at and above what the cluster can carry; measured:
//! `simulate` alone, without reading and statistics.
//! Smaller traces first show the growth. `cargo bench --bench gpu_million -- 250000` stops there.

#[path = "measure.rs"]
mod measure;

use windtunnel::cluster::{Amounts, ClusterSpec, NodeSpec, PoolSpec};
use windtunnel::scheduler::{BackfillSpec, OrderSpec, PlacementSpec, ordering};
use windtunnel::simulation::{Outcome, Policy, RunOptions, simulate};
use windtunnel::time::SimTime;
use windtunnel::workload::Workload;
use windtunnel::workload::generate::{Model, Preset, ResearchParams, generate};

const NODES: u32 = 1_250;
const GPUS: u32 = 8;
const JOBS_PER_S: f64 = 100_000.0;

fn jobs(jobs: u64, load: f64) -> Workload {
    let params = ResearchParams {
        preset: Some(Preset::HeliosLike),
        jobs: Some(jobs),
        load: Some(load),
        gpus: Some(NODES * GPUS),
        gpus_per_node: Some(GPUS),
        ..ResearchParams::default()
    };
    generate(&Model::Research(params), 1).expect("good settings")
}

fn run(workload: &Workload) -> Outcome {
    let node = NodeSpec {
        name: "gpu-8".to_owned(),
        capacity: Amounts { cpus: 128, gpus: GPUS, mem_mb: 1 << 20 },
        gpu_type: None,
        gpu_mem_mib: None,
        features: Vec::new(),
    };
    let cluster = ClusterSpec {
        pools: vec![PoolSpec { name: "main".to_owned(), node, count: NODES, dedicated: None }],
    };
    let policy = Policy {
        ordering: ordering::ordering(&OrderSpec::Submit).expect("no expression"),
        placement: PlacementSpec::BestFit.into(),
        backfill: BackfillSpec::Easy,
    };
    simulate(workload, &cluster, policy, &RunOptions::default()).expect("it runs")
}

fn main() {
    let most = std::env::args().find_map(|arg| arg.parse::<u64>().ok()).unwrap_or(1_000_000);
    println!(
        "{:>5} {:>9} {:>9} {:>9} {:>10} {:>11}  target",
        "load", "jobs", "refused", "waited", "s", "jobs/s"
    );
    for load in [0.8, 1.0, 1.2] {
        for size in [125_000, 250_000, 500_000, 1_000_000].into_iter().filter(|size| *size <= most) {
            let workload = jobs(size, load);
            let mut outcome = None;
            let time = measure::shortest(1, &mut [&mut || outcome = Some(run(&workload))])[0];
            let outcome = outcome.expect("it ran");
            let rows = outcome.records.iter().zip(workload.jobs.iter());
            let waited = rows.filter(|(r, job)| r.start != SimTime::NEVER && r.start > job.submit).count();
            let rate = size as f64 / time.as_secs_f64();
            println!(
                "{load:>5} {size:>9} {:>9} {waited:>9} {:>10.2} {rate:>11.0}  >= {JOBS_PER_S} {}",
                outcome.refused.len(),
                time.as_secs_f64(),
                measure::verdict(JOBS_PER_S, rate)
            );
        }
    }
}

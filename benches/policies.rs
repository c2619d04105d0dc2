//! Growth: how the time of a run rises when the trace has twice as many jobs.
//!
//! Lublin-Feitelson jobs on 256 processors, at a load that the machine can carry (0.95) and in overload
//! (1.06, the queue grows all the time). Measured: `simulate` alone, without reading and statistics.

#[path = "measure.rs"]
mod measure;

use windtunnel::cluster::ClusterSpec;
use windtunnel::scheduler::{BackfillSpec, PolicySpec, ordering};
use windtunnel::simulation::{Policy, RunOptions, simulate};
use windtunnel::workload::Workload;
use windtunnel::workload::generate::{LublinParams, Model, generate};

const PROCESSORS: u32 = 256;

fn jobs(jobs: u64, load: f64) -> Workload {
    let params = LublinParams {
        jobs: Some(jobs),
        processors: Some(PROCESSORS),
        load: Some(load),
        ..LublinParams::default()
    };
    generate(&Model::Lublin(params), 1).expect("good settings")
}

/// Runs and tells the mean number of waiting jobs.
fn run(workload: &Workload, spec: &PolicySpec) -> f64 {
    let policy = Policy {
        ordering: ordering::ordering(&spec.order).expect("no expression"),
        placement: spec.placement.into(),
        backfill: spec.backfill,
    };
    let cluster = ClusterSpec::processors(PROCESSORS);
    let outcome = simulate(workload, &cluster, policy, &RunOptions::default()).expect("it runs");
    let span = outcome.last_instant.since(outcome.first_submit).micros();
    outcome.hours.waiting_job_us as f64 / span as f64
}

fn growth(title: &str, policies: &[PolicySpec], sizes: &[u64], load: f64, at_most: Option<f64>) {
    println!("\n{title}");
    println!(
        "{:>20} {:>8} {:>8} {:>10} {:>12} {:>10}  target",
        "policy", "jobs", "waiting", "ms", "jobs/s", "doubling"
    );
    for spec in policies {
        let mut before: Option<f64> = None;
        for size in sizes {
            let workload = jobs(*size, load);
            let mut waiting = 0.0;
            let time = measure::shortest(3, &mut [&mut || waiting = run(&workload, spec)])[0];
            let seconds = time.as_secs_f64();
            let factor = before.map(|before| seconds / before);
            let shown = factor.map_or(String::new(), |f| format!("{f:.2}"));
            let target = factor.zip(at_most).map_or(String::new(), |(factor, at_most)| {
                format!("<= {at_most} {}", measure::verdict(factor, at_most))
            });
            println!(
                "{:>20} {size:>8} {waiting:>8.0} {:>10.1} {:>12.0} {shown:>10}  {target}",
                spec.name,
                seconds * 1e3,
                *size as f64 / seconds
            );
            before = Some(seconds);
        }
    }
}

fn classic(name: &str) -> PolicySpec {
    PolicySpec::classic(name).expect("a classic policy")
}

fn main() {
    let three = ["fcfs", "greedy", "easy"].map(classic);
    let carried = [10_000, 20_000, 40_000, 80_000, 160_000];
    growth("load 0.95", &three, &carried, 0.95, Some(2.2));
    let overload = [10_000, 20_000, 40_000, 80_000];
    growth("overload, load 1.06", &three, &overload, 1.06, Some(2.5));
    let bounded = PolicySpec {
        name: "conservative, 100".to_owned(),
        backfill: BackfillSpec::Conservative { depth: Some(100) },
        ..classic("conservative")
    };
    let small = [1_000, 2_000, 4_000, 8_000];
    growth("conservative, load 0.95", &[classic("conservative"), bounded.clone()], &small, 0.95, None);
    growth("conservative in overload, load 1.06", &[classic("conservative"), bounded], &small, 1.06, None);
}

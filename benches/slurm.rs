//! The Slurm engine: a large log, a saturated month, and how a cycle grows with queue and nodes.
//!
//! `cargo bench --bench slurm [-- curie FILE [JOBS] | month | grid | import]`; everything by default. The log is
//! the first 100,000 jobs of CEA-Curie as SWF ($WINDTUNNEL_CURIE names it) on the site of `scenarios/curie`. Measured: `run_slurm`
//! alone, on one thread, without reading. The line under each run is a digest of all decisions.

#[path = "measure.rs"]
mod measure;
#[path = "sites.rs"]
mod sites;

use std::hash::Hasher;
use std::path::Path;

use criterion::{BenchmarkId, Criterion};
use rustc_hash::FxHasher;
use windtunnel::scenario::slurm_conf::{SiteFiles, read_site};
use windtunnel::scheduler::slurm::config::SlurmConfig;
use windtunnel::scheduler::slurm::job::JobSpec;
use windtunnel::scheduler::slurm::{Controller, hardware_of};
use windtunnel::simulation::slurm::{Intake, SlurmJob, SlurmOutcome, run_slurm, run_slurm_uncached};
use windtunnel::time::SimTime;
use windtunnel::workload::read::{ReadOptions, read_trace};

use crate::sites::{run_by, saturated};

fn digest(outcome: &SlurmOutcome) -> u64 {
    let mut hash = FxHasher::default();
    for a in &outcome.attempts {
        hash.write_usize(a.spec);
        hash.write_i64(a.start.micros());
        hash.write_i64(a.end.micros());
        hash.write_u32(a.priority);
        hash.write_u8(u8::from(a.started_by == windtunnel::scheduler::slurm::job::StartedBy::Backfill));
        a.grants.nodes().iter().for_each(|n| hash.write_usize(*n));
    }
    hash.finish()
}

fn run(config: &SlurmConfig, specs: &[JobSpec], jobs: &[SlurmJob]) -> SlurmOutcome {
    run_by(run_slurm, config, specs, jobs)
}

/// Runs and tells the seconds that it took.
fn show(what: &str, config: &SlurmConfig, specs: &[JobSpec], jobs: &[SlurmJob]) -> f64 {
    let mut outcome = None;
    let time = measure::shortest(1, &mut [&mut || outcome = Some(run(config, specs, jobs))])[0];
    let outcome = outcome.expect("it ran");
    let seconds = time.as_secs_f64();
    let waits: f64 = outcome.attempts.iter().map(|a| a.start.as_s() - a.submit.as_s()).sum();
    println!(
        "{what}: {} jobs ({} refused) in {seconds:.2} s = {:.0} jobs/s; {} main passes, {} backfill cycles over {} jobs; mean wait {:.0} s",
        jobs.len(),
        outcome.refused.len(),
        jobs.len() as f64 / seconds,
        outcome.cycles.main,
        outcome.cycles.backfill,
        outcome.cycles.backfill_depth,
        waits / outcome.attempts.len().max(1) as f64
    );
    let span = outcome
        .attempts
        .iter()
        .map(|a| a.end)
        .max()
        .map_or(0.0, |end| end.since(jobs[0].submit).micros() as f64);
    println!("    mean queue {:.0}, decisions {:016x}", waits * 1e6 / span.max(1.0), digest(&outcome));
    seconds
}

/// The yardstick: CEA-Curie on the site of `scenarios/curie`.
fn curie(path: &str, jobs: usize) {
    let options = ReadOptions { job_limit: Some(jobs as u64), ..ReadOptions::default() };
    let Ok(trace) = read_trace(path.as_ref(), &options) else {
        println!("curie: skipped, {path} cannot be read");
        return;
    };
    let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/curie/slurm.conf");
    let files = SiteFiles { slurm_conf: &conf, gres_conf: None, accounting: None, version: None };
    let config = read_site(files).expect("the scenario's own file reads").config;
    let intake = Intake::new(&trace, &config);
    let seconds = show("curie", &config, &intake.specs, &intake.jobs);
    let each = 1e6 * seconds / intake.jobs.len().max(1) as f64;
    println!("    {each:.0} us a job; target <= 40 {}", measure::verdict(each, 40.0));
}

fn month() {
    let (config, specs, jobs) = saturated(1_000, 1_500, 30 * 86_400);
    let seconds = show("saturated month, 1,000 nodes", &config, &specs, &jobs);
    println!("    target <= 20 s {}", measure::verdict(seconds, 20.0));
}

/// Twenty minutes of a queue of 2,500 jobs on 1,000 nodes, beside the same without caches.
fn uncached() {
    let (config, specs, mut jobs) = saturated(1_000, 2_000, 1);
    for job in &mut jobs {
        job.cancel = Some(SimTime::from_s(1_200));
    }
    let (mut fast, mut slow) = (None, None);
    let times = measure::shortest(
        1,
        &mut [&mut || fast = Some(run_by(run_slurm, &config, &specs, &jobs)), &mut || {
            slow = Some(run_by(run_slurm_uncached, &config, &specs, &jobs))
        }],
    );
    let (fast, slow) = (fast.expect("it ran"), slow.expect("it ran"));
    assert_eq!((fast.attempts, fast.cycles), (slow.attempts, slow.cycles));
    let times_faster = times[1].as_secs_f64() / times[0].as_secs_f64();
    println!("{} jobs, 1,000 nodes, 20 min, {:?}", jobs.len(), fast.cycles);
    println!("    {times_faster:.0} times as fast as without caches, target >= 20");
}

/// One backfill cycle over a full machine, by nodes and queue.
fn grid(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("backfill cycle");
    group.sample_size(10);
    for nodes in [100u32, 1_000, 10_000] {
        for queue in [100usize, 1_000, 10_000] {
            let (config, specs, _) = saturated(nodes, queue + 4 * nodes as usize, 1);
            let hardware = hardware_of(&config);
            let mut controller = Controller::new(&config, &hardware, &specs, 0);
            let mut next = 0;
            while next < specs.len() {
                controller.submit(next, 0).expect("it fits");
                next += 1;
                if next % 64 == 0 {
                    controller.main_pass(SimTime::from_s(1), true);
                    if controller.pending().len() >= queue {
                        break;
                    }
                }
            }
            let id = BenchmarkId::new(format!("{nodes} nodes"), format!("{} waiting", queue));
            group.bench_function(id, |b| {
                b.iter_batched(
                    || controller.clone(),
                    |mut c| c.backfill_cycle(SimTime::from_s(40)),
                    criterion::BatchSize::LargeInput,
                );
            });
        }
    }
    group.finish();
}

/// Reads the files of a site of 100,000 nodes, a line each, in 300 partitions of all of them.
fn import() {
    const NODES: usize = 100_000;
    let mut text = String::from("ClusterName=large\n");
    for n in 0..NODES {
        text.push_str(&format!("NodeName=n{n} CPUs=64 RealMemory=256000 Gres=gpu:a100:4\n"));
    }
    for p in 0..300 {
        text.push_str(&format!("PartitionName=p{p} Nodes=n[0-{}]\n", NODES - 1));
    }
    let path = std::env::temp_dir().join(format!("windtunnel-import-{}.conf", std::process::id()));
    std::fs::write(&path, text).expect("the directory for temporary files can be written");
    let files = SiteFiles { slurm_conf: &path, gres_conf: None, accounting: None, version: None };
    let taken = measure::time(|| read_site(files).expect("it reads"));
    std::fs::remove_file(&path).expect("it was written");
    println!("import: {NODES} nodes, 300 partitions in {:.2} s (at most 2 s)", taken.as_secs_f64());
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let what = words.first().map_or("", String::as_str);
    if matches!(what, "" | "curie") {
        let path = words.get(1).cloned().or_else(|| std::env::var("WINDTUNNEL_CURIE").ok());
        let jobs = words.get(2).and_then(|n| n.parse().ok()).unwrap_or(100_000);
        match path {
            Some(path) => curie(&path, jobs),
            None => println!("curie: skipped, WINDTUNNEL_CURIE names no file"),
        }
    }
    if matches!(what, "" | "month") {
        month();
    }
    if matches!(what, "" | "import") {
        import();
    }
    if matches!(what, "" | "uncached") {
        uncached();
    }
    if matches!(what, "" | "grid") {
        let mut criterion = Criterion::default();
        grid(&mut criterion);
        criterion.final_summary();
    }
}

//! The Slurm engine: a large log, a saturated month, and how a cycle grows with queue and nodes.
//!
//! `cargo bench --bench slurm [-- curie FILE [JOBS] | month | grid | import]`; everything by default. The log is
//! the first 100,000 jobs of CEA-Curie as SWF (93,312 processors; $WINDTUNNEL_CURIE names it). Measured: `run_slurm`
//! alone, on one thread, without reading. The line under each run is a digest of all decisions.

#[path = "measure.rs"]
mod measure;

use std::collections::BTreeSet;
use std::hash::Hasher;

use criterion::{BenchmarkId, Criterion};
use rustc_hash::FxHasher;
use windtunnel::ids::{Id, JobId};
use windtunnel::random::Stream;
use windtunnel::scenario::slurm_conf::{SiteFiles, read_site};
use windtunnel::scheduler::slurm::config::{
    Assoc, AssocId, Limits, NodeConf, PartitionConf, Shares, SlurmConfig,
};
use windtunnel::scheduler::slurm::job::{Ask, JobSpec};
use windtunnel::scheduler::slurm::{Controller, hardware_of};
use windtunnel::simulation::slurm::{
    Chance, Intake, Phases, SlurmJob, SlurmOutcome, SlurmRun, run_slurm, run_slurm_uncached,
};
use windtunnel::time::{SimDuration, SimTime};
use windtunnel::workload::Workload;
use windtunnel::workload::read::{ReadOptions, read_trace};

/// Nodes of `cpus` CPUs each, one partition; every default but the ones asked for here.
fn site(nodes: usize, cpus: u32) -> SlurmConfig {
    let mut config = SlurmConfig::empty();
    for n in 0..nodes {
        config.nodes.push(NodeConf {
            name: format!("n{n:05}"),
            cpus,
            mem_mb: 64_000,
            gres: Vec::new(),
            weight: 1,
            features: Vec::new(),
            unusable: false,
        });
    }
    let mut all = config.no_nodes();
    all.insert_range(..);
    config.partitions.push(PartitionConf { default: true, ..PartitionConf::new("main", all) });
    config.priority.multifactor = true;
    config.priority.weights.age = 1_000;
    config.priority.weights.fair_share = 10_000;
    config.priority.weights.job_size = 1_000;
    config.backfill.interval_s = 30;
    config
}

/// An association for every user, in one account.
fn with_users<'u>(mut config: SlurmConfig, users: impl Iterator<Item = &'u str>) -> SlurmConfig {
    config.accounting.present = true;
    let group = AssocId(u32::try_from(config.accounting.assocs.len()).expect("few associations"));
    let mut assoc = Assoc {
        account: "all".to_owned(),
        user: None,
        parent: Some(AssocId(0)),
        shares: Shares::Raw(1),
        qos: Vec::new(),
        default_qos: None,
        priority: 0,
        limits: Limits::default(),
    };
    config.accounting.assocs.push(assoc.clone());
    assoc.parent = Some(group);
    for user in users {
        config.accounting.assocs.push(Assoc { user: Some(user.to_owned()), ..assoc.clone() });
    }
    config
}

fn digest(outcome: &SlurmOutcome) -> u64 {
    let mut hash = FxHasher::default();
    for a in &outcome.attempts {
        hash.write_usize(a.spec);
        hash.write_i64(a.start.micros());
        hash.write_i64(a.end.micros());
        hash.write_u32(a.priority);
        hash.write_u8(u8::from(a.started_by == windtunnel::scheduler::slurm::job::StartedBy::Backfill));
        a.nodes.iter().for_each(|n| hash.write_usize(*n));
    }
    hash.finish()
}

fn run(config: &SlurmConfig, specs: &[JobSpec], jobs: &[SlurmJob]) -> SlurmOutcome {
    run_by(run_slurm, config, specs, jobs)
}

type Engine = fn(SlurmRun<'_>, &dyn Fn() -> bool) -> SlurmOutcome;

fn run_by(engine: Engine, config: &SlurmConfig, specs: &[JobSpec], jobs: &[SlurmJob]) -> SlurmOutcome {
    let hardware = hardware_of(config);
    let first = jobs.first().map_or(SimTime::ZERO, |j| j.submit);
    let before = |s| first - SimDuration::from_s(s);
    let chance = Chance { seed: 1, phases: Phases { started_from: before(7), started_to: before(5) } };
    let (hardware, commands, translated) = (&hardware, &[], None);
    engine(SlurmRun { config, hardware, specs, jobs, commands, chance, translated }, &|| false)
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

/// The yardstick: CEA-Curie on 5,040 nodes of 16 CPUs.
fn curie(path: &str, jobs: usize) {
    let options = ReadOptions { job_limit: Some(jobs as u64), ..ReadOptions::default() };
    let Ok(trace) = read_trace(path.as_ref(), &options) else {
        println!("curie: skipped, {path} cannot be read");
        return;
    };
    let users: BTreeSet<&str> = users_of(&trace);
    let config = with_users(site(5_040, 16), users.into_iter());
    let intake = Intake::new(&trace, &config);
    let seconds = show("curie", &config, &intake.specs, &intake.jobs);
    let each = 1e6 * seconds / intake.jobs.len().max(1) as f64;
    println!("    {each:.0} us a job; target <= 100 {}", measure::verdict(each, 100.0));
}

fn users_of(trace: &Workload) -> BTreeSet<&str> {
    let user = |n: usize| trace.labels.get(trace.jobs[JobId::new(n)].labels).user;
    (0..trace.jobs.len()).filter_map(|n| user(n).map(|t| trace.texts.get(t))).collect()
}

/// Jobs of 1 to 64 whole or part nodes, 10 minutes to a day, limits up to four times too long.
fn random_job(draw: &mut Stream, node_cpus: u32, most_nodes: u32) -> (JobSpec, SimDuration) {
    let nodes = (1 << draw.below(7)).min(most_nodes);
    let cpus_per_node =
        if nodes > 1 || draw.below(2) == 0 { node_cpus } else { 1 + draw.below(u64::from(node_cpus)) as u32 };
    let run_s = 600 + (draw.uniform() * draw.uniform() * 85_000.0) as i64;
    let limit_s = (run_s as f64 * (1.0 + 3.0 * draw.uniform())) as i64;
    let limit_min = u32::try_from(limit_s / 1_800 + 1).expect("days") * 30;
    let spec = JobSpec {
        job_name: "".into(),
        user: format!("u{}", draw.below(50)).into(),
        account: None,
        partition: None,
        qos: None,
        ask: Ask {
            min_nodes: nodes,
            max_nodes: Some(nodes),
            cpus: nodes * cpus_per_node,
            cpus_per_node,
            fixed_per_node: true,
            ..Ask::default()
        }
        .into(),
        limit_min: Some(limit_min.min(1_440)),
        nice: 0,
        after: Vec::new(),
        array: None,
        task_of: None,
        reservation: None,
        requeue: None,
        begin_s: None,
        hold: false,
        wider: None,
    };
    (spec, SimDuration::from_s(run_s.min(86_000)))
}

/// Arrivals that keep at least `queue` jobs waiting: all of them at once, then one for every
/// node-second that the site can give.
fn saturated(nodes: u32, queue: usize, span_s: i64) -> (SlurmConfig, Vec<JobSpec>, Vec<SlurmJob>) {
    let names: Vec<String> = (0..50).map(|n| format!("u{n}")).collect();
    let config = with_users(site(nodes as usize, 64), names.iter().map(String::as_str));
    let mut draw = Stream::new(7, "saturated", 0, 0);
    let (mut specs, mut jobs) = (Vec::new(), Vec::new());
    let mut at_s = 0.0;
    while at_s < span_s as f64 {
        let (spec, run) = random_job(&mut draw, 64, (nodes / 8).max(1));
        if specs.len() > queue + queue / 4 {
            at_s += run.as_s() * f64::from(spec.ask.cpus) / 64.0 / f64::from(nodes);
        }
        let submit = SimTime::from_micros((at_s * 1e6) as i64);
        specs.push(spec);
        jobs.push(SlurmJob { submit, run, exit_ok: true, cancel: None, spill_after: None });
    }
    (config, specs, jobs)
}

fn month() {
    let (config, specs, jobs) = saturated(1_000, 1_500, 30 * 86_400);
    let seconds = show("saturated month, 1,000 nodes", &config, &specs, &jobs);
    println!("    target <= 60 s {}", measure::verdict(seconds, 60.0));
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

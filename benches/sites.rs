//! Sites and queues for the benches of the Slurm engine.

use windtunnel::random::Stream;
use windtunnel::scheduler::slurm::config::{
    Assoc, AssocId, Limits, NodeConf, PartitionConf, Shares, SlurmConfig,
};
use windtunnel::scheduler::slurm::hardware_of;
use windtunnel::scheduler::slurm::job::{Ask, JobSpec};
use windtunnel::simulation::slurm::{Chance, Phases, SlurmJob, SlurmOutcome, SlurmRun};
use windtunnel::time::{SimDuration, SimTime};

/// Nodes of `cpus` CPUs each, one partition; every default but the ones asked for here.
pub fn site(nodes: usize, cpus: u32) -> SlurmConfig {
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
pub fn with_users<'u>(mut config: SlurmConfig, users: impl Iterator<Item = &'u str>) -> SlurmConfig {
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

/// Jobs of 1 to 64 whole or part nodes, 10 minutes to a day, limits up to four times too long.
pub fn random_job(draw: &mut Stream, node_cpus: u32, most_nodes: u32) -> (JobSpec, SimDuration) {
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
        licences: None,
        requeue: None,
        begin_s: None,
        hold: false,
        wider: None,
    };
    (spec, SimDuration::from_s(run_s.min(86_000)))
}

/// Arrivals that keep at least `queue` jobs waiting: all of them at once, then one for every
/// node-second that the site can give.
pub fn saturated(nodes: u32, queue: usize, span_s: i64) -> (SlurmConfig, Vec<JobSpec>, Vec<SlurmJob>) {
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

/// `run_slurm`, or the same without caches.
pub type Engine = fn(SlurmRun<'_>, &dyn Fn() -> bool) -> SlurmOutcome;

/// Runs from a few seconds before the first submission on.
pub fn run_by(engine: Engine, config: &SlurmConfig, specs: &[JobSpec], jobs: &[SlurmJob]) -> SlurmOutcome {
    let hardware = hardware_of(config);
    let first = jobs.first().map_or(SimTime::ZERO, |j| j.submit);
    let before = |s| first - SimDuration::from_s(s);
    let chance = Chance { seed: 1, phases: Phases { started_from: before(7), started_to: before(5) } };
    let (hardware, commands, translated) = (&hardware, &[], None);
    engine(SlurmRun { config, hardware, specs, jobs, commands, chance, translated }, &|| false)
}

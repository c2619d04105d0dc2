//! Small runs for claims: a pool of 8-GPU nodes, a few jobs, their run times.

use std::path::Path;

use crate::experiment::run_design;
use crate::ids::{JobId, LabelId};
use crate::scenario::{Design, Scenario, load_text};
use crate::simulation::{Outcome, RunOptions};
use crate::time::{SimDuration, SimTime};
use crate::workload::{Job, JobFlags, JobName, Labels, Request, Workload};

/// Levels of the catalogue.
pub(super) const LEVELS: [&str; 3] = ["low", "typical", "high"];

/// Jobs alike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Jobs {
    pub(super) class: &'static str,
    pub(super) count: usize,
    pub(super) gpus: u32,
    pub(super) nodes: u32,
    pub(super) run_s: i64,
}

impl Jobs {
    /// One job of 10,000 s.
    pub(super) fn one(class: &'static str, gpus: u32, nodes: u32) -> Self {
        Self { class, count: 1, gpus, nodes, run_s: 10_000 }
    }
}

/// A design of one pool: its node count, and the tables of its tenancy.
pub(super) fn design(count: u32, tenancy: &str) -> Design {
    scenario(count, tenancy).designs.remove(0)
}

/// Whether a pool can be had at all; what is said against it.
pub(super) fn refusal(tenancy: &str) -> Option<String> {
    let problems = load_text("claim", text(1, tenancy), Path::new(""), &[]).err()?;
    Some(problems.kept().iter().map(|problem| problem.code.0).collect::<Vec<_>>().join(", "))
}

fn scenario(count: u32, tenancy: &str) -> Scenario {
    load_text("claim", text(count, tenancy), Path::new(""), &[]).expect("the scenarios of claims are tested")
}

fn text(count: u32, tenancy: &str) -> String {
    let tenancy = tenancy.replace("POOL", "design.d.pool.main");
    format!(
        "[workload.generate.research]\njobs = 10\n[policy.easy]\n[design.d.pool.main]\nnode = \"dgx-h100\"\n\
         count = {count}\n{tenancy}\n"
    )
}

/// Runs jobs, all submitted at once.
pub(super) fn play(design: &Design, groups: &[Jobs], seed: u64) -> Outcome {
    let mut workload = Workload::default();
    for group in groups {
        let class = Some(workload.texts.intern(group.class));
        let labels = workload.labels.intern(&Labels { class, ..Labels::default() });
        let (gpus, nodes) = (Some(group.gpus), Some(group.nodes));
        let request = Request { gpus, nodes, cpus: Some(group.nodes.max(group.gpus)), ..Request::default() };
        let request = workload.requests.intern(&request);
        for _ in 0..group.count {
            let name = JobName::Number(workload.jobs.len() as u32);
            let run = SimDuration::from_s(group.run_s);
            let (submit, limit, flags) = (SimTime::ZERO, run, JobFlags::default());
            workload.jobs.push(Job { submit, run, limit, priority: 0, name, request, labels, flags });
        }
    }
    let policy = scenario(1, "").policy;
    let options = RunOptions { seed, ..RunOptions::default() };
    run_design(&workload, design, &policy, &options).expect("the scenarios of claims are tested")
}

/// Run times in seconds.
pub(super) fn run_times(outcome: &Outcome) -> Vec<f64> {
    outcome.records.iter().map(|record| record.end.since(record.start).as_s()).collect()
}

/// How many times longer one job takes than on bare metal.
pub(super) fn slowdown(tenancy: &str, job: Jobs) -> f64 {
    let run = |tenancy: &str| run_times(&play(&design(job.nodes, tenancy), &[job], 1))[0];
    run(tenancy) / run("")
}

/// How many times longer one job takes than on bare metal, where both are on rails of NDR.
pub(super) fn slowdown_on_rails(tenancy: &str, job: Jobs) -> f64 {
    let rails = "fabric = \"n\"\n[design.d.fabric.n]\ntopology = \"rail\"\nnodes-per-leaf = 8\n";
    let run =
        |tenancy: &str| run_times(&play(&design(job.nodes, &format!("{rails}{tenancy}")), &[job], 1))[0];
    run(tenancy) / run("")
}

/// A VM pool without noise and contention, at a level of the catalogue.
pub(super) fn vm(options: &str, level: &str) -> String {
    format!(
        "[POOL.tenancy.vm]\ncontention = \"off\"\n{options}\n[POOL.tenancy.vm.overhead]\nlevel = \"{level}\""
    )
}

/// The first job's start in seconds.
pub(super) fn first_start(outcome: &Outcome) -> f64 {
    outcome.records[JobId(0)].start.as_s()
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Coefficient of variation.
pub(super) fn cv(values: &[f64]) -> f64 {
    let middle = mean(values);
    let squares: f64 = values.iter().map(|value| (value - middle) * (value - middle)).sum();
    libm::sqrt(squares / (values.len().max(2) - 1) as f64) / middle
}

/// Quantile as everywhere: sorted[min(n - 1, floor(q n))].
pub(super) fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((q * sorted.len() as f64) as usize).min(sorted.len() - 1)]
}

/// Run time in seconds of the first of `count` jobs on instances of one profile.
pub(super) fn instances(design: &Design, profile: &str, count: usize) -> f64 {
    let mut workload = Workload::default();
    let profile = workload.texts.intern(profile);
    let request = Request { gpus: Some(1), mig_profile: Some(profile), ..Request::default() };
    push(&mut workload, &request, count, 10_000);
    run_times(&alike(design, &workload))[0]
}

/// Seconds until `count` jobs of an hour on instances of one profile are done.
pub(super) fn instances_done(design: &Design, profile: &str, count: usize) -> f64 {
    let mut workload = Workload::default();
    let profile = workload.texts.intern(profile);
    let request = Request { gpus: Some(1), mig_profile: Some(profile), ..Request::default() };
    push(&mut workload, &request, count, 3_600);
    let outcome = alike(design, &workload);
    outcome.records.iter().map(|record| record.end.as_s()).fold(0.0, f64::max)
}

/// Seconds until `count` jobs of an hour on `milli` thousandths of a GPU are done.
pub(super) fn shares(design: &Design, count: usize, milli: u32) -> f64 {
    let mut workload = Workload::default();
    let request = Request { gpus: Some(1), gpu_milli: Some(milli), ..Request::default() };
    push(&mut workload, &request, count, 3_600);
    let outcome = alike(design, &workload);
    outcome.records.iter().map(|record| record.end.as_s()).fold(0.0, f64::max)
}

/// Adds jobs alike without class.
pub(super) fn push(workload: &mut Workload, request: &Request, count: usize, run_s: i64) {
    let labels = workload.labels.intern(&Labels::default());
    push_as(workload, labels, request, count, run_s);
}

/// Lets the jobs from row `first` on be submitted at an instant.
pub(super) fn submit_from(workload: &mut Workload, first: usize, at_s: i64) {
    let rows = &mut workload.jobs.as_mut_slice()[first..];
    rows.iter_mut().for_each(|job| job.submit = SimTime::from_s(at_s));
}

/// Adds jobs alike with these labels.
pub(super) fn push_as(workload: &mut Workload, labels: LabelId, request: &Request, count: usize, run_s: i64) {
    let first = workload.jobs.len();
    let request = workload.requests.intern(request);
    for at in first..first + count {
        let (name, run) = (JobName::Number(at as u32), SimDuration::from_s(run_s));
        let (submit, limit, flags) = (SimTime::ZERO, run, JobFlags::default());
        workload.jobs.push(Job { submit, run, limit, priority: 0, name, request, labels, flags });
    }
}

/// Runs them, all of what is there.
pub(super) fn alike(design: &Design, workload: &Workload) -> Outcome {
    run_design(workload, design, &scenario(1, "").policy, &RunOptions::default())
        .expect("the scenarios of claims are tested")
}

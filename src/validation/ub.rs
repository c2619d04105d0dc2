//! The micro cluster of the University at Buffalo: 500 jobs on ten nodes, run 96 times on a real controller.
//!
//! Long runs of a loaded site diverge by chance within seconds, so what is compared is the median wait of each job
//! over as many runs of ours, and where the jobs of one node without further wishes go. The folder has the site's own
//! files (`slurm.conf`, `gres.conf`, `topology.conf`, `sacctmgr.script`), the jobs (`jobs500.csv`), the recorded medians
//! (`per_job_wait_over_96_runs.csv`) and the nodes of one recorded run (`placement_one_run_real.csv`). Anybody's folder
//! of this layout is read by the same rules.
//!
//! A job whose run time is -1 goes on until it is killed at its limit, as in the recording.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use rustc_hash::FxHashMap;
use serde::Deserialize;
use serde_json::{Value, json};
use smallvec::smallvec;

use super::case_files::{one, unreadable};
use super::{Row, Section, Tolerance};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, Severity};
use crate::scenario::slurm_conf::{SiteFiles, read_site, read_topology};
use crate::scheduler::slurm::config::{GresCount, SlurmConfig, Version};
use crate::scheduler::slurm::hardware_of;
use crate::scheduler::slurm::job::{Ask, JobSpec};
use crate::simulation::slurm::{Chance, Phases, SlurmJob, SlurmOutcome, SlurmRun, run_slurm};
use crate::time::{SimDuration, SimTime};

/// Runs of ours: as many as were recorded.
pub const SEEDS: u64 = 96;
/// The controller that was recorded.
const VERSION: Version = Version::SERIES[0];
/// From the controller's start to the first submission: `dtstart` of the recorded runs.
const STARTED_BEFORE: SimDuration = SimDuration::from_s(10);
/// Larger files are no such folder.
const MOST_JOBS: usize = 100_000;

/// What a job asks for beside CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// GPUs.
    Gpu,
    /// A large part of a node's memory.
    BigMemory,
    /// Neither.
    Plain,
}

impl Class {
    const ALL: [Self; 3] = [Self::Gpu, Self::BigMemory, Self::Plain];

    /// Its name in the JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gpu => "gpu",
            Self::BigMemory => "big_memory",
            Self::Plain => "plain",
        }
    }
}

/// A row of `jobs500.csv`.
#[derive(Clone, Debug, Deserialize)]
struct JobRow {
    dt: i64,
    job_id: u32,
    wall_time: i64,
    user: String,
    wall_limit: u32,
    n_tasks: u32,
    ntasks_per_node: u32,
    account: String,
    partition: String,
    qos: String,
    constraint: String,
    mem: Option<u64>,
    gres: String,
}

#[derive(Clone, Debug, Deserialize)]
struct WaitRow {
    job_id: u32,
    real_median_wait_s: f64,
}

#[derive(Clone, Debug, Deserialize)]
struct PlaceRow {
    job_id: u32,
    nodes: String,
}

/// A folder, read.
#[derive(Clone, Debug)]
pub struct Micro {
    config: SlurmConfig,
    ids: Vec<u32>,
    specs: Vec<JobSpec>,
    jobs: Vec<SlurmJob>,
    classes: Vec<Class>,
    /// Recorded median waits, in the order of the jobs.
    real_wait_s: Vec<f64>,
    /// Recorded nodes of one run.
    real_nodes: Vec<String>,
}

/// What was recorded and what ours does.
#[derive(Clone, Debug)]
pub struct Compared {
    /// Mean over jobs of the median wait: recorded, ours.
    pub mean_of_medians_s: (f64, f64),
    /// Mean over jobs of |our median - real median|.
    pub mean_abs_diff_s: f64,
    /// The same means by class.
    pub classes: Vec<(Class, f64, f64)>,
    /// Each job in order of submission: its id, its recorded median wait, ours.
    pub jobs: Vec<(u32, f64, f64)>,
    /// Jobs without GPUs and memory by the single node that they ran on: recorded, mean of ours.
    pub one_node: BTreeMap<String, (u32, f64)>,
}

fn problem(path: &Path, why: impl Into<String>) -> Diagnostics {
    one(Diagnostic::error("W0520", why).at(Place::File(Arc::from(path.display().to_string()))))
}

fn rows<T: for<'d> Deserialize<'d>>(path: &Path, delimiter: u8) -> Result<Vec<T>, Diagnostics> {
    let reader = csv::ReaderBuilder::new().delimiter(delimiter).from_path(path);
    let mut reader =
        reader.map_err(|why| unreadable(path, &format!("cannot read {}: {why}", path.display())))?;
    let rows = reader.deserialize().take(MOST_JOBS).collect::<Result<_, csv::Error>>();
    rows.map_err(|why| problem(path, why.to_string()))
}

/// The folder beside the project.
#[must_use]
pub fn folder(shared: &Path) -> PathBuf {
    shared.join("slurm-sites/ub_micro2")
}

/// A folder beside ours over `seeds` runs, as rows; nothing but its name where it is not there.
///
/// # Errors
/// What is missing or wrong in it.
pub fn validate(dir: &Path, seeds: u64) -> Result<(Option<Compared>, Section), Diagnostics> {
    if !dir.is_dir() {
        return Ok((None, Section { absent: vec![dir.to_owned()], ..Compared::heading() }));
    }
    let found = Micro::read(dir)?.compare(seeds);
    let section = found.section(seeds);
    Ok((Some(found), section))
}

impl Micro {
    /// Reads a folder.
    ///
    /// # Errors
    /// What is missing or wrong in it.
    pub fn read(dir: &Path) -> Result<Self, Diagnostics> {
        let (slurm_conf, gres) = (dir.join("slurm.conf"), dir.join("gres.conf"));
        let (accounting, topology) = (dir.join("sacctmgr.script"), dir.join("topology.conf"));
        let there = |path: &'_ Path| path.exists();
        let mut site = read_site(SiteFiles {
            slurm_conf: &slurm_conf,
            gres_conf: there(&gres).then_some(gres.as_path()),
            accounting: there(&accounting).then_some(accounting.as_path()),
            version: Some(VERSION),
        })
        .map_err(|problem| one(*problem))?;
        if there(&topology) {
            read_topology(&topology, &mut site);
        }
        if site.diagnostics.errors() > 0 {
            let mut told = Diagnostics::default();
            told.extend(site.diagnostics.kept().iter().filter(|d| d.severity == Severity::Error).cloned());
            return Err(told);
        }
        let config = site.config;
        // what a job without --mem asks for; every partition of such a cluster has the same
        let each =
            site.coverage.rows.iter().rev().find(|row| row.option.eq_ignore_ascii_case("DefMemPerCPU"));
        let mem_per_cpu = each.and_then(|row| row.value.parse().ok()).unwrap_or(0);
        let path = dir.join("jobs500.csv");
        let mut jobs: Vec<JobRow> = rows(&path, b';')?;
        jobs.sort_by_key(|row| row.dt);
        let pairs: Result<Vec<_>, String> =
            jobs.iter().map(|row| job_of(row, mem_per_cpu, &config)).collect();
        let (specs, runs) = pairs.map_err(|why| problem(&path, why))?.into_iter().unzip();
        let at: FxHashMap<u32, usize> = jobs.iter().enumerate().map(|(at, row)| (row.job_id, at)).collect();
        let mut micro = Self {
            config,
            ids: jobs.iter().map(|row| row.job_id).collect(),
            specs,
            jobs: runs,
            classes: jobs.iter().map(class_of).collect(),
            real_wait_s: vec![f64::NAN; jobs.len()],
            real_nodes: vec![String::new(); jobs.len()],
        };
        let path = dir.join("per_job_wait_over_96_runs.csv");
        for row in rows::<WaitRow>(&path, b',')? {
            let job = at.get(&row.job_id).ok_or_else(|| problem(&path, format!("no job {}", row.job_id)))?;
            micro.real_wait_s[*job] = row.real_median_wait_s;
        }
        let path = dir.join("placement_one_run_real.csv");
        for row in rows::<PlaceRow>(&path, b',')? {
            let job = at.get(&row.job_id).ok_or_else(|| problem(&path, format!("no job {}", row.job_id)))?;
            micro.real_nodes[*job] = row.nodes;
        }
        if let Some(job) = micro.real_wait_s.iter().position(|wait| wait.is_nan()) {
            let why = format!("job {} has no recorded wait", jobs[job].job_id);
            return Err(problem(&dir.join("jobs500.csv"), why));
        }
        Ok(micro)
    }

    /// One run of ours.
    #[must_use]
    pub fn run(&self, seed: u64) -> SlurmOutcome {
        let hardware = hardware_of(&self.config);
        // The controllers were started on a free host, one after the other: any phase within a second.
        let started = SimTime::ZERO - STARTED_BEFORE;
        let phases = Phases { started_from: started, started_to: started + SimDuration::from_s(1) };
        let run = SlurmRun {
            config: &self.config,
            hardware: &hardware,
            specs: &self.specs,
            jobs: &self.jobs,
            commands: &[],
            chance: Chance { seed, phases },
            translated: None,
        };
        run_slurm(run, &|| false)
    }

    /// Ours over `seeds` runs beside the recording.
    #[must_use]
    pub fn compare(&self, seeds: u64) -> Compared {
        let runs: Vec<SlurmOutcome> = (0..seeds).into_par_iter().map(|seed| self.run(seed)).collect();
        let mut waits: Vec<Vec<f64>> = vec![Vec::with_capacity(runs.len()); self.jobs.len()];
        let mut ours_on: BTreeMap<&str, u32> = BTreeMap::new();
        for attempt in runs.iter().flat_map(|run| &run.attempts) {
            if attempt.number == 1 {
                waits[attempt.spec].push(attempt.start.since(self.jobs[attempt.spec].submit).as_s());
            }
            if let ([node], Class::Plain) = (attempt.grants.nodes().as_slice(), self.classes[attempt.spec]) {
                *ours_on.entry(&self.config.nodes[*node].name).or_default() += 1;
            }
        }
        let ours: Vec<f64> = waits.iter_mut().map(|waits| median(waits)).collect();
        let mean = |of: &dyn Fn(usize) -> bool, values: &[f64]| {
            let kept: Vec<f64> = (0..values.len()).filter(|job| of(*job)).map(|job| values[job]).collect();
            kept.iter().sum::<f64>() / kept.len() as f64
        };
        let all = |_: usize| true;
        let apart: Vec<f64> = ours.iter().zip(&self.real_wait_s).map(|(a, b)| (a - b).abs()).collect();
        let present = Class::ALL.into_iter().filter(|class| self.classes.contains(class));
        let classes = present.map(|class| {
            let of = |job: usize| self.classes[job] == class;
            (class, mean(&of, &self.real_wait_s), mean(&of, &ours))
        });
        let mut one_node: BTreeMap<String, (u32, f64)> = BTreeMap::new();
        for (node, class) in self.real_nodes.iter().zip(&self.classes) {
            if *class == Class::Plain && ours_on.contains_key(node.as_str()) {
                one_node.entry(node.clone()).or_default().0 += 1;
            }
        }
        for (node, count) in ours_on {
            one_node.entry(node.to_owned()).or_default().1 = f64::from(count) / seeds as f64;
        }
        Compared {
            mean_of_medians_s: (mean(&all, &self.real_wait_s), mean(&all, &ours)),
            mean_abs_diff_s: mean(&all, &apart),
            classes: classes.collect(),
            jobs: (0..ours.len()).map(|job| (self.ids[job], self.real_wait_s[job], ours[job])).collect(),
            one_node,
        }
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

fn class_of(row: &JobRow) -> Class {
    match (row.gres.is_empty(), row.mem) {
        (false, _) => Class::Gpu,
        (true, Some(_)) => Class::BigMemory,
        (true, None) => Class::Plain,
    }
}

fn job_of(row: &JobRow, mem_per_cpu: u64, config: &SlurmConfig) -> Result<(JobSpec, SlurmJob), String> {
    let some = |text: &str| Some(text).filter(|text| !text.is_empty()).map(Arc::from);
    if row.ntasks_per_node == 0 || !row.n_tasks.is_multiple_of(row.ntasks_per_node) {
        return Err(format!("job {}: {} tasks, {} a node", row.job_id, row.n_tasks, row.ntasks_per_node));
    }
    let gres = match row.gres.strip_prefix("gpu:") {
        Some(count) => {
            let count = count.parse().map_err(|_| format!("job {}: gres `{}`", row.job_id, row.gres))?;
            smallvec![GresCount { device_type: None, count }]
        }
        None => smallvec![],
    };
    let mut ask = Ask {
        // `--nodes` was not given: the tasks decide how many they are, and job size counts one
        min_nodes: 1,
        max_nodes: None,
        cpus: row.n_tasks,
        cpus_per_node: row.ntasks_per_node,
        mem_mb_per_node: row.mem.unwrap_or(mem_per_cpu * u64::from(row.ntasks_per_node)),
        gres,
        fixed_per_node: true,
        features: row.constraint.split('&').filter(|word| !word.is_empty()).map(Box::from).collect(),
        ..Ask::default()
    };
    config.adapt(&mut ask, Some(&row.partition));
    let spec = JobSpec {
        job_name: format!("j{}", row.job_id).into(),
        user: row.user.as_str().into(),
        account: some(&row.account),
        partition: some(&row.partition),
        qos: some(&row.qos),
        ask: ask.into(),
        limit_min: Some(row.wall_limit),
        nice: 0,
        after: Vec::new(),
        array: None,
        task_of: None,
        reservation: None,
        requeue: None,
        begin_s: None,
        hold: false,
        licences: None,
        wider: None,
    };
    let run = match row.wall_time {
        // until it is killed: at most two turns of the timer that looks at limits
        ..0 => SimDuration::from_s(60 * i64::from(row.wall_limit) + 3_600),
        run => SimDuration::from_s(run),
    };
    let job =
        SlurmJob { submit: SimTime::from_s(row.dt), run, exit_ok: true, cancel: None, spill_after: None };
    Ok((spec, job))
}

impl Compared {
    /// As printed by `--json`.
    #[must_use]
    pub fn json(&self) -> Value {
        let classes: serde_json::Map<String, Value> = self
            .classes
            .iter()
            .map(|(class, real, ours)| (class.name().to_owned(), json!({ "real_s": real, "ours_s": ours })))
            .collect();
        let one_node: serde_json::Map<String, Value> =
            self.one_node.iter().map(|(node, (_, ours))| (node.clone(), json!(ours))).collect();
        let jobs: Vec<Value> = self
            .jobs
            .iter()
            .map(|(id, real, ours)| json!({ "job_id": id, "real_s": real, "ours_s": ours }))
            .collect();
        json!({
            "mean_of_medians_s": self.mean_of_medians_s.1,
            "real_mean_of_medians_s": self.mean_of_medians_s.0,
            "mean_abs_diff_s": self.mean_abs_diff_s,
            "classes": classes,
            "one_node": one_node,
            "jobs": jobs,
        })
    }

    /// As rows against their bars.
    #[must_use]
    pub fn section(&self, seeds: u64) -> Section {
        let row =
            |what: String, published, ours, tolerance| Row { what, published, ours, tolerance, decimals: 0 };
        let (real, ours) = self.mean_of_medians_s;
        let mut rows = vec![
            row("mean of the jobs' median waits (s)".into(), real, ours, Tolerance::Relative(5.0)),
            row(
                "mean distance of our medians from theirs (s)".into(),
                0.0,
                self.mean_abs_diff_s,
                Tolerance::Absolute(2_000.0),
            ),
        ];
        for (class, real, ours) in &self.classes {
            let what = format!("the same, {} jobs (s)", class.name().replace('_', " "));
            rows.push(row(what, *real, *ours, Tolerance::Relative(10.0)));
        }
        for (node, (real, ours)) in &self.one_node {
            if ["g1", "b1"].contains(&node.as_str()) {
                let what = format!("plain jobs of one node on {node}");
                rows.push(row(what, f64::from(*real), *ours, Tolerance::Absolute(8.0)));
            }
        }
        Section { rows, notes: vec![format!("Ours: medians over {seeds} seeds.")], ..Self::heading() }
    }

    fn heading() -> Section {
        Section {
            name: "ub",
            title: "A loaded micro cluster, 96 runs on a real controller",
            about: "University at Buffalo, Slurm 20.02, topology/tree, fair share: 500 jobs on ten nodes; per-job medians.",
            ..Section::default()
        }
    }
}

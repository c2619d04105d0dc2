//! Jobs that write their snapshots to one store: the simulation's own jobs, pools and store, over cases with known ends.
//!
//! Each job of a case gets a pool of its own that nobody else may use, so nothing but the store lies between jobs.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use serde_json::json;
use smallvec::smallvec;

use super::case_files::{self, CaseFile, WithCases};
use super::{Row, Section, Tolerance};
use crate::cluster::{Amounts, ClusterSpec, NodeSpec, PoolSpec};
use crate::diagnostic::Diagnostics;
use crate::ids::{Id, JobId};
use crate::scheduler::ordering::BySubmit;
use crate::scheduler::{BackfillSpec, PlacementSpec};
use crate::simulation::{NodeChoice, Outcome, Policy, RunError, RunOptions, simulate};
use crate::tenancy::{Interval, OwnSnapshots, PoolTenancy, RunTenancy, Snapshots, StoreRates, StoreUse};
use crate::time::{MICROS_PER_S, SimDuration, SimTime};
use crate::workload::{Job, JobFlags, JobName, Labels, Request, Workload};

const GB: f64 = 1e9;
/// Our cases, below the folder of shared data.
const OURS: &str = "storage/checkpoint_cases.json";
/// Most nodes of a job, and most jobs of a case: more would be a run of hours.
const MOST_NODES: u32 = 1 << 20;

/// A file of cases.
#[derive(Clone, Debug, Deserialize)]
pub struct Cases {
    /// What the cases are of: `checkpoint`.
    pub kind: String,
    /// The cases.
    pub cases: Vec<Case>,
}

/// Jobs on one store.
#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// The store.
    pub store: StoreCase,
    /// The jobs, by name.
    pub jobs: IndexMap<String, JobCase>,
    /// What is known of each job.
    #[serde(default)]
    pub expected: IndexMap<String, Written>,
}

/// A store of a case.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct StoreCase {
    /// GB per second that all writers share.
    pub write_gb_s: f64,
    /// Most GB per second that one node writes.
    pub node_gb_s: f64,
}

/// A job of a case.
#[derive(Clone, Debug, Deserialize)]
pub struct JobCase {
    /// Its nodes.
    pub nodes: u32,
    /// Size of a snapshot.
    pub size_gb: f64,
    /// Work between two snapshots.
    pub interval_s: f64,
    /// Work in all.
    pub work_s: f64,
    /// When it starts.
    pub start_s: f64,
    /// `sync` or `async`.
    pub mode: Mode,
    /// GB per second at which a node copies its part aside.
    #[serde(default)]
    pub copy_gb_s: Option<f64>,
}

/// Whether a job stands still until a snapshot is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It does.
    Sync,
    /// Until it is copied aside.
    Async,
}

/// What became of a job.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct Written {
    /// When it ended.
    pub end_s: f64,
    /// Snapshots begun.
    pub snapshots: u32,
    /// Time for which it stood still for them.
    pub stalled_s: f64,
}

/// Largest errors over all cases that know their answer.
#[derive(Default)]
struct Worst {
    known: usize,
    end_ms: f64,
    stalled_ms: f64,
    snapshots: f64,
}

/// Computes the cases of `files`, or of our data below `shared` where there are none.
///
/// # Errors
/// A file that cannot be read or is of another layout; a case that makes no sense.
pub fn validate(files: &[PathBuf], shared: &Path) -> Result<WithCases, Diagnostics> {
    let (there, absent) = match files {
        [] => [shared.join(OURS)].into_iter().partition(|path| path.exists()),
        files => (files.to_vec(), Vec::new()),
    };
    let mut found = WithCases {
        section: Section {
            name: "storage",
            title: "Snapshots on one store",
            about: "Published: 0 is no error, the tolerance is how large it may be, over all jobs of all cases. The cases were \
                    computed by a second program of the same rules.",
            absent,
            ..Section::default()
        },
        ..WithCases::default()
    };
    let mut worst = Worst::default();
    for path in &there {
        found.files.push(file(path, &mut worst)?);
    }
    if worst.known > 0 {
        let row = |what: &str, ours: f64, tolerance: f64| Row {
            what: format!("{what}, {} jobs", worst.known),
            published: 0.0,
            ours,
            tolerance: Tolerance::Absolute(tolerance),
            decimals: 3,
        };
        found.section.rows = vec![
            row("largest error of an end (ms)", worst.end_ms, 1.0),
            row("largest error of the time stalled (ms)", worst.stalled_ms, 1.0),
            row("largest error of the snapshots begun", worst.snapshots, 0.0),
        ];
    }
    Ok(found)
}

fn file(path: &Path, worst: &mut Worst) -> Result<CaseFile, Diagnostics> {
    let text = case_files::read(path)?;
    let wrong = |why: String| case_files::unreadable(path, &why);
    let cases: Cases = serde_json::from_str(&text).map_err(|why| wrong(why.to_string()))?;
    if cases.kind != "checkpoint" {
        return Err(wrong(format!("cases of kind `{}`, not `checkpoint`", cases.kind)));
    }
    let mut values = Vec::new();
    for case in &cases.cases {
        if let Some(why) = nonsense(case) {
            return Err(wrong(format!("case `{}`: {why}", case.name)));
        }
        let jobs = run(case).map_err(|error| wrong(format!("case `{}`: {error}", case.name)))?;
        for (name, known) in &case.expected {
            let Some(ours) = jobs.get(name) else { continue };
            worst.known += 1;
            worst.end_ms = worst.end_ms.max((ours.end_s - known.end_s).abs() * 1e3);
            worst.stalled_ms = worst.stalled_ms.max((ours.stalled_s - known.stalled_s).abs() * 1e3);
            let apart = f64::from(ours.snapshots) - f64::from(known.snapshots);
            worst.snapshots = worst.snapshots.max(apart.abs());
        }
        values.push(json!({ "name": case.name, "jobs": jobs }));
    }
    Ok(CaseFile { file: path.display().to_string(), kind: cases.kind, cases: values })
}

/// Why a case cannot be run.
fn nonsense(case: &Case) -> Option<String> {
    let positive = |value: f64| value.is_finite() && value > 0.0;
    if !positive(case.store.write_gb_s) || !positive(case.store.node_gb_s) {
        return Some("nothing can be written to the store".to_owned());
    }
    case.jobs.iter().find_map(|(name, job)| {
        let sizes = [job.size_gb, job.start_s].iter().all(|value| (0.0..=1e9).contains(value));
        let spans = [job.interval_s, job.work_s].iter().all(|value| (1e-3..=1e10).contains(value));
        let often = job.work_s / job.interval_s > 1e7;
        let copies = job.mode == Mode::Sync || job.copy_gb_s.is_some_and(positive);
        let fits = (1..=MOST_NODES).contains(&job.nodes);
        (!sizes || !spans || often || !copies || !fits)
            .then(|| format!("job `{name}` has a size, a time or a rate that makes no sense"))
    })
}

/// What became of the jobs of a case.
///
/// # Errors
/// [`RunError`] of the simulation.
pub fn run(case: &Case) -> Result<IndexMap<String, Written>, RunError> {
    let (workload, cluster) = (workload(case), cluster(case));
    let policy = Policy {
        ordering: Box::new(BySubmit),
        placement: NodeChoice::Named(PlacementSpec::FirstFit),
        backfill: BackfillSpec::Greedy,
    };
    let tenancy = tenancy(case);
    let options = RunOptions { tenancy: Some(&tenancy), ..RunOptions::default() };
    let outcome = simulate(&workload, &cluster, policy, &options)?;
    let names = workload.jobs.iter_ids().map(|(id, job)| match job.name {
        JobName::Text(text) => (id, workload.texts.get(text)),
        JobName::Number(_) => unreachable!("jobs of cases have names"),
    });
    let mut found: FxHashMap<&str, Written> = names.map(|(id, name)| (name, written(&outcome, id))).collect();
    Ok(case.jobs.keys().filter_map(|name| Some((name.clone(), found.remove(name.as_str())?))).collect())
}

fn written(outcome: &Outcome, id: JobId) -> Written {
    let facts = outcome.tenancy.as_deref();
    let rows = facts.map_or(&[][..], |facts| &facts.written);
    let row = rows.iter().find(|(job, _)| *job == id).map(|(_, row)| *row).unwrap_or_default();
    Written { end_s: outcome.records[id].end.as_s(), snapshots: row.snapshots, stalled_s: row.stalled.as_s() }
}

fn span(s: f64) -> SimDuration {
    SimDuration::from_micros((s * MICROS_PER_S as f64).round() as i64)
}

/// The jobs in order of their starts, as a workload has them.
fn workload(case: &Case) -> Workload {
    let mut workload = Workload::default();
    let labels = workload.labels.intern(&Labels::default());
    let mut jobs: Vec<(&String, &JobCase)> = case.jobs.iter().collect();
    jobs.sort_by(|(_, a), (_, b)| a.start_s.total_cmp(&b.start_s));
    for (name, job) in jobs {
        let text = workload.texts.intern(name);
        let request = Request {
            nodes: Some(job.nodes),
            gpus_per_node: Some(1),
            gpu_types: smallvec![text],
            ..Request::default()
        };
        workload.jobs.push(Job {
            submit: SimTime::ZERO + span(job.start_s),
            run: span(job.work_s),
            limit: span(job.work_s),
            priority: 0,
            name: JobName::Text(text),
            request: workload.requests.intern(&request),
            labels,
            flags: JobFlags::default(),
        });
    }
    workload
}

fn cluster(case: &Case) -> ClusterSpec {
    let pool = |(name, job): (&String, &JobCase)| PoolSpec {
        name: name.clone(),
        node: NodeSpec {
            name: name.clone(),
            capacity: Amounts { cpus: 1, gpus: 1, mem_mb: 1 },
            gpu_type: Some(name.clone()),
            gpu_mem_mib: None,
            features: Vec::new(),
        },
        count: job.nodes,
        dedicated: None,
    };
    ClusterSpec { pools: case.jobs.iter().map(pool).collect() }
}

fn tenancy(case: &Case) -> RunTenancy {
    let bytes = |gb: f64| (gb * GB).round() as u64;
    let mut tenancy = RunTenancy::bare_metal(case.jobs.len(), case.jobs.len());
    let bytes_s = case.store.write_gb_s * GB;
    tenancy.stores = vec![StoreRates { write_bytes_s: bytes_s, read_bytes_s: bytes_s, is_local: false }];
    let pools = case.jobs.values().map(|job| {
        let copies = job.mode == Mode::Async;
        let store = StoreUse {
            store: 0,
            node_bytes_s: bytes(case.store.node_gb_s),
            bytes_per_gpu: 0,
            copy_bytes_s: job.copy_gb_s.filter(|_| copies).map(bytes),
            interval: Interval::Fixed,
        };
        let (takes, restore) = (SimDuration::ZERO, SimDuration::ZERO);
        let snapshots = Snapshots { every: span(job.interval_s), takes, restore, store: Some(store) };
        PoolTenancy { snapshots: Some(snapshots), ..PoolTenancy::bare_metal() }
    });
    tenancy.pools = pools.collect();
    let mut by_start: Vec<&JobCase> = case.jobs.values().collect();
    by_start.sort_by(|a, b| a.start_s.total_cmp(&b.start_s));
    for (at, job) in by_start.into_iter().enumerate() {
        let own = OwnSnapshots { bytes: Some(bytes(job.size_gb)), every: None };
        tenancy.own_snapshots.insert(JobId::new(at), own);
    }
    tenancy
}

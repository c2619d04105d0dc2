//! One experiment folder as inputs of a run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::Deserialize;
use smallvec::smallvec;

use super::observed::{Observed, observed_runs};
use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::scenario::slurm_conf::{Coverage, SiteFiles, Treatment, expand_hosts, read_site, read_topology};
use crate::scheduler::slurm::config::{GresCount, SlurmConfig, UnknownVersion, Version};
use crate::scheduler::slurm::job::{ArraySpec, Ask, Dependency, DependencyKind, JobSpec, Switches};
use crate::scheduler::slurm::{
    LicenceAsk, NodeChange, NodeSet, Reservation, ReservationRequest, dependency_cycle,
};
use crate::simulation::slurm::{Command, Phases, SlurmJob};
use crate::time::{SimDuration, SimTime, parse_seconds_micros};
use crate::workload::wishes::{Licences, read_switches_wish};

/// A recorded experiment.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// Folder name.
    pub name: String,
    /// The site.
    pub config: SlurmConfig,
    /// The recording's ids of the submissions.
    pub ids: Vec<String>,
    /// Submissions in order.
    pub specs: Vec<JobSpec>,
    /// The same, what only the simulation knows.
    pub jobs: Vec<SlurmJob>,
    /// GPUs of each submission (per task), whole ones only.
    pub whole_gpus: Vec<u32>,
    /// Commands of `events.csv`.
    pub commands: Vec<(SimTime, Command)>,
    /// When the controller started in the recorded runs.
    pub phases: Phases,
    /// Recorded runs.
    pub observed: Vec<Observed>,
    /// Whole GPUs of the cluster.
    pub gpu_capacity: u64,
    /// What of it this version does not model, so that a comparison would say nothing.
    pub not_modelled: Option<String>,
}

/// A row of `jobs.csv`.
#[derive(Clone, Debug, Deserialize)]
struct JobRow {
    job_id: String,
    submit_s: String,
    user: String,
    account: String,
    partition: String,
    qos: String,
    nodes: u32,
    gpus_per_node: u32,
    gpu_type: String,
    cpus_per_node: u32,
    mem_mb_per_node: u64,
    time_limit_s: u32,
    runtime_s: String,
    dependency: String,
    array: String,
    nice: i64,
    exit_code: i32,
    #[serde(default)]
    reservation: String,
    #[serde(default)]
    requeue: String,
    #[serde(default)]
    switches: String,
    #[serde(default)]
    licenses: String,
    #[serde(default)]
    het: String,
}

/// A row of `events.csv`.
#[derive(Clone, Debug, Deserialize)]
struct EventRow {
    time_s: String,
    command: String,
}

type Problems = Vec<Diagnostic>;

fn problem(file: &Path, message: impl Into<String>) -> Problems {
    vec![Diagnostic::error("W0520", message).at(Place::File(Arc::from(file.display().to_string())))]
}

/// A type of MIG slice: its name has a profile such as `1g.10gb` in it.
fn is_slice(device_type: &str) -> bool {
    device_type.split('_').any(|part| {
        part.split_once("g.")
            .is_some_and(|(n, rest)| n.bytes().all(|b| b.is_ascii_digit()) && rest.ends_with("gb"))
    })
}

impl Experiment {
    /// Reads a folder laid out like those of ../shared/slurm-reference.
    ///
    /// # Errors
    /// What is missing or wrong.
    pub fn read(dir: &Path) -> Result<Self, Problems> {
        let optional = |name: &str| Some(dir.join(name)).filter(|p| p.exists());
        let (gres, accounting) = (optional("gres.conf"), optional("accounting.txt"));
        let slurm_conf = dir.join("slurm.conf");
        let site = read_site(SiteFiles {
            slurm_conf: &slurm_conf,
            gres_conf: gres.as_deref(),
            accounting: accounting.as_deref(),
            version: version_of(dir)?,
        })
        .map_err(|p| vec![*p])?;
        if site.diagnostics.errors() > 0 {
            let kept = site.diagnostics.kept().iter();
            return Err(kept.filter(|d| d.severity == Severity::Error).cloned().collect());
        }
        let mut site = site;
        if let Some(topology) = optional("topology.conf") {
            read_topology(&topology, &mut site);
        }
        let mut config = site.config;
        let mut rows: Vec<JobRow> = read_csv(&dir.join("jobs.csv"))?;
        sort_rows(&mut rows);
        let index: FxHashMap<&str, usize> =
            rows.iter().enumerate().map(|(i, r)| (r.job_id.as_str(), i)).collect();
        let mut specs = Vec::with_capacity(rows.len());
        let mut jobs = Vec::with_capacity(rows.len());
        for row in &rows {
            let (mut spec, job) =
                job_of(row, &index, &mut config).map_err(|why| problem(&dir.join("jobs.csv"), why))?;
            config.adapt(&mut spec.ask, spec.partition.as_deref());
            specs.push(spec);
            jobs.push(job);
        }
        if let Some(circle) = dependency_cycle(&specs) {
            let names: Vec<&str> = circle.iter().map(|at| rows[*at].job_id.as_str()).collect();
            let message = format!("jobs {} wait for each other", names.join(", "));
            return Err(problem(&dir.join("jobs.csv"), message));
        }
        let whole = |r: &JobRow| if is_slice(&r.gpu_type) { 0 } else { r.gpus_per_node * r.nodes };
        let observed = observed_runs(dir, &config)?;
        Ok(Self {
            name: dir.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned()),
            commands: commands_of(dir, &config)?,
            phases: phases_of(&observed),
            whole_gpus: rows.iter().map(whole).collect(),
            gpu_capacity: whole_gpus(&config),
            not_modelled: not_modelled(&rows, &site.coverage),
            config,
            ids: rows.iter().map(|row| row.job_id.clone()).collect(),
            specs,
            jobs,
            observed,
        })
    }

    /// Position of a job by the id of `jobs.csv`.
    #[must_use]
    pub fn position(&self, job_id: &str) -> Option<usize> {
        self.ids.iter().position(|id| id == job_id)
    }
}

/// The version of the controller that was recorded: `slurm_version` of its runs, else what a comment of slurm.conf
/// names (`# Slurm 22.05.8`).
fn version_of(dir: &Path) -> Result<Option<Version>, Problems> {
    let names = std::fs::read_dir(dir).map_err(|why| problem(dir, why.to_string()))?;
    let mut metas: Vec<PathBuf> = names.filter_map(|entry| Some(entry.ok()?.path())).collect();
    metas.retain(|path| path.to_string_lossy().ends_with(".meta.txt"));
    metas.sort();
    let mut found: Option<Version> = None;
    for path in &metas {
        let text = std::fs::read_to_string(path).map_err(|why| problem(path, why.to_string()))?;
        let Some(named) = text.lines().find_map(|line| line.strip_prefix("slurm_version ")) else { continue };
        let version = named.parse().map_err(|why: UnknownVersion| problem(path, why.to_string()))?;
        if found.is_some_and(|other| other != version) {
            return Err(problem(path, format!("slurm_version {version}: the other runs are of another")));
        }
        found = Some(version);
    }
    if found.is_some() {
        return Ok(found);
    }
    let conf = std::fs::read_to_string(dir.join("slurm.conf")).unwrap_or_default();
    let named = conf.lines().find_map(|line| line.strip_prefix("# Slurm ")?.split(' ').next()?.parse().ok());
    Ok(named)
}

/// What decides in the recording and is not modelled.
fn not_modelled(rows: &[JobRow], coverage: &Coverage) -> Option<String> {
    let said = |option: &str, word: &str| {
        let mut rows = coverage.rows.iter().filter(|row| row.option.eq_ignore_ascii_case(option));
        rows.any(|row| row.value.to_ascii_uppercase().contains(word))
    };
    let known = if said("PreemptMode", "SUSPEND") || said("PreemptMode", "GANG") {
        Some("PreemptMode: jobs are not suspended")
    } else if said("OverSubscribe", "FORCE") {
        Some("OverSubscribe: jobs do not share cores")
    } else if rows.iter().any(|row| !row.het.is_empty()) {
        Some("heterogeneous jobs are not modelled")
    } else {
        None
    };
    let plugin = coverage.rows.iter().find(|row| row.option.eq_ignore_ascii_case("TopologyPlugin"));
    let is_tree = plugin.is_some_and(|row| row.treatment == Treatment::Honoured);
    let none = ["topology/none", "topology/default", "topology/flat"];
    let other_topology = plugin.is_some_and(|row| !is_tree && !none.contains(&row.value.as_str()));
    let known = known.or(other_topology.then_some("TopologyPlugin: only topology/tree is modelled"));
    let any = || coverage.of("not yet").next().map(|row| format!("{}: {}", row.option, row.treatment.note()));
    known.map(str::to_owned).or_else(any)
}

/// Leaves, and how long the job waits for them. Without a plugin for switches it changes nothing.
fn switches_of(text: &str) -> Result<Option<Switches>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let (leaves, wait_s) =
        read_switches_wish(text).ok_or_else(|| format!("`{text}` is no count of switches"))?;
    Ok(Some(Switches { leaves, wait_s }))
}

/// `solver:2,viz:1`.
fn licences_of(text: &str, config: &SlurmConfig) -> Result<Option<LicenceAsk>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let list = Licences::read(text).map_err(|part| format!("`{part}` is no licence"))?;
    Ok(Some(LicenceAsk::on(config, &list)))
}

/// Submit order: by time, then by job id as a number.
fn sort_rows(rows: &mut [JobRow]) {
    rows.sort_by_key(|row| {
        let at = parse_seconds_micros(row.submit_s.as_bytes()).unwrap_or(0);
        (at, row.job_id.parse::<u64>().unwrap_or(u64::MAX))
    });
}

pub(super) fn read_csv<T: for<'d> Deserialize<'d>>(path: &Path) -> Result<Vec<T>, Problems> {
    let mut reader = csv::Reader::from_path(path).map_err(|why| problem(path, why.to_string()))?;
    reader.deserialize().collect::<Result<_, _>>().map_err(|why: csv::Error| problem(path, why.to_string()))
}

fn job_of(
    row: &JobRow,
    index: &FxHashMap<&str, usize>,
    config: &mut SlurmConfig,
) -> Result<(JobSpec, SlurmJob), String> {
    let micros = |text: &str| {
        parse_seconds_micros(text.as_bytes()).map_err(|why| format!("job {}: `{text}`: {why}", row.job_id))
    };
    let some = |text: &str| Some(text).filter(|t| !t.is_empty()).map(Arc::from);
    let device_type = some(&row.gpu_type).map(|t| config.device_type(&t));
    let gres = if row.gpus_per_node == 0 {
        smallvec![]
    } else {
        smallvec![GresCount { device_type, count: row.gpus_per_node }]
    };
    let spec = JobSpec {
        job_name: format!("j{}", row.job_id).into(),
        user: row.user.as_str().into(),
        account: some(&row.account),
        partition: some(&row.partition),
        qos: some(&row.qos),
        ask: Ask {
            min_nodes: row.nodes,
            max_nodes: Some(row.nodes),
            cpus: row.nodes * row.cpus_per_node,
            cpus_per_node: row.cpus_per_node,
            mem_mb_per_node: row.mem_mb_per_node,
            gres,
            fixed_per_node: true,
            switches: switches_of(&row.switches)?,
            ..Ask::default()
        }
        .into(),
        limit_min: Some(row.time_limit_s / 60),
        nice: row.nice,
        after: dependencies_of(&row.dependency, index)?,
        array: array_of(&row.array)?,
        task_of: None,
        reservation: some(&row.reservation),
        licences: licences_of(&row.licenses, config)?.map(Box::new),
        requeue: if row.requeue == "no" { Some(false) } else { None },
        begin_s: None,
        hold: false,
        wider: None,
    };
    let job = SlurmJob {
        submit: SimTime::from_micros(micros(&row.submit_s)?),
        run: SimDuration::from_micros(micros(&row.runtime_s)?.max(0)),
        exit_ok: row.exit_code == 0,
        cancel: None,
        spill_after: None,
    };
    Ok((spec, job))
}

fn dependencies_of(text: &str, index: &FxHashMap<&str, usize>) -> Result<Vec<Dependency>, String> {
    let one = |part: &str| {
        let mut words = part.split(':');
        let kind = match words.next().unwrap_or("") {
            "after" => DependencyKind::After,
            "afterany" => DependencyKind::AfterAny,
            "afterok" => DependencyKind::AfterOk,
            "afternotok" => DependencyKind::AfterNotOk,
            "aftercorr" => DependencyKind::AfterCorr,
            "singleton" => DependencyKind::Singleton,
            other => return Err(format!("`{other}` is no type of dependency")),
        };
        let on =
            words.map(|id| index.get(id).copied().ok_or_else(|| format!("dependency on unknown job {id}")));
        Ok(Dependency { kind, on: on.collect::<Result<_, _>>()? })
    };
    text.split(',').filter(|p| !p.is_empty()).map(one).collect()
}

/// `0-9%4`, `1,3,5-7:2`.
fn array_of(text: &str) -> Result<Option<ArraySpec>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let bad = || format!("`{text}` is no array");
    let (tasks, limit) = text.split_once('%').map_or((text, None), |(t, l)| (t, Some(l)));
    let limit = limit.map(str::parse).transpose().map_err(|_| bad())?;
    let mut all = Vec::new();
    for part in tasks.split(',') {
        let (range, step) = part.split_once(':').unwrap_or((part, "1"));
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let number = |t: &str| t.parse::<u32>().map_err(|_| bad());
        all.extend((number(from)?..=number(to)?).step_by(number(step)?.max(1) as usize));
    }
    all.sort_unstable();
    Ok(Some(ArraySpec { tasks: all, limit }))
}

fn whole_gpus(config: &SlurmConfig) -> u64 {
    let whole = |g: &&GresCount| g.device_type.is_none_or(|t| !is_slice(&config.device_types[t.0 as usize]));
    config.nodes.iter().flat_map(|n| n.gres.iter().filter(whole)).map(|g| u64::from(g.count)).sum()
}

/// The recording script starts the controller and rounds zero to a whole second: relative to zero, starts spread
/// over one second where the host is idle. So the span of the recorded ones, widened to a second if it
/// is shorter; without a record, 4.5 to 7.5 s before the first submission (all recorded runs lie there).
fn phases_of(observed: &[Observed]) -> Phases {
    let started = || observed.iter().filter_map(|run| run.controller_started);
    match (started().min(), started().max()) {
        (Some(first), Some(last)) => {
            let missing = (1_000_000 - (last.micros() - first.micros())).max(0);
            let more = SimDuration::from_micros(missing / 2);
            Phases { started_from: first - more, started_to: last + more }
        }
        _ => Phases {
            started_from: SimTime::from_micros(-7_500_000),
            started_to: SimTime::from_micros(-4_500_000),
        },
    }
}

fn commands_of(dir: &Path, config: &SlurmConfig) -> Result<Vec<(SimTime, Command)>, Problems> {
    let path: PathBuf = dir.join("events.csv");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let rows: Vec<EventRow> = read_csv(&path)?;
    let mut commands = Vec::new();
    for row in rows {
        let at =
            parse_seconds_micros(row.time_s.as_bytes()).map_err(|why| problem(&path, why.to_string()))?;
        let command = command_of(&row.command, config).map_err(|why| problem(&path, why))?;
        commands.push((SimTime::from_micros(at), command));
    }
    commands.sort_by_key(|(at, _)| *at);
    Ok(commands)
}

/// The arguments of one `scontrol` call.
fn command_of(text: &str, config: &SlurmConfig) -> Result<Command, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let get = |key: &str| {
        words
            .iter()
            .find_map(|w| w.split_once('=').filter(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, v)| v))
    };
    let verb = words.first().copied().unwrap_or("").to_ascii_lowercase();
    match (verb.as_str(), get("NodeName"), get("ReservationName")) {
        ("show", _, _) => Ok(Command::Nothing),
        ("update", Some(nodes), _) => {
            let change = match get("State").unwrap_or("").to_ascii_uppercase().as_str() {
                "DOWN" => NodeChange::Down,
                "DRAIN" => NodeChange::Drain,
                "FAIL" => NodeChange::Fail,
                "RESUME" | "UNDRAIN" => NodeChange::Resume,
                "IDLE" => NodeChange::Idle,
                other => return Err(format!("node state `{other}` is unknown")),
            };
            Ok(Command::ChangeNodes(node_set(nodes, config)?, change))
        }
        ("create", _, Some(name)) => create_reservation(name, &get, config),
        ("update", None, Some(name)) => {
            let end = get("EndTime").ok_or("only EndTime of a reservation can be changed")?;
            Ok(Command::SetReservationEnd(name.to_owned(), moment(end)?))
        }
        ("delete", _, Some(name)) => Ok(Command::DeleteReservation(name.to_owned())),
        _ => Err(format!("`{text}` is no command that is known")),
    }
}

fn create_reservation<'a>(
    name: &str,
    get: &dyn Fn(&str) -> Option<&'a str>,
    config: &SlurmConfig,
) -> Result<Command, String> {
    let start_s = moment(get("StartTime").ok_or("a reservation needs StartTime")?)?;
    let end_s = match (get("Duration"), get("EndTime")) {
        (Some(minutes), _) => {
            start_s
                + 60 * minutes.parse::<i64>().map_err(|_| format!("`{minutes}` is no duration in minutes"))?
        }
        (None, Some(end)) => moment(end)?,
        (None, None) => return Err("a reservation needs Duration or EndTime".to_owned()),
    };
    let list = |key: &str| -> Vec<String> {
        get(key).map_or_else(Vec::new, |v| v.split(',').map(str::to_owned).collect())
    };
    let flags = get("Flags").unwrap_or("").to_ascii_uppercase();
    let has = |flag: &str| flags.split(',').any(|f| f == flag);
    let nodes = match (get("Nodes"), get("Licenses")) {
        (Some(nodes), _) => node_set(nodes, config)?,
        (None, Some(_)) => config.no_nodes(),
        (None, None) => return Err("only reservations with Nodes or Licenses are known".to_owned()),
    };
    let licences = licences_of(get("Licenses").unwrap_or(""), config)?;
    if licences.as_ref().is_some_and(|ask| ask.unknown || ask.one_of) {
        return Err("the reservation names licences that the site does not have".to_owned());
    }
    let reservation = Reservation {
        name: name.to_owned(),
        start_s,
        end_s,
        nodes,
        licences: licences.map(|ask| ask.wanted).unwrap_or_default(),
        users: list("Users"),
        accounts: list("Accounts"),
        maint: has("MAINT"),
        overlap: has("OVERLAP"),
        gone: false,
    };
    Ok(Command::CreateReservation(ReservationRequest { reservation, ignore_jobs: has("IGNORE_JOBS") }))
}

/// `@90`: 90 s after zero.
fn moment(text: &str) -> Result<i64, String> {
    text.strip_prefix('@').and_then(|s| s.parse().ok()).ok_or_else(|| format!("`{text}` is no @seconds"))
}

/// Nodes of a host list.
pub(super) fn node_set(text: &str, config: &SlurmConfig) -> Result<NodeSet, String> {
    let mut set = config.no_nodes();
    if text.eq_ignore_ascii_case("ALL") {
        set.insert_range(..);
        return Ok(set);
    }
    for host in expand_hosts(text).map_err(|why| format!("`{text}`: {why}"))? {
        let at = config.nodes.iter().position(|n| n.name == host).ok_or_else(|| format!("no node {host}"))?;
        set.insert(at);
    }
    Ok(set)
}

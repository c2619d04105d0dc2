//! A backtest: the trace replayed from the real state of the site, and judged against its recorded starts.
//!
//! [`prepare`] turns a whole trace and a window into the jobs of the run:
//!
//! - jobs that were running when the window began start at their recorded starts and run to their recorded
//!   ends: until the window begins nothing else is let in, so they find the machine as it was
//! - jobs that were pending then keep their submit times and are held until the window begins
//! - jobs that were held (eligible later than submitted) are held as long here, and not judged
//! - jobs that ended before, or were submitted after the last judged job had really started, are left out
//! - nodes that were down, drained or reserved are taken from the machine ([`site`])
//!
//! [`run`] simulates and judges. What decides a wait beside the scheduler and cannot be known from a trace
//! (limits, fair share, constraints, hands of administrators) is named in [`Backtest::not_known`].

pub mod site;

use rustc_hash::FxHashSet;

use super::{gives_parts, run_design};
use crate::cluster::ClusterSpec;
use crate::diagnostic::Diagnostic;
use crate::ids::{Id, IdVec, JobId, NodeId, RequestId, TextId};
use crate::metrics::backtest::{Case, Standing, Verdict, judge};
use crate::scenario::{Design, PolicyChoice, RecordedOn};
use crate::scheduler::Shapes;
use crate::scheduler::shared::demand::CardShapes;
use crate::scheduler::slurm::config::SlurmConfig;
use crate::simulation::{Outage, OutageKind, RunError, RunOptions, StartUsage, UsageRow};
use crate::time::{SimDuration, SimTime};
use crate::workload::{Extras, JobFlags, RepairKind, Request, Workload};

use self::site::{NodeEvent, Reservation, SiteState};

/// Eligible later than this after the submission means held; Slurm itself looks at a job within a minute.
const HELD_FROM: SimDuration = SimDuration::from_s(60);

/// A job that was running when the window began and starts later than this found no room; Slurm's threads
/// need some seconds for a start.
const LATE_FROM: SimDuration = SimDuration::from_s(60);

/// Which amounts a job takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// What was asked for.
    Requested,
    /// What was really allocated, where the trace tells it.
    Allocated,
}

/// What to backtest.
#[derive(Debug)]
pub struct BacktestSpec<'a> {
    /// The machine.
    pub design: &'a Design,
    /// The rule.
    pub policy: &'a PolicyChoice,
    /// First and last submit time that is judged, in seconds of the trace; `None` = all.
    pub from: Option<SimTime>,
    /// First submit time that is not.
    pub to: Option<SimTime>,
    /// What the jobs take.
    pub sizes: Sizes,
    /// Where run times were recorded; `None` = on the design.
    pub recorded_on: Option<&'a RecordedOn>,
    /// Nodes and reservations.
    pub site: &'a SiteState,
}

/// The jobs of a run, and what each is to the judgement.
#[derive(Debug)]
pub struct Prepared {
    /// The jobs.
    pub workload: Workload,
    /// Judged, or why not.
    pub standings: IdVec<JobId, Standing>,
    /// Jobs of the trace that are not simulated, by reason.
    pub left_out: Vec<(&'static str, u64)>,
    /// The window.
    pub window: (SimTime, SimTime),
    /// Nodes taken from the machine.
    pub outages: Vec<Outage>,
    /// What is odd about the site's state.
    pub told: Vec<Diagnostic>,
}

/// A finished backtest.
#[derive(Debug)]
pub struct Backtest {
    /// Simulated against recorded.
    pub verdict: Verdict,
    /// The window.
    pub window: (SimTime, SimTime),
    /// Jobs simulated.
    pub simulated: u64,
    /// Jobs of the trace that were not simulated, by reason; rows that the reader refused among them.
    pub left_out: Vec<(String, u64)>,
    /// Jobs that were running when the window began.
    pub running_at_start: u64,
    /// Those of them that did not start when they really did: the machine is smaller here than it was, or
    /// full of what the events take.
    pub placed_late: u64,
    /// Nodes taken from the machine, each time counted.
    pub outages: u64,
    /// What the trace cannot tell and the simulation does not know.
    pub not_known: Vec<&'static str>,
    /// What is odd about the site's state.
    pub told: Vec<Diagnostic>,
}

const ENDED_BEFORE: &str = "ended before the window";
const SUBMITTED_LATE: &str = "submitted after the last judged job had really started";
const IN_RESERVATION: &str = "ran in a reservation (its nodes are taken from the machine)";
const RUNNING: &str = "running when the window began (placed first, runs to its recorded end)";

/// What a job of the trace is, before its new id is known.
enum Role {
    LeftOut(&'static str),
    Kept(Standing, Change),
}

/// What is changed about a job.
#[derive(Clone, Copy)]
enum Change {
    None,
    /// It starts at its recorded start.
    Running,
    /// It may not start before.
    Hold(SimTime),
}

/// Makes the jobs of the run out of a whole trace.
///
/// # Errors
/// W0440 where no recorded start is known, W0441 where the window holds no job with one.
pub fn prepare(mut workload: Workload, spec: &BacktestSpec<'_>) -> Result<Prepared, Diagnostic> {
    if !workload.recorded.has_starts() {
        return Err(Diagnostic::error("W0440", "the trace has no recorded starts to judge against")
            .help("a backtest needs the column start_s, the wait of SWF (field 3), or sacct's Start"));
    }
    if spec.sizes == Sizes::Allocated {
        take_allocated(&mut workload);
    }
    let window = window(&workload, spec)?;
    let until = last_real_start(&workload, window);
    let reserved = reserved_names(&workload, &spec.site.reservations);
    let holds = holds(&workload, spec);
    let roles: Vec<Role> =
        workload.jobs.ids().map(|job| role(&workload, job, window, until, &holds, &reserved)).collect();
    let (outages, told) = outages(spec.design, spec.site, window, until);
    let (workload, standings, left_out) = rearrange(workload, roles);
    Ok(Prepared { workload, standings, left_out, window, outages, told })
}

/// Which requests the design can ever hold.
fn holds(workload: &Workload, spec: &BacktestSpec<'_>) -> IdVec<RequestId, bool> {
    let cluster = &spec.design.cluster;
    let requests = workload.requests.iter().map(|(id, _)| id);
    if gives_parts(spec.design) && spec.design.slurm.is_some() {
        // Its GRES types may name slices of boards: the controller tells at submission what it can hold.
        return requests.map(|_| true).collect();
    }
    if gives_parts(spec.design) {
        let shapes = CardShapes::of_cards(workload, cluster, &spec.design.sharing.cards);
        return requests.map(|request| shapes.refusal(request).is_none()).collect();
    }
    let shapes = Shapes::new(workload, cluster);
    requests.map(|request| shapes.refusal(request).is_none()).collect()
}

/// The window asked for, within the trace.
fn window(workload: &Workload, spec: &BacktestSpec<'_>) -> Result<(SimTime, SimTime), Diagnostic> {
    let last = workload.jobs.iter().last().map_or(SimTime::ZERO, |job| job.submit);
    let whole = (workload.first_submit(), last + SimDuration::from_s(1));
    let (from, to) = (spec.from.unwrap_or(whole.0), spec.to.unwrap_or(whole.1));
    let inside = |job: JobId| {
        let submit = workload.jobs[job].submit;
        submit >= from && submit < to && workload.recorded(job).start.is_some()
    };
    if workload.jobs.ids().any(inside) {
        return Ok((from.max(whole.0), to.min(whole.1)));
    }
    let message = format!("no job with a recorded start was submitted from {from} s to {to} s of the trace");
    Err(Diagnostic::error("W0441", message)
        .help(format!("the trace has submissions from {} s to {last} s", whole.0)))
}

/// When the last job of the window really started.
fn last_real_start(workload: &Workload, (from, to): (SimTime, SimTime)) -> SimTime {
    let inside = workload.jobs.iter_ids().filter(|(_, job)| job.submit >= from && job.submit < to);
    inside.filter_map(|(id, _)| workload.recorded(id).start).max().unwrap_or(to).max(to)
}

/// Names of reservations that the site's state describes, as the trace's texts.
fn reserved_names(workload: &Workload, reservations: &[Reservation]) -> FxHashSet<TextId> {
    reservations.iter().filter_map(|reservation| workload.texts.find(&reservation.name)).collect()
}

fn role(
    workload: &Workload,
    id: JobId,
    (from, to): (SimTime, SimTime),
    until: SimTime,
    holds: &IdVec<RequestId, bool>,
    reserved: &FxHashSet<TextId>,
) -> Role {
    let (job, past, extras) = (&workload.jobs[id], workload.recorded(id), workload.extras_of(id));
    let reservation = extras.and_then(|extras| reservation(workload, extras));
    if reservation.is_some_and(|name| reserved.contains(&name)) {
        return Role::LeftOut(IN_RESERVATION);
    }
    if job.submit > until {
        return Role::LeftOut(SUBMITTED_LATE);
    }
    let end = past.start.map(|start| past.end.unwrap_or(start + job.run));
    if job.submit < from && end.is_some_and(|end| end <= from) {
        return Role::LeftOut(ENDED_BEFORE);
    }
    if past.start.is_some_and(|start| start < from) && end.is_some_and(|end| end > from) {
        return Role::Kept(Standing::SetAside(RUNNING), Change::Running);
    }
    let is_held = past.eligible.is_some_and(|eligible| eligible.saturating_since(job.submit) > HELD_FROM);
    let hold = past.eligible.filter(|_| is_held).max((job.submit < from).then_some(from));
    let change = hold.map_or(Change::None, Change::Hold);
    let aside = |reason| Role::Kept(Standing::SetAside(reason), change);
    if !holds[job.request] {
        return aside("the design can never hold it");
    }
    let Some(start) = past.start else { return aside("no recorded start") };
    if start < job.submit {
        return aside("recorded start before the submission");
    }
    if reservation.is_some() {
        return aside("ran in a reservation that is not known here");
    }
    if is_held {
        return aside("held: eligible later than submitted (dependency, begin time, hold)");
    }
    if extras.is_some_and(|extras| !extras.after.is_empty()) {
        return aside("depends on other jobs");
    }
    if extras.is_some_and(|extras| extras.begin.is_some() || extras.array_limit.is_some()) {
        return aside("begin time or array limit");
    }
    if job.submit >= to {
        return aside("submitted after the window (simulated as load)");
    }
    Role::Kept(if job.submit < from { Standing::PendingAtStart } else { Standing::Judged }, change)
}

/// The reservation that a job names.
fn reservation(workload: &Workload, extras: &Extras) -> Option<TextId> {
    let found = extras.other.iter().find(|(column, _)| workload.texts.get(*column) == "reservation");
    found.map(|(_, name)| *name)
}

/// Every job takes what it was really given.
fn take_allocated(workload: &mut Workload) {
    let ids: Vec<JobId> = workload.jobs.ids().collect();
    for id in ids {
        let past = workload.recorded(id);
        let asked = workload.requests.get(workload.jobs[id].request);
        let given = Request {
            nodes: past.alloc_nodes.or(asked.nodes),
            cpus: past.alloc_cpus.or(asked.cpus),
            gpus: past.alloc_gpus.or(asked.gpus),
            ..asked.clone()
        };
        if given != *asked {
            workload.jobs[id].request = workload.requests.intern(&given);
        }
    }
}

type Rearranged = (Workload, IdVec<JobId, Standing>, Vec<(&'static str, u64)>);

/// Applies the roles: changes jobs, drops those left out, restores submit order.
fn rearrange(mut workload: Workload, roles: Vec<Role>) -> Rearranged {
    let mut left_out: Vec<(&'static str, u64)> = Vec::new();
    let mut kept: Vec<(SimTime, u32, Standing)> = Vec::new();
    let mut holds: Vec<(JobId, SimTime)> = Vec::new();
    for (at, role) in roles.into_iter().enumerate() {
        let id = JobId::new(at);
        match role {
            Role::LeftOut(reason) => match left_out.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, jobs)) => *jobs += 1,
                None => left_out.push((reason, 1)),
            },
            Role::Kept(standing, change) => {
                match change {
                    Change::None => {}
                    Change::Running => run_as_recorded(&mut workload, id),
                    Change::Hold(until) => holds.push((id, until)),
                }
                kept.push((workload.jobs[id].submit, id.0, standing));
            }
        }
    }
    hold(&mut workload, &holds);
    kept.sort_by_key(|(submit, at, _)| (*submit, *at));
    let order: Vec<u32> = kept.iter().map(|(_, at, _)| *at).collect();
    workload.keep(&order);
    (workload, kept.into_iter().map(|(_, _, standing)| standing).collect(), left_out)
}

/// A job that was running when the window began: submitted at its recorded start, waits for nothing.
fn run_as_recorded(workload: &mut Workload, id: JobId) {
    let past = workload.recorded(id);
    let job = &mut workload.jobs[id];
    let start = past.start.unwrap_or(job.submit);
    job.submit = start;
    let run = past.end.map(|end| end.saturating_since(start)).filter(|run| *run > SimDuration::ZERO);
    job.run = run.unwrap_or(job.run);
    if job.flags.has(JobFlags::HAS_EXTRAS) {
        job.flags.set(JobFlags::HAS_EXTRAS, false);
        workload.extras.retain(|(other, _)| *other != id);
    }
}

/// Holds jobs until an instant.
fn hold(workload: &mut Workload, holds: &[(JobId, SimTime)]) {
    let mut fresh = Vec::new();
    for (id, until) in holds {
        match workload.extras.binary_search_by_key(id, |(job, _)| *job) {
            Ok(at) => {
                let begin = &mut workload.extras[at].1.begin;
                *begin = Some(begin.map_or(*until, |begin| begin.max(*until)));
            }
            Err(_) => fresh.push((*id, Extras { begin: Some(*until), ..Extras::default() })),
        }
        workload.jobs[*id].flags.set(JobFlags::HAS_EXTRAS, true);
    }
    workload.extras.extend(fresh);
    workload.extras.sort_by_key(|(id, _)| *id);
}

/// Nodes that events and reservations take, from the window's begin on. Without a slurm.conf names are not
/// known to a design: they are given, in the order of their names, to the last nodes of the pool that they begin like, else
/// of the first.
fn outages(
    design: &Design,
    site: &SiteState,
    (from, to): (SimTime, SimTime),
    until: SimTime,
) -> (Vec<Outage>, Vec<Diagnostic>) {
    let mut told = Vec::new();
    let names: std::collections::BTreeSet<&str> = site
        .events
        .iter()
        .map(|event| event.node.as_str())
        .chain(site.reservations.iter().flat_map(|r| r.nodes.iter().map(String::as_str)))
        .collect();
    if names.is_empty() {
        return (Vec::new(), told);
    }
    if design.slurm.is_none() && design.cluster.pools.iter().all(|pool| pool.count == 1) {
        let message = "node events and reservations are not used: the machine is a plain pool of processors";
        told.push(Diagnostic::warning("W0442", message).help("give nodes: --nodes N --cpus-per-node C"));
        return (Vec::new(), told);
    }
    let named = |site: &SlurmConfig| names.iter().any(|name| site.nodes.iter().any(|n| n.name == *name));
    let nodes = match design.slurm.as_deref().filter(|site| named(site)) {
        Some(site) => nodes_by_name(site, &names, &mut told),
        None => node_of_each(&design.cluster, &names, &mut told),
    };
    let mut found = Vec::new();
    let mut add = |name: &str, begin: SimTime, end: SimTime, kind: OutageKind| {
        let (begin, end) = (begin.max(from), end.min(until.max(to)));
        if let Some(node) = nodes.get(name).filter(|_| begin < end) {
            found.push(Outage { node: *node, from: begin, until: end, kind });
        }
    };
    for NodeEvent { node, from: begin, until: end, .. } in &site.events {
        // What ran there ends as recorded, so the node drains, whatever the state was.
        add(node, *begin, end.unwrap_or(SimTime::MAX), OutageKind::Drain);
    }
    for reservation in &site.reservations {
        for node in &reservation.nodes {
            add(node, reservation.from, reservation.until, OutageKind::Reserved);
        }
    }
    (found, told)
}

/// The nodes of those names, where the site's configuration names them.
fn nodes_by_name<'n>(
    site: &SlurmConfig,
    names: &std::collections::BTreeSet<&'n str>,
    told: &mut Vec<Diagnostic>,
) -> std::collections::BTreeMap<&'n str, NodeId> {
    let place = |name: &&'n str| {
        let at = site.nodes.iter().position(|node| node.name == **name)?;
        Some((*name, NodeId::new(at)))
    };
    let found: std::collections::BTreeMap<&str, NodeId> = names.iter().filter_map(place).collect();
    let strange = names.len() - found.len();
    if strange > 0 {
        let message = format!("{strange} nodes of events and reservations are not in the configuration");
        told.push(Diagnostic::warning("W0443", message).help("use the slurm.conf of that time"));
    }
    found
}

/// A node of the cluster for each name.
fn node_of_each<'n>(
    cluster: &ClusterSpec,
    names: &std::collections::BTreeSet<&'n str>,
    told: &mut Vec<Diagnostic>,
) -> std::collections::BTreeMap<&'n str, NodeId> {
    let mut first = 0;
    let mut free: Vec<std::ops::Range<u32>> = Vec::new();
    for pool in &cluster.pools {
        free.push(first..first + pool.count);
        first += pool.count;
    }
    let mut found = std::collections::BTreeMap::new();
    let mut homeless = 0;
    for name in names {
        let like = cluster.pools.iter().enumerate().filter(|(_, pool)| name.starts_with(pool.name.as_str()));
        let pool = like.max_by_key(|(_, pool)| pool.name.len()).map_or(0, |(at, _)| at);
        match free[pool].next_back() {
            Some(node) => _ = found.insert(*name, NodeId(node)),
            None => homeless += 1,
        }
    }
    if homeless > 0 {
        let message = format!("{homeless} nodes of events and reservations are more than the design has");
        told.push(Diagnostic::warning("W0443", message).help("make the pools as large as the site was"));
    }
    found
}

/// Simulates and judges.
///
/// # Errors
/// What the run ends with.
///
/// # Panics
/// If an order expression does not compile; the scenario has checked it.
pub fn run(
    prepared: Prepared,
    spec: &BacktestSpec<'_>,
    options: &RunOptions<'_>,
) -> Result<Backtest, RunError> {
    let Prepared { mut workload, standings, left_out, window, outages, mut told } = prepared;
    let usage = usage(spec, window.0, &mut told);
    let options = RunOptions { outages: &outages, usage: usage.as_ref(), ..*options };
    // The jobs ran on this very machine, and as it is unless the workload says otherwise.
    let mut design = spec.design.clone();
    design.speedup.translate = false;
    design.speedup.as_recorded = matches!(spec.recorded_on, None | Some(RecordedOn::Design));
    if design.speedup.as_recorded {
        keep_limits_of_runs(&mut workload);
    }
    let outcome = run_design(&workload, &design, spec.policy, &options)?;
    let running: Vec<bool> = standings
        .iter_ids()
        .filter(|(_, standing)| **standing == Standing::SetAside(RUNNING))
        .map(|(id, _)| outcome.records[id].start.saturating_since(workload.jobs[id].submit) > LATE_FROM)
        .collect();
    let case = Case {
        workload: &workload,
        cluster: &spec.design.cluster,
        records: &outcome.records,
        standings: &standings,
        window,
    };
    let refused = workload.repairs.iter().filter(|(_, repair)| repair.kind == RepairKind::Refused);
    let mut left_out: Vec<(String, u64)> =
        left_out.into_iter().map(|(reason, jobs)| (reason.to_owned(), jobs)).collect();
    left_out.extend(refused.map(|(reason, repair)| (format!("row of the trace: {reason}"), repair.rows)));
    Ok(Backtest {
        verdict: judge(&case),
        window,
        simulated: workload.jobs.len() as u64,
        left_out,
        running_at_start: running.len() as u64,
        placed_late: running.iter().filter(|late| **late).count() as u64,
        outages: outages.len() as u64,
        not_known: not_known(&workload, spec),
        told,
    })
}

/// Where the run time stands for a limit, or a job was killed at it, the limit is of the design itself, as the run time
/// is: nothing stretches it. A job that ran far beyond its limit asked for it elsewhere (a slice of the design is slower),
/// so its limit is stretched as in any run of the design.
fn keep_limits_of_runs(workload: &mut Workload) {
    let killed = workload.texts.find("TIMEOUT");
    let ids: Vec<JobId> = workload.jobs.ids().collect();
    for id in ids {
        let was_killed = killed.is_some() && workload.recorded.state(id) == killed;
        let job = &mut workload.jobs[id];
        let is_run = job.flags.has(JobFlags::LIMIT_UNKNOWN) || job.run < job.limit + SimDuration::from_s(1);
        if job.limit <= job.run && (is_run || was_killed) {
            job.flags.set(JobFlags::SESSION, true);
        }
    }
}

/// The fair-share usage of the site, where the policy is Slurm's and knows the associations.
fn usage(spec: &BacktestSpec<'_>, at: SimTime, told: &mut Vec<Diagnostic>) -> Option<StartUsage> {
    let rows = spec.site.shares.as_ref()?;
    let Some(site) = &spec.design.slurm else {
        let message = format!("the fair-share usage of {} associations is not used", rows.len());
        let why = "only Slurm's multifactor priority knows fair share ([policy.slurm])";
        told.push(Diagnostic::warning("W0446", message).because(why));
        return None;
    };
    let is_known = |row: &UsageRow| site.accounting.find_assoc(&row.account, row.user.as_deref()).is_some();
    let strange = rows.iter().filter(|row| !is_known(row)).count();
    if strange > 0 || !site.priority.multifactor {
        let message = format!(
            "the fair-share usage of {} of {} associations is not used",
            if site.priority.multifactor { strange } else { rows.len() },
            rows.len()
        );
        let why = if site.priority.multifactor {
            "the site's accounts do not have them (give the associations to the policy)"
        } else {
            "the site's priority is not multifactor"
        };
        told.push(Diagnostic::warning("W0446", message).because(why));
    }
    Some(StartUsage { at, rows: rows.clone() })
}

/// What decides waits at a site and is not in this simulation.
fn not_known(workload: &Workload, spec: &BacktestSpec<'_>) -> Vec<&'static str> {
    let mut unknown = Vec::new();
    if spec.policy.classic().is_some() {
        unknown.push(
            "limits of users, accounts and QOS, fair share and priorities of the site: the policy knows none of them",
        );
        unknown
            .push("partitions: their nodes, limits and tiers; every job may use every pool that can hold it");
    } else {
        unknown.push("changes of the configuration, of accounts and of limits during the window");
        if spec.site.shares.is_none() {
            unknown.push("fair-share usage before the window (give --sshare)");
        }
    }
    if spec.site.events.is_empty() {
        unknown.push("nodes down or drained (give --events)");
    }
    if spec.site.reservations.is_empty() {
        unknown.push("reservations and maintenance (give --reservations)");
    }
    if workload.jobs.ids().all(|id| workload.recorded(id).eligible.is_none()) {
        unknown
            .push("holds, dependencies and begin times: the trace does not tell when jobs became eligible");
    }
    if workload.jobs.iter().any(|job| job.flags.has(JobFlags::LIMIT_UNKNOWN)) {
        unknown.push("the requested time of some jobs: their run time stands for it, a better estimate than users make");
    }
    unknown.push("jobs that never started but waited: they are in no trace that can be replayed");
    unknown
}

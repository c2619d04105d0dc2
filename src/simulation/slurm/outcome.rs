//! A workload under Slurm's engine, told in the records of every other policy.
//!
//! Attempts become one record a job: its first start, its last end, its last state. The hours come from
//! taking every attempt's nodes from a second ledger and giving them back, which is also a check: what the
//! engine granted twice, this ledger refuses.

use std::collections::BTreeMap;

use super::causes::Causes;
use super::hosted::{Hosted, is_in_vain, slack};
use super::life::Spell;
use super::observed::run_hosted;
use super::site_state::site_commands;
use super::threads::last_instant;
use super::watch::Watch;
use super::{
    Attempt, Chance, Command, Intake, Observer, Phases, Pools, SlurmJob, SlurmOutcome, SlurmRun, Translated,
};
use crate::cluster::{Allocation, Amounts, ClusterSpec, Conflict, Grant, Ledger};
use crate::ids::{Id, IdVec, JobId, NodeId, PoolId};
use crate::kernel::RunEnd;
use crate::scheduler::Shapes;
use crate::scheduler::slurm::config::SlurmConfig;
use crate::scheduler::slurm::job::{JobSpec, StartedBy, State};
use crate::scheduler::slurm::{Controller, hardware_of, hardware_on};
use crate::simulation::meter::{IdleCause, Load, Meter};
use crate::simulation::{
    Hours, JobRecord, JobState, Outcome, RunError, RunOptions, SlurmFacts, Stretch, TenancyFacts,
};
use crate::time::{SimDuration, SimTime};
use crate::workload::Workload;

/// A controller in production has been running for a while: it starts so long before the first
/// submission at most, and so long at least. The span covers the longest of its periods twice.
const STARTED_BEFORE: (SimDuration, SimDuration) = (SimDuration::from_s(1_800), SimDuration::from_s(1_200));

/// Runs `workload` on the site of `config`, whose nodes are those of `cluster` in the same order, with an
/// administrator's `commands` in order of time.
///
/// # Errors
/// [`RunError`]: a stall, a budget, an interruption, or a grant that the ledger refuses.
pub fn simulate_slurm(
    workload: &Workload,
    cluster: &ClusterSpec,
    config: &SlurmConfig,
    commands: &[(SimTime, Command)],
    options: &RunOptions<'_>,
) -> Result<Outcome, RunError> {
    let recorded = workload;
    let slowest = options.speeds.map(|speeds| speeds.slowest(workload, &Shapes::new(workload, cluster)));
    let workload = slowest.as_ref().unwrap_or(recorded);
    let mut config = config.clone();
    know_devices(workload, &mut config);
    know_routes(cluster, &mut config);
    let are_dedicated = cluster.pools.iter().any(|pool| pool.dedicated.is_some());
    let known = Pools { cards: None, spills: options.spills, are_dedicated };
    let mut intake = Intake::on_pools(workload, &config, &known);
    refuse_shares(workload, &mut config, &mut intake);
    let hardware = if are_dedicated { hardware_on(&config, cluster, None) } else { hardware_of(&config) };
    let first = workload.first_submit();
    let chance = Chance {
        seed: options.seed,
        phases: Phases { started_from: first - STARTED_BEFORE.0, started_to: first - STARTED_BEFORE.1 },
    };
    let pools: Vec<PoolId> = (0..cluster.pools.len())
        .flat_map(|at| std::iter::repeat_n(PoolId::new(at), cluster.pools[at].count as usize))
        .collect();
    let translated = options.speeds.map(|speeds| Translated { recorded, speeds, pools: &pools });
    let mut commands = [site_commands(&config, options), commands.to_vec()].concat();
    commands.sort_by_key(|(at, _)| *at);
    let run = SlurmRun {
        config: &config,
        hardware: &hardware,
        specs: &intake.specs,
        jobs: &intake.jobs,
        commands: &commands,
        chance,
        translated,
    };
    let mut seen = Seen { causes: Causes::default(), watch: options.watch.map(Watch::new) };
    let hosted = Hosted::new(recorded, cluster, &pools, options);
    let told = run_hosted(run, hosted, options.budget, &mut seen, options.interrupted);
    let Seen { causes, watch } = seen;
    match told.end {
        RunEnd::Drained | RunEnd::Horizon | RunEnd::Broken => {}
        RunEnd::EventBudget => return Err(RunError::EventBudget(told.events)),
        RunEnd::Interrupted => return Err(RunError::Interrupted),
        RunEnd::Stalled(at) => return Err(stalled(workload, &told, at)),
    }
    let mut outcome = records(workload, cluster, (&told, &intake.jobs), options.keep_allocations);
    outcome.hours =
        Booking { workload, told: &told, specs: &intake.specs, causes: &causes }.hours(cluster, &outcome)?;
    let facts = outcome.slurm.as_mut().expect("records make them");
    facts.watched = watch.map_or_else(Vec::new, |watch| watch.rows);
    facts.not_carried_over = intake.unknown.iter().map(|(what, n)| ((*what).to_owned(), *n)).collect();
    Ok(outcome)
}

/// Everybody who looks on.
struct Seen {
    causes: Causes,
    watch: Option<Watch>,
}

impl Observer for Seen {
    fn instant(&mut self, now: SimTime, controller: &Controller<'_>) {
        self.causes.instant(now, controller);
        if let Some(watch) = &mut self.watch {
            watch.instant(now, controller);
        }
    }

    fn looks_at_plans(&self) -> bool {
        self.watch.is_some()
    }
}

/// A GPU type that no node has is a type all the same: a job that asks for it is refused, not given another.
fn know_devices(workload: &Workload, config: &mut SlurmConfig) {
    for (_, request) in workload.requests.iter() {
        if let [one] = request.gpu_types.as_slice() {
            config.device_type(workload.texts.get(*one));
        }
    }
}

/// Which pools a job may use by its route or for its tenant is a feature that their nodes have.
fn know_routes(cluster: &ClusterSpec, config: &mut SlurmConfig) {
    let pools = cluster.pools.iter().flat_map(|pool| std::iter::repeat_n(pool, pool.count as usize));
    for (node, pool) in config.nodes.iter_mut().zip(pools) {
        for feature in &pool.node.features {
            if !node.features.contains(feature) {
                node.features.push(feature.clone());
            }
        }
    }
}

/// GPUs are given whole, as under every other policy: a job that asks for a share or a MIG profile asks for
/// a device that no node has, unless the site counts devices of that name.
fn refuse_shares(workload: &Workload, config: &mut SlurmConfig, intake: &mut Intake) {
    for ((_, job), spec) in workload.jobs.iter_ids().zip(&mut intake.specs) {
        let request = workload.requests.get(job.request);
        let device = match (request.mig_profile, request.gpu_milli) {
            (Some(profile), _) => workload.texts.get(profile).to_owned(),
            (None, Some(milli)) if milli > 0 && milli != 1_000 => format!("{milli}/1000"),
            _ => continue,
        };
        let device_type = Some(config.device_type(&device));
        for gres in &mut spec.ask.gres {
            gres.device_type = device_type;
        }
    }
}

fn stalled(workload: &Workload, told: &SlurmOutcome, at: SimTime) -> RunError {
    let names = told.pending.iter().take(5);
    let names = names.map(|(spec, _, why)| format!("{} ({why})", workload.job_name(JobId::new(*spec))));
    RunError::Stalled { at, waiting: told.pending.len(), names: names.collect() }
}

fn state_of(state: State) -> JobState {
    match state {
        State::Pending => JobState::Pending,
        State::Running => JobState::Running,
        State::Completed => JobState::Completed,
        State::Failed => JobState::Failed,
        State::Timeout => JobState::Timeout,
        State::NodeFail => JobState::NodeFail,
        State::Preempted => JobState::Preempted,
        State::Cancelled => JobState::Cancelled,
    }
}

/// Everything but the hours.
fn records(
    workload: &Workload,
    cluster: &ClusterSpec,
    (told, jobs): (&SlurmOutcome, &[SlurmJob]),
    keep: bool,
) -> Outcome {
    let blank = JobRecord { start: SimTime::NEVER, end: SimTime::NEVER, state: JobState::Future };
    let mut records = IdVec::filled(workload.jobs.len(), blank);
    let mut held_until: BTreeMap<JobId, SimTime> = BTreeMap::new();
    for attempt in &told.attempts {
        let job = JobId::new(attempt.spec);
        let record = &mut records[job];
        if record.start == SimTime::NEVER {
            record.start = attempt.start;
            let eligible = SimTime::from_s(attempt.eligible_s).min(attempt.start);
            if eligible > workload.jobs[job].submit {
                held_until.insert(job, eligible);
            }
        }
        record.end = attempt.end;
        record.state = state_of(attempt.state);
    }
    for (spec, at) in told.withdrawn.iter().zip(&told.withdrawn_at) {
        let record = &mut records[JobId::new(*spec)];
        (record.end, record.state) = (*at, JobState::Cancelled);
    }
    let mut pending: Vec<(JobId, &'static str)> =
        told.pending.iter().map(|(spec, _, reason)| (JobId::new(*spec), *reason)).collect();
    pending.sort_unstable();
    for (job, reason) in &pending {
        let record = &mut records[*job];
        (record.end, record.state) = (SimTime::NEVER, JobState::Pending);
        if ["Dependency", "DependencyNeverSatisfied", "BeginTime"].contains(reason) {
            held_until.entry(*job).or_insert(SimTime::NEVER);
        }
    }
    let refused = refusals(workload, cluster, told);
    for (job, _) in &refused {
        records[*job] =
            JobRecord { start: SimTime::NEVER, end: workload.jobs[*job].submit, state: JobState::Refused };
    }
    let backfilled = told.attempts.iter().filter(|a| a.started_by == StartedBy::Backfill).count() as u64;
    Outcome {
        records,
        allocations: if keep { allocations(told) } else { Vec::new() },
        hours: Hours::default(),
        refused,
        at_work: Vec::new(),
        held_until: held_until.into_iter().collect(),
        watched: Vec::new(),
        first_submit: workload.first_submit(),
        last_instant: last_instant(jobs, &told.attempts, &told.withdrawn_at).max(workload.first_submit()),
        events: told.events,
        passes: told.cycles.main + told.cycles.backfill,
        preemptive: None,
        shared: None,
        tenancy: tenancy_facts(told),
        slurm: Some(Box::new(SlurmFacts {
            requeued: requeued(told, keep),
            pending,
            backfilled,
            starts: told.attempts.len() as u64,
            main_passes: told.cycles.main,
            backfill_cycles: told.cycles.backfill,
            not_carried_over: Vec::new(),
            watched: Vec::new(),
        })),
    }
}

fn tenancy_facts(told: &SlurmOutcome) -> Option<Box<TenancyFacts>> {
    let known = told.losses.as_ref().map(|losses| losses.facts.clone());
    let spilled = (told.spilled > 0).then(TenancyFacts::default);
    let facts = known.or(spilled)?;
    Some(Box::new(TenancyFacts { spilled: told.spilled, ..facts }))
}

/// Refused jobs with Slurm's answer, and why no node can hold them where that is the reason.
fn refusals(workload: &Workload, cluster: &ClusterSpec, told: &SlurmOutcome) -> Vec<(JobId, String)> {
    if told.refused.is_empty() {
        return Vec::new();
    }
    let shapes = Shapes::new(workload, cluster);
    let mut refused: Vec<(JobId, String)> = told
        .refused
        .iter()
        .map(|(spec, refusal)| {
            let job = JobId::new(*spec);
            let too_large = *refusal == crate::scheduler::slurm::Refusal::NodeConfiguration;
            let why = shapes.refusal(workload.jobs[job].request).filter(|_| too_large);
            (job, why.map_or_else(|| refusal.to_string(), |why| format!("{refusal}: {why}")))
        })
        .collect();
    refused.sort_unstable();
    refused
}

/// The last allocation of every job, in order of start.
fn allocations(told: &SlurmOutcome) -> Vec<(JobId, Allocation)> {
    let mut last: BTreeMap<usize, usize> = BTreeMap::new();
    for (at, attempt) in told.attempts.iter().enumerate() {
        last.insert(attempt.spec, at);
    }
    let rows = told.attempts.iter().enumerate().filter(|(at, a)| last[&a.spec] == *at);
    rows.map(|(_, a)| (JobId::new(a.spec), a.grants.clone())).collect()
}

/// Jobs with more than one attempt.
fn requeued(told: &SlurmOutcome, keep: bool) -> Vec<(JobId, Vec<Stretch>)> {
    let mut by_job: BTreeMap<usize, Vec<Stretch>> = BTreeMap::new();
    let again = told.attempts.iter().filter(|a| a.number > 1).map(|a| (a.spec, Vec::new()));
    by_job.extend(again);
    for attempt in &told.attempts {
        if let Some(rows) = by_job.get_mut(&attempt.spec) {
            let allocation = if keep { attempt.grants.clone() } else { Allocation::new() };
            rows.push(Stretch { start: attempt.start, end: attempt.end, allocation });
        }
    }
    by_job.into_iter().map(|(spec, rows)| (JobId::new(spec), rows)).collect()
}

/// What happens to the levels, in this order at one instant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    /// An attempt ends.
    End(usize),
    /// Nodes go out of order, or come back.
    Spell(usize),
    /// Jobs that come, or come back, wait.
    Wait,
    /// A job that waited leaves without a start.
    Leave,
    /// An attempt starts.
    Start(usize),
    /// Another cause of idleness.
    Cause(usize),
}

fn policy(at: SimTime, conflict: Conflict) -> RunError {
    RunError::Policy { at, conflict }
}

/// Nodes that are out of order, with what is taken of them so that it counts as down.
#[derive(Debug, Default)]
struct Off {
    nodes: BTreeMap<NodeId, Vec<Grant>>,
}

impl Off {
    /// Takes what is free on those of `nodes` that are out of order.
    fn absorb(
        &mut self,
        nodes: impl Iterator<Item = NodeId>,
        ledger: &mut Ledger,
        meter: &mut Meter,
    ) -> Result<(), Conflict> {
        for node in nodes {
            let Some(taken) = self.nodes.get_mut(&node) else { continue };
            let row = ledger.node(node);
            let (pool, free) = (row.pool, row.free);
            if free == Amounts::ZERO {
                continue;
            }
            let grant = Grant { node, cpus: free.cpus, mem_mb: free.mem_mb, gpus: row.free_gpus };
            ledger.take(std::slice::from_ref(&grant))?;
            meter.add_down(pool, &Load::from(&free));
            taken.push(grant);
        }
        Ok(())
    }

    fn turn(&mut self, spell: &Spell, ledger: &mut Ledger, meter: &mut Meter) -> Result<(), Conflict> {
        let nodes = spell.nodes.clone().map(NodeId);
        if spell.begins {
            self.nodes.extend(nodes.clone().map(|node| (node, Vec::new())));
            return self.absorb(nodes, ledger, meter);
        }
        for grant in nodes.filter_map(|node| self.nodes.remove(&node)).flatten() {
            meter.drop_down(ledger.node(grant.node).pool, &Load::from(&grant.amounts()));
            ledger.give_back(std::slice::from_ref(&grant))?;
        }
        Ok(())
    }
}

/// What the hours are made from.
struct Booking<'a> {
    workload: &'a Workload,
    told: &'a SlurmOutcome,
    specs: &'a [JobSpec],
    causes: &'a Causes,
}

impl Booking<'_> {
    /// Books every instant of the run.
    fn hours(&self, cluster: &ClusterSpec, outcome: &Outcome) -> Result<Hours, RunError> {
        let steps = self.changes(outcome);
        let mut ledger = Ledger::new(cluster);
        let losses = self.told.losses.as_ref();
        let mut meter = losses.map_or_else(|| Meter::new(ledger.pools()), |losses| losses.meter.clone());
        let mut off = Off::default();
        let mut waiting = 0usize;
        let mut cause = IdleCause::NoDemand;
        meter.advance(outcome.first_submit, &ledger, 0, cause);
        let mut at = 0;
        while at < steps.len() {
            let now = steps[at].0;
            if now > outcome.last_instant {
                break;
            }
            if now > outcome.first_submit {
                meter.advance(now, &ledger, waiting, cause);
            }
            while let Some((_, change)) = steps.get(at).filter(|(when, _)| *when == now) {
                at += 1;
                match change {
                    Change::Wait => waiting += 1,
                    Change::Leave => waiting -= 1,
                    Change::Cause(which) => cause = self.causes.changes[*which].1,
                    Change::Start(which) => {
                        waiting -= 1;
                        self.take(&mut ledger, &mut meter, *which)?;
                    }
                    Change::End(which) => {
                        self.give_back(&mut ledger, &mut meter, *which)?;
                        let nodes = self.told.attempts[*which].grants.iter().map(|grant| grant.node);
                        off.absorb(nodes, &mut ledger, &mut meter)
                            .map_err(|conflict| policy(now, conflict))?;
                    }
                    Change::Spell(which) => {
                        let spell = &self.spells()[*which];
                        off.turn(spell, &mut ledger, &mut meter).map_err(|conflict| policy(now, conflict))?;
                    }
                }
            }
            meter.note_waiting(waiting);
        }
        meter.advance(outcome.last_instant, &ledger, waiting, cause);
        for attempt in self.told.attempts.iter().filter(|attempt| attempt.end == SimTime::NEVER) {
            for grant in &attempt.grants {
                let gpus = grant.gpus.count_ones() - self.slack(attempt, grant).gpus;
                let pool = ledger.node(grant.node).pool;
                self.hold_idle(&mut meter, attempt, pool, gpus, outcome.last_instant);
            }
        }
        Ok(meter.finish(&ledger))
    }

    /// What a grant of an exclusive job holds beyond what was asked of a node.
    fn slack(&self, attempt: &Attempt, grant: &Grant) -> Amounts {
        slack(&self.specs[attempt.spec].ask, attempt.grants.len(), grant)
    }

    /// When which nodes were out of order.
    fn spells(&self) -> &[Spell] {
        self.told.losses.as_ref().map_or(&[], |losses| &losses.spells)
    }

    fn take(&self, ledger: &mut Ledger, meter: &mut Meter, which: usize) -> Result<(), RunError> {
        let attempt = &self.told.attempts[which];
        for grant in &attempt.grants {
            meter.add_slack(ledger.node(grant.node).pool, &Load::from(&self.slack(attempt, grant)));
        }
        ledger.take(&attempt.grants).map_err(|conflict| policy(attempt.start, conflict))
    }

    fn give_back(&self, ledger: &mut Ledger, meter: &mut Meter, which: usize) -> Result<(), RunError> {
        let attempt = &self.told.attempts[which];
        let lost = is_in_vain(attempt.state) && self.told.losses.is_none();
        for grant in &attempt.grants {
            let (pool, slack) = (ledger.node(grant.node).pool, self.slack(attempt, grant));
            meter.drop_slack(pool, &Load::from(&slack));
            if lost {
                meter.lose(pool, &grant.amounts().minus(&slack), attempt.end.since(attempt.start));
            } else {
                self.hold_idle(meter, attempt, pool, grant.gpus.count_ones() - slack.gpus, attempt.end);
            }
        }
        ledger.give_back(&attempt.grants).map_err(|conflict| policy(attempt.end, conflict))
    }

    /// Books what an attempt did not use of `gpus`, where the trace recorded its use.
    fn hold_idle(&self, meter: &mut Meter, attempt: &Attempt, pool: PoolId, gpus: u32, until: SimTime) {
        if self.told.losses.is_some() {
            return; // the guests have booked it
        }
        if let Some(util_milli) = self.workload.recorded.gpu_util_milli(JobId::new(attempt.spec)) {
            meter.hold_idle(pool, u64::from(gpus), until.since(attempt.start), util_milli);
        }
    }

    /// All changes in order.
    fn changes(&self, outcome: &Outcome) -> Vec<(SimTime, Change)> {
        let (told, causes) = (self.told, &self.causes.changes);
        let mut steps = Vec::with_capacity(3 * self.workload.jobs.len() + causes.len());
        for (job, record) in outcome.records.iter_ids() {
            if record.state != JobState::Refused {
                steps.push((self.workload.jobs[job].submit, Change::Wait));
            }
        }
        let mut last: BTreeMap<usize, usize> = BTreeMap::new();
        for (at, attempt) in told.attempts.iter().enumerate() {
            steps.push((attempt.start, Change::Start(at)));
            if attempt.end != SimTime::NEVER {
                steps.push((attempt.end, Change::End(at)));
            }
            if let Some(before) = last.insert(attempt.spec, at) {
                steps.push((told.attempts[before].end, Change::Wait));
            }
        }
        // Withdrawn or still pending: after a requeue they waited once more.
        let pending = told.pending.iter().map(|(spec, _, _)| (*spec, None));
        let withdrawn = told.withdrawn.iter().zip(&told.withdrawn_at).map(|(spec, at)| (*spec, Some(*at)));
        for (spec, left) in pending.chain(withdrawn) {
            if let Some(before) = last.get(&spec) {
                steps.push((told.attempts[*before].end, Change::Wait));
            }
            steps.extend(left.map(|at| (at, Change::Leave)));
        }
        steps.extend(self.spells().iter().enumerate().map(|(at, spell)| (spell.at, Change::Spell(at))));
        steps.extend(causes.iter().enumerate().map(|(at, (when, _))| (*when, Change::Cause(at))));
        steps.sort_unstable();
        steps
    }
}

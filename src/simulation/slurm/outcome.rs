//! A workload under Slurm's engine, told in the records of every other policy.
//!
//! Attempts become one record a job: its first start, its last end, its last state. The hours come from
//! taking every attempt's nodes from a second ledger and giving them back, which is also a check: what the
//! engine granted twice, this ledger refuses.

use std::collections::BTreeMap;

use super::booking::{Booking, CardBook};
use super::cards::{CardSite, card_grants, limits_on_devices};
use super::causes::Causes;
use super::hosted::Hosted;
use super::life::Spell;
use super::named::named_parts;
use super::observed::run_hosted;
use super::site_state::site_commands;
use super::threads::last_instant;
use super::watch::Watch;
use super::{Chance, Command, Intake, Observer, Phases, Pools, SlurmJob, SlurmOutcome, SlurmRun, Translated};
use crate::cluster::{Allocation, ClusterSpec, Ledger};
use crate::ids::{Id, IdVec, JobId, NodeId, PoolId, RequestId};
use crate::kernel::RunEnd;
use crate::scheduler::Shapes;
use crate::scheduler::shared::demand::CardShapes;
use crate::scheduler::shared::floor::CardFloor;
use crate::scheduler::shared::{self, SharedSetup, typical_mix};
use crate::scheduler::slurm::config::SlurmConfig;
use crate::scheduler::slurm::job::{StartedBy, State};
use crate::scheduler::slurm::{Controller, hardware_of, hardware_on};
use crate::simulation::run::cards::CardSide;
use crate::simulation::run::ground::Side;
use crate::simulation::withheld::Why;
use crate::simulation::{
    Ending, Hours, JobRecord, JobState, NodeSpell, Outcome, RunError, RunOptions, SlurmFacts, Stretch,
    TenancyFacts,
};
use crate::tenancy::RunTenancy;
use crate::time::{SimDuration, SimTime};
use crate::workload::Workload;

/// A controller in production has been running for a while: it starts so long before the first
/// submission at most, and so long at least. The span covers the longest of its periods twice.
const STARTED_BEFORE: (SimDuration, SimDuration) = (SimDuration::from_s(1_800), SimDuration::from_s(1_200));

/// Runs `workload` on the site of `config`, whose nodes are those of `cluster` in the same order, with an
/// administrator's `commands` in order of time. With `sharing` its GPUs are given out in parts.
///
/// # Errors
/// [`RunError`]: a stall, a budget, an interruption, or a grant that the ledger refuses.
pub(in crate::simulation) fn simulate_slurm(
    workload: &Workload,
    cluster: &ClusterSpec,
    (config, sharing): (&SlurmConfig, Option<&SharedSetup>),
    commands: &[(SimTime, Command)],
    options: &RunOptions<'_>,
) -> Result<Outcome, RunError> {
    let recorded = workload;
    let named = sharing.and_then(|setup| named_parts(workload, (cluster, setup), config));
    let recorded = named.as_ref().unwrap_or(recorded);
    let shapes = sharing.map(|setup| CardShapes::of_cards(recorded, cluster, &setup.cards));
    let slowest = options.speeds.map(|speeds| match &shapes {
        Some(shapes) => speeds.slowest_of(recorded, |request| {
            shapes.get(shapes.of(request)).pools.iter().map(|pool| pool.pool)
        }),
        None => speeds.slowest(recorded, &Shapes::new(recorded, cluster)),
    });
    let workload = slowest.as_ref().unwrap_or(recorded);
    let laws = sharing.map(|setup| shared::Speeds::new(setup.speeds.clone(), workload));
    let limited = sharing.zip(laws.as_ref()).zip(shapes.as_ref());
    let limited = limited.and_then(|(rules, shapes)| limits_on_devices(workload, shapes, rules));
    let workload = limited.as_ref().unwrap_or(workload);
    let mut config = config.clone();
    know_devices(workload, &mut config);
    know_routes(cluster, &mut config);
    let are_dedicated = cluster.pools.iter().any(|pool| pool.dedicated.is_some());
    let cards = shapes.as_ref().map(|shapes| (shapes, cluster.pools.len()));
    let known = Pools { cards, spills: options.spills, are_dedicated };
    let mut intake = Intake::on_pools(workload, &config, &known);
    if sharing.is_none() {
        refuse_shares(workload, &mut config, &mut intake);
    }
    ask_for_reservations(workload, options, &mut intake);
    let hardware = match sharing {
        None if !are_dedicated => hardware_of(&config),
        _ => hardware_on(&config, cluster, sharing.map(|setup| setup.cards.as_slice())),
    };
    let chance = chance_of(workload, options.seed);
    let pools = pools_of_nodes(cluster);
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
    let site = sharing.zip(shapes.as_ref()).zip(laws.as_ref()).map(|((setup, shapes), speeds)| CardSite {
        setup,
        shapes,
        workload: recorded,
        spills: options.spills,
        speeds,
    });
    let bare_metal = RunTenancy::bare_metal(cluster.pools.len(), workload.jobs.len());
    let hosted = Hosted::new(recorded, (cluster, &pools), (site.as_ref(), &bare_metal), options);
    let told = run_hosted(run, hosted, options.budget, &mut seen, options.interrupted);
    let Seen { causes, watch } = seen;
    came_to_its_end(workload, &told)?;
    let tells_tenancy = options.tenancy.is_some();
    let refusal = |request| match &shapes {
        Some(shapes) => shapes.refusal(request).map(str::to_owned),
        None => Shapes::new(workload, cluster).refusal(request).map(str::to_owned),
    };
    let (keep, told_by) = (options.keep_allocations, (&told, intake.jobs.as_slice()));
    let mut outcome = records(workload, told_by, &refusal, (keep, tells_tenancy));
    outcome.spells = node_spells(&told, options, outcome.last_instant);
    let spells = spells(&told, options);
    let booking = Booking {
        workload,
        told: &told,
        specs: &intake.specs,
        causes: &causes,
        spells: &spells,
        pools: &pools,
        site: site.as_ref(),
    };
    match &site {
        None => outcome.hours = booking.hours(&mut Ledger::new(cluster), &outcome)?.0,
        Some(site) => book_cards(&booking, (site, cluster), &mut outcome, options)?,
    }
    let facts = outcome.slurm.as_mut().expect("records make them");
    facts.watched = watch.map_or_else(Vec::new, |watch| watch.rows);
    facts.not_carried_over = intake.unknown.iter().map(|(what, n)| ((*what).to_owned(), *n)).collect();
    Ok(outcome)
}

/// How nodes stood while they were not simply there, if allocations are kept.
fn node_spells(told: &SlurmOutcome, options: &RunOptions<'_>, last: SimTime) -> Vec<NodeSpell> {
    if !options.keep_allocations {
        return Vec::new();
    }
    let diary = told.losses.as_ref().map(|losses| losses.diary.clone()).unwrap_or_default();
    diary.finish(options.outages, options.reservations, last)
}

/// When the controller started, and what else is left to chance.
fn chance_of(workload: &Workload, seed: u64) -> Chance {
    let first = workload.first_submit();
    Chance {
        seed,
        phases: Phases { started_from: first - STARTED_BEFORE.0, started_to: first - STARTED_BEFORE.1 },
    }
}

/// The pool of each node.
fn pools_of_nodes(cluster: &ClusterSpec) -> Vec<PoolId> {
    (0..cluster.pools.len())
        .flat_map(|at| std::iter::repeat_n(PoolId::new(at), cluster.pools[at].count as usize))
        .collect()
}

/// Whether a run came to its end, or why it did not.
fn came_to_its_end(workload: &Workload, told: &SlurmOutcome) -> Result<(), RunError> {
    match told.end {
        RunEnd::Drained | RunEnd::Horizon | RunEnd::Broken => Ok(()),
        RunEnd::EventBudget => Err(RunError::EventBudget(told.events)),
        RunEnd::Interrupted => Err(RunError::Interrupted),
        RunEnd::Stalled(at) => Err(stalled(workload, told, at)),
    }
}

/// The hours where GPUs are given out in parts, with the figures of sharing.
fn book_cards(
    booking: &Booking<'_>,
    (site, cluster): (&CardSite<'_>, &ClusterSpec),
    outcome: &mut Outcome,
    options: &RunOptions<'_>,
) -> Result<(), RunError> {
    let floor = CardFloor::of_cards(cluster, &site.setup.cards, true);
    let mix = typical_mix(site.workload, site.shapes, &floor);
    let jobs = (site.workload.jobs.len(), options.keep_allocations);
    let mut side = CardSide::new(&floor, site.setup, site.shapes, mix, jobs);
    if options.keep_allocations {
        for attempt in &booking.told.attempts {
            let held = (JobId::new(attempt.spec), attempt.start, attempt.end);
            Side::<CardFloor>::note(&mut side, held, card_grants(&attempt.grants.all(), &attempt.cards));
        }
    }
    if let Some(losses) = &booking.told.losses {
        side.count_as(&losses.layouts);
    }
    let mut book = CardBook { floor, side, rests: 0 };
    let (hours, span_us) = booking.hours(&mut book, outcome)?;
    outcome.hours = hours;
    outcome.shared = Side::<CardFloor>::finish(book.side, outcome, span_us);
    Ok(())
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

/// Jobs that name a reservation of the design ask for it; names that it does not have change nothing.
fn ask_for_reservations(workload: &Workload, options: &RunOptions<'_>, intake: &mut Intake) {
    if options.reservations.is_empty() {
        return;
    }
    for (id, spec) in workload.jobs.ids().zip(&mut intake.specs) {
        let others = workload.extras_of(id).into_iter().flat_map(|extras| &extras.other);
        let mut named = others.filter(|(column, _)| workload.texts.get(*column) == "reservation");
        let name = named.next().map(|(_, text)| workload.texts.share(*text));
        spec.reservation = name.filter(|name| options.reservations.iter().any(|row| row.name == **name));
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
    (told, jobs): (&SlurmOutcome, &[SlurmJob]),
    refusal: &dyn Fn(RequestId) -> Option<String>,
    (keep, tells_tenancy): (bool, bool),
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
    let refused = refusals(workload, refusal, told);
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
        at_work: at_work(told),
        spells: Vec::new(),
        held_until: held_until.into_iter().collect(),
        watched: Vec::new(),
        first_submit: workload.first_submit(),
        last_instant: last_instant(jobs, &told.attempts, &told.withdrawn_at).max(workload.first_submit()),
        events: told.events,
        passes: told.cycles.main + told.cycles.backfill,
        preemptive: None,
        shared: None,
        tenancy: tenancy_facts(told, tells_tenancy),
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

fn tenancy_facts(told: &SlurmOutcome, tells: bool) -> Option<Box<TenancyFacts>> {
    let known = told.losses.as_ref().filter(|_| tells).map(|losses| losses.facts.clone());
    let spilled = (told.spilled > 0).then(TenancyFacts::default);
    let facts = known.or(spilled)?;
    Some(Box::new(TenancyFacts { spilled: told.spilled, ..facts }))
}

/// Refused jobs with Slurm's answer, and why no node can hold them where that is the reason.
fn refusals(
    workload: &Workload,
    refusal_of: &dyn Fn(RequestId) -> Option<String>,
    told: &SlurmOutcome,
) -> Vec<(JobId, String)> {
    let mut known: BTreeMap<RequestId, Option<String>> = BTreeMap::new();
    let mut refused: Vec<(JobId, String)> = told
        .refused
        .iter()
        .map(|(spec, refusal)| {
            let job = JobId::new(*spec);
            let too_large = *refusal == crate::scheduler::slurm::Refusal::NodeConfiguration;
            let request = workload.jobs[job].request;
            let why = known.entry(request).or_insert_with(|| refusal_of(request));
            let why = why.as_ref().filter(|_| too_large);
            (job, why.map_or_else(|| refusal.to_string(), |why| format!("{refusal}: {why}")))
        })
        .collect();
    refused.sort_unstable();
    refused
}

/// When the last attempt of a job was at work, where that is later than its start.
fn at_work(told: &SlurmOutcome) -> Vec<(JobId, SimTime)> {
    let mut last: BTreeMap<JobId, SimTime> = BTreeMap::new();
    for attempt in &told.attempts {
        let job = JobId::new(attempt.spec);
        if attempt.works > attempt.start {
            last.insert(job, attempt.works);
        } else {
            last.remove(&job);
        }
    }
    last.into_iter().collect()
}

/// The last allocation of every job, in order of start.
fn allocations(told: &SlurmOutcome) -> Vec<(JobId, Allocation)> {
    let mut last: BTreeMap<usize, usize> = BTreeMap::new();
    for (at, attempt) in told.attempts.iter().enumerate() {
        last.insert(attempt.spec, at);
    }
    let rows = told.attempts.iter().enumerate().filter(|(at, a)| last[&a.spec] == *at);
    rows.map(|(_, a)| (JobId::new(a.spec), a.grants.all())).collect()
}

/// Jobs with more than one attempt.
fn requeued(told: &SlurmOutcome, keep: bool) -> Vec<(JobId, Vec<Stretch>)> {
    let mut by_job: BTreeMap<usize, Vec<Stretch>> = BTreeMap::new();
    let again = told.attempts.iter().filter(|a| a.number > 1).map(|a| (a.spec, Vec::new()));
    by_job.extend(again);
    for attempt in &told.attempts {
        if let Some(rows) = by_job.get_mut(&attempt.spec) {
            let allocation = if keep { attempt.grants.all() } else { Allocation::new() };
            let ending = match attempt.state {
                State::NodeFail => Ending::NodeLost,
                State::Preempted => Ending::Preempted,
                _ => Ending::WithTheJob,
            };
            let (start, works, end) = (attempt.start, attempt.works, attempt.end);
            rows.push(Stretch { start, works, end, ending, allocation });
        }
    }
    by_job.into_iter().map(|(spec, rows)| (JobId::new(spec), rows)).collect()
}

/// When which nodes were out of order: by the life of hosts, by outages, by reservations for nobody.
fn spells(told: &SlurmOutcome, options: &RunOptions<'_>) -> Vec<Spell> {
    let mut spells = told.losses.as_ref().map_or_else(Vec::new, |losses| losses.spells.clone());
    let outages = options.outages.iter().map(|row| (row.node, row.from, row.until));
    let for_nobody =
        options.reservations.iter().filter(|row| row.users.is_empty() && row.accounts.is_empty());
    let reserved = for_nobody.flat_map(|row| row.nodes.iter().map(|node| (*node, row.from, row.until)));
    for (NodeId(node), from, until) in outages.chain(reserved) {
        spells.push(Spell { at: from, nodes: node..node + 1, begins: true, why: Why::IsDown });
        spells.push(Spell { at: until, nodes: node..node + 1, begins: false, why: Why::IsDown });
    }
    spells
}

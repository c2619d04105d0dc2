//! A trace's jobs as submissions to a Slurm site.
//!
//! Limits become whole minutes, rounded up; jobs without one get the partition's. A request in CPUs
//! alone asks for as many nodes as its CPUs fill; whole multiples of a node's CPUs ask for whole nodes'
//! worth on each. Labels become user, account, partition and QOS where the site knows them, else the
//! site's defaults; what was not known is counted in [`Intake::unknown`].

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use smallvec::{SmallVec, smallvec};

use super::SlurmJob;
use crate::ids::{Id, JobId, RequestId, TenantId, TextId};
use crate::scheduler::shared::demand::{CardPoolShape, CardShapes};
use crate::scheduler::shared::fit::DeviceAsk;
use crate::scheduler::slurm::LicenceAsk;
use crate::scheduler::slurm::config::{GresCount, Sizes, SlurmConfig};
use crate::scheduler::slurm::devices::Parts;
use crate::scheduler::slurm::job::{Ask, Dependency, DependencyKind, JobSpec, Switches, TaskOf};
use crate::simulation::run::recorded_end;
use crate::simulation::{JobState, Spill, Spills};
use crate::time::{SimDuration, SimTime};
use crate::workload::wishes::{Licences, read_switches_wish};
use crate::workload::{self, Common, Extras, JobFlags, Request, Workload};

/// What pools know beside Slurm's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pools<'a> {
    /// What each request means on each of so many pools, where GPUs are given out card by card.
    pub cards: Option<(&'a CardShapes, usize)>,
    /// Jobs that may go to other pools if their wait is long.
    pub spills: Option<&'a Spills>,
    /// Whether hosts are dedicated to tenants.
    pub are_dedicated: bool,
}

/// Submissions made from a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Intake {
    /// What the scheduler sees, by job of the trace.
    pub specs: Vec<JobSpec>,
    /// What only the simulation knows.
    pub jobs: Vec<SlurmJob>,
    /// What could not be carried over, with the number of jobs.
    pub unknown: BTreeMap<&'static str, u64>,
}

impl Intake {
    /// Makes submissions of all jobs of `trace`.
    #[must_use]
    pub fn new(trace: &Workload, config: &SlurmConfig) -> Self {
        Self::on_pools(trace, config, &Pools::default())
    }

    /// The same on pools that know more than Slurm's files say.
    #[must_use]
    pub fn on_pools(trace: &Workload, config: &SlurmConfig, pools: &Pools<'_>) -> Self {
        let mut asks = Asks {
            parts: pools.cards.map(|(shapes, pools)| PartsOf { shapes, pools, known: FxHashMap::default() }),
            are_dedicated: pools.are_dedicated,
            known: FxHashMap::default(),
            with_switches: FxHashMap::default(),
        };
        let mut intake = Self {
            specs: Vec::with_capacity(trace.jobs.len()),
            jobs: Vec::with_capacity(trace.jobs.len()),
            unknown: BTreeMap::new(),
        };
        for (id, job) in trace.jobs.iter_ids() {
            let spill = pools.spills.and_then(|spills| spills.jobs.get(&id));
            let spec = intake.spec((trace, config), id, (job, spill), &mut asks);
            intake.specs.push(spec);
            intake.jobs.push(SlurmJob {
                submit: job.submit,
                run: job.run,
                exit_ok: recorded_end(trace, id) == JobState::Completed,
                cancel: trace.extras_of(id).and_then(|e| e.cancel),
                spill_after: spill.map(|spill| spill.after),
            });
        }
        intake
    }

    fn note(&mut self, what: &'static str) {
        *self.unknown.entry(what).or_insert(0) += 1;
    }

    fn spec(
        &mut self,
        (trace, config): (&Workload, &SlurmConfig),
        id: JobId,
        (job, spill): (&workload::Job, Option<&Spill>),
        asks: &mut Asks<'_>,
    ) -> JobSpec {
        let labels = trace.labels.get(job.labels);
        let text = |t: Option<TextId>| t.map(|t| trace.texts.share(t));
        let is_known =
            |name: &TextId| trace.texts.get(*name).split(',').all(|name| config.partition(name).is_some());
        let partition = labels.partition.filter(is_known);
        if labels.partition.is_some() && partition.is_none() {
            self.note("partition unknown to the site: its default");
        }
        let qos = text(labels.qos).filter(|name| config.accounting.find_qos(name).is_some());
        if labels.qos.is_some() && qos.is_none() {
            self.note("QOS unknown to the site: its default");
        }
        let extras = trace.extras_of(id);
        let task_of = extras.and_then(|e| {
            let (array, _) = e.array?;
            let array = u32::try_from(array.index()).expect("fewer than 2^32 texts");
            Some(TaskOf { array, limit: e.array_limit })
        });
        let mut ask = self.bound((trace, config), job.request, partition, asks);
        if let Some(wish) = switches_of((trace, config), extras) {
            ask = asks.with_switches(ask, (job.request, partition), wish);
        }
        let wider = spill.map(|spill| self.bound((trace, config), spill.request, partition, asks));
        let limit_known = !job.flags.has(JobFlags::LIMIT_UNKNOWN);
        JobSpec {
            job_name: text(labels.name).unwrap_or_default(),
            user: text(labels.user).unwrap_or_default(),
            account: text(labels.account).filter(|a| config.accounting.find_assoc(a, None).is_some()),
            partition: text(partition),
            qos,
            ask,
            limit_min: limit_known.then(|| whole_minutes(job.limit)),
            nice: extras.map_or(0, |e| e.nice),
            after: extras.map_or_else(Vec::new, |e| e.after.iter().map(dependency_of).collect()),
            array: None,
            task_of,
            reservation: None,
            licences: self.licences((trace, config), extras),
            requeue: job.flags.has(JobFlags::NO_REQUEUE).then_some(false),
            begin_s: extras.and_then(|e| e.begin).map(whole_seconds),
            hold: false,
            wider,
        }
    }

    /// `licenses`: those that the site knows.
    fn licences(
        &mut self,
        (trace, config): (&Workload, &SlurmConfig),
        extras: Option<&Extras>,
    ) -> Option<Box<LicenceAsk>> {
        let text = kept(trace, extras, "licenses").filter(|_| !config.licences.is_empty())?;
        let mut ask = LicenceAsk::on(config, &Licences::read(text).ok()?);
        if ask.unknown {
            self.note("licence unknown to the site: not asked for");
            ask.unknown = false;
        }
        Some(ask).filter(|ask| !ask.wanted.is_empty()).map(Box::new)
    }

    /// A request as its partition makes it, with its parts of GPUs where these are given out so.
    fn bound(
        &mut self,
        (trace, config): (&Workload, &SlurmConfig),
        request: RequestId,
        partition: Option<TextId>,
        asks: &mut Asks<'_>,
    ) -> Common<Ask> {
        let key = (request, partition);
        if let Some((ask, notes)) = asks.known.get(&key) {
            let ask = ask.clone();
            notes.clone().into_iter().for_each(|what| self.note(what));
            return ask;
        }
        let fit = asks.parts.as_ref().and_then(|parts| parts.first(request));
        let mut notes = Notes::new();
        let row = trace.requests.get(request);
        let sizes = config.sizes_in(partition.map(|name| trace.texts.get(name)));
        let mut ask = ask((trace, config), (row, sizes), fit, asks.parts.is_some(), &mut notes);
        if let Some(parts) = &mut asks.parts {
            ask.parts = parts.of(request, &ask);
        }
        ask.tenant = asks.are_dedicated.then(|| TenantId::named(row.tenant));
        config.adapt(&mut ask, partition.map(|name| trace.texts.get(name)));
        notes.iter().for_each(|what| self.note(what));
        let ask = Common::from(ask);
        asks.known.insert(key, (ask.clone(), notes));
        ask
    }
}

/// What cannot be carried over of a request.
type Notes = SmallVec<[&'static str; 2]>;

/// What requests ask of nodes, each worked out once for each partition.
struct Asks<'a> {
    /// Where GPUs are given out card by card.
    parts: Option<PartsOf<'a>>,
    are_dedicated: bool,
    known: FxHashMap<(RequestId, Option<TextId>), (Common<Ask>, Notes)>,
    with_switches: FxHashMap<(RequestId, Option<TextId>, Switches), Common<Ask>>,
}

impl Asks<'_> {
    /// The same with `--switches`, once for all jobs with that wish.
    fn with_switches(
        &mut self,
        ask: Common<Ask>,
        (request, partition): (RequestId, Option<TextId>),
        wish: Switches,
    ) -> Common<Ask> {
        let make = || Common::from(Ask { switches: Some(wish), ..Ask::clone(&ask) });
        self.with_switches.entry((request, partition, wish)).or_insert_with(make).clone()
    }
}

/// The text of a column that the trace keeps for those who know it.
fn kept<'t>(trace: &'t Workload, extras: Option<&Extras>, column: &str) -> Option<&'t str> {
    let mut others = extras.into_iter().flat_map(|extras| &extras.other);
    others.find(|(name, _)| trace.texts.get(*name) == column).map(|(_, text)| trace.texts.get(*text))
}

/// `switches`, where nodes are chosen by a tree of them.
fn switches_of((trace, config): (&Workload, &SlurmConfig), extras: Option<&Extras>) -> Option<Switches> {
    let text = kept(trace, extras, "switches").filter(|_| config.topology.is_some())?;
    let (leaves, wait_s) = read_switches_wish(text)?;
    Some(Switches { leaves, wait_s })
}

fn ask(
    (trace, config): (&Workload, &SlurmConfig),
    (request, sizes): (&Request, Sizes),
    fit: Option<&CardPoolShape>,
    has_cards: bool,
    notes: &mut Notes,
) -> Ask {
    let node_cpus = config.nodes.iter().map(|n| n.cpus).max().unwrap_or(1).max(1);
    let node_gpus: u32 = config.nodes.iter().map(|n| n.gres.iter().map(|g| g.count).sum()).max().unwrap_or(0);
    let tasks = request.tasks.unwrap_or(1).max(1);
    let says_cpus = request.cpus.or(request.tasks).or(request.cpus_per_task).is_some();
    let cpus = request.cpus.unwrap_or_else(|| tasks * request.cpus_per_task.unwrap_or(1)).max(1);
    let gpus = request
        .gpus
        .or_else(|| request.gpus_per_task.map(|g| g * tasks))
        .or_else(|| request.gpus_per_node.map(|g| g * request.nodes.unwrap_or(1)))
        .unwrap_or(0);
    let usual_cpus =
        sizes.def_cpu_per_gpu.filter(|_| gpus > 0 && !says_cpus).map(|each| each.saturating_mul(gpus));
    let cpus = usual_cpus.unwrap_or(cpus).max(1);
    let by_gpus = if let Some(fit) = fit.filter(|_| gpus > 0) {
        fit.nodes
    } else if node_gpus > 0 {
        gpus.div_ceil(node_gpus)
    } else {
        u32::from(gpus > 0)
    };
    let nodes = request.nodes.unwrap_or_else(|| cpus.div_ceil(node_cpus).max(by_gpus)).max(1);
    let on_each = gpus.div_ceil(nodes);
    let mem_mb = request.mem_mb_per_node.unwrap_or_else(|| sizes.usual_mem_mb(cpus.div_ceil(nodes), on_each));
    let cpus = cpus.max(sizes.cpus_for(mem_mb).saturating_mul(nodes));
    let even = cpus.is_multiple_of(nodes)
        && (request.nodes.is_some() || cpus.is_multiple_of(node_cpus) || nodes == 1);
    if !has_cards && (request.gpu_milli.is_some_and(|m| m < 1_000) || request.mig_profile.is_some()) {
        notes.push("part of a GPU: a whole one");
    }
    let wanted: SmallVec<[&str; 1]> = request.gpu_types.iter().map(|t| trace.texts.get(*t)).collect();
    let device_type = match wanted.as_slice() {
        [one] => config.find_device_type(one),
        _ => None,
    };
    if !wanted.is_empty() && device_type.is_none() && !has_cards {
        notes.push("GPU type unknown to the site, or alternatives: any type");
    }
    let gres = match on_each {
        0 => smallvec![],
        count => smallvec![GresCount { device_type, count }],
    };
    Ask {
        min_nodes: nodes,
        max_nodes: even.then_some(nodes),
        cpus,
        cpus_per_node: if even { cpus / nodes } else { 1 },
        mem_mb_per_node: mem_mb,
        gres,
        fixed_per_node: even,
        exclusive: request.exclusive,
        features: request.features.iter().map(|f| trace.texts.get(*f).into()).collect(),
        parts: None,
        tenant: None,
        switches: None,
    }
}

/// What requests ask of the GPUs of a node, each worked out once.
struct PartsOf<'a> {
    shapes: &'a CardShapes,
    pools: usize,
    known: FxHashMap<(RequestId, u32), Parts>,
}

impl PartsOf<'_> {
    /// The request on the first pool that can hold it.
    fn first(&self, request: RequestId) -> Option<&CardPoolShape> {
        self.shapes.get(self.shapes.of(request)).pools.first()
    }

    /// By pool, as many devices on each node as Slurm's request says.
    fn of(&mut self, request: RequestId, ask: &Ask) -> Option<Parts> {
        let count = ask.gres.iter().map(|gres| gres.count).sum();
        let shape = self.shapes.get(self.shapes.of(request));
        let parts = self.known.entry((request, count)).or_insert_with(|| {
            // Of jobs without GPUs Slurm decides by itself.
            let none = (count == 0).then_some(DeviceAsk::None);
            let mut by_pool = vec![none; self.pools];
            for fit in &shape.pools {
                let (part, _) = fit.groups[0];
                by_pool[fit.pool.index()] = Some(self.shapes.parts.get(part).ask.times(count));
            }
            by_pool.into()
        });
        Some(parts.clone())
    }
}

fn dependency_of(dependency: &workload::Dependency) -> Dependency {
    let kind = match dependency.kind {
        workload::DependencyKind::After => DependencyKind::After,
        workload::DependencyKind::AfterAny => DependencyKind::AfterAny,
        workload::DependencyKind::AfterOk => DependencyKind::AfterOk,
        workload::DependencyKind::AfterNotOk => DependencyKind::AfterNotOk,
        // the trace names the very tasks
        workload::DependencyKind::AfterCorr => DependencyKind::AfterOk,
        workload::DependencyKind::Singleton => DependencyKind::Singleton,
    };
    Dependency { kind, on: dependency.jobs.iter().map(|j| j.index()).collect() }
}

fn whole_minutes(span: SimDuration) -> u32 {
    u32::try_from((span.micros() + 59_999_999) / 60_000_000).unwrap_or(u32::MAX).max(1)
}

fn whole_seconds(at: SimTime) -> i64 {
    (at.micros() + 999_999).div_euclid(1_000_000)
}

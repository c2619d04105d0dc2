//! The nouns of the tests: `trace()`, `job()`, `cluster()`, `node()`, and `Run`, which plays a trace on
//! a cluster and answers in seconds and node numbers.

use windtunnel::cluster::{Amounts, ClusterSpec, NodeSpec, PoolSpec};
use windtunnel::ids::{IdVec, JobId, TextId};
use windtunnel::scheduler::{BackfillSpec, OrderSpec, PlacementSpec, PolicySpec, ordering};
use windtunnel::simulation::{JobRecord, JobState, Outcome, Policy, RunError, RunOptions, simulate};
use windtunnel::time::{SimDuration, SimTime};
use windtunnel::workload::{
    Dependency, DependencyKind, Extras, Job, JobFlags, JobName, Labels, Request, Workload,
};

/// A job as a test writes it; everything has a default.
#[derive(Clone, Debug, Default)]
pub struct JobRow {
    pub name: Option<String>,
    pub submit_us: i64,
    pub run_us: i64,
    pub limit_us: Option<i64>,
    pub priority: i64,
    pub request: Request,
    pub gpu_types: Vec<String>,
    pub mig_profile: Option<String>,
    pub tenant: Option<String>,
    after: Vec<(DependencyKind, Vec<String>)>,
    array: Option<(String, u32, u32)>,
    begin_us: Option<i64>,
    pub cancel_us: Option<i64>,
    nice: i64,
}

/// One CPU for one second, submitted at zero.
pub fn job() -> JobRow {
    JobRow { run_us: 1_000_000, ..JobRow::default() }
}

/// A job with a name to ask for later.
pub fn named(name: &str) -> JobRow {
    JobRow { name: Some(name.to_owned()), ..job() }
}

const US: i64 = 1_000_000;

impl JobRow {
    pub fn at_s(mut self, s: i64) -> Self {
        self.submit_us = s * US;
        self
    }
    pub fn at_us(mut self, us: i64) -> Self {
        self.submit_us = us;
        self
    }
    pub fn run_s(mut self, s: i64) -> Self {
        self.run_us = s * US;
        self
    }
    pub fn run_us(mut self, us: i64) -> Self {
        self.run_us = us;
        self
    }
    pub fn limit_s(mut self, s: i64) -> Self {
        self.limit_us = Some(s * US);
        self
    }
    pub fn cpus(mut self, cpus: u32) -> Self {
        self.request.cpus = Some(cpus);
        self
    }
    pub fn gpus(mut self, gpus: u32) -> Self {
        self.request.gpus = Some(gpus);
        self
    }
    pub fn gpu_milli(mut self, milli: u32) -> Self {
        self.request.gpu_milli = Some(milli);
        self
    }
    pub fn gpu_mem_mib(mut self, mib: u64) -> Self {
        self.request.gpu_mem_mib = Some(mib);
        self
    }
    pub fn mig(mut self, profile: &str) -> Self {
        self.mig_profile = Some(profile.to_owned());
        self
    }
    pub fn nodes(mut self, nodes: u32) -> Self {
        self.request.nodes = Some(nodes);
        self
    }
    pub fn mem_mb(mut self, mem: u64) -> Self {
        self.request.mem_mb_per_node = Some(mem);
        self
    }
    pub fn gpu_type(mut self, name: &str) -> Self {
        self.gpu_types.push(name.to_owned());
        self
    }
    pub fn tenant(mut self, name: &str) -> Self {
        self.tenant = Some(name.to_owned());
        self
    }
    pub fn exclusive(mut self) -> Self {
        self.request.exclusive = true;
        self
    }
    pub fn priority(mut self, priority: i64) -> Self {
        self.priority = priority;
        self
    }
    pub fn nice(mut self, nice: i64) -> Self {
        self.nice = nice;
        self
    }
    pub fn after(mut self, kind: DependencyKind, jobs: &[&str]) -> Self {
        self.after.push((kind, jobs.iter().map(|j| (*j).to_owned()).collect()));
        self
    }
    pub fn array(mut self, array: &str, index: u32, limit: u32) -> Self {
        self.array = Some((array.to_owned(), index, limit));
        self
    }
    pub fn begin_s(mut self, s: i64) -> Self {
        self.begin_us = Some(s * US);
        self
    }
    pub fn cancel_s(mut self, s: i64) -> Self {
        self.cancel_us = Some(s * US);
        self
    }
    /// The limit, or the run time where none is set.
    pub fn limit_or_run_us(&self) -> i64 {
        self.limit_us.unwrap_or(self.run_us)
    }
    fn has_extras(&self) -> bool {
        !self.after.is_empty()
            || self.array.is_some()
            || self.begin_us.is_some()
            || self.cancel_us.is_some()
            || self.nice != 0
    }
}

/// Rows on their way to a [`Workload`].
#[derive(Clone, Debug, Default)]
pub struct TraceBuilder {
    rows: Vec<JobRow>,
}

pub fn trace() -> TraceBuilder {
    TraceBuilder::default()
}

impl TraceBuilder {
    pub fn job(mut self, row: JobRow) -> Self {
        self.rows.push(row);
        self
    }

    pub fn jobs(mut self, rows: impl IntoIterator<Item = JobRow>) -> Self {
        self.rows.extend(rows);
        self
    }

    /// Sorted by submission, equal submissions in the order of the rows, as readers do.
    pub fn build(mut self) -> Workload {
        self.rows.sort_by_key(|row| row.submit_us);
        let mut workload = Workload::default();
        let names: Vec<String> = self
            .rows
            .iter()
            .enumerate()
            .map(|(at, row)| row.name.clone().unwrap_or_else(|| format!("job-{at}")))
            .collect();
        for (at, row) in self.rows.iter().enumerate() {
            let mut request = row.request.clone();
            request.gpu_types = row.gpu_types.iter().map(|t| workload.texts.intern(t)).collect();
            request.mig_profile = row.mig_profile.as_ref().map(|p| workload.texts.intern(p));
            let tenant = row.tenant.as_ref().map(|tenant| workload.texts.intern(tenant));
            request.tenant = tenant;
            let mut flags = JobFlags::default();
            flags.set(JobFlags::LIMIT_UNKNOWN, row.limit_us.is_none());
            flags.set(JobFlags::HAS_EXTRAS, row.has_extras());
            let job = Job {
                submit: SimTime::from_micros(row.submit_us),
                run: SimDuration::from_micros(row.run_us),
                limit: SimDuration::from_micros(row.limit_or_run_us()),
                priority: row.priority,
                name: JobName::Text(workload.texts.intern(&names[at])),
                request: workload.requests.intern(&request),
                labels: workload.labels.intern(&Labels { tenant, ..Labels::default() }),
                flags,
            };
            let id = workload.jobs.push(job);
            if row.has_extras() {
                let extras = extras(row, &names, |text| workload.texts.intern(text));
                workload.extras.push((id, extras));
            }
        }
        workload
    }
}

fn extras(row: &JobRow, names: &[String], mut text: impl FnMut(&str) -> TextId) -> Extras {
    let find = |name: &String| {
        let at = names.iter().position(|n| n == name).expect("a dependency names a job of the trace");
        JobId(at as u32)
    };
    Extras {
        after: row
            .after
            .iter()
            .map(|(kind, jobs)| Dependency { kind: *kind, jobs: jobs.iter().map(find).collect() })
            .collect(),
        array: row.array.as_ref().map(|(name, index, _)| (text(name), *index)),
        array_limit: row.array.as_ref().map(|(_, _, limit)| *limit),
        begin: row.begin_us.map(SimTime::from_micros),
        cancel: row.cancel_us.map(SimTime::from_micros),
        nice: row.nice,
        other: Vec::new(),
    }
}

/// A kind of node.
pub fn node() -> NodeSpec {
    let capacity = Amounts { cpus: 64, gpus: 0, mem_mb: 1 << 20 };
    NodeSpec { name: "node".to_owned(), capacity, gpu_type: None, gpu_mem_mib: None, features: Vec::new() }
}

/// A node with GPUs of type `gpu`.
pub fn gpu_node(gpus: u32) -> NodeSpec {
    let mut spec = node();
    spec.capacity.gpus = gpus;
    spec.gpu_type = Some("gpu".to_owned());
    spec
}

/// No pools yet.
pub fn cluster() -> ClusterBuilder {
    ClusterBuilder::default()
}

/// A plain pool of processors.
pub fn processors(procs: u32) -> ClusterSpec {
    ClusterSpec::processors(procs)
}

#[derive(Clone, Debug, Default)]
pub struct ClusterBuilder {
    spec: ClusterSpec,
}

impl ClusterBuilder {
    pub fn pool(mut self, name: &str, count: u32, node: NodeSpec) -> Self {
        self.spec.pools.push(PoolSpec { name: name.to_owned(), node, count, dedicated: None });
        self
    }

    /// Hosts of so many nodes in the last pool, each with jobs of one tenant at a time.
    pub fn dedicated(mut self, nodes_per_host: u32) -> Self {
        let pool = self.spec.pools.last_mut().expect("a pool was added");
        pool.dedicated = Some(nodes_per_host);
        self
    }

    pub fn build(self) -> ClusterSpec {
        self.spec
    }
}

/// A policy of any parts.
pub fn policy(order: OrderSpec, place: PlacementSpec, backfill: BackfillSpec) -> PolicySpec {
    PolicySpec { name: "test".to_owned(), order, placement: place, backfill }
}

/// A classic policy by name with first fit.
pub fn classic(name: &str) -> PolicySpec {
    PolicySpec::classic(name).expect("a classic policy")
}

/// What a specification means.
pub fn policy_of(spec: &PolicySpec) -> Policy {
    Policy {
        ordering: ordering::ordering(&spec.order).expect("a good expression"),
        placement: spec.placement.into(),
        backfill: spec.backfill,
    }
}

/// A finished run.
#[derive(Debug)]
pub struct Run<'w> {
    pub workload: &'w Workload,
    pub outcome: Outcome,
}

/// Plays `workload`, keeping allocations.
pub fn try_play<'w>(
    workload: &'w Workload,
    cluster: &ClusterSpec,
    spec: &PolicySpec,
) -> Result<Run<'w>, RunError> {
    let options = RunOptions { keep_allocations: true, ..RunOptions::default() };
    let outcome = simulate(workload, cluster, policy_of(spec), &options)?;
    Ok(Run { workload, outcome })
}

/// Plays `workload`; errors fail the test.
pub fn play<'w>(workload: &'w Workload, cluster: &ClusterSpec, spec: &PolicySpec) -> Run<'w> {
    try_play(workload, cluster, spec).unwrap_or_else(|error| panic!("{}: {error}", spec.name))
}

impl Run<'_> {
    fn find(&self, name: &str) -> JobId {
        let found = self.workload.jobs.ids().find(|id| self.workload.job_name(*id) == name);
        found.unwrap_or_else(|| panic!("no job '{name}'"))
    }

    fn record(&self, name: &str) -> &JobRecord {
        &self.outcome.records[self.find(name)]
    }

    /// Start in whole seconds; `None` if it never started.
    pub fn start_s(&self, name: &str) -> Option<i64> {
        let start = self.record(name).start;
        (start != SimTime::NEVER).then(|| {
            assert_eq!(start.micros() % US, 0, "job '{name}' starts at {start}");
            start.micros() / US
        })
    }

    /// Starts of several jobs, which all started.
    pub fn starts_s<const N: usize>(&self, names: [&str; N]) -> [i64; N] {
        names.map(|name| self.start_s(name).unwrap_or_else(|| panic!("job '{name}' did not start")))
    }

    /// When several jobs were at work, which all started: what is made for them comes first.
    pub fn works_s<const N: usize>(&self, names: [&str; N]) -> [i64; N] {
        names.map(|name| self.outcome.work_start(self.find(name)).micros() / 1_000_000)
    }

    pub fn state(&self, name: &str) -> JobState {
        self.record(name).state
    }

    /// Node numbers of a job, sorted.
    pub fn nodes(&self, name: &str) -> Vec<u32> {
        let id = self.find(name);
        let held = self.outcome.allocations.iter().find(|(job, _)| *job == id);
        let mut nodes: Vec<u32> = held.map_or(Vec::new(), |(_, a)| a.iter().map(|g| g.node.0).collect());
        nodes.sort_unstable();
        nodes
    }

    /// GPU bits of a job on its only node.
    pub fn gpu_bits(&self, name: &str) -> u64 {
        let id = self.find(name);
        let held = self.outcome.allocations.iter().find(|(job, _)| *job == id);
        let (_, allocation) = held.expect("it started");
        assert_eq!(allocation.len(), 1);
        allocation[0].gpus
    }

    pub fn records(&self) -> &IdVec<JobId, JobRecord> {
        &self.outcome.records
    }
}

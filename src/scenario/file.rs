//! The scenario file as it is written: plain tables, every optional setting an `Option`.
//!
//! The doc comments here are the descriptions in the JSON Schema that editors show, and the schema is what
//! `scenario::structure` checks a file against; so this is the one place where a setting gets its name.

mod cost;
mod design;
mod events;
mod fabric;
mod failures;
mod finance;
mod recorded;
mod route;
mod sharing;
mod site;
mod slurm;
mod speedup;
mod tenancy;

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::workload::generate::Model;
use crate::workload::read::ColumnSetting;

pub use cost::{
    Billed, BillingStep, CostDefaults, CostTable, LicenceTable, LicenceUnit, OwnedTable, RentPlan,
    RentedTable,
};
pub use design::{DesignTable, PoolTable, SparesTable, TenancyTable};
pub use events::{EventKind, EventTable, ReservationTable};
pub use fabric::{
    DataTable, FabricTable, PrecisionKind, SplitKind, Spread, StoreKind, StoreTable, Topology, Traffic,
    TrainingTable,
};
pub use failures::{FailureLevelTable, FailuresTable, RepairStagesTable, RepairTable};
pub use finance::{FinanceTable, ObjectiveTable};
pub use recorded::{RecordedOnTable, RecordedSliceTable, RecordedStartTable, RecordedVmTable};
pub use route::RouteTable;
pub use sharing::{
    BareMetalTable, CoLocation, MeasuredOn, Mig, MigFor, MigLayoutTable, Sharing, SharingKeys, SliceLawTable,
};
pub use site::SiteTable;
pub use slurm::{SLURM_OPTIONS, SlurmOption, SlurmOptions, SlurmTable};
pub use speedup::{ClassSpeedupTable, MemoryNeed, SpeedupLevel, SpeedupMix, SpeedupSettings, SpeedupTable};
pub use tenancy::{
    AtLimit, BootTable, ContainersTable, ContentionLevel, Dedicated, ElasticTable, Hypervisor,
    JobSharesTable, MaintenanceTable, NoiseTable, OverheadLevel, OverheadTable, SliceScheduler,
    SnapshotInterval, SnapshotMode, SnapshotsTable, VmAccess, VmNic, VmShapeTable, VmTable,
};

/// Named tables in the order in which they are declared.
pub type Named<T> = IndexMap<String, T>;

/// A Windtunnel scenario: one workload under one policy, on one or several designs of a cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(title = "Windtunnel scenario")]
pub struct ScenarioFile {
    /// One line that says what is asked; stands above the results.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The jobs.
    pub workload: WorkloadTable,
    /// How they are scheduled: exactly one policy.
    pub policy: PolicyTable,
    /// Kinds of node that the catalogue does not have, or changes to those it has.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub node: Named<NodeTable>,
    /// GPU boards that the catalogue does not have, or changes to those it has.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub gpu: Named<GpuTable>,
    /// How fast jobs run on other GPUs than those that they ran on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speedup: Option<SpeedupTable>,
    /// How classes of jobs respond to a part of a GPU; `default` is for classes that have no table.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub slice_law: Named<SliceLawTable>,
    /// What classes of jobs are made of, for virtual machines and shared hosts; `default` is for classes that
    /// have no table.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub job_shares: Named<JobSharesTable>,
    /// Clusters to compare.
    pub design: Named<DesignTable>,
    /// How the designs are compared.
    #[serde(default)]
    pub compare: CompareTable,
    /// What a design must do, and what then decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objective: Option<ObjectiveTable>,
    /// The plan that designs are judged over: years, growth, interest, quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finance: Option<FinanceTable>,
    /// How far to trust the results.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<TrustTable>,
    /// What `windtunnel sweep` varies; the other commands look at the scenario without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sweep: Option<SweepTable>,
}

/// The jobs: a trace file, or a generator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WorkloadTable {
    /// Trace file (native CSV or SWF, also gzip or zstd), relative to the scenario file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// Time zone of timestamps without offset (IANA name); default UTC for dumps, none for the native CSV.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Which GPUs the nodes have (`scontrol show node`), for traces that name nodes and no GPU type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_list: Option<String>,
    /// What the columns of the trace mean, where they are not called as in the native CSV:
    /// `job_id = "JobID"`, `run_s = { from = "Elapsed", format = "d-hh:mm:ss" }`, `delimiter`, `decimal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<BTreeMap<String, ColumnSetting>>,
    /// A generator instead of a trace: one table, named after the model, with its parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generate: Option<Model>,
    /// Changes to the whole workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<ScaleTable>,
    /// Only the jobs submitted in this window; cut before scaling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowTable>,
    /// Seed of everything random; default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Cut run times of the trace at the limit; default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_at_limit: Option<bool>,
    /// Where run times were recorded; default bare-metal, and the design itself in `backtest`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded_on: Option<RecordedOnTable>,
    /// The adapters of the network on which run times were recorded, one for each GPU, by their row in the catalogue's
    /// `fabrics`; default InfiniBand-NDR400. Matters where a pool has a `fabric`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded_nic: Option<String>,
    /// On what run times were measured, where GPUs are shared; default as-asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured_on: Option<MeasuredOn>,
    /// Rules that give jobs a class; the first that matches wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_rule: Vec<ClassRuleTable>,
}

/// Factors on the whole workload; 1 leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ScaleTable {
    /// Rate of arrivals: 1.4 submits the same jobs in 1/1.4 of the time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<f64>,
    /// Run times and limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<f64>,
    /// Sizes (nodes, CPUs, GPUs).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<f64>,
}

/// A window of submit times, in seconds after the first submit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WindowTable {
    /// First second inside; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_s: Option<f64>,
    /// First second outside; default: no end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_s: Option<f64>,
}

/// One rule: jobs that meet every condition get the class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ClassRuleTable {
    /// Class that the job gets.
    pub class: String,
    /// Partition, exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// Account, exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// User, exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// QOS, exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qos: Option<String>,
    /// Job name, with `*` and `?` as wildcards; upper and lower case are the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// At least so many GPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus_min: Option<u64>,
    /// At most so many GPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus_max: Option<u64>,
    /// Run time at least, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_min_s: Option<f64>,
    /// Run time at most, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_max_s: Option<f64>,
    /// Limit at least, in seconds; a job without limit does not match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_min_s: Option<f64>,
    /// Limit at most, in seconds; a job without limit does not match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_max_s: Option<f64>,
    /// Kind of work that the job becomes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<WorkKind>,
}

/// Kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WorkKind {
    /// Computes until it is done; takes longer on slower hardware.
    Work,
    /// Interactive: takes its wall time whatever the hardware.
    Session,
}

/// The policy, by its exact name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyTable {
    /// First come, first served; the head of the queue blocks.
    Fcfs(PlacedTable),
    /// Submit order; whatever fits starts.
    Greedy(PlacedTable),
    /// Shortest limit first; the head of the queue blocks.
    Sjf(PlacedTable),
    /// Longest limit first; the head of the queue blocks.
    Ljf(PlacedTable),
    /// Highest priority (a column of the trace) first; the head of the queue blocks.
    Priority(PlacedTable),
    /// EASY backfill: whatever does not delay the head of the queue may pass it.
    Easy(EasyTable),
    /// Conservative backfill: whatever delays no job ahead of it may pass them.
    Conservative(ConservativeTable),
    /// An order of your own.
    Expression(ExpressionTable),
    /// Preemptive, for training clusters: shortest remaining time first (an oracle knows it).
    Srtf(PreemptiveTable),
    /// Preemptive, for training clusters: shortest remaining time x GPUs first (an oracle knows it).
    Srsf(PreemptiveTable),
    /// Preemptive, for training clusters: discretised two-dimensional least attained service.
    Tiresias(PreemptiveTable),
    /// Slurm's multifactor priority, main and backfill scheduler.
    Slurm(Box<SlurmTable>),
}

/// Options of a policy without backfill.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PlacedTable {
    /// Which of the nodes that fit; default first-fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
}

/// Options of EASY.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EasyTable {
    /// Which of the nodes that fit; default first-fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// Order of the queue; default submit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
}

/// Options of conservative backfill.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ConservativeTable {
    /// Which of the nodes that fit; default first-fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// Order of the queue; default submit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// Jobs that are planned per pass; default all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub depth: Option<u32>,
}

/// A policy whose order is an expression.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExpressionTable {
    /// Expression over the job; the largest value goes first, for instance `age_s / limit_s` (who has waited
    /// longest for its size). Variables: age_s, limit_s, cpus, gpus, nodes, submit_s, priority. Operators:
    /// + - * / ^ ( ), min(a, b), max(a, b), abs, floor, ceil, sqrt, exp, ln, log2, log10.
    pub order: String,
    /// What may pass a blocked head; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backfill: Option<Backfill>,
    /// Which of the nodes that fit; default first-fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
}

/// Options of a preemptive policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PreemptiveTable {
    /// Seconds that a restart costs a job whose class is not listed; default 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_overhead_s: Option<f64>,
    /// The same by job class: `class-overhead-s = { training = 60, debug = 5 }`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub class_overhead_s: Named<f64>,
    /// When it is charged; default every-event, as the published simulators have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charge: Option<Charge>,
}

/// When restart overhead is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Charge {
    /// To every running job at every event (arrival, end, demotion), moved or not.
    EveryEvent,
    /// To a job that runs again after a preemption.
    Restart,
}

/// Which of the nodes that fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// The first one.
    FirstFit,
    /// The one with the least left over.
    BestFit,
    /// The one with the most left over.
    Spread,
    /// As few leaves of the `fabric` as can be, then the one with the least left over.
    Topology,
    /// Least scalar product of what is free and what is asked (FGD's authors); for shared GPUs.
    DotProduct,
    /// Beside requests of the same kind (FGD's authors); for shared GPUs.
    GpuClustering,
    /// On GPUs in use before free ones (FGD's authors); for shared GPUs.
    GpuPacking,
    /// Fragmentation gradient descent; for shared GPUs.
    Fgd,
    /// Where the fewest MIG slices are stranded; for shared GPUs.
    MigBestFit,
}

/// Order of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// First come, first served.
    Submit,
    /// Shortest limit first.
    ShortestLimit,
    /// Longest limit first.
    LongestLimit,
    /// Highest priority (a column of the trace) first.
    Priority,
}

/// What may pass a blocked head of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Backfill {
    /// Nothing.
    None,
    /// Whatever fits.
    Greedy,
    /// What does not delay the head.
    Easy,
    /// What delays no job ahead of it.
    Conservative,
}

/// A kind of node; under a name of the catalogue, what is left out comes from there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct NodeTable {
    /// CPUs, counted as the trace counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub cpus: Option<u32>,
    /// Memory in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub mem_mb: Option<u64>,
    /// GPUs; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 64))]
    pub gpus: Option<u32>,
    /// GPU board: a name of the catalogue or of a `[gpu.NAME]` table; `any` = not stated, takes every request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu: Option<String>,
    /// Features that jobs can ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<Vec<String>>,
    /// Power of the busy node at its plug in W, for the electricity bill.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub power_w: Option<u32>,
    /// Power of the idle node at its plug in W; default: the busy power, an upper bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub power_idle_w: Option<u32>,
}

/// A GPU board; under a name of the catalogue, what is left out comes from there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GpuTable {
    /// Memory in GB.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub memory_gb: Option<u32>,
    /// Peak memory bandwidth in 10^12 bytes/s, for the speed of jobs that ran on other GPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_bw_tb_s: Option<f64>,
    /// Dense FP16/BF16 peak in 10^12 FLOP/s, for the speed of jobs that ran on other GPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fp16_tflops: Option<f64>,
}

/// How the designs are compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CompareTable {
    /// Design that the others are measured against; default the one called `current`, else the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// Histories that every design is run over: a generated workload with so many seeds, a trace as so many
    /// rearrangements of its blocks. Figures then have intervals. Default 1: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100000))]
    pub replicas: Option<u32>,
    /// Length of a trace's blocks in days; default 7 where the trace has at least 8 weeks, else 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_days: Option<f64>,
    /// Confidence of intervals; default 0.95.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// What of the beginning counts in no wait, because the machine starts empty; default nothing: waits are over
    /// the whole horizon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<WarmUpTable>,
}

/// What of the beginning counts in no wait.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WarmUpTable {
    /// Jobs submitted in the first so many hours run, and count in no wait, turnaround or slowdown. They count in
    /// utilization, hours and cost. 0 = the whole horizon.
    pub remove_hours: f64,
}

/// How far to trust the results.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TrustTable {
    /// A `backtest.json` of `windtunnel backtest --out DIR`, relative to the scenario file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backtest: Option<String>,
}

/// Points of a sweep: every combination of the `grid`, once for each row of the `list`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SweepTable {
    /// Axes: a setting's path as for `--set`, in quotes, and the values that it takes. All combinations are run.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub grid: Named<Vec<SweepValue>>,
    /// Settings that go together: a row holds paths in quotes with one value each. Without rows the grid is
    /// run once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub list: Vec<Named<SweepValue>>,
}

/// A value of a setting; what it must be depends on the setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SweepValue(#[schemars(with = "serde_json::Value")] pub toml::Value);

/// JSON Schema of a scenario file, for editors that complete and check TOML.
///
/// # Panics
/// Never: a schema is an object.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(ScenarioFile).to_value();
    without_null(&mut schema);
    schema
}

/// TOML has no null: an optional setting is left out, so the schema of its value does not allow null.
fn without_null(schema: &mut serde_json::Value) {
    use serde_json::Value;
    let is_null = |value: &Value| value == "null" || value.get("type").is_some_and(|kind| kind == "null");
    match schema {
        Value::Object(object) => {
            if let Some(Value::Array(kinds)) = object.get_mut("type") {
                kinds.retain(|kind| !is_null(kind));
                if let [only] = kinds.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
                choices.retain(|choice| !is_null(choice));
                if let [Value::Object(only)] = choices.as_slice() {
                    let only = only.clone();
                    object.remove("anyOf");
                    object.extend(only);
                }
            }
            object.values_mut().for_each(without_null);
        }
        Value::Array(rows) => rows.iter_mut().for_each(without_null),
        _ => {}
    }
}

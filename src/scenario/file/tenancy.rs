//! Containers on shared hosts and virtual machines, and who may use which pool.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether hosts are dedicated to a tenant as jobs come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Dedicated {
    /// Jobs of all tenants share hosts.
    None,
    /// An empty host takes anybody's jobs; one with jobs takes only those of the same tenant.
    Host,
}

/// Containers on hosts that jobs share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ContainersTable {
    /// MIG on the GPUs; default off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mig: Option<super::Mig>,
    /// Layouts of a node's GPUs, the first GPUs first; with `dynamic` and `planned` those at the beginning
    /// (default: MIG off until an instance is wanted).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mig_layouts: Option<Vec<super::MigLayoutTable>>,
    /// Whether a node must be empty before layouts on it change, as mig-parted needs; only with `planned`;
    /// default false: only the slices concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mig_whole_node: Option<bool>,
    /// Seconds that an instance stays after its job, before it may be destroyed; with `planned` the least time
    /// between two plans; default 60.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mig_keep_s: Option<f64>,
    /// Seconds to destroy or create one instance; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mig_instance_s: Option<f64>,
    /// Seconds to switch MIG on or off on a GPU; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mig_mode_s: Option<f64>,
    /// Seconds to change the layouts of an empty node; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mig_node_s: Option<f64>,
    /// Which requests that name no profile get an instance; default share-or-memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mig_for: Option<super::MigFor>,
    /// Sharing of GPUs in thousandths; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sharing: Option<super::Sharing>,
    /// What jobs on one GPU do to each other; default saturation for mps, fixed-share for time-slices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub co_location: Option<super::CoLocation>,
    /// Loss of speed for each further job on a GPU under `saturation`; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub co_location_loss: Option<f64>,
    /// What the pool's own jobs do to each other on a host; default typical.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contention: Option<ContentionLevel>,
    /// What strangers on the hosts do; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<NoiseTable>,
    /// Start of a container for each job; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot: Option<BootTable>,
    /// Planned work on the hosts, one after the other; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<MaintenanceTable>,
    /// Failures of hosts, which take all jobs on them along; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<super::FailuresTable>,
    /// Snapshots of running jobs, from which they go on after a failure; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<SnapshotsTable>,
    /// What happens to a job that has run for its limit; default run-on; kill with `cut-at-limit` and under Slurm's policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_limit: Option<AtLimit>,
}

/// Virtual machines.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct VmTable {
    /// How the GPU reaches the VM; default passthrough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<VmAccess>,
    /// Default kvm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hypervisor: Option<Hypervisor>,
    /// Who gets the GPU when, among time-sliced vGPUs; default best-effort.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slices: Option<SliceScheduler>,
    /// Into how many equal vGPUs a GPU is cut that are time-sliced; needed for fixed-share; default: as large as
    /// jobs ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 20))]
    pub vgpus_per_gpu: Option<u16>,
    /// Length of a time slice in milliseconds, 1 to 30; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slice_ms: Option<f64>,
    /// Length of a burst of work in milliseconds, for the wait for others' slices that is reported; default 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst_ms: Option<f64>,
    /// MIG inside the VMs, on GPUs passed through; default off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mig: Option<super::Mig>,
    /// Layouts of a host's GPUs for MIG-backed vGPUs; of a VM's GPUs with `mig`, as on bare metal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mig_layouts: Option<Vec<super::MigLayoutTable>>,
    /// Whether a node must be empty before layouts on it change, as mig-parted needs; only with `planned`;
    /// default false: only the slices concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mig_whole_node: Option<bool>,
    /// Seconds that an instance stays after its job, before it may be destroyed; with `planned` the least time
    /// between two plans; default 60.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mig_keep_s: Option<f64>,
    /// Seconds to destroy or create one instance; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mig_instance_s: Option<f64>,
    /// Seconds to switch MIG on or off on a GPU; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mig_mode_s: Option<f64>,
    /// Seconds to change the layouts of an empty node; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mig_node_s: Option<f64>,
    /// Which requests that name no profile get an instance; default share-or-memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mig_for: Option<super::MigFor>,
    /// Sharing of GPUs passed through, in thousandths, inside the VMs; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sharing: Option<super::Sharing>,
    /// What jobs on one GPU do to each other; default saturation for mps, fixed-share for time-slices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub co_location: Option<super::CoLocation>,
    /// Loss of speed for each further job on a GPU under `saturation`; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub co_location_loss: Option<f64>,
    /// How the network reaches the VM; default sr-iov.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nic: Option<VmNic>,
    /// Whether the GPUs of a VM reach each other over NVLink; default as the access method allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nvlink: Option<bool>,
    /// Whether GPUs read storage directly (GPUDirect Storage); default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpudirect_storage: Option<bool>,
    /// Size of a VM; default a whole host. VMs are packed on the hosts of the pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<VmShapeTable>,
    /// Virtual CPUs for each physical one; default 1. Beyond 1 the host share of jobs is stretched while more
    /// are at work than there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_overcommit: Option<f64>,
    /// Memory promised for each byte there is; default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_overcommit: Option<f64>,
    /// What the pool's own jobs do to each other on a host; default typical.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contention: Option<ContentionLevel>,
    /// What the access method costs; default typical factors of the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overhead: Option<OverheadTable>,
    /// What strangers on the hosts do; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<NoiseTable>,
    /// A VM booted for each job; default: VMs stand ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot: Option<BootTable>,
    /// VMs come and go with the queue; default: `count` hosts of them always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elastic: Option<ElasticTable>,
    /// Planned work on the hosts, one after the other; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<MaintenanceTable>,
    /// Failures of hosts, which take all jobs on them along; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<super::FailuresTable>,
    /// Snapshots of running jobs, from which they go on after a failure; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<SnapshotsTable>,
    /// What happens to a job that has run for its limit; default run-on; kill with `cut-at-limit` and under Slurm's policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_limit: Option<AtLimit>,
}

/// How a GPU reaches a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VmAccess {
    /// PCI passthrough: the GPU belongs to the VM.
    Passthrough,
    /// A vGPU with the whole frame buffer.
    VgpuFull,
    /// vGPUs that take turns on a GPU; jobs ask for theirs by `gpu_milli`.
    VgpuTimeSliced,
    /// vGPUs on the MIG instances of a fixed layout.
    VgpuMig,
}

impl VmAccess {
    /// The word of scenarios and of the catalogue.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Passthrough => "passthrough",
            Self::VgpuFull => "vgpu-full",
            Self::VgpuTimeSliced => "vgpu-time-sliced",
            Self::VgpuMig => "vgpu-mig",
        }
    }
}

/// What runs the VMs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Hypervisor {
    /// KVM.
    Kvm,
    /// VMware ESXi.
    Esxi,
    /// Hyper-V.
    HyperV,
}

impl Hypervisor {
    /// The word of scenarios and of the catalogue.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Esxi => "esxi",
            Self::HyperV => "hyper-v",
        }
    }
}

/// Who gets the GPU when, among time-sliced vGPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SliceScheduler {
    /// Whoever has work: idle time of others is lent.
    BestEffort,
    /// Equal turns of those that are there.
    EqualShare,
    /// The share of the vGPU's size, whether others use theirs or not.
    FixedShare,
}

/// How the network reaches a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VmNic {
    /// A virtual function, or a whole adapter, passed through.
    SrIov,
    /// An adapter of the hypervisor.
    Paravirtual,
}

impl VmNic {
    /// The word of scenarios and of the catalogue.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::SrIov => "sr-iov",
            Self::Paravirtual => "paravirtual",
        }
    }
}

/// Size of a VM.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct VmShapeTable {
    /// Virtual CPUs.
    #[schemars(range(min = 1))]
    pub cpus: u32,
    /// Memory in MiB.
    #[schemars(range(min = 1))]
    pub mem_mb: u64,
    /// Whole GPUs; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 64))]
    pub gpus: Option<u32>,
    /// vGPUs, at most as many as the host has GPUs: with time slices each is a `vgpus-per-gpu`-th of a GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub vgpus: Option<u32>,
    /// Profile of the instances that MIG-backed vGPUs are; each GPU is cut into as many as it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mig_profile: Option<String>,
}

/// How much jobs on one host do to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ContentionLevel {
    /// Nothing.
    Off,
    /// The lowest plausible losses of the catalogue.
    Low,
    /// The typical ones.
    Typical,
    /// The highest plausible ones.
    High,
}

/// Which values of the catalogue's ranges jobs meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OverheadLevel {
    /// The lowest plausible.
    Low,
    /// The typical.
    Typical,
    /// The highest plausible.
    High,
    /// Drawn for each job from triangular distributions.
    Drawn,
}

/// What the access method costs: factors on the shares of a job's time, at least 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OverheadTable {
    /// Which values of the catalogue; default typical.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<OverheadLevel>,
    /// Own factor on arithmetic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compute: Option<f64>,
    /// Own factor on GPU memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_memory: Option<f64>,
    /// Own factor on CPUs, host memory and copies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<f64>,
    /// Own factor on communication inside a node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intra_node: Option<f64>,
    /// Own factor on communication between nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inter_node: Option<f64>,
    /// Own factor on input and output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<f64>,
}

/// What strangers on a host do: quiet and busy epochs, each host for itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct NoiseTable {
    /// Coefficient of variation of the run times of short jobs on one host; default from the catalogue; 0 =
    /// none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cv: Option<f64>,
    /// Share of the time that a host is busy; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy_share: Option<f64>,
    /// Mean length of an epoch in seconds; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dwell_s: Option<f64>,
    /// Shape of the gamma distribution of epochs; default 1 (exponential).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dwell_shape: Option<f64>,
    /// Standard deviation of the logarithm of the busy level; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread: Option<f64>,
}

/// How long something takes to stand ready: triangular from low to high.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BootTable {
    /// Shortest, in seconds; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low_s: Option<f64>,
    /// Most likely, in seconds; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typical_s: Option<f64>,
    /// Longest, in seconds; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high_s: Option<f64>,
}

/// VMs that come and go with the queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ElasticTable {
    /// VMs that always run; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<u32>,
    /// Most VMs at once; default all that the hosts hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// VMs that the provider grants; default `max`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<u32>,
    /// Most VMs ordered at once; default all that are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub step: Option<u32>,
    /// Seconds that the first waiting job has waited before VMs are ordered; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out_after_s: Option<f64>,
    /// Seconds that a VM is idle before it is given back; default 600.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_after_s: Option<f64>,
    /// Least seconds between two orders; default 60.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cool_down_s: Option<f64>,
    /// From the order to the first job; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot: Option<BootTable>,
    /// Share of orders that fail, at the end of their boot time; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<f64>,
    /// Seconds from a failure to the next order of that VM; default 60.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_s: Option<f64>,
}

/// Planned work on the hosts, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MaintenanceTable {
    /// Days in which each host is due once.
    pub every_days: f64,
    /// Hours that it takes.
    pub hours: f64,
    /// Whether VMs are migrated live instead of letting their jobs run out; default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_migration: Option<bool>,
    /// Seconds that a migrated VM stands still; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stun_s: Option<f64>,
}

/// Snapshots of running jobs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SnapshotsTable {
    /// Running time from one to the next, in seconds; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_s: Option<f64>,
    /// Seconds for which the job stands still; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub takes_s: Option<f64>,
    /// Seconds to go on from one; default from the catalogue. With `store` what passes beside the reading of it; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore_s: Option<f64>,
    /// Store that they are written to, by the name of a `[design.NAME.store.NAME]` table: then the job stands still for
    /// as long as that takes beside others, not for `takes-s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// GB of a snapshot for each GPU of a job, where the trace has no `checkpoint_gb`; default from the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gb_per_gpu: Option<f64>,
    /// Whether a job stands still until the store has all of a snapshot; default sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<SnapshotMode>,
    /// GB per second at which a node copies its part aside with `mode = "async"`; default 25.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_gb_s: Option<f64>,
    /// How often: as `every-s` says, or by the optimum for the failures of the hosts; default fixed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<SnapshotInterval>,
}

/// Whether a job waits for its snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotMode {
    /// Until the store has all of it.
    Sync,
    /// Until it is copied aside; it is written while the job goes on.
    Async,
}

/// How often a job writes a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotInterval {
    /// As `every-s` says, or the trace's `checkpoint_interval_s`.
    Fixed,
    /// By Young's optimum for the failures of the job's hosts.
    Young,
    /// By Daly's.
    Daly,
}

/// What happens to a job that has run for its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AtLimit {
    /// It goes on: slower hosts do not cost it its work.
    RunOn,
    /// It is killed.
    Kill,
}

/// What a class of jobs is made of on bare metal, and what it uses of its host; what is left out comes from
/// the catalogue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct JobSharesTable {
    /// Share of arithmetic on one GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compute: Option<f64>,
    /// Share of GPU memory on one GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_memory: Option<f64>,
    /// Share of CPUs, host memory and copies on one GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<f64>,
    /// Share of input and output on one GPU; the four sum to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<f64>,
    /// Share of communication inside a node with 8 GPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intra_node_at_8: Option<f64>,
    /// Share of communication between 8 nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inter_node_at_8: Option<f64>,
    /// Share of the communication between nodes that is hidden behind other work when a job runs alone, where a pool
    /// has a `fabric`; default 0.25.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<f64>,
    /// How it sends between nodes, where a pool has a `fabric` and `training` is not written; default ring.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic: Option<super::Traffic>,
    /// How its model is split, from which follows what it sends between nodes, where a pool has a `fabric`; default: its
    /// share of the time says that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training: Option<super::TrainingTable>,
    /// Use of the host's memory bandwidth, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bandwidth: Option<f64>,
    /// Use of its last-level cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<f64>,
    /// Use of its PCIe links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pcie: Option<f64>,
    /// Use of its network adapters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nic: Option<f64>,
}

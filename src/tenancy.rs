//! What an allocation delivers: bare metal, containers on shared hosts, virtual machines.
//!
//! ```text
//!   class, size --> shares of the run time --x factors of the access method--> virtualization
//!                                          --x load of the neighbours--------> caused noise
//!   host        --semi-Markov process----------------------------------------> residual noise
//! ```
//!
//! A job's reference time is split into six [`Share`]s; each is stretched by the factor that the access
//! method has for it ([`Overhead`]). What other jobs on a host do to it ([`Contention`]) and what strangers
//! do ([`Noise`]) are factors of each host; a synchronous job runs at its slowest host. All factors are at
//! least 1: nothing here is faster than the same allocation on bare metal, alone.
//!
//! This room knows nothing of queues, events, or files. What may be combined with what is decided by the
//! scenario, from the rows of the catalogue.
//!
//! Invariants: a draw depends on (seed, job) or (seed, ordinal of the host among the hosts of its tenancy
//! kind) and on nothing of the design; the same input gives the same bits on every machine.

pub mod contention;
pub mod failures;
pub mod network;
pub mod noise;
pub mod overhead;
pub mod slices;
pub mod span;
pub mod track;

pub use contention::{Contention, Resource, Uses};
pub use failures::{
    BadHosts, Bursts, Cause, Failure, FailureLevel, Failures, RepairLaw, RepairStages, UpLaw,
};
pub use network::{GpuLinks, LinkSpell, Network, OnNetwork, Sends, Trained, TrainedStep};
pub use noise::{HostNoise, Noise, NoiseSpec, Uncalibratable};
pub use overhead::{ClassShares, Level, Overhead, Pick, Range, Share, Shares};
pub use slices::{Company, SliceOrder, Slices};
pub use span::SpanLaw;
pub use track::{Epoch, NoiseTrack};

use rustc_hash::FxHashMap;

use crate::ids::{IdVec, JobId, PoolId};
use crate::time::SimDuration;

/// How jobs get at the hardware of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Jobs run on the nodes themselves.
    BareMetal,
    /// Containers on shared hosts.
    Containers,
    /// Virtual machines.
    Vm,
}

impl Kind {
    /// The word of scenarios.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::BareMetal => "bare-metal",
            Self::Containers => "containers",
            Self::Vm => "vm",
        }
    }
}

/// How VMs lie on the hosts of a pool: node `n` of the pool is a VM on its host `n / per_host`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// VMs on each host; 1 where a node is its own host.
    pub per_host: u32,
    /// CPUs of each VM.
    pub vcpus: u32,
    /// Physical CPUs of a host.
    pub cpus: u32,
    /// GPUs of a host.
    pub gpus: u32,
    /// What of a host's GPUs no VM of the shape can have, in units of 1/21,000 GPU.
    pub units_left: u32,
    /// vGPUs of each VM; `None` = its GPUs are whole.
    pub vgpus: Option<VgpuShape>,
}

/// The vGPUs of a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VgpuShape {
    /// How many.
    pub per_vm: u32,
    /// What each is of a GPU, in units of 1/21,000 GPU.
    pub units: u32,
}

impl Packing {
    /// Whether the VMs of a host have more CPUs than the host.
    #[must_use]
    pub fn overcommits(&self) -> bool {
        u64::from(self.per_host) * u64::from(self.vcpus) > u64::from(self.cpus)
    }
}

/// What each job waits for on its nodes before it runs: the boot of its VM, the start of its container.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Start {
    /// Nothing: what it runs on stands ready.
    #[default]
    Standing,
    /// As long as drawn for the job.
    PerJob(SpanLaw),
}

/// A pool that grows and shrinks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Elastic {
    /// VMs that always run.
    pub min: u32,
    /// Most VMs at once, and most that the quota allows.
    pub max: u32,
    /// Most VMs started at once.
    pub step: u32,
    /// A job has waited so long before VMs are started for it.
    pub out_after: SimDuration,
    /// A VM is idle so long before it is given back.
    pub in_after: SimDuration,
    /// Least time between two decisions to start VMs.
    pub cool_down: SimDuration,
    /// From the order to the first job.
    pub boot: SpanLaw,
    /// Share of orders that fail (at the end of their boot time).
    pub failure: f64,
    /// Time from a failure to the next order for that VM.
    pub retry: SimDuration,
}

/// Planned work on the hosts, one after the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Maintenance {
    /// Each host is due once in this time; hosts are spread evenly over it.
    pub every: SimDuration,
    /// How long it takes.
    pub duration: SimDuration,
    /// Time for which a migrated VM stands still; `None` = its jobs run out first (a drain).
    pub stun: Option<SimDuration>,
}

/// Hosts of a pool that are kept back for others that fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spares {
    /// Those that stand by: one takes the place of a host at once.
    pub standby: u32,
    /// Those that are lent to others meanwhile, and are taken back where no standby is left.
    pub lent: u32,
    /// How long that takes.
    pub back_after: SimDuration,
}

/// Snapshots of running jobs, from which they go on after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshots {
    /// Running time from one to the next.
    pub every: SimDuration,
    /// Time for which the job stands still.
    pub takes: SimDuration,
    /// Time to go on from one.
    pub restore: SimDuration,
    /// Where they are written, if that takes as long as others let it; `None` = it takes `takes`.
    pub store: Option<StoreUse>,
}

/// How the jobs of a pool write their snapshots to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreUse {
    /// Its number in the design.
    pub store: u32,
    /// Most bytes per second that one node sends or fetches.
    pub node_bytes_s: u64,
    /// Size of a snapshot for each GPU of a job that does not say its own.
    pub bytes_per_gpu: u64,
    /// Bytes per second at which a node copies its part aside, so that the job goes on while it is written; `None` =
    /// it stands still until the store has all of it.
    pub copy_bytes_s: Option<u64>,
    /// How often.
    pub interval: Interval,
}

impl StoreUse {
    /// Seconds that a snapshot of so many bytes from so many hosts takes on a store, nobody else writing.
    #[must_use]
    pub fn dump_s(&self, bytes: f64, hosts: u32, store: &StoreRates) -> f64 {
        self.takes_s(bytes, hosts, (store.write_bytes_s, store.is_local))
    }

    /// Seconds that it takes to read one back, nobody else reading.
    #[must_use]
    pub fn restore_s(&self, bytes: f64, hosts: u32, store: &StoreRates) -> f64 {
        self.takes_s(bytes, hosts, (store.read_bytes_s, store.is_local))
    }

    fn takes_s(&self, bytes: f64, hosts: u32, (bytes_s, is_local): (f64, bool)) -> f64 {
        let each = self.node_bytes_s as f64;
        let rate = if is_local {
            each.min(bytes_s) * f64::from(hosts)
        } else {
            (each * f64::from(hosts)).min(bytes_s)
        };
        bytes / rate
    }
}

/// How fast a store is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StoreRates {
    /// Bytes per second that all writers share; of each node, if it is local.
    pub write_bytes_s: f64,
    /// The same of readers.
    pub read_bytes_s: f64,
    /// Whether each node has one of its own, and what is on it goes with the node.
    pub is_local: bool,
}

/// How the jobs of a pool read their data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataUse {
    /// The number of the store.
    pub store: u32,
    /// Most bytes per second that one node fetches.
    pub node_bytes_s: u64,
    /// Bytes per second that a job read for each of its GPUs, while it read, where its run time was recorded.
    pub gpu_bytes_s: u64,
}

/// How often a job writes a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// As written.
    Fixed,
    /// By the first-order optimum for the failures of its hosts (Young 1974).
    Young,
    /// By the higher-order one (Daly 2006).
    Daly,
}

/// What a job says itself of its snapshots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnSnapshots {
    /// Size.
    pub bytes: Option<u64>,
    /// Running time from one to the next.
    pub every: Option<SimDuration>,
}

/// The tenancy of a pool.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolTenancy {
    /// Its kind.
    pub kind: Kind,
    /// In words, for reports: `vm, passthrough, kvm`.
    pub words: String,
    /// What the access method costs.
    pub overhead: Overhead,
    /// What strangers on the hosts cost.
    pub noise: Option<Noise>,
    /// What the pool's own jobs do to each other.
    pub contention: Option<Contention>,
    /// VMs on hosts; `None` = nodes are hosts.
    pub packing: Option<Packing>,
    /// What a job waits for.
    pub start: Start,
    /// Growing and shrinking.
    pub elastic: Option<Elastic>,
    /// Planned work.
    pub maintenance: Option<Maintenance>,
    /// Failures of hosts.
    pub failures: Option<Failures>,
    /// Hosts that are kept back for those that fail.
    pub spares: Option<Spares>,
    /// Snapshots of jobs.
    pub snapshots: Option<Snapshots>,
    /// Where jobs read their data; `None` = that takes as long as recorded.
    pub data: Option<DataUse>,
    /// Time slices of its GPUs.
    pub slices: Option<Slices>,
    /// Whether jobs are killed when they have run for their limit.
    pub kills_at_limit: bool,
    /// The network between its hosts; `None` = it costs nothing.
    pub network: Option<OnNetwork>,
}

impl PoolTenancy {
    /// Bare metal, alone, for ever.
    #[must_use]
    pub fn bare_metal() -> Self {
        Self {
            kind: Kind::BareMetal,
            words: Kind::BareMetal.word().to_owned(),
            overhead: Overhead::NONE,
            noise: None,
            contention: None,
            packing: None,
            start: Start::Standing,
            elastic: None,
            maintenance: None,
            failures: None,
            spares: None,
            snapshots: None,
            data: None,
            slices: None,
            kills_at_limit: false,
            network: None,
        }
    }

    /// Whether nothing but the constant factor of the access method stands between a job and its node: all that
    /// preemptive policies know.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        Self { overhead: Overhead::NONE, ..self.clone() }.is_plain()
    }

    /// Whether jobs run here as on bare metal, alone.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.overhead == Overhead::NONE
            && self.noise.is_none()
            && self.contention.is_none()
            && self.start == Start::Standing
            && self.elastic.is_none()
            && self.maintenance.is_none()
            && self.failures.is_none()
            && self.spares.is_none()
            && self.snapshots.is_none()
            && self.data.is_none()
            && !self.kills_at_limit
            && self.network.is_none()
            && !self.packing.is_some_and(|packing| packing.overcommits())
    }
}

/// What a class of jobs is made of, and what it uses of its host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassProfile {
    /// Shares of its reference time.
    pub shares: ClassShares,
    /// Use of the resources of its host.
    pub uses: Uses,
    /// Share of its communication between nodes that it hides behind other work when it runs alone.
    pub overlap: f64,
    /// Whether each of its GPUs sends to each, not in rings.
    pub all_to_all: bool,
    /// What it sends, where that is known; else its share of the time says how much.
    pub trained: Option<Trained>,
}

/// Speed in parts of 10^9 of a job that takes `slowdown` times as long; never zero.
#[must_use]
pub fn parts_of(slowdown: f64) -> u64 {
    const ONE: u64 = 1_000_000_000;
    (libm::round(1.0 / slowdown * ONE as f64) as u64).clamp(1, ONE)
}

/// The tenancies of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunTenancy {
    /// By pool.
    pub pools: IdVec<PoolId, PoolTenancy>,
    /// Profiles that jobs have.
    pub profiles: Vec<ClassProfile>,
    /// Which one each job has.
    pub profile_of: IdVec<JobId, u16>,
    /// Bytes per second of what stood for one GPU on the network where run times were recorded.
    pub recorded_bytes_s: f64,
    /// The stores of the design.
    pub stores: Vec<StoreRates>,
    /// What jobs say themselves of their snapshots, where there are stores.
    pub own_snapshots: FxHashMap<JobId, OwnSnapshots>,
}

impl RunTenancy {
    /// Bare metal, alone, for ever, in so many pools for so many jobs.
    #[must_use]
    pub fn bare_metal(pools: usize, jobs: usize) -> Self {
        let shares = ClassShares {
            compute: 1.0,
            gpu_memory: 0.0,
            host: 0.0,
            storage: 0.0,
            intra_at_8: 0.0,
            inter_at_8: 0.0,
        };
        Self {
            pools: IdVec::filled(pools, PoolTenancy::bare_metal()),
            profiles: vec![ClassProfile {
                shares,
                uses: Uses::default(),
                overlap: 0.0,
                all_to_all: false,
                trained: None,
            }],
            profile_of: IdVec::filled(jobs, 0),
            recorded_bytes_s: 1.0,
            stores: Vec::new(),
            own_snapshots: FxHashMap::default(),
        }
    }

    /// Speed of a job with so many GPUs on so many nodes of a pool, alone there, in parts of 10^9 of that on bare
    /// metal; never zero.
    #[must_use]
    pub fn delivered(&self, job: JobId, pool: PoolId, (gpus, nodes): (u32, u32), seed: u64) -> u64 {
        let shares = self.shares(job, pool, (gpus, nodes));
        parts_of(self.pools[pool].overhead.slowdown(&shares, seed, job))
    }

    /// What the time of a job with so many GPUs on so many nodes of a pool is made of.
    #[must_use]
    pub fn shares(&self, job: JobId, pool: PoolId, (gpus, nodes): (u32, u32)) -> Shares {
        let profile = self.profile(job);
        match self.trained_step(job, pool, (gpus, nodes)) {
            Some(step) => profile.shares.with_inter(gpus, nodes, step.share()),
            None => profile.shares.at(gpus, nodes),
        }
    }

    /// The step of a job there, where it is known what it sends.
    #[must_use]
    pub fn trained_step(&self, job: JobId, pool: PoolId, (gpus, nodes): (u32, u32)) -> Option<TrainedStep> {
        let profile = self.profile(job);
        let (trained, on) = (profile.trained?, self.pools[pool].network.as_ref()?);
        let each = gpus / nodes.max(1);
        if each == 0 { None } else { trained.step(on, self.recorded_bytes_s, (gpus, each), profile.overlap) }
    }

    /// The profile of a job.
    #[must_use]
    pub fn profile(&self, job: JobId) -> &ClassProfile {
        &self.profiles[usize::from(self.profile_of[job])]
    }
}

//! One design, resolved: its cluster, what runs on it, what its nodes and stores do, and what it costs.

use std::sync::Arc;

use super::{EventKind, PoolTerms, SpeedupSpec};
use crate::cluster::ClusterSpec;
use crate::cost::{Line, WaitPrice};
use crate::ids::NodeId;
use crate::money::Money;
use crate::scheduler::shared::SharedSetup;
use crate::scheduler::slurm::config::SlurmConfig;
use crate::tenancy::ClassProfile;
use crate::tenancy::StoreRates;
use crate::time::SimDuration;

/// A cluster as it could be bought.
#[derive(Clone, Debug, PartialEq)]
pub struct Design {
    /// Name in the scenario, also of files: letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// Name for tables and reports.
    pub label: String,
    /// Its hardware, pools in declared order.
    pub cluster: ClusterSpec,
    /// What goes with each pool of `cluster`, in the same order.
    pub pools: Vec<PoolTerms>,
    /// The site as Slurm sees it, where the policy is Slurm's: its nodes are those of `cluster`, in order.
    pub slurm: Option<Box<SlurmConfig>>,
    /// How fast jobs run here that ran on other GPUs.
    pub speedup: SpeedupSpec,
    /// How the GPUs of each pool are given out, and how fast jobs run on parts of them.
    pub sharing: SharedSetup,
    /// Whether it gives out parts of GPUs, or its policy places them. Hours mean the same in designs that do and
    /// in those that do not: device time in the same units, a part counted as its part of the GPU.
    pub shares_gpus: bool,
    /// Which jobs go to which pools; the first rule that matches counts.
    pub routes: Vec<RouteSpec>,
    /// Nodes that go out of order.
    pub events: Vec<EventSpec>,
    /// Whether some of them come from a file of outages.
    pub has_outages: bool,
    /// Nodes that are kept free.
    pub reservations: Vec<ReservationSpec>,
    /// What classes of jobs are made of, by lower-case name; the first is for all others.
    pub profiles: Arc<Vec<(String, ClassProfile)>>,
    /// Bytes per second of the adapter that stood for one GPU on the network where run times were recorded.
    pub recorded_bytes_s: f64,
    /// Stores that snapshots are written to.
    pub stores: Vec<StoreSpec>,
    /// What it costs beside its pools.
    pub money: DesignMoney,
    /// Jobs submitted in the first so much of the horizon count in no wait.
    pub warm_up: SimDuration,
}

/// A store that snapshots are written to.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreSpec {
    /// Its name.
    pub name: String,
    /// How fast it is.
    pub rates: StoreRates,
    /// Bytes that fit in; `None` = no end.
    pub capacity_bytes: Option<f64>,
}

/// Jobs that meet all conditions, and the pools where they may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteSpec {
    /// Its name.
    pub name: String,
    /// Class, exactly; this and the next where `Some`.
    pub class: Option<String>,
    /// User.
    pub user: Option<String>,
    /// Account.
    pub account: Option<String>,
    /// Tenant.
    pub tenant: Option<String>,
    /// Partition.
    pub partition: Option<String>,
    /// QOS.
    pub qos: Option<String>,
    /// Fewest and most GPUs.
    pub gpus: (u64, u64),
    /// Shortest and longest limit.
    pub limit: (SimDuration, SimDuration),
    /// A deadline at most so long after the submission.
    pub deadline_within: Option<SimDuration>,
    /// Pools of the design, by position.
    pub pools: Vec<usize>,
    /// Pools where they may run as well, and the wait that is too long.
    pub spill: Option<(Vec<usize>, SimDuration)>,
}

/// Nodes that are out of order for a while; times count from the first submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSpec {
    /// The nodes.
    pub nodes: Vec<NodeId>,
    /// Begin.
    pub from: SimDuration,
    /// End.
    pub until: SimDuration,
    /// What becomes of the jobs there.
    pub kind: EventKind,
}

/// Nodes that are kept free for a while; times count from the first submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservationSpec {
    /// Name by which jobs ask for it.
    pub name: Option<String>,
    /// The nodes.
    pub nodes: Vec<NodeId>,
    /// Begin.
    pub from: SimDuration,
    /// End.
    pub until: SimDuration,
    /// Users who may use it; with no accounts either, nobody.
    pub users: Vec<String>,
    /// Accounts that may.
    pub accounts: Vec<String>,
    /// Licences of the site that it keeps, with counts.
    pub licences: Vec<(String, u32)>,
}

/// What a design costs beside its pools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DesignMoney {
    /// Lines of its quote that are about no pool.
    pub lines: Vec<Line>,
    /// What moving to it costs, once.
    pub migration: Money,
    /// Price of waiting.
    pub waiting: WaitPrice,
}

//! Accounts, users, QOS and limits: the contents of the accounting database.

use std::collections::BTreeMap;

use smallvec::SmallVec;

/// An association, by position in [`Accounting::assocs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AssocId(pub u32);

/// A QOS, by position in [`Accounting::qos`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QosId(pub u32);

/// The trackable resources of a site: what amounts and limits count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TresTable {
    /// Names as Slurm writes them (`cpu`, `mem`, `node`, `billing`, `gres/gpu`, `gres/gpu:h100`, ...).
    pub names: Vec<String>,
}

impl TresTable {
    /// Index of `cpu`.
    pub const CPU: usize = 0;
    /// Index of `mem` (MiB).
    pub const MEM: usize = 1;
    /// Index of `node`.
    pub const NODE: usize = 2;
    /// Index of `billing`.
    pub const BILLING: usize = 3;
    /// Index of `gres/gpu`.
    pub const GPU: usize = 4;

    /// Index of a TRES by name, which is added if it is new.
    pub fn index(&mut self, name: &str) -> usize {
        let name = name.to_ascii_lowercase();
        self.names.iter().position(|n| *n == name).unwrap_or_else(|| {
            self.names.push(name);
            self.names.len() - 1
        })
    }
}

impl Default for TresTable {
    fn default() -> Self {
        Self { names: ["cpu", "mem", "node", "billing", "gres/gpu"].map(str::to_owned).to_vec() }
    }
}

/// Amounts by TRES index; what is missing at the end is zero.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Tres(pub SmallVec<[u64; 6]>);

impl Tres {
    /// The amount of one TRES.
    #[must_use]
    pub fn get(&self, at: usize) -> u64 {
        self.0.get(at).copied().unwrap_or(0)
    }

    /// Sets the amount of one TRES.
    pub fn set(&mut self, at: usize, amount: u64) {
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        self.0[at] = amount;
    }

    /// Adds all amounts of `other`.
    pub fn add(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine += theirs;
        }
    }

    /// Takes all amounts of `other` away.
    ///
    /// # Panics
    /// If more is taken than is there: usage is taken back exactly once.
    pub fn take(&mut self, other: &Self) {
        for (at, theirs) in other.0.iter().enumerate() {
            if *theirs > 0 {
                self.0[at] = self.0[at].checked_sub(*theirs).expect("usage is taken back exactly once");
            }
        }
    }
}

/// Limits that an association or a QOS can have; absent = no limit.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Limits {
    /// `GrpTRES`: (TRES index, amount).
    pub grp_tres: Vec<(usize, u64)>,
    /// `GrpJobs`.
    pub grp_jobs: Option<u32>,
    /// `GrpSubmitJobs`.
    pub grp_submit: Option<u32>,
    /// `MaxTRESPerJob` (association: `MaxTRES`).
    pub max_tres_per_job: Vec<(usize, u64)>,
    /// `MaxTRESPerNode`.
    pub max_tres_per_node: Vec<(usize, u64)>,
    /// `GrpTRESMins`: minutes of each TRES.
    pub grp_tres_mins: Vec<(usize, u64)>,
    /// `GrpTRESRunMins`.
    pub grp_tres_run_mins: Vec<(usize, u64)>,
    /// `MaxTRESMinsPerJob` (association: `MaxTRESMins`).
    pub max_tres_mins_per_job: Vec<(usize, u64)>,
    /// `MinTRESPerJob` (QOS).
    pub min_tres_per_job: Vec<(usize, u64)>,
    /// `MaxTRESPerUser` (QOS).
    pub max_tres_per_user: Vec<(usize, u64)>,
    /// `MaxTRESPerAccount` (QOS).
    pub max_tres_per_account: Vec<(usize, u64)>,
    /// `MaxJobsPerUser` (QOS), `MaxJobs` (association).
    pub max_jobs: Option<u32>,
    /// `MaxJobsPerAccount` (QOS).
    pub max_jobs_per_account: Option<u32>,
    /// `MaxSubmitJobsPerUser` (QOS), `MaxSubmitJobs` (association).
    pub max_submit: Option<u32>,
    /// `MaxSubmitJobsPerAccount` (QOS).
    pub max_submit_per_account: Option<u32>,
    /// `MaxWallDurationPerJob` in minutes.
    pub max_wall_min: Option<u32>,
}

/// `Flags` of a QOS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct QosFlags {
    /// `DenyOnLimit`: refused at submission instead of pending.
    pub deny_on_limit: bool,
    /// `NoReserve`: no backfill reservation.
    pub no_reserve: bool,
    /// `PartitionMaxNodes`: the partition's `MaxNodes` does not count.
    pub partition_max_nodes: bool,
    /// `PartitionMinNodes`: the partition's `MinNodes` does not count.
    pub partition_min_nodes: bool,
    /// `PartitionTimeLimit`: the partition's `MaxTime` does not count.
    pub partition_time_limit: bool,
    /// `NoDecay`: the TRES minutes that it has used do not decay.
    pub no_decay: bool,
    /// `OverPartQOS`: its limits count before those of the partition's QOS.
    pub over_part_qos: bool,
}

/// One QOS.
#[derive(Clone, Debug, PartialEq)]
pub struct Qos {
    /// Name.
    pub name: String,
    /// `Priority` (man: 0).
    pub priority: u32,
    /// `UsageFactor` (man: 1).
    pub usage_factor: f64,
    /// `Preempt`: the QOS that jobs of this one may preempt.
    pub preempt: Vec<QosId>,
    /// `PreemptMode` of the QOS; `None` = the cluster's.
    pub preempt_mode: Option<super::PreemptMode>,
    /// `GraceTime` in seconds under `preempt/qos` (man: 0).
    pub grace_s: i64,
    /// `PreemptExemptTime` in seconds; `None` = the cluster's.
    pub exempt_s: Option<i64>,
    /// `Flags`.
    pub flags: QosFlags,
    /// Limits.
    pub limits: Limits,
}

/// `Fairshare` of an association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shares {
    /// A number (man: 1).
    Raw(u32),
    /// `parent`: ranked as if a child of the grandparent.
    Parent,
}

/// One association: an account, or a user in an account.
#[derive(Clone, Debug, PartialEq)]
pub struct Assoc {
    /// Account.
    pub account: String,
    /// User; `None` for the account itself.
    pub user: Option<String>,
    /// Parent account's association; `None` for the root.
    pub parent: Option<AssocId>,
    /// `Fairshare`.
    pub shares: Shares,
    /// Allowed QOS; empty = inherited from the parent (the root allows `normal`).
    pub qos: Vec<QosId>,
    /// `DefaultQOS`.
    pub default_qos: Option<QosId>,
    /// Priority of the association (`PriorityWeightAssoc`).
    pub priority: u32,
    /// Limits.
    pub limits: Limits,
}

/// `AccountingStorageEnforce`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Enforce {
    /// `associations`: jobs without an association are refused.
    pub associations: bool,
    /// `limits`.
    pub limits: bool,
    /// `safe`: a job starts only if the TRES minutes that it may use until its limit are there.
    pub safe: bool,
    /// `qos`: the job's QOS must be allowed to it.
    pub qos: bool,
}

/// The accounting database of one cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Accounting {
    /// TRES.
    pub tres: TresTable,
    /// QOS; `normal` exists always.
    pub qos: Vec<Qos>,
    /// Associations, parents before children; the first is the root account.
    pub assocs: Vec<Assoc>,
    /// What is enforced.
    pub enforce: Enforce,
    /// Whether there is a database at all (`AccountingStorageType`).
    pub present: bool,
    /// Members of the groups of the system (`getent group`), as far as they are known.
    pub groups: BTreeMap<String, Vec<String>>,
}

impl Default for Accounting {
    /// The database as `slurmdbd` creates it: QOS `normal`, account `root` with user `root`.
    fn default() -> Self {
        let normal = Qos::new("normal");
        let root = Assoc {
            account: "root".to_owned(),
            user: None,
            parent: None,
            shares: Shares::Raw(1),
            qos: vec![QosId(0)],
            default_qos: None,
            priority: 0,
            limits: Limits::default(),
        };
        let mut user = root.clone();
        user.user = Some("root".to_owned());
        user.parent = Some(AssocId(0));
        user.qos = Vec::new();
        Self {
            tres: TresTable::default(),
            qos: vec![normal],
            assocs: vec![root, user],
            enforce: Enforce::default(),
            present: false,
            groups: BTreeMap::new(),
        }
    }
}

impl Qos {
    /// A QOS with every setting at its default.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            priority: 0,
            usage_factor: 1.0,
            preempt: Vec::new(),
            preempt_mode: None,
            grace_s: 0,
            exempt_s: None,
            flags: QosFlags::default(),
            limits: Limits::default(),
        }
    }
}

impl Accounting {
    /// A QOS by name.
    #[must_use]
    pub fn find_qos(&self, name: &str) -> Option<QosId> {
        let at = self.qos.iter().position(|q| q.name.eq_ignore_ascii_case(name))?;
        u32::try_from(at).ok().map(QosId)
    }

    /// The association of an account (`user` = `None`) or of a user in an account.
    #[must_use]
    pub fn find_assoc(&self, account: &str, user: Option<&str>) -> Option<AssocId> {
        let is_it = |assoc: &Assoc| {
            let is_user = match (assoc.user.as_deref(), user) {
                (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
                (a, b) => a == b,
            };
            is_user && assoc.account.eq_ignore_ascii_case(account)
        };
        let at = self.assocs.iter().position(is_it)?;
        u32::try_from(at).ok().map(AssocId)
    }

    /// One association.
    #[must_use]
    pub fn assoc(&self, id: AssocId) -> &Assoc {
        &self.assocs[id.0 as usize]
    }

    /// One QOS.
    #[must_use]
    pub fn qos(&self, id: QosId) -> &Qos {
        &self.qos[id.0 as usize]
    }

    /// The association and its ancestors, nearest first.
    pub fn chain(&self, id: AssocId) -> impl Iterator<Item = AssocId> + '_ {
        std::iter::successors(Some(id), |at| self.assoc(*at).parent)
    }

    /// Whether an association may use a QOS: its own list, else the nearest ancestor's.
    #[must_use]
    pub fn allows_qos(&self, id: AssocId, qos: QosId) -> bool {
        self.chain(id)
            .map(|at| &self.assoc(at).qos)
            .find(|list| !list.is_empty())
            .is_some_and(|l| l.contains(&qos))
    }
}

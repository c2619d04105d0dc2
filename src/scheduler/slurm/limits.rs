//! Limits of associations and QOS: what is in use, and which limit a job meets.
//!
//! A job over a limit that can clear stays pending and blocks nobody. Checked in two steps as Slurm
//! does: counts of jobs before nodes are chosen, amounts of resources after.

mod minutes;

use rustc_hash::FxHashMap;
use smallvec::{SmallVec, smallvec};

use self::minutes::Minutes;
use super::config::{Accounting, AssocId, Limits, QosId, Tres, TresTable};
use super::controller::{Controller, Refusal};
use super::job::{JobIx, JobSpec, Reason};

/// What is running and submitted under one heading.
#[derive(Clone, Debug, Default)]
struct Counts {
    jobs: u32,
    submitted: u32,
    tres: Tres,
}

/// What is in use, by association, QOS, user and account.
#[derive(Clone, Debug, Default)]
pub(super) struct Usage {
    assocs: Vec<Counts>,
    qos: Vec<Counts>,
    qos_users: FxHashMap<(QosId, u32), Counts>,
    qos_accounts: FxHashMap<(QosId, Box<str>), Counts>,
    enforced: bool,
    per_account: bool,
    pub(super) minutes: Minutes,
}

impl Usage {
    pub(super) fn new(accounting: &Accounting) -> Self {
        let per_account = |l: &Limits| {
            !l.max_tres_per_account.is_empty()
                || l.max_jobs_per_account.is_some()
                || l.max_submit_per_account.is_some()
        };
        Self {
            assocs: vec![Counts::default(); accounting.assocs.len()],
            qos: vec![Counts::default(); accounting.qos.len()],
            enforced: accounting.enforce.limits,
            per_account: accounting.qos.iter().any(|q| per_account(&q.limits)),
            minutes: Minutes::new(accounting),
            ..Self::default()
        }
    }
}

/// The names of the reasons for one scope and rule, by TRES: CPU, memory, node, GRES, billing.
struct Names([&'static str; 5]);

impl Names {
    fn of(&self, at: usize) -> &'static str {
        match at {
            TresTable::CPU => self.0[0],
            TresTable::MEM => self.0[1],
            TresTable::NODE => self.0[2],
            TresTable::BILLING => self.0[4],
            _ => self.0[3],
        }
    }
}

const QOS_GRP: Names =
    Names(["QOSGrpCpuLimit", "QOSGrpMemLimit", "QOSGrpNodeLimit", "QOSGrpGRES", "QOSGrpBilling"]);
const QOS_PER_JOB: Names = Names([
    "QOSMaxCpuPerJobLimit",
    "QOSMaxMemoryPerJob",
    "QOSMaxNodePerJobLimit",
    "QOSMaxGRESPerJob",
    "QOSMaxBillingPerJob",
]);
const QOS_PER_USER: Names = Names([
    "QOSMaxCpuPerUserLimit",
    "QOSMaxMemoryPerUser",
    "QOSMaxNodePerUserLimit",
    "QOSMaxGRESPerUser",
    "QOSMaxBillingPerUser",
]);
const QOS_PER_ACCOUNT: Names = Names([
    "MaxCpuPerAccount",
    "MaxMemoryPerAccount",
    "MaxNodePerAccount",
    "MaxGRESPerAccount",
    "MaxBillingPerAccount",
]);
const QOS_MIN: Names =
    Names(["QOSMinCpuNotSatisfied", "QOSMinMemory", "QOSMinNode", "QOSMinGRES", "QOSMinBilling"]);
const ASSOC_GRP: Names =
    Names(["AssocGrpCpuLimit", "AssocGrpMemLimit", "AssocGrpNodeLimit", "AssocGrpGRES", "AssocGrpBilling"]);
const ASSOC_PER_JOB: Names = Names([
    "AssocMaxCpuPerJobLimit",
    "AssocMaxMemPerJob",
    "AssocMaxNodePerJobLimit",
    "AssocMaxGRESPerJob",
    "AssocMaxBillingPerJob",
]);

const QOS_PER_NODE: Names = Names([
    "QOSMaxCpuPerNode",
    "QOSMaxMemoryPerNode",
    "QOSMaxNodePerJobLimit",
    "QOSMaxGRESPerNode",
    "QOSMaxBillingPerNode",
]);
const ASSOC_PER_NODE: Names = Names([
    "AssocMaxCpuPerNode",
    "AssocMaxMemPerNode",
    "AssocMaxNodePerJobLimit",
    "AssocMaxGRESPerNode",
    "AssocMaxBillingPerNode",
]);
const QOS_GRP_MINUTES: Names = Names([
    "QOSGrpCPUMinutesLimit",
    "QOSGrpMemMinutes",
    "QOSGrpNodeMinutes",
    "QOSGrpGRESMinutes",
    "QOSGrpBillingMinutes",
]);
const QOS_GRP_RUN_MINUTES: Names = Names([
    "QOSGrpCPURunMinutesLimit",
    "QOSGrpMemRunMinutes",
    "QOSGrpNodeRunMinutes",
    "QOSGrpGRESRunMinutes",
    "QOSGrpBillingRunMinutes",
]);
const QOS_MINUTES_PER_JOB: Names = Names([
    "QOSMaxCpuMinutesPerJobLimit",
    "QOSMaxMemoryMinutesPerJob",
    "QOSMaxNodeMinutesPerJob",
    "QOSMaxGRESMinutesPerJob",
    "QOSMaxBillingMinutesPerJob",
]);
const ASSOC_GRP_MINUTES: Names = Names([
    "AssocGrpCPUMinutesLimit",
    "AssocGrpMemMinutes",
    "AssocGrpNodeMinutes",
    "AssocGrpGRESMinutes",
    "AssocGrpBillingMinutes",
]);
const ASSOC_GRP_RUN_MINUTES: Names = Names([
    "AssocGrpCPURunMinutesLimit",
    "AssocGrpMemRunMinutes",
    "AssocGrpNodeRunMinutes",
    "AssocGrpGRESRunMinutes",
    "AssocGrpBillingRunMinutes",
]);
const ASSOC_MINUTES_PER_JOB: Names = Names([
    "AssocMaxCpuMinutesPerJobLimit",
    "AssocMaxMemMinutesPerJob",
    "AssocMaxNodeMinutesPerJob",
    "AssocMaxGRESMinutesPerJob",
    "AssocMaxBillingMinutesPerJob",
]);

/// One of the lists of amounts among the limits.
type Amounts = fn(&Limits) -> &Vec<(usize, u64)>;

/// The first TRES of which `used` + `more` exceeds the limit.
fn over<'l>(
    mut limits: impl Iterator<Item = &'l (usize, u64)>,
    used: Option<&Tres>,
    more: &Tres,
) -> Option<usize> {
    let over = |(at, most): &&(usize, u64)| used.map_or(0, |u| u.get(*at)) + more.get(*at) > *most;
    limits.find(over).map(|(at, _)| *at)
}

impl Controller<'_> {
    /// Whether the counts of jobs let one more start; sets the reason.
    pub(super) fn counts_let(&mut self, job: JobIx) -> bool {
        let reason = if self.usage.enforced { self.count_limit(job) } else { None };
        self.note_limit(job, reason)
    }

    /// Whether the amounts in use let the job have `tres`; sets the reason.
    pub(super) fn amounts_let(&mut self, job: JobIx, tres: &Tres) -> bool {
        let limit = || self.amount_limit(job, tres).or_else(|| self.minutes_limit(job, tres));
        let reason = if self.usage.enforced { limit() } else { None };
        if reason.is_some() {
            self.limit_met_at = Some(self.version);
        }
        self.note_limit(job, reason)
    }

    fn note_limit(&mut self, job: JobIx, reason: Option<&'static str>) -> bool {
        let record = &mut self.jobs[job.at()];
        match reason {
            Some(name) => {
                record.reason = Reason::Limit(name);
                false
            }
            None => {
                if matches!(record.reason, Reason::Limit(_)) {
                    record.reason = Reason::None;
                }
                true
            }
        }
    }

    /// The QOS whose limits count for a job: its partition's, then its own; the other way round where its own
    /// has `OverPartQOS`. A limit of the second counts where the first sets none, one of an association
    /// where neither does (Slurm's resource limits page, "hierarchy").
    pub(super) fn qos_order(&self, qos: QosId, partition: usize) -> SmallVec<[QosId; 2]> {
        let own_first = self.config.accounting.qos(qos).flags.over_part_qos;
        match self.config.partitions[partition].qos {
            Some(of_partition) if of_partition != qos && own_first => smallvec![qos, of_partition],
            Some(of_partition) if of_partition != qos => smallvec![of_partition, qos],
            _ => smallvec![qos],
        }
    }

    /// A limit of the QOS at `at`, unless one before it sets the same.
    fn qos_limit(&self, order: &[QosId], at: usize, get: impl Fn(&Limits) -> Option<u32>) -> Option<u32> {
        let limit = |qos: &QosId| get(&self.config.accounting.qos(*qos).limits);
        if order[..at].iter().any(|qos| limit(qos).is_some()) { None } else { limit(&order[at]) }
    }

    /// Whether no QOS sets a limit, so that those of associations count.
    fn no_qos_sets(&self, order: &[QosId], get: impl Fn(&Limits) -> Option<u32>) -> bool {
        order.iter().all(|qos| get(&self.config.accounting.qos(*qos).limits).is_none())
    }

    fn count_limit(&self, job: JobIx) -> Option<&'static str> {
        let record = &self.jobs[job.at()];
        let order = self.qos_order(record.qos, record.partition);
        for (at, qos) in order.iter().enumerate() {
            let used = &self.usage.qos[qos.0 as usize];
            if self.qos_limit(&order, at, |l| l.grp_jobs).is_some_and(|most| used.jobs >= most) {
                return Some("QOSGrpJobsLimit");
            }
            let jobs = self.account_counts(*qos, record.assoc).map_or(0, |c| c.jobs);
            if self.qos_limit(&order, at, |l| l.max_jobs_per_account).is_some_and(|most| jobs >= most) {
                return Some("MaxJobsPerAccount");
            }
            let jobs = self.usage.qos_users.get(&(*qos, record.user)).map_or(0, |c| c.jobs);
            if self.qos_limit(&order, at, |l| l.max_jobs).is_some_and(|most| jobs >= most) {
                return Some("QOSMaxJobsPerUserLimit");
            }
            let wall = self.qos_limit(&order, at, |l| l.max_wall_min);
            if wall.is_some_and(|most| record.limit_min > most) {
                return Some("QOSMaxWallDurationPerJobLimit");
            }
        }
        self.assoc_count_limit(job, &order)
    }

    fn assoc_count_limit(&self, job: JobIx, order: &[QosId]) -> Option<&'static str> {
        let record = &self.jobs[job.at()];
        let accounting = &self.config.accounting;
        let grp_jobs = self.no_qos_sets(order, |l| l.grp_jobs);
        let max_jobs = self.no_qos_sets(order, |l| l.max_jobs.or(l.max_jobs_per_account));
        let max_wall = self.no_qos_sets(order, |l| l.max_wall_min);
        let mut own = true;
        for at in record.assoc.iter().flat_map(|a| accounting.chain(*a)) {
            let limits = &accounting.assoc(at).limits;
            let used = &self.usage.assocs[at.0 as usize];
            if grp_jobs && limits.grp_jobs.is_some_and(|most| used.jobs >= most) {
                return Some("AssocGrpJobsLimit");
            }
            if own && max_jobs && self.inherited(at, |l| l.max_jobs).is_some_and(|most| used.jobs >= most) {
                return Some("AssocMaxJobsLimit");
            }
            let wall = self.inherited(at, |l| l.max_wall_min);
            if own && max_wall && wall.is_some_and(|most| record.limit_min > most) {
                return Some("AssocMaxWallDurationPerJobLimit");
            }
            own = false;
        }
        None
    }

    /// `Max*` limits of a user's association are its nearest ancestor's where it has none.
    fn inherited(&self, at: AssocId, limit: impl Fn(&Limits) -> Option<u32>) -> Option<u32> {
        let accounting = &self.config.accounting;
        accounting.chain(at).find_map(|a| limit(&accounting.assoc(a).limits))
    }

    fn amount_limit(&self, job: JobIx, tres: &Tres) -> Option<&'static str> {
        let record = &self.jobs[job.at()];
        let order = self.qos_order(record.qos, record.partition);
        for (at, qos) in order.iter().enumerate() {
            let group = &self.usage.qos[qos.0 as usize].tres;
            let user = self.usage.qos_users.get(&(*qos, record.user)).map(|c| &c.tres);
            let account = self.account_counts(*qos, record.assoc).map(|c| &c.tres);
            let found = self.qos_amount_limit(&order, at, tres, [Some(group), account, user]);
            if found.is_some() {
                return found;
            }
        }
        self.assoc_amount_limit(record.assoc?, tres, &order)
    }

    /// The first limit on amounts of the QOS at `at` that a job of this size would exceed beside what the
    /// group, the account and the user have in use.
    fn qos_amount_limit(
        &self,
        order: &[QosId],
        at: usize,
        tres: &Tres,
        [group, account, user]: [Option<&Tres>; 3],
    ) -> Option<&'static str> {
        let limits = |qos: &QosId| &self.config.accounting.qos(*qos).limits;
        let before = |get: Amounts, tres: usize| {
            order[..at].iter().any(|qos| get(limits(qos)).iter().any(|(t, _)| *t == tres))
        };
        let exceeds = |get: Amounts, used: Option<&Tres>| {
            let mine = get(limits(&order[at])).iter().filter(|(t, _)| !before(get, *t));
            over(mine, used, tres)
        };
        let least = limits(&order[at]).min_tres_per_job.iter();
        let short = least.filter(|(t, _)| !before(|l| &l.min_tres_per_job, *t));
        let short = short.clone().find(|(t, least)| tres.get(*t) < *least).map(|(t, _)| *t);
        exceeds(|l| &l.grp_tres, group)
            .map(|t| QOS_GRP.of(t))
            .or_else(|| exceeds(|l| &l.max_tres_per_job, None).map(|t| QOS_PER_JOB.of(t)))
            .or_else(|| {
                let mine = limits(&order[at]).max_tres_per_node.iter();
                let mine = mine.filter(|(t, _)| !before(|l| &l.max_tres_per_node, *t));
                over(mine, None, &on_each_node(tres)).map(|t| QOS_PER_NODE.of(t))
            })
            .or_else(|| short.map(|t| QOS_MIN.of(t)))
            .or_else(|| exceeds(|l| &l.max_tres_per_account, account).map(|t| QOS_PER_ACCOUNT.of(t)))
            .or_else(|| exceeds(|l| &l.max_tres_per_user, user).map(|t| QOS_PER_USER.of(t)))
    }

    /// The first limit of its QOS that a job of this size exceeds even if nothing else runs.
    pub(super) fn own_limit(&self, job: JobIx, tres: &Tres) -> Option<&'static str> {
        if !self.usage.enforced {
            return None;
        }
        let record = &self.jobs[job.at()];
        let order = self.qos_order(record.qos, record.partition);
        for at in 0..order.len() {
            let wall = self.qos_limit(&order, at, |l| l.max_wall_min);
            if wall.is_some_and(|most| record.limit_min > most) {
                return Some("QOSMaxWallDurationPerJobLimit");
            }
            let found = self.qos_amount_limit(&order, at, tres, [None; 3]);
            if found.is_some() {
                return found;
            }
        }
        self.own_minutes_limit(job, tres, &order)
    }

    fn assoc_amount_limit(&self, assoc: AssocId, tres: &Tres, order: &[QosId]) -> Option<&'static str> {
        let accounting = &self.config.accounting;
        let of_qos = |get: Amounts, tres: usize| {
            let mut limits = order.iter().map(|qos| &accounting.qos(*qos).limits);
            limits.any(|l| get(l).iter().any(|(t, _)| *t == tres))
        };
        let mut per_job = accounting.chain(assoc).map(|a| &accounting.assoc(a).limits.max_tres_per_job);
        let per_job = per_job
            .find(|l| !l.is_empty())
            .and_then(|l| over(l.iter().filter(|(t, _)| !of_qos(|l| &l.max_tres_per_job, *t)), None, tres));
        if let Some(at) = per_job {
            return Some(ASSOC_PER_JOB.of(at));
        }
        let per_node = accounting.chain(assoc).map(|a| &accounting.assoc(a).limits.max_tres_per_node);
        let per_node = per_node.filter(|l| !l.is_empty()).take(1).flatten();
        let per_node = per_node.filter(|(t, _)| !of_qos(|l| &l.max_tres_per_node, *t));
        if let Some(at) = over(per_node, None, &on_each_node(tres)) {
            return Some(ASSOC_PER_NODE.of(at));
        }
        accounting.chain(assoc).find_map(|a| {
            let used = &self.usage.assocs[a.0 as usize].tres;
            let group = accounting.assoc(a).limits.grp_tres.iter();
            over(group.filter(|(t, _)| !of_qos(|l| &l.grp_tres, *t)), Some(used), tres)
                .map(|at| ASSOC_GRP.of(at))
        })
    }

    fn account_counts(&self, qos: QosId, assoc: Option<AssocId>) -> Option<&Counts> {
        if !self.usage.per_account {
            return None;
        }
        let account = &self.config.accounting.assoc(assoc?).account;
        self.usage.qos_accounts.get(&(qos, account.as_str().into()))
    }

    /// Submit limits: what is pending and running counts.
    pub(super) fn check_submit_limits(
        &self,
        asked: &JobSpec,
        assoc: Option<AssocId>,
        order: &[QosId],
        user: u32,
    ) -> Result<(), Refusal> {
        if !self.usage.enforced {
            return Ok(());
        }
        let more = asked.array.as_ref().map_or(1, |a| u32::try_from(a.tasks.len()).unwrap_or(u32::MAX));
        let full = |used: u32, most: Option<u32>| most.is_some_and(|most| used.saturating_add(more) > most);
        for (at, qos) in order.iter().enumerate() {
            let of_user = self.usage.qos_users.get(&(*qos, user)).map_or(0, |c| c.submitted);
            let of_account = self.account_counts(*qos, assoc).map_or(0, |c| c.submitted);
            if full(self.usage.qos[qos.0 as usize].submitted, self.qos_limit(order, at, |l| l.grp_submit)) {
                return Err(Refusal::Limit("QOSGrpSubmitJobsLimit"));
            }
            if full(of_account, self.qos_limit(order, at, |l| l.max_submit_per_account)) {
                return Err(Refusal::Limit("MaxSubmitJobsPerAccount"));
            }
            if full(of_user, self.qos_limit(order, at, |l| l.max_submit)) {
                return Err(Refusal::Limit("QOSMaxSubmitJobPerUserLimit"));
            }
        }
        let grp = self.no_qos_sets(order, |l| l.grp_submit);
        let max = self.no_qos_sets(order, |l| l.max_submit.or(l.max_submit_per_account));
        let mut own = true;
        for at in assoc.iter().flat_map(|a| self.config.accounting.chain(*a)) {
            let used = self.usage.assocs[at.0 as usize].submitted;
            if grp && full(used, self.config.accounting.assoc(at).limits.grp_submit) {
                return Err(Refusal::Limit("AssocGrpSubmitJobsLimit"));
            }
            if own && max && full(used, self.inherited(at, |l| l.max_submit)) {
                return Err(Refusal::Limit("AssocMaxSubmitJobLimit"));
            }
            own = false;
        }
        Ok(())
    }

    fn headings(&mut self, job: JobIx, change: impl Fn(&mut Counts)) {
        let record = &self.jobs[job.at()];
        let (user, assoc) = (record.user, record.assoc);
        let order = self.qos_order(record.qos, record.partition);
        let accounting = &self.config.accounting;
        for qos in order {
            change(&mut self.usage.qos[qos.0 as usize]);
            change(self.usage.qos_users.entry((qos, user)).or_default());
            if let (true, Some(assoc)) = (self.usage.per_account, assoc) {
                let account: Box<str> = accounting.assoc(assoc).account.as_str().into();
                change(self.usage.qos_accounts.entry((qos, account)).or_default());
            }
        }
        for at in assoc.iter().flat_map(|a| accounting.chain(*a)) {
            change(&mut self.usage.assocs[at.0 as usize]);
        }
    }

    /// Counts a submission (`+1` per task) or its end.
    pub(super) fn count_submitted(&mut self, job: JobIx, by: i32) {
        if !self.usage.enforced {
            return;
        }
        let tasks = i32::try_from(self.jobs[job.at()].pending_tasks.len().max(1)).unwrap_or(i32::MAX);
        let by = if by > 0 { by * tasks } else { by };
        self.headings(job, |c| c.submitted = c.submitted.saturating_add_signed(by));
    }

    /// Counts a start.
    pub(super) fn count_started(&mut self, job: JobIx) {
        self.minutes_start(job);
        if self.usage.enforced {
            let tres = self.jobs[job.at()].tres.clone();
            self.headings(job, |c| {
                c.jobs += 1;
                c.tres.add(&tres);
            });
        }
    }

    /// Counts an end.
    pub(super) fn count_ended(&mut self, job: JobIx) {
        self.minutes_end(job);
        if self.usage.enforced {
            let tres = self.jobs[job.at()].tres.clone();
            self.headings(job, |c| {
                c.jobs -= 1;
                c.tres.take(&tres);
            });
        }
    }
}

/// What a job has of each of its nodes, as Slurm reckons it: its amounts by the number of nodes, rounded down.
fn on_each_node(tres: &Tres) -> Tres {
    let nodes = tres.get(TresTable::NODE).max(1);
    Tres(tres.0.iter().map(|amount| amount / nodes).collect())
}

//! Limits of associations and QOS: what is in use, and which limit a job meets.
//!
//! A job over a limit that can clear stays pending and blocks nobody. Checked in two steps as Slurm
//! does: counts of jobs before nodes are chosen, amounts of resources after.

use rustc_hash::FxHashMap;

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

/// The first TRES of which `used` + `more` exceeds the limit.
fn over(limits: &[(usize, u64)], used: Option<&Tres>, more: &Tres) -> Option<usize> {
    let over = |(at, most): &&(usize, u64)| used.map_or(0, |u| u.get(*at)) + more.get(*at) > *most;
    limits.iter().find(over).map(|(at, _)| *at)
}

impl Controller<'_> {
    /// Whether the counts of jobs let one more start; sets the reason.
    pub(super) fn counts_let(&mut self, job: JobIx) -> bool {
        let reason = if self.usage.enforced { self.count_limit(job) } else { None };
        self.note_limit(job, reason)
    }

    /// Whether the amounts in use let the job have `tres`; sets the reason.
    pub(super) fn amounts_let(&mut self, job: JobIx, tres: &Tres) -> bool {
        let reason = if self.usage.enforced { self.amount_limit(job, tres) } else { None };
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

    fn count_limit(&self, job: JobIx) -> Option<&'static str> {
        let record = &self.jobs[job.at()];
        let accounting = &self.config.accounting;
        let limits = &accounting.qos(record.qos).limits;
        let used = &self.usage.qos[record.qos.0 as usize];
        if limits.max_wall_min.is_some_and(|most| record.limit_min > most) {
            return Some("QOSMaxWallDurationPerJobLimit");
        }
        if limits.grp_jobs.is_some_and(|most| used.jobs >= most) {
            return Some("QOSGrpJobsLimit");
        }
        let user_jobs = self.usage.qos_users.get(&(record.qos, record.user)).map_or(0, |c| c.jobs);
        if limits.max_jobs.is_some_and(|most| user_jobs >= most) {
            return Some("QOSMaxJobsPerUserLimit");
        }
        let account_jobs = self.account_counts(record.qos, record.assoc).map_or(0, |c| c.jobs);
        if limits.max_jobs_per_account.is_some_and(|most| account_jobs >= most) {
            return Some("MaxJobsPerAccount");
        }
        let mut own = true;
        for at in record.assoc.iter().flat_map(|a| accounting.chain(*a)) {
            let limits = &accounting.assoc(at).limits;
            let used = &self.usage.assocs[at.0 as usize];
            if limits.grp_jobs.is_some_and(|most| used.jobs >= most) {
                return Some("AssocGrpJobsLimit");
            }
            if own && self.inherited(at, |l| l.max_jobs).is_some_and(|most| used.jobs >= most) {
                return Some("AssocMaxJobsLimit");
            }
            if own && self.inherited(at, |l| l.max_wall_min).is_some_and(|most| record.limit_min > most) {
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
        let accounting = &self.config.accounting;
        let limits = &accounting.qos(record.qos).limits;
        let group = &self.usage.qos[record.qos.0 as usize].tres;
        let user = self.usage.qos_users.get(&(record.qos, record.user)).map(|c| &c.tres);
        let account = self.account_counts(record.qos, record.assoc).map(|c| &c.tres);
        let short =
            limits.min_tres_per_job.iter().find(|(at, least)| tres.get(*at) < *least).map(|(at, _)| *at);
        over(&limits.grp_tres, Some(group), tres)
            .map(|at| QOS_GRP.of(at))
            .or_else(|| over(&limits.max_tres_per_job, None, tres).map(|at| QOS_PER_JOB.of(at)))
            .or_else(|| short.map(|at| QOS_MIN.of(at)))
            .or_else(|| over(&limits.max_tres_per_account, account, tres).map(|at| QOS_PER_ACCOUNT.of(at)))
            .or_else(|| over(&limits.max_tres_per_user, user, tres).map(|at| QOS_PER_USER.of(at)))
            .or_else(|| self.assoc_amount_limit(record.assoc?, tres))
    }

    /// The first limit of its QOS that a job of this size exceeds even if nothing else runs.
    pub(super) fn own_limit(&self, job: JobIx, tres: &Tres) -> Option<&'static str> {
        if !self.usage.enforced {
            return None;
        }
        let record = &self.jobs[job.at()];
        let limits = &self.config.accounting.qos(record.qos).limits;
        if limits.max_wall_min.is_some_and(|most| record.limit_min > most) {
            return Some("QOSMaxWallDurationPerJobLimit");
        }
        over(&limits.grp_tres, None, tres)
            .map(|at| QOS_GRP.of(at))
            .or_else(|| over(&limits.max_tres_per_job, None, tres).map(|at| QOS_PER_JOB.of(at)))
            .or_else(|| over(&limits.max_tres_per_user, None, tres).map(|at| QOS_PER_USER.of(at)))
            .or_else(|| over(&limits.max_tres_per_account, None, tres).map(|at| QOS_PER_ACCOUNT.of(at)))
    }

    fn assoc_amount_limit(&self, assoc: AssocId, tres: &Tres) -> Option<&'static str> {
        let accounting = &self.config.accounting;
        let mut per_job = accounting.chain(assoc).map(|a| &accounting.assoc(a).limits.max_tres_per_job);
        let per_job = per_job.find(|l| !l.is_empty()).and_then(|l| over(l, None, tres));
        if let Some(at) = per_job {
            return Some(ASSOC_PER_JOB.of(at));
        }
        accounting.chain(assoc).find_map(|a| {
            let used = &self.usage.assocs[a.0 as usize].tres;
            over(&accounting.assoc(a).limits.grp_tres, Some(used), tres).map(|at| ASSOC_GRP.of(at))
        })
    }

    fn account_counts(&self, qos: QosId, assoc: Option<AssocId>) -> Option<&Counts> {
        if !self.usage.per_account {
            return None;
        }
        let account = &self.config.accounting.assoc(assoc?).account;
        self.usage.qos_accounts.get(&(qos, account.as_str().into()))
    }

    /// Submit limits, and limits of a QOS with `DenyOnLimit`.
    pub(super) fn check_submit_limits(
        &self,
        asked: &JobSpec,
        assoc: Option<AssocId>,
        qos: QosId,
        user: u32,
    ) -> Result<(), Refusal> {
        if !self.usage.enforced {
            return Ok(());
        }
        let more = asked.array.as_ref().map_or(1, |a| u32::try_from(a.tasks.len()).unwrap_or(u32::MAX));
        let full = |used: u32, most: Option<u32>| most.is_some_and(|most| used.saturating_add(more) > most);
        let limits = &self.config.accounting.qos(qos).limits;
        if full(self.usage.qos[qos.0 as usize].submitted, limits.grp_submit) {
            return Err(Refusal::Limit("QOSGrpSubmitJobsLimit"));
        }
        if full(self.usage.qos_users.get(&(qos, user)).map_or(0, |c| c.submitted), limits.max_submit) {
            return Err(Refusal::Limit("QOSMaxSubmitJobPerUserLimit"));
        }
        if full(self.account_counts(qos, assoc).map_or(0, |c| c.submitted), limits.max_submit_per_account) {
            return Err(Refusal::Limit("MaxSubmitJobsPerAccount"));
        }
        let mut own = true;
        for at in assoc.iter().flat_map(|a| self.config.accounting.chain(*a)) {
            let used = self.usage.assocs[at.0 as usize].submitted;
            if full(used, self.config.accounting.assoc(at).limits.grp_submit) {
                return Err(Refusal::Limit("AssocGrpSubmitJobsLimit"));
            }
            if own && full(used, self.inherited(at, |l| l.max_submit)) {
                return Err(Refusal::Limit("AssocMaxSubmitJobLimit"));
            }
            own = false;
        }
        Ok(())
    }

    fn headings(&mut self, job: JobIx, change: impl Fn(&mut Counts)) {
        let record = &self.jobs[job.at()];
        let (qos, user, assoc) = (record.qos, record.user, record.assoc);
        change(&mut self.usage.qos[qos.0 as usize]);
        change(self.usage.qos_users.entry((qos, user)).or_default());
        let accounting = &self.config.accounting;
        if let (true, Some(assoc)) = (self.usage.per_account, assoc) {
            let account: Box<str> = accounting.assoc(assoc).account.as_str().into();
            change(self.usage.qos_accounts.entry((qos, account)).or_default());
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
        if self.usage.enforced {
            let tres = self.jobs[job.at()].tres.clone();
            self.headings(job, |c| {
                c.jobs -= 1;
                c.tres.take(&tres);
            });
        }
    }
}

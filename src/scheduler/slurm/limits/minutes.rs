//! Limits on TRES minutes.
//!
//! `GrpTRESMins` counts what jobs have used, decayed as fair share is: from its limit on no job starts, and those that
//! run are ended by the 30-second timer. With `safe` a job starts only if what it may use until its limit still fits.
//! `GrpTRESRunMins` counts what running jobs may still use; `MaxTRESMinsPerJob` what one job may use in all.
//! Usage is brought up to date every `PriorityCalcPeriod` and when a job ends, under priority/multifactor only
//! (sacctmgr(1), and the source of 24.11); so does what running jobs may still use shrink.

use rustc_hash::FxHashMap;

use super::{
    ASSOC_GRP_MINUTES, ASSOC_GRP_RUN_MINUTES, ASSOC_MINUTES_PER_JOB, Names, QOS_GRP_MINUTES,
    QOS_GRP_RUN_MINUTES, QOS_MINUTES_PER_JOB,
};
use crate::scheduler::slurm::config::{Accounting, Limits, QosId, Tres};
use crate::scheduler::slurm::controller::Controller;
use crate::scheduler::slurm::job::JobIx;

/// What is used and what running jobs may still use, in TRES-seconds.
#[derive(Clone, Debug, Default)]
struct Heading {
    used: Vec<f64>,
    may_use: Tres,
}

impl Heading {
    fn used_minutes(&self, tres: usize) -> f64 {
        self.used.get(tres).copied().unwrap_or(0.0) / 60.0
    }
}

/// TRES minutes of associations and QOS, where any limit is about them.
#[derive(Clone, Debug, Default)]
pub(in crate::scheduler::slurm) struct Minutes {
    assocs: Vec<Heading>,
    qos: Vec<Heading>,
    /// Seconds that running jobs still have, as far as usage is up to date.
    left_s: FxHashMap<JobIx, i64>,
    /// Some limit is about minutes.
    counted: bool,
    /// Some limit is about minutes that are used.
    pub(in crate::scheduler::slurm) limits_usage: bool,
}

impl Minutes {
    pub(super) fn new(accounting: &Accounting) -> Self {
        let all =
            || accounting.assocs.iter().map(|a| &a.limits).chain(accounting.qos.iter().map(|q| &q.limits));
        let limits_usage = all().any(|l| !l.grp_tres_mins.is_empty());
        let counted = limits_usage || all().any(|l| !l.grp_tres_run_mins.is_empty());
        let headings = |count: usize| vec![Heading::default(); if counted { count } else { 0 }];
        Self {
            assocs: headings(accounting.assocs.len()),
            qos: headings(accounting.qos.len()),
            left_s: FxHashMap::default(),
            counted: counted && accounting.enforce.limits,
            limits_usage: limits_usage && accounting.enforce.limits,
        }
    }

    /// Whether usage that grows or decays may keep a job, or let one go.
    pub(in crate::scheduler::slurm) fn is_counted(&self) -> bool {
        self.counted
    }

    /// A `PriorityCalcPeriod` has passed; `keeps` knows the QOS whose usage does not decay.
    pub(in crate::scheduler::slurm) fn decay(&mut self, factor: f64, keeps: impl Fn(usize) -> bool) {
        let qos = self.qos.iter_mut().enumerate().filter(|(at, _)| !keeps(*at)).map(|(_, heading)| heading);
        let used = self.assocs.iter_mut().chain(qos).flat_map(|heading| &mut heading.used);
        used.for_each(|used| *used *= factor);
    }

    /// `PriorityUsageResetPeriod`.
    pub(in crate::scheduler::slurm) fn reset(&mut self) {
        self.assocs.iter_mut().chain(&mut self.qos).for_each(|heading| heading.used.clear());
    }
}

/// The lists of limits on minutes, by Slurm's names of the reasons.
struct Bounds<'l> {
    names: [&'static Names; 3],
    limits: &'l Limits,
    heading: Option<&'l Heading>,
}

impl Controller<'_> {
    fn minute_headings(&mut self, job: JobIx, change: impl Fn(&mut Heading)) {
        let record = &self.jobs[job.at()];
        let order = self.qos_order(record.qos, record.partition);
        let accounting = &self.config.accounting;
        for qos in order {
            change(&mut self.usage.minutes.qos[qos.0 as usize]);
        }
        for at in record.assoc.iter().flat_map(|a| accounting.chain(*a)) {
            change(&mut self.usage.minutes.assocs[at.0 as usize]);
        }
    }

    /// A job of `left_s` seconds starts.
    pub(super) fn minutes_start(&mut self, job: JobIx) {
        if !self.usage.minutes.counted {
            return;
        }
        let record = &self.jobs[job.at()];
        let left_s = i64::from(record.limit_min) * 60;
        let may_use = times(&record.tres, left_s);
        self.usage.minutes.left_s.insert(job, left_s);
        self.minute_headings(job, |heading| heading.may_use.add(&may_use));
    }

    /// A running job has used `span_s` more seconds, which weigh `weight` with decay and `plain` without.
    pub(in crate::scheduler::slurm) fn minutes_pass(
        &mut self,
        job: JobIx,
        span_s: i64,
        weight: f64,
        plain: f64,
    ) {
        let Some(left_s) = self.usage.minutes.left_s.get_mut(&job) else { return };
        let gone_s = span_s.min(*left_s);
        *left_s -= gone_s;
        let (tres, qos) = (self.jobs[job.at()].tres.clone(), &self.config.accounting.qos);
        let gone = times(&tres, gone_s);
        self.minute_headings(job, |heading| heading.may_use.take(&gone));
        let no_decay: Vec<bool> = qos.iter().map(|qos| qos.flags.no_decay).collect();
        let record = &self.jobs[job.at()];
        let order = self.qos_order(record.qos, record.partition);
        let chain = record.assoc.into_iter().flat_map(|a| self.config.accounting.chain(a));
        let minutes = &mut self.usage.minutes;
        for at in chain {
            use_up(&mut minutes.assocs[at.0 as usize], &tres, weight);
        }
        for QosId(at) in order {
            let at = at as usize;
            use_up(&mut minutes.qos[at], &tres, if no_decay[at] { plain } else { weight });
        }
    }

    /// A job has ended: what it might still have used is free.
    pub(super) fn minutes_end(&mut self, job: JobIx) {
        let Some(left_s) = self.usage.minutes.left_s.remove(&job) else { return };
        let left = times(&self.jobs[job.at()].tres, left_s);
        self.minute_headings(job, |heading| heading.may_use.take(&left));
    }

    /// The first limit on minutes that keeps a job of this size; of a QOS before those of associations, and each only
    /// where none before it sets the same.
    pub(super) fn minutes_limit(&self, job: JobIx, tres: &Tres) -> Option<&'static str> {
        let record = &self.jobs[job.at()];
        let order = self.qos_order(record.qos, record.partition);
        let accounting = &self.config.accounting;
        let of_qos = order.iter().map(|qos| Bounds {
            names: [&QOS_GRP_MINUTES, &QOS_GRP_RUN_MINUTES, &QOS_MINUTES_PER_JOB],
            limits: &accounting.qos(*qos).limits,
            heading: self.usage.minutes.qos.get(qos.0 as usize),
        });
        let chain = record.assoc.into_iter().flat_map(|a| accounting.chain(a));
        let of_assocs = chain.map(|at| Bounds {
            names: [&ASSOC_GRP_MINUTES, &ASSOC_GRP_RUN_MINUTES, &ASSOC_MINUTES_PER_JOB],
            limits: &accounting.assoc(at).limits,
            heading: self.usage.minutes.assocs.get(at.0 as usize),
        });
        let mine = times(tres, i64::from(record.limit_min));
        let safe = accounting.enforce.safe;
        let mut before: [Vec<usize>; 3] = Default::default();
        for (at, bounds) in of_qos.chain(of_assocs).enumerate() {
            let found = bounds.exceeded(&mine, &before, safe);
            if found.is_some() {
                return found;
            }
            bounds.remember(&mut before, at >= order.len());
        }
        None
    }

    /// The first limit on the minutes of one job of its QOS that a job of this size exceeds by itself.
    pub(super) fn own_minutes_limit(&self, job: JobIx, tres: &Tres, order: &[QosId]) -> Option<&'static str> {
        let mine = times(tres, i64::from(self.jobs[job.at()].limit_min));
        let mut before: Vec<usize> = Vec::new();
        for qos in order {
            let limits = &self.config.accounting.qos(*qos).limits.max_tres_mins_per_job;
            let mut own = limits.iter().filter(|(at, _)| !before.contains(at));
            if let Some((at, _)) = own.find(|(at, most)| mine.get(*at) > *most) {
                return Some(QOS_MINUTES_PER_JOB.of(*at));
            }
            before.extend(limits.iter().map(|(at, _)| *at));
        }
        None
    }

    /// Whether a running job's group has used all minutes that it had: the timer ends it.
    pub(in crate::scheduler::slurm) fn minutes_are_used_up(&self, job: JobIx) -> bool {
        if !self.usage.minutes.limits_usage {
            return false;
        }
        let record = &self.jobs[job.at()];
        let accounting = &self.config.accounting;
        let order = self.qos_order(record.qos, record.partition);
        let of_qos = order
            .iter()
            .map(|qos| (&accounting.qos(*qos).limits.grp_tres_mins, &self.usage.minutes.qos[qos.0 as usize]));
        let chain = record.assoc.into_iter().flat_map(|a| accounting.chain(a));
        let of_assocs = chain.map(|at| {
            (&accounting.assoc(at).limits.grp_tres_mins, &self.usage.minutes.assocs[at.0 as usize])
        });
        let qos = order.len();
        let mut before: Vec<usize> = Vec::new();
        for (at, (limits, heading)) in of_qos.chain(of_assocs).enumerate() {
            let mut own = limits.iter().filter(|(tres, _)| !before.contains(tres));
            if own
                .any(|(tres, most)| record.tres.get(*tres) > 0 && heading.used_minutes(*tres) >= *most as f64)
            {
                return true;
            }
            if at < qos {
                before.extend(limits.iter().map(|(tres, _)| *tres));
            }
        }
        false
    }
}

impl Bounds<'_> {
    /// The reason, if a job that may use `mine` TRES-minutes does not fit.
    fn exceeded(&self, mine: &Tres, before: &[Vec<usize>; 3], safe: bool) -> Option<&'static str> {
        let used = |tres: usize| self.heading.map_or(0.0, |heading| heading.used_minutes(tres));
        let may_use = |tres: usize| self.heading.map_or(0, |heading| heading.may_use.get(tres) / 60);
        let asks = |tres: usize| mine.get(tres) > 0;
        let is_new = |list: usize, tres: usize| !before[list].contains(&tres);
        let usage = self.limits.grp_tres_mins.iter().find(|(tres, most)| {
            let planned = if safe { (may_use(*tres) + mine.get(*tres)) as f64 } else { 0.0 };
            let full = used(*tres) >= *most as f64 || (safe && used(*tres) + planned > *most as f64);
            is_new(0, *tres) && asks(*tres) && full
        });
        if let Some((tres, _)) = usage {
            return Some(self.names[0].of(*tres));
        }
        let mut running = self.limits.grp_tres_run_mins.iter();
        let running =
            running.find(|(tres, most)| is_new(1, *tres) && may_use(*tres) + mine.get(*tres) > *most);
        if let Some((tres, _)) = running {
            return Some(self.names[1].of(*tres));
        }
        let mut one = self.limits.max_tres_mins_per_job.iter();
        let one = one.find(|(tres, most)| is_new(2, *tres) && mine.get(*tres) > *most);
        one.map(|(tres, _)| self.names[2].of(*tres))
    }

    /// What it limits need not be looked up further on: what a QOS limits counts no more below it, and of associations
    /// the nearest one's limit of a single job counts.
    fn remember(&self, before: &mut [Vec<usize>; 3], is_assoc: bool) {
        let lists =
            [&self.limits.grp_tres_mins, &self.limits.grp_tres_run_mins, &self.limits.max_tres_mins_per_job];
        for (list, limits) in before.iter_mut().zip(lists).skip(if is_assoc { 2 } else { 0 }) {
            list.extend(limits.iter().map(|(tres, _)| *tres));
        }
    }
}

fn use_up(heading: &mut Heading, tres: &Tres, weight: f64) {
    if heading.used.len() < tres.0.len() {
        heading.used.resize(tres.0.len(), 0.0);
    }
    for (used, amount) in heading.used.iter_mut().zip(&tres.0) {
        *used += *amount as f64 * weight;
    }
}

/// Amounts times a span.
fn times(tres: &Tres, span: i64) -> Tres {
    let span = u64::try_from(span).unwrap_or(0);
    Tres(tres.0.iter().map(|amount| amount.saturating_mul(span)).collect())
}

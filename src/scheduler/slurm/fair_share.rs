//! Usage with decay, and the ranks that Fair Tree gives to users.
//!
//! Every `PriorityCalcPeriod` all raw usage is multiplied by (1 - 0.693 / half-life)^period, then the
//! usage of running jobs since the last time is added; an ending job's usage is added when it ends.
//! Ranks are recalculated only in the period, never at job ends (recorded: they jump then).

use super::config::{Accounting, AssocId, QosId, Shares, SlurmConfig};
use super::controller::Controller;
use super::job::JobIx;

/// Usage and factors by association.
#[derive(Clone, Debug)]
pub struct FairShare {
    raw: Vec<f64>,
    factor: Vec<f64>,
    children: Vec<Vec<AssocId>>,
    /// By association: the shares of its children together.
    shares_below: Vec<u64>,
    users: u32,
    decay_per_s: f64,
    /// Second of the last recalculation.
    pub(super) last_s: i64,
    next_reset_s: Option<i64>,
    fair_tree: bool,
    dampening: f64,
}

impl FairShare {
    pub(super) fn new(config: &SlurmConfig, now_s: i64) -> Self {
        let accounting = &config.accounting;
        let mut children = vec![Vec::new(); accounting.assocs.len()];
        for (at, assoc) in accounting.assocs.iter().enumerate() {
            if let Some(parent) = assoc.parent {
                let id = AssocId(u32::try_from(at).expect("fewer than 2^32 associations"));
                children[parent.0 as usize].push(id);
            }
        }
        let shares = |child: &AssocId| match accounting.assoc(*child).shares {
            Shares::Raw(n) => u64::from(n),
            Shares::Parent => 0,
        };
        let shares_below = children.iter().map(|below| below.iter().map(shares).sum()).collect();
        let half_life = config.priority.decay_half_life_s;
        let users = accounting.assocs.iter().filter(|a| a.user.is_some()).count();
        let mut fair = Self {
            raw: vec![0.0; accounting.assocs.len()],
            factor: vec![1.0; accounting.assocs.len()],
            children,
            shares_below,
            users: u32::try_from(users).expect("fewer than 2^32 users"),
            decay_per_s: if half_life > 0 { 1.0 - 0.693 / half_life as f64 } else { 1.0 },
            last_s: now_s,
            next_reset_s: config.priority.usage_reset_s.map(|period| now_s + period),
            fair_tree: !config.priority.no_fair_tree,
            dampening: f64::from(config.priority.dampening.max(1)),
        };
        fair.rank(accounting);
        fair
    }

    /// The fair-share factor of an association, 0 to 1.
    pub(super) fn factor(&self, assoc: AssocId) -> f64 {
        self.factor[assoc.0 as usize]
    }

    fn decay_over(&self, span_s: i64) -> f64 {
        libm::pow(self.decay_per_s, span_s.max(0) as f64)
    }

    fn add(&mut self, accounting: &Accounting, assoc: AssocId, units: f64) {
        for at in accounting.chain(assoc) {
            self.raw[at.0 as usize] += units;
        }
    }

    fn rank(&mut self, accounting: &Accounting) {
        if self.fair_tree {
            let mut ranking = Ranking { rank: self.users, untied: self.users };
            let top = self.children[0].clone();
            self.rank_level(accounting, &top, &mut ranking, false);
        } else {
            self.classic(accounting);
        }
    }

    /// One level of the tree: siblings by level fair share, tied accounts merged.
    fn rank_level(
        &mut self,
        accounting: &Accounting,
        siblings: &[AssocId],
        ranking: &mut Ranking,
        parent_tied: bool,
    ) {
        let mut rows: Vec<(f64, AssocId)> =
            siblings.iter().map(|a| (self.level(accounting, *a), *a)).collect();
        let is_user = |a: AssocId| accounting.assoc(a).user.is_some();
        rows.sort_by(|(x, a), (y, b)| y.total_cmp(x).then(is_user(*b).cmp(&is_user(*a))));
        let mut previous = None;
        let mut at = 0;
        while at < rows.len() {
            let (level, assoc) = rows[at];
            let tied = if at == 0 && parent_tied { true } else { previous == Some(level) };
            if is_user(assoc) {
                if !tied {
                    ranking.rank = ranking.untied;
                }
                self.factor[assoc.0 as usize] = f64::from(ranking.rank) / f64::from(self.users);
                ranking.untied -= 1;
                at += 1;
            } else {
                let to = (at + 1..rows.len()).find(|i| rows[*i].0 != level).unwrap_or(rows.len());
                let merged: Vec<AssocId> =
                    rows[at..to].iter().flat_map(|(_, a)| self.children[a.0 as usize].clone()).collect();
                self.rank_level(accounting, &merged, ranking, tied);
                at = to;
            }
            previous = Some(level);
        }
    }

    /// Level fair share: share among the siblings / usage among the siblings.
    fn level(&self, accounting: &Accounting, assoc: AssocId) -> f64 {
        let me = accounting.assoc(assoc);
        let Shares::Raw(mine) = me.shares else { return f64::INFINITY };
        let parent = me.parent.expect("the root has no level").0 as usize;
        let all = self.shares_below[parent];
        if mine == 0 {
            return 0.0;
        }
        let used = if self.raw[parent] > 0.0 { self.raw[assoc.0 as usize] / self.raw[parent] } else { 0.0 };
        f64::from(mine) / all as f64 / used
    }

    /// The classic formula: 2^(-effective usage / shares / dampening), shares and usage down the tree.
    fn classic(&mut self, accounting: &Accounting) {
        let total = self.raw[0];
        let mut norm = vec![(1.0, 0.0); accounting.assocs.len()];
        for at in 1..accounting.assocs.len() {
            let me = &accounting.assocs[at];
            let parent = me.parent.expect("only the root has none").0 as usize;
            let level = self.shares_below[parent];
            let (parent_shares, parent_effective): (f64, f64) = norm[parent];
            let used = if total > 0.0 { self.raw[at] / total } else { 0.0 };
            norm[at] = match me.shares {
                Shares::Raw(mine) => {
                    let share = f64::from(mine) / level.max(1) as f64;
                    let effective = if parent == 0 { used } else { used + (parent_effective - used) * share };
                    (parent_shares * share, effective)
                }
                Shares::Parent => norm[parent],
            };
            let (shares, effective) = norm[at];
            self.factor[at] =
                if shares > 0.0 { libm::pow(2.0, -(effective / shares) / self.dampening) } else { 0.0 };
        }
    }
}

/// The rank of the next user, with and without ties.
struct Ranking {
    rank: u32,
    untied: u32,
}

impl Controller<'_> {
    /// The periodic recalculation: decay, usage of running jobs, ranks, priorities of pending jobs.
    pub fn recalculate_priorities(&mut self, now_s: i64) {
        if !self.config.priority.multifactor {
            return;
        }
        if self.fair_share.next_reset_s.is_some_and(|at| now_s >= at) {
            self.fair_share.raw.fill(0.0);
            self.usage.minutes.reset();
            self.fair_share.next_reset_s =
                self.config.priority.usage_reset_s.map(|period| now_s + period.max(1));
        }
        let decay = self.fair_share.decay_over(now_s - self.fair_share.last_s);
        self.fair_share.raw.iter_mut().for_each(|raw| *raw *= decay);
        let qos = &self.config.accounting.qos;
        self.usage.minutes.decay(decay, |at| qos[at].flags.no_decay);
        let mut running = self.running.clone();
        running.sort_unstable();
        for job in running {
            self.account_usage(job, now_s);
        }
        self.fair_share.rank(&self.config.accounting);
        self.fair_share.last_s = now_s;
        for at in 0..self.pending.len() {
            self.reprioritize(self.pending[at], now_s);
        }
        let same_order = self.resort_queue();
        if !same_order || self.config.backfill.min_prio_reserve > 0 || self.usage.minutes.is_counted() {
            self.version += 1;
        }
        self.note_change(now_s);
    }

    /// Replaces all usage by what is known of the site at `now_s` (`sshare`): what running jobs used until
    /// then is in it. Associations that are not named have used nothing.
    pub fn set_usage(&mut self, known: &[(AssocId, f64)], now_s: i64) {
        for job in self.running.clone() {
            self.account_usage(job, now_s);
        }
        self.fair_share.raw.fill(0.0);
        for (assoc, raw) in known {
            self.fair_share.raw[assoc.0 as usize] = *raw;
        }
        self.fair_share.last_s = now_s;
        self.recalculate_priorities(now_s);
    }

    /// Adds a job's usage up to `now_s`.
    pub(super) fn account_usage(&mut self, job: JobIx, now_s: i64) {
        if !self.config.priority.multifactor {
            return;
        }
        let record = &mut self.jobs[job.at()];
        let from = record.usage_to_s.max(record.start_s);
        let span = (now_s - from).max(0);
        record.usage_to_s = now_s.max(from);
        let QosId(qos) = record.qos;
        let factor = self.config.accounting.qos[qos as usize].usage_factor;
        let weight = span as f64 * self.fair_share.decay_over(span);
        let units = weight * record.billing * factor;
        if let Some(assoc) = self.jobs[job.at()].assoc {
            self.fair_share.add(&self.config.accounting, assoc, units);
        }
        self.minutes_pass(job, span, weight * factor, span as f64 * factor);
    }
}

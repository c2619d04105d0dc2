//! Backfill cycles that would only repeat the one before.
//!
//! The thread wakes every `bf_interval`, also while nothing starts or ends. A cycle that started nothing does the same
//! again as long as nothing but time changed and no comparison with the present turns out differently: each of
//! them notes until when it stands. A job submitted meanwhile behind all that the cycle looked at leaves it
//! alike too, if it cannot start beside the reservations.

use super::controller::Controller;
use super::job::JobIx;

/// What is known of the last cycle.
#[derive(Clone, Debug)]
pub(super) struct QuietCycle {
    /// The controller's version that it belongs to.
    version: u64,
    /// The last second at which it would go the same way.
    until_s: i64,
    /// It reserved nodes, say.
    noted_change: bool,
    first_waiting: Option<JobIx>,
    /// Its last job, if jobs behind that one could only have ended it.
    last: Option<Last>,
    /// Submitted since.
    new: Vec<JobIx>,
}

/// Where a cycle ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Last {
    /// The last job that it looked at.
    pub(super) job: JobIx,
    /// A limit of tests or of the map's size ended it, whatever comes behind.
    pub(super) stopped: bool,
}

/// What a cycle tells about itself at its end.
pub(super) struct Walked {
    pub(super) same_until_s: i64,
    pub(super) last: Option<Last>,
}

impl Controller<'_> {
    /// Whether this cycle would only repeat the last one; then what is left to do is done.
    pub(super) fn repeats_quiet_cycle(&mut self, now_s: i64) -> bool {
        let Some(mut quiet) = self.quiet_cycle.take().filter(|_| !self.reasons_move()) else { return false };
        if quiet.version != self.version || now_s > quiet.until_s || !self.leave_it_alike(&mut quiet, now_s) {
            return false;
        }
        self.cycles.backfill += 1;
        self.cycles.backfill_depth += self.depth_of_cycle(self.ready_count());
        self.first_waiting = quiet.first_waiting;
        if quiet.noted_change {
            self.note_change(now_s);
        }
        self.quiet_cycle = Some(quiet);
        true
    }

    /// Whether passes and cycles write reasons over each other's: one that comes to a limit on amounts sets it, and one that
    /// does not come so far takes it away. Then none is left out.
    pub(super) fn reasons_move(&self) -> bool {
        self.limit_met_at == Some(self.version)
    }

    /// Whether the jobs submitted since change nothing.
    fn leave_it_alike(&mut self, quiet: &mut QuietCycle, now_s: i64) -> bool {
        if !self.all_are_ready() {
            return false;
        }
        for job in std::mem::take(&mut quiet.new) {
            let behind = quiet.last.filter(|last| self.is_before(last.job, job));
            let Some(last) = behind else { return false };
            if last.stopped {
                continue;
            }
            match self.blocked_until(job, now_s) {
                Some(until_s) => quiet.until_s = quiet.until_s.min(until_s),
                None => return false,
            }
        }
        now_s <= quiet.until_s
    }

    /// Remembers a cycle that went over all that was there at `version`.
    pub(super) fn remember_cycle(&mut self, version: u64, noted_change: bool, walked: &Walked) {
        let rules = &self.config.backfill;
        let depends_on_time = self.has_reservations()
            || self.preemption_enabled()
            || self.exclusive_users
            || self.waits_for_leaves()
            || rules.min_age_reserve_s > 0
            || rules.one_resv_per_job
            || rules.rule.is_ideal();
        let quiet = version == self.version && self.all_are_ready() && !depends_on_time;
        self.quiet_cycle = quiet.then(|| QuietCycle {
            version,
            until_s: walked.same_until_s,
            noted_change,
            first_waiting: self.first_waiting,
            last: walked.last,
            new: Vec::new(),
        });
    }

    /// Enters a submission into what is known.
    pub(super) fn note_submission(&mut self, job: JobIx) {
        let before = self.version;
        self.version += 1;
        if self.limit_met_at == Some(before) {
            self.limit_met_at = Some(self.version);
        }
        if let Some(quiet) = self.quiet_cycle.as_mut().filter(|quiet| quiet.version == before) {
            quiet.version = self.version;
            quiet.new.push(job);
        }
    }
}

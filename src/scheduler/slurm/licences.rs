//! Licences: counts of the whole site that jobs take beside nodes.
//!
//! A job whose licences are not there is passed over by both schedulers, blocks nobody and gets no reservation
//! (slurm-reference-newer; source: without `bf_licenses`). What reservations hold of a licence is nobody else's
//! while they overlap the job, also what their own jobs use of it: Slurm counts that twice. Of `a|b` the first that is
//! there is taken.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::config::SlurmConfig;
use super::controller::Controller;
use super::job::{JobIx, JobSpec, Reason};
use crate::workload::wishes::Licences;

/// Licences by number in the configuration, with counts.
pub type LicenceCounts = SmallVec<[(usize, u32); 1]>;

/// `--licenses` of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicenceAsk {
    /// Numbers of the licences in the configuration, with counts.
    pub wanted: LicenceCounts,
    /// One of them will do.
    pub one_of: bool,
    /// It names one that the site does not have.
    pub unknown: bool,
}

impl LicenceAsk {
    /// A list as a job names it, on this site; those that the site does not have are only noted.
    #[must_use]
    pub fn on(config: &SlurmConfig, list: &Licences) -> Self {
        let number = |name: &str| config.licences.iter().position(|licence| licence.name == name);
        let known = |(name, count): &(String, u32)| number(name).map(|at| (at, *count));
        let wanted: LicenceCounts = list.wanted.iter().filter_map(known).collect();
        Self { unknown: wanted.len() < list.wanted.len(), wanted, one_of: list.one_of }
    }
}

/// What is in use.
#[derive(Clone, Debug, Default)]
pub(super) struct LicenceUse {
    used: Vec<u32>,
    held: FxHashMap<JobIx, LicenceCounts>,
}

impl LicenceUse {
    pub(super) fn new(config: &SlurmConfig) -> Self {
        Self { used: vec![0; config.licences.len()], held: FxHashMap::default() }
    }
}

impl Controller<'_> {
    /// Whether the site has as many licences as a job asks for.
    pub(super) fn has_licences_for(&self, asked: &JobSpec) -> bool {
        let Some(ask) = &asked.licences else { return true };
        let mut enough = ask.wanted.iter().map(|(at, count)| *count <= self.config.licences[*at].count);
        !ask.unknown && if ask.one_of { enough.any(|is| is) } else { enough.all(|is| is) }
    }

    /// Whether the licences of a job are there, without a reason for anybody to read.
    pub(super) fn licences_are_there(&self, job: JobIx, now_s: i64) -> bool {
        let Some(ask) = &self.spec(job).licences else { return true };
        let mut free = ask.wanted.iter().map(|one| self.is_free(job, *one, now_s));
        if ask.one_of { free.any(|is| is) } else { free.all(|is| is) }
    }

    /// The same for the main scheduler, which writes down the reason.
    pub(super) fn licences_let(&mut self, job: JobIx, now_s: i64) -> bool {
        let there = self.licences_are_there(job, now_s);
        if !there {
            self.jobs[job.at()].reason = Reason::Licenses;
            self.note_change(now_s);
        }
        there
    }

    /// Whether so many of a licence are free while a job would run from now on.
    fn is_free(&self, job: JobIx, (licence, count): (usize, u32), now_s: i64) -> bool {
        let record = &self.jobs[job.at()];
        let end_s = now_s + i64::from(record.limit_min) * 60;
        let reserved: u64 = self
            .reservations
            .iter()
            .enumerate()
            .filter(|(at, r)| {
                !r.gone && record.reservation != Some(*at) && r.start_s < end_s && r.end_s > now_s
            })
            .flat_map(|(_, r)| r.licences.iter().filter(|(at, _)| *at == licence))
            .map(|(_, held)| u64::from(*held))
            .sum();
        let taken = u64::from(self.licences.used[licence]) + reserved + u64::from(count);
        taken <= u64::from(self.config.licences[licence].count)
    }

    /// A record starts.
    pub(super) fn take_licences(&mut self, job: JobIx, now_s: i64) {
        let Some(ask) = &self.spec(job).licences else { return };
        let mut taken = ask.wanted.clone();
        if ask.one_of {
            // a start as recorded asks nobody: the first one stands for what it took
            let at = taken.iter().position(|one| self.is_free(job, *one, now_s)).unwrap_or(0);
            taken = taken.get(at).copied().into_iter().collect();
        }
        taken.iter().for_each(|(at, count)| self.licences.used[*at] += count);
        self.licences.held.insert(job, taken);
    }

    /// A record ends.
    pub(super) fn give_licences_back(&mut self, job: JobIx) {
        let held = self.licences.held.remove(&job).into_iter().flatten();
        held.for_each(|(at, count)| self.licences.used[at] -= count);
    }

    /// How many of a licence are in use.
    #[must_use]
    pub fn licences_used(&self, licence: usize) -> u32 {
        self.licences.used[licence]
    }
}

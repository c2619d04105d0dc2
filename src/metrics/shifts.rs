//! Who wins and who loses by a change: waits of the same jobs in two runs, by account and user.
//!
//! Only jobs that started in both runs have a change of wait; those that started in one alone are counted.
//! Starvation is the largest growth of one job's wait.

use std::collections::BTreeMap;

use serde::Serialize;

use super::wait_us;
use crate::ids::{Id, JobId, TextId};
use crate::simulation::{JobState, Outcome};
use crate::time::MICROS_PER_S;
use crate::workload::Workload;

/// The wait of one job that grew most.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Starvation {
    /// Its id.
    pub job_id: String,
    /// Its wait before the change.
    pub before_s: f64,
    /// Its wait after it.
    pub after_s: f64,
}

/// What a change does to the jobs of one account or user.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Shift {
    /// Jobs that started in both runs.
    pub jobs: u64,
    /// Mean wait before.
    pub wait_mean_before_s: Option<f64>,
    /// Mean wait after.
    pub wait_mean_after_s: Option<f64>,
    /// After - before.
    pub wait_mean_change_s: Option<f64>,
    /// Jobs that wait longer, by a second or more.
    pub longer: u64,
    /// Jobs that wait less, by a second or more.
    pub shorter: u64,
    /// Jobs that started before the change, and not after it.
    pub no_longer_start: u64,
    /// Jobs that start only after the change.
    pub start_now: u64,
    /// The largest growth of one job's wait, if any grew by a second or more.
    pub starvation: Option<Starvation>,
}

/// What a change does to everybody.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Shifts {
    /// All jobs together.
    pub all: Shift,
    /// By account.
    pub account: BTreeMap<String, Shift>,
    /// By user.
    pub user: BTreeMap<String, Shift>,
}

/// Sums on the way to a [`Shift`].
#[derive(Clone, Default)]
struct Sums {
    jobs: i64,
    before_us: i128,
    after_us: i128,
    longer: u64,
    shorter: u64,
    no_longer_start: u64,
    start_now: u64,
    /// (growth, job, before, after)
    worst: Option<(i64, JobId, i64, i64)>,
}

impl Sums {
    fn add(&mut self, job: JobId, before: Option<i64>, after: Option<i64>) {
        match (before, after) {
            (Some(before), Some(after)) => {
                self.jobs += 1;
                self.before_us += i128::from(before);
                self.after_us += i128::from(after);
                let growth = after - before;
                self.longer += u64::from(growth >= MICROS_PER_S);
                self.shorter += u64::from(growth <= -MICROS_PER_S);
                if growth >= MICROS_PER_S && self.worst.is_none_or(|(most, ..)| growth > most) {
                    self.worst = Some((growth, job, before, after));
                }
            }
            (Some(_), None) => self.no_longer_start += 1,
            (None, Some(_)) => self.start_now += 1,
            (None, None) => {}
        }
    }

    fn shift(&self, workload: &Workload) -> Shift {
        let seconds = |us: i64| us as f64 / MICROS_PER_S as f64;
        let mean = |us: i128| (self.jobs > 0).then(|| us as f64 / self.jobs as f64 / MICROS_PER_S as f64);
        Shift {
            jobs: u64::try_from(self.jobs).expect("a count"),
            wait_mean_before_s: mean(self.before_us),
            wait_mean_after_s: mean(self.after_us),
            wait_mean_change_s: mean(self.after_us - self.before_us),
            longer: self.longer,
            shorter: self.shorter,
            no_longer_start: self.no_longer_start,
            start_now: self.start_now,
            starvation: self.worst.map(|(_, job, before, after)| Starvation {
                job_id: workload.job_name(job),
                before_s: seconds(before),
                after_s: seconds(after),
            }),
        }
    }
}

/// What `after` changes against `before`, two runs of the same jobs.
#[must_use]
pub fn shifts(workload: &Workload, before: &Outcome, after: &Outcome) -> Shifts {
    let mut all = Sums::default();
    let mut accounts: BTreeMap<TextId, Sums> = BTreeMap::new();
    let mut users: BTreeMap<TextId, Sums> = BTreeMap::new();
    for at in 0..workload.jobs.len() {
        let job = JobId::new(at);
        if before.records[job].state == JobState::Future {
            continue;
        }
        let waits = (wait_us(workload, before, job), wait_us(workload, after, job));
        let labels = workload.labels.get(workload.jobs[job].labels);
        all.add(job, waits.0, waits.1);
        if let Some(account) = labels.account {
            accounts.entry(account).or_default().add(job, waits.0, waits.1);
        }
        if let Some(user) = labels.user {
            users.entry(user).or_default().add(job, waits.0, waits.1);
        }
    }
    let named = |sums: BTreeMap<TextId, Sums>| -> BTreeMap<String, Shift> {
        let row = |(text, sums): (TextId, Sums)| (workload.texts.get(text).to_owned(), sums.shift(workload));
        sums.into_iter().map(row).collect()
    };
    Shifts { all: all.shift(workload), account: named(accounts), user: named(users) }
}

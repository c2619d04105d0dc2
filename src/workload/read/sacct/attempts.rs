//! Which records of a dump are one job: `sacct -D` writes a record for each size of a job that was resized, and for
//! each attempt of one that was requeued. Ids come again too, when they wrap around or clusters are dumped together:
//! another user, or a submission that nothing requeued, is another job.
//!
//! A requeued job keeps its first submission and first start (what its user waited for) and takes the run time, the
//! end and the state of its last attempt: what the attempts before did was lost. A resized job ran as long as all of
//! its parts together, with the size that it asked for first. Given up: the size of each part.

use rustc_hash::FxHashMap;

use super::job::SacctJob;
use crate::ids::JobId;
use crate::time::{MICROS_PER_S, SimDuration, SimTime};
use crate::workload::Workload;

/// States in which a record ends because the job goes back to the queue, or may.
const GOES_ON: [&str; 9] = [
    "BOOT_FAIL",
    "LAUNCH_FAILED",
    "NODE_FAIL",
    "PREEMPTED",
    "REQUEUED",
    "REQUEUE_FED",
    "REQUEUE_HOLD",
    "RESIZING",
    "SPECIAL_EXIT",
];

/// slurmctld submits a requeued job anew when its attempt ends, or a second later.
const RESUBMITTED_WITHIN: SimDuration = SimDuration::from_micros(2 * MICROS_PER_S);

/// Where the state says that the job goes on, epilogs and nodes that do not answer may come between.
const CLEANED_WITHIN: SimDuration = SimDuration::from_micros(3_600 * MICROS_PER_S);

/// A record as far as the next of its id is compared with it.
#[derive(Clone)]
pub(super) struct Record {
    user: Option<String>,
    submit: SimTime,
    start: SimTime,
    end: SimTime,
    state: String,
}

impl Record {
    pub(super) fn of(read: &SacctJob, workload: &Workload) -> Self {
        let job = &read.job;
        let text = |id: crate::ids::TextId| workload.texts.get(id).to_owned();
        let start = job.recorded.start.unwrap_or(job.submit);
        Self {
            user: job.labels.user.map(text),
            submit: job.submit,
            start,
            end: job.recorded.end.unwrap_or(start + job.run),
            state: job.recorded.state.map(text).unwrap_or_default(),
        }
    }

    /// Whether `later` goes on with the job of this record.
    fn goes_on_with(&self, later: &Self) -> bool {
        let is_same_user = self.user.is_none() || later.user.is_none() || self.user == later.user;
        let is_resubmitted = later.submit >= self.end && later.submit <= self.end + RESUBMITTED_WITHIN;
        let goes_on = GOES_ON.contains(&self.state.as_str())
            && later.submit >= self.start
            && later.submit <= self.end + CLEANED_WITHIN;
        is_same_user && (self.submit == later.submit || is_resubmitted || goes_on)
    }
}

/// What a record is to those of its id that came before.
pub(super) enum Told {
    /// The first of its id.
    New,
    /// The same record again.
    Twice,
    /// A further part of a job that is there (nowhere, if that was left out).
    Part { job: Option<JobId>, is_resized: bool, is_later: bool },
    /// Another job with the id, the so many-th.
    Another(u32),
}

struct Seen {
    count: u32,
    last: Record,
    job: Option<JobId>,
}

/// All ids with their last record.
#[derive(Default)]
pub(super) struct Attempts(FxHashMap<Box<str>, Seen>);

impl Attempts {
    /// Compares a record with the last one of its id.
    pub(super) fn look(&mut self, id: &str, record: &Record) -> Told {
        let Some(seen) = self.0.get_mut(id) else { return Told::New };
        let before = &seen.last;
        if before.start == record.start && before.submit == record.submit && before.user == record.user {
            return Told::Twice;
        }
        let is_later = record.start >= before.start;
        let (first, second) = if is_later { (before, record) } else { (record, before) };
        if first.goes_on_with(second) {
            let is_resized = first.state == "RESIZING";
            if is_later {
                seen.last = record.clone();
            }
            return Told::Part { job: seen.job, is_resized, is_later };
        }
        seen.count += 1;
        Told::Another(seen.count)
    }

    /// Remembers where the job of a record went.
    pub(super) fn remember(&mut self, id: &str, record: Record, job: Option<JobId>) {
        let count = self.0.get(id).map_or(1, |seen| seen.count);
        self.0.insert(id.into(), Seen { count, last: record, job });
    }
}

/// Adds a part to its job.
pub(super) fn add(workload: &mut Workload, id: JobId, part: &SacctJob, is_resized: bool, is_later: bool) {
    let job = &mut workload.jobs[id];
    let mut recorded = workload.recorded.get(id);
    let (now, of_part) = (&part.job, &part.job.recorded);
    let had_limit = !job.flags.has(crate::workload::JobFlags::LIMIT_UNKNOWN);
    job.submit = job.submit.min(now.submit);
    if is_resized {
        job.run += now.run;
    } else if is_later {
        job.run = now.run;
        recorded.gpu_util_milli = of_part.gpu_util_milli;
        recorded.gpu_mem_peak_mib = of_part.gpu_mem_peak_mib;
    }
    if !had_limit {
        job.limit = job.run;
    }
    recorded.start = recorded.start.min(of_part.start).or(recorded.start).or(of_part.start);
    if is_later {
        recorded.end = of_part.end;
        recorded.state = of_part.state;
        recorded.exit_code = of_part.exit_code;
    }
    workload.recorded.set(id, &recorded);
}

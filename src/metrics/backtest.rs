//! Simulated against recorded: how far a schedule is from what really happened to the same jobs.
//!
//! A job is judged where both its recorded and its simulated start are known and nothing but the scheduler
//! decided its wait; every other job is set aside with a reason ([`Standing`], decided by whoever made the
//! case). Definitions:
//!
//! - error of the mean wait: (simulated - recorded) / recorded, in per cent
//! - start error: simulated start - recorded start of the same job; quantiles are of its absolute value
//! - Wasserstein-1: mean distance between the sorted waits of both sides; Kolmogorov-Smirnov: the largest
//!   distance between their distribution functions
//! - moving mean: mean wait of the jobs submitted in the two weeks before an instant, every day; its error
//!   is the mean over the instants of |simulated - recorded| / recorded (FastSim, ISC High Performance 2023)
//! - utilization: allocated CPUs (GPUs) over installed ones, as means over equal steps, of the jobs whose
//!   recorded start is known
//!
//! Waits are integers until the last division.

mod curves;
mod distance;

use serde::Serialize;

use crate::cluster::ClusterSpec;
use crate::ids::{IdVec, JobId, TextId};
use crate::simulation::JobRecord;
use crate::time::{SimDuration, SimTime};
use crate::workload::{JobFlags, Labels, Workload};

use super::groups::{size_classes, size_name};
use super::quantiles::Spread;

pub use curves::{MovingMean, MovingPoint, UtilizationCurve, UtilizationPoint};
pub use distance::{kolmogorov_smirnov, wasserstein_1};

/// What a job is to the judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Judged.
    Judged,
    /// Pending when the window began: simulated, judged apart (part of its wait was given).
    PendingAtStart,
    /// Not judged, for this reason.
    SetAside(&'static str),
}

/// What is judged.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The jobs that were simulated, with their recorded starts.
    pub workload: &'a Workload,
    /// The machine.
    pub cluster: &'a ClusterSpec,
    /// What the simulation did with them.
    pub records: &'a IdVec<JobId, JobRecord>,
    /// What each job is to the judgement.
    pub standings: &'a IdVec<JobId, Standing>,
    /// Submit times that are judged: from, to.
    pub window: (SimTime, SimTime),
}

/// Both sides of a set of jobs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Compared {
    /// Jobs.
    pub jobs: u64,
    /// Recorded waits.
    pub recorded_wait_s: Spread,
    /// Simulated waits.
    pub simulated_wait_s: Spread,
    /// Error of the mean wait in per cent; none where the recorded mean is zero.
    pub mean_error_pct: Option<f64>,
    /// Simulated - recorded start: mean with sign.
    pub start_error_mean_s: Option<f64>,
    /// Its absolute value.
    pub start_error_absolute_s: Spread,
    /// Wasserstein-1 distance between the waits.
    pub wasserstein_1_s: Option<f64>,
    /// Kolmogorov-Smirnov distance between the waits.
    pub kolmogorov_smirnov: Option<f64>,
}

/// A part of the jobs under its name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NamedPart {
    /// Name of the part.
    pub name: String,
    /// Its figures.
    #[serde(flatten)]
    pub compared: Compared,
}

/// The judged jobs by part.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Parts {
    /// By partition.
    pub partition: Vec<NamedPart>,
    /// By QOS.
    pub qos: Vec<NamedPart>,
    /// The users with most judged jobs.
    pub user: Vec<NamedPart>,
    /// By GPUs, or CPUs where there are none, in powers of two.
    pub size: Vec<NamedPart>,
    /// By requested time.
    pub requested_time: Vec<NamedPart>,
}

/// A reason and its jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Aside {
    /// Why they are not judged.
    pub reason: &'static str,
    /// How many.
    pub jobs: u64,
}

/// The judgement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// All judged jobs.
    pub judged: Compared,
    /// Jobs that were pending when the window began.
    pub pending_at_start: Compared,
    /// The others, by reason.
    pub set_aside: Vec<Aside>,
    /// Moving mean of the wait.
    pub moving_mean: MovingMean,
    /// Utilization of both sides.
    pub utilization: UtilizationCurve,
    /// By part.
    pub parts: Parts,
}

impl Verdict {
    /// The headline: error of the moving mean in per cent, else of the mean.
    #[must_use]
    pub fn headline_pct(&self) -> Option<f64> {
        self.moving_mean.mean_absolute_error_pct.or(self.judged.mean_error_pct.map(f64::abs))
    }
}

/// Users shown.
const USERS: usize = 15;

/// One job of the comparison, in microseconds.
#[derive(Clone, Copy)]
struct Pair {
    job: JobId,
    submit: SimTime,
    recorded: i64,
    simulated: i64,
}

/// Judges a case.
#[must_use]
pub fn judge(case: &Case<'_>) -> Verdict {
    let mut asides: Vec<Aside> = Vec::new();
    let (mut judged, mut pending) = (Vec::new(), Vec::new());
    for (job, standing) in case.standings.iter_ids() {
        let reason = match (standing, pair(case, job)) {
            (Standing::Judged, Some(pair)) => {
                judged.push(pair);
                continue;
            }
            (Standing::PendingAtStart, Some(pair)) => {
                pending.push(pair);
                continue;
            }
            (Standing::SetAside(reason), _) => *reason,
            (_, None) => "did not start in the simulation",
        };
        match asides.iter_mut().find(|aside| aside.reason == reason) {
            Some(aside) => aside.jobs += 1,
            None => asides.push(Aside { reason, jobs: 1 }),
        }
    }
    asides.sort_by(|a, b| b.jobs.cmp(&a.jobs).then(a.reason.cmp(b.reason)));
    Verdict {
        judged: compare(&judged),
        pending_at_start: compare(&pending),
        set_aside: asides,
        moving_mean: curves::moving_mean(&points(&judged), case.window),
        utilization: curves::utilization(case),
        parts: parts(case, &judged),
    }
}

fn pair(case: &Case<'_>, job: JobId) -> Option<Pair> {
    let submit = case.workload.jobs[job].submit;
    let recorded = case.workload.recorded(job).start?;
    let simulated = Some(case.records[job].start).filter(|start| *start != SimTime::NEVER)?;
    let wait = |start: SimTime| start.saturating_since(submit).micros();
    Some(Pair { job, submit, recorded: wait(recorded), simulated: wait(simulated) })
}

fn points(pairs: &[Pair]) -> Vec<(SimTime, i64, i64)> {
    pairs.iter().map(|pair| (pair.submit, pair.recorded, pair.simulated)).collect()
}

/// Both sides of some jobs.
fn compare(pairs: &[Pair]) -> Compared {
    let mut recorded: Vec<i64> = pairs.iter().map(|pair| pair.recorded).collect();
    let mut simulated: Vec<i64> = pairs.iter().map(|pair| pair.simulated).collect();
    recorded.sort_unstable();
    simulated.sort_unstable();
    let (wasserstein_1_s, kolmogorov_smirnov) =
        (wasserstein_1(&recorded, &simulated), kolmogorov_smirnov(&recorded, &simulated));
    let sum = |waits: &[i64]| waits.iter().map(|wait| i128::from(*wait)).sum::<i128>();
    let (real, ours) = (sum(&recorded), sum(&simulated));
    let mut apart: Vec<i64> = pairs.iter().map(|pair| (pair.simulated - pair.recorded).abs()).collect();
    Compared {
        jobs: pairs.len() as u64,
        recorded_wait_s: Spread::of_micros(&mut recorded),
        simulated_wait_s: Spread::of_micros(&mut simulated),
        mean_error_pct: (real > 0).then(|| (ours - real) as f64 / real as f64 * 100.0),
        start_error_mean_s: (!pairs.is_empty()).then(|| (ours - real) as f64 / 1e6 / pairs.len() as f64),
        start_error_absolute_s: Spread::of_micros(&mut apart),
        wasserstein_1_s,
        kolmogorov_smirnov,
    }
}

fn parts(case: &Case<'_>, pairs: &[Pair]) -> Parts {
    let workload = case.workload;
    let by_text = |pick: fn(&Labels) -> Option<TextId>| {
        split(pairs, |pair| {
            let text = pick(workload.labels.get(workload.jobs[pair.job].labels));
            text.map(|id| workload.texts.get(id).to_owned())
        })
    };
    let sizes = size_classes(workload, case.cluster);
    let largest_first = |mut parts: Vec<NamedPart>| {
        parts.sort_by(|a, b| b.compared.jobs.cmp(&a.compared.jobs).then_with(|| a.name.cmp(&b.name)));
        parts
    };
    let mut user = largest_first(by_text(|labels| labels.user));
    user.truncate(USERS);
    let size = split(pairs, |pair| {
        Some(format!("{:02}{}", sizes[pair.job.0 as usize], size_name(sizes[pair.job.0 as usize])))
    });
    Parts {
        partition: largest_first(by_text(|labels| labels.partition)),
        qos: largest_first(by_text(|labels| labels.qos)),
        user,
        size: size.into_iter().map(|part| NamedPart { name: part.name[2..].to_owned(), ..part }).collect(),
        requested_time: requested_times(workload, pairs),
    }
}

/// Parts by name, names rising.
fn split(pairs: &[Pair], name: impl Fn(&Pair) -> Option<String>) -> Vec<NamedPart> {
    let mut found: std::collections::BTreeMap<String, Vec<Pair>> = std::collections::BTreeMap::new();
    for pair in pairs {
        if let Some(name) = name(pair) {
            found.entry(name).or_default().push(*pair);
        }
    }
    found.into_iter().map(|(name, pairs)| NamedPart { name, compared: compare(&pairs) }).collect()
}

/// Classes of requested time: upper bound in hours, and the name.
const TIMES: [(i64, &str); 6] = [
    (1, "up to 1 h"),
    (4, "1 to 4 h"),
    (12, "4 to 12 h"),
    (24, "12 to 24 h"),
    (72, "1 to 3 d"),
    (168, "3 to 7 d"),
];

fn requested_times(workload: &Workload, pairs: &[Pair]) -> Vec<NamedPart> {
    let class = |pair: &Pair| {
        let job = &workload.jobs[pair.job];
        if job.flags.has(JobFlags::LIMIT_UNKNOWN) {
            return TIMES.len() + 1;
        }
        let at = TIMES.iter().position(|(hours, _)| job.limit <= SimDuration::from_s(hours * 3600));
        at.unwrap_or(TIMES.len())
    };
    let mut classes: Vec<Vec<Pair>> = vec![Vec::new(); TIMES.len() + 2];
    for pair in pairs {
        classes[class(pair)].push(*pair);
    }
    let names = TIMES.iter().map(|(_, name)| *name).chain(["more than 7 d", "not known"]);
    names
        .zip(classes)
        .filter(|(_, pairs)| !pairs.is_empty())
        .map(|(name, pairs)| NamedPart { name: name.to_owned(), compared: compare(&pairs) })
        .collect()
}

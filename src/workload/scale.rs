//! Scales a workload: denser arrivals, longer runs, larger jobs; order and structure stay.
//!
//! Factors are held as integers in parts per billion, so the result is the same on every machine.
//! Equal submit times stay equal, hence arrays stay together and queue order is untouched. Recorded
//! starts and ends are dropped by every scaling of arrivals, runs or sizes, because that history
//! belongs to another load; what was recorded of the job itself (state, GPU use) stays.

use crate::diagnostic::Diagnostic;
use crate::ids::{Id, IdVec, JobId, RequestId};
use crate::random::mix;
use crate::time::{SimDuration, SimTime};

use super::{Extras, Recorded, RepairKind, Request, Workload};

const PARTS: i128 = 1_000_000_000;

/// Factors for arrivals, run times and sizes; 1 changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    arrivals: i128,
    run: i128,
    size: i128,
}

impl Default for Scale {
    fn default() -> Self {
        Self { arrivals: PARTS, run: PARTS, size: PARTS }
    }
}

impl Scale {
    /// Smallest and largest factor.
    pub const RANGE: (f64, f64) = (1e-3, 1e3);

    /// `arrivals = 2`: twice the jobs per hour; `run = 2`: twice the run times and limits; `size = 2`:
    /// twice the nodes, GPUs and CPUs. Factors are rounded to nine decimals.
    ///
    /// # Errors
    /// A diagnostic (W0130) for a factor outside [`Scale::RANGE`] or not a number.
    pub fn new(arrivals: f64, run: f64, size: f64) -> Result<Self, Diagnostic> {
        let parts = |name: &str, factor: f64| {
            if factor >= Self::RANGE.0 && factor <= Self::RANGE.1 {
                return Ok((factor * PARTS as f64).round() as i128);
            }
            let message = format!("scale.{name} is {factor}; it must be between 0.001 and 1000");
            Err(Diagnostic::error("W0130", message).help("1 changes nothing, 2 doubles"))
        };
        Ok(Self {
            arrivals: parts("arrivals", arrivals)?,
            run: parts("run", run)?,
            size: parts("size", size)?,
        })
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        *self == Self::default()
    }

    /// Factors on arrivals, run times and sizes, for reports.
    #[must_use]
    pub fn factors(&self) -> [f64; 3] {
        [self.arrivals, self.run, self.size].map(|parts| parts as f64 / PARTS as f64)
    }
}

/// The scaled workload.
///
/// Sizes: the leading count of a request (nodes, else GPUs, else tasks, else CPUs) is multiplied and
/// rounded up or down with the probability of its fraction, by a draw that depends only on the job's
/// position, so the mean is kept; the other totals follow it, what a node or task holds is unchanged.
///
/// # Errors
/// A diagnostic (W0131) if a time would lie beyond [`SimTime::MAX`].
pub fn scale(mut workload: Workload, factors: &Scale) -> Result<Workload, Diagnostic> {
    if factors.is_identity() {
        return Ok(workload);
    }
    let zero = workload.first_submit();
    scale_times(&mut workload, factors, zero)?;
    if factors.size != PARTS {
        scale_sizes(&mut workload, factors.size);
    }
    drop_history(&mut workload);
    Ok(workload)
}

fn too_late() -> Diagnostic {
    Diagnostic::error("W0131", "a scaled time lies beyond 10^12 seconds")
        .help("use factors nearer to 1, or a shorter window of the trace")
}

fn scale_times(workload: &mut Workload, factors: &Scale, zero: SimTime) -> Result<(), Diagnostic> {
    let fits = |micros: i128| {
        i64::try_from(micros).ok().filter(|m| *m <= SimTime::MAX.micros()).ok_or_else(too_late)
    };
    let new_submit = |submit: SimTime| -> Result<SimTime, Diagnostic> {
        let gap = i128::from(submit.micros()) - i128::from(zero.micros());
        Ok(SimTime::from_micros(fits(i128::from(zero.micros()) + gap * PARTS / factors.arrivals)?))
    };
    let new_span = |span: SimDuration| -> Result<SimDuration, Diagnostic> {
        let micros = i128::from(span.micros()) * factors.run / PARTS;
        Ok(SimDuration::from_micros(fits(micros.max(1))?))
    };
    // Begin and cancel times keep their distance to the submission that they belong to.
    for (id, extras) in &mut workload.extras {
        let submit = workload.jobs[*id].submit;
        let moved = new_submit(submit)?.micros() - submit.micros();
        for time in [&mut extras.begin, &mut extras.cancel].into_iter().flatten() {
            *time = SimTime::from_micros(fits(i128::from(time.micros()) + i128::from(moved))?.max(0));
        }
        move_deadline(extras, &mut workload.texts, moved);
    }
    for job in workload.jobs.as_mut_slice() {
        job.submit = new_submit(job.submit)?;
        job.run = new_span(job.run)?;
        job.limit = new_span(job.limit)?;
    }
    Ok(())
}

/// The deadline is kept as text among the columns without effect; it moves with the submission.
fn move_deadline(extras: &mut Extras, texts: &mut super::Texts, moved: i64) {
    for (name, value) in &mut extras.other {
        if texts.get(*name) == "deadline_s"
            && let Ok(micros) = crate::time::parse_seconds_micros(texts.get(*value).as_bytes())
        {
            *value = texts.intern(&SimTime::from_micros(micros.saturating_add(moved).max(0)).to_string());
        }
    }
}

fn scale_sizes(workload: &mut Workload, size: i128) {
    let old = std::mem::take(&mut workload.requests);
    let mut rounded: Vec<[Option<RequestId>; 2]> = vec![[None; 2]; old.len()];
    for (at, job) in workload.jobs.as_mut_slice().iter_mut().enumerate() {
        let request = old.get(job.request);
        let up = rounds_up(leading(request), size, at as u64);
        let known = &mut rounded[job.request.index()][usize::from(up)];
        job.request =
            *known.get_or_insert_with(|| workload.requests.intern(&scaled_request(request, size, up)));
    }
}

/// The count that leads a request; one where nothing is said.
fn leading(request: &Request) -> u32 {
    request.nodes.or(request.gpus).or(request.tasks).or(request.cpus).unwrap_or(1)
}

fn rounds_up(count: u32, size: i128, job: u64) -> bool {
    let fraction = i128::from(count) * size % PARTS;
    // The purpose word keeps this draw apart from other draws for the same job.
    i128::from(mix(mix(job) ^ 0x7363_616c_655f_7369) % PARTS as u64) < fraction
}

fn scaled_request(request: &Request, size: i128, up: bool) -> Request {
    let from = leading(request);
    let to = (i128::from(from) * size / PARTS + i128::from(up)).max(1);
    let to = u32::try_from(to).unwrap_or(u32::MAX).min(i32::MAX as u32);
    let follow = |count: Option<u32>| {
        count.map(|count| {
            let exact = u64::from(count) * u64::from(to);
            let nearest = (exact + u64::from(from) / 2) / u64::from(from);
            u32::try_from(nearest.max(1)).unwrap_or(u32::MAX).min(i32::MAX as u32)
        })
    };
    let mut scaled = request.clone();
    scaled.nodes = follow(request.nodes);
    scaled.gpus = follow(request.gpus);
    scaled.tasks = follow(request.tasks);
    scaled.cpus = follow(request.cpus);
    let says_a_total = request.nodes.or(request.gpus).or(request.tasks).or(request.cpus).is_some();
    if !says_a_total && request.gpus_per_node.is_some() {
        scaled.nodes = Some(to);
    } else if !says_a_total && (request.gpu_milli.is_some() || request.mig_profile.is_some()) {
        scaled.gpus = Some(to);
    } else if !says_a_total {
        scaled.tasks = Some(to);
    }
    scaled
}

/// Recorded starts and ends belong to the load that was; dropping them is counted.
fn drop_history(workload: &mut Workload) {
    let jobs: Vec<JobId> = workload.jobs.ids().collect();
    for id in jobs {
        let row = workload.recorded(id);
        if row.start.or(row.work_start).or(row.end).or(row.eligible).is_some() {
            let kept = Recorded { start: None, work_start: None, end: None, eligible: None, ..row };
            workload.recorded.set(id, &kept);
            let reason = "recorded start and end dropped by scaling";
            workload
                .repairs
                .add(RepairKind::Changed, reason, 0, || format!("job {}", workload_name(&workload.jobs, id)));
        }
    }
    workload.recorded.drop_empty_columns();
}

fn workload_name(jobs: &IdVec<JobId, super::Job>, id: JobId) -> String {
    format!("at position {} (submitted {} s)", id.index() + 1, jobs[id].submit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{Job, JobFlags, JobName, Labels};
    use proptest::prelude::*;

    fn workload(rows: &[(i64, i64, Request)]) -> Workload {
        let mut workload = Workload::default();
        let labels = workload.labels.intern(&Labels::default());
        for (at, (submit, run, request)) in rows.iter().enumerate() {
            let request = workload.requests.intern(request);
            workload.jobs.push(Job {
                submit: SimTime::from_micros(*submit),
                run: SimDuration::from_micros(*run),
                limit: SimDuration::from_micros(*run * 2),
                priority: 0,
                name: JobName::Number(at as u32),
                request,
                labels,
                flags: JobFlags::default(),
            });
        }
        workload
    }

    #[test]
    fn doubling_is_exact() {
        let request =
            Request { nodes: Some(2), gpus: Some(16), cpus_per_task: Some(4), ..Request::default() };
        let rows = [(100, 50, request.clone()), (200, 70, request)];
        let scaled = scale(workload(&rows), &Scale::new(2.0, 3.0, 2.0).expect("valid")).expect("fits");
        let job = &scaled.jobs[JobId(1)];
        assert_eq!((job.submit.micros(), job.run.micros(), job.limit.micros()), (150, 210, 420));
        let request = scaled.requests.get(job.request);
        assert_eq!((request.nodes, request.gpus, request.cpus_per_task), (Some(4), Some(32), Some(4)));
    }

    #[test]
    fn sizes_keep_their_mean_and_are_at_least_one() {
        let request = Request { gpus: Some(1), ..Request::default() };
        let rows: Vec<(i64, i64, Request)> = (0..10_000).map(|at| (at, 10, request.clone())).collect();
        let total = |factor| -> u64 {
            let scaled = scale(workload(&rows), &Scale::new(1.0, 1.0, factor).expect("valid")).expect("fits");
            scaled.jobs.iter().map(|job| scaled.requests.get(job.request).total_gpus()).sum()
        };
        // Standard deviation of the sum of 10,000 draws with p = 0.3 is 46.
        assert!((12_800..13_200).contains(&total(1.3)), "{}", total(1.3));
        assert_eq!(total(0.3), 10_000);
    }

    #[test]
    fn factors_out_of_range_are_told() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e4] {
            assert!(Scale::new(bad, 1.0, 1.0).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn order_and_equal_times_stay(
            mut submits in proptest::collection::vec(0i64..1_000_000_000_000, 1..50),
            arrivals in 0.001f64..1000.0,
            run in 0.001f64..1000.0,
        ) {
            submits.sort_unstable();
            let rows: Vec<(i64, i64, Request)> =
                submits.iter().map(|s| (*s, 1 + s % 1000, Request::default())).collect();
            let before = workload(&rows);
            let after = scale(before.clone(), &Scale::new(arrivals, run, 1.0).expect("valid")).expect("fits");
            prop_assert_eq!(after.first_submit(), before.first_submit());
            for (one, two) in before.jobs.ids().zip(before.jobs.ids().skip(1)) {
                prop_assert!(after.jobs[one].submit <= after.jobs[two].submit);
                if before.jobs[one].submit == before.jobs[two].submit {
                    prop_assert_eq!(after.jobs[one].submit, after.jobs[two].submit);
                }
            }
            for job in after.jobs.iter() {
                prop_assert!(job.run > SimDuration::ZERO && job.limit >= job.run);
            }
        }
    }
}

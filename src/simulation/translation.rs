//! Work moved to other GPUs: how fast each job runs on each pool, against the platform that it ran on.
//!
//! A run of `r` microseconds at speed `s` (parts of 10^9) is work of `r` x 10^9 and takes ceil(work / s)
//! microseconds: integers, so nothing depends on how often it is worked out. The speed of a job on a pool
//! is constant, so its end is known when it starts.
//!
//! A limit is asked for before it is known where the job will run. It is stretched as the run on the
//! slowest pool that can hold the job would be, and so is the run time where the trace has no limit.
//!
//! Who has which speed is worked out elsewhere; this room only uses it. Metrics go on reading the recorded
//! jobs: what a job delivers is counted in hours of the platform that it ran on.

use rustc_hash::FxHashMap;

use crate::ids::{Id, IdVec, JobId, PoolId, RequestId};
use crate::scheduler::Shapes;
use crate::time::SimDuration;
use crate::workload::Workload;

/// Speed relative to the platform on which a job was recorded, in parts of 10^9; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Speed(u64);

impl Speed {
    /// As fast as recorded.
    pub const ONE: Self = Self(1_000_000_000);

    /// The nearest speed; `None` unless `ratio` lies between 10^-6 and 10^6.
    #[must_use]
    pub fn from_ratio(ratio: f64) -> Option<Self> {
        let legal = (1e-6..=1e6).contains(&ratio);
        legal.then(|| Self(libm::round(ratio * 1e9) as u64))
    }

    /// So many parts of 10^9, at least one.
    pub(super) fn of_parts(parts: u64) -> Self {
        Self(parts.max(1))
    }

    /// Parts of 10^9.
    #[must_use]
    pub fn parts(self) -> u64 {
        self.0
    }

    /// As a ratio, for reports.
    #[must_use]
    pub fn ratio(self) -> f64 {
        self.0 as f64 / Self::ONE.0 as f64
    }

    /// Both together, rounded down; never zero.
    #[must_use]
    pub fn times(self, other: Self) -> Self {
        let parts = u128::from(self.0) * u128::from(other.0) / u128::from(Self::ONE.0);
        Self(u64::try_from(parts).unwrap_or(u64::MAX).max(1))
    }

    /// How long recorded work takes at this speed, rounded up to a microsecond; at most the longest span.
    #[must_use]
    pub fn time_of(self, recorded: SimDuration) -> SimDuration {
        if self == Self::ONE {
            return recorded;
        }
        let work = i128::from(recorded.micros()) * i128::from(Self::ONE.0);
        let speed = i128::from(self.0);
        let micros = (work + speed - 1).div_euclid(speed);
        SimDuration::from_micros(micros.min(i128::from(SimDuration::MAX.micros())) as i64)
    }
}

/// Speeds of all jobs on all pools of a design. Jobs alike in class and platform share a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speeds {
    row_of: IdVec<JobId, u16>,
    rows: Vec<IdVec<PoolId, Speed>>,
}

impl Speeds {
    /// Speeds by row; each job has one of the rows.
    ///
    /// # Panics
    /// If a job names a row that is not there.
    #[must_use]
    pub fn new(row_of: IdVec<JobId, u16>, rows: Vec<IdVec<PoolId, Speed>>) -> Self {
        assert!(row_of.iter().all(|row| usize::from(*row) < rows.len()), "every job has a row");
        Self { row_of, rows }
    }

    /// The speed of a job on a pool.
    #[inline]
    #[must_use]
    pub fn on(&self, job: JobId, pool: PoolId) -> Speed {
        self.rows[usize::from(self.row_of[job])][pool]
    }

    /// The same jobs at other speeds: `faster` tells by how much a job is faster still, by pool, as a row that jobs alike
    /// share.
    #[must_use]
    pub fn times(&self, row_of: &IdVec<JobId, u16>, rows: &[IdVec<PoolId, Speed>]) -> Self {
        let mut known: FxHashMap<(u16, u16), u16> = FxHashMap::default();
        let mut both = Vec::new();
        let mut joint = |pair: (u16, u16)| {
            *known.entry(pair).or_insert_with(|| {
                let pools = self.rows[usize::from(pair.0)].iter().zip(rows[usize::from(pair.1)].iter());
                both.push(pools.map(|(a, b)| a.times(*b)).collect::<IdVec<PoolId, Speed>>());
                u16::try_from(both.len() - 1).expect("a trace has fewer than 2^16 kinds of jobs")
            })
        };
        let row_of = self.row_of.iter().zip(row_of.iter()).map(|(a, b)| joint((*a, *b))).collect();
        Self { row_of, rows: both }
    }

    /// The jobs as a scheduler sees them: run times and limits as on the slowest pool that can hold each.
    #[must_use]
    pub fn slowest(&self, workload: &Workload, shapes: &Shapes) -> Workload {
        self.slowest_of(workload, |request| shapes.get(shapes.of(request)).pools.iter().map(|pool| pool.pool))
    }

    /// The same where `pools` tells which pools can hold a request.
    pub(super) fn slowest_of<P: Iterator<Item = PoolId>>(
        &self,
        workload: &Workload,
        pools: impl Fn(RequestId) -> P,
    ) -> Workload {
        let mut translated = workload.clone();
        for at in 0..workload.jobs.len() {
            let job = JobId::new(at);
            let row = &mut translated.jobs[job];
            if let Some(speed) = pools(row.request).map(|pool| self.on(job, pool)).min() {
                row.run = speed.time_of(row.run);
                row.limit = speed.time_of(row.limit);
            }
        }
        translated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_up_and_exact() {
        let micros = |n| SimDuration::from_micros(n);
        assert_eq!(Speed::ONE.time_of(micros(7)), micros(7));
        assert_eq!(Speed::from_ratio(2.0).unwrap().time_of(micros(7)), micros(4));
        assert_eq!(Speed::from_ratio(0.5).unwrap().time_of(micros(7)), micros(14));
        // 10^15 us at 3/2: 666,666,666,666,666.67
        let speed = Speed::from_ratio(1.5).unwrap();
        assert_eq!(speed.time_of(micros(1_000_000_000_000_000)), micros(666_666_666_666_667));
        assert_eq!(Speed::from_ratio(1e-6).unwrap().time_of(SimDuration::MAX), SimDuration::MAX);
        assert_eq!(Speed::from_ratio(0.0), None);
        assert_eq!(Speed::from_ratio(f64::NAN), None);
    }
}

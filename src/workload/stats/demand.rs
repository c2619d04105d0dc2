//! Demand on an unlimited cluster: a sweep over starts and ends.

use super::{DemandStats, Row, moments};

const HOUR: i64 = 3_600_000_000;
const WEEK: i64 = 168 * HOUR;

/// Demand for one resource between the first and the last submit.
pub(super) struct Demand {
    span: i64,
    /// Time with any demand.
    busy: i64,
    peak: u64,
    /// Units x microseconds.
    total: u128,
    /// The same by hour from the first submit; the last hour may be a part.
    hourly: Vec<u128>,
}

impl Demand {
    /// `None` if no job asks for any, or all are submitted at one instant.
    pub(super) fn of(rows: &[Row<'_>], units: impl Fn(&Row<'_>) -> u64) -> Option<Self> {
        let first = rows.first()?.job.submit.micros();
        let span = rows.last()?.job.submit.micros() - first;
        let mut changes: Vec<(i64, i64)> = Vec::new();
        for row in rows {
            let asked = i64::try_from(units(row)).unwrap_or(i64::MAX);
            let from = row.job.submit.micros() - first;
            let to = (from + row.job.run.micros()).min(span);
            if asked > 0 && from < to {
                changes.push((from, asked));
                changes.push((to, -asked));
            }
        }
        if changes.is_empty() {
            return None;
        }
        // Ends come before starts at one instant, so that a job after another is no peak.
        changes.sort_unstable();
        Some(Self::sweep(&changes, span))
    }

    fn sweep(changes: &[(i64, i64)], span: i64) -> Self {
        let hours = (span + HOUR - 1) / HOUR;
        let mut demand = Self { span, busy: 0, peak: 0, total: 0, hourly: vec![0; hours as usize] };
        let mut level: i64 = 0;
        let mut since = 0;
        for (at, change) in changes {
            if level > 0 {
                demand.add(since, *at, level as u64);
            }
            level += change;
            since = *at;
            demand.peak = demand.peak.max(level as u64);
        }
        demand
    }

    fn add(&mut self, from: i64, to: i64, level: u64) {
        self.busy += to - from;
        self.total += (to - from) as u128 * u128::from(level);
        let mut at = from;
        while at < to {
            let end = ((at / HOUR + 1) * HOUR).min(to);
            self.hourly[(at / HOUR) as usize] += (end - at) as u128 * u128::from(level);
            at = end;
        }
    }

    /// The figures, in units of `unit` (1000 for thousandths).
    pub(super) fn stats(&self, unit: f64) -> Option<DemandStats> {
        let mean = self.total as f64 / self.span as f64;
        let peak_hour = self.hourly.iter().max().copied()? as f64 / HOUR.min(self.span) as f64;
        Some(DemandStats {
            duty_cycle: self.busy as f64 / self.span as f64,
            mean: mean / unit,
            peak: self.peak as f64 / unit,
            mean_over_peak: mean / self.peak as f64,
            hourly_peak_to_mean: peak_hour / mean,
            weekly_variation: self.weekly_variation(),
        })
    }

    fn weekly_variation(&self) -> Option<f64> {
        let weeks = (self.span / WEEK) as usize;
        let sums: Vec<f64> =
            self.hourly.chunks(168).take(weeks).map(|w| w.iter().sum::<u128>() as f64).collect();
        let (mean, variance) = moments(&sums)?;
        (mean > 0.0).then(|| libm::sqrt(variance) / mean)
    }
}

//! When bursts begin: the rate over hours, weekdays and weeks, integrated and inverted.

use super::Settings;
use crate::random::Stream;

const HOUR_S: f64 = 3600.0;
const HOURS_IN_WEEK: usize = 168;

/// The integrated rate of one class over the whole span, hour by hour.
pub(super) struct Cycle {
    /// Integral up to the start of each hour; the last is the whole span's.
    passed: Vec<f64>,
    span_s: f64,
}

impl Cycle {
    /// The rate of a class that follows the shape to the power `sharpness` over `span_s` seconds from a
    /// Monday, midnight. The luck of a week is the same for all classes.
    pub(super) fn new(settings: &Settings, sharpness: f64, span_s: f64, seed: u64) -> Self {
        let hours = (span_s / HOUR_S).ceil().max(1.0) as usize;
        let shape: Vec<f64> = (0..HOURS_IN_WEEK)
            .map(|h| libm::pow(settings.hours[h % 24] * settings.weekdays[h / 24], sharpness))
            .collect();
        let mut passed = Vec::with_capacity(hours + 1);
        let mut sum = 0.0;
        let mut week_rate = 1.0;
        for hour in 0..hours {
            if hour % HOURS_IN_WEEK == 0 {
                let mut stream =
                    Stream::new(seed, "generate.research.week", (hour / HOURS_IN_WEEK) as u64, 0);
                week_rate = stream.lognormal(1.0, settings.week_sigma);
            }
            passed.push(sum);
            let width = (span_s - hour as f64 * HOUR_S).min(HOUR_S) / HOUR_S;
            sum += shape[hour % HOURS_IN_WEEK] * week_rate * width;
        }
        passed.push(sum);
        Self { passed, span_s }
    }

    /// The instant, in seconds, up to which the share `part` of all bursts has begun.
    pub(super) fn time_s(&self, part: f64) -> f64 {
        let last = self.passed.len() - 1;
        let at = part * self.passed[last];
        let hour = self.passed.partition_point(|p| *p <= at).clamp(1, last) - 1;
        let width = (self.span_s - hour as f64 * HOUR_S).min(HOUR_S);
        let within = (at - self.passed[hour]) / (self.passed[hour + 1] - self.passed[hour]);
        hour as f64 * HOUR_S + within * width
    }
}

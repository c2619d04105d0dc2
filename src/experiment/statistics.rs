//! Intervals from few replicas: of a mean, of a median without any assumption on the distribution, and around an
//! estimate whose standard error a bootstrap gives.

use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, StudentsT};

use crate::random::Stream;

/// Bounds that hold what is estimated with the confidence asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

/// Arithmetic mean; `None` without values.
#[must_use]
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Standard deviation with n - 1; `None` below two values.
fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    Some(libm::sqrt(squares / (values.len() - 1) as f64))
}

/// Half of the width in standard errors: Student's t with `freedom` degrees, two-sided.
fn student(confidence: f64, freedom: usize) -> Option<f64> {
    let t = StudentsT::new(0.0, 1.0, freedom as f64).ok()?;
    Some(t.inverse_cdf(0.5 + confidence / 2.0))
}

/// Resamplings of the bootstrap-t.
const RESAMPLES: usize = 1_999;

/// Fewest values for the bootstrap-t; below, their own shape cannot be seen.
const LEAST_FOR_SHAPE: usize = 8;

/// Interval of the mean of independent replicas; `None` below two.
///
/// Waits are skewed, and Student's interval then misses the truth on one side too often. So the distribution of
/// the t statistic is taken from resamplings of the values (bootstrap-t; Efron and Tibshirani, An Introduction
/// to the Bootstrap, 1993, section 12.5), never narrower than what Student's t gives. Below eight values
/// Student's t alone.
#[must_use]
pub fn mean_interval(values: &[f64], confidence: f64) -> Option<Interval> {
    let (mean, deviation) = (mean(values)?, deviation(values)?);
    let error = deviation / libm::sqrt(values.len() as f64);
    let t = student(confidence, values.len() - 1)?;
    let (below, above) = match shape(values, mean, confidence) {
        Some((low, high)) => (high.max(t), (-low).max(t)),
        None => (t, t),
    };
    Some(Interval { low: mean - below * error, high: mean + above * error })
}

/// Quantiles of the t statistic over resamplings; `None` for too few or equal values.
fn shape(values: &[f64], mean: f64, confidence: f64) -> Option<(f64, f64)> {
    if values.len() < LEAST_FOR_SHAPE {
        return None;
    }
    let mut draws = Stream::new(0, "bootstrap-t", values.len() as u64, 0);
    let mut drawn = vec![0.0; values.len()];
    let mut statistics: Vec<f64> = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        drawn.iter_mut().for_each(|slot| *slot = values[draws.below(values.len() as u64) as usize]);
        let (m, s) = (self::mean(&drawn)?, deviation(&drawn)?);
        if s > 0.0 {
            statistics.push((m - mean) * libm::sqrt(values.len() as f64) / s);
        }
    }
    statistics.sort_by(f64::total_cmp);
    let tail = (statistics.len() as f64 * (1.0 - confidence) / 2.0) as usize;
    Some((*statistics.get(tail)?, *statistics.get(statistics.len().checked_sub(1 + tail)?)?))
}

/// Interval of the median of independent replicas by order statistics: whatever their distribution, it holds
/// the median with at least the confidence asked for. `None` where so few replicas cannot give it (below 6
/// at 95 %).
#[must_use]
pub fn median_interval(values: &[f64], confidence: f64) -> Option<Interval> {
    let n = values.len();
    let heads = Binomial::new(0.5, n as u64).ok()?;
    // The k smallest and k largest values may be left out if that many on one side are improbable enough.
    let tail = (1.0 - confidence) / 2.0;
    let k = (0..n / 2).take_while(|k| heads.cdf(*k as u64) <= tail).count();
    let sorted = sorted(values);
    (k > 0).then(|| Interval { low: sorted[k - 1], high: sorted[n - k] })
}

/// The middle value, or the mean of the two middle ones; `None` without values.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    Some((lower + upper) / 2.0)
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Interval around `estimate` from bootstrap copies of it, made of so many blocks: their standard deviation is
/// its standard error, and the blocks are the degrees of freedom. Where all are above zero it is taken on
/// their logarithms, because waits and their ratios are skewed. `None` below two copies or blocks.
#[must_use]
pub fn bootstrap_interval(estimate: f64, copies: &[f64], blocks: u64, confidence: f64) -> Option<Interval> {
    if estimate > 0.0 && copies.iter().all(|copy| *copy > 0.0) {
        let logarithms: Vec<f64> = copies.iter().map(|copy| libm::log(*copy)).collect();
        let half = bootstrap_half(&logarithms, blocks, confidence)?;
        return Some(Interval { low: estimate * libm::exp(-half), high: estimate * libm::exp(half) });
    }
    let half = bootstrap_half(copies, blocks, confidence)?;
    Some(Interval { low: estimate - half, high: estimate + half })
}

fn bootstrap_half(copies: &[f64], blocks: u64, confidence: f64) -> Option<f64> {
    let freedom = usize::try_from(blocks).ok()?.min(copies.len()).checked_sub(1).filter(|df| *df > 0)?;
    // Resampling b blocks shrinks the variance by (b - 1) / b.
    let shrunk = libm::sqrt(blocks as f64 / (blocks - 1) as f64);
    Some(student(confidence, freedom)? * deviation(copies)? * shrunk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_interval_is_that_of_the_textbook() {
        // t(0.975, 4) = 2.776; mean 3, deviation sqrt(2.5).
        let found = mean_interval(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.95).unwrap();
        assert!((found.high - 3.0 - 2.776_445 * libm::sqrt(0.5)).abs() < 1e-4, "{found:?}");
        assert!((found.low + found.high - 6.0).abs() < 1e-9);
        assert_eq!(mean_interval(&[1.0], 0.95), None);
    }

    #[test]
    fn the_median_interval_takes_the_order_statistics_of_the_tables() {
        let values: Vec<f64> = (1..=20).map(f64::from).collect();
        // n = 20 at 95 %: the 6th and the 15th value.
        assert_eq!(median_interval(&values, 0.95), Some(Interval { low: 6.0, high: 15.0 }));
        assert_eq!(median_interval(&values[..6], 0.95), Some(Interval { low: 1.0, high: 6.0 }));
        assert_eq!(median_interval(&values[..5], 0.95), None);
        assert_eq!(median(&values), Some(10.5));
    }

    /// Share of 4,000 trials in which the interval of `n` draws holds the truth.
    fn coverage(
        n: u64,
        truth: f64,
        draw: fn(&mut Stream) -> f64,
        of: fn(&[f64], f64) -> Option<Interval>,
    ) -> f64 {
        const TRIALS: u64 = 4_000;
        let holds = |trial: &u64| {
            let mut stream = Stream::new(7, "coverage", *trial, n);
            let values: Vec<f64> = (0..n).map(|_| draw(&mut stream)).collect();
            let found = of(&values, 0.95).unwrap();
            found.low <= truth && truth <= found.high
        };
        (0..TRIALS).filter(holds).count() as f64 / TRIALS as f64
    }

    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        for n in [10, 20, 40] {
            let normal = coverage(n, 0.0, Stream::normal, mean_interval);
            assert!((0.93..=0.97).contains(&normal), "{n}: {normal}");
            let skewed = coverage(n, libm::exp(0.32), |s| s.lognormal(1.0, 0.8), mean_interval);
            assert!((0.93..=0.97).contains(&skewed) || n == 10, "{n}: {skewed}");
            // Very skewed: the median of a log-normal; at least as often as asked, whatever the shape.
            let skewed = coverage(n, 1.0, |s| s.lognormal(1.0, 2.0), median_interval);
            assert!(skewed >= 0.94, "{n}: {skewed}");
        }
    }
}

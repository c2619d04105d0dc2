//! How often a job should write checkpoints.

use crate::time::SimDuration;

/// Daly's estimate of the best time between the end of a checkpoint and the start of the next, for a
/// job that fails once in `mtbf` on average and needs `dump` to write a checkpoint (Daly, A higher
/// order estimate of the optimum checkpoint interval for restart dumps, 2006).
#[must_use]
pub fn daly_interval(dump: SimDuration, mtbf: SimDuration) -> SimDuration {
    let (d, m) = (dump.as_s(), mtbf.as_s());
    if d >= 2.0 * m {
        return mtbf;
    }
    let root = libm::sqrt(d / (2.0 * m));
    let interval_s = libm::sqrt(2.0 * d * m) * (1.0 + root / 3.0 + root * root / 9.0) - d;
    SimDuration::from_micros((interval_s * 1e6) as i64)
}

/// The first-order optimum of the same: the square root of 2 x `dump` x `mtbf` (Young, A first order approximation to the
/// optimum checkpoint interval, 1974).
#[must_use]
pub fn young_interval(dump: SimDuration, mtbf: SimDuration) -> SimDuration {
    SimDuration::from_micros((libm::sqrt(2.0 * dump.as_s() * mtbf.as_s()) * 1e6) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_values() {
        let minutes = |n: i64| SimDuration::from_s(60 * n);
        for (mtbf_min, interval_min) in [(24 * 60, 116.7), (6 * 60, 56.7), (15, 9.14)] {
            let ours = daly_interval(minutes(5), minutes(mtbf_min)).as_s() / 60.0;
            assert!((ours - interval_min).abs() < 0.05, "{ours}");
        }
        assert_eq!(daly_interval(minutes(30), minutes(15)), minutes(15));
    }
}

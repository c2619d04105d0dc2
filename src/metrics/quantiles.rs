//! Exact quantiles by selection: linear time, no sort.

use serde::Serialize;

use crate::time::MICROS_PER_S;

/// Mean and quantiles of a set of values; all `None` where the set is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// Arithmetic mean.
    pub mean: Option<f64>,
    /// Median.
    pub p50: Option<f64>,
    /// 90th percentile.
    pub p90: Option<f64>,
    /// 95th percentile.
    pub p95: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
    /// 99.9th percentile.
    pub p999: Option<f64>,
    /// Largest value.
    pub max: Option<f64>,
}

/// In thousandths, rising: selection then works on ever shorter tails.
const QUANTILES: [usize; 5] = [500, 900, 950, 990, 999];

impl Spread {
    /// Spread of integer microseconds, in seconds. The values are reordered.
    #[must_use]
    pub fn of_micros(values: &mut [i64]) -> Self {
        let sum: i128 = values.iter().map(|v| i128::from(*v)).sum();
        let second = MICROS_PER_S as f64;
        let mean = (!values.is_empty()).then(|| sum as f64 / values.len() as f64 / second);
        Self::from_selected(mean, select(values, Ord::cmp).map(|q| q.map(|v| v as f64 / second)))
    }

    /// Spread of floating-point values. The values are reordered; the mean is summed in the given order.
    #[must_use]
    pub fn of(values: &mut [f64]) -> Self {
        let sum: f64 = values.iter().sum();
        let mean = (!values.is_empty()).then(|| sum / values.len() as f64);
        Self::from_selected(mean, select(values, f64::total_cmp))
    }

    fn from_selected(mean: Option<f64>, [p50, p90, p95, p99, p999, max]: [Option<f64>; 6]) -> Self {
        Self { mean, p50, p90, p95, p99, p999, max }
    }
}

/// The quantiles and the maximum.
fn select<T: Copy>(values: &mut [T], order: impl Fn(&T, &T) -> std::cmp::Ordering + Copy) -> [Option<T>; 6] {
    let mut found = [None; 6];
    let n = values.len();
    if n == 0 {
        return found;
    }
    let mut from = 0;
    for (slot, thousandths) in found.iter_mut().zip(QUANTILES) {
        let at = (n * thousandths / 1000).min(n - 1);
        let (_, value, _) = values[from..].select_nth_unstable_by(at - from, order);
        *slot = Some(*value);
        from = at;
    }
    found[5] = values[from..].iter().copied().max_by(order);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_has_no_quantiles() {
        assert_eq!(Spread::of_micros(&mut []), Spread::default());
    }

    proptest! {
        #[test]
        fn selection_equals_sorting(mut values in prop::collection::vec(0i64..1_000_000_000, 1..600)) {
            let spread = Spread::of_micros(&mut values.clone());
            values.sort_unstable();
            let n = values.len();
            let q = |p: usize| Some(values[(n * p / 1000).min(n - 1)] as f64 / 1e6);
            let expected = [q(500), q(900), q(950), q(990), q(999), Some(values[n - 1] as f64 / 1e6)];
            prop_assert_eq!([spread.p50, spread.p90, spread.p95, spread.p99, spread.p999, spread.max], expected);
        }
    }
}

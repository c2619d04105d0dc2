//! Distances between two samples of equal size, both sorted.

use crate::time::MICROS_PER_S;

/// Wasserstein-1 distance of two sorted samples of equal size, in seconds (values in microseconds): the
/// mean distance between values of the same rank. `None` where they are empty.
///
/// # Panics
/// If the sizes differ.
#[must_use]
pub fn wasserstein_1(a: &[i64], b: &[i64]) -> Option<f64> {
    assert_eq!(a.len(), b.len(), "samples of the same jobs");
    let sum: i128 = a.iter().zip(b).map(|(a, b)| i128::from(a.abs_diff(*b))).sum();
    (!a.is_empty()).then(|| sum as f64 / a.len() as f64 / MICROS_PER_S as f64)
}

/// Kolmogorov-Smirnov distance of two sorted samples: the largest distance between their distribution
/// functions. `None` where one is empty.
#[must_use]
pub fn kolmogorov_smirnov(a: &[i64], b: &[i64]) -> Option<f64> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let (mut i, mut j, mut largest) = (0, 0, 0u128);
    while i < a.len() && j < b.len() {
        let value = a[i].min(b[j]);
        while i < a.len() && a[i] == value {
            i += 1;
        }
        while j < b.len() && b[j] == value {
            j += 1;
        }
        // |i/n - j/m| x n m, exactly.
        let apart = (i as u128 * b.len() as u128).abs_diff(j as u128 * a.len() as u128);
        largest = largest.max(apart);
    }
    Some(largest as f64 / (a.len() as u128 * b.len() as u128) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = MICROS_PER_S;

    #[test]
    fn worked_distances() {
        // Sorted: 0, 10, 20 against 0, 20, 50: |0| + |10| + |30| = 40, over 3.
        let (a, b) = ([0, 10 * S, 20 * S], [0, 20 * S, 50 * S]);
        assert_eq!(wasserstein_1(&a, &b), Some(40.0 / 3.0));
        // At 10 (and until 20): 2/3 against 1/3.
        assert_eq!(kolmogorov_smirnov(&a, &b), Some(1.0 / 3.0));
        assert_eq!(kolmogorov_smirnov(&[1, 1], &[2, 2]), Some(1.0));
        assert_eq!(kolmogorov_smirnov(&a, &a), Some(0.0));
        assert_eq!((wasserstein_1(&[], &[]), kolmogorov_smirnov(&[], &[])), (None, None));
    }
}

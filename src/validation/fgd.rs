//! Six policies that place parts of GPUs, on the Alibaba openb trace: how much of the GPU they can give
//! out, and how much of the rest is fragments (Weng et al., "Beware of Fragmentation", ATC 2023).
//!
//! `lists` reads nodes and pods, `fill` is one run, `scheduler::sharing` decides. A grid of lists,
//! policies and seeds runs on all cores; its results are put together in a fixed order.

mod compare;
mod fill;
mod lists;

use rayon::prelude::*;

pub use compare::validate;
pub use fill::{Curve, LOADS, arrivals, fill, typical};
pub use lists::{Lists, Pod, read_lists};

use crate::scheduler::sharing::SharingPolicy;

/// The first seed of the published runs; further seeds follow it.
pub const FIRST_SEED: u64 = 42;

/// Mean and standard deviation over seeds, by load; `None` where a seed has no sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    /// Mean.
    pub mean: Vec<Option<f64>>,
    /// Standard deviation (n - 1); `None` with fewer than two seeds.
    pub sd: Vec<Option<f64>>,
}

/// The runs of one policy on one list.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyResult {
    /// The policy.
    pub policy: SharingPolicy,
    /// GPU given out, in per cent of all.
    pub allocation_pct: Spread,
    /// Fragments, in per cent of the free GPU.
    pub fragmentation_ratio_pct: Spread,
    /// Fragments, in per cent of all GPU.
    pub fragmentation_pct: Spread,
}

/// Runs one policy on one list with `seeds` seeds, on all cores.
#[must_use]
pub fn run_policy(lists: &Lists, policy: SharingPolicy, seeds: u64) -> PolicyResult {
    let mix = typical(lists);
    let curves: Vec<Curve> = (FIRST_SEED..FIRST_SEED + seeds)
        .into_par_iter()
        .map(|seed| fill(lists, &mix, policy, seed))
        .collect();
    result(policy, &curves)
}

/// Runs every policy on every list with `seeds` seeds, on all cores.
#[must_use]
pub fn run_grid(lists: &[Lists], seeds: u64) -> Vec<Vec<PolicyResult>> {
    let mixes: Vec<_> = lists.iter().map(typical).collect();
    let mut points = Vec::new();
    for list in 0..lists.len() {
        for (policy, _) in SharingPolicy::ALL {
            points.extend((FIRST_SEED..FIRST_SEED + seeds).map(|seed| (list, policy, seed)));
        }
    }
    let curves: Vec<Curve> = points
        .par_iter()
        .map(|(list, policy, seed)| fill(&lists[*list], &mixes[*list], *policy, *seed))
        .collect();
    let per_policy = curves.chunks(seeds as usize).zip(points.chunks(seeds as usize));
    let results: Vec<PolicyResult> = per_policy.map(|(curves, points)| result(points[0].1, curves)).collect();
    results.chunks(SharingPolicy::ALL.len()).map(<[_]>::to_vec).collect()
}

fn result(policy: SharingPolicy, curves: &[Curve]) -> PolicyResult {
    PolicyResult {
        policy,
        allocation_pct: spread(curves, |curve| &curve.allocation_pct),
        fragmentation_ratio_pct: spread(curves, |curve| &curve.fragmentation_ratio_pct),
        fragmentation_pct: spread(curves, |curve| &curve.fragmentation_pct),
    }
}

fn spread(curves: &[Curve], of: fn(&Curve) -> &Vec<Option<f64>>) -> Spread {
    let columns = (0..LOADS.len()).map(|load| curves.iter().map(|curve| of(curve)[load]).collect());
    let columns: Vec<Option<Vec<f64>>> = columns.collect();
    Spread {
        mean: columns.iter().map(|column| column.as_deref().map(mean)).collect(),
        sd: columns.iter().map(|column| column.as_deref().and_then(sd)).collect(),
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn sd(values: &[f64]) -> Option<f64> {
    let middle = mean(values);
    let squares: f64 = values.iter().map(|value| (value - middle) * (value - middle)).sum();
    (values.len() > 1).then(|| libm::sqrt(squares / (values.len() - 1) as f64))
}

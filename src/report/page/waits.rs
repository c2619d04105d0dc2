//! Wait distributions: for all jobs, by class and by size, as quantiles on one grid.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::markup::short;
use crate::ids::JobId;
use crate::metrics::{groups, wait_us};
use crate::report::Context;
use crate::time::MICROS_PER_S;

/// Most groups of one kind; the largest are kept.
const GROUPS: usize = 12;

/// Kind and name of a group of jobs, in the order of the page.
type Key = (usize, String);

const KINDS: [&str; 3] = ["all", "class", "size"];

/// Shares of the grid in millionths: every hundredth, then ever closer to the end for the tail.
fn grid() -> Vec<u64> {
    let mut grid: Vec<u64> = (0..99).map(|hundredth| hundredth * 10_000).collect();
    for decade in [1_000, 100, 10] {
        grid.extend([100, 80, 65, 50, 40, 32, 25, 20, 16, 13].map(|tail| 1_000_000 - tail * decade / 10));
    }
    grid.push(999_999);
    grid.sort_unstable();
    grid.dedup();
    grid
}

/// `{p: [share...], groups: [{kind, name, n: [jobs per design], w: [[seconds...] per design]}]}`.
pub(super) fn waits(context: &Context<'_>) -> Value {
    let grid = grid();
    let by_design: Vec<BTreeMap<Key, Vec<i64>>> =
        (0..context.results.len()).map(|design| sorted_waits(context, design)).collect();
    let mut jobs: BTreeMap<&Key, usize> = BTreeMap::new();
    for (key, waits) in by_design.iter().flatten() {
        *jobs.entry(key).or_default() += waits.len();
    }
    let largest = |kind: usize| {
        let mut keys: Vec<(&Key, usize)> =
            jobs.iter().filter(|(key, _)| key.0 == kind).map(|(key, n)| (*key, *n)).collect();
        keys.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        keys.truncate(GROUPS);
        keys.sort();
        keys
    };
    let groups: Vec<Value> = (0..KINDS.len())
        .flat_map(largest)
        .map(|(key, _)| {
            let of = |design: &BTreeMap<Key, Vec<i64>>| design.get(key).cloned().unwrap_or_default();
            let waits: Vec<Vec<i64>> = by_design.iter().map(of).collect();
            let name = if key.0 == 2 { size_label(&key.1) } else { key.1.clone() };
            json!({
                "kind": KINDS[key.0],
                "name": name,
                "n": waits.iter().map(Vec::len).collect::<Vec<_>>(),
                "w": waits.iter().map(|waits| quantiles(waits, &grid)).collect::<Vec<_>>(),
            })
        })
        .collect();
    let shares: Vec<f64> = grid.iter().map(|share| *share as f64 / 1e6).collect();
    json!({ "p": shares, "groups": groups })
}

/// Waits in microseconds by group, sorted.
fn sorted_waits(context: &Context<'_>, design: usize) -> BTreeMap<Key, Vec<i64>> {
    let workload = &context.loaded.workload;
    let result = &context.results[design];
    let sizes = groups::size_classes(workload, &result.design.cluster);
    let mut all: BTreeMap<(usize, usize), Vec<i64>> = BTreeMap::new();
    for (at, size) in sizes.iter().enumerate() {
        let job = <JobId as crate::ids::Id>::new(at);
        let Some(wait) = wait_us(workload, &result.outcome, job) else { continue };
        all.entry((0, 0)).or_default().push(wait);
        if let Some(class) = workload.labels.get(workload.jobs[job].labels).class {
            all.entry((1, class.0 as usize)).or_default().push(wait);
        }
        all.entry((2, *size)).or_default().push(wait);
    }
    all.into_iter()
        .map(|((kind, at), mut waits)| {
            waits.sort_unstable();
            let name = match kind {
                0 => "All jobs".to_owned(),
                1 => workload.texts.get(crate::ids::TextId(at as u32)).to_owned(),
                _ => groups::size_name(at),
            };
            ((kind, name), waits)
        })
        .collect()
}

/// Whole seconds (hundredths below ten), by the definition of quantiles of the metrics, then the longest.
fn quantiles(sorted: &[i64], grid: &[u64]) -> Vec<Value> {
    let n = sorted.len();
    let seconds = |us: i64| {
        let s = us as f64 / MICROS_PER_S as f64;
        short(if s < 10.0 { s } else { s.round() })
    };
    let at = |share: &u64| sorted[((n as u64 * share / 1_000_000) as usize).min(n - 1)];
    if n == 0 { Vec::new() } else { grid.iter().map(at).chain([sorted[n - 1]]).map(seconds).collect() }
}

/// `gpus 000005-000008` as people write it: `5-8 GPUs`.
pub(super) fn size_label(name: &str) -> String {
    let Some((device, range)) = name.split_once(' ') else { return name.to_owned() };
    let numbers: Vec<&str> = range.split('-').map(|number| number.trim_start_matches('0')).collect();
    let one = numbers == ["1"];
    let device = match device {
        "gpus" if one => "GPU",
        "gpus" => "GPUs",
        "cpus" if one => "CPU",
        "cpus" => "CPUs",
        other => other,
    };
    format!("{} {device}", numbers.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_rises_and_reaches_the_tail() {
        let grid = grid();
        assert!(grid.windows(2).all(|pair| pair[0] < pair[1]), "{grid:?}");
        assert!(grid.contains(&990_000) && grid.contains(&999_000) && *grid.last().unwrap() == 999_999);
    }

    #[test]
    fn quantiles_end_with_the_longest() {
        let sorted: Vec<i64> = (1..=1000).map(|s| s * MICROS_PER_S).collect();
        let values = quantiles(&sorted, &[0, 500_000, 990_000]);
        assert_eq!(json!(values), json!([1, 501, 991, 1000]));
        assert!(quantiles(&[], &[0]).is_empty());
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!(size_label("gpus 000001"), "1 GPU");
        assert_eq!(size_label("gpus 000005-000008"), "5-8 GPUs");
        assert_eq!(size_label("cpus 000033-000064"), "33-64 CPUs");
    }
}

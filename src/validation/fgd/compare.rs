//! The published grid beside ours.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::{FIRST_SEED, LOADS, Lists, PolicyResult, mean, read_lists, run_grid};
use crate::diagnostic::Diagnostics;
use crate::scheduler::sharing::SharingPolicy;
use crate::validation::{Row, Section, Tolerance};
use crate::workload::read::table::{Columns, read_table};

/// Seeds of the published runs.
const SEEDS: u64 = 10;

/// The lists with their short names.
const LISTS: [&str; 9] = [
    "default",
    "cpu050",
    "cpu200",
    "gpushare40",
    "gpushare60",
    "gpuspec10",
    "gpuspec25",
    "multigpu20",
    "multigpu50",
];

const POLICIES: [(&str, SharingPolicy); 6] = [
    ("01-Random", SharingPolicy::Random),
    ("02-DotProd", SharingPolicy::DotProduct),
    ("03-GpuClustering", SharingPolicy::GpuClustering),
    ("04-GpuPacking", SharingPolicy::GpuPacking),
    ("05-BestFit", SharingPolicy::BestFit),
    ("06-FGD", SharingPolicy::Fgd),
];

/// Loads whose means are held against the published ones.
const HELD_LOADS: std::ops::RangeInclusive<usize> = 50..=130;

/// Two policies whose published means differ by more than this must come in the published order.
const ORDER_POINTS: f64 = 0.5;

/// Reproduces the published grid from the files below `shared`, with all its lists or those in `only`.
///
/// # Errors
/// Files that are there but cannot be read.
pub fn validate(shared: &Path, only: Option<&[&str]>) -> Result<Section, Diagnostics> {
    let mut section = Section {
        name: "fgd",
        title: "FGD: GPU sharing on the Alibaba openb trace, 1,213 nodes",
        about: "Published: hkust-adsl/kubernetes-scheduler-simulator @ 8f3d641735, 10 seeds each (means are \
                compared; our draws are our own). Equal scores go to the first node in an order drawn per \
                seed, which is an inference from the published figures and not something the authors state. \
                `worst` rows are the load between 50 % and 130 % where a mean is furthest off; loads are GPU \
                asked so far in per cent of all. Fragmentation is the share of the free GPU that the usual \
                requests cannot use.",
        ..Section::default()
    };
    let openb = shared.join("traces/gpu/alibaba-gpu-v2023");
    let fgd = shared.join("published/fgd");
    let nodes = openb.join("openb_node_list_gpu_node.csv");
    let tables =
        ["expected_allocation.csv.gz", "expected_fragmentation_ratio.csv.gz"].map(|name| fgd.join(name));
    let names: Vec<&str> =
        LISTS.into_iter().filter(|name| only.is_none_or(|only| only.contains(name))).collect();
    let file = |name: &&str| {
        let file = format!("openb_pod_list_{name}.csv.gz");
        [openb.join(&file), fgd.join(file)].into_iter().find(|path| path.exists())
    };
    let found: Vec<(&str, PathBuf)> =
        names.iter().filter_map(|name| file(name).map(|path| (*name, path))).collect();
    let lacking = names.iter().filter(|name| file(name).is_none());
    section.absent.extend(lacking.map(|name| fgd.join(format!("openb_pod_list_{name}.csv.gz"))));
    section.absent.extend(tables.iter().chain([&nodes]).filter(|path| !path.exists()).cloned());
    if found.is_empty() || tables.iter().chain([&nodes]).any(|path| !path.exists()) {
        return Ok(section);
    }
    let read: Vec<_> = found.par_iter().map(|(_, pods)| read_lists(&nodes, pods, true)).collect();
    let lists: Vec<Lists> = read.into_iter().collect::<Result<_, _>>()?;
    let allocation = read_published(&tables[0])?;
    let fragmentation = read_published(&tables[1])?;
    let results = run_grid(&lists, SEEDS);
    for ((list, _), results) in found.iter().zip(&results) {
        section.rows.extend(allocation_rows(list, results, &allocation));
        section.rows.extend(fragmentation_rows(list, results, &fragmentation));
    }
    section.rows.push(order_row(&found, &results, &allocation));
    Ok(section)
}

/// Means over seeds by (list, policy), by load.
type Published = Vec<(String, SharingPolicy, Vec<f64>)>;

fn published<'a>(table: &'a Published, list: &str, policy: SharingPolicy) -> &'a [f64] {
    let found = table.iter().find(|(name, p, _)| name == list && *p == policy);
    found.map_or(&[], |(_, _, means)| means)
}

const TABLE: Columns = Columns {
    what: "the published table by workload, policy and seed",
    required: &[
        "workload",
        "sc_policy",
        "seed",
        "0",
        "5",
        "10",
        "15",
        "20",
        "25",
        "30",
        "35",
        "40",
        "45",
        "50",
        "55",
        "60",
        "65",
        "70",
        "75",
        "80",
        "85",
        "90",
        "95",
        "100",
        "105",
        "110",
        "115",
        "120",
        "125",
        "130",
    ],
    optional: &[],
};

fn read_published(path: &Path) -> Result<Published, Diagnostics> {
    let loads = &TABLE.required[3..];
    let table = read_table(path, &TABLE, true, |row| {
        let list = row.text("workload").trim_start_matches("openb_pod_list_").to_owned();
        let policy = POLICIES.iter().find(|(name, _)| *name == row.text("sc_policy"));
        let policy = policy.ok_or_else(|| row.out_of_range("sc_policy", "a policy of the study", ""))?.1;
        let figures = loads.iter().map(|load| row.millionths(load).map(|value| value as f64 / 1e6));
        Ok((list, policy, figures.collect::<Result<Vec<f64>, _>>()?))
    })?;
    let mut means: Published = Vec::new();
    for rows in table.rows.chunk_by(|a, b| (&a.0, a.1) == (&b.0, b.1)) {
        let column = |load: usize| mean(&rows.iter().map(|row| row.2[load]).collect::<Vec<_>>());
        means.push((rows[0].0.clone(), rows[0].1, (0..LOADS.len()).map(column).collect()));
    }
    Ok(means)
}

fn allocation_tolerance(policy: SharingPolicy) -> f64 {
    match policy {
        SharingPolicy::Random | SharingPolicy::GpuClustering | SharingPolicy::GpuPacking => 0.6,
        SharingPolicy::DotProduct | SharingPolicy::BestFit | SharingPolicy::Fgd => 0.35,
    }
}

fn fragmentation_tolerance(load: usize) -> f64 {
    if (85..=97).contains(&load) { 3.5 } else { 1.0 }
}

fn row(what: String, published: f64, ours: Option<f64>, tolerance: f64) -> Row {
    let ours = ours.unwrap_or(f64::NAN);
    Row { what, published, ours, tolerance: Tolerance::Absolute(tolerance), decimals: 2 }
}

fn allocation_rows(list: &str, results: &[PolicyResult], table: &Published) -> Vec<Row> {
    let mut rows = Vec::new();
    for result in results {
        let expected = published(table, list, result.policy);
        let tolerance = allocation_tolerance(result.policy);
        let at = |position: usize, note: &str| {
            let what = format!(
                "{list} {} allocation at {} %{note} (% of all GPU)",
                result.policy.name(),
                LOADS[position]
            );
            row(what, expected[position], result.allocation_pct.mean[position], tolerance)
        };
        rows.extend([at(20, ""), at(26, ""), worst((0..LOADS.len()).map(|load| at(load, ", worst")))]);
    }
    rows
}

fn fragmentation_rows(list: &str, results: &[PolicyResult], table: &Published) -> Vec<Row> {
    let mut rows = Vec::new();
    for result in results {
        let expected = published(table, list, result.policy);
        let at = |load: usize| {
            let what = format!(
                "{list} {} fragmentation at {} %, worst (% of free GPU)",
                result.policy.name(),
                LOADS[load]
            );
            let tolerance = fragmentation_tolerance(LOADS[load]);
            row(what, expected[load], result.fragmentation_ratio_pct.mean[load], tolerance)
        };
        rows.push(worst((0..LOADS.len()).map(at)));
    }
    rows
}

/// The row that is furthest off, as a part of its tolerance, among the loads that are held.
fn worst(rows: impl Iterator<Item = Row>) -> Row {
    let off = |row: &Row| match row.tolerance {
        Tolerance::Absolute(most) if !row.ours.is_nan() => row.difference().abs() / most,
        _ => f64::INFINITY,
    };
    let held = LOADS.into_iter().zip(rows).filter(|(load, _)| HELD_LOADS.contains(load));
    let furthest = held.map(|(_, row)| row).max_by(|a, b| off(a).total_cmp(&off(b)));
    furthest.expect("some loads are held")
}

/// How many pairs of policies come in the published order, of those that differ enough.
fn order_row(found: &[(&str, PathBuf)], results: &[Vec<PolicyResult>], table: &Published) -> Row {
    let (mut pairs, mut ordered) = (0, 0);
    let full = LOADS.iter().position(|load| *load == 100).expect("100 % is a load");
    for ((list, _), results) in found.iter().zip(results) {
        for (at, a) in results.iter().enumerate() {
            for b in &results[at + 1..] {
                let theirs = published(table, list, a.policy)[full] - published(table, list, b.policy)[full];
                if theirs.abs() <= ORDER_POINTS {
                    continue;
                }
                pairs += 1;
                let ours = a.allocation_pct.mean[full].zip(b.allocation_pct.mean[full]);
                ordered += i32::from(ours.is_some_and(|(a, b)| (a - b) * theirs > 0.0));
            }
        }
    }
    Row {
        what: format!("pairs of policies in the published order at 100 %, seeds from {FIRST_SEED}"),
        published: f64::from(pairs),
        ours: f64::from(ordered),
        tolerance: Tolerance::Exact,
        decimals: 0,
    }
}

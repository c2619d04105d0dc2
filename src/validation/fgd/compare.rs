//! The published grid beside ours.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::{FIRST_SEED, LOADS, Lists, PolicyResult, Spread, mean, read_lists, run_grid, run_policy, sd};
use crate::diagnostic::Diagnostics;
use crate::scheduler::sharing::SharingPolicy;
use crate::validation::{Row, Section, Tolerance};
use crate::workload::read::table::{Columns, read_table};

/// Seeds of the published runs.
const SEEDS: u64 = 10;

/// Seeds with which a figure outside its tolerance is looked at again.
const MORE_SEEDS: u64 = 100;

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
    let mut held = Vec::new();
    for (at, ((list, _), results)) in found.iter().zip(&results).enumerate() {
        held.extend(allocation_rows((at, list), results, &allocation));
        held.extend(fragmentation_rows((at, list), results, &fragmentation));
    }
    section.notes = look_again(&lists, &held);
    section.rows.extend(held.into_iter().map(|held| held.row));
    section.rows.push(order_row(&found, &results, &allocation));
    Ok(section)
}

/// A figure and where it comes from.
struct Held {
    row: Row,
    /// Position of its list.
    list: usize,
    policy: SharingPolicy,
    figure: fn(&PolicyResult) -> &Spread,
    /// Position of its load.
    load: usize,
    /// Standard deviation of the published seeds.
    published_sd: f64,
}

/// Figures outside their tolerance over more seeds, so that the luck of ours is out of it: a difference within
/// three standard errors is what the published seeds alone can be off.
fn look_again(lists: &[Lists], held: &[Held]) -> Vec<String> {
    let outside: Vec<&Held> = held.iter().filter(|held| !held.row.within()).collect();
    let mut runs: Vec<((usize, SharingPolicy), PolicyResult)> = Vec::new();
    let (mut notes, mut by_chance) = (Vec::new(), 0);
    for held in &outside {
        let key = (held.list, held.policy);
        if !runs.iter().any(|(known, _)| *known == key) {
            runs.push((key, run_policy(&lists[held.list], held.policy, MORE_SEEDS)));
        }
        let result = runs.iter().find(|(known, _)| *known == key).map(|(_, result)| (held.figure)(result));
        let Some((Some(ours), Some(sd))) = result.map(|r| (r.mean[held.load], r.sd[held.load])) else {
            continue;
        };
        let error =
            libm::sqrt(held.published_sd * held.published_sd / SEEDS as f64 + sd * sd / MORE_SEEDS as f64);
        let difference = ours - held.row.published;
        by_chance += u64::from(difference.abs() <= 3.0 * error);
        notes.push(format!(
            "{}: over {MORE_SEEDS} seeds {ours:.2} ({difference:+.2}, {:.1} standard errors)",
            held.row.what,
            difference.abs() / error,
        ));
    }
    if !outside.is_empty() {
        notes.push(format!(
            "Of {} figures outside their tolerance {by_chance} differ by no more than three standard errors when \
             ours are means over {MORE_SEEDS} seeds: there the 10 published seeds decide, not a rule.",
            outside.len()
        ));
    }
    notes
}

/// A published figure: mean and standard deviation over seeds.
#[derive(Clone, Copy)]
struct Figure {
    mean: f64,
    sd: f64,
}

/// Figures by (list, policy), by load.
type Published = Vec<(String, SharingPolicy, Vec<Figure>)>;

fn published<'a>(table: &'a Published, list: &str, policy: SharingPolicy) -> &'a [Figure] {
    let found = table.iter().find(|(name, p, _)| name == list && *p == policy);
    found.map_or(&[], |(_, _, figures)| figures)
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
    let mut figures: Published = Vec::new();
    for rows in table.rows.chunk_by(|a, b| (&a.0, a.1) == (&b.0, b.1)) {
        let column = |load: usize| {
            let seeds: Vec<f64> = rows.iter().map(|row| row.2[load]).collect();
            Figure { mean: mean(&seeds), sd: sd(&seeds).unwrap_or(0.0) }
        };
        figures.push((rows[0].0.clone(), rows[0].1, (0..LOADS.len()).map(column).collect()));
    }
    Ok(figures)
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

/// A figure beside the published one.
fn hold(
    (list, name): (usize, &str),
    (result, figure): (&PolicyResult, fn(&PolicyResult) -> &Spread),
    (what, unit): (String, &str),
    load: usize,
    published: Figure,
    tolerance: f64,
) -> Held {
    let ours = figure(result).mean[load].unwrap_or(f64::NAN);
    let row = Row {
        what: format!("{name} {} {what} ({unit})", result.policy.name()),
        published: published.mean,
        ours,
        tolerance: Tolerance::Absolute(tolerance),
        decimals: 2,
    };
    Held { row, list, policy: result.policy, figure, load, published_sd: published.sd }
}

fn allocation_rows(list: (usize, &str), results: &[PolicyResult], table: &Published) -> Vec<Held> {
    let mut rows = Vec::new();
    for result in results {
        let expected = published(table, list.1, result.policy);
        let tolerance = allocation_tolerance(result.policy);
        let at = |load: usize, note: &str| {
            let what = (format!("allocation at {} %{note}", LOADS[load]), "% of all GPU");
            hold(list, (result, |r| &r.allocation_pct), what, load, expected[load], tolerance)
        };
        rows.extend([at(20, ""), at(26, ""), worst((0..LOADS.len()).map(|load| at(load, ", worst")))]);
    }
    rows
}

fn fragmentation_rows(list: (usize, &str), results: &[PolicyResult], table: &Published) -> Vec<Held> {
    let mut rows = Vec::new();
    for result in results {
        let expected = published(table, list.1, result.policy);
        let at = |load: usize| {
            let what = (format!("fragmentation at {} %, worst", LOADS[load]), "% of free GPU");
            let tolerance = fragmentation_tolerance(LOADS[load]);
            hold(list, (result, |r| &r.fragmentation_ratio_pct), what, load, expected[load], tolerance)
        };
        rows.push(worst((0..LOADS.len()).map(at)));
    }
    rows
}

/// The row that is furthest off, as a part of its tolerance, among the loads that are held.
fn worst(rows: impl Iterator<Item = Held>) -> Held {
    let off = |held: &Held| match held.row.tolerance {
        Tolerance::Absolute(most) if !held.row.ours.is_nan() => held.row.difference().abs() / most,
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
                let mean = |policy| published(table, list, policy)[full].mean;
                let theirs: f64 = mean(a.policy) - mean(b.policy);
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

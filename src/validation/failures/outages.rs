//! Outages of a cluster: how many nodes are down for what share of the time.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{Row, Tolerance};
use super::{Case, Judged, in_range};
use crate::diagnostic::Diagnostics;
use crate::scenario::outage_file::{Outages, read_outages};

/// Quantiles that are told of every file.
const USUAL: [&str; 4] = ["0.05", "0.5", "0.95", "0.99"];

#[derive(Deserialize)]
pub(super) struct OutageCase {
    name: String,
    /// Beside the file of cases.
    file: String,
    nodes: usize,
    horizon_s: f64,
    #[serde(default)]
    expected: BTreeMap<String, Value>,
}

impl Case for OutageCase {
    fn name(&self) -> &str {
        &self.name
    }
}

pub(super) fn judge(case: &OutageCase, cases: &Path) -> Result<Judged, Diagnostics> {
    let ranges = [("nodes", case.nodes as f64, 1.0, 1e8), ("horizon_s", case.horizon_s, 1.0, 1e10)];
    in_range(&case.name, &ranges)?;
    let path = cases.parent().unwrap_or(Path::new("")).join(&case.file);
    let node_of = |name: &str| {
        let known = name.parse().ok().filter(|at| *at < case.nodes);
        known.ok_or_else(|| format!("the case `{}` has the nodes 0 to {}", case.name, case.nodes - 1))
    };
    let found = read_outages(&path, &node_of)?;
    let down = Down::new(&found, (case.horizon_s * 1e6).round() as i64);
    let expected = case.expected.get("down_quantiles").and_then(Value::as_object);
    let mut wanted: Vec<&str> = USUAL.to_vec();
    wanted.extend(expected.iter().flat_map(|rows| rows.keys()).map(String::as_str));
    let share = |p: &&str| p.parse::<f64>().unwrap_or(2.0);
    wanted.sort_by(|a, b| share(a).total_cmp(&share(b)));
    wanted.dedup();
    let quantiles =
        wanted.iter().filter_map(|p| Some(((*p).to_owned(), json!(down.quantile(p.parse().ok()?)))));
    let values = json!({
        "name": case.name,
        "nodes": case.nodes,
        "horizon_s": case.horizon_s,
        "outages": found.rows.len(),
        "node_intervals": found.spells.len(),
        "merged": found.merged(),
        "mean_down": down.mean(),
        "availability": 1.0 - down.mean() / case.nodes as f64,
        "max_down": down.most(),
        "down_quantiles": quantiles.collect::<serde_json::Map<_, _>>(),
        "outage_s_median": lasted(&found).0,
        "outage_s_mean": lasted(&found).1,
        "top_10_percent_share": top_share(&found, case.nodes),
    });
    let rows = rows(case, &values);
    let mut notes = Vec::new();
    if found.merged() > 0 {
        notes.push(format!(
            "{}: {} outages overlap others of their node and are one with them",
            case.name,
            found.merged()
        ));
    }
    Ok(Judged { values, rows, notes, told: found.told })
}

/// How long rows last, in seconds: the median as everywhere (sorted[n / 2]), and the mean.
fn lasted(found: &Outages) -> (f64, f64) {
    let mut spans: Vec<i64> = found.rows.iter().map(|row| row.until.micros() - row.from.micros()).collect();
    spans.sort_unstable();
    let median = spans.get(spans.len() / 2).map_or(0.0, |span| *span as f64 / 1e6);
    let sum: i128 = spans.iter().map(|span| i128::from(*span)).sum();
    (median, sum as f64 / 1e6 / spans.len().max(1) as f64)
}

/// Share of the outages that the tenth of the nodes with the most of them has.
fn top_share(found: &Outages, nodes: usize) -> f64 {
    let mut by_node: BTreeMap<usize, usize> = BTreeMap::new();
    found.rows.iter().for_each(|row| *by_node.entry(row.node).or_default() += 1);
    let mut counts: Vec<usize> = by_node.into_values().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    counts.iter().take(nodes / 10).sum::<usize>() as f64 / found.rows.len().max(1) as f64
}

/// For how long how many nodes are down.
pub(super) struct Down {
    /// Microseconds by the number of nodes down.
    by_count: Vec<i64>,
}

impl Down {
    /// Up to `horizon_us`.
    fn new(found: &Outages, horizon_us: i64) -> Self {
        let spells = found.spells.iter().map(|spell| (spell.from.micros(), spell.until.micros()));
        Self::of(spells, horizon_us)
    }

    /// The same of any spells of nodes from 0 to `horizon_us`.
    pub(super) fn of(spells: impl Iterator<Item = (i64, i64)>, horizon_us: i64) -> Self {
        let mut steps: Vec<(i64, i32)> = Vec::new();
        for (from, until) in spells.map(|(from, until)| (from.max(0), until.min(horizon_us))) {
            if from < until {
                steps.extend([(from, 1), (until, -1)]);
            }
        }
        steps.sort_unstable();
        steps.push((horizon_us, 0));
        let (mut by_count, mut down, mut since) = (vec![0], 0_i32, 0);
        for (at, step) in steps {
            let count = down as usize;
            if count >= by_count.len() {
                by_count.resize(count + 1, 0);
            }
            by_count[count] += at - since;
            (since, down) = (at, down + step);
        }
        Self { by_count }
    }

    fn total(&self) -> i128 {
        self.by_count.iter().map(|us| i128::from(*us)).sum()
    }

    pub(super) fn mean(&self) -> f64 {
        let sum: i128 =
            self.by_count.iter().zip(0..).map(|(us, count): (_, i128)| count * i128::from(*us)).sum();
        sum as f64 / self.total() as f64
    }

    /// Most nodes down at once, for however short a time.
    fn most(&self) -> usize {
        self.by_count.iter().rposition(|us| *us > 0).unwrap_or(0)
    }

    /// The smallest number that is not exceeded for a share `p` of the time.
    pub(super) fn quantile(&self, p: f64) -> usize {
        let (total, mut below) = (self.total() as f64, 0_i128);
        let reached = self.by_count.iter().position(|us| {
            below += i128::from(*us);
            below as f64 >= p * total
        });
        reached.unwrap_or(self.by_count.len() - 1)
    }
}

/// A row for each expected value; those that are printed with so many decimals may differ in what was cut off.
fn rows(case: &OutageCase, values: &Value) -> Vec<Row> {
    let row = |what: &str, published: &Value, ours: &Value| {
        let published_text = published.to_string();
        let decimals = published_text.split_once('.').map_or(0, |(_, digits)| digits.len());
        let rounding = 0.5 / libm::pow(10.0, decimals as f64);
        Some(Row {
            what: format!("{}: {what}", case.name),
            published: published.as_f64()?,
            ours: ours.as_f64().unwrap_or(f64::NAN),
            tolerance: if decimals > 0 { Tolerance::Absolute(rounding) } else { Tolerance::Exact },
            decimals: decimals.min(8),
        })
    };
    let mut rows = Vec::new();
    for (what, published) in &case.expected {
        match published.as_object() {
            Some(quantiles) => rows.extend(quantiles.iter().filter_map(|(p, published)| {
                row(&format!("nodes down, quantile {p}"), published, &values[what][p])
            })),
            None => rows.extend(row(&what.replace('_', " "), published, &values[what])),
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_time_are_those_of_a_hand_made_record() {
        // 100 s: two nodes down for 10 s, one for 30 s more; what lies beyond the horizon does not count.
        let spells = [(0, 20), (10, 20), (80, 250), (300, 400), (50, 60), (60, 60)];
        let down = Down::of(spells.iter().map(|(a, b)| (a * 1_000_000, b * 1_000_000)), 100_000_000);
        assert_eq!((down.mean(), down.most()), (0.6, 2));
        assert_eq!([0.0, 0.5, 0.51, 0.9, 0.91, 1.0].map(|p| down.quantile(p)), [0, 0, 1, 1, 2, 2]);
    }
}

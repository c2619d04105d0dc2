//! A sweep as table, CSV, JSON and page: a row for each design at each point.
//!
//! Points with other jobs are other questions: whether a design is on the Pareto front (no other one is both
//! cheaper and quicker) is asked among the points whose `workload.*` settings are the same.

mod page;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, LineStyle, Table};
use serde_json::{Map, Value, json};

use super::figures::{count, percent, span};
use super::files::{WriteError, pretty, write_whole};
use super::json::cost_json;
use crate::experiment::sweep::{PointDesign, PointResult};
use crate::scenario::{Point, Scenario, SweepSpec};

/// What a report on a sweep is about.
#[derive(Clone, Copy, Debug)]
pub struct SweepReport<'a> {
    /// The scenario without the settings of a point.
    pub scenario: &'a Scenario,
    /// What varied.
    pub spec: &'a SweepSpec,
    /// All points by number.
    pub results: &'a [PointResult],
    /// SHA-256 of the trace, if there is one.
    pub trace_sha256: Option<&'a str>,
}

/// One design at one point.
struct Row<'a> {
    settings: &'a Point,
    number: usize,
    design: &'a PointDesign,
    /// On the Pareto front of its workload: no other is better in wait and not worse in cost, or the reverse.
    front: bool,
}

/// A figure that tables and heat maps show.
struct Shown {
    name: &'static str,
    /// The same in a narrow column.
    short: &'static str,
    value: fn(&PointDesign) -> Option<f64>,
    text: fn(f64) -> String,
}

const SHOWN: [Shown; 6] = [
    Shown { name: "Wait, mean", short: "mean wait", value: |d| d.summary.wait_s.mean, text: span },
    Shown { name: "Wait, p95", short: "p95 wait", value: |d| d.summary.wait_s.p95, text: span },
    Shown {
        name: "Allocated",
        short: "in use",
        value: |d| d.summary.utilization.gpu_allocated.or(d.summary.utilization.cpu),
        text: percent,
    },
    Shown {
        name: "Jobs completed",
        short: "jobs",
        value: |d| Some(d.summary.jobs.completed as f64),
        text: |n| count(n as u64),
    },
    Shown { name: "Cost", short: "cost", value: cost_total, text: |n| count(n.round() as u64) },
    Shown {
        name: "Cost per useful GPU-hour",
        short: "/useful h",
        value: |d| Some(d.cost.as_ref()?.per_useful_gpu_hour?.as_units()),
        text: |n| format!("{n:.2}"),
    },
];

fn cost_total(design: &PointDesign) -> Option<f64> {
    Some(design.cost.as_ref()?.total.as_units())
}

impl SweepReport<'_> {
    /// All rows in order of points and designs.
    fn rows(&self) -> Vec<Row<'_>> {
        let mut rows: Vec<Row<'_>> = Vec::new();
        for result in self.results {
            let settings = &self.spec.points[result.point];
            let designs = result.designs.as_ref().into_iter().flatten();
            rows.extend(designs.map(|design| Row { settings, number: result.point, design, front: false }));
        }
        mark_front(&mut rows);
        rows
    }

    fn several_designs(&self) -> bool {
        self.scenario.designs.len() > 1
    }

    fn failures(&self) -> impl Iterator<Item = (usize, &str)> {
        self.results.iter().filter_map(|r| Some((r.point, r.designs.as_ref().err()?.as_str())))
    }
}

/// What costs and what is waited, for the front.
fn objectives(design: &PointDesign) -> Option<(f64, f64)> {
    Some((cost_total(design)?, design.summary.wait_s.p95?))
}

fn mark_front(rows: &mut [Row<'_>]) {
    let mut groups: BTreeMap<Vec<(String, String)>, Vec<usize>> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        let settings = row.settings.settings.iter();
        let workload = settings.filter(|(path, _)| path.starts_with("workload.")).cloned().collect();
        if objectives(row.design).is_some() {
            groups.entry(workload).or_default().push(at);
        }
    }
    for members in groups.values() {
        let of = |at: usize| objectives(rows[at].design).expect("only such rows are in a group");
        let beaten = |at: usize| {
            let (cost, wait) = of(at);
            members.iter().any(|other| {
                let (c, w) = of(*other);
                c <= cost && w <= wait && (c < cost || w < wait)
            })
        };
        let front: Vec<usize> = members.iter().copied().filter(|at| !beaten(*at)).collect();
        front.into_iter().for_each(|at| rows[at].front = true);
    }
}

/// The value of a setting as people write it: texts without quotes.
fn plain(value: &str) -> String {
    match format!("x = {value}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("x")) {
        Some(toml::Value::String(text)) => text,
        _ => value.to_owned(),
    }
}

/// Axes by as few of their last words as tell them apart.
fn short_axes(axes: &[String]) -> Vec<String> {
    let tail = |axis: &str, words: usize| {
        let all: Vec<&str> = axis.split('.').collect();
        all[all.len().saturating_sub(words)..].join(".")
    };
    let clashes = |at: usize, words: usize| {
        axes.iter().enumerate().any(|(i, axis)| i != at && tail(axis, words) == tail(&axes[at], words))
    };
    (0..axes.len())
        .map(|at| {
            let words = (1..).find(|words| !clashes(at, *words) || *words > 32).unwrap_or(1);
            tail(&axes[at], words)
        })
        .collect()
}

/// The terminal table; of a large sweep the Pareto front only.
#[must_use]
pub fn sweep_text(sweep: &SweepReport<'_>) -> String {
    const MOST_ROWS: usize = 40;
    let rows = sweep.rows();
    let all = rows.len() <= MOST_ROWS;
    let mut text = String::new();
    if let Some(title) = &sweep.scenario.title {
        writeln!(text, "{title}\n").expect("texts take writes");
    }
    let shown: Vec<&Row<'_>> = rows.iter().filter(|row| all || row.front).take(MOST_ROWS).collect();
    let figures: Vec<&Shown> =
        SHOWN.iter().filter(|figure| rows.iter().any(|row| (figure.value)(row.design).is_some())).collect();
    let mut table = Table::new();
    table.load_style(NOTHING.header_separator(LineStyle::none().fill('─').junction('─')));
    let mut header: Vec<String> = vec!["point".to_owned()];
    header.extend(short_axes(&sweep.spec.axes));
    header.extend(sweep.several_designs().then(|| "design".to_owned()));
    header.extend(figures.iter().map(|figure| figure.short.to_owned()));
    header.push("*".to_owned());
    table.set_header(header).set_width(100).set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    for row in &shown {
        let mut cells = vec![Cell::new(row.number)];
        cells.extend(
            sweep
                .spec
                .axes
                .iter()
                .map(|axis| Cell::new(row.settings.value(axis).map_or_else(String::new, plain))),
        );
        cells.extend(sweep.several_designs().then(|| Cell::new(&row.design.name)));
        cells.extend(figures.iter().map(|figure| {
            let text = (figure.value)(row.design).map_or_else(|| "-".to_owned(), figure.text);
            Cell::new(text).set_alignment(CellAlignment::Right)
        }));
        cells.push(Cell::new(if row.front { "*" } else { "" }));
        table.add_row(cells);
    }
    writeln!(text, "{table}\n").expect("texts take writes");
    writeln!(text, "{}", legend(sweep, rows.len(), shown.len())).expect("texts take writes");
    for (point, why) in sweep.failures() {
        writeln!(text, "point {point} has no result: {why}").expect("texts take writes");
    }
    text
}

fn legend(sweep: &SweepReport<'_>, rows: usize, shown: usize) -> String {
    let points = count(sweep.results.len() as u64);
    let mut text = format!("{points} points, policy {}.", sweep.scenario.policy.words());
    if shown < rows {
        let rows = count(rows as u64);
        text +=
            &format!(" Shown: {shown} rows of the Pareto front, of {rows}; --out DIR writes all of them.");
    }
    let currency =
        sweep.rows().iter().find_map(|row| Some(row.design.cost.as_ref()?.currency.code().to_owned()));
    if let Some(currency) = currency {
        text += &format!(
            " Costs in {currency}, `/useful h` = per useful GPU-hour.\n* = on the Pareto front: with the same jobs no other point is cheaper and has \
             a shorter 95th percentile of waits."
        );
    }
    text
}

/// `{title, axes, points: [{point, settings, designs | error}], ...}`.
#[must_use]
pub fn sweep_json(sweep: &SweepReport<'_>) -> Value {
    let rows = sweep.rows();
    let mut on_front: BTreeMap<(usize, &str), bool> = BTreeMap::new();
    for row in &rows {
        on_front.insert((row.number, row.design.name.as_str()), row.front);
    }
    let points: Vec<Value> = sweep
        .results
        .iter()
        .map(|result| {
            let settings: Map<String, Value> = sweep.spec.points[result.point]
                .settings
                .iter()
                .map(|(path, value)| (path.clone(), setting_json(value)))
                .collect();
            let mut object = json!({ "point": result.point, "settings": settings });
            match &result.designs {
                Ok(designs) => {
                    let all: Map<String, Value> = designs
                        .iter()
                        .map(|design| {
                            let mut keys = design_json(design);
                            keys["pareto_front"] = json!(on_front[&(result.point, design.name.as_str())]);
                            (design.name.clone(), keys)
                        })
                        .collect();
                    object["designs"] = Value::Object(all);
                }
                Err(why) => object["error"] = json!(why),
            }
            object
        })
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "title": sweep.scenario.title,
        "policy": sweep.scenario.policy.name(),
        "axes": sweep.spec.axes,
        "trace_sha256": sweep.trace_sha256,
        "points": points,
    })
}

fn setting_json(value: &str) -> Value {
    let parsed = format!("x = {value}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("x"));
    parsed.map_or_else(|| json!(value), |value| json!(value))
}

fn design_json(design: &PointDesign) -> Value {
    let mut object = json!(design.summary);
    object["label"] = json!(design.label);
    object["cost"] = design.cost.as_ref().map_or(Value::Null, cost_json);
    object
}

/// Writes `points.csv`, `sweep.json` and `report.html` into `dir`, which is made if needed.
///
/// # Errors
/// The first [`WriteError`]; files written before stay, each of them whole.
pub fn write_sweep(sweep: &SweepReport<'_>, dir: &Path) -> Result<(), WriteError> {
    std::fs::create_dir_all(dir).map_err(|error| WriteError { path: dir.to_path_buf(), error })?;
    write_whole(&dir.join("points.csv"), |out| points_csv(sweep, out))?;
    let object = sweep_json(sweep);
    write_whole(&dir.join("sweep.json"), |out| pretty(out, &object))?;
    let html = page::page(sweep);
    write_whole(&dir.join("report.html"), |out| out.write_all(html.as_bytes()))
}

/// A row per point and design: its settings, then every figure of the JSON object under its dotted name.
fn points_csv(sweep: &SweepReport<'_>, out: &mut dyn Write) -> io::Result<()> {
    let rows = sweep.rows();
    let flat: Vec<Map<String, Value>> = rows
        .iter()
        .map(|row| {
            let mut keys = Map::new();
            flatten("", &design_json(row.design), &mut keys);
            keys
        })
        .collect();
    let mut columns: Vec<&str> = Vec::new();
    for key in flat.iter().flat_map(Map::keys) {
        if !columns.contains(&key.as_str()) {
            columns.push(key);
        }
    }
    let mut csv = csv::Writer::from_writer(out);
    let fixed = ["point", "design", "pareto_front", "error"];
    csv.write_record(
        fixed.into_iter().chain(sweep.spec.axes.iter().map(String::as_str)).chain(columns.iter().copied()),
    )?;
    let axes = |point: &Point| -> Vec<String> {
        sweep.spec.axes.iter().map(|axis| point.value(axis).map_or_else(String::new, plain)).collect()
    };
    let mut written = rows.iter().zip(&flat).peekable();
    for result in sweep.results {
        let number = result.point.to_string();
        if let Err(why) = &result.designs {
            let settings = axes(&sweep.spec.points[result.point]);
            let fixed = [number.clone(), String::new(), String::new(), why.clone()];
            let blank = columns.iter().map(|_| String::new());
            csv.write_record(fixed.into_iter().chain(settings).chain(blank))?;
        }
        while let Some((row, keys)) = written.next_if(|(row, _)| row.number == result.point) {
            let fixed = [number.clone(), row.design.name.clone(), row.front.to_string(), String::new()];
            let cells = columns.iter().map(|column| match keys.get(*column) {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            });
            csv.write_record(fixed.into_iter().chain(axes(row.settings)).chain(cells))?;
        }
    }
    csv.flush()
}

fn flatten(above: &str, value: &Value, keys: &mut Map<String, Value>) {
    match value {
        Value::Object(inner) => {
            for (key, value) in inner {
                let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
                flatten(&path, value, keys);
            }
        }
        other => {
            keys.insert(above.to_owned(), other.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_told_apart_by_as_little_as_possible() {
        let axes = ["workload.scale.arrivals", "design.a.pool.main.count", "design.b.pool.main.count"];
        let axes: Vec<String> = axes.map(str::to_owned).to_vec();
        assert_eq!(short_axes(&axes), ["arrivals", "a.pool.main.count", "b.pool.main.count"]);
    }

    #[test]
    fn texts_lose_their_quotes() {
        assert_eq!(plain("\"best-fit\""), "best-fit");
        assert_eq!(plain("1.20"), "1.20");
    }
}

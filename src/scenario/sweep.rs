//! What a sweep varies: settings of the scenario, point by point.

use super::document::Document;
use super::file::{ScenarioFile, SweepTable};
use super::set;
use super::structure::Schema;
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Most points of a sweep.
const MOST_POINTS: usize = 1_000_000;

/// The points of a sweep and what tells them apart.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepSpec {
    /// Paths of the settings that differ, in declared order: those of the list, then those of the grid.
    pub axes: Vec<String>,
    /// All points: for each row of the list every combination of the grid, its last axis fastest.
    pub points: Vec<Point>,
}

/// One point: its settings as for `--set`, as (path, value in TOML).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Point {
    /// Settings in the order of the axes; a row of the list need not have all of them.
    pub settings: Vec<(String, String)>,
}

impl Point {
    /// The value of an axis; `None` where the scenario's own stands.
    #[must_use]
    pub fn value(&self, axis: &str) -> Option<&str> {
        self.settings.iter().find(|(path, _)| path == axis).map(|(_, value)| value.as_str())
    }
}

impl SweepSpec {
    pub(super) fn new(table: &SweepTable) -> Self {
        let mut axes: Vec<String> = Vec::new();
        for path in table.list.iter().flat_map(|row| row.keys()).chain(table.grid.keys()) {
            if !axes.contains(path) {
                axes.push(path.clone());
            }
        }
        let rows = table.list.iter().map(|row| Point {
            settings: row.iter().map(|(path, value)| (path.clone(), value.0.to_string())).collect(),
        });
        let mut points: Vec<Point> = rows.collect();
        if points.is_empty() {
            points.push(Point::default());
        }
        for (path, values) in &table.grid {
            let with = |point: &Point, value: &str| {
                let mut settings = point.settings.clone();
                settings.push((path.clone(), value.to_owned()));
                Point { settings }
            };
            let values: Vec<String> = values.iter().map(|value| value.0.to_string()).collect();
            points = points.iter().flat_map(|point| values.iter().map(|value| with(point, value))).collect();
        }
        Self { axes, points }
    }
}

/// Checks the axes of a sweep: settings that exist, values to take, not too many points.
pub(super) fn check(
    document: &Document<'_>,
    file: &ScenarioFile,
    schema: Schema<'_>,
) -> Result<(), Diagnostics> {
    let Some(table) = &file.sweep else { return Ok(()) };
    let mut problems = Diagnostics::default();
    let mut note = |problem: Diagnostic, path: &[&str]| problems.push(problem.at(document.place(path)));
    let bad = |path: &str| match path.split('.').next() {
        Some("sweep") => Some(Diagnostic::error("W0226", "a sweep cannot vary itself")),
        _ => set::problem_of(path, &document.tree, schema),
    };
    for (path, values) in &table.grid {
        let place = ["sweep", "grid", path.as_str()];
        if let Some(problem) = bad(path) {
            note(problem, &place);
        } else if values.is_empty() {
            note(Diagnostic::error("W0226", format!("the axis `{path}` has no values")), &place);
        }
    }
    for (at, row) in table.list.iter().enumerate() {
        let index = at.to_string();
        for path in row.keys() {
            let place = ["sweep", "list", index.as_str(), path.as_str()];
            if let Some(problem) = bad(path) {
                note(problem, &place);
            } else if table.grid.contains_key(path) {
                let message = format!("`{path}` is an axis of the grid already");
                note(Diagnostic::error("W0226", message).help("leave it out of one of them"), &place);
            }
        }
    }
    let combinations =
        table.grid.values().try_fold(table.list.len().max(1), |n, values| n.checked_mul(values.len()));
    if table.grid.is_empty() && table.list.is_empty() {
        let problem = Diagnostic::error("W0226", "the sweep varies nothing");
        note(
            problem.help("give [sweep.grid] an axis: \"workload.scale.arrivals\" = [0.8, 1.0, 1.2]"),
            &["sweep"],
        );
    } else if combinations.is_none_or(|n| n > MOST_POINTS) {
        let message = format!("the sweep has more than {MOST_POINTS} points");
        note(Diagnostic::error("W0226", message), &["sweep", "grid"]);
    }
    if problems.errors() > 0 { Err(problems) } else { Ok(()) }
}

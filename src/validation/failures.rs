//! Failures: outages of a real cluster, wall time of one job under failures, pools with standbys and spares.
//!
//! Three kinds of case files, JSON with `kind` and `cases`:
//!
//! - `outages`: a file of outages, read as a scenario reads it; how many nodes are down for what share of the time
//! - `wall`: one job with snapshots on a host that fails, run by the simulation core over many seeds
//! - `pool`: one large job with warm standbys and a pool of spares, by the rules of AIReSim, in a model of its own
//!
//! `llama` runs Llama 3's job on 2,048 hosts that fail by level, as its authors counted it; `laws` says what laws
//! of failure make of the nodes that are down at once.
//!
//! Each case gives values in any case, and rows to judge where the file says what is expected. Draws are of fixed
//! seeds, so the values are the same on every machine.

mod laws;
mod llama;
mod outages;
mod pool;
mod wall;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::case_files::{self, CaseFile, WithCases, one};
use super::{Row, Section};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};

/// 99 % of a normal distribution lie within so many standard deviations of its mean.
const Z99: f64 = 2.575_829_303_548_901;

/// What one case leads to.
struct Judged {
    values: Value,
    rows: Vec<Row>,
    notes: Vec<String>,
    told: Diagnostics,
}

/// The cases in `folder`, and Llama 3's job.
///
/// # Errors
/// Files that are there but cannot be read.
pub fn validate(folder: &Path) -> Result<WithCases, Diagnostics> {
    let names = ["outage_cases.json", "wall_cases.json", "pool_cases.json"];
    let (there, absent): (Vec<PathBuf>, Vec<PathBuf>) =
        names.iter().map(|name| folder.join(name)).partition(|path| path.exists());
    let mut found = validate_files(&there)?;
    found.section.absent = absent;
    found.section.rows.extend(laws::rows());
    found.section.rows.extend(llama::rows());
    found.section.notes.push(laws::NOTE.to_owned());
    Ok(found)
}

/// The cases of these files alone.
///
/// # Errors
/// Files that cannot be read, or describe what cannot be.
pub fn validate_files(files: &[PathBuf]) -> Result<WithCases, Diagnostics> {
    let section = Section {
        name: "failures",
        title: "Failures: outages, wall time, spares",
        about: "Published: outages of stepfun-ai/InfiniteHBD-Trace @ 7aacdc8c3d (nodes with even numbers); the mean wall \
                time of one job with snapshots and failures, (M + R)(e^((tau + d)/M) - 1) W/tau; the report and the \
                rules of karthikp-ubc/airesim @ 7b139c7416; Meta, The Llama 3 Herd of Models, 2024, table 5. Ours: the \
                outages as a scenario reads them; wall times and Llama 3's job by the simulation core, over seeds \
                until 99 % of the mean lie within 0.3 %; spares by a model of their own.",
        ..Section::default()
    };
    let mut found = WithCases { section, ..WithCases::default() };
    for path in files {
        let (file, judged) = read(path)?;
        let values = judged.into_iter().map(|case| {
            found.section.rows.extend(case.rows);
            found.section.notes.extend(case.notes);
            found.told.extend(case.told.kept().iter().cloned());
            case.values
        });
        let cases = values.collect();
        found.files.push(CaseFile { file: path.display().to_string(), kind: file.kind, cases });
    }
    Ok(found)
}

#[derive(Deserialize)]
struct Kind {
    kind: String,
}

#[derive(Deserialize)]
struct Cases<C> {
    cases: Vec<C>,
}

fn read(path: &Path) -> Result<(Kind, Vec<Judged>), Diagnostics> {
    let text = case_files::read(path)?;
    let kind: Kind = parse(path, &text)?;
    let judged = match kind.kind.as_str() {
        "outages" => judge(path, &text, |case| outages::judge(case, path))?,
        "wall" => judge(path, &text, wall::judge)?,
        "pool" => judge(path, &text, pool::judge)?,
        other => {
            let message = format!("there are no cases of the kind `{other}`");
            let help = "kinds: outages, wall, pool";
            return Err(one(Diagnostic::error("W0433", message)
                .at(first_line_with(path, &text, "\"kind\""))
                .help(help)));
        }
    };
    Ok((kind, judged))
}

/// A case that was read.
trait Case: DeserializeOwned {
    /// Its name.
    fn name(&self) -> &str;
}

fn judge<C: Case>(
    path: &Path,
    text: &str,
    of: impl Fn(&C) -> Result<Judged, Diagnostics>,
) -> Result<Vec<Judged>, Diagnostics> {
    let cases: Cases<C> = parse(path, text)?;
    let mut judged = Vec::new();
    let mut problems = Diagnostics::default();
    for case in &cases.cases {
        match of(case) {
            Ok(found) => judged.push(found),
            Err(told) => {
                for problem in told.kept() {
                    // What names no place of its own is about the case.
                    let is_placed = problem.place != Place::Nowhere;
                    let place =
                        || first_line_with(path, text, &format!("{}", Value::from(case.name().to_owned())));
                    problems.push(if is_placed { problem.clone() } else { problem.clone().at(place()) });
                }
            }
        }
    }
    if problems.errors() > 0 { Err(problems) } else { Ok(judged) }
}

fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, Diagnostics> {
    serde_json::from_str(text).map_err(|error| {
        let line = error.line() as u64;
        let place = line_of(path, text, line.max(1));
        let message = format!("these are no cases: {error}");
        let help = "a JSON object with `kind` (outages, wall, pool) and `cases`";
        one(Diagnostic::error("W0433", message).at(place).help(help))
    })
}

fn first_line_with(path: &Path, text: &str, words: &str) -> Place {
    let at = text.lines().position(|line| line.contains(words)).unwrap_or(0);
    line_of(path, text, at as u64 + 1)
}

fn line_of(path: &Path, text: &str, line: u64) -> Place {
    let words = text.lines().nth(line as usize - 1).unwrap_or_default();
    Place::Line {
        file: path.display().to_string().into(),
        line,
        column: 0,
        text: words.chars().take(200).collect(),
    }
}

/// Refuses parameters outside their ranges: (name, value, least, most).
fn in_range(case: &str, rows: &[(&str, f64, f64, f64)]) -> Result<(), Diagnostics> {
    let mut problems = Diagnostics::default();
    for (name, value, least, most) in rows {
        if !(least..=most).contains(&value) {
            let message = format!("`{name}` of the case `{case}` cannot be {value}");
            let help = format!("write a number from {least} to {most}");
            problems.push(Diagnostic::error("W0433", message).help(help));
        }
    }
    if problems.errors() > 0 { Err(problems) } else { Ok(()) }
}

/// Mean, and standard deviation (n - 1).
fn spread(values: &[f64]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    (mean, libm::sqrt(squares / (count - 1.0).max(1.0)))
}

/// Half of the interval in which 99 % of such means lie.
fn half_width(values: &[f64]) -> f64 {
    Z99 * spread(values).1 / libm::sqrt(values.len().max(1) as f64)
}

//! Recorded outages: `node,down_s,up_s` and, if known, `cause`; seconds after the first submission.
//!
//! One reader for `outages` of a design and for `validate failures`, so that a file is the same in both. What a node
//! is called is for the caller to say. Rows may come in any order; those of a node that overlap are one outage, and
//! are counted. `cause` is for people: nothing depends on it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::diagnostic::{Diagnostic, Diagnostics, Place, nearest};
use crate::time::SimDuration;

/// An outage as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutageRow {
    /// Number of the node.
    pub node: usize,
    /// Begin.
    pub from: SimDuration,
    /// End; never before the begin.
    pub until: SimDuration,
    /// Why, where it is written.
    pub cause: String,
    /// Line of the file.
    pub line: u64,
}

/// A node that is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spell {
    /// Begin.
    pub from: SimDuration,
    /// Number of the node.
    pub node: usize,
    /// End.
    pub until: SimDuration,
}

/// All that a file says.
#[derive(Clone, Debug, Default)]
pub struct Outages {
    /// Its rows, in their order.
    pub rows: Vec<OutageRow>,
    /// When which node is down: in order of begin, apart for each node.
    pub spells: Vec<Spell>,
    /// What to tell, and never an error: rows that overlap others.
    pub told: Diagnostics,
}

impl Outages {
    /// Rows that overlap another of their node: they became part of it.
    #[must_use]
    pub fn merged(&self) -> usize {
        self.rows.len() - self.spells.len()
    }
}

const COLUMNS: [&str; 4] = ["node", "down_s", "up_s", "cause"];
/// More rows than this are no record of a cluster, and would fill the memory.
const MOST_ROWS: usize = 5_000_000;
/// Latest instant, in seconds.
const LATEST_S: f64 = 1e10;

/// Reads a file; `node_of` finds the number of a node, or says what nodes there are.
///
/// # Errors
/// W0253 for a file or rows that cannot be used, all together.
pub fn read_outages(
    path: &Path,
    node_of: &dyn Fn(&str) -> Result<usize, String>,
) -> Result<Outages, Diagnostics> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let message = format!("cannot read the outages `{file}`: {error}");
        let help = format!("a CSV file with the columns {}", COLUMNS.join(", "));
        let place = Place::File(file.as_str().into());
        let mut problems = Diagnostics::default();
        problems.push(Diagnostic::error("W0253", message).at(place).help(help));
        problems
    })?;
    parse(&text, &file, node_of)
}

fn parse(
    text: &str,
    file: &str,
    node_of: &dyn Fn(&str) -> Result<usize, String>,
) -> Result<Outages, Diagnostics> {
    let mut problems = Diagnostics::default();
    let lines: Vec<&str> = text.lines().collect();
    let place = |line: u64| Place::Line {
        file: file.into(),
        line,
        column: 0,
        text: lines.get(line.saturating_sub(1) as usize).copied().unwrap_or_default().to_owned(),
    };
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(text.as_bytes());
    let columns = match reader.headers() {
        Ok(header) => columns_of(header, &place(1), &mut problems),
        Err(error) => {
            problems.push(Diagnostic::error("W0253", error.to_string()).at(place(1)));
            None
        }
    };
    let Some(columns) = columns else { return Err(problems) };
    let mut rows = Vec::new();
    for record in reader.records() {
        let read = match &record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                let cells = columns.map(|at| at.and_then(|at| record.get(at)).unwrap_or_default());
                row(cells, line, node_of).map_err(|(message, help)| (line, message, help))
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                Err((line, error.to_string(), "write one outage a line".to_owned()))
            }
        };
        match read {
            Ok(row) if rows.len() < MOST_ROWS => rows.push(row),
            Ok(row) => {
                let message = format!("more than {MOST_ROWS} outages");
                problems.push(Diagnostic::error("W0253", message).at(place(row.line)));
                break;
            }
            Err((line, message, help)) => {
                problems.push(Diagnostic::error("W0253", message).at(place(line)).help(help));
            }
        }
    }
    if problems.errors() > 0 {
        return Err(problems);
    }
    let (spells, overlaps) = merge(&rows);
    let mut told = Diagnostics::default();
    for (later, earlier) in overlaps {
        let message = format!("the node is down already, since line {earlier}");
        let help = "nothing is lost: both are one outage";
        told.push(Diagnostic::warning("W0253", message).at(place(later)).help(help));
    }
    Ok(Outages { rows, spells, told })
}

/// Where the columns are, in the order of [`COLUMNS`]; `None` if one is missing or unknown.
fn columns_of(
    header: &csv::StringRecord,
    place: &Place,
    problems: &mut Diagnostics,
) -> Option<[Option<usize>; 4]> {
    let before = problems.errors();
    for name in header.iter().filter(|name| !COLUMNS.contains(name)) {
        let help = match nearest(name, COLUMNS) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("columns: {}", COLUMNS.join(", ")),
        };
        let message = format!("outages have no column `{name}`");
        problems.push(Diagnostic::error("W0253", message).at(place.clone()).help(help));
    }
    let columns = COLUMNS.map(|name| header.iter().position(|cell| cell == name));
    for (name, _) in COLUMNS.iter().zip(&columns).take(3).filter(|(_, at)| at.is_none()) {
        let message = format!("the outages need the column `{name}`");
        let help = "write `node,down_s,up_s` in the first line; `cause` may follow";
        problems.push(Diagnostic::error("W0253", message).at(place.clone()).help(help));
    }
    for name in COLUMNS.iter().filter(|name| header.iter().filter(|cell| cell == *name).count() > 1) {
        let message = format!("the column `{name}` is there twice");
        problems.push(Diagnostic::error("W0253", message).at(place.clone()).help("leave one of them out"));
    }
    (problems.errors() == before).then_some(columns)
}

/// A row; else what is wrong and what to write.
fn row(
    [node, down, up, cause]: [&str; 4],
    line: u64,
    node_of: &dyn Fn(&str) -> Result<usize, String>,
) -> Result<OutageRow, (String, String)> {
    let instant = |name: &str, text: &str| match text.parse::<f64>() {
        Ok(s) if (0.0..=LATEST_S).contains(&s) => Ok(SimDuration::from_micros(libm::round(s * 1e6) as i64)),
        _ => Err((
            format!("`{name}` cannot be `{text}`"),
            "write seconds after the first submission, from 0 to 10,000,000,000".to_owned(),
        )),
    };
    let node = node_of(node).map_err(|help| (format!("there is no node `{node}`"), help))?;
    let (from, until) = (instant("down_s", down)?, instant("up_s", up)?);
    if until < from {
        let message = format!("the outage ends at {up} s, before it begins at {down} s");
        return Err((
            message,
            "`up_s` must not be before `down_s`: exchange them, or correct one".to_owned(),
        ));
    }
    Ok(OutageRow { node, from, until, cause: cause.to_owned(), line })
}

/// Makes one of those that overlap or touch; tells lines that overlap, with the line of what they overlap.
fn merge(rows: &[OutageRow]) -> (Vec<Spell>, Vec<(u64, u64)>) {
    let mut by_node: BTreeMap<usize, Vec<&OutageRow>> = BTreeMap::new();
    for row in rows {
        by_node.entry(row.node).or_default().push(row);
    }
    let (mut spells, mut overlaps) = (Vec::new(), Vec::new());
    for (node, mut rows) in by_node {
        rows.sort_by_key(|row| (row.from, row.until, row.line));
        let mut open: Option<(Spell, u64)> = None;
        for row in rows {
            match &mut open {
                Some((spell, line)) if row.from <= spell.until => {
                    overlaps.push((row.line, *line));
                    if row.until > spell.until {
                        (spell.until, *line) = (row.until, row.line);
                    }
                }
                _ => {
                    let spell = Spell { from: row.from, node, until: row.until };
                    spells.extend(open.replace((spell, row.line)).map(|(spell, _)| spell));
                }
            }
        }
        spells.extend(open.map(|(spell, _)| spell));
    }
    spells.sort();
    overlaps.sort_unstable();
    (spells, overlaps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rows: &str) -> Result<Outages, Diagnostics> {
        let node_of = |name: &str| name.parse().ok().filter(|at| *at < 10).ok_or_else(|| "0 to 9".to_owned());
        parse(&format!("node,down_s,up_s,cause\n{rows}"), "outages.csv", &node_of)
    }

    fn spells(found: &Outages) -> Vec<(usize, i64, i64)> {
        let s = |span: SimDuration| span.micros() / 1_000_000;
        found.spells.iter().map(|spell| (spell.node, s(spell.from), s(spell.until))).collect()
    }

    #[test]
    fn outages_of_a_node_that_overlap_are_one_and_told() {
        let found =
            read("1,50,60,x\n0,10,20,a\n0,15,40,b\n0,30,35,c\n0,40,41,d\n0,42,43,\n1,5,5,\n").unwrap();
        assert_eq!(spells(&found), [(1, 5, 5), (0, 10, 41), (0, 42, 43), (1, 50, 60)]);
        assert_eq!((found.rows.len(), found.merged(), found.told.kept().len()), (7, 3, 3));
        let told = &found.told.kept()[2];
        assert!(matches!(told.place, Place::Line { line: 6, .. }), "{told:?}");
        assert!(told.message.contains("line 4"), "the one that lasts to 40 s: {told:?}");
    }

    #[test]
    fn mistakes_come_together_with_their_lines() {
        let wrong = read("10,0,1,\n1,5,4,\n1,x,4,\n1,-1,4,\n1,0,inf,\n2,0,1,\n1,0\n").unwrap_err();
        assert_eq!(wrong.errors(), 6);
        for (problem, line) in wrong.kept().iter().zip([2, 3, 4]) {
            assert!(matches!(problem.place, Place::Line { line: at, .. } if at == line), "{problem:?}");
            assert!(problem.help.is_some());
        }
        let none = |_: &str| Ok(0);
        for header in ["node,down_s\n", "node,down_s,up_s,why\n", "node,node,down_s,up_s\n", ""] {
            assert!(parse(header, "outages.csv", &none).is_err(), "{header}");
        }
        assert_eq!(parse("up_s,node,down_s\n2,0,1\n", "outages.csv", &none).unwrap().spells.len(), 1);
    }
}

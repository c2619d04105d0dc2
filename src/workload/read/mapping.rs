//! Any table with a header: `[workload.columns]` says which of its columns is which of ours, and how its
//! numbers and times are written. Rows become rows of the native CSV, with the places of the cells that they
//! come from.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::assembly::{Assembly, RowPlace};
use super::cells::Cell;
use super::columns::{COLUMNS, Column as C, Header};
use super::csv::Rows;
use super::formats::{self, Format, Kind};
use super::lines::{Line, Lines};
use super::problem::{Fatal, Problem, code, shown};
use super::timestamps::Clock;
use crate::diagnostic::{Diagnostic, nearest};

/// What one key of `[workload.columns]` says: the name of a column, or that with the way it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ColumnSetting {
    /// The name of the column in the file; of `delimiter` and `decimal` the sign itself.
    Name(String),
    /// The name of the column, and how its values are written.
    Written(WrittenColumn),
}

/// A column with its unit or format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WrittenColumn {
    /// The name of the column in the file.
    pub from: String,
    /// How its values are written: `d-hh:mm:ss`, `dd.mm.yyyy hh:mm:ss`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// In what they are counted: ms, s, min, h, d; KB, MB, GB, KiB, MiB, GiB; percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// Which columns of a file are which of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnMap {
    delimiter: Option<char>,
    decimal: char,
    columns: Vec<Mapped>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mapped {
    column: C,
    from: String,
    format: Format,
}

/// The key that is wrong, what is wrong with it, and the cure.
type Wrong = (String, String, String);

impl ColumnMap {
    /// The map that a table of settings says.
    ///
    /// # Errors
    /// The key that is wrong, why, and the cure.
    pub fn of_table(table: &BTreeMap<String, ColumnSetting>) -> Result<Self, Wrong> {
        let mut map = Self { delimiter: None, decimal: '.', columns: Vec::new() };
        for (key, setting) in table {
            let wrong = |message: String, help: String| Err((key.clone(), message, help));
            if key == "delimiter" || key == "decimal" {
                let sign = match setting {
                    ColumnSetting::Name(text) if text == "\\t" => Some('\t'),
                    ColumnSetting::Name(text) => single(text),
                    ColumnSetting::Written(_) => None,
                };
                match sign {
                    Some(sign) if key == "delimiter" && sign.is_ascii() => map.delimiter = Some(sign),
                    Some(sign @ ('.' | ',')) if key == "decimal" => map.decimal = sign,
                    _ if key == "delimiter" => {
                        return wrong(
                            "`delimiter` is one sign".to_owned(),
                            "write \";\" or \"\\t\"".to_owned(),
                        );
                    }
                    _ => return wrong("`decimal` is \".\" or \",\"".to_owned(), "write \",\"".to_owned()),
                }
                continue;
            }
            let Some((_, column)) = COLUMNS.iter().find(|(name, _)| name == key) else {
                let near = nearest(key, COLUMNS.iter().map(|(name, _)| *name));
                let help = near.map_or("`windtunnel schema trace` lists all".to_owned(), |n| {
                    format!("did you mean `{n}`?")
                });
                return wrong(format!("the native CSV has no column `{key}`"), help);
            };
            let kind = formats::kind_of(*column);
            let (from, named) = match setting {
                ColumnSetting::Name(from) => (from, None),
                ColumnSetting::Written(WrittenColumn { from, format, unit }) => match (format, unit) {
                    (Some(_), Some(_)) => {
                        return wrong("it has a unit and a format".to_owned(), "keep one of them".to_owned());
                    }
                    (format, unit) => (from, format.as_ref().or(unit.as_ref())),
                },
            };
            let format = match named {
                None => Format::Any,
                Some(name) => match Format::of_name(name, kind) {
                    Some(format) => format,
                    None => {
                        let message = format!("`{name}` is no way to write {key}");
                        return wrong(message, format!("write {}", Format::names(kind)));
                    }
                },
            };
            map.columns.push(Mapped { column: *column, from: from.clone(), format });
        }
        let missing: Vec<&str> = [("job_id", C::JobId), ("submit_s", C::Submit), ("run_s", C::Run)]
            .iter()
            .filter(|(_, column)| !map.has(*column))
            .filter(|(_, column)| !(*column == C::Run && map.has(C::Start) && map.has(C::End)))
            .map(|(name, _)| *name)
            .collect();
        if missing.is_empty() {
            Ok(map)
        } else {
            let message = format!("columns that every trace needs are not named: {}", missing.join(", "));
            Err((String::new(), message, format!("write {} = \"NAME OF THE COLUMN\"", missing[0])))
        }
    }
}

impl ColumnMap {
    fn has(&self, column: C) -> bool {
        self.columns.iter().any(|mapped| mapped.column == column)
    }

    /// Where the run time follows from start and end: their places among the columns.
    fn run_from(&self) -> Option<(usize, usize)> {
        let place = |column: C| self.columns.iter().position(|mapped| mapped.column == column);
        if self.has(C::Run) { None } else { place(C::Start).zip(place(C::End)) }
    }
}

fn single(text: &str) -> Option<char> {
    let mut chars = text.chars();
    chars.next().filter(|_| chars.next().is_none())
}

/// The sign between the cells of a header: the one that cuts it into most.
pub(super) fn delimiter_of(header: &str) -> char {
    let mut best = (',', 0);
    for sign in [',', ';', '\t', '|'] {
        let cells = cut(header, sign).len();
        if cells > best.1 {
            best = (sign, cells);
        }
    }
    best.0
}

/// The cells of a line without quotes, each with its byte column from 1; `None` where a quote is not closed.
pub(super) fn cut(line: &str, delimiter: char) -> Vec<(String, u64)> {
    let mut cells = Vec::new();
    let (mut text, mut column, mut quoted, mut was_quote) = (String::new(), 1, false, false);
    for (at, c) in line.char_indices() {
        match c {
            '"' if quoted => (quoted, was_quote) = (false, true),
            '"' if was_quote => {
                text.push('"');
                (quoted, was_quote) = (true, false);
            }
            '"' if text.trim().is_empty() => quoted = true,
            _ if c == delimiter && !quoted => {
                cells.push((std::mem::take(&mut text).trim().to_owned(), column));
                column = (at + c.len_utf8()) as u64 + 1;
                was_quote = false;
            }
            _ => {
                text.push(c);
                was_quote = false;
            }
        }
    }
    cells.push((text.trim().to_owned(), column));
    cells
}

/// Reads a table after a map.
pub(super) fn read<R: std::io::Read>(
    map: &ColumnMap,
    lines: &mut Lines<R>,
    first: &[u8],
    assembly: &mut Assembly<'_>,
    broken: &dyn Fn(std::io::Error, u64) -> Fatal,
) -> Result<(), Fatal> {
    let mut store = String::new();
    let header_row =
        super::foreign::as_utf8(RowPlace { line: lines.number(), text: first }, &mut store, assembly);
    let header = String::from_utf8_lossy(header_row.text).into_owned();
    let delimiter = map.delimiter.unwrap_or_else(|| delimiter_of(&header));
    let names = cut(&header, delimiter);
    let places = place_columns(map, &names, header_row, assembly)?;
    let run_from = map.run_from();
    let columns: Vec<C> =
        map.columns.iter().map(|mapped| mapped.column).chain(run_from.map(|_| C::Run)).collect();
    let has_zone = assembly.options.time_zone.is_some();
    let zone = assembly.options.time_zone.as_deref().or(Some("UTC"));
    let mut rows = Rows::new(&Header::made(&columns), Clock::new(zone)?);
    let mut seen_civil = false;
    let mut clock = Clock::new(zone)?;
    loop {
        let number = lines.number() + 1;
        match lines.next_line().map_err(|error| broken(error, number))? {
            None => break,
            Some(Line::TooLong(start)) => {
                assembly.workload.repairs.rows_read += 1;
                assembly.refuse(RowPlace { line: number, text: start }, super::line_too_long());
            }
            Some(Line::Text(line)) if line.trim_ascii().is_empty() => {}
            Some(Line::Text(line)) => {
                assembly.workload.repairs.rows_read += 1;
                let mut store = String::new();
                let row =
                    super::foreign::as_utf8(RowPlace { line: number, text: line }, &mut store, assembly);
                let text = String::from_utf8_lossy(row.text);
                let made = make(map, &cut(&text, delimiter), &places, names.len());
                let taken = made.and_then(|mut made| {
                    if let Some((start, end)) = run_from {
                        made.push(run_between(&made[start], &made[end], &mut clock)?);
                    }
                    seen_civil |= made.iter().any(|(text, _)| super::sacct::looks_like_a_timestamp(text));
                    rows.take_made(&made, row, assembly)
                });
                if let Err(problem) = taken {
                    assembly.refuse(row, problem);
                }
            }
        }
    }
    rows.finish(assembly);
    if seen_civil && !has_zone {
        let told = Diagnostic::warning(
            code::ZONE_UNKNOWN,
            "the time zone of the times is not stated: they are read as UTC",
        )
        .at(crate::diagnostic::Place::File(assembly.file.clone()))
        .because("waits across a change of the clocks are off by an hour")
        .help("name the zone: --time-zone Europe/Paris, or workload.time-zone in a scenario");
        assembly.workload.warnings.push(told);
    }
    Ok(())
}

/// The time from a start to an end; empty where one of them is not known.
fn run_between(
    start: &(String, u64),
    end: &(String, u64),
    clock: &mut Clock,
) -> Result<(String, u64), Problem> {
    if start.0.is_empty() || end.0.is_empty() {
        return Ok((String::new(), end.1));
    }
    let mut at = |name, (text, column): &(String, u64)| {
        Cell { name, text: text.as_bytes(), column: *column }.instant(clock).map(|time| time.micros())
    };
    let micros = at("end_s", end)? - at("start_s", start)?;
    if micros < 0 {
        let message = "the end lies before the start, so there is no run time";
        return Err(Problem::new(code::ENDS_BEFORE_START, "ends before it starts", message)
            .at(end.1)
            .help("correct one of the two times, or name a column for run_s"));
    }
    Ok((formats::seconds_text(micros), end.1))
}

/// Where the columns of the map stand in the file.
fn place_columns(
    map: &ColumnMap,
    names: &[(String, u64)],
    header: RowPlace<'_>,
    assembly: &mut Assembly<'_>,
) -> Result<Vec<usize>, Fatal> {
    let mut places = Vec::new();
    for mapped in &map.columns {
        let mut found = names.iter().enumerate().filter(|(_, (name, _))| *name == mapped.from);
        match (found.next(), found.next()) {
            (Some((at, _)), None) => places.push(at),
            (Some(_), Some((_, (_, column)))) => {
                let message = format!("column '{}' comes twice", mapped.from);
                let told =
                    Diagnostic::error(code::REPEATED_COLUMN, message).at(assembly.place(header, *column));
                return Err(Box::new(told.help("rename one of the two in the file")));
            }
            (None, _) => {
                let message = format!("the file has no column '{}'", mapped.from);
                let all: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
                let near = nearest(&mapped.from, all.iter().copied());
                let help = near.map_or(format!("it has: {}", shown(all.join(", ").as_bytes(), 0)), |near| {
                    format!("it has '{near}': write that in [workload.columns]")
                });
                let told = Diagnostic::error(code::MISSING_COLUMN, message).at(assembly.place(header, 0));
                return Err(Box::new(told.help(help)));
            }
        }
    }
    Ok(places)
}

/// The cells of a row as the native CSV writes them.
fn make(
    map: &ColumnMap,
    cells: &[(String, u64)],
    places: &[usize],
    width: usize,
) -> Result<Vec<(String, u64)>, Problem> {
    if cells.len() != width {
        let message = format!("the row has {} cells, the header {width}", cells.len());
        return Err(Problem::new(code::WIDTH, "a row of the wrong width", message)
            .help("a cell that holds the delimiter must stand in double quotes"));
    }
    let of = |(mapped, at): (&Mapped, &usize)| {
        let (text, column) = &cells[*at];
        if text.is_empty() {
            return Ok((String::new(), *column));
        }
        let kind = formats::kind_of(mapped.column);
        match formats::native(text, kind, &mapped.format, map.decimal) {
            Some(native) => Ok((native, *column)),
            None => {
                let message = format!(
                    "{} is '{}', which is not written as said",
                    mapped.from,
                    shown(text.as_bytes(), 0)
                );
                let help = match kind {
                    Kind::Number | Kind::Text => "check `decimal` in [workload.columns]".to_owned(),
                    _ => format!("write for it in [workload.columns] {}", Format::names(kind)),
                };
                let problem =
                    Problem::new(code::TYPE, "a cell is not written as [workload.columns] says", message);
                Err(problem.at(*column).help(help))
            }
        }
    };
    map.columns.iter().zip(places).map(of).collect()
}

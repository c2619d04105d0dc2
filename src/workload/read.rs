//! Reads traces: the native CSV and the Standard Workload Format, plain, gzip or zstd.
//!
//! One pass over the stream through a bounded buffer; a row becomes a small [`Job`](super::Job) and ids
//! of interned requests and labels, nothing else of it stays. What cannot be read is refused row by
//! row, counted in the repair ledger and told with line and column; what makes the whole file useless
//! is a [`ReadError`]. Nothing is guessed and nothing is dropped in silence.
//!
//! - `source`: opens the file and unpacks it by its magic number
//! - `lines`: lines of bounded length
//! - `csv`, `columns`, `cells`, `request`, `extras`, `timestamps`: the native CSV
//! - `swf`: the Standard Workload Format
//! - `sacct`: dumps of Slurm's accounting; `foreign`: what all dialects of others share
//! - `published`: traces of GPU clusters and centres, each with columns of its own
//! - `node_list`: which GPUs a node has
//! - `table`: tables of others, by column name
//! - `assembly`: duplicates, submit order, arrays; `dependencies`: names become jobs, circles are refused

mod assembly;
mod cells;
pub(super) mod columns;
mod csv;
mod dependencies;
mod extras;
mod foreign;
mod formats;
mod guess;
mod lines;
mod mapping;
pub mod node_list;
mod problem;
pub(crate) mod published;
mod request;
pub mod sacct;
mod source;
mod swf;
pub(crate) mod table;
mod timestamps;

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::columns::{ColumnFacts, trace_columns};
pub use self::guess::guess_columns;
pub use self::mapping::{ColumnMap, ColumnSetting, WrittenColumn};
pub use self::published::Dialect;

use self::assembly::{Assembly, RowPlace};
use self::lines::{Line, Lines};
use self::problem::{Fatal, Problem, code};
use self::sacct::CivilClock;
use self::source::Packing;
use super::{RepairLedger, Workload};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::time::{SimDuration, SimTime};

/// A dialect of traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceFormat {
    /// Comma-separated with a header line, DESIGN 5.3.
    Csv,
    /// Standard Workload Format 2.2.
    Swf,
    /// `sacct -P`, any columns.
    Sacct,
    /// A published trace with columns of its own.
    Published(Dialect),
}

impl TraceFormat {
    /// Names on the command line, in order.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ["csv", "swf", "sacct"].into_iter().chain(Dialect::ALL.iter().map(|dialect| dialect.name()))
    }

    /// The format of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        match name {
            "csv" => Some(Self::Csv),
            "swf" => Some(Self::Swf),
            "sacct" => Some(Self::Sacct),
            _ => Dialect::ALL.into_iter().find(|dialect| dialect.name() == name).map(Self::Published),
        }
    }
}

/// How to read a trace.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// Dialect; by content and file name where `None`.
    pub format: Option<TraceFormat>,
    /// Refused rows make the whole trace invalid.
    pub strict: bool,
    /// A run time beyond the limit is cut to the limit (and counted); otherwise it is kept and noted.
    pub cut_at_limit: bool,
    /// IANA time zone in which timestamps without offset are read; without it only plain seconds are
    /// accepted. Times then count from 1970-01-01 UTC.
    pub time_zone: Option<String>,
    /// Only jobs submitted in `[from, to)`; the others are counted.
    pub window: Option<(SimTime, SimTime)>,
    /// Which GPUs the nodes have, by name: tells the GPU type that a job ran on where the trace does not.
    pub node_list: Option<PathBuf>,
    /// What the columns mean, where they are not called as in the native CSV.
    pub columns: Option<Box<ColumnMap>>,
    /// Types of GPUs that are plain names even where they look like a MIG profile (those of slurm.conf).
    pub plain_types: Vec<String>,
    /// Only so many jobs, the first in submit order; the others are counted.
    pub job_limit: Option<u64>,
}

/// A trace that cannot be used, with all that is wrong with it. Exit code 4.
#[derive(Debug, thiserror::Error)]
#[error("{}", first_error(.diagnostics))]
pub struct ReadError {
    /// What is wrong; at least one error.
    pub diagnostics: Diagnostics,
    /// What was counted until then.
    pub repairs: RepairLedger,
}

fn first_error(diagnostics: &Diagnostics) -> &str {
    diagnostics.kept().iter().max_by_key(|d| d.severity).map_or("the trace cannot be read", |d| &d.message)
}

/// Reads a trace file.
///
/// # Errors
/// [`ReadError`] where the file is unreadable, truncated, not UTF-8, lacks or misspells columns, or has
/// no valid row; with `strict`, where any row is refused.
pub fn read_trace(path: &Path, options: &ReadOptions) -> Result<Workload, ReadError> {
    let assembly = Assembly::new(&path.display().to_string(), options);
    match source::open(path) {
        Err(error) => {
            let fatal = unreadable(&assembly.file, &error);
            Err(failed(assembly.workload, Some(fatal)))
        }
        Ok(stream) => read_into(stream, assembly),
    }
}

/// Reads a trace from a stream; `name` stands for it in diagnostics, and its ending may tell the format.
///
/// # Errors
/// As [`read_trace`].
pub fn read_stream(stream: impl Read, name: &str, options: &ReadOptions) -> Result<Workload, ReadError> {
    read_into(Box::new(stream), Assembly::new(name, options))
}

fn read_into(stream: Box<dyn Read + '_>, mut assembly: Assembly<'_>) -> Result<Workload, ReadError> {
    if let Err(fatal) = read_rows(stream, &mut assembly) {
        return Err(failed(assembly.workload, Some(fatal)));
    }
    let plain_types = &assembly.options.plain_types;
    let mut workload = assembly.finish();
    take_as_plain_names(&mut workload, plain_types);
    if workload.warnings.errors() > 0 { Err(failed(workload, None)) } else { Ok(workload) }
}

/// Under slurm.conf the type of a GRES is a name and nothing else: `a100_3g.20gb` is a device of that name.
fn take_as_plain_names(workload: &mut Workload, types: &[String]) {
    if types.is_empty() || workload.requests.iter().all(|(_, request)| request.mig_profile.is_none()) {
        return;
    }
    let mut rows: Vec<_> = workload.requests.iter().map(|(_, request)| request.clone()).collect();
    for request in &mut rows {
        let Some(profile) = request.mig_profile else { continue };
        let texts = &workload.texts;
        let whole = match request.gpu_types.as_slice() {
            [board] => format!("{}_{}", texts.get(*board), texts.get(profile)),
            _ => texts.get(profile).to_owned(),
        };
        if types.contains(&whole) {
            request.gpu_types = smallvec::smallvec![workload.texts.intern(&whole)];
            request.mig_profile = None;
        }
    }
    workload.requests = super::Interner::default().into();
    for request in rows {
        workload.requests.push_row(request);
    }
}

fn failed(workload: Workload, fatal: Option<Fatal>) -> ReadError {
    let mut diagnostics = workload.warnings;
    diagnostics.extend(fatal.map(|fatal| *fatal));
    ReadError { diagnostics, repairs: workload.repairs }
}

fn read_rows(stream: Box<dyn Read + '_>, assembly: &mut Assembly<'_>) -> Result<(), Fatal> {
    let file = Arc::clone(&assembly.file);
    let source = source::unpack(stream).map_err(|error| unreadable(&file, &error))?;
    let packing = source.packing;
    let broken = move |error: io::Error, line: u64| broken(&file, packing, line, &error);
    let mut reader = source.reader;
    let start = source::first_bytes(&mut reader, 512).map_err(|error| broken(error, 1))?;
    if start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start).trim_ascii_start().starts_with(b"{") {
        let whole = io::Cursor::new(start).chain(reader);
        return sacct::read_json(whole, assembly, &broken);
    }
    if start.trim_ascii_start().starts_with(b"JobId=") {
        let mut bytes = start;
        reader.read_to_end(&mut bytes).map_err(|error| broken(error, 1))?;
        return sacct::read_shown(&String::from_utf8_lossy(&bytes), assembly);
    }
    if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
        return Err(utf16(assembly));
    }
    let mut lines = Lines::new(io::Cursor::new(start).chain(reader));
    let first = loop {
        let number = lines.number() + 1;
        match lines.next_line().map_err(|error| broken(error, number))? {
            None => return Err(empty(assembly)),
            Some(Line::TooLong(start)) => {
                let problem = line_too_long();
                let place = assembly.place(RowPlace { line: number, text: start }, 0);
                let mut fatal = Diagnostic::error(problem.code, problem.message).at(place);
                fatal.help = problem.help;
                return Err(Box::new(fatal));
            }
            // Some publishers put remarks above the header.
            Some(Line::Text(text)) if text.trim_ascii().is_empty() || text.starts_with(b"# ") => {}
            Some(Line::Text(text)) => break text.to_vec(),
        }
    };
    if let Some(columns) = assembly.options.columns.as_deref() {
        return mapping::read(columns, &mut lines, &first, assembly, &broken);
    }
    match assembly.options.format.unwrap_or_else(|| guess_format(&assembly.file, &first)) {
        TraceFormat::Csv => csv::read(&mut lines, &first, assembly, &broken),
        TraceFormat::Swf => swf::read(&mut lines, &first, assembly, &broken),
        TraceFormat::Sacct => sacct::read(&mut lines, &first, assembly, &broken),
        TraceFormat::Published(dialect) => published::read(dialect, &mut lines, &first, assembly, &broken),
    }
}

/// SWF begins with a comment or with numbers between blanks; others are known by their header, and
/// everything else is the native CSV.
fn guess_format(name: &str, first: &[u8]) -> TraceFormat {
    let name = name.to_ascii_lowercase();
    let called_swf = [".swf", ".swf.gz", ".swf.zst"].iter().any(|end| name.ends_with(end));
    let words = first.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let numbers = words.take_while(|word| is_number(word)).count();
    if first.trim_ascii_start().starts_with(b";") || numbers >= 5 || (called_swf && !first.contains(&b',')) {
        TraceFormat::Swf
    } else if sacct::is_sacct(first) {
        TraceFormat::Sacct
    } else if let Some(dialect) = Dialect::detect(first) {
        TraceFormat::Published(dialect)
    } else {
        TraceFormat::Csv
    }
}

fn is_number(word: &[u8]) -> bool {
    crate::time::parse_seconds_micros(word).is_ok()
}

fn unreadable(file: &Arc<str>, error: &io::Error) -> Fatal {
    Box::new(
        Diagnostic::error(code::UNREADABLE, format!("cannot open the trace: {}", plain_words(error)))
            .at(Place::File(Arc::clone(file)))
            .help("give the path of a CSV or SWF file, plain, gzip or zstd"),
    )
}

/// The reason without the system's error number.
fn plain_words(error: &io::Error) -> String {
    let words = error.to_string();
    words.split(" (os error").next().unwrap_or(&words).to_owned()
}

fn broken(file: &Arc<str>, packing: Packing, line: u64, error: &io::Error) -> Fatal {
    let place = Place::Line { file: Arc::clone(file), line, column: 0, text: String::new() };
    let words = plain_words(error);
    Box::new(match packing {
        Packing::Plain => Diagnostic::error(code::UNREADABLE, format!("reading stopped: {words}")).at(place),
        Packing::Gzip | Packing::Zstd => {
            let message = format!("the {} file is truncated or damaged: {words}", packing.name());
            Diagnostic::error(code::DAMAGED_ARCHIVE, message)
                .at(place)
                .because("the rows after this line are lost, so results would be of another trace")
                .help("copy the file again and compare its size or checksum with the origin")
        }
    })
}

fn empty(assembly: &Assembly<'_>) -> Fatal {
    Box::new(
        Diagnostic::error(code::EMPTY, "the trace is empty")
            .at(Place::File(Arc::clone(&assembly.file)))
            .help("the first line names the columns: job_id,submit_s,run_s,..."),
    )
}

fn utf16(assembly: &Assembly<'_>) -> Fatal {
    Box::new(
        Diagnostic::error(code::NOT_UTF8, "the file is UTF-16, as spreadsheets write \"Unicode text\"")
            .at(Place::File(Arc::clone(&assembly.file)))
            .help("convert it once: iconv -f UTF-16 -t UTF-8 IN > OUT"),
    )
}

fn line_too_long() -> Problem {
    let message = format!("a line longer than {} MiB", lines::MAX_LINE_BYTES >> 20);
    Problem::new(code::LINE_TOO_LONG, "a line that is too long", message)
        .help("no row of a trace is that long; look for missing line ends or binary content")
}

/// The trace ran beyond its limit: cut and counted if the user asked for it, else noted.
fn tell_limit_below_run(
    assembly: &mut Assembly<'_>,
    row: RowPlace<'_>,
    column: u64,
    run: SimDuration,
    limit: SimDuration,
) {
    if assembly.options.cut_at_limit {
        let message = format!("run time {run} s is beyond the limit {limit} s and was cut to it");
        let reason = "run time cut at the limit";
        assembly.change(row, Problem::new(code::LIMIT_BELOW_RUN, reason, message).at(column));
    } else {
        let message = format!("the limit {limit} s is below the run time {run} s; both are kept");
        let reason = "limit below run time (both kept)";
        let problem = Problem::new(code::LIMIT_BELOW_RUN, reason, message).at(column);
        assembly.note(row, problem.help("a run is cut only where the scenario asks for it"));
    }
}

/// Reads the times that Slurm's commands print, as the trace reader does.
pub struct SiteClock(CivilClock);

impl SiteClock {
    /// In a time zone by its IANA name; without one, civil times are read as UTC.
    ///
    /// # Errors
    /// A diagnostic (W0116) where the zone is not known.
    pub fn new(zone: Option<&str>) -> Result<Self, Diagnostic> {
        CivilClock::new(zone).map(Self).map_err(|fatal| *fatal)
    }

    /// The instant; `None` for `Unknown` and the like.
    ///
    /// # Errors
    /// What is wrong with the text, in words.
    pub fn read(&mut self, text: &str) -> Result<Option<SimTime>, String> {
        self.0.read("the time", text, 0).map_err(|problem| problem.message)
    }
}

/// What `trace check` tells.
#[derive(Debug)]
pub struct CheckReport {
    /// Jobs that would be replayed; zero if the trace is unusable.
    pub jobs: u64,
    /// First and last submission.
    pub submits: Option<(SimTime, SimTime)>,
    /// Whether the trace can be used.
    pub usable: bool,
    /// What was read, refused, changed, noted.
    pub repairs: RepairLedger,
    /// The same in words, with places.
    pub diagnostics: Diagnostics,
    /// Columns with values that change nothing in this version.
    pub unused_columns: Vec<String>,
}

/// Reads a trace only to tell what is wrong with it.
#[must_use]
pub fn check(path: &Path, options: &ReadOptions) -> CheckReport {
    match read_trace(path, options) {
        Ok(workload) => CheckReport {
            jobs: workload.jobs.len() as u64,
            submits: workload.jobs.iter().last().map(|last| (workload.first_submit(), last.submit)),
            usable: true,
            repairs: workload.repairs,
            diagnostics: workload.warnings,
            unused_columns: workload.unused_columns,
        },
        Err(error) => CheckReport {
            jobs: 0,
            submits: None,
            usable: false,
            repairs: error.repairs,
            diagnostics: error.diagnostics,
            unused_columns: Vec::new(),
        },
    }
}

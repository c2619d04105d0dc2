//! Published traces of others, comma-separated with a header of their own: known by their columns.
//!
//! Each dialect is one function from a row to a job (`gpu_clusters`, `graham`); this file finds the
//! dialect, reads the rows and counts. What a publisher invented (limits that copy the run time, classes
//! that are always the same) is not taken for what a user asked; each dialect says so.

pub(crate) mod gpu_clusters;
mod graham;

use super::assembly::{Assembly, RowPlace};
use super::cells::Cells;
use super::foreign::{ForeignJob, Intake};
use super::lines::{Line, Lines};
use super::problem::{Fatal, Problem, code, shown};
use super::sacct::CivilClock;
use super::table::{Columns, RowProblem, TableRow};
use crate::diagnostic::{Diagnostic, Place};
use crate::time::SimTime;
use crate::workload::Texts;

/// A published trace that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Pods of Alibaba's GPU cluster (openb, 2023).
    Openb,
    /// Philly, as derived for Pollux: one row for each job.
    Philly,
    /// A slice of Helios with columns of its own.
    HeliosSlice,
    /// The job logs of Helios and Acme as published: `cluster_log.csv`, `trace_seren.csv`.
    HeliosLog,
    /// Acme Kalos, converted for a training simulator.
    Kalos,
    /// Alibaba's disaggregated DLRM instances (2025).
    Dlrm,
    /// DRAC Graham, queue snapshots of 2021.
    Graham,
}

impl Dialect {
    /// All, the most particular first.
    pub const ALL: [Self; 7] = [
        Self::Graham,
        Self::Openb,
        Self::Dlrm,
        Self::HeliosSlice,
        Self::HeliosLog,
        Self::Kalos,
        Self::Philly,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Openb => "openb",
            Self::Philly => "philly",
            Self::HeliosSlice => "helios",
            Self::HeliosLog => "helios-log",
            Self::Kalos => "acme",
            Self::Dlrm => "dlrm",
            Self::Graham => "graham",
        }
    }

    /// The columns that it must have and those that it may have.
    fn columns(self) -> &'static Columns {
        match self {
            Self::Openb => &gpu_clusters::PODS,
            Self::Philly => &gpu_clusters::PHILLY,
            Self::HeliosSlice => &gpu_clusters::HELIOS_SLICE,
            Self::HeliosLog => &gpu_clusters::HELIOS_LOG,
            Self::Kalos => &gpu_clusters::KALOS,
            Self::Dlrm => &gpu_clusters::DLRM,
            Self::Graham => &graham::COLUMNS,
        }
    }

    /// The dialect whose columns a header has. Pods without times are found too, to be told apart.
    pub(super) fn detect(first: &[u8]) -> Option<Self> {
        let names = header(first);
        if is_node_list(&names) {
            return Some(Self::Openb);
        }
        let has_all =
            |dialect: &Self| dialect.columns().required.iter().all(|name| names.iter().any(|n| n == name));
        Self::ALL.into_iter().find(has_all)
    }

    fn read(self, row: &TableRow<'_>, context: &mut Context<'_>) -> Result<Taken, RowProblem> {
        match self {
            Self::Openb => gpu_clusters::pod(row, context),
            Self::Philly => gpu_clusters::philly(row, context),
            Self::HeliosSlice => gpu_clusters::helios_slice(row, context),
            Self::HeliosLog => gpu_clusters::helios_log(row, context),
            Self::Kalos => gpu_clusters::kalos(row, context),
            Self::Dlrm => gpu_clusters::dlrm(row, context),
            Self::Graham => graham::job(row, context),
        }
    }
}

/// Whether these are the columns of an openb list of nodes: found too, to be told apart from a trace.
fn is_node_list(names: &[String]) -> bool {
    ["sn", "cpu_milli", "memory_mib", "gpu", "model"].iter().all(|column| names.iter().any(|n| n == column))
}

fn header(line: &[u8]) -> Vec<String> {
    let mut cells = Cells::default();
    if std::str::from_utf8(line).is_err() || cells.split(line).is_err() {
        return Vec::new();
    }
    (0..cells.len()).map(|at| String::from_utf8_lossy(cells.text(line, at)).into_owned()).collect()
}

/// What a dialect needs beside the row.
pub(super) struct Context<'a> {
    pub texts: &'a mut Texts,
    pub clock: &'a mut CivilClock,
    /// Number of the row, from 1, for traces without job ids.
    pub row: u64,
}

/// What became of a row.
pub(super) enum Taken {
    /// A job, and what is odd about it.
    Job(Box<ForeignJob>, Vec<Oddity>),
    /// A job that ran to the end of the trace, which is not known yet.
    ToTheEnd(Box<ForeignJob>, Vec<Oddity>),
}

/// Something about a row that was taken: whether a value was changed, and the ledger's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Oddity {
    pub is_change: bool,
    pub reason: &'static str,
}

impl Oddity {
    pub fn changed(reason: &'static str) -> Self {
        Self { is_change: true, reason }
    }

    pub fn noted(reason: &'static str) -> Self {
        Self { is_change: false, reason }
    }
}

/// A job that is held back until the end of the trace is known.
struct Held {
    job: Box<ForeignJob>,
    /// Whether it runs to the end of the trace.
    is_endless: bool,
    oddities: Vec<Oddity>,
    line: u64,
    text: Vec<u8>,
}

/// Reads all rows below the header line `first`.
pub(super) fn read<R: std::io::Read>(
    dialect: Dialect,
    lines: &mut Lines<R>,
    first: &[u8],
    assembly: &mut Assembly<'_>,
    broken: &dyn Fn(std::io::Error, u64) -> Fatal,
) -> Result<(), Fatal> {
    let place = RowPlace { line: lines.number(), text: first };
    super::csv::check_utf8(place, assembly)?;
    let mut rows = Rows::new(dialect, place, assembly)?;
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
                let row = RowPlace { line: number, text: line };
                let row = super::foreign::as_utf8(row, &mut store, assembly);
                if let Err(problem) = rows.take(row, assembly) {
                    assembly.refuse(row, problem);
                }
            }
        }
    }
    rows.finish(assembly);
    Ok(())
}

struct Rows {
    dialect: Dialect,
    /// Columns used and where they stand.
    placed: Vec<(&'static str, usize)>,
    width: usize,
    cells: Cells,
    clock: CivilClock,
    intake: Intake,
    /// Jobs held back, in file order: all of a trace in which some have no end.
    held: Vec<Held>,
    /// Latest time of any row.
    last: SimTime,
    count: u64,
}

impl Rows {
    fn new(dialect: Dialect, first: RowPlace<'_>, assembly: &Assembly<'_>) -> Result<Self, Fatal> {
        let names = header(first.text);
        if is_node_list(&names) {
            let told = Diagnostic::error(code::NO_TIMES, "this is an openb list of nodes, not of jobs")
                .at(assembly.place(first, 0))
                .because("its columns are sn, cpu_milli, memory_mib, gpu and model: what the nodes have")
                .help("it goes beside a list of pods: windtunnel validate fgd --nodes FILE --pods FILE");
            return Err(Box::new(told));
        }
        let columns = dialect.columns();
        let at = |wanted: &&'static str| names.iter().position(|name| name == wanted).map(|at| (*wanted, at));
        let missing: Vec<&str> = columns.required.iter().copied().filter(|name| at(name).is_none()).collect();
        if !missing.is_empty() {
            let message = format!("{} needs columns that are missing: {}", columns.what, missing.join(", "));
            return Err(Box::new(
                Diagnostic::error(code::MISSING_COLUMN, message).at(assembly.place(first, 0)),
            ));
        }
        let placed: Vec<(&'static str, usize)> =
            columns.required.iter().chain(columns.optional).filter_map(at).collect();
        if dialect == Dialect::Openb && !placed.iter().any(|(name, _)| *name == "creation_time") {
            let told = Diagnostic::error(code::NO_TIMES, "this list of pods has no times")
                .at(assembly.place(first, 0))
                .because("a replay needs creation_time, scheduled_time and deletion_time")
                .help("such a list can be drawn from: windtunnel validate fgd --nodes FILE --pods FILE");
            return Err(Box::new(told));
        }
        Ok(Self {
            dialect,
            placed,
            width: names.len(),
            cells: Cells::default(),
            clock: CivilClock::new(assembly.options.time_zone.as_deref())?,
            intake: Intake::default(),
            held: Vec::new(),
            last: SimTime::ZERO,
            count: 0,
        })
    }

    fn take(&mut self, row: RowPlace<'_>, assembly: &mut Assembly<'_>) -> Result<(), Problem> {
        self.cells.split(row.text)?;
        if self.cells.len() != self.width {
            let message = format!("the row has {} cells, the header {}", self.cells.len(), self.width);
            return Err(Problem::new(code::WIDTH, "a row of the wrong width", message));
        }
        self.count += 1;
        let cells = TableRow::new(&self.placed, &self.cells, row.text);
        let mut context =
            Context { texts: &mut assembly.workload.texts, clock: &mut self.clock, row: self.count };
        match self.dialect.read(&cells, &mut context).map_err(RowProblem::into_problem)? {
            Taken::Job(job, oddities) => {
                let end = job.recorded.end.unwrap_or(job.submit + job.run);
                self.last = self.last.max(end).max(job.submit);
                if self.dialect != Dialect::Dlrm {
                    return self.admit(*job, &oddities, row, assembly);
                }
                self.hold(job, false, oddities, row);
            }
            Taken::ToTheEnd(job, oddities) => {
                self.last = self.last.max(job.submit).max(job.recorded.start.unwrap_or(job.submit));
                self.hold(job, true, oddities, row);
            }
        }
        Ok(())
    }

    fn hold(&mut self, job: Box<ForeignJob>, is_endless: bool, oddities: Vec<Oddity>, row: RowPlace<'_>) {
        self.held.push(Held { job, is_endless, oddities, line: row.line, text: row.text.to_vec() });
    }

    fn admit(
        &mut self,
        job: ForeignJob,
        oddities: &[Oddity],
        row: RowPlace<'_>,
        assembly: &mut Assembly<'_>,
    ) -> Result<(), Problem> {
        if job.run.micros() <= 0 {
            let message = "the job ran for no time: nothing that could be replayed";
            return Err(Problem::new(code::NOTHING_RAN, "no positive run time", message));
        }
        self.intake.admit(job, assembly, row)?;
        for oddity in oddities {
            let problem = Problem::new(code::FOREIGN_ROW, oddity.reason, oddity.reason);
            if oddity.is_change { assembly.change(row, problem) } else { assembly.note(row, problem) }
        }
        Ok(())
    }

    fn finish(mut self, assembly: &mut Assembly<'_>) {
        for Held { mut job, is_endless, oddities, line, text } in std::mem::take(&mut self.held) {
            let row = RowPlace { line, text: &text };
            if is_endless {
                job.run = self.last.saturating_since(job.recorded.start.unwrap_or(job.submit));
            }
            if let Err(problem) = self.admit(*job, &oddities, row, assembly) {
                assembly.refuse(row, problem);
            }
        }
        if self.clock.seen.civil > 0 && !self.clock.is_named {
            let message = "the time zone of the trace is not stated: its times are read as UTC";
            let told = Diagnostic::warning(code::ZONE_UNKNOWN, message)
                .at(Place::File(assembly.file.clone()))
                .because("times across a change of the clocks are off by an hour")
                .help("name the zone if you know it: --time-zone Europe/Paris");
            assembly.workload.warnings.push(told);
        }
        self.intake.finish(assembly);
    }
}

/// "the job never ran".
pub(super) fn never_ran(reason: &'static str, text: &str) -> RowProblem {
    let message = format!("{reason} ({})", shown(text.as_bytes(), 0));
    RowProblem::of(Problem::new(code::NOTHING_RAN, reason, message))
}

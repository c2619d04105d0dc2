//! The native CSV, row by row.
//!
//! Most rows repeat a request and a combination of labels that came before, so those cells are looked
//! up as bytes first and only read when they are new.

use rustc_hash::FxHashMap;

use super::assembly::{Assembly, Beyond, RowPlace};
use super::cells::{Cell, Cells};
use super::columns::{Column as C, Header, Part, Placed};
use super::lines::{Line, Lines};
use super::problem::{Fatal, Problem, code, shown};
use super::timestamps::Clock;
use super::{extras, request};
use crate::diagnostic::{Diagnostic, Place};
use crate::ids::{LabelId, RequestId};
use crate::time::{SecondsError, SimDuration, SimTime, parse_seconds_micros};
use crate::workload::wishes::{Licences, read_switches_wish};
use crate::workload::{Extras, Job, JobFlags, JobName, Labels, Recorded, Request};

/// Combinations of cells that are remembered; beyond that the table starts anew.
const REMEMBERED: usize = 1 << 16;

/// Reads all rows below the header line `first`.
pub(super) fn read<R: std::io::Read>(
    lines: &mut Lines<R>,
    first: &[u8],
    assembly: &mut Assembly<'_>,
    broken: &dyn Fn(std::io::Error, u64) -> Fatal,
) -> Result<(), Fatal> {
    let header = read_header(first, lines.number(), assembly)?;
    let mut rows = Rows::new(&header, Clock::new(assembly.options.time_zone.as_deref())?);
    loop {
        let number = lines.number() + 1;
        match lines.next_line().map_err(|error| broken(error, number))? {
            None => break,
            Some(Line::TooLong(start)) => {
                assembly.workload.repairs.rows_read += 1;
                let row = RowPlace { line: number, text: start };
                assembly.refuse(row, super::line_too_long());
            }
            Some(Line::Text(line)) if line.trim_ascii().is_empty() => {}
            Some(Line::Text(line)) => {
                let row = RowPlace { line: number, text: line };
                check_utf8(row, assembly)?;
                assembly.workload.repairs.rows_read += 1;
                if let Err(problem) = rows.take(row, assembly) {
                    assembly.refuse(row, problem);
                }
            }
        }
    }
    rows.finish(assembly);
    Ok(())
}

pub(super) fn check_utf8(row: RowPlace<'_>, assembly: &Assembly<'_>) -> Result<(), Fatal> {
    let Err(error) = std::str::from_utf8(row.text) else { return Ok(()) };
    let at = error.valid_up_to();
    let message = format!("not UTF-8: byte 0x{:02x}", row.text[at]);
    Err(Box::new(
        Diagnostic::error(code::NOT_UTF8, message)
            .at(assembly.place(row, at as u64 + 1))
            .because("texts in another encoding would be read as other names")
            .help("convert it once: iconv -f LATIN1 -t UTF-8 IN > OUT"),
    ))
}

fn read_header(first: &[u8], line: u64, assembly: &mut Assembly<'_>) -> Result<Header, Fatal> {
    let row = RowPlace { line, text: first };
    check_utf8(row, assembly)?;
    let mut cells = Cells::default();
    let file = assembly.file.clone();
    let place = |column: u64| Place::Line { file: file.clone(), line, column, text: shown(first, column) };
    cells.split(first).map_err(|problem| {
        let mut told = Diagnostic::error(problem.code, problem.message).at(place(problem.column));
        told.help = problem.help;
        Box::new(told)
    })?;
    let names: Vec<(String, u64)> = (0..cells.len())
        .map(|at| (String::from_utf8_lossy(cells.text(first, at)).into_owned(), cells.column(at)))
        .collect();
    Header::new(&names, place, &mut assembly.workload.warnings)
}

/// Cells of one part of a job, and what the combinations that came before were read as.
struct Remembered<I> {
    columns: Vec<Placed>,
    known: FxHashMap<Box<[u8]>, I>,
    key: Vec<u8>,
    last: Option<(Vec<u8>, I)>,
}

impl<I: Copy> Remembered<I> {
    fn new(columns: Vec<Placed>) -> Self {
        Self { columns, known: FxHashMap::default(), key: Vec::new(), last: None }
    }

    /// What these cells were read as before.
    fn look_up(&mut self, line: &[u8], cells: &Cells) -> Option<I> {
        self.key.clear();
        for placed in &self.columns {
            self.key.extend_from_slice(cells.text(line, placed.at));
            self.key.push(0);
        }
        if let Some((key, id)) = &self.last
            && *key == self.key
        {
            return Some(*id);
        }
        let id = *self.known.get(self.key.as_slice())?;
        self.set_last(id);
        Some(id)
    }

    /// Remembers what the cells looked up last mean.
    fn remember(&mut self, id: I) {
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        self.known.insert(Box::from(self.key.as_slice()), id);
        self.set_last(id);
    }

    fn set_last(&mut self, id: I) {
        let (key, last) = self.last.get_or_insert_with(|| (Vec::new(), id));
        key.clear();
        key.extend_from_slice(&self.key);
        *last = id;
    }
}

/// All that is needed to read one row after the other.
pub(super) struct Rows {
    width: usize,
    job_id: usize,
    submit: Placed,
    run: Placed,
    limit: Option<Placed>,
    priority: Option<Placed>,
    requests: Remembered<RequestId>,
    labels: Remembered<LabelId>,
    extras: Vec<Placed>,
    recorded: Vec<Placed>,
    class: Option<Placed>,
    cells: Cells,
    clock: Clock,
    /// The state of the current row is none of Slurm's.
    strange_state: bool,
    /// Columns with values that change nothing in this version.
    unused: Vec<&'static str>,
}

impl Rows {
    pub(super) fn new(header: &Header, clock: Clock) -> Self {
        let required = |column| header.find(column).expect("the header has all required columns");
        Self {
            width: header.width,
            job_id: required(C::JobId).at,
            submit: required(C::Submit),
            run: required(C::Run),
            limit: header.find(C::Limit),
            priority: header.find(C::Priority),
            requests: Remembered::new(header.of_part(Part::Request)),
            labels: Remembered::new(header.of_part(Part::Labels)),
            extras: header.of_part(Part::Extras),
            recorded: header.of_part(Part::Recorded),
            class: header.find(C::Class),
            cells: Cells::default(),
            clock,
            strange_state: false,
            unused: Vec::new(),
        }
    }

    /// Reads one row and hands it to the assembly.
    fn take(&mut self, row: RowPlace<'_>, assembly: &mut Assembly<'_>) -> Result<(), Problem> {
        self.cells.split(row.text)?;
        if self.cells.len() != self.width {
            let message = format!("the row has {} cells, the header {}", self.cells.len(), self.width);
            return Err(Problem::new(code::WIDTH, "a row of the wrong width", message)
                .help("a cell that holds a comma must stand in double quotes"));
        }
        self.take_cells(row, assembly)
    }

    /// Reads a row whose cells were put together elsewhere, in the order of the header.
    pub(super) fn take_made(
        &mut self,
        made: &[(String, u64)],
        row: RowPlace<'_>,
        assembly: &mut Assembly<'_>,
    ) -> Result<(), Problem> {
        self.cells.put(made);
        self.take_cells(row, assembly)
    }

    /// Hands the columns without effect to the workload.
    pub(super) fn finish(self, assembly: &mut Assembly<'_>) {
        assembly.workload.unused_columns = self.unused.iter().map(|name| (*name).to_owned()).collect();
    }

    fn take_cells(&mut self, row: RowPlace<'_>, assembly: &mut Assembly<'_>) -> Result<(), Problem> {
        let line = row.text;
        self.clock.ambiguous = 0;
        self.strange_state = false;
        let submit = cell(&self.cells, line, self.submit).instant(&mut self.clock)?;
        let run = cell(&self.cells, line, self.run).positive_span()?;
        let limit = self.filled(line, self.limit).map(Cell::positive_span).transpose()?;
        let priority = self.filled(line, self.priority).map_or(Ok(0), |c| c.integer(i64::MIN, i64::MAX))?;
        let mut flags = JobFlags::default();
        flags.set(JobFlags::LIMIT_UNKNOWN, limit.is_none());
        flags.set(JobFlags::CLASS_DEFAULTED, self.filled(line, self.class).is_none());
        let request = self.request(line, assembly)?;
        let labels = self.labels(line, assembly);
        let mut beyond = self.beyond(line, &mut flags, assembly)?;
        if beyond.extras.cancel.is_some_and(|cancel| cancel < submit) {
            return Err(Problem::new(
                code::RANGE,
                "cancelled before it was submitted",
                "cancel_s lies before submit_s",
            )
            .help("leave the row out, or correct one of the times"));
        }
        let recorded = self.recorded(line, assembly)?;
        let id = self.cells.text(line, self.job_id);
        if id.is_empty() {
            return Err(Problem::new(code::TYPE, "a row without job id", "job_id is empty")
                .at(self.cells.column(self.job_id))
                .help("give every job its own id"));
        }
        if !assembly.is_wanted(submit, row) {
            return Ok(());
        }
        let cut = assembly.options.cut_at_limit && limit.is_some_and(|limit| limit < run);
        let name = if beyond.array.is_some() { JobName::Number(0) } else { assembly.job_name(id) };
        let job = Job {
            submit,
            run: if cut { limit.unwrap_or(run) } else { run },
            limit: limit.unwrap_or(run),
            priority,
            name,
            request,
            labels,
            flags,
        };
        if beyond.array.is_none() && beyond.after.is_empty() && beyond.extras == Extras::default() {
            assembly.admit(job, &recorded, row)?;
        } else {
            let base = String::from_utf8_lossy(id);
            assembly.admit_with(job, &recorded, std::mem::take(&mut beyond), &base, row)?;
        }
        self.tell_oddities(row, (submit, run, limit), &recorded, assembly);
        Ok(())
    }

    /// The cell of an optional column, where the file has the column and the cell holds something.
    #[inline]
    fn filled<'a>(&'a self, line: &'a [u8], placed: Option<Placed>) -> Option<Cell<'a>> {
        placed.map(|placed| cell(&self.cells, line, placed)).filter(|cell| !cell.text.is_empty())
    }

    /// What is worth knowing about a row that was taken.
    #[inline]
    fn tell_oddities(
        &self,
        row: RowPlace<'_>,
        (submit, run, limit): (SimTime, SimDuration, Option<SimDuration>),
        recorded: &Recorded,
        assembly: &mut Assembly<'_>,
    ) {
        if let Some(limit) = limit.filter(|limit| *limit < run) {
            let column = self.limit.map_or(0, |placed| self.cells.column(placed.at));
            super::tell_limit_below_run(assembly, row, column, run, limit);
        }
        if self.clock.ambiguous > 0 {
            let message = "a local time that the change of the clocks skips or repeats";
            let problem = Problem::new(code::AMBIGUOUS_TIME, message, message)
                .help("a repeated hour is read as its first pass, a skipped one is moved forward; epoch seconds avoid both");
            assembly.note(row, problem);
        }
        if self.strange_state {
            let reason = "a state that is none of Slurm's (counts as completed)";
            let problem = Problem::new(code::SACCT_ROW, reason, reason);
            assembly.note(
                row,
                problem.help("write COMPLETED, FAILED, TIMEOUT, CANCELLED or another state of Slurm"),
            );
        }
        let start_is_early = recorded.start.is_some_and(|start| start < submit);
        let end_is_early = recorded.end.is_some_and(|end| end < recorded.start.unwrap_or(submit));
        if start_is_early || end_is_early {
            let message = "recorded times out of order (submit, start, end)";
            assembly.note(row, Problem::new(code::ENDS_BEFORE_START, message, message));
        }
    }

    fn request(&mut self, line: &[u8], assembly: &mut Assembly<'_>) -> Result<RequestId, Problem> {
        if let Some(id) = self.requests.look_up(line, &self.cells) {
            return Ok(id);
        }
        let mut request = Request::default();
        for placed in &self.requests.columns {
            let cell = cell(&self.cells, line, *placed);
            if !cell.text.is_empty() {
                request::put_request(&mut request, placed.column, cell, &mut assembly.workload.texts)?;
            }
        }
        let id = assembly.workload.requests.intern(&request);
        self.requests.remember(id);
        Ok(id)
    }

    fn labels(&mut self, line: &[u8], assembly: &mut Assembly<'_>) -> LabelId {
        if let Some(id) = self.labels.look_up(line, &self.cells) {
            return id;
        }
        let mut labels = Labels::default();
        for placed in &self.labels.columns {
            let cell = cell(&self.cells, line, *placed);
            if !cell.text.is_empty() {
                request::put_label(&mut labels, placed.column, cell, &mut assembly.workload.texts);
                mark_unused(&mut self.unused, *placed);
            }
        }
        let id = assembly.workload.labels.intern(&labels);
        self.labels.remember(id);
        id
    }

    fn beyond(
        &mut self,
        line: &[u8],
        flags: &mut JobFlags,
        assembly: &mut Assembly<'_>,
    ) -> Result<Beyond, Problem> {
        let mut beyond = Beyond::default();
        for placed in &self.extras {
            let cell = cell(&self.cells, line, *placed);
            if cell.text.is_empty() {
                continue;
            }
            match placed.column {
                C::Kind => flags.set(JobFlags::SESSION, is_session(cell)?),
                C::Nice => beyond.extras.nice = cell.integer(i64::from(i32::MIN), i64::from(i32::MAX))?,
                C::After => beyond.after = extras::parse_after(cell)?,
                C::Array => beyond.array = Some(extras::parse_array(cell)?),
                C::Begin => beyond.extras.begin = Some(cell.instant(&mut self.clock)?),
                C::Requeue => flags.set(JobFlags::NO_REQUEUE, !cell.yes_no()?),
                C::Cancel => beyond.extras.cancel = Some(cell.instant(&mut self.clock)?),
                _ => {
                    let value = checked_text(placed.column, cell, &mut self.clock)?;
                    let texts = &mut assembly.workload.texts;
                    beyond.extras.other.push((texts.intern(placed.name), texts.intern(&value)));
                    mark_unused(&mut self.unused, *placed);
                }
            }
        }
        Ok(beyond)
    }

    fn recorded(&mut self, line: &[u8], assembly: &mut Assembly<'_>) -> Result<Recorded, Problem> {
        let mut recorded = Recorded::default();
        for placed in &self.recorded {
            let cell = cell(&self.cells, line, *placed);
            if cell.text.is_empty() {
                continue;
            }
            let texts = &mut assembly.workload.texts;
            match placed.column {
                C::Start => recorded.start = Some(cell.instant(&mut self.clock)?),
                C::WorkStart => recorded.work_start = Some(cell.instant(&mut self.clock)?),
                C::End => recorded.end = Some(cell.instant(&mut self.clock)?),
                C::Eligible => recorded.eligible = Some(cell.instant(&mut self.clock)?),
                C::State => {
                    recorded.state = Some(texts.intern(cell.str()));
                    self.strange_state = !super::sacct::is_state(cell.str());
                }
                C::ExitCode => recorded.exit_code = Some(texts.intern(cell.str())),
                C::RanGpuType => recorded.ran_gpu_type = Some(texts.intern(cell.str())),
                C::GpuUtil => recorded.gpu_util_milli = Some(thousandths(cell)?),
                C::GpuMemPeak => recorded.gpu_mem_peak_mib = Some(cell.count(0)?),
                C::AllocNodes => recorded.alloc_nodes = Some(cell.count(0)?),
                C::AllocCpus => recorded.alloc_cpus = Some(cell.count(0)?),
                C::AllocGpus => recorded.alloc_gpus = Some(cell.count(0)?),
                _ => unreachable!("only columns of the recorded part come here"),
            }
            mark_unused(&mut self.unused, *placed);
        }
        Ok(recorded)
    }
}

#[inline]
fn cell<'a>(cells: &'a Cells, line: &'a [u8], placed: Placed) -> Cell<'a> {
    Cell { name: placed.name, text: cells.text(line, placed.at), column: cells.column(placed.at) }
}

#[inline]
fn mark_unused(unused: &mut Vec<&'static str>, placed: Placed) {
    if placed.column.is_without_effect() && !unused.contains(&placed.name) {
        unused.push(placed.name);
    }
}

fn is_session(cell: Cell<'_>) -> Result<bool, Problem> {
    match cell.text {
        b"session" => Ok(true),
        b"work" => Ok(false),
        _ => Err(cell.wrong_type("a kind").help("write work, or session for interactive use and notebooks")),
    }
}

/// The value of a column that is only kept, checked for its type; timestamps become seconds.
fn checked_text(column: C, cell: Cell<'_>, clock: &mut Clock) -> Result<String, Problem> {
    match column {
        C::Deadline => return Ok(cell.instant(clock)?.to_string()),
        C::CheckpointGb => match parse_seconds_micros(cell.text) {
            Ok(0..) => {}
            _ => return Err(cell.wrong_type("an amount of at least 0")),
        },
        C::CheckpointInterval => _ = cell.positive_span()?,
        C::Switches => {
            let bad = || cell.wrong_type("a count of switches").help("write 1, or 1@10:00 as sbatch does");
            read_switches_wish(cell.str()).ok_or_else(bad)?;
        }
        C::Licenses => {
            let bad = |_| cell.wrong_type("a list of licences").help("write name:count, several with , or |");
            Licences::read(cell.str()).map_err(bad)?;
        }
        _ => {}
    }
    Ok(cell.str().to_owned())
}

/// A share between 0 and 1 in thousandths, rounded down.
fn thousandths(cell: Cell<'_>) -> Result<u16, Problem> {
    match parse_seconds_micros(cell.text) {
        Ok(micros @ 0..=1_000_000) => Ok((micros / 1000) as u16),
        Ok(_) | Err(SecondsError::OutOfRange) => {
            Err(cell.out_of_range("between 0 and 1").help("write a share: 0.35 for 35 %"))
        }
        Err(SecondsError::NotANumber) => Err(cell.wrong_type("a number")),
    }
}

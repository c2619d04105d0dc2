//! `sacct` dumps: any column order and separator, named by the header; also two public collections
//! that have no header.
//!
//! A job is one row, followed by its steps (`123.batch`, `123.0`), which are folded into it: they tell
//! GPU use and memory. What was asked (ReqTRES) becomes the request, what was given (AllocTRES) goes to
//! the recorded columns. Rows are read as a stream; only the last job waits for its steps.
//!
//! What cannot be replayed (pending, cancelled before the start) is refused and counted; what is odd
//! (clock changes, suspension, attempts of one job, parts of heterogeneous jobs) is noted row by row.

mod attempts;
mod clock;
mod columns;
mod job;
mod json;
mod steps;
mod tres;

pub(super) use self::clock::{CivilClock, clock_span, looks_like_a_timestamp};
pub(super) use self::job::is_state;
pub(super) use self::tres::Tres;

use std::rc::Rc;

use rustc_hash::FxHashMap;

use self::attempts::{Attempts, Record, Told};
use self::columns::{Field as F, Layout};
use self::job::{Cells, Oddity, SacctJob};
use self::steps::StepUsage;
use self::tres::JobKey;
use super::assembly::{Assembly, RowPlace};
use super::foreign::{Intake, number_or_text};
use super::lines::{Line, Lines};
use super::node_list::{self, NodeList};
use super::problem::{Fatal, Problem, code, shown};
use crate::diagnostic::{Diagnostic, Place};
use crate::ids::JobId;
use crate::workload::{Extras, JobFlags, RepairKind};

/// The command that gives all that is read here.
pub const COMMAND: &str = "sacct -a -D -P --delimiter='^|^' --starttime FROM --endtime TO --format=\
JobID,JobName,User,Account,Partition,QOS,State,ExitCode,Submit,Eligible,Start,End,ElapsedRaw,Suspended,\
TimelimitRaw,ReqNodes,AllocNodes,ReqCPUS,AllocCPUS,NTasks,ReqMem,ReqTRES,AllocTRES,TRESUsageInAve,\
TRESUsageInMax,TRESUsageInTot,NodeList,Priority,Reservation,Constraints";

/// Whether a first line is of sacct.
pub(super) fn is_sacct(first: &[u8]) -> bool {
    Layout::detect(first).is_some() || columns::is_terminal_table(first)
}

/// Reads the first line and all that follow.
pub(super) fn read<R: std::io::Read>(
    lines: &mut Lines<R>,
    first: &[u8],
    assembly: &mut Assembly<'_>,
    broken: &dyn Fn(std::io::Error, u64) -> Fatal,
) -> Result<(), Fatal> {
    let place = RowPlace { line: lines.number(), text: first };
    super::csv::check_utf8(place, assembly)?;
    let mut rows = Rows::new(layout(place, assembly)?, assembly)?;
    tell_strange(&rows.layout, place, assembly);
    if !rows.layout.has_header {
        rows.take(place, assembly);
    }
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
                let row = RowPlace { line: number, text: line };
                let mut store = String::new();
                rows.take(super::foreign::as_utf8(row, &mut store, assembly), assembly);
            }
        }
    }
    rows.finish(assembly);
    Ok(())
}

/// Reads `sacct --json`. A job's place is its number in the list, because JSON has no lines.
pub(super) fn read_json(
    reader: impl std::io::Read,
    assembly: &mut Assembly<'_>,
    _: &dyn Fn(std::io::Error, u64) -> Fatal,
) -> Result<(), Fatal> {
    let made = json::rows(reader).map_err(|why| {
        let told = Diagnostic::error(code::SACCT_LAYOUT, format!("the file begins like JSON, but {why}"));
        let help = format!("give what `sacct -a -D --json` prints, or export again:\n{COMMAND}");
        Box::new(told.at(Place::File(assembly.file.clone())).help(help))
    })?;
    for (line, key) in made.lacks {
        let reason = "a record without a key that sacct writes (taken as unknown)";
        let message = format!("the record has no `{key}`: what it says is taken as unknown");
        let problem = Problem::new(code::SACCT_ROW, reason, message);
        assembly
            .note(RowPlace { line, text: key.as_bytes() }, problem.help("give what `sacct --json` printed"));
    }
    let rows = made.rows.into_iter().enumerate().map(|(at, row)| (at as u64 + 1, row)).collect();
    read_made(rows, assembly)
}

/// Reads `scontrol show job`.
pub(super) fn read_shown(text: &str, assembly: &mut Assembly<'_>) -> Result<(), Fatal> {
    read_made(json::shown_jobs(text), assembly)
}

fn read_made(made: Vec<(u64, String)>, assembly: &mut Assembly<'_>) -> Result<(), Fatal> {
    let mut rows = Rows::new(json::layout(), assembly)?;
    for (line, row) in &made {
        rows.take(RowPlace { line: *line, text: row.as_bytes() }, assembly);
    }
    rows.finish(assembly);
    Ok(())
}

/// The layout of the file; without the columns that are needed, it is told which command gives them.
fn layout(first: RowPlace<'_>, assembly: &Assembly<'_>) -> Result<Layout, Fatal> {
    let place = assembly.place(first, 0);
    let mut help = format!("export again:\n{COMMAND}");
    let Some(layout) = Layout::detect(first.text) else {
        let terminal = columns::is_terminal_table(first.text);
        let of_squeue = String::from_utf8_lossy(first.text).to_ascii_uppercase().contains("NODELIST(REASON)");
        let (message, why) = if of_squeue {
            ("this is squeue's table for terminals", "it does not say when jobs were submitted")
        } else if terminal {
            ("this is sacct's table for terminals", "it cuts long values short, so names and TRES are lost")
        } else {
            ("the first line is no header of sacct", "the header names the columns")
        };
        if of_squeue {
            help = format!("export squeue -a -o %all; better, what has ended too:\n{COMMAND}");
        }
        return Err(Box::new(
            Diagnostic::error(code::SACCT_LAYOUT, message).at(place).because(why).help(help),
        ));
    };
    let has_any = |fields: &[F]| fields.iter().any(|field| layout.has(*field));
    let needed: [(&str, &[F]); 5] = [
        ("JobID", &[F::JobId, F::JobIdRaw]),
        ("Submit", &[F::Submit]),
        ("Start", &[F::Start]),
        ("Elapsed (or ElapsedRaw, End)", &[F::Elapsed, F::ElapsedRaw, F::End]),
        ("ReqTRES (or ReqCPUS, AllocTRES, NCPUS)", &[F::ReqTres, F::ReqCpus, F::AllocTres, F::AllocCpus]),
    ];
    let missing: Vec<&str> =
        needed.iter().filter(|(_, fields)| !has_any(fields)).map(|(name, _)| *name).collect();
    if missing.is_empty() {
        return Ok(layout);
    }
    if layout.names.iter().any(|name| name.eq_ignore_ascii_case("nodelist(reason)")) {
        help = format!("export squeue -a -o %all; better, what has ended too:\n{COMMAND}");
    }
    let message = format!("the sacct dump lacks columns that are needed: {}", missing.join(", "));
    Err(Box::new(Diagnostic::error(code::MISSING_COLUMN, message).at(place).help(help)))
}

/// Tells columns that sacct does not have: a misspelt name would be passed over like those that are not used.
fn tell_strange(layout: &Layout, header: RowPlace<'_>, assembly: &mut Assembly<'_>) {
    if !layout.has_header {
        return;
    }
    for (name, near) in layout.strange() {
        let message =
            format!("'{}' is no column of sacct or squeue: it is passed over", shown(name.as_bytes(), 0));
        let told = Diagnostic::warning(code::UNKNOWN_COLUMN, message).at(assembly.place(header, 0));
        assembly.workload.warnings.push(match near {
            Some(near) => told.help(format!("did you mean {near}?")),
            None => told.help("leave it out where it is of no use"),
        });
    }
}

/// The last job row, waiting for its steps.
struct Open {
    row: SacctJob,
    line: u64,
    text: Vec<u8>,
    usage: StepUsage,
}

struct Rows {
    layout: Rc<Layout>,
    clock: CivilClock,
    nodes: NodeList,
    intake: Intake,
    open: Option<Open>,
    attempts: Attempts,
    /// (array, tasks at once), from rows of tasks that have not started.
    array_limits: Vec<(String, u32)>,
    /// The job whose row was refused last: its steps go with it.
    refused: String,
}

impl Rows {
    fn new(layout: Layout, assembly: &Assembly<'_>) -> Result<Self, Fatal> {
        Ok(Self {
            clock: CivilClock::new(assembly.options.time_zone.as_deref())?,
            nodes: node_list::of_options(assembly.options.node_list.as_deref())?,
            layout: Rc::new(layout),
            intake: Intake::default(),
            open: None,
            attempts: Attempts::default(),
            array_limits: Vec::new(),
            refused: String::new(),
        })
    }

    /// A line below the header.
    fn take(&mut self, row: RowPlace<'_>, assembly: &mut Assembly<'_>) {
        assembly.workload.repairs.rows_read += 1;
        if let Err(problem) = self.take_row(row, assembly) {
            assembly.refuse(row, problem);
        }
    }

    fn take_row(&mut self, row: RowPlace<'_>, assembly: &mut Assembly<'_>) -> Result<(), Problem> {
        let line = std::str::from_utf8(row.text).expect("lines are checked before");
        let layout = Rc::clone(&self.layout);
        let (texts, starts, joined) = cut(line, &layout)?;
        if let Some(name) = joined {
            let message =
                format!("{name} holds the separator '{}'; the row is read around it", layout.separator);
            let problem =
                Problem::new(code::WIDTH, "a text with the separator inside (put together)", message);
            assembly.change(row, problem.help("export with --delimiter='^|^'"));
        }
        let cells = Cells { fields: &layout.fields, texts: &texts, starts: &starts };
        let (mut id, mut column) = cells.find(F::JobId);
        if id.is_empty() {
            (id, column) = cells.find(F::JobIdRaw);
        }
        let key = JobKey::read(id).ok_or_else(|| {
            let message = format!("JobID is '{}', which is no id of Slurm", shown(id.as_bytes(), 0));
            Problem::new(code::TYPE, "a row without a job id of Slurm", message).at(column)
        })?;
        if let Some(step) = key.step {
            return self.fold(key.job, step, &cells, assembly, row);
        }
        self.flush(assembly);
        if let Some((_, limit)) = key.waiting_tasks.and_then(|tasks| tasks.split_once('%')) {
            self.array_limits.extend(limit.parse().ok().map(|limit| (key.base.to_owned(), limit)));
        }
        self.clock.ambiguous = 0;
        let read = job::read(&key, &cells, &mut self.clock, &self.nodes, &mut assembly.workload.texts)
            .inspect_err(|_| key.job.clone_into(&mut self.refused))?;
        let text = row.text.to_vec();
        self.open = Some(Open { row: read, line: row.line, text, usage: StepUsage::default() });
        if self.clock.ambiguous > 0 {
            let message = "a local time that the change of the clocks skips or repeats";
            let problem = Problem::new(code::AMBIGUOUS_TIME, message, message)
                .help("a repeated hour is read as its first pass, a skipped one is moved forward");
            assembly.note(row, problem);
        }
        Ok(())
    }

    /// Adds a step to its job.
    fn fold(
        &mut self,
        job: &str,
        step: &str,
        cells: &Cells<'_>,
        assembly: &mut Assembly<'_>,
        row: RowPlace<'_>,
    ) -> Result<(), Problem> {
        let is_taken = self.open.as_ref().is_some_and(|open| open.row.job.id == job);
        if !is_taken && self.refused != job {
            let message = format!("step '{job}.{step}' does not follow the row of its job");
            return Err(Problem::new(code::SACCT_STEP, "a step without its job", message)
                .help("leave the rows in the order of sacct: a job, then its steps"));
        }
        let (kind, reason) = match &mut self.open {
            Some(open) if is_taken => {
                let can_read = open.usage.add(step, cells);
                let reason = if can_read {
                    "a step, folded into its job"
                } else {
                    "a step whose use cannot be read (not counted where so)"
                };
                (RepairKind::Noted, reason)
            }
            _ => (RepairKind::Refused, "a step of a job that is refused"),
        };
        assembly.workload.repairs.add(kind, reason, row.line, || shown(row.text, 0));
        Ok(())
    }

    /// Hands the waiting job to the assembly.
    fn flush(&mut self, assembly: &mut Assembly<'_>) {
        let Some(Open { row: mut read, line, text, usage }) = self.open.take() else { return };
        let row = RowPlace { line, text: &text };
        usage.put(&mut read, assembly, row);
        let record = Record::of(&read, &assembly.workload);
        let id = read.job.id.clone();
        match self.attempts.look(&id, &record) {
            Told::New => {}
            Told::Twice => {
                let message = format!("job '{id}' comes twice with the same start");
                let problem = Problem::new(code::DUPLICATE_ID, "a job id that came before", message);
                return assembly.refuse(row, problem.help("the first row of this id is kept"));
            }
            Told::Part { job, is_resized, is_later } => {
                tell_all(&mut read, assembly, row);
                return add_part(&read, job, is_resized, is_later, assembly, row);
            }
            Told::Another(count) => {
                let name = format!("{id}/{count}");
                let message = format!("another job has the id '{id}' too; this one is called '{name}'");
                read.job.id = name;
                let reason = "an id that came before for another job (it gets another name)";
                assembly.change(row, Problem::new(code::SACCT_ATTEMPT, reason, message));
            }
        }
        tell_all(&mut read, assembly, row);
        let before = assembly.workload.jobs.len();
        if let Err(problem) = self.intake.admit(read.job, assembly, row) {
            assembly.refuse(row, problem);
        }
        let job = (assembly.workload.jobs.len() > before).then(|| <JobId as crate::ids::Id>::new(before));
        self.attempts.remember(&id, record, job);
    }

    fn finish(mut self, assembly: &mut Assembly<'_>) {
        self.flush(assembly);
        self.limit_arrays(assembly);
        let file = Place::File(assembly.file.clone());
        let seen = self.clock.seen;
        if seen.is_mixed() {
            let message = format!(
                "times with and without time zone are mixed: {} without, {} with an offset or as seconds since 1970",
                seen.civil,
                seen.offset + seen.epoch
            );
            let told = Diagnostic::warning(code::MIXED_ZONES, message)
                .at(file)
                .because("waits between the two kinds may be off by hours")
                .help("export all in one go with SLURM_TIME_FORMAT=%s");
            assembly.workload.warnings.push(told);
        } else if seen.civil > 0 && !self.clock.is_named {
            let told = Diagnostic::warning(
                code::ZONE_UNKNOWN,
                "the time zone of the dump is not stated: its times are read as UTC",
            )
            .at(file)
            .because("waits across a change of the clocks are off by an hour")
            .help("name the zone of the accounting host: --time-zone Europe/Paris");
            assembly.workload.warnings.push(told);
        }
        self.intake.finish(assembly);
    }

    /// Gives tasks of arrays the limit that the row of their waiting tasks tells (`12_[5-9%2]`).
    fn limit_arrays(&mut self, assembly: &mut Assembly<'_>) {
        if self.array_limits.is_empty() {
            return;
        }
        let workload = &mut assembly.workload;
        let limits: FxHashMap<String, u32> = self.array_limits.drain(..).collect();
        let ids: Vec<JobId> = workload.jobs.ids().collect();
        for id in ids {
            let name = number_or_text(workload.jobs[id].name, &workload.texts);
            let Some((base, index)) = name.split_once('_') else { continue };
            let (Some(limit), Ok(index)) = (limits.get(base), index.parse::<u32>()) else { continue };
            let array = Some((workload.texts.intern(base), index));
            let at = workload.extras.partition_point(|(job, _)| *job < id);
            if workload.extras.get(at).is_none_or(|(job, _)| *job != id) {
                workload.extras.insert(at, (id, Extras::default()));
            }
            let extras = &mut workload.extras[at].1;
            (extras.array, extras.array_limit) = (array, Some(*limit));
            workload.jobs[id].flags.set(JobFlags::HAS_EXTRAS, true);
        }
    }
}

/// Cells, their byte columns, and the column whose text held the separator.
type Cut<'a> = (Vec<&'a str>, Vec<u64>, Option<&'a str>);

/// The cells of a line and their byte columns. A row with too many has the separator inside a text: where
/// only one place makes sense of the others, it is put together there, and the column's name is handed out.
fn cut<'a>(line: &'a str, layout: &'a Layout) -> Result<Cut<'a>, Problem> {
    let separator = layout.separator;
    let quoted = separator.len() == 1 && separator != "|" && line.contains('"');
    let mut texts: Vec<&str> = match (quoted, layout.has_trailing) {
        (true, _) => columns::cut_quoted(line, separator),
        (false, Some(false)) => line.split(separator).collect(),
        (false, _) => columns::cut(line, separator).collect(),
    };
    let width = layout.fields.len();
    // The last column may be empty, and then `--parsable` and `--parsable2` look the same.
    if texts.len() + 1 == width && line.ends_with(separator) {
        texts = line.split(separator).collect();
    }
    let mut joined = None;
    if texts.len() > width
        && let Some((together, name)) = put_together(line, &texts, layout)
    {
        (texts, joined) = (together, Some(name));
    }
    if texts.len() != width {
        return Err(wrong_width(texts.len(), layout));
    }
    let mut column = 1;
    let starts = texts
        .iter()
        .map(|text| {
            let start = column;
            column += (text.len() + separator.len()) as u64;
            start
        })
        .collect();
    Ok((texts, starts, joined))
}

fn wrong_width(cells: usize, layout: &Layout) -> Problem {
    let message = format!("the row has {cells} cells, the header {}", layout.fields.len());
    let names: Vec<&str> = layout.free_text().map(|(_, name)| name).collect();
    let texts = if names.is_empty() { "a text".to_owned() } else { names.join(" or ") };
    let help = if cells > layout.fields.len() {
        format!("{texts} may hold the separator: export with --delimiter='^|^'")
    } else {
        format!("{texts} may hold a line break: leave that column out of --format (SubmitLine is not used)")
    };
    Problem::new(code::WIDTH, "a row of the wrong width", message).help(help)
}

/// Puts the surplus cells into the one column of free text after which all others can be read.
fn put_together<'a>(line: &'a str, texts: &[&'a str], layout: &'a Layout) -> Option<(Vec<&'a str>, &'a str)> {
    let surplus = texts.len() - layout.fields.len();
    let mut found = None;
    for (at, name) in layout.free_text() {
        let from: usize = texts[..at].iter().map(|text| text.len() + layout.separator.len()).sum();
        let ends: usize =
            texts[at..=at + surplus].iter().map(|text| text.len() + layout.separator.len()).sum();
        let Some(text) = line.get(from..from + ends - layout.separator.len()) else { continue };
        let cells: Vec<&str> = texts[..at]
            .iter()
            .copied()
            .chain([text])
            .chain(texts[at + surplus + 1..].iter().copied())
            .collect();
        if job::makes_sense(&layout.fields, &cells) {
            if found.is_some() {
                return None;
            }
            found = Some((cells, name));
        }
    }
    found
}

fn tell_all(read: &mut SacctJob, assembly: &mut Assembly<'_>, row: RowPlace<'_>) {
    for oddity in std::mem::take(&mut read.oddities) {
        tell(oddity, assembly, row);
    }
}

/// A further record of a job that is there.
fn add_part(
    part: &SacctJob,
    job: Option<JobId>,
    is_resized: bool,
    is_later: bool,
    assembly: &mut Assembly<'_>,
    row: RowPlace<'_>,
) {
    let Some(job) = job else {
        let text = || shown(row.text, 0);
        let reason = "a further part of a job that is left out";
        return assembly.workload.repairs.add(RepairKind::LeftOut, reason, row.line, text);
    };
    let id = &part.job.id;
    let (reason, message) = if is_resized {
        let message = format!("job '{id}' was resized: its parts are one job, with the size of the first");
        ("a part of a resized job (its run time is added to the job)", message)
    } else {
        let message = format!("job '{id}' ran again after a requeue: its attempts are one job");
        ("a further attempt of a requeued job (the last attempt's run time counts)", message)
    };
    assembly.change(row, Problem::new(code::SACCT_ATTEMPT, reason, message));
    let submit = assembly.workload.jobs[job].submit;
    attempts::add(&mut assembly.workload, job, part, is_resized, is_later);
    if assembly.workload.jobs[job].submit < submit {
        assembly.sort_later();
    }
    let limit = assembly.workload.jobs[job].limit;
    if assembly.options.cut_at_limit && assembly.workload.jobs[job].run > limit {
        assembly.workload.jobs[job].run = limit;
    }
}

/// Tells what is odd about a row that is kept.
fn tell(oddity: Oddity, assembly: &mut Assembly<'_>, row: RowPlace<'_>) {
    let reason = match oddity {
        Oddity::StillRunning => {
            let reason = "still running when it was dumped (its time so far stands for its run time)";
            return assembly.change(row, Problem::new(code::SACCT_ROW, reason, reason));
        }
        Oddity::ClockChange => {
            let reason = "End - Start and Elapsed differ by a change of the clocks (Elapsed is used)";
            let problem = Problem::new(code::AMBIGUOUS_TIME, reason, reason)
                .help("name the zone of the accounting host: --time-zone Europe/Paris");
            return assembly.note(row, problem);
        }
        Oddity::TimesDisagree => "Elapsed is not End - Start - Suspended (Elapsed is used)",
        Oddity::Suspended => "suspended for a while (its run time is Elapsed, without suspension)",
        Oddity::AllocatedForAsked => "requested amounts unknown (the allocated ones stand for them)",
        Oddity::NoOwnLimit => "no time limit of its own (UNLIMITED or Partition_Limit)",
        Oddity::HetComponent => "a component of a heterogeneous job (a job of its own here)",
        Oddity::AllocatedMore => "allocated more than requested (both are kept)",
        Oddity::Requeued => "ended by a requeue (an attempt of its job)",
        Oddity::Constraint => "constraints are not used",
        Oddity::GpusFromAllocation => {
            "GPUs only in the allocation (the allocated ones stand for the request)"
        }
        Oddity::MemoryFromAllocation => {
            "memory only in the allocation (the allocated one stands for the request)"
        }
        Oddity::Shares => {
            "asks for shards or MPS shares of a GPU, which are not modelled (replayed without them)"
        }
        Oddity::OtherTres => "asks for a GRES or TRES that is not modelled (replayed without it)",
        Oddity::SeveralTypes => "asks for GPUs of several types (the last type stands for all)",
        Oddity::NodesDisagree => {
            "NodeList, node count and TRES name different numbers of nodes (TRES counts)"
        }
        Oddity::ColumnsDisagree => "two columns of one meaning differ (the first counts)",
        Oddity::UnknownState => "a state that is none of Slurm's (counts as completed)",
        Oddity::Resized => "a part of a job that was resized",
        Oddity::OutOfOrder => {
            let reason = "recorded times out of order (submit, start, end)";
            return assembly.note(row, Problem::new(code::ENDS_BEFORE_START, reason, reason));
        }
    };
    assembly.note(row, Problem::new(code::SACCT_ROW, reason, reason));
}

//! The Standard Workload Format 2.2 of the Parallel Workloads Archive: `;` comments with a header,
//! then 18 numbers per job, -1 for unknown.
//!
//! Processors are field 8, else 5, and become CPUs; the limit is field 9, else the run time; the run
//! time is field 4. Real start = submit + wait (field 3). User, group, partition become user, account,
//! partition; the queue is the partition where there is none, else the QOS; the executable's number is
//! the name. Fields that change nothing are listed in `Workload::unused_columns` if they hold values.

use rustc_hash::FxHashMap;

use super::assembly::{Assembly, RowPlace};
use super::cells::{Cell, parse_integer};
use super::lines::{Line, Lines};
use super::problem::{Fatal, Problem, code};
use crate::ids::{LabelId, RequestId, TextId};
use crate::time::{MICROS_PER_S, SecondsError, SimDuration, SimTime, parse_seconds_micros};
use crate::workload::{Job, JobFlags, JobName, Labels, Recorded, RepairKind, Request, Texts};

const FIELDS: usize = 18;

/// The first field (from 0) that says who and what a job is rather than what it did.
const TAIL: usize = 9;

/// Header lines kept, and how much of each; real headers have some dozen.
const HEADER_LINES: usize = 256;
const HEADER_CHARS: usize = 400;

/// Field names for diagnostics; the number is that of the format's definition.
const NAMES: [&str; FIELDS] = [
    "field 1 (job number)",
    "field 2 (submit time)",
    "field 3 (wait time)",
    "field 4 (run time)",
    "field 5 (allocated processors)",
    "field 6 (CPU time used)",
    "field 7 (memory used)",
    "field 8 (requested processors)",
    "field 9 (requested time)",
    "field 10 (requested memory)",
    "field 11 (status)",
    "field 12 (user)",
    "field 13 (group)",
    "field 14 (executable)",
    "field 15 (queue)",
    "field 16 (partition)",
    "field 17 (preceding job)",
    "field 18 (think time)",
];

/// Positions (from 0) of the fields that change nothing.
const WITHOUT_EFFECT: [usize; 6] = [5, 6, 9, 10, 16, 17];

/// Reads the line `first` and all that follow.
pub(super) fn read<R: std::io::Read>(
    lines: &mut Lines<R>,
    first: &[u8],
    assembly: &mut Assembly<'_>,
    broken: &dyn Fn(std::io::Error, u64) -> Fatal,
) -> Result<(), Fatal> {
    let mut rows = Rows::default();
    rows.take(RowPlace { line: lines.number(), text: first }, assembly)?;
    loop {
        let number = lines.number() + 1;
        match lines.next_line().map_err(|error| broken(error, number))? {
            None => break,
            Some(Line::TooLong(start)) => {
                assembly.workload.repairs.rows_read += 1;
                assembly.refuse(RowPlace { line: number, text: start }, super::line_too_long());
            }
            Some(Line::Text(line)) => rows.take(RowPlace { line: number, text: line }, assembly)?,
        }
    }
    assembly.workload.unused_columns = WITHOUT_EFFECT
        .iter()
        .filter(|at| rows.filled[**at])
        .map(|at| format!("SWF {}", NAMES[*at]))
        .collect();
    Ok(())
}

#[derive(Default)]
struct Rows {
    requests: FxHashMap<u32, RequestId>,
    labels: FxHashMap<[i64; 5], LabelId>,
    fields: Fields,
    tail: Tail,
    /// Fields that held a value above zero in some row.
    filled: [bool; FIELDS],
}

/// Fields 10 to 18 of the last row, as text, and the labels in it. Jobs of one user often come one after
/// another and differ in front only.
#[derive(Default)]
struct Tail {
    text: Vec<u8>,
    labels: Option<LabelId>,
}

impl Rows {
    /// A line of any sort.
    #[inline]
    fn take(&mut self, row: RowPlace<'_>, assembly: &mut Assembly<'_>) -> Result<(), Fatal> {
        match row.text.trim_ascii_start().first() {
            None => return Ok(()),
            Some(b';') => {
                read_comment(row, assembly);
                return Ok(());
            }
            Some(_) => {}
        }
        assembly.workload.repairs.rows_read += 1;
        if let Err(problem) = self.take_job(row, assembly) {
            assembly.refuse(row, problem);
        }
        Ok(())
    }

    fn take_job(&mut self, row: RowPlace<'_>, assembly: &mut Assembly<'_>) -> Result<(), Problem> {
        let labels = self.split(row.text)?;
        let fields = &self.fields;
        let submit = fields.micros(row.text, 1)?;
        let run = fields.micros(row.text, 3)?;
        let processors = match fields.integer(row.text, 7)? {
            asked @ 1.. => asked,
            _ => fields.integer(row.text, 4)?,
        };
        if submit < 0 {
            let cell = fields.cell(row.text, 1);
            return Err(cell.out_of_range("between 0 and 10^12 seconds"));
        }
        if run <= 0 {
            return Err(did_not_run("no positive run time", "run time", fields.cell(row.text, 3)));
        }
        if processors <= 0 {
            return Err(did_not_run("no processors", "processors", fields.cell(row.text, 7)));
        }
        let processors = u32::try_from(processors)
            .ok()
            .filter(|p| i32::try_from(*p).is_ok())
            .ok_or_else(|| fields.cell(row.text, 7).out_of_range("at most 2147483647"))?;
        let limit = Some(fields.micros(row.text, 8)?).filter(|limit| *limit > 0);
        let wait = fields.micros(row.text, 2)?;
        let number = fields.integer(row.text, 0)?;
        let (submit, run) = (SimTime::from_micros(submit), SimDuration::from_micros(run));
        let limit = limit.map(SimDuration::from_micros);
        if !assembly.is_wanted(submit, row) {
            return Ok(());
        }
        let labels = labels.map_or_else(|| self.labels(row.text, assembly), Ok)?;
        let name = match u32::try_from(number) {
            Ok(number) => JobName::Number(number),
            Err(_) => JobName::Text(assembly.workload.texts.intern(&number.to_string())),
        };
        let cut = assembly.options.cut_at_limit && limit.is_some_and(|limit| limit < run);
        let mut flags = JobFlags::CLASS_DEFAULTED;
        flags.set(JobFlags::LIMIT_UNKNOWN, limit.is_none());
        let job = Job {
            submit,
            run: if cut { limit.unwrap_or(run) } else { run },
            limit: limit.unwrap_or(run),
            priority: 0,
            name,
            request: self.request(processors, assembly),
            labels,
            flags,
        };
        let start = (wait >= 0).then(|| submit + SimDuration::from_micros(wait));
        assembly.admit(job, &Recorded { start, ..Recorded::default() }, row)?;
        self.note_filled(0..TAIL);
        if let Some(limit) = limit.filter(|limit| *limit < run) {
            super::tell_limit_below_run(assembly, row, self.fields.cell(row.text, 8).column, run, limit);
        }
        Ok(())
    }

    /// Notes which of these fields hold a value although they change nothing.
    #[inline]
    fn note_filled(&mut self, fields: std::ops::Range<usize>) {
        for at in WITHOUT_EFFECT.into_iter().filter(|at| fields.contains(at)) {
            self.filled[at] |= self.fields.values[at] > 0;
        }
    }

    #[inline]
    fn request(&mut self, processors: u32, assembly: &mut Assembly<'_>) -> RequestId {
        let requests = &mut assembly.workload.requests;
        *self
            .requests
            .entry(processors)
            .or_insert_with(|| requests.intern(&Request { cpus: Some(processors), ..Request::default() }))
    }

    /// Reads the fields of a row; the labels are known where its tail is that of the row before.
    #[inline]
    fn split(&mut self, line: &[u8]) -> Result<Option<LabelId>, Problem> {
        let mut at = self.fields.read(line, 0..TAIL, 0);
        if self.tail.labels.is_some() && line[at..] == self.tail.text[..] {
            return Ok(self.tail.labels);
        }
        self.tail.labels = None;
        self.tail.text.clear();
        self.tail.text.extend_from_slice(&line[at..]);
        if self.fields.count == TAIL {
            at = self.fields.read(line, TAIL..FIELDS, at);
        }
        let more = line[at..].split(|c| is_blank(*c)).filter(|text| !text.is_empty()).count();
        let fields = self.fields.count + more;
        if fields == FIELDS {
            return Ok(None);
        }
        let message = format!("the row has {fields} fields, the Standard Workload Format has {FIELDS}");
        Err(Problem::new(code::WIDTH, "a row of the wrong width", message))
    }

    fn labels(&mut self, line: &[u8], assembly: &mut Assembly<'_>) -> Result<LabelId, Problem> {
        let mut key = [0; 5];
        for (at, value) in key.iter_mut().enumerate() {
            *value = self.fields.integer(line, 11 + at)?;
        }
        let workload = &mut assembly.workload;
        let id = *self.labels.entry(key).or_insert_with(|| {
            let labels = labels_of(key, &mut workload.texts);
            workload.labels.intern(&labels)
        });
        self.note_filled(TAIL..FIELDS);
        self.tail.labels = Some(id);
        Ok(id)
    }
}

fn labels_of([user, group, executable, queue, partition]: [i64; 5], texts: &mut Texts) -> Labels {
    let mut text = |n: i64| -> Option<TextId> { (n >= 0).then(|| texts.intern(&n.to_string())) };
    let (user, account, name) = (text(user), text(group), text(executable));
    let (partition, qos) = match (text(partition), text(queue)) {
        (None, queue) => (queue, None),
        (partition, queue) => (partition, queue),
    };
    Labels { user, account, partition, qos, name, class: None, tenant: None }
}

fn did_not_run(reason: &'static str, what: &str, cell: Cell<'_>) -> Problem {
    let message = format!("{what} is '{}': this job did no work that could be replayed", cell.str());
    Problem::new(code::NOTHING_RAN, reason, message).at(cell.column)
}

/// The numbers of one row.
#[derive(Default)]
struct Fields {
    values: [i64; FIELDS],
    /// Where each field starts in the line.
    starts: [u32; FIELDS],
    /// Bit per field that is not a plain integer (a decimal, or no number).
    odd: u32,
    /// Fields read.
    count: usize,
}

impl Fields {
    /// Reads these fields from position `at` on; tells where the last one ends.
    #[inline]
    fn read(&mut self, line: &[u8], fields: std::ops::Range<usize>, mut at: usize) -> usize {
        self.odd &= (1 << fields.start) - 1;
        self.count = fields.start;
        for field in fields {
            while line.get(at).is_some_and(|c| is_blank(*c)) {
                at += 1;
            }
            if at == line.len() {
                break;
            }
            let (value, length) = leading_integer(&line[at..]);
            self.starts[field] = at as u32;
            self.values[field] = value.unwrap_or(0);
            at += length;
            if value.is_none() {
                self.odd |= 1 << field;
                at = end_of_field(line, at);
            }
            self.count += 1;
        }
        at
    }

    fn cell<'a>(&self, line: &'a [u8], at: usize) -> Cell<'a> {
        let start = self.starts[at] as usize;
        let text = &line[start..end_of_field(line, start)];
        Cell { name: NAMES[at], text, column: start as u64 + 1 }
    }

    /// A time in microseconds; negative = unknown.
    #[inline]
    fn micros(&self, line: &[u8], at: usize) -> Result<i64, Problem> {
        const MAX_S: i64 = SimTime::MAX.micros() / MICROS_PER_S;
        let seconds = self.values[at];
        if self.odd & (1 << at) == 0 && (-MAX_S..=MAX_S).contains(&seconds) {
            Ok(seconds * MICROS_PER_S)
        } else {
            self.odd_micros(line, at)
        }
    }

    #[cold]
    fn odd_micros(&self, line: &[u8], at: usize) -> Result<i64, Problem> {
        let cell = self.cell_checked(line, at)?;
        parse_seconds_micros(cell.text).map_err(|error| match error {
            SecondsError::NotANumber => cell.wrong_type("a number of seconds"),
            SecondsError::OutOfRange => cell.out_of_range("between 0 and 10^12 seconds"),
        })
    }

    /// A whole number.
    #[inline]
    fn integer(&self, line: &[u8], at: usize) -> Result<i64, Problem> {
        if self.odd & (1 << at) == 0 { Ok(self.values[at]) } else { self.odd_integer(line, at) }
    }

    #[cold]
    fn odd_integer(&self, line: &[u8], at: usize) -> Result<i64, Problem> {
        let cell = self.cell_checked(line, at)?;
        let value = parse_integer(cell.text).ok_or_else(|| cell.wrong_type("a whole number"))?;
        i64::try_from(value).map_err(|_| cell.out_of_range("a 64-bit integer"))
    }

    /// A cell whose text may be shown: rows are not checked for UTF-8 before they fail.
    fn cell_checked<'a>(&self, line: &'a [u8], at: usize) -> Result<Cell<'a>, Problem> {
        let cell = self.cell(line, at);
        match std::str::from_utf8(cell.text) {
            Ok(_) => Ok(cell),
            Err(_) => {
                Err(Problem::new(code::NOT_UTF8, "a row that is not UTF-8", "not UTF-8").at(cell.column))
            }
        }
    }
}

#[inline]
fn is_blank(c: u8) -> bool {
    c == b' ' || c == b'\t'
}

fn end_of_field(line: &[u8], start: usize) -> usize {
    line[start..].iter().position(|c| is_blank(*c)).map_or(line.len(), |length| start + length)
}

/// The whole number of at most 18 digits that a field is, and how many bytes were looked at. This loop is
/// where a reader of SWF spends its time.
#[inline]
fn leading_integer(text: &[u8]) -> (Option<i64>, usize) {
    let negative = text.first() == Some(&b'-');
    let first = usize::from(negative);
    let mut value: i64 = 0;
    let mut at = first;
    while let Some(digit) = text.get(at).map(|c| c.wrapping_sub(b'0')).filter(|digit| *digit <= 9) {
        value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
        at += 1;
    }
    let is_whole = (1..=18).contains(&(at - first)) && text.get(at).is_none_or(|c| is_blank(*c));
    (is_whole.then_some(if negative { -value } else { value }), at)
}

/// Keeps `; Key: value` for the report.
fn read_comment(row: RowPlace<'_>, assembly: &mut Assembly<'_>) {
    let text = String::from_utf8_lossy(row.text);
    if matches!(text, std::borrow::Cow::Owned(_)) {
        let reason = "a comment that is not UTF-8 (unreadable characters replaced)";
        assembly.workload.repairs.add(RepairKind::Noted, reason, row.line, || text.clone().into_owned());
    }
    let header = &mut assembly.workload.header;
    if header.len() >= HEADER_LINES {
        return;
    }
    let cut = |text: &str| text.trim().chars().take(HEADER_CHARS).collect::<String>();
    if let Some((key, value)) = text.trim().trim_start_matches(';').split_once(':')
        && !key.trim().is_empty()
        && !key.trim().contains(' ')
    {
        header.push((cut(key), cut(value)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fields_are_read_as_they_are_written(
            numbers in proptest::collection::vec(-10_000_000_000_000i64..10_000_000_000_000, FIELDS),
            shifts in proptest::collection::vec(0u32..43, FIELDS),
            blanks in "[ \t]{1,3}",
            tail in "[ \t]{0,9}",
        ) {
            let numbers: Vec<i64> = numbers.iter().zip(shifts).map(|(n, shift)| n >> shift).collect();
            let texts: Vec<String> = numbers.iter().map(i64::to_string).collect();
            let line = format!("{}{tail}", texts.join(&blanks));
            let mut rows = Rows::default();
            prop_assert!(rows.split(line.as_bytes()).is_ok());
            prop_assert_eq!(rows.fields.odd, 0);
            prop_assert_eq!(&rows.fields.values[..], &numbers[..]);
            for (text, start) in texts.iter().zip(rows.fields.starts) {
                prop_assert!(line[start as usize..].starts_with(text.as_str()));
            }
        }

        #[test]
        fn any_bytes_are_cut_at_blanks(line in "[ 0-9a\t.-]{0,80}") {
            let texts: Vec<&str> = line.split([' ', '\t']).filter(|text| !text.is_empty()).collect();
            let mut fields = Fields::default();
            let end = fields.read(line.as_bytes(), 0..FIELDS, 0);
            prop_assert_eq!(fields.count, texts.len().min(FIELDS));
            prop_assert!(texts.len() >= FIELDS || end == line.len());
            for (at, text) in texts.iter().take(FIELDS).enumerate() {
                let whole = text.parse::<i64>().ok().filter(|_| text.trim_start_matches('-').len() <= 18);
                prop_assert_eq!(fields.odd & (1 << at) != 0, whole.is_none(), "{}", text);
                prop_assert_eq!(fields.values[at], whole.unwrap_or(0));
            }
        }
    }
}

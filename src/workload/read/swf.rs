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
use crate::time::{SimDuration, SimTime, parse_seconds_micros};
use crate::workload::{Job, JobFlags, JobName, Labels, Recorded, RepairKind, Request, Texts};

const FIELDS: usize = 18;

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
    last_labels: Option<([i64; 5], LabelId)>,
    fields: Fields,
    /// Fields that held a value above zero in some row.
    filled: [bool; FIELDS],
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
            super::csv::check_utf8(row, assembly)?;
            assembly.refuse(row, problem);
        }
        Ok(())
    }

    fn take_job(&mut self, row: RowPlace<'_>, assembly: &mut Assembly<'_>) -> Result<(), Problem> {
        self.fields.split(row.text)?;
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
        let labels = self.labels(row.text, assembly)?;
        let (submit, run) = (SimTime::from_micros(submit), SimDuration::from_micros(run));
        let limit = limit.map(SimDuration::from_micros);
        if !assembly.is_wanted(submit, row) {
            return Ok(());
        }
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
        for at in WITHOUT_EFFECT {
            self.filled[at] |= self.fields.values[at] > 0;
        }
        if let Some(limit) = limit.filter(|limit| *limit < run) {
            super::tell_limit_below_run(assembly, row, self.fields.cell(row.text, 8).column, run, limit);
        }
        Ok(())
    }

    #[inline]
    fn request(&mut self, processors: u32, assembly: &mut Assembly<'_>) -> RequestId {
        let requests = &mut assembly.workload.requests;
        *self
            .requests
            .entry(processors)
            .or_insert_with(|| requests.intern(&Request { cpus: Some(processors), ..Request::default() }))
    }

    #[inline]
    fn labels(&mut self, line: &[u8], assembly: &mut Assembly<'_>) -> Result<LabelId, Problem> {
        let mut key = [0; 5];
        for (at, value) in key.iter_mut().enumerate() {
            *value = self.fields.integer(line, 11 + at)?;
        }
        if let Some((last, id)) = self.last_labels
            && last == key
        {
            return Ok(id);
        }
        let workload = &mut assembly.workload;
        let id = *self.labels.entry(key).or_insert_with(|| {
            let labels = labels_of(key, &mut workload.texts);
            workload.labels.intern(&labels)
        });
        self.last_labels = Some((key, id));
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
    spans: [(u32, u32); FIELDS],
    /// Bit per field that is not a plain integer (a decimal, or no number).
    odd: u32,
}

impl Fields {
    /// Cuts a row at blanks and reads plain integers on the way.
    fn split(&mut self, line: &[u8]) -> Result<(), Problem> {
        self.odd = 0;
        let (mut at, mut field) = (0, 0);
        loop {
            while at < line.len() && matches!(line[at], b' ' | b'\t') {
                at += 1;
            }
            if at == line.len() {
                break;
            }
            let start = at;
            let negative = line[at] == b'-';
            at += usize::from(negative);
            let (value, digits) = leading_digits(&line[at..]);
            at += digits;
            let mut plain = (1..=18).contains(&digits);
            while at < line.len() && !matches!(line[at], b' ' | b'\t') {
                plain = false;
                at += 1;
            }
            if field < FIELDS {
                self.values[field] = if negative { -value } else { value };
                self.odd |= u32::from(!plain) << field;
                self.spans[field] = (start as u32, at as u32);
            }
            field += 1;
        }
        if field == FIELDS {
            return Ok(());
        }
        let message = format!("the row has {field} fields, the Standard Workload Format has {FIELDS}");
        Err(Problem::new(code::WIDTH, "a row of the wrong width", message))
    }

    fn cell<'a>(&self, line: &'a [u8], at: usize) -> Cell<'a> {
        let (start, end) = self.spans[at];
        Cell { name: NAMES[at], text: &line[start as usize..end as usize], column: u64::from(start) + 1 }
    }

    /// A time in microseconds; negative = unknown.
    #[inline]
    fn micros(&self, line: &[u8], at: usize) -> Result<i64, Problem> {
        const MAX_S: i64 = SimTime::MAX.micros() / crate::time::MICROS_PER_S;
        let seconds = self.values[at];
        if self.odd & (1 << at) == 0 && (-MAX_S..=MAX_S).contains(&seconds) {
            return Ok(seconds * crate::time::MICROS_PER_S);
        }
        let cell = self.cell_checked(line, at)?;
        parse_seconds_micros(cell.text).map_err(|error| match error {
            crate::time::SecondsError::NotANumber => cell.wrong_type("a number of seconds"),
            crate::time::SecondsError::OutOfRange => cell.out_of_range("between 0 and 10^12 seconds"),
        })
    }

    /// A whole number.
    #[inline]
    fn integer(&self, line: &[u8], at: usize) -> Result<i64, Problem> {
        if self.odd & (1 << at) == 0 {
            return Ok(self.values[at]);
        }
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

/// The number that `text` begins with and how many digits it has; wraps beyond 18 digits.
///
/// Numbers of up to seven digits are read in one step from eight bytes: this is where a reader of SWF
/// spends its time, and a loop over digits mispredicts its end once in each of 18 fields.
#[inline]
fn leading_digits(text: &[u8]) -> (i64, usize) {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let Some(eight) = text.first_chunk::<8>() else { return digits_one_by_one(text) };
    let digits = u64::from_le_bytes(*eight) ^ (ONES * u64::from(b'0'));
    let no_digit = ((digits.wrapping_add(ONES * 0x76)) | digits) & (ONES * 0x80);
    let count = no_digit.trailing_zeros() / 8;
    if count == 0 {
        return (0, 0);
    }
    if count == 8 {
        return digits_one_by_one(text);
    }
    // Leading zeros in front, then pairs, fours and eights of digits are summed.
    let digits = digits << (64 - 8 * count);
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    let value = fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff;
    (value as i64, count as usize)
}

fn digits_one_by_one(text: &[u8]) -> (i64, usize) {
    let count = text.iter().take_while(|c| c.is_ascii_digit()).count();
    let value =
        text[..count].iter().fold(0i64, |value, c| value.wrapping_mul(10).wrapping_add(i64::from(c - b'0')));
    (value, count)
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
        fn digits_are_read_alike_in_both_ways(number in 0u64..1_000_000_000_000, tail in "[ -/:-~][ -~]{0,12}") {
            let text = format!("{number}{tail}");
            let digits = number.to_string().len();
            prop_assert_eq!(leading_digits(text.as_bytes()), (number as i64, digits));
            prop_assert_eq!(digits_one_by_one(text.as_bytes()), (number as i64, digits));
        }

        #[test]
        fn what_is_no_digit_ends_a_number(text in proptest::collection::vec(any::<u8>(), 0..16)) {
            prop_assert_eq!(leading_digits(&text), digits_one_by_one(&text));
        }
    }
}

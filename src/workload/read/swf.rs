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

/// Rows up to this length, all of real traces, are read in steps of eight bytes.
const SHORT_ROW: usize = 128;

/// The numbers of one row.
struct Fields {
    values: [i64; FIELDS],
    /// Where each field starts in the line.
    starts: [u32; FIELDS],
    /// Bit per field that is not a plain integer (a decimal, or no number).
    odd: u32,
    /// The row, followed by zeros, so that eight bytes can be read at every position.
    padded: [u8; SHORT_ROW + 8],
}

impl Default for Fields {
    fn default() -> Self {
        Self { values: [0; FIELDS], starts: [0; FIELDS], odd: 0, padded: [0; SHORT_ROW + 8] }
    }
}

impl Fields {
    /// Cuts a row at blanks and reads plain integers on the way.
    #[inline]
    fn split(&mut self, line: &[u8]) -> Result<(), Problem> {
        let fields = if line.len() <= SHORT_ROW { self.split_short(line) } else { self.split_long(line) };
        if fields == FIELDS {
            return Ok(());
        }
        let message = format!("the row has {fields} fields, the Standard Workload Format has {FIELDS}");
        Err(Problem::new(code::WIDTH, "a row of the wrong width", message))
    }

    /// Blanks are found eight bytes at a time and kept as bits, so that the ends of fields cost no
    /// mispredicted branch; numbers of up to eight digits are then read in one step. This is where a
    /// reader of SWF spends its time.
    fn split_short(&mut self, line: &[u8]) -> usize {
        self.padded[..line.len()].copy_from_slice(line);
        self.padded[line.len()..line.len() + 8].fill(b' ');
        self.odd = 0;
        let mut filled: u128 = 0;
        for (at, eight) in
            self.padded[..SHORT_ROW].as_chunks::<8>().0.iter().enumerate().take(line.len().div_ceil(8))
        {
            filled |= u128::from(!blanks(*eight)) << (8 * at);
        }
        let mut starts = filled & !(filled << 1);
        let mut ends = !filled & (filled << 1);
        let mut field = 0;
        while starts != 0 {
            let start = starts.trailing_zeros() as usize;
            let end = if ends == 0 { line.len() } else { ends.trailing_zeros() as usize };
            starts &= starts - 1;
            ends &= ends.wrapping_sub(1);
            if field < FIELDS {
                self.starts[field] = start as u32;
                match self.short_integer(start, end).or_else(|| plain_integer(&line[start..end])) {
                    Some(value) => self.values[field] = value,
                    None => {
                        self.values[field] = 0;
                        self.odd |= 1 << field;
                    }
                }
            }
            field += 1;
        }
        field
    }

    /// The field as an integer, if it is one of at most eight digits.
    #[inline]
    fn short_integer(&self, start: usize, end: usize) -> Option<i64> {
        let negative = self.padded[start] == b'-';
        let first = start + usize::from(negative);
        let count = end.checked_sub(first).filter(|n| (1..=8).contains(n))?;
        let eight = self.padded.get(first..)?.first_chunk::<8>()?;
        let value = digits(*eight, count)?;
        Some(if negative { -value } else { value })
    }

    #[cold]
    fn split_long(&mut self, line: &[u8]) -> usize {
        self.odd = 0;
        let (mut at, mut field) = (0, 0);
        loop {
            at += line[at..].iter().take_while(|c| is_blank(**c)).count();
            if at == line.len() {
                return field;
            }
            let end = end_of_field(line, at);
            if field < FIELDS {
                let whole = plain_integer(&line[at..end]);
                self.values[field] = whole.unwrap_or(0);
                self.starts[field] = at as u32;
                self.odd |= u32::from(whole.is_none()) << field;
            }
            field += 1;
            at = end;
        }
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

/// A whole number of at most 18 digits.
fn plain_integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0, |value, c| value * 10 + i64::from(c - b'0'));
    Some(if digits.len() < text.len() { -value } else { value })
}

const ONES: u64 = 0x0101_0101_0101_0101;
const TOPS: u64 = 0x8080_8080_8080_8080;

/// A bit for each of eight bytes that is a blank.
#[inline]
fn blanks(eight: [u8; 8]) -> u8 {
    let word = u64::from_le_bytes(eight);
    // The top bit of each byte that is zero in `x`.
    let zeros = |x: u64| !(((x & !TOPS) + !TOPS) | x) & TOPS;
    let blank = zeros(word ^ (ONES * u64::from(b' '))) | zeros(word ^ (ONES * u64::from(b'\t')));
    ((blank >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
}

/// The number in the first `count` (1 to 8) of eight bytes, if they are all digits.
#[inline]
fn digits(eight: [u8; 8], count: usize) -> Option<i64> {
    // The unused bytes are shifted out, zeros come in front.
    let digits = (u64::from_le_bytes(eight) ^ (ONES * u64::from(b'0'))) << (64 - 8 * count);
    if (digits.wrapping_add(ONES * 0x76) | digits) & TOPS != 0 {
        return None;
    }
    // Pairs, fours and eights of digits are summed.
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    let value = fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff;
    Some(value as i64)
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
            let mut fields = Fields::default();
            prop_assert!(fields.split(line.as_bytes()).is_ok());
            prop_assert_eq!(fields.odd, 0);
            prop_assert_eq!(&fields.values[..], &numbers[..]);
            let short = (fields.values, fields.starts);
            prop_assert_eq!(fields.split_long(line.as_bytes()), FIELDS);
            prop_assert_eq!((fields.values, fields.starts), short);
        }

        #[test]
        fn any_bytes_are_cut_alike_in_both_ways(line in proptest::collection::vec(any::<u8>(), 0..=SHORT_ROW)) {
            let (mut short, mut long) = (Fields::default(), Fields::default());
            prop_assert_eq!(short.split_short(&line), long.split_long(&line));
            prop_assert_eq!(short.odd, long.odd);
            prop_assert_eq!(short.starts, long.starts);
            let plain = |fields: &Fields| -> Vec<i64> {
                (0..FIELDS).filter(|at| fields.odd & (1 << at) == 0).map(|at| fields.values[at]).collect()
            };
            prop_assert_eq!(plain(&short), plain(&long));
        }
    }
}

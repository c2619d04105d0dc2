//! One CSV line cut into cells, and cells read as numbers.
//!
//! Lines without a quote, nearly all of them, are cut at the commas and nothing is copied. A quoted
//! cell ends on its own line: a stray quote costs one row, not the rest of the file.

use super::problem::{Problem, code};
use super::timestamps::Clock;
use crate::time::{SecondsError, SimDuration, SimTime, parse_seconds_micros};

/// Where one cell lies.
#[derive(Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
    /// Byte column in the line, from 1.
    column: u32,
}

/// The cells of one line; reused from line to line.
#[derive(Default)]
pub(super) struct Cells {
    spans: Vec<Span>,
    /// Cells of a line with quotes, quotes removed.
    unquoted: Vec<u8>,
    quoted: bool,
}

impl Cells {
    /// Cuts `line`.
    pub fn split(&mut self, line: &[u8]) -> Result<(), Problem> {
        self.spans.clear();
        self.quoted = memchr::memchr(b'"', line).is_some();
        if self.quoted {
            return self.split_quoted(line);
        }
        let mut start = 0;
        for comma in memchr::memchr_iter(b',', line) {
            self.push(start, comma, start);
            start = comma + 1;
        }
        self.push(start, line.len(), start);
        Ok(())
    }

    fn push(&mut self, start: usize, end: usize, column: usize) {
        // Lines are at most `MAX_LINE_BYTES` long.
        self.spans.push(Span { start: start as u32, end: end as u32, column: column as u32 + 1 });
    }

    fn split_quoted(&mut self, line: &[u8]) -> Result<(), Problem> {
        self.unquoted.clear();
        let mut at = 0;
        loop {
            let (column, start) = (at, self.unquoted.len());
            if line.get(at) == Some(&b'"') {
                at = self.unquote(line, at + 1)?;
            } else {
                let end = memchr::memchr(b',', &line[at..]).map_or(line.len(), |comma| at + comma);
                self.unquoted.extend_from_slice(&line[at..end]);
                at = end;
            }
            self.push(start, self.unquoted.len(), column);
            match line.get(at) {
                None => return Ok(()),
                Some(b',') => at += 1,
                Some(_) => {
                    return Err(quotes("text follows a closing quote", at).help(
                        "put the whole cell in quotes and double the quotes inside: \"a \"\"b\"\" c\"",
                    ));
                }
            }
        }
    }

    /// Copies from after the opening quote to the closing one; tells the position after that.
    fn unquote(&mut self, line: &[u8], mut at: usize) -> Result<usize, Problem> {
        let opened = at - 1;
        loop {
            let Some(quote) = memchr::memchr(b'"', &line[at..]) else {
                return Err(quotes("a quoted cell is not closed on its line", opened)
                    .help("close the quote; a cell cannot hold a line break"));
            };
            self.unquoted.extend_from_slice(&line[at..at + quote]);
            at += quote + 1;
            if line.get(at) != Some(&b'"') {
                return Ok(at);
            }
            self.unquoted.push(b'"');
            at += 1;
        }
    }

    /// Takes cells that were made from those of another table, each with its byte column there.
    pub fn put(&mut self, made: &[(String, u64)]) {
        self.spans.clear();
        self.unquoted.clear();
        self.quoted = true;
        for (text, column) in made {
            let start = self.unquoted.len();
            self.unquoted.extend_from_slice(text.as_bytes());
            self.push(start, self.unquoted.len(), usize::try_from(column.saturating_sub(1)).unwrap_or(0));
        }
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Cell `at` of the line that was split, without blanks around it.
    #[inline]
    pub fn text<'a>(&'a self, line: &'a [u8], at: usize) -> &'a [u8] {
        let span = self.spans[at];
        let bytes = if self.quoted { &self.unquoted } else { line };
        bytes[span.start as usize..span.end as usize].trim_ascii()
    }

    /// Byte column of cell `at`, from 1.
    pub fn column(&self, at: usize) -> u64 {
        u64::from(self.spans[at].column)
    }
}

fn quotes(message: &str, at: usize) -> Problem {
    Problem::new(code::QUOTES, "quotes that do not match", message).at(at as u64 + 1)
}

/// A cell with what is needed to tell what is wrong with it.
#[derive(Clone, Copy)]
pub(super) struct Cell<'a> {
    /// Column name in the header.
    pub name: &'a str,
    /// Its text, blanks removed; valid UTF-8.
    pub text: &'a [u8],
    /// Byte column in the line, from 1.
    pub column: u64,
}

impl<'a> Cell<'a> {
    /// The text as a string.
    pub fn str(self) -> &'a str {
        std::str::from_utf8(self.text).expect("lines are checked before they are split at ASCII bytes")
    }

    /// "this is of the wrong type".
    pub fn wrong_type(self, expected: &str) -> Problem {
        let message = format!("{} is '{}', which is not {expected}", self.name, self.cut());
        Problem::new(code::TYPE, "a cell is not of its column's type", message).at(self.column)
    }

    /// "this is out of range".
    pub fn out_of_range(self, allowed: &str) -> Problem {
        let message = format!("{} is '{}'; it must be {allowed}", self.name, self.cut());
        Problem::new(code::RANGE, "a value out of range", message).at(self.column)
    }

    fn cut(self) -> String {
        super::problem::shown(self.text.get(..40).unwrap_or(self.text), 0)
    }

    /// Seconds or, with a clock, a timestamp; not before zero.
    #[inline]
    pub fn instant(self, clock: &mut Clock) -> Result<SimTime, Problem> {
        match parse_seconds_micros(self.text) {
            Ok(micros) if micros >= 0 => Ok(SimTime::from_micros(micros)),
            Ok(_) | Err(SecondsError::OutOfRange) => Err(self
                .out_of_range("between 0 and 10^12 seconds")
                .help("times count from a zero before the first submission; leave unknown times empty")),
            Err(SecondsError::NotANumber) => clock.timestamp(self),
        }
    }

    /// A number of seconds, at least zero.
    #[inline]
    pub fn span(self) -> Result<SimDuration, Problem> {
        match parse_seconds_micros(self.text) {
            Ok(micros) if micros >= 0 => Ok(SimDuration::from_micros(micros)),
            Ok(_) | Err(SecondsError::OutOfRange) => Err(self.out_of_range("between 0 and 10^12 seconds")),
            Err(SecondsError::NotANumber) => Err(self.wrong_type("a number of seconds")),
        }
    }

    /// A number of seconds above zero.
    #[inline]
    pub fn positive_span(self) -> Result<SimDuration, Problem> {
        let span = self.span().map_err(|mut problem| {
            if problem.code == code::RANGE {
                problem = self.out_of_range("above 0 and at most 10^12 seconds");
            }
            problem
        })?;
        if span == SimDuration::ZERO {
            return Err(self
                .out_of_range("above 0 seconds")
                .help("a job that never ran is no work: leave it out"));
        }
        Ok(span)
    }

    /// A whole number between `low` and `high`.
    pub fn integer(self, low: i64, high: i64) -> Result<i64, Problem> {
        match parse_integer(self.text) {
            Some(value) if (i128::from(low)..=i128::from(high)).contains(&value) => Ok(value as i64),
            Some(_) if high == i64::MAX && low == i64::MIN => Err(self.out_of_range("a 64-bit integer")),
            Some(_) if high == i64::MAX => Err(self.out_of_range(&format!("at least {low}"))),
            Some(_) => Err(self.out_of_range(&format!("between {low} and {high}"))),
            None => Err(self.wrong_type("a whole number")),
        }
    }

    /// A count between `low` and 2^31 - 1.
    pub fn count(self, low: u32) -> Result<u32, Problem> {
        let value = self.integer(i64::from(low), i64::from(i32::MAX))?;
        Ok(u32::try_from(value).expect("the range was checked"))
    }

    /// Yes or no.
    pub fn yes_no(self) -> Result<bool, Problem> {
        match self.text.to_ascii_lowercase().as_slice() {
            b"1" | b"true" | b"yes" | b"y" => Ok(true),
            b"0" | b"false" | b"no" | b"n" => Ok(false),
            _ => Err(self.wrong_type("yes or no").help("write 1, true or yes; or 0, false or no")),
        }
    }
}

/// A whole number; decimals are accepted if they are zeros, as tables with gaps print them (`4.0`).
pub(super) fn parse_integer(text: &[u8]) -> Option<i128> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let whole = match memchr::memchr(b'.', digits) {
        Some(dot) if digits[dot + 1..].iter().all(|c| *c == b'0') => &digits[..dot],
        Some(_) => return None,
        None => digits,
    };
    if whole.is_empty() || !whole.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Beyond every range that is asked for, the exact value does not matter.
    let value = whole.iter().fold(0i128, |sum, c| (sum * 10 + i128::from(c - b'0')).min(1i128 << 100));
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(line: &str) -> Result<Vec<String>, Problem> {
        let mut cells = Cells::default();
        cells.split(line.as_bytes())?;
        Ok((0..cells.len())
            .map(|at| String::from_utf8_lossy(cells.text(line.as_bytes(), at)).into_owned())
            .collect())
    }

    #[test]
    fn cells_with_and_without_quotes() {
        let same = [
            ("a,b,c", vec!["a", "b", "c"]),
            ("a,, c ", vec!["a", "", "c"]),
            ("", vec![""]),
            ("\"a,b\",c", vec!["a,b", "c"]),
            ("\"say \"\"hi\"\"\",", vec!["say \"hi\"", ""]),
            ("5\" disk,x", vec!["5\" disk", "x"]),
            ("\"\",\"\"", vec!["", ""]),
        ];
        for (line, expected) in same {
            assert_eq!(cut(line).expect(line), expected, "{line}");
        }
        assert_eq!(cut("a,\"open").expect_err("not closed").column, 3);
        assert_eq!(cut("\"a\"b,c").expect_err("text after").column, 4);
    }

    #[test]
    fn whole_numbers() {
        let cases = [
            ("4", Some(4)),
            ("4.0", Some(4)),
            ("-4.", Some(-4)),
            ("+7", Some(7)),
            ("4.5", None),
            ("", None),
            (".", None),
            ("1e3", None),
            ("x", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_integer(text.as_bytes()), expected, "{text}");
        }
        assert!(parse_integer("9".repeat(50).as_bytes()).expect("a number") > i128::from(i64::MAX));
    }
}

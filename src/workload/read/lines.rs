//! Lines out of a stream, through one buffer that is reused and never grows beyond the longest line
//! that a trace may have.

use std::io::{self, Read};

/// The longest line of a trace; a longer one is passed over without being held.
pub(super) const MAX_LINE_BYTES: usize = 1 << 20;

/// Read at once; the buffer starts at this size.
const CHUNK_BYTES: usize = 1 << 16;

/// How much of a line that is too long is shown.
const SHOWN_BYTES: usize = 60;

/// What stands between two line ends.
pub(super) enum Line<'a> {
    /// Its bytes, without line end (LF or CRLF).
    Text(&'a [u8]),
    /// Longer than [`MAX_LINE_BYTES`]; only its first bytes are known.
    TooLong(&'a [u8]),
}

/// A stream cut into lines.
pub(super) struct Lines<R> {
    stream: R,
    buffer: Vec<u8>,
    /// Bytes of `buffer` that are read but not handed out: `start..end`.
    start: usize,
    end: usize,
    ended: bool,
    /// Number of the line handed out last, from 1.
    number: u64,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { stream, buffer: vec![0; CHUNK_BYTES], start: 0, end: 0, ended: false, number: 0 }
    }

    /// Number of the line handed out last, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The next line, or `None` at the end. A byte order mark before the first line is left out.
    pub(super) fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        let mut searched = 0;
        loop {
            let window = &self.buffer[self.start + searched..self.end];
            if let Some(at) = memchr::memchr(b'\n', window) {
                let line = self.start..self.start + searched + at;
                self.start = line.end + 1;
                return Ok(Some(self.hand_out(line)));
            }
            searched = self.end - self.start;
            if self.ended {
                if searched == 0 {
                    return Ok(None);
                }
                let line = self.start..self.end;
                self.start = self.end;
                return Ok(Some(self.hand_out(line)));
            }
            if searched > MAX_LINE_BYTES {
                return self.pass_over().map(Some);
            }
            self.fill()?;
        }
    }

    fn hand_out(&mut self, mut line: std::ops::Range<usize>) -> Line<'_> {
        self.number += 1;
        if self.number == 1 && self.buffer[line.clone()].starts_with(b"\xef\xbb\xbf") {
            line.start += 3;
        }
        let text = &self.buffer[line];
        Line::Text(text.strip_suffix(b"\r").unwrap_or(text))
    }

    /// Makes room and reads once.
    fn fill(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let read = loop {
            match self.stream.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.end += read;
        self.ended = read == 0;
        Ok(())
    }

    /// Reads to the end of a line that is too long, keeping its first bytes only.
    fn pass_over(&mut self) -> io::Result<Line<'_>> {
        let shown = self.buffer[self.start..self.start + SHOWN_BYTES].to_vec();
        loop {
            self.start = self.end;
            self.fill()?;
            let at = memchr::memchr(b'\n', &self.buffer[self.start..self.end]);
            if at.is_none() && !self.ended {
                continue;
            }
            self.start = at.map_or(self.end, |at| self.start + at + 1);
            self.number += 1;
            // The bytes before `start` are handed out already, so the shown text may lie there.
            return Ok(Line::TooLong(self.keep_shown(&shown)));
        }
    }

    fn keep_shown(&mut self, shown: &[u8]) -> &[u8] {
        let left = self.end - self.start;
        let room = shown.len() + left;
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        self.buffer.copy_within(self.start..self.end, shown.len());
        self.buffer[..shown.len()].copy_from_slice(shown);
        self.start = shown.len();
        self.end = room;
        &self.buffer[..shown.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Vec<(u64, String)> {
        let mut lines = Lines::new(text);
        let mut rows = Vec::new();
        loop {
            let row = match lines.next_line().expect("reading memory cannot fail") {
                None => return rows,
                Some(Line::Text(text)) => String::from_utf8_lossy(text).into_owned(),
                Some(Line::TooLong(text)) => format!("too long: {}", text.len()),
            };
            rows.push((lines.number(), row));
        }
    }

    #[test]
    fn line_ends_and_byte_order_mark() {
        let rows = all(b"\xef\xbb\xbfa\r\nb\n\nlast");
        let texts: Vec<&str> = rows.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["a", "b", "", "last"]);
        assert!(all(b"").is_empty());
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_in_bounded_memory() {
        let mut text = b"first\n".to_vec();
        text.extend(std::iter::repeat_n(b'x', 5 * MAX_LINE_BYTES));
        text.extend(b"\nlast\n");
        let rows = all(&text);
        assert_eq!(rows[0], (1, "first".to_owned()));
        assert_eq!(rows[1], (2, "too long: 60".to_owned()));
        assert_eq!(rows[2], (3, "last".to_owned()));
        let mut lines = Lines::new(text.as_slice());
        while lines.next_line().expect("memory").is_some() {}
        assert!(lines.buffer.len() <= 4 * MAX_LINE_BYTES, "{}", lines.buffer.len());
    }

    #[test]
    fn a_line_longer_than_the_first_buffer_is_whole() {
        let long = "y".repeat(3 * CHUNK_BYTES);
        let rows = all(format!("{long}\nz").as_bytes());
        assert_eq!(rows[0].1.len(), long.len());
        assert_eq!(rows[1].1, "z");
    }
}

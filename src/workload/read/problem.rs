//! Why a row or a file is not taken, before it is known where to tell it.

use crate::diagnostic::Diagnostic;

/// Stable codes of trace problems (W01xx).
pub(super) mod code {
    pub const UNREADABLE: &str = "W0101";
    pub const DAMAGED_ARCHIVE: &str = "W0102";
    pub const NOT_UTF8: &str = "W0103";
    pub const EMPTY: &str = "W0104";
    pub const NO_VALID_ROW: &str = "W0105";
    pub const MISSING_COLUMN: &str = "W0106";
    pub const UNKNOWN_COLUMN: &str = "W0107";
    pub const REPEATED_COLUMN: &str = "W0108";
    pub const LINE_TOO_LONG: &str = "W0109";
    pub const WIDTH: &str = "W0110";
    pub const TYPE: &str = "W0111";
    pub const RANGE: &str = "W0112";
    pub const DUPLICATE_ID: &str = "W0113";
    pub const QUOTES: &str = "W0114";
    pub const TIMESTAMP_WITHOUT_ZONE: &str = "W0115";
    pub const TIME_ZONE: &str = "W0116";
    pub const LIMIT_BELOW_RUN: &str = "W0117";
    pub const UNSORTED: &str = "W0118";
    pub const UNKNOWN_DEPENDENCY: &str = "W0119";
    pub const DEPENDENCY_CYCLE: &str = "W0120";
    pub const AMBIGUOUS_TIME: &str = "W0121";
    pub const DEPENDENCY_SYNTAX: &str = "W0122";
    pub const ARRAY_SYNTAX: &str = "W0123";
    pub const NOTHING_RAN: &str = "W0124";
    pub const TOO_MUCH: &str = "W0125";
    pub const ENDS_BEFORE_START: &str = "W0126";
    pub const SACCT_LAYOUT: &str = "W0127";
    pub const SACCT_STEP: &str = "W0128";
    pub const SACCT_ATTEMPT: &str = "W0129";
    pub const SACCT_ROW: &str = "W0132";
    pub const FOREIGN_ROW: &str = "W0135";
    pub const NO_TIMES: &str = "W0136";
    pub const MIXED_ZONES: &str = "W0133";
    pub const ZONE_UNKNOWN: &str = "W0134";
}

/// Why one row cannot be taken.
#[derive(Debug)]
pub(super) struct Problem {
    pub code: &'static str,
    /// The ledger's words, the same for all rows of this kind.
    pub reason: &'static str,
    pub message: String,
    /// Byte column in the line, from 1; 0 = the whole line.
    pub column: u64,
    pub help: Option<String>,
}

impl Problem {
    pub fn new(code: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), column: 0, help: None }
    }

    pub fn at(mut self, column: u64) -> Self {
        self.column = column;
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Why reading cannot go on at all.
pub(super) type Fatal = Box<Diagnostic>;

/// Longest piece of a line that a diagnostic shows, and how much of it lies before the column.
const SHOWN_CHARS: usize = 96;
const SHOWN_BEFORE: usize = 32;

/// The part of a line around a byte column (from 1), readable and short.
pub(super) fn shown(line: &[u8], column: u64) -> String {
    let column = usize::try_from(column).unwrap_or(0).saturating_sub(1);
    let from = if column + SHOWN_BEFORE > SHOWN_CHARS { column.saturating_sub(SHOWN_BEFORE) } else { 0 };
    let piece = &line[from.min(line.len())..line.len().min(from + 4 * SHOWN_CHARS)];
    let mut text: String = String::from_utf8_lossy(piece)
        .chars()
        .take(SHOWN_CHARS)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if from > 0 {
        text.insert_str(0, "...");
    }
    if piece.len() + from < line.len() || piece.len() > text.len() {
        text.push_str("...");
    }
    text
}

//! What the user is told about bad input: where, what, why, and what to write instead.
//!
//! A [`Diagnostic`] has a stable code (`W0107`), a message, a place (byte span of a text that we hold,
//! or line and column of a file that we streamed), the offending text, and a help line. The library
//! makes them and never prints; the `cli` room renders them as text or JSON.
//!
//! Many alike are one: [`Diagnostics`] keeps the first few of each code and counts the rest.

mod render;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

pub use render::render;

/// A stable name that a user can search for. Codes are never reused; `windtunnel explain CODE` tells more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Code(pub &'static str);

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// Nothing wrong, but it was changed or assumed.
    Note,
    /// Read this before you trust the result.
    Warning,
    /// The input cannot be used.
    Error,
}

/// Where in the input.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// The input as a whole, or none.
    Nowhere,
    /// A file as a whole.
    File(Arc<str>),
    /// A line and column (both from 1; column 0 = the whole line) of a file that was streamed; the
    /// offending text is cut to a readable length.
    Line {
        /// File as the user named it.
        file: Arc<str>,
        /// Line, from 1.
        line: u64,
        /// Column in bytes, from 1, or 0.
        column: u64,
        /// The offending text.
        text: String,
    },
    /// A byte range of a text that we hold.
    Span {
        /// The text and its name.
        source: Arc<Source>,
        /// Bytes.
        range: Range<usize>,
    },
}

/// A text held in memory, with the name to show for it.
#[derive(PartialEq, Eq)]
pub struct Source {
    /// File as the user named it, or `--set`.
    pub name: String,
    /// The whole text.
    pub text: String,
}

impl fmt::Debug for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Source({})", self.name)
    }
}

impl Source {
    /// Line and column (from 1, in characters) of a byte offset.
    #[must_use]
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..self.text.floor_char_boundary(offset.min(self.text.len()))];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        (line, column)
    }
}

/// One thing to tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// Stable name.
    pub code: Code,
    /// How bad.
    pub severity: Severity,
    /// One sentence: what is wrong, with the offending value.
    pub message: String,
    /// Where.
    pub place: Place,
    /// Words beside the place (why), may be empty.
    pub label: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error without place or help.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, message)
    }

    /// A warning without place or help.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, message)
    }

    /// A note without place or help.
    pub fn note(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Note, message)
    }

    fn new(code: &'static str, severity: Severity, message: impl Into<String>) -> Self {
        Self {
            code: Code(code),
            severity,
            message: message.into(),
            place: Place::Nowhere,
            label: String::new(),
            help: None,
        }
    }

    /// Sets the place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// Sets the words beside the place.
    #[must_use]
    pub fn because(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Sets the cure.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A capped list: the first [`Diagnostics::KEPT`] of each code whole, the others counted.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    kept: Vec<Diagnostic>,
    counts: BTreeMap<Code, u64>,
    errors: u64,
}

impl Diagnostics {
    /// How many of one code are kept whole.
    pub const KEPT: u64 = 5;

    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let count = self.counts.entry(diagnostic.code).or_insert(0);
        *count += 1;
        if diagnostic.severity == Severity::Error {
            self.errors += 1;
        }
        if *count <= Self::KEPT {
            self.kept.push(diagnostic);
        }
    }

    /// The ones kept whole, in order.
    #[must_use]
    pub fn kept(&self) -> &[Diagnostic] {
        &self.kept
    }

    /// How often each code came that was not kept whole every time: (code, further ones).
    pub fn further(&self) -> impl Iterator<Item = (Code, u64)> + '_ {
        self.counts.iter().filter(|(_, n)| **n > Self::KEPT).map(|(code, n)| (*code, n - Self::KEPT))
    }

    /// Number of errors.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.errors
    }

    /// Whether nothing was told.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<T: IntoIterator<Item = Diagnostic>>(&mut self, rows: T) {
        rows.into_iter().for_each(|row| self.push(row));
    }
}

/// The nearest of `known` to `word`, where one is near enough to be meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(word, k), k))
        .filter(|(distance, k)| *distance <= (k.len().max(word.len()) / 3).max(1))
        .min()
        .map(|(_, k)| k)
}

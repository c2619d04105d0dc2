//! The text of a scenario as a tree that remembers where everything was written.
//!
//! The file and each `--set` are separate texts in one row of byte positions: a `--set` is parsed behind
//! as many spaces as there are bytes before it, so that spans of all texts can live in one tree and
//! still be told apart.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostic, Place, Source};

/// All texts of a scenario: the file, then each `--set`.
pub(super) struct Texts {
    parts: Vec<Part>,
}

struct Part {
    /// Position of its first byte in the row.
    base: usize,
    source: Arc<Source>,
    /// The text behind `base` spaces.
    padded: String,
}

impl Texts {
    pub(super) fn new(name: &str, text: String) -> Self {
        let source = Arc::new(Source { name: name.to_owned(), text: text.clone() });
        Self { parts: vec![Part { base: 0, source, padded: text }] }
    }

    /// Adds the text of a `--set` and tells its index.
    pub(super) fn push_set(&mut self, text: String) -> usize {
        // One byte of distance, so that a span at the very end of a text is still its own.
        let base = self.parts.last().map_or(0, |last| last.base + last.source.text.len() + 1);
        let padded = format!("{}{text}", " ".repeat(base));
        self.parts.push(Part { base, source: Arc::new(Source { name: "--set".to_owned(), text }), padded });
        self.parts.len() - 1
    }

    /// Parses one text; spans count along the row of all texts.
    pub(super) fn parse(&self, index: usize) -> Result<DeTable<'_>, Box<Diagnostic>> {
        DeTable::parse(&self.parts[index].padded).map(Spanned::into_inner).map_err(|error| {
            let end = self.parts[index].padded.len();
            let range = error.span().unwrap_or(end..end);
            let problem = Diagnostic::error("W0203", "this is not TOML");
            Box::new(problem.at(self.place(&range)).because(error.message()))
        })
    }

    /// Where a span of the row is.
    pub(super) fn place(&self, range: &Range<usize>) -> Place {
        let part = &self.parts[self.part_of(range.start)];
        let clip = |at: usize| at.saturating_sub(part.base).min(part.source.text.len());
        Place::Span { source: Arc::clone(&part.source), range: clip(range.start)..clip(range.end) }
    }

    pub(super) fn file(&self) -> &Arc<Source> {
        &self.parts[0].source
    }

    pub(super) fn sources(&self) -> Vec<Arc<Source>> {
        self.parts.iter().map(|part| Arc::clone(&part.source)).collect()
    }

    fn part_of(&self, at: usize) -> usize {
        self.parts.partition_point(|part| part.base <= at).saturating_sub(1)
    }
}

/// The tree of all texts together.
pub(super) struct Document<'t> {
    pub(super) texts: &'t Texts,
    pub(super) tree: DeTable<'t>,
}

/// Where a path goes on.
enum Inside<'d> {
    Table(&'d DeTable<'d>),
    List(&'d [Spanned<DeValue<'d>>]),
}

impl Document<'_> {
    /// Where the setting at `path` is written; where it is not, the table nearest above it. Rows of a list
    /// are named by their index from 0.
    pub(super) fn place(&self, path: &[&str]) -> Place {
        let mut found = None;
        let mut inside = Inside::Table(&self.tree);
        for segment in path {
            let value = match inside {
                Inside::Table(table) => {
                    let Some((key, value)) = table.get_key_value(*segment) else { break };
                    found = Some(self.anchor(&key.span(), value));
                    value
                }
                Inside::List(rows) => {
                    let Some(row) = segment.parse::<usize>().ok().and_then(|at| rows.get(at)) else { break };
                    found = Some(row.span());
                    row
                }
            };
            inside = match value.get_ref() {
                DeValue::Table(table) => Inside::Table(table),
                DeValue::Array(rows) => Inside::List(rows),
                _ => break,
            };
        }
        match found {
            Some(span) => self.texts.place(&span),
            None => Place::File(self.texts.file().name.as_str().into()),
        }
    }

    /// What to point at for an entry: a table's name, any other value itself.
    pub(super) fn anchor(&self, key: &Range<usize>, value: &Spanned<DeValue<'_>>) -> Range<usize> {
        let span = value.span();
        let replaced = self.texts.part_of(key.start) != self.texts.part_of(span.start);
        if value.get_ref().is_table() && !replaced { key.clone() } else { span }
    }
}

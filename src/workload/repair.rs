//! The repair ledger: what a reader refused or changed, row by row up to a cap, and counted in full.

use std::collections::BTreeMap;

/// What was done to a row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum RepairKind {
    /// Left out.
    Refused,
    /// Kept with a changed value.
    Changed,
    /// Left out because the user asked for a part of the trace (window, job limit).
    LeftOut,
    /// Kept as it is; the reader should know.
    Noted,
}

impl RepairKind {
    /// The word in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Changed => "changed",
            Self::LeftOut => "left out",
            Self::Noted => "noted",
        }
    }
}

/// One reason with its count and first examples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// What was done.
    pub kind: RepairKind,
    /// How many rows.
    pub rows: u64,
    /// The first few.
    pub examples: Vec<RepairExample>,
}

/// One row that was refused or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairExample {
    /// Line in the file, from 1; 0 where it is not known.
    pub line: u64,
    /// Column in bytes, from 1; 0 = the whole line.
    pub column: u64,
    /// What stood there, cut to a readable length.
    pub text: String,
}

/// All that was refused or changed while a trace was read, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepairLedger {
    /// Rows that the file has (without header and comments).
    pub rows_read: u64,
    reasons: BTreeMap<(RepairKind, &'static str), Repair>,
}

impl RepairLedger {
    /// How many examples of a reason are kept.
    pub const EXAMPLES: usize = 3;

    /// Notes that the row at `line` was treated so, for `reason`; `text` is what stood there.
    pub fn add(&mut self, kind: RepairKind, reason: &'static str, line: u64, text: impl FnOnce() -> String) {
        self.add_at(kind, reason, (line, 0), text);
    }

    /// Like [`RepairLedger::add`], at a (line, column).
    pub fn add_at(
        &mut self,
        kind: RepairKind,
        reason: &'static str,
        (line, column): (u64, u64),
        text: impl FnOnce() -> String,
    ) {
        let row = self.reasons.entry((kind, reason)).or_insert_with(|| Repair {
            kind,
            rows: 0,
            examples: Vec::new(),
        });
        row.rows += 1;
        if row.examples.len() < Self::EXAMPLES {
            row.examples.push(RepairExample { line, column, text: text() });
        }
    }

    /// Reasons in order: refused first.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Repair)> {
        self.reasons.iter().map(|((_, reason), repair)| (*reason, repair))
    }

    /// Forgets the texts of the examples, which may name people; the counts stay.
    pub fn forget_texts(&mut self) {
        for repair in self.reasons.values_mut() {
            repair.examples.iter_mut().for_each(|example| example.text.clear());
        }
    }

    /// Rows treated in this way, summed over reasons (a row with two changes counts twice).
    #[must_use]
    pub fn rows(&self, kind: RepairKind) -> u64 {
        self.reasons.values().filter(|r| r.kind == kind).map(|r| r.rows).sum()
    }
}

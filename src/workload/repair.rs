//! The repair ledger: what a reader refused or changed, row by row up to a cap, and counted in full.

use std::collections::BTreeMap;

/// What was done to a row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum RepairKind {
    /// Left out.
    Refused,
    /// Kept with a changed value.
    Changed,
    /// Kept as it is; the reader should know.
    Noted,
}

/// One reason with its count and first examples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// What was done.
    pub kind: RepairKind,
    /// How many rows.
    pub rows: u64,
    /// The first few: (line in the file, what stood there).
    pub examples: Vec<(u64, String)>,
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
        let row = self.reasons.entry((kind, reason)).or_insert_with(|| Repair {
            kind,
            rows: 0,
            examples: Vec::new(),
        });
        row.rows += 1;
        if row.examples.len() < Self::EXAMPLES {
            row.examples.push((line, text()));
        }
    }

    /// Reasons in order: refused first.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Repair)> {
        self.reasons.iter().map(|((_, reason), repair)| (*reason, repair))
    }

    /// Rows treated in this way, summed over reasons (a row with two changes counts twice).
    #[must_use]
    pub fn rows(&self, kind: RepairKind) -> u64 {
        self.reasons.values().filter(|r| r.kind == kind).map(|r| r.rows).sum()
    }
}

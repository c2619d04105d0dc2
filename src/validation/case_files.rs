//! Files of cases, ours or anybody's: what was computed for each case, in the order of the file, beside the section's rows.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Section, document};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};

/// Largest file of cases, in bytes.
const LARGEST: u64 = 256 << 20;

/// What was computed for a file.
#[derive(Clone, Debug)]
pub struct CaseFile {
    /// The file as it was named.
    pub file: String,
    /// Its kind.
    pub kind: String,
    /// The computed values, case by case.
    pub cases: Vec<Value>,
}

/// A section with what was computed for each file.
#[derive(Clone, Debug, Default)]
pub struct WithCases {
    /// Rows against their bars.
    pub section: Section,
    /// Files in the order in which they were named.
    pub files: Vec<CaseFile>,
    /// What to tell of the files; never an error.
    pub told: Diagnostics,
}

impl WithCases {
    /// The section as JSON, with the files.
    #[must_use]
    pub fn json(&self) -> Value {
        let files: Vec<Value> = self
            .files
            .iter()
            .map(|file| json!({ "file": file.file, "kind": file.kind, "cases": file.cases }))
            .collect();
        let mut section = document::json(&self.section);
        section["files"] = files.into();
        section
    }
}

/// The text of a file of cases.
///
/// # Errors
/// It cannot be read, or is too large.
pub(super) fn read(path: &Path) -> Result<String, Diagnostics> {
    let name: Arc<str> = path.display().to_string().into();
    let size =
        std::fs::metadata(path).map_err(|why| unreadable(path, &format!("cannot read {name}: {why}")))?;
    if size.len() > LARGEST {
        return Err(unreadable(path, &format!("{name} is larger than {} MiB", LARGEST >> 20)));
    }
    std::fs::read_to_string(path).map_err(|why| unreadable(path, &format!("cannot read {name}: {why}")))
}

/// A file that is no file of such cases.
pub(super) fn unreadable(path: &Path, why: &str) -> Diagnostics {
    let place = Place::File(path.display().to_string().into());
    one(Diagnostic::error("W0605", why).at(place).help("name a file of cases of a known kind"))
}

/// A single finding.
pub(super) fn one(told: Diagnostic) -> Diagnostics {
    let mut found = Diagnostics::default();
    found.push(told);
    found
}

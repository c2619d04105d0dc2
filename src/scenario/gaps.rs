//! What of a Slurm site is not modelled, or not as Slurm does it: for every report of a run.

use std::path::Path;

use serde::Serialize;

use super::slurm_conf::Coverage;

/// An option that stands in a site's files and decides there otherwise than here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SiteGap {
    /// Name as written.
    pub option: String,
    /// Value as written.
    pub value: String,
    /// Name of the file; empty where it stands in none.
    pub file: String,
    /// Line, from 1; 0 without a file.
    pub line: u64,
    /// `not yet` or `approximated`.
    pub treatment: &'static str,
    /// How, or why it may matter.
    pub why: &'static str,
    /// The design whose own files these are; none for those of `[policy.slurm]`.
    pub design: Option<String>,
}

/// The gaps of a site's files, in their order, what is not modelled first.
pub(super) fn of_site(coverage: &Coverage, design: Option<&str>) -> Vec<SiteGap> {
    let of = |word| coverage.of(word);
    let rows = of("not yet").chain(of("approximated"));
    let file = |file: &str| {
        let name = Path::new(file).file_name();
        name.map_or_else(|| file.to_owned(), |name| name.to_string_lossy().into_owned())
    };
    let gap = |row: &super::slurm_conf::Covered| SiteGap {
        option: row.option.clone(),
        value: row.value.clone(),
        file: file(&row.file),
        line: row.line,
        treatment: row.treatment.word(),
        why: row.treatment.note(),
        design: design.map(str::to_owned),
    };
    rows.map(gap).collect()
}

/// What is assumed of every site whose `sdiag` nobody gave.
pub(super) fn cycle_length() -> SiteGap {
    SiteGap {
        option: "backfill_test_us".to_owned(),
        value: String::new(),
        file: String::new(),
        line: 0,
        treatment: "approximated",
        why: "cycle length assumed, as on recorded clusters of 16 nodes",
        design: None,
    }
}

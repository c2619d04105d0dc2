//! `windtunnel validate failures`: cases of failures, worked out and judged.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::super::Common;
use super::super::backstage::{Failure, tell};
use crate::diagnostic::Severity;
use crate::validation::failures::{Found, validate_files};
use crate::validation::{document, failures, shared_folder};

/// Arguments of `validate failures`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  windtunnel validate failures
  windtunnel validate failures wall_cases.json --json --check")]
pub(super) struct FailuresArgs {
    /// Files of cases (kinds outages, wall, pool); default those of the folder `failures` with the data of others.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Exit 1 if a figure is outside its tolerance, or could not be computed because data is absent.
    #[arg(long)]
    check: bool,
}

pub(super) fn validate(args: &FailuresArgs, common: &Common) -> Result<(), Failure> {
    let found = match args.files.as_slice() {
        [] => failures::validate(&shared_folder().join("failures"))?,
        files => validate_files(files)?,
    };
    if !common.quiet {
        tell(&found.told, Severity::Warning);
    }
    let mut out = io::stdout().lock();
    if common.json {
        serde_json::to_writer(&mut out, &json!({ "failures": whole(&found) })).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", document::text(&found.section))?;
    }
    out.flush()?;
    if args.check { super::check(std::slice::from_ref(&found.section)) } else { Ok(()) }
}

/// The section, with the values of every case.
fn whole(found: &Found) -> Value {
    let mut section = document::json(&found.section);
    let files = found.files.iter().map(
        |file| json!({ "file": file.file.display().to_string(), "kind": file.kind, "cases": file.cases }),
    );
    section["files"] = files.collect();
    section
}

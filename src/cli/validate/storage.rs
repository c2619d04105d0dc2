//! `windtunnel validate storage`: snapshots on one store beside a second program of the same rules.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::super::Common;
use super::super::backstage::Failure;
use super::{Held, check};
use crate::validation::{document, storage};

#[derive(Debug, Args)]
pub(super) struct StorageArgs {
    /// Files of cases (JSON of kind checkpoint); default our data.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    held: Held,
}

pub(super) fn validate(args: &StorageArgs, shared: &Path, common: &Common) -> Result<(), Failure> {
    let found = storage::validate(&args.files, shared)?;
    let mut out = io::stdout().lock();
    if common.json {
        serde_json::to_writer(&mut out, &json!({ "storage": found.json() })).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", document::text(&found.section))?;
    }
    out.flush()?;
    if args.held.check { check(std::slice::from_ref(&found.section)) } else { Ok(()) }
}

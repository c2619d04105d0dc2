//! `windtunnel validate failures`: cases of failures, worked out and judged.

use std::path::PathBuf;

use clap::Args;

use super::super::Common;
use super::super::backstage::Failure;
use super::{Held, print_cases};
use crate::validation::failures::validate_files;
use crate::validation::{failures, shared_folder};

/// Arguments of `validate failures`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  windtunnel validate failures
  windtunnel validate failures wall_cases.json --json --check")]
pub(super) struct FailuresArgs {
    /// Files of cases (kinds outages, wall, pool); default those of the folder `failures` with the data of others.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    held: Held,
}

pub(super) fn validate(args: &FailuresArgs, common: &Common) -> Result<(), Failure> {
    let found = match args.files.as_slice() {
        [] => failures::validate(&shared_folder().join("failures"))?,
        files => validate_files(files)?,
    };
    print_cases(&found, &args.held, common)
}

//! `windtunnel validate storage`: snapshots on one store beside a second program of the same rules.

use std::path::{Path, PathBuf};

use clap::Args;

use super::super::Common;
use super::super::backstage::Failure;
use super::{Held, print_cases};
use crate::validation::storage;

#[derive(Debug, Args)]
pub(super) struct StorageArgs {
    /// Files of cases (JSON of kind checkpoint); default our data.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    held: Held,
}

pub(super) fn validate(args: &StorageArgs, shared: &Path, common: &Common) -> Result<(), Failure> {
    print_cases(&storage::validate(&args.files, shared)?, &args.held, common)
}

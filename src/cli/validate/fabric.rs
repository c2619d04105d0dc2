//! `windtunnel validate fabric`: networks beside what others computed and measured.

use std::path::{Path, PathBuf};

use clap::Args;

use super::super::Common;
use super::super::backstage::Failure;
use super::{Held, print_cases};
use crate::validation::fabric::{self, CurvesFrom};

#[derive(Debug, Args)]
pub(super) struct FabricArgs {
    /// Files of cases (JSON of kind maxmin, rates, contention or scaling; CSV of collectives); default our data.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Measured times of collectives: a CSV file, or `none` for the law alone; default those of our data.
    #[arg(long, value_name = "FILE|none")]
    curves: Option<PathBuf>,
    #[command(flatten)]
    held: Held,
}

pub(super) fn validate(args: &FabricArgs, shared: &Path, common: &Common) -> Result<(), Failure> {
    let curves = match &args.curves {
        None => CurvesFrom::Shared,
        Some(word) if word.as_os_str() == "none" => CurvesFrom::Nowhere,
        Some(path) => CurvesFrom::File(path.clone()),
    };
    print_cases(&fabric::validate(&args.files, &curves, shared)?, &args.held, common)
}

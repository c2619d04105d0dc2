//! `windtunnel validate slurm`: recordings reproduced, side by side.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::super::Common;
use super::super::backstage::Failure;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::validation::slurm::{SlurmValidation, validate_slurm};

/// Runs of each experiment.
const SEEDS: u64 = 200;

/// Arguments of `validate slurm`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  windtunnel validate slurm ../shared/slurm-reference/S_static_builtin
  windtunnel validate slurm ../shared/slurm-reference/[A-G]_* --json --check")]
pub(super) struct SlurmArgs {
    /// Folders with slurm.conf, gres.conf, accounting.txt, jobs.csv, events.csv and observed*.csv.
    #[arg(required = true, value_name = "DIR")]
    dirs: Vec<PathBuf>,
    /// Runs of each experiment.
    #[arg(long, default_value_t = SEEDS, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    seeds: u64,
    /// Exit with 1 where a figure lies outside its tolerance.
    #[arg(long)]
    check: bool,
}

/// All recorded experiments, as the umbrella command runs them; `None` where there are none.
pub(super) fn recordings(shared: &Path) -> Result<Option<SlurmValidation>, Failure> {
    let dirs = crate::validation::slurm::recordings(shared);
    if dirs.is_empty() {
        return Ok(None);
    }
    let dirs: Vec<&Path> = dirs.iter().map(PathBuf::as_path).collect();
    validate_slurm(&dirs, SEEDS).map(Some).map_err(broken)
}

/// Fails where a figure lies outside its tolerance.
pub(super) fn check(found: &SlurmValidation) -> Result<(), Failure> {
    if found.passed() { Ok(()) } else { Err(outside(found)) }
}

fn broken(problems: Vec<Diagnostic>) -> Failure {
    let mut all = Diagnostics::default();
    all.extend(problems);
    Failure::Input(all)
}

pub(super) fn validate(args: &SlurmArgs, common: &Common) -> Result<(), Failure> {
    let dirs: Vec<&Path> = args.dirs.iter().map(PathBuf::as_path).collect();
    let found = validate_slurm(&dirs, args.seeds).map_err(broken)?;
    let mut out = io::stdout().lock();
    if common.json {
        writeln!(out, "{}", found.to_json().map_err(io::Error::from)?)?;
    } else {
        write!(out, "{}", found.to_text())?;
    }
    if args.check { check(&found) } else { Ok(()) }
}

fn outside(found: &SlurmValidation) -> Failure {
    let failing = found.experiments.iter().flat_map(|e| {
        e.checks.iter().filter(|c| !c.passed).map(|c| format!("{}: {}", e.name, c.what)).collect::<Vec<_>>()
    });
    let list = failing.collect::<Vec<_>>().join(", ");
    if list.is_empty() {
        return Failure::Inside(Diagnostic::error("W0521", "no experiment was run"));
    }
    Failure::Inside(Diagnostic::error("W0521", format!("outside the tolerance: {list}")))
}

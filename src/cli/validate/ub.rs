//! `windtunnel validate ub`: a loaded micro cluster, per-job medians beside those of a real controller.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::super::Common;
use super::super::backstage::Failure;
use super::{Held, absent, check};
use crate::validation::ub::{self, SEEDS, folder};
use crate::validation::{document, shared_folder};

/// Arguments of `validate ub`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  windtunnel validate ub
  windtunnel validate ub --dir ../shared/slurm-sites/ub_micro2 --json --check")]
pub(super) struct UbArgs {
    /// Folder with slurm.conf, gres.conf, topology.conf, sacctmgr.script, jobs500.csv and the recorded tables; default
    /// slurm-sites/ub_micro2 with the data of others.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Runs of ours.
    #[arg(long, default_value_t = SEEDS, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    seeds: u64,
    #[command(flatten)]
    held: Held,
}

pub(super) fn validate(args: &UbArgs, common: &Common) -> Result<(), Failure> {
    let dir = args.dir.clone().unwrap_or_else(|| folder(&shared_folder()));
    let (found, section) = ub::validate(&dir, args.seeds)?;
    let mut out = io::stdout().lock();
    if common.json {
        let found = found.ok_or_else(|| absent(&dir))?;
        writeln!(out, "{}", json!({ "ub": found.json() }))?;
    } else {
        write!(out, "{}", document::text(&section))?;
    }
    out.flush()?;
    if args.held.check { check(&[section]) } else { Ok(()) }
}

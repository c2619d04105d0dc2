//! `windtunnel compare SCENARIO`: designs side by side.

use std::path::PathBuf;

use clap::Args;

use super::Common;
use super::backstage::Failure;
use super::exports::ExportArgs;
use super::output::{Wish, parse_set, run_and_tell};
use crate::scenario;

/// Arguments of `compare`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  windtunnel compare scenarios/whole-gpus.toml
  windtunnel compare scenarios/whole-gpus.toml --set workload.scale.arrivals=1.4 --out results
  windtunnel compare site.toml --what-if bf_interval=60 --what-if partition.gpu.nodes=+4
  windtunnel compare site.toml --what-if 'bf_interval=60; priorityweightage=5000'")]
pub(super) struct CompareArgs {
    /// The scenario file.
    scenario: PathBuf,
    /// Changes a setting of the scenario: path=value.
    #[arg(long, value_name = "PATH=VALUE", value_parser = parse_set)]
    set: Vec<(String, String)>,
    /// Adds a design: the baseline under another option of Slurm (bf_interval=60), another slurm.conf (conf=FILE), or with
    /// more nodes (nodes=+4, partition.gpu.nodes=+4). Given again it adds another design; `;` joins changes of one.
    #[arg(long, value_name = "OPTION=VALUE", value_parser = parse_set)]
    what_if: Vec<(String, String)>,
    /// Seed of everything random.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Writes summary.json, jobs.csv, timeline.csv, ledger.csv, cost.csv, usage.csv, report.html, manifest.json here.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// A refused row, or a job that a design can never hold, makes the input invalid (exit 4).
    #[arg(long)]
    strict: bool,
    /// Checks every schedule with the independent referee.
    #[arg(long)]
    referee: bool,
    #[command(flatten)]
    exports: ExportArgs,
}

pub(super) fn compare(args: &CompareArgs, common: &Common) -> Result<(), Failure> {
    let mut sets = args.set.clone();
    sets.extend(args.seed.map(|seed| ("workload.seed".to_owned(), seed.to_string())));
    let scenario = scenario::load_what_if(&args.scenario, &sets, &args.what_if)?;
    let wish = Wish {
        out: args.out.clone(),
        strict: args.strict,
        referee: args.referee,
        exports: args.exports.clone(),
        ..Wish::default()
    };
    run_and_tell(scenario, &wish, common)
}

//! `windtunnel schema`: what scenario files and traces may say, and what result files hold.

use std::io::{self, Write};

use clap::Args;

use super::Common;
use super::backstage::Failure;
use crate::{report, scenario};

/// Arguments of `schema`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  windtunnel schema > scenario.schema.json
  windtunnel schema trace
  windtunnel schema jobs.csv")]
pub(super) struct SchemaArgs {
    /// scenario (JSON Schema); trace or a result file: every column or key with unit and definition.
    #[arg(default_value = "scenario", value_parser = ["scenario", "trace", "summary.json", "backtest.json", "jobs.csv", "timeline.csv", "ledger.csv", "cost.csv", "usage.csv"])]
    of: String,
}

pub(super) fn schema(args: &SchemaArgs, _: &Common) -> Result<(), Failure> {
    let schema = match args.of.as_str() {
        "scenario" => scenario::json_schema(),
        file => report::file_schema(file).expect("the parser knows the files"),
    };
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &schema).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(())
}

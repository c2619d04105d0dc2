//! `windtunnel catalog`: the built-in facts with their sources.

use std::io::{self, Write};

use clap::Args;
use serde_json::json;

use super::Common;
use super::backstage::Failure;
use crate::cluster::mig;
use crate::report::plain_table;
use crate::scenario::catalogue;

/// Arguments of `catalog`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  windtunnel catalog nodes
  windtunnel catalog prices --json")]
pub(super) struct CatalogArgs {
    /// Which part; default all.
    #[arg(value_parser = ["gpus", "mig", "nodes", "prices", "speedups", "classes"])]
    part: Option<String>,
}

pub(super) fn catalog(args: &CatalogArgs, common: &Common) -> Result<(), Failure> {
    let wanted = |part: &str| args.part.as_deref().is_none_or(|p| p == part);
    let mut out = io::stdout().lock();
    if common.json {
        let mut object = serde_json::Map::new();
        if wanted("gpus") {
            object.insert("gpus".to_owned(), json!(catalogue::gpus()));
        }
        if wanted("mig") {
            object.insert("mig".to_owned(), json!(mig::rows()));
        }
        if wanted("nodes") {
            object.insert("nodes".to_owned(), json!(catalogue::nodes()));
        }
        if wanted("prices") {
            object.insert("prices".to_owned(), json!(catalogue::prices()));
        }
        if wanted("speedups") {
            object.insert("speedups".to_owned(), json!(catalogue::speedup_mixes()));
        }
        if wanted("classes") {
            object.insert("classes".to_owned(), json!(catalogue::job_classes()));
        }
        serde_json::to_writer(&mut out, &object).map_err(io::Error::from)?;
        writeln!(out)?;
        return Ok(());
    }
    for (part, rows) in [
        ("gpus", json!(catalogue::gpus())),
        ("mig", json!(mig::rows())),
        ("nodes", json!(catalogue::nodes())),
        ("prices", json!(catalogue::prices())),
        ("speedups", json!(catalogue::speedup_mixes())),
        ("classes", json!(catalogue::job_classes())),
    ] {
        if wanted(part) {
            writeln!(out, "{part}\n{}", plain_table(&rows))?;
        }
    }
    Ok(())
}

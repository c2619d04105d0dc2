//! `windtunnel catalog`: the built-in facts with their sources.

use std::io::{self, Write};

use clap::Args;
use serde_json::json;

use super::Common;
use super::backstage::Failure;
use super::catalog_fabric::{self, FabricArgs};
use crate::cluster::mig;
use crate::report::plain_table;
use crate::scenario::catalogue::{self, fabrics, virtualization};
use crate::scheduler::{Capability, Family};

/// Arguments of `catalog`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  windtunnel catalog nodes
  windtunnel catalog prices --json
  windtunnel catalog fabric InfiniBand-NDR400 --nodes 128
  windtunnel catalog fabric n --scenario team.toml --dot | dot -Tsvg > n.svg")]
pub(super) struct CatalogArgs {
    /// Which part; default all.
    #[arg(value_parser = [
        "classes", "gpus", "interference", "mig", "nodes", "prices", "provisioning", "slice-laws", "speedups",
        "job-shares", "virtualization", "constraints", "contention", "fabrics", "host-noise", "reliability",
        "policies", "fabric",
    ])]
    part: Option<String>,
    #[command(flatten)]
    fabric: FabricArgs,
}

pub(super) fn catalog(args: &CatalogArgs, common: &Common) -> Result<(), Failure> {
    if args.part.as_deref() == Some("fabric") {
        return catalog_fabric::show(&args.fabric, common);
    }
    args.fabric.refuse_elsewhere()?;
    let wanted = |part: &str| args.part.as_deref().is_none_or(|p| p == part);
    let mut out = io::stdout().lock();
    let parts = [
        ("classes", json!(catalogue::job_classes())),
        ("gpus", json!(catalogue::gpus())),
        ("interference", json!(catalogue::interference())),
        ("mig", json!(mig::rows())),
        ("nodes", json!(catalogue::nodes())),
        ("prices", json!(catalogue::prices())),
        ("provisioning", json!(catalogue::provisioning())),
        ("slice-laws", json!(catalogue::slice_laws())),
        ("speedups", json!(catalogue::speedup_mixes())),
        ("job-shares", json!(virtualization::job_shares())),
        ("virtualization", json!(virtualization::virtualization())),
        ("constraints", json!(virtualization::constraints())),
        ("contention", json!(virtualization::contention())),
        ("fabrics", json!(fabrics::fabrics())),
        ("host-noise", json!(virtualization::host_noise())),
        ("reliability", json!(virtualization::reliability_rows())),
        ("policies", policies()),
    ];
    let chosen = parts.into_iter().filter(|(part, _)| wanted(part));
    if common.json {
        let object: serde_json::Map<String, serde_json::Value> =
            chosen.map(|(part, rows)| (part.to_owned(), rows)).collect();
        serde_json::to_writer(&mut out, &object).map_err(io::Error::from)?;
        writeln!(out)?;
        return Ok(());
    }
    for (part, rows) in chosen {
        writeln!(out, "{part}\n{}", plain_table(&rows))?;
    }
    Ok(())
}

/// Which policy knows what.
fn policies() -> serde_json::Value {
    let row = |(what, name)| {
        let mut row = serde_json::Map::new();
        row.insert("capability".to_owned(), json!(name));
        for family in Family::ALL {
            row.insert(family.key().to_owned(), json!(family.cell(what)));
        }
        serde_json::Value::Object(row)
    };
    Capability::ALL.into_iter().map(row).collect()
}

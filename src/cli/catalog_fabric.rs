//! `windtunnel catalog fabric`: the network that a preset or a scenario builds.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::Common;
use super::backstage::Failure;
use crate::diagnostic::{Diagnostic, nearest};
use crate::report::plain_table;
use crate::scenario::catalogue::fabrics;
use crate::scenario::{self, Scenario};
use crate::tenancy::Network;

/// Arguments of `catalog fabric`.
#[derive(Debug, Args)]
pub(super) struct FabricArgs {
    /// With `fabric`: a network of the scenario (`FABRIC` or `DESIGN.FABRIC`), else adapters of `catalog fabrics`, of which a fat
    /// tree of two levels is built.
    name: Option<String>,
    /// With `fabric`: the scenario that has the network.
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// With `fabric` and no scenario: nodes with eight adapters each.
    #[arg(long, value_name = "N", conflicts_with = "scenario")]
    nodes: Option<u32>,
    /// With `fabric`: the graph as Graphviz text.
    #[arg(long)]
    dot: bool,
}

/// Nodes of a preset, unless told otherwise: four leaves.
const NODES: u32 = 64;

impl FabricArgs {
    /// All of this is about `catalog fabric`.
    pub(super) fn refuse_elsewhere(&self) -> Result<(), Failure> {
        if self.name.is_none() && self.scenario.is_none() && self.nodes.is_none() && !self.dot {
            return Ok(());
        }
        let message = "a name, `--scenario`, `--nodes` and `--dot` belong to `windtunnel catalog fabric`";
        Err(wrong(message.to_owned(), "write `windtunnel catalog fabric NAME`".to_owned()))
    }
}

fn wrong(message: String, help: String) -> Failure {
    Failure::Usage(Diagnostic::error("W0319", message).help(help))
}

pub(super) fn show(args: &FabricArgs, common: &Common) -> Result<(), Failure> {
    let name = args.name.as_deref().ok_or_else(|| {
        let help =
            "write adapters of `windtunnel catalog fabrics`, or a fabric of a scenario with `--scenario`";
        wrong("which fabric is not written".to_owned(), help.to_owned())
    })?;
    let network = match &args.scenario {
        Some(path) => of_scenario(&scenario::load(path, &[])?, name)?,
        None => preset(name, args.nodes.unwrap_or(NODES))?,
    };
    let mut out = io::stdout().lock();
    if args.dot {
        write!(out, "{}", network.fabric().dot())?;
        return Ok(());
    }
    let outline = network.fabric().outline();
    let switches: Vec<serde_json::Value> =
        outline.switches.iter().map(|(level, count)| json!({ "level": level, "switches": count })).collect();
    let links = outline.links.iter().map(|row| {
        json!({
            "from": row.from, "to": row.to, "links": row.links, "cables": row.cables,
            "gb_s_in_all": row.bytes_per_s / 1e9,
        })
    });
    let links: Vec<serde_json::Value> = links.collect();
    let half = outline.half_to_half_bytes_s / 1e9;
    if common.json {
        let object = json!({ "fabric": {
            "nodes": outline.nodes, "nvlink_domains": outline.domains, "switches": switches, "links": links,
            "half_to_half_gb_s": half,
        }});
        serde_json::to_writer(&mut out, &object).map_err(io::Error::from)?;
        writeln!(out)?;
        return Ok(());
    }
    writeln!(out, "{} nodes, {} NVLink domains over nodes", outline.nodes, outline.domains)?;
    writeln!(out, "half of the nodes can send {half:.1} GB/s to the other half\n")?;
    writeln!(out, "{}\n", plain_table(&json!(switches)))?;
    writeln!(out, "{}", plain_table(&json!(links)))?;
    Ok(())
}

/// The network of a scenario that is called so.
fn of_scenario(scenario: &Scenario, name: &str) -> Result<Arc<Network>, Failure> {
    let all = scenario.designs.iter().flat_map(|design| {
        let networks = design.pools.iter().filter_map(|pool| pool.tenancy.network.as_ref());
        networks.map(|on| (design.name.as_str(), &on.network))
    });
    let found = all.clone().find(|(design, network)| {
        network.name() == name || name.split_once('.') == Some((*design, network.name()))
    });
    found.map(|(_, network)| Arc::clone(network)).ok_or_else(|| {
        let known: Vec<String> =
            all.map(|(design, network)| format!("{design}.{}", network.name())).collect();
        let help = match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("write {near}"),
            None if known.is_empty() => "no pool of the scenario has a `fabric`".to_owned(),
            None => format!("one of: {}", known.join(", ")),
        };
        wrong(format!("the scenario has no fabric `{name}` with pools on it"), help)
    })
}

/// A fat tree of two levels with these adapters, as a scenario would build it that says no more.
fn preset(name: &str, nodes: u32) -> Result<Arc<Network>, Failure> {
    if fabrics::fabric(name).and_then(|row| row.between(1.0)).is_none() {
        let known = fabrics::fabrics().iter().filter(|row| row.between(1.0).is_some());
        let known: Vec<&str> = known.map(|row| row.fabric.as_str()).collect();
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("write {near}"),
            None => format!("one of: {}; or a fabric of a scenario with `--scenario`", known.join(", ")),
        };
        return Err(wrong(format!("no adapters are called `{name}`"), help));
    }
    let text = format!(
        "[workload.generate.research]\njobs = 1\n[policy.fcfs]\n[design.preset.fabric.preset]\ntopology = \"fat-tree\"\n\
         nic = \"{name}\"\n[design.preset.pool.node]\nnode = \"dgx-h100\"\ncount = {nodes}\nfabric = \"preset\"\n"
    );
    of_scenario(&scenario::load_text("preset", text, Path::new(""), &[])?, "preset")
}

//! `gres.conf` against the devices that `slurm.conf` counts: those decide here, and slurmctld takes a node out of
//! service whose gres.conf names fewer.

use std::collections::BTreeMap;

use super::coverage::{Coverage, Treatment};
use super::hostlist::expand_hosts;
use super::lines::{Line, Pair};
use super::names::NodeNames;
use super::nodes::hosts_of;
use super::values;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::scheduler::slurm::config::SlurmConfig;

/// Tells types and nodes that `slurm.conf` does not know, and nodes with fewer devices than it counts.
pub(super) fn check(
    lines: &[Line],
    names: &NodeNames,
    config: &SlurmConfig,
    coverage: &mut Coverage,
    diagnostics: &mut Diagnostics,
) {
    let mut found: BTreeMap<usize, (u64, &Pair)> = BTreeMap::new();
    let mut is_detected = false;
    for line in lines {
        for pair in &line.pairs {
            coverage.note(pair, treatment(&pair.key));
        }
        is_detected |= line.get("AutoDetect").is_some_and(|how| !how.value.eq_ignore_ascii_case("off"));
        let nodes = nodes_of(line, names, diagnostics);
        if line.get("Name").is_none_or(|name| name.value != "gpu") {
            continue;
        }
        if let Some(kind) = line.get("Type").filter(|kind| config.find_device_type(&kind.value).is_none()) {
            let message = format!("type {} has no count in any Gres= of slurm.conf", kind.value);
            let told = Diagnostic::warning("W0510", message).at(kind.place());
            diagnostics.push(
                told.help("write Gres=gpu:TYPE:COUNT for its nodes in slurm.conf, or leave the line out"),
            );
        }
        // a line without nodes may be that of any node: its counts say nothing of one
        for node in nodes {
            let known = found.entry(node).or_insert((0, &line.pairs[0]));
            known.0 += devices(line, diagnostics);
        }
    }
    if is_detected {
        return;
    }
    for (node, (count, pair)) in found {
        let counted: u64 = config.nodes[node].gres.iter().map(|gres| u64::from(gres.count)).sum();
        if count < counted {
            let name = &config.nodes[node].name;
            let message = format!("node {name} has {counted} GPUs in slurm.conf and {count} in gres.conf");
            let told = Diagnostic::warning("W0510", message).at(pair.place());
            diagnostics.push(
                told.because("slurmctld takes such a node out of service; here it has all of them")
                    .help("write the same number in both files"),
            );
        }
    }
}

/// The nodes that a line names, as far as they exist.
fn nodes_of(line: &Line, names: &NodeNames, diagnostics: &mut Diagnostics) -> Vec<usize> {
    let Some(pair) = line.get("NodeName") else { return Vec::new() };
    let mut nodes = Vec::new();
    for host in hosts_of(pair, diagnostics).unwrap_or_default() {
        match names.find(&host) {
            Some(at) => nodes.extend(at),
            None => {
                let message =
                    format!("gres.conf names node {host}, which no NodeName line of slurm.conf defines");
                diagnostics
                    .push(names.suggest(Diagnostic::warning("W0511", message).at(pair.place()), &host));
            }
        }
    }
    nodes
}

/// How many devices a line names: its count, or its files.
fn devices(line: &Line, diagnostics: &mut Diagnostics) -> u64 {
    let Some(count) = line.get("Count") else {
        let files = line.get("File").and_then(|file| expand_hosts(&file.value).ok());
        return files.map_or(0, |files| files.len() as u64);
    };
    values::amount(&count.value).unwrap_or_else(|()| {
        let message = format!("`{}` is no number of devices", count.value);
        let told = Diagnostic::warning("W0507", message).at(count.place());
        diagnostics.push(told.help("write Count=4, or leave it out where File names the devices"));
        0
    })
}

fn treatment(key: &str) -> Treatment {
    match key.to_ascii_lowercase().as_str() {
        "name" | "type" | "nodename" => Treatment::Honoured,
        "file" | "count" | "autodetect" | "flags" | "multiplefiles" => {
            Treatment::Ignored("devices are counted by Gres= of slurm.conf, numbered in its order")
        }
        "cores" | "cpus" | "links" => {
            Treatment::Approximated("locality of devices is not used in the choice")
        }
        _ => Treatment::NotYet("unknown to this version"),
    }
}

//! `topology.conf`: the switches of `topology/tree`. Of every other plugin it is told that nothing of it is used.

use std::collections::BTreeMap;
use std::path::Path;

use super::coverage::{Coverage, Treatment};
use super::lines::{Line, Pair};
use super::names::NodeNames;
use super::{expand_hosts, lines};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::scheduler::slurm::NodeSet;
use crate::scheduler::slurm::config::{SlurmConfig, Tree};

/// Words of `TopologyParam` that change the rule in a way that is not modelled.
const OTHER_RULES: [&str; 2] = ["dragonfly", "topooptional"];

pub(super) fn read(
    path: &Path,
    names: &NodeNames,
    config: &mut SlurmConfig,
    coverage: &mut Coverage,
    diagnostics: &mut Diagnostics,
) {
    let lines = match lines::read(path, diagnostics) {
        Ok(lines) => lines,
        Err(problem) => return diagnostics.push(*problem),
    };
    let said = |option: &str| coverage.find(option).map(|(value, _)| value.to_ascii_lowercase());
    let other_rule = said("topologyparam").is_some_and(|value| OTHER_RULES.iter().any(|w| value.contains(w)));
    let is_tree = said("topologyplugin").as_deref() == Some("topology/tree") && !other_rule;
    for pair in lines.iter().flat_map(|line| &line.pairs) {
        let treatment = match pair.key.to_ascii_lowercase().as_str() {
            "linkspeed" => Treatment::Ignored("slurmctld does not use it either"),
            "switchname" | "switches" | "nodes" if is_tree => Treatment::Honoured,
            _ => Treatment::NotYet("only topology/tree is used, without dragonfly and TopoOptional"),
        };
        coverage.note(pair, treatment);
    }
    let switches: Vec<&Line> = lines.iter().filter(|line| line.pairs[0].is("SwitchName")).collect();
    let mut positions: BTreeMap<String, usize> = BTreeMap::new();
    for (at, line) in switches.iter().enumerate() {
        if positions.insert(line.pairs[0].value.clone(), at).is_some() {
            let message = format!("the switch {} is defined twice", line.pairs[0].value);
            let told = Diagnostic::error("W0532", message).at(line.pairs[0].place());
            diagnostics.push(told.help("give every switch one line"));
            return;
        }
    }
    let rows = switches.iter().map(|line| {
        let nodes = nodes_of(line, names, config, diagnostics);
        let below = switches_of(line, &positions, diagnostics);
        (line.pairs[0].value.clone(), nodes, below)
    });
    let rows: Vec<(String, NodeSet, Vec<usize>)> = rows.collect();
    match Tree::new(rows) {
        Ok(tree) if is_tree && !switches.is_empty() => {
            tell_of_lonely(&tree, config, &switches[0].pairs[0], diagnostics);
            coverage.treat("TopologyPlugin", Treatment::Honoured);
            config.topology = Some(tree);
        }
        Ok(_) => {}
        Err(at) => {
            let pair = &switches[at].pairs[0];
            let message = format!("the switch {} stands below itself, or below two switches", pair.value);
            let told = Diagnostic::error("W0532", message).at(pair.place());
            diagnostics.push(told.help("a tree has one switch above each, and none above the highest"));
        }
    }
}

fn hosts_of(pair: &Pair, diagnostics: &mut Diagnostics) -> Vec<String> {
    match expand_hosts(&pair.value) {
        Ok(hosts) => hosts,
        Err(why) => {
            let told = Diagnostic::error("W0505", format!("`{}`: {why}", pair.value)).at(pair.place());
            diagnostics.push(told.help("write ranges as n[01-16,20]"));
            Vec::new()
        }
    }
}

/// The nodes at a switch; slurmctld warns of unknown ones and goes on.
fn nodes_of(line: &Line, names: &NodeNames, config: &SlurmConfig, diagnostics: &mut Diagnostics) -> NodeSet {
    let mut nodes = config.no_nodes();
    let Some(pair) = line.get("Nodes") else { return nodes };
    if pair.value.eq_ignore_ascii_case("ALL") {
        nodes.insert_range(..);
        return nodes;
    }
    if pair.value.eq_ignore_ascii_case("none") {
        return nodes;
    }
    for host in hosts_of(pair, diagnostics) {
        match names.find(&host) {
            Some(at) => nodes.extend(at),
            None => {
                let message = format!("a switch names node {host}, which no NodeName line defines");
                let told = Diagnostic::warning("W0511", message).at(pair.place());
                diagnostics.push(names.suggest(told, &host));
            }
        }
    }
    nodes
}

fn switches_of(line: &Line, known: &BTreeMap<String, usize>, diagnostics: &mut Diagnostics) -> Vec<usize> {
    let Some(pair) = line.get("Switches") else { return Vec::new() };
    let mut below = Vec::new();
    for name in hosts_of(pair, diagnostics) {
        match known.get(&name) {
            Some(at) => below.push(*at),
            None => {
                let message = format!("no line defines the switch {name}");
                let told = Diagnostic::error("W0532", message).at(pair.place());
                diagnostics.push(told.help("define it in a SwitchName line, or leave it out"));
            }
        }
    }
    below
}

/// Nodes below no switch never get a job.
fn tell_of_lonely(tree: &Tree, config: &SlurmConfig, pair: &Pair, diagnostics: &mut Diagnostics) {
    let lonely = (0..config.nodes.len()).filter(|n| !tree.switches().iter().any(|s| s.nodes.contains(*n)));
    let (first, more) = {
        let mut lonely = lonely;
        (lonely.next(), lonely.count())
    };
    let Some(first) = first else { return };
    let and_more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message =
        format!("no switch leads to node {}{and_more}: no job starts there", config.nodes[first].name);
    let told = Diagnostic::warning("W0511", message).at(pair.place());
    diagnostics.push(told.help("put it at a switch"));
}

//! Trees of switches by name, as topology.conf describes them.

use std::collections::BTreeMap;

use super::builders::{Branch, FabricSpec, SwitchSpec, tree};
use super::graph::Fabric;
use crate::diagnostic::{Diagnostic, nearest};

/// The tree of these switches.
///
/// # Errors
/// Names that are not known, a switch or node in two places, circles, nodes that hang nowhere, two trees.
pub(super) fn by_name(
    spec: &FabricSpec,
    switches: &[SwitchSpec],
    oversubscription: f64,
    core_oversubscription: f64,
) -> Result<Fabric, Box<Diagnostic>> {
    let parents = parents(switches)?;
    let levels = levels(switches, &parents)?;
    let leaf_of = seats(spec, switches)?;
    let branches: Vec<Branch> = switches
        .iter()
        .enumerate()
        .map(|(at, switch)| {
            let above = if levels[at] > 1 { core_oversubscription } else { 1.0 };
            let (name, parent, level) = (switch.name.clone(), parents[at], levels[at]);
            Branch {
                name,
                parent,
                level,
                oversubscription: oversubscription * above,
                uplinks: None,
                rails: 1,
            }
        })
        .collect();
    one_root(switches, &branches, &leaf_of)?;
    Ok(tree(spec, &branches, &leaf_of))
}

fn parents(switches: &[SwitchSpec]) -> Result<Vec<Option<usize>>, Box<Diagnostic>> {
    let mut numbers = BTreeMap::new();
    for (at, switch) in switches.iter().enumerate() {
        if numbers.insert(switch.name.as_str(), at).is_some() {
            let message = format!("switch {} is described twice", switch.name);
            return Err(told("W0603", message, switch, "leave one of the lines out"));
        }
    }
    let mut parents: Vec<Option<usize>> = vec![None; switches.len()];
    for (at, switch) in switches.iter().enumerate() {
        for child in &switch.switches {
            let Some(&number) = numbers.get(child.as_str()) else {
                let near = nearest(child, numbers.keys().copied());
                let help = near
                    .map_or("describe it in a line of its own".to_owned(), |n| format!("did you mean {n}?"));
                let message = format!("switch {} names switch {child}, which no line describes", switch.name);
                return Err(told("W0602", message, switch, help));
            };
            if let Some(other) = parents[number] {
                let message =
                    format!("switch {child} hangs under {} and {}", switches[other].name, switch.name);
                return Err(told(
                    "W0603",
                    message,
                    switch,
                    "a tree has one switch above each: name it in one line",
                ));
            }
            parents[number] = Some(at);
        }
    }
    Ok(parents)
}

/// Steps from the farthest leaf, from 1. Whoever is not reached stands in a circle.
fn levels(switches: &[SwitchSpec], parents: &[Option<usize>]) -> Result<Vec<u8>, Box<Diagnostic>> {
    let mut levels = vec![0u8; switches.len()];
    for (at, switch) in switches.iter().enumerate() {
        // A chain is no longer than there are switches.
        let mut chain = std::iter::successors(Some(at), |at| parents[*at]).take(switches.len() + 1);
        if chain.clone().count() > switches.len() {
            let message = format!("switch {} hangs under itself", switch.name);
            return Err(told(
                "W0603",
                message,
                switch,
                "take one of the switches of the circle out of `Switches=`",
            ));
        }
        if switch.switches.is_empty() {
            let level = (1u8..=u8::MAX).zip(&mut chain);
            level.for_each(|(level, at)| levels[at] = levels[at].max(level));
        }
    }
    Ok(levels)
}

/// The switch of each node.
fn seats(spec: &FabricSpec, switches: &[SwitchSpec]) -> Result<Vec<usize>, Box<Diagnostic>> {
    let numbers: BTreeMap<&str, usize> =
        spec.nodes.iter().enumerate().map(|(at, node)| (node.name.as_str(), at)).collect();
    let mut seats: Vec<Option<usize>> = vec![None; spec.nodes.len()];
    for (at, switch) in switches.iter().enumerate() {
        for name in &switch.nodes {
            let Some(&node) = numbers.get(name.as_str()) else {
                let near = nearest(name, numbers.keys().copied());
                let help = near.map_or("leave it out, or add the node".to_owned(), |near| {
                    format!("did you mean {near}?")
                });
                let message =
                    format!("switch {} names node {name}, which the design does not have", switch.name);
                return Err(told("W0602", message, switch, help));
            };
            if let Some(other) = seats[node] {
                let message = format!("node {name} hangs on {} and {}", switches[other].name, switch.name);
                return Err(told("W0603", message, switch, "name each node in one line"));
            }
            seats[node] = Some(at);
        }
    }
    let place = |at: usize| {
        seats[at].ok_or_else(|| {
            let message = format!("node {} hangs on no switch", spec.nodes[at].name);
            Box::new(Diagnostic::error("W0602", message).help("name it in `Nodes=` of a switch"))
        })
    };
    (0..spec.nodes.len()).map(place).collect()
}

/// Every node must reach every other.
fn one_root(switches: &[SwitchSpec], branches: &[Branch], leaf_of: &[usize]) -> Result<(), Box<Diagnostic>> {
    let root = |leaf: usize| std::iter::successors(Some(leaf), |at| branches[*at].parent).last();
    let Some(first) = leaf_of.first().map(|leaf| root(*leaf)) else { return Ok(()) };
    match leaf_of.iter().find(|leaf| root(**leaf) != first) {
        Some(leaf) => {
            let message =
                format!("nodes of switch {} do not reach those of other switches", switches[*leaf].name);
            Err(told("W0602", message, &switches[*leaf], "add a switch above both"))
        }
        None => Ok(()),
    }
}

fn told(
    code: &'static str,
    message: String,
    switch: &SwitchSpec,
    help: impl Into<String>,
) -> Box<Diagnostic> {
    Box::new(Diagnostic::error(code, message).at(switch.place.clone()).help(help))
}

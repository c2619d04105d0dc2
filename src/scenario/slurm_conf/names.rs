//! Nodes by their names, and the sets of nodes that partitions name.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::hostlist::expand_hosts;
use super::lines::Line;
use super::nodes::hosts_of;
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::scheduler::slurm::NodeSet;
use crate::scheduler::slurm::config::SlurmConfig;

/// Where each node stands in the configuration. Looked up by name, because a site has 100,000 of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NodeNames {
    /// `None`: a node of `State=FUTURE`, which does not exist yet.
    places: FxHashMap<Arc<str>, Option<usize>>,
    /// All names, in the order of the file.
    all: Vec<Arc<str>>,
    /// Names by place. Ranges name nodes in the order of the file, so the next one is looked at first.
    in_order: Vec<Arc<str>>,
    next: Cell<usize>,
    suggested: Cell<u32>,
}

/// A likely name is looked for so many times: each look goes through all names.
const SUGGESTIONS: u32 = 8;

impl NodeNames {
    /// Adds a node; false if the name was there.
    pub(super) fn add(&mut self, name: &str, at: Option<usize>) -> bool {
        let name: Arc<str> = name.into();
        let is_new = self.places.insert(Arc::clone(&name), at).is_none();
        self.all.push(Arc::clone(&name));
        if at == Some(self.in_order.len()) {
            self.in_order.push(name);
        }
        is_new
    }

    /// Moves the nodes of `config`, which are those of these names, into the order of slurmctld's table: by name, numbers
    /// in it as numbers. It sorts them so in every version, whatever the order of the file, and looks at them in that
    /// order ever after: who is the first of two equal nodes depends on it.
    pub(super) fn sort(&mut self, config: &mut SlurmConfig) {
        if config.nodes.is_sorted_by(|a, b| natord::compare(&a.name, &b.name).is_le()) {
            return;
        }
        config.nodes.sort_by(|a, b| natord::compare(&a.name, &b.name));
        self.in_order.sort_by(|a, b| natord::compare(a, b));
        for (at, name) in self.in_order.iter().enumerate() {
            self.places.insert(Arc::clone(name), Some(at));
        }
    }

    /// The node of that name; `Some(None)` where it is of the future.
    pub(super) fn find(&self, name: &str) -> Option<Option<usize>> {
        let next = self.next.get();
        if self.in_order.get(next).is_some_and(|known| **known == *name) {
            self.next.set(next + 1);
            return Some(Some(next));
        }
        let found = self.places.get(name).copied()?;
        if let Some(at) = found {
            self.next.set(at + 1);
        }
        Some(found)
    }

    /// Adds the cure for an unknown node to what is told about it.
    pub(super) fn suggest(&self, told: Diagnostic, name: &str) -> Diagnostic {
        if self.suggested.get() >= SUGGESTIONS {
            return told.help("define it in a NodeName line, or leave it out");
        }
        self.suggested.set(self.suggested.get() + 1);
        match nearest(name, self.all.iter().map(|name| &**name)) {
            Some(near) => told.help(format!("did you mean {near}?")),
            None => told.help("define it in a NodeName line, or leave it out"),
        }
    }
}

/// `NodeSet` lines: by names, by feature, or both together.
pub(super) struct NodeSets {
    sets: BTreeMap<String, NodeSet>,
    /// What expressions of partitions stand for: many partitions of a site name the same nodes.
    read: BTreeMap<String, NodeSet>,
}

impl NodeSets {
    /// Reads all sets. A set may name sets that are defined further down, as in slurmctld, which goes through
    /// them once, in the order of the file.
    pub(super) fn read(
        lines: &[Line],
        names: &NodeNames,
        config: &SlurmConfig,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut sets: BTreeMap<String, NodeSet> = BTreeMap::new();
        let of_sets: Vec<&Line> = lines.iter().filter(|line| line.pairs[0].is("NodeSet")).collect();
        // the nodes of each feature that a set names, found in one walk
        let wanted = of_sets.iter().filter_map(|line| line.get("Feature"));
        let mut having: BTreeMap<&str, NodeSet> =
            wanted.map(|feature| (feature.value.as_str(), config.no_nodes())).collect();
        for (at, node) in config.nodes.iter().enumerate().take(if having.is_empty() { 0 } else { usize::MAX })
        {
            for feature in &node.features {
                if let Some(nodes) = having.get_mut(feature.as_str()) {
                    nodes.insert(at);
                }
            }
        }
        for line in of_sets.into_iter().rev() {
            let mut members = config.no_nodes();
            if let Some(having) = line.get("Feature").and_then(|feature| having.get(feature.value.as_str())) {
                members.union_with(having);
            }
            if let Some(pair) = line.get("Nodes") {
                if pair.value.eq_ignore_ascii_case("ALL") {
                    members.insert_range(..);
                } else if let Some(hosts) = hosts_of(pair, diagnostics) {
                    for host in &hosts {
                        match (sets.get(host), names.find(host)) {
                            (Some(others), _) => members.union_with(others),
                            (None, Some(at)) => members.extend(at),
                            (None, None) => {
                                let message = format!(
                                    "node set {} names node {host}, which no NodeName line defines",
                                    line.pairs[0].value
                                );
                                let told = Diagnostic::error("W0511", message).at(pair.place());
                                diagnostics.push(names.suggest(told, host));
                            }
                        }
                    }
                }
            }
            for name in expand_hosts(&line.pairs[0].value).unwrap_or_default() {
                sets.entry(name).or_insert_with(|| config.no_nodes()).union_with(&members);
            }
        }
        Self { sets, read: BTreeMap::new() }
    }

    /// The nodes that an expression was found to stand for.
    pub(super) fn known(&self, expression: &str) -> Option<&NodeSet> {
        self.read.get(expression)
    }

    /// Remembers what an expression stands for.
    pub(super) fn remember(&mut self, expression: &str, nodes: &NodeSet) {
        self.read.insert(expression.to_owned(), nodes.clone());
    }

    /// The nodes of a set.
    pub(super) fn find(&self, name: &str) -> Option<&NodeSet> {
        self.sets.get(name)
    }
}

//! `topology/tree` under `select/cons_res`, which Slurm had until 23.02: the tightest switch, by CPUs.
//!
//! 1. All nodes lie below one switch that has enough feasible nodes and CPUs: of the lowest such switches the one with the
//!    fewest feasible nodes, the first in `topology.conf` on ties.
//! 2. Below it leaf by leaf: of those that hold the rest the one with the fewest CPUs, if there is none the one with the most.
//! 3. On a leaf node by node: of those with enough CPUs for the rest the one with the fewest, if there is none the one with
//!    the most, the first on ties.
//!
//! CPUs of a node are those that the job could use there: with `--ntasks-per-node` no more than its tasks need. Distances
//! between leaves do not matter. Read in the source of 20.02; recorded: ../shared/slurm-sites/ub_micro2 (all runs of a
//! controller of 20.02).

use super::{Leaves, Need};
use crate::scheduler::slurm::job::Ask;

/// A switch as far as nodes are not taken yet.
struct Below {
    /// Feasible nodes and their CPUs, by index.
    nodes: Vec<(usize, u64)>,
    /// All their CPUs.
    cpus: u64,
}

impl Leaves<'_> {
    /// The nodes of a job under `select/cons_res`.
    pub(super) fn choose_tightest(&self, ask: &Ask, feasible: &[(usize, u64)]) -> Option<Vec<usize>> {
        let usable =
            |cpus: u64| if ask.fixed_per_node { cpus.min(u64::from(ask.cpus_per_node)) } else { cpus };
        let switches = self.tree.switches();
        let below = |at: usize| {
            let here = feasible.iter().filter(|(node, _)| switches[at].nodes.contains(*node));
            let nodes: Vec<(usize, u64)> = here.map(|(node, cpus)| (*node, usable(*cpus))).collect();
            Below { cpus: nodes.iter().map(|(_, cpus)| cpus).sum(), nodes }
        };
        let mut need = Need::of(ask);
        let holds = |need: &Need, switch: &Below| {
            switch.cpus >= need.cpus && switch.nodes.len() as u64 >= u64::from(need.nodes)
        };
        let enough = (0..switches.len()).filter(|at| holds(&need, &below(*at)));
        let top = enough.min_by_key(|at| (switches[*at].level, below(*at).nodes.len()))?;
        let is_below =
            |at: &usize| switches[*at].level == 0 && switches[*at].nodes.is_subset(&switches[top].nodes);
        let mut leaves: Vec<Below> = (0..switches.len()).filter(is_below).map(below).collect();
        leaves.retain(|leaf| !leaf.nodes.is_empty());
        let mut used = 0;
        while !need.met() && !need.full() && !leaves.is_empty() {
            let best = tightest(leaves.iter().map(|leaf| (holds(&need, leaf), leaf.cpus)));
            let mut leaf = leaves.remove(best);
            used += 1;
            while !need.met() && !need.full() && !leaf.nodes.is_empty() {
                let best = tightest(leaf.nodes.iter().map(|(_, cpus)| (*cpus >= need.cpus, *cpus)));
                need.take(ask, leaf.nodes.remove(best));
            }
        }
        let is_spread = self.most.is_some_and(|most| used > most);
        (need.met() && !is_spread).then_some(need.picked)
    }
}

/// The first of the smallest that suffice; if none does, the first of the largest.
fn tightest(of: impl Iterator<Item = (bool, u64)>) -> usize {
    let mut best: Option<(usize, bool, u64)> = None;
    for (at, (suffices, size)) in of.enumerate() {
        let better = best.is_none_or(|(_, did, smallest)| match (suffices, did) {
            (true, false) => true,
            (true, true) => size < smallest,
            (false, false) => size > smallest,
            (false, true) => false,
        });
        if better {
            best = Some((at, suffices, size));
        }
    }
    best.expect("there is one").0
}

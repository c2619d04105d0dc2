//! `topology/tree`: which nodes, by leaves.
//!
//! All nodes lie below one switch: of those with enough feasible nodes and CPUs below them the highest, with the lightest
//! nodes. Lighter nodes are taken before heavier ones are looked at. While nodes are missing one leaf is taken and its nodes
//! in index order. Leaves are compared in the order of `topology.conf`; a later one replaces the best so far if it is
//! nearer to the leaves taken and suits (before 24.05.3: no worse), or as near and better. Better is who holds what is
//! missing; of two that do the smaller; of two that do not, the one whose switches above are better.
//!
//! Recorded: ../shared/slurm-reference (T), ../shared/slurm-reference-newer (N1_tree); read in the sources of 22.05.8 and
//! 24.11.5. Not modelled: dragonfly, required nodes.

use std::cmp::Ordering;

use super::{Need, Placement};
use crate::scheduler::slurm::NodeSet;
use crate::scheduler::slurm::config::Tree;
use crate::scheduler::slurm::job::Ask;

/// The rule of leaves, bound to a site.
#[derive(Clone, Copy, Debug)]
pub struct Leaves<'c> {
    /// The switches.
    pub tree: &'c Tree,
    /// A nearer leaf must hold the rest, and switches count what is taken below them (since 24.05.3).
    pub holds_rest: bool,
    /// `select/cons_res`: the tightest switch by CPUs, instead of this file's rule.
    pub is_tightest: bool,
    /// The job's nodes may be on so many leaves at most (`--switches`, until it has waited long enough).
    pub most: Option<u32>,
}

/// Feasible nodes and their CPUs below every switch.
struct Counts {
    nodes: Vec<usize>,
    cpus: Vec<u64>,
}

impl Leaves<'_> {
    pub(super) fn choose(
        &self,
        rule: &Placement<'_>,
        ask: &Ask,
        feasible: &[(usize, u64)],
    ) -> Option<Vec<usize>> {
        let mut by_weight: Vec<(usize, u64)> = feasible.to_vec();
        by_weight.sort_by_key(|(node, _)| rule.hardware[*node].weight);
        let top = self.top(rule, ask, &by_weight)?;
        by_weight.retain(|(node, _)| self.tree.switches()[top].nodes.contains(*node));
        let weight_of = |(node, _): &(usize, u64)| rule.hardware[*node].weight;
        let (mut nodes, mut cpus, mut lighter) = (0, 0, 0);
        let mut known = 0;
        for group in by_weight.chunk_by(|a, b| weight_of(a) == weight_of(b)) {
            lighter = known;
            known += group.len();
            nodes += group.len() as u64;
            cpus += group.iter().map(|(_, cpus)| cpus).sum::<u64>();
            if nodes >= u64::from(ask.min_nodes) && cpus >= u64::from(ask.cpus) {
                break;
            }
        }
        if nodes < u64::from(ask.min_nodes) || cpus < u64::from(ask.cpus) {
            return None;
        }
        let mut left = by_weight[..known].to_vec();
        let picked = self.take(ask, &mut left, lighter)?;
        let spread = self.most.is_some_and(|most| self.tree.leaves_of(&picked) > most as usize);
        (!spread).then_some(picked)
    }

    /// The switch below which all nodes are chosen.
    fn top(&self, rule: &Placement<'_>, ask: &Ask, feasible: &[(usize, u64)]) -> Option<usize> {
        let mut top: Option<(usize, u32, u32)> = None;
        for (at, switch) in self.tree.switches().iter().enumerate() {
            let below = || feasible.iter().filter(|(node, _)| switch.nodes.contains(*node));
            let (nodes, cpus) = below().fold((0u64, 0), |(nodes, sum), (_, cpus)| (nodes + 1, sum + cpus));
            if nodes < u64::from(ask.min_nodes) || cpus < u64::from(ask.cpus) {
                continue;
            }
            let weight = below().map(|(node, _)| rule.hardware[*node].weight).min()?;
            if top.is_none_or(|(_, level, lightest)| switch.level >= level && weight <= lightest) {
                top = Some((at, switch.level, weight));
            }
        }
        top.map(|(at, _, _)| at)
    }

    /// Takes the first `lighter` nodes, then others on their leaves, then leaf by leaf.
    fn take(&self, ask: &Ask, left: &mut Vec<(usize, u64)>, lighter: usize) -> Option<Vec<usize>> {
        let mut need = Need::of(ask);
        let mut counts = self.counts(left);
        let mut distance: Vec<Option<u64>> = vec![Some(0); self.tree.switches().len()];
        let mut first: Vec<(usize, u64)> = left.drain(..lighter).collect();
        first.sort_unstable();
        for node in &first {
            if !need.full() {
                need.take(ask, *node);
            }
        }
        left.sort_unstable();
        let taken: Vec<usize> = first.iter().map(|(node, _)| *node).collect();
        let on = |nodes: &NodeSet| taken.iter().any(|node| nodes.contains(*node));
        let switches = self.tree.switches();
        let required: Vec<usize> = (0..switches.len()).filter(|at| on(&switches[*at].nodes)).collect();
        for at in required.iter().filter(|at| switches[**at].level == 0) {
            self.empty(ask, *at, left, &mut need, &mut counts);
        }
        required.iter().for_each(|at| self.go_from(*at, &mut distance));
        while !need.met() && !need.full() {
            let best = self.best_leaf(&need, &counts, &distance, &required)?;
            self.go_from(best, &mut distance);
            self.empty(ask, best, left, &mut need, &mut counts);
        }
        need.met().then_some(need.picked)
    }

    fn counts(&self, feasible: &[(usize, u64)]) -> Counts {
        let below = |nodes: &NodeSet| {
            let here = feasible.iter().filter(|(node, _)| nodes.contains(*node));
            here.fold((0, 0), |(nodes, sum), (_, cpus)| (nodes + 1, sum + cpus))
        };
        let (nodes, cpus) = self.tree.switches().iter().map(|switch| below(&switch.nodes)).unzip();
        Counts { nodes, cpus }
    }

    /// Takes the nodes of a leaf in index order, until the job is served; the leaf counts for nothing then.
    fn empty(
        &self,
        ask: &Ask,
        leaf: usize,
        left: &mut Vec<(usize, u64)>,
        need: &mut Need,
        counts: &mut Counts,
    ) {
        let nodes = &self.tree.switches()[leaf].nodes;
        left.retain(|node| {
            let takes = nodes.contains(node.0) && !need.met() && !need.full();
            if takes {
                need.take(ask, *node);
            }
            !takes
        });
        if self.holds_rest {
            let taken = counts.nodes[leaf];
            let mut above = Some(leaf);
            while let Some(at) = above {
                counts.nodes[at] = counts.nodes[at].saturating_sub(taken);
                above = self.tree.switches()[at].parent;
            }
        }
        counts.nodes[leaf] = 0;
    }

    fn go_from(&self, from: usize, distance: &mut [Option<u64>]) {
        for (at, far) in distance.iter_mut().enumerate() {
            *far = far.zip(self.tree.hops(from, at)).map(|(far, hops)| far + u64::from(hops));
        }
    }

    fn best_leaf(
        &self,
        need: &Need,
        counts: &Counts,
        distance: &[Option<u64>],
        required: &[usize],
    ) -> Option<usize> {
        let mut best: Option<(usize, u64)> = None;
        for (at, switch) in self.tree.switches().iter().enumerate() {
            let (0, Some(far)) = (switch.level, distance[at]) else { continue };
            if counts.nodes[at] == 0 || required.contains(&at) {
                continue;
            }
            let better = best.is_none_or(|(other, nearest)| {
                let (order, holds) = self.compare(need, counts, at, other);
                let suits = if self.holds_rest { holds } else { order != Ordering::Less };
                (far < nearest && suits) || (far == nearest && order == Ordering::Greater)
            });
            if better {
                best = Some((at, far));
            }
        }
        best.map(|(at, _)| at)
    }

    /// Whether switch `i` suits better than `j`; and whether the one compared last holds what is missing.
    fn compare(&self, need: &Need, counts: &Counts, mut i: usize, mut j: usize) -> (Ordering, bool) {
        let holds = |at: usize| {
            let cpus = !self.holds_rest || counts.cpus[at] >= need.cpus;
            counts.nodes[at] as u64 >= u64::from(need.nodes) && cpus
        };
        let switches = self.tree.switches();
        let (fewer, level) = loop {
            let fits = (holds(i), holds(j));
            match fits {
                (true, true) if counts.nodes[i] != counts.nodes[j] => {
                    return (counts.nodes[j].cmp(&counts.nodes[i]), true);
                }
                (true, false) => return (Ordering::Greater, true),
                (false, true) => return (Ordering::Less, false),
                _ => {}
            }
            match (switches[i].parent, switches[j].parent) {
                (Some(above_i), Some(above_j)) if fits == (false, false) && above_i != above_j => {
                    (i, j) = (above_i, above_j);
                }
                _ => {
                    break (counts.nodes[i].cmp(&counts.nodes[j]), switches[j].level.cmp(&switches[i].level));
                }
            }
        };
        (fewer.then(level), holds(i))
    }
}

//! Which of the feasible nodes a job gets.
//!
//! A [`Placement`] scores feasible nodes; the lowest score wins, equal scores go to the lowest node id
//! (the tie rule of these policies). GPUs on a node: lowest free index first.

use std::collections::BTreeMap;
use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use super::policy::PlacementSpec;
use crate::cluster::Amounts;
use crate::ids::NodeId;

/// A node as a placement sees it.
#[derive(Clone, Copy, Debug)]
pub struct NodeView {
    /// Its id.
    pub id: NodeId,
    /// What it has.
    pub capacity: Amounts,
    /// What is free (for a reservation: what is expected to be free then).
    pub free: Amounts,
}

/// Lower is better.
pub type Score = i128;

/// A placement rule. Implement it in your own crate to try one of your own (`examples/my_policy.rs`).
pub trait Placement: Send + Sync {
    /// How well `ask` sits on `node`, which has room for it. Asked again only when the node has changed:
    /// the answer must depend on nothing else.
    fn score(&self, ask: &Amounts, node: &NodeView) -> Score;

    /// Whether the lowest node id always wins, so that scores need not be computed.
    fn lowest_id_wins(&self) -> bool {
        false
    }

    /// Number of the leaf of each node, by its id: then a job on several nodes gets as few leaves as can be, and scores
    /// choose among the nodes of a leaf.
    fn leaves(&self) -> Option<Arc<[u32]>> {
        None
    }
}

/// Lowest node id.
pub struct FirstFit;
/// Least left over.
pub struct BestFit;
/// Most left over.
pub struct Spread;
/// As few leaves as can be, then least left over.
pub struct Topology {
    leaves: Arc<[u32]>,
}

/// What is left over after `ask`: GPUs, then CPUs, then memory.
fn left_over(ask: &Amounts, node: &NodeView) -> Score {
    let left = node.free.minus(ask);
    (i128::from(left.gpus) << 96) | (i128::from(left.cpus) << 64) | i128::from(left.mem_mb)
}

impl Placement for FirstFit {
    fn score(&self, _: &Amounts, _: &NodeView) -> Score {
        0
    }

    fn lowest_id_wins(&self) -> bool {
        true
    }
}

impl Placement for BestFit {
    fn score(&self, ask: &Amounts, node: &NodeView) -> Score {
        left_over(ask, node)
    }
}

impl Placement for Spread {
    fn score(&self, ask: &Amounts, node: &NodeView) -> Score {
        -left_over(ask, node)
    }
}

impl Placement for Topology {
    fn score(&self, ask: &Amounts, node: &NodeView) -> Score {
        left_over(ask, node)
    }

    fn leaves(&self) -> Option<Arc<[u32]>> {
        Some(Arc::clone(&self.leaves))
    }
}

/// The placement that a specification names; `leaves` are those of the nodes, where they lie on networks.
#[must_use]
pub fn placement(spec: PlacementSpec, leaves: Option<&[u32]>) -> Box<dyn Placement> {
    match spec {
        PlacementSpec::Topology => match leaves {
            Some(leaves) => Box::new(Topology { leaves: leaves.into() }),
            None => Box::new(BestFit),
        },
        PlacementSpec::FirstFit => Box::new(FirstFit),
        PlacementSpec::BestFit => Box::new(BestFit),
        PlacementSpec::Spread => Box::new(Spread),
        // Only the engine for shared GPUs knows these apart; it is chosen wherever one of them is named.
        PlacementSpec::DotProduct
        | PlacementSpec::GpuClustering
        | PlacementSpec::GpuPacking
        | PlacementSpec::Fgd
        | PlacementSpec::MigBestFit => Box::new(BestFit),
    }
}

/// The `count` best of `ranked` (at least so many, best first) that lie on as few leaves as can be. As long as no leaf has all
/// that are wanted, the one with the most is taken; then, of those that have, the one with the fewest.
pub fn on_few_leaves<S>(
    mut ranked: Vec<(Score, NodeId, S)>,
    count: usize,
    leaves: &[u32],
) -> Vec<(Score, NodeId, S)> {
    let leaf = |node: NodeId| leaves.get(node.0 as usize).copied().unwrap_or(u32::MAX);
    let mut on_leaf: BTreeMap<u32, usize> = BTreeMap::new();
    ranked.iter().for_each(|(_, node, _)| *on_leaf.entry(leaf(*node)).or_default() += 1);
    let mut chosen = Vec::with_capacity(count);
    while chosen.len() < count {
        let wanted = count - chosen.len();
        let holds_all =
            on_leaf.iter().filter(|(_, nodes)| **nodes >= wanted).min_by_key(|(_, nodes)| **nodes);
        let most = || on_leaf.iter().max_by_key(|(leaf, nodes)| (**nodes, std::cmp::Reverse(**leaf)));
        let Some(best) = holds_all.or_else(most).map(|(leaf, _)| *leaf) else { break };
        on_leaf.remove(&best);
        let (here, rest): (Vec<_>, Vec<_>) = ranked.into_iter().partition(|(_, node, _)| leaf(*node) == best);
        chosen.extend(here.into_iter().take(wanted));
        ranked = rest;
    }
    chosen
}

/// The `count` best of `nodes`, which all have room: by `score`, then by lowest id, or simply the first where the
/// lowest id wins. Where hosts are dedicated, those of which `is_own` tells that they are the tenant's already come
/// before all others. Where the placement looks at leaves, see [`on_few_leaves`]. `None` if there are fewer.
pub fn best_of<S>(
    nodes: impl Iterator<Item = (NodeId, S)>,
    count: usize,
    lowest_id_wins: bool,
    mut score: impl FnMut(NodeId, &S) -> Score,
    is_own: Option<impl Fn(NodeId) -> bool>,
    leaves: Option<&[u32]>,
) -> Option<SmallVec<[(NodeId, S); 1]>> {
    if let Some(is_own) = is_own {
        let rank = |(node, state): (NodeId, S)| (!is_own(node), score(node, &state), node, state);
        let mut ranked: Vec<(bool, Score, NodeId, S)> = nodes.map(rank).collect();
        ranked.sort_unstable_by_key(|(other, score, node, _)| (*other, *score, *node));
        let best = ranked.into_iter().take(count).map(|(_, _, node, state)| (node, state));
        let best: SmallVec<[(NodeId, S); 1]> = best.collect();
        return (best.len() == count).then_some(best);
    }
    if lowest_id_wins {
        let chosen: SmallVec<[(NodeId, S); 1]> = nodes.take(count).collect();
        return (chosen.len() == count).then_some(chosen);
    }
    if count == 1 {
        return nodes.min_by_key(|(node, state)| (score(*node, state), *node)).map(|best| smallvec![best]);
    }
    let mut scored: Vec<(Score, NodeId, S)> =
        nodes.map(|(node, state)| (score(node, &state), node, state)).collect();
    if scored.len() < count {
        return None;
    }
    scored.sort_unstable_by_key(|(score, node, _)| (*score, *node));
    if let Some(leaves) = leaves {
        return Some(
            on_few_leaves(scored, count, leaves).into_iter().map(|(_, node, state)| (node, state)).collect(),
        );
    }
    Some(scored.into_iter().take(count).map(|(_, node, state)| (node, state)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How few leaves could hold `count` of the nodes: by trying all sets of leaves.
    fn fewest(nodes: &[u32], leaves: &[u32], count: usize) -> usize {
        let all: Vec<u32> = (0..6).collect();
        let holds =
            |set: u32| nodes.iter().filter(|node| set >> leaves[**node as usize] & 1 == 1).count() >= count;
        (0..1u32 << all.len()).filter(|set| holds(*set)).map(u32::count_ones).min().unwrap() as usize
    }

    #[test]
    fn leaves_are_as_few_as_any_choice_could_have() {
        for case in 0..2_000u64 {
            let draw = |at: u64, below: u64| (crate::random::mix(case * 1_000 + at) >> 20) % below;
            let leaves: Vec<u32> = (0..24).map(|at| draw(at, 6) as u32).collect();
            let nodes: Vec<u32> = (0..24).filter(|at| draw(100 + u64::from(*at), 3) > 0).collect();
            let count = 1 + draw(200, nodes.len() as u64) as usize;
            let mut ranked: Vec<(Score, NodeId, ())> = nodes
                .iter()
                .map(|node| (Score::from(draw(300 + u64::from(*node), 4)), NodeId(*node), ()))
                .collect();
            ranked.sort_unstable();
            let chosen = on_few_leaves(ranked, count, &leaves);
            assert_eq!(chosen.len(), count);
            let mut on: Vec<u32> = chosen.iter().map(|(_, node, ())| leaves[node.0 as usize]).collect();
            on.sort_unstable();
            on.dedup();
            assert_eq!(on.len(), fewest(&nodes, &leaves, count), "case {case}");
        }
    }
}

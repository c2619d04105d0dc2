//! Which of the feasible nodes a job gets.
//!
//! A [`Placement`] scores feasible nodes; the lowest score wins, equal scores go to the lowest node id
//! (the tie rule of these policies). GPUs on a node: lowest free index first.

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
}

/// Lowest node id.
pub struct FirstFit;
/// Least left over.
pub struct BestFit;
/// Most left over.
pub struct Spread;

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

/// The placement that a specification names.
#[must_use]
pub fn placement(spec: PlacementSpec) -> Box<dyn Placement> {
    match spec {
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

/// The `count` best of `nodes`, which all have room: by `score`, then by lowest id, or simply the first where the
/// lowest id wins. Where hosts are dedicated, those of which `is_own` tells that they are the tenant's already come
/// before all others. `None` if there are fewer.
pub fn best_of<S>(
    nodes: impl Iterator<Item = (NodeId, S)>,
    count: usize,
    lowest_id_wins: bool,
    mut score: impl FnMut(NodeId, &S) -> Score,
    is_own: Option<impl Fn(NodeId) -> bool>,
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
    Some(scored.into_iter().take(count).map(|(_, node, state)| (node, state)).collect())
}

//! Where each node part fits now, and when it fits next: kept up to date by the ledger's changes.
//!
//! A pass asks "how many nodes can give this part?" for every lane of the queue. The answer is a set
//! per part that follows the ledger's change list, so an event costs work for the nodes that it
//! touched, not for all nodes. The sets equal a fresh scan at any time (tested).

use std::ops::Range;

use fixedbitset::FixedBitSet;
use smallvec::{SmallVec, smallvec};

use super::floor::Floor;
use super::kind::{Kind, Piece};
use super::placement::{Score, on_few_leaves};
use crate::cluster::{Ledger, Whole};
use crate::ids::{Id, IdVec, NodeId, PartId, PoolId};
use crate::time::SimTime;
use crate::workload::Interner;

#[derive(Debug)]
struct Fit<D: Kind> {
    id: PartId,
    part: D::Part,
    first: u32,
    nodes: u32,
    seen: Option<usize>,
    feasible: FixedBitSet,
    count: u32,
    ready: Option<Ready>,
    scores: Option<Scores>,
}

#[derive(Debug)]
struct Ready {
    seen: usize,
    at: Vec<SimTime>,
}

/// How well the part sits on each node now, as the placement says; [`NO_ROOM`] where it does not fit.
#[derive(Debug)]
struct Scores {
    seen: usize,
    at: Vec<Score>,
    /// The lowest, the first of equals; `None` = not known. A placement that packs takes the same node again and again:
    /// only when that node gets worse are all looked at.
    best: Option<usize>,
}

impl Scores {
    fn set(&mut self, at: usize, score: Score) {
        let old = std::mem::replace(&mut self.at[at], score);
        match self.best {
            Some(best) if best == at => self.best = (score <= old).then_some(at),
            Some(best) if (score, at) < (self.at[best], best) => self.best = Some(at),
            _ => {}
        }
    }

    fn best(&mut self) -> usize {
        let lowest = || (0..self.at.len()).min_by_key(|at| self.at[*at]);
        let best = self.best.or_else(lowest).unwrap_or(0);
        self.best = Some(best);
        best
    }

    /// The lowest that is usable, the first of equals.
    fn best_usable(&mut self, usable: impl Fn(usize) -> bool) -> Option<usize> {
        let best = self.best();
        let has_room = self.at.get(best).is_some_and(|score| *score < NO_ROOM);
        if !has_room || usable(best) {
            return has_room.then_some(best);
        }
        let room = self.at.iter().enumerate().filter(|(at, score)| **score < NO_ROOM && usable(*at));
        room.min_by_key(|(_, score)| **score).map(|(at, _)| at)
    }
}

/// Worse than every score of a node that has room.
const NO_ROOM: Score = Score::MAX;

/// Feasible nodes, scores and ready times of every part.
#[derive(Debug)]
pub struct Fits<D: Kind = Whole> {
    rows: IdVec<PartId, Fit<D>>,
}

impl<D: Kind> Fits<D> {
    /// Nothing known yet; rows are filled when first asked for.
    #[must_use]
    pub fn new(parts: &Interner<PartId, D::Part>, ledger: &Ledger<D>) -> Self {
        let ranges: IdVec<PoolId, Range<u32>> =
            (0..ledger.pools()).map(|p| ledger.pool_range(PoolId::new(p))).collect();
        let rows = parts
            .iter()
            .map(|(id, part)| Fit {
                id,
                part: part.clone(),
                first: ranges[part.pool()].start,
                nodes: ranges[part.pool()].len() as u32,
                seen: None,
                feasible: FixedBitSet::new(),
                count: 0,
                ready: None,
                scores: None,
            })
            .collect();
        Self { rows }
    }

    /// Number of nodes that can give `part` now.
    #[inline]
    pub fn count(&mut self, part: PartId, judge: &mut D::Judge, ledger: &Ledger<D>) -> u32 {
        let fit = &mut self.rows[part];
        if fit.seen != Some(ledger.version()) {
            fit.follow(judge, ledger);
        }
        fit.count
    }

    /// The nodes that can give `part` now, lowest id first. Call [`Fits::count`] before in the same state.
    pub fn feasible(&self, part: PartId) -> impl Iterator<Item = NodeId> + '_ {
        let fit = &self.rows[part];
        fit.feasible.ones().map(|at| NodeId(fit.first + at as u32))
    }

    /// Whether `node` can give `part` now. Call [`Fits::count`] before in the same state.
    #[inline]
    #[must_use]
    pub fn has(&self, part: PartId, node: NodeId) -> bool {
        let fit = &self.rows[part];
        let at = node.0.wrapping_sub(fit.first);
        at < fit.nodes && fit.feasible.contains(at as usize)
    }

    /// The `count` best nodes for `part` now among those that are `usable`, by score, then by lowest id;
    /// `None` if there are fewer.
    pub fn choose(
        &mut self,
        part: PartId,
        count: usize,
        judge: &mut D::Judge,
        floor: &Floor<D>,
        usable: impl Fn(NodeId) -> bool,
    ) -> Option<SmallVec<[NodeId; 1]>> {
        let ledger = floor.ledger();
        self.count(part, judge, ledger);
        let tenant = self.rows[part].part.tenant();
        if tenant.is_none() && D::lowest_id_wins(judge) {
            let nodes: SmallVec<[NodeId; 1]> =
                self.feasible(part).filter(|node| usable(*node)).take(count).collect();
            return (nodes.len() == count).then_some(nodes);
        }
        let fit = &mut self.rows[part];
        let first = fit.first;
        let scores = fit.follow_scores(judge, floor);
        let id = |at: usize| NodeId(first + at as u32);
        if let Some(tenant) = tenant {
            let is_other = |node| ledger.tenant_on(node) != Some(tenant);
            return best_on_dedicated(&scores.at, first, count, is_other, usable);
        }
        if count == 1 {
            return scores.best_usable(|at| usable(id(at))).map(|at| smallvec![id(at)]);
        }
        let leaves = D::leaf_numbers(judge);
        let room = scores.at.iter().enumerate().filter(|(at, score)| **score < NO_ROOM && usable(id(*at)));
        let mut ranked: Vec<(Score, NodeId)> = room.map(|(at, score)| (*score, id(at))).collect();
        ranked.sort_unstable();
        if let Some(leaves) = leaves.filter(|_| ranked.len() >= count) {
            let ranked = ranked.into_iter().map(|(score, node)| (score, node, ())).collect();
            return Some(
                on_few_leaves(ranked, count, &leaves).into_iter().map(|(_, node, ())| node).collect(),
            );
        }
        (ranked.len() >= count).then(|| ranked[..count].iter().map(|(_, node)| *node).collect())
    }

    /// When each node of the part's pool is expected to have `part` free: (first node id, times).
    pub fn ready(&mut self, part: PartId, judge: &mut D::Judge, floor: &Floor<D>) -> (NodeId, &[SimTime]) {
        let fit = &mut self.rows[part];
        fit.follow_ready(judge, floor);
        (NodeId(fit.first), fit.ready.as_ref().map_or(&[], |r| r.at.as_slice()))
    }
}

/// The `count` best usable nodes on dedicated hosts: those that are the tenant's already come before empty ones.
fn best_on_dedicated(
    scores: &[Score],
    first: u32,
    count: usize,
    is_other: impl Fn(NodeId) -> bool,
    usable: impl Fn(NodeId) -> bool,
) -> Option<SmallVec<[NodeId; 1]>> {
    let nodes = scores.iter().zip(first..).filter(|(score, _)| **score < NO_ROOM);
    let nodes = nodes.map(|(score, node)| (score, NodeId(node))).filter(|(_, node)| usable(*node));
    let mut ranked: Vec<(bool, Score, NodeId)> =
        nodes.map(|(score, node)| (is_other(node), *score, node)).collect();
    ranked.sort_unstable();
    (ranked.len() >= count).then(|| ranked[..count].iter().map(|(_, _, node)| *node).collect())
}

impl<D: Kind> Fit<D> {
    /// Whether a node can give the part now.
    #[inline]
    fn fits(&self, node: NodeId, judge: &mut D::Judge, ledger: &Ledger<D>) -> bool {
        D::has_room(judge, ledger, node, (self.id, &self.part))
            && self.part.tenant().is_none_or(|tenant| ledger.is_open(node, tenant))
    }

    fn follow(&mut self, judge: &mut D::Judge, ledger: &Ledger<D>) {
        let changed = self.seen.and_then(|seen| ledger.changed_since(seen));
        match changed {
            Some(nodes) if nodes.len() < self.nodes as usize => {
                for node in nodes {
                    let at = node.0.wrapping_sub(self.first);
                    if at < self.nodes {
                        let fits = self.fits(*node, judge, ledger);
                        let at = at as usize;
                        if fits != self.feasible.contains(at) {
                            self.feasible.set(at, fits);
                            self.count = if fits { self.count + 1 } else { self.count - 1 };
                        }
                    }
                }
            }
            _ => {
                self.feasible.clear();
                self.feasible.grow(self.nodes as usize);
                self.count = 0;
                for at in 0..self.nodes {
                    if self.fits(NodeId(self.first + at), judge, ledger) {
                        self.feasible.insert(at as usize);
                        self.count += 1;
                    }
                }
            }
        }
        self.seen = Some(ledger.version());
    }

    /// Scores that follow the ledger: a score depends on nothing but the part and the node. The set of feasible
    /// nodes is up to date.
    fn follow_scores(&mut self, judge: &mut D::Judge, floor: &Floor<D>) -> &mut Scores {
        let (first, nodes) = (self.first, self.nodes);
        let (feasible, part) = (&self.feasible, (self.id, &self.part));
        let mut score = |id: NodeId| {
            if feasible.contains((id.0 - first) as usize) {
                D::score(judge, floor, id, part).min(NO_ROOM - 1)
            } else {
                NO_ROOM
            }
        };
        let all = || (first..first + nodes).map(NodeId);
        let ledger = floor.ledger();
        let version = ledger.version();
        let scores = self.scores.get_or_insert_with(|| Scores {
            seen: version,
            at: all().map(&mut score).collect(),
            best: None,
        });
        match ledger.changed_since(scores.seen) {
            Some(changed) if changed.len() < nodes as usize => {
                for id in changed {
                    let at = id.0.wrapping_sub(first);
                    if at < nodes {
                        scores.set(at as usize, score(*id));
                    }
                }
            }
            _ => {
                scores.at.clear();
                scores.at.extend(all().map(score));
                scores.best = None;
            }
        }
        scores.seen = version;
        scores
    }

    fn follow_ready(&mut self, judge: &mut D::Judge, floor: &Floor<D>) {
        let (ledger, id, part) = (floor.ledger(), self.id, &self.part);
        let mut ready_at = |node: NodeId| {
            let ready = D::ready_at(judge, floor, node, (id, part));
            let open = |tenant| floor.stays().open_at(ledger.dedication(), node, tenant);
            part.tenant().map_or(ready, |tenant| ready.max(open(tenant)))
        };
        let version = ledger.version();
        let ready = self.ready.get_or_insert_with(|| Ready { seen: usize::MAX, at: Vec::new() });
        if ready.seen == version {
            return;
        }
        let changed = if ready.seen == usize::MAX { None } else { ledger.changed_since(ready.seen) };
        match changed {
            Some(nodes) if nodes.len() < self.nodes as usize => {
                for node in nodes {
                    let at = node.0.wrapping_sub(self.first);
                    if at < self.nodes {
                        ready.at[at as usize] = ready_at(*node);
                    }
                }
            }
            _ => {
                ready.at.clear();
                ready.at.extend((self.first..self.first + self.nodes).map(NodeId).map(ready_at));
            }
        }
        ready.seen = version;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scores(at: &[Score]) -> Scores {
        Scores { seen: 0, at: at.to_vec(), best: None }
    }

    #[test]
    fn the_best_usable_node_is_found_where_the_very_best_is_not_usable() {
        let mut scores = scores(&[5, 3, NO_ROOM, 3, 4]);
        assert_eq!(scores.best_usable(|_| true), Some(1));
        assert_eq!(scores.best_usable(|at| at != 1), Some(3));
        assert_eq!(scores.best_usable(|at| at == 4 || at == 2), Some(4));
        assert_eq!(scores.best_usable(|at| at == 2), None);
        assert_eq!(self::scores(&[NO_ROOM]).best_usable(|_| true), None);
        assert_eq!(self::scores(&[]).best_usable(|_| true), None);
    }

    proptest! {
        #[test]
        fn the_best_follows_every_change(steps in prop::collection::vec((0usize..6, 0i128..5, any::<bool>()), 1..60)) {
            let mut followed = scores(&[NO_ROOM; 6]);
            for (at, score, gone) in steps {
                followed.set(at, if gone { NO_ROOM } else { score });
                let fresh = followed.at.iter().enumerate().min_by_key(|(_, score)| **score).map(|(at, _)| at);
                let room = fresh.filter(|at| followed.at[*at] < NO_ROOM);
                prop_assert_eq!(followed.best_usable(|_| true), room);
            }
        }
    }
}

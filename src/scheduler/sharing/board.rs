//! The best node of many, with scores kept from demand to demand.
//!
//! Each kind of demand has a list of scores over all nodes, cut into blocks that know their maximum. A
//! placement changes one node; when the demand comes again, only nodes that changed since are looked at.
//! So a decision costs the changes since the last one of its kind, plus a look at the blocks.

use crate::random::Stream;

/// Who wins among nodes of equal score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TieRule {
    /// The node that comes first.
    LowestId,
    /// Any, drawn for each decision.
    RandomPerDecision,
    /// The node that comes first in an order drawn once per seed.
    PermutedPerSeed,
}

/// Nodes in a block.
const BLOCK: usize = 64;

/// The score of a node that does not hold the demand.
const INFEASIBLE: i32 = i32::MIN;

/// Scores of all nodes, by kind of demand.
#[derive(Clone, Debug)]
pub struct Board {
    nodes: Vec<NodeState>,
    lists: Vec<Option<List>>,
    /// Changed nodes, in order.
    changes: Vec<u32>,
}

/// What a list asks of a node, in one place: lists go through many nodes.
#[derive(Clone, Copy, Debug, Default)]
struct NodeState {
    /// Position after its last change in `changes`; 0 where it never changed.
    last_change: u32,
    shape: u32,
}

#[derive(Clone, Debug)]
struct List {
    scores: Vec<i32>,
    blocks: Vec<Block>,
    /// How much of `changes` it has seen.
    seen: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    most: i32,
    /// How many nodes have it.
    count: u32,
}

impl Block {
    fn of(scores: &[i32]) -> Self {
        let most = scores.iter().copied().max().unwrap_or(INFEASIBLE);
        Self { most, count: scores.iter().filter(|score| **score == most).count() as u32 }
    }
}

impl Board {
    /// A board for nodes of these shapes. Nodes of one shape have the same scores.
    #[must_use]
    pub fn new(shapes: &[u32]) -> Self {
        let nodes = shapes.iter().map(|shape| NodeState { last_change: 0, shape: *shape }).collect();
        Self { nodes, lists: Vec::new(), changes: Vec::new() }
    }

    /// The shape of a node.
    #[must_use]
    pub fn shape(&self, node: usize) -> u32 {
        self.nodes[node].shape
    }

    /// Gives a node another shape.
    pub fn change(&mut self, node: usize, shape: u32) {
        self.changes.push(node as u32);
        let last_change = u32::try_from(self.changes.len()).expect("fewer than 2^32 placements");
        self.nodes[node] = NodeState { last_change, shape };
    }

    /// The best node for a kind of demand; `score` tells the score of a node and its shape, `None` where it
    /// has no room. Among equals the first, or one drawn from `draw`.
    pub fn best(
        &mut self,
        demand: usize,
        mut score: impl FnMut(usize, usize) -> Option<i32>,
        draw: Option<&mut Stream>,
    ) -> Option<usize> {
        if self.lists.len() <= demand {
            self.lists.resize_with(demand + 1, || None);
        }
        let nodes = &self.nodes;
        let mut fresh = |node: usize| score(node, nodes[node].shape as usize).unwrap_or(INFEASIBLE);
        let list = match &mut self.lists[demand] {
            Some(list) => {
                list.follow(&self.changes, nodes, &mut fresh);
                list
            }
            none => {
                let scores: Vec<i32> = (0..nodes.len()).map(fresh).collect();
                let blocks = scores.chunks(BLOCK).map(Block::of).collect();
                none.insert(List { scores, blocks, seen: 0 })
            }
        };
        list.seen = self.changes.len();
        list.best(draw)
    }
}

impl List {
    fn follow(&mut self, changes: &[u32], nodes: &[NodeState], fresh: &mut impl FnMut(usize) -> i32) {
        for (at, node) in changes.iter().enumerate().skip(self.seen) {
            let node = *node as usize;
            if nodes[node].last_change as usize != at + 1 {
                continue;
            }
            let (old, new) = (self.scores[node], fresh(node));
            if old == new {
                continue;
            }
            self.scores[node] = new;
            let block = &mut self.blocks[node / BLOCK];
            if new > block.most {
                *block = Block { most: new, count: 1 };
            } else if new == block.most {
                block.count += 1;
            } else if old == block.most {
                block.count -= 1;
            }
            if block.count == 0 {
                let first = node / BLOCK * BLOCK;
                let last = (first + BLOCK).min(self.scores.len());
                self.blocks[node / BLOCK] = Block::of(&self.scores[first..last]);
            }
        }
    }

    fn best(&self, draw: Option<&mut Stream>) -> Option<usize> {
        let most = self.blocks.iter().map(|block| block.most).max().filter(|most| *most != INFEASIBLE)?;
        let equals = || self.blocks.iter().enumerate().filter(|(_, block)| block.most == most);
        let mut left =
            draw.map_or(0, |draw| draw.below(equals().map(|(_, block)| u64::from(block.count)).sum()));
        for (at, block) in equals() {
            if left < u64::from(block.count) {
                let first = at * BLOCK;
                let scores = self.scores[first..].iter().enumerate();
                let mut same = scores.filter(|(_, score)| **score == most).map(|(offset, _)| first + offset);
                return same.nth(left as usize);
            }
            left -= u64::from(block.count);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_scores_equal_fresh_ones() {
        let mut draw = Stream::new(5, "board-test", 0, 0);
        let nodes = 200;
        let mut scores: Vec<Vec<Option<i32>>> = vec![vec![Some(3); nodes]; 3];
        let mut board = Board::new(&vec![0; nodes]);
        for step in 0..3000 {
            let demand = draw.below(3) as usize;
            let list = &scores[demand];
            let most = list.iter().flatten().max().copied();
            let first = most.and_then(|most| list.iter().position(|score| *score == Some(most)));
            assert_eq!(board.best(demand, |node, _| list[node], None), first, "{step}");
            if let Some(any) = board.best(demand, |node, _| list[node], Some(&mut draw)) {
                assert_eq!(list[any], most);
            }
            let node = draw.below(nodes as u64) as usize;
            for list in &mut scores {
                list[node] = (draw.below(3) > 0).then(|| draw.below(6) as i32 - 2);
            }
            board.change(node, 0);
        }
    }

    #[test]
    fn drawn_ties_have_equal_chances() {
        let mut draw = Stream::new(6, "board-test", 0, 0);
        let mut board = Board::new(&[0; 130]);
        let mut hits = [0; 130];
        for _ in 0..13_000 {
            let feasible = |node: usize, _| node.is_multiple_of(13).then_some(0);
            hits[board.best(0, feasible, Some(&mut draw)).unwrap()] += 1;
        }
        assert!(hits.iter().enumerate().all(|(node, n)| if node % 13 == 0 { *n > 1100 } else { *n == 0 }));
    }
}

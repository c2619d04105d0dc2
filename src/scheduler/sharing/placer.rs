//! Places one demand after another.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::board::{Board, TieRule};
use super::fragmentation::TypicalMix;
use super::node::{CardShare, ModelSet, SharedDemand, SharedNode};
use super::policy::{Scorer, SharingPolicy};
use crate::random::Stream;

/// Where a demand was placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The node, by position in the list that the placer was made of.
    pub node: usize,
    /// What was taken of which cards.
    pub shares: SmallVec<[CardShare; 1]>,
}

/// What decides a node's score: the node without the order of its cards. Nodes of one shape share scores.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Shape {
    cpu_milli: u32,
    mem_mib: u32,
    model: u8,
    cards: SmallVec<[u16; 8]>,
    kinds: u128,
}

/// A score that was not computed yet.
const UNKNOWN: i32 = i32::MAX;
/// The shape has no room for the demand.
const NO_ROOM: i32 = i32::MIN;

/// Nodes, a policy, and all that is remembered from one placement to the next.
pub struct Placer {
    /// In the order of the tie rule.
    nodes: Vec<SharedNode>,
    /// Position of each of `nodes` in the caller's list.
    callers: Vec<usize>,
    /// Position in `nodes` of each node of the caller's list.
    places: Vec<usize>,
    policy: SharingPolicy,
    draw_ties: bool,
    scorer: Scorer,
    board: Board,
    draw: Stream,
    shape_ids: FxHashMap<Shape, u32>,
    /// Fragmentation by shape.
    fragmentations: Vec<i64>,
    demand_ids: FxHashMap<SharedDemand, u32>,
    /// Scores by demand, then by shape.
    scores: Vec<Vec<i32>>,
    allocated_milli: u64,
    total_milli: u64,
    lost: i64,
}

impl Placer {
    /// A placer over `nodes`, all as they are now. `mix` says which requests are usual; `seed` feeds the
    /// draws of the tie rule and of the random policy.
    #[must_use]
    pub fn new(
        nodes: &[SharedNode],
        policy: SharingPolicy,
        tie: TieRule,
        mix: TypicalMix,
        seed: u64,
    ) -> Self {
        let mut callers: Vec<usize> = (0..nodes.len()).collect();
        if tie == TieRule::PermutedPerSeed {
            Stream::new(seed, "sharing-node-order", 0, 0).shuffle(&mut callers);
        }
        let mut places = vec![0; nodes.len()];
        callers.iter().enumerate().for_each(|(place, caller)| places[*caller] = place);
        let free = nodes.iter().map(|node| u64::from(node.free_milli())).sum();
        let mut placer = Self {
            nodes: callers.iter().map(|caller| nodes[*caller].clone()).collect(),
            callers,
            places,
            policy,
            draw_ties: policy == SharingPolicy::Random || tie == TieRule::RandomPerDecision,
            scorer: Scorer::new(policy, mix),
            board: Board::new(&[]),
            draw: Stream::new(seed, "sharing-choice", 0, 0),
            shape_ids: FxHashMap::default(),
            fragmentations: Vec::new(),
            demand_ids: FxHashMap::default(),
            scores: Vec::new(),
            allocated_milli: 0,
            total_milli: free,
            lost: 0,
        };
        let shapes: Vec<u32> = (0..nodes.len()).map(|node| placer.shape_of(node)).collect();
        placer.lost = shapes.iter().map(|shape| placer.fragmentations[*shape as usize]).sum();
        placer.board = Board::new(&shapes);
        placer
    }

    /// Places a demand where the policy says; `None` if no node has room.
    pub fn place(&mut self, demand: &SharedDemand) -> Option<Placed> {
        let node = self.best(demand)?;
        let cards = self.choose_cards(node, demand);
        let shares = self.nodes[node].take(demand, &cards);
        self.allocated_milli += u64::from(demand.total_milli());
        self.changed(node);
        Some(Placed { node: self.callers[node], shares })
    }

    /// Gives back what was placed.
    ///
    /// # Panics
    /// If that was not placed.
    pub fn give_back(&mut self, demand: &SharedDemand, placed: &Placed) {
        let node = self.places[placed.node];
        self.nodes[node].give_back(demand, &placed.shares);
        self.allocated_milli -= u64::from(demand.total_milli());
        self.changed(node);
    }

    fn best(&mut self, demand: &SharedDemand) -> Option<usize> {
        let id = match self.demand_ids.get(demand) {
            Some(id) => *id as usize,
            None => {
                let id = self.scores.len();
                self.demand_ids.insert(*demand, id as u32);
                self.scores.push(Vec::new());
                id
            }
        };
        let (nodes, scorer) = (&self.nodes, &mut self.scorer);
        let fragmentations = &self.fragmentations;
        let known = &mut self.scores[id];
        known.resize(fragmentations.len(), UNKNOWN);
        let score = |node: usize, shape: usize| {
            if known[shape] == UNKNOWN {
                known[shape] = if nodes[node].holds(demand) {
                    scorer.score(demand, &nodes[node], fragmentations[shape])
                } else {
                    NO_ROOM
                };
            }
            (known[shape] != NO_ROOM).then_some(known[shape])
        };
        self.board.best(id, score, self.draw_ties.then_some(&mut self.draw))
    }

    fn choose_cards(&mut self, node: usize, demand: &SharedDemand) -> SmallVec<[u8; 8]> {
        let place = &self.nodes[node];
        match self.policy {
            SharingPolicy::Random if demand.is_sharing() => {
                let roomy: SmallVec<[u8; 8]> = place.roomy(demand.card_milli).collect();
                SmallVec::from_slice(&[roomy[self.draw.below(roomy.len() as u64) as usize]])
            }
            SharingPolicy::Fgd if demand.is_sharing() => {
                let fragmentation = self.fragmentations[self.board.shape(node) as usize];
                SmallVec::from_slice(&[self.scorer.fgd(demand, place, fragmentation).1])
            }
            _ => place.tightest(demand),
        }
    }

    fn changed(&mut self, node: usize) {
        let (old, new) = (self.board.shape(node), self.shape_of(node));
        self.lost += self.fragmentations[new as usize] - self.fragmentations[old as usize];
        self.board.change(node, new);
    }

    fn shape_of(&mut self, node: usize) -> u32 {
        let node = &self.nodes[node];
        let mut cards = node.cards.clone();
        cards.sort_unstable();
        let (cpu_milli, mem_mib, model) = (node.cpu_milli, node.mem_mib, node.model);
        let shape = Shape { cpu_milli, mem_mib, model, cards, kinds: node.kinds() };
        let next = self.fragmentations.len() as u32;
        let id = *self.shape_ids.entry(shape).or_insert(next);
        if id == next {
            self.fragmentations.push(self.scorer.mix_mut().fragmentation(node));
        }
        id
    }

    /// Thousandths of cards that are taken.
    #[must_use]
    pub fn allocated_milli(&self) -> u64 {
        self.allocated_milli
    }

    /// Thousandths of cards of all nodes that were free at first.
    #[must_use]
    pub fn total_milli(&self) -> u64 {
        self.total_milli
    }

    /// What of the free GPU the usual requests cannot use: (amount, in thousandths of a card; its share of
    /// what is free, 0 where nothing is free).
    #[must_use]
    pub fn fragmentation(&mut self) -> (f64, f64) {
        let lost = self.lost as f64 / self.scorer.mix_mut().weight().max(1) as f64;
        let free = (self.total_milli - self.allocated_milli) as f64;
        (lost, if free > 0.0 { lost / free } else { 0.0 })
    }

    /// How many different shapes of nodes there were so far.
    #[must_use]
    pub fn shapes(&self) -> usize {
        self.fragmentations.len()
    }

    /// The nodes now, in the caller's order.
    pub fn nodes(&self) -> impl Iterator<Item = &SharedNode> {
        self.places.iter().map(|place| &self.nodes[*place])
    }
}

/// Names of GPU models as numbers.
#[derive(Clone, Debug, Default)]
pub struct Models {
    names: Vec<String>,
}

impl Models {
    /// The number of a model; `None` when 64 are known already.
    pub fn number(&mut self, name: &str) -> Option<u8> {
        if let Some(at) = self.names.iter().position(|known| known == name) {
            return Some(at as u8);
        }
        (self.names.len() < 64).then(|| {
            self.names.push(name.to_owned());
            (self.names.len() - 1) as u8
        })
    }

    /// The set that `a|b|c` names; every model where it is empty.
    pub fn set(&mut self, names: &str) -> Option<ModelSet> {
        if names.is_empty() {
            return Some(ModelSet::ANY);
        }
        names.split('|').try_fold(ModelSet(0), |set, name| {
            self.number(name.trim()).map(|number| ModelSet(set.0 | 1 << number))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_demand() -> impl Strategy<Value = SharedDemand> {
        let gpu = prop_oneof![
            Just((0u8, 0u16)),
            (1u16..1000).prop_map(|milli| (1, milli)),
            (1u8..5).prop_map(|cards| (cards, 1000))
        ];
        (0u32..9000, 0u32..90, gpu, prop_oneof![Just(u64::MAX), Just(1), Just(2)]).prop_map(
            |(cpu_milli, mem_mib, (cards, card_milli), models)| SharedDemand {
                cpu_milli,
                mem_mib,
                cards,
                card_milli,
                models: ModelSet(models),
            },
        )
    }

    fn usual(demands: &[SharedDemand]) -> TypicalMix {
        TypicalMix::most_frequent(&demands.iter().map(|demand| (*demand, 0)).collect::<Vec<_>>(), 95)
    }

    proptest! {
        /// Every policy: nothing is taken twice or beyond what there is, a refusal means that no node has
        /// room, and what is given back restores the nodes.
        #[test]
        fn what_is_placed_fits_and_comes_back(
            demands in prop::collection::vec(any_demand(), 1..60),
            policy in 0usize..6,
            tie in 0usize..3,
        ) {
            let nodes: Vec<SharedNode> =
                (0..6).map(|n| SharedNode::new(32_000, 400, n % 2, [1, 2, 4][n as usize % 3])).collect();
            let mix = usual(&demands);
            let tie = [TieRule::LowestId, TieRule::RandomPerDecision, TieRule::PermutedPerSeed][tie];
            let mut placer = Placer::new(&nodes, SharingPolicy::ALL[policy].0, tie, mix, 7);
            let mut held = Vec::new();
            for (n, demand) in demands.iter().enumerate() {
                let room = placer.nodes().any(|node| node.holds(demand));
                let placed = placer.place(demand);
                prop_assert_eq!(placed.is_some(), room);
                held.extend(placed.map(|placed| (demand, placed)));
                if n % 3 == 2 && !held.is_empty() {
                    let (demand, placed) = held.swap_remove(n % held.len());
                    placer.give_back(demand, &placed);
                }
                let free: u64 = placer.nodes().map(|node| u64::from(node.free_milli())).sum();
                prop_assert_eq!(free + placer.allocated_milli(), placer.total_milli());
            }
            for (demand, placed) in held {
                placer.give_back(demand, &placed);
            }
            prop_assert!(placer.nodes().eq(nodes.iter()));
        }

        /// The scores that are kept give the same schedule as scoring every node afresh.
        #[test]
        fn kept_scores_place_as_fresh_ones(
            demands in prop::collection::vec(any_demand(), 1..40),
            policy in 1usize..6,
        ) {
            let nodes: Vec<SharedNode> =
                (0..9).map(|n| SharedNode::new(48_000, 400, n % 2, [1, 2, 4][n as usize % 3])).collect();
            let policy = SharingPolicy::ALL[policy].0;
            let mix = usual(&demands);
            let mut placer = Placer::new(&nodes, policy, TieRule::LowestId, mix.clone(), 0);
            let mut scorer = Scorer::new(policy, mix);
            for demand in &demands {
                let now: Vec<SharedNode> = placer.nodes().cloned().collect();
                let mut best: Option<(i32, usize)> = None;
                for (at, node) in now.iter().enumerate().filter(|(_, node)| node.holds(demand)) {
                    let fragmentation = scorer.mix_mut().fragmentation(node);
                    let score = scorer.score(demand, node, fragmentation);
                    if best.is_none_or(|(most, _)| score > most) {
                        best = Some((score, at));
                    }
                }
                prop_assert_eq!(placer.place(demand).map(|placed| placed.node), best.map(|(_, at)| at));
            }
        }
    }
}

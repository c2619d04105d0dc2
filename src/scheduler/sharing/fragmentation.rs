//! How much of what is free on a node the usual requests cannot use (FGD's measure).
//!
//! The usual requests are the most frequent ones of a workload, weighted by how often they come. To one
//! of them, what is free on a node is lost in part: on cards too small for it, if it fits on the node;
//! in whole, if it does not fit, if the model is a wrong one, or if it needs no GPU at all. The
//! fragmentation of a node is the weighted mean, in thousandths of a card.
//!
//! A sum over all usual requests for every candidate would dominate every run. Requests for one card
//! add up card by card, requests for k whole cards depend on the number of whole cards only; both sums
//! are tabulated by (model, CPU class, memory class), where a class is the number of thresholds among
//! the usual requests that are met. So a node costs a look-up per card. All sums are integers.

use super::node::{CARD_MILLI, SharedDemand, SharedNode};

/// The usual requests, with tables.
#[derive(Clone, Debug)]
pub struct TypicalMix {
    /// (request, how often it comes), the ones without GPU left out.
    wanted: Vec<(SharedDemand, i64)>,
    /// Weight of all, the ones without GPU included.
    weight: i64,
    cpu_steps: Vec<u32>,
    mem_steps: Vec<u32>,
    /// Distinct shares of single cards, ascending.
    milli_steps: Vec<u16>,
    /// For a free share 0..=1000: how many of `milli_steps` it holds.
    milli_class: Vec<u16>,
    /// Most whole cards that a usual request asks for.
    most_cards: usize,
    rows: Vec<Option<Box<Row>>>,
}

/// Sums for one (model, CPU class, memory class).
#[derive(Clone, Debug)]
struct Row {
    /// By class of a card's free share: weight of the one-card requests that it holds.
    one_card: Vec<i64>,
    /// By number of whole cards: weight of the requests for several whole cards that fit.
    whole_cards: Vec<i64>,
    /// Requests for several fractions, which need a look at the cards together.
    fractions: Vec<(SharedDemand, i64)>,
}

const MODELS: usize = 64;

impl TypicalMix {
    /// The most frequent of `demands` until `per_cent` of them are covered; among equally frequent ones first
    /// the larger CPU request, then the larger share of a card, more cards, the larger number beside the demand.
    /// That number tells apart requests that mean the same but were written differently.
    #[must_use]
    pub fn most_frequent(demands: &[(SharedDemand, u32)], per_cent: u64) -> Self {
        let mut counts: indexmap::IndexMap<(SharedDemand, u32), u64, rustc_hash::FxBuildHasher> =
            indexmap::IndexMap::default();
        for demand in demands {
            *counts.entry(*demand).or_insert(0) += 1;
        }
        let mut order: Vec<((SharedDemand, u32), u64)> = counts.into_iter().collect();
        order.sort_by_key(|((demand, written), count)| {
            std::cmp::Reverse((*count, demand.cpu_milli, demand.card_milli, demand.cards, *written))
        });
        let mut order: Vec<(SharedDemand, u64)> =
            order.into_iter().map(|((demand, _), count)| (demand, count)).collect();
        let enough = demands.len() as u64 * per_cent;
        let mut covered = 0;
        order.retain(|(_, count)| {
            let more = covered * 100 < enough;
            covered += count;
            more
        });
        Self::new(&order)
    }

    /// A mix of requests with their frequencies.
    #[must_use]
    pub fn new(mix: &[(SharedDemand, u64)]) -> Self {
        let weigh = |(demand, count): &(SharedDemand, u64)| (*demand, *count as i64);
        let wanted: Vec<(SharedDemand, i64)> =
            mix.iter().filter(|(demand, _)| demand.cards > 0).map(weigh).collect();
        let steps = |of: fn(&SharedDemand) -> u32| {
            let mut steps: Vec<u32> = wanted.iter().map(|(demand, _)| of(demand)).collect();
            steps.sort_unstable();
            steps.dedup();
            steps
        };
        let single = |demand: &SharedDemand| if demand.cards == 1 { u32::from(demand.card_milli) } else { 0 };
        let milli_steps: Vec<u16> =
            steps(single).into_iter().filter(|milli| *milli > 0).map(|milli| milli as u16).collect();
        let class = |free: u32| milli_steps.partition_point(|step| u32::from(*step) <= free) as u16;
        let milli_class = (0..=CARD_MILLI).map(class).collect();
        let (cpu_steps, mem_steps) = (steps(|d| d.cpu_milli), steps(|d| d.mem_mib));
        let rows = vec![None; MODELS * (cpu_steps.len() + 1) * (mem_steps.len() + 1)];
        let most_cards = wanted.iter().map(|(demand, _)| usize::from(demand.cards)).max().unwrap_or(0);
        let weight = mix.iter().map(|(_, count)| *count as i64).sum();
        Self { wanted, weight, cpu_steps, mem_steps, milli_steps, milli_class, most_cards, rows }
    }

    /// Weight of all requests of the mix: what fragmentations are multiples of.
    #[must_use]
    pub fn weight(&self) -> i64 {
        self.weight
    }

    /// The fragmentation of `node`, in thousandths of a card times [`weight`](Self::weight).
    pub fn fragmentation(&mut self, node: &SharedNode) -> i64 {
        let weight = self.weight;
        let row = self.row(node.model, node.cpu_milli, node.mem_mib);
        let mut lost = weight * i64::from(node.free_milli());
        for free in &node.cards {
            lost -= self.on_card(row, *free);
        }
        lost - self.on_whole_cards(row, node.whole_cards()) - self.on_fractions(row, &node.cards)
    }

    /// By how much the fragmentation of `node` grows if `demand` takes a share of each single card that
    /// has room: (card, growth), for demands for a share of one card; one pair for all others, with the
    /// cards of the common rule. The node must hold the demand.
    pub fn growth(
        &mut self,
        node: &SharedNode,
        before: i64,
        demand: &SharedDemand,
        mut tell: impl FnMut(u8, i64),
    ) {
        let row = self.row(node.model, node.cpu_milli - demand.cpu_milli, node.mem_mib - demand.mem_mib);
        if demand.is_sharing() && self.rows[row].as_ref().is_some_and(|row| row.fractions.is_empty()) {
            let free = i64::from(node.free_milli()) - i64::from(demand.card_milli);
            let on_cards: i64 = node.cards.iter().map(|free| self.on_card(row, *free)).sum();
            let whole = node.whole_cards();
            for card in node.roomy(demand.card_milli) {
                let now = node.cards[usize::from(card)];
                let on_cards = on_cards - self.on_card(row, now) + self.on_card(row, now - demand.card_milli);
                let whole = whole - u8::from(u32::from(now) == CARD_MILLI);
                let after = self.weight * free - on_cards - self.on_whole_cards(row, whole);
                tell(card, after - before);
            }
            return;
        }
        let mut after = |cards: &[u8]| {
            let mut next = node.clone();
            next.take(demand, cards);
            self.fragmentation(&next) - before
        };
        if demand.is_sharing() {
            node.roomy(demand.card_milli).for_each(|card| tell(card, after(&[card])));
        } else {
            let cards = node.tightest(demand);
            tell(cards.first().copied().unwrap_or(0), after(&cards));
        }
    }

    /// What one-card requests can use of a card, weighted.
    #[inline]
    fn on_card(&self, row: usize, free: u16) -> i64 {
        let class = self.milli_class[usize::from(free)];
        i64::from(free) * self.table(row).one_card[usize::from(class)]
    }

    #[inline]
    fn on_whole_cards(&self, row: usize, whole: u8) -> i64 {
        let fitting = usize::from(whole).min(self.most_cards);
        i64::from(CARD_MILLI) * i64::from(whole) * self.table(row).whole_cards[fitting]
    }

    fn on_fractions(&self, row: usize, cards: &[u16]) -> i64 {
        let usable = |(demand, count): &(SharedDemand, i64)| {
            let roomy = || cards.iter().filter(|free| **free >= demand.card_milli);
            let fits = roomy().count() >= usize::from(demand.cards);
            if fits { count * roomy().map(|free| i64::from(*free)).sum::<i64>() } else { 0 }
        };
        self.table(row).fractions.iter().map(usable).sum()
    }

    #[inline]
    fn table(&self, row: usize) -> &Row {
        self.rows[row].as_deref().expect("callers have asked `row` for it")
    }

    /// The number of the row for a node with so much free; makes the row where it is new.
    fn row(&mut self, model: u8, cpu_milli: u32, mem_mib: u32) -> usize {
        let cpu = self.cpu_steps.partition_point(|step| *step <= cpu_milli);
        let mem = self.mem_steps.partition_point(|step| *step <= mem_mib);
        let at = (usize::from(model) * (self.cpu_steps.len() + 1) + cpu) * (self.mem_steps.len() + 1) + mem;
        if self.rows[at].is_none() {
            let fits = |demand: &SharedDemand| {
                demand.models.has(model) && demand.cpu_milli <= cpu_milli && demand.mem_mib <= mem_mib
            };
            let fitting = || self.wanted.iter().filter(|(demand, _)| fits(demand));
            let is_whole = |demand: &SharedDemand| u32::from(demand.card_milli) == CARD_MILLI;
            let sum = |of: &dyn Fn(&SharedDemand) -> bool| {
                fitting().filter(|(demand, _)| of(demand)).map(|(_, count)| count).sum::<i64>()
            };
            let one_card = (0..=self.milli_steps.len()).map(|class| {
                let held =
                    |d: &SharedDemand| d.cards == 1 && self.milli_steps[..class].contains(&d.card_milli);
                sum(&held)
            });
            let whole_cards = (0..=self.most_cards).map(|whole| {
                sum(&|d: &SharedDemand| d.cards > 1 && is_whole(d) && usize::from(d.cards) <= whole)
            });
            let row = Row {
                one_card: one_card.collect(),
                whole_cards: whole_cards.collect(),
                fractions: fitting().filter(|(d, _)| d.cards > 1 && !is_whole(d)).copied().collect(),
            };
            self.rows[at] = Some(Box::new(row));
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::super::node::ModelSet;
    use super::*;
    use crate::random::Stream;

    /// The definition, request by request.
    fn by_definition(mix: &[(SharedDemand, u64)], node: &SharedNode) -> i64 {
        let free = i64::from(node.free_milli());
        let lost = |(demand, count): &(SharedDemand, u64)| {
            let small = node.cards.iter().filter(|free| **free < demand.card_milli);
            let lost = if demand.cards == 0 || !node.holds(demand) {
                free
            } else {
                small.map(|free| i64::from(*free)).sum()
            };
            lost * *count as i64
        };
        mix.iter().map(lost).sum()
    }

    fn random_demand(draw: &mut Stream) -> SharedDemand {
        let cards = [0, 1, 1, 1, 2, 4][draw.below(6) as usize];
        let shares = if draw.below(8) == 0 { [500, 250] } else { [1000, 1000] };
        let card_milli = match cards {
            0 => 0,
            1 => [100, 250, 460, 500, 1000][draw.below(5) as usize],
            _ => shares[draw.below(2) as usize],
        };
        SharedDemand {
            cpu_milli: 1000 * draw.below(20) as u32,
            mem_mib: 100 * draw.below(20) as u32,
            cards,
            card_milli,
            models: [ModelSet::ANY, ModelSet(0b01), ModelSet(0b10)][draw.below(3) as usize],
        }
    }

    #[test]
    fn tables_equal_the_definition() {
        let mut draw = Stream::new(1, "fragmentation-test", 0, 0);
        for round in 0..30 {
            let mix: Vec<(SharedDemand, u64)> =
                (0..12).map(|_| (random_demand(&mut draw), 1 + draw.below(9))).collect();
            let mut tables = TypicalMix::new(&mix);
            let mut node = SharedNode::new(32_000, 3_000, (round % 2) as u8, [1, 2, 4, 8][round % 4]);
            for _ in 0..20 {
                let before = by_definition(&mix, &node);
                assert_eq!(tables.fragmentation(&node), before);
                let demand = random_demand(&mut draw);
                if !node.holds(&demand) {
                    continue;
                }
                let mut grown = Vec::new();
                tables.growth(&node, before, &demand, |card, growth| grown.push((card, growth)));
                for (card, growth) in grown {
                    let mut next = node.clone();
                    let cards = if demand.is_sharing() {
                        [card].into_iter().collect()
                    } else {
                        node.tightest(&demand)
                    };
                    next.take(&demand, &cards);
                    assert_eq!(by_definition(&mix, &next) - before, growth, "{demand:?} on {node:?}");
                }
                let cards = node.tightest(&demand);
                node.take(&demand, &cards);
            }
        }
    }

    #[test]
    fn the_mix_covers_as_much_as_asked() {
        let of = |milli: u16, count: usize| {
            let demand =
                SharedDemand { cpu_milli: 0, mem_mib: 0, cards: 1, card_milli: milli, models: ModelSet::ANY };
            vec![(demand, 0); count]
        };
        let demands = [of(100, 4), of(200, 90), of(300, 5), of(400, 1)].concat();
        let mix = TypicalMix::most_frequent(&demands, 95);
        assert_eq!((mix.weight(), mix.milli_steps.as_slice()), (95, &[200, 300][..]));
    }
}

//! The scores of six policies, as exact integers; the highest wins.

use super::fragmentation::TypicalMix;
use super::node::{CARD_MILLI, SharedDemand, SharedNode};

/// How a node is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SharingPolicy {
    /// Any feasible node, and any of its cards with room, with equal chances.
    Random,
    /// Least scalar product of what is free and what is asked (CPU and GPU).
    DotProduct,
    /// Beside requests of the same kind (sharing, 1 card, 2 cards, ...).
    GpuClustering,
    /// On cards in use before free cards, on used nodes before free nodes.
    GpuPacking,
    /// Least left over (CPU and GPU).
    BestFit,
    /// Fragmentation gradient descent: where the fragmentation grows least.
    Fgd,
}

impl SharingPolicy {
    /// All of them, with their names.
    pub const ALL: [(Self, &str); 6] = [
        (Self::Random, "random"),
        (Self::DotProduct, "dot-product"),
        (Self::GpuClustering, "gpu-clustering"),
        (Self::GpuPacking, "gpu-packing"),
        (Self::BestFit, "best-fit"),
        (Self::Fgd, "fgd"),
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(policy, _)| *policy == self).map_or("", |(_, name)| name)
    }
}

/// What the CPU and GPU of a node are measured against, in thousandths: 128 cores and 8 cards, whatever
/// the cluster has (part of the published rules).
const CPU_UNIT: i64 = 128_000;
const GPU_UNIT: i64 = 8_000;

/// Scores feasible nodes. FGD needs the usual requests; the others pass them over.
#[derive(Clone, Debug)]
pub(in crate::scheduler) struct Scorer {
    policy: SharingPolicy,
    mix: TypicalMix,
    /// For FGD: the largest growth of fragmentation that has at least the score of the position.
    fgd_limits: Vec<i64>,
}

impl Scorer {
    pub(in crate::scheduler) fn new(policy: SharingPolicy, mix: TypicalMix) -> Self {
        let fgd_limits = fgd_limits(mix.weight());
        Self { policy, mix, fgd_limits }
    }

    pub(in crate::scheduler) fn mix_mut(&mut self) -> &mut TypicalMix {
        &mut self.mix
    }

    /// The score of a node that holds the demand; `fragmentation` is the node's own.
    pub(in crate::scheduler) fn score(
        &mut self,
        demand: &SharedDemand,
        node: &SharedNode,
        fragmentation: i64,
    ) -> i32 {
        let score = match self.policy {
            SharingPolicy::Random => 0,
            SharingPolicy::DotProduct => dot_product(demand, node),
            SharingPolicy::GpuClustering => gpu_clustering(demand, node),
            SharingPolicy::GpuPacking => gpu_packing(demand, node),
            SharingPolicy::BestFit => best_fit(demand, node),
            SharingPolicy::Fgd => self.fgd(demand, node, fragmentation).0,
        };
        i32::try_from(score).expect("scores are sums of few small terms")
    }

    /// The best score over the cards that the demand could take, and the first card that has it.
    pub(in crate::scheduler) fn fgd(
        &mut self,
        demand: &SharedDemand,
        node: &SharedNode,
        fragmentation: i64,
    ) -> (i64, u8) {
        let mut best = (i64::MAX, 0);
        let mut score = -1;
        let limits = &self.fgd_limits;
        self.mix.growth(node, fragmentation, demand, |card, growth| {
            if growth < best.0 {
                let now = fgd_score(limits, growth);
                if now > score {
                    (score, best) = (now, (growth, card));
                }
            }
        });
        (score, best.1)
    }
}

/// floor(100 (1 - (cpu free x cpu asked / unit^2 + gpu free x gpu asked / unit^2) / 2)).
fn dot_product(demand: &SharedDemand, node: &SharedNode) -> i64 {
    let cpu = i64::from(node.cpu_milli) * i64::from(demand.cpu_milli);
    let gpu = i64::from(node.free_milli()) * i64::from(demand.total_milli());
    let scale = (CPU_UNIT / GPU_UNIT) * (CPU_UNIT / GPU_UNIT);
    (100 * CPU_UNIT * CPU_UNIT - 50 * (cpu + scale * gpu)).div_euclid(CPU_UNIT * CPU_UNIT)
}

/// floor(100 (1 - (cpu left / unit + gpu left / unit) / 2)).
fn best_fit(demand: &SharedDemand, node: &SharedNode) -> i64 {
    let cpu = i64::from(node.cpu_milli - demand.cpu_milli);
    let gpu = i64::from(node.free_milli() - demand.total_milli());
    (100 * CPU_UNIT - 50 * (cpu + gpu * (CPU_UNIT / GPU_UNIT))).div_euclid(CPU_UNIT)
}

/// 75 among its kind only, 50 among its kind and others, 25 where no GPU is in use, and up to 25 more
/// the less GPU is free.
fn gpu_clustering(demand: &SharedDemand, node: &SharedNode) -> i64 {
    let Some(kind) = demand.kind() else { return 0 };
    let kinds = node.kinds();
    let company = match (kinds, kinds >> kind & 1) {
        (0, _) => 25,
        (_, 0) => 0,
        (all, _) if all == 1 << kind => 75,
        _ => 50,
    };
    company + (25 * (GPU_UNIT - i64::from(node.free_milli()))).div_euclid(GPU_UNIT)
}

/// 50 and more on cards in use, 33 to 49 on free cards of a used node, less on a free node.
fn gpu_packing(demand: &SharedDemand, node: &SharedNode) -> i64 {
    if demand.cards == 0 {
        return 0;
    }
    let cards = node.tightest(demand);
    let frees = cards.iter().map(|card| i64::from(node.cards[usize::from(*card)]));
    let opened = frees.clone().filter(|free| *free == i64::from(CARD_MILLI)).count() as i64;
    if usize::from(node.whole_cards()) == node.cards.len() {
        let all = node.cards.len() as i64;
        (33 - all).max(all)
    } else if opened > 0 {
        (50 - opened).max(33)
    } else {
        (100 - frees.sum::<i64>() / 100).max(50)
    }
}

/// floor(100 / (1 + exp(growth / 1000))), the growth in thousandths of a card.
fn fgd_formula(growth: f64) -> i64 {
    (100.0 / (1.0 + libm::exp(growth / 1000.0))) as i64
}

fn fgd_score(limits: &[i64], growth: i64) -> i64 {
    limits.partition_point(|limit| growth <= *limit) as i64
}

/// For each score 1..=100 the largest weighted growth that has it, found by bisection of the formula,
/// which falls with the growth.
fn fgd_limits(weight: i64) -> Vec<i64> {
    let scored = |growth: i64| fgd_formula(growth as f64 / weight.max(1) as f64);
    let furthest = 64_000 * weight.max(1);
    let limit = |score: i64| {
        let (mut has, mut lacks) = (-furthest, furthest);
        while lacks - has > 1 {
            let middle = has + (lacks - has) / 2;
            if scored(middle) >= score { has = middle } else { lacks = middle }
        }
        has
    };
    (1..=100).map(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::super::node::ModelSet;
    use super::*;

    fn demand(cpu: u32, cards: u8, card_milli: u16) -> SharedDemand {
        SharedDemand { cpu_milli: cpu, mem_mib: 0, cards, card_milli, models: ModelSet::ANY }
    }

    fn node(cpu: u32, cards: &[u16]) -> SharedNode {
        let mut node = SharedNode::new(cpu, 0, 0, cards.len());
        for (card, free) in (0u8..).zip(cards) {
            if *free < 1000 {
                node.take(&demand(0, 1, 1000 - free), &[card]);
            }
        }
        node
    }

    #[test]
    fn scores_by_hand() {
        // 100 (1 - (0.5 x 0.125 + 0.5 x 0.125) / 2) = 93.75
        assert_eq!(dot_product(&demand(16_000, 1, 1000), &node(64_000, &[1000; 4])), 93);
        // 100 (1 - 0.5 x 48/128 - 0.5 x 3/8) = 62.5
        assert_eq!(best_fit(&demand(16_000, 1, 1000), &node(64_000, &[1000; 4])), 62);
        let shared = node(64_000, &[500, 1000]);
        assert_eq!(gpu_clustering(&demand(0, 1, 500), &shared), 75 + 20);
        assert_eq!(gpu_clustering(&demand(0, 1, 1000), &shared), 20);
        assert_eq!(gpu_clustering(&demand(0, 1, 1000), &node(0, &[1000; 8])), 25);
        assert_eq!(gpu_clustering(&demand(0, 0, 0), &shared), 0);
        assert_eq!(gpu_packing(&demand(0, 1, 400), &shared), 95);
        assert_eq!(gpu_packing(&demand(0, 1, 600), &shared), 49);
        assert_eq!(gpu_packing(&demand(0, 1, 600), &node(0, &[1000; 8])), 25);
        assert_eq!(gpu_packing(&demand(0, 0, 0), &shared), 0);
    }

    #[test]
    fn limits_equal_the_formula() {
        for weight in [1, 7, 8152] {
            let limits = fgd_limits(weight);
            assert!(limits.is_sorted_by(|a, b| a >= b));
            for growth in (-9000..9000).map(|g| g * weight / 3) {
                let formula = fgd_formula(growth as f64 / weight as f64);
                assert_eq!(fgd_score(&limits, growth), formula, "{growth} / {weight}");
            }
        }
        assert_eq!(fgd_formula(0.0), 50);
    }
}

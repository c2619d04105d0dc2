//! Fills a cluster with pods until much more was asked than it has, and samples as it goes.

use super::lists::{Lists, Pod};
use crate::random::Stream;
use crate::scheduler::sharing::{Placer, SharedDemand, SharingPolicy, TieRule, TypicalMix};

/// Loads at which figures are told, in per cent of the cluster's GPU: what has arrived so far, placed or not.
pub const LOADS: [usize; 27] = {
    let mut loads = [0; 27];
    let mut at = 0;
    while at < 27 {
        loads[at] = 5 * at;
        at += 1;
    }
    loads
};

/// Share of the list's pods that the usual requests cover, in per cent.
const TYPICAL_PER_CENT: u64 = 95;

/// Pods arrive until so much is asked, in per cent of the cluster's GPU.
const LAST_LOAD: u64 = 130;

/// What one run tells, by load; `None` where no pod arrived at that load.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// GPU that is taken, in per cent of all.
    pub allocation_pct: Vec<Option<f64>>,
    /// What the usual requests cannot use, in per cent of the free GPU.
    pub fragmentation_ratio_pct: Vec<Option<f64>>,
    /// The same amount in per cent of all GPU.
    pub fragmentation_pct: Vec<Option<f64>>,
}

/// All pods of the list in random order, then pods drawn from it with replacement, until the next one
/// would push what is asked beyond 130 % of the cluster. (As in the published rule, the test adds the
/// next pod's part of one card, not of all its cards.) Of a list that asks for more than that by itself,
/// pods are left out at random until it does not.
#[must_use]
pub fn arrivals(lists: &Lists, seed: u64) -> Vec<SharedDemand> {
    let mut draw = Stream::new(seed, "openb-arrivals", 0, 0);
    let mut pods: Vec<SharedDemand> = lists.pods.iter().map(|pod| pod.demand).collect();
    draw.shuffle(&mut pods);
    let most = total_milli(lists) * LAST_LOAD / 100;
    let mut asked: u64 = pods.iter().map(|pod| u64::from(pod.total_milli())).sum();
    if asked > most {
        while asked > most {
            let left_out = pods.pop().expect("without pods nothing is asked");
            asked -= u64::from(left_out.total_milli());
        }
        return pods;
    }
    // A list without GPU pods would never reach the load.
    if asked == 0 {
        return pods;
    }
    loop {
        let next = lists.pods[draw.below(lists.pods.len() as u64) as usize].demand;
        if asked + u64::from(next.card_milli) > most {
            return pods;
        }
        asked += u64::from(next.total_milli());
        pods.push(next);
    }
}

fn total_milli(lists: &Lists) -> u64 {
    lists.nodes.iter().map(|node| u64::from(node.free_milli())).sum()
}

/// One run: the pods arrive one by one, stay, and are dropped where no node has room. Figures are sampled on the
/// empty cluster and after every pod.
#[must_use]
pub fn fill(lists: &Lists, mix: &TypicalMix, policy: SharingPolicy, seed: u64) -> Curve {
    let mut placer = Placer::new(&lists.nodes, policy, TieRule::PermutedPerSeed, mix.clone(), seed);
    let total = placer.total_milli();
    let mut samples = vec![Sample::default(); LOADS[LOADS.len() - 1] + 1];
    let mut arrived = 0;
    let mut sample = |placer: &mut Placer, arrived: u64| {
        // Rounded to the nearest per cent.
        let load = (200 * arrived + total) / (2 * total);
        let Some(sample) = samples.get_mut(load as usize) else { return false };
        let (lost, ratio) = placer.fragmentation();
        sample.count += 1;
        sample.allocated += placer.allocated_milli();
        sample.ratio += ratio;
        sample.lost += lost;
        true
    };
    sample(&mut placer, arrived);
    for pod in arrivals(lists, seed) {
        placer.place(&pod);
        arrived += u64::from(pod.total_milli());
        if !sample(&mut placer, arrived) {
            break;
        }
    }
    let per_cent = 100.0 / total as f64;
    let at_loads = |figure: &dyn Fn(&Sample) -> f64| -> Vec<Option<f64>> {
        let mean = |load: usize| {
            let sample = &samples[load];
            (sample.count > 0).then(|| figure(sample) / f64::from(sample.count))
        };
        LOADS.into_iter().map(mean).collect()
    };
    Curve {
        allocation_pct: at_loads(&|sample| per_cent * sample.allocated as f64),
        fragmentation_ratio_pct: at_loads(&|sample| 100.0 * sample.ratio),
        fragmentation_pct: at_loads(&|sample| per_cent * sample.lost),
    }
}

/// The usual requests of a list: by CPU, share of a card, cards and models as written; memory is left out.
/// Equally frequent ones come in falling order of these four, as in the authors' simulator.
#[must_use]
pub fn typical(lists: &Lists) -> TypicalMix {
    let without_memory = |pod: &Pod| (SharedDemand { mem_mib: 0, ..pod.demand }, pod.spec);
    TypicalMix::most_frequent(&lists.pods.iter().map(without_memory).collect::<Vec<_>>(), TYPICAL_PER_CENT)
}

#[derive(Clone, Copy, Default)]
struct Sample {
    count: u32,
    allocated: u64,
    ratio: f64,
    lost: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Diagnostics;
    use crate::scheduler::sharing::{ModelSet, SharedNode};

    fn lists() -> Lists {
        let pod = |milli: u16| {
            let (cpu_milli, mem_mib, cards, card_milli) = (1000, 1, 1, milli);
            Pod {
                demand: SharedDemand { cpu_milli, mem_mib, cards, card_milli, models: ModelSet::ANY },
                spec: 0,
            }
        };
        Lists {
            nodes: vec![SharedNode::new(64_000, 1000, 0, 4); 5],
            pods: (0..40).map(|n| pod([1000, 400, 300][n % 3])).collect(),
            told: Diagnostics::default(),
        }
    }

    #[test]
    fn the_list_comes_whole_and_then_again_until_the_last_load() {
        let lists = lists();
        let pods = arrivals(&lists, 3);
        let mut first: Vec<SharedDemand> = pods[..40].to_vec();
        let mut list: Vec<SharedDemand> = lists.pods.iter().map(|pod| pod.demand).collect();
        first.sort_unstable();
        list.sort_unstable();
        assert_eq!(first, list);
        let asked: u64 = pods.iter().map(|pod| u64::from(pod.total_milli())).sum();
        assert!((25_000..=26_000).contains(&asked), "{asked}");
        assert_ne!(arrivals(&lists, 4), pods);
    }

    #[test]
    fn a_curve_is_the_same_every_time_and_never_above_all() {
        let lists = lists();
        for (policy, name) in SharingPolicy::ALL {
            let curve = fill(&lists, &typical(&lists), policy, 5);
            assert_eq!(curve, fill(&lists, &typical(&lists), policy, 5), "{name}");
            let last = curve.allocation_pct[20].unwrap();
            assert!((80.0..=100.0).contains(&last), "{name} {last}");
        }
    }
}

//! Rates of flows that share links: weighted max-min fairness with caps, by progressive filling.
//!
//! All rates rise together. Where a link is full, the flows through it stay at what they have; where a flow reaches its cap,
//! it stays there; the others go on. A flow puts `weight` bytes on a link for each byte of its own.
//!
//! A link's level (what is left of it over the weights that still rise) never falls, so an old level in the heap is a lower
//! bound and is looked at again only when it is the lowest. Before a link stops anybody its level is added up afresh: what was
//! taken away flow by flow may have left nothing but rounding. Work: each entry of a flow a few times, each with one step of
//! the heap. Ties go to the lower link number; they do not change rates.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A system of flows over links. Memory is kept when it is cleared, so that a simulation fills it again and again.
#[derive(Clone, Debug, Default)]
pub struct Filling {
    capacity: Vec<f64>,
    caps: Vec<f64>,
    /// Entries of flow `f`: `first[f]..first[f + 1]`.
    first: Vec<u32>,
    entries: Vec<(u32, f64)>,
    /// The same by link, made once for all solutions of one system.
    users_first: Vec<u32>,
    users: Vec<(u32, f64)>,
    indexed: bool,
    links: Vec<Link>,
    lowest: BinaryHeap<Reverse<(u64, u32)>>,
    by_cap: Vec<u32>,
    rates: Vec<f64>,
}

/// A link while rates rise.
#[derive(Clone, Copy, Debug)]
struct Link {
    /// Capacity that no stopped flow uses.
    left: f64,
    /// Sum of the weights that still rise.
    weight: f64,
    /// Entries that still rise.
    rising: u32,
    /// Nothing has been taken away since `left` and `weight` were added up.
    exact: bool,
}

impl Link {
    fn level(self) -> f64 {
        self.left.max(0.0) / self.weight
    }
}

/// A flow that has not stopped.
const RISING: f64 = -1.0;

impl Filling {
    /// Forgets links and flows.
    pub fn clear(&mut self) {
        self.capacity.clear();
        self.caps.clear();
        self.first.clear();
        self.entries.clear();
        self.indexed = false;
    }

    /// Adds a link; its number is the count of those before. A capacity of zero is a link that has failed.
    pub fn link(&mut self, capacity: f64) -> u32 {
        debug_assert!(capacity >= 0.0, "a capacity is a number and not negative");
        self.capacity.push(capacity);
        self.indexed = false;
        (self.capacity.len() - 1) as u32
    }

    /// Adds a flow with its weights on links and its cap (`f64::INFINITY`: none). Weights of zero are no use of a link.
    pub fn flow(&mut self, weights: impl IntoIterator<Item = (u32, f64)>, cap: f64) -> u32 {
        self.first.truncate(self.caps.len());
        self.first.push(self.entries.len() as u32);
        self.entries.extend(weights.into_iter().filter(|(_, weight)| *weight > 0.0));
        self.caps.push(cap);
        self.indexed = false;
        (self.caps.len() - 1) as u32
    }

    /// Gives a flow another cap, for the next solution.
    pub fn set_cap(&mut self, flow: u32, cap: f64) {
        self.caps[flow as usize] = cap;
    }

    /// The rate of each flow, in the order in which they were added. A flow without link and cap has an infinite rate.
    pub fn solve(&mut self) -> &[f64] {
        self.index();
        self.start();
        let mut next_cap = 0;
        let mut floor = 0.0;
        loop {
            let lowest = self.lowest.peek().map_or(f64::INFINITY, |Reverse((key, _))| f64::from_bits(*key));
            while let Some(&flow) = self.by_cap.get(next_cap)
                && self.caps[flow as usize] <= lowest
            {
                next_cap += 1;
                if self.rates[flow as usize] == RISING {
                    floor = self.caps[flow as usize];
                    self.stop(flow, floor);
                }
            }
            let Some(Reverse((key, number))) = self.lowest.pop() else { break };
            if let Some(level) = self.full(key, number) {
                floor = level.max(floor);
                self.stop_all(number, floor);
            }
        }
        self.rates.iter_mut().filter(|rate| **rate == RISING).for_each(|rate| *rate = f64::INFINITY);
        &self.rates
    }

    /// The level at which the link is full, or `None` where it is not its turn yet (it is back in the heap) or never will be.
    fn full(&mut self, key: u64, number: u32) -> Option<f64> {
        let link = self.links[number as usize];
        if link.rising == 0 {
            return None;
        }
        let level = link.level();
        if level.to_bits() > key {
            self.lowest.push(Reverse((level.to_bits(), number)));
            return None;
        }
        if link.exact {
            return Some(level);
        }
        let afresh = self.added_up(number);
        self.links[number as usize] = afresh;
        let level = afresh.level();
        if level.to_bits() > key {
            self.lowest.push(Reverse((level.to_bits(), number)));
            return None;
        }
        Some(level)
    }

    /// What is left of a link and who still rises there, from nothing.
    fn added_up(&self, number: u32) -> Link {
        let at = number as usize;
        let mut link = Link { left: self.capacity[at], weight: 0.0, rising: 0, exact: true };
        for &(flow, weight) in &self.users[self.users_first[at] as usize..self.users_first[at + 1] as usize] {
            let rate = self.rates[flow as usize];
            if rate == RISING {
                link.weight += weight;
                link.rising += 1;
            } else {
                link.left -= weight * rate;
            }
        }
        link
    }

    fn stop_all(&mut self, number: u32, rate: f64) {
        let at = number as usize;
        for user in self.users_first[at]..self.users_first[at + 1] {
            let (flow, _) = self.users[user as usize];
            if self.rates[flow as usize] == RISING {
                self.stop(flow, rate);
            }
        }
    }

    fn stop(&mut self, flow: u32, rate: f64) {
        let at = flow as usize;
        self.rates[at] = rate;
        for &(link, weight) in &self.entries[self.first[at] as usize..self.first[at + 1] as usize] {
            let link = &mut self.links[link as usize];
            link.left -= weight * rate;
            link.weight -= weight;
            link.rising -= 1;
            link.exact = false;
        }
    }

    /// Entries by link, by counting.
    fn index(&mut self) {
        if self.indexed {
            return;
        }
        self.indexed = true;
        self.first.truncate(self.caps.len());
        self.first.push(self.entries.len() as u32);
        self.users_first.clear();
        self.users_first.resize(self.capacity.len() + 2, 0);
        for (link, _) in &self.entries {
            self.users_first[*link as usize + 2] += 1;
        }
        for at in 2..self.users_first.len() {
            self.users_first[at] += self.users_first[at - 1];
        }
        self.users.clear();
        self.users.resize(self.entries.len(), (0, 0.0));
        for flow in 0..self.caps.len() {
            for &(link, weight) in &self.entries[self.first[flow] as usize..self.first[flow + 1] as usize] {
                let next = &mut self.users_first[link as usize + 1];
                self.users[*next as usize] = (flow as u32, weight);
                *next += 1;
            }
        }
    }

    /// Everybody rises from zero.
    fn start(&mut self) {
        self.rates.clear();
        self.rates.resize(self.caps.len(), RISING);
        self.links.clear();
        self.lowest.clear();
        for number in 0..self.capacity.len() as u32 {
            let link = self.added_up(number);
            self.links.push(link);
            if link.rising > 0 {
                self.lowest.push(Reverse((link.level().to_bits(), number)));
            }
        }
        self.by_cap.clear();
        self.by_cap.extend((0..self.caps.len() as u32).filter(|flow| self.caps[*flow as usize].is_finite()));
        self.by_cap.sort_unstable_by(|a, b| {
            self.caps[*a as usize].total_cmp(&self.caps[*b as usize]).then(a.cmp(b))
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rule word for word, in rounds over everything.
    fn by_rounds(capacity: &[f64], flows: &[(Vec<(u32, f64)>, f64)]) -> Vec<f64> {
        let mut rates = vec![None; flows.len()];
        while rates.iter().any(Option::is_none) {
            let level = |link: u32| {
                let on = |flow: &(Vec<(u32, f64)>, f64)| -> f64 {
                    flow.0.iter().filter(|(l, _)| *l == link).map(|(_, w)| w).sum()
                };
                let used: f64 = flows
                    .iter()
                    .zip(&rates)
                    .filter_map(|(f, r): (_, &Option<f64>)| r.map(|r| r * on(f)))
                    .sum();
                let rising: f64 =
                    flows.iter().zip(&rates).filter(|(_, r)| r.is_none()).map(|(f, _)| on(f)).sum();
                if rising > 0.0 { (capacity[link as usize] - used).max(0.0) / rising } else { f64::INFINITY }
            };
            let limit = |flow: &(Vec<(u32, f64)>, f64)| {
                let links = flow.0.iter().filter(|(_, w)| *w > 0.0).map(|(l, _)| level(*l));
                links.fold(flow.1, f64::min)
            };
            let limits: Vec<f64> = flows.iter().map(limit).collect();
            let lowest = limits.iter().zip(&rates).filter(|(_, r)| r.is_none());
            let lowest = lowest.map(|(limit, _)| *limit).fold(f64::INFINITY, f64::min);
            for (limit, rate) in limits.iter().zip(&mut rates) {
                if rate.is_none() && *limit <= lowest {
                    *rate = Some(lowest);
                }
            }
        }
        rates.into_iter().flatten().collect()
    }

    fn filled(capacity: &[f64], flows: &[(Vec<(u32, f64)>, f64)]) -> Vec<f64> {
        let mut filling = Filling::default();
        capacity.iter().for_each(|capacity| {
            filling.link(*capacity);
        });
        flows.iter().for_each(|(weights, cap)| {
            filling.flow(weights.iter().copied(), *cap);
        });
        filling.solve().to_vec()
    }

    fn near(a: f64, b: f64) -> bool {
        a == b || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
    }

    #[test]
    fn a_parking_lot_gives_the_long_flow_what_the_narrowest_link_leaves() {
        let flows = [
            (vec![(0, 1.0), (1, 1.0)], f64::INFINITY),
            (vec![(0, 1.0)], f64::INFINITY),
            (vec![(1, 1.0)], 3.0),
        ];
        assert_eq!(filled(&[8.0, 12.0], &flows), [4.0, 4.0, 3.0]);
    }

    #[test]
    fn a_failed_link_stops_its_flows_and_nobody_else() {
        let flows = [
            (vec![(0, 1.0), (1, 1.0)], 9.0),
            (vec![(1, 2.0)], f64::INFINITY),
            (vec![], 7.0),
            (vec![], f64::INFINITY),
        ];
        assert_eq!(filled(&[0.0, 12.0], &flows), [0.0, 6.0, 7.0, f64::INFINITY]);
    }

    #[test]
    fn flows_may_be_added_and_caps_changed_between_solutions() {
        let mut filling = Filling::default();
        let link = filling.link(10.0);
        let first = filling.flow([(link, 1.0)], f64::INFINITY);
        assert_eq!(filling.solve(), [10.0]);
        filling.flow([(link, 1.0)], f64::INFINITY);
        assert_eq!(filling.solve(), [5.0, 5.0]);
        filling.set_cap(first, 2.0);
        assert_eq!(filling.solve(), [2.0, 8.0]);
        filling.clear();
        assert!(filling.solve().is_empty());
    }

    /// What is left of a link after a large flow stopped is not rounding of the large flow.
    #[test]
    fn small_weights_beside_large_ones_keep_their_share() {
        let flows = [(vec![(0, 1e12), (1, 1.0)], f64::INFINITY), (vec![(0, 1e-3)], f64::INFINITY)];
        let rates = filled(&[3.0, 1e-12], &flows);
        assert!(near(rates[0], 1e-12) && near(rates[1], 2000.0), "{rates:?}");
    }

    prop_compose! {
        fn system()(links in 1usize..7)(
            capacity in prop::collection::vec(prop_oneof![Just(0.0), 0.5f64..50.0, Just(10.0)], links),
            flows in prop::collection::vec(
                (prop::collection::btree_map(0..links as u32, prop_oneof![Just(1.0), 0.01f64..4.0], 0..=links),
                 prop_oneof![Just(f64::INFINITY), 0.01f64..20.0]),
                1..12,
            ),
        ) -> (Vec<f64>, Vec<(Vec<(u32, f64)>, f64)>) {
            (capacity, flows.into_iter().map(|(weights, cap)| (weights.into_iter().collect(), cap)).collect())
        }
    }

    proptest! {
        #[test]
        fn filling_equals_the_rule_in_rounds((capacity, flows) in system()) {
            let (ours, slow) = (filled(&capacity, &flows), by_rounds(&capacity, &flows));
            prop_assert!(ours.iter().zip(&slow).all(|(a, b)| near(*a, *b)), "{ours:?} {slow:?}");
        }
    }
}

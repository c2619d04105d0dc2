//! Which nodes a job gets: the rule of `select/cons_tres`, under `topology/tree` by leaves ([`Leaves`]; `select/cons_res`
//! had another rule of leaves).
//!
//! From 26.05 on a job of one node takes the first feasible one, by weight and index. Else:
//!
//! 1. Feasible = enough free CPUs, memory and devices. `avail` = CPUs that the job could use there.
//! 2. Feasible nodes fall into runs of consecutive indices (and equal weight). A run suffices if its
//!    nodes and the sum of its `avail` cover what is still needed. Take the sufficient run with the
//!    smallest sum; if there is none, the run with the largest; ties go to the lowest index.
//! 3. If one node is still needed, take the run's node with the smallest `avail` that suffices (lowest
//!    index on ties); else nodes in index order until the job is served; then the next run.
//!
//! The rule and its ties are those of ../shared/slurm-reference (README "Node selection"), reproduced
//! there for every main-scheduler start; both schedulers use it on the nodes that each of them sees.

mod tightest;
mod tree;

pub use tree::Leaves;

use super::NodeSet;
use super::config::{NodeConf, Rule, SlurmConfig};
use super::devices::Cards;
use super::job::Ask;
use crate::cluster::Amounts;
use crate::cluster::cards::CardNode;
use crate::ids::{Id, PoolId, TenantId};

/// What is free on one node now, or will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Free {
    /// CPUs.
    pub cpus: u32,
    /// Memory in MiB.
    pub mem_mb: u64,
    /// Devices, one bit each.
    pub gpus: u64,
    /// GPUs card by card, where they are given out so; there are no bits then.
    pub cards: Option<Box<CardNode>>,
    /// Whose jobs are on its host, and how many grants they have there, where hosts are dedicated.
    pub owner: Option<(TenantId, u32)>,
}

/// What the rule needs to know of a node besides what is free.
#[derive(Clone, Debug)]
pub struct Hardware {
    /// Nothing used.
    pub empty: Free,
    /// `Weight`.
    pub weight: u32,
    /// Devices by type: (type, one bit each).
    pub devices: Vec<(super::config::DeviceTypeId, u64)>,
    /// Features.
    pub features: Vec<String>,
    /// How its GPUs are given out, where that is card by card.
    pub cards: Option<Cards>,
    /// The pool that it belongs to, and nodes on each host where the pool is dedicated.
    pub pool: Option<(usize, Option<u32>)>,
}

impl Hardware {
    /// Of a configured node; devices are numbered in the order of its `Gres`.
    #[must_use]
    pub fn of(node: &NodeConf) -> Self {
        let mut next = 0;
        let mut devices = Vec::new();
        for gres in &node.gres {
            let mask = mask_of(gres.count) << next;
            next += gres.count;
            if let Some(kind) = gres.device_type {
                devices.push((kind, mask));
            }
        }
        Self {
            empty: Free {
                cpus: node.cpus,
                mem_mb: node.mem_mb,
                gpus: mask_of(next),
                cards: None,
                owner: None,
            },
            weight: node.weight,
            devices,
            features: node.features.clone(),
            cards: None,
            pool: None,
        }
    }

    /// The same node with `gpus` GPUs that are given out card by card.
    #[must_use]
    pub fn with_cards(mut self, cards: Cards, gpus: u32) -> Self {
        let capacity = Amounts { cpus: self.empty.cpus, gpus, mem_mb: self.empty.mem_mb };
        let node = CardNode::new(PoolId::new(cards.pool), capacity, &cards.spec);
        self.empty.gpus = 0;
        self.empty.cards = Some(Box::new(node));
        self.cards = Some(cards);
        self
    }

    /// What the node has.
    #[must_use]
    pub fn capacity(&self) -> Amounts {
        match &self.empty.cards {
            Some(node) => node.capacity,
            None => Amounts {
                cpus: self.empty.cpus,
                gpus: self.empty.gpus.count_ones(),
                mem_mb: self.empty.mem_mb,
            },
        }
    }

    /// Devices of a type, or all.
    fn mask(&self, kind: Option<super::config::DeviceTypeId>) -> u64 {
        match kind {
            None => self.empty.gpus,
            Some(kind) => self.devices.iter().filter(|(k, _)| *k == kind).fold(0, |m, (_, bits)| m | bits),
        }
    }

    /// The devices that a job gets: of each type asked for the free ones with the lowest indices.
    #[must_use]
    pub fn pick_devices(&self, ask: &Ask, free: &Free) -> Option<u64> {
        let mut picked = 0u64;
        for gres in &ask.gres {
            let mut left = free.gpus & self.mask(gres.device_type) & !picked;
            for _ in 0..gres.count {
                if left == 0 {
                    return None;
                }
                let lowest = left & left.wrapping_neg();
                picked |= lowest;
                left ^= lowest;
            }
        }
        Some(picked)
    }

    /// Whether a job's share fits into what is free.
    #[inline]
    #[must_use]
    pub fn fits(&self, ask: &Ask, free: &Free, memory: bool, is_later: bool) -> bool {
        if free.cpus < ask.cpus_per_node || (memory && free.mem_mb < ask.mem_mb_per_node) {
            return false;
        }
        if ask.exclusive && !free.is_unused(&self.empty) {
            return false;
        }
        if free.owner.is_some_and(|(owner, _)| ask.tenant != Some(owner)) {
            return false;
        }
        let devices = match ask.gres.as_slice() {
            _ if self.cards.is_some() => self.cuts(ask, free, is_later),
            [] => true,
            [one] => (free.gpus & self.mask(one.device_type)).count_ones() >= one.count,
            _ => self.pick_devices(ask, free).is_some(),
        };
        devices && ask.features.iter().all(|f| self.features.iter().any(|g| **g == **f))
    }

    /// Whether the cards of the node have what a job asks for.
    fn cuts(&self, ask: &Ask, free: &Free, is_later: bool) -> bool {
        let both = self.cards.as_ref().zip(free.cards.as_deref());
        both.is_some_and(|(cards, node)| cards.choose(ask.parts.as_ref(), node, is_later).is_some())
    }
}

/// `n` ones.
fn mask_of(n: u32) -> u64 {
    if n >= 64 { u64::MAX } else { (1 << n) - 1 }
}

/// CPUs that the job could use on a node with so much free.
fn avail(ask: &Ask, free: &Free) -> u64 {
    if ask.fixed_per_node && !ask.gres.is_empty() {
        u64::from(ask.cpus_per_node)
    } else {
        u64::from(free.cpus)
    }
}

/// A run of consecutive feasible nodes: positions in the list of feasible nodes.
#[derive(Clone, Copy)]
struct Run {
    from: usize,
    to: usize,
    avail: u64,
    weight: u32,
}

/// CPUs free on every node at one instant.
#[derive(Clone, Debug, Default)]
pub struct Level {
    /// By node.
    pub cpus: Vec<u32>,
    /// Of all nodes before this one; one more at the end.
    pub sums: Vec<u64>,
}

impl Level {
    /// The first of the nodes `from..to` with the fewest CPUs among those with at least `cpus`.
    fn tightest(&self, from: usize, to: usize, cpus: u64) -> Option<usize> {
        let least = u32::try_from(cpus).ok()?;
        let here = &self.cpus[from..to];
        // what is below the least wraps round to the top
        let spare = here.iter().fold(u32::MAX, |best, cpus| best.min(cpus.wrapping_sub(least)));
        let best = least.checked_add(spare)?;
        here.iter().position(|cpus| *cpus == best).map(|at| from + at)
    }

    /// Adds up `cpus` anew.
    pub fn add_up(&mut self) {
        self.sums.clear();
        self.sums.push(0);
        let mut sum = 0;
        self.sums.extend(self.cpus.iter().map(|cpus| {
            sum += u64::from(*cpus);
            sum
        }));
    }
}

/// Calls `found` with each run of consecutive nodes in `set`, as a half-open range, in order.
pub(super) fn each_run(set: &NodeSet, mut found: impl FnMut(usize, usize)) {
    let width = usize::BITS as usize;
    let mut open = None;
    for (at, word) in set.as_slice().iter().enumerate() {
        let mut bit = 0;
        while bit < width {
            let rest = word >> bit;
            match open {
                Some(from) => {
                    bit += (rest.trailing_ones() as usize).min(width - bit);
                    if bit < width {
                        found(from, at * width + bit);
                        open = None;
                    }
                }
                None if rest == 0 => break,
                None => {
                    bit += rest.trailing_zeros() as usize;
                    open = Some(at * width + bit);
                }
            }
        }
    }
    if let Some(from) = open {
        found(from, set.len());
    }
}

/// The rule, bound to a site.
#[derive(Clone, Copy, Debug)]
pub struct Placement<'c> {
    /// Nodes.
    pub hardware: &'c [Hardware],
    /// Memory is consumed.
    pub memory: bool,
    /// `CR_LLN`.
    pub least_loaded: bool,
    /// This is about a later instant: layouts of GPUs may have been changed until then.
    pub is_later: bool,
    /// A job of one node takes the first that holds it.
    pub first_fit: bool,
    /// The switches of `topology/tree`.
    pub leaves: Option<Leaves<'c>>,
}

impl<'c> Placement<'c> {
    /// The rule for a site.
    #[must_use]
    pub fn new(config: &'c SlurmConfig, hardware: &'c [Hardware]) -> Self {
        Self {
            hardware,
            memory: config.select.memory,
            least_loaded: config.select.least_loaded,
            is_later: false,
            first_fit: config.has(Rule::OneNodeFirstFit),
            leaves: config.topology.as_ref().map(|tree| Leaves {
                tree,
                holds_rest: config.version.has(Rule::LeafHoldsRest),
                is_tightest: config.select.cons_res,
                most: None,
            }),
        }
    }

    /// The same for a later instant.
    #[must_use]
    pub fn later(self) -> Self {
        Self { is_later: true, ..self }
    }

    /// Whether the job fits on one node with so much free.
    #[inline]
    #[must_use]
    pub fn fits(&self, ask: &Ask, node: usize, free: &Free) -> bool {
        self.hardware[node].fits(ask, free, self.memory, self.is_later)
    }

    /// The nodes that the job gets out of `allowed`, in the order of choice; `None` if it does not fit.
    #[must_use]
    pub fn choose(&self, ask: &Ask, allowed: &NodeSet, free: &[Free]) -> Option<Vec<usize>> {
        let feasible: Vec<(usize, u64)> = allowed
            .ones()
            .filter(|n| self.fits(ask, *n, &free[*n]))
            .map(|n| (n, avail(ask, &free[n])))
            .collect();
        self.choose_among(ask, feasible, &|n| free[n].cpus)
    }

    /// The same out of feasible nodes, each with its `avail`, in order of index; `free` tells all free CPUs.
    #[must_use]
    pub fn choose_among(
        &self,
        ask: &Ask,
        feasible: Vec<(usize, u64)>,
        free: &dyn Fn(usize) -> u32,
    ) -> Option<Vec<usize>> {
        let total: u64 = feasible.iter().map(|(_, cpus)| cpus).sum();
        if (feasible.len() as u64) < u64::from(ask.min_nodes) || total < u64::from(ask.cpus) {
            return None;
        }
        if self.first_fit && ask.max_nodes == Some(1) && !self.least_loaded {
            let holds = feasible.iter().filter(|(_, cpus)| *cpus >= u64::from(ask.cpus));
            holds.min_by_key(|(node, _)| self.hardware[*node].weight).map(|(node, _)| vec![*node])
        } else if let Some(leaves) = &self.leaves {
            if leaves.is_tightest {
                leaves.choose_tightest(ask, &feasible)
            } else {
                leaves.choose(self, ask, &feasible)
            }
        } else if self.least_loaded {
            self.spread(ask, feasible, free)
        } else {
            self.consecutive(ask, &feasible)
        }
    }

    fn consecutive(&self, ask: &Ask, feasible: &[(usize, u64)]) -> Option<Vec<usize>> {
        let mut runs = self.runs(feasible);
        let mut need = Need::of(ask);
        while !need.met() && !runs.is_empty() {
            let run = runs.remove(best_run(&runs, &need));
            let nodes = &feasible[run.from..run.to];
            if need.nodes <= 1
                && let Some(one) = tightest(nodes, need.cpus)
            {
                need.take(ask, one);
                continue;
            }
            for node in nodes {
                if need.met() || need.full() {
                    break;
                }
                need.take(ask, *node);
            }
        }
        need.met().then_some(need.picked)
    }

    /// Whether [`Placement::choose_on`] may be asked: all nodes weigh the same, no switches, and it is not `CR_LLN`.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        !self.least_loaded
            && self.leaves.is_none()
            && self.hardware.windows(2).all(|pair| pair[0].weight == pair[1].weight)
    }

    /// The same choice out of the `feasible` nodes on a plain site, with `level` as what is free.
    #[must_use]
    pub fn choose_on(&self, ask: &Ask, feasible: &NodeSet, level: &Level) -> Option<Vec<usize>> {
        let devices_only = ask.fixed_per_node && !ask.gres.is_empty();
        let each = u64::from(ask.cpus_per_node);
        let (mut runs, mut count, mut total) = (Vec::new(), 0, 0);
        each_run(feasible, |from, to| {
            let avail =
                if devices_only { each * (to - from) as u64 } else { level.sums[to] - level.sums[from] };
            count += to - from;
            total += avail;
            runs.push(Run { from, to, avail, weight: 0 });
        });
        if (count as u64) < u64::from(ask.min_nodes) || total < u64::from(ask.cpus) {
            return None;
        }
        let avail = |n: usize| if devices_only { each } else { u64::from(level.cpus[n]) };
        if self.first_fit && ask.max_nodes == Some(1) {
            return feasible.ones().find(|n| avail(*n) >= u64::from(ask.cpus)).map(|n| vec![n]);
        }
        let mut need = Need::of(ask);
        while !need.met() && !runs.is_empty() {
            let run = runs.remove(best_run(&runs, &need));
            if need.nodes <= 1 {
                let one = if devices_only {
                    (each >= need.cpus).then_some(run.from)
                } else {
                    level.tightest(run.from, run.to, need.cpus)
                };
                if let Some(one) = one {
                    need.take(ask, (one, avail(one)));
                    continue;
                }
            }
            need.take_run(ask, run.from, run.to, level);
        }
        need.met().then_some(need.picked)
    }

    fn runs(&self, feasible: &[(usize, u64)]) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for (at, (node, cpus)) in feasible.iter().enumerate() {
            let weight = self.hardware[*node].weight;
            match runs.last_mut() {
                Some(run) if feasible[at - 1].0 + 1 == *node && run.weight == weight => {
                    run.to = at + 1;
                    run.avail += cpus;
                }
                _ => runs.push(Run { from: at, to: at + 1, avail: *cpus, weight }),
            }
        }
        runs
    }

    /// `CR_LLN`: of the lightest nodes those with the largest share of their CPUs free first, the lowest index
    /// on ties.
    fn spread(
        &self,
        ask: &Ask,
        mut feasible: Vec<(usize, u64)>,
        free: &dyn Fn(usize) -> u32,
    ) -> Option<Vec<usize>> {
        let all = |n: usize| u64::from(self.hardware[n].empty.cpus);
        feasible.sort_by(|(a, _), (b, _)| {
            let share = (u64::from(free(*b)) * all(*a)).cmp(&(u64::from(free(*a)) * all(*b)));
            self.hardware[*a].weight.cmp(&self.hardware[*b].weight).then(share).then(a.cmp(b))
        });
        let mut need = Need::of(ask);
        for node in feasible {
            if need.met() || need.full() {
                break;
            }
            need.take(ask, node);
        }
        need.met().then_some(need.picked)
    }
}

/// What is still needed while nodes are taken.
struct Need {
    nodes: u32,
    cpus: u64,
    max_nodes: usize,
    picked: Vec<usize>,
}

impl Need {
    fn of(ask: &Ask) -> Self {
        Self {
            nodes: ask.min_nodes,
            cpus: u64::from(ask.cpus),
            max_nodes: ask.max_nodes.map_or(usize::MAX, |n| n as usize),
            picked: Vec::new(),
        }
    }

    fn met(&self) -> bool {
        self.nodes == 0 && self.cpus == 0
    }

    fn full(&self) -> bool {
        self.picked.len() >= self.max_nodes
    }

    /// Takes nodes from the front of a run until the job is served.
    fn take_run(&mut self, ask: &Ask, from: usize, to: usize, level: &Level) {
        let for_cpus = if ask.fixed_per_node {
            self.cpus.div_ceil(u64::from(ask.cpus_per_node.max(1))) as usize
        } else {
            let sums = &level.sums[from..=to];
            sums.partition_point(|sum| sum - sums[0] < self.cpus)
        };
        let room = self.max_nodes.saturating_sub(self.picked.len());
        let count = for_cpus.max(self.nodes as usize).min(to - from).min(room);
        let used = if ask.fixed_per_node {
            u64::from(ask.cpus_per_node) * count as u64
        } else {
            level.sums[from + count] - level.sums[from]
        };
        self.cpus = self.cpus.saturating_sub(used);
        self.nodes = self.nodes.saturating_sub(u32::try_from(count).expect("few nodes"));
        self.picked.extend(from..from + count);
    }

    fn take(&mut self, ask: &Ask, (node, cpus): (usize, u64)) {
        let used = if ask.fixed_per_node { u64::from(ask.cpus_per_node) } else { cpus };
        self.cpus = self.cpus.saturating_sub(used);
        self.nodes = self.nodes.saturating_sub(1);
        self.picked.push(node);
    }
}

/// Of the lightest runs the sufficient one with the smallest sum, else the one with the largest.
fn best_run(runs: &[Run], need: &Need) -> usize {
    let lightest = runs.iter().map(|r| r.weight).min().expect("there is a run");
    let mut best: Option<(usize, u64, bool)> = None;
    for (at, run) in runs.iter().enumerate().filter(|(_, r)| r.weight == lightest) {
        let enough = run.avail >= need.cpus && (run.to - run.from) as u64 >= u64::from(need.nodes);
        let better = match best {
            None => true,
            Some((_, sum, was_enough)) => {
                if enough {
                    !was_enough || run.avail < sum
                } else {
                    run.avail > sum
                }
            }
        };
        if better {
            best = Some((at, run.avail, enough));
        }
    }
    best.expect("there is a lightest run").0
}

/// The node with the smallest `avail` that suffices.
fn tightest(nodes: &[(usize, u64)], cpus: u64) -> Option<(usize, u64)> {
    nodes.iter().copied().filter(|(_, a)| *a >= cpus).min_by_key(|(node, a)| (*a, *node))
}

#[cfg(test)]
mod tests;

//! How long a collective takes alone: a measured curve where there is one, else a law of latency and bandwidth.
//!
//! Curves are straight in log size and log time between measured sizes; below the smallest the time is that of the smallest,
//! above the largest the bandwidth is that of the largest. Sizes are what nccl-tests calls size.
//!
//! The law knows rings, and for all-reduce a tree, whichever is cheaper. On boards joined by PCIe it is far too optimistic
//! (shared switches, no peer-to-peer), so whoever uses it there should say so ([`Source::Law`]).

use std::collections::BTreeMap;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Collective {
    /// Everybody gets the sum of all.
    AllReduce,
    /// Everybody gets the parts of all.
    AllGather,
    /// Everybody gets a part of the sum.
    ReduceScatter,
    /// Everybody sends a part to everybody.
    AllToAll,
}

impl Collective {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::AllReduce, Self::AllGather, Self::ReduceScatter, Self::AllToAll];

    /// Its name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AllReduce => "all_reduce",
            Self::AllGather => "all_gather",
            Self::ReduceScatter => "reduce_scatter",
            Self::AllToAll => "alltoall",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// How often a ring carries the data: k in k (n - 1) / n S.
    #[must_use]
    pub fn rounds(self) -> f64 {
        if self == Self::AllReduce { 2.0 } else { 1.0 }
    }
}

/// Between GPUs of a node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Inside {
    /// Bytes per second of a GPU, as achieved.
    pub bytes_per_s: f64,
    /// The same for all-reduce on one node, where the switch may do the sums.
    pub all_reduce_bytes_per_s: f64,
    /// GPUs that are so joined over several nodes; 0 where it ends at the node.
    pub gpus_over_nodes: u32,
}

/// Between nodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Between {
    /// Bytes per second of a port, as achieved.
    pub port_bytes_per_s: f64,
    /// Ports for each GPU.
    pub ports_per_gpu: f64,
    /// End to end, in seconds.
    pub latency_s: f64,
}

/// What GPUs talk over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wires {
    /// Inside a node.
    pub inside: Inside,
    /// Between nodes, where there is a network.
    pub between: Option<Between>,
}

/// Who takes part: ranks, `per_node` of them on each of `nodes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Members {
    /// All of them.
    pub ranks: u32,
    /// On each node.
    pub per_node: u32,
    /// Nodes.
    pub nodes: u32,
}

/// Start of any collective, in seconds.
const START_S: f64 = 6e-6;
/// Software at each step over the network, beside its latency.
const STEP_S: f64 = 2.5e-6;
/// Each step inside a node.
const STEP_INSIDE_S: f64 = 1.5e-6;
/// Each message of an all-to-all.
const MESSAGE_S: f64 = 1e-6;

impl Wires {
    /// Bytes per second of a ring over nodes with so many ranks on each: NVLink or the ports of the ranks, whichever is slower.
    /// On one node that of NVLink.
    #[must_use]
    pub fn ring_bytes_per_s(&self, per_node: f64, nodes: u32) -> Option<f64> {
        if nodes <= 1 {
            return Some(self.inside.bytes_per_s);
        }
        let between = self.between?;
        Some(self.inside.bytes_per_s.min(per_node * between.ports_per_gpu * between.port_bytes_per_s))
    }

    /// The law: seconds for `size` bytes, or `None` where nodes have no network.
    #[must_use]
    pub fn seconds(&self, what: Collective, members: Members, size: f64) -> Option<f64> {
        let (n, m) = (f64::from(members.ranks), f64::from(members.per_node));
        if members.ranks < 2 {
            return Some(START_S);
        }
        let one_node = members.nodes <= 1 || members.ranks <= self.inside.gpus_over_nodes;
        if what == Collective::AllToAll {
            let network_s = match self.between {
                _ if one_node => 0.0,
                Some(between) => (n - m) / (between.ports_per_gpu * between.port_bytes_per_s),
                None => return None,
            };
            let joined = if one_node { n } else { m };
            let slowest = network_s.max((joined - 1.0) / self.inside.bytes_per_s);
            return Some(START_S + (n - 1.0) * MESSAGE_S + size / n * slowest);
        }
        let step_s = if one_node { STEP_INSIDE_S } else { self.between?.latency_s + STEP_S };
        let rate = match (one_node, what) {
            (true, Collective::AllReduce) => self.inside.all_reduce_bytes_per_s,
            (true, _) => self.inside.bytes_per_s,
            (false, _) => self.ring_bytes_per_s(m, members.nodes)?,
        };
        let k = what.rounds();
        let ring = START_S + k * (n - 1.0) * step_s + k * (n - 1.0) / n * size / rate;
        if what != Collective::AllReduce {
            return Some(ring);
        }
        let (over, inside) = if one_node { (1.0, n) } else { (f64::from(members.nodes), m) };
        let steps_s = step_s * libm::log2(over) + STEP_INSIDE_S * libm::log2(inside);
        Some(ring.min(START_S + 2.0 * steps_s + 2.0 * size / rate))
    }
}

/// Where a time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A measured curve.
    Curve,
    /// The law.
    Law,
    /// Neither is known.
    None,
}

impl Source {
    /// Its word in files.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Curve => "curve",
            Self::Law => "law",
            Self::None => "none",
        }
    }
}

/// Measured sizes and times of one collective on one system.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// (bytes, seconds), sizes rising.
    points: Vec<(f64, f64)>,
}

impl Curve {
    /// Adds a point; sizes and times above zero. A size that is there already keeps its first time.
    pub fn add(&mut self, size: f64, seconds: f64) {
        if size <= 0.0 || seconds <= 0.0 {
            return;
        }
        let at = self.points.partition_point(|(known, _)| *known < size);
        if self.points.get(at).is_none_or(|(known, _)| *known != size) {
            self.points.insert(at, (size, seconds));
        }
    }

    /// The points, sizes rising.
    #[must_use]
    pub fn points(&self) -> &[(f64, f64)] {
        &self.points
    }

    /// The curve without the point of that size: for those who want to know how good the others are there.
    #[must_use]
    pub fn without(&self, size: f64) -> Self {
        Self { points: self.points.iter().filter(|(known, _)| *known != size).copied().collect() }
    }

    /// Seconds for `size` bytes; `None` where nothing was measured.
    #[must_use]
    pub fn seconds(&self, size: f64) -> Option<f64> {
        let (first, last) = (self.points.first()?, self.points.last()?);
        if size <= first.0 {
            return Some(first.1);
        }
        if size >= last.0 {
            return Some(last.1 * (size / last.0));
        }
        let at = self.points.partition_point(|(known, _)| *known <= size);
        let (below, above) = (self.points[at - 1], self.points[at]);
        let part = libm::log(size / below.0) / libm::log(above.0 / below.0);
        Some(below.1 * libm::exp(part * libm::log(above.1 / below.1)))
    }
}

/// Curves by system, collective and members.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curves {
    of: BTreeMap<(String, Collective, Members), Curve>,
}

impl Curves {
    /// Adds a point.
    pub fn add(&mut self, system: &str, what: Collective, members: Members, size: f64, seconds: f64) {
        self.of.entry((system.to_owned(), what, members)).or_default().add(size, seconds);
    }

    /// The curve of exactly these.
    #[must_use]
    pub fn get(&self, system: &str, what: Collective, members: Members) -> Option<&Curve> {
        self.of.get(&(system.to_owned(), what, members))
    }

    /// Seconds for `size` bytes, and whether a curve or the law says so.
    #[must_use]
    pub fn seconds(
        &self,
        system: &str,
        wires: Option<&Wires>,
        what: Collective,
        members: Members,
        size: f64,
    ) -> (Option<f64>, Source) {
        if let Some(seconds) = self.get(system, what, members).and_then(|curve| curve.seconds(size)) {
            return (Some(seconds), Source::Curve);
        }
        match wires.and_then(|wires| wires.seconds(what, members, size)) {
            Some(seconds) => (Some(seconds), Source::Law),
            None => (None, Source::None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIRES: Wires = Wires {
        inside: Inside { bytes_per_s: 400e9, all_reduce_bytes_per_s: 500e9, gpus_over_nodes: 0 },
        between: Some(Between { port_bytes_per_s: 50e9, ports_per_gpu: 1.0, latency_s: 1.5e-6 }),
    };

    fn members(nodes: u32, per_node: u32) -> Members {
        Members { ranks: nodes * per_node, per_node, nodes }
    }

    fn near(a: Option<f64>, b: f64) -> bool {
        a.is_some_and(|a| (a / b - 1.0).abs() < 1e-12)
    }

    #[test]
    fn the_law_is_what_it_says_worked_by_hand() {
        use Collective::{AllGather, AllReduce, AllToAll};
        // 8 ranks on a node: 6 us + 2 x 7 x 1.5 us + 2 x 7/8 x 8 GB / 500 GB/s; the tree carries 2 x 8 GB.
        assert!(near(WIRES.seconds(AllReduce, members(1, 8), 8e9), 6e-6 + 21e-6 + 0.028));
        // Small messages: the tree, 2 x 3 steps.
        assert!(near(WIRES.seconds(AllReduce, members(1, 8), 0.0), 6e-6 + 9e-6));
        // Two ports for two ranks: 100 GB/s; steps of 4 us.
        assert!(near(WIRES.seconds(AllGather, members(4, 2), 8e9), 6e-6 + 28e-6 + 0.07));
        // NVLink is slower than 16 ports.
        assert!(near(WIRES.seconds(AllGather, members(2, 16), 32e9), 6e-6 + 31.0 * 4e-6 + 31e9 / 400e9));
        assert!(near(WIRES.seconds(AllToAll, members(2, 4), 8e9), 6e-6 + 7e-6 + 4.0 / 50.0));
        assert_eq!(Wires { between: None, ..WIRES }.seconds(AllGather, members(2, 1), 1.0), None);
        // NVLink over nodes is as one node, as far as it reaches.
        let rack = Wires { between: None, inside: Inside { gpus_over_nodes: 8, ..WIRES.inside } };
        for what in Collective::ALL {
            assert_eq!(rack.seconds(what, members(2, 4), 8e9), rack.seconds(what, members(1, 8), 8e9));
            assert_eq!(rack.seconds(what, members(3, 4), 8e9), None);
        }
    }

    #[test]
    fn curves_are_straight_between_points_and_keep_time_below_and_bandwidth_above() {
        let mut curve = Curve::default();
        for (size, seconds) in [(1e6, 4e-4), (1e2, 1e-5), (1e4, 1e-5), (1e6, 9.0), (0.0, 1.0)] {
            curve.add(size, seconds);
        }
        assert_eq!(curve.points().len(), 3);
        assert_eq!((curve.seconds(1.0), curve.seconds(1e3)), (Some(1e-5), Some(1e-5)));
        assert!(near(curve.seconds(1e5), libm::sqrt(1e-5 * 4e-4)));
        assert!(near(curve.seconds(4e6), 16e-4));
        assert!(near(curve.without(1e4).seconds(1e4), libm::sqrt(1e-5 * 4e-4)));
        assert_eq!(Curve::default().seconds(1.0), None);
    }
}

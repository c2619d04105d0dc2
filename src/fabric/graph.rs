//! A network as a directed graph: nodes, NVLink domains and switches; links with capacity and latency.
//!
//! Links that traffic loads evenly are one link with `lanes`: the NICs of a node, the uplinks of a leaf, the leaves of the
//! rails of a pod. With [`Spread::Hash`] the uplinks of a group are links of their own, and a crossing picks one.
//! Numbers of links are those that [`super::shares::Shares`] and [`super::rates`] take; [`Fabric::capacities`] lists them.
//!
//! A link is half a cable: each direction has all of the capacity. Latency lies on links too: half of the NIC's (which is
//! end to end through one switch) at each end, and that of a hop on every link between switches.

use petgraph::graph::{DiGraph, EdgeIndex, NodeIndex};
use std::fmt::Write as _;

use super::routes::Routes;

/// What stands at the end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A node with its GPUs and its own NVLink, by its number.
    Node(u32),
    /// NVLink switches over several nodes.
    NvlinkDomain,
    /// A switch; leaves are level 1.
    Switch(u8),
}

/// An end of links.
#[derive(Clone, Debug, PartialEq)]
pub struct Vertex {
    /// Name, unique in the fabric.
    pub name: String,
    /// What it is.
    pub kind: Kind,
}

/// One direction of a cable, or of a group of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// Bytes per second that it carries at most.
    pub bytes_per_s: f64,
    /// Time that it adds to a message, in seconds.
    pub latency_s: f64,
    /// Cables that it stands for.
    pub lanes: u32,
}

/// How crossings use a group of parallel uplinks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spread {
    /// Evenly: the group is one link of summed capacity.
    #[default]
    Ideal,
    /// A hash of (seed, job, ring, source, target) picks one of them.
    Hash {
        /// Another seed, other picks.
        seed: u64,
    },
}

/// Where a node hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    pub vertex: NodeIndex,
    /// Number of its leaf: the nodes that reach each other without a link between switches.
    pub leaf: u32,
    /// Place in topology order.
    pub order: u32,
    /// NVLink domain over several nodes, and the links to it and from it.
    pub domain: Option<Domain>,
}

/// A node's part of an NVLink domain over several nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Domain {
    pub number: u32,
    pub to: u32,
    pub from: u32,
}

/// A network. [`super::builders`] makes them.
#[derive(Clone, Debug)]
pub struct Fabric {
    pub(super) graph: DiGraph<Vertex, Link>,
    pub(super) seats: Vec<Seat>,
    pub(super) routes: Routes,
    pub(super) spread: Spread,
    /// Nodes of each leaf.
    pub(super) leaf_sizes: Vec<u32>,
    /// Rails without NVLink behind them: traffic for another rail leaves the leaves. 1 where that does not happen.
    pub(super) rails_apart: u32,
    /// By link, whether it has failed; empty where none has.
    pub(super) dead: Vec<bool>,
}

impl Fabric {
    /// The same with these links out of order: who picked one of a group picks another one that is left, and where cables
    /// lead elsewhere, other ways are found. Where nothing is left, ways stay as they were.
    #[must_use]
    pub fn without(&self, failed: &[u32]) -> Self {
        let mut found = self.clone();
        found.dead = vec![false; self.graph.edge_count()];
        failed.iter().for_each(|link| found.dead[*link as usize] = true);
        if let Routes::Next(before) = &self.routes {
            let mut next = super::irregular::next_links(self.seats.len(), &self.graph, &found.dead);
            for (row, before) in next.iter_mut().zip(before) {
                row.iter_mut()
                    .zip(before)
                    .filter(|(next, _)| **next == u32::MAX)
                    .for_each(|(next, old)| *next = *old);
            }
            found.routes = Routes::Next(next);
        }
        found
    }

    /// Nodes that are cut off if these links fail: all but the most that still reach each other, in order.
    #[must_use]
    pub fn cut_off(&self, failed: &[u32]) -> Vec<u32> {
        let mut joined = petgraph::unionfind::UnionFind::<usize>::new(self.graph.node_count());
        for edge in self.graph.edge_indices().filter(|edge| !failed.contains(&(edge.index() as u32))) {
            if let Some((from, to)) = self.graph.edge_endpoints(edge) {
                joined.union(from.index(), to.index());
            }
        }
        let part_of = |seat: &Seat| joined.find(seat.vertex.index());
        let mut sizes: std::collections::BTreeMap<usize, (usize, std::cmp::Reverse<usize>)> =
            Default::default();
        for (node, seat) in self.seats.iter().enumerate() {
            sizes.entry(part_of(seat)).or_insert((0, std::cmp::Reverse(node))).0 += 1;
        }
        let largest = sizes.iter().max_by_key(|(_, size)| **size).map(|(part, _)| *part);
        let apart = self.seats.iter().zip(0..).filter(|(seat, _)| Some(part_of(seat)) != largest);
        apart.map(|(_, node)| node).collect()
    }

    /// Numbers of the links from one end to another; empty where there is none.
    #[must_use]
    pub fn links_from(&self, from: &str, to: &str) -> Vec<u32> {
        let is = |vertex: petgraph::graph::NodeIndex, name: &str| self.graph[vertex].name == name;
        let there = self.graph.edge_indices().filter(|edge| {
            self.graph.edge_endpoints(*edge).is_some_and(|ends| is(ends.0, from) && is(ends.1, to))
        });
        there.map(|edge| edge.index() as u32).collect()
    }

    /// Names of all ends that are no nodes.
    pub fn switches(&self) -> impl Iterator<Item = &str> {
        let ends = self.graph.node_weights().filter(|vertex| !matches!(vertex.kind, Kind::Node(_)));
        ends.map(|vertex| vertex.name.as_str())
    }

    /// Names of all ends.
    pub fn ends(&self) -> impl Iterator<Item = &str> {
        self.graph.node_weights().map(|vertex| vertex.name.as_str())
    }

    /// Numbers of all links at an end, both directions.
    #[must_use]
    pub fn links_at(&self, end: &str) -> Vec<u32> {
        let ends = self.graph.node_indices();
        let Some(vertex) = ends.into_iter().find(|vertex| self.graph[*vertex].name == end) else {
            return Vec::new();
        };
        let at = self.graph.edge_indices().filter(|edge| {
            self.graph.edge_endpoints(*edge).is_some_and(|(from, to)| from == vertex || to == vertex)
        });
        at.map(|edge| edge.index() as u32).collect()
    }

    /// Number of nodes.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.seats.len()
    }

    /// Capacity of each link in bytes per second, by its number.
    #[must_use]
    pub fn capacities(&self) -> Vec<f64> {
        self.graph.edge_weights().map(|link| link.bytes_per_s).collect()
    }

    /// The link of that number.
    #[must_use]
    pub fn link(&self, number: u32) -> Option<&Link> {
        self.graph.edge_weight(EdgeIndex::new(number as usize))
    }

    /// `from->to` of a link; links of a hashed group have a number behind.
    #[must_use]
    pub fn link_name(&self, number: u32) -> String {
        let Some((from, to)) = self.graph.edge_endpoints(EdgeIndex::new(number as usize)) else {
            return String::new();
        };
        let lane = self.graph.edges_connecting(from, to).filter(|edge| {
            use petgraph::visit::EdgeRef;
            edge.id().index() < number as usize
        });
        let (from_name, to_name) = (&self.graph[from].name, &self.graph[to].name);
        match (lane.count(), self.graph.edges_connecting(from, to).count()) {
            (_, 0 | 1) => format!("{from_name}->{to_name}"),
            (lane, _) => format!("{from_name}->{to_name}#{lane}"),
        }
    }

    /// Numbers of all links between two ends, both directions; empty where there is no such end.
    #[must_use]
    pub fn links_between(&self, one: &str, other: &str) -> Vec<u32> {
        let named = |name: &str| self.graph.node_indices().find(|vertex| self.graph[*vertex].name == name);
        let (Some(one), Some(other)) = (named(one), named(other)) else { return Vec::new() };
        let both = self.graph.edge_indices().filter(|edge| {
            self.graph.edge_endpoints(*edge).is_some_and(|ends| ends == (one, other) || ends == (other, one))
        });
        both.map(|edge| edge.index() as u32).collect()
    }

    /// The leaf of a node.
    #[must_use]
    pub fn leaf(&self, node: u32) -> u32 {
        self.seats[node as usize].leaf
    }

    /// The switch so many steps above a node, by a number of its own: 1 is its leaf (with rails, all leaves of its pod;
    /// in a dragonfly its router), 2 what is above that; `None` where nothing is, or no single switch.
    #[must_use]
    pub fn switch_above(&self, node: u32, steps: u32) -> Option<u32> {
        let seat = &self.seats[node as usize];
        match &self.routes {
            Routes::Tree(up) => {
                let above = |at: NodeIndex| up.get(at.index())?.as_ref().map(|up| up.parent);
                let found = (0..steps).try_fold(seat.vertex, |at, _| above(at))?;
                Some(found.index() as u32)
            }
            Routes::Dragonfly(flies) => (steps == 1).then(|| flies.access[node as usize].0),
            Routes::Next(_) => None,
        }
    }

    /// Place of a node in topology order.
    #[must_use]
    pub fn order(&self, node: u32) -> u32 {
        self.seats[node as usize].order
    }

    /// How many leaves these nodes span.
    #[must_use]
    pub fn leaves(&self, nodes: impl IntoIterator<Item = u32>) -> usize {
        let mut leaves: Vec<u32> = nodes.into_iter().map(|node| self.leaf(node)).collect();
        leaves.sort_unstable();
        leaves.dedup();
        leaves.len()
    }

    /// How few leaves could hold so many nodes, were all of them free.
    #[must_use]
    pub fn fewest_leaves(&self, nodes: usize) -> usize {
        let mut sizes = self.leaf_sizes.clone();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let mut held = 0;
        let enough = sizes.iter().take_while(|size| {
            let before = held;
            held += **size as usize;
            before < nodes
        });
        enough.count()
    }

    /// Time of a message between two nodes over their NICs, in seconds; nothing of it is spent in software.
    #[must_use]
    pub fn latency_s(&self, from: u32, to: u32) -> f64 {
        let mut total = 0.0;
        self.path(from, to, 0, 0, |link| total += self.graph[EdgeIndex::new(link as usize)].latency_s);
        total
    }

    /// The links of a message between two nodes over their NICs, in order.
    #[must_use]
    pub fn route(&self, from: u32, to: u32) -> Vec<u32> {
        let mut links = Vec::new();
        self.path(from, to, 0, 0, |link| links.push(link));
        links
    }

    /// The graph in Graphviz's language.
    #[must_use]
    pub fn dot(&self) -> String {
        let mut text = String::from("digraph fabric {\n  rankdir = BT;\n");
        for vertex in self.graph.node_weights() {
            let shape = match vertex.kind {
                Kind::Node(_) => "box",
                Kind::NvlinkDomain => "hexagon",
                Kind::Switch(_) => "ellipse",
            };
            let _ = writeln!(text, "  \"{}\" [shape={shape}];", vertex.name);
        }
        for edge in self.graph.edge_indices() {
            let (Some((from, to)), link) = (self.graph.edge_endpoints(edge), self.graph[edge]) else {
                continue;
            };
            let lanes = if link.lanes > 1 { format!(" ({} x)", link.lanes) } else { String::new() };
            let _ = writeln!(
                text,
                "  \"{}\" -> \"{}\" [label=\"{:.1} GB/s{lanes}\"];",
                self.graph[from].name,
                self.graph[to].name,
                link.bytes_per_s / 1e9
            );
        }
        text.push_str("}\n");
        text
    }
}

//! What a network is made of, in numbers: ends and links by level, and what half of its nodes can send to the other half.

use std::collections::BTreeMap;

use petgraph::algo::ford_fulkerson;
use petgraph::graph::DiGraph;

use super::graph::{Fabric, Kind};

/// A network in numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Outline {
    /// Nodes.
    pub nodes: usize,
    /// NVLink domains over nodes.
    pub domains: usize,
    /// Switches of each level, leaves first.
    pub switches: Vec<(u8, usize)>,
    /// Links by what they join.
    pub links: Vec<LinksOf>,
    /// Bytes per second that the first half of the nodes, in the order of the network, can send to the other half.
    pub half_to_half_bytes_s: f64,
}

/// Links between ends of the same kinds, one direction each.
#[derive(Clone, Debug, PartialEq)]
pub struct LinksOf {
    /// From what.
    pub from: String,
    /// To what.
    pub to: String,
    /// How many.
    pub links: usize,
    /// Cables that they stand for.
    pub cables: u64,
    /// Bytes per second of all of them.
    pub bytes_per_s: f64,
}

fn word(kind: Kind) -> String {
    match kind {
        Kind::Node(_) => "node".to_owned(),
        Kind::NvlinkDomain => "NVLink domain".to_owned(),
        Kind::Switch(level) => format!("switch of level {level}"),
    }
}

impl Fabric {
    /// The network in numbers.
    #[must_use]
    pub fn outline(&self) -> Outline {
        let (mut switches, mut domains) = (BTreeMap::new(), 0);
        for vertex in self.graph.node_weights() {
            match vertex.kind {
                Kind::Switch(level) => *switches.entry(level).or_insert(0) += 1,
                Kind::NvlinkDomain => domains += 1,
                Kind::Node(_) => {}
            }
        }
        let mut links: BTreeMap<(String, String), LinksOf> = BTreeMap::new();
        for edge in self.graph.edge_indices() {
            let Some((from, to)) = self.graph.edge_endpoints(edge) else { continue };
            let [from, to] = [from, to].map(|end| word(self.graph[end].kind));
            let row = links.entry((from.clone(), to.clone())).or_insert(LinksOf {
                from,
                to,
                links: 0,
                cables: 0,
                bytes_per_s: 0.0,
            });
            row.links += 1;
            row.cables += u64::from(self.graph[edge].lanes);
            row.bytes_per_s += self.graph[edge].bytes_per_s;
        }
        Outline {
            nodes: self.seats.len(),
            domains,
            switches: switches.into_iter().collect(),
            links: links.into_values().collect(),
            half_to_half_bytes_s: self.half_to_half(),
        }
    }

    /// The largest flow from the first half of the nodes to the others, over NICs.
    fn half_to_half(&self) -> f64 {
        let mut flows: DiGraph<(), f64> = self.graph.map(|_, _| (), |_, link| link.bytes_per_s);
        let (source, target) = (flows.add_node(()), flows.add_node(()));
        let all: f64 = self.graph.edge_weights().map(|link| link.bytes_per_s).sum();
        for seat in &self.seats {
            if (seat.order as usize) < self.seats.len() / 2 {
                flows.add_edge(source, seat.vertex, all);
            } else {
                flows.add_edge(seat.vertex, target, all);
            }
        }
        ford_fulkerson(&flows, source, target).0
    }
}

#[cfg(test)]
mod tests {
    use super::super::builders::{Endpoint, FabricSpec, Shape, build};
    use super::super::graph::Spread;

    #[test]
    fn a_fat_tree_has_what_was_bought() {
        let nodes =
            (0..32).map(|at| Endpoint { name: format!("n{at}"), bytes_per_s: 8e9, nics: 8, latency_s: 0.0 });
        let shape = Shape::FatTree {
            nodes_per_leaf: 8,
            leaves_per_pod: None,
            oversubscription: 4.0,
            core_oversubscription: 1.0,
            uplinks: None,
        };
        let spec = FabricSpec { shape, nodes: nodes.collect(), hop_s: 0.0, spread: Spread::Ideal };
        let found = build(&spec).unwrap().outline();
        assert_eq!((found.nodes, found.domains), (32, 0));
        assert_eq!(found.switches, [(1, 4), (2, 1)]);
        let up = found.links.iter().find(|row| row.from.ends_with('1') && row.to.ends_with('2')).unwrap();
        assert_eq!((up.links, up.cables, up.bytes_per_s), (4, 64, 64e9));
        // Two leaves send to two others over what goes up from them.
        assert_eq!(found.half_to_half_bytes_s, 32e9);
    }
}

//! Networks from parameters: one switch, fat trees, rails, NVLink domains over nodes, dragonflies, lists of cables, trees of
//! switches as in topology.conf.
//!
//! Links between switches are as wide as the NICs below, over the oversubscription. In [`Spread::Hash`] a group of uplinks is
//! as many links as there are NICs below over the oversubscription, unless it says how many.

use petgraph::graph::{DiGraph, NodeIndex};

use super::graph::{Domain, Fabric, Kind, Link, Seat, Spread, Vertex};
use super::routes::{Group, Routes, Up};
use crate::diagnostic::{Diagnostic, Place};

pub use super::irregular::{Cable, read_cables};

/// What hangs in the network: a node with its NICs.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Name; that of a topology.conf or a list of cables.
    pub name: String,
    /// Bytes per second of all its NICs together, as achieved.
    pub bytes_per_s: f64,
    /// Number of NICs.
    pub nics: u32,
    /// End to end through one switch, in seconds.
    pub latency_s: f64,
}

/// A network to build.
#[derive(Clone, Debug, PartialEq)]
pub struct FabricSpec {
    /// How it is built.
    pub shape: Shape,
    /// What hangs in it, in order: position is the node's number.
    pub nodes: Vec<Endpoint>,
    /// What each switch after the first adds to a message, in seconds.
    pub hop_s: f64,
    /// How crossings use parallel uplinks.
    pub spread: Spread,
}

/// How a network is built.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// All nodes on one switch that does not block.
    Single,
    /// Leaves under spines; with `leaves_per_pod`, pods under cores.
    FatTree {
        /// Nodes on a leaf.
        nodes_per_leaf: u32,
        /// Leaves of a pod; none for two levels.
        leaves_per_pod: Option<u32>,
        /// Capacity below a leaf over that above it.
        oversubscription: f64,
        /// The same at pods, beside that of their leaves.
        core_oversubscription: f64,
        /// Parallel uplinks of a leaf.
        uplinks: Option<u32>,
    },
    /// NIC i of every node of a pod on leaf i, leaves under spines.
    Rail {
        /// Nodes of a pod.
        nodes_per_pod: u32,
        /// Capacity below a leaf over that above it.
        oversubscription: f64,
        /// Parallel uplinks of a leaf.
        uplinks: Option<u32>,
        /// Whether NVLink takes traffic to the NIC of another rail; else it goes over the spine.
        nvlink: bool,
    },
    /// NVLink over several nodes, NICs in a fat tree of two levels.
    Nvl72 {
        /// Nodes of an NVLink domain.
        nodes_per_domain: u32,
        /// Bytes per second of NVLink of one node.
        nvlink_bytes_per_s: f64,
        /// Nodes on a leaf.
        nodes_per_leaf: u32,
        /// Capacity below a leaf over that above it.
        oversubscription: f64,
    },
    /// Groups of routers; routers of a group all with all, groups all with all by one cable a pair; minimal paths.
    Dragonfly {
        /// Routers of a group.
        routers_per_group: u32,
        /// Nodes on a router.
        nodes_per_router: u32,
        /// Bytes per second between two routers of a group.
        local_bytes_per_s: f64,
        /// Bytes per second between two groups.
        global_bytes_per_s: f64,
    },
    /// Any cables; messages take the fewest.
    Cables(Vec<Cable>),
    /// A tree of switches by name, as in topology.conf; a block is a switch under one that joins all blocks.
    Tree {
        /// Switches in the order of the file.
        switches: Vec<SwitchSpec>,
        /// Capacity below a leaf over that above it.
        oversubscription: f64,
        /// The same at switches above leaves, beside that of the leaves.
        core_oversubscription: f64,
    },
}

/// A switch and what hangs below it.
#[derive(Clone, Debug, PartialEq)]
pub struct SwitchSpec {
    /// Name.
    pub name: String,
    /// Names of nodes on it.
    pub nodes: Vec<String>,
    /// Names of switches below it.
    pub switches: Vec<String>,
    /// Where it is written.
    pub place: Place,
}

/// A switch of a tree while it is built.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    pub name: String,
    pub parent: Option<usize>,
    /// 1 for leaves.
    pub level: u8,
    /// Capacity below over capacity above, all levels together.
    pub oversubscription: f64,
    pub uplinks: Option<u32>,
    pub rails: u32,
}

/// A finding about the network as a whole.
pub(super) fn wrong(message: impl Into<String>, help: impl Into<String>) -> Box<Diagnostic> {
    Box::new(Diagnostic::error("W0601", message).help(help))
}

/// Builds the network.
///
/// # Errors
/// A link without capacity, sizes of zero, nodes that do not reach each other, switches in a circle, names that are not known.
pub fn build(spec: &FabricSpec) -> Result<Fabric, Box<Diagnostic>> {
    check(spec)?;
    match &spec.shape {
        Shape::Single => {
            let root = branch("switch", None, 1, 1.0);
            Ok(tree(spec, &[root], &vec![0; spec.nodes.len()]))
        }
        Shape::FatTree {
            nodes_per_leaf,
            leaves_per_pod,
            oversubscription,
            core_oversubscription,
            uplinks,
        } => {
            let pods = leaves_per_pod.map(|leaves| (leaves, *core_oversubscription));
            let (branches, leaf_of) = leveled(spec, *nodes_per_leaf, pods, *oversubscription, *uplinks, 1);
            Ok(tree(spec, &branches, &leaf_of))
        }
        Shape::Rail { nodes_per_pod, oversubscription, uplinks, nvlink } => {
            let rails = spec.nodes.iter().map(|node| node.nics).max().unwrap_or(1);
            // A pod's leaves carry the same and are one; their uplinks are that many groups.
            let uplinks = uplinks.map(|uplinks| uplinks.saturating_mul(rails));
            let (branches, leaf_of) = leveled(spec, *nodes_per_pod, None, *oversubscription, uplinks, rails);
            let mut fabric = tree(spec, &branches, &leaf_of);
            fabric.rails_apart = if *nvlink { 1 } else { rails };
            Ok(fabric)
        }
        Shape::Nvl72 { nodes_per_domain, nvlink_bytes_per_s, nodes_per_leaf, oversubscription } => {
            let (branches, leaf_of) = leveled(spec, *nodes_per_leaf, None, *oversubscription, None, 1);
            let mut fabric = tree(spec, &branches, &leaf_of);
            join_by_nvlink(&mut fabric, *nodes_per_domain, *nvlink_bytes_per_s);
            Ok(fabric)
        }
        Shape::Dragonfly { routers_per_group, nodes_per_router, local_bytes_per_s, global_bytes_per_s } => {
            let sizes = [*routers_per_group, *nodes_per_router];
            Ok(super::irregular::dragonfly(spec, sizes, *local_bytes_per_s, *global_bytes_per_s))
        }
        Shape::Cables(cables) => super::irregular::by_cables(spec, cables),
        Shape::Tree { switches, oversubscription, core_oversubscription } => {
            super::switches::by_name(spec, switches, *oversubscription, *core_oversubscription)
        }
    }
}

fn check(spec: &FabricSpec) -> Result<(), Box<Diagnostic>> {
    if spec.nodes.is_empty() {
        return Err(wrong("the network has no nodes", "let a pool with nodes name it"));
    }
    if let Some(node) = spec.nodes.iter().find(|node| !capacity(node.bytes_per_s) || node.nics == 0) {
        let message = format!("node {} has NICs of {} bytes/s", node.name, node.bytes_per_s);
        return Err(wrong(
            message,
            "name a row of `windtunnel catalog fabrics` with a capacity, and at least one NIC",
        ));
    }
    let sizes: &[(&str, u32)] = match &spec.shape {
        Shape::Single | Shape::Cables(_) | Shape::Tree { .. } => &[],
        Shape::FatTree { nodes_per_leaf, leaves_per_pod, uplinks, .. } => &[
            ("nodes of a leaf", *nodes_per_leaf),
            ("leaves of a pod", leaves_per_pod.unwrap_or(1)),
            ("uplinks", uplinks.unwrap_or(1)),
        ],
        Shape::Rail { nodes_per_pod, uplinks, .. } => {
            &[("nodes of a pod", *nodes_per_pod), ("uplinks", uplinks.unwrap_or(1))]
        }
        Shape::Nvl72 { nodes_per_domain, nodes_per_leaf, .. } => {
            &[("nodes of an NVLink domain", *nodes_per_domain), ("nodes of a leaf", *nodes_per_leaf)]
        }
        Shape::Dragonfly { routers_per_group, nodes_per_router, .. } => {
            &[("routers of a group", *routers_per_group), ("nodes of a router", *nodes_per_router)]
        }
    };
    if let Some((what, _)) = sizes.iter().find(|(_, size)| *size == 0) {
        return Err(wrong(format!("the number of {what} is zero"), "give at least 1"));
    }
    let rates: &[(&str, f64)] = match &spec.shape {
        Shape::Single | Shape::Cables(_) => &[],
        Shape::FatTree { oversubscription, core_oversubscription, .. }
        | Shape::Tree { oversubscription, core_oversubscription, .. } => &[
            ("oversubscription", *oversubscription),
            ("oversubscription of the core", *core_oversubscription),
        ],
        Shape::Rail { oversubscription, .. } => &[("oversubscription", *oversubscription)],
        Shape::Nvl72 { nvlink_bytes_per_s, oversubscription, .. } => {
            &[("capacity of NVLink", *nvlink_bytes_per_s), ("oversubscription", *oversubscription)]
        }
        Shape::Dragonfly { local_bytes_per_s, global_bytes_per_s, .. } => &[
            ("capacity inside a group", *local_bytes_per_s),
            ("capacity between groups", *global_bytes_per_s),
        ],
    };
    match rates.iter().find(|(_, rate)| !capacity(*rate)) {
        Some((what, rate)) => Err(wrong(format!("the {what} is {rate}"), "give a number above zero")),
        None => Ok(()),
    }
}

/// Whether that much can be carried.
pub(super) fn capacity(bytes_per_s: f64) -> bool {
    bytes_per_s.is_finite() && bytes_per_s > 0.0
}

fn branch(name: impl Into<String>, parent: Option<usize>, level: u8, oversubscription: f64) -> Branch {
    Branch { name: name.into(), parent, level, oversubscription, uplinks: None, rails: 1 }
}

/// Leaves of equal size in the order of the nodes, under one root or under pods of equal size.
fn leveled(
    spec: &FabricSpec,
    nodes_per_leaf: u32,
    pods: Option<(u32, f64)>,
    oversubscription: f64,
    uplinks: Option<u32>,
    rails: u32,
) -> (Vec<Branch>, Vec<usize>) {
    let leaves = spec.nodes.len().div_ceil(nodes_per_leaf as usize);
    let top = if pods.is_some() { "core" } else { "spine" };
    let mut branches = vec![branch(top, None, if pods.is_some() { 3 } else { 2 }, 1.0)];
    if let Some((size, core)) = pods {
        let count = leaves.div_ceil(size as usize);
        branches
            .extend((0..count).map(|pod| branch(format!("spine{pod}"), Some(0), 2, oversubscription * core)));
    }
    let first = branches.len();
    for leaf in 0..leaves {
        let parent = pods.map_or(0, |(size, _)| 1 + leaf / size as usize);
        let name = if rails > 1 { format!("rails{leaf}") } else { format!("leaf{leaf}") };
        branches.push(Branch { uplinks, rails, ..branch(name, Some(parent), 1, oversubscription) });
    }
    let leaf_of = (0..spec.nodes.len()).map(|node| first + node / nodes_per_leaf as usize).collect();
    (branches, leaf_of)
}

/// The tree of these switches (parents before children or not) with nodes on them. A switch with one child and no use stays.
pub(super) fn tree(spec: &FabricSpec, branches: &[Branch], leaf_of: &[usize]) -> Fabric {
    // What hangs below each switch.
    let mut below = vec![(0.0, 0u64); branches.len()];
    for (node, leaf) in spec.nodes.iter().zip(leaf_of) {
        let mut at = Some(*leaf);
        while let Some(switch) = at {
            below[switch].0 += node.bytes_per_s;
            below[switch].1 += u64::from(node.nics);
            at = branches[switch].parent;
        }
    }
    let mut graph = DiGraph::new();
    let switches: Vec<NodeIndex> = branches
        .iter()
        .map(|b| graph.add_node(Vertex { name: b.name.clone(), kind: Kind::Switch(b.level) }))
        .collect();
    let mut up: Vec<Option<Up>> = vec![None; branches.len()];
    for (at, b) in branches.iter().enumerate() {
        let Some(parent) = b.parent else { continue };
        let (bytes_per_s, nics) = below[at];
        if nics == 0 {
            continue;
        }
        let lanes = b.uplinks.unwrap_or(((nics as f64 / b.oversubscription).round() as u32).max(1));
        let width = if spec.spread == Spread::Ideal { 1 } else { lanes };
        let link = Link {
            bytes_per_s: bytes_per_s / b.oversubscription / f64::from(width),
            latency_s: spec.hop_s,
            lanes: lanes / width,
        };
        let mut group = |from: NodeIndex, to: NodeIndex| {
            let first = graph.edge_count() as u32;
            (0..width).for_each(|_| {
                graph.add_edge(from, to, link);
            });
            Group { first, width, rails: b.rails }
        };
        let (here, there) = (switches[at], switches[parent]);
        up[at] = Some(Up {
            parent: there,
            up: group(here, there),
            down: group(there, here),
            depth: depth(branches, at),
        });
    }
    let mut seats = Vec::with_capacity(spec.nodes.len());
    let order = order(branches, leaf_of);
    let mut leaves: Vec<usize> = leaf_of.to_vec();
    leaves.sort_unstable();
    leaves.dedup();
    let mut leaf_sizes = vec![0; leaves.len()];
    for (number, (node, leaf)) in spec.nodes.iter().zip(leaf_of).enumerate() {
        let vertex = graph.add_node(Vertex { name: node.name.clone(), kind: Kind::Node(number as u32) });
        let (to, from) = nics(&mut graph, node, vertex, switches[*leaf]);
        let group = |first| Group { first, width: 1, rails: 1 };
        let depth = depth(branches, *leaf) + 1;
        up.push(Some(Up { parent: switches[*leaf], up: group(to), down: group(from), depth }));
        let leaf = leaves.partition_point(|known| known < leaf);
        leaf_sizes[leaf] += 1;
        seats.push(Seat { vertex, leaf: leaf as u32, order: order[number], domain: None });
    }
    let (routes, spread, dead) = (Routes::Tree(up), spec.spread, Vec::new());
    Fabric { graph, seats, routes, spread, leaf_sizes, rails_apart: 1, dead }
}

/// The links of a node's NICs: to the switch, and from it.
pub(super) fn nics(
    graph: &mut DiGraph<Vertex, Link>,
    node: &Endpoint,
    vertex: NodeIndex,
    switch: NodeIndex,
) -> (u32, u32) {
    let link = Link { bytes_per_s: node.bytes_per_s, latency_s: node.latency_s / 2.0, lanes: node.nics };
    let to = graph.add_edge(vertex, switch, link).index() as u32;
    (to, graph.add_edge(switch, vertex, link).index() as u32)
}

fn depth(branches: &[Branch], at: usize) -> u32 {
    std::iter::successors(branches[at].parent, |above| branches[*above].parent).count() as u32
}

/// Place of each node if the tree is walked from its root: nodes of one switch stand together, whatever its level.
fn order(branches: &[Branch], leaf_of: &[usize]) -> Vec<u32> {
    let path = |leaf: usize| {
        let mut path: Vec<usize> =
            std::iter::successors(Some(leaf), |above| branches[*above].parent).collect();
        path.reverse();
        path
    };
    let paths: Vec<Vec<usize>> = (0..branches.len()).map(path).collect();
    let mut nodes: Vec<usize> = (0..leaf_of.len()).collect();
    nodes.sort_by(|a, b| paths[leaf_of[*a]].cmp(&paths[leaf_of[*b]]).then(a.cmp(b)));
    let mut order = vec![0; leaf_of.len()];
    nodes.into_iter().enumerate().for_each(|(place, node)| order[node] = place as u32);
    order
}

/// Adds NVLink switches over each so many nodes.
fn join_by_nvlink(fabric: &mut Fabric, nodes_per_domain: u32, bytes_per_s: f64) {
    let Fabric { graph, seats, routes, .. } = fabric;
    let mut domain = NodeIndex::end();
    for (number, seat) in seats.iter_mut().enumerate() {
        let of = number as u32 / nodes_per_domain;
        if (number as u32).is_multiple_of(nodes_per_domain) {
            domain = graph.add_node(Vertex { name: format!("nvlink{of}"), kind: Kind::NvlinkDomain });
            if let Routes::Tree(up) = routes {
                up.push(None);
            }
        }
        let link = Link { bytes_per_s, latency_s: 0.0, lanes: 1 };
        let to = graph.add_edge(seat.vertex, domain, link).index() as u32;
        let from = graph.add_edge(domain, seat.vertex, link).index() as u32;
        seat.domain = Some(Domain { number: of, to, from });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(names: &[&str]) -> Vec<Endpoint> {
        let node =
            |name: &&str| Endpoint { name: (*name).to_owned(), bytes_per_s: 4e9, nics: 4, latency_s: 2e-6 };
        names.iter().map(node).collect()
    }

    fn built(shape: Shape, names: &[&str]) -> Result<Fabric, Box<Diagnostic>> {
        build(&FabricSpec { shape, nodes: nodes(names), hop_s: 0.0, spread: Spread::Ideal })
    }

    fn switch(line: u64, name: &str, nodes: &[&str], switches: &[&str]) -> SwitchSpec {
        let place = Place::Line { file: "topology.conf".into(), line, column: 0, text: name.to_owned() };
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        SwitchSpec { name: name.to_owned(), nodes: own(nodes), switches: own(switches), place }
    }

    fn named(switches: Vec<SwitchSpec>) -> Shape {
        Shape::Tree { switches, oversubscription: 2.0, core_oversubscription: 1.0 }
    }

    fn capacity_of(fabric: &Fabric, one: &str, other: &str) -> Vec<f64> {
        fabric
            .links_between(one, other)
            .iter()
            .filter_map(|link| fabric.link(*link))
            .map(|l| l.bytes_per_s)
            .collect()
    }

    #[test]
    fn uplinks_are_as_wide_as_the_nics_below_over_the_oversubscription() {
        let names: Vec<String> = (0..12).map(|at| format!("n{at}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let shape = Shape::FatTree {
            nodes_per_leaf: 2,
            leaves_per_pod: Some(2),
            oversubscription: 2.0,
            core_oversubscription: 7.0,
            uplinks: None,
        };
        let fabric = built(shape, &names).unwrap();
        assert_eq!(capacity_of(&fabric, "leaf1", "spine0"), [4e9; 2]);
        assert_eq!(capacity_of(&fabric, "spine2", "core"), [16e9 / 14.0; 2]);
        assert_eq!(capacity_of(&fabric, "n3", "leaf1"), [4e9; 2]);
        assert_eq!(
            (fabric.fewest_leaves(2), fabric.fewest_leaves(5), fabric.leaves([0, 1, 2, 11])),
            (1, 3, 3)
        );
        assert!(fabric.dot().contains("\"leaf1\" -> \"spine0\" [label=\"4.0 GB/s (4 x)\"]"));
    }

    #[test]
    fn names_of_a_topology_file_make_the_tree_and_its_order() {
        let switches = vec![
            switch(1, "s1", &["c", "a"], &[]),
            switch(2, "s2", &["b", "d"], &[]),
            switch(3, "top", &[], &["s1", "s2"]),
        ];
        let fabric = built(named(switches), &["a", "b", "c", "d"]).unwrap();
        assert_eq!([0, 1, 2, 3].map(|node| fabric.order(node)), [0, 2, 1, 3]);
        assert_eq!(capacity_of(&fabric, "s1", "top"), [4e9; 2]);
        assert_eq!(fabric.leaves([0, 2]), 1);
    }

    #[test]
    fn what_is_wrong_with_a_tree_is_told_with_its_line() {
        let told = |switches: Vec<SwitchSpec>| {
            let told = built(named(switches), &["a", "b"]).unwrap_err();
            let Place::Line { line, .. } = told.place else { return (told.code.0, 0, told.message) };
            (told.code.0, line, told.message)
        };
        let leaf = |line, name: &str, node: &str| switch(line, name, &[node], &[]);
        let two = || vec![leaf(1, "s1", "a"), leaf(2, "s2", "b")];
        let with = |more: SwitchSpec| two().into_iter().chain([more]).collect::<Vec<_>>();
        let found = [
            told(two()),
            told(with(switch(3, "s3", &[], &["s1", "s9"]))),
            told(with(switch(3, "s3", &["x"], &["s1", "s2"]))),
            told(vec![leaf(1, "s1", "a"), switch(2, "s2", &["a", "b"], &["s1"])]),
            told(vec![switch(1, "s1", &["a", "b"], &["s2"]), switch(2, "s2", &[], &["s1"])]),
            told(vec![leaf(1, "s1", "a"), switch(2, "s2", &[], &["s1"])]),
            told(with(leaf(3, "s1", "b"))),
        ];
        let want = [
            ("W0602", 2),
            ("W0602", 3),
            ("W0602", 3),
            ("W0603", 2),
            ("W0603", 1),
            ("W0602", 0),
            ("W0603", 3),
        ];
        for (found, want) in found.iter().zip(want) {
            assert_eq!((found.0, found.1), want, "{}", found.2);
        }
    }

    #[test]
    fn sizes_and_capacities_of_zero_are_refused() {
        let zero = Shape::FatTree {
            nodes_per_leaf: 0,
            leaves_per_pod: None,
            oversubscription: 1.0,
            core_oversubscription: 1.0,
            uplinks: None,
        };
        assert_eq!(built(zero, &["a"]).unwrap_err().code.0, "W0601");
        let rail = Shape::Rail { nodes_per_pod: 2, oversubscription: f64::NAN, uplinks: None, nvlink: true };
        assert_eq!(built(rail, &["a"]).unwrap_err().code.0, "W0601");
        assert_eq!(built(Shape::Single, &[]).unwrap_err().code.0, "W0601");
        let none = vec![Endpoint { bytes_per_s: 0.0, ..nodes(&["a"]).remove(0) }];
        let spec = FabricSpec { shape: Shape::Single, nodes: none, hop_s: 0.0, spread: Spread::Ideal };
        assert_eq!(build(&spec).unwrap_err().code.0, "W0601");
    }

    #[test]
    fn a_list_of_cables_takes_the_fewest_and_adds_up_parallel_ones() {
        let list = "from,to,gb_s,latency_us\na,s1,4,1\nb,s2,4,1\ns1,s2,1,2\ns2,s1,1,2\nc,s2,4,1\n";
        let cables = read_cables(list.as_bytes(), "cables.csv").unwrap();
        let fabric = built(Shape::Cables(cables), &["a", "b", "c"]).unwrap();
        let names: Vec<String> = fabric.route(0, 1).iter().map(|link| fabric.link_name(*link)).collect();
        assert_eq!(names, ["a->s1", "s1->s2", "s2->b"]);
        assert_eq!(capacity_of(&fabric, "s1", "s2"), [2e9; 2]);
        assert!((fabric.latency_s(0, 1) - 4e-6).abs() < 1e-15);
        assert_eq!((fabric.leaves([1, 2]), fabric.leaves([0, 1, 2])), (1, 2));
    }

    #[test]
    fn bad_lists_of_cables_are_told_with_their_lines() {
        let lines = |text: &str| -> Vec<(u64, &str)> {
            let found = read_cables(text.as_bytes(), "cables.csv").unwrap_err();
            let place = |told: &Diagnostic| match told.place {
                Place::Line { line, .. } => (line, told.code.0),
                _ => (0, told.code.0),
            };
            found.kept().iter().map(place).collect()
        };
        assert_eq!(lines("from,to,gb_s\na,b,fast\nb,c,1\nc,d,-1\n"), [(2, "W0604"), (4, "W0604")]);
        assert_eq!(lines("from,gb_s\na,1\n"), [(1, "W0604")]);
        assert_eq!(lines("from,to,gb_s\n"), [(1, "W0604")]);
        assert_eq!(lines("from,to,gb_s,speed\na,b,1,2\n"), [(1, "W0604")]);
        let told = |list: &str| {
            let cables = read_cables(list.as_bytes(), "cables.csv").unwrap();
            built(Shape::Cables(cables), &["a", "b"]).unwrap_err().code.0
        };
        assert_eq!(told("from,to,gb_s\na,s1,1\nb,s2,1\n"), "W0602");
        assert_eq!(told("from,to,gb_s\na,s1,1\n"), "W0602");
        assert_eq!(told("from,to,gb_s\na,s1,0\nb,s1,1\n"), "W0601");
        assert_eq!(told("from,to,gb_s\na,a,1\n"), "W0601");
    }
}

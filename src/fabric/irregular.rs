//! Networks that are no trees: dragonflies, and lists of cables.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::sync::Arc;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use super::builders::{FabricSpec, capacity, nics, wrong};
use super::graph::{Fabric, Kind, Link, Seat, Vertex};
use super::routes::{self, Routes};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, nearest};

/// A cable of a list: both directions have all of the capacity.
#[derive(Clone, Debug, PartialEq)]
pub struct Cable {
    /// One end: a node, else a switch of that name.
    pub ends: [String; 2],
    /// Bytes per second in each direction.
    pub bytes_per_s: f64,
    /// Time that it adds to a message, in seconds.
    pub latency_s: f64,
    /// Where it is written.
    pub place: Place,
}

/// Longest list of cables.
const CABLES: usize = 1 << 20;
/// Most entries of the table of routes (targets x ends).
const ROUTES: usize = 1 << 24;
/// Longest cell that is shown.
const SHOWN: usize = 120;

/// Groups of routers over the nodes in order.
pub(super) fn dragonfly(
    spec: &FabricSpec,
    [routers, nodes_per_router]: [u32; 2],
    local_bytes_per_s: f64,
    global_bytes_per_s: f64,
) -> Fabric {
    let count = spec.nodes.len().div_ceil(nodes_per_router as usize);
    let groups = count.div_ceil(routers as usize) as u32;
    let mut graph = DiGraph::new();
    let ends: Vec<NodeIndex> = (0..groups * routers)
        .map(|at| {
            let name = format!("router{}.{}", at / routers, at % routers);
            graph.add_node(Vertex { name, kind: Kind::Switch(1) })
        })
        .collect();
    let link = |bytes_per_s| Link { bytes_per_s, latency_s: spec.hop_s, lanes: 1 };
    let (square, none) = (routers as usize * routers as usize, u32::MAX);
    let mut local = vec![none; groups as usize * square];
    for from in 0..groups * routers {
        for to in (from / routers * routers..(from / routers + 1) * routers).filter(|to| *to != from) {
            let edge = graph.add_edge(ends[from as usize], ends[to as usize], link(local_bytes_per_s));
            local[(from * routers + to % routers) as usize] = edge.index() as u32;
        }
    }
    let mut found = routes::Dragonfly { groups, routers, access: Vec::new(), local, global: Vec::new() };
    found.global = vec![none; (groups * groups) as usize];
    for (from, to) in (0..groups).flat_map(|from| (0..groups).map(move |to| (from, to))) {
        if from != to {
            let both = [found.gateway(from, to), found.gateway(to, from)].map(|router| ends[router as usize]);
            let edge = graph.add_edge(both[0], both[1], link(global_bytes_per_s));
            found.global[(from * groups + to) as usize] = edge.index() as u32;
        }
    }
    let mut seats = Vec::new();
    let mut leaf_sizes = vec![0; count];
    for (number, node) in spec.nodes.iter().enumerate() {
        let router = number as u32 / nodes_per_router;
        let vertex = graph.add_node(Vertex { name: node.name.clone(), kind: Kind::Node(number as u32) });
        let (to, from) = nics(&mut graph, node, vertex, ends[router as usize]);
        found.access.push((router, to, from));
        leaf_sizes[router as usize] += 1;
        seats.push(Seat { vertex, leaf: router, order: number as u32, domain: None });
    }
    let (routes, spread, dead) = (Routes::Dragonfly(found), spec.spread, Vec::new());
    Fabric { graph, seats, routes, spread, leaf_sizes, rails_apart: 1, dead }
}

/// The network of these cables.
///
/// # Errors
/// A cable without capacity or to itself, a node without cable, ends that do not reach each other, too many of them.
pub(super) fn by_cables(spec: &FabricSpec, cables: &[Cable]) -> Result<Fabric, Box<Diagnostic>> {
    let mut graph: DiGraph<Vertex, Link> = DiGraph::new();
    let mut ends: BTreeMap<&str, NodeIndex> = BTreeMap::new();
    for (number, node) in spec.nodes.iter().enumerate() {
        let vertex = graph.add_node(Vertex { name: node.name.clone(), kind: Kind::Node(number as u32) });
        ends.insert(&node.name, vertex);
    }
    for cable in cables {
        let [one, other] = &cable.ends;
        if one == other {
            return Err(told("W0601", format!("a cable joins {one} to itself"), cable, "name two ends"));
        }
        if !capacity(cable.bytes_per_s) {
            let message =
                format!("the cable between {one} and {other} carries {} bytes/s", cable.bytes_per_s);
            return Err(told("W0601", message, cable, "give a capacity above zero, or leave the cable out"));
        }
        let [one, other] = [one, other].map(|name| {
            *ends
                .entry(name)
                .or_insert_with(|| graph.add_node(Vertex { name: name.clone(), kind: Kind::Switch(1) }))
        });
        for (from, to) in [(one, other), (other, one)] {
            match graph.find_edge(from, to) {
                // Parallel cables are one link of summed capacity.
                Some(edge) => {
                    graph[edge].bytes_per_s += cable.bytes_per_s;
                    graph[edge].lanes += 1;
                }
                None => {
                    let (bytes_per_s, latency_s) = (cable.bytes_per_s, cable.latency_s);
                    graph.add_edge(from, to, Link { bytes_per_s, latency_s, lanes: 1 });
                }
            }
        }
    }
    if spec.nodes.len().saturating_mul(graph.node_count()) > ROUTES {
        let message =
            format!("{} nodes and {} ends are too many for a list", spec.nodes.len(), graph.node_count());
        return Err(wrong(message, "describe it as a fat tree, rails or a dragonfly"));
    }
    let mut leaves: BTreeMap<NodeIndex, u32> = BTreeMap::new();
    let (mut seats, mut leaf_sizes) = (Vec::new(), Vec::new());
    for (number, node) in spec.nodes.iter().enumerate() {
        let vertex = NodeIndex::new(number);
        // The first cable of the list is the last of petgraph's.
        let Some(switch) = graph.neighbors(vertex).last() else {
            let message = format!("node {} has no cable", node.name);
            let switches = cables.iter().flat_map(|cable| &cable.ends).map(String::as_str);
            let near = nearest(&node.name, switches.filter(|name| ends[name].index() >= spec.nodes.len()));
            let help =
                near.map_or("add a line for it".to_owned(), |near| format!("is it {near} in the list?"));
            return Err(Box::new(Diagnostic::error("W0602", message).help(help)));
        };
        let leaf = *leaves.entry(switch).or_insert_with(|| {
            leaf_sizes.push(0);
            leaf_sizes.len() as u32 - 1
        });
        leaf_sizes[leaf as usize] += 1;
        seats.push(Seat { vertex, leaf, order: 0, domain: None });
    }
    let mut by_leaf: Vec<usize> = (0..seats.len()).collect();
    by_leaf.sort_by_key(|node| seats[*node].leaf);
    by_leaf.into_iter().enumerate().for_each(|(place, node)| seats[node].order = place as u32);
    let next = next_links(spec.nodes.len(), &graph, &[]);
    for (target, row) in next.iter().enumerate() {
        let apart = (0..spec.nodes.len()).find(|node| *node != target && row[*node] == u32::MAX);
        if let Some(node) = apart {
            let (one, other) = (&spec.nodes[target].name, &spec.nodes[node].name);
            let message = format!("no cables lead from node {other} to node {one}");
            return Err(Box::new(
                Diagnostic::error("W0602", message).help("add a cable between their switches"),
            ));
        }
    }
    let routes = Routes::Next(next);
    let (spread, dead) = (spec.spread, Vec::new());
    Ok(Fabric { graph, seats, routes, spread, leaf_sizes, rails_apart: 1, dead })
}

/// By target and end: the first link of a way with the fewest links, of these the one with the lowest number; `u32::MAX` where
/// there is no way. Links of `dead` are not gone over.
pub(super) fn next_links(nodes: usize, graph: &DiGraph<Vertex, Link>, dead: &[bool]) -> Vec<Vec<u32>> {
    let mut all = Vec::with_capacity(nodes);
    for target in 0..nodes {
        let mut next = vec![u32::MAX; graph.node_count()];
        let mut reached = vec![u32::MAX; graph.node_count()];
        reached[target] = 0;
        let mut queue = VecDeque::from([NodeIndex::new(target)]);
        while let Some(at) = queue.pop_front() {
            // A message does not go through the NICs of a third node.
            if at.index() != target && matches!(graph[at].kind, Kind::Node(_)) {
                continue;
            }
            let living = |edge: usize| !dead.get(edge).copied().unwrap_or(false);
            let edges = graph.edges_directed(at, Direction::Incoming);
            for edge in edges.filter(|edge| living(edge.id().index())) {
                let (from, steps) = (edge.source().index(), reached[at.index()] + 1);
                if reached[from] == u32::MAX {
                    reached[from] = steps;
                    queue.push_back(edge.source());
                }
                if reached[from] == steps {
                    next[from] = next[from].min(edge.id().index() as u32);
                }
            }
        }
        all.push(next);
    }
    all
}

fn told(code: &'static str, message: String, cable: &Cable, help: &str) -> Box<Diagnostic> {
    Box::new(Diagnostic::error(code, message).at(cable.place.clone()).help(help))
}

/// Reads a list of cables: `from,to,gb_s[,latency_us]`, in any order of columns.
///
/// # Errors
/// Columns that are missing or not known, cells that are no numbers, a list that is empty or too long.
pub fn read_cables(text: impl Read, name: &str) -> Result<Vec<Cable>, Diagnostics> {
    let mut found = Diagnostics::default();
    let file: Arc<str> = name.into();
    let bad = |line: u64, text: String, message: String| {
        let text = text.chars().take(SHOWN).collect();
        let place = Place::Line { file: Arc::clone(&file), line, column: 0, text };
        Diagnostic::error("W0604", message)
            .at(place)
            .help("a line is `from,to,gb_s,latency_us`: two names and GB/s in each direction")
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).comment(Some(b'#')).from_reader(text);
    let columns: Vec<String> = match reader.headers() {
        Ok(header) => header.iter().map(str::to_owned).collect(),
        Err(why) => {
            found.push(bad(1, String::new(), format!("the list cannot be read: {why}")));
            return Err(found);
        }
    };
    let at = |column: &str| columns.iter().position(|known| known == column);
    let (Some(from), Some(to), Some(rate)) = (at("from"), at("to"), at("gb_s")) else {
        found.push(bad(1, columns.join(","), "the header has no column from, to or gb_s".to_owned()));
        return Err(found);
    };
    let latency = at("latency_us");
    if let Some(column) =
        columns.iter().find(|column| !["from", "to", "gb_s", "latency_us"].contains(&column.as_str()))
    {
        found.push(bad(1, columns.join(","), format!("column {column} is not known")));
    }
    let mut cables = Vec::new();
    for row in reader.records() {
        let row = match row {
            Ok(row) => row,
            Err(why) => {
                let line = why.position().map_or(0, csv::Position::line);
                found.push(bad(line, String::new(), format!("the line cannot be read: {why}")));
                continue;
            }
        };
        let line = row.position().map_or(0, csv::Position::line);
        let shown = || row.iter().collect::<Vec<_>>().join(",");
        let number = |at: usize| {
            row.get(at).and_then(|cell| cell.parse::<f64>().ok()).filter(|n| n.is_finite() && *n >= 0.0)
        };
        let (Some(gb_s), Some(latency_us)) = (number(rate), latency.map_or(Some(0.0), number)) else {
            found.push(bad(line, shown(), "a capacity or latency is not a number from 0 up".to_owned()));
            continue;
        };
        if cables.len() == CABLES {
            found.push(bad(line, shown(), format!("the list has more than {CABLES} cables")));
            break;
        }
        let place = Place::Line { file: Arc::clone(&file), line, column: 0, text: shown() };
        let ends = [&row[from], &row[to]].map(str::to_owned);
        cables.push(Cable { ends, bytes_per_s: gb_s * 1e9, latency_s: latency_us / 1e6, place });
    }
    if cables.is_empty() && found.is_empty() {
        found.push(bad(1, columns.join(","), "the list has no cable".to_owned()));
    }
    if found.errors() > 0 { Err(found) } else { Ok(cables) }
}

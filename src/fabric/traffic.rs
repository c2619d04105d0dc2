//! What a job's collectives put on links.

use std::collections::BTreeMap;

use super::graph::{Fabric, Spread};
use super::routes::{Dragonfly, Group, Routes, Up};

/// The nodes of a job, and how its traffic runs through them.
#[derive(Clone, Copy, Debug)]
pub struct Ranks<'a> {
    /// Nodes with the job's GPUs on each, in the order of the allocation; each node once.
    pub nodes: &'a [(u32, u32)],
    /// Rings run through nodes in topology order, else in that of the allocation.
    pub rank_order: bool,
    /// Who it is, for the hash that picks uplinks.
    pub job: u64,
    /// Rings that pick uplinks each for itself: one for each NIC in use, as a rule.
    pub rings: u32,
}

/// Bytes on each link, by its number.
pub type Bytes = Vec<(u32, f64)>;

/// Pairs of nodes up to which each pair picks its own uplinks; more are as good as even.
const PAIRS_HASHED: usize = 1 << 16;

/// k (N - 1) / N S: what a collective over N nodes puts on each node's NICs. k = 2 for all-reduce, 1 for all-gather and
/// reduce-scatter.
#[must_use]
pub fn ring_bytes(k: f64, nodes: usize, size_bytes: f64) -> f64 {
    if nodes < 2 { 0.0 } else { k * (nodes - 1) as f64 / nodes as f64 * size_bytes }
}

impl Fabric {
    /// What rings put on links if each node sends `bytes` to the next ([`ring_bytes`]). Nothing for one node.
    ///
    /// In topology order every leaf and pod that holds some of the nodes is left once and entered once. An NVLink domain over
    /// nodes is one stop of the ring: its nodes send and receive equal parts, and pass `bytes` to each other inside.
    #[must_use]
    pub fn ring(&self, ranks: &Ranks, bytes: f64) -> Bytes {
        let mut found = Bytes::new();
        let stops = self.stops(ranks);
        for stop in &stops {
            self.inside(stop, stops.len() == 1, bytes, &mut found);
        }
        if stops.len() > 1 {
            for (at, from) in stops.iter().enumerate() {
                self.hop(ranks, from, &stops[(at + 1) % stops.len()], bytes, &mut found);
            }
        }
        merged(found)
    }

    /// The same for rings that each run through `span` of the nodes only, one behind the other in that order: the parts of a
    /// chain of layers have their data in groups of their own.
    #[must_use]
    pub fn rings(&self, ranks: &Ranks, span: usize, bytes: f64) -> Bytes {
        if span >= ranks.nodes.len() {
            return self.ring(ranks, bytes);
        }
        let mut nodes = ranks.nodes.to_vec();
        if ranks.rank_order {
            nodes.sort_by_key(|(node, _)| self.seats[*node as usize].order);
        }
        let parts = nodes.chunks(span.max(1));
        merged(parts.flat_map(|nodes| self.ring(&Ranks { nodes, ..*ranks }, bytes)).collect())
    }

    /// Nodes of the ring in order, those of one NVLink domain together.
    fn stops(&self, ranks: &Ranks) -> Vec<Vec<u32>> {
        let mut nodes: Vec<u32> = ranks.nodes.iter().map(|(node, _)| *node).collect();
        if ranks.rank_order {
            nodes.sort_by_key(|node| self.seats[*node as usize].order);
        }
        let mut stops: Vec<Vec<u32>> = Vec::new();
        let mut domains = BTreeMap::new();
        for node in nodes {
            match self.seats[node as usize].domain {
                Some(domain) => match domains.get(&domain.number) {
                    Some(&stop) => {
                        let members: &mut Vec<u32> = &mut stops[stop];
                        members.push(node);
                    }
                    None => {
                        domains.insert(domain.number, stops.len());
                        stops.push(vec![node]);
                    }
                },
                None => stops.push(vec![node]),
            }
        }
        stops
    }

    /// The ring from node to node inside an NVLink domain; it closes there if the job has no other.
    fn inside(&self, stop: &[u32], closed: bool, bytes: f64, found: &mut Bytes) {
        let hops = if closed { stop.len() } else { stop.len() - 1 };
        if stop.len() < 2 {
            return;
        }
        for at in 0..hops {
            let ends = [stop[at], stop[(at + 1) % stop.len()]].map(|node| self.seats[node as usize].domain);
            if let [Some(from), Some(to)] = ends {
                found.extend([(from.to, bytes), (to.from, bytes)]);
            }
        }
    }

    /// From one stop to the next: the nodes of each carry equal parts.
    fn hop(&self, ranks: &Ranks, from: &[u32], to: &[u32], bytes: f64, found: &mut Bytes) {
        let (mut sender, mut receiver) = (0, 0);
        // Parts in units of 1 / (senders x receivers), which both sides divide.
        let (mut to_send, mut to_receive) = (to.len(), from.len());
        let unit = bytes / (from.len() * to.len()) as f64;
        while sender < from.len() && receiver < to.len() {
            let part = to_send.min(to_receive);
            self.send(ranks, from[sender], to[receiver], unit * part as f64, found);
            to_send -= part;
            to_receive -= part;
            if to_send == 0 {
                sender += 1;
                to_send = to.len();
            }
            if to_receive == 0 {
                receiver += 1;
                to_receive = from.len();
            }
        }
    }

    /// From node to node; each ring picks its own way where ways are picked.
    fn send(&self, ranks: &Ranks, from: u32, to: u32, bytes: f64, found: &mut Bytes) {
        let rings = if self.spread == Spread::Ideal { 1 } else { ranks.rings.max(1) };
        for ring in 0..rings {
            self.path(from, to, ranks.job, ring, |link| found.push((link, bytes / f64::from(rings))));
        }
    }

    /// What an all-to-all puts on links if each GPU sends `size_bytes` in equal parts to all of the job's GPUs, itself included.
    #[must_use]
    pub fn all_to_all(&self, ranks: &Ranks, size_bytes: f64) -> Bytes {
        let gpus: f64 = ranks.nodes.iter().map(|(_, gpus)| f64::from(*gpus)).sum();
        let each = if gpus > 0.0 { size_bytes / gpus } else { 0.0 };
        let domains = ranks.nodes.iter().any(|(node, _)| self.seats[*node as usize].domain.is_some());
        let few = ranks.nodes.len().saturating_mul(ranks.nodes.len()) <= PAIRS_HASHED;
        let found = match &self.routes {
            Routes::Tree(up) if !domains && (self.spread == Spread::Ideal || !few) => {
                self.all_to_all_in_tree(up, ranks, gpus, each)
            }
            Routes::Dragonfly(dragonfly) => dragonfly.all_to_all(ranks, gpus, each),
            _ => self.all_to_all_by_pairs(ranks, each),
        };
        merged(found)
    }

    fn all_to_all_by_pairs(&self, ranks: &Ranks, each: f64) -> Bytes {
        let mut found = Bytes::new();
        for (from, senders) in ranks.nodes {
            for (to, receivers) in ranks.nodes.iter().filter(|(to, _)| to != from) {
                let bytes = f64::from(*senders) * f64::from(*receivers) * each;
                let ends = [from, to].map(|node| self.seats[*node as usize].domain);
                match ends {
                    [Some(a), Some(b)] if a.number == b.number => {
                        found.extend([(a.to, bytes), (b.from, bytes)])
                    }
                    _ => self.send(ranks, *from, *to, bytes, &mut found),
                }
            }
            found = merged(found);
        }
        self.other_rails(ranks, each, &mut found);
        found
    }

    /// Out of every part of the tree goes what its GPUs send to all the others.
    fn all_to_all_in_tree(&self, up: &[Option<Up>], ranks: &Ranks, gpus: f64, each: f64) -> Bytes {
        let mut inside: BTreeMap<usize, f64> = BTreeMap::new();
        for (node, count) in ranks.nodes {
            let mut at = self.seats[*node as usize].vertex;
            while let Some(above) = up[at.index()] {
                *inside.entry(at.index()).or_default() += f64::from(*count);
                at = above.parent;
            }
        }
        let mut found = Bytes::new();
        for (vertex, count) in inside {
            let Some(above) = up[vertex] else { continue };
            let bytes = count * (gpus - count) * each;
            for group in [above.up, above.down] {
                self.evenly(group, bytes, &mut found);
            }
        }
        self.other_rails(ranks, each, &mut found);
        found
    }

    /// Over all links of a group that are left; where none is, over all: then nothing gets through.
    fn evenly(&self, group: Group, bytes: f64, found: &mut Bytes) {
        let left = group.living(&self.dead).count() as u32;
        if left == 0 {
            let part = bytes / f64::from(group.width);
            return found.extend((0..group.width).map(|lane| (group.first + lane, part)));
        }
        found.extend(group.living(&self.dead).map(|link| (link, bytes / f64::from(left))));
    }

    /// On rails without NVLink, what is for another rail of the same leaves goes over the spine.
    fn other_rails(&self, ranks: &Ranks, each: f64, found: &mut Bytes) {
        let Routes::Tree(up) = &self.routes else { return };
        if self.rails_apart < 2 {
            return;
        }
        // By leaf: its end, GPUs, and the sum of their squares by node (pairs on one node need no network).
        let mut leaves: BTreeMap<u32, (usize, f64, f64)> = BTreeMap::new();
        for (node, count) in ranks.nodes {
            let seat = self.seats[*node as usize];
            let Some(above) = up[seat.vertex.index()] else { continue };
            let leaf = leaves.entry(seat.leaf).or_insert((above.parent.index(), 0.0, 0.0));
            leaf.1 += f64::from(*count);
            leaf.2 += f64::from(*count) * f64::from(*count);
        }
        let crossing = f64::from(self.rails_apart - 1) / f64::from(self.rails_apart);
        for (vertex, count, squares) in leaves.into_values() {
            let Some(above) = up[vertex] else { continue };
            let bytes = (count * count - squares) * each * crossing;
            for group in [above.up, above.down] {
                self.evenly(group, bytes, found);
            }
        }
    }
}

impl Dragonfly {
    fn all_to_all(&self, ranks: &Ranks, gpus: f64, each: f64) -> Bytes {
        let mut found = Bytes::new();
        let mut routers: BTreeMap<u32, f64> = BTreeMap::new();
        for (node, count) in ranks.nodes {
            let (router, to, from) = self.access[*node as usize];
            let count = f64::from(*count);
            *routers.entry(router).or_default() += count;
            found.extend([to, from].map(|link| (link, count * (gpus - count) * each)));
        }
        for (from, senders) in &routers {
            for (to, receivers) in routers.iter().filter(|(to, _)| *to != from) {
                self.between(*from, *to, |link| found.push((link, senders * receivers * each)));
            }
            found = merged(found);
        }
        found
    }
}

/// Each link once, in order; links without bytes are left out.
fn merged(mut found: Bytes) -> Bytes {
    found.sort_by_key(|(link, _)| *link);
    found.dedup_by(|(link, bytes), (kept, sum)| {
        let same = link == kept;
        if same {
            *sum += *bytes;
        }
        same
    });
    found.retain(|(_, bytes)| *bytes > 0.0);
    found
}

#[cfg(test)]
mod tests {
    use super::super::builders::{Endpoint, FabricSpec, Shape, build};
    use super::*;

    fn nodes(count: usize) -> Vec<Endpoint> {
        let node = |at| Endpoint { name: format!("n{at}"), bytes_per_s: 8e9, nics: 8, latency_s: 2e-6 };
        (0..count).map(node).collect()
    }

    fn fabric(shape: Shape, count: usize, spread: Spread) -> Fabric {
        build(&FabricSpec { shape, nodes: nodes(count), hop_s: 1e-7, spread }).unwrap()
    }

    fn three_levels(spread: Spread) -> Fabric {
        let shape = Shape::FatTree {
            nodes_per_leaf: 2,
            leaves_per_pod: Some(2),
            oversubscription: 2.0,
            core_oversubscription: 4.0,
            uplinks: None,
        };
        fabric(shape, 16, spread)
    }

    fn ranks<'a>(nodes: &'a [(u32, u32)], rank_order: bool) -> Ranks<'a> {
        Ranks { nodes, rank_order, job: 7, rings: 8 }
    }

    /// Bytes by the names of the links, for eyes.
    fn named(fabric: &Fabric, bytes: &Bytes) -> Vec<(String, f64)> {
        bytes.iter().map(|(link, bytes)| (fabric.link_name(*link), *bytes)).collect()
    }

    #[test]
    fn a_ring_enters_and_leaves_each_leaf_and_pod_once() {
        let fabric = three_levels(Spread::Ideal);
        // Two nodes on leaf 0, one on leaf 1, one in the next pod; given out in no order.
        let found = named(&fabric, &fabric.ring(&ranks(&[(1, 8), (5, 8), (0, 8), (3, 8)], true), 3.0));
        let names = [
            ["leaf0", "spine0"],
            ["leaf1", "spine0"],
            ["leaf2", "spine1"],
            ["spine0", "core"],
            ["spine1", "core"],
            ["n0", "leaf0"],
            ["n1", "leaf0"],
            ["n3", "leaf1"],
            ["n5", "leaf2"],
        ];
        for [below, above] in names {
            for name in [format!("{below}->{above}"), format!("{above}->{below}")] {
                assert!(found.iter().any(|(link, _)| *link == name), "{name}: {found:?}");
            }
        }
        assert_eq!(found.len(), 2 * names.len());
        assert!(found.iter().all(|(_, bytes)| *bytes == 3.0));
    }

    #[test]
    fn the_order_of_the_allocation_may_cross_more_often() {
        let fabric = three_levels(Spread::Ideal);
        let zigzag = [(0, 8), (4, 8), (1, 8), (5, 8)];
        let most =
            |order| fabric.ring(&ranks(&zigzag, order), 1.0).iter().map(|(_, b)| *b).fold(0.0, f64::max);
        assert_eq!((most(true), most(false)), (1.0, 2.0));
    }

    #[test]
    fn one_node_or_one_leaf_uses_no_link_between_switches() {
        let fabric = three_levels(Spread::Ideal);
        assert!(fabric.ring(&ranks(&[(3, 8)], true), 5.0).is_empty());
        assert!(fabric.all_to_all(&ranks(&[(3, 8)], true), 5.0).is_empty());
        let found = named(&fabric, &fabric.ring(&ranks(&[(2, 8), (3, 8)], true), 5.0));
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["n2->leaf1", "leaf1->n2", "n3->leaf1", "leaf1->n3"]);
        assert_eq!(fabric.latency_s(2, 3), 2e-6);
        assert!((fabric.latency_s(2, 15) - (2e-6 + 4e-7)).abs() < 1e-12);
    }

    #[test]
    fn all_to_all_is_the_same_by_pairs_and_by_parts_of_the_tree() {
        let job = [(0, 8), (1, 4), (3, 8), (6, 2), (12, 8), (13, 1)];
        for (shape, count) in [
            (Shape::Single, 16),
            (Shape::Rail { nodes_per_pod: 4, oversubscription: 1.0, uplinks: None, nvlink: false }, 16),
        ] {
            let fabric = fabric(shape, count, Spread::Ideal);
            let each = 310.0 / 31.0;
            let pairs = merged(fabric.all_to_all_by_pairs(&ranks(&job, true), each));
            let parts = fabric.all_to_all(&ranks(&job, true), 310.0);
            assert_eq!(pairs.len(), parts.len());
            for ((one, a), (other, b)) in pairs.iter().zip(&parts) {
                assert!(one == other && (a - b).abs() < 1e-9, "{one} {a} {other} {b}");
            }
        }
    }

    #[test]
    fn on_rails_traffic_for_another_rail_needs_nvlink_or_the_spine() {
        let up = |nvlink| {
            let shape = Shape::Rail { nodes_per_pod: 4, oversubscription: 1.0, uplinks: None, nvlink };
            let fabric = fabric(shape, 8, Spread::Ideal);
            let found = named(&fabric, &fabric.all_to_all(&ranks(&[(0, 8), (1, 8)], true), 16.0));
            found.into_iter().find(|(name, _)| name == "rails0->spine").map_or(0.0, |(_, bytes)| bytes)
        };
        // 2 x 64 pairs of GPUs send a byte each; 7 of 8 are for another rail.
        assert_eq!((up(true), up(false)), (0.0, 112.0));
    }

    #[test]
    fn a_domain_of_nvlink_is_one_stop_and_its_nics_share_what_leaves() {
        let shape = Shape::Nvl72 {
            nodes_per_domain: 4,
            nvlink_bytes_per_s: 1e12,
            nodes_per_leaf: 8,
            oversubscription: 1.0,
        };
        let fabric = fabric(shape, 16, Spread::Ideal);
        let inside = named(&fabric, &fabric.ring(&ranks(&[(0, 4), (2, 4), (3, 4)], true), 6.0));
        assert!(inside.iter().all(|(name, bytes)| name.contains("nvlink0") && *bytes == 6.0));
        assert_eq!(inside.len(), 6);
        // Two nodes of one domain, three of another on the other leaf.
        let found =
            named(&fabric, &fabric.ring(&ranks(&[(0, 4), (1, 4), (8, 4), (9, 4), (10, 4)], true), 6.0));
        let on = |name: &str| found.iter().find(|(link, _)| link == name).map_or(0.0, |(_, bytes)| *bytes);
        for (name, bytes) in [
            ("n0->leaf0", 3.0),
            ("leaf0->n1", 3.0),
            ("n8->leaf1", 2.0),
            ("leaf0->spine", 6.0),
            ("n0->nvlink0", 6.0),
        ] {
            assert!((on(name) - bytes).abs() < 1e-12, "{name}: {found:?}");
        }
        let pairs = named(&fabric, &fabric.all_to_all(&ranks(&[(0, 4), (1, 4), (8, 4)], true), 12.0));
        let on = |name: &str| pairs.iter().find(|(link, _)| link == name).map_or(0.0, |(_, bytes)| *bytes);
        assert_eq!((on("n0->nvlink0"), on("n0->leaf0"), on("leaf0->spine")), (16.0, 16.0, 32.0));
    }

    #[test]
    fn a_dragonfly_crosses_one_cable_between_groups() {
        let shape = Shape::Dragonfly {
            routers_per_group: 4,
            nodes_per_router: 2,
            local_bytes_per_s: 1e9,
            global_bytes_per_s: 1e9,
        };
        let fabric = fabric(shape, 32, Spread::Ideal);
        for from in 0..32 {
            for to in (0..32).filter(|to| *to != from) {
                let names: Vec<String> =
                    fabric.route(from, to).iter().map(|link| fabric.link_name(*link)).collect();
                assert!(names[0].starts_with(&format!("n{from}->")), "{names:?}");
                assert!(names[names.len() - 1].ends_with(&format!("->n{to}")), "{names:?}");
                assert!(names.len() <= 5);
                // Each link begins where the last one ended.
                for pair in names.windows(2) {
                    assert_eq!(pair[0].split("->").nth(1), pair[1].split("->").next(), "{names:?}");
                }
            }
        }
        let pairs = fabric.all_to_all(&ranks(&[(0, 1), (9, 1), (31, 1)], true), 3.0);
        let slow = merged(fabric.all_to_all_by_pairs(&ranks(&[(0, 1), (9, 1), (31, 1)], true), 1.0));
        assert_eq!(pairs, slow);
    }

    #[test]
    fn hashed_rings_keep_their_bytes_and_pick_the_same_again() {
        let fabric = three_levels(Spread::Hash { seed: 4 });
        let job = ranks(&[(0, 8), (2, 8), (9, 8)], true);
        let (once, again) = (fabric.ring(&job, 8.0), fabric.ring(&job, 8.0));
        assert_eq!(once, again);
        let up: Vec<f64> = named(&fabric, &once)
            .into_iter()
            .filter(|(name, _)| name.starts_with("leaf0->spine0"))
            .map(|(_, bytes)| bytes)
            .collect();
        assert_eq!(up.iter().sum::<f64>(), 8.0);
        // 8 rings on 8 uplinks (16 NICs, 2:1) never fall on all of them: chance 8!/8^8.
        assert!(up.len() < 8 && fabric.ring(&Ranks { job: 8, ..job }, 8.0) != once, "{up:?}");
    }
}

//! Which links a message takes between two nodes.

use petgraph::graph::NodeIndex;

use super::graph::{Fabric, Spread};
use crate::random::mix;

/// A group of parallel links from one end to another: links `first..first + width`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub first: u32,
    /// Links; 1 where the group is one link of summed capacity.
    pub width: u32,
    /// Rails that share the group evenly; ring `r` uses the part of rail `r`.
    pub rails: u32,
}

impl Group {
    /// The link that `pick` falls on.
    pub(super) fn link(self, ring: u32, pick: u64, dead: &[bool]) -> u32 {
        if self.width == 1 {
            return self.first;
        }
        let link = self.any_link(ring, pick);
        if !dead.get(link as usize).copied().unwrap_or(false) {
            return link;
        }
        let left = self.living(dead).count() as u64;
        self.living(dead).nth((pick % left.max(1)) as usize).unwrap_or(link)
    }

    /// Links that have not failed.
    pub(super) fn living(self, dead: &[bool]) -> impl Iterator<Item = u32> + '_ {
        (self.first..self.first + self.width)
            .filter(|link| !dead.get(*link as usize).copied().unwrap_or(false))
    }

    fn any_link(self, ring: u32, pick: u64) -> u32 {
        let each = (self.width / self.rails).max(1);
        let rail = ring % self.rails.min(self.width);
        self.first + rail * each + (pick % u64::from(each)) as u32
    }
}

/// The way from an end to the one above it, and back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Up {
    pub parent: NodeIndex,
    pub up: Group,
    pub down: Group,
    /// Steps to the root.
    pub depth: u32,
}

/// How routes are found.
#[derive(Clone, Debug)]
pub(super) enum Routes {
    /// Up to the lowest common end and down again; by vertex, nothing for the root and for NVLink domains.
    Tree(Vec<Option<Up>>),
    /// Fewest links: by target node and vertex, the next link (`u32::MAX` at the target).
    Next(Vec<Vec<u32>>),
    /// Router to router directly, groups over their one link.
    Dragonfly(Dragonfly),
}

/// Groups of routers, all with all inside a group, all groups with all.
#[derive(Clone, Debug)]
pub(super) struct Dragonfly {
    pub groups: u32,
    pub routers: u32,
    /// By node: its router (over all groups), the link to it and the one from it.
    pub access: Vec<(u32, u32, u32)>,
    /// By group, then router, then router: the link inside the group.
    pub local: Vec<u32>,
    /// By group, then group: the link between them.
    pub global: Vec<u32>,
}

impl Dragonfly {
    /// The router of group `from` that holds the cable to group `to`: cables go round the routers.
    pub(super) fn gateway(&self, from: u32, to: u32) -> u32 {
        let offset = (to + self.groups - from - 1) % self.groups;
        from * self.routers + offset % self.routers
    }

    pub(super) fn local(&self, from: u32, to: u32) -> u32 {
        let (group, routers) = (from / self.routers, self.routers);
        self.local[((group * routers + from % routers) * routers + to % routers) as usize]
    }

    /// Links between two routers; groups are left once at most.
    pub(super) fn between(&self, from: u32, to: u32, mut each: impl FnMut(u32)) {
        let (from_group, to_group) = (from / self.routers, to / self.routers);
        let mut at = from;
        if from_group != to_group {
            let (out, inn) = (self.gateway(from_group, to_group), self.gateway(to_group, from_group));
            if at != out {
                each(self.local(at, out));
            }
            each(self.global[(from_group * self.groups + to_group) as usize]);
            at = inn;
        }
        if at != to {
            each(self.local(at, to));
        }
    }
}

impl Fabric {
    /// Calls `each` for the links from one node to another over their NICs, in order.
    pub(super) fn path(&self, from: u32, to: u32, job: u64, ring: u32, mut each: impl FnMut(u32)) {
        if from == to {
            return;
        }
        match &self.routes {
            Routes::Tree(up) => self.climb(up, from, to, self.pick(from, to, job, ring), ring, each),
            Routes::Next(next) => {
                let mut at = self.seats[from as usize].vertex;
                // Each link brings the message nearer, so there are no more links than ends.
                for _ in 0..self.graph.node_count() {
                    let link = next[to as usize][at.index()];
                    let Some((_, end)) = self.graph.edge_endpoints(link.into()) else { return };
                    each(link);
                    at = end;
                }
            }
            Routes::Dragonfly(dragonfly) => {
                let (from_router, to_link, _) = dragonfly.access[from as usize];
                let (to_router, _, from_link) = dragonfly.access[to as usize];
                each(to_link);
                dragonfly.between(from_router, to_router, &mut each);
                each(from_link);
            }
        }
    }

    /// The draw that says which of parallel links a crossing takes.
    fn pick(&self, from: u32, to: u32, job: u64, ring: u32) -> u64 {
        match self.spread {
            Spread::Ideal => 0,
            Spread::Hash { seed } => pick(seed, job, ring, from, to),
        }
    }

    fn climb(&self, up: &[Option<Up>], from: u32, to: u32, pick: u64, ring: u32, mut each: impl FnMut(u32)) {
        let (mut low, mut high) = (self.seats[from as usize].vertex, self.seats[to as usize].vertex);
        let mut down = smallvec::SmallVec::<[u32; 6]>::new();
        while low != high {
            let (Some(here), Some(there)) = (up[low.index()], up[high.index()]) else {
                // One of them is the root: the other one climbs.
                match (up[low.index()], up[high.index()]) {
                    (Some(here), None) => {
                        each(here.up.link(ring, pick, &self.dead));
                        low = here.parent;
                    }
                    (None, Some(there)) => {
                        down.push(there.down.link(ring, pick, &self.dead));
                        high = there.parent;
                    }
                    _ => return,
                }
                continue;
            };
            if here.depth >= there.depth {
                each(here.up.link(ring, pick, &self.dead));
                low = here.parent;
            }
            if there.depth >= here.depth {
                down.push(there.down.link(ring, pick, &self.dead));
                high = there.parent;
            }
        }
        down.into_iter().rev().for_each(each);
    }
}

/// The seeded hash of (job, ring, source, target).
#[must_use]
pub fn pick(seed: u64, job: u64, ring: u32, source: u32, target: u32) -> u64 {
    let ends = (u64::from(source) << 32) | u64::from(target);
    mix(mix(mix(mix(seed) ^ job) ^ u64::from(ring)) ^ ends)
}

//! Where a job was, and what was cut for it, in words.

use crate::cluster::cards::{CardAllocation, CardPool, Device};
use crate::cluster::mig::Placement;
use crate::cluster::{Allocation, CardGrant};
use crate::ids::{Id, NodeId, PoolId};
use crate::scenario::Design;
use crate::scenario::slurm_conf::compress_hosts;
use crate::simulation::LayoutRow;

/// Nodes of which the GPUs are told.
const TOLD: usize = 2;

/// The pool that a node belongs to.
pub(super) fn pool_of(design: &Design, node: NodeId) -> PoolId {
    let mut first = 0;
    let at = design.cluster.pools.iter().position(|pool| {
        first += pool.count;
        node.0 < first
    });
    PoolId::new(at.expect("the node is of a pool"))
}

fn cards_of(design: &Design, node: NodeId) -> Option<&CardPool> {
    design.sharing.cards.get(pool_of(design, node).index())
}

/// Nodes, with the GPUs of the first few: `main0 (GPUs 0-3)`.
pub(super) fn whole(hosts: &[String], allocation: &Allocation) -> String {
    if allocation.len() > TOLD {
        return listed(hosts, allocation.iter().map(|grant| grant.node));
    }
    let words = allocation.iter().map(|grant| {
        let gpus: Vec<u8> = (0..64u8).filter(|gpu| grant.gpus >> gpu & 1 == 1).collect();
        let host = &hosts[grant.node.index()];
        match gpus.as_slice() {
            [] => host.clone(),
            [only] => format!("{host} (GPU {only})"),
            several => format!("{host} (GPUs {})", ranges(several)),
        }
    });
    words.collect::<Vec<String>>().join(", ")
}

/// The same where GPUs are given out in parts: `main0 (1g.10gb of GPU 3)`.
pub(super) fn parts(design: &Design, hosts: &[String], allocation: &CardAllocation) -> String {
    if allocation.len() > TOLD {
        return listed(hosts, allocation.iter().map(|grant| grant.node));
    }
    let words = allocation.iter().map(|grant| {
        let host = &hosts[grant.node.index()];
        match devices(design, grant) {
            held if held.is_empty() => host.clone(),
            held => format!("{host} ({held})"),
        }
    });
    words.collect::<Vec<String>>().join(", ")
}

fn listed(hosts: &[String], nodes: impl Iterator<Item = NodeId>) -> String {
    let mut nodes: Vec<usize> = nodes.map(|node| node.index()).collect();
    nodes.sort_unstable();
    compress_hosts(nodes.iter().map(|node| hosts[*node].as_str()))
}

fn devices(design: &Design, grant: &CardGrant) -> String {
    let cards = cards_of(design, grant.node);
    let whole = grant.gpus.iter().filter_map(|device| match device {
        Device::Whole { card } => Some(*card),
        Device::Share { .. } | Device::Instance { .. } => None,
    });
    let whole: Vec<u8> = whole.collect();
    let mut words = Vec::new();
    match whole.as_slice() {
        [] => {}
        [only] => words.push(format!("GPU {only}")),
        several => words.push(format!("GPUs {}", ranges(several))),
    }
    for device in &grant.gpus {
        match device {
            Device::Whole { .. } => {}
            Device::Share { card, milli, .. } => words.push(format!("{milli}/1000 of GPU {card}")),
            Device::Instance { card, placement } => {
                words.push(format!("{} of GPU {card}", profile(cards, placement)));
            }
        }
    }
    words.join(", ")
}

fn profile(cards: Option<&CardPool>, placement: &Placement) -> String {
    let mig = cards.and_then(CardPool::mig);
    mig.map_or_else(|| "an instance".to_owned(), |mig| mig.model.profile(placement.profile).name.clone())
}

/// A change of a layout: `1 x 3g.40gb destroyed, 2 x 1g.10gb made`.
pub(super) fn change_words(design: &Design, row: &LayoutRow) -> String {
    let cards = cards_of(design, row.node);
    let mut words = Vec::new();
    match (row.change.was_cut, row.change.is_cut) {
        (false, true) => words.push("MIG on".to_owned()),
        (true, false) => words.push("MIG off".to_owned()),
        _ => {}
    }
    for (placements, done) in [(&row.change.destroy, "destroyed"), (&row.change.create, "made")] {
        let mut names: Vec<String> = placements.iter().map(|placement| profile(cards, placement)).collect();
        names.sort();
        for same in names.chunk_by(|a, b| a == b) {
            let count = if same.len() > 1 { format!("{} x ", same.len()) } else { String::new() };
            words.push(format!("{count}{} {done}", same[0]));
        }
    }
    words.join(", ")
}

fn ranges(sorted: &[u8]) -> String {
    let runs = sorted.chunk_by(|a, b| a + 1 == *b);
    let words = runs.map(|run| match run {
        [only] => only.to_string(),
        several => format!("{}-{}", several[0], several[several.len() - 1]),
    });
    words.collect::<Vec<String>>().join(",")
}

//! What an attempt held, in little room: jobs get runs of nodes, and mostly the same of each.

use crate::cluster::{Allocation, Grant};
use crate::ids::{Id, NodeId};

/// Grants in the order of choice; consecutive nodes that gave the same are one entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    runs: Box<[Run]>,
}

/// The first of some consecutive nodes with what it gave, and how many there are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    first: Grant,
    nodes: u32,
}

impl Granted {
    /// These grants.
    #[must_use]
    pub fn of(grants: &[Grant]) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        for grant in grants {
            match runs.last_mut() {
                Some(run) if run.at(run.nodes) == *grant => run.nodes += 1,
                _ => runs.push(Run { first: *grant, nodes: 1 }),
            }
        }
        Self { runs: runs.into() }
    }

    /// Each grant, in the order of choice.
    pub fn iter(&self) -> impl Iterator<Item = Grant> + '_ {
        self.runs.iter().flat_map(|run| (0..run.nodes).map(|ahead| run.at(ahead)))
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Allocation {
        self.iter().collect()
    }

    /// The nodes by index, ascending.
    #[must_use]
    pub fn nodes(&self) -> Vec<usize> {
        let mut nodes: Vec<usize> = self.iter().map(|grant| grant.node.index()).collect();
        nodes.sort_unstable();
        nodes
    }
}

impl Run {
    /// What the node so far ahead of the first gave.
    fn at(&self, ahead: u32) -> Grant {
        Grant { node: NodeId(self.first.node.0 + ahead), ..self.first }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_granted_comes_back_in_its_order() {
        let mut draw = crate::random::Stream::new(1, "granted", 0, 0);
        for _ in 0..500 {
            let grant = |_| Grant {
                node: NodeId(draw.below(5) as u32),
                cpus: 1 + draw.below(2) as u32,
                mem_mb: 0,
                gpus: 0,
            };
            let grants: Allocation = (0..6).map(grant).collect();
            assert_eq!(Granted::of(&grants).all(), grants);
        }
        let row = |node| Grant { node: NodeId(node), cpus: 16, mem_mb: 0, gpus: 3 };
        let held = Granted::of(&[row(7), row(8), row(9), row(2)]);
        assert_eq!((held.runs.len(), held.nodes()), (2, vec![2, 7, 8, 9]));
    }
}

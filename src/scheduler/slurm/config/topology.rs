//! `topology/tree`: switches above the nodes, as `topology.conf` lists them.

use crate::scheduler::slurm::NodeSet;

/// One switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// `SwitchName`.
    pub name: String,
    /// The switch above it.
    pub parent: Option<usize>,
    /// 0 for a leaf, else one more than the highest switch below it.
    pub level: u32,
    /// All nodes below it.
    pub nodes: NodeSet,
}

/// The switches in the order of `topology.conf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    switches: Vec<Switch>,
    /// By pair of switches: hops over the lowest switch above both; `None` where there is none.
    hops: Vec<Vec<Option<u32>>>,
}

impl Tree {
    /// The tree of switches that come as (name, nodes at it, positions of the switches below it).
    ///
    /// # Errors
    /// The position of a switch that stands below itself, or below two others.
    pub fn new(rows: Vec<(String, NodeSet, Vec<usize>)>) -> Result<Self, usize> {
        let mut parents = vec![None; rows.len()];
        for (at, (_, _, below)) in rows.iter().enumerate() {
            for child in below {
                if parents[*child].replace(at).is_some() {
                    return Err(*child);
                }
            }
        }
        let mut switches: Vec<Switch> = rows
            .into_iter()
            .zip(&parents)
            .map(|((name, nodes, _), parent)| Switch { name, parent: *parent, level: 0, nodes })
            .collect();
        for at in 0..switches.len() {
            let (nodes, mut above, mut level) = (switches[at].nodes.clone(), at, 0);
            while let Some(parent) = switches[above].parent {
                level += 1;
                if level as usize > switches.len() {
                    return Err(at);
                }
                switches[parent].nodes.union_with(&nodes);
                switches[parent].level = switches[parent].level.max(level);
                above = parent;
            }
        }
        let paths: Vec<Vec<usize>> = (0..switches.len())
            .map(|at| std::iter::successors(Some(at), |at| switches[*at].parent).collect())
            .collect();
        let hops = |a: &Vec<usize>, b: &Vec<usize>| {
            let common = a
                .iter()
                .enumerate()
                .find_map(|(up, at)| b.iter().position(|other| other == at).map(|down| up + down))?;
            u32::try_from(common).ok()
        };
        let hops = paths.iter().map(|a| paths.iter().map(|b| hops(a, b)).collect()).collect();
        Ok(Self { switches, hops })
    }

    /// The same with one more leaf, of nodes that come after all others, below the highest switch.
    #[must_use]
    pub fn with_leaf(self, name: &str, nodes: std::ops::Range<usize>) -> Self {
        let highest = self.switches.iter().map(|switch| switch.level).max();
        let top = highest
            .and_then(|level| self.switches.iter().position(|switch| switch.level == level && level > 0));
        let mut below: Vec<Vec<usize>> = vec![Vec::new(); self.switches.len()];
        let parents = self.switches.iter().map(|switch| switch.parent).chain([top]);
        for (at, parent) in parents.enumerate() {
            if let Some(parent) = parent {
                below[parent].push(at);
            }
        }
        let grown = |mut set: NodeSet| {
            set.grow(nodes.end);
            set
        };
        let rows = self.switches.into_iter().zip(below);
        let mut rows: Vec<(String, NodeSet, Vec<usize>)> =
            rows.map(|(switch, below)| (switch.name, grown(switch.nodes), below)).collect();
        let mut leaf = NodeSet::with_capacity(nodes.end);
        leaf.insert_range(nodes);
        rows.push((name.to_owned(), leaf, Vec::new()));
        Self::new(rows).expect("one more leaf leaves a tree a tree")
    }

    /// All switches.
    #[must_use]
    pub fn switches(&self) -> &[Switch] {
        &self.switches
    }

    /// Hops between two switches over the lowest one above both.
    #[must_use]
    pub fn hops(&self, a: usize, b: usize) -> Option<u32> {
        self.hops[a][b]
    }

    /// On how many leaves these nodes are.
    #[must_use]
    pub fn leaves_of(&self, nodes: &[usize]) -> usize {
        let leaves = self.switches.iter().filter(|switch| switch.level == 0);
        leaves.filter(|leaf| nodes.iter().any(|node| leaf.nodes.contains(*node))).count()
    }

    /// Whether one switch is above all `nodes` nodes of the site.
    #[must_use]
    pub fn spans(&self, nodes: usize) -> bool {
        self.switches.iter().any(|switch| switch.nodes.count_ones(..) == nodes)
    }
}

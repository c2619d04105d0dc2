//! What a design's hardware consists of, before anything runs on it.

use super::Amounts;

/// A kind of node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSpec {
    /// Name, from the catalogue or the scenario.
    pub name: String,
    /// What one node has.
    pub capacity: Amounts,
    /// GPU board, a name of the GPU catalogue; `None` without GPUs.
    pub gpu_type: Option<String>,
    /// Memory of each GPU; `None` where it is not known, and then not checked.
    pub gpu_mem_mib: Option<u64>,
    /// Features that jobs can ask for.
    pub features: Vec<String>,
}

/// Equal nodes bought together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSpec {
    /// Name inside the design.
    pub name: String,
    /// The kind of node.
    pub node: NodeSpec,
    /// How many.
    pub count: u32,
    /// Nodes on each host, where a host takes jobs of one tenant at a time only; `None` = jobs of all tenants
    /// share hosts.
    pub dedicated: Option<u32>,
}

/// All pools of a design, in declared order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ClusterSpec {
    /// Pools.
    pub pools: Vec<PoolSpec>,
}

impl ClusterSpec {
    /// A plain pool of `procs` processors without nodes: one node that has them all.
    #[must_use]
    pub fn processors(procs: u32) -> Self {
        let node = NodeSpec {
            name: "processors".to_owned(),
            capacity: Amounts { cpus: procs, gpus: 0, mem_mb: 0 },
            gpu_type: None,
            gpu_mem_mib: None,
            features: Vec::new(),
        };
        Self { pools: vec![PoolSpec { name: "main".to_owned(), node, count: 1, dedicated: None }] }
    }

    /// Capacity of all pools together.
    #[must_use]
    pub fn capacity(&self) -> Amounts {
        self.pools.iter().fold(Amounts::ZERO, |sum, pool| sum.plus(&pool.node.capacity.times(pool.count)))
    }

    /// Number of nodes.
    #[must_use]
    pub fn nodes(&self) -> u32 {
        self.pools.iter().map(|pool| pool.count).sum()
    }
}

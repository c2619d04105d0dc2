//! The allocation ledger: the only writer of capacity.

use smallvec::SmallVec;

use super::dedication::Dedication;
use super::{Amounts, ClusterSpec};
use crate::ids::{Id, IdVec, NodeId, PoolId, TenantId};

/// What an allocation holds on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The node.
    pub node: NodeId,
    /// CPUs.
    pub cpus: u32,
    /// Memory in MiB.
    pub mem_mb: u64,
    /// GPUs by index on the node, one bit each.
    pub gpus: u64,
}

impl Grant {
    /// How much that is.
    #[must_use]
    pub fn amounts(&self) -> Amounts {
        Amounts { cpus: self.cpus, gpus: self.gpus.count_ones(), mem_mb: self.mem_mb }
    }
}

/// What one job (or other owner) holds: a grant per node.
pub type Allocation = SmallVec<[Grant; 1]>;

/// A node now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The pool that it belongs to.
    pub pool: PoolId,
    /// What it has.
    pub capacity: Amounts,
    /// What is free.
    pub free: Amounts,
    /// Which GPUs are free, one bit each.
    pub free_gpus: u64,
    /// Allocations on it.
    pub allocations: u32,
}

impl Node {
    /// The first `count` free GPUs that are not in `avoid`, lowest index first.
    #[must_use]
    pub fn pick_gpus(&self, count: u32, avoid: u64) -> Option<u64> {
        let mut left = self.free_gpus & !avoid;
        let mut picked = 0;
        for _ in 0..count {
            if left == 0 {
                return None;
            }
            let lowest = left & left.wrapping_neg();
            picked |= lowest;
            left ^= lowest;
        }
        Some(picked)
    }
}

/// Why the ledger refuses a grant. A policy that meets one has a defect: the run stops.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// The node has less free than asked.
    #[error("node {node} has {free} free, the grant takes {ask}")]
    OverCapacity {
        /// Node index.
        node: u32,
        /// Free there.
        free: Amounts,
        /// Asked.
        ask: Amounts,
    },
    /// A GPU is not free.
    #[error("node {node}: GPUs {wanted:#b} wanted, {free:#b} free")]
    GpuTaken {
        /// Node index.
        node: u32,
        /// Wanted GPUs.
        wanted: u64,
        /// Free GPUs.
        free: u64,
    },
    /// A part of a GPU that cannot be had so.
    #[error("node {node}: {why}")]
    Card {
        /// Node index.
        node: u32,
        /// What is wrong.
        why: &'static str,
    },
    /// A host that has jobs of another tenant.
    #[error("node {node} is on a host with jobs of another tenant")]
    OtherTenant {
        /// Node index.
        node: u32,
    },
    /// Given back more than was taken.
    #[error("node {node} would have more free than it has")]
    Overflow {
        /// Node index.
        node: u32,
    },
}

/// All nodes with what is free on them.
#[derive(Clone, Debug)]
pub struct Ledger {
    nodes: IdVec<NodeId, Node>,
    pools: IdVec<PoolId, std::ops::Range<u32>>,
    /// The node of each pool that has just one.
    only: IdVec<PoolId, Option<NodeId>>,
    pool_free: IdVec<PoolId, Amounts>,
    pool_capacity: IdVec<PoolId, Amounts>,
    capacity: Amounts,
    free: Amounts,
    /// Nodes in the order in which they changed, for caches that follow.
    changes: Vec<NodeId>,
    /// Number of changes forgotten from the front of `changes`.
    forgotten: usize,
    /// Who has which host of dedicated pools.
    dedication: Option<Box<Dedication>>,
}

impl Ledger {
    /// All nodes of `spec`, all free.
    ///
    /// # Panics
    /// If a node has more than 64 GPUs; the scenario refuses that before.
    #[must_use]
    pub fn new(spec: &ClusterSpec) -> Self {
        let mut nodes = IdVec::new();
        let mut pools: IdVec<PoolId, _> = IdVec::new();
        let mut only = IdVec::new();
        let pool_capacity: IdVec<PoolId, Amounts> =
            spec.pools.iter().map(|pool| pool.node.capacity.times(pool.count)).collect();
        for pool in &spec.pools {
            let first = u32::try_from(nodes.len()).expect("nodes fit 32 bits");
            let id = PoolId::new(pools.len());
            let capacity = pool.node.capacity;
            assert!(capacity.gpus <= 64, "a node has at most 64 GPUs");
            let free_gpus = if capacity.gpus == 64 { u64::MAX } else { (1 << capacity.gpus) - 1 };
            for _ in 0..pool.count {
                nodes.push(Node { pool: id, capacity, free: capacity, free_gpus, allocations: 0 });
            }
            pools.push(first..first + pool.count);
            let is_only = pool.count == 1 && pool.dedicated.is_none();
            only.push(is_only.then_some(NodeId(first)));
        }
        let capacity = spec.capacity();
        Self {
            nodes,
            pools,
            only,
            pool_free: pool_capacity.clone(),
            pool_capacity,
            capacity,
            free: capacity,
            changes: Vec::new(),
            forgotten: 0,
            dedication: Dedication::new(spec),
        }
    }

    /// Takes what `allocation` names.
    ///
    /// # Errors
    /// [`Conflict`] where a grant is not free; nothing is taken then.
    pub fn take(&mut self, allocation: &[Grant]) -> Result<(), Conflict> {
        for (at, grant) in allocation.iter().enumerate() {
            if let Err(conflict) = self.take_one(grant) {
                for earlier in &allocation[..at] {
                    self.give_back_one(earlier).expect("it was taken just now");
                }
                return Err(conflict);
            }
        }
        Ok(())
    }

    /// Gives back what `allocation` names.
    ///
    /// # Errors
    /// [`Conflict`] where that was not taken.
    pub fn give_back(&mut self, allocation: &[Grant]) -> Result<(), Conflict> {
        allocation.iter().try_for_each(|grant| self.give_back_one(grant))
    }

    fn take_one(&mut self, grant: &Grant) -> Result<(), Conflict> {
        let ask = grant.amounts();
        let node = &mut self.nodes[grant.node];
        if !node.free.holds(&ask) {
            return Err(Conflict::OverCapacity { node: grant.node.0, free: node.free, ask });
        }
        if node.free_gpus & grant.gpus != grant.gpus {
            return Err(Conflict::GpuTaken { node: grant.node.0, wanted: grant.gpus, free: node.free_gpus });
        }
        node.free = node.free.minus(&ask);
        node.free_gpus &= !grant.gpus;
        node.allocations += 1;
        self.free = self.free.minus(&ask);
        let pool = &mut self.pool_free[node.pool];
        *pool = pool.minus(&ask);
        self.note_change(grant.node);
        Ok(())
    }

    fn give_back_one(&mut self, grant: &Grant) -> Result<(), Conflict> {
        let back = grant.amounts();
        let node = &mut self.nodes[grant.node];
        let free = node.free.plus(&back);
        if !node.capacity.holds(&free) || node.free_gpus & grant.gpus != 0 || node.allocations == 0 {
            return Err(Conflict::Overflow { node: grant.node.0 });
        }
        node.free = free;
        node.free_gpus |= grant.gpus;
        node.allocations -= 1;
        self.free = self.free.plus(&back);
        let pool = &mut self.pool_free[node.pool];
        *pool = pool.plus(&back);
        self.note_change(grant.node);
        Ok(())
    }

    /// Remembers the change; of a long history only the tail is kept (followers then look at all nodes).
    fn note_change(&mut self, node: NodeId) {
        if self.changes.len() >= 2 * self.nodes.len().max(512) {
            let keep = self.changes.len() / 2;
            self.forgotten += self.changes.len() - keep;
            self.changes.drain(..self.changes.len() - keep);
        }
        self.changes.push(node);
    }

    /// A stamp that grows with every change.
    #[inline]
    #[must_use]
    pub fn version(&self) -> usize {
        self.forgotten + self.changes.len()
    }

    /// The nodes that changed since `version`; `None` if that is too long ago to tell.
    #[inline]
    #[must_use]
    pub fn changed_since(&self, version: usize) -> Option<&[NodeId]> {
        version.checked_sub(self.forgotten).map(|from| &self.changes[from..])
    }

    /// One node.
    #[inline]
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    /// All nodes.
    #[must_use]
    pub fn nodes(&self) -> &IdVec<NodeId, Node> {
        &self.nodes
    }

    /// Node ids of a pool.
    pub fn pool_nodes(&self, pool: PoolId) -> impl Iterator<Item = NodeId> + use<> {
        self.pools[pool].clone().map(NodeId)
    }

    /// Indices of the nodes of a pool.
    #[must_use]
    pub fn pool_range(&self, pool: PoolId) -> std::ops::Range<u32> {
        self.pools[pool].clone()
    }

    /// The node of a pool that has just one (a plain processor pool): nothing to search there. On a dedicated
    /// one there is: whose it is.
    #[inline]
    #[must_use]
    pub fn only_node(&self, pool: PoolId) -> Option<NodeId> {
        self.only[pool]
    }

    /// The hosts of `allocation` in dedicated pools become `tenant`'s until [`Ledger::disclaim`].
    ///
    /// # Errors
    /// [`Conflict::OtherTenant`] where one has jobs of another tenant; nothing changes then.
    pub fn claim(&mut self, allocation: &[Grant], tenant: TenantId) -> Result<(), Conflict> {
        let Some(dedication) = &mut self.dedication else { return Ok(()) };
        dedication
            .claim(allocation.iter().map(|grant| grant.node), tenant)
            .map_err(|node| Conflict::OtherTenant { node: node.0 })?;
        self.note_hosts(allocation);
        Ok(())
    }

    /// Ends what [`Ledger::claim`] began.
    pub fn disclaim(&mut self, allocation: &[Grant]) {
        let Some(dedication) = &mut self.dedication else { return };
        dedication.disclaim(allocation.iter().map(|grant| grant.node));
        self.note_hosts(allocation);
    }

    /// What one node of a host has, and until when, decides who may use the others.
    fn note_hosts(&mut self, allocation: &[Grant]) {
        for grant in allocation {
            let dedication = self.dedication.as_ref().expect("it was asked for");
            let nodes = dedication.beside(grant.node);
            nodes.into_iter().flatten().for_each(|node| self.note_change(NodeId(node)));
        }
    }

    /// Whether some pool is dedicated.
    #[inline]
    #[must_use]
    pub fn is_dedicated(&self) -> bool {
        self.dedication.is_some()
    }

    /// Who has which host, where some pool is dedicated.
    #[must_use]
    pub fn dedication(&self) -> Option<&Dedication> {
        self.dedication.as_deref()
    }

    /// The host of a node of a dedicated pool.
    #[must_use]
    pub fn host_of(&self, node: NodeId) -> Option<usize> {
        self.dedication.as_ref().and_then(|dedication| dedication.host(node))
    }

    /// Whose jobs are on the host of a node of a dedicated pool now.
    #[must_use]
    pub fn tenant_on(&self, node: NodeId) -> Option<TenantId> {
        self.dedication.as_ref().and_then(|dedication| dedication.tenant(node))
    }

    /// Whether `tenant` may use a node now as far as other tenants go.
    #[must_use]
    pub fn is_open(&self, node: NodeId, tenant: TenantId) -> bool {
        self.dedication.as_ref().is_none_or(|dedication| dedication.is_open(node, tenant))
    }

    /// Number of pools.
    #[must_use]
    pub fn pools(&self) -> usize {
        self.pools.len()
    }

    /// Free on all nodes of a pool.
    #[inline]
    #[must_use]
    pub fn pool_free(&self, pool: PoolId) -> Amounts {
        self.pool_free[pool]
    }

    /// Capacity of all nodes of a pool.
    #[must_use]
    pub fn pool_capacity(&self, pool: PoolId) -> Amounts {
        self.pool_capacity[pool]
    }

    /// Capacity of all nodes.
    #[must_use]
    pub fn capacity(&self) -> Amounts {
        self.capacity
    }

    /// Free on all nodes together.
    #[inline]
    #[must_use]
    pub fn free(&self) -> Amounts {
        self.free
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{NodeSpec, PoolSpec};

    fn two_nodes() -> Ledger {
        let capacity = Amounts { cpus: 16, gpus: 4, mem_mb: 1000 };
        let node =
            NodeSpec { name: "n".into(), capacity, gpu_type: None, gpu_mem_mib: None, features: vec![] };
        Ledger::new(&ClusterSpec {
            pools: vec![PoolSpec { name: "p".into(), node, count: 2, dedicated: None }],
        })
    }

    fn grant(node: u32, cpus: u32, gpus: u64) -> Grant {
        Grant { node: NodeId(node), cpus, mem_mb: 0, gpus }
    }

    #[test]
    fn an_illegal_grant_takes_nothing() {
        let mut ledger = two_nodes();
        let conflict = ledger.take(&[grant(0, 8, 0b11), grant(1, 17, 0)]).unwrap_err();
        assert!(matches!(conflict, Conflict::OverCapacity { node: 1, .. }));
        assert_eq!(ledger.free(), ledger.capacity());
        ledger.take(&[grant(0, 8, 0b11)]).unwrap();
        assert!(matches!(ledger.take(&[grant(0, 1, 0b10)]), Err(Conflict::GpuTaken { node: 0, .. })));
    }

    #[test]
    fn nothing_is_given_back_twice() {
        let mut ledger = two_nodes();
        let held = [grant(0, 8, 0b11)];
        ledger.take(&held).unwrap();
        ledger.give_back(&held).unwrap();
        assert_eq!(ledger.give_back(&held), Err(Conflict::Overflow { node: 0 }));
    }

    #[test]
    fn gpus_are_picked_lowest_first() {
        let mut ledger = two_nodes();
        ledger.take(&[grant(0, 1, 0b0001)]).unwrap();
        assert_eq!(ledger.node(NodeId(0)).pick_gpus(2, 0), Some(0b0110));
        assert_eq!(ledger.node(NodeId(0)).pick_gpus(2, 0b0010), Some(0b1100));
        assert_eq!(ledger.node(NodeId(0)).pick_gpus(4, 0), None);
    }
}

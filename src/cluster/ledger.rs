//! The allocation ledger: the only writer of capacity.

use smallvec::SmallVec;

use super::dedication::Dedication;
use super::devices::{Devices, Total, Whole};
use super::{Amounts, ClusterSpec};
use crate::ids::{Id, IdVec, NodeId, PoolId, TenantId};

/// What an allocation holds on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant<D: Devices = Whole> {
    /// The node.
    pub node: NodeId,
    /// CPUs.
    pub cpus: u32,
    /// Memory in MiB.
    pub mem_mb: u64,
    /// Of its GPUs. Whole ones: by index on the node, one bit each.
    pub gpus: D::Held,
}

impl Grant {
    /// How much that is.
    #[must_use]
    pub fn amounts(&self) -> Amounts {
        Amounts { cpus: self.cpus, gpus: self.gpus.count_ones(), mem_mb: self.mem_mb }
    }
}

/// What one job (or other owner) holds: a grant per node.
pub type Allocation<D = Whole> = SmallVec<[Grant<D>; 1]>;

/// A node whose GPUs are given out whole, now.
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
pub struct Ledger<D: Devices = Whole> {
    nodes: IdVec<NodeId, D::Node>,
    pools: IdVec<PoolId, std::ops::Range<u32>>,
    specs: IdVec<PoolId, D::Spec>,
    /// The node of each pool that has just one.
    only: IdVec<PoolId, Option<NodeId>>,
    pool_free: IdVec<PoolId, D::Total>,
    pool_capacity: IdVec<PoolId, D::Total>,
    capacity: D::Total,
    free: D::Total,
    /// Nodes in the order in which they changed, for caches that follow.
    changes: Vec<NodeId>,
    /// Number of changes forgotten from the front of `changes`.
    forgotten: usize,
    /// How often each node changed, where looking at a node is work worth saving.
    stamps: IdVec<NodeId, u32>,
    /// Who has which host of dedicated pools.
    dedication: Option<Box<Dedication>>,
}

impl Ledger<Whole> {
    /// All nodes of `spec`, all free.
    ///
    /// # Panics
    /// If a node has more than 64 GPUs; the scenario refuses that before.
    #[must_use]
    pub fn new(spec: &ClusterSpec) -> Self {
        Self::of(spec, IdVec::filled(spec.pools.len(), ()))
    }
}

impl<D: Devices> Ledger<D> {
    /// All nodes of `spec`, all free; `specs` says how the GPUs of each pool are given out.
    ///
    /// # Panics
    /// If a node has more GPUs than can be told apart; the scenario refuses that before.
    #[must_use]
    pub fn of(spec: &ClusterSpec, specs: IdVec<PoolId, D::Spec>) -> Self {
        let mut nodes = IdVec::new();
        let mut pools: IdVec<PoolId, _> = IdVec::new();
        let mut only = IdVec::new();
        let mut pool_capacity: IdVec<PoolId, D::Total> = IdVec::new();
        for pool in &spec.pools {
            let first = u32::try_from(nodes.len()).expect("nodes fit 32 bits");
            let id = PoolId::new(pools.len());
            for _ in 0..pool.count {
                nodes.push(D::node(id, pool.node.capacity, &specs[id]));
            }
            pools.push(first..first + pool.count);
            pool_capacity.push(D::capacity(pool.node.capacity, &specs[id]).times(pool.count));
            let is_only = D::COUNTS && pool.count == 1 && pool.dedicated.is_none();
            only.push(is_only.then_some(NodeId(first)));
        }
        let capacity = pool_capacity.iter().fold(D::Total::ZERO, |sum, pool| sum.plus(pool));
        let stamps = IdVec::filled(if D::COUNTS { 0 } else { nodes.len() }, 0);
        Self {
            nodes,
            pools,
            specs,
            only,
            pool_free: pool_capacity.clone(),
            pool_capacity,
            capacity,
            free: capacity,
            changes: Vec::new(),
            forgotten: 0,
            stamps,
            dedication: Dedication::new(spec),
        }
    }

    /// Takes what `allocation` names.
    ///
    /// # Errors
    /// [`Conflict`] where a grant is not free; nothing is taken then.
    pub fn take(&mut self, allocation: &[Grant<D>]) -> Result<(), Conflict> {
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
    pub fn give_back(&mut self, allocation: &[Grant<D>]) -> Result<(), Conflict> {
        allocation.iter().try_for_each(|grant| self.give_back_one(grant))
    }

    fn take_one(&mut self, grant: &Grant<D>) -> Result<(), Conflict> {
        let node = &mut self.nodes[grant.node];
        D::take(node, grant)?;
        let pool = D::pool_of(node);
        let ask = D::total(grant, &self.specs[pool]);
        self.free = self.free.minus(&ask);
        let pool = &mut self.pool_free[pool];
        *pool = pool.minus(&ask);
        self.note_change(grant.node);
        Ok(())
    }

    fn give_back_one(&mut self, grant: &Grant<D>) -> Result<(), Conflict> {
        let node = &mut self.nodes[grant.node];
        let pool = D::pool_of(node);
        let spec = &self.specs[pool];
        D::give_back(node, grant, spec)?;
        let back = D::total(grant, spec);
        self.free = self.free.plus(&back);
        let pool = &mut self.pool_free[pool];
        *pool = pool.plus(&back);
        self.note_change(grant.node);
        Ok(())
    }

    /// A node, to change what its GPUs are cut into; what is free in sum stays as it is.
    pub(super) fn change(&mut self, id: NodeId) -> (&mut D::Node, &D::Spec) {
        self.note_change(id);
        let node = &mut self.nodes[id];
        let pool = D::pool_of(node);
        (node, &self.specs[pool])
    }

    /// Remembers the change; of a long history only the tail is kept (followers then look at all nodes).
    fn note_change(&mut self, node: NodeId) {
        if self.changes.len() >= 2 * self.nodes.len().max(512) {
            let keep = self.changes.len() / 2;
            self.forgotten += self.changes.len() - keep;
            self.changes.drain(..self.changes.len() - keep);
        }
        self.changes.push(node);
        if !D::COUNTS {
            self.stamps[node] = self.stamps[node].wrapping_add(1);
        }
    }

    /// A stamp of one node that changes whenever it does; kept where amounts do not tell all.
    #[must_use]
    pub fn stamp(&self, node: NodeId) -> u32 {
        self.stamps[node]
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
    pub fn node(&self, id: NodeId) -> &D::Node {
        &self.nodes[id]
    }

    /// All nodes.
    #[must_use]
    pub fn nodes(&self) -> &IdVec<NodeId, D::Node> {
        &self.nodes
    }

    /// How the GPUs of a pool are given out.
    #[inline]
    #[must_use]
    pub fn spec(&self, pool: PoolId) -> &D::Spec {
        &self.specs[pool]
    }

    /// The pool of a node.
    #[inline]
    #[must_use]
    pub fn pool_of(&self, node: NodeId) -> PoolId {
        D::pool_of(&self.nodes[node])
    }

    /// How the GPUs of a node are given out.
    #[inline]
    #[must_use]
    pub fn spec_of(&self, node: NodeId) -> &D::Spec {
        &self.specs[self.pool_of(node)]
    }

    /// Node ids of a pool.
    pub fn pool_nodes(&self, pool: PoolId) -> impl Iterator<Item = NodeId> + use<D> {
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
    pub fn claim(&mut self, allocation: &[Grant<D>], tenant: TenantId) -> Result<(), Conflict> {
        let Some(dedication) = &mut self.dedication else { return Ok(()) };
        dedication
            .claim(allocation.iter().map(|grant| grant.node), tenant)
            .map_err(|node| Conflict::OtherTenant { node: node.0 })?;
        self.note_hosts(allocation);
        Ok(())
    }

    /// Ends what [`Ledger::claim`] began.
    pub fn disclaim(&mut self, allocation: &[Grant<D>]) {
        let Some(dedication) = &mut self.dedication else { return };
        dedication.disclaim(allocation.iter().map(|grant| grant.node));
        self.note_hosts(allocation);
    }

    /// What one node of a host has, and until when, decides who may use the others.
    fn note_hosts(&mut self, allocation: &[Grant<D>]) {
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
    pub fn pool_free(&self, pool: PoolId) -> D::Total {
        self.pool_free[pool]
    }

    /// Capacity of all nodes of a pool.
    #[must_use]
    pub fn pool_capacity(&self, pool: PoolId) -> D::Total {
        self.pool_capacity[pool]
    }

    /// Capacity of all nodes.
    #[must_use]
    pub fn capacity(&self) -> D::Total {
        self.capacity
    }

    /// Free on all nodes together.
    #[inline]
    #[must_use]
    pub fn free(&self) -> D::Total {
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

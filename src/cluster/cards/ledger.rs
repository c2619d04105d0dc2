//! All nodes whose GPUs may be shared: the only writer of their capacity.

use super::{CardGrant, CardNode, CardPool, InstanceState, Reshape};
use crate::cluster::mig::Placement;
use crate::cluster::{ClusterSpec, Conflict, Dedication};
use crate::ids::{Id, IdVec, NodeId, PoolId, TenantId};

/// Nodes with what is free on them.
#[derive(Clone, Debug)]
pub struct CardLedger {
    nodes: IdVec<NodeId, CardNode>,
    pools: IdVec<PoolId, std::ops::Range<u32>>,
    specs: IdVec<PoolId, CardPool>,
    /// Free CPUs, memory and hours units of GPUs, by pool.
    free: IdVec<PoolId, (u64, u64, u64)>,
    capacity: IdVec<PoolId, (u64, u64, u64)>,
    /// Nodes in the order in which they changed, for caches that follow.
    changes: Vec<NodeId>,
    forgotten: usize,
    /// How often each node changed.
    stamps: IdVec<NodeId, u32>,
    /// Who has which host of dedicated pools.
    dedication: Option<Box<Dedication>>,
}

impl CardLedger {
    /// All nodes of `spec`, all free; `cards` says how the GPUs of each pool are given out.
    #[must_use]
    pub fn new(spec: &ClusterSpec, cards: &[CardPool]) -> Self {
        let mut nodes = IdVec::new();
        let mut pools: IdVec<PoolId, _> = IdVec::new();
        let mut free: IdVec<PoolId, _> = IdVec::new();
        for (pool, cards) in spec.pools.iter().zip(cards) {
            let first = u32::try_from(nodes.len()).expect("nodes fit 32 bits");
            let id = PoolId::new(pools.len());
            let capacity = pool.node.capacity;
            for _ in 0..pool.count {
                nodes.push(CardNode::new(id, capacity, cards));
            }
            pools.push(first..first + pool.count);
            let count = u64::from(pool.count);
            let units = u64::from(capacity.gpus) * u64::from(cards.card_units());
            free.push((count * u64::from(capacity.cpus), count * capacity.mem_mb, count * units));
        }
        let specs = cards.iter().cloned().collect();
        let stamps = IdVec::filled(nodes.len(), 0);
        Self {
            nodes,
            pools,
            specs,
            capacity: free.clone(),
            free,
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
    pub fn take(&mut self, allocation: &[CardGrant]) -> Result<(), Conflict> {
        for (at, grant) in allocation.iter().enumerate() {
            if let Err(why) = self.nodes[grant.node].take(grant) {
                for earlier in &allocation[..at] {
                    self.give_back_one(earlier)?;
                }
                return Err(Conflict::Card { node: grant.node.0, why });
            }
            let (cpus, mem_mb, units) = self.amounts(grant);
            let free = &mut self.free[self.nodes[grant.node].pool];
            *free = (free.0 - cpus, free.1 - mem_mb, free.2 - units);
            self.note_change(grant.node);
        }
        Ok(())
    }

    /// Gives back what `allocation` names.
    ///
    /// # Errors
    /// [`Conflict`] where that was not taken.
    pub fn give_back(&mut self, allocation: &[CardGrant]) -> Result<(), Conflict> {
        allocation.iter().try_for_each(|grant| self.give_back_one(grant))
    }

    fn give_back_one(&mut self, grant: &CardGrant) -> Result<(), Conflict> {
        let node = &mut self.nodes[grant.node];
        let pool = node.pool;
        node.give_back(grant, &self.specs[pool]).map_err(|why| Conflict::Card { node: grant.node.0, why })?;
        let (cpus, mem_mb, units) = self.amounts(grant);
        let free = &mut self.free[pool];
        *free = (free.0 + cpus, free.1 + mem_mb, free.2 + units);
        self.note_change(grant.node);
        Ok(())
    }

    fn amounts(&self, grant: &CardGrant) -> (u64, u64, u64) {
        let spec = &self.specs[self.nodes[grant.node].pool];
        let units = grant.devices.iter().map(|device| u64::from(spec.units(device))).sum();
        (u64::from(grant.cpus), grant.mem_mb, units)
    }

    /// Changes the layout of a card; what is created is in `state` then.
    ///
    /// # Errors
    /// [`Conflict`] where the hardware does not allow it.
    pub fn reshape(&mut self, node: NodeId, change: &Reshape, state: InstanceState) -> Result<(), Conflict> {
        let conflict = |why| Conflict::Card { node: node.0, why };
        let mig = self.specs[self.nodes[node].pool].mig().ok_or(conflict("the GPUs are not for MIG"))?;
        self.nodes[node].reshape(change, state, mig).map_err(conflict)?;
        self.note_change(node);
        Ok(())
    }

    /// Puts an instance that nobody uses into another state.
    ///
    /// # Errors
    /// [`Conflict`] where there is none, or a job has it.
    pub fn mark(
        &mut self,
        node: NodeId,
        card: u8,
        placement: Placement,
        state: InstanceState,
    ) -> Result<(), Conflict> {
        let cards = &mut self.nodes[node].cards;
        let instances = cards.get_mut(usize::from(card)).map(|card| &mut card.instances);
        let found = instances.and_then(|all| all.iter_mut().find(|i| i.placement == placement));
        match found {
            Some(instance) if instance.state != InstanceState::Busy => instance.state = state,
            _ => return Err(Conflict::Card { node: node.0, why: "there is no such idle instance" }),
        }
        self.note_change(node);
        Ok(())
    }

    /// The hosts of `allocation` in dedicated pools become `tenant`'s until [`CardLedger::disclaim`].
    ///
    /// # Errors
    /// [`Conflict::OtherTenant`] where one has jobs of another tenant; nothing changes then.
    pub fn claim(&mut self, allocation: &[CardGrant], tenant: TenantId) -> Result<(), Conflict> {
        let Some(dedication) = &mut self.dedication else { return Ok(()) };
        dedication
            .claim(allocation.iter().map(|grant| grant.node), tenant)
            .map_err(|node| Conflict::OtherTenant { node: node.0 })?;
        self.note_hosts(allocation);
        Ok(())
    }

    /// Ends what [`CardLedger::claim`] began.
    pub fn disclaim(&mut self, allocation: &[CardGrant]) {
        let Some(dedication) = &mut self.dedication else { return };
        dedication.disclaim(allocation.iter().map(|grant| grant.node));
        self.note_hosts(allocation);
    }

    /// What one node of a host has, and until when, decides who may use the others.
    fn note_hosts(&mut self, allocation: &[CardGrant]) {
        for grant in allocation {
            let dedication = self.dedication.as_ref().expect("it was asked for");
            let nodes = dedication.beside(grant.node);
            nodes.into_iter().flatten().for_each(|node| self.note_change(NodeId(node)));
        }
    }

    /// Who has which host, where some pool is dedicated.
    #[must_use]
    pub fn dedication(&self) -> Option<&Dedication> {
        self.dedication.as_deref()
    }

    /// Remembers the change; of a long history only the tail is kept (followers then look at all nodes).
    fn note_change(&mut self, node: NodeId) {
        if self.changes.len() >= 2 * self.nodes.len().max(512) {
            let keep = self.changes.len() / 2;
            self.forgotten += self.changes.len() - keep;
            self.changes.drain(..self.changes.len() - keep);
        }
        self.changes.push(node);
        self.stamps[node] = self.stamps[node].wrapping_add(1);
    }

    /// A stamp of one node that changes whenever it does.
    #[must_use]
    pub fn stamp(&self, node: NodeId) -> u32 {
        self.stamps[node]
    }

    /// A stamp that grows with every change.
    #[must_use]
    pub fn version(&self) -> usize {
        self.forgotten + self.changes.len()
    }

    /// The nodes that changed since `version`; `None` if that is too long ago to tell.
    #[must_use]
    pub fn changed_since(&self, version: usize) -> Option<&[NodeId]> {
        version.checked_sub(self.forgotten).map(|from| &self.changes[from..])
    }

    /// One node.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &CardNode {
        &self.nodes[id]
    }

    /// All nodes.
    #[must_use]
    pub fn nodes(&self) -> &IdVec<NodeId, CardNode> {
        &self.nodes
    }

    /// How the GPUs of a pool are given out.
    #[must_use]
    pub fn spec(&self, pool: PoolId) -> &CardPool {
        &self.specs[pool]
    }

    /// How the GPUs of a node are given out.
    #[must_use]
    pub fn spec_of(&self, node: NodeId) -> &CardPool {
        &self.specs[self.nodes[node].pool]
    }

    /// Indices of the nodes of a pool.
    #[must_use]
    pub fn pool_range(&self, pool: PoolId) -> std::ops::Range<u32> {
        self.pools[pool].clone()
    }

    /// Number of pools.
    #[must_use]
    pub fn pools(&self) -> usize {
        self.pools.len()
    }

    /// CPUs, memory (MiB) and GPUs (hours units) of all nodes of a pool.
    #[must_use]
    pub fn pool_capacity(&self, pool: PoolId) -> (u64, u64, u64) {
        self.capacity[pool]
    }

    /// Free CPUs, memory (MiB) and GPUs (hours units) of all nodes of a pool.
    #[must_use]
    pub fn pool_free(&self, pool: PoolId) -> (u64, u64, u64) {
        self.free[pool]
    }
}

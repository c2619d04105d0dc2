//! The ledger of nodes whose GPUs may be shared.

use smallvec::SmallVec;

use super::{CardGrant, CardLedger, CardNode, CardPool, Cards, Device, InstanceState, Reshape, Units};
use crate::cluster::devices::Devices;
use crate::cluster::mig::Placement;
use crate::cluster::{Amounts, ClusterSpec, Conflict};
use crate::ids::{NodeId, PoolId};

impl Devices for Cards {
    type Held = SmallVec<[Device; 1]>;
    type Node = CardNode;
    type Spec = CardPool;
    type Total = Units;
    const COUNTS: bool = false;

    fn node(pool: PoolId, capacity: Amounts, spec: &CardPool) -> CardNode {
        CardNode::new(pool, capacity, spec)
    }

    #[inline]
    fn pool_of(node: &CardNode) -> PoolId {
        node.pool
    }

    fn capacity(capacity: Amounts, spec: &CardPool) -> Units {
        Units {
            cpus: u64::from(capacity.cpus),
            mem_mb: capacity.mem_mb,
            gpus: u64::from(capacity.gpus) * u64::from(spec.card_units()),
        }
    }

    fn total(grant: &CardGrant, spec: &CardPool) -> Units {
        let gpus = grant.gpus.iter().map(|device| u64::from(spec.units(device))).sum();
        Units { cpus: u64::from(grant.cpus), mem_mb: grant.mem_mb, gpus }
    }

    fn take(node: &mut CardNode, grant: &CardGrant) -> Result<(), Conflict> {
        node.take(grant).map_err(|why| Conflict::Card { node: grant.node.0, why })
    }

    fn give_back(node: &mut CardNode, grant: &CardGrant, spec: &CardPool) -> Result<(), Conflict> {
        node.give_back(grant, spec).map_err(|why| Conflict::Card { node: grant.node.0, why })
    }
}

impl CardLedger {
    /// All nodes of `spec`, all free; `cards` says how the GPUs of each pool are given out.
    #[must_use]
    pub fn of_cards(spec: &ClusterSpec, cards: &[CardPool]) -> Self {
        Self::of(spec, cards.iter().cloned().collect())
    }

    /// Changes the layout of a card; what is created is in `state` then.
    ///
    /// # Errors
    /// [`Conflict`] where the hardware does not allow it.
    pub fn reshape(&mut self, id: NodeId, change: &Reshape, state: InstanceState) -> Result<(), Conflict> {
        let conflict = |why| Conflict::Card { node: id.0, why };
        let (node, spec) = self.change(id);
        let mig = spec.mig().ok_or(conflict("the GPUs are not for MIG"))?;
        node.reshape(change, state, mig).map_err(conflict)
    }

    /// Puts an instance that nobody uses into another state.
    ///
    /// # Errors
    /// [`Conflict`] where there is none, or a job has it.
    pub fn mark(
        &mut self,
        id: NodeId,
        card: u8,
        placement: Placement,
        state: InstanceState,
    ) -> Result<(), Conflict> {
        let (node, _) = self.change(id);
        let instances = node.cards.get_mut(usize::from(card)).map(|card| &mut card.instances);
        let found = instances.and_then(|all| all.iter_mut().find(|i| i.placement == placement));
        match found {
            Some(instance) if instance.state != InstanceState::Busy => instance.state = state,
            _ => return Err(Conflict::Card { node: id.0, why: "there is no such idle instance" }),
        }
        Ok(())
    }
}

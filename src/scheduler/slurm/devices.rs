//! The devices of a site's nodes: `gres/gpu` as bits, or GPUs card by card where they are given out in parts.
//!
//! Where a site cuts or shares its GPUs, a node's devices are what slurmd would report of it: one for each MIG
//! instance, `gres/mps` or `gres/shard` for thousandths of a GPU, whole GPUs where nothing is cut. Which of them a job
//! gets is the rule of all policies ([`fit::choose_devices`](crate::scheduler::shared::fit::choose_devices)), the lowest
//! index first, as Slurm takes them.

use std::sync::Arc;

use smallvec::SmallVec;

use super::placement::{Free, Hardware};
use crate::cluster::cards::{CARD_UNITS, CardGrant, CardNode, CardPool, Device, InstanceState, Reshape};
use crate::cluster::mig::Placement;
use crate::cluster::{
    Allocation, Amounts, CardLedger, ClusterSpec, Conflict, Dedication, Devices, Grant, Ledger, NodeSpec,
    PoolSpec,
};
use crate::ids::{Id, NodeId, TenantId};
use crate::scheduler::shared::fit::{CardRule, Chosen, DeviceAsk, Look, choose_devices};
use crate::scheduler::shared::floor::NodeReshape;

/// The parts of GPUs that a job asks for on a node of each pool; `None` where a node of the pool cannot give them.
pub type Parts = Arc<[Option<DeviceAsk>]>;

/// What a job holds of the cards of each node of its allocation; empty where GPUs are bits.
pub type Held = SmallVec<[<crate::cluster::Cards as Devices>::Held; 1]>;

/// How the GPUs of a node are given out, where that is card by card.
#[derive(Clone, Debug)]
pub struct Cards {
    /// The pool that it belongs to.
    pub pool: usize,
    /// How they are given out.
    pub spec: Arc<CardPool>,
}

impl Cards {
    fn look(&self, is_later: bool) -> Look<'_> {
        Look { spec: &self.spec, stranding: None, rule: CardRule::LowestId, is_later, first_not_free: None }
    }

    /// What a job that asks for `parts` gets on a node; `is_later` = layouts may have been changed until then.
    #[must_use]
    pub fn choose(&self, parts: Option<&Parts>, node: &CardNode, is_later: bool) -> Option<Chosen> {
        match parts {
            None => Some(Chosen::default()),
            Some(parts) => choose_devices(node, parts[self.pool].as_ref()?, self.look(is_later)),
        }
    }

    /// Everything on an unused node, for a job that has it for itself.
    fn all_of(&self, node: &CardNode) -> SmallVec<[Device; 1]> {
        let mut all = SmallVec::new();
        for (at, card) in (0u8..).zip(&node.cards) {
            match &self.spec.mode {
                _ if card.is_cut => {
                    let one = |placement| Device::Instance { card: at, placement };
                    all.extend(card.instances.iter().map(|instance| one(instance.placement)));
                }
                crate::cluster::cards::CardMode::Shares => {
                    all.push(Device::Share { card: at, milli: card.free_milli, mib: 0 });
                }
                _ => all.push(Device::Whole { card: at }),
            }
        }
        all
    }

    /// As [`Cards::choose`], or everything for an exclusive job.
    pub(super) fn choose_for(
        &self,
        parts: Option<&Parts>,
        is_exclusive: bool,
        node: &CardNode,
    ) -> Option<Chosen> {
        let all = DeviceAsk::Whole(u32::try_from(node.cards.len()).expect("few GPUs"));
        let asks_for_all = parts.is_some_and(|parts| parts[self.pool].as_ref() == Some(&all));
        if is_exclusive && !asks_for_all {
            return Some(Chosen { devices: self.all_of(node), ..Chosen::default() });
        }
        self.choose(parts, node, false)
    }
}

impl Free {
    /// Takes back what a job had on the node with this `hardware`.
    pub(super) fn give_back(&mut self, grant: &Grant, held: &[Device], hardware: &Hardware) {
        match (&mut self.cards, &hardware.cards) {
            (Some(node), Some(cards)) => {
                let grant = card_grant(grant, held);
                node.give_back(&grant, &cards.spec).expect("what is held was taken");
            }
            _ => self.gpus |= grant.gpus,
        }
        self.cpus += grant.cpus;
        self.mem_mb += grant.mem_mb;
    }

    /// The same once what is under way is done: kept and half-made instances are idle.
    pub(super) fn later(&self) -> Self {
        let cards = self.cards.as_ref().map(|node| Box::new(node.later()));
        Self { cards, ..self.clone() }
    }

    /// A grant of the tenant of its host ends.
    pub(super) fn leave_host(&mut self) {
        self.owner =
            self.owner.map(|(tenant, grants)| (tenant, grants - 1)).filter(|(_, grants)| *grants > 0);
    }

    /// Whether nobody is on the node; `empty` is the node without jobs.
    pub(super) fn is_unused(&self, empty: &Self) -> bool {
        match &self.cards {
            None => self.cpus == empty.cpus && self.mem_mb == empty.mem_mb && self.gpus == empty.gpus,
            Some(node) => node.allocations == 0 && self.cpus == empty.cpus && self.mem_mb == empty.mem_mb,
        }
    }
}

/// A grant with what it holds of cards.
#[must_use]
pub fn card_grant(grant: &Grant, held: &[Device]) -> CardGrant {
    CardGrant { node: grant.node, cpus: grant.cpus, mem_mb: grant.mem_mb, gpus: SmallVec::from_slice(held) }
}

/// The cards that devices are on, one bit each.
pub(super) fn cards_of(held: &[Device]) -> u64 {
    held.iter().fold(0, |bits, device| bits | 1 << device.card())
}

/// Nodes with what is free on them: the only writer of capacity.
#[derive(Clone, Debug)]
pub(super) enum Stock {
    Whole(Box<Ledger>),
    Cards(Box<CardLedger>),
}

impl Stock {
    /// Neighbours of one pool are a pool; nodes of none are pools of their own. Indices are the configuration's.
    pub(super) fn new(names: &[String], hardware: &[Hardware]) -> Self {
        let mut pools: Vec<PoolSpec> = Vec::new();
        let mut cards: Vec<CardPool> = Vec::new();
        for (at, (name, node)) in names.iter().zip(hardware).enumerate() {
            let before = at.checked_sub(1).map(|at| hardware[at].pool);
            if let Some(last) = pools.last_mut().filter(|_| node.pool.is_some() && before == Some(node.pool))
            {
                last.count += 1;
                continue;
            }
            let spec = PoolSpec {
                name: name.clone(),
                node: NodeSpec {
                    name: name.clone(),
                    capacity: node.capacity(),
                    gpu_type: None,
                    gpu_mem_mib: None,
                    features: node.features.clone(),
                },
                count: 1,
                dedicated: node.pool.and_then(|(_, dedicated)| dedicated),
            };
            // Pools without nodes keep their numbers.
            while node.pool.is_some_and(|(pool, _)| pools.len() < pool) {
                pools.push(PoolSpec { count: 0, ..spec.clone() });
                cards.extend(node.cards.as_ref().map(|_| CardPool::whole()));
            }
            pools.push(spec);
            cards.extend(node.cards.as_ref().map(|cards| (*cards.spec).clone()));
        }
        let spec = ClusterSpec { pools };
        if cards.is_empty() {
            Self::Whole(Box::new(Ledger::new(&spec)))
        } else {
            Self::Cards(Box::new(CardLedger::of_cards(&spec, &cards)))
        }
    }

    /// The hosts of a job that starts become its tenant's, where hosts are dedicated.
    pub(super) fn claim(
        &mut self,
        grants: &Allocation,
        held: &Held,
        tenant: TenantId,
    ) -> Result<(), Conflict> {
        match self {
            Self::Whole(ledger) => ledger.claim(grants, tenant),
            Self::Cards(ledger) => ledger.claim(&card_grants(grants, held), tenant),
        }
    }

    /// Ends what [`Stock::claim`] began.
    pub(super) fn disclaim(&mut self, grants: &Allocation, held: &Held) {
        match self {
            Self::Whole(ledger) => ledger.disclaim(grants),
            Self::Cards(ledger) => ledger.disclaim(&card_grants(grants, held)),
        }
    }

    pub(super) fn dedication(&self) -> Option<&Dedication> {
        match self {
            Self::Whole(ledger) => ledger.dedication(),
            Self::Cards(ledger) => ledger.dedication(),
        }
    }

    pub(super) fn take(&mut self, grants: &Allocation, held: &Held) -> Result<(), Conflict> {
        match self {
            Self::Whole(ledger) => ledger.take(grants),
            Self::Cards(ledger) => ledger.take(&card_grants(grants, held)),
        }
    }

    pub(super) fn give_back(&mut self, grants: &Allocation, held: &Held) -> Result<(), Conflict> {
        match self {
            Self::Whole(ledger) => ledger.give_back(grants),
            Self::Cards(ledger) => ledger.give_back(&card_grants(grants, held)),
        }
    }

    pub(super) fn version(&self) -> usize {
        match self {
            Self::Whole(ledger) => ledger.version(),
            Self::Cards(ledger) => ledger.version(),
        }
    }

    pub(super) fn changed_since(&self, version: usize) -> Option<&[NodeId]> {
        match self {
            Self::Whole(ledger) => ledger.changed_since(version),
            Self::Cards(ledger) => ledger.changed_since(version),
        }
    }

    /// What is free on a node.
    pub(super) fn free_on(&self, node: usize) -> Free {
        let id = NodeId::new(node);
        let owner = self.dedication().and_then(|dedication| dedication.owner(id));
        match self {
            Self::Whole(ledger) => {
                let now = ledger.node(id);
                Free { cpus: now.free.cpus, mem_mb: now.free.mem_mb, gpus: now.free_gpus, cards: None, owner }
            }
            Self::Cards(ledger) => {
                let now = ledger.node(id);
                Free {
                    cpus: now.cpus,
                    mem_mb: now.mem_mb,
                    gpus: 0,
                    cards: Some(Box::new(now.clone())),
                    owner,
                }
            }
        }
    }

    /// What is free on all nodes together; of cut and shared GPUs as many as all the parts make.
    pub(super) fn free(&self) -> Amounts {
        match self {
            Self::Whole(ledger) => ledger.free(),
            Self::Cards(ledger) => {
                let free = ledger.free();
                Amounts {
                    cpus: u32::try_from(free.cpus).unwrap_or(u32::MAX),
                    gpus: u32::try_from(free.gpus / u64::from(CARD_UNITS)).unwrap_or(u32::MAX),
                    mem_mb: free.mem_mb,
                }
            }
        }
    }

    /// The cards, where GPUs are given out card by card.
    pub(super) fn cards(&self) -> Option<&CardLedger> {
        match self {
            Self::Whole(_) => None,
            Self::Cards(ledger) => Some(ledger),
        }
    }

    fn cards_mut(&mut self) -> Option<&mut CardLedger> {
        match self {
            Self::Whole(_) => None,
            Self::Cards(ledger) => Some(ledger),
        }
    }

    /// Puts an instance that nobody uses into another state.
    pub(super) fn mark(
        &mut self,
        node: NodeId,
        card: u8,
        placement: Placement,
        state: InstanceState,
    ) -> Result<(), Conflict> {
        let Some(ledger) = self.cards_mut() else { return Ok(()) };
        ledger.mark(node, card, placement, state)
    }

    /// Cuts cards anew.
    pub(super) fn reshape(&mut self, changes: &[NodeReshape], state: InstanceState) -> Result<(), Conflict> {
        let Some(ledger) = self.cards_mut() else { return Ok(()) };
        changes.iter().try_for_each(|(node, change): &(NodeId, Reshape)| ledger.reshape(*node, change, state))
    }
}

fn card_grants(grants: &Allocation, held: &Held) -> SmallVec<[CardGrant; 1]> {
    grants.iter().zip(held).map(|(grant, held)| card_grant(grant, held)).collect()
}

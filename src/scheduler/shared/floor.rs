//! Shared GPUs as the scheduler sees them: what is free now, and when the rest is expected back.

use smallvec::SmallVec;

use super::fit::{CardPart, DeviceAsk, Look, choose, occupy};
use crate::cluster::cards::{
    CARD_MILLI, CARD_UNITS, CardAllocation, CardGrant, CardMode, CardNode, CardPool, Device, InstanceState,
    Reshape,
};
use crate::cluster::{CardLedger, ClusterSpec, Conflict};
use crate::ids::{Id, IdVec, NodeId, TenantId};
use crate::scheduler::sharing::{CardShare, ModelSet, SharedDemand, SharedNode};
use crate::scheduler::stays::Stays;
use crate::time::SimTime;

/// A change of layouts that a start needs.
pub type NodeReshape = (NodeId, Reshape);

/// Ledger and expected releases.
#[derive(Debug)]
pub struct CardFloor {
    ledger: CardLedger,
    /// By node, sorted by (expected end, slot).
    releases: IdVec<NodeId, Vec<(SimTime, u32, CardGrant)>>,
    /// The nodes as placements by score see them; empty where none of those is in use.
    views: IdVec<NodeId, SharedNode>,
    stays: Stays,
}

impl CardFloor {
    /// An empty floor; `with_views` where the placement looks at thousandths of cards.
    #[must_use]
    pub fn new(spec: &ClusterSpec, cards: &[CardPool], with_views: bool) -> Self {
        let ledger = CardLedger::of_cards(spec, cards);
        let releases = IdVec::filled(ledger.nodes().len(), Vec::new());
        let mut views = IdVec::new();
        if with_views {
            for node in ledger.nodes().iter() {
                let memory = u32::try_from(node.capacity.mem_mb).unwrap_or(u32::MAX);
                let model = node.pool.index().min(63) as u8;
                let mut view = SharedNode::new(node.capacity.cpus * 1000, memory, model, node.cards.len());
                // Of the GPU that a vGPU is on, the rest is not the VM's.
                if let Some(vgpus) = ledger.spec(node.pool).vgpus {
                    let has = vgpus.units * u32::from(CARD_MILLI) / CARD_UNITS;
                    view.cards.iter_mut().for_each(|free| *free = has as u16);
                }
                views.push(view);
            }
        }
        let stays = Stays::new(ledger.dedication());
        Self { ledger, releases, views, stays }
    }

    /// The ledger, for reading.
    #[must_use]
    pub fn ledger(&self) -> &CardLedger {
        &self.ledger
    }

    /// The ledger, for changes of layouts.
    pub fn ledger_mut(&mut self) -> &mut CardLedger {
        &mut self.ledger
    }

    /// A node in thousandths.
    #[must_use]
    pub fn view(&self, node: NodeId) -> Option<&SharedNode> {
        (!self.views.is_empty()).then(|| &self.views[node])
    }

    /// Cuts cards anew where `reshapes` says so and takes `allocation` for the holder `slot`.
    ///
    /// # Errors
    /// The ledger's [`Conflict`]: the policy is at fault.
    pub fn start(
        &mut self,
        slot: u32,
        allocation: &CardAllocation,
        reshapes: &[NodeReshape],
        expected_end: SimTime,
    ) -> Result<(), Conflict> {
        for (node, change) in reshapes {
            self.ledger.reshape(*node, change, InstanceState::Idle)?;
        }
        self.ledger.take(allocation)?;
        for grant in allocation {
            let rows = &mut self.releases[grant.node];
            let at = rows.partition_point(|(end, other, _)| (*end, *other) < (expected_end, slot));
            rows.insert(at, (expected_end, slot, grant.clone()));
            if !self.views.is_empty() {
                let spec = self.ledger.spec_of(grant.node);
                take_on_view(&mut self.views[grant.node], grant, spec);
            }
        }
        Ok(())
    }

    /// As [`CardFloor::start`], for a job of `tenant`: dedicated hosts become its own.
    ///
    /// # Errors
    /// The ledger's [`Conflict`]: the policy is at fault.
    pub fn start_for(
        &mut self,
        tenant: TenantId,
        slot: u32,
        allocation: &CardAllocation,
        reshapes: &[NodeReshape],
        expected_end: SimTime,
    ) -> Result<(), Conflict> {
        self.ledger.claim(allocation, tenant)?;
        let nodes = allocation.iter().map(|grant| grant.node);
        self.stays.enter(self.ledger.dedication(), nodes, (expected_end, slot));
        self.start(slot, allocation, reshapes, expected_end)
    }

    /// When `tenant` may use a node as far as other tenants on its host go.
    #[must_use]
    pub fn open_at(&self, node: NodeId, tenant: TenantId) -> SimTime {
        self.stays.open_at(self.ledger.dedication(), node, tenant)
    }

    /// Gives back what `start` took.
    ///
    /// # Errors
    /// The ledger's [`Conflict`] if it was not taken.
    pub fn end(
        &mut self,
        slot: u32,
        allocation: &CardAllocation,
        expected_end: SimTime,
    ) -> Result<(), Conflict> {
        self.ledger.give_back(allocation)?;
        let nodes = allocation.iter().map(|grant| grant.node);
        if self.stays.leave(self.ledger.dedication(), nodes, (expected_end, slot)) {
            self.ledger.disclaim(allocation);
        }
        for grant in allocation {
            let rows = &mut self.releases[grant.node];
            let at = rows.partition_point(|(end, other, _)| (*end, *other) < (expected_end, slot));
            rows.remove(at);
            if !self.views.is_empty() {
                let spec = self.ledger.spec_of(grant.node);
                give_back_on_view(&mut self.views[grant.node], grant, spec);
            }
        }
        Ok(())
    }

    /// The first expected end after which `node` has room for `part`; `i64::MIN` if it has it now.
    #[must_use]
    pub fn ready_at(&self, node: NodeId, part: &CardPart, look: Look<'_>) -> SimTime {
        let now = self.ledger.node(node);
        if choose(now, part, look).is_some() {
            return SimTime::from_micros(i64::MIN);
        }
        let look = Look { is_later: true, ..look };
        let mut later = now.later();
        if choose(&later, part, look).is_some() {
            // Only something under way keeps it from starting now: as good as now.
            return SimTime::from_micros(i64::MIN + 1);
        }
        let spec = self.ledger.spec_of(node);
        for (end, _, grant) in &self.releases[node] {
            later.give_back(grant, spec).expect("what is held was taken");
            if could_help(part, grant) && choose(&later, part, look).is_some() {
                return *end;
            }
        }
        SimTime::NEVER
    }

    /// The node as expected at `at`, and the same in thousandths where the placement looks at those.
    #[must_use]
    pub fn expected(&self, node: NodeId, at: SimTime) -> (CardNode, Option<SharedNode>) {
        let spec = self.ledger.spec_of(node);
        let mut later = self.ledger.node(node).later();
        let mut view = self.view(node).cloned();
        for (_, _, grant) in self.releases[node].iter().take_while(|(end, ..)| *end <= at) {
            later.give_back(grant, spec).expect("what is held was taken");
            if let Some(view) = &mut view {
                give_back_on_view(view, grant, spec);
            }
        }
        (later, view)
    }
}

/// Whether the return of `grant` can make room for `part` on its node.
fn could_help(part: &CardPart, grant: &CardGrant) -> bool {
    !grant.gpus.is_empty() || matches!(part.ask, DeviceAsk::None) || grant.cpus > 0 || grant.mem_mb > 0
}

/// Thousandths of a card that a device is for placements that look at those; compute slices, rounded down.
fn milli_of(device: &Device, spec: &CardPool) -> u16 {
    match device {
        Device::Whole { .. } => CARD_MILLI,
        Device::Share { milli, .. } => *milli,
        Device::Instance { placement, .. } => match &spec.mode {
            CardMode::Mig(mig) => {
                let slices = u16::from(mig.model.profile(placement.profile).compute_slices);
                CARD_MILLI * slices / u16::from(mig.model.compute_slices)
            }
            CardMode::Whole | CardMode::Shares => 0,
        },
    }
}

/// A grant as demands in thousandths: whole cards together, parts of cards one by one.
fn demands(grant: &CardGrant, spec: &CardPool) -> SmallVec<[(SharedDemand, SmallVec<[u8; 8]>); 2]> {
    let memory = u32::try_from(grant.mem_mb).unwrap_or(u32::MAX);
    let rest = SharedDemand {
        cpu_milli: grant.cpus * 1000,
        mem_mib: memory,
        cards: 0,
        card_milli: 0,
        models: ModelSet::ANY,
    };
    let whole: SmallVec<[u8; 8]> =
        grant.gpus.iter().filter(|d| milli_of(d, spec) == CARD_MILLI).map(Device::card).collect();
    let mut rows = SmallVec::new();
    let first = if whole.is_empty() {
        rest
    } else {
        SharedDemand { cards: whole.len() as u8, card_milli: CARD_MILLI, ..rest }
    };
    rows.push((first, whole));
    for device in grant.gpus.iter().filter(|d| milli_of(d, spec) < CARD_MILLI) {
        let part = SharedDemand {
            cpu_milli: 0,
            mem_mib: 0,
            cards: 1,
            card_milli: milli_of(device, spec),
            models: ModelSet::ANY,
        };
        rows.push((part, SmallVec::from_slice(&[device.card()])));
    }
    rows
}

fn take_on_view(view: &mut SharedNode, grant: &CardGrant, spec: &CardPool) {
    for (demand, cards) in demands(grant, spec) {
        view.take(&demand, &cards);
    }
}

fn give_back_on_view(view: &mut SharedNode, grant: &CardGrant, spec: &CardPool) {
    for (demand, cards) in demands(grant, spec) {
        let shares: SmallVec<[CardShare; 1]> =
            cards.iter().map(|card| CardShare { card: *card, milli: demand.card_milli }).collect();
        view.give_back(&demand, &shares);
    }
}

/// The node with `grant` taken, whatever must be cut for it.
pub(super) fn with_taken(node: &mut CardNode, part: &CardPart, devices: &[Device], spec: &CardPool) {
    node.cpus = node.cpus.saturating_sub(part.cpus);
    node.mem_mb = node.mem_mb.saturating_sub(part.mem_mb);
    node.allocations += 1;
    occupy(node, devices, spec);
}

//! The floor where GPUs are shared, and its nodes in thousandths for the placements that look at those.

use smallvec::SmallVec;

use crate::cluster::cards::{CARD_MILLI, CARD_UNITS, CardGrant, CardMode, CardPool, Cards, Device, Reshape};
use crate::cluster::{CardLedger, ClusterSpec};
use crate::ids::{Id, IdVec, NodeId};
use crate::scheduler::floor::Floor;
use crate::scheduler::sharing::{CardShare, ModelSet, SharedDemand, SharedNode};

/// A change of layouts that a start needs.
pub type NodeReshape = (NodeId, Reshape);

/// The floor where GPUs are shared.
pub type CardFloor = Floor<Cards>;

/// The nodes as placements by score see them; empty where none of those is in use.
#[derive(Debug)]
pub struct Views {
    pub(super) nodes: IdVec<NodeId, SharedNode>,
}

impl CardFloor {
    /// An empty floor; `with_views` where the placement looks at thousandths of cards.
    #[must_use]
    pub fn of_cards(spec: &ClusterSpec, cards: &[CardPool], with_views: bool) -> Self {
        let ledger = CardLedger::of_cards(spec, cards);
        let mut nodes = IdVec::new();
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
                nodes.push(view);
            }
        }
        Self::of(ledger, Views { nodes })
    }

    /// The ledger, for changes of layouts.
    pub fn ledger_mut(&mut self) -> &mut CardLedger {
        self.ledger_for_cuts()
    }

    /// A node in thousandths.
    #[must_use]
    pub fn view(&self, node: NodeId) -> Option<&SharedNode> {
        (!self.views.nodes.is_empty()).then(|| &self.views.nodes[node])
    }
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

pub(super) fn take_on_view(view: &mut SharedNode, grant: &CardGrant, spec: &CardPool) {
    for (demand, cards) in demands(grant, spec) {
        view.take(&demand, &cards);
    }
}

pub(super) fn give_back_on_view(view: &mut SharedNode, grant: &CardGrant, spec: &CardPool) {
    for (demand, cards) in demands(grant, spec) {
        let shares: SmallVec<[CardShare; 1]> =
            cards.iter().map(|card| CardShare { card: *card, milli: demand.card_milli }).collect();
        view.give_back(&demand, &shares);
    }
}

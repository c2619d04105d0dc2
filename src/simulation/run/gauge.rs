//! Figures of parts of GPUs that are not hours: fragmentation, what is free, stranded slices.

use crate::cluster::CardLedger;
use crate::cluster::cards::{CARD_UNITS, InstanceState, LayoutChange};
use crate::cluster::mig::{Placement, Stranding};
use crate::ids::{Id, IdVec, NodeId, PoolId};
use crate::scheduler::shared::floor::CardFloor;
use crate::scheduler::sharing::TypicalMix;
use crate::simulation::meter::Meter;

/// What a node adds to figures that are not of a job.
#[derive(Clone, Copy, Debug, Default)]
struct NodeLevel {
    stranded: i64,
    stranded_slices: i128,
    /// Weighted by the mix.
    fragmented: i64,
    free_milli: i64,
}

/// Follows the nodes as they change.
pub(in crate::simulation) struct CardGauge {
    nodes: IdVec<NodeId, NodeLevel>,
    strandings: IdVec<PoolId, Option<Stranding>>,
    mix: TypicalMix,
    seen: Option<usize>,
    fragmented: i128,
    free_milli: i128,
    stranded_slices: i128,
    pub(in crate::simulation) fragmented_us: i128,
    pub(in crate::simulation) free_milli_us: i128,
    pub(in crate::simulation) stranded_slices_us: i128,
}

impl CardGauge {
    /// Nothing measured yet.
    pub(in crate::simulation) fn new(floor: &CardFloor, mix: TypicalMix) -> Self {
        let ledger = floor.ledger();
        let pools = (0..ledger.pools()).map(PoolId::new);
        let table = |pool| ledger.spec(pool).mig().map(|mig| Stranding::new(mig.model));
        Self {
            nodes: IdVec::filled(ledger.nodes().len(), NodeLevel::default()),
            strandings: pools.map(table).collect(),
            mix,
            seen: None,
            fragmented: 0,
            free_milli: 0,
            stranded_slices: 0,
            fragmented_us: 0,
            free_milli_us: 0,
            stranded_slices_us: 0,
        }
    }

    /// Weight of the mix: what fragmentations are multiples of.
    pub(in crate::simulation) fn mix_weight(&self) -> i64 {
        self.mix.weight().max(1)
    }

    /// Looks anew at the nodes that changed.
    pub(in crate::simulation) fn follow(&mut self, floor: &CardFloor, meter: &mut Meter) {
        let ledger = floor.ledger();
        let changed = self.seen.and_then(|seen| ledger.changed_since(seen));
        let nodes: Vec<NodeId> = match changed {
            Some(changed) if changed.len() < self.nodes.len() => changed.to_vec(),
            _ => (0..self.nodes.len()).map(NodeId::new).collect(),
        };
        self.seen = Some(ledger.version());
        for id in nodes {
            let now = self.node_level(id, floor);
            let before = std::mem::replace(&mut self.nodes[id], now);
            let more = now.stranded - before.stranded;
            if more != 0 {
                meter.strand(ledger.node(id).pool, more);
            }
            self.fragmented += i128::from(now.fragmented - before.fragmented);
            self.free_milli += i128::from(now.free_milli - before.free_milli);
            self.stranded_slices += now.stranded_slices - before.stranded_slices;
        }
    }

    /// `span` microseconds pass under what holds now.
    pub(in crate::simulation) fn advance(&mut self, span: i128) {
        self.fragmented_us += span * self.fragmented;
        self.free_milli_us += span * self.free_milli;
        self.stranded_slices_us += span * self.stranded_slices;
    }

    fn node_level(&mut self, id: NodeId, floor: &CardFloor) -> NodeLevel {
        let mut level = NodeLevel::default();
        if let Some(view) = floor.view(id) {
            level.fragmented = self.mix.fragmentation(view);
            level.free_milli = i64::from(view.free_milli());
        }
        let ledger = floor.ledger();
        let table = self.strandings[ledger.node(id).pool].as_ref();
        let slices = stranded_slices(ledger, id, table);
        if let Some(mig) = ledger.spec_of(id).mig() {
            level.stranded_slices = i128::from(slices);
            level.stranded = i64::from(slices) * i64::from(CARD_UNITS) / i64::from(mig.model.compute_slices);
        }
        level
    }
}

/// Compute slices of the node's GPUs in use that no instance can be made of (or has, where layouts are fixed)
/// and that are not being cut.
fn stranded_slices(ledger: &CardLedger, id: NodeId, table: Option<&Stranding>) -> u32 {
    let node = ledger.node(id);
    let Some(mig) = ledger.spec(node.pool).mig() else { return 0 };
    let Some(table) = table else { return 0 };
    if ledger.spec(node.pool).vgpus.is_some() {
        // What of a GPU no VM has is no part of a node.
        return 0;
    }
    let compute = |placement: Placement| mig.model.profile(placement.profile).compute_slices;
    node.cards
        .iter()
        .filter(|card| card.instances.iter().any(|i| i.state == InstanceState::Busy))
        .map(|card| {
            let making = card.instances.iter().filter(|i| i.state == InstanceState::Making);
            let making: u8 = making.map(|i| compute(i.placement)).sum();
            let stranded = if mig.change == LayoutChange::Never {
                mig.model.compute_slices - card.instances.iter().map(|i| compute(i.placement)).sum::<u8>()
            } else {
                let busy = card.instances.iter().filter(|i| i.state == InstanceState::Busy);
                let known = table.key(busy.map(|i| i.placement)).and_then(|key| table.left_of(key));
                known.unwrap_or_else(|| table.left(&card.busy(mig.model))).stranded.compute
            };
            let left = mig.model.compute_slices - card.busy_slices(mig.model) - making;
            u32::from(stranded.min(left))
        })
        .sum()
}

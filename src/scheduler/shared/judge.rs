//! How well a part sits on a node, and what it gets there: the placement policies over parts of GPUs.
//!
//! What a node has for an ask is looked up once for all parts that ask for the same of its GPUs, and again only when
//! the node has changed. Lower scores are better, the lowest node id wins among equals.

use std::sync::Arc;

use smallvec::smallvec;

use super::fit::{CardPart, CardRule, Chosen, DeviceAsk, Look, choose, choose_devices};
use super::floor::CardFloor;
use crate::cluster::CardLedger;
use crate::cluster::cards::{CARD_MILLI, CARD_UNITS, CardNode, CardPool, Device, Units};
use crate::cluster::mig::Stranding;
use crate::ids::{Id, IdVec, NodeId, PartId, PoolId};
use crate::scheduler::PlacementSpec;
use crate::scheduler::placement::Score;
use crate::scheduler::sharing::policy::Scorer;
use crate::scheduler::sharing::{ModelSet, SharedDemand, SharedNode, SharingPolicy, TypicalMix};
use crate::workload::Interner;

/// Scores nodes and picks cards, as one placement policy says.
pub struct Judge {
    placement: PlacementSpec,
    rule: CardRule,
    scorer: Option<Scorer>,
    strandings: IdVec<PoolId, Option<Stranding>>,
    /// Number of each part's ask; parts that differ in CPUs and memory only have the same.
    asks: IdVec<PartId, u32>,
    /// What each node has for each kind of ask, as of its last stamp: requests differ in CPUs more than in GPUs.
    seen: Vec<Vec<Seen>>,
    /// The leaf of each node, where jobs should have few of them.
    pub(in crate::scheduler) leaves: Option<Arc<[u32]>>,
}

/// What a node has for an ask.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Stamp of the node, and one; 0 = never looked.
    stamp: u64,
    free_milli: u32,
    /// Slices stranded and ways lost, if there is room.
    costs: Option<(i32, i32)>,
}

impl Judge {
    /// As `placement` says, on the nodes of `ledger`; `mix` are the usual requests.
    #[must_use]
    pub fn new(
        placement: PlacementSpec,
        ledger: &CardLedger,
        parts: &Interner<PartId, CardPart>,
        mix: &TypicalMix,
    ) -> Self {
        let rule = match placement {
            PlacementSpec::FirstFit => CardRule::LowestId,
            PlacementSpec::Spread => CardRule::Emptiest,
            PlacementSpec::MigBestFit => CardRule::LeastStranded,
            _ => CardRule::Fullest,
        };
        let pools = (0..ledger.pools()).map(PoolId::new);
        let table = |pool| ledger.spec(pool).mig().map(|mig| Stranding::new(mig.model));
        let scorer = sharing_policy(placement).map(|policy| Scorer::new(policy, mix.clone()));
        let mut distinct: Interner<PartId, (PoolId, DeviceAsk)> = Interner::default();
        let ask = |(_, part): (PartId, &CardPart)| distinct.intern(&(part.pool, part.ask.clone())).0;
        let asks = parts.iter().map(ask).collect();
        let seen = vec![Vec::new(); distinct.len()];
        Self { placement, rule, scorer, strandings: pools.map(table).collect(), asks, seen, leaves: None }
    }

    /// The table of stranded slices of a pool's GPU, where it is for MIG.
    #[must_use]
    pub fn stranding(&self, pool: PoolId) -> Option<&Stranding> {
        self.strandings[pool].as_ref()
    }

    pub(super) fn look<'a>(&'a self, pool: PoolId, spec: &'a CardPool) -> Look<'a> {
        Look {
            spec,
            stranding: self.strandings[pool].as_ref(),
            rule: self.rule,
            is_later: false,
            first_not_free: None,
        }
    }

    /// Whether the lowest node id always wins.
    pub(super) fn lowest_id_wins(&self) -> bool {
        self.placement == PlacementSpec::FirstFit
    }

    /// Whether what is free in sum tells how well a part sits on a node.
    pub(super) fn looks_at_sums(&self) -> bool {
        matches!(
            self.placement,
            PlacementSpec::FirstFit
                | PlacementSpec::BestFit
                | PlacementSpec::Spread
                | PlacementSpec::Topology
        )
    }

    /// Whether nodes are looked at in thousandths.
    pub(super) fn looks_at_views(&self) -> bool {
        self.scorer.is_some()
    }

    /// What a node has for a part's ask now, CPUs and memory left aside.
    fn seen(&mut self, ledger: &CardLedger, id: NodeId, (part_id, part): (PartId, &CardPart)) -> Seen {
        let ask = self.asks[part_id] as usize;
        if self.seen[ask].is_empty() {
            self.seen[ask].resize(ledger.nodes().len(), Seen::default());
        }
        let stamp = u64::from(ledger.stamp(id)) + 1;
        let mut seen = self.seen[ask][id.index()];
        if seen.stamp != stamp {
            let (node, spec) = (ledger.node(id), ledger.spec(part.pool));
            let chosen = choose_devices(node, &part.ask, self.look(part.pool, spec));
            let costs = chosen.map(|chosen| (chosen.stranded, chosen.room));
            seen = Seen { stamp, free_milli: node.free_milli(spec), costs };
            self.seen[ask][id.index()] = seen;
        }
        seen
    }

    /// Whether a node has room for a part now.
    pub(super) fn has_room(&mut self, ledger: &CardLedger, id: NodeId, part: (PartId, &CardPart)) -> bool {
        let node = ledger.node(id);
        node.cpus >= part.1.cpus
            && node.mem_mb >= part.1.mem_mb
            && self.seen(ledger, id, part).costs.is_some()
    }

    /// The score of a node that has room for a part now.
    pub(super) fn score_now(&mut self, floor: &CardFloor, id: NodeId, part: (PartId, &CardPart)) -> Score {
        if self.lowest_id_wins() {
            return 0;
        }
        let ledger = floor.ledger();
        let seen = self.seen(ledger, id, part);
        let costs = seen.costs.unwrap_or_default();
        let spec = ledger.spec(part.1.pool);
        self.rank(ledger.node(id), floor.view(id), part.1, spec, (seen.free_milli, costs))
    }

    /// How well a part sits where `free` is all that is free all the time.
    pub(super) fn score_sums(&self, free: &Units, part: &CardPart, spec: &CardPool) -> Score {
        let (cards, milli) = milli_asked(&part.ask, spec);
        let asked = i128::from(cards) * i128::from(milli) * i128::from(CARD_UNITS / u32::from(CARD_MILLI));
        let gpus = i128::from(free.gpus) - asked;
        let cpus = i128::from(free.cpus - u64::from(part.cpus));
        let left = (gpus << 96) + (cpus << 64) + i128::from((free.mem_mb - part.mem_mb).min(u64::MAX >> 1));
        match self.placement {
            PlacementSpec::FirstFit => 0,
            PlacementSpec::Spread => -left,
            _ => left,
        }
    }

    /// The score of a node in any state for a part that it has room for; [`Score::MAX`] without room.
    pub(super) fn score_later(
        &mut self,
        node: &CardNode,
        view: Option<&SharedNode>,
        part: &CardPart,
        spec: &CardPool,
    ) -> Score {
        if self.lowest_id_wins() {
            return 0;
        }
        let chosen = choose(node, part, Look { is_later: true, ..self.look(part.pool, spec) });
        let Some(chosen) = chosen else { return Score::MAX };
        self.rank(node, view, part, spec, (node.free_milli(spec), (chosen.stranded, chosen.room)))
    }

    /// How good a node with room is, as the placement says; lower is better.
    fn rank(
        &mut self,
        node: &CardNode,
        view: Option<&SharedNode>,
        part: &CardPart,
        spec: &CardPool,
        (free_milli, (stranded, room)): (u32, (i32, i32)),
    ) -> Score {
        match self.placement {
            PlacementSpec::FirstFit => 0,
            PlacementSpec::BestFit | PlacementSpec::Topology => left_over(node, free_milli, part, spec),
            PlacementSpec::Spread => -left_over(node, free_milli, part, spec),
            PlacementSpec::MigBestFit => {
                // Stranding first, then ways lost; among equals the fullest node.
                let costs = (i128::from(stranded) << 16) + i128::from(room);
                (costs << 90) + (left_over(node, free_milli, part, spec) >> 40)
            }
            PlacementSpec::DotProduct
            | PlacementSpec::GpuClustering
            | PlacementSpec::GpuPacking
            | PlacementSpec::Fgd => {
                let (Some(scorer), Some(view)) = (&mut self.scorer, view) else { return 0 };
                let demand = shared_demand(part, spec);
                if !view.holds(&demand) {
                    // Several instances of one request can lie on one card; thousandths cannot say that.
                    return 1;
                }
                let fragmentation = scorer.mix_mut().fragmentation(view);
                -i128::from(scorer.score(&demand, view, fragmentation))
            }
        }
    }

    /// What a part gets on a node; `is_later`: when every layout can have been changed that may be.
    pub(super) fn choose(
        &mut self,
        node: &CardNode,
        view: Option<&SharedNode>,
        part: &CardPart,
        (spec, is_later): (&CardPool, bool),
    ) -> Option<Chosen> {
        let chosen = choose(node, part, Look { is_later, ..self.look(part.pool, spec) })?;
        let (PlacementSpec::Fgd, DeviceAsk::Share { cards: 1, milli, mib }, Some(view)) =
            (self.placement, &part.ask, view)
        else {
            return Some(chosen);
        };
        let demand = shared_demand(part, spec);
        let Some(scorer) = self.scorer.as_mut().filter(|_| *milli < CARD_MILLI && view.holds(&demand)) else {
            return Some(chosen);
        };
        let fragmentation = scorer.mix_mut().fragmentation(view);
        let card = scorer.fgd(&demand, view, fragmentation).1;
        let place = &node.cards[usize::from(card)];
        if place.free_milli < *milli || place.free_mib < *mib {
            return Some(chosen);
        }
        let devices = smallvec![Device::Share { card, milli: *milli, mib: *mib }];
        Some(Chosen { devices, ..Chosen::default() })
    }
}

/// The published policy behind a placement, if it is one.
fn sharing_policy(placement: PlacementSpec) -> Option<SharingPolicy> {
    match placement {
        PlacementSpec::DotProduct => Some(SharingPolicy::DotProduct),
        PlacementSpec::GpuClustering => Some(SharingPolicy::GpuClustering),
        PlacementSpec::GpuPacking => Some(SharingPolicy::GpuPacking),
        PlacementSpec::Fgd => Some(SharingPolicy::Fgd),
        PlacementSpec::FirstFit
        | PlacementSpec::BestFit
        | PlacementSpec::Spread
        | PlacementSpec::Topology
        | PlacementSpec::MigBestFit => None,
    }
}

/// Thousandths of each GPU and number of GPUs that a part asks for.
pub(super) fn milli_asked(ask: &DeviceAsk, spec: &CardPool) -> (u32, u16) {
    match ask {
        DeviceAsk::None => (0, 0),
        DeviceAsk::Whole(count) => (*count, CARD_MILLI),
        DeviceAsk::Share { cards, milli, .. } => (*cards, *milli),
        DeviceAsk::Slice { profiles, count } => {
            let milli = spec.mig().zip(profiles.first()).map(|(mig, id)| {
                let slices = u16::from(mig.model.profile(*id).compute_slices);
                CARD_MILLI * slices / u16::from(mig.model.compute_slices)
            });
            (*count, milli.unwrap_or(0))
        }
    }
}

/// A part as the policies in thousandths see it.
pub(super) fn shared_demand(part: &CardPart, spec: &CardPool) -> SharedDemand {
    let (cards, card_milli) = milli_asked(&part.ask, spec);
    SharedDemand {
        cpu_milli: part.cpus.saturating_mul(1000),
        mem_mib: u32::try_from(part.mem_mb).unwrap_or(u32::MAX),
        cards: cards.min(64) as u8,
        card_milli,
        models: ModelSet::ANY,
    }
}

/// What is left over: thousandths of GPUs, then CPUs, then memory.
fn left_over(node: &CardNode, free_milli: u32, part: &CardPart, spec: &CardPool) -> Score {
    let (cards, milli) = milli_asked(&part.ask, spec);
    let gpus = i128::from(free_milli) - i128::from(cards) * i128::from(milli);
    let cpus = i128::from(node.cpus - part.cpus);
    let mem_mb = i128::from((node.mem_mb - part.mem_mb).min(u64::MAX >> 1));
    (gpus << 96) + (cpus << 64) + mem_mb
}

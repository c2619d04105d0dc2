//! Where each part has room now and how well it sits there: kept up to date by the ledger's changes.
//!
//! As [`fits`](crate::scheduler::fits) does for whole GPUs: a score per part and node, computed anew only for nodes
//! that changed. Lower is better, the lowest node id wins among equals.

use smallvec::{SmallVec, smallvec};

use super::fit::{CardPart, CardRule, Chosen, DeviceAsk, Look, choose, choose_devices};
use super::floor::CardFloor;
use crate::cluster::cards::{CARD_MILLI, CardNode, CardPool, Device};
use crate::cluster::mig::Stranding;
use crate::ids::{Id, IdVec, NodeId, PartId, PoolId};
use crate::scheduler::PlacementSpec;
use crate::scheduler::sharing::policy::Scorer;
use crate::scheduler::sharing::{ModelSet, SharedDemand, SharedNode, SharingPolicy, TypicalMix};
use crate::time::SimTime;
use crate::workload::Interner;

/// Worse than every score of a node that has room.
pub(super) const NO_ROOM: i128 = i128::MAX;

/// Scores nodes and picks cards, as one placement policy says.
pub(super) struct Judge {
    placement: PlacementSpec,
    rule: CardRule,
    scorer: Option<Scorer>,
    strandings: IdVec<PoolId, Option<Stranding>>,
    /// What each node has for each kind of ask, as of its last stamp: requests differ in CPUs more than in GPUs.
    seen: Vec<Vec<Seen>>,
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
    pub(super) fn new(placement: PlacementSpec, floor: &CardFloor, mix: &TypicalMix) -> Self {
        let rule = match placement {
            PlacementSpec::FirstFit => CardRule::LowestId,
            PlacementSpec::Spread => CardRule::Emptiest,
            PlacementSpec::MigBestFit => CardRule::LeastStranded,
            _ => CardRule::Fullest,
        };
        let pools = (0..floor.ledger().pools()).map(PoolId::new);
        let table = |pool| floor.ledger().spec(pool).mig().map(|mig| Stranding::new(mig.model));
        let scorer = sharing_policy(placement).map(|policy| Scorer::new(policy, mix.clone()));
        Self { placement, rule, scorer, strandings: pools.map(table).collect(), seen: Vec::new() }
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

    /// The score of a node of the floor for a part whose ask has number `ask`; [`NO_ROOM`] without room.
    fn score_now(&mut self, id: NodeId, part: &CardPart, ask: usize, floor: &CardFloor) -> i128 {
        let ledger = floor.ledger();
        let (node, spec) = (ledger.node(id), ledger.spec(part.pool));
        if node.cpus < part.cpus || node.mem_mb < part.mem_mb || !is_open(id, part, floor) {
            return NO_ROOM;
        }
        if self.seen.len() <= ask {
            self.seen.resize_with(ask + 1, Vec::new);
        }
        if self.seen[ask].is_empty() {
            self.seen[ask].resize(ledger.nodes().len(), Seen::default());
        }
        let stamp = u64::from(ledger.stamp(id)) + 1;
        let mut seen = self.seen[ask][id.index()];
        if seen.stamp != stamp {
            let chosen = choose_devices(node, &part.ask, self.look(part.pool, spec));
            let costs = chosen.map(|chosen| (chosen.stranded, chosen.room));
            seen = Seen { stamp, free_milli: node.free_milli(spec), costs };
            self.seen[ask][id.index()] = seen;
        }
        let Some(costs) = seen.costs else { return NO_ROOM };
        self.rank(node, floor.view(id), part, spec, (seen.free_milli, costs))
    }

    /// The score of a node in any state for a part; [`NO_ROOM`] without room.
    pub(super) fn score_later(
        &mut self,
        node: &CardNode,
        view: Option<&SharedNode>,
        part: &CardPart,
        spec: &CardPool,
    ) -> i128 {
        let chosen = choose(node, part, Look { is_later: true, ..self.look(part.pool, spec) });
        let Some(chosen) = chosen else { return NO_ROOM };
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
    ) -> i128 {
        match self.placement {
            PlacementSpec::FirstFit => 0,
            PlacementSpec::BestFit => left_over(node, free_milli, part, spec),
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

    /// What a part gets on a node.
    pub(super) fn choose(
        &mut self,
        node: &CardNode,
        view: Option<&SharedNode>,
        part: &CardPart,
        spec: &CardPool,
    ) -> Option<Chosen> {
        let chosen = choose(node, part, self.look(part.pool, spec))?;
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
fn left_over(node: &CardNode, free_milli: u32, part: &CardPart, spec: &CardPool) -> i128 {
    let (cards, milli) = milli_asked(&part.ask, spec);
    let gpus = i128::from(free_milli) - i128::from(cards) * i128::from(milli);
    let cpus = i128::from(node.cpus - part.cpus);
    let mem_mb = i128::from((node.mem_mb - part.mem_mb).min(u64::MAX >> 1));
    (gpus << 96) + (cpus << 64) + mem_mb
}

struct Row {
    part: CardPart,
    /// Number of its ask; parts that differ in CPUs and memory only have the same.
    ask: usize,
    first: u32,
    nodes: u32,
    seen: Option<usize>,
    scores: Vec<i128>,
    count: u32,
    ready: Option<(usize, Vec<SimTime>)>,
}

/// Scores and ready times of every part.
pub(super) struct Rooms {
    rows: IdVec<PartId, Row>,
}

impl Rooms {
    pub(super) fn new(parts: &Interner<PartId, CardPart>, floor: &CardFloor) -> Self {
        let mut asks: Interner<PartId, (PoolId, DeviceAsk)> = Interner::default();
        let mut row = |part: &CardPart| {
            let range = floor.ledger().pool_range(part.pool);
            Row {
                part: part.clone(),
                ask: asks.intern(&(part.pool, part.ask.clone())).index(),
                first: range.start,
                nodes: range.len() as u32,
                seen: None,
                scores: Vec::new(),
                count: 0,
                ready: None,
            }
        };
        Self { rows: parts.iter().map(|(_, part)| row(part)).collect() }
    }

    pub(super) fn part(&self, part: PartId) -> &CardPart {
        &self.rows[part].part
    }

    /// Number of nodes that can give `part` now.
    pub(super) fn count(&mut self, part: PartId, judge: &mut Judge, floor: &CardFloor) -> u32 {
        let row = &mut self.rows[part];
        if row.seen != Some(floor.ledger().version()) {
            row.follow(judge, floor);
        }
        row.count
    }

    /// Whether `node` can give `part` now; call [`count`](Self::count) before.
    pub(super) fn has_room(&self, part: PartId, node: NodeId) -> bool {
        let row = &self.rows[part];
        let at = node.0.wrapping_sub(row.first);
        at < row.nodes && row.scores[at as usize] < NO_ROOM
    }

    /// The `count` best nodes for `part` now among those that are `usable`, by score, then by lowest id.
    pub(super) fn best(
        &mut self,
        part: PartId,
        count: usize,
        judge: &mut Judge,
        floor: &CardFloor,
        mut usable: impl FnMut(NodeId) -> bool,
    ) -> Option<SmallVec<[NodeId; 1]>> {
        self.count(part, judge, floor);
        let row = &self.rows[part];
        let id = |at: usize| NodeId(row.first + at as u32);
        if row.part.tenant.is_some() {
            return row.best_of_tenant(count, floor, usable);
        }
        if count == 1 {
            let mut best = (NO_ROOM, None);
            for (at, score) in row.scores.iter().enumerate() {
                if *score < best.0 && usable(id(at)) {
                    best = (*score, Some(id(at)));
                }
            }
            return best.1.map(|node| smallvec![node]);
        }
        let room = row.scores.iter().enumerate().filter(|(at, score)| **score < NO_ROOM && usable(id(*at)));
        let mut ranked: Vec<(i128, NodeId)> = room.map(|(at, score)| (*score, id(at))).collect();
        ranked.sort_unstable();
        (ranked.len() >= count).then(|| ranked[..count].iter().map(|(_, node)| *node).collect())
    }

    /// When each node of the part's pool is expected to have room: (first node id, times).
    pub(super) fn ready(&mut self, part: PartId, judge: &Judge, floor: &CardFloor) -> (NodeId, &[SimTime]) {
        let row = &mut self.rows[part];
        row.follow_ready(judge, floor);
        (NodeId(row.first), row.ready.as_ref().map_or(&[], |(_, at)| at.as_slice()))
    }
}

/// Whether no other tenant keeps a part from a node now.
fn is_open(node: NodeId, part: &CardPart, floor: &CardFloor) -> bool {
    let tenant = part.tenant.zip(floor.ledger().dedication());
    tenant.is_none_or(|(tenant, dedication)| dedication.is_open(node, tenant))
}

/// Whether a node is on a dedicated host that is the part's tenant's already.
pub(super) fn is_own(node: NodeId, part: &CardPart, floor: &CardFloor) -> bool {
    part.tenant.is_some() && floor.ledger().dedication().and_then(|all| all.tenant(node)) == part.tenant
}

impl Row {
    /// The best nodes on dedicated hosts: those that are the tenant's already come before empty ones.
    fn best_of_tenant(
        &self,
        count: usize,
        floor: &CardFloor,
        mut usable: impl FnMut(NodeId) -> bool,
    ) -> Option<SmallVec<[NodeId; 1]>> {
        let id = |at: usize| NodeId(self.first + at as u32);
        let room = self.scores.iter().enumerate().filter(|(at, score)| **score < NO_ROOM && usable(id(*at)));
        let rank = |(at, score): (usize, &i128)| (!is_own(id(at), &self.part, floor), *score, id(at));
        let mut ranked: Vec<(bool, i128, NodeId)> = room.map(rank).collect();
        ranked.sort_unstable();
        (ranked.len() >= count).then(|| ranked[..count].iter().map(|(_, _, node)| *node).collect())
    }

    /// When a node is expected to have room, and to be open to the part's tenant.
    fn ready_at(part: &CardPart, node: NodeId, look: Look<'_>, floor: &CardFloor) -> SimTime {
        let ready = floor.ready_at(node, part, look);
        part.tenant.map_or(ready, |tenant| ready.max(floor.open_at(node, tenant)))
    }

    fn follow(&mut self, judge: &mut Judge, floor: &CardFloor) {
        let ledger = floor.ledger();
        let (part, ask) = (&self.part, self.ask);
        let mut score = |id: NodeId| judge.score_now(id, part, ask, floor);
        let changed = self.seen.and_then(|seen| ledger.changed_since(seen));
        match changed {
            Some(nodes) if nodes.len() < self.nodes as usize => {
                for node in nodes {
                    let at = node.0.wrapping_sub(self.first);
                    if at < self.nodes {
                        let old = std::mem::replace(&mut self.scores[at as usize], score(*node));
                        let new = self.scores[at as usize];
                        self.count = self.count + u32::from(new < NO_ROOM) - u32::from(old < NO_ROOM);
                    }
                }
            }
            _ => {
                self.scores.clear();
                self.scores.extend((self.first..self.first + self.nodes).map(|node| score(NodeId(node))));
                self.count = self.scores.iter().filter(|score| **score < NO_ROOM).count() as u32;
            }
        }
        self.seen = Some(ledger.version());
    }

    fn follow_ready(&mut self, judge: &Judge, floor: &CardFloor) {
        let ledger = floor.ledger();
        let (first, nodes, part) = (self.first, self.nodes, &self.part);
        let look = judge.look(part.pool, ledger.spec(part.pool));
        let version = ledger.version();
        let (seen, at) = self.ready.get_or_insert_with(|| (usize::MAX, Vec::new()));
        if *seen == version {
            return;
        }
        let changed = if *seen == usize::MAX { None } else { ledger.changed_since(*seen) };
        match changed {
            Some(rows) if rows.len() < nodes as usize => {
                for node in rows {
                    let place = node.0.wrapping_sub(first);
                    if place < nodes {
                        at[place as usize] = Self::ready_at(part, *node, look, floor);
                    }
                }
            }
            _ => {
                at.clear();
                at.extend((first..first + nodes).map(|node| Self::ready_at(part, NodeId(node), look, floor)));
            }
        }
        *seen = version;
    }
}

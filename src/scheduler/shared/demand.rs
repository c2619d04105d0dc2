//! What a request means where GPUs are shared: parts for nodes, pool by pool.
//!
//! | asked | whole GPUs | shares | MIG |
//! |---|---|---|---|
//! | whole GPUs | as asked | 1000 thousandths each | GPUs without instances |
//! | `gpu_milli` below 1000 | a whole GPU each | as asked | the smallest profile that is as large, with memory enough |
//! | `mig_profile` | a whole GPU each, if it has the profile | refused | exactly that profile |
//! | one GPU and `gpu_mem_mib` | a whole GPU | a whole GPU | the smallest profile with that memory, or a whole GPU ([`MigPool::by_memory`]) |
//!
//! How CPUs, memory and nodes are counted is as in [`shapes`](crate::scheduler::shapes).

use smallvec::SmallVec;

use super::fit::{CardPart, CardRule, DeviceAsk, Look, choose};
use crate::cluster::cards::{
    CARD_UNITS, CardMode, CardNode, CardPool, LayoutChange, MigPool, Units, slice_units,
};
use crate::cluster::mig::{ProfileId, SliceNeed, SliceShare};
use crate::cluster::{Amounts, ClusterSpec, PoolSpec};
use crate::ids::{Id, IdVec, PartId, PoolId, RequestId, ShapeId, TenantId};
use crate::scheduler::shapes::{BoardPart, Infeasible, Totals, check_types, node_count, split, totals};
use crate::workload::{Interner, Request, Workload};

/// A request on one pool.
#[derive(Clone, Debug, PartialEq)]
pub struct CardPoolShape {
    /// The pool.
    pub pool: PoolId,
    /// (part, number of nodes), each part holding the next.
    pub groups: SmallVec<[(PartId, u32); 1]>,
    /// Taken in all at least: CPUs, memory in MiB, GPUs in hours units.
    pub least: Units,
    /// Asked for in all: CPUs, memory, devices.
    pub asked: Amounts,
    /// GPUs asked for in hours units; `None` where what it is given is what it asked for.
    pub asked_units: Option<u64>,
    /// What it was measured on, where that is less than a whole GPU.
    pub reference: Reference,
    /// Nodes in all.
    pub nodes: u32,
}

/// The part of a GPU that a request names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reference {
    /// Whole GPUs.
    Whole,
    /// Thousandths of one.
    Milli(u16),
    /// An instance.
    Instance(SliceShare),
}

impl Reference {
    /// In thousandths of a GPU.
    #[must_use]
    pub fn milli(self) -> u64 {
        match self {
            Self::Whole => 1000,
            Self::Milli(milli) => u64::from(milli),
            Self::Instance(share) => (share.sm * 1000.0) as u64,
        }
    }
}

/// A request on every pool that can hold it, in declared order.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct CardShape {
    /// Pools that can hold it when empty.
    pub pools: SmallVec<[CardPoolShape; 1]>,
}

/// All requests of a workload on the pools of one cluster; a shape for each request.
#[derive(Debug)]
pub struct CardShapes {
    /// Distinct node parts.
    pub parts: Interner<PartId, CardPart>,
    shapes: IdVec<ShapeId, CardShape>,
    refusals: IdVec<RequestId, Option<String>>,
}

impl CardShapes {
    /// Works out every request of `workload` on the pools of `spec`.
    #[must_use]
    pub fn new(workload: &Workload, spec: &ClusterSpec, cards: &[CardPool]) -> Self {
        let mut parts = Interner::default();
        let mut shapes = IdVec::new();
        let mut refusals = IdVec::new();
        for (_, request) in workload.requests.iter() {
            let mut shape = CardShape::default();
            let mut reasons: Vec<String> = Vec::new();
            for (at, (pool, cards)) in spec.pools.iter().zip(cards).enumerate() {
                let view = PoolView { id: PoolId::new(at), pool, cards };
                match on_pool(request, workload, &view, &mut parts) {
                    Ok(fit) => shape.pools.push(fit),
                    Err(reason) if spec.pools.len() == 1 => reasons.push(reason.to_string()),
                    Err(reason) => reasons.push(format!("pool '{}': {reason}", pool.name)),
                }
            }
            refusals.push(shape.pools.is_empty().then(|| reasons.join("; ")));
            shapes.push(shape);
        }
        Self { parts, shapes, refusals }
    }

    /// The shape of a request.
    #[must_use]
    pub fn of(&self, request: RequestId) -> ShapeId {
        ShapeId::new(request.index())
    }

    /// A shape.
    #[must_use]
    pub fn get(&self, id: ShapeId) -> &CardShape {
        &self.shapes[id]
    }

    /// Number of shapes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shapes.len()
    }

    /// Whether there is no shape.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }

    /// Why no pool can ever hold a request; `None` if one can.
    #[must_use]
    pub fn refusal(&self, request: RequestId) -> Option<&str> {
        self.refusals[request].as_deref()
    }

    /// Whether some request is for less than whole GPUs.
    #[must_use]
    pub fn ask_for_parts(&self) -> bool {
        let pools = || self.shapes.iter().flat_map(|shape| &shape.pools);
        pools().any(|pool| pool.reference != Reference::Whole)
    }

    /// Amounts asked for by each request on the first pool that can hold it.
    pub fn asked(&self) -> impl Iterator<Item = Amounts> + '_ {
        self.shapes.iter().map(|shape| shape.pools.first().map_or(Amounts::ZERO, |pool| pool.asked))
    }
}

struct PoolView<'a> {
    id: PoolId,
    pool: &'a PoolSpec,
    cards: &'a CardPool,
}

/// What each device of a request is on a pool.
enum Kind {
    Whole,
    Share { milli: u16, mib: u64 },
    Slice(SmallVec<[ProfileId; 4]>),
}

fn on_pool(
    request: &Request,
    workload: &Workload,
    view: &PoolView<'_>,
    parts: &mut Interner<PartId, CardPart>,
) -> Result<CardPoolShape, Infeasible> {
    let asked = totals(request).ok_or(Infeasible::Overflow)?;
    let node = &view.pool.node;
    check_types(request, workload, node, asked.gpus)?;
    let (kind, reference, units) = kind(request, workload, &asked, view)?;
    // As many devices as an empty node can hold of that kind.
    let per_card = match &kind {
        Kind::Whole => 1,
        // A card of a VM is one vGPU.
        _ if view.cards.vgpus.is_some() => 1,
        Kind::Share { milli, .. } => u32::from(1000 / *milli),
        Kind::Slice(profiles) => {
            let mig = view.cards.mig().expect("slices are of MIG");
            profiles.iter().map(|id| u32::from(mig.model.profile(*id).max_instances)).max().unwrap_or(1)
        }
    };
    let capacity = Amounts { gpus: node.capacity.gpus * per_card, ..node.capacity };
    let nodes = node_count(request, &asked, &capacity);
    if nodes > view.pool.count {
        return Err(Infeasible::TooFewNodes { ask: nodes, has: view.pool.count });
    }
    if view.cards.vgpus.is_some() && request.nodes.is_none() && nodes > 1 {
        // What runs in one VM does not run in two unless it says so.
        let what = format!("{} CPUs and {} vGPUs", asked.cpus, asked.gpus);
        return Err(Infeasible::NotOnOneNode { what, node: format!("a VM on {}", node.name) });
    }
    let mem_mb = request.mem_mb_per_node.unwrap_or(0);
    let rows = if request.exclusive {
        vec![(node.capacity, nodes)]
    } else {
        split(&asked, nodes, mem_mb, &capacity)
    };
    let largest = split(&asked, nodes, mem_mb, &capacity)[0].0;
    if !capacity.holds(&largest) {
        return Err(Infeasible::NodeTooSmall { ask: largest, node: node.name.clone(), has: node.capacity });
    }
    let mut shape = CardPoolShape {
        pool: view.id,
        groups: SmallVec::new(),
        least: Units::default(),
        asked: Amounts {
            cpus: asked.cpus,
            gpus: asked.gpus,
            mem_mb: mem_mb.checked_mul(u64::from(nodes)).ok_or(Infeasible::Overflow)?,
        },
        asked_units: units.map(|units| u64::from(units) * u64::from(asked.gpus)),
        reference,
        nodes,
    };
    for (amounts, count) in rows {
        let ask = if request.exclusive { all_of(view, amounts.gpus) } else { ask_of(&kind, amounts.gpus) };
        let tenant = view.pool.dedicated.map(|_| TenantId::named(request.tenant));
        let part = CardPart { pool: view.id, cpus: amounts.cpus, mem_mb: amounts.mem_mb, ask, tenant };
        check_empty_node(&part, view)?;
        let least = least_units(&part.ask, view.cards);
        shape.least.cpus += u64::from(amounts.cpus) * u64::from(count);
        shape.least.mem_mb += amounts.mem_mb * u64::from(count);
        shape.least.gpus += least * u64::from(count);
        shape.groups.push((parts.intern(&part), count));
    }
    Ok(shape)
}

/// All GPUs of a node; all vGPUs of a VM.
fn all_of(view: &PoolView<'_>, cards: u32) -> DeviceAsk {
    match (&view.cards.mode, view.cards.vgpus) {
        (_, None) | (CardMode::Whole, _) => DeviceAsk::Whole(cards),
        (_, Some(_)) if cards == 0 => DeviceAsk::None,
        (CardMode::Shares, Some(_)) => DeviceAsk::Share { cards, milli: view.cards.card_milli(), mib: 0 },
        (CardMode::Mig(mig), Some(_)) => {
            let profiles =
                mig.start.iter().flatten().flat_map(|layout| layout.placements()).map(|p| p.profile);
            DeviceAsk::Slice { profiles: profiles.take(1).collect(), count: cards }
        }
    }
}

fn ask_of(kind: &Kind, devices: u32) -> DeviceAsk {
    match kind {
        _ if devices == 0 => DeviceAsk::None,
        Kind::Whole => DeviceAsk::Whole(devices),
        Kind::Share { milli, mib } => DeviceAsk::Share { cards: devices, milli: *milli, mib: *mib },
        Kind::Slice(profiles) => DeviceAsk::Slice { profiles: profiles.clone(), count: devices },
    }
}

fn least_units(ask: &DeviceAsk, cards: &CardPool) -> u64 {
    match ask {
        DeviceAsk::None => 0,
        DeviceAsk::Whole(count) => u64::from(*count) * u64::from(CARD_UNITS),
        DeviceAsk::Share { cards, milli, .. } => {
            u64::from(*cards) * u64::from(*milli) * u64::from(CARD_UNITS / 1000)
        }
        DeviceAsk::Slice { profiles, count } => {
            let mig = cards.mig().expect("slices are of MIG");
            let units =
                |id: &ProfileId| u64::from(slice_units(mig.model, mig.model.profile(*id).compute_slices));
            u64::from(*count) * profiles.iter().map(units).min().unwrap_or(0)
        }
    }
}

/// The kind of device, what the request was measured on, and what of a GPU it asks for in hours units.
fn kind(
    request: &Request,
    workload: &Workload,
    asked: &Totals,
    view: &PoolView<'_>,
) -> Result<(Kind, Reference, Option<u32>), Infeasible> {
    let milli = request.gpu_milli.filter(|milli| *milli > 0 && *milli < 1000).map(|milli| milli as u16);
    let milli_units = |milli: u16| u32::from(milli) * (CARD_UNITS / 1000);
    let profile = request.mig_profile.map(|text| workload.texts.get(text));
    let need = request.gpu_mem_mib.unwrap_or(0);
    if asked.gpus == 0 {
        return Ok((Kind::Whole, Reference::Whole, None));
    }
    let reference = milli.map_or(Reference::Whole, Reference::Milli);
    match &view.cards.mode {
        CardMode::Mig(mig) => match (profile, milli) {
            (Some(name), _) => named_profile(name, need, mig, view),
            (None, milli) => {
                let by_memory = need > 0 && asked.gpus == 1 && mig.by_memory;
                if milli.is_none() && !(by_memory && request.gpu_milli.is_none()) {
                    check_memory(need, view)?;
                    return Ok((Kind::Whole, Reference::Whole, None));
                }
                let fitting = fitting(mig, need, milli.unwrap_or(0));
                if fitting.is_empty() {
                    check_memory(need, view)?;
                    return Ok((Kind::Whole, reference, milli.map(milli_units)));
                }
                Ok((Kind::Slice(fitting), reference, milli.map(milli_units)))
            }
        },
        CardMode::Shares => {
            if let Some(name) = profile {
                return Err(Infeasible::SharedGpu(format!("MIG profile {name}"), "shared without MIG"));
            }
            check_memory(need, view)?;
            let wanted = milli.unwrap_or(1000);
            let Some(parts) = view.cards.equal_parts else {
                return Ok((Kind::Share { milli: wanted, mib: need }, reference, None));
            };
            let size = 1000 / parts;
            if wanted > size {
                return Err(Infeasible::SharedGpu(
                    format!("{wanted}/1000 of a GPU"),
                    "cut into smaller equal vGPUs",
                ));
            }
            if let Some(has) =
                view.cards.memory_mib.map(|all| all / u64::from(parts)).filter(|has| *has < need)
            {
                return Err(Infeasible::GpuMemory { ask: need, what: "a vGPU".to_owned(), has });
            }
            Ok((Kind::Share { milli: size, mib: need }, reference, Some(milli_units(wanted))))
        }
        CardMode::Whole => {
            check_memory(need, view)?;
            Ok(match BoardPart::of(request, workload, &view.pool.node)? {
                None => (Kind::Whole, Reference::Whole, None),
                Some(part) => (Kind::Whole, part.reference, Some(part.units)),
            })
        }
    }
}

fn named_profile(
    name: &str,
    need: u64,
    mig: &MigPool,
    view: &PoolView<'_>,
) -> Result<(Kind, Reference, Option<u32>), Infeasible> {
    let gpu = mig.model.name.clone();
    let id = mig.model.find(name).map_err(|_| Infeasible::NoProfile { profile: name.to_owned(), gpu })?;
    let profile = mig.model.profile(id);
    if u64::from(profile.memory_mib) < need {
        let has = u64::from(profile.memory_mib);
        return Err(Infeasible::GpuMemory { ask: need, what: format!("an instance {name}"), has });
    }
    check_in_layouts(&[id], mig, view, name)?;
    let share = Reference::Instance(SliceShare::of(mig.model, profile));
    Ok((Kind::Slice(SmallVec::from_slice(&[id])), share, None))
}

/// Profiles that satisfy a need, the smallest first: those that the layouts have, where they are fixed; only the
/// smallest, where it can be made.
fn fitting(mig: &MigPool, need_mib: u64, milli: u16) -> SmallVec<[ProfileId; 4]> {
    let need =
        SliceNeed { memory_mib: u32::try_from(need_mib).unwrap_or(u32::MAX), share_milli: u32::from(milli) };
    let mut found: SmallVec<[ProfileId; 4]> = mig
        .model
        .plain()
        .into_iter()
        .filter(|id| crate::cluster::mig::fit::satisfies(mig.model, *id, need))
        .collect();
    found.sort_by_key(|id| {
        let profile = mig.model.profile(*id);
        (profile.memory_slices, profile.compute_slices, *id)
    });
    match mig.change {
        LayoutChange::Never => found.retain(|id| in_layouts(mig, *id)),
        // Small jobs on large instances would hold slices that can be cut as they need them.
        LayoutChange::OnDemand | LayoutChange::Planned => found.truncate(1),
    }
    found
}

fn in_layouts(mig: &MigPool, id: ProfileId) -> bool {
    mig.start.iter().flatten().any(|layout| layout.placements().iter().any(|p| p.profile == id))
}

fn check_in_layouts(
    ids: &[ProfileId],
    mig: &MigPool,
    view: &PoolView<'_>,
    name: &str,
) -> Result<(), Infeasible> {
    if mig.change == LayoutChange::Never && !ids.iter().any(|id| in_layouts(mig, *id)) {
        let node = view.pool.node.name.clone();
        return Err(Infeasible::NotInLayout { profile: name.to_owned(), node });
    }
    Ok(())
}

fn check_memory(need: u64, view: &PoolView<'_>) -> Result<(), Infeasible> {
    match view.cards.memory_mib {
        Some(has) if has < need => {
            let what = view.pool.node.gpu_type.clone().unwrap_or_else(|| "a GPU".to_owned());
            Err(Infeasible::GpuMemory { ask: need, what, has })
        }
        _ => Ok(()),
    }
}

/// Whether an empty node of the pool can give the part.
fn check_empty_node(part: &CardPart, view: &PoolView<'_>) -> Result<(), Infeasible> {
    let node = CardNode::new(view.id, view.pool.node.capacity, view.cards);
    let look = Look {
        spec: view.cards,
        stranding: None,
        rule: CardRule::LowestId,
        is_later: true,
        first_not_free: None,
    };
    if choose(&node, part, look).is_some() {
        return Ok(());
    }
    let what = match &part.ask {
        DeviceAsk::None => "CPUs or memory".to_owned(),
        DeviceAsk::Whole(count) => format!("{count} GPUs without instances"),
        DeviceAsk::Share { cards, milli, .. } => format!("{milli}/1000 of {cards} GPUs"),
        DeviceAsk::Slice { profiles, count } => {
            let model = view.cards.mig().expect("slices are of MIG").model;
            format!(
                "{count} instances {}",
                profiles.first().map_or("", |id| model.profile(*id).name.as_str())
            )
        }
    };
    Err(Infeasible::NotOnOneNode { what, node: view.pool.node.name.clone() })
}

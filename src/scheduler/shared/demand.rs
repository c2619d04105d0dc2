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
    CARD_UNITS, CardMode, CardNode, CardPool, Cards, LayoutChange, MigPool, Units, slice_units,
};
use crate::cluster::mig::{ProfileId, SliceNeed, SliceShare};
use crate::cluster::{Amounts, ClusterSpec, PoolSpec};
use crate::ids::{Id, IdVec, PartId, PoolId, TenantId};
use crate::scheduler::shapes::{
    BoardPart, Infeasible, PoolShape, Shapes, Totals, check_types, node_count, split, totals,
};
use crate::workload::{Interner, Request, Workload};

/// What is known of a request on a pool beside amounts.
#[derive(Clone, Debug, PartialEq)]
pub struct CardMore {
    /// What it was measured on, where that is less than a whole GPU.
    pub reference: Reference,
}

/// A request on one pool.
pub type CardPoolShape = PoolShape<Cards>;

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

/// All requests of a workload on the pools of one cluster; a shape for each request.
pub type CardShapes = Shapes<Cards>;

impl CardShapes {
    /// Works out every request of `workload` on the pools of `spec`.
    #[must_use]
    pub fn of_cards(workload: &Workload, spec: &ClusterSpec, cards: &[CardPool]) -> Self {
        let mut shapes = IdVec::new();
        let place = |request: &Request, id: PoolId, parts: &mut Interner<PartId, CardPart>| {
            let view = PoolView { id, pool: &spec.pools[id.index()], cards: &cards[id.index()] };
            on_pool(request, workload, &view, parts)
        };
        let all = Self::on_pools(workload, spec, place, |shape| shapes.push(shape));
        all.with(shapes)
    }

    /// Whether some request is for less than whole GPUs.
    #[must_use]
    pub fn ask_for_parts(&self) -> bool {
        let pools = || self.iter().flat_map(|shape| &shape.pools);
        pools().any(|pool| pool.more.reference != Reference::Whole)
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
        total: Units::default(),
        asked: Amounts {
            cpus: asked.cpus,
            gpus: asked.gpus,
            mem_mb: mem_mb.checked_mul(u64::from(nodes)).ok_or(Infeasible::Overflow)?,
        },
        asked_units: units.map(|units| u64::from(units) * u64::from(asked.gpus)),
        nodes,
        more: CardMore { reference },
    };
    for (amounts, count) in rows {
        let ask = if request.exclusive { all_of(view, amounts.gpus) } else { ask_of(&kind, amounts.gpus) };
        let tenant = view.pool.dedicated.map(|_| TenantId::named(request.tenant));
        let part = CardPart { pool: view.id, cpus: amounts.cpus, mem_mb: amounts.mem_mb, ask, tenant };
        check_empty_node(&part, view)?;
        let least = least_units(&part.ask, view.cards);
        shape.total.cpus += u64::from(amounts.cpus) * u64::from(count);
        shape.total.mem_mb += amounts.mem_mb * u64::from(count);
        shape.total.gpus += least * u64::from(count);
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

pub(super) fn least_units(ask: &DeviceAsk, cards: &CardPool) -> u64 {
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

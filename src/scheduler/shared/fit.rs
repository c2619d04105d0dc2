//! Which parts of which GPUs of a node a request gets.

use smallvec::{SmallVec, smallvec};

use crate::cluster::cards::{
    CARD_MILLI, Card, CardMode, CardNode, CardPool, Device, InstanceState, LayoutChange, MigPool, Reshape,
};
use crate::cluster::mig::{Layout, Left, Placement, ProfileId, Stranding};
use crate::ids::{PoolId, TenantId};

/// What one node of one pool must give.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CardPart {
    /// The pool.
    pub pool: PoolId,
    /// CPUs.
    pub cpus: u32,
    /// Memory in MiB.
    pub mem_mb: u64,
    /// Of its GPUs.
    pub ask: DeviceAsk,
    /// Whose jobs may be on the host, where hosts are dedicated.
    pub tenant: Option<TenantId>,
}

/// What is asked of the GPUs of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DeviceAsk {
    /// Nothing.
    None,
    /// So many whole GPUs.
    Whole(u32),
    /// Shares of so many GPUs.
    Share {
        /// How many GPUs.
        cards: u32,
        /// Thousandths of each.
        milli: u16,
        /// Memory on each, in MiB.
        mib: u64,
    },
    /// So many MIG instances.
    Slice {
        /// Profiles that will do, the smallest first.
        profiles: SmallVec<[ProfileId; 4]>,
        /// How many instances.
        count: u32,
    },
}

impl DeviceAsk {
    /// The same kind of devices, so many of them.
    #[must_use]
    pub fn times(&self, devices: u32) -> Self {
        match self {
            _ if devices == 0 => Self::None,
            Self::None => Self::None,
            Self::Whole(_) => Self::Whole(devices),
            Self::Share { milli, mib, .. } => Self::Share { cards: devices, milli: *milli, mib: *mib },
            Self::Slice { profiles, .. } => Self::Slice { profiles: profiles.clone(), count: devices },
        }
    }
}

/// Which of the cards (and starts) with room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardRule {
    /// The lowest index.
    LowestId,
    /// The fullest card, then the lowest index.
    Fullest,
    /// The emptiest card, then the lowest index.
    Emptiest,
    /// Where the fewest slices are stranded, then where most ways are left to add an instance, then the fullest.
    LeastStranded,
}

/// Parts of GPUs for one request on one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// What it gets.
    pub devices: SmallVec<[Device; 1]>,
    /// What must be cut anew before.
    pub reshapes: SmallVec<[Reshape; 1]>,
    /// Slices that are stranded by it, compute and memory.
    pub stranded: i32,
    /// Ways of adding an instance that are lost by it.
    pub room: i32,
}

/// How a node is looked at.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// How its GPUs are given out.
    pub spec: &'a CardPool,
    /// The table of its GPU, where it is for MIG.
    pub stranding: Option<&'a Stranding>,
    /// Which cards are preferred.
    pub rule: CardRule,
    /// Whether this is about later, when every layout can have been changed that may be.
    pub is_later: bool,
    /// For whole GPUs: cards that are in use on this state of the node come first.
    pub first_not_free: Option<&'a CardNode>,
}

/// What `part` gets on `node`; `None` if there is no room.
#[must_use]
pub fn choose(node: &CardNode, part: &CardPart, look: Look<'_>) -> Option<Chosen> {
    if node.cpus < part.cpus || node.mem_mb < part.mem_mb {
        return None;
    }
    choose_devices(node, &part.ask, look)
}

/// What `ask` gets of the GPUs of `node`, CPUs and memory left aside.
#[must_use]
pub fn choose_devices(node: &CardNode, ask: &DeviceAsk, look: Look<'_>) -> Option<Chosen> {
    match ask {
        DeviceAsk::None => Some(Chosen::default()),
        DeviceAsk::Whole(count) => whole(node, *count as usize, look),
        DeviceAsk::Share { cards, milli, mib } => share(node, *cards as usize, *milli, *mib, look),
        DeviceAsk::Slice { profiles, count: 1 } => slice(node, profiles, look),
        DeviceAsk::Slice { profiles, count } => slices(node, profiles, *count, look),
    }
}

/// Whether layouts of the node can be changed now.
fn may_reshape(node: &CardNode, mig: &MigPool, is_later: bool) -> bool {
    let when = match mig.change {
        LayoutChange::Never => false,
        LayoutChange::OnDemand => true,
        LayoutChange::Planned => is_later,
    };
    when && (!mig.whole_node || node.allocations == 0)
}

fn whole(node: &CardNode, count: usize, look: Look<'_>) -> Option<Chosen> {
    // Switching MIG off for a whole GPU needs no planner.
    let may_switch = look
        .spec
        .mig()
        .is_some_and(|mig| mig.change != LayoutChange::Never && (!mig.whole_node || node.allocations == 0));
    let usable = |card: &Card| card.is_clear() && (!card.is_cut || may_switch);
    if node.cards.iter().filter(|card| usable(card)).count() < count {
        return None;
    }
    let mut order: SmallVec<[(bool, bool, u8); 8]> = (0u8..)
        .zip(&node.cards)
        .filter(|(_, card)| usable(card))
        .map(|(at, card)| {
            let free_now = look.first_not_free.is_some_and(|now| now.cards[usize::from(at)].is_clear());
            (free_now, card.is_cut, at)
        })
        .collect();
    order.sort_unstable();
    let mut chosen = Chosen::default();
    for (_, is_cut, at) in order.into_iter().take(count) {
        chosen.devices.push(Device::Whole { card: at });
        if is_cut {
            let destroy = node.cards[usize::from(at)].instances.iter().map(|i| i.placement).collect();
            let none = SmallVec::new();
            chosen.reshapes.push(Reshape { card: at, destroy, create: none, is_cut: false, was_cut: true });
        }
    }
    Some(chosen)
}

fn share(node: &CardNode, count: usize, milli: u16, mib: u64, look: Look<'_>) -> Option<Chosen> {
    let mut roomy: SmallVec<[(i32, u8); 8]> = (0u8..)
        .zip(&node.cards)
        .filter(|(_, card)| !card.is_cut && card.free_milli >= milli && card.free_mib >= mib)
        .map(|(at, card)| match look.rule {
            CardRule::LowestId => (0, at),
            CardRule::Emptiest => (-i32::from(card.free_milli), at),
            CardRule::Fullest | CardRule::LeastStranded => (i32::from(card.free_milli), at),
        })
        .collect();
    if roomy.len() < count {
        return None;
    }
    roomy.sort_unstable();
    let devices =
        roomy.iter().take(count).map(|(_, card)| Device::Share { card: *card, milli, mib }).collect();
    Some(Chosen { devices, ..Chosen::default() })
}

/// Several instances, one after the other.
fn slices(node: &CardNode, profiles: &[ProfileId], count: u32, look: Look<'_>) -> Option<Chosen> {
    let mut scratch = node.clone();
    let mut all = Chosen::default();
    for _ in 0..count {
        let one = slice(&scratch, profiles, look)?;
        occupy(&mut scratch, &one.devices, look.spec);
        all.devices.extend(one.devices);
        all.reshapes.extend(one.reshapes);
        all.stranded += one.stranded;
        all.room += one.room;
    }
    Some(all)
}

/// How good a place for an instance is; the least wins.
type Merit = (i32, i32, i32, u8, u8);

fn slice(node: &CardNode, profiles: &[ProfileId], look: Look<'_>) -> Option<Chosen> {
    let CardMode::Mig(mig) = &look.spec.mode else { return None };
    let may_make = may_reshape(node, mig, look.is_later);
    for profile in profiles {
        let mut best: Option<(Merit, u8, Placement)> = None;
        for (at, card) in (0u8..).zip(&node.cards) {
            for instance in &card.instances {
                if instance.placement.profile == *profile
                    && is_usable(card, instance.placement, instance.state, mig)
                {
                    keep_best(
                        &mut best,
                        merit(card, at, instance.placement, mig, look),
                        at,
                        instance.placement,
                    );
                }
            }
        }
        if let Some((_, card, placement)) = best {
            return Some(with_costs(node, card, placement, SmallVec::new(), mig, look));
        }
        if !may_make {
            continue;
        }
        for (at, card) in (0u8..).zip(&node.cards).filter(|(_, card)| card.free_milli == CARD_MILLI) {
            let Some(taken) = card.taken_for(*profile, mig.model) else { continue };
            for start in &mig.model.profile(*profile).starts {
                let placement = Placement { start: *start, profile: *profile };
                if (card.blocked | taken) & placement.units(mig.model) == 0 {
                    keep_best(&mut best, merit(card, at, placement, mig, look), at, placement);
                }
            }
        }
        if let Some((_, card, placement)) = best {
            let change = room_for(&node.cards[usize::from(card)], card, placement, mig);
            return Some(with_costs(node, card, placement, smallvec![change], mig, look));
        }
    }
    None
}

fn keep_best(best: &mut Option<(Merit, u8, Placement)>, merit: Merit, card: u8, placement: Placement) {
    if best.is_none_or(|(least, ..)| merit < least) {
        *best = Some((merit, card, placement));
    }
}

fn is_usable(card: &Card, placement: Placement, state: InstanceState, mig: &MigPool) -> bool {
    matches!(state, InstanceState::Idle | InstanceState::Kept)
        && (card.blocked == 0 || card.blocked & placement.units(mig.model) == 0)
}

fn merit(card: &Card, at: u8, placement: Placement, mig: &MigPool, look: Look<'_>) -> Merit {
    let busy = || i32::from(card.busy_slices(mig.model));
    match (look.rule, look.stranding) {
        (CardRule::LowestId, _) => (0, 0, 0, at, placement.start),
        (CardRule::Emptiest, _) => (busy(), 0, 0, at, placement.start),
        (CardRule::LeastStranded, Some(table)) => {
            let (stranded, room) = costs(card, placement, mig, table);
            (stranded, room, -busy(), at, placement.start)
        }
        _ => (-busy(), 0, 0, at, placement.start),
    }
}

/// Slices stranded and ways lost on `card` when a job gets `placement`.
fn costs(card: &Card, placement: Placement, mig: &MigPool, table: &Stranding) -> (i32, i32) {
    let busy = card.instances.iter().filter(|i| i.state == InstanceState::Busy).map(|i| i.placement);
    let before = table.key(busy).and_then(|key| Some((key, table.left_of(key)?)));
    let after = before.and_then(|(key, _)| table.left_of(key | table.key([placement])?));
    let (before, after) = match (before, after) {
        (Some((_, before)), Some(after)) => (before, after),
        _ => {
            let before = card.busy(mig.model);
            let mut after = before.clone();
            if after.place(mig.model, placement).is_err() {
                return (0, 0);
            }
            (table.left(&before), table.left(&after))
        }
    };
    let sum = |left: Left| i32::from(left.stranded.compute) + i32::from(left.stranded.memory);
    (sum(after) - sum(before), i32::from(before.room) - i32::from(after.room))
}

fn with_costs(
    node: &CardNode,
    card: u8,
    placement: Placement,
    reshapes: SmallVec<[Reshape; 1]>,
    mig: &MigPool,
    look: Look<'_>,
) -> Chosen {
    let costs = look.stranding.map(|table| costs(&node.cards[usize::from(card)], placement, mig, table));
    let (stranded, room) = costs.unwrap_or((0, 0));
    Chosen { devices: smallvec![Device::Instance { card, placement }], reshapes, stranded, room }
}

/// What must go so that `placement` can be created: the idle instances that cover its units, and more
/// idle ones from the end while the layout is not legal.
fn room_for(card: &Card, at: u8, placement: Placement, mig: &MigPool) -> Reshape {
    let units = placement.units(mig.model);
    let (mut destroy, mut rest) = (SmallVec::new(), SmallVec::<[Placement; 7]>::new());
    for instance in card.instances.iter().filter(|i| i.state == InstanceState::Idle) {
        if instance.placement.units(mig.model) & units == 0 {
            rest.push(instance.placement);
        } else {
            destroy.push(instance.placement);
        }
    }
    let is_legal = |rest: &[Placement]| {
        let mut layout: Layout = card.fixed(mig.model);
        rest.iter().chain([&placement]).all(|p| layout.place(mig.model, *p).is_ok())
    };
    while !is_legal(&rest) {
        destroy.push(rest.pop().expect("it can be placed beside what is in use"));
    }
    Reshape { card: at, destroy, create: smallvec![placement], is_cut: true, was_cut: card.is_cut }
}

/// Takes `devices` on a scratch state of a node, cutting cards anew without more ado.
pub fn occupy(node: &mut CardNode, devices: &[Device], spec: &CardPool) {
    for device in devices {
        let card = &mut node.cards[usize::from(device.card())];
        match *device {
            Device::Whole { .. } => {
                card.instances.clear();
                card.is_cut = false;
                card.free_milli = 0;
            }
            Device::Share { milli, mib, .. } => {
                card.free_milli = card.free_milli.saturating_sub(milli);
                if card.free_mib < u64::MAX {
                    card.free_mib = card.free_mib.saturating_sub(mib);
                }
            }
            Device::Instance { placement, .. } => {
                let Some(mig) = spec.mig() else { continue };
                let units = placement.units(mig.model);
                card.is_cut = true;
                card.instances.retain(|i| {
                    i.placement != placement
                        && (i.state != InstanceState::Idle || i.placement.units(mig.model) & units == 0)
                });
                let at = card.instances.partition_point(|i| i.placement < placement);
                let busy = crate::cluster::cards::Instance { placement, state: InstanceState::Busy };
                card.instances.insert(at, busy);
                shed_idle(card, mig);
            }
        }
    }
}

/// Drops idle instances from the end while those of the card are no legal layout.
fn shed_idle(card: &mut Card, mig: &MigPool) {
    loop {
        let mut layout = Layout::default();
        if card.instances.iter().all(|i| layout.place(mig.model, i.placement).is_ok()) {
            return;
        }
        let Some(at) = card.instances.iter().rposition(|i| i.state == InstanceState::Idle) else { return };
        card.instances.remove(at);
    }
}

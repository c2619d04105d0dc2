//! What is free on a node whose GPUs may be shared.

use smallvec::SmallVec;

use super::{CARD_MILLI, CARD_UNITS, CardGrant, CardMode, CardPool, Device, MigPool};
use crate::cluster::Amounts;
use crate::cluster::mig::{GpuModel, Layout, Placement, ProfileId, Variant};
use crate::ids::PoolId;

/// What goes on in an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceState {
    /// Nobody uses it; it may be destroyed.
    Idle,
    /// Nobody uses it; it stays for a while (hysteresis).
    Kept,
    /// It is being created.
    Making,
    /// A job has it.
    Busy,
}

/// A MIG instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Where and what.
    pub placement: Placement,
    /// What goes on in it.
    pub state: InstanceState,
}

/// One GPU of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// Free thousandths of a card that is not cut; 0 = taken.
    pub free_milli: u16,
    /// Free memory of a card in shares, in MiB; `u64::MAX` where it is not known.
    pub free_mib: u64,
    /// Whether MIG is on.
    pub is_cut: bool,
    /// Its instances by start.
    pub instances: SmallVec<[Instance; 7]>,
    /// Memory units that may not be used (promised to another job), one bit each; 0 in the ledger.
    pub blocked: u16,
}

impl Card {
    /// Whether nobody uses or waits for any part of it.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.free_milli == CARD_MILLI
            && self.blocked == 0
            && self.instances.iter().all(|i| i.state == InstanceState::Idle)
    }

    /// The instances that cannot be destroyed now, as a layout.
    #[must_use]
    pub fn fixed(&self, model: &GpuModel) -> Layout {
        self.layout_of(model, |state| state != InstanceState::Idle)
    }

    /// The instances that jobs have, as a layout.
    #[must_use]
    pub fn busy(&self, model: &GpuModel) -> Layout {
        self.layout_of(model, |state| state == InstanceState::Busy)
    }

    fn layout_of(&self, model: &GpuModel, counts: impl Fn(InstanceState) -> bool) -> Layout {
        let mut layout = Layout::default();
        for instance in self.instances.iter().filter(|i| counts(i.state)) {
            layout.place(model, instance.placement).expect("the instances of a card are a legal layout");
        }
        layout
    }

    /// Compute slices that jobs have.
    #[must_use]
    pub fn busy_slices(&self, model: &GpuModel) -> u8 {
        let busy = self.instances.iter().filter(|i| i.state == InstanceState::Busy);
        busy.map(|i| model.profile(i.placement.profile).compute_slices).sum()
    }

    /// Memory units that jobs have, one bit each; all of them where the card is taken whole.
    #[must_use]
    pub fn busy_units(&self, model: &GpuModel) -> u16 {
        if self.free_milli < CARD_MILLI {
            return u16::MAX;
        }
        let busy = self.instances.iter().filter(|i| i.state == InstanceState::Busy);
        busy.fold(0, |units, i| units | i.placement.units(model))
    }

    /// The memory units that an instance of `profile` cannot have, because what stays covers them; `None` if
    /// there can be no further instance of it for another reason.
    #[must_use]
    pub fn taken_for(&self, profile: ProfileId, model: &GpuModel) -> Option<u16> {
        let kind = model.profile(profile);
        let (mut units, mut compute, mut alike) = (0, kind.compute_slices, 0);
        for instance in self.instances.iter().filter(|i| i.state != InstanceState::Idle) {
            let other = model.profile(instance.placement.profile);
            units |= instance.placement.units(model);
            compute += other.compute_slices;
            alike += u8::from(instance.placement.profile == profile);
            if other.variant == Variant::Media && kind.variant == Variant::Media {
                return None;
            }
        }
        (compute <= model.compute_slices && alike < kind.max_instances).then_some(units)
    }

    fn find(&mut self, placement: Placement) -> Option<&mut Instance> {
        self.instances.iter_mut().find(|i| i.placement == placement)
    }
}

/// A change of a card's layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reshape {
    /// The card.
    pub card: u8,
    /// Instances to destroy; nobody may use them.
    pub destroy: SmallVec<[Placement; 7]>,
    /// Instances to create.
    pub create: SmallVec<[Placement; 7]>,
    /// Whether MIG is on afterwards.
    pub is_cut: bool,
    /// Whether it was on before.
    pub was_cut: bool,
}

/// A node now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardNode {
    /// The pool that it belongs to.
    pub pool: PoolId,
    /// What it has.
    pub capacity: Amounts,
    /// Free CPUs.
    pub cpus: u32,
    /// Free memory in MiB.
    pub mem_mb: u64,
    /// Its GPUs.
    pub cards: SmallVec<[Card; 8]>,
    /// Allocations on it.
    pub allocations: u32,
}

impl CardNode {
    /// What nobody has of a card that is not cut.
    #[must_use]
    pub fn rest_of(&self, card: u8, spec: &CardPool) -> Option<Device> {
        let row = &self.cards[usize::from(card)];
        match spec.mode {
            CardMode::Shares => {
                let mib = if spec.card_mib().is_some() { row.free_mib } else { 0 };
                (row.free_milli > 0).then_some(Device::Share { card, milli: row.free_milli, mib })
            }
            CardMode::Whole | CardMode::Mig(_) => {
                (row.free_milli == CARD_MILLI).then_some(Device::Whole { card })
            }
        }
    }

    /// An empty node.
    #[must_use]
    pub fn new(pool: PoolId, capacity: Amounts, spec: &CardPool) -> Self {
        let memory = spec.card_mib().unwrap_or(u64::MAX);
        let card = |at: u32| {
            let layout = spec.mig().and_then(|mig| mig.start.get(at as usize)).and_then(Option::as_ref);
            let instance =
                |placement: &Placement| Instance { placement: *placement, state: InstanceState::Idle };
            Card {
                free_milli: spec.card_milli(),
                free_mib: memory,
                is_cut: layout.is_some(),
                instances: layout
                    .map_or_else(SmallVec::new, |l| l.placements().iter().map(instance).collect()),
                blocked: 0,
            }
        };
        Self {
            pool,
            capacity,
            cpus: capacity.cpus,
            mem_mb: capacity.mem_mb,
            cards: (0..capacity.gpus).map(card).collect(),
            allocations: 0,
        }
    }

    /// Takes what `grant` names.
    ///
    /// # Errors
    /// What is not free; nothing is taken then.
    pub fn take(&mut self, grant: &CardGrant) -> Result<(), &'static str> {
        if self.cpus < grant.cpus || self.mem_mb < grant.mem_mb {
            return Err("CPUs or memory are not free");
        }
        for (at, device) in grant.gpus.iter().enumerate() {
            if let Err(why) = self.take_device(device) {
                for earlier in &grant.gpus[..at] {
                    self.give_back_device(earlier, u64::MAX).expect("it was taken just now");
                }
                return Err(why);
            }
        }
        self.cpus -= grant.cpus;
        self.mem_mb -= grant.mem_mb;
        self.allocations += 1;
        Ok(())
    }

    /// Gives back what `grant` names.
    ///
    /// # Errors
    /// What was not taken.
    pub fn give_back(&mut self, grant: &CardGrant, spec: &CardPool) -> Result<(), &'static str> {
        if self.cpus + grant.cpus > self.capacity.cpus
            || self.mem_mb + grant.mem_mb > self.capacity.mem_mb
            || self.allocations == 0
        {
            return Err("more is given back than was taken");
        }
        let memory = spec.card_mib().unwrap_or(u64::MAX);
        grant.gpus.iter().try_for_each(|device| self.give_back_device(device, memory))?;
        self.cpus += grant.cpus;
        self.mem_mb += grant.mem_mb;
        self.allocations -= 1;
        Ok(())
    }

    fn take_device(&mut self, device: &Device) -> Result<(), &'static str> {
        let card = self.cards.get_mut(usize::from(device.card())).ok_or("there is no such GPU")?;
        match *device {
            Device::Whole { .. } => {
                if card.free_milli < CARD_MILLI || card.is_cut {
                    return Err("the GPU is not free");
                }
                card.free_milli = 0;
            }
            Device::Share { milli, mib, .. } => {
                if card.is_cut || milli == 0 || card.free_milli < milli || card.free_mib < mib {
                    return Err("the share of the GPU is not free");
                }
                card.free_milli -= milli;
                if card.free_mib < u64::MAX {
                    card.free_mib -= mib;
                }
            }
            Device::Instance { placement, .. } => {
                let instance = card.find(placement).ok_or("there is no such instance")?;
                if matches!(instance.state, InstanceState::Busy | InstanceState::Making) {
                    return Err("the instance is not free");
                }
                instance.state = InstanceState::Busy;
            }
        }
        Ok(())
    }

    fn give_back_device(&mut self, device: &Device, memory: u64) -> Result<(), &'static str> {
        let card = self.cards.get_mut(usize::from(device.card())).ok_or("there is no such GPU")?;
        match *device {
            Device::Whole { .. } => {
                if card.free_milli > 0 {
                    return Err("the GPU was not taken");
                }
                card.free_milli = CARD_MILLI;
            }
            Device::Share { milli, mib, .. } => {
                if card.free_milli + milli > CARD_MILLI {
                    return Err("the share of the GPU was not taken");
                }
                card.free_milli += milli;
                if card.free_mib < u64::MAX {
                    card.free_mib += mib;
                    if card.free_mib > memory {
                        return Err("more GPU memory is given back than was taken");
                    }
                }
            }
            Device::Instance { placement, .. } => {
                let instance = card.find(placement).ok_or("there is no such instance")?;
                if instance.state != InstanceState::Busy {
                    return Err("the instance was not taken");
                }
                instance.state = InstanceState::Idle;
            }
        }
        Ok(())
    }

    /// Changes the layout of a card; what is created is in `state` then.
    ///
    /// # Errors
    /// What the hardware does not allow.
    pub fn reshape(
        &mut self,
        change: &Reshape,
        state: InstanceState,
        mig: &MigPool,
    ) -> Result<(), &'static str> {
        let card = self.cards.get_mut(usize::from(change.card)).ok_or("there is no such GPU")?;
        if card.free_milli < CARD_MILLI {
            return Err("the GPU is taken whole");
        }
        let mut instances = card.instances.clone();
        for placement in &change.destroy {
            let at = instances
                .iter()
                .position(|i| i.placement == *placement)
                .ok_or("there is no such instance")?;
            if instances[at].state != InstanceState::Idle {
                return Err("the instance is in use");
            }
            instances.remove(at);
        }
        let mut layout = Layout::default();
        for instance in &instances {
            layout.place(mig.model, instance.placement).expect("the instances of a card are a legal layout");
        }
        for placement in &change.create {
            layout.place(mig.model, *placement).map_err(|_| "the layout is not legal")?;
            let at = instances.partition_point(|i| i.placement < *placement);
            instances.insert(at, Instance { placement: *placement, state });
        }
        if !change.is_cut && !instances.is_empty() {
            return Err("MIG cannot be switched off while instances are there");
        }
        card.instances = instances;
        card.is_cut = change.is_cut;
        Ok(())
    }

    /// The node as it will be once what is under way is done: kept and half-made instances are idle.
    #[must_use]
    pub fn later(&self) -> Self {
        let mut later = self.clone();
        for instance in later.cards.iter_mut().flat_map(|card| &mut card.instances) {
            if instance.state != InstanceState::Busy {
                instance.state = InstanceState::Idle;
            }
        }
        later
    }

    /// What may be used now without touching what is taken in `then`, another state of this node.
    #[must_use]
    pub fn beside(&self, then: &Self, spec: &CardPool) -> Self {
        let mut both = self.clone();
        both.cpus = self.cpus.min(then.cpus);
        both.mem_mb = self.mem_mb.min(then.mem_mb);
        for (card, then) in both.cards.iter_mut().zip(&then.cards) {
            match &spec.mode {
                CardMode::Mig(mig) => card.blocked |= then.busy_units(mig.model),
                CardMode::Whole | CardMode::Shares => {
                    card.free_milli = card.free_milli.min(then.free_milli);
                    card.free_mib = card.free_mib.min(then.free_mib);
                }
            }
        }
        both
    }

    /// Free thousandths of all cards; of a cut card, those of the compute slices that no job has.
    #[must_use]
    pub fn free_milli(&self, spec: &CardPool) -> u32 {
        let free = |card: &Card| match &spec.mode {
            CardMode::Mig(mig) if card.is_cut => {
                let slices = u32::from(mig.model.compute_slices);
                let has = spec.vgpus.map_or(slices, |vgpus| slices * vgpus.units / CARD_UNITS);
                1000 * (has - u32::from(card.busy_slices(mig.model))) / slices
            }
            _ => u32::from(card.free_milli),
        };
        self.cards.iter().map(free).sum()
    }
}

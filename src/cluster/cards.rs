//! GPUs card by card: given whole, in shares, or cut into MIG instances.
//!
//! ```text
//!   node ── card 0  whole        free or taken
//!        ── card 1  in shares    600/1000 free, 40 GiB free
//!        ── card 2  cut          3g.40gb@0 busy, 2g.20gb@4 idle, 1g.10gb@6 making
//! ```
//!
//! - [`node`]: [`CardNode`], what is free on a node; taking, giving back and cutting anew
//! - [`ledger`]: [`Cards`] for the [`Ledger`] of all nodes; changes of layouts
//! - [`referee`]: re-adds a history of holdings without the ledger's code
//!
//! One GPU has one mode at a time: whole, shares or instances. This room decides nothing and knows no time.
//!
//! Invariants: a card is never taken beyond 1000 thousandths or its memory; instances on a card are a
//! legal layout at all times; only instances that nobody uses are destroyed; what is given back was taken.

pub mod ledger;
pub mod node;
pub mod referee;

use super::devices::Total;
use super::mig::{GpuModel, Layout, Placement};
use super::{Allocation, Grant, Ledger};

pub use node::{Card, CardNode, Instance, InstanceState, Reshape};

/// A whole card, in thousandths.
pub const CARD_MILLI: u16 = 1000;

/// Units of a card in the hours: a common multiple of thousandths and of the slices of MIG.
pub const CARD_UNITS: u32 = 21_000;

/// How the GPUs of a pool are given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CardMode {
    /// Whole GPUs only.
    Whole,
    /// Thousandths of a GPU (MPS, time slices); a whole GPU is 1000 of them.
    Shares,
    /// MIG instances; whole GPUs where no instance is.
    Mig(MigPool),
}

/// When the layout of a GPU may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutChange {
    /// Never: as cut before the run.
    Never,
    /// Whenever a job needs an instance that idle slices can be cut into.
    OnDemand,
    /// As a planner says that looks at the whole queue.
    Planned,
}

/// MIG on the GPUs of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigPool {
    /// The GPU.
    pub model: &'static GpuModel,
    /// The layout that each GPU of a node has first; `None` = MIG is off on it.
    pub start: Vec<Option<Layout>>,
    /// When layouts change.
    pub change: LayoutChange,
    /// Whether a node must be empty for that (mig-parted), or only the slices concerned.
    pub whole_node: bool,
    /// Whether a request for one GPU that says how much memory it needs is given an instance.
    pub by_memory: bool,
}

/// The GPUs of a pool's nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardPool {
    /// How they are given out.
    pub mode: CardMode,
    /// Memory of each that programs can use, in MiB; `None` = not known, never a limit.
    pub memory_mib: Option<u64>,
    /// Into how many equal parts each is cut, where it is shared so; `None` = parts as jobs ask for them.
    pub equal_parts: Option<u16>,
    /// Where nodes are VMs with vGPUs: a card of a node is a vGPU then, and what is said above is of the GPU of the
    /// host that it is a part of.
    pub vgpus: Option<VgpuCards>,
}

/// How the vGPUs of the VMs on a host lie on its GPUs: one after the other, GPU by GPU and round again, so that the
/// vGPUs of a VM are on different GPUs and all GPUs have as many, but for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VgpuCards {
    /// VMs on each host.
    pub vms: u32,
    /// vGPUs of each VM, at most as many as the host has GPUs.
    pub per_vm: u32,
    /// GPUs of a host.
    pub gpus: u32,
    /// What of a GPU a vGPU is, in units of the hours.
    pub units: u32,
}

impl VgpuCards {
    /// Host and GPU on it of a card of the VM with this number in its pool.
    #[must_use]
    pub fn gpu_of(&self, vm: u32, card: u8) -> (u32, u8) {
        let number = vm % self.vms.max(1) * self.per_vm + u32::from(card);
        (vm / self.vms.max(1), (number % self.gpus.max(1)) as u8)
    }
}

impl CardPool {
    /// Whole GPUs of unknown memory.
    #[must_use]
    pub fn whole() -> Self {
        Self { mode: CardMode::Whole, memory_mib: None, equal_parts: None, vgpus: None }
    }

    /// MIG, where it is on.
    #[must_use]
    pub fn mig(&self) -> Option<&MigPool> {
        match &self.mode {
            CardMode::Mig(mig) => Some(mig),
            CardMode::Whole | CardMode::Shares => None,
        }
    }

    /// Units of the hours that a card of a node has.
    #[must_use]
    pub fn card_units(&self) -> u32 {
        self.vgpus.map_or(CARD_UNITS, |vgpus| vgpus.units)
    }

    /// Thousandths of a GPU that a card of a node has, where cards are given out so.
    #[must_use]
    pub fn card_milli(&self) -> u16 {
        match (&self.mode, self.vgpus, self.equal_parts) {
            (CardMode::Shares, Some(_), Some(parts)) => CARD_MILLI / parts.max(1),
            _ => CARD_MILLI,
        }
    }

    /// Memory of a card of a node, in MiB.
    #[must_use]
    pub fn card_mib(&self) -> Option<u64> {
        match (&self.mode, self.vgpus, self.equal_parts) {
            (CardMode::Shares, Some(_), Some(parts)) => {
                self.memory_mib.map(|all| all / u64::from(parts.max(1)))
            }
            _ => self.memory_mib,
        }
    }

    /// What a device is worth in the hours: the whole card, its thousandths, or its compute slices.
    #[must_use]
    pub fn units(&self, device: &Device) -> u32 {
        match device {
            Device::Whole { .. } => CARD_UNITS,
            Device::Share { milli, .. } => CARD_UNITS / u32::from(CARD_MILLI) * u32::from(*milli),
            Device::Instance { placement, .. } => {
                let mig = self.mig().expect("only cut cards have instances");
                slice_units(mig.model, mig.model.profile(placement.profile).compute_slices)
            }
        }
    }
}

/// Hours units of so many compute slices of a GPU.
#[must_use]
pub fn slice_units(model: &GpuModel, slices: u8) -> u32 {
    CARD_UNITS / u32::from(model.compute_slices) * u32::from(slices)
}

/// What a job holds of one card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// All of it.
    Whole {
        /// Index on the node.
        card: u8,
    },
    /// Thousandths and memory of it.
    Share {
        /// Index on the node.
        card: u8,
        /// Thousandths.
        milli: u16,
        /// Memory, in MiB.
        mib: u64,
    },
    /// A MIG instance.
    Instance {
        /// Index on the node.
        card: u8,
        /// Which.
        placement: Placement,
    },
}

impl Device {
    /// Index of its card on the node.
    #[must_use]
    pub fn card(&self) -> u8 {
        match self {
            Self::Whole { card } | Self::Share { card, .. } | Self::Instance { card, .. } => *card,
        }
    }
}

/// GPUs in parts: whole, thousandths of them, MIG instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cards;

/// What an allocation holds on one node.
pub type CardGrant = Grant<Cards>;

/// What one job holds: a grant per node.
pub type CardAllocation = Allocation<Cards>;

/// All nodes whose GPUs may be shared.
pub type CardLedger = Ledger<Cards>;

/// CPUs, memory, and GPUs in units of the hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Units {
    /// CPUs.
    pub cpus: u64,
    /// Memory in MiB.
    pub mem_mb: u64,
    /// GPUs in units of the hours.
    pub gpus: u64,
}

impl Total for Units {
    const ZERO: Self = Self { cpus: 0, mem_mb: 0, gpus: 0 };

    #[inline]
    fn holds(&self, ask: &Self) -> bool {
        self.cpus >= ask.cpus && self.mem_mb >= ask.mem_mb && self.gpus >= ask.gpus
    }

    #[inline]
    fn plus(&self, other: &Self) -> Self {
        Self {
            cpus: self.cpus + other.cpus,
            mem_mb: self.mem_mb + other.mem_mb,
            gpus: self.gpus + other.gpus,
        }
    }

    #[inline]
    fn minus(&self, other: &Self) -> Self {
        assert!(self.holds(other), "taking {other:?} from {self:?}");
        Self {
            cpus: self.cpus - other.cpus,
            mem_mb: self.mem_mb - other.mem_mb,
            gpus: self.gpus - other.gpus,
        }
    }

    #[inline]
    fn min(&self, other: &Self) -> Self {
        Self {
            cpus: self.cpus.min(other.cpus),
            mem_mb: self.mem_mb.min(other.mem_mb),
            gpus: self.gpus.min(other.gpus),
        }
    }

    fn times(&self, count: u32) -> Self {
        let count = u64::from(count);
        Self { cpus: self.cpus * count, mem_mb: self.mem_mb * count, gpus: self.gpus * count }
    }
}

//! What the core waits for.

use crate::ids::{JobId, NodeId};
use crate::simulation::fleet::HostTimer;
use crate::simulation::guests::GuestTimer;

/// Keys of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulation) enum Timer {
    /// The job in this slot ends.
    End(u32),
    /// The job's begin time comes.
    Begin(JobId),
    /// The user withdraws the job.
    Cancel(JobId),
    /// The outage of this number begins.
    OutageBegins(u32),
    /// It ends.
    OutageEnds(u32),
    /// The job in this slot looks further ahead.
    Look(u32),
    /// Something happens to the VM of this node of an elastic pool.
    Vm(NodeId),
    /// VMs may be ordered again for this pool.
    Order(u32),
    /// This host is due for maintenance, or back from it.
    Upkeep(u32),
    /// This host or switch fails, or is repaired; or a host that was lent is back.
    Host(u32),
    /// This job has waited as long as it should for the pools of its route.
    Spill(JobId),
    /// The decider wants to decide again.
    Wake,
    /// The change of layouts of this number is done.
    Made(u32),
    /// The instance at this start of a card need not be kept any longer.
    Unkeep(NodeId, u8, u8),
    /// The layouts of this pool may be planned again.
    Replan(u32),
    /// Something is through to the store of this number.
    Store(u32),
    /// Links of a network fail, or are back.
    Link(u32),
}

impl GuestTimer for Timer {
    fn end(slot: u32) -> Self {
        Self::End(slot)
    }

    fn look(slot: u32) -> Self {
        Self::Look(slot)
    }

    fn store(number: u32) -> Self {
        Self::Store(number)
    }

    fn link(number: u32) -> Self {
        Self::Link(number)
    }
}

impl HostTimer for Timer {
    fn host(at: u32) -> Self {
        Self::Host(at)
    }
}

impl std::hash::Hash for Timer {
    /// Tag and number in one word: the calendar hashes a key at every event.
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let (tag, number): (u64, u32) = match *self {
            Self::End(slot) => (0, slot),
            Self::Begin(job) => (1, job.0),
            Self::Cancel(job) => (2, job.0),
            Self::OutageBegins(at) => (3, at),
            Self::OutageEnds(at) => (4, at),
            Self::Look(slot) => (5, slot),
            Self::Vm(node) => (6, node.0),
            Self::Order(pool) => (7, pool),
            Self::Upkeep(at) => (8, at),
            Self::Spill(job) => (9, job.0),
            Self::Host(at) => (10, at),
            Self::Wake => (11, 0),
            Self::Made(number) => (12, number),
            Self::Unkeep(node, card, start) => (13 | u64::from(card) << 8 | u64::from(start) << 16, node.0),
            Self::Replan(pool) => (14, pool),
            Self::Store(number) => (15, number),
            Self::Link(number) => (16, number),
        };
        state.write_u64(tag << 32 | u64::from(number));
    }
}

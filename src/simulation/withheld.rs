//! What keeps a part of the floor from jobs while nodes are out of order.
//!
//! Whatever is free on such a node is taken before every pass, so that nothing can be placed there; it counts as
//! down until it is given back.

use super::meter::Meter;
use crate::cluster::{Allocation, Amounts, Conflict, Grant};
use crate::ids::{NodeId, PoolId};
use crate::scheduler::Floor;
use crate::time::SimTime;

/// Numbers of holders on the floor that no job has: from `first` on, over and over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
    first: u32,
    next: u32,
}

impl Slots {
    /// How many there are of each kind.
    const COUNT: u32 = 1 << 28;

    /// Those from `first` on.
    pub(super) fn from(first: u32) -> Self {
        Self { first, next: 0 }
    }

    fn take(&mut self) -> u32 {
        let slot = self.first + self.next % Self::COUNT;
        self.next += 1;
        slot
    }
}

/// What is held of a pool, each with its slot and when the floor expects it back.
#[derive(Debug, Default)]
pub(super) struct Withheld {
    held: Vec<(u32, Allocation, SimTime)>,
}

impl Withheld {
    /// Takes what is free on a node.
    pub(super) fn take(
        &mut self,
        (node, pool): (NodeId, PoolId),
        expected: SimTime,
        slots: &mut Slots,
        floor: &mut Floor,
        meter: &mut Meter,
    ) -> Result<(), Conflict> {
        let row = floor.ledger().node(node);
        let free = row.free;
        if free == Amounts::ZERO {
            return Ok(());
        }
        let grant = Grant { node, cpus: free.cpus, mem_mb: free.mem_mb, gpus: row.free_gpus };
        let allocation: Allocation = std::iter::once(grant).collect();
        let slot = slots.take();
        floor.start(slot, &allocation, expected)?;
        meter.add_down(pool, &free);
        self.held.push((slot, allocation, expected));
        Ok(())
    }

    /// Gives all of it back.
    pub(super) fn release(
        &mut self,
        pool: PoolId,
        floor: &mut Floor,
        meter: &mut Meter,
    ) -> Result<(), Conflict> {
        for (slot, allocation, expected) in self.held.drain(..) {
            meter.drop_down(pool, &allocation[0].amounts());
            floor.end(slot, &allocation, expected)?;
        }
        Ok(())
    }

    /// How many of these are on a node.
    pub(super) fn on(&self, node: NodeId) -> usize {
        self.held.iter().filter(|(_, held, _)| held[0].node == node).count()
    }
}

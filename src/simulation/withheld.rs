//! What keeps a part of the floor from jobs while nodes are out of order.
//!
//! Whatever is free on such a node is taken before every pass, so that nothing can be placed there. Until it is given back
//! it counts as down, as idle where it stands by, or as not installed where it is lent to others.

use super::meter::Meter;
use super::run::ground::{Grants, Ground};
use crate::cluster::Conflict;
use crate::ids::{NodeId, PoolId};
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

/// Why something is withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    /// It is out of order.
    IsDown,
    /// It is kept for when others are.
    StandsBy,
    /// It is lent to somebody until then.
    IsLent,
}

/// What is held of a pool, each with its slot and when the floor expects it back.
#[derive(Debug)]
pub(super) struct Withheld<G: Ground> {
    held: Vec<(u32, Grants<G>, (Why, SimTime))>,
}

impl<G: Ground> Default for Withheld<G> {
    fn default() -> Self {
        Self { held: Vec::new() }
    }
}

impl<G: Ground> Withheld<G> {
    /// Takes what is free on a node.
    pub(super) fn take(
        &mut self,
        (node, pool): (NodeId, PoolId),
        (why, expected): (Why, SimTime),
        slots: &mut Slots,
        ground: &mut G,
        meter: &mut Meter,
    ) -> Result<(), Conflict> {
        let Some(rest) = ground.rest(node) else { return Ok(()) };
        let slot = slots.take();
        ground.take(slot, &rest, expected)?;
        meter.withhold(pool, &ground.load(&rest), why);
        self.held.push((slot, rest, (why, expected)));
        Ok(())
    }

    /// Gives all of it back.
    pub(super) fn release(
        &mut self,
        pool: PoolId,
        ground: &mut G,
        meter: &mut Meter,
    ) -> Result<(), Conflict> {
        for (slot, rest, (why, expected)) in self.held.drain(..) {
            meter.give_back(pool, &ground.load(&rest), why);
            ground.give_back(slot, &rest, expected)?;
        }
        Ok(())
    }

    /// How many of these are on a node.
    pub(super) fn on(&self, node: NodeId) -> usize {
        self.held.iter().filter(|(_, held, _)| G::first(held) == node).count()
    }
}

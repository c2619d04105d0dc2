//! How the GPUs of nodes are given out, as a type: what keeps count of nodes is written once for all kinds.
//!
//! - [`Whole`]: every GPU to one allocation, a bit each; grants are `Copy`
//! - [`Cards`](super::Cards): whole GPUs, thousandths of them, MIG instances

use std::fmt::Debug;
use std::hash::Hash;

use super::{Amounts, Conflict, Grant, Node};
use crate::ids::PoolId;

/// Sums of what nodes have, component by component.
pub trait Total: Copy + Debug + PartialEq + 'static {
    /// Nothing.
    const ZERO: Self;
    /// Whether `ask` fits into `self` in every component.
    #[must_use]
    fn holds(&self, ask: &Self) -> bool;
    /// Sum.
    #[must_use]
    fn plus(&self, other: &Self) -> Self;
    /// Difference; the other must fit.
    #[must_use]
    fn minus(&self, other: &Self) -> Self;
    /// Minimum of each component.
    #[must_use]
    fn min(&self, other: &Self) -> Self;
    /// So many times as much.
    #[must_use]
    fn times(&self, count: u32) -> Self;
}

impl Total for Amounts {
    const ZERO: Self = Self::ZERO;
    #[inline]
    fn holds(&self, ask: &Self) -> bool {
        Self::holds(self, ask)
    }
    #[inline]
    fn plus(&self, other: &Self) -> Self {
        Self::plus(self, other)
    }
    #[inline]
    fn minus(&self, other: &Self) -> Self {
        Self::minus(self, other)
    }
    #[inline]
    fn min(&self, other: &Self) -> Self {
        Self::min(self, other)
    }
    #[inline]
    fn times(&self, count: u32) -> Self {
        Self::times(self, count)
    }
}

/// A way of giving out the GPUs of nodes.
pub trait Devices: Copy + Debug + Eq + Hash + 'static {
    /// What a grant has of the GPUs of a node.
    type Held: Clone + Debug + Eq;
    /// A node with what is free on it.
    type Node: Clone + Debug;
    /// How the GPUs of a pool are given out.
    type Spec: Clone + Debug;
    /// Sums over nodes and pools.
    type Total: Total;
    /// Whether amounts tell all there is to know of a node: what is free in sum can be had.
    const COUNTS: bool;

    /// An empty node.
    fn node(pool: PoolId, capacity: Amounts, spec: &Self::Spec) -> Self::Node;
    /// The pool of a node.
    fn pool_of(node: &Self::Node) -> PoolId;
    /// What a node of that capacity counts for in the sums.
    fn capacity(capacity: Amounts, spec: &Self::Spec) -> Self::Total;
    /// What a grant counts for in the sums.
    fn total(grant: &Grant<Self>, spec: &Self::Spec) -> Self::Total;
    /// Takes a grant.
    ///
    /// # Errors
    /// [`Conflict`] where it is not free; nothing is taken then.
    fn take(node: &mut Self::Node, grant: &Grant<Self>) -> Result<(), Conflict>;
    /// Gives a grant back.
    ///
    /// # Errors
    /// [`Conflict`] where it was not taken.
    fn give_back(node: &mut Self::Node, grant: &Grant<Self>, spec: &Self::Spec) -> Result<(), Conflict>;
}

/// Whole GPUs: each has one owner at a time. What is held is one bit for each GPU of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Whole;

impl Devices for Whole {
    type Held = u64;
    type Node = Node;
    type Spec = ();
    type Total = Amounts;
    const COUNTS: bool = true;

    fn node(pool: PoolId, capacity: Amounts, (): &()) -> Node {
        assert!(capacity.gpus <= 64, "a node has at most 64 GPUs");
        let free_gpus = if capacity.gpus == 64 { u64::MAX } else { (1 << capacity.gpus) - 1 };
        Node { pool, capacity, free: capacity, free_gpus, allocations: 0 }
    }

    #[inline]
    fn pool_of(node: &Node) -> PoolId {
        node.pool
    }

    fn capacity(capacity: Amounts, (): &()) -> Amounts {
        capacity
    }

    #[inline]
    fn total(grant: &Grant, (): &()) -> Amounts {
        grant.amounts()
    }

    #[inline]
    fn take(node: &mut Node, grant: &Grant) -> Result<(), Conflict> {
        let ask = grant.amounts();
        if !node.free.holds(&ask) {
            return Err(Conflict::OverCapacity { node: grant.node.0, free: node.free, ask });
        }
        if node.free_gpus & grant.gpus != grant.gpus {
            return Err(Conflict::GpuTaken { node: grant.node.0, wanted: grant.gpus, free: node.free_gpus });
        }
        node.free = node.free.minus(&ask);
        node.free_gpus &= !grant.gpus;
        node.allocations += 1;
        Ok(())
    }

    #[inline]
    fn give_back(node: &mut Node, grant: &Grant, (): &()) -> Result<(), Conflict> {
        let free = node.free.plus(&grant.amounts());
        if !node.capacity.holds(&free) || node.free_gpus & grant.gpus != 0 || node.allocations == 0 {
            return Err(Conflict::Overflow { node: grant.node.0 });
        }
        node.free = free;
        node.free_gpus |= grant.gpus;
        node.allocations -= 1;
        Ok(())
    }
}

/// A grant of whole GPUs is small and free to copy: runs hold hundreds of thousands.
const _: () = {
    const fn is_copy<T: Copy>() {}
    is_copy::<Grant>();
    assert!(size_of::<Grant>() <= 32);
};

//! The hardware: pools of equal nodes, what is free on them, and who holds what.
//!
//! [`ClusterSpec`] describes a design's nodes; [`Ledger`] is the only writer of capacity: it takes and
//! gives back [`Allocation`]s and refuses an illegal grant. How GPUs are given out is a type of it
//! ([`Devices`]): [`Whole`], or [`Cards`], in parts. [`Referee`] checks the ledger's history independently
//! of it (capacity, exclusivity, causality, conservation). [`mig`] is the geometry of a GPU that is cut
//! into instances; [`cards`] are GPUs that are shared, and their own referee.
//!
//! This room knows nothing of queues, policies or time; it never decides, it only keeps count.
//!
//! Invariants: allocated + free = capacity on every node; a GPU belongs to one allocation at most; each
//! allocation is given back exactly once.

pub mod amounts;
pub mod cards;
mod dedication;
pub mod devices;
pub mod ledger;
pub mod mig;
pub mod referee;
pub mod spec;

pub use amounts::Amounts;
pub use cards::{CardAllocation, CardGrant, CardLedger, CardMode, CardPool, Cards, Device};
pub use dedication::Dedication;
pub use devices::{Devices, Total, Whole};
pub use ledger::{Allocation, Conflict, Grant, Ledger, Node};
pub use referee::Referee;
pub use spec::{ClusterSpec, NodeSpec, PoolSpec};

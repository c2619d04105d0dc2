//! GPUs in thousandths: where a request for a fraction of a card, or for some whole cards, is placed.
//!
//! ```text
//!   demand --feasible?--> nodes --score--> best --tie rule--> node --card choice--> cards
//!                                   ^
//!               [`Board`]: scores kept per (demand, node shape), new ones only where a node changed
//! ```
//!
//! - [`node`]: [`SharedNode`], what is free on a node, card by card; what fits; which cards are taken
//! - [`policy`]: the exact scores of Random, DotProd, GpuClustering, GpuPacking, BestFit and FGD as their
//!   authors' simulator defines them (hkust-adsl/kubernetes-scheduler-simulator; Weng et al., "Beware of
//!   Fragmentation", ATC 2023); integers, the highest wins
//! - [`fragmentation`]: [`TypicalMix`], how much of what is free the usual requests cannot use
//! - [`board`]: finds the best node without scoring every node again
//! - [`placer`]: [`Placer`], which places one demand after another
//!
//! Equal scores are common, and what is done with them moves published results by points, so the
//! [`TieRule`] is a setting. This room knows nothing of time or queues.
//!
//! Invariants: a card is never taken beyond 1000; what is given back is what was taken; scores from the
//! board equal fresh ones.

pub mod board;
pub mod fragmentation;
pub mod node;
pub mod placer;
pub mod policy;

pub use board::{Board, TieRule};
pub use fragmentation::TypicalMix;
pub use node::{CARD_MILLI, CardShare, ModelSet, SharedDemand, SharedNode};
pub use placer::{Models, Placed, Placer};
pub use policy::SharingPolicy;

//! Which job starts next, and where: ordering x placement x backfill.
//!
//! ```text
//!   requests --shapes--> parts per node --fits--> where there is room now, and when next
//!                                                     |
//!   queue (order, lanes by shape) ---- one pass -------+--> starts (node, CPUs, memory, GPUs)
//! ```
//!
//! A pass looks at the [`floor`] (what is free, what is expected back) and the [`queue`], and starts
//! jobs by the exact rule of its policy, be it on whole GPUs or on parts of them ([`kind`]). [`ordering`] and [`placement`] are public traits: a policy of
//! your own is one file (`examples/my_policy.rs`).
//!
//! This room knows nothing of events or true run times: only requested limits reach it.
//!
//! Invariants: a pass never starts what the ledger refuses; caches equal a fresh look; ties go by
//! submit order (jobs) and lowest id (nodes, GPUs).

pub mod backfill;
pub mod blocks;
pub mod division;
pub mod fits;
pub mod floor;
pub mod kind;
pub mod knows;
pub mod ordering;
pub mod placement;
pub mod policy;
pub mod preemptive;
pub mod queue;
pub mod shapes;
pub mod shared;
pub mod sharing;
pub mod slurm;
pub mod stays;
mod whole;

pub use backfill::{Backfill, Classic, Pending, Reservation, Start};
pub use floor::Floor;
pub use kind::Kind;
pub use knows::{Capability, Family, Knows};
pub use ordering::{ExpressionError, JobView, OrderKey, Ordering};
pub use placement::{NodeView, Placement, Score};
pub use policy::{BackfillSpec, OrderSpec, PlacementSpec, PolicySpec};
pub use preemptive::{OverheadRule, PreemptivePolicy, PreemptiveSpec};
pub use shapes::Shapes;

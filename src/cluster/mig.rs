//! MIG: one GPU cut into instances, as the geometry that the hardware allows.
//!
//! ```text
//!   memory units   0   1   2   3   4   5   6   7        4g at 0 covers units 0..4,
//!                 [----- 4g ------][---- 3g ----]       3g at 4 covers units 4..8: 7 of 7 compute slices
//! ```
//!
//! - [`model`]: [`GpuModel`] and its [`Profile`]s, from `mig/profiles.csv` (every row with its source)
//! - [`layout`]: [`Layout`], a legal set of [`Placement`]s; what may be added and why something may not
//! - [`enumerate`]: all layouts, the maximal ones, the legal one nearest to an illegal one, stranded slices
//! - [`fit`]: the smallest profile that satisfies a need for memory or a share
//! - [`speed`]: how fast work runs on an instance
//! - [`stranding`]: what is left of a GPU beside a layout, as a table
//!
//! Knows nothing of jobs, nodes or time: repartitioning cost and who sits in an instance lie elsewhere.
//!
//! Invariants: a [`Layout`] is legal at all times: every start is one that the profile lists, no memory
//! unit is covered twice, compute slices do not exceed the GPU's, no profile exceeds its
//! `max_instances`, and at most one instance has media extensions (`+me`, `+me.all`).

pub mod enumerate;
pub mod fit;
pub mod layout;
pub mod model;
pub mod speed;
pub mod stranding;

pub use enumerate::{Slices, layouts, maximal_layouts, mixes, nearest_layout, room_left, stranded};
pub use fit::{SliceNeed, smallest_fitting};
pub use layout::{Asked, IllegalLayout, Layout, Placement, Refusal};
pub use model::{GpuModel, MigRow, Profile, ProfileId, Variant, find_model, models, rows};
pub use speed::{SliceLaw, SliceShare};
pub use stranding::{Left, Stranding};

//! Which job starts next, and where: ordering x placement x backfill.

pub mod policy;

pub use policy::{BackfillSpec, OrderSpec, PlacementSpec, PolicySpec};

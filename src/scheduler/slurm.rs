//! Slurm as Slurm does it: the decisions of `slurmctld` over its own state.
//!
//! ```text
//!   config      what slurm.conf, gres.conf and the accounting database say, with the defaults of its version
//!   job         submissions, records, states, pending reasons by Slurm's names
//!   controller  the state: jobs, nodes, reservations, usage; submission, start, end, requeue
//!   queue       who is eligible, and in which order
//!   main_pass   the main scheduler: the first job that does not fit closes its partition
//!   backfill    the backfill thread: every job tested starts now or gets a reservation of whole nodes
//!   quiet       cycles that would only repeat the last one
//!   prediction  when could it start, if the running jobs ended at their limits
//!   outlook     the same for many jobs at once, kept while nothing starts or ends
//!   placement   which nodes
//!   preemption  which jobs must go
//!   limits      associations and QOS
//!   priority    basic and multifactor; fair_share keeps usage and ranks
//!   reservation advance reservations and maintenance
//!   alternatives jobs that name several partitions
//!   licences    counts of the whole site that jobs take beside nodes
//! ```
//!
//! It decides when it is told to ([`Controller::main_pass`], [`Controller::backfill_cycle`]); when that
//! happens, and how long jobs run, is the simulation's business. It knows no randomness.
//!
//! Decisions are taken on whole seconds, as `time()` gives them. Semantics: recorded on 22.05.8,
//! 24.11.5 and 26.05.5 (../shared/slurm-reference, slurm-reference-newer) and slurm.conf(5), sacctmgr(1), sbatch(1). What
//! differs between versions is one table, `config::RULES`.
//! Not modelled: heterogeneous jobs, floating reservations, suspend and gang, topology/block.

mod alternatives;
mod backfill;
pub mod config;
mod controller;
mod dependency;
pub mod devices;
mod fair_share;
mod fits;
pub mod job;
mod licences;
mod lifecycle;
mod limits;
mod main_pass;
mod outlook;
pub mod placement;
mod prediction;
mod preemption;
mod priority;
mod queue;
mod quiet;
mod reservation;
mod sets;
mod submission;
mod time_map;
mod uncached;
#[cfg(test)]
mod worked_examples;

pub use controller::{Controller, Cycles, Decision, Refusal, hardware_of, hardware_on};
pub use dependency::dependency_cycle;
pub use licences::{LicenceAsk, LicenceCounts};
pub use lifecycle::{NodeChange, Widened};
pub use reservation::{Reservation, ReservationRequest};

/// A set of nodes by index.
pub type NodeSet = fixedbitset::FixedBitSet;

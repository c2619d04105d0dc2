//! What runs tell on GPUs that are given out in parts: shares, MIG instances, layouts that change.
//!
//! The life of jobs is that of every run (`simulation::run`); what belongs to parts of GPUs only is in
//! `run::cards` and `run::layouts`. Work is counted in microseconds x 10^-9 and speed in parts per 10^9. A job's
//! reference is what it asks for, or a whole GPU ([`MeasuredOn`](crate::scheduler::shared::MeasuredOn)).

use crate::cluster::Amounts;
use crate::cluster::cards::{CardAllocation, Reshape};
use crate::ids::{IdVec, JobId, NodeId};
use crate::time::SimTime;

/// A holding as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardHolding {
    /// Who.
    pub job: JobId,
    /// Taken at (an instance may be made from then on).
    pub from: SimTime,
    /// Given back at, or [`SimTime::NEVER`].
    pub until: SimTime,
    /// What.
    pub allocation: CardAllocation,
}

/// A change of a GPU's layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutRow {
    /// Begin.
    pub from: SimTime,
    /// When its instances were there.
    pub until: SimTime,
    /// The job that it was made for and that waited for it; `None` where a planner made it.
    pub job: Option<JobId>,
    /// Where.
    pub node: NodeId,
    /// What.
    pub change: Reshape,
}

/// What only runs on shared GPUs tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SharedFacts {
    /// Every holding in order of its beginning, if allocations were kept.
    pub holdings: Vec<CardHolding>,
    /// Every change of a GPU's layout in order of its beginning, if allocations were kept.
    pub changes: Vec<LayoutRow>,
    /// Changes of a GPU's layout.
    pub repartitions: u64,
    /// Instances created.
    pub instances_made: u64,
    /// Instances destroyed.
    pub instances_destroyed: u64,
    /// Asked for by each request on the first pool that can hold it; GPUs are devices.
    pub asked: Vec<Amounts>,
    /// Hours units of GPUs that each job held; 0 if it never started.
    pub units: IdVec<JobId, u32>,
    /// Reference GPU time of each request's job: thousandths of a GPU for each microsecond of its run time.
    pub reference_milli: Vec<u64>,
    /// Free GPU that the usual requests cannot use (FGD's measure), thousandths x microseconds, over time.
    pub fragmented_milli_us: f64,
    /// Free GPU, thousandths x microseconds.
    pub free_milli_us: i128,
    /// Compute slices of GPUs in use that no instance can be made of, x microseconds.
    pub stranded_slices_us: i128,
    /// Time of all this.
    pub span_us: i128,
    /// GPUs x that time, in units of the hours.
    pub installed_units: i128,
}

//! What a run under tenancies tells beside records and hours.

use super::stores::Written;
use crate::ids::{IdVec, JobId, NodeId, PoolId};
use crate::simulation::Stretch;
use crate::tenancy::{Company, FailureLevel, Slices};
use crate::time::SimTime;

/// Failures by what failed.
pub type ByLevel = [u64; FailureLevel::COUNT];

/// Counts a failure where it has a level.
pub(in crate::simulation) fn count_level(by_level: &mut ByLevel, level: Option<FailureLevel>) {
    if let Some(level) = level {
        by_level[level as usize] += 1;
    }
}

/// Facts of a run under tenancies, for reports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TenancyFacts {
    /// Ends of noise epochs on hosts with jobs.
    pub epochs: u64,
    /// Changes of a running job's speed.
    pub retunes: u64,
    /// Starts that waited for a boot.
    pub boots: u64,
    /// What elastic pools did, by pool; empty pools stand for fixed ones.
    pub elastic: IdVec<PoolId, ElasticFacts>,
    /// Jobs that went to other pools because their wait was, or would have been, too long.
    pub spilled: u64,
    /// Usage of virtual machines, for bills; in order of start.
    pub usage: Vec<VmUsage>,
    /// With whom jobs on time slices took turns, for so many microseconds.
    pub companies: Vec<(Slices, Company, i128)>,
    /// Failures of hosts.
    pub failures: u64,
    /// Failures by what failed (in the order of [`FailureLevel::ALL`]), where the design tells them apart; on hosts of
    /// elastic pools also those that met no VM.
    pub by_level: ByLevel,
    /// Jobs that were lost with a host, by attempts.
    pub lost_attempts: u64,
    /// Jobs given up because they were lost again and again without getting on.
    pub given_up: u64,
    /// Jobs killed at their limits.
    pub timeouts: u64,
    /// Over which leaves jobs on several nodes of a network lay.
    pub leaves: LeafFacts,
    /// What jobs wrote to stores, sorted by job.
    pub written: Vec<(JobId, Written)>,
    /// Jobs that started more than once, with all their attempts, sorted by job.
    pub restarted: Vec<(JobId, Vec<Stretch>)>,
}

impl TenancyFacts {
    /// Mean and quantile `q` of the wait of bursts for time slices, in seconds; `None` without time slices.
    #[must_use]
    pub fn slice_waits_s(&self, q: f64) -> Option<(f64, f64)> {
        crate::tenancy::slices::waits_s(&self.companies, q)
    }
}

/// Leaves of jobs on several nodes, over all their starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeafFacts {
    /// Starts.
    pub starts: u64,
    /// Leaves that they had, summed.
    pub spanned: u64,
    /// How few they could have had on an empty network, summed.
    pub fewest: u64,
}

/// What an elastic pool did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ElasticFacts {
    /// Whether it is elastic at all.
    pub is_elastic: bool,
    /// VMs ordered.
    pub ordered: u64,
    /// Orders that failed.
    pub failed: u64,
    /// VMs given back.
    pub given_back: u64,
    /// Most VMs at once.
    pub most: u32,
    /// VM-microseconds, ordered or running.
    pub vm_us: i128,
}

/// A virtual machine from its order to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VmUsage {
    /// Its node.
    pub node: NodeId,
    /// When it was ordered.
    pub from: SimTime,
    /// When it was up; [`SimTime::NEVER`] if it failed, or still booted at the end.
    pub up: SimTime,
    /// When it was given back, or failed; [`SimTime::NEVER`] if it ran to the end.
    pub until: SimTime,
    /// Whether it belongs to the minimum of its pool, which always runs (a commitment can cover it).
    pub is_committed: bool,
    /// Whether its order failed, at the end of the boot that is billed.
    pub failed: bool,
}

impl VmUsage {
    /// A VM that runs from `from` to the end of the run.
    #[must_use]
    pub fn standing(node: NodeId, from: SimTime) -> Self {
        Self { node, from, up: from, until: SimTime::NEVER, is_committed: true, failed: false }
    }
}

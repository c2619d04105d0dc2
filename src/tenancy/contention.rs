//! Caused noise: jobs that share a host compete for what the host has once.
//!
//! A class uses each [`Resource`] to some part of its fair share (`Uses`, 0 to 1), and is hurt by others in
//! the same measure. A job on a host beside others takes
//!
//! ```text
//!   1 + sum over resources of  k x own use x sum over the others of (their part of the host x their use)
//!     + host share x (vCPUs at work / physical CPUs - 1, where that is positive)
//! ```
//!
//! times as long, where `k` is the loss of a job that depends on the resource wholly beside a host full of
//! such jobs (catalogue `contention`). The last line is CPU overcommit: processor sharing, nothing to fit.

use super::overhead::Range;

/// Number of resources.
pub const RESOURCES: usize = 4;

/// What a host has once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// Bandwidth of the host's memory.
    MemoryBandwidth,
    /// Last-level cache.
    Cache,
    /// PCIe links and switches.
    Pcie,
    /// Network interfaces.
    Nic,
}

impl Resource {
    /// All of them, in order.
    pub const ALL: [Self; RESOURCES] = [Self::MemoryBandwidth, Self::Cache, Self::Pcie, Self::Nic];

    /// The word of the catalogue.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::MemoryBandwidth => "memory-bandwidth",
            Self::Cache => "cache",
            Self::Pcie => "pcie",
            Self::Nic => "nic",
        }
    }
}

/// How much of its fair share a class uses, and how much it depends on it: 0 to 1 by resource.
pub type Uses = [f64; RESOURCES];

/// Loss by resource of a wholly dependent job beside a host full of such jobs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contention {
    /// By resource, from 0.
    pub loss: [f64; RESOURCES],
}

impl Contention {
    /// The losses at a level.
    #[must_use]
    pub fn at(ranges: &[Range; RESOURCES], level: super::Level) -> Self {
        Self { loss: ranges.map(|range| range.at(level)) }
    }

    /// How many times longer a job takes that uses `own` beside others whose uses, weighted by their parts of
    /// the host, sum to `others`.
    #[must_use]
    pub fn slowdown(&self, own: &Uses, others: &Uses) -> f64 {
        let mut excess = 0.0;
        for at in 0..RESOURCES {
            excess += self.loss[at] * own[at] * others[at].clamp(0.0, 1.0);
        }
        1.0 + excess
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_both_use_hurts() {
        let contention = Contention { loss: [0.1, 0.1, 0.2, 0.1] };
        let (copies, computes) = ([0.0, 0.0, 1.0, 0.0], [0.0; RESOURCES]);
        assert_eq!(contention.slowdown(&copies, &computes), 1.0);
        assert_eq!(contention.slowdown(&computes, &copies), 1.0);
        assert!((contention.slowdown(&copies, &[0.0, 0.0, 0.5, 0.0]) - 1.1).abs() < 1e-12);
        // More than a full host cannot be.
        assert!((contention.slowdown(&copies, &[0.0, 0.0, 7.0, 0.0]) - 1.2).abs() < 1e-12);
    }
}

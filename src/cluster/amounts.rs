//! Amounts of what a node has: CPUs, memory, whole GPUs.

use std::fmt;

/// CPUs, memory and whole GPUs; of a node, of a request's share on a node, or free.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Amounts {
    /// CPUs (processors, as Slurm counts them).
    pub cpus: u32,
    /// Whole GPUs.
    pub gpus: u32,
    /// Memory in MiB (the trace's `mem_mb`, Slurm's unit).
    pub mem_mb: u64,
}

impl Amounts {
    /// Nothing.
    pub const ZERO: Self = Self { cpus: 0, gpus: 0, mem_mb: 0 };

    /// Whether `ask` fits into `self` in every resource.
    #[inline]
    #[must_use]
    pub fn holds(&self, ask: &Self) -> bool {
        self.cpus >= ask.cpus && self.gpus >= ask.gpus && self.mem_mb >= ask.mem_mb
    }

    /// Component-wise sum.
    #[inline]
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            cpus: self.cpus + other.cpus,
            gpus: self.gpus + other.gpus,
            mem_mb: self.mem_mb + other.mem_mb,
        }
    }

    /// Component-wise difference.
    ///
    /// # Panics
    /// If `other` does not fit (an invariant of every caller).
    #[inline]
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        assert!(self.holds(other), "taking {other} from {self}");
        Self {
            cpus: self.cpus - other.cpus,
            gpus: self.gpus - other.gpus,
            mem_mb: self.mem_mb - other.mem_mb,
        }
    }

    /// Component-wise difference, at least zero.
    #[must_use]
    pub fn saturating_minus(&self, other: &Self) -> Self {
        Self {
            cpus: self.cpus.saturating_sub(other.cpus),
            gpus: self.gpus.saturating_sub(other.gpus),
            mem_mb: self.mem_mb.saturating_sub(other.mem_mb),
        }
    }

    /// Component-wise minimum.
    #[must_use]
    pub fn min(&self, other: &Self) -> Self {
        Self {
            cpus: self.cpus.min(other.cpus),
            gpus: self.gpus.min(other.gpus),
            mem_mb: self.mem_mb.min(other.mem_mb),
        }
    }

    /// `n` times as much.
    #[must_use]
    pub fn times(&self, n: u32) -> Self {
        Self { cpus: self.cpus * n, gpus: self.gpus * n, mem_mb: self.mem_mb * u64::from(n) }
    }
}

impl fmt::Display for Amounts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} CPUs", self.cpus)?;
        if self.gpus > 0 {
            write!(out, ", {} GPUs", self.gpus)?;
        }
        if self.mem_mb > 0 {
            write!(out, ", {} MiB", self.mem_mb)?;
        }
        Ok(())
    }
}

//! What an access method costs, by share of the run time.
//!
//! A job's time on bare metal is the sum of six shares. Under a VM each share takes its factor longer:
//! slowdown = sum of share x factor. A class has shares on one GPU; with more GPUs on a node a part of the
//! time becomes communication inside the node, with more nodes between them:
//!
//! ```text
//!   intra(g) = intra at 8 GPUs x (1 - 1/g) / (1 - 1/8)      ring: each GPU moves (g-1)/g of the data
//!   inter(n) = inter at 8 nodes x log2(n) / 3               tree: steps grow with the logarithm
//! ```
//!
//! and the other shares shrink in proportion; communication never takes more than 90 %. Both laws are
//! estimates of this project; the class catalogue has the numbers at 8.

use crate::ids::JobId;
use crate::random::Stream;

/// Number of shares.
pub const SHARES: usize = 6;

/// A share of a job's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Share {
    /// Arithmetic on the GPU.
    Compute,
    /// Memory of the GPU.
    GpuMemory,
    /// CPUs, host memory, copies to the GPU.
    Host,
    /// Communication between the GPUs of a node.
    IntraNode,
    /// Communication between nodes.
    InterNode,
    /// Input and output.
    Storage,
}

impl Share {
    /// All of them, in order.
    pub const ALL: [Self; SHARES] =
        [Self::Compute, Self::GpuMemory, Self::Host, Self::IntraNode, Self::InterNode, Self::Storage];

    /// The word of scenarios and of the catalogue.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::GpuMemory => "gpu-memory",
            Self::Host => "host",
            Self::IntraNode => "intra-node",
            Self::InterNode => "inter-node",
            Self::Storage => "storage",
        }
    }
}

/// Shares of a job's time; they sum to 1.
pub type Shares = [f64; SHARES];

/// Shares of a class of jobs at every size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassShares {
    /// Arithmetic, on one GPU.
    pub compute: f64,
    /// GPU memory, on one GPU.
    pub gpu_memory: f64,
    /// Host, on one GPU.
    pub host: f64,
    /// Storage, on one GPU; the four sum to 1.
    pub storage: f64,
    /// Communication inside a node with 8 GPUs.
    pub intra_at_8: f64,
    /// Communication between 8 nodes.
    pub inter_at_8: f64,
}

/// Most of the time that communication can take.
const MOST_COMMUNICATION: f64 = 0.9;

impl ClassShares {
    /// The shares of a job with `gpus` GPUs in all on `nodes` nodes. Without GPUs their part of the time is
    /// the host's.
    #[must_use]
    pub fn at(&self, gpus: u32, nodes: u32) -> Shares {
        self.with_inter(gpus, nodes, self.inter_at_8 * libm::log2(f64::from(nodes.max(1))) / 3.0)
    }

    /// The same for a job of which it is known what it sends to other nodes: `inter` is the share of that.
    #[must_use]
    pub fn with_inter(&self, gpus: u32, nodes: u32, inter: f64) -> Shares {
        let (gpus, nodes) = (f64::from(gpus), f64::from(nodes.max(1)));
        let on_node = gpus / nodes;
        let mut inter = inter;
        let mut intra = if on_node > 1.0 { self.intra_at_8 * (1.0 - 1.0 / on_node) / 0.875 } else { 0.0 };
        let sum = intra + inter;
        if sum > MOST_COMMUNICATION {
            (intra, inter) = (intra * MOST_COMMUNICATION / sum, inter * MOST_COMMUNICATION / sum);
        }
        let rest = 1.0 - intra - inter;
        let (compute, memory, host) = if gpus > 0.0 {
            (self.compute, self.gpu_memory, self.host)
        } else {
            (0.0, 0.0, self.compute + self.gpu_memory + self.host)
        };
        [compute * rest, memory * rest, host * rest, intra, inter, self.storage * rest]
    }
}

/// How pessimistic a factor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Lowest plausible.
    Low,
    /// Typical.
    Typical,
    /// Highest plausible.
    High,
}

/// A plausible range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// Lowest.
    pub low: f64,
    /// Most likely.
    pub typical: f64,
    /// Highest.
    pub high: f64,
}

impl Range {
    /// Only this.
    #[must_use]
    pub const fn exactly(value: f64) -> Self {
        Self { low: value, typical: value, high: value }
    }

    /// The value at a level.
    #[must_use]
    pub fn at(&self, level: Level) -> f64 {
        match level {
            Level::Low => self.low,
            Level::Typical => self.typical,
            Level::High => self.high,
        }
    }

    /// The quantile `u` of the triangular distribution over the range with its mode at the typical value.
    #[must_use]
    pub fn triangular(&self, u: f64) -> f64 {
        let width = self.high - self.low;
        if width <= 0.0 {
            return self.typical;
        }
        let (left, right) = (self.typical - self.low, self.high - self.typical);
        if u * width < left {
            self.low + libm::sqrt(u * width * left)
        } else {
            self.high - libm::sqrt((1.0 - u) * width * right)
        }
    }
}

/// Which value of each range a job meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The same for all jobs.
    Level(Level),
    /// Drawn for each job: one quantile of the triangular distributions of all shares.
    Drawn,
}

/// The factors of an access method.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overhead {
    /// By share, at least 1.
    pub factors: [Range; SHARES],
    /// Which value of the ranges.
    pub pick: Pick,
}

impl Overhead {
    /// Nothing is slower.
    pub const NONE: Self = Self { factors: [Range::exactly(1.0); SHARES], pick: Pick::Level(Level::Typical) };

    /// The lowest plausible value of [`Overhead::slowdown`]: where nothing is switched.
    #[must_use]
    pub fn least(&self, shares: &Shares) -> f64 {
        Self { pick: Pick::Level(Level::Low), ..*self }.slowdown(shares, 0, JobId(0))
    }

    /// How many times longer a job with these shares takes.
    #[must_use]
    pub fn slowdown(&self, shares: &Shares, seed: u64, job: JobId) -> f64 {
        let factor: &dyn Fn(&Range) -> f64 = match self.pick {
            Pick::Level(level) => &move |range: &Range| range.at(level),
            Pick::Drawn => {
                let u = Stream::new(seed, "virtualization", u64::from(job.0), 0).uniform();
                &move |range: &Range| range.triangular(u)
            }
        };
        // As 1 + the excess, so that factors of 1 give exactly 1 whatever the shares sum to in floats.
        let excess: f64 = shares.iter().zip(&self.factors).map(|(s, r)| s * (factor(r) - 1.0)).sum();
        1.0 + excess.max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRAINING: ClassShares = ClassShares {
        compute: 0.75,
        gpu_memory: 0.15,
        host: 0.05,
        storage: 0.05,
        intra_at_8: 0.1,
        inter_at_8: 0.2,
    };

    #[test]
    fn shares_sum_to_one_and_communication_grows_with_size() {
        let mut last = -1.0;
        for (gpus, nodes) in [(0, 1), (1, 1), (2, 1), (8, 1), (16, 2), (64, 8), (4096, 512)] {
            let shares = TRAINING.at(gpus, nodes);
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            let communication = shares[3] + shares[4];
            assert!(communication >= last && communication <= MOST_COMMUNICATION + 1e-12);
            last = communication;
        }
        assert_eq!(TRAINING.at(1, 1)[3..5], [0.0, 0.0]);
        assert!((TRAINING.at(64, 8)[4] - 0.2).abs() < 1e-12);
        assert_eq!(TRAINING.at(0, 1)[0], 0.0);
    }

    #[test]
    fn a_pure_class_has_the_factor_itself() {
        let mut overhead = Overhead::NONE;
        overhead.factors[0] = Range { low: 1.0, typical: 1.01, high: 1.02 };
        let pure = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert!((overhead.slowdown(&pure, 1, JobId(0)) - 1.01).abs() < 1e-15);
        overhead.pick = Pick::Level(Level::High);
        assert!((overhead.slowdown(&pure, 1, JobId(0)) - 1.02).abs() < 1e-15);
        assert_eq!(Overhead::NONE.slowdown(&TRAINING.at(64, 8), 1, JobId(3)), 1.0);
    }

    #[test]
    fn drawn_factors_have_the_mean_of_the_triangle() {
        let mut overhead = Overhead { pick: Pick::Drawn, ..Overhead::NONE };
        overhead.factors[4] = Range { low: 1.08, typical: 1.15, high: 1.3 };
        let pure = [0.0, 0.0, 0.0, 0.0, 1.0, 0.0];
        let n = 20_000;
        let drawn: Vec<f64> = (0..n).map(|job| overhead.slowdown(&pure, 7, JobId(job))).collect();
        let mean = drawn.iter().sum::<f64>() / f64::from(n);
        assert!((mean - (1.08 + 1.15 + 1.3) / 3.0).abs() < 0.001, "{mean}");
        assert!(drawn.iter().all(|f| (1.08..=1.3).contains(f)));
    }
}

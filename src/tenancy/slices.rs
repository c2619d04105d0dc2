//! Time slices: how long a burst of work waits for the slices of other vGPUs.
//!
//! The vGPUs of a GPU have it in turn, a slice of length `L` each, in a fixed order. A burst of `b` (its time alone)
//! comes at any instant and needs `c = ceil(b / L)` slices:
//!
//! ```text
//!   fixed share, equal share   the turns of all m vGPUs come round, at work or idle. With G = (m - 1) L the burst
//!                              waits (c - 1) G between its slices, and before the first one: nothing if it comes in
//!                              its own slice (1/m), else a uniform part of G. One that comes in its own slice too
//!                              late to use c of them wholly waits G once more (probability r / L of those, where
//!                              r = b - (c - 1) L).
//!   best effort                idle vGPUs are passed over; how many are at work follows from what each would do alone and
//!                              from how all slow each other (`ring`).
//! ```
//!
//! For fixed share `m` is what the GPU is cut into, for the others the vGPUs that are there. The mean of throughput
//! is not this room's: it follows from the shares.

mod ring;

use crate::time::SimDuration;

/// Who gets the GPU when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SliceOrder {
    /// Whoever has work.
    BestEffort,
    /// Equal turns of those that are there.
    EqualShare,
    /// Turns of all that could be there.
    FixedShare,
}

/// Time slices of a pool.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slices {
    /// Who gets the GPU when.
    pub order: SliceOrder,
    /// Length of a slice.
    pub slice: SimDuration,
    /// Length of a burst for which waits are reported, and mean length of those of the others.
    pub burst: SimDuration,
}

/// What a burst meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Company {
    /// vGPUs on the GPU, its own included.
    pub vgpus: u16,
    /// Thousandths of the time that each of the others would be at work if it had the GPU alone.
    pub busy_milli: u16,
}

/// A part of a distribution: with some probability uniform from `low` to `high`, in seconds.
#[derive(Clone, Copy, Debug)]
struct Piece {
    probability: f64,
    low: f64,
    high: f64,
}

impl Slices {
    /// The distribution of a burst's wait, as a mixture of uniform pieces.
    fn pieces(&self, burst_s: f64, company: Company) -> Vec<Piece> {
        let slice = self.slice.as_s();
        let others = f64::from(company.vgpus.max(1) - 1);
        let needs = libm::ceil(burst_s / slice).max(1.0);
        let late = (burst_s - (needs - 1.0) * slice) / slice;
        if self.order != SliceOrder::BestEffort {
            let gap = others * slice;
            let (low, high) = ((needs - 1.0) * gap, needs * gap);
            let own = 1.0 / (others + 1.0);
            return vec![
                Piece { probability: own * (1.0 - late), low, high: low },
                Piece { probability: own * late, low: high, high },
                Piece { probability: 1.0 - own, low, high },
            ];
        }
        // Beyond this no burst is: a day of slices of a millisecond.
        let needs = needs.min(1e8) as usize;
        let others = if self.burst > SimDuration::ZERO { self.burst.as_s() } else { burst_s };
        ring::pieces(needs, slice, company, others)
    }

    /// Mean wait of a burst of `burst_s` seconds, in seconds; for services that are made of bursts.
    #[must_use]
    pub fn mean_wait_s(&self, burst_s: f64, company: Company) -> f64 {
        self.pieces(burst_s, company)
            .iter()
            .map(|piece| piece.probability * (piece.low + piece.high) / 2.0)
            .sum()
    }

    /// The wait of a burst at the quantile `u` of its distribution, in seconds: a uniform `u` makes it a draw.
    #[must_use]
    pub fn wait_at_s(&self, burst_s: f64, company: Company, u: f64) -> f64 {
        quantile(&self.pieces(burst_s, company), u)
    }
}

/// Mean and quantile `q` of the wait of the pools' bursts in companies that were met for so long, in seconds;
/// `None` where nobody was.
#[must_use]
pub fn waits_s(met: &[(Slices, Company, i128)], q: f64) -> Option<(f64, f64)> {
    let total: i128 = met.iter().map(|(_, _, weight)| weight).sum();
    if total <= 0 {
        return None;
    }
    // Those that differ by less than a hundredth of the time at work are one: each costs a walk round the ring.
    let mut alike: Vec<(Slices, Company, i128)> = Vec::new();
    for (slices, company, weight) in met {
        let company = Company { busy_milli: (company.busy_milli + 5) / 10 * 10, ..*company };
        match alike.iter_mut().find(|(s, c, _)| s == slices && *c == company) {
            Some((_, _, sum)) => *sum += weight,
            None => alike.push((*slices, company, *weight)),
        }
    }
    let mut pieces = Vec::new();
    for (slices, company, weight) in &alike {
        let weight = *weight as f64 / total as f64;
        let of = slices.pieces(slices.burst.as_s(), *company).into_iter();
        pieces.extend(of.map(|piece| Piece { probability: piece.probability * weight, ..piece }));
    }
    let mean = pieces.iter().map(|piece| piece.probability * (piece.low + piece.high) / 2.0).sum();
    Some((mean, quantile(&pieces, q)))
}

/// The least value below which a part `u` of a mixture lies.
fn quantile(pieces: &[Piece], u: f64) -> f64 {
    let below = |value: f64| -> f64 {
        let part = |piece: &Piece| {
            if value >= piece.high {
                1.0
            } else if value <= piece.low {
                0.0
            } else {
                (value - piece.low) / (piece.high - piece.low)
            }
        };
        pieces.iter().map(|piece| piece.probability * part(piece)).sum()
    };
    let (mut low, mut high) = (0.0, pieces.iter().map(|piece| piece.high).fold(0.0, f64::max));
    if below(low) >= u {
        return 0.0;
    }
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if below(middle) >= u {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests;

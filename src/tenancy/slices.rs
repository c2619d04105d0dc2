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
//!   best effort                idle vGPUs are passed over. With k of the m - 1 others at work (each with
//!                              probability u, for the whole burst) it waits a uniform part of k L, then (c - 1) k L.
//! ```
//!
//! For fixed share `m` is what the GPU is cut into, for the others the vGPUs that are there. The mean of throughput
//! is not this room's: it follows from the shares.

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
    /// Length of a burst for which waits are reported.
    pub burst: SimDuration,
}

/// What a burst meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Company {
    /// vGPUs on the GPU, its own included.
    pub vgpus: u16,
    /// Thousandths of the time that each of the others is at work.
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
        let busy = f64::from(company.busy_milli.min(1000)) / 1000.0;
        let count = u32::from(company.vgpus.max(1) - 1);
        // Binomial, from none at work upwards; written as products so that 0 and 1 need no case of their own.
        (0..=count)
            .map(|at_work| {
                let ways =
                    (0..at_work).fold(1.0, |ways, at| ways * f64::from(count - at) / f64::from(at + 1));
                let probability = ways * power(busy, at_work) * power(1.0 - busy, count - at_work);
                let gap = f64::from(at_work) * slice;
                Piece { probability, low: (needs - 1.0) * gap, high: needs * gap }
            })
            .collect()
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
    let mut pieces = Vec::new();
    for (slices, company, weight) in met {
        let weight = *weight as f64 / total as f64;
        let of = slices.pieces(slices.burst.as_s(), *company).into_iter();
        pieces.extend(of.map(|piece| Piece { probability: piece.probability * weight, ..piece }));
    }
    let mean = pieces.iter().map(|piece| piece.probability * (piece.low + piece.high) / 2.0).sum();
    Some((mean, quantile(&pieces, q)))
}

fn power(base: f64, times: u32) -> f64 {
    (0..times).fold(1.0, |product, _| product * base)
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
mod tests {
    use super::*;
    use crate::random::Stream;

    /// A burst on a ring of turns, slice by slice.
    fn played(order: SliceOrder, burst: f64, company: Company, stream: &mut Stream) -> f64 {
        let slice = 0.002;
        let vgpus = usize::from(company.vgpus);
        // Number 0 is ours; under best effort the idle ones have no turn.
        let has_turn: Vec<bool> = (0..vgpus)
            .map(|at| {
                let at_work = stream.uniform() < f64::from(company.busy_milli) / 1000.0;
                at == 0 || order != SliceOrder::BestEffort || at_work
            })
            .collect();
        let others: Vec<usize> = (1..vgpus).filter(|at| has_turn[*at]).collect();
        if others.is_empty() {
            return 0.0;
        }
        // Under best effort it is somebody else's turn when the burst comes, because it had no work before.
        let turns: Vec<usize> = if order == SliceOrder::BestEffort { others } else { (0..vgpus).collect() };
        let mut turn = turns[stream.below(turns.len() as u64) as usize];
        let mut left_of_turn = slice * (1.0 - stream.uniform());
        let (mut now, mut left) = (0.0, burst);
        loop {
            if turn == 0 {
                if left <= left_of_turn {
                    return now + left - burst;
                }
                left -= left_of_turn;
            }
            now += left_of_turn;
            left_of_turn = slice;
            loop {
                turn = (turn + 1) % vgpus;
                if has_turn[turn] {
                    break;
                }
            }
        }
    }

    #[test]
    fn waits_are_those_of_a_ring_of_turns_played_slice_by_slice() {
        let mut stream = Stream::new(1, "slices", 0, 0);
        for order in [SliceOrder::BestEffort, SliceOrder::EqualShare, SliceOrder::FixedShare] {
            for (vgpus, busy_milli) in [(1, 500), (2, 300), (4, 800), (8, 1000), (16, 250)] {
                for burst in [0.0005, 0.002, 0.0071, 0.05] {
                    let company = Company { vgpus, busy_milli };
                    let slices =
                        Slices { order, slice: SimDuration::from_micros(2_000), burst: SimDuration::ZERO };
                    let n = 20_000;
                    let mut waits: Vec<f64> =
                        (0..n).map(|_| played(order, burst, company, &mut stream)).collect();
                    waits.sort_by(f64::total_cmp);
                    let mean = waits.iter().sum::<f64>() / f64::from(n);
                    let expected = slices.mean_wait_s(burst, company);
                    let what = format!("{order:?} {company:?} {burst}: mean {mean}, formula {expected}");
                    assert!((mean - expected).abs() <= 0.03 * expected + 1e-9, "{what}");
                    let (p99, expected) = (waits[19_800], slices.wait_at_s(burst, company, 0.99));
                    assert!(
                        (p99 - expected).abs() <= 0.03 * expected + 1e-9,
                        "{what}; p99 {p99}, {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn who_is_alone_waits_for_nobody_and_fixed_share_waits_most() {
        let of = |order| Slices {
            order,
            slice: SimDuration::from_micros(2_000),
            burst: SimDuration::from_micros(10_000),
        };
        let alone = Company { vgpus: 1, busy_milli: 1000 };
        let four = Company { vgpus: 4, busy_milli: 500 };
        for order in [SliceOrder::BestEffort, SliceOrder::EqualShare, SliceOrder::FixedShare] {
            assert_eq!(of(order).mean_wait_s(0.01, alone), 0.0);
        }
        let lends = of(SliceOrder::BestEffort);
        let (mean, p99) = waits_s(&[(lends, alone, 1), (lends, four, 1)], 0.99).unwrap();
        let (fixed, fixed_p99) = waits_s(&[(of(SliceOrder::FixedShare), four, 2)], 0.99).unwrap();
        assert!(0.0 < mean && mean < fixed && p99 < fixed_p99);
        // Five slices, four gaps of three slices, and before the first one about half a gap.
        assert!((fixed - (0.024 + 0.006 * (0.25 + 0.375))).abs() < 1e-12, "{fixed}");
        assert_eq!(waits_s(&[], 0.99), None);
    }
}

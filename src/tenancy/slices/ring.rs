//! Best effort: turns on a ring where only those with work have one.
//!
//! Each other vGPU has bursts (exponential, mean `B`) and pauses (exponential) such that alone it were at work for a part
//! `u` of the time. Beside others its bursts last longer and its pauses do not, so more are at work than `u` says:
//! with `n` others a burst that comes at any instant finds `k` of them at work with a probability in proportion to
//!
//! ```text
//!   n! / (n - k)! x (u / (1 - u))^k          the machine repair model; exact, whatever the length of a slice
//! ```
//!
//! What follows is walked round by round over (others at work, time that they had): the rest of a turn and a uniform number of
//! turns before the first slice, then all who are at work between two slices. A turn ends a burst with probability
//! `1 - exp(-L / B)`; who pauses comes back, in the same round if the ring has not passed him. Times are on a lattice of half
//! turns, each rounded up or down by chance so that means are kept. A burst of very many slices is walked in fewer, longer
//! rounds. A simulation of the ring, event by event, is the test.

use super::{Company, Piece};

/// Most rounds that are walked, among few and among many others.
const MOST_ROUNDS: [usize; 2] = [16, 8];
/// Up to so many others are few.
const FEW: usize = 8;

/// The others on a ring.
struct Ring {
    /// How many.
    others: usize,
    /// Mean length of a burst of theirs, in seconds; infinite where they never pause.
    burst: f64,
    /// Mean pause, in seconds.
    pause: f64,
    /// How many are at work when ours comes, by number.
    found: Vec<f64>,
}

/// A turn of one that is at work.
#[derive(Clone, Copy)]
struct Turn {
    /// Probability that the burst ends in it.
    ends: f64,
    /// Mean length of a turn, in seconds.
    mean: f64,
    /// Length of a whole one, in units of the lattice.
    whole: f64,
    /// Mean length of one that ends a burst, in units of the lattice.
    last: f64,
}

/// Probabilities by (time on the lattice, vGPUs at work).
type Table = Vec<Vec<f64>>;

/// Probabilities of 0 to `n` hits.
fn binomial(n: usize, hit: f64) -> Vec<f64> {
    let power = |base: f64, times: usize| (0..times).fold(1.0, |product, _| product * base);
    let ways = |k: usize| (0..k).fold(1.0, |ways, at| ways * (n - at) as f64 / (at + 1) as f64);
    (0..=n).map(|k| ways(k) * power(hit, k) * power(1.0 - hit, n - k)).collect()
}

/// The two points of the lattice around a length, with their probabilities.
fn around(units: f64) -> [(usize, f64); 2] {
    let low = units.floor();
    [(low as usize, 1.0 - (units - low)), (low as usize + 1, units - low)]
}

impl Ring {
    fn new(company: Company, burst: f64) -> Self {
        let others = usize::from(company.vgpus.max(1) - 1);
        let busy = f64::from(company.busy_milli.min(1000)) / 1000.0;
        let mut found = vec![0.0; others + 1];
        if company.busy_milli >= 1000 {
            found[others] = 1.0;
            return Self { others, burst: f64::INFINITY, pause: 0.0, found };
        }
        let load = busy / (1.0 - busy);
        found[0] = 1.0;
        for k in 1..=others {
            found[k] = found[k - 1] * (others + 1 - k) as f64 * load;
        }
        let sum: f64 = found.iter().sum();
        found.iter_mut().for_each(|p| *p /= sum);
        // Who never works pauses for ever: the quotient is infinite, and nobody comes.
        Self { others, burst, pause: burst / load, found }
    }

    /// Probability that one that pauses comes back within a span.
    fn comes(&self, span: f64) -> f64 {
        if span <= 0.0 || self.pause <= 0.0 { 0.0 } else { 1.0 - libm::exp(-span / self.pause) }
    }

    /// A turn of at most `slice` seconds on a lattice of `unit` seconds.
    fn turn(&self, slice: f64, unit: f64) -> Turn {
        if self.burst.is_infinite() {
            return Turn { ends: 0.0, mean: slice, whole: slice / unit, last: 0.0 };
        }
        let ends = 1.0 - libm::exp(-slice / self.burst);
        let mean = self.burst * ends;
        let last = (mean - (1.0 - ends) * slice) / ends;
        Turn { ends, mean, whole: slice / unit, last: last.max(0.0) / unit }
    }

    /// Mean rest of a turn that goes on, in seconds, and the probability that it ends a burst: turns are met by their
    /// length.
    fn rest(&self, turn: Turn, slice: f64) -> (f64, f64) {
        if turn.ends == 0.0 {
            return (slice / 2.0, 0.0);
        }
        let square = 2.0 * self.burst * self.burst * (turn.ends - (1.0 - turn.ends) * slice / self.burst);
        (square / (2.0 * turn.mean), (1.0 - (1.0 - turn.ends) * slice / turn.mean).max(0.0))
    }

    /// `count` turns one after the other: their time, and how many of those who had one are at work afterwards. Who
    /// ended a burst is back with probability `back`.
    fn turns(count: usize, turn: Turn, back: f64) -> Table {
        let mut table = vec![vec![1.0]];
        let longest = (turn.whole.max(turn.last).floor() as usize) + 1;
        for done in 0..count {
            let mut next = vec![vec![0.0; done + 2]; table.len() + longest];
            for (time, row) in table.iter().enumerate() {
                for (alive, p) in row.iter().enumerate().filter(|(_, p)| **p > 0.0) {
                    for (more, part) in around(turn.whole) {
                        next[time + more][alive + 1] += p * (1.0 - turn.ends) * part;
                    }
                    for (more, part) in around(turn.last) {
                        next[time + more][alive + 1] += p * turn.ends * part * back;
                        next[time + more][alive] += p * turn.ends * part * (1.0 - back);
                    }
                }
            }
            table = next;
        }
        table
    }

    /// Until the first slice of a burst that found `k` at work: time beside the rest of the turn that goes on, and who is
    /// at work then.
    fn first(&self, k: usize, slice: f64, unit: f64) -> Table {
        let turn = self.turn(slice, unit);
        let (rest, ends) = self.rest(turn, slice);
        let mut table = Table::new();
        for before in 0..k {
            let span = rest + before as f64 * turn.mean;
            // Who comes between the turn that goes on and ours has one before ours.
            let between = (before as f64 + 0.5) / k as f64 * self.comes(span / 2.0);
            let later = ((self.comes(span) - between) / (1.0 - between)).max(0.0);
            let back = self.comes(span / 2.0);
            let stays = 1.0 - ends * (1.0 - back);
            for (extra, p) in binomial(self.others - k, between).into_iter().enumerate() {
                let late = binomial(self.others - k - extra, later);
                for (time, row) in Self::turns(before + extra, turn, back).iter().enumerate() {
                    for (alive, q) in row.iter().enumerate().filter(|(_, q)| **q > 0.0) {
                        for (new, r) in late.iter().enumerate() {
                            let weight = p * q * r / k as f64;
                            let there = alive + new + (k - 1 - before);
                            self.add(&mut table, time, there + 1, weight * stays);
                            self.add(&mut table, time, there, weight * (1.0 - stays));
                        }
                    }
                }
            }
        }
        table
    }

    /// Between two slices of ours with `k` at work: time, and who is at work then.
    fn round(&self, k: usize, slice: f64, unit: f64) -> Table {
        let turn = self.turn(slice, unit);
        let half = k as f64 * turn.mean / 2.0;
        let (soon, later) = (self.comes(slice + half), self.comes(half));
        let mut table = Table::new();
        for (extra, p) in binomial(self.others - k, soon).into_iter().enumerate() {
            let late = binomial(self.others - k - extra, later);
            for (time, row) in Self::turns(k + extra, turn, later).iter().enumerate() {
                for (alive, q) in row.iter().enumerate().filter(|(_, q)| **q > 0.0) {
                    for (new, r) in late.iter().enumerate() {
                        self.add(&mut table, time, alive + new, p * q * r);
                    }
                }
            }
        }
        table
    }

    fn add(&self, table: &mut Table, time: usize, there: usize, weight: f64) {
        if weight > 0.0 {
            while table.len() <= time {
                table.push(vec![0.0; self.others + 1]);
            }
            table[time][there] += weight;
        }
    }
}

/// What may be left out of a probability.
const TINY: f64 = 1e-13;

/// The wait of a burst of `needs` slices of `slice` seconds among others whose bursts last `burst` seconds.
pub(super) fn pieces(needs: usize, slice: f64, company: Company, burst: f64) -> Vec<Piece> {
    let ring = Ring::new(company, burst);
    let most = MOST_ROUNDS[usize::from(ring.others > FEW)];
    let rounds = (needs - 1).min(most);
    // The slices between the first and the last round are spread over the rounds that are walked.
    let long = if rounds == 0 { slice } else { slice * (needs - 1) as f64 / rounds as f64 };
    let unit = long / 2.0;
    let (rest, _) = ring.rest(ring.turn(slice, unit), slice);
    let walked: Vec<Table> =
        if rounds == 0 { Vec::new() } else { (0..=ring.others).map(|k| ring.round(k, long, unit)).collect() };
    let mut free = Table::new();
    ring.add(&mut free, 0, 0, ring.found[0]);
    let mut behind = Table::new();
    for k in 1..=ring.others {
        for (time, row) in ring.first(k, slice, unit).iter().enumerate() {
            for (there, p) in row.iter().enumerate() {
                ring.add(&mut behind, time, there, p * ring.found[k]);
            }
        }
    }
    let mut pieces = Vec::new();
    for (mut table, width) in [(free, 0.0), (behind, 2.0 * rest)] {
        for _ in 0..rounds {
            table = walk(&ring, &table, &walked);
        }
        for (time, row) in table.iter().enumerate() {
            let (low, probability) = (time as f64 * unit, row.iter().sum::<f64>());
            if probability > 0.0 {
                pieces.push(Piece { probability, low, high: low + width });
            }
        }
    }
    pieces
}

/// One round more.
fn walk(ring: &Ring, table: &Table, walked: &[Table]) -> Table {
    let mut next = Table::new();
    for (time, row) in table.iter().enumerate() {
        for (k, p) in row.iter().enumerate().filter(|(_, p)| **p > TINY) {
            for (more, to) in walked[k].iter().enumerate() {
                for (there, q) in to.iter().enumerate() {
                    ring.add(&mut next, time + more, there, p * q);
                }
            }
        }
    }
    next
}

//! The timer lane: one live timer per key, moved in place.

use std::cmp::Reverse;
use std::hash::Hash;

use priority_queue::PriorityQueue;
use rustc_hash::FxBuildHasher;

use crate::time::SimTime;

/// The documented order at one instant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Phase {
    /// Noise epochs, failures: what changes speeds, settled first.
    Epoch,
    /// Ends, cancellations, nodes going down: capacity comes back.
    Release,
    /// Nodes coming up.
    NodeUp,
    /// Jobs becoming eligible (arrivals of the sorted lane come here).
    Arrival,
    /// Scheduling passes.
    Pass,
}

/// Ordered by instant, then phase, then the order of setting (the queue itself is not first-in-first-out).
/// One number - instant, phase (8 bits), order (56 bits) - so that a comparison is one step.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Due(i128);

impl Due {
    fn new(at: SimTime, phase: Phase, sequence: u64) -> Self {
        assert!(sequence < 1 << 56, "fewer than 2^56 timers are set in a run");
        Self(i128::from(at.micros()) << 64 | i128::from((phase as u64) << 56 | sequence))
    }

    #[inline]
    fn at(self) -> SimTime {
        SimTime::from_micros((self.0 >> 64) as i64)
    }

    #[inline]
    fn is_due(self, now: SimTime, last: Phase) -> bool {
        self.at() <= now && (self.0 as u64) >> 56 <= last as u64
    }
}

/// Keyed timers. `set` and `cancel` cost O(log n), `next_at` is free.
#[derive(Clone)]
pub struct Calendar<K: Hash + Eq> {
    timers: PriorityQueue<K, Reverse<Due>, FxBuildHasher>,
    sequence: u64,
}

impl<K: Hash + Eq> std::fmt::Debug for Calendar<K> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Calendar({} timers)", self.timers.len())
    }
}

impl<K: Copy + Hash + Eq> Default for Calendar<K> {
    fn default() -> Self {
        Self { timers: PriorityQueue::with_default_hasher(), sequence: 0 }
    }
}

impl<K: Copy + Hash + Eq> Calendar<K> {
    /// An empty calendar.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the timer `key` to `at`; a live timer of that key is moved.
    pub fn set(&mut self, key: K, at: SimTime, phase: Phase) {
        self.sequence += 1;
        self.timers.push(key, Reverse(Due::new(at, phase, self.sequence)));
    }

    /// Takes the timer `key` out; tells whether it was live.
    pub fn cancel(&mut self, key: K) -> bool {
        self.timers.remove(&key).is_some()
    }

    /// When the timer `key` is due, if it is live.
    #[must_use]
    pub fn due(&self, key: &K) -> Option<SimTime> {
        self.timers.get_priority(key).map(|Reverse(due)| due.at())
    }

    /// The earliest instant at which a timer is due.
    #[must_use]
    pub fn next_at(&self) -> Option<SimTime> {
        self.timers.peek().map(|(_, Reverse(due))| due.at())
    }

    /// Takes out the first timer that is due at `now` in a phase up to `last`.
    pub fn pop_due(&mut self, now: SimTime, last: Phase) -> Option<K> {
        let (_, Reverse(due)) = self.timers.peek()?;
        if !due.is_due(now, last) {
            return None;
        }
        self.timers.pop().map(|(key, _)| key)
    }

    /// Number of live timers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.timers.len()
    }

    /// Whether no timer is live.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.timers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_live_timer() {
        let mut calendar = Calendar::new();
        calendar.set(7, SimTime::from_s(10), Phase::Release);
        calendar.set(7, SimTime::from_s(5), Phase::Release);
        assert_eq!(calendar.len(), 1);
        assert_eq!(calendar.next_at(), Some(SimTime::from_s(5)));
        assert!(calendar.cancel(7));
        assert!(!calendar.cancel(7));
        assert!(calendar.is_empty());
    }

    #[test]
    fn one_instant_goes_by_phase_then_by_order_of_setting() {
        let mut calendar = Calendar::new();
        let at = SimTime::from_s(1);
        for (key, phase) in [
            (1, Phase::Pass),
            (2, Phase::Release),
            (3, Phase::Epoch),
            (4, Phase::Release),
            (5, Phase::NodeUp),
        ] {
            calendar.set(key, at, phase);
        }
        let order: Vec<i32> = std::iter::from_fn(|| calendar.pop_due(at, Phase::Pass)).collect();
        assert_eq!(order, [3, 2, 4, 5, 1]);
    }
}

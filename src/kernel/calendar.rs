//! The timers: one live timer per key, moved in place.
//!
//! A few purposes that are set again and again (the threads of a controller) have a *lane* each beside the heap: setting one
//! is a store, and the order at one instant is the same as if it were in the heap.

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

/// After everything that is due.
const NEVER: Due = Due(i128::MAX);

/// Keyed timers. `set` and `cancel` cost O(log n), `next_at` is free.
#[derive(Clone)]
pub struct Calendar<K: Hash + Eq> {
    timers: PriorityQueue<K, Reverse<Due>, FxBuildHasher>,
    sequence: u64,
    /// Keys that are not in the heap, and when they are due.
    lanes: Vec<(K, Due)>,
    /// The earliest of the lanes.
    first_lane: Due,
    /// Most calendars have none, and then they cost one test.
    has_lanes: bool,
}

impl<K: Hash + Eq> std::fmt::Debug for Calendar<K> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Calendar({} timers)", self.timers.len())
    }
}

impl<K: Copy + Hash + Eq> Default for Calendar<K> {
    fn default() -> Self {
        Self::with_lanes(&[])
    }
}

impl<K: Copy + Hash + Eq> Calendar<K> {
    /// An empty calendar.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty calendar in which each of these few keys has a lane: they are set by [`Calendar::set_lane`] only.
    #[must_use]
    pub fn with_lanes(keys: &[K]) -> Self {
        Self {
            timers: PriorityQueue::with_default_hasher(),
            sequence: 0,
            lanes: keys.iter().map(|key| (*key, NEVER)).collect(),
            first_lane: NEVER,
            has_lanes: !keys.is_empty(),
        }
    }

    /// Sets the timer of a lane, by its position, to `at`; if it is live it is moved.
    pub fn set_lane(&mut self, lane: usize, at: SimTime, phase: Phase) {
        self.sequence += 1;
        self.lanes[lane].1 = Due::new(at, phase, self.sequence);
        self.find_first_lane();
    }

    /// When the timer of a lane is due, if it is live.
    #[must_use]
    pub fn lane_due(&self, lane: usize) -> Option<SimTime> {
        let due = self.lanes[lane].1;
        (due != NEVER).then(|| due.at())
    }

    fn find_first_lane(&mut self) {
        self.first_lane = self.lanes.iter().map(|(_, due)| *due).min().unwrap_or(NEVER);
    }

    fn pop_lane(&mut self) -> Option<K> {
        let (key, due) = self.lanes.iter_mut().find(|(_, due)| *due == self.first_lane)?;
        let key = *key;
        *due = NEVER;
        self.find_first_lane();
        Some(key)
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
        if self.has_lanes {
            return self.next_with_lanes();
        }
        self.timers.peek().map(|(_, Reverse(due))| due.at())
    }

    #[inline(never)]
    fn next_with_lanes(&self) -> Option<SimTime> {
        let first = self.first_due();
        (first != NEVER).then(|| first.at())
    }

    fn first_due(&self) -> Due {
        let timer = self.timers.peek().map_or(NEVER, |(_, Reverse(due))| *due);
        timer.min(self.first_lane)
    }

    /// Takes out the first timer that is due at `now` in a phase up to `last`.
    pub fn pop_due(&mut self, now: SimTime, last: Phase) -> Option<K> {
        if self.has_lanes {
            return self.pop_with_lanes(now, last);
        }
        let (_, Reverse(due)) = self.timers.peek()?;
        if !due.is_due(now, last) {
            return None;
        }
        self.timers.pop().map(|(key, _)| key)
    }

    #[inline(never)]
    fn pop_with_lanes(&mut self, now: SimTime, last: Phase) -> Option<K> {
        let due = self.first_due();
        if !due.is_due(now, last) {
            return None;
        }
        if due == self.first_lane {
            return self.pop_lane();
        }
        self.timers.pop().map(|(key, _)| key)
    }

    /// Number of live timers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.timers.len() + self.lanes.iter().filter(|(_, due)| *due != NEVER).count()
    }

    /// Whether no timer is live.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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

    /// The same calls on two calendars, with and without lanes, lead to the same order.
    #[test]
    fn a_lane_changes_no_order() {
        const PHASES: [Phase; 3] = [Phase::Release, Phase::Arrival, Phase::Pass];
        let mut draw = crate::random::Stream::new(1, "lanes", 0, 0);
        let (mut heap, mut lanes) = (Calendar::new(), Calendar::with_lanes(&[0, 1]));
        let mut now = SimTime::ZERO;
        for _ in 0..20_000 {
            let (key, phase) = (draw.below(6) as usize, PHASES[draw.below(3) as usize]);
            let at = now + crate::time::SimDuration::from_s(draw.below(4) as i64);
            heap.set(key, at, phase);
            match key {
                0 | 1 => lanes.set_lane(key, at, phase),
                _ => lanes.set(key, at, phase),
            }
            if draw.below(2) == 0 {
                now = heap.next_at().expect("one was set just now");
                let last = PHASES[draw.below(3) as usize];
                assert_eq!(lanes.next_at(), Some(now));
                assert_eq!(lanes.pop_due(now, last), heap.pop_due(now, last));
            }
            assert_eq!(lanes.len(), heap.len());
        }
    }
}

//! The waiting jobs: in order, and in lanes by shape.
//!
//! A backfill pass must not look at every waiting job. Jobs of one shape fit or do not fit together,
//! so the queue keeps a lane per shape, each searchable for "first job after here whose limit is at
//! most ...". The price of a pass is then the number of distinct shapes waiting, not of jobs.

use super::blocks::{Blocks, SortKey, Summary};
use super::ordering::OrderKey;
use crate::cluster::Amounts;
use crate::ids::{IdVec, JobId, ShapeId};
use crate::time::SimDuration;

/// Where a job stands: its key, then submit order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(SortKey);

impl Position {
    /// The place of `job` under an order that gives it `key`.
    #[must_use]
    pub fn new(key: OrderKey, job: JobId) -> Self {
        Self(SortKey::new(key.0, job.0))
    }

    /// The job.
    #[inline]
    #[must_use]
    pub fn job(self) -> JobId {
        JobId(self.0.second())
    }

    /// The first place that can follow this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(SortKey::new(self.0.first(), self.0.second() + 1))
    }
}

/// Smallest limit in a block.
#[derive(Clone, Copy, Debug)]
pub struct LeastLimit(SimDuration);

impl Summary<SimDuration> for LeastLimit {
    const EMPTY: Self = Self(SimDuration::MAX);
    fn add(&mut self, value: &SimDuration) {
        self.0 = self.0.min(*value);
    }
    fn subtract(&mut self, value: &SimDuration) -> bool {
        *value > self.0
    }
}

#[derive(Debug)]
struct Lane<T> {
    jobs: Blocks<Position, SimDuration, LeastLimit>,
    /// Place in the list of occupied lanes.
    at: usize,
    /// Least that a job of the lane takes in all.
    least: T,
}

/// A lane with jobs in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupied<T = Amounts> {
    /// Its shape.
    pub shape: ShapeId,
    /// Least that a job of it takes in all: where that is not free, nothing else need be looked at.
    pub least: T,
}

/// All waiting jobs.
#[derive(Debug)]
pub struct Queue<T = Amounts> {
    order: Blocks<Position, ShapeId, ()>,
    lanes: IdVec<ShapeId, Lane<T>>,
    occupied: Vec<Occupied<T>>,
}

impl<T: Copy> Queue<T> {
    /// An empty queue for jobs of shapes that take at least so much in all.
    #[must_use]
    pub fn new(least: impl Iterator<Item = T>) -> Self {
        Self {
            order: Blocks::default(),
            lanes: least.map(|least| Lane { jobs: Blocks::default(), at: 0, least }).collect(),
            occupied: Vec::new(),
        }
    }

    /// Adds a job.
    pub fn push(&mut self, position: Position, shape: ShapeId, limit: SimDuration) {
        self.order.insert(position, shape);
        let lane = &mut self.lanes[shape];
        if lane.jobs.is_empty() {
            lane.at = self.occupied.len();
            self.occupied.push(Occupied { shape, least: lane.least });
        }
        lane.jobs.insert(position, limit);
    }

    /// Takes a job out; tells whether it was there.
    pub fn remove(&mut self, position: &Position) -> bool {
        let Some(shape) = self.order.remove(position) else { return false };
        let lane = &mut self.lanes[shape];
        lane.jobs.remove(position);
        if lane.jobs.is_empty() {
            let at = lane.at;
            self.occupied.swap_remove(at);
            if let Some(moved) = self.occupied.get(at) {
                self.lanes[moved.shape].at = at;
            }
        }
        true
    }

    /// Takes all jobs out, in order.
    pub fn drain(&mut self) -> Vec<JobId> {
        let jobs = self.order.iter().map(|(position, _)| position.job()).collect();
        self.order.clear();
        for lane in self.occupied.drain(..) {
            self.lanes[lane.shape].jobs.clear();
        }
        jobs
    }

    /// The first job.
    #[must_use]
    pub fn head(&self) -> Option<(Position, ShapeId)> {
        self.order.first()
    }

    /// Jobs in order.
    pub fn iter(&self) -> impl Iterator<Item = (Position, ShapeId)> + '_ {
        self.order.iter()
    }

    /// Number of jobs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Lanes that somebody waits in, in no particular order.
    #[must_use]
    pub fn occupied(&self) -> &[Occupied<T>] {
        &self.occupied
    }

    /// The first job of `shape` at or behind `from` whose limit is at most `window`.
    #[must_use]
    pub fn first_from(&self, shape: ShapeId, from: &Position, window: SimDuration) -> Option<Position> {
        let found =
            self.lanes[shape].jobs.find_from(from, |least| least.0 <= window, |limit| *limit <= window);
        found.map(|(position, _)| position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_searched_by_limit() {
        let mut queue = Queue::new([Amounts::ZERO; 2].into_iter());
        let at = |n| Position::new(OrderKey(0), JobId(n));
        let s = SimDuration::from_s;
        queue.push(at(0), ShapeId(0), s(100));
        queue.push(at(1), ShapeId(1), s(5));
        queue.push(at(2), ShapeId(0), s(10));
        assert_eq!(queue.first_from(ShapeId(0), &at(1), s(10)), Some(at(2)));
        assert_eq!(queue.first_from(ShapeId(0), &at(1), s(9)), None);
        assert!(queue.remove(&at(1)));
        assert!(!queue.remove(&at(1)));
        assert_eq!(queue.occupied(), [Occupied { shape: ShapeId(0), least: Amounts::ZERO }]);
        assert_eq!(queue.drain(), [JobId(0), JobId(2)]);
        assert!(queue.is_empty() && queue.occupied().is_empty());
    }
}

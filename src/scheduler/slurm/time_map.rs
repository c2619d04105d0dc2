//! The backfill thread's map: whole nodes that lower-priority jobs may use, by time.
//!
//! Slots follow each other without gaps. A reservation takes its nodes out of every slot that it
//! touches; neighbours with the same nodes are joined.

use super::NodeSet;

/// One interval `[begin, end)` and the nodes free in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub begin_s: i64,
    pub end_s: i64,
    pub free: NodeSet,
}

/// The slots in order of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TimeMap {
    pub slots: Vec<Slot>,
    resolution_s: i64,
}

/// What a job sees of the map at one tried start.
pub(super) struct Window {
    /// Nodes free all along.
    pub free: NodeSet,
    /// When the next set of nodes that is no subset of these begins.
    pub later_s: Option<i64>,
}

impl TimeMap {
    /// One slot from now to the end of the window, both rounded down already.
    pub(super) fn new(begin_s: i64, end_s: i64, resolution_s: i64, free: NodeSet) -> Self {
        let slot = Slot { begin_s, end_s, free };
        Self { slots: vec![slot], resolution_s }
    }

    /// Nodes of `usable` that no reservation takes during `[start, end]`, and the next edge worth a try.
    pub(super) fn window(&self, usable: &NodeSet, start_s: i64, end_s: i64) -> Window {
        let mut free = usable.clone();
        let mut later_s = None;
        for (at, slot) in self.slots.iter().enumerate() {
            if slot.end_s <= start_s {
                continue;
            }
            if later_s.is_none()
                && let Some(next) = self.slots.get(at + 1)
            {
                let mut then = usable.clone();
                then.intersect_with(&next.free);
                let mut now = free.clone();
                now.intersect_with(&slot.free);
                if !then.is_subset(&now) {
                    later_s = Some(slot.end_s);
                }
            }
            if slot.begin_s > end_s {
                break;
            }
            free.intersect_with(&slot.free);
        }
        Window { free, later_s }
    }

    /// Whether any of `nodes` is taken during `[start, end)`.
    pub(super) fn taken(&self, nodes: &NodeSet, start_s: i64, end_s: i64) -> bool {
        self.slots
            .iter()
            .skip_while(|slot| slot.end_s <= start_s)
            .take_while(|slot| slot.begin_s < end_s)
            .any(|slot| !nodes.is_subset(&slot.free))
    }

    /// Takes `nodes` out during `[start, end)`, at least one step of the resolution long.
    pub(super) fn reserve(&mut self, nodes: &NodeSet, start_s: i64, end_s: i64) {
        let start_s = start_s.max(self.slots[0].begin_s);
        let end_s = end_s.max(start_s + self.resolution_s);
        if !self.slots.iter().any(|slot| slot.end_s >= start_s) {
            return; // beyond the window
        }
        self.cut(start_s);
        self.cut(end_s);
        for slot in &mut self.slots {
            if slot.begin_s >= start_s && slot.begin_s < end_s {
                slot.free.difference_with(nodes);
            }
        }
        self.slots.dedup_by(|later, earlier| {
            let same = later.free == earlier.free;
            if same {
                earlier.end_s = later.end_s;
            }
            same
        });
    }

    /// Makes sure that a slot begins at `at_s`, if that lies inside the map.
    fn cut(&mut self, at_s: i64) {
        let Some(at) = self.slots.iter().position(|s| s.begin_s < at_s && at_s < s.end_s) else { return };
        let mut later = self.slots[at].clone();
        later.begin_s = at_s;
        self.slots[at].end_s = at_s;
        self.slots.insert(at + 1, later);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(nodes: &[usize]) -> NodeSet {
        let mut set = NodeSet::with_capacity(4);
        nodes.iter().for_each(|n| set.insert(*n));
        set
    }

    #[test]
    fn a_reservation_hides_whole_nodes_from_whoever_touches_it() {
        let mut map = TimeMap::new(100, 1_100, 10, set(&[0, 1, 2, 3]));
        assert_eq!((map.slots[0].begin_s, map.slots[0].end_s), (100, 1_100));
        map.reserve(&set(&[0, 1]), 150, 200);
        assert_eq!(map.slots.len(), 3);
        assert_eq!(map.window(&set(&[0, 1, 2, 3]), 105, 140).free, set(&[0, 1, 2, 3]));
        let touched = map.window(&set(&[0, 1, 2, 3]), 105, 150);
        assert_eq!(touched.free, set(&[2, 3]));
        assert_eq!(touched.later_s, Some(200));
        assert!(map.taken(&set(&[1]), 199, 300));
        assert!(!map.taken(&set(&[1]), 200, 300));
    }

    #[test]
    fn equal_neighbours_are_joined() {
        let mut map = TimeMap::new(0, 1_000, 1, set(&[0, 1]));
        map.reserve(&set(&[0]), 10, 20);
        map.reserve(&set(&[0]), 20, 30);
        assert_eq!(map.slots.len(), 3);
        map.reserve(&set(&[1]), 5_000, 5_010);
        assert_eq!(map.slots.len(), 3, "beyond the window nothing is kept");
    }
}

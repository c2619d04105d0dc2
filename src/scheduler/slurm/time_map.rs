//! The backfill thread's map: whole nodes that lower-priority jobs may use, by time.
//!
//! Slots follow each other without gaps. A reservation takes its nodes out of every slot that it
//! touches; neighbours with the same nodes are joined. For quick answers each slot knows how many nodes are
//! free, and each edge whether nodes may come free there. The sets of a cycle are used again in the next.

use super::NodeSet;
use super::sets::any_differs;

/// The slots in order of time: slot `i` is `[begins[i], begins[i + 1])`, the last one ends at `end_s`.
#[derive(Clone, Debug, Default)]
pub(super) struct TimeMap {
    begins: Vec<i64>,
    free: Vec<NodeSet>,
    counts: Vec<usize>,
    /// Whether the next slot may have nodes that this one has not. False is certain.
    opens: Vec<bool>,
    end_s: i64,
    resolution_s: i64,
    /// Nodes in the map; a slot that has all of them keeps nobody out.
    most: usize,
    spare: Vec<NodeSet>,
}

/// So many nodes are taken out of a slot as a set, fewer one by one.
const MANY: usize = 24;

/// The slots that a job would touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    from: usize,
    to: usize,
}

impl TimeMap {
    /// One slot from now to the end of the window, both rounded down already.
    pub(super) fn reset(&mut self, begin_s: i64, end_s: i64, resolution_s: i64, free: &NodeSet) {
        self.spare.append(&mut self.free);
        self.begins.clear();
        self.counts.clear();
        self.opens.clear();
        self.end_s = end_s;
        self.resolution_s = resolution_s;
        self.begins.push(begin_s);
        self.most = free.count_ones(..);
        self.counts.push(self.most);
        self.opens.push(false);
        let first = self.copy_of(free);
        self.free.push(first);
    }

    fn copy_of(&mut self, free: &NodeSet) -> NodeSet {
        let mut copy = self.spare.pop().unwrap_or_default();
        copy.clone_from(free);
        copy
    }

    /// Number of slots.
    pub(super) fn len(&self) -> usize {
        self.begins.len()
    }

    /// The end of the first slot, as it is now.
    pub(super) fn first_end_s(&self) -> i64 {
        self.slot_end(0)
    }

    fn slot_end(&self, at: usize) -> i64 {
        self.begins.get(at + 1).copied().unwrap_or(self.end_s)
    }

    /// The slots of which any second lies in `[start, end]`.
    pub(super) fn span(&self, start_s: i64, end_s: i64) -> Span {
        let last = self.begins.len() - 1;
        let at = self.begins.partition_point(|begin| *begin <= start_s).saturating_sub(1);
        let from = if at == last && self.end_s <= start_s { last + 1 } else { at };
        let to = self.begins.partition_point(|begin| *begin <= end_s).max(from);
        Span { from, to }
    }

    /// The end of the window.
    pub(super) fn end_s(&self) -> i64 {
        self.end_s
    }

    /// For how many seconds longer a stay until `end_s`, which touches `span`, would touch no further slot.
    pub(super) fn slack_s(&self, span: Span, end_s: i64) -> i64 {
        self.begins.get(span.to).map_or(i64::MAX / 4, |begin| begin - 1 - end_s)
    }

    /// When the next node of `usable` comes free that is not free in the first slot of the span; looked for as
    /// far as the slot after the span.
    pub(super) fn later(&self, span: Span, usable: &NodeSet) -> Option<i64> {
        let most = (span.to + 1).min(self.len() - 1);
        let opens = |at: &usize| self.opens[*at] && any_differs(usable, &self.free[*at + 1], &self.free[*at]);
        (span.from..most).find(opens).map(|at| self.begins[at + 1])
    }

    /// The end of the last slot of the span in which fewer than `least` nodes are free.
    pub(super) fn scarce_until(&self, span: Span, least: usize) -> Option<i64> {
        let scarce = self.counts[span.from..span.to].iter().rposition(|count| *count < least);
        scarce.map(|at| self.slot_end(span.from + at))
    }

    /// Reduces `nodes` to those free all along.
    pub(super) fn restrict(&self, span: Span, nodes: &mut NodeSet) {
        for at in span.from..span.to {
            if self.counts[at] < self.most {
                nodes.intersect_with(&self.free[at]);
            }
        }
    }

    /// Whether any of `nodes` is taken during `[start, end)`; all over the span `known` they are free.
    pub(super) fn taken(&self, nodes: &[usize], start_s: i64, end_s: i64, known: Span) -> bool {
        let span = self.span(start_s, end_s - 1);
        let before = span.from..known.from.clamp(span.from, span.to);
        let after = known.to.clamp(span.from, span.to)..span.to;
        before.chain(after).any(|at| nodes.iter().any(|n| !self.free[at].contains(*n)))
    }

    /// Takes `nodes` out during `[start, end)`, at least one step of the resolution long.
    pub(super) fn reserve(&mut self, nodes: &[usize], start_s: i64, end_s: i64) {
        let start_s = start_s.max(self.begins[0]);
        let end_s = end_s.max(start_s + self.resolution_s);
        if start_s > self.end_s {
            return; // beyond the window
        }
        self.cut(start_s);
        self.cut(end_s);
        let from = self.begins.partition_point(|begin| *begin < start_s);
        let to = self.begins.partition_point(|begin| *begin < end_s).max(from);
        if nodes.len() > MANY {
            let mut set = self.spare.pop().unwrap_or_default();
            set.clone_from(&self.free[0]);
            set.clear();
            nodes.iter().for_each(|n| set.insert(*n));
            for at in from..to {
                self.counts[at] -= self.free[at].intersection_count(&set);
                self.free[at].difference_with(&set);
            }
            self.spare.push(set);
        } else {
            self.take_each(nodes, from, to);
        }
        if to > from && to < self.len() {
            self.opens[to - 1] = true;
        }
        self.join(from.saturating_sub(1), to);
    }

    fn take_each(&mut self, nodes: &[usize], from: usize, to: usize) {
        for at in from..to {
            let free = &mut self.free[at];
            for node in nodes {
                if free.contains(*node) {
                    free.remove(*node);
                    self.counts[at] -= 1;
                }
            }
        }
    }

    /// Joins equal neighbours from slot `from` on, as far as the pair that ends with slot `to`.
    fn join(&mut self, from: usize, to: usize) {
        let mut at = (to + 1).min(self.len());
        while at > from + 1 {
            at -= 1;
            if self.counts[at] == self.counts[at - 1] && self.free[at] == self.free[at - 1] {
                self.begins.remove(at);
                self.counts.remove(at);
                let opens = self.opens.remove(at);
                self.opens[at - 1] = opens;
                let free = self.free.remove(at);
                self.spare.push(free);
            }
        }
    }

    /// Makes sure that a slot begins at `at_s`, if that lies inside the map.
    fn cut(&mut self, at_s: i64) {
        let after = self.begins.partition_point(|begin| *begin < at_s);
        if after == 0 || at_s >= self.end_s || self.begins.get(after) == Some(&at_s) {
            return;
        }
        let free = std::mem::take(&mut self.free[after - 1]);
        let copy = self.copy_of(&free);
        self.free[after - 1] = free;
        self.free.insert(after, copy);
        self.begins.insert(after, at_s);
        self.counts.insert(after, self.counts[after - 1]);
        let opens = self.opens[after - 1];
        self.opens[after - 1] = false;
        self.opens.insert(after, opens);
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

    fn map(begin_s: i64, end_s: i64, resolution_s: i64, nodes: &[usize]) -> TimeMap {
        let mut map = TimeMap::default();
        map.reset(begin_s, end_s, resolution_s, &set(nodes));
        map
    }

    fn free(map: &TimeMap, start_s: i64, end_s: i64) -> NodeSet {
        let mut nodes = set(&[0, 1, 2, 3]);
        map.restrict(map.span(start_s, end_s), &mut nodes);
        nodes
    }

    #[test]
    fn a_reservation_hides_whole_nodes_from_whoever_touches_it() {
        let mut map = map(100, 1_100, 10, &[0, 1, 2, 3]);
        assert_eq!(map.first_end_s(), 1_100);
        map.reserve(&[0, 1], 150, 200);
        assert_eq!(map.len(), 3);
        assert_eq!(free(&map, 105, 140), set(&[0, 1, 2, 3]));
        assert_eq!(free(&map, 105, 150), set(&[2, 3]));
        assert_eq!(map.later(map.span(105, 150), &set(&[0, 1, 2, 3])), Some(200));
        assert_eq!(map.later(map.span(105, 150), &set(&[2, 3])), None);
        assert_eq!(map.scarce_until(map.span(105, 150), 3), Some(200));
        assert_eq!(map.scarce_until(map.span(105, 140), 3), None);
        let nothing = map.span(0, 0);
        assert!(map.taken(&[1], 199, 300, nothing));
        assert!(!map.taken(&[1], 200, 300, nothing));
        assert!(map.taken(&[1], 100, 300, map.span(100, 140)), "beyond what is known");
        assert!(map.taken(&[1], 100, 300, map.span(250, 300)), "before what is known");
    }

    #[test]
    fn equal_neighbours_are_joined() {
        let mut map = map(0, 1_000, 1, &[0, 1]);
        map.reserve(&[0], 10, 20);
        map.reserve(&[0], 20, 30);
        assert_eq!(map.len(), 3);
        map.reserve(&[1], 5_000, 5_010);
        assert_eq!(map.len(), 3, "beyond the window nothing is kept");
    }
}

//! A sorted list in blocks, each with a summary: insert, remove and "first that ..." without a scan.
//!
//! Two jobs, one mechanism: the queue's lanes look for the first job whose limit fits a window
//! (summary = smallest limit), a node's expected releases for the first instant at which enough is
//! free (summary = sum). Short lists are one block, scanned as fast as memory allows; long ones skip
//! whole blocks by their summary.

/// What is known of a block without opening it.
pub trait Summary<V>: Copy {
    /// Summary of nothing.
    const EMPTY: Self;
    /// Adds one value.
    fn add(&mut self, value: &V);
    /// Takes one value out; `false` if the summary must be made anew from what is left.
    fn subtract(&mut self, value: &V) -> bool;
}

impl<V> Summary<V> for () {
    const EMPTY: Self = ();
    fn add(&mut self, _: &V) {}
    fn subtract(&mut self, _: &V) -> bool {
        true
    }
}

/// A number, then a smaller one that tells equals apart: compared in one step, without a branch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SortKey(i128);

impl SortKey {
    /// `first` decides, `second` among equals.
    #[inline]
    #[must_use]
    pub fn new(first: i64, second: u32) -> Self {
        Self(i128::from(first) << 32 | i128::from(second))
    }

    /// The number that decides.
    #[inline]
    #[must_use]
    pub fn first(self) -> i64 {
        (self.0 >> 32) as i64
    }

    /// The number that tells equals apart.
    #[inline]
    #[must_use]
    pub fn second(self) -> u32 {
        self.0 as u32
    }
}

impl std::fmt::Debug for SortKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "({}, {})", self.first(), self.second())
    }
}

#[derive(Clone, Debug)]
struct Block<K, V, S> {
    rows: Vec<(K, V)>,
    summary: S,
}

/// Rows sorted by key; keys are distinct.
#[derive(Clone, Debug)]
pub struct Blocks<K, V, S> {
    blocks: Vec<Block<K, V, S>>,
    len: usize,
}

impl<K, V, S> Default for Blocks<K, V, S> {
    fn default() -> Self {
        Self { blocks: Vec::new(), len: 0 }
    }
}

/// A block is split when it reaches this size.
const BLOCK_MAX: usize = 32;

impl<K: Ord + Copy, V: Clone, S: Summary<V>> Blocks<K, V, S> {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes out all rows.
    pub fn clear(&mut self) {
        self.blocks.truncate(1);
        if let Some(block) = self.blocks.first_mut() {
            block.rows.clear();
            block.summary = S::EMPTY;
        }
        self.len = 0;
    }

    /// First row.
    #[must_use]
    pub fn first(&self) -> Option<(K, V)> {
        self.blocks.first().and_then(|b| b.rows.first().cloned())
    }

    /// Adds a row.
    pub fn insert(&mut self, key: K, value: V) {
        self.len += 1;
        let Some(end) = self.blocks.last() else {
            let rows = vec![(key, value)];
            let summary = Self::summary(&rows);
            self.blocks.push(Block { rows, summary });
            return;
        };
        // At the end is the usual case: nothing to search then.
        let is_last = end.rows.last().is_none_or(|(last, _)| *last < key);
        let at = if is_last { self.blocks.len() - 1 } else { self.block_for(&key) };
        let block = &mut self.blocks[at];
        let place = if is_last { block.rows.len() } else { block.rows.partition_point(|(k, _)| *k < key) };
        debug_assert!(block.rows.get(place).is_none_or(|(k, _)| *k != key), "keys are distinct");
        block.summary.add(&value);
        block.rows.insert(place, (key, value));
        if block.rows.len() >= BLOCK_MAX {
            // Keep the left part nearly full where rows are appended.
            let cut = if place + 1 == BLOCK_MAX { BLOCK_MAX - 8 } else { BLOCK_MAX / 2 };
            let mut right = Vec::with_capacity(BLOCK_MAX);
            right.extend_from_slice(&block.rows[cut..]);
            block.rows.truncate(cut);
            block.summary = Self::summary(&block.rows);
            let summary = Self::summary(&right);
            self.blocks.insert(at + 1, Block { rows: right, summary });
        }
    }

    /// Takes out the row of `key`.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        // The first row is the usual case: nothing to search then.
        let is_first = self.blocks.first()?.rows.first().is_some_and(|(first, _)| first == key);
        let at = if is_first { 0 } else { self.block_for(key) };
        let only = self.blocks.len() == 1;
        let block = self.blocks.get_mut(at)?;
        let place = if is_first { 0 } else { block.rows.binary_search_by(|(k, _)| k.cmp(key)).ok()? };
        let (_, value) = block.rows.remove(place);
        self.len -= 1;
        if block.rows.is_empty() && !only {
            self.blocks.remove(at);
        } else {
            // The last block stays, empty, so that short lists do not allocate again and again.
            if !block.summary.subtract(&value) {
                block.summary = Self::summary(&block.rows);
            }
        }
        Some(value)
    }

    /// Rows in order.
    pub fn iter(&self) -> impl Iterator<Item = (K, V)> + '_ {
        self.blocks.iter().flat_map(|b| b.rows.iter().cloned())
    }

    /// The first row at or after `from` that `accept`s; blocks whose summary is not `promising` are skipped.
    pub fn find_from(
        &self,
        from: &K,
        promising: impl Fn(&S) -> bool,
        accept: impl Fn(&V) -> bool,
    ) -> Option<(K, V)> {
        for block in &self.blocks[self.block_for(from)..] {
            if promising(&block.summary) {
                let found = block.rows.iter().find(|(k, v)| k >= from && accept(v));
                if found.is_some() {
                    return found.cloned();
                }
            }
        }
        None
    }

    /// Blocks in order: summary and rows, at least one.
    pub fn blocks(&self) -> impl Iterator<Item = (&S, &[(K, V)])> {
        self.blocks.iter().filter(|b| !b.rows.is_empty()).map(|b| (&b.summary, b.rows.as_slice()))
    }

    /// The first block whose last key is not before `key` (the number of blocks if there is none).
    fn block_for(&self, key: &K) -> usize {
        let ends_before = |b: &Block<K, V, S>| b.rows.last().is_none_or(|(last, _)| last < key);
        match self.blocks.as_slice() {
            [] => 0,
            [only] => usize::from(ends_before(only)),
            blocks => blocks.partition_point(ends_before),
        }
    }

    fn summary(rows: &[(K, V)]) -> S {
        let mut summary = S::EMPTY;
        rows.iter().for_each(|(_, v)| summary.add(v));
        summary
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Copy)]
    struct Least(u32);
    impl Summary<u32> for Least {
        const EMPTY: Self = Self(u32::MAX);
        fn add(&mut self, value: &u32) {
            self.0 = self.0.min(*value);
        }
        fn subtract(&mut self, value: &u32) -> bool {
            *value > self.0
        }
    }

    proptest! {
        #[test]
        fn sort_keys_are_ordered_like_pairs(a in any::<(i64, u32)>(), b in any::<(i64, u32)>()) {
            let key = |(first, second)| SortKey::new(first, second);
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
            prop_assert_eq!((key(a).first(), key(a).second()), a);
        }

        #[test]
        fn behaves_like_a_sorted_map(steps in prop::collection::vec((0u32..400, 0u32..50, any::<bool>()), 1..800)) {
            let mut blocks: Blocks<u32, u32, Least> = Blocks::default();
            let mut map = BTreeMap::new();
            for (key, value, add) in steps {
                if add && !map.contains_key(&key) {
                    blocks.insert(key, value);
                    map.insert(key, value);
                } else {
                    prop_assert_eq!(blocks.remove(&key), map.remove(&key));
                }
                prop_assert_eq!(blocks.len(), map.len());
                let first = map.range(key..).find(|(_, v)| **v <= 3).map(|(k, v)| (*k, *v));
                prop_assert_eq!(blocks.find_from(&key, |s| s.0 <= 3, |v| *v <= 3), first);
            }
            prop_assert!(blocks.iter().eq(map.iter().map(|(k, v)| (*k, *v))));
        }
    }
}

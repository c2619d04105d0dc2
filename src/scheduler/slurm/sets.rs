//! Questions to sets of nodes that need no count of the whole set.

use super::NodeSet;

/// Whether `set` holds at least so many.
pub(super) fn has_at_least(set: &NodeSet, least: usize) -> bool {
    reaches(set.as_slice().chunks(BLOCK).map(|words| count(words.iter().copied())), least)
}

/// Whether two sets have at least so many in common.
pub(super) fn share_at_least(a: &NodeSet, b: &NodeSet, least: usize) -> bool {
    let blocks = a.as_slice().chunks(BLOCK).zip(b.as_slice().chunks(BLOCK));
    reaches(blocks.map(|(a, b)| count(a.iter().zip(b).map(|(a, b)| a & b))), least)
}

/// Words that are counted at a time: whether that suffices is asked no more often.
const BLOCK: usize = 8;

fn count(words: impl Iterator<Item = usize>) -> usize {
    words.map(|word| word.count_ones() as usize).sum()
}

fn reaches(mut counts: impl Iterator<Item = usize>, least: usize) -> bool {
    let mut missing = least;
    while missing > 0 {
        let Some(count) = counts.next() else { return false };
        missing = missing.saturating_sub(count);
    }
    true
}

/// Whether `set` has a node that is in `has` and not in `has_not`.
pub(super) fn any_differs(set: &NodeSet, has: &NodeSet, has_not: &NodeSet) -> bool {
    let blocks = set.as_slice().iter().zip(has.as_slice()).zip(has_not.as_slice());
    blocks.into_iter().any(|((a, b), c)| a & b & !c != 0)
}

/// The first member of `set` that is not below `from`.
pub(super) fn next_one(set: &NodeSet, from: usize) -> Option<usize> {
    let width = usize::BITS as usize;
    let words = set.as_slice();
    let first = *words.get(from / width)? & (usize::MAX << (from % width));
    let rest = words[from / width + 1..].iter().copied();
    let mut words = (from / width..).zip(std::iter::once(first).chain(rest));
    words.find(|(_, word)| *word != 0).map(|(at, word)| at * width + word.trailing_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(members: &[usize]) -> NodeSet {
        let mut set = NodeSet::with_capacity(200);
        members.iter().for_each(|n| set.insert(*n));
        set
    }

    #[test]
    fn counts_stop_when_they_suffice() {
        let some = set(&[0, 63, 64, 199]);
        for least in 0..6 {
            assert_eq!(has_at_least(&some, least), least <= 4, "{least}");
            assert_eq!(share_at_least(&some, &set(&[63, 64, 100]), least), least <= 2, "{least}");
        }
    }

    #[test]
    fn the_next_member_is_found_across_words() {
        let some = set(&[3, 64, 199]);
        let next: Vec<Option<usize>> = [0, 3, 4, 64, 65, 199, 200, 500].map(|n| next_one(&some, n)).to_vec();
        let all = [Some(3), Some(3), Some(64), Some(64), Some(199), Some(199), None, None];
        assert_eq!(next, all);
    }
}

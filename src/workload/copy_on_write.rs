//! What the variants of a workload have in common: held once, copied when one of them changes it.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A value that copies of its owner share until one of them changes it.
///
/// A design binds jobs to its pools and its speeds: it needs job rows of its own, and no second copy of labels, texts,
/// dependencies and recorded history. Without this every design of a comparison copied them twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Common<T>(Arc<T>);

impl<T: Clone> Common<T> {
    /// The value; a copy if another owner has it too.
    #[must_use]
    pub fn into_inner(self) -> T {
        Arc::unwrap_or_clone(self.0)
    }
}

impl<T> From<T> for Common<T> {
    fn from(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T> Deref for Common<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for Common<T> {
    /// Copies the value first if another owner has it too.
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

impl<'a, I, T> IntoIterator for &'a Common<Vec<(I, T)>> {
    type Item = &'a (I, T);
    type IntoIter = std::slice::Iter<'a, (I, T)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'a, I: Clone, T: Clone> IntoIterator for &'a mut Common<Vec<(I, T)>> {
    type Item = &'a mut (I, T);
    type IntoIter = std::slice::IterMut<'a, (I, T)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::Common;

    #[test]
    fn a_copy_is_made_when_one_of_two_owners_changes_it() {
        let mut first = Common::from(vec![1]);
        let second = first.clone();
        assert!(std::ptr::eq(&*first, &*second));
        first.push(2);
        assert_eq!((first.len(), second.len()), (2, 1));
        let at = std::ptr::from_ref(&*first);
        first.push(3);
        assert!(std::ptr::eq(at, &*first), "the only owner changes it in place");
    }
}

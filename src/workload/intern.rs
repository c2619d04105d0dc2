//! Interning: each distinct value is stored once and named by an id.

use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::ids::{Id, TextId};

/// Distinct values of one type, in order of first appearance.
#[derive(Clone, Debug)]
pub struct Interner<I, T> {
    rows: Vec<T>,
    index: FxHashMap<T, u32>,
    id: PhantomData<I>,
}

impl<I, T> Default for Interner<I, T> {
    fn default() -> Self {
        Self { rows: Vec::new(), index: FxHashMap::default(), id: PhantomData }
    }
}

impl<I: Id, T: Eq + Hash + Clone> Interner<I, T> {
    /// The id of `value`, which is stored if it is new.
    pub fn intern(&mut self, value: &T) -> I {
        if let Some(at) = self.index.get(value) {
            return I::new(*at as usize);
        }
        let id = I::new(self.rows.len());
        self.index.insert(value.clone(), u32::try_from(id.index()).expect("ids fit 32 bits"));
        self.rows.push(value.clone());
        id
    }

    /// Appends a value under the next id, also if an equal one is there (which then keeps its lookup):
    /// for tables that are rewritten position by position.
    pub fn push_row(&mut self, value: T) -> I {
        let id = I::new(self.rows.len());
        self.index
            .entry(value.clone())
            .or_insert_with(|| u32::try_from(id.index()).expect("ids fit 32 bits"));
        self.rows.push(value);
        id
    }

    /// The value of an id.
    #[must_use]
    pub fn get(&self, id: I) -> &T {
        &self.rows[id.index()]
    }

    /// Number of distinct values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether nothing is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Gives back memory that growth left over.
    pub fn shrink(&mut self) {
        self.rows.shrink_to_fit();
        self.index.shrink_to_fit();
    }

    /// Ids and values in order of first appearance.
    pub fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        self.rows.iter().enumerate().map(|(i, row)| (I::new(i), row))
    }
}

/// Distinct texts, each held once.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    inner: Interner<TextId, Arc<str>>,
}

impl Texts {
    /// The id of `text`, which is stored if it is new.
    pub fn intern(&mut self, text: &str) -> TextId {
        if let Some(at) = self.inner.index.get(text) {
            return TextId(*at);
        }
        self.inner.intern(&Arc::from(text))
    }

    /// The id of `text` if it is stored.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<TextId> {
        self.inner.index.get(text).map(|at| TextId(*at))
    }

    /// The text of an id.
    #[must_use]
    pub fn get(&self, id: TextId) -> &str {
        self.inner.get(id)
    }

    /// The same to keep: no copy is made.
    #[must_use]
    pub fn share(&self, id: TextId) -> Arc<str> {
        self.inner.get(id).clone()
    }

    /// Number of distinct texts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.len()
    }

    /// Whether nothing is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }
}

//! Typed ids: dense indices that cannot be mixed up, and vectors that only their own id can index.
//!
//! Ids are positions in a table of one run (jobs in file order, nodes in design order); they carry no
//! meaning outside it. The readable names live beside the tables.

use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// A dense index with a type of its own.
pub trait Id: Copy + Eq + Ord {
    /// The id of position `index`.
    ///
    /// # Panics
    /// If `index` does not fit: tables are capped far below that by the readers.
    fn new(index: usize) -> Self;
    /// Position in its table.
    fn index(self) -> usize;
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        pub struct $name(pub u32);
        impl Id for $name {
            #[inline]
            fn new(index: usize) -> Self {
                Self(u32::try_from(index).expect("tables hold fewer than 2^32 rows"))
            }
            #[inline]
            fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

id!(
    /// A job of the workload, by position in submit order.
    JobId
);
id!(
    /// A node of the cluster, by position in design order.
    NodeId
);
id!(
    /// A pool of equal nodes.
    PoolId
);
id!(
    /// What a job asks for, as the trace says it (interned).
    RequestId
);
id!(
    /// What one node must give to a job (interned; see `scheduler::shapes`).
    PartId
);
id!(
    /// A request turned into node parts for the pools of one cluster.
    ShapeId
);
id!(
    /// A combination of user, account, partition, class ... (interned).
    LabelId
);
id!(
    /// Whose jobs may share a dedicated host: a name of the trace, or nobody in particular.
    TenantId
);
id!(
    /// An interned text.
    TextId
);

impl TenantId {
    /// The tenant of that name; jobs without one are together one tenant.
    #[must_use]
    pub fn named(name: Option<TextId>) -> Self {
        Self(name.map_or(0, |name| name.0 + 1))
    }
}

/// A vector indexed by one kind of id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdVec<I, T> {
    rows: Vec<T>,
    id: PhantomData<I>,
}

impl<I, T> Default for IdVec<I, T> {
    fn default() -> Self {
        Self { rows: Vec::new(), id: PhantomData }
    }
}

impl<I: Id, T> IdVec<I, T> {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A table made of `rows`.
    #[must_use]
    pub fn from_vec(rows: Vec<T>) -> Self {
        Self { rows, id: PhantomData }
    }

    /// `len` copies of `value`.
    #[must_use]
    pub fn filled(len: usize, value: T) -> Self
    where
        T: Clone,
    {
        Self::from_vec(vec![value; len])
    }

    /// Appends a row and tells its id.
    pub fn push(&mut self, row: T) -> I {
        let id = I::new(self.rows.len());
        self.rows.push(row);
        id
    }

    /// The rows without their id type.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        self.rows
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows in id order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.rows.iter()
    }

    /// Ids and rows in id order.
    pub fn iter_ids(&self) -> impl Iterator<Item = (I, &T)> {
        self.rows.iter().enumerate().map(|(i, row)| (I::new(i), row))
    }

    /// All ids in order.
    pub fn ids(&self) -> impl Iterator<Item = I> + use<I, T> {
        (0..self.rows.len()).map(I::new)
    }

    /// The rows as a slice.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        &self.rows
    }

    /// The rows as a mutable slice.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.rows
    }
}

impl<I: Id, T> Index<I> for IdVec<I, T> {
    type Output = T;
    #[inline]
    fn index(&self, id: I) -> &T {
        &self.rows[id.index()]
    }
}

impl<I: Id, T> IndexMut<I> for IdVec<I, T> {
    #[inline]
    fn index_mut(&mut self, id: I) -> &mut T {
        &mut self.rows[id.index()]
    }
}

impl<I: Id, T> FromIterator<T> for IdVec<I, T> {
    fn from_iter<It: IntoIterator<Item = T>>(rows: It) -> Self {
        Self::from_vec(rows.into_iter().collect())
    }
}

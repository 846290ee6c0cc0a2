//! A vector that cannot be indexed out of bounds.
//!
//! The layout is a dozen algorithms over dense arrays. They never leave them, but a wrong index must
//! not become a panic inside the Ruby process: reading beyond the end gives the default, writing there
//! is lost.

use std::ops::{Index, IndexMut};
use std::slice::{Iter, IterMut};

#[derive(Debug, Clone, Default)]
pub(super) struct Table<T> {
    rows: Vec<T>,
    beyond: T,
}

impl<T: Clone + Default> Table<T> {
    pub(super) fn new(len: usize) -> Self {
        Self { rows: vec![T::default(); len], beyond: T::default() }
    }

    pub(super) fn filled(value: T, len: usize) -> Self {
        Self { rows: vec![value; len], beyond: T::default() }
    }

    /// Adds a row and tells its index.
    pub(super) fn push(&mut self, row: T) -> usize {
        self.rows.push(row);
        self.rows.len() - 1
    }

    /// Makes room up to `len` rows.
    pub(super) fn grow(&mut self, len: usize) {
        if len > self.rows.len() {
            self.rows.resize(len, T::default());
        }
    }
}

impl<T> Table<T> {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn iter(&self) -> Iter<'_, T> {
        self.rows.iter()
    }

    pub(super) fn iter_mut(&mut self) -> IterMut<'_, T> {
        self.rows.iter_mut()
    }
}

impl<T: Default> FromIterator<T> for Table<T> {
    fn from_iter<I: IntoIterator<Item = T>>(rows: I) -> Self {
        Self { rows: rows.into_iter().collect(), beyond: T::default() }
    }
}

impl<T> Index<usize> for Table<T> {
    type Output = T;

    fn index(&self, index: usize) -> &T {
        self.rows.get(index).unwrap_or(&self.beyond)
    }
}

impl<T: Default> IndexMut<usize> for Table<T> {
    fn index_mut(&mut self, index: usize) -> &mut T {
        self.beyond = T::default();
        self.rows.get_mut(index).unwrap_or(&mut self.beyond)
    }
}

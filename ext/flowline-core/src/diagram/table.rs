//! A vector that cannot be indexed out of bounds.
//!
//! A drawing is a dozen algorithms over dense arrays. They never leave them, but a wrong index must not
//! become a panic inside the Ruby process: reading beyond the end gives the default, writing there is lost.

use std::ops::{Index, IndexMut};

#[derive(Clone, Default)]
pub(super) struct Table<T> {
    pub(super) rows: Vec<T>,
    beyond: T,
}

impl<T: Clone + Default> Table<T> {
    pub(super) fn new(len: usize) -> Self {
        Self { rows: vec![T::default(); len], beyond: T::default() }
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

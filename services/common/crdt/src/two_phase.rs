//! A set whose elements are added once and removed once.

use std::collections::BTreeSet;

use crate::Join;

/// What was removed stays removed, whether or not it was seen before, until [`TwoPhaseSet::forget`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TwoPhaseSet<T> {
    present: BTreeSet<T>,
    removed: BTreeSet<T>,
}

impl<T> Default for TwoPhaseSet<T> {
    fn default() -> Self {
        Self { present: BTreeSet::new(), removed: BTreeSet::new() }
    }
}

impl<T: Ord> TwoPhaseSet<T> {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers whether it is new: neither present nor removed.
    pub fn add(&mut self, element: T) -> bool {
        !self.removed.contains(&element) && self.present.insert(element)
    }

    /// Answers whether it was not removed yet.
    pub fn remove(&mut self, element: T) -> bool {
        self.present.remove(&element);
        self.removed.insert(element)
    }

    #[must_use]
    pub fn contains(&self, element: &T) -> bool {
        self.present.contains(element)
    }

    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.present.iter()
    }

    /// What was removed, in order.
    pub fn removed(&self) -> impl Iterator<Item = &T> {
        self.removed.iter()
    }

    /// Drops the mark of a removed element. Safe once all copies have it: a copy that has not would bring the element
    /// back.
    pub fn forget(&mut self, element: &T) -> bool {
        self.removed.remove(element)
    }
}

impl<T: Ord> Join for TwoPhaseSet<T> {
    fn join(&mut self, other: Self) -> bool {
        let mut changed = false;
        for element in other.removed {
            changed |= self.remove(element);
        }
        for element in other.present {
            changed |= self.add(element);
        }
        changed
    }
}

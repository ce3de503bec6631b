//! A counter that each replica raises for itself.

use std::collections::BTreeMap;

use crate::Join;

/// One slot a replica, each of which only its replica raises; the count is the sum of all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GrowCounter<R>(BTreeMap<R, u64>);

impl<R> Default for GrowCounter<R> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<R: Ord> GrowCounter<R> {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises the slot of `replica`, which is the caller, up to the largest number there is.
    pub fn add(&mut self, replica: R, amount: u64) {
        if amount > 0 {
            let slot = self.0.entry(replica).or_default();
            *slot = slot.saturating_add(amount);
        }
    }

    /// The slot of one replica.
    #[must_use]
    pub fn of(&self, replica: &R) -> u64 {
        self.0.get(replica).copied().unwrap_or_default()
    }

    /// The sum of all slots, up to the largest number there is.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().fold(0, |sum, slot| sum.saturating_add(*slot))
    }
}

impl<R: Ord> Join for GrowCounter<R> {
    fn join(&mut self, other: Self) -> bool {
        let mut changed = false;
        for (replica, count) in other.0 {
            let slot = self.0.entry(replica).or_default();
            changed |= count > *slot;
            *slot = (*slot).max(count);
        }
        changed
    }
}

//! A map whose entries are replaced by later ones.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::Join;

/// When a value was said, by the one who says it: first by start of its process, then by count of its changes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Stamp {
    pub incarnation: u64,
    pub version: u64,
}

/// A value that knows its stamp.
pub trait Stamped {
    fn stamp(&self) -> Stamp;
}

/// For each key the value with the highest stamp. Two values of one stamp should not exist; where they do, the greater
/// one stays, so that all copies agree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LwwMap<K, V>(BTreeMap<K, V>);

impl<K, V> Default for LwwMap<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord, V: Stamped + Ord> LwwMap<K, V> {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes `value` if it is later than what is there. Answers whether it did.
    pub fn put(&mut self, key: K, value: V) -> bool {
        match self.0.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(value);
                true
            }
            Entry::Occupied(mut entry) => {
                let held = entry.get();
                let later = (value.stamp(), &value) > (held.stamp(), held);
                if later {
                    entry.insert(value);
                }
                later
            }
        }
    }

    /// Forgets a key, here alone: another copy that still has it brings it back.
    pub fn forget(&mut self, key: &K) -> Option<V> {
        self.0.remove(key)
    }

    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key)
    }

    /// In order of keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter()
    }

    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.values()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Ord, V: Stamped + Ord> Join for LwwMap<K, V> {
    fn join(&mut self, other: Self) -> bool {
        other.0.into_iter().fold(false, |changed, (key, value)| self.put(key, value) || changed)
    }
}

//! Commit hints (REGISTER A7): which accepted ballots are known to be chosen. Kept in memory only and overwritten at
//! will: losing one costs a later reader a look at a second replica, nothing else.

use std::hash::{BuildHasher as _, RandomState};

use cairn_types::Ballot;
use parking_lot::Mutex;

/// Hints remembered: half a megabyte.
const SLOTS: usize = 16 * 1024;

/// One hint a slot; a later one takes its place.
pub(crate) struct Hints {
    hasher: RandomState,
    slots: Mutex<Box<[Hint]>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Hint {
    /// Of the key, all 64 bits: with the ballot, which no two proposals share, nobody else's hint passes for it.
    hash: u64,
    ballot: Ballot,
}

impl Hints {
    pub(crate) fn new() -> Self {
        Self { hasher: RandomState::new(), slots: Mutex::new(vec![Hint::default(); SLOTS].into()) }
    }

    /// `ballot` is chosen for `key`.
    pub(crate) fn set(&self, key: &[u8], ballot: Ballot) {
        let (slot, hint) = self.hint(key, ballot);
        self.slots.lock()[slot] = hint;
    }

    /// Whether `ballot` is known to be chosen for `key`. False: perhaps.
    pub(crate) fn knows(&self, key: &[u8], ballot: Ballot) -> bool {
        let (slot, hint) = self.hint(key, ballot);
        !ballot.is_zero() && self.slots.lock()[slot] == hint
    }

    fn hint(&self, key: &[u8], ballot: Ballot) -> (usize, Hint) {
        let hash = self.hasher.hash_one(key);
        let slot = usize::try_from(hash % SLOTS as u64).unwrap_or_default();
        (slot, Hint { hash, ballot })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_for_one_key_and_ballot() {
        let hints = Hints::new();
        let ballot = |time| Ballot { epoch: 1, time, proposer: 7 };
        hints.set(b"key", ballot(1));
        assert!(hints.knows(b"key", ballot(1)));
        assert!(!hints.knows(b"key", ballot(2)));
        assert!(!hints.knows(b"other", ballot(1)));
        assert!(!hints.knows(b"other", Ballot::ZERO));
        hints.set(b"key", ballot(2));
        assert!(!hints.knows(b"key", ballot(1)));
    }
}

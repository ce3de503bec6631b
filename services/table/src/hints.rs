//! Commit hints (REGISTER A7): which accepted ballots are known to be chosen. Kept in memory only and overwritten at
//! will: losing one costs a later reader a look at a second replica, nothing else.

use std::hash::{BuildHasher as _, RandomState};

use cairn_types::Ballot;
use parking_lot::Mutex;

/// Hints remembered: half a megabyte.
const SLOTS: usize = 16 * 1024;

/// One hint a slot, found by its ballot; a later one takes its place.
pub(crate) struct Hints {
    hasher: RandomState,
    slots: Mutex<Box<[Hint]>>,
}

#[derive(Clone, Copy, Default)]
struct Hint {
    ballot: Ballot,
    /// Hash of the key: a coordinator makes a ballot for each proposal, and a hint for another key must not pass even
    /// if one did not.
    key: u64,
}

impl Hints {
    pub(crate) fn new() -> Self {
        Self { hasher: RandomState::new(), slots: Mutex::new(vec![Hint::default(); SLOTS].into()) }
    }

    /// `ballot` is chosen for `key`.
    pub(crate) fn set(&self, key: &[u8], ballot: Ballot) {
        let hint = Hint { ballot, key: self.hasher.hash_one(key) };
        self.slots.lock()[slot(ballot)] = hint;
    }

    /// Whether `ballot` is known to be chosen for `key`. False: perhaps.
    pub(crate) fn knows(&self, key: &[u8], ballot: Ballot) -> bool {
        let hint = self.slots.lock()[slot(ballot)];
        !ballot.is_zero() && hint.ballot == ballot && hint.key == self.hasher.hash_one(key)
    }
}

/// Spreads ballots of one proposer, which differ in a counter or in milliseconds.
fn slot(ballot: Ballot) -> usize {
    let mixed = (ballot.time ^ ballot.proposer).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    usize::try_from(mixed).unwrap_or_default() % SLOTS
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
        for time in 2..(3 * SLOTS as u64) {
            hints.set(b"key", ballot(time));
        }
        assert!(!hints.knows(b"key", ballot(1)));
    }
}

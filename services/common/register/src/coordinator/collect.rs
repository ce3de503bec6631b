//! Collecting a tombstone (REGISTER §8, T3 and T4). Whether a key is a candidate (T2) is the caller's to know.

use cairn_placement::Quorums;
use cairn_types::Ballot;

use super::Failure;
use super::engine::Coordinator;
use super::operation::{Next, Operation, Seen};
use crate::{Message, Proposal};

/// How a collection ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Collected {
    /// Every replica held the tombstone under one ballot, and was told to drop it.
    Dropped,
    /// There is a value, or no row.
    NotATombstone,
}

/// Confirms a tombstone at every replica, then has it dropped. A replica that is down makes it fail, and nothing else.
pub type Collect<V> = Coordinator<V, Collecting, Result<Collected, Failure>>;

/// What a [`Collect`] decides.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Collecting;

impl<V: Clone> Collect<V> {
    /// For a partition whose layout does not change (E8).
    #[must_use]
    pub fn new(quorums: Quorums) -> Self {
        Self::with(Collecting, quorums, u64::MAX)
    }
}

impl<V: Clone> Operation<V> for Collecting {
    type Outcome = Result<Collected, Failure>;

    fn queries(&self, _: bool) -> bool {
        false
    }

    fn queried(&mut self, _: &Seen<'_, V>) -> Next<V, Self::Outcome> {
        Next::Prepare
    }

    /// T3.
    fn decide(&mut self, _: Ballot, seen: &Seen<'_, V>) -> Next<V, Self::Outcome> {
        let current = seen.picture.current(seen.rules);
        if current.is_missing() || current.value.is_some() {
            return Next::End(Ok(Collected::NotATombstone));
        }
        let proposal = Proposal::again(seen.rules, &current);
        Next::Propose { proposal, new_value: false, answer: Ok(Collected::Dropped) }
    }

    /// T4.
    fn chosen(&self, ballot: Ballot) -> Message<V> {
        Message::GcDrop { ballot }
    }

    fn failed(&self, failure: Failure) -> Self::Outcome {
        Err(failure)
    }

    fn needs_all(&self) -> bool {
        true
    }
}

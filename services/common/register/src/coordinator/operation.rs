//! What the kinds of operations differ in.

use cairn_placement::Quorums;
use cairn_types::Ballot;

use super::Failure;
use crate::rules::Rules;
use crate::votes::Picture;
use crate::{Message, Proposal};

/// What one kind of operation decides; [`Coordinator`] does the rest. Implemented by this crate only.
pub trait Operation<V: Clone> {
    /// What the operation ends with.
    type Outcome: Clone;
    /// Whether it begins with a Query, else with a Prepare; `sent`: an own value was sent.
    fn queries(&self, sent: bool) -> bool;
    /// A query quorum is in.
    fn queried(&mut self, seen: &Seen<'_, V>) -> Next<V, Self::Outcome>;
    /// A prepare quorum is in for `ballot`.
    fn decide(&mut self, ballot: Ballot, seen: &Seen<'_, V>) -> Next<V, Self::Outcome>;
    /// The end without a result.
    fn failed(&self, failure: Failure) -> Self::Outcome;
    /// W2: the blind row under a fresh ballot, for an operation that asks for one.
    fn blind(&self, ballot: Ballot) -> Option<(Proposal<V>, Self::Outcome)> {
        let _ = ballot;
        None
    }
    /// What replicas are told once `ballot` is chosen.
    fn chosen(&self, ballot: Ballot) -> Message<V> {
        Message::Commit { ballot }
    }
    /// Whether others may have sent this operation's value.
    fn is_shared(&self) -> bool {
        false
    }
    /// T3: a proposal counts when every replica accepted it, not when a majority did.
    fn needs_all(&self) -> bool {
        false
    }
}

/// A quorum of replies, and what they are judged by.
#[derive(Debug)]
pub struct Seen<'a, V> {
    pub(crate) rules: Rules,
    pub(crate) picture: &'a Picture<V>,
    pub(super) quorums: &'a Quorums,
    pub(super) earlier: Option<&'a Quorums>,
    /// Lowest ballot under which an own value was sent; zero: none was.
    pub(crate) first: Ballot,
}

impl<V: Clone> Seen<'_, V> {
    /// G2, G3.
    pub(crate) fn is_settled(&self) -> bool {
        let epoch = self.picture.best.as_ref().map(|best| best.accepted.epoch);
        let own = self.earlier.filter(|earlier| epoch == Some(earlier.epoch.0));
        self.picture.is_settled(self.rules, &self.quorums.accept, own.map(|own| own.accept.as_slice()))
    }

    /// Whether `ballot` was made in this epoch (G4, E8).
    pub(crate) fn is_current(&self, ballot: Ballot) -> bool {
        ballot.epoch == self.quorums.epoch.0
    }
}

/// What an operation does next.
#[derive(Debug)]
pub enum Next<V, T> {
    /// Nothing, until it is told its value.
    Wait,
    /// Accept [`Operation::blind`] under a fresh ballot (W2).
    Blind,
    /// Accept under the ballot prepared, then answer.
    Propose { proposal: Proposal<V>, new_value: bool, answer: T },
    /// Write the best row back under its own ballot (G4), then answer.
    WriteBack { ballot: Ballot, proposal: Proposal<V>, answer: T },
    /// Prepare under a fresh ballot.
    Prepare,
    /// A definite answer, with nothing left to settle.
    Answer(T),
    /// An end that claims nothing of the key.
    End(T),
    /// No result.
    Fail(Failure),
}

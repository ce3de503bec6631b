//! Completing a multipart upload (REGISTER §12): a write that several coordinators may make for one operation.
//!
//! The upload's row names the operation and the [`Base`] its head is written on. Nothing is applied twice: a coordinator
//! that does not find the operation in the lineage of the head builds only on that base.

use cairn_placement::Quorums;
use cairn_types::{Ballot, OpId};

use super::engine::Coordinator;
use super::operation::{Next, Operation, Seen};
use super::{Failure, Found, LATEST_MS};
use crate::rules::dropped;
use crate::{Proposal, Row};

/// What the head was, settled, when the completion began: kept in the upload's row.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Base {
    Head {
        root: Ballot,
        op: OpId,
        /// No value of the completion was sent at or below this ballot: the head's `accepted` when it was first read, or
        /// the floor if there was none. Stays when the base moves on.
        since: Ballot,
    },
    /// There was no row; the highest floor seen.
    Missing { floor: Ballot },
}

impl Base {
    /// The base for a head that a [`super::Read`] found.
    #[must_use]
    pub fn of<V>(found: &Found<V>) -> Self {
        match &found.row {
            Some(row) => Self::Head { root: row.root, op: row.op, since: row.accepted },
            None => Self::Missing { floor: found.floor },
        }
    }

    /// The base moved on to another operation's row of the same chain ([`Completed::Moved`]).
    #[must_use]
    pub fn moved_to<V>(self, row: &Row<V>) -> Self {
        Self::Head { root: row.root, op: row.op, since: self.since() }
    }

    /// No value of the completion was sent at or below this ballot.
    #[must_use]
    pub const fn since(self) -> Ballot {
        match self {
            Self::Head { since, .. } => since,
            Self::Missing { floor } => floor,
        }
    }
}

/// How a completion ended.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Completed<V> {
    /// Applied under this ballot.
    Applied { ballot: Ballot },
    /// Applied, and at once overwritten by an unconditional write.
    Overwritten { ballot: Ballot },
    /// Nothing was done: another operation's row came upon the base first. The caller reads the head, settled. If that
    /// is `onto` (same root and op), it judges the request's condition of it: where it does not hold, the upload's
    /// row goes back to open by a CAS from this very base, and the answer is 412; else it CASes the row's base on to
    /// [`Base::moved_to`] that row. If it is not, the base stays. Then it completes again, with the base the row has.
    Moved { onto: Row<V> },
}

/// The completion of one upload by one of its coordinators. It ends with a failure only as [`Failure::Unknown`]: others
/// may be acting for the same operation.
pub type Complete<V> = Coordinator<V, Completing<V>, Result<Completed<V>, Failure>>;

/// What a [`Complete`] decides.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Completing<V> {
    id: OpId,
    base: Base,
    value: V,
    conditional: bool,
}

impl<V: Clone> Complete<V> {
    /// `op`, `base` and `written_at_ms` are those of the upload's row. `conditional`: the request had a precondition,
    /// which held of `base`.
    #[must_use]
    pub fn new(op: OpId, base: Base, value: V, conditional: bool, quorums: Quorums, written_at_ms: u64) -> Self {
        let completing = Completing { id: op, base, value, conditional };
        Self::with(completing, quorums, written_at_ms.saturating_add(LATEST_MS)).above(base.since())
    }
}

impl<V: Clone> Operation<V> for Completing<V> {
    type Outcome = Result<Completed<V>, Failure>;

    fn queries(&self, _: bool) -> bool {
        false
    }

    fn queried(&mut self, _: &Seen<'_, V>) -> Next<V, Self::Outcome> {
        Next::Prepare
    }

    fn decide(&mut self, ballot: Ballot, seen: &Seen<'_, V>) -> Next<V, Self::Outcome> {
        let current = seen.picture.current(seen.rules);
        let again = |answer| Next::Propose {
            proposal: Proposal::again(seen.rules, &current),
            new_value: false,
            answer: Ok(answer),
        };
        if current.lineage.contains(&self.id) {
            return again(Completed::Applied { ballot });
        }
        let begun_on_floor = current.is_missing() || current.root_is_floor;
        let (same_chain, is_base) = match self.base {
            Base::Head { root, op, .. } => {
                let same_chain = !current.is_missing() && current.root == root;
                (same_chain, same_chain && current.op == op)
            }
            Base::Missing { floor } => {
                let trusted = begun_on_floor && dropped!(seen.rules, CompleteFloorIgnored);
                let same_chain = current.root <= floor || trusted;
                (same_chain, same_chain && current.is_missing())
            }
        };
        if is_base || dropped!(seen.rules, CompleteWithoutBase) {
            return Next::Propose {
                proposal: Proposal::derived(&current, self.id, Some(self.value.clone())),
                new_value: true,
                answer: Ok(Completed::Applied { ballot }),
            };
        }
        if same_chain {
            if current.trimmed > self.base.since() && !dropped!(seen.rules, CompleteTrimmedIgnored) {
                // The operation may be among the ids that fell out of the lineage.
                return Next::Fail(Failure::Unknown);
            }
            return Next::End(Ok(Completed::Moved { onto: current }));
        }
        if begun_on_floor || self.conditional {
            // Collected since, or overwritten: it may have been applied before.
            return Next::Fail(Failure::Unknown);
        }
        again(Completed::Overwritten { ballot })
    }

    fn failed(&self, failure: Failure) -> Self::Outcome {
        Err(failure)
    }

    fn is_shared(&self) -> bool {
        true
    }
}

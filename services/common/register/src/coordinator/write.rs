//! PUT and DELETE (REGISTER §5, W1–W5).

use cairn_placement::Quorums;
use cairn_types::{Ballot, OpId};

use super::engine::Coordinator;
use super::operation::{Next, Operation, Seen};
use super::{Action, Failure, LATEST_MS};
use crate::rules::dropped;
use crate::{Now, Proposal, Usage};

/// A write that was applied.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Written {
    /// The ballot that was chosen: the write's own or, where it was completed by another proposal, that one's.
    pub ballot: Ballot,
    /// Applied, and at once overwritten by another unconditional write (W4 d).
    pub overwritten: bool,
}

/// An unconditional write. The Query of W1 runs while the body flows; the value comes by [`Write::propose`].
pub type Write<V> = Coordinator<V, Blind<V>, Result<Written, Failure>>;

/// What a [`Write`] decides.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Blind<V> {
    given: Option<(OpId, Option<V>)>,
}

impl<V: Clone> Write<V> {
    /// `written_at_ms` is when the request began, by the clock that makes the ballots (B2).
    #[must_use]
    pub fn new(quorums: Quorums, written_at_ms: u64) -> Self {
        Self::with(Blind { given: None }, quorums, written_at_ms.saturating_add(LATEST_MS))
    }

    /// W2: the blocks are durable (B1); `value` none is a tombstone. Before or after the query quorum is in; once.
    #[must_use]
    pub fn propose(&mut self, op: OpId, value: Option<V>, now: &Now<'_>) -> Vec<Action<V, Result<Written, Failure>>> {
        let mut out = Vec::new();
        if self.op.given.is_none() {
            self.op.given = Some((op, value));
            if self.is_ready() {
                self.write_blind(now, &mut out);
            }
        }
        out
    }

    /// The largest usage the Query has met so far.
    #[must_use]
    pub const fn usage(&self) -> Usage {
        self.usage_seen()
    }

    /// Whether the query quorum is in, and only the value is missing.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        self.is_ready()
    }
}

impl<V: Clone> Operation<V> for Blind<V> {
    type Outcome = Result<Written, Failure>;

    /// W1; W4 once an Accept was sent.
    fn queries(&self, sent: bool) -> bool {
        !sent
    }

    fn queried(&mut self, _: &Seen<'_, V>) -> Next<V, Self::Outcome> {
        if self.given.is_some() { Next::Blind } else { Next::Wait }
    }

    /// W2.
    fn blind(&self, ballot: Ballot) -> Option<(Proposal<V>, Self::Outcome)> {
        let (op, value) = self.given.as_ref()?;
        Some((Proposal::blind(ballot, *op, value.clone()), Ok(Written { ballot, overwritten: false })))
    }

    /// W4.
    fn decide(&mut self, ballot: Ballot, seen: &Seen<'_, V>) -> Next<V, Self::Outcome> {
        let Some((op, value)) = &self.given else { return Next::Fail(Failure::NoQuorum) };
        let current = seen.picture.current(seen.rules);
        let again = |overwritten| Next::Propose {
            proposal: Proposal::again(seen.rules, &current),
            new_value: false,
            answer: Ok(Written { ballot, overwritten }),
        };
        if current.lineage.contains(op) {
            // W4 a.
            return again(false);
        }
        if current.root < seen.first || dropped!(seen.rules, ReapplyOverNewer) {
            // W4 b: never applied, and can no longer be.
            return Next::Propose {
                proposal: Proposal::blind(ballot, *op, value.clone()),
                new_value: true,
                answer: Ok(Written { ballot, overwritten: false }),
            };
        }
        if current.root_is_floor && !dropped!(seen.rules, FloorIsOverwrite) {
            // W4 c: it may have been applied, and collected since.
            return Next::Fail(Failure::Unknown);
        }
        if dropped!(seen.rules, OverwrittenUnsettled) {
            return Next::Answer(Ok(Written { ballot, overwritten: true }));
        }
        // W4 d: another unconditional write, concurrent with this one, came after it.
        again(true)
    }

    fn failed(&self, failure: Failure) -> Self::Outcome {
        Err(failure)
    }
}

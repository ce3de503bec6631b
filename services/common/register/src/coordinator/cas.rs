//! Conditional writes (REGISTER §5, C1–C5).

use cairn_placement::Quorums;
use cairn_types::{Ballot, OpId};

use super::engine::Coordinator;
use super::operation::{Next, Operation, Seen};
use super::{Failure, LATEST_MS};
use crate::Proposal;
use crate::rules::dropped;

/// What a conditional write makes of the current value; none is "no object", on both sides.
///
/// It may be asked several times, with different values. Every closure of this shape is one.
pub trait Change<V> {
    /// Why the condition does not hold.
    type Refusal: Clone;
    /// The new value, or why not.
    fn change(&mut self, current: Option<&V>) -> Result<Option<V>, Self::Refusal>;
}

impl<V, R: Clone, F: FnMut(Option<&V>) -> Result<Option<V>, R>> Change<V> for F {
    type Refusal = R;
    fn change(&mut self, current: Option<&V>) -> Result<Option<V>, R> {
        self(current)
    }
}

/// A conditional write that was applied.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Applied<V> {
    /// The ballot that was chosen.
    pub ballot: Ballot,
    /// The value made, as far as it is known: exact where the change always makes the same value, or where the
    /// operation is still the newest. Else the last one proposed.
    pub value: Option<V>,
}

/// Why a conditional write was not applied, or is not known to be.
#[derive(Clone, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum CasFailure<R> {
    /// The condition does not hold of the settled value, and the operation is not applied.
    #[error("the condition does not hold")]
    Refused(R),
    #[error(transparent)]
    Failed(Failure),
}

type Outcome<V, R> = Result<Applied<V>, CasFailure<R>>;

/// A conditional write.
pub type Cas<V, C> = Coordinator<V, Conditional<V, C>, Outcome<V, <C as Change<V>>::Refusal>>;

/// What a [`Cas`] decides.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Conditional<V, C> {
    id: OpId,
    change: C,
    /// The value last proposed.
    made: Option<V>,
}

impl<V: Clone, C: Change<V>> Cas<V, C> {
    /// `op` is new to the key; `written_at_ms` is when the request began, by the clock that makes the ballots (B2).
    #[must_use]
    pub fn new(op: OpId, change: C, quorums: Quorums, written_at_ms: u64) -> Self {
        Self::with(Conditional { id: op, change, made: None }, quorums, written_at_ms.saturating_add(LATEST_MS))
    }
}

impl<V: Clone, C: Change<V>> Operation<V> for Conditional<V, C> {
    type Outcome = Outcome<V, C::Refusal>;

    fn queries(&self, _: bool) -> bool {
        false
    }

    fn queried(&mut self, _: &Seen<'_, V>) -> Next<V, Self::Outcome> {
        Next::Prepare
    }

    /// C2–C5.
    fn decide(&mut self, ballot: Ballot, seen: &Seen<'_, V>) -> Next<V, Self::Outcome> {
        let current = seen.picture.current(seen.rules);
        let sent = !seen.first.is_zero();
        if current.lineage.contains(&self.id) && !dropped!(seen.rules, LineageIgnored) {
            // C2.
            let value = if current.op == self.id { current.value.clone() } else { self.made.clone() };
            let proposal = Proposal::again(seen.rules, &current);
            return Next::Propose { proposal, new_value: false, answer: Ok(Applied { ballot, value }) };
        }
        let newer = current.root >= seen.first && !dropped!(seen.rules, NewerChainJudged);
        let trimmed = current.trimmed >= seen.first && !dropped!(seen.rules, TrimmedIgnored);
        if sent && (newer || trimmed) {
            // C3: it may have been applied, and overwritten, collected or forgotten since.
            return Next::Fail(Failure::Unknown);
        }
        match self.change.change(current.value.as_ref()) {
            Ok(value) => {
                // C4.
                self.made.clone_from(&value);
                Next::Propose {
                    proposal: Proposal::derived(&current, self.id, value.clone()),
                    new_value: true,
                    answer: Ok(Applied { ballot, value }),
                }
            }
            // C5.
            Err(refusal) => {
                let answer = Err(CasFailure::Refused(refusal));
                if (seen.is_settled() && !sent) || dropped!(seen.rules, RefusedUnsettled) {
                    return Next::Answer(answer);
                }
                Next::Propose { proposal: Proposal::again(seen.rules, &current), new_value: false, answer }
            }
        }
    }

    fn failed(&self, failure: Failure) -> Self::Outcome {
        Err(CasFailure::Failed(failure))
    }
}

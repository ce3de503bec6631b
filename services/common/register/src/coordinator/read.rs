//! Reads: GET, HEAD, copy sources, checks of a precondition (REGISTER §5, G1–G5).

use cairn_placement::Quorums;
use cairn_types::Ballot;

use super::Failure;
use super::engine::Coordinator;
use super::operation::{Next, Operation, Seen};
use crate::rules::dropped;
use crate::{Proposal, Row};

/// What a read found, settled.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Found<V> {
    /// The chosen row, marked `committed`; its value is none for a tombstone. None: no row.
    pub row: Option<Row<V>>,
    /// Highest floor, of collection or of a joiner, that any replica of the quorum reported.
    pub floor: Ballot,
}

/// A linearizable read.
pub type Read<V> = Coordinator<V, Reading, Result<Found<V>, Failure>>;

/// What a [`Read`] decides.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Reading;

impl<V: Clone> Read<V> {
    #[must_use]
    pub fn new(quorums: Quorums) -> Self {
        Self::with(Reading, quorums, u64::MAX)
    }
}

impl<V: Clone> Operation<V> for Reading {
    type Outcome = Result<Found<V>, Failure>;

    /// G1.
    fn queries(&self, _: bool) -> bool {
        true
    }

    fn queried(&mut self, seen: &Seen<'_, V>) -> Next<V, Self::Outcome> {
        let floor = seen.picture.floor;
        let settled = |row: Row<V>| Row { committed: true, ..row };
        let answer = Ok(Found { row: seen.picture.best.clone().map(settled), floor });
        // G2, G3.
        if seen.is_settled() || dropped!(seen.rules, ReadUnsettled) {
            return Next::Answer(answer);
        }
        match &seen.picture.best {
            // G4: a row of this epoch only (E8).
            Some(best)
                if !seen.picture.in_doubt(seen.rules)
                    && (seen.is_current(best.accepted) || dropped!(seen.rules, OldEpochWrittenBack)) =>
            {
                Next::WriteBack { ballot: best.accepted, proposal: Proposal::written_back(best), answer }
            }
            _ => Next::Prepare,
        }
    }

    /// G5. Where there is no row, a tombstone at the end of the floor's chain is settled.
    fn decide(&mut self, ballot: Ballot, seen: &Seen<'_, V>) -> Next<V, Self::Outcome> {
        let current = seen.picture.current(seen.rules);
        let proposal = Proposal::again(seen.rules, &current);
        let row = Row { accepted: ballot, blind: false, lo: Ballot::ZERO, committed: true, ..current };
        Next::Propose { proposal, new_value: false, answer: Ok(Found { row: Some(row), floor: seen.picture.floor }) }
    }

    fn failed(&self, failure: Failure) -> Self::Outcome {
        Err(failure)
    }
}

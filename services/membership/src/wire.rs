//! Wire <-> domain of what only membership daemons say to each other and to operators.

use std::sync::Arc;

use cairn_model::view::{decode_record, encode_record};
use cairn_model::wire::WireError;
use cairn_placement::{LayoutRecord, RingKind};
use cairn_proto::membership::v1;
use cairn_register::voters::{Answer, Ballot, Message, Open};
use cairn_types::StoreId;

use crate::disk::{Record, voters_record};
use crate::plan::NodePreview;

/// What no honest record exceeds; far enough below the largest number that nobody has to think of it.
const MAX_NUMBER: u64 = u64::MAX / 2;
const MAX_EPOCH: u32 = u32::MAX / 2;

pub(crate) type Vote = Message<Arc<LayoutRecord>>;
pub(crate) type VoteAnswer = Answer<Arc<LayoutRecord>>;

pub(crate) const fn encode_ballot(ballot: Ballot) -> v1::VoteBallot {
    v1::VoteBallot { number: ballot.number, time: ballot.time, proposer: ballot.proposer }
}

pub(crate) const fn decode_ballot(ballot: v1::VoteBallot) -> Ballot {
    Ballot { number: ballot.number, time: ballot.time, proposer: ballot.proposer }
}

pub(crate) fn encode_vote(store: StoreId, vote: &Vote) -> v1::VoteRequest {
    use v1::vote_request::Vote as Wire;
    let record = |record: &Record| Some(encode_record(&record.content));
    let vote = match vote {
        Message::Query => Wire::Query(v1::VoteQuery {}),
        Message::Prepare { ballot, base } => {
            Wire::Prepare(v1::VotePrepare { ballot: Some(encode_ballot(*ballot)), base: record(base) })
        }
        Message::Accept { ballot, base, record: proposed } => Wire::Accept(v1::VoteAccept {
            ballot: Some(encode_ballot(*ballot)),
            base: record(base),
            record: record(proposed),
        }),
        Message::Learn { chosen } => Wire::Learn(v1::VoteLearn { chosen: record(chosen) }),
    };
    v1::VoteRequest { store_id: store.to_bytes(), vote: Some(vote) }
}

pub(crate) fn decode_vote(vote: v1::vote_request::Vote) -> Result<Vote, WireError> {
    use v1::vote_request::Vote as Wire;
    let ballot = |ballot: Option<v1::VoteBallot>| ballot.map(decode_ballot).ok_or(WireError::Missing("ballot"));
    Ok(match vote {
        Wire::Query(v1::VoteQuery {}) => Message::Query,
        Wire::Prepare(prepare) => Message::Prepare { ballot: ballot(prepare.ballot)?, base: required(prepare.base)? },
        Wire::Accept(accept) => Message::Accept {
            ballot: ballot(accept.ballot)?,
            base: required(accept.base)?,
            record: required(accept.record)?,
        },
        Wire::Learn(learn) => Message::Learn { chosen: required(learn.chosen)? },
    })
}

/// A record that takes part in votes: it has voters, and a number with room for others behind it.
pub(crate) fn votable(record: v1::LayoutRecord) -> Result<Record, WireError> {
    let record = decode_record(record)?;
    if record.number == 0 || record.voters.is_empty() {
        return Err(WireError::Missing("number or voters of a layout record"));
    }
    if record.number > MAX_NUMBER || record.epoch.0 > MAX_EPOCH {
        return Err(WireError::malformed("layout record", "a number or an epoch that no cluster reaches"));
    }
    Ok(voters_record(Arc::new(record)))
}

fn required(record: Option<v1::LayoutRecord>) -> Result<Record, WireError> {
    votable(record.ok_or(WireError::Missing("layout record"))?)
}

pub(crate) fn encode_answer(store: StoreId, answer: &VoteAnswer) -> v1::VoteResponse {
    let open = answer.open.as_ref();
    v1::VoteResponse {
        store_id: store.to_bytes(),
        ack: answer.ack,
        promised: Some(encode_ballot(answer.promised)),
        chosen: answer.chosen.as_ref().map(|record| encode_record(&record.content)),
        open: open.map(|open| encode_record(&open.record.content)),
        open_ballot: open.map(|open| encode_ballot(open.ballot)),
    }
}

pub(crate) fn decode_answer(answer: v1::VoteResponse) -> Result<VoteAnswer, WireError> {
    let open = match (answer.open_ballot, answer.open) {
        (Some(ballot), Some(open)) => Some(Open { ballot: decode_ballot(ballot), record: votable(open)? }),
        (None, None) => None,
        _ => return Err(WireError::Missing("open record or its ballot")),
    };
    Ok(Answer {
        ack: answer.ack,
        promised: answer.promised.map_or(Ballot::ZERO, decode_ballot),
        chosen: answer.chosen.map(votable).transpose()?,
        open,
    })
}

pub(crate) fn encode_preview(node: &NodePreview) -> v1::NodePreview {
    let role = match node.ring {
        RingKind::Table => v1::Role::Table,
        RingKind::Block => v1::Role::Block,
    };
    let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    v1::NodePreview {
        name: node.name.to_string(),
        role: role.into(),
        zone: node.zone.to_string(),
        partitions_before: small(node.partitions_before),
        partitions_after: small(node.partitions_after),
        usable_bytes: node.usable_bytes,
        bytes_to_move: node.bytes_to_move,
    }
}

#[cfg(test)]
mod tests {
    use cairn_types::OpId;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::first_record;

    fn record(number: u64) -> Record {
        let mut record = first_record();
        (record.number, record.op) = (number, OpId([number.to_le_bytes()[0]; 16]));
        voters_record(Arc::new(record))
    }

    fn ballot() -> impl Strategy<Value = Ballot> {
        any::<(u64, u64, u64)>().prop_map(|(number, time, proposer)| Ballot { number, time, proposer })
    }

    fn vote() -> impl Strategy<Value = Vote> {
        prop_oneof![
            Just(Message::Query),
            (ballot(), 1..9_u64).prop_map(|(ballot, base)| Message::Prepare { ballot, base: record(base) }),
            (ballot(), 1..9_u64).prop_map(|(ballot, base)| Message::Accept {
                ballot,
                base: record(base),
                record: record(base + 1)
            }),
            (1..9_u64).prop_map(|number| Message::Learn { chosen: record(number) }),
        ]
    }

    proptest! {
        #[test]
        fn votes_round_trip(vote in vote()) {
            let wire = encode_vote(StoreId([4; 16]), &vote);
            prop_assert_eq!(decode_vote(wire.vote.unwrap()), Ok(vote));
        }

        #[test]
        fn answers_round_trip(ack in any::<bool>(), promised in ballot(), known in any::<bool>(), open in any::<bool>()) {
            let open = open.then(|| Open { ballot: promised, record: record(3) });
            let answer = Answer { ack, promised, chosen: known.then(|| record(2)), open };
            prop_assert_eq!(decode_answer(encode_answer(StoreId([4; 16]), &answer)), Ok(answer));
        }
    }

    #[test]
    fn records_that_cannot_be_take_no_part() {
        let mut nobody = first_record();
        nobody.voters.clear();
        assert!(votable(encode_record(&nobody)).is_err());
        let zeroth = LayoutRecord { number: 0, ..first_record() };
        assert!(votable(encode_record(&zeroth)).is_err());
        let endless = LayoutRecord { number: u64::MAX, ..first_record() };
        assert!(votable(encode_record(&endless)).is_err());
    }
}

//! Batches of register messages, and replies to them.

use cairn_proto::table::v1;
use cairn_register::{Gate, Message, Reply, Usage, Verdict};
use cairn_types::{Epoch, RowKey, StoreId};
use v1::register_call::Message as Wire;

use super::rows::{
    decode_ballot, decode_key, decode_proposal, decode_row, encode_ballot, encode_key, encode_proposal, encode_row,
    real_ballot,
};
use super::{MAX_CALLS, WireError, at_most, decode_id};
use crate::Envelope;

/// The message of one call; its key travels beside it.
#[must_use]
pub fn encode_message(message: &Message<Envelope>) -> Wire {
    match message {
        Message::Query => Wire::Query(v1::Query {}),
        Message::Prepare { ballot } => Wire::Prepare(v1::Prepare { ballot: encode_ballot(*ballot) }),
        Message::Accept { ballot, proposal, new_value } => Wire::Accept(v1::Accept {
            ballot: encode_ballot(*ballot),
            proposal: Some(encode_proposal(proposal)),
            new_value: *new_value,
        }),
        Message::WriteBack { ballot, proposal } => {
            Wire::WriteBack(v1::WriteBack { ballot: encode_ballot(*ballot), proposal: Some(encode_proposal(proposal)) })
        }
        Message::Commit { ballot } => Wire::Commit(v1::Commit { ballot: encode_ballot(*ballot) }),
        Message::Learn { row } => Wire::Learn(v1::Learn { row: Some(encode_row(row)) }),
        Message::Redeliver { row } => Wire::Redeliver(v1::Redeliver { row: Some(encode_row(row)) }),
        Message::GcDrop { ballot } => Wire::GcDrop(v1::GcDrop { ballot: encode_ballot(*ballot) }),
    }
}

/// Refuses messages without a ballot, proposal or row where one belongs.
pub fn decode_message(message: Wire) -> Result<Message<Envelope>, WireError> {
    let proposal = |proposal: Option<v1::Proposal>| decode_proposal(proposal.ok_or(WireError::Missing("proposal"))?);
    let row = |row: Option<v1::Row>| decode_row(row.ok_or(WireError::Missing("row"))?);
    Ok(match message {
        Wire::Query(v1::Query {}) => Message::Query,
        Wire::Prepare(prepare) => Message::Prepare { ballot: real_ballot("ballot", prepare.ballot)? },
        Wire::Accept(accept) => Message::Accept {
            ballot: real_ballot("ballot", accept.ballot)?,
            proposal: proposal(accept.proposal)?,
            new_value: accept.new_value,
        },
        Wire::WriteBack(back) => {
            Message::WriteBack { ballot: real_ballot("ballot", back.ballot)?, proposal: proposal(back.proposal)? }
        }
        Wire::Commit(commit) => Message::Commit { ballot: real_ballot("ballot", commit.ballot)? },
        Wire::Learn(learn) => Message::Learn { row: row(learn.row)? },
        Wire::Redeliver(redeliver) => Message::Redeliver { row: row(redeliver.row)? },
        Wire::GcDrop(drop) => Message::GcDrop { ballot: real_ballot("ballot", drop.ballot)? },
    })
}

/// A batch without the header that only unary calls carry.
#[must_use]
pub fn encode_register_request(batch: &[(RowKey, Message<Envelope>)]) -> v1::RegisterRequest {
    let call = |(key, message): &(RowKey, Message<Envelope>)| v1::RegisterCall {
        key: Some(encode_key(key)),
        message: Some(encode_message(message)),
    };
    v1::RegisterRequest { header: None, calls: batch.iter().map(call).collect() }
}

/// Refuses empty batches and more than [`MAX_CALLS`] messages. The header is the caller's to judge.
pub fn decode_register_request(request: v1::RegisterRequest) -> Result<Vec<(RowKey, Message<Envelope>)>, WireError> {
    if request.calls.is_empty() {
        return Err(WireError::Missing("call"));
    }
    at_most("batch", request.calls.len(), MAX_CALLS)?;
    let call = |call: v1::RegisterCall| {
        let key = decode_key(call.key.ok_or(WireError::Missing("row key"))?)?;
        Ok((key, decode_message(call.message.ok_or(WireError::Missing("message"))?)?))
    };
    request.calls.into_iter().map(call).collect()
}

#[must_use]
pub fn encode_register_response(store: StoreId, epoch: Epoch, replies: &[Reply<Envelope>]) -> v1::RegisterResponse {
    v1::RegisterResponse {
        store_id: store.to_bytes(),
        epoch: epoch.0,
        replies: replies.iter().map(encode_reply).collect(),
    }
}

/// Who answered, its epoch, and one reply a call. Refuses another number of replies than `expected`.
pub fn decode_register_response(
    response: v1::RegisterResponse,
    expected: usize,
) -> Result<(StoreId, Epoch, Vec<Reply<Envelope>>), WireError> {
    let store = decode_id("store id", &response.store_id)?;
    if response.replies.len() != expected {
        let why = format!("{} replies to {expected} calls", response.replies.len());
        return Err(WireError::malformed("register response", why));
    }
    let replies = response.replies.into_iter().map(decode_reply).collect::<Result<_, _>>()?;
    Ok((store, Epoch(response.epoch), replies))
}

fn encode_reply(reply: &Reply<Envelope>) -> v1::RegisterReply {
    let (gate, gate_number) = encode_gate(reply.gate);
    v1::RegisterReply {
        verdict: encode_verdict(reply.verdict).into(),
        promised: encode_ballot(reply.promised),
        floor: encode_ballot(reply.floor),
        row: reply.row.as_ref().map(encode_row),
        gate: gate.into(),
        usage_objects: reply.usage.objects,
        usage_bytes: reply.usage.bytes,
        gate_number,
        joined: encode_ballot(reply.joined),
    }
}

fn decode_reply(reply: v1::RegisterReply) -> Result<Reply<Envelope>, WireError> {
    Ok(Reply {
        verdict: decode_verdict(reply.verdict)?,
        promised: decode_ballot(reply.promised),
        floor: decode_ballot(reply.floor),
        joined: decode_ballot(reply.joined),
        gate: decode_gate(reply.gate, reply.gate_number)?,
        row: reply.row.map(decode_row).transpose()?,
        usage: Usage { objects: reply.usage_objects, bytes: reply.usage_bytes },
    })
}

/// The state, and the number of a closing gate.
#[must_use]
pub const fn encode_gate(gate: Gate) -> (v1::Gate, u64) {
    match gate {
        Gate::Open => (v1::Gate::Open, 0),
        Gate::Closing(number) => (v1::Gate::Closing, number),
        Gate::Sealed => (v1::Gate::Sealed, 0),
    }
}

/// Unspecified means open: most replies concern keys without a gate.
pub fn decode_gate(gate: i32, number: u64) -> Result<Gate, WireError> {
    match v1::Gate::try_from(gate) {
        Ok(v1::Gate::Unspecified | v1::Gate::Open) => Ok(Gate::Open),
        Ok(v1::Gate::Closing) => Ok(Gate::Closing(number)),
        Ok(v1::Gate::Sealed) => Ok(Gate::Sealed),
        Err(error) => Err(WireError::malformed("gate", error)),
    }
}

const fn encode_verdict(verdict: Verdict) -> v1::Verdict {
    match verdict {
        Verdict::Ack => v1::Verdict::Ack,
        Verdict::Absorbed => v1::Verdict::Absorbed,
        Verdict::Nack => v1::Verdict::Nack,
        Verdict::ClockSkew => v1::Verdict::ClockSkew,
        Verdict::Sealed => v1::Verdict::Sealed,
        Verdict::NotHere => v1::Verdict::NotHere,
    }
}

fn decode_verdict(verdict: i32) -> Result<Verdict, WireError> {
    match v1::Verdict::try_from(verdict) {
        Ok(v1::Verdict::Unspecified) => Err(WireError::Missing("verdict")),
        Ok(v1::Verdict::Ack) => Ok(Verdict::Ack),
        Ok(v1::Verdict::Absorbed) => Ok(Verdict::Absorbed),
        Ok(v1::Verdict::Nack) => Ok(Verdict::Nack),
        Ok(v1::Verdict::ClockSkew) => Ok(Verdict::ClockSkew),
        Ok(v1::Verdict::Sealed) => Ok(Verdict::Sealed),
        Ok(v1::Verdict::NotHere) => Ok(Verdict::NotHere),
        Err(error) => Err(WireError::malformed("verdict", error)),
    }
}

//! Keys, ballots, envelopes, proposals and rows.

use bytes::Bytes;
use cairn_proto::common::v1 as common;
use cairn_proto::table::v1;
use cairn_register::{Proposal, Row};
use cairn_types::{Ballot, ManifestId, OpId, RowKey, Table};

use super::{MAX_ENVELOPE, MAX_OWNER, MAX_REFS, WireError, at_most, decode_id};
use crate::Envelope;

/// None for [`Ballot::ZERO`].
#[must_use]
pub fn encode_ballot(ballot: Ballot) -> Option<common::Ballot> {
    let Ballot { epoch, time, proposer } = ballot;
    (!ballot.is_zero()).then_some(common::Ballot { epoch, time, proposer })
}

/// Absent: [`Ballot::ZERO`].
#[must_use]
pub fn decode_ballot(ballot: Option<common::Ballot>) -> Ballot {
    ballot.map_or(Ballot::ZERO, |common::Ballot { epoch, time, proposer }| Ballot { epoch, time, proposer })
}

/// A ballot that must be one.
pub(super) fn real_ballot(what: &'static str, ballot: Option<common::Ballot>) -> Result<Ballot, WireError> {
    let ballot = decode_ballot(ballot);
    if ballot.is_zero() { Err(WireError::Missing(what)) } else { Ok(ballot) }
}

#[must_use]
pub fn encode_key(key: &RowKey) -> v1::RowKey {
    v1::RowKey { table: key.table as u32, partition_key: key.partition_key.clone(), sort_key: key.sort_key.clone() }
}

/// Refuses unknown tables, an empty partition key, and keys beyond [`RowKey`]'s bounds.
pub fn decode_key(key: v1::RowKey) -> Result<RowKey, WireError> {
    let table = Table::try_from(key.table).map_err(|error| WireError::malformed("row key", error))?;
    if key.partition_key.is_empty() {
        return Err(WireError::Missing("partition key"));
    }
    at_most("partition key", key.partition_key.len(), RowKey::MAX_PARTITION_KEY)?;
    at_most("sort key", key.sort_key.len(), RowKey::MAX_SORT_KEY)?;
    Ok(RowKey { table, partition_key: key.partition_key, sort_key: key.sort_key })
}

#[must_use]
pub fn encode_envelope(envelope: &Envelope) -> v1::Envelope {
    v1::Envelope {
        owner: envelope.owner.clone(),
        refs: envelope.refs.iter().map(ManifestId::to_bytes).collect(),
        objects: envelope.objects,
        bytes: envelope.bytes,
        value: envelope.value.clone(),
        data: envelope.data.clone(),
    }
}

/// Refuses what is beyond [`MAX_OWNER`], [`MAX_REFS`] and [`MAX_ENVELOPE`].
pub fn decode_envelope(envelope: v1::Envelope) -> Result<Envelope, WireError> {
    at_most("owner", envelope.owner.len(), MAX_OWNER)?;
    at_most("list of references", envelope.refs.len(), MAX_REFS)?;
    at_most("envelope", envelope.value.len().saturating_add(envelope.data.len()), MAX_ENVELOPE)?;
    Ok(Envelope {
        refs: envelope.refs.iter().map(|id| decode_id("manifest id", id)).collect::<Result<_, _>>()?,
        owner: envelope.owner,
        objects: envelope.objects,
        bytes: envelope.bytes,
        value: envelope.value,
        data: envelope.data,
    })
}

#[must_use]
pub fn encode_proposal(proposal: &Proposal<Envelope>) -> v1::Proposal {
    v1::Proposal {
        root: encode_ballot(proposal.root),
        root_is_floor: proposal.root_is_floor,
        blind: proposal.blind,
        op: encode_op(proposal.op),
        lineage: encode_lineage(proposal.op, &proposal.lineage),
        trimmed: encode_ballot(proposal.trimmed),
        trim_next: encode_ballot(proposal.trim_next),
        envelope: proposal.value.as_ref().map(encode_envelope),
    }
}

pub fn decode_proposal(proposal: v1::Proposal) -> Result<Proposal<Envelope>, WireError> {
    let op = decode_op(&proposal.op)?;
    Ok(Proposal {
        root: decode_ballot(proposal.root),
        root_is_floor: proposal.root_is_floor,
        blind: proposal.blind,
        op,
        lineage: decode_lineage(op, &proposal.lineage)?,
        trimmed: decode_ballot(proposal.trimmed),
        trim_next: decode_ballot(proposal.trim_next),
        value: proposal.envelope.map(decode_envelope).transpose()?,
    })
}

#[must_use]
pub fn encode_row(row: &Row<Envelope>) -> v1::Row {
    v1::Row {
        accepted: encode_ballot(row.accepted),
        root: if row.root == row.accepted { None } else { encode_root(row.root) },
        root_is_floor: row.root_is_floor,
        lo: encode_ballot(row.lo),
        blind: row.blind,
        op: encode_op(row.op),
        lineage: encode_lineage(row.op, &row.lineage),
        trimmed: encode_ballot(row.trimmed),
        trim_next: encode_ballot(row.trim_next),
        committed: row.committed,
        envelope: row.value.as_ref().map(encode_envelope),
    }
}

/// Refuses a row without a ballot.
pub fn decode_row(row: v1::Row) -> Result<Row<Envelope>, WireError> {
    let accepted = real_ballot("accepted ballot", row.accepted)?;
    let op = decode_op(&row.op)?;
    Ok(Row {
        accepted,
        root: row.root.map_or(accepted, |root| decode_ballot(Some(root))),
        root_is_floor: row.root_is_floor,
        lo: decode_ballot(row.lo),
        blind: row.blind,
        op,
        lineage: decode_lineage(op, &row.lineage)?,
        trimmed: decode_ballot(row.trimmed),
        trim_next: decode_ballot(row.trim_next),
        committed: row.committed,
        value: row.envelope.map(decode_envelope).transpose()?,
    })
}

/// A root is sent even when it is zero: absent means "equal to `accepted`".
const fn encode_root(root: Ballot) -> Option<common::Ballot> {
    let Ballot { epoch, time, proposer } = root;
    Some(common::Ballot { epoch, time, proposer })
}

fn encode_op(op: OpId) -> Bytes {
    if op.is_zero() { Bytes::new() } else { op.to_bytes() }
}

/// Absent: the zero id, which stands for "no operation" where a missing row is proposed again.
fn decode_op(bytes: &Bytes) -> Result<OpId, WireError> {
    if bytes.is_empty() {
        return Ok(OpId::default());
    }
    decode_id("operation id", bytes)
}

/// What `op` alone implies is left out.
fn encode_lineage(op: OpId, lineage: &[OpId]) -> Vec<Bytes> {
    if lineage == implied_lineage(op) { Vec::new() } else { lineage.iter().map(OpId::to_bytes).collect() }
}

fn decode_lineage(op: OpId, lineage: &[Bytes]) -> Result<Vec<OpId>, WireError> {
    at_most("lineage", lineage.len(), Row::<Envelope>::LINEAGE)?;
    if lineage.is_empty() {
        return Ok(implied_lineage(op));
    }
    lineage.iter().map(|id| decode_id("lineage", id)).collect()
}

fn implied_lineage(op: OpId) -> Vec<OpId> {
    if op.is_zero() { Vec::new() } else { vec![op] }
}

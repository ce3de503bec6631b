//! Range requests and replies.

use cairn_model::wire::{
    WireError, at_most, decode_ballot, decode_gate, decode_id, decode_row, encode_ballot, encode_gate, encode_row,
};
use cairn_proto::table::v1;
use cairn_types::{Epoch, RowKey, Table};

use super::{MAX_DELIMITER, MAX_RANGE};
use crate::{Range, RangePrefix, RangeReply, RangeRow};

/// A range without the header that only unary calls carry.
#[must_use]
pub fn encode_range(range: &Range) -> v1::RangeRequest {
    v1::RangeRequest {
        header: None,
        table: range.table as u32,
        partition_key: range.partition_key.clone(),
        prefix: range.prefix.clone(),
        start: range.start.clone(),
        limit: u32::try_from(range.limit).unwrap_or(u32::MAX),
        delimiter: range.delimiter.clone(),
        with_data: range.with_data,
    }
}

/// Refuses unknown tables, keys beyond [`RowKey`]'s bounds, and limits outside 1 to [`MAX_RANGE`].
pub fn decode_range(range: v1::RangeRequest) -> Result<Range, WireError> {
    let table = Table::try_from(range.table).map_err(|error| WireError::malformed("range", error))?;
    if range.partition_key.is_empty() {
        return Err(WireError::Missing("partition key"));
    }
    at_most("partition key", range.partition_key.len(), RowKey::MAX_PARTITION_KEY)?;
    at_most("prefix", range.prefix.len(), RowKey::MAX_SORT_KEY)?;
    // One byte more than a key: "after this key" is the key and a zero byte.
    at_most("start", range.start.len(), RowKey::MAX_SORT_KEY + 1)?;
    at_most("delimiter", range.delimiter.len(), MAX_DELIMITER)?;
    let limit = usize::try_from(range.limit).unwrap_or(usize::MAX);
    if limit == 0 {
        return Err(WireError::Missing("limit"));
    }
    at_most("range", limit, MAX_RANGE)?;
    Ok(Range {
        table,
        partition_key: range.partition_key,
        prefix: range.prefix,
        start: range.start,
        limit,
        delimiter: range.delimiter,
        with_data: range.with_data,
    })
}

#[must_use]
pub fn encode_range_reply(reply: &RangeReply) -> v1::RangeResponse {
    let (gate, gate_number) = encode_gate(reply.gate);
    let row = |row: &RangeRow| v1::RangeRow { sort_key: row.sort_key.clone(), row: Some(encode_row(&row.row)) };
    let prefix = |prefix: &RangePrefix| v1::RangePrefix {
        prefix: prefix.prefix.clone(),
        witness_key: prefix.witness_key.clone(),
        witness: Some(encode_row(&prefix.witness)),
    };
    v1::RangeResponse {
        store_id: reply.store.to_bytes(),
        epoch: reply.epoch.0,
        rows: reply.rows.iter().map(row).collect(),
        prefixes: reply.prefixes.iter().map(prefix).collect(),
        scanned_to: reply.scanned_to.clone().unwrap_or_default(),
        end: reply.scanned_to.is_none(),
        floor: encode_ballot(reply.floor),
        gate: gate.into(),
        gate_number,
        joined: encode_ballot(reply.joined),
    }
}

/// Refuses more than [`MAX_RANGE`] rows and prefixes, and rows or prefixes out of order.
pub fn decode_range_reply(reply: v1::RangeResponse) -> Result<RangeReply, WireError> {
    at_most("range", reply.rows.len().saturating_add(reply.prefixes.len()), MAX_RANGE)?;
    let rows = reply.rows.into_iter().map(decode_range_row).collect::<Result<Vec<_>, _>>()?;
    let prefixes = reply.prefixes.into_iter().map(decode_range_prefix).collect::<Result<Vec<_>, _>>()?;
    let ordered = rows.is_sorted_by(|a, b| a.sort_key < b.sort_key)
        && prefixes.is_sorted_by(|a: &RangePrefix, b| a.prefix < b.prefix);
    if !ordered {
        return Err(WireError::malformed("range", "not in the order of its keys"));
    }
    Ok(RangeReply {
        store: decode_id("store id", &reply.store_id)?,
        epoch: Epoch(reply.epoch),
        rows,
        prefixes,
        scanned_to: (!reply.end).then_some(reply.scanned_to),
        floor: decode_ballot(reply.floor),
        joined: decode_ballot(reply.joined),
        gate: decode_gate(reply.gate, reply.gate_number)?,
    })
}

fn decode_range_row(row: v1::RangeRow) -> Result<RangeRow, WireError> {
    at_most("sort key", row.sort_key.len(), RowKey::MAX_SORT_KEY)?;
    Ok(RangeRow { sort_key: row.sort_key, row: decode_row(row.row.ok_or(WireError::Missing("row"))?)? })
}

fn decode_range_prefix(prefix: v1::RangePrefix) -> Result<RangePrefix, WireError> {
    at_most("sort key", prefix.witness_key.len(), RowKey::MAX_SORT_KEY)?;
    if !prefix.witness_key.starts_with(&prefix.prefix) {
        return Err(WireError::malformed("common prefix", "its witness lies elsewhere"));
    }
    Ok(RangePrefix {
        prefix: prefix.prefix,
        witness_key: prefix.witness_key,
        witness: decode_row(prefix.witness.ok_or(WireError::Missing("witness"))?)?,
    })
}

//! A stored key as a range lists it: all but the inline data, which is skipped, not copied.

use bytes::Bytes;
use cairn_proto::common::v1 as common;
use cairn_proto::table::v1;
use cairn_register::KeyState;
use prost::Message as _;

use super::WireError;
use super::disk::{StoredKey, decode_stored};
use crate::Envelope;

/// [`StoredKey`] without the data of its envelope. Fields are those of `cairn.table.v1`.
#[derive(Clone, PartialEq, prost::Message)]
struct ListedKey {
    #[prost(uint32, tag = "1")]
    format: u32,
    #[prost(message, optional, tag = "2")]
    promised: Option<common::Ballot>,
    #[prost(message, optional, tag = "3")]
    row: Option<ListedRow>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ListedRow {
    #[prost(message, optional, tag = "1")]
    accepted: Option<common::Ballot>,
    #[prost(message, optional, tag = "2")]
    root: Option<common::Ballot>,
    #[prost(bool, tag = "3")]
    root_is_floor: bool,
    #[prost(message, optional, tag = "4")]
    lo: Option<common::Ballot>,
    #[prost(bool, tag = "5")]
    blind: bool,
    #[prost(bytes = "bytes", tag = "6")]
    op: Bytes,
    #[prost(bytes = "bytes", repeated, tag = "7")]
    lineage: Vec<Bytes>,
    #[prost(message, optional, tag = "8")]
    trimmed: Option<common::Ballot>,
    #[prost(bool, tag = "9")]
    committed: bool,
    #[prost(message, optional, tag = "10")]
    envelope: Option<ListedEnvelope>,
    #[prost(message, optional, tag = "11")]
    trim_next: Option<common::Ballot>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ListedEnvelope {
    #[prost(bytes = "bytes", tag = "1")]
    owner: Bytes,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    refs: Vec<Bytes>,
    #[prost(uint32, tag = "3")]
    objects: u32,
    #[prost(uint64, tag = "4")]
    bytes: u64,
    #[prost(bytes = "bytes", tag = "5")]
    value: Bytes,
}

/// [`super::decode_key_state`] with empty [`Envelope::data`]; what is kept is copied out of `bytes`.
pub fn decode_listed_key_state(bytes: &[u8]) -> Result<KeyState<Envelope>, WireError> {
    let listed = ListedKey::decode(bytes).map_err(|error| WireError::malformed("stored key", error))?;
    let ListedKey { format, promised, row } = listed;
    decode_stored(StoredKey { format, promised, row: row.map(whole_row) })
}

fn whole_row(row: ListedRow) -> v1::Row {
    let envelope = |ListedEnvelope { owner, refs, objects, bytes, value }| {
        let data = Bytes::new();
        v1::Envelope { owner, refs, objects, bytes, value, data }
    };
    v1::Row {
        accepted: row.accepted,
        root: row.root,
        root_is_floor: row.root_is_floor,
        lo: row.lo,
        blind: row.blind,
        op: row.op,
        lineage: row.lineage,
        trimmed: row.trimmed,
        committed: row.committed,
        envelope: row.envelope.map(envelope),
        trim_next: row.trim_next,
    }
}

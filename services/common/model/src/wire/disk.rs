//! What a table keeps on disk for one key.

use bytes::Bytes;
use cairn_proto::common::v1 as common;
use cairn_proto::table::v1;
use cairn_register::KeyState;
use prost::Message as _;

use super::rows::{decode_ballot, decode_row, encode_ballot, encode_row};
use super::{WireError, decode_bytes};
use crate::Envelope;

/// The format written today. A reader refuses later ones; earlier ones stay readable for ever.
const FORMAT: u32 = 1;

/// A key's state on disk. Field numbers are never reused.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct StoredKey {
    #[prost(uint32, tag = "1")]
    pub(super) format: u32,
    /// Absent: equal to the row's accepted ballot, or none where there is no row.
    #[prost(message, optional, tag = "2")]
    pub(super) promised: Option<common::Ballot>,
    #[prost(message, optional, tag = "3")]
    pub(super) row: Option<v1::Row>,
}

#[must_use]
pub fn encode_key_state(state: &KeyState<Envelope>) -> Vec<u8> {
    let accepted = state.row.as_ref().map(|row| row.accepted);
    let promised = if accepted == Some(state.promised) { None } else { encode_ballot(state.promised) };
    StoredKey { format: FORMAT, promised, row: state.row.as_ref().map(encode_row) }.encode_to_vec()
}

/// Refuses other formats, and a promise below the accepted ballot (REGISTER §2).
pub fn decode_key_state(bytes: Bytes) -> Result<KeyState<Envelope>, WireError> {
    decode_stored(decode_bytes("stored key", bytes)?)
}

pub(super) fn decode_stored(stored: StoredKey) -> Result<KeyState<Envelope>, WireError> {
    const WHAT: &str = "stored key";
    if stored.format != FORMAT {
        return Err(WireError::malformed(WHAT, format!("format {} is not {FORMAT}", stored.format)));
    }
    let row = stored.row.map(decode_row).transpose()?;
    let promised = match (&stored.promised, &row) {
        (None, Some(row)) => row.accepted,
        (promised, _) => decode_ballot(*promised),
    };
    if row.as_ref().is_some_and(|row| row.accepted > promised) {
        return Err(WireError::malformed(WHAT, "accepted above its promise"));
    }
    Ok(KeyState { promised, row })
}

//! What a table keeps on disk for one key.
//!
//! ```text
//! format | flags | promised | length of the row | row | data
//!      1 |     1 |       20 |                 4 |
//! ```
//!
//! `row` is a `cairn.table.v1.Row` whose envelope has no data: that follows it, so that a listing reads, copies and
//! sends rows as they stand here. `promised` (epoch u32, time u64, proposer u64) stands only where it is not the row's
//! accepted ballot. Integers are big-endian. Flags are never reused.

use bytes::{Buf as _, BufMut as _, Bytes};
use cairn_proto::common::v1 as common;
use cairn_proto::table::v1;
use cairn_register::{KeyState, Row};
use cairn_types::Ballot;
use prost::Message as _;

use super::rows::{decode_ballot, decode_row, encode_row};
use super::{MAX_ENVELOPE, WireError, at_most, decode_bytes};
use crate::Envelope;

/// The format written today. A reader refuses later ones; earlier ones stay readable for ever.
const FORMAT: u8 = 1;
/// `promised` stands.
const HAS_PROMISED: u8 = 1;
/// `row` stands.
const HAS_ROW: u8 = 2;
/// The row has an envelope: it is no tombstone.
const IS_LIVE: u8 = 4;

/// Of `cairn.table.v1.Row.accepted`: field 1, a message, which is shorter than 128 bytes.
const ACCEPTED_TAG: u8 = 1 << 3 | 2;

const WHAT: &str = "stored key";

#[must_use]
pub fn encode_key_state(state: &KeyState<Envelope>) -> Vec<u8> {
    let (row, data) = state.row.as_ref().map_or((None, &[][..]), without_data);
    let promised = (state.row.as_ref().map(|row| row.accepted) != Some(state.promised)).then_some(state.promised);
    let live = state.row.as_ref().is_some_and(|row| row.value.is_some());
    let flags = if promised.is_some() { HAS_PROMISED } else { 0 }
        | if row.is_some() { HAS_ROW } else { 0 }
        | if live { IS_LIVE } else { 0 };
    let row_length = row.as_ref().map_or(0, v1::Row::encoded_len);
    let mut bytes = Vec::with_capacity(26 + row_length + data.len());
    bytes.put_slice(&[FORMAT, flags]);
    if let Some(Ballot { epoch, time, proposer }) = promised {
        bytes.put_u32(epoch);
        bytes.put_u64(time);
        bytes.put_u64(proposer);
    }
    if let Some(row) = row {
        bytes.put_u32(u32::try_from(row_length).unwrap_or(u32::MAX));
        row.encode_raw(&mut bytes);
        bytes.put_slice(data);
    }
    bytes
}

/// Refuses other formats, and a promise below the accepted ballot (REGISTER §2). Pieces of `bytes` are shared.
pub fn decode_key_state(bytes: Bytes) -> Result<KeyState<Envelope>, WireError> {
    let stored = StoredKey::parse(&bytes)?;
    let (promised, data) = (stored.promised, bytes.slice_ref(stored.data));
    let row = stored.row.map(|row| decode_stored_row(row.live, bytes.slice_ref(row.encoded), data)).transpose()?;
    let promised = match (promised, &row) {
        (Some(promised), _) => promised,
        (None, Some(row)) => row.accepted,
        (None, None) => return Err(WireError::Missing("promised ballot")),
    };
    if row.as_ref().is_some_and(|row| row.accepted > promised) {
        return Err(WireError::malformed(WHAT, "accepted above its promise"));
    }
    Ok(KeyState { promised, row })
}

/// The row of a [`StoredRow`], with `data` put back. Refuses a tombstone that is marked live, and the reverse.
pub fn decode_stored_row(live: bool, encoded: Bytes, data: Bytes) -> Result<Row<Envelope>, WireError> {
    let mut row = decode_row(decode_bytes(WHAT, encoded)?)?;
    if row.value.is_some() != live {
        return Err(WireError::malformed(WHAT, "its row is not what it is marked as"));
    }
    if let Some(envelope) = &mut row.value {
        at_most("envelope", envelope.value.len().saturating_add(data.len()), MAX_ENVELOPE)?;
        envelope.data = data;
    }
    Ok(row)
}

/// A stored key, taken apart and not decoded further.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoredKey<'a> {
    /// None: the accepted ballot.
    pub promised: Option<Ballot>,
    /// None: a promise without a row.
    pub row: Option<StoredRow<'a>>,
    /// Inline data of the row's envelope.
    pub data: &'a [u8],
}

/// The row of a stored key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoredRow<'a> {
    /// False: a tombstone.
    pub live: bool,
    /// A `cairn.table.v1.Row` without its data.
    pub encoded: &'a [u8],
}

impl StoredRow<'_> {
    /// The ballot the row was accepted under, which is its first field.
    pub fn accepted(&self) -> Result<Ballot, WireError> {
        let mut rest = self.encoded;
        let missing = || WireError::Missing("accepted ballot");
        let tag = rest.try_get_u8().map_err(|_| missing())?;
        let length = usize::from(rest.try_get_u8().map_err(|_| missing())?);
        let ballot = rest.get(..length).filter(|_| tag == ACCEPTED_TAG && length < 128).ok_or_else(missing)?;
        let ballot = common::Ballot::decode(ballot).map_err(|error| WireError::malformed(WHAT, error))?;
        Ok(decode_ballot(Some(ballot)))
    }
}

impl<'a> StoredKey<'a> {
    /// Refuses other formats and lengths that do not fit.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let short = |_| WireError::malformed(WHAT, "it is cut off");
        let mut rest = bytes;
        let format = rest.try_get_u8().map_err(short)?;
        if format != FORMAT {
            return Err(WireError::malformed(WHAT, format!("format {format} is not {FORMAT}")));
        }
        let flags = rest.try_get_u8().map_err(short)?;
        let promised = if flags & HAS_PROMISED == 0 {
            None
        } else {
            let epoch = rest.try_get_u32().map_err(short)?;
            let (time, proposer) = (rest.try_get_u64().map_err(short)?, rest.try_get_u64().map_err(short)?);
            Some(Ballot { epoch, time, proposer })
        };
        if flags & HAS_ROW == 0 {
            let whole = if rest.is_empty() { Ok(()) } else { Err(WireError::malformed(WHAT, "it goes on")) };
            return whole.map(|()| Self { promised, row: None, data: &[] });
        }
        let length = usize::try_from(rest.try_get_u32().map_err(short)?).unwrap_or(usize::MAX);
        let cut_off = || WireError::malformed(WHAT, "its row is cut off");
        let (encoded, data) = rest.split_at_checked(length).ok_or_else(cut_off)?;
        let row = StoredRow { live: flags & IS_LIVE != 0, encoded };
        Ok(Self { promised, row: Some(row), data })
    }
}

/// The row as it is stored, and the data that follows it.
fn without_data(row: &Row<Envelope>) -> (Option<v1::Row>, &[u8]) {
    let mut encoded = encode_row(row);
    if let Some(envelope) = &mut encoded.envelope {
        envelope.data = Bytes::new();
    }
    (Some(encoded), row.value.as_ref().map_or(&[], |envelope| &envelope.data))
}

//! The one encoding of register messages, replies and rows, on the wire and on disk.
//!
//! Messages of `cairn.table.v1` are checked once, here: a decoder answers a domain value or a [`WireError`], never
//! a panic, and never a value beyond the bounds below.
//!
//! - **M1** Decoding what was encoded gives it back (`calls_round_trip`, `replies_round_trip`,
//!   `stored_keys_round_trip`).
//! - **M2** No input makes a decoder panic (`garbage_is_refused_not_fatal`).
//! - **M3** What a row implies is not sent: the root of a blind row is its ballot, a lineage of one is its
//!   operation, ballots that are none are left out (`settled_blind_rows_are_small`).

mod calls;
mod disk;
mod rows;

#[cfg(test)]
mod tests;

pub use calls::{
    decode_gate, decode_message, decode_register_request, decode_register_response, encode_gate, encode_message,
    encode_register_request, encode_register_response,
};
pub use disk::{StoredKey, StoredRow, decode_key_state, decode_stored_row, encode_key_state};
pub use rows::{
    decode_ballot, decode_envelope, decode_key, decode_proposal, decode_row, encode_ballot, encode_envelope,
    encode_key, encode_proposal, encode_row,
};

/// Register messages in one batch.
pub const MAX_CALLS: usize = 1000;
/// Bytes of [`crate::Envelope::owner`].
pub const MAX_OWNER: usize = 64;
/// Manifests one value keeps alive.
pub const MAX_REFS: usize = 1000;
/// Bytes of an envelope's value and data together.
pub const MAX_ENVELOPE: usize = 1024 * 1024;

/// Why bytes from the wire or the disk are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("not a {what}: {why}")]
    Malformed { what: &'static str, why: String },
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{what} is {actual} long, the limit is {limit}")]
    TooLong { what: &'static str, actual: usize, limit: usize },
}

impl WireError {
    /// `what` could not be decoded because of `why`.
    pub fn malformed(what: &'static str, why: impl ToString) -> Self {
        Self::Malformed { what, why: why.to_string() }
    }
}

/// Refuses more than `limit` of `what`.
pub fn at_most(what: &'static str, actual: usize, limit: usize) -> Result<(), WireError> {
    if actual > limit { Err(WireError::TooLong { what, actual, limit }) } else { Ok(()) }
}

/// Decodes one protobuf message; pieces of `bytes` are shared, not copied.
pub fn decode_bytes<M: prost::Message + Default>(what: &'static str, bytes: bytes::Bytes) -> Result<M, WireError> {
    M::decode(bytes).map_err(|error| WireError::malformed(what, error))
}

/// An id from a wire field; refuses other lengths.
pub fn decode_id<'a, T>(what: &'static str, bytes: &'a [u8]) -> Result<T, WireError>
where
    T: TryFrom<&'a [u8], Error: ToString>,
{
    T::try_from(bytes).map_err(|error| WireError::malformed(what, error))
}

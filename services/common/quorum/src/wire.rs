//! Ranges and blocks on the wire: `cairn.table.v1` and `cairn.block.v1` to and from the types of [`crate`].
//!
//! Used by the stubs of this crate and by the daemons' `grpc.rs`; register messages are `cairn_model::wire`'s.
//!
//! - **Q1** Decoding what was encoded gives it back (`ranges_round_trip`, `range_replies_round_trip`,
//!   `references_round_trip`).
//! - **Q2** No input makes a decoder panic, and none passes the bounds below (`bounds_are_enforced`).

mod blocks;
#[cfg(test)]
mod fuzz;
mod ranges;

#[cfg(test)]
mod tests;

pub use blocks::{
    PutHead, decode_add_request, decode_drop_request, decode_get_request, decode_hashes, decode_list_request,
    decode_put_head, decode_reference, decode_stat_request, decode_stats, encode_add_request, encode_drop_request,
    encode_get_request, encode_hashes, encode_put_head, encode_reference, encode_stat_request, encode_stats,
};
pub use ranges::{decode_range, decode_range_reply, encode_range, encode_range_reply};

/// Rows and prefixes one range call answers at most, and scans before it answers.
pub const MAX_RANGE: usize = 10_000;
/// References or hashes in one call.
pub const MAX_REFERENCES: usize = 1000;
/// Bytes of an object key in a reference.
pub const MAX_OBJECT_KEY: usize = 1024;
/// Bytes of a delimiter: as long as a key may be.
pub const MAX_DELIMITER: usize = 1024;
/// Bytes one CRC-32C covers.
pub const PIECE_BYTES: usize = 256 * 1024;
/// The largest block any cluster may be configured for, in bytes.
pub const MAX_BLOCK: usize = 4 * 1024 * 1024;

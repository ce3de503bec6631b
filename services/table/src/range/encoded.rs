//! A scan as the bytes of a `cairn.table.v1.RangeResponse`, for callers elsewhere: rows without data go out as they
//! stand on disk, neither decoded nor encoded again.

use bytes::{BufMut as _, Bytes, BytesMut};
use cairn_model::wire::{encode_ballot, encode_gate};
use cairn_proto::table::v1;
use cairn_rpc::CallError;
use cairn_types::{Epoch, StoreId};
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use super::{Found, Scanned, Sink};

/// Field numbers of `RangeResponse`, `RangeRow`, `RangePrefix` and `Row`.
const RESPONSE_ROWS: u32 = 3;
const RESPONSE_PREFIXES: u32 = 4;
const ROW_SORT_KEY: u32 = 1;
const ROW_ROW: u32 = 2;
const PREFIX_PREFIX: u32 = 1;
const PREFIX_WITNESS_KEY: u32 = 2;
const PREFIX_WITNESS: u32 = 3;
/// `Row.committed = true`; of two values of one field a reader takes the later.
const COMMITTED: [u8; 2] = [9 << 3, 1];

#[derive(Default)]
pub(crate) struct EncodedSink {
    bytes: BytesMut,
    count: usize,
}

impl Sink for EncodedSink {
    /// The whole message.
    type Reply = Bytes;

    fn row(&mut self, found: &Found<'_>) {
        self.count += 1;
        let committed = committed(found);
        let row_len = found.row.encoded.len() + committed.len();
        let out = &mut self.bytes;
        put_length(out, RESPONSE_ROWS, field_len(found.sort_key.len()) + field_len(row_len));
        put_field(out, ROW_SORT_KEY, &[found.sort_key]);
        put_field(out, ROW_ROW, &[found.row.encoded, committed]);
    }

    fn prefix(&mut self, prefix_len: usize, found: &Found<'_>) {
        self.count += 1;
        let committed = committed(found);
        let row_len = found.row.encoded.len() + committed.len();
        let out = &mut self.bytes;
        let length = field_len(prefix_len) + field_len(found.sort_key.len()) + field_len(row_len);
        put_length(out, RESPONSE_PREFIXES, length);
        put_field(out, PREFIX_PREFIX, &[found.sort_key.get(..prefix_len).unwrap_or_default()]);
        put_field(out, PREFIX_WITNESS_KEY, &[found.sort_key]);
        put_field(out, PREFIX_WITNESS, &[found.row.encoded, committed]);
    }

    fn len(&self) -> usize {
        self.count
    }

    fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    fn finish(mut self, store: StoreId, epoch: Epoch, scanned: Scanned) -> Result<Bytes, CallError> {
        let (gate, gate_number) = encode_gate(scanned.gate);
        let rest = v1::RangeResponse {
            store_id: store.to_bytes(),
            epoch: epoch.0,
            rows: Vec::new(),
            prefixes: Vec::new(),
            end: scanned.scanned_to.is_none(),
            scanned_to: scanned.scanned_to.unwrap_or_default(),
            floor: encode_ballot(scanned.floor),
            gate: gate.into(),
            gate_number,
            joined: encode_ballot(scanned.joined),
        };
        rest.encode(&mut self.bytes).map_err(|error| CallError::Internal(error.to_string()))?;
        Ok(self.bytes.freeze())
    }
}

fn committed(found: &Found<'_>) -> &'static [u8] {
    if found.committed { &COMMITTED } else { &[] }
}

/// Bytes of a field of at most 15, with its tag and its length.
fn field_len(length: usize) -> usize {
    1 + encoded_len_varint(length as u64) + length
}

fn put_length(out: &mut BytesMut, tag: u32, length: usize) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(length as u64, out);
}

fn put_field(out: &mut BytesMut, tag: u32, parts: &[&[u8]]) {
    put_length(out, tag, parts.iter().map(|part| part.len()).sum());
    for part in parts {
        out.put_slice(part);
    }
}

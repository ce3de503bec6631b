//! A scan as rows, for callers in this process.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use cairn_model::wire::decode_stored_row;
use cairn_quorum::{RangePrefix, RangeReply, RangeRow};
use cairn_rpc::CallError;
use cairn_types::{Epoch, StoreId};

use super::{Found, Scanned, Sink};
use crate::rows::damaged;

/// Collects what is found in one buffer; the rows made of it in the end are slices of that.
#[derive(Default)]
pub(crate) struct RowSink {
    with_data: bool,
    bytes: BytesMut,
    entries: Vec<Entry>,
}

/// Where a row's parts lie in the buffer.
struct Entry {
    sort_key: Range<usize>,
    row: Range<usize>,
    data: Range<usize>,
    live: bool,
    committed: bool,
    /// The row is the witness of this much of its key.
    prefix_len: Option<usize>,
}

impl RowSink {
    pub(crate) fn new(with_data: bool) -> Self {
        Self { with_data, ..Self::default() }
    }

    fn push(&mut self, found: &Found<'_>, data: &[u8], prefix_len: Option<usize>) {
        let sort_key = self.copy(found.sort_key);
        let row = self.copy(found.row.encoded);
        let data = self.copy(data);
        let (live, committed) = (found.row.live, found.committed);
        self.entries.push(Entry { sort_key, row, data, live, committed, prefix_len });
    }

    fn copy(&mut self, part: &[u8]) -> Range<usize> {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(part);
        from..self.bytes.len()
    }
}

impl Sink for RowSink {
    type Reply = RangeReply;

    fn row(&mut self, found: &Found<'_>) {
        let data = if self.with_data { found.data } else { &[] };
        self.push(found, data, None);
    }

    fn prefix(&mut self, prefix_len: usize, witness: &Found<'_>) {
        self.push(witness, &[], Some(prefix_len));
    }

    fn len(&self) -> usize {
        self.entries.len()
    }

    fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    fn finish(self, store: StoreId, epoch: Epoch, scanned: Scanned) -> Result<RangeReply, CallError> {
        let bytes: Bytes = self.bytes.freeze();
        let mut rows = Vec::with_capacity(self.entries.len());
        let mut prefixes = Vec::new();
        for entry in self.entries {
            let (encoded, data) = (bytes.slice(entry.row), bytes.slice(entry.data));
            let mut row = decode_stored_row(entry.live, encoded, data).map_err(|error| damaged(&error))?;
            row.committed |= entry.committed;
            let sort_key = bytes.slice(entry.sort_key);
            match entry.prefix_len {
                None => rows.push(RangeRow { sort_key, row }),
                Some(len) => {
                    let prefix = sort_key.slice(..len.min(sort_key.len()));
                    prefixes.push(RangePrefix { prefix, witness_key: sort_key, witness: row });
                }
            }
        }
        let Scanned { scanned_to, floor, joined, gate } = scanned;
        Ok(RangeReply { store, epoch, rows, prefixes, scanned_to, floor, joined, gate })
    }
}

//! Counting a bucket's objects anew, while it is in use (DESIGN §5 "Usage").
//!
//! Usage changes in the batch that changes a row, so in any one moment of the store it should be the sum over its
//! rows. The count is taken of one moment, usage and rows alike; by how much the usage was wrong then, it is wrong now:
//! every change since was added to it exactly. That difference is all that is written, by the writer, which alone
//! writes.
//!
//! - **U1** After a recount the usage is the sum over the rows, whatever was written while it ran.
//!   *Tested by `tests/table/recount.rs`.*
//! - **U2** No two recounts correct the same mistake: one runs at a time, until its correction is durable.

use bytes::Bytes;
use cairn_model::wire::decode_key_state;
use cairn_quorum::Recount;
use cairn_register::Usage;
use cairn_rpc::CallError;
use cairn_store::prefix_end;
use cairn_types::{RowKey, Table};

use crate::keys::{DiskKey, Place};
use crate::round::check_key;
use crate::rows::{Rows, damaged, shard_key, store_failed};
use crate::shard::Shard;

/// Where the usage of a (bucket, shard) stands, and where its objects do.
pub(crate) struct Counted {
    objects: DiskKey,
    pub(crate) shard: Vec<u8>,
}

impl Counted {
    pub(crate) fn of(partition_key: Bytes) -> Result<Self, CallError> {
        check_key(&partition_key, 0)?;
        let key = RowKey { table: Table::Object, partition_key, sort_key: Bytes::new() };
        let objects = DiskKey::of(&key);
        let shard = shard_key(&key, objects.place);
        let shard = shard.ok_or_else(|| CallError::Internal("objects without a usage".to_owned()))?;
        Ok(Self { objects, shard })
    }

    pub(crate) const fn place(&self) -> Place {
        self.objects.place
    }

    /// Reads every row once. Holds one cursor meanwhile, and no row longer than it takes to add it.
    pub(crate) fn count(&self, rows: &Rows) -> Result<Recount, CallError> {
        let prefix = self.objects.prefix();
        // Usage stands behind the rows: one cursor, and with it one moment, sees both.
        let end = prefix_end(&self.shard);
        let mut cursor = rows.store.snapshot(prefix, end.as_deref());
        let mut counted = Usage::default();
        while let Some((key, value)) = cursor.next().map_err(store_failed)? {
            if !key.starts_with(prefix) {
                break;
            }
            let state = decode_key_state(Bytes::copy_from_slice(value)).map_err(|error| damaged(&error))?;
            if let Some(envelope) = state.row.and_then(|row| row.value) {
                counted.objects = counted.objects.wrapping_add(envelope.objects.into());
                counted.bytes = counted.bytes.wrapping_add(envelope.bytes);
            }
        }
        cursor.seek(&self.shard);
        let before = match cursor.next().map_err(store_failed)? {
            Some((key, value)) if key == self.shard.as_slice() => {
                Shard::decode(value).map_err(|error| damaged(&error))?.usage
            }
            Some(_) | None => Usage::default(),
        };
        Ok(Recount { before, counted })
    }
}

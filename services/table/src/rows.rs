//! The rows as they are durable, and what goes with them: commit hints, usage, gates.

use std::sync::Arc;

use bytes::Bytes;
use cairn_model::Envelope;
use cairn_model::wire::decode_key_state;
use cairn_register::KeyState;
use cairn_rpc::CallError;
use cairn_store::{Cached, Store};
use cairn_types::{RowKey, Table};

use crate::hints::Hints;
use crate::keys::{self, DiskKey, Place};
use crate::shard::Shard;

/// Everything under the store that is not written here: the writer alone writes.
pub(crate) struct Rows {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) hints: Hints,
}

/// How far a read may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Depth {
    /// What is in memory; microseconds.
    Memory,
    /// The disk too; blocks.
    Disk,
}

/// Why a read did not give a row.
#[derive(Debug)]
pub(crate) enum Miss {
    /// It takes the disk, which was not allowed.
    OnDisk,
    Failed(CallError),
}

impl Miss {
    /// For reads that may go to the disk, which never miss it.
    pub(crate) fn failed(self) -> CallError {
        match self {
            Miss::OnDisk => CallError::Internal("a read stopped before the disk".to_owned()),
            Miss::Failed(error) => error,
        }
    }
}

impl Rows {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, hints: Hints::new() }
    }

    /// What is durable of a key, with the commit hint where it is known.
    pub(crate) fn key(&self, key: &DiskKey, depth: Depth) -> Result<Option<KeyState<Envelope>>, Miss> {
        let Some(bytes) = self.get(key.as_bytes(), depth)? else { return Ok(None) };
        let mut state = decode_key_state(bytes).map_err(|error| Miss::Failed(damaged(&error)))?;
        if let Some(row) = &mut state.row {
            row.committed = row.committed || self.hints.knows(key.as_bytes(), row.accepted);
        }
        Ok(Some(state))
    }

    /// Usage and gate of a (bucket, shard); nothing is kept for one that was never written to.
    pub(crate) fn shard(&self, key: &[u8], depth: Depth) -> Result<Shard, Miss> {
        let Some(bytes) = self.get(key, depth)? else { return Ok(Shard::default()) };
        Shard::decode(&bytes).map_err(|error| Miss::Failed(damaged(&error)))
    }

    fn get(&self, key: &[u8], depth: Depth) -> Result<Option<Bytes>, Miss> {
        let failed = |error| Miss::Failed(store_failed(error));
        match depth {
            Depth::Disk => self.store.get(key).map_err(failed),
            Depth::Memory => match self.store.get_cached(key).map_err(failed)? {
                Cached::Known(value) => Ok(value),
                Cached::OnDisk => Err(Miss::OnDisk),
            },
        }
    }
}

/// The key of the usage and gate that go with a row: where it shares its partition key with a bucket's gate.
pub(crate) fn shard_key(key: &RowKey, place: Place) -> Option<Vec<u8>> {
    match key.table {
        Table::Object | Table::Gate | Table::Upload => Some(keys::shard(place, &key.partition_key)),
        Table::BucketName
        | Table::Bucket
        | Table::AccessKey
        | Table::AdminToken
        | Table::Manifest
        | Table::Part
        | Table::Worker => None,
    }
}

/// A read failed: nothing changed.
pub(crate) fn store_failed(error: cairn_store::Error) -> CallError {
    match error {
        cairn_store::Error::Full(why) => CallError::Full(why),
        cairn_store::Error::Corrupt(why) => CallError::Corrupt(why),
        cairn_store::Error::Io(why) => CallError::Internal(why),
    }
}

/// Bytes that passed the store's checksums and still make no sense.
pub(crate) fn damaged(error: &dyn std::error::Error) -> CallError {
    tracing::error!(%error, "a stored row cannot be read");
    CallError::Corrupt(error.to_string())
}

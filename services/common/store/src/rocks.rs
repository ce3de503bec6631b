//! The store on RocksDB.
//!
//! RocksDB's write path appends a batch to its log, syncs the log, inserts into the memtable and only then moves the
//! sequence number that readers go by (`DBImpl::WriteImpl` of the version pinned in `Cargo.lock`). K3 rests on that
//! order, so neither `unordered_write` nor pipelined writes are used, and a test watches it.

mod options;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use rocksdb::checkpoint::Checkpoint;
use rocksdb::{DB, DBRawIterator, ErrorKind, ReadOptions, ReadTier, WriteBatch, WriteOptions};

pub use options::{FatalHandler, Options, abort};

use crate::{Batch, Cached, Change, Cursor, Durability, Error, Store};

/// A [`Store`] in one directory.
pub struct Rocks {
    db: DB,
    synced: WriteOptions,
    unsynced: WriteOptions,
    on_fatal: FatalHandler,
    /// Set once a failure was handed to `on_fatal`: nothing is written any more.
    failed: Arc<AtomicBool>,
}

impl Rocks {
    /// Opens the store in `directory`, and makes it where there is none. Blocks while the tail of the log is
    /// replayed.
    pub fn open(directory: &Path, options: &Options) -> Result<Self, Error> {
        let failed = Arc::new(AtomicBool::new(false));
        let db = DB::open(&options.to_rocksdb(&failed), directory).map_err(told_apart)?;
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        let on_fatal = options.on_fatal.clone();
        Ok(Self { db, synced, unsynced: WriteOptions::default(), on_fatal, failed })
    }

    fn check_alive(&self) -> Result<(), Error> {
        if self.failed.load(Ordering::Acquire) {
            return Err(Error::Io("an earlier write failed".to_owned()));
        }
        Ok(())
    }

    /// A failed write may have left the log in any state: only a full disk lets the process live.
    fn write_failed(&self, error: rocksdb::Error) -> Error {
        let error = told_apart(error);
        if !matches!(error, Error::Full(_)) && !self.failed.swap(true, Ordering::AcqRel) {
            (self.on_fatal)(&error.to_string());
        }
        error
    }
}

impl Drop for Rocks {
    fn drop(&mut self) {
        self.db.cancel_all_background_work(true);
    }
}

impl fmt::Debug for Rocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rocks").field("directory", &self.db.path()).finish_non_exhaustive()
    }
}

impl Store for Rocks {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let found = self.db.get_pinned(key).map_err(told_apart)?;
        Ok(found.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn get_cached(&self, key: &[u8]) -> Result<Cached, Error> {
        let mut options = ReadOptions::default();
        options.set_read_tier(ReadTier::BlockCache);
        match self.db.get_pinned_opt(key, &options) {
            Ok(found) => Ok(Cached::Known(found.map(|value| Bytes::copy_from_slice(&value)))),
            Err(error) if error.kind() == ErrorKind::Incomplete => Ok(Cached::OnDisk),
            Err(error) => Err(told_apart(error)),
        }
    }

    fn write(&self, batch: Batch, durability: Durability) -> Result<(), Error> {
        self.check_alive()?;
        let mut changes = WriteBatch::with_capacity_bytes(batch.size_bytes() + 16 * (batch.len() + 1));
        for change in batch.changes() {
            match change {
                Change::Put { key, value } => changes.put(key, value),
                Change::Delete { key } => changes.delete(key),
            }
        }
        let options = match durability {
            Durability::Synced => &self.synced,
            Durability::Unsynced => &self.unsynced,
        };
        self.db.write_opt(changes, options).map_err(|error| self.write_failed(error))
    }

    fn scan(&self, from: &[u8], to: Option<&[u8]>) -> Box<dyn Cursor + '_> {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(from);
        if let Some(to) = to {
            options.set_iterate_upper_bound(to);
        }
        let iterator = self.db.raw_iterator_opt(options);
        Box::new(RocksCursor { iterator, at: At::Before(from.to_vec()) })
    }

    /// An iterator of RocksDB is of the moment it was made.
    fn snapshot(&self, from: &[u8], to: Option<&[u8]>) -> Box<dyn Cursor + '_> {
        self.scan(from, to)
    }

    fn sequence(&self) -> u64 {
        self.db.latest_sequence_number()
    }

    fn approximate_keys(&self) -> u64 {
        self.property(rocksdb::properties::ESTIMATE_NUM_KEYS)
    }

    fn bytes_on_disk(&self) -> u64 {
        self.property(rocksdb::properties::TOTAL_SST_FILES_SIZE)
            + self.property(rocksdb::properties::CUR_SIZE_ALL_MEM_TABLES)
    }

    fn flush(&self) -> Result<(), Error> {
        self.check_alive()?;
        self.db.flush_wal(true).map_err(|error| self.write_failed(error))?;
        self.db.flush().map_err(|error| self.write_failed(error))
    }

    fn checkpoint(&self, directory: &Path) -> Result<(), Error> {
        Checkpoint::new(&self.db).and_then(|checkpoint| checkpoint.create_checkpoint(directory)).map_err(told_apart)
    }
}

impl Rocks {
    fn property(&self, name: &rocksdb::properties::PropName) -> u64 {
        self.db.property_int_value(name).ok().flatten().unwrap_or(0)
    }
}

/// Where a cursor stands.
enum At {
    /// Before the first key at or after this one.
    Before(Vec<u8>),
    /// On the iterator's key.
    On,
    End,
}

struct RocksCursor<'a> {
    iterator: DBRawIterator<'a>,
    at: At,
}

impl Cursor for RocksCursor<'_> {
    fn next(&mut self) -> Result<Option<(&[u8], &[u8])>, Error> {
        match &self.at {
            At::Before(key) => self.iterator.seek(key),
            At::On => self.iterator.next(),
            At::End => return Ok(None),
        }
        if !self.iterator.valid() {
            self.at = At::End;
            self.iterator.status().map_err(told_apart)?;
            return Ok(None);
        }
        self.at = At::On;
        Ok(self.iterator.item())
    }

    fn seek(&mut self, key: &[u8]) {
        self.at = At::Before(key.to_vec());
    }
}

fn told_apart(error: rocksdb::Error) -> Error {
    let kind = error.kind();
    let message = error.into_string();
    match kind {
        ErrorKind::Corruption => Error::Corrupt(message),
        _ if is_full(&message) => Error::Full(message),
        _ => Error::Io(message),
    }
}

/// RocksDB's C interface tells a full disk only by its text.
fn is_full(message: &str) -> bool {
    ["No space left on device", "Disk quota exceeded", "Space limit reached"].iter().any(|text| message.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_apart() {
        assert!(is_full("IO error: No space left on device: While appending to file: 000004.log"));
        assert!(!is_full("IO error: Input/output error: While fdatasync: 000004.log"));
    }
}

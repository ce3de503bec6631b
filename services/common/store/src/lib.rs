//! Ordered keys that survive a crash: the only crate that names RocksDB, and an in-memory twin.
//!
//! A [`Store`] is one flat, byte-ordered map. It knows nothing of tables or registers: its users define their keys
//! (a documented table of tags each) and decide which of their writes must be durable on return.
//!
//! - **K1** A batch is applied whole or not at all, also across a crash (`batches_are_atomic`).
//! - **K2** What a [`Durability::Synced`] write returned for survives any crash, with every write before it
//!   (`synced_writes_survive_a_crash`).
//! - **K3** Nobody reads a synced batch before it is on stable storage (REGISTER D1,
//!   `no_reader_sees_a_row_before_its_sync`).
//! - **K4** A failed write to the log or in the background ends the process, except on a full disk: then nothing
//!   was written and the store goes on (REGISTER D2, `failures_are_told_apart`).

mod batch;
mod memory;
mod rocks;

use std::fmt::Debug;
use std::path::Path;

use bytes::Bytes;

pub use batch::{Batch, Change};
pub use memory::Memory;
pub use rocks::{FatalHandler, Options, Rocks, abort};

/// Whether a write is on stable storage when it returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// On return the batch, and all batches before it, survive a power cut.
    Synced,
    /// A crash may take it back, together with everything after it.
    Unsynced,
}

/// Why a store could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing was written; reads and smaller writes may still work.
    #[error("disk full: {0}")]
    Full(String),
    /// The bytes on disk are not what was written there.
    #[error("stored data is damaged: {0}")]
    Corrupt(String),
    #[error("storage failed: {0}")]
    Io(String),
}

/// What is known of a key without the disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cached {
    Known(Option<Bytes>),
    /// [`Store::get`] knows.
    OnDisk,
}

/// An ordered map from bytes to bytes. Every call may block on the disk: a cached [`Store::get`] costs a few
/// microseconds, a synced write an fsync, which concurrent callers share.
pub trait Store: Debug + Send + Sync + 'static {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error>;

    /// [`Store::get`] that never touches the disk: for async threads.
    fn get_cached(&self, key: &[u8]) -> Result<Cached, Error>;

    /// Applies `batch` whole.
    fn write(&self, batch: Batch, durability: Durability) -> Result<(), Error>;

    /// Walks the keys in `from..to` in byte order; without `to`, to the last key. Starts before the first of them.
    /// Writes made meanwhile may or may not be seen. Do not hold a cursor for long: it may pin old data.
    fn scan(&self, from: &[u8], to: Option<&[u8]>) -> Box<dyn Cursor + '_>;

    /// [`Store::scan`] of one moment: writes made meanwhile are not seen.
    fn snapshot(&self, from: &[u8], to: Option<&[u8]>) -> Box<dyn Cursor + '_>;

    /// Rises with every write, survives restarts, and never falls but by lost or rolled-back data (REGISTER D4).
    fn sequence(&self) -> u64;

    /// An estimate of the number of keys.
    fn approximate_keys(&self) -> u64;

    /// An estimate of the bytes on disk.
    fn bytes_on_disk(&self) -> u64;

    /// Makes everything durable and writes out what is buffered, so that the next start replays little.
    fn flush(&self) -> Result<(), Error>;

    /// Writes a copy of the whole store, as of now, into `directory`, which must not exist yet.
    fn checkpoint(&self, directory: &Path) -> Result<(), Error>;
}

/// A key and its value, as they lie in a store.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// A position in a [`Store::scan`].
pub trait Cursor {
    /// Moves to the next key and answers it with its value; none past the last.
    fn next(&mut self) -> Result<Option<Pair<'_>>, Error>;

    /// Moves to before the first key at or after `key`, forwards or backwards, inside the scan's bounds.
    fn seek(&mut self, key: &[u8]);
}

/// The first key above all that begin with `prefix`; none where there is no such key.
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=keep].to_vec();
    end[keep] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_end_is_above_the_prefix_only() {
        assert_eq!(prefix_end(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(prefix_end(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(prefix_end(b"\xff"), None);
        assert_eq!(prefix_end(b""), None);
    }
}

//! What a membership daemon must not forget, in one synced file.
//!
//! - **D1** A state is on the disk, whole, before anything that follows from it leaves the daemon: the file is written
//!   beside the old one, synced, renamed over it, and the directory synced (`a_torn_write_leaves_the_old_state`).
//! - **D2** A file that is not exactly what was written is refused, never repaired: the store is gone
//!   (`damaged_files_are_refused`).
//! - **D3** The store id is made with the file and kept in it; two processes never hold one store
//!   (`a_store_is_held_once`).

mod format;
#[cfg(test)]
mod fuzz;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cairn_daemon::replace_file;
use cairn_placement::{LayoutRecord, ReplicaSet};
use cairn_register::voters::{self, Ballot, VoterState};
use cairn_types::StoreId;

use crate::nodes::NodeRecord;
use crate::staged::Staged;
use crate::token::Serial;

const FILE: &str = "membership.state";
const LOCK: &str = "lock";

/// A layout record as the voters' protocol sees it.
pub(crate) type Record = voters::Record<Arc<LayoutRecord>>;

/// Wraps a record for the voters' protocol.
pub(crate) fn voters_record(record: Arc<LayoutRecord>) -> Record {
    Record {
        number: record.number,
        voters: ReplicaSet::new(record.voters.iter().map(|voter| voter.store).collect()),
        op: record.op,
        content: record,
    }
}

/// A join token this daemon issued.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Issued {
    /// On this daemon's clock.
    pub(crate) expires_ms: u64,
    pub(crate) used: bool,
}

/// Everything that survives a restart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Saved {
    pub(crate) store: StoreId,
    /// What this daemon promised, accepted, and knows to be chosen (REGISTER E1).
    pub(crate) voter: VoterState<Arc<LayoutRecord>>,
    pub(crate) staged: Staged,
    pub(crate) tokens: BTreeMap<Serial, Issued>,
    /// The lasting part of the nodes' records: whom to ask after a restart.
    pub(crate) nodes: Vec<NodeRecord>,
    /// This store is to make record 1 of a new cluster, and has not yet.
    pub(crate) founding: bool,
}

impl Saved {
    pub(crate) const fn new(store: StoreId, founding: bool) -> Self {
        Self {
            store,
            voter: VoterState { promised: Ballot::ZERO, chosen: None, open: None },
            staged: Staged { version: 0, changes: Vec::new() },
            tokens: BTreeMap::new(),
            nodes: Vec::new(),
            founding,
        }
    }
}

/// Why there is no state.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    #[error("{path} holds a membership daemon's state already")]
    Used { path: PathBuf },
    #[error("{path} holds no membership daemon's state: it is another directory, or what it held is lost")]
    Missing { path: PathBuf },
    #[error("{path} is in use by another process")]
    InUse { path: PathBuf },
    #[error("{path} is damaged ({why}): this store is lost, and must come back as a new one")]
    Damaged { path: PathBuf, why: String },
    #[error("cannot read or write {path}")]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// A state file, held by this process alone.
pub(crate) struct Disk {
    directory: PathBuf,
    saved: Saved,
    _lock: File,
}

impl Disk {
    /// Makes a new store in `directory`, which is made where missing; one that is `founding` will make a new cluster's
    /// first record.
    ///
    /// # Errors
    /// It holds one already, or cannot be written.
    pub(crate) fn create(directory: &Path, store: StoreId, founding: bool) -> Result<Self, DiskError> {
        let failed = |source| DiskError::Io { path: directory.to_owned(), source };
        cairn_daemon::make_directory(directory).map_err(failed)?;
        let lock = lock(directory)?;
        let path = directory.join(FILE);
        if path.try_exists().map_err(failed)? {
            return Err(DiskError::Used { path });
        }
        let disk = Self { directory: directory.to_owned(), saved: Saved::new(store, founding), _lock: lock };
        disk.save(&disk.saved)?;
        Ok(disk)
    }

    /// Opens the store in `directory`.
    ///
    /// # Errors
    /// There is none, it is damaged, or another process holds it.
    pub(crate) fn open(directory: &Path) -> Result<Self, DiskError> {
        let path = directory.join(FILE);
        let failed = |source| DiskError::Io { path: path.clone(), source };
        if !path.try_exists().map_err(failed)? {
            return Err(DiskError::Missing { path: directory.to_owned() });
        }
        let lock = lock(directory)?;
        let bytes = fs::read(&path).map_err(failed)?;
        let saved = format::decode(bytes.into()).map_err(|why| DiskError::Damaged { path: path.clone(), why })?;
        Ok(Self { directory: directory.to_owned(), saved, _lock: lock })
    }

    /// The id of the store in it.
    #[must_use]
    pub(crate) const fn store(&self) -> StoreId {
        self.saved.store
    }

    /// The state as it was when the disk was opened.
    pub(crate) const fn saved(&self) -> &Saved {
        &self.saved
    }

    /// [`Self::save`], before anything runs on the disk.
    pub(crate) fn replace(&mut self, saved: Saved) -> Result<(), DiskError> {
        self.save(&saved)?;
        self.saved = saved;
        Ok(())
    }

    /// Replaces the state; durable when it returns. Blocks for a few synced writes.
    ///
    /// # Errors
    /// The old or the new state stands, nobody knows which: the process must end.
    pub(crate) fn save(&self, saved: &Saved) -> Result<(), DiskError> {
        let path = self.directory.join(FILE);
        replace_file(&path, &format::encode(saved), 0o600).map_err(|source| DiskError::Io { path, source })
    }
}

fn lock(directory: &Path) -> Result<File, DiskError> {
    let path = directory.join(LOCK);
    let failed = |source| DiskError::Io { path: path.clone(), source };
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DiskError::InUse { path: directory.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

#[cfg(test)]
mod tests;

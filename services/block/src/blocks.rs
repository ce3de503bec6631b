//! The decisions of the block store: what is stored, referenced, answered and refused. No wire type appears here.
//!
//! - **B1** A block is indexed, and its put answered, only after its record is synced; a scan of the segments rebuilds
//!   the index (`an_index_that_is_gone_is_rebuilt`).
//! - **B2** A reference is durable when its call returns (`references_survive_a_crash`), is added once and removed
//!   once (`a_removed_reference_stays_removed`).
//! - **B3** "Already here" is answered under the hash's lock, which collection takes too, after comparing length and
//!   checksums, and takes a reference (`gc_races_link`, `a_poisoned_block_is_replaced`).
//! - **B4** A block goes only when it has been unreferenced for the grace period, judged again under that lock
//!   (`a_block_goes_after_its_grace`).
//! - **B5** Bytes that do not match their CRC-32C are never served, wherever they were damaged
//!   (`damage_on_disk_is_never_served`).

mod put;
mod read;

pub(crate) use read::Buffers;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use cairn_quorum::{BlockStat, Reference};
use cairn_rpc::{CallContext, CallError};
use cairn_store::Durability;
use cairn_types::{BlockHash, Clock, Entropy, ManifestId, StoreId};
use tokio::sync::Semaphore;
use tracing::error;

use crate::directory::{Directory, DirectoryNumber};
use crate::fence::Fence;
use crate::index::{Block, Changes, Index};
use crate::locks::{HashGuard, HashLocks};
use crate::reference::MAX_KEY;
use crate::writer::Writer;

/// References or hashes in one call.
pub(crate) const MAX_BATCH: usize = 1000;

/// References listed in one answer: with the longest keys 4.4 MiB.
const MAX_LISTED_REFERENCES: usize = 4000;

/// Threads that may wait for the disk at once for reads and for index writes, each.
const BLOCKING_CALLS: usize = 16;

/// A data directory and who writes to it.
pub(crate) struct Slot {
    pub(crate) directory: Arc<Directory>,
    pub(crate) writer: Writer,
}

/// One store of blocks. Shared by all its callers.
pub(crate) struct Blocks {
    pub(crate) store: StoreId,
    pub(crate) index: Index,
    pub(crate) slots: BTreeMap<DirectoryNumber, Slot>,
    /// Directories that did not work at start.
    pub(crate) failed: Vec<(PathBuf, String)>,
    pub(crate) locks: HashLocks,
    pub(crate) fence: Fence,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) max_block_bytes: u32,
    pub(crate) grace_ms: u64,
    pub(crate) buffers: Arc<Buffers>,
    pub(crate) reads: Arc<Semaphore>,
    pub(crate) commits: Arc<Semaphore>,
}

impl Blocks {
    /// Bounds what blocks threads: a fresh semaphore for each kind of work.
    pub(crate) fn blocking_bound() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(BLOCKING_CALLS))
    }

    /// Adds references to blocks that are here. Answers those that are not, and those whose reference was removed before:
    /// nothing was added for them.
    pub(crate) async fn add_references(
        self: &Arc<Self>,
        context: &CallContext,
        references: Vec<(BlockHash, Reference)>,
    ) -> Result<Vec<BlockHash>, CallError> {
        let admitted = self.fence.admit(context).await?;
        check_batch(references.len())?;
        for (hash, reference) in &references {
            admitted.check_held(*hash)?;
            check_reference(reference)?;
        }
        let hashes = references.iter().map(|(hash, _)| *hash).collect();
        let missing = self
            .change(context, hashes, move |blocks, changes| {
                let mut missing = BTreeSet::new();
                let mut current: BTreeMap<BlockHash, Block> = BTreeMap::new();
                for (hash, reference) in &references {
                    let Some(here) = blocks.servable(*hash)? else {
                        missing.insert(*hash);
                        continue;
                    };
                    if blocks.index.is_removed(*hash, reference.manifest)? {
                        missing.insert(*hash);
                    } else if !blocks.index.has_reference(*hash, reference.manifest)? {
                        changes.add_reference(*hash, current.entry(*hash).or_insert(here), reference);
                    }
                }
                Ok(missing.into_iter().collect())
            })
            .await?;
        self.fence.check_current(&admitted)?;
        Ok(missing)
    }

    /// Removes references for ever; blocks that nobody references any more become collectable after the grace period.
    pub(crate) async fn drop_references(
        self: &Arc<Self>,
        context: &CallContext,
        references: Vec<(BlockHash, ManifestId)>,
    ) -> Result<(), CallError> {
        let admitted = self.fence.admit(context).await?;
        check_batch(references.len())?;
        let mut by_hash: BTreeMap<BlockHash, Vec<ManifestId>> = BTreeMap::new();
        for (hash, manifest) in references {
            admitted.check_held(hash)?;
            by_hash.entry(hash).or_default().push(manifest);
        }
        let hashes = by_hash.keys().copied().collect();
        self.change(context, hashes, move |blocks, changes| {
            let now_ms = blocks.clock.now_ms();
            for (hash, manifests) in &by_hash {
                changes.drop_references(&blocks.index, *hash, manifests, now_ms, blocks.grace_ms)?;
            }
            Ok(())
        })
        .await?;
        self.fence.check_current(&admitted)
    }

    /// What is known of each of `hashes`, in their order. References are listed up to a bound for all together.
    pub(crate) async fn stat(
        self: &Arc<Self>,
        context: &CallContext,
        hashes: Vec<BlockHash>,
        with_references: bool,
    ) -> Result<Vec<BlockStat>, CallError> {
        self.fence.check_store(context)?;
        check_batch(hashes.len())?;
        let mut limit = if with_references { MAX_LISTED_REFERENCES } else { 0 };
        let blocks = self.clone();
        let look = move || {
            let stat = |hash| {
                let size = blocks.servable(hash)?.map(|block| block.size);
                let references = blocks.index.references(hash, limit)?;
                limit -= references.len();
                Ok(BlockStat { hash, size, references })
            };
            hashes.into_iter().map(stat).collect::<Result<_, cairn_store::Error>>()
        };
        self.blocking(&self.reads, context, look).await?.map_err(index_error)
    }

    /// The first `limit` references behind `after`, at most as many as one call may change.
    pub(crate) async fn references_after(
        self: &Arc<Self>,
        context: &CallContext,
        after: Option<(BlockHash, ManifestId)>,
        limit: usize,
    ) -> Result<Vec<(BlockHash, Reference)>, CallError> {
        self.fence.check_store(context)?;
        check_batch(limit)?;
        let blocks = self.clone();
        let look = move || blocks.index.references_after(after, limit);
        self.blocking(&self.reads, context, look).await?.map_err(index_error)
    }

    /// Lets `decide` look and collect changes under the locks of `hashes`, and commits them, synced. It is finished even
    /// where the caller stops waiting.
    async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        context: &CallContext,
        hashes: BTreeSet<BlockHash>,
        decide: impl FnOnce(&Blocks, &mut Changes) -> Result<T, cairn_store::Error> + Send + 'static,
    ) -> Result<T, CallError> {
        let guards: Vec<HashGuard> = before(context, self.locks.lock_all(hashes)).await?;
        let blocks = self.clone();
        let work = move || {
            let mut changes = Changes::default();
            let result = decide(&blocks, &mut changes)?;
            blocks.index.commit(changes, Durability::Synced)?;
            drop(guards);
            Ok(result)
        };
        self.blocking(&self.commits, context, work).await?.map_err(index_error)
    }

    /// Runs `work` on a thread that may block, when one is free.
    async fn blocking<T: Send + 'static>(
        &self,
        bound: &Arc<Semaphore>,
        context: &CallContext,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, CallError> {
        let permit = before(context, bound.clone().acquire_owned()).await?.map_err(internal)?;
        let task = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        before(context, task).await?.map_err(internal)
    }

    /// The block, where it is here and not known to be damaged.
    fn servable(&self, hash: BlockHash) -> Result<Option<Block>, cairn_store::Error> {
        let here = |block: &Block| {
            let slot = self.slots.get(&block.location.directory);
            !block.damaged && slot.is_some_and(|slot| slot.directory.failure().is_none())
        };
        Ok(self.index.block(hash)?.filter(here))
    }

    /// Reports a block whose bytes are wrong, so that the next put of it is stored anew. `expected` is where they were
    /// read: a block that moved or went meanwhile is not damaged.
    async fn mark_damaged(self: &Arc<Self>, hash: BlockHash, expected: &Block, what: &str) -> Result<bool, CallError> {
        let _guard = self.locks.lock(hash).await;
        let current = self.index.block(hash).map_err(index_error)?;
        let Some(current) = current.filter(|current| current.location == expected.location) else { return Ok(false) };
        error!(%hash, location = ?current.location, what, "a stored block is damaged");
        if !current.damaged {
            let mut changes = Changes::default();
            changes.set_damaged(hash, &current);
            self.index.commit(changes, Durability::Unsynced).map_err(index_error)?;
        }
        Ok(true)
    }

    /// Asks every disk how much is free: others fill and empty it too.
    pub(crate) fn refresh_space(&self) {
        for slot in self.slots.values() {
            if let Err(cause) = slot.directory.refresh_space() {
                slot.directory.fail("asking for free space", &cause);
            }
        }
    }

    /// Finishes what is queued and makes the index durable. Blocks.
    pub(crate) fn close(&self) {
        for slot in self.slots.values() {
            slot.writer.close();
        }
        self.flush();
    }

    /// Makes the index durable, so that the next start scans little. Blocks.
    pub(crate) fn flush(&self) {
        if let Err(error) = self.index.flush() {
            error!(%error, "cannot flush the index; the next start scans what it lacks");
        }
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        self.close();
    }
}

/// Waits for `future` no longer than the call may take.
pub(crate) async fn before<T>(context: &CallContext, future: impl Future<Output = T>) -> Result<T, CallError> {
    tokio::time::timeout_at(context.deadline, future).await.map_err(|_| CallError::Deadline)
}

fn check_batch(length: usize) -> Result<(), CallError> {
    if length <= MAX_BATCH {
        Ok(())
    } else {
        Err(CallError::Invalid(format!("{length} in one call, at most {MAX_BATCH}")))
    }
}

pub(crate) fn check_reference(reference: &Reference) -> Result<(), CallError> {
    let length = reference.key.len();
    if length <= MAX_KEY { Ok(()) } else { Err(CallError::Invalid(format!("an object key of {length} bytes"))) }
}

pub(crate) fn index_error(error: cairn_store::Error) -> CallError {
    match error {
        cairn_store::Error::Full(why) => CallError::Full(why),
        cairn_store::Error::Corrupt(why) => CallError::Corrupt(why),
        cairn_store::Error::Io(why) => CallError::Internal(why),
    }
}

pub(crate) fn internal(error: impl std::fmt::Display) -> CallError {
    CallError::Internal(error.to_string())
}

//! One lock a block hash, taken by whatever changes that block or its references (REGISTER B3).
//!
//! The guard is owned and is moved into the work done under it, so a caller that goes away releases nothing early.
//! Who takes several takes them in the order of their hashes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cairn_types::BlockHash;
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

type Table = Mutex<HashMap<BlockHash, Arc<AsyncMutex<()>>>>;

/// The locks that are held or waited for; there is nothing for other hashes.
#[derive(Clone, Default)]
pub(crate) struct HashLocks(Arc<Table>);

/// Holds the lock of one hash.
pub(crate) struct HashGuard {
    hash: BlockHash,
    table: Arc<Table>,
    guard: Option<OwnedMutexGuard<()>>,
}

impl HashLocks {
    /// Waits for the lock of `hash`. Cancel safe.
    pub(crate) async fn lock(&self, hash: BlockHash) -> HashGuard {
        let lock = self.0.lock().entry(hash).or_default().clone();
        // Made before waiting, so that a caller that gives up cleans the table.
        let mut guard = HashGuard { hash, table: self.0.clone(), guard: None };
        guard.guard = Some(lock.lock_owned().await);
        guard
    }

    /// Waits for the locks of all `hashes`. Cancel safe.
    pub(crate) async fn lock_all(&self, hashes: BTreeSet<BlockHash>) -> Vec<HashGuard> {
        let mut guards = Vec::with_capacity(hashes.len());
        for hash in hashes {
            guards.push(self.lock(hash).await);
        }
        guards
    }
}

impl Drop for HashGuard {
    fn drop(&mut self) {
        let mut table = self.table.lock();
        self.guard = None;
        // New holders come through the table, so nobody takes it up between the count and the removal.
        if table.get(&self.hash).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            table.remove(&self.hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn locks_exclude_and_leave_nothing_behind() {
        let locks = HashLocks::default();
        let hash = BlockHash([1; 32]);
        let held = locks.lock(hash).await;
        let mut waiting = Box::pin(locks.lock(hash));
        assert!(waiting.as_mut().now_or_never().is_none());
        let _other = locks.lock(BlockHash([2; 32])).await;
        let given_up = Box::pin(locks.lock(hash)).now_or_never();
        assert!(given_up.is_none());
        drop(held);
        drop(waiting.await);
        assert_eq!(locks.0.lock().len(), 1);
        drop(locks.lock_all([hash, BlockHash([3; 32])].into()).await);
        assert_eq!(locks.0.lock().len(), 1);
    }
}

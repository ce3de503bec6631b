//! Rows that most requests need, kept for two seconds (DESIGN §7).
//!
//! - **C1** A cached row may only allow: whoever would refuse asks [`RowCache::fresh`], whose answer was read after
//!   the question was asked. *Tested by `fresh_reads_begin_after_the_question`.*
//! - **C2** A row is used for [`MAX_AGE`] after its read *began*, and without a quorum then not at all.
//!   *Tested by `rows_expire`.*
//! - **C3** One read of a name runs at a time, whoever asks, so that refusals of one name cost a bounded rate of
//!   reads. *Tested by `questions_share_a_read`.*

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use quick_cache::sync::Cache;
use tokio::time::Instant;

/// How long a row may be used (SECURITY V23).
const MAX_AGE: Duration = Duration::from_secs(2);
/// Names remembered; the least used go first.
const NAMES: usize = 10_000;

/// Rows of one kind by name. `None` is remembered for those who ask at the same time, and never used otherwise.
pub(crate) struct RowCache<T>(Cache<String, Arc<Slot<T>>>);

struct Slot<T> {
    /// Held while a read of the name runs: the queue of those who wait for the next one.
    turn: tokio::sync::Mutex<()>,
    /// When the newest read began, and what it saw.
    latest: Mutex<Option<(Instant, Option<Arc<T>>)>>,
}

impl<T> RowCache<T> {
    pub(crate) fn new() -> Self {
        Self(Cache::new(NAMES))
    }

    /// A row young enough to allow something.
    pub(crate) fn cached(&self, name: &str) -> Option<Arc<T>> {
        let slot = self.0.get(name)?;
        let latest = slot.latest.lock();
        let (began, row) = latest.as_ref()?;
        if began.elapsed() < MAX_AGE { row.clone() } else { None }
    }

    /// The row as a read sees it that began after this call. None: there is none.
    pub(crate) async fn fresh<E, R>(&self, name: &str, read: impl FnOnce() -> R) -> Result<Option<Arc<T>>, E>
    where
        R: Future<Output = Result<Option<T>, E>>,
    {
        let asked = Instant::now();
        let slot = self.slot(name);
        let _turn = slot.turn.lock().await;
        if let Some((began, row)) = slot.latest.lock().as_ref()
            && *began > asked
        {
            return Ok(row.clone());
        }
        let began = Instant::now();
        let row = read().await?.map(Arc::new);
        *slot.latest.lock() = Some((began, row.clone()));
        Ok(row)
    }

    /// Forgets a row that this process has just changed, or found to be out of date.
    pub(crate) fn forget(&self, name: &str) {
        self.0.remove(name);
    }

    fn slot(&self, name: &str) -> Arc<Slot<T>> {
        let made = self.0.get_or_insert_with(name, || {
            Ok::<_, std::convert::Infallible>(Arc::new(Slot {
                turn: tokio::sync::Mutex::default(),
                latest: Mutex::new(None),
            }))
        });
        match made {
            Ok(slot) => slot,
            Err(never) => match never {},
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    async fn read(row: Option<u32>) -> Result<Option<u32>, Infallible> {
        Ok(row)
    }

    #[tokio::test(start_paused = true)]
    async fn rows_expire() {
        let cache = RowCache::new();
        assert_eq!(cache.cached("a"), None);
        cache.fresh("a", || read(Some(1))).await.unwrap();
        assert_eq!(cache.cached("a").as_deref(), Some(&1));
        tokio::time::advance(MAX_AGE).await;
        assert_eq!(cache.cached("a"), None);
        cache.fresh("a", || read(Some(2))).await.unwrap();
        cache.forget("a");
        assert_eq!(cache.cached("a"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn fresh_reads_begin_after_the_question() {
        let cache = RowCache::new();
        cache.fresh("a", || read(Some(1))).await.unwrap();
        let row = cache.fresh("a", || read(Some(2))).await.unwrap();
        assert_eq!(row.as_deref(), Some(&2));
        assert_eq!(cache.fresh("a", || read(None)).await.unwrap(), None);
        assert_eq!(cache.cached("a"), None, "what is missing is never remembered as missing");
    }

    #[tokio::test(start_paused = true)]
    async fn questions_share_a_read() {
        let cache = RowCache::new();
        let reads = AtomicU32::new(0);
        let slow = || async {
            reads.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok::<_, Infallible>(Some(7))
        };
        let first = cache.fresh("a", slow);
        let later = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            tokio::join!(cache.fresh("a", slow), cache.fresh("a", slow), cache.fresh("a", slow))
        };
        tokio::join!(first, later).0.unwrap();
        assert_eq!(reads.load(Ordering::SeqCst), 2, "three who asked during one read share the next");
    }
}

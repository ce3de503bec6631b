//! The lifecycle worker: walks the buckets that have rules, and lets go what their rules let go.
//!
//! - **W1** Nothing newer than what was judged is ever deleted: a deletion is a CAS that holds only while the head is the
//!   very one that was judged, by its version. *Tested by `tests/s3/lifecycle.rs` of the gateway and by `races`.*
//! - **W2** An upload is aborted by the very steps AbortMultipartUpload takes (`cairn_uploads`): one that is completing is
//!   completed. *Tested by `tests/s3/lifecycle.rs` and `races`.*
//! - **W3** Rules are read anew before each page: what a bucket's owner took back is acted on for one page at most.
//!   *Tested by `tests/s3/lifecycle.rs`.*
//! - **W4** A run that stopped goes on where it was last noted, on whatever node; nothing is skipped, and what is judged
//!   twice is judged alike. *Tested by `tests/s3/lifecycle.rs`.*
//! - **W5** A clock that runs ahead deletes nothing early where a majority of replicas has a right one: a deletion's
//!   ballot is of the same clock, and they refuse one more than a minute ahead (REGISTER A2).

mod progress;
mod walk;

use std::time::Duration;

use bytes::Bytes;
use cairn_daemon::Shutdown;
use cairn_model::keys;
use cairn_model::rows::{BucketRow, RowError, TypedRow as _};
use cairn_quorum::{Cluster, ListRequest, Listing, Op, OpError};
use cairn_types::{BucketId, RequestId, StoreId, Table};
use cairn_uploads::UploadError;
use tracing::{info, warn};

use crate::config::LifecycleConfig;
use crate::share::is_ours;

/// The worker's name in the table `worker`.
pub const LIFECYCLE: &str = "lifecycle";

/// After a start, no later than this.
const FIRST_LOOK: Duration = Duration::from_secs(60);
/// Buckets read at a time.
const BUCKETS: usize = 1000;

/// Why a walk stopped before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WalkError {
    #[error(transparent)]
    Op(#[from] OpError),
    #[error("a damaged row")]
    Row(#[from] RowError),
    #[error("a damaged key")]
    Key,
}

impl From<UploadError> for WalkError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Op(error) => WalkError::Op(error),
            UploadError::Row(error) => WalkError::Row(error),
        }
    }
}

/// What one step did, over all buckets.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Walked {
    /// Buckets whose run was begun or gone on with.
    pub buckets: usize,
    pub objects_judged: u64,
    pub objects_expired: u64,
    pub uploads_judged: u64,
    pub uploads_aborted: u64,
}

/// The worker of one table store. It keeps nothing but what stands in rows.
pub struct Lifecycle {
    cluster: Cluster,
    store: StoreId,
    config: LifecycleConfig,
}

impl Lifecycle {
    /// Works on the partitions of which `store`, a table store of this process, is the first live replica.
    #[must_use]
    pub const fn new(cluster: Cluster, store: StoreId, config: LifecycleConfig) -> Self {
        Self { cluster, store, config }
    }

    /// Walks what is due, now and again, until `shutdown`.
    pub async fn run(self, shutdown: Shutdown) {
        // A process that is started again often must get to its work, too.
        let mut pause = self.config.look_every().min(FIRST_LOOK);
        loop {
            tokio::select! {
                () = shutdown.begun() => return,
                () = tokio::time::sleep(pause) => pause = self.config.look_every(),
            }
            tokio::select! {
                // What is under way is left: it is a CAS each, and the next run goes on where this one was noted.
                () = shutdown.begun() => return,
                walked = self.step() => {
                    if walked != Walked::default() {
                        info!(
                            buckets = walked.buckets, judged = walked.objects_judged + walked.uploads_judged,
                            expired = walked.objects_expired, aborted = walked.uploads_aborted, "lifecycle rules applied"
                        );
                    }
                }
            }
        }
    }

    /// Walks every bucket of this store's share whose period has come or whose run was left behind. What fails is
    /// logged, and left to the next step.
    pub async fn step(&self) -> Walked {
        let mut walked = Walked::default();
        if let Err(error) = self.walk_all(&mut walked).await
            && !matches!(error, WalkError::Op(OpError::NotReady))
        {
            warn!(%error, "lifecycle rules could not be applied and are tried again");
        }
        walked
    }

    async fn walk_all(&self, walked: &mut Walked) -> Result<(), WalkError> {
        let mut start = Bytes::new();
        loop {
            let listing = self.list(Table::Bucket, Bytes::from_static(keys::SMALL_TABLE), start, BUCKETS).await?;
            for entry in listing.entries {
                let row = BucketRow::decode(&entry.settled.envelope.value)?;
                let bucket = BucketId::try_from(entry.sort_key.as_ref()).map_err(|_| WalkError::Key)?;
                if !row.settings.lifecycle.as_ref().is_some_and(|rules| rules.acts()) || !self.is_ours(bucket) {
                    continue;
                }
                if let Err(error) = self.walk(bucket, &row, walked).await {
                    warn!(bucket = %row.name, %error, "a bucket's lifecycle rules could not be applied to all of it");
                }
            }
            match listing.next {
                Some(next) => start = next,
                None => break,
            }
        }
        if is_ours(&self.cluster.view(), self.store, keys::SMALL_TABLE) {
            self.forget_the_gone().await?;
        }
        Ok(())
    }

    fn is_ours(&self, bucket: BucketId) -> bool {
        is_ours(&self.cluster.view(), self.store, &keys::shard(bucket, 0))
    }

    /// One page of a table's rows.
    async fn list(&self, table: Table, partition_key: Bytes, start: Bytes, limit: usize) -> Result<Listing, WalkError> {
        let request = ListRequest {
            table,
            partition_key,
            prefix: Bytes::new(),
            start,
            limit,
            delimiter: Bytes::new(),
            with_data: false,
        };
        Ok(self.cluster.list(&self.begin(), request).await?)
    }

    /// An operation that begins now.
    fn begin(&self) -> Op {
        Op::begin(RequestId::random(self.cluster.entropy()), self.cluster.clock())
    }
}

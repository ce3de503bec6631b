//! Where a run stands: one row a bucket, changed only by whoever saw it last.

use bytes::Bytes;
use cairn_model::rows::{BucketRow, TypedRow as _, WorkerRow};
use cairn_model::{Envelope, keys};
use cairn_quorum::UpdateError;
use cairn_types::{BucketId, OpId, Table};

use super::{LIFECYCLE, Lifecycle, WalkError};

/// Rows read at a time.
const PAGE: usize = 1000;

impl Lifecycle {
    pub(super) async fn progress(&self, bucket: BucketId) -> Result<Option<WorkerRow>, WalkError> {
        let found = self.cluster.read(&self.begin(), keys::worker(LIFECYCLE, bucket, 0)).await?;
        Ok(found.map(|row| WorkerRow::decode(&row.envelope.value)).transpose()?)
    }

    /// Notes how far the run has come. False: another has noted something else meanwhile, and goes on from there.
    pub(super) async fn note(
        &self,
        bucket: BucketId,
        seen: Option<&WorkerRow>,
        next: &WorkerRow,
    ) -> Result<bool, WalkError> {
        let seen = seen.map(WorkerRow::encode);
        let next = Envelope { value: next.encode(), ..Envelope::default() };
        let change = |current: Option<&Envelope>| {
            if current.map(|row| &row.value) == seen.as_ref() { Ok(Some(next.clone())) } else { Err(()) }
        };
        let id = OpId::random(self.cluster.entropy());
        match self.cluster.update(&self.begin(), keys::worker(LIFECYCLE, bucket, 0), id, change).await {
            Ok(_) => Ok(true),
            Err(UpdateError::Refused(())) => Ok(false),
            Err(UpdateError::Failed(error)) => Err(error.into()),
        }
    }

    /// Drops the rows of buckets that are gone or have no rules any more.
    pub(super) async fn forget_the_gone(&self) -> Result<(), WalkError> {
        let mut start = Bytes::new();
        loop {
            let listing = self.list(Table::Worker, Bytes::from_static(keys::SMALL_TABLE), start, PAGE).await?;
            for entry in &listing.entries {
                let (worker, bucket, _) = keys::parse_worker(&entry.sort_key).ok_or(WalkError::Key)?;
                if worker == LIFECYCLE && !self.has_rules(bucket).await? {
                    let id = OpId::random(self.cluster.entropy());
                    // Where rules come back just now, their first run begins anew: it had hardly begun.
                    self.cluster.write(&self.begin(), keys::worker(LIFECYCLE, bucket, 0), id, None).await?;
                }
            }
            match listing.next {
                Some(next) => start = next,
                None => return Ok(()),
            }
        }
    }

    async fn has_rules(&self, bucket: BucketId) -> Result<bool, WalkError> {
        let row = self.bucket(bucket).await?;
        Ok(row.is_some_and(|row| row.settings.lifecycle.is_some()))
    }

    /// The bucket's row as it is now.
    pub(super) async fn bucket(&self, bucket: BucketId) -> Result<Option<BucketRow>, WalkError> {
        let found = self.cluster.read(&self.begin(), keys::bucket(bucket)).await?;
        Ok(found.map(|row| BucketRow::decode(&row.envelope.value)).transpose()?)
    }
}

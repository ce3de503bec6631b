//! One bucket, page by page: its objects, then its uploads.

use bytes::Bytes;
use cairn_model::rows::{
    BucketRow, Lifecycle as Rules, ObjectHead, Phase, TypedRow as _, UploadRow, UploadState, WorkerRow,
};
use cairn_model::{Envelope, keys};
use cairn_quorum::{ListEntry, Op, OpError, UpdateError};
use cairn_types::{BucketId, OpId, Table};
use cairn_uploads::{Aborted, Upload, Uploads};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tracing::debug;

use super::{Lifecycle, WalkError, Walked};
use crate::pace::Pace;

/// Objects or uploads judged between two notes of the progress.
const PAGE: usize = 1000;
/// Deletions and aborts under way at a time.
const IN_FLIGHT: usize = 8;

/// What one page came to.
struct Page {
    judged: u64,
    ended: u64,
    next: Option<Bytes>,
}

impl Lifecycle {
    /// Goes on with the bucket's run, or begins one where its period has come.
    pub(super) async fn walk(&self, bucket: BucketId, row: &BucketRow, walked: &mut Walked) -> Result<(), WalkError> {
        let mut noted = self.progress(bucket).await?;
        let now_ms = self.cluster.clock().now_ms();
        let mut run = match &noted {
            Some(run) if run.phase != Phase::Done => run.clone(),
            Some(run) if !self.config.is_due(run.began_at_ms, now_ms) => return Ok(()),
            before => WorkerRow {
                bucket_name: row.name.clone(),
                began_at_ms: now_ms,
                ended_at_ms: before.as_ref().and_then(|run| run.ended_at_ms),
                ..WorkerRow::default()
            },
        };
        walked.buckets += 1;
        let mut judging = Pace::new(self.config.judged_per_second);
        let mut ending = Pace::new(self.config.ended_per_second);
        while run.phase != Phase::Done {
            // Not the rules of the beginning: their owner may have thought better of them (W3).
            let rules = self.bucket(bucket).await?.and_then(|row| row.settings.lifecycle);
            let Some(rules) = rules.filter(|_| self.is_ours(bucket)) else { return Ok(()) };
            let page = match run.phase {
                Phase::Objects => {
                    let page = self.objects(bucket, &rules, run.cursor.clone(), &mut ending).await?;
                    run.objects_judged += page.judged;
                    run.objects_expired += page.ended;
                    walked.objects_judged += page.judged;
                    walked.objects_expired += page.ended;
                    page
                }
                Phase::Uploads | Phase::Done => {
                    let page = self.uploads(bucket, &rules, run.cursor.clone(), &mut ending).await?;
                    run.uploads_judged += page.judged;
                    run.uploads_aborted += page.ended;
                    walked.uploads_judged += page.judged;
                    walked.uploads_aborted += page.ended;
                    page
                }
            };
            (run.phase, run.cursor) = match (page.next, run.phase) {
                (Some(next), phase) => (phase, next),
                (None, Phase::Objects) => (Phase::Uploads, Bytes::new()),
                (None, Phase::Uploads | Phase::Done) => (Phase::Done, Bytes::new()),
            };
            if run.phase == Phase::Done {
                run.ended_at_ms = Some(self.cluster.clock().now_ms());
            }
            if !self.note(bucket, noted.as_ref(), &run).await? {
                debug!(bucket = %row.name, "another node walks this bucket");
                return Ok(());
            }
            noted = Some(run.clone());
            judging.spend(usize::try_from(page.judged).unwrap_or(usize::MAX)).await;
        }
        Ok(())
    }

    async fn objects(
        &self,
        bucket: BucketId,
        rules: &Rules,
        start: Bytes,
        ending: &mut Pace,
    ) -> Result<Page, WalkError> {
        let listing = self.list(Table::Object, keys::shard(bucket, 0), start, PAGE).await?;
        let now_ms = self.cluster.clock().now_ms();
        let mut due = Vec::new();
        for ListEntry { sort_key, settled } in &listing.entries {
            let head = ObjectHead::decode(&settled.envelope.value)?;
            let expiry = rules.expiry(sort_key, head.size, head.last_modified_ms);
            if expiry.is_some_and(|expiry| expiry.has_come(now_ms)) {
                due.push((sort_key.clone(), head.version));
            }
        }
        let mut ended = 0;
        for due in due.chunks(IN_FLIGHT) {
            let deletions: Vec<_> = due.iter().map(|(key, version)| self.delete(bucket, key, *version)).collect();
            let deleted: Vec<bool> = stream::iter(deletions).buffer_unordered(IN_FLIGHT).try_collect().await?;
            ended += deleted.into_iter().filter(|deleted| *deleted).count() as u64;
            ending.spend(due.len()).await;
        }
        Ok(Page { judged: listing.entries.len() as u64, ended, next: listing.next })
    }

    /// Deletes the object while it is the very one that was judged. False: it is another one now, or gone.
    async fn delete(&self, bucket: BucketId, key: &[u8], judged: OpId) -> Result<bool, WalkError> {
        let change = |current: Option<&Envelope>| {
            let head = current.and_then(|row| ObjectHead::decode(&row.value).ok());
            if head.is_some_and(|head| head.version == judged) { Ok(None) } else { Err(()) }
        };
        let id = OpId::random(self.cluster.entropy());
        match self.cluster.update(&self.begin(), keys::object(bucket, key), id, change).await {
            Ok(_) => Ok(true),
            // Others are at it: it is not old any more, or will be judged again in the next run.
            Err(UpdateError::Refused(()) | UpdateError::Failed(OpError::Contended)) => Ok(false),
            Err(UpdateError::Failed(error)) => Err(error.into()),
        }
    }

    async fn uploads(
        &self,
        bucket: BucketId,
        rules: &Rules,
        start: Bytes,
        ending: &mut Pace,
    ) -> Result<Page, WalkError> {
        let listing = self.list(Table::Upload, keys::shard(bucket, 0), start, PAGE).await?;
        let now_ms = self.cluster.clock().now_ms();
        let uploads = Uploads::new(&self.cluster, Op::DEADLINE);
        let (mut judged, mut ended) = (0, 0);
        for ListEntry { sort_key, settled } in &listing.entries {
            let row = UploadRow::decode(&settled.envelope.value)?;
            if !matches!(row.state, UploadState::Open) {
                continue;
            }
            judged += 1;
            let (key, id) = keys::parse_upload(sort_key).ok_or(WalkError::Key)?;
            if !rules.abort(&key, row.created_at_ms).is_some_and(|abort| abort.has_come(now_ms)) {
                continue;
            }
            match uploads.abort(self.begin(), &Upload { bucket, key: &key, id }).await {
                Ok(Aborted::Done) => ended += 1,
                Ok(Aborted::Gone) | Err(cairn_uploads::UploadError::Op(OpError::Contended)) => {}
                Err(error) => return Err(error.into()),
            }
            ending.spend(1).await;
        }
        Ok(Page { judged, ended, next: listing.next })
    }
}

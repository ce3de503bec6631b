//! What operators do: keys, buckets and who may do what in them, all through the register like everything else.
//!
//! - **A1** A secret is shown when it is made, and never again: rows hold it sealed, and nothing prints it
//!   (SECURITY V4).
//! - **A2** A change made here holds in every gateway within two seconds, and in this one at once (SECURITY V23).

mod aliases;
mod grants;
mod grpc;
mod keys;
mod secret;
mod status;

use std::time::Duration;

use cairn_model::keys::{parse_worker, shard};
use cairn_model::rows::{BucketRow, Quota, WorkerRow};
use cairn_quorum::{Op, Recount};
use cairn_rpc::CallError;
use cairn_s3::ErrorCode;
use cairn_types::{BucketId, BucketName, StoreId, Table};

use crate::buckets::Created;
use crate::core::Core;
use crate::directory::Bucket;
use crate::failure::Failure;
use crate::rows::all_rows;

pub(crate) use grpc::Admin;

/// How long a recount of a bucket may take.
const RECOUNT_LIMIT: Duration = Duration::from_secs(600);

/// What one replica's recount found.
pub(crate) type Recounted = (StoreId, Result<Recount, CallError>);

/// Why an operator's wish is not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Conflict(String),
    #[error("{}", .0.error)]
    Failed(Failure),
}

impl From<Failure> for AdminError {
    fn from(failure: Failure) -> Self {
        let message = failure.error.message().to_owned();
        match failure.error.code() {
            ErrorCode::NoSuchBucket => AdminError::NotFound(message),
            ErrorCode::BucketNotEmpty | ErrorCode::ConditionalRequestConflict => AdminError::Conflict(message),
            _ => AdminError::Failed(failure),
        }
    }
}

/// How far background work has come with a bucket.
#[derive(Debug)]
pub(crate) struct WorkerInfo {
    pub(crate) worker: String,
    pub(crate) bucket: BucketId,
    pub(crate) row: WorkerRow,
}

impl Core {
    /// The newest run of each worker over each bucket.
    pub(crate) async fn list_workers(&self, op: &Op) -> Result<Vec<WorkerInfo>, AdminError> {
        let rows = all_rows::<WorkerRow>(self, op, Table::Worker).await?;
        let worker = |(key, row): (Vec<u8>, WorkerRow)| {
            let (worker, bucket, _) = parse_worker(&key)?;
            Some(WorkerInfo { worker: worker.to_owned(), bucket, row })
        };
        Ok(rows.into_iter().filter_map(worker).collect())
    }

    pub(crate) async fn bucket_named(&self, op: &Op, name: &str) -> Result<Bucket, AdminError> {
        let name = bucket_name(name)?;
        let bucket = self.directory.current_bucket(&self.cluster, op, &name).await?;
        let bucket = bucket.ok_or_else(|| AdminError::NotFound(format!("there is no bucket {name}")))?;
        Ok(bucket.as_ref().clone())
    }

    /// `owner`: a key's id or name; empty: nobody's.
    pub(crate) async fn add_bucket(&self, op: &Op, name: &str, owner: &str) -> Result<Bucket, AdminError> {
        let name = bucket_name(name)?;
        let owner = if owner.is_empty() { String::new() } else { self.find_key(op, owner).await?.id };
        match self.create_bucket(op, &name, &owner).await? {
            Created::New(bucket) => Ok(bucket),
            Created::Taken(_) => Err(AdminError::Conflict(format!("there is a bucket {name} already"))),
        }
    }

    pub(crate) async fn set_quota(&self, op: &Op, bucket: &str, quota: Quota) -> Result<Bucket, AdminError> {
        let bucket = self.bucket_named(op, bucket).await?;
        self.change_bucket(op, &bucket, |row| Ok(BucketRow { quota, ..row })).await
    }

    /// Objects and bytes of a bucket, as a majority reports them.
    pub(crate) async fn usage(&self, op: &Op, bucket: &Bucket) -> Result<(u64, u64), AdminError> {
        let usage = self.usage_of(op, bucket.id).await?;
        Ok((usage.objects, usage.bytes))
    }

    /// Every replica counts the bucket's objects anew; what each found, or why it did not.
    pub(crate) async fn repair_usage(&self, op: &Op, bucket: &str) -> Result<Vec<Recounted>, AdminError> {
        let bucket = self.bucket_named(op, bucket).await?;
        let op = op.renewed(RECOUNT_LIMIT);
        Ok(self.cluster.recount(&op, shard(bucket.id, 0)).await.map_err(Failure::from)?)
    }
}

fn bucket_name(text: &str) -> Result<BucketName, AdminError> {
    text.parse().map_err(|error: cairn_types::NameError| AdminError::Invalid(error.to_string()))
}

//! What operators do: keys, buckets and who may do what in them, all through the register like everything else.
//!
//! - **A1** A secret is shown when it is made, and never again: rows hold it sealed, and nothing prints it
//!   (SECURITY V4).
//! - **A2** A change made here holds in every gateway within two seconds, and in this one at once (SECURITY V23).

mod aliases;
mod grpc;
mod secret;
mod status;

use std::time::Duration;

use cairn_model::Envelope;
use cairn_model::keys;
use cairn_model::rows::{AccessKeyRow, BucketRow, Quota, Rights, TypedRow as _, WorkerRow};
use cairn_quorum::{Op, Recount, UpdateError};
use cairn_rpc::CallError;
use cairn_s3::ErrorCode;
use cairn_types::{BucketId, BucketName, StoreId, Table};
use zeroize::Zeroizing;

use crate::buckets::Created;
use crate::core::Core;
use crate::directory::{Bucket, seal, small_row};
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

/// A key as operators see it: without its secret.
#[derive(Debug)]
pub(crate) struct KeyInfo {
    pub(crate) id: String,
    pub(crate) row: AccessKeyRow,
}

/// How far background work has come with a bucket.
#[derive(Debug)]
pub(crate) struct WorkerInfo {
    pub(crate) worker: String,
    pub(crate) bucket: BucketId,
    pub(crate) row: WorkerRow,
}

/// A key that was just made, with its secret.
pub(crate) struct NewKey {
    pub(crate) key: KeyInfo,
    pub(crate) secret: Zeroizing<String>,
}

impl Core {
    pub(crate) async fn create_key(&self, op: &Op, name: &str, create_bucket: bool) -> Result<NewKey, AdminError> {
        let id = secret::access_key(self.entropy.as_ref());
        let secret = secret::secret_key(self.entropy.as_ref());
        let key = self.add_key(op, name, id, &secret, create_bucket).await?;
        Ok(NewKey { key, secret })
    }

    pub(crate) async fn import_key(
        &self,
        op: &Op,
        name: &str,
        id: String,
        secret: &str,
        create_bucket: bool,
    ) -> Result<KeyInfo, AdminError> {
        secret::check_imported(&id, secret).map_err(AdminError::Invalid)?;
        self.add_key(op, name, id, secret, create_bucket).await
    }

    async fn add_key(
        &self,
        op: &Op,
        name: &str,
        id: String,
        secret: &str,
        create_bucket: bool,
    ) -> Result<KeyInfo, AdminError> {
        if name.is_empty() || name.len() > 128 || name.chars().any(char::is_control) {
            return Err(AdminError::Invalid("a key's name is 1 to 128 bytes of printable text".to_owned()));
        }
        let sealed_secret = seal(&self.secret, &id, secret, self.entropy.as_ref())?.into();
        let created_at_ms = self.clock.now_ms();
        let row =
            AccessKeyRow { name: name.to_owned(), sealed_secret, created_at_ms, create_bucket, expires_at_ms: None };
        let change = |current: Option<&Envelope>| match current {
            None => Ok(Some(small_row(&row))),
            Some(_) => Err(()),
        };
        let added = self.cluster.update(op, keys::access_key(&id), self.new_op(), change).await;
        self.directory.forget_key(&id);
        match added {
            Ok(_) => Ok(KeyInfo { id, row }),
            Err(UpdateError::Refused(())) => Err(AdminError::Conflict(format!("there is a key {id} already"))),
            Err(UpdateError::Failed(error)) => Err(Failure::from(error).into()),
        }
    }

    pub(crate) async fn list_keys(&self, op: &Op) -> Result<Vec<KeyInfo>, AdminError> {
        let rows = all_rows::<AccessKeyRow>(self, op, Table::AccessKey).await?;
        let key = |(id, row): (Vec<u8>, AccessKeyRow)| Some(KeyInfo { id: String::from_utf8(id).ok()?, row });
        Ok(rows.into_iter().filter_map(key).collect())
    }

    /// The newest run of each worker over each bucket.
    pub(crate) async fn list_workers(&self, op: &Op) -> Result<Vec<WorkerInfo>, AdminError> {
        let rows = all_rows::<WorkerRow>(self, op, Table::Worker).await?;
        let worker = |(key, row): (Vec<u8>, WorkerRow)| {
            let (worker, bucket, _) = keys::parse_worker(&key)?;
            Some(WorkerInfo { worker: worker.to_owned(), bucket, row })
        };
        Ok(rows.into_iter().filter_map(worker).collect())
    }

    /// By its id, or by a name that only one key has.
    pub(crate) async fn find_key(&self, op: &Op, text: &str) -> Result<KeyInfo, AdminError> {
        let mut named = Vec::new();
        for key in self.list_keys(op).await? {
            if key.id == text {
                return Ok(key);
            }
            if key.row.name == text {
                named.push(key);
            }
        }
        match (named.pop(), named.is_empty()) {
            (Some(key), true) => Ok(key),
            (Some(_), false) => Err(AdminError::Conflict(format!("more than one key is named {text}: use its id"))),
            (None, _) => Err(AdminError::NotFound(format!("there is no key {text}"))),
        }
    }

    /// The key first, so that it stops working; then what it was granted.
    pub(crate) async fn delete_key(&self, op: &Op, text: &str) -> Result<KeyInfo, AdminError> {
        let key = self.find_key(op, text).await?;
        let deleted = self.cluster.write(op, keys::access_key(&key.id), self.new_op(), None).await;
        self.directory.forget_key(&key.id);
        deleted.map_err(Failure::from)?;
        for bucket in self.list_buckets(op).await? {
            if !bucket.rights(&key.id).is_none() {
                self.change_grant(op, &bucket, &key.id, |_| Rights::default()).await?;
            }
        }
        Ok(key)
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

    pub(crate) async fn allow(&self, op: &Op, bucket: &str, key: &str, rights: Rights) -> Result<Bucket, AdminError> {
        let (bucket, key) = (self.bucket_named(op, bucket).await?, self.find_key(op, key).await?);
        self.change_grant(op, &bucket, &key.id, |held| held.with(rights)).await
    }

    pub(crate) async fn deny(&self, op: &Op, bucket: &str, key: &str, rights: Rights) -> Result<Bucket, AdminError> {
        let (bucket, key) = (self.bucket_named(op, bucket).await?, self.find_key(op, key).await?);
        self.change_grant(op, &bucket, &key.id, |held| held.without(rights)).await
    }

    async fn change_grant(
        &self,
        op: &Op,
        bucket: &Bucket,
        key: &str,
        change: impl Fn(Rights) -> Rights + Send + Sync,
    ) -> Result<Bucket, AdminError> {
        self.change_bucket(op, bucket, |row| regrant(row, key, &change)).await
    }

    pub(crate) async fn set_quota(&self, op: &Op, bucket: &str, quota: Quota) -> Result<Bucket, AdminError> {
        let bucket = self.bucket_named(op, bucket).await?;
        self.change_bucket(op, &bucket, |row| BucketRow { quota, ..row }).await
    }

    async fn change_bucket(
        &self,
        op: &Op,
        bucket: &Bucket,
        change: impl Fn(BucketRow) -> BucketRow + Send + Sync,
    ) -> Result<Bucket, AdminError> {
        let mut changed = None;
        let update = |current: Option<&Envelope>| {
            let row = current.and_then(|envelope| BucketRow::decode(&envelope.value).ok()).ok_or(())?;
            let row = change(row);
            let envelope = small_row(&row);
            changed = Some(row);
            Ok(Some(envelope))
        };
        let updated = self.cluster.update(op, keys::bucket(bucket.id), self.new_op(), update).await;
        self.directory.forget_bucket(bucket);
        match updated {
            Ok(_) => {
                let row = changed.ok_or_else(|| Failure::internal("a change of a bucket was lost"))?;
                Ok(Bucket { row, ..bucket.clone() })
            }
            Err(UpdateError::Refused(())) => {
                Err(AdminError::NotFound(format!("the bucket {} was deleted meanwhile", bucket.name)))
            }
            Err(UpdateError::Failed(error)) => Err(Failure::from(error).into()),
        }
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
        Ok(self.cluster.recount(&op, keys::shard(bucket.id, 0)).await.map_err(Failure::from)?)
    }
}

/// A bucket that nobody owns belongs to the first who gets all rights of an owner.
fn regrant(mut row: BucketRow, key: &str, change: impl Fn(Rights) -> Rights) -> BucketRow {
    let rights = change(row.grants.get(key).copied().unwrap_or_default());
    if rights.is_none() {
        row.grants.remove(key);
    } else {
        row.grants.insert(key.to_owned(), rights);
    }
    if row.owner.is_empty() && rights.owner {
        key.clone_into(&mut row.owner);
    }
    row
}

fn bucket_name(text: &str) -> Result<BucketName, AdminError> {
    text.parse().map_err(|error: cairn_types::NameError| AdminError::Invalid(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_add_up_and_vanish() {
        let row = BucketRow {
            name: "b".into(),
            created_at_ms: 0,
            owner: String::new(),
            grants: Default::default(),
            settings: Default::default(),
            quota: Quota::default(),
            aliases: Default::default(),
        };
        let row = regrant(row, "k", |held| held.with(Rights { read: true, ..Rights::default() }));
        assert_eq!(row.owner, "");
        let row = regrant(row, "k", |held| held.with(Rights::ALL));
        assert_eq!((row.owner.as_str(), row.grants["k"]), ("k", Rights::ALL));
        let row = regrant(row, "k", |held| held.without(Rights::ALL));
        assert!(row.grants.is_empty());
        assert_eq!(row.owner, "k", "who owns a bucket does not change by losing rights");
    }
}

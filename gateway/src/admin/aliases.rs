//! Aliases: further names of buckets, for S3 and for web sites alike.
//!
//! - **L1** An alias is a name as any other (N1): who writes its row first has it, whichever gateway they ask.
//!   *Tested by `of_many_takers_one_has_the_alias`.*
//! - **L2** An alias ends with its bucket, wherever a deletion stops: a name that leads to no bucket is free. What the
//!   bucket's row lists is written before the name and removed after it, so that a deletion knows which to clear; it
//!   decides nothing. *Tested by `aliases_end_with_their_bucket`.*

use cairn_model::rows::{BucketNameRow, BucketRow, TypedRow as _};
use cairn_model::{Envelope, keys};
use cairn_quorum::{Op, UpdateError};
use cairn_types::BucketName;
use futures_util::future::try_join_all;

use super::{AdminError, bucket_name};
use crate::core::Core;
use crate::directory::{Bucket, read_row, small_row};
use crate::failure::Failure;

/// The most aliases of a bucket.
const MOST: usize = 100;

impl Core {
    /// Makes `alias` lead to a bucket. What is so already is no error.
    ///
    /// # Errors
    /// The name leads to another bucket, or it is the bucket's own, or there are too many.
    pub(crate) async fn add_alias(&self, op: &Op, bucket: &str, alias: &str) -> Result<Bucket, AdminError> {
        let (bucket, alias) = (self.bucket_named(op, bucket).await?, bucket_name(alias)?);
        if bucket.row.name == alias.as_str() {
            return Err(AdminError::Invalid(format!("{alias} is the bucket's own name")));
        }
        let listed = bucket.row.aliases.len();
        if listed >= MOST && !bucket.row.aliases.contains(alias.as_str()) {
            return Err(AdminError::Conflict(format!(
                "{} has {listed} aliases: no more are possible",
                bucket.row.name
            )));
        }
        let changed = self.change_aliases(op, &bucket, &alias, true).await?;
        if !self.take_name(op, &bucket, &alias).await? {
            self.change_aliases(op, &bucket, &alias, false).await?;
            return Err(AdminError::Conflict(format!("{alias} is the name of another bucket")));
        }
        // A deletion that passed meanwhile saw no such name, or had read the list before it stood there.
        if read_row::<BucketRow>(&self.cluster, op, keys::bucket(bucket.id)).await?.is_none() {
            self.swap_name(op, &alias, Some(bucket.id), None).await?;
            return Err(deleted(&bucket));
        }
        Ok(changed)
    }

    /// Frees `alias`.
    ///
    /// # Errors
    /// It does not lead to the bucket, or it is the bucket's own name.
    pub(crate) async fn remove_alias(&self, op: &Op, bucket: &str, alias: &str) -> Result<Bucket, AdminError> {
        let (bucket, alias) = (self.bucket_named(op, bucket).await?, bucket_name(alias)?);
        if bucket.row.name == alias.as_str() {
            return Err(AdminError::Invalid(format!("{alias} is the bucket's own name, which ends with the bucket")));
        }
        let freed = self.swap_name(op, &alias, Some(bucket.id), None).await?;
        self.directory.forget_name(&alias);
        if !freed && !bucket.row.aliases.contains(alias.as_str()) {
            return Err(AdminError::NotFound(format!("{} has no alias {alias}", bucket.row.name)));
        }
        self.change_aliases(op, &bucket, &alias, false).await
    }

    /// Those of the listed aliases that lead to the bucket.
    pub(crate) async fn aliases(&self, op: &Op, bucket: &Bucket) -> Result<Vec<String>, AdminError> {
        let leads = bucket.row.aliases.iter().map(|alias| async move {
            let Ok(name) = alias.parse::<BucketName>() else { return Ok::<_, Failure>(None) };
            let row = read_row::<BucketNameRow>(&self.cluster, op, keys::bucket_name(&name)).await?;
            Ok(row.filter(|row| row.bucket == bucket.id).map(|_| alias.clone()))
        });
        Ok(try_join_all(leads).await?.into_iter().flatten().collect())
    }

    /// Makes a free name lead to `bucket`. False: it is another's.
    async fn take_name(&self, op: &Op, bucket: &Bucket, name: &BucketName) -> Result<bool, Failure> {
        let taken = loop {
            let row = read_row::<BucketNameRow>(&self.cluster, op, keys::bucket_name(name)).await?;
            let holder = row.map(|row| row.bucket);
            if let Some(holder) = holder {
                if holder == bucket.id {
                    break true;
                }
                if read_row::<BucketRow>(&self.cluster, op, keys::bucket(holder)).await?.is_some() {
                    break false;
                }
            }
            // Nobody has it, or a bucket that was deleted. Who loses the race looks at who won it.
            if self.swap_name(op, name, holder, Some(bucket.id)).await? {
                break true;
            }
        };
        self.directory.forget_name(name);
        Ok(taken)
    }

    /// Notes an alias in the bucket's row, or strikes it out.
    async fn change_aliases(
        &self,
        op: &Op,
        bucket: &Bucket,
        alias: &BucketName,
        listed: bool,
    ) -> Result<Bucket, AdminError> {
        let mut changed = None;
        let update = |current: Option<&Envelope>| {
            let mut row = current.and_then(|envelope| BucketRow::decode(&envelope.value).ok()).ok_or(())?;
            if listed {
                row.aliases.insert(alias.to_string());
            } else {
                row.aliases.remove(alias.as_str());
            }
            let envelope = small_row(&row);
            changed = Some(row);
            Ok(Some(envelope))
        };
        let updated = self.cluster.update(op, keys::bucket(bucket.id), self.new_op(), update).await;
        self.directory.forget_bucket(bucket);
        match updated {
            Ok(_) => {
                let row = changed.ok_or_else(|| Failure::internal("a list of aliases was not changed"))?;
                Ok(Bucket { row, ..bucket.clone() })
            }
            Err(UpdateError::Refused(())) => Err(deleted(bucket)),
            Err(UpdateError::Failed(error)) => Err(Failure::from(error).into()),
        }
    }
}

fn deleted(bucket: &Bucket) -> AdminError {
    AdminError::NotFound(format!("the bucket {} was deleted meanwhile", bucket.row.name))
}

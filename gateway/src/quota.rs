//! What a bucket may hold (DESIGN §5 "Usage"): judged before bytes are taken, and again before they get a name.
//!
//! Replicas count objects and bytes with every row they accept and say so with each Query, so that an unconditional
//! PUT learns the usage from the Query it sends anyway. Objects count with their own size, whatever they share or
//! however they are encrypted; parts of open uploads count when they become an object.
//!
//! - **T1** Requests that are judged at the same time may together go past a quota, by no more than they add
//!   themselves: whoever is judged after their heads are written counts them. *Tested by `tests/s3/quotas.rs`.*
//! - **T2** Nothing is refused because of a cached quota. *Tested by `tests/tests/quotas.rs`.*
//! - **T3** What does not make a bucket larger is never refused: a delete, a smaller object in place of a larger one.
//!   *Tested by `what_does_not_grow_fits`.*

use std::collections::BTreeMap;

use cairn_model::keys;
use cairn_model::rows::Quota;
use cairn_quorum::{Op, PendingWrite, Usage};
use cairn_s3::{ErrorCode, S3Error};
use cairn_types::BucketId;

use crate::core::Core;
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::multipart::{ALL_PARTS, Upload};

/// What a write would change of a bucket's usage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Growth {
    /// 0 where an object is replaced.
    objects: u64,
    bytes: u64,
    /// Bytes of the object that is replaced.
    replaced: u64,
}

/// Whether `growth` fits on top of `usage`.
fn check(quota: Quota, usage: Usage, growth: Growth) -> Result<(), S3Error> {
    let bytes = usage.bytes.saturating_sub(growth.replaced).saturating_add(growth.bytes);
    if let Some(max) = quota.max_bytes.filter(|max| growth.bytes > growth.replaced && bytes > *max) {
        return Err(exceeded(&format!("{max} bytes")));
    }
    let objects = usage.objects.saturating_add(growth.objects);
    if let Some(max) = quota.max_objects.filter(|max| growth.objects > 0 && objects > *max) {
        return Err(exceeded(&format!("{max} objects")));
    }
    Ok(())
}

fn exceeded(what: &str) -> S3Error {
    let message = format!("The bucket's quota of {what} would be exceeded. Nothing was changed.");
    S3Error::with_message(ErrorCode::QuotaExceeded, message)
}

impl Core {
    /// Objects and bytes of a bucket, the largest that a majority reports.
    pub(crate) async fn usage_of(&self, op: &Op, bucket: BucketId) -> Result<Usage, Failure> {
        // Every object's Query brings the usage along; this one is never followed by a write.
        let mut query = self.cluster.begin_write(op, keys::object(bucket, b"usage")).await?;
        Ok(query.usage().await?)
    }
}

impl Exchange {
    /// Refuses an object of `bytes` bytes under `key` where the bucket's quota has no room for it. `pending`: the write
    /// that would make it, whose Query knows the usage already.
    ///
    /// # Errors
    /// `QuotaExceeded`.
    pub(crate) async fn check_quota(
        &self,
        key: &[u8],
        bytes: u64,
        pending: Option<&mut PendingWrite>,
    ) -> Result<(), Failure> {
        let bucket = self.granted.bucket()?;
        if bucket.row.quota.is_none() {
            return Ok(());
        }
        let usage = match pending {
            Some(pending) => pending.usage().await?,
            None => self.core.usage_of(&self.op(), bucket.id).await?,
        };
        let all_new = Growth { objects: 1, bytes, replaced: 0 };
        if check(bucket.row.quota, usage, all_new).is_ok() {
            return Ok(());
        }
        let growth = match self.replaced(key).await? {
            Some(replaced) => Growth { objects: 0, bytes, replaced },
            None => all_new,
        };
        Ok(check(self.current_quota().await?, usage, growth)?)
    }

    /// Refuses part `number` of `bytes` bytes where the upload's parts can no longer become an object. Early, and no more
    /// than that: Complete judges the object, also where a part smaller than those before it was let pass.
    ///
    /// # Errors
    /// `QuotaExceeded`.
    pub(crate) async fn check_part_quota(&self, upload: &Upload<'_>, number: u16, bytes: u64) -> Result<(), Failure> {
        let bucket = self.granted.bucket()?;
        let Some(max) = bucket.row.quota.max_bytes else { return Ok(()) };
        let usage = self.core.usage_of(&self.op(), bucket.id).await?;
        // Parts are mostly of one size: only where such an upload would not fit are they added up.
        let likely = bytes.saturating_mul(number.into());
        if usage.bytes.saturating_add(likely) <= max {
            return Ok(());
        }
        let stored: BTreeMap<_, _> = self.core.parts(&self.op(), upload.id, 0, ALL_PARTS).await?.into_iter().collect();
        let others = stored.iter().filter(|(other, _)| **other != number).map(|(_, part)| part.size);
        let bytes = others.fold(bytes, u64::saturating_add);
        let replaced = self.replaced(upload.key.as_bytes()).await?.unwrap_or_default();
        Ok(check(self.current_quota().await?, usage, Growth { objects: 0, bytes, replaced })?)
    }

    /// Bytes of the object that a write to `key` would replace.
    async fn replaced(&self, key: &[u8]) -> Result<Option<u64>, Failure> {
        let object = self.core.object(&self.op(), self.bucket_id()?, key).await?;
        Ok(object.map(|object| object.head.size))
    }

    /// The quota as a quorum has it now.
    async fn current_quota(&self) -> Result<Quota, Failure> {
        let bucket = self.granted.bucket()?;
        let now = self.core.directory.current_bucket(&self.core.cluster, &self.op(), &bucket.name).await?;
        now.map(|now| now.row.quota).ok_or_else(|| ErrorCode::NoSuchBucket.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTA: Quota = Quota { max_bytes: Some(100), max_objects: Some(3) };

    fn fits(objects: u64, bytes: u64, growth: (u64, u64, u64)) -> bool {
        let (new, added, replaced) = growth;
        check(QUOTA, Usage { objects, bytes }, Growth { objects: new, bytes: added, replaced }).is_ok()
    }

    #[test]
    fn a_quota_may_be_filled_and_no_more() {
        assert!(fits(0, 0, (1, 100, 0)));
        assert!(!fits(0, 0, (1, 101, 0)));
        assert!(fits(2, 50, (1, 50, 0)));
        assert!(!fits(3, 50, (1, 1, 0)));
        assert!(fits(3, 100, (0, 40, 40)), "an overwrite counts by its difference");
        assert!(!fits(3, 100, (0, 41, 40)));
        assert!(!fits(0, u64::MAX, (1, u64::MAX, 0)));
        let unbounded = Growth { objects: 1, bytes: u64::MAX, replaced: 0 };
        assert!(check(Quota::default(), Usage { objects: u64::MAX, bytes: u64::MAX }, unbounded).is_ok());
    }

    #[test]
    fn what_does_not_grow_fits() {
        assert!(fits(9, 900, (0, 10, 500)), "smaller, though all is beyond the quota");
        assert!(fits(9, 900, (0, 500, 500)));
        assert!(!fits(9, 900, (0, 501, 500)));
        assert!(!fits(9, 900, (1, 0, 0)), "one object more, though empty");
    }
}

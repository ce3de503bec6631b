//! Who may do what in a bucket: given, and taken.

use cairn_model::Envelope;
use cairn_model::keys;
use cairn_model::rows::{BucketRow, Grant, Rights, TypedRow as _};
use cairn_quorum::{Op, UpdateError};

use super::AdminError;
use crate::core::Core;
use crate::directory::{Bucket, small_row};
use crate::failure::Failure;

/// Prefixes of one key's grant on one bucket: each request of the key may look at them all.
const MAX_PREFIXES: usize = 100;
/// Bytes of one: the longest key's.
const MAX_PREFIX: usize = 1024;

/// Rights that are given or taken: on the whole bucket, or within some prefixes.
pub(super) struct Change<'a> {
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    pub(super) rights: Rights,
    /// None: on the whole bucket; where rights are taken, wherever they are.
    pub(super) prefixes: &'a [String],
}

impl Change<'_> {
    fn check(&self) -> Result<(), AdminError> {
        let invalid = |why: &str| Err(AdminError::Invalid(why.to_owned()));
        if self.rights.is_none() {
            return invalid("say which rights: read, write or owner");
        }
        if self.rights.owner && !self.prefixes.is_empty() {
            return invalid("an owner's right is of the whole bucket: it cannot be limited to prefixes");
        }
        if self.prefixes.iter().any(|prefix| prefix.is_empty() || prefix.len() > MAX_PREFIX) {
            return invalid("a prefix is 1 to 1024 bytes; without one, a right is of the whole bucket");
        }
        Ok(())
    }

    fn give(&self, grant: &mut Grant) {
        if self.prefixes.is_empty() {
            grant.whole = grant.whole.with(self.rights);
        }
        self.prefixes.iter().for_each(|prefix| grant.add_within(prefix, self.rights));
    }

    fn take(&self, grant: &mut Grant) {
        if self.prefixes.is_empty() {
            grant.remove(self.rights);
        }
        self.prefixes.iter().for_each(|prefix| grant.remove_within(prefix, self.rights));
    }
}

/// Why a bucket's row is not changed.
#[derive(Clone)]
pub(super) enum Refused {
    Gone,
    TooMany,
}

impl Core {
    pub(super) async fn allow(&self, op: &Op, change: Change<'_>) -> Result<Bucket, AdminError> {
        change.check()?;
        let (bucket, key) = (self.bucket_named(op, change.bucket).await?, self.find_key(op, change.key).await?);
        self.change_grant(op, &bucket, &key.id, |grant| change.give(grant)).await
    }

    pub(super) async fn deny(&self, op: &Op, change: Change<'_>) -> Result<Bucket, AdminError> {
        change.check()?;
        let (bucket, key) = (self.bucket_named(op, change.bucket).await?, self.find_key(op, change.key).await?);
        self.change_grant(op, &bucket, &key.id, |grant| change.take(grant)).await
    }

    pub(super) async fn change_grant(
        &self,
        op: &Op,
        bucket: &Bucket,
        key: &str,
        change: impl Fn(&mut Grant) + Send + Sync,
    ) -> Result<Bucket, AdminError> {
        self.change_bucket(op, bucket, |row| regrant(row, key, &change)).await
    }

    /// Changes a bucket's row, whatever it is by then.
    pub(super) async fn change_bucket(
        &self,
        op: &Op,
        bucket: &Bucket,
        change: impl Fn(BucketRow) -> Result<BucketRow, Refused> + Send + Sync,
    ) -> Result<Bucket, AdminError> {
        let mut changed = None;
        let update = |current: Option<&Envelope>| -> Result<Option<Envelope>, Refused> {
            let row = current.and_then(|envelope| BucketRow::decode(&envelope.value).ok()).ok_or(Refused::Gone)?;
            let row = change(row)?;
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
            Err(UpdateError::Refused(Refused::Gone)) => {
                Err(AdminError::NotFound(format!("the bucket {} was deleted meanwhile", bucket.name)))
            }
            Err(UpdateError::Refused(Refused::TooMany)) => {
                Err(AdminError::Invalid(format!("a key's rights on a bucket name at most {MAX_PREFIXES} prefixes")))
            }
            Err(UpdateError::Failed(error)) => Err(Failure::from(error).into()),
        }
    }
}

/// A bucket that nobody owns belongs to the first who gets all rights of an owner.
fn regrant(mut row: BucketRow, key: &str, change: impl Fn(&mut Grant)) -> Result<BucketRow, Refused> {
    let mut grant = row.grants.remove(key).unwrap_or_default();
    change(&mut grant);
    if grant.within.len() > MAX_PREFIXES {
        return Err(Refused::TooMany);
    }
    if row.owner.is_empty() && grant.whole.owner {
        key.clone_into(&mut row.owner);
    }
    if !grant.is_none() {
        row.grants.insert(key.to_owned(), grant);
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Rights = Rights { read: true, write: false, owner: false };

    fn bucket() -> BucketRow {
        BucketRow {
            name: "b".into(),
            created_at_ms: 0,
            owner: String::new(),
            grants: Default::default(),
            settings: Default::default(),
            quota: Default::default(),
            aliases: Default::default(),
        }
    }

    fn change<'a>(rights: Rights, prefixes: &'a [String]) -> Change<'a> {
        Change { bucket: "b", key: "k", rights, prefixes }
    }

    fn regranted(row: BucketRow, change: impl Fn(&mut Grant)) -> BucketRow {
        regrant(row, "k", change).ok().unwrap()
    }

    #[test]
    fn grants_add_up_and_vanish() {
        let row = regranted(bucket(), |grant| change(READ, &[]).give(grant));
        assert_eq!(row.owner, "");
        let row = regranted(row, |grant| change(Rights::ALL, &[]).give(grant));
        assert_eq!((row.owner.as_str(), &row.grants["k"]), ("k", &Grant::whole(Rights::ALL)));
        let row = regranted(row, |grant| change(READ, &["a/".to_owned()]).give(grant));
        let row = regranted(row, |grant| change(Rights::ALL, &[]).take(grant));
        assert!(row.grants.is_empty(), "within prefixes too");
        assert_eq!(row.owner, "k", "who owns a bucket does not change by losing rights");
    }

    #[test]
    fn prefixes_are_few_and_never_an_owners() {
        let many: Vec<String> = (0..101).map(|n| format!("{n}/")).collect();
        assert!(regrant(bucket(), "k", |grant| change(READ, &many).give(grant)).is_err());
        assert!(change(READ, &many).check().is_ok());
        assert!(change(Rights::ALL, &many).check().is_err());
        assert!(change(READ, &[String::new()]).check().is_err());
        assert!(change(READ, &["k".repeat(1025)]).check().is_err());
        assert!(change(Rights::default(), &[]).check().is_err());
    }
}

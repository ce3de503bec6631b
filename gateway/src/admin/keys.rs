//! Access keys: made, changed, rotated, deleted.
//!
//! - **R1** During a rotation both secrets verify; the newer one was shown once, when it was made, and the older never
//!   again. *Tested by `tests/s3/keys.rs`.*

use cairn_model::Envelope;
use cairn_model::keys;
use cairn_model::rows::{AccessKeyRow, PreviousSecret, Rights, TypedRow as _};
use cairn_quorum::{Op, UpdateError};
use cairn_types::Table;
use zeroize::Zeroizing;

use super::{AdminError, secret};
use crate::core::Core;
use crate::directory::{seal, small_row};
use crate::failure::Failure;
use crate::rows::all_rows;

/// A key as operators see it: without its secret.
#[derive(Debug)]
pub(super) struct KeyInfo {
    pub(super) id: String,
    pub(super) row: AccessKeyRow,
}

/// A key with the secret that was just made for it.
pub(super) struct NewSecret {
    pub(super) key: KeyInfo,
    pub(super) secret: Zeroizing<String>,
}

/// What an operator says of a new key.
pub(super) struct Wish<'a> {
    pub(super) name: &'a str,
    pub(super) create_bucket: bool,
    pub(super) expiry: Expiry,
}

/// When a key stops working.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Expiry {
    Never,
    /// Milliseconds from now.
    In(u64),
    /// Milliseconds since 1970.
    At(u64),
}

impl Expiry {
    /// As it stands in a row. A past moment is taken as it is: it ends the key at once.
    fn at_ms(self, now_ms: u64) -> Result<Option<u64>, AdminError> {
        let invalid = |why: &str| AdminError::Invalid(why.to_owned());
        match self {
            Expiry::Never => Ok(None),
            Expiry::In(0) => Err(invalid("a key expires after some time, or at a moment")),
            Expiry::In(ms) => now_ms.checked_add(ms).map(Some).ok_or_else(|| invalid("that is too far away")),
            Expiry::At(0) => Err(invalid("a key cannot expire in 1970")),
            Expiry::At(ms) => Ok(Some(ms)),
        }
    }
}

/// Which secret outlives a rotation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kept {
    New,
    Previous,
}

/// Why a key's row is not changed.
#[derive(Clone)]
enum Refused {
    Gone,
    Unreadable(String),
    Rotating,
    NotRotating,
}

impl Core {
    pub(super) async fn create_key(&self, op: &Op, wish: Wish<'_>) -> Result<NewSecret, AdminError> {
        let id = secret::access_key(self.entropy.as_ref());
        let secret = secret::secret_key(self.entropy.as_ref());
        let key = self.add_key(op, wish, id, &secret).await?;
        Ok(NewSecret { key, secret })
    }

    pub(super) async fn import_key(
        &self,
        op: &Op,
        wish: Wish<'_>,
        id: String,
        secret: &str,
    ) -> Result<KeyInfo, AdminError> {
        secret::check_imported(&id, secret).map_err(AdminError::Invalid)?;
        self.add_key(op, wish, id, secret).await
    }

    async fn add_key(&self, op: &Op, wish: Wish<'_>, id: String, secret: &str) -> Result<KeyInfo, AdminError> {
        let Wish { name, create_bucket, expiry } = wish;
        if name.is_empty() || name.len() > 128 || name.chars().any(char::is_control) {
            return Err(AdminError::Invalid("a key's name is 1 to 128 bytes of printable text".to_owned()));
        }
        let created_at_ms = self.clock.now_ms();
        let expires_at_ms = expiry.at_ms(created_at_ms)?;
        let sealed_secret = seal(&self.secret, &id, secret, self.entropy.as_ref())?.into();
        let name = name.to_owned();
        let row = AccessKeyRow { name, sealed_secret, created_at_ms, create_bucket, expires_at_ms, previous: None };
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

    pub(super) async fn list_keys(&self, op: &Op) -> Result<Vec<KeyInfo>, AdminError> {
        let rows = all_rows::<AccessKeyRow>(self, op, Table::AccessKey).await?;
        let key = |(id, row): (Vec<u8>, AccessKeyRow)| Some(KeyInfo { id: String::from_utf8(id).ok()?, row });
        Ok(rows.into_iter().filter_map(key).collect())
    }

    /// By its id, or by a name that only one key has.
    pub(super) async fn find_key(&self, op: &Op, text: &str) -> Result<KeyInfo, AdminError> {
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
    pub(super) async fn delete_key(&self, op: &Op, text: &str) -> Result<KeyInfo, AdminError> {
        let key = self.find_key(op, text).await?;
        let deleted = self.cluster.write(op, keys::access_key(&key.id), self.new_op(), None).await;
        self.directory.forget_key(&key.id);
        deleted.map_err(Failure::from)?;
        for bucket in self.list_buckets(op).await? {
            if bucket.grant(&key.id).is_some() {
                self.change_grant(op, &bucket, &key.id, |grant| grant.remove(Rights::ALL)).await?;
            }
        }
        Ok(key)
    }

    /// Sets what is named and leaves the rest.
    pub(super) async fn change_key(
        &self,
        op: &Op,
        text: &str,
        create_bucket: Option<bool>,
        expiry: Option<Expiry>,
    ) -> Result<KeyInfo, AdminError> {
        let expires_at_ms = expiry.map(|expiry| expiry.at_ms(self.clock.now_ms())).transpose()?;
        self.update_key(op, text, |row| {
            row.create_bucket = create_bucket.unwrap_or(row.create_bucket);
            row.expires_at_ms = expires_at_ms.unwrap_or(row.expires_at_ms);
            Ok(())
        })
        .await
    }

    /// Makes a second secret. `overlap_ms`: how long the one there is stays valid; 0: until the rotation is ended.
    pub(super) async fn rotate_key(&self, op: &Op, text: &str, overlap_ms: u64) -> Result<NewSecret, AdminError> {
        let id = self.find_key(op, text).await?.id;
        let secret = secret::secret_key(self.entropy.as_ref());
        let sealed = seal(&self.secret, &id, &secret, self.entropy.as_ref())?;
        let now_ms = self.clock.now_ms();
        let until_ms = (overlap_ms != 0).then(|| now_ms.saturating_add(overlap_ms));
        let rotate = |row: &mut AccessKeyRow| {
            if row.previous_at(now_ms).is_some() {
                return Err(Refused::Rotating);
            }
            let old = std::mem::replace(&mut row.sealed_secret, sealed.clone().into());
            row.previous = Some(PreviousSecret { sealed: old, until_ms });
            Ok(())
        };
        let key = self.update_key(op, &id, rotate).await?;
        Ok(NewSecret { key, secret })
    }

    /// Forgets one of the two secrets of a rotation.
    pub(super) async fn end_rotation(&self, op: &Op, text: &str, kept: Kept) -> Result<KeyInfo, AdminError> {
        let now_ms = self.clock.now_ms();
        self.update_key(op, text, |row| {
            // One that ended by itself can still be finished, but not be taken back.
            let previous = match kept {
                Kept::New => row.previous.take(),
                Kept::Previous => row.previous_at(now_ms).cloned(),
            };
            let previous = previous.ok_or(Refused::NotRotating)?;
            if kept == Kept::Previous {
                row.sealed_secret = previous.sealed;
                row.previous = None;
            }
            Ok(())
        })
        .await
    }

    async fn update_key(
        &self,
        op: &Op,
        text: &str,
        change: impl Fn(&mut AccessKeyRow) -> Result<(), Refused> + Send,
    ) -> Result<KeyInfo, AdminError> {
        let id = self.find_key(op, text).await?.id;
        let mut changed = None;
        let update = |current: Option<&Envelope>| -> Result<Option<Envelope>, Refused> {
            let envelope = current.ok_or(Refused::Gone)?;
            let mut row = AccessKeyRow::decode(&envelope.value).map_err(|why| Refused::Unreadable(why.to_string()))?;
            change(&mut row)?;
            let envelope = small_row(&row);
            changed = Some(row);
            Ok(Some(envelope))
        };
        let updated = self.cluster.update(op, keys::access_key(&id), self.new_op(), update).await;
        self.directory.forget_key(&id);
        match updated {
            Ok(_) => {
                let row = changed.ok_or_else(|| Failure::internal("a key changed nothing"))?;
                Ok(KeyInfo { id, row })
            }
            Err(UpdateError::Refused(refused)) => Err(refused.about(text)),
            Err(UpdateError::Failed(error)) => Err(Failure::from(error).into()),
        }
    }
}

impl Refused {
    fn about(self, key: &str) -> AdminError {
        match self {
            Refused::Gone => AdminError::NotFound(format!("the key {key} was deleted meanwhile")),
            Refused::Unreadable(why) => Failure::internal(why).into(),
            Refused::Rotating => AdminError::Conflict(format!(
                "a rotation of {key} is under way: end it first, with the new secret kept or the one of before"
            )),
            Refused::NotRotating => AdminError::Conflict(format!("no rotation of {key} is under way")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiries_are_checked() {
        assert_eq!(Expiry::Never.at_ms(5).unwrap(), None);
        assert_eq!(Expiry::In(7).at_ms(5).unwrap(), Some(12));
        assert_eq!(Expiry::At(3).at_ms(5).unwrap(), Some(3));
        for bad in [Expiry::In(0), Expiry::In(u64::MAX), Expiry::At(0)] {
            assert!(bad.at_ms(5).is_err(), "{bad:?}");
        }
    }
}

//! Rows of access keys.

use bytes::Bytes;
use cairn_proto::model::v1;

use super::{RowError, TypedRow};

/// `access_key`: one S3 key, with one secret or, during a rotation, two.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKeyRow {
    pub name: String,
    /// The newest secret, sealed with a subkey of the cluster secret.
    pub sealed_secret: Bytes,
    pub created_at_ms: u64,
    /// May create buckets.
    pub create_bucket: bool,
    /// Milliseconds since 1970; none: never.
    pub expires_at_ms: Option<u64>,
    /// While a rotation lasts.
    pub previous: Option<PreviousSecret>,
}

/// The secret a rotation replaces, valid beside the new one for a while.
#[derive(Clone, PartialEq, Eq)]
pub struct PreviousSecret {
    /// Sealed like the other.
    pub sealed: Bytes,
    /// Milliseconds since 1970; none: until the rotation is ended.
    pub until_ms: Option<u64>,
}

impl AccessKeyRow {
    /// The secret of before, where it is valid still.
    #[must_use]
    pub fn previous_at(&self, now_ms: u64) -> Option<&PreviousSecret> {
        self.previous.as_ref().filter(|previous| previous.until_ms.is_none_or(|until| now_ms < until))
    }
}

/// Without the secrets, sealed as they are (SECURITY V4).
impl std::fmt::Debug for AccessKeyRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKeyRow")
            .field("name", &self.name)
            .field("created_at_ms", &self.created_at_ms)
            .field("create_bucket", &self.create_bucket)
            .field("expires_at_ms", &self.expires_at_ms)
            .field("rotating", &self.previous.is_some())
            .finish_non_exhaustive()
    }
}

impl TypedRow for AccessKeyRow {
    type Proto = v1::AccessKeyRow;

    fn to_proto(&self) -> v1::AccessKeyRow {
        let previous = self.previous.as_ref();
        v1::AccessKeyRow {
            name: self.name.clone(),
            sealed_secret: self.sealed_secret.clone(),
            created_at_ms: self.created_at_ms,
            create_bucket: self.create_bucket,
            expires_at_ms: self.expires_at_ms.unwrap_or(0),
            previous_secret: previous.map(|previous| previous.sealed.clone()).unwrap_or_default(),
            previous_until_ms: previous.and_then(|previous| previous.until_ms).unwrap_or(0),
        }
    }

    fn from_proto(proto: v1::AccessKeyRow) -> Result<Self, RowError> {
        let time = |ms: u64| (ms != 0).then_some(ms);
        let previous = (!proto.previous_secret.is_empty())
            .then_some(PreviousSecret { sealed: proto.previous_secret, until_ms: time(proto.previous_until_ms) });
        Ok(Self {
            name: proto.name,
            sealed_secret: proto.sealed_secret,
            created_at_ms: proto.created_at_ms,
            create_bucket: proto.create_bucket,
            expires_at_ms: time(proto.expires_at_ms),
            previous,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::*;

    proptest! {
        #[test]
        fn access_key_round_trip(
            name in ".*", secret: Vec<u8>, created_at_ms: u64, create_bucket: bool, expiry: Option<u64>,
            previous: Option<(Vec<u8>, Option<u64>)>,
        ) {
            let previous = previous.filter(|(sealed, _)| !sealed.is_empty()).map(|(sealed, until)| PreviousSecret {
                sealed: sealed.into(),
                until_ms: until.filter(|at| *at != 0),
            });
            let expires_at_ms = expiry.filter(|at| *at != 0);
            let sealed_secret = secret.into();
            let row = AccessKeyRow { name, sealed_secret, created_at_ms, create_bucket, expires_at_ms, previous };
            assert_eq!(AccessKeyRow::decode(&row.encode()), Ok(row));
        }

        #[test]
        fn garbage_never_panics(bytes: Vec<u8>) {
            drop(AccessKeyRow::decode(&Bytes::from(bytes)));
        }
    }

    #[test]
    fn the_previous_secret_has_an_end() {
        let previous = PreviousSecret { sealed: Bytes::from_static(b"s"), until_ms: Some(10) };
        let mut row = AccessKeyRow {
            name: "k".into(),
            sealed_secret: Bytes::new(),
            created_at_ms: 0,
            create_bucket: false,
            expires_at_ms: None,
            previous: Some(previous),
        };
        assert!(row.previous_at(9).is_some() && row.previous_at(10).is_none());
        row.previous = row.previous.map(|previous| PreviousSecret { until_ms: None, ..previous });
        assert!(row.previous_at(u64::MAX).is_some());
        assert!(!format!("{row:?}").contains("sealed"), "{row:?}");
    }
}

//! Objects: one file for each family of operations.
//!
//! - **O1** A PUT that fails, is cut or is refused leaves the object as it was: the head is the last thing written
//!   (S3.md §1.6). *Tested by `tests/s3/objects.rs`.*
//! - **O2** A 412 is answered from a settled row only (REGISTER C5).

pub(crate) mod attributes;
pub(crate) mod copy;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod post;
pub(crate) mod put;

use cairn_model::rows::{Checksum, Encryption, Headers, ObjectData, ObjectHead, TypedRow as _};
use cairn_model::{Envelope, keys};
use cairn_quorum::{Op, UpdateError};
use cairn_s3::checksum::Kind;
use cairn_s3::conditions::WriteConditions;
use cairn_s3::{ErrorCode, S3Error, VersionId};
use cairn_types::{BucketId, Entropy, OpId};

use crate::body::write::Stored;
use crate::convert;
use crate::core::Core;
use crate::encryption::Secrecy;
use crate::exchange::Exchange;
use crate::failure::Failure;

/// An object that is there.
pub(crate) struct Object {
    pub(crate) head: ObjectHead,
    pub(crate) data: ObjectData,
}

impl Object {
    pub(crate) fn decode(envelope: &Envelope) -> Result<Self, Failure> {
        Ok(Self { head: ObjectHead::decode(&envelope.value)?, data: ObjectData::decode(&envelope.data)? })
    }

    /// The row of this object in its bucket.
    pub(crate) fn encode(&self, bucket: BucketId) -> Envelope {
        self.head.envelope(bucket, &self.data)
    }
}

/// A body and what describes it, ready to become an object.
pub(crate) struct New {
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) headers: Headers,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) parts: u32,
    pub(crate) data: ObjectData,
    pub(crate) encryption: Option<Encryption>,
}

impl New {
    /// The object `version` makes of it now.
    pub(crate) fn object(self, version: OpId, last_modified_ms: u64) -> Object {
        let Self { size, etag, headers, checksum, parts, data, encryption } = self;
        let head = ObjectHead { version, size, etag, last_modified_ms, headers, checksum, parts, encryption };
        Object { head, data }
    }

    /// A body that was stored with `secrecy`, whole.
    pub(crate) fn of_body(
        stored: Stored,
        headers: Headers,
        secrecy: &Secrecy,
        entropy: &dyn Entropy,
    ) -> Result<Self, Failure> {
        let checksum = stored.digests.checksum;
        Ok(Self {
            size: stored.size,
            etag: secrecy.etag(stored.digests.md5, entropy).to_string(),
            headers,
            checksum: checksum.map(|value| secrecy.seal_checksum(&value, Kind::FullObject, entropy)).transpose()?,
            parts: 0,
            data: stored.data,
            encryption: secrecy.encryption(),
        })
    }
}

impl Core {
    /// The settled object. None: there is none.
    pub(crate) async fn object(&self, op: &Op, bucket: BucketId, key: &[u8]) -> Result<Option<Object>, Failure> {
        let row = self.cluster.read(op, keys::object(bucket, key)).await?;
        row.map(|row| row.envelope).map(|envelope| Object::decode(&envelope)).transpose()
    }
}

/// The settled object a request names, or 404.
pub(crate) async fn existing(
    core: &Core,
    op: &Op,
    bucket: BucketId,
    key: &[u8],
    version: Option<&VersionId>,
) -> Result<Object, Failure> {
    check_version(version)?;
    let object = core.object(op, bucket, key).await?;
    object.ok_or_else(|| S3Error::new(ErrorCode::NoSuchKey).field("Key", String::from_utf8_lossy(key)).into())
}

/// Without versioning there is one version, `null`.
pub(crate) fn check_version(version: Option<&VersionId>) -> Result<(), S3Error> {
    match version {
        None | Some(VersionId::Null) => Ok(()),
        Some(VersionId::Other(id)) => Err(S3Error::new(ErrorCode::NoSuchVersion).field("VersionId", id.as_str())),
    }
}

/// Judges what a conditional write would replace.
pub(crate) fn judge(conditions: &WriteConditions, current: Option<&Envelope>) -> Result<(), Failure> {
    let etag = match current {
        None => None,
        Some(envelope) => Some(convert::etag(&ObjectHead::decode(&envelope.value)?.etag)?),
    };
    Ok(conditions.check(etag.as_ref())?)
}

/// A 412 that can be told before the body flows (S3.md §4). It is told again when the head is written.
pub(crate) async fn judge_early(x: &Exchange, key: &[u8], conditions: &WriteConditions) -> Result<(), Failure> {
    if conditions.is_empty() {
        return Ok(());
    }
    let row = x.core.cluster.read(&x.op(), keys::object(x.bucket_id()?, key)).await?;
    judge(conditions, row.map(|row| row.envelope).as_ref())
}

/// Writes a head, or a tombstone, where the conditions hold of what is there.
pub(crate) async fn write_if(
    x: &Exchange,
    key: &[u8],
    version: OpId,
    conditions: &WriteConditions,
    envelope: Option<Envelope>,
) -> Result<(), Failure> {
    let row = keys::object(x.bucket_id()?, key);
    let change = |current: Option<&Envelope>| match judge(conditions, current) {
        Ok(()) => Ok(envelope.clone()),
        Err(failure) => Err(failure.error),
    };
    match x.core.cluster.update(&x.op(), row, version, change).await {
        Ok(_) => Ok(()),
        Err(UpdateError::Refused(error)) => Err(error.into()),
        Err(UpdateError::Failed(error)) => Err(error.into()),
    }
}

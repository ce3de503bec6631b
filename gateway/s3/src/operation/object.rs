//! Parameters of operations on objects.

use cairn_types::BucketName;

use crate::body::BodySpec;
use crate::checksum::Algorithm;
use crate::conditions::{IfRange, ReadConditions, WriteConditions};
use crate::error::{ErrorCode, S3Error};
use crate::headers::{Metadata, ObjectHeaders, ResponseOverrides};
use crate::key::{ObjectKey, VersionId};
use crate::range::{ByteRange, Span};

pub use crate::copy_source::CopySource;

/// A bucket and a key in it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ObjectRef {
    pub bucket: BucketName,
    pub key: ObjectKey,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PutObject {
    pub object: ObjectRef,
    pub headers: ObjectHeaders,
    pub metadata: Metadata,
    pub conditions: WriteConditions,
    pub body: BodySpec,
    /// Bytes of the object, after decoding: at most 5 GiB.
    pub length: u64,
}

/// `GetObject` and `HeadObject`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadObject {
    pub object: ObjectRef,
    pub version: Option<VersionId>,
    /// Never together with `part_number`.
    pub range: Option<ByteRange>,
    pub if_range: Option<IfRange>,
    /// 1 to 10,000.
    pub part_number: Option<u16>,
    pub conditions: ReadConditions,
    /// `x-amz-checksum-mode: ENABLED`
    pub with_checksum: bool,
    pub overrides: ResponseOverrides,
}

impl ReadObject {
    /// The bytes to send of an object that is there: `None` is all of them (200), else a 206.
    pub fn span(&self, etag: &crate::ETag, modified_unix_ms: u64, size_bytes: u64) -> Result<Option<Span>, S3Error> {
        let Some(range) = self.range else { return Ok(None) };
        if self.if_range.as_ref().is_some_and(|condition| !condition.holds(etag, modified_unix_ms)) {
            return Ok(None);
        }
        range.resolve(size_bytes).map(Some)
    }
}

/// Which facts `GetObjectAttributes` was asked for: at least one.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ObjectAttributes {
    pub etag: bool,
    pub checksum: bool,
    pub object_parts: bool,
    pub storage_class: bool,
    pub object_size: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GetObjectAttributes {
    pub object: ObjectRef,
    pub version: Option<VersionId>,
    pub conditions: ReadConditions,
    pub attributes: ObjectAttributes,
    /// 0 to 1,000.
    pub max_parts: u16,
    pub part_number_marker: u32,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeleteObject {
    pub object: ObjectRef,
    pub version: Option<VersionId>,
    /// Only `If-Match` exists here.
    pub conditions: WriteConditions,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopyObject {
    pub object: ObjectRef,
    pub source: CopySource,
    pub source_conditions: ReadConditions,
    /// On the target.
    pub conditions: WriteConditions,
    /// `x-amz-metadata-directive: REPLACE` with what replaces the source's headers and metadata; `None` is COPY.
    pub replace: Option<(ObjectHeaders, Metadata)>,
    /// Never copied: taken from the request in either directive.
    pub website_redirect_location: Option<String>,
    /// The checksum the target is to have; `None` keeps the source's algorithm.
    pub checksum_algorithm: Option<Algorithm>,
}

/// The largest object of one PUT, of one part, and of one copy, in bytes.
pub(crate) const MAX_BODY_BYTES: u64 = 5 << 30;

impl PutObject {
    /// Checks the declared length of a body against what one PUT or part may have.
    pub(crate) fn checked_length(body: &BodySpec) -> Result<u64, S3Error> {
        let length = body.length.ok_or(ErrorCode::MissingContentLength)?;
        if length > MAX_BODY_BYTES {
            return Err(S3Error::new(ErrorCode::EntityTooLarge)
                .field("ProposedSize", length.to_string())
                .field("MaxSizeAllowed", MAX_BODY_BYTES.to_string()));
        }
        Ok(length)
    }
}

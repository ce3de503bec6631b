//! Parameters of the multipart operations.

use cairn_types::UploadId;

use super::object::ObjectRef;
use crate::body::BodySpec;
use crate::checksum::{Algorithm, Checksum, Kind};
use crate::conditions::{ReadConditions, WriteConditions};
use crate::copy_source::CopySource;
use crate::headers::{Metadata, ObjectHeaders};
use crate::operation::Encoding;
use crate::range::ByteRange;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreateMultipartUpload {
    pub object: ObjectRef,
    pub headers: ObjectHeaders,
    pub metadata: Metadata,
    /// The checksum its parts and the object will have; only pairs AWS allows.
    pub checksum: Option<(Algorithm, Kind)>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UploadPart {
    pub object: ObjectRef,
    pub upload: UploadId,
    /// 1 to 10,000.
    pub part_number: u16,
    pub body: BodySpec,
    /// Bytes of the part, after decoding: at most 5 GiB.
    pub length: u64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UploadPartCopy {
    pub object: ObjectRef,
    pub upload: UploadId,
    /// 1 to 10,000.
    pub part_number: u16,
    pub source: CopySource,
    /// Resolve it with [`ByteRange::resolve_copy_source`].
    pub source_range: Option<ByteRange>,
    pub source_conditions: ReadConditions,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListParts {
    pub object: ObjectRef,
    pub upload: UploadId,
    /// Parts above this number are wanted.
    pub part_number_marker: u32,
    /// 0 to 1,000.
    pub max_parts: u16,
    pub encoding: Option<Encoding>,
}

/// The part list is in the body: [`crate::xml::read::complete_multipart_upload`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CompleteMultipartUpload {
    pub object: ObjectRef,
    pub upload: UploadId,
    pub conditions: WriteConditions,
    /// The whole object's checksum as the client computed it; `BadDigest` where ours differs.
    pub checksum: Option<Checksum>,
    pub checksum_kind: Option<Kind>,
    /// `x-amz-mp-object-size`: `InvalidRequest` where the object has another size.
    pub object_size: Option<u64>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AbortMultipartUpload {
    pub object: ObjectRef,
    pub upload: UploadId,
}

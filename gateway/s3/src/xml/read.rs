//! skeleton, being filled

use crate::checksum::Checksum;
use crate::conditions::ETagMatch;
use crate::error::S3Error;
use crate::key::{ObjectKey, VersionId};

/// The most bytes of a `CreateBucketConfiguration`.
pub const MAX_CONFIGURATION_BYTES: usize = 64 << 10;
/// The most bytes of a `Delete`: 1,000 keys of 1,024 bytes, each byte escaped, and their frames.
pub const MAX_DELETE_BYTES: usize = 8 << 20;
/// The most bytes of a `CompleteMultipartUpload`: 10,000 parts with tags and checksums.
pub const MAX_COMPLETE_BYTES: usize = 8 << 20;

/// The body of `DeleteObjects`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delete {
    pub entries: Vec<DeleteEntry>,
    pub quiet: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeleteEntry {
    pub key: ObjectKey,
    pub version: Option<VersionId>,
    /// Delete only while the object has this tag.
    pub if_match: Option<ETagMatch>,
}

/// One part the client lists to complete an upload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CompletedPart {
    /// 1 to 10,000, rising through the list.
    pub number: u16,
    /// Bare; it may be no tag of ours (`InvalidPart` then).
    pub etag: String,
    pub checksum: Option<Checksum>,
}

/// `CreateBucketConfiguration`: the location constraint. An empty body is `None`.
pub fn create_bucket(_body: &[u8]) -> Result<Option<String>, S3Error> {
    todo!()
}
pub fn delete(_body: &[u8]) -> Result<Delete, S3Error> {
    todo!()
}
pub fn complete_multipart_upload(_body: &[u8]) -> Result<Vec<CompletedPart>, S3Error> {
    todo!()
}

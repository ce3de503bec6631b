//! Which keys of its bucket an operation touches: what a right that is limited to key prefixes is compared with.

use super::{Operation, ReadUnset};
use crate::key::ObjectKey;

/// Keys of one bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keys<'a> {
    /// None: the operation tells only that the bucket is there, or what is the same of every bucket.
    None,
    One(&'a ObjectKey),
    /// All that begin so.
    Prefixed(&'a str),
    /// Those the body names: the handler checks each.
    InBody,
    /// The whole bucket, and the bucket itself.
    All,
}

impl Operation {
    /// The keys of [`Self::bucket`] that the operation touches. No `_`: a new operation says it or does not compile.
    #[must_use]
    pub fn keys(&self) -> Keys<'_> {
        match self {
            Self::ListBuckets(_)
            | Self::CreateBucket(_)
            | Self::HeadBucket(_)
            | Self::GetBucketLocation(_)
            | Self::ReadUnset(ReadUnset { key: None, .. })
            | Self::Preflight(_)
            | Self::NotImplemented(_) => Keys::None,
            Self::DeleteBucket(_) | Self::GetSetting(_) | Self::PutSetting(_) | Self::DeleteSetting(_) => Keys::All,
            Self::ListObjects(list) => Keys::Prefixed(&list.prefix),
            Self::ListObjectsV2(list) => Keys::Prefixed(&list.prefix),
            Self::ListObjectVersions(list) => Keys::Prefixed(&list.prefix),
            Self::ListMultipartUploads(list) => Keys::Prefixed(&list.prefix),
            Self::DeleteObjects(_) | Self::PostForm(_) => Keys::InBody,
            Self::ReadUnset(ReadUnset { key: Some(key), .. }) => Keys::One(key),
            Self::PutObject(_)
            | Self::PostObject(_)
            | Self::GetObject(_)
            | Self::HeadObject(_)
            | Self::GetObjectAttributes(_)
            | Self::DeleteObject(_)
            | Self::CopyObject(_)
            | Self::CreateMultipartUpload(_)
            | Self::UploadPart(_)
            | Self::UploadPartCopy(_)
            | Self::ListParts(_)
            | Self::CompleteMultipartUpload(_)
            | Self::AbortMultipartUpload(_) => self.key().map_or(Keys::All, Keys::One),
        }
    }
}

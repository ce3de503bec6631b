//! The typed operation a request asks for, and the one table that says what each may touch.
//!
//! - **A1** Every operation has a row: [`Operation::row`] matches without `_`, so a new one without a row does not
//!   compile (SECURITY V6). Tested by `every_row_agrees_with_its_operation`.
//! - **A2** A copy needs the right to read its source as well as to write its target (SECURITY V7): both come from
//!   [`Operation::accesses`]. Tested by `copies_need_their_source`.
//! - **A3** Every operation says which keys it touches, for rights limited to prefixes: [`Operation::keys`] matches
//!   without `_`. Tested by `every_operation_says_which_keys_it_touches`.

mod access;
mod bucket;
mod keys;
mod multipart;
mod object;
mod setting;
mod unset;

pub use access::{Access, Action, Resource, Row};
pub use bucket::{
    DeleteObjects, Encoding, ListBuckets, ListMultipartUploads, ListObjectVersions, ListObjects, ListObjectsV2,
    PostForm, Preflight,
};
pub use keys::Keys;
pub use multipart::{
    AbortMultipartUpload, CompleteMultipartUpload, CreateMultipartUpload, ListParts, UploadPart, UploadPartCopy,
};
pub use object::{
    CopyObject, CopySource, DeleteObject, GetObjectAttributes, ObjectAttributes, ObjectRef, PutObject, ReadObject,
};
pub use setting::{BucketSetting, Setting};
pub use unset::{ReadUnset, Unset};

use cairn_types::BucketName;

pub(crate) use object::MAX_BODY_BYTES;

use crate::form::Upload;

/// What a request asks for, with every parameter read and checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    ListBuckets(ListBuckets),
    CreateBucket(BucketName),
    DeleteBucket(BucketName),
    HeadBucket(BucketName),
    GetBucketLocation(BucketName),
    ListObjects(ListObjects),
    ListObjectsV2(ListObjectsV2),
    ListObjectVersions(ListObjectVersions),
    ListMultipartUploads(ListMultipartUploads),
    DeleteObjects(DeleteObjects),
    /// A form that is not read yet: nothing is done for it but that.
    PostForm(PostForm),
    /// A form that was read and that its policy allows.
    PostObject(Upload),
    PutObject(PutObject),
    GetObject(ReadObject),
    HeadObject(ReadObject),
    GetObjectAttributes(GetObjectAttributes),
    DeleteObject(DeleteObject),
    CopyObject(CopyObject),
    CreateMultipartUpload(CreateMultipartUpload),
    UploadPart(UploadPart),
    UploadPartCopy(UploadPartCopy),
    ListParts(ListParts),
    CompleteMultipartUpload(CompleteMultipartUpload),
    AbortMultipartUpload(AbortMultipartUpload),
    GetSetting(BucketSetting),
    /// The setting is in the body: [`crate::xml::read`].
    PutSetting(BucketSetting),
    DeleteSetting(BucketSetting),
    /// A read of a configuration that cannot have been set: answered by [`ReadUnset::answer`].
    ReadUnset(ReadUnset),
    /// A browser's CORS preflight, judged before authentication.
    Preflight(Preflight),
    /// Documented by AWS, not built: 501, naming it. Nothing may be stored.
    NotImplemented(String),
}

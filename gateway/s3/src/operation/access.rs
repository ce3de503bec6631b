//! The table of operations: name, method, action and resource (SECURITY V6).

use http::Method;

use cairn_types::BucketName;

use super::{Keys, Operation, Unset};
use crate::customer_key::KeyOf;
use crate::key::{ObjectKey, VersionId};

/// The right an operation needs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// Nothing: answered to anyone.
    Public,
    /// Any valid key; the answer shows only what that key may see.
    Authenticated,
    /// To make buckets.
    CreateBucket,
    /// To list a bucket.
    List,
    /// To read objects.
    Read,
    /// To write and delete objects.
    Write,
    /// To delete or configure the bucket.
    Owner,
}

/// What an operation acts on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Resource {
    Service,
    Bucket,
    Object,
}

/// One row of the table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// AWS's name.
    pub name: &'static str,
    pub method: Method,
    pub action: Action,
    pub resource: Resource,
}

/// One right a request needs, with what it needs it on. No bucket: on the service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access<'a> {
    pub action: Action,
    pub bucket: Option<&'a BucketName>,
    pub keys: Keys<'a>,
    pub version: Option<&'a VersionId>,
}

impl Operation {
    /// The operation's row. No `_`: a new operation chooses its rights or does not compile.
    #[must_use]
    pub fn row(&self) -> Row {
        use Action::{Authenticated, List, Owner, Public, Read, Write};
        use Resource::{Bucket, Object, Service};
        let row = |name, method, action, resource| Row { name, method, action, resource };
        match self {
            Self::ListBuckets(_) => row("ListBuckets", Method::GET, Authenticated, Service),
            Self::CreateBucket(_) => row("CreateBucket", Method::PUT, Action::CreateBucket, Bucket),
            Self::DeleteBucket(_) => row("DeleteBucket", Method::DELETE, Owner, Bucket),
            Self::HeadBucket(_) => row("HeadBucket", Method::HEAD, List, Bucket),
            Self::GetBucketLocation(_) => row("GetBucketLocation", Method::GET, List, Bucket),
            Self::ListObjects(_) => row("ListObjects", Method::GET, List, Bucket),
            Self::ListObjectsV2(_) => row("ListObjectsV2", Method::GET, List, Bucket),
            Self::ListObjectVersions(_) => row("ListObjectVersions", Method::GET, List, Bucket),
            Self::ListMultipartUploads(_) => row("ListMultipartUploads", Method::GET, List, Bucket),
            Self::DeleteObjects(_) => row("DeleteObjects", Method::POST, Write, Bucket),
            Self::PostForm(_) => row("PostObject", Method::POST, Write, Bucket),
            Self::PostObject(_) => row("PostObject", Method::POST, Write, Object),
            Self::PutObject(_) => row("PutObject", Method::PUT, Write, Object),
            Self::GetObject(_) => row("GetObject", Method::GET, Read, Object),
            Self::HeadObject(_) => row("HeadObject", Method::HEAD, Read, Object),
            Self::GetObjectAttributes(_) => row("GetObjectAttributes", Method::GET, Read, Object),
            Self::DeleteObject(_) => row("DeleteObject", Method::DELETE, Write, Object),
            Self::CopyObject(_) => row("CopyObject", Method::PUT, Write, Object),
            Self::CreateMultipartUpload(_) => row("CreateMultipartUpload", Method::POST, Write, Object),
            Self::UploadPart(_) => row("UploadPart", Method::PUT, Write, Object),
            Self::UploadPartCopy(_) => row("UploadPartCopy", Method::PUT, Write, Object),
            Self::ListParts(_) => row("ListParts", Method::GET, Write, Object),
            Self::CompleteMultipartUpload(_) => row("CompleteMultipartUpload", Method::POST, Write, Object),
            Self::AbortMultipartUpload(_) => row("AbortMultipartUpload", Method::DELETE, Write, Object),
            Self::GetSetting(of) => of.setting.get_row(),
            Self::PutSetting(of) => of.setting.put_row(),
            Self::DeleteSetting(of) => of.setting.delete_row(),
            Self::ReadUnset(read) => read.what.row(),
            Self::Preflight(_) => row("Preflight", Method::OPTIONS, Public, Service),
            Self::NotImplemented(_) => row("NotImplemented", Method::GET, Authenticated, Service),
        }
    }

    /// All rights the request needs: its own, and for a copy the one to read its source.
    pub fn accesses(&self) -> impl Iterator<Item = Access<'_>> {
        let own =
            Access { action: self.row().action, bucket: self.bucket(), keys: self.keys(), version: self.version() };
        let source = match self {
            Self::CopyObject(copy) => Some(&copy.source),
            Self::UploadPartCopy(copy) => Some(&copy.source),
            _ => None,
        };
        std::iter::once(own).chain(source.map(|source| Access {
            action: Action::Read,
            bucket: Some(&source.bucket),
            keys: Keys::One(&source.key),
            version: source.version.as_ref(),
        }))
    }

    /// The bucket named by the request.
    #[must_use]
    pub fn bucket(&self) -> Option<&BucketName> {
        match self {
            Self::ListBuckets(_) | Self::NotImplemented(_) => None,
            Self::CreateBucket(bucket)
            | Self::DeleteBucket(bucket)
            | Self::HeadBucket(bucket)
            | Self::GetBucketLocation(bucket) => Some(bucket),
            Self::ListObjects(list) => Some(&list.bucket),
            Self::ListObjectsV2(list) => Some(&list.bucket),
            Self::ListObjectVersions(list) => Some(&list.bucket),
            Self::ListMultipartUploads(list) => Some(&list.bucket),
            Self::DeleteObjects(delete) => Some(&delete.bucket),
            Self::PostForm(form) => Some(&form.bucket),
            Self::GetSetting(of) | Self::PutSetting(of) | Self::DeleteSetting(of) => Some(&of.bucket),
            Self::ReadUnset(read) => Some(&read.bucket),
            Self::Preflight(preflight) => preflight.bucket.as_ref(),
            Self::PostObject(_)
            | Self::PutObject(_)
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
            | Self::AbortMultipartUpload(_) => self.object().map(|object| &object.bucket),
        }
    }

    /// The key named by the request.
    #[must_use]
    pub fn key(&self) -> Option<&ObjectKey> {
        match self {
            Self::ReadUnset(read) => read.key.as_ref(),
            Self::Preflight(preflight) => preflight.key.as_ref(),
            other => other.object().map(|object| &object.key),
        }
    }

    fn object(&self) -> Option<&super::ObjectRef> {
        Some(match self {
            Self::PutObject(put) => &put.object,
            Self::PostObject(upload) => &upload.object,
            Self::GetObject(read) | Self::HeadObject(read) => &read.object,
            Self::GetObjectAttributes(read) => &read.object,
            Self::DeleteObject(delete) => &delete.object,
            Self::CopyObject(copy) => &copy.object,
            Self::CreateMultipartUpload(create) => &create.object,
            Self::UploadPart(part) => &part.object,
            Self::UploadPartCopy(part) => &part.object,
            Self::ListParts(list) => &list.object,
            Self::CompleteMultipartUpload(complete) => &complete.object,
            Self::AbortMultipartUpload(abort) => &abort.object,
            Self::ListBuckets(_)
            | Self::CreateBucket(_)
            | Self::DeleteBucket(_)
            | Self::HeadBucket(_)
            | Self::GetBucketLocation(_)
            | Self::ListObjects(_)
            | Self::ListObjectsV2(_)
            | Self::ListObjectVersions(_)
            | Self::ListMultipartUploads(_)
            | Self::DeleteObjects(_)
            | Self::PostForm(_)
            | Self::GetSetting(_)
            | Self::PutSetting(_)
            | Self::DeleteSetting(_)
            | Self::ReadUnset(_)
            | Self::Preflight(_)
            | Self::NotImplemented(_) => return None,
        })
    }

    fn version(&self) -> Option<&VersionId> {
        match self {
            Self::GetObject(read) | Self::HeadObject(read) => read.version.as_ref(),
            Self::GetObjectAttributes(read) => read.version.as_ref(),
            Self::DeleteObject(delete) => delete.version.as_ref(),
            Self::ReadUnset(read) => read.version.as_ref(),
            _ => None,
        }
    }

    /// Whether the operation reads, writes or describes bytes that a customer's key may encrypt.
    #[must_use]
    pub fn uses_customer_key(&self, of: KeyOf) -> bool {
        match (self, of) {
            (Self::CopyObject(_) | Self::UploadPartCopy(_), _)
            | (
                Self::PutObject(_)
                | Self::PostObject(_)
                | Self::GetObject(_)
                | Self::HeadObject(_)
                | Self::GetObjectAttributes(_)
                | Self::CreateMultipartUpload(_)
                | Self::UploadPart(_)
                | Self::ListParts(_)
                | Self::CompleteMultipartUpload(_),
                KeyOf::Object,
            )
            // Refused by its own name.
            | (Self::NotImplemented(_), _) => true,
            _ => false,
        }
    }

    /// The most bytes of an XML body this operation reads; `None` where it reads none.
    #[must_use]
    pub fn xml_limit_bytes(&self) -> Option<usize> {
        match self {
            Self::CreateBucket(_) | Self::PutSetting(_) => Some(crate::xml::read::MAX_CONFIGURATION_BYTES),
            Self::DeleteObjects(_) => Some(crate::xml::read::MAX_DELETE_BYTES),
            Self::CompleteMultipartUpload(_) => Some(crate::xml::read::MAX_COMPLETE_BYTES),
            _ => None,
        }
    }
}

impl Unset {
    fn row(self) -> Row {
        let (action, resource) = match self {
            Unset::ObjectAcl | Unset::ObjectTagging | Unset::ObjectRetention | Unset::ObjectLegalHold => {
                (Action::Read, Resource::Object)
            }
            Unset::BucketVersioning
            | Unset::BucketAcl
            | Unset::BucketTagging
            | Unset::BucketPolicy
            | Unset::BucketPolicyStatus
            | Unset::BucketEncryption
            | Unset::BucketReplication
            | Unset::BucketNotification
            | Unset::BucketLogging
            | Unset::BucketRequestPayment
            | Unset::BucketAccelerate
            | Unset::BucketOwnershipControls
            | Unset::PublicAccessBlock
            | Unset::ObjectLockConfiguration
            | Unset::BucketAnalytics
            | Unset::BucketInventory
            | Unset::BucketMetrics
            | Unset::BucketIntelligentTiering
            | Unset::ListBucketAnalytics
            | Unset::ListBucketInventory
            | Unset::ListBucketMetrics
            | Unset::ListBucketIntelligentTiering => (Action::List, Resource::Bucket),
        };
        Row { name: self.name(), method: Method::GET, action, resource }
    }
}

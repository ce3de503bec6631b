//! Settings of buckets: each is written, read and deleted whole, by three operations of one shape.

use cairn_types::BucketName;
use http::Method;

use super::access::{Action, Resource, Row};
use crate::error::ErrorCode;

/// What owners can set on a bucket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Setting {
    Cors,
    Lifecycle,
    Website,
}

/// A setting of a bucket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BucketSetting {
    pub bucket: BucketName,
    pub setting: Setting,
}

impl Setting {
    pub const ALL: [Self; 3] = [Self::Cors, Self::Lifecycle, Self::Website];

    /// The setting a sub-resource names.
    #[must_use]
    pub fn named(sub_resource: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|setting| setting.sub_resource() == sub_resource)
    }

    #[must_use]
    pub const fn sub_resource(self) -> &'static str {
        match self {
            Self::Cors => "cors",
            Self::Lifecycle => "lifecycle",
            Self::Website => "website",
        }
    }

    /// Whether AWS asks for `Content-MD5` or a checksum of the document.
    pub(crate) const fn needs_checksum(self) -> bool {
        match self {
            Self::Cors | Self::Lifecycle => true,
            Self::Website => false,
        }
    }

    /// What a read answers where it is not set.
    #[must_use]
    pub const fn missing(self) -> ErrorCode {
        match self {
            Self::Cors => ErrorCode::NoSuchCORSConfiguration,
            Self::Lifecycle => ErrorCode::NoSuchLifecycleConfiguration,
            Self::Website => ErrorCode::NoSuchWebsiteConfiguration,
        }
    }

    pub(super) fn get_row(self) -> Row {
        let name = match self {
            Self::Cors => "GetBucketCors",
            Self::Lifecycle => "GetBucketLifecycleConfiguration",
            Self::Website => "GetBucketWebsite",
        };
        row(name, Method::GET)
    }

    pub(super) fn put_row(self) -> Row {
        let name = match self {
            Self::Cors => "PutBucketCors",
            Self::Lifecycle => "PutBucketLifecycleConfiguration",
            Self::Website => "PutBucketWebsite",
        };
        row(name, Method::PUT)
    }

    pub(super) fn delete_row(self) -> Row {
        let name = match self {
            Self::Cors => "DeleteBucketCors",
            Self::Lifecycle => "DeleteBucketLifecycle",
            Self::Website => "DeleteBucketWebsite",
        };
        row(name, Method::DELETE)
    }
}

fn row(name: &'static str, method: Method) -> Row {
    Row { name, method, action: Action::Owner, resource: Resource::Bucket }
}

//! Parameters of operations on the service and on buckets.

use cairn_types::BucketName;

use crate::error::S3Error;
use crate::key::ObjectKey;

/// How keys are written in a listing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// `encoding-type=url`: percent-encoded, so that XML can carry any key.
    Url,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListBuckets {
    /// 1 to 10,000; that many where the client gives no bound.
    pub max_buckets: u16,
    pub prefix: Option<String>,
    /// As given; see [`Self::resume_after`].
    pub continuation_token: Option<String>,
    /// Only buckets of this region are asked for.
    pub bucket_region: Option<String>,
}

/// `ListObjects`, the first version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListObjects {
    pub bucket: BucketName,
    pub prefix: String,
    /// Never empty.
    pub delimiter: Option<String>,
    /// Empty where there is none.
    pub marker: String,
    /// 0 to 1,000.
    pub max_keys: u16,
    pub encoding: Option<Encoding>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListObjectsV2 {
    pub bucket: BucketName,
    pub prefix: String,
    /// Never empty.
    pub delimiter: Option<String>,
    /// As given, for the echo; see [`Self::resume_after`].
    pub start_after: Option<String>,
    /// As given, for the echo; see [`Self::resume_after`].
    pub continuation_token: Option<String>,
    /// 0 to 1,000.
    pub max_keys: u16,
    pub fetch_owner: bool,
    pub encoding: Option<Encoding>,
}

impl ListObjectsV2 {
    /// The key or prefix the listing goes on after: the token's, else `start-after`; `None` at the beginning.
    /// `InvalidArgument` where the token is none of ours.
    pub fn resume_after(&self) -> Result<Option<String>, S3Error> {
        match self.continuation_token.as_deref() {
            None | Some("") => Ok(self.start_after.clone().filter(|key| !key.is_empty())),
            Some(token) => crate::token::decode(token).map(Some),
        }
    }
}

impl ListBuckets {
    /// The name the listing goes on after; `None` at the beginning. `InvalidArgument` where the token is none of ours.
    pub fn resume_after(&self) -> Result<Option<String>, S3Error> {
        self.continuation_token.as_deref().map(crate::token::decode).transpose()
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListObjectVersions {
    pub bucket: BucketName,
    pub prefix: String,
    /// Never empty.
    pub delimiter: Option<String>,
    /// Empty where there is none.
    pub key_marker: String,
    /// Only together with a key marker.
    pub version_id_marker: Option<String>,
    /// 0 to 1,000.
    pub max_keys: u16,
    pub encoding: Option<Encoding>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListMultipartUploads {
    pub bucket: BucketName,
    pub prefix: String,
    /// Never empty.
    pub delimiter: Option<String>,
    /// Empty where there is none.
    pub key_marker: String,
    /// Counts only together with a key marker.
    pub upload_id_marker: Option<String>,
    /// 0 to 1,000.
    pub max_uploads: u16,
    pub encoding: Option<Encoding>,
}

/// The keys are in the body: [`crate::xml::read::delete`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeleteObjects {
    pub bucket: BucketName,
}

/// A POST form. What it uploads, and for whom, stands in its body: [`crate::form`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PostForm {
    pub bucket: BucketName,
    /// Of its `multipart/form-data`.
    pub boundary: String,
}

/// `OPTIONS` with an `Origin`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Preflight {
    pub bucket: Option<BucketName>,
    pub key: Option<ObjectKey>,
    pub origin: String,
    /// `Access-Control-Request-Method`.
    pub method: String,
    /// `Access-Control-Request-Headers`, in lower case.
    pub headers: Vec<String>,
}

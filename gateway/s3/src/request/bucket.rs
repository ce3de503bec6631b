//! Operations on buckets.

use http::Method;

use cairn_types::BucketName;

use super::target::Target;
use super::{Head, conditions};
use crate::error::{ErrorCode, S3Error};
use crate::fields::Fields;
use crate::form;
use crate::key::{ObjectKey, VersionId};
use crate::operation::{
    BucketSetting, DeleteObjects, Encoding, ListMultipartUploads, ListObjectVersions, ListObjects, ListObjectsV2,
    Operation, PostForm, Preflight, ReadUnset, Setting, Unset,
};
use crate::query::Query;

/// The most entries of one page of any listing, and how many there are where the client gives no bound.
pub(super) const PAGE: u16 = 1000;

impl Head<'_> {
    pub(super) fn bucket(&self, bucket: BucketName) -> Result<Operation, S3Error> {
        match (self.method, self.sub_resource) {
            (&Method::GET, None) => self.list_objects(bucket),
            (&Method::GET, Some("location")) => Ok(Operation::GetBucketLocation(bucket)),
            (&Method::GET, Some("versions")) => self.list_versions(bucket),
            (&Method::GET, Some("uploads")) => self.list_uploads(bucket),
            (method @ (&Method::GET | &Method::PUT | &Method::DELETE), Some(name))
                if let Some(setting) = Setting::named(name) =>
            {
                self.setting(method, BucketSetting { bucket, setting })
            }
            (&Method::GET, Some(name)) => match unset(name, self.fields.query().has("id")) {
                Some(what) if let Some(token) = self.fields.query().non_empty("continuation-token") => {
                    // There are no configurations, so there never was a page to go on from.
                    let message = format!("{} never gave such a token.", what.name());
                    Err(S3Error::invalid_argument("continuation-token", token, message))
                }
                Some(what) => Ok(Operation::ReadUnset(ReadUnset { bucket, key: None, version: None, what })),
                None => not_built("GET", name),
            },
            (&Method::HEAD, None) => Ok(Operation::HeadBucket(bucket)),
            (&Method::POST, Some("delete")) => {
                conditions::refuse_all(&self.fields)?;
                self.body.require_announced_checksum(&self.fields)?;
                self.body.require_digest("Content-MD5")?;
                Ok(Operation::DeleteObjects(DeleteObjects { bucket }))
            }
            (&Method::POST, None) => self.form(bucket),
            (&Method::PUT, None) => {
                conditions::refuse_all(&self.fields)?;
                self.refuse_expected_owner()?;
                Ok(Operation::CreateBucket(bucket))
            }
            (&Method::DELETE, None) => {
                conditions::refuse_all(&self.fields)?;
                Ok(Operation::DeleteBucket(bucket))
            }
            (method @ (&Method::PUT | &Method::DELETE | &Method::POST), Some(name)) => not_built(method.as_str(), name),
            _ => Err(ErrorCode::MethodNotAllowed.into()),
        }
    }

    fn form(&self, bucket: BucketName) -> Result<Operation, S3Error> {
        let content_type = self.fields.header("content-type")?.unwrap_or_default();
        match form::boundary(&content_type)? {
            Some(boundary) => Ok(Operation::PostForm(PostForm { bucket, boundary })),
            None => Err(S3Error::new(ErrorCode::PreconditionFailed)
                .field("Condition", "Bucket POST must be of the enclosure-type multipart/form-data")),
        }
    }

    fn setting(&self, method: &Method, of: BucketSetting) -> Result<Operation, S3Error> {
        let setting = of.setting;
        if *method == Method::GET {
            return Ok(Operation::GetSetting(of));
        }
        conditions::refuse_all(&self.fields)?;
        if *method == Method::DELETE {
            return Ok(Operation::DeleteSetting(of));
        }
        self.body.require_announced_checksum(&self.fields)?;
        if setting.needs_checksum() {
            self.body.require_digest("Content-MD5 OR x-amz-checksum-*")?;
        }
        Ok(Operation::PutSetting(of))
    }

    fn list_objects(&self, bucket: BucketName) -> Result<Operation, S3Error> {
        let query = self.fields.query();
        let prefix = text(query, "prefix");
        let delimiter = query.non_empty("delimiter").map(str::to_owned);
        let max_keys = page(query, "max-keys")?;
        let encoding = encoding(query)?;
        Ok(match query.non_empty("list-type") {
            None => {
                let marker = text(query, "marker");
                Operation::ListObjects(ListObjects { bucket, prefix, delimiter, marker, max_keys, encoding })
            }
            Some("2") => Operation::ListObjectsV2(ListObjectsV2 {
                bucket,
                prefix,
                delimiter,
                start_after: query.get("start-after").map(str::to_owned),
                continuation_token: query.get("continuation-token").map(str::to_owned),
                max_keys,
                fetch_owner: query.get("fetch-owner").is_some_and(|value| value.eq_ignore_ascii_case("true")),
                encoding,
            }),
            Some(other) => return Err(S3Error::invalid_argument("list-type", other, "Invalid List Type")),
        })
    }

    fn list_versions(&self, bucket: BucketName) -> Result<Operation, S3Error> {
        let query = self.fields.query();
        let key_marker = text(query, "key-marker");
        let version_id_marker = query.non_empty("version-id-marker").map(str::to_owned);
        if let Some(marker) = &version_id_marker {
            let why = match (key_marker.is_empty(), VersionId::new(marker)?) {
                (true, _) => "A version-id marker cannot be specified without a key marker.",
                (false, VersionId::Other(_)) => "Invalid version id specified",
                (false, VersionId::Null) => "",
            };
            if !why.is_empty() {
                return Err(S3Error::invalid_argument("version-id-marker", marker, why));
            }
        }
        Ok(Operation::ListObjectVersions(ListObjectVersions {
            bucket,
            prefix: text(query, "prefix"),
            delimiter: query.non_empty("delimiter").map(str::to_owned),
            key_marker,
            version_id_marker,
            max_keys: page(query, "max-keys")?,
            encoding: encoding(query)?,
        }))
    }

    fn list_uploads(&self, bucket: BucketName) -> Result<Operation, S3Error> {
        let query = self.fields.query();
        let key_marker = text(query, "key-marker");
        Ok(Operation::ListMultipartUploads(ListMultipartUploads {
            bucket,
            prefix: text(query, "prefix"),
            delimiter: query.non_empty("delimiter").map(str::to_owned),
            // AWS ignores an upload id marker without a key marker: it orders uploads of one key only.
            upload_id_marker: query.non_empty("upload-id-marker").filter(|_| !key_marker.is_empty()).map(str::to_owned),
            key_marker,
            max_uploads: page(query, "max-uploads")?,
            encoding: encoding(query)?,
        }))
    }
}

/// A CORS preflight: `BadRequest` without an origin or a method, as AWS answers.
pub(super) fn preflight(target: Target, fields: &Fields<'_>) -> Result<Operation, S3Error> {
    let (bucket, key) = match target {
        Target::Service => (None, None),
        Target::Bucket(bucket) => (Some(bucket), None),
        Target::Object(object) => (Some(object.bucket), Some(object.key)),
    };
    preflight_about(bucket, key, fields).map(Operation::Preflight)
}

/// A preflight about what was found in its address.
pub(crate) fn preflight_about(
    bucket: Option<BucketName>,
    key: Option<ObjectKey>,
    fields: &Fields<'_>,
) -> Result<Preflight, S3Error> {
    let insufficient =
        |what: &str| S3Error::with_message(ErrorCode::BadRequest, format!("Insufficient information. {what} needed."));
    let headers = fields.header("access-control-request-headers")?.unwrap_or_default();
    Ok(Preflight {
        bucket,
        key,
        origin: fields.header("origin")?.ok_or_else(|| insufficient("Origin request header"))?,
        method: fields
            .header("access-control-request-method")?
            .ok_or_else(|| insufficient("Access-Control-Request-Method"))?,
        headers: headers
            .split(',')
            .map(|name| name.trim().to_ascii_lowercase())
            .filter(|name| !name.is_empty())
            .collect(),
    })
}

/// The configuration a sub-resource reads, where nobody can have set one.
fn unset(name: &str, has_id: bool) -> Option<Unset> {
    Some(match (name, has_id) {
        ("accelerate", _) => Unset::BucketAccelerate,
        ("acl", _) => Unset::BucketAcl,
        ("analytics", true) => Unset::BucketAnalytics,
        ("analytics", false) => Unset::ListBucketAnalytics,
        ("encryption", _) => Unset::BucketEncryption,
        ("intelligent-tiering", true) => Unset::BucketIntelligentTiering,
        ("intelligent-tiering", false) => Unset::ListBucketIntelligentTiering,
        ("inventory", true) => Unset::BucketInventory,
        ("inventory", false) => Unset::ListBucketInventory,
        ("logging", _) => Unset::BucketLogging,
        ("metrics", true) => Unset::BucketMetrics,
        ("metrics", false) => Unset::ListBucketMetrics,
        ("notification", _) => Unset::BucketNotification,
        ("object-lock", _) => Unset::ObjectLockConfiguration,
        ("ownershipControls", _) => Unset::BucketOwnershipControls,
        ("policy", _) => Unset::BucketPolicy,
        ("policyStatus", _) => Unset::BucketPolicyStatus,
        ("publicAccessBlock", _) => Unset::PublicAccessBlock,
        ("replication", _) => Unset::BucketReplication,
        ("requestPayment", _) => Unset::BucketRequestPayment,
        ("tagging", _) => Unset::BucketTagging,
        ("versioning", _) => Unset::BucketVersioning,
        _ => return None,
    })
}

/// 501 for a documented operation, by its method and sub-resource.
pub(super) fn not_built(method: &str, sub_resource: &str) -> Result<Operation, S3Error> {
    Ok(Operation::NotImplemented(format!("{method} ?{sub_resource}")))
}

fn text(query: &Query, name: &str) -> String {
    query.get(name).unwrap_or_default().to_owned()
}

/// The size of a page: 0 to 1,000; more is cut, what is no number is refused.
pub(super) fn page(query: &Query, name: &'static str) -> Result<u16, S3Error> {
    query.non_empty(name).map_or(Ok(PAGE), |text| page_size(name, text))
}

pub(super) fn page_size(name: &str, text: &str) -> Result<u16, S3Error> {
    let number: Option<i32> = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = number.ok_or_else(|| {
        S3Error::invalid_argument(name, text, format!("Argument {name} must be an integer between 0 and 2147483647"))
    })?;
    Ok(u16::try_from(number).map_or(PAGE, |number| number.min(PAGE)))
}

pub(super) fn encoding(query: &Query) -> Result<Option<Encoding>, S3Error> {
    match query.non_empty("encoding-type") {
        None => Ok(None),
        Some("url") => Ok(Some(Encoding::Url)),
        Some(other) => {
            Err(S3Error::invalid_argument("encoding-type", other, "Invalid Encoding Method specified in Request"))
        }
    }
}

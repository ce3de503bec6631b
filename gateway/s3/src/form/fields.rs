//! The fields of a form: gathered, signed, held against the policy, and read as what they are for.

use std::ops::RangeInclusive;

use http::{HeaderMap, HeaderName};
use zeroize::Zeroizing;

use cairn_types::BucketName;

use super::policy::Policy;
use super::success::Success;
use crate::auth::{Rules, Signed, policy_claim};
use crate::body::{BodySpec, Framing};
use crate::customer_key::CustomerKey;
use crate::error::{ErrorCode, S3Error};
use crate::fields::Fields;
use crate::headers::{Metadata, ObjectHeaders, header_value};
use crate::key::ObjectKey;
use crate::operation::{MAX_BODY_BYTES, ObjectRef};
use crate::query::Query;
use crate::request::{check_fields, refuse_conditions};

/// The most bytes of all fields in front of the file, names and values together: AWS's bound.
const MAX_FIELDS_BYTES: usize = 20 << 10;
/// Of SSE-C; these are read by [`CustomerKey`] alone.
const CUSTOMER_KEY: &str = "x-amz-server-side-encryption-customer-";
/// The most fields in front of the file.
const MAX_FIELDS: usize = 500;
/// What stands for the file's name.
const VARIABLE: &str = "${filename}";
/// Fields that need no condition: they are what the policy is proved by.
const PROOF: [&str; 3] = ["file", "policy", "x-amz-signature"];
/// Fields that are a form's own and stand for no header.
const OWN: [&str; 10] = [
    "acl",
    "bucket",
    "file",
    "key",
    "policy",
    "redirect",
    "submit",
    "success_action_redirect",
    "success_action_status",
    "tagging",
];
/// Fields whose header has the same name. All `x-amz-*` and `if-*` are headers too.
const HEADERS: [&str; 8] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-md5",
    "content-type",
    "expires",
    "range",
];

/// The fields in front of the file, names in lower case, each once. No `Debug`, and erased when dropped: there may be a
/// customer's key in it.
#[derive(Clone, Default)]
pub struct Form {
    fields: Vec<(String, Zeroizing<String>)>,
    bytes: usize,
}

/// A form that its policy allows: what to store, and what to answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Upload {
    pub object: ObjectRef,
    pub headers: ObjectHeaders,
    pub metadata: Metadata,
    /// The digests the fields declare of the file; its length is not known.
    pub body: BodySpec,
    /// Bytes the file may have: at most 5 GiB.
    pub size: RangeInclusive<u64>,
    pub success: Success,
    /// SSE-C.
    pub customer_key: Option<CustomerKey>,
    /// `x-amz-expected-bucket-owner`
    pub expected_bucket_owner: Option<String>,
}

impl Form {
    /// Room for a field of this name, before its value is read: the bytes that value may have.
    ///
    /// # Errors
    /// `MaxPostPreDataLengthExceededError`.
    pub fn room(&self, name: &str) -> Result<usize, S3Error> {
        MAX_FIELDS_BYTES
            .checked_sub(self.bytes)
            .and_then(|left| left.checked_sub(name.len()))
            .ok_or_else(|| ErrorCode::MaxPostPreDataLengthExceededError.into())
    }

    /// Keeps a field.
    ///
    /// # Errors
    /// `InvalidArgument` where the name is there twice (whichever counted, the other would be dropped) or the value is
    /// not UTF-8; `MaxPostPreDataLengthExceededError`.
    pub fn add(&mut self, name: &str, value: Vec<u8>) -> Result<(), S3Error> {
        if value.len() > self.room(name)? || self.fields.len() == MAX_FIELDS {
            return Err(ErrorCode::MaxPostPreDataLengthExceededError.into());
        }
        let name = name.to_ascii_lowercase();
        let value = String::from_utf8(value)
            .map_err(|_| S3Error::invalid_argument(&name, "", "The fields of a form must be UTF-8."))?;
        if self.get(&name).is_some() && !is_ignored(&name) {
            return Err(S3Error::invalid_argument(&name, "", "POST requires exactly one value of each field."));
        }
        self.bytes += name.len() + value.len();
        self.fields.push((name, Zeroizing::new(value)));
        Ok(())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// A field in use: empty is as absent.
    fn non_empty(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Who claims to have signed the policy.
    ///
    /// # Errors
    /// `AccessDenied` for a form without a policy: nobody may upload anonymously. What is wrong with the claim.
    pub fn claim(&self, rules: &Rules<'_>) -> Result<Signed, S3Error> {
        policy_claim(|name| self.non_empty(name), rules)
    }

    /// Puts the name of the file, as the client gave it, in place of `${filename}` in every field but the policy's own:
    /// only what follows its last slash or backslash. Conditions are held against the result.
    pub fn name_file(&mut self, filename: Option<&str>) -> Result<(), S3Error> {
        let name = filename.unwrap_or_default();
        let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
        for (_, value) in self.fields.iter_mut().filter(|(field, _)| !PROOF.contains(&field.as_str())) {
            let added = value.matches(VARIABLE).count().saturating_mul(name.len());
            self.bytes = self.bytes.saturating_add(added);
            if self.bytes > 2 * MAX_FIELDS_BYTES {
                return Err(ErrorCode::MaxPostPreDataLengthExceededError.into());
            }
            if added > 0 || value.contains(VARIABLE) {
                *value = Zeroizing::new(value.replace(VARIABLE, name));
            }
        }
        Ok(())
    }

    /// Holds the form against its policy, and reads what it asks for. Call it after the policy's signature was verified
    /// and the file was named.
    ///
    /// # Errors
    /// `AccessDenied` where the policy does not allow the form; 501 for what is not built; what a PUT's headers may
    /// meet.
    pub fn upload(&self, bucket: BucketName, now_ms: u64) -> Result<Upload, S3Error> {
        let policy = Policy::parse(self.non_empty("policy").ok_or(ErrorCode::AccessDenied)?)?;
        // Told before a policy that names it says no, as AWS does.
        let key = self.key()?;
        if self.non_empty("bucket").is_some_and(|named| named != bucket.as_str()) {
            return Err(S3Error::invalid_argument("bucket", "", "The field bucket names another bucket."));
        }
        let covered = self.fields.iter().map(|(name, _)| name.as_str());
        let covered = covered.filter(|name| !PROOF.contains(name) && !is_ignored(name));
        let value = |name: &str| if name == "bucket" { bucket.as_str() } else { self.get(name).unwrap_or_default() };
        let range = policy.check(now_ms, covered, value)?;
        self.read(ObjectRef { bucket: bucket.clone(), key }, range)
    }

    fn key(&self) -> Result<ObjectKey, S3Error> {
        let key = self.non_empty("key").ok_or_else(|| {
            let why = "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the \
                       fields.";
            S3Error::invalid_argument("key", "", why)
        })?;
        ObjectKey::new(key.as_bytes().to_vec())
    }

    fn read(&self, object: ObjectRef, range: RangeInclusive<u64>) -> Result<Upload, S3Error> {
        if self.non_empty("tagging").is_some() {
            return Err(S3Error::not_implemented("The form field tagging"));
        }
        let (headers, query) = (self.headers()?, Query::default());
        let fields = Fields::new(&headers, &query);
        check_fields(&fields)?;
        refuse_conditions(&fields)?;
        if let Some(name) = fields.amz_names().find(|name| name.starts_with("x-amz-copy-source")) {
            return Err(S3Error::not_implemented(&name));
        }
        let body = BodySpec::read(&fields)?;
        if body.framing != Framing::Plain {
            return Err(S3Error::not_implemented("A form whose file is aws-chunked"));
        }
        body.require_announced_checksum(&fields)?;
        Ok(Upload {
            object,
            headers: ObjectHeaders::read(&fields)?,
            metadata: Metadata::read(&fields)?,
            body,
            size: *range.start()..=(*range.end()).min(MAX_BODY_BYTES),
            success: Success::read(|name| self.non_empty(name)),
            customer_key: CustomerKey::of_form(|name| self.non_empty(name).map(str::to_owned))?,
            expected_bucket_owner: fields.amz("x-amz-expected-bucket-owner")?,
        })
    }

    /// The fields that are headers of a PUT. Others, which the policy covers, are the application's own.
    fn headers(&self) -> Result<HeaderMap, S3Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.fields {
            let header = match name.as_str() {
                "acl" => "x-amz-acl",
                own if OWN.contains(&own) || own.starts_with(CUSTOMER_KEY) => continue,
                own if own.starts_with("x-amz-") || own.starts_with("if-") || HEADERS.contains(&own) => own,
                _ => continue,
            };
            let invalid = || S3Error::invalid_argument(name, "", "The value cannot stand in a header.");
            let header = HeaderName::try_from(header).map_err(|_| invalid())?;
            headers.insert(header, header_value(value).ok_or_else(invalid)?);
        }
        Ok(headers)
    }
}

/// Fields that mean nothing, by AWS's convention.
fn is_ignored(name: &str) -> bool {
    name.starts_with("x-ignore-")
}

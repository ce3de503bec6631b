//! From an HTTP request's head to a typed [`Operation`] (S3.md §1, §5).
//!
//! - **Q1** What is documented and not built is 501 with its name, whether sub-resource, header, parameter or value;
//!   nothing that changes meaning is dropped. Tested by `every_unbuilt_thing_is_501`.
//! - **Q2** The key is the bytes of the path, decoded once (SECURITY V9). Tested by `keys_are_never_normalized`.
//!
//! Parsing is independent of authentication: verify first, so that strangers learn nothing, or parse first to find
//! the operations that are answered to anyone.

mod bucket;
mod conditions;
mod multipart;
mod object;
mod support;
mod target;

use http::Method;
use http::request::Parts;

use crate::body::BodySpec;
use crate::customer_key::{CustomerKey, KeyOf};
use crate::error::{ErrorCode, S3Error};
use crate::fields::Fields;
use crate::form::Upload;
use crate::operation::{ListBuckets, Operation};
use crate::query::Query;
use target::Target;

pub(crate) use bucket::preflight_about;
pub(crate) use conditions::refuse_all as refuse_conditions;
pub(crate) use support::check_fields;
pub use target::Addressing;

/// A parsed request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    pub operation: Operation,
    /// The path as sent, for [`S3Error::about`].
    pub resource: String,
    /// What the request says of its body; `PutObject` and `UploadPart` hold the same. For operations with an XML body
    /// this is where it is described.
    pub body: BodySpec,
    /// `x-amz-expected-bucket-owner`: `AccessDenied` where the bucket's owner is another.
    pub expected_bucket_owner: Option<String>,
    /// `x-amz-source-expected-bucket-owner`, of copies.
    pub expected_source_bucket_owner: Option<String>,
    /// SSE-C, of operations that have a use for it.
    pub customer_key: Option<CustomerKey>,
    /// SSE-C, of the object a copy reads.
    pub source_customer_key: Option<CustomerKey>,
}

/// Reads what a request asks for. Nothing of its body is needed.
pub fn parse(parts: &Parts, addressing: &Addressing) -> Result<Request, S3Error> {
    let resource = parts.uri.path();
    read(parts, addressing).map_err(|error| error.about(resource))
}

fn read(parts: &Parts, addressing: &Addressing) -> Result<Request, S3Error> {
    let query = Query::parse(parts.uri.query())?;
    let fields = Fields::new(&parts.headers, &query);
    let target = addressing.target(parts)?;
    if parts.method == Method::OPTIONS {
        let operation = bucket::preflight(target, &fields)?;
        return Request::new(operation, parts, BodySpec::read_without_checksum(&fields)?, &fields);
    }
    support::check_fields(&fields)?;
    let sub_resource = support::sub_resource(&parts.method, &query)?;
    let body = if sub_resource == Some("uploadId") && parts.method == Method::POST {
        BodySpec::read_without_checksum(&fields)?
    } else {
        BodySpec::read(&fields)?
    };
    let head = Head { method: &parts.method, fields, sub_resource, body: &body };
    let operation = match target {
        Target::Service => head.service()?,
        Target::Bucket(bucket) => head.bucket(bucket)?,
        Target::Object(object) => head.object(object)?,
    };
    Request::new(operation, parts, body, &fields)
}

impl Request {
    /// A form whose fields were read: the request its policy allows. `resource`: as of the form.
    #[must_use]
    pub fn of_form(upload: Upload, resource: String) -> Self {
        Self {
            resource,
            body: upload.body.clone(),
            expected_bucket_owner: upload.expected_bucket_owner.clone(),
            expected_source_bucket_owner: None,
            customer_key: upload.customer_key.clone(),
            source_customer_key: None,
            operation: Operation::PostObject(upload),
        }
    }

    fn new(operation: Operation, parts: &Parts, body: BodySpec, fields: &Fields<'_>) -> Result<Self, S3Error> {
        let customer_key = CustomerKey::read(fields, KeyOf::Object)?;
        let source_customer_key = CustomerKey::read(fields, KeyOf::CopySource)?;
        check_key(&operation, KeyOf::Object, customer_key.as_ref())?;
        check_key(&operation, KeyOf::CopySource, source_customer_key.as_ref())?;
        Ok(Self {
            operation,
            resource: parts.uri.path().to_owned(),
            body,
            expected_bucket_owner: fields.amz("x-amz-expected-bucket-owner")?,
            expected_source_bucket_owner: fields.amz("x-amz-source-expected-bucket-owner")?,
            customer_key,
            source_customer_key,
        })
    }
}

/// A key that an operation has no use for means that the client believes something else is done.
fn check_key(operation: &Operation, of: KeyOf, key: Option<&CustomerKey>) -> Result<(), S3Error> {
    if key.is_none() || operation.uses_customer_key(of) {
        return Ok(());
    }
    let message = "The encryption parameters are not applicable to this request.";
    Err(S3Error::with_message(ErrorCode::InvalidRequest, message))
}

/// What operations are built from, once the target is known.
struct Head<'a> {
    method: &'a Method,
    fields: Fields<'a>,
    /// The one sub-resource the query names.
    sub_resource: Option<&'static str>,
    body: &'a BodySpec,
}

impl Head<'_> {
    fn service(&self) -> Result<Operation, S3Error> {
        match (self.method, self.sub_resource) {
            (&Method::GET, None) => {
                self.refuse_expected_owner()?;
                self.list_buckets().map(Operation::ListBuckets)
            }
            _ => Err(ErrorCode::MethodNotAllowed.into()),
        }
    }

    /// Where there is no bucket yet whose owner could be held against it.
    fn refuse_expected_owner(&self) -> Result<(), S3Error> {
        match self.fields.amz("x-amz-expected-bucket-owner")? {
            None => Ok(()),
            Some(_) => Err(S3Error::not_implemented("x-amz-expected-bucket-owner in this operation")),
        }
    }

    fn list_buckets(&self) -> Result<ListBuckets, S3Error> {
        const MAX_BUCKETS: u16 = 10_000;
        let query = self.fields.query();
        let max_buckets = match query.non_empty("max-buckets") {
            None => MAX_BUCKETS,
            Some(text) => text.parse().ok().filter(|max| (1..=MAX_BUCKETS).contains(max)).ok_or_else(|| {
                S3Error::invalid_argument("max-buckets", text, "max-buckets must be an integer between 1 and 10000")
            })?,
        };
        Ok(ListBuckets {
            max_buckets,
            prefix: query.non_empty("prefix").map(str::to_owned),
            continuation_token: query.non_empty("continuation-token").map(str::to_owned),
            bucket_region: query.non_empty("bucket-region").map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests;

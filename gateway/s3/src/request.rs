//! skeleton, being filled

use crate::body::BodySpec;
use crate::error::S3Error;
use crate::operation::Operation;

/// The domains whose subdomains are buckets (virtual-host style). Path style always works.
#[derive(Clone, Default, Debug)]
pub struct Addressing {
    roots: Vec<String>,
}

impl Addressing {
    /// Domains without a port, in any case.
    pub fn new(roots: impl IntoIterator<Item = String>) -> Self {
        Self { roots: roots.into_iter().map(|root| root.to_ascii_lowercase()).collect() }
    }
}

/// A parsed request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    pub operation: Operation,
    /// The path as sent, for errors: `S3Error::about`.
    pub resource: String,
    /// Also inside `PutObject` and `UploadPart`; for XML bodies it is here.
    pub body: BodySpec,
    /// `x-amz-expected-bucket-owner`: 403 AccessDenied where the bucket's owner is another.
    pub expected_bucket_owner: Option<String>,
    /// `x-amz-source-expected-bucket-owner`, of copies.
    pub expected_source_bucket_owner: Option<String>,
}

pub fn parse(_parts: &http::request::Parts, _addressing: &Addressing) -> Result<Request, S3Error> {
    todo!()
}

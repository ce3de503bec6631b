//! What a visitor's request says.

use cairn_types::BucketName;
use http::request::Parts;
use http::{HeaderName, Method, header};

use super::encoding::{Encoding, accepted};
use super::host::Hosts;
use crate::conditions::{ETagMatch, IfRange, ReadConditions};
use crate::date::parse_http_date;
use crate::error::{ErrorCode, S3Error};
use crate::fields::Fields;
use crate::headers::ResponseOverrides;
use crate::key::ObjectKey;
use crate::operation::{ObjectRef, Preflight, ReadObject};
use crate::query::Query;
use crate::range::ByteRange;
use crate::request::preflight_about;
use crate::uri::percent_decode;

/// A GET or HEAD of a site. Unlike an S3 request, what it says beyond that is a hint: no query parameter and no header
/// that is not understood changes what is answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SiteRequest {
    pub bucket: BucketName,
    /// The host, and the port where it was said, as the visitor wrote them.
    pub authority: String,
    /// The path, decoded once, without its first slash; empty at the root.
    pub key: String,
    /// As sent.
    pub query: Option<String>,
    pub range: Option<ByteRange>,
    pub if_range: Option<IfRange>,
    pub conditions: ReadConditions,
    /// What may be sent instead, the best first; none with a range.
    pub encodings: Vec<Encoding>,
}

impl SiteRequest {
    /// The bucket whose site is asked for.
    ///
    /// # Errors
    /// 400 without a host; 404 where no bucket can have its name.
    pub fn site(parts: &Parts, hosts: &Hosts) -> Result<(String, BucketName), S3Error> {
        let of_header = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let authority = of_header.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
        let authority = authority.ok_or_else(|| S3Error::with_message(ErrorCode::BadRequest, "A host is needed."))?;
        let bucket = hosts.bucket(authority).ok_or(ErrorCode::NoSuchWebsiteConfiguration)?;
        Ok((authority.to_owned(), bucket))
    }

    /// Reads what a browser asks before a script of another site may read a page.
    ///
    /// # Errors
    /// Those of [`Self::site`]; 400 without an origin or a method.
    pub fn preflight(parts: &Parts, hosts: &Hosts) -> Result<(BucketName, Preflight), S3Error> {
        let (_, bucket) = Self::site(parts, hosts)?;
        let query = Query::default();
        let asked = preflight_about(Some(bucket.clone()), None, &Fields::new(&parts.headers, &query))?;
        Ok((bucket, asked))
    }

    /// Reads the head of a request.
    ///
    /// # Errors
    /// Those of [`Self::site`]; 405 for other methods; 400 where the path is not percent-encoded UTF-8.
    pub fn read(parts: &Parts, hosts: &Hosts) -> Result<Self, S3Error> {
        let (authority, bucket) = Self::site(parts, hosts)?;
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            return Err(ErrorCode::MethodNotAllowed.into());
        }
        let path = parts.uri.path();
        let path = path.strip_prefix('/').unwrap_or(path);
        let key = percent_decode(path.as_bytes()).and_then(|bytes| String::from_utf8(bytes).ok());
        let text = |name| text(parts, name);
        // A range is of GET alone (RFC 9110 §14.2).
        let range = text(header::RANGE).filter(|_| parts.method == Method::GET);
        let range = range.and_then(ByteRange::parse);
        let encodings =
            if range.is_some() { Vec::new() } else { accepted(joined(parts, header::ACCEPT_ENCODING).as_deref()) };
        Ok(Self {
            bucket,
            authority,
            key: key.ok_or(ErrorCode::InvalidURI)?,
            query: parts.uri.query().map(str::to_owned),
            range,
            if_range: text(header::IF_RANGE).map(IfRange::parse),
            conditions: ReadConditions {
                if_match: joined(parts, header::IF_MATCH).map(|text| ETagMatch::parse(&text)),
                if_none_match: joined(parts, header::IF_NONE_MATCH).map(|text| ETagMatch::parse(&text)),
                // A date that cannot be read is no condition (RFC 9110 §13.1.3).
                if_modified_since: text(header::IF_MODIFIED_SINCE).and_then(parse_http_date),
                if_unmodified_since: text(header::IF_UNMODIFIED_SINCE).and_then(parse_http_date),
            },
            encodings,
        })
    }

    /// The read of the object that is served, with the request's conditions and range.
    #[must_use]
    pub fn of_page(&self, key: ObjectKey) -> ReadObject {
        ReadObject {
            range: self.range,
            if_range: self.if_range.clone(),
            conditions: self.conditions.clone(),
            ..self.of_error_document(key)
        }
    }

    /// The read of an error document: whole, whatever the request wanted of the page that is not there.
    #[must_use]
    pub fn of_error_document(&self, key: ObjectKey) -> ReadObject {
        ReadObject {
            object: ObjectRef { bucket: self.bucket.clone(), key },
            version: None,
            range: None,
            if_range: None,
            part_number: None,
            conditions: ReadConditions::default(),
            with_checksum: false,
            overrides: ResponseOverrides::default(),
        }
    }
}

fn text(parts: &Parts, name: HeaderName) -> Option<&str> {
    parts.headers.get(name).and_then(|value| value.to_str().ok())
}

/// A header whose lines are one list.
fn joined(parts: &Parts, name: HeaderName) -> Option<String> {
    let lines: Vec<&str> = parts.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

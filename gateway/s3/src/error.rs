//! The error every S3 answer can be, and its XML (S3.md §1.4).

mod code;

use std::fmt;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response};

pub use code::ErrorCode;

use crate::xml::Writer;

/// The header that carries the request id; the same id stands in an error's `RequestId`.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");

/// An error as AWS words it: code, message, the resource it is about, and fields of its own.
///
/// It holds nothing secret: fields are what the client sent, or numbers of ours it may know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct S3Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Inner {
    code: ErrorCode,
    message: String,
    resource: Option<String>,
    fields: Vec<(&'static str, String)>,
}

impl S3Error {
    /// With the code's usual message.
    #[must_use]
    pub fn new(code: ErrorCode) -> Self {
        Self::with_message(code, code.message())
    }

    #[must_use]
    pub fn with_message(code: ErrorCode, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { code, message: message.into(), resource: None, fields: Vec::new() }))
    }

    /// 501, naming the header, parameter, element or operation that is not built (S3.md §1.1).
    #[must_use]
    pub fn not_implemented(what: &str) -> Self {
        let message = format!("{what} is not implemented. Nothing was changed.");
        Self::with_message(ErrorCode::NotImplemented, message).field("Header", what)
    }

    /// `InvalidArgument` with AWS's `ArgumentName` and `ArgumentValue`.
    #[must_use]
    pub fn invalid_argument(name: &str, value: &str, message: impl Into<String>) -> Self {
        Self::with_message(ErrorCode::InvalidArgument, message)
            .field("ArgumentName", name)
            .field("ArgumentValue", value)
    }

    /// 416; the answer then says the true size in `Content-Range: bytes */N`.
    #[must_use]
    pub fn invalid_range(requested: &str, size_bytes: u64) -> Self {
        Self::new(ErrorCode::InvalidRange)
            .field("RangeRequested", requested)
            .field("ActualObjectSize", size_bytes.to_string())
    }

    /// 412, naming the condition that did not hold.
    #[must_use]
    pub fn precondition_failed(condition: &'static str) -> Self {
        Self::new(ErrorCode::PreconditionFailed).field("Condition", condition)
    }

    /// Adds an element of the error's own. Control characters that XML cannot carry are replaced.
    #[must_use]
    pub fn field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.fields.push((name, value.into()));
        self
    }

    /// Says which path the error is about, where it is not said yet.
    #[must_use]
    pub fn about(mut self, resource: &str) -> Self {
        self.0.resource.get_or_insert_with(|| resource.to_owned());
        self
    }

    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        self.0.resource.as_deref()
    }

    #[must_use]
    pub fn get_field(&self, name: &str) -> Option<&str> {
        self.0.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_str())
    }

    /// The body AWS sends: `Error` with `Code`, `Message`, own fields, `Resource` and `RequestId`.
    #[must_use]
    pub fn to_xml(&self, request_id: &str) -> String {
        let mut xml = Writer::document();
        xml.element("Error", |xml| {
            xml.text("Code", self.code().as_str());
            xml.text("Message", self.message());
            for (name, value) in &self.0.fields {
                xml.text(name, value);
            }
            xml.text("Resource", self.resource().unwrap_or("/"));
            xml.text("RequestId", request_id);
        });
        xml.finish()
    }

    /// The whole answer. `head` answers (and 304) have no body, as S3.md §8.8 asks; a 503 may be tried again.
    #[must_use]
    pub fn to_response(&self, request_id: &str, head: bool) -> Response<Bytes> {
        let code = self.code();
        let body =
            if head || code == ErrorCode::NotModified { Bytes::new() } else { Bytes::from(self.to_xml(request_id)) };
        let length = HeaderValue::from(body.len());
        let mut response = Response::new(body);
        *response.status_mut() = code.status();
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(request_id) {
            headers.insert(REQUEST_ID, id);
        }
        match code {
            ErrorCode::NotModified => {
                if let Some(etag) = self.get_field("ETag").and_then(|etag| HeaderValue::from_str(etag).ok()) {
                    headers.insert(ETAG, etag);
                }
                return response;
            }
            ErrorCode::InvalidRange => {
                let size = self.get_field("ActualObjectSize").unwrap_or("*");
                if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
                    headers.insert(CONTENT_RANGE, value);
                }
            }
            ErrorCode::SlowDown | ErrorCode::ServiceUnavailable => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        if !head {
            headers.insert(CONTENT_LENGTH, length);
        }
        response
    }
}

impl fmt::Display for S3Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code().as_str(), self.message())
    }
}

impl std::error::Error for S3Error {}

impl From<ErrorCode> for S3Error {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_awss() {
        let error = S3Error::invalid_argument("max-keys", "<x>", "no number").about("/bucket");
        assert_eq!(
            error.to_xml("id"),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>InvalidArgument</Code><Message>no number</Message>\
             <ArgumentName>max-keys</ArgumentName><ArgumentValue>&lt;x&gt;</ArgumentValue>\
             <Resource>/bucket</Resource><RequestId>id</RequestId></Error>"
        );
    }

    #[test]
    fn the_first_resource_stays() {
        let error = S3Error::from(ErrorCode::NoSuchKey).about("/first").about("/second");
        assert_eq!(error.resource(), Some("/first"));
    }

    #[test]
    fn answers_carry_what_their_status_needs() {
        let busy = S3Error::from(ErrorCode::SlowDown).to_response("id", false);
        assert_eq!((busy.status().as_u16(), &busy.headers()["retry-after"]), (503, &HeaderValue::from_static("1")));
        assert_eq!(busy.headers()["x-amz-request-id"], "id");
        assert_eq!(busy.headers()["content-length"], busy.body().len().to_string());
        let head = S3Error::from(ErrorCode::NoSuchKey).to_response("id", true);
        assert!(head.body().is_empty() && !head.headers().contains_key("content-length"));
        let failed = S3Error::precondition_failed("If-Match").to_response("id", false);
        assert!(failed.body().starts_with(b"<?xml"));
    }
}

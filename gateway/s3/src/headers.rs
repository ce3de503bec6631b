//! The headers an object keeps and gives back (S3.md §5).

mod metadata;

use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, EXPIRES};
use http::{HeaderMap, HeaderName, HeaderValue};

pub use metadata::Metadata;

use crate::error::S3Error;
use crate::fields::Fields;
use crate::query::Query;
use crate::website::check_redirect_location;

/// Where an object without a `Content-Type` of its own gets one.
const DEFAULT_CONTENT_TYPE: HeaderValue = HeaderValue::from_static("binary/octet-stream");
const WEBSITE_REDIRECT_LOCATION: HeaderName = HeaderName::from_static("x-amz-website-redirect-location");

/// Headers stored with an object, as the client wrote them. Header values cannot hold CR or LF.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ObjectHeaders {
    pub content_type: Option<String>,
    pub cache_control: Option<String>,
    pub content_disposition: Option<String>,
    /// Without `aws-chunked`, which is framing and never stored.
    pub content_encoding: Option<String>,
    pub content_language: Option<String>,
    pub expires: Option<String>,
    pub website_redirect_location: Option<String>,
}

/// `response-*` parameters of a read, which replace stored headers in this answer only.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ResponseOverrides {
    pub content_type: Option<String>,
    pub cache_control: Option<String>,
    pub content_disposition: Option<String>,
    pub content_encoding: Option<String>,
    pub content_language: Option<String>,
    pub expires: Option<String>,
}

impl ObjectHeaders {
    /// Adds them to an answer. A value no header can carry is left out: it can only come from a damaged row, since
    /// both sources are checked when a request is parsed.
    pub fn write(&self, overrides: &ResponseOverrides, headers: &mut HeaderMap) {
        let fields = [
            (CONTENT_TYPE, &overrides.content_type, &self.content_type),
            (CACHE_CONTROL, &overrides.cache_control, &self.cache_control),
            (CONTENT_DISPOSITION, &overrides.content_disposition, &self.content_disposition),
            (CONTENT_ENCODING, &overrides.content_encoding, &self.content_encoding),
            (CONTENT_LANGUAGE, &overrides.content_language, &self.content_language),
            (EXPIRES, &overrides.expires, &self.expires),
            (WEBSITE_REDIRECT_LOCATION, &None, &self.website_redirect_location),
        ];
        for (name, replaced, stored) in fields {
            if let Some(value) = replaced.as_ref().or(stored.as_ref()).and_then(|text| header_value(text)) {
                headers.insert(name, value);
            }
        }
        headers.entry(CONTENT_TYPE).or_insert(DEFAULT_CONTENT_TYPE);
    }
}

impl ObjectHeaders {
    /// Reads the headers to keep.
    pub(crate) fn read(fields: &Fields<'_>) -> Result<Self, S3Error> {
        Ok(Self {
            content_type: fields.header("content-type")?,
            cache_control: fields.header("cache-control")?,
            content_disposition: fields.header("content-disposition")?,
            content_encoding: fields.header("content-encoding")?.and_then(|text| stored_content_encoding(&text)),
            content_language: fields.header("content-language")?,
            expires: fields.header("expires")?,
            website_redirect_location: redirect_location(fields)?,
        })
    }
}

impl ResponseOverrides {
    /// Reads the `response-*` parameters; `InvalidArgument` where a value could not stand in a header.
    pub(crate) fn read(query: &Query) -> Result<Self, S3Error> {
        let get = |name: &'static str| match query.non_empty(name) {
            Some(text) if header_value(text).is_none() => {
                Err(S3Error::invalid_argument(name, text, "The value cannot stand in a header."))
            }
            text => Ok(text.map(str::to_owned)),
        };
        Ok(Self {
            content_type: get("response-content-type")?,
            cache_control: get("response-cache-control")?,
            content_disposition: get("response-content-disposition")?,
            content_encoding: get("response-content-encoding")?,
            content_language: get("response-content-language")?,
            expires: get("response-expires")?,
        })
    }
}

/// `x-amz-website-redirect-location`, where it is one.
pub(crate) fn redirect_location(fields: &Fields<'_>) -> Result<Option<String>, S3Error> {
    let location = fields.amz("x-amz-website-redirect-location")?;
    location.as_deref().map_or(Ok(()), check_redirect_location)?;
    Ok(location)
}

/// Whether a lower-case header name is one of user metadata.
pub(crate) fn is_metadata(name: &str) -> bool {
    name.starts_with(metadata::PREFIX)
}

/// Text as a header value, UTF-8 included; `None` where it holds control characters.
pub(crate) fn header_value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_bytes(text.as_bytes()).ok()
}

/// `Content-Encoding` without its `aws-chunked` members; `None` where nothing is left.
pub(crate) fn stored_content_encoding(text: &str) -> Option<String> {
    let kept: Vec<&str> =
        text.split(',').map(str::trim).filter(|name| !name.is_empty() && !is_aws_chunked(name)).collect();
    (!kept.is_empty()).then(|| kept.join(", "))
}

/// Whether a member of `Content-Encoding` is the framing.
pub(crate) fn is_aws_chunked(member: &str) -> bool {
    member.trim().eq_ignore_ascii_case("aws-chunked")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_is_not_stored() {
        for (given, stored) in [
            ("gzip", Some("gzip")),
            ("aws-chunked", None),
            ("aws-chunked,gzip", Some("gzip")),
            ("gzip, AWS-Chunked", Some("gzip")),
            ("aws-chunked, aws-chunked", None),
            ("deflate, gzip", Some("deflate, gzip")),
            ("", None),
        ] {
            assert_eq!(stored_content_encoding(given).as_deref(), stored, "{given}");
        }
    }

    #[test]
    fn overrides_replace_and_the_type_has_a_default() {
        let stored = ObjectHeaders { cache_control: Some("no-cache".into()), ..Default::default() };
        let overrides = ResponseOverrides { cache_control: Some("public".into()), ..Default::default() };
        let mut headers = HeaderMap::new();
        stored.write(&overrides, &mut headers);
        assert_eq!(headers["cache-control"], "public");
        assert_eq!(headers["content-type"], "binary/octet-stream");
    }

    #[test]
    fn control_characters_never_reach_an_answer() {
        let stored = ObjectHeaders { expires: Some("a\r\nSet-Cookie: b".into()), ..Default::default() };
        let mut headers = HeaderMap::new();
        stored.write(&ResponseOverrides::default(), &mut headers);
        assert!(!headers.contains_key("expires"));
    }
}

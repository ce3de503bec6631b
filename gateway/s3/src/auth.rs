//! Signature Version 4: who a request claims to come from, and the proof (S3.md §2, SECURITY §3).
//!
//! Two phases. [`Authorization::parse`] reads the claim and checks everything that needs no secret: form, times,
//! scope, that no `x-amz-*` header stands unsigned. The caller looks the access key id up and derives the
//! [`SigningKey`] (or takes it from its cache); [`Signed::verify`] then compares the signature in constant time.
//!
//! - **S1** A [`Verified`] is built by [`Signed::verify`] and nowhere else (SECURITY V5). Kept by private fields.
//! - **S2** Every `x-amz-*` header that is present is signed, and `host` is. Tested by `unsigned_amz_headers_are_refused`.
//! - **S3** Secrets and signing keys have no `Debug` and are wiped when dropped.
//! - **S4** Signatures are compared only by [`Signature::matches`], in constant time (SECURITY V16).
//! - **S5** Nothing is normalized: the canonical request is built from the bytes sent (SECURITY V9).

mod canonical;
mod chunk;
mod form;
mod header;
mod key;
mod payload;
mod presigned;
mod scope;
mod sign;
mod verify;

pub use chunk::ChunkSigning;
pub(crate) use form::policy_claim;
pub use key::{Signature, SigningKey};
pub use payload::Payload;
pub use scope::Scope;
pub use sign::{SignError, Signer};
pub use verify::{Signed, Verified};

use http::request::Parts;

use crate::error::{ErrorCode, S3Error};
use crate::query::Query;

/// The only algorithm there is.
pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The greatest distance between the client's clock and ours, either way.
const MAX_SKEW_MS: u64 = 15 * 60 * 1000;
/// The longest life of a presigned request: seven days.
const MAX_EXPIRES_S: u64 = 7 * 24 * 60 * 60;

/// How this server judges signatures.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Milliseconds since 1970.
    pub now_ms: u64,
    /// The only region accepted in scopes; `None` accepts any.
    pub region: Option<&'a str>,
    /// Refuse bodies without a signature; the caller sets it for plaintext HTTP where configured so.
    pub refuse_unsigned_payload: bool,
}

/// Who a request claims to come from. Match it without `_`.
#[derive(Debug)]
pub enum Authorization {
    /// No credentials anywhere in the request.
    Anonymous,
    /// A SigV4 signature, in the header or in the query, not verified yet.
    Signed(Signed),
}

impl Authorization {
    /// Whether a request has credentials outside its body. A form brings its own.
    pub fn is_in_head(parts: &Parts) -> Result<bool, S3Error> {
        let query = Query::parse(parts.uri.query())?;
        let in_query = query.iter().any(|(name, _)| presigned::is_credential(name) || name == "AWSAccessKeyId");
        Ok(in_query || parts.headers.contains_key(http::header::AUTHORIZATION))
    }

    /// Reads the claim.
    ///
    /// Errors are AWS's: SigV2 and unknown schemes 400, credentials in two places 400, `RequestTimeTooSkewed`,
    /// `AccessDenied` for expired presigned requests and unsigned headers, `AuthorizationHeaderMalformed` …
    pub fn parse(parts: &Parts, rules: &Rules<'_>) -> Result<Self, S3Error> {
        let query = Query::parse(parts.uri.query())?;
        if query.has("AWSAccessKeyId") {
            return Err(unsupported_mechanism());
        }
        let in_query = query.iter().any(|(name, _)| presigned::is_credential(name));
        let mut headers = parts.headers.get_all(http::header::AUTHORIZATION).iter();
        let claim = match (headers.next(), in_query) {
            (None, false) => return Ok(Self::Anonymous),
            (None, true) => presigned::read(&query, parts, rules)?,
            (Some(_), true) => return Err(two_mechanisms()),
            (Some(_), false) if headers.next().is_some() => return Err(two_mechanisms()),
            (Some(value), false) => header::read(value, &query, parts, rules)?,
        };
        Signed::new(claim, parts, &query, rules).map(Self::Signed)
    }
}

/// What the client says about its signature, from either place.
struct Claim {
    access_key_id: String,
    scope: Scope,
    signed_headers: Vec<String>,
    signature: Signature,
    /// `20130524T000000Z`
    timestamp: String,
    /// The canonical request's last line.
    payload_text: String,
    payload: Payload,
    /// The query parameter left out of the canonical request.
    omitted: Option<&'static str>,
}

/// 400 for a request that brings credentials in two places.
#[must_use]
pub fn two_mechanisms() -> S3Error {
    S3Error::with_message(
        ErrorCode::InvalidArgument,
        "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter \
         or the Authorization header should be specified",
    )
}

/// SigV2 is replayable for ever (SECURITY V18), so there is none.
fn unsupported_mechanism() -> S3Error {
    S3Error::with_message(
        ErrorCode::InvalidRequest,
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
    )
}

/// Splits `SignedHeaders`: lower case, each once, `host` among them, and no empty element.
fn read_signed_headers(text: &str, malformed: impl Fn(&str) -> S3Error) -> Result<Vec<String>, S3Error> {
    let names: Vec<String> = text.split(';').map(str::to_owned).collect();
    for (index, name) in names.iter().enumerate() {
        if name.is_empty() || name.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii_graphic()) {
            return Err(malformed("SignedHeaders must be lower-case header names separated by ';'"));
        }
        if names[..index].contains(name) {
            return Err(malformed("SignedHeaders names a header twice"));
        }
    }
    if !names.iter().any(|name| name == "host") {
        return Err(malformed("SignedHeaders must include host"));
    }
    Ok(names)
}

#[cfg(test)]
mod tests;

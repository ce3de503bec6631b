//! The client's half of SigV4, for tests and load tools.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Uri};

use super::{ALGORITHM, ChunkSigning, Payload, Scope, Signature, SigningKey, canonical};
use crate::date::amz_date;
use crate::error::S3Error;
use crate::query::Query;
use crate::uri::encode_component;

const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const X_AMZ_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// Headers that proxies and HTTP libraries change on the way, so that nobody signs them.
const NEVER_SIGNED: [&str; 6] =
    ["accept-encoding", "authorization", "connection", "expect", "transfer-encoding", "user-agent"];

/// Signs requests as one access key.
#[derive(Clone, Copy)]
pub struct Signer<'a> {
    pub access_key_id: &'a str,
    pub secret: &'a str,
    pub region: &'a str,
}

/// Why a request could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    #[error("the request cannot be written in canonical form: {0}")]
    Request(S3Error),
    #[error("a value cannot stand in a header or an address")]
    Value,
}

impl Signer<'_> {
    /// Adds `x-amz-date`, `x-amz-content-sha256` and `Authorization`. All headers present are signed, but those that
    /// change on the way; the request needs a `Host` header or an authority. Returns the chain for signed chunks.
    pub fn sign(&self, parts: &mut Parts, payload: Payload, now_ms: u64) -> Result<Option<ChunkSigning>, SignError> {
        let timestamp = amz_date(now_ms);
        let payload_text = payload.to_string();
        parts.headers.insert(X_AMZ_DATE, header(&timestamp)?);
        parts.headers.insert(X_AMZ_CONTENT_SHA256, header(&payload_text)?);
        let signed_headers = signed_headers(parts);
        let scope = Scope::new(&timestamp, self.region);
        let query = Query::parse(parts.uri.query()).map_err(SignError::Request)?;
        let key = SigningKey::derive(self.secret, &scope);
        let signature = signature(&key, parts, &query, &signed_headers, &payload_text, &timestamp, &scope)?;
        let value = format!(
            "{ALGORITHM} Credential={}/{scope},SignedHeaders={},Signature={signature}",
            self.access_key_id,
            signed_headers.join(";")
        );
        parts.headers.insert(http::header::AUTHORIZATION, header(&value)?);
        Ok(payload.signs_chunks().then(|| ChunkSigning::new(key, timestamp, scope, signature)))
    }

    /// Puts a signature of the headers present into the query, good for `expires_s` seconds. The body is not signed.
    pub fn presign(&self, parts: &mut Parts, expires_s: u64, now_ms: u64) -> Result<(), SignError> {
        let timestamp = amz_date(now_ms);
        let scope = Scope::new(&timestamp, self.region);
        let signed_headers = signed_headers(parts);
        let added = format!(
            "X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={}&X-Amz-Date={timestamp}&X-Amz-Expires={expires_s}\
             &X-Amz-SignedHeaders={}",
            encode_component(format!("{}/{scope}", self.access_key_id).as_bytes()),
            encode_component(signed_headers.join(";").as_bytes()),
        );
        let unsigned = match parts.uri.query() {
            Some(own) if !own.is_empty() => format!("{own}&{added}"),
            _ => added,
        };
        let query = Query::parse(Some(&unsigned)).map_err(SignError::Request)?;
        let key = SigningKey::derive(self.secret, &scope);
        let payload = Payload::Unsigned.to_string();
        let signature = signature(&key, parts, &query, &signed_headers, &payload, &timestamp, &scope)?;
        parts.uri = with_query(&parts.uri, &format!("{unsigned}&X-Amz-Signature={signature}"))?;
        Ok(())
    }
}

impl Signer<'_> {
    /// The fields that prove a form's policy; the policy must have conditions for all of them but the last two.
    #[must_use]
    pub fn sign_policy(&self, policy: &str, now_ms: u64) -> [(&'static str, String); 5] {
        let timestamp = amz_date(now_ms);
        let scope = Scope::new(&timestamp, self.region);
        let encoded = STANDARD.encode(policy);
        let signature = SigningKey::derive(self.secret, &scope).sign(encoded.as_bytes());
        [
            ("x-amz-algorithm", ALGORITHM.to_owned()),
            ("x-amz-credential", format!("{}/{scope}", self.access_key_id)),
            ("x-amz-date", timestamp),
            ("policy", encoded),
            ("x-amz-signature", signature.to_string()),
        ]
    }
}

fn signature(
    key: &SigningKey,
    parts: &Parts,
    query: &Query,
    signed_headers: &[String],
    payload_text: &str,
    timestamp: &str,
    scope: &Scope,
) -> Result<Signature, SignError> {
    let canonical = canonical::request(parts, query, None, signed_headers, payload_text).map_err(SignError::Request)?;
    Ok(key.sign(canonical::string_to_sign(timestamp, scope, &canonical).as_bytes()))
}

fn signed_headers(parts: &Parts) -> Vec<String> {
    let mut names: Vec<String> = parts.headers.keys().map(|name| name.as_str().to_owned()).collect();
    names.retain(|name| !NEVER_SIGNED.contains(&name.as_str()));
    if !names.iter().any(|name| name == "host") {
        names.push("host".to_owned());
    }
    names.sort();
    names
}

fn header(text: &str) -> Result<HeaderValue, SignError> {
    HeaderValue::from_str(text).map_err(|_| SignError::Value)
}

fn with_query(uri: &Uri, query: &str) -> Result<Uri, SignError> {
    let mut uri = uri.clone().into_parts();
    let path = uri.path_and_query.as_ref().map_or("/", |path| path.path());
    uri.path_and_query = Some(format!("{path}?{query}").parse().map_err(|_| SignError::Value)?);
    Uri::from_parts(uri).map_err(|_| SignError::Value)
}

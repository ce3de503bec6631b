//! A claimed signature, and the proof that it was right.

use http::request::Parts;

use super::{ChunkSigning, Claim, Payload, Rules, Scope, SigningKey, canonical};
use crate::error::{ErrorCode, S3Error};
use crate::query::Query;

/// A signature that is not verified yet, with everything it is of.
#[derive(Debug)]
pub struct Signed(Box<Unverified>);

#[derive(Debug)]
struct Unverified {
    access_key_id: String,
    scope: Scope,
    timestamp: String,
    payload: Payload,
    signature: super::Signature,
    canonical_request: Vec<u8>,
    string_to_sign: String,
}

impl Signed {
    /// Checks what covers the request and builds the text that was signed.
    pub(super) fn new(claim: Claim, parts: &Parts, query: &Query, rules: &Rules<'_>) -> Result<Self, S3Error> {
        refuse_unsigned_headers(parts, &claim.signed_headers)?;
        refuse_session_tokens(parts, query)?;
        if rules.refuse_unsigned_payload && claim.payload.is_unsigned() {
            return Err(S3Error::with_message(
                ErrorCode::AccessDenied,
                "Unsigned payloads are accepted over TLS only.",
            ));
        }
        let canonical_request =
            canonical::request(parts, query, claim.omitted, &claim.signed_headers, &claim.payload_text)?;
        let string_to_sign = canonical::string_to_sign(&claim.timestamp, &claim.scope, &canonical_request);
        Ok(Self(Box::new(Unverified {
            access_key_id: claim.access_key_id,
            scope: claim.scope,
            timestamp: claim.timestamp,
            payload: claim.payload,
            signature: claim.signature,
            canonical_request,
            string_to_sign,
        })))
    }

    /// The claim of a form, whose signature is of its policy alone: what the policy says is checked afterwards.
    pub(super) fn of_policy(
        access_key_id: String,
        scope: Scope,
        timestamp: &str,
        policy: &str,
        signature: super::Signature,
    ) -> Self {
        Self(Box::new(Unverified {
            access_key_id,
            scope,
            timestamp: timestamp.to_owned(),
            payload: Payload::Unsigned,
            signature,
            canonical_request: Vec::new(),
            string_to_sign: policy.to_owned(),
        }))
    }

    /// The key the request claims: the caller looks its secret up, `InvalidAccessKeyId` where there is none.
    #[must_use]
    pub fn access_key_id(&self) -> &str {
        &self.0.access_key_id
    }

    /// What to derive the signing key for.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.0.scope
    }

    /// The only way to a [`Verified`]. `SignatureDoesNotMatch`, with what was signed, where the signature is not `key`'s;
    /// a caller whose key came from a cache may then try again with a fresh one.
    pub fn verify<P>(&self, key: &SigningKey, principal: P) -> Result<Verified<P>, S3Error> {
        let Unverified { access_key_id, scope, timestamp, payload, signature, canonical_request, string_to_sign } =
            &*self.0;
        if !key.sign(string_to_sign.as_bytes()).matches(signature) {
            return Err(S3Error::new(ErrorCode::SignatureDoesNotMatch)
                .field("AWSAccessKeyId", access_key_id)
                .field("StringToSign", string_to_sign)
                .field("SignatureProvided", signature.to_string())
                .field("CanonicalRequest", String::from_utf8_lossy(canonical_request)));
        }
        let chunks = payload
            .signs_chunks()
            .then(|| ChunkSigning::new(key.clone(), timestamp.clone(), scope.clone(), *signature));
        Ok(Verified {
            principal,
            access_key_id: access_key_id.clone(),
            scope: scope.clone(),
            payload: *payload,
            chunks,
        })
    }
}

/// Proof that a request was signed by the holder of a key. Handlers take this, never a claim (SECURITY V5).
#[derive(Clone, Debug)]
pub struct Verified<P> {
    principal: P,
    access_key_id: String,
    scope: Scope,
    payload: Payload,
    chunks: Option<ChunkSigning>,
}

impl<P> Verified<P> {
    #[must_use]
    pub fn principal(&self) -> &P {
        &self.principal
    }

    #[must_use]
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// For the body's decoder, where each chunk is signed.
    #[must_use]
    pub fn chunk_signing(&self) -> Option<ChunkSigning> {
        self.chunks.clone()
    }
}

/// An `x-amz-*` header that is not signed could have been added by anyone on the way.
fn refuse_unsigned_headers(parts: &Parts, signed: &[String]) -> Result<(), S3Error> {
    let mut unsigned: Vec<&str> = parts
        .headers
        .keys()
        .map(http::HeaderName::as_str)
        .filter(|name| name.starts_with("x-amz-") && !signed.iter().any(|signed| signed == name))
        .collect();
    unsigned.sort_unstable();
    if unsigned.is_empty() {
        return Ok(());
    }
    Err(S3Error::with_message(
        ErrorCode::AccessDenied,
        "There were headers present in the request which were not signed",
    )
    .field("HeadersNotSigned", unsigned.join(", ")))
}

/// There are no temporary credentials here, so no session token can be one of ours.
fn refuse_session_tokens(parts: &Parts, query: &Query) -> Result<(), S3Error> {
    match crate::fields::Fields::new(&parts.headers, query).amz("x-amz-security-token")? {
        Some(_) => Err(ErrorCode::InvalidToken.into()),
        None => Ok(()),
    }
}

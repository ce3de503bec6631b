//! skeleton, being filled

use crate::error::S3Error;

/// How the server judges signatures.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    pub now_ms: u64,
    /// The only region accepted in scopes; `None` accepts any.
    pub region: Option<&'a str>,
    /// Refuse `UNSIGNED-PAYLOAD` (set by the caller for plaintext HTTP where configured so).
    pub refuse_unsigned_payload: bool,
}

/// Who a request claims to come from. Nothing is verified yet.
pub enum Authorization {
    Anonymous,
    Signed(Signed),
}

impl Authorization {
    pub fn parse(_parts: &http::request::Parts, _rules: &Rules<'_>) -> Result<Self, S3Error> {
        todo!()
    }
}

/// A claimed signature with everything needed to check it.
pub struct Signed {
    _p: (),
}

impl Signed {
    pub fn access_key_id(&self) -> &str {
        todo!()
    }
    pub fn scope(&self) -> &Scope {
        todo!()
    }
    /// The only way to a [`Verified`]. `SignatureDoesNotMatch` where the signature is not of `key`.
    pub fn verify<P>(self, _key: &SigningKey, _principal: P) -> Result<Verified<P>, S3Error> {
        todo!()
    }
}

/// date/region/service of a credential. Usable as a cache key together with the access key id.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Scope {
    _p: (),
}

/// kSigning; zeroized on drop, no Debug. Cache it per (access key, secret generation, scope).
#[derive(Clone)]
pub struct SigningKey {
    _p: (),
}

impl SigningKey {
    pub fn derive(_secret: &str, _scope: &Scope) -> Self {
        todo!()
    }
}

/// Proof that a request's signature was checked.
pub struct Verified<P> {
    pub(crate) principal: P,
}

impl<P> Verified<P> {
    pub fn principal(&self) -> &P {
        &self.principal
    }
    pub fn access_key_id(&self) -> &str {
        todo!()
    }
    pub fn payload(&self) -> &Payload {
        todo!()
    }
    /// For [`crate::chunked::Decoder::new`], where the payload's mode signs chunks.
    pub fn chunk_signing(&self) -> Option<ChunkSigning> {
        todo!()
    }
}

/// What `x-amz-content-sha256` said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Payload {
    Sha256([u8; 32]),
    Unsigned,
    StreamingSigned,
    StreamingSignedTrailer,
    StreamingUnsignedTrailer,
}

/// Key, scope, time and seed of a chunk signature chain.
pub struct ChunkSigning {
    _p: (),
}

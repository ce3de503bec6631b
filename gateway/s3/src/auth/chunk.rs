//! The chain of signatures over the chunks of a body.

use std::fmt;

use super::{Scope, Signature, SigningKey};

/// The SHA-256 of nothing: chunks sign an empty set of headers.
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Key, time, scope and the last signature of a chain. Each link signs the one before it, so chunks can be neither
/// exchanged nor left out.
#[derive(Clone)]
pub struct ChunkSigning {
    key: SigningKey,
    timestamp: String,
    scope: Scope,
    previous: Signature,
}

impl ChunkSigning {
    /// Begins a chain at the signature of the request.
    pub(super) fn new(key: SigningKey, timestamp: String, scope: Scope, seed: Signature) -> Self {
        Self { key, timestamp, scope, previous: seed }
    }

    /// Signs the next chunk, whose data has this SHA-256.
    #[must_use]
    pub fn sign_chunk(&mut self, data_sha256: &[u8; 32]) -> Signature {
        let signature = self.chunk_signature(data_sha256);
        self.previous = signature;
        signature
    }

    /// Signs the trailer, whose lines `name:value\n` have this SHA-256.
    #[must_use]
    pub fn sign_trailer(&mut self, trailer_sha256: &[u8; 32]) -> Signature {
        let signature = self.trailer_signature(trailer_sha256);
        self.previous = signature;
        signature
    }

    /// Whether `claimed` signs the next chunk; the chain goes on only where it does.
    #[must_use]
    pub(crate) fn accept_chunk(&mut self, data_sha256: &[u8; 32], claimed: &Signature) -> bool {
        let expected = self.chunk_signature(data_sha256);
        let accepted = expected.matches(claimed);
        if accepted {
            self.previous = expected;
        }
        accepted
    }

    /// Whether `claimed` signs the trailer.
    #[must_use]
    pub(crate) fn accept_trailer(&self, trailer_sha256: &[u8; 32], claimed: &Signature) -> bool {
        self.trailer_signature(trailer_sha256).matches(claimed)
    }

    fn chunk_signature(&self, data_sha256: &[u8; 32]) -> Signature {
        self.link("AWS4-HMAC-SHA256-PAYLOAD", &format!("{EMPTY_SHA256}\n{}", hex::encode(data_sha256)))
    }

    fn trailer_signature(&self, trailer_sha256: &[u8; 32]) -> Signature {
        self.link("AWS4-HMAC-SHA256-TRAILER", &hex::encode(trailer_sha256))
    }

    fn link(&self, algorithm: &str, hashes: &str) -> Signature {
        let Self { key, timestamp, scope, previous } = self;
        key.sign(format!("{algorithm}\n{timestamp}\n{scope}\n{previous}\n{hashes}").as_bytes())
    }
}

impl fmt::Debug for ChunkSigning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChunkSigning({} {})", self.timestamp, self.scope)
    }
}

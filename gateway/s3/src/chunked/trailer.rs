//! What follows the last chunk: nothing, or a checksum and the signature over it.
//!
//! Clients end these lines in `\r\n`, in `\n`, or in both with an empty line between, so lines are split at `\n` and
//! empty ones are skipped; what is on them is judged strictly.

use sha2::{Digest as _, Sha256};

use crate::auth::{ChunkSigning, Signature};
use crate::body::{ChunkMode, Framing};
use crate::checksum::{Algorithm, Checksum};
use crate::error::{ErrorCode, S3Error};

/// The most bytes a trailer may have; ours has two short lines.
const MAX_TRAILER: usize = 1024;
const SIGNATURE: &str = "x-amz-trailer-signature";

/// Collects the trailer; judged once it is whole.
#[derive(Debug)]
pub(super) struct Trailer {
    announced: Option<Algorithm>,
    signed: bool,
    text: Vec<u8>,
}

impl Trailer {
    pub(super) fn new(framing: Framing, announced: Option<Algorithm>) -> Self {
        Self { announced, signed: framing == Framing::Chunked(ChunkMode::SignedTrailer), text: Vec::new() }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), S3Error> {
        if self.text.len() + bytes.len() > MAX_TRAILER {
            return Err(malformed("The trailer is too long."));
        }
        self.text.extend_from_slice(bytes);
        Ok(())
    }

    /// The announced checksum, its signature checked against the end of the chain.
    pub(super) fn finish(self, signing: Option<&ChunkSigning>) -> Result<Option<Checksum>, S3Error> {
        let text = std::str::from_utf8(&self.text).map_err(|_| malformed("The trailer must be ASCII."))?;
        let (mut value, mut signature) = (None, None);
        let mut canonical = String::new();
        for line in text.split('\n').map(|line| line.trim_matches([' ', '\t', '\r'])).filter(|line| !line.is_empty()) {
            let (name, text) = line.split_once(':').ok_or_else(|| malformed("A line of the trailer has no ':'."))?;
            let (name, text) = (name.trim().to_ascii_lowercase(), text.trim());
            let slot = if name == SIGNATURE && self.signed {
                &mut signature
            } else if self.announced.is_some_and(|announced| announced.header() == name) {
                canonical = format!("{name}:{text}\n");
                &mut value
            } else {
                return Err(malformed("The trailer holds a header that was not announced."));
            };
            if slot.replace(text).is_some() {
                return Err(malformed("The trailer holds a header twice."));
            }
        }
        if self.signed {
            let claimed =
                signature.and_then(Signature::parse).ok_or_else(|| malformed("The trailer is not signed."))?;
            let hash = Sha256::digest(canonical.as_bytes()).into();
            if !signing.is_some_and(|signing| signing.accept_trailer(&hash, &claimed)) {
                return Err(S3Error::with_message(
                    ErrorCode::SignatureDoesNotMatch,
                    "The signature of the trailer does not match.",
                ));
            }
        }
        match (self.announced, value) {
            (None, _) => Ok(None),
            (Some(_), None) => Err(malformed("The announced trailer is missing.")),
            (Some(algorithm), Some(text)) => Checksum::from_base64(algorithm, text).map(Some).ok_or_else(|| {
                let header = algorithm.header();
                S3Error::with_message(
                    ErrorCode::InvalidRequest,
                    format!("Value for {header} trailing header is invalid."),
                )
            }),
        }
    }
}

fn malformed(why: &str) -> S3Error {
    S3Error::with_message(ErrorCode::MalformedTrailerError, why)
}

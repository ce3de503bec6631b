//! What a request says about its body, before a byte of it is read (S3.md §3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;

use crate::auth::Payload;
use crate::checksum::{Algorithm, Checksum};
use crate::error::{ErrorCode, S3Error};
use crate::fields::Fields;
use crate::headers::is_aws_chunked;

/// How a body is framed on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Framing {
    /// The body is the content.
    Plain,
    Chunked(ChunkMode),
}

/// The kinds of `aws-chunked`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ChunkMode {
    /// Each chunk is signed.
    Signed,
    /// Each chunk and the trailer are signed.
    SignedTrailer,
    /// Nothing is signed; there may be a trailer.
    Unsigned,
}

/// The length, framing and digests a request declares for its body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BodySpec {
    /// Bytes after decoding, where the client said.
    pub length: Option<u64>,
    pub framing: Framing,
    pub content_md5: Option<[u8; 16]>,
    /// The whole payload's SHA-256, where it was signed.
    pub sha256: Option<[u8; 32]>,
    /// The value of an `x-amz-checksum-*` header.
    pub checksum: Option<Checksum>,
    /// The checksum `x-amz-trailer` announces; its value follows the body.
    pub trailer: Option<Algorithm>,
}

/// What was computed over a body's decoded bytes. MD5 is always needed (it is the ETag), the others where
/// [`BodySpec`] asks for them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Digests {
    pub md5: [u8; 16],
    pub sha256: Option<[u8; 32]>,
    pub checksum: Option<Checksum>,
}

impl BodySpec {
    /// The algorithm to compute over the body, where the client uses one.
    #[must_use]
    pub fn checksum_algorithm(&self) -> Option<Algorithm> {
        self.checksum.map(|checksum| checksum.algorithm()).or(self.trailer)
    }

    /// Compares what was computed with what was declared; `trailer` is what the decoder returned at the end.
    ///
    /// `BadDigest` or `XAmzContentSHA256Mismatch` where they differ. A digest that was declared and not computed is
    /// an `InternalError`: a check is never skipped.
    pub fn verify(&self, computed: &Digests, trailer: Option<&Checksum>) -> Result<(), S3Error> {
        if let Some(declared) = &self.sha256 {
            let computed = computed.sha256.ok_or(ErrorCode::InternalError)?;
            if !bool::from(declared.ct_eq(&computed)) {
                return Err(S3Error::new(ErrorCode::XAmzContentSHA256Mismatch)
                    .field("ClientComputedContentSHA256", hex::encode(declared))
                    .field("S3ComputedContentSHA256", hex::encode(computed)));
            }
        }
        if let Some(declared) = &self.content_md5
            && !bool::from(declared.ct_eq(&computed.md5))
        {
            return Err(S3Error::with_message(
                ErrorCode::BadDigest,
                "The Content-MD5 you specified did not match what we received.",
            )
            .field("ExpectedDigest", STANDARD.encode(declared))
            .field("CalculatedDigest", STANDARD.encode(computed.md5)));
        }
        for declared in self.checksum.iter().chain(trailer) {
            let computed = computed.checksum.ok_or(ErrorCode::InternalError)?;
            if *declared != computed {
                let name = declared.algorithm().name();
                return Err(S3Error::with_message(
                    ErrorCode::BadDigest,
                    format!("The {name} you specified did not match the calculated checksum."),
                ));
            }
        }
        Ok(())
    }
}

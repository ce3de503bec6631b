//! `x-amz-content-sha256`: how the body is covered by the signature.

use std::fmt;

use super::key::parse_lower_hex;
use crate::error::S3Error;
use crate::fields::Fields;

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const STREAMING_SIGNED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const STREAMING_SIGNED_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const STREAMING_UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

/// The five kinds of payload. `Display` is the header's text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Payload {
    /// The SHA-256 of the whole body.
    Sha256([u8; 32]),
    Unsigned,
    /// Chunks, each with its signature.
    StreamingSigned,
    /// The same with a signed trailer.
    StreamingSignedTrailer,
    /// Chunks without signatures, and a trailer.
    StreamingUnsignedTrailer,
}

impl Payload {
    /// Reads the header or its hoisted parameter; `None` where there is neither.
    pub(crate) fn read(fields: &Fields<'_>) -> Result<Option<Self>, S3Error> {
        fields.amz("x-amz-content-sha256")?.map(|text| Self::parse(&text)).transpose()
    }

    fn parse(text: &str) -> Result<Self, S3Error> {
        match text {
            UNSIGNED => Ok(Self::Unsigned),
            STREAMING_SIGNED => Ok(Self::StreamingSigned),
            STREAMING_SIGNED_TRAILER => Ok(Self::StreamingSignedTrailer),
            STREAMING_UNSIGNED_TRAILER => Ok(Self::StreamingUnsignedTrailer),
            other if other.starts_with("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD") => {
                Err(S3Error::not_implemented("Signature Version 4A"))
            }
            other => parse_lower_hex(other).map(Self::Sha256).ok_or_else(|| {
                S3Error::invalid_argument(
                    "x-amz-content-sha256",
                    other,
                    "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, \
                     STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 \
                     value.",
                )
            }),
        }
    }

    /// Whether the signature covers no byte of the body.
    #[must_use]
    pub const fn is_unsigned(&self) -> bool {
        match self {
            Self::Unsigned | Self::StreamingUnsignedTrailer => true,
            Self::Sha256(_) | Self::StreamingSigned | Self::StreamingSignedTrailer => false,
        }
    }

    /// Whether each chunk carries a signature.
    #[must_use]
    pub const fn signs_chunks(&self) -> bool {
        match self {
            Self::StreamingSigned | Self::StreamingSignedTrailer => true,
            Self::Sha256(_) | Self::Unsigned | Self::StreamingUnsignedTrailer => false,
        }
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(hash) => f.write_str(&hex::encode(hash)),
            Self::Unsigned => f.write_str(UNSIGNED),
            Self::StreamingSigned => f.write_str(STREAMING_SIGNED),
            Self::StreamingSignedTrailer => f.write_str(STREAMING_SIGNED_TRAILER),
            Self::StreamingUnsignedTrailer => f.write_str(STREAMING_UNSIGNED_TRAILER),
        }
    }
}

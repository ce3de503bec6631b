//! What a request says about its body, before a byte of it is read (S3.md §3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;

use crate::auth::Payload;
use crate::checksum::{Algorithm, Checksum};
use crate::error::{ErrorCode, S3Error};
use crate::fields::Fields;
use crate::headers::is_aws_chunked;

/// What AWS's SDK for JavaScript writes into a URL that it presigns, for it knows no body then.
const OF_NOTHING: Checksum = Checksum::Crc32([0; 4]);
const PRESIGNED_WITHOUT_BODY: &str = " What you specified is that of an empty body: if a URL was presigned, then without \
    the body that is now sent with it. Presign it without a checksum (`requestChecksumCalculation: \"WHEN_REQUIRED\"`).";

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
    /// Reads what the headers say. Checksum headers are taken as the body's.
    pub(crate) fn read(fields: &Fields<'_>) -> Result<Self, S3Error> {
        let mut spec = Self::read_without_checksum(fields)?;
        spec.checksum = checksum_header(fields, |text| text)?;
        if let (Some(checksum), Some(_)) = (&spec.checksum, spec.trailer) {
            return Err(S3Error::with_message(
                ErrorCode::InvalidRequest,
                format!("Expecting a single x-amz-checksum- header, and {} comes twice.", checksum.algorithm().name()),
            ));
        }
        Ok(spec)
    }

    /// Reads what the headers say, where checksum headers are not of this body but of a whole object.
    pub(crate) fn read_without_checksum(fields: &Fields<'_>) -> Result<Self, S3Error> {
        let payload = Payload::read(fields)?.unwrap_or(Payload::Unsigned);
        let framing = read_framing(fields, payload)?;
        let content_length = content_length(fields)?;
        let decoded_length = fields.number("x-amz-decoded-content-length")?;
        let length = match framing {
            Framing::Chunked(_) => Some(decoded_length.ok_or(ErrorCode::MissingContentLength)?),
            Framing::Plain if decoded_length.is_some() && decoded_length != content_length => {
                return Err(S3Error::with_message(
                    ErrorCode::InvalidRequest,
                    "x-amz-decoded-content-length differs from Content-Length, but the body is not aws-chunked.",
                ));
            }
            Framing::Plain => content_length,
        };
        Ok(Self {
            length,
            framing,
            content_md5: content_md5(fields)?,
            sha256: match payload {
                Payload::Sha256(hash) => Some(hash),
                _ => None,
            },
            checksum: None,
            trailer: read_trailer(fields, framing)?,
        })
    }

    /// AWS refuses a request that names its checksum algorithm and then sends no value of it.
    pub(crate) fn require_announced_checksum(&self, fields: &Fields<'_>) -> Result<(), S3Error> {
        let Some(name) = fields.amz("x-amz-sdk-checksum-algorithm")? else { return Ok(()) };
        if Algorithm::is_not_built(&name) {
            return Err(S3Error::not_implemented(&format!("x-amz-sdk-checksum-algorithm: {name}")));
        }
        let why = match (Algorithm::from_name(&name), self.checksum_algorithm()) {
            (Some(announced), Some(sent)) if announced == sent => return Ok(()),
            (Some(_), None) => {
                "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers \
                 were found."
            }
            _ => "Value for x-amz-sdk-checksum-algorithm header is invalid.",
        };
        Err(S3Error::with_message(ErrorCode::InvalidRequest, why))
    }

    /// AWS refuses some documents that come without a digest.
    pub(crate) fn require_digest(&self, missing: &str) -> Result<(), S3Error> {
        if self.content_md5.is_some() || self.checksum_algorithm().is_some() {
            return Ok(());
        }
        let message = format!("Missing required header for this request: {missing}");
        Err(S3Error::with_message(ErrorCode::InvalidRequest, message))
    }

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
                let mut message = format!("The {name} you specified did not match the calculated checksum.");
                if *declared == OF_NOTHING {
                    message.push_str(PRESIGNED_WITHOUT_BODY);
                }
                return Err(S3Error::with_message(ErrorCode::BadDigest, message));
            }
        }
        Ok(())
    }
}

/// The one `x-amz-checksum-*` header, its text first passed through `clean`. Two are an error, as with AWS.
pub(crate) fn checksum_header(fields: &Fields<'_>, clean: fn(&str) -> &str) -> Result<Option<Checksum>, S3Error> {
    let mut found = None;
    for algorithm in Algorithm::ALL {
        let header = algorithm.header();
        let Some(text) = fields.amz(header)? else { continue };
        let value = Checksum::from_base64(algorithm, clean(&text)).ok_or_else(|| {
            S3Error::with_message(ErrorCode::InvalidRequest, format!("Value for {header} header is invalid."))
        })?;
        if found.replace(value).is_some() {
            return Err(S3Error::with_message(
                ErrorCode::InvalidRequest,
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
            ));
        }
    }
    Ok(found)
}

/// Chunked where the payload's kind says so, or where `Content-Encoding` does and nothing signs the body as a whole:
/// a body under one hash is what was hashed, and `aws-chunked` then only a name to strip.
fn read_framing(fields: &Fields<'_>, payload: Payload) -> Result<Framing, S3Error> {
    let announced = fields.header("content-encoding")?.is_some_and(|text| text.split(',').any(is_aws_chunked));
    Ok(match payload {
        Payload::StreamingSigned => Framing::Chunked(ChunkMode::Signed),
        Payload::StreamingSignedTrailer => Framing::Chunked(ChunkMode::SignedTrailer),
        Payload::StreamingUnsignedTrailer => Framing::Chunked(ChunkMode::Unsigned),
        Payload::Unsigned if announced => Framing::Chunked(ChunkMode::Unsigned),
        Payload::Unsigned | Payload::Sha256(_) => Framing::Plain,
    })
}

fn content_length(fields: &Fields<'_>) -> Result<Option<u64>, S3Error> {
    let Some(text) = fields.header("content-length")? else { return Ok(None) };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let length = text.parse().ok().filter(|_| digits);
    length
        .map(Some)
        .ok_or_else(|| S3Error::invalid_argument("Content-Length", &text, "Content-Length must be a number."))
}

fn content_md5(fields: &Fields<'_>) -> Result<Option<[u8; 16]>, S3Error> {
    let Some(text) = fields.header("content-md5")? else { return Ok(None) };
    let bytes = STANDARD.decode(&text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.map(Some).ok_or_else(|| {
        S3Error::with_message(ErrorCode::InvalidDigest, "The Content-MD5 you specified is not valid.")
            .field("Content-MD5", text)
    })
}

/// `x-amz-trailer`: at most one checksum, and only where the framing has a trailer.
fn read_trailer(fields: &Fields<'_>, framing: Framing) -> Result<Option<Algorithm>, S3Error> {
    let Some(text) = fields.amz("x-amz-trailer")? else { return Ok(None) };
    let why = match framing {
        Framing::Plain | Framing::Chunked(ChunkMode::Signed) => "x-amz-trailer is there, but the body has no trailer.",
        Framing::Chunked(ChunkMode::SignedTrailer | ChunkMode::Unsigned) => {
            let name = text.trim().to_ascii_lowercase();
            if let Some(algorithm) = Algorithm::from_header(&name) {
                return Ok(Some(algorithm));
            }
            if name.strip_prefix("x-amz-checksum-").is_some_and(Algorithm::is_not_built) {
                return Err(S3Error::not_implemented(&format!("x-amz-trailer: {name}")));
            }
            "The value specified in the x-amz-trailer header is not supported"
        }
    };
    Err(S3Error::with_message(ErrorCode::InvalidRequest, why).field("Trailer", text))
}

#[cfg(test)]
mod tests;

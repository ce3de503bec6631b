//! A request's body, decoded and checked.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use cairn_s3::body::{BodySpec, ChunkMode, Digests, Framing};
use cairn_s3::checksum::{Algorithm, Checksum};
use cairn_s3::chunked::Decoder;
use cairn_s3::{ErrorCode, S3Error};

use crate::body::digest::{HashPool, Running, Wanted};
use crate::body::write::Source;
use crate::failure::Failure;
use crate::http::{Inbound, InboundError};

/// Signed chunks are hashed while they are decoded; more than this at a time goes to a blocking thread.
const INLINE: usize = 64 << 10;

/// The content of a body: without its framing, and whole only where every signature of it was right.
pub(crate) struct Payload<'a> {
    inbound: &'a mut Inbound,
    spec: &'a BodySpec,
    pool: HashPool,
    /// None once the body has ended.
    decoder: Option<Decoder>,
    decoded: VecDeque<Bytes>,
    /// The checksum that followed the body.
    trailer: Option<Checksum>,
}

impl<'a> Payload<'a> {
    pub(crate) fn new(inbound: &'a mut Inbound, spec: &'a BodySpec, decoder: Decoder, pool: HashPool) -> Self {
        Self { inbound, spec, pool, decoder: Some(decoder), decoded: VecDeque::new(), trailer: None }
    }

    /// What must be computed over the content; `upload`: what a multipart upload declared for all its parts.
    pub(crate) fn wanted(&self, upload: Option<Algorithm>) -> Wanted {
        Wanted { sha256: self.spec.sha256.is_some(), checksum: self.spec.checksum_algorithm().or(upload) }
    }

    /// Compares the content's digests with everything the client declared. Only after the end of the content.
    pub(crate) fn verify(&self, digests: &Digests) -> Result<(), S3Error> {
        if self.decoder.is_some() {
            return Err(S3Error::new(ErrorCode::InternalError));
        }
        self.spec.verify(digests, self.trailer.as_ref())
    }

    /// The whole content, checked: for the small documents of some requests.
    pub(crate) async fn read_all(&mut self, limit_bytes: usize) -> Result<Bytes, Failure> {
        let mut body = BytesMut::new();
        while let Some(bytes) = self.next().await? {
            if body.len() + bytes.len() > limit_bytes {
                return Err(ErrorCode::MaxMessageLengthExceeded.into());
            }
            body.extend_from_slice(&bytes);
        }
        let body = body.freeze();
        let digests = Running::new(self.wanted(None)).update(self.pool.clone(), [body.clone()].into()).await?;
        self.verify(&digests.finish())?;
        Ok(body)
    }

    async fn decode(&mut self, mut decoder: Decoder, input: Bytes) -> Result<(), Failure> {
        let signed = matches!(self.spec.framing, Framing::Chunked(ChunkMode::Signed | ChunkMode::SignedTrailer));
        if !signed || input.len() <= INLINE {
            decoder.push(input, &mut self.decoded)?;
            self.decoder = Some(decoder);
            return Ok(());
        }
        let length = input.len();
        let job = move || {
            let mut decoded = VecDeque::new();
            decoder.push(input, &mut decoded).map(|()| (decoder, decoded))
        };
        let (decoder, mut decoded) = self.pool.run(length, job).await??;
        self.decoder = Some(decoder);
        self.decoded.append(&mut decoded);
        Ok(())
    }
}

impl Source for Payload<'_> {
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            if let Some(bytes) = self.decoded.pop_front() {
                return Ok(Some(bytes));
            }
            let Some(decoder) = self.decoder.take() else { return Ok(None) };
            match self.inbound.chunk().await {
                Ok(Some(input)) => self.decode(decoder, input).await?,
                Ok(None) => self.trailer = decoder.finish()?,
                Err(InboundError::Stalled) => return Err(ErrorCode::RequestTimeout.into()),
                Err(InboundError::Cut) => return Err(ErrorCode::IncompleteBody.into()),
            }
        }
    }
}

//! skeleton, being filled

use bytes::Bytes;
use std::collections::VecDeque;

use crate::auth::ChunkSigning;
use crate::body::BodySpec;
use crate::checksum::Checksum;
use crate::error::S3Error;

/// Decodes a request body of any framing, incrementally.
pub struct Decoder {
    _p: (),
}

impl Decoder {
    /// `signing`: from [`crate::auth::Verified::chunk_signing`]; an error where a signed mode has none.
    pub fn new(_spec: &BodySpec, _signing: Option<ChunkSigning>) -> Result<Self, S3Error> {
        todo!()
    }
    /// Takes wire bytes; appends the decoded bytes that may be used now.
    pub fn push(&mut self, _input: Bytes, _output: &mut VecDeque<Bytes>) -> Result<(), S3Error> {
        todo!()
    }
    /// The body ended: returns the trailer's checksum (feed it to [`BodySpec::verify`]).
    pub fn finish(self) -> Result<Option<Checksum>, S3Error> {
        todo!()
    }
}

//! The bodies of requests, taken out of their framing piece by piece (S3.md §3).
//!
//! - **F1** The end of a signed chunk leaves only after the chunk's signature was right: a body is whole, and `finish`
//!   content, only where every signature of it was. What leaves before is not verified yet. Tested by
//!   `a_broken_chain_keeps_the_end_of_the_chunk`.
//! - **F2** Exactly as many bytes leave as were declared, or `finish` (or an earlier `push`) is an error: nothing is
//!   ever stored of a truncated body. Tested by `lengths_must_match`.
//! - **F3** Memory is bounded, whatever the size of a chunk: one piece of the wire is held of it; header lines and
//!   trailers are bounded too. Bytes pass through without a copy. Tested by `chunks_of_any_size_stream`.
//! - **F4** After an error every later call is an error.

mod encode;
mod frame;
mod trailer;

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes};
use sha2::{Digest as _, Sha256};

pub use encode::Encoder;

use crate::auth::{ChunkSigning, Signature};
use crate::body::{BodySpec, ChunkMode, Framing};
use crate::checksum::Checksum;
use crate::error::{ErrorCode, S3Error};
use frame::{Frame, LineReader};
use trailer::Trailer;

/// Decodes one body. Feed it what the wire gives, then call [`Decoder::finish`].
#[derive(Debug)]
pub struct Decoder {
    /// Decoded bytes declared; unknown only for plain bodies, which the transport ends.
    declared: Option<u64>,
    /// Decoded bytes announced by chunk headers, or passed through.
    decoded: u64,
    signing: Option<ChunkSigning>,
    state: State,
    trailer: Trailer,
}

#[derive(Debug)]
enum State {
    Plain,
    /// Inside a chunk's header line.
    Header(LineReader),
    /// Inside a chunk's data.
    Data(Chunk),
    /// Before the line end that closes a chunk: how many of its two bytes are still to come.
    End(u8),
    /// After the last chunk.
    Trailer,
    Failed,
}

/// A chunk whose data is coming in.
#[derive(Debug)]
struct Chunk {
    remaining: u64,
    /// Only where chunks are signed.
    check: Option<Check>,
}

#[derive(Debug)]
struct Check {
    hasher: Sha256,
    claimed: Signature,
    /// The last bytes of the chunk, until all of it is checked.
    held: Bytes,
}

impl Decoder {
    /// For a body described by its request. `signing` comes from [`crate::auth::Verified::chunk_signing`]; where the
    /// framing signs its chunks and there is none, the request was not verified as what it is: `AccessDenied`.
    pub fn new(spec: &BodySpec, signing: Option<ChunkSigning>) -> Result<Self, S3Error> {
        let (state, signing) = match spec.framing {
            Framing::Plain => (State::Plain, None),
            Framing::Chunked(ChunkMode::Unsigned) => (State::Header(LineReader::default()), None),
            Framing::Chunked(ChunkMode::Signed | ChunkMode::SignedTrailer) => {
                (State::Header(LineReader::default()), Some(signing.ok_or(ErrorCode::AccessDenied)?))
            }
        };
        let trailer = Trailer::new(spec.framing, spec.trailer);
        Ok(Self { declared: spec.length, decoded: 0, signing, state, trailer })
    }

    /// Takes wire bytes and appends decoded bytes. Of a signed body they are nothing that may be believed before
    /// [`Self::finish`] says that it is whole.
    pub fn push(&mut self, mut input: Bytes, output: &mut VecDeque<Bytes>) -> Result<(), S3Error> {
        while !input.is_empty() {
            if let Err(error) = self.step(&mut input, output) {
                self.state = State::Failed;
                return Err(error);
            }
        }
        Ok(())
    }

    /// The body has ended. Returns the checksum its trailer carried, for [`BodySpec::verify`].
    ///
    /// `IncompleteBody` where bytes are missing, `MalformedTrailerError` where an announced trailer is.
    pub fn finish(self) -> Result<Option<Checksum>, S3Error> {
        let ended = match self.state {
            State::Plain => self.declared.is_none_or(|declared| declared == self.decoded),
            State::Trailer => self.declared == Some(self.decoded),
            State::Header(_) | State::Data(_) | State::End(_) | State::Failed => false,
        };
        if !ended {
            return Err(ErrorCode::IncompleteBody.into());
        }
        self.trailer.finish(self.signing.as_ref())
    }

    /// Consumes at least one byte of a non-empty `input`.
    fn step(&mut self, input: &mut Bytes, output: &mut VecDeque<Bytes>) -> Result<(), S3Error> {
        match &mut self.state {
            State::Plain => {
                let piece = std::mem::take(input);
                self.count(piece.len() as u64)?;
                output.push_back(piece);
            }
            State::Header(line) => {
                if let Some(frame) = line.read(input, self.signing.is_some())? {
                    self.begin_chunk(frame)?;
                }
            }
            State::Data(chunk) => {
                chunk.take(input, output);
                if chunk.remaining == 0 {
                    self.end_chunk(output)?;
                }
            }
            State::End(remaining) => {
                let expected = if *remaining == 2 { b'\r' } else { b'\n' };
                if input.get_u8() != expected {
                    return Err(frame::malformed("A chunk does not end where its header says."));
                }
                *remaining -= 1;
                if *remaining == 0 {
                    self.state = State::Header(LineReader::default());
                }
            }
            State::Trailer => {
                self.trailer.push(input)?;
                input.clear();
            }
            State::Failed => return Err(ErrorCode::IncompleteBody.into()),
        }
        Ok(())
    }

    fn begin_chunk(&mut self, frame: Frame) -> Result<(), S3Error> {
        self.count(frame.size)?;
        let check = frame.signature.map(|claimed| Check { hasher: Sha256::new(), claimed, held: Bytes::new() });
        let mut chunk = Chunk { remaining: frame.size, check };
        if frame.size == 0 {
            self.verify_chunk(&mut chunk)?;
            self.state = State::Trailer;
        } else {
            self.state = State::Data(chunk);
        }
        Ok(())
    }

    /// All data of the current chunk is here: releases its end, if it is what was signed.
    fn end_chunk(&mut self, output: &mut VecDeque<Bytes>) -> Result<(), S3Error> {
        if let State::Data(mut chunk) = std::mem::replace(&mut self.state, State::End(2)) {
            self.verify_chunk(&mut chunk)?;
            output.extend(chunk.check.map(|check| check.held));
        }
        Ok(())
    }

    fn verify_chunk(&mut self, chunk: &mut Chunk) -> Result<(), S3Error> {
        match (&mut chunk.check, &mut self.signing) {
            (None, None) => return Ok(()),
            (Some(check), Some(signing)) => {
                let hash = std::mem::take(&mut check.hasher).finalize().into();
                if signing.accept_chunk(&hash, &check.claimed) {
                    return Ok(());
                }
            }
            (None, Some(_)) | (Some(_), None) => {}
        }
        Err(S3Error::with_message(ErrorCode::SignatureDoesNotMatch, "The signature of a chunk does not match."))
    }

    /// Counts bytes before they are taken: more than declared is an error at once.
    fn count(&mut self, bytes: u64) -> Result<(), S3Error> {
        self.decoded = self.decoded.saturating_add(bytes);
        if self.declared.is_some_and(|declared| self.decoded > declared) {
            return Err(S3Error::with_message(
                ErrorCode::IncompleteBody,
                "The request body is longer than its declared length.",
            ));
        }
        Ok(())
    }
}

impl Chunk {
    fn take(&mut self, input: &mut Bytes, output: &mut VecDeque<Bytes>) {
        let available = usize::try_from(self.remaining).map_or(input.len(), |remaining| remaining.min(input.len()));
        let piece = input.split_to(available);
        self.remaining -= piece.len() as u64;
        if let Some(check) = &mut self.check {
            check.hasher.update(&piece);
            if self.remaining == 0 {
                check.held = piece;
                return;
            }
        }
        output.push_back(piece);
    }
}

#[cfg(test)]
mod tests;

//! The client's half of `aws-chunked`, for tests and load tools.

use sha2::{Digest as _, Sha256};

use crate::auth::ChunkSigning;
use crate::checksum::Checksum;

/// Frames a body: signed where it has a chain, plain where it has none.
#[derive(Debug)]
pub struct Encoder {
    signing: Option<ChunkSigning>,
}

impl Encoder {
    #[must_use]
    pub fn new(signing: Option<ChunkSigning>) -> Self {
        Self { signing }
    }

    /// Appends one chunk. Data must not be empty: an empty chunk ends the body, which [`Self::finish`] does.
    pub fn chunk(&mut self, data: &[u8], out: &mut Vec<u8>) {
        self.header(data, out);
        out.extend_from_slice(data);
        out.extend_from_slice(b"\r\n");
    }

    /// Appends the last chunk and, for a mode that has one, the trailer.
    pub fn finish(mut self, trailer: Option<&Checksum>, out: &mut Vec<u8>) {
        self.header(b"", out);
        if let Some(checksum) = trailer {
            let line = format!("{}:{checksum}", checksum.algorithm().header());
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\r\n");
            if let Some(signing) = &mut self.signing {
                let signature = signing.sign_trailer(&Sha256::digest(format!("{line}\n")).into());
                out.extend_from_slice(format!("x-amz-trailer-signature:{signature}\r\n").as_bytes());
            }
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Frames a whole body in chunks of `chunk_bytes` (at least 1).
    #[must_use]
    pub fn whole(mut self, body: &[u8], chunk_bytes: usize, trailer: Option<&Checksum>) -> Vec<u8> {
        let mut out = Vec::with_capacity(body.len() + 512);
        for data in body.chunks(chunk_bytes.max(1)) {
            self.chunk(data, &mut out);
        }
        self.finish(trailer, &mut out);
        out
    }

    fn header(&mut self, data: &[u8], out: &mut Vec<u8>) {
        let line = match &mut self.signing {
            Some(signing) => {
                let signature = signing.sign_chunk(&Sha256::digest(data).into());
                format!("{:x};chunk-signature={signature}\r\n", data.len())
            }
            None => format!("{:x}\r\n", data.len()),
        };
        out.extend_from_slice(line.as_bytes());
    }
}

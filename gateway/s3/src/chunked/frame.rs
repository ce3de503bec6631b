//! A chunk's header line: `size-in-hex[;chunk-signature=…]\r\n`.

use bytes::{Buf as _, Bytes};

use crate::auth::Signature;
use crate::error::{ErrorCode, S3Error};

/// The longest header line with its end: 16 digits, `;chunk-signature=`, 64 digits, `\r\n`.
const MAX_LINE: usize = 16 + 17 + 64 + 2;

/// What a header line says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) size: u64,
    /// There exactly where chunks are signed.
    pub(super) signature: Option<Signature>,
}

/// Collects one line, which may come in several pieces.
#[derive(Default, Debug)]
pub(super) struct LineReader(Vec<u8>);

impl LineReader {
    /// Takes bytes up to the end of the line; `None` while it has not come.
    pub(super) fn read(&mut self, input: &mut Bytes, signed: bool) -> Result<Option<Frame>, S3Error> {
        let end = input.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(input.len(), |end| end + 1);
        if self.0.len() + taken > MAX_LINE {
            return Err(malformed("A chunk header is too long."));
        }
        self.0.extend_from_slice(&input[..taken]);
        input.advance(taken);
        if end.is_none() {
            return Ok(None);
        }
        let line = self.0.strip_suffix(b"\r\n").ok_or_else(|| malformed("A chunk header must end in CR LF."))?;
        let line = std::str::from_utf8(line).map_err(|_| malformed("A chunk header must be ASCII."))?;
        parse(line, signed).map(Some)
    }
}

fn parse(line: &str, signed: bool) -> Result<Frame, S3Error> {
    let (size, extension) = match line.split_once(';') {
        Some((size, extension)) => (size, Some(extension)),
        None => (line, None),
    };
    if size.is_empty() || size.len() > 16 || !size.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(malformed("A chunk's size must be 1 to 16 hexadecimal digits."));
    }
    let size = u64::from_str_radix(size, 16).map_err(|_| malformed("A chunk's size is out of range."))?;
    let signature = match (extension, signed) {
        (None, false) => None,
        (None, true) => return Err(malformed("A chunk has no signature.")),
        (Some(_), false) => return Err(malformed("A chunk has an extension where nothing is signed.")),
        (Some(extension), true) => {
            let text = extension.strip_prefix("chunk-signature=");
            Some(text.and_then(Signature::parse).ok_or_else(|| malformed("A chunk's signature is malformed."))?)
        }
    };
    Ok(Frame { size, signature })
}

/// The framing itself is wrong.
pub(super) fn malformed(why: &str) -> S3Error {
    S3Error::with_message(ErrorCode::InvalidRequest, why)
}

//! `Range` of a read and `x-amz-copy-source-range` of a part copy.

use crate::error::{ErrorCode, S3Error};

/// One byte range as asked for, before the size is known.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ByteRange {
    /// `bytes=first-` or `bytes=first-last`, both inclusive.
    From { first: u64, last: Option<u64> },
    /// `bytes=-length`: that many bytes from the end.
    Suffix { length: u64 },
}

/// A range inside an object: never empty, never past its end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Span {
    pub offset: u64,
    /// At least 1.
    pub length: u64,
}

impl Span {
    /// The `Content-Range` of a 206.
    #[must_use]
    pub fn content_range(&self, size_bytes: u64) -> String {
        format!("bytes {}-{}/{size_bytes}", self.offset, self.offset + self.length - 1)
    }
}

impl ByteRange {
    /// Reads a `Range` header. `None` where it is not one well-formed range of bytes: RFC 9110 §14.2 has such a
    /// header ignored, and so has AWS, which answers several ranges with the whole object too.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (unit, set) = text.trim().split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = set.trim().split_once('-')?;
        let range = match (first, last) {
            ("", length) => Self::Suffix { length: digits(length)? },
            (first, "") => Self::From { first: digits(first)?, last: None },
            (first, last) => Self::From { first: digits(first)?, last: Some(digits(last)?) },
        };
        match range {
            Self::From { first, last: Some(last) } if last < first => None,
            range => Some(range),
        }
    }

    /// Reads `x-amz-copy-source-range`, where only `bytes=first-last` is allowed: else `InvalidArgument`.
    pub fn parse_copy_source(text: &str) -> Result<Self, S3Error> {
        match text.strip_prefix("bytes=").and_then(|_| Self::parse(text)) {
            Some(range @ Self::From { last: Some(_), .. }) => Ok(range),
            _ => Err(S3Error::invalid_argument(
                "x-amz-copy-source-range",
                text,
                "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are \
                 the zero-based offsets of the first and last bytes to copy",
            )),
        }
    }

    /// The bytes of an object of this size; `InvalidRange` where there are none of them.
    pub fn resolve(&self, size_bytes: u64) -> Result<Span, S3Error> {
        let (offset, end) = match *self {
            Self::From { first, last } => {
                (first, last.map_or(size_bytes, |last| last.saturating_add(1).min(size_bytes)))
            }
            Self::Suffix { length } => (size_bytes.saturating_sub(length), size_bytes),
        };
        if offset >= end {
            return Err(S3Error::invalid_range(&self.to_string(), size_bytes));
        }
        Ok(Span { offset, length: end - offset })
    }

    /// [`Self::resolve`] for a part copy, where a last byte past the source's end is an error as well.
    pub fn resolve_copy_source(&self, size_bytes: u64) -> Result<Span, S3Error> {
        match self {
            Self::From { last: Some(last), .. } if *last >= size_bytes => Err(S3Error::with_message(
                ErrorCode::InvalidRange,
                format!("Range specified is not valid for source object of size: {size_bytes}"),
            )
            .field("ActualObjectSize", size_bytes.to_string())),
            Self::From { .. } | Self::Suffix { .. } => self.resolve(size_bytes),
        }
    }
}

impl std::fmt::Display for ByteRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::From { first, last: Some(last) } => write!(f, "bytes={first}-{last}"),
            Self::From { first, last: None } => write!(f, "bytes={first}-"),
            Self::Suffix { length } => write!(f, "bytes=-{length}"),
        }
    }
}

/// Decimal digits only, with no sign; a number past `u64` counts as its greatest value.
fn digits(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str, size: u64) -> Option<(u64, u64)> {
        ByteRange::parse(text).unwrap().resolve(size).ok().map(|span| (span.offset, span.length))
    }

    #[test]
    fn ranges_resolve_against_the_size() {
        assert_eq!(resolve("bytes=0-0", 10), Some((0, 1)));
        assert_eq!(resolve("bytes=4-7", 10), Some((4, 4)));
        assert_eq!(resolve("bytes=4-70", 10), Some((4, 6)));
        assert_eq!(resolve("bytes=4-", 10), Some((4, 6)));
        assert_eq!(resolve("bytes=-3", 10), Some((7, 3)));
        assert_eq!(resolve("bytes=-30", 10), Some((0, 10)));
        assert_eq!(resolve("bytes=5-99999999999999999999999", 10), Some((5, 5)));
    }

    /// RFC 9110 §14.1.2: its examples, of a representation of 10,000 bytes; and §14.4: how they are answered.
    #[test]
    fn examples_of_rfc_9110() {
        for (text, first, last) in [
            ("bytes=0-499", 0, 499),
            ("bytes=500-999", 500, 999),
            ("bytes=-500", 9500, 9999),
            ("bytes=9500-", 9500, 9999),
            ("bytes=0-0", 0, 0),
            ("bytes=-1", 9999, 9999),
            // "If the representation is shorter than the specified suffix-length, the entire representation is used."
            ("bytes=-10001", 0, 9999),
            // "A last-pos value greater than or equal to the current length": up to its end.
            ("bytes=9999-10000", 9999, 9999),
            // Range units are case-insensitive.
            ("Bytes=0-499", 0, 499),
        ] {
            assert_eq!(resolve(text, 10_000), Some((first, last - first + 1)), "{text}");
        }
        for several in
            ["bytes=0-0,-1", "bytes= 0-999, 4500-5499, -1000", "bytes=500-600,601-999", "bytes=500-700,601-999"]
        {
            assert_eq!(ByteRange::parse(several), None, "answered with the whole object, as AWS does: {several}");
        }
        for (text, answer) in [
            ("bytes=0-499", "bytes 0-499/1234"),
            ("bytes=500-999", "bytes 500-999/1234"),
            ("bytes=500-", "bytes 500-1233/1234"),
            ("bytes=-500", "bytes 734-1233/1234"),
            ("bytes=42-", "bytes 42-1233/1234"),
        ] {
            assert_eq!(ByteRange::parse(text).unwrap().resolve(1234).unwrap().content_range(1234), answer);
        }
    }

    #[test]
    fn unsatisfiable_ranges_are_416_with_the_size() {
        for (text, size) in [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-1", 0), ("bytes=0-0", 0)] {
            let error = ByteRange::parse(text).unwrap().resolve(size).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidRange, "{text}");
            let answer = error.to_response("id", false);
            assert_eq!(answer.headers()["content-range"], format!("bytes */{size}"));
        }
    }

    #[test]
    fn malformed_and_multiple_ranges_are_ignored() {
        for text in
            ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=2-1", "bytes=0-1,3-4", "items=0-1", "bytes=+1-2"]
        {
            assert_eq!(ByteRange::parse(text), None, "{text}");
        }
    }

    #[test]
    fn copy_ranges_are_strict() {
        for text in ["0-2", "bytes=0", "bytes=hello-world", "bytes=0-bar", "bytes=hello-", "bytes=0-2,3-5", "bytes=-3"]
        {
            assert_eq!(ByteRange::parse_copy_source(text).unwrap_err().code(), ErrorCode::InvalidArgument, "{text}");
        }
        let range = ByteRange::parse_copy_source("bytes=0-4").unwrap();
        assert_eq!(range.resolve_copy_source(5).unwrap(), Span { offset: 0, length: 5 });
        assert_eq!(range.resolve_copy_source(4).unwrap_err().code(), ErrorCode::InvalidRange);
    }

    #[test]
    fn content_range_is_inclusive() {
        assert_eq!(Span { offset: 2, length: 3 }.content_range(9), "bytes 2-4/9");
    }
}

//! Percent-encoding as SigV4 and S3 have it: once, and with no normalization.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// Everything but `A-Za-z0-9-._~`.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// [`COMPONENT`], with `/` kept.
const PATH: &AsciiSet = &COMPONENT.remove(b'/');

/// Encodes a name or a value of a query.
#[must_use]
pub fn encode_component(bytes: &[u8]) -> String {
    percent_encode(bytes, COMPONENT).to_string()
}

/// Encodes a path; its slashes stay.
#[must_use]
pub fn encode_path(bytes: &[u8]) -> String {
    percent_encode(bytes, PATH).to_string()
}

/// What cannot stand in a URL at all: the rest of what somebody wrote as one is theirs to choose.
const WRITTEN: &AsciiSet = &percent_encoding::CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Text that was written as a URL or as part of one, made fit for a header; its escapes stay as they are.
#[must_use]
pub(crate) fn encode_written(text: &str) -> String {
    percent_encode(text.as_bytes(), WRITTEN).to_string()
}

/// Decodes once. `None` where a `%` is not followed by two hexadecimal digits.
#[must_use]
pub fn percent_decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        if *byte == b'%' {
            out.push(hex_digit(*bytes.next()?)? << 4 | hex_digit(*bytes.next()?)?);
        } else {
            out.push(*byte);
        }
    }
    Some(out)
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn encoding_round_trips(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(percent_decode(encode_component(&bytes).as_bytes()), Some(bytes.clone()));
            prop_assert_eq!(percent_decode(encode_path(&bytes).as_bytes()), Some(bytes));
        }
    }

    #[test]
    fn only_whole_escapes_are_decoded() {
        assert_eq!(percent_decode(b"a%2Fb%2fc+d"), Some(b"a/b/c+d".to_vec()));
        for bad in ["%", "%2", "%zz", "a%f"] {
            assert_eq!(percent_decode(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn unreserved_bytes_stay() {
        assert_eq!(encode_component("aZ9-._~ /é".as_bytes()), "aZ9-._~%20%2F%C3%A9");
        assert_eq!(encode_path("/a//b c".as_bytes()), "/a//b%20c");
    }
}

//! Fuzz target: names and ids as people and peers write them. How to run and replay it: `gateway/s3/src/fuzz.rs`.

use bolero::{check, produce};
use cairn_testkit::fuzz::{any_text, text};

use crate::{BlockHash, BucketName, NodeName, OpId, ZoneName};

#[test]
fn names_stay_what_they_are() {
    let words =
        &["a", "b-", ".", "0", "10.0.0.1", "-s3alias", "xn--", "bucket", "A", "_", "/", "..", "0123456789abcdef"];
    check!().with_generator((text(words, 8), any_text(4), produce::<[u8; 32]>())).for_each(|(words, any, id)| {
        for text in [words, any] {
            if let Ok(name) = text.parse::<BucketName>() {
                assert_eq!(name.as_str(), text);
                // As AWS has it, and safe in a path, a URL and a host.
                assert!((3..=63).contains(&text.len()) && !text.contains(".."));
                assert!(
                    text.bytes()
                        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
                );
                assert!(text.parse::<std::net::IpAddr>().is_err());
            }
            for name in [
                text.parse::<NodeName>().map(|name| name.to_string()),
                text.parse::<ZoneName>().map(|name| name.to_string()),
            ] {
                assert!(name.is_err() || name.as_deref() == Ok(text) && !text.contains('/') && text.len() <= 64);
            }
            if let Ok(id) = text.parse::<OpId>() {
                assert!(id.to_string().eq_ignore_ascii_case(text));
            }
            assert_eq!(OpId::try_from(text.as_bytes()).is_ok(), text.len() == OpId::LEN);
        }
        assert_eq!(BlockHash(*id).to_string().parse(), Ok(BlockHash(*id)));
    });
}

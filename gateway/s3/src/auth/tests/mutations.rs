//! Changes of one byte of a valid request: an error, or provably the same request.

use http::request::Parts;
use http::{HeaderValue, Uri};
use proptest::prelude::*;

use super::{SIGNER, code, empty_payload, head, presigned_get, then_ms};
use crate::auth::{Authorization, Rules};
use crate::query::Query;
use crate::uri::percent_decode;

/// A request with something in every signed place.
fn rich() -> Parts {
    let headers =
        [("host", "h:1"), ("x-amz-meta-a", "one two"), ("range", "bytes=0-9"), ("content-type", "text/plain")];
    let mut parts = head("GET", "/bucket/a%20b/c+d?prefix=x%2Fy&max-keys=2", &headers);
    SIGNER.sign(&mut parts, empty_payload(), then_ms()).unwrap();
    parts
}

/// What an address means: its decoded path, and its parameters in any order.
fn meaning(uri: &Uri) -> Option<(Vec<u8>, String)> {
    Some((percent_decode(uri.path().as_bytes())?, Query::parse(uri.query()).ok()?.canonical(None)))
}

/// Each byte of a text replaced by each of some others.
fn replaced(text: &[u8], others: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..text.len()).flat_map(move |at| {
        others.iter().filter(move |other| **other != text[at]).map(move |other| {
            let mut changed = text.to_vec();
            changed[at] = *other;
            changed
        })
    })
}

const OTHERS: &[u8] = b"aAzZ019 +%/;=&,.-_~\t?#\"\xc3";

/// Folds spaces as a signature does, so that only real changes count.
fn folded(value: &[u8]) -> Vec<Vec<u8>> {
    let words = value.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    words.map(<[u8]>::to_vec).collect()
}

#[test]
fn a_changed_address_never_verifies() {
    for original in [rich(), presigned_get()] {
        let text = original.uri.to_string();
        for changed in replaced(text.as_bytes(), OTHERS) {
            let Some(uri) = Uri::try_from(changed.as_slice()).ok() else { continue };
            let mut parts = original.clone();
            let same = meaning(&uri) == meaning(&original.uri);
            parts.uri = uri;
            if code(&parts).is_none() {
                assert!(same, "{} verifies as {text}", parts.uri);
            }
        }
    }
}

#[test]
fn a_changed_method_never_verifies() {
    for method in ["PUT", "HEAD", "DELETE", "POST", "get"] {
        let mut parts = rich();
        parts.method = method.parse().unwrap();
        assert!(code(&parts).is_some(), "{method}");
    }
}

#[test]
fn a_changed_header_never_verifies() {
    let original = rich();
    for (name, value) in &original.headers {
        for changed in replaced(value.as_bytes(), OTHERS) {
            let Ok(new) = HeaderValue::from_bytes(&changed) else { continue };
            let mut parts = original.clone();
            parts.headers.insert(name, new);
            // Blanks after a comma of the Authorization header, and folded ones elsewhere, mean nothing.
            let same = folded(&changed) == folded(value.as_bytes());
            assert!(code(&parts).is_some() || same, "{name}: {}", String::from_utf8_lossy(&changed));
        }
    }
}

#[test]
fn a_missing_or_doubled_header_never_verifies() {
    let original = rich();
    for (name, value) in &original.headers {
        let mut parts = original.clone();
        parts.headers.append(name, value.clone());
        assert!(code(&parts).is_some(), "{name} twice");
        let mut parts = original.clone();
        parts.headers.remove(name);
        assert!(code(&parts).is_some(), "no {name}");
    }
}

proptest! {
    #[test]
    fn random_claims_never_panic(header in prop::collection::vec(any::<u8>(), 0..200), query in "\\PC{0,100}", now_ms: u64) {
        let mut parts = rich();
        if let Ok(value) = HeaderValue::from_bytes(&header) {
            parts.headers.insert("authorization", value);
        }
        if let Ok(uri) = format!("/b/k?{query}").parse() {
            parts.uri = uri;
        }
        let rules = Rules { now_ms, region: None, refuse_unsigned_payload: false };
        let _claim = Authorization::parse(&parts, &rules);
    }

    #[test]
    fn near_claims_never_panic(at in 0_usize..400, byte: u8, cut in 0_usize..400) {
        for original in [rich(), presigned_get()] {
            let mut text = original.uri.to_string().into_bytes();
            let place = at % text.len();
            text[place] = byte;
            text.truncate(cut.max(1));
            if let Ok(uri) = Uri::try_from(text.as_slice()) {
                let mut parts = original.clone();
                parts.uri = uri;
                let _judged = code(&parts);
            }
        }
    }
}

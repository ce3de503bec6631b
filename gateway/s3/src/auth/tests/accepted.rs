//! SECURITY §3, what must be accepted, and what signing covers in general.

use http::Uri;
use proptest::prelude::*;

use super::{SIGNER, code, edit, edit_uri, empty_payload, head, judge, rules_at, set, signed_get, then_ms};
use crate::auth::{Payload, SigningKey};
use crate::date::http_date;
use crate::uri::{encode_component, encode_path};

#[test]
fn paths_are_not_normalized() {
    for path in ["/b//a", "/b/./a", "/b/../a", "/b/a//", "/b/%20", "/b/a%2Bb", "/b/a$(1)'!*", "/b/%C3%A9", "/"] {
        let mut parts = head("GET", path, &[("host", "h")]);
        SIGNER.sign(&mut parts, empty_payload(), then_ms()).unwrap();
        assert_eq!(code(&parts), None, "{path}");
    }
    let mut parts = head("GET", "/b/./a", &[("host", "h")]);
    SIGNER.sign(&mut parts, empty_payload(), then_ms()).unwrap();
    edit_uri(&mut parts, "/b/./a", "/b/a");
    assert!(code(&parts).is_some());
}

#[test]
fn repeated_values_are_sorted_and_semicolons_are_characters() {
    let mut parts = head("GET", "/b?prefix=a&prefix=b&x=1;y=2", &[("host", "h")]);
    SIGNER.sign(&mut parts, empty_payload(), then_ms()).unwrap();
    parts.uri = Uri::from_static("/b?x=1;y=2&prefix=b&prefix=a");
    assert_eq!(code(&parts), None);
    parts.uri = Uri::from_static("/b?x=1&y=2&prefix=b&prefix=a");
    assert!(code(&parts).is_some());
}

#[test]
fn inner_spaces_are_folded() {
    let mut parts = head("PUT", "/b/k", &[("host", "h"), ("x-amz-meta-note", "one two")]);
    SIGNER.sign(&mut parts, empty_payload(), then_ms()).unwrap();
    set(&mut parts, "x-amz-meta-note", "  one   two ");
    assert_eq!(code(&parts), None);
    set(&mut parts, "x-amz-meta-note", "onetwo");
    assert!(code(&parts).is_some());
}

#[test]
fn a_date_header_alone_is_enough() {
    // Our signer always writes x-amz-date, so this request is signed by hand.
    let mut dated = head("GET", "/b/k", &[("host", "h"), ("date", &http_date(then_ms()))]);
    set(&mut dated, "x-amz-content-sha256", &empty_payload().to_string());
    let list = ["date", "host", "x-amz-content-sha256"].map(str::to_owned);
    let query = crate::query::Query::default();
    let canonical = crate::auth::canonical::request(&dated, &query, None, &list, &empty_payload().to_string()).unwrap();
    let scope = crate::auth::Scope::new("20130524T000000Z", "us-east-1");
    let text = crate::auth::canonical::string_to_sign("20130524T000000Z", &scope, &canonical);
    let signature = SigningKey::derive(super::SECRET, &scope).sign(text.as_bytes());
    let value = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
        super::ACCESS_KEY,
        list.join(";")
    );
    set(&mut dated, "authorization", &value);
    assert_eq!(code(&dated), None);
}

#[test]
fn blanks_after_commas_are_fine() {
    let mut parts = signed_get();
    edit(&mut parts, ",SignedHeaders", ",  SignedHeaders");
    assert_eq!(code(&parts), None);
}

#[test]
fn content_type_need_not_be_signed() {
    let mut parts = signed_get();
    set(&mut parts, "content-type", "text/plain");
    set(&mut parts, "user-agent", "curl");
    assert_eq!(code(&parts), None);
}

#[test]
fn http2_has_an_authority_and_no_host() {
    let mut parts = head("GET", "http://localhost:9000/b/k", &[]);
    SIGNER.sign(&mut parts, empty_payload(), then_ms()).unwrap();
    assert_eq!(code(&parts), None);
    edit_uri(&mut parts, "localhost", "otherhost");
    assert!(code(&parts).is_some());
}

#[test]
fn every_payload_kind_verifies_and_says_what_it_is() {
    for payload in [
        empty_payload(),
        Payload::Unsigned,
        Payload::StreamingSigned,
        Payload::StreamingSignedTrailer,
        Payload::StreamingUnsignedTrailer,
    ] {
        let mut parts = head("PUT", "/b/k", &[("host", "h")]);
        let chain = SIGNER.sign(&mut parts, payload, then_ms()).unwrap();
        let verified = judge(&parts, &rules_at(then_ms())).unwrap();
        assert_eq!(verified.payload(), &payload);
        assert_eq!(verified.chunk_signing().is_some(), payload.signs_chunks());
        assert_eq!(chain.is_some(), payload.signs_chunks());
    }
}

#[test]
fn keys_do_not_show_themselves() {
    let scope = crate::auth::Scope::new("20130524T000000Z", "us-east-1");
    let key = SigningKey::derive("secret", &scope);
    assert_eq!(format!("{key:?}"), "SigningKey(…)");
}

proptest! {
    #[test]
    fn what_is_signed_verifies(
        key in "\\PC{1,40}",
        query in prop::collection::vec(("[a-zA-Z][a-zA-Z0-9-]{0,8}", "\\PC{0,12}"), 0..4),
        value in "[ -~]{0,30}",
        presigned in any::<bool>(),
    ) {
        let query: Vec<String> = query
            .iter()
            .map(|(name, value)| format!("{name}={}", encode_component(value.as_bytes())))
            .collect();
        let uri = format!("/bucket/{}?{}", encode_path(key.as_bytes()), query.join("&"));
        let mut parts = head("GET", &uri, &[("host", "localhost"), ("x-amz-meta-value", &value)]);
        if presigned {
            SIGNER.presign(&mut parts, 60, then_ms()).unwrap();
        } else {
            SIGNER.sign(&mut parts, Payload::Unsigned, then_ms()).unwrap();
        }
        prop_assert_eq!(code(&parts), None);
    }
}

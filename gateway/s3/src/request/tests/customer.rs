//! SSE-C in requests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

use super::{UPLOAD, code, read};
use crate::CustomerKey;
use crate::error::ErrorCode;

const KEY: [u8; 32] = [7; 32];
const OWN: &str = "x-amz-server-side-encryption-customer";
const SOURCE: &str = "x-amz-copy-source-server-side-encryption-customer";

fn headers(prefix: &str) -> Vec<(String, String)> {
    vec![
        (format!("{prefix}-algorithm"), "AES256".to_owned()),
        (format!("{prefix}-key"), STANDARD.encode(KEY)),
        (format!("{prefix}-key-MD5"), STANDARD.encode(Md5::digest(KEY))),
    ]
}

fn with<'a>(keys: &'a [(String, String)], more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    keys.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(more.iter().copied()).collect()
}

#[test]
fn operations_on_bytes_take_keys_and_others_refuse_them() {
    let (own, source) = (headers(OWN), headers(SOURCE));
    let upload = format!("/bucket/key?uploadId={UPLOAD}");
    let part = format!("{upload}&partNumber=1");
    let empty = ("content-length", "0");
    for (method, uri) in [
        ("PUT", "/bucket/key"),
        ("GET", "/bucket/key"),
        ("HEAD", "/bucket/key"),
        ("POST", "/bucket/key?uploads"),
        ("PUT", part.as_str()),
        ("GET", upload.as_str()),
        ("POST", upload.as_str()),
    ] {
        let request =
            read(method, uri, &with(&own, &[empty])).unwrap_or_else(|error| panic!("{method} {uri}: {error}"));
        assert_eq!(request.customer_key, Some(CustomerKey::new(&KEY)), "{method} {uri}");
        assert_eq!(code(method, uri, &with(&source, &[empty])), Some(ErrorCode::InvalidRequest), "{method} {uri}");
    }
    for (method, uri) in
        [("DELETE", "/bucket/key"), ("GET", "/bucket"), ("DELETE", upload.as_str()), ("PUT", "/bucket")]
    {
        assert_eq!(code(method, uri, &with(&own, &[empty])), Some(ErrorCode::InvalidRequest), "{method} {uri}");
    }
    for uri in ["/bucket/key", part.as_str()] {
        let both: Vec<_> = own.iter().chain(&source).cloned().collect();
        let request = read("PUT", uri, &with(&both, &[empty, ("x-amz-copy-source", "bucket/other")])).unwrap();
        assert_eq!(request.source_customer_key, request.customer_key);
        assert!(request.customer_key.is_some());
    }
}

#[test]
fn keys_in_urls_are_refused() {
    let uri = format!("/bucket/key?X-Amz-Server-Side-Encryption-Customer-Key={}", STANDARD.encode(KEY));
    let error = read("GET", &uri, &[]).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidArgument);
    assert!(!error.to_xml("id").contains(&STANDARD.encode(KEY)));
}

#[test]
fn another_key_is_a_change_of_an_object_copied_onto_itself() {
    let own = headers(OWN);
    let onto_itself = [("content-length", "0"), ("x-amz-copy-source", "bucket/key")];
    assert_eq!(code("PUT", "/bucket/key", &onto_itself), Some(ErrorCode::InvalidRequest));
    assert_eq!(code("PUT", "/bucket/key", &with(&own, &onto_itself)), None);
}

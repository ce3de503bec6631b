//! AWS's test suite of Signature Version 4 (`aws-sig-v4-test-suite`), of another service than S3: our canonical request
//! under its signing key must give its published signatures. Left out is what S3 does otherwise (paths are not
//! normalized) and what HTTP libraries no longer let through (headers over several lines).

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::{EMPTY, head};
use crate::auth::canonical;
use crate::query::Query;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const SCOPE: [&str; 4] = ["20150830", "us-east-1", "service", "aws4_request"];
const TIME: &str = "20150830T123600Z";
const UNRESERVED: &str = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn check(name: &str, method: &str, uri: &str, headers: &[(&str, &str)], payload: &str, expected: &str) {
    let mut all = vec![("Host", "example.amazonaws.com"), ("X-Amz-Date", TIME)];
    all.extend_from_slice(headers);
    let parts = head(method, uri, &all);
    let mut signed: Vec<String> = all.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    signed.sort();
    signed.dedup();
    let query = Query::parse(parts.uri.query()).unwrap();
    let request = canonical::request(&parts, &query, None, &signed, payload).unwrap();
    let hash = hex::encode(Sha256::digest(&request));
    let text = format!("AWS4-HMAC-SHA256\n{TIME}\n{}\n{hash}", SCOPE.join("/"));
    let key = SCOPE.iter().fold(format!("AWS4{SECRET}").into_bytes(), |key, step| hmac(&key, step));
    let signature = hex::encode(hmac(&key, &text));
    assert_eq!(signature, expected, "{name}:\n{}", String::from_utf8_lossy(&request));
}

#[test]
fn published_signatures() {
    let plain = |name, uri: &str, expected| check(name, "GET", uri, &[], EMPTY, expected);
    plain("get-vanilla", "/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
    plain(
        "get-vanilla-empty-query-key",
        "/?Param1=value1",
        "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
    );
    plain(
        "get-vanilla-query-order-key-case",
        "/?Param2=value2&Param1=value1",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    );
    plain(
        "get-vanilla-query-order-value",
        "/?Param1=value2&Param1=value1",
        "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694",
    );
    plain(
        "get-vanilla-query-unreserved",
        &format!("/?{UNRESERVED}={UNRESERVED}"),
        "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
    );
    plain("get-vanilla-utf8-query", "/?ሴ=bar", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04");
    plain("get-utf8", "/ሴ", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85");
    plain(
        "get-unreserved",
        "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
    );
}

#[test]
fn published_signatures_of_headers() {
    let with = |name, headers: &[_], expected| check(name, "GET", "/", headers, EMPTY, expected);
    with(
        "get-header-key-duplicate",
        &[("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")],
        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
    );
    with(
        "get-header-value-order",
        &[("My-Header1", "value4"), ("My-Header1", "value1"), ("My-Header1", "value3"), ("My-Header1", "value2")],
        "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
    );
    with(
        "get-header-value-trim",
        &[("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")],
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    );
}

#[test]
fn published_signatures_of_posts() {
    let vanilla = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b";
    check("post-vanilla", "POST", "/", &[], EMPTY, vanilla);
    let query = "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11";
    check("post-vanilla-query", "POST", "/?Param1=value1", &[], EMPTY, query);
    let body = hex::encode(Sha256::digest("Param1=value1"));
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let expected = "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a";
    check("post-x-www-form-urlencoded", "POST", "/", &form, &body, expected);
}

//! AWS's published examples, what must be refused, what must be accepted, and mutations of valid requests.

mod accepted;
mod interop;
mod mutations;
mod refused;
mod suite;
mod vectors;

use http::request::Parts;
use http::{HeaderName, HeaderValue, Request};

use super::{Authorization, Payload, Rules, Signer, SigningKey, Verified};
use crate::date::parse_amz_date;
use crate::error::{ErrorCode, S3Error};

/// The key of AWS's examples.
const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const SIGNER: Signer<'_> = Signer { access_key_id: ACCESS_KEY, secret: SECRET, region: "us-east-1" };
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The time of AWS's examples.
fn then_ms() -> u64 {
    parse_amz_date("20130524T000000Z").unwrap() * 1000
}

fn rules_at(now_ms: u64) -> Rules<'static> {
    Rules { now_ms, region: None, refuse_unsigned_payload: false }
}

fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

/// A plain signed GET.
fn signed_get() -> Parts {
    let mut parts = head("GET", "/photos/cat.jpg?prefix=a", &[("host", "localhost:9000")]);
    SIGNER.sign(&mut parts, empty_payload(), then_ms()).unwrap();
    parts
}

/// A plain presigned GET, good for an hour.
fn presigned_get() -> Parts {
    let mut parts = head("GET", "/photos/cat.jpg?prefix=a", &[("host", "localhost:9000")]);
    SIGNER.presign(&mut parts, 3600, then_ms()).unwrap();
    parts
}

fn empty_payload() -> Payload {
    let mut hash = [0; 32];
    hex::decode_to_slice(EMPTY, &mut hash).unwrap();
    Payload::Sha256(hash)
}

/// What a gateway does: read the claim, look the key up, verify.
fn judge(parts: &Parts, rules: &Rules<'_>) -> Result<Verified<()>, S3Error> {
    match Authorization::parse(parts, rules)? {
        Authorization::Anonymous => Err(ErrorCode::AccessDenied.into()),
        Authorization::Signed(signed) if signed.access_key_id() != ACCESS_KEY => {
            Err(ErrorCode::InvalidAccessKeyId.into())
        }
        Authorization::Signed(signed) => {
            let key = SigningKey::derive(SECRET, signed.scope());
            signed.verify(&key, ())
        }
    }
}

fn code(parts: &Parts) -> Option<ErrorCode> {
    judge(parts, &rules_at(then_ms())).err().map(|error| error.code())
}

fn set(parts: &mut Parts, name: &'static str, value: &str) {
    parts.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
}

/// Changes the `Authorization` header's text.
fn edit(parts: &mut Parts, from: &str, to: &str) {
    let text = parts.headers["authorization"].to_str().unwrap().to_owned();
    assert!(text.contains(from), "{text} has no {from}");
    set(parts, "authorization", &text.replacen(from, to, 1));
}

/// Changes the address.
fn edit_uri(parts: &mut Parts, from: &str, to: &str) {
    let text = parts.uri.to_string();
    assert!(text.contains(from), "{text} has no {from}");
    parts.uri = text.replacen(from, to, 1).parse().unwrap();
}

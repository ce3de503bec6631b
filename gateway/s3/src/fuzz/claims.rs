//! Signatures: in the header, in the query.

use bolero::{check, produce};
use cairn_testkit::fuzz::text;
use http::HeaderValue;

use super::heads::{METHODS, check_error, one_of};
use super::words::{head, headers};
use crate::auth::{Authorization, Payload, Rules, Signer, SigningKey};
use crate::error::{ErrorCode, S3Error};

const NOW_MS: u64 = 1_369_353_600_000;
const SIGNER: Signer<'_> = Signer { access_key_id: "AKIAIOSFODNN7EXAMPLE", secret: "secret", region: "us-east-1" };
const RULES: Rules<'_> = Rules { now_ms: NOW_MS, region: None, refuse_unsigned_payload: false };

const CLAIM: &[&str] = &[
    "AWS4-HMAC-SHA256 ",
    "AWS ",
    "AWS4-ECDSA-P256-SHA256 ",
    "Credential=",
    "AKIAIOSFODNN7EXAMPLE",
    "/",
    "20130524",
    "us-east-1",
    "s3",
    "aws4_request",
    ",",
    " ",
    "SignedHeaders=",
    "host",
    ";",
    "x-amz-date",
    "x-amz-content-sha256",
    "Signature=",
    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    "=",
    "20130524T000000Z",
    "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request",
    "UNSIGNED-PAYLOAD",
    "3600",
    "é",
];
const QUERY: &[&str] = &[
    "X-Amz-Algorithm=AWS4-HMAC-SHA256",
    "X-Amz-Credential=",
    "AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request",
    "X-Amz-Date=20130524T000000Z",
    "X-Amz-Expires=",
    "3600",
    "604801",
    "X-Amz-SignedHeaders=host",
    "X-Amz-Signature=",
    "&",
    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    "x-amz-date=",
    "%",
    "%20",
    "AWSAccessKeyId=A",
    "a=b",
    "X-Amz-Security-Token=t",
];
const NAMES: &[&str] = &["x-amz-date", "x-amz-content-sha256", "host", "date", "x-amz-meta-a", "range"];

fn judge(parts: &http::request::Parts) -> Result<(), S3Error> {
    match Authorization::parse(parts, &RULES)? {
        Authorization::Anonymous => Err(ErrorCode::AccessDenied.into()),
        Authorization::Signed(signed) => {
            assert!(!signed.access_key_id().is_empty() && signed.access_key_id().len() <= 128);
            signed.verify(&SigningKey::derive("secret", signed.scope()), ()).map(drop)
        }
    }
}

#[test]
fn invented_claims_are_never_proven() {
    let shape = (one_of(METHODS), text(QUERY, 8), text(CLAIM, 16), headers(NAMES, CLAIM, 3), 0_u8..3);
    check!().with_generator(shape).for_each(|(method, query, claim, headers, kind)| {
        let mut headers = headers.clone();
        if *kind > 0 {
            let whole = format!("AWS4-HMAC-SHA256 {claim}");
            headers.push(("authorization", if *kind == 1 { claim } else { &whole }.clone().into_bytes().into()));
        }
        let Some(parts) = head(method, &format!("/bucket/key?{query}"), &headers) else { return };
        match Authorization::parse(&parts, &RULES) {
            Err(error) => check_error(&error),
            Ok(Authorization::Anonymous) => assert_eq!(Authorization::is_in_head(&parts), Ok(false)),
            Ok(Authorization::Signed(_)) => {
                assert_eq!(Authorization::is_in_head(&parts), Ok(true));
                let error = judge(&parts).unwrap_err();
                assert_eq!(error.code(), ErrorCode::SignatureDoesNotMatch);
                check_error(&error);
            }
        }
    });
}

/// What our own signer signs is accepted, whatever is asked; with one byte of it changed it is not.
#[test]
fn signed_requests_verify_and_changed_ones_do_not() {
    let paths = text(&["/", "key", "%2F", "%20", "%C3%A9", "+", "$", "~", "a", "..", "%25"], 6);
    let queries = text(&["&", "=", "a", "acl", "prefix=", "%20", "+", "%2B", "é", "~", "b"], 8);
    let values = headers(&["x-amz-meta-a", "range", "content-type"], &["a", " ", "  ", "b", "é", ",", "\t"], 3);
    let shape = (one_of(METHODS), paths, queries, values, (produce::<bool>(), produce::<u16>(), 1_u8..128));
    check!().with_generator(shape).for_each(|(method, path, query, values, (in_query, at, flip))| {
        let mut headers = vec![("host", b"localhost:9000".to_vec().into())];
        headers.extend(values.iter().cloned());
        let Some(mut parts) = head(method, &format!("/bucket/{path}?{query}"), &headers) else { return };
        let signed = if *in_query {
            SIGNER.presign(&mut parts, 3600, NOW_MS).is_ok()
        } else {
            SIGNER.sign(&mut parts, Payload::Unsigned, NOW_MS).is_ok()
        };
        if !signed {
            return;
        }
        judge(&parts).unwrap_or_else(|error| panic!("{error}"));

        // Of what may be changed, only what still asks for the same may stay good.
        let mut uri = parts.uri.to_string().into_bytes();
        let at = usize::from(*at) % uri.len();
        uri[at] ^= flip;
        let changed = String::from_utf8(uri).ok().and_then(|uri| uri.parse::<http::Uri>().ok());
        if let Some(changed) = changed.filter(|changed| *changed != parts.uri) {
            let before = meaning(&parts.uri);
            let mut forged = parts.clone();
            forged.uri = changed;
            assert!(judge(&forged).is_err() || meaning(&forged.uri) == before, "{} for {}", forged.uri, parts.uri);
        }
        if let Some(value) = parts.headers.get("x-amz-meta-a").cloned() {
            let longer = HeaderValue::from_bytes(&[value.as_bytes(), b"x"].concat()).unwrap();
            parts.headers.insert("x-amz-meta-a", longer);
            assert!(judge(&parts).is_err());
        }
    });
}

/// Path and query, decoded; names and values of the query in order of names.
fn meaning(uri: &http::Uri) -> (Option<Vec<u8>>, Option<String>) {
    let query = crate::query::Query::parse(uri.query()).ok();
    (crate::uri::percent_decode(uri.path().as_bytes()), query.map(|query| query.canonical(None)))
}

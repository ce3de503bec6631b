//! SECURITY §3, the refusals, one by one.

use super::{
    ACCESS_KEY, EMPTY, SECRET, SIGNER, code, edit, edit_uri, empty_payload, head, judge, presigned_get, rules_at, set,
    signed_get, then_ms,
};
use crate::auth::{Authorization, Payload, Rules, SigningKey};
use crate::error::ErrorCode;

const MINUTE_MS: u64 = 60_000;

#[test]
fn host_must_be_signed() {
    let mut parts = signed_get();
    edit(&mut parts, "SignedHeaders=host;", "SignedHeaders=");
    assert_eq!(code(&parts), Some(ErrorCode::AuthorizationHeaderMalformed));
    let mut parts = presigned_get();
    edit_uri(&mut parts, "X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=date");
    assert_eq!(code(&parts), Some(ErrorCode::AuthorizationQueryParametersError));
}

#[test]
fn unsigned_amz_headers_are_refused() {
    for name in ["x-amz-acl", "x-amz-meta-a", "x-amz-copy-source", "x-amz-unheard-of", "x-amz-security-token"] {
        for mut parts in [signed_get(), presigned_get()] {
            set(&mut parts, name, "value");
            let error = judge(&parts, &rules_at(then_ms())).unwrap_err();
            assert_eq!(error.code(), ErrorCode::AccessDenied, "{name}");
            assert_eq!(error.get_field("HeadersNotSigned"), Some(name));
        }
    }
}

#[test]
fn signed_headers_have_no_empty_or_repeated_element() {
    for (from, to) in [
        ("SignedHeaders=host;", "SignedHeaders=host;;"),
        ("SignedHeaders=host;", "SignedHeaders=;host;"),
        ("x-amz-date,", "x-amz-date;,"),
        ("SignedHeaders=host;", "SignedHeaders=host;host;"),
        ("SignedHeaders=host;", "SignedHeaders=Host;"),
        ("SignedHeaders=host;", "SignedHeaders=host; "),
    ] {
        let mut parts = signed_get();
        edit(&mut parts, from, to);
        assert_eq!(code(&parts), Some(ErrorCode::AuthorizationHeaderMalformed), "{to}");
    }
}

#[test]
fn a_signed_header_must_be_there() {
    let mut parts = head("GET", "/b/k", &[("host", "h"), ("range", "bytes=0-1")]);
    SIGNER.sign(&mut parts, empty_payload(), then_ms()).unwrap();
    parts.headers.remove("range");
    assert_eq!(code(&parts), Some(ErrorCode::SignatureDoesNotMatch));
}

#[test]
fn amz_parameters_come_once() {
    for name in ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature", "Content-Sha256"] {
        for same in [name.to_owned(), name.to_ascii_lowercase()] {
            let mut parts = presigned_get();
            let text = parts.uri.to_string();
            parts.uri = format!("{text}&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&X-Amz-{same}=1").parse().unwrap();
            assert_eq!(code(&parts), Some(ErrorCode::AuthorizationQueryParametersError), "{same}");
        }
    }
}

#[test]
fn credentials_come_in_one_place() {
    for parameter in
        ["X-Amz-Signature=abc", "X-Amz-Credential=a", "X-Amz-Algorithm=AWS4-HMAC-SHA256", "x-amz-signature=a"]
    {
        let mut parts = signed_get();
        let text = parts.uri.to_string();
        parts.uri = format!("{text}&{parameter}").parse().unwrap();
        assert_eq!(code(&parts), Some(ErrorCode::InvalidArgument), "{parameter}");
    }
    let mut parts = signed_get();
    let again = parts.headers["authorization"].clone();
    parts.headers.append("authorization", again);
    assert_eq!(code(&parts), Some(ErrorCode::InvalidArgument));
}

#[test]
fn scope_must_be_ours() {
    for (from, to) in [
        ("/20130524/", "/20130523/"),
        ("/s3/", "/ec2/"),
        ("/s3/", "/S3/"),
        ("/aws4_request", "/aws4_reques"),
        ("/aws4_request", "/AWS4_REQUEST"),
        ("/us-east-1/", "//"),
        ("/20130524/us-east-1", "/us-east-1"),
        (ACCESS_KEY, ""),
    ] {
        let mut parts = signed_get();
        edit(&mut parts, from, to);
        assert_eq!(code(&parts), Some(ErrorCode::AuthorizationHeaderMalformed), "{to}");
    }
    let mut parts = presigned_get();
    edit_uri(&mut parts, "%2F20130524", "%2F20130523");
    assert_eq!(code(&parts), Some(ErrorCode::AuthorizationQueryParametersError));
}

#[test]
fn a_configured_region_is_the_only_one() {
    let rules = Rules { region: Some("eu-home"), ..rules_at(then_ms()) };
    let error = judge(&signed_get(), &rules).unwrap_err();
    assert_eq!(error.code(), ErrorCode::AuthorizationHeaderMalformed);
    assert_eq!(error.get_field("Region"), Some("eu-home"));
    let error = judge(&presigned_get(), &rules).unwrap_err();
    assert_eq!(error.code(), ErrorCode::AuthorizationQueryParametersError);
    let ours = Rules { region: Some("us-east-1"), ..rules };
    assert!(judge(&signed_get(), &ours).is_ok());
}

#[test]
fn the_algorithm_is_exact() {
    for (to, expected) in [
        ("aws4-hmac-sha256 ", ErrorCode::InvalidArgument),
        ("AWS4-HMAC-SHA1 ", ErrorCode::InvalidArgument),
        ("AWS4-HMAC-SHA25 ", ErrorCode::InvalidArgument),
        ("AWSX4-HMAC-SHA256 ", ErrorCode::InvalidArgument),
        ("AWSX ", ErrorCode::InvalidArgument),
        ("Bearer ", ErrorCode::InvalidArgument),
        ("", ErrorCode::InvalidArgument),
        ("AWS4-ECDSA-P256-SHA256 ", ErrorCode::NotImplemented),
    ] {
        let mut parts = signed_get();
        edit(&mut parts, "AWS4-HMAC-SHA256 ", to);
        assert_eq!(code(&parts), Some(expected), "{to}");
    }
    let mut parts = presigned_get();
    edit_uri(&mut parts, "AWS4-HMAC-SHA256", "aws4-hmac-sha256");
    assert_eq!(code(&parts), Some(ErrorCode::AuthorizationQueryParametersError));
}

#[test]
fn signature_version_2_is_refused() {
    let header = head("GET", "/b/k", &[("host", "h"), ("authorization", "AWS AKIAIOSFODNN7EXAMPLE:c2lnbmF0dXJl")]);
    assert_eq!(code(&header), Some(ErrorCode::InvalidRequest));
    let query = head("GET", "/b/k?AWSAccessKeyId=A&Expires=1&Signature=s", &[("host", "h")]);
    assert_eq!(code(&query), Some(ErrorCode::InvalidRequest));
}

#[test]
fn clocks_may_differ_by_fifteen_minutes() {
    let judged = |now_ms| judge(&signed_get(), &rules_at(now_ms)).err().map(|error| error.code());
    for (offset, expected) in [(15 * MINUTE_MS, None), (15 * MINUTE_MS + 1000, Some(ErrorCode::RequestTimeTooSkewed))] {
        assert_eq!(judged(then_ms() + offset), expected);
        assert_eq!(judged(then_ms() - offset), expected);
    }
}

#[test]
fn a_request_without_a_readable_date_is_refused() {
    for value in ["", "yesterday", "20130524", "2013-05-24T00:00:00Z"] {
        let mut parts = signed_get();
        set(&mut parts, "x-amz-date", value);
        assert_eq!(code(&parts), Some(ErrorCode::AccessDenied), "{value}");
    }
}

#[test]
fn presigned_requests_expire() {
    let judged = |parts, now_ms| judge(&parts, &rules_at(now_ms)).err().map(|error| error.code());
    assert_eq!(judged(presigned_get(), then_ms() + 60 * MINUTE_MS), None);
    assert_eq!(judged(presigned_get(), then_ms() + 60 * MINUTE_MS + 1), Some(ErrorCode::AccessDenied));
    assert_eq!(judged(presigned_get(), then_ms() - 15 * MINUTE_MS), None);
    assert_eq!(judged(presigned_get(), then_ms() - 15 * MINUTE_MS - 1), Some(ErrorCode::AccessDenied));
    for life in ["0", "604801", "-1", "+60", "1e3", "", "99999999999999999999"] {
        let mut parts = presigned_get();
        edit_uri(&mut parts, "X-Amz-Expires=3600", &format!("X-Amz-Expires={life}"));
        assert_eq!(code(&parts), Some(ErrorCode::AuthorizationQueryParametersError), "{life}");
    }
    let mut week = head("GET", "/b/k", &[("host", "h")]);
    SIGNER.presign(&mut week, 604_800, then_ms()).unwrap();
    assert_eq!(judged(week, then_ms() + 604_800_000), None);
}

#[test]
fn presigned_requests_are_whole() {
    for name in ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"] {
        let mut parts = presigned_get();
        edit_uri(&mut parts, &format!("X-Amz-{name}="), "x-other=");
        assert_eq!(code(&parts), Some(ErrorCode::AuthorizationQueryParametersError), "{name}");
        let mut parts = presigned_get();
        edit_uri(&mut parts, &format!("X-Amz-{name}="), &format!("x-amz-{}=", name.to_ascii_lowercase()));
        assert_eq!(code(&parts), Some(ErrorCode::AuthorizationQueryParametersError), "{name} in lower case");
    }
}

#[test]
fn header_components_come_once_and_whole() {
    for (from, to) in [
        ("Signature=", "Signature=a,Signature="),
        ("Credential=", "Credentials="),
        ("SignedHeaders=", "Signed="),
        (",Signature=", ",Extra=1,Signature="),
        (",Signature=", ";Signature="),
        (",Signature=", ",,Signature="),
        ("Signature=", "Signature=A"),
        ("Signature=", "Signature=zz"),
    ] {
        let mut parts = signed_get();
        edit(&mut parts, from, to);
        assert_eq!(code(&parts), Some(ErrorCode::AuthorizationHeaderMalformed), "{to}");
    }
}

#[test]
fn payload_kinds_are_exact() {
    let upper = EMPTY.to_uppercase();
    for (value, expected) in [
        ("unsigned-payload", ErrorCode::InvalidArgument),
        ("UNSIGNED", ErrorCode::InvalidArgument),
        (upper.as_str(), ErrorCode::InvalidArgument),
        (&EMPTY[1..], ErrorCode::InvalidArgument),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-", ErrorCode::InvalidArgument),
        ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", ErrorCode::NotImplemented),
        ("UNSIGNED-PAYLOAD", ErrorCode::SignatureDoesNotMatch),
        ("", ErrorCode::InvalidRequest),
    ] {
        let mut parts = signed_get();
        set(&mut parts, "x-amz-content-sha256", value);
        assert_eq!(code(&parts), Some(expected), "{value}");
    }
    let mut parts = signed_get();
    parts.headers.remove("x-amz-content-sha256");
    assert_eq!(code(&parts), Some(ErrorCode::InvalidRequest));
}

#[test]
fn unsigned_payloads_can_be_forbidden() {
    let rules = Rules { refuse_unsigned_payload: true, ..rules_at(then_ms()) };
    for payload in [Payload::Unsigned, Payload::StreamingUnsignedTrailer] {
        let mut parts = head("PUT", "/b/k", &[("host", "h")]);
        SIGNER.sign(&mut parts, payload, then_ms()).unwrap();
        assert_eq!(judge(&parts, &rules).unwrap_err().code(), ErrorCode::AccessDenied);
        assert!(judge(&parts, &rules_at(then_ms())).is_ok());
    }
    assert_eq!(judge(&presigned_get(), &rules).unwrap_err().code(), ErrorCode::AccessDenied);
    assert!(judge(&signed_get(), &rules).is_ok());
}

#[test]
fn session_tokens_are_nobodys() {
    let mut parts = head("GET", "/b/k", &[("host", "h"), ("x-amz-security-token", "token")]);
    SIGNER.sign(&mut parts, empty_payload(), then_ms()).unwrap();
    assert_eq!(code(&parts), Some(ErrorCode::InvalidToken));
    let mut parts = head("GET", "/b/k?X-Amz-Security-Token=token", &[("host", "h")]);
    SIGNER.presign(&mut parts, 60, then_ms()).unwrap();
    assert_eq!(code(&parts), Some(ErrorCode::InvalidToken));
}

#[test]
fn another_secret_does_not_verify() {
    let parts = signed_get();
    let Ok(Authorization::Signed(signed)) = Authorization::parse(&parts, &rules_at(then_ms())) else {
        panic!("a signed request is a signed request")
    };
    let key = SigningKey::derive(&SECRET.to_lowercase(), signed.scope());
    let error = signed.verify(&key, ()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::SignatureDoesNotMatch);
    assert!(error.get_field("StringToSign").is_some_and(|text| text.starts_with("AWS4-HMAC-SHA256\n20130524T")));
}

#[test]
fn nobody_is_anonymous_by_accident() {
    let parts = head("GET", "/b/k", &[("host", "h")]);
    assert!(matches!(Authorization::parse(&parts, &rules_at(then_ms())), Ok(Authorization::Anonymous)));
    let parts = head("GET", "/b/k", &[("host", "h"), ("authorization", "")]);
    assert!(Authorization::parse(&parts, &rules_at(then_ms())).is_err());
}

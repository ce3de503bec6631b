//! What is refused, and by which name.

use super::{UPLOAD, code, read};
use crate::error::ErrorCode;
use crate::operation::Operation;

const EMPTY: (&str, &str) = ("content-length", "0");

#[test]
fn every_unbuilt_thing_is_501() {
    let bucket = [
        "PUT abac",
        "PUT accelerate",
        "PUT acl",
        "PUT analytics",
        "PUT encryption",
        "PUT intelligent-tiering",
        "PUT inventory",
        "PUT logging",
        "PUT metrics",
        "PUT notification",
        "PUT object-lock",
        "PUT ownershipControls",
        "PUT policy",
        "PUT publicAccessBlock",
        "PUT replication",
        "PUT requestPayment",
        "PUT tagging",
        "PUT versioning",
        "DELETE policy",
        "DELETE tagging",
        "GET session",
        "POST metadataConfiguration",
        "GET metadataTable",
        "PUT metadataAnnotationTable",
        "PUT something-new",
        "DELETE something-new",
    ];
    let object = [
        "GET annotation&annotationName=a",
        "PUT annotation&annotationName=a",
        "DELETE annotation&annotationName=a",
        "PUT acl",
        "PUT tagging",
        "PUT retention",
        "PUT legal-hold",
        "POST restore",
        "POST select&select-type=2",
        "GET torrent",
        "DELETE tagging",
        "PUT renameObject",
        "PUT encryption",
        "PUT append",
        "PUT something-new",
        "DELETE something-new",
        "POST something-new",
    ];
    let cases = bucket.iter().map(|case| (case, "/bucket")).chain(object.iter().map(|case| (case, "/bucket/key")));
    for (case, path) in cases {
        let (method, query) = case.split_once(' ').unwrap();
        let name = query.split('&').next().unwrap();
        match read(method, &format!("{path}?{query}"), &[EMPTY]) {
            Ok(request) => match request.operation {
                Operation::NotImplemented(text) => assert!(text.contains(name), "{case}: {text}"),
                other => panic!("{case} is {other:?}"),
            },
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::NotImplemented, "{case}");
                assert!(error.message().contains(name), "{case}: {error}");
            }
        }
    }
}

#[test]
fn every_unbuilt_header_is_501_with_its_name() {
    for (name, value) in [
        ("x-amz-acl", "public-read"),
        ("x-amz-grant-read", "id=\"a\""),
        ("x-amz-tagging", "a=b"),
        ("x-amz-server-side-encryption", "AES256"),
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "a"),
        ("x-amz-server-side-encryption-context", "a"),
        ("x-amz-server-side-encryption-bucket-key-enabled", "true"),
        ("x-amz-object-lock-mode", "GOVERNANCE"),
        ("x-amz-object-lock-legal-hold", "ON"),
        ("x-amz-bypass-governance-retention", "true"),
        ("x-amz-bucket-object-lock-enabled", "true"),
        ("x-amz-object-ownership", "ObjectWriter"),
        ("x-amz-storage-class", "GLACIER"),
        ("x-amz-mfa", "a b"),
        ("x-amz-write-offset-bytes", "1"),
        ("x-amz-if-match-size", "1"),
        ("x-amz-checksum-xxhash64", "AAAA"),
        ("x-amz-anything-else", "a"),
    ] {
        let error = read("PUT", "/bucket/key", &[EMPTY, (name, value)]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::NotImplemented, "{name}");
        assert!(error.message().contains(name), "{name}: {error}");
        assert_eq!(code("PUT", "/bucket/key", &[EMPTY, (name, "")]), None, "an empty {name} is no use of it");
    }
    assert_eq!(
        code("PUT", "/bucket/key", &[EMPTY, ("x-amz-storage-class", "FAST")]),
        Some(ErrorCode::InvalidStorageClass)
    );
}

#[test]
fn fields_that_change_nothing_are_accepted() {
    for (name, values, other) in [
        ("x-amz-bucket-namespace", &["global"][..], "account-regional"),
        ("x-amz-object-annotation-directive", &["COPY", "EXCLUDE"], "MOVE"),
        ("x-amz-optional-object-attributes", &["RestoreStatus"], "Tags"),
        ("x-amz-request-payer", &["requester"], "owner"),
        ("x-amz-tagging-directive", &["COPY", "REPLACE"], "MOVE"),
        ("x-amz-transition-default-minimum-object-size", &["all_storage_classes_128K"], "varies_by_storage_class"),
    ] {
        for value in values {
            assert_eq!(code("PUT", "/bucket/key", &[EMPTY, (name, value)]), None, "{name}: {value}");
        }
        assert_eq!(code("PUT", "/bucket/key", &[EMPTY, (name, other)]), Some(ErrorCode::NotImplemented), "{name}");
    }
}

#[test]
fn an_owner_is_expected_of_a_bucket_that_is_there() {
    let owner = ("x-amz-expected-bucket-owner", "123456789012");
    for (method, uri) in [("GET", "/"), ("PUT", "/bucket")] {
        assert_eq!(code(method, uri, &[EMPTY, owner]), Some(ErrorCode::NotImplemented), "{method} {uri}");
    }
    for (method, uri) in [("GET", "/bucket"), ("DELETE", "/bucket"), ("PUT", "/bucket/key")] {
        assert_eq!(code(method, uri, &[EMPTY, owner]), None, "{method} {uri}");
    }
}

#[test]
fn checksums_that_are_not_built_are_501() {
    for name in ["SHA512", "MD5", "XXHASH64", "XXHASH3", "xxhash128"] {
        let trailer = format!("x-amz-checksum-{}", name.to_ascii_lowercase());
        let chunked = [
            ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            ("x-amz-decoded-content-length", "0"),
            ("x-amz-trailer", trailer.as_str()),
        ];
        for (method, uri, headers) in [
            ("PUT", "/bucket/key", &[EMPTY, ("x-amz-sdk-checksum-algorithm", name)][..]),
            ("PUT", "/bucket/key", &[EMPTY, (trailer.as_str(), "AAAA")]),
            ("PUT", "/bucket/key", &chunked),
            ("POST", "/bucket?delete", &[EMPTY, ("x-amz-sdk-checksum-algorithm", name)]),
            ("POST", "/bucket/key?uploads", &[EMPTY, ("x-amz-checksum-algorithm", name)]),
        ] {
            assert_eq!(code(method, uri, headers), Some(ErrorCode::NotImplemented), "{method} {uri} {headers:?}");
        }
    }
}

#[test]
fn preconditions_are_never_dropped() {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let part = format!("/bucket/key?uploadId={UPLOAD}&partNumber=1");
    let upload = format!("/bucket/key?uploadId={UPLOAD}");
    for (method, uri, name, value) in [
        ("PUT", "/bucket/key", "if-none-match", "\"a\""),
        ("PUT", "/bucket/key", "if-unmodified-since", date),
        ("PUT", "/bucket/key", "content-range", "bytes 0-3/10"),
        ("PUT", part.as_str(), "content-range", "bytes 0-3/10"),
        ("PUT", "/bucket/key", "if-modified-since", date),
        ("DELETE", "/bucket/key", "if-none-match", "*"),
        ("DELETE", "/bucket/key", "if-unmodified-since", date),
        ("PUT", part.as_str(), "if-match", "a"),
        ("DELETE", upload.as_str(), "if-match", "a"),
        ("POST", "/bucket/key?uploads", "if-none-match", "*"),
        ("POST", "/bucket?delete", "if-match", "a"),
        ("PUT", "/bucket", "if-none-match", "*"),
        ("DELETE", "/bucket", "if-match", "a"),
    ] {
        assert_eq!(
            code(method, uri, &[EMPTY, (name, value)]),
            Some(ErrorCode::NotImplemented),
            "{method} {uri} {name}"
        );
    }
    assert_eq!(code("GET", "/bucket/key", &[("if-modified-since", "x")]), Some(ErrorCode::InvalidArgument));
    assert_eq!(
        code("PUT", "/bucket/key", &[EMPTY, ("x-amz-copy-source-if-match", "a")]),
        Some(ErrorCode::InvalidRequest)
    );
}

#[test]
fn bad_parameters_are_400() {
    let upload = format!("/bucket/key?uploadId={UPLOAD}");
    let part = |number: &str| format!("{upload}&partNumber={number}");
    for (method, uri, headers, expected) in [
        ("GET", "/bucket?max-keys=x".to_owned(), vec![], ErrorCode::InvalidArgument),
        ("GET", "/bucket?max-keys=-1".into(), vec![], ErrorCode::InvalidArgument),
        ("GET", "/bucket?max-keys=2147483648".into(), vec![], ErrorCode::InvalidArgument),
        ("GET", "/bucket?encoding-type=base64".into(), vec![], ErrorCode::InvalidArgument),
        ("GET", "/bucket?list-type=3".into(), vec![], ErrorCode::InvalidArgument),
        ("GET", "/bucket?versions&version-id-marker=a".into(), vec![], ErrorCode::InvalidArgument),
        ("GET", "/bucket?versions&key-marker=k&version-id-marker=a".into(), vec![], ErrorCode::InvalidArgument),
        ("GET", "/bucket?acl&policy".into(), vec![], ErrorCode::InvalidArgument),
        ("GET", "/bucket?inventory&continuation-token=a".into(), vec![], ErrorCode::InvalidArgument),
        ("POST", "/bucket?delete".into(), vec![EMPTY], ErrorCode::InvalidRequest),
        ("GET", "/?max-buckets=0".into(), vec![], ErrorCode::InvalidArgument),
        ("GET", "/bucket/key?versionId=".into(), vec![], ErrorCode::InvalidArgument),
        ("GET", "/bucket/key?partNumber=0".into(), vec![], ErrorCode::InvalidArgument),
        ("GET", "/bucket/key?partNumber=1".into(), vec![("range", "bytes=0-1")], ErrorCode::InvalidRequest),
        ("GET", "/bucket/key?response-expires=a%0D%0Ab".into(), vec![], ErrorCode::InvalidArgument),
        ("GET", "/bucket/key?attributes".into(), vec![], ErrorCode::InvalidRequest),
        ("GET", "/bucket/key".into(), vec![("x-amz-checksum-mode", "MAYBE")], ErrorCode::InvalidArgument),
        ("PUT", "/bucket/key".into(), vec![], ErrorCode::MissingContentLength),
        ("PUT", "/bucket/key?partNumber=1".into(), vec![EMPTY], ErrorCode::InvalidArgument),
        ("PUT", "/bucket/key?versionId=null".into(), vec![EMPTY], ErrorCode::InvalidArgument),
        ("PUT", "/bucket/key".into(), vec![("content-length", "5368709121")], ErrorCode::EntityTooLarge),
        (
            "PUT",
            "/bucket/key".into(),
            vec![EMPTY, ("x-amz-sdk-checksum-algorithm", "CRC32")],
            ErrorCode::InvalidRequest,
        ),
        ("PUT", part(""), vec![EMPTY], ErrorCode::InvalidArgument),
        ("PUT", part("10001"), vec![EMPTY], ErrorCode::InvalidArgument),
        ("PUT", upload.clone(), vec![EMPTY], ErrorCode::InvalidArgument),
        ("PUT", "/bucket/key?uploadId=none&partNumber=1".into(), vec![EMPTY], ErrorCode::NoSuchUpload),
        ("PUT", "/bucket/key".into(), vec![("x-amz-copy-source", "nothing")], ErrorCode::InvalidArgument),
        ("POST", "/bucket/key?uploads".into(), vec![("x-amz-checksum-algorithm", "MD6")], ErrorCode::InvalidRequest),
        ("POST", "/bucket/key?uploads".into(), vec![("x-amz-checksum-type", "COMPOSITE")], ErrorCode::InvalidRequest),
        (
            "POST",
            "/bucket/key?uploads".into(),
            vec![("x-amz-checksum-algorithm", "SHA1"), ("x-amz-checksum-type", "FULL_OBJECT")],
            ErrorCode::InvalidRequest,
        ),
        ("PATCH", "/bucket/key".into(), vec![], ErrorCode::MethodNotAllowed),
        ("POST", "/bucket".into(), vec![], ErrorCode::PreconditionFailed),
        ("POST", "/bucket".into(), vec![("content-type", "text/plain")], ErrorCode::PreconditionFailed),
        ("POST", "/bucket".into(), vec![("content-type", "multipart/form-data")], ErrorCode::MalformedPOSTRequest),
        ("POST", "/bucket/key".into(), vec![], ErrorCode::MethodNotAllowed),
        ("PUT", "/".into(), vec![], ErrorCode::MethodNotAllowed),
    ] {
        assert_eq!(code(method, &uri, &headers), Some(expected), "{method} {uri} {headers:?}");
    }
}

#[test]
fn metadata_is_bounded() {
    let long = "v".repeat(2048);
    assert_eq!(code("PUT", "/bucket/key", &[EMPTY, ("x-amz-meta-a", &long)]), Some(ErrorCode::MetadataTooLarge));
    assert_eq!(code("PUT", "/bucket/key", &[EMPTY, ("x-amz-meta-a", &long[1..])]), None);
}

#[test]
fn errors_say_what_they_are_about() {
    let error = read("PATCH", "/bucket/a%20b?x=y", &[]).unwrap_err();
    assert_eq!(error.resource(), Some("/bucket/a%20b"));
    let xml = error.to_xml("request-1");
    assert!(xml.ends_with("<Resource>/bucket/a%20b</Resource><RequestId>request-1</RequestId></Error>"), "{xml}");
}

//! Heads of requests to operations.

use bolero::{ValueGenerator as _, check};
use cairn_testkit::fuzz::text;

use super::words::{head, headers};
use crate::error::S3Error;
use crate::form::boundary;
use crate::headers::Metadata;
use crate::operation::{Keys, MAX_BODY_BYTES};
use crate::query::Query;
use crate::uri::encode_path;
use crate::{Addressing, ObjectKey, Operation, parse};
use http::HeaderMap;

pub(super) const METHODS: &[&str] = &["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH"];
const PATHS: &[&str] =
    &["/", "bucket", "/bucket/", "key", "%2F", "%", "2", "%C3%A9", "..", ".", "+", "%00", "é", "a", "%ff"];
const QUERIES: &[&str] = &[
    "&",
    "=",
    "%",
    "%20",
    "+",
    "1",
    "0",
    "a",
    "acl",
    "uploads",
    "uploadId=",
    "0123456789abcdef0123456789abcdef",
    "partNumber=",
    "versionId=",
    "null",
    "list-type=2",
    "prefix=",
    "delimiter=",
    "max-keys=",
    "marker=",
    "continuation-token=",
    "AWE",
    "encoding-type=url",
    "delete",
    "cors",
    "lifecycle",
    "website",
    "location",
    "versions",
    "attributes",
    "tagging",
    "x-amz-meta-a=",
    "x-amz-copy-source=",
    "response-content-type=",
    "X-Amz-Acl=",
    "policy",
    "start-after=",
    "fetch-owner=true",
];
const NAMES: &[&str] = &[
    "host",
    "content-length",
    "content-md5",
    "content-type",
    "content-encoding",
    "range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "if-range",
    "origin",
    "access-control-request-method",
    "access-control-request-headers",
    "cache-control",
    "expires",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-copy-source-range",
    "x-amz-copy-source-if-match",
    "x-amz-decoded-content-length",
    "x-amz-meta-a",
    "x-amz-metadata-directive",
    "x-amz-trailer",
    "x-amz-checksum-crc32",
    "x-amz-checksum-algorithm",
    "x-amz-checksum-type",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-object-attributes",
    "x-amz-max-parts",
    "x-amz-acl",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
    "x-amz-mp-object-size",
    "x-amz-tagging",
    "x-amz-expected-bucket-owner",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-checksum-mode",
];
const VALUES: &[&str] = &[
    "0",
    "1",
    "5368709120",
    "5368709121",
    "localhost:9000",
    "bucket.s3.example.com",
    "s3.example.com",
    "bucket",
    "/",
    "key",
    "bytes=",
    "-",
    "*",
    "\"",
    "d41d8cd98f00b204e9800998ecf8427e",
    "1B2M2Y8AsgTpgAmY7PhCfg==",
    "aws-chunked",
    "gzip",
    ", ",
    "UNSIGNED-PAYLOAD",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "-TRAILER",
    "x-amz-checksum-crc32",
    "AAAAAA==",
    "CRC32",
    "SHA256",
    "COMPOSITE",
    "FULL_OBJECT",
    "REPLACE",
    "COPY",
    "ENABLED",
    "private",
    "STANDARD",
    "GLACIER",
    "ETag",
    "ObjectParts",
    "http://a",
    "GET",
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "é",
    " ",
    "multipart/form-data; boundary=",
    "AES256",
    "%",
    "?versionId=",
    "null",
];

fn addressing() -> Addressing {
    Addressing::new(["s3.example.com".to_owned()])
}

/// One of `choices`.
pub(super) fn one_of(choices: &'static [&'static str]) -> impl bolero::ValueGenerator<Output = &'static str> {
    (0..choices.len()).map_gen(|at| choices[at])
}

#[test]
fn requests_become_operations_or_errors() {
    let shape = (one_of(METHODS), text(PATHS, 6), text(QUERIES, 6), headers(NAMES, VALUES, 5));
    check!().with_generator(shape).for_each(|(method, path, query, headers)| {
        let Some(parts) = head(method, &format!("/{path}?{query}"), headers) else { return };
        match parse(&parts, &addressing()) {
            Err(error) => check_error(&error),
            Ok(request) => {
                assert_eq!(request.resource, parts.uri.path());
                check_operation(&request.operation);
                assert!(parse(&parts, &addressing()).is_ok_and(|again| again == request));
                let named = addressing().bucket(&parts);
                let own = request.operation.bucket();
                assert!(own.is_none() || own == named.as_ref(), "{own:?} is not {named:?}");
            }
        }
    });
}

/// What the signature covers is all that counts: path and query in their canonical form ask for the same.
#[test]
fn the_canonical_form_asks_for_the_same() {
    let shape = (one_of(METHODS), text(PATHS, 6), text(QUERIES, 6), headers(NAMES, VALUES, 3));
    check!().with_generator(shape).for_each(|(method, path, query, headers)| {
        let uri = format!("/bucket/{path}?{query}");
        let Some(parts) = head(method, &uri, headers) else { return };
        let (Ok(request), Ok(query)) = (parse(&parts, &addressing()), Query::parse(parts.uri.query())) else { return };
        let mut names: Vec<&str> = query.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            // Of two values of one name the first counts, and the canonical form sorts them.
            return;
        }
        let raw = crate::uri::percent_decode(parts.uri.path().as_bytes()).unwrap();
        let canonical = format!("{}?{}", encode_path(&raw), query.canonical(None));
        let again = parse(&head(method, &canonical, headers).unwrap(), &addressing()).unwrap();
        assert_eq!(again.operation, request.operation, "{canonical}");
        assert_eq!((again.body, again.customer_key), (request.body, request.customer_key));
    });
}

/// Every error can be sent: as XML that a strict reader reads, and as headers.
pub(super) fn check_error(error: &S3Error) {
    let xml = error.to_xml("request");
    assert!(xml.starts_with("<?xml") && xml.ends_with("</Error>"), "{xml}");
    assert!(xml.bytes().all(|byte| byte >= b' ' || byte == b'\n'), "{xml:?}");
    assert!((300..600).contains(&error.code().status().as_u16()));
}

fn check_operation(operation: &Operation) {
    let row = operation.row();
    assert!(!row.name.is_empty());
    assert!(operation.accesses().count() >= 1);
    if let Keys::One(key) = operation.keys() {
        assert!((1..=ObjectKey::MAX_LEN).contains(&key.as_bytes().len()));
        assert_eq!(operation.key(), Some(key));
    }
    match operation {
        Operation::PutObject(put) => {
            assert!(put.length <= MAX_BODY_BYTES);
            check_metadata(&put.metadata);
        }
        Operation::CreateMultipartUpload(create) => check_metadata(&create.metadata),
        Operation::UploadPart(part) => {
            assert!(part.length <= MAX_BODY_BYTES && (1..=10_000).contains(&part.part_number));
        }
        Operation::UploadPartCopy(part) => assert!((1..=10_000).contains(&part.part_number)),
        Operation::GetObject(read) => assert!(read.range.is_none() || read.part_number.is_none()),
        Operation::ListObjects(list) => {
            assert!(list.max_keys <= 1000 && list.delimiter.as_deref() != Some(""));
        }
        Operation::ListObjectsV2(list) => assert!(list.max_keys <= 1000 && list.delimiter.as_deref() != Some("")),
        Operation::PostForm(form) => {
            let again = boundary(&format!("multipart/form-data; boundary=\"{}\"", form.boundary));
            assert!(again == Ok(Some(form.boundary.clone())) || form.boundary.contains(['"', '\\']));
        }
        _ => {}
    }
}

fn check_metadata(metadata: &Metadata) {
    assert!(metadata.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= Metadata::MAX_BYTES);
    let mut headers = HeaderMap::new();
    metadata.write(&mut headers);
    assert_eq!(headers.len(), metadata.iter().count(), "all of it comes back");
}

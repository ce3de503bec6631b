//! Requests to operations: every operation once, every refusal once, and random requests.

mod customer;
mod refused;
mod routes;

use http::request::Parts;
use proptest::prelude::*;

use super::{Addressing, Request, parse};
use crate::error::{ErrorCode, S3Error};
use crate::operation::Operation;

const UPLOAD: &str = "0123456789abcdef0123456789abcdef";

fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = http::Request::builder().method(method).uri(uri).header("host", "localhost:9000");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn read(method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<Request, S3Error> {
    parse(&head(method, uri, headers), &Addressing::default())
}

fn operation(method: &str, uri: &str, headers: &[(&str, &str)]) -> Operation {
    read(method, uri, headers).unwrap_or_else(|error| panic!("{method} {uri}: {error}")).operation
}

fn code(method: &str, uri: &str, headers: &[(&str, &str)]) -> Option<ErrorCode> {
    read(method, uri, headers).err().map(|error| error.code())
}

const METHODS: [&str; 7] = ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH"];

proptest! {
    #[test]
    fn random_requests_never_panic(
        method in 0_usize..METHODS.len(),
        path in "(/|a|%|2|F|f|\\.|bucket|é){0,30}",
        query in "(&|=|;|%|2|0|uploads|uploadId|acl|prefix|list-type|max-keys|versionId|partNumber|x-amz-acl|a){0,20}",
        header in 0_usize..HEADERS.len(),
        value in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let Ok(uri) = format!("/bucket/{path}?{query}").parse() else { return Ok(()) };
        let mut parts = head(METHODS[method], "/", &[("content-length", "0"), ("origin", "http://a")]);
        parts.uri = uri;
        if let Ok(value) = http::HeaderValue::from_bytes(&value) {
            parts.headers.insert(HEADERS[header], value);
        }
        if let Ok(request) = parse(&parts, &Addressing::default()) {
            let _row = request.operation.row();
            prop_assert!(request.operation.accesses().count() >= 1);
        }
    }
}

const HEADERS: [&str; 16] = [
    "host",
    "content-length",
    "content-md5",
    "content-encoding",
    "range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-range",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-copy-source-range",
    "x-amz-decoded-content-length",
    "x-amz-meta-a",
    "x-amz-trailer",
    "x-amz-checksum-crc32",
];

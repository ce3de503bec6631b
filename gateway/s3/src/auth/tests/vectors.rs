//! The examples of AWS's S3 documentation: "Authenticating Requests", header, query and chunked.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{ACCESS_KEY, EMPTY, SIGNER, empty_payload, head, judge, rules_at, set, then_ms};
use crate::auth::Payload;
use crate::body::BodySpec;
use crate::checksum::Checksum;
use crate::chunked::{Decoder, Encoder};
use crate::fields::Fields;
use crate::query::Query;

const HOST: (&str, &str) = ("host", "examplebucket.s3.amazonaws.com");
const DATE: (&str, &str) = ("x-amz-date", "20130524T000000Z");

fn authorization(signed_headers: &str, signature: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20130524/us-east-1/s3/aws4_request,SignedHeaders={signed_headers},\
         Signature={signature}"
    )
}

/// Both halves: the example's header is accepted, and our signer writes the very same one.
fn check(method: &str, uri: &str, headers: &[(&str, &str)], payload: Payload, expected: &str) {
    let mut parts = head(method, uri, headers);
    SIGNER.sign(&mut parts, payload, then_ms()).unwrap();
    assert_eq!(parts.headers["authorization"], expected);
    assert_eq!(judge(&parts, &rules_at(then_ms())).unwrap().payload(), &payload);
}

#[test]
fn get_object() {
    check(
        "GET",
        "/test.txt",
        &[HOST, ("range", "bytes=0-9"), DATE],
        empty_payload(),
        &authorization(
            "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
    );
}

#[test]
fn put_object() {
    let mut hash = [0; 32];
    hex::decode_to_slice("44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072", &mut hash).unwrap();
    let headers =
        [HOST, ("date", "Fri, 24 May 2013 00:00:00 GMT"), DATE, ("x-amz-storage-class", "REDUCED_REDUNDANCY")];
    check(
        "PUT",
        "/test$file.text",
        &headers,
        Payload::Sha256(hash),
        &authorization(
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
    );
}

#[test]
fn get_bucket_lifecycle() {
    check(
        "GET",
        "/?lifecycle",
        &[HOST, DATE],
        empty_payload(),
        &authorization(
            "host;x-amz-content-sha256;x-amz-date",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
    );
}

#[test]
fn list_objects() {
    check(
        "GET",
        "/?max-keys=2&prefix=J",
        &[HOST, DATE],
        empty_payload(),
        &authorization(
            "host;x-amz-content-sha256;x-amz-date",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    );
}

#[test]
fn presigned_get() {
    let mut parts = head("GET", "/test.txt", &[HOST]);
    SIGNER.presign(&mut parts, 86_400, then_ms()).unwrap();
    assert_eq!(
        parts.uri.to_string(),
        "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
         &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z\
         &X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
         &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    );
    assert!(judge(&parts, &rules_at(then_ms())).is_ok());
}

/// The example body: 65 KiB of `a`, in chunks of 64 KiB.
fn check_chunks(
    payload: Payload,
    headers: &[(&str, &str)],
    seed: &str,
    trailer: Option<Checksum>,
    signatures: &[&str],
) {
    let body = vec![b'a'; 66_560];
    let mut parts = head("PUT", "/examplebucket/chunkObject.txt", headers);
    let chain = SIGNER.sign(&mut parts, payload, then_ms()).unwrap();
    let authorization = parts.headers["authorization"].to_str().unwrap().to_owned();
    assert!(authorization.ends_with(&format!("Signature={seed}")), "{authorization}");

    let wire = Encoder::new(chain).whole(&body, 65_536, trailer.as_ref());
    let text = String::from_utf8_lossy(&wire);
    for signature in signatures {
        assert!(text.contains(&format!("-signature={signature}")) || text.contains(&format!("-signature:{signature}")));
    }

    set(&mut parts, "expect", "100-continue");
    let verified = judge(&parts, &rules_at(then_ms())).unwrap();
    let query = Query::default();
    let spec = BodySpec::read(&Fields::new(&parts.headers, &query)).unwrap();
    let mut decoder = Decoder::new(&spec, verified.chunk_signing()).unwrap();
    let mut pieces = VecDeque::new();
    decoder.push(Bytes::from(wire), &mut pieces).unwrap();
    assert_eq!(decoder.finish(), Ok(trailer));
    assert!(pieces.iter().map(Bytes::len).sum::<usize>() == body.len());
}

#[test]
fn chunked_upload() {
    check_chunks(
        Payload::StreamingSigned,
        &[
            ("host", "s3.amazonaws.com"),
            DATE,
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", "66560"),
            ("content-length", "66824"),
        ],
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        None,
        &[
            "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
            "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
            "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
        ],
    );
}

#[test]
fn chunked_upload_with_trailer() {
    check_chunks(
        Payload::StreamingSignedTrailer,
        &[
            ("host", "s3.amazonaws.com"),
            DATE,
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", "66560"),
            ("x-amz-trailer", "x-amz-checksum-crc32c"),
        ],
        "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
        Checksum::from_base64(crate::checksum::Algorithm::Crc32c, "sOO8/Q=="),
        &[
            "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
            "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
            "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
            "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435",
        ],
    );
}

#[test]
fn the_empty_hash_is_the_empty_hash() {
    assert_eq!(empty_payload().to_string(), EMPTY);
}

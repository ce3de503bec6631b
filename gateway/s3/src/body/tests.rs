use http::HeaderMap;

use super::{BodySpec, ChunkMode, Digests, Framing};
use crate::checksum::{Algorithm, Checksum};
use crate::error::{ErrorCode, S3Error};
use crate::fields::Fields;
use crate::query::Query;

const HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const MD5: &str = "1B2M2Y8AsgTpgAmY7PhCfg==";

fn read(headers: &[(&'static str, &str)]) -> Result<BodySpec, S3Error> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, value.parse().unwrap());
    }
    BodySpec::read(&Fields::new(&map, &Query::default()))
}

fn code(headers: &[(&'static str, &str)]) -> Option<ErrorCode> {
    read(headers).err().map(|error| error.code())
}

#[test]
fn framing_is_announced_by_either_header() {
    const SHA: &str = "x-amz-content-sha256";
    const ENCODING: (&str, &str) = ("content-encoding", "gzip, aws-chunked");
    const DECODED: (&str, &str) = ("x-amz-decoded-content-length", "5");
    const LENGTH: (&str, &str) = ("content-length", "5");
    let unsigned = Framing::Chunked(ChunkMode::Unsigned);
    for (headers, framing) in [
        (vec![(SHA, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"), DECODED], unsigned),
        (vec![(SHA, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), DECODED], Framing::Chunked(ChunkMode::Signed)),
        (
            vec![(SHA, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"), DECODED],
            Framing::Chunked(ChunkMode::SignedTrailer),
        ),
        (vec![(SHA, "UNSIGNED-PAYLOAD"), ENCODING, DECODED], unsigned),
        (vec![ENCODING, DECODED], unsigned),
        (vec![(SHA, "UNSIGNED-PAYLOAD"), LENGTH], Framing::Plain),
        (vec![(SHA, HASH), ENCODING, LENGTH], Framing::Plain),
        (vec![(SHA, HASH), ENCODING, LENGTH, DECODED], Framing::Plain),
    ] {
        let spec = read(&headers).unwrap();
        assert_eq!((spec.framing, spec.length), (framing, Some(5)), "{headers:?}");
    }
}

#[test]
fn lengths_must_be_there_and_agree() {
    let streaming = ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
    assert_eq!(code(&[streaming, ("content-length", "50")]), Some(ErrorCode::MissingContentLength));
    assert_eq!(code(&[("content-encoding", "aws-chunked")]), Some(ErrorCode::MissingContentLength));
    let lie = [("x-amz-content-sha256", HASH), ("content-length", "5"), ("x-amz-decoded-content-length", "4")];
    assert_eq!(code(&lie), Some(ErrorCode::InvalidRequest));
    for bad in ["-1", "+1", "1e3", "0x10", "18446744073709551616", "5,5"] {
        assert_eq!(
            code(&[streaming, ("x-amz-decoded-content-length", bad)]),
            Some(ErrorCode::InvalidArgument),
            "{bad}"
        );
        assert_eq!(code(&[("content-length", bad)]), Some(ErrorCode::InvalidArgument), "{bad}");
    }
    assert_eq!(read(&[]).unwrap().length, None);
}

#[test]
fn digests_must_be_well_formed() {
    assert_eq!(code(&[("content-md5", MD5)]), None);
    for bad in ["x", "AAAA", "d41d8cd98f00b204e9800998ecf8427e"] {
        assert_eq!(code(&[("content-md5", bad)]), Some(ErrorCode::InvalidDigest), "{bad}");
    }
    assert_eq!(code(&[("x-amz-checksum-crc32", "AAAAAA==")]), None);
    assert_eq!(code(&[("x-amz-checksum-crc32", "AAAA")]), Some(ErrorCode::InvalidRequest));
    let two = [("x-amz-checksum-crc32", "AAAAAA=="), ("x-amz-checksum-crc32c", "AAAAAA==")];
    assert_eq!(code(&two), Some(ErrorCode::InvalidRequest));
}

#[test]
fn trailers_belong_to_modes_that_have_them() {
    let decoded = ("x-amz-decoded-content-length", "0");
    let streaming = ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
    let trailer = ("x-amz-trailer", "x-amz-checksum-crc32");
    assert_eq!(read(&[streaming, decoded, trailer]).unwrap().trailer, Some(Algorithm::Crc32));
    assert_eq!(code(&[trailer]), Some(ErrorCode::InvalidRequest));
    let signed = ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    assert_eq!(code(&[signed, decoded, trailer]), Some(ErrorCode::InvalidRequest));
    assert_eq!(code(&[streaming, decoded, ("x-amz-trailer", "x-amz-meta-a")]), Some(ErrorCode::InvalidRequest));
    let both = [streaming, decoded, trailer, ("x-amz-checksum-crc32", "AAAAAA==")];
    assert_eq!(code(&both), Some(ErrorCode::InvalidRequest));
}

#[test]
fn every_declared_digest_is_compared() {
    let plain = read(&[]).unwrap();
    let computed = Digests { md5: [1; 16], sha256: Some([2; 32]), checksum: Some(Checksum::Crc32([3; 4])) };
    let check = |spec: &BodySpec, trailer: Option<Checksum>, computed: &Digests| {
        spec.verify(computed, trailer.as_ref()).err().map(|error| error.code())
    };
    assert_eq!(check(&plain, None, &computed), None);

    let right = BodySpec {
        content_md5: Some([1; 16]),
        sha256: Some([2; 32]),
        checksum: Some(Checksum::Crc32([3; 4])),
        ..plain.clone()
    };
    assert_eq!(check(&right, None, &computed), None);
    let md5 = BodySpec { content_md5: Some([9; 16]), ..plain.clone() };
    assert_eq!(check(&md5, None, &computed), Some(ErrorCode::BadDigest));
    let sha256 = BodySpec { sha256: Some([9; 32]), ..plain.clone() };
    assert_eq!(check(&sha256, None, &computed), Some(ErrorCode::XAmzContentSHA256Mismatch));
    let checksum = BodySpec { checksum: Some(Checksum::Crc32([9; 4])), ..plain.clone() };
    assert_eq!(check(&checksum, None, &computed), Some(ErrorCode::BadDigest));
    assert_eq!(check(&plain, Some(Checksum::Crc32([9; 4])), &computed), Some(ErrorCode::BadDigest));
    assert_eq!(check(&plain, Some(Checksum::Crc32([3; 4])), &computed), None);

    let presigned = BodySpec { checksum: Some(Checksum::Crc32([0; 4])), ..plain.clone() };
    let error = presigned.verify(&computed, None).unwrap_err().to_string();
    assert!(error.contains("presigned"), "the client's developer is told why: {error}");

    let lazy = Digests { sha256: None, checksum: None, ..computed };
    assert_eq!(check(&sha256, None, &lazy), Some(ErrorCode::InternalError));
    assert_eq!(check(&checksum, None, &lazy), Some(ErrorCode::InternalError));
}

//! Every operation, with its parameters.

use super::{UPLOAD, code, operation, read};
use crate::checksum::{Algorithm, Checksum, Kind};
use crate::conditions::ETagMatch;
use crate::error::ErrorCode;
use crate::key::VersionId;
use crate::operation::{Action, BucketSetting, Encoding, Keys, Operation, Resource, Setting, Unset};
use crate::range::ByteRange;

const EMPTY: (&str, &str) = ("content-length", "0");
const MD5: (&str, &str) = ("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==");
const SOURCE: (&str, &str) = ("x-amz-copy-source", "/other-bucket/some%20key");

/// An operation's name, its method, address and headers.
type Case = (&'static str, &'static str, String, Vec<(&'static str, &'static str)>);

/// One request for every operation that is built, with its name.
fn one_of_each() -> Vec<Case> {
    let upload = |rest: &str| format!("/bucket/key?uploadId={UPLOAD}{rest}");
    vec![
        ("ListBuckets", "GET", "/".into(), vec![]),
        ("CreateBucket", "PUT", "/bucket".into(), vec![]),
        ("DeleteBucket", "DELETE", "/bucket/".into(), vec![]),
        ("HeadBucket", "HEAD", "/bucket".into(), vec![]),
        ("GetBucketLocation", "GET", "/bucket?location".into(), vec![]),
        ("ListObjects", "GET", "/bucket".into(), vec![]),
        ("ListObjectsV2", "GET", "/bucket?list-type=2".into(), vec![]),
        ("ListObjectVersions", "GET", "/bucket?versions".into(), vec![]),
        ("ListMultipartUploads", "GET", "/bucket?uploads".into(), vec![]),
        ("DeleteObjects", "POST", "/bucket?delete".into(), vec![MD5]),
        ("PostObject", "POST", "/bucket".into(), vec![("content-type", "multipart/form-data; boundary=a")]),
        ("PutObject", "PUT", "/bucket/key".into(), vec![EMPTY]),
        ("GetObject", "GET", "/bucket/key".into(), vec![]),
        ("HeadObject", "HEAD", "/bucket/key".into(), vec![]),
        ("GetObjectAttributes", "GET", "/bucket/key?attributes".into(), vec![("x-amz-object-attributes", "ETag")]),
        ("DeleteObject", "DELETE", "/bucket/key".into(), vec![]),
        ("CopyObject", "PUT", "/bucket/key".into(), vec![SOURCE]),
        ("CreateMultipartUpload", "POST", "/bucket/key?uploads".into(), vec![]),
        ("UploadPart", "PUT", upload("&partNumber=1"), vec![EMPTY]),
        ("UploadPartCopy", "PUT", upload("&partNumber=1"), vec![SOURCE]),
        ("ListParts", "GET", upload(""), vec![]),
        ("CompleteMultipartUpload", "POST", upload(""), vec![]),
        ("AbortMultipartUpload", "DELETE", upload(""), vec![]),
        ("GetBucketCors", "GET", "/bucket?cors".into(), vec![]),
        ("PutBucketCors", "PUT", "/bucket?cors".into(), vec![MD5]),
        ("DeleteBucketCors", "DELETE", "/bucket?cors".into(), vec![]),
        ("GetBucketLifecycleConfiguration", "GET", "/bucket?lifecycle".into(), vec![]),
        ("PutBucketLifecycleConfiguration", "PUT", "/bucket?lifecycle".into(), vec![MD5]),
        ("DeleteBucketLifecycle", "DELETE", "/bucket?lifecycle".into(), vec![]),
        ("GetBucketWebsite", "GET", "/bucket?website".into(), vec![]),
        ("GetBucketVersioning", "GET", "/bucket?versioning".into(), vec![]),
        (
            "Preflight",
            "OPTIONS",
            "/bucket/key".into(),
            vec![("origin", "http://a"), ("access-control-request-method", "PUT")],
        ),
    ]
}

#[test]
fn every_row_agrees_with_its_operation() {
    for (name, method, uri, headers) in one_of_each() {
        let operation = operation(method, &uri, &headers);
        let row = operation.row();
        assert_eq!((row.name, row.method.as_str()), (name, method));
        if name != "Preflight" {
            assert_eq!(operation.bucket().is_some(), row.resource != Resource::Service, "{name}");
            assert_eq!(operation.key().is_some(), row.resource == Resource::Object, "{name}");
        }
        let access = operation.accesses().next().unwrap();
        assert_eq!((access.action, access.bucket, access.keys), (row.action, operation.bucket(), operation.keys()));
    }
}

#[test]
fn copies_need_their_source() {
    for (name, method, uri, headers) in one_of_each() {
        let operation = operation(method, &uri, &headers);
        let accesses: Vec<_> = operation.accesses().collect();
        if name.contains("Copy") {
            assert_eq!(accesses.len(), 2, "{name}");
            assert_eq!(accesses[0].action, Action::Write);
            assert_eq!(accesses[1].action, Action::Read);
            assert_eq!(accesses[1].bucket.unwrap().as_str(), "other-bucket");
            assert!(matches!(accesses[1].keys, Keys::One(key) if key.as_str() == "some key"));
        } else {
            assert_eq!(accesses.len(), 1, "{name}");
        }
    }
}

#[test]
fn every_operation_says_which_keys_it_touches() {
    for (name, method, uri, headers) in one_of_each() {
        let operation = operation(method, &uri, &headers);
        let row = operation.row();
        match operation.keys() {
            Keys::One(key) => assert_eq!((row.resource, key.as_str()), (Resource::Object, "key"), "{name}"),
            Keys::Prefixed(prefix) => assert_eq!((row.action, prefix), (Action::List, ""), "{name}"),
            Keys::InBody => assert_eq!((row.action, row.resource), (Action::Write, Resource::Bucket), "{name}"),
            // A setting is nothing that a right on some keys could reach.
            Keys::All => assert_eq!(row.action, Action::Owner, "{name}"),
            Keys::None => assert!(!matches!(row.action, Action::Write | Action::Owner), "{name}"),
        }
    }
    for (uri, prefix) in [("/bucket?prefix=a/b", "a/b"), ("/bucket?list-type=2&prefix=a/b", "a/b")] {
        assert_eq!(operation("GET", uri, &[]).keys(), Keys::Prefixed(prefix));
    }
    for uri in ["/bucket?versions&prefix=a", "/bucket?uploads&prefix=a"] {
        assert_eq!(operation("GET", uri, &[]).keys(), Keys::Prefixed("a"));
    }
}

#[test]
fn nothing_that_writes_is_open_to_readers() {
    for (name, method, uri, headers) in one_of_each() {
        let operation = operation(method, &uri, &headers);
        let action = operation.row().action;
        let writes = matches!(method, "PUT" | "POST" | "DELETE");
        let may = matches!(action, Action::Write | Action::Owner | Action::CreateBucket);
        let owners_read = matches!(operation, Operation::GetSetting(_));
        assert_eq!(writes, may && name != "ListParts" && !owners_read, "{name}");
    }
}

#[test]
fn unset_configurations_are_reads() {
    let bucket = [
        "accelerate",
        "acl",
        "analytics",
        "encryption",
        "intelligent-tiering",
        "inventory",
        "logging",
        "metrics",
        "notification",
        "object-lock",
        "ownershipControls",
        "policy",
        "policyStatus",
        "publicAccessBlock",
        "replication",
        "requestPayment",
        "tagging",
        "versioning",
    ];
    let ids = ["analytics&id=1", "intelligent-tiering&id=1", "inventory&id=1", "metrics&id=1"];
    let object = ["acl", "tagging", "retention", "legal-hold"];
    let uris = bucket.iter().chain(&ids).map(|name| format!("/bucket?{name}"));
    let uris = uris.chain(object.iter().map(|name| format!("/bucket/key?{name}")));
    let mut seen = Vec::new();
    let owner = crate::answer::Owner { id: "me".into(), display_name: "me".into() };
    for uri in uris {
        let Operation::ReadUnset(read) = operation("GET", &uri, &[]) else { panic!("{uri}") };
        assert_eq!(read.key.is_some(), uri.contains("/key"));
        match read.answer(&owner) {
            Ok(xml) => assert!(xml.contains("xmlns="), "{uri}"),
            Err(error) => assert_eq!(error.code().status(), 404, "{uri}"),
        }
        seen.push(read.what);
    }
    assert!(Unset::ALL.iter().all(|what| seen.contains(what)));
}

#[test]
fn put_keeps_what_it_is_given() {
    let headers = [
        ("content-length", "5"),
        ("content-type", "text/plain"),
        ("content-encoding", "aws-chunked,gzip"),
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("x-amz-decoded-content-length", "3"),
        ("x-amz-trailer", "x-amz-checksum-crc32c"),
        ("x-amz-sdk-checksum-algorithm", "CRC32C"),
        ("cache-control", "no-cache"),
        ("expires", "whenever"),
        ("x-amz-meta-Note", " spaced "),
        ("x-amz-meta-empty", ""),
        ("x-amz-website-redirect-location", "/other"),
        ("if-none-match", "*"),
        ("x-amz-acl", "private"),
        ("x-amz-storage-class", "STANDARD"),
        ("x-amz-tagging", ""),
        ("x-amz-expected-bucket-owner", "me"),
    ];
    let request = read("PUT", "/bucket/a%2Fb?x-id=PutObject", &headers).unwrap();
    assert_eq!(request.expected_bucket_owner.as_deref(), Some("me"));
    let Operation::PutObject(put) = request.operation else { panic!() };
    assert_eq!(put.object.key.as_str(), "a/b");
    assert_eq!(put.length, 3);
    assert_eq!(put.body.trailer, Some(Algorithm::Crc32c));
    assert_eq!(put.headers.content_encoding.as_deref(), Some("gzip"));
    assert_eq!(put.headers.content_type.as_deref(), Some("text/plain"));
    assert_eq!(put.headers.expires.as_deref(), Some("whenever"));
    assert_eq!(put.headers.website_redirect_location.as_deref(), Some("/other"));
    assert_eq!(put.metadata.iter().collect::<Vec<_>>(), [("empty", ""), ("note", "spaced")]);
    assert!(put.conditions.if_absent && put.conditions.if_match.is_none());
}

#[test]
fn hoisted_fields_count() {
    let uri = "/bucket/key?x-amz-meta-a=b&x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32";
    let Operation::PutObject(put) = operation("PUT", uri, &[EMPTY]) else { panic!() };
    assert_eq!(put.metadata.get("a"), Some("b"));
    assert_eq!(put.body.checksum, Some(Checksum::Crc32([0; 4])));
    assert_eq!(
        code("PUT", "/bucket/key?x-amz-server-side-encryption=AES256", &[EMPTY]),
        Some(ErrorCode::NotImplemented)
    );
}

#[test]
fn get_reads_ranges_conditions_and_overrides() {
    let headers = [
        ("range", "bytes=1-2"),
        ("if-match", "\"a\""),
        ("if-none-match", "b"),
        ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("x-amz-checksum-mode", "ENABLED"),
    ];
    let uri = "/bucket/key?versionId=null&response-content-type=text%2Fhtml&response-cache-control=a%20b";
    let Operation::GetObject(get) = operation("GET", uri, &headers) else { panic!() };
    assert_eq!(get.range, Some(ByteRange::From { first: 1, last: Some(2) }));
    assert_eq!(get.version, Some(VersionId::Null));
    assert_eq!(get.conditions.if_match, Some(ETagMatch::OneOf(vec!["a".into()])));
    assert_eq!(get.conditions.if_modified_since, Some(784_111_777));
    assert!(get.with_checksum);
    assert_eq!(get.overrides.content_type.as_deref(), Some("text/html"));
    assert_eq!(get.overrides.cache_control.as_deref(), Some("a b"));
    let Operation::HeadObject(head) = operation("HEAD", "/bucket/key?partNumber=7", &[]) else { panic!() };
    assert_eq!(head.part_number, Some(7));
}

#[test]
fn listings_read_their_parameters() {
    let uri = "/bucket?list-type=2&prefix=a+b%2B&delimiter=%2F&start-after=s&max-keys=5000&fetch-owner=true&encoding-type=url";
    let Operation::ListObjectsV2(list) = operation("GET", uri, &[]) else { panic!() };
    assert_eq!((list.prefix.as_str(), list.delimiter.as_deref()), ("a b+", Some("/")));
    assert_eq!((list.max_keys, list.fetch_owner, list.encoding), (1000, true, Some(Encoding::Url)));
    assert_eq!(list.resume_after(), Ok(Some("s".into())));
    let token = crate::token::encode("t");
    let uri = format!("/bucket?list-type=2&start-after=s&continuation-token={token}");
    let Operation::ListObjectsV2(list) = operation("GET", &uri, &[]) else { panic!() };
    assert_eq!(list.resume_after(), Ok(Some("t".into())));
    let Operation::ListObjectsV2(list) = operation("GET", "/bucket?list-type=2&continuation-token=", &[]) else {
        panic!()
    };
    assert_eq!((list.continuation_token.as_deref(), list.resume_after()), (Some(""), Ok(None)));
    let Operation::ListObjects(list) = operation("GET", "/bucket?delimiter=&max-keys=0&marker=m", &[]) else {
        panic!()
    };
    assert_eq!((list.delimiter, list.max_keys, list.marker.as_str()), (None, 0, "m"));
    let uri = "/bucket?uploads&upload-id-marker=u";
    let Operation::ListMultipartUploads(list) = operation("GET", uri, &[]) else { panic!() };
    assert_eq!(list.upload_id_marker, None);
    let uri = "/?max-buckets=3&prefix=p&continuation-token=";
    let Operation::ListBuckets(list) = operation("GET", uri, &[]) else { panic!() };
    assert_eq!((list.max_buckets, list.prefix.as_deref(), list.resume_after()), (3, Some("p"), Ok(None)));
}

#[test]
fn uploads_read_their_parameters() {
    let checksum = [("x-amz-checksum-algorithm", "crc64nvme"), ("content-type", "a/b")];
    let Operation::CreateMultipartUpload(create) = operation("POST", "/bucket/key?uploads", &checksum) else {
        panic!()
    };
    assert_eq!(create.checksum, Some((Algorithm::Crc64Nvme, Kind::FullObject)));
    let uri = format!("/bucket/key?uploadId={UPLOAD}&partNumber=10000");
    let headers = [SOURCE, ("x-amz-copy-source-range", "bytes=0-9"), ("x-amz-copy-source-if-match", "a")];
    let Operation::UploadPartCopy(part) = operation("PUT", &uri, &headers) else { panic!() };
    assert_eq!((part.part_number, part.upload.to_string().as_str()), (10_000, UPLOAD));
    assert_eq!(part.source_range, Some(ByteRange::From { first: 0, last: Some(9) }));
    assert!(part.source_conditions.if_match.is_some());
    let headers = [
        ("x-amz-checksum-crc32", "AAAAAA==-3"),
        ("x-amz-checksum-type", "COMPOSITE"),
        ("x-amz-mp-object-size", "9"),
        ("if-match", "x"),
    ];
    let uri = format!("/bucket/key?uploadId={UPLOAD}");
    let request = read("POST", &uri, &headers).unwrap();
    assert_eq!(request.body.checksum, None, "it is of the object, not of the part list");
    let Operation::CompleteMultipartUpload(complete) = request.operation else { panic!() };
    assert_eq!(complete.checksum, Some(Checksum::Crc32([0; 4])));
    assert_eq!((complete.checksum_kind, complete.object_size), (Some(Kind::Composite), Some(9)));
    assert!(!complete.conditions.is_empty());
}

#[test]
fn copies_read_their_directive() {
    let headers = [SOURCE, ("x-amz-metadata-directive", "REPLACE"), ("x-amz-meta-a", "b"), ("content-type", "c/d")];
    let Operation::CopyObject(copy) = operation("PUT", "/bucket/key", &headers) else { panic!() };
    let (kept, metadata) = copy.replace.unwrap();
    assert_eq!((kept.content_type.as_deref(), metadata.get("a")), (Some("c/d"), Some("b")));
    let Operation::CopyObject(copy) = operation("PUT", "/bucket/key", &[SOURCE, ("x-amz-meta-a", "b")]) else {
        panic!()
    };
    assert_eq!(copy.replace, None);
    let itself = ("x-amz-copy-source", "bucket/key");
    assert_eq!(code("PUT", "/bucket/key", &[itself]), Some(ErrorCode::InvalidRequest));
    assert_eq!(code("PUT", "/bucket/key", &[itself, ("x-amz-metadata-directive", "REPLACE")]), None);
    assert_eq!(code("PUT", "/bucket/key", &[itself, ("x-amz-storage-class", "STANDARD")]), None);
}

#[test]
fn deletes_take_a_tag_and_the_null_version() {
    let Operation::DeleteObject(delete) = operation("DELETE", "/bucket/key?versionId=null", &[("if-match", "\"a\"")])
    else {
        panic!()
    };
    assert_eq!(delete.version, Some(VersionId::Null));
    assert!(!delete.conditions.is_empty());
}

#[test]
fn preflights_need_an_origin_and_a_method() {
    let method = ("access-control-request-method", "PUT");
    assert_eq!(code("OPTIONS", "/bucket/key", &[method]), Some(ErrorCode::BadRequest));
    assert_eq!(code("OPTIONS", "/bucket/key", &[("origin", "http://a")]), Some(ErrorCode::BadRequest));
    let headers = [method, ("origin", "http://a"), ("access-control-request-headers", "X-Amz-Date, content-type")];
    let Operation::Preflight(preflight) = operation("OPTIONS", "/bucket/key", &headers) else { panic!() };
    assert_eq!(preflight.headers, ["x-amz-date", "content-type"]);
}

#[test]
fn settings_are_written_with_a_checksum_only() {
    for (headers, expected) in [
        (vec![MD5], None),
        (vec![("x-amz-checksum-crc32", "AAAAAA==")], None),
        (vec![EMPTY], Some(ErrorCode::InvalidRequest)),
        (vec![("content-md5", "short")], Some(ErrorCode::InvalidDigest)),
        (vec![MD5, ("if-match", "a")], Some(ErrorCode::NotImplemented)),
    ] {
        assert_eq!(code("PUT", "/bucket?cors", &headers), expected, "{headers:?}");
    }
    for setting in Setting::ALL {
        let uri = format!("/bucket?{}", setting.sub_resource());
        let of = BucketSetting { bucket: "bucket".parse().unwrap(), setting };
        assert_eq!(operation("GET", &uri, &[]), Operation::GetSetting(of.clone()));
        assert_eq!(operation("GET", &uri, &[]).row().action, Action::Owner);
        assert_eq!(operation("DELETE", &uri, &[]), Operation::DeleteSetting(of));
    }
}

use super::{ListingV1, ListingV2, ObjectEntry, UploadEntry, UploadListing, VersionListing};
use crate::answer::Owner;
use crate::checksum::{Algorithm, Kind};
use crate::etag::ETag;
use crate::operation::{Encoding, ListMultipartUploads, ListObjectVersions, ListObjects, ListObjectsV2};

const NAMESPACE: &str = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";
const TAG: &str = "&quot;00000000000000000000000000000000&quot;";

fn me() -> Owner {
    Owner { id: "me".into(), display_name: "Me".into() }
}

fn entry(key: &str) -> ObjectEntry {
    ObjectEntry {
        key: key.into(),
        modified_unix_ms: 1_000,
        etag: ETag::Md5([0; 16]),
        size_bytes: 5,
        checksum: None,
        owner: None,
    }
}

fn body(xml: &str) -> &str {
    xml.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").unwrap()
}

#[test]
fn v1_echoes_what_was_asked() {
    let request = ListObjects {
        bucket: "photos".parse().unwrap(),
        prefix: "p<".into(),
        delimiter: Some("/".into()),
        marker: "m".into(),
        max_keys: 2,
        encoding: None,
    };
    let mut listing = ListingV1 {
        request: &request,
        objects: vec![ObjectEntry { owner: Some(me()), ..entry("p<a") }],
        common_prefixes: vec!["p<b/".into()],
        is_truncated: true,
        next_marker: Some("p<b/".into()),
    };
    let expected = format!(
        "<ListBucketResult {NAMESPACE}><Name>photos</Name><Prefix>p&lt;</Prefix><Marker>m</Marker>\
         <NextMarker>p&lt;b/</NextMarker><MaxKeys>2</MaxKeys><Delimiter>/</Delimiter><IsTruncated>true</IsTruncated>\
         <Contents><Key>p&lt;a</Key><LastModified>1970-01-01T00:00:01.000Z</LastModified><ETag>{TAG}</ETag>\
         <Size>5</Size><Owner><ID>me</ID><DisplayName>Me</DisplayName></Owner><StorageClass>STANDARD</StorageClass>\
         </Contents><CommonPrefixes><Prefix>p&lt;b/</Prefix></CommonPrefixes></ListBucketResult>"
    );
    assert_eq!(body(&listing.to_xml()), expected);
    listing.is_truncated = false;
    assert!(!listing.to_xml().contains("NextMarker"));
}

#[test]
fn next_marker_needs_a_delimiter() {
    let request = ListObjects {
        bucket: "photos".parse().unwrap(),
        prefix: String::new(),
        delimiter: None,
        marker: String::new(),
        max_keys: 0,
        encoding: None,
    };
    let listing = ListingV1 {
        request: &request,
        objects: Vec::new(),
        common_prefixes: Vec::new(),
        is_truncated: true,
        next_marker: Some("x".into()),
    };
    let xml = listing.to_xml();
    assert!(
        xml.contains("<Prefix></Prefix><Marker></Marker><MaxKeys>0</MaxKeys><IsTruncated>true</IsTruncated>"),
        "{xml}"
    );
}

#[test]
fn v2_encodes_only_when_asked() {
    let mut request = ListObjectsV2 {
        bucket: "photos".parse().unwrap(),
        prefix: "a b/".into(),
        delimiter: Some("/".into()),
        start_after: Some("a b/c+".into()),
        continuation_token: Some("old".into()),
        max_keys: 1000,
        fetch_owner: false,
        encoding: Some(Encoding::Url),
    };
    let listing = |request: &ListObjectsV2| {
        ListingV2 {
            request,
            objects: vec![ObjectEntry { checksum: Some((Algorithm::Crc32, Kind::FullObject)), ..entry("a b/\u{1}é") }],
            common_prefixes: vec!["a b/d/".into()],
            next_token: Some("new".into()),
        }
        .to_xml()
    };
    let expected = format!(
        "<ListBucketResult {NAMESPACE}><Name>photos</Name><Prefix>a%20b/</Prefix>\
         <ContinuationToken>old</ContinuationToken><NextContinuationToken>new</NextContinuationToken>\
         <StartAfter>a%20b/c%2B</StartAfter><KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys><Delimiter>/</Delimiter>\
         <EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>\
         <Contents><Key>a%20b/%01%C3%A9</Key><LastModified>1970-01-01T00:00:01.000Z</LastModified><ETag>{TAG}</ETag>\
         <ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>5</Size>\
         <StorageClass>STANDARD</StorageClass></Contents>\
         <CommonPrefixes><Prefix>a%20b/d/</Prefix></CommonPrefixes></ListBucketResult>"
    );
    assert_eq!(body(&listing(&request)), expected);
    request.encoding = None;
    let plain = listing(&request);
    assert!(plain.contains("<Key>a b/&#x1;é</Key>") && plain.contains("<StartAfter>a b/c+</StartAfter>"));
    assert!(!plain.contains("EncodingType"));
}

#[test]
fn versions_are_null_and_latest() {
    let request = ListObjectVersions {
        bucket: "photos".parse().unwrap(),
        prefix: String::new(),
        delimiter: None,
        key_marker: "k".into(),
        version_id_marker: Some("null".into()),
        max_keys: 1,
        encoding: None,
    };
    let listing = VersionListing {
        request: &request,
        objects: vec![ObjectEntry { owner: Some(me()), ..entry("l") }],
        common_prefixes: Vec::new(),
        next_key_marker: Some("l".into()),
    };
    let expected = format!(
        "<ListVersionsResult {NAMESPACE}><Name>photos</Name><Prefix></Prefix><KeyMarker>k</KeyMarker>\
         <VersionIdMarker>null</VersionIdMarker><NextKeyMarker>l</NextKeyMarker>\
         <NextVersionIdMarker>null</NextVersionIdMarker><MaxKeys>1</MaxKeys><IsTruncated>true</IsTruncated>\
         <Version><Key>l</Key><VersionId>null</VersionId><IsLatest>true</IsLatest>\
         <LastModified>1970-01-01T00:00:01.000Z</LastModified><ETag>{TAG}</ETag><Size>5</Size>\
         <Owner><ID>me</ID><DisplayName>Me</DisplayName></Owner><StorageClass>STANDARD</StorageClass></Version>\
         </ListVersionsResult>"
    );
    assert_eq!(body(&listing.to_xml()), expected);
}

#[test]
fn uploads() {
    let request = ListMultipartUploads {
        bucket: "photos".parse().unwrap(),
        prefix: "p".into(),
        delimiter: None,
        key_marker: String::new(),
        upload_id_marker: None,
        max_uploads: 1,
        encoding: None,
    };
    let upload = UploadEntry {
        key: "p1".into(),
        upload_id: "u1".into(),
        initiator: me(),
        owner: me(),
        initiated_unix_ms: 1_000,
        checksum: Some((Algorithm::Sha256, Kind::Composite)),
    };
    let listing = UploadListing {
        request: &request,
        uploads: vec![upload],
        common_prefixes: Vec::new(),
        next: Some(("p1".into(), "u1".into())),
    };
    let owner = "<ID>me</ID><DisplayName>Me</DisplayName>";
    let expected = format!(
        "<ListMultipartUploadsResult {NAMESPACE}><Bucket>photos</Bucket><KeyMarker></KeyMarker>\
         <UploadIdMarker></UploadIdMarker><NextKeyMarker>p1</NextKeyMarker><NextUploadIdMarker>u1</NextUploadIdMarker>\
         <Prefix>p</Prefix><MaxUploads>1</MaxUploads><IsTruncated>true</IsTruncated>\
         <Upload><Key>p1</Key><UploadId>u1</UploadId><Initiator>{owner}</Initiator><Owner>{owner}</Owner>\
         <StorageClass>STANDARD</StorageClass><Initiated>1970-01-01T00:00:01.000Z</Initiated>\
         <ChecksumAlgorithm>SHA256</ChecksumAlgorithm><ChecksumType>COMPOSITE</ChecksumType></Upload>\
         </ListMultipartUploadsResult>"
    );
    assert_eq!(body(&listing.to_xml()), expected);
}

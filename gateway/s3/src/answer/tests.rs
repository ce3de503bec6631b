//! Every document with nothing in it, as AWS's references and samples show it, and every document with the worst of keys.

use super::*;
use crate::checksum::{Algorithm, Checksum, Kind, ObjectChecksum};
use crate::cors::{Cors, RuleText};
use crate::error::{ErrorCode, S3Error};
use crate::etag::ETag;
use crate::form::PostedObject;
use crate::lifecycle::{Expiration, Lifecycle, Rule};
use crate::operation::{
    ListMultipartUploads, ListObjectVersions, ListObjects, ListObjectsV2, ListParts, ObjectAttributes, ObjectRef,
    ReadUnset, Unset,
};
use crate::website::{KeyChange, Pages, Redirect, Website};
use crate::{ObjectKey, website};

const NAMESPACE: &str = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";
/// Every character that markup, white space handling or a parser could take away.
const NASTY: &str = "a<b>&\"']]>\t\r\n\u{1}\u{7f}é\u{2028}猫";
/// As it must stand in a document: XML 1.0 §2.4 and §2.11.
const ESCAPED: &str = "a&lt;b&gt;&amp;&quot;']]&gt;&#x9;&#xD;&#xA;&#x1;\u{7f}é\u{2028}猫";

fn tag() -> ETag {
    ETag::Md5([0; 16])
}

fn nobody() -> Owner {
    Owner { id: String::new(), display_name: String::new() }
}

fn v1(text: &str) -> ListObjects {
    ListObjects {
        bucket: "photos".parse().unwrap(),
        prefix: text.into(),
        delimiter: None,
        marker: text.into(),
        max_keys: 1000,
        encoding: None,
    }
}

fn v2(text: &str) -> ListObjectsV2 {
    ListObjectsV2 {
        bucket: "photos".parse().unwrap(),
        prefix: text.into(),
        delimiter: None,
        start_after: None,
        continuation_token: None,
        max_keys: 1000,
        fetch_owner: false,
        encoding: None,
    }
}

fn versions(text: &str) -> ListObjectVersions {
    ListObjectVersions {
        bucket: "photos".parse().unwrap(),
        prefix: text.into(),
        delimiter: None,
        key_marker: text.into(),
        version_id_marker: None,
        max_keys: 1000,
        encoding: None,
    }
}

fn uploads(text: &str) -> ListMultipartUploads {
    ListMultipartUploads {
        bucket: "photos".parse().unwrap(),
        prefix: text.into(),
        delimiter: None,
        key_marker: text.into(),
        upload_id_marker: None,
        max_uploads: 1000,
        encoding: None,
    }
}

fn object(key: &str) -> ObjectRef {
    ObjectRef { bucket: "photos".parse().unwrap(), key: ObjectKey::new(key.into()).unwrap() }
}

fn parts(key: &str) -> ListParts {
    ListParts {
        object: object(key),
        upload: cairn_types::UploadId([1; 16]),
        part_number_marker: 0,
        max_parts: 1000,
        encoding: None,
    }
}

fn entry(key: &str) -> ObjectEntry {
    ObjectEntry { key: key.into(), modified_unix_ms: 0, etag: tag(), size_bytes: 0, checksum: None, owner: None }
}

/// Root, what must stand in it, and the document.
#[test]
fn documents_of_nothing() {
    let (v1, v2, versions, uploads, parts) = (v1(""), v2(""), versions(""), uploads(""), parts("k"));
    let (objects, common_prefixes) = (Vec::new(), Vec::new());
    let listing = ListingV1 {
        request: &v1,
        objects: objects.clone(),
        common_prefixes: common_prefixes.clone(),
        is_truncated: false,
        next_marker: None,
    };
    let second = ListingV2 {
        request: &v2,
        objects: objects.clone(),
        common_prefixes: common_prefixes.clone(),
        next_token: None,
    };
    let third =
        VersionListing { request: &versions, objects, common_prefixes: common_prefixes.clone(), next_key_marker: None };
    let open = UploadListing { request: &uploads, uploads: Vec::new(), common_prefixes, next: None };
    let of_parts = PartListing {
        request: &parts,
        parts: Vec::new(),
        is_truncated: false,
        initiator: nobody(),
        owner: nobody(),
        checksum: None,
    };
    let nobody_xml = "<ID></ID><DisplayName></DisplayName>";
    let buckets = BucketList { owner: nobody(), buckets: Vec::new(), prefix: None, next_token: None };
    let unset = |what| ReadUnset { bucket: "photos".parse().unwrap(), key: None, version: None, what };
    let answer = |what| unset(what).answer(&nobody()).unwrap();
    let page = Pages { index_suffix: "index.html".into(), error_key: None, rules: Vec::new() };
    let rule = Rule { id: "r".into(), expiration: Some(Expiration::Days(1)), ..Rule::default() };
    let cors =
        RuleText { allowed_origins: vec!["*".into()], allowed_methods: vec!["GET".into()], ..RuleText::default() };
    for (root, inside, xml) in [
        (
            "ListBucketResult",
            "<Name>photos</Name><Prefix></Prefix><Marker></Marker><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>"
                .to_owned(),
            listing.to_xml(),
        ),
        (
            "ListBucketResult",
            "<Name>photos</Name><Prefix></Prefix><KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys>\
             <IsTruncated>false</IsTruncated>"
                .to_owned(),
            second.to_xml(),
        ),
        (
            "ListVersionsResult",
            "<Name>photos</Name><Prefix></Prefix><KeyMarker></KeyMarker><VersionIdMarker></VersionIdMarker>\
             <MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>"
                .to_owned(),
            third.to_xml(),
        ),
        (
            "ListMultipartUploadsResult",
            "<Bucket>photos</Bucket><KeyMarker></KeyMarker><UploadIdMarker></UploadIdMarker><Prefix></Prefix>\
             <MaxUploads>1000</MaxUploads><IsTruncated>false</IsTruncated>"
                .to_owned(),
            open.to_xml(),
        ),
        (
            "ListPartsResult",
            format!(
                "<Bucket>photos</Bucket><Key>k</Key><UploadId>01010101010101010101010101010101</UploadId>\
                 <PartNumberMarker>0</PartNumberMarker><NextPartNumberMarker>0</NextPartNumberMarker>\
                 <MaxParts>1000</MaxParts><IsTruncated>false</IsTruncated><Initiator>{nobody_xml}</Initiator>\
                 <Owner>{nobody_xml}</Owner><StorageClass>STANDARD</StorageClass>"
            ),
            of_parts.to_xml(),
        ),
        ("ListAllMyBucketsResult", format!("<Owner>{nobody_xml}</Owner><Buckets></Buckets>"), buckets.to_xml()),
        ("LocationConstraint", String::new(), location_constraint("us-east-1")),
        ("DeleteResult", String::new(), DeletedObjects { entries: Vec::new(), quiet: false }.to_xml()),
        (
            "GetObjectAttributesResponse",
            String::new(),
            Attributes {
                wanted: ObjectAttributes { checksum: true, object_parts: true, ..ObjectAttributes::default() },
                etag: tag(),
                size_bytes: 0,
                checksum: None,
                parts: None,
            }
            .to_xml(),
        ),
        (
            "CopyObjectResult",
            "<LastModified>1970-01-01T00:00:00.000Z</LastModified><ETag>&quot;00000000000000000000000000000000&quot;</ETag>"
                .to_owned(),
            CopyResult { etag: tag(), modified_unix_ms: 0, checksum: None }.to_xml(),
        ),
        (
            "CORSConfiguration",
            "<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>".to_owned(),
            Cors::new(vec![cors]).unwrap().to_xml(),
        ),
        (
            "LifecycleConfiguration",
            "<Rule><ID>r</ID><Filter></Filter><Status>Disabled</Status><Expiration><Days>1</Days></Expiration></Rule>"
                .to_owned(),
            Lifecycle { rules: vec![rule] }.to_xml(),
        ),
        (
            "WebsiteConfiguration",
            "<IndexDocument><Suffix>index.html</Suffix></IndexDocument>".to_owned(),
            Website::Pages(page).to_xml(),
        ),
        ("VersioningConfiguration", String::new(), answer(Unset::BucketVersioning)),
        ("NotificationConfiguration", String::new(), answer(Unset::BucketNotification)),
        ("BucketLoggingStatus", String::new(), answer(Unset::BucketLogging)),
        ("AccelerateConfiguration", String::new(), answer(Unset::BucketAccelerate)),
        ("Tagging", "<TagSet></TagSet>".to_owned(), answer(Unset::ObjectTagging)),
        ("RequestPaymentConfiguration", "<Payer>BucketOwner</Payer>".to_owned(), answer(Unset::BucketRequestPayment)),
        (
            "AccessControlPolicy",
            format!(
                "<Owner>{nobody_xml}</Owner><AccessControlList><Grant><Grantee \
                 xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\">{nobody_xml}</Grantee>\
                 <Permission>FULL_CONTROL</Permission></Grant></AccessControlList>"
            ),
            answer(Unset::BucketAcl),
        ),
    ] {
        let declaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
        assert_eq!(xml, format!("{declaration}<{root} {NAMESPACE}>{inside}</{root}>"));
    }
    assert_eq!(
        S3Error::from(ErrorCode::NoSuchKey).to_xml(""),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code>\
         <Message>The specified key does not exist.</Message><Resource>/</Resource><RequestId></RequestId></Error>"
    );
}

/// Wherever a text of a client's stands, it stands escaped: each document, and how often.
#[test]
fn any_text_can_stand_in_any_document() {
    let (v1, v2, versions, uploads, parts) = (v1(NASTY), v2(NASTY), versions(NASTY), uploads(NASTY), parts(NASTY));
    let me = Owner { id: NASTY.into(), display_name: NASTY.into() };
    let named = object(NASTY);
    let checksum = Some(ObjectChecksum { value: Checksum::Crc32([0; 4]), kind: Kind::FullObject, parts: None });
    let listing = ListingV1 {
        request: &v1,
        objects: vec![ObjectEntry { owner: Some(me.clone()), ..entry(NASTY) }],
        common_prefixes: vec![NASTY.into()],
        is_truncated: true,
        next_marker: Some(NASTY.into()),
    };
    let second = ListingV2 {
        request: &ListObjectsV2 { start_after: Some(NASTY.into()), delimiter: Some(NASTY.into()), ..v2 },
        objects: vec![entry(NASTY)],
        common_prefixes: vec![NASTY.into()],
        next_token: None,
    };
    let third = VersionListing {
        request: &versions,
        objects: vec![entry(NASTY)],
        common_prefixes: Vec::new(),
        next_key_marker: Some(NASTY.into()),
    };
    let upload = UploadEntry {
        key: NASTY.into(),
        upload_id: "u".into(),
        initiator: me.clone(),
        owner: me.clone(),
        initiated_unix_ms: 0,
        checksum: Some((Algorithm::Crc32, Kind::FullObject)),
    };
    let open = UploadListing {
        request: &uploads,
        uploads: vec![upload],
        common_prefixes: Vec::new(),
        next: Some((NASTY.into(), "u".into())),
    };
    let of_parts = PartListing {
        request: &parts,
        parts: Vec::new(),
        is_truncated: false,
        initiator: me.clone(),
        owner: me.clone(),
        checksum: None,
    };
    let deleted = |result| Deleted { key: NASTY.into(), version: Some(NASTY.into()), result };
    let failed = S3Error::with_message(ErrorCode::InternalError, NASTY);
    let buckets =
        BucketList { owner: me, buckets: Vec::new(), prefix: Some(NASTY.into()), next_token: Some(NASTY.into()) };
    let posted = PostedObject { location: NASTY, bucket: "photos", key: NASTY, etag: &tag() };
    let redirect = Redirect { key: Some(KeyChange::Whole(NASTY.into())), ..Redirect::default() };
    let condition = website::Condition { key_prefix: Some(NASTY.into()), error_code: None };
    let pages = Pages {
        index_suffix: NASTY.into(),
        error_key: Some(NASTY.into()),
        rules: vec![website::Rule { condition, redirect }],
    };
    let rule = Rule { id: NASTY.into(), prefix: Some(NASTY.into()), ..Rule::default() };
    let created = CreatedUpload { object: &named, upload_id: "u" };
    let completed = CompletedUpload { object: &named, location: NASTY, etag: tag(), checksum };
    for (times, xml) in [
        // Prefix, marker, key, owner's two and common prefix: the next marker needs a delimiter.
        (6, listing.to_xml()),
        (5, second.to_xml()),
        (4, third.to_xml()),
        (8, open.to_xml()),
        (5, of_parts.to_xml()),
        (5, DeletedObjects { entries: vec![deleted(Ok(())), deleted(Err(failed.clone()))], quiet: false }.to_xml()),
        (4, buckets.to_xml()),
        (2, posted.to_xml()),
        (4, Website::Pages(pages).to_xml()),
        (2, Lifecycle { rules: vec![rule] }.to_xml()),
        (1, created.to_xml()),
        (2, completed.to_xml()),
        (3, failed.about(NASTY).field("Key", NASTY).to_xml("id")),
        (1, location_constraint(NASTY)),
    ] {
        assert_eq!(xml.matches(ESCAPED).count(), times, "{xml}");
        assert!(xml.bytes().all(|byte| byte >= b' ' || byte == b'\n'), "{xml:?}");
        assert_eq!(xml.matches('\n').count(), 1, "behind the declaration alone: {xml:?}");
    }
}

use proptest::prelude::*;

use super::{complete_multipart_upload, create_bucket, delete};
use crate::checksum::Checksum;
use crate::conditions::ETagMatch;
use crate::error::{ErrorCode, S3Error};
use crate::key::VersionId;

const NAMESPACE: &str = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

fn code<T>(result: Result<T, S3Error>) -> Option<ErrorCode> {
    result.err().map(|error| error.code())
}

#[test]
fn delete_with_everything() {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Delete {NAMESPACE}>\n  <!-- note -->\n  <Quiet>true</Quiet>\n\
         <Object><Key> a&amp;b&#x20;&lt;\u{e9}&#13;</Key><VersionId>null</VersionId><ETag>\"abc\"</ETag></Object>\n\
         <Object>\t<Key><![CDATA[<raw>&amp;]]></Key>\r\n<VersionId/></Object></Delete>\n"
    );
    let delete = delete(body.as_bytes()).unwrap();
    assert!(delete.quiet);
    assert_eq!(delete.entries[0].key.as_str(), " a&b <\u{e9}\r");
    assert_eq!(delete.entries[0].version, Some(VersionId::Null));
    assert_eq!(delete.entries[0].if_match, Some(ETagMatch::OneOf(vec!["abc".into()])));
    assert_eq!(delete.entries[1].key.as_str(), "<raw>&amp;");
    assert_eq!((&delete.entries[1].version, &delete.entries[1].if_match), (&None, &None));
}

#[test]
fn control_characters_are_read_raw_and_as_references() {
    for text in ["\u{1}", "&#1;", "&#x1;"] {
        let body = format!("<Delete><Object><Key>{text}</Key></Object></Delete>");
        assert_eq!(delete(body.as_bytes()).unwrap().entries[0].key.as_str(), "\u{1}", "{text:?}");
    }
}

#[test]
fn a_thousand_keys_and_no_more() {
    let body = |count: usize| {
        let objects: String = (0..count).map(|n| format!("<Object><Key>k{n}</Key></Object>")).collect();
        format!("<Delete>{objects}</Delete>")
    };
    assert_eq!(delete(body(1000).as_bytes()).unwrap().entries.len(), 1000);
    for count in [0, 1001, 2000] {
        assert_eq!(code(delete(body(count).as_bytes())), Some(ErrorCode::MalformedXML), "{count}");
    }
}

#[test]
fn deletes_are_strict() {
    for (body, expected) in [
        ("", ErrorCode::MalformedXML),
        ("<Delete/>", ErrorCode::MalformedXML),
        ("<Remove><Object><Key>a</Key></Object></Remove>", ErrorCode::MalformedXML),
        ("<Delete><Object></Object></Delete>", ErrorCode::MalformedXML),
        ("<Delete><Object><Key>a</Key></Object>", ErrorCode::MalformedXML),
        ("<Delete><Object><Key>a</Object></Key></Delete>", ErrorCode::MalformedXML),
        ("<Delete><Object><Key>a</Key><Other/></Object></Delete>", ErrorCode::MalformedXML),
        ("<Delete><Object><Key>a</Key></Object><Other/></Delete>", ErrorCode::MalformedXML),
        ("<Delete>text<Object><Key>a</Key></Object></Delete>", ErrorCode::MalformedXML),
        ("<Delete><Object>text<Key>a</Key></Object></Delete>", ErrorCode::MalformedXML),
        ("<Delete><Object><Key>a<b/></Key></Object></Delete>", ErrorCode::MalformedXML),
        ("<Delete><Object><Key>a</Key></Object></Delete><Delete/>", ErrorCode::MalformedXML),
        ("<Delete><Object><Key>a</Key></Object></Delete>text", ErrorCode::MalformedXML),
        ("<Delete><Quiet>maybe</Quiet><Object><Key>a</Key></Object></Delete>", ErrorCode::MalformedXML),
        ("<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>", ErrorCode::MalformedXML),
        ("<Delete><Object><Key>a</Key><ETag>a</ETag><ETag>b</ETag></Object></Delete>", ErrorCode::MalformedXML),
        ("<Delete><Quiet>1</Quiet><Quiet>0</Quiet><Object><Key>a</Key></Object></Delete>", ErrorCode::MalformedXML),
        ("<Delete><Object><Key></Key></Object></Delete>", ErrorCode::InvalidURI),
        ("<Delete><Object><Key>a</Key><Size>1</Size></Object></Delete>", ErrorCode::NotImplemented),
        (
            "<Delete><Object><Key>a</Key><LastModifiedTime>x</LastModifiedTime></Object></Delete>",
            ErrorCode::NotImplemented,
        ),
    ] {
        assert_eq!(code(delete(body.as_bytes())), Some(expected), "{body}");
    }
    assert_eq!(code(delete(b"<Delete>\xff</Delete>")), Some(ErrorCode::MalformedXML));
    let long = format!("<Delete><Object><Key>{}</Key></Object></Delete>", "k".repeat(1025));
    assert_eq!(code(delete(long.as_bytes())), Some(ErrorCode::KeyTooLongError));
}

#[test]
fn bombs_are_refused() {
    let laughs =
        "<!DOCTYPE d [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><Delete><Object><Key>&b;</Key></Object></Delete>";
    let entity = "<Delete><Object><Key>&xxe;</Key></Object></Delete>";
    let instruction = "<?php x?><Delete><Object><Key>a</Key></Object></Delete>";
    let deep = "<Delete>".repeat(20_000);
    let wide = format!("<Delete>{}</Delete>", "<a/>".repeat(1_000_000));
    for body in [laughs, entity, instruction, &deep, &wide, "<Delete><Object><Key>&#0;&#xD800;</Key></Object></Delete>"]
    {
        assert_eq!(code(delete(body.as_bytes())), Some(ErrorCode::MalformedXML), "{:.60}", body);
    }
    let huge = format!("<Delete>{}</Delete>", " ".repeat(super::MAX_DELETE_BYTES));
    assert_eq!(code(delete(huge.as_bytes())), Some(ErrorCode::MaxMessageLengthExceeded));
}

#[test]
fn parts_of_an_upload() {
    let body = format!(
        "<CompleteMultipartUpload {NAMESPACE}>\
         <Part><ETag>\"aa\"</ETag><PartNumber>1</PartNumber></Part>\n\
         <Part><PartNumber>7</PartNumber><ETag>&quot;bb&quot;</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part>\
         </CompleteMultipartUpload>"
    );
    let parts = complete_multipart_upload(body.as_bytes()).unwrap();
    assert_eq!((parts[0].number, parts[0].etag.as_str(), parts[0].checksum), (1, "aa", None));
    assert_eq!((parts[1].number, parts[1].etag.as_str()), (7, "bb"));
    assert_eq!(parts[1].checksum, Some(Checksum::Crc32([0; 4])));
}

#[test]
fn part_lists_are_strict() {
    let part = |number: &str| format!("<Part><PartNumber>{number}</PartNumber><ETag>a</ETag></Part>");
    for (inside, expected) in [
        (String::new(), ErrorCode::MalformedXML),
        (part("0"), ErrorCode::InvalidArgument),
        (part("10001"), ErrorCode::InvalidArgument),
        (part("-1"), ErrorCode::InvalidArgument),
        (part("x"), ErrorCode::InvalidArgument),
        (part("2") + &part("1"), ErrorCode::InvalidPartOrder),
        (part("2") + &part("2"), ErrorCode::InvalidPartOrder),
        ("<Part><PartNumber>1</PartNumber></Part>".into(), ErrorCode::MalformedXML),
        ("<Part><ETag>a</ETag></Part>".into(), ErrorCode::MalformedXML),
        (part("1").replace("</Part>", "<PartNumber>2</PartNumber></Part>"), ErrorCode::MalformedXML),
        (part("1").replace("</Part>", "<ETag>b</ETag></Part>"), ErrorCode::MalformedXML),
        (part("1").replace("</Part>", "<ChecksumCRC32>A</ChecksumCRC32></Part>"), ErrorCode::InvalidRequest),
        (part("1").replace("</Part>", "<ChecksumMD5>A</ChecksumMD5></Part>"), ErrorCode::NotImplemented),
        (part("1").replace("</Part>", "<ChecksumSHA512>A</ChecksumSHA512></Part>"), ErrorCode::NotImplemented),
        (part("1").replace("</Part>", "<ChecksumMD6>A</ChecksumMD6></Part>"), ErrorCode::MalformedXML),
    ] {
        let body = format!("<CompleteMultipartUpload>{inside}</CompleteMultipartUpload>");
        assert_eq!(code(complete_multipart_upload(body.as_bytes())), Some(expected), "{inside}");
    }
}

#[test]
fn ten_thousand_parts() {
    let part = |number: usize| {
        let checksum = "<ChecksumSHA256>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=</ChecksumSHA256>";
        format!("<Part><PartNumber>{number}</PartNumber><ETag>\"{}\"</ETag>{checksum}</Part>", "a".repeat(32))
    };
    let parts: String = (1..=10_000).map(part).collect();
    let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    assert_eq!(complete_multipart_upload(body.as_bytes()).unwrap().len(), 10_000);
}

#[test]
fn location_constraints() {
    let of = |inside: &str| {
        create_bucket(format!("<CreateBucketConfiguration {NAMESPACE}>{inside}</CreateBucketConfiguration>").as_bytes())
    };
    assert_eq!(create_bucket(b""), Ok(None));
    assert_eq!(create_bucket(b" \r\n"), Ok(None));
    assert_eq!(of(""), Ok(None));
    assert_eq!(of("<LocationConstraint></LocationConstraint>"), Ok(None));
    assert_eq!(of("\n<LocationConstraint>eu-home</LocationConstraint>\n"), Ok(Some("eu-home".into())));
    assert_eq!(code(of("<Bucket><Type>Directory</Type></Bucket>")), Some(ErrorCode::NotImplemented));
    assert_eq!(code(of("<Tags/>")), Some(ErrorCode::NotImplemented));
    let twice = "<LocationConstraint>a</LocationConstraint><LocationConstraint>b</LocationConstraint>";
    assert_eq!(code(of(twice)), Some(ErrorCode::MalformedXML));
    assert_eq!(code(of("<Unknown/>")), Some(ErrorCode::MalformedXML));
    assert_eq!(code(create_bucket(b"<Other/>")), Some(ErrorCode::MalformedXML));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _results = (create_bucket(&body), delete(&body), complete_multipart_upload(&body));
    }

    #[test]
    fn random_markup_never_panics(body in "(<|>|/|&|;|#|\"|'|!|\\[|\\]|-|\\?|Delete|Object|Key| |x){0,80}") {
        let _results = (create_bucket(body.as_bytes()), delete(body.as_bytes()));
    }

    #[test]
    fn written_keys_are_read_back(key in "\\PC{1,60}") {
        let mut xml = crate::xml::Writer::document();
        xml.element("Delete", |xml| xml.element("Object", |xml| xml.text("Key", &key)));
        let read = delete(xml.finish().as_bytes()).unwrap();
        prop_assert_eq!(read.entries[0].key.as_str(), key);
    }
}

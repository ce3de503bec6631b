//! XML bodies.

use bolero::{check, produce};
use cairn_testkit::fuzz::{any_text, bytes, list};

use super::heads::check_error;
use crate::conditions::ETagMatch;
use crate::error::{ErrorCode, S3Error};
use crate::xml::{Writer, read};
use crate::{ObjectKey, lifecycle, website};

/// What all documents are made of.
macro_rules! markup {
    ($($own:literal)*) => {
        &[
            $($own,)* "<", ">", "/>", "</", " ", "\r\n", "x", "1", "true", "&amp;", "&#x9;", "&#1;", "&", ";", "<!--", "-->",
            "<![CDATA[", "]]>", "<?xml version=\"1.0\"?>", "<!DOCTYPE a>", " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"",
            "é", "\u{feff}",
        ]
    };
}

fn told(error: &S3Error) {
    check_error(error);
    assert!(error.code().status().is_client_error() || error.code() == ErrorCode::NotImplemented, "{error}");
}

/// How often an element stands in a body; `None` where that cannot be told without reading it.
fn count(body: &[u8], element: &str) -> Option<usize> {
    let text = std::str::from_utf8(body).ok().filter(|text| !text.contains("<!"))?;
    Some(text.matches(element).count())
}

const DELETE: &[&str] = markup! {
    "<Delete>" "</Delete>" "<Object>" "</Object>" "<Key>" "</Key>" "<Quiet>" "</Quiet>" "<VersionId>" "</VersionId>" "null"
    "<ETag>" "</ETag>" "<Object><Key>k</Key></Object>" "<Size>1</Size>"
};

#[test]
fn deletes_name_keys() {
    check!().with_generator(bytes(DELETE, 24)).for_each(|raw| {
        for body in [raw.to_vec(), [b"<Delete>", raw.as_slice(), b"</Delete>"].concat()] {
            match read::delete(&body) {
                Err(error) => told(&error),
                Ok(delete) => {
                    assert!((1..=1000).contains(&delete.entries.len()));
                    assert!(
                        delete
                            .entries
                            .iter()
                            .all(|entry| (1..=ObjectKey::MAX_LEN).contains(&entry.key.as_bytes().len()))
                    );
                    assert!(count(&body, "<Key").is_none_or(|keys| keys == delete.entries.len()), "a key was dropped");
                }
            }
        }
    });
}

/// What our writer writes, our reader reads: any text but what XML has no characters for.
#[test]
fn written_text_is_read_back() {
    let keys = || list(any_text(20), 1..5);
    check!().with_generator((keys(), produce::<bool>(), any_text(8))).for_each(|(keys, quiet, tag)| {
        let xml = Writer::answer("Delete", |xml| {
            xml.value("Quiet", quiet);
            for key in keys {
                xml.element("Object", |xml| {
                    xml.text("Key", key);
                    xml.optional("ETag", Some(tag.as_str()).filter(|tag| !tag.is_empty()));
                });
            }
        });
        let carried = |text: &str| !text.contains(['\0', '\u{fffe}', '\u{ffff}']);
        if !carried(tag) || !keys.iter().all(|key| carried(key)) {
            return;
        }
        match read::delete(xml.as_bytes()) {
            Err(error) => assert!(keys.iter().any(|key| key.is_empty() || key.len() > 1024), "{error}: {xml}"),
            Ok(delete) => {
                assert_eq!(delete.quiet, *quiet);
                assert!(delete.entries.iter().map(|entry| entry.key.as_str()).eq(keys.iter().map(String::as_str)));
                let expected = (!tag.is_empty()).then(|| ETagMatch::parse(tag));
                assert!(delete.entries.iter().all(|entry| entry.if_match == expected));
            }
        }
    });
}

const COMPLETE: &[&str] = markup! {
    "<CompleteMultipartUpload>" "</CompleteMultipartUpload>" "<Part>" "</Part>" "<PartNumber>" "</PartNumber>" "2" "10000"
    "<ETag>" "</ETag>" "&quot;" "d41d8cd98f00b204e9800998ecf8427e" "<ChecksumCRC32>" "</ChecksumCRC32>" "AAAAAA=="
    "<Part><PartNumber>1</PartNumber><ETag>a</ETag></Part>" "<Part><PartNumber>2</PartNumber><ETag>a</ETag></Part>"
};

#[test]
fn lists_of_parts_rise() {
    check!().with_generator(bytes(COMPLETE, 24)).for_each(|raw| {
        let framed = [b"<CompleteMultipartUpload>", raw.as_slice(), b"</CompleteMultipartUpload>"].concat();
        for body in [raw.to_vec(), framed] {
            match read::complete_multipart_upload(&body) {
                Err(error) => told(&error),
                Ok(parts) => {
                    assert!((1..=10_000).contains(&parts.len()));
                    assert!(parts.iter().all(|part| (1..=10_000).contains(&part.number)));
                    assert!(parts.windows(2).all(|pair| pair[0].number < pair[1].number));
                    assert!(
                        count(&body, "<PartNumber").is_none_or(|numbers| numbers == parts.len()),
                        "one was dropped"
                    );
                }
            }
        }
    });
}

const CREATE: &[&str] = markup! {
    "<CreateBucketConfiguration>" "</CreateBucketConfiguration>" "<LocationConstraint>" "</LocationConstraint>" "eu-1"
    "<LocationConstraint/>" "<Tags/>"
};

#[test]
fn new_buckets_have_one_place() {
    check!().with_generator(bytes(CREATE, 12)).for_each(|raw| {
        let framed = [b"<CreateBucketConfiguration>", raw.as_slice(), b"</CreateBucketConfiguration>"].concat();
        for body in [raw.to_vec(), framed] {
            match read::create_bucket(&body) {
                Err(error) => told(&error),
                Ok(region) => {
                    assert!(region.as_deref() != Some(""));
                    assert!(count(&body, "<LocationConstraint").is_none_or(|places| places <= 1), "one was dropped");
                }
            }
        }
    });
}

const CORS: &[&str] = markup! {
    "<CORSRule>" "</CORSRule>" "<AllowedOrigin>" "</AllowedOrigin>" "*" "http://a" "<AllowedMethod>" "</AllowedMethod>" "GET"
    "PUT" "<AllowedHeader>" "</AllowedHeader>" "x-amz-" "<ExposeHeader>ETag</ExposeHeader>" "<MaxAgeSeconds>" "</MaxAgeSeconds>"
    "<ID>a</ID>" "<AllowedOrigin>*</AllowedOrigin>" "<AllowedMethod>GET</AllowedMethod>"
};

#[test]
fn cors_rules_come_back_as_they_were_put() {
    check!().with_generator(bytes(CORS, 20)).for_each(|raw| {
        for body in framed("CORSConfiguration", "CORSRule", raw) {
            match read::cors(&body) {
                Err(error) => told(&error),
                Ok(cors) => assert_eq!(read::cors(cors.to_xml().as_bytes()), Ok(cors)),
            }
        }
    });
}

const LIFECYCLE: &[&str] = markup! {
    "<Rule>" "</Rule>" "<ID>a</ID>" "<Status>Enabled</Status>" "<Status>Disabled</Status>" "<Prefix>" "</Prefix>" "<Filter>"
    "</Filter>" "<And>" "</And>" "<ObjectSizeGreaterThan>" "</ObjectSizeGreaterThan>" "<ObjectSizeLessThan>"
    "</ObjectSizeLessThan>" "<Expiration>" "</Expiration>" "<Days>" "</Days>" "<Date>2030-01-01</Date>"
    "<Date>2030-01-01T00:00:00.000Z</Date>" "<AbortIncompleteMultipartUpload><DaysAfterInitiation>" "<Tag/>" "<Filter/>"
    "</DaysAfterInitiation></AbortIncompleteMultipartUpload>" "<Expiration><Days>1</Days></Expiration>" "-" "+" "0" "5"
};

#[test]
fn lifecycle_rules_come_back_as_they_were_put() {
    check!().with_generator(bytes(LIFECYCLE, 20)).for_each(|raw| {
        for body in framed("LifecycleConfiguration", "Rule", raw) {
            match read::lifecycle(&body) {
                Err(error) => told(&error),
                Ok(read) => {
                    assert!((1..=lifecycle::MAX_RULES).contains(&read.rules.len()));
                    assert!(read.rules.iter().all(|rule| rule.check().is_ok() && !rule.id.is_empty()));
                    assert_eq!(read::lifecycle(read.to_xml().as_bytes()), Ok(read));
                }
            }
        }
    });
}

const WEBSITE: &[&str] = markup! {
    "<IndexDocument><Suffix>" "</Suffix></IndexDocument>" "<IndexDocument><Suffix>i</Suffix></IndexDocument>" "i.html"
    "<ErrorDocument><Key>" "</Key></ErrorDocument>" "<RedirectAllRequestsTo>" "</RedirectAllRequestsTo>" "<HostName>"
    "</HostName>" "example.com" "<Protocol>" "</Protocol>" "http" "https" "<RoutingRules>" "</RoutingRules>" "<RoutingRule>"
    "</RoutingRule>" "<Condition>" "</Condition>" "<KeyPrefixEquals>" "</KeyPrefixEquals>" "<HttpErrorCodeReturnedEquals>404"
    "</HttpErrorCodeReturnedEquals>" "<Redirect>" "</Redirect>" "<ReplaceKeyWith>" "</ReplaceKeyWith>" "<ReplaceKeyPrefixWith>"
    "</ReplaceKeyPrefixWith>" "<HttpRedirectCode>302</HttpRedirectCode>" "<RoutingRule><Redirect>" "</Redirect></RoutingRule>"
};

#[test]
fn sites_come_back_as_they_were_put() {
    check!().with_generator(bytes(WEBSITE, 20)).for_each(|raw| {
        for body in framed("WebsiteConfiguration", "RoutingRules", raw) {
            match read::website(&body) {
                Err(error) => told(&error),
                Ok(read) => {
                    assert!(read.check().is_ok());
                    assert!(!matches!(&read, website::Website::Pages(pages) if pages.rules.len() > website::MAX_RULES));
                    assert_eq!(read::website(read.to_xml().as_bytes()), Ok(read));
                }
            }
        }
    });
}

/// A body as it is, inside its root, and inside its first rule.
fn framed(root: &str, rule: &str, body: &[u8]) -> [Vec<u8>; 3] {
    let around =
        |name: &str, body: &[u8]| [format!("<{name}>").as_bytes(), body, format!("</{name}>").as_bytes()].concat();
    [body.to_vec(), around(root, body), around(root, &around(rule, body))]
}

/// No document makes the reader deep: what is nested deeper than any operation has is refused, however long it is.
#[test]
fn depth_is_bounded() {
    check!().with_generator((0..3000, 0..3000, any_text(4))).for_each(|(opened, closed, text)| {
        let body = format!("{}{text}{}", "<a>".repeat(*opened), "</a>".repeat(*closed));
        assert!(read::delete(body.as_bytes()).is_err());
        let body = format!("<Delete>{body}</Delete>");
        assert!(read::delete(body.as_bytes()).is_err());
    });
}

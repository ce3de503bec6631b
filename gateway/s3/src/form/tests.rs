//! AWS's published form, each condition of a policy violated in turn, and forms split at every byte.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use proptest::prelude::*;

use super::*;
use crate::auth::{Rules, Signer, SigningKey};
use crate::date::{amz_date, parse_amz_date, parse_iso_8601};
use crate::error::{ErrorCode, S3Error};
use crate::{ETag, checksum::Checksum};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const BUCKET: &str = "sigv4examplebucket";

/// "Example: Browser-Based Upload using HTTP POST (Using AWS Signature Version 4)": the policy, as it is published.
const POLICY: &str = concat!(
    "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2NGV4",
    "YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9",
    "LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3Nm",
    "dWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1",
    "aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMt",
    "d2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEy",
    "MjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7Ingt",
    "YW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9"
);
const SIGNATURE: &str = "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e";

fn at(text: &str) -> u64 {
    parse_iso_8601(text).unwrap()
}

fn rules(now_ms: u64) -> Rules<'static> {
    Rules { now_ms, region: None, refuse_unsigned_payload: false }
}

fn form(fields: &[(&str, &str)]) -> Form {
    let mut form = Form::default();
    for (name, value) in fields {
        form.add(name, value.as_bytes().to_vec()).unwrap();
    }
    form
}

fn published() -> Vec<(&'static str, &'static str)> {
    vec![
        ("key", "user/user1/${filename}"),
        ("acl", "public-read"),
        ("success_action_redirect", "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"),
        ("Content-Type", "image/jpeg"),
        ("x-amz-meta-uuid", "14365123651274"),
        ("x-amz-server-side-encryption", "AES256"),
        ("X-Amz-Credential", "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"),
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Date", "20151229T000000Z"),
        ("x-amz-meta-tag", ""),
        ("Policy", POLICY),
        ("X-Amz-Signature", SIGNATURE),
    ]
}

#[test]
fn awss_published_form() {
    let now_ms = at("2015-12-29T01:00:00Z");
    let mut form = form(&published());
    let claim = form.claim(&rules(now_ms)).unwrap();
    assert_eq!(claim.access_key_id(), "AKIAIOSFODNN7EXAMPLE");
    assert!(claim.verify(&SigningKey::derive(SECRET, claim.scope()), ()).is_ok());
    let other = SigningKey::derive("another", claim.scope());
    assert_eq!(claim.verify(&other, ()).unwrap_err().code(), ErrorCode::SignatureDoesNotMatch);
    form.name_file(Some("MyFilename.jpg")).unwrap();
    // Its policy allows it; what it asks for beyond that is not built here, and named.
    let refused = form.upload(BUCKET.parse().unwrap(), now_ms).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::NotImplemented);
    assert!(refused.message().contains("x-amz-acl"), "{refused}");
    let expired = form.upload(BUCKET.parse().unwrap(), at("2015-12-30T12:00:00Z")).unwrap_err();
    assert_eq!(
        (expired.code(), expired.message()),
        (ErrorCode::AccessDenied, "Invalid according to Policy: Policy expired.")
    );
    let elsewhere = form.upload("another-bucket".parse().unwrap(), now_ms).unwrap_err();
    assert_eq!(elsewhere.code(), ErrorCode::AccessDenied);
}

#[test]
fn a_changed_policy_is_not_signed() {
    let mut fields = published();
    let changed = POLICY.replacen('A', "B", 1);
    fields[10].1 = &changed;
    let claim = form(&fields).claim(&rules(at("2015-12-29T01:00:00Z"))).unwrap();
    let key = SigningKey::derive(SECRET, claim.scope());
    assert_eq!(claim.verify(&key, ()).unwrap_err().code(), ErrorCode::SignatureDoesNotMatch);
}

#[test]
fn claims_must_be_whole_and_timely() {
    let judge = |changed: Option<(&'static str, &'static str)>, now: &str| {
        let mut fields = published();
        if let Some((name, value)) = changed {
            fields.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
            fields.push((name, value));
        }
        form(&fields).claim(&rules(at(now))).err().map(|error| error.code())
    };
    let now = "2015-12-29T01:00:00Z";
    assert_eq!(judge(None, now), None);
    for (name, code) in [
        ("policy", ErrorCode::AccessDenied),
        ("x-amz-algorithm", ErrorCode::InvalidArgument),
        ("x-amz-credential", ErrorCode::InvalidArgument),
        ("x-amz-date", ErrorCode::InvalidArgument),
        ("x-amz-signature", ErrorCode::InvalidArgument),
    ] {
        assert_eq!(judge(Some((name, "")), now), Some(code), "without {name}");
    }
    for (name, value, code) in [
        ("x-amz-algorithm", "AWS4-HMAC-SHA1", ErrorCode::InvalidArgument),
        ("x-amz-date", "yesterday", ErrorCode::InvalidArgument),
        ("x-amz-date", "20151228T000000Z", ErrorCode::InvalidArgument),
        ("x-amz-credential", "AKIA/20151229/us-east-1/ec2/aws4_request", ErrorCode::InvalidArgument),
        ("x-amz-signature", "8AFDBF", ErrorCode::InvalidArgument),
        ("x-amz-security-token", "t", ErrorCode::InvalidToken),
        ("AWSAccessKeyId", "AKIA", ErrorCode::InvalidRequest),
        ("signature", "sigv2", ErrorCode::InvalidRequest),
    ] {
        assert_eq!(judge(Some((name, value)), now), Some(code), "{name}: {value}");
    }
    assert_eq!(judge(None, "2015-12-28T23:00:00Z"), Some(ErrorCode::AccessDenied), "from the future");
    assert_eq!(judge(None, "2016-01-05T00:00:01Z"), Some(ErrorCode::AccessDenied), "older than a week");
}

/// A form of these fields under these conditions, as its signer would make it, and whether it may pass.
fn judge(conditions: &str, fields: &[(&str, &str)]) -> Result<Upload, S3Error> {
    let policy = format!("{{\"expiration\": \"2030-01-01T00:00:00Z\", \"conditions\": [{conditions}]}}");
    let encoded = STANDARD.encode(policy);
    let mut fields = fields.to_vec();
    fields.push(("policy", &encoded));
    fields.push(("x-amz-signature", SIGNATURE));
    let mut form = form(&fields);
    form.name_file(Some("C:\\pictures\\a cat.jpg"))?;
    form.upload("photos".parse().unwrap(), at("2029-01-01T00:00:00Z"))
}

fn refusal(conditions: &str, fields: &[(&str, &str)]) -> (ErrorCode, String) {
    let error = judge(conditions, fields).unwrap_err();
    (error.code(), error.message().to_owned())
}

#[test]
fn each_condition_is_enforced() {
    let conditions = r#"{"bucket":"photos"},["starts-with","$key","user/"],{"acl":"private"},["eq","$Content-Type","image/png"],
        {"x-amz-meta-a":"1"},["starts-with","$x-amz-meta-b",""],{"success_action_status":"201"},["content-length-range",2,9]"#;
    let good = [
        ("key", "user/cat"),
        ("ACL", "private"),
        ("Content-Type", "image/png"),
        ("x-amz-meta-a", "1"),
        ("x-amz-meta-b", "anything"),
        ("success_action_status", "201"),
    ];
    let upload = judge(conditions, &good).unwrap();
    assert_eq!((upload.object.key.as_str(), upload.size, upload.success), ("user/cat", 2..=9, Success::Document));
    for (index, (name, wrong)) in [
        ("key", "users/cat"),
        ("acl", "public-read"),
        ("content-type", "image/pngx"),
        ("x-amz-meta-a", "2"),
        ("success_action_status", "200"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut fields = good.to_vec();
        fields.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
        let missing = refusal(conditions, &fields);
        fields.push((name, wrong));
        // A form without a key is no form of AWS's, whatever its policy says.
        let (missing, keyless) = if name == "key" { (None, Some(missing)) } else { (Some(missing), None) };
        assert!(keyless.is_none_or(|(code, _)| code == ErrorCode::InvalidArgument));
        for (code, message) in [Some(refusal(conditions, &fields)), missing].into_iter().flatten() {
            assert_eq!(code, ErrorCode::AccessDenied, "{index} {name}");
            assert!(
                message
                    .contains(&format!("Policy Condition failed: [\"{}", if name == "key" { "starts" } else { "eq" }))
            );
        }
    }
    assert_eq!(refusal(&conditions.replace("photos", "other"), &good).0, ErrorCode::AccessDenied);
}

#[test]
fn each_field_must_be_covered() {
    let conditions = r#"["starts-with","$key",""],{"bucket":"photos"}"#;
    assert!(judge(conditions, &[("key", "a"), ("x-ignore-me", "1"), ("x-ignore-me", "2")]).is_ok());
    assert!(judge(conditions, &[("key", "a"), ("bucket", "photos")]).is_ok());
    for name in ["acl", "content-type", "x-amz-meta-a", "x-amz-date", "submit", "anything", "success_action_redirect"] {
        let (code, message) = refusal(conditions, &[("key", "a"), (name, "private")]);
        assert_eq!(code, ErrorCode::AccessDenied, "{name}");
        assert_eq!(message, format!("Invalid according to Policy: Extra input fields: {name}"));
    }
    assert_eq!(refusal("", &[("key", "a")]).0, ErrorCode::AccessDenied, "the key too");
}

#[test]
fn conditions_are_read_in_any_case_and_strictly() {
    assert!(judge(r#"["StArTs-WiTh","$KeY","u"],{"AcL":"private"}"#, &[("key", "u"), ("aCl", "private")]).is_ok());
    let types = r#"["eq","$key","k"],["starts-with","$Content-Type","image/"]"#;
    assert!(judge(types, &[("key", "k"), ("content-type", "image/png, image/gif")]).is_ok());
    assert_eq!(refusal(types, &[("key", "k"), ("content-type", "image/png,text/html")]).0, ErrorCode::AccessDenied);
    for bad in [
        r#"["eq","key","k"]"#,
        r#"["ends-with","$key","k"]"#,
        r#"["eq","$key"]"#,
        r#"["eq","$key",1]"#,
        r#"{"key":"k","acl":"private"}"#,
        r#"{"key":1}"#,
        "{}",
        r#"["content-length-range",-1,5]"#,
        r#"["content-length-range","a","b"]"#,
        r#"["content-length-range",1]"#,
        r#""key""#,
    ] {
        assert_eq!(refusal(bad, &[("key", "k")]).0, ErrorCode::InvalidPolicyDocument, "{bad}");
    }
    for bad in ["", "!", "[]", "{}", r#"{"expiration":"2030-01-01T00:00:00Z"}"#, r#"{"conditions":[]}"#] {
        let error = Policy::parse(&STANDARD.encode(bad)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidPolicyDocument, "{bad}");
    }
    for expiration in ["tomorrow", "2030-13-01T00:00:00Z", "1893456000"] {
        let policy = format!("{{\"expiration\":\"{expiration}\",\"conditions\":[]}}");
        assert!(Policy::parse(&STANDARD.encode(policy)).is_err(), "{expiration}");
    }
    assert!(Policy::parse("not base64!").is_err());
    assert!(Policy::parse(&STANDARD.encode("[".repeat(10_000))).is_err(), "deep JSON does not reach the stack's end");
}

/// AWS's guide, "POST policy": the examples of its sections "Condition matching", one by one, and its date formats.
#[test]
fn awss_examples_of_conditions() {
    let holds = |condition: &str, field: (&str, &str)| {
        let mut fields = vec![("key", "k")];
        fields.retain(|(name, _)| *name != field.0);
        let conditions = if field.0 == "key" { condition.to_owned() } else { format!("{{\"key\":\"k\"}},{condition}") };
        fields.push(field);
        match judge(&conditions, &fields) {
            Ok(_) => true,
            Err(error) if error.code() == ErrorCode::AccessDenied => false,
            // The policy lets it pass; that it is not built is another matter.
            Err(error) => error.code() == ErrorCode::NotImplemented,
        }
    };
    for (condition, field, expected) in [
        // "Exact matches"
        (r#"{"acl": "public-read" }"#, ("acl", "public-read"), true),
        (r#"{"acl": "public-read" }"#, ("acl", "private"), false),
        (r#"[ "eq", "$acl", "public-read" ]"#, ("acl", "public-read"), true),
        (r#"[ "eq", "$acl", "public-read" ]"#, ("acl", "public-read "), false),
        // "Starts with"
        (r#"["starts-with", "$key", "user/user1/"]"#, ("key", "user/user1/a"), true),
        (r#"["starts-with", "$key", "user/user1/"]"#, ("key", "user/user1"), false),
        (r#"["starts-with", "$key", "user/user1/"]"#, ("key", "User/user1/a"), false),
        // "Matching any content"
        (r#"["starts-with", "$success_action_redirect", ""]"#, ("success_action_redirect", "http://a/"), true),
        (r#"["starts-with", "$success_action_redirect", ""]"#, ("success_action_redirect", ""), true),
        // "Matching content-types in a comma-separated list"
        (r#"["starts-with", "$Content-Type", "image/"]"#, ("Content-Type", "image/jpg,image/gif,image/png"), true),
        (r#"["starts-with", "$Content-Type", "image/"]"#, ("Content-Type", "image/jpg,text/html,image/png"), false),
        (r#"["starts-with", "$Content-Type", "image/"]"#, ("Content-Type", "image/jpg,"), false),
        (r#"["eq", "$Content-Type", "image/jpg"]"#, ("Content-Type", "image/jpg,image/jpg"), false),
    ] {
        assert_eq!(holds(condition, field), expected, "{condition} {field:?}");
    }
    // "Specifying ranges"
    let range = judge(r#"{"key":"k"},["content-length-range", 1048576, 10485760]"#, &[("key", "k")]).unwrap();
    assert_eq!(range.size, 1_048_576..=10_485_760);
    // "The expiration date and time, in ISO8601 GMT date format."
    for (expiration, at) in [
        ("2013-08-07T12:00:00.000Z", Some(1_375_876_800_000)),
        ("2013-08-07T12:00:00Z", Some(1_375_876_800_000)),
        ("2013-08-07T12:00:00.250Z", Some(1_375_876_800_250)),
        ("2013-08-07T12:00:00", None),
        ("2013-08-07T12:00:00+02:00", None),
        ("2013-08-07", None),
        ("20130807T120000Z", None),
        ("Wed, 07 Aug 2013 12:00:00 GMT", None),
    ] {
        let policy = format!("{{\"expiration\":\"{expiration}\",\"conditions\":[{{\"key\":\"k\"}}]}}");
        let encoded = STANDARD.encode(policy);
        let form = form(&[("key", "k"), ("policy", &encoded)]);
        let code = |now_ms| form.upload("photos".parse().unwrap(), now_ms).err().map(|error| error.code());
        match at {
            Some(at) => assert_eq!((code(at - 1), code(at)), (None, Some(ErrorCode::AccessDenied)), "{expiration}"),
            None => assert_eq!(code(0), Some(ErrorCode::InvalidPolicyDocument), "{expiration}"),
        }
    }
}

#[test]
fn lengths_are_whole_numbers_and_intersect() {
    let size = |conditions: &str| judge(&format!("{{\"key\":\"k\"}}{conditions}"), &[("key", "k")]).unwrap().size;
    assert_eq!(size(""), 0..=5 << 30);
    assert_eq!(size(r#",["content-length-range",0,99999999999999]"#), 0..=5 << 30);
    assert_eq!(size(r#",["content-length-range","10","20"]"#), 10..=20);
    assert_eq!(size(r#",["content-length-range",10,20],["Content-Length-Range",15,30]"#), 15..=20);
}

#[test]
fn files_are_named_by_their_last_part() {
    let key = |key: &str| judge(r#"["starts-with","$key",""]"#, &[("key", key)]).unwrap().object.key.into_string();
    assert_eq!(key("a/${filename}"), "a/a cat.jpg");
    assert_eq!(key("${filename}-${filename}"), "a cat.jpg-a cat.jpg");
    let named = judge(r#"["starts-with","$key","a"]"#, &[("key", "${filename}")]).unwrap();
    assert_eq!(named.object.key.as_str(), "a cat.jpg", "the condition is held against the name itself");
    assert_eq!(refusal(r#"["starts-with","$key","b"]"#, &[("key", "${filename}")]).0, ErrorCode::AccessDenied);
    let long = format!("{}${{filename}}", "k".repeat(1016));
    assert_eq!(refusal(r#"["starts-with","$key",""]"#, &[("key", &long)]).0, ErrorCode::KeyTooLongError);
    let mut many = form(&[("key", &"${filename}".repeat(1000))]);
    assert!(many.name_file(Some(&"n".repeat(8000))).is_err(), "a name cannot blow a form up");
}

#[test]
fn fields_are_headers() {
    let any = |fields: &[(&str, &str)]| {
        let conditions: Vec<String> =
            fields.iter().map(|(name, _)| format!("[\"starts-with\",\"${name}\",\"\"]")).collect();
        judge(&conditions.join(","), fields)
    };
    let upload = any(&[
        ("key", "k"),
        ("Content-Type", "a/b"),
        ("Cache-Control", "no-cache"),
        ("Content-Disposition", "inline"),
        ("Content-Encoding", "gzip"),
        ("Content-Language", "de"),
        ("Expires", "soon"),
        ("x-amz-meta-Note", "å"),
        ("x-amz-checksum-crc32", "AAAAAA=="),
        ("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
        ("x-amz-storage-class", "STANDARD"),
        ("x-amz-website-redirect-location", "/x"),
        ("their-own", "thing"),
    ])
    .unwrap();
    let headers = &upload.headers;
    assert_eq!((headers.content_type.as_deref(), headers.expires.as_deref()), (Some("a/b"), Some("soon")));
    assert_eq!((headers.content_encoding.as_deref(), headers.content_language.as_deref()), (Some("gzip"), Some("de")));
    assert_eq!(upload.metadata.iter().collect::<Vec<_>>(), [("note", "å")]);
    assert_eq!(upload.body.checksum, Some(Checksum::Crc32([0; 4])));
    assert!(upload.body.content_md5.is_some() && upload.body.length.is_none());
    for (name, value, code) in [
        ("acl", "public-read", ErrorCode::NotImplemented),
        ("tagging", "<Tagging/>", ErrorCode::NotImplemented),
        ("x-amz-server-side-encryption", "AES256", ErrorCode::NotImplemented),
        ("x-amz-storage-class", "GLACIER", ErrorCode::NotImplemented),
        ("x-amz-something-new", "1", ErrorCode::NotImplemented),
        ("x-amz-copy-source", "a/b", ErrorCode::NotImplemented),
        ("if-none-match", "*", ErrorCode::NotImplemented),
        ("content-encoding", "aws-chunked", ErrorCode::MissingContentLength),
        ("content-type", "a\r\nb", ErrorCode::InvalidArgument),
        ("content-md5", "x", ErrorCode::InvalidDigest),
        ("x-amz-checksum-sha1", "x", ErrorCode::InvalidRequest),
        ("x-amz-sdk-checksum-algorithm", "SHA1", ErrorCode::InvalidRequest),
        ("bucket", "other", ErrorCode::InvalidArgument),
    ] {
        let error = any(&[("key", "k"), (name, value)]).unwrap_err();
        assert_eq!(error.code(), code, "{name}: {error}");
        if code == ErrorCode::NotImplemented {
            assert!(error.message().contains(name), "{error}");
        }
        assert!(any(&[("key", "k"), (name, "")]).is_ok(), "an empty {name} is no use of it");
    }
    assert_eq!(any(&[("acl", "private")]).unwrap_err().code(), ErrorCode::InvalidArgument, "there must be a key");
    let metadata = "m".repeat(2048);
    assert_eq!(any(&[("key", "k"), ("x-amz-meta-a", &metadata)]).unwrap_err().code(), ErrorCode::MetadataTooLarge);
}

#[test]
fn answers_are_what_the_form_asks_for() {
    let success = |fields: &[(&str, &str)]| {
        let mut all = vec![("key", "k")];
        all.extend_from_slice(fields);
        let conditions: Vec<String> =
            all.iter().map(|(name, _)| format!("[\"starts-with\",\"${name}\",\"\"]")).collect();
        judge(&conditions.join(","), &all).unwrap().success
    };
    let no_content = Success::Empty(StatusCode::NO_CONTENT);
    assert_eq!(success(&[]), no_content);
    assert_eq!(success(&[("success_action_status", "200")]), Success::Empty(StatusCode::OK));
    assert_eq!(success(&[("success_action_status", "302")]), no_content);
    let to = "https://a.example/done?x=1#top";
    assert_eq!(success(&[("redirect", to)]), Success::Redirect(to.into()));
    assert_eq!(
        success(&[("success_action_redirect", to), ("success_action_status", "201")]),
        Success::Redirect(to.into())
    );
    for nowhere in ["/relative", "javascript:alert(1)", "http://", "ftp://a/b", "https://a/\u{1}"] {
        assert_eq!(success(&[("success_action_redirect", nowhere)]), no_content, "{nowhere:?}");
    }
    let posted = PostedObject { location: "http://h/b/k%20", bucket: "b", key: "k &<", etag: &ETag::Md5([0; 16]) };
    assert_eq!(
        posted.redirect(to),
        "https://a.example/done?x=1&bucket=b&key=k%20%26%3C&etag=%2200000000000000000000000000000000%22#top"
    );
    assert!(posted.redirect("http://h/").starts_with("http://h/?bucket=b&"));
    assert!(posted.to_xml().ends_with(
        "<PostResponse><Location>http://h/b/k%20</Location><Bucket>b</Bucket><Key>k &amp;&lt;</Key>\
         <ETag>&quot;00000000000000000000000000000000&quot;</ETag></PostResponse>"
    ));
}

#[test]
fn fields_are_bounded() {
    let mut form = Form::default();
    assert_eq!(form.room("key").unwrap(), (20 << 10) - 3);
    form.add("key", vec![b'k'; 20_000]).unwrap();
    assert_eq!(form.add("more", vec![b'k'; 1000]).unwrap_err().code(), ErrorCode::MaxPostPreDataLengthExceededError);
    assert!(form.room(&"n".repeat(1000)).is_err());
    assert_eq!(form.add("KEY", vec![]).unwrap_err().code(), ErrorCode::InvalidArgument, "twice");
    assert_eq!(form.add("bytes", vec![0xff]).unwrap_err().code(), ErrorCode::InvalidArgument);
    assert_eq!(form.room("more").unwrap(), (20 << 10) - 3 - 20_000 - 4, "what was refused takes no room");
    let mut many = Form::default();
    assert!((0..1000).any(|_| many.add("x-ignore-a", vec![]).is_err()), "empty fields are bounded too");
}

#[test]
fn boundaries_are_read() {
    for (text, expected) in [
        ("multipart/form-data; boundary=abc", Some("abc")),
        ("Multipart/Form-Data;charset=utf-8; Boundary=\"a b\"", Some("a b")),
        ("text/plain; boundary=abc", None),
        ("", None),
    ] {
        assert_eq!(boundary(text).unwrap().as_deref(), expected, "{text}");
    }
    let long = format!("multipart/form-data; boundary={}", "b".repeat(71));
    for bad in ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"a", &long] {
        assert_eq!(boundary(bad).unwrap_err().code(), ErrorCode::MalformedPOSTRequest, "{bad}");
    }
}

/// A part as the tests compare it: its name, its file's name, its bytes.
type Part = (String, Option<String>, Vec<u8>);

/// Everything of a form whose body arrives in pieces of these sizes, again and again.
fn read(body: &[u8], sizes: &[usize]) -> Result<Vec<Part>, S3Error> {
    let mut reader = Multipart::new("XX");
    let (mut rest, mut sizes) = (body, sizes.iter().cycle());
    let mut parts: Vec<Part> = Vec::new();
    loop {
        match reader.event()? {
            Event::NeedMore if rest.is_empty() => return Err(ErrorCode::IncompleteBody.into()),
            Event::NeedMore => {
                let (now, later) = rest.split_at((*sizes.next().unwrap()).clamp(1, rest.len()));
                reader.push(now);
                rest = later;
            }
            Event::Part { name, filename } => parts.push((name, filename, Vec::new())),
            Event::Data(bytes) => {
                assert!(!bytes.is_empty());
                parts.last_mut().unwrap().2.extend_from_slice(&bytes);
            }
            Event::PartEnd => {}
            Event::End => return Ok(parts),
        }
    }
}

const BODY: &[u8] = b"--XX\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nuser/\r\n--X\r\n--XX\r\n\
    content-disposition:form-data;name=empty\r\n\r\n\r\n--XX  \r\nContent-Disposition: form-data; name=\"file\"; \
    filename=\"C:\\a\\\"b;.txt\"\r\nContent-Type: text/plain\r\n\r\n\r\n\r\n--XX\r\nContent-Disposition: form-data; name=\"s\"\
    \r\n\r\n--\r\r\n--XX--\r\nepilogue --XX";

fn parts() -> Vec<Part> {
    let part =
        |name: &str, filename: Option<&str>, bytes: &[u8]| (name.into(), filename.map(Into::into), bytes.to_vec());
    vec![
        part("key", None, b"user/\r\n--X"),
        part("empty", None, b""),
        part("file", Some("C:\\a\"b;.txt"), b"\r\n"),
        part("s", None, b"--\r"),
    ]
}

#[test]
fn any_split_reads_the_same() {
    for first in 1..BODY.len() {
        assert_eq!(read(BODY, &[first, BODY.len()]).unwrap(), parts(), "split at {first}");
    }
    assert_eq!(read(BODY, &[1]).unwrap(), parts());
}

#[test]
fn what_is_no_form_is_refused() {
    let head = "Content-Disposition: form-data; name=\"a\"\r\n\r\n";
    let code = |body: &str| read(body.as_bytes(), &[7]).unwrap_err().code();
    for body in [
        "preamble\r\n--XX\r\n",
        "--YY\r\n",
        "--XXno\r\n",
        "--XX\r\nContent-Disposition: form-data\r\n\r\n",
        "--XX\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\n",
        "--XX\r\nContent-Type: text/plain\r\n\r\n",
        "--XX\r\nno colon\r\n\r\n",
        "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\n",
        &format!("--XX\r\nX: {}\r\n{head}", "y".repeat(9000)),
        &format!("--XX{}\r\n{head}", " ".repeat(100)),
    ] {
        assert_eq!(code(body), ErrorCode::MalformedPOSTRequest, "{body}");
    }
    for cut in 0..BODY.len() - 15 {
        assert_eq!(read(&BODY[..cut], &[5]).unwrap_err().code(), ErrorCode::IncompleteBody, "cut at {cut}");
    }
}

proptest! {
    #[test]
    fn random_bodies_never_panic(body in "(--XX|\r\n|\r|\n|--|Content-Disposition: form-data; name=|\"|a|;|=|:| ){0,40}", sizes in prop::collection::vec(1_usize..9, 1..5)) {
        drop(read(body.as_bytes(), &sizes));
    }

    #[test]
    fn files_come_out_as_they_went_in(file in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'X'), any::<u8>()], 0..200), sizes in prop::collection::vec(1_usize..40, 1..5)) {
        prop_assume!(memchr::memmem::find(&file, b"\r\n--XX").is_none());
        let body = [b"--XX\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n".as_slice(), &file, b"\r\n--XX--"].concat();
        prop_assert_eq!(&read(&body, &sizes).unwrap()[0].2, &file);
    }

    #[test]
    fn random_policies_never_panic(text in "[\\[\\]{}\":,$a-z0-9 -]{0,80}") {
        drop(Policy::parse(&STANDARD.encode(&text)));
        drop(Policy::parse(&text));
    }
}

/// The client's half, as the gateway's tests use it.
#[test]
fn signed_policies_verify() {
    let now_ms = parse_amz_date("20240101T000000Z").unwrap() * 1000;
    let signer = Signer { access_key_id: "AK", secret: SECRET, region: "r" };
    let fields = signer.sign_policy("{}", now_ms);
    let pairs: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let claim = form(&pairs).claim(&rules(now_ms)).unwrap();
    assert!(claim.verify(&SigningKey::derive(SECRET, claim.scope()), ()).is_ok());
    assert!(pairs.iter().any(|(name, value)| *name == "x-amz-date" && *value == amz_date(now_ms)));
}

//! Values of single headers, parameters and elements.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bolero::{check, produce};
use cairn_testkit::fuzz::{any_text, bytes, text};
use http::{HeaderMap, HeaderValue};
use md5::{Digest as _, Md5};

use crate::auth::Payload;
use crate::checksum::{Algorithm, Checksum};
use crate::conditions::{ETagMatch, IfRange, ReadConditions, Verdict};
use crate::copy_source::CopySource;
use crate::fields::Fields;
use crate::headers::{Metadata, ObjectHeaders, ResponseOverrides};
use crate::query::Query;
use crate::range::ByteRange;
use crate::{CustomerKey, ETag, ObjectKey, date, token, unquote, uri};

const DIGITS: &[&str] =
    &["0", "1", "9", "18446744073709551615", "18446744073709551616", "-", "+", " ", ",", "bytes", "="];

#[test]
fn ranges_lie_inside_the_object() {
    check!().with_generator((text(DIGITS, 8), produce::<u64>(), 0_u64..64)).for_each(|(text, size, small)| {
        for text in [text.clone(), format!("bytes={text}")] {
            let Some(range) = ByteRange::parse(&text) else { continue };
            assert_eq!(ByteRange::parse(&range.to_string()), Some(range), "it is written as it was meant");
            assert!(ByteRange::parse_copy_source(&text).is_err() || ByteRange::parse_copy_source(&text) == Ok(range));
            for size in [*size, *small] {
                if let Ok(span) = range.resolve(size) {
                    assert!(span.length >= 1 && span.offset + span.length <= size);
                    let whole = format!("/{size}");
                    assert!(
                        HeaderValue::from_str(&span.content_range(size))
                            .is_ok_and(|value| { value.as_bytes().ends_with(whole.as_bytes()) })
                    );
                }
                if let Ok(span) = range.resolve_copy_source(size) {
                    assert_eq!(range.resolve(size), Ok(span), "the strict reading allows no more");
                }
            }
        }
    });
}

const DATES: &[&str] = &[
    "Sun, ", "Sunday, ", "Mon ", "06", "6", " Nov ", "-Nov-", "11", "1994", "94", " ", "08:49:37", ":", "08", " GMT",
    "+0000", "Z", "T", "-", ".", "000", "084937", "19941106", "+", "9999", "1969", "60",
];

#[test]
fn dates_are_written_as_they_are_read() {
    check!().with_generator((text(DATES, 12), produce::<u64>())).for_each(|(text, at)| {
        if let Some(seconds) = date::parse_http_date(text) {
            assert_eq!(date::parse_http_date(&date::http_date(seconds * 1000)), Some(seconds));
        }
        if let Some(seconds) = date::parse_amz_date(text) {
            assert_eq!(date::amz_date(seconds * 1000), *text, "there is one way to write it");
        }
        if let Some(ms) = date::parse_iso_8601(text) {
            assert_eq!(date::parse_iso_8601(&date::iso_8601(ms)), Some(ms));
        }
        let at = at % 253_402_300_800_000;
        assert_eq!(date::parse_http_date(&date::http_date(at)), Some(at / 1000));
        assert_eq!(date::parse_amz_date(&date::amz_date(at)), Some(at / 1000));
        assert_eq!(date::parse_iso_8601(&date::iso_8601(at)), Some(at));
    });
}

#[test]
fn escapes_are_decoded_once() {
    check!().with_generator(bytes(&["%", "2", "F", "f", "%25", "%2F", "+", "/", "é"], 16)).for_each(|raw| {
        assert_eq!(uri::percent_decode(uri::encode_component(raw).as_bytes()).as_ref(), Some(&**raw));
        assert_eq!(uri::percent_decode(uri::encode_path(raw).as_bytes()).as_ref(), Some(&**raw));
        if let Some(decoded) = uri::percent_decode(raw) {
            assert!(decoded.len() <= raw.len());
            let escapes = raw.iter().filter(|byte| **byte == b'%').count();
            assert_eq!(decoded.len(), raw.len() - 2 * escapes, "each escape is one byte");
        }
    });
}

#[test]
fn queries_have_one_canonical_form() {
    check!()
        .with_generator(text(&["&", "=", "%", "%20", "+", "a", "acl", "X-Amz-Signature", ";", "é", "%C3"], 16))
        .for_each(|raw| {
            let Ok(query) = Query::parse(Some(raw)) else { return };
            let canonical = query.canonical(None);
            assert!(canonical.bytes().all(|byte| byte.is_ascii_graphic()));
            let again = Query::parse(Some(&canonical)).unwrap();
            assert_eq!(again.canonical(None), canonical, "the canonical form is its own");
            assert_eq!(again.iter().count(), query.iter().count());
            assert!(query.iter().all(|(name, _)| query.has(name)));
            let without = Query::parse(Some(&query.canonical(Some("X-Amz-Signature")))).unwrap();
            assert!(!without.has("X-Amz-Signature"));
        });
}

const TAGS: &[&str] = &[
    "\"",
    "W/",
    "*",
    ",",
    " ",
    "d41d8cd98f00b204e9800998ecf8427e",
    "-",
    "2",
    "+",
    "0",
    "D41D8CD98F00B204E9800998ECF8427E",
];

#[test]
fn tags_are_compared_as_they_are_written() {
    const MODIFIED: u64 = 784_111_777_000;
    let shape = (text(TAGS, 6), text(TAGS, 6), produce::<Option<u64>>(), produce::<Option<u64>>());
    check!().with_generator(shape).for_each(|(text, other, since, until)| {
        if let Ok(tag) = text.parse::<ETag>() {
            assert!(unquote(text).eq_ignore_ascii_case(&tag.to_string()), "{text} is not {tag}");
            assert_eq!(tag.quoted().parse(), Ok(tag));
            assert!(ETagMatch::parse(&tag.to_string()).matches(&tag) && ETagMatch::parse(&tag.quoted()).matches(&tag));
        }
        let own: ETag = "d41d8cd98f00b204e9800998ecf8427e".parse().unwrap();
        let conditions = ReadConditions {
            if_match: Some(ETagMatch::parse(text)).filter(|_| text.len() % 2 == 0),
            if_none_match: Some(ETagMatch::parse(other)).filter(|_| other.len() % 2 == 0),
            if_modified_since: *since,
            if_unmodified_since: *until,
        };
        let verdict = conditions.evaluate(&own, MODIFIED);
        assert_eq!(conditions.check(&own, MODIFIED).is_ok(), verdict == Verdict::Proceed);
        assert_eq!(conditions.check_copy_source(&own, MODIFIED).is_ok(), verdict == Verdict::Proceed);
        // RFC 9110 §13.2.2: a date counts only where there is no tag of its kind.
        let held = conditions
            .if_match
            .as_ref()
            .map_or(until.is_none_or(|until| MODIFIED / 1000 <= until), |m| m.matches(&own));
        assert_eq!(matches!(verdict, Verdict::Failed(_)), !held);
        let weak = IfRange::parse(text);
        assert!(!text.trim().starts_with("W/") || !weak.holds(&own, MODIFIED), "a weak tag never holds");
    });
}

#[test]
fn copy_sources_name_what_they_say() {
    let words =
        &["/", "bucket", "key", "%2F", "%", "?versionId=", "null", "é", "..", "arn:", "%3FversionId=", "+", "a"];
    check!().with_generator(text(words, 10)).for_each(|text| {
        let Ok(source) = CopySource::parse(text) else { return };
        assert!((1..=ObjectKey::MAX_LEN).contains(&source.key.as_bytes().len()));
        let version = source.version.as_ref().map(|version| format!("?versionId={}", version.as_str()));
        let written =
            format!("{}/{}{}", source.bucket, uri::encode_path(source.key.as_bytes()), version.unwrap_or_default());
        assert_eq!(CopySource::parse(&written), Ok(source));
    });
}

#[test]
fn tokens_come_back_or_are_refused() {
    check!().with_generator((any_text(20), text(&["A", "Q", "=", "-", "_", "AW", "AWE"], 8))).for_each(
        |(place, token)| {
            assert_eq!(token::decode(&token::encode(place)).as_ref(), Ok(place));
            if let Ok(place) = token::decode(token) {
                assert_eq!(token::encode(&place), *token, "a place has one token");
            }
        },
    );
}

#[test]
fn digests_and_kinds_of_payload_are_exact() {
    let words = &["A", "=", "==", "+", "/", "-", "sOO8/Q==", "UNSIGNED-PAYLOAD", "STREAMING-", "-TRAILER", "e3b0c442"];
    check!().with_generator((text(words, 12), produce::<[u8; 32]>(), 0_usize..5)).for_each(|(text, raw, at)| {
        for algorithm in Algorithm::ALL {
            if let Some(value) = Checksum::from_base64(algorithm, text) {
                assert_eq!((value.to_string(), value.algorithm()), (text.clone(), algorithm));
            }
        }
        let algorithm = Algorithm::ALL[*at];
        let length = [4, 4, 8, 20, 32][*at];
        let value = Checksum::from_bytes(algorithm, &raw[..length]).unwrap();
        assert_eq!(Checksum::from_base64(algorithm, &value.to_string()), Some(value));

        for text in [text.clone(), hex::encode(raw)] {
            let Ok(header) = HeaderValue::from_str(&text) else { continue };
            let (query, headers) =
                (Query::default(), HeaderMap::from_iter([("x-amz-content-sha256".parse().unwrap(), header)]));
            if let Ok(Some(payload)) = Payload::read(&Fields::new(&headers, &query)) {
                assert_eq!(payload.to_string(), text.trim());
            }
        }
    });
}

#[test]
fn a_customers_key_is_whole_or_refused() {
    let shape =
        (produce::<Vec<u8>>().with().len(0_usize..40), produce::<[u8; 32]>(), 0_u8..4, text(&["AES256", "=", "A"], 3));
    check!().with_generator(shape).for_each(|(bytes, good, wrong, text)| {
        let md5 = |key: &[u8]| STANDARD.encode(Md5::digest(key));
        let (algorithm, key, digest) = match wrong {
            0 => (text.clone(), STANDARD.encode(good), md5(good)),
            1 => ("AES256".to_owned(), STANDARD.encode(bytes), md5(bytes)),
            2 => ("AES256".to_owned(), STANDARD.encode(good), STANDARD.encode(bytes)),
            _ => ("AES256".to_owned(), STANDARD.encode(good), md5(good)),
        };
        let read = CustomerKey::of_form(|name| {
            Some(match name.rsplit('-').next() {
                Some("algorithm") => algorithm.clone(),
                Some("key") => key.clone(),
                _ => digest.clone(),
            })
        });
        if let Ok(Some(read)) = &read {
            assert_eq!((algorithm.as_str(), &key), ("AES256", &STANDARD.encode(read.reveal())));
            assert_eq!(digest, md5(read.reveal()));
        }
        assert!(*wrong != 3 || matches!(read, Ok(Some(_))));
    });
}

/// What is kept with an object comes back byte for byte, encoded words of RFC 2047 and raw UTF-8 alike.
#[test]
fn kept_headers_come_back_as_they_went() {
    let words = &["=?UTF-8?B?", "=?utf-8?Q?", "?=", "=C3=A9", "w6k=", "_", " ", "é", "\t", ",", "=?iso-8859-1?Q?", "a"];
    let value = || (bytes(words, 8), text(words, 8));
    check!().with_generator((value(), any_text(12))).for_each(|((raw, hoisted), name)| {
        let Ok(value) = HeaderValue::from_bytes(raw.trim_ascii()) else { return };
        let headers = HeaderMap::from_iter([
            ("x-amz-meta-a".parse().unwrap(), value.clone()),
            ("cache-control".parse().unwrap(), value.clone()),
        ]);
        let written = format!("x-amz-meta-b={}", uri::encode_component(hoisted.as_bytes()));
        let query = Query::parse(Some(&written)).unwrap();
        let fields = Fields::new(&headers, &query);
        if let (Ok(metadata), Ok(kept)) = (Metadata::read(&fields), ObjectHeaders::read(&fields)) {
            let mut answer = HeaderMap::new();
            metadata.write(&mut answer);
            kept.write(&ResponseOverrides::default(), &mut answer);
            assert_eq!(answer["x-amz-meta-a"], value);
            assert_eq!(answer["x-amz-meta-b"].as_bytes(), hoisted.as_bytes());
            assert_eq!(answer.get("cache-control").map_or(&b""[..], HeaderValue::as_bytes), value.as_bytes());
        }
        // Of a damaged row: it may lose a value, never split a header.
        let mut answer = HeaderMap::new();
        Metadata::from_pairs(vec![(name.clone(), name.clone())]).write(&mut answer);
        assert!(answer.len() <= 1 && answer.values().all(|value| !value.as_bytes().contains(&b'\n')));
    });
}

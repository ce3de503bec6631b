//! POST forms and their policies.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bolero::{check, produce};
use cairn_testkit::fuzz::{bytes, cuts, list, pieces, text};

use super::heads::{check_error, one_of};
use crate::auth::Rules;
use crate::error::ErrorCode;
use crate::form::{Event, Form, Multipart, Policy, boundary};

const NOW_MS: u64 = 1_700_000_000_000;

const FORM: &[&str] = &[
    "--XX",
    "--XX--",
    "\r\n",
    "\r\n\r\n",
    "\r",
    "\n",
    "--",
    "Content-Disposition: form-data; ",
    "name=\"key\"",
    "name=",
    "filename=\"",
    "\"",
    "\\",
    "; ",
    "a",
    ":",
    "Content-Type: text/plain",
    "\r\n--XX\r\n",
    "--XX\r\n",
    " ",
    "-",
    "X",
    "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n",
    "\r\n--XX--\r\n",
    "é",
];

/// A form as events, with pieces of data that follow each other joined.
fn events(wire: &[&[u8]]) -> Result<Vec<Event>, ErrorCode> {
    let mut form = Multipart::new("XX");
    let mut events: Vec<Event> = vec![];
    let mut wire = wire.iter();
    loop {
        match form.event().map_err(|error| error.code())? {
            Event::NeedMore => match wire.next() {
                Some(piece) => form.push(piece),
                None => return Err(ErrorCode::IncompleteBody),
            },
            Event::End => return Ok(events),
            Event::Data(next) => match events.last_mut() {
                Some(Event::Data(data)) => *data = [data.as_ref(), next.as_ref()].concat().into(),
                _ => events.push(Event::Data(next)),
            },
            event @ (Event::Part { .. } | Event::PartEnd) => events.push(event),
        }
    }
}

#[test]
fn any_split_of_a_form_reads_the_same() {
    check!().with_generator((bytes(FORM, 24), cuts())).for_each(|(raw, cuts)| {
        let framed =
            [b"--XX\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n", raw.as_slice(), b"\r\n--XX--"].concat();
        for body in [raw.to_vec(), framed] {
            let whole = events(&[&body]);
            assert_eq!(events(&pieces(&body, cuts)), whole);
            let Ok(events) = whole else { continue };
            let data: usize =
                events.iter().map(|event| if let Event::Data(data) = event { data.len() } else { 0 }).sum();
            assert!(data <= body.len());
            let opened = events.iter().filter(|event| matches!(event, Event::Part { .. })).count();
            assert_eq!(events.iter().filter(|event| **event == Event::PartEnd).count(), opened);
        }
    });
}

/// What has no delimiter in it comes out of the form as it went in.
#[test]
fn files_come_out_as_they_went_in() {
    let shape = (bytes(&["\r\n--X", "\r\n", "--", "\r", "-", "X", "file"], 40), cuts());
    check!().with_generator(shape).for_each(|(file, cuts)| {
        if file.windows(6).any(|window| window == b"\r\n--XX") {
            return;
        }
        let body =
            [b"--XX\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n", file.as_slice(), b"\r\n--XX--"].concat();
        let events = events(&pieces(&body, cuts)).unwrap();
        let data: Vec<u8> = events
            .iter()
            .flat_map(|event| if let Event::Data(data) = event { data.to_vec() } else { vec![] })
            .collect();
        assert_eq!(data, **file);
    });
}

#[test]
fn boundaries_can_stand_in_a_form() {
    let words = &["multipart/form-data", ";", " ", "boundary=", "\"", "\\", "a", "=", "é", "charset=utf-8", "Boundary"];
    check!().with_generator(text(words, 10)).for_each(|text| match boundary(text) {
        Ok(Some(found)) => {
            assert!((1..=70).contains(&found.len()) && found.is_ascii());
            assert!(text.contains(&found) || text.contains('\\'));
        }
        Ok(None) => {}
        Err(error) => check_error(&error),
    });
}

const POLICY: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\"expiration\":",
    "\"2030-01-01T00:00:00.000Z\"",
    "\"conditions\":",
    "\"eq\"",
    "\"starts-with\"",
    "\"content-length-range\"",
    "\"$key\"",
    "\"\"",
    "0",
    "1",
    "-1",
    "1e9",
    "18446744073709551615",
    "null",
    "{\"bucket\":\"bucket\"}",
    "[\"starts-with\",\"$key\",\"\"]",
    "{\"expiration\":\"2030-01-01T00:00:00Z\",\"conditions\":[",
    "]}",
    "\\u0000",
    "é",
];

#[test]
fn policies_are_read_whole_or_refused() {
    check!().with_generator((bytes(POLICY, 20), text(&["e", "yJ", "=", "\n", "-"], 6))).for_each(|(raw, text)| {
        let framed = [b"{\"expiration\":\"2030-01-01T00:00:00Z\",\"conditions\":[", raw.as_slice(), b"]}"].concat();
        for field in [STANDARD.encode(&**raw), STANDARD.encode(framed), text.clone()] {
            if let Err(error) = Policy::parse(&field) {
                check_error(&error);
                assert_eq!(error.code(), ErrorCode::InvalidPolicyDocument);
            }
        }
    });
}

const FIELDS: &[&str] =
    &["key", "Content-Type", "x-amz-meta-a", "success_action_status", "X-Ignore-Me", "own", "acl", "bucket"];
const VALUES: &[&str] =
    &["", "user/", "user/a", "image/png", "image/png,text/html", "image/png, image/gif", "201", "bucket", "private"];

/// One condition: whether it must be equal, the field and the text.
type Rule = (bool, &'static str, &'static str);

/// A form is stored only if every field has a condition, and every condition holds: judged here by the words of AWS's
/// documentation, over fields and conditions of any kind.
#[test]
fn a_form_is_stored_as_its_policy_says() {
    let rule = || (produce::<bool>(), one_of(FIELDS), one_of(VALUES));
    let rules = list(rule(), 0..7);
    let fields = list((one_of(FIELDS), one_of(VALUES)), 0..5);
    let sizes = produce::<Vec<(u8, u8)>>().with().len(0_usize..3);
    check!().with_generator((rules, fields, sizes)).for_each(|(rules, fields, sizes)| {
        let mut conditions: Vec<String> = rules
            .iter()
            .map(|(equal, field, value)| {
                format!("[\"{}\", \"${field}\", \"{value}\"]", if *equal { "eq" } else { "starts-with" })
            })
            .collect();
        conditions.extend(sizes.iter().map(|(least, most)| format!("[\"content-length-range\", {least}, \"{most}\"]")));
        let policy =
            format!("{{\"expiration\": \"2030-01-01T00:00:00Z\", \"conditions\": [{}]}}", conditions.join(", "));
        let mut form = Form::default();
        let added: Vec<bool> =
            fields.iter().map(|(name, value)| form.add(name, value.as_bytes().to_vec()).is_ok()).collect();
        form.add("policy", STANDARD.encode(policy).into_bytes()).unwrap();
        let kept: Vec<(String, &str)> = fields
            .iter()
            .zip(added)
            .filter(|(_, added)| *added)
            .map(|((name, value), _)| (name.to_ascii_lowercase(), *value))
            .collect();
        let uploaded = form.upload("bucket".parse().unwrap(), NOW_MS);
        let allowed = allows(rules, &kept);
        match &uploaded {
            Err(error) => {
                check_error(error);
                assert!(!allowed || error.code() != ErrorCode::AccessDenied, "{error}");
            }
            Ok(upload) => {
                assert!(allowed, "{rules:?} do not allow {kept:?}");
                assert!(kept.iter().any(|(name, value)| name == "key" && *value == upload.object.key.as_str()));
                let least = sizes.iter().map(|(least, _)| u64::from(*least)).max().unwrap_or(0);
                let most = sizes.iter().map(|(_, most)| u64::from(*most)).min().unwrap_or(5 << 30);
                assert_eq!(upload.size, least..=most);
            }
        }
    });
}

fn allows(rules: &[Rule], fields: &[(String, &str)]) -> bool {
    let value = |name: &str| match name {
        "bucket" => "bucket",
        _ => fields.iter().find(|(own, _)| own == name).map_or("", |(_, value)| *value),
    };
    let holds = |(equal, field, wanted): &Rule| {
        let field = field.to_ascii_lowercase();
        let found = value(&field);
        match (equal, field.as_str()) {
            (true, _) => found == *wanted,
            (false, "content-type") => found.split(',').all(|one| one.trim().starts_with(wanted)),
            (false, _) => found.starts_with(wanted),
        }
    };
    let covered: BTreeSet<String> = rules.iter().map(|(_, field, _)| field.to_ascii_lowercase()).collect();
    rules.iter().all(holds) && fields.iter().all(|(name, _)| name.starts_with("x-ignore-") || covered.contains(name))
}

#[test]
fn fields_and_claims_are_bounded_and_never_proven() {
    let names = &["key", "policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature", "a", "Key"];
    let words = &[
        "${filename}",
        "AWS4-HMAC-SHA256",
        "A/20231114/r/s3/aws4_request",
        "20231114T000000Z",
        "e30=",
        "a",
        "/",
        "\\",
    ];
    let field = (one_of(names), text(words, 4));
    let fields = list(field, 0..9);
    check!().with_generator((fields, text(words, 3), 0..30_000)).for_each(|(fields, filename, long)| {
        let mut form = Form::default();
        let mut names = BTreeSet::new();
        for (name, value) in fields {
            let added = form.add(name, value.clone().into_bytes()).is_ok();
            assert_eq!(added, names.insert(name.to_ascii_lowercase()), "each once");
        }
        assert_eq!(form.add("long", vec![b'x'; *long]).is_ok(), *long <= form_room(fields), "{long}");
        let rules = Rules { now_ms: NOW_MS, region: None, refuse_unsigned_payload: false };
        if let Err(error) = form.claim(&rules) {
            check_error(&error);
        }
        if form.name_file(Some(filename)).is_ok() {
            assert!(form.upload("bucket".parse().unwrap(), NOW_MS).is_err(), "no such policy allows anything");
        }
    });
}

/// What is left of 20 KiB for a field `long`.
fn form_room(fields: &[(&str, String)]) -> usize {
    let mut names = BTreeSet::new();
    let kept = fields.iter().filter(|(name, _)| names.insert(name.to_ascii_lowercase()));
    (20 << 10) - "long".len() - kept.map(|(name, value)| name.len() + value.len()).sum::<usize>()
}

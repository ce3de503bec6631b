//! CORS rules against requests.

use bolero::{ValueGenerator, check, produce};
use cairn_testkit::fuzz::{list, text};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::heads::one_of;
use crate::cors::{Cors, RuleText};
use crate::operation::Preflight;

const ORIGINS: &[&str] = &["http://", "https://", "a", "b", ".", "*", "null", ":80", "example.com", "A", " ", "\r\n"];
const HEADERS: &[&str] = &["x-", "amz-", "a", "b", "*", "X-", "Content-Type", ":", " ", "é"];
const METHODS: &[&str] = &["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH", "get", ""];

fn texts(words: &'static [&'static str], most: usize) -> impl ValueGenerator<Output = Vec<String>> {
    list(text(words, 3), 0..most + 1)
}

fn rules() -> impl ValueGenerator<Output = Vec<RuleText>> {
    let methods = list(one_of(METHODS), 0..3);
    let rule = (texts(ORIGINS, 2), methods, texts(HEADERS, 2), texts(HEADERS, 1), produce::<Option<u32>>()).map_gen(
        |(allowed_origins, methods, allowed_headers, expose_headers, max_age_s)| RuleText {
            id: None,
            allowed_origins,
            allowed_methods: methods.into_iter().map(str::to_owned).collect(),
            allowed_headers,
            expose_headers,
            max_age_s,
        },
    );
    list(rule, 1..4)
}

/// What AWS's guide says a star means, in other words than the code's: any way to fill it makes the text.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => {
            text.len() >= before.len() + after.len() && text.starts_with(before) && text.ends_with(after)
        }
    }
}

fn origin_fits(pattern: &str, origin: &str) -> bool {
    fits(pattern, origin) && (origin != "null" || matches!(pattern, "*" | "null"))
}

fn allows(rule: &RuleText, origin: &str, method: &str) -> bool {
    rule.allowed_methods.iter().any(|own| own == method)
        && rule.allowed_origins.iter().any(|own| origin_fits(own, origin))
}

#[test]
fn only_what_a_rule_allows_is_answered() {
    let asked = (text(ORIGINS, 4), one_of(METHODS), texts(HEADERS, 2));
    check!().with_generator((rules(), asked)).for_each(|(texts, (origin, method, headers))| {
        let Ok(cors) = Cors::new(texts.clone()) else { return };
        assert_eq!(cors.to_texts(), *texts);
        let names: Vec<String> = headers.iter().map(|name| name.to_ascii_lowercase()).collect();
        let asked = Preflight {
            bucket: None,
            key: None,
            origin: origin.clone(),
            method: (*method).to_owned(),
            headers: names.clone(),
        };
        let expected = texts.iter().find(|rule| {
            allows(rule, origin, method)
                && names.iter().all(|name| rule.allowed_headers.iter().any(|own| fits(&own.to_ascii_lowercase(), name)))
        });
        let grant = cors.preflight(&asked);
        assert!(grant.is_none() || expected.is_some(), "nobody allowed {origin} {method} {names:?}");
        let sendable = origin.parse::<HeaderValue>().is_ok_and(|origin| origin.to_str().is_ok())
            && names.iter().all(|name| name.parse::<HeaderName>().is_ok());
        if let (Some(rule), true) = (expected, sendable) {
            let mut answer = HeaderMap::new();
            grant.unwrap_or_else(|| panic!("{origin} {method} {names:?} is allowed")).apply(&mut answer);
            check_answer(&answer, rule, origin);
        }
        let (Ok(value), Ok(method)) = (origin.parse::<HeaderValue>(), method.parse::<Method>()) else { return };
        let plain = value.to_str().is_ok();
        let expected = texts.iter().find(|rule| plain && allows(rule, origin, method.as_str()));
        let grant = cors.actual(&method, &HeaderMap::from_iter([(http::header::ORIGIN, value)]));
        assert_eq!(grant.is_some(), expected.is_some());
        if let (Some(grant), Some(rule)) = (grant, expected) {
            let mut answer = HeaderMap::new();
            grant.apply(&mut answer);
            check_answer(&answer, rule, origin);
        }
    });
}

fn check_answer(answer: &HeaderMap, rule: &RuleText, origin: &str) {
    let any = rule.allowed_origins.iter().any(|own| own == "*");
    assert_eq!(answer["access-control-allow-origin"], if any { "*" } else { origin });
    let credentials = answer.contains_key("access-control-allow-credentials");
    assert_eq!(credentials, !any && origin != "null");
    assert!(answer.contains_key("vary"));
}

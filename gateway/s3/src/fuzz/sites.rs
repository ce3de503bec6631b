//! Requests to web sites, and the way through their rules.

use bolero::{ValueGenerator, check, produce};
use cairn_testkit::fuzz::{any_text, list, text};
use http::{HeaderValue, StatusCode, Uri};

use super::heads::{METHODS, check_error, one_of};
use super::words::{head, headers};
use crate::site::{Asked, Hosts, SiteRequest, Step, Visit};
use crate::website::{Condition, KeyChange, Pages, Protocol, Redirect, Rule, Website};

const NAMES: &[&str] = &[
    "host",
    "range",
    "if-range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "accept-encoding",
    "origin",
    "access-control-request-method",
    "access-control-request-headers",
];
const VALUES: &[&str] = &[
    "bucket.web.example.com",
    "web.example.com",
    "bucket",
    ":",
    "80",
    ".",
    "bytes=",
    "0-1",
    "*",
    "\"a\"",
    ", ",
    "gzip",
    "br",
    ";q=",
    "0.5",
    "1.000",
    "0",
    "identity",
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "é",
    "http://a",
    "GET",
];

#[test]
fn requests_to_sites_are_read_or_refused() {
    let paths = text(&["/", "a", "%2F", "%", "..", "%C3%A9", "%ff", "?", "=", "é", "\\"], 8);
    check!().with_generator((one_of(METHODS), paths, headers(NAMES, VALUES, 5))).for_each(|(method, path, headers)| {
        let Some(parts) = head(method, &format!("/{path}"), headers) else { return };
        let hosts = Hosts::new(Some("web.example.com"));
        match SiteRequest::read(&parts, &hosts) {
            Err(error) => check_error(&error),
            Ok(request) => {
                assert_eq!(hosts.bucket(&request.authority).as_ref(), Some(&request.bucket));
                assert!(request.range.is_none() || request.encodings.is_empty());
                let written = crate::uri::encode_path(request.key.as_bytes());
                let path = parts.uri.path().strip_prefix('/').unwrap_or_default();
                assert_eq!(crate::uri::percent_decode(path.as_bytes()), crate::uri::percent_decode(written.as_bytes()));
            }
        }
        if let Err(error) = SiteRequest::preflight(&parts, &hosts) {
            check_error(&error);
        }
    });
}

const KEYS: &[&str] = &["", "/", "docs", "a", "//", "index.html", "%", "?", "#", "é", " ", "..", "\\", "\r\n"];

fn rules() -> impl ValueGenerator<Output = Vec<Rule>> {
    let change = (0_u8..3, text(KEYS, 3)).map_gen(|(kind, text)| match kind {
        0 => None,
        1 => Some(KeyChange::Prefix(text)),
        _ => Some(KeyChange::Whole(text)),
    });
    let condition = (produce::<bool>(), text(KEYS, 2), 0_u8..3).map_gen(|(any, prefix, code)| Condition {
        key_prefix: (!any).then_some(prefix),
        error_code: [None, Some(404), Some(403)][usize::from(code)],
    });
    let redirect = (0_u8..3, produce::<bool>(), change).map_gen(|(host, https, key)| Redirect {
        host: [None, Some("example.com".to_owned()), Some("example.com:80/a".to_owned())][usize::from(host)].clone(),
        protocol: https.then_some(Protocol::Https),
        code: None,
        key,
    });
    let rule = (condition, redirect).map_gen(|(condition, redirect)| Rule { condition, redirect });
    list(rule, 0..4)
}

/// Whatever the rules are and whatever is there, a visit ends, and leads where a browser can go.
#[test]
fn visits_end_and_lead_somewhere() {
    let site = (rules(), produce::<Option<bool>>());
    let asked = (text(KEYS, 5), produce::<Option<()>>(), any_text(8));
    let answers = produce::<Vec<(u8, bool)>>().with().len(6_usize);
    check!().with_generator((site, asked, answers)).for_each(|((rules, error), (key, has_query, query), answers)| {
        let error_key = error.map(|long| if long { "e".repeat(2000) } else { "error.html".to_owned() });
        let pages = Pages { index_suffix: "index.html".to_owned(), error_key, rules: rules.clone() };
        let website = Website::Pages(pages);
        assert!(website.check().is_ok());
        let asked = Asked {
            protocol: Protocol::Http,
            authority: "bucket.web.example.com",
            key,
            query: has_query.map(|()| query.as_str()),
        };
        let (mut visit, mut step) = Visit::begin(&website, asked);
        let mut looks = 0;
        let mut own = None;
        for (answer, redirects) in answers {
            let Step::Look(_) = step else { break };
            looks += 1;
            own = redirects.then_some("/elsewhere");
            step = match answer % 3 {
                0 => visit.found(own),
                1 => visit.missing(),
                _ => visit.failed(StatusCode::FORBIDDEN),
            };
        }
        assert!(looks <= 4 && !matches!(step, Step::Look(_)), "it goes on and on");
        let Step::Redirect { status, location } = step else { return };
        assert!(status.is_redirection());
        let value = HeaderValue::from_str(&location).unwrap();
        assert!(value.to_str().is_ok_and(|text| !text.contains([' ', '"', '<'])), "{location}");
        if own.is_some_and(|own| own == location) {
            return;
        }
        // No redirect of the visitor's choosing: another host only where a rule names one.
        let (host, _) = split(&location);
        let named = rules.iter().filter_map(|rule| rule.redirect.host.as_deref()).any(|rule| rule.starts_with(host));
        assert!(host.is_empty() || host == asked.authority || named, "{location} for {key:?}");
        assert!(!location.starts_with("//") && !location.starts_with("/\\"), "{location} for {key:?}");
    });
}

/// Host (none: the same) and path of a `Location`.
fn split(location: &str) -> (&str, &str) {
    let Some(rest) = location.strip_prefix("http://").or_else(|| location.strip_prefix("https://")) else {
        return ("", location);
    };
    rest.split_at(rest.find('/').unwrap_or(rest.len()))
}

#[test]
fn everything_redirected_goes_to_one_host() {
    check!().with_generator((text(KEYS, 5), any_text(8))).for_each(|(key, query)| {
        let website = Website::RedirectAll { host: "example.com".to_owned(), protocol: None };
        let asked = Asked { protocol: Protocol::Https, authority: "bucket", key, query: Some(query) };
        let (_, Step::Redirect { location, .. }) = Visit::begin(&website, asked) else { panic!("it redirects") };
        assert_eq!(split(&location).0, "example.com");
        assert_eq!(location.parse::<Uri>().unwrap().host(), Some("example.com"), "{location}");
    });
}

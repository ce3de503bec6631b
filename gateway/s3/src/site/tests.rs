use http::StatusCode;
use proptest::prelude::*;

use super::*;
use crate::error::ErrorCode;
use crate::uri::percent_decode;
use crate::website::{Protocol, Website};
use crate::xml::read;

/// `index=index.html error=404.html` and rules, each `PREFIX|CODE -> HOST|PROTOCOL|STATUS|CHANGE` with `-` for what it
/// does not say; a change is `=key` or `^prefix`.
fn site(text: &str) -> Website {
    let mut xml = String::new();
    let mut rules = String::new();
    let some = |name: &str, text: &str| {
        if text == "-" { String::new() } else { format!("<{name}>{text}</{name}>") }
    };
    for line in text.lines().map(str::trim) {
        if let Some(host) = line.strip_prefix("all=") {
            xml += &format!("<RedirectAllRequestsTo>{}</RedirectAllRequestsTo>", host_and_protocol(host));
        } else if let Some((condition, redirect)) = line.split_once(" -> ") {
            let (prefix, code) = condition.split_once('|').unwrap();
            let condition = some("KeyPrefixEquals", prefix) + &some("HttpErrorCodeReturnedEquals", code);
            let condition =
                if condition.is_empty() { condition } else { format!("<Condition>{condition}</Condition>") };
            let [host, protocol, status, change] = redirect.split('|').collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            let change = match change.split_at(1) {
                ("=", key) => format!("<ReplaceKeyWith>{key}</ReplaceKeyWith>"),
                ("^", prefix) => format!("<ReplaceKeyPrefixWith>{prefix}</ReplaceKeyPrefixWith>"),
                _ => String::new(),
            };
            let redirect =
                some("HostName", host) + &some("Protocol", protocol) + &some("HttpRedirectCode", status) + &change;
            rules += &format!("<RoutingRule>{condition}<Redirect>{redirect}</Redirect></RoutingRule>");
        } else {
            for word in line.split(' ') {
                xml += &match word.split_once('=').unwrap() {
                    ("index", suffix) => format!("<IndexDocument><Suffix>{suffix}</Suffix></IndexDocument>"),
                    ("error", key) => format!("<ErrorDocument><Key>{key}</Key></ErrorDocument>"),
                    other => panic!("{other:?}"),
                };
            }
        }
    }
    if !rules.is_empty() {
        xml += &format!("<RoutingRules>{rules}</RoutingRules>");
    }
    read::website(format!("<WebsiteConfiguration>{xml}</WebsiteConfiguration>").as_bytes()).unwrap()
}

fn host_and_protocol(text: &str) -> String {
    match text.split_once("://") {
        Some((protocol, host)) => format!("<HostName>{host}</HostName><Protocol>{protocol}</Protocol>"),
        None => format!("<HostName>{text}</HostName>"),
    }
}

/// Objects by name; `a -> b` redirects, `a !403` cannot be shown.
type Objects<'a> = &'a [&'a str];

/// What a visitor of `http://site.example/PATH` sees: `200 key`, `302 location` or `404`; and how often was looked.
fn visit(website: &Website, path: &str, objects: Objects<'_>) -> (String, usize) {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let key = percent_decode(path.strip_prefix('/').unwrap().as_bytes()).unwrap();
    let key = String::from_utf8(key).unwrap();
    let asked = Asked { protocol: Protocol::Http, authority: "site.example", key: &key, query };
    let (mut visit, mut step) = Visit::begin(website, asked);
    let mut looks = 0;
    loop {
        step = match step {
            Step::Look(key) => {
                looks += 1;
                let found = objects.iter().find_map(|object| {
                    let (name, rest) = object.split_once(' ').unwrap_or((object, ""));
                    (name == key.as_str()).then_some(rest)
                });
                match found {
                    None => visit.missing(),
                    Some("") => match visit.found(None) {
                        Step::Serve(status) => return (format!("{} {key}", status.as_u16()), looks),
                        other => other,
                    },
                    Some(rest) => match (rest.strip_prefix("-> "), rest.strip_prefix('!')) {
                        (Some(location), _) => match visit.found(Some(location)) {
                            Step::Serve(status) => return (format!("{} {key}", status.as_u16()), looks),
                            other => other,
                        },
                        (_, Some(code)) => visit.failed(code.parse().unwrap()),
                        _ => panic!("{rest}"),
                    },
                }
            }
            Step::Redirect { status, location } => return (format!("{} {location}", status.as_u16()), looks),
            Step::Refuse(status) => return (status.as_u16().to_string(), looks),
            Step::Serve(_) => panic!("served without a look"),
        };
    }
}

#[track_caller]
fn check(config: &str, objects: Objects<'_>, cases: &[(&str, &str)]) {
    let website = site(config);
    for (path, expected) in cases {
        assert_eq!(visit(&website, path, objects).0, *expected, "{path} of {config}");
    }
}

#[test]
fn indexes_at_any_depth() {
    check(
        "index=index.html",
        &["index.html", "photo/index.html", "a/b/c/index.html", "page", "page/index.html", "a//index.html"],
        &[
            ("/", "200 index.html"),
            ("/index.html", "200 index.html"),
            ("/photo/", "200 photo/index.html"),
            ("/photo", "302 /photo/"),
            ("/photo?v=1", "302 /photo/?v=1"),
            ("/a/b/c", "302 /a/b/c/"),
            ("/a/b/c/", "200 a/b/c/index.html"),
            ("/a//", "200 a//index.html"),
            ("/a/b", "404"),
            ("/a/b/", "404"),
            ("/page", "200 page"),
            ("/page/", "200 page/index.html"),
            ("/none", "404"),
        ],
    );
    check("index=index.html", &[], &[("/", "404")]);
}

#[test]
fn error_documents_keep_the_status() {
    let objects = &["errors/4xx.html", "secret !403", "sealed !400", "broken !503"];
    check(
        "index=index.html error=errors/4xx.html",
        objects,
        &[
            ("/none", "404 errors/4xx.html"),
            ("/none/", "404 errors/4xx.html"),
            ("/secret", "403 errors/4xx.html"),
            ("/sealed", "400 errors/4xx.html"),
            ("/broken", "503"),
            ("/errors/4xx.html", "200 errors/4xx.html"),
        ],
    );
    check("index=index.html error=missing.html", &["secret !403"], &[("/none", "404"), ("/secret", "403")]);
    check("index=index.html error=e", &["e !400"], &[("/none", "404"), ("/e", "400")]);
    check("index=index.html error=e", &["e -> /elsewhere"], &[("/none", "404 e")]);
}

#[test]
fn objects_redirect() {
    check(
        "index=index.html",
        &["old -> /new", "far -> https://example.com/a b", "moved/index.html -> /else/", "index.html -> /home?x#y"],
        &[
            ("/old", "301 /new"),
            ("/far", "301 https://example.com/a%20b"),
            ("/moved/", "301 /else/"),
            ("/moved", "302 /moved/"),
            ("/", "301 /home?x#y"),
        ],
    );
}

#[test]
fn rules_before_and_after() {
    check(
        "index=index.html error=e.html
         docs/|- -> -|-|-|^documents/
         images/|- -> -|-|-|=folder-deleted.html
         strip/|- -> -|-|307|^
         far/|- -> other.example|https|308|^
         both/|404 -> other.example|-|-|-
         -|404 -> -|-|302|^#!/
         -|503 -> status.example|-|302|=down?from=here",
        &["docs/there", "both/here", "e.html", "broken !503", "secret !403"],
        &[
            ("/docs/there", "301 http://site.example/documents/there"),
            ("/docs/a%20b%2F%C3%A9?q=1", "301 http://site.example/documents/a%20b/%C3%A9?q=1"),
            ("/images/cat.jpg?x=y", "301 http://site.example/folder-deleted.html?x=y"),
            ("/strip/a/b", "307 http://site.example/a/b"),
            ("/far/away", "308 https://other.example/away"),
            ("/both/here", "200 both/here"),
            ("/both/gone", "301 http://other.example/both/gone"),
            ("/app/view/1", "302 http://site.example/#!/app/view/1"),
            ("/app?q", "302 http://site.example/#!/app"),
            ("/broken", "302 http://status.example/down?from=here"),
            ("/secret", "403 e.html"),
        ],
    );
    check(
        "index=index.html
         -|- -> all.example|-|302|-
         never|- -> -|-|-|=x",
        &["index.html"],
        &[("/", "302 http://all.example/"), ("/never", "302 http://all.example/never")],
    );
}

#[test]
fn everything_is_redirected() {
    check("all=example.com", &["a"], &[("/a?b=c", "301 http://example.com/a?b=c"), ("/", "301 http://example.com/")]);
    check("all=https://example.com:8443/under", &[], &[("/a", "301 https://example.com:8443/under/a")]);
}

#[test]
fn redirects_stay_on_the_site() {
    for (path, location) in [
        ("//evil.example", "302 /%2Fevil.example/"),
        ("/%2Fevil.example/x", "302 /%2Fevil.example/x/"),
        ("///evil.example", "302 /%2F/evil.example/"),
        ("/%5Cevil.example", "302 /%5Cevil.example/"),
        ("/a%0D%0ASet-Cookie:x", "302 /a%0D%0ASet-Cookie%3Ax/"),
    ] {
        let key = String::from_utf8(percent_decode(&path.as_bytes()[1..]).unwrap()).unwrap();
        let index = format!("{key}/index.html");
        let objects: Vec<&str> = vec![&index];
        assert_eq!(visit(&site("index=index.html"), path, &objects).0, location, "{path}");
    }
}

#[test]
fn a_visit_ends() {
    let everything = site("index=index.html error=e.html\n -|404 -> never.example|-|-|-");
    assert_eq!(visit(&everything, "/none", &[]), ("301 http://never.example/none".into(), 2));
    assert_eq!(visit(&site("index=index.html error=e.html"), "/none", &[]), ("404".into(), 3));
    let long = format!("/{}", "k".repeat(1020));
    assert_eq!(visit(&site("index=index.html error=e.html"), &long, &[]), ("404".into(), 2), "no such index can be");
    let longer = format!("/{}", "k".repeat(2000));
    assert_eq!(visit(&site("index=index.html"), &longer, &[]), ("404".into(), 0));
}

#[test]
fn pages_are_escaped() {
    let page = error_page(StatusCode::NOT_FOUND, "No<Such>", "a & \"b\" 'c'", "<script>");
    assert!(page.contains("<title>404 Not Found</title>"), "{page}");
    assert!(page.contains("No&lt;Such&gt;") && page.contains("a &amp; &quot;b&quot; &#39;c&#39;"), "{page}");
    assert!(!page.contains("<script>"), "{page}");
}

#[test]
fn requests_are_read() {
    let hosts = Hosts::new(Some("web.example"));
    let parts = |method: &str, path: &str, headers: &[(&str, &str)]| {
        let mut request = http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    };
    let host = ("host", "site.web.example:80");
    let read = |method, path, headers: &[_]| SiteRequest::read(&parts(method, path, headers), &hosts);
    let request =
        read("GET", "/a//b%20c+d?x-amz-acl=y&acl", &[host, ("accept-encoding", "br"), ("if-none-match", "*")]);
    let request = request.unwrap();
    assert_eq!((request.bucket.as_str(), request.key.as_str()), ("site", "a//b c+d"));
    assert_eq!(
        (request.authority.as_str(), request.query.as_deref()),
        ("site.web.example:80", Some("x-amz-acl=y&acl"))
    );
    assert_eq!(request.encodings, [Encoding::Brotli]);
    assert!(request.conditions.if_none_match.is_some());
    let ranged = read("GET", "/a", &[host, ("accept-encoding", "br"), ("range", "bytes=0-1")]).unwrap();
    assert!(ranged.range.is_some() && ranged.encodings.is_empty(), "a range is of the object itself");
    let head = read("HEAD", "/a", &[host, ("range", "bytes=0-1"), ("if-modified-since", "yesterday")]).unwrap();
    assert_eq!((head.range, head.conditions.if_modified_since), (None, None));
    for (method, path, headers, code) in [
        ("POST", "/a", &[host][..], ErrorCode::MethodNotAllowed),
        ("PUT", "/a", &[host], ErrorCode::MethodNotAllowed),
        ("GET", "/%ff", &[host], ErrorCode::InvalidURI),
        ("GET", "/%2", &[host], ErrorCode::InvalidURI),
        ("GET", "/a", &[("host", "web.example")], ErrorCode::NoSuchWebsiteConfiguration),
        ("GET", "/a", &[], ErrorCode::BadRequest),
    ] {
        assert_eq!(read(method, path, headers).unwrap_err().code(), code, "{method} {path}");
    }
}

proptest! {
    #[test]
    fn any_path_is_answered(key in ".{0,40}", query in proptest::option::of("[ -~]{0,20}")) {
        let website = site("index=index.html error=e.html\n a|- -> -|-|-|^b\n -|404 -> x.example|-|-|^#!/");
        let asked = Asked { protocol: Protocol::Https, authority: "s.example", key: &key, query: query.as_deref() };
        let (mut visit, mut step) = Visit::begin(&website, asked);
        for _ in 0..4 {
            step = match step {
                Step::Look(_) => visit.missing(),
                Step::Redirect { location, .. } => {
                    prop_assert!(http::HeaderValue::from_str(&location).is_ok(), "{}", location);
                    return Ok(());
                }
                Step::Serve(_) | Step::Refuse(_) => return Ok(()),
            };
        }
        prop_assert!(false, "no end");
    }
}

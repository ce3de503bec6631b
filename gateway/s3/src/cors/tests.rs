use super::*;
use crate::error::ErrorCode;
use crate::xml::read;

fn rule(origins: &[&str], methods: &[&str], headers: &[&str]) -> RuleText {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    RuleText {
        allowed_origins: texts(origins),
        allowed_methods: texts(methods),
        allowed_headers: texts(headers),
        ..RuleText::default()
    }
}

fn cors(rules: impl IntoIterator<Item = RuleText>) -> Cors {
    Cors::new(rules.into_iter().collect()).unwrap()
}

fn asked(origin: &str, method: &str, headers: &[&str]) -> Preflight {
    Preflight {
        bucket: None,
        key: None,
        origin: origin.to_owned(),
        method: method.to_owned(),
        headers: headers.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// The headers of the answer, `name: value`, sorted; none where nothing is allowed.
fn preflight(cors: &Cors, origin: &str, method: &str, headers: &[&str]) -> Vec<String> {
    cors.preflight(&asked(origin, method, headers)).map_or_else(Vec::new, |grant| lines(&grant))
}

fn lines(grant: &Grant) -> Vec<String> {
    let mut headers = HeaderMap::new();
    grant.apply(&mut headers);
    let mut lines: Vec<String> =
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    lines.sort();
    lines
}

fn allowed(cors: &Cors, origin: &str, method: &str) -> String {
    let headers = HeaderMap::from_iter([(http::header::ORIGIN, HeaderValue::from_str(origin).unwrap())]);
    let grant = cors.actual(&method.parse().unwrap(), &headers);
    grant.map_or_else(|| "-".to_owned(), |grant| grant.origin.to_str().unwrap().to_owned())
}

const VARY: &str = "vary: Origin, Access-Control-Request-Headers, Access-Control-Request-Method";

/// AWS's guide, "Elements of a CORS configuration": its example, and the answer to its preflight.
#[test]
fn awss_own_example() {
    let document = b"<CORSConfiguration><CORSRule><AllowedOrigin>http://www.example1.com</AllowedOrigin>\
        <AllowedMethod>PUT</AllowedMethod><AllowedMethod>POST</AllowedMethod><AllowedMethod>DELETE</AllowedMethod>\
        <AllowedHeader>*</AllowedHeader><MaxAgeSeconds>3000</MaxAgeSeconds>\
        <ExposeHeader>x-amz-server-side-encryption</ExposeHeader><ExposeHeader>x-amz-request-id</ExposeHeader>\
        </CORSRule><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>\
        </CORSConfiguration>";
    let cors = read::cors(document).unwrap();
    assert_eq!(
        preflight(&cors, "http://www.example1.com", "PUT", &["content-type", "x-amz-meta-a"]),
        [
            "access-control-allow-credentials: true",
            "access-control-allow-headers: content-type, x-amz-meta-a",
            "access-control-allow-methods: PUT, POST, DELETE",
            "access-control-allow-origin: http://www.example1.com",
            "access-control-expose-headers: x-amz-server-side-encryption, x-amz-request-id",
            "access-control-max-age: 3000",
            VARY,
        ]
    );
    assert_eq!(
        preflight(&cors, "http://elsewhere", "GET", &[]),
        ["access-control-allow-methods: GET", "access-control-allow-origin: *", VARY]
    );
    let again = read::cors(cors.to_xml().as_bytes()).unwrap();
    assert_eq!(again, cors, "what was put comes back");
}

/// AWS's guide, "CORS configuration" (example 1) and "How does Amazon S3 evaluate the CORS configuration on a bucket":
/// a rule is taken where the origin, the method and every header asked for match it, and the first such rule.
#[test]
fn awss_first_example_by_request() {
    let document = b"<CORSConfiguration>
        <CORSRule><AllowedOrigin>http://www.example1.com</AllowedOrigin><AllowedMethod>PUT</AllowedMethod>
        <AllowedMethod>POST</AllowedMethod><AllowedMethod>DELETE</AllowedMethod><AllowedHeader>*</AllowedHeader></CORSRule>
        <CORSRule><AllowedOrigin>http://www.example2.com</AllowedOrigin><AllowedMethod>PUT</AllowedMethod>
        <AllowedMethod>POST</AllowedMethod><AllowedMethod>DELETE</AllowedMethod><AllowedHeader>*</AllowedHeader></CORSRule>
        <CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>";
    let cors = read::cors(document).unwrap();
    for (origin, method, headers, expected) in [
        ("http://www.example1.com", "PUT", &["x-amz-meta-a", "content-md5"][..], Some("http://www.example1.com")),
        ("http://www.example1.com", "DELETE", &[], Some("http://www.example1.com")),
        ("http://www.example2.com", "POST", &["authorization"], Some("http://www.example2.com")),
        // Third rule: any origin, GET, and no header beyond the simple ones.
        ("http://www.example1.com", "GET", &[], Some("*")),
        ("http://www.example3.com", "GET", &[], Some("*")),
        ("http://www.example3.com", "GET", &["x-amz-meta-a"], None),
        ("http://www.example3.com", "PUT", &[], None),
        ("https://www.example1.com", "PUT", &[], None),
        ("http://www.example1.com:8080", "PUT", &[], None),
        ("http://example1.com", "PUT", &[], None),
        ("http://www.example1.com", "HEAD", &[], None),
    ] {
        let grant = cors.preflight(&asked(origin, method, headers));
        let found = grant.as_ref().map(|grant| grant.origin.to_str().unwrap());
        assert_eq!(found, expected, "{origin} {method} {headers:?}");
    }
    // "The origin may contain one wildcard character": http://*.example.com; AllowedHeader x-amz-*.
    let cors = self::cors([rule(&["http://*.example.com"], &["GET"], &["x-amz-*"])]);
    for (origin, header, expected) in [
        ("http://www.example.com", "x-amz-date", true),
        ("http://a.b.example.com", "X-AMZ-Meta-A", true),
        ("http://example.com", "x-amz-date", false),
        ("https://www.example.com", "x-amz-date", false),
        ("http://www.example.com", "content-type", false),
        ("http://www.example.com.evil", "x-amz-date", false),
    ] {
        assert_eq!(cors.preflight(&asked(origin, "GET", &[header])).is_some(), expected, "{origin} {header}");
    }
}

#[test]
fn the_first_rule_that_matches_everything_counts() {
    let cors = cors([
        rule(&["https://a.example"], &["GET"], &["x-one"]),
        rule(&["https://a.example", "https://*.b.example"], &["GET", "PUT"], &["x-amz-*", "Content-Type"]),
        rule(&["http://localhost:*"], &["PUT"], &[]),
    ]);
    let methods = |origin, method, headers: &[&str]| {
        preflight(&cors, origin, method, headers)
            .iter()
            .find_map(|line| line.strip_prefix("access-control-allow-methods: ").map(ToOwned::to_owned))
    };
    let check = |origin, method, headers: &[&str], expected: Option<&str>| {
        assert_eq!(methods(origin, method, headers).as_deref(), expected, "{origin} {method} {headers:?}");
    };
    check("https://a.example", "GET", &[], Some("GET"));
    check("https://a.example", "GET", &["X-One"], Some("GET"));
    check("https://a.example", "GET", &["x-amz-date"], Some("GET, PUT"));
    check("https://a.example", "GET", &["x-one", "x-amz-date"], None);
    check("https://a.example", "PUT", &["CONTENT-TYPE", "X-Amz-Meta-A"], Some("GET, PUT"));
    check("https://x.y.b.example", "PUT", &[], Some("GET, PUT"));
    check("https://b.example", "PUT", &[], None);
    check("https://A.example", "PUT", &[], None);
    check("https://a.example", "put", &[], None);
    check("https://a.example.evil", "GET", &[], None);
    check("http://localhost:8080", "PUT", &[], Some("PUT"));
    check("http://localhost:8080", "PUT", &["x-any"], None);
    check("https://a.example", "DELETE", &[], None);
    assert_eq!(allowed(&cors, "https://x.b.example", "PUT"), "https://x.b.example", "the origin itself, not the rule");
    assert_eq!(allowed(&cors, "https://x.b.example", "HEAD"), "-");
    assert_eq!(cors.actual(&Method::GET, &HeaderMap::new()), None, "no origin, no answer");
}

#[test]
fn credentials_go_to_named_origins_only() {
    let credentials = |rule: RuleText, origin: &str| {
        let lines = preflight(&cors([rule]), origin, "GET", &[]);
        lines.iter().any(|line| line == "access-control-allow-credentials: true")
    };
    assert!(credentials(rule(&["https://a"], &["GET"], &[]), "https://a"));
    assert!(credentials(rule(&["https://*"], &["GET"], &[]), "https://a"));
    for origins in [&["*"][..], &["https://a", "*"]] {
        assert!(!credentials(rule(origins, &["GET"], &[]), "https://a"), "{origins:?}");
    }
    assert!(!credentials(rule(&["null"], &["GET"], &[]), "null"));
}

#[test]
fn null_is_no_host() {
    let only = |origin: &str| cors([rule(&[origin], &["GET"], &[])]);
    assert_eq!(allowed(&only("*"), "null", "GET"), "*");
    assert_eq!(allowed(&only("null"), "null", "GET"), "null");
    for pattern in ["n*", "*l", "nu*l", "https://*"] {
        assert_eq!(allowed(&only(pattern), "null", "GET"), "-", "{pattern}");
    }
}

#[test]
fn before_and_after_the_star_do_not_overlap() {
    let cors = cors([rule(&["https://a*a.example"], &["GET"], &[])]);
    assert_eq!(allowed(&cors, "https://a.example", "GET"), "-");
    assert_eq!(allowed(&cors, "https://aa.example", "GET"), "https://aa.example");
}

#[test]
fn rules_cannot_split_headers() {
    for text in ["x\r\nset-cookie: a=b", "x\n", "x y", "x:y", "", "é", "x\0"] {
        let expose = RuleText { expose_headers: vec![text.to_owned()], ..rule(&["*"], &["GET"], &[]) };
        for rule in [expose, rule(&["*"], &["GET"], &[text]), rule(&["*"], &[text], &[])] {
            assert_eq!(Cors::new(vec![rule]).unwrap_err().code(), ErrorCode::InvalidRequest, "{text:?}");
        }
    }
    for text in ["http://a\r\nb: c", "http://a b", "http://é"] {
        assert!(Cors::new(vec![rule(&[text], &["GET"], &[])]).is_err(), "{text:?}");
    }
    let cors = cors([rule(&["*"], &["GET"], &["*"])]);
    for (origin, header) in
        [("http://a\r\nb: c", "x-a"), ("http://é", "x-a"), ("http://a", "x-a\r\nb: c"), ("http://a", "x y")]
    {
        assert_eq!(cors.preflight(&asked(origin, "GET", &[header])), None, "{origin:?} {header:?}");
    }
}

#[test]
fn what_aws_refuses_is_refused() {
    let plain = || rule(&["*"], &["GET"], &[]);
    let many = vec![plain(); MAX_RULES + 1];
    let long = RuleText { id: Some("i".repeat(256)), ..plain() };
    let star = RuleText { expose_headers: vec!["x-*".into()], ..plain() };
    for (rules, code, says) in [
        (vec![], ErrorCode::MalformedXML, ""),
        (vec![rule(&[], &["GET"], &[])], ErrorCode::MalformedXML, ""),
        (vec![rule(&["*"], &[], &[])], ErrorCode::MalformedXML, ""),
        (many, ErrorCode::InvalidRequest, "limit of 100 rules"),
        (vec![long], ErrorCode::InvalidRequest, "limit of 255"),
        (vec![rule(&["*"], &["PATCH"], &[])], ErrorCode::InvalidRequest, "Unsupported method is PATCH"),
        (vec![rule(&["*"], &["get"], &[])], ErrorCode::InvalidRequest, "Unsupported method is get"),
        (vec![rule(&["http://*.*"], &["GET"], &[])], ErrorCode::InvalidRequest, "AllowedOrigin \"http://*.*\" can not"),
        (vec![rule(&["*"], &["GET"], &["x*y*"])], ErrorCode::InvalidRequest, "AllowedHeader \"x*y*\" can not"),
        (vec![star], ErrorCode::InvalidRequest, "ExposeHeader \"x-*\" contains wildcard"),
    ] {
        let error = Cors::new(rules).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.message().contains(says), "{error}");
    }
    assert!(Cors::new(vec![plain(); MAX_RULES]).is_ok());
}

#[test]
fn documents_are_read_strictly() {
    let body = |inside: &str| {
        format!(
            "<CORSConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"> <CORSRule>\n{inside}<AllowedOrigin>*\
             </AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>"
        )
    };
    let cors = read::cors(body("<ID>a&amp;b</ID><MaxAgeSeconds>2147483647</MaxAgeSeconds>").as_bytes()).unwrap();
    assert_eq!((cors.to_texts()[0].id.as_deref(), cors.to_texts()[0].max_age_s), (Some("a&b"), Some(i32::MAX as u32)));
    for inside in [
        "<MaxAgeSeconds>-1</MaxAgeSeconds>",
        "<MaxAgeSeconds>2147483648</MaxAgeSeconds>",
        "<MaxAgeSeconds>soon</MaxAgeSeconds>",
        "<MaxAgeSeconds/>",
        "<MaxAgeSeconds>1</MaxAgeSeconds><MaxAgeSeconds>1</MaxAgeSeconds>",
        "<ID>a</ID><ID>b</ID>",
        "<AllowCredentials>true</AllowCredentials>",
        "text",
    ] {
        assert_eq!(read::cors(body(inside).as_bytes()).unwrap_err().code(), ErrorCode::MalformedXML, "{inside}");
    }
    for document in ["", "<CORSConfiguration/>", "<Cors/>", "<CORSConfiguration><Rule/></CORSConfiguration>"] {
        assert_eq!(read::cors(document.as_bytes()).unwrap_err().code(), ErrorCode::MalformedXML, "{document}");
    }
    let long = " ".repeat(64 << 10) + &body("");
    assert_eq!(read::cors(long.as_bytes()).unwrap_err().code(), ErrorCode::MaxMessageLengthExceeded);
}

#[test]
fn an_answer_says_once_what_it_depends_on() {
    let mut headers = HeaderMap::new();
    vary(&mut headers);
    vary(&mut headers);
    assert_eq!(headers.get_all("vary").iter().count(), 1);
}

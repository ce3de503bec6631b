use proptest::prelude::*;

use super::*;

fn wrapped(inside: &str) -> String {
    format!("<WebsiteConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{inside}</WebsiteConfiguration>")
}

fn read(inside: &str) -> Result<Website, S3Error> {
    website(wrapped(inside).as_bytes())
}

const INDEX: &str = "<IndexDocument><Suffix>index.html</Suffix></IndexDocument>";

fn rules(inside: &str) -> String {
    format!("{INDEX}<RoutingRules><RoutingRule>{inside}</RoutingRule></RoutingRules>")
}

#[test]
fn a_configuration_goes_out_as_it_came_in() {
    let all =
        "<RedirectAllRequestsTo><HostName>example.com</HostName><Protocol>https</Protocol></RedirectAllRequestsTo>";
    let pages = format!(
        "{INDEX}<ErrorDocument><Key>a&amp;b.html</Key></ErrorDocument><RoutingRules>\
         <RoutingRule><Condition><HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals>\
         <KeyPrefixEquals>a/</KeyPrefixEquals></Condition><Redirect><HostName>h.example</HostName>\
         <HttpRedirectCode>302</HttpRedirectCode><Protocol>http</Protocol>\
         <ReplaceKeyPrefixWith>#!/</ReplaceKeyPrefixWith></Redirect></RoutingRule>\
         <RoutingRule><Redirect><ReplaceKeyWith>gone</ReplaceKeyWith></Redirect></RoutingRule></RoutingRules>"
    );
    for text in [all, INDEX, &pages] {
        let document = read(text).unwrap().to_xml();
        assert_eq!(document, format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", wrapped(text)));
    }
}

#[test]
fn every_element_is_read() {
    let Website::Pages(pages) = read(&rules(
        "<Condition>\n <KeyPrefixEquals>docs/</KeyPrefixEquals>\n</Condition>\
         <Redirect><ReplaceKeyPrefixWith/></Redirect>",
    ))
    .unwrap() else {
        panic!("pages")
    };
    let rule = Rule {
        condition: Condition { key_prefix: Some("docs/".into()), error_code: None },
        redirect: Redirect { key: Some(KeyChange::Prefix(String::new())), ..Redirect::default() },
    };
    assert_eq!((pages.index_suffix.as_str(), pages.error_key, pages.rules), ("index.html", None, vec![rule]));
}

#[test]
fn only_what_aws_takes_is_taken() {
    let redirect = |inside: &str| rules(&format!("<Redirect>{inside}</Redirect>"));
    let condition = |inside: &str| {
        rules(&format!("<Condition>{inside}</Condition><Redirect><HostName>h.example</HostName></Redirect>"))
    };
    let host = |host: &str| format!("<RedirectAllRequestsTo><HostName>{host}</HostName></RedirectAllRequestsTo>");
    let one = "<RoutingRule><Redirect><HostName>h.example</HostName></Redirect></RoutingRule>";
    let many = |count: usize| format!("{INDEX}<RoutingRules>{}</RoutingRules>", one.repeat(count));
    let suffix = |text: &str| format!("<IndexDocument><Suffix>{text}</Suffix></IndexDocument>");
    for (inside, expected) in [
        (many(50), None),
        (host("example.com:8080"), None),
        (host("example.com/there"), None),
        (redirect("<HttpRedirectCode>307</HttpRedirectCode>"), None),
        (many(51), Some(ErrorCode::InvalidRequest)),
        (String::new(), Some(ErrorCode::InvalidArgument)),
        ("<ErrorDocument><Key>e</Key></ErrorDocument>".into(), Some(ErrorCode::InvalidArgument)),
        (suffix("a/index.html"), Some(ErrorCode::InvalidArgument)),
        (suffix(""), Some(ErrorCode::InvalidArgument)),
        (format!("{INDEX}<ErrorDocument><Key/></ErrorDocument>"), Some(ErrorCode::MalformedXML)),
        (format!("{INDEX}{}", host("h.example")), Some(ErrorCode::InvalidArgument)),
        (format!("{}<ErrorDocument><Key>e</Key></ErrorDocument>", host("h")), Some(ErrorCode::InvalidArgument)),
        (host(""), Some(ErrorCode::InvalidRequest)),
        (host("a b"), Some(ErrorCode::InvalidArgument)),
        (host("user@h.example"), Some(ErrorCode::InvalidArgument)),
        (host("/path"), Some(ErrorCode::InvalidArgument)),
        ("<RedirectAllRequestsTo/>".into(), Some(ErrorCode::MalformedXML)),
        (redirect("<HttpRedirectCode>300</HttpRedirectCode>"), Some(ErrorCode::InvalidRequest)),
        (redirect("<HttpRedirectCode>200</HttpRedirectCode>"), Some(ErrorCode::InvalidRequest)),
        (redirect("<HttpRedirectCode>+302</HttpRedirectCode>"), Some(ErrorCode::MalformedXML)),
        (redirect("<Protocol>ftp</Protocol>"), Some(ErrorCode::InvalidRequest)),
        (redirect("<HostName/>"), Some(ErrorCode::InvalidRequest)),
        (
            redirect("<ReplaceKeyWith>a</ReplaceKeyWith><ReplaceKeyPrefixWith>b</ReplaceKeyPrefixWith>"),
            Some(ErrorCode::InvalidRequest),
        ),
        (redirect(""), Some(ErrorCode::MalformedXML)),
        (redirect("<Other>a</Other>"), Some(ErrorCode::MalformedXML)),
        (rules(""), Some(ErrorCode::MalformedXML)),
        (condition(""), Some(ErrorCode::InvalidRequest)),
        (condition("<HttpErrorCodeReturnedEquals>302</HttpErrorCodeReturnedEquals>"), Some(ErrorCode::InvalidRequest)),
        (condition("<HttpErrorCodeReturnedEquals>x</HttpErrorCodeReturnedEquals>"), Some(ErrorCode::MalformedXML)),
        (format!("{INDEX}{INDEX}"), Some(ErrorCode::MalformedXML)),
        (format!("{INDEX}<RoutingRules/>"), Some(ErrorCode::MalformedXML)),
        (format!("{INDEX}<Other/>"), Some(ErrorCode::MalformedXML)),
        (format!("{INDEX}text"), Some(ErrorCode::MalformedXML)),
    ] {
        assert_eq!(read(&inside).err().map(|error| error.code()), expected, "{inside}");
    }
    let bomb = many(10_000);
    assert_eq!(read(&bomb).unwrap_err().code(), ErrorCode::MaxMessageLengthExceeded);
}

proptest! {
    #[test]
    fn garbage_never_panics(text in "(<[a-zA-Z/]{0,12}>|[a-z&;<>/]{0,6}){0,30}") {
        drop(website(text.as_bytes()));
        drop(read(&text));
    }
}

//! CORS as a browser meets it: preflights without credentials, headers on answers and on errors.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cairn_gateway::Config;
use http::Method;
use md5::{Digest as _, Md5};

use crate::support::World;
use crate::support::client::{Client, Draft, Reply};

const PAGE: &str = "https://page.example";
const VARY: &str = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";
const RULES: &str = "<CORSConfiguration><CORSRule><AllowedOrigin>https://*.example</AllowedOrigin>\
    <AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod><AllowedHeader>x-amz-*</AllowedHeader>\
    <ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>60</MaxAgeSeconds></CORSRule></CORSConfiguration>";

async fn set(client: &Client, rules: &str) {
    let md5 = STANDARD.encode(Md5::digest(rules));
    let draft = Draft::new(Method::PUT, "/photos?cors").header("content-md5", md5);
    client.send(draft.body(rules.to_owned())).await.ok();
}

async fn preflight(client: &Client, target: &str, origin: &str, method: &str, headers: &str) -> Reply {
    let mut draft = Draft::new(Method::OPTIONS, target).header("origin", origin);
    draft = draft.header("access-control-request-method", method);
    if !headers.is_empty() {
        draft = draft.header("access-control-request-headers", headers);
    }
    client.exchange(client.parts(draft, 0), "".into()).await
}

#[tokio::test]
async fn preflights_are_judged_by_the_rules_alone() {
    let world = World::new();
    let gateway = world.gateway().await;
    let owner = gateway.client_with("photos").await;
    let stranger = Client::new(gateway.address, "-", "-");
    let refused = preflight(&stranger, "/photos/cat", PAGE, "PUT", "").await;
    assert_eq!(refused.refusal(), (403, "AccessForbidden"), "no rules");
    let nowhere = preflight(&stranger, "/nowhere/cat", PAGE, "PUT", "").await;
    assert_eq!(nowhere.element("Message"), refused.element("Message"), "strangers learn no names");
    set(&owner, RULES).await;
    let allowed = preflight(&stranger, "/photos/cat", PAGE, "PUT", "x-amz-date, X-Amz-Acl").await.ok();
    for (name, value) in [
        ("access-control-allow-origin", PAGE),
        ("access-control-allow-methods", "GET, PUT"),
        ("access-control-allow-headers", "x-amz-date, x-amz-acl"),
        ("access-control-expose-headers", "ETag"),
        ("access-control-max-age", "60"),
        ("access-control-allow-credentials", "true"),
        ("vary", VARY),
    ] {
        assert_eq!(allowed.header(name), value, "{name}");
    }
    for (origin, method, headers) in [
        ("https://page.example.evil", "PUT", ""),
        ("null", "PUT", ""),
        (PAGE, "DELETE", ""),
        (PAGE, "PUT", "authorization"),
    ] {
        let refused = preflight(&stranger, "/photos", origin, method, headers).await;
        assert!(refused.status == 403 || refused.status == 400, "{origin} {method} {headers}");
        assert_eq!(refused.header("access-control-allow-origin"), "", "{origin} {method} {headers}");
    }
    let bare = stranger.exchange(stranger.parts(Draft::new(Method::OPTIONS, "/photos/cat"), 0), "".into()).await;
    assert_eq!(bare.status, 400, "no origin");
}

#[tokio::test]
async fn virtual_hosts_have_preflights_too() {
    let world = World::new();
    let config = Config { root_domain: Some("s3.example.org".to_owned()), ..Config::default() };
    let gateway = world.gateway_with(config).await;
    set(&gateway.client_with("photos").await, RULES).await;
    let stranger = Client::new(gateway.address, "-", "-");
    for (host, status) in [("photos.s3.example.org", 200), ("other.s3.example.org", 403)] {
        let draft =
            Draft::new(Method::OPTIONS, "/cat").header("origin", PAGE).header("access-control-request-method", "GET");
        let mut parts = stranger.parts(draft, 0);
        parts.headers.insert("host", host.parse().unwrap());
        assert_eq!(stranger.exchange(parts, "".into()).await.status, status, "{host}");
    }
}

#[tokio::test]
async fn answers_and_errors_carry_the_headers() {
    let world = World::new();
    let gateway = world.gateway().await;
    let owner = gateway.client_with("photos").await;
    set(&owner, RULES).await;
    let from = |method: Method, target: &str, origin: &str| Draft::new(method, target).header("origin", origin);
    let put = owner.send(from(Method::PUT, "/photos/cat", PAGE).body("meow")).await.ok();
    assert_eq!((put.header("access-control-allow-origin"), put.header("vary")), (PAGE, VARY));
    let missing = owner.send(from(Method::GET, "/photos/none", PAGE)).await;
    assert_eq!((missing.refusal(), missing.header("access-control-allow-origin")), ((404, "NoSuchKey"), PAGE));
    let stranger = Client { secret: "wrong".to_owned(), ..owner.clone() };
    let refused = stranger.send(from(Method::GET, "/photos/cat", PAGE)).await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (403, PAGE));
    let unknown = owner.send(from(Method::PUT, "/photos/cat", PAGE).header("x-amz-tagging", "a=b")).await;
    assert_eq!((unknown.status, unknown.header("access-control-allow-origin")), (501, PAGE));
    let elsewhere = owner.send(from(Method::GET, "/photos/cat", "https://evil")).await.ok();
    assert_eq!((elsewhere.header("access-control-allow-origin"), elsewhere.header("vary")), ("", VARY));
    let deleted = owner.send(from(Method::DELETE, "/photos/cat", PAGE)).await.ok();
    assert_eq!(deleted.header("access-control-allow-origin"), "", "DELETE is not in the rule");
    owner.delete("/photos?cors").await.ok();
    let without = owner.send(from(Method::GET, "/photos/none", PAGE)).await;
    assert_eq!((without.header("access-control-allow-origin"), without.header("vary")), ("", ""));
}

#[tokio::test]
async fn a_star_gets_a_star_and_no_credentials() {
    let world = World::new();
    let gateway = world.gateway().await;
    let owner = gateway.client_with("photos").await;
    set(&owner, &RULES.replace("https://*.example", "*")).await;
    for origin in [PAGE, "null"] {
        let answer = owner.send(Draft::new(Method::GET, "/photos/none").header("origin", origin)).await;
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert_eq!(answer.header("access-control-allow-credentials"), "");
    }
}

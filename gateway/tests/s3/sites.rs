//! Web sites, as a visitor sees them who has no key.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cairn_gateway::{Config, Web};
use http::{Method, Request};
use md5::{Digest as _, Md5};

use crate::support::client::{Client, Draft, Reply};
use crate::support::{Running, World};

const SITE: &str = "<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument>\
                    <ErrorDocument><Key>errors/any.html</Key></ErrorDocument></WebsiteConfiguration>";

fn web() -> Config {
    let root_domain = Some("web.example".to_owned());
    Config { web: Some(Web { listen: "127.0.0.1:0".to_owned(), root_domain, tls: None }), ..Config::default() }
}

/// A gateway, and its owner's client with a bucket that is a site.
async fn site(world: &World) -> (Running, Client, Visitor) {
    let gateway = world.gateway_with(web()).await;
    let client = gateway.client_with("photos").await;
    client.put("/photos?website", SITE).await.ok();
    let visitor = Visitor { web: gateway.web.unwrap(), host: "photos.web.example".to_owned() };
    (gateway, client, visitor)
}

#[derive(Clone)]
struct Visitor {
    web: SocketAddr,
    host: String,
}

impl Visitor {
    fn at(&self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self.clone() }
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = Request::builder().method(method).uri(path).header("host", &self.host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Client::new(self.web, "-", "-").exchange(request.body(()).unwrap().into_parts().0, "".into()).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.ask(Method::GET, path, &[]).await
    }
}

#[tokio::test]
async fn a_bucket_is_a_site_once_it_is_configured() {
    let world = World::new();
    let gateway = world.gateway_with(web()).await;
    let client = gateway.client_with("photos").await;
    let visitor = Visitor { web: gateway.web.unwrap(), host: "photos.web.example".to_owned() };
    client.put("/photos/index.html", "home").await.ok();
    assert_eq!(client.get("/photos?website").await.refusal(), (404, "NoSuchWebsiteConfiguration"));
    let private = visitor.get("/").await;
    let nobody = visitor.at("nobody.web.example").get("/").await;
    for refused in
        [&private, &nobody, &visitor.at("web.example").get("/").await, &visitor.at("127.0.0.1").get("/").await]
    {
        assert_eq!((refused.status, refused.header("x-amz-error-code")), (404, "NoSuchWebsiteConfiguration"));
    }
    let page = |reply: &Reply| reply.text().replace(reply.header("x-amz-request-id"), "");
    assert_eq!(page(&private), page(&nobody), "who is there and no site is not told from who is not there");

    client.put("/photos?website", SITE).await.ok();
    let home = visitor.get("/").await;
    assert_eq!((home.status, home.text()), (200, "home"));
    assert!(!home.header("x-amz-request-id").is_empty());
    let configuration = client.get("/photos?website").await.ok();
    assert_eq!((configuration.element("Suffix"), configuration.element("Key")), ("index.html", "errors/any.html"));
    assert_eq!(client.put("/photos?website", "<WebsiteConfiguration/>").await.refusal(), (400, "InvalidArgument"));
    assert_eq!(visitor.get("/").await.status, 200, "what is refused changes nothing");
    let stranger = gateway.client().await;
    assert_eq!(stranger.put("/photos?website", SITE).await.refusal(), (403, "AccessDenied"));
    gateway.allow(&stranger, "photos", true, true).await;
    for refused in [stranger.put("/photos?website", SITE).await, stranger.delete("/photos?website").await] {
        assert_eq!(refused.refusal(), (403, "AccessDenied"));
    }
    assert_eq!(client.delete("/photos?website").await.status, 204);
    assert_eq!(client.delete("/photos?website").await.status, 204);
    assert_eq!(visitor.get("/").await.status, 404, "in this gateway at once");
}

#[tokio::test]
async fn pages_indexes_and_errors() {
    let world = World::new();
    let (gateway, client, visitor) = site(&world).await;
    client.put("/photos/index.html", "home").await.ok();
    client.put("/photos/a/b/index.html", "deep").await.ok();
    let headers = Draft::new(Method::PUT, "/photos/page")
        .header("content-type", "text/x-page")
        .header("cache-control", "max-age=60")
        .header("content-language", "de")
        .header("x-amz-meta-color", "blue")
        .body("a page");
    client.send(headers).await.ok();
    let page = visitor.get("/page?x-amz-acl=public&acl").await;
    assert_eq!((page.status, page.text(), page.header("content-type")), (200, "a page", "text/x-page"));
    assert_eq!((page.header("cache-control"), page.header("content-language")), ("max-age=60", "de"));
    assert_eq!((page.header("x-amz-meta-color"), page.header("accept-ranges")), ("blue", "bytes"));
    let head = visitor.ask(Method::HEAD, "/page", &[]).await;
    assert_eq!((head.status, head.body.len(), head.header("content-length")), (200, 0, "6"));
    let folder = visitor.get("/a/b?x=1").await;
    assert_eq!((folder.status, folder.header("location")), (302, "/a/b/?x=1"));
    assert_eq!(visitor.get("/a/b/").await.text(), "deep");

    let bare = visitor.get("/a/%3Cscript%3Ealert(1)%3C/script%3E?%3Cscript%3E").await;
    assert_eq!((bare.status, bare.header("x-amz-error-code")), (404, "NoSuchKey"));
    assert_eq!(bare.header("content-type"), "text/html; charset=utf-8");
    assert!(bare.text().contains("<h1>404 Not Found</h1>") && !bare.text().contains("script"), "{}", bare.text());
    client
        .send(Draft::new(Method::PUT, "/photos/errors/any.html").header("content-type", "text/html").body("sorry"))
        .await
        .ok();
    let error = visitor.ask(Method::GET, "/none", &[("range", "bytes=0-1"), ("if-none-match", "*")]).await;
    assert_eq!((error.status, error.text(), error.header("content-type")), (404, "sorry", "text/html"));
    let head = visitor.ask(Method::HEAD, "/none", &[]).await;
    assert_eq!((head.status, head.body.len()), (404, 0));

    for method in [Method::PUT, Method::POST, Method::DELETE] {
        let refused = visitor.ask(method, "/page", &[]).await;
        assert_eq!((refused.status, refused.header("allow")), (405, "GET, HEAD, OPTIONS"));
    }
    assert_eq!(visitor.get("/%ff").await.status, 400);
    assert_eq!(visitor.at("PHOTOS.web.example:80").get("/page").await.status, 200);
    let signed = visitor.ask(Method::GET, "/page", &[("authorization", "AWS4-HMAC-SHA256 nonsense")]).await;
    assert_eq!(signed.status, 200, "nobody is anybody here");
    let s3 = client.exchange(client.parts(Draft::new(Method::GET, "/photos/page"), 0), "".into()).await;
    assert_eq!(s3.status, 403, "S3 itself serves no strangers");
    drop(gateway);
}

#[tokio::test]
async fn conditions_and_ranges() {
    let world = World::new();
    let (_gateway, client, visitor) = site(&world).await;
    let draft = Draft::new(Method::PUT, "/photos/page").header("cache-control", "max-age=60").body("0123456789");
    client.send(draft).await.ok();
    let page = visitor.get("/page").await;
    let (etag, modified) = (page.header("etag"), page.header("last-modified"));
    for condition in [("if-none-match", etag), ("if-modified-since", modified), ("if-none-match", "W/\"x\", *")] {
        let condition = if condition.1.ends_with('*') { ("if-none-match", "*") } else { condition };
        let unchanged = visitor.ask(Method::GET, "/page", &[condition]).await;
        assert_eq!((unchanged.status, unchanged.body.len()), (304, 0), "{condition:?}");
        assert_eq!((unchanged.header("etag"), unchanged.header("cache-control")), (etag, "max-age=60"));
        assert_eq!(unchanged.header("vary"), "accept-encoding");
    }
    let failed = visitor.ask(Method::GET, "/page", &[("if-match", "\"other\"")]).await;
    assert_eq!((failed.status, failed.header("x-amz-error-code")), (412, "PreconditionFailed"));
    let part = visitor.ask(Method::GET, "/page", &[("range", "bytes=2-4")]).await;
    assert_eq!((part.status, part.text(), part.header("content-range")), (206, "234", "bytes 2-4/10"));
    let stale = visitor.ask(Method::GET, "/page", &[("range", "bytes=2-4"), ("if-range", "\"other\"")]).await;
    assert_eq!((stale.status, stale.text()), (200, "0123456789"));
    let beyond = visitor.ask(Method::GET, "/page", &[("range", "bytes=20-")]).await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */10"));
    assert!(beyond.header("content-type").starts_with("text/html"));
}

#[tokio::test]
async fn compressed_siblings_are_served_where_accepted() {
    let world = World::new();
    let (_gateway, client, visitor) = site(&world).await;
    let draft = Draft::new(Method::PUT, "/photos/app.js").header("content-type", "text/javascript");
    client.send(draft.header("cache-control", "max-age=9").body("plain text")).await.ok();
    client.put("/photos/app.js.gz", "gzipped").await.ok();
    client.put("/photos/app.js.br", "brotli").await.ok();
    client.put("/photos/only", "only").await.ok();
    client.send(Draft::new(Method::PUT, "/photos/own").header("content-encoding", "gzip").body("own")).await.ok();
    client.put("/photos/own.br", "never").await.ok();
    let mut tags = Vec::new();
    for (path, accepts, body, encoding, vary) in [
        ("/app.js", "gzip, deflate, br", "brotli", "br", "accept-encoding"),
        ("/app.js", "gzip;q=1, br;q=0.1", "gzipped", "gzip", "accept-encoding"),
        ("/app.js", "br;q=0, gzip;q=0", "plain text", "", "accept-encoding"),
        ("/app.js", "", "plain text", "", "accept-encoding"),
        ("/only", "br, gzip", "only", "", "accept-encoding"),
        ("/own", "br, gzip", "own", "gzip", ""),
        ("/app.js.br", "br, gzip", "brotli", "", "accept-encoding"),
    ] {
        let reply = visitor.ask(Method::GET, path, &[("accept-encoding", accepts)]).await;
        assert_eq!(
            (reply.status, reply.text(), reply.header("content-encoding")),
            (200, body, encoding),
            "{path} {accepts}"
        );
        assert_eq!(reply.header("vary"), vary, "{path} {accepts}");
        if path == "/app.js" {
            assert_eq!((reply.header("content-type"), reply.header("cache-control")), ("text/javascript", "max-age=9"));
            assert_eq!(reply.header("content-length"), body.len().to_string());
            tags.push(reply.header("etag").to_owned());
        }
        let same = [("accept-encoding", accepts), ("if-none-match", reply.header("etag"))];
        assert_eq!(visitor.ask(Method::GET, path, &same).await.status, 304, "{path} {accepts}");
    }
    assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[2] == tags[3], "each form has its own tag: {tags:?}");
    let other = [("accept-encoding", "gzip"), ("if-none-match", tags[0].as_str())];
    assert_eq!(visitor.ask(Method::GET, "/app.js", &other).await.status, 200, "another form is another page");
    let ranged = [("accept-encoding", "br"), ("range", "bytes=0-4")];
    let ranged = visitor.ask(Method::GET, "/app.js", &ranged).await;
    assert_eq!((ranged.status, ranged.text(), ranged.header("content-encoding")), (206, "plain", ""));
    client.delete("/photos/app.js").await;
    assert_eq!(
        visitor.ask(Method::GET, "/app.js", &[("accept-encoding", "br")]).await.status,
        404,
        "a sibling of nothing"
    );
}

#[tokio::test]
async fn a_sibling_from_before_the_last_change_is_not_served() {
    let world = World::new();
    let (_gateway, client, visitor) = site(&world).await;
    let ask = async || {
        let reply = visitor.ask(Method::GET, "/app.js", &[("accept-encoding", "br, gzip")]).await;
        (reply.text().to_owned(), reply.header("content-encoding").to_owned(), reply.header("vary").to_owned())
    };
    let served = |text: &str, encoding: &str| (text.to_owned(), encoding.to_owned(), "accept-encoding".to_owned());
    // Objects have the time of a millisecond.
    let later = async || tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    client.put("/photos/app.js", "one").await.ok();
    client.put("/photos/app.js.br", "one in brotli").await.ok();
    client.put("/photos/app.js.gz", "one in gzip").await.ok();
    assert_eq!(ask().await, served("one in brotli", "br"));
    later().await;
    client.put("/photos/app.js", "two").await.ok();
    assert_eq!(ask().await, served("two", ""), "neither form is of this text");
    client.put("/photos/app.js.gz", "two in gzip").await.ok();
    assert_eq!(ask().await, served("two in gzip", "gzip"), "one form is");
    later().await;
    client.put("/photos/app.js.br", "two in brotli").await.ok();
    assert_eq!(ask().await, served("two in brotli", "br"));
}

#[tokio::test]
async fn encrypted_objects_are_errors() {
    let world = World::new();
    let (_gateway, client, visitor) = site(&world).await;
    let sealed = |target: &str| {
        let prefix = "x-amz-server-side-encryption-customer";
        Draft::new(Method::PUT, target)
            .header(&format!("{prefix}-algorithm"), "AES256")
            .header(&format!("{prefix}-key"), STANDARD.encode([7; 32]))
            .header(&format!("{prefix}-key-md5"), STANDARD.encode(Md5::digest([7; 32])))
            .body("secret words")
    };
    for target in ["/photos/sealed", "/photos/open.br", "/photos/errors/any.html"] {
        client.send(sealed(target)).await.ok();
    }
    client.put("/photos/open", "open").await.ok();
    for path in ["/sealed", "/none"] {
        let refused = visitor.get(path).await;
        let expected = if path == "/none" { (404, "NoSuchKey") } else { (400, "InvalidRequest") };
        assert_eq!((refused.status, refused.header("x-amz-error-code")), expected, "{path}");
        assert!(refused.text().starts_with("<!DOCTYPE html>") && !refused.text().contains("words"), "{path}");
    }
    let open = visitor.ask(Method::GET, "/open", &[("accept-encoding", "br")]).await;
    assert_eq!((open.status, open.text(), open.header("content-encoding")), (200, "open", ""));
    client.put("/photos/errors/any.html", "sorry").await.ok();
    let refused = visitor.get("/sealed").await;
    assert_eq!((refused.status, refused.text()), (400, "sorry"));
}

#[tokio::test]
async fn scripts_of_other_sites_read_what_the_rules_say() {
    let world = World::new();
    let (_gateway, client, visitor) = site(&world).await;
    client.put("/photos/page", "a page").await.ok();
    let preflight = [("origin", "https://app.example"), ("access-control-request-method", "GET")];
    assert_eq!(visitor.ask(Method::OPTIONS, "/page", &preflight).await.status, 403, "there are no rules");
    let rules = "<CORSConfiguration><CORSRule><AllowedOrigin>https://app.example</AllowedOrigin>\
                 <AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>";
    for bucket in ["photos", "private"] {
        if bucket == "private" {
            client.put("/private", "").await.ok();
        }
        let put = Draft::new(Method::PUT, &format!("/{bucket}?cors"))
            .header("content-md5", STANDARD.encode(Md5::digest(rules)));
        client.send(put.body(rules)).await.ok();
    }
    let allowed = visitor.ask(Method::OPTIONS, "/page", &preflight).await;
    assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (200, "https://app.example"));
    for (path, origin, granted) in [
        ("/page", "https://app.example", "https://app.example"),
        ("/none", "https://app.example", "https://app.example"),
        ("/page", "https://other.example", ""),
    ] {
        let reply = visitor.ask(Method::GET, path, &[("origin", origin)]).await;
        assert_eq!(reply.header("access-control-allow-origin"), granted, "{path} {origin}");
    }
    let private = visitor.at("private.web.example");
    for method in [Method::OPTIONS, Method::GET, Method::PUT] {
        let reply = private.ask(method.clone(), "/page", &preflight).await;
        assert_eq!(reply.header("access-control-allow-origin"), "", "{method}: what is no site says nothing");
    }
}

#[tokio::test]
async fn redirects() {
    let world = World::new();
    let (gateway, client, visitor) = site(&world).await;
    let moved =
        |to: &str| Draft::new(Method::PUT, "/photos/old").header("x-amz-website-redirect-location", to).body("x");
    for bad in ["elsewhere", "ftp://example.com/", "javascript:alert(1)"] {
        assert_eq!(client.send(moved(bad)).await.refusal(), (400, "InvalidRedirectLocation"), "{bad}");
    }
    client.send(moved("/new?a=b")).await.ok();
    let reply = visitor.get("/old").await;
    assert_eq!((reply.status, reply.header("location"), reply.body.len()), (301, "/new?a=b", 0));
    assert_eq!(client.get("/photos/old").await.ok().text(), "x", "S3 itself does not redirect");
    let rules = "<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument><RoutingRules>\
                 <RoutingRule><Condition><KeyPrefixEquals>docs/</KeyPrefixEquals></Condition>\
                 <Redirect><ReplaceKeyPrefixWith>documents/</ReplaceKeyPrefixWith></Redirect></RoutingRule>\
                 <RoutingRule><Condition><HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals></Condition>\
                 <Redirect><HostName>app.example</HostName><Protocol>https</Protocol>\
                 <HttpRedirectCode>302</HttpRedirectCode><ReplaceKeyWith>#lost</ReplaceKeyWith></Redirect></RoutingRule>\
                 </RoutingRules></WebsiteConfiguration>";
    client.put("/photos?website", rules).await.ok();
    let visitor = visitor.at("photos.web.example:8080");
    let reply = visitor.get("/docs/a%20b").await;
    assert_eq!((reply.status, reply.header("location")), (301, "http://photos.web.example:8080/documents/a%20b"));
    let reply = visitor.get("/gone").await;
    assert_eq!((reply.status, reply.header("location")), (302, "https://app.example/#lost"));
    let all = "<WebsiteConfiguration><RedirectAllRequestsTo><HostName>www.example.org</HostName>\
               </RedirectAllRequestsTo></WebsiteConfiguration>";
    client.put("/photos?website", all).await.ok();
    let reply = visitor.get("/any/where?q=1").await;
    assert_eq!((reply.status, reply.header("location")), (301, "http://www.example.org/any/where?q=1"));
    drop(gateway);
}

#[tokio::test]
async fn without_a_quorum_a_site_says_so() {
    let world = World::new();
    let mut config = web();
    config.limits.operation_timeout = "1s".parse().unwrap();
    let gateway = world.gateway_with(config).await;
    let client = gateway.client_with("photos").await;
    client.put("/photos?website", SITE).await.ok();
    client.put("/photos/errors/any.html", "sorry").await.ok();
    let visitor = Visitor { web: gateway.web.unwrap(), host: "photos.web.example".to_owned() };
    assert_eq!(visitor.get("/none").await.status, 404);
    world.leave_tables(1);
    let reply = visitor.get("/none").await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, "1"));
    assert!(reply.header("content-type").starts_with("text/html"));
}

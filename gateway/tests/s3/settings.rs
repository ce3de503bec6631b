//! Settings of buckets: set, read and deleted whole, by owners only.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cairn_s3::checksum::{Algorithm, Hasher};
use http::Method;
use md5::{Digest as _, Md5};

use crate::support::World;
use crate::support::client::{Client, Draft, Reply};

const CORS: &str = "<CORSConfiguration><CORSRule><ID>one</ID><AllowedOrigin>https://*.example</AllowedOrigin>\
    <AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod><AllowedHeader>X-Amz-*</AllowedHeader>\
    <ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>60</MaxAgeSeconds></CORSRule></CORSConfiguration>";

async fn set(client: &Client, setting: &str, document: &str) -> Reply {
    let md5 = STANDARD.encode(Md5::digest(document));
    let draft = Draft::new(Method::PUT, &format!("/photos?{setting}")).header("content-md5", md5);
    client.send(draft.body(document.to_owned())).await
}

#[tokio::test]
async fn rules_come_back_as_they_were_put() {
    let world = World::new();
    let (one, two) = (world.gateway().await, world.gateway().await);
    let owner = one.client_with("photos").await;
    assert_eq!(owner.get("/photos?cors").await.refusal(), (404, "NoSuchCORSConfiguration"));
    assert_eq!(owner.delete("/photos?cors").await.status, 204, "what is not set can be deleted");
    assert_eq!(set(&owner, "cors", CORS).await.ok().status, 200);
    for gateway in [&one, &two] {
        let rules = owner.at(gateway.address).get("/photos?cors").await.ok();
        assert!(rules.text().contains(&CORS[19..CORS.len() - 20]), "{}", rules.text());
    }
    assert_eq!(owner.delete("/photos?cors").await.status, 204);
    assert_eq!(owner.at(two.address).get("/photos?cors").await.refusal(), (404, "NoSuchCORSConfiguration"));
}

#[tokio::test]
async fn what_is_refused_changes_nothing() {
    let world = World::new();
    let gateway = world.gateway().await;
    let owner = gateway.client_with("photos").await;
    set(&owner, "cors", CORS).await.ok();
    let bad = CORS.replace("PUT", "PATCH");
    assert_eq!(set(&owner, "cors", &bad).await.refusal(), (400, "InvalidRequest"));
    assert_eq!(set(&owner, "cors", "<CORSConfiguration>").await.refusal(), (400, "MalformedXML"));
    assert_eq!(set(&owner, "cors", &" ".repeat(70_000)).await.refusal(), (400, "MaxMessageLengthExceeded"));
    assert_eq!(owner.put("/photos?cors", CORS).await.refusal(), (400, "InvalidRequest"), "no checksum");
    let wrong = Draft::new(Method::PUT, "/photos?cors").header("content-md5", STANDARD.encode([0; 16])).body(CORS);
    assert_eq!(owner.send(wrong).await.refusal(), (400, "BadDigest"));
    let checksum = Hasher::of(Algorithm::Crc32, CORS.as_bytes()).to_string();
    let checked = Draft::new(Method::PUT, "/photos?cors").header("x-amz-checksum-crc32", checksum).body(CORS);
    owner.send(checked).await.ok();
    assert_eq!(owner.get("/photos?cors").await.ok().all("AllowedMethod"), ["GET", "PUT"]);
}

#[tokio::test]
async fn settings_are_the_owners() {
    let world = World::new();
    let gateway = world.gateway().await;
    let owner = gateway.client_with("photos").await;
    let guest = gateway.client().await;
    gateway.allow(&guest, "photos", true, true).await;
    for refused in
        [guest.get("/photos?cors").await, set(&guest, "cors", CORS).await, guest.delete("/photos?cors").await]
    {
        assert_eq!(refused.refusal(), (403, "AccessDenied"));
    }
    assert_eq!(set(&owner, "cors", CORS).await.status, 200);
}

#[tokio::test]
async fn settings_and_grants_do_not_undo_each_other() {
    let world = World::new();
    let (one, two) = (world.gateway().await, world.gateway().await);
    let owner = one.client_with("photos").await;
    let guest = two.client().await;
    for _ in 0..5 {
        let there = owner.at(two.address);
        let (put, ()) = tokio::join!(set(&there, "cors", CORS), one.allow(&guest, "photos", true, false));
        assert_eq!(put.status, 200);
        assert_eq!(owner.get("/photos?cors").await.status, 200);
        assert_eq!(guest.get("/photos?list-type=2").await.status, 200);
        assert_eq!(owner.delete("/photos?cors").await.status, 204);
        let rights = Some(cairn_proto::admin::v1::Rights { read: true, ..Default::default() });
        let key = guest.access_key.clone();
        let deny =
            cairn_proto::admin::v1::DenyBucketRequest { bucket: "photos".to_owned(), key, rights, prefixes: vec![] };
        one.admin().deny_bucket(deny).await.unwrap();
    }
}

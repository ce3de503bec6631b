//! Who may do what, and that nothing is refused or allowed on stale grounds.

use cairn_proto::admin::v1::{
    CreateKeyRequest, DeleteKeyRequest, DenyBucketRequest, GetKeyRequest, GetStatusRequest, ImportKeyRequest, Rights,
};
use cairn_types::{Clock as _, SystemClock};
use http::Method;
use tonic::Code;

use crate::support::World;
use crate::support::client::{Client, Draft};

#[tokio::test]
async fn unsigned_and_missigned_requests_reach_nothing() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    client.put("/photos/cat", "meow").await.ok();
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::HEAD] {
        let parts = client.parts(Draft::new(method.clone(), "/photos/cat"), 0);
        assert_eq!(client.exchange(parts, "".into()).await.status, 403, "{method}");
    }
    let wrong = Client { secret: "wrong".repeat(8), ..client.clone() };
    assert_eq!(wrong.get("/photos/cat").await.refusal(), (403, "SignatureDoesNotMatch"));
    let nobody = Client { access_key: "AKNOBODY".to_owned(), ..client.clone() };
    assert_eq!(nobody.get("/photos/cat").await.refusal(), (403, "InvalidAccessKeyId"));
    assert_eq!(client.get("/photos/cat").await.ok().text(), "meow");
}

#[tokio::test]
async fn links_work_until_they_expire() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    client.put("/photos/cat", "meow").await.ok();
    let now = SystemClock.now_ms();
    let link = client.presign(Method::GET, "/photos/cat", 60, now);
    assert_eq!(client.exchange(link, "".into()).await.ok().text(), "meow");
    let expired = client.presign(Method::GET, "/photos/cat", 60, now - 61_000);
    assert_eq!(client.exchange(expired, "".into()).await.refusal(), (403, "AccessDenied"));
    let other = client.presign(Method::GET, "/photos/dog", 60, now);
    assert_eq!(client.exchange(other, "".into()).await.refusal(), (404, "NoSuchKey"));
}

#[tokio::test]
async fn rights_are_checked_for_target_and_source() {
    let world = World::new();
    let gateway = world.gateway().await;
    let owner = gateway.client_with("photos").await;
    let guest = gateway.client_with("theirs").await;
    owner.put("/photos/cat", "meow").await.ok();
    let copy = || Draft::new(Method::PUT, "/theirs/cat").header("x-amz-copy-source", "photos/cat");
    assert_eq!(guest.get("/photos/cat").await.refusal(), (403, "AccessDenied"));
    assert_eq!(guest.get("/photos?list-type=2").await.refusal(), (403, "AccessDenied"));
    assert_eq!(guest.send(copy()).await.refusal(), (403, "AccessDenied"));
    gateway.allow(&guest, "photos", true, false).await;
    assert_eq!(guest.get("/photos/cat").await.ok().text(), "meow");
    guest.send(copy()).await.ok();
    for refused in
        [guest.put("/photos/dog", "x").await, guest.delete("/photos/cat").await, guest.delete("/photos").await]
    {
        assert_eq!(refused.refusal(), (403, "AccessDenied"));
    }
    let other_owner = Draft::new(Method::GET, "/photos/cat").header("x-amz-expected-bucket-owner", "AKELSE");
    assert_eq!(owner.send(other_owner).await.refusal(), (403, "AccessDenied"));
}

#[tokio::test]
async fn grants_hold_elsewhere_at_once_and_end_within_two_seconds() {
    let world = World::new();
    let (one, two) = (world.gateway().await, world.gateway().await);
    let owner = one.client_with("photos").await;
    owner.put("/photos/cat", "meow").await.ok();
    let guest = two.client().await;
    assert_eq!(guest.get("/photos/cat").await.status, 403, "and two's cache knows it");
    one.allow(&guest, "photos", true, false).await;
    assert_eq!(guest.get("/photos/cat").await.ok().text(), "meow");
    let key = guest.access_key.clone();
    let rights = Some(Rights { read: true, ..Rights::default() });
    let deny = DenyBucketRequest { bucket: "photos".to_owned(), key: key.clone(), rights, prefixes: vec![] };
    one.admin().deny_bucket(deny).await.unwrap();
    let begun = std::time::Instant::now();
    while guest.get("/photos/cat").await.status != 403 {
        assert!(begun.elapsed().as_millis() < 2500, "a right that was taken still works");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    one.admin().delete_key(DeleteKeyRequest { key }).await.unwrap();
    assert_eq!(guest.at(one.address).get("/").await.refusal(), (403, "InvalidAccessKeyId"));
}

#[tokio::test]
async fn a_gateway_without_a_quorum_allows_nothing_for_long() {
    let world = World::new();
    let mut config = cairn_gateway::Config::default();
    config.limits.operation_timeout = "1s".parse().unwrap();
    let gateway = world.gateway_with(config).await;
    let client = gateway.client_with("photos").await;
    client.head("/photos").await.ok();
    world.leave_tables(1);
    // The bucket's cached row may allow for two seconds; then there is no answer but 503.
    let begun = std::time::Instant::now();
    while client.head("/photos").await.status != 503 {
        assert!(begun.elapsed().as_millis() < 3500, "a cached right outlived its two seconds");
    }
    let stranger = Client { access_key: "AKSTRANGER".to_owned(), ..client };
    assert_eq!(stranger.get("/").await.status, 503, "nobody is refused without a quorum");
}

#[tokio::test]
async fn before_the_first_layout_everything_is_503() {
    let world = World::without_layout();
    let gateway = world.gateway().await;
    let client = Client::new(gateway.address, "AKANYBODY", "secret");
    let answer = client.get("/").await;
    assert_eq!(answer.refusal(), (503, "ServiceUnavailable"));
    assert!(answer.element("Message").contains("layout apply"));
    assert_eq!(answer.header("retry-after"), "1");
    let status = gateway.admin().get_status(GetStatusRequest {}).await.unwrap().into_inner();
    assert!(!status.ready);
}

#[tokio::test]
async fn keys_are_made_imported_and_found() {
    let world = World::new();
    let gateway = world.gateway().await;
    let mut admin = gateway.admin();
    let import = |access_key: &str| ImportKeyRequest {
        name: "old".to_owned(),
        access_key: access_key.to_owned(),
        secret_key: "a-secret-of-before".to_owned(),
        create_bucket: true,
        expiry: None,
    };
    admin.import_key(import("OLDKEY")).await.unwrap();
    assert_eq!(admin.import_key(import("OLDKEY")).await.unwrap_err().code(), Code::Aborted);
    assert_eq!(admin.import_key(import("a/b")).await.unwrap_err().code(), Code::InvalidArgument);
    Client::new(gateway.address, "OLDKEY", "a-secret-of-before").put("/photos", "").await.ok();
    let found = admin.get_key(GetKeyRequest { key: "old".to_owned() }).await.unwrap().into_inner().key.unwrap();
    assert_eq!((found.access_key.as_str(), found.grants[0].bucket.as_str()), ("OLDKEY", "photos"));
    let request = CreateKeyRequest { name: "old".to_owned(), create_bucket: false, expiry: None };
    let made = admin.create_key(request).await.unwrap().into_inner();
    assert_eq!(admin.get_key(GetKeyRequest { key: "old".to_owned() }).await.unwrap_err().code(), Code::Aborted);
    let client = Client::new(gateway.address, &made.key.unwrap().access_key, &made.secret_key);
    assert_eq!(client.put("/more", "").await.refusal(), (403, "AccessDenied"));
}

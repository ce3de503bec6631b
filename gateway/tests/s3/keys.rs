//! Keys over their life, and rights that reach some keys of a bucket only.

use std::time::{Duration, Instant};

use cairn_proto::admin::v1::expiry::When;
use cairn_proto::admin::v1::{
    AllowBucketRequest, ChangeKeyRequest, DeleteKeyRequest, DenyBucketRequest, EndKeyRotationRequest, Expiry,
    KeptSecret, Rights, RotateKeyRequest,
};
use cairn_types::{Clock as _, SystemClock};
use http::Method;
use tonic::Code;

use crate::support::client::{Client, Draft};
use crate::support::{Running, World};

const DENIED: (u16, &str) = (403, "AccessDenied");
/// A change holds everywhere after two seconds (SECURITY V23), and this long for the test's own requests.
const BOUND: Duration = Duration::from_millis(2500);

async fn change(gateway: &Running, client: &Client, create_bucket: Option<bool>, expiry: Option<When>) {
    let expiry = expiry.map(|when| Expiry { when: Some(when) });
    let request = ChangeKeyRequest { key: client.access_key.clone(), create_bucket, expiry };
    gateway.admin().change_key(request).await.unwrap();
}

async fn allow_within(gateway: &Running, client: &Client, bucket: &str, rights: Rights, prefix: &str) {
    let request = AllowBucketRequest {
        bucket: bucket.to_owned(),
        key: client.access_key.clone(),
        rights: Some(rights),
        prefixes: vec![prefix.to_owned()],
    };
    gateway.admin().allow_bucket(request).await.unwrap();
}

async fn rotate(gateway: &Running, client: &Client, overlap_ms: u64) -> Client {
    let request = RotateKeyRequest { key: client.access_key.clone(), overlap_ms };
    let made = gateway.admin().rotate_key(request).await.unwrap().into_inner();
    assert!(made.key.unwrap().rotation.is_some());
    Client { secret: made.secret_key, ..client.clone() }
}

async fn end(gateway: &Running, client: &Client, kept: KeptSecret) -> Result<(), Code> {
    let request = EndKeyRotationRequest { key: client.access_key.clone(), kept: kept.into() };
    gateway.admin().end_key_rotation(request).await.map(drop).map_err(|status| status.code())
}

/// Polls until the client is refused with `code`; whoever asks after the bound must have been.
async fn refused_within_the_bound(client: &Client, code: &str) {
    let begun = Instant::now();
    loop {
        let reply = client.head_or_get("/").await;
        if reply == code {
            return;
        }
        assert_eq!(reply, "", "neither served nor refused");
        assert!(begun.elapsed() < BOUND, "still served after {BOUND:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl Client {
    /// The error's code; empty: served.
    async fn head_or_get(&self, target: &str) -> String {
        self.get(target).await.element("Code").to_owned()
    }
}

#[tokio::test]
async fn an_expired_key_stops_on_every_gateway() {
    let world = World::new();
    let (one, two) = (world.gateway().await, world.gateway().await);
    let client = one.client().await;
    let elsewhere = client.at(two.address);
    elsewhere.get("/").await.ok();
    change(&one, &client, None, Some(When::AtMs(SystemClock.now_ms() - 1))).await;
    assert_eq!(client.get("/").await.refusal(), DENIED, "here at once");
    refused_within_the_bound(&elsewhere, "AccessDenied").await;
    change(&one, &client, None, Some(When::Never(true))).await;
    elsewhere.get("/").await.ok();
    // A moment that comes needs no look at the row.
    change(&one, &client, None, Some(When::InMs(300))).await;
    elsewhere.get("/").await.ok();
    refused_within_the_bound(&elsewhere, "AccessDenied").await;
}

#[tokio::test]
async fn a_deleted_key_is_refused_as_none_wherever_it_is_refused() {
    let world = World::new();
    let (one, two) = (world.gateway().await, world.gateway().await);
    one.client_with("photos").await;
    let client = one.client().await;
    let there = client.at(two.address);
    there.get("/").await.ok();
    let request = DeleteKeyRequest { key: client.access_key.clone() };
    one.admin().delete_key(request).await.unwrap();
    // Two still knows the key, and asks before it refuses anything.
    assert_eq!(there.get("/photos").await.refusal(), (403, "InvalidAccessKeyId"));
    assert_eq!(client.get("/").await.refusal(), (403, "InvalidAccessKeyId"));
}

#[tokio::test]
async fn two_secrets_verify_during_a_rotation() {
    let world = World::new();
    let (one, two) = (world.gateway().await, world.gateway().await);
    let old = one.client().await;
    assert_eq!(end(&one, &old, KeptSecret::New).await, Err(Code::Aborted), "none is under way");
    let new = rotate(&one, &old, 0).await;
    assert_ne!(old.secret, new.secret);
    for gateway in [&one, &two] {
        old.at(gateway.address).get("/").await.ok();
        new.at(gateway.address).get("/").await.ok();
    }
    let request = RotateKeyRequest { key: old.access_key.clone(), overlap_ms: 0 };
    assert_eq!(one.admin().rotate_key(request).await.unwrap_err().code(), Code::Aborted, "one at a time");
    end(&one, &old, KeptSecret::New).await.unwrap();
    refused_within_the_bound(&old, "SignatureDoesNotMatch").await;
    refused_within_the_bound(&old.at(two.address), "SignatureDoesNotMatch").await;
    new.at(two.address).get("/").await.ok();
}

#[tokio::test]
async fn a_rotation_ends_by_itself_or_is_taken_back() {
    let world = World::new();
    let gateway = world.gateway().await;
    let first = gateway.client().await;
    let second = rotate(&gateway, &first, 200).await;
    first.get("/").await.ok();
    refused_within_the_bound(&first, "SignatureDoesNotMatch").await;
    assert_eq!(end(&gateway, &first, KeptSecret::Previous).await, Err(Code::Aborted), "it is over");
    let third = rotate(&gateway, &second, 60_000).await;
    third.get("/").await.ok();
    end(&gateway, &first, KeptSecret::Previous).await.unwrap();
    refused_within_the_bound(&third, "SignatureDoesNotMatch").await;
    second.get("/").await.ok();
}

#[tokio::test]
async fn both_secrets_sign_bodies_and_links() {
    let world = World::new();
    let gateway = world.gateway().await;
    let old = gateway.client_with("photos").await;
    let new = rotate(&gateway, &old, 0).await;
    for (client, key) in [(&old, "old"), (&new, "new")] {
        let target = format!("/photos/{key}");
        let draft = Draft::new(Method::PUT, &target).body(vec![7; 100_000]);
        client.send_chunked(draft, cairn_s3::auth::Payload::StreamingSigned, 65_536, false).await.ok();
        let link = client.presign(Method::GET, &target, 60, SystemClock.now_ms());
        assert_eq!(client.exchange(link, "".into()).await.ok().body.len(), 100_000);
    }
}

#[tokio::test]
async fn the_right_to_create_buckets_is_given_and_taken() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client().await;
    client.put("/first", "").await.ok();
    change(&gateway, &client, Some(false), None).await;
    assert_eq!(client.put("/second", "").await.refusal(), DENIED);
    change(&gateway, &client, Some(true), None).await;
    client.put("/second", "").await.ok();
}

const READ: Rights = Rights { read: true, write: false, owner: false };
const WRITE: Rights = Rights { read: false, write: true, owner: false };

#[tokio::test]
async fn rights_within_a_prefix_reach_nothing_else() {
    let world = World::new();
    let gateway = world.gateway().await;
    let owner = gateway.client_with("photos").await;
    for key in ["in/a", "in", "inn/a", "out/a"] {
        owner.put(&format!("/photos/{key}"), "x").await.ok();
    }
    let guest = gateway.client_with("theirs").await;
    allow_within(&gateway, &guest, "photos", READ, "in/").await;
    guest.get("/photos/in/a").await.ok();
    guest.head("/photos").await.ok();
    guest.get("/photos?location").await.ok();
    for target in [
        "/photos?prefix=in/",
        "/photos?list-type=2&prefix=in/a",
        "/photos?versions&prefix=in/",
        "/photos?uploads&prefix=in/",
    ] {
        guest.get(target).await.ok();
    }
    let outside = [
        "/photos/in",
        "/photos/inn/a",
        "/photos/out/a",
        "/photos/out/a?attributes",
        "/photos/out/a?acl",
        "/photos",
        "/photos?list-type=2",
        "/photos?prefix=in",
        "/photos?list-type=2&prefix=out/",
        "/photos?versions",
        "/photos?uploads&prefix=o",
    ];
    for target in outside {
        let draft = Draft::new(Method::GET, target).header("x-amz-object-attributes", "ETag");
        assert_eq!(guest.send(draft).await.refusal(), DENIED, "{target}");
    }
    // A copy's source is read too.
    let copy = |source: &str| Draft::new(Method::PUT, "/theirs/copy").header("x-amz-copy-source", source);
    guest.send(copy("photos/in/a")).await.ok();
    assert_eq!(guest.send(copy("photos/out/a")).await.refusal(), DENIED);
    // Reading is not writing.
    assert_eq!(guest.put("/photos/in/b", "x").await.refusal(), DENIED);
    assert!(guest.get("/").await.ok().all("Name").contains(&"photos"), "the key has something there");
}

#[tokio::test]
async fn writes_within_a_prefix_stay_there() {
    let world = World::new();
    let gateway = world.gateway().await;
    let owner = gateway.client_with("photos").await;
    owner.put("/photos/out/a", "x").await.ok();
    let guest = gateway.client().await;
    allow_within(&gateway, &guest, "photos", WRITE, "in/").await;
    guest.put("/photos/in/a", "x").await.ok();
    guest.post("/photos/in/b?uploads", "").await.ok();
    guest.delete("/photos/in/b").await.ok();
    for refused in [
        guest.put("/photos/out/a", "y").await,
        guest.delete("/photos/out/a").await,
        guest.post("/photos/out/b?uploads", "").await,
        guest.get("/photos/in/a").await,
        guest.delete("/photos").await,
    ] {
        assert_eq!(refused.refusal(), DENIED);
    }
    let body = "<Delete><Object><Key>in/a</Key></Object><Object><Key>out/a</Key></Object></Delete>";
    let reply = guest.delete_many("photos", body).await.ok();
    assert_eq!((reply.all("Key"), reply.all("Code")), (vec!["in/a", "out/a"], vec!["AccessDenied"]));
    assert_eq!(owner.get("/photos/out/a").await.ok().text(), "x");
    // Rights are taken where they are, and then nothing is left.
    let deny = |prefixes: Vec<String>| DenyBucketRequest {
        bucket: "photos".to_owned(),
        key: guest.access_key.clone(),
        rights: Some(WRITE),
        prefixes,
    };
    gateway.admin().deny_bucket(deny(vec!["in".to_owned()])).await.unwrap();
    guest.put("/photos/in/a", "x").await.ok();
    gateway.admin().deny_bucket(deny(vec![])).await.unwrap();
    assert_eq!(guest.put("/photos/in/a", "x").await.refusal(), DENIED);
}

#[tokio::test]
async fn deletions_by_stale_grants_are_not_refused() {
    let world = World::new();
    let (one, two) = (world.gateway().await, world.gateway().await);
    let owner = one.client_with("photos").await;
    owner.put("/photos/out/a", "x").await.ok();
    let guest = one.client().await;
    allow_within(&one, &guest, "photos", WRITE, "in/").await;
    let there = guest.at(two.address);
    there.put("/photos/in/a", "x").await.ok();
    // Two's cached row knows nothing of this.
    allow_within(&one, &guest, "photos", WRITE, "out/").await;
    let reply = there.delete_many("photos", "<Delete><Object><Key>out/a</Key></Object></Delete>").await.ok();
    assert_eq!(reply.all("Code"), Vec::<&str>::new(), "{}", reply.text());
}

#[tokio::test]
async fn an_owner_is_never_one_of_a_prefix() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let request = |rights: Rights, prefix: &str| AllowBucketRequest {
        bucket: "photos".to_owned(),
        key: client.access_key.clone(),
        rights: Some(rights),
        prefixes: vec![prefix.to_owned()],
    };
    for (rights, prefix) in [(Rights { owner: true, ..READ }, "in/"), (READ, ""), (READ, &"k".repeat(1025))] {
        let refused = gateway.admin().allow_bucket(request(rights, prefix)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
}

//! Buckets: names are races, deletion goes through the gate.

use cairn_proto::admin::v1::{DeleteBucketRequest, GetBucketRequest, ListBucketsRequest};
use tonic::Code;

use crate::support::World;

#[tokio::test]
async fn a_bucket_is_created_once() {
    let world = World::new();
    let (one, two) = (world.gateway().await, world.gateway().await);
    let (mine, theirs) = (one.client().await, two.client().await);
    mine.put("/photos", "").await.ok();
    assert_eq!(mine.put("/photos", "").await.refusal(), (409, "BucketAlreadyOwnedByYou"));
    assert_eq!(theirs.put("/photos", "").await.refusal(), (409, "BucketAlreadyExists"));
    mine.at(two.address).head("/photos").await.ok();
    assert_eq!(mine.head("/photos").await.header("x-amz-bucket-region"), "cairn");
    assert_eq!(mine.get("/photos?location").await.ok().element("LocationConstraint"), "");
    let elsewhere =
        "<CreateBucketConfiguration><LocationConstraint>mars</LocationConstraint></CreateBucketConfiguration>";
    assert_eq!(mine.put("/other", elsewhere).await.refusal(), (400, "InvalidLocationConstraint"));
    assert_eq!(mine.put("/Bad_Name", "").await.status, 400);
    assert_eq!(mine.get("/none?list-type=2").await.refusal(), (404, "NoSuchBucket"));
    let missing = mine.head("/none").await;
    assert_eq!((missing.status, missing.body.len()), (404, 0));
}

#[tokio::test]
async fn of_many_creators_one_has_the_name() {
    let world = World::new();
    let gateways = [world.gateway().await, world.gateway().await];
    let mut racers = tokio::task::JoinSet::new();
    for racer in 0..6 {
        let client = gateways[racer % 2].client().await;
        racers.spawn(async move { client.put("/photos", "").await.status });
    }
    let statuses = racers.join_all().await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 409].contains(status)), "{statuses:?}");
}

#[tokio::test]
async fn only_empty_buckets_are_deleted_and_their_names_are_free() {
    let world = World::new();
    let (one, two) = (world.gateway().await, world.gateway().await);
    let client = one.client().await;
    let far = client.at(two.address);
    client.put("/photos", "").await.ok();
    client.put("/photos/cat", "meow").await.ok();
    assert_eq!(client.delete("/photos").await.refusal(), (409, "BucketNotEmpty"));
    assert_eq!(far.get("/photos/cat").await.ok().text(), "meow");
    client.delete("/photos/cat").await.ok();
    assert_eq!(client.delete("/photos").await.status, 204);
    // The other gateway's cached row is out of date, and what it leads to is sealed.
    assert_eq!(far.put("/photos/dog", "woof").await.refusal(), (404, "NoSuchBucket"));
    assert_eq!(far.get("/photos?list-type=2").await.refusal(), (404, "NoSuchBucket"));
    far.put("/photos", "").await.ok();
    assert_eq!(client.get("/photos/cat").await.refusal(), (404, "NoSuchKey"), "the new bucket is another one");
}

#[tokio::test]
async fn each_key_sees_its_own_buckets() {
    let world = World::new();
    let gateway = world.gateway().await;
    let (mine, theirs) = (gateway.client().await, gateway.client().await);
    for name in ["alpha", "beta", "gamma"] {
        mine.put(&format!("/{name}"), "").await.ok();
    }
    theirs.put("/delta", "").await.ok();
    gateway.allow(&theirs, "beta", true, false).await;
    assert_eq!(mine.get("/").await.ok().all("Name"), ["alpha", "beta", "gamma"]);
    assert_eq!(theirs.get("/").await.ok().all("Name"), ["beta", "delta"]);
    let page = mine.get("/?max-buckets=2").await.ok();
    assert_eq!(page.all("Name"), ["alpha", "beta"]);
    let next = mine.get(&format!("/?continuation-token={}", page.element("ContinuationToken"))).await.ok();
    assert_eq!(next.all("Name"), ["gamma"]);
    assert_eq!(mine.get("/?prefix=be").await.ok().all("Name"), ["beta"]);
}

#[tokio::test]
async fn operators_see_and_delete_buckets() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    client.put("/photos/cat", "meow").await.ok();
    let mut admin = gateway.admin();
    let bucket = admin.get_bucket(GetBucketRequest { name: "photos".to_owned() }).await.unwrap().into_inner();
    assert_eq!(bucket.bucket.unwrap().grants[0].access_key, client.access_key);
    let delete = DeleteBucketRequest { name: "photos".to_owned() };
    assert_eq!(admin.delete_bucket(delete.clone()).await.unwrap_err().code(), Code::Aborted);
    client.delete("/photos/cat").await.ok();
    admin.delete_bucket(delete.clone()).await.unwrap();
    assert_eq!(admin.delete_bucket(delete).await.unwrap_err().code(), Code::NotFound);
    assert!(admin.list_buckets(ListBucketsRequest {}).await.unwrap().into_inner().buckets.is_empty());
}

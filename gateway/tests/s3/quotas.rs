//! Quotas: on every path that makes a bucket larger, and on none that does not.

use bytes::Bytes;
use cairn_proto::admin::v1::{BucketQuota, GetBucketRequest, SetBucketQuotaRequest};
use http::Method;

use crate::support::client::{Client, Draft};
use crate::support::{Running, World};

const PART: usize = 5 << 20;
const FULL: (u16, &str) = (403, "QuotaExceeded");

fn body(length: usize) -> Bytes {
    (0..length).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect()
}

async fn limit(gateway: &Running, max_bytes: Option<u64>, max_objects: Option<u64>) {
    let quota = Some(BucketQuota { max_bytes, max_objects });
    let request = SetBucketQuotaRequest { bucket: "photos".to_owned(), quota };
    let shown = gateway.admin().set_bucket_quota(request).await.unwrap().into_inner().bucket.unwrap();
    let expected = quota.filter(|quota| *quota != BucketQuota::default());
    assert_eq!(shown.quota, expected);
}

async fn usage(gateway: &Running) -> (u64, u64) {
    let request = GetBucketRequest { name: "photos".to_owned() };
    let bucket = gateway.admin().get_bucket(request).await.unwrap().into_inner().bucket.unwrap();
    (bucket.objects, bucket.bytes)
}

async fn copy(client: &Client, source: &str, target: &str) -> (u16, String) {
    let copy = Draft::new(Method::PUT, target).header("x-amz-copy-source", source);
    let reply = client.send(copy).await;
    (reply.status, reply.element("Code").to_owned())
}

#[tokio::test]
async fn bytes_are_bounded_on_put_and_copy() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    limit(&gateway, Some(100_000), None).await;
    client.put("/photos/a", body(60_000)).await.ok();
    assert_eq!(client.put("/photos/b", body(40_001)).await.refusal(), FULL);
    assert_eq!(client.get("/photos/b").await.status, 404);
    let if_absent = Draft::new(Method::PUT, "/photos/b").header("if-none-match", "*").body(body(40_001));
    assert_eq!(client.send(if_absent).await.refusal(), FULL);
    client.put("/photos/b", body(40_000)).await.ok();
    assert_eq!(usage(&gateway).await, (2, 100_000));

    assert_eq!(client.put("/photos/c", "x").await.refusal(), FULL);
    assert_eq!(copy(&client, "photos/a", "/photos/c").await, (403, "QuotaExceeded".to_owned()));
    assert_eq!(copy(&client, "photos/b", "/photos/a").await.0, 200, "smaller than what it replaces");
    assert_eq!(usage(&gateway).await, (2, 80_000));
    client.put("/photos/a", body(60_000)).await.ok();
    assert_eq!(client.put("/photos/a", body(60_001)).await.refusal(), FULL);
    assert!(client.get("/photos/a").await.ok().body == body(60_000), "the refused body replaced nothing");

    limit(&gateway, Some(10), None).await;
    client.put("/photos/a", body(50_000)).await.ok();
    client.delete("/photos/b").await.ok();
    assert_eq!(usage(&gateway).await, (1, 50_000));
    limit(&gateway, None, None).await;
    client.put("/photos/c", body(200_000)).await.ok();
}

#[tokio::test]
async fn objects_are_bounded() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    limit(&gateway, None, Some(2)).await;
    client.put("/photos/a", "1").await.ok();
    client.put("/photos/b", "2").await.ok();
    assert_eq!(client.put("/photos/c", "").await.refusal(), FULL);
    assert_eq!(copy(&client, "photos/a", "/photos/c").await.0, 403);
    client.put("/photos/b", body(100_000)).await.ok();
    assert_eq!(copy(&client, "photos/a", "/photos/b").await.0, 200);
    client.delete("/photos/a").await.ok();
    client.put("/photos/c", "3").await.ok();
    assert_eq!(usage(&gateway).await.0, 2);
}

#[tokio::test]
async fn uploads_count_when_they_become_objects() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let part = u64::try_from(PART).unwrap();
    limit(&gateway, Some(2 * part + 100), Some(1)).await;
    let id = client.post("/photos/big?uploads", "").await.ok().element("UploadId").to_owned();
    let target = |number: u32| format!("/photos/big?uploadId={id}&partNumber={number}");
    let mut etags = Vec::new();
    for number in 1..=2 {
        etags.push(client.put(&target(number), body(PART)).await.ok().header("etag").to_owned());
    }
    client.put(&target(2), body(PART)).await.ok();
    assert_eq!(client.put(&target(3), body(PART)).await.refusal(), FULL, "what is there already leaves no room");
    etags.push(client.put(&target(3), body(100)).await.ok().header("etag").to_owned());
    assert_eq!(usage(&gateway).await, (0, 0));
    let number =
        |(at, etag): (usize, &String)| format!("<Part><PartNumber>{}</PartNumber><ETag>{etag}</ETag></Part>", at + 1);
    let parts: String = etags.iter().enumerate().map(number).collect();
    let complete = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");

    client.put("/photos/other", "x").await.ok();
    let list = format!("/photos/big?uploadId={id}");
    assert_eq!(client.post(&list, complete.clone()).await.refusal(), FULL);
    assert_eq!(client.get(&list).await.ok().all("PartNumber").len(), 3, "the upload is still open");
    client.delete("/photos/other").await.ok();
    client.post(&list, complete.clone()).await.ok();
    assert_eq!(usage(&gateway).await, (1, 2 * part + 100));
    client.post(&list, complete).await.ok();

    limit(&gateway, Some(part), None).await;
    let id = client.post("/photos/big2?uploads", "").await.ok().element("UploadId").to_owned();
    let target = format!("/photos/big2?uploadId={id}&partNumber=1");
    assert_eq!(client.put(&target, "x").await.refusal(), FULL);
    let copied = Draft::new(Method::PUT, &target).header("x-amz-copy-source", "photos/big");
    assert_eq!(client.send(copied).await.refusal(), FULL);
    assert_eq!(client.delete(&format!("/photos/big2?uploadId={id}")).await.status, 204);
}

#[tokio::test]
async fn racing_writers_pass_a_quota_by_what_is_in_flight_at_most() {
    const WRITERS: u64 = 6;
    const EACH: u64 = 10_000;
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    limit(&gateway, Some(10 * EACH), None).await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let client = client.clone();
        writers.spawn(async move {
            let mut stored = 0;
            for round in 0..10 {
                let reply = client.put(&format!("/photos/{writer}-{round}"), body(10_000)).await;
                match reply.status {
                    200 => stored += EACH,
                    _ => assert_eq!(reply.refusal(), FULL),
                }
            }
            stored
        });
    }
    let stored: u64 = writers.join_all().await.into_iter().sum();
    assert_eq!(usage(&gateway).await.1, stored);
    assert!((10 * EACH..=(10 + WRITERS) * EACH).contains(&stored), "{stored}");
    assert_eq!(client.put("/photos/late", "x").await.refusal(), FULL);
}

//! CopyObject and UploadPartCopy in all their forms.

use bytes::Bytes;
use cairn_s3::checksum::{Algorithm, Hasher};
use http::Method;

use crate::support::World;
use crate::support::client::{Client, Draft, Reply};

const PART: usize = 5 << 20;

fn body(length: usize) -> Bytes {
    (0..length).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect()
}

fn copy(source: &str, target: &str) -> Draft {
    Draft::new(Method::PUT, target).header("x-amz-copy-source", source)
}

async fn upload(client: &Client, key: &str, parts: Vec<Draft>) -> Reply {
    let id = client.post(&format!("/photos/{key}?uploads"), "").await.ok().element("UploadId").to_owned();
    finish(client, key, &id, parts).await
}

/// Sends parts 1, 2, … and completes.
async fn finish(client: &Client, key: &str, id: &str, parts: Vec<Draft>) -> Reply {
    let mut list = String::new();
    for (number, part) in (1..).zip(parts) {
        let target = format!("/photos/{key}?uploadId={id}&partNumber={number}");
        let reply = client.send(part.to(&target)).await.ok();
        let etag = reply.element("ETag").replace("&quot;", "");
        let etag = if etag.is_empty() { reply.header("etag").to_owned() } else { etag };
        list += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
    }
    let list = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
    client.post(&format!("/photos/{key}?uploadId={id}"), list).await
}

fn part(content: Bytes) -> Draft {
    Draft::new(Method::PUT, "/").body(content)
}

fn part_of(source: &str, range: Option<(usize, usize)>) -> Draft {
    let part = copy(source, "/");
    match range {
        Some((first, last)) => part.header("x-amz-copy-source-range", format!("bytes={first}-{last}")),
        None => part,
    }
}

#[tokio::test]
async fn headers_and_metadata_are_copied_or_replaced() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let draft = Draft::new(Method::PUT, "/photos/a").header("content-type", "x/old").header("x-amz-meta-a", "1");
    client.send(draft.header("x-amz-website-redirect-location", "/old").body("text")).await.ok();

    let kept = copy("photos/a", "/photos/b").header("x-amz-meta-b", "2").header("content-type", "x/new");
    client.send(kept).await.ok();
    let head = client.head("/photos/b").await.ok();
    assert_eq!(
        (head.header("content-type"), head.header("x-amz-meta-a"), head.header("x-amz-meta-b")),
        ("x/old", "1", "")
    );
    assert_eq!(head.header("x-amz-website-redirect-location"), "", "the redirect is never copied");

    let replaced = copy("photos/a", "/photos/c").header("x-amz-metadata-directive", "REPLACE");
    let replaced = replaced.header("x-amz-meta-b", "2").header("x-amz-website-redirect-location", "/new");
    client.send(replaced).await.ok();
    let head = client.head("/photos/c").await.ok();
    assert_eq!((head.header("x-amz-meta-a"), head.header("x-amz-meta-b")), ("", "2"));
    assert_eq!(head.header("content-type"), "binary/octet-stream");
    assert_eq!(head.header("x-amz-website-redirect-location"), "/new");
    assert_eq!(client.get("/photos/c").await.ok().text(), "text");

    let unknown = copy("photos/a", "/photos/d").header("x-amz-metadata-directive", "MERGE");
    assert_eq!(client.send(unknown).await.refusal(), (400, "InvalidArgument"));
}

#[tokio::test]
async fn onto_itself_something_must_change() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    for (name, content) in [("small", body(100)), ("large", body(200_000))] {
        let (source, target) = (format!("photos/{name}"), format!("/photos/{name}"));
        let etag = client.put(&target, content.clone()).await.ok().header("etag").to_owned();
        let again = || copy(&source, &target);
        assert_eq!(client.send(again()).await.refusal(), (400, "InvalidRequest"));
        client.send(again().header("x-amz-storage-class", "STANDARD")).await.ok();
        client.send(again().header("x-amz-website-redirect-location", "/x")).await.ok();
        assert_eq!(client.head(&target).await.header("x-amz-website-redirect-location"), "/x");
        client.send(again().header("x-amz-metadata-directive", "REPLACE").header("x-amz-meta-a", "1")).await.ok();
        client.send(again().header("x-amz-checksum-algorithm", "CRC32C")).await.ok();
        let read = Draft::new(Method::GET, &target).header("x-amz-checksum-mode", "ENABLED");
        let got = client.send(read).await.ok();
        assert_eq!(got.header("x-amz-checksum-crc32c"), Hasher::of(Algorithm::Crc32c, &content).to_string());
        assert_eq!((got.header("x-amz-meta-a"), got.header("etag")), ("1", etag.as_str()));
        assert!(got.body == content);
        let glacier = again().header("x-amz-storage-class", "GLACIER");
        assert_eq!(client.send(glacier).await.refusal(), (501, "NotImplemented"));
        let stale = again().header("x-amz-metadata-directive", "REPLACE").header("if-match", "\"else\"");
        assert_eq!(client.send(stale).await.refusal(), (412, "PreconditionFailed"));
    }
}

#[tokio::test]
async fn both_ends_have_conditions() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let etag = client.put("/photos/a", "one").await.ok().header("etag").to_owned();
    client.put("/photos/b", "two").await.ok();
    let old = "Thu, 01 Dec 1994 16:00:00 GMT";
    for (name, value, status) in [
        ("x-amz-copy-source-if-match", etag.as_str(), 200),
        ("x-amz-copy-source-if-match", "\"else\"", 412),
        ("x-amz-copy-source-if-none-match", etag.as_str(), 412),
        ("x-amz-copy-source-if-none-match", "\"else\"", 200),
        ("x-amz-copy-source-if-modified-since", old, 200),
        ("x-amz-copy-source-if-unmodified-since", old, 412),
    ] {
        let reply = client.send(copy("photos/a", "/photos/c").header(name, value)).await;
        assert_eq!(reply.status, status, "{name}: {value}");
    }
    let onto = |name: &str, value: &str| copy("photos/a", "/photos/b").header(name, value);
    assert_eq!(client.send(onto("if-none-match", "*")).await.refusal(), (412, "PreconditionFailed"));
    assert_eq!(client.send(onto("if-match", &etag)).await.refusal(), (412, "PreconditionFailed"));
    assert_eq!(client.get("/photos/b").await.text(), "two");
    let there = client.head("/photos/b").await.header("etag").to_owned();
    client.send(onto("if-match", &there)).await.ok();
    client.send(copy("photos/a", "/photos/new").header("if-none-match", "*")).await.ok();
    let missing = copy("photos/a", "/photos/none").header("if-match", etag.as_str());
    assert_eq!(client.send(missing).await.refusal(), (404, "NoSuchKey"));
    client.send(copy("photos/a?versionId=null", "/photos/d")).await.ok();
    assert_eq!(client.send(copy("photos/a?versionId=x1", "/photos/d")).await.refusal(), (404, "NoSuchVersion"));
}

#[tokio::test]
async fn an_object_in_parts_is_copied_without_its_parts() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let whole = body(PART + 1000);
    let parts = vec![part(whole.slice(..PART)), part(whole.slice(PART..))];
    upload(&client, "big", parts).await.ok();
    let count = world.blocks[0].count();
    client.send(copy("photos/big", "/photos/copy")).await.ok();
    assert_eq!(world.blocks[0].count(), count);
    let first = client.get("/photos/copy?partNumber=1").await;
    assert!(first.body == whole, "a copy is one part");
    assert_eq!(first.header("x-amz-mp-parts-count"), "", "who counts parts would ask for a second");
    assert_eq!(client.get("/photos/copy?partNumber=2").await.refusal(), (416, "InvalidPartNumber"));
    assert_eq!(client.get("/photos/big?partNumber=1").await.header("x-amz-mp-parts-count"), "2");
}

#[tokio::test]
async fn parts_are_copied_whole_or_in_ranges() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let (large, small) = (body(PART + 77), body(300));
    client.put("/photos/large", large.clone()).await.ok();
    client.put("/photos/small", small.clone()).await.ok();
    let count = world.blocks[0].count();
    upload(&client, "whole", vec![part_of("photos/large", None), part_of("photos/large", None)]).await.ok();
    assert_eq!(world.blocks[0].count(), count, "whole objects are shared");
    assert!(world.blocks[0].most_references() >= 3);
    assert!(client.get("/photos/whole").await.ok().body == [large.clone(), large.clone()].concat());

    let parts = vec![part_of("photos/large", Some((0, PART - 1))), part_of("photos/large", Some((PART, PART + 76)))];
    upload(&client, "ranges", parts).await.ok();
    assert!(client.get("/photos/ranges").await.ok().body == large);
    upload(&client, "last", vec![part_of("photos/large", None), part_of("photos/small", None)]).await.ok();
    assert!(client.get("/photos/last").await.ok().body == [large.clone(), small].concat());
    // An object in parts has no MD5 of its own: it is read.
    upload(&client, "again", vec![part_of("photos/whole", None)]).await.ok();
    assert!(client.get("/photos/again").await.ok().body == client.get("/photos/whole").await.body);
}

#[tokio::test]
async fn copied_parts_have_what_their_upload_declared() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let content = body(700_000);
    let sum = Hasher::of(Algorithm::Crc32c, &content).to_string();
    let with = Draft::new(Method::PUT, "/photos/with").header("x-amz-checksum-crc32c", sum.clone());
    client.send(with.body(content.clone())).await.ok();
    client.put("/photos/without", content.clone()).await.ok();
    for source in ["photos/with", "photos/without"] {
        let create = Draft::new(Method::POST, "/photos/target?uploads").header("x-amz-checksum-algorithm", "CRC32C");
        let id = client.send(create).await.ok().element("UploadId").to_owned();
        let target = format!("/photos/target?uploadId={id}&partNumber=1");
        assert_eq!(client.send(copy(source, &target)).await.ok().element("ChecksumCRC32C"), sum, "{source}");
        finish(&client, "target", &id, vec![part_of(source, None)]).await.ok();
        assert!(client.get("/photos/target").await.ok().body == content);
    }
}

#[tokio::test]
async fn wrong_ranges_and_conditions_of_copied_parts_are_refused() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    client.put("/photos/a", body(1000)).await.ok();
    let id = client.post("/photos/big?uploads", "").await.ok().element("UploadId").to_owned();
    let target = format!("/photos/big?uploadId={id}&partNumber=1");
    for (range, refusal) in [
        ("bytes=0-1000", (416, "InvalidRange")),
        ("bytes=1000-1001", (416, "InvalidRange")),
        ("bytes=5-", (400, "InvalidArgument")),
        ("0-5", (400, "InvalidArgument")),
    ] {
        let refused = client.send(copy("photos/a", &target).header("x-amz-copy-source-range", range)).await;
        assert_eq!(refused.refusal(), refusal, "{range}");
    }
    let stale = copy("photos/a", &target).header("x-amz-copy-source-if-match", "\"else\"");
    assert_eq!(client.send(stale).await.refusal(), (412, "PreconditionFailed"));
    assert_eq!(client.send(copy("photos/none", &target)).await.refusal(), (404, "NoSuchKey"));
    assert!(client.get(&format!("/photos/big?uploadId={id}")).await.ok().all("PartNumber").is_empty());
}

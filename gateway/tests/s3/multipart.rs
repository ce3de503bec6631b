//! Multipart uploads from their creation to their end, and the ways in which they are told twice.

use bytes::Bytes;
use cairn_s3::checksum::{Algorithm, Hasher};
use http::Method;

use crate::support::World;
use crate::support::client::{Client, Draft, Reply};

const PART: usize = 5 << 20;

fn body(length: usize, seed: usize) -> Bytes {
    (0..length).map(|n| u8::try_from((n + seed) * 11 % 251).unwrap()).collect()
}

async fn create(client: &Client, key: &str) -> String {
    client.post(&format!("/photos/{key}?uploads"), "").await.ok().element("UploadId").to_owned()
}

async fn upload(client: &Client, key: &str, id: &str, number: u32, content: Bytes) -> String {
    let reply = client.put(&format!("/photos/{key}?partNumber={number}&uploadId={id}"), content).await.ok();
    reply.header("etag").to_owned()
}

fn list(parts: &[(u32, &str)]) -> String {
    let parts: String = parts
        .iter()
        .map(|(number, etag)| format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"))
        .collect();
    format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
}

async fn complete(client: &Client, key: &str, id: &str, parts: &[(u32, &str)]) -> Reply {
    client.post(&format!("/photos/{key}?uploadId={id}"), list(parts)).await
}

#[tokio::test]
async fn parts_become_one_object() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let id = create(&client, "big").await;
    let contents = [body(PART, 1), body(PART + 100, 2), body(1000, 3)];
    let last = upload(&client, "big", &id, 9, contents[2].clone()).await;
    upload(&client, "big", &id, 2, body(10, 0)).await;
    let first = upload(&client, "big", &id, 2, contents[0].clone()).await;
    let second = upload(&client, "big", &id, 5, contents[1].clone()).await;
    upload(&client, "big", &id, 7, body(10, 4)).await;

    let page = client.get(&format!("/photos/big?uploadId={id}&max-parts=2")).await.ok();
    assert_eq!((page.all("PartNumber"), page.element("IsTruncated")), (vec!["2", "5"], "true"));
    let page = client.get(&format!("/photos/big?uploadId={id}&part-number-marker=5")).await.ok();
    assert_eq!(page.all("PartNumber"), ["7", "9"]);
    assert_eq!(client.get("/photos/big").await.status, 404, "an open upload is no object");

    let parts = [(2, first.as_str()), (5, second.as_str()), (9, last.as_str())];
    let completed = complete(&client, "big", &id, &parts).await.ok();
    assert!(completed.element("ETag").ends_with("-3&quot;"));
    assert!(completed.element("Location").ends_with("/photos/big"));
    let whole = contents.concat();
    let got = client.get("/photos/big").await.ok();
    assert!(got.body == whole);
    assert_eq!(got.header("etag"), completed.element("ETag").replace("&quot;", "\""));

    let range = Draft::new(Method::GET, "/photos/big").header("range", format!("bytes={}-{}", PART - 3, PART + 3));
    assert!(client.send(range).await.body == whole[PART - 3..PART + 4]);
    let part = client.get("/photos/big?partNumber=5").await;
    assert_eq!((part.status, part.header("x-amz-mp-parts-count")), (206, "3"));
    assert!(part.body == contents[1]);
    assert_eq!(client.get("/photos/big?partNumber=1").await.refusal(), (416, "InvalidPartNumber"));

    complete(&client, "big", &id, &parts).await.ok();
    assert_eq!(complete(&client, "big", &id, &parts[..1]).await.refusal(), (404, "NoSuchUpload"));
    assert_eq!(client.delete(&format!("/photos/big?uploadId={id}")).await.refusal(), (404, "NoSuchUpload"));
    assert!(client.get("/photos/big").await.body == whole, "an abort after the end does nothing");
    let late = client.put(&format!("/photos/big?partNumber=1&uploadId={id}"), "x").await;
    assert_eq!(late.refusal(), (404, "NoSuchUpload"));

    let copy = Draft::new(Method::PUT, "/photos/copy").header("x-amz-copy-source", "photos/big");
    client.send(copy).await.ok();
    assert!(client.get("/photos/copy").await.body == whole);
}

#[tokio::test]
async fn wrong_lists_are_refused_and_leave_the_upload_open() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let id = create(&client, "big").await;
    let small = upload(&client, "big", &id, 1, body(100, 1)).await;
    let last = upload(&client, "big", &id, 2, body(100, 2)).await;
    let refused = |parts: Vec<(u32, String)>| {
        let (client, id) = (client.clone(), id.clone());
        async move {
            let parts: Vec<_> = parts.iter().map(|(number, etag)| (*number, etag.as_str())).collect();
            let reply = complete(&client, "big", &id, &parts).await;
            (reply.status, reply.element("Code").to_owned())
        }
    };
    let code = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(refused(vec![(1, small.clone()), (2, last.clone())]).await, code(400, "EntityTooSmall"));
    assert_eq!(refused(vec![(2, last.clone()), (1, small.clone())]).await, code(400, "InvalidPartOrder"));
    assert_eq!(refused(vec![(3, last.clone())]).await, code(400, "InvalidPart"));
    assert_eq!(refused(vec![(2, small.clone())]).await, code(400, "InvalidPart"));
    assert_eq!(refused(vec![]).await, code(400, "MalformedXML"));
    complete(&client, "big", &id, &[(2, &last)]).await.ok();
    assert!(client.get("/photos/big").await.body == body(100, 2));
}

#[tokio::test]
async fn an_upload_survives_writes_to_its_key_and_ends_once() {
    let world = World::new();
    let (one, two) = (world.gateway().await, world.gateway().await);
    let client = one.client_with("photos").await;
    let id = create(&client, "cat").await;
    let etag = upload(&client, "cat", &id, 1, body(100, 1)).await;
    client.put("/photos/cat", "between").await.ok();
    client.delete("/photos/cat").await.ok();
    let mut racers = tokio::task::JoinSet::new();
    for racer in 0..6 {
        let client = client.at(if racer % 2 == 0 { one.address } else { two.address });
        let (id, etag) = (id.clone(), etag.clone());
        racers.spawn(async move { complete(&client, "cat", &id, &[(1, &etag)]).await.status });
    }
    let statuses = racers.join_all().await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert!(client.get("/photos/cat").await.body == body(100, 1));
    client.put("/photos/cat", "after").await.ok();
    complete(&client, "cat", &id, &[(1, &etag)]).await.ok();
    assert_eq!(client.get("/photos/cat").await.text(), "after", "a repeated Complete applies nothing");
}

#[tokio::test]
async fn a_failed_condition_leaves_the_upload_open() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let id = create(&client, "cat").await;
    let etag = upload(&client, "cat", &id, 1, body(100, 1)).await;
    client.put("/photos/cat", "there").await.ok();
    let conditional = || {
        let draft = Draft::new(Method::POST, &format!("/photos/cat?uploadId={id}"));
        draft.header("if-none-match", "*").body(list(&[(1, &etag)]))
    };
    assert_eq!(client.send(conditional()).await.refusal(), (412, "PreconditionFailed"));
    assert_eq!(client.get("/photos/cat").await.text(), "there");
    client.delete("/photos/cat").await.ok();
    client.send(conditional()).await.ok();
    assert!(client.get("/photos/cat").await.body == body(100, 1));
}

#[tokio::test]
async fn uploads_are_listed_until_they_end() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let mut ids = Vec::new();
    for key in ["a/1", "a/2", "b", "b", "c"] {
        ids.push(create(&client, key).await);
    }
    let all = client.get("/photos?uploads").await.ok();
    assert_eq!(all.all("Key"), ["a/1", "a/2", "b", "b", "c"]);
    assert_eq!(all.all("UploadId"), ids, "of one key, in the order they began");
    let folded = client.get("/photos?uploads&delimiter=%2F").await.ok();
    assert_eq!((folded.all("Key"), folded.all("CommonPrefixes")), (vec!["b", "b", "c"], vec!["<Prefix>a/</Prefix>"]));
    let page = client.get("/photos?uploads&max-uploads=3").await.ok();
    let (key, id) = (page.element("NextKeyMarker"), page.element("NextUploadIdMarker"));
    let rest = client.get(&format!("/photos?uploads&key-marker={key}&upload-id-marker={id}")).await.ok();
    assert_eq!(rest.all("UploadId"), ids[3..]);
    assert_eq!(client.delete(&format!("/photos/c?uploadId={}", ids[4])).await.status, 204);
    assert_eq!(client.delete(&format!("/photos/c?uploadId={}", ids[4])).await.status, 204, "again");
    assert_eq!(client.get("/photos?uploads&prefix=c").await.ok().all("Key").len(), 0);
    let aborted = client.put(&format!("/photos/c?partNumber=1&uploadId={}", ids[4]), "x").await;
    assert_eq!(aborted.refusal(), (404, "NoSuchUpload"));
    let elsewhere = client.put(&format!("/photos/other?partNumber=1&uploadId={}", ids[2]), "x").await;
    assert_eq!(elsewhere.refusal(), (404, "NoSuchUpload"), "an id counts only with its key");
    client.delete("/photos").await.ok();
}

#[tokio::test]
async fn declared_checksums_are_made_of_the_parts() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let contents = [body(PART, 5), body(300, 6)];
    let create = Draft::new(Method::POST, "/photos/sum?uploads")
        .header("x-amz-checksum-algorithm", "CRC64NVME")
        .header("x-amz-checksum-type", "FULL_OBJECT");
    let created = client.send(create).await.ok();
    assert_eq!(created.header("x-amz-checksum-algorithm"), "CRC64NVME");
    let id = created.element("UploadId").to_owned();
    let first = upload(&client, "sum", &id, 1, contents[0].clone()).await;
    let second = upload(&client, "sum", &id, 2, contents[1].clone()).await;
    let other = Draft::new(Method::PUT, &format!("/photos/sum?partNumber=3&uploadId={id}"))
        .header("x-amz-checksum-crc32", Hasher::of(Algorithm::Crc32, b"x").to_string());
    assert_eq!(client.send(other.body("x")).await.refusal(), (400, "InvalidRequest"));
    complete(&client, "sum", &id, &[(1, &first), (2, &second)]).await.ok();
    let got = client.send(Draft::new(Method::HEAD, "/photos/sum").header("x-amz-checksum-mode", "ENABLED")).await.ok();
    let expected = Hasher::of(Algorithm::Crc64Nvme, &contents.concat()).to_string();
    assert_eq!(got.header("x-amz-checksum-crc64nvme"), expected);
}

#[tokio::test]
async fn parts_are_copied_from_objects() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let source = body(PART + 50, 7);
    client.put("/photos/source", source.clone()).await.ok();
    let id = create(&client, "made").await;
    let copy = |number: u32, range: &str| {
        Draft::new(Method::PUT, &format!("/photos/made?partNumber={number}&uploadId={id}"))
            .header("x-amz-copy-source", "photos/source")
            .header("x-amz-copy-source-range", range)
    };
    let first = client.send(copy(1, &format!("bytes=10-{}", PART + 9))).await.ok();
    let second = client.send(copy(2, "bytes=0-4")).await.ok();
    let outside = client.send(copy(3, &format!("bytes=0-{}", PART + 50))).await;
    assert_eq!(outside.refusal(), (416, "InvalidRange"));
    assert_eq!(client.send(copy(3, "bytes=hello")).await.refusal(), (400, "InvalidArgument"));
    let etags = [first, second].map(|reply| reply.element("ETag").replace("&quot;", ""));
    complete(&client, "made", &id, &[(1, &etags[0]), (2, &etags[1])]).await.ok();
    let expected = [&source[10..PART + 10], &source[..5]].concat();
    assert!(client.get("/photos/made").await.body == expected);
}

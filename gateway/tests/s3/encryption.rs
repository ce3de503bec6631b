//! SSE-C: objects that only their customer's key opens, and of which no disk holds a byte.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cairn_s3::checksum::{Algorithm, Hasher};
use http::Method;
use md5::{Digest as _, Md5};

use crate::support::World;
use crate::support::client::{Client, Draft, Reply};

/// Bytes of an object in one sealed segment, and in one block.
const SEGMENT: usize = 65_520;
const BLOCK: usize = 16 * SEGMENT;
const PART: usize = 5 << 20;

fn body(length: usize, seed: usize) -> Bytes {
    (0..length).map(|n| u8::try_from((n / 7 + n * 13 + seed) % 251).unwrap()).collect()
}

fn keyed(draft: Draft, prefix: &str, key: u8) -> Draft {
    let key = [key; 32];
    draft
        .header(&format!("{prefix}-algorithm"), "AES256")
        .header(&format!("{prefix}-key"), STANDARD.encode(key))
        .header(&format!("{prefix}-key-md5"), STANDARD.encode(Md5::digest(key)))
}

/// With a key for the object; 0: none.
fn with(key: u8, draft: Draft) -> Draft {
    if key == 0 { draft } else { keyed(draft, "x-amz-server-side-encryption-customer", key) }
}

/// With a key for a copy's source; 0: none.
fn from(key: u8, draft: Draft) -> Draft {
    if key == 0 { draft } else { keyed(draft, "x-amz-copy-source-server-side-encryption-customer", key) }
}

fn draft(method: Method, target: &str) -> Draft {
    Draft::new(method, target)
}

async fn put(client: &Client, target: &str, key: u8, content: Bytes) -> Reply {
    client.send(with(key, draft(Method::PUT, target).body(content))).await
}

async fn get(client: &Client, target: &str, key: u8) -> Reply {
    client.send(with(key, draft(Method::GET, target))).await
}

async fn copy(client: &Client, source: (&str, u8), target: (&str, u8)) -> Reply {
    let copy = draft(Method::PUT, target.0).header("x-amz-copy-source", source.0);
    client.send(with(target.1, from(source.1, copy))).await
}

#[tokio::test]
async fn encrypted_bodies_of_every_size_come_back_and_stand_on_no_disk() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    for length in [0, 1, 100, 8176, 8177, SEGMENT, SEGMENT + 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 77, 18 << 20] {
        let (target, content) = (format!("/photos/{length}"), body(length, 1));
        let checksum = Hasher::of(Algorithm::Crc64Nvme, &content).to_string();
        let md5 = STANDARD.encode(Md5::digest(&content));
        let upload = draft(Method::PUT, &target)
            .header("x-amz-checksum-crc64nvme", checksum.clone())
            .header("content-md5", md5)
            .body(content.clone());
        let stored = client.send(with(1, upload)).await.ok();
        assert_eq!(stored.header("x-amz-server-side-encryption-customer-algorithm"), "AES256");
        assert_ne!(stored.header("etag"), format!("\"{}\"", hex::encode(Md5::digest(&content))));
        let read = with(1, draft(Method::GET, &target).header("x-amz-checksum-mode", "ENABLED"));
        let got = client.send(read).await.ok();
        assert!(got.body == content, "{length}");
        assert_eq!(got.header("etag"), stored.header("etag"));
        assert_eq!(got.header("x-amz-checksum-crc64nvme"), checksum);
        assert_eq!(got.header("x-amz-server-side-encryption-customer-key-md5"), STANDARD.encode(Md5::digest([1; 32])));
        assert_eq!(got.header("content-length"), length.to_string());
        let head = client.send(with(1, draft(Method::HEAD, &target))).await.ok();
        assert_eq!(head.header("content-length"), length.to_string());
        for at in [0, length / 2, length.saturating_sub(40)] {
            let clue = content.slice(at..length.min(at + 32));
            assert!(clue.len() < 16 || !world.holds(&clue), "bytes of {length} at {at} stand on a disk");
        }
    }
    assert!(!world.holds(&[1; 32]), "the key stands on a disk");
    let plain = body(3000, 9);
    put(&client, "/photos/plain", 0, plain.clone()).await.ok();
    assert!(world.holds(&plain[100..132]), "the search finds what is there");
}

#[tokio::test]
async fn without_the_right_key_there_is_nothing_to_read() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    put(&client, "/photos/secret", 1, body(100_000, 1)).await.ok();
    put(&client, "/photos/small", 1, body(10, 1)).await.ok();
    put(&client, "/photos/plain", 0, body(10, 1)).await.ok();
    for target in ["/photos/secret", "/photos/small"] {
        assert_eq!(get(&client, target, 0).await.refusal(), (400, "InvalidRequest"));
        assert_eq!(get(&client, target, 2).await.refusal(), (403, "AccessDenied"));
        assert_eq!(client.head(target).await.status, 400);
        assert_eq!(client.send(with(2, draft(Method::HEAD, target))).await.status, 403);
        let attributes = format!("{target}?attributes");
        let ask = |key| with(key, draft(Method::GET, &attributes).header("x-amz-object-attributes", "ObjectSize"));
        assert_eq!(client.send(ask(0)).await.refusal(), (400, "InvalidRequest"));
        assert_eq!(client.send(ask(2)).await.refusal(), (403, "AccessDenied"));
        assert!(!client.send(ask(1)).await.ok().element("ObjectSize").is_empty());
    }
    assert_eq!(get(&client, "/photos/plain", 1).await.refusal(), (400, "InvalidRequest"));
    let half = draft(Method::PUT, "/photos/half")
        .header("x-amz-server-side-encryption-customer-algorithm", "AES256")
        .header("x-amz-server-side-encryption-customer-key", STANDARD.encode([1; 32]))
        .body("x");
    assert_eq!(client.send(half).await.refusal(), (400, "InvalidArgument"));
    assert_eq!(client.get("/photos/half").await.status, 404, "nothing was stored in the clear");
    client.delete("/photos/secret").await.ok();
    assert_eq!(get(&client, "/photos/secret", 1).await.refusal(), (404, "NoSuchKey"));
}

#[tokio::test]
async fn ranges_at_the_edges_of_segments_and_blocks() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let size = 3 * BLOCK + 1000;
    let whole = body(size, 3);
    put(&client, "/photos/big", 1, whole.clone()).await.ok();
    for (begin, end) in [
        (0, 1),
        (SEGMENT - 1, SEGMENT + 1),
        (SEGMENT, SEGMENT + 1),
        (SEGMENT, 2 * SEGMENT),
        (BLOCK - 1, BLOCK + 1),
        (BLOCK, 2 * BLOCK),
        (BLOCK - 5, 2 * BLOCK + 5),
        (3 * BLOCK, size),
        (size - 1, size),
        (1, size),
    ] {
        let range = draft(Method::GET, "/photos/big").header("range", format!("bytes={begin}-{}", end - 1));
        let got = client.send(with(1, range)).await;
        assert_eq!(got.status, 206);
        assert!(got.body == whole[begin..end], "{begin}..{end}");
        assert_eq!(got.header("content-range"), format!("bytes {begin}-{}/{size}", end - 1));
    }
}

#[tokio::test]
async fn what_a_disk_changed_is_not_handed_out() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    put(&client, "/photos/big", 1, body(2 * BLOCK, 3)).await.ok();
    world.blocks.iter().for_each(|store| store.damage());
    assert_eq!(get(&client, "/photos/big", 1).await.refusal(), (500, "InternalError"));
    let elsewhere = draft(Method::GET, "/photos/big").header("range", format!("bytes={SEGMENT}-{}", SEGMENT + 9));
    assert_eq!(client.send(with(1, elsewhere)).await.status, 206, "only what is damaged is lost");
}

async fn create(client: &Client, target: &str, key: u8, algorithm: Option<&str>) -> String {
    let create = draft(Method::POST, &format!("{target}?uploads"));
    let create = match algorithm {
        Some(algorithm) => create.header("x-amz-checksum-algorithm", algorithm),
        None => create,
    };
    let reply = client.send(with(key, create)).await.ok();
    let echoed = reply.header("x-amz-server-side-encryption-customer-algorithm");
    assert_eq!(echoed, if key == 0 { "" } else { "AES256" });
    reply.element("UploadId").to_owned()
}

fn list(etags: &[String]) -> String {
    let part =
        |(at, etag): (usize, &String)| format!("<Part><PartNumber>{}</PartNumber><ETag>{etag}</ETag></Part>", at + 1);
    format!(
        "<CompleteMultipartUpload>{}</CompleteMultipartUpload>",
        etags.iter().enumerate().map(part).collect::<String>()
    )
}

#[tokio::test]
async fn every_part_brings_the_key() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let id = create(&client, "/photos/big", 1, Some("CRC32")).await;
    let contents = [body(PART, 1), body(PART + 12_345, 2), body(1000, 3)];
    let target = |number: usize| format!("/photos/big?uploadId={id}&partNumber={number}");
    assert_eq!(put(&client, &target(1), 0, body(10, 0)).await.refusal(), (400, "InvalidRequest"));
    assert_eq!(put(&client, &target(1), 2, body(10, 0)).await.refusal(), (400, "InvalidRequest"));
    // A part is replaced: its key is another, though its number and the customer's key are the same.
    put(&client, &target(1), 1, body(PART, 9)).await.ok();
    let mut etags = Vec::new();
    for (at, content) in contents.iter().enumerate() {
        let reply = put(&client, &target(at + 1), 1, content.clone()).await.ok();
        assert_eq!(reply.header("x-amz-server-side-encryption-customer-algorithm"), "AES256");
        etags.push(reply.header("etag").to_owned());
    }
    let listing = format!("/photos/big?uploadId={id}");
    let without = client.get(&listing).await.ok();
    assert_eq!((without.all("Size").len(), without.all("ChecksumCRC32").len()), (3, 0));
    assert_eq!(without.all("Size"), contents.each_ref().map(|content| content.len().to_string()));
    assert_eq!(get(&client, &listing, 1).await.ok().all("ChecksumCRC32").len(), 3);
    assert_eq!(get(&client, &listing, 2).await.refusal(), (400, "InvalidRequest"));

    let complete = |key| with(key, draft(Method::POST, &listing).body(list(&etags)));
    assert_eq!(client.send(complete(0)).await.refusal(), (400, "InvalidRequest"), "checksums need the key");
    assert_eq!(client.send(complete(2)).await.refusal(), (400, "InvalidRequest"));
    let completed = client.send(complete(1)).await.ok();
    assert!(completed.element("ChecksumCRC32").ends_with("-3"), "{}", completed.text());
    client.send(complete(1)).await.ok();

    let whole = contents.concat();
    assert!(get(&client, "/photos/big", 1).await.ok().body == whole);
    assert_eq!(get(&client, "/photos/big", 0).await.refusal(), (400, "InvalidRequest"));
    assert_eq!(get(&client, "/photos/big", 2).await.refusal(), (403, "AccessDenied"));
    for (begin, end) in
        [(PART - 3, PART + 3), (PART, PART + 1), (10, whole.len() - 10), (whole.len() - 1001, whole.len())]
    {
        let range = draft(Method::GET, "/photos/big").header("range", format!("bytes={begin}-{}", end - 1));
        assert!(client.send(with(1, range)).await.ok().body == whole[begin..end], "{begin}..{end}");
    }
    let part = draft(Method::GET, "/photos/big?partNumber=2").header("x-amz-checksum-mode", "ENABLED");
    let part = client.send(with(1, part)).await;
    assert_eq!((part.status, part.header("x-amz-mp-parts-count")), (206, "3"));
    assert!(part.body == contents[1]);
    assert_eq!(part.header("x-amz-checksum-crc32"), Hasher::of(Algorithm::Crc32, &contents[1]).to_string());
    let attributes = draft(Method::GET, "/photos/big?attributes");
    let attributes = attributes.header("x-amz-object-attributes", "ObjectSize,ObjectParts,Checksum");
    let attributes = client.send(with(1, attributes)).await.ok();
    assert_eq!(attributes.element("ObjectSize"), whole.len().to_string());
    assert_eq!(attributes.all("Size"), contents.each_ref().map(|content| content.len().to_string()));
    assert!(!world.holds(&contents[1][5000..5032]));
}

#[tokio::test]
async fn a_complete_without_checksums_needs_no_key() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let id = create(&client, "/photos/big", 1, None).await;
    let part = put(&client, &format!("/photos/big?uploadId={id}&partNumber=1"), 1, body(70_000, 1)).await.ok();
    let listing = format!("/photos/big?uploadId={id}");
    client.send(draft(Method::POST, &listing).body(list(&[part.header("etag").to_owned()]))).await.ok();
    assert!(get(&client, "/photos/big", 1).await.ok().body == body(70_000, 1));

    let id = create(&client, "/photos/plain", 0, None).await;
    let part = put(&client, &format!("/photos/plain?uploadId={id}&partNumber=1"), 1, body(10, 1)).await;
    assert_eq!(part.refusal(), (400, "InvalidRequest"), "the upload asked for no encryption");
}

#[tokio::test]
async fn copies_between_keys_and_none() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    for (name, content) in [("small", body(500, 1)), ("large", body(2 * BLOCK + 9, 2))] {
        let at = |suffix: &str| format!("/photos/{name}{suffix}");
        let (plain, one) = (at("-plain"), at("-one"));
        put(&client, &plain, 0, content.clone()).await.ok();
        copy(&client, (&plain, 0), (&one, 1)).await.ok();
        assert!(get(&client, &one, 1).await.ok().body == content);
        assert_eq!(get(&client, &one, 0).await.status, 400);

        assert_eq!(copy(&client, (&one, 0), (&at("-x"), 0)).await.refusal(), (400, "InvalidRequest"));
        assert_eq!(copy(&client, (&one, 2), (&at("-x"), 0)).await.refusal(), (403, "AccessDenied"));
        assert_eq!(copy(&client, (&plain, 1), (&at("-x"), 0)).await.refusal(), (400, "InvalidRequest"));
        assert_eq!(client.get(&at("-x")).await.status, 404);

        let count = world.blocks[0].count();
        let same = copy(&client, (&one, 1), (&at("-same"), 1)).await.ok();
        assert_eq!(world.blocks[0].count(), count, "one key, one salt: the blocks are shared");
        assert_eq!(same.header("x-amz-server-side-encryption-customer-algorithm"), "AES256");
        assert!(get(&client, &at("-same"), 1).await.ok().body == content);

        copy(&client, (&one, 1), (&at("-two"), 2)).await.ok();
        assert!(get(&client, &at("-two"), 2).await.ok().body == content);
        assert_eq!(get(&client, &at("-two"), 1).await.status, 403);
        let open = copy(&client, (&one, 1), (&at("-open"), 0)).await.ok();
        assert!(client.get(&at("-open")).await.ok().body == content);
        assert!(open.element("ETag").contains(&hex::encode(Md5::digest(&content))), "a plain copy has its MD5 again");

        assert_eq!(copy(&client, (&one, 1), (&one, 0)).await.refusal(), (400, "InvalidRequest"), "nothing is changed");
        copy(&client, (&one, 1), (&one, 3)).await.ok();
        assert!(get(&client, &one, 3).await.ok().body == content, "re-keyed in its place");
    }
}

#[tokio::test]
async fn parts_are_copied_between_keys() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let (first, last) = (body(PART, 1), body(100_000, 2));
    let id = create(&client, "/photos/source", 1, None).await;
    let mut etags = Vec::new();
    for (at, content) in [&first, &last].into_iter().enumerate() {
        let part =
            put(&client, &format!("/photos/source?uploadId={id}&partNumber={}", at + 1), 1, content.clone()).await;
        etags.push(part.ok().header("etag").to_owned());
    }
    client.send(draft(Method::POST, &format!("/photos/source?uploadId={id}")).body(list(&etags))).await.ok();
    let whole = [first, last].concat();

    // A whole copy of an object in parts, under its own key: one body now.
    copy(&client, ("/photos/source", 1), ("/photos/copy", 1)).await.ok();
    assert!(get(&client, "/photos/copy", 1).await.ok().body == whole);

    let id = create(&client, "/photos/target", 2, Some("SHA256")).await;
    let range = format!("bytes={}-{}", PART - 10, PART + 50_000);
    let part = |source, key| {
        let part = draft(Method::PUT, &format!("/photos/target?uploadId={id}&partNumber=1"));
        let part = part.header("x-amz-copy-source", "/photos/source").header("x-amz-copy-source-range", range.clone());
        with(key, from(source, part))
    };
    assert_eq!(client.send(part(0, 2)).await.refusal(), (400, "InvalidRequest"));
    assert_eq!(client.send(part(2, 2)).await.refusal(), (403, "AccessDenied"));
    assert_eq!(client.send(part(1, 1)).await.refusal(), (400, "InvalidRequest"));
    let copied = client.send(part(1, 2)).await.ok();
    assert!(!copied.element("ChecksumSHA256").is_empty());
    let etag = copied.element("ETag").replace("&quot;", "");
    let complete = draft(Method::POST, &format!("/photos/target?uploadId={id}")).body(list(&[etag]));
    client.send(with(2, complete)).await.ok();
    assert!(get(&client, "/photos/target", 2).await.ok().body == whole[PART - 10..=PART + 50_000]);
}

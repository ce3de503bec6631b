//! Objects: bodies of every size, checksums, ranges, conditions, copies, and what a failed write leaves behind.

use bytes::Bytes;
use cairn_s3::auth::Payload;
use cairn_s3::checksum::{Algorithm, Hasher};
use http::Method;

use crate::support::World;
use crate::support::client::Draft;

fn body(length: usize) -> Bytes {
    (0..length).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect()
}

fn put(target: &str) -> Draft {
    Draft::new(Method::PUT, target)
}

#[tokio::test]
async fn bodies_of_every_size_come_back() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    for length in [0, 1, 8191, 8192, 8193, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 18 << 20] {
        let target = format!("/photos/{length}");
        let put = client.put(&target, body(length)).await.ok();
        let got = client.get(&target).await.ok();
        assert!(got.body == body(length), "{length}");
        assert_eq!(got.header("etag"), put.header("etag"));
        assert_eq!(got.header("content-length"), length.to_string());
        let head = client.head(&target).await.ok();
        assert_eq!(head.header("content-length"), length.to_string());
        assert!(head.body.is_empty());
    }
    // md5 of nothing, as everybody knows it.
    assert_eq!(client.head("/photos/0").await.header("etag"), "\"d41d8cd98f00b204e9800998ecf8427e\"");
    assert!(world.blocks.iter().all(|store| store.count() > 0));
}

#[tokio::test]
async fn strange_keys_stay_what_they_are() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let long = "k".repeat(1024);
    let keys = ["a//b", "/a", "a/", ".", "..", "a/../b", "+", "%", " ", "?", "#", "a&b", "\"'", "<>&", "猫😀é", &long];
    for key in keys {
        let target = format!("/photos/{}", cairn_s3::uri::encode_path(key.as_bytes()));
        client.put(&target, key.to_owned()).await.ok();
    }
    for key in keys {
        let target = format!("/photos/{}", cairn_s3::uri::encode_path(key.as_bytes()));
        assert_eq!(client.get(&target).await.ok().text(), key);
    }
    let listed = client.get("/photos?list-type=2").await.ok();
    assert_eq!(listed.all("Key").len(), keys.len());
    let too_long = client.put(&format!("/photos/{}", "k".repeat(1025)), "x").await;
    assert_eq!(too_long.refusal(), (400, "KeyTooLongError"));
    assert_eq!(client.put("/photos/%ff", "x").await.status, 400);
}

#[tokio::test]
async fn headers_and_metadata_come_back() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let draft = put("/photos/cat")
        .header("content-type", "image/png")
        .header("cache-control", "max-age=5")
        .header("content-disposition", "inline")
        .header("content-language", "no")
        .header("expires", "Thu, 01 Dec 1994 16:00:00 GMT")
        .header("x-amz-meta-colour", "black")
        .header("x-amz-storage-class", "STANDARD");
    client.send(draft.body("meow")).await.ok();
    let head = client.head("/photos/cat").await.ok();
    for (name, value) in [
        ("content-type", "image/png"),
        ("cache-control", "max-age=5"),
        ("content-disposition", "inline"),
        ("content-language", "no"),
        ("expires", "Thu, 01 Dec 1994 16:00:00 GMT"),
        ("x-amz-meta-colour", "black"),
        ("accept-ranges", "bytes"),
    ] {
        assert_eq!(head.header(name), value);
    }
    assert!(!head.header("x-amz-request-id").is_empty());
    let overridden = client.get("/photos/cat?response-content-type=text%2Fplain").await.ok();
    assert_eq!(overridden.header("content-type"), "text/plain");
    let refused = client.send(put("/photos/cat").header("x-amz-server-side-encryption", "AES256").body("x")).await;
    assert_eq!(refused.refusal(), (501, "NotImplemented"));
    assert_eq!(client.get("/photos/cat").await.text(), "meow", "nothing of the refused request was stored");
}

#[tokio::test]
async fn ranges_read_what_they_name() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let whole = body(3 << 20);
    client.put("/photos/big", whole.clone()).await.ok();
    let range = |text: &str| Draft::new(Method::GET, "/photos/big").header("range", text);
    let size = whole.len();
    for (text, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=1048570-1048580", 1_048_570, 1_048_581),
        ("bytes=-5", size - 5, size),
        ("bytes=3145727-", size - 1, size),
        ("bytes=100-9999999999", 100, size),
    ] {
        let got = client.send(range(text)).await;
        assert_eq!(got.status, 206, "{text}");
        assert!(got.body == whole[from..to], "{text}");
        assert_eq!(got.header("content-range"), format!("bytes {from}-{}/{size}", to - 1));
    }
    let outside = client.send(range("bytes=3145728-")).await;
    assert_eq!(outside.refusal(), (416, "InvalidRange"));
    assert_eq!(outside.header("content-range"), format!("bytes */{size}"));
    client.put("/photos/empty", "").await.ok();
    let empty = client.send(Draft::new(Method::GET, "/photos/empty").header("range", "bytes=0-")).await;
    assert_eq!(empty.status, 416);
}

#[tokio::test]
async fn checksums_are_verified_kept_and_returned() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let content = body(70_000);
    for algorithm in Algorithm::ALL {
        let value = Hasher::of(algorithm, &content).to_string();
        let sent = client.send(put("/photos/sum").header(algorithm.header(), &value).body(content.clone())).await.ok();
        assert_eq!(sent.header(algorithm.header()), value);
        let got = client.send(Draft::new(Method::GET, "/photos/sum").header("x-amz-checksum-mode", "ENABLED")).await;
        assert_eq!(
            (got.header(algorithm.header()), got.header("x-amz-checksum-type")),
            (value.as_str(), "FULL_OBJECT")
        );
        assert!(client.get("/photos/sum").await.header(algorithm.header()).is_empty());
        let wrong = Hasher::of(algorithm, b"else").to_string();
        let refused = client.send(put("/photos/sum").header(algorithm.header(), wrong).body(content.clone())).await;
        assert_eq!(refused.refusal(), (400, "BadDigest"));
    }
    let wrong_md5 = put("/photos/sum").header("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==").body(content.clone());
    assert_eq!(client.send(wrong_md5).await.refusal(), (400, "BadDigest"));
    assert!(client.get("/photos/sum").await.body == content, "refused bodies leave the object as it was");
}

#[tokio::test]
async fn chunked_bodies_are_decoded() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    for length in [0, 5, 100_000, 2_500_000] {
        let content = body(length);
        for (payload, trailer) in [
            (Payload::StreamingSigned, false),
            (Payload::StreamingSignedTrailer, true),
            (Payload::StreamingUnsignedTrailer, true),
        ] {
            let draft = put("/photos/chunked").body(content.clone());
            client.send_chunked(draft, payload, 64 << 10, trailer).await.ok();
            let got = client.get("/photos/chunked").await.ok();
            assert!(got.body == content, "{payload:?} {length}");
            assert_eq!(got.header("content-encoding"), "", "framing is not stored");
        }
    }
}

#[tokio::test]
async fn signed_chunks_may_be_of_any_size() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let content = body(20 << 20);
    let draft = || put("/photos/chunk").body(content.clone());
    for (payload, trailer) in [(Payload::StreamingSigned, false), (Payload::StreamingSignedTrailer, true)] {
        client.send_chunked(draft(), payload, content.len(), trailer).await.ok();
        assert!(client.get("/photos/chunk").await.ok().body == content, "{payload:?}");
    }
    // The last byte of the only chunk is another than was signed: by then all blocks but one are on their way.
    let changed = [&content[..content.len() - 1], &[content[content.len() - 1] ^ 1][..]].concat();
    let forged = client.send_chunk_as(draft(), &changed).await;
    assert_eq!(forged.refusal(), (403, "SignatureDoesNotMatch"));
    assert!(client.get("/photos/chunk").await.ok().body == content, "the object stays as it was");
    let part = client.post("/photos/parts?uploads", "").await.ok();
    let target = format!("/photos/parts?partNumber=1&uploadId={}", part.element("UploadId"));
    let forged = client.send_chunk_as(draft().to(&target), &changed).await;
    assert_eq!(forged.refusal(), (403, "SignatureDoesNotMatch"));
    let parts = client.get(&format!("/photos/parts?uploadId={}", part.element("UploadId"))).await.ok();
    assert_eq!(parts.all("PartNumber"), Vec::<&str>::new(), "nothing unverified is a part");
}

#[tokio::test]
async fn reads_obey_their_conditions() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let etag = client.put("/photos/cat", "meow").await.ok().header("etag").to_owned();
    let modified = client.head("/photos/cat").await.header("last-modified").to_owned();
    let get = |name: &str, value: &str| Draft::new(Method::GET, "/photos/cat").header(name, value);
    let unchanged = client.send(get("if-none-match", &etag)).await;
    assert_eq!((unchanged.status, unchanged.body.len(), unchanged.header("etag")), (304, 0, etag.as_str()));
    assert_eq!(client.send(get("if-modified-since", &modified)).await.status, 304);
    assert_eq!(client.send(get("if-unmodified-since", &modified)).await.status, 200);
    assert_eq!(client.send(get("if-match", "\"else\"")).await.refusal(), (412, "PreconditionFailed"));
    assert_eq!(client.send(get("if-match", &etag)).await.status, 200);
}

#[tokio::test]
async fn one_of_many_creators_wins() {
    let world = World::new();
    let gateways = [world.gateway().await, world.gateway().await];
    let client = gateways[0].client_with("locks").await;
    let mut racers = tokio::task::JoinSet::new();
    for racer in 0..12 {
        let client = client.at(gateways[racer % 2].address);
        racers.spawn(async move {
            let draft = put("/locks/state").header("if-none-match", "*").body(racer.to_string());
            (client.send(draft).await.status, racer)
        });
    }
    let outcomes = racers.join_all().await;
    let winners: Vec<_> = outcomes.iter().filter(|(status, _)| *status == 200).collect();
    assert_eq!(winners.len(), 1, "{outcomes:?}");
    assert!(outcomes.iter().all(|(status, _)| [200, 409, 412].contains(status)), "{outcomes:?}");
    assert_eq!(client.get("/locks/state").await.text(), winners[0].1.to_string());
}

#[tokio::test]
async fn writes_obey_their_conditions() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let if_match = |etag: &str| put("/photos/cat").header("if-match", etag);
    assert_eq!(client.send(if_match("\"x\"").body("a")).await.refusal(), (404, "NoSuchKey"));
    let etag = client.put("/photos/cat", "one").await.ok().header("etag").to_owned();
    assert_eq!(client.send(if_match("\"x\"").body("two")).await.refusal(), (412, "PreconditionFailed"));
    client.send(if_match(&etag).body("two")).await.ok();
    assert_eq!(client.send(if_match(&etag).body("three")).await.status, 412);
    assert_eq!(client.get("/photos/cat").await.text(), "two");
    let delete = |etag: &str| Draft::new(Method::DELETE, "/photos/cat").header("if-match", etag);
    assert_eq!(client.send(delete(&etag)).await.status, 412);
    let now = client.head("/photos/cat").await.header("etag").to_owned();
    assert_eq!(client.send(delete(&now)).await.status, 204);
    assert_eq!(client.get("/photos/cat").await.refusal(), (404, "NoSuchKey"));
    client.send(put("/photos/cat").header("if-none-match", "*").body("again")).await.ok();
}

#[tokio::test]
async fn copies_share_blocks_and_judge_conditions() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let content = body(2_500_000);
    let etag = client.send(put("/photos/a%20b").header("content-type", "x/y").body(content.clone())).await.ok();
    let etag = etag.header("etag").to_owned();
    let blocks = world.blocks[0].count();
    let copy = |to: &str| put(to).header("x-amz-copy-source", "/photos/a%20b");
    let copied = client.send(copy("/photos/c")).await.ok();
    assert_eq!(copied.element("ETag").replace("&quot;", "\""), etag);
    let got = client.get("/photos/c").await.ok();
    assert!(got.body == content);
    assert_eq!(got.header("content-type"), "x/y");
    assert_eq!(world.blocks[0].count(), blocks, "no block was stored again");
    assert!(world.blocks[0].most_references() >= 2);

    assert_eq!(client.send(copy("/photos/a%20b")).await.refusal(), (400, "InvalidRequest"));
    let replace = |draft: Draft| draft.header("x-amz-metadata-directive", "REPLACE").header("content-type", "new/type");
    client.send(replace(copy("/photos/a%20b"))).await.ok();
    assert_eq!(client.head("/photos/a%20b").await.header("content-type"), "new/type");
    let stale = copy("/photos/d").header("x-amz-copy-source-if-match", "\"else\"");
    assert_eq!(client.send(stale).await.status, 412);
    let missing = put("/photos/d").header("x-amz-copy-source", "photos/none");
    assert_eq!(client.send(missing).await.refusal(), (404, "NoSuchKey"));

    // Blocks that went missing are a failed copy, never a broken object.
    world.blocks.iter().for_each(|store| store.clear());
    assert_eq!(client.send(copy("/photos/e")).await.status, 500);
    assert_eq!(client.get("/photos/e").await.status, 404);
}

#[tokio::test]
async fn another_checksum_makes_a_copy_read_its_source() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let content = body(1_500_000);
    client.put("/photos/a", content.clone()).await.ok();
    let copy = put("/photos/b").header("x-amz-copy-source", "photos/a").header("x-amz-checksum-algorithm", "SHA256");
    client.send(copy).await.ok();
    let got = client.send(Draft::new(Method::GET, "/photos/b").header("x-amz-checksum-mode", "ENABLED")).await.ok();
    assert_eq!(got.header("x-amz-checksum-sha256"), Hasher::of(Algorithm::Sha256, &content).to_string());
    assert!(got.body == content);
}

#[tokio::test]
async fn many_keys_are_deleted_at_once() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    for number in 0..100 {
        client.put(&format!("/photos/{number}"), "x").await.ok();
    }
    let etag = client.head("/photos/5").await.header("etag").to_owned();
    let mut xml = String::from("<Delete>");
    for number in 0..90 {
        match number {
            5 => xml += &format!("<Object><Key>5</Key><ETag>{}</ETag></Object>", etag.replace('"', "&quot;")),
            6 => xml += "<Object><Key>6</Key><ETag>wrong</ETag></Object>",
            _ => xml += &format!("<Object><Key>{number}</Key></Object>"),
        }
    }
    xml += "<Object><Key>never-there</Key></Object></Delete>";
    let deleted = client.delete_many("photos", xml).await.ok();
    assert_eq!(deleted.all("Deleted").len(), 90);
    assert_eq!(deleted.all("Error").len(), 1);
    assert_eq!(
        (deleted.element("Code"), deleted.all("Error")[0].contains("<Key>6</Key>")),
        ("PreconditionFailed", true)
    );
    let left = client.get("/photos?list-type=2").await.ok();
    assert_eq!(left.all("Key").len(), 11);
    let quiet = "<Delete><Quiet>true</Quiet><Object><Key>6</Key></Object></Delete>";
    let quiet = client.delete_many("photos", quiet).await.ok();
    assert!(quiet.all("Deleted").is_empty());
    let many: String = (0..1001).map(|number| format!("<Object><Key>{number}</Key></Object>")).collect();
    let refused = client.delete_many("photos", format!("<Delete>{many}</Delete>")).await;
    assert_eq!(refused.refusal(), (400, "MalformedXML"));
}

#[tokio::test]
async fn without_a_quorum_nothing_changes_and_503_says_so() {
    let world = World::new();
    let mut config = cairn_gateway::Config::default();
    config.limits.operation_timeout = "1s".parse().unwrap();
    let gateway = world.gateway_with(config).await;
    let client = gateway.client_with("photos").await;
    client.put("/photos/cat", "one").await.ok();
    world.leave_tables(1);
    let refused = client.put("/photos/cat", "two").await;
    assert_eq!(refused.refusal(), (503, "ServiceUnavailable"));
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(client.get("/photos/cat").await.status, 503);
    world.leave_tables(2);
    assert_eq!(client.get("/photos/cat").await.ok().text(), "one");
    world.leave_blocks(1);
    assert_eq!(client.put("/photos/cat", body(100_000)).await.status, 503);
    assert_eq!(client.get("/photos/cat").await.ok().text(), "one");
    world.leave_blocks(2);
    client.put("/photos/cat", body(100_000)).await.ok();
    assert!(client.get("/photos/cat").await.ok().body == body(100_000));
}

#[tokio::test]
async fn what_cannot_have_been_set_reads_as_unset() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    client.put("/photos/cat", "meow").await.ok();
    client.get("/photos?versioning").await.ok();
    client.get("/photos?acl").await.ok();
    client.get("/photos/cat?tagging").await.ok();
    assert_eq!(client.get("/photos?lifecycle").await.refusal(), (404, "NoSuchLifecycleConfiguration"));
    assert_eq!(client.get("/photos?policy").await.refusal(), (404, "NoSuchBucketPolicy"));
    assert_eq!(client.get("/photos/none?tagging").await.refusal(), (404, "NoSuchKey"));
    assert_eq!(client.put("/photos?versioning", "<VersioningConfiguration/>").await.refusal(), (501, "NotImplemented"));
    let attributes =
        Draft::new(Method::GET, "/photos/cat?attributes").header("x-amz-object-attributes", "ETag,ObjectSize");
    assert_eq!(client.send(attributes).await.ok().element("ObjectSize"), "4");
}

//! The gateway's contract, request by request, on one real node: what S3 documents and applications rely on.

use std::sync::OnceLock;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use cairn_tests::cluster::{Cluster, Options};
use cairn_tests::pattern;
use cairn_tests::s3::{Reply, S3};
use http::Method;

const NOTHING: Bytes = Bytes::new();

/// One cluster for all tests of this file; each uses a bucket of its own.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(Options::default()).expect("a cluster"))
}

/// A test's bucket, and short ways to use it.
struct Bucket {
    s3: S3,
    name: &'static str,
}

impl Bucket {
    async fn send(
        &mut self,
        method: Method,
        key: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Reply> {
        let path = if key.is_empty() { format!("/{}", self.name) } else { format!("/{}/{key}", self.name) };
        self.s3.send(method, &path, query, headers, body).await
    }

    async fn put(&mut self, key: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Result<Reply> {
        self.send(Method::PUT, key, &[], headers, body).await
    }

    async fn get(&mut self, key: &str, headers: &[(&str, &str)]) -> Result<Reply> {
        self.send(Method::GET, key, &[], headers, NOTHING).await
    }
}

fn run(name: &'static str, test: impl AsyncFnOnce(&mut Bucket) -> Result<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let outcome = runtime.block_on(async {
        let mut bucket = Bucket { s3: S3::first(&cluster().ready)?, name };
        bucket.send(Method::PUT, "", &[], &[], NOTHING).await?.expect(200)?;
        test(&mut bucket).await
    });
    if let Err(error) = outcome {
        panic!("{error:?}");
    }
}

/// The answer is this error, in AWS's form.
fn refused(reply: &Reply, status: u16, code: &str) -> Result<()> {
    let got = reply.element("Code").unwrap_or_default();
    ensure!(reply.status == status && got == code, "expected {status} {code}, got {} {}", reply.status, reply.text());
    let id = reply.header("x-amz-request-id");
    ensure!(
        !id.is_empty() && reply.element("RequestId").as_deref() == Some(id),
        "request ids differ: {}",
        reply.text()
    );
    Ok(())
}

#[test]
fn buckets_are_made_listed_and_deleted() {
    run("buckets", async |bucket| {
        let again = bucket.send(Method::PUT, "", &[], &[], NOTHING).await?;
        ensure!(
            again.status == 200 || again.element("Code").as_deref() == Some("BucketAlreadyOwnedByYou"),
            "{again:?}"
        );
        bucket.send(Method::HEAD, "", &[], &[], NOTHING).await?.expect(200)?;
        let location = bucket.send(Method::GET, "", &[("location", "")], &[], NOTHING).await?.expect(200)?;
        ensure!(location.text().contains("LocationConstraint"));
        let all = bucket.s3.send(Method::GET, "/", &[], &[], NOTHING).await?.expect(200)?;
        ensure!(all.elements("Name").contains(&"buckets".to_owned()), "{}", all.text());
        bucket.put("full", &[], "x").await?.expect(200)?;
        refused(&bucket.send(Method::DELETE, "", &[], &[], NOTHING).await?, 409, "BucketNotEmpty")?;
        bucket.send(Method::DELETE, "full", &[], &[], NOTHING).await?.expect(204)?;
        bucket.send(Method::DELETE, "", &[], &[], NOTHING).await?.expect(204)?;
        refused(&bucket.get("full", &[]).await?, 404, "NoSuchBucket")?;
        refused(&bucket.put("full", &[], "x").await?, 404, "NoSuchBucket")?;
        refused(&bucket.send(Method::DELETE, "", &[], &[], NOTHING).await?, 404, "NoSuchBucket")?;
        refused(&bucket.s3.send(Method::PUT, "/Bad_Name", &[], &[], NOTHING).await?, 400, "InvalidBucketName")?;
        // The name is free again, and the new bucket is empty.
        bucket.send(Method::PUT, "", &[], &[], NOTHING).await?.expect(200)?;
        ensure!(bucket.s3.keys("buckets", "", "10").await?.is_empty());
        Ok(())
    });
}

#[test]
fn headers_and_metadata_come_back_as_they_went() {
    run("headers", async |bucket| {
        let sent = [
            ("content-type", "text/x-cairn"),
            ("cache-control", "max-age=7"),
            ("content-disposition", "attachment; filename=\"a.txt\""),
            ("content-encoding", "gzip"),
            ("content-language", "de"),
            ("expires", "Thu, 01 Dec 2044 16:00:00 GMT"),
            ("x-amz-meta-color", "blue  and   green"),
        ];
        bucket.put("k", &sent, "body").await?.expect(200)?;
        for reply in [bucket.get("k", &[]).await?, bucket.send(Method::HEAD, "k", &[], &[], NOTHING).await?] {
            for (name, value) in sent {
                ensure!(reply.header(name) == value, "{name}: {:?}", reply.header(name));
            }
            ensure!(reply.header("accept-ranges") == "bytes" && !reply.header("last-modified").is_empty());
        }
        let overridden = [("response-content-type", "text/plain"), ("response-cache-control", "no-store")];
        let reply = bucket.send(Method::GET, "k", &overridden, &[], NOTHING).await?.expect(200)?;
        ensure!(reply.header("content-type") == "text/plain" && reply.header("cache-control") == "no-store");
        let large = "v".repeat(2049);
        refused(&bucket.put("big", &[("x-amz-meta-a", &large)], "x").await?, 400, "MetadataTooLarge")
    });
}

#[test]
fn ranges_are_served_as_rfc_9110_says() {
    run("ranges", async |bucket| {
        let body = pattern(4, 3_000_000);
        bucket.put("k", &[], body.clone()).await?.expect(200)?;
        for (range, from, to) in [
            ("bytes=0-0", 0, 1),
            ("bytes=5-9", 5, 10),
            ("bytes=1048570-1048585", 1_048_570, 1_048_586),
            ("bytes=2999990-", 2_999_990, 3_000_000),
            ("bytes=-10", 2_999_990, 3_000_000),
            ("bytes=2999999-99999999", 2_999_999, 3_000_000),
        ] {
            let reply = bucket.get("k", &[("range", range)]).await?.expect(206)?;
            ensure!(reply.body == body[from..to], "{range}");
            ensure!(reply.header("content-range") == format!("bytes {from}-{}/3000000", to - 1), "{range}");
        }
        let beyond = bucket.get("k", &[("range", "bytes=3000000-")]).await?;
        ensure!(beyond.header("content-range") == "bytes */3000000");
        refused(&beyond, 416, "InvalidRange")?;
        // What is not a single byte range is ignored, as AWS does.
        bucket.get("k", &[("range", "lines=1-2")]).await?.expect(200)?;
        bucket.put("empty", &[], "").await?.expect(200)?;
        refused(&bucket.get("empty", &[("range", "bytes=0-")]).await?, 416, "InvalidRange")
    });
}

#[test]
fn conditions_on_reads() {
    run("read-conditions", async |bucket| {
        let etag = bucket.put("k", &[], "body").await?.expect(200)?.header("etag").to_owned();
        let bare = etag.trim_matches('"').to_owned();
        let modified = bucket.get("k", &[]).await?.header("last-modified").to_owned();
        for tag in [&etag, &bare] {
            bucket.get("k", &[("if-match", tag)]).await?.expect(200)?;
            let unchanged = bucket.get("k", &[("if-none-match", tag)]).await?.expect(304)?;
            ensure!(unchanged.body.is_empty() && unchanged.header("etag") == etag);
        }
        refused(&bucket.get("k", &[("if-match", "\"0\"")]).await?, 412, "PreconditionFailed")?;
        bucket.get("k", &[("if-modified-since", &modified)]).await?.expect(304)?;
        bucket.get("k", &[("if-unmodified-since", &modified)]).await?.expect(200)?;
        bucket.get("k", &[("if-unmodified-since", "Thu, 01 Jan 2015 00:00:00 GMT")]).await?.expect(412)?;
        let head = bucket.send(Method::HEAD, "k", &[], &[("if-match", "\"0\"")], NOTHING).await?.expect(412)?;
        ensure!(head.body.is_empty());
        Ok(())
    });
}

#[test]
fn conditions_on_writes() {
    run("write-conditions", async |bucket| {
        refused(&bucket.put("k", &[("if-match", "\"0\"")], "x").await?, 404, "NoSuchKey")?;
        let etag = bucket.put("k", &[("if-none-match", "*")], "one").await?.expect(200)?.header("etag").to_owned();
        refused(&bucket.put("k", &[("if-none-match", "*")], "two").await?, 412, "PreconditionFailed")?;
        refused(&bucket.put("k", &[("if-match", "\"0\"")], "two").await?, 412, "PreconditionFailed")?;
        bucket.put("k", &[("if-match", &etag)], "two").await?.expect(200)?;
        ensure!(bucket.get("k", &[]).await?.body == "two");
        refused(
            &bucket.send(Method::DELETE, "k", &[], &[("if-match", &etag)], NOTHING).await?,
            412,
            "PreconditionFailed",
        )?;
        let etag = bucket.send(Method::HEAD, "k", &[], &[], NOTHING).await?.header("etag").to_owned();
        bucket.send(Method::DELETE, "k", &[], &[("if-match", &etag)], NOTHING).await?.expect(204)?;
        bucket.put("k", &[("if-none-match", "*")], "again").await?.expect(200)?;
        Ok(())
    });
}

#[test]
fn racing_creators_have_one_winner() {
    run("racing", async |bucket| {
        let rounds = if cairn_tests::full() { 100 } else { 20 };
        for round in 0..rounds {
            let key = format!("/racing/lock{round}");
            let racers = (0..50).map(|racer| {
                let key = &key;
                async move {
                    let mut s3 = S3::first(&cluster().ready)?;
                    let reply = s3.send(Method::PUT, key, &[], &[("if-none-match", "*")], format!("{racer}")).await?;
                    anyhow::Ok((racer, reply.status))
                }
            });
            let replies = futures_util::future::try_join_all(racers).await?;
            let won: Vec<usize> =
                replies.iter().filter(|(_, status)| *status == 200).map(|(racer, _)| *racer).collect();
            ensure!(won.len() == 1, "round {round}: {} creators got 200", won.len());
            ensure!(replies.iter().all(|(_, status)| [200, 409, 412].contains(status)), "{replies:?}");
            let got = bucket.get(&format!("lock{round}"), &[]).await?.expect(200)?;
            ensure!(got.body == won[0].to_string(), "the winner's body is not there");
        }
        Ok(())
    });
}

#[test]
fn listings_echo_fold_and_page() {
    run("listings", async |bucket| {
        for key in ["a", "b/1", "b/2", "c/1/x", "d", "z&<"] {
            bucket.put(key, &[], "x").await?.expect(200)?;
        }
        let none = bucket.s3.list("listings", &[("max-keys", "0")]).await?.expect(200)?;
        ensure!(
            none.element("IsTruncated").as_deref() == Some("false") && none.element("KeyCount").as_deref() == Some("0")
        );
        let mut seen = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut query = vec![("delimiter", "/"), ("max-keys", "1")];
            if let Some(token) = &token {
                query.push(("continuation-token", token));
            }
            let page = bucket.s3.list("listings", &query).await?.expect(200)?;
            seen.extend(page.elements("Key"));
            seen.extend(page.elements("Prefix").into_iter().filter(|prefix| !prefix.is_empty()));
            match page.element("NextContinuationToken") {
                Some(next) => token = Some(next),
                None => break,
            }
        }
        ensure!(seen == ["a", "b/", "c/", "d", "z&<"], "{seen:?}");
        let after = bucket.s3.list("listings", &[("start-after", "b/1")]).await?.expect(200)?;
        ensure!(
            after.elements("Key") == ["b/2", "c/1/x", "d", "z&<"]
                && after.element("StartAfter").as_deref() == Some("b/1")
        );
        let old = [("delimiter", "/"), ("max-keys", "2"), ("marker", "a")];
        let v1 = bucket.send(Method::GET, "", &old, &[], NOTHING).await?.expect(200)?;
        ensure!(v1.element("IsTruncated").as_deref() == Some("true"), "{}", v1.text());
        ensure!(v1.element("NextMarker").as_deref() == Some("c/"), "{}", v1.text());
        let owner = bucket.s3.list("listings", &[("fetch-owner", "true")]).await?.expect(200)?;
        ensure!(owner.text().contains("<Owner>"));
        let bad = bucket.s3.list("listings", &[("max-keys", "many")]).await?;
        refused(&bad, 400, "InvalidArgument")
    });
}

#[test]
fn deleted_keys_are_gone_from_the_next_listing() {
    run("delete-list", async |bucket| {
        for round in 0..20 {
            let key = format!("k{round}");
            bucket.put(&key, &[], "x").await?.expect(200)?;
            ensure!(bucket.s3.keys("delete-list", "", "10").await? == std::slice::from_ref(&key));
            bucket.send(Method::DELETE, &key, &[], &[], NOTHING).await?.expect(204)?;
            ensure!(bucket.s3.keys("delete-list", "", "10").await?.is_empty());
        }
        bucket.send(Method::DELETE, "never-was", &[], &[], NOTHING).await?.expect(204)?;
        bucket.send(Method::DELETE, "", &[], &[], NOTHING).await?.expect(204)?;
        Ok(())
    });
}

#[test]
fn many_objects_go_in_one_request() {
    run("delete-many", async |bucket| {
        for n in 0..5 {
            bucket.put(&format!("k{n}"), &[], "x").await?.expect(200)?;
        }
        let objects: String = (0..7).map(|n| format!("<Object>\n <Key>k{n}</Key>\n</Object>")).collect();
        let body = format!(
            "<?xml version=\"1.0\"?>\n<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{objects}</Delete>"
        );
        let md5 = content_md5(&body)?;
        let query = [("delete", "")];
        let reply = bucket.send(Method::POST, "", &query, &[("content-md5", &md5)], body).await?.expect(200)?;
        ensure!(reply.elements("Key").len() == 7, "missing keys count as deleted: {}", reply.text());
        let quiet = "<Delete><Quiet>true</Quiet><Object><Key>k9</Key></Object></Delete>";
        let md5 = content_md5(quiet)?;
        let reply = bucket.send(Method::POST, "", &query, &[("content-md5", &md5)], quiet).await?.expect(200)?;
        ensure!(reply.elements("Key").is_empty());
        ensure!(bucket.s3.keys("delete-many", "", "10").await?.is_empty());
        Ok(())
    });
}

/// MD5 by a program that has nothing of ours.
fn content_md5(body: &str) -> Result<String> {
    let script =
        "import sys,hashlib,base64;print(base64.b64encode(hashlib.md5(sys.argv[1].encode()).digest()).decode())";
    let output =
        std::process::Command::new("python3").args(["-c", script, body]).output().context("running python3")?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[test]
fn damaged_bodies_are_refused_and_store_nothing() {
    run("damaged", async |bucket| {
        bucket.put("k", &[], "before").await?.expect(200)?;
        let wrong_md5 = "1B2M2Y8AsgTpgAmY7PhCfg==";
        refused(&bucket.put("k", &[("content-md5", wrong_md5)], "after").await?, 400, "BadDigest")?;
        refused(&bucket.put("k", &[("content-md5", "nonsense")], "after").await?, 400, "InvalidDigest")?;
        refused(&bucket.put("k", &[("x-amz-checksum-crc32", "AAAAAA==")], "after").await?, 400, "BadDigest")?;
        refused(&bucket.put("k", &[("x-amz-checksum-crc32", "???")], "after").await?, 400, "InvalidRequest")?;
        ensure!(bucket.get("k", &[]).await?.body == "before");
        // crc32("after") computed with python: base64 of zlib.crc32(b"after")
        let right = crc32_base64("after")?;
        bucket.put("k", &[("x-amz-checksum-crc32", &right)], "after").await?.expect(200)?;
        let got = bucket.get("k", &[("x-amz-checksum-mode", "ENABLED")]).await?.expect(200)?;
        ensure!(got.header("x-amz-checksum-crc32") == right && got.header("x-amz-checksum-type") == "FULL_OBJECT");
        Ok(())
    });
}

fn crc32_base64(body: &str) -> Result<String> {
    let script =
        "import sys,zlib,base64;print(base64.b64encode(zlib.crc32(sys.argv[1].encode()).to_bytes(4,'big')).decode())";
    let output =
        std::process::Command::new("python3").args(["-c", script, body]).output().context("running python3")?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[test]
fn copies_keep_or_replace_metadata() {
    run("copies", async |bucket| {
        bucket
            .put("from", &[("x-amz-meta-a", "1"), ("content-type", "text/a")], pattern(5, 2_500_000))
            .await?
            .expect(200)?;
        let source = [("x-amz-copy-source", "/copies/from")];
        let copied = bucket.put("to", &source, NOTHING).await?.expect(200)?;
        ensure!(copied.element("ETag").is_some() && copied.element("LastModified").is_some(), "{}", copied.text());
        let got = bucket.get("to", &[]).await?.expect(200)?;
        ensure!(got.body == pattern(5, 2_500_000) && got.header("x-amz-meta-a") == "1");
        let replace = [source[0], ("x-amz-metadata-directive", "REPLACE"), ("x-amz-meta-b", "2")];
        bucket.put("to", &replace, NOTHING).await?.expect(200)?;
        let got = bucket.send(Method::HEAD, "to", &[], &[], NOTHING).await?;
        ensure!(got.header("x-amz-meta-b") == "2" && got.header("x-amz-meta-a").is_empty());
        refused(&bucket.put("from", &source, NOTHING).await?, 400, "InvalidRequest")?;
        refused(&bucket.put("x", &[("x-amz-copy-source", "/copies/none")], NOTHING).await?, 404, "NoSuchKey")?;
        refused(&bucket.put("x", &[("x-amz-copy-source", "/no-bucket-here/k")], NOTHING).await?, 404, "NoSuchBucket")?;
        let unless = [source[0], ("x-amz-copy-source-if-match", "\"0\"")];
        refused(&bucket.put("x", &unless, NOTHING).await?, 412, "PreconditionFailed")?;
        // The source may go; the copy stays whole.
        bucket.send(Method::DELETE, "from", &[], &[], NOTHING).await?.expect(204)?;
        ensure!(bucket.get("to", &[]).await?.expect(200)?.body == pattern(5, 2_500_000));
        Ok(())
    });
}

#[test]
fn uploads_follow_their_rules() {
    run("uploads", async |bucket| {
        let start =
            bucket.send(Method::POST, "k", &[("uploads", "")], &[("x-amz-meta-a", "1")], NOTHING).await?.expect(200)?;
        let id = start.element("UploadId").context("no upload id")?;
        let part = |n: &'static str| [("partNumber", n), ("uploadId", id.as_str())];
        refused(&bucket.send(Method::PUT, "k", &part("0"), &[], "x").await?, 400, "InvalidArgument")?;
        refused(&bucket.send(Method::PUT, "k", &part("10001"), &[], "x").await?, 400, "InvalidArgument")?;
        let one = bucket.send(Method::PUT, "k", &part("1"), &[], pattern(1, 5 << 20)).await?.expect(200)?;
        let two = bucket.send(Method::PUT, "k", &part("2"), &[], "tail").await?.expect(200)?;
        let listed = bucket.send(Method::GET, "k", &[("uploadId", &id)], &[], NOTHING).await?.expect(200)?;
        ensure!(
            listed.elements("PartNumber") == ["1", "2"] && listed.elements("Size") == ["5242880", "4"],
            "{}",
            listed.text()
        );
        let uploads = bucket.send(Method::GET, "", &[("uploads", "")], &[], NOTHING).await?.expect(200)?;
        ensure!(uploads.elements("UploadId") == std::slice::from_ref(&id));
        // An open upload survives PUT and DELETE on its key.
        bucket.put("k", &[], "other").await?.expect(200)?;
        bucket.send(Method::DELETE, "k", &[], &[], NOTHING).await?.expect(204)?;
        let xml = |parts: &[(&str, &str)]| {
            let inner: String = parts
                .iter()
                .map(|(n, tag)| format!("<Part><PartNumber>{n}</PartNumber><ETag>{tag}</ETag></Part>"))
                .collect();
            format!("<CompleteMultipartUpload>{inner}</CompleteMultipartUpload>")
        };
        let (one, two) = (one.header("etag").to_owned(), two.header("etag").to_owned());
        let query = [("uploadId", id.as_str())];
        refused(
            &bucket.send(Method::POST, "k", &query, &[], xml(&[("2", &two), ("1", &one)])).await?,
            400,
            "InvalidPartOrder",
        )?;
        refused(&bucket.send(Method::POST, "k", &query, &[], xml(&[("1", "\"0\"")])).await?, 400, "InvalidPart")?;
        refused(
            &bucket.send(Method::POST, "k", &query, &[], xml(&[("1", &one), ("3", &two)])).await?,
            400,
            "InvalidPart",
        )?;
        let done = bucket.send(Method::POST, "k", &query, &[], xml(&[("1", &one), ("2", &two)])).await?.expect(200)?;
        ensure!(done.element("ETag").is_some_and(|tag| tag.ends_with("-2\"")), "{}", done.text());
        let got = bucket.get("k", &[]).await?.expect(200)?;
        ensure!(got.body.len() == (5 << 20) + 4 && got.header("x-amz-meta-a") == "1");
        // Abort after completion changes nothing.
        bucket.send(Method::DELETE, "k", &query, &[], NOTHING).await?;
        bucket.get("k", &[]).await?.expect(200)?;
        let first = bucket.send(Method::GET, "k", &[("partNumber", "2")], &[], NOTHING).await?.expect(206)?;
        ensure!(first.body == "tail" && first.header("x-amz-mp-parts-count") == "2");
        refused(&bucket.send(Method::GET, "k", &[("uploadId", "nonsense")], &[], NOTHING).await?, 404, "NoSuchUpload")
    });
}

#[test]
fn unset_configuration_is_its_own_404_and_a_refused_one_stays_unset() {
    run("unset", async |bucket| {
        for (query, code) in [
            ("cors", "NoSuchCORSConfiguration"),
            ("lifecycle", "NoSuchLifecycleConfiguration"),
            ("website", "NoSuchWebsiteConfiguration"),
        ] {
            refused(&bucket.send(Method::GET, "", &[(query, "")], &[], NOTHING).await?, 404, code)?;
            let set = bucket.send(Method::PUT, "", &[(query, "")], &[], "<X/>").await?;
            ensure!([400, 501].contains(&set.status), "{query}: {} {}", set.status, set.text());
            refused(&bucket.send(Method::GET, "", &[(query, "")], &[], NOTHING).await?, 404, code)?;
        }
        for (query, code) in [
            ("policy", "NoSuchBucketPolicy"),
            ("encryption", "ServerSideEncryptionConfigurationNotFoundError"),
            ("object-lock", "ObjectLockConfigurationNotFoundError"),
            ("tagging", "NoSuchTagSet"),
        ] {
            refused(&bucket.send(Method::GET, "", &[(query, "")], &[], NOTHING).await?, 404, code)?;
            let set = bucket.send(Method::PUT, "", &[(query, "")], &[], "<X/>").await?;
            refused(&set, 501, "NotImplemented")?;
        }
        bucket.send(Method::GET, "", &[("versioning", "")], &[], NOTHING).await?.expect(200)?;
        bucket.send(Method::GET, "", &[("acl", "")], &[], NOTHING).await?.expect(200)?;
        for (name, value) in [
            ("x-amz-tagging", "a=b"),
            ("x-amz-server-side-encryption", "AES256"),
            ("x-amz-object-lock-mode", "GOVERNANCE"),
            ("x-amz-acl", "public-read"),
            ("x-amz-storage-class", "GLACIER"),
            ("x-amz-grant-read", "id=1"),
        ] {
            let reply = bucket.put("k", &[(name, value)], "x").await?;
            ensure!([400, 501].contains(&reply.status), "{name}: {} {}", reply.status, reply.text());
        }
        refused(&bucket.get("k", &[]).await?, 404, "NoSuchKey")?;
        bucket.put("k", &[("x-amz-acl", "private"), ("x-amz-tagging", "")], "x").await?.expect(200)?;
        Ok(())
    });
}

#[test]
fn a_bucket_of_one_gateway_is_there_on_every_other_at_once() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome: Result<()> = runtime.block_on(async {
        let cluster = Cluster::three()?;
        let endpoints = cluster.endpoints();
        for round in 0..10 {
            let name = format!("everywhere{round}");
            let mut made = S3::new(&endpoints[round % 3], &cluster.ready);
            let mut other = S3::new(&endpoints[(round + 1) % 3], &cluster.ready);
            made.send(Method::PUT, &format!("/{name}"), &[], &[], NOTHING).await?.expect(200)?;
            other.put(&name, "k", "x").await?.expect(200)?;
            made.delete(&name, "k").await?.expect(204)?;
            other.send(Method::DELETE, &format!("/{name}"), &[], &[], NOTHING).await?.expect(204)?;
            made.put(&name, "k", "x").await?.expect(404)?;
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error:?}");
    }
}

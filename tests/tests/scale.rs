//! Large things take time in proportion to their size, and no memory: many parts, many keys.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use cairn_model::keys;
use cairn_model::rows::{Headers, ObjectData, ObjectHead};
use cairn_tests::cluster::{Cluster, Options, with_cluster};
use cairn_tests::inside::Inside;
use cairn_tests::s3::S3;
use cairn_tests::{full, pattern};
use cairn_types::{BucketId, OpId};
use futures_util::stream::{self, StreamExt as _};
use http::{Method, Request};
use http_body_util::Full;

const MIB: usize = 1 << 20;
/// Of every part: the smallest there may be, so that the parts are as many as their bytes allow.
const PART: usize = 5 * MIB;
/// Clients that upload at the same time.
const UPLOADERS: usize = 2;
/// What the largest process may have more at the end than after the first tenth.
const MEMORY_SLACK: u64 = 48 << 20;

const BUCKET: &str = "large";

async fn make_bucket(cluster: &Cluster) -> Result<S3> {
    let mut s3 = S3::first(&cluster.ready)?;
    s3.patience = Duration::from_secs(300);
    s3.send(Method::PUT, &format!("/{BUCKET}"), &[], &[], Bytes::new()).await?.expect(200)?;
    Ok(s3)
}

/// A signed chunk is as long as its client likes: its signature covers all of it, and none of it is kept until then.
#[test]
fn a_signed_chunk_of_any_size_takes_no_memory() {
    with_cluster(Options { nodes: 3, ..Options::default() }, async |cluster| {
        let mut s3 = make_bucket(cluster).await?;
        let body = Bytes::from(pattern(3, if full() { 2048 } else { 256 } * MIB));
        // What a process has after its first bodies, it keeps.
        s3.put(BUCKET, "chunk", body.slice(..32 * MIB)).await?.expect(200)?;
        let before = cluster.largest_peak()?;
        let sent = s3.in_one_chunk(&format!("/{BUCKET}/chunk"), &body)?;
        s3.exchange(sent).await?.expect(200)?;
        let after = cluster.largest_peak()?;
        let mib = |bytes: u64| bytes as f64 / MIB as f64;
        println!(
            "MEASURED peak RSS before and after one signed chunk of {} MiB: {:.1} and {:.1} MiB",
            body.len() / MIB,
            mib(before),
            mib(after)
        );
        ensure!(after < before + MEMORY_SLACK, "memory grew from {before} to {after} bytes");
        ensure!(s3.get(BUCKET, "chunk").await?.expect(200)?.body == body);
        // Signed, and changed on its way: the last object stays.
        let sent = s3.in_one_chunk(&format!("/{BUCKET}/chunk"), &body.slice(..100 * MIB))?;
        let (parts, framed) = sent.into_parts();
        let mut framed = framed.into_inner().context("a body")?.to_vec();
        let middle = framed.len() / 2;
        framed[middle] ^= 1;
        let forged = Request::from_parts(parts, Full::new(framed.into()));
        let reply = s3.exchange(forged).await?.expect(403)?;
        ensure!(reply.element("Code").as_deref() == Some("SignatureDoesNotMatch"), "{}", reply.text());
        ensure!(s3.get(BUCKET, "chunk").await?.expect(200)?.body == body);
        Ok(())
    });
}

/// 5 MiB parts of the same bytes: stored once, referenced under 10,000 manifests.
#[test]
fn many_parts() {
    with_cluster(Options { nodes: 3, ..Options::default() }, async |cluster| {
        let parts = if full() { 10_000 } else { 1000 };
        let mut s3 = make_bucket(cluster).await?;
        let path = format!("/{BUCKET}/object");
        let begun = s3.send(Method::POST, &path, &[("uploads", "")], &[], Bytes::new()).await?.expect(200)?;
        let id = begun.element("UploadId").context("no upload id")?;
        let body = Bytes::from(pattern(1, PART));
        let tenth = parts / 10;
        let mut tenths = Vec::new();
        let mut memory = Vec::new();
        for number in 0..10 {
            let began = Instant::now();
            upload(cluster, &id, number * tenth + 1..=(number + 1) * tenth, &body).await?;
            tenths.push(began.elapsed());
            memory.push(cluster.largest_rss()?);
        }
        let etag = format!("\"{}\"", hex::encode(<md5::Md5 as md5::Digest>::digest(&body)));
        let listed: String = (1..=parts)
            .map(|number| format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"))
            .collect();
        let document = format!("<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>");
        let began = Instant::now();
        let done = s3.send(Method::POST, &path, &[("uploadId", &id)], &[], document).await?.expect(200)?;
        let completing = began.elapsed();
        ensure!(done.text().contains(&format!("-{parts}")), "{}", done.text());
        memory.push(cluster.largest_rss()?);

        let size = PART as u64 * parts as u64;
        let head = s3.head(BUCKET, "object").await?.expect(200)?;
        ensure!(head.header("content-length") == size.to_string(), "{:?}", head.headers);
        read_around(&mut s3, &path, size, &body).await?;
        report(parts, &tenths, completing, &memory);

        // The last tenth takes as long as the first ones: nothing is done again for each part there already is.
        let early = tenths[..3].iter().min().context("no times")?;
        let late = tenths[7..].iter().min().context("no times")?;
        ensure!(*late < *early * 2, "parts become slower: {tenths:?}");
        let limit = Duration::from_millis(5 * parts as u64) + Duration::from_secs(5);
        ensure!(completing < limit, "completing took {completing:?}, more than {limit:?}");
        let (first, last) = (memory[0], memory.iter().max().copied().unwrap_or_default());
        ensure!(last < first + MEMORY_SLACK, "memory grew from {first} to {last} bytes: {memory:?}");
        Ok(())
    });
}

/// Uploads parts of the same bytes, some at a time.
async fn upload(cluster: &Cluster, id: &str, numbers: std::ops::RangeInclusive<usize>, body: &Bytes) -> Result<()> {
    let endpoints = cluster.endpoints();
    let path = format!("/{BUCKET}/object");
    let uploader = |lane: usize| {
        let mut s3 = S3::new(&endpoints[lane % endpoints.len()], &cluster.ready);
        let (numbers, path) = (numbers.clone(), path.clone());
        async move {
            for number in numbers.filter(|number| number % UPLOADERS == lane) {
                let number = number.to_string();
                let query = [("partNumber", number.as_str()), ("uploadId", id)];
                s3.send(Method::PUT, &path, &query, &[], body.clone()).await?.expect(200)?;
            }
            Ok::<_, anyhow::Error>(())
        }
    };
    let lanes: Vec<_> = (0..UPLOADERS).map(uploader).collect();
    futures_util::future::try_join_all(lanes).await?;
    Ok(())
}

/// Ranges at the beginning, the middle and the end, across parts and pages.
async fn read_around(s3: &mut S3, path: &str, size: u64, body: &Bytes) -> Result<()> {
    let part = PART as u64;
    for begin in [0, part - 10, size / 2 - 10, size - part - 10, size - 20] {
        let range = format!("bytes={begin}-{}", begin + 19);
        let reply = s3.send(Method::GET, path, &[], &[("range", &range)], Bytes::new()).await?.expect(206)?;
        let expected: Vec<u8> = (begin..begin + 20)
            .map(|at| body.get(usize::try_from(at % part).unwrap_or_default()).copied().unwrap_or_default())
            .collect();
        ensure!(reply.body == expected, "other bytes at {range}");
    }
    Ok(())
}

fn report(parts: usize, tenths: &[Duration], completing: Duration, memory: &[u64]) {
    let seconds: Vec<String> = tenths.iter().map(|time| format!("{:.1}", time.as_secs_f64())).collect();
    let mib: Vec<u64> = memory.iter().map(|bytes| bytes >> 20).collect();
    println!(
        "MEASURED {parts} parts: {} s a tenth, completed in {:.2} s; largest process {mib:?} MiB",
        seconds.join(" "),
        completing.as_secs_f64()
    );
}

/// Keys of one bucket, put into the table service by a coordinator, listed through the gateway page by page.
#[test]
fn many_keys() {
    with_cluster(Options { nodes: 3, ..Options::default() }, async |cluster| {
        let count = if full() { 1_000_000 } else { 100_000 };
        let mut s3 = make_bucket(cluster).await?;
        let inside = Inside::open(&cluster.ready).await?;
        let began = Instant::now();
        load(&inside, inside.bucket(BUCKET).await?, count).await?;
        println!("MEASURED {count} keys loaded in {:.0} s", began.elapsed().as_secs_f64());
        let before = cluster.largest_rss()?;

        let plain = list_all(&mut s3, &[], count).await?;
        judge("pages of 1,000", &plain)?;
        // Folded: 100 keys behind each prefix, so that a page passes over 100,000 keys.
        let folded = list_all(&mut s3, &[("delimiter", "/")], count / 100).await?;
        judge("pages of 1,000 prefixes", &folded)?;
        let after = cluster.largest_rss()?;
        println!("MEASURED {count} keys: largest process {} MiB before, {} MiB after", before >> 20, after >> 20);
        ensure!(after < before + MEMORY_SLACK, "memory grew from {before} to {after} bytes");
        Ok(())
    });
}

fn key(number: usize) -> String {
    format!("{:06}/{:02}", number / 100, number % 100)
}

/// Inline objects of no bytes; the heads are what a listing shows.
async fn load(inside: &Inside, bucket: BucketId, count: usize) -> Result<()> {
    const TOGETHER: usize = 500;
    let head = |version: OpId| ObjectHead {
        version,
        size: 0,
        etag: "d41d8cd98f00b204e9800998ecf8427e".to_owned(),
        last_modified_ms: inside.cluster.clock().now_ms(),
        headers: Headers::default(),
        checksum: None,
        parts: 0,
        encryption: None,
    };
    let batch = |first: usize| async move {
        let writes = (first..count.min(first + TOGETHER)).map(|number| {
            let version = inside.new_op();
            let envelope = head(version).envelope(bucket, &ObjectData::Inline(Bytes::new()));
            (keys::object(bucket, key(number).as_bytes()), version, Some(envelope))
        });
        let written = inside.cluster.write_many(&inside.op(), writes.collect()).await?;
        written.into_iter().try_for_each(|one| one.map(drop))?;
        Ok::<_, anyhow::Error>(())
    };
    let mut batches = stream::iter((0..count).step_by(TOGETHER).map(batch)).buffer_unordered(4);
    while let Some(written) = batches.next().await {
        written?;
    }
    Ok(())
}

/// Every page's time. All names come, each once and in order.
async fn list_all(s3: &mut S3, query: &[(&str, &str)], expected: usize) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    let mut token: Option<String> = None;
    let (mut names, mut last) = (0, String::new());
    loop {
        let mut query = query.to_vec();
        query.extend(token.iter().map(|token| ("continuation-token", token.as_str())));
        let began = Instant::now();
        let page = s3.list(BUCKET, &query).await?.expect(200)?;
        times.push(began.elapsed());
        let folded = query.iter().any(|(name, _)| *name == "delimiter");
        let found = if folded {
            page.elements("Prefix").into_iter().filter(|prefix| !prefix.is_empty()).collect()
        } else {
            page.elements("Key")
        };
        for name in found {
            ensure!(name > last, "{name} comes after {last}");
            (names, last) = (names + 1, name);
        }
        match page.element("NextContinuationToken") {
            Some(next) => token = Some(next),
            None => break,
        }
    }
    if names != expected {
        bail!("{names} names instead of {expected}");
    }
    Ok(times)
}

/// No page is slower than ten times the median.
fn judge(what: &str, times: &[Duration]) -> Result<()> {
    let mut sorted = times.to_vec();
    sorted.sort();
    let median = sorted.get(sorted.len() / 2).copied().context("no pages")?;
    let slowest = sorted.last().copied().context("no pages")?;
    println!("MEASURED {what}: {} of them, median {median:.1?}, slowest {slowest:.1?}", times.len());
    ensure!(slowest < median * 10, "the slowest of {} pages took {slowest:?}, the median {median:?}", times.len());
    Ok(())
}

//! Quotas and usage on real clusters: exact when nothing moves, after crashes too; and copies onto themselves in races.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use cairn_tests::cluster::{Cluster, Options, cairn, wait_until, with_cluster};
use cairn_tests::s3::{Reply, S3};
use cairn_tests::{full, pattern};
use http::Method;
use serde::Deserialize;

const SOON: Duration = Duration::from_secs(10);
const PART: usize = 5 << 20;

/// One cluster of three nodes for the tests that leave it whole; each uses buckets of its own.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::three().expect("a cluster"))
}

fn run(test: impl AsyncFnOnce(&Cluster) -> Result<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    if let Err(error) = runtime.block_on(test(cluster())) {
        panic!("{error:?}");
    }
}

/// What `cairn --json` says.
fn operator(cluster: &Cluster, arguments: &[&str]) -> Result<serde_json::Value> {
    let output =
        Command::new(cairn()?).arg("--cluster").arg(cluster.data_dir()).arg("--json").args(arguments).output()?;
    ensure!(output.status.success(), "cairn {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[derive(Deserialize, PartialEq, Eq, Clone, Copy, Debug)]
struct Usage {
    objects: u64,
    bytes: u64,
}

fn counted(cluster: &Cluster, bucket: &str) -> Result<Usage> {
    Ok(serde_json::from_value(operator(cluster, &["bucket", "info", bucket])?)?)
}

/// What a listing adds up to.
async fn listed(s3: &mut S3, bucket: &str) -> Result<Usage> {
    let mut usage = Usage { objects: 0, bytes: 0 };
    let mut token: Option<String> = None;
    loop {
        let mut query = vec![("max-keys", "1000")];
        query.extend(token.as_deref().map(|token| ("continuation-token", token)));
        let page = s3.list(bucket, &query).await?.expect(200)?;
        for size in page.elements("Size") {
            usage.objects += 1;
            usage.bytes += size.parse::<u64>()?;
        }
        token = page.element("NextContinuationToken");
        if token.is_none() {
            return Ok(usage);
        }
    }
}

/// Waits until the counters say what the listing does: the slowest replica may still be taking the last write.
fn assert_exact(cluster: &Cluster, bucket: &str, listed: Usage) -> Result<()> {
    let mut last = None;
    let agreed = wait_until("the counters are those of the listing", SOON, || {
        last = counted(cluster, bucket).ok();
        last == Some(listed)
    });
    agreed.with_context(|| format!("listed {listed:?}, counted {last:?}"))
}

async fn create(s3: &mut S3, bucket: &str) -> Result<()> {
    s3.send(Method::PUT, &format!("/{bucket}"), &[], &[], Bytes::new()).await?.expect(200)?;
    Ok(())
}

/// A small generator, so that a failure can be played again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// One random operation on a few keys. Errors of the connection are for the caller; answers are legal or fail.
async fn step(s3: &mut S3, bucket: &str, dice: &mut Dice) -> Result<()> {
    let key = format!("k{}", dice.roll(12));
    let other = format!("/{bucket}/k{}", dice.roll(12));
    let path = format!("/{bucket}/{key}");
    let sizes = [0, 1, 100, 8192, 8193, 60_000, (1 << 20) + 7];
    let size = sizes[usize::try_from(dice.roll(7))?];
    let reply = match dice.roll(10) {
        0..=4 => s3.put(bucket, &key, pattern(dice.roll(1 << 30), size)).await?,
        5 | 6 => s3.delete(bucket, &key).await?,
        7 => {
            s3.send(
                Method::PUT,
                &path,
                &[],
                &[("x-amz-copy-source", &other), ("x-amz-metadata-directive", "REPLACE")],
                Bytes::new(),
            )
            .await?
        }
        8 => s3.send(Method::PUT, &path, &[], &[("if-none-match", "*")], pattern(dice.roll(1 << 30), size)).await?,
        _ => return upload(s3, &path, dice).await,
    };
    legal(&reply, &[200, 204, 404, 409, 412])
}

/// One of these answers, or the one that says that others came between and it is not known who was first.
fn legal(reply: &Reply, statuses: &[u16]) -> Result<()> {
    let unknown = reply.status == 500 && reply.header("x-cairn-outcome") == "unknown";
    ensure!(unknown || statuses.contains(&reply.status), "{} {}", reply.status, reply.text());
    Ok(())
}

/// An upload that is completed, aborted or left open.
async fn upload(s3: &mut S3, path: &str, dice: &mut Dice) -> Result<()> {
    let created = s3.send(Method::POST, path, &[("uploads", "")], &[], Bytes::new()).await?.expect(200)?;
    let id = created.element("UploadId").context("no upload id")?;
    let mut list = String::new();
    for number in 1..=1 + dice.roll(2) {
        let query = [("uploadId", id.as_str()), ("partNumber", &number.to_string())];
        let part = s3.send(Method::PUT, path, &query, &[], pattern(number, PART)).await?.expect(200)?;
        list.push_str(&format!("<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag></Part>", part.header("etag")));
    }
    let list = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
    let query = [("uploadId", id.as_str())];
    match dice.roll(4) {
        0 => legal(&s3.send(Method::DELETE, path, &query, &[], Bytes::new()).await?, &[204]),
        1 => Ok(()),
        _ => legal(&s3.send(Method::POST, path, &query, &[], list).await?, &[200]),
    }
}

#[test]
fn usage_is_exact_when_nothing_moves() {
    run(async |cluster| {
        let mut s3 = S3::first(&cluster.ready)?;
        create(&mut s3, "exact").await?;
        let steps = if full() { 2_000 } else { 60 };
        let mut writers = tokio::task::JoinSet::new();
        for (seed, endpoint) in (1..).zip(cluster.endpoints()) {
            let mut s3 = S3::new(&endpoint, &cluster.ready);
            writers.spawn(async move {
                let mut dice = Dice(seed);
                for _ in 0..steps {
                    step(&mut s3, "exact", &mut dice).await?;
                }
                Ok::<_, anyhow::Error>(())
            });
        }
        // A recount under load finds nothing to put right, and spoils nothing.
        let repaired = operator(cluster, &["repair", "usage", "exact"])?;
        ensure!(repaired.as_array().is_some_and(|replicas| replicas.len() == 3), "{repaired}");
        while let Some(done) = writers.join_next().await {
            done??;
        }
        let listed = listed(&mut s3, "exact").await?;
        ensure!(listed.objects > 0);
        assert_exact(cluster, "exact", listed)?;
        assert_replicas_exact(cluster, "exact", 3)?;
        assert_exact(cluster, "exact", listed)
    });
}

/// No replica's counter was wrong about what that replica holds.
fn assert_replicas_exact(cluster: &Cluster, bucket: &str, replicas: usize) -> Result<()> {
    let recounted = operator(cluster, &["repair", "usage", bucket])?;
    let recounted = recounted.as_array().context("no replicas")?;
    ensure!(recounted.len() == replicas, "{recounted:?}");
    for replica in recounted {
        ensure!(replica["objects"] == replica["objects_before"], "a counter was wrong: {replica}");
        ensure!(replica["bytes"] == replica["bytes_before"], "a counter was wrong: {replica}");
    }
    Ok(())
}

#[test]
fn usage_survives_kill_nine() {
    kill_and_count(1, if full() { 20 } else { 3 });
}

/// Replicas may have missed different writes then; each counts what it holds.
#[test]
fn counters_of_three_replicas_survive_kill_nine() {
    kill_and_count(3, if full() { 10 } else { 2 });
}

fn kill_and_count(nodes: usize, rounds: u64) {
    with_cluster(Options { nodes, ..Options::default() }, async |cluster| {
        let mut s3 = S3::first(&cluster.ready)?;
        create(&mut s3, "crashed").await?;
        for round in 0..rounds {
            let mut writers = tokio::task::JoinSet::new();
            let (done, mut some_done) = tokio::sync::mpsc::channel(1024);
            for (seed, endpoint) in (0..6).zip(cluster.endpoints().into_iter().cycle()) {
                let mut s3 = S3::new(&endpoint, &cluster.ready);
                let done = done.clone();
                writers.spawn(async move {
                    let mut dice = Dice(round * 100 + seed);
                    // Until the cluster is gone.
                    while step(&mut s3, "crashed", &mut dice).await.is_ok() {
                        done.send(()).await.ok();
                    }
                });
            }
            for _ in 0..40 {
                some_done.recv().await.context("all writers ended early")?;
            }
            cluster.kill_all()?;
            some_done.close();
            writers.join_all().await;
            cluster.start_again()?;
            s3 = S3::first(&cluster.ready)?;
            let listed = listed(&mut s3, "crashed").await?;
            assert_replicas_exact(cluster, "crashed", nodes)?;
            if nodes == 1 {
                assert_exact(cluster, "crashed", listed)?;
            }
        }
        Ok(())
    });
}

#[test]
fn a_quota_holds_at_every_gateway_and_is_lifted_at_once() {
    run(async |cluster| {
        let mut s3 = S3::first(&cluster.ready)?;
        create(&mut s3, "bounded").await?;
        s3.put("bounded", "first", pattern(1, 6_000)).await?.expect(200)?;
        let shown = operator(cluster, &["bucket", "quota", "bounded", "--size", "10KiB", "--objects", "3"])?;
        ensure!(shown["max_bytes"] == 10_240 && shown["max_objects"] == 3, "{shown}");
        let mut gateways: Vec<S3> = cluster.endpoints().iter().map(|at| S3::new(at, &cluster.ready)).collect();
        for gateway in &mut gateways {
            // A gateway may not have heard yet; then the object goes again, and is tried again.
            let mut refused = false;
            for _ in 0..200 {
                let reply = gateway.put("bounded", "second", pattern(2, 6_000)).await?;
                if reply.status == 403 {
                    ensure!(reply.element("Code").as_deref() == Some("QuotaExceeded"), "{}", reply.text());
                    refused = true;
                    break;
                }
                gateway.delete("bounded", "second").await?.expect(204)?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            ensure!(refused, "a gateway never heard of the quota");
            gateway.get("bounded", "second").await?.expect(404)?;
            gateway.put("bounded", "first", pattern(3, 10_240)).await?.expect(200)?;
            gateway.put("bounded", "first", pattern(4, 6_000)).await?.expect(200)?;
        }
        operator(cluster, &["bucket", "quota", "bounded", "--none"])?;
        for (at, gateway) in gateways.iter_mut().enumerate() {
            gateway.put("bounded", &format!("more-{at}"), pattern(2, 6_000)).await?.expect(200)?;
        }
        operator(cluster, &["bucket", "quota", "bounded", "--objects", "1"])?;
        for gateway in &mut gateways {
            gateway.delete("bounded", "first").await?.expect(204)?;
        }
        Ok(())
    });
}

/// Copies of an object onto itself change what they read, or nothing: after a delete among them it is gone, whatever
/// the order was.
#[test]
fn copies_onto_itself_racing_a_delete_never_bring_it_back() {
    run(async |cluster| {
        let mut s3 = S3::first(&cluster.ready)?;
        create(&mut s3, "races").await?;
        let rounds = if full() { 200 } else { 15 };
        let mut outcomes: BTreeMap<u16, u32> = BTreeMap::new();
        for round in 0..rounds {
            let (key, content) = (format!("k{round}"), pattern(round, if round % 2 == 0 { 500 } else { 100_000 }));
            s3.put("races", &key, content.clone()).await?.expect(200)?;
            let mut racers = tokio::task::JoinSet::new();
            for (at, endpoint) in cluster.endpoints().into_iter().chain(cluster.endpoints()).enumerate() {
                let mut s3 = S3::new(&endpoint, &cluster.ready);
                let path = format!("/races/{key}");
                racers.spawn(async move {
                    let headers = [("x-amz-copy-source", path.as_str()), ("x-amz-metadata-directive", "REPLACE")];
                    let mark = at.to_string();
                    let headers: Vec<_> = headers.into_iter().chain([("x-amz-meta-at", mark.as_str())]).collect();
                    s3.send(Method::PUT, &path, &[], &headers, Bytes::new()).await
                });
            }
            let mut answers = Vec::new();
            for _ in 0..round % 4 {
                answers.push(racers.join_next().await.context("no racer")???);
            }
            s3.delete("races", &key).await?.expect(204)?;
            while let Some(reply) = racers.join_next().await {
                answers.push(reply??);
            }
            for reply in answers {
                legal(&reply, &[200, 404, 409])?;
                *outcomes.entry(reply.status).or_default() += 1;
            }
            s3.get("races", &key).await?.expect(404)?;
            s3.put("races", &key, content).await?.expect(200)?;
        }
        println!("copies by their answer: {outcomes:?}");
        let listed = listed(&mut s3, "races").await?;
        ensure!(listed.objects == rounds);
        assert_exact(cluster, "races", listed)
    });
}

//! Hostile input to every port: clear errors, no panic, no growth.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cairn_tests::cluster::{Cluster, Options, alive, with_cluster};
use cairn_tests::s3::S3;
use cairn_tests::{full, pattern};
use http::Method;
use md5::{Digest as _, Md5};

/// All of this together may cost a daemon this much memory.
const GROWTH_LIMIT: u64 = 96 << 20;
const PATIENCE: Duration = Duration::from_secs(5);

fn run(test: impl AsyncFnOnce(&Cluster) -> Result<()>) {
    with_cluster(Options { nodes: 3, ..Options::default() }, async |cluster| {
        let before = cluster.largest_rss()?;
        test(cluster).await?;
        unharmed(cluster, before).await
    });
}

/// The same processes still run, did not grow, said nothing of a panic, and serve.
async fn unharmed(cluster: &Cluster, rss_before: u64) -> Result<()> {
    for pid in cluster.pids() {
        ensure!(alive(pid), "process {pid} is gone");
    }
    ensure!(!cluster.log().contains("panicked"), "a daemon panicked:\n{}", cluster.log());
    let after = cluster.largest_rss()?;
    ensure!(after < rss_before + GROWTH_LIMIT, "memory grew from {rss_before} to {after} bytes");
    let mut s3 = S3::first(&cluster.ready)?;
    s3.put(&cluster.ready.bucket, "still-here", "yes").await?.expect(200)?;
    ensure!(s3.get(&cluster.ready.bucket, "still-here").await?.expect(200)?.body == "yes");
    Ok(())
}

fn ports(cluster: &Cluster) -> Vec<String> {
    let s3 = cluster.endpoints().into_iter().map(|endpoint| endpoint.trim_start_matches("http://").to_owned());
    let mut all: Vec<String> = cluster.ready.nodes.iter().map(|node| node.grpc.clone()).chain(s3).collect();
    all.sort();
    all.dedup();
    all
}

/// Sends bytes, closes this half, and reads whatever comes until the other side closes or time is up.
fn say(address: &str, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut answer = Vec::new();
    // The peer may close before everything was sent: that is an answer too.
    if stream.write_all(bytes).is_ok() {
        stream.shutdown(Shutdown::Write).ok();
    }
    stream.take(1 << 20).read_to_end(&mut answer).ok();
    Ok(answer)
}

#[test]
fn garbage_on_every_port() {
    run(async |cluster| {
        let rounds = if full() { 400 } else { 60 };
        for address in ports(cluster) {
            for seed in 0..rounds {
                say(&address, &pattern(seed, 1 + usize::try_from(seed).unwrap_or(0) * 37))?;
            }
            say(&address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\xff\x04\x00\x00\x00\x00\x00")?;
            say(&address, b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n")?;
            say(&address, b"GET / HTTP/9.9\r\n\r\n")?;
            // The beginning of a TLS ClientHello, cut at every length.
            let hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9];
            for length in 0..hello.len() {
                say(&address, &hello[..length])?;
            }
        }
        Ok(())
    });
}

#[test]
fn oversized_headers_and_targets_are_refused() {
    run(async |cluster| {
        let address = cluster.endpoints()[0].trim_start_matches("http://").to_owned();
        let long = "x".repeat(1 << 20);
        for request in [
            format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nHost: a\r\nX-Long: {long}\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X-Many: y\r\n".repeat(20_000)),
            format!("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{long}"),
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello".to_owned(),
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        ] {
            let answer = say(&address, request.as_bytes())?;
            let text = String::from_utf8_lossy(&answer);
            ensure!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{}", &text[..text.len().min(300)]);
        }
        Ok(())
    });
}

#[test]
fn slow_clients_are_cut_and_others_are_served() {
    run(async |cluster| {
        let address = cluster.endpoints()[0].trim_start_matches("http://").to_owned();
        let count = if full() { 2_000 } else { 300 };
        let mut slow = Vec::new();
        for _ in 0..count {
            let mut stream = TcpStream::connect(&address)?;
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX-Drip: ")?;
            slow.push(stream);
        }
        let mut s3 = S3::first(&cluster.ready)?;
        let began = Instant::now();
        s3.put(&cluster.ready.bucket, "beside", "quick").await?.expect(200)?;
        ensure!(began.elapsed() < Duration::from_secs(2), "slow clients held up a quick one");
        // Headers must arrive within the header time-out (at most 30 s): then the connection is closed.
        let first = slow.first_mut().context("a connection")?;
        first.set_read_timeout(Some(Duration::from_secs(45)))?;
        let mut rest = Vec::new();
        first.read_to_end(&mut rest).context("a slow connection was never closed")?;
        Ok(())
    });
}

#[test]
fn half_sent_bodies_store_nothing() {
    run(async |cluster| {
        let bucket = &cluster.ready.bucket;
        let mut s3 = S3::first(&cluster.ready)?;
        s3.put(bucket, "half", "before").await?.expect(200)?;
        let address = cluster.endpoints()[0].trim_start_matches("http://").to_owned();
        for (declared, sent) in [(100, 10), (1 << 20, 1 << 19), (20 << 20, 9 << 20), (20 << 20, 0)] {
            let path = format!("/{bucket}/half");
            let request = s3.signed(Method::PUT, &path, &[], &[], Bytes::new())?;
            let mut text = format!("PUT {} HTTP/1.1\r\nContent-Length: {declared}\r\n", request.uri());
            for (name, value) in request.headers().iter().filter(|(name, _)| *name != "content-length") {
                text.push_str(&format!("{name}: {}\r\n", value.to_str()?));
            }
            text.push_str("\r\n");
            let mut bytes = text.into_bytes();
            bytes.extend(pattern(9, sent));
            say(&address, &bytes)?;
            ensure!(s3.get(bucket, "half").await?.expect(200)?.body == "before");
        }
        Ok(())
    });
}

#[test]
fn wrong_signatures_and_unsigned_headers_are_refused() {
    run(async |cluster| {
        let bucket = &cluster.ready.bucket;
        let mut s3 = S3::first(&cluster.ready)?;
        s3.put(bucket, "guarded", "safe").await?.expect(200)?;
        let path = format!("/{bucket}/guarded");
        let fresh = |s3: &S3| s3.signed(Method::PUT, &path, &[], &[], Bytes::from_static(b"forged"));

        let mut unsigned = fresh(&s3)?;
        unsigned.headers_mut().insert("x-amz-meta-late", "added".parse()?);
        ensure!(s3.exchange(unsigned).await?.status == 403, "an unsigned x-amz-* header was accepted");

        let mut bare = fresh(&s3)?;
        bare.headers_mut().remove("authorization");
        ensure!(s3.exchange(bare).await?.status == 403, "an anonymous PUT was accepted");

        let mut forged = fresh(&s3)?;
        let text = forged.headers()["authorization"].to_str()?.to_owned();
        let (head, last) = text.split_at(text.len() - 1);
        let other = if last == "0" { "1" } else { "0" };
        forged.headers_mut().insert("authorization", format!("{head}{other}").parse()?);
        let refused = s3.exchange(forged).await?;
        ensure!(refused.status == 403 && refused.element("Code").as_deref() == Some("SignatureDoesNotMatch"));

        let mut stranger = fresh(&s3)?;
        let other_key = text.replace(&cluster.ready.access_key, "AKIAIOSFODNN7EXAMPLE");
        stranger.headers_mut().insert("authorization", other_key.parse()?);
        let refused = s3.exchange(stranger).await?;
        ensure!(refused.status == 403 && refused.element("Code").as_deref() == Some("InvalidAccessKeyId"));

        let mut old = fresh(&s3)?;
        old.headers_mut().insert("authorization", "AWS AKIAIOSFODNN7EXAMPLE:c2ln".parse()?);
        ensure!(s3.exchange(old).await?.status == 400, "signature version 2 was not refused");

        ensure!(s3.get(bucket, "guarded").await?.expect(200)?.body == "safe");
        Ok(())
    });
}

#[test]
fn xml_bombs_are_refused() {
    run(async |cluster| {
        let path = format!("/{}", cluster.ready.bucket);
        let mut s3 = S3::first(&cluster.ready)?;
        let entities = "<!DOCTYPE a [<!ENTITY b \"boom\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;\">]><Delete><Object><Key>&c;</Key></Object></Delete>";
        let many = format!("<Delete>{}</Delete>", "<Object><Key>k</Key></Object>".repeat(1001));
        let siblings = format!("<Delete>{}</Delete>", "<X/>".repeat(200_000));
        let deep = format!("{}{}", "<a>".repeat(20_000), "</a>".repeat(20_000));
        let huge = format!("<Delete><Object><Key>{}</Key></Object></Delete>", "k".repeat(3 << 20));
        for body in [entities.to_owned(), many, siblings, deep, huge, "<Unknown/>".to_owned(), "<Delete>".to_owned()] {
            let md5 = STANDARD.encode(Md5::digest(&body));
            let reply = s3.send(Method::POST, &path, &[("delete", "")], &[("content-md5", &md5)], body).await?;
            ensure!(reply.status == 400, "expected 400, got {}: {}", reply.status, reply.text());
        }
        Ok(())
    });
}

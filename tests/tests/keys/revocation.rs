//! What is taken stops working within two seconds on every gateway, whatever is cached and whoever is down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use cairn_tests::cluster::{Cluster, Options, pause, wait_until, with_cluster};
use cairn_tests::load::Load;
use cairn_tests::operator::{Key, Operator};
use cairn_tests::s3::{Reply, S3};
use http::Method;
use tokio::task::{JoinHandle, JoinSet};

use crate::{NOTHING, create, refused};

/// SECURITY V23.
const BOUND: Duration = Duration::from_secs(2);
const PACE: Duration = Duration::from_millis(25);
const ALIAS: &str = "revoked.example.org";

/// Something that a key may do until a command takes it.
struct Probe {
    what: &'static str,
    key: Key,
    method: Method,
    path: String,
    /// The command that takes it.
    taken_by: Vec<String>,
    /// It must have stopped this long after the command has returned.
    within: Duration,
    /// With this code.
    code: &'static str,
}

/// What one gateway answered one key that kept asking.
struct Watched {
    /// When the last request that was served began.
    served: Instant,
    /// When the first that was refused began.
    refused: Option<Instant>,
}

/// Asks until it is told to stop, so that the gateway's caches are warm at any time.
async fn watch(
    mut s3: S3,
    probe: Arc<Probe>,
    warm: tokio::sync::mpsc::Sender<()>,
    stop: Arc<AtomicBool>,
) -> Result<Watched> {
    let mut watched = Watched { served: Instant::now(), refused: None };
    let mut count = 0;
    while !stop.load(Ordering::SeqCst) {
        let began = Instant::now();
        let reply = s3.send(probe.method.clone(), &probe.path, &[], &[], NOTHING).await?;
        // A bucket that the key has made already: it may make buckets.
        let served = matches!(reply.status, 200 | 409);
        if served {
            watched.served = began;
        } else {
            refused(&reply, probe.code).with_context(|| probe.what)?;
            watched.refused.get_or_insert(began);
        }
        count += 1;
        if count == 5 {
            warm.send(()).await?;
        }
        tokio::time::sleep(PACE).await;
    }
    Ok(watched)
}

async fn probes(operator: &Operator, owner: &mut S3, round: &str) -> Result<Vec<Arc<Probe>>> {
    let bucket = "revoked";
    let mut probes = Vec::new();
    let mut add = async |what, code, within, make: &[&str], path: &str, taken_by: &[&str]| {
        let key = operator.key(&format!("{what} {round}"), make).await?;
        let own = |text: &&str| text.replace("KEY", &key.id).replace("OWN", &key.id.to_lowercase());
        let method = if path.contains("OWN") { Method::PUT } else { Method::GET };
        let (path, taken_by) = (own(&path), taken_by.iter().map(own).collect());
        probes.push(Arc::new(Probe { what, key: key.clone(), method, path, taken_by, within, code }));
        anyhow::Ok(key)
    };
    let object = "/revoked/in/object";
    let denied = "AccessDenied";
    let deny = ["bucket", "deny", bucket, "--key", "KEY", "--read"];
    let deleted = add("a deleted key", "InvalidAccessKeyId", BOUND, &[], object, &["key", "delete", "KEY"]).await?;
    let past = ["key", "expire", "KEY", "--at", "2020-01-01"];
    let expired = add("a key that is expired", denied, BOUND, &[], object, &past).await?;
    let soon = ["key", "expire", "KEY", "--in", "3s"];
    let expiring = add("a key that ends after 3 s", denied, Duration::from_secs(3), &[], object, &soon).await?;
    let grant = add("a grant", denied, BOUND, &[], object, &deny).await?;
    let by_alias = add("a grant, by an alias", denied, BOUND, &[], &format!("/{ALIAS}/in/object"), &deny).await?;
    let make = ["--allow-create-bucket"];
    let take = ["key", "set", "KEY", "--allow-create-bucket", "false"];
    add("the right to create buckets", denied, BOUND, &make, "/OWN", &take).await?;
    let deny_prefix = [&deny[..], &["--prefix", "in/"]].concat();
    let within = add("a prefix", denied, BOUND, &[], object, &deny_prefix).await?;
    let finish = ["key", "rotate", "KEY", "--finish"];
    let rotated = add("an old secret", "SignatureDoesNotMatch", BOUND, &[], object, &finish).await?;

    for key in [&deleted, &expired, &expiring, &grant, &by_alias, &rotated] {
        operator.run(&["bucket", "allow", bucket, "--key", &key.id, "--read"]).await?;
    }
    for prefix in ["in/", "out/"] {
        operator.run(&["bucket", "allow", bucket, "--key", &within.id, "--read", "--prefix", prefix]).await?;
    }
    operator.run(&["key", "rotate", &rotated.id]).await?;
    owner.put(bucket, "in/object", "x").await?.expect(200)?;
    Ok(probes)
}

/// Takes everything that there is to take, one after another, from keys that all gateways know and that never rest.
async fn everything_stops(cluster: &Cluster, gateways: &[S3], round: &str) -> Result<()> {
    let operator = Operator::of(cluster);
    let mut owner = S3::first(&cluster.ready)?;
    let probes = probes(&operator, &mut owner, round).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let (warm, mut warmed) = tokio::sync::mpsc::channel(1);
    let mut watchers: Vec<Vec<JoinHandle<Result<Watched>>>> = Vec::new();
    for probe in &probes {
        let watching = gateways.iter().map(|at| {
            let s3 = at.by(&probe.key.id, &probe.key.secret);
            tokio::spawn(watch(s3, Arc::clone(probe), warm.clone(), Arc::clone(&stop)))
        });
        watchers.push(watching.collect());
    }
    for _ in 0..probes.len() * gateways.len() {
        warmed.recv().await.context("a watcher ended")?;
    }
    let mut taken = Vec::new();
    for probe in &probes {
        let began = Instant::now();
        let command: Vec<&str> = probe.taken_by.iter().map(String::as_str).collect();
        operator.run(&command).await?;
        taken.push((began, Instant::now()));
    }
    // Longer than the longest bound: what was refused stays so.
    tokio::time::sleep(BOUND * 2).await;
    stop.store(true, Ordering::SeqCst);
    for ((probe, watching), (began, returned)) in probes.iter().zip(watchers).zip(taken) {
        let mut slowest = Duration::ZERO;
        for watched in watching {
            let watched = watched.await??;
            let refused = watched.refused.with_context(|| format!("{} never stopped", probe.what))?;
            ensure!(refused > began, "{} was refused before it was taken", probe.what);
            slowest = slowest.max(watched.served.saturating_duration_since(returned));
        }
        let ms = slowest.as_millis();
        println!("MEASURED {}, {round}: served for {ms} ms after the command at the slowest gateway", probe.what);
        ensure!(slowest <= probe.within, "{} was served for {slowest:?}", probe.what);
    }
    Ok(())
}

#[test]
fn what_is_taken_stops_everywhere_within_two_seconds() {
    with_cluster(Options { nodes: 3, ..Options::default() }, async |cluster| {
        let mut owner = S3::first(&cluster.ready)?;
        create(&mut owner, "revoked").await?;
        Operator::of(cluster).run(&["bucket", "alias", "add", "revoked", ALIAS]).await?;
        let load = Load::start(cluster, "revoked", 3, 1);
        everything_stops(cluster, &crate::owners(cluster), "under load").await?;
        for (signal, state) in [("STOP", "hung"), ("KILL", "killed")] {
            let acknowledged = load.acknowledged();
            ensure!(acknowledged > 0, "there was no load");
            cluster.signal("node3", "gateway", signal)?;
            let left = crate::owners(cluster).into_iter().take(2).collect::<Vec<_>>();
            everything_stops(cluster, &left, &format!("under load with one node of three {state}")).await?;
            ensure!(load.acknowledged() > acknowledged, "the load stopped with the node");
        }
        load.finish().await;
        Ok(())
    });
}

/// A key that may read a bucket, known to a gateway so well that it can answer from memory.
async fn known_key(operator: &Operator, s3: &S3, bucket: &str, name: &str) -> Result<(Key, S3)> {
    let key = operator.key(name, &[]).await?;
    operator.run(&["bucket", "allow", bucket, "--key", &key.id, "--read"]).await?;
    let mut s3 = s3.by(&key.id, &key.secret);
    for _ in 0..3 {
        head_bucket(&mut s3, bucket).await?.expect(200)?;
    }
    Ok((key, s3))
}

/// Of all operations, the one that needs nothing but the rows that a gateway keeps for two seconds.
async fn head_bucket(s3: &mut S3, bucket: &str) -> Result<Reply> {
    s3.send(Method::HEAD, &format!("/{bucket}"), &[], &[], NOTHING).await
}

#[test]
fn without_a_quorum_no_grant_is_older_than_two_seconds() {
    with_cluster(Options { nodes: 3, ..Options::default() }, async |cluster| {
        let bucket = cluster.ready.bucket.clone();
        let first = S3::first(&cluster.ready)?;
        let operator = Operator::of(cluster);
        for how in ["KILL", "STOP"] {
            let (_, s3) = known_key(&operator, &first, &bucket, how).await?;
            cluster.signal("node2", "gateway", how)?;
            cluster.signal("node3", "gateway", how)?;
            let stopped = Instant::now();
            let mut asking = JoinSet::new();
            let (mut last_served, mut slowest, mut refused) = (Duration::ZERO, Duration::ZERO, 0);
            // Each on a connection of its own: one that waits for an answer holds up no other.
            while stopped.elapsed() < BOUND * 2 {
                let (mut s3, bucket) = (s3.by(s3.access_key(), s3.secret_key()), bucket.clone());
                let began = stopped.elapsed();
                asking
                    .spawn(async move { anyhow::Ok((began, head_bucket(&mut s3, &bucket).await?, stopped.elapsed())) });
                tokio::time::sleep(PACE * 2).await;
            }
            while let Some(answer) = asking.join_next().await {
                let (began, reply, ended) = answer??;
                slowest = slowest.max(ended - began);
                if reply.status == 200 {
                    last_served = last_served.max(began);
                } else {
                    ensure!(reply.status == 503, "{how}: {} after {began:?}", reply.status);
                    refused += 1;
                }
            }
            println!(
                "MEASURED two nodes of three lost by {how}: the last 200 was asked for after {last_served:?}, the \
                 slowest of {refused} answers 503 took {slowest:?}"
            );
            ensure!(last_served <= BOUND, "{how}: served after {last_served:?} without a quorum");
            ensure!(last_served > Duration::ZERO && refused > 0, "{how}: nothing was cached, or nothing was refused");
            for node in ["node2", "node3"] {
                if how == "KILL" {
                    cluster.revive(node, "gateway")?
                } else {
                    cluster.signal(node, "gateway", "CONT")?
                }
            }
            serves_again(cluster, s3, &bucket).await?;
        }
        Ok(())
    });
}

/// The key works again, at every gateway.
async fn serves_again(cluster: &Cluster, s3: S3, bucket: &str) -> Result<()> {
    for at in cluster.endpoints() {
        let mut s3 = S3::new(&at, &cluster.ready).by(s3.access_key(), s3.secret_key());
        let began = Instant::now();
        while !head_bucket(&mut s3, bucket).await.is_ok_and(|reply| reply.status == 200) {
            ensure!(began.elapsed() < Duration::from_secs(30), "{at} does not serve again");
            tokio::time::sleep(PACE).await;
        }
    }
    Ok(())
}

/// A key that knows one thing that it may do, and what takes it.
struct Sleeper {
    s3: S3,
    method: Method,
    path: String,
    taken_by: Vec<String>,
    code: &'static str,
}

/// One for each thing that can be taken; the gateway behind `first` has just served them all.
async fn sleepers(operator: &Operator, first: &S3, bucket: &str, round: &str) -> Result<Vec<Sleeper>> {
    let location = format!("/{bucket}");
    let mut sleepers = Vec::new();
    for (what, allowed, taken_by, code) in [
        ("deleted", &["--read"][..], &["key", "delete", "KEY"][..], "InvalidAccessKeyId"),
        ("expired", &["--read"], &["key", "expire", "KEY", "--at", "2020-01-01"], "AccessDenied"),
        ("denied", &["--read"], &["bucket", "deny", bucket, "--key", "KEY", "--read"], "AccessDenied"),
        (
            "elsewhere",
            &["--read", "--prefix", "in/"],
            &["bucket", "deny", bucket, "--key", "KEY", "--read", "--prefix", "in/"],
            "AccessDenied",
        ),
        ("creator", &[], &["key", "set", "KEY", "--allow-create-bucket", "false"], "AccessDenied"),
    ] {
        let creates = allowed.is_empty();
        let key =
            operator.key(&format!("{what} {round}"), if creates { &["--allow-create-bucket"] } else { &[] }).await?;
        if !creates {
            operator.run(&[&["bucket", "allow", bucket, "--key", &key.id], allowed].concat()).await?;
        }
        let (method, path) = if creates {
            (Method::PUT, format!("/{}", key.id.to_lowercase()))
        } else {
            (Method::GET, location.clone())
        };
        let mut s3 = first.by(&key.id, &key.secret);
        for _ in 0..3 {
            let reply = s3.send(method.clone(), &path, sleeper_query(&method), &[], NOTHING).await?;
            ensure!(matches!(reply.status, 200 | 409), "{what}: {} {}", reply.status, reply.text());
        }
        let taken_by = taken_by.iter().map(|text| text.replace("KEY", &key.id)).collect();
        sleepers.push(Sleeper { s3, method, path, taken_by, code });
    }
    Ok(sleepers)
}

/// GetBucketLocation is answered from memory alone.
fn sleeper_query(method: &Method) -> &'static [(&'static str, &'static str)] {
    if method == Method::GET { &[("location", "")] } else { &[] }
}

/// A gateway that did not run while rights were taken knows them from before, and must not believe what it knows.
#[test]
fn a_gateway_that_slept_believes_nothing() {
    with_cluster(Options { nodes: 3, ..Options::default() }, async |cluster| {
        let dir = tempfile::tempdir()?;
        let bucket = cluster.ready.bucket.clone();
        let first = S3::first(&cluster.ready)?;
        let other = Operator::through(cluster, "node2", dir.path())?;
        for quorum in [true, false] {
            let sleepers = sleepers(&other, &first, &bucket, if quorum { "one" } else { "two" }).await?;
            cluster.signal("node1", "gateway", "STOP")?;
            let mut taken = Instant::now();
            for sleeper in &sleepers {
                let command: Vec<&str> = sleeper.taken_by.iter().map(String::as_str).collect();
                taken = Instant::now();
                other.run(&command).await?;
            }
            if !quorum {
                cluster.kill("node2", "gateway")?;
                cluster.kill("node3", "gateway")?;
            }
            pause(BOUND.saturating_sub(taken.elapsed()));
            // They wait in the gateway's socket when it wakes.
            let mut asking = JoinSet::new();
            for sleeper in sleepers {
                let mut s3 = sleeper.s3.by(sleeper.s3.access_key(), sleeper.s3.secret_key());
                asking.spawn(async move {
                    let query = sleeper_query(&sleeper.method);
                    let reply = s3.send(sleeper.method.clone(), &sleeper.path, query, &[], NOTHING).await;
                    reply.map(|reply| (sleeper, reply))
                });
            }
            tokio::time::sleep(PACE * 4).await;
            cluster.signal("node1", "gateway", "CONT")?;
            let mut answered = Vec::new();
            while let Some(answer) = asking.join_next().await {
                let (sleeper, reply) = answer??;
                if quorum {
                    refused(&reply, sleeper.code)?;
                } else {
                    ensure!(reply.status == 503, "without a quorum: {} {}", reply.status, reply.text());
                    ensure!(reply.element("Code").as_deref() == Some("ServiceUnavailable"), "{}", reply.text());
                }
                answered.push(sleeper);
            }
            if !quorum {
                cluster.revive("node2", "gateway")?;
                cluster.revive("node3", "gateway")?;
                for sleeper in answered {
                    stays_refused(sleeper).await?;
                }
            }
        }
        wait_until("all processes run", Duration::from_secs(10), || {
            cluster.pids().into_iter().all(cairn_tests::cluster::alive)
        })
    });
}

/// Once there is a quorum, the answer is a refusal, and never anything else before it but 503.
async fn stays_refused(mut sleeper: Sleeper) -> Result<()> {
    let began = Instant::now();
    loop {
        ensure!(began.elapsed() < Duration::from_secs(40), "no answer but 503");
        let query = sleeper_query(&sleeper.method);
        let reply = sleeper.s3.send(sleeper.method.clone(), &sleeper.path, query, &[], NOTHING).await?;
        if reply.status != 503 {
            return refused(&reply, sleeper.code);
        }
        tokio::time::sleep(PACE).await;
    }
}

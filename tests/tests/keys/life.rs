//! Keys made, imported, rotated and expired through one gateway, used at once through every other.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cairn_tests::cluster::Cluster;
use cairn_tests::full;
use cairn_tests::operator::{Key, Operator};
use cairn_tests::s3::S3;
use http::Method;

use crate::{NOTHING, create, everywhere, owners, refused, run};

const NODES: [&str; 3] = ["node1", "node2", "node3"];
const NO_KEY: &str = "InvalidAccessKeyId";
const DENIED: &str = "AccessDenied";

async fn get(s3: &mut S3, path: &str) -> Result<cairn_tests::s3::Reply> {
    s3.send(Method::GET, path, &[], &[], NOTHING).await
}

/// S3.md §8.4, where each gateway has just learnt that what comes is not so.
#[test]
fn what_is_given_at_one_gateway_works_at_every_other_at_once() {
    run(async |cluster, _| {
        let dir = tempfile::tempdir()?;
        create(&mut S3::first(&cluster.ready)?, "given").await?;
        S3::first(&cluster.ready)?.put("given", "in/object", "x").await?.expect(200)?;
        for round in 0..if full() { 20 } else { 3 } {
            for node in NODES {
                let operator = Operator::through(cluster, node, dir.path())?;
                everything_is_given(cluster, &operator, &format!("{node} {round}")).await?;
            }
        }
        Ok(())
    });
}

async fn everything_is_given(cluster: &Cluster, operator: &Operator, round: &str) -> Result<()> {
    // An id that every gateway has said no to.
    let suffix = round.replace(' ', "x").to_uppercase();
    let secret = format!("imported-secret-of-{suffix}-0123456789");
    let id = format!("CKIMPORTED{suffix}");
    let mut imported = owners(cluster).iter().map(|s3| s3.by(&id, &secret)).collect::<Vec<_>>();
    for s3 in &mut imported {
        refused(&get(s3, "/").await?, NO_KEY)?;
    }
    let name = format!("imported {round}");
    let key = operator.run_with(&["key", "import", &name, "--access-key", &id], &secret).await?;
    ensure!(key["access_key"] == id.as_str() && !key.to_string().contains(&secret), "{key}");
    for s3 in &mut imported {
        get(s3, "/").await?.expect(200)?;
        refused(&s3.get("given", "in/object").await?, DENIED)?;
        refused(&s3.send(Method::PUT, &format!("/own-{}", suffix.to_lowercase()), &[], &[], NOTHING).await?, DENIED)?;
    }

    operator.run(&["bucket", "allow", "given", "--key", &id, "--read", "--prefix", "in/"]).await?;
    for s3 in &mut imported {
        s3.get("given", "in/object").await?.expect(200)?;
        refused(&s3.get("given", "out/object").await?, DENIED)?;
    }
    operator.run(&["bucket", "allow", "given", "--key", &id, "--read", "--prefix", "out/"]).await?;
    for s3 in &mut imported {
        s3.get("given", "out/object").await?.expect(404)?;
        refused(&s3.put("given", "in/object", "y").await?, DENIED)?;
    }
    operator.run(&["key", "set", &id, "--allow-create-bucket"]).await?;
    for (at, s3) in imported.iter_mut().enumerate() {
        create(s3, &format!("own-{}-{at}", suffix.to_lowercase())).await?;
    }
    // A bucket made through one gateway is there for every other, and its maker owns it.
    for s3 in &mut imported {
        for at in 0..NODES.len() {
            s3.put(&format!("own-{}-{at}", suffix.to_lowercase()), "k", "x").await?.expect(200)?;
        }
    }

    let new: Key = serde_json::from_value(operator.run(&["key", "rotate", &id]).await?)?;
    ensure!(new.id == id && new.secret != secret);
    for (old, s3) in imported.iter_mut().zip(&mut everywhere(cluster, &new)) {
        get(s3, "/").await?.expect(200)?;
        get(old, "/").await?.expect(200)?;
    }
    operator.run(&["key", "expire", &id, "--at", "2020-01-01"]).await?;
    operator.run(&["key", "expire", &id, "--never"]).await?;
    for s3 in &mut imported {
        get(s3, "/").await?.expect(200)?;
    }
    Ok(())
}

/// Polls until it is refused with `code`, which must have begun by `limit`.
async fn stops(s3: &mut S3, code: &str, began: Instant, limit: Duration) -> Result<Duration> {
    loop {
        let asked = began.elapsed();
        let reply = get(s3, "/").await?;
        if reply.status != 200 {
            refused(&reply, code)?;
            return Ok(asked);
        }
        ensure!(asked <= limit, "served {asked:?} after, and {limit:?} is the bound");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn both_secrets_of_a_rotation_work_until_it_ends() {
    const BOUND: Duration = Duration::from_secs(2);
    run(async |cluster, operator| {
        let first = operator.key("rotated", &[]).await?;
        let rotate = async |arguments: &[&str]| {
            let all: Vec<&str> = ["key", "rotate", &first.id].iter().chain(arguments).copied().collect();
            operator.output(&all).await
        };
        let second: Key = serde_json::from_slice(&rotate(&[]).await?.stdout)?;
        let again = rotate(&[]).await?;
        ensure!(!again.status.success(), "a second rotation began in the first");
        for s3 in everywhere(cluster, &first).iter_mut().chain(&mut everywhere(cluster, &second)) {
            get(s3, "/").await?.expect(200)?;
        }
        // Finished: the old secret stops everywhere, the new one nowhere.
        ensure!(rotate(&["--finish"]).await?.status.success());
        let began = Instant::now();
        for (old, new) in everywhere(cluster, &first).iter_mut().zip(&mut everywhere(cluster, &second)) {
            stops(old, "SignatureDoesNotMatch", began, BOUND).await?;
            get(new, "/").await?.expect(200)?;
        }
        // Taken back: the new one stops.
        let third: Key = serde_json::from_slice(&rotate(&[]).await?.stdout)?;
        for s3 in &mut everywhere(cluster, &third) {
            get(s3, "/").await?.expect(200)?;
        }
        ensure!(rotate(&["--cancel"]).await?.status.success());
        let began = Instant::now();
        for (new, old) in everywhere(cluster, &third).iter_mut().zip(&mut everywhere(cluster, &second)) {
            stops(new, "SignatureDoesNotMatch", began, BOUND).await?;
            get(old, "/").await?.expect(200)?;
        }
        // With an end of its own: the old one stops then, and no look at the row is needed.
        let fourth: Key = serde_json::from_slice(&rotate(&["--overlap", "3s"]).await?.stdout)?;
        let began = Instant::now();
        for (old, new) in everywhere(cluster, &second).iter_mut().zip(&mut everywhere(cluster, &fourth)) {
            let after = stops(old, "SignatureDoesNotMatch", began, Duration::from_secs(3)).await?;
            ensure!(after >= Duration::from_secs(2), "an overlap of 3 s ended after {after:?}");
            get(new, "/").await?.expect(200)?;
        }
        Ok(())
    });
}

#[test]
fn a_key_made_to_expire_does() {
    run(async |cluster, operator| {
        let key = operator.key("brief", &["--expires", "2s"]).await?;
        let began = Instant::now();
        let shown = operator.run(&["key", "info", &key.id]).await?;
        ensure!(shown["expires_at_ms"].as_u64().is_some_and(|at| at > 0), "{shown}");
        for s3 in &mut everywhere(cluster, &key) {
            get(s3, "/").await?.expect(200)?;
        }
        for s3 in &mut everywhere(cluster, &key) {
            let after = stops(s3, DENIED, began, Duration::from_secs(2)).await?;
            ensure!(after >= Duration::from_secs(1), "a key of 2 s ended after {after:?}");
        }
        // Extended, it works again, at once and everywhere.
        operator.run(&["key", "expire", &key.id, "--in", "1h"]).await?;
        for s3 in &mut everywhere(cluster, &key) {
            get(s3, "/").await?.expect(200)?;
        }
        for arguments in [["key", "expire", "brief"].as_slice(), &["key", "create", "never", "--expires", "0s"]] {
            ensure!(!operator.output(arguments).await?.status.success(), "{arguments:?} was taken");
        }
        Ok(())
    });
}

#[test]
fn what_is_no_key_is_not_imported() {
    run(async |_, operator| {
        let import =
            async |id: &str, secret: &str| operator.run_with(&["key", "import", "x", "--access-key", id], secret).await;
        import("CKTWICE00000000000", "one-secret-0123456789").await?;
        for (id, secret) in [
            ("CKTWICE00000000000", "another-secret-0123456789"),
            ("", "one-secret-0123456789"),
            ("CK/slash", "one-secret-0123456789"),
            ("CKNEW0000000000000", ""),
        ] {
            ensure!(import(id, secret).await.is_err(), "{id:?} with {secret:?} was imported");
        }
        Ok(())
    });
}

//! 200 means safe: every process killed at once under load, and the power of every disk cut, again and again.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cairn_tests::cluster::{Cluster, Options, with_cluster};
use cairn_tests::full;
use cairn_tests::load::{Expected, Load};
use cairn_tests::powerfs::{PowerFs, Survivors};
use cairn_tests::s3::S3;

const WRITERS: u64 = 8;
/// Load runs for this long before the end comes; the moment differs each round.
const SHORTEST: Duration = Duration::from_millis(300);
const ROUND_STEP: Duration = Duration::from_millis(170);
/// Checks of one round that go on at a time.
const CHECKERS: usize = 4;

/// Load until some writes were acknowledged and the round's moment has come.
async fn load_for(cluster: &Cluster, bucket: &str, round: u32) -> Result<Load> {
    let load = Load::start(cluster, bucket, WRITERS, u64::from(round));
    let began = Instant::now();
    let moment = SHORTEST + ROUND_STEP * (round * 7 % 11);
    while began.elapsed() < moment || load.acknowledged() < 3 {
        ensure!(began.elapsed() < Duration::from_secs(60), "nothing was acknowledged within a minute");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(load)
}

/// Every key of all rounds, read through every gateway in turn.
async fn check_all(cluster: &Cluster, bucket: &str, expected: &[Expected]) -> Result<()> {
    let endpoints = cluster.endpoints();
    let shares = expected.chunks(expected.len().div_ceil(CHECKERS).max(1)).enumerate().map(|(at, share)| {
        let mut s3 = S3::new(&endpoints[at % endpoints.len()], &cluster.ready);
        async move {
            for one in share {
                one.check(&mut s3, bucket).await?;
            }
            anyhow::Ok(())
        }
    });
    futures_util::future::try_join_all(shares).await.map(drop)
}

/// Every acknowledged key is in the listing too.
async fn check_listing(cluster: &Cluster, bucket: &str, expected: &[Expected]) -> Result<()> {
    let listed = S3::first(&cluster.ready)?.keys(bucket, "round", "1000").await?;
    for one in expected.iter().filter(|one| one.was_acknowledged()) {
        ensure!(listed.binary_search(&one.key).is_ok(), "{} is acknowledged, but not listed", one.key);
    }
    Ok(())
}

#[test]
fn killing_every_process_loses_nothing_acknowledged() {
    with_cluster(Options { nodes: 3, ..Options::default() }, async |cluster| {
        let rounds = if full() { 20 } else { 5 };
        let bucket = cluster.ready.bucket.clone();
        let mut all = Vec::new();
        for round in 0..rounds {
            let load = load_for(cluster, &bucket, round).await?;
            cluster.kill_all()?;
            all.extend(load.finish().await);
            cluster.start_again()?;
            check_all(cluster, &bucket, &all).await?;
        }
        check_listing(cluster, &bucket, &all).await?;
        let acknowledged = all.iter().filter(|one| one.was_acknowledged()).count();
        println!("MEASURED {rounds} times SIGKILL of all: {acknowledged} acknowledged keys, none lost");
        Ok(())
    });
}

#[test]
fn a_power_cut_loses_nothing_acknowledged() {
    let place = tempfile::tempdir().unwrap();
    let mut disk = PowerFs::mount(place.path(), 4 << 30).unwrap();
    let options = Options { nodes: 3, data_dir: Some(place.path().join("data")), ..Options::default() };
    with_cluster(options, async |cluster| {
        let rounds = if full() { 20 } else { 3 };
        let bucket = cluster.ready.bucket.clone();
        let mut all = Vec::new();
        for round in 0..rounds {
            let load = load_for(cluster, &bucket, round).await?;
            disk.cut();
            cluster.kill_all()?;
            all.extend(load.finish().await);
            // Every second cut, some of what was never synced survives, as on a real disk.
            let survivors = if round % 2 == 0 { Survivors::None } else { Survivors::Random(u64::from(round)) };
            disk.restore(survivors)?;
            cluster.start_again()?;
            check_all(cluster, &bucket, &all).await?;
        }
        check_listing(cluster, &bucket, &all).await?;
        let acknowledged = all.iter().filter(|one| one.was_acknowledged()).count();
        println!("MEASURED {rounds} power cuts: {acknowledged} acknowledged keys, none lost, {} syncs", disk.fsyncs());
        cluster.kill_all()?;
        Ok(())
    });
}

//! 200 means safe: every process killed at once under load, and the power of every disk cut, again and again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use cairn_tests::cluster::{Cluster, Options, alive, wait_until, with_cluster};
use cairn_tests::full;
use cairn_tests::load::{Expected, Load};
use cairn_tests::powerfs::{PowerFs, Survivors};
use cairn_tests::s3::S3;

const WRITERS: u64 = 8;
/// Load runs for this long before the end comes; the moment differs each round.
const SHORTEST: Duration = Duration::from_millis(300);
const ROUND_STEP: Duration = Duration::from_millis(170);
/// For a process to end.
const LIMIT: Duration = Duration::from_secs(20);
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
    // In memory: what twenty rounds write, three times over.
    let mut disk = PowerFs::mount(place.path(), if full() { 16 << 30 } else { 4 << 30 }).unwrap();
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

/// What stands in `<node>/data/table` and `<node>/machine/stores`: where `cairn dev` puts a node's rows, and the mark of
/// how far they had come.
struct TableFiles {
    database: PathBuf,
    copy: PathBuf,
    mark: PathBuf,
}

impl TableFiles {
    fn of(cluster: &Cluster, node: &str) -> Self {
        let dir = cluster.data_dir().join(node);
        Self {
            database: dir.join("data/table"),
            copy: dir.join("data/table.copy"),
            mark: dir.join(format!("machine/stores/{node}-table.mark")),
        }
    }

    /// Copies a database that nobody has open: RocksDB keeps one flat directory of files.
    fn copy(from: &Path, to: &Path) -> Result<()> {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::copy(entry.path(), to.join(entry.file_name()))?;
            }
        }
        Ok(())
    }

    fn restore(&self) -> Result<()> {
        fs::remove_dir_all(&self.database)?;
        Self::copy(&self.copy, &self.database)
    }
}

/// Writes keys until `done`, each acknowledged.
async fn put_until(cluster: &Cluster, prefix: &str, done: impl Fn(usize) -> bool) -> Result<()> {
    let mut s3 = S3::first(&cluster.ready)?;
    let began = Instant::now();
    for n in 0.. {
        if done(n) {
            break;
        }
        ensure!(began.elapsed() < Duration::from_secs(60), "wrote {n} keys in vain");
        s3.put(&cluster.ready.bucket, &format!("{prefix}{n}"), format!("{prefix}{n}")).await?.expect(200)?;
    }
    Ok(())
}

/// REGISTER D4: an older copy of a store would break promises that its newer self gave.
#[test]
fn a_table_restored_from_a_copy_is_refused() {
    with_cluster(Options { nodes: 3, ..Options::default() }, async |cluster| {
        let node = cluster.ready.nodes.last().context("no node")?.clone();
        let files = TableFiles::of(cluster, &node.name);
        put_until(cluster, "before", |n| n == 20).await?;
        cluster.kill(&node.name, "table")?;
        wait_until("it is gone", LIMIT, || !alive(node.pid))?;
        TableFiles::copy(&files.database, &files.copy)?;

        cluster.revive(&node.name, "table")?;
        // Notes and heartbeats come a second apart: two changes of the note, and membership has heard of the first.
        for _ in 0..3 {
            let mark = fs::read(&files.mark)?;
            put_until(cluster, "after", |_| fs::read(&files.mark).is_ok_and(|now| now != mark)).await?;
        }
        for forgotten in [false, true] {
            cluster.kill(&node.name, "table")?;
            let pid = cluster.node(&node.name, "table")?.pid;
            wait_until("it is gone", LIMIT, || !alive(pid))?;
            files.restore()?;
            if forgotten {
                // The whole machine went back: now only the others know.
                fs::remove_file(&files.mark)?;
            }
            cluster.revive(&node.name, "table")?;
            let pid = cluster.node(&node.name, "table")?.pid;
            wait_until("the older copy is refused", LIMIT, || !alive(pid))?;
            ensure!(cluster.log().contains("went back"), "it ended for another reason");
        }
        put_until(cluster, "without it", |n| n == 5).await?;
        S3::first(&cluster.ready)?.get(&cluster.ready.bucket, "after0").await?.expect(200).map(drop)
    });
}

//! Linearizable per key, while nodes die: 16 clients through three gateways, a nemesis, and a checker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use cairn_tests::cluster::{Cluster, Options, pause};
use cairn_tests::full;
use cairn_tests::history::Recorder;

const CLIENTS: u64 = 16;

#[derive(Clone, Copy)]
enum Victims {
    /// One table daemon and one block daemon, each a process of its own.
    Roles,
    /// One whole node.
    Node,
}

/// Kills and revives victims every few seconds until told to stop.
fn nemesis(mut cluster: Cluster, victims: Victims, stop: &AtomicBool) -> Result<(Cluster, u32)> {
    let mut kills = 0;
    for round in 0_usize.. {
        pause(Duration::from_millis(1_500));
        if stop.load(Ordering::SeqCst) {
            return Ok((cluster, kills));
        }
        let node = format!("node{}", round % 3 + 1);
        match victims {
            Victims::Node => {
                cluster.kill(&node, "table")?;
                kills += 1;
                pause(Duration::from_millis(1_000));
                cluster.revive(&node, "table")?;
            }
            Victims::Roles => {
                let other = format!("node{}", (round + 1) % 3 + 1);
                cluster.kill(&node, "table")?;
                cluster.kill(&other, "block")?;
                kills += 2;
                pause(Duration::from_millis(1_000));
                cluster.revive(&node, "table")?;
                cluster.revive(&other, "block")?;
            }
        }
    }
    unreachable!("the loop above has no end")
}

fn race(split: bool, victims: Victims) -> Result<()> {
    let time = Duration::from_secs(if full() { 60 } else { 20 });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let cluster = Cluster::start(Options { nodes: 3, split, ..Options::default() })?;
    let recorder = Recorder::new(&cluster.ready.bucket);
    let (endpoints, ready) = (cluster.endpoints(), cluster.ready.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let thread = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || nemesis(cluster, victims, &stop)
    });
    let began = Instant::now();
    runtime.block_on(async {
        let mut clients = recorder.race(CLIENTS, &endpoints, &ready);
        tokio::time::sleep(time).await;
        recorder.stop();
        while clients.join_next().await.is_some() {}
    });
    stop.store(true, Ordering::SeqCst);
    let (cluster, kills) = thread.join().ok().context("the nemesis panicked")??;
    let summary = recorder.verdict().with_context(|| cluster.log())?;
    println!(
        "MEASURED {kills} kills in {:?}: {} operations on {} keys, {} open, linearizable",
        began.elapsed(),
        summary.operations,
        summary.keys,
        summary.open
    );
    ensure!(kills >= 3, "the nemesis hardly ran");
    ensure!(recorder.answered() > 500, "only {} operations were answered", recorder.answered());
    Ok(())
}

#[test]
fn histories_are_linearizable_while_whole_nodes_die() {
    if let Err(error) = race(false, Victims::Node) {
        panic!("{error:?}");
    }
}

#[test]
fn histories_are_linearizable_while_table_and_block_daemons_die() {
    if let Err(error) = race(true, Victims::Roles) {
        panic!("{error:?}");
    }
}

//! What calls cost in CPU, caller, daemon and kernel together: `cargo test --release -p cairn-rpc --test rpc --
//! --ignored --nocapture cost`.

use std::sync::Arc;

use bytes::Bytes;
use cairn_rpc::{Lane, Peer};
use futures_util::stream::{self, StreamExt as _};

use crate::support::{Daemon, ECHO, PRODUCE, number, soon};

/// CPU time of this process in microseconds, from the scheduler's own count of each thread.
fn cpu_us() -> f64 {
    let mut nanoseconds = 0;
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let text = std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap_or_default();
        nanoseconds += text.split(' ').next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    }
    #[expect(clippy::cast_precision_loss, reason = "a report for people")]
    let microseconds = nanoseconds as f64 / 1e3;
    microseconds
}

async fn measure(name: &str, calls: u32, at_once: usize, call: impl AsyncFn()) {
    let began = (cpu_us(), std::time::Instant::now());
    stream::iter(0..calls).map(|_| call()).buffer_unordered(at_once).for_each(async |()| {}).await;
    let cpu = (cpu_us() - began.0) / f64::from(calls);
    let wall = began.1.elapsed().as_secs_f64() * 1e6 / f64::from(calls);
    println!("{name:<28} {at_once:>3} at once: {cpu:>8.1} µs CPU, {wall:>8.1} µs wall a call");
}

async fn small(peer: &Arc<Peer>, head: &Bytes) {
    peer.call(Lane::Control, &soon(), ECHO, head.clone(), vec![]).await.unwrap();
}

async fn get(peer: &Arc<Peer>, size: &Bytes) {
    let mut reply = peer.call(Lane::Bulk, &soon(), PRODUCE, size.clone(), vec![]).await.unwrap();
    while let Some(piece) = reply.body.next().await {
        piece.unwrap();
    }
}

async fn put(peer: &Arc<Peer>, block: &[Bytes]) {
    // The method does not exist: the answer is small, and comes after the whole body.
    peer.call(Lane::Bulk, &soon(), 99, Bytes::new(), block.to_vec()).await.map(|_| ()).unwrap_err();
}

#[tokio::test]
#[ignore = "a measurement"]
async fn cost_of_small_calls() {
    let daemon = Daemon::start();
    let peer = daemon.peer();
    let head = Bytes::from(vec![3; 256]);
    small(&peer, &head).await;
    for at_once in [1, 8, 64] {
        measure("256 B each way", 100_000, at_once, async || small(&peer, &head).await).await;
    }
}

#[tokio::test]
#[ignore = "a measurement"]
async fn cost_of_replies() {
    let daemon = Daemon::start();
    let peer = daemon.peer();
    let size = number(1 << 20);
    get(&peer, &size).await;
    for at_once in [1, 8] {
        measure("1 MiB reply", 2_000, at_once, async || get(&peer, &size).await).await;
    }
}

#[tokio::test]
#[ignore = "a measurement"]
async fn cost_of_requests() {
    let daemon = Daemon::start();
    let peer = daemon.peer();
    let block = vec![Bytes::from(vec![5; 256 * 1024]); 4];
    put(&peer, &block).await;
    for at_once in [1, 8] {
        measure("1 MiB request", 2_000, at_once, async || put(&peer, &block).await).await;
    }
}

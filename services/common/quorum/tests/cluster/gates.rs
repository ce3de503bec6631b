//! Gates: deleting a bucket while others write to it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_model::Envelope;
use cairn_model::rows::{GateRow, TypedRow as _};
use cairn_quorum::{Cluster, OpError, Sealing};
use cairn_types::{RowKey, Table};
use proptest::prelude::*;
use tokio::time::Instant;

use crate::support::network::Mode;
use crate::support::{World, delete, get, id, key, put, value};

async fn seal(world: &World, cluster: &Cluster) -> Result<Sealing, OpError> {
    cluster.seal_gate(&world.op(), Bytes::from_static(b"bucket")).await
}

fn gate_key() -> RowKey {
    RowKey { table: Table::Gate, partition_key: Bytes::from_static(b"bucket"), sort_key: Bytes::new() }
}

/// A deleter that dies after it closed the gate.
async fn close_and_die(world: &World, cluster: &Cluster) {
    let row = Envelope { value: GateRow::Closing(0).encode(), ..Envelope::default() };
    cluster.update(&world.op(), gate_key(), id(cluster), |_| Ok::<_, ()>(Some(row.clone()))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_bucket_with_an_object_is_not_sealed() {
    let world = World::new(41);
    let cluster = world.gateway();
    put(&world, &cluster, "a", "1").await;
    assert_eq!(seal(&world, &cluster).await.unwrap(), Sealing::NotEmpty);
    put(&world, &cluster, "a", "2").await;
    delete(&world, &cluster, "a").await;
    assert_eq!(seal(&world, &cluster).await.unwrap(), Sealing::Sealed);
    assert_eq!(seal(&world, &cluster).await.unwrap(), Sealing::Sealed, "again");
}

#[tokio::test(start_paused = true)]
async fn a_sealed_bucket_is_gone() {
    let world = World::new(42);
    let cluster = world.gateway();
    assert_eq!(seal(&world, &cluster).await.unwrap(), Sealing::Sealed);
    let write = cluster.write(&world.op(), key("a"), id(&cluster), Some(value("1"))).await;
    assert!(matches!(write, Err(OpError::Sealed)), "{write:?}");
    let read = cluster.read(&world.op(), key("a")).await;
    assert!(matches!(read, Err(OpError::Sealed)), "{read:?}");
    let list = cluster.list(&world.op(), crate::lists::request("", "", 10)).await;
    assert!(matches!(list, Err(OpError::Sealed)), "{list:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dead_deleter_does_not_block_the_bucket() {
    let world = World::new(43);
    let cluster = world.gateway();
    put(&world, &cluster, "a", "1").await;
    close_and_die(&world, &cluster).await;
    let began = Instant::now();
    put(&world, &cluster, "a", "2").await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(get(&world, &cluster, "a").await.as_deref(), Some("2"));
    close_and_die(&world, &cluster).await;
    delete(&world, &cluster, "a").await;
    close_and_die(&world, &cluster).await;
    assert_eq!(seal(&world, &cluster).await.unwrap(), Sealing::Sealed, "another deleter takes over");
}

#[tokio::test(start_paused = true)]
async fn replicas_without_the_gate_do_not_count() {
    // X27: the gate stands at 0 and 1, the object was at 0 before it and is on its way to 2, which has no gate yet.
    // A list of 1 and 2 is empty; the object is acknowledged afterwards.
    let world = Arc::new(World::new(44));
    let (writer, deleter) = (world.gateway(), world.gateway());
    let pending = writer.begin_write(&world.op(), key("a")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    world.network.set(world.table_store(1), Mode::Down);
    world.network.set(world.table_store(2), Mode::Slow(Duration::from_millis(300)));
    let write = tokio::spawn(async move { pending.commit(id(&writer), Some(value("1"))).await });
    wait_for(|| world.tables[0].row(&key("a")).is_some()).await;
    world.network.set(world.table_store(1), Mode::Up);
    let there = world.clone();
    tokio::spawn(async move {
        wait_for(|| [0, 1].iter().all(|at| there.tables[*at].row(&gate_key()).is_some())).await;
        there.network.set(there.table_store(0), Mode::Down);
        there.network.set(there.table_store(2), Mode::Up);
        wait_for(|| there.network.calls("range") >= 2).await;
        there.network.set(there.table_store(0), Mode::Up);
        there.network.set(there.table_store(2), Mode::Slow(Duration::from_secs(1)));
    });
    let sealing = seal(&world, &deleter).await;
    let written = write.await.unwrap();
    assert!(!(matches!(sealing, Ok(Sealing::Sealed)) && written.is_ok()), "{sealing:?} {written:?}");
}

async fn wait_for(state: impl Fn() -> bool) {
    while !state() {
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Writers, readers and deleters at once, on a network that loses messages: once a deleter says sealed, no write
    /// is acknowledged any more, and none that was acknowledged is still an object.
    #[test]
    fn nothing_acknowledged_is_in_a_sealed_bucket(seed: u64, loss in 0..150_u32, down in prop::option::of(0..3_usize)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(race(seed, loss, down));
    }
}

async fn race(seed: u64, loss: u32, down: Option<usize>) {
    let world = World::new(seed);
    world.network.hurt(Duration::from_millis(4), loss);
    if let Some(down) = down {
        world.network.set(world.table_store(down), Mode::Down);
    }
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4_u8 {
        let cluster = world.gateway();
        let (op, pause) = (world.op(), Duration::from_millis(u64::from(world.network.below(40))));
        writers.spawn(async move {
            tokio::time::sleep(pause).await;
            let name = format!("key-{writer}");
            let outcome = cluster.write(&op, key(&name), id(&cluster), Some(value("1"))).await;
            (Instant::now(), outcome.is_ok())
        });
    }
    let deleter = world.gateway();
    tokio::time::sleep(Duration::from_millis(u64::from(world.network.below(40)))).await;
    let sealing = seal(&world, &deleter).await;
    let written = writers.join_all().await;
    if matches!(sealing, Ok(Sealing::Sealed)) {
        assert!(written.iter().all(|(_, acknowledged)| !acknowledged), "{written:?}");
    }
    if matches!(sealing, Ok(Sealing::NotEmpty)) {
        world.network.hurt(Duration::from_millis(4), 0);
        let listed = crate::lists::names(&world, &deleter, "", "").await;
        let acknowledged = written.iter().filter(|(_, acknowledged)| *acknowledged).count();
        assert!(listed.len() >= acknowledged, "{listed:?} {written:?}");
    }
}

//! U1: a recount makes the usage what the rows say, whatever is written while it runs.

use std::sync::Arc;

use cairn_quorum::{Recount, TableReplica as _};
use cairn_register::{Message, Usage};
use cairn_store::{Batch, Durability, Memory, Store as _};
use cairn_table::Table;

use crate::fixture::{ask, ballot, context, in_memory, key, on_disk, put, value};

async fn usage(table: &Table) -> Usage {
    ask(table, key("any"), Message::Query).await.usage
}

async fn recount(table: &Table) -> Recount {
    table.recount(&context(table), key("").partition_key).await.unwrap()
}

/// Makes the count of the bucket wrong, as a bug of an older version would.
fn spoil(memory: &Memory) {
    let mut cursor = memory.scan(b"u", Some(b"v"));
    let (key, value) = cursor.next().unwrap().expect("a usage");
    let (key, mut value) = (key.to_vec(), value.to_vec());
    // Objects: eight bytes behind the format.
    value[8] = value[8].wrapping_add(5);
    let mut batch = Batch::new();
    batch.put(key, value);
    memory.write(batch, Durability::Synced).unwrap();
}

#[tokio::test]
async fn a_spoiled_count_is_put_right() {
    let (table, memory) = in_memory().await;
    put(&table, key("a"), ballot(1), Some(value(b"12345"))).await;
    put(&table, key("b"), ballot(2), Some(value(b"123"))).await;
    put(&table, key("b"), ballot(3), Some(value(b"1"))).await;
    put(&table, key("c"), ballot(4), Some(value(b"1"))).await;
    put(&table, key("c"), ballot(5), None).await;
    let right = Usage { objects: 2, bytes: 6 };
    assert_eq!(usage(&table).await, right);
    assert_eq!(recount(&table).await, Recount { before: right, counted: right });
    spoil(&memory);
    assert_eq!(usage(&table).await, Usage { objects: 7, bytes: 6 });
    assert_eq!(recount(&table).await.counted, right);
    assert_eq!(usage(&table).await, right);
    memory.crash();
    assert_eq!(usage(&table).await, right, "the correction is durable");
}

#[tokio::test]
async fn nothing_to_count_is_nothing() {
    let (table, _) = in_memory().await;
    assert_eq!(recount(&table).await, Recount::default());
    let empty = table.recount(&context(&table), bytes::Bytes::new()).await;
    assert!(empty.is_err(), "a partition key has at least one byte");
}

/// Writes and recounts at the same time; at the end all was counted once.
async fn race(table: Arc<Table>) {
    const KEYS: u64 = 40;
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..4_u64 {
        let table = table.clone();
        tasks.spawn(async move {
            for round in 0..KEYS {
                let name = format!("{}", (round * 7 + writer * 11) % KEYS);
                let content = vec![0; usize::try_from(round).unwrap()];
                let at = ballot(1 + round * 4 + writer);
                let content = (round % 5 != 0).then(|| value(&content));
                // Another writer may have been later already: then nothing changes.
                ask(&table, key(&name), crate::fixture::write(at, content)).await;
            }
        });
    }
    for _ in 0..10 {
        tokio::join!(recount(&table), recount(&table));
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let last = recount(&table).await;
    assert_eq!(last.before, last.counted, "nothing was lost or counted twice meanwhile");
    assert!(last.counted.objects > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn recounts_race_writers() {
    let directory = tempfile::tempdir().unwrap();
    let table = on_disk(directory.path()).await;
    race(table.clone()).await;
    table.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn recounts_race_writers_in_memory() {
    let (table, _) = in_memory().await;
    race(table).await;
}

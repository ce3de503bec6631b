//! What is acknowledged stays; what is not needed costs no fsync.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use bytes::Bytes;
use cairn_daemon::Size;
use cairn_model::Envelope;
use cairn_quorum::TableReplica as _;
use cairn_register::{Message, Verdict};
use cairn_rpc::CallError;
use cairn_store::{Batch, Cached, Cursor, Durability, Error, Memory, Store};
use cairn_table::{IdentityError, OpenError, Table};
use cairn_types::{Ballot, RowKey};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use parking_lot::Mutex;
use tempfile::TempDir;

use crate::fixture::{ask, ballot, context, data, in_memory, key, on, on_disk, open, put, try_ask, value, write};

#[tokio::test]
async fn what_was_acknowledged_survives() {
    let (table, memory) = in_memory().await;
    put(&table, key("a"), ballot(1), Some(value(b"one"))).await;
    let promised = ask(&table, key("b"), Message::Prepare { ballot: ballot(5) }).await;
    assert_eq!(promised.verdict, Verdict::Ack);
    table.close().await.unwrap();
    memory.crash();

    let table = on(memory).await;
    assert_eq!(data(&table, key("a")).await.as_deref(), Some(b"one".as_slice()));
    assert_eq!(ask(&table, key("b"), write(ballot(4), None)).await.verdict, Verdict::Nack);
    assert_eq!(ask(&table, key("b"), Message::Query).await.promised, ballot(5));
}

/// Every acknowledgement is checked against what a crash right after it leaves.
#[tokio::test]
async fn nothing_acknowledged_is_ever_unsynced() {
    let (mut table, memory) = in_memory().await;
    let mut expected: Vec<(RowKey, Ballot)> = Vec::new();
    for n in 1..60_u64 {
        let key = key(format!("{}", n % 7));
        let message = match n % 3 {
            0 => Message::Prepare { ballot: ballot(n) },
            _ => write(ballot(n), (n % 5 != 0).then(|| value(&n.to_be_bytes()))),
        };
        let reply = ask(&table, key.clone(), message).await;
        assert_eq!(reply.verdict, Verdict::Ack, "{n}");
        expected.retain(|(other, _)| *other != key);
        expected.push((key, ballot(n)));
        memory.crash();
        if n % 10 == 0 {
            table.close().await.unwrap();
            table = on(memory.clone()).await;
        }
        for (key, promised) in &expected {
            assert_eq!(ask(&table, key.clone(), Message::Query).await.promised, *promised);
        }
    }
}

#[tokio::test]
async fn a_store_keeps_its_id() {
    let directory = TempDir::new().unwrap();
    let table = on_disk(directory.path()).await;
    let (id, first) = (table.store(), table.progress());
    put(&table, key("a"), ballot(1), Some(value(&[7; 4096]))).await;
    let before = table.progress();
    assert!(before.sequence > first.sequence);
    table.close().await.unwrap();
    drop(table);

    let table = reopened(&directory).await;
    assert_eq!(table.store(), id);
    assert!(table.progress() > before);
    assert_eq!(table.progress().boots, before.boots + 1);
    // The layout is kept too: nobody has to tell it again.
    assert_eq!(data(&table, key("a")).await.unwrap().len(), 4096);
    assert!(table.status().has_data);
    drop(table);

    let other = cairn_types::StoreId([1; 16]);
    let refused = loop_until_free(&directory, other).await;
    assert!(matches!(refused, OpenError::Identity(IdentityError::Other { .. })), "{refused}");
}

/// The writer's thread lets go of the database a moment after the last handle is gone.
async fn reopened(directory: &TempDir) -> Arc<Table> {
    loop {
        match open(directory.path(), None).await {
            Ok(table) => return table,
            Err(OpenError::Database { .. }) => tokio::task::yield_now().await,
            Err(other) => panic!("{other}"),
        }
    }
}

async fn loop_until_free(directory: &TempDir, expected: cairn_types::StoreId) -> OpenError {
    loop {
        match open(directory.path(), Some(expected)).await {
            Err(OpenError::Database { .. }) => tokio::task::yield_now().await,
            Err(other) => return other,
            Ok(_) => panic!("another store was opened"),
        }
    }
}

#[tokio::test]
async fn an_empty_directory_is_not_a_lost_store() {
    let directory = TempDir::new().unwrap();
    let refused = open(directory.path(), Some(cairn_types::StoreId([1; 16]))).await;
    assert!(matches!(refused, Err(OpenError::Identity(IdentityError::Empty(_)))));
}

#[tokio::test]
async fn what_changes_nothing_is_not_written() {
    let (table, memory) = in_memory().await;
    put(&table, key("a"), ballot(2), Some(value(b"x"))).await;
    let syncs = memory.syncs();
    // Duplicates, refusals, hints and reads.
    let again = ask(&table, key("a"), Message::Prepare { ballot: ballot(1) }).await;
    assert_eq!(again.verdict, Verdict::Nack);
    assert_eq!(ask(&table, key("a"), write(ballot(1), None)).await.verdict, Verdict::Absorbed);
    assert_eq!(ask(&table, key("a"), Message::Commit { ballot: ballot(2) }).await.verdict, Verdict::Ack);
    assert!(ask(&table, key("a"), Message::Query).await.row.unwrap().committed);
    assert!(ask(&table, key("b"), Message::Query).await.row.is_none());
    assert_eq!(memory.syncs(), syncs);
}

#[tokio::test]
async fn a_hint_may_come_before_its_row() {
    let (table, _) = in_memory().await;
    assert_eq!(ask(&table, key("a"), Message::Commit { ballot: ballot(2) }).await.verdict, Verdict::Nack);
    put(&table, key("a"), ballot(2), Some(value(b"x"))).await;
    assert!(ask(&table, key("a"), Message::Query).await.row.unwrap().committed);
}

/// A store whose writes wait for a permit, as on a slow disk.
#[derive(Debug)]
struct Slow {
    memory: Memory,
    permits: Mutex<Receiver<()>>,
}

impl Store for Slow {
    fn write(&self, batch: Batch, durability: Durability) -> Result<(), Error> {
        self.permits.lock().recv().unwrap();
        self.memory.write(batch, durability)
    }
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.memory.get(key)
    }
    fn get_cached(&self, key: &[u8]) -> Result<Cached, Error> {
        self.memory.get_cached(key)
    }
    fn scan(&self, from: &[u8], to: Option<&[u8]>) -> Box<dyn Cursor + '_> {
        self.memory.scan(from, to)
    }
    fn snapshot(&self, from: &[u8], to: Option<&[u8]>) -> Box<dyn Cursor + '_> {
        self.memory.snapshot(from, to)
    }
    fn sequence(&self) -> u64 {
        self.memory.sequence()
    }
    fn approximate_keys(&self) -> u64 {
        self.memory.approximate_keys()
    }
    fn bytes_on_disk(&self) -> u64 {
        self.memory.bytes_on_disk()
    }
    fn flush(&self) -> Result<(), Error> {
        self.memory.flush()
    }
    fn checkpoint(&self, directory: &Path) -> Result<(), Error> {
        self.memory.checkpoint(directory)
    }
}

/// 400 writers whose first write is slow: the others are answered by the next one.
#[tokio::test]
async fn many_writers_share_syncs() {
    let (permit, permits) = channel();
    // The start and the layout are written.
    permit.send(()).unwrap();
    permit.send(()).unwrap();
    let slow = Arc::new(Slow { memory: Memory::new(), permits: Mutex::new(permits) });
    let table = on(slow.clone()).await;
    let before = slow.memory.syncs();
    let mut writers = FuturesUnordered::new();
    for n in 0..400 {
        let table = table.clone();
        writers.push(async move { put(&table, key(format!("{n}")), ballot(n), Some(value(b"x"))).await });
    }
    // Everything is queued once, nothing is answered.
    assert!(writers.next().now_or_never().is_none());
    for _ in 0..2 {
        permit.send(()).unwrap();
    }
    while writers.next().await.is_some() {}
    assert!(slow.memory.syncs() - before <= 2);
    for n in 0..400 {
        assert!(data(&table, key(format!("{n}"))).await.is_some());
    }
}

/// Readers go on while the disk is slow, and see only what is durable (REGISTER A3, D1).
#[tokio::test]
async fn a_write_that_is_not_durable_is_not_seen() {
    let (permit, permits) = channel();
    for _ in 0..3 {
        permit.send(()).unwrap();
    }
    let slow = Arc::new(Slow { memory: Memory::new(), permits: Mutex::new(permits) });
    let table = on(slow).await;
    put(&table, key("a"), ballot(1), Some(value(b"old"))).await;
    let mut second = pin!(put(&table, key("a"), ballot(2), Some(value(b"new"))));
    assert!(second.as_mut().now_or_never().is_none());
    for _ in 0..100 {
        assert_eq!(data(&table, key("a")).await.as_deref(), Some(b"old".as_slice()));
    }
    permit.send(()).unwrap();
    second.await;
    assert_eq!(data(&table, key("a")).await.as_deref(), Some(b"new".as_slice()));
}

#[tokio::test]
async fn messages_of_one_key_are_judged_in_their_order() {
    let (table, memory) = in_memory().await;
    let syncs = memory.syncs();
    let batch = vec![
        (key("a"), write(ballot(1), Some(value(b"one")))),
        (key("a"), Message::Query),
        (key("a"), Message::Prepare { ballot: ballot(3) }),
        (key("a"), write(ballot(2), None)),
        (key("b"), Message::Query),
        (key("a"), write(ballot(3), Some(value(b"three")))),
    ];
    let replies = table.register(&context(&table), batch).await.unwrap().replies;
    let verdicts: Vec<_> = replies.iter().map(|reply| reply.verdict).collect();
    use Verdict::{Ack, Nack};
    assert_eq!(verdicts, [Ack, Ack, Ack, Nack, Ack, Ack]);
    assert_eq!(replies[1].row.as_ref().unwrap().accepted, ballot(1));
    assert_eq!(memory.syncs(), syncs + 1);
    assert_eq!(data(&table, key("a")).await.as_deref(), Some(b"three".as_slice()));
}

#[tokio::test]
async fn a_failed_write_is_an_unknown_outcome() {
    let (table, memory) = in_memory().await;
    put(&table, key("a"), ballot(1), Some(value(b"x"))).await;
    memory.set_full(true);
    let refused = try_ask(&table, key("a"), write(ballot(2), None)).await.unwrap_err();
    assert!(!refused.outcome_known(), "{refused}");
    assert_eq!(data(&table, key("a")).await.as_deref(), Some(b"x".as_slice()));
    memory.set_full(false);
    put(&table, key("a"), ballot(3), None).await;
}

#[tokio::test]
async fn a_nearly_full_disk_takes_deletes_but_no_values() {
    let directory = TempDir::new().unwrap();
    let table = on_disk(directory.path()).await;
    put(&table, key("a"), ballot(1), Some(value(b"x"))).await;
    table.close().await.unwrap();
    drop(table);
    let table = loop {
        let config = cairn_table::Config {
            directory: directory.path().to_owned(),
            reserve: Size(u64::MAX),
            ..cairn_table::Config::default()
        };
        let view = crate::fixture::view(1, cairn_types::Epoch(0), &[]);
        match Table::open(config, crate::fixture::parts(view, None)).await {
            Ok(table) => break table,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let refused = try_ask(&table, key("b"), write(ballot(2), Some(value(b"y")))).await;
    assert!(matches!(refused, Err(CallError::Full(_))), "{refused:?}");
    assert_eq!(data(&table, key("a")).await.as_deref(), Some(b"x".as_slice()));
    put(&table, key("a"), ballot(3), None).await;
    assert_eq!(ask(&table, key("a"), Message::Prepare { ballot: ballot(4) }).await.verdict, Verdict::Ack);
}

#[tokio::test]
async fn batches_and_keys_have_bounds() {
    let (table, _) = in_memory().await;
    let ask_all = async |batch: Vec<(RowKey, Message<Envelope>)>| table.register(&context(&table), batch).await;
    assert!(matches!(ask_all(Vec::new()).await, Err(CallError::Invalid(_))));
    let many = (0..1001).map(|n| (key(format!("{n}")), Message::Query)).collect();
    assert!(matches!(ask_all(many).await, Err(CallError::Invalid(_))));
    let thousand = (0..1000).map(|n| (key(format!("{n}")), Message::Query)).collect();
    assert_eq!(ask_all(thousand).await.unwrap().replies.len(), 1000);

    let long = RowKey { partition_key: vec![1; 256].into(), ..key("a") };
    assert!(matches!(ask_all(vec![(long, Message::Query)]).await, Err(CallError::Invalid(_))));
    let empty = RowKey { partition_key: Vec::new().into(), ..key("a") };
    assert!(matches!(ask_all(vec![(empty, Message::Query)]).await, Err(CallError::Invalid(_))));
    assert!(matches!(ask_all(vec![(key(vec![1; 4097]), Message::Query)]).await, Err(CallError::Invalid(_))));
}

/// SECURITY V9: no byte of a key means anything.
#[tokio::test]
async fn hostile_keys_are_just_bytes() {
    let (table, _) = in_memory().await;
    let keys: Vec<Vec<u8>> = [
        b"".as_slice(),
        b"..",
        b"//a",
        b"a/./b",
        b"%2e%2e%2f",
        b"\\",
        b"\0",
        b"\0\0",
        b"a\0",
        b"\xff",
        b"\xff\xff",
        b"r\0\x01",
        b"\xc3\x28",
        b"a",
        b"A",
    ]
    .into_iter()
    .map(<[u8]>::to_vec)
    .chain([vec![0xff; 4096], vec![0; 4096], vec![b'/'; 1024]])
    .collect();
    for (n, sort_key) in (1..).zip(&keys) {
        put(&table, key(sort_key), ballot(n), Some(value(&n.to_be_bytes()))).await;
    }
    for (n, sort_key) in (1_u64..).zip(&keys) {
        assert_eq!(data(&table, key(sort_key)).await.as_deref(), Some(n.to_be_bytes().as_slice()));
    }
    let mut sorted = keys;
    sorted.sort();
    let listed = crate::fixture::list(&table, crate::fixture::everything()).await;
    assert_eq!(listed.rows.iter().map(|row| row.sort_key.to_vec()).collect::<Vec<_>>(), sorted);
    assert_eq!(listed.scanned_to, None);
}

#[tokio::test]
async fn a_damaged_row_is_an_error_and_never_an_answer() {
    let (table, memory) = in_memory().await;
    put(&table, key("a"), ballot(1), Some(value(b"x"))).await;
    put(&table, key("b"), ballot(1), Some(value(b"y"))).await;
    let damaged = {
        let mut cursor = memory.scan(b"r", Some(b"s"));
        cursor.next().unwrap().unwrap().0.to_vec()
    };
    let mut batch = Batch::new();
    batch.put(damaged, b"\xff\xff garbage".as_slice());
    memory.write(batch, Durability::Synced).unwrap();
    for message in [Message::Query, Message::Prepare { ballot: ballot(9) }, write(ballot(9), None)] {
        assert!(matches!(try_ask(&table, key("a"), message).await, Err(CallError::Corrupt(_))));
    }
    let range = table.range(&context(&table), crate::fixture::everything()).await;
    assert!(matches!(range, Err(CallError::Corrupt(_))));
    assert_eq!(data(&table, key("b")).await.as_deref(), Some(b"y".as_slice()));
}

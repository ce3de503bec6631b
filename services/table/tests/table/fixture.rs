//! A table with a layout in which it holds everything, and short ways to talk to it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cairn_daemon::Size;
use cairn_model::Envelope;
use cairn_placement::{ClusterView, Layout, LayoutRecord, Member, Ring, Step};
use cairn_quorum::{Range, RangeReply, TableReplica as _};
use cairn_register::{Message, Proposal, Reply, Verdict};
use cairn_rpc::{CallContext, CallError, ViewCell};
use cairn_store::{Memory, Store};
use cairn_table::{Config, OpenError, Parts, Table};
use cairn_types::{Ballot, ClusterId, Epoch, ManualClock, OpId, RequestId, RowKey, StoreId, SystemEntropy};
use tokio::time::Instant;

pub(crate) const CLUSTER: ClusterId = ClusterId([9; 16]);
pub(crate) const EPOCH: Epoch = Epoch(1);
const NOW_MS: u64 = 1_800_000_000_000;

/// The view of layout record `number`: `holders` hold every partition, each.
pub(crate) fn view(number: u64, epoch: Epoch, holders: &[StoreId]) -> ClusterView {
    let member = |(at, store): (usize, &StoreId)| Member {
        name: format!("node{at}").parse().unwrap(),
        store: *store,
        zone: format!("zone{at}").parse().unwrap(),
        capacity_bytes: 1 << 30,
        tags: Vec::new(),
    };
    let ring = || {
        let members: Vec<Member> = holders.iter().enumerate().map(member).collect();
        let replication = u8::try_from(members.len()).unwrap();
        let assignment = (0..16).flat_map(|_| 0..u16::from(replication)).collect();
        Ring::new(replication, replication, 4, members, assignment).unwrap()
    };
    let layout = (!holders.is_empty()).then(|| Arc::new(Layout { version: 1, table: ring(), block: ring() }));
    let step = if layout.is_some() { Step::Stable } else { Step::Empty };
    let layouts = layout.into_iter().collect();
    let record = LayoutRecord { number, epoch, step, layouts, voters: Vec::new(), op: OpId([1; 16]) };
    ClusterView { cluster: CLUSTER, record, nodes: BTreeMap::new(), revision: 0 }
}

pub(crate) fn parts(view: ClusterView, expected: Option<StoreId>) -> Parts {
    Parts {
        view: Arc::new(ViewCell::new(view)),
        clock: Arc::new(ManualClock::at(NOW_MS)),
        entropy: Arc::new(SystemEntropy),
        expected,
        watermark: None,
    }
}

/// A table on `store`, in epoch 1, which holds everything.
pub(crate) async fn on(store: Arc<dyn Store>) -> Arc<Table> {
    settle(Table::on(store, parts(view(1, Epoch(0), &[]), None)).unwrap()).await
}

/// A table in memory, and its memory.
pub(crate) async fn in_memory() -> (Arc<Table>, Arc<Memory>) {
    let memory = Arc::new(Memory::new());
    (on(memory.clone()).await, memory)
}

/// A table in `directory`.
pub(crate) async fn on_disk(directory: &Path) -> Arc<Table> {
    settle(open(directory, None).await.unwrap()).await
}

pub(crate) async fn open(directory: &Path, expected: Option<StoreId>) -> Result<Arc<Table>, OpenError> {
    let config = Config { directory: directory.to_owned(), reserve: Size(0), ..Config::default() };
    Table::open(config, parts(view(1, Epoch(0), &[]), expected)).await
}

/// Tells `table` of the layout of epoch 1, as a caller would.
async fn settle(table: Arc<Table>) -> Arc<Table> {
    let mut context = context(&table);
    context.view = Some(encoded(&view(2, EPOCH, &[table.store()])));
    let call = (key("settle"), Message::Query);
    table.register(&context, vec![call]).await.unwrap();
    table
}

pub(crate) fn encoded(view: &ClusterView) -> Bytes {
    cairn_model::view::encode_view_bytes(view)
}

pub(crate) fn context(table: &Table) -> CallContext {
    CallContext {
        store: table.store(),
        epoch: EPOCH,
        request: RequestId([3; 16]),
        deadline: Instant::now() + Duration::from_secs(20),
        view: None,
    }
}

/// An object of the one bucket that tests use.
pub(crate) fn key(sort_key: impl AsRef<[u8]>) -> RowKey {
    RowKey {
        table: cairn_types::Table::Object,
        partition_key: Bytes::from_static(b"bucket and shard"),
        sort_key: Bytes::copy_from_slice(sort_key.as_ref()),
    }
}

/// A ballot of epoch 1; `n` is below a minute, so that no clock minds.
pub(crate) fn ballot(n: u64) -> Ballot {
    Ballot { epoch: EPOCH.0, time: (NOW_MS << 16) + n, proposer: 7 }
}

static OPS: AtomicU64 = AtomicU64::new(1);

pub(crate) fn value(bytes: &[u8]) -> Envelope {
    Envelope {
        owner: Bytes::from_static(b"owner"),
        objects: 1,
        bytes: bytes.len() as u64,
        value: Bytes::from_static(b"typed row"),
        data: Bytes::copy_from_slice(bytes),
        ..Envelope::default()
    }
}

/// A blind write under `ballot`, each with an operation of its own.
pub(crate) fn write(at: Ballot, value: Option<Envelope>) -> Message<Envelope> {
    let mut op = [0; 16];
    op[..8].copy_from_slice(&OPS.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    let op = OpId(op);
    let zero = Ballot::ZERO;
    let lineage = vec![op];
    let proposal =
        Proposal { root: at, root_is_floor: false, blind: true, op, lineage, trimmed: zero, trim_next: zero, value };
    Message::Accept { ballot: at, proposal, new_value: true }
}

pub(crate) async fn try_ask(
    table: &Table,
    key: RowKey,
    message: Message<Envelope>,
) -> Result<Reply<Envelope>, CallError> {
    let answer = table.register(&context(table), vec![(key, message)]).await?;
    assert_eq!((answer.store, answer.replies.len()), (table.store(), 1));
    Ok(answer.replies.into_iter().next().unwrap())
}

pub(crate) async fn ask(table: &Table, key: RowKey, message: Message<Envelope>) -> Reply<Envelope> {
    try_ask(table, key, message).await.unwrap()
}

/// Stores `value` under `ballot` and expects an acknowledgement.
pub(crate) async fn put(table: &Table, key: RowKey, at: Ballot, value: Option<Envelope>) {
    assert_eq!(ask(table, key, write(at, value)).await.verdict, Verdict::Ack);
}

/// The data a query finds; none: a tombstone or no row.
pub(crate) async fn data(table: &Table, key: RowKey) -> Option<Bytes> {
    ask(table, key, Message::Query).await.row?.value.map(|envelope| envelope.data)
}

/// All of the bucket, without data.
pub(crate) fn everything() -> Range {
    Range {
        table: cairn_types::Table::Object,
        partition_key: key("").partition_key,
        prefix: Bytes::new(),
        start: Bytes::new(),
        limit: 1000,
        delimiter: Bytes::new(),
        with_data: false,
    }
}

pub(crate) async fn list(table: &Table, range: Range) -> RangeReply {
    table.range(&context(table), range).await.unwrap()
}

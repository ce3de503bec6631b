//! What rows cost: `cargo run --release -p cairn-table --example cost [DIRECTORY [ROWS [AT_ONCE [ONLY]]]]`.
//!
//! Prints CPU-µs of the whole process per operation, and wall time beside it, on one current-thread runtime as a daemon
//! has it. "wire" adds what a remote caller's request costs: encoding and decoding it and encoding the answer, but no
//! network. With ONLY, just the lines whose names hold it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use cairn_model::Envelope;
use cairn_model::wire::{decode_register_response, encode_register_request};
use cairn_placement::{ClusterView, Layout, LayoutRecord, Member, Ring, Step};
use cairn_proto::table::v1;
use cairn_quorum::wire::encode_range;
use cairn_quorum::{Range, TableReplica};
use cairn_register::{Message, Proposal, Verdict};
use cairn_rpc::{CallContext, SessionRequest, SessionService as _, ViewCell};
use cairn_table::{Config, Parts, Table};
use cairn_types::{
    Ballot, Clock as _, ClusterId, Entropy as _, Epoch, OpId, RequestId, RowKey, StoreId, SystemClock, SystemEntropy,
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use prost::Message as _;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().map_or_else(|| std::env::temp_dir().join("cairn-table-cost"), PathBuf::from);
    let rows: usize = arguments.next().map_or(Ok(20_000), |text| text.parse())?;
    let at_once: usize = arguments.next().map_or(Ok(8), |text| text.parse())?;
    let only = arguments.next().unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(directory.clone(), rows, at_once, only))?;
    std::fs::remove_dir_all(directory).context("removing what was written")
}

async fn measure(directory: PathBuf, rows: usize, at_once: usize, only: String) -> anyhow::Result<()> {
    let view = Arc::new(ViewCell::new(view(StoreId::default(), Epoch(0))?));
    let parts = Parts {
        view: view.clone(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        expected: None,
        watermark: None,
    };
    let table = Table::open(Config { directory, ..Config::default() }, parts).await?;
    view.offer(self::view(TableReplica::store(&*table), Epoch(1))?);
    let bench = Bench { table, at_once, only };
    bench.write("accept 4 KiB", rows, 4096, false).await?;
    bench.write("accept 4 KiB, wire", rows, 4096, true).await?;
    bench.write("accept 300 B", rows, 0, false).await?;
    bench.query("query 4 KiB, fresh", rows, 4096, false).await?;
    bench.query("query 4 KiB, fresh, wire", rows, 4096, true).await?;
    bench.query("query of nothing", rows, 1, false).await?;
    bench.list("range of 1,000, inline 4 KiB", rows, 4096).await?;
    bench.list("range of 1,000, no inline", rows, 0).await?;
    bench.table.close().await?;
    bench.query("query 4 KiB, flushed", rows, 4096, false).await?;
    bench.query("query 300 B, flushed", rows, 0, false).await?;
    bench.list("range of 1,000, inline 4 KiB, flushed", rows, 4096).await?;
    bench.list("range of 1,000, no inline, flushed", rows, 0).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    println!("after 3 s of rest: {} MiB resident", resident_mib()?);
    Ok(())
}

struct Bench {
    table: Arc<Table>,
    at_once: usize,
    only: String,
}

impl Bench {
    /// Blind writes of rows with `inline` bytes of data and 200 of a head, each in a call of its own.
    async fn write(&self, what: &str, rows: usize, inline: usize, wire: bool) -> anyhow::Result<()> {
        let data = random(inline);
        self.each(what, rows, async |n| {
            let reply = self.call(key(inline, n), accept(&data), wire).await?;
            anyhow::ensure!(reply == Verdict::Ack);
            Ok(())
        })
        .await
    }

    async fn query(&self, what: &str, rows: usize, inline: usize, wire: bool) -> anyhow::Result<()> {
        self.each(what, rows, async |n| self.call(key(inline, n), Message::Query, wire).await.map(drop)).await
    }

    async fn list(&self, what: &str, rows: usize, inline: usize) -> anyhow::Result<()> {
        for wire in [false, true] {
            let what = if wire { format!("{what}, wire") } else { what.to_owned() };
            self.each(&what, 200, async |n| {
                let range = Range {
                    table: cairn_types::Table::Object,
                    partition_key: key(inline, 0).partition_key,
                    prefix: Bytes::new(),
                    start: key(inline, n * 97 % rows.saturating_sub(1001)).sort_key,
                    limit: 1000,
                    delimiter: Bytes::new(),
                    with_data: false,
                };
                if wire {
                    let head = encode_range(&range).encode_to_vec().into();
                    let reply = self.session_call(v1::Method::Range, head).await?;
                    anyhow::ensure!(reply.len() > 100_000, "{} bytes", reply.len());
                } else {
                    let reply = self.table.range(&context(self.store()), range).await?;
                    anyhow::ensure!(reply.rows.len() == 1000, "{} rows", reply.rows.len());
                }
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    fn store(&self) -> StoreId {
        TableReplica::store(&*self.table)
    }

    async fn call(&self, key: RowKey, message: Message<Envelope>, wire: bool) -> anyhow::Result<Verdict> {
        let batch = vec![(key, message)];
        if wire {
            let request = encode_register_request(&batch).encode_to_vec().into();
            let reply = self.session_call(v1::Method::Register, request).await?;
            let replies = decode_register_response(v1::RegisterResponse::decode(reply)?, 1)?.2;
            return Ok(replies.first().context("no reply")?.verdict);
        }
        let answer = self.table.register(&context(self.store()), batch).await?;
        Ok(answer.replies.first().context("no reply")?.verdict)
    }

    async fn session_call(&self, method: v1::Method, head: Bytes) -> anyhow::Result<Bytes> {
        let (context, body) = (context(self.store()), futures_util::stream::empty().boxed());
        let method = i32::from(method).unsigned_abs();
        Ok(self.table.call(SessionRequest { context, method, head, body }).await?.head)
    }

    async fn each(
        &self,
        what: &str,
        operations: usize,
        operation: impl AsyncFn(usize) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        if !what.contains(&self.only) {
            return Ok(());
        }
        let (cpu, wall) = (cpu_time(), Instant::now());
        let calls = (0..operations).map(|n| operation(n));
        futures_util::stream::iter(calls).buffer_unordered(self.at_once).try_collect::<Vec<()>>().await?;
        let per = |time: Duration| time.as_secs_f64() * 1e6 / operations as f64;
        let (cpu, wall) = (per(cpu_time() - cpu), per(wall.elapsed()));
        println!("{what}: {cpu:.1} CPU-µs, {wall:.1} µs wall, {} MiB resident", resident_mib()?);
        Ok(())
    }
}

/// CPU time of this process, user and system.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn resident_mib() -> anyhow::Result<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm.split_whitespace().nth(1).context("statm")?.parse()?;
    Ok((pages * 4096) >> 20)
}

/// One bucket for each size of inline data.
fn key(inline: usize, n: usize) -> RowKey {
    RowKey {
        table: cairn_types::Table::Object,
        partition_key: format!("bucket id and shard {inline:04}").into(),
        sort_key: format!("photos/2026/11/{n:08}.jpg").into(),
    }
}

fn random(size: usize) -> Bytes {
    let mut bytes = vec![0; size];
    SystemEntropy.fill(&mut bytes);
    bytes.into()
}

fn accept(data: &Bytes) -> Message<Envelope> {
    static CLOCK: cairn_types::HybridClock = cairn_types::HybridClock::new();
    let ballot = Ballot { epoch: 1, time: CLOCK.tick(SystemClock.now_ms(), 0), proposer: 7 };
    let op = OpId::random(&SystemEntropy);
    let value = Envelope {
        owner: Bytes::from_static(&[7; 16]),
        objects: 1,
        bytes: 4096,
        value: Bytes::from_static(&[9; 200]),
        data: data.clone(),
        ..Envelope::default()
    };
    let proposal = Proposal {
        root: ballot,
        root_is_floor: false,
        blind: true,
        op,
        lineage: vec![op],
        trimmed: Ballot::ZERO,
        trim_next: Ballot::ZERO,
        value: Some(value),
    };
    Message::Accept { ballot, proposal, new_value: true }
}

fn context(store: StoreId) -> CallContext {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    let view = None;
    CallContext { store, epoch: Epoch(1), request: RequestId([1; 16]), deadline, view }
}

/// A cluster of this one store.
fn view(store: StoreId, epoch: Epoch) -> anyhow::Result<ClusterView> {
    let member =
        Member { name: "node".parse()?, store, zone: "zone".parse()?, capacity_bytes: 1 << 40, tags: Vec::new() };
    let ring = Ring::new(1, 1, 10, vec![member], vec![0; 1024])?;
    let record = LayoutRecord {
        number: 1 + u64::from(epoch.0),
        epoch,
        step: Step::Stable,
        layouts: vec![Arc::new(Layout { version: epoch.0, table: ring.clone(), block: ring })],
        voters: Vec::new(),
        op: OpId([1; 16]),
    };
    Ok(ClusterView { cluster: ClusterId([4; 16]), record, nodes: std::collections::BTreeMap::new(), revision: 0 })
}

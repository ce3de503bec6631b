//! What a put and a get of 1 MiB cost: `cargo run --release -p cairn-block --example cost [DIRECTORY [BLOCKS [AT_ONCE]]]`.
//!
//! Prints CPU-ms of the whole process per operation, and wall time beside it, on one current-thread runtime as a daemon
//! has it. Hashing is the caller's work and is not in the figures.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use cairn_block::{Block, Config, Parts, pieces};
use cairn_placement::{ClusterView, Layout, LayoutRecord, Member, Ring, Step};
use cairn_quorum::{BlockReplica as _, PutBlock, Reference};
use cairn_rpc::{CallContext, ViewCell};
use cairn_types::{
    BlockHash, BucketId, ClusterId, Entropy as _, Epoch, ManifestId, OpId, RequestId, StoreId, SystemClock,
    SystemEntropy,
};
use futures_util::{StreamExt as _, TryStreamExt as _};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const SIZE: usize = 1024 * 1024;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().map_or_else(|| std::env::temp_dir().join("cairn-block-cost"), PathBuf::from);
    let blocks: usize = arguments.next().map_or(Ok(512), |text| text.parse())?;
    let at_once: usize = arguments.next().map_or(Ok(8), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(directory.clone(), blocks, at_once))?;
    std::fs::remove_dir_all(directory).context("removing what was written")
}

async fn measure(directory: PathBuf, blocks: usize, at_once: usize) -> anyhow::Result<()> {
    let view = Arc::new(ViewCell::new(view(StoreId::default(), Epoch(0))?));
    let config = Config { directories: vec![directory], ..Config::default() };
    let parts =
        Parts { view: view.clone(), clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy), expected: None };
    let block = Block::open(config, parts).await?;
    view.offer(self::view(block.store(), Epoch(1))?);
    let data: Vec<(BlockHash, Bytes)> = (0..blocks).map(|_| random()).collect();
    let sums: Vec<Vec<u32>> = data.iter().map(|(_, data)| pieces::sums(std::slice::from_ref(data))).collect();
    let store = block.store();

    let costs = Cost::start();
    let puts = data.iter().zip(&sums).map(|((hash, data), sums)| {
        let put = PutBlock { hash: *hash, crc32c: sums.clone(), reference: reference(), data: split(data) };
        let block = &block;
        async move { block.put(&context(store), put).await }
    });
    futures_util::stream::iter(puts).buffer_unordered(at_once).try_collect::<Vec<_>>().await?;
    costs.print("PUT 1 MiB", blocks);

    for round in ["GET 1 MiB, first", "GET 1 MiB, cached"] {
        let costs = Cost::start();
        let gets = data.iter().map(|(hash, data)| {
            let block = &block;
            async move {
                let mut body = block.get(&context(store), *hash, 0, 0).await?;
                let mut length = 0;
                while let Some(piece) = body.pieces.next().await {
                    length += piece?.len();
                }
                anyhow::ensure!(length == data.len());
                Ok(())
            }
        });
        futures_util::stream::iter(gets).buffer_unordered(at_once).try_collect::<Vec<()>>().await?;
        costs.print(round, blocks);
    }
    block.close();
    Ok(())
}

/// CPU and wall time since it was made.
struct Cost {
    cpu: Duration,
    wall: Instant,
}

impl Cost {
    fn start() -> Self {
        Self { cpu: cpu_time(), wall: Instant::now() }
    }

    fn print(&self, what: &str, operations: usize) {
        let per = |time: Duration| time.as_secs_f64() * 1000.0 / operations as f64;
        println!("{what}: {:.3} CPU-ms, {:.3} ms wall", per(cpu_time() - self.cpu), per(self.wall.elapsed()));
    }
}

/// CPU time of this process, user and system.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn random() -> (BlockHash, Bytes) {
    let mut data = vec![0; SIZE];
    SystemEntropy.fill(&mut data);
    // The name is not checked on receipt: a random one saves the hashing here.
    let mut hash = [0; 32];
    SystemEntropy.fill(&mut hash);
    (BlockHash(hash), data.into())
}

fn split(data: &Bytes) -> Vec<Bytes> {
    data.chunks(pieces::PIECE_BYTES as usize).map(|piece| data.slice_ref(piece)).collect()
}

fn reference() -> Reference {
    Reference {
        manifest: ManifestId::random(&SystemEntropy),
        bucket: BucketId::random(&SystemEntropy),
        key: Bytes::from_static(b"photos/2026/cat.jpg"),
        upload: None,
        written_at_ms: 1,
        epoch: Epoch(1),
    }
}

fn context(store: StoreId) -> CallContext {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    CallContext { store, epoch: Epoch(1), request: RequestId::random(&SystemEntropy), deadline, view: None }
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

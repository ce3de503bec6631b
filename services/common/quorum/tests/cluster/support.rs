//! A cluster in memory: replicas that judge by the real rules, behind a network that tests can hurt.

pub(crate) mod blocks;
pub(crate) mod network;
pub(crate) mod tables;
pub(crate) mod views;

use std::sync::Arc;

use bytes::Bytes;
use cairn_model::Envelope;
use cairn_placement::{ClusterView, NodeInfo};
use cairn_quorum::{BlockReplica, Cluster, ClusterParts, Dial, Op, TableReplica};
use cairn_rpc::ViewCell;
use cairn_types::{Clock, ClusterId, Entropy, OpId, RequestId, RowKey, StoreId, Table};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngCore as _, SeedableRng as _};
use tokio::time::Instant;

use self::blocks::MemoryBlock;
use self::network::Network;
use self::tables::MemoryTable;

/// A wall clock that follows the runtime's, which tests pause.
#[derive(Debug)]
pub(crate) struct RuntimeClock(Instant);

impl RuntimeClock {
    pub(crate) const START_MS: u64 = 1_700_000_000_000;
}

impl Clock for RuntimeClock {
    fn now_ms(&self) -> u64 {
        Self::START_MS + u64::try_from(self.0.elapsed().as_millis()).unwrap()
    }
}

/// Chance that repeats with its seed.
#[derive(Debug)]
pub(crate) struct Seeded(Mutex<StdRng>);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }
}

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().fill_bytes(bytes);
    }
}

/// Replicas, the network between, and what gateways are made of.
pub(crate) struct World {
    pub(crate) network: Arc<Network>,
    pub(crate) tables: Vec<Arc<MemoryTable>>,
    pub(crate) blocks: Vec<Arc<MemoryBlock>>,
    pub(crate) view: ClusterView,
    clock: Arc<dyn Clock>,
    seed: Mutex<u64>,
}

/// Hands out the replicas in memory.
struct MemoryDial {
    tables: Vec<Arc<MemoryTable>>,
    blocks: Vec<Arc<MemoryBlock>>,
}

impl Dial for MemoryDial {
    fn table(&self, node: &NodeInfo, _: ClusterId) -> Arc<dyn TableReplica> {
        self.tables.iter().find(|table| table.store() == node.store).unwrap().clone()
    }

    fn block(&self, node: &NodeInfo, _: ClusterId) -> Arc<dyn BlockReplica> {
        self.blocks.iter().find(|block| block.store() == node.store).unwrap().clone()
    }
}

impl World {
    /// Three replicas in three zones, epoch 1.
    pub(crate) fn new(seed: u64) -> Self {
        Self::with_nodes(seed, 3)
    }

    /// `nodes` tables and block stores; the layout is on the first three, or on all there are.
    pub(crate) fn with_nodes(seed: u64, nodes: u8) -> Self {
        Self::with_clock(seed, nodes, Arc::new(RuntimeClock(Instant::now())))
    }

    pub(crate) fn with_clock(seed: u64, nodes: u8, clock: Arc<dyn Clock>) -> Self {
        let placed: Vec<u8> = (0..nodes.min(3)).collect();
        let network = Arc::new(Network::new(seed));
        let view = views::view(nodes, 1, &[&placed]);
        let table = |index| Arc::new(MemoryTable::new(index, network.clone(), clock.clone(), view.clone()));
        let block = |index| Arc::new(MemoryBlock::new(index, network.clone()));
        Self {
            tables: (0..nodes).map(table).collect(),
            blocks: (0..nodes).map(block).collect(),
            seed: Mutex::new(seed),
            view: view.clone(),
            network,
            clock,
        }
    }

    /// A gateway without replicas of its own.
    pub(crate) fn gateway(&self) -> Cluster {
        self.process(None)
    }

    /// A process that hosts the replicas of node `here`.
    pub(crate) fn process(&self, here: Option<usize>) -> Cluster {
        self.process_with(here, Arc::new(ViewCell::new(self.view.clone())))
    }

    /// A process whose view a test changes.
    pub(crate) fn process_with(&self, here: Option<usize>, view: Arc<ViewCell>) -> Cluster {
        let mut seed = self.seed.lock();
        *seed = seed.wrapping_mul(31).wrapping_add(1);
        let table = |at: usize| -> Arc<dyn TableReplica> { self.tables[at].clone() };
        let block = |at: usize| -> Arc<dyn BlockReplica> { self.blocks[at].clone() };
        Cluster::new(ClusterParts {
            view,
            dial: Arc::new(MemoryDial { tables: self.tables.clone(), blocks: self.blocks.clone() }),
            local_table: here.map(table),
            local_block: here.map(block),
            clock: self.clock.clone(),
            entropy: Arc::new(Seeded::new(*seed)),
            zone: here.map(|at| views::zone(u8::try_from(at).unwrap())),
        })
    }

    pub(crate) fn op(&self) -> Op {
        Op::begin(RequestId([1; 16]), self.clock.as_ref())
    }

    pub(crate) fn table_store(&self, at: usize) -> StoreId {
        self.tables[at].store()
    }

    pub(crate) fn block_store(&self, at: usize) -> StoreId {
        self.blocks[at].store()
    }
}

pub(crate) fn key(sort_key: &str) -> RowKey {
    RowKey {
        table: Table::Object,
        partition_key: Bytes::from_static(b"bucket"),
        sort_key: Bytes::copy_from_slice(sort_key.as_bytes()),
    }
}

pub(crate) fn value(text: &str) -> Envelope {
    Envelope { value: Bytes::copy_from_slice(text.as_bytes()), objects: 1, ..Envelope::default() }
}

/// Another id at each call.
pub(crate) fn id(cluster: &Cluster) -> OpId {
    OpId::random(cluster.entropy())
}

/// The value under `sort_key`, as text.
pub(crate) async fn get(world: &World, cluster: &Cluster, sort_key: &str) -> Option<String> {
    let settled = cluster.read(&world.op(), key(sort_key)).await.unwrap();
    settled.map(|settled| String::from_utf8(settled.envelope.value.to_vec()).unwrap())
}

pub(crate) async fn put(world: &World, cluster: &Cluster, sort_key: &str, text: &str) {
    cluster.write(&world.op(), key(sort_key), id(cluster), Some(value(text))).await.unwrap();
}

pub(crate) async fn delete(world: &World, cluster: &Cluster, sort_key: &str) {
    cluster.write(&world.op(), key(sort_key), id(cluster), None).await.unwrap();
}

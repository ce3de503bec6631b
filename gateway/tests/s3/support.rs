//! A gateway on a cluster in memory, and a small signing client.

pub(crate) mod blocks;
pub(crate) mod client;
pub(crate) mod tables;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cairn_daemon::{Hosted as _, Shutdown, empty_view};
use cairn_gateway::{Config, Gateway, Parts};
use cairn_placement::{ClusterView, Layout, LayoutRecord, Member, NodeInfo, NodeStatus, Ring, Role, Step};
use cairn_proto::admin::v1::admin_service_client::AdminServiceClient;
use cairn_proto::admin::v1::{AllowBucketRequest, CreateBucketRequest, CreateKeyRequest, Rights};
use cairn_quorum::{BlockReplica, Cluster, ClusterParts, Dial, TableReplica};
use cairn_rpc::{CallError, ClusterSecret, ViewCell};
use cairn_types::{Clock, ClusterId, Epoch, OpId, StoreId, SystemClock, SystemEntropy};
use tonic::service::{Routes, RoutesBuilder};

use self::blocks::MemoryBlock;
use self::client::Client;
use self::tables::MemoryTable;

const REPLICAS: u8 = 3;
/// Few, for the tests' sake.
const PARTITION_BITS: u8 = 2;

/// Whether a replica answers.
#[derive(Default)]
pub(crate) struct Switch(AtomicBool);

impl Switch {
    fn set(&self, up: bool) {
        self.0.store(!up, Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), CallError> {
        if self.0.load(Ordering::SeqCst) { Err(CallError::Unreachable("switched off".to_owned())) } else { Ok(()) }
    }
}

pub(crate) const fn table_store(index: u8) -> StoreId {
    StoreId([0x10 + index; 16])
}

const fn block_store(index: u8) -> StoreId {
    StoreId([0x80 + index; 16])
}

fn ring(store: fn(u8) -> StoreId) -> Ring {
    let member = |index| Member {
        name: format!("node-{index}").parse().unwrap(),
        store: store(index),
        zone: format!("zone-{index}").parse().unwrap(),
        capacity_bytes: 1 << 40,
        tags: Vec::new(),
    };
    let assignment = (0..1_u16 << PARTITION_BITS).flat_map(|_| 0..u16::from(REPLICAS)).collect();
    Ring::new(REPLICAS, REPLICAS, PARTITION_BITS, (0..REPLICAS).map(member).collect(), assignment).unwrap()
}

fn node(index: u8, store: StoreId, role: Role) -> (StoreId, NodeInfo) {
    let info = NodeInfo {
        store,
        role,
        name: format!("node-{index}").parse().unwrap(),
        zone: format!("zone-{index}").parse().unwrap(),
        address: format!("node-{index}:1"),
        s3_url: String::new(),
        capacity_bytes: 1 << 40,
        tags: Vec::new(),
        status: NodeStatus::default(),
        alive: true,
        last_heard_ms: 0,
        placed: true,
    };
    (store, info)
}

fn stable_view() -> ClusterView {
    let layout = Layout { version: 1, table: ring(table_store), block: ring(block_store) };
    let record = LayoutRecord {
        number: 1,
        epoch: Epoch(1),
        step: Step::Stable,
        layouts: vec![Arc::new(layout)],
        voters: Vec::new(),
        op: OpId([2; 16]),
    };
    let nodes: BTreeMap<_, _> = (0..REPLICAS)
        .flat_map(|at| [node(at, table_store(at), Role::Table), node(at, block_store(at), Role::Block)])
        .collect();
    ClusterView { cluster: ClusterId([7; 16]), record, nodes, revision: 1 }
}

/// Three replicas of everything, and gateways before them.
pub(crate) struct World {
    pub(crate) tables: Vec<Arc<MemoryTable>>,
    pub(crate) blocks: Vec<Arc<MemoryBlock>>,
    view: ClusterView,
}

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

/// One running gateway.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    /// Of web sites, where the configuration has them.
    pub(crate) web: Option<SocketAddr>,
    admin: AdminServiceClient<Routes>,
    shutdown: Shutdown,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_view(stable_view())
    }

    /// Replicas, and no layout yet.
    pub(crate) fn without_layout() -> Self {
        Self::with_view(empty_view(ClusterId([7; 16])))
    }

    fn with_view(view: ClusterView) -> Self {
        let tables = (0..REPLICAS).map(|index| Arc::new(MemoryTable::new(table_store(index)))).collect();
        let blocks = (0..REPLICAS).map(|index| Arc::new(MemoryBlock::new(block_store(index)))).collect();
        Self { tables, blocks, view }
    }

    pub(crate) async fn gateway(&self) -> Running {
        self.gateway_with(Config::default()).await
    }

    /// A coordinator of its own, by the machine's clock or another.
    pub(crate) fn cluster(&self, clock: Arc<dyn Clock>) -> Cluster {
        Cluster::new(ClusterParts {
            view: Arc::new(ViewCell::new(self.view.clone())),
            dial: Arc::new(MemoryDial { tables: self.tables.clone(), blocks: self.blocks.clone() }),
            local_table: None,
            local_block: None,
            clock,
            entropy: Arc::new(SystemEntropy),
            zone: None,
        })
    }

    pub(crate) async fn gateway_with(&self, config: Config) -> Running {
        self.try_gateway(config).await.unwrap()
    }

    pub(crate) async fn try_gateway(&self, config: Config) -> anyhow::Result<Running> {
        cairn_rpc::install_crypto_provider();
        let cluster = self.cluster(Arc::new(SystemClock));
        let secret = ClusterSecret::from_bytes(&[9; 32]).unwrap();
        let parts = Parts { cluster, secret, clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) };
        let config = Config { listen: "127.0.0.1:0".to_owned(), ..config };
        let gateway = Gateway::open(config, parts).await?;
        let (address, web) = (gateway.s3_addr(), gateway.web_addr());
        let routes = gateway.clone().add_routes(RoutesBuilder::default()).routes();
        let shutdown = Shutdown::new();
        drop(tokio::spawn(gateway.run(shutdown.clone())));
        Ok(Running { address, web, admin: AdminServiceClient::new(routes), shutdown })
    }

    /// Whether these bytes stand in any row or block.
    pub(crate) fn holds(&self, bytes: &[u8]) -> bool {
        self.tables.iter().any(|table| table.holds(bytes)) || self.blocks.iter().any(|store| store.holds(bytes))
    }

    /// Stops table replicas from answering, so that `count` are left.
    pub(crate) fn leave_tables(&self, count: usize) {
        self.tables.iter().enumerate().for_each(|(index, table)| table.switch.set(index < count));
    }

    pub(crate) fn leave_blocks(&self, count: usize) {
        self.blocks.iter().enumerate().for_each(|(index, block)| block.switch.set(index < count));
    }
}

impl Running {
    /// Begins an orderly end.
    pub(crate) fn stop(&self) {
        self.shutdown.begin();
    }

    pub(crate) fn admin(&self) -> AdminServiceClient<Routes> {
        self.admin.clone()
    }

    /// A client with a new key that may create buckets.
    pub(crate) async fn client(&self) -> Client {
        let request = CreateKeyRequest { name: "tester".to_owned(), create_bucket: true, expiry: None };
        let made = self.admin().create_key(request).await.unwrap().into_inner();
        Client::new(self.address, &made.key.unwrap().access_key, &made.secret_key)
    }

    /// A client with a key of its own and all rights on a new bucket.
    pub(crate) async fn client_with(&self, bucket: &str) -> Client {
        let client = self.client().await;
        let request = CreateBucketRequest { name: bucket.to_owned(), owner_key: client.access_key.clone() };
        self.admin().create_bucket(request).await.unwrap();
        client
    }

    pub(crate) async fn allow(&self, client: &Client, bucket: &str, read: bool, write: bool) {
        let rights = Some(Rights { read, write, owner: false });
        let request =
            AllowBucketRequest { bucket: bucket.to_owned(), key: client.access_key.clone(), rights, prefixes: vec![] };
        self.admin().allow_bucket(request).await.unwrap();
    }
}

//! Whom to call under one view: the replicas of each store, near ones first.
//!
//! - **R1** A store that kept its address keeps its connection and its health from one view to the next
//!   (`stores_keep_their_health_across_views`).

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use cairn_model::view::encode_view_bytes;
use cairn_placement::{ClusterView, NodeInfo, Quorums, ReplicaSet, RingKind, Role, Step};
use cairn_rpc::{CallContext, Connector, PeerService};
use cairn_types::{ClusterId, Epoch, PartitionId, StoreId, ZoneName};

use crate::health::Health;
use crate::hints::Hints;
use crate::{BlockReplica, Op, RemoteBlock, RemoteTable, TableReplica};

/// Opens replicas in other processes; a test puts its own in their place.
pub trait Dial: Send + Sync + 'static {
    /// The table of `node`. Connects when it is first called.
    fn table(&self, node: &NodeInfo, cluster: ClusterId) -> Arc<dyn TableReplica>;
    /// The block store of `node`. Connects when it is first called.
    fn block(&self, node: &NodeInfo, cluster: ClusterId) -> Arc<dyn BlockReplica>;
}

impl Dial for Connector {
    fn table(&self, node: &NodeInfo, cluster: ClusterId) -> Arc<dyn TableReplica> {
        Arc::new(RemoteTable::new(self.peer(PeerService::Table, &node.address, node.store, cluster)))
    }

    fn block(&self, node: &NodeInfo, cluster: ClusterId) -> Arc<dyn BlockReplica> {
        Arc::new(RemoteBlock::new(self.peer(PeerService::Block, &node.address, node.store, cluster)))
    }
}

/// How far away a replica is; nearer is less.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Distance {
    ThisProcess,
    SameZone,
    Elsewhere,
}

/// One replica, and what is known of it.
pub(crate) struct Node<R: ?Sized> {
    pub(crate) replica: Arc<R>,
    pub(crate) store: StoreId,
    pub(crate) distance: Distance,
    pub(crate) health: Arc<Health>,
    /// Empty for block stores.
    pub(crate) hints: Hints,
    address: String,
}

pub(crate) type TableNode = Node<dyn TableReplica>;
pub(crate) type BlockNode = Node<dyn BlockReplica>;

/// The replicas in this process, and where it stands.
pub(crate) struct Here {
    pub(crate) table: Option<Arc<dyn TableReplica>>,
    pub(crate) block: Option<Arc<dyn BlockReplica>>,
    pub(crate) zone: Option<ZoneName>,
}

/// Everything calls need of one view.
pub(crate) struct Routes {
    pub(crate) view: Arc<ClusterView>,
    encoded: OnceLock<Bytes>,
    tables: BTreeMap<StoreId, Arc<TableNode>>,
    blocks: BTreeMap<StoreId, Arc<BlockNode>>,
}

impl Routes {
    /// Of `view`; connections of `before` are kept where nothing changed.
    pub(crate) fn new(view: Arc<ClusterView>, here: &Here, dial: &dyn Dial, before: Option<&Routes>) -> Self {
        let mut routes =
            Self { encoded: OnceLock::new(), tables: BTreeMap::new(), blocks: BTreeMap::new(), view: view.clone() };
        if let Some(table) = &here.table {
            let kept = before.and_then(|before| before.tables.get(&table.store())).filter(|node| node.is_here());
            let node = kept.cloned().unwrap_or_else(|| Arc::new(Node::here(table.clone(), table.store())));
            routes.tables.insert(node.store, node);
        }
        if let Some(block) = &here.block {
            let kept = before.and_then(|before| before.blocks.get(&block.store())).filter(|node| node.is_here());
            let node = kept.cloned().unwrap_or_else(|| Arc::new(Node::here(block.clone(), block.store())));
            routes.blocks.insert(node.store, node);
        }
        for info in view.nodes.values() {
            let distance =
                if here.zone.as_ref() == Some(&info.zone) { Distance::SameZone } else { Distance::Elsewhere };
            match info.role {
                Role::Table => {
                    let open = || dial.table(info, view.cluster);
                    keep_or_open(&mut routes.tables, before.map(|before| &before.tables), info, distance, open);
                }
                Role::Block => {
                    let open = || dial.block(info, view.cluster);
                    keep_or_open(&mut routes.blocks, before.map(|before| &before.blocks), info, distance, open);
                }
                Role::Membership | Role::Gateway => {}
            }
        }
        routes
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.view.epoch()
    }

    pub(crate) fn table(&self, store: StoreId) -> Option<&Arc<TableNode>> {
        self.tables.get(&store)
    }

    pub(crate) fn block(&self, store: StoreId) -> Option<&Arc<BlockNode>> {
        self.blocks.get(&store)
    }

    pub(crate) fn tables(&self) -> impl Iterator<Item = &Arc<TableNode>> {
        self.tables.values()
    }

    /// Whom to ask for the rows of `partition_key`; none before the first layout.
    pub(crate) fn row_quorums(&self, partition_key: &[u8]) -> Option<Quorums> {
        let bits = self.view.partition_bits(RingKind::Table)?;
        self.view.quorums(RingKind::Table, PartitionId::of_key(partition_key, bits))
    }

    /// The quorums of the last stable epoch while a layout changes; none else (REGISTER §10: e+1 is "read old",
    /// e+2 "read new").
    pub(crate) fn earlier_quorums(&self, partition_key: &[u8]) -> Option<Quorums> {
        let back = match self.view.record.step {
            Step::Empty | Step::Stable => return None,
            Step::ReadOld => 1,
            Step::ReadNew => 2,
        };
        let ring = self.view.record.layouts.first()?.ring(RingKind::Table);
        let partition = PartitionId::of_key(partition_key, ring.partition_bits());
        let sets = vec![ReplicaSet::new(ring.replicas(partition).map(|member| member.store).collect())];
        let epoch = Epoch(self.epoch().0.checked_sub(back)?);
        Some(Quorums { epoch, query: sets.clone(), prepare: sets.clone(), accept: sets })
    }

    /// Whom to ask for the block named `hash`; none before the first layout.
    pub(crate) fn block_quorums(&self, hash: &[u8; 32]) -> Option<Quorums> {
        let bits = self.view.partition_bits(RingKind::Block)?;
        self.view.quorums(RingKind::Block, PartitionId::of_hash(hash, bits))
    }

    /// The view as bytes, for replicas that do not know it yet.
    pub(crate) fn encoded_view(&self) -> Bytes {
        self.encoded.get_or_init(|| encode_view_bytes(&self.view)).clone()
    }

    pub(crate) fn context(&self, op: &Op, store: StoreId) -> CallContext {
        CallContext { store, epoch: self.epoch(), request: op.request, deadline: op.deadline, view: None }
    }

    /// `stores` in the order in which a reader should ask them: those worth waiting for first, then this process's
    /// own, then the fastest. Stores nobody knows an address of come last.
    pub(crate) fn nearest_tables(&self, stores: &[StoreId]) -> Vec<StoreId> {
        let mut stores = stores.to_vec();
        stores.sort_by_cached_key(|store| match self.table(*store) {
            Some(node) => {
                let here = node.distance == Distance::ThisProcess;
                (false, node.health.suspect(), !here, node.health.usual(), *store)
            }
            None => (true, true, true, std::time::Duration::MAX, *store),
        });
        stores
    }

    /// Block stores of `sets` in the order in which a reader should ask them: own process, same zone, fewest calls
    /// in flight; suspects last.
    pub(crate) fn nearest_blocks(&self, sets: &[ReplicaSet]) -> Vec<Arc<BlockNode>> {
        let mut nodes: Vec<Arc<BlockNode>> = Vec::new();
        for store in sets.iter().flat_map(ReplicaSet::stores) {
            if let Some(node) = self.block(*store)
                && !nodes.iter().any(|known| known.store == node.store)
            {
                nodes.push(node.clone());
            }
        }
        nodes.sort_by_cached_key(|node| (node.health.suspect(), node.distance, node.health.in_flight(), node.store));
        nodes
    }
}

impl<R: ?Sized> Node<R> {
    fn here(replica: Arc<R>, store: StoreId) -> Self {
        let distance = Distance::ThisProcess;
        Self {
            replica,
            store,
            distance,
            health: Arc::new(Health::new()),
            hints: Hints::default(),
            address: String::new(),
        }
    }

    fn is_here(&self) -> bool {
        self.distance == Distance::ThisProcess
    }
}

fn keep_or_open<R: ?Sized>(
    nodes: &mut BTreeMap<StoreId, Arc<Node<R>>>,
    before: Option<&BTreeMap<StoreId, Arc<Node<R>>>>,
    info: &NodeInfo,
    distance: Distance,
    open: impl FnOnce() -> Arc<R>,
) {
    if nodes.contains_key(&info.store) {
        return; // in this process
    }
    let same = |node: &&Arc<Node<R>>| !node.is_here() && node.address == info.address && node.distance == distance;
    let node = before.and_then(|before| before.get(&info.store)).filter(same).cloned().unwrap_or_else(|| {
        Arc::new(Node {
            replica: open(),
            store: info.store,
            distance,
            health: Arc::new(Health::new()),
            hints: Hints::default(),
            address: info.address.clone(),
        })
    });
    nodes.insert(info.store, node);
}

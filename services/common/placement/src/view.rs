//! The cluster's view: the newest chosen layout record, and what is known of each node.

use std::collections::BTreeMap;
use std::sync::Arc;

use cairn_types::{ClusterId, Epoch, NodeName, OpId, PartitionId, StoreId, ZoneName};

use crate::{Layout, RingKind};

/// What a daemon does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    Membership,
    Table,
    Block,
    Gateway,
}

/// What the active layouts are for (REGISTER §10).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Step {
    /// No layout yet, or none while an empty cluster changes it: no data calls.
    Empty,
    Stable,
    /// Write both, read the old one.
    ReadOld,
    /// Write both, read the new one.
    ReadNew,
}

/// A membership daemon that votes on layout records.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Voter {
    pub store: StoreId,
    pub name: NodeName,
    pub zone: ZoneName,
    pub address: String,
}

/// A value of the layout register (DESIGN §3): `number` rises with every record, `epoch` only with steps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LayoutRecord {
    pub number: u64,
    pub epoch: Epoch,
    pub step: Step,
    /// Under [`Step::Empty`] none, or the one that an empty cluster replaces; one under [`Step::Stable`]; else the old
    /// and the new one.
    pub layouts: Vec<Arc<Layout>>,
    pub voters: Vec<Voter>,
    pub op: OpId,
}

impl LayoutRecord {
    /// What a daemon has before it heard of any record: number 0, which is never chosen.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            number: 0,
            epoch: Epoch(0),
            step: Step::Empty,
            layouts: Vec::new(),
            voters: Vec::new(),
            op: OpId([0; 16]),
        }
    }
}

/// What a node last said of itself.
///
/// `epoch` is one the store has *persisted*, read before `has_data` is looked up: so a status of epoch e without data
/// means that no call of an older epoch can bring data any more.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct NodeStatus {
    pub bytes_used: u64,
    pub bytes_free: u64,
    pub has_data: bool,
    pub epoch: Epoch,
    pub ready: bool,
}

/// One daemon, as membership knows it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct NodeInfo {
    pub store: StoreId,
    pub role: Role,
    pub name: NodeName,
    pub zone: ZoneName,
    /// gRPC, host:port.
    pub address: String,
    pub s3_url: String,
    pub capacity_bytes: u64,
    pub tags: Vec<String>,
    pub status: NodeStatus,
    pub alive: bool,
    pub last_heard_ms: u64,
    pub placed: bool,
}

/// Distinct stores that count towards one quorum.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ReplicaSet(Vec<StoreId>);

impl ReplicaSet {
    #[must_use]
    pub fn new(mut stores: Vec<StoreId>) -> Self {
        stores.sort_unstable();
        stores.dedup();
        Self(stores)
    }

    #[must_use]
    pub const fn majority(&self) -> usize {
        self.0.len() / 2 + 1
    }

    #[must_use]
    pub fn stores(&self) -> &[StoreId] {
        &self.0
    }

    #[must_use]
    pub fn contains(&self, store: StoreId) -> bool {
        self.0.binary_search(&store).is_ok()
    }
}

/// Whom one partition's calls go to in the current epoch, by the table of REGISTER §10. A quorum is a majority
/// of *every* set listed.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Quorums {
    pub epoch: Epoch,
    pub query: Vec<ReplicaSet>,
    pub prepare: Vec<ReplicaSet>,
    pub accept: Vec<ReplicaSet>,
}

/// What every daemon acts on; downstream of `Watch`, cached on disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClusterView {
    pub cluster: ClusterId,
    pub record: LayoutRecord,
    pub nodes: BTreeMap<StoreId, NodeInfo>,
    pub revision: u64,
}

impl ClusterView {
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.record.epoch
    }

    /// Partition bits of `ring`; none before the first layout.
    #[must_use]
    pub fn partition_bits(&self, ring: RingKind) -> Option<u8> {
        self.record.layouts.first().map(|layout| layout.ring(ring).partition_bits())
    }

    /// Whom to ask for `partition`; none before the first layout.
    #[must_use]
    pub fn quorums(&self, ring: RingKind, partition: PartitionId) -> Option<Quorums> {
        let set = |layout: &Arc<Layout>| {
            ReplicaSet::new(layout.ring(ring).replicas(partition).map(|member| member.store).collect())
        };
        let all: Vec<ReplicaSet> = self.record.layouts.iter().map(set).collect();
        let query = match self.record.step {
            Step::Empty => return None,
            Step::Stable | Step::ReadOld => vec![all.first()?.clone()],
            Step::ReadNew => vec![all.last()?.clone()],
        };
        Some(Quorums { epoch: self.record.epoch, query, prepare: all.clone(), accept: all })
    }

    /// Whether `store` holds `partition` in any active layout.
    #[must_use]
    pub fn holds(&self, ring: RingKind, partition: PartitionId, store: StoreId) -> bool {
        self.record
            .layouts
            .iter()
            .any(|layout| layout.ring(ring).replicas(partition).any(|member| member.store == store))
    }
}

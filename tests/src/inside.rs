//! A running store seen from inside: as a daemon of the cluster, with its secret, through the same calls.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use cairn_model::keys;
use cairn_model::rows::{BucketNameRow, TypedRow};
use cairn_model::view::decode_view;
use cairn_placement::Role;
use cairn_proto::block::v1::block_service_client::BlockServiceClient;
use cairn_proto::block::v1::{ListReferencesRequest, StatBlocksRequest};
use cairn_proto::common::v1::RequestHeader;
use cairn_proto::membership::v1::GetViewRequest;
use cairn_proto::membership::v1::membership_service_client::MembershipServiceClient;
use cairn_quorum::wire::decode_reference;
use cairn_quorum::{Cluster, ClusterParts, ListEntry, ListRequest, Op, Reference};
use cairn_rpc::{ClusterSecret, Connector, Identity, PeerRole, ViewCell};
use cairn_types::{
    BlockHash, BucketId, ManifestId, OpId, RequestId, RowKey, StoreId, SystemClock, SystemEntropy, Table,
};
use tonic::transport::Channel;

use crate::cluster::Ready;

/// References and hashes of one call.
const PAGE: u32 = 1000;

/// A coordinator, and the block stores one by one.
pub struct Inside {
    pub cluster: Cluster,
    blocks: BTreeMap<StoreId, BlockServiceClient<Channel>>,
}

impl std::fmt::Debug for Inside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inside").field("blocks", &self.blocks.keys()).finish_non_exhaustive()
    }
}

impl Inside {
    /// Joins with the secret of the cluster's first node; reads the view once.
    pub async fn open(ready: &Ready) -> Result<Self> {
        cairn_rpc::install_crypto_provider();
        let first = ready.nodes.iter().find(|node| node.role == "membership").context("no membership daemon")?;
        let secret = ClusterSecret::load(&ready.data_dir.join(&first.name).join("cluster.secret"))?;
        let store = StoreId::random(&SystemEntropy);
        let identity = Identity::derive(&secret, &[(PeerRole::Gateway, Some(store))], &[])?;
        let connector = identity.connector();
        let mut membership = MembershipServiceClient::new(connector.channel(&first.grpc));
        let view = membership.get_view(GetViewRequest {}).await?.into_inner().view.context("no view")?;
        let view = decode_view(view)?;
        let blocks = view.nodes.values().filter(|node| node.role == Role::Block);
        let blocks = blocks.map(|node| (node.store, block_client(&connector, &node.address))).collect();
        let cluster = Cluster::new(ClusterParts {
            view: Arc::new(ViewCell::new(view)),
            dial: Arc::new(connector),
            local_table: None,
            local_block: None,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            zone: None,
        });
        Ok(Self { cluster, blocks })
    }

    /// An operation that begins now.
    #[must_use]
    pub fn op(&self) -> Op {
        Op::begin(RequestId::random(&SystemEntropy), &SystemClock)
    }

    #[must_use]
    pub fn new_op(&self) -> OpId {
        OpId::random(&SystemEntropy)
    }

    /// A settled row, if there is one.
    pub async fn row<R: TypedRow>(&self, key: RowKey) -> Result<Option<R>> {
        let found = self.cluster.read(&self.op(), key).await?;
        Ok(found.map(|row| R::decode(&row.envelope.value)).transpose()?)
    }

    pub async fn bucket(&self, name: &str) -> Result<BucketId> {
        let row: Option<BucketNameRow> = self.row(keys::bucket_name(&name.parse()?)).await?;
        Ok(row.with_context(|| format!("there is no bucket {name}"))?.bucket)
    }

    /// All rows of one partition key, with their data.
    pub async fn rows(&self, table: Table, partition_key: Bytes) -> Result<Vec<ListEntry>> {
        let mut rows = Vec::new();
        let mut start = Bytes::new();
        loop {
            let request = ListRequest {
                table,
                partition_key: partition_key.clone(),
                prefix: Bytes::new(),
                start,
                limit: 1000,
                delimiter: Bytes::new(),
                with_data: true,
            };
            let listing = self.cluster.list(&self.op(), request).await?;
            rows.extend(listing.entries);
            match listing.next {
                Some(next) => start = next,
                None => return Ok(rows),
            }
        }
    }

    /// Every reference of every block store.
    pub async fn references(&self) -> Result<BTreeMap<StoreId, BTreeMap<(BlockHash, ManifestId), Reference>>> {
        let mut all = BTreeMap::new();
        for (store, client) in &self.blocks {
            let mut client = client.clone();
            let mut found = BTreeMap::new();
            let mut request = ListReferencesRequest { header: header(*store), limit: PAGE, ..Default::default() };
            loop {
                let page = client.list_references(request.clone()).await?.into_inner().references;
                let more = page.len() == PAGE as usize;
                for one in page {
                    let hash = BlockHash::try_from(one.hash.as_ref())?;
                    let reference = decode_reference(one.reference.context("no reference")?)?;
                    (request.after_hash, request.after_manifest_id) = (hash.to_bytes(), reference.manifest.to_bytes());
                    found.insert((hash, reference.manifest), reference);
                }
                if !more {
                    break;
                }
            }
            all.insert(*store, found);
        }
        Ok(all)
    }

    /// Which of `hashes` `store` holds the bytes of.
    pub async fn missing(&self, store: StoreId, hashes: &[BlockHash]) -> Result<Vec<BlockHash>> {
        let mut client = self.blocks.get(&store).context("no such block store")?.clone();
        let mut missing = Vec::new();
        for hashes in hashes.chunks(PAGE as usize) {
            let request = StatBlocksRequest {
                header: header(store),
                hashes: hashes.iter().map(BlockHash::to_bytes).collect(),
                with_references: false,
            };
            let stats = client.stat_blocks(request).await?.into_inner().blocks;
            ensure!(stats.len() == hashes.len(), "a store answered for {} of {} blocks", stats.len(), hashes.len());
            missing.extend(hashes.iter().zip(stats).filter(|(_, stat)| !stat.here).map(|(hash, _)| *hash));
        }
        Ok(missing)
    }
}

fn block_client(connector: &Connector, address: &str) -> BlockServiceClient<Channel> {
    BlockServiceClient::new(connector.channel(address)).max_decoding_message_size(16 << 20)
}

fn header(store: StoreId) -> Option<RequestHeader> {
    Some(RequestHeader { store_id: store.to_bytes(), epoch: 0, request_id: Bytes::new() })
}

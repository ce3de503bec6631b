//! Wiring: the store as a role of a process, and as a process of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use cairn_daemon::{Host, Hosted, Node, NodeSource, Shutdown};
use cairn_model::view::encode_status;
use cairn_proto::membership::v1::{NodeRecord, Role};
use cairn_rpc::{Identity, PeerRole, WithSession};
use cairn_types::{SystemClock, SystemEntropy};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tonic::service::RoutesBuilder;

use crate::grpc::Service;
use crate::{Block, Parts, ServerConfig};

impl Hosted for Block {
    fn service_names(&self) -> &'static [&'static str] {
        &["cairn.block.v1.BlockService"]
    }

    fn add_routes(self: Arc<Self>, mut routes: RoutesBuilder) -> RoutesBuilder {
        routes.add_service(WithSession::new(Service::server(self.clone()), self));
        routes
    }

    fn run(self: Arc<Self>, shutdown: Shutdown) -> BoxFuture<'static, anyhow::Result<()>> {
        async move {
            tokio::join!(self.collector.run(shutdown.token()), self.blocks.fence.follow_views(shutdown.token()));
            tokio::task::spawn_blocking(move || self.close()).await.context("closing the block store")
        }
        .boxed()
    }
}

/// A block store that is open and bound but serves nobody yet.
pub struct Server {
    node: Node,
    host: Host,
    identity: Identity,
    block: Arc<Block>,
    source: NodeSource,
}

impl Server {
    /// Opens the store and binds the port.
    ///
    /// # Errors
    /// What can fail at start fails here: the secret, the data directories, the address.
    pub async fn bind(config: ServerConfig) -> anyhow::Result<Self> {
        let node = Node::open(config.node)?;
        let expected = node.machine.recorded(&node.name)?;
        let capacity = config.block.capacity;
        let first = config.block.directories.first().cloned().context("block.directories is empty")?;
        let parts =
            Parts { view: node.view.clone(), clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy), expected };
        let block = Block::open(config.block, parts).await?;
        let store = block.store();
        node.machine.record(&node.name, &first, store)?;
        let (host, identity, address) = node.host(&[(PeerRole::Block, Some(store))]).await?;
        let record = NodeRecord {
            store_id: store.to_bytes(),
            role: Role::Block.into(),
            name: node.name.to_string(),
            zone: node.zone.to_string(),
            address,
            capacity_bytes: capacity.map_or_else(|| block.capacity(), |capacity| capacity.bytes()),
            ..NodeRecord::default()
        };
        let reported = block.clone();
        let source: NodeSource =
            Arc::new(move || NodeRecord { status: Some(encode_status(&reported.status())), ..record.clone() });
        Ok(Self { node, host, identity, block, source })
    }

    /// The bound address; tests ask for port 0.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.host.local_addr()
    }

    /// The store behind it.
    #[must_use]
    pub const fn block(&self) -> &Arc<Block> {
        &self.block
    }

    /// Serves until `shutdown`; then finishes open calls and closes the store.
    ///
    /// # Errors
    /// The listener or the store failed.
    pub async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        self.node.watch(&self.identity, vec![self.source], Arc::new(SystemClock), &shutdown);
        let hosted: Vec<Arc<dyn Hosted>> = vec![self.block];
        self.host.serve(hosted, shutdown).await
    }
}

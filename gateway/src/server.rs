//! A gateway in a process of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use cairn_daemon::{Host, Hosted, Node, NodeSource, Shutdown};
use cairn_proto::membership::v1::{NodeRecord, Role, Status};
use cairn_quorum::{Cluster, ClusterParts};
use cairn_rpc::PeerRole;
use cairn_types::{StoreId, SystemClock, SystemEntropy};

use crate::config::ServerConfig;
use crate::gateway::{Gateway, Parts};

/// A gateway that is bound but serves nobody yet.
pub struct Server {
    node: Node,
    host: Host,
    identity: cairn_rpc::Identity,
    gateway: Arc<Gateway>,
    source: NodeSource,
}

impl Server {
    /// Binds both listeners. What can fail at start fails here.
    ///
    /// # Errors
    /// No usable secret, an address that is taken, a certificate that cannot be used.
    pub async fn bind(config: ServerConfig) -> anyhow::Result<Self> {
        let node = Node::open(config.node)?;
        // A gateway keeps nothing: it is another one after each start.
        let store = StoreId::random(&SystemEntropy);
        let (host, identity, address) = node.host(&[(PeerRole::Gateway, Some(store))]).await?;
        let cluster = Cluster::new(ClusterParts {
            view: node.view.clone(),
            dial: Arc::new(identity.connector()),
            local_table: None,
            local_block: None,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            zone: Some(node.zone.clone()),
        });
        let parts = Parts {
            cluster,
            secret: node.secret.clone(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        };
        let gateway = Gateway::open(config.gateway, parts).await?;
        let record = NodeRecord {
            store_id: store.to_bytes(),
            role: Role::Gateway.into(),
            name: node.name.to_string(),
            zone: node.zone.to_string(),
            address,
            s3_url: gateway.s3_url(),
            ..NodeRecord::default()
        };
        let view = node.view.clone();
        let source: NodeSource = Arc::new(move || {
            let epoch = view.current().epoch().0;
            let status = Status { epoch, ready: epoch > 0, ..Status::default() };
            NodeRecord { status: Some(status), ..record.clone() }
        });
        Ok(Self { node, host, identity, gateway, source })
    }

    /// The bound gRPC address; tests ask for port 0.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.host.local_addr()
    }

    /// The bound S3 address.
    #[must_use]
    pub fn s3_addr(&self) -> SocketAddr {
        self.gateway.s3_addr()
    }

    /// Serves until `shutdown`; then finishes open requests.
    ///
    /// # Errors
    /// A listener failed.
    pub async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let clock = Arc::new(SystemClock);
        self.node.watch(&self.identity, vec![self.source], clock, &shutdown);
        let hosted: Vec<Arc<dyn Hosted>> = vec![self.gateway];
        self.host.serve(hosted, shutdown).await
    }
}

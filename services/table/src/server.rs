//! Wiring: the store as a role of a process, and as a process of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use cairn_daemon::{Host, Hosted, Node, NodeSource, Shutdown};
use cairn_model::view::encode_status;
use cairn_proto::membership::v1::{NodeRecord, Role, Status};
use cairn_quorum::{Cluster, ClusterParts, TableReplica as _};
use cairn_rpc::{Identity, PeerRole, WithSession};
use cairn_types::{SystemClock, SystemEntropy};
use cairn_workers::Lifecycle;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tonic::service::RoutesBuilder;

use crate::grpc::Service;
use crate::{Parts, Progress, ServerConfig, Table};

/// How much of the newest may be lost without being noticed at the next start.
const WATERMARK_EVERY: Duration = Duration::from_secs(1);

impl Hosted for Table {
    fn service_names(&self) -> &'static [&'static str] {
        &["cairn.table.v1.TableService"]
    }

    fn add_routes(self: Arc<Self>, mut routes: RoutesBuilder) -> RoutesBuilder {
        routes.add_service(WithSession::new(Service::server(self.clone()), self));
        routes
    }

    fn run(self: Arc<Self>, shutdown: Shutdown) -> BoxFuture<'static, anyhow::Result<()>> {
        async move {
            tokio::select! {
                () = self.follow_views(&shutdown) => {}
                () = self.ended() => bail!("the table's writer ended"),
                () = self.keep_watermark(WATERMARK_EVERY) => {}
            }
            self.close().await.context("closing the table")
        }
        .boxed()
    }
}

impl Table {
    /// Adopts every newer layout the process hears of, so that a quiet store does not stay behind.
    async fn follow_views(&self, shutdown: &Shutdown) {
        let mut views = self.views().subscribe();
        views.mark_changed();
        loop {
            tokio::select! {
                () = shutdown.begun() => return,
                changed = views.changed() => {
                    if changed.is_err() {
                        return shutdown.begun().await;
                    }
                }
            }
            let nothing_yet = self.views().current().record.number == 0;
            if nothing_yet {
                continue;
            }
            if let Err(error) = self.adopt_current().await {
                tracing::warn!(%error, "cannot adopt the newest layout");
            }
        }
    }

    /// What this store says of itself to membership, its progress included.
    #[must_use]
    pub fn report(&self) -> Status {
        let Progress { boots, sequence } = self.progress();
        Status { boot_count: boots, last_sequence: sequence, ..encode_status(&self.status()) }
    }
}

/// A table that is open and bound but serves nobody yet.
pub struct Server {
    node: Node,
    host: Host,
    identity: Identity,
    table: Arc<Table>,
    source: NodeSource,
    lifecycle: Lifecycle,
}

impl Server {
    /// Opens the store and binds the port.
    ///
    /// # Errors
    /// What can fail at start fails here: the secret, the directory, the address.
    pub async fn bind(config: ServerConfig) -> anyhow::Result<Self> {
        let node = Node::open(config.node)?;
        let (directory, capacity) = (config.table.directory.clone(), config.table.capacity);
        let lifecycle = config.table.lifecycle.clone();
        ensure!(!directory.as_os_str().is_empty(), "table.directory is missing");
        let expected = node.machine.recorded(&node.name)?;
        let parts = Parts {
            view: node.view.clone(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            expected,
            watermark: Some(node.machine.watermark(&node.name)),
        };
        let table = Table::open(config.table, parts).await?;
        let store = table.store();
        node.machine.record(&node.name, &directory, store)?;
        let (host, identity, address) = node.host(&[(PeerRole::Table, Some(store))]).await?;
        let record = NodeRecord {
            store_id: store.to_bytes(),
            role: Role::Table.into(),
            name: node.name.to_string(),
            zone: node.zone.to_string(),
            address,
            capacity_bytes: capacity.map_or_else(|| table.capacity(), |capacity| capacity.bytes()),
            ..NodeRecord::default()
        };
        let cluster = Cluster::new(ClusterParts {
            view: node.view.clone(),
            dial: Arc::new(identity.connector()),
            local_table: Some(table.clone()),
            local_block: None,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            zone: Some(node.zone.clone()),
        });
        let lifecycle = Lifecycle::new(cluster, store, lifecycle);
        let reported = table.clone();
        let source: NodeSource = Arc::new(move || NodeRecord { status: Some(reported.report()), ..record.clone() });
        Ok(Self { node, host, identity, table, source, lifecycle })
    }

    /// The bound address; tests ask for port 0.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.host.local_addr()
    }

    /// The store behind it.
    #[must_use]
    pub const fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// Serves until `shutdown`; then finishes open calls and closes the store.
    ///
    /// # Errors
    /// The listener or the store failed.
    pub async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        self.node.watch(&self.identity, vec![self.source], Arc::new(SystemClock), &shutdown);
        shutdown.spawn(self.lifecycle.run(shutdown.clone()));
        let hosted: Vec<Arc<dyn Hosted>> = vec![self.table];
        self.host.serve(hosted, shutdown).await
    }
}

//! Wiring: the daemon as a role of a process, and as a process of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use cairn_daemon::{Host, Hosted, Node, Shutdown};
use cairn_rpc::PeerRole;
use cairn_types::{SystemClock, SystemEntropy};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tonic::service::RoutesBuilder;

use crate::ServerConfig;
use crate::grpc::Service;
use crate::membership::{Membership, Parts, prepare};

impl Hosted for Membership {
    fn service_names(&self) -> &'static [&'static str] {
        &["cairn.membership.v1.MembershipService"]
    }

    fn add_routes(self: Arc<Self>, mut routes: RoutesBuilder) -> RoutesBuilder {
        routes.add_service(Service::server(self));
        routes
    }

    fn run(self: Arc<Self>, shutdown: Shutdown) -> BoxFuture<'static, anyhow::Result<()>> {
        async move {
            let mut ended = self.ended.lock().take().context("a membership daemon runs once")?;
            drop(self.tasks.spawn(self.clone().publish_views()));
            drop(self.tasks.spawn(self.clone().tick()));
            drop(self.tasks.spawn(self.clone().keep_peers()));
            drop(self.tasks.spawn(self.clone().end_abandoned_changes()));
            let failed = tokio::select! {
                () = shutdown.begun() => None,
                () = self.rolled_back.cancelled() => Some(
                    "the directory holds an older state than this store has shown to others: if the newer one is lost, \
                     start with --new-store",
                ),
                // Before it is told to stop it ends only after a failed write.
                _ = &mut ended => Some("the membership state cannot be written"),
            };
            self.closing.cancel();
            self.tasks.close();
            self.tasks.wait().await;
            self.keeper.stop().await;
            // Then the directory is free. One that has failed has ended already.
            ended.await.ok();
            failed.map_or(Ok(()), |why| bail!(why))
        }
        .boxed()
    }
}

/// A membership daemon that is open and bound but serves nobody yet.
pub struct Server {
    host: Host,
    membership: Arc<Membership>,
}

impl Server {
    /// Opens the store and binds the port.
    ///
    /// # Errors
    /// What can fail at start fails here: the secret, the directory, the address.
    pub async fn bind(config: ServerConfig) -> anyhow::Result<Self> {
        let node = Node::open(config.node)?;
        let prepared = prepare(&config.membership, &node, config.membership.init, &SystemEntropy)?;
        let (host, identity, address) = node.host(&[(PeerRole::Membership, Some(prepared.store()))]).await?;
        let parts = Parts {
            name: node.name,
            zone: node.zone,
            address,
            peers: node.config.membership,
            secret: node.secret,
            connector: identity.connector(),
            view: node.view,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        };
        Ok(Self { host, membership: Membership::open(prepared, parts)? })
    }

    /// The bound address; tests ask for port 0.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.host.local_addr()
    }

    #[must_use]
    pub const fn membership(&self) -> &Arc<Membership> {
        &self.membership
    }

    /// Serves until `shutdown`; then ends open calls and streams and closes the store.
    ///
    /// # Errors
    /// The listener failed, or the state cannot be written any more.
    pub async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        self.host.serve(vec![self.membership as Arc<dyn Hosted>], shutdown).await
    }
}

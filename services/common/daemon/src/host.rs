//! One gRPC listener for the roles of a process.

use std::net::SocketAddr;
use std::sync::Arc;

use cairn_rpc::Identity;
use futures_util::future::BoxFuture;
use tokio::net::TcpListener;
use tonic::service::RoutesBuilder;

use crate::Shutdown;

/// A role that lives in a [`Host`]: its gRPC services and its background work.
pub trait Hosted: Send + Sync + 'static {
    /// Full names (`cairn.table.v1.TableService`) of the services it adds; each gets a health entry.
    fn service_names(&self) -> &'static [&'static str];
    fn add_routes(self: Arc<Self>, routes: RoutesBuilder) -> RoutesBuilder;
    /// Runs until `shutdown` begins; then finishes what is open and closes the store.
    fn run(self: Arc<Self>, shutdown: Shutdown) -> BoxFuture<'static, anyhow::Result<()>>;
}

/// A bound listener that serves nobody yet.
pub struct Host {
    listener: TcpListener,
    address: SocketAddr,
    identity: Identity,
}

impl Host {
    /// Binds `listen` (host:port; port 0 chooses one).
    ///
    /// # Errors
    /// The address is taken or not ours.
    pub async fn bind(listen: &str, identity: Identity) -> std::io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, identity })
    }

    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves `hosted` until `shutdown` begins; then reports not-serving, finishes open calls and waits for every `run`.
    ///
    /// # Errors
    /// The first error of a `run`; the others are told to stop.
    pub async fn serve(self, hosted: Vec<Arc<dyn Hosted>>, shutdown: Shutdown) -> anyhow::Result<()> {
        drop((self.listener, self.identity, hosted));
        shutdown.begun().await;
        Ok(())
    }
}

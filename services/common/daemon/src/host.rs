//! One gRPC listener for the roles of a process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use cairn_rpc::Identity;
use futures_util::future::BoxFuture;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;
use tonic::service::RoutesBuilder;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tracing::{info, warn};

use crate::{Shutdown, notify_ready, notify_stopping};

/// What open calls get to end after a stop.
const CALLS_GRACE: Duration = Duration::from_secs(5);
/// What each role gets to close its store.
const ROLE_GRACE: Duration = Duration::from_secs(20);

/// A role that lives in a [`Host`]: its gRPC services and its background work.
pub trait Hosted: Send + Sync + 'static {
    /// Full names (`cairn.table.v1.TableService`) of the services it adds; each gets a health entry.
    fn service_names(&self) -> &'static [&'static str];
    fn add_routes(self: Arc<Self>, routes: RoutesBuilder) -> RoutesBuilder;
    /// Runs until `shutdown` begins; then finishes what is open and closes the store. May end early with `Ok` where
    /// there is nothing to do in the background; an error stops the process.
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
        Self::from_listener(TcpListener::bind(listen).await?, identity)
    }

    /// A host on a listener that was bound before its identity was known.
    ///
    /// # Errors
    /// The listener has no address.
    pub fn from_listener(listener: TcpListener, identity: Identity) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        Ok(Self { listener, address, identity })
    }

    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves `hosted` until `shutdown` begins or a role fails. Then, in this order: health says not-serving, open
    /// calls are answered, and the roles stop one by one, the last one first: list a role behind those it uses.
    ///
    /// # Errors
    /// The first error of a role's `run`, or why the process must not go on ([`Shutdown::fail`]).
    pub async fn serve(self, hosted: Vec<Arc<dyn Hosted>>, shutdown: Shutdown) -> anyhow::Result<()> {
        let names: Vec<&'static str> = hosted.iter().flat_map(|role| role.service_names()).copied().collect();
        let (health, health_service) = tonic_health::server::health_reporter();
        let mut routes = RoutesBuilder::default();
        routes.add_service(health_service);
        add_reflection(&mut routes, &names)?;
        for role in &hosted {
            routes = role.clone().add_routes(routes);
        }
        let roles: Vec<Running> = hosted.into_iter().map(|role| Running::start(role, &shutdown)).collect();
        report(&health, &names, ServingStatus::Serving).await;
        info!(address = %self.address, services = ?names, "serving");
        notify_ready();

        let stopping = async {
            shutdown.begun().await;
            notify_stopping();
            report(&health, &names, ServingStatus::NotServing).await;
        };
        let served = cairn_rpc::serve(self.listener, &self.identity, routes.routes(), stopping, CALLS_GRACE).await;
        // Also when the listener itself failed.
        shutdown.begin();
        let mut outcome = match served {
            Ok(true) => Ok(()),
            Ok(false) => {
                warn!("some connections did not end in time");
                Ok(())
            }
            Err(error) => Err(error).context("the gRPC listener failed"),
        };
        for role in roles.into_iter().rev() {
            let ended = role.stop().await;
            outcome = outcome.and(ended);
        }
        outcome.and(shutdown.failure().map_or(Ok(()), |why| Err(anyhow::anyhow!("{why}"))))
    }
}

/// A role's background work.
struct Running {
    name: &'static str,
    stop: Shutdown,
    task: AbortOnDropHandle<anyhow::Result<()>>,
}

impl Running {
    /// Its failure stops `process`.
    fn start(role: Arc<dyn Hosted>, process: &Shutdown) -> Self {
        let name = role.service_names().first().copied().unwrap_or("a role without services");
        let (stop, process) = (Shutdown::new(), process.clone());
        let work = role.run(stop.clone());
        let task = tokio::spawn(async move {
            // Begins on a panic too.
            let guard = process.token().drop_guard();
            let ended = work.await;
            if ended.is_ok() {
                drop(guard.disarm());
            }
            ended
        });
        Self { name, stop, task: AbortOnDropHandle::new(task) }
    }

    async fn stop(mut self) -> anyhow::Result<()> {
        self.stop.begin();
        let Ok(ended) = tokio::time::timeout(ROLE_GRACE, &mut self.task).await else {
            self.task.abort();
            warn!(service = self.name, "did not end in time");
            return Ok(());
        };
        if !self.stop.finish(ROLE_GRACE).await {
            warn!(service = self.name, "some of its tasks did not end in time");
        }
        ended.with_context(|| format!("{} panicked", self.name))?.with_context(|| format!("{} failed", self.name))
    }
}

async fn report(health: &HealthReporter, names: &[&str], status: ServingStatus) {
    // The empty name stands for the whole process.
    for name in names.iter().copied().chain([""]) {
        health.set_service_status(name, status).await;
    }
}

/// What grpcurl asks: both versions of the protocol, the services of this process only.
fn add_reflection(routes: &mut RoutesBuilder, names: &[&str]) -> anyhow::Result<()> {
    let builder = || {
        let mut builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(cairn_proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("grpc.health.v1.Health");
        for name in names {
            builder = builder.with_service_name(*name);
        }
        builder
    };
    let what = "a hosted service is not in the descriptors";
    routes.add_service(builder().with_service_name("grpc.reflection.v1.ServerReflection").build_v1().context(what)?);
    routes.add_service(
        builder().with_service_name("grpc.reflection.v1alpha.ServerReflection").build_v1alpha().context(what)?,
    );
    Ok(())
}

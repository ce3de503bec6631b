//! The gateway as a role of a process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cairn_daemon::{Hosted, Shutdown};
use cairn_proto::admin::v1::admin_service_server::AdminServiceServer;
use cairn_quorum::Cluster;
use cairn_rpc::ClusterSecret;
use cairn_rpc::limits::MAX_MESSAGE_BYTES;
use cairn_s3::Addressing;
use cairn_types::{Clock, Entropy, HybridClock};
use futures_util::future::BoxFuture;
use tokio_util::task::TaskTracker;
use tonic::service::RoutesBuilder;

use crate::admin::Admin;
use crate::body::digest::HashPool;
use crate::budget::Budget;
use crate::config::Config;
use crate::core::Core;
use crate::directory::Directory;
use crate::http::Listener;
use crate::service::Service;
use crate::web::Sites;

/// Copies that read and store bytes at the same time, each with a few blocks of its own.
const COPIES: usize = 16;

/// Of the memory for bodies, readers of encrypted objects get one part in this many, on top of it.
const OPENED_SHARE: usize = 4;

/// What a [`Gateway`] works with.
pub struct Parts {
    /// The process's one way to the cluster.
    pub cluster: Cluster,
    /// Opens the secrets of access keys, which are sealed in their rows.
    pub secret: ClusterSecret,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

/// S3 in, register and block operations out; `cairn.admin.v1` for operators. Keeps nothing but caches.
pub struct Gateway {
    core: Arc<Core>,
    listener: Listener,
    /// Of web sites, where they are served.
    web: Option<Listener>,
}

impl Gateway {
    /// Binds the listeners; nobody is served until [`Hosted::run`].
    ///
    /// # Errors
    /// An address is taken, or a certificate cannot be used.
    pub async fn open(config: Config, parts: Parts) -> anyhow::Result<Arc<Self>> {
        let listener = Listener::bind("S3", &config.listen, config.tls.as_ref(), &config.limits).await?;
        let web = match &config.web {
            Some(web) => Some(Listener::bind("web sites", &web.listen, web.tls.as_ref(), &config.limits).await?),
            None => None,
        };
        let limits = &config.limits;
        let body_memory = usize::try_from(limits.body_memory.bytes()).unwrap_or(usize::MAX);
        let core = Core {
            addressing: Addressing::new(config.root_domain.clone()),
            upload_times: HybridClock::new(),
            budget: Budget::new(body_memory, limits.operation_timeout.0),
            copies: Budget::of_units(COPIES, limits.operation_timeout.0),
            opened: Budget::new(body_memory / OPENED_SHARE, limits.operation_timeout.0),
            pool: HashPool::new(),
            directory: Directory::new(),
            tasks: TaskTracker::new(),
            cluster: parts.cluster,
            secret: parts.secret,
            clock: parts.clock,
            entropy: parts.entropy,
            config,
        };
        Ok(Arc::new(Self { core: Arc::new(core), listener, web }))
    }

    /// The bound address of the S3 listener.
    #[must_use]
    pub const fn s3_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// The S3 endpoint clients are told to use.
    #[must_use]
    pub fn s3_url(&self) -> String {
        if let Some(url) = &self.core.config.advertise {
            return url.clone();
        }
        self.listener.url()
    }

    /// The bound address of the listener for web sites, where there is one.
    #[must_use]
    pub fn web_addr(&self) -> Option<SocketAddr> {
        self.web.as_ref().map(Listener::local_addr)
    }

    /// Where web sites are served, without any site's name.
    #[must_use]
    pub fn web_url(&self) -> Option<String> {
        self.web.as_ref().map(Listener::url)
    }

    async fn serve_sites(&self, shutdown: &Shutdown) {
        let (Some(listener), Some(web)) = (&self.web, &self.core.config.web) else { return };
        let sites = Sites::new(self.core.clone(), web.root_domain.as_deref(), listener.is_tls());
        tracing::info!(url = listener.url(), root_domain = web.root_domain, "serving web sites");
        listener.serve(Arc::new(sites), shutdown).await;
    }
}

impl Hosted for Gateway {
    fn service_names(&self) -> &'static [&'static str] {
        &["cairn.admin.v1.AdminService"]
    }

    fn add_routes(self: Arc<Self>, mut routes: RoutesBuilder) -> RoutesBuilder {
        let admin = AdminServiceServer::new(Admin::new(self.core.clone())).max_decoding_message_size(MAX_MESSAGE_BYTES);
        routes.add_service(admin);
        routes
    }

    fn run(self: Arc<Self>, shutdown: Shutdown) -> BoxFuture<'static, anyhow::Result<()>> {
        Box::pin(async move {
            let service = Arc::new(Service { core: self.core.clone(), secure: self.listener.is_tls() });
            tracing::info!(url = self.s3_url(), "serving S3");
            tokio::join!(self.listener.serve(service, &shutdown), self.serve_sites(&shutdown));
            self.core.tasks.close();
            self.core.cluster.drain(Duration::from_secs(5)).await;
            Ok(())
        })
    }
}

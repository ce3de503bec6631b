//! A membership daemon that says what it is told to say.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cairn_daemon::{Host, Hosted, Shutdown};
use cairn_model::view::encode_view;
use cairn_placement::ClusterView;
use cairn_proto::membership::v1 as membership;
use cairn_proto::membership::v1::membership_service_server::{MembershipService, MembershipServiceServer};
use cairn_proto::membership::v1::{NodeRecord, WatchRequest, WatchResponse};
use cairn_rpc::{CallError, ClusterSecret, Identity, PeerRole, ViewCell};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt as _};
use parking_lot::Mutex;
use tokio::time::Instant;
use tonic::service::RoutesBuilder;
use tonic::{Request, Response, Status, Streaming};

pub(crate) fn secret() -> ClusterSecret {
    ClusterSecret::from_bytes(&[1; 32]).unwrap()
}

pub(crate) fn identity(role: PeerRole) -> Identity {
    Identity::derive(&secret(), &[(role, None)], &[]).unwrap()
}

pub(crate) fn export(directory: &Path) {
    cairn_rpc::export_client(&secret(), directory).unwrap();
}

pub(crate) async fn wait_until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < end, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Answers `Watch` with the view it holds, whenever that changes.
pub(crate) struct Membership {
    pub(crate) view: ViewCell,
    pub(crate) heard: Mutex<Vec<NodeRecord>>,
    /// What `run` answers when it is told to stop.
    pub(crate) ending: Mutex<Option<anyhow::Error>>,
    /// Fails `run` at once.
    pub(crate) broken: bool,
    /// Refuses every heartbeat: the store has been further.
    pub(crate) refuses: bool,
    pub(crate) stopped: Shutdown,
}

impl Membership {
    pub(crate) fn new(view: ClusterView) -> Self {
        Self {
            view: ViewCell::new(view),
            heard: Mutex::default(),
            ending: Mutex::default(),
            broken: false,
            refuses: false,
            stopped: Shutdown::new(),
        }
    }
}

impl Hosted for Membership {
    fn service_names(&self) -> &'static [&'static str] {
        &["cairn.membership.v1.MembershipService"]
    }

    fn add_routes(self: Arc<Self>, mut routes: RoutesBuilder) -> RoutesBuilder {
        routes.add_service(MembershipServiceServer::new(Service(self)));
        routes
    }

    fn run(self: Arc<Self>, shutdown: Shutdown) -> BoxFuture<'static, anyhow::Result<()>> {
        async move {
            if self.broken {
                anyhow::bail!("broken from the start");
            }
            shutdown.begun().await;
            self.stopped.begin();
            self.ending.lock().take().map_or(Ok(()), Err)
        }
        .boxed()
    }
}

/// One running host.
pub(crate) struct Running {
    pub(crate) address: String,
    pub(crate) role: Arc<Membership>,
    pub(crate) shutdown: Shutdown,
    pub(crate) served: tokio::task::JoinHandle<anyhow::Result<()>>,
}

pub(crate) async fn start(role: Membership) -> Running {
    let role = Arc::new(role);
    let host = Host::bind("127.0.0.1:0", identity(PeerRole::Membership)).await.unwrap();
    let (address, shutdown) = (host.local_addr().to_string(), Shutdown::new());
    let served = tokio::spawn(host.serve(vec![role.clone()], shutdown.clone()));
    Running { address, role, shutdown, served }
}

struct Service(Arc<Membership>);

type Reply<T> = Result<Response<T>, Status>;

fn unused<T>() -> Reply<T> {
    Err(Status::unimplemented(""))
}

#[async_trait]
impl MembershipService for Service {
    type WatchStream = BoxStream<'static, Result<WatchResponse, Status>>;
    type ExchangeStream = BoxStream<'static, Result<membership::ExchangeResponse, Status>>;

    async fn watch(&self, request: Request<Streaming<WatchRequest>>) -> Reply<Self::WatchStream> {
        if self.0.refuses {
            return Err(CallError::WentBack("it went back".to_owned()).into());
        }
        let mut views = self.0.view.subscribe();
        views.mark_changed();
        let (role, requests) = (self.0.clone(), request.into_inner());
        let heard = requests.filter_map(move |request| {
            role.heard.lock().extend(request.ok().and_then(|request| request.node));
            std::future::ready(None)
        });
        let views = futures_util::stream::unfold(views, async |mut views| {
            views.changed().await.ok()?;
            let view = Some(encode_view(&views.borrow_and_update().clone()));
            Some((Ok(WatchResponse { view }), views))
        });
        let stop = self.0.stopped.clone();
        let both = futures_util::stream::select(heard, views);
        Ok(Response::new(both.take_until(async move { stop.begun().await }).boxed()))
    }

    async fn exchange(&self, _: Request<Streaming<membership::ExchangeRequest>>) -> Reply<Self::ExchangeStream> {
        unused()
    }

    async fn get_view(&self, _: Request<membership::GetViewRequest>) -> Reply<membership::GetViewResponse> {
        Ok(Response::new(membership::GetViewResponse { view: Some(encode_view(&self.0.view.current())) }))
    }

    async fn create_join_token(
        &self,
        _: Request<membership::CreateJoinTokenRequest>,
    ) -> Reply<membership::CreateJoinTokenResponse> {
        unused()
    }

    async fn join(&self, _: Request<membership::JoinRequest>) -> Reply<membership::JoinResponse> {
        unused()
    }

    async fn get_layout(&self, _: Request<membership::GetLayoutRequest>) -> Reply<membership::GetLayoutResponse> {
        unused()
    }

    async fn stage_layout(&self, _: Request<membership::StageLayoutRequest>) -> Reply<membership::StageLayoutResponse> {
        unused()
    }

    async fn revert_layout(
        &self,
        _: Request<membership::RevertLayoutRequest>,
    ) -> Reply<membership::RevertLayoutResponse> {
        unused()
    }

    async fn preview_layout(
        &self,
        _: Request<membership::PreviewLayoutRequest>,
    ) -> Reply<membership::PreviewLayoutResponse> {
        unused()
    }

    async fn apply_layout(&self, _: Request<membership::ApplyLayoutRequest>) -> Reply<membership::ApplyLayoutResponse> {
        unused()
    }

    async fn vote(&self, _: Request<membership::VoteRequest>) -> Reply<membership::VoteResponse> {
        unused()
    }

    async fn info(&self, _: Request<membership::InfoRequest>) -> Reply<membership::InfoResponse> {
        unused()
    }
}

//! A block daemon with nothing behind it, and the identities to reach it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_proto::block::v1 as block;
use cairn_proto::block::v1::block_service_server::{BlockService, BlockServiceServer};
use cairn_proto::common::v1::Frame;
use cairn_rpc::limits::MAX_MESSAGE_BYTES;
use cairn_rpc::{
    CallContext, CallError, ClusterSecret, Connector, Identity, Peer, PeerRole, PeerService, SessionReply,
    SessionRequest, SessionService, WithSession, serve_session,
};
use cairn_types::{ClusterId, Epoch, RequestId, StoreId};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

pub(crate) const STORE: StoreId = StoreId([4; 16]);

/// Answers with the request's head, and its body if it has one.
pub(crate) const ECHO: u32 = 1;
/// Answers after as many milliseconds as the head says (eight bytes, big-endian).
pub(crate) const WAIT: u32 = 2;
/// Answers with as many bytes as the head says.
pub(crate) const PRODUCE: u32 = 3;
/// Fails.
pub(crate) const FAIL: u32 = 4;
/// Panics.
pub(crate) const PANIC: u32 = 5;

pub(crate) fn secret(byte: u8) -> ClusterSecret {
    ClusterSecret::from_bytes(&[byte; 32]).unwrap()
}

pub(crate) fn identity(secret: &ClusterSecret, role: PeerRole) -> Identity {
    Identity::derive(secret, &[(role, None)], &[]).unwrap()
}

pub(crate) fn context(timeout: Duration) -> CallContext {
    CallContext {
        store: STORE,
        epoch: Epoch(1),
        request: RequestId([1; 16]),
        deadline: Instant::now() + timeout,
        view: None,
    }
}

pub(crate) fn soon() -> CallContext {
    context(Duration::from_secs(20))
}

pub(crate) fn number(value: u64) -> Bytes {
    Bytes::copy_from_slice(&value.to_be_bytes())
}

pub(crate) async fn collect(mut body: BoxStream<'static, Result<Bytes, CallError>>) -> Result<Vec<u8>, CallError> {
    let mut all = vec![];
    while let Some(piece) = body.next().await {
        all.extend_from_slice(&piece?);
    }
    Ok(all)
}

pub(crate) async fn wait_until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < end, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[derive(Clone)]
pub(crate) struct Store {
    cluster: ClusterId,
}

#[async_trait]
impl SessionService for Store {
    fn store(&self) -> StoreId {
        STORE
    }

    fn cluster(&self) -> ClusterId {
        self.cluster
    }

    fn epoch(&self) -> Epoch {
        Epoch(1)
    }

    async fn call(&self, request: SessionRequest) -> Result<SessionReply, CallError> {
        let value = || u64::from_be_bytes(request.head.as_ref().try_into().unwrap_or_default());
        match request.method {
            ECHO => {
                let pieces: Vec<_> = request.body.collect().await;
                let body = (!pieces.is_empty()).then(|| stream::iter(pieces).boxed());
                Ok(SessionReply { head: request.head, body })
            }
            WAIT => {
                tokio::time::sleep(Duration::from_millis(value())).await;
                Ok(SessionReply::head(request.head))
            }
            PRODUCE => {
                let piece = Bytes::from(vec![7; 256 * 1024]);
                let mut left = usize::try_from(value()).unwrap();
                let pieces = std::iter::from_fn(move || {
                    let size = left.min(piece.len());
                    left -= size;
                    (size > 0).then(|| Ok(piece.slice(..size)))
                });
                Ok(SessionReply { head: Bytes::new(), body: Some(stream::iter(pieces).boxed()) })
            }
            FAIL => Err(CallError::StaleEpoch { view: request.head }),
            PANIC => panic!("asked for"),
            other => Err(CallError::Unimplemented(format!("method {other}"))),
        }
    }
}

type Reply<T> = Result<Response<T>, Status>;

#[async_trait]
impl BlockService for Store {
    type SessionStream = BoxStream<'static, Result<Frame, Status>>;
    type GetBlockStream = BoxStream<'static, Result<block::GetBlockResponse, Status>>;

    async fn session(&self, request: Request<Streaming<Frame>>) -> Reply<Self::SessionStream> {
        Ok(Response::new(serve_session(Arc::new(self.clone()), request)))
    }

    async fn put_block(&self, _: Request<Streaming<block::PutBlockRequest>>) -> Reply<block::PutBlockResponse> {
        Err(CallError::Full("here".to_owned()).into())
    }

    async fn get_block(&self, _: Request<block::GetBlockRequest>) -> Reply<Self::GetBlockStream> {
        Err(CallError::NotFound("there".to_owned()).into())
    }

    async fn add_references(&self, _: Request<block::AddReferencesRequest>) -> Reply<block::AddReferencesResponse> {
        Err(Status::unimplemented(""))
    }

    async fn drop_references(&self, _: Request<block::DropReferencesRequest>) -> Reply<block::DropReferencesResponse> {
        Err(Status::unimplemented(""))
    }

    async fn stat_blocks(&self, _: Request<block::StatBlocksRequest>) -> Reply<block::StatBlocksResponse> {
        Err(Status::unimplemented(""))
    }

    async fn list_references(&self, _: Request<block::ListReferencesRequest>) -> Reply<block::ListReferencesResponse> {
        Err(Status::unimplemented(""))
    }

    async fn info(&self, request: Request<block::InfoRequest>) -> Reply<block::InfoResponse> {
        cairn_rpc::require(&request, &[PeerRole::Gateway, PeerRole::Admin])?;
        Ok(Response::new(block::InfoResponse { store_id: STORE.to_bytes(), ..Default::default() }))
    }
}

/// Who reads and writes a daemon's sessions.
#[derive(Clone, Copy)]
pub(crate) enum Codec {
    Own,
    Tonic,
}

/// A listener with a runtime of its own, so that it can be stopped cleanly or die at once.
pub(crate) struct Daemon {
    pub(crate) address: String,
    pub(crate) cluster: ClusterId,
    stop: CancellationToken,
    kill: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Daemon {
    pub(crate) fn start() -> Self {
        Self::start_at("127.0.0.1:0")
    }

    pub(crate) fn start_at(address: &str) -> Self {
        Self::start_with(address, Codec::Own)
    }

    pub(crate) fn start_with(address: &str, codec: Codec) -> Self {
        let secret = secret(1);
        let identity = identity(&secret, PeerRole::Block);
        let cluster = identity.cluster();
        let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
        let (bound, address) = (std::sync::mpsc::channel(), address.to_owned());
        let ends = (stop.clone(), kill.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind(address).await.unwrap();
                bound.0.send(listener.local_addr().unwrap().to_string()).unwrap();
                let store = Store { cluster };
                let service = BlockServiceServer::new(store.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES);
                let routes = match codec {
                    Codec::Own => Routes::new(WithSession::new(service, Arc::new(store))),
                    Codec::Tonic => Routes::new(service),
                };
                let serving =
                    cairn_rpc::serve(listener, &identity, routes, ends.0.cancelled_owned(), Duration::from_secs(5));
                tokio::select! {
                    ended = serving => assert!(ended.unwrap(), "connections outlived the grace period"),
                    () = ends.1.cancelled() => {}
                }
            });
        });
        let address = bound.1.recv().unwrap();
        Self { address, cluster, stop, kill, thread: Some(thread) }
    }

    pub(crate) fn peer(&self) -> Arc<Peer> {
        self.peer_at(&self.address)
    }

    pub(crate) fn peer_at(&self, address: &str) -> Arc<Peer> {
        self.connector(PeerRole::Gateway).peer(PeerService::Block, address, STORE, self.cluster)
    }

    pub(crate) fn connector(&self, role: PeerRole) -> Connector {
        identity(&secret(1), role).connector()
    }

    /// All sockets close without a word.
    pub(crate) async fn die(mut self) {
        self.kill.cancel();
        self.join().await;
    }

    /// An orderly stop; open calls are answered first.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        self.join().await;
    }

    async fn join(&mut self) {
        let thread = self.thread.take().unwrap();
        tokio::task::spawn_blocking(|| thread.join()).await.unwrap().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill.cancel();
    }
}

//! One gRPC listener over mutual TLS 1.3.
//!
//! - **L1** Nothing is read as HTTP before the peer's certificate was verified (`tests/rpc/identity.rs`).
//! - **L2** Handshakes and connections are bounded in number, handshakes in time (`tests/rpc/identity.rs`).
//! - **L3** A request reaches a handler only if the table of rights has a row that allows it
//!   (`roles_are_checked_before_handlers`).

mod accept;
mod authorize;
mod ending;

use std::future::Future;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tonic::service::Routes;
use tonic::transport::Server;

use self::authorize::AuthorizeLayer;
use crate::Identity;
use crate::limits::{
    CONNECTION_WINDOW_BYTES, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, MAX_FRAME_BYTES, MAX_STREAMS, STREAM_WINDOW_BYTES,
};
use crate::socket::Listen;

/// Connections that were accepted and wait for tonic.
const ACCEPTED: usize = 16;

/// In the extensions of every request: says when the server stops, so that a handler can end early. Streams that never
/// end by themselves (`Watch`, `Exchange`) are ended for their handlers.
#[derive(Clone, Debug)]
pub struct Closing(pub(crate) CancellationToken);

impl Closing {
    /// Resolves when the server stops taking calls. Cancel safe.
    pub async fn begun(&self) {
        self.0.cancelled().await;
    }
}

/// Serves `routes` until `shutdown`; then takes no new calls, lets open ones and idle sessions end for `grace`,
/// and returns. False: some connections were still open.
///
/// # Errors
/// The HTTP/2 server failed as a whole: never seen.
pub async fn serve(
    listener: impl Listen,
    identity: &Identity,
    routes: Routes,
    shutdown: impl Future<Output = ()>,
    grace: Duration,
) -> Result<bool, tonic::transport::Error> {
    let closing = CancellationToken::new();
    let (accepted, connections) = mpsc::channel(ACCEPTED);
    let acceptor = AbortOnDropHandle::new(tokio::spawn(accept::run(listener, identity.clone(), accepted)));
    let serving = Server::builder()
        .layer(AuthorizeLayer::new(Closing(closing.clone())))
        .http2_keepalive_interval(Some(2 * KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_frame_size(MAX_FRAME_BYTES)
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .add_routes(routes)
        .serve_with_incoming_shutdown(ReceiverStream::new(connections), closing.clone().cancelled_owned());
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => return ended.map(|()| true),
        () = shutdown => {}
    }
    drop(acceptor);
    closing.cancel();
    match tokio::time::timeout(grace, serving).await {
        Ok(ended) => ended.map(|()| true),
        Err(_) => Ok(false),
    }
}

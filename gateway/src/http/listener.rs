//! Accepts connections and speaks HTTP on them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use cairn_daemon::Shutdown;
use http::header::CONNECTION;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::linger::{Linger, Unread};
use super::outbound::Body;
use super::stall::WriteStall;
use super::tls::Certificates;
use crate::config::{Limits, Tls};

/// Bytes of a connection's read buffer, and so of a body's largest chunk.
const READ_BUFFER: usize = 256 << 10;
/// HTTP/2 requests of one connection at a time.
const STREAMS: u32 = 128;

/// Answers requests; whatever goes wrong is an answer too.
#[async_trait]
pub(crate) trait Handler: Send + Sync + 'static {
    async fn handle(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Body>;
}

/// A bound listener.
pub(crate) struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
    certificates: Option<Arc<Certificates>>,
    limits: Limits,
}

impl Listener {
    /// `what`: what is served, for people.
    pub(crate) async fn bind(what: &str, listen: &str, tls: Option<&Tls>, limits: &Limits) -> anyhow::Result<Self> {
        let tcp = TcpListener::bind(listen).await.with_context(|| format!("cannot listen for {what} on {listen}"))?;
        let address = tcp.local_addr().with_context(|| format!("the listener for {what} has no address"))?;
        let certificates = tls.cloned().map(Certificates::load).transpose()?;
        Ok(Self { tcp, address, certificates, limits: limits.clone() })
    }

    pub(crate) const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// How it is reached from this machine.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.is_tls() { "https" } else { "http" };
        let address = self.address;
        if address.ip().is_unspecified() {
            return format!("{scheme}://localhost:{}", address.port());
        }
        format!("{scheme}://{address}")
    }

    pub(crate) const fn is_tls(&self) -> bool {
        self.certificates.is_some()
    }

    /// Accepts until shutdown begins; then lets open requests finish within the drain time.
    pub(crate) async fn serve(&self, handler: Arc<dyn Handler>, shutdown: &Shutdown) {
        if let Some(certificates) = &self.certificates {
            shutdown.spawn(certificates.clone().watch(shutdown.clone()));
        }
        let open = Arc::new(Semaphore::new(self.limits.connections.clamp(1, Semaphore::MAX_PERMITS)));
        let connections = TaskTracker::new();
        while let Some((tcp, peer, permit)) = self.accept(&open, shutdown).await {
            let connection =
                Connection { handler: handler.clone(), peer, limits: self.limits.clone(), shutdown: shutdown.clone() };
            let acceptor = self.certificates.as_ref().map(|certificates| certificates.acceptor());
            drop(connections.spawn(async move {
                match acceptor {
                    None => connection.speak(tcp, false).await,
                    Some(acceptor) => connection.speak_tls(tcp, acceptor).await,
                }
                drop(permit);
            }));
        }
        connections.close();
        if tokio::time::timeout(self.limits.drain.0, connections.wait()).await.is_err() {
            tracing::warn!(open = connections.len(), "requests were cut off at shutdown");
        }
    }

    /// The next connection and its place among those allowed; none once shutdown has begun.
    async fn accept(
        &self,
        open: &Arc<Semaphore>,
        shutdown: &Shutdown,
    ) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
        loop {
            let accepted = async {
                let permit = open.clone().acquire_owned().await.ok()?;
                Some((self.tcp.accept().await, permit))
            };
            let (accepted, permit) = tokio::select! {
                () = shutdown.begun() => return None,
                accepted = accepted => accepted?,
            };
            match accepted {
                Ok((tcp, peer)) => {
                    if let Err(error) = tcp.set_nodelay(true) {
                        tracing::debug!(%peer, %error, "no TCP_NODELAY");
                    }
                    return Some((tcp, peer, permit));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: give others time to close theirs.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

struct Connection {
    handler: Arc<dyn Handler>,
    peer: SocketAddr,
    limits: Limits,
    shutdown: Shutdown,
}

impl Connection {
    async fn speak_tls(self, tcp: TcpStream, acceptor: tokio_rustls::TlsAcceptor) {
        let patience = self.limits.header_timeout.0;
        match tokio::time::timeout(patience, acceptor.accept(tcp)).await {
            Ok(Ok(tls)) => {
                let h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
                self.speak(tls, h2).await;
            }
            Ok(Err(error)) => tracing::debug!(peer = %self.peer, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(peer = %self.peer, "TLS handshake timed out"),
        }
    }

    async fn speak<S>(self, stream: S, h2: bool)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let unread = Unread::default();
        let stream = WriteStall::new(stream, self.limits.idle_timeout.0);
        let io = TokioIo::new(Box::pin(Linger::new(stream, unread.clone())));
        let Self { handler, peer, limits, shutdown } = self;
        let service = service_fn(move |request| {
            let (handler, unread) = (handler.clone(), unread.clone());
            async move {
                let response = handler.handle(request, peer).await;
                // A handler closes a connection only because a body was left in it.
                if response.headers().contains_key(CONNECTION) {
                    unread.set();
                }
                Ok::<_, Infallible>(response)
            }
        });
        let ended = if h2 {
            let connection = http2_builder(&limits).serve_connection(io, service);
            drive(connection, &shutdown, |connection| connection.graceful_shutdown()).await
        } else {
            let connection = http1_builder(&limits).serve_connection(io, service);
            drive(connection, &shutdown, |connection| connection.graceful_shutdown()).await
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "connection ended early");
        }
    }
}

/// Runs a connection of either version to its end; once shutdown begins it takes no new requests.
async fn drive<C>(connection: C, shutdown: &Shutdown, refuse: impl FnOnce(Pin<&mut C>)) -> hyper::Result<()>
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = shutdown.begun() => {}
    }
    refuse(connection.as_mut());
    connection.await
}

fn http1_builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout.0)
        .max_headers(limits.headers)
        .max_header_size(header_size(limits))
        .max_buf_size(READ_BUFFER.max(header_size(limits)));
    builder
}

fn http2_builder(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(header_size(limits)).unwrap_or(u32::MAX))
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(8 << 20)
        .keep_alive_interval(limits.idle_timeout.0)
        .keep_alive_timeout(limits.idle_timeout.0);
    builder
}

/// Hyper takes no buffer below 8 KiB.
fn header_size(limits: &Limits) -> usize {
    usize::try_from(limits.header_size.bytes()).unwrap_or(usize::MAX).max(8 << 10)
}

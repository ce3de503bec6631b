//! Opens connections: TCP, mutual TLS 1.3, HTTP/2.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use cairn_types::{ClusterId, StoreId};
use futures_util::future::BoxFuture;
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use tower_service::Service;

use crate::identity::SERVER_NAME;
use crate::limits::{
    CONNECT_TIMEOUT, CONNECTION_WINDOW_BYTES, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, MAX_FRAME_BYTES,
    STREAM_WINDOW_BYTES, TLS_BUFFER_BYTES,
};
use crate::socket::{Network, Socket, Tcp};
use crate::{Peer, PeerService};

/// Opens connections with one process's identity. Cheap to clone.
#[derive(Clone)]
pub struct Connector {
    tls: TlsConnector,
    network: Arc<dyn Network>,
}

impl Connector {
    pub(crate) fn new(tls: Arc<rustls::ClientConfig>) -> Self {
        Self { tls: TlsConnector::from(tls), network: Arc::new(Tcp) }
    }

    /// The same, over another network than this machine's: a simulated one.
    #[must_use]
    pub fn over(self, network: Arc<dyn Network>) -> Self {
        Self { network, ..self }
    }

    /// A peer's store. Connects at the first call of each lane, and then again by itself until dropped.
    #[must_use]
    pub fn peer(&self, service: PeerService, address: &str, store: StoreId, cluster: ClusterId) -> Arc<Peer> {
        Arc::new(Peer::new(self.clone(), service, address, store, cluster))
    }

    /// A channel for plain gRPC calls (membership, admin) to `host:port`. Connects at the first call, and again at the
    /// first one after the connection broke; calls meanwhile fail with `UNAVAILABLE`.
    #[must_use]
    pub fn channel(&self, address: &str) -> Channel {
        endpoint().connect_with_connector_lazy(self.dial(address))
    }

    /// One connection to `address`; it is not opened again when it breaks.
    pub(crate) async fn connect(&self, address: &str) -> Result<Channel, tonic::transport::Error> {
        endpoint().connect_with_connector(self.dial(address)).await
    }

    fn dial(&self, address: &str) -> Dial {
        Dial { tls: self.tls.clone(), network: self.network.clone(), address: address.into() }
    }
}

fn endpoint() -> Endpoint {
    // The address stands in `Dial`; this only becomes the `:authority`.
    Endpoint::from_static("http://cairn.internal")
        .max_frame_size(MAX_FRAME_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
}

/// tonic asks it for connections.
#[derive(Clone)]
struct Dial {
    tls: TlsConnector,
    network: Arc<dyn Network>,
    address: Arc<str>,
}

impl Service<Uri> for Dial {
    type Response = TokioIo<TlsStream<Box<dyn Socket>>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Dial { tls, network, address } = self.clone();
        Box::pin(async move {
            let connecting = async {
                let socket = network.connect(&address).await?;
                let name = ServerName::try_from(SERVER_NAME).map_err(io::Error::other)?;
                let mut stream = tls.connect(name, socket).await?;
                stream.get_mut().1.set_buffer_limit(Some(TLS_BUFFER_BYTES));
                Ok::<_, io::Error>(stream)
            };
            match timeout(CONNECT_TIMEOUT, connecting).await {
                Ok(connected) => connected.map(TokioIo::new),
                Err(_) => Err(io::ErrorKind::TimedOut.into()),
            }
        })
    }
}

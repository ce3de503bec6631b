//! Accepts connections: TCP, then TLS, then the peer's roles; whatever fails is closed without a word but TLS's own.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;
use tracing::{debug, warn};

use crate::limits::{HANDSHAKE_TIMEOUT, MAX_CONNECTIONS, MAX_HANDSHAKES, TLS_BUFFER_BYTES};
use crate::socket::{Listen, Socket};
use crate::{Identity, PeerIdentity};

/// Wait after `accept` itself failed: no descriptors left, for instance.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// A connection whose peer is known.
pub(super) struct Connection<S> {
    stream: TlsStream<S>,
    peer: PeerIdentity,
    _slot: OwnedSemaphorePermit,
}

/// Accepts for ever; ends when nobody takes connections.
pub(super) async fn run<L: Listen>(
    mut listener: L,
    identity: Identity,
    accepted: mpsc::Sender<io::Result<Connection<L::Socket>>>,
) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let tls = TlsAcceptor::from(identity.server_config());
    let mut handshakes = JoinSet::new();
    loop {
        while handshakes.len() >= MAX_HANDSHAKES {
            drop(handshakes.join_next().await);
        }
        while handshakes.try_join_next().is_some() {}
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        let socket = tokio::select! {
            accept = listener.accept() => match accept {
                Ok(socket) => socket,
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_RETRY).await;
                    continue;
                }
            },
            () = accepted.closed() => return,
        };
        let (tls, cluster, accepted) = (tls.clone(), identity.cluster(), accepted.clone());
        handshakes.spawn(async move {
            match timeout(HANDSHAKE_TIMEOUT, tls.accept(socket)).await {
                Ok(Ok(mut stream)) => match peer_of(&stream, cluster) {
                    Some(peer) => {
                        stream.get_mut().1.set_buffer_limit(Some(TLS_BUFFER_BYTES));
                        let connection = Connection { stream, peer, _slot: slot };
                        drop(accepted.send(Ok(connection)).await);
                    }
                    None => debug!("a certificate names no role in this cluster"),
                },
                Ok(Err(error)) => debug!(%error, "handshake refused"),
                Err(_) => debug!("handshake took too long"),
            }
        });
    }
}

fn peer_of<S>(stream: &TlsStream<S>, cluster: cairn_types::ClusterId) -> Option<PeerIdentity> {
    let (_, session) = stream.get_ref();
    PeerIdentity::of_certificate(session.peer_certificates()?.first()?, cluster)
}

impl<S: Socket> Connected for Connection<S> {
    type ConnectInfo = PeerIdentity;

    fn connect_info(&self) -> PeerIdentity {
        self.peer.clone()
    }
}

impl<S: Socket> AsyncRead for Connection<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: Socket> AsyncWrite for Connection<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

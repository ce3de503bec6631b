//! Byte streams between processes: TCP sockets, or those of a simulated network.

use std::io;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tracing::debug;

/// A byte stream to another process.
pub trait Socket: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Socket for T {}

/// Where a server takes its connections from.
#[async_trait]
pub trait Listen: Send + 'static {
    type Socket: Socket;

    /// The next connection. Cancel safe.
    async fn accept(&mut self) -> io::Result<Self::Socket>;
}

/// Where a client opens its connections.
#[async_trait]
pub trait Network: Send + Sync + 'static {
    /// A connection to `host:port`.
    async fn connect(&self, address: &str) -> io::Result<Box<dyn Socket>>;
}

/// The network of this machine.
pub(crate) struct Tcp;

#[async_trait]
impl Network for Tcp {
    async fn connect(&self, address: &str) -> io::Result<Box<dyn Socket>> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        Ok(Box::new(socket))
    }
}

#[async_trait]
impl Listen for TcpListener {
    type Socket = TcpStream;

    async fn accept(&mut self) -> io::Result<TcpStream> {
        let (socket, _) = TcpListener::accept(self).await?;
        if let Err(error) = socket.set_nodelay(true) {
            debug!(%error, "cannot switch off Nagle's algorithm");
        }
        Ok(socket)
    }
}

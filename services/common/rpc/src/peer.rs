//! The client half of sessions: a peer's store, reached over one control and two bulk sessions.

use std::sync::Arc;

use bytes::Bytes;
use cairn_types::{ClusterId, StoreId};
use futures_util::stream::BoxStream;
use tonic::transport::Channel;

use crate::{CallContext, CallError};

/// Which service's `Session` to open.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PeerService {
    Table,
    Block,
}

/// Which session a call takes: small calls are never queued behind blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lane {
    Control,
    Bulk,
}

/// Opens connections with one process's identity. Cheap to clone.
#[derive(Clone)]
pub struct Connector {
    tls: Arc<rustls::ClientConfig>,
}

impl Connector {
    /// A peer's store; connects at the first call and reconnects by itself until dropped.
    #[must_use]
    pub fn peer(&self, service: PeerService, address: &str, store: StoreId, cluster: ClusterId) -> Arc<Peer> {
        let tls = self.tls.clone();
        Arc::new(Peer { service, address: address.to_owned(), store, cluster, tls })
    }

    /// A channel for plain gRPC calls (membership, admin); connects at the first call.
    ///
    /// # Errors
    /// [`CallError::Invalid`] where `address` is not `host:port`.
    pub fn channel(&self, address: &str) -> Result<Channel, CallError> {
        Err(CallError::Unreachable(address.to_owned()))
    }
}

/// A reply and the body that follows it.
pub struct PeerReply {
    pub head: Bytes,
    pub body: BoxStream<'static, Result<Bytes, CallError>>,
}

/// One store of another process. Dropping it closes its sessions.
pub struct Peer {
    service: PeerService,
    address: String,
    store: StoreId,
    cluster: ClusterId,
    tls: Arc<rustls::ClientConfig>,
}

impl Peer {
    /// Calls `method` with `head` and `body`. Dropping the future tells the peer that nobody waits; what it began may finish.
    ///
    /// # Errors
    /// [`CallError::Unreachable`] at once while the peer is down, or when its session dies under the call;
    /// [`CallError::Deadline`] when `context.deadline` passes; else what the peer answered.
    pub async fn call(
        &self,
        lane: Lane,
        context: &CallContext,
        method: u32,
        head: Bytes,
        body: Vec<Bytes>,
    ) -> Result<PeerReply, CallError> {
        let _ = (lane, context, method, head, body, self.service, self.store, self.cluster, &self.tls);
        Err(CallError::Unreachable(self.address.clone()))
    }

    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    #[must_use]
    pub const fn store(&self) -> StoreId {
        self.store
    }
}

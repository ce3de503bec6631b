//! The server half of a session: one long stream that carries many calls (DESIGN §4).
//!
//! - **S1** The first frame each way is a handshake; a caller that means another store is told which one this is and
//!   served nothing (`tests/rpc/session.rs: wrong_store_is_refused`).
//! - **S2** The reader never waits for a consumer or a handler: what exceeds a bound is refused with `Busy`
//!   (`slow_consumer_does_not_block_others`).
//! - **S3** Every call is answered or dropped by its deadline (`deadlines_hold_on_both_sides`).
//! - **S4** No frame, however malformed, does more than end its own session (`garbage_frames_end_only_their_session`).

mod assembly;
#[cfg(test)]
mod fuzz;
mod serve;
mod service;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_proto::common::v1::Frame;
use cairn_types::{ClusterId, Epoch, StoreId};
use futures_util::stream::{BoxStream, StreamExt as _};
use tonic::{Request, Status, Streaming};

pub use self::service::WithSession;
use crate::server::Closing;
use crate::{CallContext, CallError};

/// One call, complete: a body is handed over only after its last frame came.
pub struct SessionRequest {
    pub context: CallContext,
    /// The service's `Method` number.
    pub method: u32,
    /// The encoded request message. A slice of the receive buffer: copy what is kept for long.
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

/// What [`serve_session`] reads: the request as tonic hands it over, or its stream alone (then it ends only with its
/// peer, not at a shutdown).
pub struct Inbound {
    frames: Streaming<Frame>,
    closing: Option<Closing>,
}

impl From<Request<Streaming<Frame>>> for Inbound {
    fn from(mut request: Request<Streaming<Frame>>) -> Self {
        let closing = request.extensions_mut().remove::<Closing>();
        Self { frames: request.into_inner(), closing }
    }
}

impl From<Streaming<Frame>> for Inbound {
    fn from(frames: Streaming<Frame>) -> Self {
        Self { frames, closing: None }
    }
}

/// Serves one session until the peer ends it, or the server closes and open calls are answered. For the `Session` rpc
/// of table and block: give it the whole request. [`WithSession`] does the same at less cost.
#[must_use]
pub fn serve_session(
    service: Arc<dyn SessionService>,
    inbound: impl Into<Inbound>,
) -> BoxStream<'static, Result<Frame, Status>> {
    let Inbound { frames, closing } = inbound.into();
    serve::start(service, frames, closing).map(Ok).boxed()
}

//! One request as every operation of it sees it, and how an operation can end without success.

use std::time::Duration;

use cairn_types::{Clock, RequestId};
use tokio::time::Instant;

/// What the operations of one request share.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    pub request: RequestId,
    /// No operation waits longer than this.
    pub deadline: Instant,
    /// When the request began, by this process's clock: no ballot is ever made 24 h later than this (REGISTER B2).
    /// For a multipart upload that is being completed: what the upload's row says.
    pub written_at_ms: u64,
}

impl Op {
    /// How long metadata operations may take (DESIGN §8).
    pub const DEADLINE: Duration = Duration::from_secs(30);

    /// An operation of a request that begins now, with the usual deadline.
    #[must_use]
    pub fn begin(request: RequestId, clock: &dyn Clock) -> Self {
        Self { request, deadline: Instant::now() + Self::DEADLINE, written_at_ms: clock.now_ms() }
    }

    /// The same request with a deadline of `patience` from now: a body that flowed for long does not eat up the
    /// time its head may take.
    #[must_use]
    pub fn renewed(self, patience: Duration) -> Self {
        Self { deadline: Instant::now() + patience, ..self }
    }
}

/// How an operation ends without success. Each says whether it may have been applied.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpError {
    /// There is no layout yet. Not applied.
    #[error("the cluster has no layout yet")]
    NotReady,
    /// Too few replicas answered before the deadline, and nothing was sent that could apply later.
    #[error("too few replicas answered: {0}")]
    NoQuorum(String),
    /// A value was sent, and whether it was or will be applied is not known.
    #[error("the outcome is not known: {0}")]
    Unknown(String),
    /// Other operations on the same key kept winning. Not applied, and it never will be.
    #[error("other operations on the same key kept winning")]
    Contended,
    /// The request began so long ago that nothing may be written for it any more (REGISTER B2). Not applied.
    #[error("the request took too long")]
    Late,
    /// The bucket's gate is sealed: it was deleted (REGISTER §12). Not applied.
    #[error("the bucket was deleted")]
    Sealed,
    /// A majority has no room left. Not applied.
    #[error("storage is full: {0}")]
    Full(String),
    /// What was asked for breaks a bound of a replica. Not applied.
    #[error("{0}")]
    Invalid(String),
    /// No replica that was asked has the block. Reads only.
    #[error("no replica has the block")]
    NotFound,
    /// This machine's clock is too far from the replicas' (REGISTER A2). Not applied.
    #[error("this machine's clock is more than a minute ahead of the replicas")]
    ClockSkew,
}

impl OpError {
    /// True where the operation was certainly not applied and never will be.
    #[must_use]
    pub const fn not_applied(&self) -> bool {
        !matches!(self, OpError::Unknown(_))
    }
}

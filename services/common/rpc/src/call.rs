//! What every storage call carries, and how every call can fail.

use bytes::Bytes;
use cairn_types::{Epoch, RequestId, StoreId};
use tokio::time::Instant;

/// The context of one call to one store.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// The store this call is meant for (DESIGN §2).
    pub store: StoreId,
    /// The caller's epoch; [`Epoch`] 0 means "yours", for reads only.
    pub epoch: Epoch,
    pub request: RequestId,
    /// No call waits longer than this.
    pub deadline: Instant,
    /// The encoded view behind `epoch`, sent again after [`CallError::NeedsView`].
    pub view: Option<Bytes>,
}

/// How a call to another daemon fails. A call that was refused changed nothing there; see [`CallError::outcome_known`].
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    #[error("peer cannot be reached: {0}")]
    Unreachable(String),
    #[error("no answer before the deadline")]
    Deadline,
    #[error("another store answers there: {actual}")]
    WrongStore { actual: StoreId },
    /// The caller's epoch is older than the replica's, whose encoded view is attached.
    #[error("the caller's epoch is out of date")]
    StaleEpoch { view: Bytes },
    #[error("the replica does not know the caller's epoch yet")]
    NeedsView,
    #[error("busy: {0}")]
    Busy(String),
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    NotFound(String),
    #[error("disk full: {0}")]
    Full(String),
    #[error("stored data is damaged: {0}")]
    Corrupt(String),
    #[error("data arrived damaged: {0}")]
    ChecksumMismatch(String),
    #[error("not allowed: {0}")]
    Denied(String),
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    Unavailable(String),
    /// To a store that has been further than it is now (REGISTER D4): it must not be served.
    #[error("{0}")]
    WentBack(String),
    #[error("not built: {0}")]
    Unimplemented(String),
    #[error("internal error: {0}")]
    Internal(String),
}

impl CallError {
    /// True where the callee certainly changed nothing.
    #[must_use]
    pub const fn outcome_known(&self) -> bool {
        match self {
            CallError::Unreachable(_) | CallError::Deadline | CallError::Internal(_) => false,
            CallError::WrongStore { .. }
            | CallError::StaleEpoch { .. }
            | CallError::NeedsView
            | CallError::Busy(_)
            | CallError::Invalid(_)
            | CallError::NotFound(_)
            | CallError::Full(_)
            | CallError::Corrupt(_)
            | CallError::ChecksumMismatch(_)
            | CallError::Denied(_)
            | CallError::Conflict(_)
            | CallError::Unavailable(_)
            | CallError::WentBack(_)
            | CallError::Unimplemented(_) => true,
        }
    }
}

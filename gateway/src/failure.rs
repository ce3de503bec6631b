//! How a request fails: S3's error, and whether the outcome is known (REGISTER §7).

use cairn_model::rows::RowError;
use cairn_quorum::OpError;
use cairn_s3::{ErrorCode, S3Error};
use cairn_uploads::UploadError;
use http::{HeaderName, HeaderValue};

use crate::body::digest::Lost;
use crate::budget::Exhausted;

/// On a 500 whose write may have been, or may yet be, applied.
pub(crate) const OUTCOME: HeaderName = HeaderName::from_static("x-cairn-outcome");
pub(crate) const OUTCOME_UNKNOWN: HeaderValue = HeaderValue::from_static("unknown");

/// The error a client gets.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) error: S3Error,
    pub(crate) outcome_unknown: bool,
    /// What went wrong inside, for the log; never sent.
    pub(crate) cause: Option<String>,
    /// The bucket met is deleted: its cached row is out of date.
    pub(crate) bucket_gone: bool,
}

impl Failure {
    pub(crate) fn internal(cause: impl Into<String>) -> Self {
        Self { cause: Some(cause.into()), ..S3Error::new(ErrorCode::InternalError).into() }
    }

    fn unavailable(message: &str, cause: String) -> Self {
        Self { cause: Some(cause), ..S3Error::with_message(ErrorCode::ServiceUnavailable, message).into() }
    }
}

impl From<S3Error> for Failure {
    fn from(error: S3Error) -> Self {
        Self { error, outcome_unknown: false, cause: None, bucket_gone: false }
    }
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        S3Error::new(code).into()
    }
}

impl From<OpError> for Failure {
    fn from(error: OpError) -> Self {
        let cause = error.to_string();
        match error {
            OpError::NotReady => Self::unavailable(
                "The cluster has no layout yet, so it holds no data: run `cairn layout apply` first.",
                cause,
            ),
            OpError::NoQuorum(_) => {
                Self::unavailable("Too few storage nodes answer. Nothing was changed; please try again.", cause)
            }
            OpError::Unknown(_) => Self { outcome_unknown: true, ..Self { cause: Some(cause), ..unknown().into() } },
            OpError::Contended => Self { cause: Some(cause), ..ErrorCode::ConditionalRequestConflict.into() },
            OpError::Sealed => Self { bucket_gone: true, ..ErrorCode::NoSuchBucket.into() },
            OpError::Full(_) => Self::unavailable("Storage is full. Nothing was changed.", cause),
            OpError::Late => Self { cause: Some(cause), ..ErrorCode::RequestTimeout.into() },
            OpError::Invalid(_) | OpError::NotFound => Self::internal(cause),
            OpError::ClockSkew => {
                Self::unavailable("This gateway's clock is wrong by more than a minute. Nothing was changed.", cause)
            }
        }
    }
}

fn unknown() -> S3Error {
    S3Error::with_message(
        ErrorCode::InternalError,
        "Too few storage nodes answered in time: the write may have been applied, or may be later.",
    )
}

impl From<RowError> for Failure {
    fn from(error: RowError) -> Self {
        Self::internal(error.to_string())
    }
}

impl From<UploadError> for Failure {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Op(error) => error.into(),
            UploadError::Row(error) => error.into(),
        }
    }
}

impl From<Lost> for Failure {
    fn from(error: Lost) -> Self {
        Self::internal(error.to_string())
    }
}

impl From<Exhausted> for Failure {
    fn from(error: Exhausted) -> Self {
        Self { cause: Some(error.to_string()), ..ErrorCode::SlowDown.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unknown_outcomes_are_marked() {
        let unknown = Failure::from(OpError::Unknown("x".into()));
        assert!(unknown.outcome_unknown);
        assert_eq!(unknown.error.code(), ErrorCode::InternalError);
        for (error, code) in [
            (OpError::NotReady, ErrorCode::ServiceUnavailable),
            (OpError::NoQuorum(String::new()), ErrorCode::ServiceUnavailable),
            (OpError::Full(String::new()), ErrorCode::ServiceUnavailable),
            (OpError::Sealed, ErrorCode::NoSuchBucket),
            (OpError::Contended, ErrorCode::ConditionalRequestConflict),
        ] {
            let failure = Failure::from(error);
            assert_eq!(failure.error.code(), code);
            assert!(!failure.outcome_unknown);
        }
    }
}

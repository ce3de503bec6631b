//! [`CallError`] on the wire: the typed half of a gRPC status, and the error of a session's frame.

use bytes::Bytes;
use cairn_proto::common::v1;
use cairn_types::StoreId;
use prost::Message as _;
use tonic::{Code, Status};

use crate::CallError;

/// A gRPC status whose details are the encoded `cairn.common.v1.Error`.
#[must_use]
pub fn status(error: &CallError) -> Status {
    Status::with_details(code(error), error.to_string(), Bytes::from(to_wire(error).encode_to_vec()))
}

impl From<CallError> for Status {
    fn from(error: CallError) -> Self {
        status(&error)
    }
}

impl From<Status> for CallError {
    fn from(status: Status) -> Self {
        match v1::Error::decode(status.details()) {
            Ok(error) if error.reason() != v1::Reason::Unspecified => from_wire(error),
            Ok(_) | Err(_) => from_code(&status),
        }
    }
}

/// The message that stands for `error` in a frame or in a status.
#[must_use]
pub fn to_wire(error: &CallError) -> v1::Error {
    use v1::Reason;
    let mut wire = v1::Error::default();
    let (reason, message) = match error {
        // To our caller a peer of ours that cannot be reached is an outcome that nobody knows.
        CallError::Unreachable(why) | CallError::Internal(why) => (Reason::Internal, why.as_str()),
        CallError::Deadline => (Reason::Deadline, ""),
        CallError::WrongStore { actual } => {
            wire.store_id = actual.to_bytes();
            (Reason::WrongStore, "")
        }
        CallError::StaleEpoch { view } => {
            wire.view = view.clone();
            (Reason::StaleEpoch, "")
        }
        CallError::NeedsView => (Reason::NeedsView, ""),
        CallError::Busy(why) => (Reason::Busy, why.as_str()),
        CallError::Invalid(why) => (Reason::Invalid, why.as_str()),
        CallError::NotFound(why) => (Reason::NotFound, why.as_str()),
        CallError::Full(why) => (Reason::Full, why.as_str()),
        CallError::Corrupt(why) => (Reason::Corrupt, why.as_str()),
        CallError::ChecksumMismatch(why) => (Reason::ChecksumMismatch, why.as_str()),
        CallError::Denied(why) => (Reason::Denied, why.as_str()),
        CallError::Conflict(why) => (Reason::Conflict, why.as_str()),
        CallError::Unavailable(why) => (Reason::Unavailable, why.as_str()),
        CallError::WentBack(why) => (Reason::WentBack, why.as_str()),
        CallError::Unimplemented(why) => (Reason::Unimplemented, why.as_str()),
    };
    wire.set_reason(reason);
    wire.message = message.to_owned();
    wire
}

/// What a peer's error means here. A reason this version does not know is an unknown outcome.
#[must_use]
pub fn from_wire(wire: v1::Error) -> CallError {
    use v1::Reason;
    let reason = wire.reason();
    let why = wire.message;
    match reason {
        Reason::WrongStore => match StoreId::try_from(wire.store_id.as_ref()) {
            Ok(actual) => CallError::WrongStore { actual },
            Err(_) => CallError::Internal("the peer answered wrong_store without its store id".to_owned()),
        },
        Reason::StaleEpoch => CallError::StaleEpoch { view: wire.view },
        Reason::NeedsView => CallError::NeedsView,
        Reason::Busy => CallError::Busy(why),
        Reason::Invalid => CallError::Invalid(why),
        Reason::NotFound => CallError::NotFound(why),
        Reason::Full => CallError::Full(why),
        Reason::Corrupt => CallError::Corrupt(why),
        Reason::ChecksumMismatch => CallError::ChecksumMismatch(why),
        Reason::Denied => CallError::Denied(why),
        Reason::Deadline => CallError::Deadline,
        Reason::Conflict => CallError::Conflict(why),
        Reason::Unavailable => CallError::Unavailable(why),
        Reason::WentBack => CallError::WentBack(why),
        Reason::Unimplemented => CallError::Unimplemented(why),
        Reason::Internal | Reason::Unspecified => CallError::Internal(why),
    }
}

const fn code(error: &CallError) -> Code {
    match error {
        CallError::Unreachable(_) | CallError::Unavailable(_) | CallError::NeedsView => Code::Unavailable,
        CallError::Deadline => Code::DeadlineExceeded,
        CallError::WrongStore { .. } | CallError::StaleEpoch { .. } | CallError::WentBack(_) => {
            Code::FailedPrecondition
        }
        CallError::Busy(_) | CallError::Full(_) => Code::ResourceExhausted,
        CallError::Invalid(_) | CallError::ChecksumMismatch(_) => Code::InvalidArgument,
        CallError::NotFound(_) => Code::NotFound,
        CallError::Corrupt(_) => Code::DataLoss,
        CallError::Denied(_) => Code::PermissionDenied,
        CallError::Conflict(_) => Code::Aborted,
        CallError::Unimplemented(_) => Code::Unimplemented,
        CallError::Internal(_) => Code::Internal,
    }
}

/// A status that carries no details of ours: made by tonic itself, or by a stranger.
fn from_code(status: &Status) -> CallError {
    let why = status.message().to_owned();
    match status.code() {
        Code::Ok | Code::Internal | Code::Unknown => CallError::Internal(why),
        // Tonic's own deadline ends as Cancelled; its lost connections as Unavailable or Unknown.
        Code::DeadlineExceeded | Code::Cancelled => CallError::Deadline,
        Code::Unavailable => CallError::Unreachable(why),
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => CallError::Invalid(why),
        Code::NotFound => CallError::NotFound(why),
        Code::AlreadyExists | Code::Aborted => CallError::Conflict(why),
        Code::PermissionDenied | Code::Unauthenticated => CallError::Denied(why),
        Code::ResourceExhausted => CallError::Busy(why),
        Code::Unimplemented => CallError::Unimplemented(why),
        Code::DataLoss => CallError::Corrupt(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_survives_the_wire() {
        let text = || "why".to_owned();
        let errors = [
            CallError::Deadline,
            CallError::WrongStore { actual: StoreId([3; 16]) },
            CallError::StaleEpoch { view: Bytes::from_static(b"view") },
            CallError::NeedsView,
            CallError::Busy(text()),
            CallError::Invalid(text()),
            CallError::NotFound(text()),
            CallError::Full(text()),
            CallError::Corrupt(text()),
            CallError::ChecksumMismatch(text()),
            CallError::Denied(text()),
            CallError::Conflict(text()),
            CallError::Unavailable(text()),
            CallError::WentBack(text()),
            CallError::Unimplemented(text()),
            CallError::Internal(text()),
        ];
        for error in errors {
            let back = CallError::from(status(&error));
            assert_eq!(format!("{error:?}"), format!("{back:?}"));
        }
    }

    #[test]
    fn a_status_of_a_stranger_keeps_its_meaning() {
        assert!(matches!(CallError::from(Status::unavailable("gone")), CallError::Unreachable(_)));
        assert!(matches!(CallError::from(Status::cancelled("timeout")), CallError::Deadline));
        let garbage = Status::with_details(Code::NotFound, "x", Bytes::from_static(&[0xff; 9]));
        assert!(matches!(CallError::from(garbage), CallError::NotFound(_)));
    }
}

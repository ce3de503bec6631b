//! Bodies of answers.

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};

/// Why an answer breaks off: the connection is closed, so that the client sees a short body, never a wrong one.
#[derive(Debug, thiserror::Error)]
#[error("the object can no longer be read: {0}")]
pub(crate) struct BodyError(pub(crate) String);

pub(crate) type Body = UnsyncBoxBody<Bytes, BodyError>;

pub(crate) fn empty() -> Body {
    full(Bytes::new())
}

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body as it comes; the answer states its length in a header.
pub(crate) fn stream(pieces: impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static) -> Body {
    StreamBody::new(pieces.map_ok(Frame::data)).boxed_unsync()
}

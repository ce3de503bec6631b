//! The S3 listener: connections, their bounds, and the bodies that flow through them.
//!
//! - **H1** Nothing a client does or leaves undone keeps a connection for ever: headers, bodies and reading answers
//!   all have time-outs. *Tested by `a_peer_that_stops_reading_is_given_up`, `a_trickled_body_times_out`.*
//! - **H2** `100 Continue` is sent only when a handler reads the body, which it does after the request was
//!   authorised. *Tested by `tests/s3/listener.rs`.*
//! - **H3** A client that is refused while it sends a body reads the answer, not a reset, up to ten seconds of sending.
//!   *Tested by `a_refused_body_does_not_hide_the_answer` in `tests/s3/listener.rs`.*

mod inbound;
mod linger;
mod listener;
mod outbound;
mod stall;
mod tls;

pub(crate) use inbound::{Inbound, InboundError};
pub(crate) use listener::{Handler, Listener};
pub(crate) use outbound::{Body, BodyError, empty, full, stream};

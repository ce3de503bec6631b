//! Channels between daemons: mutual TLS, sessions, deadlines, and one error for every call.

mod call;

pub use call::{CallContext, CallError};

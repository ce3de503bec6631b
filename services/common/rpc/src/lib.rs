//! Channels between daemons: mutual TLS, sessions, deadlines, and one error for every call.

mod call;
mod view;

pub use call::{CallContext, CallError};
pub use view::ViewCell;

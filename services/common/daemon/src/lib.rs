//! What every daemon shares: configuration, identity on disk, tracing, the view it watches, shutdown.

mod host;
mod shutdown;

pub use host::{Host, Hosted};
pub use shutdown::Shutdown;

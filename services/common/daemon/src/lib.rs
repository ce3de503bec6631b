//! What every daemon shares: configuration, identity on disk, tracing, the view it watches, shutdown.
//!
//! Promises: a process serves only stores its machine has on record (`machine`), stops in an orderly way when told to
//! (`shutdown`, `host`), and always knows the newest view it could get (`watch`). Knows no protocol and no role.

mod config;
mod files;
mod host;
mod machine;
mod node;
mod notify;
mod process;
mod shutdown;
mod view_cache;
pub mod watch;
mod watermark;

pub use config::{LogFormat, NodeConfig, Period, ProcessConfig, Size, SizeError, load_config};
pub use files::{make_directory, replace_file};
pub use host::{Host, Hosted};
pub use machine::{Machine, MachineError};
pub use node::{Node, empty_view};
pub use notify::{notify_ready, notify_stopping};
pub use process::{init_tracing, main, runtime};
pub use shutdown::Shutdown;
pub use view_cache::{load_view, store_view};
pub use watch::{NodeSource, Watch};
pub use watermark::{Mark, Watermark};

//! The stand-alone table.

use std::process::ExitCode;

use cairn_table::{Server, ServerConfig};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cairn_daemon::main(async |config: ServerConfig, shutdown| Server::bind(config).await?.run(shutdown).await)
}

//! The stand-alone gateway.

use std::process::ExitCode;

use cairn_gateway::{Server, ServerConfig};

fn main() -> ExitCode {
    cairn_daemon::main(async |config: ServerConfig, shutdown| Server::bind(config).await?.run(shutdown).await)
}

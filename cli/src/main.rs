//! `cairn`: the operator's tool, and the server that hosts any set of roles in one process.

#![warn(clippy::print_stdout, clippy::print_stderr, reason = "a closed pipe ends commands quietly: see output")]

mod bench;
mod bucket;
mod client;
mod dev;
mod key;
mod layout;
mod locate;
mod output;
mod ready;
mod repair;
mod server;
mod setup;
mod status;
mod tls;
mod token;
mod when;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use cairn_daemon::LogFormat;
use clap::{CommandFactory as _, Parser, Subcommand};

use crate::client::Client;
use crate::locate::Location;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Cairn: an S3-compatible object store for machines in several places.
///
/// `cairn dev` runs a whole store on this machine. `cairn server` runs one node of a cluster; the other commands are
/// for whoever operates it.
#[derive(Parser, Debug)]
#[command(name = "cairn", version, max_term_width = 120)]
struct Cli {
    /// The cluster: a ready file, a dev data directory or a client configuration [default: the default dev directory].
    #[arg(long, global = true, env = "CAIRN_CLUSTER", value_name = "PATH")]
    cluster: Option<PathBuf>,
    /// Answer in JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Dev(dev::DevArgs),
    Server(server::ServerArgs),
    Status(status::StatusArgs),
    #[command(subcommand)]
    Layout(layout::LayoutCommand),
    #[command(subcommand)]
    Bucket(bucket::BucketCommand),
    #[command(subcommand)]
    Key(key::KeyCommand),
    #[command(subcommand)]
    Repair(repair::RepairCommand),
    #[command(subcommand)]
    Token(token::TokenCommand),
    #[command(subcommand)]
    Tls(tls::TlsCommand),
    Bench(bench::BenchArgs),
    #[command(subcommand)]
    Worker(worker::WorkerCommand),
    /// Prints a completion script for a shell.
    Completions {
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    cairn_rpc::install_crypto_provider();
    let cli = Cli::parse();
    match &cli.command {
        Command::Server(_) | Command::Dev(_) => cairn_daemon::init_tracing(LogFormat::Text, None),
        _ => {}
    }
    let threads = match &cli.command {
        Command::Server(arguments) => arguments.threads(),
        _ => 1,
    };
    let outcome = cairn_daemon::runtime(threads).map_err(anyhow::Error::from).and_then(|rt| rt.block_on(run(cli)));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            output::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<ExitCode> {
    let Cli { cluster, json, command } = cli;
    let location = || Location::find(cluster.as_deref());
    let client = || -> Result<Client> { location()?.client() };
    match command {
        Command::Dev(arguments) => dev::run(arguments, json).await?,
        Command::Server(arguments) => return server::run(arguments).await,
        Command::Status(arguments) => return status::run(arguments, &client()?, json).await,
        Command::Layout(command) => layout::run(command, &client()?, json).await?,
        Command::Bucket(command) => bucket::run(command, &client()?, json).await?,
        Command::Key(command) => key::run(command, &client()?, json).await?,
        Command::Repair(command) => repair::run(command, &client()?, json).await?,
        Command::Token(command) => token::run(command, &client()?, json).await?,
        Command::Tls(command) => tls::run(command, &location()?, json)?,
        Command::Bench(arguments) => bench::run(arguments, location()?, json).await?,
        Command::Worker(command) => worker::run(command, &client()?, json).await?,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "cairn", &mut script);
            output::say!("{}", String::from_utf8(script)?.trim_end());
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}

//! How a daemon's process begins: arguments, configuration, logs, runtime.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use serde::de::DeserializeOwned;
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::{LogFormat, ProcessConfig, Shutdown, load_config};

/// Threads for work that blocks: synced writes, cold reads, hashing.
const BLOCKING_THREADS: usize = 64;
const LOG_VARIABLE: &str = "CAIRN_LOG";
const DEFAULT_LOG: &str = "info";

/// What a daemon is told on its command line.
#[derive(Parser, Debug)]
#[command(version)]
struct Arguments {
    /// The configuration, TOML.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Stop when standard input ends: with the parent that holds it.
    #[arg(long)]
    exit_with_stdin: bool,
}

/// A daemon's `main`: reads `--config`, sets up logs and runtime, runs `daemon` until it ends or a signal stops it.
///
/// The file holds `C`'s fields and, optionally, a section `[process]` ([`ProcessConfig`]).
pub fn main<C, F>(daemon: F) -> ExitCode
where
    C: DeserializeOwned,
    F: AsyncFnOnce(C, Shutdown) -> anyhow::Result<()>,
{
    let arguments = Arguments::parse();
    match run(&arguments, daemon) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run<C, F>(arguments: &Arguments, daemon: F) -> anyhow::Result<()>
where
    C: DeserializeOwned,
    F: AsyncFnOnce(C, Shutdown) -> anyhow::Result<()>,
{
    cairn_rpc::install_crypto_provider();
    let mut document: toml::Table = load_config(&arguments.config)?;
    let what = || format!("the configuration {} is not right", arguments.config.display());
    let process: ProcessConfig = match document.remove("process") {
        Some(section) => section.try_into().with_context(what)?,
        None => ProcessConfig::default(),
    };
    let config: C = document.try_into().with_context(what)?;
    init_tracing(process.log_format, process.log.as_deref());
    runtime(process.threads.unwrap_or(1)).context("cannot start the runtime")?.block_on(async {
        let shutdown = Shutdown::on_signals().context("cannot catch signals")?;
        if arguments.exit_with_stdin {
            shutdown.begin_at_end_of_stdin().context("cannot watch standard input")?;
        }
        daemon(config, shutdown).await
    })
}

/// A runtime of `threads` threads: 1 (or 0) is the current thread alone, which costs the least CPU a request.
///
/// # Errors
/// The system gives no thread or no event queue.
pub fn runtime(threads: usize) -> io::Result<Runtime> {
    let mut builder = if threads > 1 { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    builder.enable_all().max_blocking_threads(BLOCKING_THREADS).thread_name("cairn").build()
}

/// Logs to standard error. `filter` (or `CAIRN_LOG`, which wins) names levels by target: `info`, `warn,cairn_rpc=debug`; one
/// that cannot be read is reported and replaced by `info`. The first call in a process counts.
pub fn init_tracing(format: LogFormat, filter: Option<&str>) {
    let from_environment = std::env::var(LOG_VARIABLE).ok();
    let text = from_environment.as_deref().or(filter).unwrap_or(DEFAULT_LOG);
    let filter = text.parse().unwrap_or_else(|error| {
        eprintln!("warning: log filter {text:?}: {error}; using {DEFAULT_LOG:?}");
        Targets::new().with_default(LevelFilter::INFO)
    });
    // Not `EnvFilter`: it compiles regular expressions, which stay in memory, to filter by fields that nobody uses.
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    // An error means that there is a subscriber already: tests start many daemons in one process.
    drop(match format {
        LogFormat::Text => {
            let lines = lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr()));
            tracing_subscriber::registry().with(lines.with_filter(filter)).try_init()
        }
        LogFormat::Json => {
            tracing_subscriber::registry().with(lines.json().flatten_event(true).with_filter(filter)).try_init()
        }
    });
}

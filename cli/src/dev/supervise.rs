//! Keeps the processes of a dev cluster running, and tells of each what it serves.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::plan::Process;
use crate::ready::{self, ProcessReady, ReadyNode};

/// A process that died is started again after this long.
const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// How long a process may take until it serves.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long a process may take to stop, before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(15);
const READY_POLL: Duration = Duration::from_millis(5);

/// How a process first gets the cluster's secret.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// It has it, or a process before it on the same node does.
    Known,
    Init,
    /// A file that holds a join token.
    Join(PathBuf),
}

/// What became of a process.
#[derive(Debug)]
pub(crate) enum Change {
    /// It serves these roles now.
    Serving(Vec<ReadyNode>),
    /// It ended, and is not started again.
    Ended { node: String, status: ExitStatus },
    /// It could not be started.
    Failed(anyhow::Error),
}

/// How to run `cairn server` for the processes of a plan.
#[derive(Clone, Debug)]
pub(crate) struct Launcher {
    pub(crate) program: PathBuf,
    pub(crate) data_dir: PathBuf,
    pub(crate) restart: bool,
    /// `-v` for the children.
    pub(crate) log_filter: String,
}

impl Launcher {
    /// Starts `process` and waits until it serves.
    pub(crate) async fn start(&self, process: &Process, entry: &Entry) -> Result<Running> {
        let dir = process.dir(&self.data_dir);
        let ready_file = dir.join("ready.json");
        ready::remove(&ready_file)?;
        let child = self.command(process, entry, &ready_file).spawn();
        let mut child = child.with_context(|| format!("starting {}", self.program.display()))?;
        match wait_ready(&mut child, &ready_file).await {
            // Taken out: waiting for a child closes the end it still holds, and the child would stop.
            Ok(nodes) => Ok(Running { process: process.clone(), stdin: child.stdin.take(), child, nodes }),
            Err(error) => {
                child.kill().await.context("stopping a process that does not serve")?;
                Err(error.context(format!("{} ({}) did not start", process.node, process.roles.join(", "))))
            }
        }
    }

    fn command(&self, process: &Process, entry: &Entry, ready_file: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("server").arg("--config").arg(process.dir(&self.data_dir).join("cairn.toml"));
        match entry {
            Entry::Known => {}
            Entry::Init => drop(command.arg("--init")),
            Entry::Join(token) => drop(command.arg("--join-file").arg(token)),
        }
        command.arg("--ready-file").arg(ready_file).arg("--exit-with-stdin");
        // A child gets no environment of ours, but where to find its libraries and what to log.
        command.env_clear().env("CAIRN_LOG", &self.log_filter);
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command.stdin(Stdio::piped()).kill_on_drop(true);
        // Ctrl-C reaches the whole terminal's group: a child stops when we say so, not before.
        command.process_group(0);
        command
    }

    /// Keeps `running` alive until `stop`; reports every change.
    pub(crate) async fn keep(self, mut running: Running, changes: mpsc::Sender<Change>, stop: CancellationToken) {
        loop {
            let status = tokio::select! {
                status = running.child.wait() => status,
                () = stop.cancelled() => return running.stop().await,
            };
            let node = running.process.node.clone();
            let status = match status {
                Ok(status) => status,
                Err(error) => return tell(&changes, Change::Failed(error.into())).await,
            };
            if !self.restart {
                return tell(&changes, Change::Ended { node, status }).await;
            }
            tracing::warn!(%node, %status, "a process ended; starting it again");
            tokio::select! {
                () = sleep(RESTART_PAUSE) => {}
                () = stop.cancelled() => return,
            }
            match self.start(&running.process, &Entry::Known).await {
                Ok(again) => running = again,
                Err(error) => return tell(&changes, Change::Failed(error)).await,
            }
            tell(&changes, Change::Serving(running.nodes.clone())).await;
        }
    }
}

/// A process that serves.
#[derive(Debug)]
pub(crate) struct Running {
    process: Process,
    child: Child,
    /// Open for as long as the child shall run.
    stdin: Option<ChildStdin>,
    pub(crate) nodes: Vec<ReadyNode>,
}

impl Running {
    /// Closes its standard input, which asks it to stop, and waits.
    async fn stop(mut self) {
        drop(self.stdin.take());
        if timeout(STOP_LIMIT, self.child.wait()).await.is_err() {
            tracing::warn!(node = %self.process.node, "did not stop in time; killing it");
            if let Err(error) = self.child.kill().await {
                tracing::warn!(%error, "could not kill it");
            }
        }
    }
}

/// Nobody listens any more once the cluster stops: then a change does not matter.
async fn tell(changes: &mpsc::Sender<Change>, change: Change) {
    drop(changes.send(change).await);
}

async fn wait_ready(child: &mut Child, ready_file: &Path) -> Result<Vec<ReadyNode>> {
    let until = Instant::now() + START_LIMIT;
    loop {
        if let Ok(text) = tokio::fs::read(ready_file).await {
            let ready: ProcessReady = serde_json::from_slice(&text).context("its ready file is damaged")?;
            return Ok(ready.nodes);
        }
        if let Some(status) = child.try_wait()? {
            bail!("it ended with {status}; what it said stands above");
        }
        if Instant::now() > until {
            bail!("it does not serve after {} s", START_LIMIT.as_secs());
        }
        sleep(READY_POLL).await;
    }
}

//! A whole store of real processes: `cairn dev`, its ready file, and the ways to break it.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use tempfile::TempDir;

/// How long a store may take until it serves, on a busy machine.
const START: Duration = Duration::from_secs(60);

/// What `cairn dev` writes when the cluster serves.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    pub s3_endpoint: Option<String>,
    pub web_endpoint: Option<String>,
    pub admin_endpoint: Option<String>,
    pub region: String,
    pub access_key: String,
    pub secret_key: String,
    pub bucket: String,
    pub data_dir: PathBuf,
    pub nodes: Vec<Node>,
}

/// One role of one process.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    pub name: String,
    pub role: String,
    pub zone: String,
    pub store_id: Option<String>,
    pub pid: u32,
    pub grpc: String,
    pub s3: Option<String>,
    pub web: Option<String>,
    pub argv: Vec<String>,
}

/// How to start a cluster.
#[derive(Clone, Debug)]
pub struct Options {
    pub nodes: usize,
    /// One process a role.
    pub split: bool,
    /// The parent starts children again that died.
    pub restart: bool,
    /// Where the data goes; none: a temporary directory.
    pub data_dir: Option<PathBuf>,
    /// How often lifecycle rules are applied, as `cairn dev` takes it; none: once a day.
    pub lifecycle_period: Option<&'static str>,
    /// What the processes log, where it is not what `cairn dev` chooses.
    pub log: Option<&'static str>,
}

impl Default for Options {
    fn default() -> Self {
        Self { nodes: 1, split: false, restart: false, data_dir: None, lifecycle_period: None, log: None }
    }
}

/// A running `cairn dev`. Dropping it kills what it started.
#[derive(Debug)]
pub struct Cluster {
    options: Options,
    dir: TempDir,
    parent: Option<Child>,
    /// Processes that tests started again by their argv.
    revived: Vec<Child>,
    pub ready: Ready,
}

impl Cluster {
    pub fn start(options: Options) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("cairn-test-").tempdir()?;
        let data_dir = options.data_dir.clone().unwrap_or_else(|| dir.path().join("data"));
        let (parent, ready) = launch(&options, &data_dir, dir.path())?;
        Ok(Self { options, dir, parent: Some(parent), revived: Vec::new(), ready })
    }

    /// Three all-in-one nodes, in three zones.
    pub fn three() -> Result<Self> {
        Self::start(Options { nodes: 3, ..Options::default() })
    }

    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.ready.data_dir
    }

    /// S3 endpoints of all gateways.
    #[must_use]
    pub fn endpoints(&self) -> Vec<String> {
        self.ready.nodes.iter().filter_map(|node| node.s3.clone()).collect()
    }

    /// Distinct processes that serve.
    #[must_use]
    pub fn pids(&self) -> BTreeSet<u32> {
        self.ready.nodes.iter().map(|node| node.pid).collect()
    }

    /// SIGKILL for the process of one node; with `split`, of one of its roles.
    pub fn kill(&self, name: &str, role: &str) -> Result<()> {
        signal(self.node(name, role)?.pid, "KILL")
    }

    pub fn signal(&self, name: &str, role: &str, what: &str) -> Result<()> {
        signal(self.node(name, role)?.pid, what)
    }

    pub fn node(&self, name: &str, role: &str) -> Result<&Node> {
        self.ready
            .nodes
            .iter()
            .find(|node| node.name == name && node.role == role)
            .with_context(|| format!("there is no {role} on node {name}"))
    }

    /// Starts a killed process again by its argv, as an operator would, and notes its new pid.
    pub fn revive(&mut self, name: &str, role: &str) -> Result<()> {
        let node = self.node(name, role)?.clone();
        wait_until("the old process is gone", Duration::from_secs(10), || !alive(node.pid))?;
        let (program, arguments) = node.argv.split_first().context("an empty argv")?;
        let log = self.log_file("revived")?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {program}"))?;
        for other in &mut self.ready.nodes {
            if other.pid == node.pid {
                other.pid = child.id();
            }
        }
        self.revived.push(child);
        Ok(())
    }

    /// SIGKILL for every process at once, the parent first so that nothing is started again.
    pub fn kill_all(&mut self) -> Result<()> {
        if let Some(mut parent) = self.parent.take() {
            parent.kill()?;
            parent.wait()?;
        }
        for pid in self.pids() {
            // It may have left already, for its parent has.
            signal(pid, "KILL").ok();
        }
        for mut child in self.revived.drain(..) {
            child.wait()?;
        }
        for pid in self.pids() {
            wait_until("a killed process is gone", Duration::from_secs(10), || !alive(pid))?;
        }
        Ok(())
    }

    /// Starts the whole cluster again on its data.
    pub fn start_again(&mut self) -> Result<()> {
        ensure!(self.parent.is_none(), "the cluster is still running");
        let data_dir = self.ready.data_dir.clone();
        let (parent, ready) = launch(&self.options, &data_dir, self.dir.path())?;
        self.parent = Some(parent);
        self.ready = ready;
        Ok(())
    }

    /// Stops as on Ctrl-C, and checks that it was clean.
    pub fn stop(&mut self) -> Result<()> {
        let mut parent = self.parent.take().context("not running")?;
        signal(parent.id(), "INT")?;
        let status = parent.wait()?;
        ensure!(status.success(), "cairn dev ended with {status}: {}", self.log());
        Ok(())
    }

    /// Resident memory of the largest serving process, in bytes.
    pub fn largest_rss(&self) -> Result<u64> {
        self.largest("VmRSS:")
    }

    /// The most resident memory that a serving process ever had, in bytes.
    pub fn largest_peak(&self) -> Result<u64> {
        self.largest("VmHWM:")
    }

    fn largest(&self, which: &str) -> Result<u64> {
        let sizes: Result<Vec<u64>> = self.pids().into_iter().map(|pid| memory_of(pid, which)).collect();
        sizes?.into_iter().max().context("no process")
    }

    /// The end of what the processes wrote, for failures.
    #[must_use]
    pub fn log(&self) -> String {
        let text = self.whole_log();
        let start = text.len().saturating_sub(20_000);
        text.get(start..).unwrap_or(&text).to_owned()
    }

    /// All that the processes wrote.
    #[must_use]
    pub fn whole_log(&self) -> String {
        let mut text = String::new();
        for name in ["parent.log", "revived.log"] {
            if let Ok(mut file) = fs::File::open(self.dir.path().join(name)) {
                file.read_to_string(&mut text).ok();
            }
        }
        text
    }

    fn log_file(&self, name: &str) -> Result<fs::File> {
        let path = self.dir.path().join(format!("{name}.log"));
        Ok(fs::OpenOptions::new().create(true).append(true).open(path)?)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.kill_all() {
            eprintln!("could not stop the cluster: {error:#}");
        }
    }
}

/// The `cairn` binary built beside this test.
pub fn cairn() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let dir = test.ancestors().nth(2).context("a test runs from target/release/deps")?;
    let path = dir.join("cairn");
    ensure!(path.exists(), "{} is missing: run `cargo build --release -p cairn-cli` first", path.display());
    Ok(path)
}

fn launch(options: &Options, data_dir: &Path, dir: &Path) -> Result<(Child, Ready)> {
    let ready_file = dir.join("ready.json");
    // One of a cluster that was killed may still lie there.
    if ready_file.exists() {
        fs::remove_file(&ready_file)?;
    }
    let log = fs::OpenOptions::new().create(true).append(true).open(dir.join("parent.log"))?;
    let mut command = Command::new(cairn()?);
    command.arg("dev").arg("--nodes").arg(options.nodes.to_string());
    command.arg("--data-dir").arg(data_dir).arg("--ready-file").arg(&ready_file);
    if options.split {
        command.arg("--split");
    }
    if let Some(period) = options.lifecycle_period {
        command.arg("--lifecycle-period").arg(period);
    }
    if !options.restart {
        command.arg("--no-restart");
    }
    if let Some(log) = options.log {
        command.env("CAIRN_LOG", log);
    }
    // Its standard input closes when this process ends, however it ends: nothing is left running.
    command.arg("--exit-with-stdin").stdin(Stdio::piped());
    let mut parent = command.stdout(log.try_clone()?).stderr(log).spawn().context("starting cairn dev")?;
    let began = Instant::now();
    loop {
        if let Ok(text) = fs::read(&ready_file)
            && let Ok(ready) = serde_json::from_slice::<Ready>(&text)
        {
            return Ok((parent, ready));
        }
        if let Some(status) = parent.try_wait()? {
            let log = fs::read_to_string(dir.join("parent.log")).unwrap_or_default();
            bail!("cairn dev ended with {status} before it was ready:\n{log}");
        }
        if began.elapsed() > START {
            parent.kill()?;
            parent.wait()?;
            let log = fs::read_to_string(dir.join("parent.log")).unwrap_or_default();
            bail!("cairn dev was not ready after {START:?}:\n{log}");
        }
        pause(Duration::from_millis(20));
    }
}

/// Waits for a state; the only place where tests let time pass.
pub fn wait_until(what: &str, limit: Duration, mut state: impl FnMut() -> bool) -> Result<()> {
    let began = Instant::now();
    while !state() {
        ensure!(began.elapsed() < limit, "waited {limit:?} in vain until {what}");
        pause(Duration::from_millis(10));
    }
    Ok(())
}

/// Lets `time` pass: for nemeses, whose business is timing.
pub fn pause(time: Duration) {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
}

pub fn signal(pid: u32, what: &str) -> Result<()> {
    let status = Command::new("kill").arg(format!("-{what}")).arg(pid.to_string()).stderr(Stdio::null()).status()?;
    ensure!(status.success(), "kill -{what} {pid}: {status}");
    Ok(())
}

/// Whether a process runs; a zombie does not.
#[must_use]
pub fn alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with('Z')))
}

/// A size that the kernel tells of a process: `VmRSS` now, `VmHWM` at its peak.
fn memory_of(pid: u32, which: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with(which)).with_context(|| format!("no {which}"))?;
    let kib: u64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
    Ok(kib * 1024)
}

/// Runs a test against a fresh cluster; where it fails, with what the processes wrote.
pub fn with_cluster(options: Options, test: impl AsyncFnOnce(&mut Cluster) -> Result<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let outcome = runtime.block_on(async {
        let mut cluster = Cluster::start(options)?;
        let outcome = test(&mut cluster).await;
        outcome.with_context(|| format!("the processes wrote:\n{}", cluster.log()))
    });
    if let Err(error) = outcome {
        panic!("{error:?}");
    }
}

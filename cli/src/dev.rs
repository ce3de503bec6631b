//! `cairn dev`: a working store on one machine, with nothing to configure.
//!
//! It takes the way every cluster takes: the first process is made with `--init`, the others join with a token each,
//! one `layout apply` places all nodes, and an admin call makes a key and a bucket.

mod plan;
mod supervise;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use cairn_daemon::{Period, Shutdown, make_directory};
use clap::Args;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::plan::{Credentials, Plan, Process};
use self::supervise::{Change, Entry, Launcher, Running};
use crate::client::Client;
use crate::ready::{self, Ready, ReadyNode};
use crate::setup::{Place, Web};
use crate::{locate, output};

/// The bucket and the key that a dev cluster begins with.
const BUCKET: &str = "demo";
const KEY_NAME: &str = "dev";
/// What a gateway calls its region where nothing else is configured.
const REGION: &str = "cairn";
/// Sites are `BUCKET.` this: browsers and curl take every name below `localhost` for this machine.
const WEB_ROOT: &str = "web.localhost";
const BOOTSTRAP_LIMIT: Duration = Duration::from_secs(60);
const BOOTSTRAP_POLL: Duration = Duration::from_millis(10);
/// Changes of processes that wait to be written to the ready file.
const CHANGES: usize = 64;

/// Runs a whole store on this machine: for development, tests and a first look.
///
/// The first run makes a data directory, a cluster secret, a key and a bucket; later runs serve the same data.
/// Ctrl-C stops it cleanly.
#[derive(Args, Debug)]
pub(crate) struct DevArgs {
    /// Nodes, each a process of its own in a zone of its own; 3 or more keep three copies of everything [default: 1].
    #[arg(long, value_name = "N")]
    nodes: Option<usize>,
    /// Where the data goes [default: $XDG_DATA_HOME/cairn/dev].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Also write the ready file here: endpoints, credentials and processes as JSON.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// One process per role instead of one per node.
    #[arg(long)]
    split: bool,
    /// Do not start a process again that died.
    #[arg(long)]
    no_restart: bool,
    /// How often lifecycle rules are applied, where a day is too long to wait: `10s`, `1h` [default: 1d].
    #[arg(long, value_name = "PERIOD")]
    lifecycle_period: Option<Period>,
    /// Stop when standard input closes: for programs that start a store and must not leave it behind.
    #[arg(long)]
    exit_with_stdin: bool,
}

/// The whole of `cairn dev`, until Ctrl-C.
pub(crate) async fn run(args: DevArgs, json: bool) -> Result<()> {
    let data_dir = match &args.data_dir {
        Some(dir) => std::path::absolute(dir)?,
        None => locate::default_dev_dir()?,
    };
    make_directory(&data_dir).with_context(|| format!("creating {}", data_dir.display()))?;
    let _lock = lock(&data_dir)?;
    let mut dev = Dev::prepare(&args, data_dir)?;
    let shutdown = Shutdown::on_signals().context("cannot catch signals")?;
    if args.exit_with_stdin {
        shutdown.begin_at_end_of_stdin().context("cannot watch standard input")?;
    }
    let stop = shutdown.token();
    let result = tokio::select! {
        started = dev.start() => started.map(Some),
        () = stop.cancelled() => Ok(None),
    };
    let Some(running) = result? else { return Ok(()) };
    dev.announce(json)?;
    let ended = dev.supervise(running, stop).await;
    dev.remove_ready_files()?;
    ended
}

struct Dev {
    plan: Plan,
    data_dir: PathBuf,
    ready_files: Vec<PathBuf>,
    launcher: Launcher,
    nodes: Vec<ReadyNode>,
}

impl Dev {
    fn prepare(args: &DevArgs, data_dir: PathBuf) -> Result<Self> {
        let plan = Plan::load_or_create(&data_dir, args.nodes, args.split)?;
        plan.check_ports(&data_dir)?;
        let mut ready_files = vec![data_dir.join("ready.json")];
        ready_files.extend(args.ready_file.clone());
        let launcher = Launcher {
            program: std::env::current_exe().context("where this program is")?,
            data_dir: data_dir.clone(),
            restart: !args.no_restart,
            log_filter: std::env::var("CAIRN_LOG").unwrap_or_else(|_| "warn".to_owned()),
        };
        let dev = Self { plan, data_dir, ready_files, launcher, nodes: Vec::new() };
        dev.remove_ready_files()?;
        dev.write_configs(args.lifecycle_period)?;
        Ok(dev)
    }

    fn write_configs(&self, lifecycle_period: Option<Period>) -> Result<()> {
        self.plan.processes.iter().try_for_each(|process| {
            let place = place(process, &self.plan, &self.data_dir);
            Place { lifecycle_period, ..place }.write_config().map(drop)
        })
    }

    /// Starts every process; at the first start makes the cluster, the key and the bucket.
    async fn start(&mut self) -> Result<Vec<Running>> {
        let mut running = Vec::new();
        for node in node_names(&self.plan) {
            let processes: Vec<Process> =
                self.plan.processes.iter().filter(|process| process.node == node).cloned().collect();
            for process in &processes {
                let entry = self.entry(process).await?;
                let started = self.launcher.start(process, &entry).await;
                if let Entry::Join(token) = &entry {
                    ready::remove(token)?;
                }
                let started = started?;
                self.note(&started.nodes);
                running.push(started);
            }
        }
        self.bootstrap().await?;
        self.write_ready_files()?;
        Ok(running)
    }

    /// How `process` gets the secret: the first of its node by `--init` or a token, the others from its file.
    async fn entry(&self, process: &Process) -> Result<Entry> {
        if secret_file(&self.data_dir, &process.node).exists() {
            return Ok(Entry::Known);
        }
        if process.node == self.plan.processes[0].node {
            return Ok(Entry::Init);
        }
        let token = self.client()?.create_join_token().await?;
        let path = self.data_dir.join(format!("{}.token", process.node));
        ready::write_secret(&path, &token).with_context(|| format!("writing {}", path.display()))?;
        Ok(Entry::Join(path))
    }

    /// Brings a new cluster to where it serves: one layout with all nodes, a key, a bucket.
    async fn bootstrap(&mut self) -> Result<()> {
        let client = self.client()?;
        let storage = self.nodes.iter().filter(|node| node.role == "table" || node.role == "block").count();
        let until = Instant::now() + BOOTSTRAP_LIMIT;
        client.apply_when_waiting(storage, until).await?;
        self.wait_serving(&client, until).await?;
        if self.plan.credentials.is_none() {
            let (access_key, secret_key) = client.create_key(KEY_NAME, true, None).await?;
            client.create_bucket(BUCKET, &access_key).await?;
            self.plan.credentials = Some(Credentials { access_key, secret_key, bucket: BUCKET.to_owned() });
            self.plan.save(&self.data_dir)?;
        }
        Ok(())
    }

    async fn wait_serving(&self, client: &Client, until: Instant) -> Result<()> {
        loop {
            let notes = match client.status().await {
                Ok(status) if status.ready => return Ok(()),
                Ok(status) => status.notes.join("; "),
                Err(error) => format!("{error:#}"),
            };
            if Instant::now() > until {
                bail!("the cluster does not serve after {} s: {notes}", BOOTSTRAP_LIMIT.as_secs());
            }
            sleep(BOOTSTRAP_POLL).await;
        }
    }

    fn client(&self) -> Result<Client> {
        let node = &self.plan.processes[0].node;
        let find = |role: &str| self.plan.processes.iter().find(|process| process.has(role)).map(|p| p.grpc.clone());
        let admin = find("gateway").context("no gateway in the plan")?;
        let membership = find("membership").context("no membership daemon in the plan")?;
        Client::with_secret(&secret_file(&self.data_dir, node), vec![admin], vec![membership])
    }

    /// Keeps all processes running until `stop`, or until one ends that is not started again.
    async fn supervise(&mut self, running: Vec<Running>, stop: CancellationToken) -> Result<()> {
        let (sender, mut changes) = mpsc::channel(CHANGES);
        let tasks = TaskTracker::new();
        for process in running {
            tasks.spawn(self.launcher.clone().keep(process, sender.clone(), stop.clone()));
        }
        drop(sender);
        let mut failure = None;
        while let Some(change) = changes.recv().await {
            match change {
                Change::Serving(nodes) => {
                    self.note(&nodes);
                    self.write_ready_files()?;
                }
                Change::Ended { node, status } => tracing::warn!(%node, %status, "a process ended"),
                Change::Failed(error) => {
                    tracing::error!("{error:#}");
                    failure = Some(error);
                }
            }
        }
        tasks.close();
        tasks.wait().await;
        match failure {
            Some(error) if !stop.is_cancelled() => Err(error),
            _ => Ok(()),
        }
    }

    fn note(&mut self, nodes: &[ReadyNode]) {
        for node in nodes {
            self.nodes.retain(|known| (&known.name, &known.role) != (&node.name, &node.role));
            self.nodes.push(node.clone());
        }
        self.nodes.sort_by(|a, b| (&a.name, &a.role).cmp(&(&b.name, &b.role)));
    }

    fn ready(&self) -> Result<Ready> {
        let credentials = self.plan.credentials.clone().context("the key was not made")?;
        let first = self.nodes.iter().find_map(|node| node.s3.clone());
        Ok(Ready {
            s3_endpoint: first,
            web_endpoint: self.nodes.iter().find_map(|node| node.web.clone()),
            admin_endpoint: None,
            region: REGION.to_owned(),
            access_key: credentials.access_key,
            secret_key: credentials.secret_key,
            bucket: credentials.bucket,
            data_dir: self.data_dir.clone(),
            nodes: self.nodes.clone(),
        })
    }

    fn write_ready_files(&self) -> Result<()> {
        let ready = self.ready()?;
        for path in &self.ready_files {
            ready::write(path, &ready).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }

    fn remove_ready_files(&self) -> Result<()> {
        for path in &self.ready_files {
            ready::remove(path).with_context(|| format!("removing {}", path.display()))?;
        }
        Ok(())
    }

    fn announce(&self, json: bool) -> Result<()> {
        let ready = self.ready()?;
        let text = if json { serde_json::to_string_pretty(&ready)? } else { banner(&ready, self.plan.nodes()) };
        output::tell(&text);
        Ok(())
    }
}

fn banner(ready: &Ready, nodes: usize) -> String {
    let endpoint = ready.s3_endpoint.as_deref().unwrap_or_default();
    let grpc = ready.nodes.first().map(|node| node.grpc.as_str()).unwrap_or_default();
    let tls = ready.data_dir.join("tls");
    let web_port = ready.web_endpoint.as_deref().and_then(|url| url.rsplit(':').next()).unwrap_or_default();
    let copies = match nodes {
        1 | 2 => "one copy of everything: one disk from loss",
        _ => "three copies of everything, in three zones",
    };
    format!(
        "\
Cairn serves: {nodes} node(s), {copies}.

  S3 endpoint   {endpoint}
  region        {region}
  access key    {access_key}
  secret key    {secret_key}
  bucket        {bucket}
  web sites     http://BUCKET.{WEB_ROOT}:{web_port}/, where the bucket is one
  data          {data}

Try:
  export AWS_ACCESS_KEY_ID={access_key} AWS_SECRET_ACCESS_KEY={secret_key} AWS_DEFAULT_REGION={region}
  aws --endpoint-url {endpoint} s3 cp README.md s3://{bucket}/
  aws --endpoint-url {endpoint} s3 website s3://{bucket}/ --index-document index.html
  rclone lsf \":s3,provider=Other,env_auth,endpoint='{endpoint}':{bucket}\"
  cairn tls export {tls} && grpcurl -cacert {tls}/ca.pem -cert {tls}/client.pem -key {tls}/client.key -servername cairn.internal {grpc} list
  cairn status

Ctrl-C stops it; the data stays.",
        region = ready.region,
        access_key = ready.access_key,
        secret_key = ready.secret_key,
        bucket = ready.bucket,
        data = ready.data_dir.display(),
        tls = tls.display(),
    )
}

fn place(process: &Process, plan: &Plan, data_dir: &Path) -> Place {
    Place {
        name: process.node.clone(),
        zone: process.zone.clone(),
        roles: process.roles.clone(),
        listen: process.grpc.clone(),
        advertise: None,
        s3_listen: process.s3.clone().unwrap_or_default(),
        web: process.web.clone().map(|listen| Web { listen, root_domain: Some(WEB_ROOT.to_owned()) }),
        membership: plan.peers(),
        dir: process.dir(data_dir),
        secret_file: secret_file(data_dir, &process.node),
        data_dir: data_dir.join(&process.node).join("data"),
        lifecycle_period: None,
    }
}

/// The processes of one node share its secret file, as the daemons of one machine do.
fn secret_file(data_dir: &Path, node: &str) -> PathBuf {
    data_dir.join(node).join(locate::SECRET_FILE)
}

fn node_names(plan: &Plan) -> Vec<String> {
    let mut names: Vec<String> = plan.processes.iter().map(|process| process.node.clone()).collect();
    names.dedup();
    names
}

/// One `cairn dev` a data directory.
fn lock(data_dir: &Path) -> Result<File> {
    let path = data_dir.join("dev.lock");
    let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!("another `cairn dev` uses {}", data_dir.display()),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("locking {}", path.display())),
    }
}

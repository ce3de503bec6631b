//! `cairn server`: any set of roles in one process, which call each other directly.
//!
//! The only module that names the daemon crates (`tests/tests/layering.rs`). Each role is the same code behind the same
//! gRPC service as in its own binary; what differs is that the gateway gets the table and the block store of this
//! process as trait objects instead of sessions.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use cairn_block::Block;
use cairn_daemon::{Host, Hosted, Node, NodeConfig, NodeSource, ProcessConfig, Shutdown, Size, load_config};
use cairn_gateway::Gateway;
use cairn_membership::Membership;
use cairn_model::view::encode_status;
use cairn_proto::membership::v1 as wire;
use cairn_quorum::{BlockReplica, Cluster, ClusterParts, TableReplica};
use cairn_rpc::{Identity, PeerRole};
use cairn_table::Table;
use cairn_types::{NodeName, StoreId, SystemClock, SystemEntropy};
use cairn_workers::Lifecycle;
use clap::Args;
use serde::Deserialize;

use crate::client::Client;
use crate::output;
use crate::ready::{self, ProcessReady, ReadyNode};
use crate::setup::{self, CONFIG_FILE, Place, Web};

/// `--single`: how long the stores of this machine may take to report to membership.
const PLACE_LIMIT: Duration = Duration::from_secs(30);

/// Runs one node of a cluster: the roles it is configured for, in one process.
///
/// A new cluster begins with `--init` on its first machine; the others join with a token each (`cairn token join`).
/// Afterwards `--data-dir` or `--config` alone starts the machine again.
#[derive(Args, Debug)]
pub(crate) struct ServerArgs {
    /// The configuration, TOML [default: cairn.toml in the data directory].
    #[arg(long, value_name = "FILE", conflicts_with = "data_dir")]
    config: Option<PathBuf>,
    /// The machine's directory: configuration, secret and data.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Make a new cluster, of which this is the first machine.
    #[arg(long, conflicts_with = "join_file")]
    init: bool,
    /// With --init: place this machine at once, as a cluster of one node.
    #[arg(long, requires = "init")]
    single: bool,
    /// Join a cluster with the token in this file (- for standard input).
    #[arg(long, value_name = "FILE")]
    join_file: Option<PathBuf>,
    /// The failure zone this machine stands in: a house, a room, a data centre.
    #[arg(long)]
    zone: Option<String>,
    /// The node's name in the layout [default: the host name].
    #[arg(long)]
    name: Option<String>,
    /// What this process does.
    #[arg(long, value_delimiter = ',', default_value = "membership,table,block,gateway")]
    roles: Vec<String>,
    /// Where gRPC listens, host:port.
    #[arg(long, default_value = "[::]:3901")]
    listen: String,
    /// Where others reach the gRPC listener, host:port [default: the address it listens on].
    #[arg(long)]
    advertise: Option<String>,
    /// Where S3 listens, host:port.
    #[arg(long, default_value = "[::]:3900")]
    s3_listen: String,
    /// Where web sites are served, host:port [default: nowhere].
    #[arg(long)]
    web_listen: Option<String>,
    /// Serve BUCKET.DOMAIN as the site of each bucket that is one.
    #[arg(long, value_name = "DOMAIN", requires = "web_listen")]
    web_root_domain: Option<String>,
    /// Serve a store other than the recorded one of this role's directory: what was there is lost for ever.
    #[arg(long, value_name = "ROLE")]
    new_store: Vec<String>,
    /// Write what this process serves here, as JSON, once it does.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Stop when standard input closes: with the parent that holds it.
    #[arg(long)]
    exit_with_stdin: bool,
}

/// A role, as configurations write it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    Membership,
    Table,
    Block,
    Gateway,
}

impl Role {
    const ALL: [Role; 4] = [Role::Membership, Role::Table, Role::Block, Role::Gateway];

    const fn name(self) -> &'static str {
        match self {
            Role::Membership => "membership",
            Role::Table => "table",
            Role::Block => "block",
            Role::Gateway => "gateway",
        }
    }

    const fn peer(self) -> PeerRole {
        match self {
            Role::Membership => PeerRole::Membership,
            Role::Table => PeerRole::Table,
            Role::Block => PeerRole::Block,
            Role::Gateway => PeerRole::Gateway,
        }
    }

    const fn wire(self) -> wire::Role {
        match self {
            Role::Membership => wire::Role::Membership,
            Role::Table => wire::Role::Table,
            Role::Block => wire::Role::Block,
            Role::Gateway => wire::Role::Gateway,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The whole configuration of a `cairn server`.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Config {
    node: NodeConfig,
    #[serde(default)]
    process: ProcessConfig,
    roles: Vec<Role>,
    /// Weight of this node in both rings [default: the size of its disks].
    #[serde(default)]
    capacity: Option<Size>,
    membership: Option<cairn_membership::Config>,
    table: Option<cairn_table::Config>,
    block: Option<cairn_block::Config>,
    gateway: Option<cairn_gateway::Config>,
}

impl ServerArgs {
    /// Runtime threads, by the configuration where there is one already.
    pub(crate) fn threads(&self) -> usize {
        let config = self.config_file().and_then(|path| load_config::<Config>(&path).ok());
        config.and_then(|config| config.process.threads).unwrap_or(1)
    }

    fn config_file(&self) -> Option<PathBuf> {
        self.config.clone().or_else(|| self.data_dir.as_ref().map(|dir| dir.join(CONFIG_FILE)))
    }

    /// What the command line says of a machine that has no configuration yet.
    fn place(&self) -> Result<Place> {
        let dir = self.data_dir.as_ref().context("say where the machine's data goes: --data-dir DIR")?;
        let dir = std::path::absolute(dir)?;
        setup::check_address("--listen", &self.listen)?;
        setup::check_address("--s3-listen", &self.s3_listen)?;
        if let Some(address) = &self.advertise {
            setup::check_address("--advertise", address)?;
        }
        if let Some(address) = &self.web_listen {
            setup::check_address("--web-listen", address)?;
        }
        let everywhere = self.listen.starts_with("0.0.0.0:") || self.listen.starts_with("[::]:");
        ensure!(
            !everywhere || self.advertise.is_some(),
            "--listen {} is every address of this machine: say with --advertise HOST:PORT where the others reach it",
            self.listen
        );
        for role in &self.roles {
            ensure!(Role::ALL.iter().any(|known| known.name() == role), "there is no role {role:?}");
        }
        Ok(Place {
            name: self.name.clone().map_or_else(setup::host_name, Ok)?,
            zone: self.zone.clone().context("say which zone this machine stands in: --zone ZONE")?,
            roles: self.roles.clone(),
            listen: self.listen.clone(),
            advertise: self.advertise.clone(),
            s3_listen: self.s3_listen.clone(),
            web: self.web_listen.clone().map(|listen| Web { listen, root_domain: self.web_root_domain.clone() }),
            membership: Vec::new(),
            secret_file: setup::secret_in(&dir),
            data_dir: dir.join("data"),
            dir,
            lifecycle_period: None,
        })
    }
}

/// Serves until a signal. A machine without data, `--init` or a token ends with 2.
pub(crate) async fn run(args: ServerArgs) -> Result<ExitCode> {
    let Some(path) = args.config_file() else {
        return Ok(refuse("say which machine this is: --data-dir DIR or --config FILE"));
    };
    let entering = args.init || args.join_file.is_some();
    if !entering && !path.exists() {
        return Ok(refuse(&format!("{} is missing: {NOT_A_MEMBER}", path.display())));
    }
    if entering && !path.exists() {
        let place = args.place()?;
        setup::ensure_unused(&place.dir, &place.secret_file, &place.data_dir)?;
        let peers = args.get_secret(&place.secret_file, &place.name).await?;
        Place { membership: peers, ..place }.write_config()?;
    } else if entering {
        let config: Config = load_config(&path)?;
        let secret_file = config.secret_file()?;
        ensure!(!secret_file.exists(), "{} exists: {A_MEMBER}", secret_file.display());
        args.get_secret(&secret_file, &config.node.name).await?;
    }
    let config: Config = load_config(&path)?;
    let secret_file = config.secret_file()?;
    if !secret_file.exists() {
        return Ok(refuse(&format!("{} is missing: {NOT_A_MEMBER}", secret_file.display())));
    }
    let shutdown = Shutdown::on_signals().context("cannot catch signals")?;
    if args.exit_with_stdin {
        shutdown.begin_at_end_of_stdin().context("cannot watch standard input")?;
    }
    Process::open(&args, config, &path).await?.serve(&args, shutdown).await?;
    Ok(ExitCode::SUCCESS)
}

const NOT_A_MEMBER: &str = "this machine belongs to no cluster yet. Make a new one with --init --zone ZONE, or join one \
                            with --join-file FILE --zone ZONE (`cairn token join` in that cluster prints the token)";
const A_MEMBER: &str = "this machine belongs to a cluster already; start it without --init and --join-file";

fn refuse(why: &str) -> ExitCode {
    output::complain(why);
    ExitCode::from(2)
}

impl ServerArgs {
    /// Gets the cluster's secret, by making the cluster or with a token; answers the membership daemons to watch.
    async fn get_secret(&self, secret_file: &Path, name: &str) -> Result<Vec<String>> {
        let Some(token) = &self.join_file else {
            setup::create_secret(secret_file)?;
            return Ok(Vec::new());
        };
        let joined = cairn_membership::join(&setup::read_token(token)?, name).await?;
        setup::keep_secret(secret_file, &joined.secret)?;
        Ok(joined.peers)
    }
}

impl Config {
    fn secret_file(&self) -> Result<PathBuf> {
        self.node.secret_file.clone().context("the configuration does not say where the secret is: node.secret_file")
    }

    /// The section of `role`, where this process has the role.
    fn section<'a, T>(&self, role: Role, section: &'a Option<T>) -> Result<Option<&'a T>> {
        match (self.roles.contains(&role), section) {
            (false, _) => Ok(None),
            (true, Some(section)) => Ok(Some(section)),
            (true, None) => bail!("the configuration has the role {role}, but no section [{role}]"),
        }
    }
}

/// One open role, and what it says of itself to membership; `record` is without its address.
struct Hosting {
    role: Role,
    store: StoreId,
    hosted: Arc<dyn Hosted>,
    record: wire::NodeRecord,
    status: Arc<dyn Fn() -> wire::Status + Send + Sync>,
}

/// Everything a process hosts, open and bound.
struct Process {
    node: Node,
    host: Host,
    identity: Identity,
    address: String,
    hosting: Vec<Hosting>,
    /// Where there is a table.
    lifecycle: Option<Lifecycle>,
    s3_url: Option<String>,
    web_url: Option<String>,
    config_file: PathBuf,
}

impl Process {
    /// Opens all roles: stores first, then the listener under a certificate that names them, then what needs both.
    async fn open(args: &ServerArgs, config: Config, path: &Path) -> Result<Self> {
        let node = Node::open(config.node.clone())?;
        for role in &args.new_store {
            node.machine.forget(&store_name(&node, role)?)?;
        }
        let table = open_table(&config, &node).await?;
        let block = open_block(&config, &node).await?;
        let membership = config.section(Role::Membership, &config.membership)?;
        let membership = membership
            .map(|section| cairn_membership::prepare(section, &node, args.init, &SystemEntropy))
            .transpose()?;
        let is_gateway = config.section(Role::Gateway, &config.gateway)?;
        // A gateway keeps nothing: it is another one after each start.
        let gateway_store = StoreId::random(&SystemEntropy);

        let mut roles = Vec::new();
        roles.extend(table.iter().map(|table| (Role::Table, TableReplica::store(&**table))));
        roles.extend(block.iter().map(|block| (Role::Block, block.store())));
        roles.extend(membership.iter().map(|prepared| (Role::Membership, prepared.store())));
        roles.extend(is_gateway.iter().map(|_| (Role::Gateway, gateway_store)));
        let certified: Vec<_> = roles.iter().map(|(role, store)| (role.peer(), Some(*store))).collect();
        let (host, identity, address) = node.host(&certified).await?;

        let mut hosting = Vec::new();
        if let Some(prepared) = membership {
            hosting.push(host_membership(prepared, &node, &identity, &address)?);
        }
        hosting.extend(table.iter().map(|table| host_table(table.clone(), config.capacity)));
        hosting.extend(block.iter().map(|block| host_block(block.clone(), config.capacity)));
        let (mut s3_url, mut web_url) = (None, None);
        let cluster = coordinator(&node, &identity, table.clone(), block);
        let lifecycle = config.section(Role::Table, &config.table)?.zip(table).map(|(section, table)| {
            Lifecycle::new(cluster.clone(), TableReplica::store(&*table), section.lifecycle.clone())
        });
        if let Some(section) = is_gateway {
            let gateway = open_gateway(section.clone(), &node, cluster).await?;
            s3_url = Some(gateway.s3_url());
            web_url = gateway.web_url();
            hosting.push(host_gateway(gateway, gateway_store, &node));
        }
        Ok(Self { node, host, identity, address, hosting, lifecycle, s3_url, web_url, config_file: path.to_owned() })
    }

    /// Serves until `shutdown`; the ready files are there for just as long.
    async fn serve(self, args: &ServerArgs, shutdown: Shutdown) -> Result<()> {
        let ready = self.ready()?;
        let own = self.config_file.with_file_name("ready.json");
        let files: Vec<PathBuf> = std::iter::once(own).chain(args.ready_file.clone()).collect();
        let sources =
            self.hosting.iter().filter(|one| one.role != Role::Membership).map(|one| self.source(one)).collect();
        self.node.watch(&self.identity, sources, Arc::new(SystemClock), &shutdown);
        if let Some(lifecycle) = self.lifecycle {
            shutdown.spawn(lifecycle.run(shutdown.clone()));
        }
        if args.single {
            let storage = self.hosting.iter().filter(|one| matches!(one.role, Role::Table | Role::Block)).count();
            shutdown.spawn(place_single(ready.clone(), storage));
        }
        for file in &files {
            ready::write(file, &ready).with_context(|| format!("writing {}", file.display()))?;
        }
        let hosted = self.hosting.into_iter().map(|one| one.hosted).collect();
        let served = self.host.serve(hosted, shutdown).await;
        for file in &files {
            ready::remove(file).with_context(|| format!("removing {}", file.display()))?;
        }
        served
    }

    fn source(&self, one: &Hosting) -> NodeSource {
        let record = wire::NodeRecord {
            store_id: one.store.to_bytes(),
            role: one.role.wire().into(),
            name: self.node.name.to_string(),
            zone: self.node.zone.to_string(),
            address: self.address.clone(),
            ..one.record.clone()
        };
        let status = one.status.clone();
        Arc::new(move || wire::NodeRecord { status: Some(status()), ..record.clone() })
    }

    fn ready(&self) -> Result<ProcessReady> {
        let program = std::env::current_exe().context("where this program is")?;
        let config_file = std::path::absolute(&self.config_file)?;
        let argv = [program.as_path(), Path::new("server"), Path::new("--config"), &config_file];
        let argv: Vec<String> = argv.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let nodes = self.hosting.iter().map(|one| ReadyNode {
            name: self.node.name.to_string(),
            role: one.role.to_string(),
            zone: self.node.zone.to_string(),
            store_id: (one.role != Role::Gateway).then(|| one.store.to_string()),
            pid: std::process::id(),
            grpc: self.address.clone(),
            s3: self.s3_url.clone().filter(|_| one.role == Role::Gateway),
            web: self.web_url.clone().filter(|_| one.role == Role::Gateway),
            argv: argv.clone(),
        });
        Ok(ProcessReady { secret_file: self.node.machine.secret_file().to_owned(), nodes: nodes.collect() })
    }
}

/// `--single`: the first layout, with this machine alone.
async fn place_single(ready: ProcessReady, storage: usize) {
    let until = tokio::time::Instant::now() + PLACE_LIMIT;
    let addresses =
        |role: &str| ready.nodes.iter().filter(|node| node.role == role).map(|node| node.grpc.clone()).collect();
    let placed = match Client::with_secret(&ready.secret_file, addresses("gateway"), addresses("membership")) {
        Ok(client) => client.apply_when_waiting(storage, until).await,
        Err(error) => Err(error),
    };
    if let Err(error) = placed {
        tracing::error!("cannot apply the first layout: {error:#}; `cairn layout apply --all-waiting` tries again");
    }
}

/// What a store is called on the machine's record.
fn store_name(node: &Node, role: &str) -> Result<NodeName> {
    format!("{}-{role}", node.name).parse().context("the node's name is too long")
}

async fn open_table(config: &Config, node: &Node) -> Result<Option<Arc<Table>>> {
    let Some(section) = config.section(Role::Table, &config.table)? else { return Ok(None) };
    let name = store_name(node, "table")?;
    let directory = section.directory.clone();
    let expected = node.machine.recorded(&name)?;
    let parts = cairn_table::Parts {
        view: node.view.clone(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        expected,
        watermark: Some(node.machine.watermark(&name)),
    };
    let table = Table::open(section.clone(), parts).await?;
    node.machine.record(&name, &directory, TableReplica::store(&*table))?;
    Ok(Some(table))
}

async fn open_block(config: &Config, node: &Node) -> Result<Option<Arc<Block>>> {
    let Some(section) = config.section(Role::Block, &config.block)? else { return Ok(None) };
    let name = store_name(node, "block")?;
    let first = section.directories.first().cloned().context("block.directories is empty")?;
    let parts = cairn_block::Parts {
        view: node.view.clone(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        expected: node.machine.recorded(&name)?,
    };
    let block = Block::open(section.clone(), parts).await?;
    node.machine.record(&name, &first, block.store())?;
    Ok(Some(block))
}

/// The process's one way to the cluster, for all roles that coordinate.
fn coordinator(node: &Node, identity: &Identity, table: Option<Arc<Table>>, block: Option<Arc<Block>>) -> Cluster {
    Cluster::new(ClusterParts {
        view: node.view.clone(),
        dial: Arc::new(identity.connector()),
        local_table: table.map(|table| table as Arc<dyn TableReplica>),
        local_block: block.map(|block| block as Arc<dyn BlockReplica>),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        zone: Some(node.zone.clone()),
    })
}

async fn open_gateway(section: cairn_gateway::Config, node: &Node, cluster: Cluster) -> Result<Arc<Gateway>> {
    let parts = cairn_gateway::Parts {
        cluster,
        secret: node.secret.clone(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    };
    Gateway::open(section, parts).await
}

fn host_membership(
    prepared: cairn_membership::Prepared,
    node: &Node,
    identity: &Identity,
    address: &str,
) -> Result<Hosting> {
    let parts = cairn_membership::Parts {
        name: node.name.clone(),
        zone: node.zone.clone(),
        address: address.to_owned(),
        peers: node.config.membership.clone(),
        secret: node.secret.clone(),
        connector: identity.connector(),
        view: node.view.clone(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    };
    let membership = Membership::open(prepared, parts)?;
    Ok(Hosting {
        role: Role::Membership,
        store: membership.store(),
        hosted: membership,
        // A membership daemon speaks for itself.
        record: wire::NodeRecord::default(),
        status: Arc::new(wire::Status::default),
    })
}

fn host_table(table: Arc<Table>, capacity: Option<Size>) -> Hosting {
    let capacity_bytes = capacity.map_or_else(|| table.capacity(), Size::bytes);
    Hosting {
        role: Role::Table,
        store: TableReplica::store(&*table),
        hosted: table.clone(),
        record: wire::NodeRecord { capacity_bytes, ..Default::default() },
        status: Arc::new(move || table.report()),
    }
}

fn host_block(block: Arc<Block>, capacity: Option<Size>) -> Hosting {
    let capacity_bytes = capacity.map_or_else(|| block.capacity(), Size::bytes);
    Hosting {
        role: Role::Block,
        store: block.store(),
        hosted: block.clone(),
        record: wire::NodeRecord { capacity_bytes, ..Default::default() },
        status: Arc::new(move || encode_status(&block.status())),
    }
}

fn host_gateway(gateway: Arc<Gateway>, store: StoreId, node: &Node) -> Hosting {
    let (s3_url, view) = (gateway.s3_url(), node.view.clone());
    let status = move || {
        let epoch = view.current().epoch().0;
        wire::Status { epoch, ready: epoch > 0, ..Default::default() }
    };
    Hosting {
        role: Role::Gateway,
        store,
        hosted: gateway,
        record: wire::NodeRecord { s3_url, ..Default::default() },
        status: Arc::new(status),
    }
}

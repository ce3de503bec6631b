//! A cluster for a test.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use cairn_daemon::{NodeConfig, Period, Shutdown, Watch, empty_view, watch};
use cairn_membership::{Config, Membership, Server, ServerConfig};
use cairn_model::view::decode_record;
use cairn_placement::LayoutRecord;
use cairn_proto::membership::v1;
use cairn_proto::membership::v1::layout_change::Change;
use cairn_proto::membership::v1::membership_service_client::MembershipServiceClient;
use cairn_rpc::{CallError, ClusterSecret, Connector, Identity, PeerRole, ViewCell, install_crypto_provider};
use cairn_types::{StoreId, SystemClock, SystemEntropy};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tonic::transport::Channel;

pub(crate) type Client = MembershipServiceClient<Channel>;

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `holds`.
pub(crate) async fn wait_until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < end, "waited in vain until {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// A machine that runs, or ran, a membership daemon.
pub(crate) struct Machine {
    pub(crate) name: String,
    directory: PathBuf,
    config: ServerConfig,
    pub(crate) address: String,
    running: Option<(Shutdown, JoinHandle<anyhow::Result<()>>)>,
    pub(crate) daemon: Option<Arc<Membership>>,
}

impl Machine {
    /// Machine `number`, in a zone of its own.
    pub(crate) fn new(root: &Path, number: usize, peers: &[String]) -> Self {
        let (name, directory) = (format!("node{number}"), root.join(format!("node{number}")));
        std::fs::create_dir_all(&directory).unwrap();
        let node = NodeConfig {
            name: name.clone(),
            zone: format!("zone{number}"),
            listen: "127.0.0.1:0".to_owned(),
            advertise: None,
            config_dir: directory.join("machine"),
            secret_file: Some(directory.join("secret")),
            membership: peers.to_vec(),
        };
        let change_timeout = Period(Duration::from_secs(2));
        let membership = Config { directory: directory.join("data"), init: number == 1, change_timeout };
        let config = ServerConfig { node, membership };
        Self { name, directory, config, address: String::new(), running: None, daemon: None }
    }

    pub(crate) fn secret_file(&self) -> PathBuf {
        self.directory.join("secret")
    }

    pub(crate) fn data(&self) -> &Path {
        &self.config.membership.directory
    }

    pub(crate) async fn bind(&self) -> anyhow::Result<Server> {
        Server::bind(self.config.clone()).await
    }

    /// Starts it, at the address it had before.
    pub(crate) async fn start(&mut self) {
        let server = self.bind().await.unwrap();
        self.address = server.local_addr().to_string();
        self.config.node.listen = self.address.clone();
        let shutdown = Shutdown::new();
        self.daemon = Some(server.membership().clone());
        self.running = Some((shutdown.clone(), tokio::spawn(server.run(shutdown))));
    }

    pub(crate) async fn stop(&mut self) {
        self.daemon = None;
        let (shutdown, served) = self.running.take().unwrap();
        shutdown.begin();
        served.await.unwrap().unwrap();
    }

    /// Starts it, and waits for the error it ends with.
    pub(crate) async fn run_to_its_end(&self) -> anyhow::Error {
        let server = self.bind().await.unwrap();
        let ended = tokio::time::timeout(PATIENCE, server.run(Shutdown::new())).await;
        ended.expect("it goes on").expect_err("it ended well")
    }

    pub(crate) fn number(&self) -> u64 {
        self.daemon.as_ref().map_or(0, |daemon| daemon.view().record.number)
    }
}

/// A storage node, as far as membership sees one.
pub(crate) struct Storage {
    pub(crate) view: Arc<ViewCell>,
    pub(crate) has_data: Arc<AtomicBool>,
    /// Reports data from this epoch on; 0: never.
    pub(crate) data_from: Arc<AtomicU32>,
    /// Does not persist new epochs.
    pub(crate) is_stuck: Arc<AtomicBool>,
    stop: Shutdown,
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.stop.begin();
    }
}

/// All machines, their storage nodes, and an operator.
pub(crate) struct Cluster {
    pub(crate) root: tempfile::TempDir,
    pub(crate) machines: Vec<Machine>,
    pub(crate) storage: Vec<Storage>,
    pub(crate) secret: ClusterSecret,
}

impl Cluster {
    /// A first machine that made the cluster.
    pub(crate) async fn found() -> Self {
        install_crypto_provider();
        let root = tempfile::tempdir().unwrap();
        let secret = ClusterSecret::random(&SystemEntropy);
        let mut first = Machine::new(root.path(), 1, &[]);
        secret.create(&first.secret_file()).unwrap();
        first.start().await;
        Self { root, machines: vec![first], storage: Vec::new(), secret }
    }

    /// As many machines, all joined with tokens, that know of each other.
    pub(crate) async fn of(count: usize) -> Self {
        let mut cluster = Self::found().await;
        for _ in 1..count {
            cluster.join().await;
        }
        for machine in 0..count {
            wait_until("all machines know each other", async || cluster.alive(machine, v1::Role::Membership) == count)
                .await;
        }
        cluster
    }

    /// One more machine, by a token of the first.
    pub(crate) async fn join(&mut self) {
        let token = self.token(0).await;
        let joined = cairn_membership::join(&token, "new").await.unwrap();
        let mut machine = Machine::new(self.root.path(), self.machines.len() + 1, &joined.peers);
        joined.secret.create(&machine.secret_file()).unwrap();
        machine.start().await;
        self.machines.push(machine);
    }

    pub(crate) async fn token(&self, machine: usize) -> String {
        let request = v1::CreateJoinTokenRequest { valid_ms: 0 };
        self.admin(machine).create_join_token(request).await.unwrap().into_inner().token
    }

    pub(crate) fn connector(&self, role: PeerRole) -> Connector {
        Identity::derive(&self.secret, &[(role, None)], &[]).unwrap().connector()
    }

    /// An operator at a machine.
    pub(crate) fn admin(&self, machine: usize) -> Client {
        Client::new(self.connector(PeerRole::Admin).channel(&self.machines[machine].address))
    }

    /// Living daemons of a role, as a machine sees them.
    pub(crate) fn alive(&self, machine: usize, role: v1::Role) -> usize {
        let view = self.machines[machine].daemon.as_ref().unwrap().view();
        let role = cairn_model::view::decode_role(role.into()).unwrap();
        view.nodes.values().filter(|node| node.alive && node.role == role).count()
    }

    /// Gives machine `machine` a table and a block node that watch at `at`, and waits until all machines know them.
    pub(crate) async fn add_storage(&mut self, machine: usize, at: usize) {
        for role in [v1::Role::Table, v1::Role::Block] {
            let node = self.report(machine, at, role);
            self.storage.push(node);
        }
        let expected = self.storage.len() / 2;
        for seen_by in (0..self.machines.len()).filter(|one| self.machines[*one].daemon.is_some()) {
            for role in [v1::Role::Table, v1::Role::Block] {
                wait_until("storage is heard of", async || self.alive(seen_by, role) == expected).await;
            }
        }
    }

    fn report(&self, machine: usize, at: usize, role: v1::Role) -> Storage {
        let machine = &self.machines[machine];
        let record = v1::NodeRecord {
            store_id: StoreId::random(&SystemEntropy).to_bytes(),
            role: role.into(),
            name: machine.name.clone(),
            zone: machine.name.replace("node", "zone"),
            address: "127.0.0.1:1".to_owned(),
            capacity_bytes: 1 << 40,
            ..v1::NodeRecord::default()
        };
        let storage = Storage {
            view: Arc::new(ViewCell::new(empty_view(self.secret.cluster_id()))),
            has_data: Arc::default(),
            data_from: Arc::default(),
            is_stuck: Arc::default(),
            stop: Shutdown::new(),
        };
        let (view, has_data) = (storage.view.clone(), storage.has_data.clone());
        let (data_from, is_stuck) = (storage.data_from.clone(), storage.is_stuck.clone());
        let persisted = AtomicU32::new(0);
        let source = move || {
            if !is_stuck.load(Ordering::SeqCst) {
                persisted.fetch_max(view.current().epoch().0, Ordering::SeqCst);
            }
            let epoch = persisted.load(Ordering::SeqCst);
            let from = data_from.load(Ordering::SeqCst);
            let has_data = has_data.load(Ordering::SeqCst) || from > 0 && epoch >= from;
            let status = v1::Status { epoch, has_data, ready: true, ..v1::Status::default() };
            v1::NodeRecord { status: Some(status), ..record.clone() }
        };
        let watching = Watch {
            addresses: vec![self.machines[at].address.clone()],
            connector: self.connector(PeerRole::Block),
            view: storage.view.clone(),
            nodes: vec![Arc::new(source)],
            cache: None,
            clock: Arc::new(SystemClock),
        };
        storage.stop.spawn(watch::run(watching, storage.stop.clone()));
        storage
    }

    /// Three machines with storage and their first layout.
    pub(crate) async fn settled() -> Self {
        let mut cluster = Self::of(3).await;
        for machine in 0..3 {
            cluster.add_storage(machine, machine).await;
        }
        cluster.apply(0, 0, true).await.unwrap();
        cluster.agree_on(2).await;
        cluster
    }

    /// Waits until all running machines and all storage nodes have this record.
    pub(crate) async fn agree_on(&self, number: u64) {
        for machine in self.machines.iter().filter(|machine| machine.daemon.is_some()) {
            wait_until("all daemons have the record", async || machine.number() == number).await;
        }
        for storage in &self.storage {
            let seen = || storage.view.current().record.number;
            wait_until("all storage nodes have the record", async || seen() == number).await;
        }
    }

    pub(crate) async fn apply(
        &self,
        machine: usize,
        expected: u64,
        all_waiting: bool,
    ) -> Result<LayoutRecord, CallError> {
        let request = v1::ApplyLayoutRequest { expected_number: expected, all_waiting };
        let answer = self.admin(machine).apply_layout(request).await?.into_inner();
        Ok(decode_record(answer.record.unwrap()).unwrap())
    }

    pub(crate) async fn stage(&self, machine: usize, change: Change) {
        let changes = vec![v1::LayoutChange { change: Some(change) }];
        self.admin(machine).stage_layout(v1::StageLayoutRequest { changes }).await.unwrap();
    }

    pub(crate) async fn layout(&self, machine: usize) -> v1::GetLayoutResponse {
        self.admin(machine).get_layout(v1::GetLayoutRequest {}).await.unwrap().into_inner()
    }
}

pub(crate) fn voters(names: &[&str]) -> Change {
    Change::Voters(v1::SetVoters { names: names.iter().map(|name| (*name).to_owned()).collect() })
}

/// Names of a record's voters, sorted.
pub(crate) fn voter_names(record: &LayoutRecord) -> Vec<String> {
    let mut names: Vec<String> = record.voters.iter().map(|voter| voter.name.to_string()).collect();
    names.sort();
    names
}

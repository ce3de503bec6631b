//! The real daemon over mutual TLS: sessions, the calls outside them, and SIGKILL of the stand-alone binary.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_daemon::Shutdown;
use cairn_placement::ClusterView;
use cairn_proto::common::v1::RequestHeader;
use cairn_proto::table::v1;
use cairn_proto::table::v1::table_service_client::TableServiceClient;
use cairn_quorum::wire::{decode_range_reply, encode_range};
use cairn_quorum::{Range, RemoteTable, TableReplica};
use cairn_register::{Message, Verdict};
use cairn_rpc::{CallContext, CallError, ClusterSecret, Connector, Identity, PeerRole, PeerService};
use cairn_table::{Server, ServerConfig, Table};
use cairn_types::{Ballot, Epoch, RequestId, RowKey, StoreId, SystemClock};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::transport::Channel;

use crate::fixture::{EPOCH, encoded, everything, key, value, view, write};

fn secret() -> ClusterSecret {
    ClusterSecret::from_bytes(&[7; 32]).unwrap()
}

fn connector(role: PeerRole) -> Connector {
    cairn_rpc::install_crypto_provider();
    Identity::derive(&secret(), &[(role, None)], &[]).unwrap().connector()
}

/// A configuration file under `root`, and the secret it needs.
fn configure(root: &Path) -> PathBuf {
    let secret_file = root.join("secret");
    if !secret_file.exists() {
        secret().create(&secret_file).unwrap();
    }
    let file = root.join("table.toml");
    let text = format!(
        "[node]\nname = 'oslo-table'\nzone = 'oslo'\nlisten = '127.0.0.1:0'\nconfig_dir = '{0}/config'\n\
         secret_file = '{0}/secret'\n[table]\ndirectory = '{0}/data'\nreserve = '0B'\n\
         [process]\nlog = 'info'\nlog_format = 'json'\n",
        root.display()
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// A ballot of the real clock.
fn ballot(n: u64) -> Ballot {
    use cairn_types::Clock as _;
    Ballot { epoch: EPOCH.0, time: (SystemClock.now_ms() << 16) + n, proposer: 7 }
}

/// A peer of the store, which also sends the view that a membership daemon would have sent.
struct Remote {
    replica: RemoteTable,
    view: Bytes,
}

impl Remote {
    fn new(address: &str, store: StoreId) -> Self {
        let cluster = secret().cluster_id();
        let peer = connector(PeerRole::Gateway).peer(PeerService::Table, address, store, cluster);
        let view = encoded(&ClusterView { cluster, ..view(2, EPOCH, &[store]) });
        Self { replica: RemoteTable::new(peer), view }
    }

    fn context(&self) -> CallContext {
        CallContext {
            store: self.replica.store(),
            epoch: EPOCH,
            request: RequestId([3; 16]),
            deadline: Instant::now() + Duration::from_secs(20),
            view: Some(self.view.clone()),
        }
    }

    /// The verdict, and the data of the row where there is one.
    async fn ask(
        &self,
        key: RowKey,
        message: Message<cairn_model::Envelope>,
    ) -> Result<(Verdict, Option<Bytes>), CallError> {
        let replies = self.replica.register(&self.context(), vec![(key, message)]).await?.replies;
        let reply = replies.into_iter().next().unwrap();
        Ok((reply.verdict, reply.row.and_then(|row| row.value).map(|envelope| envelope.data)))
    }
}

/// A server in this process.
struct Running {
    address: String,
    table: Arc<Table>,
    shutdown: Shutdown,
    task: JoinHandle<anyhow::Result<()>>,
    _root: TempDir,
}

impl Running {
    async fn start() -> Self {
        cairn_rpc::install_crypto_provider();
        let root = tempfile::tempdir().unwrap();
        let file = std::fs::read_to_string(configure(root.path())).unwrap();
        let mut document: toml::Table = toml::from_str(&file).unwrap();
        document.remove("process");
        let config: ServerConfig = document.try_into().unwrap();
        let server = Server::bind(config).await.unwrap();
        let (address, table) = (server.local_addr().to_string(), server.table().clone());
        let shutdown = Shutdown::new();
        let task = tokio::spawn(server.run(shutdown.clone()));
        Self { address, table, shutdown, task, _root: root }
    }

    fn remote(&self) -> Remote {
        Remote::new(&self.address, self.table.store())
    }

    fn client(&self, role: PeerRole) -> TableServiceClient<Channel> {
        TableServiceClient::new(connector(role).channel(&self.address))
    }

    fn header(&self, epoch: u32) -> Option<RequestHeader> {
        Some(RequestHeader { store_id: self.table.store().to_bytes(), epoch, request_id: Bytes::new() })
    }

    async fn stop(self) {
        self.shutdown.begin();
        self.task.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn sessions_carry_every_call() {
    let running = Running::start().await;
    let remote = running.remote();
    let mut calls = FuturesUnordered::new();
    for n in 0..100_u64 {
        let stored = value(&vec![b'x'; usize::try_from(n * 100).unwrap()]);
        calls.push(remote.ask(key(format!("{n:03}")), write(ballot(n), Some(stored))));
    }
    while let Some(answer) = calls.next().await {
        assert_eq!(answer.unwrap(), (Verdict::Ack, None));
    }
    let (verdict, data) = remote.ask(key("042"), Message::Query).await.unwrap();
    assert_eq!((verdict, data.map(|data| data.len())), (Verdict::Ack, Some(4200)));

    let batch = (0..1000).map(|n| (key(format!("{n:03}")), Message::Query)).collect();
    let replies = remote.replica.register(&remote.context(), batch).await.unwrap().replies;
    assert_eq!(replies.iter().filter(|reply| reply.row.is_some()).count(), 100);
    assert_eq!(replies[0].usage.objects, 100);

    // Tombstones and hints travel as they are.
    let gone = ballot(1000);
    assert_eq!(remote.ask(key("1000"), write(gone, None)).await.unwrap().0, Verdict::Ack);
    assert_eq!(remote.ask(key("1000"), Message::Commit { ballot: gone }).await.unwrap().0, Verdict::Ack);
    let range = Range { delimiter: Bytes::from_static(b"9"), ..everything() };
    let here = running.table.range(&remote.context(), range.clone()).await.unwrap();
    let there = remote.replica.range(&remote.context(), range).await.unwrap();
    assert_eq!(format!("{here:?}"), format!("{there:?}"));
    let hinted = here.rows.iter().filter(|row| row.row.committed).count();
    assert_eq!((here.rows.len(), hinted), (100 - 19 + 1, 1));
    assert_eq!(here.prefixes.len(), 10);
    running.stop().await;
}

#[tokio::test]
async fn errors_keep_their_meaning_over_the_wire() {
    let running = Running::start().await;
    let remote = running.remote();
    let query = || vec![(key("a"), Message::Query)];
    let without_view = CallContext { view: None, ..remote.context() };
    let refused = remote.replica.register(&without_view, query()).await;
    assert!(matches!(refused, Err(CallError::NeedsView)), "{refused:?}");
    remote.ask(key("a"), Message::Query).await.unwrap();

    let cluster = secret().cluster_id();
    let newer = encoded(&ClusterView { cluster, ..view(3, Epoch(2), &[running.table.store()]) });
    let newer = CallContext { epoch: Epoch(2), view: Some(newer), ..remote.context() };
    assert_eq!(remote.replica.register(&newer, query()).await.unwrap().epoch, Epoch(2));
    let refused = remote.replica.register(&remote.context(), query()).await;
    assert!(matches!(refused, Err(CallError::StaleEpoch { view }) if !view.is_empty()));
    let other = Remote::new(&running.address, StoreId([3; 16]));
    assert!(matches!(other.ask(key("a"), Message::Query).await, Err(CallError::WrongStore { .. })));
    running.stop().await;
}

#[tokio::test]
async fn strangers_use_the_calls_outside_sessions() {
    let running = Running::start().await;
    // The store learns its view from a session.
    let remote = running.remote();
    assert_eq!(remote.ask(key("a"), write(ballot(1), Some(value(b"x")))).await.unwrap().0, Verdict::Ack);

    let mut gateway = running.client(PeerRole::Gateway);
    let request = |epoch, message| {
        let mut request = cairn_model::wire::encode_register_request(&[(key("a"), message)]);
        request.header = running.header(epoch);
        request
    };
    let found = gateway.register(request(0, Message::Query)).await.unwrap().into_inner();
    assert_eq!((found.epoch, found.store_id), (1, running.table.store().to_bytes()));
    assert_eq!(found.replies[0].row.as_ref().unwrap().envelope.as_ref().unwrap().data, b"x".as_slice());
    let stored = gateway.register(request(1, write(ballot(2), None))).await.unwrap().into_inner();
    assert_eq!(stored.replies[0].verdict(), v1::Verdict::Ack);
    for wrong in [
        request(0, write(ballot(3), None)),
        v1::RegisterRequest { header: None, ..request(1, Message::Query) },
        v1::RegisterRequest { calls: Vec::new(), ..request(1, Message::Query) },
    ] {
        let refused = gateway.register(wrong).await.unwrap_err();
        assert!(matches!(CallError::from(refused), CallError::Invalid(_)));
    }

    let mut admin = running.client(PeerRole::Admin);
    let range = v1::RangeRequest { header: running.header(0), ..encode_range(&everything()) };
    let listed = decode_range_reply(admin.range(range).await.unwrap().into_inner()).unwrap();
    assert_eq!((listed.rows.len(), listed.scanned_to), (1, None));
    let info = admin.info(v1::InfoRequest {}).await.unwrap().into_inner();
    assert_eq!((info.epoch, info.store_id), (1, running.table.store().to_bytes()));
    assert!(info.rows > 0 && info.bytes_on_disk > 0);
    let denied = admin.register(request(1, Message::Query)).await.unwrap_err();
    assert!(matches!(CallError::from(denied), CallError::Denied(_)));
    running.stop().await;
}

/// The stand-alone binary.
struct Process {
    child: Child,
    address: String,
    store: StoreId,
}

impl Process {
    async fn start(root: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cairn-table"))
            .arg("--config")
            .arg(configure(root))
            .stderr(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let serving = lines.by_ref().map(Result::unwrap).find(|line| line.contains("\"message\":\"serving\""));
        let serving = serving.expect("the daemon ended before it served");
        let address =
            serving.split("\"address\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
        // What else it says must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let mut client = TableServiceClient::new(connector(PeerRole::Admin).channel(&address));
        let info = client.info(v1::InfoRequest {}).await.unwrap().into_inner();
        let store = StoreId::try_from(info.store_id.as_ref()).unwrap();
        Self { child, address, store }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// SIGKILL under load, again and again: what was acknowledged is there, whole, with nothing put together wrongly.
#[tokio::test]
async fn what_was_acknowledged_survives_sigkill() {
    let root = tempfile::tempdir().unwrap();
    let mut acknowledged: Vec<(u64, RowKey)> = Vec::new();
    let mut store = None;
    for round in 0..4_u64 {
        let process = Process::start(root.path()).await;
        assert_eq!(*store.get_or_insert(process.store), process.store);
        let remote = Remote::new(&process.address, process.store);
        let check = acknowledged.chunks(1000).map(|chunk| {
            let batch = chunk.iter().map(|(_, key)| (key.clone(), Message::Query)).collect();
            let remote = &remote;
            async move { (chunk, remote.replica.register(&remote.context(), batch).await.unwrap().replies) }
        });
        for (chunk, replies) in futures_util::future::join_all(check).await {
            for ((n, _), reply) in chunk.iter().zip(replies) {
                let data = reply.row.unwrap().value.unwrap().data;
                assert!(data.len() == 2000 && data.chunks(8).all(|part| part == n.to_be_bytes()), "{n}");
            }
        }
        let mut writes = FuturesUnordered::new();
        for n in round * 10_000..round * 10_000 + 1000 {
            let (remote, key) = (&remote, key(format!("{n}")));
            let stored = value(&n.to_be_bytes().repeat(250));
            writes.push(async move {
                let answer = remote.ask(key.clone(), write(ballot(n), Some(stored))).await;
                answer.map(|(verdict, _)| (verdict, n, key))
            });
        }
        // Killed at some moment in the middle of it.
        let enough = 200 + 100 * round;
        let mut process = Some(process);
        let mut done = 0;
        while let Some(answer) = writes.next().await {
            if let Ok((verdict, n, key)) = answer {
                assert_eq!(verdict, Verdict::Ack);
                acknowledged.push((n, key));
                done += 1;
            }
            if done == enough {
                drop(process.take());
            }
        }
        assert!(process.is_none(), "all writes were done before the kill");
    }
    assert!(acknowledged.len() > 1000);
}

#[tokio::test]
async fn a_lost_store_is_not_made_anew() {
    let root = tempfile::tempdir().unwrap();
    drop(Process::start(root.path()).await);
    std::fs::remove_dir_all(root.path().join("data")).unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_cairn-table")).arg("--config").arg(configure(root.path())).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.contains("a lost store never comes back under its old id"), "{said}");
}

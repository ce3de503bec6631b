//! The real daemon over mutual TLS: sessions, the calls outside them, and SIGKILL of the stand-alone binary.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_block::{Block, Server, ServerConfig};
use cairn_daemon::Shutdown;
use cairn_model::view::encode_view_bytes;
use cairn_placement::ClusterView;
use cairn_proto::block::v1;
use cairn_proto::block::v1::block_service_client::BlockServiceClient;
use cairn_proto::common::v1::RequestHeader;
use cairn_quorum::wire::decode_reference;
use cairn_quorum::{BlockReplica, RemoteBlock};
use cairn_rpc::{CallContext, CallError, ClusterSecret, Connector, Identity, PeerRole, PeerService};
use cairn_types::{BlockHash, Epoch, StoreId};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use crate::support::{MIB, context, data, put, read, reference, view};

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
    let file = root.join("block.toml");
    let text = format!(
        "[node]\nname = 'oslo-block'\nzone = 'oslo'\nlisten = '127.0.0.1:0'\nconfig_dir = '{0}/config'\n\
         secret_file = '{0}/secret'\n[block]\ndirectories = ['{0}/a', '{0}/b']\nreserve = '0B'\n\
         [process]\nlog = 'info'\nlog_format = 'json'\n",
        root.display()
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// A peer of the store, which also sends the view that a membership daemon would have sent.
struct Remote {
    replica: RemoteBlock,
    view: Bytes,
}

impl Remote {
    fn new(address: &str, store: StoreId) -> Self {
        let cluster = secret().cluster_id();
        let peer = connector(PeerRole::Gateway).peer(PeerService::Block, address, store, cluster);
        let view = encode_view_bytes(&ClusterView { cluster, ..view(store, Epoch(1)) });
        Self { replica: RemoteBlock::new(peer), view }
    }

    fn context(&self) -> CallContext {
        CallContext { view: Some(self.view.clone()), ..context(self.replica.store(), Epoch(1)) }
    }

    async fn get(&self, hash: BlockHash) -> Result<Bytes, CallError> {
        read(&self.replica, &self.context(), hash, 0, 0).await
    }
}

/// A server in this process.
struct Running {
    address: String,
    block: Arc<Block>,
    shutdown: Shutdown,
    task: JoinHandle<anyhow::Result<()>>,
    _root: TempDir,
}

impl Running {
    async fn start() -> Self {
        cairn_rpc::install_crypto_provider();
        let root = tempfile::tempdir().unwrap();
        let mut document: toml::Table =
            toml::from_str(&std::fs::read_to_string(configure(root.path())).unwrap()).unwrap();
        document.remove("process");
        let config: ServerConfig = document.try_into().unwrap();
        let server = Server::bind(config).await.unwrap();
        let (address, block) = (server.local_addr().to_string(), server.block().clone());
        let shutdown = Shutdown::new();
        let task = tokio::spawn(server.run(shutdown.clone()));
        Self { address, block, shutdown, task, _root: root }
    }

    fn remote(&self) -> Remote {
        Remote::new(&self.address, self.block.store())
    }

    fn client(&self, role: PeerRole) -> BlockServiceClient<Channel> {
        BlockServiceClient::new(connector(role).channel(&self.address))
    }

    fn header(&self, epoch: u32) -> Option<RequestHeader> {
        Some(RequestHeader { store_id: self.block.store().to_bytes(), epoch, request_id: Bytes::new() })
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
    for size in [1, 5000, 256 * 1024, MIB] {
        let block = data(size, size as u64);
        let hash = BlockHash::of(&block);
        let context = remote.context();
        let existed = remote.replica.put(&context, put(&block, 1)).await.unwrap();
        assert!(!existed);
        assert!(remote.replica.put(&context, put(&block, 2)).await.unwrap());
        assert!(remote.get(hash).await.unwrap() == block);
        let last = u32::try_from(size - 1).unwrap();
        assert_eq!(read(&remote.replica, &context, hash, last, 1).await.unwrap(), block[size - 1..]);
        let unknown = BlockHash([0; 32]);
        let links = vec![(hash, reference(3)), (unknown, reference(3))];
        assert_eq!(remote.replica.add_references(&context, links).await.unwrap(), [unknown]);
        remote.replica.drop_references(&context, vec![(hash, reference(1).manifest)]).await.unwrap();
        let stats = remote.replica.stat(&context, vec![hash, unknown], true).await.unwrap();
        assert_eq!(stats[0].references, [reference(2), reference(3)]);
        assert_eq!((stats[0].size, stats[1].size), (Some(last + 1), None));
    }
    running.stop().await;
}

#[tokio::test]
async fn errors_keep_their_meaning_over_the_wire() {
    let running = Running::start().await;
    let remote = running.remote();
    let block = data(1000, 1);
    let without_view = context(running.block.store(), Epoch(1));
    let refused = remote.replica.put(&without_view, put(&block, 1)).await;
    assert!(matches!(refused, Err(CallError::NeedsView)), "{refused:?}");
    let mut wrong = put(&block, 1);
    wrong.crc32c = vec![1];
    let refused = remote.replica.put(&remote.context(), wrong).await;
    assert!(matches!(refused, Err(CallError::ChecksumMismatch(_))), "{refused:?}");
    assert!(matches!(remote.get(BlockHash::of(&block)).await, Err(CallError::NotFound(_))));
    let other = Remote::new(&running.address, StoreId([3; 16]));
    assert!(matches!(other.get(BlockHash::of(&block)).await, Err(CallError::WrongStore { .. })));
    running.stop().await;
}

#[tokio::test]
async fn all_references_are_listed_page_by_page() {
    let running = Running::start().await;
    let remote = running.remote();
    let mut expected = Vec::new();
    for seed in 0..3 {
        let block = data(1000, seed);
        for manifest in 1..4 {
            remote.replica.put(&remote.context(), put(&block, manifest)).await.unwrap();
            expected.push((BlockHash::of(&block), reference(manifest).manifest));
        }
    }
    let dropped = expected.swap_remove(4);
    remote.replica.drop_references(&remote.context(), vec![dropped]).await.unwrap();
    expected.sort();
    let mut client = running.client(PeerRole::Admin);
    for limit in [1, 4, 8, 1000] {
        let mut request = v1::ListReferencesRequest { header: running.header(0), limit, ..Default::default() };
        let mut found = Vec::new();
        loop {
            let page = client.list_references(request.clone()).await.unwrap().into_inner().references;
            for one in &page {
                let reference = decode_reference(one.reference.clone().unwrap()).unwrap();
                found.push((BlockHash::try_from(one.hash.as_ref()).unwrap(), reference.manifest));
            }
            if page.len() < limit as usize {
                break;
            }
            let (hash, manifest) = found.last().unwrap();
            (request.after_hash, request.after_manifest_id) = (hash.to_bytes(), manifest.to_bytes());
        }
        assert_eq!(found, expected, "{limit} a page");
    }
    for limit in [0, 1001] {
        let request = v1::ListReferencesRequest { header: running.header(0), limit, ..Default::default() };
        let refused = client.list_references(request).await.unwrap_err();
        assert!(matches!(CallError::from(refused), CallError::Invalid(_)), "{limit}");
    }
    running.stop().await;
}

#[tokio::test]
async fn strangers_use_the_calls_outside_sessions() {
    let running = Running::start().await;
    let remote = running.remote();
    // The store learns its view from a session.
    remote.replica.put(&remote.context(), put(&data(1, 1), 1)).await.unwrap();
    let mut client = running.client(PeerRole::Gateway);
    let block = data(600_000, 2);
    let hash = BlockHash::of(&block);
    let PutParts { mut head, parts } = put_parts(&block);
    head.header = running.header(1);
    let mut messages: Vec<_> = parts.into_iter().map(|data| v1::PutBlockRequest { head: None, data }).collect();
    messages[0].head = Some(head);
    let response = client.put_block(tokio_stream::iter(messages.clone())).await.unwrap().into_inner();
    assert!(!response.existed);
    // Half a block is no block, too much is none either, and epoch 0 is for reads.
    let half = client.put_block(tokio_stream::iter(messages[..1].to_vec())).await.unwrap_err();
    assert!(matches!(CallError::from(half), CallError::Invalid(_)));
    let more = messages.iter().chain(&messages[1..]).cloned().collect::<Vec<_>>();
    let more = client.put_block(tokio_stream::iter(more)).await.unwrap_err();
    assert!(matches!(CallError::from(more), CallError::Invalid(_)));
    let headless = client.put_block(tokio_stream::iter(messages[1..].to_vec())).await.unwrap_err();
    assert!(matches!(CallError::from(headless), CallError::Invalid(_)));
    let add = v1::AddReferencesRequest { header: running.header(0), references: vec![] };
    assert!(matches!(CallError::from(client.add_references(add).await.unwrap_err()), CallError::Invalid(_)));

    let mut admin = running.client(PeerRole::Admin);
    let request = v1::GetBlockRequest { header: running.header(0), hash: hash.to_bytes(), offset: 10, length: 300_000 };
    let mut stream = admin.get_block(request).await.unwrap().into_inner();
    let mut got = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        got.extend_from_slice(&message.data);
    }
    assert!(got == block[10..300_010]);
    let info = admin.info(v1::InfoRequest {}).await.unwrap().into_inner();
    assert_eq!((info.blocks, info.epoch, info.directories.len()), (2, 1, 2));
    assert!(info.bytes_used > 600_000 && info.bytes_free > 0);
    let denied =
        admin.drop_references(v1::DropReferencesRequest { header: running.header(1), references: vec![] }).await;
    assert!(matches!(CallError::from(denied.unwrap_err()), CallError::Denied(_)));
    running.stop().await;
}

struct PutParts {
    head: v1::PutBlockHead,
    parts: Vec<Bytes>,
}

fn put_parts(block: &Bytes) -> PutParts {
    let put = put(block, 1);
    let head =
        cairn_quorum::wire::PutHead { hash: put.hash, size: block.len(), crc32c: put.crc32c, reference: put.reference };
    PutParts { head: cairn_quorum::wire::encode_put_head(&head), parts: put.data }
}

/// The stand-alone binary.
struct Process {
    child: Child,
    address: String,
}

impl Process {
    fn start(root: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cairn-block"))
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
        Self { child, address }
    }

    async fn store(&self) -> StoreId {
        let mut client = BlockServiceClient::new(connector(PeerRole::Admin).channel(&self.address));
        let info = client.info(v1::InfoRequest {}).await.unwrap().into_inner();
        StoreId::try_from(info.store_id.as_ref()).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Puts and links until the daemon dies; answers what it acknowledged.
async fn load(remote: Arc<Remote>, seed: u64) -> Vec<(u64, usize, bool)> {
    let mut acknowledged = Vec::new();
    for round in 0.. {
        let seed = seed * 10_000 + round;
        let size = usize::try_from(seed % 7 * 150_000 + 1).unwrap();
        let block = data(size, seed);
        if remote.replica.put(&remote.context(), put(&block, 1)).await.is_err() {
            break;
        }
        let link = vec![(BlockHash::of(&block), reference(2))];
        let linked = round % 3 == 0 && remote.replica.add_references(&remote.context(), link).await.is_ok();
        acknowledged.push((seed, size, linked));
    }
    acknowledged
}

/// W1, B2: SIGKILL in the middle of everything, several times; each acknowledged block and reference is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_blocks_survive_a_kill() {
    let root = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    let mut store = None;
    for round in 0..4 {
        let process = Process::start(root.path());
        let id = process.store().await;
        assert_eq!(*store.get_or_insert(id), id);
        let remote = Arc::new(Remote::new(&process.address, id));
        let workers: Vec<_> =
            (0..8).map(|worker| tokio::spawn(load(remote.clone(), 100 + round * 8 + worker))).collect();
        tokio::time::sleep(Duration::from_millis(400)).await;
        drop(process);
        for worker in workers {
            acknowledged.extend(worker.await.unwrap());
        }
    }
    assert!(acknowledged.len() > 100, "{} blocks only", acknowledged.len());
    let process = Process::start(root.path());
    let remote = Remote::new(&process.address, store.unwrap());
    for (seed, size, linked) in acknowledged {
        let block = data(size, seed);
        let hash = BlockHash::of(&block);
        assert!(remote.get(hash).await.unwrap() == block, "block {seed}");
        let stats = remote.replica.stat(&remote.context(), vec![hash], true).await.unwrap();
        assert!(!linked || stats[0].references.contains(&reference(2)), "reference to block {seed}");
    }
}

#[tokio::test]
async fn a_lost_store_is_not_made_anew() {
    let root = tempfile::tempdir().unwrap();
    drop(Process::start(root.path()));
    for directory in ["a", "b"] {
        std::fs::remove_dir_all(root.path().join(directory)).unwrap();
    }
    let output =
        Command::new(env!("CARGO_BIN_EXE_cairn-block")).arg("--config").arg(configure(root.path())).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.contains("is recorded, but none of its data directories is there"), "{said}");
}

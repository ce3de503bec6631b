//! A store in a temporary directory, under a manual clock, and what tests ask of it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_block::{Block, Config, OpenError, Parts, pieces};
use cairn_daemon::{Period, Size};
use cairn_placement::{ClusterView, Layout, LayoutRecord, Member, Ring, Step};
use cairn_quorum::{BlockReplica, PutBlock, Reference};
use cairn_rpc::{CallContext, CallError, ViewCell};
use cairn_types::{
    BlockHash, BucketId, ClusterId, Epoch, ManifestId, ManualClock, OpId, RequestId, StoreId, SystemEntropy,
};
use futures_util::TryStreamExt;
use tempfile::TempDir;
use tokio::time::Instant;

pub(crate) const DAY_MS: u64 = 24 * 3600 * 1000;
pub(crate) const MIB: usize = 1024 * 1024;

/// A store, and what it needs to be opened again.
pub(crate) struct Store {
    pub(crate) block: Arc<Block>,
    pub(crate) config: Config,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) view: Arc<ViewCell>,
    pub(crate) epoch: Epoch,
    pub(crate) root: TempDir,
}

pub(crate) const fn size(bytes: u64) -> Size {
    Size(bytes)
}

pub(crate) const fn no_grace() -> Period {
    Period(Duration::ZERO)
}

/// A configuration with these directories under `root`.
pub(crate) fn config(root: &Path, directories: &[&str]) -> Config {
    let directories = directories.iter().map(|name| root.join(name)).collect();
    Config { directories, reserve: size(0), ..Config::default() }
}

impl Store {
    pub(crate) async fn new() -> Self {
        Self::with(&["data"], |_| {}).await
    }

    /// A new store with these directories, its configuration changed by `tune`.
    pub(crate) async fn with(directories: &[&str], tune: impl FnOnce(&mut Config)) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut config = config(root.path(), directories);
        tune(&mut config);
        Self::open(root, config, Arc::new(ManualClock::at(1_800_000_000_000)), Epoch(1)).await.unwrap()
    }

    pub(crate) async fn open(
        root: TempDir,
        config: Config,
        clock: Arc<ManualClock>,
        epoch: Epoch,
    ) -> Result<Self, OpenError> {
        let view = Arc::new(ViewCell::new(empty_view()));
        let parts =
            Parts { view: view.clone(), clock: clock.clone(), entropy: Arc::new(SystemEntropy), expected: None };
        let block = Block::open(config.clone(), parts).await?;
        view.offer(self::view(block.store(), epoch));
        Ok(Self { block, config, clock, view, epoch, root })
    }

    /// Closes the store in good order and opens it again.
    pub(crate) async fn reopen(self) -> Self {
        self.reopen_after(|_| {}).await
    }

    /// Closes the store, lets `between` loose on its files, and opens it again.
    pub(crate) async fn reopen_after(self, between: impl FnOnce(&Path)) -> Self {
        let Self { block, config, clock, epoch, root, .. } = self;
        block.close();
        drop(block);
        between(root.path());
        Self::open(root, config, clock, epoch).await.unwrap()
    }

    /// What is on disk now, opened elsewhere: nothing was flushed or cut off in good order.
    pub(crate) async fn crash(self) -> Self {
        let root = tempfile::tempdir().unwrap();
        let copied = Command::new("cp").arg("-r").arg(self.root.path().join(".")).arg(root.path()).status();
        assert!(copied.unwrap().success());
        let mut config = self.config.clone();
        for directory in &mut config.directories {
            *directory = root.path().join(directory.file_name().unwrap());
        }
        Self::open(root, config, self.clock.clone(), self.epoch).await.unwrap()
    }

    pub(crate) fn context(&self) -> CallContext {
        context(self.block.store(), self.epoch)
    }

    pub(crate) async fn put(&self, data: &Bytes, manifest: u8) -> Result<bool, CallError> {
        self.block.put(&self.context(), put(data, manifest)).await
    }

    pub(crate) async fn get(&self, hash: BlockHash) -> Result<Bytes, CallError> {
        self.get_range(hash, 0, 0).await
    }

    pub(crate) async fn get_range(&self, hash: BlockHash, offset: u32, length: u32) -> Result<Bytes, CallError> {
        read(&*self.block, &self.context(), hash, offset, length).await
    }

    pub(crate) async fn link(&self, hash: BlockHash, manifest: u8) -> Result<Vec<BlockHash>, CallError> {
        self.block.add_references(&self.context(), vec![(hash, reference(manifest))]).await
    }

    pub(crate) async fn unlink(&self, hash: BlockHash, manifest: u8) {
        self.block.drop_references(&self.context(), vec![(hash, ManifestId([manifest; 16]))]).await.unwrap();
    }

    /// Who references `hash`, and whether it is here.
    pub(crate) async fn stat(&self, hash: BlockHash) -> (Option<u32>, Vec<u8>) {
        let mut stats = self.block.stat(&self.context(), vec![hash], true).await.unwrap();
        let stat = stats.remove(0);
        (stat.size, stat.references.iter().map(|reference| reference.manifest.0[0]).collect())
    }
}

/// All of a range, whose pieces must be of a bearable size.
pub(crate) async fn read(
    replica: &dyn BlockReplica,
    context: &CallContext,
    hash: BlockHash,
    offset: u32,
    length: u32,
) -> Result<Bytes, CallError> {
    let body = replica.get(context, hash, offset, length).await?;
    let pieces: Vec<Bytes> = body.pieces.try_collect().await?;
    assert!(pieces.iter().all(|piece| (1..=256 * 1024).contains(&piece.len())));
    Ok(pieces.concat().into())
}

pub(crate) fn context(store: StoreId, epoch: Epoch) -> CallContext {
    let deadline = Instant::now() + Duration::from_secs(30);
    CallContext { store, epoch, request: RequestId::random(&SystemEntropy), deadline, view: None }
}

pub(crate) fn put(data: &Bytes, manifest: u8) -> PutBlock {
    PutBlock {
        hash: BlockHash::of(data),
        crc32c: pieces::sums(std::slice::from_ref(data)),
        reference: reference(manifest),
        data: data.chunks(100_000).map(|part| data.slice_ref(part)).collect(),
    }
}

pub(crate) fn reference(manifest: u8) -> Reference {
    Reference {
        manifest: ManifestId([manifest; 16]),
        bucket: BucketId([9; 16]),
        key: Bytes::from_static(b"photos/cat.jpg"),
        upload: None,
        written_at_ms: 1_800_000_000_000,
        epoch: Epoch(1),
    }
}

/// `size` bytes that differ with `seed` and do not compress.
pub(crate) fn data(size: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..size.div_ceil(8)).flat_map(|_| next()).take(size).collect::<Vec<u8>>().into()
}

/// A cluster without a layout.
pub(crate) fn empty_view() -> ClusterView {
    let record = LayoutRecord {
        number: 1,
        epoch: Epoch(0),
        step: Step::Empty,
        layouts: vec![],
        voters: vec![],
        op: OpId([1; 16]),
    };
    ClusterView { cluster: ClusterId([4; 16]), record, nodes: std::collections::BTreeMap::new(), revision: 0 }
}

/// A cluster of this one store.
pub(crate) fn view(store: StoreId, epoch: Epoch) -> ClusterView {
    let member = Member {
        name: "node".parse().unwrap(),
        store,
        zone: "zone".parse().unwrap(),
        capacity_bytes: 1 << 40,
        tags: vec![],
    };
    let ring = Ring::new(1, 1, 10, vec![member], vec![0; 1024]).unwrap();
    let layout = Arc::new(Layout { version: epoch.0, table: ring.clone(), block: ring });
    let record = LayoutRecord {
        number: 1 + u64::from(epoch.0),
        epoch,
        step: Step::Stable,
        layouts: vec![layout],
        voters: vec![],
        op: OpId([1; 16]),
    };
    ClusterView { record, ..empty_view() }
}

/// The files of all segments under `root`, in order.
pub(crate) fn segments(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for directory in root.read_dir().unwrap() {
        let segments = directory.unwrap().path().join("segments");
        if let Ok(entries) = segments.read_dir() {
            found.extend(entries.map(|entry| entry.unwrap().path()));
        }
    }
    found.sort();
    found
}

/// Flips one bit of a file.
pub(crate) fn flip(path: &Path, at: u64) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 4], at).unwrap();
    file.sync_all().unwrap();
}

/// Where `needle` begins in a file.
pub(crate) fn find(path: &Path, needle: &[u8]) -> u64 {
    let bytes = std::fs::read(path).unwrap();
    bytes.windows(needle.len()).position(|window| window == needle).unwrap() as u64
}

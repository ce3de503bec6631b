//! A store that is open: what its own process calls directly, and others over the wire.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use cairn_placement::NodeStatus;
use cairn_quorum::{BlockBody, BlockReplica, BlockStat, PutBlock, Reference};
use cairn_rpc::{CallContext, CallError, ViewCell};
use cairn_store::{Options, Rocks};
use cairn_types::{BlockHash, Clock, ClusterId, Entropy, Epoch, ManifestId, StoreId};

use crate::Config;
use crate::blocks::{Blocks, Buffers, Slot, index_error};
use crate::directory::{Directory, DirectoryNumber, OpenError, Opened, make_directory, open_all};
use crate::fence::Fence;
use crate::gc::{Collected, Collector};
use crate::index::Index;
use crate::locks::HashLocks;
use crate::recover::{Recovered, Recovery};
use crate::writer::{Writer, WriterParts};

/// Sizes told to membership are multiples of it.
const STATUS_GRAIN: u64 = 1 << 20;

/// What a store is given by its process.
pub struct Parts {
    pub view: Arc<ViewCell>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// The store that was recorded for this role outside its directories (DESIGN §2): empty or other ones are refused.
    /// None: a new store may be made.
    pub expected: Option<StoreId>,
}

/// One store of blocks.
pub struct Block {
    pub(crate) blocks: Arc<Blocks>,
    pub(crate) collector: Collector,
    recovered: Recovered,
}

/// A data directory, as it is now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DirectoryStatus {
    pub path: PathBuf,
    pub bytes_used: u64,
    pub bytes_free: u64,
    /// Why it is out of use.
    pub failure: Option<String>,
}

impl Block {
    /// Opens the store in `config.directories`, or makes it. Reads what the index lacks; the work is bounded by what was
    /// written shortly before a crash, unless the index is lost.
    pub async fn open(config: Config, parts: Parts) -> Result<Arc<Self>, OpenError> {
        let opened = tokio::task::spawn_blocking(move || Self::open_blocking(&config, parts)).await;
        opened.map_err(|error| OpenError::Thread(std::io::Error::other(error)))?
    }

    fn open_blocking(config: &Config, parts: Parts) -> Result<Arc<Self>, OpenError> {
        let Parts { view, clock, entropy, expected } = parts;
        let reserve = config.reserve.bytes();
        let Opened { store, directories, failed } = open_all(&config.directories, expected, reserve, &*entropy)?;
        let directories: BTreeMap<DirectoryNumber, Arc<Directory>> =
            directories.into_iter().map(|directory| (directory.number, Arc::new(directory))).collect();
        let index = open_index(config, &directories, store)?;
        let grace_ms = config.grace_ms();
        let recovered =
            Recovery::new(&index, &directories, clock.now_ms(), grace_ms).run().map_err(OpenError::Index)?;
        let mut slots = BTreeMap::new();
        for (number, directory) in directories {
            let newest = directory.segment_numbers().unwrap_or_default().last().copied();
            // Numbers begin with 1 and are never used again, even where a segment is lost: the index may still name it.
            let known = index.mark(number).map_err(OpenError::Index)?.segment;
            let next_segment = newest.unwrap_or(0).max(known).saturating_add(1);
            let writer = Writer::start(WriterParts {
                directory: directory.clone(),
                index: index.clone(),
                clock: clock.clone(),
                entropy: entropy.clone(),
                segment_bytes: config.segment_size.bytes(),
                next_segment,
            });
            slots.insert(number, Slot { directory, writer: writer.map_err(OpenError::Thread)? });
        }
        let blocks = Arc::new(Blocks {
            store,
            fence: Fence::new(store, view, index.clone()).map_err(OpenError::Index)?,
            index,
            slots,
            failed,
            locks: HashLocks::default(),
            clock,
            entropy,
            max_block_bytes: config.max_block_bytes(),
            grace_ms,
            buffers: Arc::new(Buffers::default()),
            reads: Blocks::blocking_bound(),
            commits: Blocks::blocking_bound(),
        });
        Ok(Arc::new(Self { collector: Collector::new(blocks.clone()), blocks, recovered }))
    }

    /// What the start found behind the index.
    #[must_use]
    pub const fn recovered(&self) -> &Recovered {
        &self.recovered
    }

    #[must_use]
    pub fn store(&self) -> StoreId {
        self.blocks.store
    }

    #[must_use]
    pub fn cluster(&self) -> ClusterId {
        self.blocks.fence.view().cluster
    }

    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.blocks.fence.epoch()
    }

    /// Every configured directory.
    #[must_use]
    pub fn directories(&self) -> Vec<DirectoryStatus> {
        let open = self.blocks.slots.values().map(|Slot { directory, .. }| DirectoryStatus {
            path: directory.path.clone(),
            bytes_used: directory.used(),
            bytes_free: directory.free(),
            failure: directory.failure().map(|failure| failure.to_string()),
        });
        let failed = self.blocks.failed.iter().map(|(path, why)| DirectoryStatus {
            path: path.clone(),
            bytes_used: 0,
            bytes_free: 0,
            failure: Some(why.clone()),
        });
        open.chain(failed).collect()
    }

    /// Blocks that are here.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn block_count(&self) -> Result<u64, CallError> {
        self.blocks.index.block_count().map_err(index_error)
    }

    /// What this store says of itself to membership: sizes are rounded, so that not every block is news.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        // Persisted, and read first: no call of an older epoch is acknowledged after the look for data.
        let epoch = self.blocks.fence.persisted();
        let directories = self.directories();
        let rounded = |bytes: u64| bytes.next_multiple_of(STATUS_GRAIN);
        NodeStatus {
            bytes_used: rounded(directories.iter().map(|directory| directory.bytes_used).sum()),
            bytes_free: rounded(directories.iter().map(|directory| directory.bytes_free).sum()),
            // Where the index cannot say, there is data: nothing may be done that needs an empty store.
            has_data: self.block_count().map_or(true, |blocks| blocks > 0),
            epoch,
            ready: directories.iter().any(|directory| directory.failure.is_none()),
        }
    }

    /// Bytes its disks can hold, those in use included.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.blocks.slots.values().map(|Slot { directory, .. }| directory.used() + directory.above_reserve()).sum()
    }

    /// One step of collection: blocks whose grace period is over go, and their space is given back, up to a bound.
    ///
    /// # Errors
    /// The index cannot be read or written; the next step tries again.
    pub async fn collect(&self) -> Result<Collected, CallError> {
        self.collector.step().await
    }

    /// Finishes what was begun and makes the index durable; calls made afterwards fail. Blocks.
    pub fn close(&self) {
        self.blocks.close();
    }
}

/// The index stands where it is configured to, or in the store's first directory.
fn open_index(
    config: &Config,
    directories: &BTreeMap<DirectoryNumber, Arc<Directory>>,
    store: StoreId,
) -> Result<Index, OpenError> {
    let path = match &config.index_directory {
        Some(path) => path.clone(),
        None => directories.get(&DirectoryNumber(0)).ok_or(OpenError::IndexLost)?.path.join("index"),
    };
    make_directory(&path).map_err(|source| OpenError::Io { path: path.clone(), source })?;
    let rocks = Rocks::open(&path, &Options { memory_bytes: config.index_memory_bytes(), ..Options::default() });
    let has_segments =
        directories.values().any(|directory| directory.segment_numbers().is_ok_and(|numbers| !numbers.is_empty()));
    Index::open(Arc::new(rocks.map_err(OpenError::Index)?), store, has_segments)
}

#[async_trait]
impl BlockReplica for Block {
    fn store(&self) -> StoreId {
        self.blocks.store
    }

    async fn put(&self, context: &CallContext, block: PutBlock) -> Result<bool, CallError> {
        self.blocks.put(context, block).await
    }

    async fn get(
        &self,
        context: &CallContext,
        hash: BlockHash,
        offset: u32,
        length: u32,
    ) -> Result<BlockBody, CallError> {
        self.blocks.get(context, hash, offset, length).await
    }

    async fn add_references(
        &self,
        context: &CallContext,
        references: Vec<(BlockHash, Reference)>,
    ) -> Result<Vec<BlockHash>, CallError> {
        self.blocks.add_references(context, references).await
    }

    async fn drop_references(
        &self,
        context: &CallContext,
        references: Vec<(BlockHash, ManifestId)>,
    ) -> Result<(), CallError> {
        self.blocks.drop_references(context, references).await
    }

    async fn stat(
        &self,
        context: &CallContext,
        hashes: Vec<BlockHash>,
        with_references: bool,
    ) -> Result<Vec<BlockStat>, CallError> {
        self.blocks.stat(context, hashes, with_references).await
    }
}

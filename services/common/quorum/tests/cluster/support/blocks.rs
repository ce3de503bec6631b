//! A block store in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_quorum::{BlockBody, BlockReplica, BlockStat, PutBlock, Reference};
use cairn_rpc::{CallContext, CallError};
use cairn_types::{BlockHash, ManifestId, StoreId};
use futures_util::StreamExt as _;
use parking_lot::Mutex;

use super::network::Network;
use super::views;

/// Bytes a piece has here.
const PIECE: usize = 4;

pub(crate) struct MemoryBlock {
    store: StoreId,
    network: Arc<Network>,
    blocks: Arc<Mutex<BTreeMap<BlockHash, Stored>>>,
    /// Pieces that a body yields before it stalls or breaks.
    pub(crate) breaks_after: Mutex<Option<(usize, Break)>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Break {
    Error,
    Stall,
    Short,
}

#[derive(Default)]
struct Stored {
    data: Vec<u8>,
    references: Vec<Reference>,
}

impl MemoryBlock {
    pub(crate) fn new(index: u8, network: Arc<Network>) -> Self {
        let store = views::block_store(index);
        Self { store, network, blocks: Arc::default(), breaks_after: Mutex::new(None) }
    }

    pub(crate) fn has(&self, hash: BlockHash) -> bool {
        self.blocks.lock().contains_key(&hash)
    }

    pub(crate) fn remove(&self, hash: BlockHash) {
        self.blocks.lock().remove(&hash);
    }

    pub(crate) fn references(&self, hash: BlockHash) -> usize {
        self.blocks.lock().get(&hash).map_or(0, |stored| stored.references.len())
    }
}

#[async_trait]
impl BlockReplica for MemoryBlock {
    fn store(&self) -> StoreId {
        self.store
    }

    async fn put(&self, context: &CallContext, block: PutBlock) -> Result<bool, CallError> {
        let (network, blocks) = (self.network.clone(), self.blocks.clone());
        let act = move || {
            network.count("put");
            let mut blocks = blocks.lock();
            let existed = blocks.contains_key(&block.hash);
            let stored = blocks.entry(block.hash).or_default();
            stored.data = block.data.concat();
            stored.references.push(block.reference.clone());
            Ok(existed)
        };
        self.network.carry(context, act).await
    }

    async fn get(
        &self,
        context: &CallContext,
        hash: BlockHash,
        offset: u32,
        length: u32,
    ) -> Result<BlockBody, CallError> {
        let (network, blocks) = (self.network.clone(), self.blocks.clone());
        let act = move || {
            network.count("get");
            let blocks = blocks.lock();
            let stored = blocks.get(&hash).ok_or_else(|| CallError::NotFound("no such block".to_owned()))?;
            Ok(stored.data.clone())
        };
        let data = self.network.carry(context, act).await?;
        let end = if length == 0 { data.len() } else { data.len().min((offset + length) as usize) };
        let pieces: Vec<Bytes> = data[offset as usize..end].chunks(PIECE).map(Bytes::copy_from_slice).collect();
        let size = u32::try_from(data.len()).unwrap();
        let pieces = pieces.into_iter().map(Ok);
        let pieces = match *self.breaks_after.lock() {
            None => futures_util::stream::iter(pieces).boxed(),
            Some((after, how)) => {
                let end = match how {
                    Break::Error => {
                        let damaged = CallError::Corrupt("a piece is damaged".to_owned());
                        futures_util::stream::iter([Err(damaged)]).boxed()
                    }
                    Break::Stall => futures_util::stream::pending().boxed(),
                    Break::Short => futures_util::stream::empty().boxed(),
                };
                futures_util::stream::iter(pieces.take(after)).chain(end).boxed()
            }
        };
        Ok(BlockBody { size, pieces })
    }

    async fn add_references(
        &self,
        context: &CallContext,
        references: Vec<(BlockHash, Reference)>,
    ) -> Result<Vec<BlockHash>, CallError> {
        let (network, blocks) = (self.network.clone(), self.blocks.clone());
        let act = move || {
            network.count("add");
            let mut missing = Vec::new();
            let mut blocks = blocks.lock();
            for (hash, reference) in references {
                match blocks.get_mut(&hash) {
                    Some(stored) => stored.references.push(reference),
                    None => missing.push(hash),
                }
            }
            Ok(missing)
        };
        self.network.carry(context, act).await
    }

    async fn drop_references(
        &self,
        context: &CallContext,
        references: Vec<(BlockHash, ManifestId)>,
    ) -> Result<(), CallError> {
        let (network, blocks) = (self.network.clone(), self.blocks.clone());
        let act = move || {
            network.count("drop");
            let mut blocks = blocks.lock();
            for (hash, manifest) in references {
                if let Some(stored) = blocks.get_mut(&hash) {
                    stored.references.retain(|reference| reference.manifest != manifest);
                }
            }
            Ok(())
        };
        self.network.carry(context, act).await
    }

    async fn stat(&self, _: &CallContext, _: Vec<BlockHash>, _: bool) -> Result<Vec<BlockStat>, CallError> {
        Err(CallError::Unimplemented("not in these tests".to_owned()))
    }
}

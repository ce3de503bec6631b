//! A block store in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_quorum::{BlockBody, BlockReplica, BlockStat, PutBlock, Reference};
use cairn_rpc::{CallContext, CallError};
use cairn_types::{BlockHash, ManifestId, StoreId};
use futures_util::StreamExt as _;
use parking_lot::Mutex;

use super::Switch;

const PIECE: usize = 256 << 10;

pub(crate) struct MemoryBlock {
    pub(crate) switch: Switch,
    store: StoreId,
    blocks: Mutex<BTreeMap<BlockHash, (Bytes, Vec<ManifestId>)>>,
}

impl MemoryBlock {
    pub(crate) fn new(store: StoreId) -> Self {
        Self { switch: Switch::default(), store, blocks: Mutex::default() }
    }

    pub(crate) fn count(&self) -> usize {
        self.blocks.lock().len()
    }

    pub(crate) fn clear(&self) {
        self.blocks.lock().clear();
    }

    pub(crate) fn holds(&self, bytes: &[u8]) -> bool {
        self.blocks.lock().values().any(|(data, _)| data.windows(bytes.len()).any(|window| window == bytes))
    }

    /// Changes the first bit of every block.
    pub(crate) fn damage(&self) {
        for (data, _) in self.blocks.lock().values_mut() {
            let mut changed = data.to_vec();
            changed[0] ^= 1;
            *data = changed.into();
        }
    }

    pub(crate) fn most_references(&self) -> usize {
        self.blocks.lock().values().map(|(_, references)| references.len()).max().unwrap_or_default()
    }
}

/// The contract of [`PutBlock`]: what a real store checks before it takes a block.
fn check(block: &PutBlock, data: &[u8]) -> Result<(), CallError> {
    let crcs: Vec<u32> = data.chunks(PIECE).map(crc_fast::crc32_iscsi).collect();
    if crcs != block.crc32c || BlockHash::of(data) != block.hash || data.is_empty() || data.len() > 1 << 20 {
        return Err(CallError::ChecksumMismatch("the block is not what it says".to_owned()));
    }
    Ok(())
}

#[async_trait]
impl BlockReplica for MemoryBlock {
    fn store(&self) -> StoreId {
        self.store
    }

    async fn put(&self, _: &CallContext, block: PutBlock) -> Result<bool, CallError> {
        self.switch.check()?;
        let data = block.data.concat();
        check(&block, &data)?;
        let mut blocks = self.blocks.lock();
        let existed = blocks.contains_key(&block.hash);
        blocks.entry(block.hash).or_insert_with(|| (data.into(), Vec::new())).1.push(block.reference.manifest);
        Ok(existed)
    }

    async fn get(&self, _: &CallContext, hash: BlockHash, offset: u32, length: u32) -> Result<BlockBody, CallError> {
        self.switch.check()?;
        let blocks = self.blocks.lock();
        let (data, _) = blocks.get(&hash).ok_or_else(|| CallError::NotFound("no such block".to_owned()))?;
        let end = if length == 0 { data.len() } else { data.len().min((offset + length) as usize) };
        let wanted = data.slice(offset as usize..end);
        let pieces: Vec<_> = wanted.chunks(PIECE).map(|piece| Ok(wanted.slice_ref(piece))).collect();
        let size = u32::try_from(data.len()).unwrap();
        Ok(BlockBody { size, pieces: futures_util::stream::iter(pieces).boxed() })
    }

    async fn add_references(
        &self,
        _: &CallContext,
        references: Vec<(BlockHash, Reference)>,
    ) -> Result<Vec<BlockHash>, CallError> {
        self.switch.check()?;
        let mut missing = Vec::new();
        let mut blocks = self.blocks.lock();
        for (hash, reference) in references {
            match blocks.get_mut(&hash) {
                Some((_, held)) => held.push(reference.manifest),
                None => missing.push(hash),
            }
        }
        Ok(missing)
    }

    async fn drop_references(&self, _: &CallContext, _: Vec<(BlockHash, ManifestId)>) -> Result<(), CallError> {
        Err(CallError::Unimplemented("gateways drop no references".to_owned()))
    }

    async fn stat(&self, _: &CallContext, _: Vec<BlockHash>, _: bool) -> Result<Vec<BlockStat>, CallError> {
        Err(CallError::Unimplemented("gateways ask for no statistics".to_owned()))
    }
}

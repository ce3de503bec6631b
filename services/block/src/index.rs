//! What the store knows about its blocks: where each is, who references it, which are to go.
//!
//! Keys on disk; tags stay for ever and are never reused. Integers are big-endian: byte order is numeric order.
//! ```text
//! b | hash                          -> block (see `index/codec`)
//! r | hash | manifest               -> reference: added
//! x | hash | manifest               -> removed_ms: removed, for ever (a two-phase set: one id is added and removed once)
//! d | deadline_ms | hash            -> (): unreferenced, in the order in which collection may take them
//! h | directory | segment | offset  -> length: space to punch out
//! m | name [ | directory ]          -> about the index itself
//! ```
//!
//! - **I1** A directory's mark is written in one batch with the blocks below it. A crash takes back a tail of
//!   batches, never one from the middle, so every block below a mark that is read back is indexed, and a scan from
//!   the mark finds the others (`an_index_that_is_behind_is_completed`).
//! - **I2** A block has an entry in `d` exactly while nobody references it (`the_last_reference_dooms_a_block`).
//! - **I3** Removing a block and noting its hole are one batch (`removed_blocks_become_holes`).

mod codec;
#[cfg(test)]
mod fuzz;

pub(crate) use codec::{Block, Location};

use std::sync::Arc;

use cairn_quorum::Reference;
use cairn_store::{Batch, Durability, Store, prefix_end};
use cairn_types::{BlockHash, Epoch, ManifestId, StoreId};

use crate::directory::{DirectoryNumber, OpenError};

/// First byte of every key.
#[repr(u8)]
#[derive(Clone, Copy)]
enum Tag {
    Block = b'b',
    Reference = b'r',
    Removed = b'x',
    Doomed = b'd',
    Hole = b'h',
    Meta = b'm',
}

const VERSION: u32 = 1;

const META_VERSION: &[u8] = b"m\x01";
const META_STORE: &[u8] = b"m\x02";
const META_EPOCH: &[u8] = b"m\x03";
/// Present while references made after the blocks' own may be missing.
const META_REBUILT: &[u8] = b"m\x04";
/// Blocks removed since the store was made; only collection writes it.
const META_REMOVED_BLOCKS: &[u8] = b"m\x05";
const META_MARK: u8 = 6;
/// Blocks a directory has taken since the store was made; only its writer writes it.
const META_ADDED_BLOCKS: u8 = 7;

/// A place in a directory: all records before it are in the index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Mark {
    pub(crate) segment: u32,
    pub(crate) offset: u64,
}

/// Space that nobody needs any more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Hole {
    pub(crate) directory: DirectoryNumber,
    pub(crate) segment: u32,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// The index of one store. Reads cost a few microseconds where they are cached; synced writes block.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    store: Arc<dyn Store>,
}

impl Index {
    /// Takes `store` as the index of `id`. One that is new though there are segments (`has_segments`) was lost: that is
    /// noted for ever, for references beside the blocks' own are lost with it.
    pub(crate) fn open(store: Arc<dyn Store>, id: StoreId, has_segments: bool) -> Result<Self, OpenError> {
        let failed = OpenError::Index;
        let index = Self { store };
        let Some(version) = index.store.get(META_VERSION).map_err(failed)? else {
            let mut batch = Batch::new();
            batch.put(META_VERSION, VERSION.to_be_bytes().to_vec());
            batch.put(META_STORE, id.to_bytes());
            if has_segments {
                batch.put(META_REBUILT, Vec::new());
            }
            index.store.write(batch, Durability::Synced).map_err(failed)?;
            return Ok(index);
        };
        let version = codec::number(&version).map_err(failed)?;
        if version != u64::from(VERSION) {
            return Err(OpenError::IndexVersion(u32::try_from(version).unwrap_or(u32::MAX)));
        }
        let found = index.store.get(META_STORE).map_err(failed)?.unwrap_or_default();
        let found = StoreId::try_from(found.as_ref()).unwrap_or_default();
        if found == id { Ok(index) } else { Err(OpenError::ForeignIndex { found, expected: id }) }
    }

    pub(crate) fn block(&self, hash: BlockHash) -> Result<Option<Block>, cairn_store::Error> {
        self.store.get(&key(Tag::Block, &[hash.as_bytes()]))?.map(|value| codec::decode_block(&value)).transpose()
    }

    pub(crate) fn has_reference(&self, hash: BlockHash, manifest: ManifestId) -> Result<bool, cairn_store::Error> {
        Ok(self.store.get(&key(Tag::Reference, &[hash.as_bytes(), manifest.as_bytes()]))?.is_some())
    }

    /// Whether this reference was removed, and so can never be added again.
    pub(crate) fn is_removed(&self, hash: BlockHash, manifest: ManifestId) -> Result<bool, cairn_store::Error> {
        Ok(self.store.get(&key(Tag::Removed, &[hash.as_bytes(), manifest.as_bytes()]))?.is_some())
    }

    /// The first `limit` references to a block, in the order of their manifests.
    pub(crate) fn references(&self, hash: BlockHash, limit: usize) -> Result<Vec<Reference>, cairn_store::Error> {
        let prefix = key(Tag::Reference, &[hash.as_bytes()]);
        let end = prefix_end(&prefix);
        let mut cursor = self.store.scan(&prefix, end.as_deref());
        let mut references = Vec::new();
        while references.len() < limit
            && let Some((key, value)) = cursor.next()?
        {
            references.push(codec::decode_reference(&key[prefix.len()..], value)?);
        }
        Ok(references)
    }

    /// The first `limit` references of all blocks behind `after`, in the order of blocks and manifests.
    pub(crate) fn references_after(
        &self,
        after: Option<(BlockHash, ManifestId)>,
        limit: usize,
    ) -> Result<Vec<(BlockHash, Reference)>, cairn_store::Error> {
        let start = match &after {
            None => vec![Tag::Reference as u8],
            Some((hash, manifest)) => key(Tag::Reference, &[hash.as_bytes(), manifest.as_bytes(), &[0]]),
        };
        let mut cursor = self.store.scan(&start, Some(&[Tag::Reference as u8 + 1]));
        let mut references = Vec::new();
        while references.len() < limit
            && let Some((key, value)) = cursor.next()?
        {
            references.push(codec::decode_reference_of(&key[1..], value)?);
        }
        Ok(references)
    }

    /// Whether anybody references `hash`, `without` these manifests.
    fn is_referenced(&self, hash: BlockHash, without: &[ManifestId]) -> Result<bool, cairn_store::Error> {
        let prefix = key(Tag::Reference, &[hash.as_bytes()]);
        let end = prefix_end(&prefix);
        let mut cursor = self.store.scan(&prefix, end.as_deref());
        while let Some((key, _)) = cursor.next()? {
            if !without.iter().any(|manifest| key[prefix.len()..] == *manifest.as_bytes()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The first `limit` unreferenced blocks whose grace ended by `now_ms`.
    pub(crate) fn due(&self, now_ms: u64, limit: usize) -> Result<Vec<(u64, BlockHash)>, cairn_store::Error> {
        let end = key(Tag::Doomed, &[&now_ms.saturating_add(1).to_be_bytes()]);
        let mut cursor = self.store.scan(&[Tag::Doomed as u8], Some(&end));
        let mut due = Vec::new();
        while due.len() < limit
            && let Some((key, _)) = cursor.next()?
        {
            due.push(codec::decode_doomed(&key[1..])?);
        }
        Ok(due)
    }

    /// The first `limit` holes, in the order of their segments.
    pub(crate) fn holes(&self, limit: usize) -> Result<Vec<Hole>, cairn_store::Error> {
        let mut cursor = self.store.scan(&[Tag::Hole as u8], Some(&[Tag::Hole as u8 + 1]));
        let mut holes = Vec::new();
        while holes.len() < limit
            && let Some((key, value)) = cursor.next()?
        {
            holes.push(codec::decode_hole(&key[1..], value)?);
        }
        Ok(holes)
    }

    pub(crate) fn mark(&self, directory: DirectoryNumber) -> Result<Mark, cairn_store::Error> {
        let value = self.store.get(&meta(META_MARK, directory))?;
        value.map_or(Ok(Mark::default()), |value| codec::decode_mark(&value))
    }

    pub(crate) fn epoch(&self) -> Result<Epoch, cairn_store::Error> {
        let epoch = self.meta_number(META_EPOCH)?;
        Ok(Epoch(u32::try_from(epoch).unwrap_or(u32::MAX)))
    }

    /// Whether the index was rebuilt by a scan, so that it may lack references (DESIGN §6).
    pub(crate) fn is_rebuilt(&self) -> Result<bool, cairn_store::Error> {
        Ok(self.store.get(META_REBUILT)?.is_some())
    }

    /// Blocks in the store.
    pub(crate) fn block_count(&self) -> Result<u64, cairn_store::Error> {
        let mut added = 0;
        let mut cursor =
            self.store.scan(&[Tag::Meta as u8, META_ADDED_BLOCKS], Some(&[Tag::Meta as u8, META_ADDED_BLOCKS + 1]));
        while let Some((_, value)) = cursor.next()? {
            added += codec::number(value)?;
        }
        Ok(added.saturating_sub(self.meta_number(META_REMOVED_BLOCKS)?))
    }

    pub(crate) fn added_blocks(&self, directory: DirectoryNumber) -> Result<u64, cairn_store::Error> {
        self.meta_number(&meta(META_ADDED_BLOCKS, directory))
    }

    pub(crate) fn removed_blocks(&self) -> Result<u64, cairn_store::Error> {
        self.meta_number(META_REMOVED_BLOCKS)
    }

    fn meta_number(&self, key: &[u8]) -> Result<u64, cairn_store::Error> {
        self.store.get(key)?.map_or(Ok(0), |value| codec::number(&value))
    }

    /// Applies `changes` whole. Synced, this blocks until they, and all before them, are durable.
    pub(crate) fn commit(&self, changes: Changes, durability: Durability) -> Result<(), cairn_store::Error> {
        if changes.0.is_empty() { Ok(()) } else { self.store.write(changes.0, durability) }
    }

    /// Makes everything durable, so that the next start scans nothing.
    pub(crate) fn flush(&self) -> Result<(), cairn_store::Error> {
        self.store.flush()
    }
}

/// Changes of the index that are applied together. Whoever changes a block or its references holds its lock.
#[derive(Default)]
pub(crate) struct Changes(Batch);

impl Changes {
    /// Indexes a block that was not there, or was elsewhere: then that place becomes a hole.
    pub(crate) fn put_block(&mut self, hash: BlockHash, block: &Block, before: Option<&Block>) {
        if let Some(before) = before {
            self.undoom(hash, before);
            self.add_hole(before);
        }
        self.set_block(hash, block);
    }

    /// Takes the block out and notes its hole.
    pub(crate) fn remove_block(&mut self, hash: BlockHash, block: &Block) {
        self.undoom(hash, block);
        self.0.delete(key(Tag::Block, &[hash.as_bytes()]));
        self.add_hole(block);
    }

    /// Adds a reference, which must not have been removed, to a block that is here.
    pub(crate) fn add_reference(&mut self, hash: BlockHash, block: &mut Block, reference: &Reference) {
        self.put_reference(hash, reference);
        if block.doomed_ms.is_some() {
            self.revive(hash, block.clone());
            block.doomed_ms = None;
        }
    }

    /// Writes a reference alone; for a block that comes in the same batch.
    pub(crate) fn put_reference(&mut self, hash: BlockHash, reference: &Reference) {
        let mut value = Vec::new();
        crate::reference::encode(reference, &mut value);
        self.0.put(key(Tag::Reference, &[hash.as_bytes(), reference.manifest.as_bytes()]), value);
    }

    /// Removes references for ever, and dooms the block where nobody references it any more.
    pub(crate) fn drop_references(
        &mut self,
        index: &Index,
        hash: BlockHash,
        manifests: &[ManifestId],
        now_ms: u64,
        grace_ms: u64,
    ) -> Result<(), cairn_store::Error> {
        for manifest in manifests {
            self.0.delete(key(Tag::Reference, &[hash.as_bytes(), manifest.as_bytes()]));
            let removed = key(Tag::Removed, &[hash.as_bytes(), manifest.as_bytes()]);
            self.0.put(removed, now_ms.to_be_bytes().to_vec());
        }
        if let Some(mut block) = index.block(hash)?
            && block.doomed_ms.is_none()
            && !index.is_referenced(hash, manifests)?
        {
            self.doom(hash, &mut block, now_ms.saturating_add(grace_ms));
        }
        Ok(())
    }

    /// Lets collection take an unreferenced block from `deadline_ms` on.
    pub(crate) fn doom(&mut self, hash: BlockHash, block: &mut Block, deadline_ms: u64) {
        block.doomed_ms = Some(deadline_ms);
        self.0.put(key(Tag::Doomed, &[&deadline_ms.to_be_bytes(), hash.as_bytes()]), Vec::new());
        self.set_block(hash, block);
    }

    /// Takes back [`Self::doom`].
    pub(crate) fn revive(&mut self, hash: BlockHash, mut block: Block) {
        self.undoom(hash, &block);
        block.doomed_ms = None;
        self.set_block(hash, &block);
    }

    /// Forgets an entry of the doomed queue that no block has.
    pub(crate) fn forget_doom(&mut self, hash: BlockHash, deadline_ms: u64) {
        self.0.delete(key(Tag::Doomed, &[&deadline_ms.to_be_bytes(), hash.as_bytes()]));
    }

    /// From now on the block is not here, but for what references it.
    pub(crate) fn set_damaged(&mut self, hash: BlockHash, block: &Block) {
        self.set_block(hash, &Block { damaged: true, ..block.clone() });
    }

    /// The hole is punched, and durably.
    pub(crate) fn forget_hole(&mut self, hole: &Hole) {
        self.0.delete(hole_key(hole));
    }

    pub(crate) fn set_mark(&mut self, directory: DirectoryNumber, mark: Mark) {
        self.0.put(meta(META_MARK, directory), codec::encode_mark(mark));
    }

    pub(crate) fn set_added_blocks(&mut self, directory: DirectoryNumber, blocks: u64) {
        self.0.put(meta(META_ADDED_BLOCKS, directory), blocks.to_be_bytes().to_vec());
    }

    pub(crate) fn set_removed_blocks(&mut self, blocks: u64) {
        self.0.put(META_REMOVED_BLOCKS, blocks.to_be_bytes().to_vec());
    }

    pub(crate) fn set_epoch(&mut self, epoch: Epoch) {
        self.0.put(META_EPOCH, u64::from(epoch.0).to_be_bytes().to_vec());
    }

    /// From now on references may be missing.
    pub(crate) fn set_rebuilt(&mut self) {
        self.0.put(META_REBUILT, Vec::new());
    }

    fn set_block(&mut self, hash: BlockHash, block: &Block) {
        self.0.put(key(Tag::Block, &[hash.as_bytes()]), codec::encode_block(block));
    }

    fn undoom(&mut self, hash: BlockHash, block: &Block) {
        if let Some(deadline_ms) = block.doomed_ms {
            self.forget_doom(hash, deadline_ms);
        }
    }

    /// Notes that the space of `block` is to be given back.
    pub(crate) fn add_hole(&mut self, block: &Block) {
        let hole = block.hole();
        self.0.put(hole_key(&hole), hole.length.to_be_bytes().to_vec());
    }
}

fn key(tag: Tag, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(tag as u8);
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

fn hole_key(hole: &Hole) -> Vec<u8> {
    let directory = hole.directory.0.to_be_bytes();
    key(Tag::Hole, &[&directory, &hole.segment.to_be_bytes(), &hole.offset.to_be_bytes()])
}

fn meta(name: u8, directory: DirectoryNumber) -> Vec<u8> {
    key(Tag::Meta, &[&[name], &directory.0.to_be_bytes()])
}

#[cfg(test)]
mod tests;

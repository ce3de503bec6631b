//! Taking a block in.

use std::sync::Arc;

use bytes::Bytes;
use cairn_quorum::PutBlock;
use cairn_rpc::{CallContext, CallError};
use cairn_store::Durability;
use cairn_types::BlockHash;
use tracing::{error, warn};

use super::{Blocks, Slot, before, check_reference, index_error, internal};
use crate::directory::DirectoryNumber;
use crate::index::{Block, Changes};
use crate::locks::HashGuard;
use crate::pieces;
use crate::segment::Record;
use crate::writer::{Job, Refused, WriteError};

/// What a put does about the block of its hash that is here.
enum Plan {
    /// It is the same: only the reference is added, if it is not there.
    Link(Block),
    /// Nothing usable is here: the block is written, in place of this one.
    Write(Option<Block>),
}

impl Blocks {
    /// Stores a block and a reference to it, both durable on return. True: it was here already.
    pub(crate) async fn put(self: &Arc<Self>, context: &CallContext, block: PutBlock) -> Result<bool, CallError> {
        let admitted = self.fence.admit(context).await?;
        admitted.check_held(block.hash)?;
        check_reference(&block.reference)?;
        let size = self.check_data(&block)?;
        let guard = before(context, self.locks.lock(block.hash)).await?;
        if self.index.is_removed(block.hash, block.reference.manifest).map_err(index_error)? {
            return Err(CallError::Conflict("this reference was removed".to_owned()));
        }
        let existed = match self.plan(context, &block, size).await? {
            Plan::Link(here) => {
                self.link(context, guard, here, block).await?;
                true
            }
            Plan::Write(before) => {
                self.write(context, guard, before, block, size).await?;
                false
            }
        };
        self.fence.check_current(&admitted)?;
        Ok(existed)
    }

    /// Compares length and checksums; answers the length.
    fn check_data(&self, block: &PutBlock) -> Result<u32, CallError> {
        let size = block.data.iter().map(Bytes::len).sum::<usize>();
        let size = u32::try_from(size).ok().filter(|size| (1..=self.max_block_bytes).contains(size));
        let size =
            size.ok_or_else(|| CallError::Invalid(format!("a block holds 1 to {} bytes", self.max_block_bytes)))?;
        if block.crc32c.len() != pieces::count(size) {
            let (sums, expected) = (block.crc32c.len(), pieces::count(size));
            return Err(CallError::Invalid(format!("{sums} checksums for {expected} pieces")));
        }
        let sums = pieces::sums(&block.data);
        match sums.iter().zip(&block.crc32c).position(|(actual, expected)| actual != expected) {
            Some(piece) => Err(CallError::ChecksumMismatch(format!("block {}, piece {piece}", block.hash))),
            None => Ok(size),
        }
    }

    async fn plan(self: &Arc<Self>, context: &CallContext, block: &PutBlock, size: u32) -> Result<Plan, CallError> {
        let Some(here) = self.index.block(block.hash).map_err(index_error)? else { return Ok(Plan::Write(None)) };
        if self.servable(block.hash).map_err(index_error)?.is_none() {
            return Ok(Plan::Write(Some(here)));
        }
        if here.size == size && here.crc32c == block.crc32c {
            return Ok(Plan::Link(here));
        }
        self.judge(context, block, here).await
    }

    /// Two different blocks claim one hash: both are hashed, and the right one is kept (DESIGN §6).
    async fn judge(self: &Arc<Self>, context: &CallContext, block: &PutBlock, here: Block) -> Result<Plan, CallError> {
        let hash = block.hash;
        let (blocks, data, place) = (self.clone(), block.data.clone(), here.clone());
        let compare = move || {
            let stored = blocks.read_whole(&place).is_ok_and(|stored| BlockHash::of(&stored) == hash);
            (BlockHash::of_pieces(data.iter().map(Bytes::as_ref)) == hash, stored)
        };
        let (arrived_is_right, stored_is_right) = self.blocking(&self.reads, context, compare).await?;
        if !stored_is_right {
            error!(%hash, location = ?here.location, "the stored block is not the one its hash names");
        }
        match (arrived_is_right, stored_is_right) {
            (true, false) => Ok(Plan::Write(Some(here))),
            (true, true) => Err(CallError::Internal(format!("two blocks have the hash {hash}"))),
            (false, _) => {
                warn!(%hash, "a block arrived whose bytes do not have its hash");
                Err(CallError::ChecksumMismatch(format!("the bytes do not hash to {hash}")))
            }
        }
    }

    /// Adds the reference to a block that is here, durably. One that is there already is durable: the first one stands
    /// in the block's record, later ones were synced before anybody could see them.
    async fn link(
        self: &Arc<Self>,
        context: &CallContext,
        guard: HashGuard,
        mut here: Block,
        block: PutBlock,
    ) -> Result<(), CallError> {
        if self.index.has_reference(block.hash, block.reference.manifest).map_err(index_error)? {
            return Ok(());
        }
        let index = self.index.clone();
        let work = move || {
            let mut changes = Changes::default();
            changes.add_reference(block.hash, &mut here, &block.reference);
            let committed = index.commit(changes, Durability::Synced);
            drop(guard);
            committed
        };
        self.blocking(&self.commits, context, work).await?.map_err(index_error)
    }

    /// Writes the block to a directory that has room, trying each once.
    async fn write(
        self: &Arc<Self>,
        context: &CallContext,
        guard: HashGuard,
        replaced: Option<Block>,
        block: PutBlock,
        size: u32,
    ) -> Result<(), CallError> {
        let PutBlock { hash, crc32c, reference, data } = block;
        let record = Record { hash, size, crc32c, reference };
        let mut job = Job { record, data, before: replaced, _guard: guard };
        let mut tried = Vec::new();
        let mut last = None;
        while let Some(slot) = self.choose(size, &tried) {
            tried.push(slot.directory.number);
            match before(context, slot.writer.write(job)).await? {
                Ok(()) => return Ok(()),
                Err(Refused { error, job: back }) => {
                    last = Some(error);
                    let Some(back) = back else { break };
                    job = *back;
                }
            }
        }
        Err(match last {
            Some(WriteError::Failed(why)) => CallError::Unavailable(why),
            Some(WriteError::Full(why)) => CallError::Full(why),
            Some(WriteError::Closed) => internal(WriteError::Closed),
            None => self.no_room(),
        })
    }

    /// A directory with room for `size` bytes, by chance, weighted by what is free.
    fn choose(&self, size: u32, tried: &[DirectoryNumber]) -> Option<&Slot> {
        let room = |slot: &Slot| {
            let usable = slot.directory.usable();
            if tried.contains(&slot.directory.number) || usable < u64::from(size) { 0 } else { usable }
        };
        let mut total: u64 = self.slots.values().map(room).sum();
        if total == 0 {
            // What was known may be old: somebody made room.
            self.refresh_space();
            total = self.slots.values().map(room).sum();
        }
        let mut at = self.entropy.next_u64().checked_rem(total)?;
        self.slots.values().find(|slot| {
            let room = room(slot);
            let chosen = at < room;
            at = at.saturating_sub(room);
            chosen
        })
    }

    fn no_room(&self) -> CallError {
        let works = self.slots.values().any(|slot| slot.directory.failure().is_none());
        if works {
            CallError::Full("no data directory has room left above its reserve".to_owned())
        } else {
            CallError::Unavailable("all data directories failed".to_owned())
        }
    }
}

//! Collection: unreferenced blocks go after their grace period, and their space is given back.
//!
//! A removal is durable in the index before the hole is punched, so no index ever points into a hole; and the hole is
//! noted in the same batch, so a crash between the two loses no space.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use cairn_placement::{RingKind, Step};
use cairn_rpc::CallError;
use cairn_store::Durability;
use cairn_types::BlockHash;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::blocks::{Blocks, index_error, internal};
use crate::directory::DirectoryNumber;
use crate::index::{Changes, Hole};

/// Blocks taken in one step, so that their locks are held for one synced write only.
const STEP_BLOCKS: usize = 128;

/// Holes punched in one step.
const STEP_HOLES: usize = 256;

/// Between two steps, while there is work: at most 128 blocks, 128 MiB, every so often.
const PAUSE: Duration = Duration::from_millis(200);

/// Between two looks, while there is none.
const IDLE: Duration = Duration::from_secs(30);

/// What one step did.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Collected {
    /// Blocks that are here no more.
    pub blocks: u64,
    /// Bytes given back to the file system.
    pub bytes: u64,
}

/// The background loop that collects.
pub(crate) struct Collector {
    blocks: Arc<Blocks>,
    /// Steps never overlap: one counts removed blocks.
    one_at_a_time: Mutex<()>,
}

impl Collector {
    pub(crate) fn new(blocks: Arc<Blocks>) -> Self {
        Self { blocks, one_at_a_time: Mutex::new(()) }
    }

    /// Collects until `stop`.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        loop {
            self.blocks.refresh_space();
            let pause = match self.step().await {
                Ok(done) if done == Collected::default() => IDLE,
                Ok(_) => PAUSE,
                Err(error) => {
                    warn!(%error, "collection failed and is tried again");
                    IDLE
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Takes what is due, up to a bound, and punches holes, up to another.
    pub(crate) async fn step(&self) -> Result<Collected, CallError> {
        let _one_at_a_time = self.one_at_a_time.lock().await;
        let blocks = self.remove_due().await?;
        let bytes = self.punch().await?;
        if blocks > 0 {
            info!(blocks, bytes, "unreferenced blocks were removed");
        }
        Ok(Collected { blocks, bytes })
    }

    async fn remove_due(&self) -> Result<u64, CallError> {
        let now_ms = self.blocks.clock.now_ms();
        let view = self.blocks.fence.view();
        // Never while partitions move (REGISTER B4), nor while references may be missing (DESIGN §6).
        if view.record.step != Step::Stable || view.partition_bits(RingKind::Block).is_none() {
            return Ok(0);
        }
        let index = &self.blocks.index;
        if index.is_rebuilt().map_err(index_error)? {
            return Ok(0);
        }
        let due = index.due(now_ms, STEP_BLOCKS).map_err(index_error)?;
        if due.is_empty() {
            return Ok(0);
        }
        let hashes: BTreeSet<BlockHash> = due.iter().map(|(_, hash)| *hash).collect();
        let guards = self.blocks.locks.lock_all(hashes).await;
        let blocks = self.blocks.clone();
        let remove = move || {
            let removed = remove(&blocks, &due);
            drop(guards);
            removed
        };
        tokio::task::spawn_blocking(remove).await.map_err(internal)?.map_err(index_error)
    }

    async fn punch(&self) -> Result<u64, CallError> {
        let holes = self.blocks.index.holes(STEP_HOLES).map_err(index_error)?;
        if holes.is_empty() {
            return Ok(0);
        }
        let blocks = self.blocks.clone();
        tokio::task::spawn_blocking(move || punch(&blocks, &holes)).await.map_err(internal)?.map_err(index_error)
    }
}

/// Judges each block again, its lock being held, and removes those that are still due. Synced.
fn remove(blocks: &Blocks, due: &[(u64, BlockHash)]) -> Result<u64, cairn_store::Error> {
    let mut changes = Changes::default();
    let mut removed = 0;
    for (deadline_ms, hash) in due {
        match blocks.index.block(*hash)? {
            Some(block) if block.doomed_ms == Some(*deadline_ms) => {
                if blocks.index.references(*hash, 1)?.is_empty() {
                    changes.remove_block(*hash, &block);
                    removed += 1;
                } else {
                    warn!(%hash, "a block that is referenced stood in the doomed queue");
                    changes.revive(*hash, block);
                }
            }
            _ => changes.forget_doom(*hash, *deadline_ms),
        }
    }
    changes.set_removed_blocks(blocks.index.removed_blocks()? + removed);
    blocks.index.commit(changes, Durability::Synced)?;
    Ok(removed)
}

/// Punches holes and makes them durable before they are forgotten. Holes of a directory that is out of use wait.
fn punch(blocks: &Blocks, holes: &[Hole]) -> Result<u64, cairn_store::Error> {
    let mut by_segment: BTreeMap<(DirectoryNumber, u32), Vec<&Hole>> = BTreeMap::new();
    for hole in holes {
        by_segment.entry((hole.directory, hole.segment)).or_default().push(hole);
    }
    let mut changes = Changes::default();
    let mut bytes = 0;
    for ((number, segment), holes) in by_segment {
        let Some(slot) = blocks.slots.get(&number).filter(|slot| slot.directory.failure().is_none()) else { continue };
        let punched = holes.iter().try_for_each(|hole| slot.directory.punch(segment, hole.offset, hole.length));
        match punched.and_then(|()| slot.directory.sync_segment(segment)) {
            Ok(()) => {
                for hole in holes {
                    changes.forget_hole(hole);
                    slot.directory.subtract_used(hole.length);
                    bytes += hole.length;
                }
            }
            // Where the whole segment is gone there is nothing to give back.
            Err(cause) if cause.kind() == ErrorKind::NotFound => {
                holes.into_iter().for_each(|hole| changes.forget_hole(hole));
            }
            Err(cause) => warn!(segment, %cause, "cannot give space back yet"),
        }
    }
    blocks.index.commit(changes, Durability::Unsynced)?;
    Ok(bytes)
}

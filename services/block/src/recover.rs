//! Start: what the segments hold and the index does not.
//!
//! Each directory is scanned from its mark on: after an orderly stop nothing is behind it, after a crash little, and
//! where the index is gone everything is. Whole records are indexed with their first reference; torn and damaged ones
//! are reported and left out.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use cairn_store::{Durability, Error};
use cairn_types::BlockHash;
use tracing::{error, info, warn};

use crate::directory::{Directory, DirectoryNumber};
use crate::index::{Block, Changes, Index, Location, Mark};
use crate::pieces::{PIECE_BYTES, crc32c};
use crate::segment::{Found, SegmentHeader, scan};

/// Blocks indexed in one batch.
const BATCH: u64 = 1000;

/// What a start found behind its marks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recovered {
    /// Blocks that the index did not have.
    pub blocks: u64,
    /// Places that hold no whole record: torn by a crash, or damaged.
    pub damaged: u64,
    /// Segments that cannot be read at all.
    pub lost_segments: u64,
    /// The index was lost or rolled back, now or before: it may lack references, and nothing is collected.
    pub incomplete: bool,
}

/// Brings the index up to what the directories hold.
pub(crate) struct Recovery<'a> {
    index: &'a Index,
    directories: &'a BTreeMap<DirectoryNumber, Arc<Directory>>,
    now_ms: u64,
    grace_ms: u64,
    result: Recovered,
}

/// One directory's scan.
struct Progress<'a> {
    directory: &'a Directory,
    changes: Changes,
    /// Blocks of this batch, which the index does not answer yet.
    pending: BTreeMap<BlockHash, Block>,
    added_blocks: u64,
    mark: Mark,
    /// The newest segment.
    last: Option<u32>,
}

impl<'a> Recovery<'a> {
    pub(crate) fn new(
        index: &'a Index,
        directories: &'a BTreeMap<DirectoryNumber, Arc<Directory>>,
        now_ms: u64,
        grace_ms: u64,
    ) -> Self {
        Self { index, directories, now_ms, grace_ms, result: Recovered::default() }
    }

    /// Scans every directory from its mark on. A directory that cannot be read is out
    /// of use from then on.
    pub(crate) fn run(mut self) -> Result<Recovered, Error> {
        for directory in self.directories.values() {
            match self.scan_directory(directory) {
                Ok(()) => {}
                Err(ScanError::Index(error)) => return Err(error),
                Err(ScanError::Disk(cause)) => directory.fail("reading segments", &cause),
            }
        }
        self.result.incomplete = self.index.is_rebuilt()?;
        if self.result.incomplete {
            warn!("the index was lost once: only first references are known for sure, nothing is collected");
        }
        if self.result != Recovered::default() {
            info!(result = ?self.result, "blocks behind the index were looked at");
        }
        Ok(self.result)
    }

    fn scan_directory(&mut self, directory: &Directory) -> Result<(), ScanError> {
        let mark = self.index.mark(directory.number)?;
        let numbers = directory.segment_numbers()?;
        let last = numbers.last().copied();
        let added_blocks = self.index.added_blocks(directory.number)?;
        let mut progress =
            Progress { directory, changes: Changes::default(), pending: BTreeMap::new(), added_blocks, mark, last };
        for number in numbers.into_iter().filter(|number| *number >= mark.segment) {
            let from = if number == mark.segment { mark.offset } else { 0 };
            self.scan_segment(&mut progress, number, from)?;
        }
        self.commit(&mut progress, Durability::Synced)?;
        Ok(())
    }

    fn scan_segment(&mut self, progress: &mut Progress<'_>, number: u32, from: u64) -> Result<(), ScanError> {
        let directory = progress.directory;
        let path = directory.segment_path(number);
        let file = File::open(&path)?;
        let header = match directory.read_header(&file) {
            Ok(header) if header.number == number => header,
            Ok(_) => {
                self.lost(directory, number, "it is another segment");
                return Ok(());
            }
            Err(cause) if matches!(cause.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) => {
                self.lost(directory, number, &cause.to_string());
                return Ok(());
            }
            Err(cause) => return Err(cause.into()),
        };
        let scan = scan::<ScanError>(&file, header.tag, from, |found| self.take(progress, &header, &file, found))?;
        for damage in &scan.damages {
            error!(path = %path.display(), offset = damage.offset, hash = ?damage.hash, what = damage.what,
                "no whole record stands here: torn by a crash, or damaged");
        }
        self.result.damaged += scan.damages.len() as u64;
        progress.mark = progress.mark.max(Mark { segment: number, offset: scan.end });
        if file.metadata()?.len() > scan.end {
            OpenOptions::new().write(true).open(&path)?.set_len(scan.end)?;
        }
        Ok(())
    }

    fn lost(&mut self, directory: &Directory, number: u32, why: &str) {
        let path = directory.segment_path(number);
        error!(path = %path.display(), why, "a segment cannot be scanned; blocks that the index does not know are lost in it");
        self.result.lost_segments += 1;
    }

    /// Indexes one record, unless the index has the block elsewhere: then the right one is kept.
    fn take(
        &mut self,
        progress: &mut Progress<'_>,
        header: &SegmentHeader,
        file: &File,
        found: Found,
    ) -> Result<(), ScanError> {
        let mark = Mark { segment: header.number, offset: found.end() };
        let Found { offset, header_length, record } = found;
        let directory = progress.directory.number;
        let location = Location { directory, segment: header.number, offset, header_length };
        let (size, crc32c) = (record.size, record.crc32c.clone());
        let mut block = Block { location, size, crc32c, doomed_ms: None, damaged: false };
        let hash = record.hash;
        let known = match progress.pending.get(&hash) {
            Some(known) => Some(known.clone()),
            None => self.index.block(hash)?,
        };
        let keep = match &known {
            None => true,
            Some(known) if known.location == location => return Ok(()),
            Some(known) if known.size == block.size && known.crc32c == block.crc32c => known.damaged,
            Some(known) => self.is_right(hash, file, &block) && !self.is_right_at(hash, known),
        };
        if keep {
            progress.changes.put_block(hash, &block, known.as_ref());
            progress.added_blocks += u64::from(known.is_none());
            self.result.blocks += 1;
            if Some(header.number) != progress.last {
                // All before it was made durable before that segment was begun: an old index was put back.
                progress.changes.set_rebuilt();
            }
        } else if let Some(known) = known {
            progress.changes.add_hole(&block);
            block = known;
        }
        if !self.index.is_removed(hash, record.reference.manifest)? {
            progress.changes.add_reference(hash, &mut block, &record.reference);
        } else if block.doomed_ms.is_none() && self.index.references(hash, 1)?.is_empty() {
            progress.changes.doom(hash, &mut block, self.now_ms.saturating_add(self.grace_ms));
        }
        progress.pending.insert(hash, block);
        progress.mark = mark;
        if progress.pending.len() as u64 >= BATCH {
            self.commit(progress, Durability::Unsynced)?;
        }
        Ok(())
    }

    fn commit(&self, progress: &mut Progress<'_>, durability: Durability) -> Result<(), Error> {
        let mut changes = std::mem::take(&mut progress.changes);
        progress.pending.clear();
        let number = progress.directory.number;
        if self.index.mark(number)? != progress.mark {
            changes.set_mark(number, progress.mark);
            changes.set_added_blocks(number, progress.added_blocks);
        }
        self.index.commit(changes, durability)
    }

    fn is_right_at(&self, hash: BlockHash, block: &Block) -> bool {
        let directory = self.directories.get(&block.location.directory);
        let file = directory.and_then(|directory| directory.reader(block.location.segment).ok());
        file.is_some_and(|file| self.is_right(hash, &file, block))
    }

    /// Whether the bytes of `block` match their checksums and `hash`.
    fn is_right(&self, hash: BlockHash, file: &File, block: &Block) -> bool {
        let mut data = vec![0; block.size as usize];
        let place = block.location.offset + u64::from(block.location.header_length);
        file.read_exact_at(&mut data, place).is_ok()
            && data.chunks(PIECE_BYTES as usize).zip(&block.crc32c).all(|(piece, crc)| crc32c(piece) == *crc)
            && BlockHash::of(&data) == hash
    }
}

/// What ends a directory's scan.
enum ScanError {
    Disk(io::Error),
    Index(Error),
}

impl From<io::Error> for ScanError {
    fn from(error: io::Error) -> Self {
        ScanError::Disk(error)
    }
}

impl From<Error> for ScanError {
    fn from(error: Error) -> Self {
        ScanError::Index(error)
    }
}

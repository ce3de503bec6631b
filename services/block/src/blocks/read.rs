//! Giving a block out.
//!
//! What the page cache holds is read at once, on the caller's thread: that costs less than a switch to another one.
//! The rest is read on a bounded number of threads. Memory for pieces is reused: new pages cost more than the copy.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use cairn_quorum::BlockBody;
use cairn_rpc::{CallContext, CallError};
use cairn_types::BlockHash;
use futures_util::stream::{self, StreamExt as _};
use parking_lot::Mutex;
use rustix::fs::Advice;
use rustix::io::{Errno, ReadWriteFlags};

use super::{Blocks, index_error};
use crate::directory::Directory;
use crate::index::Block;
use crate::pieces::{self, PIECE_BYTES, crc32c};

/// Pieces' worth of memory that is kept when nobody reads.
const KEPT_BUFFERS: usize = 8;

/// Pieces shorter than this get memory of their own.
const SMALL_PIECE: usize = 32 * 1024;

/// Memory for pieces, given back when the last holder of its [`Bytes`] drops them.
#[derive(Default)]
pub(crate) struct Buffers(Mutex<Vec<Vec<u8>>>);

/// One piece's memory.
struct Buffer {
    bytes: Vec<u8>,
    home: Option<Arc<Buffers>>,
}

impl Buffers {
    fn take(self: &Arc<Self>, length: usize) -> Buffer {
        if length < SMALL_PIECE {
            return Buffer { bytes: vec![0; length], home: None };
        }
        let kept = self.0.lock().pop();
        let bytes = kept.unwrap_or_else(|| vec![0; PIECE_BYTES as usize]);
        Buffer { bytes, home: Some(self.clone()) }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(home) = self.home.take() else { return };
        let mut kept = home.0.lock();
        if kept.len() < KEPT_BUFFERS {
            kept.push(std::mem::take(&mut self.bytes));
        }
    }
}

/// Why a piece is not given out.
enum ReadError {
    /// Wrong bytes, or none: another replica is to be asked.
    Damaged(String),
    /// The call is over before the piece was read.
    Call(CallError),
}

/// A part of a block, read piece by piece.
struct Reading {
    blocks: Arc<Blocks>,
    context: CallContext,
    hash: BlockHash,
    block: Block,
    /// What is still to be read.
    at: u32,
    end: u32,
}

impl Blocks {
    /// A block, or `length` bytes of it from `offset` on; `length` 0 reads to the end. The first piece is read and
    /// verified on return.
    pub(crate) async fn get(
        self: &Arc<Self>,
        context: &CallContext,
        hash: BlockHash,
        offset: u32,
        length: u32,
    ) -> Result<BlockBody, CallError> {
        self.fence.check_store(context)?;
        let block = self.index.block(hash).map_err(index_error)?;
        let block = block.ok_or_else(|| CallError::NotFound(format!("block {hash} is not here")))?;
        let size = block.size;
        if offset >= size {
            return Err(CallError::Invalid(format!("offset {offset} in a block of {size} bytes")));
        }
        let end = if length == 0 { size } else { offset.saturating_add(length).min(size) };
        let reading = Reading { blocks: self.clone(), context: context.clone(), hash, block, at: offset, end };
        let (first, rest) = reading.next().await?;
        let first = stream::once(async { Ok(first) });
        let rest = stream::try_unfold(rest, |reading| async move {
            if reading.at < reading.end { reading.next().await.map(Some) } else { Ok(None) }
        });
        Ok(BlockBody { size, pieces: first.chain(rest).boxed() })
    }

    /// A whole block, verified by its checksums. Blocks, takes no lock and reports nothing.
    pub(super) fn read_whole(&self, block: &Block) -> io::Result<Vec<u8>> {
        let slot = self.slots.get(&block.location.directory);
        let slot = slot.ok_or_else(|| io::Error::other("its data directory is not there"))?;
        let file = slot.directory.reader(block.location.segment)?;
        let mut data = vec![0; block.size as usize];
        file.read_exact_at(&mut data, block.location.offset + u64::from(block.location.header_length))?;
        let whole = data.chunks(PIECE_BYTES as usize).zip(&block.crc32c).all(|(piece, crc)| crc32c(piece) == *crc);
        if whole { Ok(data) } else { Err(io::Error::other("it does not match its checksums")) }
    }
}

impl Reading {
    /// The bytes wanted of the next piece, and what follows.
    async fn next(mut self) -> Result<(Bytes, Self), CallError> {
        let index = (self.at / PIECE_BYTES) as usize;
        let range = pieces::range(index, self.block.size);
        let piece = match self.piece(index).await {
            Ok(piece) => piece,
            Err(ReadError::Call(error)) => return Err(error),
            Err(ReadError::Damaged(what)) => return Err(self.report(&what).await),
        };
        let until = self.end.min(range.end);
        let wanted = piece.slice((self.at - range.start) as usize..(until - range.start) as usize);
        self.at = until;
        Ok((wanted, self))
    }

    /// Collection may have taken the block while it was read: then it is gone, not damaged.
    async fn report(&self, what: &str) -> CallError {
        match self.blocks.mark_damaged(self.hash, &self.block, what).await {
            Ok(true) => CallError::Corrupt(format!("block {}: {what}", self.hash)),
            Ok(false) => CallError::NotFound(format!("block {} was removed", self.hash)),
            Err(error) => error,
        }
    }

    /// A whole piece, verified.
    async fn piece(&self, index: usize) -> Result<Bytes, ReadError> {
        let location = self.block.location;
        let slot = self.blocks.slots.get(&location.directory);
        let slot = slot.ok_or_else(|| self.unusable("its data directory is not there"))?;
        if let Some(failure) = slot.directory.failure() {
            return Err(self.unusable(&failure));
        }
        let range = pieces::range(index, self.block.size);
        let place = location.offset + u64::from(location.header_length) + u64::from(range.start);
        let expected = self.block.crc32c.get(index).copied();
        let mut buffer = self.blocks.buffers.take(range.len());
        if let Some(file) = slot.directory.open_reader(location.segment)
            && read_cached(&slot.directory, &file, &mut buffer.bytes[..range.len()], place)
            && Some(crc32c(&buffer.bytes[..range.len()])) == expected
        {
            return Ok(Bytes::from_owner(buffer).slice(..range.len()));
        }
        let (directory, segment) = (slot.directory.clone(), location.segment);
        let rest = u64::from(self.end.max(range.end) - range.start);
        let read = move || {
            let bytes = &mut buffer.bytes[..range.len()];
            let what = read_disk(&directory, segment, bytes, place, rest, expected);
            what.map(|()| Bytes::from_owner(buffer).slice(..range.len()))
        };
        let read = self.blocks.blocking(&self.blocks.reads, &self.context, read).await.map_err(ReadError::Call)?;
        read.map_err(ReadError::Damaged)
    }

    /// Nothing is wrong with the block itself.
    fn unusable(&self, why: &str) -> ReadError {
        ReadError::Call(CallError::Corrupt(format!("block {}: {why}", self.hash)))
    }
}

/// Reads what the page cache holds without waiting for the disk. False: not all of it is there.
fn read_cached(directory: &Directory, file: &File, bytes: &mut [u8], place: u64) -> bool {
    if !directory.cached_reads() {
        return false;
    }
    let mut filled = 0;
    while filled < bytes.len() {
        let slices = &mut [IoSliceMut::new(&mut bytes[filled..])];
        match rustix::io::preadv2(file, slices, place + filled as u64, ReadWriteFlags::NOWAIT) {
            Ok(0) | Err(Errno::AGAIN) => return false,
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                directory.refuse_cached_reads();
                return false;
            }
            // The slow way meets it again and says what it is.
            Err(_) => return false,
        }
    }
    true
}

/// Reads from the disk, and once more, past the page cache, where the checksum is wrong.
fn read_disk(
    directory: &Directory,
    segment: u32,
    bytes: &mut [u8],
    place: u64,
    rest: u64,
    expected: Option<u32>,
) -> Result<(), String> {
    let failed = |error: io::Error| format!("cannot read it: {error}");
    let file = directory.reader(segment).map_err(failed)?;
    // All that will be asked for next is fetched at once. Advice can be refused: nothing depends on it.
    rustix::fs::fadvise(&file, place, NonZeroU64::new(rest), Advice::WillNeed).ok();
    file.read_exact_at(bytes, place).map_err(failed)?;
    if Some(crc32c(bytes)) == expected {
        return Ok(());
    }
    rustix::fs::fadvise(&file, place, NonZeroU64::new(bytes.len() as u64), Advice::DontNeed).ok();
    file.read_exact_at(bytes, place).map_err(failed)?;
    if Some(crc32c(bytes)) == expected { Ok(()) } else { Err("a piece does not match its checksum".to_owned()) }
}

//! One data directory: its segments, its health and its free space.
//!
//! ```text
//! store              who this directory is (see `identity`); its lock keeps a second process out
//! segments/*.seg     see `segment`
//! index/             the index, in the first directory unless configured elsewhere
//! ```

mod identity;

pub use identity::OpenError;
pub(crate) use identity::{Opened, open_all};

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use cairn_types::StoreId;
use quick_cache::sync::Cache;
use rustix::fs::{Advice, FallocateFlags};
use tracing::error;

use crate::segment::{self, DirectoryId, FIRST_RECORD, SegmentHeader};

/// Segments kept open for reading, a directory.
const OPEN_SEGMENTS: usize = 128;

/// A directory's place in a store: what locations in the index name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct DirectoryNumber(pub(crate) u16);

/// A data directory that was there at start.
pub(crate) struct Directory {
    pub(crate) number: DirectoryNumber,
    pub(crate) id: DirectoryId,
    pub(crate) store: StoreId,
    pub(crate) path: PathBuf,
    /// Bytes that writes leave free, so that deletes always work.
    reserve: u64,
    files: Cache<u32, Arc<File>>,
    failure: ArcSwapOption<String>,
    free: AtomicU64,
    used: AtomicU64,
    spare: AtomicU64,
    /// Whether reads may ask for cached pages only; false once the file system refused.
    cached_reads: AtomicBool,
    /// Held for its lock.
    _lock: File,
}

impl Directory {
    fn new(
        number: DirectoryNumber,
        id: DirectoryId,
        store: StoreId,
        path: PathBuf,
        reserve: u64,
        lock: File,
    ) -> io::Result<Self> {
        let directory = Self {
            number,
            id,
            store,
            path,
            reserve,
            files: Cache::new(OPEN_SEGMENTS),
            failure: ArcSwapOption::empty(),
            free: AtomicU64::new(0),
            used: AtomicU64::new(0),
            spare: AtomicU64::new(0),
            cached_reads: AtomicBool::new(true),
            _lock: lock,
        };
        make_directory(&directory.segments())?;
        directory.refresh_space()?;
        for number in directory.segment_numbers()? {
            directory.used.fetch_add(directory.segment_path(number).metadata()?.blocks() * 512, Ordering::Relaxed);
        }
        Ok(directory)
    }

    fn segments(&self) -> PathBuf {
        self.path.join("segments")
    }

    pub(crate) fn segment_path(&self, number: u32) -> PathBuf {
        self.segments().join(segment::file_name(number))
    }

    /// All segments here, in order.
    pub(crate) fn segment_numbers(&self) -> io::Result<Vec<u32>> {
        let mut numbers = Vec::new();
        for entry in self.segments().read_dir()? {
            numbers.extend(entry?.file_name().to_str().and_then(segment::number_of));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// A segment's header, checked to be of this directory.
    pub(crate) fn read_header(&self, file: &File) -> io::Result<SegmentHeader> {
        let mut pages = vec![0; usize::try_from(FIRST_RECORD).unwrap_or(0)];
        let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX).min(pages.len());
        file.read_exact_at(&mut pages[..length], 0)?;
        let header = SegmentHeader::decode_either(&pages[..length]).map_err(|error| invalid(error.to_string()))?;
        if header.store != self.store || header.directory != self.id {
            return Err(invalid(format!("it belongs to store {}", header.store)));
        }
        Ok(header)
    }

    /// A segment for reading through the page cache. Opens it where it is not open yet.
    pub(crate) fn reader(&self, number: u32) -> io::Result<Arc<File>> {
        self.files.get_or_insert_with(&number, || {
            let file = File::open(self.segment_path(number))?;
            // Blocks are asked for whole: reading ahead of them would fill the cache with pages not yet written.
            rustix::fs::fadvise(&file, 0, None, Advice::Random)?;
            Ok(Arc::new(file))
        })
    }

    /// A segment that is open for reading already.
    pub(crate) fn open_reader(&self, number: u32) -> Option<Arc<File>> {
        self.files.get(&number)
    }

    /// Gives the space of a range back. A hole reads as zeros and is never filled again.
    pub(crate) fn punch(&self, number: u32, offset: u64, length: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(self.segment_path(number))?;
        rustix::fs::fallocate(&file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, offset, length)?;
        Ok(())
    }

    /// Makes holes durable.
    pub(crate) fn sync_segment(&self, number: u32) -> io::Result<()> {
        OpenOptions::new().write(true).open(self.segment_path(number))?.sync_data()
    }

    /// Why this directory takes and gives nothing any more; none while it works.
    pub(crate) fn failure(&self) -> Option<Arc<String>> {
        self.failure.load_full()
    }

    /// From now on this directory is out of use, until a restart. The first reason is kept and reported.
    pub(crate) fn fail(&self, doing: &str, cause: &io::Error) {
        if self.failure.load().is_none() {
            error!(directory = %self.path.display(), doing, %cause, "data directory failed and is out of use");
            self.failure.store(Some(Arc::new(format!("{doing}: {cause}"))));
        }
    }

    /// Bytes that writes may still take, as of the last look.
    pub(crate) fn usable(&self) -> u64 {
        if self.failure.load().is_some() { 0 } else { self.above_reserve() + self.spare.load(Ordering::Relaxed) }
    }

    /// Bytes that may be asked of the file system, as of the last look.
    pub(crate) fn above_reserve(&self) -> u64 {
        self.free().saturating_sub(self.reserve)
    }

    pub(crate) fn free(&self) -> u64 {
        self.free.load(Ordering::Relaxed)
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn add_used(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn subtract_used(&self, bytes: u64) {
        let rest = |used: u64| Some(used.saturating_sub(bytes));
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest).ok();
    }

    /// What the open segment has been given and not used yet.
    pub(crate) fn set_spare(&self, bytes: u64) {
        self.spare.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn cached_reads(&self) -> bool {
        self.cached_reads.load(Ordering::Relaxed)
    }

    pub(crate) fn refuse_cached_reads(&self) {
        self.cached_reads.store(false, Ordering::Relaxed);
    }

    /// Asks the file system how much is free.
    pub(crate) fn refresh_space(&self) -> io::Result<()> {
        let stat = rustix::fs::statvfs(&self.path)?;
        self.free.store(stat.f_bavail.saturating_mul(stat.f_frsize), Ordering::Relaxed);
        Ok(())
    }
}

/// Makes a directory, and those it is in, durably.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_directory(parent)?;
    match std::fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => sync_directory(parent),
    }
}

/// Makes a new name in `directory` durable.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

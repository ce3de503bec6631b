//! The one thread that writes to a data directory.
//!
//! It takes all puts that wait, writes them one behind the other, syncs once, indexes them in one batch and answers
//! them all: what arrives meanwhile is the next group.
//!
//! - **W1** A put is answered only after its record is synced (`acknowledged_blocks_survive_a_kill`), and indexed
//!   only then (REGISTER B1).
//! - **W2** After a failed sync nothing is known of what is on disk: the process ends.
//! - **W3** A put that is not answered with success leaves no record that a scan would find, but for a crash
//!   (`a_full_disk_serves_reads_and_deletes`).

mod output;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use cairn_store::Durability;
use cairn_types::{Clock, Entropy};
use parking_lot::Mutex;
use rustix::io::Errno;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tracing::{error, warn};

use crate::directory::Directory;
use crate::index::{Block, Changes, Index, Location, Mark};
use crate::locks::HashGuard;
use crate::segment::{Record, span};

use output::Output;

/// Bytes that puts may have waiting in one directory, their headers included.
const QUEUE_BYTES: u32 = 64 * 1024 * 1024;

/// What one put counts for at least, so that their number is bounded too.
const MIN_COST: u32 = 16 * 1024;

/// Bytes in one group, about: what all in it wait for.
const GROUP_BYTES: u64 = 8 * 1024 * 1024;

/// After so long without a put the buffer's memory is given back.
const IDLE: Duration = Duration::from_secs(10);

/// A block to write.
pub(crate) struct Job {
    pub(crate) record: Record,
    /// `record.size` bytes, whose checksums were compared.
    pub(crate) data: Vec<Bytes>,
    /// The block this one replaces: its place becomes a hole.
    pub(crate) before: Option<Block>,
    /// Of the block's hash; released when all is done.
    pub(crate) _guard: HashGuard,
}

/// A block that was not written: it is not in the store.
pub(crate) struct Refused {
    pub(crate) error: WriteError,
    /// For another directory.
    pub(crate) job: Option<Box<Job>>,
}

/// Why a block was not written.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum WriteError {
    /// Another directory may have room.
    #[error("{0}")]
    Full(String),
    /// The directory is out of use from now on; another one may work.
    #[error("{0}")]
    Failed(String),
    #[error("the store is closed")]
    Closed,
}

struct Queued {
    job: Job,
    answer: oneshot::Sender<Result<(), Refused>>,
    /// Its share of [`QUEUE_BYTES`], given back when it is answered.
    _permit: OwnedSemaphorePermit,
}

/// What a writer needs to know.
pub(crate) struct WriterParts {
    pub(crate) directory: Arc<Directory>,
    pub(crate) index: Index,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// A segment that has grown to it is followed by another.
    pub(crate) segment_bytes: u64,
    /// The number of the next segment: above all that are there or were.
    pub(crate) next_segment: u32,
}

/// The writer of one directory, to those who have something to write.
pub(crate) struct Writer {
    queue: Mutex<Option<Sender<Queued>>>,
    room: Arc<Semaphore>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(crate) fn start(parts: WriterParts) -> io::Result<Self> {
        // Bounded by `room`: nobody sends without a permit.
        let (sender, receiver) = channel();
        let name = format!("writer-{}", parts.directory.number.0);
        let worker = Worker::new(parts).map_err(io::Error::other)?;
        let thread = std::thread::Builder::new().name(name).spawn(move || worker.run(&receiver))?;
        let room = Arc::new(Semaphore::new(QUEUE_BYTES as usize));
        Ok(Self { queue: Mutex::new(Some(sender)), room, thread: Mutex::new(Some(thread)) })
    }

    /// Writes a block; on success it is durable and indexed. Waits while too much is queued.
    ///
    /// Once the job is queued it is done whether or not the caller goes on waiting.
    pub(crate) async fn write(&self, job: Job) -> Result<(), Refused> {
        let cost = job.record.size.clamp(MIN_COST, QUEUE_BYTES);
        let closed = || Refused { error: WriteError::Closed, job: None };
        let permit = self.room.clone().acquire_many_owned(cost).await.map_err(|_| closed())?;
        let (answer, answered) = oneshot::channel();
        let queued = Queued { job, answer, _permit: permit };
        let sender = self.queue.lock().clone().ok_or_else(closed)?;
        sender.send(queued).map_err(|_| closed())?;
        drop(sender);
        answered.await.map_err(|_| closed())?
    }

    /// Takes no more, and waits until what is queued is done. Blocks.
    pub(crate) fn close(&self) {
        self.room.close();
        *self.queue.lock() = None;
        let thread = self.thread.lock().take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            error!("a writer panicked");
        }
    }
}

struct Worker {
    directory: Arc<Directory>,
    index: Index,
    output: Output,
    added_blocks: u64,
}

impl Worker {
    fn new(parts: WriterParts) -> Result<Self, cairn_store::Error> {
        let added_blocks = parts.index.added_blocks(parts.directory.number)?;
        let WriterParts { directory, index, clock, entropy, segment_bytes, next_segment } = parts;
        let output = Output::new(directory.clone(), clock, entropy, segment_bytes, next_segment);
        Ok(Self { directory, index, output, added_blocks })
    }

    fn run(mut self, queue: &Receiver<Queued>) {
        loop {
            match queue.recv_timeout(IDLE) {
                Ok(first) => {
                    let group = gather(first, queue);
                    self.write_group(group);
                }
                Err(RecvTimeoutError::Timeout) => self.output.release_memory(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.output.finish();
    }

    fn write_group(&mut self, group: Vec<Queued>) {
        let bytes = group.iter().map(|queued| cost(&queued.job)).sum();
        let written = self.write_records(&group, bytes).and_then(|locations| {
            self.index_records(&group, &locations)?;
            self.directory.add_used(bytes);
            Ok(())
        });
        if let Err(error) = &written {
            warn!(directory = %self.directory.path.display(), blocks = group.len(), %error, "blocks were not written");
        }
        self.output.report_spare();
        if let Err(cause) = self.directory.refresh_space() {
            self.directory.fail("asking for free space", &cause);
        }
        for Queued { job, answer, .. } in group {
            let result = match &written {
                Ok(()) => {
                    // The lock goes first: who is answered may put the same block again.
                    drop(job);
                    Ok(())
                }
                Err(error) => Err(Refused { error: error.clone(), job: Some(Box::new(job)) }),
            };
            // Nobody may be waiting any more; what was stored stays.
            drop(answer.send(result));
        }
    }

    /// Writes and syncs; answers where each record is.
    fn write_records(&mut self, group: &[Queued], bytes: u64) -> Result<Vec<Location>, WriteError> {
        if let Some(failure) = self.directory.failure() {
            return Err(WriteError::Failed(failure.to_string()));
        }
        if self.directory.usable() < bytes {
            return Err(WriteError::Full(format!("{} has no room left", self.directory.path.display())));
        }
        if self.output.needs_segment() {
            self.begin_segment()?;
        }
        let start = self.output.position();
        let written = self.output.reserve(bytes).and_then(|()| {
            let locations = group.iter().map(|queued| self.output.append(&queued.job.record, &queued.job.data));
            let locations = locations.collect::<io::Result<Vec<_>>>()?;
            self.output.flush()?;
            Ok(locations)
        });
        match written {
            Ok(locations) => {
                self.output.sync();
                Ok(locations)
            }
            Err(cause) => {
                self.output.take_back(start);
                Err(self.failed("writing", &cause))
            }
        }
    }

    /// All before it is made durable first, so that only a store's last segment can be behind its index.
    fn begin_segment(&mut self) -> Result<(), WriteError> {
        let segment = self.output.begin().map_err(|cause| self.failed("making a segment", &cause))?;
        let mut changes = Changes::default();
        changes.set_mark(self.directory.number, Mark { segment, offset: 0 });
        self.index.commit(changes, Durability::Synced).map_err(|error| WriteError::Full(error.to_string()))
    }

    fn index_records(&mut self, group: &[Queued], locations: &[Location]) -> Result<(), WriteError> {
        let mut changes = Changes::default();
        let mut durability = Durability::Unsynced;
        let mut added = 0;
        for (Queued { job, .. }, location) in group.iter().zip(locations) {
            let record = &job.record;
            let block = Block {
                location: *location,
                size: record.size,
                crc32c: record.crc32c.clone(),
                doomed_ms: None,
                damaged: false,
            };
            changes.put_block(record.hash, &block, job.before.as_ref());
            changes.put_reference(record.hash, &record.reference);
            if job.before.is_some() {
                // The place that becomes a hole may hold the only durable copy of a reference.
                durability = Durability::Synced;
            } else {
                added += 1;
            }
        }
        changes.set_mark(self.directory.number, self.output.mark());
        changes.set_added_blocks(self.directory.number, self.added_blocks + added);
        match self.index.commit(changes, durability) {
            Ok(()) => {
                self.added_blocks += added;
                Ok(())
            }
            Err(error) => {
                // Not acknowledged, so a scan must not find them (W3).
                for (Queued { job, .. }, location) in group.iter().zip(locations) {
                    let length = span(location.header_length, job.record.size);
                    if let Err(cause) = self.directory.punch(location.segment, location.offset, length) {
                        warn!(%cause, "cannot take back a block that is not indexed");
                    }
                }
                Err(WriteError::Full(error.to_string()))
            }
        }
    }

    fn failed(&self, doing: &str, cause: &io::Error) -> WriteError {
        let path = self.directory.path.display();
        if is_full(cause) {
            return WriteError::Full(format!("{path} has no room left"));
        }
        self.directory.fail(doing, cause);
        WriteError::Failed(format!("{path} failed: {cause}"))
    }
}

/// What waits already, up to a group's worth.
fn gather(first: Queued, queue: &Receiver<Queued>) -> Vec<Queued> {
    let mut bytes = cost(&first.job);
    let mut group = vec![first];
    while bytes < GROUP_BYTES
        && let Ok(next) = queue.try_recv()
    {
        bytes += cost(&next.job);
        group.push(next);
    }
    group
}

/// Bytes a job takes on disk, at most.
fn cost(job: &Job) -> u64 {
    let key = job.record.reference.key.len() + 4 * job.record.crc32c.len();
    span(u16::try_from(key + 256).unwrap_or(u16::MAX), job.record.size)
}

/// No space, or no quota left.
fn is_full(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [Errno::NOSPC, Errno::DQUOT].iter().any(|full| code == Some(full.raw_os_error()))
}

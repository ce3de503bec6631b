//! The segment that is being written: where its end is, and how bytes get there.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use cairn_types::{Clock, Entropy};
use rustix::fs::{FallocateFlags, OFlags};
use rustix::io::Errno;
use tracing::{debug, error, info};

use crate::directory::{Directory, sync_directory};
use crate::index::{Location, Mark};
use crate::pages::PageBuffer;
use crate::segment::{FIRST_RECORD, PAGE, Record, SegmentHeader, Tag};

/// Bytes written at once.
const BUFFER_BYTES: usize = 1024 * 1024;

/// Space asked of the file system ahead of the writes, so that few of them change its metadata.
const PREALLOCATE_BYTES: u64 = 32 * 1024 * 1024;

/// Writes records to the end of a segment, through the page cache only where the file system wants it so.
pub(super) struct Output {
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    segment_bytes: u64,
    next_segment: u32,
    segment: Option<Segment>,
    buffer: Option<PageBuffer>,
    header: Vec<u8>,
    /// False once the file system refused O_DIRECT.
    direct: bool,
    /// False once the file system refused to preallocate.
    preallocates: bool,
}

struct Segment {
    number: u32,
    tag: Tag,
    file: File,
    /// Where the next byte that is appended will be: all before it is in the file or in the buffer.
    position: u64,
    /// Where the buffer's first byte will be.
    written: u64,
    /// The file has space up to here.
    allocated: u64,
}

impl Output {
    pub(super) fn new(
        directory: Arc<Directory>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        segment_bytes: u64,
        next_segment: u32,
    ) -> Self {
        Self {
            directory,
            clock,
            entropy,
            segment_bytes,
            next_segment,
            segment: None,
            buffer: None,
            header: Vec::new(),
            direct: true,
            preallocates: true,
        }
    }

    /// Whether the next group belongs into a new segment.
    pub(super) fn needs_segment(&self) -> bool {
        self.segment.as_ref().is_none_or(|segment| segment.position >= self.segment_bytes)
    }

    /// Ends the current segment and makes the next one, durably; answers its number.
    pub(super) fn begin(&mut self) -> io::Result<u32> {
        self.finish();
        let number = self.next_segment;
        let mut tag = Tag([0; 16]);
        self.entropy.fill(&mut tag.0);
        let header = SegmentHeader {
            number,
            store: self.directory.store,
            directory: self.directory.id,
            tag,
            created_ms: self.clock.now_ms(),
        };
        let path = self.directory.segment_path(number);
        let made = (|| {
            let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
            file.write_all_at(&[header.encode(), header.encode()].concat(), 0)?;
            file.sync_all()?;
            path.parent().map_or(Ok(()), sync_directory)
        })();
        if let Err(cause) = made {
            // On a full disk it is tried again: half a segment must not stay.
            if let Err(left) = std::fs::remove_file(&path) {
                debug!(path = %path.display(), %left, "no segment to remove");
            }
            return Err(cause);
        }
        self.next_segment += 1;
        let file = self.open(&path)?;
        self.segment =
            Some(Segment { number, tag, file, position: FIRST_RECORD, written: FIRST_RECORD, allocated: FIRST_RECORD });
        Ok(number)
    }

    fn open(&mut self, path: &Path) -> io::Result<File> {
        if self.direct {
            let flags = i32::try_from(OFlags::DIRECT.bits()).unwrap_or(0);
            match OpenOptions::new().write(true).custom_flags(flags).open(path) {
                Ok(file) => return Ok(file),
                Err(error) if is_refusal(&error) => self.refuse_direct(),
                Err(error) => return Err(error),
            }
        }
        OpenOptions::new().write(true).open(path)
    }

    fn refuse_direct(&mut self) {
        info!(directory = %self.directory.path.display(), "no O_DIRECT here: writes go through the page cache");
        self.direct = false;
    }

    /// Asks for space for `bytes` more.
    pub(super) fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        let Some(segment) = &mut self.segment else { return Err(no_segment()) };
        let needed = segment.position + bytes;
        if !self.preallocates || needed <= segment.allocated {
            return Ok(());
        }
        let ahead = needed.next_multiple_of(PREALLOCATE_BYTES).min(self.segment_bytes);
        let ahead = ahead.min(segment.allocated + self.directory.above_reserve()).max(needed);
        // Where there is no space for all that, what is needed will do.
        for end in [ahead, needed] {
            match rustix::fs::fallocate(
                &segment.file,
                FallocateFlags::empty(),
                segment.allocated,
                end - segment.allocated,
            ) {
                Ok(()) => {
                    segment.allocated = end;
                    return Ok(());
                }
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                    self.preallocates = false;
                    return Ok(());
                }
                Err(Errno::NOSPC | Errno::DQUOT) if end != needed => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Appends a record; answers where it is.
    pub(super) fn append(&mut self, record: &Record, data: &[Bytes]) -> io::Result<Location> {
        let segment = self.segment.as_ref().ok_or_else(no_segment)?;
        let (number, offset, tag) = (segment.number, segment.position, segment.tag);
        let mut header = std::mem::take(&mut self.header);
        header.clear();
        let header_length = record.encode(tag, offset, &mut header);
        let written = self.put(&header).and_then(|()| data.iter().try_for_each(|part| self.put(part)));
        self.header = header;
        written?;
        self.pad();
        let directory = self.directory.number;
        Ok(Location { directory, segment: number, offset, header_length })
    }

    fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let buffer = self.buffer.get_or_insert_with(|| PageBuffer::new(BUFFER_BYTES));
            let rest = buffer.fill(bytes);
            let (taken, full) = (bytes.len() - rest.len(), buffer.is_full());
            if let Some(segment) = &mut self.segment {
                segment.position += taken as u64;
            }
            bytes = rest;
            if full {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Ends a record at a page.
    fn pad(&mut self) {
        if let (Some(buffer), Some(segment)) = (&mut self.buffer, &mut self.segment) {
            buffer.pad();
            segment.position = segment.position.next_multiple_of(PAGE as u64);
        }
    }

    /// Hands what is buffered to the file system.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let (Some(buffer), Some(segment)) = (&mut self.buffer, &mut self.segment) else { return Ok(()) };
        let bytes = buffer.as_slice();
        match segment.file.write_all_at(bytes, segment.written) {
            Ok(()) => {}
            Err(error) if self.direct && is_refusal(&error) => {
                let path = self.directory.segment_path(segment.number);
                segment.file = OpenOptions::new().write(true).open(path)?;
                segment.file.write_all_at(bytes, segment.written)?;
                info!(directory = %self.directory.path.display(), "no O_DIRECT here: writes go through the page cache");
                self.direct = false;
            }
            Err(error) => return Err(error),
        }
        segment.written += bytes.len() as u64;
        buffer.clear();
        Ok(())
    }

    /// Makes all that was flushed durable, or ends the process: after a failed sync the kernel forgets what was
    /// lost, and a second one that succeeds proves nothing.
    pub(super) fn sync(&self) {
        if let Some(segment) = &self.segment
            && let Err(cause) = segment.file.sync_data()
        {
            error!(directory = %self.directory.path.display(), %cause, "fdatasync failed, the process ends now");
            std::process::abort();
        }
    }

    /// Tells the directory what is allocated and not used.
    pub(super) fn report_spare(&self) {
        let spare = self.segment.as_ref().map_or(0, |segment| segment.allocated.saturating_sub(segment.position));
        self.directory.set_spare(spare);
    }

    pub(super) fn position(&self) -> u64 {
        self.segment.as_ref().map_or(0, |segment| segment.position)
    }

    /// All before it was appended.
    pub(super) fn mark(&self) -> Mark {
        self.segment
            .as_ref()
            .map_or_else(Mark::default, |segment| Mark { segment: segment.number, offset: segment.position })
    }

    /// Forgets what was appended from `start` on; zeros stand there, and what comes next.
    pub(super) fn take_back(&mut self, start: u64) {
        if let Some(buffer) = &mut self.buffer {
            buffer.clear();
        }
        let Some(segment) = &mut self.segment else { return };
        let length = segment.position - start;
        segment.position = start;
        segment.written = start;
        if length > 0
            && let Err(cause) = self.directory.punch(segment.number, start, length)
        {
            debug!(%cause, "what was not written is not zeroed");
        }
        segment.allocated = segment.allocated.min(start);
    }

    /// Ends the segment: what was preallocated and not used goes back.
    pub(super) fn finish(&mut self) {
        let Some(segment) = self.segment.take() else { return };
        if let Err(cause) = segment.file.set_len(segment.position) {
            debug!(segment = segment.number, %cause, "cannot cut off unused space");
        }
    }

    pub(super) fn release_memory(&mut self) {
        self.buffer = None;
    }
}

/// A file system without O_DIRECT, or with other ideas of alignment.
fn is_refusal(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [Errno::INVAL, Errno::OPNOTSUPP].iter().any(|refusal| code == Some(refusal.raw_os_error()))
}

fn no_segment() -> io::Error {
    io::Error::other("no segment is open")
}

//! A FUSE file system that can lose power: it forgets what was not synced. It also gives ENOSPC, EIO and slow fsync.
//!
//! All of it lives in memory. Daemons run on it as on any disk; a test cuts the power of every process at once,
//! kills them, and mounts what a real disk would have kept.

mod disk;

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use parking_lot::Mutex;

pub use disk::Survivors;
use disk::{Body, Disk, PAGE};

/// Attributes may be cached for as long as a mount lives: only the kernel's own calls change them.
const TTL: Duration = Duration::from_secs(1);
const PUNCH_HOLE: i32 = 0x02;
const KEEP_SIZE: i32 = 0x01;

/// A mounted file system and the switches of its faults.
#[derive(Debug)]
pub struct PowerFs {
    shared: Arc<Shared>,
    mount_point: PathBuf,
    session: Option<BackgroundSession>,
}

#[derive(Debug)]
struct Shared {
    disk: Mutex<Disk>,
    dark: AtomicBool,
    failing: AtomicBool,
    fsync_delay_ms: AtomicU64,
    fsyncs: AtomicU64,
}

impl PowerFs {
    /// Mounts an empty disk of `capacity_bytes` at `mount_point`, which must be an empty directory.
    pub fn mount(mount_point: &Path, capacity_bytes: u64) -> io::Result<Self> {
        let shared = Shared {
            disk: Mutex::new(Disk::new(capacity_bytes)),
            dark: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            fsync_delay_ms: AtomicU64::new(0),
            fsyncs: AtomicU64::new(0),
        };
        let mut fs = Self { shared: Arc::new(shared), mount_point: mount_point.to_owned(), session: None };
        fs.attach()?;
        Ok(fs)
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.mount_point
    }

    /// From this moment every call fails and nothing more becomes durable. Kill the processes, then [`Self::restore`].
    pub fn cut(&self) {
        self.shared.dark.store(true, Ordering::SeqCst);
    }

    /// Power is back: the disk holds what was durable at the cut, and is mounted anew.
    pub fn restore(&mut self, survivors: Survivors) -> io::Result<()> {
        if let Some(session) = self.session.take() {
            session.umount_and_join()?;
        }
        self.shared.disk.lock().cut(survivors);
        self.shared.dark.store(false, Ordering::SeqCst);
        self.attach()
    }

    /// While set, reads, writes and syncs fail with EIO.
    pub fn set_failing(&self, failing: bool) {
        self.shared.failing.store(failing, Ordering::SeqCst);
    }

    /// Leaves `bytes` of room and no more: ENOSPC beyond.
    pub fn leave_room(&self, bytes: u64) {
        let mut disk = self.shared.disk.lock();
        let capacity = disk.used_bytes() + bytes;
        disk.set_capacity(capacity);
    }

    /// Every fsync takes this much longer.
    pub fn set_fsync_delay(&self, delay: Duration) {
        let ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.shared.fsync_delay_ms.store(ms, Ordering::SeqCst);
    }

    /// Syncs of files and directories so far.
    #[must_use]
    pub fn fsyncs(&self) -> u64 {
        self.shared.fsyncs.load(Ordering::SeqCst)
    }

    fn attach(&mut self) -> io::Result<()> {
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("cairn-powerfs".to_owned()), MountOption::NoAtime];
        config.n_threads = Some(2);
        self.session = Some(fuser::spawn_mount(Edge(Arc::clone(&self.shared)), &self.mount_point, &config)?);
        Ok(())
    }
}

impl Shared {
    /// The disk, unless the power is off.
    fn with<T>(&self, act: impl FnOnce(&mut Disk) -> Result<T, Errno>) -> Result<T, Errno> {
        let mut disk = self.disk.lock();
        if self.dark.load(Ordering::SeqCst) {
            return Err(Errno::EIO);
        }
        act(&mut disk)
    }

    fn with_data<T>(&self, act: impl FnOnce(&mut Disk) -> Result<T, Errno>) -> Result<T, Errno> {
        if self.failing.load(Ordering::SeqCst) {
            return Err(Errno::EIO);
        }
        self.with(act)
    }

    fn attr(disk: &Disk, id: u64) -> Result<FileAttr, Errno> {
        let node = disk.node(id)?;
        let kind = match node.body {
            Body::File(_) => FileType::RegularFile,
            Body::Dir(_) => FileType::Directory,
        };
        Ok(FileAttr {
            ino: INodeNo(id),
            size: node.size(),
            blocks: node.pages() * (PAGE / 512),
            atime: SystemTime::UNIX_EPOCH,
            mtime: SystemTime::UNIX_EPOCH,
            ctime: SystemTime::UNIX_EPOCH,
            crtime: SystemTime::UNIX_EPOCH,
            kind,
            perm: u16::try_from(node.mode & 0o7777).unwrap_or(0o644),
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }

    fn entry(&self, act: impl FnOnce(&mut Disk) -> Result<u64, Errno>, reply: ReplyEntry) {
        match self.with(|disk| act(disk).and_then(|id| Self::attr(disk, id))) {
            Ok(attr) => reply.entry(&TTL, &attr, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn sync(&self, id: u64) -> Result<(), Errno> {
        let delay = self.fsync_delay_ms.load(Ordering::SeqCst);
        if delay > 0 {
            // The session's own threads are this file system's disk: waiting here is a slow disk.
            std::thread::park_timeout(Duration::from_millis(delay));
        }
        self.fsyncs.fetch_add(1, Ordering::SeqCst);
        self.with_data(|disk| disk.sync(id))
    }
}

fn answer(result: Result<(), Errno>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

#[derive(Debug)]
struct Edge(Arc<Shared>);

impl Filesystem for Edge {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.0.entry(|disk| disk.lookup(parent.0, name), reply);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.0.with(|disk| Shared::attr(disk, ino.0)) {
            Ok(attr) => reply.attr(&TTL, &attr),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let changed = self.0.with_data(|disk| {
            if let Some(size) = size {
                disk.truncate(ino.0, size)?;
            }
            if let Some(mode) = mode {
                disk.node_mut(ino.0)?.mode = mode;
            }
            Shared::attr(disk, ino.0)
        });
        match changed {
            Ok(attr) => reply.attr(&TTL, &attr),
            Err(error) => reply.error(error),
        }
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        self.0.entry(|disk| disk.create(parent.0, name, mode & !umask, true), reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(self.0.with(|disk| disk.remove(parent.0, name, false)), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(self.0.with(|disk| disk.remove(parent.0, name, true)), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !flags.is_empty() {
            return reply.error(Errno::EINVAL);
        }
        answer(self.0.with(|disk| disk.rename((parent.0, name), (newparent.0, newname))), reply);
    }

    fn link(&self, _: &Request, ino: INodeNo, newparent: INodeNo, newname: &OsStr, reply: ReplyEntry) {
        self.0.entry(|disk| disk.link(ino.0, newparent.0, newname).map(|()| ino.0), reply);
    }

    fn open(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.0.with(|disk| disk.opened(ino.0)) {
            Ok(()) => reply.opened(FileHandle(0), FopenFlags::empty()),
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.0.with_data(|disk| disk.read(ino.0, offset, u64::from(size))) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.0.with_data(|disk| disk.write(ino.0, offset, data)) {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.0.disk.lock().closed(ino.0);
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer(self.0.sync(ino.0), reply);
    }

    fn readdir(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let entries = match self.0.with(|disk| disk.entries(ino.0)) {
            Ok(entries) => entries,
            Err(error) => return reply.error(error),
        };
        let skip = usize::try_from(offset).unwrap_or(usize::MAX);
        for (next, (id, is_dir, name)) in (offset + 1..).zip(entries.into_iter().skip(skip)) {
            let kind = if is_dir { FileType::Directory } else { FileType::RegularFile };
            if reply.add(INodeNo(id), next, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer(self.0.sync(ino.0), reply);
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let (total, used) = self.0.disk.lock().usage();
        let free = total - used;
        reply.statfs(total, free, free, 1 << 20, 1 << 20, 4096, 255, 4096);
    }

    fn create(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, _: i32, reply: ReplyCreate) {
        let created = self.0.with(|disk| {
            let id = disk.create(parent.0, name, mode & !umask, false)?;
            disk.opened(id)?;
            Shared::attr(disk, id)
        });
        match created {
            Ok(attr) => reply.created(&TTL, &attr, Generation(0), FileHandle(0), FopenFlags::empty()),
            Err(error) => reply.error(error),
        }
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let done = self.0.with_data(|disk| match mode {
            0 => disk.grow(ino.0, offset + length),
            KEEP_SIZE => Ok(()),
            mode if mode == PUNCH_HOLE | KEEP_SIZE => disk.punch(ino.0, offset, length),
            _ => Err(Errno::EOPNOTSUPP),
        });
        answer(done, reply);
    }
}

//! A disk with a volatile cache, as plain data: what was written, and what of it was synced.
//!
//! - **P1** After [`Disk::cut`] a file holds what its last sync saw, and a directory names what its last sync saw;
//!   with [`Survivors::Random`] some of the pages written since may be there too, as on a real disk.
//!   Tested by `unsynced_bytes_are_forgotten` and `entries_need_their_directory_synced`.
//! - **P2** While failing or full, a call changes nothing. Tested by `full_disk_refuses_growth`.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use fuser::Errno;

pub(super) const PAGE: u64 = 4096;
pub(super) const ROOT: u64 = 1;

type Page = Arc<[u8]>;

/// Which unsynced pages outlive a power cut.
#[derive(Clone, Copy, Debug)]
pub enum Survivors {
    None,
    /// Each with an even chance, drawn from this seed.
    Random(u64),
}

#[derive(Clone, Default, Debug)]
struct Content {
    size: u64,
    pages: BTreeMap<u64, Page>,
}

#[derive(Debug)]
pub(super) struct File {
    now: Content,
    durable: Content,
    dirty: BTreeSet<u64>,
}

#[derive(Default, Debug)]
pub(super) struct Dir {
    now: BTreeMap<OsString, u64>,
    durable: BTreeMap<OsString, u64>,
}

#[derive(Debug)]
pub(super) enum Body {
    File(File),
    Dir(Dir),
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) mode: u32,
    pub(super) body: Body,
    open: u32,
}

impl Node {
    pub(super) fn size(&self) -> u64 {
        match &self.body {
            Body::File(file) => file.now.size,
            Body::Dir(_) => PAGE,
        }
    }

    pub(super) fn pages(&self) -> u64 {
        match &self.body {
            Body::File(file) => file.now.pages.len() as u64,
            Body::Dir(_) => 1,
        }
    }
}

/// The whole file system.
#[derive(Debug)]
pub(super) struct Disk {
    nodes: BTreeMap<u64, Node>,
    next: u64,
    capacity_pages: u64,
    used_pages: u64,
}

impl Disk {
    pub(super) fn new(capacity_bytes: u64) -> Self {
        let root = Node { mode: 0o755, body: Body::Dir(Dir::default()), open: 1 };
        Self {
            nodes: BTreeMap::from([(ROOT, root)]),
            next: ROOT + 1,
            capacity_pages: capacity_bytes / PAGE,
            used_pages: 0,
        }
    }

    pub(super) fn node(&self, id: u64) -> Result<&Node, Errno> {
        self.nodes.get(&id).ok_or(Errno::ENOENT)
    }

    pub(super) fn node_mut(&mut self, id: u64) -> Result<&mut Node, Errno> {
        self.nodes.get_mut(&id).ok_or(Errno::ENOENT)
    }

    fn dir(&mut self, id: u64) -> Result<&mut Dir, Errno> {
        match &mut self.node_mut(id)?.body {
            Body::Dir(dir) => Ok(dir),
            Body::File(_) => Err(Errno::ENOTDIR),
        }
    }

    fn file(&mut self, id: u64) -> Result<&mut File, Errno> {
        match &mut self.node_mut(id)?.body {
            Body::File(file) => Ok(file),
            Body::Dir(_) => Err(Errno::EISDIR),
        }
    }

    pub(super) fn lookup(&self, parent: u64, name: &OsStr) -> Result<u64, Errno> {
        match &self.node(parent)?.body {
            Body::Dir(dir) => dir.now.get(name).copied().ok_or(Errno::ENOENT),
            Body::File(_) => Err(Errno::ENOTDIR),
        }
    }

    pub(super) fn entries(&self, id: u64) -> Result<Vec<(u64, bool, OsString)>, Errno> {
        let Body::Dir(dir) = &self.node(id)?.body else { return Err(Errno::ENOTDIR) };
        let is_dir = |id: &u64| matches!(self.nodes.get(id), Some(Node { body: Body::Dir(_), .. }));
        Ok(dir.now.iter().map(|(name, id)| (*id, is_dir(id), name.clone())).collect())
    }

    pub(super) fn create(&mut self, parent: u64, name: &OsStr, mode: u32, is_dir: bool) -> Result<u64, Errno> {
        if self.lookup(parent, name).is_ok() {
            return Err(Errno::EEXIST);
        }
        let id = self.next;
        self.dir(parent)?.now.insert(name.to_owned(), id);
        self.next += 1;
        let body = if is_dir {
            Body::Dir(Dir::default())
        } else {
            Body::File(File { now: Content::default(), durable: Content::default(), dirty: BTreeSet::new() })
        };
        self.nodes.insert(id, Node { mode, body, open: 0 });
        Ok(id)
    }

    pub(super) fn remove(&mut self, parent: u64, name: &OsStr, is_dir: bool) -> Result<(), Errno> {
        let id = self.lookup(parent, name)?;
        match &self.node(id)?.body {
            Body::Dir(_) if !is_dir => return Err(Errno::EISDIR),
            Body::File(_) if is_dir => return Err(Errno::ENOTDIR),
            Body::Dir(dir) if !dir.now.is_empty() => return Err(Errno::ENOTEMPTY),
            Body::Dir(_) | Body::File(_) => {}
        }
        self.dir(parent)?.now.remove(name);
        self.collect();
        Ok(())
    }

    pub(super) fn rename(&mut self, from: (u64, &OsStr), to: (u64, &OsStr)) -> Result<(), Errno> {
        let id = self.lookup(from.0, from.1)?;
        self.dir(to.0)?.now.insert(to.1.to_owned(), id);
        if from != to {
            self.dir(from.0)?.now.remove(from.1);
        }
        self.collect();
        Ok(())
    }

    pub(super) fn link(&mut self, id: u64, parent: u64, name: &OsStr) -> Result<(), Errno> {
        if self.lookup(parent, name).is_ok() {
            return Err(Errno::EEXIST);
        }
        self.dir(parent)?.now.insert(name.to_owned(), id);
        Ok(())
    }

    pub(super) fn opened(&mut self, id: u64) -> Result<(), Errno> {
        self.node_mut(id)?.open += 1;
        Ok(())
    }

    pub(super) fn closed(&mut self, id: u64) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.open = node.open.saturating_sub(1);
            if node.open == 0 {
                self.collect();
            }
        }
    }

    pub(super) fn read(&mut self, id: u64, offset: u64, size: u64) -> Result<Vec<u8>, Errno> {
        let file = self.file(id)?;
        let end = (offset + size).min(file.now.size);
        let mut out = Vec::new();
        let mut at = offset;
        while at < end {
            let within = at % PAGE;
            let take = (PAGE - within).min(end - at);
            match file.now.pages.get(&(at / PAGE)) {
                Some(page) => out.extend_from_slice(&page[index(within)..index(within + take)]),
                None => out.resize(out.len() + index(take), 0),
            }
            at += take;
        }
        Ok(out)
    }

    pub(super) fn write(&mut self, id: u64, offset: u64, data: &[u8]) -> Result<(), Errno> {
        let end = offset + data.len() as u64;
        let free = self.capacity_pages.saturating_sub(self.used_pages);
        let file = self.file(id)?;
        let fresh =
            (offset / PAGE..end.div_ceil(PAGE)).filter(|page| !file.now.pages.contains_key(page)).count() as u64;
        if fresh > free {
            return Err(Errno::ENOSPC);
        }
        let mut at = offset;
        while at < end {
            let within = at % PAGE;
            let take = (PAGE - within).min(end - at);
            let mut page = match file.now.pages.get(&(at / PAGE)) {
                Some(page) => page.to_vec(),
                None => vec![0; index(PAGE)],
            };
            let from = index(at - offset);
            page[index(within)..index(within + take)].copy_from_slice(&data[from..from + index(take)]);
            file.now.pages.insert(at / PAGE, page.into());
            file.dirty.insert(at / PAGE);
            at += take;
        }
        file.now.size = file.now.size.max(end);
        self.used_pages += fresh;
        Ok(())
    }

    pub(super) fn truncate(&mut self, id: u64, size: u64) -> Result<(), Errno> {
        let file = self.file(id)?;
        let keep = size.div_ceil(PAGE);
        let gone = file.now.pages.split_off(&keep);
        file.dirty.extend(gone.keys());
        if !size.is_multiple_of(PAGE)
            && let Some(page) = file.now.pages.get(&(size / PAGE))
        {
            let mut page = page.to_vec();
            page[index(size % PAGE)..].fill(0);
            file.now.pages.insert(size / PAGE, page.into());
            file.dirty.insert(size / PAGE);
        }
        file.now.size = size;
        self.used_pages = self.used_pages.saturating_sub(gone.len() as u64);
        Ok(())
    }

    /// Frees whole pages of a range, zeroes the rest of it.
    pub(super) fn punch(&mut self, id: u64, offset: u64, length: u64) -> Result<(), Errno> {
        let end = offset + length;
        let (first, last) = (offset.div_ceil(PAGE), end / PAGE);
        let file = self.file(id)?;
        let mut freed = 0;
        for page in first..last.max(first) {
            if file.now.pages.remove(&page).is_some() {
                file.dirty.insert(page);
                freed += 1;
            }
        }
        self.used_pages = self.used_pages.saturating_sub(freed);
        let head = (first * PAGE).min(end).saturating_sub(offset);
        if head > 0 {
            self.zero(id, offset, head)?;
        }
        if last >= first && !end.is_multiple_of(PAGE) {
            self.zero(id, last * PAGE, end % PAGE)?;
        }
        Ok(())
    }

    fn zero(&mut self, id: u64, offset: u64, length: u64) -> Result<(), Errno> {
        let file = self.file(id)?;
        let size = file.now.size;
        if offset < size && file.now.pages.contains_key(&(offset / PAGE)) {
            self.write(id, offset, &vec![0; index(length.min(size - offset))])?;
        }
        Ok(())
    }

    pub(super) fn grow(&mut self, id: u64, size: u64) -> Result<(), Errno> {
        let file = self.file(id)?;
        file.now.size = file.now.size.max(size);
        Ok(())
    }

    /// Makes a file's content, or a directory's entries, durable.
    pub(super) fn sync(&mut self, id: u64) -> Result<(), Errno> {
        match &mut self.node_mut(id)?.body {
            Body::Dir(dir) => dir.durable = dir.now.clone(),
            Body::File(file) => {
                for page in std::mem::take(&mut file.dirty) {
                    match file.now.pages.get(&page) {
                        Some(bytes) => file.durable.pages.insert(page, Arc::clone(bytes)),
                        None => file.durable.pages.remove(&page),
                    };
                }
                file.durable.size = file.now.size;
            }
        }
        Ok(())
    }

    /// Power goes: what was not synced is gone, but for the survivors.
    pub(super) fn cut(&mut self, survivors: Survivors) {
        let mut draw = Draw(match survivors {
            Survivors::None => 0,
            Survivors::Random(seed) => seed | 1,
        });
        let mut ids: Vec<u64> = self.nodes.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            let Some(node) = self.nodes.get_mut(&id) else { continue };
            node.open = u32::from(id == ROOT);
            match &mut node.body {
                Body::Dir(dir) => dir.now = dir.durable.clone(),
                Body::File(file) => {
                    for page in std::mem::take(&mut file.dirty) {
                        if let Some(bytes) = file.now.pages.get(&page)
                            && draw.coin()
                        {
                            file.durable.pages.insert(page, Arc::clone(bytes));
                            file.durable.size = file.durable.size.max(file.now.size.min((page + 1) * PAGE));
                        }
                    }
                    file.now = file.durable.clone();
                }
            }
        }
        self.collect();
        self.used_pages = self.nodes.values().map(Node::pages).sum();
    }

    pub(super) fn usage(&self) -> (u64, u64) {
        (self.capacity_pages, self.used_pages.min(self.capacity_pages))
    }

    pub(super) fn set_capacity(&mut self, bytes: u64) {
        self.capacity_pages = bytes / PAGE;
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.used_pages * PAGE
    }

    /// Forgets nodes that no entry names, now or durably, and nobody has open.
    fn collect(&mut self) {
        let mut named = BTreeSet::from([ROOT]);
        for node in self.nodes.values() {
            if let Body::Dir(dir) = &node.body {
                named.extend(dir.now.values().chain(dir.durable.values()));
            }
        }
        let mut freed = 0;
        self.nodes.retain(|id, node| {
            let keep = node.open > 0 || named.contains(id);
            freed += if keep { 0 } else { node.pages() };
            keep
        });
        self.used_pages = self.used_pages.saturating_sub(freed);
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("a position inside memory")
}

/// xorshift64: which pages survive; zero never lets any.
struct Draw(u64);

impl Draw {
    fn coin(&mut self) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk_with_file() -> (Disk, u64) {
        let mut disk = Disk::new(1 << 20);
        let id = disk.create(ROOT, OsStr::new("f"), 0o644, false).unwrap();
        disk.sync(ROOT).unwrap();
        (disk, id)
    }

    #[test]
    fn unsynced_bytes_are_forgotten() {
        let (mut disk, id) = disk_with_file();
        disk.write(id, 0, b"kept").unwrap();
        disk.sync(id).unwrap();
        disk.write(id, 2, b"lost and longer").unwrap();
        disk.cut(Survivors::None);
        assert_eq!(disk.read(id, 0, 100).unwrap(), b"kept");
    }

    #[test]
    fn entries_need_their_directory_synced() {
        let (mut disk, _) = disk_with_file();
        let late = disk.create(ROOT, OsStr::new("late"), 0o644, false).unwrap();
        disk.sync(late).unwrap();
        disk.remove(ROOT, OsStr::new("f"), false).unwrap();
        disk.cut(Survivors::None);
        assert!(disk.lookup(ROOT, OsStr::new("late")).is_err());
        assert!(disk.lookup(ROOT, OsStr::new("f")).is_ok());
    }

    #[test]
    fn full_disk_refuses_growth() {
        let (mut disk, id) = disk_with_file();
        disk.write(id, 0, &vec![1; 1 << 19]).unwrap();
        disk.set_capacity(1 << 19);
        assert!(disk.write(id, 1 << 19, b"x").is_err());
        disk.write(id, 0, b"overwriting is fine").unwrap();
        disk.punch(id, 0, 1 << 18).unwrap();
        disk.write(id, 1 << 19, b"x").unwrap();
    }

    #[test]
    fn punched_ranges_read_as_zero() {
        let (mut disk, id) = disk_with_file();
        disk.write(id, 0, &vec![7; 4 * 4096]).unwrap();
        disk.punch(id, 100, 2 * 4096).unwrap();
        let bytes = disk.read(id, 0, 4 * 4096).unwrap();
        assert!(bytes[..100].iter().all(|byte| *byte == 7));
        assert!(bytes[100..100 + 2 * 4096].iter().all(|byte| *byte == 0));
        assert!(bytes[100 + 2 * 4096..].iter().all(|byte| *byte == 7));
    }

    #[test]
    fn survivors_are_a_subset_of_what_was_written() {
        let (mut disk, id) = disk_with_file();
        disk.write(id, 0, &vec![1; 64 * 4096]).unwrap();
        disk.cut(Survivors::Random(7));
        let bytes = disk.read(id, 0, 64 * 4096).unwrap();
        assert!(bytes.contains(&1) && bytes.contains(&0));
    }
}

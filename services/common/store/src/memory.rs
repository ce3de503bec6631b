//! The in-memory twin, for tests and simulation: it can forget what was not synced.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;

use bytes::Bytes;
use parking_lot::RwLock;

use crate::{Batch, Cached, Change, Cursor, Durability, Error, Store};

type Map = BTreeMap<Vec<u8>, Bytes>;

/// A [`Store`] without a disk.
#[derive(Default, Debug)]
pub struct Memory(RwLock<State>);

#[derive(Default, Debug)]
struct State {
    /// What readers see.
    current: Map,
    sequence: u64,
    /// What a crash leaves: `current` as of the last synced write.
    durable_sequence: u64,
    /// Batches since then, oldest first, with what undoes each.
    undo: Vec<Vec<(Vec<u8>, Option<Bytes>)>>,
    syncs: u64,
    full: bool,
}

impl Memory {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets every write after the last synced one, as a power cut does.
    pub fn crash(&self) {
        let state = &mut *self.0.write();
        for batch in std::mem::take(&mut state.undo).into_iter().rev() {
            for (key, before) in batch.into_iter().rev() {
                match before {
                    Some(value) => state.current.insert(key, value),
                    None => state.current.remove(&key),
                };
            }
        }
        state.sequence = state.durable_sequence;
    }

    /// From now on every write is refused with [`Error::Full`], or no longer.
    pub fn set_full(&self, full: bool) {
        self.0.write().full = full;
    }

    /// Synced writes since the store was made: what a disk would have paid an fsync for.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.0.read().syncs
    }
}

impl State {
    fn apply(&mut self, batch: Batch) {
        let mut undo = Vec::with_capacity(batch.len());
        for change in batch.into_changes() {
            self.sequence += 1;
            let (key, before) = match change {
                Change::Put { key, value } => {
                    let before = self.current.insert(key.clone(), value);
                    (key, before)
                }
                Change::Delete { key } => {
                    let before = self.current.remove(&key);
                    (key, before)
                }
            };
            undo.push((key, before));
        }
        self.undo.push(undo);
    }

    fn sync(&mut self) {
        self.undo.clear();
        self.durable_sequence = self.sequence;
        self.syncs += 1;
    }
}

impl Store for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        Ok(self.0.read().current.get(key).cloned())
    }

    fn get_cached(&self, key: &[u8]) -> Result<Cached, Error> {
        self.get(key).map(Cached::Known)
    }

    fn write(&self, batch: Batch, durability: Durability) -> Result<(), Error> {
        let state = &mut *self.0.write();
        if state.full {
            return Err(Error::Full("no space left in memory".to_owned()));
        }
        state.apply(batch);
        if durability == Durability::Synced {
            state.sync();
        }
        Ok(())
    }

    fn scan(&self, from: &[u8], to: Option<&[u8]>) -> Box<dyn Cursor + '_> {
        Box::new(MemoryCursor {
            memory: self,
            from: from.to_vec(),
            to: to.map(<[u8]>::to_vec),
            next: Bound::Included(from.to_vec()),
            entry: None,
        })
    }

    fn snapshot(&self, from: &[u8], to: Option<&[u8]>) -> Box<dyn Cursor + '_> {
        let state = self.0.read();
        let inside = (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded));
        let entries = state.current.range::<[u8], _>(inside).map(|(key, value)| (key.clone(), value.clone())).collect();
        Box::new(SnapshotCursor { entries, next: 0 })
    }

    fn sequence(&self) -> u64 {
        self.0.read().sequence
    }

    fn approximate_keys(&self) -> u64 {
        self.0.read().current.len() as u64
    }

    fn bytes_on_disk(&self) -> u64 {
        self.0.read().current.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum()
    }

    fn flush(&self) -> Result<(), Error> {
        self.0.write().sync();
        Ok(())
    }

    fn checkpoint(&self, directory: &Path) -> Result<(), Error> {
        Err(Error::Io(format!("a store in memory cannot be copied to {}", directory.display())))
    }
}

/// A copy of what was there.
struct SnapshotCursor {
    entries: Vec<(Vec<u8>, Bytes)>,
    next: usize,
}

impl Cursor for SnapshotCursor {
    fn next(&mut self) -> Result<Option<(&[u8], &[u8])>, Error> {
        let entry = self.entries.get(self.next);
        self.next = self.next.saturating_add(1);
        Ok(entry.map(|(key, value)| (key.as_slice(), value.as_ref())))
    }

    fn seek(&mut self, key: &[u8]) {
        self.next = self.entries.partition_point(|(own, _)| own.as_slice() < key);
    }
}

/// Looks the next key up at each step, so that it holds no lock between steps.
struct MemoryCursor<'a> {
    memory: &'a Memory,
    from: Vec<u8>,
    to: Option<Vec<u8>>,
    next: Bound<Vec<u8>>,
    entry: Option<(Vec<u8>, Bytes)>,
}

impl Cursor for MemoryCursor<'_> {
    fn next(&mut self) -> Result<Option<(&[u8], &[u8])>, Error> {
        let state = self.memory.0.read();
        let found = state.current.range::<Vec<u8>, _>((self.next.as_ref(), Bound::Unbounded)).next();
        let inside = found.filter(|(key, _)| self.to.as_ref().is_none_or(|to| *key < to));
        self.entry = inside.map(|(key, value)| (key.clone(), value.clone()));
        drop(state);
        if let Some((key, _)) = &self.entry {
            self.next = Bound::Excluded(key.clone());
        }
        Ok(self.entry.as_ref().map(|(key, value)| (key.as_slice(), value.as_ref())))
    }

    fn seek(&mut self, key: &[u8]) {
        self.next = Bound::Included(key.max(&self.from).to_vec());
        self.entry = None;
    }
}

//! One suite for every implementation of [`Store`].

#![allow(clippy::unwrap_used, reason = "a fixture that fails fails its test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use cairn_store::{Batch, Cached, Durability, Memory, Options, Rocks, Store};
use proptest::prelude::*;
use tempfile::TempDir;

/// A store that can lose its process.
trait Subject: Sized {
    fn fresh() -> Self;
    fn store(&self) -> &dyn Store;
    fn crashed(self) -> Self;
}

impl Subject for Memory {
    fn fresh() -> Self {
        Memory::new()
    }
    fn store(&self) -> &dyn Store {
        self
    }
    fn crashed(self) -> Self {
        Memory::crash(&self);
        self
    }
}

struct OnDisk {
    store: Rocks,
    directory: TempDir,
}

impl OnDisk {
    fn open(directory: TempDir) -> Self {
        let on_fatal = Arc::new(|cause: &str| panic!("{cause}"));
        let options = Options { memory_bytes: 4 << 20, on_fatal, ..Options::default() };
        Self { store: Rocks::open(&directory.path().join("db"), &options).unwrap(), directory }
    }
}

impl Subject for OnDisk {
    fn fresh() -> Self {
        Self::open(TempDir::new().unwrap())
    }
    fn store(&self) -> &dyn Store {
        &self.store
    }
    /// What `kill -9` leaves: the files as they are, without a goodbye.
    fn crashed(self) -> Self {
        let copy = TempDir::new().unwrap();
        fs::create_dir(copy.path().join("db")).unwrap();
        for file in fs::read_dir(self.directory.path().join("db")).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), copy.path().join("db").join(file.file_name())).unwrap();
        }
        Self::open(copy)
    }
}

fn put(store: &dyn Store, key: &[u8], value: &[u8], durability: Durability) {
    let mut batch = Batch::new();
    batch.put(key, value.to_vec());
    store.write(batch, durability).unwrap();
}

fn all(store: &dyn Store, from: &[u8], to: Option<&[u8]>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut cursor = store.scan(from, to);
    let mut found = Vec::new();
    while let Some((key, value)) = cursor.next().unwrap() {
        found.push((key.to_vec(), value.to_vec()));
    }
    assert_eq!(cursor.next().unwrap(), None);
    found
}

fn gets_what_was_put<S: Subject>() {
    let subject = S::fresh();
    let store = subject.store();
    assert_eq!(store.get(b"a").unwrap(), None);
    put(store, b"a", b"1", Durability::Synced);
    put(store, b"a", b"2", Durability::Unsynced);
    assert_eq!(store.get(b"a").unwrap().as_deref(), Some(b"2".as_slice()));
    let mut batch = Batch::new();
    batch.put(b"b".as_slice(), b"".as_slice());
    batch.delete(b"a".as_slice());
    store.write(batch, Durability::Synced).unwrap();
    assert_eq!(store.get(b"a").unwrap(), None);
    assert_eq!(store.get(b"b").unwrap().as_deref(), Some(b"".as_slice()));
}

fn cached_reads_never_lie<S: Subject>() {
    let subject = S::fresh();
    for at in 0_u32..200 {
        put(subject.store(), &at.to_be_bytes(), &[7; 1000], Durability::Unsynced);
    }
    let known = |subject: &S, at: u32| subject.store().get_cached(&at.to_be_bytes()).unwrap();
    assert_eq!(known(&subject, 3), Cached::Known(Some(vec![7; 1000].into())));
    assert_eq!(known(&subject, 200), Cached::Known(None));
    subject.store().flush().unwrap();
    let subject = subject.crashed();
    for at in 0..200 {
        let cached = known(&subject, at);
        assert!(cached == Cached::OnDisk || cached == Cached::Known(Some(vec![7; 1000].into())));
        assert!(subject.store().get(&at.to_be_bytes()).unwrap().is_some());
        assert!(matches!(known(&subject, at), Cached::Known(Some(_))));
    }
}

fn later_changes_of_a_batch_stand<S: Subject>() {
    let subject = S::fresh();
    let mut batch = Batch::new();
    batch.put(b"k".as_slice(), b"1".as_slice());
    batch.delete(b"k".as_slice());
    batch.put(b"k".as_slice(), b"2".as_slice());
    assert_eq!((batch.len(), batch.size_bytes()), (3, 5));
    subject.store().write(batch, Durability::Synced).unwrap();
    assert_eq!(subject.store().get(b"k").unwrap().as_deref(), Some(b"2".as_slice()));
}

fn cursors_seek_both_ways_inside_their_bounds<S: Subject>() {
    let subject = S::fresh();
    let store = subject.store();
    for key in [b"a", b"b", b"c", b"d", b"e"] {
        put(store, key, key, Durability::Unsynced);
    }
    let mut cursor = store.scan(b"b", Some(b"e"));
    cursor.seek(b"c\0");
    assert_eq!(cursor.next().unwrap().map(|(key, _)| key.to_vec()), Some(b"d".to_vec()));
    cursor.seek(b"a");
    assert_eq!(cursor.next().unwrap().map(|(key, _)| key.to_vec()), Some(b"b".to_vec()));
    cursor.seek(b"e");
    assert_eq!(cursor.next().unwrap(), None);
    cursor.seek(b"d");
    assert_eq!(cursor.next().unwrap().map(|(key, _)| key.to_vec()), Some(b"d".to_vec()));
    assert_eq!(cursor.next().unwrap(), None);
}

fn a_snapshot_is_of_one_moment<S: Subject>() {
    let subject = S::fresh();
    let store = subject.store();
    for key in [b"a", b"b", b"c", b"d"] {
        put(store, key, b"old", Durability::Unsynced);
    }
    let mut cursor = store.snapshot(b"b", Some(b"e"));
    assert_eq!(cursor.next().unwrap(), Some((b"b".as_slice(), b"old".as_slice())));
    put(store, b"bb", b"new", Durability::Synced);
    put(store, b"c", b"new", Durability::Synced);
    let mut batch = Batch::new();
    batch.delete(b"d".as_slice());
    store.write(batch, Durability::Synced).unwrap();
    assert_eq!(cursor.next().unwrap(), Some((b"c".as_slice(), b"old".as_slice())));
    cursor.seek(b"d");
    assert_eq!(cursor.next().unwrap(), Some((b"d".as_slice(), b"old".as_slice())));
    assert_eq!(cursor.next().unwrap(), None);
    cursor.seek(b"a");
    assert_eq!(cursor.next().unwrap(), Some((b"b".as_slice(), b"old".as_slice())));
    drop(cursor);
    let keys: Vec<_> = all(store, b"b", Some(b"e")).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, [b"b".to_vec(), b"bb".to_vec(), b"c".to_vec()]);
}

fn synced_writes_survive_a_crash<S: Subject>() {
    let subject = S::fresh();
    put(subject.store(), b"before", b"1", Durability::Unsynced);
    put(subject.store(), b"synced", b"2", Durability::Synced);
    let sequence = subject.store().sequence();
    put(subject.store(), b"after", b"3", Durability::Unsynced);
    let subject = subject.crashed();
    assert_eq!(subject.store().get(b"before").unwrap().as_deref(), Some(b"1".as_slice()));
    assert_eq!(subject.store().get(b"synced").unwrap().as_deref(), Some(b"2".as_slice()));
    assert!(subject.store().sequence() >= sequence);
}

fn batches_are_atomic<S: Subject>() {
    let mut subject = S::fresh();
    for round in 0_u32..8 {
        for at in 0..10_u32 {
            let mut batch = Batch::new();
            for half in [b'a', b'b'] {
                batch.put(vec![half], (round * 10 + at).to_be_bytes().to_vec());
            }
            let durability = if at % 4 == 0 { Durability::Synced } else { Durability::Unsynced };
            subject.store().write(batch, durability).unwrap();
        }
        subject = subject.crashed();
        let halves = [b"a", b"b"].map(|key| subject.store().get(key).unwrap().unwrap());
        assert_eq!(halves[0], halves[1]);
        assert!(halves[0].as_ref() >= (round * 10 + 8).to_be_bytes().as_slice());
    }
}

fn sequences_rise_and_flush_is_durable<S: Subject>() {
    let subject = S::fresh();
    let first = subject.store().sequence();
    for at in 0_u32..100 {
        put(subject.store(), &at.to_be_bytes(), b"value", Durability::Unsynced);
    }
    assert!(subject.store().sequence() >= first + 100);
    subject.store().flush().unwrap();
    let subject = subject.crashed();
    assert_eq!(all(subject.store(), b"", None).len(), 100);
    assert!((90..=110).contains(&subject.store().approximate_keys()));
    assert!(subject.store().bytes_on_disk() > 0);
}

type Steps = Vec<(Vec<u8>, Option<Vec<u8>>, bool)>;

fn behaves_like_a_map<S: Subject>(steps: &Steps, from: &[u8], to: Option<&[u8]>) {
    let mut subject = S::fresh();
    let mut model = BTreeMap::new();
    for (key, value, crash) in steps {
        let mut batch = Batch::new();
        match value {
            Some(value) => batch.put(key.clone(), value.clone()),
            None => batch.delete(key.clone()),
        }
        match value {
            Some(value) => model.insert(key.clone(), value.clone()),
            None => model.remove(key),
        };
        subject.store().write(batch, Durability::Synced).unwrap();
        if *crash {
            subject = subject.crashed();
        }
    }
    let inside = |key: &[u8]| key >= from && to.is_none_or(|to| key < to);
    let expected: Vec<_> = model.into_iter().filter(|(key, _)| inside(key)).collect();
    assert_eq!(all(subject.store(), from, to), expected);
}

fn steps(crashes: u32) -> impl Strategy<Value = Steps> {
    let key = proptest::collection::vec(prop_oneof![Just(0_u8), Just(0x7f), Just(0xff), any::<u8>()], 0..4);
    let value = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20));
    proptest::collection::vec((key, value, (0..100_u32).prop_map(move |dice| dice < crashes)), 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn memory_behaves_like_a_map(steps in steps(10), from: Vec<u8>, to: Option<Vec<u8>>) {
        behaves_like_a_map::<Memory>(&steps, &from, to.as_deref());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn rocks_behaves_like_a_map(steps in steps(2), from in proptest::collection::vec(any::<u8>(), 0..2)) {
        behaves_like_a_map::<OnDisk>(&steps, &from, None);
    }
}

macro_rules! suite {
    ($($name:ident),* $(,)?) => {
        mod memory { $(#[test] fn $name() { super::$name::<super::Memory>() })* }
        mod rocks { $(#[test] fn $name() { super::$name::<super::OnDisk>() })* }
    };
}

suite! {
    gets_what_was_put,
    cached_reads_never_lie,
    later_changes_of_a_batch_stand,
    cursors_seek_both_ways_inside_their_bounds,
    a_snapshot_is_of_one_moment,
    synced_writes_survive_a_crash,
    batches_are_atomic,
    sequences_rise_and_flush_is_durable,
}

#[test]
fn memory_forgets_what_was_not_synced() {
    let memory = Memory::new();
    put(&memory, b"a", b"1", Durability::Synced);
    put(&memory, b"a", b"2", Durability::Unsynced);
    put(&memory, b"b", b"3", Durability::Unsynced);
    memory.crash();
    assert_eq!(all(&memory, b"", None), [(b"a".to_vec(), b"1".to_vec())]);
    assert_eq!(memory.syncs(), 1);
}

#[test]
fn a_full_store_refuses_writes_and_serves_reads() {
    let memory = Memory::new();
    put(&memory, b"a", b"1", Durability::Synced);
    memory.set_full(true);
    let mut batch = Batch::new();
    batch.delete(b"a".as_slice());
    assert!(matches!(memory.write(batch, Durability::Synced), Err(cairn_store::Error::Full(_))));
    assert_eq!(memory.get(b"a").unwrap().as_deref(), Some(b"1".as_slice()));
}

#[test]
fn a_checkpoint_is_a_store_of_its_own() {
    let subject = OnDisk::fresh();
    put(&subject.store, b"a", b"1", Durability::Synced);
    let backup = subject.directory.path().join("backup");
    subject.store.checkpoint(&backup).unwrap();
    put(&subject.store, b"a", b"2", Durability::Synced);
    let copy = Rocks::open(&backup, &Options::default()).unwrap();
    assert_eq!(copy.get(b"a").unwrap().as_deref(), Some(b"1".as_slice()));
}

#[test]
fn a_directory_is_opened_once() {
    let subject = OnDisk::fresh();
    let again = Rocks::open(&subject.directory.path().join("db"), &Options::default());
    assert!(matches!(again, Err(cairn_store::Error::Io(_))));
}

/// REGISTER D2, docs/adr/0006: a torn record was never acknowledged, and what a power cut leaves behind it is never read.
#[test]
fn a_log_is_replayed_up_to_its_first_torn_record() {
    let subject = OnDisk::fresh();
    for at in 0_u32..50 {
        put(&subject.store, &at.to_be_bytes(), &[7; 100], Durability::Synced);
    }
    let torn = damaged(&subject.directory, |log| log.truncate(log.len() - 20));
    let torn = Rocks::open(&torn.path().join("db"), &Options::default()).unwrap();
    assert_eq!(all(&torn, b"", None).len(), 49);

    let flipped = damaged(&subject.directory, |log| {
        let middle = log.len() / 2;
        log[middle] ^= 0xff;
    });
    let flipped = Rocks::open(&flipped.path().join("db"), &Options::default()).unwrap();
    let left = all(&flipped, b"", None);
    assert!((1..49).contains(&left.len()), "{} records", left.len());
    for (at, (key, _)) in (0_u32..).zip(&left) {
        assert_eq!(key[..], at.to_be_bytes(), "what is left is a beginning, without holes");
    }
}

/// A copy of the store in `directory` whose log went through `damage`.
fn damaged(directory: &TempDir, damage: impl Fn(&mut Vec<u8>)) -> TempDir {
    let copy = TempDir::new().unwrap();
    fs::create_dir(copy.path().join("db")).unwrap();
    for file in fs::read_dir(directory.path().join("db")).unwrap() {
        let path = file.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        if path.extension().is_some_and(|extension| extension == "log") {
            damage(&mut bytes);
        }
        fs::write(copy.path().join("db").join(Path::new(path.file_name().unwrap())), bytes).unwrap();
    }
    copy
}

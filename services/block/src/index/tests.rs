use cairn_store::Memory;
use cairn_types::{BucketId, Epoch};

use super::*;

const HASH: BlockHash = BlockHash([7; 32]);

fn index() -> (Arc<Memory>, Index) {
    let store = Arc::new(Memory::new());
    let index = Index::open(store.clone(), StoreId([1; 16]), false).unwrap();
    (store, index)
}

fn block(offset: u64) -> Block {
    let location = Location { directory: DirectoryNumber(2), segment: 3, offset, header_length: 200 };
    Block { location, size: 5000, crc32c: vec![1], doomed_ms: None, damaged: false }
}

fn reference(manifest: u8) -> Reference {
    Reference {
        manifest: ManifestId([manifest; 16]),
        bucket: BucketId([1; 16]),
        key: "key".into(),
        upload: None,
        written_at_ms: 5,
        epoch: Epoch(1),
    }
}

fn commit(index: &Index, change: impl FnOnce(&mut Changes)) {
    let mut changes = Changes::default();
    change(&mut changes);
    index.commit(changes, Durability::Unsynced).unwrap();
}

fn put(index: &Index, manifest: u8) {
    commit(index, |changes| {
        changes.put_block(HASH, &block(8192), None);
        changes.put_reference(HASH, &reference(manifest));
    });
}

fn drop_all(index: &Index, manifests: &[u8], now_ms: u64) {
    let manifests: Vec<_> = manifests.iter().map(|manifest| ManifestId([*manifest; 16])).collect();
    commit(index, |changes| changes.drop_references(index, HASH, &manifests, now_ms, 100).unwrap());
}

#[test]
fn the_last_reference_dooms_a_block() {
    let (_, index) = index();
    put(&index, 1);
    let mut here = index.block(HASH).unwrap().unwrap();
    commit(&index, |changes| changes.add_reference(HASH, &mut here, &reference(2)));
    drop_all(&index, &[1], 1000);
    assert_eq!(index.due(u64::MAX - 1, 10).unwrap(), []);
    drop_all(&index, &[2, 3], 2000);
    assert_eq!(index.due(2099, 10).unwrap(), []);
    assert_eq!(index.due(2100, 10).unwrap(), [(2100, HASH)]);
    // Dropping again does not move the deadline, a new reference takes it away.
    drop_all(&index, &[1, 2], 5000);
    assert_eq!(index.due(u64::MAX, 10).unwrap(), [(2100, HASH)]);
    let mut here = index.block(HASH).unwrap().unwrap();
    commit(&index, |changes| changes.add_reference(HASH, &mut here, &reference(4)));
    assert_eq!(index.due(u64::MAX, 10).unwrap(), []);
    assert_eq!(index.block(HASH).unwrap(), Some(block(8192)));
    assert_eq!(index.references(HASH, 10).unwrap(), [reference(4)]);
}

#[test]
fn removed_marks_outlive_the_block() {
    let (_, index) = index();
    put(&index, 1);
    drop_all(&index, &[1], 1000);
    let here = index.block(HASH).unwrap().unwrap();
    commit(&index, |changes| changes.remove_block(HASH, &here));
    assert_eq!(index.block(HASH).unwrap(), None);
    assert_eq!(index.due(u64::MAX, 10).unwrap(), []);
    assert!(index.is_removed(HASH, ManifestId([1; 16])).unwrap());
    assert!(!index.is_removed(HASH, ManifestId([2; 16])).unwrap());
    let hole = Hole { directory: DirectoryNumber(2), segment: 3, offset: 8192, length: 8192 };
    assert_eq!(index.holes(10).unwrap(), [hole]);
    commit(&index, |changes| changes.forget_hole(&hole));
    assert_eq!(index.holes(10).unwrap(), []);
}

#[test]
fn a_block_that_moves_leaves_a_hole() {
    let (_, index) = index();
    put(&index, 1);
    drop_all(&index, &[1], 1000);
    let before = index.block(HASH).unwrap().unwrap();
    commit(&index, |changes| changes.put_block(HASH, &block(65536), Some(&before)));
    assert_eq!(index.block(HASH).unwrap(), Some(block(65536)));
    assert_eq!(index.holes(10).unwrap().len(), 1);
    assert_eq!(index.due(u64::MAX, 10).unwrap(), []);
}

/// I1: whatever a crash takes back, the mark is not above a block that is missing.
#[test]
fn marks_fall_with_the_blocks_below_them() {
    let (store, index) = index();
    put(&index, 1);
    let mark = Mark { segment: 3, offset: 16384 };
    let mut changes = Changes::default();
    changes.set_mark(DirectoryNumber(2), mark);
    index.commit(changes, Durability::Synced).unwrap();
    commit(&index, |changes| {
        changes.put_block(BlockHash([8; 32]), &block(16384), None);
        changes.set_mark(DirectoryNumber(2), Mark { segment: 3, offset: 24576 });
    });
    store.crash();
    assert_eq!(index.mark(DirectoryNumber(2)).unwrap(), mark);
    assert!(index.block(HASH).unwrap().is_some());
    assert!(index.block(BlockHash([8; 32])).unwrap().is_none());
    assert_eq!(index.mark(DirectoryNumber(9)).unwrap(), Mark::default());
}

#[test]
fn blocks_are_counted_by_who_adds_and_who_removes() {
    let (_, index) = index();
    commit(&index, |changes| {
        changes.set_added_blocks(DirectoryNumber(0), 5);
        changes.set_added_blocks(DirectoryNumber(300), 7);
        changes.set_removed_blocks(4);
    });
    assert_eq!(index.block_count().unwrap(), 8);
}

#[test]
fn an_index_belongs_to_one_store() {
    let (store, index) = index();
    assert!(!index.is_rebuilt().unwrap());
    // Segments are there in every later start.
    let index = Index::open(store.clone(), StoreId([1; 16]), true).unwrap();
    assert!(!index.is_rebuilt().unwrap());
    let other = Index::open(store.clone(), StoreId([2; 16]), true);
    assert!(matches!(other, Err(OpenError::ForeignIndex { .. })));
    let mut batch = Batch::new();
    batch.put(META_VERSION, 2_u32.to_be_bytes().to_vec());
    store.write(batch, Durability::Unsynced).unwrap();
    let newer = Index::open(store, StoreId([1; 16]), true);
    assert!(matches!(newer, Err(OpenError::IndexVersion(2))));
}

#[test]
fn a_lost_index_is_remembered() {
    let store = Arc::new(Memory::new());
    let index = Index::open(store.clone(), StoreId([1; 16]), true).unwrap();
    assert!(index.is_rebuilt().unwrap());
    store.crash();
    let index = Index::open(store, StoreId([1; 16]), true).unwrap();
    assert!(index.is_rebuilt().unwrap());
}

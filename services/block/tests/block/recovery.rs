//! The index can be lost or lag behind; the segments rebuild it.

use std::fs::OpenOptions;
use std::path::Path;

use bytes::Bytes;
use cairn_block::{Collected, Recovered};
use cairn_rpc::CallError;
use cairn_types::BlockHash;

use crate::support::{DAY_MS, MIB, Store, data, find, flip, segments};

fn remove_index(root: &Path) {
    std::fs::remove_dir_all(root.join("data/index")).unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in from.read_dir().unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

async fn store_with(blocks: &[Bytes]) -> Store {
    let store = Store::new().await;
    for block in blocks {
        store.put(block, 1).await.unwrap();
    }
    store
}

#[tokio::test]
async fn an_index_that_is_gone_is_rebuilt() {
    let blocks: Vec<Bytes> = (1..20).map(|seed| data(usize::try_from(seed).unwrap() * 30_000, seed)).collect();
    let store = store_with(&blocks).await;
    let first = BlockHash::of(&blocks[0]);
    store.link(first, 2).await.unwrap();
    let store = store.reopen_after(remove_index).await;
    assert_eq!(*store.block.recovered(), Recovered { blocks: 19, damaged: 0, lost_segments: 0, incomplete: true });
    for block in &blocks {
        assert!(store.get(BlockHash::of(block)).await.unwrap() == block);
        assert_eq!(store.stat(BlockHash::of(block)).await.1, [1]);
    }
    assert_eq!(store.block.block_count().unwrap(), 19);
    // References may be missing: nothing is collected, whatever looks unreferenced.
    store.unlink(first, 1).await;
    store.clock.advance(2 * DAY_MS);
    assert_eq!(store.block.collect().await.unwrap(), Collected::default());
    let store = store.reopen().await;
    assert_eq!(*store.block.recovered(), Recovered { incomplete: true, ..Recovered::default() });
    assert_eq!(store.block.collect().await.unwrap(), Collected::default());
    assert!(store.get(first).await.is_ok());
}

#[tokio::test]
async fn an_index_that_is_behind_is_completed() {
    let blocks: Vec<Bytes> = (1..10).map(|seed| data(30_000, seed)).collect();
    let store = store_with(&blocks[..4]).await;
    let store = store.reopen_after(|root| copy(&root.join("data/index"), &root.join("old"))).await;
    for block in &blocks[4..] {
        store.put(block, 1).await.unwrap();
    }
    let old = |root: &Path| {
        remove_index(root);
        std::fs::rename(root.join("old"), root.join("data/index")).unwrap();
    };
    let store = store.reopen_after(old).await;
    assert_eq!(store.block.recovered().blocks, 5);
    for block in &blocks {
        assert!(store.get(BlockHash::of(block)).await.unwrap() == block);
    }
    assert_eq!(store.block.block_count().unwrap(), 9);
    let store = store.reopen().await;
    assert_eq!(*store.block.recovered(), Recovered::default());
}

#[tokio::test]
async fn a_torn_tail_is_left_out() {
    let blocks: Vec<Bytes> = (1..4).map(|seed| data(300_000, seed)).collect();
    let store = store_with(&blocks).await;
    let tear = |root: &Path| {
        remove_index(root);
        let path = segments(root).remove(0);
        let at = find(&path, &blocks[2][..64]);
        OpenOptions::new().write(true).open(&path).unwrap().set_len(at + 290_000).unwrap();
    };
    let store = store.reopen_after(tear).await;
    assert_eq!((store.block.recovered().blocks, store.block.recovered().damaged), (2, 1));
    assert!(matches!(store.get(BlockHash::of(&blocks[2])).await, Err(CallError::NotFound(_))));
    assert!(store.get(BlockHash::of(&blocks[1])).await.unwrap() == blocks[1]);
    // It is written anew, behind.
    assert!(!store.put(&blocks[2], 1).await.unwrap());
    let store = store.reopen_after(remove_index).await;
    assert_eq!(store.block.recovered().blocks, 3);
    assert!(store.get(BlockHash::of(&blocks[2])).await.unwrap() == blocks[2]);
}

#[tokio::test]
async fn damaged_records_are_reported_and_left_out() {
    let blocks: Vec<Bytes> = (1..6).map(|seed| data(300_000, seed)).collect();
    let store = store_with(&blocks).await;
    let damage = |root: &Path| {
        remove_index(root);
        let path = segments(root).remove(0);
        flip(&path, 100);
        flip(&path, find(&path, &blocks[1][..64]) + 270_000);
        flip(&path, find(&path, &blocks[3][..64]) - 50);
    };
    let store = store.reopen_after(damage).await;
    let recovered = store.block.recovered().clone();
    assert_eq!((recovered.blocks, recovered.lost_segments), (3, 0));
    assert!(recovered.damaged >= 2, "{recovered:?}");
    for (at, block) in blocks.iter().enumerate() {
        let got = store.get(BlockHash::of(block)).await;
        assert!(if at == 1 || at == 3 { got.is_err() } else { got.unwrap() == *block }, "block {at}");
    }
}

#[tokio::test]
async fn a_segment_without_a_header_is_reported() {
    let blocks: Vec<Bytes> = (1..3).map(|seed| data(30_000, seed)).collect();
    let store = store_with(&blocks[..1]).await.reopen().await;
    store.put(&blocks[1], 1).await.unwrap();
    let damage = |root: &Path| {
        remove_index(root);
        let path = segments(root).remove(0);
        flip(&path, 30);
        flip(&path, 4096 + 30);
    };
    let store = store.reopen_after(damage).await;
    assert_eq!((store.block.recovered().blocks, store.block.recovered().lost_segments), (1, 1));
    assert!(store.get(BlockHash::of(&blocks[0])).await.is_err());
    assert!(store.get(BlockHash::of(&blocks[1])).await.unwrap() == blocks[1]);
    // Its number is not used again.
    assert!(!store.put(&blocks[0], 1).await.unwrap());
    assert_eq!(segments(store.root.path()).len(), 3);
}

#[tokio::test]
async fn segments_follow_one_another() {
    let store = Store::with(&["data"], |config| config.segment_size = crate::support::size(4 * MIB as u64)).await;
    let blocks: Vec<Bytes> = (1..20).map(|seed| data(MIB, seed)).collect();
    for block in &blocks {
        store.put(block, 1).await.unwrap();
    }
    assert_eq!(segments(store.root.path()).len(), 5);
    let store = store.reopen_after(remove_index).await;
    assert_eq!(store.block.recovered().blocks, 19);
    for block in &blocks {
        assert!(store.get(BlockHash::of(block)).await.unwrap() == block);
    }
}

/// Removed blocks do not come back by a scan: their holes are empty, and the mark is above them.
#[tokio::test]
async fn removed_blocks_become_holes() {
    let blocks: Vec<Bytes> = (1..4).map(|seed| data(30_000, seed)).collect();
    let store = store_with(&blocks).await;
    let hash = BlockHash::of(&blocks[1]);
    store.unlink(hash, 1).await;
    store.clock.advance(DAY_MS);
    assert_eq!(store.block.collect().await.unwrap().blocks, 1);
    let store = store.reopen_after(remove_index).await;
    assert_eq!((store.block.recovered().blocks, store.block.recovered().damaged), (2, 0));
    assert!(matches!(store.get(hash).await, Err(CallError::NotFound(_))));
}

/// An index from yesterday lacks references made since: that is noticed, and nothing is collected.
#[tokio::test]
async fn an_old_index_is_noticed() {
    let blocks: Vec<Bytes> = (1..4).map(|seed| data(30_000, seed)).collect();
    let store = store_with(&blocks[..1]).await;
    let store = store.reopen_after(|root| copy(&root.join("data/index"), &root.join("old"))).await;
    store.put(&blocks[1], 1).await.unwrap();
    let store = store.reopen().await;
    store.put(&blocks[2], 1).await.unwrap();
    let old = |root: &Path| {
        remove_index(root);
        std::fs::rename(root.join("old"), root.join("data/index")).unwrap();
    };
    let store = store.reopen_after(old).await;
    assert_eq!((store.block.recovered().blocks, store.block.recovered().incomplete), (2, true));
    store.unlink(BlockHash::of(&blocks[0]), 1).await;
    store.clock.advance(2 * DAY_MS);
    assert_eq!(store.block.collect().await.unwrap(), Collected::default());
}

//! What nobody references goes after its grace period; nothing else does.

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cairn_block::Collected;
use cairn_placement::Step;
use cairn_rpc::CallError;
use cairn_types::{BlockHash, Epoch};

use crate::support::{DAY_MS, MIB, Store, data, segments, view};

fn blocks_on_disk(store: &Store) -> u64 {
    segments(store.root.path()).iter().map(|path| path.metadata().unwrap().blocks() * 512).sum()
}

#[tokio::test]
async fn a_block_goes_after_its_grace() {
    let store = Store::new().await;
    let block = data(MIB, 1);
    let hash = BlockHash::of(&block);
    store.put(&block, 1).await.unwrap();
    store.link(hash, 2).await.unwrap();
    store.unlink(hash, 1).await;
    store.clock.advance(2 * DAY_MS);
    assert_eq!(store.block.collect().await.unwrap(), Collected::default());
    store.unlink(hash, 2).await;
    store.clock.advance(DAY_MS - 1);
    assert_eq!(store.block.collect().await.unwrap(), Collected::default());
    assert!(store.get(hash).await.unwrap() == block);
    store.clock.advance(1);
    let collected = store.block.collect().await.unwrap();
    assert_eq!(collected.blocks, 1);
    assert!(collected.bytes > MIB as u64);
    assert!(matches!(store.get(hash).await, Err(CallError::NotFound(_))));
    assert_eq!(store.stat(hash).await, (None, vec![]));
    assert_eq!(store.block.block_count().unwrap(), 0);
    assert!(!store.block.status().has_data);
    let store = store.reopen().await;
    assert!(matches!(store.get(hash).await, Err(CallError::NotFound(_))));
    assert!(!store.put(&block, 3).await.unwrap());
    assert!(store.get(hash).await.unwrap() == block);
}

#[tokio::test]
async fn a_reference_in_time_saves_a_block() {
    let store = Store::new().await;
    let block = data(MIB, 1);
    let hash = BlockHash::of(&block);
    store.put(&block, 1).await.unwrap();
    store.unlink(hash, 1).await;
    store.clock.advance(DAY_MS / 2);
    assert!(store.put(&block, 2).await.unwrap());
    store.clock.advance(DAY_MS);
    assert_eq!(store.block.collect().await.unwrap(), Collected::default());
    store.unlink(hash, 2).await;
    // The grace begins anew.
    store.clock.advance(DAY_MS / 2);
    assert_eq!(store.block.collect().await.unwrap(), Collected::default());
    assert!(store.get(hash).await.unwrap() == block);
    store.clock.advance(DAY_MS);
    assert_eq!(store.block.collect().await.unwrap().blocks, 1);
}

#[tokio::test]
async fn holes_give_space_back() {
    let store = Store::new().await;
    let blocks: Vec<_> = (0..20).map(|seed| data(MIB, seed)).collect();
    for (manifest, block) in (0..).zip(&blocks) {
        store.put(block, manifest).await.unwrap();
    }
    let store = store.reopen().await;
    let before = blocks_on_disk(&store);
    assert!(before > 20 * MIB as u64);
    for (manifest, block) in (0..).zip(&blocks).skip(1).step_by(2) {
        store.unlink(BlockHash::of(block), manifest).await;
    }
    store.clock.advance(DAY_MS);
    let collected = store.block.collect().await.unwrap();
    assert_eq!(collected.blocks, 10);
    let after = blocks_on_disk(&store);
    assert!(collected.bytes > 10 * MIB as u64);
    assert!(after <= before - 10 * MIB as u64, "{before} before, {after} after");
    for (at, block) in blocks.iter().enumerate() {
        let got = store.get(BlockHash::of(block)).await;
        assert!(if at % 2 == 0 { got.unwrap() == *block } else { got.is_err() }, "block {at}");
    }
}

#[tokio::test]
async fn nothing_is_collected_while_partitions_move() {
    let store = Store::new().await;
    let block = data(1000, 1);
    store.put(&block, 1).await.unwrap();
    store.unlink(BlockHash::of(&block), 1).await;
    store.clock.advance(2 * DAY_MS);
    let mut moving = view(store.block.store(), Epoch(2));
    moving.record.step = Step::ReadOld;
    moving.record.layouts.push(moving.record.layouts[0].clone());
    store.view.offer(moving);
    assert_eq!(store.block.collect().await.unwrap(), Collected::default());
    store.view.offer(view(store.block.store(), Epoch(4)));
    assert_eq!(store.block.collect().await.unwrap().blocks, 1);
}

/// Links and unlinks race with collection that needs not wait: whoever was told that a block is here can read it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn gc_races_link() {
    let store = Arc::new(Store::with(&["data"], |config| config.grace = crate::support::no_grace()).await);
    let stop = Arc::new(AtomicBool::new(false));
    let collector = {
        let (store, stop) = (store.clone(), stop.clone());
        tokio::spawn(async move {
            let mut collected = 0;
            while !stop.load(Ordering::Relaxed) {
                collected += store.block.collect().await.unwrap().blocks;
                tokio::task::yield_now().await;
            }
            collected
        })
    };
    let workers: Vec<_> = (0..4_u8)
        .map(|worker| {
            let store = store.clone();
            tokio::spawn(async move {
                for round in 0..60_u8 {
                    // All workers put the same block, each for a manifest of its own.
                    let block = data(50_000, u64::from(round % 3));
                    let hash = BlockHash::of(&block);
                    let manifest = worker * 60 + round;
                    store.put(&block, manifest).await.unwrap();
                    assert!(store.get(hash).await.unwrap() == block);
                    let references = store.stat(hash).await.1;
                    assert!(references.contains(&manifest));
                    store.unlink(hash, manifest).await;
                    // It may be gone by now; what a link says about it must hold.
                    let again = 255 - worker;
                    if round == 59 && store.link(hash, again).await.unwrap().is_empty() {
                        assert!(store.get(hash).await.unwrap() == block);
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    assert!(collector.await.unwrap() > 0, "the race was never run");
}

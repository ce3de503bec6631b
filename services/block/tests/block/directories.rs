//! Several disks, full disks, failed disks.

use std::path::Path;
use std::process::Command;

use cairn_rpc::CallError;
use cairn_types::BlockHash;

use crate::support::{DAY_MS, MIB, Store, config, data, size};

#[tokio::test]
async fn blocks_spread_over_directories() {
    let store = Store::with(&["a", "b"], |_| {}).await;
    let blocks: Vec<_> = (0..40).map(|seed| data(50_000, seed)).collect();
    for block in &blocks {
        store.put(block, 1).await.unwrap();
    }
    let used: Vec<u64> = store.block.directories().iter().map(|directory| directory.bytes_used).collect();
    assert!(used.iter().all(|used| *used > 5 * 50_000), "{used:?}");
    let store = store.reopen().await;
    for block in &blocks {
        assert!(store.get(BlockHash::of(block)).await.unwrap() == block);
    }
    // The order in which directories are configured means nothing.
    let Store { block, config: mut turned, clock, epoch, root, .. } = store;
    block.close();
    drop(block);
    turned.directories.reverse();
    let store = Store::open(root, turned, clock, epoch).await.unwrap();
    for block in &blocks {
        assert!(store.get(BlockHash::of(block)).await.unwrap() == block);
    }
    assert_eq!(store.block.block_count().unwrap(), 40);
}

#[tokio::test]
async fn a_directory_that_fails_leaves_the_others_at_work() {
    let store = Store::with(&["a", "b"], |_| {}).await;
    // What a disk that went away looks like to the next write.
    std::fs::remove_dir_all(store.root.path().join("b/segments")).unwrap();
    for seed in 0..20 {
        let block = data(50_000, seed);
        store.put(&block, 1).await.unwrap();
        assert!(store.get(BlockHash::of(&block)).await.unwrap() == block);
    }
    let directories = store.block.directories();
    assert_eq!(directories[0].failure, None);
    assert!(directories[1].failure.is_some());
    assert!(store.block.status().ready);
}

#[tokio::test]
async fn blocks_of_a_directory_that_is_gone_are_not_served() {
    let store = Store::with(&["a", "b"], |_| {}).await;
    let blocks: Vec<_> = (0..30).map(|seed| data(50_000, seed)).collect();
    for block in &blocks {
        store.put(block, 1).await.unwrap();
    }
    let Store { block, clock, epoch, root, .. } = store;
    block.close();
    drop(block);
    let left = config(root.path(), &["a"]);
    let store = Store::open(root, left, clock, epoch).await.unwrap();
    let mut gone = 0;
    for block in &blocks {
        match store.get(BlockHash::of(block)).await {
            Ok(got) => assert!(got == *block),
            Err(error) => {
                assert!(matches!(error, CallError::Corrupt(_)), "{error}");
                gone += 1;
                // Another replica's copy is taken in.
                assert!(!store.put(block, 2).await.unwrap());
                assert!(store.get(BlockHash::of(block)).await.unwrap() == block);
            }
        }
    }
    assert!((1..30).contains(&gone), "{gone}");
}

#[tokio::test]
async fn the_reserve_is_never_used() {
    let store = Store::with(&["data"], |config| config.reserve = size(u64::MAX)).await;
    let refused = store.put(&data(1000, 1), 1).await;
    assert!(matches!(refused, Err(CallError::Full(_))), "{refused:?}");
    assert!(store.block.status().ready);
}

/// A real full disk: writes are refused, reads and deletes go on, and space that is freed is used again.
#[tokio::test]
async fn a_full_disk_serves_reads_and_deletes() {
    let mounted = tempfile::tempdir().unwrap();
    let Some(_mount) = Tmpfs::mount(mounted.path(), 12) else {
        eprintln!("skipped: mounting a small tmpfs needs root");
        return;
    };
    let index = tempfile::tempdir().unwrap();
    let store = Store::with(&[], |config| {
        config.directories = vec![mounted.path().join("data")];
        config.index_directory = Some(index.path().to_owned());
    })
    .await;
    let mut stored = Vec::new();
    let mut refusal = None;
    for seed in 0..20 {
        let block = data(MIB, seed);
        match store.put(&block, 1).await {
            Ok(_) => stored.push(block),
            Err(error) => {
                refusal = Some(error);
                break;
            }
        }
    }
    assert!(matches!(refusal, Some(CallError::Full(_))), "{refusal:?}");
    assert!((8..12).contains(&stored.len()), "{} blocks in 12 MiB", stored.len());
    assert!(store.block.directories()[0].failure.is_none());
    for block in &stored {
        assert!(store.get(BlockHash::of(block)).await.unwrap() == block);
        store.unlink(BlockHash::of(block), 1).await;
    }
    store.clock.advance(DAY_MS);
    assert_eq!(store.block.collect().await.unwrap().blocks, stored.len() as u64);
    let block = data(MIB, 100);
    assert!(!store.put(&block, 1).await.unwrap());
    assert!(store.get(BlockHash::of(&block)).await.unwrap() == block);
    // What was refused has left nothing that a scan would find.
    let store = store.reopen_after(|_| std::fs::remove_dir_all(index.path()).unwrap()).await;
    assert_eq!((store.block.recovered().blocks, store.block.recovered().damaged), (1, 0));
    assert!(store.get(BlockHash::of(&block)).await.unwrap() == block);
}

struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    fn mount(path: &'a Path, mebibytes: u32) -> Option<Self> {
        let options = format!("size={mebibytes}m");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(path).status();
        done.is_ok_and(|status| status.success()).then_some(Self(path))
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        // Lazily: the store is closed after this guard.
        let done = Command::new("umount").arg("-l").arg(self.0).status();
        assert!(done.is_ok_and(|status| status.success()));
    }
}

//! What was put comes back, whole and in parts.

use bytes::Bytes;
use cairn_quorum::BlockReplica;
use cairn_rpc::CallError;
use cairn_types::BlockHash;

use crate::support::{MIB, Store, data, put};

const PIECE: usize = 256 * 1024;

#[tokio::test]
async fn blocks_of_every_size_come_back() {
    let mut store = Store::new().await;
    let sizes = [1, 2, 4095, 4096, 4097, 9000, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7, MIB - 1, MIB];
    let blocks: Vec<Bytes> = sizes.iter().map(|size| data(*size, *size as u64)).collect();
    for block in &blocks {
        assert!(!store.put(block, 1).await.unwrap(), "{} bytes", block.len());
    }
    for _ in 0..2 {
        for block in &blocks {
            let hash = BlockHash::of(block);
            assert!(store.get(hash).await.unwrap() == block, "{} bytes", block.len());
            assert_eq!(store.stat(hash).await, (Some(u32::try_from(block.len()).unwrap()), vec![1]));
        }
        assert_eq!(store.block.block_count().unwrap(), sizes.len() as u64);
        store = store.reopen().await;
        assert_eq!(*store.block.recovered(), cairn_block::Recovered::default());
    }
}

/// W1, B1: whatever was answered is found by the next start, which was told nothing.
#[tokio::test]
async fn acknowledged_blocks_survive_a_crash() {
    let store = Store::with(&["a", "b"], |_| {}).await;
    let blocks: Vec<Bytes> = (1..30).map(|seed| data(usize::try_from(seed).unwrap() * 20_000, seed)).collect();
    futures_util::future::try_join_all(blocks.iter().map(|block| store.put(block, 1))).await.unwrap();
    let store = store.crash().await;
    for block in &blocks {
        assert!(store.get(BlockHash::of(block)).await.unwrap() == block);
    }
    assert_eq!(store.block.recovered().damaged, 0);
}

#[tokio::test]
async fn ranges_are_exact() {
    let store = Store::new().await;
    let block = data(3 * PIECE + 100, 1);
    store.put(&block, 1).await.unwrap();
    let hash = BlockHash::of(&block);
    let size = block.len();
    for (offset, length) in [
        (0, 1),
        (0, PIECE),
        (1, PIECE),
        (PIECE - 1, 2),
        (PIECE, PIECE),
        (size - 1, 1),
        (100, 0),
        (size - 5, 500),
        (3, 2 * PIECE),
    ] {
        let end = if length == 0 { size } else { (offset + length).min(size) };
        let got = store.get_range(hash, u32::try_from(offset).unwrap(), u32::try_from(length).unwrap()).await.unwrap();
        assert!(got == block[offset..end], "{offset}+{length}");
    }
    let outside = store.get_range(hash, u32::try_from(size).unwrap(), 1).await;
    assert!(matches!(outside, Err(CallError::Invalid(_))));
    assert!(matches!(store.get(BlockHash([0; 32])).await, Err(CallError::NotFound(_))));
}

#[tokio::test]
async fn a_block_that_is_here_is_only_linked() {
    let store = Store::new().await;
    let block = data(100_000, 1);
    let hash = BlockHash::of(&block);
    assert!(!store.put(&block, 1).await.unwrap());
    assert!(store.put(&block, 1).await.unwrap());
    assert!(store.put(&block, 2).await.unwrap());
    assert_eq!(store.stat(hash).await, (Some(100_000), vec![1, 2]));
    assert_eq!(store.block.block_count().unwrap(), 1);
}

#[tokio::test]
async fn concurrent_puts_of_one_block_write_it_once() {
    let store = Store::new().await;
    let block = data(MIB, 1);
    let puts = (0..20).map(|manifest| store.put(&block, manifest));
    let existed = futures_util::future::try_join_all(puts).await.unwrap();
    assert_eq!(existed.iter().filter(|existed| !**existed).count(), 1);
    assert_eq!(store.stat(BlockHash::of(&block)).await.1, (0..20).collect::<Vec<u8>>());
    let used = store.block.directories()[0].bytes_used;
    assert!(used < 2 * MIB as u64, "{used}");
}

#[tokio::test]
async fn a_put_whose_caller_goes_away_is_finished() {
    let store = Store::new().await;
    let block = data(MIB, 1);
    let context = store.context();
    for _ in 0..3 {
        let mut going = Box::pin(store.block.put(&context, put(&block, 1)));
        // Polled once, so that it is queued, and dropped.
        assert!(futures_util::FutureExt::now_or_never(going.as_mut()).is_none_or(|done| done.is_ok()));
    }
    store.put(&block, 2).await.unwrap();
    assert!(store.get(BlockHash::of(&block)).await.unwrap() == block);
    assert_eq!(store.block.block_count().unwrap(), 1);
}

#[tokio::test]
async fn what_arrives_damaged_is_refused() {
    let store = Store::new().await;
    let block = data(PIECE + 10, 1);
    let hash = BlockHash::of(&block);
    for at in [0, PIECE - 1, PIECE, PIECE + 9] {
        let mut bytes = block.to_vec();
        bytes[at] ^= 1;
        let damaged = cairn_quorum::PutBlock { data: vec![bytes.into()], ..put(&block, 1) };
        let result = store.block.put(&store.context(), damaged).await;
        assert!(matches!(result, Err(CallError::ChecksumMismatch(_))), "{result:?}");
    }
    let bad: [(Vec<Bytes>, Vec<u32>); 4] = [
        (vec![], vec![]),
        (vec![data(MIB + 1, 1)], vec![0; 5]),
        (vec![block.clone()], vec![0]),
        (vec![block.slice(..PIECE)], put(&block, 1).crc32c),
    ];
    for (data, crc32c) in bad {
        let result = store.block.put(&store.context(), cairn_quorum::PutBlock { data, crc32c, ..put(&block, 1) }).await;
        assert!(matches!(result, Err(CallError::Invalid(_))), "{result:?}");
    }
    let mut long = put(&block, 1);
    long.reference.key = vec![b'k'; 1025].into();
    assert!(matches!(store.block.put(&store.context(), long).await, Err(CallError::Invalid(_))));
    assert!(matches!(store.get(hash).await, Err(CallError::NotFound(_))));
    assert!(!store.put(&block, 1).await.unwrap());
}

//! Wrong bytes on disk: reported, never served, and healed by the next put.

use bytes::Bytes;
use cairn_quorum::{BlockReplica, PutBlock};
use cairn_rpc::CallError;
use cairn_types::BlockHash;

use crate::support::{DAY_MS, MIB, Store, data, find, flip, put, segments};

#[tokio::test]
async fn damage_on_disk_is_never_served() {
    let store = Store::new().await;
    let block = data(MIB, 1);
    let hash = BlockHash::of(&block);
    store.put(&block, 1).await.unwrap();
    let path = segments(store.root.path()).remove(0);
    let payload = find(&path, &block[..64]);
    for piece in 0..4 {
        let at = payload + piece * 256 * 1024 + 1000;
        flip(&path, at);
        let got = store.get(hash).await;
        assert!(matches!(got, Err(CallError::Corrupt(_))), "piece {piece}: {:?}", got.map(|data| data.len()));
        // The other pieces are whole, and are served.
        let other = (piece + 1) % 4;
        let range = store.get_range(hash, u32::try_from(other * 256 * 1024).unwrap(), 100).await.unwrap();
        let start = usize::try_from(other * 256 * 1024).unwrap();
        assert_eq!(range, block[start..start + 100]);
        flip(&path, at);
        assert!(store.get(hash).await.unwrap() == block);
    }
}

#[tokio::test]
async fn damage_beside_the_payload_costs_nothing() {
    let store = Store::new().await;
    let block = data(10_000, 1);
    let hash = BlockHash::of(&block);
    store.put(&block, 1).await.unwrap();
    let path = segments(store.root.path()).remove(0);
    let payload = find(&path, &block[..64]);
    // Either segment header, the record's header, and the padding behind the payload.
    for at in [8, 4096 + 20, 8192 + 3, payload - 10, payload + 10_000] {
        flip(&path, at);
    }
    let store = store.reopen().await;
    assert!(store.get(hash).await.unwrap() == block);
}

#[tokio::test]
async fn a_damaged_block_is_healed_by_the_next_put() {
    let store = Store::new().await;
    let block = data(MIB, 1);
    let hash = BlockHash::of(&block);
    store.put(&block, 1).await.unwrap();
    store.link(hash, 2).await.unwrap();
    let path = segments(store.root.path()).remove(0);
    flip(&path, find(&path, &block[..64]) + 300_000);
    assert!(matches!(store.get(hash).await, Err(CallError::Corrupt(_))));
    // Nobody is told that it is here.
    assert_eq!(store.stat(hash).await, (None, vec![1, 2]));
    assert_eq!(store.link(hash, 3).await.unwrap(), [hash]);
    let store = store.reopen().await;
    assert!(!store.put(&block, 4).await.unwrap());
    assert!(store.get(hash).await.unwrap() == block);
    assert_eq!(store.stat(hash).await, (Some(1_048_576), vec![1, 2, 4]));
    assert_eq!(store.block.block_count().unwrap(), 1);
    // The damaged copy's space is given back.
    assert!(store.block.collect().await.unwrap().bytes > MIB as u64);
    let store = store.reopen().await;
    assert!(store.get(hash).await.unwrap() == block);
}

/// A first writer may lie about a hash: only the right bytes can stay (DESIGN §6).
#[tokio::test]
async fn a_poisoned_block_is_replaced() {
    let store = Store::new().await;
    let (right, wrong) = (data(300_000, 1), data(300_000, 2));
    let hash = BlockHash::of(&right);
    let poison = |data: &Bytes| PutBlock { hash, ..put(data, 1) };
    assert!(!store.block.put(&store.context(), poison(&wrong)).await.unwrap());
    // Another lie does not pass either.
    let lie = store.block.put(&store.context(), poison(&data(1000, 3))).await;
    assert!(matches!(lie, Err(CallError::ChecksumMismatch(_))), "{lie:?}");
    assert!(!store.put(&right, 2).await.unwrap());
    assert!(store.get(hash).await.unwrap() == right);
    let late = store.block.put(&store.context(), poison(&wrong)).await;
    assert!(matches!(late, Err(CallError::ChecksumMismatch(_))), "{late:?}");
    assert!(store.get(hash).await.unwrap() == right);
    assert_eq!(store.stat(hash).await.1, [1, 2]);
}

#[tokio::test]
async fn a_segment_that_is_gone_is_damage_not_an_end() {
    let store = Store::new().await;
    let block = data(10_000, 1);
    let hash = BlockHash::of(&block);
    store.put(&block, 1).await.unwrap();
    let store = store.reopen_after(|root| std::fs::remove_file(&segments(root)[0]).unwrap()).await;
    assert!(matches!(store.get(hash).await, Err(CallError::Corrupt(_))));
    assert!(!store.put(&block, 2).await.unwrap());
    // The lost place is forgotten, not punched into the segment that came after it.
    store.block.collect().await.unwrap();
    assert!(store.get(hash).await.unwrap() == block);
    store.unlink(hash, 1).await;
    store.unlink(hash, 2).await;
    store.clock.advance(DAY_MS);
    assert_eq!(store.block.collect().await.unwrap().blocks, 1);
}

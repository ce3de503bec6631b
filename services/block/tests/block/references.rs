//! References are a set: added once, removed once, durable when answered.

use cairn_quorum::BlockReplica;
use cairn_rpc::CallError;
use cairn_types::{BlockHash, ManifestId};

use crate::support::{Store, data, reference};

#[tokio::test]
async fn references_survive_a_crash() {
    let store = Store::new().await;
    let (one, two) = (data(10_000, 1), data(10_000, 2));
    let (a, b) = (BlockHash::of(&one), BlockHash::of(&two));
    store.put(&one, 1).await.unwrap();
    store.put(&two, 1).await.unwrap();
    let batch = vec![(a, reference(2)), (b, reference(2)), (a, reference(3)), (a, reference(2))];
    assert!(store.block.add_references(&store.context(), batch).await.unwrap().is_empty());
    store.unlink(b, 1).await;
    let store = store.crash().await;
    assert_eq!(store.stat(a).await.1, [1, 2, 3]);
    assert_eq!(store.stat(b).await.1, [2]);
    let stats = store.block.stat(&store.context(), vec![a], true).await.unwrap();
    assert_eq!(stats[0].references[1], reference(2));
}

#[tokio::test]
async fn a_removed_reference_stays_removed() {
    let store = Store::new().await;
    let block = data(10_000, 1);
    let hash = BlockHash::of(&block);
    // The drop may come first.
    store.unlink(hash, 1).await;
    assert!(matches!(store.put(&block, 1).await, Err(CallError::Conflict(_))));
    assert!(!store.put(&block, 2).await.unwrap());
    store.link(hash, 3).await.unwrap();
    store.unlink(hash, 3).await;
    store.unlink(hash, 3).await;
    assert_eq!(store.link(hash, 3).await.unwrap(), [hash]);
    assert_eq!(store.stat(hash).await.1, [2]);
    let store = store.reopen().await;
    assert_eq!(store.link(hash, 3).await.unwrap(), [hash]);
    assert!(matches!(store.put(&block, 3).await, Err(CallError::Conflict(_))));
    assert_eq!(store.stat(hash).await.1, [2]);
}

#[tokio::test]
async fn blocks_that_are_not_here_are_named() {
    let store = Store::new().await;
    let block = data(10_000, 1);
    let (here, gone) = (BlockHash::of(&block), BlockHash([7; 32]));
    store.put(&block, 1).await.unwrap();
    let batch = vec![(gone, reference(2)), (here, reference(2)), (gone, reference(3))];
    assert_eq!(store.block.add_references(&store.context(), batch).await.unwrap(), [gone]);
    assert_eq!(store.stat(here).await.1, [1, 2]);
    assert_eq!(store.stat(gone).await, (None, vec![]));
}

#[tokio::test]
async fn batches_are_bounded() {
    let store = Store::new().await;
    let hash = BlockHash([7; 32]);
    let context = store.context();
    let adds = store.block.add_references(&context, vec![(hash, reference(1)); 1001]).await;
    let drops = store.block.drop_references(&context, vec![(hash, ManifestId([1; 16])); 1001]).await;
    let stats = store.block.stat(&context, vec![hash; 1001], false).await;
    assert!(matches!(adds, Err(CallError::Invalid(_))));
    assert!(matches!(drops, Err(CallError::Invalid(_))));
    assert!(matches!(stats, Err(CallError::Invalid(_))));
}

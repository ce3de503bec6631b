//! Calls name the store and its epoch, or change nothing.

use cairn_model::view::{decode_view_bytes, encode_view_bytes};
use cairn_placement::{Layout, Ring};
use cairn_quorum::BlockReplica;
use cairn_rpc::{CallContext, CallError};
use cairn_types::{BlockHash, Epoch, ManifestId, StoreId};

use crate::support::{Store, context, data, put, read, reference, view};

async fn writes(store: &Store, context: &CallContext) -> [Result<(), CallError>; 3] {
    let block = data(1000, 1);
    let hash = BlockHash::of(&block);
    [
        store.block.put(context, put(&block, 1)).await.map(drop),
        store.block.add_references(context, vec![(hash, reference(2))]).await.map(drop),
        store.block.drop_references(context, vec![(hash, ManifestId([2; 16]))]).await,
    ]
}

#[tokio::test]
async fn another_store_is_named() {
    let store = Store::new().await;
    let other = context(StoreId([5; 16]), Epoch(1));
    for refused in writes(&store, &other).await {
        assert!(matches!(refused, Err(CallError::WrongStore { actual }) if actual == store.block.store()));
    }
    let read = read(&*store.block, &other, BlockHash([1; 32]), 0, 0).await;
    assert!(matches!(read, Err(CallError::WrongStore { .. })));
    let stat = store.block.stat(&other, vec![], false).await;
    assert!(matches!(stat, Err(CallError::WrongStore { .. })));
}

#[tokio::test]
async fn an_older_epoch_gets_the_newer_view() {
    let store = Store::new().await;
    store.view.offer(view(store.block.store(), Epoch(3)));
    for refused in writes(&store, &context(store.block.store(), Epoch(2))).await {
        let Err(CallError::StaleEpoch { view }) = refused else { panic!("{refused:?}") };
        assert_eq!(decode_view_bytes(view).unwrap().epoch(), Epoch(3));
    }
    for refused in writes(&store, &context(store.block.store(), Epoch(0))).await {
        assert!(matches!(refused, Err(CallError::Invalid(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn a_newer_epoch_needs_its_view() {
    let store = Store::new().await;
    let mut newer = context(store.block.store(), Epoch(2));
    for refused in writes(&store, &newer).await {
        assert!(matches!(refused, Err(CallError::NeedsView)), "{refused:?}");
    }
    assert_eq!(store.block.epoch(), Epoch(1));
    newer.view = Some(encode_view_bytes(&view(store.block.store(), Epoch(2))));
    for done in writes(&store, &newer).await {
        done.unwrap();
    }
    assert_eq!(store.block.epoch(), Epoch(2));
}

#[tokio::test]
async fn an_epoch_is_kept_over_restarts() {
    let store = Store::new().await;
    let id = store.block.store();
    store.view.offer(view(id, Epoch(7)));
    for done in writes(&store, &context(id, Epoch(7))).await {
        done.unwrap();
    }
    // The view that comes first after the restart is an old one.
    let store = store.reopen().await;
    assert_eq!(store.block.epoch(), Epoch(7));
    for refused in writes(&store, &context(id, Epoch(1))).await {
        assert!(matches!(refused, Err(CallError::Unavailable(_))), "{refused:?}");
    }
    store.view.offer(view(id, Epoch(7)));
    assert!(store.block.put(&context(id, Epoch(7)), put(&data(1000, 2), 1)).await.is_ok());
}

#[tokio::test]
async fn reads_are_not_fenced() {
    let store = Store::new().await;
    let block = data(1000, 1);
    store.put(&block, 1).await.unwrap();
    store.view.offer(view(store.block.store(), Epoch(3)));
    for epoch in [0, 1, 3, 9] {
        let context = context(store.block.store(), Epoch(epoch));
        assert!(read(&*store.block, &context, BlockHash::of(&block), 0, 0).await.unwrap() == block);
    }
}

#[tokio::test]
async fn blocks_of_other_partitions_are_refused() {
    let store = Store::new().await;
    let mut elsewhere = view(StoreId([5; 16]), Epoch(2));
    let mut members = elsewhere.record.layouts[0].block.members().to_vec();
    members.push(view(store.block.store(), Epoch(2)).record.layouts[0].block.members()[0].clone());
    // This store holds the first half of the ring.
    let assignment = (0..1024).map(|partition| u16::from(partition < 512)).collect();
    let ring = Ring::new(1, 1, 10, members, assignment).unwrap();
    elsewhere.record.layouts = vec![Layout { version: 2, table: ring.clone(), block: ring }.into()];
    store.view.offer(elsewhere);
    let context = context(store.block.store(), Epoch(2));
    let (mut held, mut refused) = (0, 0);
    for seed in 0..40 {
        let block = data(1000, seed);
        match store.block.put(&context, put(&block, 1)).await {
            Ok(_) => {
                assert!(BlockHash::of(&block).0[0] < 128);
                held += 1;
            }
            Err(error) => {
                assert!(matches!(error, CallError::Invalid(_)), "{error}");
                refused += 1;
            }
        }
    }
    assert!(held > 5 && refused > 5, "{held} {refused}");
}

#[tokio::test]
async fn without_a_layout_nothing_is_stored() {
    let store = Store::new().await;
    let other = crate::support::Store::new().await;
    drop(store);
    let mut empty = crate::support::empty_view();
    empty.record.number = 9;
    empty.record.epoch = Epoch(9);
    other.view.offer(empty);
    for refused in writes(&other, &context(other.block.store(), Epoch(9))).await {
        assert!(matches!(refused, Err(CallError::Unavailable(_))), "{refused:?}");
    }
}

/// A step that comes while a put is under way: it is stored, but not acknowledged in the old epoch.
#[tokio::test]
async fn a_step_during_a_put_is_noticed() {
    let store = Store::new().await;
    let block = data(1000, 1);
    let old = store.context();
    let mut under_way = Box::pin(store.block.put(&old, put(&block, 1)));
    assert!(futures_util::FutureExt::now_or_never(under_way.as_mut()).is_none());
    store.view.offer(view(store.block.store(), Epoch(2)));
    let result = under_way.await;
    assert!(matches!(result, Err(CallError::StaleEpoch { .. })), "{result:?}");
    let again = store.block.put(&context(store.block.store(), Epoch(2)), put(&block, 1)).await;
    assert!(again.unwrap());
}

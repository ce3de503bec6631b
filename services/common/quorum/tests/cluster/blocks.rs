//! Blocks: where they go, and how reads get around replicas that fail.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use cairn_quorum::{Cluster, OpError, PutBlock, Reference};
use cairn_rpc::CallError;
use cairn_types::{BlockHash, BucketId, Epoch, ManifestId};
use futures_util::TryStreamExt as _;
use tokio::time::Instant;

use crate::support::World;
use crate::support::blocks::Break;
use crate::support::network::Mode;

const TEXT: &[u8] = b"forty-two bytes of the finest block content";

fn reference(manifest: u8) -> Reference {
    Reference {
        manifest: ManifestId([manifest; 16]),
        bucket: BucketId([2; 16]),
        key: Bytes::from_static(b"cat.jpg"),
        upload: None,
        written_at_ms: 5,
        epoch: Epoch(1),
    }
}

fn block(text: &'static [u8]) -> PutBlock {
    let data = vec![Bytes::from_static(text)];
    PutBlock { hash: BlockHash::of(text), crc32c: vec![0], reference: reference(1), data }
}

async fn read(world: &World, cluster: &Cluster, offset: u32, length: u32) -> Result<Vec<u8>, CallError> {
    let body = cluster.get_block(&world.op(), BlockHash::of(TEXT), offset, length).await.unwrap();
    let pieces: Vec<Bytes> = body.pieces.try_collect().await?;
    Ok(pieces.concat())
}

#[tokio::test(start_paused = true)]
async fn a_block_goes_to_all_replicas() {
    let world = World::new(31);
    let cluster = world.process(Some(1));
    cluster.put_block(&world.op(), block(TEXT)).await.unwrap();
    cluster.drain(Duration::from_secs(1)).await;
    assert!(world.blocks.iter().all(|store| store.has(BlockHash::of(TEXT))));
    assert_eq!(world.network.take_calls(), BTreeMap::from([("put", 3)]));
    assert_eq!(read(&world, &cluster, 0, 0).await.unwrap(), TEXT);
    assert_eq!(read(&world, &cluster, 3, 10).await.unwrap(), TEXT[3..13]);
    assert_eq!(read(&world, &cluster, 40, 100).await.unwrap(), TEXT[40..]);
    assert_eq!(world.network.take_calls(), BTreeMap::from([("get", 3)]), "this process's own replica was enough");
}

#[tokio::test(start_paused = true)]
async fn a_block_needs_a_majority() {
    let world = World::new(32);
    let cluster = world.gateway();
    world.network.set(world.block_store(0), Mode::Frozen);
    let began = Instant::now();
    cluster.put_block(&world.op(), block(TEXT)).await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(20), "{:?}", began.elapsed());
    world.network.set(world.block_store(1), Mode::Down);
    let refused = cluster.put_block(&world.op(), block(b"another")).await;
    assert!(matches!(refused, Err(OpError::NoQuorum(_))), "{refused:?}");
    world.network.set(world.block_store(1), Mode::Full);
    world.network.set(world.block_store(2), Mode::Full);
    let refused = cluster.put_block(&world.op(), block(b"another")).await;
    assert!(matches!(refused, Err(OpError::Full(_))), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn a_send_in_the_background_is_finished() {
    let world = World::new(33);
    let cluster = world.gateway();
    world.network.set(world.block_store(2), Mode::Slow(Duration::from_secs(3)));
    cluster.put_block(&world.op(), block(TEXT)).await.unwrap();
    assert!(!world.blocks[2].has(BlockHash::of(TEXT)));
    cluster.drain(Duration::from_secs(10)).await;
    assert!(world.blocks[2].has(BlockHash::of(TEXT)));
}

#[tokio::test(start_paused = true)]
async fn reads_get_around_replicas_that_fail() {
    let hash = BlockHash::of(TEXT);
    for failing in 0..3 {
        for mode in [Mode::Down, Mode::Frozen, Mode::Up] {
            let world = World::new(34);
            let cluster = world.process(Some(0));
            cluster.put_block(&world.op(), block(TEXT)).await.unwrap();
            cluster.drain(Duration::from_secs(1)).await;
            world.network.set(world.block_store(failing), mode);
            if mode == Mode::Up {
                world.blocks[failing].remove(hash);
            }
            let began = Instant::now();
            assert_eq!(read(&world, &cluster, 0, 0).await.unwrap(), TEXT);
            assert!(began.elapsed() < Duration::from_secs(1), "{failing} {mode:?}: {:?}", began.elapsed());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_goes_on_elsewhere() {
    for how in [Break::Error, Break::Stall, Break::Short] {
        let world = World::new(35);
        let cluster = world.process(Some(0));
        cluster.put_block(&world.op(), block(TEXT)).await.unwrap();
        cluster.drain(Duration::from_secs(1)).await;
        *world.blocks[0].breaks_after.lock() = Some((3, how));
        assert_eq!(read(&world, &cluster, 2, 30).await.unwrap(), TEXT[2..32], "{how:?}");
        for store in &world.blocks {
            *store.breaks_after.lock() = Some((1, how));
        }
        assert!(read(&world, &cluster, 0, 0).await.is_err(), "{how:?}: no replica is left");
    }
}

#[tokio::test(start_paused = true)]
async fn a_block_that_is_nowhere_is_told_from_one_that_cannot_be_reached() {
    let world = World::new(36);
    let cluster = world.gateway();
    let nowhere = cluster.get_block(&world.op(), BlockHash::of(TEXT), 0, 0).await;
    assert!(matches!(nowhere, Err(OpError::NotFound)));
    world.network.set(world.block_store(1), Mode::Down);
    let unreachable = cluster.get_block(&world.op(), BlockHash::of(TEXT), 0, 0).await;
    assert!(matches!(unreachable, Err(OpError::NoQuorum(_))));
}

#[tokio::test(start_paused = true)]
async fn references_need_a_majority_that_has_the_block() {
    let world = World::new(37);
    let cluster = world.gateway();
    let (here, gone) = (BlockHash::of(TEXT), BlockHash::of(b"gone"));
    cluster.put_block(&world.op(), block(TEXT)).await.unwrap();
    cluster.drain(Duration::from_secs(1)).await;
    world.network.set(world.block_store(1), Mode::Frozen);
    let wanted = vec![(here, reference(2)), (gone, reference(2))];
    assert_eq!(cluster.add_references(&world.op(), wanted.clone()).await.unwrap(), [gone]);
    assert_eq!(world.blocks[0].references(here), 2);
    cluster.drop_references(&world.op(), vec![(here, reference(1).manifest)]).await.unwrap();
    assert_eq!(world.blocks[0].references(here), 1);
    world.network.set(world.block_store(0), Mode::Down);
    assert!(matches!(cluster.add_references(&world.op(), wanted).await, Err(OpError::NoQuorum(_))));
}

use std::sync::atomic::Ordering;

use cairn_placement::{LayoutRecord, Step};
use cairn_proto::membership::v1;
use cairn_proto::membership::v1::layout_change::Change;
use cairn_rpc::CallError;
use cairn_types::Epoch;

use crate::support::{Cluster, wait_until};

fn one_copy() -> Change {
    Change::Replication(v1::SetReplication { replication: 1, zone_redundancy: 0 })
}

fn record(cluster: &Cluster, machine: usize) -> LayoutRecord {
    cluster.machines[machine].daemon.as_ref().unwrap().view().record.clone()
}

#[tokio::test]
async fn an_empty_cluster_changes_its_layout() {
    let mut cluster = Cluster::settled().await;
    cluster.join().await;
    cluster.add_storage(3, 0).await;
    let before = record(&cluster, 0);
    let after = cluster.apply(0, 2, true).await.unwrap();
    assert_eq!((after.number, after.epoch, after.step), (4, Epoch(3), Step::Stable));
    assert_eq!((after.layouts[0].version, after.layouts[0].table.members().len()), (2, 4));
    assert_ne!(after.layouts[0].table, before.layouts[0].table);
    cluster.agree_on(4).await;
    cluster.stage(1, one_copy()).await;
    let after = cluster.apply(1, 4, false).await.unwrap();
    assert_eq!((after.number, after.epoch, after.layouts[0].block.replication()), (6, Epoch(5), 1));
}

#[tokio::test]
async fn a_cluster_with_data_keeps_its_layout() {
    let cluster = Cluster::settled().await;
    cluster.stage(0, one_copy()).await;
    cluster.storage[3].has_data.store(true, Ordering::SeqCst);
    let refused = async || match cluster.apply(0, 0, false).await.unwrap_err() {
        CallError::Conflict(why) => why.contains("holds data"),
        other => panic!("{other:?}"),
    };
    wait_until("the data is known of", async || {
        cluster
            .machines
            .iter()
            .all(|machine| machine.daemon.as_ref().unwrap().view().nodes.values().any(|node| node.status.has_data))
    })
    .await;
    assert!(refused().await);
    assert_eq!(record(&cluster, 0).number, 2, "data calls were not even stopped");

    // Data that arrives just before the fence is seen behind it.
    cluster.storage[3].has_data.store(false, Ordering::SeqCst);
    cluster.storage[3].data_from.store(2, Ordering::SeqCst);
    wait_until("the data is forgotten", async || {
        cluster
            .machines
            .iter()
            .all(|machine| machine.daemon.as_ref().unwrap().view().nodes.values().all(|node| !node.status.has_data))
    })
    .await;
    assert!(refused().await);
    let after = record(&cluster, 0);
    assert_eq!((after.number, after.epoch, after.step), (4, Epoch(3), Step::Stable));
    assert_eq!(after.layouts[0].version, 1, "the old layout is back");
    cluster.agree_on(4).await;
    assert_eq!(cluster.layout(0).await.staged.len(), 1, "what was staged waits");
}

#[tokio::test]
async fn a_silent_store_cannot_be_known_to_be_empty() {
    let mut cluster = Cluster::settled().await;
    drop(cluster.storage.pop());
    wait_until("it is seen to be silent", async || cluster.alive(0, v1::Role::Block) == 2).await;
    cluster.stage(0, one_copy()).await;
    let refused = cluster.apply(0, 0, false).await.unwrap_err();
    assert!(matches!(&refused, CallError::Unavailable(why) if why.contains("node3")), "{refused:?}");
    assert_eq!(record(&cluster, 0).number, 2);
}

#[tokio::test]
async fn an_abandoned_change_is_undone() {
    let mut cluster = Cluster::settled().await;
    cluster.storage[5].is_stuck.store(true, Ordering::SeqCst);
    cluster.stage(0, one_copy()).await;
    let mut operator = cluster.admin(0);
    let request = v1::ApplyLayoutRequest { expected_number: 0, all_waiting: false };
    let applying = tokio::spawn(async move { operator.apply_layout(request).await.map(drop) });
    wait_until("data calls are stopped", async || record(&cluster, 1).step == Step::Empty).await;
    assert_eq!(record(&cluster, 1).layouts.len(), 1, "the layout to put back is known to all");
    cluster.machines[0].stop().await;
    assert!(applying.await.unwrap().is_err());
    wait_until("the old layout is back", async || record(&cluster, 1).step == Step::Stable).await;
    let after = record(&cluster, 1);
    assert_eq!((after.number, after.epoch, after.layouts[0].version), (4, Epoch(3), 1));
    cluster.machines[0].start().await;
    wait_until("the first daemon has caught up", async || cluster.machines[0].number() == 4).await;
}

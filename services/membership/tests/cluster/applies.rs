use std::collections::BTreeMap;

use cairn_placement::{RingKind, Step};
use cairn_proto::membership::v1;
use cairn_proto::membership::v1::layout_change::Change;
use cairn_rpc::CallError;
use cairn_types::{Epoch, OpId};

use crate::support::{Cluster, voter_names, voters, wait_until};

#[tokio::test]
async fn a_new_cluster_has_one_voter_and_no_layout() {
    let cluster = Cluster::found().await;
    let view = cluster.machines[0].daemon.as_ref().unwrap().view();
    assert_eq!((view.record.number, view.record.epoch, view.record.step), (1, Epoch(0), Step::Empty));
    assert!(view.record.layouts.is_empty());
    assert_eq!(voter_names(&view.record), ["node1"]);
    let info = cluster.admin(0).info(v1::InfoRequest {}).await.unwrap().into_inner();
    assert!(info.votes && info.record_number == 1);
    let refused = cluster.apply(0, 0, true).await.unwrap_err();
    assert!(matches!(&refused, CallError::Invalid(why) if why.contains("table and a block node")), "{refused:?}");
}

#[tokio::test]
async fn first_apply_places_all_and_makes_three_voters() {
    let mut cluster = Cluster::of(3).await;
    for machine in 0..3 {
        // All report to the first daemon: the others hear of them.
        cluster.add_storage(machine, 0).await;
    }
    assert_eq!(cluster.layout(2).await.waiting, ["node1", "node2", "node3"]);
    let preview = cluster.admin(1).preview_layout(v1::PreviewLayoutRequest {}).await.unwrap_err();
    assert!(CallError::from(preview).to_string().contains("table and a block node"), "nothing is staged");
    let record = cluster.apply(1, 1, true).await.unwrap();
    assert_eq!((record.number, record.epoch, record.step), (2, Epoch(1), Step::Stable));
    let table = record.layouts[0].ring(RingKind::Table);
    assert_eq!((table.replication(), table.zone_redundancy(), table.members().len()), (3, 3, 3));
    assert_eq!(voter_names(&record), ["node1", "node2", "node3"]);
    cluster.agree_on(2).await;
    assert!(cluster.layout(0).await.waiting.is_empty());
    let late = cluster.apply(0, 1, true).await.unwrap_err();
    assert!(matches!(late, CallError::Conflict(_)), "{late:?}");
}

#[tokio::test]
async fn one_machine_alone_gets_one_copy() {
    let mut cluster = Cluster::found().await;
    cluster.add_storage(0, 0).await;
    let request = v1::ApplyLayoutRequest { expected_number: 0, all_waiting: true };
    let answer = cluster.admin(0).apply_layout(request).await.unwrap().into_inner();
    assert!(answer.notes.contains(&"R = 1: one disk from loss".to_owned()), "{:?}", answer.notes);
    assert_eq!(answer.record.unwrap().layouts[0].table.as_ref().unwrap().replication, 1);
    cluster.agree_on(2).await;
}

#[tokio::test]
async fn voters_change_while_one_is_dead_and_it_catches_up() {
    let mut cluster = Cluster::settled().await;
    cluster.storage.truncate(4);
    cluster.machines[2].stop().await;
    cluster.stage(1, voters(&["node2"])).await;
    let record = cluster.apply(1, 2, false).await.unwrap();
    assert_eq!((record.number, record.epoch), (3, Epoch(1)), "no epoch step: no replica moves");
    assert_eq!(voter_names(&record), ["node2"]);
    cluster.agree_on(3).await;
    wait_until("the dead daemon is seen to be", async || cluster.alive(0, v1::Role::Membership) == 2).await;
    cluster.machines[2].start().await;
    cluster.agree_on(3).await;
    // Back to three, applied where the news has to come from the only voter.
    cluster.stage(2, voters(&["node1", "node2", "node3"])).await;
    assert_eq!(cluster.apply(2, 3, false).await.unwrap().number, 4);
    cluster.agree_on(4).await;
}

#[tokio::test]
async fn without_a_majority_of_voters_nothing_changes() {
    let mut cluster = Cluster::settled().await;
    cluster.storage.clear();
    for dead in [1, 2] {
        cluster.machines[dead].stop().await;
    }
    cluster.stage(0, voters(&["node1"])).await;
    let refused = cluster.apply(0, 0, false).await.unwrap_err();
    assert!(matches!(&refused, CallError::Unavailable(why) if why.contains("no majority")), "{refused:?}");
    assert_eq!(cluster.machines[0].number(), 2);
}

#[tokio::test]
async fn concurrent_applies_do_not_fork() {
    let cluster = Cluster::settled().await;
    let mut chosen: BTreeMap<u64, OpId> = BTreeMap::new();
    for round in 0..6 {
        let wanted: &[&str] = if round % 2 == 0 { &["node2"] } else { &["node1", "node2", "node3"] };
        cluster.stage(round % 3, voters(wanted)).await;
        wait_until("all daemons know what is staged", async || {
            let mut same = true;
            for machine in 0..3 {
                let staged = cluster.layout(machine).await.staged;
                same &= staged == [v1::LayoutChange { change: Some(voters(wanted)) }];
            }
            same
        })
        .await;
        let (one, two, three) =
            tokio::join!(cluster.apply(0, 0, false), cluster.apply(1, 0, false), cluster.apply(2, 0, false));
        let mut won = 0;
        for outcome in [one, two, three] {
            match outcome {
                Ok(record) => {
                    won += 1;
                    assert_eq!(
                        *chosen.entry(record.number).or_insert(record.op),
                        record.op,
                        "record {}",
                        record.number
                    );
                }
                // Another came first, or had come before this one looked.
                Err(CallError::Conflict(_) | CallError::Invalid(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        assert_eq!(won, 1, "all wanted the same");
        let newest = *chosen.last_key_value().unwrap().0;
        cluster.agree_on(newest).await;
        for machine in &cluster.machines {
            assert_eq!(machine.daemon.as_ref().unwrap().view().record.op, chosen[&newest]);
        }
    }
}

#[tokio::test]
async fn staged_changes_are_shared_previewed_and_reverted() {
    let cluster = Cluster::settled().await;
    cluster.stage(0, Change::Replication(v1::SetReplication { replication: 1, zone_redundancy: 0 })).await;
    cluster
        .stage(
            0,
            Change::Set(v1::SetNode { name: "node1".to_owned(), capacity_bytes: 1 << 41, ..v1::SetNode::default() }),
        )
        .await;
    wait_until("the other daemon knows", async || cluster.layout(1).await.staged.len() == 2).await;
    let preview = cluster.admin(1).preview_layout(v1::PreviewLayoutRequest {}).await.unwrap().into_inner();
    assert_eq!(preview.nodes.len(), 6);
    assert!(preview.notes.iter().any(|note| note.contains("one disk from loss")), "{:?}", preview.notes);
    let of = |name: &str| preview.nodes.iter().find(|node| node.name == name).unwrap();
    assert_eq!((of("node1").partitions_before, of("node1").partitions_after), (1024, 512));
    assert_eq!(of("node2").partitions_after, 256);
    cluster.admin(2).revert_layout(v1::RevertLayoutRequest {}).await.unwrap();
    for machine in 0..3 {
        wait_until("it is forgotten everywhere", async || cluster.layout(machine).await.staged.is_empty()).await;
    }
    let nothing = cluster.apply(0, 0, false).await.unwrap_err();
    assert!(matches!(nothing, CallError::Invalid(_)), "{nothing:?}");
    let two = v1::LayoutChange {
        change: Some(Change::Replication(v1::SetReplication { replication: 2, zone_redundancy: 0 })),
    };
    assert!(cluster.admin(0).stage_layout(v1::StageLayoutRequest { changes: vec![two] }).await.is_err());
}

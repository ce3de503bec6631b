use std::fs;

use cairn_proto::membership::v1;
use cairn_proto::membership::v1::layout_change::Change;

use crate::support::{Cluster, voters, wait_until};

#[tokio::test]
async fn a_restart_keeps_votes_layout_stage_and_peers() {
    let mut cluster = Cluster::settled().await;
    cluster.stage(0, Change::Remove(v1::RemoveNode { name: "node3".to_owned() })).await;
    cluster.storage.clear();
    let stores: Vec<_> = cluster.machines.iter().map(|machine| machine.daemon.as_ref().unwrap().store()).collect();
    for machine in &mut cluster.machines {
        machine.stop().await;
    }
    // All at once, and none is told where the others are.
    for machine in &mut cluster.machines {
        machine.start().await;
        assert_eq!(machine.number(), 2, "known before anybody was asked");
    }
    for (machine, store) in cluster.machines.iter().zip(stores) {
        assert_eq!(machine.daemon.as_ref().unwrap().store(), store);
    }
    for machine in 0..3 {
        wait_until("they meet again", async || cluster.alive(machine, v1::Role::Membership) == 3).await;
        wait_until("the stage is shared", async || cluster.layout(machine).await.staged.len() == 1).await;
    }
    cluster.admin(0).revert_layout(v1::RevertLayoutRequest {}).await.unwrap();
    cluster.stage(0, voters(&["node3"])).await;
    assert_eq!(cluster.apply(0, 2, false).await.unwrap().number, 3);
    cluster.agree_on(3).await;
}

#[tokio::test]
async fn a_lost_directory_is_not_served() {
    let mut cluster = Cluster::found().await;
    cluster.machines[0].stop().await;
    let data = cluster.machines[0].data().to_owned();
    fs::rename(&data, data.with_extension("away")).unwrap();
    let refused = cluster.machines[0].bind().await.err().expect("an empty directory stands where a store is recorded");
    assert!(format!("{refused:#}").contains("--new-store"), "{refused:#}");
    fs::rename(data.with_extension("away"), &data).unwrap();
    cluster.machines[0].start().await;
    assert_eq!(cluster.machines[0].number(), 1);
}

#[tokio::test]
async fn a_rolled_back_directory_is_not_served() {
    let mut cluster = Cluster::settled().await;
    let file = cluster.machines[2].data().join("membership.state");
    let old = fs::read(&file).unwrap();
    cluster.stage(0, Change::Replication(v1::SetReplication { replication: 1, zone_redundancy: 0 })).await;
    let epoch = cluster.apply(0, 2, false).await.unwrap().epoch;
    let third = cluster.machines[2].daemon.as_ref().unwrap().store();
    wait_until("the first daemon knows how far the third came", async || {
        let view = cluster.machines[0].daemon.as_ref().unwrap().view();
        view.nodes.get(&third).is_some_and(|node| node.status.epoch == epoch)
    })
    .await;
    cluster.storage.clear();
    cluster.machines[2].stop().await;
    fs::write(&file, old).unwrap();
    let failed = cluster.machines[2].run_to_its_end().await;
    assert!(format!("{failed:#}").contains("--new-store"), "{failed:#}");
}

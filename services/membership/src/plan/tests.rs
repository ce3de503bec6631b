use cairn_placement::Role;

use super::*;
use crate::testing::{first_record, machines, node, start};

fn planned(record: &LayoutRecord, staged: &[Change], all_waiting: bool, nodes: &Nodes) -> Result<Plan, PlanError> {
    plan(&Situation { record, staged, all_waiting, nodes, now: start() }, OpId([9; 16]))
}

fn names(plan: &Plan) -> Vec<String> {
    plan.record.voters.iter().map(|voter| voter.name.to_string()).collect()
}

fn set(name: &str, capacity_bytes: Option<u64>) -> Change {
    Change::Set { name: name.parse().unwrap(), zone: None, capacity_bytes, tags: Vec::new() }
}

/// A cluster of `count` machines with its first layout.
fn settled(count: u8) -> (LayoutRecord, Nodes) {
    let nodes = machines(count, start());
    (planned(&first_record(), &[], true, &nodes).unwrap().record, nodes)
}

#[test]
fn first_layout_of_three_has_three_copies_and_voters() {
    let plan = planned(&first_record(), &[], true, &machines(3, start())).unwrap();
    assert_eq!((plan.way, plan.record.number, plan.record.epoch), (Way::Direct, 2, Epoch(1)));
    let layout = &plan.record.layouts[0];
    for (kind, _) in RINGS {
        assert_eq!((layout.ring(kind).replication(), layout.ring(kind).zone_redundancy()), (3, 3));
    }
    assert_eq!(names(&plan), ["node1", "node2", "node3"]);
    assert!(plan.notes.is_empty(), "{:?}", plan.notes);
    assert!(plan.nodes.iter().all(|node| node.partitions_after == 1024 && node.bytes_to_move == 0));
}

#[test]
fn two_nodes_get_one_copy() {
    let plan = planned(&first_record(), &[], true, &machines(2, start())).unwrap();
    assert_eq!(plan.record.layouts[0].table.replication(), 1);
    assert_eq!(names(&plan), ["node1"]);
    assert!(plan.notes.contains(&"R = 1: one disk from loss".to_owned()));
}

#[test]
fn five_zones_get_five_voters() {
    assert_eq!(names(&planned(&first_record(), &[], true, &machines(5, start())).unwrap()).len(), 5);
    assert_eq!(names(&planned(&first_record(), &[], true, &machines(4, start())).unwrap()).len(), 3);
}

#[test]
fn nothing_staged_and_nobody_waiting_is_an_error() {
    let (record, nodes) = settled(3);
    assert_eq!(planned(&record, &[], true, &nodes).unwrap_err(), PlanError::Nothing);
    assert_eq!(planned(&first_record(), &[], true, &Nodes::default()).unwrap_err(), PlanError::EmptyRing("table"));
}

#[test]
fn what_moves_nothing_is_direct() {
    let (record, nodes) = settled(3);
    let voters = Change::Voters { names: vec!["node2".parse().unwrap()] };
    let plan = planned(&record, std::slice::from_ref(&voters), false, &nodes).unwrap();
    assert_eq!((plan.way, plan.record.number, plan.record.epoch), (Way::Direct, 3, Epoch(1)));
    assert!(Arc::ptr_eq(&plan.record.layouts[0], &record.layouts[0]));
    let larger = planned(&record, &[set("node1", Some(1 << 42))], false, &nodes).unwrap();
    assert_eq!((larger.way, larger.record.epoch, larger.record.layouts[0].version), (Way::Direct, Epoch(1), 2));
}

#[test]
fn what_moves_replicas_is_guarded() {
    let (record, nodes) = settled(3);
    let copies = Change::Replication { replication: 1, zone_redundancy: None };
    let plan = planned(&record, &[copies], false, &nodes).unwrap();
    assert_eq!((plan.way, plan.record.number, plan.record.epoch), (Way::Guarded, 4, Epoch(3)));
    let four = machines(4, start());
    let plan = planned(&record, &[], true, &four).unwrap();
    assert_eq!(plan.way, Way::Guarded);
    assert_eq!(plan.record.layouts[0].table.members().len(), 4);
}

#[test]
fn copies_rise_when_the_third_node_comes() {
    let (record, _) = settled(2);
    let plan = planned(&record, &[], true, &machines(3, start())).unwrap();
    assert_eq!(plan.record.layouts[0].block.replication(), 3);
    assert_eq!(names(&plan).len(), 3);
    let few = planned(
        &record,
        &[Change::Replication { replication: 3, zone_redundancy: None }],
        false,
        &machines(2, start()),
    );
    assert!(matches!(few.unwrap_err(), PlanError::Assign { ring: "table", .. }));
}

#[test]
fn nodes_can_be_removed_and_unknown_ones_are_named() {
    let (record, nodes) = settled(4);
    let remove = |name: &str| Change::Remove { name: name.parse().unwrap() };
    let plan = planned(&record, &[remove("node4")], false, &nodes).unwrap();
    assert_eq!(plan.record.layouts[0].table.members().len(), 3);
    let gone: Vec<_> = plan.nodes.iter().filter(|node| node.partitions_after == 0).collect();
    assert_eq!(gone.len(), 2, "a preview also names who loses its place");
    assert_eq!(
        planned(&record, &[remove("nobody")], false, &nodes).unwrap_err(),
        PlanError::NotPlaced("nobody".parse().unwrap())
    );
    assert_eq!(
        planned(&record, &[set("nobody", None)], false, &nodes).unwrap_err(),
        PlanError::UnknownNode("nobody".parse().unwrap())
    );
}

#[test]
fn a_new_store_under_an_old_name_takes_its_place_only_when_asked() {
    let (record, mut nodes) = settled(3);
    let mut new = node(1, Role::Table);
    new.info.store.0[15] = 77;
    new.stamp.incarnation = 2;
    nodes.heartbeat(new.clone(), start());
    let error = planned(&record, &[], true, &nodes).unwrap_err();
    assert_eq!(error, PlanError::Nothing, "the old store keeps its place");
    let plan = planned(&record, &[set("node1", None)], false, &nodes).unwrap();
    assert_eq!(plan.way, Way::Guarded);
    assert!(plan.record.layouts[0].table.members().iter().any(|member| member.store == new.info.store));
}

#[test]
fn bytes_to_move_follow_what_is_stored() {
    let (record, _) = settled(3);
    let mut nodes = machines(4, start());
    for number in 1..=3 {
        let mut full = node(number, Role::Block);
        full.info.status.bytes_used = 1024 * 1000;
        nodes.heartbeat(full, start());
    }
    let plan = planned(&record, &[], true, &nodes).unwrap();
    let new = plan.nodes.iter().find(|node| node.name.as_str() == "node4" && node.ring == RingKind::Block).unwrap();
    assert_eq!((new.partitions_before, new.partitions_after, new.bytes_to_move), (0, 768, 768_000));
}

#[test]
fn a_change_under_way_is_waited_for() {
    let (mut record, nodes) = settled(3);
    record.step = Step::Empty;
    assert_eq!(planned(&record, &[], true, &nodes).unwrap_err(), PlanError::UnderWay);
    record.number = 0;
    assert_eq!(planned(&record, &[], true, &nodes).unwrap_err(), PlanError::NoRecord);
}

//! Views of small clusters.

use std::collections::BTreeMap;
use std::sync::Arc;

use cairn_placement::{ClusterView, Layout, LayoutRecord, Member, NodeInfo, NodeStatus, Ring, Role, Step, Voter};
use cairn_types::{ClusterId, Epoch, NodeName, OpId, StoreId, ZoneName};

/// Few, so that tests of partitions are quick.
pub(crate) const BITS: u8 = 4;

pub(crate) fn table_store(index: u8) -> StoreId {
    StoreId([0x10 + index; 16])
}

pub(crate) fn block_store(index: u8) -> StoreId {
    StoreId([0x80 + index; 16])
}

fn name(index: u8) -> NodeName {
    format!("node-{index}").parse().unwrap()
}

pub(crate) fn zone(index: u8) -> ZoneName {
    format!("zone-{index}").parse().unwrap()
}

/// A view of `nodes` nodes; each of `layouts` is on the nodes listed. Two layouts: "write both, read the old one".
pub(crate) fn view(nodes: u8, epoch: u32, layouts: &[&[u8]]) -> ClusterView {
    let step = match layouts.len() {
        0 => Step::Empty,
        1 => Step::Stable,
        _ => Step::ReadOld,
    };
    let layout = |(version, members): (u32, &&[u8])| {
        Arc::new(Layout { version, table: ring(members, table_store), block: ring(members, block_store) })
    };
    let infos = (0..nodes)
        .flat_map(|index| [info(index, table_store(index), Role::Table), info(index, block_store(index), Role::Block)]);
    ClusterView {
        cluster: ClusterId([7; 16]),
        record: LayoutRecord {
            number: u64::from(epoch),
            epoch: Epoch(epoch),
            step,
            layouts: (1_u32..).zip(layouts).map(layout).collect(),
            voters: vec![Voter { store: StoreId([1; 16]), name: name(0), zone: zone(0), address: "m:1".to_owned() }],
            op: OpId([2; 16]),
        },
        nodes: infos.map(|info| (info.store, info)).collect::<BTreeMap<_, _>>(),
        revision: u64::from(epoch),
    }
}

fn ring(members: &[u8], store: fn(u8) -> StoreId) -> Ring {
    let list = members.iter().map(|index| Member {
        name: name(*index),
        store: store(*index),
        zone: zone(*index),
        capacity_bytes: 1 << 40,
        tags: Vec::new(),
    });
    let width = u16::try_from(members.len().min(3)).unwrap();
    let assignment = (0..1_u16 << BITS).flat_map(|_| 0..width).collect();
    let replication = u8::try_from(width).unwrap();
    Ring::new(replication, replication, BITS, list.collect(), assignment).unwrap()
}

fn info(index: u8, store: StoreId, role: Role) -> NodeInfo {
    NodeInfo {
        store,
        role,
        name: name(index),
        zone: zone(index),
        address: format!("node-{index}:1"),
        s3_url: String::new(),
        capacity_bytes: 1 << 40,
        tags: Vec::new(),
        status: NodeStatus::default(),
        alive: true,
        last_heard_ms: 0,
        placed: true,
    }
}

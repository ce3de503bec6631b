//! What this crate's tests make their records from.

use std::time::Duration;

use cairn_crdt::Stamp;
use cairn_placement::{LayoutRecord, NodeInfo, NodeStatus, Role, Step, Voter};
use cairn_types::{Epoch, OpId, StoreId};
use tokio::time::Instant;

use crate::nodes::{NodeRecord, Nodes};

/// Machine `number`'s daemon of this role, alone in its zone.
pub(crate) fn node(number: u8, role: Role) -> NodeRecord {
    let mut store = [number; 16];
    store[0] = role as u8;
    NodeRecord {
        stamp: Stamp { incarnation: 1, version: 1 },
        removed: false,
        info: NodeInfo {
            store: StoreId(store),
            role,
            name: format!("node{number}").parse().unwrap(),
            zone: format!("zone{number}").parse().unwrap(),
            address: format!("10.0.0.{number}:7000"),
            s3_url: String::new(),
            capacity_bytes: 1 << 40,
            tags: Vec::new(),
            status: NodeStatus::default(),
            alive: false,
            last_heard_ms: 0,
            placed: false,
        },
        boot_count: 0,
        last_sequence: 0,
    }
}

/// Machines 1 to `count`, each with all storage roles and membership, all heard now.
pub(crate) fn machines(count: u8, now: Instant) -> Nodes {
    let mut nodes = Nodes::default();
    for number in 1..=count {
        for role in [Role::Membership, Role::Table, Role::Block] {
            nodes.heartbeat(node(number, role), now);
        }
    }
    nodes
}

/// Record 1, as machine 1 makes it.
pub(crate) fn first_record() -> LayoutRecord {
    let first = node(1, Role::Membership).info;
    LayoutRecord {
        number: 1,
        epoch: Epoch(0),
        step: Step::Empty,
        layouts: Vec::new(),
        voters: vec![Voter { store: first.store, name: first.name, zone: first.zone, address: first.address }],
        op: OpId([1; 16]),
    }
}

/// A moment from which tests count.
pub(crate) fn start() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

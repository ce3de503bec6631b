//! Who does which part of background work: for each partition, its first replica that is alive.
//!
//! Every node decides for itself from its own view. Two views may differ, and then two nodes do one part, or nobody does
//! until the next look: the work is made for both.

use cairn_placement::{ClusterView, RingKind, Step};
use cairn_types::{PartitionId, StoreId};

/// Whether the table store `own` is the one that works on rows of `partition_key`. No one does before the first layout.
pub(crate) fn is_ours(view: &ClusterView, own: StoreId, partition_key: &[u8]) -> bool {
    if view.record.step == Step::Empty {
        return false;
    }
    // While a layout changes, the old one's replicas go on: they have all rows in any case.
    let Some(layout) = view.record.layouts.first() else { return false };
    let ring = layout.ring(RingKind::Table);
    let partition = PartitionId::of_key(partition_key, ring.partition_bits());
    let alive = |store: StoreId| store == own || view.nodes.get(&store).is_some_and(|node| node.alive);
    ring.replicas(partition).map(|member| member.store).find(|store| alive(*store)) == Some(own)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use cairn_placement::{Layout, LayoutRecord, Member, NodeInfo, NodeStatus, Ring, Role};
    use cairn_types::{ClusterId, Epoch, OpId};

    use super::*;

    const STORES: [StoreId; 3] = [StoreId([1; 16]), StoreId([2; 16]), StoreId([3; 16])];

    /// One partition on all three stores, in the order 2, 0, 1.
    fn view(alive: [bool; 3]) -> ClusterView {
        let member = |at: usize| Member {
            name: format!("node-{at}").parse().unwrap(),
            store: STORES[at],
            zone: format!("zone-{at}").parse().unwrap(),
            capacity_bytes: 1,
            tags: Vec::new(),
        };
        let ring = || Ring::new(3, 3, 0, (0..3).map(member).collect(), vec![2, 0, 1]).unwrap();
        let node = |at: usize| NodeInfo {
            store: STORES[at],
            role: Role::Table,
            name: format!("node-{at}").parse().unwrap(),
            zone: format!("zone-{at}").parse().unwrap(),
            address: String::new(),
            s3_url: String::new(),
            capacity_bytes: 1,
            tags: Vec::new(),
            status: NodeStatus::default(),
            alive: alive[at],
            last_heard_ms: 0,
            placed: true,
        };
        let record = LayoutRecord {
            number: 1,
            epoch: Epoch(1),
            step: Step::Stable,
            layouts: vec![Arc::new(Layout { version: 1, table: ring(), block: ring() })],
            voters: Vec::new(),
            op: OpId([0; 16]),
        };
        let nodes: BTreeMap<_, _> = (0..3).map(|at| (STORES[at], node(at))).collect();
        ClusterView { cluster: ClusterId([0; 16]), record, nodes, revision: 1 }
    }

    fn who(view: &ClusterView) -> Vec<usize> {
        (0..3).filter(|at| is_ours(view, STORES[*at], b"any")).collect()
    }

    #[test]
    fn the_first_live_replica_works() {
        assert_eq!(who(&view([true; 3])), [2]);
        // One that is taken for dead and is not works as well: it is alive to itself.
        assert_eq!(who(&view([true, true, false])), [0, 2]);
        assert_eq!(who(&view([false, true, false])), [0, 1, 2]);
        assert!(!is_ours(&view([true; 3]), StoreId([9; 16]), b"any"), "not a replica");
    }

    #[test]
    fn nobody_works_before_the_first_layout() {
        let mut view = view([true; 3]);
        view.record.step = Step::Empty;
        assert!(who(&view).is_empty());
        view.record = LayoutRecord::none();
        assert!(who(&view).is_empty());
    }
}

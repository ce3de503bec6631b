//! What a gateway can say of its cluster. Pure.

use cairn_placement::{ClusterView, ReplicaSet, RingKind, Step};
use cairn_types::{PartitionId, StoreId};

/// Whether operations can work, and what is worth knowing.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Health {
    pub(super) ready: bool,
    pub(super) notes: Vec<String>,
}

/// Judges by who is alive, as membership says.
pub(super) fn judge(view: &ClusterView) -> Health {
    if view.record.step == Step::Empty {
        let notes = vec!["no layout yet: S3 answers 503 until `cairn layout apply`".to_owned()];
        return Health { ready: false, notes };
    }
    let mut notes: Vec<String> =
        view.nodes.values().filter(|node| !node.alive).map(|node| format!("{} is down", node.name)).collect();
    let mut ready = true;
    for (ring, name) in [(RingKind::Table, "table"), (RingKind::Block, "block")] {
        let lost = lost_partitions(view, ring);
        if lost > 0 {
            ready = false;
            notes.push(format!("{lost} {name} partitions have no majority of replicas"));
        }
        if view.record.layouts.last().is_some_and(|layout| layout.ring(ring).replication() == 1) {
            notes.push(format!("the {name} ring keeps one copy: it is one disk from loss"));
        }
    }
    Health { ready, notes }
}

/// Partitions of which too few replicas live.
fn lost_partitions(view: &ClusterView, ring: RingKind) -> usize {
    let Some(bits) = view.partition_bits(ring) else { return 0 };
    let alive = |store: &StoreId| view.nodes.get(store).is_some_and(|node| node.alive);
    let has_majority = |set: &ReplicaSet| set.stores().iter().filter(|store| alive(store)).count() >= set.majority();
    (0..1_u32 << bits)
        .filter_map(|partition| u16::try_from(partition).ok())
        .filter_map(|partition| view.quorums(ring, PartitionId(partition)))
        .filter(|quorums| !quorums.accept.iter().all(has_majority))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_the_first_layout_nothing_is_ready() {
        let view = cairn_daemon::empty_view(cairn_types::ClusterId([1; 16]));
        let health = judge(&view);
        assert!(!health.ready);
        assert_eq!(health.notes.len(), 1);
    }
}

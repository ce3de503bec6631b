//! What a plan would do, for people.

use std::collections::BTreeSet;

use cairn_placement::{Layout, Member, RingKind, Voter};
use cairn_types::{NodeName, ZoneName};

use super::RINGS;
use crate::nodes::Nodes;

/// One node in one ring.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NodePreview {
    pub(crate) name: NodeName,
    pub(crate) ring: RingKind,
    pub(crate) zone: ZoneName,
    pub(crate) partitions_before: u64,
    pub(crate) partitions_after: u64,
    /// Of its capacity, what the ring can use.
    pub(crate) usable_bytes: u64,
    /// What it would have to fetch from others.
    pub(crate) bytes_to_move: u64,
}

/// Every member of either layout, ring by ring, in order of names.
pub(super) fn nodes(known: &Nodes, before: Option<&Layout>, after: &Layout) -> Vec<NodePreview> {
    let mut all = Vec::new();
    for (kind, _) in RINGS {
        let (old, new) = (before.map(|layout| layout.ring(kind)), after.ring(kind));
        let gone = old.into_iter().flat_map(|ring| ring.members());
        let gone = gone.filter(|member| new.members().iter().all(|other| other.store != member.store));
        let mut members: Vec<&Member> = new.members().iter().chain(gone).collect();
        members.sort_by_key(|member| (&member.name, member.store));
        let partition_capacity = new.partition_capacity_bytes();
        for member in members {
            let held = new.held_by(member.store).count() as u64;
            all.push(NodePreview {
                name: member.name.clone(),
                ring: kind,
                zone: member.zone.clone(),
                partitions_before: old.map_or(0, |ring| ring.held_by(member.store).count() as u64),
                partitions_after: held,
                usable_bytes: partition_capacity.saturating_mul(held),
                bytes_to_move: bytes_to_move(known, before, after, kind, member),
            });
        }
    }
    all
}

/// What `member` has to fetch: for each new partition, as much as its old holders keep of a partition on average.
fn bytes_to_move(known: &Nodes, before: Option<&Layout>, after: &Layout, kind: RingKind, member: &Member) -> u64 {
    let Some(old) = before.map(|layout| layout.ring(kind)) else { return 0 };
    let used = |holder: &Member| {
        let bytes = known.get(holder.store).map_or(0, |record| record.info.status.bytes_used);
        bytes / (old.held_by(holder.store).count() as u64).max(1)
    };
    let shares: Vec<_> = old.members().iter().map(|holder| (holder.store, used(holder))).collect();
    let new = after.ring(kind).copies(Some(old)).filter(|(_, copy)| copy.store == member.store);
    new.map(|(partition, _)| {
        let holders =
            old.replicas(partition).filter_map(|holder| shares.iter().find(|(store, _)| *store == holder.store));
        holders.map(|(_, bytes)| *bytes).max().unwrap_or(0)
    })
    .sum()
}

/// What a person should know before saying yes.
pub(super) fn notes(layout: &Layout, voters: &[Voter]) -> Vec<String> {
    let mut notes = Vec::new();
    let replication = layout.table.replication();
    if replication == 1 {
        notes.push("R = 1: one disk from loss".to_owned());
    }
    for (kind, name) in RINGS {
        let ring = layout.ring(kind);
        if ring.zone_redundancy() < replication {
            let zones = ring.zone_redundancy();
            notes.push(format!(
                "{name} ring: {replication} copies span only {zones} zone(s): losing a zone can stop it"
            ));
        }
        let reach = ring.partition_capacity_bytes();
        for (member, load) in ring.members().iter().zip(ring.loads()) {
            let percent = u128::from(reach) * u128::from(load) * 100 / u128::from(member.capacity_bytes.max(1));
            if percent < 90 {
                notes.push(format!(
                    "{name} ring: {percent} % of {} can be used: its zone or size allows no more",
                    member.name
                ));
            }
        }
    }
    let zones: BTreeSet<&ZoneName> = voters.iter().map(|voter| &voter.zone).collect();
    if voters.len() == 1 {
        notes.push(format!("1 voter ({}): without its disk the layout cannot be changed any more", voters[0].name));
    } else if zones.len() < voters.len() {
        notes.push(format!("{} voters share {} zone(s)", voters.len(), zones.len()));
    }
    notes
}

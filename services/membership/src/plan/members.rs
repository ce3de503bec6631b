//! The members of both rings after the staged changes.

use std::collections::BTreeSet;

use cairn_placement::{Layout, Member, NodeInfo, RingKind, Role};
use cairn_types::{NodeName, StoreId};
use tokio::time::Instant;

use super::{PlanError, RINGS, Situation};
use crate::nodes::Nodes;
use crate::staged::Change;

/// Members of both rings, and what there is to say of them.
pub(super) struct Members {
    pub(super) table: Vec<Member>,
    pub(super) block: Vec<Member>,
    /// A node came in.
    pub(super) added: bool,
    pub(super) notes: Vec<String>,
}

impl Members {
    pub(super) fn of(&self, kind: RingKind) -> &[Member] {
        match kind {
            RingKind::Table => &self.table,
            RingKind::Block => &self.block,
        }
    }

    fn of_mut(&mut self, kind: RingKind) -> &mut Vec<Member> {
        match kind {
            RingKind::Table => &mut self.table,
            RingKind::Block => &mut self.block,
        }
    }
}

const fn role(kind: RingKind) -> Role {
    match kind {
        RingKind::Table => Role::Table,
        RingKind::Block => Role::Block,
    }
}

/// Distinct zones of these members.
pub(super) fn zones(members: &[Member]) -> usize {
    members.iter().map(|member| &member.zone).collect::<BTreeSet<_>>().len()
}

/// Living storage nodes without a place.
pub(crate) fn waiting<'a>(
    nodes: &'a Nodes,
    before: Option<&'a Layout>,
    now: Instant,
) -> impl Iterator<Item = &'a NodeInfo> {
    let placed = move |info: &NodeInfo| {
        let rings = before.into_iter().flat_map(|layout| RINGS.map(|(kind, _)| layout.ring(kind)));
        rings.flat_map(|ring| ring.members()).any(|member| member.store == info.store)
    };
    nodes
        .iter()
        .filter(move |record| record.is_storage() && nodes.is_alive(record.info.store, now))
        .map(|record| &record.info)
        .filter(move |info| !placed(info))
}

pub(super) fn after(situation: &Situation<'_>, before: Option<&Layout>) -> Result<Members, PlanError> {
    let ring = |kind| before.map(|layout| layout.ring(kind).members().to_vec()).unwrap_or_default();
    let mut members =
        Members { table: ring(RingKind::Table), block: ring(RingKind::Block), added: false, notes: Vec::new() };
    if situation.all_waiting {
        for info in waiting(situation.nodes, before, situation.now) {
            place_waiting(&mut members, info);
        }
    }
    for change in situation.staged {
        match change {
            Change::Set { name, .. } => set(&mut members, situation, name, change)?,
            Change::Remove { name } => remove(&mut members, name)?,
            Change::Replication { .. } | Change::Voters { .. } => {}
        }
    }
    Ok(members)
}

fn place_waiting(members: &mut Members, info: &NodeInfo) {
    let (name, role_name) = (&info.name, format!("{:?}", info.role).to_lowercase());
    if info.capacity_bytes == 0 {
        members.notes.push(format!("{name} ({role_name}) does not say its capacity and is left out: set one"));
        return;
    }
    let kind = if info.role == Role::Table { RingKind::Table } else { RingKind::Block };
    if members.of(kind).iter().any(|member| member.name == *name) {
        members.notes.push(format!("{name} ({role_name}) is left out: another store has its place under this name"));
        return;
    }
    members.added = true;
    members.of_mut(kind).push(Member {
        name: name.clone(),
        store: info.store,
        zone: info.zone.clone(),
        capacity_bytes: info.capacity_bytes,
        tags: info.tags.clone(),
    });
}

/// Places or changes a node in each ring it has a role or a place in.
fn set(members: &mut Members, situation: &Situation<'_>, name: &NodeName, change: &Change) -> Result<(), PlanError> {
    let mut found = false;
    for (kind, _) in RINGS {
        let record = situation.nodes.named(name, role(kind), situation.now).map(|record| &record.info);
        let place = members.of(kind).iter().position(|member| member.name == *name);
        let placed = place.map(|at| members.of(kind)[at].clone());
        let Some(member) = changed(change, record, placed.as_ref()) else { continue };
        if member.capacity_bytes == 0 {
            return Err(PlanError::NoCapacity(name.clone()));
        }
        found = true;
        match place {
            Some(at) => members.of_mut(kind)[at] = member,
            None => {
                members.added = true;
                members.of_mut(kind).push(member);
            }
        }
    }
    if found { Ok(()) } else { Err(PlanError::UnknownNode(name.clone())) }
}

/// What the change says, then what is in force, then what the node says of itself. A store that took over a name takes
/// its place.
fn changed(change: &Change, record: Option<&NodeInfo>, placed: Option<&Member>) -> Option<Member> {
    let Change::Set { name, zone, capacity_bytes, tags } = change else { return None };
    let store: StoreId = record.map(|info| info.store).or(placed.map(|member| member.store))?;
    let known_zone = placed.map(|member| &member.zone).or(record.map(|info| &info.zone))?;
    let known_capacity = placed.map(|member| member.capacity_bytes).or(record.map(|info| info.capacity_bytes))?;
    let known_tags = placed.map(|member| &member.tags).or(record.map(|info| &info.tags))?;
    Some(Member {
        name: name.clone(),
        store,
        zone: zone.as_ref().unwrap_or(known_zone).clone(),
        capacity_bytes: capacity_bytes.unwrap_or(known_capacity),
        tags: if tags.is_empty() { known_tags.clone() } else { tags.clone() },
    })
}

fn remove(members: &mut Members, name: &NodeName) -> Result<(), PlanError> {
    let count = |members: &Members| members.table.len() + members.block.len();
    let before = count(members);
    for (kind, _) in RINGS {
        members.of_mut(kind).retain(|member| member.name != *name);
    }
    if count(members) < before { Ok(()) } else { Err(PlanError::NotPlaced(name.clone())) }
}

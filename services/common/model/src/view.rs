//! The cluster's view and layout records, on the wire and in caches on disk.
//!
//! - **M4** A decoded layout is one: assignments of the right length, of members that exist, none twice in a
//!   partition (`views_round_trip`, `damaged_views_are_refused`).

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use cairn_placement::{ClusterView, Layout, LayoutRecord, Member, NodeInfo, NodeStatus, Ring, Role, Step, Voter};
use cairn_proto::membership::v1;
use cairn_types::{Epoch, StoreId};
use prost::Message as _;

use crate::wire::{WireError, at_most, decode_bytes, decode_id};

/// Voters of one record: 1, 3 or 5 (REGISTER E1).
pub const MAX_VOTERS: usize = 5;
/// Members of one ring, and nodes of one view.
pub const MAX_NODES: usize = 10_000;
/// Tags of one node.
pub const MAX_TAGS: usize = 32;
/// Characters of an address, a URL or a tag.
pub const MAX_TEXT: usize = 256;

/// A view as bytes: what `Stale` carries, what is cached on disk.
#[must_use]
pub fn encode_view_bytes(view: &ClusterView) -> Bytes {
    encode_view(view).encode_to_vec().into()
}

/// The inverse of [`encode_view_bytes`].
pub fn decode_view_bytes(bytes: Bytes) -> Result<ClusterView, WireError> {
    decode_view(decode_bytes("cluster view", bytes)?)
}

#[must_use]
pub fn encode_view(view: &ClusterView) -> v1::ClusterView {
    v1::ClusterView {
        cluster_id: view.cluster.to_bytes(),
        record: Some(encode_record(&view.record)),
        nodes: view.nodes.values().map(encode_node).collect(),
        revision: view.revision,
    }
}

/// Refuses views without a record, and two nodes with one store id.
pub fn decode_view(view: v1::ClusterView) -> Result<ClusterView, WireError> {
    at_most("list of nodes", view.nodes.len(), MAX_NODES)?;
    let count = view.nodes.len();
    let nodes: BTreeMap<StoreId, NodeInfo> = view
        .nodes
        .into_iter()
        .map(|node| decode_node(node).map(|node| (node.store, node)))
        .collect::<Result<_, _>>()?;
    if nodes.len() != count {
        return Err(WireError::malformed("cluster view", "two nodes have one store id"));
    }
    Ok(ClusterView {
        cluster: decode_id("cluster id", &view.cluster_id)?,
        record: decode_record(view.record.ok_or(WireError::Missing("layout record"))?)?,
        nodes,
        revision: view.revision,
    })
}

#[must_use]
pub fn encode_record(record: &LayoutRecord) -> v1::LayoutRecord {
    v1::LayoutRecord {
        number: record.number,
        epoch: record.epoch.0,
        step: encode_step(record.step).into(),
        layouts: record.layouts.iter().map(|layout| encode_layout(layout)).collect(),
        voters: record.voters.iter().map(encode_voter).collect(),
        op: record.op.to_bytes(),
    }
}

/// Refuses a record whose number of layouts does not fit its step.
pub fn decode_record(record: v1::LayoutRecord) -> Result<LayoutRecord, WireError> {
    const WHAT: &str = "layout record";
    let step = decode_step(record.step)?;
    let expected = match step {
        Step::Empty => 0..=1,
        Step::Stable => 1..=1,
        Step::ReadOld | Step::ReadNew => 2..=2,
    };
    if !expected.contains(&record.layouts.len()) {
        return Err(WireError::malformed(WHAT, format!("{} layouts under step {step:?}", record.layouts.len())));
    }
    at_most("list of voters", record.voters.len(), MAX_VOTERS)?;
    Ok(LayoutRecord {
        number: record.number,
        epoch: Epoch(record.epoch),
        step,
        layouts: record
            .layouts
            .into_iter()
            .map(|layout| decode_layout(layout).map(Arc::new))
            .collect::<Result<_, _>>()?,
        voters: record.voters.into_iter().map(decode_voter).collect::<Result<_, _>>()?,
        op: decode_id("operation id", &record.op)?,
    })
}

#[must_use]
pub fn encode_layout(layout: &Layout) -> v1::Layout {
    v1::Layout {
        version: layout.version,
        table: Some(encode_ring(&layout.table)),
        block: Some(encode_ring(&layout.block)),
    }
}

pub fn decode_layout(layout: v1::Layout) -> Result<Layout, WireError> {
    Ok(Layout {
        version: layout.version,
        table: decode_ring(layout.table.ok_or(WireError::Missing("table ring"))?)?,
        block: decode_ring(layout.block.ok_or(WireError::Missing("block ring"))?)?,
    })
}

fn encode_ring(ring: &Ring) -> v1::Ring {
    let mut assignment = BytesMut::with_capacity(ring.assignment().len() * 2);
    for index in ring.assignment() {
        assignment.put_u16(*index);
    }
    v1::Ring {
        replication: ring.replication().into(),
        zone_redundancy: ring.zone_redundancy().into(),
        partition_bits: ring.partition_bits().into(),
        members: ring.members().iter().map(encode_member).collect(),
        assignment: assignment.freeze(),
    }
}

fn decode_ring(ring: v1::Ring) -> Result<Ring, WireError> {
    const WHAT: &str = "ring";
    at_most("list of members", ring.members.len(), MAX_NODES)?;
    let (pairs, rest) = ring.assignment.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(WireError::malformed(WHAT, "an assignment of half entries"));
    }
    Ring::new(
        small(WHAT, ring.replication)?,
        small(WHAT, ring.zone_redundancy)?,
        small(WHAT, ring.partition_bits)?,
        ring.members.into_iter().map(decode_member).collect::<Result<_, _>>()?,
        pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect(),
    )
    .map_err(|error| WireError::malformed(WHAT, error))
}

fn encode_member(member: &Member) -> v1::Member {
    v1::Member {
        name: member.name.to_string(),
        store_id: member.store.to_bytes(),
        zone: member.zone.to_string(),
        capacity_bytes: member.capacity_bytes,
        tags: member.tags.clone(),
    }
}

fn decode_member(member: v1::Member) -> Result<Member, WireError> {
    Ok(Member {
        name: parse("node name", &member.name)?,
        store: decode_id("store id", &member.store_id)?,
        zone: parse("zone name", &member.zone)?,
        capacity_bytes: member.capacity_bytes,
        tags: tags(member.tags)?,
    })
}

#[must_use]
pub fn encode_voter(voter: &Voter) -> v1::Voter {
    v1::Voter {
        store_id: voter.store.to_bytes(),
        name: voter.name.to_string(),
        zone: voter.zone.to_string(),
        address: voter.address.clone(),
    }
}

pub fn decode_voter(voter: v1::Voter) -> Result<Voter, WireError> {
    Ok(Voter {
        store: decode_id("store id", &voter.store_id)?,
        name: parse("node name", &voter.name)?,
        zone: parse("zone name", &voter.zone)?,
        address: text("address", voter.address)?,
    })
}

/// A node as the view shows it. `incarnation`, `version` and the counters of REGISTER D4 are membership's own and
/// are left at zero.
#[must_use]
pub fn encode_node(node: &NodeInfo) -> v1::NodeView {
    v1::NodeView {
        record: Some(v1::NodeRecord {
            store_id: node.store.to_bytes(),
            role: encode_role(node.role).into(),
            name: node.name.to_string(),
            zone: node.zone.to_string(),
            address: node.address.clone(),
            s3_url: node.s3_url.clone(),
            capacity_bytes: node.capacity_bytes,
            tags: node.tags.clone(),
            status: Some(encode_status(&node.status)),
            ..v1::NodeRecord::default()
        }),
        alive: node.alive,
        last_heard_ms: node.last_heard_ms,
        placed: node.placed,
    }
}

pub fn decode_node(node: v1::NodeView) -> Result<NodeInfo, WireError> {
    let record = node.record.ok_or(WireError::Missing("node record"))?;
    Ok(NodeInfo {
        alive: node.alive,
        last_heard_ms: node.last_heard_ms,
        placed: node.placed,
        ..decode_node_record(record)?
    })
}

/// What a node says of itself; `alive`, `last_heard_ms` and `placed` are left for the reader to fill in.
pub fn decode_node_record(record: v1::NodeRecord) -> Result<NodeInfo, WireError> {
    Ok(NodeInfo {
        store: decode_id("store id", &record.store_id)?,
        role: decode_role(record.role)?,
        name: parse("node name", &record.name)?,
        zone: parse("zone name", &record.zone)?,
        address: text("address", record.address)?,
        s3_url: text("S3 address", record.s3_url)?,
        capacity_bytes: record.capacity_bytes,
        tags: tags(record.tags)?,
        status: record.status.as_ref().map(decode_status).unwrap_or_default(),
        alive: false,
        last_heard_ms: 0,
        placed: false,
    })
}

/// `boot_count` and `last_sequence` (REGISTER D4) are the storage daemon's to fill in.
#[must_use]
pub fn encode_status(status: &NodeStatus) -> v1::Status {
    v1::Status {
        bytes_used: status.bytes_used,
        bytes_free: status.bytes_free,
        has_data: status.has_data,
        epoch: status.epoch.0,
        ready: status.ready,
        ..v1::Status::default()
    }
}

#[must_use]
pub const fn decode_status(status: &v1::Status) -> NodeStatus {
    NodeStatus {
        bytes_used: status.bytes_used,
        bytes_free: status.bytes_free,
        has_data: status.has_data,
        epoch: Epoch(status.epoch),
        ready: status.ready,
    }
}

#[must_use]
pub const fn encode_role(role: Role) -> v1::Role {
    match role {
        Role::Membership => v1::Role::Membership,
        Role::Table => v1::Role::Table,
        Role::Block => v1::Role::Block,
        Role::Gateway => v1::Role::Gateway,
    }
}

pub fn decode_role(role: i32) -> Result<Role, WireError> {
    match v1::Role::try_from(role) {
        Ok(v1::Role::Membership) => Ok(Role::Membership),
        Ok(v1::Role::Table) => Ok(Role::Table),
        Ok(v1::Role::Block) => Ok(Role::Block),
        Ok(v1::Role::Gateway) => Ok(Role::Gateway),
        Ok(v1::Role::Unspecified) => Err(WireError::Missing("role")),
        Err(error) => Err(WireError::malformed("role", error)),
    }
}

const fn encode_step(step: Step) -> v1::Step {
    match step {
        Step::Empty => v1::Step::Empty,
        Step::Stable => v1::Step::Stable,
        Step::ReadOld => v1::Step::ReadOld,
        Step::ReadNew => v1::Step::ReadNew,
    }
}

fn decode_step(step: i32) -> Result<Step, WireError> {
    match v1::Step::try_from(step) {
        Ok(v1::Step::Empty) => Ok(Step::Empty),
        Ok(v1::Step::Stable) => Ok(Step::Stable),
        Ok(v1::Step::ReadOld) => Ok(Step::ReadOld),
        Ok(v1::Step::ReadNew) => Ok(Step::ReadNew),
        Ok(v1::Step::Unspecified) => Err(WireError::Missing("step")),
        Err(error) => Err(WireError::malformed("step", error)),
    }
}

fn parse<T: std::str::FromStr<Err: ToString>>(what: &'static str, text: &str) -> Result<T, WireError> {
    text.parse().map_err(|error: T::Err| WireError::malformed(what, error))
}

fn text(what: &'static str, text: String) -> Result<String, WireError> {
    at_most(what, text.len(), MAX_TEXT).map(|()| text)
}

fn tags(tags: Vec<String>) -> Result<Vec<String>, WireError> {
    at_most("list of tags", tags.len(), MAX_TAGS)?;
    tags.into_iter().map(|tag| text("tag", tag)).collect()
}

fn small(what: &'static str, number: u32) -> Result<u8, WireError> {
    u8::try_from(number).map_err(|error| WireError::malformed(what, error))
}

#[cfg(test)]
pub(crate) mod tests;

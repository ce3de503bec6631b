//! The next layout: a pure function of the record in force, the staged changes and what is known of the nodes.
//!
//! - **L1** A plan never rests on two copies or two voters (`two_nodes_get_one_copy`; [`crate::staged`] refuses both).
//! - **L2** A plan that keeps every replica where it is changes no epoch; any other plan is [`Way::Guarded`], but for
//!   the first layout (`what_moves_nothing_is_direct`).

mod members;
mod preview;
mod voters;

use std::sync::Arc;

use cairn_placement::{AssignError, Layout, LayoutRecord, Ring, RingKind, RingRequest, Step, assign};
use cairn_types::{Epoch, NodeName, OpId, PARTITION_BITS};
use tokio::time::Instant;

use self::members::Members;
pub(crate) use self::members::waiting;
pub(crate) use self::preview::NodePreview;
use crate::nodes::Nodes;
use crate::staged::Change;

/// Why staged changes make no layout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlanError {
    #[error("nothing to apply: no change is staged and no node waits")]
    Nothing,
    #[error("this daemon has not heard of its cluster yet")]
    NoRecord,
    #[error("another change of the layout is under way: try again in a moment")]
    UnderWay,
    #[error("no storage node is called {0}")]
    UnknownNode(NodeName),
    #[error("{0} has no place in the layout")]
    NotPlaced(NodeName),
    #[error("{0} does not say its capacity: set one")]
    NoCapacity(NodeName),
    #[error("no membership daemon is called {0}")]
    UnknownVoter(NodeName),
    #[error("the {0} ring would have no node: a cluster needs a table and a block node at least")]
    EmptyRing(&'static str),
    #[error("the {ring} ring: {source}")]
    Assign {
        ring: &'static str,
        #[source]
        source: AssignError,
    },
}

/// What is to be planned, and from what.
pub(crate) struct Situation<'a> {
    pub(crate) record: &'a LayoutRecord,
    pub(crate) staged: &'a [Change],
    /// Place every waiting node first.
    pub(crate) all_waiting: bool,
    pub(crate) nodes: &'a Nodes,
    pub(crate) now: Instant,
}

/// How a plan comes into force.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// As the next record.
    Direct,
    /// Replicas change places: only while the cluster holds nothing, behind a record that stops all data calls.
    Guarded,
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) way: Way,
    /// The record that ends the change: the next one, or under [`Way::Guarded`] the one after it.
    pub(crate) record: LayoutRecord,
    pub(crate) nodes: Vec<NodePreview>,
    /// What a person should know before saying yes.
    pub(crate) notes: Vec<String>,
}

/// Makes the plan; `op` becomes the record's.
pub(crate) fn plan(situation: &Situation<'_>, op: OpId) -> Result<Plan, PlanError> {
    let base = situation.record;
    let before = match (base.step, base.layouts.as_slice()) {
        _ if base.number == 0 => return Err(PlanError::NoRecord),
        (Step::Empty, []) => None,
        (Step::Stable, [layout]) => Some(layout),
        _ => return Err(PlanError::UnderWay),
    };
    let members = members::after(situation, before.map(AsRef::as_ref))?;
    let copies = Copies::after(situation, before.map(AsRef::as_ref), &members);
    let layout = layout_after(before, &members, copies)?;
    let voters = voters::after(situation)?;
    let same_layout = before.is_some_and(|before| same(before, &layout));
    if same_layout && voters == base.voters {
        return Err(PlanError::Nothing);
    }
    let moves =
        before.is_some_and(|before| !RINGS.iter().all(|(kind, _)| before.ring(*kind).places_as(layout.ring(*kind))));
    let (way, numbers, steps) = match before {
        None => (Way::Direct, 1, 1),
        Some(_) if moves => (Way::Guarded, 2, 2),
        Some(_) => (Way::Direct, 1, 0),
    };
    let layout = match before {
        Some(before) if same_layout => before.clone(),
        _ => Arc::new(layout),
    };
    let mut notes = members.notes;
    notes.extend(preview::notes(&layout, &voters));
    let nodes = preview::nodes(situation.nodes, before.map(AsRef::as_ref), &layout);
    let record = LayoutRecord {
        number: base.number + numbers,
        epoch: Epoch(base.epoch.0 + steps),
        step: Step::Stable,
        layouts: vec![layout],
        voters,
        op,
    };
    Ok(Plan { way, record, nodes, notes })
}

pub(crate) const RINGS: [(RingKind, &str); 2] = [(RingKind::Table, "table"), (RingKind::Block, "block")];

/// Whether nothing but the version differs.
fn same(before: &Layout, after: &Layout) -> bool {
    RINGS.iter().all(|(kind, _)| before.ring(*kind) == after.ring(*kind))
}

/// Copies of everything, and the zones they span; none: as many as there are.
#[derive(Clone, Copy)]
struct Copies {
    replication: u8,
    zone_redundancy: Option<u8>,
}

impl Copies {
    /// What an operator staged; else what is in force, raised from 1 to 3 when nodes come and there are three; for a
    /// first layout 3 from three nodes on, else 1.
    fn after(situation: &Situation<'_>, before: Option<&Layout>, members: &Members) -> Self {
        let staged = situation.staged.iter().find_map(|change| match change {
            Change::Replication { replication, zone_redundancy } => {
                Some(Self { replication: *replication, zone_redundancy: *zone_redundancy })
            }
            Change::Set { .. } | Change::Remove { .. } | Change::Voters { .. } => None,
        });
        let fitting = if members.table.len().min(members.block.len()) < 3 { 1 } else { 3 };
        staged.unwrap_or_else(|| match before {
            None => Self { replication: fitting, zone_redundancy: None },
            Some(layout) => {
                let now = layout.table.replication();
                let raised = now == 1 && members.added && fitting == 3;
                let widest = RINGS.iter().all(|(kind, _)| spans_all_it_can(layout.ring(*kind)));
                let zone_redundancy = (!raised && !widest).then_some(layout.table.zone_redundancy());
                Self { replication: if raised { fitting } else { now }, zone_redundancy }
            }
        })
    }
}

/// Whether a ring spans as many zones as its copies and members allow: then its successor should as well.
fn spans_all_it_can(ring: &Ring) -> bool {
    usize::from(ring.zone_redundancy()) == usize::from(ring.replication()).min(members::zones(ring.members()))
}

fn layout_after(before: Option<&Arc<Layout>>, members: &Members, copies: Copies) -> Result<Layout, PlanError> {
    let ring = |(kind, name): (RingKind, &'static str)| {
        let of_ring = members.of(kind);
        if of_ring.is_empty() {
            return Err(PlanError::EmptyRing(name));
        }
        let previous = before.map(|layout| layout.ring(kind));
        let widest = u8::try_from(members::zones(of_ring)).unwrap_or(u8::MAX).min(copies.replication).max(1);
        let request = RingRequest {
            replication: copies.replication,
            zone_redundancy: copies.zone_redundancy.unwrap_or(widest),
            partition_bits: previous.map_or(PARTITION_BITS, Ring::partition_bits),
            members: of_ring.to_vec(),
        };
        assign(&request, previous).map_err(|source| PlanError::Assign { ring: name, source })
    };
    let [table, block] = RINGS;
    let version = before.map_or(0, |layout| layout.version) + 1;
    Ok(Layout { version, table: ring(table)?, block: ring(block)? })
}

#[cfg(test)]
mod tests;

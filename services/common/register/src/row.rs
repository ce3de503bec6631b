//! What a replica holds for a key, and for a partition (REGISTER §2).

use cairn_types::{Ballot, Epoch, OpId};

use crate::Gate;

/// An accepted row. `value` none is a tombstone.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Row<V> {
    pub accepted: Ballot,
    /// Ballot of the last blind write in the chain that led to this value, or a collection floor.
    pub root: Ballot,
    pub root_is_floor: bool,
    /// Blind rows: ballots in (`lo`, `accepted`) would have been accepted had they come earlier.
    pub lo: Ballot,
    /// Accepted directly from a blind write: neither derived nor re-proposed.
    pub blind: bool,
    pub op: OpId,
    /// Operations applied since `root`, root included, oldest first, at most [`Row::LINEAGE`].
    pub lineage: Vec<OpId>,
    /// Highest ballot dropped from `lineage`; zero: none.
    pub trimmed: Ballot,
    /// Hint: known to be chosen. Never synced.
    pub committed: bool,
    pub value: Option<V>,
}

impl<V> Row<V> {
    /// Ids a row remembers.
    pub const LINEAGE: usize = 16;
}

/// All a replica keeps for one key. A promise may stand without a row.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct KeyState<V> {
    pub promised: Ballot,
    pub row: Option<Row<V>>,
}

/// What a replica keeps for a whole partition, durably.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct PartitionState {
    pub epoch: Epoch,
    /// Highest ballot ever forgotten by collection.
    pub floor: Ballot,
    /// (epoch of joining, 0, 0): a floor for everything but `Learn` (T6). Zero for a founding replica.
    pub joined: Ballot,
    /// Of the bucket the key belongs to; [`Gate::Open`] where there is none.
    pub gate: Gate,
}

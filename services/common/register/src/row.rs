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
    /// Zero where a read settled "no row".
    pub op: OpId,
    /// Operations applied since `root`, root included, oldest first, at most [`Row::LINEAGE`].
    pub lineage: Vec<OpId>,
    /// No operation that fell out of `lineage` was applied above this ballot; zero: none fell out.
    pub trimmed: Ballot,
    /// Becomes `trimmed` when the older half of `lineage` falls out: no operation in that half was applied above
    /// it. Zero where `lineage` is not longer than a half; zero otherwise means "not known", which is safe.
    pub trim_next: Ballot,
    /// Hint: known to be chosen. Never synced.
    pub committed: bool,
    pub value: Option<V>,
}

impl<V> Row<V> {
    /// Ids a row remembers, at most; a full list loses its older half at once.
    pub const LINEAGE: usize = 16;

    /// "No row", as a coordinator takes it (W4): a chain that begins on the highest floor seen.
    #[must_use]
    pub const fn missing(floor: Ballot) -> Self {
        Self {
            accepted: Ballot::ZERO,
            root: floor,
            root_is_floor: true,
            lo: Ballot::ZERO,
            blind: false,
            op: OpId([0; OpId::LEN]),
            lineage: Vec::new(),
            trimmed: Ballot::ZERO,
            trim_next: Ballot::ZERO,
            committed: false,
            value: None,
        }
    }

    /// Whether this is [`Row::missing`].
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        self.accepted.is_zero()
    }
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

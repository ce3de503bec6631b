//! What coordinators and replicas say to each other (REGISTER §3). The epoch and the store id travel beside them.

use cairn_types::{Ballot, OpId};

use crate::Row;
use crate::rules::{Rules, dropped};

/// What a proposer asks a replica to hold; the replica sets `accepted` and `lo`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Proposal<V> {
    pub root: Ballot,
    pub root_is_floor: bool,
    pub blind: bool,
    pub op: OpId,
    pub lineage: Vec<OpId>,
    pub trimmed: Ballot,
    /// See [`Row::trim_next`].
    pub trim_next: Ballot,
    pub value: Option<V>,
}

impl<V: Clone> Proposal<V> {
    /// A blind write under `ballot`: the root of a new chain (W2, W4 b).
    pub(crate) fn blind(ballot: Ballot, op: OpId, value: Option<V>) -> Self {
        Self {
            root: ballot,
            root_is_floor: false,
            blind: true,
            op,
            lineage: vec![op],
            trimmed: Ballot::ZERO,
            trim_next: Ballot::ZERO,
            value,
        }
    }

    /// `op` applied on top of `base` (C4). Keeps the root; the lineage grows by `op`, and where it is full its
    /// older half falls out first, none of which was applied above `trim_next`.
    pub(crate) fn derived(base: &Row<V>, op: OpId, value: Option<V>) -> Self {
        let half = Row::<V>::LINEAGE / 2;
        let mut lineage = base.lineage.clone();
        let (mut trimmed, mut trim_next) = (base.trimmed, base.trim_next);
        if lineage.len() >= Row::<V>::LINEAGE {
            let bound = if trim_next.is_zero() { base.accepted } else { trim_next };
            lineage.drain(..lineage.len() - half);
            trimmed = trimmed.max(bound);
        }
        if lineage.len() == half {
            trim_next = base.accepted;
        }
        lineage.push(op);
        Self {
            root: base.root,
            root_is_floor: base.root_is_floor,
            blind: false,
            op,
            lineage,
            trimmed,
            trim_next,
            value,
        }
    }

    /// The same row under another ballot (§5, re-proposing): value, `op`, `root` and lineage stay.
    pub(crate) fn again(rules: Rules, row: &Row<V>) -> Self {
        let lineage = if dropped!(rules, LineageLost) { Vec::new() } else { row.lineage.clone() };
        Self { blind: false, lineage, ..Self::written_back(row) }
    }

    /// The very row, for replicas that lack it (G4).
    pub(crate) fn written_back(row: &Row<V>) -> Self {
        Self {
            root: row.root,
            root_is_floor: row.root_is_floor,
            blind: row.blind,
            op: row.op,
            lineage: row.lineage.clone(),
            trimmed: row.trimmed,
            trim_next: row.trim_next,
            value: row.value.clone(),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Message<V> {
    /// Reads durable state.
    Query,
    Prepare {
        ballot: Ballot,
    },
    /// `new_value` is false for a re-proposal, which a bucket's gate lets pass.
    Accept {
        ballot: Ballot,
        proposal: Proposal<V>,
        new_value: bool,
    },
    WriteBack {
        ballot: Ballot,
        proposal: Proposal<V>,
    },
    /// Hint that `ballot` is chosen; not synced.
    Commit {
        ballot: Ballot,
    },
    /// A settled row of another replica.
    Learn {
        row: Row<V>,
    },
    /// An unsettled row of another replica, of the current epoch.
    Redeliver {
        row: Row<V>,
    },
    /// T4: drop the tombstone if promised = accepted = `ballot` still; the floor rises to it. T7: the same for a
    /// promise without a row.
    GcDrop {
        ballot: Ballot,
    },
}

/// The state of a bucket's gate, as a replica has accepted it (REGISTER §12).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Gate {
    #[default]
    Open,
    /// Closing, with the gate's number.
    Closing(u64),
    Sealed,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    Ack,
    /// An acknowledgement by A5.3: the blind row counts as delivered before the one now held.
    Absorbed,
    Nack,
    ClockSkew,
    Sealed,
    /// This replica does not hold the key's partition; counts as lost.
    NotHere,
}

/// A replica's answer. `Stale` and `wrong_store` are errors of the call, not replies.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Reply<V> {
    pub verdict: Verdict,
    /// After the message was judged. A missing row counts as promised up to the floor.
    pub promised: Ballot,
    pub floor: Ballot,
    pub joined: Ballot,
    pub gate: Gate,
    /// With Query, and with Prepare that is acknowledged: the row, whole. Else absent.
    pub row: Option<Row<V>>,
    /// With Query on an object: the usage of its (bucket, shard) at this replica; the table fills it in.
    pub usage: Usage,
}

/// Objects and bytes of one (bucket, shard) at one replica.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Usage {
    pub objects: u64,
    pub bytes: u64,
}

impl Usage {
    /// The larger of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { objects: self.objects.max(other.objects), bytes: self.bytes.max(other.bytes) }
    }
}

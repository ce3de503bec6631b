//! What coordinators and replicas say to each other (REGISTER §3). The epoch and the store id travel beside them.

use cairn_types::{Ballot, OpId};

use crate::Row;

/// What a proposer asks a replica to hold; the replica sets `accepted` and `lo`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Proposal<V> {
    pub root: Ballot,
    pub root_is_floor: bool,
    pub blind: bool,
    pub op: OpId,
    pub lineage: Vec<OpId>,
    pub trimmed: Ballot,
    pub value: Option<V>,
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
    /// T4: drop the tombstone if promised = accepted = `ballot` still; the floor rises to it.
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
    pub promised: Ballot,
    pub floor: Ballot,
    pub joined: Ballot,
    pub gate: Gate,
    /// With Query and Prepare: the row, whole. With other messages: absent.
    pub row: Option<Row<V>>,
    /// With Query on an object: the usage of its (bucket, shard) at this replica.
    pub usage: Usage,
}

/// Objects and bytes of one (bucket, shard) at one replica.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Usage {
    pub objects: u64,
    pub bytes: u64,
}

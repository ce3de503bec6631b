//! One operation, from its first message to its outcome (REGISTER §5, §12), as a state machine without I/O.
//!
//! A driver makes a [`Write`], [`Cas`], [`Read`], [`Complete`] or [`Collect`], calls [`Coordinator::start`], carries out
//! the [`Action`]s it gets, and reports what happens as [`Event`]s, until [`Action::Done`]. Everything else is decided
//! here. What the driver owes:
//!
//! - [`Action::Send`]: send `message`, with the operation's epoch, to `targets`, and report each reply, or `Lost`, under
//!   the same `round`. A Query may go to some of the targets first and to the others when those are slow.
//! - A reply `Stale` brings a newer view: report [`Event::Epoch`] with its quorums, once; without a newer view, `Lost`.
//! - A round that takes longer than usual: [`Event::Patience`]. The end of the operation's time: [`Event::Deadline`].
//! - Coordinators hold no durable state: one may be dropped at any moment, and its operation stays open.
//!
//! | outcome | means | S3 answer (§7) |
//! |---|---|---|
//! | `Ok` | applied, or read | 2xx |
//! | [`CasFailure::Refused`] | settled that the condition does not hold, and not applied | 412 |
//! | [`Failure::Contended`] | nothing was sent; others kept coming between | 409 |
//! | [`Failure::Gone`] | nothing was sent; the bucket is sealed | 404 `NoSuchBucket` |
//! | [`Failure::NoQuorum`], [`Failure::Skewed`], [`Failure::Late`] | nothing was sent | 503 (late: 400 `RequestTimeout`) |
//! | [`Failure::Unknown`] | a value was sent, and may be applied, now or later | 500, `x-cairn-outcome: unknown` |

mod cas;
mod collect;
mod complete;
mod engine;
mod operation;
mod read;
mod write;

pub use cas::{Applied, Cas, CasFailure, Change};
pub use collect::{Collect, Collected};
pub use complete::{Base, Complete, Completed};
pub use engine::Coordinator;
pub use operation::{Next, Operation, Seen};
pub use read::{Found, Read};
pub use write::{Blind, Write, Written};

use cairn_placement::Quorums;
use cairn_types::StoreId;

use crate::{Gate, Message, Reply};

/// Ballots an operation tries before it gives up (k of W5); the driver's deadline usually comes first.
pub const TRIES: u32 = 32;

/// How long after its operation began a ballot may be made (B2), in milliseconds.
pub const LATEST_MS: u64 = 24 * 60 * 60 * 1000;

/// What the driver is to do, in this order.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Action<V, T> {
    /// Send, and report replies under `round`.
    Send { round: u32, targets: Vec<StoreId>, message: Message<V> },
    /// Send when convenient; nobody waits for the replies.
    Tell { targets: Vec<StoreId>, message: Message<V> },
    /// Wait for a random time below a bound that doubles with `attempt` (1, 2 …), then report [`Event::Resume`].
    Backoff { attempt: u32 },
    /// Read the key's gate, settled, and report [`Event::Gate`]. One that is closing for 1 s has a dead deleter: CAS it
    /// open again first.
    ReadGate,
    /// The end; nothing more is to be reported.
    Done(T),
}

/// What happened.
#[allow(clippy::large_enum_variant, reason = "nearly every event is a reply, and none is kept")]
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Event<V> {
    Reply {
        round: u32,
        store: StoreId,
        reply: Reply<V>,
    },
    /// No reply will come: unreachable, timed out, `Unavailable`, `wrong_store`, or `Stale` without a newer view.
    Lost {
        round: u32,
        store: StoreId,
    },
    /// The round takes longer than it should.
    Patience {
        round: u32,
    },
    /// The back-off is over.
    Resume,
    /// The gate, settled.
    Gate(Gate),
    /// There is a newer epoch (E2).
    Epoch(Quorums),
    /// The operation's time is over.
    Deadline,
}

/// Why an operation ended without its result.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Failure {
    #[error("no majority of replicas answered")]
    NoQuorum,
    #[error("other operations on the key kept coming between")]
    Contended,
    #[error("a replica's clock or a ballot is too far ahead of this clock")]
    Skewed,
    #[error("the operation is older than ballots may be")]
    Late,
    #[error("the bucket is deleted")]
    Gone,
    #[error("the outcome is unknown: a value was sent")]
    Unknown,
}

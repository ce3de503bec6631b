//! The replication protocol of one key (REGISTER.md), without I/O, clock or chance.
//!
//! [`replica::judge`] is what a replica does with a message; the coordinators ([`Write`], [`Cas`], [`Read`],
//! [`Complete`], [`Collect`]) turn one operation into messages, and replies into an outcome. `V` is the value: small
//! integers in models, byte-backed envelopes in the product. Absent = tombstone or no row.

mod ballots;
pub mod coordinator;
mod message;
pub mod replica;
mod row;
mod rules;
pub mod voters;
mod votes;

pub use ballots::{Now, Proposer};
pub use coordinator::{
    Action, Applied, Base, Cas, CasFailure, Change, Collect, Collected, Complete, Completed, Event, Failure, Found,
    Read, Write, Written,
};
pub use message::{Gate, Message, Proposal, Reply, Usage, Verdict};
pub use row::{KeyState, PartitionState, Row};
#[cfg(feature = "mutations")]
pub use rules::Mutation;

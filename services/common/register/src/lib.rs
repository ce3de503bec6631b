//! The replication protocol of one key (REGISTER.md), without I/O, clock or chance.
//!
//! [`replica::judge`] is what a replica does with a message; the coordinators ([`Write`], [`Cas`], [`Read`],
//! [`Complete`], [`Collect`]) turn one operation into messages, and replies into an outcome. `V` is the value: small
//! integers in models, byte-backed envelopes in the product. Absent = tombstone or no row. [`voters`] is rule E1.
//!
//! Promised: histories of one key are linearizable whatever messages are lost, late, repeated or reordered, whichever
//! coordinators stop, whatever clocks show, as long as replicas keep what they synced. Not promised: progress without a
//! majority, or while others keep coming between. ADR 7 lists where this is more exact than REGISTER.md.
//!
//! # How it is checked
//! - `cargo test --release -p cairn-register`, about a minute: properties of `judge`, outcomes, and in `tests/protocol`
//!   this very code with every message a choice: seeded walks (3 and 5 replicas, losses, duplicates, partitions, crashes
//!   that lose what was not synced, wrong clocks, stopped coordinators, frozen proposals, collection, gates, completions,
//!   layout changes), counterexamples played by hand, and stateright. Histories go to `cairn_testkit::linear`.
//! - `CAIRN_FULL=1 cargo test --release -p cairn-register`: further, about an hour.
//! - `SEED=451 FAMILY=Layout cargo test --release -p cairn-register --test protocol random_walks`: one walk again.
//! - The feature `mutations` lets a test drop one rule at run time (`Mutation`); each is caught, and
//!   `tests/protocol/mutations.rs` says by which checker. Builds without it hold no trace of it.

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

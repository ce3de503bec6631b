//! The replication protocol of one key (REGISTER.md), without I/O, clock or chance.
//!
//! `replica` judges messages; coordinators turn one operation into messages and replies into an outcome. `V` is
//! the value: small integers in models, byte-backed envelopes in the product. Absent = tombstone or no row.

mod message;
mod row;

pub use message::{Gate, Message, Proposal, Reply, Usage, Verdict};
pub use row::{KeyState, PartitionState, Row};

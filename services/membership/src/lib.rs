//! The membership daemon: who is in the cluster, who is alive, and the layout (DESIGN §1–§3).
//!
//! Promises: there is one layout record for each number, whoever applies what and wherever (REGISTER E1); what a voter
//! promised is on its disk before anybody hears of it; a join token works once. Owns the state file of its directory:
//! votes, the newest chosen record, staged changes, token serials, and the records of nodes. Does not see a row or a
//! block, and no data request ever waits for it.
//!
//! Liveness is for people and for choosing defaults; nothing that must be right depends on it, or on a clock.

mod apply;
mod config;
mod disk;
mod exchange;
#[cfg(test)]
mod fuzz;
mod grpc;
mod keeper;
mod liveness;
mod membership;
mod nodes;
mod peers;
mod plan;
mod publish;
mod server;
mod staged;
#[cfg(test)]
mod testing;
mod token;
mod votes;
mod wire;

pub use config::{Config, ServerConfig};
pub use disk::DiskError;
pub use membership::{Membership, OpenError, Parts, Prepared, prepare};
pub use server::Server;
pub use token::{JoinError, Joined, TokenError, join};

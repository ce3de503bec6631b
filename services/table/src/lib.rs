//! The metadata table: rows as registers on one database.
//!
//! It promises that every answer rests on what is on stable storage (REGISTER D1), that nothing is judged under an
//! epoch that is not (E2), and that rows are kept, judged and listed by bytes alone: it knows no S3, only the
//! envelope {owner, refs, weight, value} and the gate of a bucket's shard. It does not coordinate: callers do
//! (`cairn-quorum`). It owns one RocksDB database, whose layout is in `keys`.
//!
//! In reading order: [`Table`] is the store that others hold; `round` judges and `writer` makes durable; `rows`,
//! `range` and `shard` read; `standing` and `identity` are what a store knows of itself; `grpc` is the wire.

mod config;
#[cfg(test)]
mod fuzz;
mod grpc;
mod hints;
mod identity;
mod keys;
mod pace;
mod range;
mod recount;
mod room;
mod round;
mod rows;
mod server;
mod shard;
mod standing;
mod table;
mod writer;

pub use config::{Config, ServerConfig};
pub use identity::IdentityError;
pub use server::Server;
pub use table::{OpenError, Parts, Progress, Table};

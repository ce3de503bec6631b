//! The block store: immutable blocks on disks, and who references them.
//!
//! It promises that what it acknowledged is on stable storage, that it serves only bytes that match their CRC-32C, and
//! that a referenced block stays. It does not hash what arrives, nor repair what is damaged: the scrub and its peers
//! do. It owns its data directories (segments, see `segment`) and its index (RocksDB, see `index`), which a scan of
//! the segments rebuilds.
//!
//! In reading order: [`Block`] is the store that others hold; `blocks` decides; `writer` and `segment` keep the bytes,
//! `index` knows where; `recover` runs at start, `gc` behind; `grpc` and `session` are the wire.

mod block;
mod blocks;
mod config;
mod directory;
mod fence;
#[cfg(test)]
mod fuzz;
mod gc;
mod grpc;
mod index;
mod locks;
mod pages;
pub mod pieces;
mod recover;
mod reference;
mod segment;
mod server;
mod session;
mod writer;

pub use block::{Block, DirectoryStatus, Parts};
pub use config::{Config, ServerConfig};
pub use directory::OpenError;
pub use gc::Collected;
pub use recover::Recovered;
pub use server::Server;

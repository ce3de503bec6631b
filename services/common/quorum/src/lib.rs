//! Drives register coordinators and block writes against real replicas.

mod remote;
mod replica;
pub mod wire;

pub use remote::{RemoteBlock, RemoteTable};
pub use replica::{
    BlockBody, BlockReplica, BlockStat, PutBlock, Range, RangePrefix, RangeReply, RangeRow, Reference, RegisterReplies,
    TableReplica,
};

//! Drives register coordinators and block writes against real replicas.

mod replica;

pub use replica::{
    BlockBody, BlockReplica, BlockStat, PutBlock, Range, RangePrefix, RangeReply, RangeRow, Reference, RegisterReplies,
    TableReplica,
};

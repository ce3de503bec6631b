//! Drives register coordinators and block writes against real replicas.
//!
//! [`Cluster`] is what gateways and daemons hold: it runs operations on rows ([`Cluster::read`], [`Cluster::write`],
//! [`Cluster::update`], [`Cluster::list`] …) and on blocks ([`Cluster::put_block`], [`Cluster::get_block`] …). The rules
//! are those of `cairn_register`; here is only when to ask whom: a majority first where a majority suffices, others
//! when those are slow, nobody for longer than an operation's deadline.
//!
//! It promises what REGISTER.md promises: each key is linearizable, a success is durable on a majority, an operation is
//! applied at most once, and [`OpError`] says whether a failure may have been applied. It keeps nothing on disk.

mod blocks;
mod call;
mod cluster;
mod drive;
mod gate;
mod health;
mod hints;
mod list;
mod op;
mod remote;
mod replica;
mod routes;
mod rows;
mod tail;
mod tally;
mod traffic;
pub mod wire;

pub use cairn_register::{Applied, Base, Completed, Found, Usage, Written};

pub use cluster::{Cluster, ClusterParts};
pub use gate::Sealing;
pub use list::{ListEntry, ListRequest, Listing};
pub use op::{Op, OpError};
pub use remote::{RemoteBlock, RemoteTable};
pub use replica::{
    BlockBody, BlockReplica, BlockStat, PutBlock, Range, RangePrefix, RangeReply, RangeRow, Recount, Reference,
    RegisterReplies, TableReplica,
};
pub use routes::Dial;
pub use rows::{PendingWrite, Settled, UpdateError};
pub use traffic::Traffic;

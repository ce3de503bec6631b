//! A replica as callers see it: the same trait stands before a daemon in this process and one across the network.

use async_trait::async_trait;
use bytes::Bytes;
use cairn_model::Envelope;
use cairn_register::{Gate, Message, Reply, Row, Usage};
use cairn_rpc::{CallContext, CallError};
use cairn_types::{Ballot, BlockHash, BucketId, Epoch, ManifestId, RowKey, StoreId, Table, UploadId};
use futures_util::stream::BoxStream;

/// Replies to a batch of register messages, in its order.
#[derive(Debug)]
pub struct RegisterReplies {
    /// Who answered; quorums count distinct stores.
    pub store: StoreId,
    pub epoch: Epoch,
    pub replies: Vec<Reply<Envelope>>,
}

/// Rows of one partition key in the order of their sort keys, tombstones included.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Range {
    pub table: Table,
    pub partition_key: Bytes,
    /// Only sort keys that begin with it.
    pub prefix: Bytes,
    /// Where to begin, inclusive; empty: at the prefix.
    pub start: Bytes,
    /// Rows and prefixes together, 1 to 10,000.
    pub limit: usize,
    /// Keys that hold it after the prefix are folded into one common prefix each; empty: no folding.
    ///
    /// A group's first live key is its witness, and what follows it is skipped. Tombstones before the witness, and all
    /// those of a group without a live key here, are rows like others: a tombstone that is not settled may hide a live
    /// key at another replica.
    pub delimiter: Bytes,
    /// Send [`Envelope::data`] too.
    pub with_data: bool,
}

#[derive(Debug)]
pub struct RangeRow {
    pub sort_key: Bytes,
    pub row: Row<Envelope>,
}

/// Keys folded under one common prefix, with the first live key among them.
#[derive(Debug)]
pub struct RangePrefix {
    pub prefix: Bytes,
    pub witness_key: Bytes,
    /// Without its data.
    pub witness: Row<Envelope>,
}

#[derive(Debug)]
pub struct RangeReply {
    pub store: StoreId,
    pub epoch: Epoch,
    pub rows: Vec<RangeRow>,
    pub prefixes: Vec<RangePrefix>,
    /// All up to and including this sort key was scanned; none: the whole range was. Where it begins with the last of
    /// `prefixes`, all keys under that prefix were.
    pub scanned_to: Option<Bytes>,
    pub floor: Ballot,
    pub joined: Ballot,
    pub gate: Gate,
}

/// What a replica's usage of a (bucket, shard) said, and what it should have said then.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Recount {
    pub before: Usage,
    pub counted: Usage,
}

/// A store of rows that judges register messages (REGISTER §4) and answers only with what is durable.
#[async_trait]
pub trait TableReplica: Send + Sync + 'static {
    fn store(&self) -> StoreId;
    /// At most 1,000 messages; each is judged on its own, and those of one key in their order.
    async fn register(
        &self,
        context: &CallContext,
        batch: Vec<(RowKey, Message<Envelope>)>,
    ) -> Result<RegisterReplies, CallError>;
    async fn range(&self, context: &CallContext, range: Range) -> Result<RangeReply, CallError>;
    /// Counts the live objects under `partition_key` as they are here, and puts the usage right by the difference, so
    /// that what is written meanwhile counts as always.
    async fn recount(&self, context: &CallContext, partition_key: Bytes) -> Result<Recount, CallError>;
}

/// Who keeps a block (DESIGN §6).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reference {
    pub manifest: ManifestId,
    pub bucket: BucketId,
    /// Object key, at most 1,024 bytes.
    pub key: Bytes,
    pub upload: Option<UploadId>,
    /// When the request began, in milliseconds since 1970.
    pub written_at_ms: u64,
    pub epoch: Epoch,
}

/// One block to store, with one reference to it.
#[derive(Clone, Debug)]
pub struct PutBlock {
    pub hash: BlockHash,
    /// CRC-32C of each 256 KiB piece of the data.
    pub crc32c: Vec<u32>,
    pub reference: Reference,
    /// The block, in pieces of any size; 1 byte to the cluster's block size in all.
    pub data: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlockStat {
    pub hash: BlockHash,
    /// None: not here.
    pub size: Option<u32>,
    pub references: Vec<Reference>,
}

/// A block being read: its whole size, and the pieces asked for, each verified before it is yielded.
pub struct BlockBody {
    pub size: u32,
    pub pieces: BoxStream<'static, Result<Bytes, CallError>>,
}

/// A store of immutable blocks and their references.
#[async_trait]
pub trait BlockReplica: Send + Sync + 'static {
    fn store(&self) -> StoreId;
    /// Durable on return, block and reference. True: the block was here already.
    async fn put(&self, context: &CallContext, block: PutBlock) -> Result<bool, CallError>;
    /// `length` 0 reads to the end. [`CallError::NotFound`] when the block is not here.
    async fn get(
        &self,
        context: &CallContext,
        hash: BlockHash,
        offset: u32,
        length: u32,
    ) -> Result<BlockBody, CallError>;
    /// Durable on return; answers the blocks that are not here. At most 1,000.
    async fn add_references(
        &self,
        context: &CallContext,
        references: Vec<(BlockHash, Reference)>,
    ) -> Result<Vec<BlockHash>, CallError>;
    /// Durable on return; what is not there is not an error. At most 1,000.
    async fn drop_references(
        &self,
        context: &CallContext,
        references: Vec<(BlockHash, ManifestId)>,
    ) -> Result<(), CallError>;
    /// At most 1,000.
    async fn stat(
        &self,
        context: &CallContext,
        hashes: Vec<BlockHash>,
        with_references: bool,
    ) -> Result<Vec<BlockStat>, CallError>;
}

//! Replicas in other processes: the traits of [`crate::replica`] over a peer's sessions (DESIGN §4).
//!
//! Register calls, ranges and references take the control session; blocks take the bulk ones.
//! Dropping a call tells the peer that nobody waits; what reached it may still be done.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_model::Envelope;
use cairn_model::wire::{WireError, decode_bytes, decode_id, decode_register_response, encode_register_request};
use cairn_proto::{block, table};
use cairn_register::{Message, Usage};
use cairn_rpc::{CallContext, CallError, Lane, Peer, PeerReply};
use cairn_types::{BlockHash, ManifestId, RowKey, StoreId};
use prost::Message as _;

use crate::wire::{
    PutHead, decode_hashes, decode_range_reply, decode_stats, encode_add_request, encode_drop_request,
    encode_get_request, encode_put_head, encode_range, encode_stat_request,
};
use crate::{
    BlockBody, BlockReplica, BlockStat, PutBlock, Range, RangeReply, Recount, Reference, RegisterReplies, TableReplica,
};

/// A table in another process.
pub struct RemoteTable(Arc<Peer>);

impl RemoteTable {
    /// Speaks to the table at `peer`, which was opened for `PeerService::Table`.
    #[must_use]
    pub const fn new(peer: Arc<Peer>) -> Self {
        Self(peer)
    }

    async fn call(&self, context: &CallContext, method: table::v1::Method, head: Bytes) -> Result<Bytes, CallError> {
        let reply = self.0.call(Lane::Control, context, method_number(method.into()), head, Vec::new()).await?;
        Ok(reply.head)
    }
}

#[async_trait]
impl TableReplica for RemoteTable {
    fn store(&self) -> StoreId {
        self.0.store()
    }

    async fn register(
        &self,
        context: &CallContext,
        batch: Vec<(RowKey, Message<Envelope>)>,
    ) -> Result<RegisterReplies, CallError> {
        let head = encode_register_request(&batch).encode_to_vec().into();
        let expected = batch.len();
        drop(batch);
        let reply = self.call(context, table::v1::Method::Register, head).await?;
        let response = decode_bytes("register response", reply).map_err(damaged)?;
        let (store, epoch, replies) = decode_register_response(response, expected).map_err(damaged)?;
        same_store(store, self.store())?;
        Ok(RegisterReplies { store, epoch, replies })
    }

    async fn range(&self, context: &CallContext, range: Range) -> Result<RangeReply, CallError> {
        let head = encode_range(&range).encode_to_vec().into();
        let reply = self.call(context, table::v1::Method::Range, head).await?;
        let reply = decode_bytes("range response", reply).and_then(decode_range_reply).map_err(damaged)?;
        same_store(reply.store, self.store())?;
        Ok(reply)
    }

    async fn recount(&self, context: &CallContext, partition_key: Bytes) -> Result<Recount, CallError> {
        let request = table::v1::RecountUsageRequest { header: None, partition_key };
        let reply = self.call(context, table::v1::Method::RecountUsage, request.encode_to_vec().into()).await?;
        let reply: table::v1::RecountUsageResponse = decode_bytes("recount response", reply).map_err(damaged)?;
        same_store(decode_id("store id", &reply.store_id).map_err(damaged)?, self.store())?;
        Ok(Recount {
            before: Usage { objects: reply.objects_before, bytes: reply.bytes_before },
            counted: Usage { objects: reply.objects, bytes: reply.bytes },
        })
    }
}

/// A block store in another process.
pub struct RemoteBlock(Arc<Peer>);

impl RemoteBlock {
    /// Speaks to the block store at `peer`, which was opened for `PeerService::Block`.
    #[must_use]
    pub const fn new(peer: Arc<Peer>) -> Self {
        Self(peer)
    }

    async fn call(
        &self,
        lane: Lane,
        context: &CallContext,
        method: block::v1::Method,
        head: &impl prost::Message,
        body: Vec<Bytes>,
    ) -> Result<PeerReply, CallError> {
        self.0.call(lane, context, method_number(method.into()), head.encode_to_vec().into(), body).await
    }

    /// A control call; answers the decoded reply.
    async fn ask<R: prost::Message + Default>(
        &self,
        context: &CallContext,
        method: block::v1::Method,
        head: &impl prost::Message,
    ) -> Result<R, CallError> {
        let reply = self.call(Lane::Control, context, method, head, Vec::new()).await?;
        decode_bytes("response", reply.head).map_err(damaged)
    }

    fn check(&self, store: &Bytes) -> Result<(), CallError> {
        same_store(decode_id("store id", store).map_err(damaged)?, self.store())
    }
}

#[async_trait]
impl BlockReplica for RemoteBlock {
    fn store(&self) -> StoreId {
        self.0.store()
    }

    async fn put(&self, context: &CallContext, block: PutBlock) -> Result<bool, CallError> {
        let size = block.data.iter().map(Bytes::len).sum();
        let head = PutHead { hash: block.hash, size, crc32c: block.crc32c, reference: block.reference };
        let head = encode_put_head(&head);
        let reply = self.call(Lane::Bulk, context, block::v1::Method::PutBlock, &head, block.data).await?;
        let response: block::v1::PutBlockResponse = decode_bytes("response", reply.head).map_err(damaged)?;
        self.check(&response.store_id)?;
        Ok(response.existed)
    }

    async fn get(
        &self,
        context: &CallContext,
        hash: BlockHash,
        offset: u32,
        length: u32,
    ) -> Result<BlockBody, CallError> {
        let request = encode_get_request(hash, offset, length);
        let reply = self.call(Lane::Bulk, context, block::v1::Method::GetBlock, &request, Vec::new()).await?;
        let head: block::v1::GetBlockHead = decode_bytes("response", reply.head).map_err(damaged)?;
        Ok(BlockBody { size: head.size, pieces: reply.body })
    }

    async fn add_references(
        &self,
        context: &CallContext,
        references: Vec<(BlockHash, Reference)>,
    ) -> Result<Vec<BlockHash>, CallError> {
        let request = encode_add_request(&references);
        let response: block::v1::AddReferencesResponse =
            self.ask(context, block::v1::Method::AddReferences, &request).await?;
        self.check(&response.store_id)?;
        decode_hashes(&response.missing).map_err(damaged)
    }

    async fn drop_references(
        &self,
        context: &CallContext,
        references: Vec<(BlockHash, ManifestId)>,
    ) -> Result<(), CallError> {
        let request = encode_drop_request(&references);
        let response: block::v1::DropReferencesResponse =
            self.ask(context, block::v1::Method::DropReferences, &request).await?;
        self.check(&response.store_id)
    }

    async fn stat(
        &self,
        context: &CallContext,
        hashes: Vec<BlockHash>,
        with_references: bool,
    ) -> Result<Vec<BlockStat>, CallError> {
        let request = encode_stat_request(&hashes, with_references);
        let response: block::v1::StatBlocksResponse =
            self.ask(context, block::v1::Method::StatBlocks, &request).await?;
        self.check(&response.store_id)?;
        decode_stats(response.blocks).map_err(damaged)
    }
}

fn method_number(method: i32) -> u32 {
    method.unsigned_abs()
}

/// A reply that cannot be read: what the call did is unknown.
fn damaged(error: WireError) -> CallError {
    CallError::Internal(format!("the peer's answer cannot be read: {error}"))
}

fn same_store(actual: StoreId, expected: StoreId) -> Result<(), CallError> {
    if actual == expected { Ok(()) } else { Err(CallError::WrongStore { actual }) }
}

//! The calls of `cairn.block.v1` inside a session.

use async_trait::async_trait;
use bytes::Bytes;
use cairn_model::wire::{WireError, decode_bytes};
use cairn_proto::block::v1::{self, Method};
use cairn_quorum::wire::{
    decode_add_request, decode_drop_request, decode_get_request, decode_put_head, decode_stat_request, encode_hashes,
    encode_stats,
};
use cairn_quorum::{BlockReplica, PutBlock};
use cairn_rpc::{CallContext, CallError, SessionReply, SessionRequest, SessionService};
use cairn_types::{ClusterId, Epoch, StoreId};
use futures_util::TryStreamExt as _;
use prost::Message;

use crate::Block;

#[async_trait]
impl SessionService for Block {
    fn store(&self) -> StoreId {
        self.blocks.store
    }

    fn cluster(&self) -> ClusterId {
        Block::cluster(self)
    }

    fn epoch(&self) -> Epoch {
        Block::epoch(self)
    }

    async fn call(&self, request: SessionRequest) -> Result<SessionReply, CallError> {
        let SessionRequest { context, method, head, body } = request;
        let method = i32::try_from(method).ok().and_then(|method| Method::try_from(method).ok());
        match method.unwrap_or(Method::Unspecified) {
            Method::PutBlock => {
                let head = decode("put", head)?;
                let data = body.try_collect().await?;
                reply(&self.answer_put(&context, head, data).await?)
            }
            Method::GetBlock => {
                let request: v1::GetBlockRequest = decode("get", head)?;
                let (hash, offset, length) = decode_get_request(&request).map_err(invalid)?;
                let block = self.get(&context, hash, offset, length).await?;
                let head = v1::GetBlockHead { size: block.size }.encode_to_vec().into();
                Ok(SessionReply { head, body: Some(block.pieces) })
            }
            Method::AddReferences => reply(&self.answer_add(&context, decode("add", head)?).await?),
            Method::DropReferences => reply(&self.answer_drop(&context, decode("drop", head)?).await?),
            Method::StatBlocks => reply(&self.answer_stat(&context, &decode("stat", head)?).await?),
            Method::Unspecified => Err(CallError::Unimplemented("no such call in cairn.block.v1".to_owned())),
        }
    }
}

/// Decodes, calls, encodes: what sessions and unary calls share.
impl Block {
    pub(crate) async fn answer_put(
        &self,
        context: &CallContext,
        head: v1::PutBlockHead,
        data: Vec<Bytes>,
    ) -> Result<v1::PutBlockResponse, CallError> {
        let head = decode_put_head(head).map_err(invalid)?;
        let size: usize = data.iter().map(Bytes::len).sum();
        if size != head.size {
            return Err(CallError::Invalid(format!("{size} bytes came for a block of {}", head.size)));
        }
        let block = PutBlock { hash: head.hash, crc32c: head.crc32c, reference: head.reference, data };
        let existed = self.put(context, block).await?;
        Ok(v1::PutBlockResponse { store_id: self.blocks.store.to_bytes(), existed })
    }

    pub(crate) async fn answer_add(
        &self,
        context: &CallContext,
        request: v1::AddReferencesRequest,
    ) -> Result<v1::AddReferencesResponse, CallError> {
        let references = decode_add_request(request).map_err(invalid)?;
        let missing = self.add_references(context, references).await?;
        Ok(v1::AddReferencesResponse { store_id: self.blocks.store.to_bytes(), missing: encode_hashes(&missing) })
    }

    pub(crate) async fn answer_drop(
        &self,
        context: &CallContext,
        request: v1::DropReferencesRequest,
    ) -> Result<v1::DropReferencesResponse, CallError> {
        let references = decode_drop_request(request).map_err(invalid)?;
        self.drop_references(context, references).await?;
        Ok(v1::DropReferencesResponse { store_id: self.blocks.store.to_bytes() })
    }

    pub(crate) async fn answer_stat(
        &self,
        context: &CallContext,
        request: &v1::StatBlocksRequest,
    ) -> Result<v1::StatBlocksResponse, CallError> {
        let (hashes, with_references) = decode_stat_request(request).map_err(invalid)?;
        let blocks = encode_stats(&self.stat(context, hashes, with_references).await?);
        Ok(v1::StatBlocksResponse { store_id: self.blocks.store.to_bytes(), blocks })
    }
}

fn decode<M: Message + Default>(what: &'static str, head: Bytes) -> Result<M, CallError> {
    decode_bytes(what, head).map_err(invalid)
}

fn reply(message: &impl Message) -> Result<SessionReply, CallError> {
    Ok(SessionReply::head(message.encode_to_vec().into()))
}

pub(crate) fn invalid(error: WireError) -> CallError {
    CallError::Invalid(error.to_string())
}

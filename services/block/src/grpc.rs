//! `cairn.block.v1.BlockService`: the session, and the same calls outside one for grpcurl, tests and strangers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_model::wire::decode_id;
use cairn_proto::block::v1::block_service_server::{BlockService, BlockServiceServer};
use cairn_proto::block::v1::{self, DirectoryInfo};
use cairn_proto::common::v1::{Frame, RequestHeader};
use cairn_quorum::BlockReplica;
use cairn_quorum::wire::{decode_get_request, decode_list_request, encode_reference};
use cairn_rpc::limits::MAX_MESSAGE_BYTES;
use cairn_rpc::{CallContext, CallError, serve_session};
use cairn_types::{Epoch, RequestId};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use tokio::time::Instant;
use tonic::{Request, Response, Status, Streaming};

use crate::Block;
use crate::session::invalid;

/// What a call outside a session may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The gRPC face of a [`Block`].
pub(crate) struct Service(Arc<Block>);

impl Service {
    pub(crate) fn server(block: Arc<Block>) -> BlockServiceServer<Self> {
        BlockServiceServer::new(Self(block)).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The context of a call outside a session. Epoch 0 is refused by the calls that change something.
    fn context(&self, header: Option<RequestHeader>) -> Result<CallContext, CallError> {
        let header = header.ok_or_else(|| CallError::Invalid("the request header is missing".to_owned()))?;
        let request = if header.request_id.is_empty() {
            RequestId::random(&*self.0.blocks.entropy)
        } else {
            decode_id("request id", &header.request_id).map_err(invalid)?
        };
        Ok(CallContext {
            store: decode_id("store id", &header.store_id).map_err(invalid)?,
            epoch: Epoch(header.epoch),
            request,
            deadline: Instant::now() + PATIENCE,
            view: None,
        })
    }

    /// The head and the data of a put, no more of it than the head announces.
    async fn receive(mut inbound: Streaming<v1::PutBlockRequest>) -> Result<(v1::PutBlockHead, Vec<Bytes>), Status> {
        let missing = || CallError::Invalid("the first message holds the head".to_owned());
        let first = inbound.message().await?.ok_or_else(missing)?;
        let head = first.head.ok_or_else(missing)?;
        let size = usize::try_from(head.size).unwrap_or(usize::MAX).min(cairn_quorum::wire::MAX_BLOCK);
        let mut room = size;
        let mut data = Vec::new();
        let mut next = Some(first.data);
        while let Some(part) = next {
            room = room
                .checked_sub(part.len())
                .ok_or_else(|| CallError::Invalid(format!("more than the {size} bytes that were announced")))?;
            if !part.is_empty() {
                data.push(part);
            }
            next = inbound.message().await?.map(|message| message.data);
        }
        Ok((head, data))
    }
}

#[tonic::async_trait]
impl BlockService for Service {
    type SessionStream = BoxStream<'static, Result<Frame, Status>>;
    type GetBlockStream = BoxStream<'static, Result<v1::GetBlockResponse, Status>>;

    async fn session(&self, request: Request<Streaming<Frame>>) -> Result<Response<Self::SessionStream>, Status> {
        Ok(Response::new(serve_session(self.0.clone(), request)))
    }

    async fn put_block(
        &self,
        request: Request<Streaming<v1::PutBlockRequest>>,
    ) -> Result<Response<v1::PutBlockResponse>, Status> {
        let (mut head, data) = tokio::time::timeout(PATIENCE, Self::receive(request.into_inner()))
            .await
            .map_err(|_| CallError::Deadline)??;
        let context = self.context(head.header.take())?;
        Ok(Response::new(self.0.answer_put(&context, head, data).await?))
    }

    async fn get_block(&self, request: Request<v1::GetBlockRequest>) -> Result<Response<Self::GetBlockStream>, Status> {
        let mut request = request.into_inner();
        let context = self.context(request.header.take())?;
        let (hash, offset, length) = decode_get_request(&request).map_err(invalid)?;
        let block = self.0.get(&context, hash, offset, length).await?;
        let pieces = block.pieces.map(|piece| Ok(v1::GetBlockResponse { data: piece? }));
        Ok(Response::new(pieces.boxed()))
    }

    async fn add_references(
        &self,
        request: Request<v1::AddReferencesRequest>,
    ) -> Result<Response<v1::AddReferencesResponse>, Status> {
        let mut request = request.into_inner();
        let context = self.context(request.header.take())?;
        Ok(Response::new(self.0.answer_add(&context, request).await?))
    }

    async fn drop_references(
        &self,
        request: Request<v1::DropReferencesRequest>,
    ) -> Result<Response<v1::DropReferencesResponse>, Status> {
        let mut request = request.into_inner();
        let context = self.context(request.header.take())?;
        Ok(Response::new(self.0.answer_drop(&context, request).await?))
    }

    async fn stat_blocks(
        &self,
        request: Request<v1::StatBlocksRequest>,
    ) -> Result<Response<v1::StatBlocksResponse>, Status> {
        let mut request = request.into_inner();
        let context = self.context(request.header.take())?;
        Ok(Response::new(self.0.answer_stat(&context, &request).await?))
    }

    async fn list_references(
        &self,
        request: Request<v1::ListReferencesRequest>,
    ) -> Result<Response<v1::ListReferencesResponse>, Status> {
        let mut request = request.into_inner();
        let context = self.context(request.header.take())?;
        let (after, limit) = decode_list_request(&request).map_err(invalid)?;
        let references = self.0.blocks.references_after(&context, after, limit).await?;
        let references = references.iter().map(|(hash, reference)| v1::BlockReference {
            hash: hash.to_bytes(),
            reference: Some(encode_reference(reference)),
        });
        Ok(Response::new(v1::ListReferencesResponse {
            store_id: self.0.store().to_bytes(),
            references: references.collect(),
        }))
    }

    async fn info(&self, _request: Request<v1::InfoRequest>) -> Result<Response<v1::InfoResponse>, Status> {
        let status = self.0.status();
        let directories = self.0.directories().into_iter().map(|directory| DirectoryInfo {
            path: directory.path.display().to_string(),
            bytes_used: directory.bytes_used,
            bytes_free: directory.bytes_free,
            failure: directory.failure.unwrap_or_default(),
        });
        Ok(Response::new(v1::InfoResponse {
            store_id: self.0.store().to_bytes(),
            epoch: status.epoch.0,
            blocks: self.0.block_count()?,
            bytes_used: status.bytes_used,
            bytes_free: status.bytes_free,
            directories: directories.collect(),
        }))
    }
}

//! `cairn.table.v1.TableService`: the session, and the same calls outside one for grpcurl, tests and strangers.
//! Wire to domain and back; decides nothing.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_model::wire::{WireError, decode_bytes, decode_id, decode_register_request, encode_register_response};
use cairn_proto::common::v1::{Frame, RequestHeader};
use cairn_proto::table::v1;
use cairn_proto::table::v1::table_service_server::{TableService, TableServiceServer};
use cairn_quorum::wire::{decode_range, encode_range_reply};
use cairn_quorum::{Recount, TableReplica as _};
use cairn_rpc::limits::MAX_MESSAGE_BYTES;
use cairn_rpc::{CallContext, CallError, SessionReply, SessionRequest, SessionService, serve_session};
use cairn_types::{ClusterId, Epoch, RequestId, StoreId};
use futures_util::stream::BoxStream;
use prost::Message as _;
use tokio::time::Instant;
use tonic::{Request, Response, Status, Streaming};

use crate::Table;
use crate::range::encoded::EncodedSink;

/// What a call outside a session may take.
const PATIENCE: Duration = Duration::from_secs(30);

impl Table {
    async fn answer_register(
        &self,
        context: &CallContext,
        request: v1::RegisterRequest,
    ) -> Result<v1::RegisterResponse, CallError> {
        let batch = decode_register_request(request).map_err(invalid)?;
        let answer = self.register(context, batch).await?;
        Ok(encode_register_response(answer.store, answer.epoch, &answer.replies))
    }

    async fn answer_range(
        &self,
        context: &CallContext,
        request: v1::RangeRequest,
    ) -> Result<v1::RangeResponse, CallError> {
        let range = decode_range(request).map_err(invalid)?;
        Ok(encode_range_reply(&self.range(context, range).await?))
    }

    async fn answer_recount(
        &self,
        context: &CallContext,
        request: v1::RecountUsageRequest,
    ) -> Result<v1::RecountUsageResponse, CallError> {
        let Recount { before, counted } = self.recount(context, request.partition_key).await?;
        Ok(v1::RecountUsageResponse {
            store_id: cairn_quorum::TableReplica::store(self).to_bytes(),
            objects_before: before.objects,
            bytes_before: before.bytes,
            objects: counted.objects,
            bytes: counted.bytes,
        })
    }
}

impl Table {
    /// The bytes of [`Self::answer_range`], without a detour over rows where no data is asked for.
    async fn answer_encoded_range(&self, context: &CallContext, request: v1::RangeRequest) -> Result<Bytes, CallError> {
        if request.with_data {
            return Ok(self.answer_range(context, request).await?.encode_to_vec().into());
        }
        let range = decode_range(request).map_err(invalid)?;
        self.scan(context, range, EncodedSink::default()).await
    }
}

#[async_trait]
impl SessionService for Table {
    fn store(&self) -> StoreId {
        cairn_quorum::TableReplica::store(self)
    }

    fn cluster(&self) -> ClusterId {
        Table::cluster(self)
    }

    fn epoch(&self) -> Epoch {
        Table::epoch(self)
    }

    async fn call(&self, request: SessionRequest) -> Result<SessionReply, CallError> {
        let SessionRequest { context, method, head, body: _ } = request;
        let reply = match i32::try_from(method).map(v1::Method::try_from) {
            Ok(Ok(v1::Method::Register)) => {
                let request = decode_bytes("register request", head).map_err(invalid)?;
                self.answer_register(&context, request).await?.encode_to_vec()
            }
            Ok(Ok(v1::Method::Range)) => {
                let request = decode_bytes("range request", head).map_err(invalid)?;
                return self.answer_encoded_range(&context, request).await.map(SessionReply::head);
            }
            Ok(Ok(v1::Method::RecountUsage)) => {
                let request = decode_bytes("recount request", head).map_err(invalid)?;
                self.answer_recount(&context, request).await?.encode_to_vec()
            }
            Ok(Ok(v1::Method::Unspecified)) | Ok(Err(_)) | Err(_) => {
                return Err(CallError::Unimplemented(format!("method {method}")));
            }
        };
        Ok(SessionReply::head(Bytes::from(reply)))
    }
}

/// The gRPC face of a [`Table`].
pub(crate) struct Service(Arc<Table>);

impl Service {
    pub(crate) fn server(table: Arc<Table>) -> TableServiceServer<Self> {
        TableServiceServer::new(Self(table))
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The context of a call outside a session. Epoch 0 is refused by the calls that change something.
    fn context(&self, header: Option<RequestHeader>) -> Result<CallContext, CallError> {
        let header = header.ok_or_else(|| CallError::Invalid("the request header is missing".to_owned()))?;
        let request = if header.request_id.is_empty() {
            RequestId::random(&*self.0.entropy)
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
}

#[tonic::async_trait]
impl TableService for Service {
    type SessionStream = BoxStream<'static, Result<Frame, Status>>;

    async fn session(&self, request: Request<Streaming<Frame>>) -> Result<Response<Self::SessionStream>, Status> {
        Ok(Response::new(serve_session(self.0.clone(), request)))
    }

    async fn register(&self, request: Request<v1::RegisterRequest>) -> Result<Response<v1::RegisterResponse>, Status> {
        let mut request = request.into_inner();
        let context = self.context(request.header.take())?;
        Ok(Response::new(self.0.answer_register(&context, request).await?))
    }

    async fn range(&self, request: Request<v1::RangeRequest>) -> Result<Response<v1::RangeResponse>, Status> {
        let mut request = request.into_inner();
        let context = self.context(request.header.take())?;
        Ok(Response::new(self.0.answer_range(&context, request).await?))
    }

    async fn recount_usage(
        &self,
        request: Request<v1::RecountUsageRequest>,
    ) -> Result<Response<v1::RecountUsageResponse>, Status> {
        let mut request = request.into_inner();
        let context = self.context(request.header.take())?;
        Ok(Response::new(self.0.answer_recount(&context, request).await?))
    }

    async fn info(&self, _request: Request<v1::InfoRequest>) -> Result<Response<v1::InfoResponse>, Status> {
        let (rows, bytes_on_disk) = self.0.size();
        let store_id = cairn_quorum::TableReplica::store(&*self.0).to_bytes();
        Ok(Response::new(v1::InfoResponse { store_id, epoch: self.0.epoch().0, rows, bytes_on_disk }))
    }
}

fn invalid(error: WireError) -> CallError {
    CallError::Invalid(error.to_string())
}

//! One request from its headers to its answer: parsed, authenticated, authorised, handled, logged.
//!
//! - **S1** Handlers are called from here only, after [`auth::authorize`]; what is answered without it (a preflight)
//!   touches nothing. *Tested by `tests/s3/access.rs`.*
//! - **S2** An answer that leaves the client waiting to send, or with more to send than we will read, closes the
//!   connection (S3.md §8.1). *Tested by `tests/s3/listener.rs`.*

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cairn_quorum::Op;
use cairn_s3::chunked::Decoder;
use cairn_s3::error::REQUEST_ID;
use cairn_s3::operation::Resource;
use cairn_s3::{ErrorCode, Operation, Request, S3Error};
use cairn_types::RequestId;
use http::header::{CONNECTION, EXPECT, HOST};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, Version};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::auth;
use crate::core::Core;
use crate::exchange::{Answer, Exchange, bare, set};
use crate::failure::{Failure, OUTCOME, OUTCOME_UNKNOWN};
use crate::http::{Body, Handler, Inbound, full};
use crate::payload::Payload;
use crate::{buckets, list, multipart, objects, settings, unset};

/// The region, on answers about buckets.
const BUCKET_REGION: HeaderName = HeaderName::from_static("x-amz-bucket-region");
/// Of a body nobody wants: what is read of it, and for how long, so that the client gets to see the answer.
const DRAIN_BYTES: u64 = 1 << 20;
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);

/// Answers S3 requests.
pub(crate) struct Service {
    pub(crate) core: Arc<Core>,
    pub(crate) secure: bool,
}

#[async_trait]
impl Handler for Service {
    async fn handle(&self, request: http::Request<Incoming>, peer: SocketAddr) -> Response<Body> {
        let begun = Instant::now();
        let id = RequestId::random(self.core.entropy.as_ref());
        let (parts, body) = request.into_parts();
        let mut inbound = Inbound::new(body, self.core.config.limits.idle_timeout.0);
        let mut name = "-";
        let answer = self.answer(&parts, peer, &mut inbound, id, &mut name).await;
        let mut response = answer.unwrap_or_else(|failure| refuse(&failure, id, parts.method == Method::HEAD));
        if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        settle_connection(&parts, &mut inbound, &mut response).await;
        tracing::debug!(
            request = %id, %peer, operation = name, method = %parts.method, path = parts.uri.path(),
            status = response.status().as_u16(), took_us = begun.elapsed().as_micros(), "answered"
        );
        response
    }
}

impl Service {
    /// `name` is set to the operation's, once it is known.
    async fn answer(
        &self,
        parts: &Parts,
        peer: SocketAddr,
        inbound: &mut Inbound,
        id: RequestId,
        name: &mut &'static str,
    ) -> Answer {
        let core = &self.core;
        let op = core.begin(id);
        let parsed = cairn_s3::parse(parts, &core.addressing);
        if parts.method == Method::OPTIONS {
            return Err(refuse_preflight(parsed));
        }
        // Before anything is said of the request itself, it must be somebody's.
        let verified = auth::authenticate(core, &op, parts).await?;
        let request = parsed?;
        *name = request.operation.row().name;
        let about = |failure: Failure| Failure { error: failure.error.about(&request.resource), ..failure };
        let granted = auth::authorize(core, &op, verified.principal(), &request).await.map_err(about)?;
        self.check_channel(&request, peer).map_err(about)?;
        let of_bucket = request.operation.row().resource == Resource::Bucket;
        let exchange = Exchange {
            core: core.clone(),
            op,
            granted,
            endpoint: self.endpoint(parts),
            customer_key: request.customer_key.clone(),
            source_key: request.source_customer_key.clone(),
        };
        let decoder = Decoder::new(&request.body, verified.chunk_signing())?;
        let mut payload = Payload::new(inbound, &request.body, decoder, core.pool.clone());
        let answered = dispatch(&exchange, request.operation.clone(), &mut payload).await;
        match answered {
            Ok(response) if of_bucket => Ok(self.with_region(response)),
            Err(failure) if failure.bucket_gone => Err(about(gone(&exchange, failure).await)),
            answered => answered.map_err(about),
        }
    }

    /// A customer's key that came in the clear over a network is known to others (ADR 0013).
    fn check_channel(&self, request: &Request, peer: SocketAddr) -> Result<(), Failure> {
        let brings_key = request.customer_key.is_some() || request.source_customer_key.is_some();
        if !brings_key || self.core.config.customer_keys_over_http || is_private(self.secure, peer.ip()) {
            return Ok(());
        }
        let message = "Requests specifying Server Side Encryption with Customer provided keys must be made over a secure \
                       connection.";
        Err(S3Error::with_message(ErrorCode::InvalidRequest, message).into())
    }

    fn with_region(&self, mut response: Response<Body>) -> Response<Body> {
        set(response.headers_mut(), BUCKET_REGION, &self.core.config.region);
        response
    }

    /// Scheme and host as the client wrote them.
    fn endpoint(&self, parts: &Parts) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| parts.uri.authority().map(|authority| authority.as_str()));
        format!("{scheme}://{}", host.unwrap_or("localhost"))
    }
}

/// Whether nobody between the client and us can have read the request.
fn is_private(secure: bool, peer: IpAddr) -> bool {
    secure || peer.to_canonical().is_loopback()
}

/// The one place where an operation finds its handler.
async fn dispatch(x: &Exchange, operation: Operation, body: &mut Payload<'_>) -> Answer {
    match operation {
        Operation::ListBuckets(request) => buckets::list(x, request).await,
        Operation::CreateBucket(name) => buckets::create(x, name, body).await,
        Operation::DeleteBucket(_) => buckets::delete(x).await,
        Operation::HeadBucket(_) => Ok(bare(StatusCode::OK)),
        Operation::GetBucketLocation(_) => buckets::location(x),
        Operation::ListObjects(request) => list::list(x, request).await,
        Operation::ListObjectsV2(request) => list::list_v2(x, request).await,
        Operation::ListObjectVersions(request) => list::list_versions(x, request).await,
        Operation::ListMultipartUploads(request) => multipart::list::uploads(x, request).await,
        Operation::DeleteObjects(request) => objects::delete::delete_many(x, request, body).await,
        Operation::PutObject(request) => objects::put::put(x, request, body).await,
        Operation::GetObject(request) => objects::get::get(x, request).await,
        Operation::HeadObject(request) => objects::get::head(x, request).await,
        Operation::GetObjectAttributes(request) => objects::attributes::attributes(x, request).await,
        Operation::DeleteObject(request) => objects::delete::delete(x, request).await,
        Operation::CopyObject(request) => objects::copy::copy(x, request).await,
        Operation::CreateMultipartUpload(request) => multipart::create::create(x, request).await,
        Operation::UploadPart(request) => multipart::part::upload(x, request, body).await,
        Operation::UploadPartCopy(request) => multipart::part::copy(x, request).await,
        Operation::ListParts(request) => multipart::list::parts(x, request).await,
        Operation::CompleteMultipartUpload(request) => multipart::complete::complete(x, request, body).await,
        Operation::AbortMultipartUpload(request) => multipart::abort::abort(x, request).await,
        Operation::GetSetting(of) => settings::get(x, of.setting).await,
        Operation::PutSetting(of) => settings::put(x, of.setting, body).await,
        Operation::DeleteSetting(of) => settings::delete(x, of.setting).await,
        Operation::ReadUnset(request) => unset::read(x, request).await,
        Operation::Preflight(_) => Err(ErrorCode::AccessForbidden.into()),
        Operation::NotImplemented(what) => Err(S3Error::not_implemented(&what).into()),
    }
}

/// No bucket has CORS rules: a preflight is refused, before any authentication (S3.md §8.10).
fn refuse_preflight(parsed: Result<Request, S3Error>) -> Failure {
    match parsed {
        Ok(request) => S3Error::new(ErrorCode::AccessForbidden).about(&request.resource).into(),
        Err(error) => error.into(),
    }
}

/// A handler met a sealed gate: the deletion is finished, and the answer is about what is there now.
async fn gone(x: &Exchange, failure: Failure) -> Failure {
    let op: Op = x.op();
    for bucket in x.granted.bucket.iter().chain(&x.granted.source) {
        if let Err(error) = x.core.finish_deletion(&op, bucket).await {
            return error;
        }
        match x.core.directory.current_bucket(&x.core.cluster, &op, &bucket.name).await {
            Err(error) => return error,
            Ok(Some(_)) => {
                // Another bucket has the name now, or the gate was not sealed: the client's retry will see.
                let message = "The bucket was deleted and created anew during the request. Please try again.";
                return S3Error::with_message(ErrorCode::ServiceUnavailable, message).into();
            }
            Ok(None) => {}
        }
    }
    failure
}

/// The error as the client sees it, and as the log does.
fn refuse(failure: &Failure, id: RequestId, head: bool) -> Response<Body> {
    let code = failure.error.code();
    let cause = failure.cause.as_deref().unwrap_or("-");
    match code.status() {
        StatusCode::INTERNAL_SERVER_ERROR => {
            tracing::error!(request = %id, error = %failure.error, cause, "request failed");
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            tracing::warn!(request = %id, error = %failure.error, cause, "request not served");
        }
        _ => tracing::debug!(request = %id, error = %failure.error, cause, "request refused"),
    }
    let mut response = failure.error.to_response(&id.to_string(), head).map(full);
    if failure.outcome_unknown {
        response.headers_mut().insert(OUTCOME, OUTCOME_UNKNOWN);
    }
    response
}

/// Keeps the connection in step: hyper and the client must agree on where the next request begins.
pub(crate) async fn settle_connection(parts: &Parts, inbound: &mut Inbound, response: &mut Response<Body>) {
    let expects = parts.headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    let in_step = if expects && !inbound.begun() {
        // No `100` was sent: some clients then take this answer for another's.
        false
    } else {
        inbound.ended() || inbound.drain(DRAIN_BYTES, DRAIN_PATIENCE).await
    };
    if !in_step && parts.version <= Version::HTTP_11 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_tls_or_from_this_machine() {
        let from = |secure, peer: &str| is_private(secure, peer.parse().unwrap());
        assert!(from(true, "192.0.2.7"));
        assert!(from(false, "127.0.0.1") && from(false, "127.9.9.9") && from(false, "::1"));
        assert!(from(false, "::ffff:127.0.0.1"), "a listener for both families shows IPv4 so");
        assert!(!from(false, "192.0.2.7") && !from(false, "10.0.0.1") && !from(false, "::ffff:192.0.2.7"));
    }
}

//! One request from its headers to its answer: parsed, authenticated, authorised, handled, logged.
//!
//! - **S1** Handlers are called from here only, after [`auth::authorize`]; what is answered without it (a preflight)
//!   reads CORS rules and touches nothing. *Tested by `tests/s3/access.rs`, `tests/s3/cors.rs`.*
//! - **S2** An answer that leaves the client waiting to send, or with more to send than we will read, closes the
//!   connection (S3.md §8.1). *Tested by `tests/s3/listener.rs`.*

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cairn_quorum::Op;
use cairn_s3::chunked::Decoder;
use cairn_s3::error::REQUEST_ID;
use cairn_s3::operation::{PostForm, Resource};
use cairn_s3::{ErrorCode, Operation, Request, S3Error};
use cairn_types::RequestId;
use http::header::{CONNECTION, EXPECT, HOST};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, Version};
use hyper::body::Incoming;

use crate::access_log::Record;
use crate::auth::{self, Principal};
use crate::core::Core;
use crate::exchange::{Answer, Endpoint, Exchange, bare, set};
use crate::failure::{Failure, OUTCOME, OUTCOME_UNKNOWN};
use crate::form::FormBody;
use crate::http::{Body, Handler, Inbound, full};
use crate::payload::Payload;
use crate::{buckets, cors, list, multipart, objects, proxies, settings, unset};

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
        let core = &self.core;
        let id = RequestId::random(core.entropy.as_ref());
        let (mut parts, body) = request.into_parts();
        let origin = proxies::read(&mut parts, peer, self.secure, &core.config.trusted_proxies);
        let mut record = Record::new(id, origin.peer, parts.method.clone());
        let mut inbound = Inbound::new(body, core.config.limits.idle_timeout.0);
        let op = core.begin(id);
        let private = is_private(origin.secure, origin.peer);
        let names_bucket = core.addressing.is_by_host(&parts);
        let endpoint = Endpoint { origin: endpoint(&parts, origin.secure), names_bucket };
        let x = Call { core, op, parts: &parts, endpoint, private };
        let mut response = match x.answer(&mut inbound, &mut record).await {
            Ok(response) => response,
            Err(failure) => {
                record.failed(failure.error.code().as_str());
                refuse(&failure, id, parts.method == Method::HEAD)
            }
        };
        if parts.method != Method::OPTIONS {
            cors::decorate(core, &op, core.addressing.bucket(&parts).as_ref(), &parts, &mut response).await;
        }
        if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        settle_connection(&parts, &mut inbound, &mut response).await;
        if core.config.access_log { record.finish(response, inbound.received()) } else { response }
    }
}

/// A request whose body has not been read.
struct Call<'a> {
    core: &'a Arc<Core>,
    op: Op,
    parts: &'a Parts,
    endpoint: Endpoint,
    /// Nobody on the way reads what is sent: TLS up to us or to our proxy, or this machine alone.
    private: bool,
}

impl Call<'_> {
    async fn answer(self, inbound: &mut Inbound, record: &mut Record) -> Answer {
        let parsed = cairn_s3::parse(self.parts, &self.core.addressing);
        if let Ok(request) = &parsed {
            record.asks(&request.operation);
        }
        if self.parts.method == Method::OPTIONS {
            return self.preflight(parsed?).await;
        }
        if let Ok(Request { operation: Operation::PostForm(form), resource, .. }) = parsed {
            return self.answer_form(form, resource, inbound, record).await;
        }
        // Before anything is said of the request itself, it must be somebody's.
        let verified = auth::authenticate(self.core, &self.op, self.parts).await?;
        record.signed_by(verified.access_key_id());
        let request = parsed?;
        let x = self.authorize(verified.principal(), &request).await?;
        let decoder = Decoder::new(&request.body, verified.chunk_signing())?;
        let mut payload = Payload::new(inbound, &request.body, decoder, x.core.pool.clone());
        let answered = dispatch(&x, request.operation.clone(), &mut payload).await;
        finish(&x, &request, answered).await
    }

    /// A preflight is answered to anyone.
    async fn preflight(self, request: Request) -> Answer {
        let Operation::Preflight(asked) = &request.operation else {
            return Err(Failure::internal("OPTIONS is a preflight"));
        };
        let answered = cors::preflight(self.core, &self.op, asked.bucket.as_ref(), asked).await;
        answered.map_err(|failure| about(failure, &request))
    }

    /// A form says in its fields who asks, and for what: they are read first, within narrow bounds.
    async fn answer_form(self, form: PostForm, resource: String, inbound: &mut Inbound, record: &mut Record) -> Answer {
        let about = |failure: Failure| Failure { error: failure.error.about(&resource), ..failure };
        let mut body = FormBody::new(inbound, &form.boundary);
        let fields = body.fields().await.map_err(about)?;
        let op = self.op.renewed(self.core.operation_timeout());
        let verified = auth::authenticate_form(self.core, &op, self.parts, &fields).await.map_err(about)?;
        record.signed_by(verified.access_key_id());
        let upload = fields.upload(form.bucket, self.core.clock.now_ms()).map_err(Failure::from).map_err(about)?;
        let request = Request::of_form(upload.clone(), resource);
        record.asks(&request.operation);
        let x = Self { op, ..self }.authorize(verified.principal(), &request).await?;
        let answered = objects::post::post(&x, upload, body).await;
        finish(&x, &request, answered).await
    }

    async fn authorize(self, principal: &Principal, request: &Request) -> Result<Exchange, Failure> {
        let Self { core, op, endpoint, private, .. } = self;
        let granted =
            auth::authorize(core, &op, principal, request).await.map_err(|failure| about(failure, request))?;
        let (customer_key, source_key) = (request.customer_key.clone(), request.source_customer_key.clone());
        let brings_key = customer_key.is_some() || source_key.is_some();
        if brings_key && !private && !core.config.customer_keys_over_http {
            // A customer's key that came in the clear over a network is known to others (ADR 0013).
            let message = "Requests specifying Server Side Encryption with Customer provided keys must be made over a \
                           secure connection.";
            return Err(about(S3Error::with_message(ErrorCode::InvalidRequest, message).into(), request));
        }
        Ok(Exchange { core: core.clone(), op, granted, endpoint, customer_key, source_key })
    }
}

/// What every answer about a bucket says, and the end of a deletion that a handler met.
async fn finish(x: &Exchange, request: &Request, answered: Answer) -> Answer {
    match answered {
        Ok(mut response) if request.operation.row().resource == Resource::Bucket => {
            set(response.headers_mut(), BUCKET_REGION, &x.core.config.region);
            Ok(response)
        }
        Err(failure) if failure.bucket_gone => Err(about(gone(x, failure).await, request)),
        answered => answered.map_err(|failure| about(failure, request)),
    }
}

fn about(failure: Failure, request: &Request) -> Failure {
    Failure { error: failure.error.about(&request.resource), ..failure }
}

fn endpoint(parts: &Parts, secure: bool) -> String {
    let scheme = if secure { "https" } else { "http" };
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| parts.uri.authority().map(|authority| authority.as_str()));
    format!("{scheme}://{}", host.unwrap_or("localhost"))
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
        // Answered before they come here.
        Operation::Preflight(_) | Operation::PostForm(_) | Operation::PostObject(_) => {
            Err(Failure::internal("a request that has a way of its own"))
        }
        Operation::NotImplemented(what) => Err(S3Error::not_implemented(&what).into()),
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

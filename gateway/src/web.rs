//! Web sites: buckets that have a website configuration, served to anyone by the name of the host.
//!
//! What is answered is decided by [`cairn_s3::site`]; here are the look-ups, and the answers' heads and bodies.
//!
//! - **E1** A bucket without a website configuration is not told from one that is not there.
//!   *Tested by `tests/s3/sites.rs`.*
//! - **E2** A compressed sibling stands for its object only whole, only where the client accepts it and only where it is
//!   no older, under its own entity tag; `Vary` says so wherever it could have. *Tested by `tests/s3/sites.rs`.*
//! - **E3** An encrypted object is an error of its own: it is unlocked without a key, which fails.
//!   *Tested by `tests/s3/sites.rs`.*
//! - **E4** An answer holds nothing of the request but what it was found by: no header of its, no query parameter, no
//!   credentials change it. *Tested by `tests/s3/sites.rs`.*

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use cairn_model::rows::ObjectHead;
use cairn_quorum::Op;
use cairn_s3::conditions::Verdict;
use cairn_s3::date::http_date;
use cairn_s3::error::REQUEST_ID;
use cairn_s3::operation::ReadObject;
use cairn_s3::site::{Asked, Encoding, Hosts, SiteRequest, Step, Visit, error_page};
use cairn_s3::website::Protocol;
use cairn_s3::{ErrorCode, ObjectKey, S3Error};
use cairn_types::{BucketId, BucketName, RequestId};
use futures_util::future::join_all;
use http::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, EXPIRES, LAST_MODIFIED, LOCATION, VARY,
};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use hyper::body::Incoming;

use crate::access_log::Record;
use crate::convert;
use crate::core::Core;
use crate::directory::Bucket;
use crate::encryption::{Locked, Secrecy};
use crate::exchange::{Answer, bare, set};
use crate::failure::Failure;
use crate::http::{Body, Handler, Inbound, empty, full};
use crate::objects::{Object, get};
use crate::service::settle_connection;
use crate::{cors, proxies};

/// The error's code, on every error page: what programs read.
const ERROR_CODE: HeaderName = HeaderName::from_static("x-amz-error-code");
const REDIRECT_LOCATION: HeaderName = HeaderName::from_static("x-amz-website-redirect-location");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// Answers visitors.
pub(crate) struct Sites {
    core: Arc<Core>,
    hosts: Hosts,
    secure: bool,
}

/// A visitor's request, once its site is known.
struct Call<'a> {
    parts: &'a Parts,
    op: Op,
    request: SiteRequest,
    bucket: BucketId,
}

/// An object that anyone may read.
struct Page {
    object: Object,
    secrecy: Secrecy,
}

#[async_trait]
impl Handler for Sites {
    async fn handle(&self, request: http::Request<Incoming>, peer: SocketAddr) -> Response<Body> {
        let core = &self.core;
        let id = RequestId::random(core.entropy.as_ref());
        let (mut parts, body) = request.into_parts();
        let origin = proxies::read(&mut parts, peer, self.secure, &core.config.trusted_proxies);
        let mut record = Record::new(id, origin.peer, parts.method.clone());
        let mut inbound = Inbound::new(body, core.config.limits.idle_timeout.0);
        let op = core.begin(id);
        let site = SiteRequest::site(&parts, &self.hosts).map(|(_, bucket)| bucket);
        if let Ok(bucket) = &site {
            record.visits(bucket, parts.uri.path());
        }
        let answer = match parts.method {
            Method::OPTIONS => self.preflight(&parts, &op).await,
            _ => self.answer(&parts, op, if origin.secure { Protocol::Https } else { Protocol::Http }).await,
        };
        let mut response = answer.unwrap_or_else(|failure| {
            record.failed(failure.error.code().as_str());
            refuse(&failure, id, parts.method == Method::HEAD)
        });
        // Scripts of other sites may read errors too, but of a site only (E1).
        if let Ok(bucket) = &site
            && parts.method != Method::OPTIONS
            && self.site(&op, bucket).await.is_ok()
        {
            cors::decorate(core, &op, Some(bucket), &parts, &mut response).await;
        }
        set(response.headers_mut(), REQUEST_ID, &id.to_string());
        settle_connection(&parts, &mut inbound, &mut response).await;
        if core.config.access_log { record.finish(response, inbound.received()) } else { response }
    }
}

impl Sites {
    pub(crate) fn new(core: Arc<Core>, root_domain: Option<&str>, secure: bool) -> Self {
        Self { core, hosts: Hosts::new(root_domain), secure }
    }

    /// Answered by the bucket's CORS rules, where it is a site.
    async fn preflight(&self, parts: &Parts, op: &Op) -> Answer {
        let (bucket, asked) = SiteRequest::preflight(parts, &self.hosts)?;
        self.site(op, &bucket).await?;
        cors::preflight(&self.core, op, Some(&bucket), &asked).await
    }

    async fn answer(&self, parts: &Parts, op: Op, protocol: Protocol) -> Answer {
        let request = SiteRequest::read(parts, &self.hosts)?;
        let bucket = self.site(&op, &request.bucket).await?;
        let website = bucket.row.settings.website.as_ref().map(convert::website);
        let website = website.ok_or(ErrorCode::NoSuchWebsiteConfiguration)?;
        let call = Call { parts, op, request, bucket: bucket.id };
        let asked = Asked {
            protocol,
            authority: &call.request.authority,
            key: &call.request.key,
            query: call.request.query.as_deref(),
        };
        let (visit, step) = Visit::begin(&website, asked);
        self.visit(&call, visit, step).await
    }

    /// The bucket, where it is a site. Its cached row serves as long as it says so (C1).
    async fn site(&self, op: &Op, name: &BucketName) -> Result<Arc<Bucket>, Failure> {
        let is_site = |bucket: &Arc<Bucket>| bucket.row.settings.website.is_some();
        if let Some(bucket) = self.core.directory.known_bucket(name).filter(is_site) {
            return Ok(bucket);
        }
        let bucket = self.core.directory.current_bucket(&self.core.cluster, op, name).await?;
        bucket.filter(is_site).ok_or_else(|| ErrorCode::NoSuchWebsiteConfiguration.into())
    }

    /// Looks up what the visit asks for, until it has decided.
    async fn visit(&self, call: &Call<'_>, mut visit: Visit<'_>, mut step: Step) -> Answer {
        let mut failed: Option<Failure> = None;
        let mut found: Option<(ObjectKey, Page)> = None;
        loop {
            step = match step {
                Step::Look(key) => match self.page(call, &key).await {
                    Ok(None) => visit.missing(),
                    Ok(Some(page)) => {
                        let step = visit.found(page.object.head.headers.website_redirect.as_deref());
                        found = Some((key, page));
                        step
                    }
                    Err(failure) => {
                        let status = failure.error.code().status();
                        failed.get_or_insert(failure);
                        visit.failed(status)
                    }
                },
                Step::Serve(status) => {
                    let (key, page) = found.ok_or_else(|| Failure::internal("a page was not looked up"))?;
                    return self.serve(call, status, key, page).await;
                }
                Step::Redirect { status, location } => return Ok(redirect(status, &location)),
                Step::Refuse(status) => {
                    let same = |failure: &Failure| failure.error.code().status() == status;
                    return Err(failed.filter(same).unwrap_or_else(|| ErrorCode::NoSuchKey.into()));
                }
            };
        }
    }

    /// None: there is no such object.
    ///
    /// # Errors
    /// Of an encrypted object: a visitor has no key.
    async fn page(&self, call: &Call<'_>, key: &ObjectKey) -> Result<Option<Page>, Failure> {
        let Some(object) = self.core.object(&call.op, call.bucket, key.as_bytes()).await? else { return Ok(None) };
        let secrecy = Secrecy::unlock(Locked::Object, object.head.encryption.as_ref(), None)?;
        Ok(Some(Page { object, secrecy }))
    }

    async fn serve(&self, call: &Call<'_>, status: StatusCode, key: ObjectKey, page: Page) -> Answer {
        if status != StatusCode::OK {
            let read = call.request.of_error_document(key);
            let mut response = self.send(call, &read, page).await?;
            *response.status_mut() = status;
            return Ok(response);
        }
        let negotiable = page.object.head.headers.content_encoding.is_none();
        let page = if negotiable { self.best_form(call, &key, page).await } else { page };
        let read = call.request.of_page(key);
        let etag = convert::etag(&page.object.head.etag)?;
        let mut response = match read.conditions.evaluate(&etag, page.object.head.last_modified_ms) {
            Verdict::Proceed => self.send(call, &read, page).await?,
            Verdict::NotModified => not_modified(&page)?,
            Verdict::Failed(condition) => return Err(S3Error::precondition_failed(condition).into()),
        };
        if negotiable {
            response.headers_mut().append(VARY, HeaderValue::from(ACCEPT_ENCODING));
        }
        Ok(response)
    }

    /// The page, or what stands beside it compressed in the way the client likes best.
    async fn best_form(&self, call: &Call<'_>, key: &ObjectKey, page: Page) -> Page {
        let siblings = call.request.encodings.iter().map(|encoding| self.sibling(call, key, *encoding));
        // One from before the object's last change holds what the object was.
        let fresh = |sibling: &Page| sibling.object.head.last_modified_ms >= page.object.head.last_modified_ms;
        let mut siblings = join_all(siblings).await.into_iter().flatten().filter(|(_, sibling)| fresh(sibling));
        let Some((encoding, sibling)) = siblings.next() else { return page };
        drop(siblings);
        let mut headers = page.object.head.headers;
        headers.content_encoding = Some(encoding.name().to_owned());
        let Page { object, secrecy } = sibling;
        Page { object: Object { head: ObjectHead { headers, ..object.head }, data: object.data }, secrecy }
    }

    /// One that cannot be read or shown is as good as none: the page itself can.
    async fn sibling(&self, call: &Call<'_>, key: &ObjectKey, encoding: Encoding) -> Option<(Encoding, Page)> {
        let key = ObjectKey::new(format!("{key}{}", encoding.suffix()).into_bytes()).ok()?;
        let sibling = self.page(call, &key).await;
        let sibling = sibling.inspect_err(|failure| tracing::debug!(?failure, "a sibling was not read")).ok()??;
        let headers = &sibling.object.head.headers;
        let is_form = headers.content_encoding.as_deref().is_none_or(|own| own == encoding.name());
        (is_form && headers.website_redirect.is_none()).then_some((encoding, sibling))
    }

    /// The object, or a range of it.
    async fn send(&self, call: &Call<'_>, read: &ReadObject, page: Page) -> Answer {
        let Page { object, secrecy } = page;
        let selection = get::span(read, &object, &secrecy)?;
        let mut response = get::describe(read, &object, &selection)?;
        response.headers_mut().remove(REDIRECT_LOCATION);
        if call.parts.method == Method::HEAD {
            return Ok(response);
        }
        let body = get::body(&self.core, call.op, object, &secrecy, selection).await?;
        Ok(response.map(|_| body))
    }
}

/// A 304 with the headers that the 200 would have and that caches keep (RFC 9110 §15.4.5).
fn not_modified(page: &Page) -> Answer {
    let head = &page.object.head;
    let mut response = bare(StatusCode::NOT_MODIFIED);
    let headers = response.headers_mut();
    set(headers, ETAG, &convert::etag(&head.etag)?.quoted());
    set(headers, LAST_MODIFIED, &http_date(head.last_modified_ms));
    for (name, value) in [(CACHE_CONTROL, &head.headers.cache_control), (EXPIRES, &head.headers.expires)] {
        if let Some(value) = value {
            set(headers, name, value);
        }
    }
    Ok(response)
}

fn redirect(status: StatusCode, location: &str) -> Response<Body> {
    let mut response = bare(status);
    set(response.headers_mut(), LOCATION, location);
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(0));
    response
}

/// An error as a page for people; headers as S3's own errors have them.
fn refuse(failure: &Failure, id: RequestId, head: bool) -> Response<Body> {
    let code = failure.error.code();
    if code.status().is_server_error() {
        let cause = failure.cause.as_deref().unwrap_or("-");
        tracing::warn!(request = %id, error = %failure.error, cause, "a site was not served");
    }
    let response = failure.error.to_response(&id.to_string(), true);
    let page = error_page(code.status(), code.as_str(), failure.error.message(), &id.to_string());
    let length = HeaderValue::from(page.len());
    let mut response = response.map(|_| if head { empty() } else { full(page) });
    let headers = response.headers_mut();
    set(headers, ERROR_CODE, code.as_str());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    if !head {
        headers.insert(CONTENT_LENGTH, length);
    }
    if code == ErrorCode::MethodNotAllowed {
        headers.insert(ALLOW, METHODS);
    }
    response
}

//! One authorised request on its way through its handler, and the answers handlers give.

use std::sync::Arc;

use bytes::Bytes;
use cairn_model::rows::ObjectHead;
use cairn_quorum::Op;
use cairn_s3::CustomerKey;
use cairn_s3::answer::Owner;
use cairn_s3::checksum::ObjectChecksum;
use cairn_s3::date::http_date;
use cairn_s3::lifecycle::expiration_header;
use cairn_s3::uri::encode_component;
use cairn_types::{BucketId, ManifestId};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::auth::Granted;
use crate::body::write::Target;
use crate::core::Core;
use crate::encryption::{Locked, Secrecy};
use crate::failure::Failure;
use crate::http::{Body, empty, full};

/// What a handler answers with.
pub(crate) type Answer = Result<Response<Body>, Failure>;

const ABORT_DATE: HeaderName = HeaderName::from_static("x-amz-abort-date");
const ABORT_RULE: HeaderName = HeaderName::from_static("x-amz-abort-rule-id");
const EXPIRATION: HeaderName = HeaderName::from_static("x-amz-expiration");
const CHECKSUM_TYPE: HeaderName = HeaderName::from_static("x-amz-checksum-type");

/// Everything of a request but its operation and its body.
pub(crate) struct Exchange {
    pub(crate) core: Arc<Core>,
    pub(crate) op: Op,
    pub(crate) granted: Granted,
    /// How the client addressed us, for `Location`.
    pub(crate) endpoint: Endpoint,
    /// SSE-C: the key of the object the request names, and that of a copy's source.
    pub(crate) customer_key: Option<CustomerKey>,
    pub(crate) source_key: Option<CustomerKey>,
}

/// How a client addressed us.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// Scheme and host as the client wrote them.
    pub(crate) origin: String,
    /// The host names the bucket: paths do not.
    pub(crate) names_bucket: bool,
}

impl Exchange {
    /// The operation, with its full time from now: what came before took as long as the client's body took.
    pub(crate) fn op(&self) -> Op {
        self.op.renewed(self.core.operation_timeout())
    }

    pub(crate) fn bucket_id(&self) -> Result<BucketId, Failure> {
        Ok(self.granted.bucket()?.id)
    }

    /// Where the blocks of a new body of `key` belong.
    pub(crate) fn target(&self, key: &[u8]) -> Result<Target, Failure> {
        Ok(Target {
            bucket: self.bucket_id()?,
            key: Bytes::copy_from_slice(key),
            upload: None,
            manifest: ManifestId::random(self.core.entropy.as_ref()),
            epoch: self.core.epoch(),
        })
    }

    /// How the new object of this request is kept.
    pub(crate) fn new_secrecy(&self) -> Secrecy {
        Secrecy::of_new(self.customer_key.as_ref(), self.core.entropy.as_ref())
    }

    /// The secrecy of an object that is there, for this request's key.
    pub(crate) fn unlock(&self, head: &ObjectHead) -> Result<Secrecy, Failure> {
        Ok(Secrecy::unlock(Locked::Object, head.encryption.as_ref(), self.customer_key.as_ref())?)
    }

    /// Says which key encrypts what was written or read, as AWS does.
    pub(crate) fn echo_key(&self, headers: &mut HeaderMap, secrecy: &Secrecy) {
        if let Some(key) = self.customer_key.as_ref().filter(|_| secrecy.is_encrypted()) {
            key.write(headers);
        }
    }

    pub(crate) fn owner(&self) -> Owner {
        owner(&self.granted.principal.0.id, &self.granted.principal.0.row.name)
    }

    /// The owner of the request's bucket. A key may know the ids of others that share a bucket, not their names.
    pub(crate) fn bucket_owner(&self) -> Result<Owner, Failure> {
        let principal = &self.granted.principal.0;
        let id = self.granted.bucket()?.row.owner.as_str();
        Ok(if id == principal.id { self.owner() } else { owner(id, id) })
    }

    /// Says when the bucket's lifecycle rules let an object go, and by which of them.
    pub(crate) fn set_expiration(&self, headers: &mut HeaderMap, key: &[u8], size: u64, modified_ms: u64) {
        let rules = self.granted.bucket().ok().and_then(|bucket| bucket.row.settings.lifecycle.as_ref());
        if let Some(due) = rules.and_then(|rules| rules.expiry(key, size, modified_ms)) {
            set(headers, EXPIRATION, &expiration_header(due.at_ms, due.rule));
        }
    }

    /// Says when the bucket's lifecycle rules abort an upload that is still open, and by which of them.
    pub(crate) fn set_abort(&self, headers: &mut HeaderMap, key: &[u8], created_at_ms: u64) {
        let rules = self.granted.bucket().ok().and_then(|bucket| bucket.row.settings.lifecycle.as_ref());
        if let Some(due) = rules.and_then(|rules| rules.abort(key, created_at_ms)) {
            set(headers, ABORT_DATE, &http_date(due.at_ms));
            set(headers, ABORT_RULE, &encode_component(due.rule.as_bytes()));
        }
    }

    /// The URL of an object, as the client would write it.
    pub(crate) fn location(&self, bucket: &str, key: &str) -> String {
        let Endpoint { origin, names_bucket } = &self.endpoint;
        let key = cairn_s3::uri::encode_path(key.as_bytes());
        if *names_bucket { format!("{origin}/{key}") } else { format!("{origin}/{bucket}/{key}") }
    }
}

/// A key or a bucket's owner, as answers name it.
pub(crate) fn owner(id: &str, name: &str) -> Owner {
    Owner { id: id.to_owned(), display_name: name.to_owned() }
}

/// 200 with an XML document.
pub(crate) fn xml(document: String) -> Response<Body> {
    let length = HeaderValue::from(document.len());
    let mut response = Response::new(full(document));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

/// No body.
pub(crate) fn bare(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(empty());
    *response.status_mut() = status;
    response
}

/// Sets a header to text of ours.
pub(crate) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// The checksum's own header, and its type.
pub(crate) fn set_checksum(headers: &mut HeaderMap, checksum: &ObjectChecksum) {
    let name = HeaderName::from_static(checksum.value.algorithm().header());
    set(headers, name, &checksum.to_string());
    headers.insert(CHECKSUM_TYPE, HeaderValue::from_static(checksum.kind.name()));
}

//! The access log: one line for each request, when the last byte of its answer has gone or nobody waits for it any more.
//!
//! Lines are events of the target `access` at level info, with the daemon's other logs: `CAIRN_LOG=info,access=off` or
//! `access_log = false` is the way to have none.
//!
//! - **L1** A line names who, what and how it ended, and holds nothing secret: no query (which holds presigned
//!   signatures), no header. *Tested by `tests/tests/forms.rs`.*
//! - **L2** What a client chose (a key, a bucket) is written quoted and escaped: it cannot begin a line of its own.
//!   *Tested by `tests/tests/forms.rs`.*

use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use cairn_s3::Operation;
use cairn_types::{BucketName, RequestId};
use http::header::CONTENT_LENGTH;
use http::{Method, Response};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::http::{Body, BodyError};

/// What is known of a request so far.
pub(crate) struct Record {
    id: RequestId,
    peer: IpAddr,
    method: Method,
    begun: Instant,
    /// AWS's name, once it is known.
    operation: &'static str,
    bucket: Option<String>,
    key: Option<String>,
    /// Who signed, once that is proved.
    access_key: Option<String>,
    error: Option<&'static str>,
    status: u16,
    bytes_in: u64,
    bytes_out: u64,
    /// What the answer announced: its body is not asked for more.
    length: Option<u64>,
    /// The answer was sent to its end.
    whole: bool,
}

impl Record {
    pub(crate) fn new(id: RequestId, peer: IpAddr, method: Method) -> Self {
        Self {
            id,
            peer,
            method,
            begun: Instant::now(),
            operation: "-",
            bucket: None,
            key: None,
            access_key: None,
            error: None,
            status: 0,
            bytes_in: 0,
            bytes_out: 0,
            length: None,
            whole: false,
        }
    }

    /// What the request asks for.
    pub(crate) fn asks(&mut self, operation: &Operation) {
        self.operation = operation.row().name;
        self.bucket = operation.bucket().map(ToString::to_string);
        self.key = operation.key().map(ToString::to_string);
    }

    /// A site is visited.
    pub(crate) fn visits(&mut self, bucket: &BucketName, path: &str) {
        self.operation = "VisitSite";
        self.bucket = Some(bucket.to_string());
        self.key = Some(path.to_owned());
    }

    /// Whose signature was right.
    pub(crate) fn signed_by(&mut self, access_key: &str) {
        self.access_key = Some(access_key.to_owned());
    }

    pub(crate) fn failed(&mut self, code: &'static str) {
        self.error = Some(code);
    }

    /// Writes the line when `response` has been sent. `bytes_in`: what was read of the request's body.
    pub(crate) fn finish(mut self, response: Response<Body>, bytes_in: u64) -> Response<Body> {
        self.status = response.status().as_u16();
        self.bytes_in = bytes_in;
        let length = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        self.length = length.and_then(|length| length.parse().ok());
        response.map(|body| Watched { body, record: self }.boxed_unsync())
    }

    fn write(&self) {
        tracing::info!(
            target: "access",
            request = %self.id,
            peer = %self.peer,
            access_key = self.access_key.as_deref().unwrap_or("-"),
            operation = self.operation,
            method = self.method.as_str(),
            bucket = ?self.bucket.as_deref().unwrap_or("-"),
            key = ?self.key.as_deref().unwrap_or("-"),
            status = self.status,
            error = self.error.unwrap_or("-"),
            bytes_in = self.bytes_in,
            bytes_out = self.bytes_out,
            whole = self.whole,
            took_us = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX),
        );
    }
}

pin_project! {
    /// A body that counts what is sent of it; its end, or its drop, writes the line.
    struct Watched {
        #[pin]
        body: Body,
        record: Record,
    }

    impl PinnedDrop for Watched {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            this.record.whole |= this.body.is_end_stream() || this.record.length == Some(this.record.bytes_out);
            this.record.write();
        }
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.project();
        let polled = this.body.poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let sent = frame.data_ref().map_or(0, Bytes::len);
                this.record.bytes_out = this.record.bytes_out.saturating_add(sent as u64);
            }
            Poll::Ready(None) => this.record.whole = true,
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

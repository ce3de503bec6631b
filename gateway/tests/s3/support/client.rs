//! An S3 client that sends exactly what it is told, each request on a connection of its own.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cairn_s3::auth::{Payload, Signer};
use cairn_s3::checksum::Algorithm;
use cairn_s3::checksum::{Checksum, Hasher};
use cairn_s3::chunked::Encoder;
use cairn_types::{Clock as _, SystemClock};
use http::request::Parts;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use md5::{Digest as _, Md5};
use tokio::net::TcpStream;

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) access_key: String,
    pub(crate) secret: String,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The text of all elements of this name.
    pub(crate) fn all(&self, element: &str) -> Vec<&str> {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        self.text().split(&open).skip(1).map(|rest| rest.split(&close).next().unwrap()).collect()
    }

    pub(crate) fn element(&self, element: &str) -> &str {
        self.all(element).first().copied().unwrap_or_default()
    }

    /// Status and code, of an error.
    pub(crate) fn refusal(&self) -> (u16, &str) {
        (self.status, self.element("Code"))
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text());
        self
    }
}

/// A request, as it will be signed.
pub(crate) struct Draft {
    method: Method,
    target: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Draft {
    pub(crate) fn new(method: Method, target: &str) -> Self {
        Self { method, target: target.to_owned(), headers: Vec::new(), body: Bytes::new() }
    }

    /// The same for another target.
    pub(crate) fn to(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}

impl Client {
    pub(crate) fn new(address: SocketAddr, access_key: &str, secret: &str) -> Self {
        Self { address, access_key: access_key.to_owned(), secret: secret.to_owned() }
    }

    /// The same key at another gateway.
    pub(crate) fn at(&self, address: SocketAddr) -> Self {
        Self { address, ..self.clone() }
    }

    pub(crate) async fn get(&self, target: &str) -> Reply {
        self.send(Draft::new(Method::GET, target)).await
    }

    pub(crate) async fn head(&self, target: &str) -> Reply {
        self.send(Draft::new(Method::HEAD, target)).await
    }

    pub(crate) async fn put(&self, target: &str, body: impl Into<Bytes>) -> Reply {
        self.send(Draft::new(Method::PUT, target).body(body)).await
    }

    pub(crate) async fn delete(&self, target: &str) -> Reply {
        self.send(Draft::new(Method::DELETE, target)).await
    }

    pub(crate) async fn post(&self, target: &str, body: impl Into<Bytes>) -> Reply {
        self.send(Draft::new(Method::POST, target).body(body)).await
    }

    /// DeleteObjects, with the digest it must have.
    pub(crate) async fn delete_many(&self, bucket: &str, body: impl Into<Bytes>) -> Reply {
        let body = body.into();
        let md5 = STANDARD.encode(Md5::digest(&body));
        self.send(Draft::new(Method::POST, &format!("/{bucket}?delete")).header("content-md5", md5).body(body)).await
    }

    /// Signed, with the SHA-256 of the body.
    pub(crate) async fn send(&self, draft: Draft) -> Reply {
        let Checksum::Sha256(digest) = Hasher::of(Algorithm::Sha256, &draft.body) else { unreachable!() };
        let body = draft.body.clone();
        let mut parts = self.parts(draft, body.len());
        self.signer().sign(&mut parts, Payload::Sha256(digest), SystemClock.now_ms()).unwrap();
        self.exchange(parts, body).await
    }

    /// In chunks of `chunk` bytes, with a trailer where `checksum` asks for one.
    pub(crate) async fn send_chunked(&self, draft: Draft, payload: Payload, chunk: usize, checksum: bool) -> Reply {
        let body = draft.body.clone();
        let length = body.len().to_string();
        let mut draft = draft.header("x-amz-decoded-content-length", length).header("content-encoding", "aws-chunked");
        let trailer = checksum.then(|| Hasher::of(Algorithm::Crc32c, &body));
        if checksum {
            draft = draft.header("x-amz-trailer", "x-amz-checksum-crc32c");
        }
        // The length of the framed body is signed too: frame it once unsigned in spirit, with a chain of the same size.
        let mut parts = self.parts(draft, 0);
        parts.headers.remove("content-length");
        let signing = self.signer().sign(&mut parts, payload, SystemClock.now_ms()).unwrap();
        let framed = Encoder::new(signing).whole(&body, chunk, trailer.as_ref());
        self.exchange(parts, framed.into()).await
    }

    /// In one signed chunk, with `sent` in place of the bytes that were signed.
    pub(crate) async fn send_chunk_as(&self, draft: Draft, sent: &[u8]) -> Reply {
        let body = draft.body.clone();
        assert_eq!(body.len(), sent.len());
        let draft = draft.header("x-amz-decoded-content-length", body.len().to_string());
        let mut parts = self.parts(draft, 0);
        parts.headers.remove("content-length");
        let signing = self.signer().sign(&mut parts, Payload::StreamingSigned, SystemClock.now_ms()).unwrap();
        let mut framed = Encoder::new(signing).whole(&body, body.len(), None);
        let at = framed.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        framed[at..at + sent.len()].copy_from_slice(sent);
        self.exchange(parts, framed.into()).await
    }

    fn signer(&self) -> Signer<'_> {
        Signer { access_key_id: &self.access_key, secret: &self.secret, region: "us-east-1" }
    }

    pub(crate) fn parts(&self, draft: Draft, length: usize) -> Parts {
        let mut request = Request::builder().method(draft.method).uri(draft.target);
        request = request.header("host", self.address.to_string()).header("content-length", length);
        for (name, value) in draft.headers {
            request = request.header(name, value);
        }
        request.body(()).unwrap().into_parts().0
    }

    /// A link anyone may use.
    pub(crate) fn presign(&self, method: Method, target: &str, expires_s: u64, now_ms: u64) -> Parts {
        let mut parts = self.parts(Draft::new(method, target), 0);
        parts.headers.remove("content-length");
        self.signer().presign(&mut parts, expires_s, now_ms).unwrap();
        parts
    }

    /// Sends what is given, as it is.
    pub(crate) async fn exchange(&self, parts: Parts, body: Bytes) -> Reply {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(tcp)).await.unwrap();
        let connection = tokio::spawn(connection);
        let response = sender.send_request(Request::from_parts(parts, Full::new(body))).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        drop(sender);
        drop(connection.await);
        Reply { status: head.status.as_u16(), headers: head.headers, body }
    }
}

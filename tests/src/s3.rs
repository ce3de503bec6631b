//! A small S3 client with a signer of its own, so that the gateway's verifier is not its own judge.
//!
//! It signs by AWS's description of Signature Version 4 (header form), sends exactly what it is told, and returns
//! every answer as it came: tests look at status, headers and bytes.

mod links;

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::cluster::Ready;

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The text of the first XML element `name`, unescaped as far as tests need.
    #[must_use]
    pub fn element(&self, name: &str) -> Option<String> {
        self.elements(name).into_iter().next()
    }

    #[must_use]
    pub fn elements(&self, name: &str) -> Vec<String> {
        let text = self.text();
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let parts = text.split(&open).skip(1).filter_map(|rest| rest.split(&close).next());
        parts.map(unescape).collect()
    }

    pub fn expect(self, status: u16) -> Result<Self> {
        ensure!(self.status == status, "expected {status}, got {}: {}", self.status, self.text());
        Ok(self)
    }
}

fn unescape(text: &str) -> String {
    let named = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    named.replace("&#34;", "\"").replace("&#39;", "'").replace("&amp;", "&")
}

/// One connection to one gateway; connects again when it broke.
#[derive(Debug)]
pub struct S3 {
    host: String,
    region: String,
    access_key: String,
    secret_key: String,
    /// No answer after this long is an error, with the outcome unknown.
    pub patience: Duration,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl S3 {
    /// A client of the gateway at `endpoint` (`http://host:port`).
    #[must_use]
    pub fn new(endpoint: &str, ready: &Ready) -> Self {
        Self {
            host: endpoint.trim_start_matches("http://").to_owned(),
            region: ready.region.clone(),
            access_key: ready.access_key.clone(),
            secret_key: ready.secret_key.clone(),
            patience: Duration::from_secs(60),
            connection: None,
        }
    }

    /// The same gateway, asked by another key, on a connection of its own.
    #[must_use]
    pub fn by(&self, access_key: &str, secret_key: &str) -> Self {
        Self {
            host: self.host.clone(),
            region: self.region.clone(),
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            patience: self.patience,
            connection: None,
        }
    }

    /// `host:port` of its gateway.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    #[must_use]
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    #[must_use]
    pub fn secret_key(&self) -> &str {
        &self.secret_key
    }

    /// A client of the cluster's first gateway.
    pub fn first(ready: &Ready) -> Result<Self> {
        Ok(Self::new(ready.s3_endpoint.as_deref().context("no S3 endpoint")?, ready))
    }

    /// Sends one signed request. `path` is not encoded yet and begins with `/`; `query` neither.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Reply> {
        let request = self.signed(method, path, query, headers, body.into())?;
        self.exchange(request).await
    }

    pub async fn put(&mut self, bucket: &str, key: &str, body: impl Into<Bytes>) -> Result<Reply> {
        self.send(Method::PUT, &format!("/{bucket}/{key}"), &[], &[], body).await
    }

    pub async fn get(&mut self, bucket: &str, key: &str) -> Result<Reply> {
        self.send(Method::GET, &format!("/{bucket}/{key}"), &[], &[], Bytes::new()).await
    }

    pub async fn head(&mut self, bucket: &str, key: &str) -> Result<Reply> {
        self.send(Method::HEAD, &format!("/{bucket}/{key}"), &[], &[], Bytes::new()).await
    }

    pub async fn delete(&mut self, bucket: &str, key: &str) -> Result<Reply> {
        self.send(Method::DELETE, &format!("/{bucket}/{key}"), &[], &[], Bytes::new()).await
    }

    /// One page of ListObjectsV2.
    pub async fn list(&mut self, bucket: &str, query: &[(&str, &str)]) -> Result<Reply> {
        let mut all = vec![("list-type", "2")];
        all.extend(query);
        self.send(Method::GET, &format!("/{bucket}"), &all, &[], Bytes::new()).await
    }

    /// Every key of a bucket under `prefix`, by pages of `page`.
    pub async fn keys(&mut self, bucket: &str, prefix: &str, page: &str) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut query = vec![("prefix", prefix), ("max-keys", page)];
            if let Some(token) = &token {
                query.push(("continuation-token", token));
            }
            let reply = self.list(bucket, &query).await?.expect(200)?;
            keys.extend(reply.elements("Key"));
            match reply.element("NextContinuationToken") {
                Some(next) => token = Some(next),
                None => return Ok(keys),
            }
        }
    }

    /// A request as it would be sent, for tests that change it first.
    pub fn signed(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>> {
        let stamp = stamp()?;
        let date = &stamp[..8];
        let mut signed: Vec<(String, String)> =
            headers.iter().map(|(name, value)| (name.to_lowercase(), (*value).to_owned())).collect();
        signed.push(("host".to_owned(), self.host.clone()));
        signed.push(("x-amz-content-sha256".to_owned(), UNSIGNED.to_owned()));
        signed.push(("x-amz-date".to_owned(), stamp.clone()));
        signed.sort();
        let names = signed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
        let lines: String = signed.iter().map(|(name, value)| format!("{name}:{}\n", fold(value))).collect();
        let (uri, query) = (encode(path, true), canonical_query(query));
        let canonical = format!("{method}\n{uri}\n{query}\n{lines}\n{names}\n{UNSIGNED}");
        let scope = format!("{date}/{}/s3/aws4_request", self.region);
        let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));
        let signature = self.signature(date, &to_sign)?;
        let access = &self.access_key;
        // Said also where it is zero: S3 wants to know before the body comes.
        let length = body.len();
        let has_body = method == Method::PUT || method == Method::POST;
        let mut request =
            Request::builder().method(method).uri(if query.is_empty() { uri } else { format!("{uri}?{query}") });
        for (name, value) in &signed {
            request = request.header(name, value);
        }
        if has_body {
            request = request.header("content-length", length);
        }
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={names}, Signature={signature}");
        Ok(request.header("authorization", authorization).body(Full::new(body))?)
    }

    /// The signature of `text` on a day, in hexadecimal digits.
    fn signature(&self, date: &str, text: &str) -> Result<String> {
        let mut key = hmac(format!("AWS4{}", self.secret_key).as_bytes(), date)?;
        for part in [self.region.as_str(), "s3", "aws4_request"] {
            key = hmac(&key, part)?;
        }
        Ok(hex::encode(hmac(&key, text)?))
    }

    /// Sends a request as it is.
    pub async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Reply> {
        let patience = self.patience;
        match timeout(patience, self.exchange_now(request)).await {
            Ok(reply) => reply,
            Err(_) => {
                self.connection = None;
                bail!("no answer after {patience:?}")
            }
        }
    }

    async fn exchange_now(&mut self, request: Request<Full<Bytes>>) -> Result<Reply> {
        let mut sender = match self.connection.take() {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        if sender.ready().await.is_err() {
            sender = self.connect().await?;
        }
        let response = sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        self.connection = Some(sender);
        Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(&self.host).await.with_context(|| format!("connecting to {}", self.host))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            // Its end is seen by the sender.
            connection.await.ok();
        });
        Ok(sender)
    }
}

/// Runs of spaces count as one in what is signed.
fn fold(value: &str) -> String {
    value.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn hmac(key: &[u8], text: &str) -> Result<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key)?;
    mac.update(text.as_bytes());
    Ok(mac.finalize().into_bytes().to_vec())
}

fn canonical_query(query: &[(&str, &str)]) -> String {
    // By name, then value: not by the joined text, for `-` is below `=`.
    let mut pairs: Vec<(String, String)> =
        query.iter().map(|(name, value)| (encode(name, false), encode(value, false))).collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// Percent-encodes all but unreserved characters (RFC 3986), and `/` where it separates.
#[must_use]
pub fn encode(text: &str, keep_slash: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || (keep_slash && byte == b'/') {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("writing to a string");
        }
    }
    out
}

/// Now, as `20260102T030405Z`.
fn stamp() -> Result<String> {
    let now_ms = cairn_types::Clock::now_ms(&cairn_types::SystemClock);
    let now = time::OffsetDateTime::from_unix_timestamp(i64::try_from(now_ms / 1000)?)?;
    Ok(now.format(time::macros::format_description!("[year][month][day]T[hour][minute][second]Z"))?)
}

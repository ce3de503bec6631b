//! Signed requests to one bucket of one gateway, one connection each.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use cairn_s3::auth::{Payload, Signer};
use cairn_types::{Clock as _, SystemClock};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Where requests go, and as whom.
pub(super) struct Target {
    /// host:port.
    pub(super) host: String,
    pub(super) region: String,
    pub(super) bucket: String,
    pub(super) access_key: String,
    pub(super) secret_key: String,
}

/// host:port of a plain HTTP endpoint.
pub(super) fn plain_http(url: &str) -> Result<String> {
    let host = url.strip_prefix("http://").map(str::to_owned);
    host.with_context(|| format!("{url} is HTTPS, which would be measured too: bench needs plain HTTP"))
}

impl Target {
    pub(super) async fn connect(&self) -> Result<Connection<'_>> {
        let stream = TcpStream::connect(&self.host).await.with_context(|| format!("connecting to {}", self.host))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        drop(tokio::spawn(async move {
            // Its end is seen by the sender.
            connection.await.ok();
        }));
        Ok(Connection { target: self, sender })
    }
}

/// One connection; one request at a time.
pub(super) struct Connection<'a> {
    target: &'a Target,
    sender: SendRequest<Full<Bytes>>,
}

impl Connection<'_> {
    /// Sends a request about `rest`, a key or `?` and a query, both encoded already; answers the body of a `status`.
    pub(super) async fn send(&mut self, method: Method, rest: &str, body: Bytes, status: u16) -> Result<Bytes> {
        let target = self.target;
        let slash = if rest.starts_with('?') { "" } else { "/" };
        let uri = format!("/{}{slash}{rest}", target.bucket);
        let request = Request::builder().method(method).uri(&uri).header("host", &target.host);
        let (mut parts, body) = request.header("content-length", body.len()).body(Full::new(body))?.into_parts();
        let signer = Signer { access_key_id: &target.access_key, secret: &target.secret_key, region: &target.region };
        signer.sign(&mut parts, Payload::Unsigned, SystemClock.now_ms())?;
        self.sender.ready().await?;
        let response = self.sender.send_request(Request::from_parts(parts, body)).await?;
        let got = response.status().as_u16();
        let answer = response.into_body().collect().await?.to_bytes();
        ensure!(got == status, "{uri}: expected {status}, got {got}: {}", String::from_utf8_lossy(&answer));
        Ok(answer)
    }
}

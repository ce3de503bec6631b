//! The body of a request, with its time-outs.

use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

/// A body must bring this many bytes in each idle period, or end: a trickle is not progress.
const MIN_PROGRESS: u64 = 4096;

/// Why no more of a body comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InboundError {
    #[error("the body stalled")]
    Stalled,
    #[error("the connection ended inside the body")]
    Cut,
}

/// A request's body as it arrives. Its first read sends `100 Continue` where the client waits for that.
pub(crate) struct Inbound {
    body: Incoming,
    patience: Duration,
    begun: bool,
    ended: bool,
    /// The current idle period's begin, and the bytes it brought. Time between two reads (waiting for memory, for
    /// replicas) is ours, not the client's, and does not count.
    period: (Instant, u64),
    left_at: Instant,
    received: u64,
}

impl Inbound {
    pub(crate) fn new(body: Incoming, patience: Duration) -> Self {
        let ended = body.is_end_stream();
        Self { body, patience, begun: false, ended, period: (Instant::now(), 0), left_at: Instant::now(), received: 0 }
    }

    /// The next bytes, never none; none at the end. Trailers of HTTP's own are dropped: S3's stand in the body.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, InboundError> {
        self.begun |= !self.ended;
        self.period.0 += self.left_at.elapsed();
        let chunk = self.timed_chunk().await;
        self.left_at = Instant::now();
        chunk
    }

    async fn timed_chunk(&mut self) -> Result<Option<Bytes>, InboundError> {
        while !self.ended {
            let frame = timeout_at(self.period.0 + self.patience, self.body.frame()).await;
            match frame {
                Err(_) if self.period.1 >= MIN_PROGRESS => self.period = (Instant::now(), 0),
                Err(_) => return Err(InboundError::Stalled),
                Ok(None) => self.ended = true,
                Ok(Some(Err(_))) => {
                    self.ended = true;
                    return Err(InboundError::Cut);
                }
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        self.period.1 = self.period.1.saturating_add(data.len() as u64);
                        self.received = self.received.saturating_add(data.len() as u64);
                        return Ok(Some(data));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Whether a client that waits for `100 Continue` got it: it does when a body that is not empty is first read.
    pub(crate) const fn begun(&self) -> bool {
        self.begun
    }

    /// Bytes so far, framing included.
    pub(crate) const fn received(&self) -> u64 {
        self.received
    }

    pub(crate) const fn ended(&self) -> bool {
        self.ended
    }

    /// Reads and forgets the rest, so that the client reads the answer instead of an error of its own. False: there
    /// was more than `limit` bytes of it, or it did not come in time.
    pub(crate) async fn drain(&mut self, limit: u64, patience: Duration) -> bool {
        let mut left = limit;
        let deadline = Instant::now() + patience;
        loop {
            match timeout_at(deadline, self.chunk()).await {
                Ok(Ok(None)) => return true,
                Ok(Ok(Some(data))) => match left.checked_sub(data.len() as u64) {
                    Some(rest) => left = rest,
                    None => return false,
                },
                Ok(Err(_)) | Err(_) => return false,
            }
        }
    }
}

//! The kinds of operations, and how many of them run at a time.

use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use futures_util::future::try_join_all;
use http::Method;

use super::client::Target;

const SMALL: usize = 4 << 10;
const LARGE: usize = 1 << 20;
/// Objects that one listing answers.
const LISTED: &str = "1000";

/// One kind of operation. In this order they find what they need: what one writes, later ones read and delete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Put4K,
    Get4K,
    Head,
    List,
    Delete,
    Put1M,
    Get1M,
}

impl Kind {
    pub(super) const ALL: [Kind; 7] =
        [Kind::Put4K, Kind::Get4K, Kind::Head, Kind::List, Kind::Delete, Kind::Put1M, Kind::Get1M];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Kind::Put4K => "PUT 4 KiB",
            Kind::Get4K => "GET 4 KiB",
            Kind::Head => "HEAD",
            Kind::List => "LIST 1,000",
            Kind::Delete => "DELETE",
            Kind::Put1M => "PUT 1 MiB",
            Kind::Get1M => "GET 1 MiB",
        }
    }

    /// Large ones are measured a tenth as often.
    pub(super) const fn is_large(self) -> bool {
        matches!(self, Kind::List | Kind::Put1M | Kind::Get1M)
    }

    /// Method, key or query, body and status of the `n`th.
    fn shape(self, n: u32) -> (Method, String, Bytes, u16) {
        let small = || format!("small/{n:07}");
        let large = || format!("large/{n:07}");
        match self {
            Kind::Put4K => (Method::PUT, small(), body(n, SMALL), 200),
            Kind::Get4K => (Method::GET, small(), Bytes::new(), 200),
            Kind::Head => (Method::HEAD, small(), Bytes::new(), 200),
            Kind::List => (Method::GET, format!("?list-type=2&max-keys={LISTED}&prefix=small%2F"), Bytes::new(), 200),
            Kind::Delete => (Method::DELETE, small(), Bytes::new(), 204),
            Kind::Put1M => (Method::PUT, large(), body(n, LARGE), 200),
            Kind::Get1M => (Method::GET, large(), Bytes::new(), 200),
        }
    }
}

/// Bytes that no other `n` has, so that nothing is deduplicated.
fn body(n: u32, size: usize) -> Bytes {
    let mut state = u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut words = Vec::with_capacity(size);
    while words.len() < size {
        // Marsaglia's xorshift64.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        words.extend_from_slice(&state.to_le_bytes());
    }
    words.truncate(size);
    words.into()
}

/// How long operations took.
pub(super) struct Timing {
    /// Sorted.
    each: Vec<Duration>,
    pub(super) took: Duration,
}

impl Timing {
    /// The time within which `percent` of them were done.
    pub(super) fn share(&self, percent: usize) -> Duration {
        let at = (self.each.len() * percent / 100).min(self.each.len().saturating_sub(1));
        self.each.get(at).copied().unwrap_or_default()
    }
}

/// Runs `count` operations, `in_flight` at a time.
pub(super) async fn run(target: &Target, kind: Kind, count: u32, in_flight: u32) -> Result<Timing> {
    let began = Instant::now();
    let lanes = (0..in_flight).map(async |lane| {
        let mut connection = target.connect().await?;
        let mut times = Vec::new();
        for n in (lane..count).step_by(in_flight as usize) {
            let (method, rest, body, status) = kind.shape(n);
            let began = Instant::now();
            connection.send(method, &rest, body, status).await?;
            times.push(began.elapsed());
        }
        anyhow::Ok(times)
    });
    let mut each = try_join_all(lanes).await?.concat();
    let took = began.elapsed();
    each.sort_unstable();
    Ok(Timing { each, took })
}

/// Deletes every object of the bucket, however far a run came.
pub(super) async fn empty(target: &Target, in_flight: u32) -> Result<()> {
    let mut connection = target.connect().await?;
    loop {
        let query = format!("?list-type=2&max-keys={LISTED}");
        let listing = connection.send(Method::GET, &query, Bytes::new(), 200).await?;
        let listing = String::from_utf8_lossy(&listing).into_owned();
        // The keys are ours: they need no unescaping.
        let keys: Vec<&str> = listing.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next()).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let lanes = (0..in_flight as usize).map(async |lane| {
            let mut connection = target.connect().await?;
            for key in keys.iter().skip(lane).step_by(in_flight as usize) {
                connection.send(Method::DELETE, key, Bytes::new(), 204).await?;
            }
            anyhow::Ok(())
        });
        try_join_all(lanes).await?;
    }
}

//! What an operation costs: CPU time of all daemons together, and wall time, with fsync on.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::Method;

use crate::cluster::Cluster;
use crate::pattern;
use crate::s3::S3;

/// Requests under way at a time.
pub const IN_FLIGHT: usize = 8;

/// One kind of operation, and what it may cost on three nodes (CPU-ms of all processes; the issue's own figures).
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    pub name: &'static str,
    pub cpu_ms: f64,
}

pub const PUT_4K: Goal = Goal { name: "PUT 4 KiB", cpu_ms: 1.2 };
pub const PUT_1M: Goal = Goal { name: "PUT 1 MiB", cpu_ms: 12.0 };
pub const GET_4K: Goal = Goal { name: "GET 4 KiB", cpu_ms: 0.25 };
pub const GET_1M: Goal = Goal { name: "GET 1 MiB", cpu_ms: 1.5 };
pub const HEAD: Goal = Goal { name: "HEAD", cpu_ms: 0.2 };
pub const LIST: Goal = Goal { name: "LIST 1,000", cpu_ms: 4.0 };
pub const DELETE: Goal = Goal { name: "DELETE", cpu_ms: 1.0 };

/// What was measured.
#[derive(Clone, Debug)]
pub struct Cost {
    pub goal: Goal,
    pub operations: usize,
    pub cpu_ms: f64,
    pub median: Duration,
    pub p99: Duration,
    pub per_second: f64,
}

impl Cost {
    #[must_use]
    pub fn line(&self) -> String {
        format!(
            "{:<11} {:>8.3} CPU-ms (goal {:>5.2})   median {:>9.2?}   p99 {:>9.2?}   {:>8.0}/s   n={}",
            self.goal.name, self.cpu_ms, self.goal.cpu_ms, self.median, self.p99, self.per_second, self.operations
        )
    }
}

/// Measures every operation on `cluster`; `scale` is the number of small operations of each kind.
pub async fn measure(cluster: &Cluster, scale: usize) -> Result<Vec<Cost>> {
    let small = Bytes::from(pattern(1, 4096));
    let large = (scale / 10).max(20);
    let mut costs = Vec::new();
    // Warm caches and connections first: they are not what an operation costs.
    each(cluster, PUT_4K, 64, |n| (Method::PUT, format!("warm/{n}"), small.clone(), 200)).await?;
    costs.push(each(cluster, PUT_4K, scale, |n| (Method::PUT, format!("small/{n:06}"), small.clone(), 200)).await?);
    costs.push(each(cluster, GET_4K, scale, |n| (Method::GET, format!("small/{n:06}"), Bytes::new(), 200)).await?);
    costs.push(each(cluster, HEAD, scale, |n| (Method::HEAD, format!("small/{n:06}"), Bytes::new(), 200)).await?);
    let list = "?list-type=2&max-keys=1000&prefix=small%2F";
    costs.push(each(cluster, LIST, large, |_| (Method::GET, list.to_owned(), Bytes::new(), 200)).await?);
    costs.push(each(cluster, DELETE, scale, |n| (Method::DELETE, format!("small/{n:06}"), Bytes::new(), 204)).await?);
    let body = |n: usize| Bytes::from(pattern(n as u64 + 1000, 1 << 20));
    costs.push(each(cluster, PUT_1M, large, |n| (Method::PUT, format!("large/{n:06}"), body(n), 200)).await?);
    costs.push(
        each(cluster, GET_1M, large * 2, |n| (Method::GET, format!("large/{:06}", n % large), Bytes::new(), 200))
            .await?,
    );
    Ok(costs)
}

type Shape = (Method, String, Bytes, u16);

async fn each(cluster: &Cluster, goal: Goal, operations: usize, shape: impl Fn(usize) -> Shape) -> Result<Cost> {
    let bucket = &cluster.ready.bucket;
    let (before, began) = (cluster.cpu()?, Instant::now());
    let lanes = (0..IN_FLIGHT).map(|lane| {
        let mut s3 = S3::first(&cluster.ready);
        let shape = &shape;
        async move {
            let s3 = s3.as_mut().map_err(|error| anyhow::anyhow!("{error:#}"))?;
            let mut times = Vec::new();
            for n in (lane..operations).step_by(IN_FLIGHT) {
                let (method, key, body, status) = shape(n);
                let began = Instant::now();
                let reply = send(s3, bucket, method, &key, body).await?;
                ensure!(reply == status, "{} {key}: expected {status}, got {reply}", goal.name);
                times.push(began.elapsed());
            }
            anyhow::Ok(times)
        }
    });
    let mut times: Vec<Duration> = futures_util::future::try_join_all(lanes).await?.concat();
    let (took, used) = (began.elapsed(), cluster.cpu()?.saturating_sub(before));
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    Ok(Cost {
        goal,
        operations,
        cpu_ms: used.as_secs_f64() * 1000.0 / operations as f64,
        median: at(50),
        p99: at(99),
        per_second: operations as f64 / took.as_secs_f64(),
    })
}

/// `key` may be a query of the bucket instead.
async fn send(s3: &mut S3, bucket: &str, method: Method, key: &str, body: Bytes) -> Result<u16> {
    let Some(query) = key.strip_prefix('?') else {
        return Ok(s3.send(method, &format!("/{bucket}/{key}"), &[], &[], body).await?.status);
    };
    let pairs: Vec<(String, String)> = query
        .split('&')
        .map(|pair| {
            let (name, value) = pair.split_once('=').context("a query is made of name=value")?;
            Ok((name.to_owned(), value.replace("%2F", "/")))
        })
        .collect::<Result<_>>()?;
    let query: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Ok(s3.send(method, &format!("/{bucket}"), &query, &[], body).await?.status)
}

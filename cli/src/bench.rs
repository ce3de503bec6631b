//! `cairn bench`: what operations cost on a running cluster.
//!
//! One kind of operation after the other runs against one gateway, a bounded number at a time. Three things are
//! measured: how long each takes, the CPU time of the daemons on this machine, and what the gateway sent to replicas
//! ([`Traffic`]): rounds are round trips that an operation waits for.

mod client;
mod load;

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use cairn_proto::admin::v1::Traffic;
use cairn_types::Entropy as _;
use clap::Args;
use serde::Serialize;

use self::client::{Target, plain_http};
use self::load::{Kind, Timing};
use crate::client::Client;
use crate::locate::Location;
use crate::output::{self, say};

/// Measures what operations cost: time, CPU of the daemons on this machine, round trips.
///
/// Works in a bucket and with a key of its own, which it removes at the end.
#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    /// Small operations of each kind; of large ones, and of listings, a tenth.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    operations: u32,
    /// Requests under way at a time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256))]
    in_flight: u32,
}

/// What one kind of operation cost, on average where nothing else is said.
#[derive(Serialize, Debug)]
struct Row {
    operation: &'static str,
    count: u32,
    /// Of all daemons that run on this machine; none where none does.
    cpu_ms: Option<f64>,
    median_ms: f64,
    p99_ms: f64,
    per_second: f64,
    table_rounds: f64,
    table_calls: f64,
    block_rounds: f64,
    block_calls: f64,
    hint_calls: f64,
}

pub(crate) async fn run(args: BenchArgs, location: Location, json: bool) -> Result<()> {
    let pids = location.pids().to_vec();
    let client = location.client()?.pinned().await?;
    let suffix = cairn_types::SystemEntropy.next_u64();
    let bucket = format!("cairn-bench-{suffix:016x}");
    let (url, region) = endpoint(&client).await?;
    let host = plain_http(&url)?;
    let key = client.create_key(&bucket, false, None).await?;
    let target = Target { host, region, bucket, access_key: key.0, secret_key: key.1 };
    let measured = in_own_bucket(&args, &client, &target, &pids).await;
    client.delete_key(&target.access_key).await?;
    show(&measured?, json)
}

/// Measures in a bucket that is there for this alone.
async fn in_own_bucket(args: &BenchArgs, client: &Client, target: &Target, pids: &[u32]) -> Result<Vec<Row>> {
    let bucket = &target.bucket;
    client.create_bucket(bucket, &target.access_key).await?;
    let measured = measure(args, client, target, pids).await;
    let emptied = load::empty(target, args.in_flight).await;
    let removed = client.delete_bucket(bucket).await.with_context(|| format!("removing bucket {bucket}"));
    let rows = measured?;
    emptied.and(removed).map(|()| rows)
}

/// The S3 endpoint of the gateway that answers `client`, and its region.
async fn endpoint(client: &Client) -> Result<(String, String)> {
    let status = client.status().await?;
    ensure!(status.ready, "the cluster does not serve: {}", status.notes.join("; "));
    let region = status.region;
    let mut nodes = status.view.into_iter().flat_map(|view| view.nodes).filter_map(|node| node.record);
    let own = nodes.find(|record| client.speaks_to(&record.address) && !record.s3_url.is_empty());
    own.map(|record| (record.s3_url, region)).context("the gateway has no S3 listener")
}

async fn measure(args: &BenchArgs, client: &Client, target: &Target, pids: &[u32]) -> Result<Vec<Row>> {
    load::run(target, Kind::Put4K, 64, args.in_flight).await.context("warming up")?;
    let mut rows = Vec::new();
    for kind in Kind::ALL {
        let count = if kind.is_large() { (args.operations / 10).max(20) } else { args.operations };
        let (traffic, cpu) = (traffic(client).await?, cpu(pids)?);
        let timing = load::run(target, kind, count, args.in_flight).await.with_context(|| kind.name())?;
        let used = cpu_since(cpu, pids)?;
        rows.push(Row::new(kind, count, used, &timing, traffic, self::traffic(client).await?));
    }
    Ok(rows)
}

async fn traffic(client: &Client) -> Result<Traffic> {
    client.status().await?.traffic.context("the gateway is too old: it does not count its calls")
}

/// CPU time that the daemons of this machine have used; none: there are none.
fn cpu(pids: &[u32]) -> Result<Option<Duration>> {
    if pids.is_empty() {
        return Ok(None);
    }
    pids.iter().map(|pid| cpu_of(*pid)).sum::<Result<Duration>>().map(Some)
}

fn cpu_since(before: Option<Duration>, pids: &[u32]) -> Result<Option<Duration>> {
    Ok(cpu(pids)?.zip(before).map(|(now, before)| now.saturating_sub(before)))
}

/// Fields 14 and 15 of proc_pid_stat(5), counted after the name, which may hold anything: user and system ticks of all
/// threads, ended ones too.
fn cpu_of(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} is gone"))?;
    let rest = stat.rsplit(')').next().context("no name in stat")?;
    let ticks: u64 = rest.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap_or(0)).sum();
    Ok(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()))
}

impl Row {
    fn new(kind: Kind, count: u32, cpu: Option<Duration>, timing: &Timing, before: Traffic, after: Traffic) -> Self {
        let each = |counter: fn(&Traffic) -> u64| {
            let sent = counter(&after).saturating_sub(counter(&before));
            f64::from(u32::try_from(sent).unwrap_or(u32::MAX)) / f64::from(count)
        };
        Self {
            operation: kind.name(),
            count,
            cpu_ms: cpu.map(|cpu| cpu.as_secs_f64() * 1000.0 / f64::from(count)),
            median_ms: timing.share(50).as_secs_f64() * 1000.0,
            p99_ms: timing.share(99).as_secs_f64() * 1000.0,
            per_second: f64::from(count) / timing.took.as_secs_f64(),
            table_rounds: each(|traffic| traffic.table_rounds),
            table_calls: each(|traffic| traffic.table_calls),
            block_rounds: each(|traffic| traffic.block_rounds),
            block_calls: each(|traffic| traffic.block_calls),
            hint_calls: each(|traffic| traffic.hint_calls),
        }
    }
}

fn show(rows: &[Row], json: bool) -> Result<()> {
    if json {
        return output::json(&rows);
    }
    let header = [
        "OPERATION",
        "COUNT",
        "CPU-MS",
        "MEDIAN MS",
        "P99 MS",
        "PER SECOND",
        "TABLE ROUNDS",
        "CALLS",
        "BLOCK ROUNDS",
        "CALLS",
    ];
    output::table(
        header,
        rows.iter().map(|row| {
            [
                row.operation.to_owned(),
                row.count.to_string(),
                row.cpu_ms.map_or_else(|| "-".to_owned(), |cpu| format!("{cpu:.3}")),
                format!("{:.2}", row.median_ms),
                format!("{:.2}", row.p99_ms),
                format!("{:.0}", row.per_second),
                format!("{:.2}", row.table_rounds),
                format!("{:.2}", row.table_calls + row.hint_calls),
                format!("{:.2}", row.block_rounds),
                format!("{:.2}", row.block_calls),
            ]
        }),
    );
    if rows.iter().any(|row| row.cpu_ms.is_none()) {
        say!("No CPU figures: the daemons do not run on this machine, or --cluster does not name their ready file.");
    }
    Ok(())
}

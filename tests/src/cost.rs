//! What an operation costs, by `cairn bench`, against what it may cost.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::cluster::{Cluster, cairn};

/// One kind of operation, and what it may cost on three nodes (the issue's own figures).
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    pub operation: &'static str,
    /// CPU of all processes.
    pub cpu_ms: f64,
    /// Round trips to table and to block replicas.
    pub table_rounds: f64,
    pub block_rounds: f64,
}

const fn goal(operation: &'static str, cpu_ms: f64, table_rounds: f64, block_rounds: f64) -> Goal {
    Goal { operation, cpu_ms, table_rounds, block_rounds }
}

/// A PUT of 1 MiB has its Query under way while the block is: it waits for one round of blocks and one of rows.
pub const GOALS: [Goal; 7] = [
    goal("PUT 4 KiB", 1.2, 2.0, 0.0),
    goal("GET 4 KiB", 0.25, 1.0, 0.0),
    goal("HEAD", 0.2, 1.0, 0.0),
    goal("LIST 1,000", 4.0, 1.0, 0.0),
    goal("DELETE", 1.0, 2.0, 0.0),
    goal("PUT 1 MiB", 12.0, 2.0, 1.0),
    goal("GET 1 MiB", 1.5, 1.0, 1.0),
];

/// Rounds beyond the goal: hedges on a busy machine, and rows that a listing finds unsettled.
const MORE_ROUNDS: f64 = 0.25;

/// A line of `cairn bench --json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    pub operation: String,
    pub count: u32,
    pub cpu_ms: Option<f64>,
    pub median_ms: f64,
    pub p99_ms: f64,
    pub per_second: f64,
    pub table_rounds: f64,
    pub table_calls: f64,
    pub block_rounds: f64,
    pub block_calls: f64,
    pub hint_calls: f64,
}

impl Cost {
    fn goal(&self) -> Result<Goal> {
        let goal = GOALS.into_iter().find(|goal| goal.operation == self.operation);
        goal.with_context(|| format!("there is no goal for {}", self.operation))
    }

    pub fn line(&self) -> Result<String> {
        let goal = self.goal()?;
        Ok(format!(
            "{:<11} {:>7.3} CPU-ms (goal {:>5.2})  median {:>7.2} ms  p99 {:>7.2} ms  {:>7.0}/s  rounds {:.2} + {:.2} \
             (goal {} + {})  n={}",
            self.operation,
            self.cpu_ms.unwrap_or(f64::NAN),
            goal.cpu_ms,
            self.median_ms,
            self.p99_ms,
            self.per_second,
            self.table_rounds,
            self.block_rounds,
            goal.table_rounds,
            goal.block_rounds,
            self.count
        ))
    }

    /// Checks it against its goal; `margin` is for the CPU of a machine that does other things too.
    pub fn check(&self, margin: f64) -> Result<()> {
        let goal = self.goal()?;
        let cpu_ms = self.cpu_ms.context("cairn bench found no daemons on this machine")?;
        ensure!(cpu_ms <= goal.cpu_ms * margin, "too much CPU: {}", self.line()?);
        ensure!(self.table_rounds <= goal.table_rounds + MORE_ROUNDS, "too many rounds of rows: {}", self.line()?);
        ensure!(self.block_rounds <= goal.block_rounds + MORE_ROUNDS, "too many rounds of blocks: {}", self.line()?);
        Ok(())
    }
}

/// Runs `cairn bench` on `cluster`; `operations` is the number of small operations of each kind.
pub fn measure(cluster: &Cluster, operations: u32) -> Result<Vec<Cost>> {
    let mut command = Command::new(cairn()?);
    command.args(["bench", "--json", "--operations", &operations.to_string(), "--cluster"]).arg(cluster.data_dir());
    let output = command.output().context("starting cairn bench")?;
    ensure!(output.status.success(), "cairn bench failed: {}", String::from_utf8_lossy(&output.stderr));
    let costs: Vec<Cost> = serde_json::from_slice(&output.stdout).context("the answer of cairn bench")?;
    ensure!(costs.len() == GOALS.len(), "cairn bench measured {} kinds of operations", costs.len());
    Ok(costs)
}

//! `cairn …`, as an operator of a cluster types it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::cluster::{Cluster, cairn};

/// Whoever may change a cluster, through all its gateways or through one.
#[derive(Clone, Debug)]
pub struct Operator {
    cluster: PathBuf,
}

/// A key as its maker sees it, once.
#[derive(Clone, Debug, Deserialize)]
pub struct Key {
    pub name: String,
    #[serde(rename = "access_key")]
    pub id: String,
    #[serde(rename = "secret_key")]
    pub secret: String,
}

impl Operator {
    /// Of any gateway that answers.
    #[must_use]
    pub fn of(cluster: &Cluster) -> Self {
        Self { cluster: cluster.data_dir().to_owned() }
    }

    /// Of the gateway of one node alone; its configuration is kept in `dir`.
    pub fn through(cluster: &Cluster, node: &str, dir: &Path) -> Result<Self> {
        let path = dir.join(format!("{node}.toml"));
        let secret = cluster.data_dir().join(node).join("cluster.secret");
        let (gateway, membership) = (cluster.node(node, "gateway")?, cluster.node(node, "membership")?);
        let (gateway, membership) = (&gateway.grpc, &membership.grpc);
        let secret = secret.display();
        let text = format!("secret_file = '{secret}'\ngateways = ['{gateway}']\nmembership = ['{membership}']\n");
        fs::write(&path, text)?;
        Ok(Self { cluster: path })
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(cairn()?);
        command.arg("--cluster").arg(&self.cluster).arg("--json").args(arguments).stdin(Stdio::null());
        Ok(command)
    }

    /// What it says, and how it ended.
    pub async fn output(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command(arguments)?;
        // Not in the way of the requests that others send meanwhile.
        let output = tokio::task::spawn_blocking(move || command.output()).await?;
        output.with_context(|| format!("cairn {arguments:?}"))
    }

    /// What it says, in JSON; an error unless it succeeds.
    pub async fn run(&self, arguments: &[&str]) -> Result<Value> {
        parse(arguments, &self.output(arguments).await?)
    }

    /// The same, with a line on its standard input.
    pub async fn run_with(&self, arguments: &[&str], line: &str) -> Result<Value> {
        let mut child =
            self.command(arguments)?.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        writeln!(child.stdin.take().context("no standard input")?, "{line}")?;
        let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await??;
        parse(arguments, &output)
    }

    /// A new key, made with further `arguments`.
    pub async fn key(&self, name: &str, arguments: &[&str]) -> Result<Key> {
        let all: Vec<&str> = ["key", "create", name].iter().chain(arguments).copied().collect();
        Ok(serde_json::from_value(self.run(&all).await?)?)
    }
}

fn parse(arguments: &[&str], output: &Output) -> Result<Value> {
    ensure!(output.status.success(), "cairn {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

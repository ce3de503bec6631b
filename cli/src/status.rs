//! `cairn status`: is it up, and what is wrong.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use cairn_proto::membership::v1::NodeView;
use clap::Args;
use serde::Serialize;

use crate::client::Client;
use crate::output::{self, say};

/// Shows the cluster's nodes and whether it serves. Ends with 1 where it does not.
#[derive(Args, Debug)]
pub(crate) struct StatusArgs {}

#[derive(Serialize)]
struct StatusView {
    ready: bool,
    version: String,
    record: u64,
    epoch: u32,
    notes: Vec<String>,
    nodes: Vec<NodeRow>,
}

#[derive(Serialize)]
struct NodeRow {
    name: String,
    role: String,
    zone: String,
    address: String,
    alive: bool,
    last_heard_ms: u64,
    placed: bool,
    bytes_used: u64,
    bytes_free: u64,
    store_id: String,
}

impl NodeRow {
    fn new(node: NodeView) -> Option<Self> {
        let record = node.record?;
        let status = record.status.unwrap_or_default();
        Some(Self {
            role: record.role().as_str_name().trim_start_matches("ROLE_").to_lowercase(),
            name: record.name,
            zone: record.zone,
            address: record.address,
            alive: node.alive,
            last_heard_ms: node.last_heard_ms,
            placed: node.placed,
            bytes_used: status.bytes_used,
            bytes_free: status.bytes_free,
            store_id: hex::encode(&record.store_id),
        })
    }

    fn state(&self) -> String {
        match self.alive {
            true => "up".to_owned(),
            false => format!("down for {} s", self.last_heard_ms / 1000),
        }
    }
}

pub(crate) async fn run(_: StatusArgs, client: &Client, json: bool) -> Result<ExitCode> {
    let status = client.status().await?;
    let view = status.view.context("the answer holds no view")?;
    let record = view.record.unwrap_or_default();
    let mut nodes: Vec<NodeRow> = view.nodes.into_iter().filter_map(NodeRow::new).collect();
    nodes.sort_by(|a, b| (&a.name, &a.role).cmp(&(&b.name, &b.role)));
    let view = StatusView {
        ready: status.ready,
        version: status.version,
        record: record.number,
        epoch: record.epoch,
        notes: status.notes,
        nodes,
    };
    let code = if view.ready { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    if json {
        output::json(&view)?;
        return Ok(code);
    }
    say!("{}; record {}, epoch {}", if view.ready { "serving" } else { "NOT serving" }, view.record, view.epoch);
    for note in &view.notes {
        say!("note: {note}");
    }
    say!("");
    let rows = view.nodes.into_iter().map(|node| {
        let state = node.state();
        // Of roles that keep data; to the others the question does not apply.
        let stores = matches!(node.role.as_str(), "table" | "block");
        let bytes = |count| if stores { output::bytes(count) } else { "-".to_owned() };
        let (used, free) = (bytes(node.bytes_used), bytes(node.bytes_free));
        [node.name, node.role, node.zone, node.address, state, used, free]
    });
    output::table(["NODE", "ROLE", "ZONE", "ADDRESS", "STATE", "USED", "FREE"], rows);
    Ok(code)
}

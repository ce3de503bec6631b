//! `cairn layout`: which node holds what.

use anyhow::{Context as _, Result, ensure};
use cairn_daemon::Size;
use cairn_proto::membership::v1::layout_change::Change;
use cairn_proto::membership::v1::{
    GetLayoutResponse, LayoutChange, LayoutRecord, PreviewLayoutResponse, RemoveNode, Ring, SetNode, SetReplication,
    SetVoters, Step,
};
use clap::Subcommand;
use serde::Serialize;

use crate::client::Client;
use crate::output::{self, say};

/// The layout: which node holds what. Changes are staged, previewed, then applied or reverted.
#[derive(Subcommand, Debug)]
pub(crate) enum LayoutCommand {
    /// Shows the layout in force, staged changes, and nodes that wait for a place.
    Show,
    /// Stages a node's place, or a change of its zone, capacity or tags; or the replication; or the voters.
    Set {
        /// The node to place or change.
        node: Option<String>,
        /// Its zone [default: what the node says].
        #[arg(long, requires = "node")]
        zone: Option<String>,
        /// Its capacity: a number with a unit, such as 500GiB or 2TB [default: what the node says].
        #[arg(long, requires = "node")]
        capacity: Option<Size>,
        /// A word to know it by; may be given several times.
        #[arg(long, requires = "node", value_name = "TAG")]
        tag: Vec<String>,
        /// Copies of everything: 1, 3, 5 or 7.
        #[arg(long, value_name = "R", conflicts_with = "node")]
        replication: Option<u32>,
        /// Zones that the copies must span [default: as many as copies, where there are that many].
        #[arg(long, value_name = "Z", requires = "replication")]
        zones: Option<u32>,
        /// The membership daemons that decide about layouts: 1, 3 or 5 node names.
        #[arg(long, value_name = "NODE", value_delimiter = ',', conflicts_with_all = ["node", "replication"])]
        voters: Vec<String>,
    },
    /// Stages a node's removal.
    Remove { node: String },
    /// Shows what applying the staged changes would do.
    Preview,
    /// Applies the staged changes.
    Apply {
        /// Place every waiting node first, with its own zone and capacity, and choose replication and voters to fit.
        #[arg(long)]
        all_waiting: bool,
    },
    /// Forgets the staged changes.
    Revert,
}

#[derive(Serialize)]
struct LayoutView {
    record: u64,
    epoch: u32,
    step: &'static str,
    voters: Vec<String>,
    rings: Vec<RingView>,
    staged: Vec<String>,
    waiting: Vec<String>,
}

#[derive(Serialize)]
struct RingView {
    ring: &'static str,
    replication: u32,
    zone_redundancy: u32,
    members: Vec<MemberView>,
}

#[derive(Serialize)]
struct MemberView {
    name: String,
    zone: String,
    capacity_bytes: u64,
    partitions: usize,
    tags: Vec<String>,
    store_id: String,
}

pub(crate) async fn run(command: LayoutCommand, client: &Client, json: bool) -> Result<()> {
    match command {
        LayoutCommand::Show => show(client.layout().await?, json),
        LayoutCommand::Set { node, zone, capacity, tag, replication, zones, voters } => {
            let change = match (node, replication) {
                (Some(name), _) => Change::Set(SetNode {
                    name,
                    zone: zone.unwrap_or_default(),
                    capacity_bytes: capacity.map_or(0, Size::bytes),
                    tags: tag,
                }),
                (None, Some(replication)) => {
                    Change::Replication(SetReplication { replication, zone_redundancy: zones.unwrap_or_default() })
                }
                (None, None) => {
                    ensure!(!voters.is_empty(), "say what to set: a NODE, --replication or --voters");
                    Change::Voters(SetVoters { names: voters })
                }
            };
            stage(client, change, json).await
        }
        LayoutCommand::Remove { node } => stage(client, Change::Remove(RemoveNode { name: node }), json).await,
        LayoutCommand::Preview => preview(client.preview().await?, json),
        LayoutCommand::Apply { all_waiting } => apply(client, all_waiting, json).await,
        LayoutCommand::Revert => {
            client.revert().await?;
            show(client.layout().await?, json)
        }
    }
}

async fn stage(client: &Client, change: Change, json: bool) -> Result<()> {
    client.stage(vec![LayoutChange { change: Some(change) }]).await?;
    show(client.layout().await?, json)
}

async fn apply(client: &Client, all_waiting: bool, json: bool) -> Result<()> {
    let number = client.layout().await?.record.map(|record| record.number).unwrap_or_default();
    let reply = client.apply(number, all_waiting).await?;
    let record = reply.record.context("the answer holds no record")?;
    if json {
        return output::json(
            &serde_json::json!({ "record": record.number, "epoch": record.epoch, "notes": reply.notes }),
        );
    }
    say!("applied: record {}, epoch {}", record.number, record.epoch);
    for note in reply.notes {
        say!("note: {note}");
    }
    Ok(())
}

fn show(layout: GetLayoutResponse, json: bool) -> Result<()> {
    let view = view(layout)?;
    if json {
        return output::json(&view);
    }
    say!("record {}, epoch {}, {}; voters: {}", view.record, view.epoch, view.step, view.voters.join(", "));
    for ring in view.rings {
        say!("\n{} ring: {} copies over {} zone(s)", ring.ring, ring.replication, ring.zone_redundancy);
        let rows = ring.members.into_iter().map(|member| {
            let capacity = output::bytes(member.capacity_bytes);
            [member.name, member.zone, capacity, member.partitions.to_string(), member.tags.join(" ")]
        });
        output::table(["NODE", "ZONE", "CAPACITY", "PARTITIONS", "TAGS"], rows);
    }
    for change in view.staged {
        say!("staged: {change}");
    }
    for node in view.waiting {
        say!("waiting for a place: {node}");
    }
    Ok(())
}

fn view(layout: GetLayoutResponse) -> Result<LayoutView> {
    let record = layout.record.context("the answer holds no record")?;
    let step = step_name(&record);
    let newest = record.layouts.last();
    let rings = newest.into_iter().flat_map(|layout| [("table", &layout.table), ("block", &layout.block)]);
    let rings = rings.filter_map(|(name, ring)| ring.as_ref().map(|ring| ring_view(name, ring)));
    Ok(LayoutView {
        record: record.number,
        epoch: record.epoch,
        step,
        voters: record.voters.iter().map(|voter| voter.name.clone()).collect(),
        rings: rings.collect(),
        staged: layout.staged.into_iter().filter_map(|change| change.change).map(describe).collect(),
        waiting: layout.waiting,
    })
}

fn step_name(record: &LayoutRecord) -> &'static str {
    match record.step() {
        Step::Unspecified => "unknown",
        Step::Empty => "no layout yet: run `cairn layout apply --all-waiting`",
        Step::Stable => "stable",
        Step::ReadOld => "changing: written to both layouts, read from the old one",
        Step::ReadNew => "changing: written to both layouts, read from the new one",
    }
}

fn ring_view(name: &'static str, ring: &Ring) -> RingView {
    let indices: Vec<usize> =
        ring.assignment.chunks_exact(2).map(|pair| usize::from(u16::from_be_bytes([pair[0], pair[1]]))).collect();
    let members = ring.members.iter().enumerate().map(|(at, member)| MemberView {
        name: member.name.clone(),
        zone: member.zone.clone(),
        capacity_bytes: member.capacity_bytes,
        partitions: indices.iter().filter(|index| **index == at).count(),
        tags: member.tags.clone(),
        store_id: hex::encode(&member.store_id),
    });
    RingView {
        ring: name,
        replication: ring.replication,
        zone_redundancy: ring.zone_redundancy,
        members: members.collect(),
    }
}

fn describe(change: Change) -> String {
    match change {
        Change::Set(set) => {
            let mut text = format!("place {}", set.name);
            if !set.zone.is_empty() {
                text.push_str(&format!(" in zone {}", set.zone));
            }
            if set.capacity_bytes > 0 {
                text.push_str(&format!(" with {}", output::bytes(set.capacity_bytes)));
            }
            text
        }
        Change::Remove(remove) => format!("remove {}", remove.name),
        Change::Replication(set) => format!("keep {} copies", set.replication),
        Change::Voters(set) => format!("let {} vote", set.names.join(", ")),
    }
}

#[derive(Serialize)]
struct PreviewRow {
    name: String,
    zone: String,
    partitions_before: u32,
    partitions_after: u32,
    usable_bytes: u64,
    bytes_to_move: u64,
}

fn preview(preview: PreviewLayoutResponse, json: bool) -> Result<()> {
    let rows: Vec<PreviewRow> = preview
        .nodes
        .into_iter()
        .map(|node| PreviewRow {
            name: format!("{} ({})", node.name, node.role().as_str_name().trim_start_matches("ROLE_").to_lowercase()),
            zone: node.zone,
            partitions_before: node.partitions_before,
            partitions_after: node.partitions_after,
            usable_bytes: node.usable_bytes,
            bytes_to_move: node.bytes_to_move,
        })
        .collect();
    if json {
        return output::json(&serde_json::json!({ "nodes": rows, "notes": preview.notes }));
    }
    let cells = rows.into_iter().map(|row| {
        let partitions = format!("{} -> {}", row.partitions_before, row.partitions_after);
        [row.name, row.zone, partitions, output::bytes(row.usable_bytes), output::bytes(row.bytes_to_move)]
    });
    output::table(["NODE", "ZONE", "PARTITIONS", "USABLE", "TO MOVE"], cells);
    for note in preview.notes {
        say!("note: {note}");
    }
    Ok(())
}

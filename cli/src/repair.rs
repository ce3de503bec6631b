//! `cairn repair`: puts right what the cluster keeps beside its data, without stopping anything.

use anyhow::{Result, ensure};
use cairn_proto::admin::v1::ReplicaUsage;
use clap::Subcommand;
use serde::Serialize;

use crate::client::Client;
use crate::output;

/// Puts right what the cluster keeps beside its data.
#[derive(Subcommand, Debug)]
pub(crate) enum RepairCommand {
    /// Every replica counts a bucket's objects and bytes anew, while the bucket is in use.
    Usage { bucket: String },
}

#[derive(Serialize)]
struct ReplicaView {
    store_id: String,
    objects_before: u64,
    bytes_before: u64,
    objects: u64,
    bytes: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    error: String,
}

impl From<ReplicaUsage> for ReplicaView {
    fn from(replica: ReplicaUsage) -> Self {
        Self {
            store_id: hex::encode(&replica.store_id),
            objects_before: replica.objects_before,
            bytes_before: replica.bytes_before,
            objects: replica.objects,
            bytes: replica.bytes,
            error: replica.error,
        }
    }
}

impl ReplicaView {
    fn outcome(&self) -> String {
        if !self.error.is_empty() {
            return self.error.clone();
        }
        let right = (self.objects, self.bytes) == (self.objects_before, self.bytes_before);
        (if right { "was right" } else { "put right" }).to_owned()
    }
}

pub(crate) async fn run(command: RepairCommand, client: &Client, json: bool) -> Result<()> {
    let RepairCommand::Usage { bucket } = command;
    let replicas: Vec<ReplicaView> = client.repair_usage(&bucket).await?.into_iter().map(ReplicaView::from).collect();
    let failed = replicas.iter().filter(|replica| !replica.error.is_empty()).count();
    if json {
        output::json(&replicas)?;
    } else {
        let rows = replicas.iter().map(|replica| {
            [replica.store_id.clone(), replica.objects.to_string(), output::bytes(replica.bytes), replica.outcome()]
        });
        output::table(["STORE", "OBJECTS", "SIZE", ""], rows);
    }
    ensure!(failed == 0, "{failed} of {} replicas did not count", replicas.len());
    Ok(())
}

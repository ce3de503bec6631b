//! `cairn worker`: background work and how far it has come.

use anyhow::Result;
use cairn_proto::admin::v1::Worker;
use clap::Subcommand;
use serde::Serialize;

use crate::client::Client;
use crate::output;

/// Background work and how far it has come.
#[derive(Subcommand, Debug)]
pub(crate) enum WorkerCommand {
    /// Lists the newest run over each bucket that has work: lifecycle rules.
    List,
}

#[derive(Serialize)]
struct WorkerView {
    worker: String,
    bucket: String,
    bucket_id: String,
    phase: String,
    began_at_ms: u64,
    /// None: no run has ended yet.
    ended_at_ms: Option<u64>,
    at: String,
    objects_judged: u64,
    objects_expired: u64,
    uploads_judged: u64,
    uploads_aborted: u64,
}

impl From<Worker> for WorkerView {
    fn from(worker: Worker) -> Self {
        Self {
            worker: worker.worker,
            bucket: worker.bucket,
            bucket_id: hex::encode(&worker.bucket_id),
            phase: worker.phase,
            began_at_ms: worker.began_at_ms,
            ended_at_ms: (worker.ended_at_ms != 0).then_some(worker.ended_at_ms),
            at: String::from_utf8_lossy(&worker.at).into_owned(),
            objects_judged: worker.objects_judged,
            objects_expired: worker.objects_expired,
            uploads_judged: worker.uploads_judged,
            uploads_aborted: worker.uploads_aborted,
        }
    }
}

pub(crate) async fn run(command: WorkerCommand, client: &Client, json: bool) -> Result<()> {
    let WorkerCommand::List = command;
    let views: Vec<WorkerView> = client.list_workers().await?.into_iter().map(WorkerView::from).collect();
    if json {
        return output::json(&views);
    }
    let rows = views.into_iter().map(|run| {
        let ended = run.ended_at_ms.map_or_else(|| "-".to_owned(), output::time);
        [
            run.worker,
            run.bucket,
            run.phase,
            output::time(run.began_at_ms),
            ended,
            format!("{} of {}", run.objects_expired, run.objects_judged),
            format!("{} of {}", run.uploads_aborted, run.uploads_judged),
        ]
    });
    output::table(["WORKER", "BUCKET", "AT", "BEGAN", "LAST COMPLETE", "EXPIRED", "ABORTED"], rows);
    Ok(())
}

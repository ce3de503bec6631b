//! The gate of a bucket's shard: read by whoever meets it, closed and sealed by whoever deletes the bucket
//! (REGISTER §12 "A bucket's gate", DESIGN §5 "Deleting a bucket").
//!
//! - **K1** A bucket is sealed only after a settled list, counted from replicas that show this very closing gate,
//!   found no object (`a_bucket_with_an_object_is_not_sealed`, `replicas_without_the_gate_do_not_count`).
//! - **K2** A gate left closing by a dead deleter is opened again after [`DEAD_AFTER`]
//!   (`a_dead_deleter_does_not_block_the_bucket`).

use std::time::Duration;

use bytes::Bytes;
use cairn_model::Envelope;
use cairn_model::rows::{GateRow, TypedRow as _};
use cairn_register::Gate;
use cairn_types::{OpId, RowKey, Table};
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::{Op, OpError, UpdateError};

/// A gate that has been closing for this long has no deleter any more.
const DEAD_AFTER: Duration = Duration::from_secs(1);
/// Between looks at a gate that is closing.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How closing a bucket for ever ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sealing {
    /// The shard was empty and takes no object any more.
    Sealed,
    /// It holds an object; the gate is open again.
    NotEmpty,
}

/// Why a step of the gate does not apply: it stands otherwise.
#[derive(Clone, Debug)]
enum Stands {
    Otherwise(GateRow),
    Unreadable(String),
}

impl Cluster {
    /// Seals the gate of the shard `partition_key` if no object is in it.
    ///
    /// # Errors
    /// [`OpError::Contended`] where somebody opened the gate meanwhile; else as an update. The gate is open again then, or
    /// opened by the next who meets it.
    pub async fn seal_gate(&self, op: &Op, partition_key: Bytes) -> Result<Sealing, OpError> {
        let Some(number) = self.close_gate(op, &partition_key).await? else { return Ok(Sealing::Sealed) };
        let held = self.holds_objects(op, &partition_key, number).await;
        if let Ok(false) = held {
            return match self.turn_gate(op, &partition_key, GateRow::Closing(number), GateRow::Sealed).await {
                Ok(()) | Err(UpdateError::Refused(Stands::Otherwise(GateRow::Sealed))) => Ok(Sealing::Sealed),
                Err(UpdateError::Refused(_)) => Err(OpError::Contended),
                Err(UpdateError::Failed(error)) => Err(error),
            };
        }
        let (from, to) = (GateRow::Closing(number), GateRow::Open(number.saturating_add(1)));
        if let Err(UpdateError::Failed(error)) = self.turn_gate(op, &partition_key, from, to).await {
            tracing::warn!(%error, "a gate stays closing until somebody meets it");
        }
        held.map(|_| Sealing::NotEmpty)
    }

    /// The gate of `partition_key`, settled: open or sealed. A gate that is closing is waited for, and opened where
    /// its deleter is dead.
    pub(crate) fn read_gate(&self, op: &Op, partition_key: Bytes) -> BoxFuture<'static, Result<Gate, OpError>> {
        let (cluster, op) = (self.clone(), *op);
        Box::pin(async move {
            let mut closing: Option<(u64, Instant)> = None;
            loop {
                let number = match cluster.gate_row(&op, &partition_key).await? {
                    GateRow::Open(_) => return Ok(Gate::Open),
                    GateRow::Sealed => return Ok(Gate::Sealed),
                    GateRow::Closing(number) => number,
                };
                let now = Instant::now();
                match closing {
                    Some((known, since)) if known == number && now.duration_since(since) >= DEAD_AFTER => {
                        cluster.reopen(&op, &partition_key, number).await?;
                        continue;
                    }
                    Some((known, _)) if known == number => {}
                    _ => closing = Some((number, now)),
                }
                tokio::time::sleep_until((now + LOOK_AGAIN).min(op.deadline)).await;
                if Instant::now() >= op.deadline {
                    return Ok(Gate::Closing(number));
                }
            }
        })
    }

    async fn reopen(&self, op: &Op, partition_key: &Bytes, number: u64) -> Result<(), OpError> {
        tracing::info!(number, "opening a gate whose deleter is gone");
        let (from, to) = (GateRow::Closing(number), GateRow::Open(number.saturating_add(1)));
        match self.turn_gate(op, partition_key, from, to).await {
            Ok(()) | Err(UpdateError::Refused(Stands::Otherwise(_))) => Ok(()),
            Err(UpdateError::Refused(Stands::Unreadable(why))) => Err(OpError::Invalid(why)),
            Err(UpdateError::Failed(error)) => Err(error),
        }
    }

    /// open(g) → closing(g); answers g, or none where the gate is sealed already.
    async fn close_gate(&self, op: &Op, partition_key: &Bytes) -> Result<Option<u64>, OpError> {
        loop {
            let number = match self.gate_row(op, partition_key).await? {
                GateRow::Open(number) => number,
                GateRow::Sealed => return Ok(None),
                GateRow::Closing(_) => {
                    // Another deleter, alive or dead: it ends, or the gate is opened again.
                    if self.read_gate(op, partition_key.clone()).await? == Gate::Sealed {
                        return Ok(None);
                    }
                    continue;
                }
            };
            match self.turn_gate(op, partition_key, GateRow::Open(number), GateRow::Closing(number)).await {
                Ok(()) => return Ok(Some(number)),
                Err(UpdateError::Refused(Stands::Otherwise(_))) => {}
                Err(UpdateError::Refused(Stands::Unreadable(why))) => return Err(OpError::Invalid(why)),
                Err(UpdateError::Failed(error)) => return Err(error),
            }
            if Instant::now() >= op.deadline {
                return Err(OpError::Contended);
            }
        }
    }

    async fn gate_row(&self, op: &Op, partition_key: &Bytes) -> Result<GateRow, OpError> {
        let settled = self.read(op, gate_key(partition_key)).await?;
        decode(settled.as_ref().map(|settled| &settled.envelope)).map_err(OpError::Invalid)
    }

    /// The CAS from one state of the gate to another.
    async fn turn_gate(
        &self,
        op: &Op,
        partition_key: &Bytes,
        from: GateRow,
        to: GateRow,
    ) -> Result<(), UpdateError<Stands>> {
        let change = |current: Option<&Envelope>| {
            let stands = decode(current).map_err(Stands::Unreadable)?;
            if stands != from {
                return Err(Stands::Otherwise(stands));
            }
            Ok(Some(Envelope { value: to.encode(), ..Envelope::default() }))
        };
        let id = OpId::random(self.entropy());
        self.update(op, gate_key(partition_key), id, change).await.map(|_| ())
    }
}

fn gate_key(partition_key: &Bytes) -> RowKey {
    RowKey { table: Table::Gate, partition_key: partition_key.clone(), sort_key: Bytes::new() }
}

/// No row: open, number 0.
fn decode(envelope: Option<&Envelope>) -> Result<GateRow, String> {
    let Some(envelope) = envelope else { return Ok(GateRow::Open(0)) };
    GateRow::decode(&envelope.value).map_err(|error| format!("a gate that cannot be read: {error}"))
}

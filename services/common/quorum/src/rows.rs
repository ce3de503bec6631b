//! Operations on rows: reads, writes and conditional writes, each linearizable per key (REGISTER §5).

use bytes::Bytes;
use cairn_model::Envelope;
use cairn_model::wire::{MAX_ENVELOPE, MAX_OWNER, MAX_REFS};
use cairn_register::coordinator::Blind;
use cairn_register::{
    Applied, Base, Cas, CasFailure, Complete, Completed, Failure, Found, Read, Usage, Write, Written,
};
use cairn_rpc::CallError;
use cairn_types::{Ballot, OpId, RowKey, StoreId};
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::drive::{Drive, only};
use crate::tally::everyone;
use crate::{Op, OpError, Recount, call};

/// Keys that travel together: their rows fit one message, whatever they hold.
const TOGETHER: usize = 64;

/// A value that is known to be chosen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settled {
    pub envelope: Envelope,
    /// The operation that made it.
    pub op: OpId,
    pub accepted: Ballot,
    /// Where the chain of writes that led to it began.
    pub root: Ballot,
}

/// How a conditional write ends without success.
#[derive(Debug, Clone, thiserror::Error)]
pub enum UpdateError<R> {
    /// The condition does not hold of the settled value, and the operation was not applied (REGISTER C5).
    #[error("the condition does not hold")]
    Refused(R),
    #[error(transparent)]
    Failed(#[from] OpError),
}

impl Cluster {
    /// The row under `key`; none where there is none, or a tombstone.
    ///
    /// # Errors
    /// Any [`OpError`] but `Unknown`.
    pub async fn read(&self, op: &Op, key: RowKey) -> Result<Option<Settled>, OpError> {
        Ok(settled(self.read_row(op, key).await?))
    }

    /// The row under `key` as replicas keep it, tombstones and floors included: the base of a completion.
    ///
    /// # Errors
    /// As [`Cluster::read`].
    pub async fn read_row(&self, op: &Op, key: RowKey) -> Result<Found<Envelope>, OpError> {
        let mut drive = Drive::new(self, *op);
        drive.add(key, Read::new)?;
        only(drive).await
    }

    /// The rows under `keys`, in their order; few calls, for keys of one partition travel together.
    ///
    /// # Errors
    /// As [`Cluster::read`]; one key that cannot be read fails all.
    pub async fn read_many(&self, op: &Op, keys: Vec<RowKey>) -> Result<Vec<Option<Settled>>, OpError> {
        let found = self.read_rows(op, keys, None).await?;
        Ok(found.into_iter().map(|(_, found)| settled(found)).collect())
    }

    /// [`Cluster::read_many`] with keys, tombstones and floors; under one's own gate where `closing` is its number.
    pub(crate) async fn read_rows(
        &self,
        op: &Op,
        keys: Vec<RowKey>,
        closing: Option<u64>,
    ) -> Result<Vec<(RowKey, Found<Envelope>)>, OpError> {
        let mut all = Vec::with_capacity(keys.len());
        for keys in keys.chunks(TOGETHER) {
            let mut drive = Drive::new(self, *op).under_own_gate(closing);
            for key in keys {
                drive.add(key.clone(), Read::new)?;
            }
            let (outcomes, why) = drive.run().await;
            for (key, outcome) in outcomes {
                let found = outcome.unwrap_or(Err(Failure::NoQuorum)).map_err(|failure| why.error(failure))?;
                all.push((key, found));
            }
        }
        Ok(all)
    }

    /// Begins an unconditional write: the Query of REGISTER W1 is sent now, and its replies arrive while the caller
    /// receives the body. The value is named by [`PendingWrite::commit`]; until then nothing can be applied.
    ///
    /// # Errors
    /// [`OpError::NotReady`].
    pub async fn begin_write(&self, op: &Op, key: RowKey) -> Result<PendingWrite, OpError> {
        let mut drive = Drive::new(self, *op);
        drive.add(key, |quorums| Write::new(quorums, op.written_at_ms))?;
        // Until nothing is ready: all calls are on their way then, and replies wait until somebody looks again.
        while futures_util::poll!(std::pin::pin!(drive.step())).is_ready() {}
        Ok(PendingWrite { drive })
    }

    /// Writes `value`; none deletes. Applied at most once.
    ///
    /// # Errors
    /// Any [`OpError`] but `NotFound`.
    pub async fn write(&self, op: &Op, key: RowKey, id: OpId, value: Option<Envelope>) -> Result<Written, OpError> {
        let mut outcomes = self.write_many(op, vec![(key, id, value)]).await?;
        outcomes.pop().unwrap_or_else(|| Err(OpError::NoQuorum("nothing was written".to_owned())))
    }

    /// Independent writes that travel together; the outcome of each, in their order. None deletes.
    ///
    /// # Errors
    /// [`OpError::NotReady`] and [`OpError::Invalid`], for all; others for each write.
    pub async fn write_many(
        &self,
        op: &Op,
        writes: Vec<(RowKey, OpId, Option<Envelope>)>,
    ) -> Result<Vec<Result<Written, OpError>>, OpError> {
        for (_, _, value) in &writes {
            check(value.as_ref())?;
        }
        let mut all = Vec::with_capacity(writes.len());
        let mut writes = writes.into_iter().peekable();
        while writes.peek().is_some() {
            let mut drive = Drive::new(self, *op);
            for (at, (key, id, value)) in writes.by_ref().take(TOGETHER).enumerate() {
                drive.add(key, |quorums| Write::new(quorums, op.written_at_ms))?;
                drive.propose(at, id, value);
            }
            let (outcomes, why) = drive.run().await;
            let outcomes = outcomes.into_iter().map(|(_, outcome)| outcome.unwrap_or(Err(Failure::NoQuorum)));
            all.extend(outcomes.map(|outcome| outcome.map_err(|failure| why.error(failure))));
        }
        Ok(all)
    }

    /// Writes what `change` makes of the current value; none is "no object", on both sides. `change` may be asked
    /// several times; `id` is new to the key.
    ///
    /// # Errors
    /// [`UpdateError::Refused`] with the refusal of `change`, once it is settled that it applies; else as
    /// [`Cluster::write`].
    pub async fn update<R, C>(
        &self,
        op: &Op,
        key: RowKey,
        id: OpId,
        mut change: C,
    ) -> Result<Applied<Envelope>, UpdateError<R>>
    where
        R: Clone,
        C: FnMut(Option<&Envelope>) -> Result<Option<Envelope>, R>,
    {
        let _turn = self.turn(&key).await;
        let mut too_big = None;
        let checked = |current: Option<&Envelope>| {
            let value = change(current).map_err(Some)?;
            match check(value.as_ref()) {
                Ok(()) => Ok(value),
                Err(error) => {
                    too_big = Some(error);
                    Err(None)
                }
            }
        };
        let mut drive = Drive::new(self, *op);
        drive.add(key, |quorums| Cas::new(id, checked, quorums, op.written_at_ms))?;
        let (mut outcomes, why) = drive.run().await;
        match outcomes.pop().and_then(|(_, outcome)| outcome) {
            Some(Ok(applied)) => Ok(applied),
            Some(Err(CasFailure::Refused(Some(refusal)))) => Err(UpdateError::Refused(refusal)),
            Some(Err(CasFailure::Refused(None))) => Err(too_big.unwrap_or(OpError::Contended).into()),
            Some(Err(CasFailure::Failed(failure))) => Err(why.error(failure).into()),
            None => Err(why.error(Failure::NoQuorum).into()),
        }
    }

    /// Every replica of the objects under `partition_key` counts them anew; what each found, or why it did not.
    ///
    /// # Errors
    /// [`OpError::NotReady`].
    pub async fn recount(
        &self,
        op: &Op,
        partition_key: Bytes,
    ) -> Result<Vec<(StoreId, Result<Recount, CallError>)>, OpError> {
        let routes = self.routes();
        let quorums = routes.row_quorums(&partition_key).ok_or(OpError::NotReady)?;
        let counts = everyone(&quorums.accept).into_iter().map(|store| {
            let (routes, key) = (routes.clone(), partition_key.clone());
            async move {
                let Some(node) = routes.table(store).cloned() else {
                    return (store, Err(CallError::Unreachable("no address is known".to_owned())));
                };
                (store, call::recount(routes, node, *op, key).await)
            }
        });
        Ok(join_all(counts).await)
    }

    /// Writes the head of a completed upload on its base (REGISTER §12 "Completing an upload"). `id`, `base` and
    /// `op.written_at_ms` are those of the upload's row; `conditional`: the request had a precondition, and it held of
    /// the base. Several coordinators may do this for one upload; the head is written once.
    ///
    /// # Errors
    /// Any [`OpError`] but `NotFound`.
    pub async fn complete_head(
        &self,
        op: &Op,
        key: RowKey,
        id: OpId,
        base: Base,
        head: Envelope,
        conditional: bool,
    ) -> Result<Completed<Envelope>, OpError> {
        check(Some(&head))?;
        let mut drive = Drive::new(self, *op);
        drive.add(key, |quorums| Complete::new(id, base, head, conditional, quorums, op.written_at_ms))?;
        only(drive).await
    }
}

/// A write whose Query is under way while its body flows.
pub struct PendingWrite {
    drive: Drive<Blind<Envelope>>,
}

impl PendingWrite {
    /// Objects and bytes of the key's (bucket, shard), the largest that a majority reports.
    ///
    /// # Errors
    /// As a write that ends before anything was sent.
    pub async fn usage(&mut self) -> Result<Usage, OpError> {
        loop {
            let Some(slot) = self.drive.only() else { return Ok(Usage::default()) };
            if slot.machine.is_waiting() {
                return Ok(slot.machine.usage());
            }
            if let Some(outcome) = &slot.outcome {
                let why = outcome.as_ref().err().map(ToString::to_string).unwrap_or_default();
                return Err(OpError::NoQuorum(why));
            }
            self.drive.step().await;
        }
    }

    /// Writes `value` (none deletes), within [`Op::DEADLINE`] from now. The blocks it names are durable (REGISTER B1).
    ///
    /// # Errors
    /// Any [`OpError`] but `NotFound`.
    pub async fn commit(mut self, id: OpId, value: Option<Envelope>) -> Result<Written, OpError> {
        check(value.as_ref())?;
        self.drive.extend(Instant::now() + Op::DEADLINE);
        self.drive.propose(0, id, value);
        only(self.drive).await
    }
}

/// The value of a settled row that has one.
pub(crate) fn settled(found: Found<Envelope>) -> Option<Settled> {
    let row = found.row?;
    Some(Settled { envelope: row.value?, op: row.op, accepted: row.accepted, root: row.root })
}

/// Refuses here what every replica would refuse.
fn check(value: Option<&Envelope>) -> Result<(), OpError> {
    let Some(envelope) = value else { return Ok(()) };
    let fits = envelope.owner.len() <= MAX_OWNER
        && envelope.refs.len() <= MAX_REFS
        && envelope.value.len().saturating_add(envelope.data.len()) <= MAX_ENVELOPE;
    if fits { Ok(()) } else { Err(OpError::Invalid("the row is larger than a table takes".to_owned())) }
}

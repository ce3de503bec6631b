//! One round of judging: everything that was queued, against what is durable and what the round itself has changed.
//! Pure but for its reads; the writer makes the outcome durable and answers only then (REGISTER D1).

use std::collections::BTreeMap;

use bytes::Bytes;
use cairn_model::Envelope;
use cairn_model::wire::encode_key_state;
use cairn_register::replica::{self, Change};
use cairn_register::{Gate, KeyState, Message, PartitionState, Reply, Usage, Verdict};
use cairn_rpc::CallError;
use cairn_store::Batch;
use cairn_types::{Ballot, PartitionId, RowKey, Table};

use crate::keys::DiskKey;
use crate::rows::{Depth, Miss, Rows, shard_key};
use crate::shard::Shard;
use crate::standing::{Floors, Standing, put_floors};

/// A message and where its row stands on disk.
pub(crate) struct Call {
    pub(crate) disk: DiskKey,
    /// Usage and gate that go with the row.
    shard: Option<Vec<u8>>,
    table: Table,
    pub(crate) message: Message<Envelope>,
}

impl Call {
    /// Refuses keys beyond [`RowKey`]'s bounds: callers in this process pass no decoder.
    pub(crate) fn new(key: &RowKey, message: Message<Envelope>) -> Result<Self, CallError> {
        check_key(&key.partition_key, key.sort_key.len())?;
        let disk = DiskKey::of(key);
        let shard = shard_key(key, disk.place);
        Ok(Self { disk, shard, table: key.table, message })
    }

    /// Whether it changes nothing on disk.
    pub(crate) const fn is_read(&self) -> bool {
        matches!(self.message, Message::Query | Message::Commit { .. })
    }

    /// Whether it may store a value: refused while the disk is nearly full. Tombstones and promises never are.
    pub(crate) const fn stores_value(&self) -> bool {
        match &self.message {
            Message::Accept { proposal, .. } | Message::WriteBack { proposal, .. } => proposal.value.is_some(),
            Message::Learn { row } | Message::Redeliver { row } => row.value.is_some(),
            Message::Query | Message::Prepare { .. } | Message::Commit { .. } | Message::GcDrop { .. } => false,
        }
    }

    /// Roughly what it holds in memory.
    pub(crate) fn size_bytes(&self) -> usize {
        let value = match &self.message {
            Message::Accept { proposal, .. } | Message::WriteBack { proposal, .. } => proposal.value.as_ref(),
            Message::Learn { row } | Message::Redeliver { row } => row.value.as_ref(),
            Message::Query | Message::Prepare { .. } | Message::Commit { .. } | Message::GcDrop { .. } => None,
        };
        256 + self.disk.as_bytes().len() + value.map_or(0, |envelope| envelope.value.len() + envelope.data.len())
    }
}

/// Bounds of [`RowKey`].
pub(crate) fn check_key(partition_key: &Bytes, sort_key_len: usize) -> Result<(), CallError> {
    let partition_key_fits = (1..=RowKey::MAX_PARTITION_KEY).contains(&partition_key.len());
    if partition_key_fits && sort_key_len <= RowKey::MAX_SORT_KEY {
        return Ok(());
    }
    Err(CallError::Invalid(format!("a row key of {} and {sort_key_len} bytes", partition_key.len())))
}

/// Judges messages that change nothing on disk against what is durable (REGISTER A3, A7). `standing` is held over the
/// reads.
pub(crate) fn read(
    rows: &Rows,
    standing: &Standing,
    now_ms: u64,
    calls: &[Call],
    depth: Depth,
) -> Result<Vec<Reply<Envelope>>, Miss> {
    let mut replies = Vec::with_capacity(calls.len());
    for call in calls {
        let Some((_, partition)) = standing.partition(call.disk.place) else {
            replies.push(not_here());
            continue;
        };
        let state = rows.key(&call.disk, depth)?;
        let shard = call.shard.as_ref().map(|key| rows.shard(key, depth)).transpose()?.unwrap_or_default();
        let judgement = replica::judge(state.as_ref(), &gated(partition, call, &shard), now_ms, &call.message);
        if let Message::Commit { ballot } = call.message {
            // Also for a row that is still on its way: the hint waits for it.
            rows.hints.set(call.disk.as_bytes(), ballot);
        }
        replies.push(finished(judgement.reply, call, &shard));
    }
    Ok(replies)
}

/// The state of everything a round has touched.
pub(crate) struct Round<'a> {
    rows: &'a Rows,
    standing: &'a Standing,
    now_ms: u64,
    keys: BTreeMap<Vec<u8>, Slot<Option<KeyState<Envelope>>>>,
    shards: BTreeMap<Vec<u8>, Slot<Shard>>,
    floors: BTreeMap<PartitionId, Ballot>,
    gate_changed: bool,
}

struct Slot<T> {
    value: T,
    changed: bool,
}

impl<T> Slot<T> {
    const fn unchanged(value: T) -> Self {
        Self { value, changed: false }
    }
}

/// What a round leaves to be written in one batch.
pub(crate) struct Outcome {
    pub(crate) batch: Batch,
    /// Floors to stand once the batch is durable.
    pub(crate) floors: Vec<(PartitionId, Floors)>,
    /// Readers must not see the batch halfway: it moves a floor or a gate.
    pub(crate) exclusive: bool,
}

impl<'a> Round<'a> {
    pub(crate) fn new(rows: &'a Rows, standing: &'a Standing, now_ms: u64) -> Self {
        let (keys, shards, floors) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { rows, standing, now_ms, keys, shards, floors, gate_changed: false }
    }

    /// Judges `calls` in their order. An error means that none of them was judged.
    pub(crate) fn judge(&mut self, calls: &[Call]) -> Result<Vec<Reply<Envelope>>, CallError> {
        for call in calls {
            self.load(call)?;
        }
        Ok(calls.iter().map(|call| self.judge_one(call)).collect())
    }

    fn load(&mut self, call: &Call) -> Result<(), CallError> {
        if !self.keys.contains_key(call.disk.as_bytes()) {
            let state = self.rows.key(&call.disk, Depth::Disk).map_err(Miss::failed)?;
            self.keys.insert(call.disk.as_bytes().to_vec(), Slot::unchanged(state));
        }
        if let Some(key) = &call.shard
            && !self.shards.contains_key(key)
        {
            let shard = self.rows.shard(key, Depth::Disk).map_err(Miss::failed)?;
            self.shards.insert(key.clone(), Slot::unchanged(shard));
        }
        Ok(())
    }

    fn judge_one(&mut self, call: &Call) -> Reply<Envelope> {
        let Some((partition, mut state)) = self.standing.partition(call.disk.place) else { return not_here() };
        if let Some(floor) = self.floors.get(&partition) {
            state.floor = state.floor.max(*floor);
        }
        let mut no_shard = Slot::unchanged(Shard::default());
        let shard = call.shard.as_ref().and_then(|key| self.shards.get_mut(key)).unwrap_or(&mut no_shard);
        let mut no_key = Slot::unchanged(None);
        let key = self.keys.get_mut(call.disk.as_bytes()).unwrap_or(&mut no_key);

        let state = gated(state, call, &shard.value);
        let judgement = replica::judge(key.value.as_ref(), &state, self.now_ms, &call.message);
        if let Some(change) = judgement.change {
            let next = match change {
                // Unsynced: a commit hint, which is not written at all (REGISTER D5).
                Change::Put(next) if !judgement.sync => {
                    if let Some(row) = &next.row {
                        self.rows.hints.set(call.disk.as_bytes(), row.accepted);
                    }
                    return finished(judgement.reply, call, &shard.value);
                }
                Change::Put(next) => Some(next),
                Change::Drop { floor } => {
                    let raised = self.floors.entry(partition).or_default();
                    *raised = (*raised).max(floor);
                    None
                }
            };
            self.gate_changed |= update_shard(shard, call.table, key.value.as_ref(), next.as_ref());
            *key = Slot { value: next, changed: true };
        }
        finished(judgement.reply, call, &shard.value)
    }

    /// Everything changed, once.
    pub(crate) fn finish(self) -> Outcome {
        let mut batch = Batch::new();
        for (key, slot) in self.keys {
            match slot.value {
                _ if !slot.changed => {}
                Some(state) => batch.put(key, encode_key_state(&state)),
                None => batch.delete(key),
            }
        }
        for (key, slot) in self.shards {
            if slot.changed {
                batch.put(key, slot.value.encode());
            }
        }
        let raise = |(partition, floor)| (partition, self.standing.raised(partition, floor));
        let floors: Vec<_> = self.floors.into_iter().map(raise).collect();
        for (partition, floors) in &floors {
            put_floors(&mut batch, *partition, *floors);
        }
        Outcome { batch, exclusive: self.gate_changed || !floors.is_empty(), floors }
    }
}

/// Keeps usage and gate in step with a row that went from `old` to `next`. True: the gate moved.
fn update_shard(
    shard: &mut Slot<Shard>,
    table: Table,
    old: Option<&KeyState<Envelope>>,
    next: Option<&KeyState<Envelope>>,
) -> bool {
    let before = shard.value;
    match table {
        Table::Object => shard.value.object_changed(envelope(old), envelope(next)),
        Table::Gate => shard.value.gate_changed(next),
        Table::BucketName
        | Table::Bucket
        | Table::AccessKey
        | Table::AdminToken
        | Table::Manifest
        | Table::Upload
        | Table::Part
        | Table::Worker => {}
    }
    shard.changed |= shard.value != before;
    shard.value.gate != before.gate
}

fn envelope(state: Option<&KeyState<Envelope>>) -> Option<&Envelope> {
    state?.row.as_ref()?.value.as_ref()
}

/// Only objects are judged by their bucket's gate; the others just tell how it stands.
fn gated(partition: PartitionState, call: &Call, shard: &Shard) -> PartitionState {
    let gate = if call.table == Table::Object { shard.gate } else { Gate::Open };
    PartitionState { gate, ..partition }
}

fn finished(reply: Reply<Envelope>, call: &Call, shard: &Shard) -> Reply<Envelope> {
    let tells_usage = call.table == Table::Object && matches!(call.message, Message::Query);
    // A gate is under no gate: whoever reads or turns one that is closing would wait for itself.
    let gate = if call.table == Table::Gate { Gate::Open } else { shard.gate };
    Reply { gate, usage: if tells_usage { shard.reported() } else { Usage::default() }, ..reply }
}

fn not_here() -> Reply<Envelope> {
    Reply {
        verdict: Verdict::NotHere,
        promised: Ballot::ZERO,
        floor: Ballot::ZERO,
        joined: Ballot::ZERO,
        gate: Gate::Open,
        row: None,
        usage: Usage::default(),
    }
}

//! A table in memory: the rules of `cairn_register::replica` over a sorted map. It never crashes, so it syncs nothing.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_model::Envelope;
use cairn_model::rows::{GateRow, TypedRow as _};
use cairn_quorum::{Range, RangePrefix, RangeReply, RangeRow, Recount, RegisterReplies, TableReplica};
use cairn_register::replica::{Change, judge};
use cairn_register::{Gate, KeyState, PartitionState, Reply, Usage};
use cairn_rpc::{CallContext, CallError};
use cairn_types::{Ballot, Clock as _, Epoch, RowKey, StoreId, SystemClock, Table};
use parking_lot::Mutex;

use super::Switch;

pub(crate) struct MemoryTable {
    pub(crate) switch: Switch,
    store: StoreId,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rows: BTreeMap<RowKey, KeyState<Envelope>>,
    /// Of each bucket, by the partition key of its objects.
    usages: BTreeMap<Bytes, Usage>,
    floor: Ballot,
}

impl MemoryTable {
    pub(crate) fn new(store: StoreId) -> Self {
        Self { switch: Switch::default(), store, state: Mutex::default() }
    }

    pub(crate) fn holds(&self, bytes: &[u8]) -> bool {
        let found = |text: &[u8]| text.windows(bytes.len()).any(|window| window == bytes);
        let state = self.state.lock();
        let values = state.rows.values().filter_map(|state| state.row.as_ref()?.value.as_ref());
        values.into_iter().any(|value| found(&value.value) || found(&value.data))
    }
}

impl State {
    /// REGISTER §12: by the gate row this replica has accepted.
    fn gate(&self, table: Table, partition_key: &Bytes) -> Gate {
        if table != Table::Object {
            return Gate::Open;
        }
        let key = RowKey { table: Table::Gate, partition_key: partition_key.clone(), sort_key: Bytes::new() };
        let row = self.rows.get(&key).and_then(|state| state.row.as_ref());
        let value = row.and_then(|row| row.value.as_ref());
        value.map_or(Gate::Open, |value| GateRow::decode(&value.value).unwrap().gate())
    }

    /// Puts a row, or none, in the place of another, and counts what that changes.
    fn change(&mut self, key: RowKey, next: Option<KeyState<Envelope>>) {
        let weight = |state: Option<&KeyState<Envelope>>| {
            let value = state.and_then(|state| state.row.as_ref()?.value.as_ref());
            value.map_or((0, 0), |value| (u64::from(value.objects), value.bytes))
        };
        let (table, partition_key, new) = (key.table, key.partition_key.clone(), weight(next.as_ref()));
        let old = match next {
            Some(next) => self.rows.insert(key, next),
            None => self.rows.remove(&key),
        };
        if table == Table::Object {
            let old = weight(old.as_ref());
            let usage = self.usages.entry(partition_key).or_default();
            usage.objects = usage.objects + new.0 - old.0;
            usage.bytes = usage.bytes + new.1 - old.1;
        }
    }

    fn range(&self, store: StoreId, range: &Range) -> RangeReply {
        let mut reply = RangeReply {
            store,
            epoch: Epoch(1),
            rows: Vec::new(),
            prefixes: Vec::new(),
            scanned_to: None,
            floor: self.floor,
            joined: Ballot::ZERO,
            gate: self.gate(range.table, &range.partition_key),
        };
        let mut folded: Option<Bytes> = None;
        let first = range.start.clone().max(range.prefix.clone());
        let from = RowKey { table: range.table, partition_key: range.partition_key.clone(), sort_key: first };
        for (key, state) in self.rows.range(from..) {
            let here = key.table == range.table && key.partition_key == range.partition_key;
            if !here || !key.sort_key.starts_with(&range.prefix) {
                break;
            }
            let Some(row) = state.row.clone() else { continue };
            if folded.as_ref().is_some_and(|folded| key.sort_key.starts_with(folded)) {
                continue;
            }
            if reply.rows.len() + reply.prefixes.len() >= range.limit {
                reply.scanned_to = reply.rows.last().map(|row| row.sort_key.clone()).max(folded);
                return reply;
            }
            match group(range, &key.sort_key) {
                Some(prefix) if row.value.is_some() => {
                    reply.rows.retain(|row| !row.sort_key.starts_with(&prefix));
                    folded = Some(prefix.clone());
                    reply.prefixes.push(RangePrefix { prefix, witness_key: key.sort_key.clone(), witness: row });
                }
                _ => reply.rows.push(RangeRow { sort_key: key.sort_key.clone(), row }),
            }
        }
        reply
    }
}

/// The common prefix a key belongs to.
fn group(range: &Range, key: &Bytes) -> Option<Bytes> {
    let delimiter = range.delimiter.as_ref();
    if delimiter.is_empty() {
        return None;
    }
    let rest = &key[range.prefix.len()..];
    let at = rest.windows(delimiter.len()).position(|window| window == delimiter)?;
    Some(key.slice(..range.prefix.len() + at + delimiter.len()))
}

#[async_trait]
impl TableReplica for MemoryTable {
    fn store(&self) -> StoreId {
        self.store
    }

    async fn register(
        &self,
        _: &CallContext,
        batch: Vec<(RowKey, cairn_register::Message<Envelope>)>,
    ) -> Result<RegisterReplies, CallError> {
        self.switch.check()?;
        let mut state = self.state.lock();
        let mut replies = Vec::with_capacity(batch.len());
        for (key, message) in batch {
            let gate = state.gate(key.table, &key.partition_key);
            let partition = PartitionState { epoch: Epoch(1), floor: state.floor, joined: Ballot::ZERO, gate };
            let usage = state.usages.get(&key.partition_key).copied().filter(|_| key.table == Table::Object);
            let judgement = judge(state.rows.get(&key), &partition, SystemClock.now_ms(), &message);
            match judgement.change {
                Some(Change::Put(row)) => state.change(key, Some(row)),
                Some(Change::Drop { floor }) => {
                    state.floor = state.floor.max(floor);
                    state.change(key, None);
                }
                None => {}
            }
            replies.push(Reply { usage: usage.unwrap_or_default(), ..judgement.reply });
        }
        Ok(RegisterReplies { store: self.store, epoch: Epoch(1), replies })
    }

    async fn range(&self, _: &CallContext, range: Range) -> Result<RangeReply, CallError> {
        self.switch.check()?;
        Ok(self.state.lock().range(self.store, &range))
    }

    async fn recount(&self, _: &CallContext, _: Bytes) -> Result<Recount, CallError> {
        Err(CallError::Unimplemented("nothing is counted here".to_owned()))
    }
}

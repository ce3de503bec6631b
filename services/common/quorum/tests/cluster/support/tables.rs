//! A table in memory: the rules of `cairn_register::replica` over a sorted map.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_model::Envelope;
use cairn_model::rows::{GateRow, TypedRow as _};
use cairn_model::view::{decode_view_bytes, encode_view_bytes};
use cairn_placement::{ClusterView, RingKind};
use cairn_quorum::{Range, RangePrefix, RangeReply, RangeRow, Recount, RegisterReplies, TableReplica};
use cairn_register::replica::{Change, Fence, fence, judge_without};
use cairn_register::{Gate, KeyState, Message, Mutation, PartitionState, Reply, Row, Usage, Verdict};
use cairn_rpc::{CallContext, CallError};
use cairn_types::{Ballot, Clock, RowKey, StoreId, Table};
use parking_lot::Mutex;

use super::network::Network;
use super::views;

pub(crate) struct MemoryTable {
    store: StoreId,
    network: Arc<Network>,
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

struct State {
    view: ClusterView,
    rows: BTreeMap<RowKey, KeyState<Envelope>>,
    floor: Ballot,
    /// A rule of REGISTER.md that this replica does not keep.
    dropped: Option<Mutation>,
    /// There is room for no value.
    full: bool,
}

impl MemoryTable {
    pub(crate) fn new(index: u8, network: Arc<Network>, clock: Arc<dyn Clock>, view: ClusterView) -> Self {
        let state = State { view, rows: BTreeMap::new(), floor: Ballot::ZERO, dropped: None, full: false };
        Self { store: views::table_store(index), network, clock, state: Arc::new(Mutex::new(state)) }
    }

    /// The table knows a newer layout record.
    pub(crate) fn adopt(&self, view: ClusterView) {
        self.state.lock().view = view;
    }

    pub(crate) fn drop_rule(&self, rule: Mutation) {
        self.state.lock().dropped = Some(rule);
    }

    /// Refuses values from now on, as a full disk does; all else goes on.
    pub(crate) fn fill(&self) {
        self.state.lock().full = true;
    }

    pub(crate) fn row(&self, key: &RowKey) -> Option<Row<Envelope>> {
        self.state.lock().rows.get(key).and_then(|state| state.row.clone())
    }

    /// Stores a row as no protocol would, to make replicas differ.
    pub(crate) fn force(&self, key: RowKey, row: Row<Envelope>) {
        self.state.lock().rows.insert(key, KeyState { promised: row.accepted, row: Some(row) });
    }
}

impl State {
    /// REGISTER A1.
    fn admit(&mut self, context: &CallContext) -> Result<(), CallError> {
        match fence(self.view.epoch(), context.epoch) {
            Fence::Pass => Ok(()),
            Fence::Stale => Err(CallError::StaleEpoch { view: encode_view_bytes(&self.view) }),
            Fence::Adopt => {
                self.view = decode_view_bytes(context.view.clone().ok_or(CallError::NeedsView)?).unwrap();
                Ok(())
            }
        }
    }

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

    fn partition(&self, table: Table, partition_key: &Bytes) -> PartitionState {
        let gate = self.gate(table, partition_key);
        PartitionState { epoch: self.view.epoch(), floor: self.floor, joined: Ballot::ZERO, gate }
    }

    fn judge(&mut self, store: StoreId, now_ms: u64, key: &RowKey, message: &Message<Envelope>) -> Reply<Envelope> {
        if !self.view.holds(RingKind::Table, key.partition(views::BITS), store) {
            let none = Ballot::ZERO;
            let (verdict, gate, usage) = (Verdict::NotHere, Gate::Open, Usage::default());
            return Reply { verdict, promised: none, floor: none, joined: none, gate, row: None, usage };
        }
        let partition = self.partition(key.table, &key.partition_key);
        let judgement = judge_without(self.dropped, self.rows.get(key), &partition, now_ms, message);
        match judgement.change {
            Some(Change::Put(state)) => drop(self.rows.insert(key.clone(), state)),
            Some(Change::Drop { floor }) => {
                self.floor = self.floor.max(floor);
                self.rows.remove(key);
            }
            None => {}
        }
        let live = self.rows.values().filter_map(|state| state.row.as_ref()?.value.as_ref());
        let usage = live.fold(Usage::default(), |usage, value| Usage {
            objects: usage.objects + u64::from(value.objects),
            bytes: usage.bytes + value.bytes,
        });
        Reply { usage, ..judgement.reply }
    }

    /// The contract of [`Range`].
    fn range(&self, store: StoreId, range: &Range) -> RangeReply {
        let mut reply = RangeReply {
            store,
            epoch: self.view.epoch(),
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
                let last_row = reply.rows.last().map(|row| row.sort_key.clone());
                reply.scanned_to = last_row.max(folded);
                return reply;
            }
            match group(range, &key.sort_key) {
                Some(prefix) if row.value.is_some() => {
                    folded = Some(prefix.clone());
                    reply.prefixes.push(RangePrefix { prefix, witness_key: key.sort_key.clone(), witness: row });
                }
                _ => reply.rows.push(RangeRow { sort_key: key.sort_key.clone(), row }),
            }
        }
        reply
    }
}

fn group(range: &Range, key: &Bytes) -> Option<Bytes> {
    if range.delimiter.is_empty() {
        return None;
    }
    let rest = String::from_utf8(key[range.prefix.len()..].to_vec()).unwrap();
    let delimiter = std::str::from_utf8(&range.delimiter).unwrap();
    rest.find(delimiter).map(|at| key.slice(..range.prefix.len() + at + delimiter.len()))
}

const fn kind(message: &Message<Envelope>) -> &'static str {
    match message {
        Message::Query => "query",
        Message::Prepare { .. } => "prepare",
        Message::Accept { .. } => "accept",
        Message::WriteBack { .. } => "write_back",
        Message::Commit { .. } => "commit",
        Message::Learn { .. } | Message::Redeliver { .. } | Message::GcDrop { .. } => "other",
    }
}

#[async_trait]
impl TableReplica for MemoryTable {
    fn store(&self) -> StoreId {
        self.store
    }

    async fn register(
        &self,
        context: &CallContext,
        batch: Vec<(RowKey, Message<Envelope>)>,
    ) -> Result<RegisterReplies, CallError> {
        let (network, clock, state, store) = (self.network.clone(), self.clock.clone(), self.state.clone(), self.store);
        let context_there = context.clone();
        let act = move || {
            network.count("batch");
            let mut state = state.lock();
            state.admit(&context_there)?;
            if state.full && batch.iter().any(|(_, message)| matches!(message, Message::Accept { .. })) {
                return Err(CallError::Full("no room".to_owned()));
            }
            let judge = |(key, message): &(RowKey, Message<Envelope>)| {
                network.count(kind(message));
                state.judge(store, clock.now_ms(), key, message)
            };
            let replies = batch.iter().map(judge).collect();
            Ok(RegisterReplies { store, epoch: state.view.epoch(), replies })
        };
        self.network.carry(context, act).await
    }

    async fn range(&self, context: &CallContext, range: Range) -> Result<RangeReply, CallError> {
        let (network, state, store, context_there) =
            (self.network.clone(), self.state.clone(), self.store, context.clone());
        let act = move || {
            network.count("range");
            let mut state = state.lock();
            state.admit(&context_there)?;
            Ok(state.range(store, &range))
        };
        self.network.carry(context, act).await
    }

    async fn recount(&self, _: &CallContext, _: Bytes) -> Result<Recount, CallError> {
        Err(CallError::Unimplemented("nothing is counted here".to_owned()))
    }
}

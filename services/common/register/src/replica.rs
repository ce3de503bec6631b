//! What a replica does with a message (REGISTER §4, §8, §9, §12): a pure verdict, which the table carries out.
//!
//! - **L1** `promised` and `accepted` of a key never fall, and `promised` ≥ `accepted`; debug-asserted here, tested
//!   by `promises_and_rows_only_grow`.
//! - **D1** What a reply relies on is synced before it leaves: [`Judgement::sync`], tested by the simulation, whose
//!   stores forget what was not.
//! - **A0** (store ids) is the caller's, as is adopting a newer epoch; [`fence`] decides A1.

use std::cmp::Ordering;

use cairn_types::{Ballot, Epoch};

use crate::rules::{Rules, dropped};
use crate::{Gate, KeyState, Message, PartitionState, Proposal, Reply, Row, Usage, Verdict};

/// How far a ballot may be ahead of a replica's clock (A2), in milliseconds.
pub const FUTURE_MS: u64 = 60_000;

/// What a replica does with a request of another epoch (A1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fence {
    /// Judge it.
    Pass,
    /// Answer `Stale` with the own view; nothing else happens.
    Stale,
    /// Adopt the newer epoch from a chosen layout record and persist it, then judge; without the record answer
    /// `Unavailable`, and nothing changes.
    Adopt,
}

/// A1: compares the request's epoch with the replica's own.
#[must_use]
pub fn fence(own: Epoch, request: Epoch) -> Fence {
    fence_by(Rules::default(), own, request)
}

/// [`fence`], with one rule dropped or none.
#[cfg(feature = "mutations")]
#[must_use]
pub fn fence_without(dropped: Option<crate::Mutation>, own: Epoch, request: Epoch) -> Fence {
    fence_by(Rules { dropped }, own, request)
}

fn fence_by(rules: Rules, own: Epoch, request: Epoch) -> Fence {
    match request.cmp(&own) {
        Ordering::Less if !dropped!(rules, NoFence) => Fence::Stale,
        Ordering::Less | Ordering::Equal => Fence::Pass,
        Ordering::Greater => Fence::Adopt,
    }
}

/// What becomes of the key at this replica.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Change<V> {
    /// Store this instead of what was there.
    Put(KeyState<V>),
    /// In one batch: raise the partition's floor to at least `floor`, and delete the key's state.
    Drop { floor: Ballot },
}

/// A verdict: carry out `change`, sync it where `sync` says so, then send `reply`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Judgement<V> {
    pub change: Option<Change<V>>,
    /// The reply may leave only when the change is durable (D1).
    pub sync: bool,
    pub reply: Reply<V>,
}

/// Judges one message for one key. `state` is what is durable of the key, `partition` what is of its partition,
/// both after A1; `now_ms` is this machine's clock, in milliseconds since 1970.
///
/// Any message is safe to judge at any time and any number of times, whatever bytes it came from.
#[must_use]
pub fn judge<V: Clone>(
    state: Option<&KeyState<V>>,
    partition: &PartitionState,
    now_ms: u64,
    message: &Message<V>,
) -> Judgement<V> {
    Judge::new(Rules::default(), state, partition, now_ms).judge(message)
}

/// [`judge`], with one rule dropped or none.
#[cfg(feature = "mutations")]
#[must_use]
pub fn judge_without<V: Clone>(
    dropped: Option<crate::Mutation>,
    state: Option<&KeyState<V>>,
    partition: &PartitionState,
    now_ms: u64,
    message: &Message<V>,
) -> Judgement<V> {
    Judge::new(Rules { dropped }, state, partition, now_ms).judge(message)
}

/// The key as it stands, with what a missing row means (§2).
struct Judge<'a, V> {
    rules: Rules,
    partition: &'a PartitionState,
    now_ms: u64,
    promised: Ballot,
    row: Option<&'a Row<V>>,
}

impl<'a, V: Clone> Judge<'a, V> {
    #[allow(clippy::nonminimal_bool, clippy::eq_op, reason = "in ordinary builds no rule is dropped: both are `false`")]
    fn new(rules: Rules, state: Option<&'a KeyState<V>>, partition: &'a PartitionState, now_ms: u64) -> Self {
        let row = state.and_then(|state| state.row.as_ref());
        let mut promised = state.map_or(Ballot::ZERO, |state| state.promised);
        if row.is_none() {
            // §2, T5: a missing row was promised up to the floor. T6: so it was at a replica that joined.
            promised = promised.max(partition.floor);
            let masked = dropped!(rules, OldEpochStored) || dropped!(rules, OldEpochWrittenBack);
            if !dropped!(rules, JoinedIsNothing) && !masked {
                promised = promised.max(partition.joined);
            }
        }
        Self { rules, partition, now_ms, promised, row }
    }

    fn accepted(&self) -> Ballot {
        self.row.map_or(Ballot::ZERO, |row| row.accepted)
    }

    fn judge(&self, message: &Message<V>) -> Judgement<V> {
        match message {
            // A3: writes nothing.
            Message::Query => self.answer(Verdict::Ack, self.row.cloned()),
            Message::Prepare { ballot } => self.prepare(*ballot),
            Message::Accept { ballot, proposal, new_value } => self.accept(*ballot, proposal, *new_value),
            Message::WriteBack { ballot, proposal } => self.write_back(*ballot, proposal),
            Message::Commit { ballot } => self.commit(*ballot),
            Message::Learn { row } => self.learn(row),
            Message::Redeliver { row } => self.redeliver(row),
            Message::GcDrop { ballot } => self.drop_collected(*ballot),
        }
    }

    /// A4.
    fn prepare(&self, ballot: Ballot) -> Judgement<V> {
        if self.is_future(ballot) {
            return self.answer(Verdict::ClockSkew, None);
        }
        let promise = ballot > self.promised || (dropped!(self.rules, PromiseBelowPromise) && !ballot.is_zero());
        if !promise {
            return self.answer(Verdict::Nack, None);
        }
        let mut judgement = self.store(ballot.max(self.accepted()), self.row.cloned());
        judgement.sync = !dropped!(self.rules, PromiseNotSynced);
        judgement.reply.row = self.row.cloned();
        judgement
    }

    /// A5, and the gate's refusal of new values (§12).
    fn accept(&self, ballot: Ballot, proposal: &Proposal<V>, new_value: bool) -> Judgement<V> {
        if self.is_future(ballot) {
            return self.answer(Verdict::ClockSkew, None);
        }
        if new_value && self.partition.gate != Gate::Open && !dropped!(self.rules, GateIgnored) {
            return self.answer(Verdict::Sealed, None);
        }
        if self.is_old(ballot) {
            return self.answer(Verdict::Nack, None);
        }
        let forced = dropped!(self.rules, AcceptBelowPromise);
        if let Some(judgement) = self.duplicate_or_stored(ballot, proposal, forced) {
            return judgement;
        }
        if self.absorbs(ballot, proposal) {
            return self.answer(Verdict::Absorbed, None);
        }
        self.answer(Verdict::Nack, None)
    }

    /// A5.3: no promise was given in (`lo`, `accepted`), so the row counts as if it had come first.
    fn absorbs(&self, ballot: Ballot, proposal: &Proposal<V>) -> bool {
        let above_lo = |row: &Row<V>| row.lo < ballot || dropped!(self.rules, AbsorbBelowPromise);
        is_blind(ballot, proposal)
            && self.row.is_some_and(|row| row.blind && ballot < row.accepted && above_lo(row))
            && !ballot.is_zero()
    }

    /// A6: A5.1 and A5.2, nothing else.
    fn write_back(&self, ballot: Ballot, proposal: &Proposal<V>) -> Judgement<V> {
        if self.is_future(ballot) {
            return self.answer(Verdict::ClockSkew, None);
        }
        if self.is_old(ballot) && !dropped!(self.rules, OldEpochWrittenBack) {
            return self.answer(Verdict::Nack, None);
        }
        let forced = dropped!(self.rules, WriteBackBelowPromise);
        if let Some(judgement) = self.duplicate_or_stored(ballot, proposal, forced) {
            return judgement;
        }
        if dropped!(self.rules, WriteBackCountsNewer) && self.accepted() > ballot {
            return self.answer(Verdict::Ack, None);
        }
        self.answer(Verdict::Nack, None)
    }

    /// A5.1 and A5.2; none: neither applies. `forced` is a dropped rule: the promise is ignored.
    fn duplicate_or_stored(&self, ballot: Ballot, proposal: &Proposal<V>, forced: bool) -> Option<Judgement<V>> {
        if ballot.is_zero() {
            return None;
        }
        if ballot == self.accepted() {
            let verdict = if dropped!(self.rules, DuplicateRefused) { Verdict::Nack } else { Verdict::Ack };
            return Some(self.answer(verdict, None));
        }
        let stored = ballot >= self.promised || (forced && ballot > self.accepted());
        stored.then(|| {
            let row = self.row_under(ballot, proposal, false);
            let mut judgement = self.store(ballot.max(self.promised), Some(row));
            judgement.sync = !dropped!(self.rules, AcceptNotSynced);
            judgement
        })
    }

    /// A7: a hint, not synced.
    fn commit(&self, ballot: Ballot) -> Judgement<V> {
        match self.row {
            Some(row) if row.accepted == ballot => self.mark_committed(row),
            _ => self.answer(Verdict::Nack, None),
        }
    }

    /// S2: a chosen row contradicts no promise, so none is asked; only a collection floor is. Always `Ack`: the
    /// replica has the row, a newer one, or has forgotten it.
    fn learn(&self, row: &Row<V>) -> Judgement<V> {
        let forgotten = row.accepted <= self.partition.floor && !dropped!(self.rules, LearnBelowFloor);
        match self.row {
            Some(own) if own.accepted == row.accepted => self.mark_committed(own),
            _ if row.accepted > self.accepted() && !forgotten => {
                let learned = self.row_under(row.accepted, &Proposal::written_back(row), true);
                self.store(row.accepted.max(self.promised), Some(learned))
            }
            _ => self.answer(Verdict::Ack, None),
        }
    }

    /// S3: a late Accept; A5.1 and A5.2 only.
    fn redeliver(&self, row: &Row<V>) -> Judgement<V> {
        if self.is_future(row.accepted) {
            return self.answer(Verdict::ClockSkew, None);
        }
        if self.is_old(row.accepted) {
            return self.answer(Verdict::Nack, None);
        }
        let forced = dropped!(self.rules, RedeliverBelowPromise);
        self.duplicate_or_stored(row.accepted, &Proposal::written_back(row), forced)
            .unwrap_or_else(|| self.answer(Verdict::Nack, None))
    }

    /// T4, T7: only what is still as it was confirmed, and never a value.
    fn drop_collected(&self, ballot: Ballot) -> Judgement<V> {
        let confirmed = match self.row {
            Some(row) if dropped!(self.rules, DropUnchecked) => row.accepted <= ballot,
            Some(row) => row.accepted == ballot && self.promised == ballot && row.value.is_none(),
            None => self.promised == ballot,
        };
        if !confirmed || ballot.is_zero() {
            return self.answer(Verdict::Nack, None);
        }
        let floor = if dropped!(self.rules, DropWithoutFloor) { Ballot::ZERO } else { ballot };
        let mut judgement = self.answer(Verdict::Ack, None);
        judgement.change = Some(Change::Drop { floor });
        judgement.sync = true;
        judgement.reply.floor = judgement.reply.floor.max(floor);
        judgement
    }

    /// A2: liveness only; a wrong clock must not use up the ballots.
    fn is_future(&self, ballot: Ballot) -> bool {
        ballot.millis() > self.now_ms.saturating_add(FUTURE_MS) && !dropped!(self.rules, NoFutureGuard)
    }

    /// A8: not settled, and of an older epoch.
    fn is_old(&self, ballot: Ballot) -> bool {
        ballot.epoch < self.partition.epoch.0 && !dropped!(self.rules, OldEpochStored)
    }

    /// The row that `proposal` becomes here, with `lo` as A5 sets it.
    fn row_under(&self, ballot: Ballot, proposal: &Proposal<V>, committed: bool) -> Row<V> {
        let blind = is_blind(ballot, proposal);
        let lo = match self.row {
            _ if !blind => Ballot::ZERO,
            Some(row) if row.blind && self.promised == row.accepted => row.lo,
            _ => self.promised,
        };
        Row {
            accepted: ballot,
            root: proposal.root,
            root_is_floor: proposal.root_is_floor,
            lo,
            blind,
            op: proposal.op,
            lineage: proposal.lineage.clone(),
            trimmed: proposal.trimmed,
            trim_next: proposal.trim_next,
            committed,
            value: proposal.value.clone(),
        }
    }

    /// `Ack`, with the hint set where it was not; hints are not synced (D5).
    fn mark_committed(&self, row: &Row<V>) -> Judgement<V> {
        let mut judgement = self.answer(Verdict::Ack, None);
        if !row.committed {
            let row = Row { committed: true, ..row.clone() };
            judgement.change = Some(Change::Put(KeyState { promised: self.promised, row: Some(row) }));
        }
        judgement
    }

    /// `Ack`, synced, with the key's new state.
    fn store(&self, promised: Ballot, row: Option<Row<V>>) -> Judgement<V> {
        debug_assert!(row.as_ref().is_none_or(|row| row.accepted >= self.accepted() && row.accepted <= promised));
        let mut judgement = self.answer(Verdict::Ack, None);
        judgement.reply.promised = promised;
        judgement.change = Some(Change::Put(KeyState { promised, row }));
        judgement.sync = true;
        judgement
    }

    /// A verdict that changes nothing.
    fn answer(&self, verdict: Verdict, row: Option<Row<V>>) -> Judgement<V> {
        let reply = Reply {
            verdict,
            promised: self.promised,
            floor: self.partition.floor,
            joined: if dropped!(self.rules, JoinedIsNothing) { Ballot::ZERO } else { self.partition.joined },
            gate: self.partition.gate,
            row,
            usage: Usage::default(),
        };
        Judgement { change: None, sync: false, reply }
    }
}

/// Whether `proposal` is a blind write under this very ballot: a chain's root, not a re-proposal of one.
fn is_blind<V>(ballot: Ballot, proposal: &Proposal<V>) -> bool {
    proposal.blind && proposal.root == ballot && !proposal.root_is_floor
}

//! Carries out what register coordinators ask for: sends, collects replies, keeps time (REGISTER §5).
//!
//! One [`Drive`] runs one or more operations of the same kind; messages that several of them have for one replica
//! travel in one batch. It decides nothing of the protocol, only *when* to ask whom:
//!
//! - **V1** A Query goes to a majority first (own process, then the fastest that answer), to the others when one fails
//!   or takes longer than usual; everything else goes to all at once (`a_put_is_two_rounds_and_a_get_is_one`,
//!   `a_stopped_replica_delays_nobody_for_long`).
//! - **V2** An operation ends at its deadline whatever its replicas do (`nothing_outlives_its_deadline`).
//! - **V3** Sends that a majority did not need go on in the background within the bounds of [`crate::tail`]
//!   (`a_put_is_two_rounds_and_a_get_is_one`, `leftovers_are_bounded_in_memory_and_time`).
//! - **V4** An outcome is unknown only where some replica may have taken the value
//!   (`a_full_disk_is_no_unknown_outcome`).
//! - **V5** All state lives in the struct: [`Drive::step`] may be dropped at any await and called again
//!   (`the_query_runs_while_the_body_flows`).

mod send;

use std::sync::Arc;
use std::time::Duration;

use cairn_model::Envelope;
use cairn_placement::Quorums;
use cairn_register::coordinator::{Blind, Coordinator, Operation};
use cairn_register::{Action, Event, Failure, Gate, Message};
use cairn_rpc::CallError;
use cairn_types::{OpId, RowKey, StoreId};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::Instant;

use self::send::{Answer, Sent};
use crate::cluster::Cluster;
use crate::routes::Routes;
use crate::tally::first_majority;
use crate::{Op, OpError};

/// A round that takes this long is given up, and the coordinator goes on as the rules say.
const PATIENCE: Duration = Duration::from_secs(3);
/// Back-off between attempts: a random time below a bound that doubles from the first to the second of these. With
/// [`cairn_register::coordinator::TRIES`] attempts, an operation gives up after three or four seconds.
const BACKOFF_MIN: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_millis(250);

/// How long the last answers of full replicas are waited for.
const LINGER: Duration = Duration::from_millis(250);

/// What a send that goes on in the background counts for there, in KiB: a row with inline data, and what carries it.
const SEND_KIB: u32 = 8;

/// A coordinator of one kind of operation.
pub(crate) type Machine<O> = Coordinator<Envelope, O, <O as Operation<Envelope>>::Outcome>;

/// One key's operation.
pub(crate) struct Slot<O: Operation<Envelope>> {
    pub(crate) key: RowKey,
    pub(crate) machine: Machine<O>,
    pub(crate) outcome: Option<O::Outcome>,
    round: u32,
    /// Answers of this round that are still to come.
    outstanding: usize,
    /// Replicas that this round's Query has not gone to.
    reserve: Vec<StoreId>,
    hedge_at: Option<Instant>,
    patience_at: Option<Instant>,
    resume_at: Option<Instant>,
}

/// Runs operations until each has its outcome.
pub(crate) struct Drive<O: Operation<Envelope>> {
    cluster: Cluster,
    op: Op,
    routes: Arc<Routes>,
    slots: Vec<Slot<O>>,
    outgoing: send::Outgoing,
    /// Calls that write, which go on when the operations are over, and calls that only read.
    writes: FuturesUnordered<Sent>,
    reads: FuturesUnordered<Sent>,
    gates: FuturesUnordered<BoxFuture<'static, (usize, Result<Gate, OpError>)>>,
    /// See [`Drive::under_own_gate`].
    closing: Option<u64>,
    why: Why,
}

/// What stood in the way, for the error's text.
#[derive(Default)]
pub(crate) struct Why {
    full: Option<String>,
    invalid: Option<String>,
    last: Option<String>,
    /// Calls with a value of which nobody can say that they changed nothing.
    unrefused: usize,
    /// A replica judged a value.
    taken: bool,
}

impl<O: Operation<Envelope>> Drive<O> {
    /// No operations yet; [`Drive::add`] begins them.
    pub(crate) fn new(cluster: &Cluster, op: Op) -> Self {
        Self {
            cluster: cluster.clone(),
            op,
            routes: cluster.routes(),
            slots: Vec::new(),
            outgoing: send::Outgoing::default(),
            writes: FuturesUnordered::new(),
            reads: FuturesUnordered::new(),
            gates: FuturesUnordered::new(),
            closing: None,
            why: Why::default(),
        }
    }

    /// For the deleter of a bucket, whose own gate closing(`number`) stands: only replicas that show it count, and
    /// it is not read before an answer (REGISTER §12, X27).
    pub(crate) fn under_own_gate(mut self, number: Option<u64>) -> Self {
        self.closing = number;
        self
    }

    /// Begins the operation that `make` makes of the quorums of `key`.
    pub(crate) fn add(&mut self, key: RowKey, make: impl FnOnce(Quorums) -> Machine<O>) -> Result<(), OpError> {
        let quorums = self.routes.row_quorums(&key.partition_key).ok_or(OpError::NotReady)?;
        let machine = make(quorums).with_earlier(self.routes.earlier_quorums(&key.partition_key));
        let at = self.slots.len();
        self.slots.push(Slot::new(key, machine));
        let actions = self.slots[at].machine.start(&self.cluster.now());
        self.carry_out(at, actions);
        Ok(())
    }

    /// Runs until every operation has its outcome; what is still being written goes on in the background.
    pub(crate) async fn run(mut self) -> (Vec<(RowKey, Option<O::Outcome>)>, Why) {
        loop {
            self.flush();
            if self.slots.iter().all(|slot| slot.outcome.is_some()) {
                break;
            }
            self.step().await;
        }
        self.hear_refusals().await;
        let Self { cluster, slots, writes, why, .. } = self;
        if !writes.is_empty() {
            let weight = u32::try_from(writes.len()).unwrap_or(u32::MAX).saturating_mul(SEND_KIB);
            if cluster.tail().finish(weight, writes.for_each(|_| std::future::ready(()))).is_err() {
                tracing::debug!("no room to finish a send in the background");
            }
        }
        (slots.into_iter().map(|slot| (slot.key, slot.outcome)).collect(), why)
    }

    /// A replica has no room, and perhaps none has: whether the value is anywhere is worth a moment.
    async fn hear_refusals(&mut self) {
        let until = (Instant::now() + LINGER).min(self.op.deadline);
        while self.why.full.is_some() && self.why.unrefused > 0 && !self.why.taken {
            match tokio::time::timeout_at(until, self.writes.next()).await {
                Ok(Some(answer)) => self.why.answered(answer.stores, answer.result.as_ref().err()),
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// The operation that was added first.
    pub(crate) fn only(&mut self) -> Option<&mut Slot<O>> {
        self.slots.first_mut()
    }

    /// Gives the operations until `deadline`.
    pub(crate) fn extend(&mut self, deadline: Instant) {
        self.op.deadline = deadline;
    }

    /// Waits for the next reply or timer and acts on it. Replies come first, so that time spent elsewhere is not
    /// mistaken for silence.
    pub(crate) async fn step(&mut self) {
        self.flush();
        let wake = self.next_timer();
        tokio::select! {
            biased;
            Some(answer) = self.writes.next() => self.on_answer(answer),
            Some(answer) = self.reads.next() => self.on_answer(answer),
            Some((at, gate)) = self.gates.next() => {
                let event = gate.map_or(Event::Deadline, Event::Gate);
                self.tell(at, event);
            }
            () = tokio::time::sleep_until(wake) => self.on_timer(),
        }
    }

    fn tell(&mut self, at: usize, event: Event<Envelope>) {
        let actions = self.slots[at].machine.on_event(event, &self.cluster.now());
        self.carry_out(at, actions);
    }

    /// Does what the machine of slot `at` asks for.
    pub(crate) fn carry_out(&mut self, at: usize, actions: Vec<Action<Envelope, O::Outcome>>) {
        for action in actions {
            match action {
                Action::Send { round, targets, message } => self.send(at, round, targets, &message),
                Action::Tell { targets, message: Message::Commit { ballot } } => {
                    self.cluster.hint(&self.routes, &targets, &self.slots[at].key, ballot);
                }
                Action::Tell { targets, message } => {
                    for store in targets {
                        self.outgoing.post(store, at, 0, message.clone());
                    }
                }
                Action::Backoff { attempt } => {
                    let bound = BACKOFF_MAX.min(BACKOFF_MIN.saturating_mul(1 << attempt.min(16)));
                    self.slots[at].wait(Instant::now() + self.cluster.jitter(bound));
                }
                Action::ReadGate if self.closing.is_some() => {
                    self.gates.push(Box::pin(std::future::ready((at, Ok(Gate::Open)))));
                }
                Action::ReadGate => {
                    let (cluster, op) = (self.cluster.clone(), self.op);
                    let read = cluster.read_gate(&op, self.slots[at].key.partition_key.clone());
                    self.gates.push(Box::pin(async move { (at, read.await) }));
                }
                Action::Done(outcome) => self.slots[at].end(outcome),
            }
        }
    }

    fn send(&mut self, at: usize, round: u32, targets: Vec<StoreId>, message: &Message<Envelope>) {
        let now = Instant::now();
        let slot = &mut self.slots[at];
        let mut targets = targets;
        slot.begin_round(round, now + PATIENCE);
        if matches!(message, Message::Query) {
            let quorums = slot.machine.quorums();
            let sets: Vec<_> = quorums.query.iter().chain(&quorums.accept).cloned().collect();
            let (mut first, mut rest) = first_majority(&sets, &self.routes.nearest_tables(&targets));
            let nodes = first.iter().filter_map(|store| self.routes.table(*store));
            slot.hedge_at = nodes.map(|node| node.health.hedge()).max().map(|hedge| now + hedge);
            // A suspect is asked now and then, so that it is found to be back; nobody waits for it.
            rest.retain(|store| match self.routes.table(*store) {
                Some(node) if node.health.probe_due() => {
                    first.push(*store);
                    false
                }
                _ => true,
            });
            slot.reserve = rest;
            targets = first;
        }
        slot.outstanding = targets.len();
        for store in targets {
            self.outgoing.post(store, at, round, message.clone());
        }
    }

    /// Sends what was posted, a batch a replica; replicas without a known address are lost at once.
    fn flush(&mut self) {
        let mut calls = 0;
        while let Some((store, posts)) = self.outgoing.next_batch() {
            let Some(node) = self.routes.table(store).cloned() else {
                self.why.last = Some(format!("{store}: no address is known"));
                for post in posts {
                    self.lose(post.at, post.round, store);
                }
                continue;
            };
            let stores = posts.iter().any(send::Post::stores);
            let (writes, sent) = send::batch(&self.routes, node, self.op, &self.slots, posts);
            self.why.sent(stores);
            if writes {
                self.writes.push(sent)
            } else {
                self.reads.push(sent)
            }
            calls += 1;
        }
        self.cluster.counters().table_round(calls);
    }

    fn on_answer(&mut self, answer: Answer) {
        let Answer { store, epoch, posts, stores, result } = answer;
        self.why.answered(stores, result.as_ref().err());
        match result {
            Ok(replies) => {
                for ((at, round), reply) in posts.into_iter().zip(replies) {
                    if self.closing.is_some_and(|number| reply.gate != Gate::Closing(number)) {
                        self.lose(at, round, store);
                        continue;
                    }
                    self.slots[at].heard(round);
                    self.tell(at, Event::Reply { round, store, reply });
                }
            }
            Err(error) => {
                let newer = match &error {
                    CallError::StaleEpoch { view } => self.cluster.learn_view(view.clone(), epoch),
                    _ => false,
                };
                self.why.add(store, &error);
                if newer {
                    self.adopt_routes();
                } else {
                    for (at, round) in posts {
                        self.lose(at, round, store);
                    }
                }
            }
        }
    }

    /// E2: an operation lives in one epoch per attempt; a newer one sends it back to its beginning, or to W4.
    fn adopt_routes(&mut self) {
        let routes = self.cluster.routes();
        if routes.epoch() <= self.routes.epoch() {
            return;
        }
        self.routes = routes;
        for at in 0..self.slots.len() {
            let quorums = self.routes.row_quorums(&self.slots[at].key.partition_key);
            let event = quorums.map_or(Event::Deadline, Event::Epoch);
            if self.slots[at].outcome.is_none() {
                self.tell(at, event);
            }
        }
    }

    fn lose(&mut self, at: usize, round: u32, store: StoreId) {
        if self.slots[at].heard(round) {
            self.ask_reserve(at);
        }
        self.tell(at, Event::Lost { round, store });
    }

    /// Sends this round's Query to those it has not gone to.
    fn ask_reserve(&mut self, at: usize) {
        let slot = &mut self.slots[at];
        slot.hedge_at = None;
        let (round, reserve) = (slot.round, std::mem::take(&mut slot.reserve));
        slot.outstanding += reserve.len();
        for store in reserve {
            self.outgoing.post(store, at, round, Message::Query);
        }
    }

    fn next_timer(&self) -> Instant {
        let timers = self.slots.iter().flat_map(|slot| [slot.hedge_at, slot.patience_at, slot.resume_at]);
        timers.flatten().fold(self.op.deadline, Instant::min)
    }

    fn on_timer(&mut self) {
        let now = Instant::now();
        for at in 0..self.slots.len() {
            if now >= self.op.deadline {
                if self.slots[at].outcome.is_none() {
                    self.why.last.get_or_insert_with(|| "no answer before the deadline".to_owned());
                    self.tell(at, Event::Deadline);
                }
                continue;
            }
            let slot = &mut self.slots[at];
            if take_if_past(&mut slot.hedge_at, now) {
                self.ask_reserve(at);
            }
            let slot = &mut self.slots[at];
            if take_if_past(&mut slot.resume_at, now) {
                self.tell(at, Event::Resume);
            } else if take_if_past(&mut slot.patience_at, now) {
                let round = slot.round;
                self.tell(at, Event::Patience { round });
            }
        }
    }
}

fn take_if_past(timer: &mut Option<Instant>, now: Instant) -> bool {
    timer.take_if(|at| *at <= now).is_some()
}

impl<O: Operation<Envelope>> Slot<O> {
    fn new(key: RowKey, machine: Machine<O>) -> Self {
        let (hedge_at, patience_at, resume_at) = (None, None, None);
        let (round, outstanding, reserve, outcome) = (0, 0, Vec::new(), None);
        Self { key, machine, outcome, round, outstanding, reserve, hedge_at, patience_at, resume_at }
    }

    fn begin_round(&mut self, round: u32, patience_at: Instant) {
        self.round = round;
        self.reserve.clear();
        self.hedge_at = None;
        self.resume_at = None;
        self.patience_at = Some(patience_at);
    }

    /// An answer to `round` came, or will not come; false where the round is over. With the last one nobody is late.
    fn heard(&mut self, round: u32) -> bool {
        if round != self.round {
            return false;
        }
        self.outstanding = self.outstanding.saturating_sub(1);
        if self.outstanding == 0 {
            (self.hedge_at, self.patience_at) = (None, None);
        }
        true
    }

    fn wait(&mut self, until: Instant) {
        (self.hedge_at, self.patience_at, self.resume_at) = (None, None, Some(until));
    }

    fn end(&mut self, outcome: O::Outcome) {
        self.outcome = Some(outcome);
        (self.hedge_at, self.patience_at, self.resume_at) = (None, None, None);
        self.reserve.clear();
    }
}

impl Drive<Blind<Envelope>> {
    /// Names the value of the write at `at`.
    pub(crate) fn propose(&mut self, at: usize, id: OpId, value: Option<Envelope>) {
        let actions = self.slots[at].machine.propose(id, value, &self.cluster.now());
        self.carry_out(at, actions);
    }
}

/// Runs the one operation of `drive`.
pub(crate) async fn only<T, O>(drive: Drive<O>) -> Result<T, OpError>
where
    T: Clone,
    O: Operation<Envelope, Outcome = Result<T, Failure>>,
{
    let (mut outcomes, why) = drive.run().await;
    let outcome = outcomes.pop().and_then(|(_, outcome)| outcome);
    outcome.unwrap_or(Err(Failure::NoQuorum)).map_err(|failure| why.error(failure))
}

impl Why {
    /// A call went out; `stores`: with a value.
    fn sent(&mut self, stores: bool) {
        self.unrefused += usize::from(stores);
    }

    fn answered(&mut self, stores: bool, error: Option<&CallError>) {
        match error {
            None => self.taken |= stores,
            Some(error) if error.outcome_known() => {
                self.unrefused = self.unrefused.saturating_sub(usize::from(stores));
            }
            Some(_) => {}
        }
    }

    fn add(&mut self, store: StoreId, error: &CallError) {
        tracing::debug!(%store, %error, "a replica did not answer");
        match error {
            CallError::Full(why) => self.full = Some(why.clone()),
            CallError::Invalid(why) => self.invalid = Some(why.clone()),
            error => self.last = Some(format!("{store}: {error}")),
        }
    }

    /// What `failure` means to the caller.
    pub(crate) fn error(&self, failure: Failure) -> OpError {
        let text = || {
            let parts = [&self.full, &self.invalid, &self.last];
            let known: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
            known.join("; ")
        };
        match failure {
            Failure::NoQuorum => match (&self.invalid, &self.full) {
                (Some(why), _) => OpError::Invalid(why.clone()),
                (None, Some(why)) => OpError::Full(why.clone()),
                (None, None) => OpError::NoQuorum(text()),
            },
            Failure::Contended => OpError::Contended,
            Failure::Skewed => OpError::ClockSkew,
            Failure::Late => OpError::Late,
            Failure::Gone => OpError::Sealed,
            // Every replica refused the value before it looked at it: it is nowhere.
            Failure::Unknown if self.unrefused == 0 => self.error(Failure::NoQuorum),
            Failure::Unknown => OpError::Unknown(text()),
        }
    }
}

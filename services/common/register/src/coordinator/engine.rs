//! What all operations have in common: rounds, quorums, retries, epochs and the gate. The kinds differ in what they
//! decide from a quorum of replies: [`Operation`].
//!
//! - **Rounds**: each request has a number; replies to older ones count for nothing.
//! - **Retries** never re-send a value under a higher ballot without a Prepare (W4, C2–C5); kept by `give_up`, tested by
//!   the mutation `RetryHigher`.
//! - **Nothing definite** is said after an own value was sent, unless the rules settle it: kept by `fail`, tested by
//!   every history of the simulation.

use cairn_placement::{Quorums, ReplicaSet};
use cairn_types::{Ballot, StoreId};

use super::operation::{Next, Operation, Seen};
use super::{Action, Event, Failure, TRIES};
use crate::rules::{Rules, dropped};
use crate::votes::{Picture, Poll, Standing, Votes, everyone, highest};
use crate::{Gate, Message, Now, Proposal, Reply, Usage, Verdict};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Phase<V, T> {
    Idle,
    Query(Poll<V>),
    /// The query is done, the value is awaited.
    Ready,
    Prepare {
        ballot: Ballot,
        poll: Poll<V>,
    },
    Accept {
        ballot: Ballot,
        votes: Votes,
        new_value: bool,
        answer: T,
    },
    WriteBack {
        ballot: Ballot,
        votes: Votes,
        answer: T,
    },
    Backoff,
    /// The gate is being read: before this answer or, where there is none, before a value is sent.
    Gate(Option<T>),
    Ended,
}

/// One operation on one key.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Coordinator<V, O, T> {
    pub(super) op: O,
    rules: Rules,
    quorums: Quorums,
    earlier: Option<Quorums>,
    phase: Phase<V, T>,
    round: u32,
    /// Highest ballot seen, or made here: F of W1, and what every `n` is above.
    seen: Ballot,
    /// Lowest ballot under which an own value was sent; zero: none was.
    first: Ballot,
    /// Rounds that came to nothing.
    tries: u32,
    limit: u32,
    prepared: bool,
    /// B2: the last millisecond a ballot may have.
    latest_ms: u64,
    /// What stands in the way.
    trouble: Failure,
    /// A reply came from under a gate that was not open (§12).
    met_gate: bool,
    /// The gate was found open since: a value may be sent although a replica still shows another gate.
    gate_read: bool,
    usage: Usage,
}

impl<V: Clone, O: Operation<V>> Coordinator<V, O, O::Outcome> {
    pub(super) fn with(op: O, quorums: Quorums, latest_ms: u64) -> Self {
        Self {
            op,
            rules: Rules::default(),
            quorums,
            earlier: None,
            phase: Phase::Idle,
            round: 0,
            seen: Ballot::ZERO,
            first: Ballot::ZERO,
            tries: 0,
            limit: TRIES,
            prepared: false,
            latest_ms,
            trouble: Failure::NoQuorum,
            met_gate: false,
            gate_read: false,
            usage: Usage::default(),
        }
    }

    /// Makes ballots above `ballot` only.
    pub(super) fn above(mut self, ballot: Ballot) -> Self {
        self.seen = self.seen.max(ballot);
        self
    }

    /// Gives up after `tries` rounds that came to nothing, instead of [`TRIES`].
    #[must_use]
    pub fn with_tries(mut self, tries: u32) -> Self {
        self.limit = tries;
        self
    }

    /// The quorums of the last stable epoch, while a layout changes: rows of that epoch are judged by them (G3).
    #[must_use]
    pub fn with_earlier(mut self, earlier: Option<Quorums>) -> Self {
        self.earlier = earlier;
        self
    }

    /// Drops a rule, or none.
    #[cfg(feature = "mutations")]
    #[must_use]
    pub fn without(mut self, dropped: Option<crate::Mutation>) -> Self {
        self.rules = Rules { dropped };
        self
    }

    /// Whose quorums count now; messages carry their epoch.
    #[must_use]
    pub const fn quorums(&self) -> &Quorums {
        &self.quorums
    }

    /// Begins. Called once.
    #[must_use]
    pub fn start(&mut self, now: &Now<'_>) -> Vec<Action<V, O::Outcome>> {
        let mut out = Vec::new();
        if matches!(self.phase, Phase::Idle) {
            self.begin(now, &mut out);
        }
        out
    }

    /// Goes on. Late, repeated and unexpected events do nothing.
    #[must_use]
    pub fn on_event(&mut self, event: Event<V>, now: &Now<'_>) -> Vec<Action<V, O::Outcome>> {
        let mut out = Vec::new();
        if self.is_running() {
            match event {
                Event::Reply { round, store, reply } => self.on_reply(round, store, reply, now, &mut out),
                Event::Lost { round, store } if round == self.round => self.on_refusal(store, None, now, &mut out),
                Event::Patience { round } if round == self.round => self.on_patience(now, &mut out),
                Event::Lost { .. } | Event::Patience { .. } => {}
                Event::Resume => self.on_resume(now, &mut out),
                Event::Gate(gate) => self.on_gate(gate, now, &mut out),
                Event::Epoch(quorums) => self.on_epoch(quorums, now, &mut out),
                Event::Deadline => self.fail(self.trouble, &mut out),
            }
        }
        out
    }

    pub(super) const fn is_running(&self) -> bool {
        !matches!(self.phase, Phase::Idle | Phase::Ended)
    }

    pub(super) const fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready)
    }

    pub(super) const fn usage_seen(&self) -> Usage {
        self.usage
    }

    /// W1, C1, G1; W4 once a value was sent.
    fn begin(&mut self, now: &Now<'_>, out: &mut Vec<Action<V, O::Outcome>>) {
        if !self.op.queries(!self.first.is_zero()) {
            return self.prepare(now, out);
        }
        self.phase = Phase::Query(Poll::new(self.rules));
        // Reads look at the other active layout too: a row it agrees on needs no write-back.
        let targets = everyone(self.quorums.query.iter().chain(&self.quorums.accept));
        self.send(targets, Message::Query, out);
    }

    fn prepare(&mut self, now: &Now<'_>, out: &mut Vec<Action<V, O::Outcome>>) {
        let Some(ballot) = self.fresh(now, out) else { return };
        self.prepared = true;
        self.phase = Phase::Prepare { ballot, poll: Poll::new(self.rules) };
        let targets = everyone(self.prepare_sets());
        self.send(targets, Message::Prepare { ballot }, out);
    }

    /// E8: promises come from every active layout.
    fn prepare_sets(&self) -> &[ReplicaSet] {
        if dropped!(self.rules, PrepareOneLayout) { &self.quorums.query } else { &self.quorums.prepare }
    }

    /// W2.
    pub(super) fn write_blind(&mut self, now: &Now<'_>, out: &mut Vec<Action<V, O::Outcome>>) {
        let Some(ballot) = self.fresh(now, out) else { return };
        if let Some((proposal, answer)) = self.op.blind(ballot) {
            self.accept(ballot, proposal, true, answer, out);
        }
    }

    /// A ballot of this epoch above everything seen; none: the operation backs off, or ended.
    fn fresh(&mut self, now: &Now<'_>, out: &mut Vec<Action<V, O::Outcome>>) -> Option<Ballot> {
        let Some(ballot) = now.proposer.fresh(now.ms, self.quorums.epoch, self.seen) else {
            self.trouble = Failure::Skewed;
            self.back_off(out);
            return None;
        };
        if ballot.millis() > self.latest_ms {
            // W5, B2: both are readings of one clock, so this holds however wrong it is.
            self.fail(Failure::Late, out);
            return None;
        }
        self.seen = self.seen.max(ballot);
        Some(ballot)
    }

    fn accept(
        &mut self,
        ballot: Ballot,
        proposal: Proposal<V>,
        new_value: bool,
        answer: O::Outcome,
        out: &mut Vec<Action<V, O::Outcome>>,
    ) {
        if new_value && self.met_gate && !self.gate_read {
            // §12: under a gate that is not open the value would be refused, and its fate unknown: look first.
            self.phase = Phase::Gate(None);
            out.push(Action::ReadGate);
            return;
        }
        if new_value && self.first.is_zero() {
            self.first = ballot;
        }
        let all = self.op.needs_all() && !dropped!(self.rules, CollectAtMajority);
        let votes = if all { Votes::of_all(self.rules) } else { Votes::new(self.rules) };
        self.phase = Phase::Accept { ballot, votes, new_value, answer };
        let targets = everyone(&self.quorums.accept);
        self.send(targets, Message::Accept { ballot, proposal, new_value }, out);
    }

    /// G4. Who showed the row holds it already, and counts.
    fn write_back(
        &mut self,
        ballot: Ballot,
        proposal: Proposal<V>,
        answer: O::Outcome,
        picture: &Picture<V>,
        out: &mut Vec<Action<V, O::Outcome>>,
    ) {
        let mut votes = Votes::new(self.rules);
        let (holders, others): (Vec<_>, Vec<_>) =
            everyone(&self.quorums.accept).into_iter().partition(|store| picture.same.contains(store));
        holders.into_iter().for_each(|store| votes.yes(store));
        self.phase = Phase::WriteBack { ballot, votes, answer };
        self.send(others, Message::WriteBack { ballot, proposal }, out);
    }

    fn send(&mut self, targets: Vec<StoreId>, message: Message<V>, out: &mut Vec<Action<V, O::Outcome>>) {
        self.round += 1;
        self.trouble = Failure::NoQuorum;
        out.push(Action::Send { round: self.round, targets, message });
    }

    fn on_reply(
        &mut self,
        round: u32,
        store: StoreId,
        reply: Reply<V>,
        now: &Now<'_>,
        out: &mut Vec<Action<V, O::Outcome>>,
    ) {
        let here = reply.verdict != Verdict::NotHere;
        self.met_gate |= here && reply.gate != Gate::Open;
        if round != self.round {
            return;
        }
        let querying = matches!(self.phase, Phase::Query(_) | Phase::Ready);
        if here && !now.is_future(highest(&reply)) && !(querying && dropped!(self.rules, WriteWithoutQuery)) {
            self.seen = self.seen.max(highest(&reply));
        }
        if !matches!(reply.verdict, Verdict::Ack | Verdict::Absorbed) {
            return self.on_refusal(store, Some(reply.verdict), now, out);
        }
        if querying {
            // While the body flows the last reply is heard as well.
            self.usage = self.usage.max(reply.usage);
        }
        match &mut self.phase {
            Phase::Query(poll) | Phase::Prepare { poll, .. } => poll.reply(store, reply, now),
            Phase::Accept { votes, .. } | Phase::WriteBack { votes, .. } => votes.yes(store),
            Phase::Idle | Phase::Ready | Phase::Backoff | Phase::Gate(_) | Phase::Ended => {}
        }
        self.count(now, out);
    }

    /// A reply that refuses, or none.
    fn on_refusal(
        &mut self,
        store: StoreId,
        verdict: Option<Verdict>,
        now: &Now<'_>,
        out: &mut Vec<Action<V, O::Outcome>>,
    ) {
        match verdict {
            Some(Verdict::ClockSkew) => self.trouble = Failure::Skewed,
            // The gate closed since it was found open.
            Some(Verdict::Sealed) => self.gate_read = false,
            Some(Verdict::Nack) => self.trouble = Failure::Contended,
            Some(Verdict::NotHere | Verdict::Ack | Verdict::Absorbed) | None => {}
        }
        match &mut self.phase {
            Phase::Query(poll) | Phase::Prepare { poll, .. } => poll.refused(store),
            Phase::Accept { votes, .. } | Phase::WriteBack { votes, .. } => votes.no(store),
            Phase::Idle | Phase::Ready | Phase::Backoff | Phase::Gate(_) | Phase::Ended => {}
        }
        self.count(now, out);
    }

    /// Acts as soon as a quorum is there, or cannot be any more.
    fn count(&mut self, now: &Now<'_>, out: &mut Vec<Action<V, O::Outcome>>) {
        let quorums = &self.quorums;
        let prepare = if dropped!(self.rules, PrepareOneLayout) { &quorums.query } else { &quorums.prepare };
        let standing = match &mut self.phase {
            Phase::Query(poll) => poll.standing(&quorums.query),
            Phase::Prepare { poll, .. } => poll.standing(prepare),
            Phase::Accept { votes, .. } | Phase::WriteBack { votes, .. } => votes.standing(&quorums.accept),
            Phase::Idle | Phase::Ready | Phase::Backoff | Phase::Gate(_) | Phase::Ended => return,
        };
        match standing {
            Standing::Waiting => {}
            Standing::Impossible => self.give_up(now, out),
            Standing::Reached => self.reached(now, out),
        }
    }

    fn reached(&mut self, now: &Now<'_>, out: &mut Vec<Action<V, O::Outcome>>) {
        match std::mem::replace(&mut self.phase, Phase::Backoff) {
            Phase::Query(poll) => {
                let picture = poll.picture(self.rules);
                if !dropped!(self.rules, WriteWithoutQuery) {
                    self.seen = self.seen.max(picture.seen);
                }
                let next = self.op.queried(&Self::seen(self.rules, &self.quorums, &self.earlier, self.first, &picture));
                self.go(next, Ballot::ZERO, &picture, now, out);
            }
            Phase::Prepare { ballot, poll } => {
                let picture = poll.picture(self.rules);
                let seen = Self::seen(self.rules, &self.quorums, &self.earlier, self.first, &picture);
                let next = self.op.decide(ballot, &seen);
                self.go(next, ballot, &picture, now, out);
            }
            Phase::Accept { ballot, new_value, answer, .. } => {
                // W3: chosen.
                out.push(Action::Tell { targets: everyone(&self.quorums.accept), message: self.op.chosen(ballot) });
                self.answer(answer, new_value, out);
            }
            Phase::WriteBack { ballot, answer, .. } => {
                let message = Message::Commit { ballot };
                out.push(Action::Tell { targets: everyone(&self.quorums.accept), message });
                self.answer(answer, false, out);
            }
            Phase::Idle | Phase::Ready | Phase::Backoff | Phase::Gate(_) | Phase::Ended => {}
        }
    }

    fn seen<'a>(
        rules: Rules,
        quorums: &'a Quorums,
        earlier: &'a Option<Quorums>,
        first: Ballot,
        picture: &'a Picture<V>,
    ) -> Seen<'a, V> {
        Seen { rules, picture, quorums, earlier: earlier.as_ref(), first }
    }

    fn go(
        &mut self,
        next: Next<V, O::Outcome>,
        prepared: Ballot,
        picture: &Picture<V>,
        now: &Now<'_>,
        out: &mut Vec<Action<V, O::Outcome>>,
    ) {
        match next {
            Next::Wait => self.phase = Phase::Ready,
            Next::Blind => self.write_blind(now, out),
            Next::Propose { proposal, new_value, answer } => self.accept(prepared, proposal, new_value, answer, out),
            Next::WriteBack { ballot, proposal, answer } => self.write_back(ballot, proposal, answer, picture, out),
            Next::Prepare => self.prepare(now, out),
            Next::Answer(answer) => self.answer(answer, false, out),
            Next::End(outcome) => self.end(outcome, out),
            Next::Fail(failure) => self.fail(failure, out),
        }
    }

    fn on_patience(&mut self, now: &Now<'_>, out: &mut Vec<Action<V, O::Outcome>>) {
        match self.phase {
            Phase::Query(_) | Phase::Prepare { .. } | Phase::Accept { .. } | Phase::WriteBack { .. } => {
                self.give_up(now, out);
            }
            Phase::Idle | Phase::Ready | Phase::Backoff | Phase::Gate(_) | Phase::Ended => {}
        }
    }

    /// The round cannot, or will not, reach its quorum. What comes next begins with a Query or a Prepare: nothing is
    /// sent again under a higher ballot without one (W4, G5).
    fn give_up(&mut self, now: &Now<'_>, out: &mut Vec<Action<V, O::Outcome>>) {
        let resend = dropped!(self.rules, RetryHigher) && matches!(self.phase, Phase::Accept { new_value: true, .. });
        let prepares = match self.phase {
            Phase::WriteBack { .. } => true,
            // W4 after W2; later prepares back off first.
            Phase::Accept { .. } => !self.prepared,
            _ => false,
        };
        if !prepares {
            return self.back_off(out);
        }
        self.tries += 1;
        if self.tries >= self.limit {
            return self.fail(self.trouble, out);
        }
        if resend { self.write_blind(now, out) } else { self.prepare(now, out) }
    }

    fn back_off(&mut self, out: &mut Vec<Action<V, O::Outcome>>) {
        self.tries += 1;
        if self.tries >= self.limit {
            return self.fail(self.trouble, out);
        }
        self.phase = Phase::Backoff;
        out.push(Action::Backoff { attempt: self.tries });
    }

    fn on_resume(&mut self, now: &Now<'_>, out: &mut Vec<Action<V, O::Outcome>>) {
        match self.phase {
            Phase::Backoff => self.begin(now, out),
            Phase::Gate(_) => out.push(Action::ReadGate),
            _ => {}
        }
    }

    /// E2: one epoch per attempt. A newer one sends the operation back to its beginning, or to W4.
    fn on_epoch(&mut self, quorums: Quorums, now: &Now<'_>, out: &mut Vec<Action<V, O::Outcome>>) {
        if quorums.epoch <= self.quorums.epoch {
            return;
        }
        let old = std::mem::replace(&mut self.quorums, quorums);
        if old.accept.len() == 1 {
            self.earlier = Some(old);
        }
        match self.phase {
            // These begin again in the new epoch when they are over.
            Phase::Backoff | Phase::Gate(_) | Phase::Idle | Phase::Ended => {}
            Phase::Query(_) | Phase::Ready | Phase::Prepare { .. } | Phase::Accept { .. } | Phase::WriteBack { .. } => {
                self.begin(now, out)
            }
        }
    }

    fn on_gate(&mut self, gate: Gate, now: &Now<'_>, out: &mut Vec<Action<V, O::Outcome>>) {
        let Phase::Gate(answer) = &mut self.phase else { return };
        match gate {
            Gate::Open => {
                self.met_gate = false;
                self.gate_read = true;
                match answer.take() {
                    Some(answer) => self.end(answer, out),
                    None => self.begin(now, out),
                }
            }
            Gate::Closing(_) => {
                // Again, after a while; the phase stays.
                self.tries += 1;
                if self.tries >= self.limit {
                    return self.fail(Failure::Contended, out);
                }
                out.push(Action::Backoff { attempt: self.tries });
            }
            Gate::Sealed => self.fail(Failure::Gone, out),
        }
    }

    /// §12: who met a gate that was not open answers by W3 alone, or reads the gate first.
    fn answer(&mut self, answer: O::Outcome, by_acks_of_a_new_value: bool, out: &mut Vec<Action<V, O::Outcome>>) {
        if self.met_gate && !by_acks_of_a_new_value && !dropped!(self.rules, GateNotRead) {
            self.phase = Phase::Gate(Some(answer));
            out.push(Action::ReadGate);
        } else {
            self.end(answer, out);
        }
    }

    fn end(&mut self, outcome: O::Outcome, out: &mut Vec<Action<V, O::Outcome>>) {
        self.phase = Phase::Ended;
        out.push(Action::Done(outcome));
    }

    /// W5, §7: once an own value was sent, whatever goes wrong is Unknown.
    fn fail(&mut self, failure: Failure, out: &mut Vec<Action<V, O::Outcome>>) {
        let sent = !self.first.is_zero() || self.op.is_shared();
        let told = failure == Failure::Gone && dropped!(self.rules, GoneAfterSend);
        let failure = if sent && !told { Failure::Unknown } else { failure };
        let outcome = self.op.failed(failure);
        self.end(outcome, out);
    }
}

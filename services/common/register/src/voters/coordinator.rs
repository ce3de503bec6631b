//! One read of the newest record, or one proposal of the next, from its first message to its outcome.

use std::collections::BTreeSet;

use cairn_placement::ReplicaSet;
use cairn_types::StoreId;

use super::rules::{Rules, without};
use super::{Answer, Ballot, Message, Open, Record, is_majority};

/// What the driver is to do.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Action<C> {
    /// Send to each target, and report its answer, or that none will come, under `round`. Earlier rounds are over.
    Send {
        round: u32,
        targets: Vec<StoreId>,
        message: Message<C>,
    },
    /// This round cannot succeed: wait for a random time below a bound that doubles, then [`Coordinator::resume`].
    Backoff,
    Done(Outcome<C>),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Outcome<C> {
    /// A read: no newer record had been chosen when it began.
    Newest(Record<C>),
    /// A proposal: it is chosen.
    Chosen(Record<C>),
    /// A proposal: another record was chosen for its number, so it never will be. This is the newest one met.
    Passed(Record<C>),
    /// A proposal: sent, and may have been chosen before the record named here, or may yet be. Look, and ask again.
    Unknown(Record<C>),
    /// No majority of the voters of this record answered. Nothing was proposed.
    NoMajority(Record<C>),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Phase {
    Query,
    Prepare,
    Accept,
}

/// Holds no durable state: it may be dropped at any moment, which leaves its record open.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Coordinator<C> {
    rules: Rules,
    /// None: a read.
    proposal: Option<Record<C>>,
    /// The newest record known to be chosen.
    view: Record<C>,
    phase: Phase,
    round: u32,
    /// Of this round: once sent, it stands.
    ballot: Ballot,
    /// The highest time used or met.
    time: u64,
    acks: BTreeSet<StoreId>,
    lost: BTreeSet<StoreId>,
    /// The open record of the highest ballot in this round's promises.
    best: Option<Open<C>>,
    /// What this round asks to accept.
    accepting: Option<Record<C>>,
    /// An Accept of `proposal` has left.
    sent: bool,
    /// This round's back-off has been asked for.
    waiting: bool,
}

impl<C: Clone + PartialEq> Coordinator<C> {
    /// Looks for the newest record. `view` is any record that is known to be chosen; `proposer` is random.
    #[must_use]
    pub fn read(view: Record<C>, proposer: u64) -> Self {
        Self::new(view, None, proposer)
    }

    /// Proposes `record`, whose number is `base`'s next. `base` is known to be chosen; `proposer` is random and never
    /// used for another record.
    #[must_use]
    pub fn propose(base: Record<C>, record: Record<C>, proposer: u64) -> Self {
        debug_assert_eq!(Some(record.number), base.number.checked_add(1));
        Self::new(base, Some(record), proposer)
    }

    fn new(view: Record<C>, proposal: Option<Record<C>>, proposer: u64) -> Self {
        Self {
            rules: Rules::default(),
            proposal,
            view,
            phase: Phase::Query,
            round: 0,
            ballot: Ballot { proposer, ..Ballot::ZERO },
            time: 0,
            acks: BTreeSet::new(),
            lost: BTreeSet::new(),
            best: None,
            accepting: None,
            sent: false,
            waiting: false,
        }
    }

    /// Begins with ballots above `time`.
    #[must_use]
    pub const fn above(mut self, time: u64) -> Self {
        self.time = time;
        self
    }

    /// Drops one part of E1.
    #[cfg(feature = "mutations")]
    #[must_use]
    pub const fn without(mut self, mutation: Option<super::Mutation>) -> Self {
        self.rules.dropped = mutation;
        self
    }

    /// The ballot of this round, once there was a Prepare.
    #[must_use]
    pub const fn ballot(&self) -> Ballot {
        self.ballot
    }

    /// The newest record this coordinator knows to be chosen.
    #[must_use]
    pub const fn view(&self) -> &Record<C> {
        &self.view
    }

    pub fn start(&mut self) -> Action<C> {
        if self.proposal.is_some() { self.prepare() } else { self.query() }
    }

    /// Tries again after [`Action::Backoff`], or earlier: that costs others a retry, and is safe.
    pub fn resume(&mut self) -> Action<C> {
        if self.phase == Phase::Query { self.query() } else { self.prepare() }
    }

    /// The outcome if nothing more is done.
    #[must_use]
    pub fn give_up(self) -> Outcome<C> {
        if self.sent { Outcome::Unknown(self.view) } else { Outcome::NoMajority(self.view) }
    }

    /// `store` will not answer in `round`.
    pub fn on_lost(&mut self, round: u32, store: StoreId) -> Option<Action<C>> {
        if round != self.round {
            return None;
        }
        self.lost.insert(store);
        self.back_off_if_hopeless()
    }

    /// `store` answered in `round`.
    pub fn on_answer(&mut self, round: u32, store: StoreId, answer: Answer<C>) -> Option<Action<C>> {
        if round != self.round || !self.targets().contains(&store) {
            return None;
        }
        if let Some(newer) = answer.chosen.filter(|chosen| chosen.number > self.view.number) {
            return Some(self.follow(newer));
        }
        if !answer.ack {
            if answer.promised.number == self.ballot.number {
                self.time = self.time.max(answer.promised.time);
            }
            self.lost.insert(store);
            return self.back_off_if_hopeless();
        }
        self.lost.remove(&store);
        self.acks.insert(store);
        match self.phase {
            Phase::Query => self.on_queried(answer.open),
            Phase::Prepare => self.on_promised(answer.open),
            Phase::Accept => self.on_accepted(),
        }
    }

    /// A record above my view is chosen (E1d).
    fn follow(&mut self, mut newer: Record<C>) -> Action<C> {
        if without!(self.rules, SameTargets) {
            newer.voters = self.view.voters.clone();
        }
        self.view = newer.clone();
        let Some(mine) = &self.proposal else { return self.query() };
        Action::Done(match mine.number.cmp(&newer.number) {
            std::cmp::Ordering::Equal if mine.op == newer.op => Outcome::Chosen(newer),
            // It may be among those between.
            std::cmp::Ordering::Less if self.sent => Outcome::Unknown(newer),
            _ => Outcome::Passed(newer),
        })
    }

    fn on_queried(&mut self, open: Option<Open<C>>) -> Option<Action<C>> {
        match open.filter(|open| open.record.number > self.view.number) {
            Some(open) if without!(self.rules, OnlyChosen) => Some(Action::Done(Outcome::Newest(open.record))),
            // Completed before it is named.
            Some(_) => Some(self.prepare()),
            None => {
                let enough = is_majority(&self.acks, &self.view.voters) || without!(self.rules, AskMajority);
                enough.then(|| Action::Done(Outcome::Newest(self.view.clone())))
            }
        }
    }

    fn on_promised(&mut self, open: Option<Open<C>>) -> Option<Action<C>> {
        let newer = open.filter(|open| open.record.number > self.view.number);
        self.best = newer.into_iter().chain(self.best.take()).max_by_key(|open| open.ballot);
        if !is_majority(&self.acks, self.promisers()) {
            return None;
        }
        let record = match (self.best.take(), &self.proposal) {
            (Some(open), Some(_)) if without!(self.rules, SettleFirst) => {
                return Some(Action::Done(Outcome::Passed(open.record)));
            }
            (Some(open), _) => open.record,
            (None, None) => return Some(Action::Done(Outcome::Newest(self.view.clone()))),
            (None, Some(mine)) => mine.clone(),
        };
        self.sent |= self.proposal.as_ref() == Some(&record);
        let message = Message::Accept { ballot: self.ballot, base: self.view.clone(), record: record.clone() };
        Some(self.send(Phase::Accept, Some(record), message))
    }

    fn on_accepted(&mut self) -> Option<Action<C>> {
        let record = self.accepting.clone()?;
        let mut acks = self.acks.clone();
        if without!(self.rules, RealAccept) {
            acks.extend(record.voters.stores().iter().filter(|store| !self.view.voters.contains(**store)));
        }
        let old = is_majority(&acks, &self.view.voters) || without!(self.rules, OldMajority);
        let new = is_majority(&acks, &record.voters) || without!(self.rules, NewMajority);
        if !(old && new) {
            return None;
        }
        self.view = record.clone();
        Some(Action::Done(match &self.proposal {
            None => Outcome::Newest(record),
            Some(mine) if mine.op == record.op => Outcome::Chosen(record),
            Some(_) => Outcome::Passed(record),
        }))
    }

    fn query(&mut self) -> Action<C> {
        self.send(Phase::Query, None, Message::Query)
    }

    fn prepare(&mut self) -> Action<C> {
        let fenced = !without!(self.rules, Fence);
        self.ballot.number = if fenced { self.view.number.saturating_add(1) } else { 0 };
        self.time = self.time.saturating_add(1);
        self.ballot.time = self.time;
        let message = Message::Prepare { ballot: self.ballot, base: self.view.clone() };
        self.send(Phase::Prepare, None, message)
    }

    fn send(&mut self, phase: Phase, accepting: Option<Record<C>>, message: Message<C>) -> Action<C> {
        self.phase = phase;
        self.accepting = accepting;
        self.round += 1;
        self.acks.clear();
        self.lost.clear();
        self.best = None;
        self.waiting = false;
        Action::Send { round: self.round, targets: self.targets().into_iter().collect(), message }
    }

    /// Whose majority a promise needs.
    fn promisers(&self) -> &ReplicaSet {
        match &self.proposal {
            Some(mine) if without!(self.rules, PrepareAtOld) => &mine.voters,
            _ => &self.view.voters,
        }
    }

    fn targets(&self) -> BTreeSet<StoreId> {
        let of = |set: &ReplicaSet| set.stores().to_vec();
        match (self.phase, &self.accepting) {
            (Phase::Accept, Some(record)) => of(&self.view.voters).into_iter().chain(of(&record.voters)).collect(),
            (Phase::Query, _) => of(&self.view.voters).into_iter().collect(),
            (Phase::Prepare | Phase::Accept, _) => of(self.promisers()).into_iter().collect(),
        }
    }

    fn back_off_if_hopeless(&mut self) -> Option<Action<C>> {
        let open: BTreeSet<StoreId> = self.targets().difference(&self.lost).copied().collect();
        let possible = match (self.phase, &self.accepting) {
            (Phase::Query, _) => is_majority(&open, &self.view.voters),
            (Phase::Accept, Some(record)) => {
                is_majority(&open, &self.view.voters) && is_majority(&open, &record.voters)
            }
            (Phase::Prepare | Phase::Accept, _) => is_majority(&open, self.promisers()),
        };
        if possible || std::mem::replace(&mut self.waiting, true) {
            return None;
        }
        Some(Action::Backoff)
    }
}

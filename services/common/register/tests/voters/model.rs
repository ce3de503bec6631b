//! A network, voters, and admins who drive the product's coordinators.
//!
//! Faults: requests stay in the network for ever (late, reordered, duplicated), answers are lost, coordinators stop
//! anywhere, an operation may begin with any record that was once known to be chosen, disks are lost.
//! Violations: two records chosen for one number; a record chosen on a base that was not; an answer older than what
//! somebody knew when the question was asked; a known record that a living majority of its voters cannot name.

use std::collections::BTreeSet;

use cairn_placement::ReplicaSet;
use cairn_register::voters::{
    Action, Answer, Ballot, Coordinator, Message, Mutation, Outcome, VoterState, judge_without,
};
use cairn_types::{OpId, StoreId};

pub(crate) type Record = cairn_register::voters::Record<()>;
/// Bit i is voter i.
pub(crate) type Set = u8;

const VOTERS: u8 = 5;

/// What one admin wants.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Admin {
    /// Add and remove these voters, on whatever record is the newest.
    Change { add: Set, remove: Set },
    /// Name the newest record.
    Read,
}

/// Something a driver or a disk must not do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The next change does not wait until the last one is chosen.
    OneInFlight,
    /// A voter that lost its disk goes on under its old id.
    Revival,
    /// A crash loses promises.
    PromisesLost,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    pub(crate) mutation: Option<Mutation>,
    pub(crate) fault: Option<Fault>,
    pub(crate) first: Set,
    pub(crate) admins: Vec<Admin>,
    /// Prepares an admin may send.
    pub(crate) tries: u8,
    /// How far the times of admins' ballots may be apart when they begin.
    pub(crate) skew: u8,
    /// Disks that may be lost.
    pub(crate) losses: u8,
    /// Chosen records are also handed around.
    pub(crate) learn: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Default)]
struct Voter {
    state: VoterState<()>,
    dead: bool,
}

/// The Accept messages of one ballot, and who ever accepted. They never leave the network.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Proposal {
    ballot: Ballot,
    base: Record,
    record: Record,
    got: Set,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Phase {
    Idle,
    /// Waits for answers of these voters to a Query or a Prepare; true: one refused.
    Asking(Message<()>, Set, bool),
    /// Waits for answers to its Accept; these voters acknowledged.
    Proposing(Ballot, Set),
    Ended,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Op {
    coordinator: Option<Coordinator<()>>,
    round: u32,
    phase: Phase,
    tries: u8,
    /// Reads: the newest number known to anybody when it began.
    oldest: u64,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    voters: Vec<Voter>,
    ops: Vec<Op>,
    sent: Vec<Proposal>,
    /// In order of their numbers.
    chosen: Vec<Record>,
    /// Numbers that some coordinator knows to be chosen.
    known: BTreeSet<u64>,
    losses: u8,
    pub(crate) violation: Option<&'static str>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// An admin begins from the record of this number, its ballots above this time.
    Begin(usize, u64, u8),
    /// A Query or Prepare reaches a voter, and its answer the admin.
    Ask(usize, u8),
    /// An Accept reaches a voter; true: nobody hears of it.
    Accept(Ballot, u8, bool),
    Learn(u64, u8),
    Retry(usize),
    /// A voter loses its disk, or crashes.
    Lose(u8),
}

pub(crate) fn store(voter: u8) -> StoreId {
    StoreId([voter; 16])
}

fn bits(set: Set) -> impl Iterator<Item = u8> {
    (0..8).filter(move |bit| set >> bit & 1 == 1)
}

fn replica_set(set: Set) -> ReplicaSet {
    ReplicaSet::new(bits(set).map(store).collect())
}

fn set_of(voters: &ReplicaSet) -> Set {
    voters.stores().iter().fold(0, |set, store| set | 1 << store.0[0])
}

fn is_majority(got: Set, of: &ReplicaSet) -> bool {
    let of = set_of(of);
    2 * (got & of).count_ones() > of.count_ones()
}

impl State {
    pub(crate) fn new(config: &Config) -> Self {
        let first = Record { number: 1, voters: replica_set(config.first), op: OpId([0xff; 16]), content: () };
        let voter = |bit: u8| {
            let chosen = (config.first >> bit & 1 == 1).then(|| first.clone());
            Voter { state: VoterState { chosen, ..VoterState::default() }, dead: false }
        };
        let op = Op { coordinator: None, round: 0, phase: Phase::Idle, tries: config.tries, oldest: 0 };
        Self {
            voters: (0..VOTERS).map(voter).collect(),
            ops: vec![op; config.admins.len()],
            sent: vec![],
            chosen: vec![first],
            known: BTreeSet::from([1]),
            losses: config.losses,
            violation: None,
        }
    }

    pub(crate) fn take(&mut self, config: &Config, step: Step) {
        match step {
            Step::Begin(op, number, time) => self.begin(config, op, number, time.into()),
            Step::Ask(op, voter) => self.ask(config, op, voter),
            Step::Accept(ballot, voter, lost) => self.accept(config, ballot, voter, lost),
            Step::Learn(number, voter) => {
                let chosen = self.chosen.iter().find(|record| record.number == number).unwrap().clone();
                self.tell(config, voter, &Message::Learn { chosen });
            }
            Step::Retry(op) => {
                let action = self.ops[op].coordinator.as_mut().unwrap().resume();
                self.act(config, op, Some(action), None);
            }
            Step::Lose(voter) => self.lose(config, voter),
        }
        self.check(config);
        self.forget();
    }

    fn begin(&mut self, config: &Config, op: usize, number: u64, time: u64) {
        let base = self.chosen.iter().find(|record| record.number == number).unwrap().clone();
        self.ops[op].oldest = *self.known.last().unwrap();
        self.operate(config, op, base, time);
    }

    /// Starts the coordinator of an admin's wish on `base`.
    fn operate(&mut self, config: &Config, op: usize, base: Record, time: u64) {
        let proposer = op as u64 + 1;
        let coordinator = match config.admins[op] {
            Admin::Read => Coordinator::read(base, proposer),
            Admin::Change { add, remove } => {
                let wanted = (set_of(&base.voters) | add) & !remove;
                let voters = if wanted == 0 { base.voters.clone() } else { replica_set(wanted) };
                let own = u8::try_from(op).unwrap();
                let record = Record { number: base.number + 1, voters, op: OpId([own; 16]), content: () };
                Coordinator::propose(base, record, proposer)
            }
        };
        let mut coordinator = coordinator.above(time).without(config.mutation);
        let action = coordinator.start();
        self.ops[op].coordinator = Some(coordinator);
        self.act(config, op, Some(action), None);
    }

    fn tell(&mut self, config: &Config, voter: u8, message: &Message<()>) -> Answer<()> {
        let voter = &mut self.voters[usize::from(voter)];
        let judgement = judge_without(config.mutation, &voter.state, message);
        if let Some(state) = judgement.write {
            voter.state = state;
        }
        judgement.answer
    }

    fn ask(&mut self, config: &Config, op: usize, voter: u8) {
        let Phase::Asking(message, waiting, refused) = &mut self.ops[op].phase else { return };
        let message = message.clone();
        *waiting &= !(1 << voter);
        let refused_before = *refused;
        let answer = self.tell(config, voter, &message);
        if let Phase::Asking(_, _, refused) = &mut self.ops[op].phase {
            *refused = refused_before || !answer.ack;
        }
        self.hear(config, op, voter, answer, None);
    }

    fn accept(&mut self, config: &Config, ballot: Ballot, voter: u8, lost: bool) {
        let at = self.sent.iter().position(|proposal| proposal.ballot == ballot).unwrap();
        let Proposal { base, record, .. } = self.sent[at].clone();
        let message = Message::Accept { ballot, base: base.clone(), record: record.clone() };
        let answer = self.tell(config, voter, &message);
        if answer.ack {
            self.sent[at].got |= 1 << voter;
        }
        let got = self.sent[at].got;
        let old = is_majority(got, &base.voters) || config.mutation == Some(Mutation::OldMajority);
        let new = is_majority(got, &record.voters) || config.mutation == Some(Mutation::NewMajority);
        if old && new {
            self.note_chosen(&record, &base);
        }
        let op = usize::try_from(ballot.proposer).unwrap() - 1;
        if !lost && self.heard(ballot).is_some() {
            if let Phase::Proposing(_, heard) = &mut self.ops[op].phase {
                *heard |= u8::from(answer.ack) << voter;
            }
            self.hear(config, op, voter, answer, Some(base));
        }
    }

    /// An admin's coordinator gets an answer; `base`: to its Accept.
    fn hear(&mut self, config: &Config, op: usize, voter: u8, answer: Answer<()>, base: Option<Record>) {
        if let Some(chosen) = answer.chosen.as_ref().filter(|chosen| self.chosen.contains(chosen)) {
            self.known.insert(chosen.number);
        }
        let round = self.ops[op].round;
        let accepted = base.filter(|_| answer.ack);
        let Some(coordinator) = &mut self.ops[op].coordinator else { return };
        let action = coordinator.on_answer(round, store(voter), answer);
        self.act(config, op, action, accepted);
    }

    /// Does what a coordinator asks for; `accepted`: it has just got an acknowledgement of its Accept on this base.
    fn act(&mut self, config: &Config, op: usize, action: Option<Action<()>>, accepted: Option<Record>) {
        match action {
            None | Some(Action::Backoff) => {}
            Some(Action::Send { round, targets, message }) => self.send(config, op, round, &targets, message),
            Some(Action::Done(outcome)) => self.done(config, op, outcome, accepted),
        }
    }

    fn send(&mut self, config: &Config, op: usize, round: u32, targets: &[StoreId], message: Message<()>) {
        self.ops[op].round = round;
        match message {
            Message::Accept { ballot, base, record } => {
                self.ops[op].phase = Phase::Proposing(ballot, 0);
                self.sent.push(Proposal { ballot, base, record: record.clone(), got: 0 });
                if config.fault == Some(Fault::OneInFlight) && record.op.0[0] == u8::try_from(op).unwrap() {
                    self.operate(config, op, record, 0);
                }
            }
            Message::Prepare { .. } if self.ops[op].tries == 0 => self.end(op),
            message => {
                self.ops[op].tries -= u8::from(matches!(message, Message::Prepare { .. }));
                let waiting = targets.iter().fold(0, |set, store| set | 1 << store.0[0]);
                self.ops[op].phase = Phase::Asking(message, waiting, false);
            }
        }
    }

    fn done(&mut self, config: &Config, op: usize, outcome: Outcome<()>, accepted: Option<Record>) {
        let (Outcome::Newest(record) | Outcome::Chosen(record) | Outcome::Passed(record) | Outcome::Unknown(record)) =
            &outcome
        else {
            return self.end(op);
        };
        let claimed = config.mutation == Some(Mutation::OnlyChosen) && matches!(outcome, Outcome::Newest(_));
        if let Some(base) = accepted {
            self.known.insert(record.number);
            self.note_chosen(record, &base);
        } else if claimed && !self.chosen.contains(record) {
            self.known.insert(record.number);
            let base = self.chosen.iter().find(|base| base.number + 1 == record.number).cloned();
            self.note_chosen(record, &base.unwrap_or_else(|| record.clone()));
        }
        match outcome {
            Outcome::Newest(record) => {
                if record.number < self.ops[op].oldest {
                    self.violation = Some("an answer older than what was known before");
                }
                self.end(op);
            }
            Outcome::Passed(record) => {
                let fenced = config.mutation != Some(Mutation::Fence);
                let time = if fenced { 0 } else { self.ops[op].coordinator.as_ref().unwrap().ballot().time };
                self.operate(config, op, record, time);
            }
            Outcome::Chosen(_) | Outcome::Unknown(_) | Outcome::NoMajority(_) => self.end(op),
        }
    }

    fn end(&mut self, op: usize) {
        self.ops[op] = Op { coordinator: None, round: 0, phase: Phase::Ended, tries: 0, oldest: 0 };
    }

    /// From now on somebody may build on `record`.
    fn note_chosen(&mut self, record: &Record, base: &Record) {
        if self.chosen.contains(record) {
            return;
        }
        if self.chosen.iter().any(|other| other.number == record.number) {
            self.violation = Some("two records chosen for one number");
        } else if !self.chosen.iter().any(|other| (other.number, other.op) == (base.number, base.op)) {
            self.violation = Some("chosen on a base that was never chosen");
        }
        self.chosen.push(record.clone());
        self.chosen.sort_by_key(|record| record.number);
    }

    fn lose(&mut self, config: &Config, voter: u8) {
        let voter = &mut self.voters[usize::from(voter)];
        let state = &mut voter.state;
        self.losses -= 1;
        if config.fault == Some(Fault::PromisesLost) {
            let above = Ballot { number: state.chosen_number() + 1, ..Ballot::ZERO };
            state.promised = state.open.as_ref().map_or(above, |open| open.ballot.max(above));
            return;
        }
        *state = VoterState::default();
        voter.dead = config.fault != Some(Fault::Revival);
    }

    /// The living voters for which `holds`.
    fn those(&self, holds: impl Fn(&VoterState<()>) -> bool) -> Set {
        let living = (0..VOTERS).filter(|bit| {
            let voter = &self.voters[usize::from(*bit)];
            !voter.dead && holds(&voter.state)
        });
        living.fold(0, |set, bit| set | 1 << bit)
    }

    fn check(&mut self, config: &Config) {
        let alive = self.those(|_| true);
        let names = |state: &VoterState<()>| {
            state.open.as_ref().map_or(0, |open| open.record.number).max(state.chosen_number())
        };
        let mut violation = None;
        for (at, record) in self.chosen.iter().enumerate() {
            let old = &self.chosen[at.saturating_sub(1)].voters;
            let without = self.those(|state| names(state) < record.number);
            let known = self.known.contains(&record.number) && config.fault != Some(Fault::Revival);
            if known && is_majority(alive, &record.voters) && alive & set_of(&record.voters) & !without == 0 {
                violation = Some("a living majority of its voters has never heard of a known record");
            }
            // Why it works: every majority of the old voters, and of the new ones, has one that names it.
            let sound = config.mutation.is_none() && config.fault.is_none();
            if sound && (is_majority(without, &record.voters) || is_majority(without, old)) {
                violation = Some("a majority of the old or of the new voters misses it");
            }
        }
        self.violation = self.violation.or(violation);
    }

    /// Drops proposals that can no longer change anything, and who accepted what is chosen already.
    fn forget(&mut self) {
        for mut proposal in std::mem::take(&mut self.sent) {
            let takes = self.those(|state| takes(state, proposal.ballot));
            let concerned = set_of(&proposal.base.voters) | set_of(&proposal.record.voters);
            if self.heard(proposal.ballot).is_some() || takes & concerned != 0 {
                if self.chosen.contains(&proposal.record) {
                    proposal.got = 0;
                }
                self.sent.push(proposal);
            }
        }
    }

    /// The acknowledgements that an admin who still waits for this proposal has got.
    fn heard(&self, ballot: Ballot) -> Option<Set> {
        self.ops.iter().find_map(|op| match op.phase {
            Phase::Proposing(waiting, heard) if waiting == ballot => Some(heard),
            _ => None,
        })
    }

    pub(crate) fn steps(&self, config: &Config) -> Vec<Step> {
        let mut steps = vec![];
        let alive = self.those(|_| true);
        for (at, op) in self.ops.iter().enumerate() {
            match &op.phase {
                Phase::Idle => {
                    let known = self.known.iter().filter(|number| self.chosen.iter().any(|rec| rec.number == **number));
                    steps.extend(known.flat_map(|n| (0..=config.skew).map(move |skew| Step::Begin(at, *n, skew))));
                }
                Phase::Asking(message, waiting, refused) => {
                    steps.extend(bits(waiting & alive).map(|voter| Step::Ask(at, voter)));
                    if op.tries > 0 && *refused && matches!(message, Message::Prepare { .. }) {
                        steps.push(Step::Retry(at));
                    }
                }
                Phase::Proposing(..) if op.tries > 0 => steps.push(Step::Retry(at)),
                Phase::Proposing(..) | Phase::Ended => {}
            }
        }
        for proposal in &self.sent {
            let heard = self.heard(proposal.ballot);
            let concerned = set_of(&proposal.base.voters) | set_of(&proposal.record.voters);
            for voter in bits(concerned & alive) {
                if heard.is_some_and(|heard| heard >> voter & 1 == 0) {
                    steps.push(Step::Accept(proposal.ballot, voter, false));
                }
                // A lost acknowledgement matters if it was the last one missing.
                let last = heard.is_none_or(|heard| {
                    let got = heard | 1 << voter;
                    let [old, new] = [&proposal.base, &proposal.record].map(|record| is_majority(got, &record.voters));
                    let counted = |mutation| config.mutation == Some(mutation);
                    let (old, new) = (old || counted(Mutation::OldMajority), new || counted(Mutation::NewMajority));
                    old && new || counted(Mutation::RealAccept)
                });
                if last && takes(&self.voters[usize::from(voter)].state, proposal.ballot) {
                    steps.push(Step::Accept(proposal.ballot, voter, true));
                }
            }
        }
        if config.learn {
            for record in self.chosen.iter().filter(|record| self.known.contains(&record.number)) {
                let behind = self.those(|state| state.chosen_number() < record.number);
                steps.extend(bits(behind).map(|voter| Step::Learn(record.number, voter)));
            }
        }
        if self.losses > 0 {
            let used = self.those(|state| state.promised != Ballot::ZERO || state.chosen.is_some());
            steps.extend(bits(used).map(Step::Lose));
        }
        steps
    }
}

fn takes(state: &VoterState<()>, ballot: Ballot) -> bool {
    ballot >= state.promised && state.open.as_ref().is_none_or(|open| open.ballot != ballot)
}

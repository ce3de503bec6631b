//! What each coordinator says, and when: against replicas that are here, down or gated.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::collections::{BTreeMap, BTreeSet};

use cairn_placement::{Quorums, ReplicaSet};
use cairn_register::coordinator::{LATEST_MS, Operation};
use cairn_register::replica::{Change, judge};
use cairn_register::{
    Action, Applied, Base, Cas, CasFailure, Collect, Collected, Complete, Completed, Event, Failure, Found, Gate,
    KeyState, Message, Now, PartitionState, Proposer, Read, Row, Usage, Write, Written, coordinator::Coordinator,
};
use cairn_types::{Ballot, Epoch, OpId, StoreId};

const NOW: u64 = 1_700_000_000_000;

fn store(number: u8) -> StoreId {
    StoreId([number; StoreId::LEN])
}

fn op(number: u8) -> OpId {
    OpId([number; OpId::LEN])
}

fn quorums(epoch: u32, stores: &[u8]) -> Quorums {
    let set = vec![ReplicaSet::new(stores.iter().copied().map(store).collect())];
    Quorums { epoch: Epoch(epoch), query: set.clone(), prepare: set.clone(), accept: set }
}

/// Three replicas of one key, and the clock and ballots of one process.
struct World {
    keys: BTreeMap<StoreId, KeyState<u8>>,
    partition: PartitionState,
    usage: Usage,
    down: BTreeSet<StoreId>,
    gate: Gate,
    proposer: Proposer,
    now_ms: u64,
    /// Requests sent, by kind.
    sent: Vec<&'static str>,
}

impl World {
    fn new() -> Self {
        Self {
            keys: BTreeMap::new(),
            partition: PartitionState { epoch: Epoch(1), ..PartitionState::default() },
            usage: Usage::default(),
            down: BTreeSet::new(),
            gate: Gate::Open,
            proposer: Proposer::new(7),
            now_ms: NOW,
            sent: Vec::new(),
        }
    }

    fn down(mut self, stores: &[u8]) -> Self {
        self.down = stores.iter().copied().map(store).collect();
        self
    }

    fn with_now<T>(&self, act: impl FnOnce(&Now<'_>) -> T) -> T {
        act(&Now { ms: self.now_ms, proposer: &self.proposer })
    }

    fn receive(&mut self, at: StoreId, message: &Message<u8>) -> cairn_register::Reply<u8> {
        let judgement = judge(self.keys.get(&at), &self.partition, self.now_ms, message);
        match judgement.change {
            Some(Change::Put(state)) => drop(self.keys.insert(at, state)),
            Some(Change::Drop { floor }) => {
                self.keys.remove(&at);
                self.partition.floor = self.partition.floor.max(floor);
            }
            None => {}
        }
        cairn_register::Reply { usage: self.usage, ..judgement.reply }
    }

    fn run<O>(&mut self, mut coordinator: Coordinator<u8, O, O::Outcome>) -> O::Outcome
    where
        O: Operation<u8>,
    {
        let actions = self.with_now(|now| coordinator.start(now));
        self.pump(&mut coordinator, actions).expect("an end")
    }

    /// Carries actions out until there are none; the outcome, if it came to one.
    fn pump<O>(
        &mut self,
        coordinator: &mut Coordinator<u8, O, O::Outcome>,
        mut actions: Vec<Action<u8, O::Outcome>>,
    ) -> Option<O::Outcome>
    where
        O: Operation<u8>,
    {
        while !actions.is_empty() {
            let mut events = Vec::new();
            for action in actions.drain(..) {
                match action {
                    Action::Send { round, targets, message } => {
                        self.sent.push(kind(&message));
                        for store in targets {
                            events.push(match self.down.contains(&store) {
                                true => Event::Lost { round, store },
                                false => Event::Reply { round, store, reply: self.receive(store, &message) },
                            });
                        }
                    }
                    Action::Tell { targets, message } => {
                        for store in targets.into_iter().filter(|store| !self.down.contains(store)).collect::<Vec<_>>()
                        {
                            self.receive(store, &message);
                        }
                    }
                    Action::Backoff { .. } => events.push(Event::Resume),
                    Action::ReadGate => events.push(Event::Gate(self.gate)),
                    Action::Done(outcome) => return Some(outcome),
                }
            }
            for event in events {
                actions.extend(self.with_now(|now| coordinator.on_event(event, now)));
            }
        }
        None
    }

    fn write(&mut self, number: u8, value: Option<u8>) -> Result<Written, Failure> {
        let mut write = Write::new(quorums(1, &[1, 2, 3]), self.now_ms);
        let actions = self.with_now(|now| write.propose(op(number), value, now));
        assert!(actions.is_empty(), "nothing is sent before the query");
        self.run(write)
    }

    fn swap(&mut self, number: u8, expected: Option<u8>, new: u8) -> Result<Applied<u8>, CasFailure<Option<u8>>> {
        let change = move |current: Option<&u8>| match current.copied() == expected {
            true => Ok(Some(new)),
            false => Err(current.copied()),
        };
        self.run(Cas::new(op(number), change, quorums(1, &[1, 2, 3]), self.now_ms))
    }

    fn read(&mut self) -> Option<u8> {
        self.find().unwrap().row.and_then(|row| row.value)
    }

    fn find(&mut self) -> Result<Found<u8>, Failure> {
        self.run(Read::new(quorums(1, &[1, 2, 3])))
    }

    fn took(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.sent)
    }
}

fn kind(message: &Message<u8>) -> &'static str {
    match message {
        Message::Query => "query",
        Message::Prepare { .. } => "prepare",
        Message::Accept { .. } => "accept",
        Message::WriteBack { .. } => "write back",
        _ => "other",
    }
}

#[test]
fn a_write_takes_two_rounds_and_a_read_one() {
    let mut world = World::new();
    world.write(1, Some(10)).unwrap();
    assert_eq!(world.took(), ["query", "accept"]);
    assert_eq!(world.read(), Some(10));
    assert_eq!(world.took(), ["query"]);
}

#[test]
fn one_replica_down_costs_no_round() {
    let mut world = World::new().down(&[3]);
    assert!(!world.write(1, Some(10)).unwrap().overwritten);
    assert_eq!(world.read(), Some(10));
    assert_eq!(world.took(), ["query", "accept", "query"]);
}

#[test]
fn without_a_majority_nothing_was_sent() {
    let mut world = World::new().down(&[2, 3]);
    assert_eq!(world.write(1, Some(10)), Err(Failure::NoQuorum));
    assert_eq!(world.find(), Err(Failure::NoQuorum));
    assert_eq!(world.swap(2, None, 20), Err(CasFailure::Failed(Failure::NoQuorum)));
    assert!(!world.took().contains(&"accept"));
}

#[test]
fn a_majority_lost_after_the_accept_is_unknown() {
    let mut world = World::new();
    let mut write = Write::<u8>::new(quorums(1, &[1, 2, 3]), NOW);
    let actions = world.with_now(|now| write.start(now));
    assert_eq!(world.pump(&mut write, actions), None);
    assert!(write.is_waiting());
    world.down = [2, 3].map(store).into();
    let actions = world.with_now(|now| write.propose(op(1), Some(10), now));
    assert_eq!(world.pump(&mut write, actions), Some(Err(Failure::Unknown)));
}

#[test]
fn the_query_runs_while_the_body_flows_and_reports_usage() {
    let mut world = World::new();
    world.usage = Usage { objects: 3, bytes: 1_000 };
    let mut write = Write::<u8>::new(quorums(1, &[1, 2, 3]), NOW);
    let actions = world.with_now(|now| write.start(now));
    assert_eq!(world.pump(&mut write, actions), None);
    assert_eq!(write.usage(), world.usage);
    let actions = world.with_now(|now| write.propose(op(1), Some(10), now));
    assert!(world.pump(&mut write, actions).unwrap().is_ok());
}

#[test]
fn a_body_that_never_comes_leaves_nothing_behind() {
    let mut world = World::new();
    let mut write = Write::<u8>::new(quorums(1, &[1, 2, 3]), NOW);
    let actions = world.with_now(|now| write.start(now));
    assert_eq!(world.pump(&mut write, actions), None);
    let actions = world.with_now(|now| write.on_event(Event::Deadline, now));
    assert_eq!(world.pump(&mut write, actions), Some(Err(Failure::NoQuorum)));
    assert!(world.keys.is_empty());
}

#[test]
fn no_ballot_is_made_a_day_after_the_operation_began() {
    let mut world = World::new();
    let mut write = Write::<u8>::new(quorums(1, &[1, 2, 3]), NOW);
    let actions = world.with_now(|now| write.start(now));
    assert_eq!(world.pump(&mut write, actions), None);
    world.now_ms += LATEST_MS + 1;
    let actions = world.with_now(|now| write.propose(op(1), Some(10), now));
    assert_eq!(world.pump(&mut write, actions), Some(Err(Failure::Late)));
}

#[test]
fn a_condition_that_fails_of_a_settled_row_takes_one_round() {
    let mut world = World::new();
    world.write(1, Some(10)).unwrap();
    world.took();
    assert_eq!(world.swap(2, None, 20), Err(CasFailure::Refused(Some(10))));
    assert_eq!(world.took(), ["prepare"]);
}

#[test]
fn a_condition_that_fails_of_an_unsettled_row_settles_it_first() {
    let mut world = World::new();
    world.down = [2, 3].map(store).into();
    let ballot = Ballot { epoch: 1, time: (NOW - 5) << 16, proposer: 1 };
    let proposal = cairn_register::Proposal {
        root: ballot,
        root_is_floor: false,
        blind: true,
        op: op(1),
        lineage: vec![op(1)],
        trimmed: Ballot::ZERO,
        trim_next: Ballot::ZERO,
        value: Some(10),
    };
    world.receive(store(1), &Message::Accept { ballot, proposal, new_value: true });
    world.down = [3].map(store).into();
    assert_eq!(world.swap(2, None, 20), Err(CasFailure::Refused(Some(10))));
    assert_eq!(world.took(), ["prepare", "accept"]);
    world.down = [1].map(store).into();
    assert_eq!(world.read(), Some(10), "a 412 was answered because of it");
}

#[test]
fn only_one_of_two_creators_wins() {
    let mut world = World::new();
    assert_eq!(world.swap(1, None, 10).unwrap().value, Some(10));
    assert_eq!(world.swap(2, None, 20), Err(CasFailure::Refused(Some(10))));
    assert_eq!(world.swap(3, Some(10), 30).unwrap().value, Some(30));
    assert_eq!(world.read(), Some(30));
}

#[test]
fn chains_longer_than_the_lineage_keep_half_of_it() {
    let mut world = World::new();
    world.write(200, Some(0)).unwrap();
    for value in 0..40 {
        world.swap(value, Some(value), value + 1).unwrap();
        let row = world.find().unwrap().row.unwrap();
        let known = row.lineage.len();
        assert!(known <= Row::<u8>::LINEAGE && known >= (usize::from(value) + 2).min(Row::<u8>::LINEAGE / 2));
        assert_eq!(row.lineage.last(), Some(&op(value)));
        assert_eq!(row.trimmed.is_zero(), usize::from(value) + 2 <= Row::<u8>::LINEAGE);
        assert!(row.trimmed < row.accepted);
    }
}

#[test]
fn a_newer_epoch_begins_the_attempt_again() {
    let mut world = World::new();
    world.partition.epoch = Epoch(2);
    let mut write = Write::<u8>::new(quorums(1, &[1, 2, 3]), NOW);
    let started = world.with_now(|now| write.start(now));
    assert!(matches!(started[..], [Action::Send { round: 1, .. }]));
    let actions = world.with_now(|now| write.on_event(Event::Epoch(quorums(2, &[3, 4, 5])), now));
    assert!(matches!(&actions[..], [Action::Send { round: 2, message: Message::Query, .. }]));
    assert_eq!(world.pump(&mut write, actions), None);
    let actions = world.with_now(|now| write.propose(op(1), Some(10), now));
    let written = world.pump(&mut write, actions).unwrap().unwrap();
    assert_eq!(written.ballot.epoch, 2);
    assert_eq!(world.keys.keys().copied().collect::<Vec<_>>(), [3, 4, 5].map(store));
}

#[test]
fn an_older_epoch_is_ignored() {
    let world = World::new();
    let mut write = Write::<u8>::new(quorums(2, &[1, 2, 3]), NOW);
    let _started = world.with_now(|now| write.start(now));
    let actions = world.with_now(|now| write.on_event(Event::Epoch(quorums(1, &[1, 2, 3])), now));
    assert!(actions.is_empty());
}

#[test]
fn a_sealed_bucket_is_gone_before_a_value_is_sent() {
    let mut world = World::new();
    (world.partition.gate, world.gate) = (Gate::Sealed, Gate::Sealed);
    assert_eq!(world.write(1, Some(10)), Err(Failure::Gone));
    assert_eq!(world.swap(2, None, 20), Err(CasFailure::Failed(Failure::Gone)));
    assert_eq!(world.find(), Err(Failure::Gone));
    assert!(world.keys.values().all(|state| state.row.is_none()));
}

#[test]
fn a_gate_that_opened_again_stops_nobody() {
    let mut world = World::new();
    (world.partition.gate, world.gate) = (Gate::Closing(1), Gate::Open);
    // The replicas have not heard of it yet and refuse new values; what they hold is read.
    assert_eq!(world.find(), Ok(Found { row: None, floor: Ballot::ZERO }));
    world.partition.gate = Gate::Open;
    assert!(world.write(1, Some(10)).is_ok());
}

#[test]
fn a_tombstone_is_collected_when_all_replicas_are_up() {
    let mut world = World::new();
    world.write(1, Some(10)).unwrap();
    assert_eq!(world.run(Collect::new(quorums(1, &[1, 2, 3]))), Ok(Collected::NotATombstone));
    world.write(2, None).unwrap();
    world.down = [3].map(store).into();
    assert!(world.run(Collect::new(quorums(1, &[1, 2, 3]))).is_err());
    assert_eq!(world.keys.len(), 3);
    world.down.clear();
    assert_eq!(world.run(Collect::new(quorums(1, &[1, 2, 3]))), Ok(Collected::Dropped));
    assert!(world.keys.is_empty() && !world.partition.floor.is_zero());
    assert_eq!(world.read(), None);
    assert_eq!(world.swap(3, None, 30).unwrap().value, Some(30));
    assert!(world.find().unwrap().row.unwrap().root_is_floor);
}

fn complete(world: &mut World, base: Base, conditional: bool) -> Result<Completed<u8>, Failure> {
    let written_at_ms = world.now_ms;
    world.run(Complete::new(op(9), base, 90, conditional, quorums(1, &[1, 2, 3]), written_at_ms))
}

#[test]
fn a_completion_is_applied_once_however_many_try() {
    let mut world = World::new();
    world.write(1, Some(10)).unwrap();
    let base = Base::of(&world.find().unwrap());
    assert!(matches!(complete(&mut world, base, false), Ok(Completed::Applied { .. })));
    assert!(matches!(complete(&mut world, base, false), Ok(Completed::Applied { .. })));
    assert_eq!(world.find().unwrap().row.unwrap().lineage, [op(1), op(9)]);
}

#[test]
fn a_completion_moves_on_to_a_conditional_write_that_came_first() {
    let mut world = World::new();
    let base = Base::of(&world.find().unwrap());
    world.swap(1, None, 10).unwrap();
    let Ok(Completed::Moved { onto }) = complete(&mut world, base, false) else { panic!("nothing moved") };
    assert_eq!(onto.op, op(1));
    let base = base.moved_to(&onto);
    assert!(matches!(complete(&mut world, base, false), Ok(Completed::Applied { .. })));
    assert_eq!(world.read(), Some(90));
}

#[test]
fn a_completion_overtaken_by_a_put_was_overwritten_or_is_unknown() {
    let mut world = World::new();
    let base = Base::of(&world.find().unwrap());
    world.write(1, Some(10)).unwrap();
    assert_eq!(complete(&mut world, base, true), Err(Failure::Unknown));
    assert!(matches!(complete(&mut world, base, false), Ok(Completed::Overwritten { .. })));
    assert_eq!(world.read(), Some(10));
}

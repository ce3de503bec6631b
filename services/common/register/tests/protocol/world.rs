//! Replicas, coordinators and the network between them: the crate's own code, with every delivery, loss, crash and
//! delay a step that a checker chooses.

use std::hash::{DefaultHasher, Hash, Hasher};

use cairn_placement::{Quorums, ReplicaSet};
use cairn_register::replica::{self, Change, Fence};
use cairn_register::{Gate, KeyState, Message, Mutation, Now, PartitionState, Proposer, Verdict};
use cairn_types::{Ballot, Epoch, OpId, StoreId};

use crate::history;
use crate::op::{Answer, GATE, KEY, Kind, Making, Op, SEALED, Spec, Status, V, Wire};

/// A program and the faults it meets.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) replicas: usize,
    pub(crate) program: Vec<Spec>,
    /// Clocks that coordinators may have, in milliseconds.
    pub(crate) clocks: Vec<u64>,
    pub(crate) tries: u32,
    pub(crate) mutation: Option<Mutation>,
    /// Rounds may be given up although replies are on their way.
    pub(crate) patience: bool,
    /// Coordinators may stop, and operations may run out of time. Not needed where every step may as well not be taken.
    pub(crate) stops: bool,
    /// Replies may be lost.
    pub(crate) lost_replies: bool,
    /// Replies take their time; else they arrive as the request does.
    pub(crate) slow_replies: bool,
    /// Commit hints are sent.
    pub(crate) hints: bool,
    /// The value of a write comes after its Query has begun.
    pub(crate) bodies: bool,
    pub(crate) duplicates: u8,
    pub(crate) crashes: u8,
    /// Rows copied between replicas.
    pub(crate) copies: u8,
    /// Floors raised by the collection of other keys.
    pub(crate) bumps: u8,
    /// Deleters taken for dead.
    pub(crate) reopens: u8,
    /// A layout change: the stores of the old and of the new one, as bits.
    pub(crate) change: Option<[u8; 2]>,
    /// A store whose clock is two minutes ahead.
    pub(crate) hasty: Option<usize>,
    /// Untouched replicas are alike: they are met in their order.
    pub(crate) symmetric: bool,
}

impl Setup {
    pub(crate) fn new(replicas: usize, program: &[(u8, Kind)]) -> Self {
        Self {
            replicas,
            program: program.iter().map(|(client, kind)| Spec { client: *client, kind: *kind }).collect(),
            clocks: vec![0],
            tries: 3,
            mutation: None,
            patience: false,
            stops: false,
            lost_replies: false,
            slow_replies: false,
            hints: false,
            bodies: false,
            duplicates: 0,
            crashes: 0,
            copies: 0,
            bumps: 0,
            reopens: 0,
            change: None,
            hasty: None,
            symmetric: false,
        }
    }

    pub(crate) fn without(mut self, mutation: Option<Mutation>) -> Self {
        self.mutation = mutation;
        self
    }

    pub(crate) fn drops(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// All stores, the old layout's or the new one's.
    pub(crate) fn everyone(&self) -> u8 {
        u8::MAX >> (8 - self.replicas)
    }

    /// The layouts active after `announced` steps.
    fn active(&self, announced: u8) -> Vec<u8> {
        match (self.change, announced) {
            (None, _) => vec![self.everyone()],
            (Some([old, _]), 0) => vec![old],
            (Some([old, new]), 1 | 2) => vec![old, new],
            (Some([_, new]), _) => vec![new],
        }
    }

    /// The table of REGISTER §10.
    pub(crate) fn quorums(&self, announced: u8) -> Quorums {
        let sets: Vec<ReplicaSet> = self.active(announced).iter().map(|mask| set(*mask)).collect();
        let query = if announced == 2 { sets.last() } else { sets.first() };
        Quorums {
            epoch: epoch(announced),
            query: query.into_iter().cloned().collect(),
            prepare: sets.clone(),
            accept: sets,
        }
    }

    /// Stores that an active layout names.
    pub(crate) fn holders(&self, announced: u8) -> u8 {
        self.active(announced).iter().fold(0, |all, mask| all | mask)
    }

    /// Whether `mask` holds a majority of the old (0) or the new (1) layout.
    pub(crate) fn is_majority(&self, mask: u8, layout: usize) -> bool {
        let layout = self.change.map_or(self.everyone(), |layouts| layouts[layout]);
        2 * (mask & layout).count_ones() > layout.count_ones()
    }
}

/// What a clock that is wrong shows; the others are within a few milliseconds of zero.
pub(crate) const HASTY_MS: u64 = 120_000;

pub(crate) fn epoch(announced: u8) -> Epoch {
    Epoch(1 + u32::from(announced))
}

pub(crate) fn store(index: usize) -> StoreId {
    StoreId([u8::try_from(index + 1).unwrap(); StoreId::LEN])
}

pub(crate) fn index(store: StoreId) -> usize {
    usize::from(store.0[0]) - 1
}

fn set(mask: u8) -> ReplicaSet {
    ReplicaSet::new((0..8).filter(|at| mask & (1 << at) != 0).map(store).collect())
}

/// What a store keeps.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Disk {
    pub(crate) epoch: Epoch,
    pub(crate) floor: Ballot,
    pub(crate) joined: Ballot,
    pub(crate) rows: [Option<KeyState<V>>; 2],
}

impl Disk {
    const fn new() -> Self {
        Self { epoch: Epoch(1), floor: Ballot::ZERO, joined: Ballot::ZERO, rows: [None, None] }
    }

    pub(crate) fn accepted(&self, key: usize) -> Ballot {
        let row = self.rows[key].as_ref().and_then(|state| state.row.as_ref());
        row.map_or(Ballot::ZERO, |row| row.accepted)
    }

    pub(crate) fn promised(&self, key: usize) -> Ballot {
        self.rows[key].as_ref().map_or(Ballot::ZERO, |state| state.promised)
    }

    /// The gate as this replica accepted it, chosen or not (§12).
    pub(crate) fn gate(&self) -> Gate {
        let row = self.rows[GATE].as_ref().and_then(|state| state.row.as_ref());
        gate(row.and_then(|row| row.value))
    }

    fn partition(&self, key: usize) -> PartitionState {
        let gate = if key == KEY { self.gate() } else { Gate::Open };
        PartitionState { epoch: self.epoch, floor: self.floor, joined: self.joined, gate }
    }
}

pub(crate) fn gate(value: Option<V>) -> Gate {
    match value.unwrap_or(0) {
        SEALED => Gate::Sealed,
        value if value % 2 == 1 => Gate::Closing(u64::from(value)),
        _ => Gate::Open,
    }
}

/// A store: what is durable, and what its process sees.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Store {
    pub(crate) durable: Disk,
    pub(crate) seen: Disk,
    /// Handed its rows to the new layout (E4).
    pub(crate) settled: bool,
}

/// A message in flight: a request to the stores of `to`, or the reply of the one there.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Packet {
    /// A digest of the rest but `to`: packets are kept in its order, so that equal states are equal.
    tag: u64,
    pub(crate) to: u8,
    pub(crate) op: u8,
    pub(crate) run: u8,
    /// 0: nobody waits for a reply.
    pub(crate) round: u32,
    pub(crate) key: usize,
    pub(crate) epoch: Epoch,
    pub(crate) wire: Wire,
}

impl Packet {
    pub(crate) fn new(to: u8, op: u8, run: u8, round: u32, key: usize, epoch: Epoch, wire: Wire) -> Self {
        let mut hasher = DefaultHasher::new();
        (op, run, round, key, epoch, &wire).hash(&mut hasher);
        Self { tag: hasher.finish(), to, op, run, round, key, epoch, wire }
    }
}

/// The row of an upload; a register of its own in the product, changed in one step here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Upload {
    Open,
    Completing(cairn_register::Base),
    Done,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct World {
    pub(crate) stores: Vec<Store>,
    pub(crate) ops: Vec<Op>,
    pub(crate) net: Vec<Packet>,
    pub(crate) uploads: [Upload; 2],
    /// What each client observed last.
    pub(crate) last: [Option<V>; 4],
    /// Steps of the layout change.
    pub(crate) announced: u8,
    /// Stores that anything ever reached.
    pub(crate) touched: u8,
    pub(crate) duplicates: u8,
    pub(crate) crashes: u8,
    pub(crate) copies: u8,
    pub(crate) bumps: u8,
    pub(crate) reopens: u8,
    /// What clients were told cannot be explained.
    pub(crate) bad: bool,
}

impl World {
    pub(crate) fn new(setup: &Setup) -> Self {
        let store = Store { durable: Disk::new(), seen: Disk::new(), settled: false };
        Self {
            stores: vec![store; setup.replicas],
            ops: setup.program.iter().map(|_| Op::new()).collect(),
            net: Vec::new(),
            uploads: [Upload::Open; 2],
            last: [None; 4],
            announced: 0,
            touched: 0,
            duplicates: setup.duplicates,
            crashes: setup.crashes,
            copies: setup.copies,
            bumps: setup.bumps,
            reopens: setup.reopens,
            bad: false,
        }
    }

    /// What coordinators of operation `op` are made with, by a view `lag` steps old.
    pub(crate) fn making(&self, setup: &Setup, lag: u8) -> Making {
        let announced = self.announced - lag;
        Making {
            quorums: setup.quorums(announced),
            earlier: (announced > 0).then(|| setup.quorums(0)),
            tries: setup.tries,
            mutation: setup.mutation,
        }
    }

    pub(crate) fn post(&mut self, packet: Packet) {
        let at = self.net.partition_point(|other| (other.tag, other.to) < (packet.tag, packet.to));
        self.net.insert(at, packet);
    }

    /// Takes the packet at `at` to `store`; a duplicate stays behind if `keep`.
    pub(crate) fn take(&mut self, at: usize, store: usize, keep: bool) -> Packet {
        let packet = Packet { to: 1 << store, ..self.net[at].clone() };
        if !keep {
            let mut rest = self.net.remove(at);
            rest.to &= !(1 << store);
            if rest.to != 0 {
                self.post(rest);
            }
        }
        packet
    }

    /// A replica receives a request: A1, then the crate's verdict, then what is durable is answered.
    pub(crate) fn receive(&mut self, setup: &Setup, at: usize, key: usize, epoch: Epoch, message: &Message<V>) -> Wire {
        self.touched |= 1 << at;
        match replica::fence_without(setup.mutation, self.stores[at].seen.epoch, epoch) {
            Fence::Stale => return Wire::Stale,
            Fence::Adopt => self.enter(setup, at, epoch),
            Fence::Pass => {}
        }
        let store = &mut self.stores[at];
        let now_ms = if setup.hasty == Some(at) { HASTY_MS } else { 0 };
        let (state, partition) = (store.seen.rows[key].as_ref(), store.seen.partition(key));
        let judgement = replica::judge_without(setup.mutation, state, &partition, now_ms, message);
        match judgement.change {
            Some(Change::Put(state)) => store.seen.rows[key] = Some(state),
            Some(Change::Drop { floor }) => {
                store.seen.rows[key] = None;
                store.seen.floor = store.seen.floor.max(floor);
            }
            None => {}
        }
        if judgement.sync {
            store.durable = store.seen.clone();
        }
        Wire::Reply(judgement.reply)
    }

    /// The verdict a message would get now, and whether it would change anything.
    pub(crate) fn preview(&self, setup: &Setup, at: usize, packet: &Packet) -> Option<(Verdict, bool)> {
        let Wire::Request(message) = &packet.wire else { return None };
        let disk = &self.stores[at].seen;
        if replica::fence_without(setup.mutation, disk.epoch, packet.epoch) != Fence::Pass {
            return None;
        }
        let (state, partition) = (disk.rows[packet.key].as_ref(), disk.partition(packet.key));
        let now_ms = if setup.hasty == Some(at) { HASTY_MS } else { 0 };
        let judgement = replica::judge_without(setup.mutation, state, &partition, now_ms, message);
        Some((judgement.reply.verdict, judgement.change.is_some()))
    }

    /// A store persists a newer epoch; one that joins the partition gets a floor (T6).
    pub(crate) fn enter(&mut self, setup: &Setup, at: usize, epoch: Epoch) {
        let store = &mut self.stores[at];
        let joins = setup.change.is_some_and(|[old, new]| new & !old & (1 << at) != 0);
        if joins && store.seen.epoch == Epoch(1) {
            store.seen.joined = Ballot::joined(epoch);
        }
        store.seen.epoch = store.seen.epoch.max(epoch);
        store.durable.epoch = store.seen.epoch;
        store.durable.joined = store.seen.joined;
    }

    /// An operation is over.
    pub(crate) fn finish(&mut self, setup: &Setup, op: usize, status: Status) {
        let client = setup.program[op].client;
        let it = &mut self.ops[op];
        it.status = status;
        (it.main, it.aside) = (None, None);
        if let Status::Answered(Answer::Value(value)) = status
            && let Some(last) = self.last.get_mut(usize::from(client))
        {
            *last = value;
        }
        if matches!(status, Status::Answered(_)) && !setup.program[op].kind.is_housekeeping() {
            self.bad |= !history::is_explained(&setup.program, &self.ops);
        }
    }

    pub(crate) fn answered(&self) -> u32 {
        let answered = |op: &Op| matches!(op.status, Status::Answered(_));
        self.ops.iter().enumerate().filter(|(_, op)| answered(op)).fold(0, |mask, (at, _)| mask | 1 << at)
    }

    /// The time and the ballots of operation `op`'s coordinator.
    pub(crate) fn with_now<T>(&self, op: usize, act: impl FnOnce(&Now<'_>) -> T) -> T {
        let proposer = Proposer::new(op as u64 + 1);
        act(&Now { ms: self.ops[op].clock_ms, proposer: &proposer })
    }
}

/// The id of an operation's `part`.
pub(crate) fn id(op: usize, part: u8) -> OpId {
    let mut bytes = [0; OpId::LEN];
    bytes[0] = u8::try_from(op + 1).unwrap();
    bytes[1] = part;
    OpId(bytes)
}

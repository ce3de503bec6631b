//! Operations carried through: what the product's driver does with a coordinator's actions and outcomes.

use cairn_register::{Action, Base, Event, Failure, Found, Gate, Message, Reply, Row};
use cairn_types::StoreId;

use crate::op::{Answer, Due, Edit, End, GATE, KEY, Kind, Line, Machine, Making, Stage, Status, V, Wire};
use crate::world::{Packet, Setup, Upload, World, gate, id, index};

impl World {
    /// Operation `op` begins, by a view `lag` steps old.
    pub(crate) fn invoke(&mut self, setup: &Setup, op: usize, lag: u8, clock: usize) {
        let spec = setup.program[op];
        let making = self.making(setup, lag);
        let before = self.answered();
        let last = self.last.get(usize::from(spec.client)).copied().flatten();
        let it = &mut self.ops[op];
        (it.status, it.before, it.clock_ms) = (Status::Running, before, setup.clocks[clock]);
        let machine = match spec.kind {
            Kind::Write(_) | Kind::Delete => {
                it.body_flows = true;
                Machine::write(&making)
            }
            Kind::Cas { expected, new } => {
                it.expected = expected;
                Machine::cas(id(op, 0), Edit::Swap { expected, new }, &making)
            }
            Kind::CasLast { new } => {
                it.expected = last;
                Machine::cas(id(op, 0), Edit::Swap { expected: last, new }, &making)
            }
            Kind::Read | Kind::Settle(_) => Machine::read(&making),
            Kind::Collect => Machine::collect(&making),
            Kind::DropBucket => {
                it.stage = Stage::Closing;
                Machine::cas(id(op, 0), Edit::Close, &making)
            }
            Kind::Complete { .. } | Kind::CompleteAbsent { .. } => {
                it.stage = Stage::Basing;
                return self.resume_upload(setup, op, &making);
            }
        };
        let key = if spec.kind == Kind::DropBucket { GATE } else { KEY };
        self.begin(setup, op, false, key, machine);
        if !setup.bodies && self.ops[op].body_flows {
            self.propose(setup, op);
        }
    }

    /// The body of a write has arrived.
    pub(crate) fn propose(&mut self, setup: &Setup, op: usize) {
        self.ops[op].body_flows = false;
        let value = setup.program[op].kind.value();
        self.with_line(setup, op, false, |line, now| line.machine.propose(id(op, 0), value, now));
    }

    /// Starts `machine` for the operation.
    fn begin(&mut self, setup: &Setup, op: usize, aside: bool, key: usize, machine: Machine) {
        let it = &mut self.ops[op];
        it.runs += 1;
        let only_under = match it.stage {
            Stage::Listing(closing) if !aside => Some(u64::from(closing)),
            _ => None,
        };
        *it.line(aside) = Some(Line { machine, key, run: it.runs, round: 0, due: Due::Nothing, only_under });
        self.with_line(setup, op, aside, |line, now| line.machine.start(now));
    }

    pub(crate) fn event(&mut self, setup: &Setup, op: usize, aside: bool, event: Event<V>) {
        self.with_line(setup, op, aside, |line, now| line.machine.on_event(event, now));
    }

    fn with_line(
        &mut self,
        setup: &Setup,
        op: usize,
        aside: bool,
        act: impl FnOnce(&mut Line, &cairn_register::Now<'_>) -> Vec<Action<V, End>>,
    ) {
        let Some(mut line) = self.ops[op].line(aside).take() else { return };
        let actions = self.with_now(op, |now| act(&mut line, now));
        let mut end = None;
        for action in actions {
            match action {
                Action::Send { round, targets, message } => {
                    line.round = round;
                    self.post_to(&targets, op, &line, round, message);
                }
                Action::Tell { targets, message } => {
                    if setup.hints || matches!(message, Message::GcDrop { .. }) {
                        self.post_to(&targets, op, &line, 0, message);
                    }
                }
                Action::Backoff { .. } => line.due = Due::Resume,
                Action::ReadGate => line.due = Due::Gate,
                Action::Done(outcome) => end = Some(outcome),
            }
        }
        match end {
            None => *self.ops[op].line(aside) = Some(line),
            Some(end) if aside => self.looked_at_gate(setup, op, end),
            Some(end) => self.ended(setup, op, end),
        }
    }

    fn post_to(&mut self, targets: &[StoreId], op: usize, line: &Line, round: u32, message: Message<V>) {
        let to = targets.iter().fold(0, |mask, store| mask | 1 << index(*store));
        let epoch = line.machine.quorums().epoch;
        let op = u8::try_from(op).unwrap();
        if to != 0 {
            self.post(Packet::new(to, op, line.run, round, line.key, epoch, Wire::Request(message)));
        }
    }

    /// A back-off is over, or the gate is to be read.
    pub(crate) fn go_on(&mut self, setup: &Setup, op: usize, aside: bool) {
        let Some(line) = self.ops[op].line(aside) else { return };
        match std::mem::replace(&mut line.due, Due::Nothing) {
            Due::Nothing => {}
            Due::Resume => self.event(setup, op, aside, Event::Resume),
            // The deleter itself lists under its own gate.
            Due::Gate if line.only_under.is_some() => self.event(setup, op, false, Event::Gate(Gate::Open)),
            Due::Gate => {
                let machine = Machine::read(&self.making(setup, 0));
                self.begin(setup, op, true, GATE, machine);
            }
        }
    }

    /// The coordinator beside the main one has read the gate, or opened it again for a deleter taken for dead.
    fn looked_at_gate(&mut self, setup: &Setup, op: usize, end: End) {
        match end {
            End::Found(found) => {
                let value = found.row.and_then(|row| row.value);
                if matches!(gate(value), Gate::Closing(_)) && self.reopens > 0 {
                    self.reopens -= 1;
                    let part = 100 + self.ops[op].runs;
                    let edit = Edit::Reopen(value.unwrap_or(0));
                    let machine = Machine::cas(id(op, part), edit, &self.making(setup, 0));
                    return self.begin(setup, op, true, GATE, machine);
                }
                self.event(setup, op, false, Event::Gate(gate(value)));
            }
            End::Applied(_) => self.event(setup, op, false, Event::Gate(Gate::Open)),
            End::Refused(met) => self.event(setup, op, false, Event::Gate(gate(met))),
            _ => self.event(setup, op, false, Event::Deadline),
        }
    }

    /// The main coordinator is done: the answer, or the next step of the operation.
    fn ended(&mut self, setup: &Setup, op: usize, end: End) {
        let client = usize::from(setup.program[op].client);
        match (self.ops[op].stage.clone(), end) {
            (Stage::Plain, End::Written | End::Applied(_) | End::Collected) => self.answer(setup, op, Answer::Done),
            (Stage::Plain, End::Refused(met)) => {
                if let Some(last) = self.last.get_mut(client) {
                    *last = met;
                }
                self.answer(setup, op, Answer::Refused);
            }
            (Stage::Plain, End::Found(found)) => match setup.program[op].kind {
                Kind::Settle(_) => self.teach(setup, op, found.row),
                _ => self.answer(setup, op, Answer::Value(found.row.and_then(|row| row.value))),
            },
            (Stage::Plain, End::Failed(Failure::Unknown)) => self.finish(setup, op, Status::Unknown),
            (Stage::Plain, End::Failed(Failure::Gone)) => self.answer(setup, op, Answer::Gone),
            (Stage::Plain, End::Failed(failure)) => self.finish(setup, op, Status::Failed(failure)),
            (Stage::Basing | Stage::Completing(_) | Stage::Judging { .. }, end) => self.completing(setup, op, end),
            (_, end) => self.deleting(setup, op, end),
        }
    }

    fn answer(&mut self, setup: &Setup, op: usize, answer: Answer) {
        self.finish(setup, op, Status::Answered(answer));
    }

    /// Deleting a bucket (§12): close, list, reopen or seal.
    fn deleting(&mut self, setup: &Setup, op: usize, end: End) {
        let making = self.making(setup, 0);
        let (stage, key, machine) = match (&self.ops[op].stage, end) {
            (Stage::Closing, End::Applied(Some(closing))) => (Stage::Listing(closing), KEY, Machine::read(&making)),
            (Stage::Listing(closing), End::Found(found)) => {
                let closing = *closing;
                let empty = found.row.is_none_or(|row| row.value.is_none());
                let (stage, edit) = match empty {
                    true => (Stage::Sealing, Edit::Seal(closing)),
                    false => (Stage::Reopening, Edit::Reopen(closing)),
                };
                (stage, GATE, Machine::cas(id(op, 1), edit, &making))
            }
            (Stage::Sealing, End::Applied(_)) => return self.answer(setup, op, Answer::Done),
            (Stage::Reopening, End::Applied(_)) => return self.answer(setup, op, Answer::Refused),
            _ => return self.finish(setup, op, Status::Unknown),
        };
        self.ops[op].stage = stage;
        self.begin(setup, op, false, key, machine);
    }

    /// Takes up an upload where its row stands (§12).
    fn resume_upload(&mut self, setup: &Setup, op: usize, making: &Making) {
        let (upload, value) = match setup.program[op].kind {
            Kind::Complete { upload, new } | Kind::CompleteAbsent { upload, new } => (upload, new),
            other => unreachable!("{other:?} completes nothing"),
        };
        let conditional = matches!(setup.program[op].kind, Kind::CompleteAbsent { .. });
        match self.uploads[usize::from(upload)] {
            Upload::Done => self.answer(setup, op, Answer::Done),
            Upload::Open => {
                self.ops[op].stage = Stage::Basing;
                self.begin(setup, op, false, KEY, Machine::read(making));
            }
            Upload::Completing(base) => {
                self.ops[op].stage = Stage::Completing(base);
                let machine = Machine::complete(id(200, upload), base, value, conditional, making);
                self.begin(setup, op, false, KEY, machine);
            }
        }
    }

    fn completing(&mut self, setup: &Setup, op: usize, end: End) {
        let (upload, conditional) = match setup.program[op].kind {
            Kind::Complete { upload, .. } => (usize::from(upload), false),
            Kind::CompleteAbsent { upload, .. } => (usize::from(upload), true),
            other => unreachable!("{other:?} completes nothing"),
        };
        let exists = |found: &Found<V>| found.row.as_ref().is_some_and(|row| row.value.is_some());
        let making = self.making(setup, 0);
        match (self.ops[op].stage.clone(), end) {
            (Stage::Basing, End::Found(found)) => {
                if conditional && exists(&found) {
                    return self.answer(setup, op, Answer::Refused);
                }
                if self.uploads[upload] == Upload::Open {
                    self.uploads[upload] = Upload::Completing(Base::of(&found));
                }
                self.resume_upload(setup, op, &making);
            }
            (Stage::Completing(_), End::Completed) => {
                self.uploads[upload] = Upload::Done;
                self.answer(setup, op, Answer::Done);
            }
            (Stage::Completing(base), End::Moved(onto)) => {
                self.ops[op].stage = Stage::Judging { from: base, onto: (onto.root, onto.op) };
                self.begin(setup, op, false, KEY, Machine::read(&making));
            }
            (Stage::Judging { from, onto }, End::Found(found)) => {
                // The condition is judged of the very row that the base moves on to, and that one must be settled.
                let is_onto = found.row.as_ref().is_some_and(|row| (row.root, row.op) == onto);
                let unchanged = self.uploads[upload] == Upload::Completing(from);
                match &found.row {
                    Some(row) if is_onto && unchanged => {
                        if conditional && exists(&found) {
                            self.uploads[upload] = Upload::Open;
                            return self.answer(setup, op, Answer::Refused);
                        }
                        self.uploads[upload] = Upload::Completing(from.moved_to(row));
                    }
                    _ => {}
                }
                self.resume_upload(setup, op, &making);
            }
            _ => self.finish(setup, op, Status::Unknown),
        }
    }

    /// E4: what a read settled goes to the new layout.
    fn teach(&mut self, setup: &Setup, op: usize, row: Option<Row<V>>) {
        let Kind::Settle(node) = setup.program[op].kind else { return };
        let (Some(row), Some([_, new])) = (row, setup.change) else {
            self.stores[usize::from(node)].settled = true;
            return self.answer(setup, op, Answer::Done);
        };
        self.ops[op].stage = Stage::Learning(0);
        let epoch = self.stores[usize::from(node)].seen.epoch;
        let op = u8::try_from(op).unwrap();
        self.post(Packet::new(new, op, 0, 1, KEY, epoch, Wire::Request(Message::Learn { row })));
    }

    /// A node of the new layout has the row, or a newer one.
    fn taught(&mut self, setup: &Setup, op: usize, store: usize, reply: &Wire) {
        let Kind::Settle(node) = setup.program[op].kind else { return };
        let it = &mut self.ops[op];
        let (Stage::Learning(have), Status::Running) = (&mut it.stage, it.status) else { return };
        match reply {
            Wire::Reply(_) => *have |= 1 << store,
            _ => return self.finish(setup, op, Status::Unknown),
        }
        if setup.is_majority(*have, 1) {
            self.stores[usize::from(node)].settled = true;
            self.answer(setup, op, Answer::Done);
        }
    }

    /// A reply arrives at the coordinator that asked, if it is still there.
    pub(crate) fn arrive(&mut self, setup: &Setup, packet: &Packet) {
        let op = usize::from(packet.op);
        let store = packet.to.trailing_zeros() as usize;
        if packet.run == 0 {
            return self.taught(setup, op, store, &packet.wire);
        }
        let Some(aside) = self.whose(packet) else { return };
        let round = packet.round;
        let lost = Event::Lost { round, store: crate::world::store(store) };
        let event = match packet.wire.clone() {
            Wire::Reply(reply) if self.is_listed(op, aside, &reply) => {
                Event::Reply { round, store: crate::world::store(store), reply }
            }
            Wire::Stale if self.is_behind(op, aside) => Event::Epoch(setup.quorums(self.announced)),
            _ => lost,
        };
        self.event(setup, op, aside, event);
    }

    fn is_listed(&mut self, op: usize, aside: bool, reply: &Reply<V>) -> bool {
        let only_under = self.ops[op].line(aside).as_ref().and_then(|line| line.only_under);
        only_under.is_none_or(|closing| reply.gate == Gate::Closing(closing))
    }

    fn is_behind(&mut self, op: usize, aside: bool) -> bool {
        let epoch = crate::world::epoch(self.announced);
        self.ops[op].line(aside).as_ref().is_some_and(|line| line.machine.quorums().epoch < epoch)
    }

    /// Whether the coordinator that sent this is still there: the main one (false) or the one beside it.
    pub(crate) fn whose(&self, packet: &Packet) -> Option<bool> {
        let op = &self.ops[usize::from(packet.op)];
        let is = |line: &Option<Line>| line.as_ref().is_some_and(|line| line.run == packet.run);
        if is(&op.main) {
            return Some(false);
        }
        is(&op.aside).then_some(true)
    }

    /// Whether the reply to this request still counts for something.
    pub(crate) fn is_awaited(&self, packet: &Packet) -> bool {
        let op = &self.ops[usize::from(packet.op)];
        if packet.run == 0 {
            return packet.round != 0 && matches!(op.stage, Stage::Learning(_)) && op.status == Status::Running;
        }
        let is = |line: &Option<Line>| {
            line.as_ref().is_some_and(|line| line.run == packet.run && line.round == packet.round)
        };
        packet.round != 0 && (is(&op.main) || is(&op.aside))
    }
}

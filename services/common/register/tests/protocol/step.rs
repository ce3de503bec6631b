//! What may happen next, and what it does.

use cairn_register::{Event, Message, Mutation, Verdict};
use cairn_types::Ballot;

use crate::op::{Due, GATE, KEY, Kind, Status, Wire};
use crate::world::{Packet, Setup, World, epoch};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Step {
    /// An operation begins, by a view some steps old and with one of the clocks.
    Invoke { op: u8, lag: u8, clock: u8 },
    /// Its body has arrived.
    Propose(u8),
    /// A request reaches a store. The reply may be lost; a duplicate may stay in flight.
    Deliver { packet: u8, store: u8, lost: bool, keep: bool },
    /// A reply reaches its coordinator.
    Arrive(u8),
    /// A coordinator has no more patience with its round.
    Patience { op: u8, aside: bool },
    /// It goes on after a back-off, or looks at the gate.
    GoOn { op: u8, aside: bool },
    /// Its time is over.
    Deadline(u8),
    /// Its process stops.
    Stop(u8),
    /// A store's process is killed and starts again.
    Crash(u8),
    /// A row is copied from one store to another.
    Copy { from: u8, to: u8 },
    /// The collection of other keys raises the floor.
    Bump(u8),
    /// The next step of the layout change.
    Announce,
    /// A store takes part in it.
    Adopt(u8),
}

fn byte(number: usize) -> u8 {
    u8::try_from(number).unwrap()
}

impl World {
    /// Everything that may happen next.
    pub(crate) fn steps(&self, setup: &Setup, steps: &mut Vec<Step>) {
        steps.clear();
        if self.bad {
            return;
        }
        self.steps_of_operations(setup, steps);
        self.steps_of_packets(setup, steps);
        for store in 0..setup.replicas {
            let disks = &self.stores[store];
            if self.crashes > 0 && disks.seen != disks.durable {
                steps.push(Step::Crash(byte(store)));
            }
            if self.bumps > 0 && setup.collects(self.announced) & (1 << store) != 0 && disks.seen.floor < self.top() {
                steps.push(Step::Bump(byte(store)));
            }
            if disks.seen.epoch < epoch(self.announced) {
                steps.push(Step::Adopt(byte(store)));
            }
            if self.copies > 0 {
                let may = |to: &usize| self.may_copy(setup, store, *to);
                steps.extend((0..setup.replicas).filter(may).map(|to| Step::Copy { from: byte(store), to: byte(to) }));
            }
        }
        if setup.change.is_some() && self.may_announce(setup) {
            steps.push(Step::Announce);
        }
    }

    fn steps_of_operations(&self, setup: &Setup, steps: &mut Vec<Step>) {
        for (at, op) in self.ops.iter().enumerate() {
            let number = byte(at);
            match op.status {
                Status::NotYet if self.may_begin(setup, at) => {
                    let settles = matches!(setup.program[at].kind, Kind::Settle(_));
                    let lags = if settles { 0..=0 } else { 0..=self.announced };
                    for (lag, clock) in lags.flat_map(|lag| (0..setup.clocks.len()).map(move |clock| (lag, clock))) {
                        steps.push(Step::Invoke { op: number, lag, clock: byte(clock) });
                    }
                }
                Status::Running => {
                    if op.body_flows {
                        steps.push(Step::Propose(number));
                    }
                    for (line, aside) in [(&op.main, false), (&op.aside, true)] {
                        let Some(line) = line else { continue };
                        let waits_aside = !aside && op.aside.is_some();
                        if line.due != Due::Nothing && !waits_aside {
                            steps.push(Step::GoOn { op: number, aside });
                        } else if setup.patience && !waits_aside {
                            steps.push(Step::Patience { op: number, aside });
                        }
                    }
                    if setup.stops {
                        steps.extend([Step::Deadline(number), Step::Stop(number)]);
                    }
                }
                _ => {}
            }
        }
    }

    fn may_begin(&self, setup: &Setup, at: usize) -> bool {
        let spec = setup.program[at];
        let over = |other: usize| {
            let status = self.ops[other].status;
            setup.program[other].client != spec.client || !matches!(status, Status::NotYet | Status::Running)
        };
        match spec.kind {
            Kind::Settle(node) => self.announced == 1 && self.stores[usize::from(node)].seen.epoch == epoch(1),
            Kind::Collect => setup.collects(self.announced) != 0 && (0..at).all(over) && self.has_tombstone(),
            Kind::Complete { upload, .. } => {
                // The first to complete an upload gives it its id.
                let first = setup
                    .program
                    .iter()
                    .position(|other| matches!(other.kind, Kind::Complete { upload: of, .. } if of == upload));
                (0..at).all(over) && first.is_none_or(|first| first == at || self.ops[first].status != Status::NotYet)
            }
            _ => (0..at).all(over),
        }
    }

    fn has_tombstone(&self) -> bool {
        let row = |store: &crate::world::Store| store.seen.rows[KEY].as_ref().and_then(|state| state.row.clone());
        self.stores.iter().any(|store| row(store).is_some_and(|row| row.value.is_none()))
    }

    fn steps_of_packets(&self, setup: &Setup, steps: &mut Vec<Step>) {
        for (at, packet) in self.net.iter().enumerate() {
            let number = byte(at);
            if !matches!(packet.wire, Wire::Request(_)) {
                steps.push(Step::Arrive(number));
                continue;
            }
            let awaited = self.is_awaited(packet);
            for store in (0..setup.replicas).filter(|store| packet.to & (1 << store) != 0) {
                if setup.symmetric
                    && self.touched & (1 << store) == 0
                    && store > 0
                    && self.touched & (1 << (store - 1)) == 0
                {
                    continue;
                }
                let step = |lost, keep| Step::Deliver { packet: number, store: byte(store), lost, keep };
                steps.push(step(false, false));
                if awaited && setup.lost_replies {
                    steps.push(step(true, false));
                }
                if self.duplicates > 0 {
                    steps.push(step(false, true));
                    steps.extend((awaited && setup.lost_replies).then(|| step(true, true)));
                }
            }
        }
    }

    /// The highest ballot anywhere: what a collection elsewhere may have raised a floor to.
    fn top(&self) -> Ballot {
        let promised = self.stores.iter().flat_map(|store| [store.seen.promised(KEY), store.seen.promised(GATE)]);
        promised.max().unwrap_or(Ballot::ZERO)
    }

    /// S2, S3: what anti-entropy may send as it is.
    fn may_copy(&self, setup: &Setup, from: usize, to: usize) -> bool {
        let row = self.stores[from].seen.rows[KEY].as_ref().and_then(|state| state.row.as_ref());
        let holds = |store: usize| setup.holders(self.announced) & (1 << store) != 0;
        row.is_some_and(|row| {
            let newer = row.accepted > self.stores[to].seen.accepted(KEY);
            let current = row.accepted.epoch == self.stores[from].seen.epoch.0 || setup.drops(Mutation::OldEpochStored);
            from != to && newer && holds(from) && holds(to) && (row.committed || current)
        })
    }

    /// E5, E6.
    fn may_announce(&self, setup: &Setup) -> bool {
        let at_least = |step: u8| {
            let reached = |store: &usize| self.stores[*store].seen.epoch >= epoch(step);
            (0..setup.replicas).filter(reached).fold(0, |mask, store| mask | 1 << store)
        };
        match self.announced {
            0 => true,
            1 => {
                let settled = self.stores.iter().filter(|store| store.settled).count();
                settled >= 2 && setup.is_majority(at_least(1), 0)
            }
            2 => setup.is_majority(at_least(2), 0) && setup.is_majority(at_least(2), 1),
            _ => false,
        }
    }

    /// Carries out a step; false if it changed nothing worth looking at.
    pub(crate) fn apply(&mut self, setup: &Setup, step: Step) -> bool {
        match step {
            Step::Invoke { op, lag, clock } => self.invoke(setup, usize::from(op), lag, usize::from(clock)),
            Step::Propose(op) => self.propose(setup, usize::from(op)),
            Step::Deliver { packet, store, lost, keep } => return self.deliver(setup, packet, store, lost, keep),
            Step::Arrive(packet) => {
                let packet = self.net.remove(usize::from(packet));
                self.arrive(setup, &packet);
            }
            Step::Patience { op, aside } => {
                let op = usize::from(op);
                let Some(round) = self.ops[op].line(aside).as_ref().map(|line| line.round) else { return false };
                self.event(setup, op, aside, Event::Patience { round });
            }
            Step::GoOn { op, aside } => self.go_on(setup, usize::from(op), aside),
            Step::Deadline(op) => {
                self.ops[usize::from(op)].aside = None;
                self.event(setup, usize::from(op), false, Event::Deadline);
            }
            Step::Stop(op) => self.finish(setup, usize::from(op), Status::Unknown),
            Step::Crash(store) => {
                self.crashes -= 1;
                let store = &mut self.stores[usize::from(store)];
                store.seen = store.durable.clone();
            }
            Step::Copy { from, to } => self.copy(usize::from(from), to),
            Step::Bump(store) => {
                self.bumps -= 1;
                let floor = self.top();
                let store = &mut self.stores[usize::from(store)];
                (store.seen.floor, store.durable.floor) = (floor, floor);
            }
            Step::Announce => self.announced += 1,
            Step::Adopt(store) => self.enter(setup, usize::from(store), epoch(self.announced)),
        }
        true
    }

    fn deliver(&mut self, setup: &Setup, packet: u8, store: u8, lost: bool, keep: bool) -> bool {
        let (at, store) = (usize::from(packet), usize::from(store));
        let packet = self.take(at, store, keep);
        self.duplicates -= u8::from(keep);
        let Wire::Request(message) = &packet.wire else { return false };
        let before = keep.then(|| self.stores[store].clone());
        let wire = self.receive(setup, store, packet.key, packet.epoch, message);
        let reply = Packet::new(packet.to, packet.op, packet.run, packet.round, packet.key, packet.epoch, wire);
        let heard = packet.round != 0 && !lost && (packet.run == 0 || self.whose(&packet).is_some());
        if !heard {
            return before.is_none_or(|before| before != self.stores[store]);
        }
        if setup.slow_replies {
            self.post(reply);
        } else {
            self.arrive(setup, &reply);
        }
        true
    }

    fn copy(&mut self, from: usize, to: u8) {
        self.copies -= 1;
        let disk = &self.stores[from].seen;
        let Some(row) = disk.rows[KEY].as_ref().and_then(|state| state.row.clone()) else { return };
        let epoch = disk.epoch;
        let message = if row.committed { Message::Learn { row } } else { Message::Redeliver { row } };
        self.post(Packet::new(1 << to, 0, 0, 0, KEY, epoch, Wire::Request(message)));
    }

    /// Drops late messages that can change nothing any more, so that equal states meet.
    pub(crate) fn prune(&mut self, setup: &Setup) {
        let mut at = 0;
        while at < self.net.len() {
            let packet = &self.net[at];
            let dead = (0..setup.replicas).filter(|store| self.is_dead(setup, packet, *store));
            let dead = dead.fold(0, |mask, store| mask | 1 << store);
            if dead == 0 {
                at += 1;
                continue;
            }
            let mut rest = self.net.remove(at);
            rest.to &= !dead;
            if rest.to != 0 {
                self.post(rest);
                at = 0;
            }
        }
    }

    fn is_dead(&self, setup: &Setup, packet: &Packet, store: usize) -> bool {
        let Wire::Request(message) = &packet.wire else { return false };
        if packet.to & (1 << store) == 0 || self.is_awaited(packet) || setup.forgets() || setup.change.is_some() {
            return false;
        }
        match (message, self.preview(setup, store, packet)) {
            (Message::Query, _) => true,
            (Message::Commit { ballot }, _) => *ballot < self.stores[store].seen.accepted(packet.key),
            (Message::GcDrop { .. }, _) | (_, None) => false,
            // A gate that refuses may open again, and a clock goes on.
            (_, Some((verdict, changes))) => !changes && !matches!(verdict, Verdict::Sealed | Verdict::ClockSkew),
        }
    }
}

impl Setup {
    /// Stores that collect tombstones together: none while the layout changes (E8).
    pub(crate) fn collects(&self, announced: u8) -> u8 {
        match (self.change, announced) {
            (None, _) => self.everyone(),
            (Some([old, _]), 0) => old,
            (Some([_, new]), 3) => new,
            _ => 0,
        }
    }

    /// Whether a dropped rule makes promises or rows go back, so that no message is ever too late.
    fn forgets(&self) -> bool {
        matches!(
            self.mutation,
            Some(
                Mutation::PromiseNotSynced
                    | Mutation::AcceptNotSynced
                    | Mutation::PromiseBelowPromise
                    | Mutation::DropWithoutFloor
                    | Mutation::DropUnchecked
                    | Mutation::LearnBelowFloor
            )
        )
    }
}

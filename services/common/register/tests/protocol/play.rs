//! Schedules played by hand: who hears what, in which order. What a rule forbids does not happen, and the rest goes on:
//! the same schedule runs with the rule and without it.

use cairn_register::Message;

use crate::op::{Status, V, Wire};
use crate::step::Step;
use crate::world::{Packet, Setup, World};

pub(crate) struct Play {
    pub(crate) setup: Setup,
    pub(crate) world: World,
    pub(crate) steps: Vec<Step>,
}

impl Play {
    pub(crate) fn new(setup: Setup) -> Self {
        let world = World::new(&setup);
        Self { setup, world, steps: Vec::new() }
    }

    /// Takes a step, if it can be taken now.
    pub(crate) fn step(&mut self, step: Step) {
        let mut steps = Vec::new();
        self.world.steps(&self.setup, &mut steps);
        if steps.contains(&step) {
            self.world.apply(&self.setup, step);
            self.world.prune(&self.setup);
            self.steps.push(step);
        }
    }

    /// Operation `op` begins, with the clock of that index.
    pub(crate) fn begin(&mut self, op: u8, clock: u8) {
        self.step(Step::Invoke { op, lag: 0, clock });
    }

    fn find(&self, store: u8, wanted: impl Fn(&Packet) -> bool) -> Option<u8> {
        let at = self.world.net.iter().position(|packet| packet.to & (1 << store) != 0 && wanted(packet));
        at.map(|at| u8::try_from(at).unwrap())
    }

    /// The open request of `op` reaches these stores, and their replies arrive.
    pub(crate) fn hear(&mut self, op: u8, stores: &[u8]) {
        for store in stores {
            let found = self.find(*store, |packet| packet.op == op && self.world.is_awaited(packet));
            if let Some(packet) = found {
                self.step(Step::Deliver { packet, store: *store, lost: false, keep: false });
            }
        }
    }

    /// Any message of `op` in flight that is `wanted` reaches these stores; nobody waits for their replies.
    pub(crate) fn late(&mut self, op: u8, wanted: fn(&Message<V>) -> bool, stores: &[u8]) {
        let is = |packet: &Packet| matches!(&packet.wire, Wire::Request(message) if wanted(message));
        for store in stores {
            if let Some(packet) = self.find(*store, |packet| packet.op == op && is(packet)) {
                let lost = self.world.is_awaited(&self.world.net[usize::from(packet)]);
                self.step(Step::Deliver { packet, store: *store, lost, keep: false });
            }
        }
    }

    /// The open request of `op` reaches these stores; the replies are lost, and duplicates stay in flight.
    pub(crate) fn twice(&mut self, op: u8, stores: &[u8]) {
        for store in stores {
            let found = self.find(*store, |packet| packet.op == op && self.world.is_awaited(packet));
            if let Some(packet) = found {
                self.step(Step::Deliver { packet, store: *store, lost: true, keep: true });
            }
        }
    }

    /// `op` loses patience, and goes on at once.
    pub(crate) fn again(&mut self, op: u8) {
        self.step(Step::Patience { op, aside: false });
        self.step(Step::GoOn { op, aside: false });
    }

    /// `op` loses patience, prepares, and prepares once more where its first ballot was too low.
    pub(crate) fn prepare(&mut self, op: u8, stores: &[u8]) {
        self.again(op);
        self.hear(op, stores);
        self.step(Step::GoOn { op, aside: false });
        self.hear(op, stores);
    }

    /// Everything of `op` reaches these stores until it is over; then what it told them does, too.
    pub(crate) fn finish(&mut self, op: u8, stores: &[u8]) {
        for _ in 0..20 {
            if self.status(op) != Status::Running {
                break;
            }
            self.hear(op, stores);
            self.step(Step::GoOn { op, aside: true });
            self.step(Step::GoOn { op, aside: false });
        }
        self.told(op, stores);
    }

    /// What `op` told these stores without waiting for an answer.
    pub(crate) fn told(&mut self, op: u8, stores: &[u8]) {
        for store in stores {
            while let Some(packet) = self.find(*store, |packet| packet.op == op && packet.round == 0) {
                let before = self.steps.len();
                self.step(Step::Deliver { packet, store: *store, lost: false, keep: false });
                if self.steps.len() == before {
                    break;
                }
            }
        }
    }

    pub(crate) fn status(&self, op: u8) -> Status {
        self.world.ops[usize::from(op)].status
    }
}

pub(crate) fn is_accept(message: &Message<V>) -> bool {
    matches!(message, Message::Accept { .. })
}

pub(crate) fn is_learn(message: &Message<V>) -> bool {
    matches!(message, Message::Learn { .. })
}

pub(crate) fn is_redeliver(message: &Message<V>) -> bool {
    matches!(message, Message::Redeliver { .. })
}

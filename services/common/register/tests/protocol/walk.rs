//! Seeded random walks. Each draws how willing it is to starve parts of the world: proposals that stay in flight until
//! all is quiet, and operations that begin late, find what an even hand does not.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use cairn_register::Message;

use crate::op::{Kind, Wire};
use crate::step::Step;
use crate::world::{Setup, World};

/// Steps after which a walk is given up.
const STEPS: usize = 1_500;

/// A walk and where it ended.
pub(crate) struct Walk {
    pub(crate) world: World,
    pub(crate) steps: Vec<Step>,
}

/// The moods of one walk.
struct Mood {
    chance: StdRng,
    /// Of each operation: stores it cannot reach now.
    cut: Vec<u8>,
    /// Of each operation: stores that its rows do not reach until nothing else can happen.
    frozen: Vec<u8>,
    /// Of each operation: the step of the layout change, or the quiet moment, that it waits for.
    held: Vec<u8>,
    /// How often messages are left lying.
    lazy: u32,
    thaws_first: bool,
}

impl Mood {
    fn new(setup: &Setup, seed: u64) -> Self {
        let mut chance = StdRng::seed_from_u64(seed);
        let count = setup.program.len();
        let frozen = |chance: &mut StdRng| match chance.random_ratio(1, 3) {
            true => (0..setup.replicas).fold(0, |mask, at| mask | u8::from(chance.random_ratio(3, 5)) << at),
            false => 0,
        };
        let held = |chance: &mut StdRng| match setup.change {
            Some(_) if chance.random_bool(0.5) => chance.random_range(0..4),
            None if chance.random_ratio(1, 4) => 1,
            _ => 0,
        };
        Self {
            cut: vec![0; count],
            frozen: (0..count).map(|_| frozen(&mut chance)).collect(),
            held: (0..count).map(|_| held(&mut chance)).collect(),
            lazy: chance.random_range(0..3),
            thaws_first: chance.random_bool(0.5),
            chance,
        }
    }

    fn cut_anew(&mut self, setup: &Setup) {
        for cut in &mut self.cut {
            *cut = if self.chance.random_bool(0.5) { 1 << self.chance.random_range(0..setup.replicas) } else { 0 };
        }
    }

    fn allows(&self, world: &World, step: &Step) -> bool {
        match step {
            Step::Deliver { packet, store, .. } => {
                let packet = &world.net[usize::from(*packet)];
                if packet.round == 0 {
                    return true;
                }
                let op = usize::from(packet.op);
                let light = matches!(packet.wire, Wire::Request(Message::Prepare { .. } | Message::Query));
                self.cut[op] & (1 << store) == 0 && (light || self.frozen[op] & (1 << store) == 0)
            }
            Step::Invoke { op, .. } => world.announced >= self.held[usize::from(*op)],
            _ => true,
        }
    }

    /// Nothing can happen: something is let go. False: all is over.
    fn relent(&mut self) -> bool {
        let let_go = |masks: &mut Vec<u8>| {
            let any = masks.iter().any(|mask| *mask != 0);
            masks.fill(0);
            any
        };
        let frozen = self.frozen.iter().any(|mask| *mask != 0);
        if !(self.thaws_first && frozen) && let_go(&mut self.held) {
            return true;
        }
        let_go(&mut self.frozen) || let_go(&mut self.cut)
    }

    /// One of `steps`; some kinds are rarer than others, or few operations would end well.
    fn choose(&mut self, setup: &Setup, steps: &[Step]) -> Step {
        for _ in 0..100 {
            let step = steps[self.chance.random_range(0..steps.len())];
            let one_in = self.rarity(setup, &step);
            if one_in <= 1 || self.chance.random_ratio(1, one_in) {
                return step;
            }
        }
        steps[0]
    }

    fn rarity(&self, setup: &Setup, step: &Step) -> u32 {
        match step {
            Step::Deadline(_) | Step::Stop(_) => 60,
            Step::Patience { .. } => 8,
            Step::Deliver { lost, keep, .. } if *lost || *keep => 4,
            Step::Deliver { .. } => 1 + self.lazy,
            Step::Copy { .. } | Step::Crash(_) | Step::Bump(_) => 6,
            Step::Invoke { op, .. } => match setup.program[usize::from(*op)].kind {
                Kind::Collect => 6,
                Kind::Settle(_) => 2,
                _ => 1,
            },
            Step::Announce | Step::Adopt(_) => 4,
            Step::Propose(_) | Step::Arrive(_) | Step::GoOn { .. } => 1,
        }
    }
}

/// Walks through `setup` as `seed` has it, until clients were told what cannot be, or all is over.
pub(crate) fn walk(setup: &Setup, seed: u64) -> Walk {
    let mut mood = Mood::new(setup, seed);
    let mut world = World::new(setup);
    let mut taken = Vec::new();
    let mut steps = Vec::new();
    for count in 0..STEPS {
        if count % 24 == 0 {
            mood.cut_anew(setup);
        }
        world.steps(setup, &mut steps);
        steps.retain(|step| mood.allows(&world, step));
        if steps.is_empty() {
            if !world.bad && mood.relent() {
                continue;
            }
            break;
        }
        let step = mood.choose(setup, &steps);
        taken.push(step);
        world.apply(setup, step);
        world.prune(setup);
        if world.bad {
            break;
        }
    }
    Walk { world, steps: taken }
}

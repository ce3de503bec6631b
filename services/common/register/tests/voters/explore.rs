//! Two ways through the states of the model: all of them, shortest paths first, and at random.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault};

use crate::model::{Admin, Config, State, Step};

pub(crate) struct Found {
    pub(crate) states: usize,
    /// Nothing is left to explore.
    pub(crate) complete: bool,
    pub(crate) violation: Option<String>,
}

/// Breadth first, so that a counterexample is a shortest one.
pub(crate) fn search(config: &Config, most: usize) -> Found {
    let hash = |state: &State| BuildHasherDefault::<DefaultHasher>::default().hash_one(state);
    let first = State::new(config);
    let mut seen = HashSet::from([hash(&first)]);
    let mut steps: Vec<(usize, Step)> = vec![(0, Step::Retry(0))];
    let mut queue = VecDeque::from([(0, first)]);
    while let Some((at, state)) = queue.pop_front() {
        for step in state.steps(config) {
            let mut next = state.clone();
            next.take(config, step);
            if !seen.insert(hash(&next)) {
                continue;
            }
            steps.push((at, step));
            if let Some(violation) = next.violation {
                let path = path(&steps, steps.len() - 1);
                return Found {
                    states: seen.len(),
                    complete: false,
                    violation: Some(format!("{violation}: {path:?}")),
                };
            }
            queue.push_back((steps.len() - 1, next));
        }
        if seen.len() > most {
            return Found { states: seen.len(), complete: false, violation: None };
        }
    }
    Found { states: seen.len(), complete: true, violation: None }
}

fn path(steps: &[(usize, Step)], mut at: usize) -> Vec<Step> {
    let mut path = vec![];
    while at != 0 {
        path.push(steps[at].1);
        at = steps[at].0;
    }
    path.reverse();
    path
}

/// Walks of random programs under the rules of `config`, until a violation.
pub(crate) fn walks(config: &Config, most: u64) -> Option<String> {
    (1..=most).find_map(|seed| walk(config, seed).violation.map(|violation| format!("seed {seed}: {violation}")))
}

/// Some operations start late, some messages wait until nothing else can happen: that finds far more.
fn walk(rules: &Config, seed: u64) -> State {
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let config = program(rules, &mut chance);
    let mut slow: Vec<u8> = config.admins.iter().map(|_| chance.byte() & chance.byte()).collect();
    let mut late: Vec<bool> = config.admins.iter().map(|_| chance.below(3) == 0).collect();
    let patience = 2 + chance.below(30);
    let mut state = State::new(&config);
    for _ in 0..600 {
        let mut steps = state.steps(&config);
        if steps.is_empty() || state.violation.is_some() {
            break;
        }
        steps.retain(|step| match step {
            Step::Begin(op, ..) => !late[*op],
            Step::Accept(ballot, voter, _) => slow[usize::try_from(ballot.proposer).unwrap() - 1] >> voter & 1 == 0,
            Step::Retry(_) | Step::Lose(_) | Step::Learn(..) => chance.below(patience) == 0,
            Step::Ask(..) => true,
        });
        match steps.len() {
            0 if chance.below(2) == 0 => late.fill(false),
            0 => slow.fill(0),
            count => state.take(&config, steps[chance.below(count)]),
        }
    }
    state
}

fn program(rules: &Config, chance: &mut Chance) -> Config {
    let sizes = [0b1, 0b11, 0b111, 0b111, 0b11111];
    let first = sizes[(0..4).fold(0, |_, _| chance.below(sizes.len()))];
    let mut admins = vec![Admin::Read; 2];
    for _ in 0..3 + chance.below(3) {
        let (add, remove) = (1 << chance.below(5), 1 << chance.below(5));
        let jump = (chance.byte() & 31, chance.byte() & 31);
        let (add, remove) = [(add, 0), (0, remove), (add, remove & !add), jump][chance.below(4)];
        admins.push(Admin::Change { add, remove });
    }
    let losses = u8::try_from(chance.below(3)).unwrap();
    Config { first, admins, tries: 4, skew: 2, losses, learn: chance.below(2) == 0, ..rules.clone() }
}

/// Xorshift (Marsaglia 2003).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from((self.next() >> 16) % bound as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        (self.next() >> 32).to_le_bytes()[0]
    }
}

//! Counterexamples of REGISTER §13 that random walks seldom meet, played by hand against the crate's own code.

mod around;
mod coordinators;
mod replicas;

use cairn_register::Mutation;

use crate::op::Kind;
use crate::play::Play;
use crate::world::Setup;

/// A counterexample: what happens up to where only the rule matters, and the rest.
pub(crate) struct Schedule {
    pub(crate) mutation: Mutation,
    pub(crate) setup: fn() -> Setup,
    pub(crate) before: fn(&mut Play),
    pub(crate) then: fn(&mut Play),
    /// What is seen of it at the end.
    pub(crate) broken: fn(&Play) -> bool,
}

/// Clients were told what cannot be.
fn lied(play: &Play) -> bool {
    play.world.bad
}

const ALL: &[u8] = &[0, 1, 2];

fn swap(expected: Option<u8>, new: u8) -> Kind {
    Kind::Cas { expected, new }
}

fn setup(program: &[(u8, Kind)]) -> Setup {
    Setup { clocks: vec![0, 1, 2], tries: 6, patience: true, lost_replies: true, ..Setup::new(3, program) }
}

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Schedule> {
    [replicas::SCHEDULES, coordinators::SCHEDULES, around::SCHEDULES].into_iter().flatten()
}

pub(crate) fn of(mutation: Mutation) -> Option<&'static Schedule> {
    all().find(|schedule| schedule.mutation == mutation)
}

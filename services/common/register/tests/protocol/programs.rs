//! The programs that the checkers run.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use cairn_register::Mutation;

use crate::op::{Kind, Spec};
use crate::world::{HASTY_MS, Setup};

/// 7 to 11 operations of 3 or 4 clients, their values unique.
fn random(chance: &mut StdRng, deletes: bool) -> Vec<Spec> {
    let clients = chance.random_range(3..5);
    let count = chance.random_range(7..12);
    let spec = |at: u8, chance: &mut StdRng| {
        let value = at + 1;
        let kind = match chance.random_range(0..if deletes { 9 } else { 8 }) {
            0 | 1 => Kind::Write(value),
            2 => Kind::Cas { expected: None, new: value },
            3 | 4 => Kind::CasLast { new: value },
            8 => Kind::Delete,
            _ => Kind::Read,
        };
        Spec { client: chance.random_range(0..clients), kind }
    };
    (0..count).map(|at| spec(at, chance)).collect()
}

/// A kind of world that seeds vary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Family {
    /// Writes, conditional writes, reads, anti-entropy, crashes.
    Plain,
    /// Deletes and collection as well.
    Collected,
    /// Five replicas.
    Five,
    /// A replica and some coordinators whose clocks are two minutes ahead.
    Hasty,
    /// A bucket is deleted.
    Bucket,
    /// Uploads are completed, one by two coordinators.
    Uploads,
    /// An upload is completed on a condition.
    Conditional,
    /// One or two of three nodes are replaced.
    Layout,
    /// The same, with deletes and collection before and after.
    LayoutCollected,
}

impl Family {
    pub(crate) const ALL: [Self; 9] = [
        Self::Plain,
        Self::Collected,
        Self::Five,
        Self::Hasty,
        Self::Bucket,
        Self::Uploads,
        Self::Conditional,
        Self::Layout,
        Self::LayoutCollected,
    ];

    pub(crate) fn setup(self, seed: u64) -> Setup {
        let mut chance = StdRng::seed_from_u64(seed ^ 0x5EED);
        let deletes = !matches!(self, Self::Plain | Self::Five | Self::Hasty | Self::Layout);
        let mut program = random(&mut chance, deletes);
        let mut setup = Setup::new(3, &[]);
        match self {
            Self::Plain => {}
            Self::Collected => add(&mut program, &mut chance, 3, 9, Kind::Collect),
            Self::Five => setup.replicas = 5,
            Self::Hasty => setup.hasty = Some(0),
            Self::Bucket => {
                program.truncate(6);
                for client in 0..chance.random_range(1..3) {
                    add(&mut program, &mut chance, 1, 3 - client, Kind::DropBucket);
                }
                add(&mut program, &mut chance, 1, 9, Kind::Collect);
                setup.reopens = chance.random_range(0..2);
            }
            Self::Uploads => {
                program.truncate(7);
                for (upload, spec) in (0..).zip(program.iter_mut().take(2)) {
                    spec.kind = Kind::Complete { upload, new: upload + 1 };
                }
                let upload = chance.random_range(0..2);
                program.push(Spec { client: 3, kind: Kind::Complete { upload, new: upload + 1 } });
                program.push(Spec { client: 3, kind: Kind::Read });
                add(&mut program, &mut chance, 2, 9, Kind::Collect);
            }
            Self::Conditional => {
                program.truncate(7);
                for (upload, spec) in (0..).zip(program.iter_mut().take(2)) {
                    spec.kind = Kind::CompleteAbsent { upload, new: upload + 1 };
                }
                add(&mut program, &mut chance, 1, 9, Kind::Collect);
            }
            Self::Layout | Self::LayoutCollected => {
                program.truncate(7);
                setup.replicas = 5;
                let changes = [[0b00111, 0b01110], [0b00111, 0b11100], [0b00111, 0b11010]];
                setup.change = Some(changes[chance.random_range(0..changes.len())]);
                program.extend((0..3).map(|node| Spec { client: 10 + node, kind: Kind::Settle(node) }));
                if self == Self::LayoutCollected {
                    add(&mut program, &mut chance, 2, 9, Kind::Collect);
                }
            }
        }
        setup.program = program;
        setup.clocks = if self == Self::Hasty { vec![0, 1, 2, HASTY_MS] } else { vec![0, 1, 2, 3] };
        setup.tries = chance.random_range(3..7);
        setup.patience = true;
        setup.stops = true;
        setup.lost_replies = true;
        setup.slow_replies = chance.random_bool(0.5);
        setup.bodies = chance.random_bool(0.5);
        setup.hints = chance.random_bool(0.5);
        setup.duplicates = chance.random_range(0..3);
        setup.crashes = chance.random_range(0..2);
        setup.copies = chance.random_range(0..3);
        setup.bumps = if deletes { chance.random_range(0..3) } else { 0 };
        setup
    }
}

/// Puts `count` of `kind` somewhere into the program.
fn add(program: &mut Vec<Spec>, chance: &mut StdRng, count: usize, client: u8, kind: Kind) {
    for _ in 0..count {
        let at = chance.random_range(0..=program.len());
        program.insert(at, Spec { client, kind });
    }
}

/// Programs small enough to be explored far, with all rules.
pub(crate) fn small() -> Vec<(&'static str, Setup)> {
    use Kind::{Collect, Complete, Delete, DropBucket, Read, Write};
    let setup = |program: &[(u8, Kind)]| Setup { symmetric: true, tries: 2, ..Setup::new(3, program) };
    let lossy = |program: &[(u8, Kind)]| Setup { lost_replies: true, patience: true, ..setup(program) };
    vec![
        ("write, write", Setup { clocks: vec![0, 1], ..lossy(&[(0, Write(1)), (1, Write(2))]) }),
        ("write, read", lossy(&[(0, Write(1)), (1, Read)])),
        ("write, read, read", setup(&[(0, Write(1)), (1, Read), (1, Read)])),
        ("write, write, read", setup(&[(0, Write(1)), (1, Write(2)), (2, Read)])),
        ("write, create", Setup { clocks: vec![0, 1], ..setup(&[(0, Write(1)), (1, swap(None, 2))]) }),
        ("create, create", Setup { tries: 3, ..setup(&[(0, swap(None, 1)), (1, swap(None, 2))]) }),
        ("create, read, swap", setup(&[(0, swap(None, 1)), (1, Read), (1, swap(Some(1), 2))])),
        (
            "write, swap, hints, copies",
            Setup { hints: true, copies: 1, ..setup(&[(0, Write(1)), (1, swap(Some(1), 2))]) },
        ),
        ("create, create, crash", Setup { crashes: 1, ..setup(&[(0, swap(None, 1)), (1, swap(None, 2))]) }),
        ("write, delete, collect, read", setup(&[(0, Write(1)), (0, Delete), (9, Collect), (1, Read)])),
        ("write, drop bucket", setup(&[(0, Write(1)), (1, DropBucket)])),
        ("complete, complete", setup(&[(0, Complete { upload: 0, new: 1 }), (1, Complete { upload: 0, new: 1 })])),
    ]
}

const fn swap(expected: Option<u8>, new: u8) -> Kind {
    Kind::Cas { expected, new }
}

/// The small program that shows what `mutation` breaks, its faults chosen to match; none where only a family or a
/// schedule played by hand does.
pub(crate) fn directed(mutation: Mutation) -> Option<Setup> {
    use Kind::{Collect, Complete, Delete, DropBucket, Read, Write};
    let (program, clocks): (&[(u8, Kind)], &[u64]) = match mutation {
        Mutation::PromiseBelowPromise | Mutation::AcceptBelowPromise | Mutation::PromiseNotSynced => {
            (&[(0, swap(None, 1)), (1, swap(None, 2)), (2, Read)], &[0, 1])
        }
        Mutation::AcceptNotSynced | Mutation::HalfIsQuorum | Mutation::RepliesCounted | Mutation::ReadUnsettled => {
            (&[(0, Write(1)), (1, Read), (1, Read)], &[0])
        }
        Mutation::AbsorbBelowPromise => (&[(0, Write(1)), (1, Write(2)), (2, swap(None, 3)), (0, Read)], &[0, 1, 2]),
        Mutation::WriteBackBelowPromise | Mutation::RedeliverBelowPromise => {
            (&[(0, Write(1)), (1, swap(None, 2)), (2, Read)], &[0, 1])
        }
        Mutation::WriteBackCountsNewer => (&[(0, swap(None, 1)), (1, swap(None, 2)), (2, Read)], &[0, 1]),
        Mutation::LearnBelowFloor => (&[(0, Write(1)), (0, Delete), (1, Read), (1, Read), (9, Collect)], &[0]),
        Mutation::DropWithoutFloor | Mutation::CollectAtMajority | Mutation::DropUnchecked => {
            (&[(0, Write(1)), (0, Delete), (9, Collect), (1, Read)], &[0])
        }
        Mutation::NoRowTrusted => (&[(0, Write(1)), (0, Delete), (9, Collect), (1, Read)], &[0]),
        Mutation::FloorIsNothing | Mutation::FloorIsOverwrite => {
            (&[(0, Delete), (1, Write(1)), (2, Read), (9, Collect), (2, swap(None, 2)), (2, Read)], &[0, 1])
        }
        Mutation::GateIgnored | Mutation::GateNotRead => {
            (&[(0, Write(1)), (1, DropBucket), (0, Read), (2, Read)], &[0])
        }
        Mutation::GoneAfterSend => (&[(0, Write(1)), (1, Read), (1, Delete), (2, DropBucket), (0, Read)], &[0]),
        Mutation::WriteWithoutQuery => (&[(0, Write(1)), (1, Write(2)), (1, Read)], &[0, 1]),
        Mutation::RetryHigher | Mutation::ReapplyOverNewer => {
            (&[(0, Write(1)), (1, Write(2)), (2, Read), (2, Read), (2, Read)], &[0, 1])
        }
        Mutation::OverwrittenUnsettled => {
            (&[(0, Write(1)), (1, swap(None, 2)), (2, Write(3)), (0, Read), (0, Read)], &[0, 1])
        }
        Mutation::LineageIgnored | Mutation::NewerChainJudged => {
            (&[(0, swap(None, 1)), (1, Read), (1, swap(Some(1), 2)), (1, Delete)], &[0])
        }
        Mutation::LineageLost => {
            (&[(0, Write(1)), (1, swap(Some(9), 2)), (2, Read), (2, swap(Some(1), 3)), (2, Read)], &[0, 1])
        }
        Mutation::RefusedUnsettled => (&[(0, Write(1)), (1, swap(None, 2)), (1, Read)], &[0]),
        Mutation::AgreeByValue => {
            (&[(0, Write(1)), (1, swap(None, 2)), (2, swap(Some(9), 3)), (3, Read), (3, Read), (3, Read)], &[0, 1, 2])
        }
        Mutation::CompleteWithoutBase | Mutation::CompleteFloorIgnored => (
            &[
                (0, Complete { upload: 0, new: 1 }),
                (1, Complete { upload: 0, new: 1 }),
                (1, Read),
                (1, Delete),
                (9, Collect),
                (1, Read),
                (1, Read),
            ],
            &[0],
        ),
        Mutation::OldEpochWrittenBack | Mutation::OldEpochStored | Mutation::PrepareOneLayout => (
            &[
                (0, swap(None, 1)),
                (1, swap(None, 2)),
                (2, Read),
                (3, Read),
                (3, Read),
                (2, Read),
                (10, Kind::Settle(0)),
                (11, Kind::Settle(1)),
                (12, Kind::Settle(2)),
            ],
            &[0, 1, 2],
        ),
        _ => return None,
    };
    let mut setup = Setup::new(3, program).without(Some(mutation));
    setup.clocks = clocks.to_vec();
    setup.tries = 4;
    (setup.patience, setup.lost_replies, setup.stops) = (true, true, true);
    match mutation {
        Mutation::PromiseNotSynced | Mutation::AcceptNotSynced => setup.crashes = 1,
        Mutation::RepliesCounted => setup.duplicates = 1,
        Mutation::RedeliverBelowPromise => setup.copies = 1,
        Mutation::LearnBelowFloor => {
            setup.copies = 1;
            setup.hints = true;
        }
        Mutation::OldEpochWrittenBack | Mutation::OldEpochStored | Mutation::PrepareOneLayout => {
            setup.replicas = 5;
            setup.change = Some([0b00111, 0b11100]);
            setup.copies = if mutation == Mutation::OldEpochStored { 2 } else { 0 };
        }
        Mutation::DropWithoutFloor | Mutation::DropUnchecked => setup.duplicates = 1,
        _ => {}
    }
    Some(setup)
}

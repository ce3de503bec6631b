//! Counterexamples of REGISTER §13 that random walks seldom meet, played by hand against the crate's own code.

use cairn_register::Mutation;

use crate::op::Kind::{self, Collect, Complete, Delete, DropBucket, Read, Write};
use crate::op::{Answer, KEY, Status};
use crate::play::{Play, is_accept, is_learn, is_redeliver};
use crate::step::Step;
use crate::world::{HASTY_MS, Setup};

/// A counterexample: what happens up to where only the rule matters, and the rest.
pub(crate) struct Schedule {
    pub(crate) mutation: Mutation,
    pub(crate) setup: fn() -> Setup,
    pub(crate) before: fn(&mut Play),
    pub(crate) then: fn(&mut Play),
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

pub(crate) const SCHEDULES: &[Schedule] = &[
    // X5: r0 promised the CAS before it took the newer write; it must not vouch for the older one.
    Schedule {
        mutation: Mutation::AbsorbBelowPromise,
        setup: || setup(&[(0, Write(1)), (1, Write(2)), (2, swap(None, 3)), (0, Read)]),
        before: |play| {
            play.begin(0, 0);
            play.hear(0, &[0, 1, 2]);
            play.begin(2, 1);
            play.hear(2, &[0, 1]);
            play.begin(1, 2);
            play.hear(1, &[0, 1]);
            play.hear(1, &[0]);
            play.hear(0, &[0]);
            play.hear(2, &[1, 2]);
        },
        then: |play| {
            play.begin(3, 0);
            play.finish(3, &[1, 2]);
        },
        broken: lied,
    },
    // X11b: a settled row, copied before the delete, arrives after the drop.
    Schedule {
        mutation: Mutation::LearnBelowFloor,
        setup: || Setup { hints: true, copies: 1, ..setup(&[(0, Write(1)), (0, Delete), (9, Collect), (1, Read)]) },
        before: |play| {
            play.begin(0, 0);
            play.finish(0, &[0, 1]);
            play.step(Step::Copy { from: 0, to: 2 });
            play.begin(1, 0);
            play.finish(1, ALL);
            play.begin(2, 0);
            play.finish(2, ALL);
            play.late(0, is_learn, &[2]);
            play.begin(3, 0);
        },
        then: |play| {
            play.finish(3, &[0, 2]);
        },
        broken: lied,
    },
    // A promise given since the tombstone was confirmed goes with it.
    Schedule {
        mutation: Mutation::DropUnchecked,
        setup: || setup(&[(0, Delete), (9, Collect), (1, swap(None, 3)), (2, Write(4)), (2, Read)]),
        before: |play| {
            play.begin(0, 0);
            play.finish(0, ALL);
            play.begin(1, 0);
            play.hear(1, ALL);
            play.hear(1, ALL);
            play.begin(2, 1);
            play.hear(2, &[1, 2]);
            play.told(1, ALL);
            play.begin(3, 0);
            play.finish(3, &[0, 2]);
        },
        then: |play| {
            play.finish(2, &[1, 2]);
            play.begin(4, 0);
            play.finish(4, &[1, 2]);
        },
        broken: lied,
    },
    // X13: a delete applied, collected, and the key created anew; the deleter still waits for acknowledgements.
    Schedule {
        mutation: Mutation::FloorIsNothing,
        setup: || {
            setup(&[(1, Write(1)), (0, Delete), (1, Read), (9, Collect), (1, swap(None, 2)), (1, Read), (2, Read)])
        },
        before: |play| {
            play.begin(0, 0);
            play.finish(0, ALL);
            play.begin(1, 0);
            play.hear(1, &[0, 1]);
            play.late(1, is_accept, &[0]);
            play.begin(2, 0);
            play.finish(2, ALL);
            play.begin(3, 0);
            play.finish(3, ALL);
            play.begin(4, 0);
            play.finish(4, ALL);
            play.begin(5, 0);
            play.finish(5, ALL);
            play.prepare(1, ALL);
        },
        then: |play| {
            play.finish(1, ALL);
            play.begin(6, 0);
            play.finish(6, ALL);
        },
        broken: lied,
    },
    // The same without the creation: the writer must not take the floor for somebody's overwrite.
    Schedule {
        mutation: Mutation::FloorIsOverwrite,
        setup: || setup(&[(1, Delete), (9, Collect), (0, Write(1)), (2, Read)]),
        before: |play| {
            play.begin(0, 0);
            play.finish(0, ALL);
            play.begin(2, 0);
            play.hear(2, &[0, 1]);
            play.begin(1, 1);
            play.finish(1, ALL);
            play.again(2);
        },
        then: |play| {
            play.finish(2, &[0, 1]);
            play.begin(3, 0);
            play.finish(3, &[0, 1]);
        },
        broken: lied,
    },
    // X12: a read asks r2 before the delete gets there, and r1 after the drop.
    Schedule {
        mutation: Mutation::NoRowTrusted,
        setup: || Setup { hints: true, ..setup(&[(0, Write(1)), (0, Delete), (9, Collect), (1, Read)]) },
        before: |play| {
            play.begin(0, 0);
            play.hear(0, &[0, 1]);
            play.hear(0, ALL);
            play.late(0, is_accept, &[2]);
            play.told(0, ALL);
            play.begin(1, 0);
            play.finish(1, &[0, 1]);
            play.begin(3, 0);
            play.hear(3, &[2]);
            play.begin(2, 0);
            play.finish(2, ALL);
        },
        then: |play| play.finish(3, &[1]),
        broken: lied,
    },
    // X7: one value under two ballots on two replicas; the third holds another between them.
    Schedule {
        mutation: Mutation::AgreeByValue,
        setup: || setup(&[(0, Write(1)), (1, swap(None, 2)), (2, swap(Some(9), 3)), (3, Read), (3, Read)]),
        before: |play| {
            play.begin(0, 0);
            play.hear(0, &[0, 1]);
            play.late(0, is_accept, &[0]);
            play.begin(1, 1);
            play.hear(1, &[1, 2]);
            play.late(1, is_accept, &[1]);
            play.begin(2, 2);
            play.hear(2, &[0, 2]);
            play.late(2, is_accept, &[2]);
            play.begin(3, 0);
            play.finish(3, &[0, 2]);
            play.begin(4, 0);
            play.hear(4, &[0, 1]);
            play.hear(4, &[0, 2]);
        },
        then: |play| {
            play.finish(4, &[0, 1]);
        },
        broken: lied,
    },
    // X13b: a PUT helped, read, deleted, collected; the layout moves to two new nodes, and the PUT tries again there.
    Schedule {
        mutation: Mutation::JoinedIsNothing,
        setup: || Setup {
            replicas: 5,
            change: Some([0b00111, 0b11100]),
            ..setup(&[
                (0, Write(1)),
                (1, Read),
                (1, Delete),
                (9, Collect),
                (10, Kind::Settle(0)),
                (11, Kind::Settle(1)),
                (1, Read),
                (1, Read),
            ])
        },
        before: |play| {
            play.begin(0, 0);
            play.hear(0, &[0, 1]);
            play.late(0, is_accept, &[0]);
            for op in 1..4 {
                play.begin(op, 0);
                play.finish(op, ALL);
            }
            play.step(Step::Announce);
            for node in 0..2 {
                play.step(Step::Adopt(node));
                play.begin(4 + node, 0);
                play.finish(4 + node, &[0, 1, 2, 3, 4]);
            }
            play.step(Step::Announce);
            for node in [0, 1, 3, 4] {
                play.step(Step::Adopt(node));
            }
            play.step(Step::Announce);
            play.begin(6, 0);
            play.finish(6, &[3, 4]);
            play.again(0);
            play.hear(0, &[0]);
            play.finish(0, &[3, 4]);
            play.begin(7, 0);
        },
        then: |play| play.finish(7, &[3, 4]),
        broken: lied,
    },
    // More conditional writes came upon the first one than the lineage remembers; it must not say that it failed.
    Schedule {
        mutation: Mutation::TrimmedIgnored,
        setup: || {
            let mut program = vec![(0, swap(None, 1)), (1, Read)];
            program.extend((1..20).map(|value| (1, swap(Some(value), value + 1))));
            setup(&program)
        },
        before: |play| {
            play.begin(0, 0);
            play.hear(0, &[0, 1]);
            play.late(0, is_accept, &[0]);
            for op in 1..21 {
                play.begin(op, 0);
                play.finish(op, ALL);
            }
        },
        then: |play| {
            play.again(0);
            play.finish(0, ALL);
        },
        broken: lied,
    },
    // The same for a completion: a helper must not build on a row whose lineage may have lost the operation.
    Schedule {
        mutation: Mutation::CompleteTrimmedIgnored,
        setup: || {
            let mut program = vec![(0, Complete { upload: 0, new: 1 }), (2, Complete { upload: 0, new: 1 }), (1, Read)];
            program.extend((1..20).map(|value| (1, swap(Some(value), value + 1))));
            program.extend([(1, Read), (3, Read)]);
            setup(&program)
        },
        before: |play| {
            play.begin(0, 0);
            play.hear(0, &[0, 1]);
            play.begin(1, 0);
            play.hear(0, &[0, 1]);
            play.late(0, is_accept, &[0]);
            for op in 2..23 {
                play.begin(op, 0);
                play.finish(op, ALL);
            }
            play.finish(1, ALL);
            play.begin(23, 0);
        },
        then: |play| play.finish(23, ALL),
        broken: lied,
    },
    // X26: nobody has a row, but one had: the upload was completed, read, deleted and collected.
    Schedule {
        mutation: Mutation::CompleteFloorIgnored,
        setup: || {
            setup(&[
                (0, Complete { upload: 0, new: 1 }),
                (1, Complete { upload: 0, new: 1 }),
                (2, Read),
                (2, Delete),
                (9, Collect),
                (2, Read),
                (2, Read),
            ])
        },
        before: |play| {
            play.begin(0, 0);
            play.hear(0, &[0, 1]);
            play.begin(1, 0);
            play.hear(0, &[0, 1]);
            play.late(0, is_accept, &[0]);
            for op in 2..6 {
                play.begin(op, 0);
                play.finish(op, ALL);
            }
            play.prepare(1, ALL);
        },
        then: |play| {
            play.finish(1, ALL);
            play.begin(6, 0);
            play.finish(6, ALL);
        },
        broken: lied,
    },
    // Two creators; r1 promised the second one, and must not promise, or take, the first one after that.
    Schedule {
        mutation: Mutation::PromiseBelowPromise,
        setup: || setup(&[(0, swap(None, 1)), (1, swap(None, 2))]),
        before: |play| {
            play.begin(1, 1);
            play.hear(1, &[1, 2]);
            play.begin(0, 0);
        },
        then: both_create,
        broken: lied,
    },
    Schedule {
        mutation: Mutation::AcceptBelowPromise,
        setup: || setup(&[(0, swap(None, 1)), (1, swap(None, 2))]),
        before: |play| {
            play.begin(0, 0);
            play.hear(0, &[0, 1]);
            play.begin(1, 1);
            play.hear(1, &[1, 2]);
        },
        then: both_create,
        broken: lied,
    },
    // X15: a value becomes visible that a running CAS did not see.
    Schedule {
        mutation: Mutation::WriteBackBelowPromise,
        setup: || setup(&[(0, Write(1)), (1, swap(None, 2)), (2, Read), (2, Read)]),
        before: |play| {
            play.begin(0, 0);
            play.hear(0, &[0, 1]);
            play.late(0, is_accept, &[0]);
            play.begin(1, 1);
            play.hear(1, &[1, 2]);
            play.begin(2, 0);
            play.hear(2, &[0, 1]);
            play.hear(2, &[1]);
        },
        then: |play| {
            play.hear(1, &[1, 2]);
            play.begin(3, 0);
            play.finish(3, &[1, 2]);
        },
        broken: lied,
    },
    // X5b: what chose the same base vouches for the value read.
    Schedule {
        mutation: Mutation::WriteBackCountsNewer,
        setup: || setup(&[(0, swap(None, 1)), (1, swap(None, 2)), (2, Read)]),
        before: |play| {
            play.begin(0, 0);
            play.hear(0, &[0, 1]);
            play.late(0, is_accept, &[0]);
            play.begin(1, 1);
            play.hear(1, &[1, 2]);
            play.hear(1, &[1]);
            play.begin(2, 0);
            play.hear(2, &[0, 2]);
        },
        then: |play| {
            play.hear(2, &[1]);
            play.hear(1, &[2]);
        },
        broken: lied,
    },
    // X20: a promise is lost in a crash.
    Schedule {
        mutation: Mutation::PromiseNotSynced,
        setup: || Setup { crashes: 1, ..setup(&[(0, swap(None, 1)), (1, swap(None, 2))]) },
        before: |play| {
            play.begin(0, 0);
            play.hear(0, &[0, 1]);
            play.begin(1, 1);
            play.hear(1, &[1, 2]);
        },
        then: |play| {
            play.step(Step::Crash(1));
            play.hear(0, &[0, 1]);
            play.hear(1, &[1, 2]);
        },
        broken: lied,
    },
    // X15, by anti-entropy.
    Schedule {
        mutation: Mutation::RedeliverBelowPromise,
        setup: || Setup { copies: 1, ..setup(&[(0, Write(1)), (1, swap(None, 2)), (2, Read), (2, Read)]) },
        before: |play| {
            play.begin(0, 0);
            play.hear(0, &[0, 1]);
            play.late(0, is_accept, &[0]);
            play.begin(1, 1);
            play.hear(1, &[1, 2]);
            play.step(Step::Copy { from: 0, to: 1 });
            play.late(0, is_redeliver, &[1]);
            play.begin(2, 0);
            play.hear(2, &[0, 1]);
        },
        then: |play| {
            play.hear(1, &[1, 2]);
            play.begin(3, 0);
            play.finish(3, &[1, 2]);
        },
        broken: lied,
    },
    // X11: dropped everywhere, then a delayed Accept of the old PUT arrives.
    Schedule {
        mutation: Mutation::DropWithoutFloor,
        setup: || setup(&[(0, Write(1)), (0, Delete), (9, Collect), (1, Read)]),
        before: |play| {
            play.begin(0, 0);
            play.finish(0, &[0, 1]);
            play.begin(1, 0);
            play.finish(1, ALL);
            play.begin(2, 0);
            play.finish(2, ALL);
        },
        then: |play| {
            play.late(0, is_accept, &[2]);
            play.begin(3, 0);
            play.finish(3, &[0, 2]);
        },
        broken: lied,
    },
    // X10: dropped at a majority; the third replica still has the object.
    Schedule {
        mutation: Mutation::CollectAtMajority,
        setup: || setup(&[(0, Write(1)), (0, Delete), (9, Collect), (1, Read)]),
        before: |play| {
            play.begin(0, 0);
            play.hear(0, ALL);
            play.hear(0, &[2, 0, 1]);
            play.begin(1, 0);
            play.finish(1, &[0, 1]);
            play.begin(2, 1);
            play.hear(2, &[0, 1]);
            play.hear(2, &[0, 1]);
            play.told(2, &[0, 1]);
        },
        then: |play| {
            play.begin(3, 0);
            play.finish(3, &[0, 2]);
        },
        broken: lied,
    },
    // A PUT that began before the bucket was closed arrives after it was sealed.
    Schedule {
        mutation: Mutation::GateIgnored,
        setup: || setup(&[(0, Write(1)), (1, DropBucket)]),
        before: |play| {
            play.begin(0, 0);
            play.hear(0, &[0, 1]);
            play.begin(1, 0);
            play.finish(1, ALL);
        },
        then: |play| play.finish(0, &[0, 1]),
        broken: lied,
    },
    // X28: a PUT at r0 before the gate; r1 and r2 are listed, and the bucket sealed; the PUT finds its id.
    Schedule {
        mutation: Mutation::GateNotRead,
        setup: || setup(&[(0, Write(1)), (1, DropBucket)]),
        before: |play| {
            play.begin(0, 0);
            play.hear(0, &[0, 1]);
            play.late(0, is_accept, &[0]);
            play.begin(1, 0);
            play.finish(1, &[1, 2]);
        },
        then: |play| {
            play.again(0);
            play.finish(0, &[0, 1]);
        },
        broken: lied,
    },
    // X29: a PUT is helped, read, deleted; the bucket is deleted; the PUT must not say that nothing happened.
    Schedule {
        mutation: Mutation::GoneAfterSend,
        setup: || setup(&[(0, Write(1)), (1, Read), (1, Delete), (2, DropBucket)]),
        before: |play| {
            play.begin(0, 0);
            play.hear(0, &[0, 1]);
            play.late(0, is_accept, &[0]);
            for op in 1..4 {
                play.begin(op, 0);
                play.finish(op, ALL);
            }
            play.again(0);
        },
        then: |play| play.finish(0, ALL),
        broken: lied,
    },
    // X1: a write, read and overwritten, is sent again under a higher ballot.
    Schedule {
        mutation: Mutation::RetryHigher,
        setup: || setup(&[(1, Write(2)), (0, Write(1)), (2, Read), (2, Read), (2, Read)]),
        before: overwritten,
        then: written_again,
        broken: lied,
    },
    Schedule {
        mutation: Mutation::ReapplyOverNewer,
        setup: || setup(&[(1, Write(2)), (0, Write(1)), (2, Read), (2, Read), (2, Read)]),
        before: overwritten,
        then: written_again,
        broken: lied,
    },
    // X8: a CAS, helped by a reader and overwritten, judges the new chain as if nothing had been sent.
    Schedule {
        mutation: Mutation::NewerChainJudged,
        setup: || setup(&[(0, swap(None, 1)), (1, Read), (1, Delete), (1, Read)]),
        before: |play| {
            play.begin(0, 0);
            play.hear(0, &[0, 1]);
            play.late(0, is_accept, &[0]);
            for op in 1..3 {
                play.begin(op, 0);
                play.finish(op, ALL);
            }
            play.prepare(0, ALL);
        },
        then: |play| {
            play.finish(0, ALL);
            play.begin(3, 0);
            play.finish(3, ALL);
        },
        broken: lied,
    },
    // X9: a refused CAS settled the row without its lineage; the writer says that it failed.
    Schedule {
        mutation: Mutation::LineageLost,
        setup: || setup(&[(0, swap(None, 1)), (1, swap(Some(9), 2)), (2, Read), (2, swap(Some(1), 3))]),
        before: |play| {
            play.begin(0, 0);
            play.hear(0, &[0, 1]);
            play.late(0, is_accept, &[0]);
            for op in 1..4 {
                play.begin(op, 0);
                play.finish(op, ALL);
            }
        },
        then: |play| {
            play.again(0);
            play.finish(0, ALL);
        },
        broken: lied,
    },
    // X26: an upload completed, read and deleted is completed again by a helper that looks at the lineage only.
    Schedule {
        mutation: Mutation::CompleteWithoutBase,
        setup: || {
            setup(&[
                (0, Complete { upload: 0, new: 1 }),
                (1, Complete { upload: 0, new: 1 }),
                (2, Read),
                (2, Delete),
                (2, Read),
                (2, Read),
            ])
        },
        before: |play| {
            play.begin(0, 0);
            play.hear(0, &[0, 1]);
            play.begin(1, 0);
            play.hear(0, &[0, 1]);
            play.late(0, is_accept, &[0]);
            for op in 2..5 {
                play.begin(op, 0);
                play.finish(op, ALL);
            }
            play.prepare(1, ALL);
        },
        then: |play| {
            play.finish(1, ALL);
            play.begin(5, 0);
            play.finish(5, ALL);
        },
        broken: lied,
    },
    // X16: a coordinator of the old epoch reads the old layout, while the new one takes writes.
    Schedule {
        mutation: Mutation::NoFence,
        setup: || {
            let program = [(0, Write(1)), (10, Kind::Settle(0)), (11, Kind::Settle(1)), (1, Write(2)), (0, Read)];
            Setup { hints: true, ..moved(&program) }
        },
        before: |play| {
            play.begin(0, 0);
            play.finish(0, ALL);
            play.step(Step::Announce);
            settle(play, 1);
            read_new(play);
            play.step(Step::Announce);
            play.begin(3, 0);
            play.finish(3, &[3, 4]);
        },
        then: |play| {
            play.step(Step::Invoke { op: 4, lag: 3, clock: 0 });
            play.finish(4, &[0, 1]);
        },
        broken: lied,
    },
    // X18b: a row that a majority of the old layout alone holds is answered, and left behind.
    Schedule {
        mutation: Mutation::AgreeInOneLayout,
        setup: || moved(&[(0, Write(1)), (10, Kind::Settle(0)), (11, Kind::Settle(1)), (1, Read), (1, Read)]),
        before: |play| {
            play.step(Step::Announce);
            settle(play, 1);
            play.begin(0, 0);
            play.hear(0, &[0, 1]);
            play.late(0, is_accept, &[0, 1]);
            play.begin(3, 0);
            play.hear(3, &[0]);
            play.hear(3, &[1]);
            read_new(play);
            play.begin(4, 0);
        },
        then: |play| {
            play.finish(4, &[3, 4]);
        },
        broken: lied,
    },
    // A wrong clock at one replica and one coordinator must not use up the ballots of a key.
    Schedule {
        mutation: Mutation::NoFutureGuard,
        setup: || {
            let clocks = vec![0, HASTY_MS];
            Setup { clocks, hasty: Some(0), ..setup(&[(0, Write(1)), (1, Write(2))]) }
        },
        before: |play| {
            play.begin(0, 1);
            play.finish(0, ALL);
        },
        then: |play| {
            play.begin(1, 0);
            play.finish(1, ALL);
        },
        broken: |play| play.status(1) != Status::Answered(Answer::Done),
    },
    // X3: the acknowledgement is lost, the duplicate refused; r2 is down.
    Schedule {
        mutation: Mutation::DuplicateRefused,
        setup: || Setup { duplicates: 1, ..setup(&[(0, Write(1))]) },
        before: |play| {
            play.begin(0, 0);
            play.hear(0, &[0, 1]);
            play.twice(0, &[0]);
        },
        then: |play| play.hear(0, &[0, 1]),
        broken: |play| play.status(0) != Status::Answered(Answer::Done),
    },
    // X18: an unsettled row is copied to a node of the new layout, which counts it.
    Schedule {
        mutation: Mutation::OldEpochStored,
        setup: || Setup { copies: 1, ..moved(&[(0, Write(1))]) },
        before: |play| {
            play.begin(0, 0);
            play.hear(0, &[0, 1]);
            play.late(0, is_accept, &[2]);
            play.step(Step::Announce);
            play.step(Step::Adopt(2));
        },
        then: |play| {
            play.step(Step::Copy { from: 2, to: 3 });
            play.late(0, is_redeliver, &[3]);
        },
        broken: |play| !play.world.stores[3].seen.accepted(KEY).is_zero(),
    },
];

fn both_create(play: &mut Play) {
    play.finish(0, &[0, 1]);
    play.finish(1, &[1, 2]);
}

fn overwritten(play: &mut Play) {
    play.begin(1, 0);
    play.hear(1, &[0, 1]);
    play.late(1, is_accept, &[0]);
    for op in [2, 0, 3] {
        play.begin(op, 0);
        play.finish(op, ALL);
    }
    play.again(1);
    play.hear(1, ALL);
}

fn written_again(play: &mut Play) {
    play.finish(1, ALL);
    play.begin(4, 0);
    play.finish(4, ALL);
}

/// Two of three nodes are replaced.
fn moved(program: &[(u8, Kind)]) -> Setup {
    Setup { replicas: 5, change: Some([0b00111, 0b11100]), ..setup(program) }
}

/// The first two nodes of the old layout hand over their rows, by the operations from `op` on.
fn settle(play: &mut Play, op: u8) {
    for node in 0..2 {
        play.step(Step::Adopt(node));
        play.begin(op + node, 0);
        play.finish(op + node, &[0, 1, 2, 3, 4]);
    }
}

/// From "write both, read the old" to "write both, read the new", as far as the next step needs it.
fn read_new(play: &mut Play) {
    play.step(Step::Announce);
    for node in [0, 1, 3, 4] {
        play.step(Step::Adopt(node));
    }
}

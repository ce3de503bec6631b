//! Gates, completions and layout changes.

use cairn_register::Mutation;

use super::{ALL, Schedule, lied, setup, swap};
use crate::op::KEY;
use crate::op::Kind::{self, Collect, Complete, Delete, DropBucket, Read, Write};
use crate::play::{Play, is_accept, is_redeliver};
use crate::step::Step;
use crate::world::Setup;

pub(super) const SCHEDULES: &[Schedule] = &[
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
];

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

//! Rules of coordinators: W, C and G.

use cairn_register::Mutation;

use super::{ALL, Schedule, lied, setup, swap};
use crate::op::Kind::{Collect, Delete, Read, Write};
use crate::play::{Play, is_accept};
use crate::world::Setup;

pub(super) const SCHEDULES: &[Schedule] = &[
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
];

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

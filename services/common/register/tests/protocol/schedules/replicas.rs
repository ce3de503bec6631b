//! Rules of replicas: A, S and T.

use cairn_register::Mutation;

use super::{ALL, Schedule, lied, setup, swap};
use crate::op::Kind::{Collect, Delete, Read, Write};
use crate::op::{Answer, Status};
use crate::play::{Play, is_accept, is_learn, is_redeliver};
use crate::step::Step;
use crate::world::{HASTY_MS, Setup};

pub(super) const SCHEDULES: &[Schedule] = &[
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
];

fn both_create(play: &mut Play) {
    play.finish(0, &[0, 1]);
    play.finish(1, &[1, 2]);
}

//! The crate's own code under two checkers.
//!
//! `cargo test --release -p cairn-register` runs everything within about a minute.

mod drive;
mod explore;
mod history;
mod op;
mod play;
mod programs;
mod schedules;
mod step;
mod story;
mod walk;
mod world;

use programs::Family;

fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn random_walks_are_linearizable() {
    let walks = env("WALKS").unwrap_or(2_000);
    for family in Family::ALL {
        let started = std::time::Instant::now();
        let mut steps = 0;
        let mut statuses = std::collections::BTreeMap::<String, usize>::new();
        for seed in 1..=walks {
            let setup = family.setup(seed);
            let walk = walk::walk(&setup, seed);
            steps += walk.steps.len();
            for op in &walk.world.ops {
                *statuses.entry(format!("{:?}", op.status).chars().take(18).collect()).or_default() += 1;
            }
            assert!(
                !walk.world.bad,
                "family {family:?}, seed {seed}:\n{}",
                story::tell(&setup, world::World::new(&setup), &walk.steps)
            );
        }
        println!("{family:?}: {walks} walks, {steps} steps in {:?} {statuses:?}", started.elapsed());
    }
}

#[test]
fn schedules_break_only_without_their_rule() {
    let mut wrong = String::new();
    for schedule in schedules::SCHEDULES {
        for mutation in [None, Some(schedule.mutation)] {
            let mut play = play::Play::new((schedule.setup)().without(mutation));
            (schedule.before)(&mut play);
            let early = play.world.bad;
            (schedule.then)(&mut play);
            if early || play.world.bad != mutation.is_some() {
                let start = world::World::new(&play.setup);
                wrong += &format!(
                    "{:?} with {mutation:?}: {}",
                    schedule.mutation,
                    story::tell(&play.setup, start, &play.steps)
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn scan() {
    use cairn_register::Mutation as M;
    let all = [
        M::NoFence,
        M::NoFutureGuard,
        M::PromiseBelowPromise,
        M::DuplicateRefused,
        M::AcceptBelowPromise,
        M::AbsorbBelowPromise,
        M::WriteBackBelowPromise,
        M::WriteBackCountsNewer,
        M::OldEpochStored,
        M::PromiseNotSynced,
        M::AcceptNotSynced,
        M::LearnBelowFloor,
        M::RedeliverBelowPromise,
        M::DropWithoutFloor,
        M::DropUnchecked,
        M::CollectAtMajority,
        M::FloorIsNothing,
        M::JoinedIsNothing,
        M::GateIgnored,
        M::GateNotRead,
        M::GoneAfterSend,
        M::HalfIsQuorum,
        M::RepliesCounted,
        M::WriteWithoutQuery,
        M::RetryHigher,
        M::ReapplyOverNewer,
        M::FloorIsOverwrite,
        M::OverwrittenUnsettled,
        M::LineageIgnored,
        M::NewerChainJudged,
        M::TrimmedIgnored,
        M::RefusedUnsettled,
        M::NoRowTrusted,
        M::AgreeByValue,
        M::AgreeInOneLayout,
        M::ReadUnsettled,
        M::OldEpochWrittenBack,
        M::LineageLost,
        M::PrepareOneLayout,
        M::CompleteWithoutBase,
        M::CompleteFloorIgnored,
        M::CompleteTrimmedIgnored,
    ];
    let walks = env("SCAN").unwrap_or(0);
    let only = std::env::var("ONLY").ok();
    for mutation in all {
        if only.as_ref().is_some_and(|only| !only.split(',').any(|name| name == format!("{mutation:?}"))) {
            continue;
        }
        let mut found = Vec::new();
        if let Some(mut setup) = programs::directed(mutation) {
            setup.patience = true;
            setup.stops = true;
            setup.lost_replies = true;
            let from = std::time::Instant::now();
            let hit = (1..=walks * 10).find(|seed| walk::walk(&setup, *seed).world.bad);
            println!("{mutation:?} directed: {hit:?} {:?}", from.elapsed());
        }
        let walks = env("FAM").unwrap_or(walks);
        for family in Family::ALL {
            for seed in 1..=walks {
                let setup = family.setup(seed).without(Some(mutation));
                if walk::walk(&setup, seed).world.bad {
                    found.push((family, seed));
                    break;
                }
            }
        }
        if walks > 0 {
            println!("{mutation:?}: {found:?}");
        }
    }
}

#[test]
fn bfs() {
    use cairn_register::Mutation as M;
    let Some(states) = env("BFS") else { return };
    for mutation in [
        M::AbsorbBelowPromise,
        M::PromiseBelowPromise,
        M::AcceptBelowPromise,
        M::WriteBackBelowPromise,
        M::WriteBackCountsNewer,
        M::PromiseNotSynced,
        M::AcceptNotSynced,
        M::LearnBelowFloor,
        M::RedeliverBelowPromise,
        M::DropWithoutFloor,
        M::DropUnchecked,
        M::CollectAtMajority,
        M::FloorIsNothing,
        M::GateIgnored,
        M::GateNotRead,
        M::GoneAfterSend,
        M::HalfIsQuorum,
        M::RepliesCounted,
        M::WriteWithoutQuery,
        M::RetryHigher,
        M::ReapplyOverNewer,
        M::FloorIsOverwrite,
        M::OverwrittenUnsettled,
        M::LineageIgnored,
        M::NewerChainJudged,
        M::RefusedUnsettled,
        M::NoRowTrusted,
        M::AgreeByValue,
        M::ReadUnsettled,
        M::LineageLost,
        M::CompleteWithoutBase,
        M::CompleteFloorIgnored,
    ] {
        let mut setup = programs::directed(mutation).unwrap();
        setup.symmetric = true;
        let from = std::time::Instant::now();
        let it = explore::explore(&setup, world::World::new(&setup), states as usize, 60);
        println!(
            "{mutation:?}: {} states complete {} answered {} in {:?} {:?}",
            it.states,
            it.complete,
            it.answered,
            from.elapsed(),
            it.violation.as_ref().map(|x| x.lines().count())
        );
    }
}

#[test]
fn after() {
    let Some(states) = env("AFTER") else { return };
    for schedule in schedules::SCHEDULES {
        for mutation in [Some(schedule.mutation), None] {
            let mut play = play::Play::new((schedule.setup)().without(mutation));
            (schedule.before)(&mut play);
            let setup = world::Setup { lost_replies: false, ..play.setup.clone() };
            let from = std::time::Instant::now();
            let it = explore::explore(&setup, play.world, states as usize, 60);
            println!(
                "{:?} {}: {} states complete {} in {:?} {:?}",
                schedule.mutation,
                mutation.is_some(),
                it.states,
                it.complete,
                from.elapsed(),
                it.violation.as_ref().map(|x| x.lines().count())
            );
        }
    }
}

//! The crate's own code under two checkers.
//!
//! `cargo test --release -p cairn-register` runs everything within about a minute.

mod drive;
mod history;
mod op;
mod programs;
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
            assert!(!walk.world.bad, "family {family:?}, seed {seed}:\n{}", story::tell(&setup, &walk.steps));
        }
        println!("{family:?}: {walks} walks, {steps} steps in {:?} {statuses:?}", started.elapsed());
    }
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
    for mutation in all {
        let mut found = Vec::new();
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

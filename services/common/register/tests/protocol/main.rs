//! The crate's own code under two checkers: replicas, coordinators, messages between them, and every fault of REGISTER §14.
//!
//! - `cargo test --release -p cairn-register` runs all of it within a minute or so.
//! - `CAIRN_FULL=1` explores and walks further, for an hour or so; `WALKS=n` sets the walks of each family.
//! - `SEED=n FAMILY=Layout` walks that one way again; a failure prints both, and its story step by step.
//! - `cargo test --release -p cairn-register --test protocol find_seeds -- --ignored --nocapture` looks for walks that
//!   meet what each dropped rule breaks (`ONLY=LineageLost,…`, `LIMIT=n`), after a change that made the seeds of
//!   `mutations.rs` stale. Stale seeds cost time, not the test.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod drive;
mod explore;
mod history;
mod mutations;
mod op;
mod play;
mod programs;
mod schedules;
mod step;
mod story;
mod walk;
mod world;

use std::fmt::Write as _;

use cairn_register::Mutation;

use crate::explore::explore;
use crate::mutations::{Explored, Walked, caught_by};
use crate::play::Play;
use crate::programs::Family;
use crate::schedules::Schedule;
use crate::world::{Setup, World};

fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The bound of a check: `CAIRN_FULL` goes further.
fn bound(usual: u64, full: u64) -> u64 {
    if std::env::var_os("CAIRN_FULL").is_some() { full } else { usual }
}

fn families() -> Vec<Family> {
    let wanted = std::env::var("FAMILY").ok();
    let is_wanted = |family: &Family| wanted.as_ref().is_none_or(|wanted| *wanted == format!("{family:?}"));
    Family::ALL.into_iter().filter(is_wanted).collect()
}

#[test]
fn random_walks_are_linearizable() {
    let walks = env("WALKS").unwrap_or_else(|| bound(3_000, 300_000));
    let seeds = env("SEED").map_or(1..=walks, |seed| seed..=seed);
    for family in families() {
        let mut answered = 0;
        for seed in seeds.clone() {
            let setup = family.setup(seed);
            let walk = walk::walk(&setup, seed);
            answered += walk.world.answered().count_ones();
            let story = || story::tell(&setup, World::new(&setup), &walk.steps);
            assert!(!walk.world.bad, "SEED={seed} FAMILY={family:?}:\n{}", story());
        }
        println!("{family:?}: {} walks, {answered} operations answered", seeds.end() - seeds.start() + 1);
    }
}

/// Plays a schedule up to its crucial step, and checks that nothing went wrong before.
fn played(schedule: &Schedule, mutation: Option<Mutation>) -> Play {
    let mut play = Play::new((schedule.setup)().without(mutation));
    (schedule.before)(&mut play);
    assert!(!play.world.bad, "{:?} with {mutation:?}: broken before its crucial step", schedule.mutation);
    play
}

#[test]
fn schedules_break_only_without_their_rule() {
    let mut wrong = String::new();
    for schedule in schedules::all() {
        for mutation in [None, Some(schedule.mutation)] {
            let mut play = played(schedule, mutation);
            (schedule.then)(&mut play);
            if (schedule.broken)(&play) != mutation.is_some() {
                let story = story::tell(&play.setup, World::new(&play.setup), &play.steps);
                writeln!(wrong, "{:?} with {mutation:?}:\n{story}", schedule.mutation).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn small_programs_hold_under_stateright() {
    let steps = usize::try_from(bound(200_000, 5_000_000)).unwrap();
    for (name, setup) in programs::small() {
        let found = explore(&setup, World::new(&setup), steps, bound(20, 900));
        println!("{name}: {} states{}", found.states, if found.complete { ", all there are" } else { "" });
        assert!(found.violation.is_none(), "{name}:\n{}", found.violation.unwrap());
        assert!(found.answered || !found.complete, "{name}: not every operation can be answered");
    }
}

#[test]
fn what_follows_the_schedules_holds_under_stateright() {
    let steps = usize::try_from(bound(6_000, 500_000)).unwrap();
    for schedule in schedules::all() {
        let play = played(schedule, None);
        let found = explore(&play.setup, play.world.clone(), steps, bound(5, 300));
        assert!(found.violation.is_none(), "after {:?}:\n{}", schedule.mutation, found.violation.unwrap());
    }
}

/// A walk that meets what `setup`, a rule dropped, allows; from `seed` on, at most `limit` of them.
fn hunt(setup: impl Fn(u64) -> Setup, seed: u64, limit: u64) -> Option<u64> {
    (seed..seed + limit).find(|seed| walk::walk(&setup(*seed), *seed).world.bad)
}

#[test]
fn walks_catch_dropped_rules() {
    for mutation in Mutation::ALL.iter().copied() {
        let found = match caught_by(mutation).0 {
            Walked::Family(family, seed) => hunt(|seed| family.setup(seed).without(Some(mutation)), seed, 300_000),
            Walked::Directed(seed) => hunt(|_| programs::directed(mutation).unwrap(), seed, 1_000_000),
            Walked::Never => continue,
        };
        assert!(found.is_some(), "{mutation:?} is not caught by walks");
        println!("{mutation:?}: seed {}", found.unwrap());
    }
}

#[test]
fn stateright_catches_dropped_rules() {
    for mutation in Mutation::ALL.iter().copied() {
        let (setup, from) = match caught_by(mutation).1 {
            Explored::FromTheStart => {
                let setup = programs::directed(mutation).unwrap();
                let setup = Setup { patience: false, lost_replies: false, stops: false, symmetric: true, ..setup };
                (setup.clone(), World::new(&setup))
            }
            Explored::AfterItsSchedule => {
                let schedule = schedules::of(mutation).unwrap();
                let play = played(schedule, Some(mutation));
                (Setup { lost_replies: false, ..play.setup }, play.world)
            }
            Explored::Never => continue,
        };
        let started = std::time::Instant::now();
        let found = explore(&setup, from, 400_000, 120);
        println!("{mutation:?}: {} states, {:?}", found.states, started.elapsed());
        assert!(found.violation.is_some(), "{mutation:?} is not caught by stateright");
    }
}

#[test]
fn every_rule_has_a_check_that_fails_without_it() {
    for mutation in Mutation::ALL.iter().copied() {
        let (walked, explored) = caught_by(mutation);
        let is_played = schedules::of(mutation).is_some();
        let is_caught = !matches!(walked, Walked::Never) || !matches!(explored, Explored::Never) || is_played;
        assert!(is_caught, "nothing catches {mutation:?}");
    }
}

#[test]
#[ignore = "looks for seeds; checks nothing"]
fn find_seeds() {
    let only = std::env::var("ONLY").ok();
    let limit = env("LIMIT").unwrap_or(20_000);
    for mutation in Mutation::ALL.iter().copied() {
        let name = format!("{mutation:?}");
        if only.as_ref().is_some_and(|only| !only.split(',').any(|wanted| wanted == name)) {
            continue;
        }
        let directed = programs::directed(mutation).and_then(|setup| hunt(|_| setup.clone(), 1, limit));
        let family = |family: Family| {
            let found = hunt(|seed| family.setup(seed).without(Some(mutation)), 1, limit / 4);
            found.map(|seed| (family, seed))
        };
        let found = if directed.is_some() { None } else { families().into_iter().find_map(family) };
        println!("{name}: directed {directed:?}, {found:?}");
    }
}

//! E1 model-checked: the product's voter and coordinator, in programs small enough to explore completely and in random
//! walks of larger ones. Each part of the rule, dropped, is caught by both.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use cairn_register::voters::Mutation;

#[path = "voters/explore.rs"]
mod explore;
#[path = "voters/model.rs"]
mod model;

use explore::{search, walks};
use model::{Admin, Config, Fault};

const A: u8 = 1;
const B: u8 = 2;
const C: u8 = 4;
const D: u8 = 8;
const ABC: u8 = A | B | C;

/// A record that changes nothing but its number.
const STEP: Admin = Admin::Change { add: 0, remove: 0 };

const fn change(add: u8, remove: u8) -> Admin {
    Admin::Change { add, remove }
}

fn config(first: u8, admins: &[Admin], tries: u8, losses: u8) -> Config {
    Config { first, admins: admins.to_vec(), tries, losses, ..Config::default() }
}

/// Two swaps of the same voters against each other, and a reader.
fn rivals(losses: u8) -> Config {
    config(ABC, &[change(D, C), change(D, A), Admin::Read], 2, losses)
}

/// Complete, within the states given.
fn holds(config: &Config, states: usize) {
    let found = search(config, states);
    assert!(found.violation.is_none(), "{}", found.violation.unwrap());
    assert!(found.complete, "more than {states} states: {}", found.states);
}

/// Both checkers find a violation once the part is dropped.
fn caught(config: Config, random_walks: u64) {
    let found = search(&config, 400_000);
    assert!(found.violation.is_some(), "the search missed it in {} states", found.states);
    let violation = walks(&config, random_walks);
    assert!(violation.is_some(), "{random_walks} walks missed it");
}

fn without(mutation: Mutation, config: Config) -> Config {
    Config { mutation: Some(mutation), ..config }
}

#[test]
fn grows_one_voter_at_a_time() {
    holds(&config(A, &[change(B, 0), change(C, 0), Admin::Read], 1, 1), 400_000);
}

#[test]
fn grows_by_two_with_a_rival() {
    holds(&config(A, &[change(B | C, 0), change(D, 0)], 2, 1), 400_000);
}

#[test]
fn voters_with_nothing_in_common_follow_each_other() {
    holds(&config(A, &[change(B, A), change(C, A), Admin::Read], 1, 1), 400_000);
}

#[test]
fn rival_swaps_do_not_fork() {
    holds(&config(ABC, &[change(D, C), change(D, A)], 1, 1), 400_000);
}

#[test]
fn two_voters_are_safe() {
    holds(&config(A | B, &[change(C, A), change(D, 0), Admin::Read], 1, 0), 400_000);
}

#[test]
fn three_give_way_to_one() {
    holds(&config(ABC, &[change(0, B | C), change(D, C)], 1, 0), 400_000);
}

#[test]
fn learning_breaks_nothing() {
    let learning = Config { learn: true, ..config(A, &[change(B, A), change(C, B), Admin::Read], 1, 0) };
    holds(&learning, 400_000);
}

#[test]
fn random_walks_find_nothing() {
    let found = walks(&Config::default(), 60_000);
    assert!(found.is_none(), "{}", found.unwrap());
}

#[test]
fn a_majority_of_the_old_voters_accepts() {
    caught(without(Mutation::OldMajority, rivals(0)), 200_000);
}

#[test]
fn a_majority_of_the_new_voters_accepts() {
    caught(without(Mutation::NewMajority, config(ABC, &[change(D, C), Admin::Read], 1, 2)), 200_000);
}

#[test]
fn old_voters_promise() {
    caught(without(Mutation::PrepareAtOld, rivals(0)), 200_000);
}

#[test]
fn ballots_begin_with_the_number() {
    let skewed = Config { skew: 2, ..config(A, &[change(B, A), STEP, Admin::Read], 2, 0) };
    caught(without(Mutation::Fence, skewed), 200_000);
}

#[test]
fn one_record_in_flight() {
    caught(Config { fault: Some(Fault::OneInFlight), ..rivals(0) }, 200_000);
}

#[test]
fn open_records_are_completed_first() {
    caught(without(Mutation::SettleFirst, rivals(0)), 200_000);
}

#[test]
fn records_are_completed_at_their_own_voters() {
    let moves = config(A, &[change(B, A), change(C, A), Admin::Read, change(D, 0)], 2, 0);
    caught(without(Mutation::SameTargets, moves), 200_000);
}

#[test]
fn new_voters_count_when_they_accepted() {
    caught(without(Mutation::RealAccept, config(ABC, &[change(D, C), Admin::Read], 1, 2)), 200_000);
}

#[test]
fn a_voter_without_its_disk_is_gone() {
    caught(Config { fault: Some(Fault::Revival), ..rivals(1) }, 200_000);
}

#[test]
fn promises_survive_a_crash() {
    caught(Config { fault: Some(Fault::PromisesLost), ..rivals(1) }, 200_000);
}

#[test]
fn open_records_are_not_answered() {
    caught(without(Mutation::OnlyChosen, rivals(0)), 200_000);
}

#[test]
fn an_answer_needs_a_majority() {
    caught(without(Mutation::AskMajority, rivals(0)), 200_000);
}

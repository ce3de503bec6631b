//! Rule E1 (REGISTER §10): the layout record is a register whose acceptors, its *voters*, the record names itself.
//!
//! Records are numbered 1, 2, 3…; record n+1 is a compare-and-set on record n. [`judge`] is what a voter does with a
//! message; a [`Coordinator`] turns one read or one proposal into messages, and answers into an [`Outcome`]. `C` is
//! what a record says beside its voters.
//!
//! - **E1a** A promise for n+1 needs a majority of n's voters, an acceptance a majority of n's voters *and* of n+1's.
//! - **E1b** Ballots begin with the number of the record they are for: an older number is refused.
//! - **E1c** An open record met in a promise is completed first, and never built upon.
//! - **E1d** A message carries its base in full, an answer the newest record known to be chosen: whoever looks from an
//!   old record is led to the newest one, and an open record is completed at the voters of *its* base.
//! - **E1e** Only chosen records are handed on, acted on, or built upon.
//!
//! All are kept by `tests/voters.rs`, which also shows what goes wrong without each (X22, X22b, X22c, X23, X24).
//! The caller keeps D1, D3 and D4: a voter's state is synced before its answer leaves, and a voter that lost it is gone
//! for ever.

mod coordinator;
mod rules;
mod voter;

use std::collections::BTreeSet;

use cairn_placement::ReplicaSet;
use cairn_types::{OpId, StoreId};

pub use coordinator::{Action, Coordinator, Outcome};
#[cfg(feature = "mutations")]
pub use rules::Mutation;
#[cfg(feature = "mutations")]
pub use voter::judge_without;
pub use voter::{Judgement, judge};

/// Compared as (number, time, proposer); [`Ballot::ZERO`] is below every ballot made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Ballot {
    /// Of the record it is for.
    pub number: u64,
    /// Rises with each attempt; not a clock.
    pub time: u64,
    /// Random per coordinator.
    pub proposer: u64,
}

impl Ballot {
    pub const ZERO: Ballot = Ballot { number: 0, time: 0, proposer: 0 };
}

/// A value of the register.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Record<C> {
    pub number: u64,
    pub voters: ReplicaSet,
    /// Tells one's own record from another's.
    pub op: OpId,
    pub content: C,
}

/// A record that a voter has accepted, and that may or may not be chosen.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Open<C> {
    pub ballot: Ballot,
    pub record: Record<C>,
}

/// All that a voter keeps, durably.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct VoterState<C> {
    /// No lower ballot is promised or accepted; for a number above `chosen`'s.
    pub promised: Ballot,
    /// The newest record known to be chosen.
    pub chosen: Option<Record<C>>,
    /// Accepted on top of `chosen`.
    pub open: Option<Open<C>>,
}

impl<C> Default for VoterState<C> {
    fn default() -> Self {
        Self { promised: Ballot::ZERO, chosen: None, open: None }
    }
}

impl<C> VoterState<C> {
    /// The number of the newest record known to be chosen; 0: none.
    #[must_use]
    pub fn chosen_number(&self) -> u64 {
        self.chosen.as_ref().map_or(0, |record| record.number)
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Message<C> {
    /// Reads durable state.
    Query,
    Prepare {
        ballot: Ballot,
        base: Record<C>,
    },
    Accept {
        ballot: Ballot,
        base: Record<C>,
        record: Record<C>,
    },
    /// A record known to be chosen.
    Learn {
        chosen: Record<C>,
    },
}

/// What a voter answers, whatever it was asked.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Answer<C> {
    /// False: refused, and nothing changed.
    pub ack: bool,
    pub promised: Ballot,
    pub chosen: Option<Record<C>>,
    pub open: Option<Open<C>>,
}

/// Whether `stores` hold a majority of `set`.
fn is_majority(stores: &BTreeSet<StoreId>, set: &ReplicaSet) -> bool {
    set.stores().iter().filter(|store| stores.contains(store)).count() >= set.majority()
}

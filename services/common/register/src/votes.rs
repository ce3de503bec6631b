//! Counting answers: quorums are majorities of every set (§1, §10), and count stores, not replies (A0).

use std::collections::{BTreeMap, BTreeSet};

use cairn_placement::ReplicaSet;
use cairn_types::{Ballot, StoreId};

use crate::rules::{Rules, dropped};
use crate::{Now, Reply, Row};

/// Where a round stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Standing {
    Waiting,
    Reached,
    Impossible,
}

/// Who said yes and who cannot say yes any more, in one round.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Votes {
    rules: Rules,
    /// T3 needs every replica, not a majority.
    all: bool,
    yes: BTreeSet<StoreId>,
    no: BTreeSet<StoreId>,
    /// Counts yes-replies where the rule that counts stores is dropped.
    replies: usize,
}

impl Votes {
    pub(crate) const fn new(rules: Rules) -> Self {
        Self { rules, all: false, yes: BTreeSet::new(), no: BTreeSet::new(), replies: 0 }
    }

    pub(crate) fn of_all(rules: Rules) -> Self {
        Self { all: true, ..Self::new(rules) }
    }

    /// A yes stands even when a duplicate of the message is refused later.
    pub(crate) fn yes(&mut self, store: StoreId) {
        self.no.remove(&store);
        self.yes.insert(store);
        if dropped!(self.rules, RepliesCounted) {
            self.replies += 1;
        }
    }

    pub(crate) fn no(&mut self, store: StoreId) {
        if !self.yes.contains(&store) {
            self.no.insert(store);
        }
    }

    pub(crate) fn standing(&self, sets: &[ReplicaSet]) -> Standing {
        let needed = |set: &ReplicaSet| match self.all {
            true => set.stores().len(),
            false if dropped!(self.rules, HalfIsQuorum) => set.stores().len() / 2,
            false => set.majority(),
        };
        let reached = |set: &ReplicaSet| {
            let stores = self.yes.iter().filter(|store| set.contains(**store)).count();
            stores.max(self.replies) >= needed(set)
        };
        let possible = |set: &ReplicaSet| {
            set.stores().len() - self.no.iter().filter(|store| set.contains(**store)).count() >= needed(set)
        };
        if sets.iter().all(reached) {
            Standing::Reached
        } else if sets.iter().all(possible) {
            Standing::Waiting
        } else {
            Standing::Impossible
        }
    }
}

/// Whether `stores` are a majority of every one of `sets`.
pub(crate) fn is_quorum(sets: &[ReplicaSet], stores: &BTreeSet<StoreId>) -> bool {
    sets.iter().all(|set| set.stores().iter().filter(|store| stores.contains(store)).count() >= set.majority())
}

/// Every store of `sets`, once.
pub(crate) fn everyone<'a>(sets: impl IntoIterator<Item = &'a ReplicaSet>) -> Vec<StoreId> {
    let stores: BTreeSet<StoreId> = sets.into_iter().flat_map(|set| set.stores().iter().copied()).collect();
    stores.into_iter().collect()
}

/// The replies to a Query or a Prepare.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Poll<V> {
    votes: Votes,
    replies: BTreeMap<StoreId, Reply<V>>,
    /// A2: from the future; as good as lost while a majority remains without them.
    future: BTreeMap<StoreId, Reply<V>>,
}

impl<V: Clone> Poll<V> {
    pub(crate) const fn new(rules: Rules) -> Self {
        Self { votes: Votes::new(rules), replies: BTreeMap::new(), future: BTreeMap::new() }
    }

    pub(crate) fn reply(&mut self, store: StoreId, reply: Reply<V>, now: &Now<'_>) {
        if now.is_future(highest(&reply)) && !self.replies.contains_key(&store) {
            self.future.insert(store, reply);
        } else {
            self.votes.yes(store);
            self.replies.insert(store, reply);
        }
    }

    pub(crate) fn refused(&mut self, store: StoreId) {
        self.votes.no(store);
    }

    /// Counts replies from the future once no quorum is left without them.
    pub(crate) fn standing(&mut self, sets: &[ReplicaSet]) -> Standing {
        let mut without = self.votes.clone();
        for store in self.future.keys() {
            without.no(*store);
        }
        match without.standing(sets) {
            Standing::Impossible => {
                for (store, reply) in std::mem::take(&mut self.future) {
                    self.votes.yes(store);
                    self.replies.insert(store, reply);
                }
                self.votes.standing(sets)
            }
            standing => standing,
        }
    }

    pub(crate) fn picture(&self, rules: Rules) -> Picture<V> {
        let mut picture = Picture {
            best: None,
            same: BTreeSet::new(),
            committed: false,
            forgotten: Ballot::ZERO,
            floor: Ballot::ZERO,
            seen: Ballot::ZERO,
        };
        for (store, reply) in &self.replies {
            picture.add(*store, reply);
        }
        if dropped!(rules, AgreeByValue) {
            let op = picture.best.as_ref().map(|best| best.op);
            let alike = self.replies.iter().filter(|(_, reply)| reply.row.as_ref().map(|row| row.op) == op);
            picture.same = alike.map(|(store, _)| *store).collect();
        }
        picture
    }
}

/// The highest ballot that a replica's reply speaks of.
pub(crate) fn highest<V>(reply: &Reply<V>) -> Ballot {
    let accepted = reply.row.as_ref().map_or(Ballot::ZERO, |row| row.accepted);
    reply.promised.max(accepted).max(reply.floor).max(reply.joined)
}

/// What a quorum of replies shows.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Picture<V> {
    /// The row with the highest accepted ballot.
    pub(crate) best: Option<Row<V>>,
    /// Who holds exactly `best.accepted`; who holds no row, where there is no best.
    pub(crate) same: BTreeSet<StoreId>,
    /// One of `same` knows that `best` is chosen.
    committed: bool,
    /// Highest floor, collection's or joiner's, of a replica without a row.
    forgotten: Ballot,
    /// Highest floor of any replica.
    pub(crate) floor: Ballot,
    /// Highest ballot seen: F of W1.
    pub(crate) seen: Ballot,
}

impl<V: Clone> Picture<V> {
    fn add(&mut self, store: StoreId, reply: &Reply<V>) {
        self.seen = self.seen.max(highest(reply));
        let floor = reply.floor.max(reply.joined);
        self.floor = self.floor.max(floor);
        let best = self.best.as_ref().map_or(Ballot::ZERO, |best| best.accepted);
        let accepted = reply.row.as_ref().map_or(Ballot::ZERO, |row| row.accepted);
        if reply.row.is_none() {
            self.forgotten = self.forgotten.max(floor);
        }
        if accepted > best {
            self.best.clone_from(&reply.row);
            self.same.clear();
            self.committed = false;
        }
        if accepted >= best {
            self.same.insert(store);
            self.committed |= reply.row.as_ref().is_some_and(|row| row.committed);
        }
    }

    /// W4: the row with the highest accepted ballot; none: the beginning of a chain on the highest floor seen.
    pub(crate) fn current(&self, rules: Rules) -> Row<V> {
        let floor = if dropped!(rules, FloorIsNothing) { Ballot::ZERO } else { self.forgotten };
        self.best.clone().unwrap_or_else(|| Row::missing(floor))
    }

    /// G2: a replica without a row may have collected a tombstone newer than the best row shown.
    pub(crate) fn in_doubt(&self, rules: Rules) -> bool {
        let doubtful = |best: &Row<V>| self.forgotten >= best.accepted;
        self.best.as_ref().is_some_and(doubtful) && !dropped!(rules, NoRowTrusted)
    }

    /// G2, G3: whether what is shown is known to be chosen. `active` are the layouts active now; `own` those active in
    /// the row's own epoch, where that is another one and they are known.
    ///
    /// "No row" at a query quorum is settled: whatever was chosen in any epoch is seen by it (§10).
    pub(crate) fn is_settled(&self, rules: Rules, active: &[ReplicaSet], own: Option<&[ReplicaSet]>) -> bool {
        if self.best.is_none() {
            return true;
        }
        if self.in_doubt(rules) {
            return false;
        }
        if dropped!(rules, AgreeInOneLayout)
            && active.iter().any(|set| is_quorum(std::slice::from_ref(set), &self.same))
        {
            return true;
        }
        self.committed || is_quorum(active, &self.same) || own.is_some_and(|own| is_quorum(own, &self.same))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::FUTURE_MS;
    use crate::{Gate, Proposer, Usage, Verdict};

    fn store(number: u8) -> StoreId {
        StoreId([number; StoreId::LEN])
    }

    fn set(stores: &[u8]) -> ReplicaSet {
        ReplicaSet::new(stores.iter().copied().map(store).collect())
    }

    fn at(time: u64) -> Ballot {
        Ballot { epoch: 1, time, proposer: 1 }
    }

    /// `yes` and `no` of stores, in a row such as "1 2 !3".
    fn check(sets: &[ReplicaSet], votes: &str, expected: Standing) {
        let mut tally = Votes::new(Rules::default());
        for vote in votes.split_whitespace() {
            match vote.strip_prefix('!') {
                Some(number) => tally.no(store(number.parse().unwrap())),
                None => tally.yes(store(vote.parse().unwrap())),
            }
        }
        assert_eq!(tally.standing(sets), expected, "{votes}");
    }

    #[test]
    fn a_quorum_is_a_majority_of_stores_in_every_set() {
        let one = [set(&[1, 2, 3])];
        check(&one, "1 1 1", Standing::Waiting);
        check(&one, "1 9", Standing::Waiting);
        check(&one, "1 3", Standing::Reached);
        check(&one, "!1 3", Standing::Waiting);
        check(&one, "!1 !3", Standing::Impossible);
        let two = [set(&[1, 2, 3]), set(&[3, 4, 5])];
        check(&two, "1 2 3", Standing::Waiting);
        check(&two, "2 3 4", Standing::Reached);
        check(&two, "1 2 3 !4 !5", Standing::Impossible);
        check(&[set(&[1])], "1", Standing::Reached);
        check(&[set(&[1, 2, 3, 4, 5])], "1 2", Standing::Waiting);
    }

    #[test]
    fn a_yes_outlives_the_refusal_of_a_duplicate() {
        check(&[set(&[1, 2, 3])], "1 2 !1", Standing::Reached);
        check(&[set(&[1, 2, 3])], "!1 1 2", Standing::Reached);
    }

    #[test]
    fn all_means_all() {
        let mut votes = Votes::of_all(Rules::default());
        votes.yes(store(1));
        votes.yes(store(2));
        assert_eq!(votes.standing(&[set(&[1, 2, 3])]), Standing::Waiting);
        votes.no(store(3));
        assert_eq!(votes.standing(&[set(&[1, 2, 3])]), Standing::Impossible);
    }

    fn reply(promised: Ballot, accepted: Option<Ballot>, floor: Ballot) -> Reply<u8> {
        let row = accepted.map(|accepted| Row { accepted, value: Some(1), ..Row::missing(Ballot::ZERO) });
        Reply {
            verdict: Verdict::Ack,
            promised,
            floor,
            joined: Ballot::ZERO,
            gate: Gate::Open,
            row,
            usage: Usage::default(),
        }
    }

    fn poll(replies: &[(u8, Reply<u8>)]) -> Poll<u8> {
        let mut poll = Poll::new(Rules::default());
        let proposer = Proposer::new(1);
        for (number, reply) in replies {
            poll.reply(store(*number), reply.clone(), &Now { ms: 0, proposer: &proposer });
        }
        poll
    }

    #[test]
    fn a_reply_from_the_future_counts_only_where_no_majority_is_left_without_it() {
        let sets = [set(&[1, 2, 3])];
        let future = at((FUTURE_MS + 1) << 16);
        let none = reply(Ballot::ZERO, None, Ballot::ZERO);
        let mut two = poll(&[(1, reply(future, None, Ballot::ZERO)), (2, none.clone())]);
        assert_eq!(two.standing(&sets), Standing::Waiting);
        two.refused(store(3));
        assert_eq!(two.standing(&sets), Standing::Reached);
        assert_eq!(two.picture(Rules::default()).seen, future);
        let mut three = poll(&[(1, reply(future, None, Ballot::ZERO)), (2, none.clone()), (3, none)]);
        assert_eq!(three.standing(&sets), Standing::Reached);
        assert_eq!(three.picture(Rules::default()).seen, Ballot::ZERO);
    }

    #[test]
    fn the_best_row_is_settled_by_exactly_its_ballot() {
        let sets = [set(&[1, 2, 3])];
        let settled = |replies: &[(u8, Reply<u8>)]| {
            poll(replies).picture(Rules::default()).is_settled(Rules::default(), &sets, None)
        };
        let row = |time| reply(at(time), Some(at(time)), Ballot::ZERO);
        assert!(settled(&[(1, row(5)), (2, row(5))]));
        assert!(!settled(&[(1, row(5)), (2, row(4))]));
        assert!(settled(&[(1, row(4)), (2, row(5)), (3, row(5))]));
        let none = reply(Ballot::ZERO, None, Ballot::ZERO);
        assert!(settled(&[(1, none.clone()), (2, none.clone())]), "nobody has anything");
        assert!(!settled(&[(1, row(5)), (2, none)]));
    }

    #[test]
    fn a_floor_above_the_best_row_casts_doubt_on_it() {
        let forgot = |floor| reply(floor, None, floor);
        let row = reply(at(5), Some(at(5)), Ballot::ZERO);
        let doubtful =
            |floor| poll(&[(1, row.clone()), (2, forgot(floor))]).picture(Rules::default()).in_doubt(Rules::default());
        assert!(!doubtful(at(4)));
        assert!(doubtful(at(5)));
        let missing =
            poll(&[(1, forgot(at(3))), (2, forgot(at(4)))]).picture(Rules::default()).current(Rules::default());
        assert_eq!((missing.is_missing(), missing.root, missing.root_is_floor), (true, at(4), true));
    }
}

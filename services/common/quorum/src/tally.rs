//! Counting acknowledgements of sends that need no register: blocks, references, ranges.

use cairn_placement::ReplicaSet;
use cairn_types::StoreId;

/// Counts answers until a majority of every active layout's replicas has acknowledged.
///
/// Distinct stores count; a store that belongs to several sets counts in each (REGISTER §10).
#[derive(Clone, Debug)]
pub(crate) struct Tally<'a> {
    sets: &'a [ReplicaSet],
    acked: Vec<StoreId>,
    failed: Vec<StoreId>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Waiting,
    Reached,
    /// Too many failed.
    Unreachable,
}

impl<'a> Tally<'a> {
    pub(crate) const fn new(sets: &'a [ReplicaSet]) -> Self {
        Self { sets, acked: Vec::new(), failed: Vec::new() }
    }

    pub(crate) fn on_ack(&mut self, store: StoreId) -> Verdict {
        if !self.acked.contains(&store) {
            self.acked.push(store);
        }
        self.verdict()
    }

    pub(crate) fn on_failure(&mut self, store: StoreId) -> Verdict {
        if !self.failed.contains(&store) && !self.acked.contains(&store) {
            self.failed.push(store);
        }
        self.verdict()
    }

    pub(crate) fn verdict(&self) -> Verdict {
        if is_majority(self.sets, &self.acked) {
            return Verdict::Reached;
        }
        let lost = |set: &ReplicaSet| {
            set.stores().len() - count(set, &self.failed) < set.majority() || set.stores().is_empty()
        };
        if self.sets.iter().any(lost) { Verdict::Unreachable } else { Verdict::Waiting }
    }
}

/// Whether `stores` hold a majority of every one of `sets`.
pub(crate) fn is_majority(sets: &[ReplicaSet], stores: &[StoreId]) -> bool {
    sets.iter().all(|set| count(set, stores) >= set.majority())
}

/// The stores of all `sets`, each once.
pub(crate) fn everyone(sets: &[ReplicaSet]) -> Vec<StoreId> {
    let mut stores: Vec<StoreId> = sets.iter().flat_map(|set| set.stores().iter().copied()).collect();
    stores.sort_unstable();
    stores.dedup();
    stores
}

/// Splits `stores`, which are in order of preference, into the fewest from the front that are a majority of every one
/// of `sets`, and the others.
pub(crate) fn first_majority(sets: &[ReplicaSet], stores: &[StoreId]) -> (Vec<StoreId>, Vec<StoreId>) {
    let (mut first, mut rest) = (Vec::new(), Vec::new());
    for store in stores {
        let wanted = |set: &ReplicaSet| set.contains(*store) && count(set, &first) < set.majority();
        if sets.iter().any(wanted) { first.push(*store) } else { rest.push(*store) }
    }
    (first, rest)
}

fn count(set: &ReplicaSet, stores: &[StoreId]) -> usize {
    stores.iter().filter(|store| set.contains(**store)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(letter: char) -> StoreId {
        StoreId([u8::try_from(letter).unwrap(); 16])
    }

    fn set(letters: &str) -> ReplicaSet {
        ReplicaSet::new(letters.chars().map(store).collect())
    }

    /// `events` is `ack:a fail:b …`.
    fn check(sets: &[&str], events: &str, expected: Verdict) {
        let sets: Vec<ReplicaSet> = sets.iter().map(|letters| set(letters)).collect();
        let mut tally = Tally::new(&sets);
        for event in events.split_whitespace() {
            match event.split_once(':').unwrap() {
                ("ack", who) => tally.on_ack(store(who.chars().next().unwrap())),
                (_, who) => tally.on_failure(store(who.chars().next().unwrap())),
            };
        }
        assert_eq!(tally.verdict(), expected, "{sets:?} {events}");
    }

    #[test]
    fn two_of_three_replicas_suffice() {
        check(&["abc"], "ack:a fail:b ack:c", Verdict::Reached);
        check(&["abc"], "ack:a", Verdict::Waiting);
        check(&["abc"], "ack:a fail:b fail:c", Verdict::Unreachable);
    }

    #[test]
    fn one_store_counts_once() {
        check(&["abc"], "ack:a ack:a", Verdict::Waiting);
    }

    #[test]
    fn every_layout_needs_its_majority() {
        check(&["abc", "cde"], "ack:a ack:b ack:c", Verdict::Waiting);
        check(&["abc", "cde"], "ack:a ack:c ack:d", Verdict::Reached);
        check(&["abc", "cde"], "ack:a ack:b fail:d fail:e", Verdict::Unreachable);
    }

    #[test]
    fn an_empty_set_is_never_a_majority() {
        check(&[""], "", Verdict::Unreachable);
    }

    #[test]
    fn the_preferred_majority_is_asked_first() {
        let order = ['c', 'a', 'b', 'd', 'e'].map(store);
        let (first, rest) = first_majority(&[set("abc"), set("cde")], &order);
        assert_eq!(first, ['c', 'a', 'd'].map(store));
        assert_eq!(rest, ['b', 'e'].map(store));
    }
}

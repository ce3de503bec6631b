//! The laws of `Join`, for every value of the crate, and what each value means.

use std::fmt::Debug;

use cairn_crdt::{GrowCounter, Join, LwwMap, Stamp, Stamped, TwoPhaseSet};
use proptest::prelude::*;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Word {
    incarnation: u64,
    version: u64,
    text: u8,
}

impl Stamped for Word {
    fn stamp(&self) -> Stamp {
        Stamp { incarnation: self.incarnation, version: self.version }
    }
}

fn word() -> impl Strategy<Value = Word> {
    (0..3_u64, 0..3_u64, 0..3_u8).prop_map(|(incarnation, version, text)| Word { incarnation, version, text })
}

fn map() -> impl Strategy<Value = LwwMap<u8, Word>> {
    prop::collection::vec((0..4_u8, word()), 0..8).prop_map(|words| {
        let mut map = LwwMap::new();
        for (key, word) in words {
            map.put(key, word);
        }
        map
    })
}

fn set() -> impl Strategy<Value = TwoPhaseSet<u8>> {
    prop::collection::vec((0..6_u8, any::<bool>()), 0..10).prop_map(|changes| {
        let mut set = TwoPhaseSet::new();
        for (element, add) in changes {
            if add {
                set.add(element)
            } else {
                set.remove(element)
            };
        }
        set
    })
}

fn counter() -> impl Strategy<Value = GrowCounter<u8>> {
    prop::collection::vec((0..4_u8, 0..9_u64), 0..8).prop_map(|additions| {
        let mut counter = GrowCounter::new();
        for (replica, amount) in additions {
            counter.add(replica, amount);
        }
        counter
    })
}

fn joined<T: Join + Clone>(one: &T, other: &T) -> T {
    let mut both = one.clone();
    both.join(other.clone());
    both
}

fn check_laws<T: Join + Clone + PartialEq + Debug>(a: &T, b: &T, c: &T) -> Result<(), TestCaseError> {
    prop_assert_eq!(joined(a, b), joined(b, a), "commutative");
    prop_assert_eq!(joined(&joined(a, b), c), joined(a, &joined(b, c)), "associative");
    prop_assert_eq!(&joined(a, a), a, "idempotent");
    let mut both = a.clone();
    prop_assert_eq!(both.join(b.clone()), &both != a, "says whether anything was new");
    Ok(())
}

proptest! {
    #[test]
    fn lww_map_is_a_lattice(a in map(), b in map(), c in map()) {
        check_laws(&a, &b, &c)?;
    }

    #[test]
    fn two_phase_set_is_a_lattice(a in set(), b in set(), c in set()) {
        check_laws(&a, &b, &c)?;
    }

    #[test]
    fn grow_counter_is_a_lattice(a in counter(), b in counter(), c in counter()) {
        check_laws(&a, &b, &c)?;
    }

    #[test]
    fn the_last_word_wins(words in prop::collection::vec(word(), 1..8)) {
        let mut map = LwwMap::new();
        for word in &words {
            map.put(0, *word);
        }
        let last = words.into_iter().max_by_key(|word| (word.stamp(), *word));
        prop_assert_eq!(map.get(&0).copied(), last);
    }
}

#[test]
fn what_was_removed_does_not_come_back() {
    let (mut here, mut there) = (TwoPhaseSet::new(), TwoPhaseSet::new());
    assert!(here.add(1));
    assert!(there.remove(1));
    here.join(there);
    assert!(!here.contains(&1) && !here.add(1) && !here.remove(1));
    assert!(here.forget(&1) && here.add(1));
}

#[test]
fn counters_count_each_replica_once() {
    let (mut here, mut there) = (GrowCounter::new(), GrowCounter::new());
    here.add("a", 2);
    there.add("b", 3);
    for _ in 0..3 {
        here.join(there.clone());
    }
    assert_eq!((here.total(), here.of(&"a"), here.of(&"c")), (5, 2, 0));
}

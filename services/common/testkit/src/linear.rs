//! Whether a concurrent history is linearizable: the search of Wing and Gong with Lowe's memo.
//!
//! A history is a list of [`Operation`]s with the times of their calls and returns. One without a return is *open*: it
//! may have taken effect at any time after its call, or never. Histories of several keys are checked key by key
//! (linearizability composes). The search is exponential at worst; a few hundred operations a key, of which few
//! are open, take milliseconds.

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;

/// What the object under test would do, one operation at a time.
pub trait Sequential {
    type State: Clone + Eq + Hash;
    type Input;
    type Output;
    fn initial(&self) -> Self::State;
    /// The state after `input` was answered with `output`; none if it cannot be answered so in `state`. `output` none:
    /// the operation is open; what to return is the state it leaves if it took effect, none if it then has none.
    fn step(&self, state: &Self::State, input: &Self::Input, output: Option<&Self::Output>) -> Option<Self::State>;
}

/// One operation of a history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operation<I, O> {
    /// Any clock that all operations share.
    pub called: u64,
    /// When it was answered and with what; none: it is open.
    pub returned: Option<(u64, O)>,
    pub input: I,
}

/// What the search found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    Linearizable,
    /// No order explains the history. The longest explained part, as indices in their order, for the reader.
    Violation {
        explained: Vec<usize>,
    },
    /// More than the given number of configurations.
    Undecided,
}

/// Searches for an order of `history` that `object` explains and that respects real time: an operation that returned
/// before another was called comes before it. An equal time counts as concurrent. Gives up after `limit` configurations.
pub fn check<S: Sequential>(object: &S, history: &[Operation<S::Input, S::Output>], limit: usize) -> Verdict {
    Search::new(object, history).run(limit)
}

/// [`check`] without a limit worth speaking of.
pub fn is_linearizable<S: Sequential>(object: &S, history: &[Operation<S::Input, S::Output>]) -> bool {
    check(object, history, usize::MAX) == Verdict::Linearizable
}

/// The calls and returns of a history in the order of their times, as a list from which operations are taken out and
/// put back.
struct Search<'a, S: Sequential> {
    object: &'a S,
    history: &'a [Operation<S::Input, S::Output>],
    /// Entry 0 is the head of the list; entry 1 + k is the k-th event.
    next: Vec<usize>,
    previous: Vec<usize>,
    /// Of each entry: the operation, and whether it is its call.
    events: Vec<(usize, bool)>,
    /// Of each operation: its entries; the second is 0 for an open one.
    entries: Vec<(usize, usize)>,
}

const HEAD: usize = 0;

impl<'a, S: Sequential> Search<'a, S> {
    fn new(object: &'a S, history: &'a [Operation<S::Input, S::Output>]) -> Self {
        let mut timed: Vec<(u64, bool, usize)> = Vec::new();
        for (index, operation) in history.iter().enumerate() {
            timed.push((operation.called, false, index));
            timed.extend(operation.returned.as_ref().map(|(at, _)| (*at, true, index)));
        }
        // At equal times calls come first, which makes the operations concurrent.
        timed.sort_unstable();
        let mut events = vec![(usize::MAX, false)];
        let mut entries = vec![(HEAD, HEAD); history.len()];
        for (at, (_, is_return, index)) in timed.iter().enumerate() {
            events.push((*index, !is_return));
            let entry = if *is_return { &mut entries[*index].1 } else { &mut entries[*index].0 };
            *entry = at + 1;
        }
        let count = events.len();
        let next = (0..count).map(|entry| (entry + 1) % count).collect();
        let previous = (0..count).map(|entry| (entry + count - 1) % count).collect();
        Self { object, history, next, previous, events, entries }
    }

    fn run(&mut self, limit: usize) -> Verdict {
        let mut unanswered = self.history.iter().filter(|operation| operation.returned.is_some()).count();
        let mut state = self.object.initial();
        let mut taken = vec![0_u64; self.history.len().div_ceil(64)];
        let mut seen: HashSet<(Vec<u64>, S::State)> = HashSet::new();
        let mut stack: Vec<(usize, S::State)> = Vec::new();
        let mut explained = Vec::new();
        let mut at = self.next[HEAD];
        while unanswered > 0 {
            let (index, is_call) = self.events[at];
            if is_call {
                let Some(after) = self.step(&state, index) else {
                    at = self.next[at];
                    continue;
                };
                flip(&mut taken, index);
                if seen.insert((taken.clone(), after.clone())) {
                    unanswered -= usize::from(self.history[index].returned.is_some());
                    stack.push((index, std::mem::replace(&mut state, after)));
                    self.take(index);
                    if stack.len() > explained.len() {
                        explained = stack.iter().map(|(index, _)| *index).collect();
                    }
                    at = self.next[HEAD];
                } else {
                    flip(&mut taken, index);
                    at = self.next[at];
                }
                if seen.len() > limit {
                    return Verdict::Undecided;
                }
                continue;
            }
            // A return whose operation is not placed yet: what was placed before it was placed wrongly.
            let Some((index, before)) = stack.pop() else { return Verdict::Violation { explained } };
            state = before;
            flip(&mut taken, index);
            unanswered += usize::from(self.history[index].returned.is_some());
            self.put_back(index);
            at = self.next[self.entries[index].0];
        }
        Verdict::Linearizable
    }

    fn step(&self, state: &S::State, index: usize) -> Option<S::State> {
        let operation = &self.history[index];
        self.object.step(state, &operation.input, operation.returned.as_ref().map(|(_, output)| output))
    }

    fn take(&mut self, index: usize) {
        let (call, ret) = self.entries[index];
        self.unlink(call);
        if ret != HEAD {
            self.unlink(ret);
        }
    }

    /// Undoes the last [`Search::take`] of this operation: entries go back in the reverse order.
    fn put_back(&mut self, index: usize) {
        let (call, ret) = self.entries[index];
        if ret != HEAD {
            self.link(ret);
        }
        self.link(call);
    }

    fn unlink(&mut self, entry: usize) {
        let (before, after) = (self.previous[entry], self.next[entry]);
        self.next[before] = after;
        self.previous[after] = before;
    }

    fn link(&mut self, entry: usize) {
        let (before, after) = (self.previous[entry], self.next[entry]);
        self.next[before] = entry;
        self.previous[after] = entry;
    }
}

fn flip(taken: &mut [u64], index: usize) {
    taken[index / 64] ^= 1 << (index % 64);
}

/// One key of an object store, or any register with compare-and-set. None is "no object".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Register<V> {
    /// What the key held before the history.
    pub initial: Option<V>,
}

/// What a client asks of a [`Register`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Input<V> {
    Read,
    /// PUT, or DELETE where there is no value.
    Write(Option<V>),
    /// Writes `new` if the key holds `expected`.
    Swap {
        expected: Option<V>,
        new: Option<V>,
    },
    /// Writes if the key holds anything (`If-Match: *`).
    Replace(V),
}

/// What it is answered.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Output<V> {
    Value(Option<V>),
    Done,
    /// The condition did not hold.
    Refused,
}

impl<V: Clone + Eq + Hash + Debug> Sequential for Register<V> {
    type State = Option<V>;
    type Input = Input<V>;
    type Output = Output<V>;

    fn initial(&self) -> Option<V> {
        self.initial.clone()
    }

    fn step(&self, state: &Option<V>, input: &Input<V>, output: Option<&Output<V>>) -> Option<Option<V>> {
        let (holds, new) = match input {
            Input::Read => {
                let explained = matches!(output, Some(Output::Value(value)) if value == state);
                return explained.then(|| state.clone());
            }
            Input::Write(value) => (true, value.clone()),
            Input::Swap { expected, new } => (state == expected, new.clone()),
            Input::Replace(value) => (state.is_some(), Some(value.clone())),
        };
        match output {
            Some(Output::Done) | None => holds.then_some(new),
            Some(Output::Refused) => (!holds).then(|| state.clone()),
            Some(Output::Value(_)) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Entry = Operation<Input<u8>, Output<u8>>;

    fn done(called: u64, returned: u64, input: Input<u8>, output: Output<u8>) -> Entry {
        Operation { called, returned: Some((returned, output)), input }
    }

    fn open(called: u64, input: Input<u8>) -> Entry {
        Operation { called, returned: None, input }
    }

    fn put(called: u64, returned: u64, value: u8) -> Entry {
        done(called, returned, Input::Write(Some(value)), Output::Done)
    }

    fn get(called: u64, returned: u64, value: Option<u8>) -> Entry {
        done(called, returned, Input::Read, Output::Value(value))
    }

    fn holds(history: &[Entry]) -> bool {
        is_linearizable(&Register::default(), history)
    }

    #[test]
    fn reads_see_finished_writes() {
        assert!(holds(&[put(0, 1, 1), get(2, 3, Some(1))]));
        assert!(!holds(&[put(0, 1, 1), get(2, 3, None)]));
    }

    #[test]
    fn concurrent_operations_may_come_in_any_order() {
        assert!(holds(&[put(0, 9, 1), get(1, 2, None), get(3, 4, Some(1))]));
        assert!(!holds(&[put(0, 9, 1), get(1, 2, Some(1)), get(3, 4, None)]));
    }

    #[test]
    fn an_open_write_may_appear_late_once_or_never() {
        let write = open(0, Input::Write(Some(1)));
        assert!(holds(&[write.clone(), get(1, 2, None), get(3, 4, Some(1))]));
        assert!(holds(&[write.clone(), get(1, 2, None), get(3, 4, None)]));
        assert!(!holds(&[write, get(1, 2, Some(1)), put(3, 4, 2), get(5, 6, Some(2)), get(7, 8, Some(1))]));
    }

    #[test]
    fn only_one_creator_wins() {
        let create = |value, output| done(0, 9, Input::Swap { expected: None, new: Some(value) }, output);
        assert!(holds(&[create(1, Output::Done), create(2, Output::Refused)]));
        assert!(!holds(&[create(1, Output::Done), create(2, Output::Done)]));
        assert!(!holds(&[create(1, Output::Refused), create(2, Output::Refused)]));
    }

    #[test]
    fn a_violation_names_what_it_could_explain() {
        let history = [put(0, 1, 1), get(2, 3, Some(1)), get(4, 5, Some(2))];
        assert_eq!(check(&Register::default(), &history, 1_000), Verdict::Violation { explained: vec![0, 1] });
    }

    #[test]
    fn a_search_without_room_is_undecided() {
        let history: Vec<Entry> = (0..20).map(|value| put(0, 99, value)).collect();
        assert_eq!(check(&Register::default(), &[history, vec![get(100, 101, None)]].concat(), 50), Verdict::Undecided);
    }

    /// Every order tried, for histories of a few operations.
    fn by_brute_force(history: &[Entry]) -> bool {
        fn place(state: Option<u8>, left: &[usize], history: &[Entry]) -> bool {
            if left.iter().all(|index| history[*index].returned.is_none()) {
                return true;
            }
            left.iter().any(|index| {
                let operation = &history[*index];
                let first = left
                    .iter()
                    .all(|other| history[*other].returned.as_ref().is_none_or(|(at, _)| *at >= operation.called));
                let output = operation.returned.as_ref().map(|(_, output)| output);
                let Some(after) = Register::default().step(&state, &operation.input, output) else { return false };
                let rest: Vec<usize> = left.iter().copied().filter(|other| other != index).collect();
                first && place(after, &rest, history)
            })
        }
        place(None, &(0..history.len()).collect::<Vec<_>>(), history)
    }

    fn operation() -> impl Strategy<Value = Entry> {
        let value = proptest::option::of(0_u8..3);
        let input = prop_oneof![
            Just(Input::Read),
            value.clone().prop_map(Input::Write),
            (value.clone(), value.clone()).prop_map(|(expected, new)| Input::Swap { expected, new }),
        ];
        (0_u64..12, 1_u64..6, input, value, any::<bool>(), 0_u8..5).prop_map(
            |(called, lasts, input, seen, refused, open)| {
                let output = match (&input, refused) {
                    (Input::Read, _) => Output::Value(seen),
                    (Input::Swap { .. }, true) => Output::Refused,
                    _ => Output::Done,
                };
                let returned = (open > 0).then_some((called + lasts, output));
                Operation { called, returned, input }
            },
        )
    }

    proptest! {
        #[test]
        fn agrees_with_brute_force(history in proptest::collection::vec(operation(), 0..7)) {
            prop_assert_eq!(holds(&history), by_brute_force(&history));
        }
    }
}

//! What clients were told, as a history for the checker.

use cairn_testkit::linear::{Operation, Sequential, is_linearizable};

use crate::op::{Answer, Kind, Op, Spec, Status, V};

/// A bucket with one key.
struct Bucket;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum State {
    Holds(Option<V>),
    Dropped,
}

/// What an operation asks, its expectations resolved.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Input {
    Write(Option<V>),
    Swap(Option<V>, V),
    Read,
    DropBucket,
}

impl Sequential for Bucket {
    type State = State;
    type Input = Input;
    type Output = Answer;

    fn initial(&self) -> State {
        State::Holds(None)
    }

    fn step(&self, state: &State, input: &Input, output: Option<&Answer>) -> Option<State> {
        let State::Holds(value) = *state else {
            return (output == Some(&Answer::Gone)).then_some(State::Dropped);
        };
        let (holds, after) = match *input {
            Input::Write(value) => (true, State::Holds(value)),
            Input::Swap(expected, new) => (value == expected, State::Holds(Some(new))),
            Input::Read => return (output == Some(&Answer::Value(value))).then_some(*state),
            Input::DropBucket => (value.is_none(), State::Dropped),
        };
        match output {
            Some(Answer::Done) | None => holds.then_some(after),
            Some(Answer::Refused) => (!holds).then_some(*state),
            Some(Answer::Value(_) | Answer::Gone) => None,
        }
    }
}

/// Whether what clients were told can be explained.
pub(crate) fn is_explained(program: &[Spec], ops: &[Op]) -> bool {
    is_linearizable(&Bucket, &history(program, ops))
}

fn history(program: &[Spec], ops: &[Op]) -> Vec<Operation<Input, Answer>> {
    let mut history: Vec<Operation<Input, Answer>> = Vec::new();
    let mut uploads: Vec<(u8, usize)> = Vec::new();
    for (index, (spec, op)) in program.iter().zip(ops).enumerate() {
        let Some(input) = input(spec.kind, op) else { continue };
        let entry = Operation {
            called: u64::from(op.before.count_ones()) * 2 + 1,
            returned: match op.status {
                Status::Answered(answer) => Some((returned(index, ops), answer)),
                _ => None,
            },
            input,
        };
        let Kind::Complete { upload, .. } = spec.kind else {
            history.push(entry);
            continue;
        };
        // Helpers of one upload are one operation: begun by the first, answered as soon as one of them is.
        match uploads.iter().find(|(of, _)| *of == upload) {
            None => {
                uploads.push((upload, history.len()));
                history.push(entry);
            }
            Some((_, at)) => {
                let known = &mut history[*at];
                known.called = known.called.min(entry.called);
                known.returned = match (known.returned, entry.returned) {
                    (Some(one), Some(other)) => Some(if one.0 <= other.0 { one } else { other }),
                    (one, other) => one.or(other),
                };
            }
        }
    }
    history
}

/// What it asked; none for what has no place in the history: not begun, failed for certain, or nobody's.
fn input(kind: Kind, op: &Op) -> Option<Input> {
    let composite = matches!(kind, Kind::DropBucket | Kind::Complete { .. } | Kind::CompleteAbsent { .. });
    match op.status {
        Status::NotYet => return None,
        Status::Failed(_) if !composite => return None,
        _ => {}
    }
    Some(match kind {
        Kind::Write(value) => Input::Write(Some(value)),
        Kind::Complete { new, .. } => Input::Write(Some(new)),
        Kind::Delete => Input::Write(None),
        Kind::Cas { new, .. } | Kind::CasLast { new } => Input::Swap(op.expected, new),
        Kind::CompleteAbsent { new, .. } => Input::Swap(None, new),
        Kind::Read => Input::Read,
        Kind::DropBucket => Input::DropBucket,
        Kind::Collect | Kind::Settle(_) => return None,
    })
}

/// A time before the calls of all operations that began after `index` was answered, and after all others'.
fn returned(index: usize, ops: &[Op]) -> u64 {
    let later = ops.iter().filter(|op| op.status != Status::NotYet && op.before & (1 << index) != 0);
    later.map(|op| u64::from(op.before.count_ones()) * 2).min().unwrap_or(u64::MAX)
}

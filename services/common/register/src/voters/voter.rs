//! What a voter does with a message.

use super::rules::{Rules, without};
use super::{Answer, Ballot, Message, Open, Record, VoterState};

/// What a voter writes and answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judgement<C> {
    /// The new state, to be synced before the answer leaves; none: nothing changed.
    pub write: Option<VoterState<C>>,
    pub answer: Answer<C>,
}

/// Judges one message by E1. Pure; the same message again gets the same answer and changes nothing more.
///
/// A message that is none (a ballot for another number than its base's next) is refused like an old ballot.
#[must_use]
pub fn judge<C: Clone + PartialEq>(state: &VoterState<C>, message: &Message<C>) -> Judgement<C> {
    judge_by(Rules::default(), state, message)
}

/// [`judge`] without one part of E1.
#[cfg(feature = "mutations")]
#[must_use]
pub fn judge_without<C: Clone + PartialEq>(
    mutation: Option<super::Mutation>,
    state: &VoterState<C>,
    message: &Message<C>,
) -> Judgement<C> {
    judge_by(Rules { dropped: mutation }, state, message)
}

fn judge_by<C: Clone + PartialEq>(rules: Rules, state: &VoterState<C>, message: &Message<C>) -> Judgement<C> {
    let next = match message {
        Message::Query => Some(state.clone()),
        Message::Prepare { ballot, base } => {
            let refused = *ballot < state.promised || !is_next(rules, *ballot, base);
            (!refused).then(|| promise(state, *ballot, base))
        }
        Message::Accept { ballot, base, record } => {
            let refused = *ballot < state.promised || !is_next(rules, *ballot, base) || !follows(record.number, base);
            let open = || Some(Open { ballot: *ballot, record: record.clone() });
            (!refused).then(|| VoterState { promised: *ballot, chosen: Some(base.clone()), open: open() })
        }
        Message::Learn { chosen } => Some(learn(state, chosen)),
    };
    let ack = next.is_some();
    let write = next.filter(|next| next != state);
    let now = write.as_ref().unwrap_or(state);
    let answer = Answer { ack, promised: now.promised, chosen: now.chosen.clone(), open: now.open.clone() };
    Judgement { write, answer }
}

fn is_next<C>(rules: Rules, ballot: Ballot, base: &Record<C>) -> bool {
    without!(rules, Fence) || follows(ballot.number, base)
}

fn follows<C>(number: u64, base: &Record<C>) -> bool {
    base.number.checked_add(1) == Some(number)
}

fn promise<C: Clone>(state: &VoterState<C>, ballot: Ballot, base: &Record<C>) -> VoterState<C> {
    if state.chosen_number() >= base.number {
        return VoterState { promised: ballot, ..state.clone() };
    }
    VoterState { promised: ballot, chosen: Some(base.clone()), open: open_above(state, base.number) }
}

/// Nothing for a number up to that of a chosen record is promised or accepted any more.
fn learn<C: Clone>(state: &VoterState<C>, chosen: &Record<C>) -> VoterState<C> {
    if state.chosen_number() >= chosen.number {
        return state.clone();
    }
    let above = Ballot { number: chosen.number.saturating_add(1), ..Ballot::ZERO };
    VoterState {
        promised: state.promised.max(above),
        chosen: Some(chosen.clone()),
        open: open_above(state, chosen.number),
    }
}

fn open_above<C: Clone>(state: &VoterState<C>, number: u64) -> Option<Open<C>> {
    state.open.clone().filter(|open| open.record.number > number)
}

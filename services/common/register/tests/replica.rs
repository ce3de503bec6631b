//! What `judge` does with any messages, in any order.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use cairn_register::replica::{Change, FUTURE_MS, Fence, fence, judge};
use cairn_register::{Gate, KeyState, Message, PartitionState, Proposal, Row, Verdict};
use cairn_types::{Ballot, Epoch, OpId};
use proptest::prelude::*;

const NOW: u64 = 1_000_000;

fn ballot() -> impl Strategy<Value = Ballot> {
    // Few ballots, so that they meet; one in a while from the future.
    let time = prop_oneof![9 => 0_u64..12, 1 => Just((NOW + FUTURE_MS + 1) << 16)];
    (0_u32..3, time, 0_u64..3).prop_map(|(epoch, time, proposer)| Ballot { epoch, time, proposer })
}

prop_compose! {
    fn proposal()(
        root in ballot(),
        root_is_floor: bool,
        blind: bool,
        op in 0_u8..9,
        value in proptest::option::of(any::<u8>()),
    ) -> Proposal<u8> {
        let op = OpId([op; OpId::LEN]);
        Proposal {
            root, root_is_floor, blind, op, lineage: vec![op], trimmed: Ballot::ZERO, trim_next: Ballot::ZERO, value,
        }
    }
}

fn row() -> impl Strategy<Value = Row<u8>> {
    (ballot(), proposal(), any::<bool>()).prop_map(|(accepted, proposal, committed)| Row {
        accepted,
        root: proposal.root,
        root_is_floor: proposal.root_is_floor,
        lo: Ballot::ZERO,
        blind: proposal.blind,
        op: proposal.op,
        lineage: proposal.lineage,
        trimmed: Ballot::ZERO,
        trim_next: Ballot::ZERO,
        committed,
        value: proposal.value,
    })
}

fn message() -> impl Strategy<Value = Message<u8>> {
    let accept =
        (ballot(), proposal(), any::<bool>(), any::<bool>()).prop_map(|(ballot, proposal, new_value, blind)| {
            let root = if blind { ballot } else { proposal.root };
            let proposal = Proposal { root, blind: blind && new_value, ..proposal };
            Message::Accept { ballot, proposal, new_value }
        });
    prop_oneof![
        1 => Just(Message::Query),
        3 => ballot().prop_map(|ballot| Message::Prepare { ballot }),
        6 => accept,
        2 => (ballot(), proposal()).prop_map(|(ballot, proposal)| Message::WriteBack { ballot, proposal }),
        1 => ballot().prop_map(|ballot| Message::Commit { ballot }),
        1 => row().prop_map(|row| Message::Learn { row }),
        1 => row().prop_map(|row| Message::Redeliver { row }),
        1 => ballot().prop_map(|ballot| Message::GcDrop { ballot }),
    ]
}

/// One key at one replica.
#[derive(Clone, Debug, Default)]
struct Replica {
    state: Option<KeyState<u8>>,
    partition: PartitionState,
}

impl Replica {
    fn accepted(&self) -> Ballot {
        self.state.as_ref().and_then(|state| state.row.as_ref()).map_or(Ballot::ZERO, |row| row.accepted)
    }

    /// The lowest ballot that a Prepare must be above.
    fn promised(&self) -> Ballot {
        let Some(state) = &self.state else { return self.partition.floor };
        if state.row.is_some() { state.promised } else { state.promised.max(self.partition.floor) }
    }

    fn receive(&mut self, message: &Message<u8>) -> cairn_register::replica::Judgement<u8> {
        let judgement = judge(self.state.as_ref(), &self.partition, NOW, message);
        match judgement.change.clone() {
            Some(Change::Put(state)) => self.state = Some(state),
            Some(Change::Drop { floor }) => {
                self.state = None;
                self.partition.floor = self.partition.floor.max(floor);
            }
            None => {}
        }
        judgement
    }
}

proptest! {
    #[test]
    fn promises_and_rows_only_grow(messages in proptest::collection::vec(message(), 1..40)) {
        let mut replica = Replica::default();
        for message in &messages {
            let before = replica.clone();
            let judgement = replica.receive(message);
            prop_assert!(replica.promised() >= before.promised());
            prop_assert!(replica.promised() >= replica.accepted());
            prop_assert!(replica.accepted().max(replica.partition.floor) >= before.accepted());
            prop_assert_eq!(judgement.reply.promised, replica.promised());
        }
    }

    #[test]
    fn what_a_reply_relies_on_is_synced(messages in proptest::collection::vec(message(), 1..40)) {
        let mut replica = Replica::default();
        for message in &messages {
            let before = replica.clone();
            let judgement = replica.receive(message);
            let hint_only = {
                let mut state = replica.state.clone();
                let committed = before.state.as_ref().and_then(|state| state.row.as_ref()).map(|row| row.committed);
                if let (Some(row), Some(committed)) = (state.as_mut().and_then(|state| state.row.as_mut()), committed) {
                    row.committed = committed;
                }
                state == before.state
            };
            prop_assert!(judgement.sync || hint_only);
        }
    }

    #[test]
    fn a_query_and_a_refusal_change_nothing(messages in proptest::collection::vec(message(), 1..40)) {
        let mut replica = Replica::default();
        for message in &messages {
            let judgement = replica.receive(message);
            let refused = !matches!(judgement.reply.verdict, Verdict::Ack | Verdict::Absorbed);
            prop_assert!(judgement.change.is_none() || !(refused || matches!(message, Message::Query)));
            prop_assert!(judgement.reply.verdict != Verdict::Absorbed || judgement.change.is_none());
        }
    }

    #[test]
    fn an_acknowledged_row_is_held_and_its_duplicate_acknowledged(
        messages in proptest::collection::vec(message(), 0..20),
        ballot in ballot(),
        proposal in proposal(),
    ) {
        let mut replica = Replica::default();
        for message in &messages {
            replica.receive(message);
        }
        let accept = Message::Accept { ballot, proposal: proposal.clone(), new_value: true };
        if replica.receive(&accept).reply.verdict == Verdict::Ack {
            prop_assert_eq!(replica.accepted(), ballot);
            let again = replica.receive(&accept);
            prop_assert_eq!(again.reply.verdict, Verdict::Ack);
            prop_assert!(again.change.is_none());
        }
    }

    #[test]
    fn only_tombstones_are_dropped(messages in proptest::collection::vec(message(), 1..60)) {
        let mut replica = Replica::default();
        for message in &messages {
            let before = replica.clone();
            if let Some(Change::Drop { floor }) = replica.receive(message).change {
                prop_assert!(before.state.is_none_or(|state| state.row.is_none_or(|row| row.value.is_none())));
                prop_assert!(floor >= before.partition.floor || floor > Ballot::ZERO);
                prop_assert!(replica.partition.floor >= floor);
            }
        }
    }

    #[test]
    fn old_epochs_and_futures_leave_no_row(messages in proptest::collection::vec(message(), 1..40)) {
        let mut replica = Replica::default();
        replica.partition.epoch = Epoch(2);
        for message in messages.iter().filter(|message| !matches!(message, Message::Learn { .. })) {
            replica.receive(message);
            let accepted = replica.accepted();
            prop_assert!(accepted.is_zero() || (accepted.epoch >= 2 && accepted.millis() <= NOW + FUTURE_MS));
        }
    }

    #[test]
    fn a_closed_gate_refuses_new_values_only(ballot in ballot(), proposal in proposal(), sealed: bool) {
        let mut replica = Replica::default();
        replica.partition.gate = if sealed { Gate::Sealed } else { Gate::Closing(1) };
        let open = Replica::default();
        for new_value in [true, false] {
            let accept = Message::Accept { ballot, proposal: proposal.clone(), new_value };
            let verdict = replica.clone().receive(&accept).reply.verdict;
            let otherwise = open.clone().receive(&accept).reply.verdict;
            let future = otherwise == Verdict::ClockSkew;
            prop_assert_eq!(verdict, if new_value && !future { Verdict::Sealed } else { otherwise });
        }
    }
}

fn at(time: u64) -> Ballot {
    Ballot { epoch: 1, time, proposer: 1 }
}

fn blind(time: u64) -> Message<u8> {
    let proposal = Proposal {
        root: at(time),
        root_is_floor: false,
        blind: true,
        op: OpId([1; OpId::LEN]),
        lineage: vec![OpId([1; OpId::LEN])],
        trimmed: Ballot::ZERO,
        trim_next: Ballot::ZERO,
        value: Some(1),
    };
    Message::Accept { ballot: at(time), proposal, new_value: true }
}

/// Sends messages in turn; the verdict on the last.
fn verdict(messages: &[Message<u8>]) -> Verdict {
    let mut replica = Replica::default();
    messages.iter().map(|message| replica.receive(message).reply.verdict).last().unwrap()
}

#[test]
fn a_blind_row_is_absorbed_unless_something_was_promised_between() {
    let prepare = |time| Message::Prepare { ballot: at(time) };
    assert_eq!(verdict(&[blind(9), blind(5)]), Verdict::Absorbed);
    assert_eq!(verdict(&[blind(3), blind(9), blind(5)]), Verdict::Absorbed);
    assert_eq!(verdict(&[prepare(6), blind(9), blind(5)]), Verdict::Nack);
    assert_eq!(verdict(&[prepare(4), blind(9), blind(5)]), Verdict::Absorbed);
    assert_eq!(verdict(&[blind(3), prepare(6), blind(9), blind(5)]), Verdict::Nack);
    assert_eq!(verdict(&[blind(9), prepare(20), blind(5)]), Verdict::Absorbed);
}

#[test]
fn a_missing_row_was_promised_up_to_the_floor_and_the_joining() {
    for (floor, joined) in [(at(5), Ballot::ZERO), (Ballot::ZERO, at(5))] {
        let partition = PartitionState { floor, joined, ..PartitionState::default() };
        let judge = |message: &Message<u8>| judge(None, &partition, NOW, message).reply.verdict;
        assert_eq!(judge(&Message::Prepare { ballot: at(5) }), Verdict::Nack);
        assert_eq!(judge(&blind(4)), Verdict::Nack);
        assert_eq!(judge(&blind(6)), Verdict::Ack);
    }
}

#[test]
fn a_settled_row_is_learned_above_the_collection_floor_whatever_is_promised() {
    let row = Row { accepted: at(5), value: Some(1), ..Row::missing(Ballot::ZERO) };
    let learn = Message::Learn { row };
    let learned = |partition: PartitionState| {
        let mut replica = Replica { state: None, partition };
        replica.receive(&Message::Prepare { ballot: at(20) });
        replica.receive(&learn);
        (replica.accepted(), replica.promised())
    };
    assert_eq!(learned(PartitionState::default()), (at(5), at(20)));
    assert_eq!(learned(PartitionState { joined: at(9), ..PartitionState::default() }), (at(5), at(20)));
    assert_eq!(learned(PartitionState { floor: at(9), ..PartitionState::default() }), (Ballot::ZERO, at(20)));
}

#[test]
fn a_promise_alone_is_dropped_by_raising_the_floor() {
    let mut replica = Replica::default();
    replica.receive(&Message::Prepare { ballot: at(7) });
    assert_eq!(replica.receive(&Message::GcDrop { ballot: at(6) }).reply.verdict, Verdict::Nack);
    assert_eq!(replica.receive(&Message::GcDrop { ballot: at(7) }).reply.verdict, Verdict::Ack);
    assert_eq!((replica.state.is_none(), replica.partition.floor), (true, at(7)));
}

#[test]
fn the_fence_compares_epochs() {
    assert_eq!(fence(Epoch(2), Epoch(1)), Fence::Stale);
    assert_eq!(fence(Epoch(2), Epoch(2)), Fence::Pass);
    assert_eq!(fence(Epoch(2), Epoch(3)), Fence::Adopt);
}

//! What a table keeps beside the rows of one (bucket, shard): usage and gate, changed in the batch that changes the
//! row they follow from, and read together in one get.

use bytes::Bytes;
use cairn_model::Envelope;
use cairn_model::rows::{GateRow, TypedRow as _};
use cairn_register::{Gate, KeyState, Usage};

/// Derived from the object rows and the gate row this replica has accepted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Shard {
    pub(crate) usage: Usage,
    pub(crate) gate: Gate,
}

/// A stored shard that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("usage and gate of a bucket cannot be read: {0}")]
pub(crate) struct ShardError(&'static str);

const FORMAT: u8 = 1;
const UNREADABLE: Gate = Gate::Closing(u64::MAX);
const LEN: usize = 1 + 8 + 8 + 1 + 8;

impl Shard {
    pub(crate) fn encode(&self) -> Bytes {
        let (state, number) = match self.gate {
            Gate::Open => (0, 0),
            Gate::Closing(number) => (1, number),
            Gate::Sealed => (2, 0_u64),
        };
        let mut bytes = Vec::with_capacity(LEN);
        bytes.push(FORMAT);
        bytes.extend_from_slice(&self.usage.objects.to_be_bytes());
        bytes.extend_from_slice(&self.usage.bytes.to_be_bytes());
        bytes.push(state);
        bytes.extend_from_slice(&number.to_be_bytes());
        bytes.into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ShardError> {
        let (&format, rest) = bytes.split_first().ok_or(ShardError("it is empty"))?;
        if format != FORMAT {
            return Err(ShardError("its format is unknown"));
        }
        let (objects, rest) = take_u64(rest)?;
        let (used, rest) = take_u64(rest)?;
        let (&state, rest) = rest.split_first().ok_or(ShardError("it is short"))?;
        let (number, rest) = take_u64(rest)?;
        let gate = match state {
            0 => Gate::Open,
            1 => Gate::Closing(number),
            2 => Gate::Sealed,
            _ => return Err(ShardError("its gate is unknown")),
        };
        if !rest.is_empty() {
            return Err(ShardError("it is long"));
        }
        Ok(Self { usage: Usage { objects, bytes: used }, gate })
    }

    /// An object's row went from `old` to `new`. Wraps: a count that was wrong stays wrong by the same amount, which a
    /// recount can put right whatever is written meanwhile.
    pub(crate) fn object_changed(&mut self, old: Option<&Envelope>, new: Option<&Envelope>) {
        let weight = |envelope: Option<&Envelope>| envelope.map_or((0, 0), |e| (u64::from(e.objects), e.bytes));
        let ((old_objects, old_bytes), (new_objects, new_bytes)) = (weight(old), weight(new));
        self.usage.objects = self.usage.objects.wrapping_sub(old_objects).wrapping_add(new_objects);
        self.usage.bytes = self.usage.bytes.wrapping_sub(old_bytes).wrapping_add(new_bytes);
    }

    /// Where the usage said `before`, it should have said `counted`.
    pub(crate) fn correct(&mut self, before: Usage, counted: Usage) {
        self.usage.objects = self.usage.objects.wrapping_sub(before.objects).wrapping_add(counted.objects);
        self.usage.bytes = self.usage.bytes.wrapping_sub(before.bytes).wrapping_add(counted.bytes);
    }

    /// The usage as callers see it: a wrong count never shows as less than nothing.
    pub(crate) fn reported(&self) -> Usage {
        let shown = |count: u64| if i64::try_from(count).is_ok() { count } else { 0 };
        Usage { objects: shown(self.usage.objects), bytes: shown(self.usage.bytes) }
    }

    /// The gate row of the shard is `state` now. A row that cannot be read counts as closing: nobody may write into a
    /// bucket whose gate is not understood (SECURITY V20), and nobody may take it for sealed, which is final.
    pub(crate) fn gate_changed(&mut self, state: Option<&KeyState<Envelope>>) {
        let value = state.and_then(|state| state.row.as_ref()).and_then(|row| row.value.as_ref());
        self.gate = match value {
            None => Gate::Open,
            Some(envelope) => GateRow::decode(&envelope.value).map_or(UNREADABLE, GateRow::gate),
        };
    }
}

fn take_u64(bytes: &[u8]) -> Result<(u64, &[u8]), ShardError> {
    let (number, rest) = bytes.split_first_chunk().ok_or(ShardError("it is short"))?;
    Ok((u64::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use cairn_register::Row;
    use cairn_types::Ballot;
    use proptest::prelude::*;

    use super::*;

    fn gate() -> impl Strategy<Value = Gate> {
        prop_oneof![Just(Gate::Open), any::<u64>().prop_map(Gate::Closing), Just(Gate::Sealed)]
    }

    proptest! {
        #[test]
        fn shards_round_trip(objects: u64, bytes: u64, gate in gate()) {
            let shard = Shard { usage: Usage { objects, bytes }, gate };
            prop_assert_eq!(Shard::decode(&shard.encode()), Ok(shard));
        }

        #[test]
        fn garbage_is_refused(bytes: Vec<u8>) {
            if let Ok(shard) = Shard::decode(&bytes) {
                prop_assert_eq!(shard.encode().len(), bytes.len());
            }
        }
    }

    #[test]
    fn usage_follows_the_rows() {
        let envelope = |objects, bytes| Envelope { objects, bytes, ..Envelope::default() };
        let mut shard = Shard::default();
        shard.object_changed(None, Some(&envelope(1, 10)));
        shard.object_changed(Some(&envelope(1, 10)), Some(&envelope(1, 4)));
        shard.object_changed(None, Some(&envelope(1, 1)));
        assert_eq!(shard.usage, Usage { objects: 2, bytes: 5 });
        shard.object_changed(Some(&envelope(9, 9)), None);
        assert_eq!(shard.reported(), Usage::default(), "never less than nothing");
    }

    #[test]
    fn a_wrong_count_is_put_right_whatever_changes_meanwhile() {
        let envelope = Envelope { objects: 1, bytes: 10, ..Envelope::default() };
        for wrong in [0, 3, 50] {
            let mut shard = Shard { usage: Usage { objects: wrong, bytes: wrong * 7 }, gate: Gate::Open };
            let before = shard.usage;
            // Ten objects are there; four go and one comes while they are counted.
            (0..4).for_each(|_| shard.object_changed(Some(&envelope), None));
            shard.object_changed(None, Some(&envelope));
            shard.correct(before, Usage { objects: 10, bytes: 100 });
            assert_eq!(shard.reported(), Usage { objects: 7, bytes: 70 });
        }
    }

    #[test]
    fn a_gate_that_cannot_be_read_is_closed() {
        let state = |value: Option<Bytes>| KeyState {
            promised: Ballot::ZERO,
            row: Some(Row {
                value: value.map(|value| Envelope { value, ..Envelope::default() }),
                ..Row::missing(Ballot::ZERO)
            }),
        };
        let mut shard = Shard::default();
        for (value, gate) in [
            (Some(GateRow::Closing(7).encode()), Gate::Closing(7)),
            (Some(GateRow::Open(8).encode()), Gate::Open),
            (Some(GateRow::Sealed.encode()), Gate::Sealed),
            (None, Gate::Open),
            (Some(Bytes::from_static(b"\xffgarbage")), UNREADABLE),
        ] {
            shard.gate_changed(Some(&state(value)));
            assert_eq!(shard.gate, gate);
        }
        shard.gate_changed(None);
        assert_eq!(shard.gate, Gate::Open);
    }
}

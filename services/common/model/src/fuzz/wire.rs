//! Register messages, replies, stored keys and views.

use bolero::{check, produce};
use bytes::{BufMut as _, Bytes};
use cairn_placement::Step;
use cairn_proto::table::v1;
use cairn_register::Row;
use cairn_testkit::fuzz::damaged;
use cairn_testkit::fuzz::protobuf::message;
use prost::Message as _;

use crate::Envelope;
use crate::view::{decode_view_bytes, encode_view_bytes, tests::view};
use crate::wire::{
    MAX_CALLS, MAX_ENVELOPE, MAX_OWNER, MAX_REFS, StoredKey, decode_bytes, decode_key_state, decode_register_request,
    decode_register_response, decode_stored_row, encode_key_state, encode_register_request, encode_register_response,
};

fn check_row(row: &Row<Envelope>) {
    assert!(!row.accepted.is_zero() && row.lineage.len() <= Row::<Envelope>::LINEAGE);
    if let Some(envelope) = &row.value {
        assert!(envelope.owner.len() <= MAX_OWNER && envelope.refs.len() <= MAX_REFS);
        assert!(envelope.value.len() + envelope.data.len() <= MAX_ENVELOPE);
    }
}

#[test]
fn calls_that_are_understood_survive() {
    let damage = produce::<Vec<(u16, u8)>>().with().len(0_usize..3);
    let mut read = 0;
    check!().with_generator((message("cairn.table.v1.RegisterRequest"), damage)).for_each(|(bytes, damage)| {
        let bytes = Bytes::from(damaged(bytes, damage));
        let Ok(batch) = decode_bytes("request", bytes).and_then(decode_register_request) else { return };
        assert!((1..=MAX_CALLS).contains(&batch.len()));
        let written = Bytes::from(encode_register_request(&batch).encode_to_vec());
        assert_eq!(decode_bytes("request", written).and_then(decode_register_request), Ok(batch));
        read += 1;
    });
    assert!(read > 0, "no request was ever understood");
}

#[test]
fn replies_that_are_understood_survive() {
    let damage = produce::<Vec<(u16, u8)>>().with().len(0_usize..3);
    let mut read = 0;
    check!().with_generator((message("cairn.table.v1.RegisterResponse"), damage)).for_each(|(bytes, damage)| {
        let bytes = Bytes::from(damaged(bytes, damage));
        let Ok(response) = decode_bytes::<v1::RegisterResponse>("response", bytes) else { return };
        let count = response.replies.len();
        assert!(decode_register_response(response.clone(), count + 1).is_err(), "an answer is missing");
        let Ok((store, epoch, replies)) = decode_register_response(response, count) else { return };
        replies.iter().filter_map(|reply| reply.row.as_ref()).for_each(check_row);
        let written = encode_register_response(store, epoch, &replies);
        assert_eq!(decode_register_response(written, count), Ok((store, epoch, replies)));
        read += usize::from(count > 0);
    });
    assert!(read > 0, "no answer was ever understood");
}

/// A stored key as the disk has it, its parts made of anything, and the reader of listings agrees with the other one.
#[test]
fn stored_keys_that_are_understood_survive() {
    let promise = (produce::<u32>(), 0_u64..4, 0_u64..4);
    let head = (0_u8..3, 0_u8..8, promise, produce::<Option<u16>>());
    let damage = produce::<Vec<(u16, u8)>>().with().len(0_usize..2);
    let data = produce::<Vec<u8>>().with().len(0_usize..20);
    let mut read = 0;
    check!().with_generator((head, message("cairn.table.v1.Row"), data, damage)).for_each(
        |((format, flags, promise, length), row, data, damage)| {
            let mut stored = vec![*format, *flags];
            if flags & 1 != 0 {
                stored.put_u32(promise.0);
                stored.put_u64(promise.1);
                stored.put_u64(promise.2);
            }
            if flags & 2 != 0 {
                stored.put_u32(length.map_or_else(|| u32::try_from(row.len()).unwrap(), u32::from));
                stored.put_slice(row);
                stored.put_slice(data);
            }
            let stored = Bytes::from(damaged(&stored, damage));
            let parts = StoredKey::parse(&stored);
            let Ok(state) = decode_key_state(stored.clone()) else { return };
            let parts = parts.unwrap();
            assert!(state.row.as_ref().is_none_or(|row| row.accepted <= state.promised));
            assert_eq!(parts.row.is_some(), state.row.is_some());
            if let (Some(part), Some(row)) = (parts.row, &state.row) {
                check_row(row);
                let (encoded, data) = (stored.slice_ref(part.encoded), stored.slice_ref(parts.data));
                assert_eq!(decode_stored_row(part.live, encoded, data).as_ref(), Ok(row));
            }
            let written = encode_key_state(&state);
            assert_eq!(decode_key_state(written.clone().into()).as_ref(), Ok(&state));
            let accepted = StoredKey::parse(&written).unwrap().row.map(|row| row.accepted().unwrap());
            assert_eq!(accepted, state.row.map(|row| row.accepted));
            read += u32::from(accepted.is_some());
        },
    );
    assert!(read > 0, "no row was ever understood");
}

#[test]
fn views_that_are_understood_survive() {
    const STEPS: [Step; 4] = [Step::Empty, Step::Stable, Step::ReadOld, Step::ReadNew];
    let damage = produce::<Vec<(u16, u8)>>().with().len(0_usize..4);
    let shape = (0_u8..4, 0_u8..3, 0..STEPS.len(), damage, message("cairn.membership.v1.ClusterView"));
    check!().with_generator(shape).for_each(|(members, bits, step, damage, invented)| {
        let whole = encode_view_bytes(&view(members + 1, *bits, STEPS[*step]));
        for bytes in [damaged(&whole, damage), invented.to_vec()] {
            let Ok(view) = decode_view_bytes(bytes.into()) else { continue };
            let written = encode_view_bytes(&view);
            for layout in &view.record.layouts {
                for ring in [&layout.table, &layout.block] {
                    let members = ring.members().len();
                    assert!(ring.assignment().iter().all(|index| usize::from(*index) < members));
                }
            }
            assert_eq!(decode_view_bytes(written).as_ref(), Ok(&view));
        }
    });
}

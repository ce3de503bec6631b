use bytes::Bytes;
use cairn_register::{Gate, KeyState, Message, Proposal, Reply, Row, Usage, Verdict};
use cairn_types::{Ballot, Epoch, ManifestId, OpId, RowKey, StoreId, Table};
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::Envelope;

fn ballots() -> impl Strategy<Value = Ballot> {
    prop_oneof![
        Just(Ballot::ZERO),
        (0..9_u32, any::<u64>(), 1..u64::MAX).prop_map(|(epoch, time, proposer)| Ballot { epoch, time, proposer }),
    ]
}

fn real_ballots() -> impl Strategy<Value = Ballot> {
    ballots().prop_map(|ballot| if ballot.is_zero() { Ballot { proposer: 1, ..ballot } } else { ballot })
}

fn blobs(limit: usize) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..limit).prop_map(Bytes::from)
}

fn envelopes() -> impl Strategy<Value = Envelope> {
    let refs = prop::collection::vec(any::<[u8; 16]>().prop_map(ManifestId), 0..3);
    (blobs(64), refs, any::<u32>(), any::<u64>(), blobs(200), blobs(200))
        .prop_map(|(owner, refs, objects, bytes, value, data)| Envelope { owner, refs, objects, bytes, value, data })
}

fn ops() -> impl Strategy<Value = OpId> {
    any::<[u8; 16]>().prop_map(OpId)
}

/// An operation and a lineage that ends with it.
fn lineages() -> impl Strategy<Value = (OpId, Vec<OpId>)> {
    prop_oneof![
        Just((OpId::default(), Vec::new())),
        prop::collection::vec(ops(), 1..=Row::<Envelope>::LINEAGE)
            .prop_map(|lineage| (lineage.last().copied().unwrap(), lineage)),
    ]
}

fn rows() -> impl Strategy<Value = Row<Envelope>> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let chain = (real_ballots(), prop::option::of(ballots()), ballots(), (ballots(), ballots()));
    (chain, lineages(), flags, prop::option::of(envelopes())).prop_map(
        |((accepted, root, lo, (trimmed, trim_next)), (op, lineage), (root_is_floor, blind, committed), value)| Row {
            accepted,
            root: root.unwrap_or(accepted),
            root_is_floor,
            lo,
            blind,
            op,
            lineage,
            trimmed,
            trim_next,
            committed,
            value,
        },
    )
}

fn proposals() -> impl Strategy<Value = Proposal<Envelope>> {
    rows().prop_map(|row| Proposal {
        root: row.root,
        root_is_floor: row.root_is_floor,
        blind: row.blind,
        op: row.op,
        lineage: row.lineage,
        trimmed: row.trimmed,
        trim_next: row.trim_next,
        value: row.value,
    })
}

fn messages() -> impl Strategy<Value = Message<Envelope>> {
    prop_oneof![
        Just(Message::Query),
        real_ballots().prop_map(|ballot| Message::Prepare { ballot }),
        (real_ballots(), proposals(), any::<bool>()).prop_map(|(ballot, proposal, new_value)| Message::Accept {
            ballot,
            proposal,
            new_value
        }),
        (real_ballots(), proposals()).prop_map(|(ballot, proposal)| Message::WriteBack { ballot, proposal }),
        real_ballots().prop_map(|ballot| Message::Commit { ballot }),
        rows().prop_map(|row| Message::Learn { row }),
        rows().prop_map(|row| Message::Redeliver { row }),
        real_ballots().prop_map(|ballot| Message::GcDrop { ballot }),
    ]
}

fn keys() -> impl Strategy<Value = RowKey> {
    let table = (1..=9_u32).prop_map(|number| Table::try_from(number).unwrap());
    (table, prop::collection::vec(any::<u8>(), 1..255), blobs(300))
        .prop_map(|(table, partition_key, sort_key)| RowKey { table, partition_key: partition_key.into(), sort_key })
}

fn replies() -> impl Strategy<Value = Reply<Envelope>> {
    let verdict = prop::sample::select(vec![
        Verdict::Ack,
        Verdict::Absorbed,
        Verdict::Nack,
        Verdict::ClockSkew,
        Verdict::Sealed,
        Verdict::NotHere,
    ]);
    let gate = prop_oneof![Just(Gate::Open), any::<u64>().prop_map(Gate::Closing), Just(Gate::Sealed)];
    (verdict, gate, ballots(), ballots(), ballots(), prop::option::of(rows()), any::<(u64, u64)>()).prop_map(
        |(verdict, gate, promised, floor, joined, row, (objects, bytes))| Reply {
            verdict,
            promised,
            floor,
            joined,
            gate,
            row,
            usage: Usage { objects, bytes },
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn calls_round_trip(batch in prop::collection::vec((keys(), messages()), 1..4)) {
        let bytes = Bytes::from(encode_register_request(&batch).encode_to_vec());
        let request = decode_bytes("request", bytes).unwrap();
        prop_assert_eq!(decode_register_request(request), Ok(batch));
    }

    #[test]
    fn replies_round_trip(replies in prop::collection::vec(replies(), 0..4)) {
        let (store, epoch) = (StoreId([3; 16]), Epoch(7));
        let bytes = Bytes::from(encode_register_response(store, epoch, &replies).encode_to_vec());
        let response = decode_bytes("response", bytes).unwrap();
        let expected = replies.len();
        prop_assert_eq!(decode_register_response(response, expected), Ok((store, epoch, replies)));
    }

    #[test]
    fn stored_keys_round_trip(row in prop::option::of(rows()), promised in ballots()) {
        let promised = row.as_ref().map_or(promised, |row| promised.max(row.accepted));
        let state = KeyState { promised, row };
        let stored = encode_key_state(&state);
        let whole = decode_key_state(stored.clone().into());
        prop_assert_eq!(whole.as_ref(), Ok(&state));
        let parts = StoredKey::parse(&stored).unwrap();
        let (row, parsed) = (state.row.as_ref(), parts.row);
        prop_assert_eq!(parsed.map(|row| row.live), row.map(|row| row.value.is_some()));
        if let (Some(row), Some(parsed)) = (row, parsed) {
            prop_assert_eq!(parsed.accepted(), Ok(row.accepted));
            let (encoded, data) = (Bytes::copy_from_slice(parsed.encoded), Bytes::copy_from_slice(parts.data));
            let listed = decode_stored_row(parsed.live, encoded.clone(), data.clone());
            prop_assert_eq!(listed.as_ref(), Ok(row));
            prop_assert!(decode_stored_row(!parsed.live, encoded, data).is_err());
        }
    }

    #[test]
    fn garbage_is_refused_not_fatal(bytes in blobs(400), state in rows(), at in 0..400_usize, byte in any::<u8>()) {
        let mut damaged = encode_key_state(&KeyState { promised: state.accepted, row: Some(state) });
        let at = at % damaged.len();
        damaged[at] = byte;
        for bytes in [bytes, Bytes::from(damaged)] {
            drop(decode_key_state(bytes.clone()));
            drop(StoredKey::parse(&bytes).map(|stored| stored.row.map(|row| row.accepted())));
            drop(decode_bytes("request", bytes.clone()).and_then(decode_register_request));
            drop(decode_bytes("response", bytes).and_then(|response| decode_register_response(response, 1)));
        }
    }
}

#[test]
fn settled_blind_rows_are_small() {
    let ballot = Ballot { epoch: 3, time: 1 << 58, proposer: u64::MAX };
    let op = OpId([1; 16]);
    let row = Row {
        accepted: ballot,
        root: ballot,
        root_is_floor: false,
        lo: Ballot::ZERO,
        blind: true,
        op,
        lineage: vec![op],
        trimmed: Ballot::ZERO,
        trim_next: Ballot::ZERO,
        committed: true,
        value: Some(Envelope { value: Bytes::from_static(b"0123456789"), ..Envelope::default() }),
    };
    let stored = encode_key_state(&KeyState { promised: ballot, row: Some(row) });
    assert!(stored.len() <= 70, "{} bytes", stored.len());
}

#[test]
fn bounds_are_enforced() {
    let key = RowKey { table: Table::Object, partition_key: Bytes::from_static(b"p"), sort_key: Bytes::new() };
    let batch = vec![(key, Message::Query); MAX_CALLS + 1];
    let refused = decode_register_request(encode_register_request(&batch));
    assert_eq!(refused, Err(WireError::TooLong { what: "batch", actual: MAX_CALLS + 1, limit: MAX_CALLS }));
    let long = cairn_proto::table::v1::RowKey { table: 5, partition_key: vec![0; 256].into(), ..Default::default() };
    assert!(matches!(decode_key(long), Err(WireError::TooLong { .. })));
    let fat = Envelope { data: vec![0; MAX_ENVELOPE + 1].into(), ..Envelope::default() };
    assert!(matches!(decode_envelope(encode_envelope(&fat)), Err(WireError::TooLong { .. })));
    let nothing = cairn_proto::table::v1::Prepare { ballot: None };
    let nothing = cairn_proto::table::v1::register_call::Message::Prepare(nothing);
    assert_eq!(decode_message(nothing), Err(WireError::Missing("ballot")));
}

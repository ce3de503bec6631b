use bytes::Bytes;
use cairn_model::Envelope;
use cairn_model::wire::{WireError, decode_bytes};
use cairn_register::{Gate, Row};
use cairn_types::{Ballot, BlockHash, BucketId, Epoch, ManifestId, OpId, StoreId, Table, UploadId};
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::{BlockStat, Range, RangePrefix, RangeReply, RangeRow, Reference};

fn blobs(limit: usize) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..limit).prop_map(Bytes::from)
}

fn rows() -> impl Strategy<Value = Row<Envelope>> {
    (any::<u64>(), any::<[u8; 16]>(), any::<bool>(), prop::option::of(blobs(20))).prop_map(
        |(time, op, committed, value)| {
            let accepted = Ballot { epoch: 1, time, proposer: 1 };
            let op = OpId(op);
            Row {
                accepted,
                root: accepted,
                root_is_floor: false,
                lo: Ballot::ZERO,
                blind: true,
                op,
                lineage: if op.is_zero() { Vec::new() } else { vec![op] },
                trimmed: Ballot::ZERO,
                trim_next: Ballot::ZERO,
                committed,
                value: value.map(|value| Envelope { value, ..Envelope::default() }),
            }
        },
    )
}

fn references() -> impl Strategy<Value = Reference> {
    (any::<[u8; 16]>(), any::<[u8; 16]>(), blobs(100), prop::option::of(any::<[u8; 16]>()), any::<u64>(), any::<u32>())
        .prop_map(|(manifest, bucket, key, upload, written_at_ms, epoch)| Reference {
            manifest: ManifestId(manifest),
            bucket: BucketId(bucket),
            key,
            upload: upload.map(UploadId),
            written_at_ms,
            epoch: Epoch(epoch),
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn ranges_round_trip(
        partition_key in prop::collection::vec(any::<u8>(), 1..40),
        (prefix, start, delimiter) in (blobs(30), blobs(30), blobs(3)),
        limit in 1..=MAX_RANGE,
        with_data: bool,
    ) {
        let partition_key = partition_key.into();
        let range = Range { table: Table::Object, partition_key, prefix, start, limit, delimiter, with_data };
        let bytes = Bytes::from(encode_range(&range).encode_to_vec());
        prop_assert_eq!(decode_bytes("range", bytes).and_then(decode_range), Ok(range));
    }

    #[test]
    fn range_replies_round_trip(
        rows in prop::collection::btree_map(blobs(20), rows(), 0..6),
        prefixes in prop::collection::btree_map(blobs(20), rows(), 0..6),
        scanned_to in prop::option::of(blobs(20)),
        closing in prop::option::of(any::<u64>()),
    ) {
        let prefix = |(prefix, witness): (Bytes, Row<Envelope>)| {
            let witness_key = [prefix.as_ref(), b"x"].concat().into();
            RangePrefix { prefix, witness_key, witness }
        };
        let reply = RangeReply {
            store: StoreId([1; 16]),
            epoch: Epoch(2),
            rows: rows.into_iter().map(|(sort_key, row)| RangeRow { sort_key, row }).collect(),
            prefixes: prefixes.into_iter().map(prefix).collect(),
            scanned_to,
            floor: Ballot { epoch: 1, time: 2, proposer: 3 },
            joined: Ballot::joined(Epoch(2)),
            gate: closing.map_or(Gate::Sealed, Gate::Closing),
        };
        let bytes = Bytes::from(encode_range_reply(&reply).encode_to_vec());
        let read = decode_bytes("reply", bytes).and_then(decode_range_reply).unwrap();
        prop_assert_eq!(format!("{read:?}"), format!("{reply:?}"));
    }

    #[test]
    fn references_round_trip(list in prop::collection::vec((any::<[u8; 32]>(), references()), 0..5)) {
        let list: Vec<(BlockHash, Reference)> =
            list.into_iter().map(|(hash, reference)| (BlockHash(hash), reference)).collect();
        prop_assert_eq!(decode_add_request(encode_add_request(&list)), Ok(list.clone()));
        let dropped: Vec<_> = list.iter().map(|(hash, reference)| (*hash, reference.manifest)).collect();
        prop_assert_eq!(decode_drop_request(encode_drop_request(&dropped)), Ok(dropped));
        let stat = |(hash, reference): &(BlockHash, Reference)| BlockStat {
            hash: *hash,
            size: Some(7),
            references: vec![reference.clone()],
        };
        let stats: Vec<_> = list.iter().map(stat).collect();
        prop_assert_eq!(decode_stats(encode_stats(&stats)), Ok(stats));
    }

    #[test]
    fn put_heads_round_trip(size in 1..=MAX_BLOCK, hash: [u8; 32], reference in references()) {
        let crc32c = vec![9; size.div_ceil(PIECE_BYTES)];
        let head = PutHead { hash: BlockHash(hash), size, crc32c, reference };
        prop_assert_eq!(decode_put_head(encode_put_head(&head)), Ok(head));
    }

    #[test]
    fn garbage_is_refused_not_fatal(bytes in blobs(200)) {
        drop(decode_bytes("range", bytes.clone()).and_then(decode_range));
        drop(decode_bytes("reply", bytes.clone()).and_then(decode_range_reply));
        drop(decode_bytes("head", bytes.clone()).and_then(decode_put_head));
        drop(decode_bytes("add", bytes.clone()).and_then(decode_add_request));
        drop(decode_bytes("drop", bytes).and_then(decode_drop_request));
    }
}

#[test]
fn bounds_are_enforced() {
    let range = Range {
        table: Table::Object,
        partition_key: Bytes::from_static(b"p"),
        prefix: Bytes::new(),
        start: Bytes::new(),
        limit: MAX_RANGE + 1,
        delimiter: Bytes::new(),
        with_data: false,
    };
    let refused = decode_range(encode_range(&range));
    assert_eq!(refused, Err(WireError::TooLong { what: "range", actual: MAX_RANGE + 1, limit: MAX_RANGE }));
    let none = decode_range(encode_range(&Range { limit: 0, ..range }));
    assert_eq!(none, Err(WireError::Missing("limit")));
    let hashes = vec![BlockHash([0; 32]); MAX_REFERENCES + 1];
    assert!(decode_stat_request(&encode_stat_request(&hashes, false)).is_err());
}

//! Typed rows, and the keys they stand under.

use std::fmt::Debug;

use bolero::{check, produce};
use bytes::Bytes;
use cairn_testkit::fuzz::protobuf::message;
use cairn_testkit::fuzz::{Raw, bytes, damaged};
use cairn_types::{BucketId, RowKey, Table, UploadId};

use crate::keys;
use crate::rows::{
    AccessKeyRow, BucketNameRow, BucketRow, GateRow, ManifestPage, ObjectData, ObjectHead, PartRow, TypedRow,
    UploadRow, WorkerRow,
};

/// What decodes, in whatever format and however damaged, is written again as the same row, in a format that is known
/// (M2), and its encoding is its own. False: it does not decode.
fn survives<R: TypedRow + PartialEq + Debug>(format: u8, message: &Raw, damage: &[(u16, u8)]) -> bool {
    let bytes: Bytes = damaged(&[&[format], message.as_slice()].concat(), damage).into();
    let Ok(row) = R::decode(&bytes) else { return false };
    let written = row.encode();
    assert!((1..=R::FORMAT).contains(&written[0]) && written[0] == row.format());
    assert_eq!(R::decode(&written).as_ref(), Ok(&row));
    assert_eq!(R::decode(&written).unwrap().encode(), written);
    true
}

macro_rules! rows {
    ($($test:ident $row:ident;)*) => {
        $(
            #[test]
            fn $test() {
                let message = message(concat!("cairn.model.v1.", stringify!($row)));
                let damage = produce::<Vec<(u16, u8)>>().with().len(0_usize..3);
                let mut read = 0;
                check!().with_generator((message, 0..=$row::FORMAT + 1, damage)).for_each(|(message, format, damage)| {
                    read += u32::from(survives::<$row>(*format, message, damage));
                });
                assert!(read > 0, "no such row was ever read");
            }
        )*
    };
}

rows! {
    access_key_rows_survive AccessKeyRow;
    bucket_name_rows_survive BucketNameRow;
    bucket_rows_survive BucketRow;
    gate_rows_survive GateRow;
    manifest_pages_survive ManifestPage;
    object_data_survives ObjectData;
    object_heads_survive ObjectHead;
    part_rows_survive PartRow;
    upload_rows_survive UploadRow;
    worker_rows_survive WorkerRow;
}

#[test]
fn sort_keys_are_read_as_they_were_made() {
    let shape = (bytes(&["\0", "\0\0", "a", "key", "0123456789abcdef", "lifecycle"], 12), produce::<[u8; 16]>());
    check!().with_generator(shape).for_each(|(key, id): &(Raw, [u8; 16])| {
        if let Some((object, upload)) = keys::parse_upload(key) {
            assert_eq!(keys::upload(BucketId::default(), &object, upload).sort_key, **key);
        }
        if let Some((name, bucket, shard)) = keys::parse_worker(key) {
            assert_eq!(keys::worker(name, bucket, shard).sort_key, **key);
        }
        let made = keys::upload(BucketId(*id), key, UploadId(*id));
        assert_eq!(keys::parse_upload(&made.sort_key), Some((key.to_vec(), UploadId(*id))));
        assert_eq!(made.table, Table::Upload);
        assert!(key.len() > 1024 || made.sort_key.len() <= RowKey::MAX_SORT_KEY);
    });
}

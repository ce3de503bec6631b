//! Fuzz targets: ranges and blocks on the wire. How to run and replay them: `gateway/s3/src/fuzz.rs`.

use bolero::{check, produce};
use bytes::Bytes;
use cairn_model::wire::{WireError, decode_bytes};
use cairn_proto::{block, table};
use cairn_testkit::fuzz::damaged;
use cairn_testkit::fuzz::protobuf::message;
use prost::Message;

use super::*;

/// What is understood of a damaged message.
fn read<M: Message + Default, T>(
    bytes: &[u8],
    damage: &[(u16, u8)],
    decode: impl Fn(M) -> Result<T, WireError>,
) -> Option<T> {
    decode_bytes("message", Bytes::from(damaged(bytes, damage))).and_then(decode).ok()
}

#[test]
fn ranges_that_are_understood_survive() {
    let damage = produce::<Vec<(u16, u8)>>().with().len(0_usize..3);
    let mut understood = 0;
    let shape = (message("cairn.table.v1.RangeRequest"), message("cairn.table.v1.RangeResponse"), damage);
    check!().with_generator(shape).for_each(|(request, response, damage)| {
        if let Some(range) = read(request, damage, decode_range) {
            assert!((1..=MAX_RANGE).contains(&range.limit) && range.delimiter.len() <= MAX_DELIMITER);
            assert_eq!(decode_range(encode_range(&range)), Ok(range));
        }
        if let Some(reply) = read(response, damage, decode_range_reply) {
            assert!(reply.rows.len() + reply.prefixes.len() <= MAX_RANGE);
            assert!(reply.rows.windows(2).all(|pair| pair[0].sort_key < pair[1].sort_key));
            let written: table::v1::RangeResponse = encode_range_reply(&reply);
            assert_eq!(format!("{:?}", decode_range_reply(written).unwrap()), format!("{reply:?}"));
            understood += 1;
        }
    });
    assert!(understood > 0, "no reply was ever understood");
}

#[test]
fn calls_about_blocks_that_are_understood_survive() {
    let damage = produce::<Vec<(u16, u8)>>().with().len(0_usize..3);
    let calls = (
        message("cairn.block.v1.PutBlockHead"),
        message("cairn.block.v1.AddReferencesRequest"),
        message("cairn.block.v1.StatBlocksResponse"),
        message("cairn.block.v1.ListReferencesRequest"),
        message("cairn.block.v1.GetBlockRequest"),
    );
    let mut understood = 0;
    check!().with_generator((calls, damage)).for_each(|((put, add, stat, list, get), damage)| {
        if let Some(head) = read(put, damage, decode_put_head) {
            assert!((1..=MAX_BLOCK).contains(&head.size) && head.crc32c.len() == head.size.div_ceil(PIECE_BYTES));
            assert_eq!(decode_put_head(encode_put_head(&head)), Ok(head));
        }
        if let Some(references) = read(add, damage, decode_add_request) {
            assert!(references.iter().all(|(_, reference)| reference.key.len() <= MAX_OBJECT_KEY));
            assert_eq!(decode_add_request(encode_add_request(&references)), Ok(references));
            understood += 1;
        }
        if let Some(dropped) = read(add, damage, decode_drop_request) {
            assert_eq!(decode_drop_request(encode_drop_request(&dropped)), Ok(dropped));
        }
        let stats = |response: block::v1::StatBlocksResponse| decode_stats(response.blocks);
        if let Some(stats) = read(stat, damage, stats) {
            assert!(stats.len() <= MAX_REFERENCES);
            assert_eq!(decode_stats(encode_stats(&stats)), Ok(stats));
        }
        if let Some((_, limit)) = read(list, damage, |request| decode_list_request(&request)) {
            assert!((1..=MAX_REFERENCES).contains(&limit));
        }
        if let Some((hash, offset, length)) = read(get, damage, |request| decode_get_request(&request)) {
            assert_eq!(decode_get_request(&encode_get_request(hash, offset, length)), Ok((hash, offset, length)));
        }
    });
    assert!(understood > 0, "no reference was ever understood");
}

//! Fuzz target: keys and values of the index. How to run and replay it: `gateway/s3/src/fuzz.rs`.

use bolero::{check, produce};
use cairn_testkit::fuzz::damaged;

use super::codec::{
    decode_block, decode_doomed, decode_hole, decode_mark, decode_reference_of, encode_block, encode_mark, number,
};
use super::{Block, Location};
use crate::directory::DirectoryNumber;
use crate::pieces;
use crate::segment::MAX_BLOCK_BYTES;

#[test]
fn entries_are_read_as_they_were_written() {
    let location = produce::<(u16, u32, u64, u16)>();
    let block = (location, 1..=MAX_BLOCK_BYTES, produce::<u32>(), produce::<Option<u64>>(), produce::<bool>());
    let raw = produce::<Vec<u8>>().with().len(0_usize..130);
    let damage = produce::<Vec<(u16, u8)>>().with().len(0_usize..3);
    check!().with_generator((block, raw, damage)).for_each(
        |((location, size, crc, doomed, is_damaged), raw, damage)| {
            let (directory, segment, offset, header_length) = *location;
            let location = Location { directory: DirectoryNumber(directory), segment, offset, header_length };
            let crc32c = vec![*crc; pieces::count(*size)];
            let doomed_ms = doomed.filter(|deadline| *deadline != 0);
            let block = Block { location, size: *size, crc32c, doomed_ms, damaged: *is_damaged };
            let written = encode_block(&block);
            assert_eq!(decode_block(&written).as_ref(), Ok(&block));
            for bytes in [damaged(&written, damage), raw.clone()] {
                let Ok(read) = decode_block(&bytes) else { continue };
                assert!((1..=MAX_BLOCK_BYTES).contains(&read.size) && read.crc32c.len() == pieces::count(read.size));
                assert_eq!(decode_block(&encode_block(&read)), Ok(read));
            }
            if let Ok(mark) = decode_mark(raw) {
                assert!(raw.starts_with(&encode_mark(mark)));
            }
            let (key, value) = raw.split_at(raw.len() / 2);
            assert_eq!(decode_doomed(raw).is_ok(), raw.len() >= 40);
            assert_eq!(decode_hole(key, value).is_ok(), key.len() >= 14 && value.len() >= 8);
            assert!(decode_reference_of(key, value).is_err() || key.len() == 48);
            assert_eq!(number(raw).is_ok(), matches!(raw.len(), 4 | 8));
        },
    );
}

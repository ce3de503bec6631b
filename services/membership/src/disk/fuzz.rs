//! Fuzz target: the state file. How to run and replay it: `gateway/s3/src/fuzz.rs`.

use bolero::{check, produce};
use bytes::BufMut as _;
use cairn_testkit::fuzz::protobuf::message;
use cairn_testkit::fuzz::{bytes, damaged};

use super::format::{decode, encode};
use super::tests::saved;

/// A file that is not exactly what was written is refused (D2): no damage is believed.
#[test]
fn damaged_states_are_refused() {
    let whole = encode(&saved());
    let damage = produce::<Vec<(u16, u8)>>().with().len(0_usize..3);
    let tail = bytes(&["\0", "CAIRNMEM", "\u{1}"], 3);
    check!().with_generator((damage, produce::<Option<u16>>(), tail)).for_each(|(damage, cut, tail)| {
        let mut changed = damaged(&whole, damage);
        changed.truncate(cut.map_or(usize::MAX, usize::from));
        changed.extend_from_slice(tail);
        let same = changed == whole;
        match decode(changed.into()) {
            Ok(read) => assert!(same && read == saved()),
            Err(_) => assert!(!same),
        }
    });
}

/// Behind a right checksum may stand what another version wrote: it is read as itself, or refused.
#[test]
fn states_of_other_hands_are_read_or_refused() {
    check!()
        .with_generator((message("cairn.membership.v1.LayoutRecord"), message("cairn.membership.v1.StagedLayout")))
        .for_each(|(record, staged)| {
            let mut state = vec![1 << 3 | 2, 16];
            state.extend_from_slice(&[5; 16]);
            for (field, inner) in [(3_u8, record), (6, staged)] {
                state.put_u8(field << 3 | 2);
                prost::encode_length_delimiter(inner.len(), &mut state).unwrap();
                state.extend_from_slice(inner);
            }
            let mut file = b"CAIRNMEM".to_vec();
            file.put_u32(1);
            file.put_u32(u32::try_from(state.len()).unwrap());
            file.put_u32(crc_fast::crc32_iscsi(&state));
            file.extend_from_slice(&state);
            if let Ok(read) = decode(file.into()) {
                assert_eq!(decode(encode(&read)), Ok(read));
            }
        });
}

//! Fuzz targets: the bytes of a session's stream. How to run and replay them: `gateway/s3/src/fuzz.rs`.

use bolero::{ValueGenerator, check, produce};
use bytes::Bytes;
use cairn_proto::common::v1::Frame;
use cairn_testkit::fuzz::protobuf::message;
use cairn_testkit::fuzz::{cuts, damaged, list, pieces};
use prost::Message as _;

use super::tests::{read, written};

/// Messages with their headers, some with a flag or a length that is not theirs.
fn stream() -> impl ValueGenerator<Output = Vec<u8>> {
    let one = (message("cairn.common.v1.Frame"), 0_u8..16, 0_u32..16, produce::<u32>()).map_gen(
        |(message, flag, wrong, length)| {
            let flag = u8::from(flag == 0);
            let length = if wrong == 0 { length } else { u32::try_from(message.len()).unwrap() };
            [&[flag], length.to_be_bytes().as_slice(), &message].concat()
        },
    );
    list(one, 0..5).map_gen(|messages| messages.concat())
}

/// However a stream is cut, it holds the same frames, or the same error ends it.
#[test]
fn any_split_of_a_stream_reads_the_same() {
    let damage = produce::<Vec<(u16, u8)>>().with().len(0_usize..2);
    check!().with_generator((stream(), damage, cuts())).for_each(|(stream, damage, cuts)| {
        let stream = damaged(stream, damage);
        let whole = read([Bytes::copy_from_slice(&stream)]);
        let pieced = read(pieces(&stream, cuts).into_iter().map(Bytes::copy_from_slice));
        match (whole, pieced) {
            (Ok(whole), Ok(pieced)) => {
                assert_eq!(pieced, whole);
                assert!(whole.iter().map(Frame::encoded_len).sum::<usize>() <= stream.len());
                let again: Bytes = written(&whole).into_iter().flatten().collect();
                assert_eq!(read([again]).unwrap(), whole);
            }
            (Err(whole), Err(pieced)) => assert_eq!(pieced.code(), whole.code()),
            (whole, pieced) => panic!("{whole:?} is not {pieced:?}"),
        }
    });
}

//! Fuzz target: frames of several requests, in any order. How to run and replay it: `gateway/s3/src/fuzz.rs`.

use std::collections::BTreeMap;

use bolero::{check, produce};
use bytes::Bytes;
use cairn_proto::common::v1::Frame;

use super::assembly::Assembly;
use crate::CallError;
use crate::limits::{MAX_BODY_BYTES, MAX_SERVED_CALLS};

/// A request comes out once, with the bytes of its own frames in their order, and never more of them than a body may have;
/// of a refused one nothing comes out.
#[test]
fn requests_are_made_of_their_own_frames() {
    let sizes = [0, 1, 4096, MAX_BODY_BYTES / 2, MAX_BODY_BYTES, MAX_BODY_BYTES + 1];
    let frames = produce::<Vec<(u8, u8, u8, bool)>>().with().len(0_usize..24);
    let zeros = Bytes::from(vec![0; MAX_BODY_BYTES + 1]);
    check!().with_generator(frames).for_each(|frames| {
        let mut assembly = Assembly::new();
        // The bytes of each request so far; none where it was refused and its last frame has not come.
        let mut open: BTreeMap<u64, Option<usize>> = BTreeMap::new();
        for (id, size, many, last) in frames {
            let id = u64::from(id % 4);
            if *many == 0 {
                assembly.forget(id);
                open.remove(&id);
                continue;
            }
            let data = zeros.slice(..sizes[usize::from(*size) % sizes.len()]);
            let total = open.get(&id).copied().unwrap_or(Some(0)).map(|before| before + data.len());
            let frame = Frame { id, data, last: *last, ..Frame::default() };
            match (assembly.on_frame(frame), total) {
                (Ok(Some((first, body))), Some(total)) => {
                    assert!(*last && first.id == id && first.data.is_empty() && total <= MAX_BODY_BYTES);
                    assert_eq!(body.pieces.iter().map(Bytes::len).sum::<usize>(), total);
                    open.remove(&id);
                }
                (Ok(Some(_)), None) => panic!("a refused request came out"),
                (Ok(None), Some(total)) => {
                    assert!(!last && total <= MAX_BODY_BYTES);
                    open.insert(id, Some(total));
                }
                (Ok(None), None) if *last => drop(open.remove(&id)),
                (Ok(None), None) => {}
                (Err(CallError::Invalid(_) | CallError::Busy(_)), Some(_)) => {
                    open.remove(&id);
                    if !last {
                        open.insert(id, None);
                    }
                }
                (Err(error), _) => panic!("{error}"),
            }
            assert!(open.len() <= MAX_SERVED_CALLS);
        }
    });
}

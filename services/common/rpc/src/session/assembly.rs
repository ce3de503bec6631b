//! Requests that arrive in several frames, put together within a bound.

use std::collections::BTreeMap;

use bytes::Bytes;
use cairn_proto::common::v1::Frame;

use crate::CallError;
use crate::limits::{MAX_ASSEMBLED_BYTES, MAX_BODY_BYTES, MAX_SERVED_CALLS};

/// Requests of one session whose last frame has not come.
#[derive(Default)]
pub(super) struct Assembly {
    partial: BTreeMap<u64, Partial>,
    bytes: usize,
}

enum Partial {
    Open(Box<Open>),
    /// Answered with an error already; the rest of it is passed over.
    Refused,
}

struct Open {
    first: Frame,
    pieces: Vec<Bytes>,
    bytes: usize,
}

/// A request that is all here: its first frame, without data, and its body.
pub(super) type Whole = (Frame, Vec<Bytes>);

impl Assembly {
    /// The request that `frame` completes, if it does.
    ///
    /// # Errors
    /// The request must be answered with this; what else comes of it is passed over.
    pub(super) fn on_frame(&mut self, mut frame: Frame) -> Result<Option<Whole>, CallError> {
        let (id, last) = (frame.id, frame.last);
        let data = std::mem::take(&mut frame.data);
        match self.partial.get_mut(&id) {
            None if last => Ok(Some((frame, body_of(data)))),
            None => self.begin(frame, data).map(|()| None),
            Some(Partial::Refused) => {
                if last {
                    self.forget(id);
                }
                Ok(None)
            }
            Some(Partial::Open(open)) => {
                if let Err(error) = room(open.bytes, self.bytes, data.len()) {
                    return Err(self.refuse(id, last, error));
                }
                open.bytes += data.len();
                self.bytes += data.len();
                if !data.is_empty() {
                    open.pieces.push(data);
                }
                Ok(if last { self.finish(id) } else { None })
            }
        }
    }

    /// The caller no longer waits for `id`.
    pub(super) fn forget(&mut self, id: u64) {
        self.finish(id);
    }

    fn begin(&mut self, first: Frame, data: Bytes) -> Result<(), CallError> {
        if self.partial.len() >= MAX_SERVED_CALLS {
            // Not even remembered: a caller this far beyond its bound is broken.
            return Err(CallError::Busy("too many requests are half sent".to_owned()));
        }
        let (id, bytes) = (first.id, data.len());
        if let Err(error) = room(0, self.bytes, bytes) {
            return Err(self.refuse(id, false, error));
        }
        self.bytes += bytes;
        self.partial.insert(id, Partial::Open(Box::new(Open { first, pieces: body_of(data), bytes })));
        Ok(())
    }

    fn finish(&mut self, id: u64) -> Option<Whole> {
        match self.partial.remove(&id)? {
            Partial::Open(open) => {
                self.bytes -= open.bytes;
                Some((open.first, open.pieces))
            }
            Partial::Refused => None,
        }
    }

    fn refuse(&mut self, id: u64, last: bool, error: CallError) -> CallError {
        self.forget(id);
        if !last {
            self.partial.insert(id, Partial::Refused);
        }
        error
    }
}

fn body_of(data: Bytes) -> Vec<Bytes> {
    if data.is_empty() { vec![] } else { vec![data] }
}

fn room(body: usize, session: usize, more: usize) -> Result<(), CallError> {
    if body + more > MAX_BODY_BYTES {
        return Err(CallError::Invalid(format!("a body holds at most {MAX_BODY_BYTES} bytes")));
    }
    if session + more > MAX_ASSEMBLED_BYTES {
        return Err(CallError::Busy("too many bytes of requests are half sent".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(id: u64, data: usize, last: bool) -> Frame {
        Frame { id, data: Bytes::from(vec![0; data]), last, ..Frame::default() }
    }

    fn pieces(step: Result<Option<Whole>, CallError>) -> usize {
        step.unwrap().expect("the request is complete").1.len()
    }

    fn waits(step: Result<Option<Whole>, CallError>) -> bool {
        step.unwrap().is_none()
    }

    #[test]
    fn frames_of_several_requests_interleave() {
        let mut assembly = Assembly::default();
        assert!(waits(assembly.on_frame(frame(1, 0, false))));
        assert!(waits(assembly.on_frame(frame(2, 9, false))));
        assert!(waits(assembly.on_frame(frame(1, 5, false))));
        assert_eq!(pieces(assembly.on_frame(frame(2, 9, true))), 2);
        assert_eq!(pieces(assembly.on_frame(frame(1, 5, true))), 2);
        assert_eq!(pieces(assembly.on_frame(frame(3, 0, true))), 0);
        assert_eq!((assembly.partial.len(), assembly.bytes), (0, 0));
    }

    #[test]
    fn bodies_are_bounded() {
        let mut assembly = Assembly::default();
        assert!(waits(assembly.on_frame(frame(1, MAX_BODY_BYTES, false))));
        assert!(matches!(assembly.on_frame(frame(1, 1, false)), Err(CallError::Invalid(_))));
        assert!(waits(assembly.on_frame(frame(1, 1, true))));
        assert_eq!((assembly.partial.len(), assembly.bytes), (0, 0));
    }

    #[test]
    fn half_sent_requests_are_bounded_together() {
        let mut assembly = Assembly::default();
        let whole = MAX_ASSEMBLED_BYTES / MAX_BODY_BYTES;
        for id in 0..whole {
            assert!(waits(assembly.on_frame(frame(id as u64, MAX_BODY_BYTES, false))));
        }
        assert!(matches!(assembly.on_frame(frame(9_999, 1, false)), Err(CallError::Busy(_))));
        assembly.forget(0);
        assert!(waits(assembly.on_frame(frame(10_000, 1, false))));
    }
}

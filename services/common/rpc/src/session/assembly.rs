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
    Open {
        first: Frame,
        pieces: Vec<Bytes>,
        bytes: usize,
    },
    /// Answered with an error already; the rest of it is passed over.
    Refused,
}

/// What one frame made of its request.
#[derive(Debug)]
pub(super) enum Step {
    /// More is to come, or nothing is to be done.
    Wait,
    /// All of it is here.
    Complete {
        first: Frame,
        pieces: Vec<Bytes>,
    },
    Refuse {
        id: u64,
        error: CallError,
    },
}

impl Assembly {
    pub(super) fn on_frame(&mut self, mut frame: Frame) -> Step {
        let (id, last) = (frame.id, frame.last);
        let data = std::mem::take(&mut frame.data);
        match self.partial.get_mut(&id) {
            None if last => Step::Complete { first: frame, pieces: if data.is_empty() { vec![] } else { vec![data] } },
            None => self.begin(frame, data),
            Some(Partial::Refused) => {
                if last {
                    self.forget(id);
                }
                Step::Wait
            }
            Some(Partial::Open { pieces, bytes, .. }) => {
                if let Err(error) = room(*bytes, self.bytes, data.len()) {
                    return self.refuse(id, last, error);
                }
                *bytes += data.len();
                self.bytes += data.len();
                if !data.is_empty() {
                    pieces.push(data);
                }
                if last { self.finish(id) } else { Step::Wait }
            }
        }
    }

    /// The caller no longer waits for `id`.
    pub(super) fn forget(&mut self, id: u64) {
        if let Some(Partial::Open { bytes, .. }) = self.partial.remove(&id) {
            self.bytes -= bytes;
        }
    }

    fn begin(&mut self, first: Frame, data: Bytes) -> Step {
        let id = first.id;
        if self.partial.len() >= MAX_SERVED_CALLS {
            // Not even remembered: a caller this far beyond its bound is broken.
            return Step::Refuse { id, error: CallError::Busy("too many requests are half sent".to_owned()) };
        }
        if let Err(error) = room(0, self.bytes, data.len()) {
            return self.refuse(id, false, error);
        }
        let bytes = data.len();
        self.bytes += bytes;
        let pieces = if data.is_empty() { vec![] } else { vec![data] };
        self.partial.insert(id, Partial::Open { first, pieces, bytes });
        Step::Wait
    }

    fn finish(&mut self, id: u64) -> Step {
        match self.partial.remove(&id) {
            Some(Partial::Open { first, pieces, bytes }) => {
                self.bytes -= bytes;
                Step::Complete { first, pieces }
            }
            Some(Partial::Refused) | None => Step::Wait,
        }
    }

    fn refuse(&mut self, id: u64, last: bool, error: CallError) -> Step {
        self.forget(id);
        if !last {
            self.partial.insert(id, Partial::Refused);
        }
        Step::Refuse { id, error }
    }
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

    fn pieces(step: Step) -> usize {
        match step {
            Step::Complete { pieces, .. } => pieces.len(),
            other => panic!("not complete: {other:?}"),
        }
    }

    #[test]
    fn frames_of_several_requests_interleave() {
        let mut assembly = Assembly::default();
        assert!(matches!(assembly.on_frame(frame(1, 0, false)), Step::Wait));
        assert!(matches!(assembly.on_frame(frame(2, 9, false)), Step::Wait));
        assert!(matches!(assembly.on_frame(frame(1, 5, false)), Step::Wait));
        assert_eq!(pieces(assembly.on_frame(frame(2, 9, true))), 2);
        assert_eq!(pieces(assembly.on_frame(frame(1, 5, true))), 2);
        assert_eq!(pieces(assembly.on_frame(frame(3, 0, true))), 0);
        assert_eq!((assembly.partial.len(), assembly.bytes), (0, 0));
    }

    #[test]
    fn bodies_are_bounded() {
        let mut assembly = Assembly::default();
        assert!(matches!(assembly.on_frame(frame(1, MAX_BODY_BYTES, false)), Step::Wait));
        let refused = assembly.on_frame(frame(1, 1, false));
        assert!(matches!(refused, Step::Refuse { error: CallError::Invalid(_), .. }));
        assert!(matches!(assembly.on_frame(frame(1, 1, true)), Step::Wait));
        assert_eq!((assembly.partial.len(), assembly.bytes), (0, 0));
    }

    #[test]
    fn half_sent_requests_are_bounded_together() {
        let mut assembly = Assembly::default();
        let whole = MAX_ASSEMBLED_BYTES / MAX_BODY_BYTES;
        for id in 0..whole {
            assert!(matches!(assembly.on_frame(frame(id as u64, MAX_BODY_BYTES, false)), Step::Wait));
        }
        let refused = assembly.on_frame(frame(9_999, 1, false));
        assert!(matches!(refused, Step::Refuse { error: CallError::Busy(_), .. }));
        assembly.forget(0);
        assert!(matches!(assembly.on_frame(frame(10_000, 1, false)), Step::Wait));
    }
}

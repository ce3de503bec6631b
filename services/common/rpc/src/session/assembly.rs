//! Requests that arrive in several frames, put together within a bound.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use cairn_proto::common::v1::Frame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::CallError;
use crate::limits::{MAX_BODY_BYTES, MAX_RECEIVED_BYTES, MAX_SERVED_CALLS};

/// Requests of one session whose last frame has not come.
pub(super) struct Assembly {
    partial: BTreeMap<u64, Partial>,
    /// Bytes of bodies that may still be received; a body gives its share back when its call is over.
    budget: Arc<Semaphore>,
}

enum Partial {
    Open(Box<Open>),
    /// Answered with an error already; the rest of it is passed over.
    Refused,
}

struct Open {
    first: Frame,
    body: Received,
}

/// A body, and its share of the session's memory.
#[derive(Default)]
pub(super) struct Received {
    pub(super) pieces: Vec<Bytes>,
    share: Option<OwnedSemaphorePermit>,
}

/// A request that is all here: its first frame, without data, and its body.
pub(super) type Whole = (Frame, Received);

impl Assembly {
    pub(super) fn new() -> Self {
        Self { partial: BTreeMap::new(), budget: Arc::new(Semaphore::new(MAX_RECEIVED_BYTES)) }
    }

    /// The request that `frame` completes, if it does.
    ///
    /// # Errors
    /// The request must be answered with this; what else comes of it is passed over.
    pub(super) fn on_frame(&mut self, mut frame: Frame) -> Result<Option<Whole>, CallError> {
        let (id, last) = (frame.id, frame.last);
        let data = std::mem::take(&mut frame.data);
        let budget = &self.budget;
        let refused = match self.partial.get_mut(&id) {
            None => {
                let mut body = Received::default();
                match body.take(data, budget) {
                    Ok(()) if last => return Ok(Some((frame, body))),
                    Ok(()) => return self.begin(frame, body).map(|()| None),
                    Err(error) => error,
                }
            }
            Some(Partial::Refused) => {
                if last {
                    self.forget(id);
                }
                return Ok(None);
            }
            Some(Partial::Open(open)) => match open.body.take(data, budget) {
                Ok(()) => return Ok(if last { self.finish(id) } else { None }),
                Err(error) => error,
            },
        };
        self.forget(id);
        // Of a caller this far beyond its bound nothing is remembered: what follows is judged as new.
        if !last && self.partial.len() < MAX_SERVED_CALLS {
            self.partial.insert(id, Partial::Refused);
        }
        Err(refused)
    }

    /// The caller no longer waits for `id`.
    pub(super) fn forget(&mut self, id: u64) {
        self.partial.remove(&id);
    }

    fn begin(&mut self, first: Frame, body: Received) -> Result<(), CallError> {
        if self.partial.len() >= MAX_SERVED_CALLS {
            // Not even remembered: a caller this far beyond its bound is broken.
            return Err(CallError::Busy("too many requests are half sent".to_owned()));
        }
        self.partial.insert(first.id, Partial::Open(Box::new(Open { first, body })));
        Ok(())
    }

    fn finish(&mut self, id: u64) -> Option<Whole> {
        match self.partial.remove(&id)? {
            Partial::Open(open) => Some((open.first, open.body)),
            Partial::Refused => None,
        }
    }
}

impl Received {
    fn take(&mut self, data: Bytes, budget: &Arc<Semaphore>) -> Result<(), CallError> {
        if data.is_empty() {
            return Ok(());
        }
        let received = self.share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if received + data.len() > MAX_BODY_BYTES {
            return Err(CallError::Invalid(format!("a body holds at most {MAX_BODY_BYTES} bytes")));
        }
        let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let Ok(more) = budget.clone().try_acquire_many_owned(size) else {
            return Err(CallError::Busy("too many bytes of requests are in memory".to_owned()));
        };
        match &mut self.share {
            Some(share) => share.merge(more),
            none @ None => *none = Some(more),
        }
        self.pieces.push(data);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(id: u64, data: usize, last: bool) -> Frame {
        Frame { id, data: Bytes::from(vec![0; data]), last, ..Frame::default() }
    }

    fn pieces(step: Result<Option<Whole>, CallError>) -> usize {
        step.unwrap().expect("the request is complete").1.pieces.len()
    }

    fn waits(step: Result<Option<Whole>, CallError>) -> bool {
        step.unwrap().is_none()
    }

    #[test]
    fn frames_of_several_requests_interleave() {
        let mut assembly = Assembly::new();
        assert!(waits(assembly.on_frame(frame(1, 0, false))));
        assert!(waits(assembly.on_frame(frame(2, 9, false))));
        assert!(waits(assembly.on_frame(frame(1, 5, false))));
        assert_eq!(pieces(assembly.on_frame(frame(2, 9, true))), 2);
        assert_eq!(pieces(assembly.on_frame(frame(1, 5, true))), 2);
        assert_eq!(pieces(assembly.on_frame(frame(3, 0, true))), 0);
        assert_eq!((assembly.partial.len(), assembly.budget.available_permits()), (0, MAX_RECEIVED_BYTES));
    }

    #[test]
    fn bodies_are_bounded() {
        let mut assembly = Assembly::new();
        assert!(waits(assembly.on_frame(frame(1, MAX_BODY_BYTES, false))));
        assert!(matches!(assembly.on_frame(frame(1, 1, false)), Err(CallError::Invalid(_))));
        assert!(waits(assembly.on_frame(frame(1, 1, true))));
        assert_eq!((assembly.partial.len(), assembly.budget.available_permits()), (0, MAX_RECEIVED_BYTES));
    }

    #[test]
    fn refused_requests_are_bounded_too() {
        let mut assembly = Assembly::new();
        for id in 0..2 * MAX_SERVED_CALLS {
            assert!(assembly.on_frame(frame(id as u64, MAX_BODY_BYTES + 1, false)).is_err());
        }
        assert_eq!(
            (assembly.partial.len(), assembly.budget.available_permits()),
            (MAX_SERVED_CALLS, MAX_RECEIVED_BYTES)
        );
    }

    #[test]
    fn bodies_are_bounded_together() {
        let mut assembly = Assembly::new();
        let whole = MAX_RECEIVED_BYTES / MAX_BODY_BYTES;
        for id in 0..whole {
            assert!(waits(assembly.on_frame(frame(id as u64, MAX_BODY_BYTES, false))));
        }
        assert!(matches!(assembly.on_frame(frame(9_999, 1, false)), Err(CallError::Busy(_))));
        assembly.forget(0);
        let held = assembly.on_frame(frame(10_000, MAX_BODY_BYTES, true)).unwrap();
        // A body that was handed over counts until its call is over.
        assert!(matches!(assembly.on_frame(frame(10_001, 1, true)), Err(CallError::Busy(_))));
        drop(held);
        assert_eq!(pieces(assembly.on_frame(frame(10_002, 1, true))), 1);
    }
}

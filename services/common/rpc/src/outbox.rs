//! The frames one half of a session has to send, in order.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use cairn_proto::common::v1::Frame;
use parking_lot::Mutex;

/// A queue between whoever makes frames and the one task that writes them. Its bound is its users': the calls a
/// session may have open (`limits`), and for reply bodies a budget of bytes.
#[derive(Default)]
pub(crate) struct Outbox(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    frames: VecDeque<Frame>,
    writer: Option<Waker>,
    closed: bool,
}

/// How much of a request [`Outbox::withdraw`] still found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Withdrawn {
    /// All of it: the peer never hears of it.
    Whole,
    /// The peer has some or all of it.
    Sent,
}

impl Outbox {
    /// Queues `frame`. False: closed.
    pub(crate) fn push(&self, frame: Frame) -> bool {
        self.push_all(std::iter::once(frame))
    }

    /// Queues `frames` without others between them. False: closed.
    pub(crate) fn push_all(&self, frames: impl IntoIterator<Item = Frame>) -> bool {
        let mut queue = self.0.lock();
        if queue.closed {
            return false;
        }
        queue.frames.extend(frames);
        let writer = queue.writer.take();
        drop(queue);
        if let Some(writer) = writer {
            writer.wake();
        }
        true
    }

    /// Takes back the frames of call `id` that were not sent yet.
    pub(crate) fn withdraw(&self, id: u64) -> Withdrawn {
        let mut found = Withdrawn::Sent;
        self.0.lock().frames.retain(|frame| {
            // A request's first frame is the one that names its method.
            if frame.id == id && frame.method != 0 {
                found = Withdrawn::Whole;
            }
            frame.id != id
        });
        found
    }

    /// Takes no more frames; those queued still go out.
    pub(crate) fn close(&self) {
        let mut queue = self.0.lock();
        queue.closed = true;
        let writer = queue.writer.take();
        drop(queue);
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    /// The next frame; none when closed and empty. One writer at a time.
    pub(crate) fn poll_frame(&self, cx: &Context<'_>) -> Poll<Option<Frame>> {
        let mut queue = self.0.lock();
        if let Some(frame) = queue.frames.pop_front() {
            return Poll::Ready(Some(frame));
        }
        if queue.closed {
            return Poll::Ready(None);
        }
        match &mut queue.writer {
            Some(writer) => writer.clone_from(cx.waker()),
            empty @ None => *empty = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(id: u64, method: u32) -> Frame {
        Frame { id, method, ..Frame::default() }
    }

    fn poll(outbox: &Outbox) -> Poll<Option<u64>> {
        let cx = Context::from_waker(Waker::noop());
        outbox.poll_frame(&cx).map(|frame| frame.map(|frame| frame.id))
    }

    #[test]
    fn frames_leave_in_order_and_a_closed_queue_drains() {
        let outbox = Outbox::default();
        assert_eq!(poll(&outbox), Poll::Pending);
        assert!(outbox.push_all([frame(1, 1), frame(2, 1)]));
        outbox.close();
        assert!(!outbox.push(frame(3, 1)));
        assert_eq!(poll(&outbox), Poll::Ready(Some(1)));
        assert_eq!(poll(&outbox), Poll::Ready(Some(2)));
        assert_eq!(poll(&outbox), Poll::Ready(None));
    }

    #[test]
    fn a_request_is_withdrawn_whole_or_cancelled() {
        let outbox = Outbox::default();
        assert!(outbox.push_all([frame(1, 1), frame(1, 0), frame(2, 1), frame(2, 0)]));
        assert_eq!(outbox.withdraw(2), Withdrawn::Whole);
        assert_eq!(poll(&outbox), Poll::Ready(Some(1)));
        assert_eq!(outbox.withdraw(1), Withdrawn::Sent);
        assert_eq!(poll(&outbox), Poll::Pending);
    }
}
